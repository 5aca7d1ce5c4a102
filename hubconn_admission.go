package coder

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/agentuity/coder-go/internal/route"
	"github.com/agentuity/coder-go/internal/transport"
	"github.com/agentuity/coder-go/internal/wire"
)

// maxRetryAfter is the longest wait a Hub may ask for.
const maxRetryAfter = time.Minute

var errHandshakeTimeout = errors.New("the Hub has not admitted the connection in time")

// establish makes one attempt: it finds the Hub, opens a socket and waits to be admitted.
func (h *HubConn) establish() (*link, *HubConnError) {
	base, err := h.client.hubURL(h.ctx, h.op)
	if err != nil {
		var lost *RequestError
		passing := h.wasAdmitted() && (errors.As(err, &lost) || errors.Is(err, ErrUnavailable) || errors.Is(err, ErrRateLimited))
		return nil, &HubConnError{Operation: h.op, Code: ConnFailed, SessionID: h.SessionID(), Err: err, passing: passing}
	}
	address, err := h.address(base)
	if err != nil {
		return nil, &HubConnError{Operation: h.op, Code: ConnFailed, SessionID: h.SessionID(), Err: err}
	}
	bound, cancel := context.WithTimeout(h.ctx, h.options.HandshakeTimeout)
	defer cancel()
	l := newLink(context.WithoutCancel(h.ctx))
	stop := context.AfterFunc(bound, l.kill)
	defer stop()

	failure := h.dial(l, address)
	if failure == nil {
		h.adopt(l)
		failure = h.handshake(l)
		if failure == nil && !stop() { // the time was up after all
			failure = h.closeError(ConnFailed, l.end(bound.Err()))
		}
	}
	if failure == nil {
		return l, nil
	}
	l.kill()
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
	return nil, failure
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

// adopt makes an open link known to those who close it and to the writer.
func (h *HubConn) adopt(l *link) {
	h.setState(StateAuthenticating)
	h.mu.Lock()
	h.link = l
	closed := h.closed
	h.mu.Unlock()
	if closed {
		l.kill()
	}
	h.links <- l
}

// dial opens the socket of a link.
func (h *HubConn) dial(l *link, address string) *HubConnError {
	creating := h.SessionID() == ""
	client := *h.client.sockets
	client.Transport = &upgrade{base: client.Transport, link: l, once: creating}
	var asked, had atomic.Int32 // connections; the hooks run on other goroutines
	ctx := httptrace.WithClientTrace(l.ctx, &httptrace.ClientTrace{
		GetConn: func(string) { asked.Add(1) },
		GotConn: func(httptrace.GotConnInfo) { had.Add(1) },
	})
	ws, resp, err := websocket.Dial(ctx, address, &websocket.DialOptions{HTTPClient: &client, HTTPHeader: h.client.header(false)}) //nolint:bodyclose // the library closes it
	if err == nil {
		ws.SetReadLimit(h.client.maxResponseSize)
		l.ws = ws
		return nil
	}
	e := &HubConnError{Operation: h.op, Code: ConnFailed, SessionID: h.SessionID()}
	if resp != nil {
		h.refusedDial(e, resp, creating)
		if e.Err == nil { // the library quotes headers
			e.Err = errors.New(h.client.redact(err.Error()))
		}
		return e
	}
	e.Err = err
	if u := (*url.Error)(nil); errors.As(err, &u) { // its text holds the query
		e.Err = u.Err
	}
	e.notSent = asked.Load() > 0 && had.Load() == 0
	e.outcomeUnknown = creating && !e.notSent
	e.passing = !e.outcomeUnknown && !failureOf(err).Permanent()
	if dns := (*net.DNSError)(nil); errors.As(err, &dns) && dns.IsNotFound { // an outage, or a slip of the pen
		e.passing = e.passing && h.wasAdmitted()
	}
	return e
}

// refusedDial describes an answer other than a socket.
func (h *HubConn) refusedDial(e *HubConnError, resp *http.Response, creating bool) {
	if resp.StatusCode == http.StatusSwitchingProtocols {
		e.outcomeUnknown = creating
		return
	}
	text, _ := io.ReadAll(resp.Body) // the library has cut it to 1 KiB
	a := &answer{
		request: &request{op: h.op, method: http.MethodGet, path: "/ws"},
		outcome: &transport.Outcome{Status: resp.StatusCode, Header: resp.Header, Text: text, Attempts: 1},
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

// handshake reads until the Hub has admitted or refused the link.
func (h *HubConn) handshake(l *link) *HubConnError {
	for {
		raw, err := l.read()
		if err != nil {
			return h.closeError(ConnFailed, l.end(err))
		}
		if e := h.refusal(raw); e != nil {
			l.shut(websocket.StatusCode(CloseAuthRequired), "Auth failed", e)
			for err == nil {
				_, err = l.read()
			}
			_ = l.end(err)
			var closed websocket.CloseError
			if errors.As(err, &closed) && closed.Code != websocket.StatusCode(CloseAuthRequired) { // no echo of ours
				e.CloseCode, e.CloseReason = CloseCode(closed.Code), h.client.redact(closed.Reason)
			}
			return e
		}
		switch m := decodeServerMessage(raw).(type) {
		case *HubInitMessage:
			h.mu.Lock()
			h.init = m
			if m.SessionID != "" {
				h.sessionID = m.SessionID
			}
			h.mu.Unlock()
			l.greet = h.options.Role == RoleController
			return nil
		case *UnknownMessage:
		default:
			if h.options.Role == RoleObserver {
				h.mu.Lock()
				h.init = nil
				h.mu.Unlock()
				l.first = raw
				return nil
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
	var closed websocket.CloseError
	switch {
	case errors.As(cause, &closed):
		e.Err, e.Code = nil, ConnLost
		e.CloseCode, e.CloseReason = CloseCode(closed.Code), h.client.redact(closed.Reason)
		e.passing = e.passing && !e.CloseCode.Terminal()
		e.outcomeUnknown = e.outcomeUnknown && !e.CloseCode.refuses()
	case errors.Is(cause, websocket.ErrMessageTooBig):
		e.passing = false // the next connection would bring it again
		e.Err = &flaw{fmt.Sprintf("a message is larger than %d bytes", h.client.maxResponseSize), ErrResponseTooLarge}
	}
	return e
}
