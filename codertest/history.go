package codertest

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Event is one entry of a session's event history.
type Event struct {
	// Event is the name of the event, such as turn_end.
	Event string
	// Category is the group the event belongs to. Empty: the group its name
	// says, such as turn for turn_end, or session.
	Category string
	// Agent is the agent it came from, if any.
	Agent string
	// TaskID is the task it belongs to, if any.
	TaskID string
	// Payload is what encoding/json/v2 makes of it, taken when the event is
	// emitted. Nil: an empty object. Those who follow the session see it with
	// Agent and TaskID as members agent and taskId, unless it has its own; one
	// that is no object they see as the member value of one.
	Payload any
}

type sessionEvent struct {
	ID         int            `json:"id"`
	Event      string         `json:"event"`
	Category   string         `json:"category"`
	Agent      string         `json:"agent,omitzero"`
	TaskID     string         `json:"taskId,omitzero"`
	Payload    jsontext.Value `json:"payload"`
	OccurredAt string         `json:"occurredAt"`
	IngestedAt string         `json:"ingestedAt"`

	at int64 // as those who follow the session were told
}

type eventHistory struct {
	SessionID string         `json:"sessionId"`
	Events    []sessionEvent `json:"events"`
}

// categories are the first words of event names that are not sessions'.
var categories = map[string]string{
	"presence": "presence", "rpc": "rpc", "agent": "agent", "before": "agent", "turn": "turn",
	"tool": "tool", "runtime": "runtime", "task": "task", "message": "message",
	"thinking": "thinking", "loop": "loop", "coord": "coord",
}

func category(event string) string {
	word, _, _ := strings.Cut(event, "_")
	return cmp.Or(categories[word], "session")
}

// record appends an event, tells everybody who follows the session, and
// returns its id: 1 for the first of a session.
func (s *session) record(e Event, now time.Time) int {
	event := s.keep(e, now.UnixMilli(), now)
	s.publish(event.broadcast(s.id), everybody)
	return event.ID
}

// keep appends an event and tells nobody.
func (s *session) keep(e Event, at int64, now time.Time) sessionEvent {
	event := newEvent(e, now)
	event.at = at
	event.ID = len(s.events) + 1
	s.activeAt = now
	if e.Event == "task_start" {
		s.taskCount++
	}
	s.events = append(s.events, event)
	return event
}

func newEvent(e Event, now time.Time) sessionEvent {
	if e.Payload == nil {
		e.Payload = struct{}{}
	}
	return sessionEvent{
		Event:      e.Event,
		Category:   cmp.Or(e.Category, category(e.Event)),
		Agent:      e.Agent,
		TaskID:     e.TaskID,
		Payload:    freeze(e.Payload),
		OccurredAt: iso(now),
		IngestedAt: iso(now),
		at:         now.UnixMilli(),
	}
}

// ofAgents are the categories of what agents do.
var ofAgents = []string{"agent", "turn", "message", "thinking", "tool", "task"}

// replayed returns the newest events of agents, the oldest first.
func (s *session) replayed(most int) []sessionEvent {
	var events []sessionEvent
	for _, e := range slices.Backward(s.events) {
		if len(events) >= most {
			break
		}
		if slices.Contains(ofAgents, e.Category) {
			events = append(events, e)
		}
	}
	slices.Reverse(events)
	return events
}

// listEventHistory answers with the newest events before a cursor, newest
// first.
func (h *Hub) listEventHistory(c *call) (any, error) {
	limit, err := c.queryCount("limit", unlimited)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	s, err := h.find(c.id)
	if err != nil {
		return nil, err
	}
	before, err := c.queryCount("beforeId", len(s.events)+1)
	if err != nil {
		return nil, err
	}
	older := s.events[:max(0, min(before-1, len(s.events)))]
	older = slices.Clone(older)
	slices.Reverse(older)
	return eventHistory{SessionID: s.id, Events: page(older, limit, 0)}, nil
}
