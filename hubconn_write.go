package coder

import "time"

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
