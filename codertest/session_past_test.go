package codertest_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

func TestAddSession(t *testing.T) {
	f := start(t)
	first := f.create(newSession)
	created := time.Date(2025, 3, 1, 8, 0, 0, 0, time.UTC)
	metadata := map[string]any{"ticket": 7}
	old := f.AddSession(codertest.Session{
		Task: "Fix the login page", Status: "paused", Owner: coder.SessionOwner{UserID: "user_alice", Name: "Alice"},
		Mode: coder.SessionModeTUI, Visibility: coder.VisibilityOrganization, DefaultAgent: "scout", Tags: []string{"ui"},
		Loop: &codertest.Loop{Status: coder.LoopBlocked, Iteration: 2}, Metadata: metadata,
		Created: created, LastActivity: created.Add(50 * time.Hour),
		Entries: []codertest.ReplayEntry{
			{Type: coder.EntryUserPrompt, Content: "Fix the login page"},
			{Type: coder.EntryMessage, Content: "Done.", Time: created.Add(time.Hour)},
		},
		Events: []codertest.Event{
			{Event: coder.EventSessionStart},
			{Event: coder.EventTaskStart, TaskID: "t", Time: created.Add(time.Minute)},
			{Event: coder.EventAgentEnd},
		},
	})
	metadata["ticket"] = 8
	assert.Equal(t, []string{"codesess_000000000001", "codesess_000000000002"}, f.SessionIDs())
	got := f.get("/hub/session/" + old.ID())
	for member, want := range map[string]any{
		"task": "Fix the login page", "label": "Fix the login page", "status": "paused", "mode": "tui", "visibility": "organization",
		"defaultAgent": "scout", "tags": []any{"ui"}, "workflowMode": "loop", "loopStatus": "blocked", "loopIteration": 2.0,
		"owner": map[string]any{"userId": "user_alice", "name": "Alice"}, "metadata": map[string]any{"ticket": 7.0},
		"createdAt": "2025-03-01T08:00:00.000Z", "lastActivityAt": "2025-03-03T10:00:00.000Z", "taskCount": 1.0,
		"participantCount": 0.0, "wakeAvailable": true,
	} {
		assert.Equal(t, want, got[member], member)
	}
	events := f.get("/hub/session/" + old.ID() + "/events/history")["events"]
	assert.Equal(t, []any{"agent_end", "task_start", "session_start"}, all(t, events, "event"))
	times := []any{"2025-03-01T08:01:00.000Z", "2025-03-01T08:01:00.000Z", "2025-03-01T08:00:00.000Z"}
	assert.Equal(t, times, all(t, events, "occurredAt"))
	assert.Equal(t, times, all(t, events, "ingestedAt"))
	entries := f.get("/hub/session/" + old.ID() + "/replay")["entries"]
	assert.Equal(t, []any{"Fix the login page", "Done."}, all(t, entries, "content"))
	assert.Equal(t, []any{float64(created.UnixMilli()), float64(created.Add(time.Hour).UnixMilli())}, all(t, entries, "timestamp"))
	assert.Equal(t, "user_alice", at(t, entries, 0, "author", "userId"))

	f.AddSession(codertest.Session{Label: "oldest", Status: "archived", Created: created.AddDate(-1, 0, 0)})
	f.AddSession(codertest.Session{Label: "newest", Created: time.Now().Add(time.Hour)})
	order := at(t, f.get("/hub/sessions?includeArchived=true"), "sessions", "websocket")
	assert.Equal(t, []any{"newest", "x", "Fix the login page", "oldest"}, all(t, order, "label"))
	assert.Equal(t, []any{old.ID()}, all(t, at(t, f.get("/hub/sessions?search=LOGIN"), "sessions", "websocket"), "sessionId"))
	assert.Equal(t, "user_owner", at(t, f.get("/hub/session/"+first), "owner", "userId"))
}

func TestAddSessionDefaults(t *testing.T) {
	inBubble(t, func(t *testing.T, f fixture) {
		created := time.Now().Add(-time.Hour)
		s := f.AddSession(codertest.Session{Task: "Fix it", Created: created})
		got := f.get("/hub/session/" + s.ID())
		assert.Equal(t, "active standard private sandbox", text(got, "status", "workflowMode", "visibility", "mode"))
		assert.Equal(t, "1999-12-31T23:00:00.000Z 1999-12-31T23:00:00.000Z", text(got, "createdAt", "lastActivityAt"))
		names, _ := history(f, s.ID())
		assert.Equal(t, []string{"session_start"}, names, "the task was done in its time")
		require.Len(t, s.Entries(), 1)
		assert.Equal(t, "Fix it", s.Entries()[0].Content)

		c := f.control(s.ID())
		c.command("prompt", "Go on")
		c.until("rpc agent_end")
		s.Pause()
		f.call(200, "POST", "/hub/session/"+s.ID()+"/resume", "")
		assert.Equal(t, "resuming", s.Status())

		begins := f.AddSession(codertest.Session{Task: "Begin", Status: "creating"})
		for range 3 {
			f.get("/hub/session/" + begins.ID())
		}
		names, _ = history(f, begins.ID())
		assert.Contains(t, names, "agent_end", "it is yet to begin")
		empty := f.AddSession(codertest.Session{Task: "x", Entries: []codertest.ReplayEntry{}, Events: []codertest.Event{}})
		assert.Empty(t, empty.Entries())
		assert.Empty(t, empty.Events())
	})
}

func TestOnSession(t *testing.T) {
	f := start(t)
	var created []string
	f.OnSession(func(s *codertest.SessionControl) {
		created = append(created, s.Task()+"|"+s.Label()+"|"+s.Status())
		assert.Contains(t, f.SessionIDs(), s.ID())
		s.Answer(codertest.AgentTurn{Text: "about " + s.Task()})
		s.SetStatus("active")
		f.get("/hub/session/" + s.ID())
	})
	answer := f.call(201, "POST", "/hub/session", `{"task":"one"}`)
	assert.Equal(t, "active", answer["status"], "it is answered afterwards")
	f.call(201, "POST", "/hub/session/builder", `{"prompt":"two"}`)
	c := f.dial("role=controller&task=three&label=3")
	assert.Equal(t, "codesess_000000000003", c.expect("init")["sessionId"])
	f.AddSession(codertest.Session{Task: "four"})
	assert.Equal(t, []string{"one|one|creating", "two|two|creating", "three|3|creating"}, created)
	for _, id := range f.SessionIDs()[:3] {
		said := f.Session(id).Entries()
		assert.Equal(t, "about "+f.Session(id).Task(), said[len(said)-1].Content)
	}

	f.OnSession(func(s *codertest.SessionControl) { f.call(200, "DELETE", "/hub/session/"+s.ID(), "") })
	f.dial("role=controller").closed(4404, "Session not found")
	f.OnSession(func(s *codertest.SessionControl) { s.RefuseStreams(codertest.Refusal{}) })
	f.dial("role=controller").closed(4408, "")
	f.OnSession(func(*codertest.SessionControl) { f.Restart(0, codertest.Outage{}) })
	f.dial("role=controller").closed(1001, "The Hub restarts")
	_, err := f.try("POST", "/hub/session", newSession)
	require.Error(t, err, "it is created, and nobody is told")
	sessions := len(f.SessionIDs())
	f.OnSession(nil)
	f.create(newSession)
	assert.Len(t, f.SessionIDs(), sessions+1)
}

func TestLookAtASession(t *testing.T) {
	f := start(t)
	s := f.Session(f.create(`{"task":"Do it","label":"It","metadata":{"n":1,"big":12345678901234567890}}`))
	s.Script((*codertest.SessionControl).Pause)
	requests := len(f.Requests())
	for range 3 {
		assert.Equal(t, "creating", s.Status())
		assert.Equal(t, "creating", s.Detail().Status)
	}
	assert.Equal(t, "Do it It", s.Task()+" "+s.Label())
	assert.EqualValues(t, 1, s.Metadata()["n"])
	assert.Equal(t, json.Number("12345678901234567890"), s.Metadata()["big"])
	s.Metadata()["n"] = 2
	assert.EqualValues(t, 1, s.Detail().Metadata["n"])
	assert.Nil(t, f.Session(f.create(newSession)).Metadata())
	assert.Equal(t, []any{false, false}, []any{s.Archived(), s.Deleted()})
	s.AddParticipant(codertest.Participant{Role: coder.RoleController})
	s.DisconnectParticipant("p_000001")
	require.Len(t, s.Participants(), 1)
	assert.Equal(t, coder.RoleController, s.Participants()[0].Role)
	at := time.Date(2025, 3, 1, 8, 0, 0, 0, time.UTC)
	s.Emit(codertest.Event{Event: coder.EventTurnEnd, Time: at})
	events := s.Events()
	assert.Equal(t, "session_start", events[0].Event)
	last := events[len(events)-1]
	assert.Equal(t, []any{"turn_end", len(events), at}, []any{last.Event, last.ID, last.OccurredAt.UTC()})
	assert.WithinDuration(t, time.Now(), last.IngestedAt, time.Hour)
	s.AddReplayEntries(codertest.ReplayEntry{Type: coder.EntryMessage, Content: "Then", Time: at})
	said := s.Entries()
	assert.Equal(t, []string{"Do it", "Then"}, []string{said[0].Content, said[1].Content})
	assert.Len(t, f.Requests(), requests+1)

	s.Archive()
	assert.Equal(t, []any{true, false, "archived"}, []any{s.Archived(), s.Deleted(), s.Status()})
	f.call(200, "DELETE", "/hub/session/"+s.ID(), "")
	assert.Equal(t, []any{true, true, "archived"}, []any{s.Archived(), s.Deleted(), s.Status()})
	s.Set("createdAt", []int{1})
	assert.Zero(t, s.Detail().CreatedAt, "as a client sees it")
}
