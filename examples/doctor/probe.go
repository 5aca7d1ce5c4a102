package main

import (
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"
)

// probe is a transport that notes what a client does not show: of the last answer, and of the last stream of events.
type probe struct {
	base http.RoundTripper

	mu     sync.Mutex
	kind   string // the media type of the last answer
	moved  *moved // where that redirects to; nil: nowhere
	stream streamTimes
}

// streamTimes are how a stream of events came.
type streamTimes struct {
	asked, answered, first time.Time // when it was asked for, its head came, and its first byte; zero: not yet
	encoding               string    // what it is compressed with
	length                 int64     // how long it says it is; -1: it does not
}

// RoundTrip makes a request.
func (p *probe) RoundTrip(request *http.Request) (*http.Response, error) {
	stream := request.Header.Get("Accept") == "text/event-stream"
	if stream {
		p.mu.Lock()
		p.stream = streamTimes{asked: time.Now()}
		p.mu.Unlock()
	}
	answer, err := p.base.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kind, _, _ = mime.ParseMediaType(answer.Header.Get("Content-Type"))
	p.moved = nil
	if to, err := answer.Location(); err == nil && answer.StatusCode/100 == 3 {
		p.moved = &moved{from: request.URL, to: to}
	}
	if !stream {
		return answer, nil
	}
	p.stream.answered, p.stream.encoding, p.stream.length = time.Now(), answer.Header.Get("Content-Encoding"), answer.ContentLength
	answer.Body = &watched{answer.Body, p}
	return answer, nil
}

// CloseIdleConnections passes it on.
func (p *probe) CloseIdleConnections() {
	if base, ok := p.base.(interface{ CloseIdleConnections() }); ok {
		base.CloseIdleConnections()
	}
}

func (p *probe) lastKind() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.kind
}

func (p *probe) lastMoved() *moved {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.moved
}

// moved is a redirect.
type moved struct{ from, to *url.URL }

// toHTTPS tells whether it only wants another scheme.
func (m *moved) toHTTPS() bool {
	return m.from.Scheme == "http" && m.to.Scheme == "https" && strings.EqualFold(m.from.Hostname(), m.to.Hostname())
}

func (m *moved) away() bool { return !strings.EqualFold(m.from.Host, m.to.Host) }

// logIn is what places are called where somebody has to log in.
var logIn = regexp.MustCompile(`(?i)(^|[./_-])(log-?in|log-?on|sign-?in|sso|oauth2?|oidc|openid|saml2?|auth|authn|authorize|authenticate|idp|accounts?|adfs|cas|cdn-cgi/access|portal)($|[./_-])`)

func (m *moved) toLogIn() bool {
	return logIn.MatchString(m.to.Hostname()) || logIn.MatchString(m.to.Path)
}

func (p *probe) times() streamTimes {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stream
}

// watched notes when its first byte comes.
type watched struct {
	io.ReadCloser
	probe *probe
}

func (w *watched) Read(b []byte) (int, error) {
	n, err := w.ReadCloser.Read(b)
	w.probe.mu.Lock()
	defer w.probe.mu.Unlock()
	if n > 0 && w.probe.stream.first.IsZero() {
		w.probe.stream.first = time.Now()
	}
	return n, err
}

func (t *streamTimes) compressed() bool {
	return t.encoding != "" && !strings.EqualFold(t.encoding, "identity")
}
