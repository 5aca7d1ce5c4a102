package transport

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/internal/memnet"
)

// TestIdleConnections: creates do not go over a connection that a server may be about to close, reads do.
func TestIdleConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		listener := memnet.Listen()
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") })}
		go func() { _ = server.Serve(listener) }()
		defer func() { _ = server.Close() }()
		var dials atomic.Int32
		base := NewHTTPTransport()
		base.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			dials.Add(1)
			return listener.Dial(ctx, network, address)
		}
		tr := newOver(Config{Logger: slog.New(slog.DiscardHandler), MaxBody: 1 << 20, Silence: time.Minute}, ours(base))
		defer tr.CloseIdleConnections()
		call := func(r *Request) int32 {
			before := dials.Load()
			r.URL = "http://hub"
			o := tr.Do(t.Context(), r)
			require.NoError(t, o.Err)
			o.Body.Release()
			return dials.Load() - before
		}
		create := func() int32 { return call(&Request{Method: http.MethodPost, Body: []byte("{}")}) }
		read := func() int32 { return call(&Request{Method: http.MethodGet, Idempotent: true}) }
		create()
		read()
		time.Sleep(2 * time.Second)
		assert.Zero(t, create())
		time.Sleep(4 * time.Second)
		assert.EqualValues(t, 1, create(), "the idle one was closed")
		time.Sleep(20 * time.Second)
		assert.Zero(t, read())
	})
}

// TestHeadersOfStreams may take as long as the caller waits, those of answers two minutes.
func TestHeadersOfStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		listener := memnet.Listen()
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-time.After(4 * time.Minute):
			case <-r.Context().Done():
			}
			_, _ = io.WriteString(w, "data: a\n\n")
		})}
		go func() { _ = server.Serve(listener) }()
		defer func() { _ = server.Close() }()
		base := NewHTTPTransport()
		base.DialContext = listener.Dial
		tr := newOver(Config{Policy: once, Logger: slog.New(slog.DiscardHandler), MaxBody: 1 << 20, Silence: time.Minute}, ours(base))
		defer tr.CloseIdleConnections()

		o := tr.Do(t.Context(), &Request{Method: http.MethodGet, URL: "http://hub", Idempotent: true, Stream: true})
		require.NoError(t, o.Err)
		text, err := io.ReadAll(o.Stream)
		require.NoError(t, err)
		assert.True(t, strings.HasPrefix(string(text), "data: a"))
		require.NoError(t, o.Stream.Close())

		o = tr.Do(t.Context(), &Request{Method: http.MethodGet, URL: "http://hub", Idempotent: true})
		require.ErrorContains(t, o.Err, "timeout awaiting response headers")
	})
}

// TestTLSVersions: what is older than TLS 1.2 is refused, by each of the transports, and nothing is sent then.
func TestTLSVersions(t *testing.T) {
	for version, accepted := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			assert.True(t, accepted, tls.VersionName(version))
			_, _ = io.WriteString(w, "{}")
		}))
		server.TLS = &tls.Config{MinVersion: version, MaxVersion: version}
		server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
		server.StartTLS()
		base := NewHTTPTransport()
		base.TLSClientConfig.RootCAs = server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
		tr := newOver(Config{Policy: once, Logger: slog.New(slog.DiscardHandler), MaxBody: 1 << 20, Silence: time.Minute}, ours(base))
		for _, r := range []*Request{
			{Method: http.MethodGet, Idempotent: true}, {Method: http.MethodPost, Body: []byte("{}")}, {Method: http.MethodGet, Idempotent: true, Stream: true},
		} {
			r.URL = server.URL
			o := tr.Do(t.Context(), r)
			assert.Equal(t, accepted, o.Err == nil, "%s: %v", tls.VersionName(version), o.Err)
			if o.Stream != nil {
				require.NoError(t, o.Stream.Close())
			}
			o.Body.Release()
		}
		tr.CloseIdleConnections()
		server.Close()
	}
	// A certificate that does not hold, for each kind of request.
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { assert.Fail(t, "it was asked") }))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	defer server.Close()
	tr := newTransport(http.Client{}, once)
	defer tr.CloseIdleConnections()
	for _, r := range []*Request{
		{Method: http.MethodGet, Idempotent: true}, {Method: http.MethodPost, Body: []byte("{}")}, {Method: http.MethodGet, Idempotent: true, Stream: true},
	} {
		r.URL = server.URL
		assert.Equal(t, Untrusted, tr.Do(t.Context(), r).Failure)
	}
	_, err := (&http.Client{Transport: tr.RoundTripper()}).Get(server.URL)
	assert.Error(t, err, "of what stays open")
}

// TestNewHTTPTransport_Headers: what a server sends before a body is bounded.
func TestNewHTTPTransport_Limits(t *testing.T) {
	tr := NewHTTPTransport()
	assert.Equal(t, net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}, *newDialer())
	assert.Equal(t, 30*time.Second, tr.IdleConnTimeout)
	assert.Equal(t, 10*time.Second, tr.TLSHandshakeTimeout)
	assert.Equal(t, 2*time.Minute, tr.ResponseHeaderTimeout)
	assert.Equal(t, int64(1<<20), tr.MaxResponseHeaderBytes)
	assert.Equal(t, http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 15 * time.Second}, *tr.HTTP2)
}

// TestProxyError: what to look at depends on whether the proxy wants a user.
func TestProxyError(t *testing.T) {
	assert.Equal(t, "the proxy did not connect: 407 Proxy Authentication Required: check the user and the password in HTTPS_PROXY, or of the transport's Proxy", (&ProxyError{407}).Error())
	assert.Equal(t, "the proxy did not connect: 502 Bad Gateway: check HTTPS_PROXY and NO_PROXY, or the transport's Proxy", (&ProxyError{502}).Error())
}

// TestUnlimited: streams have no limit of connections, and the transport of the program is left as it is.
func TestUnlimited(t *testing.T) {
	limited, free := &http.Transport{MaxConnsPerHost: 1}, new(http.Transport)
	got := unlimited(limited)
	assert.Zero(t, got.(*http.Transport).MaxConnsPerHost)
	assert.Equal(t, 1, limited.MaxConnsPerHost)
	assert.Same(t, free, unlimited(free), "its connections are shared")
	_, same := unlimited(roundTripper(func(*http.Request) (*http.Response, error) { return nil, http.ErrNotSupported })).(roundTripper)
	assert.True(t, same, "nothing is known of another RoundTripper")
}

func TestNewHTTPTransport_Headers(t *testing.T) {
	for size, fits := range map[int]bool{64 << 10: true, 2 << 20: false} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Long", strings.Repeat("x", size))
		}))
		base := NewHTTPTransport()
		response, err := (&http.Client{Transport: base}).Get(server.URL)
		if fits {
			require.NoError(t, err)
			require.NoError(t, response.Body.Close())
		} else {
			require.ErrorContains(t, err, "exceeded 1048576 bytes")
		}
		base.CloseIdleConnections()
		server.Close()
	}
}
