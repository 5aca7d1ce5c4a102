package socket

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// Options says how Dial opens a WebSocket.
type Options struct {
	// Client makes the request. Its Transport must know upgrades, as that of net/http does.
	Client *http.Client
	// Header is that of the request.
	Header http.Header
	// Once says that the request must not reach the server twice.
	Once bool
	// ReadLimit is how large a frame may be that is read, in bytes.
	ReadLimit int64
	// Values is a context that requests get their values from, and nothing else. nil: the one that bounds dialling, which
	// the link then keeps.
	Values context.Context
	// OnClosing is called once, on a goroutine of its own, when the link is closing: it must not be written to any
	// more, and EndWriting must be called. nil: nobody is told.
	OnClosing func()
}

// DialError says why there is no WebSocket.
type DialError struct {
	// Err is the cause. It does not hold the URL, but can quote headers of the answer.
	Err error
	// Answer is what the server answered; nil if no answer came.
	Answer *Answer
	// NeverSent says that the request certainly reached nobody: no connection was had.
	NeverSent bool
}

// Answer is an HTTP answer that is no WebSocket, whatever its status says.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte // at most the first KiB
}

// Error says why.
func (e *DialError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *DialError) Unwrap() error { return e.Err }

// Dial opens a WebSocket at a ws or wss URL. ctx bounds that, and nothing later.
func Dial(ctx context.Context, address string, o Options) (*Link, *DialError) {
	values := o.Values
	if values == nil {
		values = ctx
	}
	l := newLink(values, o.OnClosing)
	stop := context.AfterFunc(ctx, l.Cut)
	defer stop()
	client := *o.Client
	client.Transport = &upgrade{base: client.Transport, link: l, once: o.Once}
	var asked, had atomic.Int32 // connections; the hooks run on other goroutines
	traced := httptrace.WithClientTrace(l.ctx, &httptrace.ClientTrace{
		GetConn: func(string) { asked.Add(1) },
		GotConn: func(httptrace.GotConnInfo) { had.Add(1) },
	})
	ws, resp, err := websocket.Dial(traced, address, &websocket.DialOptions{HTTPClient: &client, HTTPHeader: o.Header}) //nolint:bodyclose // the library closes it
	if err == nil {
		ws.SetReadLimit(o.ReadLimit)
		l.ws = ws
		return l, nil
	}
	l.Cut()
	e := &DialError{Err: err}
	if u := (*url.Error)(nil); errors.As(err, &u) {
		e.Err = u.Err
	}
	if resp != nil {
		text, _ := io.ReadAll(resp.Body) // the library has cut it
		e.Answer = &Answer{Status: resp.StatusCode, Header: resp.Header, Body: text}
		return nil, e
	}
	e.NeverSent = asked.Load() > 0 && had.Load() == 0
	return nil, e
}

// upgrade is the RoundTripper of the request that opens a link. It puts the link between the library
// and the connection.
type upgrade struct {
	base http.RoundTripper
	link *Link
	once bool
}

func (u *upgrade) RoundTrip(req *http.Request) (*http.Response, error) {
	if u.once {
		// net/http sends a request without a body again when a used connection dies under it, even
		// if all of it was sent. An empty body that it cannot rewind is not sent and prevents that.
		again := *req
		again.Body = io.NopCloser(strings.NewReader(""))
		req = &again
	}
	resp, err := u.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		if _, bad := req.URL.Parse(resp.Header.Get("Location")); bad != nil {
			resp.Header.Del("Location") // net/http would fail on it, quote it, and hide the status
		}
		u.read(resp)
		return resp, nil
	}
	if raw, ok := resp.Body.(io.ReadWriteCloser); ok {
		c := &conn{ReadWriteCloser: raw, link: u.link}
		u.link.conn.Store(c)
		resp.Body = c
	}
	return resp, nil
}

// The library reads as much of an answer that is no WebSocket, for as long.
const (
	answerSize = 1 << 10
	answerTime = 3 * time.Second
)

// read takes from the connection what the library would read of an answer: it ends that by closing the body under its reader,
// for which net/http takes 50 ms from Go 1.27 on.
func (u *upgrade) read(resp *http.Response) {
	enough := time.AfterFunc(answerTime, u.link.Cut)
	defer enough.Stop()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, answerSize))
	_ = resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(text))
}

// conn is the connection below a link. It counts what goes out and notes when something comes in.
type conn struct {
	io.ReadWriteCloser
	link *Link
	once sync.Once
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.ReadWriteCloser.Read(p)
	if n > 0 {
		c.link.heardNow()
	}
	if err == io.EOF { //nolint:errorlint // as it is: for the library it ends a frame, however much of that is missing
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// largestWrite is the largest part of a write of which nothing is known until all of it has gone out.
const largestWrite = 4 << 10

func (c *conn) Write(p []byte) (written int, err error) {
	defer c.link.writing.Store(0)
	for part := range slices.Chunk(p, largestWrite) {
		c.link.writing.Store(int64(time.Since(c.link.began)) | 1) // never 0
		n, err := c.ReadWriteCloser.Write(part)
		c.link.sent.Add(int64(n))
		if written += n; err != nil {
			return written, err
		}
	}
	return written, nil
}

func (c *conn) Close() error {
	var err error
	c.once.Do(func() { err = c.ReadWriteCloser.Close() })
	return err
}
