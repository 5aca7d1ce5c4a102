package coder_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

// TestConnect_WithoutCredentials: no first message is sent.
func TestConnect_WithoutCredentials(t *testing.T) {
	clearEnv(t)
	live(t, func(p *peer) {
		_ = p.say(`{"type":"init","role":"controller","sessionId":"codesess_1"}`)
		frame, _ := p.hear()
		assert.Equal(t, map[string]any{"type": "bootstrap_ready"}, frame)
		p.listen()
	}, func(t *testing.T, hub *liveHub) {
		c, err := coder.NewClient(coder.WithURL("http://hub.invalid"+prefix),
			coder.WithHTTPClient(&http.Client{Transport: &http.Transport{DialContext: hub.dial}, Timeout: time.Nanosecond}))
		require.NoError(t, err)
		conn, err := c.Connect(t.Context(), "codesess_1", &coder.HubConnectOptions{Role: coder.RoleController})
		require.NoError(t, err, "the Timeout of the http.Client is for no stream")
		synctest.Wait() // until bootstrap_ready is out
		require.NoError(t, conn.Close())
		assert.Empty(t, hub.seen()[0].Header["Authorization"])
	})
}

// TestConnect_ContextBoundsTheHandshake: the connection lives on.
func TestConnect_ContextBoundsTheHandshake(t *testing.T) {
	live(t, func(p *peer) {
		p.admit()
		time.Sleep(time.Hour)
		_ = p.say(`{"type":"pong","timestamp":1}`)
		p.listen()
	}, func(t *testing.T, hub *liveHub) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		conn, err := hub.client().Connect(ctx, "codesess_1", &coder.HubConnectOptions{HeartbeatTimeout: 3 * time.Hour, HeartbeatInterval: 2 * time.Hour})
		require.NoError(t, err)
		cancel()
		assert.IsType(t, &coder.PongMessage{}, next(t, conn))
		require.NoError(t, conn.Close())
	})
}

// TestConnect_ContextEnds: Connect returns, in every phase, and says what came before.
func TestConnect_ContextEnds(t *testing.T) {
	for _, test := range []struct {
		name    string
		refuse  error
		play    func(*peer)
		unknown bool
	}{
		{"between attempts", syscall.ECONNREFUSED, nil, false},
		{"before init", nil, func(p *peer) { p.listen() }, true},
		{"before the upgrade", nil, nil, true},
	} {
		for _, id := range []string{"codesess_1", ""} {
			t.Run(test.name+" "+id, func(t *testing.T) {
				live(t, test.play, func(t *testing.T, hub *liveHub) {
					hub.setRefuse(test.refuse)
					var opts []coder.Option
					if test.play == nil {
						hub.rest = func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
						opts = append(opts, coder.WithURL("http://hub.invalid/nowhere"))
					}
					why := errors.New("the user has left")
					ctx, cancel := context.WithTimeoutCause(t.Context(), 20*time.Second, why)
					defer cancel()
					began := time.Now()
					_, err := connect(ctx, hub.client(opts...), id, &coder.HubConnectOptions{Role: coder.RoleLead})
					_ = connError(t, err)
					require.ErrorIs(t, err, context.DeadlineExceeded)
					require.ErrorIs(t, err, why)
					if test.refuse != nil {
						require.ErrorIs(t, err, test.refuse, "what came before")
					}
					assert.Equal(t, 20*time.Second, time.Since(began))
					assert.Equal(t, id == "" && test.unknown, errors.Is(err, coder.ErrOutcomeUnknown))

					requests := len(hub.seen())
					_, err = hub.client().ConnectNew(ctx, nil)
					require.ErrorIs(t, err, context.DeadlineExceeded)
					require.NotErrorIs(t, err, coder.ErrOutcomeUnknown)
					assert.Len(t, hub.seen(), requests)
				})
			})
		}
	}
}

func TestConnect_HandshakeTimeout(t *testing.T) {
	for name, id := range map[string]string{"join": "codesess_1", "create": ""} {
		t.Run(name, func(t *testing.T) {
			live(t, func(p *peer) {
				_ = p.say(`{"type":"presence"`)
				_ = p.say(`[1]`)
				_ = p.say(`{"type":"pong","timestamp":1}`)
				p.listen()
			}, func(t *testing.T, hub *liveHub) {
				began := time.Now()
				_, err := connect(t.Context(), hub.client(), id, &coder.HubConnectOptions{Role: coder.RoleController})
				e := connError(t, err)
				assert.Equal(t, coder.ConnFailed, e.Code)
				assert.Equal(t, map[bool]string{true: "ConnectNew", false: "Connect"}[id == ""], e.Operation)
				assert.Contains(t, err.Error(), "in time")
				assert.Equal(t, 30*time.Second, time.Since(began))
				assert.Len(t, hub.seen(), 1)
				assert.Equal(t, id == "", errors.Is(err, coder.ErrOutcomeUnknown))
			})
		})
	}
}

// logHook calls a function for each record.
type logHook struct {
	slog.Handler
	record func(slog.Record)
}

func (h logHook) Handle(_ context.Context, r slog.Record) error {
	h.record(r)
	return nil
}

func hookedLogger(record func(slog.Record)) coder.Option {
	all := slog.NewTextHandler(nil, &slog.HandlerOptions{Level: slog.LevelDebug})
	return coder.WithLogger(slog.New(logHook{all, record}))
}

// TestConnectNew_ContextEndsAsTheSessionIsCreated: the Hub has said init, Connect has not seen it yet. The
// session exists, and the caller must learn of it.
func TestConnectNew_ContextEndsAsTheSessionIsCreated(t *testing.T) {
	live(t, func(p *peer) {
		p.admit()
		p.listen()
	}, func(t *testing.T, hub *liveHub) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		logger := hookedLogger(func(slog.Record) { // between the handshake and the end of Connect
			cancel()
			time.Sleep(time.Millisecond)
		})
		_, err := hub.client(logger).ConnectNew(ctx, &coder.HubConnectOptions{Role: coder.RoleLead})
		e := connError(t, err)
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, err, coder.ErrOutcomeUnknown)
		assert.Equal(t, "codesess_1", e.SessionID)
		assert.Equal(t, "ConnectNew", e.Operation)
	})
}

// TestConnectNew_InitInTheLastMoment: init comes at the very time at which the handshake times out, or
// the context ends. Which of them comes first is open; that a session may have been created is not.
func TestConnectNew_InitInTheLastMoment(t *testing.T) {
	for name, o := range map[string]coder.HubConnectOptions{
		"context":          {Role: coder.RoleLead, HandshakeTimeout: time.Hour},
		"HandshakeTimeout": {Role: coder.RoleLead, HandshakeTimeout: time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			for range 100 {
				live(t, func(p *peer) {
					_, _ = p.hear()
					time.Sleep(time.Minute)
					_ = p.say(`{"type":"init","role":"lead","sessionId":"codesess_1"}`)
					p.listen()
				}, func(t *testing.T, hub *liveHub) {
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					if name == "context" {
						time.AfterFunc(time.Minute, cancel)
					}
					conn, err := hub.client().ConnectNew(ctx, &o)
					assert.Len(t, hub.seen(), 1)
					if err == nil {
						require.NoError(t, conn.Close())
						return
					}
					assert.Equal(t, "ConnectNew", connError(t, err).Operation)
					require.ErrorIs(t, err, coder.ErrOutcomeUnknown)
				})
			}
		})
	}
}

// TestConnect_AdmittedIsAdmitted: a context that ends at the same time does not end the connection.
func TestConnect_AdmittedIsAdmitted(t *testing.T) {
	for range 20 {
		live(t, func(p *peer) {
			p.admit()
			p.listen()
		}, func(t *testing.T, hub *liveHub) {
			inner, cancel := context.WithCancel(t.Context())
			ctx := &asked{Context: inner, before: func(int) {
				time.Sleep(time.Second) // until the Hub has admitted it
				cancel()
			}}
			conn, err := hub.client().Connect(ctx, "codesess_1", nil)
			require.NoError(t, err)
			assert.Equal(t, coder.StateConnected, conn.State())
			require.NoError(t, conn.Close())
		})
	}
}

// TestConnect_InitForAnotherSession: the connection ends, and nothing is sent over it.
func TestConnect_InitForAnotherSession(t *testing.T) {
	for name, first := range map[string]int{"at first": 1, "after a loss": 2} {
		t.Run(name, func(t *testing.T) {
			var heard []map[string]any
			live(t, func(p *peer) {
				if p.n < first {
					p.admit()
					return
				}
				_, _ = p.hear() // the credentials
				_ = p.say(`{"type":"init","role":"controller","sessionId":"codesess_2"}`)
				p.listenTo(func(frame map[string]any) { heard = append(heard, frame) })
			}, func(t *testing.T, hub *liveHub) {
				conn, err := hub.client().Connect(t.Context(), "codesess_1", &coder.HubConnectOptions{Role: coder.RoleController})
				if err == nil {
					for _, err = range conn.Messages(t.Context()) {
						_ = err
					}
					require.NoError(t, conn.Close())
				}
				assert.Contains(t, connError(t, err).Error(), `"codesess_2"`)
				assert.Contains(t, err.Error(), `"codesess_1"`)
				synctest.Wait()
				assert.Empty(t, heard)
				assert.Len(t, hub.seen(), first)
			})
		})
	}
}

// TestConnect_ObserverNeedsNoInit: any message that is known admits an observer.
func TestConnect_ObserverNeedsNoInit(t *testing.T) {
	live(t, func(p *peer) {
		_ = p.say(`{"type":"nothing we know"}`)
		_ = p.say(`{"type":"presence","event":"session_join","sessionId":"codesess_7","timestamp":1}`)
		p.listen()
	}, func(t *testing.T, hub *liveHub) {
		conn := connectedTo(t, hub, "", func(o *coder.HubConnectOptions) { o.Role = coder.RoleObserver })
		assert.Nil(t, conn.Init())
		assert.Equal(t, "codesess_7", conn.SessionID())
		m, ok := next(t, conn).(*coder.PresenceEventMessage)
		require.True(t, ok)
		assert.Equal(t, "session_join", m.Event)
	})
}

// TestConnect_BootstrapReady: sent by who asked to be a controller, whatever role the Hub grants.
func TestConnect_BootstrapReady(t *testing.T) {
	for role, granted := range map[coder.HubRole]string{coder.RoleObserver: "controller", coder.RoleController: "observer", coder.RoleLead: "controller"} {
		var heard []any
		live(t, func(p *peer) {
			_, _ = p.hear()
			_ = p.say(`{"type":"init","sessionId":"codesess_1","role":"` + granted + `"}`)
			for {
				frame, err := p.hear()
				if err != nil {
					return
				}
				heard = append(heard, frame["type"])
			}
		}, func(t *testing.T, hub *liveHub) {
			conn := connected(t, hub, func(o *coder.HubConnectOptions) { o.Role = role })
			assert.EqualValues(t, granted, conn.Init().Role)
			synctest.Wait()
			require.NoError(t, conn.Close())
			synctest.Wait()
			if role == coder.RoleController {
				assert.Equal(t, []any{"bootstrap_ready"}, heard)
			} else {
				assert.Empty(t, heard, role)
			}
		})
	}
}

// TestConnect_CloseBeforeInit: what a closed or failed connection means before the Hub has said init.
func TestConnect_CloseBeforeInit(t *testing.T) {
	for _, test := range []struct {
		code    websocket.StatusCode // 0: cut
		again   bool
		unknown bool // the outcome of a create
		is      error
	}{
		{0, true, true, nil},
		{1000, true, true, nil},
		{1001, true, true, nil},
		{1011, true, true, nil},
		{1013, true, true, nil},
		{3000, true, true, nil},
		{4408, true, true, coder.ErrUnavailable},
		{4429, true, false, coder.ErrRateLimited},
		{4400, false, false, coder.ErrInvalidRequest},
		{4401, false, false, coder.ErrUnauthorized},
		{4403, false, false, coder.ErrForbidden},
		{4404, false, false, coder.ErrSessionNotFound},
		{4409, false, false, coder.ErrConflict},
		{4410, false, false, coder.ErrConflict},
		{4500, false, true, nil},
		{4999, false, true, nil},
	} {
		t.Run(coder.CloseCode(test.code).String(), func(t *testing.T) {
			play := func(p *peer) {
				if p.n > 3 && p.admit() {
					p.listen()
					return
				}
				_, _ = p.hear()
				if test.code != 0 {
					_ = p.Close(test.code, "because")
				}
			}
			live(t, play, func(t *testing.T, hub *liveHub) {
				began := time.Now()
				conn, err := hub.client().Connect(t.Context(), "codesess_1", nil)
				if test.again {
					require.NoError(t, err)
					assert.Len(t, hub.seen(), 4)
					took := time.Since(began)
					assert.GreaterOrEqual(t, took, 3500*time.Millisecond)
					assert.LessOrEqual(t, took, 7*time.Second)
					require.NoError(t, conn.Close())
					return
				}
				e := connError(t, err)
				assert.Equal(t, coder.ConnLost, e.Code)
				assert.Equal(t, coder.CloseCode(test.code), e.CloseCode)
				assert.Equal(t, "because", e.CloseReason)
				assert.Contains(t, err.Error(), "because")
				if test.is != nil {
					require.ErrorIs(t, err, test.is)
				}
				require.NotErrorIs(t, err, coder.ErrOutcomeUnknown)
				assert.Len(t, hub.seen(), 1)
			})
			live(t, play, func(t *testing.T, hub *liveHub) {
				_, err := hub.client().ConnectNew(t.Context(), &coder.HubConnectOptions{Role: coder.RoleLead, Task: "x"})
				e := connError(t, err)
				assert.Equal(t, test.unknown, errors.Is(err, coder.ErrOutcomeUnknown))
				assert.Empty(t, e.SessionID)
				assert.Len(t, hub.seen(), 1, "a create is not repeated")
			})
		})
	}
}

// TestConnect_Rejections: those of ws-rejections.json.
func TestConnect_Rejections(t *testing.T) {
	var rejections []struct {
		Frame  jsonText
		Expect struct{ ServerCode string }
	}
	decodeSample(t, "stream/ws-rejections.json", &rejections)
	for _, r := range rejections {
		for _, id := range []string{"codesess_1", ""} {
			live(t, func(p *peer) {
				_, _ = p.hear()
				_ = p.say(string(r.Frame))
				p.listen()
				assert.Equal(t, websocket.CloseError{Code: 4401, Reason: "Auth failed"}, p.closed)
			}, func(t *testing.T, hub *liveHub) {
				_, err := connect(t.Context(), hub.client(), id, &coder.HubConnectOptions{Role: coder.RoleLead})
				e := connError(t, err)
				assert.Equal(t, coder.ConnRefused, e.Code)
				assert.Equal(t, r.Expect.ServerCode, e.ServerCode)
				assert.NotEmpty(t, e.ServerMessage)
				assert.Contains(t, err.Error(), e.ServerMessage)
				assert.Equal(t, r.Expect.ServerCode == "", errors.Is(err, coder.ErrUnauthorized))
				require.NotErrorIs(t, err, coder.ErrOutcomeUnknown, "a refusal creates nothing")
				assert.Len(t, hub.seen(), 1)
			})
		}
	}
}

// TestConnect_RefusedAndClosed: the Hub sends a refusal and then a close code, which is kept.
func TestConnect_RefusedAndClosed(t *testing.T) {
	for code, is := range map[websocket.StatusCode]error{
		4403: coder.ErrForbidden, 4404: coder.ErrSessionNotFound, 4409: coder.ErrConflict, 4401: nil, 0: nil,
	} {
		t.Run(coder.CloseCode(code).String(), func(t *testing.T) {
			live(t, func(p *peer) {
				_, _ = p.hear()
				_ = p.say(`{"type":"connection_rejected","code":"no","message":"Not you"}`)
				if code == 0 || code == 4401 { // a Hub that only answers our own close frame
					p.listen()
					return
				}
				_ = p.Close(code, "because of "+testKey)
			}, func(t *testing.T, hub *liveHub) {
				_, err := hub.client().Connect(t.Context(), "codesess_1", &coder.HubConnectOptions{Role: coder.RoleController})
				e := connError(t, err)
				assert.Equal(t, coder.ConnRefused, e.Code)
				assert.Equal(t, "no", e.ServerCode)
				assert.Equal(t, "Not you", e.ServerMessage)
				assert.Len(t, hub.seen(), 1)
				if is == nil {
					assert.Zero(t, e.CloseCode, "that is our own")
					require.NotErrorIs(t, err, coder.ErrUnauthorized)
					return
				}
				assert.EqualValues(t, code, e.CloseCode)
				assert.Equal(t, "because of [API key]", e.CloseReason)
				require.ErrorIs(t, err, is)
			})
		})
	}
}

// TestConnect_RefusalInTheLastMoment: it counts, although time is up before the connection is closed.
func TestConnect_RefusalInTheLastMoment(t *testing.T) {
	play := func(p *peer) {
		_, _ = p.hear()
		time.Sleep(29*time.Second + 500*time.Millisecond)
		_ = p.say(`{"type":"connection_rejected","code":"session_expired","message":"Expired"}`)
		time.Sleep(time.Minute) // nor does the Hub answer the close frame
	}
	for _, id := range []string{"codesess_1", ""} {
		live(t, play, func(t *testing.T, hub *liveHub) {
			_, err := connect(t.Context(), hub.client(), id, &coder.HubConnectOptions{Role: coder.RoleController})
			e := connError(t, err)
			assert.Equal(t, coder.ConnRefused, e.Code)
			assert.Equal(t, "session_expired", e.ServerCode)
			assert.NotContains(t, err.Error(), "in time")
			require.NotErrorIs(t, err, coder.ErrOutcomeUnknown)
			assert.Len(t, hub.seen(), 1)
		})
		live(t, play, func(t *testing.T, hub *liveHub) {
			ctx, cancel := context.WithTimeout(t.Context(), 29*time.Second+900*time.Millisecond)
			defer cancel()
			_, err := connect(ctx, hub.client(), id, &coder.HubConnectOptions{Role: coder.RoleController})
			_ = connError(t, err)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			assert.Contains(t, err.Error(), "session_expired: Expired")
			require.NotErrorIs(t, err, coder.ErrOutcomeUnknown)
		})
	}
}

// TestConnect_RefusalWithoutText: the error says what there is.
func TestConnect_RefusalWithoutText(t *testing.T) {
	for frame, text := range map[string]string{
		`{"type":"connection_rejected"}`:             "coder: Connect: the Hub refused the connection",
		`{"type":"protocol_error","code":"x"}`:       "coder: Connect: the Hub refused the connection: x",
		`{"type":"protocol_error","message":"y"}`:    "coder: Connect: the Hub refused the connection: y",
		`{"error":"z","type":"connection_rejected"}`: "coder: Connect: the Hub refused the connection: z",
		`{"error":{"a":1}}`:                          `coder: Connect: the Hub refused the connection: {"a":1}`,
	} {
		live(t, func(p *peer) {
			_ = p.say(frame)
			p.listen()
		}, func(t *testing.T, hub *liveHub) {
			_, err := hub.client().Connect(t.Context(), "codesess_1", nil)
			require.EqualError(t, err, text)
		})
	}
}

// TestConnect_ErrorThatIsNone: an empty member error refuses nothing.
func TestConnect_ErrorThatIsNone(t *testing.T) {
	for _, frame := range []string{`{"error":null}`, `{"error":false}`, `{"error":0}`, `{"error":""}`, `{"error": ""}`, `{}`, `[]`} {
		live(t, func(p *peer) {
			_ = p.say(frame)
			p.admit()
			p.listen()
		}, func(t *testing.T, hub *liveHub) {
			require.NoError(t, connected(t, hub).Close(), frame)
		})
	}
}

// TestConnect_HubRepeatsTheKey: errors do not.
func TestConnect_HubRepeatsTheKey(t *testing.T) {
	live(t, func(p *peer) {
		if p.n == 1 {
			_ = p.say(`{"error":"No such key: ` + testKey + `"}`)
		} else {
			_ = p.Close(4401, "No such key: "+testKey)
		}
		p.listen()
	}, func(t *testing.T, hub *liveHub) {
		for range 2 {
			_, err := hub.client().Connect(t.Context(), "codesess_1", nil)
			e := connError(t, err)
			assert.NotContains(t, e.ServerMessage+e.CloseReason, testKey)
			require.ErrorIs(t, err, coder.ErrUnauthorized)
		}
	})
}

// TestConnect_FailureBefore: it is told when the context ends in a later attempt.
func TestConnect_FailureBefore(t *testing.T) {
	live(t, func(p *peer) {
		if _, _ = p.hear(); p.n == 1 {
			_ = p.Close(1011, "Out of memory")
			return
		}
		p.listen()
	}, func(t *testing.T, hub *liveHub) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		_, err := hub.client().Connect(ctx, "codesess_1", nil)
		_ = connError(t, err)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Contains(t, err.Error(), "Out of memory")
		require.NotErrorIs(t, err, coder.ErrOutcomeUnknown)
		assert.Len(t, hub.seen(), 2)
	})
	live(t, func(p *peer) { p.listen() }, func(t *testing.T, hub *liveHub) {
		hub.setRefuse(syscall.ECONNREFUSED)
		time.AfterFunc(500*time.Millisecond, func() { hub.setRefuse(nil) })
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		_, err := hub.client().ConnectNew(ctx, &coder.HubConnectOptions{Role: coder.RoleLead})
		_ = connError(t, err)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
		require.ErrorIs(t, err, coder.ErrOutcomeUnknown, "the second attempt has reached the Hub")
		assert.Len(t, hub.seen(), 1)
	})
}

// TestHubConn_GreetsAHubThatRefuses: one that refuses before it listens is told who was there, as by the original.
func TestHubConn_GreetsAHubThatRefuses(t *testing.T) {
	heard := make(chan map[string]any, 1)
	live(t, func(p *peer) {
		_ = p.say(`{"type":"connection_rejected","code":"session_expired","message":"over"}`)
		frame, _ := p.hear()
		heard <- frame
	}, func(t *testing.T, hub *liveHub) {
		heard = make(chan map[string]any, 1) // of the bubble
		_, err := hub.client().Connect(t.Context(), "codesess_1", nil)
		require.Error(t, err)
		assert.Equal(t, testKey, (<-heard)["authorization"])
	})
}
