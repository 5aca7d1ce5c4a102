package codertest

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/agentuity/coder-go/codertest/internal/outbox"
)

// Participant is somebody connected to a session.
type Participant struct {
	// ID identifies the participant. Empty: the Hub makes one.
	ID string
	// Role is lead, sub_agent, observer or controller. Empty: observer.
	Role string
	// Transport is ws or sse. Empty: ws.
	Transport string
	// AgentRole is the name of the agent, if it is one.
	AgentRole string
	// Metadata holds free members, if any.
	Metadata map[string]any
}

// participant is how the Hub answers; one that has left stays on the list.
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

func (s *session) join(p Participant, now time.Time) string {
	joined := s.participant(p, now)
	s.admit(joined, now)
	return joined.ID
}

func (s *session) participant(p Participant, now time.Time) participant {
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

// admit puts somebody on the list and tells.
func (s *session) admit(p participant, now time.Time) {
	s.participants = append(s.participants, p)
	s.present("session_join", p, now)
	s.record(presenceEvent("session_join", p), now)
}

// leaveAll disconnects whoever is connected and chosen, and tells the others.
func (s *session) leaveAll(chosen func(participant) bool, now time.Time) {
	for i, p := range s.participants {
		if p.DisconnectedAt != "" || !chosen(p) {
			continue
		}
		if p.Role == "lead" && s.lead == nil {
			s.agent.abort(s, now) // it is the one that leaves
		}
		s.participants[i].DisconnectedAt = iso(now)
		s.participants[i].LastActivityAt = iso(now)
		if c := s.liveAs(p.ID); c != nil {
			c.out.End(outbox.Ending{Code: closeGoingAway, Reason: "Disconnected"})
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

// connected counts who is there in a role, or in any.
func (s *session) connected(role string) int {
	count := 0
	for _, p := range s.participants {
		if p.DisconnectedAt == "" && (role == "" || p.Role == role) {
			count++
		}
	}
	return count
}

func (h *Hub) listParticipants(c *call) (any, error) {
	limit, err := c.queryCount("limit", unlimited)
	if err != nil {
		return nil, err
	}
	gone, err := c.queryFlag("includeDisconnected")
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	s, err := h.find(c.id)
	if err != nil {
		return nil, err
	}
	shown := slices.Clone(s.participants)
	if !gone {
		shown = slices.DeleteFunc(shown, func(p participant) bool { return p.DisconnectedAt != "" })
	}
	return participantList{SessionID: s.id, Participants: page(shown, limit, 0)}, nil
}

// enter lets a live connection in and tells everybody, itself included.
func (s *session) enter(c *connection, p Participant, now time.Time) {
	joined := s.participant(p, now)
	joined.subscriptions = c.filters
	c.session, c.participant = s, joined.ID
	s.live = append(slices.Clip(s.live), c)
	s.admit(joined, now)
}
