package coder

import (
	"time"

	"github.com/agentuity/coder-go/internal/socket"
)

// write is the writer: it serves one link after the other.
func (h *HubConn) write() {
	var held *outgoing // taken from a sender, but not yet put on a socket
	for l := range h.links {
		held = h.serve(l, held)
		l.EndWriting()
	}
}

// serve writes to a link until it closes, and returns the frame that it had to leave unwritten.
func (h *HubConn) serve(l *socket.Link, held *outgoing) *outgoing {
	if hello := h.client.hello(); hello != nil {
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
		case <-l.Closing(): // asked first: what is held goes to the next link
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
			_, _ = l.Write(ownFrame(&PingMessage{Timestamp: UnixMilli{time.Now()}}))
		case held = <-h.writes:
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
func (h *HubConn) deliver(l *socket.Link, out *outgoing) *outgoing {
	if !out.state.CompareAndSwap(outgoingWaits, outgoingTaken) {
		return nil
	}
	if out.call != nil {
		h.await(out.call)
	}
	gone, err := l.Write(out.frame)
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
