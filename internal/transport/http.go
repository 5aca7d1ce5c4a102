package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

// NewHTTPTransport returns the HTTP transport of a client that was given none.
func NewHTTPTransport() *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           newDialer().DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   64,
		IdleConnTimeout:       30 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: 2 * time.Minute,
		// A Hub sends a few hundred bytes. Of the 10 MB that net/http takes by default many short lines make 80 MB.
		MaxResponseHeaderBytes: 1 << 20,
		// Connections of creates are closed early: each new one would pay for a whole handshake.
		TLSClientConfig: &tls.Config{ClientSessionCache: tls.NewLRUClientSessionCache(0)},
		// Without pings one silent HTTP/2 connection fails every call that is put on it.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 15 * time.Second},
		// Without it the error is no more than the text of the status.
		OnProxyConnectResponse: func(_ context.Context, _ *url.URL, _ *http.Request, resp *http.Response) error {
			if resp.StatusCode != http.StatusOK {
				return &ProxyError{Status: resp.StatusCode}
			}
			return nil
		},
	}
}

func newDialer() *net.Dialer {
	return &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
}

// ProxyError says that a proxy did not connect to the Hub. Nothing was sent to the Hub.
type ProxyError struct{ Status int }

func (e *ProxyError) Error() string {
	text := fmt.Sprintf("the proxy did not connect: %d %s", e.Status, http.StatusText(e.Status))
	if e.Status == http.StatusProxyAuthRequired {
		return text + ": check the user and the password in HTTPS_PROXY, or of the transport's Proxy"
	}
	return text + ": check HTTPS_PROXY and NO_PROXY, or the transport's Proxy"
}

// createIdleTimeout is how long a connection may idle before a create goes over a new one. Servers close
// idle connections themselves, Node after 5 s and Bun after 8, and a create that meets that has an unknown
// outcome. Reads are repeated, and keep their connections.
const createIdleTimeout = 3 * time.Second

// roundTrippers are what the kinds of calls go over.
type roundTrippers struct{ reads, creates, streams http.RoundTripper }

// ours returns the RoundTrippers of a client that was given none.
func ours(base *http.Transport) roundTrippers {
	creates, streams := base.Clone(), base.Clone()
	creates.IdleConnTimeout = createIdleTimeout
	streams.ResponseHeaderTimeout = 0 // a stream has a limit of its own on silence
	// Each stream has a connection of its own, over which little is sent, and most of the time nothing comes.
	streams.WriteBufferSize, streams.ReadBufferSize = 512, 2<<10
	return roundTrippers{reads: base, creates: creates, streams: streams}
}

const maxRedirects = 10

// redirectRule follows redirects of GET requests to the same scheme and host only: net/http
// would carry our key header, and on 307 the body, to wherever it is sent. The caller's own rule
// runs after ours and can only refuse more.
func redirectRule(callers func(*http.Request, []*http.Request) error) func(*http.Request, []*http.Request) error {
	return func(req *http.Request, via []*http.Request) error {
		first := via[0]
		if first.Method != http.MethodGet || len(via) >= maxRedirects ||
			req.URL.Scheme != first.URL.Scheme || req.URL.Host != first.URL.Host || req.URL.User != nil {
			return http.ErrUseLastResponse
		}
		if callers != nil {
			return callers(req, via)
		}
		return nil
	}
}

// ErrTooLarge says that a 2xx body is longer than the limit.
var ErrTooLarge = errors.New("the answer is larger than the limit")
