package coder_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
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

// TestConnect_OverTLS: a real socket, a proxy's path, HTTP/2 at the same port, and nothing left afterwards.
func TestConnect_OverTLS(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != prefix+"/api/ws" {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{"sessionId":"codesess_1","runtimeAvailable":true}`))
			return
		}
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		p := &peer{t: t, Conn: conn, request: r}
		p.admit()
		p.listen()
	}))
	server.EnableHTTP2 = true
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	opts := []coder.Option{coder.WithURL(server.URL + prefix), coder.WithAPIKey(testKey), coder.WithOrgID("org_2f9c1d")}
	c := newClient(t, append(opts, coder.WithHTTPClient(server.Client()))...)
	for _, attach := range []bool{true, false} {
		var conn *coder.HubConn
		var err error
		if attach {
			conn, err = c.Attach(t.Context(), "codesess_1", nil)
		} else {
			conn, err = c.ConnectNew(t.Context(), &coder.HubConnectOptions{Role: coder.RoleLead})
		}
		require.NoError(t, err)
		require.NoError(t, conn.Prompt(t.Context(), "x"))
		require.NoError(t, conn.Close())
	}
	stacks := make([]byte, 1<<20)
	assert.NotContains(t, string(stacks[:runtime.Stack(stacks, true)]), "coder.(*HubConn)", "Close leaves nothing behind")

	stranger := newClient(t, opts...)
	_, err := stranger.Connect(t.Context(), "codesess_1", nil)
	assert.Equal(t, coder.ConnFailed, connError(t, err).Code)
	assert.Contains(t, err.Error(), "certificate", "which no other attempt will change")
	require.NotErrorIs(t, err, coder.ErrReconnectsExceeded)
}

// TestConnect_RefusedUpgrade: the Hub, or a gateway before it, answers with a status.
func TestConnect_RefusedUpgrade(t *testing.T) {
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

// TestConnect_RetryAfter: up to a minute it is obeyed, longer waits are the caller's decision.
func TestConnect_RetryAfter(t *testing.T) {
	for after, wait := range map[string]time.Duration{"7": 7 * time.Second, "60": time.Minute, "61": 0} {
		for _, id := range []string{"codesess_1", ""} {
			synctestHub(t, func(t *testing.T, hub *liveHub) {
				var asked []time.Time
				hub.rest = func(w http.ResponseWriter, _ *http.Request) {
					asked = append(asked, time.Now())
					w.Header().Set("Retry-After", after)
					if id == "" { // a 503 would leave open whether a session was created
						w.WriteHeader(http.StatusTooManyRequests)
						return
					}
					w.WriteHeader(http.StatusServiceUnavailable)
				}
				_, err := connect(t.Context(), hub.client(coder.WithURL("http://hub.invalid/nowhere")), id, &coder.HubConnectOptions{
					MaxReconnectAttempts: 1, ReconnectDelay: 1, MaxReconnectDelay: 1,
				})
				_ = connError(t, err)
				var api *coder.APIError
				require.ErrorAs(t, err, &api)
				assert.Equal(t, after, fmt.Sprint(api.RetryAfter.Seconds()))
				if wait == 0 {
					assert.Len(t, asked, 1)
					return
				}
				require.Len(t, asked, 2)
				assert.Equal(t, wait, asked[1].Sub(asked[0]))
			})
		}
	}
}

// TestConnect_NeverSent: what was certainly not sent is tried again, also if it would create a session.
func TestConnect_NeverSent(t *testing.T) {
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

// TestConnect_NoSuchHost: a host that does not exist is a mistake before the first connection, and an
// outage afterwards.
func TestConnect_NoSuchHost(t *testing.T) {
	none := &net.DNSError{Err: "no such host", Name: "elsewhere", IsNotFound: true}
	live(t, func(p *peer) {
		if p.admit(); p.n > 1 {
			p.listen()
		}
	}, func(t *testing.T, hub *liveHub) {
		for _, id := range []string{"codesess_1", ""} {
			hub.setRefuse(none)
			began := time.Now()
			_, err := connect(t.Context(), hub.client(), id, nil)
			_ = connError(t, err)
			require.ErrorIs(t, err, none)
			require.NotErrorIs(t, err, coder.ErrReconnectsExceeded)
			require.NotErrorIs(t, err, coder.ErrOutcomeUnknown)
			assert.Zero(t, time.Since(began), "nothing is tried again")
		}
		hub.setRefuse(nil)
		conn := connected(t, hub)
		hub.setRefuse(none)
		time.AfterFunc(10*time.Second, func() { hub.setRefuse(nil) })
		assert.Greater(t, next(t, conn).(*coder.ReconnectedMessage).Attempt, 2)
	})
}

// TestConnectNew_NetHTTPDoesNotRepeatIt: package net/http does not send the request again when a used
// connection dies under it, as it does with a request that looks as if it could be repeated. A
// connection is used when the Hub has refused over it before.
func TestConnectNew_NetHTTPDoesNotRepeatIt(t *testing.T) {
	for id, want := range map[string]int32{"": 2, "codesess_1": 3} {
		synctestHub(t, func(t *testing.T, hub *liveHub) {
			var asked atomic.Int32
			hub.rest = func(w http.ResponseWriter, _ *http.Request) {
				switch asked.Add(1) {
				case 1:
					w.Header().Set("Retry-After", "1")
					w.WriteHeader(http.StatusTooManyRequests)
				case 2:
					conn, _, err := w.(http.Hijacker).Hijack()
					assert.NoError(t, err)
					_ = conn.Close()
				default:
					w.WriteHeader(http.StatusTeapot)
				}
			}
			_, err := connect(t.Context(), hub.client(coder.WithURL("http://hub.invalid/elsewhere")), id,
				&coder.HubConnectOptions{Role: coder.RoleLead})
			_ = connError(t, err)
			assert.Equal(t, want, asked.Load())
			assert.Equal(t, id == "", errors.Is(err, coder.ErrOutcomeUnknown))
		})
	}
}

// TestConnectNew_NoEvidence: what an error says is no evidence that nothing was sent. A RoundTripper may
// have made attempts of its own, and returned the error of the last one.
func TestConnectNew_NoEvidence(t *testing.T) {
	for id, want := range map[string]int{"": 1, "codesess_1": 4} {
		synctest.Test(t, func(t *testing.T) {
			attempts := 0
			c := newClient(t, coder.WithURL("http://hub.invalid"), coder.WithHTTPClient(&http.Client{
				Transport: roundTrip(func(*http.Request) (*http.Response, error) {
					attempts++
					return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
				}),
			}))
			_, err := connect(t.Context(), c, id, &coder.HubConnectOptions{MaxReconnectAttempts: 3})
			_ = connError(t, err)
			assert.Equal(t, want, attempts)
			assert.Equal(t, id == "", errors.Is(err, coder.ErrOutcomeUnknown))
		})
	}
}

// TestConnectNew_RoundTripperWithoutUpgrades: a 101 without a connection is not a Hub that refuses.
func TestConnectNew_RoundTripperWithoutUpgrades(t *testing.T) {
	c := newClient(t, coder.WithURL("http://hub.invalid"), coder.WithHTTPClient(&http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusSwitchingProtocols, Body: http.NoBody, Header: http.Header{}, Request: r}, nil
	})}))
	_, err := c.ConnectNew(t.Context(), nil)
	e := connError(t, err)
	assert.Equal(t, coder.ConnFailed, e.Code)
	require.ErrorIs(t, err, coder.ErrOutcomeUnknown)
}

// TestConnect_UpgradeThatRepeatsTheKey: errors do not, although the library quotes the header.
func TestConnect_UpgradeThatRepeatsTheKey(t *testing.T) {
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

// TestConnectNew_DiscoveryFails: there is nothing to connect to.
func TestConnectNew_DiscoveryFails(t *testing.T) {
	clearEnv(t)
	t.Setenv("AGENTUITY_CATALYST_URL", "http://catalyst.invalid")
	c, err := coder.NewClient(coder.WithAPIKey(testKey), coder.WithHTTPClient(&http.Client{
		Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			w := httptest.NewRecorder()
			w.WriteHeader(http.StatusUnauthorized)
			return w.Result(), nil
		}),
	}))
	require.NoError(t, err)
	_, err = c.ConnectNew(t.Context(), nil)
	_ = connError(t, err)
	require.ErrorIs(t, err, coder.ErrUnauthorized)
	require.NotErrorIs(t, err, coder.ErrOutcomeUnknown)
}

// TestConnect_HostThatSwallowsEverything: the Hub cannot be there, so it is discovered again.
func TestConnect_HostThatSwallowsEverything(t *testing.T) {
	clearEnv(t)
	t.Setenv("AGENTUITY_CATALYST_URL", "http://catalyst.invalid")
	live(t, func(p *peer) {
		if p.admit(); p.n > 1 {
			p.listen()
		}
	}, func(t *testing.T, hub *liveHub) {
		var discoveries atomic.Int32
		var swallows atomic.Bool
		base := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if swallows.Load() {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return hub.dial(ctx, network, address)
		}}
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
		swallows.Store(true)
		_, err = c.Connect(t.Context(), "codesess_1", nil)
		assert.Contains(t, connError(t, err).Error(), "in time")
		swallows.Store(false)
		conn, err := c.Connect(t.Context(), "codesess_1", nil)
		require.NoError(t, err)
		assert.EqualValues(t, 2, discoveries.Load())
		swallows.Store(true)
		time.AfterFunc(time.Minute, func() { swallows.Store(false) })
		assert.IsType(t, &coder.ReconnectedMessage{}, next(t, conn))
		assert.Greater(t, discoveries.Load(), int32(2))
		require.NoError(t, conn.Close())
		base.CloseIdleConnections()
	})
}

// TestConnect_Goexit: a RoundTripper of a test that fails the test ends its goroutine.
func TestConnect_Goexit(t *testing.T) {
	synctestHub(t, func(t *testing.T, hub *liveHub) {
		c := hub.client(coder.WithHTTPClient(&http.Client{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			runtime.Goexit()
			return nil, nil
		})}))
		_, err := c.Connect(t.Context(), "codesess_1", nil)
		require.Error(t, err)
	})
}
