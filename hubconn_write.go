package coder

import (
	"bytes"
	"slices"
	"sync"
	"time"

	"github.com/agentuity/coder-go/internal/socket"
	"github.com/agentuity/coder-go/internal/wire"
)

// writer writes what there is to write, and ends: a silent connection has no goroutine that waits for that. HubConn.mu
// guards it.
type writer struct {
	link    *socket.Link // nil: there is none, or its writing has ended
	own     [][]byte     // frames that go out before all others
	open    bool         // the Hub has admitted the link, so that frames of senders may go out
	ping    bool         // a ping is due
	pinger  *time.Timer  // of the link, once it is open
	queue   []*outgoing  // of senders, in order
	running bool         // a goroutine writes, or is about to
}

// serve begins to write to a link, first of all the greeting, unless that is nil. Only the greeting goes out before
// the link is open.
func (h *HubConn) serve(l *socket.Link, greeting []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.writer.link, h.writer.own, h.writer.open, h.writer.ping = l, nil, false, false
	if greeting != nil {
		h.writer.own = [][]byte{greeting}
	}
	h.wake()
}

// opened lets the frames of senders out, and pings.
func (h *HubConn) opened(l *socket.Link) {
	h.mu.Lock()
	defer h.mu.Unlock()
	w := &h.writer
	if w.link != l { // it is over already
		return
	}
	w.open = true
	if h.options.Role == RoleController {
		w.own = append(w.own, ownFrame(new(BootstrapReadyMessage)))
	}
	w.pinger = time.AfterFunc(h.options.HeartbeatInterval, func() { h.pingDue(l) })
	h.wake()
}

func (h *HubConn) pingDue(l *socket.Link) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if w := &h.writer; w.link == l {
		w.ping = true
		w.pinger.Reset(h.options.HeartbeatInterval)
		h.wake()
	}
}

// closing is called when a link must not be written to any more.
func (h *HubConn) closing() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.wake()
}

// wake sees to it that somebody writes if there is something to write, or to end. The mutex is held.
func (h *HubConn) wake() {
	w := &h.writer
	if w.running || w.link == nil {
		return
	}
	if w.isClosing() || len(w.own) > 0 || w.open && (w.ping || len(w.queue) > 0) {
		w.running = true
		h.goroutines.Go(h.write) // the reader, which is one of them, outlives every link
	}
}

func (w *writer) isClosing() bool {
	select {
	case <-w.link.Closing():
		return true
	default:
		return false
	}
}

// write writes until there is nothing to write, or the link is closing.
func (h *HubConn) write() {
	for {
		h.mu.Lock()
		w := &h.writer
		l := w.link
		var (
			own []byte
			out *outgoing
		)
		switch {
		case len(w.own) > 0 && !w.open: // the greeting goes out even if the Hub has refused the link by then
			own, w.own = w.own[0], w.own[1:]
		case w.isClosing(): // asked before all else: what senders wait with goes to the next link
			w.link, w.running = nil, false
			if w.pinger != nil {
				w.pinger.Stop()
				w.pinger = nil
			}
			h.mu.Unlock()
			l.EndWriting()
			return
		case len(w.own) > 0:
			own, w.own = w.own[0], w.own[1:]
		case w.open && w.ping:
			w.ping, own = false, ownFrame(h.pings.next())
		case w.open && len(w.queue) > 0:
			out = w.queue[0]
			w.queue[0] = nil
			if w.queue = w.queue[1:]; len(w.queue) == 0 {
				w.queue = nil
			}
		default:
			w.running = false
			h.mu.Unlock()
			return
		}
		h.mu.Unlock()
		if own != nil {
			_, _ = l.Write(own) // if it fails, the link is closing
			continue
		}
		if held := h.deliver(l, out); held != nil { // it has failed, and the link is closing
			h.mu.Lock()
			w.queue = slices.Insert(w.queue, 0, held)
			h.mu.Unlock()
		}
	}
}

// enqueue gives a frame to the writer, and unqueue takes it back.
func (h *HubConn) enqueue(out *outgoing) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.writer.queue = append(h.writer.queue, out)
	h.wake()
}

func (h *HubConn) unqueue(out *outgoing) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.writer.queue = slices.DeleteFunc(h.writer.queue, func(o *outgoing) bool { return o == out })
}

// ownFrame encodes a message that the connection sends by itself. That cannot fail.
func ownFrame(m ClientMessage) []byte {
	frame, err := encodeMessage("Send", m, "")
	if err != nil {
		panic(err)
	}
	return frame
}

// deliver writes a frame and tells its sender. It returns the frame if the write failed, nothing of it
// went out and its sender still waits: then the next link may carry it.
func (h *HubConn) deliver(l *socket.Link, out *outgoing) *outgoing {
	if !out.state.CompareAndSwap(outgoingWaits, outgoingTaken) {
		return nil
	}
	if out.call != nil {
		h.await(out.call)
	}
	previous := h.noteWrite(out.call)
	sent, err := l.Write(out.frame)
	if err == nil && out.sent != nil {
		out.sent()
	}
	if err != nil && !sent {
		h.noteWrite(previous)
		if out.call != nil {
			h.forget(out.call)
		}
		if out.state.CompareAndSwap(outgoingTaken, outgoingWaits) {
			return out
		}
	}
	if out.call != nil && out.state.Load() == outgoingAbandoned {
		h.forget(out.call) // its sender may have forgotten it before it was registered
	}
	if err != nil { // the reader tells the sender when it knows why
		h.mu.Lock()
		h.failedSend = out
		h.mu.Unlock()
		return nil
	}
	out.done <- sendResult{maybeSent: true}
	return nil
}

// ownPings remembers the pings that the connection sends by itself, so that their pongs do not reach
// Messages. On a quiet connection whose messages are not read, pongs alone would fill the inbox.
type ownPings struct {
	mu       sync.Mutex
	sent     []int64 // timestamps in milliseconds, of those not answered
	programs bool    // the program has sent pings too
}

// next returns the next ping.
func (p *ownPings) next() *PingMessage {
	now := UnixMilli{time.Now().Truncate(time.Millisecond)} // servers echo whole milliseconds
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.sent) == maxOwnPings { // a Hub that does not answer pings
		p.sent = p.sent[1:]
	}
	p.sent = append(p.sent, now.UnixMilli())
	return &PingMessage{Timestamp: now}
}

const maxOwnPings = 64

// sentByProgram notes that a pong may also be for the program.
func (p *ownPings) sentByProgram() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.programs = true
}

// reset forgets the pings of the connection before.
func (p *ownPings) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent, p.programs = nil, false
}

// answeredBy reports whether a frame is the pong to one of these pings. A pong that does not say which
// ping it answers counts as one as long as the program has sent none.
func (p *ownPings) answeredBy(raw []byte) bool {
	if len(raw) > 1<<10 || !bytes.Contains(raw, []byte(typePong)) {
		return false
	}
	var pong struct {
		Type   string    `json:"type"`
		Echoed UnixMilli `json:"echoedTimestamp"`
	}
	var err error
	if onOwnStack(func() { err = wire.Unmarshal(raw, &pong) }); err != nil || pong.Type != typePong {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if pong.Echoed.IsZero() && !p.programs && len(p.sent) > 0 {
		p.sent = p.sent[1:]
		return true
	}
	i := slices.Index(p.sent, pong.Echoed.UnixMilli())
	if i < 0 {
		return false
	}
	p.sent = slices.Delete(p.sent, i, i+1)
	return true
}
