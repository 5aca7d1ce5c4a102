package coder

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/agentuity/coder-go/internal/route"
	"github.com/agentuity/coder-go/internal/socket"
	"github.com/agentuity/coder-go/internal/transport"
	"github.com/agentuity/coder-go/internal/wire"
)

// maxRetryAfter is the longest wait a Hub may ask for.
const maxRetryAfter = time.Minute

var errHandshakeTimeout = errors.New("the Hub has not admitted the connection in time")

// establish makes one attempt: it finds the Hub, opens a socket and waits to be admitted. first is the
// message that admitted an observer in the place of init.
func (h *HubConn) establish() (l *socket.Link, first []byte, failure *HubConnError) {
	base, err := h.client.hubURL(h.ctx, h.op)
	if err != nil {
		var lost *RequestError
		passing := h.wasAdmitted() && (errors.As(err, &lost) || errors.Is(err, ErrUnavailable) || errors.Is(err, ErrRateLimited))
		return nil, nil, &HubConnError{Operation: h.op, Code: ConnFailed, SessionID: h.SessionID(), Err: err, passing: passing}
	}
	address, err := h.address(base)
	if err != nil {
		return nil, nil, &HubConnError{Operation: h.op, Code: ConnFailed, SessionID: h.SessionID(), Err: err}
	}
	bound, cancel := context.WithTimeout(h.ctx, h.options.HandshakeTimeout)
	defer cancel()
	l, failure = h.dial(bound, address)
	if failure == nil {
		stop := context.AfterFunc(bound, l.Cut)
		defer stop()
		h.adopt(l)
		first, failure = h.handshake(l)
		if failure == nil && !stop() { // the time was up after all
			failure = h.closeError(ConnFailed, l.EndReading(bound.Err()))
		}
		if failure == nil {
			return l, first, nil
		}
	}
	if failure.notSent && h.ctx.Err() == nil {
		h.client.hub.forget(base)
	}
	switch {
	case failure.Code == ConnRefused: // and whatever ended then, it was not to be
	case h.ctx.Err() != nil:
		failure.Code, failure.Err = "", ErrConnClosed
	case bound.Err() != nil:
		failure.Err = errHandshakeTimeout
		failure.passing = failure.passing && h.wasAdmitted()
	}
	return nil, nil, failure
}

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
func (h *HubConn) adopt(l *socket.Link) {
	h.setState(StateAuthenticating)
	h.mu.Lock()
	h.link = l
	h.mu.Unlock()
	h.links <- l
}

// dial opens a socket.
func (h *HubConn) dial(ctx context.Context, address string) (*socket.Link, *HubConnError) {
	creating := h.SessionID() == ""
	l, failed := socket.Dial(ctx, address, socket.Options{
		Client: h.client.sockets, Header: h.client.header(false), Once: creating, ReadLimit: h.client.maxResponseSize,
	})
	if failed == nil {
		return l, nil
	}
	e := &HubConnError{Operation: h.op, Code: ConnFailed, SessionID: h.SessionID()}
	if failed.Answer != nil {
		h.refusedDial(e, failed.Answer, creating)
		if e.Err == nil { // the library quotes headers
			e.Err = errors.New(h.client.redact(failed.Error()))
		}
		return nil, e
	}
	e.Err = failed.Err
	e.notSent = failed.NeverSent
	e.outcomeUnknown = creating && !e.notSent
	e.passing = !e.outcomeUnknown && !failureOf(failed.Err).Permanent()
	if dns := (*net.DNSError)(nil); errors.As(failed.Err, &dns) && dns.IsNotFound { // an outage, or a slip of the pen
		e.passing = e.passing && h.wasAdmitted()
	}
	return nil, e
}

// refusedDial describes an answer other than a socket.
func (h *HubConn) refusedDial(e *HubConnError, answered *socket.Answer, creating bool) {
	if answered.Status == http.StatusSwitchingProtocols {
		e.outcomeUnknown = creating
		return
	}
	a := &answer{
		request: &request{op: h.op, method: http.MethodGet, path: "/ws"},
		outcome: &transport.Outcome{Status: answered.Status, Header: answered.Header, Text: answered.Body, Attempts: 1},
		redact:  h.client.redact,
	}
	api := a.apiError()
	e.Err = api
	e.retryAfter = api.RetryAfter
	e.passing = api.failure.Transient() && e.retryAfter <= maxRetryAfter
	if creating {
		e.passing = e.passing && api.failure.Repeats(false)
		e.outcomeUnknown = api.failure.Unknown()
	}
}

// handshake reads until the Hub has admitted or refused the link. first is the message that admitted
// an observer in the place of init.
func (h *HubConn) handshake(l *socket.Link) (first []byte, failure *HubConnError) {
	for {
		raw, err := l.Read()
		if err != nil {
			return nil, h.closeError(ConnFailed, l.EndReading(err))
		}
		if e := h.refusal(raw); e != nil {
			l.Close(int(CloseAuthRequired), "Auth failed", e)
			for err == nil {
				_, err = l.Read()
			}
			_ = l.EndReading(err)
			if code, reason, ok := socket.CloseFrame(err); ok && CloseCode(code) != CloseAuthRequired { // no echo of ours
				e.CloseCode, e.CloseReason = CloseCode(code), h.client.redact(reason)
			}
			return nil, e
		}
		switch m := decodeServerMessage(raw).(type) {
		case *HubInitMessage:
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

// refusal returns the error of a frame that refuses the connection.
func (h *HubConn) refusal(raw []byte) *HubConnError {
	var frame struct {
		Type    string          `json:"type"`
		Error   json.RawMessage `json:"error"`
		Code    string          `json:"code"`
		Message string          `json:"message"`
	}
	_ = wire.Unmarshal(raw, &frame) // what is no JSON refuses nothing
	e := &HubConnError{Operation: h.op, Code: ConnRefused, SessionID: h.SessionID()}
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
	e.ServerCode, e.ServerMessage = h.client.redact(e.ServerCode), h.client.redact(e.ServerMessage)
	return e
}

// closeError is the error of a link that was open.
func (h *HubConn) closeError(code HubConnErrorCode, cause error) *HubConnError {
	creating := h.SessionID() == ""
	e := &HubConnError{
		Operation: h.op, Code: code, SessionID: h.SessionID(), Err: cause, passing: !creating, outcomeUnknown: creating,
	}
	if code, reason, ok := socket.CloseFrame(cause); ok {
		e.Err, e.Code = nil, ConnLost
		e.CloseCode, e.CloseReason = CloseCode(code), h.client.redact(reason)
		e.passing = e.passing && !e.CloseCode.Terminal()
		e.outcomeUnknown = e.outcomeUnknown && !e.CloseCode.refuses()
	}
	if errors.Is(cause, socket.ErrTooLarge) {
		e.passing = false // the next connection would bring it again
		e.Err = &flaw{fmt.Sprintf("a message is larger than %d bytes", h.client.maxResponseSize), ErrResponseTooLarge}
	}
	return e
}
