package world

import (
	"cmp"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Past is a session that exists already. Empty members have the defaults of a
// session that is created, but for the status, which is active.
type Past struct {
	Task, Label, Status, Mode, Visibility, WorkflowMode, DefaultAgent string
	OwnerID, OwnerName                                                string
	Tags                                                              []string
	Metadata                                                          map[string]any
	Created, LastActivity                                             time.Time
	Loop                                                              *Loop
	Entries                                                           []Entry
	Events                                                            []Event
}

// AddSession adds a session with a past. Nobody has created it, so that nobody is
// told, and nothing happens.
func (w *World) AddSession(p Past) *Session {
	metadata := make(map[string]jsontext.Value)
	for name, value := range p.Metadata {
		metadata[name] = freeze(value)
	}
	s := &Session{
		label: p.Label, task: p.Task, kind: "interactive", mode: p.Mode, visibility: p.Visibility,
		workflowMode: p.WorkflowMode, defaultAgent: p.DefaultAgent, tags: slices.Clone(p.Tags),
	}
	if p.Metadata != nil {
		s.metadata = metadata
	}
	if p.OwnerID != "" {
		s.owner = sessionOwner{UserID: p.OwnerID, Name: p.OwnerName}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	created := orNow(p.Created, time.Now())
	w.sessions.enroll(s, loopConfig{}, created)
	s.status = cmp.Or(p.Status, statusActive)
	s.remember(p, created)
	if p.Loop != nil {
		s.putLoop(*p.Loop, s.activeAt)
	}
	row := s.row()
	if _, soon := nextStatus[s.status]; !soon || s.status == statusResuming {
		s.agent.taskGiven = true // it was, in its time
	}
	if row.runtime && s.mode == "sandbox" && !w.config.NoAgent {
		s.participants = append(s.participants, s.participant(
			Participant{Role: roleLead, AgentRole: s.agentName()}, created))
	}
	return s
}

// remember gives the session the conversation and the history of its past.
func (s *Session) remember(p Past, created time.Time) {
	entries, events := p.Entries, p.Events
	if entries == nil && p.Task != "" {
		entries = []Entry{{Type: "user_prompt", Content: p.Task}}
	}
	if events == nil {
		events = []Event{{Event: "session_start", Payload: map[string]any{"origin": "sdk"}}}
	}
	latest := created
	last := created // what has no time is as old as what is before it
	for _, e := range entries {
		last = orNow(e.Time, last)
		s.addEntry(e, last)
		latest = later(latest, last)
	}
	last = created
	for _, e := range events {
		last = orNow(e.Time, last)
		s.keep(e, last.UnixMilli(), last)
		latest = later(latest, last)
	}
	s.activeAt = orNow(p.LastActivity, latest)
	s.updatedAt = s.activeAt
	s.lastTick = latest.UnixMilli()
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
