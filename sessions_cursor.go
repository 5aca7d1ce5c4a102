package coder

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
)

// Cursor is a place in the history of a session, right after an event: text without blanks, to be stored. It names the Hub,
// the session and the event, and holds nothing secret. "" is the beginning.
type Cursor string

// cursorPrefix begins a cursor, with the version of its form.
const cursorPrefix = "cursor1"

func newCursor(hub, sessionID string, id int) Cursor {
	return Cursor(strings.Join([]string{cursorPrefix, hub, base64.RawURLEncoding.EncodeToString([]byte(sessionID)), strconv.Itoa(id)}, "."))
}

// hubName stands for a Hub in cursors.
func hubName(base string) string {
	sum := sha256.Sum256([]byte(base))
	return hex.EncodeToString(sum[:8])
}

// of returns the id of the event, if the cursor is one of this Hub and session.
func (c Cursor) of(hub, sessionID string) (int, error) {
	const field = "After"
	if c == "" {
		return 0, nil
	}
	parts := strings.Split(string(c), ".")
	if len(parts) != 4 || parts[0] != cursorPrefix {
		return 0, invalid(watchOp, field, "is no cursor")
	}
	session, err := base64.RawURLEncoding.DecodeString(parts[2])
	id, bad := strconv.Atoi(parts[3])
	foreign := &ValidationError{Operation: watchOp, Field: field, Err: ErrForeignCursor}
	switch {
	case err != nil, bad != nil, id < 0, newCursor(parts[1], string(session), id) != c: // base64 and numbers have several forms
		return 0, invalid(watchOp, field, "is no cursor")
	case string(session) != sessionID:
		foreign.Reason = "is a cursor of another session"
	case parts[1] != hub:
		foreign.Reason = "is a cursor of another Hub, or of this one by another URL"
	default:
		return id, nil
	}
	return 0, foreign
}
