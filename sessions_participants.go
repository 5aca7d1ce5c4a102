package coder

import (
	"context"
	"encoding/json"
	"time"

	"github.com/agentuity/coder-go/internal/route"
)

// SessionParticipants has those who take part in a session.
type SessionParticipants struct {
	// SessionID is the id that was asked for.
	SessionID string `json:"sessionId"`
	// Participants has everybody connected, and those who have left if IncludeDisconnected asked for them.
	Participants []Participant `json:"participants"`
}

func (p *SessionParticipants) problem() error {
	if err := missingText("sessionId", p.SessionID); err != nil {
		return err
	}
	return missingIn("participants", p.Participants, "id", func(p *Participant) string { return p.ID })
}

func (p *SessionParticipants) namedSession() string { return p.SessionID }

// Participant is somebody who takes part in a session, or has taken part.
type Participant struct {
	// ID identifies the participant within its session.
	ID string `json:"id"`
	// Role is the part it plays. A lead drives the session.
	Role HubRole `json:"role"`
	// Transport is "ws" or "sse".
	Transport string `json:"transport,omitzero"`
	// AgentRole is the name of the agent, such as "lead", where the participant is one.
	AgentRole string `json:"agentRole,omitzero"`

	// The times of the connection. DisconnectedAt is zero while the participant is connected.
	ConnectedAt    time.Time `json:"connectedAt,omitzero"`
	DisconnectedAt time.Time `json:"disconnectedAt,omitzero"`
	LastActivityAt time.Time `json:"lastActivityAt,omitzero"`

	// Metadata is free JSON, as the Hub has it. Whole numbers that a float64 cannot hold are json.Number.
	Metadata map[string]any `json:"metadata,omitzero"`
	// Extra holds the members this package has no field for.
	Extra map[string]json.RawMessage `json:",embed"`
}

// ListParticipantsParams selects participants. The zero value of a member means that it is not
// sent.
type ListParticipantsParams struct {
	// Limit is the largest number of participants to return.
	Limit int
	// IncludeDisconnected lists those that have left too.
	IncludeDisconnected bool
}

// ListParticipants returns the agents, sub-agents, controllers and observers of a session. An
// unknown id is an error that matches [ErrSessionNotFound].
//
// GET /hub/session/{sessionId}/participants
func (c *Client) ListParticipants(ctx context.Context, sessionID string, params *ListParticipantsParams) (*SessionParticipants, error) {
	var q route.Query
	if params != nil {
		q.Int("limit", params.Limit).Bool("includeDisconnected", params.IncludeDisconnected)
	}
	return call[SessionParticipants](ctx, c,
		get("ListParticipants", "/hub/session/{sessionID}/participants", sessionID).with(&q))
}
