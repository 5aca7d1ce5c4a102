package codertest_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/agentuity/coder-go/codertest"
)

func TestEventHistory(t *testing.T) {
	f := start(t)
	id := f.create(`{"task":"x"}`)
	for i := 2; i <= 6; i++ {
		assert.Equal(t, i, f.Session(id).Emit(codertest.Event{Event: fmt.Sprintf("turn_%d", i)}))
	}
	for query, want := range map[string][]any{
		"":                      {6.0, 5.0, 4.0, 3.0, 2.0, 1.0},
		"?limit=2":              {6.0, 5.0},
		"?limit=2&beforeId=5":   {4.0, 3.0},
		"?beforeId=3":           {2.0, 1.0},
		"?beforeId=1":           {},
		"?beforeId=0":           {},
		"?beforeId=900&limit=1": {6.0},
		"?limit=0":              {},
		"?limit=2&offset=2":     {6.0, 5.0}, // the Hub knows no offset here
	} {
		history := f.get("/hub/session/" + id + "/events/history" + query)
		assert.Equal(t, id, history["sessionId"])
		assert.Equal(t, want, all(t, history["events"], "id"), query)
	}
	for _, query := range []string{"limit=-1", "limit=x", "beforeId=x"} {
		assert.Equal(t, "CODER_INVALID_REQUEST", f.call(400, "GET", "/hub/session/"+id+"/events/history?"+query, "")["code"], query)
	}
}

func TestEmittedEvents(t *testing.T) {
	f := start(t)
	id := f.create(`{"task":"x"}`)
	f.Session(id).Emit(codertest.Event{Event: "task_start", Agent: "scout", TaskID: "task_1", Payload: map[string]any{"n": 1}})
	f.Session(id).Emit(codertest.Event{Event: "turn_end", Category: "mine"})
	events := f.get("/hub/session/" + id + "/events/history")["events"]
	assert.Equal(t, "task_start task scout task_1 map[n:1]", text(at(t, events, 1), "event", "category", "agent", "taskId", "payload"))
	assert.Equal(t, "turn_end mine map[]", text(at(t, events, 0), "event", "category", "payload"))
	assert.NotContains(t, at(t, events, 0), "agent")
	assert.NotContains(t, at(t, events, 0), "taskId")
	assert.InDelta(t, 1, f.get("/hub/session/" + id)["taskCount"], 0)
}

func TestCategories(t *testing.T) {
	f := start(t)
	id := f.create(`{"task":"x"}`)
	for event, want := range map[string]string{
		"session_complete": "session", "session_join": "session", "presence_update": "presence", "rpc_ready": "rpc",
		"agent_start": "agent", "before_agent_start": "agent", "turn_start": "turn", "tool_execution_end": "tool",
		"runtime_process_start": "runtime", "task_error": "task", "message_end": "message", "thinking_end": "thinking",
		"loop_blocked": "loop", "coord_job_created": "coord", "something": "session",
	} {
		f.Session(id).Emit(codertest.Event{Event: event})
		assert.Equal(t, want, at(t, f.get("/hub/session/"+id+"/events/history?limit=1"), "events", 0, "category"), event)
	}
}

func TestReplay(t *testing.T) {
	f := start(t)
	id := f.create(`{"task":"Export invoices"}`)
	f.Session(id).AddReplayEntries(
		codertest.ReplayEntry{Type: "tool_result", Agent: "lead", Content: "3 hits", Members: map[string]any{"isError": false, "sequence": 7}},
		codertest.ReplayEntry{Type: "message", Agent: "lead", Content: "Done."},
	)
	replay := f.get("/hub/session/" + id + "/replay")
	assert.Equal(t, id, replay["sessionId"])
	assert.Equal(t, "session_entries", replay["entriesSource"])
	assert.Equal(t, map[string]any{"durableStream": 0.0, "sessionEntries": 3.0, "eventHistory": 1.0}, replay["sourceCounts"])
	entries := replay["entries"]
	assert.Equal(t, "user_prompt Export invoices 1", text(at(t, entries, 0), "type", "content", "sequence"))
	assert.Equal(t, "user", at(t, entries, 0, "author", "actorType"))
	assert.Equal(t, "tool_result lead 3 hits false 7", text(at(t, entries, 1), "type", "agent", "content", "isError", "sequence"))
	assert.Equal(t, "message lead Done. 3", text(at(t, entries, 2), "type", "agent", "content", "sequence"))
	assert.NotContains(t, at(t, entries, 2), "author")
	for query, want := range map[string][]any{
		"?limit=2":          {"user_prompt", "tool_result"},
		"?limit=2&offset=2": {"message"},
		"?offset=1":         {"tool_result", "message"},
		"?offset=9":         {},
	} {
		page := f.get("/hub/session/" + id + "/replay" + query)
		assert.Equal(t, want, all(t, page["entries"], "type"), query)
		assert.InDelta(t, 3, at(t, page, "sourceCounts", "sessionEntries"), 0)
	}
	f.call(400, "GET", "/hub/session/"+id+"/replay?limit=-1", "")
}

func TestReplayOutlivesTheSession(t *testing.T) {
	f := start(t)
	id := f.create(`{"task":"x"}`)
	f.Session(id).Archive()
	assert.Len(t, f.get("/hub/session/" + id + "/replay")["entries"], 1)
}

func TestReplayOfNothing(t *testing.T) {
	f := start(t)
	id := f.call(201, "POST", "/hub/session/builder", "")["sessionId"].(string)
	replay := f.get("/hub/session/" + id + "/replay")
	assert.Equal(t, "none", replay["entriesSource"])
	assert.Equal(t, []any{}, replay["entries"])
}

func TestParticipants(t *testing.T) {
	f := start(t)
	id := f.create(`{"task":"x"}`)
	control := f.Session(id)
	assert.Equal(t, "p_000001", control.AddParticipant(codertest.Participant{}))
	assert.Equal(t, "mine", control.AddParticipant(codertest.Participant{
		ID: "mine", Role: "controller", Transport: "sse", AgentRole: "scout", Metadata: map[string]any{"a": 1},
	}))
	assert.Equal(t, "p_000003", control.AddParticipant(observer))
	control.DisconnectParticipant("mine")
	control.DisconnectParticipant("nobody")

	list := func(query string) any { return f.get("/hub/session/" + id + "/participants" + query)["participants"] }
	assert.Equal(t, []any{"p_000001", "p_000003"}, all(t, list(""), "id"))
	assert.Equal(t, []any{"p_000001", "p_000003"}, all(t, list("?includeDisconnected=false"), "id"))
	assert.Equal(t, []any{"p_000001", "mine", "p_000003"}, all(t, list("?includeDisconnected=true"), "id"))
	assert.Equal(t, []any{"p_000001", "mine"}, all(t, list("?includeDisconnected=true&limit=2"), "id"))
	assert.Equal(t, []any{"p_000001"}, all(t, list("?limit=1"), "id"))
	gone := at(t, list("?includeDisconnected=true"), 1)
	assert.Equal(t, "controller sse scout map[a:1]", text(gone, "role", "transport", "agentRole", "metadata"))
	assert.Contains(t, gone, "disconnectedAt")
	assert.NotContains(t, at(t, list(""), 0), "disconnectedAt")
	for _, query := range []string{"limit=-1", "includeDisconnected=2"} {
		f.call(400, "GET", "/hub/session/"+id+"/participants?"+query, "")
	}
	events := f.get("/hub/session/" + id + "/events/history")["events"]
	assert.Equal(t, []any{"session_leave", "session_join", "session_join", "session_join", "session_start"}, all(t, events, "event"))
	assert.Equal(t, "mine", at(t, events, 0, "payload", "participant", "id"))
}
