package codertest

import (
	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest/internal/world"
	"github.com/agentuity/coder-go/internal/wire"
)

// Status returns the status of the session. Unlike a GET request this does not
// move the session on, and takes no step of a Script.
func (c *SessionControl) Status() string { return c.session.Look().Status }

// Task returns the task that the session was created with.
func (c *SessionControl) Task() string { return c.session.Look().Task }

// Label returns the label of the session.
func (c *SessionControl) Label() string { return c.session.Look().Label }

// Metadata returns what the session was created with, or nil if there was none, as
// [coder.Session] has it. The result is the caller's own.
func (c *SessionControl) Metadata() map[string]any {
	metadata := c.session.Look().Metadata
	if metadata == nil {
		return nil
	}
	return decoded[coder.Session](world.Encode(map[string]any{"metadata": metadata})).Metadata
}

// Archived reports whether the session has been archived.
func (c *SessionControl) Archived() bool { return c.session.Look().Archived }

// Deleted reports whether the session has been deleted. The other methods then
// return what they returned before the deletion.
func (c *SessionControl) Deleted() bool { return c.session.Look().Deleted }

// Detail returns the session as a client would get it now, with the members that
// Set has replaced. Unlike a GET request this does not move the session on,
// takes no step of a Script, and is not in [Hub.Requests].
func (c *SessionControl) Detail() *coder.Session {
	return decoded[*coder.Session](c.session.Detail())
}

// Events returns the history, oldest first.
func (c *SessionControl) Events() []coder.SessionEvent {
	return decoded[[]coder.SessionEvent](c.session.History())
}

// Entries returns the conversation, oldest first.
func (c *SessionControl) Entries() []coder.ConversationEntry {
	return decoded[[]coder.ConversationEntry](c.session.Conversation())
}

// Participants returns everybody who is or was connected, in the order in which they
// came.
func (c *SessionControl) Participants() []coder.Participant {
	return decoded[[]coder.Participant](c.session.Participants())
}

// decoded reads what the Hub answers as a client does: of members of a wrong type,
// which a test may have set, the value is zero.
func decoded[T any](text []byte) (v T) {
	if err := wire.Unmarshal(text, &v); err != nil {
		panic("codertest: package coder cannot read what the Hub answers: " + err.Error())
	}
	return v
}
