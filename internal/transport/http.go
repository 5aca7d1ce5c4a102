package transport

import (
	"errors"
	"net"
	"net/http"
	"time"
)

// NewHTTPTransport returns the HTTP transport of a client that was given none.
func NewHTTPTransport() *http.Transport {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           dialer.DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   64,
		IdleConnTimeout:       30 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: 2 * time.Minute,
		// Without pings one silent HTTP/2 connection fails every call that is put on it.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 15 * time.Second},
	}
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
