package coder

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"

	"github.com/agentuity/coder-go/internal/quote"
	"github.com/agentuity/coder-go/internal/transport"
)

// HubConnErrorCode is the kind of a [HubConnError].
type HubConnErrorCode string

// The kinds of errors of connections.
const (
	ConnFailed             HubConnErrorCode = "connection_failed"       // no connection could be established
	ConnRefused            HubConnErrorCode = "auth_failed"             // the Hub refused it with a message; not only for credentials
	ConnLost               HubConnErrorCode = "connection_error"        // the connection was closed, or failed; also by a Hub that refuses it with a close code
	ConnReconnectsExceeded HubConnErrorCode = "max_reconnects_exceeded" // too many attempts failed
	ConnInvalidResponse    HubConnErrorCode = "invalid_response"        // a response cannot be used
	ConnCommandFailed      HubConnErrorCode = "command_failed"          // the Hub or the lead refused the command, or it failed
	ConnUnanswered         HubConnErrorCode = "unanswered"              // the lead did not answer the command
)

// HubConnError says that a [HubConn] was not established, or was lost, or that a request over it failed.
//
// It matches the sentinel of its close code or status, such as [ErrSessionNotFound]. It matches
// [ErrReconnectsExceeded] if too many attempts to reconnect failed, and [ErrOutcomeUnknown] if the request
// may have taken effect: a session may have been created, a message may have arrived. If a context ended the
// operation, the error also matches [context.Canceled] or [context.DeadlineExceeded].
type HubConnError struct {
	// Operation is a method of [Client] or [HubConn], such as "Connect".
	Operation string
	// Code says what went wrong. It is empty if the connection was closed by the caller or the
	// context ended.
	Code HubConnErrorCode
	// SessionID is empty if the session is not known yet.
	SessionID string
	// The close code and close reason of the Hub. CloseCode is 0 if the Hub did not close the connection.
	CloseCode   CloseCode
	CloseReason string
	// The message that refused the connection: a code such as "session_expired", its text (also that of a
	// command that failed), and its type, which is "connection_rejected", "protocol_error" or "error".
	ServerCode        string
	ServerMessage     string
	ServerMessageType string
	// Err is the cause, if there is one: an [*APIError] if the Hub responded with a status.
	Err error

	failure        transport.Failure // of the connection; None for the errors of a command
	outcomeUnknown bool
}

// newHubConnError makes every HubConnError.
func newHubConnError(op, sessionID string, code HubConnErrorCode, err error) *HubConnError {
	return &HubConnError{Operation: op, SessionID: sessionID, Code: code, Err: err}
}

// newError makes an error with the id of the session, as far as it is known.
func (h *HubConn) newError(op string, code HubConnErrorCode, err error) *HubConnError {
	return newHubConnError(op, h.client.secret.Text(h.SessionID()), code, h.client.secret.Error(err))
}

// Error says what failed and why.
func (e *HubConnError) Error() string {
	text := "coder: " + e.Operation + ": " + e.inner()
	if e.outcomeUnknown {
		text += "; it may have taken effect"
	}
	return text
}

func (e *HubConnError) inner() string {
	var parts []string
	switch text := connErrorTexts[e.Code]; {
	case e.Code == ConnLost && e.CloseCode.Terminal():
		parts = append(parts, "the Hub has ended the connection")
	case text != "":
		parts = append(parts, text)
	}
	for _, said := range []string{e.ServerCode, e.ServerMessage} {
		if said != "" {
			parts = append(parts, quote.Line(said))
		}
	}
	switch {
	case e.Err != nil:
		parts = append(parts, strings.TrimPrefix(innerText(e.Err), "coder: "))
	case e.CloseCode != 0 && e.CloseReason != "":
		parts = append(parts, fmt.Sprintf("closed with %s (%s)", e.CloseCode, quote.Line(e.CloseReason)))
	case e.CloseCode != 0:
		parts = append(parts, "closed with "+e.CloseCode.String())
	}
	return strings.Join(parts, ": ")
}

var connErrorTexts = map[HubConnErrorCode]string{
	ConnFailed:             "no connection",
	ConnRefused:            "the Hub refused the connection",
	ConnLost:               "the connection was lost",
	ConnReconnectsExceeded: "too many attempts to connect",
	ConnInvalidResponse:    "unusable response",
	ConnCommandFailed:      "the command failed",
	ConnUnanswered:         "no answer",
}

// Unwrap returns the cause.
func (e *HubConnError) Unwrap() error { return e.Err }

// Is matches the sentinels of the code and of the close code.
func (e *HubConnError) Is(target error) bool {
	switch target {
	case ErrOutcomeUnknown:
		return e.outcomeUnknown
	case ErrReconnectsExceeded:
		return e.Code == ConnReconnectsExceeded
	case ErrUnauthorized:
		if e.ServerMessageType == typeError {
			return true
		}
	}
	return slices.Contains(byClose[e.CloseCode], target)
}

// LogValue returns what package slog logs for the error.
func (e *HubConnError) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("operation", e.Operation), slog.String("code", string(e.Code))}
	if e.SessionID != "" {
		attrs = append(attrs, slog.String("session_id", quote.Line(e.SessionID)))
	}
	if e.CloseCode != 0 {
		attrs = append(attrs, slog.Int("close_code", int(e.CloseCode)))
	}
	return slog.GroupValue(append(attrs, slog.String("error", e.Error()))...)
}

// as returns a copy of the error, which others may have too, for another operation.
func (e *HubConnError) as(op string) *HubConnError {
	other := *e
	other.Operation = op
	return &other
}

// closedError is the error of every call after the connection was closed by the caller.
func (h *HubConn) closedError(op string) *HubConnError {
	return h.newError(op, "", ErrConnClosed)
}

// finalError is the error of every call after the reader has ended.
func (h *HubConn) finalError(op string) *HubConnError {
	if h.ctx.Err() != nil {
		return h.closedError(op)
	}
	e := h.err.as(op)
	e.outcomeUnknown = false // this call was not sent, whatever became of the one that ended the connection
	return e
}

// ctxError is the error of a call whose context has ended.
func (h *HubConn) ctxError(ctx context.Context, op string) *HubConnError {
	return h.newError(op, "", contextError(ctx, ctx.Err(), nil))
}

// CloseCode is the code a WebSocket connection is closed with. Unknown codes are kept as they came.
type CloseCode int

// The codes of the protocol that Hubs and gateways are known to use.
const (
	CloseNormal        CloseCode = 1000
	CloseGoingAway     CloseCode = 1001 // a restart
	CloseTooLarge      CloseCode = 1009 // a message is larger than the server takes
	CloseInternalError CloseCode = 1011
)

// The codes of the Hub.
const (
	CloseBadRequest      CloseCode = 4400 // invalid parameters
	CloseAuthRequired    CloseCode = 4401 // credentials missing or wrong
	CloseForbidden       CloseCode = 4403 // not permitted
	CloseSessionNotFound CloseCode = 4404 // no such session
	CloseUnavailable     CloseCode = 4408 // unavailable for now: connect again later
	CloseSessionActive   CloseCode = 4409 // another lead is connected
	CloseStaleDriver     CloseCode = 4410 // a newer instance of the driver has connected
	CloseRateLimited     CloseCode = 4429 // too many requests: connect again later
	CloseHubFailure      CloseCode = 4500 // the Hub failed
)

// Terminal reports whether it is useless to connect again: all codes from 4000 to 4999 are terminal,
// known or not, except 4408 and 4429.
func (c CloseCode) Terminal() bool {
	return c >= 4000 && c <= 4999 && c != CloseUnavailable && c != CloseRateLimited
}

// String returns the number and, for the codes of the Hub, the Hub's name for it.
func (c CloseCode) String() string {
	number := strconv.Itoa(int(c))
	if name := closeNames[c]; name != "" {
		return number + " " + name
	}
	return number
}

var closeNames = map[CloseCode]string{
	CloseBadRequest:      "BAD_REQUEST",
	CloseAuthRequired:    "AUTH_REQUIRED",
	CloseForbidden:       "FORBIDDEN",
	CloseSessionNotFound: "SESSION_NOT_FOUND",
	CloseUnavailable:     "UNAVAILABLE",
	CloseSessionActive:   "SESSION_ACTIVE",
	CloseStaleDriver:     "STALE_DRIVER",
	CloseRateLimited:     "RATE_LIMITED",
	CloseHubFailure:      "INTERNAL_ERROR",
}

// byClose says which sentinels a close code matches.
var byClose = map[CloseCode][]error{
	CloseBadRequest:      {ErrInvalidRequest},
	CloseAuthRequired:    {ErrUnauthorized},
	CloseForbidden:       {ErrForbidden},
	CloseSessionNotFound: {ErrSessionNotFound, ErrNotFound},
	CloseUnavailable:     {ErrUnavailable},
	CloseSessionActive:   {ErrConflict},
	CloseStaleDriver:     {ErrConflict},
	CloseRateLimited:     {ErrRateLimited},
}

// refuses reports whether the Hub refused the connection, so that it has not created a session.
func (c CloseCode) refuses() bool {
	return c.Terminal() && byClose[c] != nil || c == CloseRateLimited
}
