package world

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/agentuity/coder-go/codertest/internal/outbox"
)

// liveSnapshot is the first message of a stream of events.
type liveSnapshot struct {
	Type          string                `json:"type"`
	SessionID     string                `json:"sessionId"`
	Label         string                `json:"label"`
	Status        string                `json:"status"`
	CreatedAt     string                `json:"createdAt"`
	Mode          string                `json:"mode"`
	Participants  []snapshotParticipant `json:"participants"`
	TaskCount     int                   `json:"taskCount"`
	AgentActivity jsontext.Value        `json:"agentActivity"`
	Stream        jsontext.Value        `json:"stream,omitzero"`
}

type snapshotParticipant struct {
	ID          string `json:"id"`
	Role        string `json:"role"`
	Transport   string `json:"transport"`
	ConnectedAt string `json:"connectedAt"`
}

// hydration is the conversation so far. Streams of events and sockets have members
// of their own.
type hydration struct {
	Type      string         `json:"type"`
	SessionID string         `json:"sessionId"`
	Label     string         `json:"label,omitzero"`
	ResumedAt int64          `json:"resumedAt,omitzero"`
	Entries   []any          `json:"entries"`
	Task      string         `json:"task,omitzero"`
	Lead      *bool          `json:"leadConnected,omitzero"`
	Stream    jsontext.Value `json:"stream,omitzero"`
	Tasks     jsontext.Value `json:"tasks,omitzero"`
	Streaming *streaming     `json:"streamingState,omitzero"`
}

type streaming struct {
	IsStreaming bool  `json:"isStreaming"`
	ActiveTasks []any `json:"activeTasks"`
}

func (s *Session) snapshot(now time.Time) outbox.Message {
	snapshot := liveSnapshot{
		Type:      "snapshot",
		SessionID: s.id,
		Label:     s.label,
		Status:    s.status,
		CreatedAt: iso(s.createdAt),
		Mode:      s.mode,
		TaskCount: s.taskCount,
		Stream:    s.projection(),
	}
	snapshot.AgentActivity = s.setOr("agentActivity", func() jsontext.Value { return s.activity(now) })
	if snapshot.AgentActivity == nil {
		snapshot.AgentActivity = Encode(struct{}{})
	}
	for _, p := range s.participants {
		if p.DisconnectedAt == "" {
			snapshot.Participants = append(snapshot.Participants, snapshotParticipant{p.ID, p.Role, p.Transport, p.ConnectedAt})
		}
	}
	return outbox.Message{Kind: snapshot.Type, Body: Encode(snapshot)}
}

// setOr returns a member that a test has set, or what the Hub has in its place.
func (s *Session) setOr(member string, own func() jsontext.Value) jsontext.Value {
	if set, ok := s.members[member]; ok {
		return set
	}
	return own()
}

// projection is the text that is being produced, if there is any.
func (s *Session) projection() jsontext.Value { return s.setOr("stream", s.report.stream) }

func (s *Session) conversation(kind string) hydration {
	h := hydration{
		Type:      kind,
		SessionID: s.id,
		Task:      s.task,
		Stream:    s.projection(),
		Tasks:     s.setOr("tasks", s.report.shownTasks),
	}
	for _, entry := range s.entries {
		h.Entries = append(h.Entries, entry.answer())
	}
	return h
}

// hydration is the second message of a stream of events.
func (s *Session) hydration() outbox.Message {
	h := s.conversation("hydration")
	return outbox.Message{Kind: h.Type, Body: Encode(h)}
}

// socketHydration is the hydration of a socket.
func (s *Session) socketHydration(now time.Time) outbox.Message {
	h := s.conversation("session_hydration")
	h.Label = s.label
	h.ResumedAt = now.UnixMilli()
	h.Lead = new(s.connected("lead") > 0)
	h.Streaming = &streaming{IsStreaming: s.working(now), ActiveTasks: s.report.activeTasks()}
	return outbox.Message{Kind: h.Type, Body: Encode(h)}
}
