package coder

import (
	"errors"
	"log/slog"
	"time"

	"github.com/agentuity/coder-go/internal/backoff"
	"github.com/agentuity/coder-go/internal/socket"
	"github.com/agentuity/coder-go/internal/transport"
	"github.com/agentuity/coder-go/internal/wire"
)

// run is the reader: it connects, reads, and connects again, until the connection is over.
func (h *HubConn) run() {
	err := h.live()
	h.cancelCalls(err)
	h.mu.Lock()
	h.err, h.state = err, StateClosed
	h.mu.Unlock()
	close(h.ended)
	defer close(h.told)
	if h.wasAdmitted() && h.ctx.Err() == nil {
		h.tellState(StateClosed, err)
	}
}

// tellState tells the program of a state. No lock is held.
func (h *HubConn) tellState(s HubConnState, err *HubConnError) {
	switch {
	case h.options.OnState == nil:
	case err == nil:
		h.options.OnState(s, nil)
	default:
		h.options.OnState(s, err)
	}
}

// live connects and reads until there is no further attempt, and returns why. If the caller has closed the
// connection, the error is not used.
func (h *HubConn) live() (ended *HubConnError) {
	var (
		attempts = backoff.Attempts{
			Max: h.options.MaxReconnectAttempts, Least: h.options.ReconnectDelay, Most: h.options.MaxReconnectDelay,
		}
		tries  int   // since the last connection
		cause  error // why the last connection was lost; nil: there was none
		lost   time.Time
		last   *HubConnError // of the attempt before
		teller = h.client.connectionTeller(h.ctx, h.op, wsRoute)
	)
	defer func() {
		if h.ctx.Err() != nil { // the program has closed it
			teller.over(nil)
		} else {
			teller.over(ended)
		}
	}()
	for {
		began, attempt := time.Now(), tries
		if cause == nil {
			attempt++ // the first is no reconnect
		}
		var (
			l      *socket.Link
			first  []byte
			failed = &failedAttempt{err: h.newError(h.op, ConnFailed, errExited), failure: transport.Rejected}
		)
		onOwnStack(func() {
			l, first, failed = h.establish()
			h.client.logger.LogAttrs(h.ctx, slog.LevelDebug, "coder hub connection", append(h.logged(began, failed), slog.Int("attempt", attempt))...)
		})
		if failed == nil {
			onOwnStack(func() {
				teller.there(attempt)
				h.admit(l, first, tries, cause, lost)
			})
			tries, last, began = 0, nil, time.Now()
			failed = h.receive(l, &socketHealth{attempts: &attempts})
			cause, lost = failed.err, time.Now()
			teller.ends()
			onOwnStack(func() {
				h.client.logger.LogAttrs(h.ctx, slog.LevelDebug, "coder hub connection ended", h.logged(began, failed)...)
			})
		} else if h.ctx.Err() == nil {
			teller.failed(attempt, failed.err)
		}
		err := failed.err
		switch {
		case h.ctx.Err() != nil:
			if last != nil { // why there was no connection; err only says that the context ended
				last = last.as(h.op)
				last.outcomeUnknown = err.outcomeUnknown
				return last
			}
			return err
		case !h.isTransient(failed), attempts.Max == 0:
			return err
		}
		wait, more := attempts.Next()
		if !more {
			return h.exceeded(err)
		}
		h.setState(StateReconnecting)
		teller.gone(err)
		if cause != nil && last == nil { // the first failure since the connection
			h.tellState(StateReconnecting, err)
		}
		last = err
		if tries++; !backoff.Sleep(h.ctx, max(wait, failed.retryAfter)) {
			return err
		}
	}
}

// errExited is why there is no connection if code of the program, such as a RoundTripper, does not return to establish.
var errExited = errors.New("the goroutine that connects was ended by runtime.Goexit")

// exceeded is the error of a connection that is not tried again, since err was one failure too many.
func (h *HubConn) exceeded(err *HubConnError) *HubConnError {
	e := h.newError(h.op, ConnReconnectsExceeded, err)
	e.CloseCode, e.CloseReason = err.CloseCode, err.CloseReason
	e.failure, e.outcomeUnknown = err.failure, err.outcomeUnknown
	return e
}

// onOwnStack calls f on a goroutine of its own, and returns when it has. The stack that f needs is gone then, while that of a
// reader grows and stays: what is not done with every frame is done so.
func onOwnStack(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	<-done
}

// socketHealth decides whether an admitted connection has proved healthy. Only time spent reading counts,
// and only messages that a Hub does not send as a greeting.
type socketHealth struct {
	attempts *backoff.Attempts
	reading  time.Duration
	restored bool
}

func (s *socketHealth) read(d time.Duration) {
	if s.restored {
		return
	}
	switch s.reading += d; {
	case s.reading >= restoredAfter:
		s.restore()
	case s.reading >= healthyAfter:
		s.attempts.Succeeded()
	}
}

// note looks for a message that proves that the session is at work.
func (s *socketHealth) note(raw []byte) {
	if s.restored {
		return
	}
	var head struct {
		Type  string `json:"type"`
		Event string `json:"event"`
	}
	onOwnStack(func() {
		if wire.Unmarshal(raw, &head) != nil {
			head.Type = ""
		}
	})
	switch head.Type {
	case typeBroadcast:
		if head.Event != EventSessionJoin && head.Event != EventSessionLeave {
			s.restore()
		}
	case typeRPCEvent, typeRPCUIRequest, typeRPCResponse, typeRPCCommand:
		s.restore()
	}
}

func (s *socketHealth) restore() {
	s.restored = true
	s.attempts.Reset()
}

// logged describes an attempt to connect, or a connection that is lost.
func (h *HubConn) logged(began time.Time, failed *failedAttempt) []slog.Attr {
	attrs := []slog.Attr{
		slog.String("operation", h.op),
		slog.String("session_id", h.client.secret.Line(h.SessionID())),
		slog.Duration("duration", time.Since(began)),
	}
	if failed != nil {
		attrs = append(attrs, slog.String("error", failed.err.Error()))
	}
	return attrs
}

// admit begins the life of a link whose handshake is over.
func (h *HubConn) admit(l *socket.Link, first []byte, attempt int, cause error, lost time.Time) {
	h.op = "HubConn" // the call that made the connection is about to return
	h.setState(StateConnected)
	if cause != nil {
		back := &ReconnectedMessage{Attempt: attempt, Cause: cause, Down: time.Since(lost)}
		h.ear.deafened(func() { h.inbox.Put(inboxItem{message: back}) })
		h.tellState(StateConnected, nil)
	}
	if first != nil {
		h.accept(first)
	}
	h.pings.reset()
	l.Open(h.options.HeartbeatTimeout)
	h.opened(l)
	if cause == nil {
		close(h.admitted)
	}
}

// receive reads until the connection is lost, and returns why.
func (h *HubConn) receive(l *socket.Link, health *socketHealth) *failedAttempt {
	var err error
	for err == nil && h.waitForRoom(l) {
		var raw []byte
		began := time.Now()
		if raw, err = l.Read(); err == nil {
			err = wire.CheckCost(raw)
		}
		health.read(time.Since(began))
		if err == nil {
			health.note(raw)
			h.accept(raw)
		}
	}
	failed := h.lost(ConnLost, l.EndReading(err))
	failed.err.failure = failed.failure // before others have it
	h.cancelCalls(failed.err)
	h.failSend(failed.err)
	return failed
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

// accept gives a frame to the inbox, and to the call that waits for it, if there is one.
func (h *HubConn) accept(raw []byte) {
	if h.ctx.Err() != nil || h.pings.answeredBy(raw) {
		return
	}
	h.ear.hear(raw, func() { h.inbox.Put(inboxItem{raw: raw}) })
	h.settle(raw) // last: who waits for it may range over Messages next, and what was discarded is to be gone
}

// frameHead has the members that settle needs of a frame.
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

// settle gives a frame to the call that waits for it, and learns the id of the session.
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
		h.resolve(callID{true, head.Data.Response.ID}, callAnswer{raw: raw})
	case head.Type == typeRPCResponse:
		h.resolve(callID{true, head.Response.ID}, callAnswer{raw: raw})
	case head.Type == typeRPCFailure:
		h.failCommands(head.ID, head.Error)
	case head.Type != typeBroadcast && head.Type != typePresence:
		h.resolve(callID{false, head.ID}, callAnswer{raw: raw})
	}
}
