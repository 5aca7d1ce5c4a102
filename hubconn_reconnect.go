package coder

import (
	"log/slog"
	"time"

	"github.com/agentuity/coder-go/internal/backoff"
	"github.com/agentuity/coder-go/internal/socket"
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
		l, first, err := h.establish()
		logger.LogAttrs(h.ctx, slog.LevelDebug, "coder hub connection", append(h.logged(began, err), slog.Int("attempt", attempt))...)
		if err == nil {
			h.admit(l, first, attempts, cause, lost)
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
		wait := backoff.Delay(attempts, h.options.ReconnectDelay, h.options.MaxReconnectDelay)
		if attempts++; !backoff.Sleep(h.ctx, max(wait, err.retryAfter)) {
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
func (h *HubConn) admit(l *socket.Link, first []byte, attempt int, cause error, lost time.Time) {
	h.op = "HubConn" // the call that made it is past
	h.setState(StateConnected)
	if cause != nil {
		h.inbox.Put(inboxItem{message: &ReconnectedMessage{Attempt: attempt, Cause: cause, Down: time.Since(lost)}})
	}
	if first != nil {
		h.accept(first)
	}
	l.Open(h.options.HeartbeatTimeout)
	if cause == nil {
		close(h.admitted)
	}
}

// receive reads until the connection is lost, and returns why.
func (h *HubConn) receive(l *socket.Link) *HubConnError {
	var err error
	for err == nil && h.waitForRoom(l) {
		var raw []byte
		if raw, err = l.Read(); err == nil {
			h.accept(raw)
		}
	}
	e := h.closeError(ConnLost, l.EndReading(err))
	h.cancelCalls(e)
	return e
}

// waitForRoom blocks while as many messages wait as may. It returns false if there is nothing more to
// read for: the link is closing because a write has failed, or because of the Hub's silence. The reader
// would not notice that by itself while it waits. After Close it reads on, so that the Hub's answer to
// the close frame is seen; accept drops what comes then.
func (h *HubConn) waitForRoom(l *socket.Link) bool {
	if !h.inbox.Full() || h.ctx.Err() != nil {
		return true
	}
	l.Pause()
	defer l.Resume()
	for h.inbox.Full() {
		select {
		case <-h.inbox.Room():
		case <-l.Closing():
			return h.ctx.Err() != nil
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
