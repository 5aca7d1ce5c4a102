package codertest_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestUpdateSession(t *testing.T) {
	f := start(t)
	id := f.create(fullSession)
	answer := f.call(200, "PATCH", "/hub/session/"+id, `{
		"label": "", "agent": "scout", "visibility": "private", "tags": [], "enabledAgents": ["scout"],
		"skills": [{"skillId": "s", "repo": "custom", "content": "text"}],
		"workflowMode": "standard", "loop": {"maxIterations": 99}, "metadata": {"ticket": "other"}, "task": "other", "nonsense": 1
	}`)
	want := map[string]any{
		"sessionId": id, "label": "", "visibility": "private", "tags": []any{}, "defaultAgent": "scout", "enabledAgents": []any{"scout"},
		"skills":   []any{map[string]any{"skillId": "s", "repo": "custom", "content": "text"}},
		"metadata": map[string]any{"ticket": "AUTH-7", "attempt": 2.0, "deep": map[string]any{"a": []any{1.0}}},
	}
	assert.Equal(t, want, answer)
	got := f.get("/hub/session/" + id)
	for member, value := range want {
		assert.Equal(t, value, got[member], member)
	}
	assert.Equal(t, "loop", got["workflowMode"])
	assert.Equal(t, "Migrate the billing service to API v3", got["task"])
	assert.InDelta(t, 2, at(t, f.get("/hub/session/"+id+"/loop"), "loop", "maxIterations"), 0)

	assert.Equal(t, "lead", f.call(200, "PATCH", "/hub/session/"+id, `{"agent":"a","defaultAgent":"lead"}`)["defaultAgent"])
	assert.Nil(t, f.call(200, "PATCH", "/hub/session/"+id, `{"agent":""}`)["defaultAgent"])
	unchanged := f.call(200, "PATCH", "/hub/session/"+id, `{}`)
	assert.Equal(t, want["tags"], unchanged["tags"])

	for _, body := range []string{"", "x", "[]", `{"visibility":"public"}`, `{"skills":[{"repo":"r"}]}`, `{"tags":"a"}`, `{"label":1}`} {
		assert.Equal(t, "CODER_INVALID_REQUEST", f.call(400, "PATCH", "/hub/session/"+id, body)["code"], body)
	}
}

func TestRenamingIsAnEvent(t *testing.T) {
	f := start(t)
	id := f.create(`{"task":"x"}`)
	f.call(200, "PATCH", "/hub/session/"+id, `{"label":"x","tags":["a"]}`)
	f.call(200, "PATCH", "/hub/session/"+id, `{"label":"y"}`)
	history := f.get("/hub/session/" + id + "/events/history")
	assert.Equal(t, []any{"session_label_updated", "session_start"}, all(t, history["events"], "event"))
}

func TestDeleteSession(t *testing.T) {
	for _, status := range []string{"creating", "provisioning", "active", "paused", "resuming", "archived", "shutdown", "failed"} {
		f := start(t)
		id := f.create(`{"task":"x"}`)
		f.create(`{"task":"other"}`)
		f.Session(id).SetStatus(status)
		assert.Equal(t, map[string]any{"sessionId": id, "status": "deleted"}, f.call(200, "DELETE", "/hub/session/"+id, ""), status)
		for _, route := range []string{
			"GET ", "PATCH ", "DELETE ", "POST /archive", "POST /resume", "GET /replay", "GET /participants", "GET /events/history", "GET /loop",
		} {
			method, rest, _ := strings.Cut(route, " ")
			assert.Equal(t, "CODER_SESSION_NOT_FOUND", f.call(404, method, "/hub/session/"+id+rest, "{}")["code"], route)
		}
		list := f.get("/hub/sessions?includeArchived=true")
		assert.Equal(t, []any{"other"}, all(t, at(t, list, "sessions", "websocket"), "label"))
		assert.Equal(t, "codesess_000000000003", f.create(`{"task":"x"}`), "no id comes twice")
	}
}

func TestBodylessPosts(t *testing.T) {
	f := start(t)
	id := f.create(`{"task":"x"}`)
	f.Session(id).Pause()
	for _, body := range []string{"", "not JSON", "{}"} {
		f.call(200, "POST", "/hub/session/"+id+"/resume", body)
		f.call(200, "POST", "/hub/session/"+id+"/archive", body)
		f.Session(id).Pause()
	}
}

func TestConcurrentUse(t *testing.T) {
	f := start(t)
	var running sync.WaitGroup
	for i := range 64 {
		running.Go(func() {
			id := f.create(fmt.Sprintf(`{"task":"task %d","workflowMode":"loop"}`, i))
			for range 3 {
				f.get("/hub/session/" + id)
				f.get("/hub/session/" + id + "/loop")
			}
			f.call(200, "PATCH", "/hub/session/"+id, `{"label":"new"}`)
			f.Session(id).Emit(eventNamed("turn_start"))
			f.Session(id).AddParticipant(observer)
			f.Session(id).Pause()
			f.get("/hub/sessions?search=new")
			f.get("/hub/session/" + id + "/events/history")
			f.get("/hub/session/" + id + "/participants")
			f.call(200, "POST", "/hub/session/"+id+"/archive", "")
			if i%2 == 0 {
				f.call(200, "DELETE", "/hub/session/"+id, "")
			}
			f.Requests()
			f.SessionIDs()
		})
	}
	running.Wait()
	assert.Len(t, f.SessionIDs(), 32)
	assert.InDelta(t, 32, f.get("/hub/sessions?includeArchived=true")["total"], 0)
	assert.InDelta(t, 0, f.get("/hub/sessions")["total"], 0)
	assert.Len(t, f.Requests(), 64*12+32+2)
}
