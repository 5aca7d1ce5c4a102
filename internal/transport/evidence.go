package transport

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
)

// What follows is the evidence of what became of an attempt whose answer did not come. A call that is not
// idempotent is sent again only when the evidence says that the attempt had no effect.

// connTrace watches the connections of an attempt. Its hooks run on goroutines of net/http, also after the
// attempt returned, so its fields are atomics; what comes late can only turn "not sent" into "unknown".
type connTrace struct {
	get, got, wrote atomic.Int32
	http2           atomic.Bool // at least one connection was of HTTP/2
	again           atomic.Bool // net/http was about to send again what it had sent
}

func (t *connTrace) getConn(string) { t.get.Add(1) }

func (t *connTrace) gotConn(info httptrace.GotConnInfo) {
	t.got.Add(1)
	encrypted, ok := info.Conn.(interface{ ConnectionState() tls.ConnectionState })
	if ok && encrypted.ConnectionState().NegotiatedProtocol == "h2" {
		t.http2.Store(true)
	}
}

// sendOnce cancels an attempt when net/http, by itself, is about to send again what it has written to a connection
// of HTTP/2, as it does with a request without a body: it asks for a connection, or gets one from its pool, and
// looks at the context before it writes. Over HTTP/1.1 it does not send a POST again, but there a request counts
// as written that is still in a buffer.
func (t *connTrace) sendOnce(hooks *httptrace.ClientTrace, cancel context.CancelFunc) {
	stop := func() {
		if t.wrote.Load() > 0 && t.http2.Load() {
			t.again.Store(true)
			cancel()
		}
	}
	hooks.GetConn = func(host string) {
		t.getConn(host)
		stop()
	}
	hooks.GotConn = func(info httptrace.GotConnInfo) {
		stop() // the pool has given out a connection that was dialed for another request
		t.gotConn(info)
	}
	hooks.WroteHeaderField = t.wroteHeaderField
}

// wroteHeaderField knows HTTP/2 by its pseudo-headers, also without TLS.
func (t *connTrace) wroteHeaderField(name string, _ []string) {
	if strings.HasPrefix(name, ":") {
		t.http2.Store(true)
	}
}

func (t *connTrace) wroteRequest(info httptrace.WroteRequestInfo) {
	if info.Err == nil {
		t.wrote.Add(1)
	}
}

func (t *connTrace) reset() {
	t.get.Store(0)
	t.got.Store(0)
	t.wrote.Store(0)
	t.http2.Store(false)
	t.again.Store(false)
}

// sent returns SentNo only if a connection was asked for and none was had. A RoundTripper that drops the
// context calls no hook: then nothing is known.
func (t *connTrace) sent() Sent {
	switch {
	case t.wrote.Load() > 0:
		return SentYes
	case t.get.Load() > 0 && t.got.Load() == 0:
		return SentNo
	default:
		return SentUnknown
	}
}

// errAgain stands for the error of a stream that net/http keeps to itself.
var errAgain = errors.New("the HTTP/2 peer ended the stream without an answer")

var errSealed = errors.New("the attempt is over")

// countedBody is the body of one attempt. It counts what was read of it, whatever RoundTripper reads.
type countedBody struct {
	mu     sync.Mutex
	rest   bytes.Reader
	sealed bool
}

func (b *countedBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.sealed {
		return 0, errSealed
	}
	return b.rest.Read(p)
}

// Close does nothing: net/http closes a body that it may still use.
func (b *countedBody) Close() error { return nil }

// seal ends the body: no more of it goes out. It returns how much did.
func (b *countedBody) seal() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sealed = true
	return b.rest.Size() - int64(b.rest.Len())
}

// unread reports whether there is a body, and nothing of it has gone out.
func (b *countedBody) unread() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.rest.Size() > 0 && int64(b.rest.Len()) == b.rest.Size()
}

// noEffect returns the verdict on an attempt that certainly had no effect, and None if there is no evidence
// for that.
func (c *call) noEffect(err error) Failure {
	if c.traced && c.conns.sent() == SentNo {
		return NeverSent
	}
	if c.request.Idempotent || c.body == nil {
		return None
	}
	read := c.body.seal()
	switch {
	case len(c.request.Body) > 0 && read == 0:
		return NeverSent
	case c.conns.got.Load() > 0 && !c.conns.http2.Load() && read < int64(len(c.request.Body)):
		return Unprocessed // a server that was told the length does not act on a part
	}
	return unprocessed(err)
}

// The errors by which package net/http says that the peer did not process a stream. There are no types to
// find with errors.As, and each may hold text of the peer's: only how it begins is evidence. The same in
// Go 1.26, Go 1.27 and golang.org/x/net/http2.
const (
	cannotRetry = "http2: Transport: cannot retry err ["
	wasGoAway   = cannotRetry + "http2: Transport received Server's graceful shutdown GOAWAY]"
	firstStream = "http2: Transport received GOAWAY from server ErrCode:"
)

// unprocessed looks for the error of a stream that the peer says it did not process: one above the last
// stream of a GOAWAY (RFC 9113, 6.8). REFUSED_STREAM should say the same (8.7), and does not: HAProxy resets
// with it every stream that it has no answer for, also one whose request the server behind it has read.
func unprocessed(err error) Failure {
	for ; err != nil; err = errors.Unwrap(err) {
		switch text := err.Error(); {
		case strings.HasPrefix(text, wasGoAway):
			return NeverSent
		case strings.HasPrefix(text, firstStream): // a peer that refuses a new connection may refuse the next
			return Unprocessed
		}
	}
	return None
}

var _ io.ReadCloser = (*countedBody)(nil)
