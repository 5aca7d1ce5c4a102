package codertest_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/agentuity/coder-go/codertest"
)

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
