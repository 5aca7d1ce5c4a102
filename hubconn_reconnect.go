package coder

import (
	"log/slog"
	"time"

	"github.com/agentuity/coder-go/internal/transport"
	"github.com/agentuity/coder-go/internal/wire"
)

// run is the reader: it connects, reads, and connects again, until the connection is over.
func (h *HubConn) run() {
	defer close(h.links)
	err := h.live()
	h.cancelCalls(err)
	h.mu.Lock()
	h.err, h.state = err, StateClosed
	h.mu.Unlock()
	close(h.over)
}

// live returns why there is no connection any more. That is of no interest if the caller closed it.
func (h *HubConn) live() *HubConnError {
	var (
		attempts int // since there was a connection
		cause    error
		lost     time.Time
		last     *HubConnError
		logger   = h.client.logger
	)
	for {
		began, attempt := time.Now(), attempts
		if cause == nil {
			attempt++ // the first is no reconnect
		}
		l, err := h.establish()
		logger.LogAttrs(h.ctx, slog.LevelDebug, "coder hub connection", append(h.logged(began, err), slog.Int("attempt", attempt))...)
		if err == nil {
			h.admit(l, attempts, cause, lost)
			attempts, last, began = 0, nil, time.Now()
			err = h.receive(l)
			cause, lost = err, time.Now()
			logger.LogAttrs(h.ctx, slog.LevelDebug, "coder hub connection ended", h.logged(began, err)...)
		}
		switch most := h.options.MaxReconnectAttempts; {
		case h.ctx.Err() != nil:
			if last != nil { // which says more
				last = last.as(h.op) // others may have it
				last.outcomeUnknown = err.outcomeUnknown
				return last
			}
			return err
		case !err.passing, most == 0:
			return err
		case attempts >= most:
			return &HubConnError{
				Operation: h.op, Code: ConnReconnectsExceeded, SessionID: h.SessionID(), CloseCode: err.CloseCode,
				CloseReason: err.CloseReason, Err: err, outcomeUnknown: err.outcomeUnknown,
			}
		}
		h.setState(StateReconnecting)
		last = err
		wait := transport.Backoff(attempts, h.options.ReconnectDelay, h.options.MaxReconnectDelay)
		if attempts++; !sleep(h.ctx, max(wait, err.retryAfter)) {
			return err
		}
	}
}

// logged describes an attempt to connect, or a connection that is lost.
func (h *HubConn) logged(began time.Time, err *HubConnError) []slog.Attr {
	attrs := []slog.Attr{
		slog.String("operation", h.op),
		slog.String("session_id", h.SessionID()),
		slog.Duration("duration", time.Since(began)),
	}
	if err != nil {
		attrs = append(attrs, slog.String("error", err.Error()))
	}
	return attrs
}

// admit begins the life of a link whose handshake is over.
func (h *HubConn) admit(l *link, attempt int, cause error, lost time.Time) {
	h.op = "HubConn" // the call that made it is past
	h.setState(StateConnected)
	if cause != nil {
		h.inbox.Put(inboxItem{message: &ReconnectedMessage{Attempt: attempt, Cause: cause, Down: time.Since(lost)}})
	}
	if first := l.first; first != nil {
		l.first = nil
		h.accept(first)
	}
	l.watch(h.options.HeartbeatTimeout)
	close(l.ready)
	if cause == nil {
		close(h.admitted)
	}
}

// receive reads until the link is lost, and returns why.
func (h *HubConn) receive(l *link) *HubConnError {
	var err error
	for err == nil {
		var raw []byte
		if !h.waitForRoom(l) {
			err = errCut // end knows better
		} else if raw, err = l.read(); err == nil {
			h.accept(raw)
		}
	}
	e := h.closeError(ConnLost, l.end(err))
	h.cancelCalls(e)
	return e
}

// waitForRoom does not read while nobody takes what was read. It returns false if a write has
// failed meanwhile: the connection is lost, and nobody else would say so. When the connection is
// closed there is nothing to wait for: what comes then is dropped.
func (h *HubConn) waitForRoom(l *link) bool {
	if !h.inbox.Full() || h.ctx.Err() != nil {
		return true
	}
	l.pause()
	defer l.resume()
	for h.inbox.Full() {
		select {
		case <-h.inbox.Room():
		case <-l.hurt:
			return false
		case <-h.ctx.Done():
			return true
		}
	}
	return true
}

// accept settles what a frame answers, and keeps the frame.
func (h *HubConn) accept(raw []byte) {
	if h.ctx.Err() != nil {
		return
	}
	h.settle(raw)
	h.inbox.Put(inboxItem{raw: raw})
}

// frameHead is what is looked at in a frame before somebody takes it.
type frameHead struct {
	Type      string `json:"type"`
	ID        string `json:"id"`
	Event     string `json:"event"`
	SessionID string `json:"sessionId"`
	Error     string `json:"error"`
	Response  struct {
		ID string `json:"id"`
	} `json:"response"`
	Data struct {
		Response struct {
			ID string `json:"id"`
		} `json:"response"`
	} `json:"data"`
}

// settle gives a frame to the call it answers, and learns the id of the session.
func (h *HubConn) settle(raw []byte) {
	h.mu.Lock()
	idle := len(h.calls) == 0 && h.sessionID != ""
	h.mu.Unlock()
	var head frameHead
	if idle || wire.Unmarshal(raw, &head) != nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.sessionID == "" {
		h.sessionID = head.SessionID
	}
	switch {
	case head.Type == typeBroadcast && head.Event == typeRPCResponse:
		h.answer(callID{true, head.Data.Response.ID}, raw, nil)
	case head.Type == typeRPCResponse:
		h.answer(callID{true, head.Response.ID}, raw, nil)
	case head.Type == typeRPCFailure:
		h.failCommands(head.ID, head.Error)
	case head.Type != typeBroadcast && head.Type != typePresence:
		h.answer(callID{false, head.ID}, raw, nil)
	}
}
