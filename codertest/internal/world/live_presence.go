package world

import (
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/agentuity/coder-go/codertest/internal/outbox"
)

// presence says who is connected. No filter applies to it.
type presence struct {
	Type         string             `json:"type"`
	Event        string             `json:"event"`
	Participant  *liveParticipant   `json:"participant,omitzero"`
	Participants []*liveParticipant `json:"participants,omitempty"`
	SessionID    string             `json:"sessionId"`
	Timestamp    int64              `json:"timestamp"`
}

type liveParticipant struct {
	ID            string         `json:"id"`
	Role          string         `json:"role"`
	Transport     string         `json:"transport"`
	Subscriptions []string       `json:"subscriptions"`
	ConnectedAt   int64          `json:"connectedAt"`
	LastActivity  int64          `json:"lastActivity"`
	Metadata      jsontext.Value `json:"metadata,omitzero"`
}

// live returns the participant as presence messages have it, or nil if its role is
// none they know, such as sub_agent.
func (p participant) live() *liveParticipant {
	if !slices.Contains([]string{"lead", "observer", "controller"}, p.Role) {
		return nil
	}
	return &liveParticipant{
		ID:            p.ID,
		Role:          p.Role,
		Transport:     p.Transport,
		Subscriptions: p.subscriptions,
		ConnectedAt:   millis(p.ConnectedAt),
		LastActivity:  millis(p.LastActivityAt),
		Metadata:      p.Metadata,
	}
}

// UpdatePresence tells everybody who follows the session who is connected.
func (s *Session) UpdatePresence() {
	s.change(func(now time.Time) {
		update := presence{Event: "presence_update"}
		for _, p := range s.participants {
			if shown := p.live(); shown != nil && p.DisconnectedAt == "" {
				update.Participants = append(update.Participants, shown)
			}
		}
		s.announce(update, now)
	})
}

// present tells that a participant has come or left.
func (s *Session) present(event string, p participant, now time.Time) {
	if shown := p.live(); shown != nil {
		s.announce(presence{Event: event, Participant: shown}, now)
	}
}

func (s *Session) announce(p presence, now time.Time) {
	p.Type = "presence"
	p.SessionID = s.id
	p.Timestamp = now.UnixMilli()
	m := outbox.Message{Kind: p.Type, Body: Encode(p)}
	for _, c := range s.live {
		if c.ready && c.follows {
			c.Out.Put(m)
		}
	}
}
