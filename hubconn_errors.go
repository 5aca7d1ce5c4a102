package coder

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
)

// HubConnErrorCode is the kind of a [HubConnError].
type HubConnErrorCode string

// The kinds of errors of connections.
const (
	ConnFailed             HubConnErrorCode = "connection_failed"       // no connection came about
	ConnRefused            HubConnErrorCode = "auth_failed"             // the Hub refused it in words, credentials or not
	ConnLost               HubConnErrorCode = "connection_error"        // it was closed or broke
	ConnReconnectsExceeded HubConnErrorCode = "max_reconnects_exceeded" // too many attempts
	ConnInvalidResponse    HubConnErrorCode = "invalid_response"        // a response that is of no use
	ConnCommandFailed      HubConnErrorCode = "command_failed"          // the Hub or the lead said no
)

// HubConnError is what goes wrong with a [HubConn]: it does not come about, it is lost, or a
// request over it fails.
//
// It matches the sentinel that belongs to its close code or status, such as [ErrSessionNotFound],
// [ErrReconnectsExceeded] where that is the case, and [ErrOutcomeUnknown] if what was asked for may
// have happened: a session may have been created, a message may have arrived. If a context ended
// it, it also matches [context.Canceled] or [context.DeadlineExceeded].
type HubConnError struct {
	// Operation is the method that was called.
	Operation string
	// Code is the kind of error. It is empty if the connection was closed by the caller or the
	// context ended.
	Code HubConnErrorCode
	// SessionID is the session, as far as it is known.
	SessionID string
	// CloseCode is the code the Hub closed the connection with, 0 if it did not.
	CloseCode CloseCode
	// CloseReason is the Hub's reason for that.
	CloseReason string
	// ServerCode is the code of the message that refused the connection, such as "session_expired".
	ServerCode string
	// ServerMessage is its text, or that of a command that failed.
	ServerMessage string
	// ServerMessageType is its type: "connection_rejected", "protocol_error", or "error".
	ServerMessageType string
	// Err is the cause, if there is one: an [*APIError] if the Hub answered with a status.
	Err error

	outcomeUnknown bool
	notSent        bool          // not even a connection to the host
	passing        bool          // another attempt may do better
	retryAfter     time.Duration // but not before
}

// Error says what failed and why.
func (e *HubConnError) Error() string {
	var b strings.Builder
	b.WriteString("coder: " + e.Operation)
	if text := connErrorTexts[e.Code]; text != "" {
		b.WriteString(": " + text)
	}
	for _, said := range []string{e.ServerCode, e.ServerMessage} {
		if said != "" {
			b.WriteString(": " + shorten(said))
		}
	}
	switch {
	case e.Err != nil:
		b.WriteString(": " + strings.TrimPrefix(e.Err.Error(), "coder: "))
	case e.CloseCode != 0:
		b.WriteString(": closed with " + e.CloseCode.String())
		if e.CloseReason != "" {
			fmt.Fprintf(&b, " (%s)", shorten(e.CloseReason))
		}
	}
	if e.outcomeUnknown {
		b.WriteString("; it may have taken effect")
	}
	return b.String()
}

var connErrorTexts = map[HubConnErrorCode]string{
	ConnFailed:             "no connection",
	ConnRefused:            "the Hub refused the connection",
	ConnLost:               "the connection was lost",
	ConnReconnectsExceeded: "too many attempts to connect",
	ConnInvalidResponse:    "unusable response",
	ConnCommandFailed:      "the command failed",
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

// LogValue is what package slog logs.
func (e *HubConnError) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("operation", e.Operation), slog.String("code", string(e.Code))}
	if e.SessionID != "" {
		attrs = append(attrs, slog.String("session_id", e.SessionID))
	}
	if e.CloseCode != 0 {
		attrs = append(attrs, slog.Int("close_code", int(e.CloseCode)))
	}
	return slog.GroupValue(append(attrs, slog.String("error", e.Error()))...)
}

// as is the error as that of another method.
func (e *HubConnError) as(op string) *HubConnError {
	other := *e
	other.Operation = op
	return &other
}
