package socket

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// closeGrace is how long a link may stay in the state closing before it is cut.
const closeGrace = time.Second

// state is where a [Link] is between its beginning and its end.
type state int

const (
	handshaking state = iota
	open
	closing
	closed
)

// Link is one open WebSocket. One goroutine reads it and one writes it; anybody may close it.
//
//	state        begins with           the writer            the reader
//	handshaking  Dial                  writes what greets    reads the other side's answer
//	open         Open                  writes                reads
//	closing      Close                 sends a close frame   reads until the other side has answered it
//	             a write that fails    stops                 reads why the other side has closed
//	closed       EndReading            stops                 has stopped
//
// A link moves down this table, never up, and may leave out lines. Only enter changes the state.
// Whatever happens in closing, after closeGrace the link is cut, so that the reader gets an error.
//
// The reader makes the link with Dial, and Options.OnClosing tells the writer when it must stop; it looks at
// Closing between two frames. Each says when it is done: EndReading, EndWriting.
type Link struct {
	ws *websocket.Conn
	// ctx is that of every read and write. It ends when the link is cut, and never with a caller: the
	// library closes a connection when the context of a read or write ends.
	ctx    context.Context
	cancel context.CancelFunc
	conn   atomic.Pointer[conn]

	sent    atomic.Int64 // bytes that went out
	writing atomic.Int64 // since when the write under way has moved no byte, since began; 0: there is none
	heard   atomic.Int64 // when bytes last came in, since began
	paused  atomic.Bool  // the reader does not read
	resumed atomic.Int64 // when it last began to read again, since began
	began   time.Time

	closing   chan struct{} // closed when the state is closing or closed
	writerEnd chan struct{} // closed by EndWriting

	onClosing func() // nil: nobody wants to know

	mu          sync.Mutex
	state       state
	closeCode   websocket.StatusCode // these three are of the first Close
	closeReason string
	closeErr    error
	writeErr    error       // of the first write that failed
	grace       *time.Timer // runs while closing
	watchdog    *time.Timer // runs while open
}

func newLink(ctx context.Context, onClosing func()) *Link {
	l := &Link{
		onClosing: onClosing,
		closing:   make(chan struct{}), writerEnd: make(chan struct{}), began: time.Now(),
	}
	l.ctx, l.cancel = context.WithCancel(context.WithoutCancel(ctx))
	return l
}

// enter moves the link to a later state, and starts and ends what belongs to it. It does nothing, and
// reports false, if the link is there already or further. The mutex is held.
func (l *Link) enter(next state) bool {
	previous := l.state
	if next <= previous {
		return false
	}
	l.state = next
	if next == open {
		return true
	}
	if previous < closing {
		close(l.closing)
		if l.onClosing != nil {
			go l.onClosing()
		}
	}
	if l.watchdog != nil {
		l.watchdog.Stop()
	}
	switch {
	case next == closing:
		l.grace = time.AfterFunc(closeGrace, l.Cut)
	case l.grace != nil:
		l.grace.Stop()
	}
	return true
}

// Open ends the handshake. From now on the writer may write, and if the other side sends nothing for
// as long as silence, or a write moves no byte for so long, the link is closed. Time in which the reader
// is paused is no silence.
func (l *Link) Open(silence time.Duration) {
	l.heardNow()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.enter(open) {
		l.watchdog = time.AfterFunc(silence, func() { l.watch(silence) })
	}
}

var (
	errSilent  = errors.New("the Hub has sent nothing for too long")
	errStalled = errors.New("the Hub has read nothing for too long")
)

// watch closes the link if the other side has sent nothing, or taken nothing of a write, for as long as
// limit. Otherwise it comes back when that may be so.
func (l *Link) watch(limit time.Duration) {
	var silent, stalled time.Duration
	if !l.paused.Load() { // asked before heard: Resume sets heard before paused
		silent = time.Since(l.began) - time.Duration(l.heard.Load())
	}
	// A server of one thread does not read while its own writes wait for our reader.
	if since := l.writing.Load(); since != 0 && !l.paused.Load() {
		stalled = time.Since(l.began) - time.Duration(max(since, l.resumed.Load()))
	}
	switch {
	case silent >= limit:
		l.Close(int(websocket.StatusNormalClosure), "Heartbeat timeout", errSilent)
		return
	case stalled >= limit:
		l.Close(int(websocket.StatusNormalClosure), "Write timeout", errStalled)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state == open {
		l.watchdog.Reset(limit - max(silent, stalled))
	}
}

func (l *Link) heardNow() { l.heard.Store(int64(time.Since(l.began))) }

// Pause says that the reader does not read for now, so that the other side cannot be heard.
func (l *Link) Pause() { l.paused.Store(true) }

// Resume ends what Pause began.
func (l *Link) Resume() {
	l.heardNow()
	l.resumed.Store(l.heard.Load())
	l.paused.Store(false)
}

// Close closes the link: the writer sends a close frame with the code and the reason,
// and the reader gets an error when the other side has answered it, or after closeGrace. err is what
// EndReading then returns. Only the first call counts.
func (l *Link) Close(code int, reason string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closeErr != nil || l.state == closed {
		return
	}
	l.closeCode, l.closeReason, l.closeErr = websocket.StatusCode(code), reason, err
	if !l.enter(closing) { // a write has failed: a close frame cannot be sent either
		l.grace.Reset(0)
	}
}

// Closing is closed when the link must not be written to any more, because it is closing or closed.
func (l *Link) Closing() <-chan struct{} { return l.closing }

// Cut ends the connection without a close frame. The reader and the writer get errors.
func (l *Link) Cut() {
	l.cancel()
	if c := l.conn.Load(); c != nil {
		_ = c.Close()
	}
}

// Write puts a frame on the socket. If it fails, sent tells whether some of it may have gone out. What
// the other side has sent before can still be read, above all why it has closed the connection.
func (l *Link) Write(frame []byte) (sent bool, err error) {
	before := l.sent.Load()
	if err := l.writeParts(frame); err != nil {
		return l.sent.Load() != before, l.writeFailed(err)
	}
	return true, nil
}

// largestPart is the largest part of a frame that goes out in one piece. Between two parts the library
// can answer a ping; it gives the answer 5 s.
const largestPart = 16 << 10

func (l *Link) writeParts(frame []byte) error {
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

func (l *Link) writeFailed(err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	err = l.explain(err)
	if l.writeErr == nil && l.state != closed {
		l.writeErr = err
	}
	l.enter(closing)
	return err
}

// EndWriting is the writer's last call. It sends the close frame if the link was closed by Close, and
// waits for the answer.
func (l *Link) EndWriting() {
	l.mu.Lock()
	wanted := l.state == closing && l.closeErr != nil
	code, reason := l.closeCode, l.closeReason
	l.mu.Unlock()
	if wanted {
		_ = l.ws.Close(code, reason)
	}
	close(l.writerEnd)
}

// Read returns the next frame, which belongs to the caller. Memory is taken only once the frame has begun to come, and
// a little more than twice its size.
func (l *Link) Read() ([]byte, error) {
	_, r, err := l.ws.Reader(l.ctx)
	if err != nil {
		return nil, err
	}
	return readFrame(r)
}

// firstPiece is the size of the first piece that a frame is read in; further ones are as large, or an eighth of what
// was read.
const firstPiece = 4 << 10

var firstPieces = sync.Pool{New: func() any { return new([firstPiece]byte) }}

// readFrame is not inlined: the stack of a reader that waits for a frame need not have its variables.
//
//go:noinline
func readFrame(r io.Reader) ([]byte, error) {
	first := firstPieces.Get().(*[firstPiece]byte)
	defer firstPieces.Put(first)
	n, err := readFull(r, first[:])
	pieces, size := [][]byte{first[:n]}, n
	for err == nil {
		piece := make([]byte, max(firstPiece, size/8))
		n, err = readFull(r, piece)
		pieces, size = append(pieces, piece[:n]), size+n
	}
	if !errors.Is(err, io.EOF) {
		return nil, err
	}
	frame := make([]byte, 0, size)
	for _, piece := range pieces {
		frame = append(frame, piece...)
	}
	return frame, nil
}

// readFull reads until the piece is full, or returns io.EOF and how much it has read before the end.
func readFull(r io.Reader, piece []byte) (n int, err error) {
	for n < len(piece) && err == nil {
		var more int
		more, err = r.Read(piece[n:])
		n += more
	}
	return n, err
}

// EndReading is the reader's last call. err is that of Read; it can be nil if the link is closing. It cuts
// the link, waits for EndWriting, and returns why the link is closed: what Close was given, else a close
// frame or a frame that is too large, else why a write failed, else err.
func (l *Link) EndReading(err error) error {
	l.mu.Lock()
	err = l.endOf(err)
	l.enter(closed)
	l.mu.Unlock()
	l.Cut()
	<-l.writerEnd
	_ = l.ws.CloseNow()
	return err
}

// endOf returns why the link ends whose reader has got err. The mutex is held.
func (l *Link) endOf(err error) error {
	_, _, said := CloseFrame(err)
	switch {
	case l.closeErr != nil:
		return l.closeErr
	case said, errors.Is(err, ErrTooLarge):
		return err
	case l.writeErr != nil:
		return l.writeErr
	}
	return l.explain(err)
}

var (
	// ErrTooLarge is what Read fails with when a frame is larger than the limit.
	ErrTooLarge = websocket.ErrMessageTooBig

	errCut = errors.New("the connection was cut")
)

// eofError is the end of a connection without a close frame.
type eofError struct{}

func (eofError) Error() string { return "the Hub ended it without a word" }

func (eofError) Unwrap() error { return io.ErrUnexpectedEOF }

// explain replaces what the library says of contexts, which are ours and no caller's, and of a
// connection that just ended. The mutex is held.
func (l *Link) explain(err error) error {
	switch {
	case errors.Is(err, context.Canceled) && l.closeErr != nil:
		return l.closeErr
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return errCut
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return eofError{}
	}
	return err
}

// CloseFrame returns the close code and close reason if err is the end of a connection that the other side
// has closed with a close frame. ok reports whether it is.
func CloseFrame(err error) (code int, reason string, ok bool) {
	var frame websocket.CloseError
	if !errors.As(err, &frame) {
		return 0, "", false
	}
	return int(frame.Code), frame.Reason, true
}
