package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/agentuity/coder-go/internal/bench/byhand"
)

// What people write instead, and what they would if they knew the pitfalls: a shared client with
// enough idle connections, bodies read to their end, every member of the answers. There are no
// retries, no limits and no unknown members.
var handwritten = map[string]prepare{
	"get": func(o order) (task, func(), error) {
		c := newByHand(o)
		return calls(o.Parallel, c.get), c.close, nil
	},
	"bursts": func(o order) (task, func(), error) {
		c := newByHand(o)
		c.url = o.TLS
		// The transport as it is: this is about what it does by default.
		c.http.Transport = &http.Transport{TLSClientConfig: trusting(o.Certificate)}
		return bursts(o.Parallel, c.get), c.close, nil
	},
	"create": func(o order) (task, func(), error) {
		c := newByHand(o)
		return calls(o.Parallel, c.create), c.close, nil
	},
	"list":         func(o order) (task, func(), error) { return listByHand(o, "") },
	"list-unknown": func(o order) (task, func(), error) { return listByHand(o, "&search=unknown") },
	"replay": func(o order) (task, func(), error) {
		c := newByHand(o)
		return calls(1, func(ctx context.Context) (found seen, err error) {
			var replay byhand.Replay
			if err := c.do(ctx, http.MethodGet, "/session/"+replayID(o.Size)+"/replay", nil, &replay); err != nil {
				return found, err
			}
			for i := range replay.Entries {
				found.things++
				found.chars += len(replay.Entries[i].Content)
			}
			return found, nil
		}), c.close, nil
	},
	"hostile-tiny":     hostileByHand("tiny"),
	"hostile-sessions": hostileByHand("sessions"),
	"hostile-entries":  hostileByHand("entries"),
	"hostile-free":     hostileByHand("free"),
	"idle-streams": func(o order) (task, func(), error) {
		c := newByHand(o)
		return idle(c.stream, c.close)
	},
	"idle-connections": func(o order) (task, func(), error) {
		c := newByHand(o)
		return idle(c.connect, c.close)
	},
	"frames": func(o order) (task, func(), error) {
		c := newByHand(o)
		return c.frames(o), c.close, nil
	},
	"events": func(o order) (task, func(), error) {
		c := newByHand(o)
		return func(ctx context.Context, n int) (seen, error) { return c.events(ctx, eventsID(n, o.Size)) }, c.close, nil
	},
}

func replayID(megabytes int) string { return fmt.Sprintf("replay-%d", megabytes) }

type byHand struct {
	url  string
	http http.Client
}

func newByHand(o order) *byHand {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 64
	return &byHand{url: o.URL, http: http.Client{Transport: transport}}
}

func (c *byHand) close() { c.http.CloseIdleConnections() }

func (c *byHand) request(ctx context.Context, method, path string, in any) (*http.Response, error) {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.url+"/api/hub"+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer key")
	req.Header.Set("Accept", "application/json")
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 != 2 {
		_ = resp.Body.Close()
		return nil, errors.New(resp.Status)
	}
	return resp, nil
}

func (c *byHand) do(ctx context.Context, method, path string, in, out any) error {
	resp, err := c.request(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, out)
}

func (c *byHand) get(ctx context.Context) (seen, error) {
	var s byhand.Session
	if err := c.do(ctx, http.MethodGet, "/session/"+sessionID, nil, &s); err != nil {
		return seen{}, err
	}
	return right(s.SessionID == sessionID && s.Repo.Branch == branch && s.Metadata["ticket"] == "AUTH-7" &&
		len(s.EnabledAgents) == 3 && s.UpdatedAt.Year() == 2026, s)
}

func (c *byHand) create(ctx context.Context) (seen, error) {
	in := struct {
		Task string   `json:"task"`
		Tags []string `json:"tags"`
	}{"Sort the list", []string{"a", "b"}}
	var created struct {
		SessionID  string  `json:"sessionId"`
		SandboxID  *string `json:"sandboxId"`
		Status     string  `json:"status"`
		Mode       string  `json:"mode"`
		Visibility string  `json:"visibility"`
	}
	if err := c.do(ctx, http.MethodPost, "/session", in, &created); err != nil {
		return seen{}, err
	}
	return right(created.SessionID != "" && created.Status == "creating" && created.Mode == "sandbox", created)
}

func listByHand(o order, query string) (task, func(), error) {
	c := newByHand(o)
	return calls(1, func(ctx context.Context) (found seen, err error) {
		var list byhand.List
		if err := c.do(ctx, http.MethodGet, fmt.Sprintf("/sessions?limit=%d%s", o.Size, query), nil, &list); err != nil {
			return found, err
		}
		for i := range list.Sessions.Websocket {
			if s := &list.Sessions.Websocket[i]; s.SessionID == sessionID && s.Repo.Branch == branch {
				found.things++
			}
		}
		return found, nil
	}), c.close, nil
}

// events reads a stream with the scanner that everybody takes.
func (c *byHand) events(ctx context.Context, id string) (found seen, err error) {
	resp, err := c.request(ctx, http.MethodGet, "/session/"+id+"/events", nil)
	if err != nil {
		return found, err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	var name, data string
	for lines.Scan() {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "event: "):
			name = line[len("event: "):]
		case strings.HasPrefix(line, "data: "):
			data = line[len("data: "):]
		case line == "" && name == "broadcast":
			var m byhand.Broadcast
			if err := json.Unmarshal([]byte(data), &m); err != nil {
				return found, err
			}
			if m.SessionID != sessionID || m.Timestamp == 0 {
				return found, errors.New("an event is not what was sent")
			}
			if m.Event == "session_shutdown" {
				return found, nil
			}
			found.things++
			found.chars += len(m.Data)
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return found, fmt.Errorf("%w: %w", errCannot, lines.Err())
	}
	return found, errors.Join(errors.New("the stream ended too early"), lines.Err())
}
