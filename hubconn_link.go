package coder

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// closeGrace is how long the closing of a connection may take before it is cut.
const closeGrace = time.Second

// link is one connection of a HubConn. The reader makes it, reads it and ends it; the writer
// writes to it from when it is open until dying or lost.
type link struct {
	ws *websocket.Conn
	// ctx is that of every read and write. It ends with the link, and never with a caller: the
	// library closes a connection when the context of a read or write ends.
	ctx    context.Context
	cancel context.CancelFunc

	greet bool          // bootstrap_ready is wanted; set before ready
	first []byte        // what admitted an observer in the place of init
	ready chan struct{} // closed by the reader: the handshake is over
	dying chan struct{} // closed by shut
	lost  chan struct{} // closed by the reader: it reads no more
	hurt  chan struct{} // closed by the writer: a write has failed
	left  chan struct{} // closed by the writer: it writes no more

	sent    atomic.Int64 // bytes that went out
	active  atomic.Int64 // when bytes last came in, since began
	waiting atomic.Bool  // the reader does not read, there is no room
	began   time.Time
	scratch bytes.Buffer

	mu       sync.Mutex
	socket   io.Closer
	why      error // why it was shut
	broken   error // why a write failed
	code     websocket.StatusCode
	words    string // the reason that goes with the code
	ended    bool
	killer   *time.Timer
	watchdog *time.Timer
}

func newLink(ctx context.Context) *link {
	l := &link{
		ready: make(chan struct{}), dying: make(chan struct{}), lost: make(chan struct{}),
		hurt: make(chan struct{}), left: make(chan struct{}),
		began: time.Now(),
	}
	l.ctx, l.cancel = context.WithCancel(ctx)
	return l
}

// shut closes the link in good order: the writer sends a close frame, and if that takes too long
// the connection is cut. Only the first call counts.
func (l *link) shut(code websocket.StatusCode, reason string, why error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.why != nil || l.ended {
		return
	}
	l.why, l.code, l.words = why, code, reason
	l.killSoon()
	close(l.dying)
}

// fail notes that a write failed. What the Hub has sent before can still be read, above all why it
// closed the connection.
func (l *link) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken == nil {
		l.broken = err
		close(l.hurt)
	}
	if !l.ended {
		l.killSoon()
	}
}

func (l *link) killSoon() {
	if l.killer == nil {
		l.killer = time.AfterFunc(closeGrace, l.kill)
	}
}

// kill cuts the connection, or the attempt to make it.
func (l *link) kill() {
	l.cancel()
	l.mu.Lock()
	socket := l.socket
	l.mu.Unlock()
	if socket != nil {
		_ = socket.Close()
	}
}

// end is the last that the reader does with an open link. It returns why the link ended.
func (l *link) end(err error) error {
	err = l.reason(err)
	l.kill()
	close(l.lost)
	<-l.left
	_ = l.ws.CloseNow()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	if l.killer != nil {
		l.killer.Stop()
	}
	if l.watchdog != nil {
		l.watchdog.Stop()
	}
	var closed websocket.CloseError
	switch {
	case l.why != nil:
		return l.why
	case errors.As(err, &closed), errors.Is(err, websocket.ErrMessageTooBig):
		return err
	case l.broken != nil:
		return l.broken
	}
	return err
}

// await waits for an event, and is the writer's way out: when it returns false the link is over, or
// was closed because it was to die.
func (l *link) await(event <-chan struct{}) bool {
	select {
	case <-event:
		return true
	case <-l.lost:
	case <-l.dying:
		_ = l.ws.Close(l.code, l.words)
	}
	return false
}

// over reports whether the link is, or is about to be.
func (l *link) over() bool {
	select {
	case <-l.lost:
		return true
	case <-l.dying:
		return true
	default:
		return false
	}
}

// failed reports whether a write has failed.
func (l *link) failed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.broken != nil
}

// read returns the next frame. It belongs to the caller.
func (l *link) read() ([]byte, error) {
	_, r, err := l.ws.Reader(l.ctx)
	if err != nil {
		return nil, err
	}
	l.scratch.Reset()
	if _, err := l.scratch.ReadFrom(r); err != nil {
		return nil, err
	}
	frame := l.scratch.Bytes()
	if len(frame) > 64<<10 && cap(frame) <= len(frame)+len(frame)/4 {
		l.scratch = bytes.Buffer{}
		return frame, nil
	}
	frame = bytes.Clone(frame)
	if l.scratch.Cap() > 1<<20 {
		l.scratch = bytes.Buffer{}
	}
	return frame, nil
}

// write puts a frame on the socket. If it fails, gone tells whether some of it may have gone out.
func (l *link) write(frame []byte) (gone bool, err error) {
	before := l.sent.Load()
	if err := l.writeParts(frame); err != nil {
		err = l.reason(err)
		l.fail(err)
		return l.sent.Load() != before, err
	}
	return true, nil
}

// largestPart is the largest part of a message that goes out in one piece. Between the parts of a
// large one there is a place for the answer to a ping, which the library waits 5 s for.
const largestPart = 16 << 10

func (l *link) writeParts(frame []byte) error {
	if len(frame) <= largestPart {
		return l.ws.Write(l.ctx, websocket.MessageText, frame)
	}
	w, err := l.ws.Writer(l.ctx, websocket.MessageText)
	if err != nil {
		return err
	}
	for part := range slices.Chunk(frame, largestPart) {
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	return w.Close()
}

var errCut = errors.New("the connection was cut")

// reason says in our words what the library says of its context, which is no caller's, and of a
// connection that just ended.
func (l *link) reason(err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case errors.Is(err, context.Canceled) && l.why != nil:
		return l.why
	case errors.Is(err, context.Canceled):
		return errCut
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return &flaw{"the Hub ended it without a word", io.ErrUnexpectedEOF}
	}
	return err
}

var errHeartbeat = errors.New("the Hub has sent nothing for too long")

// watch shuts the link when the Hub has been silent for so long. While the reader waits for room
// nothing can be said about that.
func (l *link) watch(timeout time.Duration) {
	l.touch()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.watchdog = time.AfterFunc(timeout, func() {
		var idle time.Duration
		if !l.waiting.Load() { // asked first: resume touches before it says so
			idle = time.Since(l.began) - time.Duration(l.active.Load())
		}
		if idle >= timeout {
			l.shut(websocket.StatusNormalClosure, "Heartbeat timeout", errHeartbeat)
			return
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if !l.ended {
			l.watchdog.Reset(timeout - idle)
		}
	})
}

func (l *link) touch() { l.active.Store(int64(time.Since(l.began))) }

// pause and resume enclose the time in which the reader does not read.
func (l *link) pause() { l.waiting.Store(true) }

func (l *link) resume() {
	l.touch()
	l.waiting.Store(false)
}

// upgrade is the RoundTripper of the request that opens a link. It puts the link between the
// library and the socket.
type upgrade struct {
	base http.RoundTripper
	link *link
	once bool // the request creates a session
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
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		return resp, err
	}
	if raw, ok := resp.Body.(io.ReadWriteCloser); ok {
		s := &counted{raw: raw, link: u.link}
		u.link.mu.Lock()
		u.link.socket = s
		u.link.mu.Unlock()
		resp.Body = s
	}
	return resp, nil
}

// counted counts what goes through it.
type counted struct {
	raw  io.ReadWriteCloser
	link *link
	once sync.Once
}

func (s *counted) Read(p []byte) (int, error) {
	n, err := s.raw.Read(p)
	if n > 0 {
		s.link.touch()
	}
	return n, err
}

func (s *counted) Write(p []byte) (int, error) {
	n, err := s.raw.Write(p)
	s.link.sent.Add(int64(n))
	return n, err
}

func (s *counted) Close() error {
	var err error
	s.once.Do(func() { err = s.raw.Close() })
	return err
}
