package codertest_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/agentuity/coder-go/codertest"
)

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
