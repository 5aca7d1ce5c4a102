package world

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/agentuity/coder-go/codertest/internal/outbox"
)

// Participant is somebody who connects to a session. An empty ID is made up, an
// empty Role is observer, and an empty Transport is ws.
type Participant struct {
	ID, Role, Transport, AgentRole string
	Metadata                       map[string]any
}

// participant is a participant as it is answered. One that has left stays in the
// list.
type participant struct {
	ID             string         `json:"id"`
	Role           string         `json:"role"`
	Transport      string         `json:"transport"`
	AgentRole      string         `json:"agentRole,omitzero"`
	ConnectedAt    string         `json:"connectedAt"`
	DisconnectedAt string         `json:"disconnectedAt,omitzero"`
	LastActivityAt string         `json:"lastActivityAt"`
	Metadata       jsontext.Value `json:"metadata,omitzero"`

	subscriptions []string
}

type participantList struct {
	SessionID    string        `json:"sessionId"`
	Participants []participant `json:"participants"`
}

// AddParticipant adds a participant without a connection and returns its id.
func (s *Session) AddParticipant(p Participant) (id string) {
	s.change(func(now time.Time) { id = s.join(p, now) })
	return id
}

// DisconnectParticipant disconnects the participant with this id.
func (s *Session) DisconnectParticipant(id string) {
	s.change(func(now time.Time) {
		s.leaveAll(func(p participant) bool { return p.ID == id }, now)
	})
}

// join adds a participant without a connection and returns its id.
func (s *Session) join(p Participant, now time.Time) string {
	joined := s.participant(p, now)
	s.admit(joined, now)
	return joined.ID
}

// enter adds a participant with a connection, which is told of it as well.
func (s *Session) enter(c *Connection, p Participant, now time.Time) {
	joined := s.participant(p, now)
	joined.subscriptions = c.filters
	c.session, c.participant = s, joined.ID
	s.live = append(slices.Clip(s.live), c)
	s.admit(joined, now)
}

func (s *Session) participant(p Participant, now time.Time) participant {
	joined := participant{
		ID:             cmp.Or(p.ID, fmt.Sprintf("p_%06d", len(s.participants)+1)),
		Role:           cmp.Or(p.Role, "observer"),
		Transport:      cmp.Or(p.Transport, "ws"),
		AgentRole:      p.AgentRole,
		ConnectedAt:    iso(now),
		LastActivityAt: iso(now),
		subscriptions:  []string{},
	}
	if p.Metadata != nil {
		joined.Metadata = freeze(p.Metadata)
	}
	return joined
}

// admit adds a participant to the list and tells everybody.
func (s *Session) admit(p participant, now time.Time) {
	s.participants = append(s.participants, p)
	s.present("session_join", p, now)
	s.record(presenceEvent("session_join", p), now)
}

// leaveAll disconnects the participants that are chosen, and tells the others.
func (s *Session) leaveAll(chosen func(participant) bool, now time.Time) {
	for i, p := range s.participants {
		if p.DisconnectedAt != "" || !chosen(p) {
			continue
		}
		if p.Role == "lead" && s.lead == nil {
			s.agent.quit(now) // it is the one that is disconnected
		}
		s.participants[i].DisconnectedAt = iso(now)
		s.participants[i].LastActivityAt = iso(now)
		if c := s.liveAs(p.ID); c != nil {
			c.Out.End(outbox.Ending{Code: closeGoingAway, Reason: "Disconnected"})
		}
		s.present("session_leave", s.participants[i], now)
		s.record(presenceEvent("session_leave", p), now)
	}
}

func presenceEvent(name string, p participant) Event {
	return Event{Event: name, Payload: map[string]any{
		"participant": map[string]any{"id": p.ID, "role": p.Role, "transport": p.Transport},
	}}
}

// connected counts those who are connected, in one role or, if it is empty, in all.
func (s *Session) connected(role string) int {
	count := 0
	for _, p := range s.participants {
		if p.DisconnectedAt == "" && (role == "" || p.Role == role) {
			count++
		}
	}
	return count
}

func (all *sessions) participants(c *Call) (any, error) {
	limit, err := c.queryCount("limit", unlimited)
	if err != nil {
		return nil, err
	}
	gone, err := c.queryFlag("includeDisconnected")
	if err != nil {
		return nil, err
	}
	s, err := all.find(c.ID)
	if err != nil {
		return nil, err
	}
	shown := slices.Clone(s.participants)
	if !gone {
		shown = slices.DeleteFunc(shown, func(p participant) bool { return p.DisconnectedAt != "" })
	}
	return participantList{SessionID: s.id, Participants: page(shown, limit, 0)}, nil
}
