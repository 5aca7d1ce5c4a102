package coder

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"sync/atomic"
	"time"
)

// outgoing is a frame on its way to the socket.
type outgoing struct {
	frame []byte
	call  *hubCall // awaits the answer, if it is not nil
	sent  func()   // called by the writer when it is on the socket, if it is not nil
	state atomic.Int32
	done  chan outcome // has room for one
}

// outcome is what became of a frame.
type outcome struct {
	gone bool // some of it may have gone out
	err  error
}

// A frame is written only if the writer takes it before its sender gives up.
const (
	outgoingWaits = iota
	outgoingTaken
	outgoingAbandoned
)

// abandon reports whether the frame had not been taken. It will not be taken any more.
func (o *outgoing) abandon() bool {
	return o.state.Swap(outgoingAbandoned) == outgoingWaits
}

// Send sends a message. It blocks until the message is on the socket, which may have to wait for a
// connection, until the context ends, or until the connection is over. A message is never sent
// twice: an error that matches [ErrOutcomeUnknown] means that it may have gone out, any other that
// it has not.
//
// Errors: [*ValidationError] and [*HubConnError].
func (h *HubConn) Send(ctx context.Context, message ClientMessage) error {
	return h.send(ctx, "Send", message)
}

func (h *HubConn) send(ctx context.Context, op string, message ClientMessage) error {
	id := ""
	if given, answered := requestID(message); answered && given == "" {
		id = rand.Text()
	}
	frame, err := encodeMessage(op, message, id)
	if err != nil {
		return err
	}
	out := &outgoing{frame: frame}
	if m, ok := message.(*ObserverSubscribeMessage); ok {
		patterns := slices.Clone(m.Patterns)
		out.sent = func() {
			h.mu.Lock()
			h.subscribe = patterns
			h.mu.Unlock()
		}
	}
	return h.put(ctx, op, out)
}

// put gives a frame to the writer and waits until it is on the socket.
func (h *HubConn) put(ctx context.Context, op string, out *outgoing) error {
	out.done = make(chan outcome, 1)
	switch {
	case ctx == nil:
		return noContext(op)
	case h.ctx.Err() != nil:
		return h.closedError(op)
	case ctx.Err() != nil:
		return h.ctxError(ctx, op)
	}
	select {
	case h.writes <- out:
	case <-h.over:
		return h.overError(op)
	case <-h.ctx.Done():
		return h.closedError(op)
	case <-ctx.Done():
		return h.ctxError(ctx, op)
	}
	var e *HubConnError
	select {
	case done := <-out.done:
		return h.outcomeError(op, done)
	case <-h.over:
		e = h.overError(op)
	case <-h.ctx.Done():
		e = h.closedError(op)
	case <-ctx.Done():
		e = h.ctxError(ctx, op)
	}
	if !out.abandon() {
		select {
		case done := <-out.done:
			if done.err == nil {
				return nil
			}
		default:
		}
		e.outcomeUnknown = true
	}
	return e
}

func (h *HubConn) outcomeError(op string, done outcome) error {
	if done.err == nil {
		return nil
	}
	e := &HubConnError{Operation: op, Code: ConnLost, SessionID: h.SessionID(), Err: done.err}
	if errors.Is(done.err, ErrConnClosed) {
		e = h.closedError(op)
	}
	e.outcomeUnknown = done.gone
	return e
}

// write is the writer: it serves one link after the other.
func (h *HubConn) write() {
	var held *outgoing // taken from a sender, but not yet put on a socket
	for l := range h.links {
		held = h.serve(l, held)
		close(l.left)
	}
}

// serve writes to a link until it ends, and returns what could not even be begun.
func (h *HubConn) serve(l *link, held *outgoing) *outgoing {
	if hello := h.client.hello(); hello != nil {
		_, _ = l.write(hello) // if it fails the reader notices
	}
	if !l.await(l.ready) {
		return held
	}
	if l.greet {
		_, _ = l.write(ownFrame(new(BootstrapReadyMessage)))
	}
	ticker := time.NewTicker(h.options.HeartbeatInterval)
	defer ticker.Stop()
	for {
		if held != nil && !l.over() {
			held = h.deliver(l, held)
		}
		if l.failed() {
			l.await(nil)
			return held
		}
		writes := h.writes
		if held != nil { // one at a time, or the first would be forgotten
			writes = nil
		}
		select {
		case <-l.dying:
			l.await(nil)
			return held
		case <-l.lost:
			return held
		case <-ticker.C:
			_, _ = l.write(ownFrame(&PingMessage{Timestamp: UnixMilli{time.Now()}}))
		case held = <-writes:
		}
	}
}

// ownFrame encodes a message that always can be.
func ownFrame(m ClientMessage) []byte {
	frame, err := encodeMessage("Send", m, "")
	if err != nil {
		panic(err)
	}
	return frame
}

// deliver writes a frame. It returns the frame if nothing of it went out and its sender still
// waits, so that another link may carry it.
func (h *HubConn) deliver(l *link, out *outgoing) *outgoing {
	if !out.state.CompareAndSwap(outgoingWaits, outgoingTaken) {
		return nil
	}
	if out.call != nil {
		h.await(out.call)
	}
	gone, err := l.write(out.frame)
	if err == nil && out.sent != nil {
		out.sent()
	}
	if err != nil && !gone {
		if out.call != nil {
			h.forget(out.call)
		}
		if out.state.CompareAndSwap(outgoingTaken, outgoingWaits) {
			return out
		}
	}
	if out.call != nil && out.state.Load() == outgoingAbandoned {
		h.forget(out.call) // its sender may have done so before it was awaited
	}
	out.done <- outcome{gone, err}
	return nil
}
