package coder_test

import (
	"context"
	"errors"
	"io"
	"log"
	"log/slog"
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

// TestOverTLS: a real socket, a proxy's path, HTTP/2 at the same port, and nothing left afterwards.
func TestOverTLS(t *testing.T) {
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

// TestNetHTTPDoesNotRepeatACreate when a used connection dies under it, as it does with a request
// that looks as if it could be repeated. A connection is used when the Hub has refused over it before.
func TestNetHTTPDoesNotRepeatACreate(t *testing.T) {
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

// TestARoundTripperWithoutUpgrades is told from a Hub that refuses.
func TestARoundTripperWithoutUpgrades(t *testing.T) {
	c := newClient(t, coder.WithURL("http://hub.invalid"), coder.WithHTTPClient(&http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusSwitchingProtocols, Body: http.NoBody, Header: http.Header{}, Request: r}, nil
	})}))
	_, err := c.ConnectNew(t.Context(), nil)
	e := connError(t, err)
	assert.Equal(t, coder.ConnFailed, e.Code)
	require.ErrorIs(t, err, coder.ErrOutcomeUnknown)
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

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestReconnectDiscoversAgain: the address of a Hub that cannot be reached any more is forgotten.
func TestReconnectDiscoversAgain(t *testing.T) {
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

// TestDiscoveryFails: there is nothing to connect to.
func TestDiscoveryFails(t *testing.T) {
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

// TestHubConnErrorInLogs has what an operator looks for.
func TestHubConnErrorInLogs(t *testing.T) {
	e := &coder.HubConnError{Operation: "Connect", Code: coder.ConnLost, SessionID: "s", CloseCode: 4404, CloseReason: "a\nb"}
	var b strings.Builder
	slog.New(slog.NewTextHandler(&b, nil)).LogAttrs(context.Background(), slog.LevelInfo, "x", slog.Any("error", e))
	assert.Contains(t, b.String(), "error.close_code=4404")
	assert.Contains(t, b.String(), "error.session_id=s")
	assert.Contains(t, b.String(), "coder: Connect: the connection was lost: closed with 4404 SESSION_NOT_FOUND (a b)")
}
