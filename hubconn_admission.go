package coder

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/agentuity/coder-go/internal/quote"
	"github.com/agentuity/coder-go/internal/route"
	"github.com/agentuity/coder-go/internal/socket"
	"github.com/agentuity/coder-go/internal/transport"
	"github.com/agentuity/coder-go/internal/wire"
)

// maxRetryAfter is the longest wait a Hub may ask for.
const maxRetryAfter = time.Minute

var errHandshakeTimeout = errors.New("the Hub has not admitted the connection in time")

// failedAttempt is an attempt to connect that failed, or a connection that was lost.
type failedAttempt struct {
	err        *HubConnError
	failure    transport.Failure
	retryAfter time.Duration
	opened     bool // the socket was open
	final      bool // before the Hub has admitted the connection once, there is no other attempt
}

// isTransient reports whether there is another attempt. Exceptions: an attempt that creates a session is
// repeated only if it certainly had no effect, and never once its socket was open; an attempt that is final,
// or for which the program had no key, is the last until the Hub has admitted the connection once.
func (h *HubConn) isTransient(f *failedAttempt) bool {
	switch {
	case f.failure == transport.NoCredential: // may be had later, but nothing is known to have worked
		return h.wasAdmitted()
	case !f.failure.Transient(), f.retryAfter > maxRetryAfter, f.final && !h.wasAdmitted():
		return false
	case h.SessionID() == "":
		return !f.opened && !f.err.outcomeUnknown && f.failure.Repeats(false)
	}
	return true
}

// establish makes one attempt: it finds the Hub, opens a socket and waits to be admitted. first is the
// message that admitted an observer in the place of init.
func (h *HubConn) establish() (l *socket.Link, first []byte, failed *failedAttempt) {
	var by time.Time
	if !h.wasAdmitted() {
		by = h.awaited
	}
	if !h.client.gate.ConnectBy(h.ctx, by) {
		return nil, nil, &failedAttempt{err: h.newError(h.op, "", ErrConnClosed)}
	}
	bound, cancel := context.WithTimeout(h.ctx, h.options.HandshakeTimeout)
	defer cancel()
	base, err := h.client.hubURL(bound, h.op)
	if err == nil {
		l, first, failed = h.establishAt(bound, base)
	} else { // discovery has made attempts of its own
		failed = &failedAttempt{err: h.newError(h.op, ConnFailed, err), failure: failureOf(err), final: true}
	}
	switch {
	case failed == nil, failed.err.Code == ConnRefused: // a refusal is kept, also if the context has ended meanwhile
	case h.ctx.Err() != nil:
		failed.err.Code, failed.err.Err = "", ErrConnClosed
	case bound.Err() != nil:
		failed.err.Err, failed.failure, failed.final = errHandshakeTimeout, transport.Lost, true
	}
	if failed != nil {
		failed.err.failure = failed.failure
	}
	return l, first, failed
}

// establishAt is establish with a Hub that was found.
func (h *HubConn) establishAt(bound context.Context, base string) (*socket.Link, []byte, *failedAttempt) {
	address, err := h.address(base)
	if err != nil {
		return nil, nil, &failedAttempt{err: h.newError(h.op, ConnFailed, err), failure: transport.Rejected}
	}
	header, key := h.client.header(false), ""
	if rotating := h.client.credential; rotating != nil {
		if key, err = rotating.put(bound, header, ""); err != nil {
			return nil, nil, h.withoutKey(err)
		}
	}
	l, first, failed := h.admission(bound, base, address, header, key)
	if rotating := h.client.credential; failed != nil && rotating != nil && failed.unauthorized() && bound.Err() == nil {
		header = header.Clone() // the dial before may still be reading its own
		switch next, err := rotating.put(bound, header, key); {
		case err != nil:
			return nil, nil, h.withoutKey(err)
		case next != key:
			return h.admission(bound, base, address, header, next)
		}
	}
	return l, first, failed
}

// withoutKey is an attempt for which the program had no key.
func (h *HubConn) withoutKey(err error) *failedAttempt {
	return &failedAttempt{err: h.newError(h.op, ConnFailed, err), failure: failureOf(err)}
}

// unauthorized reports whether the Hub may have refused the key, and has done nothing else. The codes of the
// messages that refuse a connection are not known: each may be about the key that comes without a close code which
// says something else.
func (f *failedAttempt) unauthorized() bool {
	e := f.err
	rejected := e.Code == ConnRefused && e.ServerMessageType == typeRejected && e.CloseCode == 0
	return !e.outcomeUnknown && (rejected || errors.Is(e, ErrUnauthorized))
}

// admission opens a socket and waits to be admitted.
func (h *HubConn) admission(bound context.Context, base, address string, header http.Header, key string) (*socket.Link, []byte, *failedAttempt) {
	l, failed := h.dial(bound, address, header)
	if failed != nil {
		if failed.failure.NeverSent() && h.ctx.Err() == nil {
			h.client.hub.forget(base)
		}
		return nil, nil, failed
	}
	stop := context.AfterFunc(bound, l.Cut)
	defer stop()
	h.adopt(l, key)
	first, failed := h.handshake(l)
	if failed == nil && !stop() { // the time was up in the last moment: the link is being cut
		failed = h.lost(ConnFailed, l.EndReading(bound.Err()))
	}
	if failed != nil {
		return nil, nil, failed
	}
	return l, first, nil
}

// wasAdmitted reports whether the Hub has admitted the connection, now or before.
func (h *HubConn) wasAdmitted() bool {
	select {
	case <-h.admitted:
		return true
	default:
		return false
	}
}

// address is the URL to connect to.
func (h *HubConn) address(base string) (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	query, err := h.options.query(h.sessionID, h.client.orgID(), h.subscribe)
	if err != nil {
		return "", err
	}
	path, err := route.Path("/ws")
	return "ws" + strings.TrimPrefix(base, "http") + "/api" + path + query, err
}

// adopt makes an open link known to Close and to the writer.
func (h *HubConn) adopt(l *socket.Link, key string) {
	h.setState(StateAuthenticating)
	h.mu.Lock()
	h.link = l
	h.mu.Unlock()
	greeting := h.client.hello
	if h.client.credential != nil {
		greeting = hello(key, h.client.orgID())
	}
	h.serve(l, greeting())
}

// dial opens a socket.
func (h *HubConn) dial(ctx context.Context, address string, header http.Header) (*socket.Link, *failedAttempt) {
	creating := h.SessionID() == ""
	l, dial := socket.Dial(ctx, address, socket.Options{
		Client: h.client.sockets, Header: header, Once: creating, ReadLimit: h.client.maxResponseSize,
		Values: h.ctx, OnClosing: h.closing,
	})
	if dial == nil {
		return l, nil
	}
	failed := &failedAttempt{err: h.newError(h.op, ConnFailed, dial.Err)}
	switch a := dial.Answer; {
	case a == nil:
		failed.failure = failureOf(dial.Err)
		if dial.NeverSent && !failed.failure.NeverSent() {
			failed.failure = transport.NeverSent
		}
		// A host that does not exist is a mistake in the URL, or an outage of one that was there.
		failed.final = failed.failure == transport.UnknownHost
		failed.err.outcomeUnknown = creating && !dial.NeverSent
	case a.Status == http.StatusSwitchingProtocols: // but the upgrade is broken
		failed.failure = transport.Unusable
		failed.err.Err = errors.New(h.client.secret.Text(dial.Error())) // the library quotes headers
		failed.err.outcomeUnknown = creating
	default:
		api := h.upgradeError(a)
		failed.err.Err, failed.failure, failed.retryAfter = api, api.failure, api.RetryAfter
		h.client.transport.TooMany(h.ctx, a.Status, a.Header)
		if api.failure == transport.None { // a 2xx: nobody has seen that an upgrade was asked for
			failed.failure = transport.Unusable
		} else {
			failed.err.outcomeUnknown = creating && failed.failure.Unknown()
		}
	}
	return nil, failed
}

// upgradeError is the error of an HTTP answer in the place of a WebSocket.
func (h *HubConn) upgradeError(a *socket.Answer) *APIError {
	refused := &response{
		request: &request{op: h.op, method: http.MethodGet, route: wsRoute, path: wsRoute},
		outcome: &transport.Outcome{Status: a.Status, Header: a.Header, Text: a.Body, Attempts: 1},
		secret:  h.client.secret,
	}
	return refused.apiError()
}

// handshake reads until the Hub has admitted or refused the link. first is the message that admitted
// an observer in the place of init.
func (h *HubConn) handshake(l *socket.Link) (first []byte, failed *failedAttempt) {
	for {
		raw, err := l.Read()
		if err == nil {
			err = wire.CheckCost(raw)
		}
		if err != nil {
			return nil, h.lost(ConnFailed, l.EndReading(err))
		}
		if e := h.refusal(raw); e != nil {
			return nil, h.refuse(l, e, CloseAuthRequired, "Auth failed")
		}
		switch m := decodeServerMessage(raw).(type) {
		case *HubInitMessage:
			if asked := h.SessionID(); asked != "" && m.SessionID != "" && m.SessionID != asked {
				e := h.newError(h.op, ConnFailed, fmt.Errorf("the Hub has answered for session %q, and %q was asked for",
					quote.Line(m.SessionID), quote.Line(asked)))
				return nil, h.refuse(l, e, CloseNormal, "Another session")
			}
			h.mu.Lock()
			h.init = m
			if m.SessionID != "" {
				h.sessionID = m.SessionID
			}
			h.mu.Unlock()
			return nil, nil
		case *UnknownMessage:
		default:
			if h.options.Role == RoleObserver {
				h.mu.Lock()
				h.init = nil
				h.mu.Unlock()
				return raw, nil
			}
		}
	}
}

// refuse closes a link that must not be used, because of e, and tells the Hub so with a close frame. If the
// Hub closes with a code of its own, e has it.
func (h *HubConn) refuse(l *socket.Link, e *HubConnError, code CloseCode, reason string) *failedAttempt {
	l.Close(int(code), reason, e)
	var err error
	for err == nil {
		_, err = l.Read()
	}
	_ = l.EndReading(err)
	if closed, reason, ok := socket.CloseFrame(err); ok && CloseCode(closed) != code { // not the echo of ours
		e.CloseCode, e.CloseReason = CloseCode(closed), h.client.secret.Text(reason)
	}
	return &failedAttempt{err: e, failure: transport.Rejected, opened: true}
}

// refusal returns the error of a frame that refuses the connection.
func (h *HubConn) refusal(raw []byte) *HubConnError {
	var frame struct {
		Type    string          `json:"type"`
		Error   json.RawMessage `json:"error"`
		Code    string          `json:"code"`
		Message string          `json:"message"`
	}
	_ = wire.Unmarshal(raw, &frame) // a frame that is not JSON refuses nothing
	e := h.newError(h.op, ConnRefused, nil)
	switch text := string(frame.Error); {
	case text != "" && text != "null" && text != "false" && text != "0" && text != `""`:
		var said string
		if json.Unmarshal(frame.Error, &said) != nil {
			said = text
		}
		e.ServerMessageType, e.ServerCode, e.ServerMessage = typeError, frame.Code, said
	case frame.Type == typeRejected, frame.Type == typeProtocol:
		e.ServerMessageType, e.ServerCode, e.ServerMessage = frame.Type, frame.Code, frame.Message
	default:
		return nil
	}
	e.ServerCode, e.ServerMessage = h.client.secret.Text(e.ServerCode), h.client.secret.Text(e.ServerMessage)
	return e
}

// lost describes a link that was open and has ended.
func (h *HubConn) lost(code HubConnErrorCode, cause error) *failedAttempt {
	e := h.newError(h.op, code, cause)
	e.outcomeUnknown = h.SessionID() == ""
	failed := &failedAttempt{err: e, failure: transport.Lost, opened: true}
	if code, reason, ok := socket.CloseFrame(cause); ok {
		e.Err, e.Code = nil, ConnLost
		e.CloseCode, e.CloseReason = CloseCode(code), h.client.secret.Text(reason)
		e.outcomeUnknown = e.outcomeUnknown && !e.CloseCode.refuses()
		expired := e.CloseCode == CloseAuthRequired && h.client.credential != nil && h.wasAdmitted()
		if e.CloseCode.Terminal() && !expired { // else the next connection has another key
			failed.failure = transport.Rejected
		}
	}
	switch { // the next connection would bring the same message again
	case errors.Is(cause, socket.ErrTooLarge):
		failed.failure = transport.Unusable
		e.Err = &reason{fmt.Sprintf("a message is larger than %d bytes", h.client.maxResponseSize), ErrResponseTooLarge}
	case errors.Is(cause, wire.ErrOutOfProportion):
		failed.failure = transport.Unusable
		e.Err = &reason{"a message: " + cause.Error(), errors.Join(ErrResponseTooLarge, cause)}
	}
	return failed
}
