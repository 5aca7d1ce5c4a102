package coder

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/agentuity/coder-go/internal/route"
)

// SessionEventHistory is a page of the events of a session.
type SessionEventHistory struct {
	// SessionID is the id of the session.
	SessionID string `json:"sessionId"`
	// Events are the events. The Hub promises no order.
	Events []SessionEvent `json:"events"`
	// Total is the number of events there are, where it is said.
	Total int `json:"total,omitzero"`
	// Limit is the limit that was applied, where it is said.
	Limit int `json:"limit,omitzero"`
	// Offset is the offset that was applied, where it is said.
	Offset int `json:"offset,omitzero"`
	// Extra holds the members this package has no field for.
	Extra map[string]json.RawMessage `json:",embed,unknown"`
}

func (h *SessionEventHistory) problem() error {
	if err := missingText("sessionId", h.SessionID); err != nil {
		return err
	}
	for i := range h.Events {
		if h.Events[i].ID == 0 {
			return missingText(fmt.Sprintf("events[%d].id", i), "")
		}
	}
	return missingIn("events", h.Events, "event", func(e *SessionEvent) string { return e.Event })
}

// SessionEvent is something that happened in a session.
type SessionEvent struct {
	// ID counts the events of a session upwards. It is what BeforeID takes.
	ID int `json:"id"`
	// Event is the name of the event, such as "turn_end".
	Event string `json:"event"`
	// Category is the group of the event, such as "turn".
	Category string `json:"category,omitzero"`
	// Agent is the agent it is about.
	Agent string `json:"agent,omitzero"`
	// TaskID is the task it is about.
	TaskID string `json:"taskId,omitzero"`
	// Payload is what the event says; its form depends on the event.
	Payload json.RawMessage `json:"payload,omitzero"`
	// OccurredAt is when it happened.
	OccurredAt time.Time `json:"occurredAt,omitzero"`
	// IngestedAt is when the Hub stored it.
	IngestedAt time.Time `json:"ingestedAt,omitzero"`
	// Extra holds the members this package has no field for.
	Extra map[string]json.RawMessage `json:",embed,unknown"`
}

// ListEventHistoryParams selects events. The zero value of a member means that it is not sent.
type ListEventHistoryParams struct {
	// Limit is the largest number of events to return.
	Limit int
	// BeforeID returns events with a smaller id only. For the next page it is the smallest id of
	// the page before.
	BeforeID int
}

// ListEventHistory returns the newest events of a session, or the newest before a given one. An
// unknown id is an error that matches [ErrSessionNotFound].
//
// GET /hub/session/{sessionId}/events/history
func (c *Client) ListEventHistory(ctx context.Context, sessionID string, params *ListEventHistoryParams) (*SessionEventHistory, error) {
	var q route.Query
	if params != nil {
		q.Int("limit", params.Limit).Int("beforeId", params.BeforeID)
	}
	return call[SessionEventHistory](ctx, c,
		get("ListEventHistory", "/hub/session/{sessionID}/events/history", sessionID).with(&q))
}
