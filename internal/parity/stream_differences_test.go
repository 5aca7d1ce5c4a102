//go:build parity

package parity

import (
	"context"
	"net/http"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// The differences on purpose that the scenarios of live channels do not meet on their way.

// contrast plays one part with the original's clients, and one with those of this module.
func contrast(t *testing.T, there, here func(s *stage)) {
	t.Helper()
	for _, side := range []struct {
		name string
		play func(s *stage)
	}{{"there", there}, {"here", here}} {
		t.Run(side.name, func(t *testing.T) {
			c := channelScenario{name: t.Name()}
			tally.followed(c.name)
			c.newStage(t, side.name == "there").perform(side.play)
		})
	}
}

// connections are how many clients came to follow.
func (s *stage) connections() int {
	n := 0
	for _, p := range s.tap.all() {
		if follows(p) {
			n++
		}
	}
	return n
}

// untilConnections waits until so many have come.
func (s *stage) untilConnections(n int) {
	s.Helper()
	require.Eventually(s, func() bool { return s.connections() >= n }, patience, time.Millisecond)
}

func TestDifferencesOfStreams(t *testing.T) {
	differ(t, "streams-that-are-refused", func(t *testing.T) {
		unknown := func(s *stage) (*actor, object) {
			a := s.follow("lost", func(o *channelOptions) { o.SessionID = "none" })
			return a, a.untilKind("error")
		}
		contrast(t, func(s *stage) {
			_, failed := unknown(s)
			assert.Equal(s, "max_reconnects_exceeded", failed["code"])
			assert.Equal(s, 4, s.connections())
		}, func(s *stage) {
			_, failed := unknown(s)
			assert.Equal(s, object{"code": "connection_failed", "status": 404.0, "sessionId": "none"}, failed)
			assert.Equal(s, 1, s.connections())
		})
		for _, status := range []int{307, 410, 501} {
			refused := codertest.Fault{Route: "/hub/session/{id}/events", Status: status, Count: -1}
			contrast(t, func(s *stage) {
				s.hub.Inject(refused)
				assert.Equal(s, "max_reconnects_exceeded", s.follow("watcher", nil).untilKind("error")["code"])
				assert.Equal(s, 4, s.connections())
			}, func(s *stage) {
				s.hub.Inject(refused)
				assert.Equal(s, float64(status), s.follow("watcher", nil).untilKind("error")["status"])
				assert.Equal(s, 1, s.connections())
			})
		}
	})
	differ(t, "streams-of-a-session-that-is-over", func(t *testing.T) {
		contrast(t, func(s *stage) {
			a := s.follow("watcher", nil)
			a.untilType("hydration")
			s.session.Shutdown()
			s.untilConnections(3)
		}, func(s *stage) {
			a := s.follow("watcher", nil)
			a.untilType("hydration")
			s.session.Shutdown()
			a.untilKind("end")
			assert.Equal(s, 1, s.connections())
		})
		leaving := func(s *stage, reason string) *actor {
			a := s.follow("watcher", nil)
			a.untilType("hydration")
			if reason == "quit" {
				s.hub.Inject(codertest.Fault{Method: http.MethodGet, Route: "/hub/session/{id}", Status: http.StatusNotFound,
					Body: []byte(`{"error":"gone","code":"SESSION_NOT_FOUND"}`)})
			}
			s.session.Emit(codertest.Event{Event: "session_shutdown", Category: "session", Payload: object{"reason": reason}})
			a.untilEvent("session_shutdown")
			return a
		}
		contrast(t, func(s *stage) {
			a := leaving(s, "quit")
			_, noticed := a.next(1500 * time.Millisecond)
			assert.False(s, noticed, "it stays")
		}, func(s *stage) {
			leaving(s, "quit").untilKind("end")
		})
		stays := func(s *stage) { // the lead goes on: no difference
			_, noticed := leaving(s, "reload").next(1500 * time.Millisecond)
			assert.False(s, noticed)
		}
		contrast(t, stays, stays)
	})
	differ(t, "streams-that-just-end", func(t *testing.T) {
		ended := func(s *stage, kind string) object {
			a := s.follow("watcher", once)
			a.untilType("hydration")
			s.session.EndStreams(1000, "")
			return a.untilKind(kind)
		}
		contrast(t, func(s *stage) { ended(s, "end") }, func(s *stage) { assert.Equal(s, "unexpected end", ended(s, "error")["code"]) })
	})
	differ(t, "connections-that-prove-nothing", func(t *testing.T) {
		broken := codertest.Fault{Route: "/hub/session/{id}/events", Cut: codertest.CutMidBody, Count: -1}
		contrast(t, func(s *stage) {
			s.hub.Inject(broken)
			s.follow("watcher", func(o *channelOptions) { o.MaxReconnectAttempts = 1 })
			s.untilConnections(5)
		}, func(s *stage) {
			s.hub.Inject(broken)
			a := s.follow("watcher", func(o *channelOptions) { o.MaxReconnectAttempts = 1 })
			assert.Equal(s, "max_reconnects_exceeded", a.untilKind("error")["code"])
			assert.Equal(s, 2, s.connections())
		})
	})
	differ(t, "waits-that-a-stream-asks-for", func(t *testing.T) {
		down := func(s *stage, delay int) time.Duration {
			a := s.follow("watcher", func(o *channelOptions) { o.ReconnectDelayMs = delay })
			a.untilType("hydration")
			s.session.SendRaw("retry: 1\n\n")
			s.session.Emit(codertest.Event{Event: "turn_start", Category: "turn"})
			a.untilEvent("turn_start")
			began := time.Now()
			s.session.EndStreams(1000, "")
			a.untilType("hydration")
			return time.Since(began)
		}
		contrast(t, func(s *stage) {
			assert.GreaterOrEqual(s, down(s, 1000), 490*time.Millisecond, "half of its default at least")
		}, func(s *stage) {
			assert.Less(s, down(s, 0), 490*time.Millisecond, "less than half of the default, which is 1 s as well")
		})
	})
	differ(t, "events-that-make-no-sense", func(t *testing.T) {
		for _, data := range []string{`{`, `[]`, `null`, `{"type":"ping"}`, `{"type":"broadcast","event":"e","data":null,"category":"c","sessionId":"s","timestamp":1}`} {
			start := func(s *stage) *actor {
				a := s.follow("watcher", nil)
				a.untilType("hydration")
				s.session.SendRaw("event: something\ndata: " + data + "\n\n")
				return a
			}
			contrast(t, func(s *stage) {
				assert.Equal(s, "parse_error", start(s).untilKind("error")["code"])
				s.session.CutStreams() // which it leaves open
			}, func(s *stage) {
				a := start(s)
				assert.Equal(s, data, a.until("an unknown message", func(n notice) bool { return n.Kind == "unknown" }).Value)
				s.session.Emit(codertest.Event{Event: "turn_end"})
				a.untilEvent("turn_end")
			})
		}
	})
	differ(t, "members-that-broadcasts-lack", func(t *testing.T) {
		start := func(s *stage) *actor {
			a := s.follow("watcher", nil)
			a.untilType("hydration")
			s.session.SendRaw("event: broadcast\ndata: {\"event\":\"e\",\"data\":{}}\n\n")
			return a
		}
		contrast(t, func(s *stage) {
			assert.Equal(s, "parse_error", start(s).untilKind("error")["code"])
			s.session.CutStreams()
		}, func(s *stage) {
			start(s).untilEvent("e")
		})
	})
	differ(t, "unknown-members-of-messages", func(t *testing.T) {
		entry := object{"type": "message", "timestamp": 1.0, "newMember": 1.0}
		events := func(s *stage) object {
			a := s.follow("watcher", nil)
			a.untilType("hydration")
			s.session.SendRaw("event: hydration\ndata: " + encode(object{"sessionId": "s", "entries": []any{entry}, "newMember": 1}) + "\n\n")
			return a.untilType("hydration")
		}
		frames := func(s *stage) object {
			c := s.connect("controller", "controller", nil)
			c.untilType("session_hydration")
			s.session.SendRaw(encode(object{"type": "pong", "timestamp": 1, "newMember": 1}))
			return c.untilType("pong")
		}
		known := object{"type": "message", "timestamp": 1.0}
		contrast(t, func(s *stage) {
			m := events(s)
			assert.NotContains(s, m, "newMember")
			assert.Equal(s, []any{known}, m["entries"])
			assert.Contains(s, frames(s), "newMember")
		}, func(s *stage) {
			m := events(s)
			assert.NotContains(s, m, "newMember")
			assert.NotContains(s, frames(s), "newMember")
			// Entries keep them in Extra, which is written as it came.
			for event, err := range s.options().client(s.T).StreamEvents(s.soon(), s.session.ID(), nil) {
				require.NoError(s, err)
				m, ok := event.Data.(*coder.SSEHydrationMessage)
				if ok && m.SessionID != "s" {
					s.session.SendRaw("event: hydration\ndata: " + encode(object{"sessionId": "s", "entries": []any{entry}}) + "\n\n")
				} else if ok {
					assert.Equal(s, "1", string(m.Entries[0].Extra["newMember"]))
					break
				}
			}
		})
	})
}

func TestDifferencesOfSockets(t *testing.T) {
	differ(t, "sockets-that-are-closed-for-good", func(t *testing.T) {
		for _, code := range []int{4400, 4403, 4404, 4409, 4410, 4500, 4999} {
			c := channelScenario{name: "closed for good", play: func(s *stage) {
				o := s.connect("observer", "observer", nil)
				o.untilType("session_hydration")
				s.session.EndStreams(coder.CloseCode(code), "never")
				assert.Equal(s, object{"closeCode": float64(code), "closeReason": "never"}, o.untilKind("closed"))
			}}
			c.check(t) // the class tells of it
		}
		iterator := channelScenario{name: "the iterator", socket: "subscription"}
		s := iterator.newStage(t, true)
		s.perform(func(s *stage) {
			o := s.connect("observer", "observer", nil)
			o.untilType("session_hydration")
			s.session.EndStreams(4403, "never")
			o.untilKind("end")
		})
	})
	differ(t, "sockets-without-an-init", func(t *testing.T) {
		silent := codertest.Fault{Route: "/ws", Cut: codertest.CutAfterEffect, Stall: true}
		contrast(t, func(s *stage) {
			s.hub.Inject(silent)
			a := s.connect("controller", "controller", nil)
			_, noticed := a.next(300 * time.Millisecond)
			assert.False(s, noticed, "it waits for ever")
		}, func(s *stage) {
			s.hub.Inject(silent)
			o := s.options()
			_, err := o.client(s.T).Connect(s.soon(), o.SessionID, &coder.HubConnectOptions{
				Role: coder.RoleController, HandshakeTimeout: 50 * time.Millisecond,
			})
			var failed *coder.HubConnError
			require.ErrorAs(s, err, &failed)
			assert.Equal(s, coder.ConnFailed, failed.Code)
		})
	})
	differ(t, "sockets-that-are-answered-with-a-status", func(t *testing.T) {
		for _, status := range []int{http.StatusForbidden, http.StatusNotFound} {
			refused := codertest.Fault{Route: "/ws", Status: status}
			contrast(t, func(s *stage) {
				s.hub.Inject(refused)
				failed := s.connect("observer", "observer", nil).untilKind("error")
				assert.Equal(s, object{"code": "connection_error", "sessionId": s.session.ID()}, failed)
			}, func(s *stage) {
				s.hub.Inject(refused)
				o := s.options()
				_, err := o.client(s.T).Connect(s.soon(), o.SessionID, nil)
				var api *coder.APIError
				require.ErrorAs(s, err, &api)
				assert.Equal(s, status, api.StatusCode)
				assert.Equal(s, 1, s.connections())
			})
		}
	})
	differ(t, "sockets-that-create", func(t *testing.T) {
		start := func(s *stage) *actor {
			s.hub.RefuseStreams(codertest.Refusal{})
			return s.connect("lead", "lead", func(o *channelOptions) { o.SessionID = "" })
		}
		contrast(t, func(s *stage) {
			start(s).untilKind("init")
			assert.Equal(s, 2, s.connections())
		}, func(s *stage) {
			assert.Equal(s, 4408.0, start(s).untilKind("error")["closeCode"])
			assert.Equal(s, 1, s.connections())
		})
	})
	differ(t, "requests-whose-connection-is-lost", func(t *testing.T) {
		start := func(s *stage) *actor {
			asked := make(chan struct{})
			s.hub.OnRequest(func(codertest.LeadRequest) ([]codertest.Action, bool) {
				close(asked)
				return nil, false
			})
			l := s.connect("lead", "lead", nil)
			l.untilType("session_hydration")
			l.request(object{"type": "event", "event": "turn_end", "data": object{}}, 300*time.Millisecond)
			select {
			case <-asked:
			case <-s.soon().Done():
			}
			s.session.CutStreams()
			return l
		}
		contrast(t, func(s *stage) {
			l := start(s)
			l.untilKind("init")
			assert.Equal(s, "response_timeout", l.untilKind("failure")["code"])
		}, func(s *stage) {
			l := start(s)
			assert.Equal(s, "connection_error", l.untilKind("failure")["code"])
		})
	})
	differ(t, "requests-that-nobody-answers", func(t *testing.T) {
		contrast(t, func(s *stage) {
			c := s.connect("controller", "controller", nil)
			c.untilType("session_hydration")
			c.request(rpc(object{"type": "get_state"}), 100*time.Millisecond)
			assert.Equal(s, "response_timeout", c.untilKind("failure")["code"])
		}, func(s *stage) {
			o := s.options()
			conn, err := o.client(s.T).Connect(s.soon(), o.SessionID, &coder.HubConnectOptions{Role: coder.RoleController})
			require.NoError(s, err)
			defer func() { _ = conn.Close() }()
			_, answered := any(&coder.RPCCommandMessage{}).(coder.HubRequest)
			assert.False(s, answered, "SendAndWait does not compile with it")
			conn.DiscardMessages()
			state, err := conn.GetState(s.soon())
			require.NoError(s, err)
			assert.Equal(s, "login", state.SessionName)
		})
	})
	differ(t, "inits-of-another-session", func(t *testing.T) {
		misroute := func(s *stage) (other string) {
			client, err := s.hub.NewClient()
			require.NoError(s, err)
			created, err := client.CreateSession(s.soon(), coder.CreateSessionRequest{Task: "Another"})
			require.NoError(s, err)
			s.tap.misroute(s.session.ID(), created.SessionID)
			return created.SessionID
		}
		contrast(t, func(s *stage) {
			other := misroute(s)
			assert.Equal(s, other, s.connect("controller", "controller", nil).untilKind("init")["sessionId"])
		}, func(s *stage) {
			other := misroute(s)
			o := s.options()
			_, err := o.client(s.T).Connect(s.soon(), o.SessionID, &coder.HubConnectOptions{Role: coder.RoleController})
			var failed *coder.HubConnError
			require.ErrorAs(s, err, &failed)
			assert.Equal(s, coder.ConnFailed, failed.Code)
			assert.ErrorContains(s, err, other)
			assert.ErrorContains(s, err, o.SessionID)
			assert.Equal(s, 1, s.connections())
		})
	})
	differ(t, "pongs-to-own-pings", func(t *testing.T) {
		contrast(t, func(s *stage) {
			o := s.connect("observer", "observer", func(o *channelOptions) { o.HeartbeatIntervalMs = 15 })
			o.untilType("pong")
			o.untilType("pong")
		}, func(s *stage) {
			o := s.options()
			conn, err := o.client(s.T).Connect(s.soon(), o.SessionID, &coder.HubConnectOptions{HeartbeatInterval: 15 * time.Millisecond})
			require.NoError(s, err)
			defer func() { _ = conn.Close() }()
			ctx, cancel := context.WithTimeout(s.soon(), 200*time.Millisecond)
			defer cancel()
			for m, err := range conn.Messages(ctx) {
				if err != nil {
					break // the time is up
				}
				assert.NotEqual(s, reflect.TypeFor[*coder.PongMessage](), reflect.TypeOf(m))
			}
		})
	})
	differ(t, "wrapped-messages", func(t *testing.T) {
		contrast(t, func(s *stage) {
			c := s.connect("controller", "controller", nil)
			c.untilType("session_hydration")
			c.send(rpc(object{"type": "get_state", "id": "a"}))
			assert.Equal(s, "broadcast", c.untilEvent("rpc_response")["type"])
		}, func(s *stage) {
			o := s.options()
			conn, err := o.client(s.T).Connect(s.soon(), o.SessionID, &coder.HubConnectOptions{Role: coder.RoleController})
			require.NoError(s, err)
			defer func() { _ = conn.Close() }()
			require.NoError(s, conn.Send(s.soon(), &coder.RPCCommandMessage{Command: coder.RPCCommand{Type: coder.CommandGetState, ID: "a"}}))
			for m, err := range conn.Messages(s.soon()) {
				require.NoError(s, err)
				if response, ok := m.(*coder.RPCResponseMessage); ok {
					assert.Equal(s, "a", response.Response.ID)
					break
				}
			}
		})
	})
}
