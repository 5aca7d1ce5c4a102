package coder_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// TestHubConn_Reconnect: delays, the id that was learned, what the caller sees.
func TestHubConn_Reconnect(t *testing.T) {
	var attempts []time.Time
	var mu sync.Mutex
	live(t, func(p *peer) {
		mu.Lock()
		attempts = append(attempts, time.Now())
		mu.Unlock()
		switch {
		case p.n == 1 || p.n == 6:
			p.admit()
			_ = p.say(fmt.Sprintf(`{"type":"pong","timestamp":%d,"echoedTimestamp":1}`, p.n))
			if p.n == 1 {
				_ = p.Close(1000, "restart")
				return
			}
			p.listen()
		case p.n == 5:
			_ = p.Close(4429, "slow down")
		default: // cut
		}
	}, func(t *testing.T, hub *liveHub) {
		conn := connectedTo(t, hub, "", func(o *coder.HubConnectOptions) { o.Role, o.Task = coder.RoleLead, "x" })
		assert.EqualValues(t, 1, next(t, conn).(*coder.PongMessage).Timestamp.UnixMilli())
		again, ok := next(t, conn).(*coder.ReconnectedMessage)
		require.True(t, ok, "before anything of the new connection")
		assert.Equal(t, 5, again.Attempt)
		cause := connError(t, again.Cause)
		assert.Equal(t, coder.CloseNormal, cause.CloseCode)
		assert.Equal(t, "restart", cause.CloseReason)
		assert.EqualValues(t, 6, next(t, conn).(*coder.PongMessage).Timestamp.UnixMilli())
		assert.Equal(t, attempts[5].Sub(attempts[0]), again.Down)
		for i := range 5 {
			wait, full := attempts[i+1].Sub(attempts[i]), time.Second<<i
			assert.LessOrEqual(t, wait, full)
			assert.GreaterOrEqual(t, wait, full/2)
		}
		assert.NotContains(t, hub.seen()[0].RequestURI, "sessionId")
		assert.Contains(t, hub.seen()[5].RequestURI, "?sessionId=codesess_1&role=lead&task=x", "a session is not created twice")
	})
}

func TestHubConn_Reconnect_Exceeded(t *testing.T) {
	live(t, func(p *peer) {
		if p.n == 1 {
			p.admit()
		}
	}, func(t *testing.T, hub *liveHub) {
		conn := connected(t, hub, func(o *coder.HubConnectOptions) { o.MaxReconnectAttempts = 3 })
		waiting := make(chan error)
		go func() { waiting <- conn.Prompt(context.Background(), "x") }()
		var last error
		count := 0
		for m, err := range conn.Messages(t.Context()) {
			count++
			assert.Nil(t, m)
			last = err
		}
		assert.Equal(t, 1, count)
		e := connError(t, last)
		require.ErrorIs(t, last, coder.ErrReconnectsExceeded)
		assert.Equal(t, "Messages", e.Operation)
		assert.Equal(t, "codesess_1", e.SessionID)
		err := <-waiting
		require.ErrorIs(t, err, coder.ErrReconnectsExceeded)
		require.NotErrorIs(t, err, coder.ErrOutcomeUnknown)
		require.ErrorIs(t, conn.Abort(t.Context()), coder.ErrReconnectsExceeded)
		assert.Equal(t, coder.StateClosed, conn.State())
		assert.Len(t, hub.seen(), 4)
		require.NoError(t, conn.Close())
		require.ErrorIs(t, conn.Abort(t.Context()), coder.ErrConnClosed)
	})
}

// TestHubConn_Reconnect_TerminalClose: it ends the connection, after what came before.
func TestHubConn_Reconnect_TerminalClose(t *testing.T) {
	for _, attempts := range []int{0, -1} {
		live(t, func(p *peer) {
			p.admit()
			_ = p.say(`{"type":"pong","timestamp":1}`)
			if attempts < 0 {
				_ = p.Close(1011, "gone")
			} else {
				_ = p.Close(4404, "gone")
			}
		}, func(t *testing.T, hub *liveHub) {
			conn := connected(t, hub, func(o *coder.HubConnectOptions) { o.MaxReconnectAttempts = attempts })
			synctest.Wait()
			assert.Equal(t, coder.StateClosed, conn.State())
			assert.IsType(t, &coder.PongMessage{}, next(t, conn))
			for range 2 {
				for m, err := range conn.Messages(t.Context()) {
					assert.Nil(t, m)
					e := connError(t, err)
					assert.Equal(t, coder.ConnLost, e.Code)
					assert.Equal(t, "gone", e.CloseReason)
					assert.Equal(t, e.CloseCode == 4404, errorsIs(err, coder.ErrSessionNotFound))
					require.NotErrorIs(t, err, coder.ErrReconnectsExceeded)
				}
			}
			assert.Len(t, hub.seen(), 1)
		})
	}
}

// TestHubConn_Reconnect_SessionWithoutAnID: a created session that has no id is not created again.
func TestHubConn_Reconnect_SessionWithoutAnID(t *testing.T) {
	live(t, func(p *peer) {
		_, _ = p.hear()
		_ = p.say(`{"type":"init","role":"lead"}`)
	}, func(t *testing.T, hub *liveHub) {
		conn := connectedTo(t, hub, "", func(o *coder.HubConnectOptions) { o.Role = coder.RoleLead })
		for _, err := range conn.Messages(t.Context()) {
			assert.Equal(t, coder.ConnLost, connError(t, err).Code)
		}
		assert.Len(t, hub.seen(), 1)
	})
}

// TestHubConn_Reconnect_ObserverWithoutInit: that the connection is another comes before its first frame,
// and what the Hub said of the old one is past.
func TestHubConn_Reconnect_ObserverWithoutInit(t *testing.T) {
	live(t, func(p *peer) {
		if p.n == 1 {
			p.admit()
			return
		}
		_ = p.say(`{"type":"presence","event":"session_join","sessionId":"codesess_1","timestamp":1}`)
		p.listen()
	}, func(t *testing.T, hub *liveHub) {
		conn := connected(t, hub, func(o *coder.HubConnectOptions) { o.Role = coder.RoleObserver })
		assert.NotNil(t, conn.Init())
		again, ok := next(t, conn).(*coder.ReconnectedMessage)
		require.True(t, ok, "before anything of the new connection")
		assert.Contains(t, connError(t, again.Cause).Error(), "ended it without a word")
		require.ErrorIs(t, again.Cause, io.ErrUnexpectedEOF)
		assert.IsType(t, &coder.PresenceEventMessage{}, next(t, conn))
		assert.Nil(t, conn.Init())
		assert.Equal(t, "codesess_1", conn.SessionID())
	})
}

// TestHubConn_Reconnect_CountBeginsAnew: with each connection that has brought work.
func TestHubConn_Reconnect_CountBeginsAnew(t *testing.T) {
	live(t, func(p *peer) {
		if p.n%2 == 1 {
			p.admit()
			_ = p.say(`{"type":"broadcast","event":"turn_start","data":{},"category":"turn","sessionId":"codesess_1","timestamp":1}`)
		} // and is lost, each time
	}, func(t *testing.T, hub *liveHub) {
		conn := connected(t, hub, func(o *coder.HubConnectOptions) { o.MaxReconnectAttempts = 2 })
		assert.IsType(t, &coder.BroadcastEventMessage{}, next(t, conn))
		for range 5 {
			again, ok := next(t, conn).(*coder.ReconnectedMessage)
			require.True(t, ok)
			assert.Equal(t, 2, again.Attempt)
			assert.LessOrEqual(t, again.Down, 3*time.Second, "so do the waits")
			assert.IsType(t, &coder.BroadcastEventMessage{}, next(t, conn))
		}
		require.NoError(t, conn.Close())
	})
}

// TestHubConn_Reconnect_HubThatAdmitsAndDrops: what proves a connection healthy, and what does not.
func TestHubConn_Reconnect_HubThatAdmitsAndDrops(t *testing.T) {
	broadcast := func(event string) string {
		return `{"type":"broadcast","event":"` + event + `","data":{},"category":"c","sessionId":"codesess_1","timestamp":1}`
	}
	for name, test := range map[string]struct {
		says  []string
		stays time.Duration
		ends  bool
	}{
		"at once":               {nil, 0, true},
		"with a greeting":       {[]string{`{"type":"presence","event":"presence_update","sessionId":"codesess_1","timestamp":1}`, broadcast("session_join")}, 0, true},
		"after one has left":    {[]string{broadcast("session_leave")}, time.Second, true},
		"after a pong":          {[]string{`{"type":"pong","timestamp":1,"echoedTimestamp":1}`}, 4 * time.Second, true},
		"after 5 s":             {nil, 5 * time.Second, false},
		"after a broadcast":     {[]string{broadcast("message_end")}, 0, false},
		"after an event":        {[]string{`{"type":"rpc_event","event":{"type":"turn_start"}}`}, 0, false},
		"after what is no JSON": {[]string{`{"type":"broadcast"`}, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			live(t, func(p *peer) {
				p.admit()
				for _, frame := range test.says {
					_ = p.say(frame)
				}
				if p.n == 30 {
					p.listen()
				}
				time.Sleep(test.stays)
			}, func(t *testing.T, hub *liveHub) {
				conn := connected(t, hub, func(o *coder.HubConnectOptions) { o.MaxReconnectAttempts = 3 })
				var last error
				for m, err := range conn.Messages(t.Context()) {
					if last = err; err != nil {
						break
					}
					if again, ok := m.(*coder.ReconnectedMessage); ok && len(hub.seen()) == 30 {
						if test.says == nil {
							assert.Greater(t, again.Down, 10*time.Second, "the waits have grown")
						} else {
							assert.LessOrEqual(t, again.Down, time.Second, "the waits begin anew too")
						}
						break
					}
				}
				assert.Equal(t, test.ends, errors.Is(last, coder.ErrReconnectsExceeded), "%v", last)
				if test.ends {
					assert.Len(t, hub.seen(), 4)
				}
				require.NoError(t, conn.Close())
			})
		})
	}
}

// TestHubConn_Reconnect_DiscoversAgain: the address of a Hub that cannot be reached any more is forgotten.
func TestHubConn_Reconnect_DiscoversAgain(t *testing.T) {
	clearEnv(t)
	t.Setenv("AGENTUITY_CATALYST_URL", "http://catalyst.invalid")
	live(t, func(p *peer) {
		p.admit()
		if p.n > 1 {
			p.listen()
		}
	}, func(t *testing.T, hub *liveHub) {
		var discoveries atomic.Int32
		base := &http.Transport{DialContext: hub.dial}
		c, err := coder.NewClient(coder.WithAPIKey(testKey), coder.WithOrgID("org_2f9c1d"), coder.WithHTTPClient(&http.Client{
			Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				if !strings.HasPrefix(r.URL.Host, "catalyst") {
					return base.RoundTrip(r)
				}
				discoveries.Add(1)
				w := httptest.NewRecorder()
				w.Header().Set("Content-Type", "application/json")
				_, _ = w.WriteString(`{"url":"http://hub.invalid` + prefix + `"}`)
				return w.Result(), nil
			}),
		}))
		require.NoError(t, err)
		conn, err := c.Connect(t.Context(), "codesess_1", nil)
		require.NoError(t, err)
		hub.setRefuse(errors.New("nobody is there"))
		time.AfterFunc(10*time.Second, func() { hub.setRefuse(nil) })
		assert.IsType(t, &coder.ReconnectedMessage{}, next(t, conn))
		assert.Greater(t, discoveries.Load(), int32(1))
		require.NoError(t, conn.Close())
		base.CloseIdleConnections()
	})
}

// TestHubConn_Reconnect_WhileNobodyRanges: the reader does not read because too much waits, and would
// not notice by itself that the connection broke.
func TestHubConn_Reconnect_WhileNobodyRanges(t *testing.T) {
	live(t, func(p *peer) {
		p.admit()
		if p.n == 1 {
			go p.listen()
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			for i := range 1100 {
				if p.Write(ctx, websocket.MessageText, fmt.Appendf(nil, `{"type":"pong","timestamp":%d,"echoedTimestamp":1}`, i)) != nil {
					return
				}
			}
		}
		frame, _ := p.hear()
		assert.Equal(t, "x", frame["command"].(map[string]any)["message"])
		_ = p.say(`{"type":"pong","timestamp":2000,"echoedTimestamp":1}`)
		p.listen()
	}, func(t *testing.T, hub *liveHub) {
		conn := connected(t, hub)
		time.Sleep(50 * time.Second)
		assert.Len(t, hub.seen(), 1, "that nobody ranges is no reason")
		time.Sleep(time.Minute)
		assert.Equal(t, coder.StateConnected, conn.State())
		require.Len(t, hub.seen(), 2, "nobody has noticed")
		require.NoError(t, conn.Prompt(t.Context(), "x"))

		for i := range 1024 {
			require.EqualValues(t, i, next(t, conn).(*coder.PongMessage).Timestamp.UnixMilli(), "what was read is kept")
		}
		again, ok := next(t, conn).(*coder.ReconnectedMessage)
		require.True(t, ok)
		assert.Equal(t, coder.ConnLost, connError(t, again.Cause).Code)
		assert.Equal(t, 1, again.Attempt)
		assert.EqualValues(t, 2000, next(t, conn).(*coder.PongMessage).Timestamp.UnixMilli())
		assert.Len(t, hub.seen(), 2)
	})
}

// TestHubConn_Subscribe_Survives: the next connection is requested with the current filters.
func TestHubConn_Subscribe_Survives(t *testing.T) {
	live(t, func(p *peer) {
		p.admit()
		if p.n == 1 {
			frame, _ := p.hear()
			assert.Equal(t, map[string]any{"type": "subscribe", "patterns": []any{"task", "x*"}}, frame)
			return
		}
		p.listen()
	}, func(t *testing.T, hub *liveHub) {
		conn := connected(t, hub, func(o *coder.HubConnectOptions) { o.Role, o.Subscribe = coder.RoleObserver, []string{"*"} })
		require.NoError(t, conn.Send(t.Context(), &coder.ObserverSubscribeMessage{Patterns: []string{"task", "x*"}}))
		assert.IsType(t, &coder.ReconnectedMessage{}, next(t, conn))
		synctest.Wait()
		assert.Contains(t, hub.seen()[0].RequestURI, "subscribe=*&")
		assert.Contains(t, hub.seen()[1].RequestURI, "subscribe=task%2Cx*&")
	})
}

// TestHubConn_Subscribe_IsCopied: the caller's slices are the caller's.
func TestHubConn_Subscribe_IsCopied(t *testing.T) {
	live(t, func(p *peer) {
		p.admit()
		if p.n == 2 {
			_, _ = p.hear()
		}
		if p.n == 4 {
			p.listen()
		}
	}, func(t *testing.T, hub *liveHub) {
		filters := []string{"task"}
		conn := connected(t, hub, func(o *coder.HubConnectOptions) { o.Role, o.Subscribe = coder.RoleObserver, filters })
		filters[0] = "changed"
		assert.IsType(t, &coder.ReconnectedMessage{}, next(t, conn))
		patterns := []string{"agent"}
		require.NoError(t, conn.Send(t.Context(), &coder.ObserverSubscribeMessage{Patterns: patterns}))
		patterns[0] = "changed"
		assert.IsType(t, &coder.ReconnectedMessage{}, next(t, conn))
		assert.IsType(t, &coder.ReconnectedMessage{}, next(t, conn))
		for i, want := range []string{"task", "task", "agent", "agent"} {
			assert.Equal(t, want, hub.seen()[i].URL.Query().Get("subscribe"), i)
		}
	})
}

// TestHubConn_Subscribe_TheLastHolds: the last one sent, whichever Send returns first.
func TestHubConn_Subscribe_TheLastHolds(t *testing.T) {
	for range 50 {
		var last string
		live(t, func(p *peer) {
			if p.admit(); p.n > 1 {
				p.listen()
				return
			}
			for range 5 {
				frame, _ := p.hear()
				last = frame["patterns"].([]any)[0].(string)
			}
		}, func(t *testing.T, hub *liveHub) {
			conn := connected(t, hub, func(o *coder.HubConnectOptions) { o.Role = coder.RoleObserver })
			var group sync.WaitGroup
			for i := range 5 {
				group.Go(func() {
					assert.NoError(t, conn.Send(t.Context(), &coder.ObserverSubscribeMessage{Patterns: []string{fmt.Sprint("p", i)}}))
				})
			}
			group.Wait()
			assert.IsType(t, &coder.ReconnectedMessage{}, next(t, conn))
			assert.Equal(t, last, hub.seen()[1].URL.Query().Get("subscribe"))
		})
	}
}

// TestHubConn_Subscribe_SenderWhoGaveUp: its filters hold too, if the Hub got them.
func TestHubConn_Subscribe_SenderWhoGaveUp(t *testing.T) {
	live(t, func(p *peer) {
		if p.admit(); p.n > 1 {
			p.listen()
			return
		}
		time.Sleep(5 * time.Second)
		_, _ = p.hear()
	}, func(t *testing.T, hub *liveHub) {
		conn := connected(t, hub, func(o *coder.HubConnectOptions) { o.Role = coder.RoleObserver })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, conn.Send(ctx, &coder.ObserverSubscribeMessage{Patterns: []string{"task"}}), coder.ErrOutcomeUnknown)
		assert.IsType(t, &coder.ReconnectedMessage{}, next(t, conn))
		assert.Equal(t, "task", hub.seen()[1].URL.Query().Get("subscribe"))
	})
}

// TestHubConn_OnState: each loss and each return is told once, without a lock, and the end for good, but not Close.
func TestHubConn_OnState(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		id := newSession(t, hubClient(t, hub))
		session := hub.Session(id)
		session.SetStatus("active")
		var states []string
		var conn *coder.HubConn
		options := &coder.HubConnectOptions{Role: coder.RoleObserver, OnState: func(s coder.HubConnState, err error) {
			states = append(states, fmt.Sprintf("%s %t %s", s, err != nil, conn.State()))
		}}
		var err error
		conn, err = hubClient(t, hub).Connect(t.Context(), id, options)
		require.NoError(t, err)
		conn.DiscardMessages()
		session.RefuseStreams(codertest.Refusal{Count: 3})
		session.CutStreams()
		time.Sleep(time.Minute)
		session.CutStreams()
		time.Sleep(time.Minute)
		session.Archive()
		time.Sleep(time.Minute)
		require.NoError(t, conn.Close())
		assert.Equal(t, []string{
			"reconnecting true reconnecting", "connected false connected", "reconnecting true reconnecting", "connected false connected", "closed true closed",
		}, states)

		states = nil
		conn, err = hubClient(t, hub).Connect(t.Context(), newSession(t, hubClient(t, hub)), options)
		require.NoError(t, err)
		require.NoError(t, conn.Close())
		assert.Empty(t, states)
	})
}

// TestHubConn_OnStateBeforeTheEnd: a program that leaves when Messages, Listen or Ask ends has been told why before.
func TestHubConn_OnStateBeforeTheEnd(t *testing.T) {
	for name, waits := range map[string]func(context.Context, *coder.HubConn) error{
		"Messages": func(ctx context.Context, conn *coder.HubConn) (last error) {
			for _, err := range conn.Messages(ctx) {
				last = err
			}
			return last
		},
		"Listen": func(ctx context.Context, conn *coder.HubConn) error { return conn.Listen(ctx, nil) },
	} {
		bubble(t, func(t *testing.T, hub *codertest.Hub) {
			id := newSession(t, hubClient(t, hub))
			told := make(chan error, 1)
			conn, err := hubClient(t, hub).Connect(t.Context(), id, &coder.HubConnectOptions{OnState: func(s coder.HubConnState, err error) {
				if s == coder.StateClosed {
					time.Sleep(time.Second) // it takes its time
					told <- err
				}
			}})
			require.NoError(t, err)
			defer func() { _ = conn.Close() }()
			time.AfterFunc(time.Second, func() { hub.Session(id).EndStreams(coder.CloseForbidden, "go away") })
			require.ErrorIs(t, waits(t.Context(), conn), coder.ErrForbidden, name)
			require.Len(t, told, 1, name)
			require.ErrorIs(t, <-told, coder.ErrForbidden, name)
		})
	}
}
