package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/agentuity/coder-go"
)

// What this library does for the orders.
var ours = map[string]prepare{
	"get": func(o order) (task, func(), error) {
		return oursWith(o, func(c *coder.Client) task { return calls(o.Parallel, getOurs(c)) })
	},
	"bursts": func(o order) (task, func(), error) {
		transport := coder.NewTransport()
		transport.TLSClientConfig = trusting(o.Certificate)
		o.URL = o.TLS
		return oursWith(o, func(c *coder.Client) task { return bursts(o.Parallel, getOurs(c)) },
			coder.WithHTTPClient(&http.Client{Transport: transport}))
	},
	"first": func(o order) (task, func(), error) {
		if err := os.Setenv("AGENTUITY_CATALYST_URL", o.URL); err != nil {
			return nil, nil, err
		}
		o.URL = ""
		return oursWith(o, func(c *coder.Client) task { return calls(o.Parallel, getOurs(c)) })
	},
	"create": func(o order) (task, func(), error) {
		return oursWith(o, func(c *coder.Client) task {
			request := coder.CreateSessionRequest{Task: "Sort the list", Tags: []string{"a", "b"}}
			return calls(o.Parallel, func(ctx context.Context) (seen, error) {
				r, err := c.CreateSession(ctx, request)
				if err != nil {
					return seen{}, err
				}
				return right(r.SessionID != "" && r.Status == "creating" && r.Mode == "sandbox", r)
			})
		})
	},
	"list":         func(o order) (task, func(), error) { return listOurs(o, "") },
	"list-unknown": func(o order) (task, func(), error) { return listOurs(o, "unknown") },
	"entries": func(o order) (task, func(), error) {
		return oursWith(o, func(c *coder.Client) task {
			return calls(1, func(ctx context.Context) (found seen, err error) {
				for entry, err := range c.ReplayEntries(ctx, replayID(o.Size), nil) {
					if err != nil {
						return found, err
					}
					found.things++
					found.chars += len(entry.Content)
				}
				return found, nil
			})
		})
	},
	"replay": func(o order) (task, func(), error) {
		return oursWith(o, func(c *coder.Client) task {
			return calls(1, func(ctx context.Context) (found seen, err error) {
				replay, err := c.GetReplay(ctx, replayID(o.Size), nil)
				if err != nil {
					return found, err
				}
				for i := range replay.Entries {
					found.things++
					found.chars += len(replay.Entries[i].Content)
				}
				return found, nil
			})
		})
	},
	"hostile-tiny":     hostileOurs("tiny"),
	"hostile-sessions": hostileOurs("sessions"),
	"hostile-entries":  hostileOurs("entries"),
	"hostile-free":     hostileOurs("free"),
	"idle-streams":     func(o order) (task, func(), error) { return idleOurs(o, streamOurs) },
	"idle-connections": func(o order) (task, func(), error) { return idleOurs(o, connectOurs) },
	"frames":           framesOurs,
	"follow": func(o order) (task, func(), error) {
		return oursWith(o, func(c *coder.Client) task {
			return calls(1, func(ctx context.Context) (found seen, err error) {
				id := fmt.Sprintf("ends-%d", time.Now().UnixNano())
				ctx, cancel := context.WithTimeout(ctx, time.Minute)
				defer cancel()
				outcome, err := c.WaitForSession(ctx, id, &coder.WaitForSessionOptions{Follow: true})
				noticed := time.Now()
				if err != nil {
					return found, err
				}
				seen, err := askCounters(ctx, o.URL)
				if err != nil {
					return found, err
				}
				found, err = right(outcome.Kind == coder.OutcomeArchived, outcome)
				found.late = noticed.Sub(time.Unix(0, seen.Ended))
				return found, err
			})
		})
	},
	"events": func(o order) (task, func(), error) {
		return oursWith(o, func(c *coder.Client) task {
			return func(ctx context.Context, n int) (found seen, err error) {
				for event, err := range c.StreamEvents(ctx, eventsID(n, o.Size), nil) {
					if err != nil {
						return found, err
					}
					m, ok := event.Data.(*coder.BroadcastEventMessage)
					switch {
					case !ok || m.SessionID != sessionID || m.Timestamp.IsZero():
						return found, errors.New("an event is not what was sent")
					case m.Event == coder.EventSessionShutdown:
						return found, nil
					}
					found.things++
					found.chars += len(m.Data)
					if o.Pause > 0 {
						time.Sleep(time.Duration(o.Pause) * time.Millisecond)
					}
				}
				return found, errors.New("the stream ended too early")
			}
		})
	},
}

func oursWith(o order, what func(*coder.Client) task, options ...coder.Option) (task, func(), error) {
	options = append(options, coder.WithAPIKey("key"), coder.WithURL(o.URL))
	c, err := coder.NewClient(options...)
	if err != nil {
		return nil, nil, err
	}
	return what(c), c.CloseIdleConnections, nil
}

func idleOurs(o order, observe func(*coder.Client) session) (task, func(), error) {
	// As fast as the handwritten ones are opened: this is not about the time that takes.
	c, err := coder.NewClient(coder.WithAPIKey("key"), coder.WithURL(o.URL), coder.WithConnectRate(-1))
	if err != nil {
		return nil, nil, err
	}
	return idle(observe(c), c.CloseIdleConnections)
}

func getOurs(c *coder.Client) func(context.Context) (seen, error) {
	return func(ctx context.Context) (seen, error) {
		s, err := c.GetSession(ctx, sessionID)
		if err != nil {
			return seen{}, err
		}
		return right(s.SessionID == sessionID && s.Repo.Branch == branch && s.Metadata["ticket"] == "AUTH-7" &&
			len(s.EnabledAgents) == 3 && s.UpdatedAt.Year() == 2026, s)
	}
}

func listOurs(o order, search string) (task, func(), error) {
	return oursWith(o, func(c *coder.Client) task {
		params := &coder.ListSessionsParams{Limit: o.Size, Search: search}
		return calls(1, func(ctx context.Context) (found seen, err error) {
			list, err := c.ListSessions(ctx, params)
			if err != nil {
				return found, err
			}
			for i := range list.Sessions {
				s := &list.Sessions[i]
				if s.SessionID == sessionID && s.Repo.Branch == branch && len(s.Extra) == 3*len(search)/len("unknown") {
					found.things++
				}
			}
			return found, nil
		})
	})
}

func trusting(certificate string) *tls.Config {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(certificate))
	return &tls.Config{RootCAs: pool}
}
