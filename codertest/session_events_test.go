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
