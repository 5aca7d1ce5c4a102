package coder_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

// TestReconnect: delays, the id that was learned, what the caller sees.
func TestReconnect(t *testing.T) {
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

func TestReconnectsExceeded(t *testing.T) {
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

// TestTerminalClose ends the connection, after what came before.
func TestTerminalClose(t *testing.T) {
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

// TestACreatedSessionWithoutAnID is not created again.
func TestACreatedSessionWithoutAnID(t *testing.T) {
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

func TestHeartbeat(t *testing.T) {
	var pings []time.Duration
	live(t, func(p *peer) {
		p.admit()
		began := time.Now()
		if p.n == 2 {
			_ = p.say(`{"type":"pong","timestamp":2}`)
			p.listen()
			return
		}
		time.AfterFunc(25*time.Second, func() { _ = p.Ping(context.Background()) }) // any sign of life counts
		for {
			_, data, err := p.Read(context.Background())
			if err != nil {
				assert.Equal(t, "Heartbeat timeout", closeReason(err))
				assert.Equal(t, websocket.StatusNormalClosure, websocket.CloseStatus(err))
				assert.Equal(t, 55*time.Second, time.Since(began))
				return
			}
			assert.JSONEq(t, fmt.Sprintf(`{"type":"ping","timestamp":%d}`, time.Now().UnixMilli()), string(data))
			pings = append(pings, time.Since(began))
		}
	}, func(t *testing.T, hub *liveHub) {
		conn := connected(t, hub)
		again := next(t, conn).(*coder.ReconnectedMessage)
		assert.Contains(t, again.Cause.Error(), "nothing for too long")
		assert.Equal(t, []time.Duration{10 * time.Second, 20 * time.Second, 30 * time.Second, 40 * time.Second, 50 * time.Second}, pings)
		assert.EqualValues(t, 2, next(t, conn).(*coder.PongMessage).Timestamp.UnixMilli())
	})
}

func closeReason(err error) string {
	var closed websocket.CloseError
	_ = errors.As(err, &closed)
	return closed.Reason
}

// TestAHubThatDoesNotRead is noticed too, although the writer hangs. What of a message has not left
// goes over the next connection; what has left in part does not.
func TestAHubThatDoesNotRead(t *testing.T) {
	for _, some := range []bool{false, true} {
		live(t, func(p *peer) {
			p.admit()
			if p.n == 2 {
				frame, _ := p.hear()
				assert.Equal(t, some, frame["command"].(map[string]any)["message"] == "y", "%v", some)
				p.listen()
				return
			}
			if some {
				_, r, _ := p.Reader(context.Background())
				_, _ = r.Read(make([]byte, 10))
			}
			time.Sleep(5 * time.Minute)
		}, func(t *testing.T, hub *liveHub) {
			conn := connected(t, hub)
			began := time.Now()
			err := conn.Prompt(t.Context(), strings.Repeat("x", 100_000))
			if some {
				assert.Equal(t, 31*time.Second, time.Since(began), "30 s and what a close frame is given")
				assert.Equal(t, coder.ConnLost, connError(t, err).Code)
				require.ErrorIs(t, err, coder.ErrOutcomeUnknown, "some of it is on the wire")
				require.NoError(t, conn.Prompt(t.Context(), "y"))
			} else {
				require.NoError(t, err)
			}
			assert.IsType(t, &coder.ReconnectedMessage{}, next(t, conn))
		})
	}
}

// TestASlowLargeFrameIsLife: it takes longer than the heartbeat's timeout.
func TestASlowLargeFrameIsLife(t *testing.T) {
	live(t, func(p *peer) {
		p.admit()
		closed := p.listening()
		w, _ := p.Writer(context.Background(), websocket.MessageText)
		_, _ = w.Write([]byte(`{"type":"x","data":"`))
		for range 100 {
			time.Sleep(time.Second)
			_, _ = w.Write([]byte(strings.Repeat("x", 10000)))
		}
		_, _ = w.Write([]byte(`"}`))
		_ = w.Close()
		_ = p.say(`{"type":"pong","timestamp":1,"echoedTimestamp":1}`)
		<-closed
	}, func(t *testing.T, hub *liveHub) {
		conn := connected(t, hub)
		assert.Len(t, next(t, conn).(*coder.UnknownMessage).Raw, 1000022)
		assert.IsType(t, &coder.PongMessage{}, next(t, conn))
		assert.Len(t, hub.seen(), 1)
	})
}

// TestClose from several goroutines while everything is in use, in every phase.
func TestClose(t *testing.T) {
	for phase, play := range map[string]func(*peer){
		"connected": func(p *peer) { p.admit(); p.listen() },
		"reconnecting": func(p *peer) {
			if p.n == 1 {
				p.admit()
			}
		},
		"authenticating": func(p *peer) {
			if p.n == 1 {
				p.admit()
				return
			}
			p.listen()
		},
		"stalled": func(p *peer) { p.admit(); time.Sleep(20 * time.Second) },
		"flooded": func(p *peer) {
			p.admit()
			for p.say(`{"type":"pong","timestamp":1}`) == nil {
				time.Sleep(time.Millisecond)
			}
		},
	} {
		t.Run(phase, func(t *testing.T) {
			live(t, play, func(t *testing.T, hub *liveHub) {
				conn := connected(t, hub)
				var group sync.WaitGroup
				group.Go(func() {
					for m, err := range conn.Messages(context.Background()) {
						assert.NoError(t, err)
						assert.NotNil(t, m)
					}
				})
				group.Go(func() {
					for {
						if err := conn.Send(context.Background(), &coder.PingMessage{}); err != nil {
							if errorsIs(err, coder.ErrConnClosed) {
								return
							}
							var lost *coder.HubConnError
							assert.True(t, errors.As(err, &lost) && lost.Code == coder.ConnLost, "%v", err)
						}
						time.Sleep(time.Second)
					}
				})
				group.Go(func() {
					for {
						_, err := conn.SendAndWait(context.Background(), &coder.EventRequest{})
						if assert.Error(t, err); errorsIs(err, coder.ErrConnClosed) {
							return
						}
					}
				})
				time.Sleep(2500 * time.Millisecond)
				began := time.Now()
				for range 3 {
					group.Go(func() { assert.NoError(t, conn.Close()) })
				}
				group.Wait()
				if phase == "stalled" {
					assert.LessOrEqual(t, time.Since(began), 2*time.Second)
				} else {
					assert.LessOrEqual(t, time.Since(began), time.Second)
				}
				assert.Equal(t, coder.StateClosed, conn.State())
				_, err := conn.SendAndWait(t.Context(), &coder.ToolRequest{})
				require.ErrorIs(t, err, coder.ErrConnClosed)
				require.NotErrorIs(t, err, coder.ErrOutcomeUnknown)
				_, err = conn.GetState(t.Context())
				require.ErrorIs(t, err, coder.ErrConnClosed)
				require.ErrorIs(t, conn.Prompt(t.Context(), "x"), coder.ErrConnClosed)
				after, err := messages(t, conn)
				require.NoError(t, err)
				assert.Empty(t, after, "nothing comes after Close")
			})
		})
	}
}

// TestCloseSaysGoodbye.
func TestCloseSaysGoodbye(t *testing.T) {
	live(t, func(p *peer) {
		p.admit()
		p.listen()
		assert.Equal(t, websocket.CloseError{Code: 1000, Reason: "Client closed"}, p.closed)
	}, func(t *testing.T, hub *liveHub) {
		conn := connected(t, hub)
		synctest.Wait()
		began := time.Now()
		require.NoError(t, conn.Close())
		assert.Zero(t, time.Since(began))
	})
}

func TestAttach(t *testing.T) {
	state := func(history, runtime, wake bool) string {
		b, err := json.Marshal(map[string]any{
			"sessionId": "codesess_1", "historyOnly": history, "runtimeAvailable": runtime, "wakeAvailable": wake,
		})
		require.NoError(t, err)
		return string(b)
	}
	for _, test := range []struct {
		name   string
		states []string
		ok     bool
	}{
		{"running", []string{state(false, true, false)}, true},
		{"wakes", []string{state(false, false, true), state(false, false, false), state(false, true, false)}, true},
		{"does not wake", []string{state(false, false, true), state(false, false, true)}, false},
		{"cannot wake", []string{state(false, false, false)}, false},
		{"is over", []string{state(true, true, false)}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			live(t, func(p *peer) {
				p.admit()
				p.listen()
			}, func(t *testing.T, hub *liveHub) {
				looks := 0
				hub.rest = func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Content-Type", "application/json")
					if r.Method == http.MethodPost {
						_, _ = w.Write([]byte(`{"sessionId":"codesess_1","resumed":true}`))
						return
					}
					_, _ = w.Write([]byte(test.states[min(looks, len(test.states)-1)]))
					looks++
				}
				c := hub.client()
				conn, err := c.Attach(t.Context(), "codesess_1", nil)
				if !test.ok {
					e := connError(t, err)
					require.ErrorIs(t, err, coder.ErrNotAttachable)
					assert.Equal(t, "Attach", e.Operation)
					assert.Empty(t, hub.seen(), "nothing is dialled")
					return
				}
				require.NoError(t, err)
				assert.Contains(t, hub.seen()[0].RequestURI, "?sessionId=codesess_1&role=controller&")
				require.NoError(t, conn.Close())
				_, err = c.Attach(t.Context(), "..", nil)
				var bad *coder.ValidationError
				require.ErrorAs(t, err, &bad)
				assert.Equal(t, "Attach", bad.Operation)
			})
		})
	}
}

// TestHubConn_Printing is safe while the connection works, and shows no secret.
func TestHubConn_Printing(t *testing.T) {
	live(t, func(p *peer) { p.admit(); p.listen() }, func(t *testing.T, hub *liveHub) {
		conn := connected(t, hub)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 100 {
				_ = conn.Abort(t.Context())
			}
		}()
		var logged strings.Builder
		logger := slog.New(slog.NewTextHandler(&logged, nil))
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x"} {
			text := fmt.Sprintf(verb, conn)
			assert.Equal(t, "coder.HubConn(codesess_1, connected)", text, verb)
		}
		logger.Info("here", "conn", conn)
		assert.NotContains(t, logged.String(), testKey)
		assert.Contains(t, logged.String(), "coder.HubConn(codesess_1, connected)")
		<-done
		require.NoError(t, conn.Close())
		assert.Equal(t, "coder.HubConn(nil)", fmt.Sprint((*coder.HubConn)(nil)))
	})
}
