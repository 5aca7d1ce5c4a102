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

// asked is a context that says when its Done channel is asked for, which the code under test does
// right before it waits for it.
type asked struct {
	context.Context
	before func(times int)
	times  int
}

func (a *asked) Done() <-chan struct{} {
	a.times++
	a.before(a.times)
	return a.Context.Done()
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

// TestTheContextEndsAsTheSessionIsCreated: the Hub has said init, Connect has not seen it yet. The
// session exists, and the caller must learn of it.
func TestTheContextEndsAsTheSessionIsCreated(t *testing.T) {
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

// TestInitInTheLastMoment: at the very time at which the handshake times out, or the context ends.
// Which of them comes first is open; that a session may have been created is not.
func TestInitInTheLastMoment(t *testing.T) {
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

// TestAdmittedIsAdmitted: the context that ends at the same time does not end the connection.
func TestAdmittedIsAdmitted(t *testing.T) {
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

// TestRefusedAndClosed: the Hub refuses in words and then with a code, which is kept.
func TestRefusedAndClosed(t *testing.T) {
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

// TestARefusalInTheLastMoment is one, although time is up before the connection is closed.
func TestARefusalInTheLastMoment(t *testing.T) {
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

// TestARefusalWithoutWords.
func TestARefusalWithoutWords(t *testing.T) {
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

// TestAnErrorThatIsNone does not refuse.
func TestAnErrorThatIsNone(t *testing.T) {
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

// TestWhoSaysThatItIsReady: who asked to be a controller, whatever the Hub made of it.
func TestWhoSaysThatItIsReady(t *testing.T) {
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

// TestTheFailureBefore is told when the context ends in a later attempt.
func TestTheFailureBefore(t *testing.T) {
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

// TestAnUpgradeThatRepeatsTheKey in a header that the library quotes.
func TestAnUpgradeThatRepeatsTheKey(t *testing.T) {
	for _, header := range []string{"Connection", "Upgrade", "Sec-Websocket-Accept", "Sec-Websocket-Protocol", "Sec-Websocket-Extensions"} {
		upgrade := roundTrip(func(r *http.Request) (*http.Response, error) {
			h := http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}}
			h.Set(header, r.Header.Get("Authorization"))
			return &http.Response{StatusCode: http.StatusSwitchingProtocols, Body: http.NoBody, Header: h, Request: r}, nil
		})
		c := newClient(t, coder.WithURL("http://hub.invalid"), coder.WithAPIKey(testKey), coder.WithHTTPClient(&http.Client{Transport: upgrade}))
		for _, id := range []string{"codesess_1", ""} {
			_, err := connect(t.Context(), c, id, nil)
			e := connError(t, err)
			assert.Equal(t, coder.ConnFailed, e.Code)
			for cause := error(e); cause != nil; cause = errors.Unwrap(cause) {
				assert.NotContains(t, cause.Error(), testKey)
			}
		}
	}
}
