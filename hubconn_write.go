package coder

import (
	"bytes"
	"slices"
	"sync"
	"time"

	"github.com/agentuity/coder-go/internal/socket"
	"github.com/agentuity/coder-go/internal/wire"
)

// write is the writer: it serves one link after the other.
func (h *HubConn) write() {
	var held *outgoing // taken from a sender, but nothing of it was written
	for l := range h.links {
		held = h.serve(l, held)
		l.EndWriting()
	}
}

// serve writes to a link until it closes, and returns the frame that it had to leave unwritten.
func (h *HubConn) serve(l *socket.Link, held *outgoing) *outgoing {
	h.mu.Lock()
	greeting := h.greeting
	h.mu.Unlock()
	if hello := greeting(); hello != nil {
		_, _ = l.Write(hello) // if it fails, the link is closing
	}
	if !l.AwaitOpen() {
		return held
	}
	if h.options.Role == RoleController {
		_, _ = l.Write(ownFrame(new(BootstrapReadyMessage)))
	}
	ticker := time.NewTicker(h.options.HeartbeatInterval)
	defer ticker.Stop()
	for {
		select {
		case <-l.Closing(): // asked first, so that what is held goes to the next link
			return held
		default:
		}
		if held != nil {
			held = h.deliver(l, held) // not nil only if the write failed, and then the link is closing
			continue
		}
		select {
		case <-l.Closing():
		case <-ticker.C:
			_, _ = l.Write(ownFrame(h.pings.next()))
		case held = <-h.writes:
		}
	}
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
	if wire.Unmarshal(raw, &pong) != nil || pong.Type != typePong {
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
