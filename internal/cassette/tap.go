package cassette

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"sync"

	"github.com/agentuity/coder-go/internal/split"
)

// Around returns a RoundTripper that records what goes over base. It changes nothing of that. body returns the body
// of a request that has one, without reading it from the request, and what reports that nobody else has read it.
func (r *Recorder) Around(base http.RoundTripper, body func(context.Context) ([]byte, func() bool)) http.RoundTripper {
	return &tap{base: base, recorder: r, body: body}
}

type tap struct {
	base     http.RoundTripper
	recorder *Recorder
	body     func(context.Context) ([]byte, func() bool)
}

// CloseIdleConnections closes those of what is below.
func (t *tap) CloseIdleConnections() {
	if closer, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		closer.CloseIdleConnections()
	}
}

func (t *tap) RoundTrip(req *http.Request) (*http.Response, error) {
	x := &exchange{recorder: t.recorder, number: t.recorder.next(), ctx: req.Context()}
	var body []byte
	unread := func() bool { return false }
	if req.Body != nil && req.Body != http.NoBody {
		body, unread = t.body(req.Context())
	}
	x.begin(req, body)
	resp, err := t.base.RoundTrip(req)
	if err != nil {
		how := x.whyNot(err)
		if how == Reset && unread() {
			how = Unsent
		}
		x.end(how, err)
		return resp, err
	}
	x.answered(resp)
	if resp.StatusCode == http.StatusSwitchingProtocols {
		if raw, ok := resp.Body.(io.ReadWriteCloser); ok {
			resp.Body = newSocketTap(raw, x)
			return resp, nil
		}
	}
	if resp.Body == nil {
		x.end(Whole, nil)
		return resp, nil
	}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	tapped := &bodyTap{ReadCloser: resp.Body, exchange: x, length: resp.ContentLength}
	if kind == "text/event-stream" {
		tapped.events = &split.Blocks{Most: t.recorder.maxBody, Block: tapped.event}
	}
	resp.Body = tapped
	return resp, nil
}

// exchange is a request and all that belongs to it.
type exchange struct {
	recorder *Recorder
	number   int
	ctx      context.Context
	url      *url.URL // of the request

	mu   sync.Mutex // held while a line is added: they stay in order, and none follows the end
	over bool
}

func (x *exchange) add(size int, line func(*Redaction) Line) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.put(size, line)
}

func (x *exchange) put(size int, line func(*Redaction) Line) {
	if x.over {
		return
	}
	x.recorder.add(size+lineSize, func(r *Redaction) Line {
		l := line(r)
		l.Exchange = x.number
		return l
	})
}

// lineSize is about what a line needs besides a body.
const lineSize = 512

func (x *exchange) begin(req *http.Request, body []byte) {
	sent := *req.URL
	sent.Fragment, sent.RawFragment = "", "" // which is not sent
	x.url = &sent
	method, url, header := req.Method, sent.String(), req.Header.Clone()
	body, omitted := x.part(body)
	x.add(len(body), func(r *Redaction) Line {
		return Line{Kind: Request, Method: method, URL: r.URL(url), Header: r.Header(header), Body: r.Body(body, omitted)}
	})
}

// part returns a copy of what is kept of a body, and how much is not.
func (x *exchange) part(body []byte) (kept []byte, omitted int64) {
	most := x.recorder.maxBody
	if int64(len(body)) <= most {
		return bytes.Clone(body), 0
	}
	return bytes.Clone(body[:most]), int64(len(body)) - most
}

func (x *exchange) answered(resp *http.Response) {
	status, header := resp.StatusCode, resp.Header.Clone()
	x.add(0, func(r *Redaction) Line {
		safe := r.Header(header)
		if to := header.Get("Location"); to != "" && x.isHere(to) {
			safe.Set("Location", r.URL(withoutFragment(to)))
		}
		return Line{Kind: Answer, Status: status, Header: safe}
	})
}

// isHere reports whether a redirect leads to the Hub that was asked. The query belongs to the request that follows it.
func (x *exchange) isHere(location string) bool {
	to, err := x.url.Parse(location)
	return err == nil && to.Scheme == x.url.Scheme && to.Host == x.url.Host
}

// end notes why nothing more comes. Only the first call counts.
func (x *exchange) end(how string, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.put(0, func(r *Redaction) Line {
		line := Line{Kind: End, How: how}
		if err != nil {
			line.Error = r.Text(err.Error())
		}
		return line
	})
	x.over = true
}

// whyNot is how an exchange has ended that brought no answer.
func (x *exchange) whyNot(err error) string {
	var (
		dns  *net.DNSError
		op   *net.OpError
		cert *tls.CertificateVerificationError
		host x509.HostnameError
		ca   x509.UnknownAuthorityError
		bad  x509.CertificateInvalidError
		tls  tls.RecordHeaderError
	)
	switch {
	case x.ctx.Err() != nil:
		return Left
	case errors.As(err, &cert), errors.As(err, &host), errors.As(err, &ca), errors.As(err, &bad), errors.As(err, &tls),
		errors.Is(err, http.ErrSchemeMismatch):
		return Untrusted
	case errors.As(err, &dns) && dns.IsNotFound:
		return UnknownHost
	case errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect"):
		return Refused
	}
	return Reset
}

// bodyTap records a body while it is read: whole, or event by event.
type bodyTap struct {
	io.ReadCloser
	exchange *exchange
	events   *split.Blocks // nil: it is none of events
	length   int64         // that was announced, -1 if none was

	mu      sync.Mutex // a body is also closed under a Read
	got     int64
	held    []byte
	omitted int64
	over    bool
}

func (b *bodyTap) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over {
		return n, err
	}
	b.got += int64(n)
	if b.events != nil {
		b.events.Take(p[:n])
	} else {
		b.take(p[:n])
	}
	switch {
	case errors.Is(err, io.EOF):
		b.finish(Whole, nil)
	case err != nil && b.exchange.ctx.Err() != nil:
		b.finish(Left, nil)
	case err != nil:
		b.finish(Cut, err)
	}
	return n, err
}

func (b *bodyTap) Close() error {
	b.mu.Lock()
	switch {
	case b.over:
	case b.length >= 0 && b.got >= b.length:
		b.finish(Whole, nil)
	default:
		b.finish(Left, nil)
	}
	b.mu.Unlock()
	return b.ReadCloser.Close()
}

// take holds more of a body, up to the limit.
func (b *bodyTap) take(p []byte) {
	room := max(0, b.exchange.recorder.maxBody-int64(len(b.held)))
	kept := p[:min(int64(len(p)), room)]
	b.held = append(b.held, kept...)
	b.omitted += int64(len(p) - len(kept))
}

// event records one event.
func (b *bodyTap) event(block []byte, omitted int64) {
	b.exchange.add(len(block), func(r *Redaction) Line { return Line{Kind: Piece, Body: r.Event(block, omitted)} })
}

// finish records what is held. It is called once.
func (b *bodyTap) finish(how string, err error) {
	b.over = true
	held, omitted := b.held, b.omitted
	b.held = nil
	switch {
	case b.events != nil:
		b.events.End()
	case len(held) > 0 || omitted > 0:
		b.exchange.add(len(held), func(r *Redaction) Line { return Line{Kind: Piece, Body: r.Body(held, omitted)} })
	}
	b.exchange.end(how, err)
}
