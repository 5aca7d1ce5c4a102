package world

import (
	"maps"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Look is what a test sees of a session.
type Look struct {
	Task, Label, Status string
	// Deleted says that the Hub has it no more, Archived that a client lists it only
	// if it asks for archived ones.
	Deleted, Archived bool
	Metadata          map[string]jsontext.Value
}

// Look returns what the session is like. It does not move on.
func (s *Session) Look() (l Look) {
	s.change(func(time.Time) {
		_, there := s.world.sessions.byID[s.id]
		l = Look{
			Task: s.task, Label: s.label, Status: s.status, Deleted: !there, Archived: s.status == statusArchived,
			Metadata: maps.Clone(s.metadata),
		}
	})
	return l
}

// Detail returns the JSON with which a GET request for the session would be
// answered. The session does not move on.
func (s *Session) Detail() []byte {
	var detail any
	s.change(func(time.Time) { detail = s.detail() })
	return Encode(detail)
}

// History returns the JSON of the events, oldest first.
func (s *Session) History() []byte {
	var events []sessionEvent
	s.change(func(time.Time) { events = slices.Clone(s.events) })
	return Encode(events)
}

// Conversation returns the JSON of the entries, oldest first.
func (s *Session) Conversation() []byte {
	entries := []any{}
	s.change(func(time.Time) {
		for _, e := range s.entries {
			entries = append(entries, e.answer())
		}
	})
	return Encode(entries)
}

// Participants returns the JSON of all who are or were connected.
func (s *Session) Participants() []byte {
	var all []participant
	s.change(func(time.Time) { all = slices.Clone(s.participants) })
	return Encode(all)
}
