package coder_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

func TestSession_Details(t *testing.T) {
	var s coder.Session
	require.NoError(t, json.Unmarshal([]byte(sample(t, "responses/session-get.json")), &s))
	usage, err := s.Usage()
	require.NoError(t, err)
	assert.EqualValues(t, 182334, usage.InputTokens)
	assert.InDelta(t, 1.87, *usage.CostUSD, 0)
	assert.EqualValues(t, 1768473737512, usage.UpdatedAt.UnixMilli())
	tasks, err := s.Tasks()
	require.NoError(t, err)
	assert.Len(t, tasks, 3)
	assert.Equal(t, 140*time.Second, tasks[0].Duration.Duration())
	assert.Equal(t, coder.TaskFailed, tasks[2].Status)
	activity, err := s.AgentActivity()
	require.NoError(t, err)
	assert.Equal(t, 21, activity["builder"].ToolCallCount)
	stream, err := s.Stream()
	require.NoError(t, err)
	assert.Equal(t, "Adding the callback route.\n\n", stream.Output)
	assert.Contains(t, stream.Tasks, "task_02")
	where, err := s.RuntimeContext()
	require.NoError(t, err)
	assert.Equal(t, "/workspace/checkout", where.WorkingDirectory)
	workers, err := s.Workers()
	require.NoError(t, err)
	assert.Nil(t, workers)
	what, err := s.RuntimeError()
	require.NoError(t, err)
	assert.Empty(t, what)

	require.NoError(t, json.Unmarshal([]byte(`{"sessionId":"x","usage":"much","error":"out of memory","workers":[{"sessionId":"w"}]}`), &s))
	_, err = s.Usage()
	require.ErrorContains(t, err, `"usage"`)
	what, err = s.RuntimeError()
	require.NoError(t, err)
	assert.Equal(t, "out of memory", what)
	workers, err = s.Workers()
	require.NoError(t, err)
	assert.Equal(t, "w", workers[0].SessionID)
}

// TestSession_UsageWithoutACost: a Hub that does not tell the cost does not say that there is none.
func TestSession_UsageWithoutACost(t *testing.T) {
	for text, want := range map[string]*float64{
		`{"inputTokens":1}`: nil, `{"inputTokens":1,"costUsd":null}`: nil, `{"inputTokens":1,"costUsd":0}`: new(0.0),
	} {
		var s coder.Session
		require.NoError(t, json.Unmarshal([]byte(`{"sessionId":"x","usage":`+text+`}`), &s))
		usage, err := s.Usage()
		require.NoError(t, err)
		assert.Equal(t, want, usage.CostUSD, text)
		assert.EqualValues(t, 1, usage.InputTokens)
	}
}

// TestSession_DetailsOfCompanions: what the agent's terminal program reads of a session.
func TestSession_DetailsOfCompanions(t *testing.T) {
	var s coder.Session
	require.NoError(t, json.Unmarshal([]byte(`{"sessionId":"x",
		"observed":{"turnCount":12,"lastAgentModel":"provider/model-large","compactionCount":1},
		"diagnostics":{"inactiveRunningTasks":[{"taskId":"task_1","agent":"scout","inactivityMs":90500.5,
			"startedAt":"2026-01-15T10:00:00.000Z","lastActivityAt":"2026-01-15T10:01:00.000Z"}]},
		"product":{"activePrdKey":"prd_1","activePrdTaskId":"prdtask_1","deckGeneration":{"state":"failed","error":"no slides",
			"requestedAt":"2026-01-15T10:00:00.000Z","startedAt":"2026-01-15T10:00:01.000Z","completedAt":"2026-01-15T10:00:02.000Z",
			"title":"Q1","deckType":"status","prdKey":"prd_2","prdTaskId":"prdtask_2","todoId":"todo_1","url":"https://decks.example/1"}},
		"participants":[{"id":"p_1","role":"lead","transport":"ws","connectedAt":"2026-01-15T09:30:21.000Z","idle":false}],
		"streamId":"stream_1","streamUrl":"https://streams.example/stream_1"}`), &s))
	at := time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC)

	observed, err := s.Observed()
	require.NoError(t, err)
	assert.Equal(t, &coder.SessionObserved{TurnCount: 12, LastAgentModel: "provider/model-large", CompactionCount: 1}, observed)
	diagnostics, err := s.Diagnostics()
	require.NoError(t, err)
	assert.Equal(t, &coder.SessionDiagnostics{InactiveRunningTasks: []coder.SessionInactiveTask{{
		TaskID: "task_1", Agent: "scout", InactivityMs: 90500.5, StartedAt: at, LastActivityAt: at.Add(time.Minute),
	}}}, diagnostics)
	product, err := s.Product()
	require.NoError(t, err)
	assert.Equal(t, &coder.SessionProduct{ActivePRDKey: "prd_1", ActivePRDTaskID: "prdtask_1", DeckGeneration: &coder.SessionDeckGeneration{
		State: "failed", Error: "no slides", RequestedAt: at, StartedAt: at.Add(time.Second), CompletedAt: at.Add(2 * time.Second),
		Title: "Q1", DeckType: "status", PRDKey: "prd_2", PRDTaskID: "prdtask_2", TodoID: "todo_1", URL: "https://decks.example/1",
	}}, product)
	participants, err := s.Participants()
	require.NoError(t, err)
	assert.Equal(t, []coder.SnapshotParticipant{{
		ID: "p_1", Role: coder.RoleLead, Transport: "ws", ConnectedAt: time.Date(2026, 1, 15, 9, 30, 21, 0, time.UTC), Idle: new(false),
	}}, participants)
	id, err := s.StreamID()
	require.NoError(t, err)
	assert.Equal(t, "stream_1", id)
	address, err := s.StreamURL()
	require.NoError(t, err)
	assert.Equal(t, "https://streams.example/stream_1", address)
}

// TestSession_DetailsThatAreNot: what the Hub does not say is nil, and what has another form is an error that names it.
func TestSession_DetailsThatAreNot(t *testing.T) {
	accessors := map[string]func(*coder.Session) (any, error){
		"observed":     func(s *coder.Session) (any, error) { return s.Observed() },
		"diagnostics":  func(s *coder.Session) (any, error) { return s.Diagnostics() },
		"product":      func(s *coder.Session) (any, error) { return s.Product() },
		"participants": func(s *coder.Session) (any, error) { return s.Participants() },
		"streamId":     func(s *coder.Session) (any, error) { return s.StreamID() },
		"streamUrl":    func(s *coder.Session) (any, error) { return s.StreamURL() },
	}
	for name, read := range accessors {
		for _, text := range []string{`{"sessionId":"x"}`, `{"sessionId":"x","` + name + `":null}`} {
			var s coder.Session
			require.NoError(t, json.Unmarshal([]byte(text), &s))
			got, err := read(&s)
			require.NoError(t, err, text)
			assert.Empty(t, got, text)
		}
		s := coder.Session{SessionListItem: coder.SessionListItem{Extra: map[string]json.RawMessage{name: json.RawMessage("7")}}}
		got, err := read(&s)
		require.ErrorContains(t, err, `the member "`+name+`" has an unknown form`)
		assert.Empty(t, got)
	}
}
