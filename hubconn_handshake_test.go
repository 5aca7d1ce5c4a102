package coder_test

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

func TestConnectRequest(t *testing.T) {
	live(t, func(p *peer) {
		p.admit()
		p.listen()
	}, func(t *testing.T, hub *liveHub) {
		conn, err := hub.client().Connect(t.Context(), "codesess_1", &coder.HubConnectOptions{
			Agent: "a b", ParentSessionID: "p", Task: "Try ä", Label: "l&m", Subscribe: []string{"task_*", "agent"},
			DriverMode: "rpc", DriverInstanceID: "d", DriverVersion: "1",
		})
		require.NoError(t, err)
		assert.Equal(t, coder.StateConnected, conn.State())
		assert.Equal(t, "codesess_1", conn.SessionID())
		assert.Equal(t, coder.RoleObserver, conn.Init().Role)
		require.NoError(t, conn.Close())
		require.NoError(t, conn.Close())
		assert.Equal(t, coder.StateClosed, conn.State())

		request := hub.seen()[0]
		assert.Equal(t, prefix+"/api/ws?sessionId=codesess_1&role=observer&agent=a+b&parent=p&task=Try+%C3%A4&label=l%26m"+
			"&subscribe=task_*%2Cagent&orgId=org_2f9c1d&origin=sdk&driverMode=rpc&driverInstanceId=d&driverVersion=1", request.RequestURI)
		assert.Equal(t, "Bearer "+testKey, request.Header.Get("Authorization"))
		assert.Equal(t, "org_2f9c1d", request.Header.Get("X-Agentuity-Orgid"))
		assert.Regexp(t, `^agentuity-coder-go/`, request.Header.Get("User-Agent"))
		assert.NotContains(t, request.RequestURI, testKey)
	})
}

// TestConnectWithoutCredentials sends no first message.
func TestConnectWithoutCredentials(t *testing.T) {
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

// TestTheCallersContextEndsWithTheHandshake: the connection lives on.
func TestTheCallersContextEndsWithTheHandshake(t *testing.T) {
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

func TestHandshakeTimeout(t *testing.T) {
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

// TestRejections plays ws-rejections.json.
func TestRejections(t *testing.T) {
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

// TestTheHubRepeatsTheKey: errors do not.
func TestTheHubRepeatsTheKey(t *testing.T) {
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

// TestCloseBeforeInit is what a closed or failed connection means before the Hub has said init.
func TestCloseBeforeInit(t *testing.T) {
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

// TestRefusedUpgrade: the Hub, or what stands before it, answers with a status.
func TestRefusedUpgrade(t *testing.T) {
	for _, test := range []struct {
		status      int
		header      http.Header
		join, fresh int // attempts
		unknown     bool
		is          error
	}{
		{401, nil, 1, 1, false, coder.ErrUnauthorized},
		{403, nil, 1, 1, false, coder.ErrForbidden},
		{404, nil, 1, 1, false, coder.ErrNotFound},
		{302, http.Header{"Location": {"/elsewhere"}}, 1, 1, false, nil},
		{200, nil, 1, 1, false, nil},
		{429, nil, 11, 11, false, coder.ErrRateLimited},
		{429, http.Header{"Retry-After": {"7"}}, 11, 11, false, coder.ErrRateLimited},
		{429, http.Header{"Retry-After": {"61"}}, 1, 1, false, coder.ErrRateLimited},
		{500, nil, 11, 1, true, nil},
		{501, nil, 1, 1, false, nil},
		{502, nil, 11, 1, true, coder.ErrUnavailable},
		{503, nil, 11, 1, true, coder.ErrUnavailable},
		{503, http.Header{"Retry-After": {"1"}}, 11, 1, true, coder.ErrUnavailable},
		{503, http.Header{"Content-Type": {"application/json"}}, 11, 1, true, coder.ErrUnavailable},
	} {
		for id, attempts := range map[string]int{"codesess_1": test.join, "": test.fresh} {
			synctestHub(t, func(t *testing.T, hub *liveHub) {
				var count atomic.Int32
				hub.rest = func(w http.ResponseWriter, _ *http.Request) {
					count.Add(1)
					for k, v := range test.header {
						w.Header()[k] = v
					}
					w.WriteHeader(test.status)
					_, _ = w.Write([]byte(`{"message":"Not like this, ` + testKey + `"}`))
				}
				began := time.Now()
				_, err := connect(t.Context(), hub.client(coder.WithURL("http://hub.invalid/nowhere")), id, nil)
				e := connError(t, err)
				assert.EqualValues(t, attempts, count.Load(), "%d %q", test.status, id)
				var api *coder.APIError
				require.ErrorAs(t, err, &api)
				assert.Equal(t, test.status, api.StatusCode)
				assert.Equal(t, "Not like this, [API key]", api.Message)
				assert.Equal(t, id == "" && test.unknown, errors.Is(err, coder.ErrOutcomeUnknown), "%d", test.status)
				if test.is != nil {
					require.ErrorIs(t, err, test.is)
				}
				assert.Equal(t, attempts > 1, errors.Is(err, coder.ErrReconnectsExceeded))
				if attempts > 1 {
					assert.Equal(t, coder.ConnReconnectsExceeded, e.Code)
				}
				if test.header.Get("Retry-After") == "7" {
					assert.GreaterOrEqual(t, time.Since(began), 70*time.Second)
				}
			})
		}
	}
}

// TestNeverSentIsTriedAgain, also when it would create a session.
func TestNeverSentIsTriedAgain(t *testing.T) {
	for _, id := range []string{"codesess_1", ""} {
		live(t, func(p *peer) {
			p.admit()
			p.listen()
		}, func(t *testing.T, hub *liveHub) {
			hub.setRefuse(syscall.ECONNREFUSED)
			time.AfterFunc(15*time.Second, func() { hub.setRefuse(nil) })
			conn, err := connect(t.Context(), hub.client(), id, &coder.HubConnectOptions{Role: coder.RoleLead})
			require.NoError(t, err)
			assert.Equal(t, "codesess_1", conn.SessionID())
			require.NoError(t, conn.Close())

			hub.setRefuse(syscall.ECONNREFUSED)
			_, err = connect(t.Context(), hub.client(), id, &coder.HubConnectOptions{Role: coder.RoleLead})
			_ = connError(t, err)
			require.ErrorIs(t, err, coder.ErrReconnectsExceeded)
			require.ErrorIs(t, err, syscall.ECONNREFUSED)
			require.NotErrorIs(t, err, coder.ErrOutcomeUnknown)

			began := time.Now()
			_, err = connect(t.Context(), hub.client(), id, &coder.HubConnectOptions{MaxReconnectAttempts: -1})
			_ = connError(t, err)
			require.ErrorIs(t, err, syscall.ECONNREFUSED)
			require.NotErrorIs(t, err, coder.ErrReconnectsExceeded)
			assert.Zero(t, time.Since(began))
		})
	}
}

// TestTheContextEndsConnect in every phase of it.
func TestTheContextEndsConnect(t *testing.T) {
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

// TestAnObserverNeedsNoInit.
func TestAnObserverNeedsNoInit(t *testing.T) {
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

func TestConnectRefusesOptions(t *testing.T) {
	c := newClient(t, coder.WithURL("http://hub.invalid"))
	for field, o := range map[string]coder.HubConnectOptions{
		"ReconnectDelay": {ReconnectDelay: -1}, "MaxReconnectDelay": {MaxReconnectDelay: -1},
	} {
		_, err := c.Connect(t.Context(), "codesess_1", &o)
		var bad *coder.ValidationError
		require.ErrorAs(t, err, &bad)
		assert.Equal(t, field, bad.Field)
		_, err = c.Attach(t.Context(), "x", &coder.AttachOptions{Connection: o})
		require.ErrorAs(t, err, &bad)
		assert.Equal(t, "Attach", bad.Operation)
	}
}
