package world

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Event is an event as it is made. An empty Category follows from the name; a nil
// Payload is an empty object.
type Event struct {
	Event, Category, Agent, TaskID string
	Payload                        any
	Time                           time.Time // when it has happened; zero: now
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

	at int64 // the timestamp that live connections were sent
}

type eventHistory struct {
	SessionID string         `json:"sessionId"`
	Events    []sessionEvent `json:"events"`
}

// categories are the categories of events by the first word of their names. All
// others are of the category session.
var categories = map[string]string{
	"presence": "presence", "rpc": "rpc", "agent": "agent", "before": "agent", "turn": "turn",
	"tool": "tool", "runtime": "runtime", "task": "task", "message": "message",
	"thinking": "thinking", "loop": "loop", "coord": "coord",
}

func category(event string) string {
	word, _, _ := strings.Cut(event, "_")
	return cmp.Or(categories[word], "session")
}

// Emit appends an event to the history, tells everybody who follows the session,
// and returns its id.
func (s *Session) Emit(e Event) (id int) {
	s.change(func(now time.Time) { id = s.record(e, now) })
	return id
}

// Broadcast tells everybody who follows the session of an event that the history
// does not have.
func (s *Session) Broadcast(e Event) {
	s.change(func(now time.Time) { s.publish(newEvent(e, now).broadcast(s.id), everybody) })
}

// record appends an event to the history, tells everybody who follows the
// session, and returns its id: 1 for the first of a session.
func (s *Session) record(e Event, now time.Time) int {
	event := s.keep(e, orNow(e.Time, now).UnixMilli(), now)
	s.publish(event.broadcast(s.id), everybody)
	return event.ID
}

// keep appends an event to the history and tells nobody.
func (s *Session) keep(e Event, at int64, now time.Time) sessionEvent {
	event := newEvent(e, now)
	event.at = at
	if !s.ingested.IsZero() {
		event.IngestedAt = iso(s.ingested)
	}
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
		OccurredAt: iso(orNow(e.Time, now)),
		IngestedAt: iso(now),
		at:         orNow(e.Time, now).UnixMilli(),
	}
}

// orNow is a time that a test has given, or now.
func orNow(given, now time.Time) time.Time {
	if given.IsZero() {
		return now
	}
	return given
}

// ofAgents are the categories of the events of agents.
var ofAgents = []string{"agent", "turn", "message", "thinking", "tool", "task"}

// replayed returns the newest events of agents, oldest first.
func (s *Session) replayed(most int) []sessionEvent {
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

// events answers with the newest events before the one that beforeId names,
// newest first.
func (all *sessions) events(c *Call) (any, error) {
	limit, err := c.queryCount("limit", unlimited)
	if err != nil {
		return nil, err
	}
	s, err := all.find(c.ID)
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
