package codertest_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/codertest"
)

func TestUnknownRoutes(t *testing.T) {
	f := start(t)
	id := f.create(`{"task":"x"}`)
	for _, path := range []string{
		"/hub", "/hub/", "/hub/session", "/hub/session/", "/hub/sessions/", "/hub/session/" + id + "/", "/hub/nonsense",
		"/hub/session/" + id + "/nonsense", "/hub/session//archive", "/coder", "",
	} {
		want := 404
		if path == "/hub/session" {
			want = 405
		}
		body := f.call(want, "GET", path, "")
		assert.NotContains(t, body, "code", path)
	}
	r, err := read(f.client.Get(f.URL() + "/"))
	require.NoError(t, err)
	assert.Equal(t, 404, r.status)
	r, err = read(f.client.Get(f.URL() + "/hub/sessions"))
	require.NoError(t, err)
	assert.Equal(t, 404, r.status, "routes live below /api")
}

func TestWrongMethods(t *testing.T) {
	f := start(t)
	id := f.create(`{"task":"x"}`)
	for path, allow := range map[string]string{
		"/hub/session":                           "POST",
		"/hub/session/builder":                   "POST, GET, PATCH, DELETE",
		"/hub/sessions":                          "GET",
		"/hub/session/" + id:                     "GET, PATCH, DELETE",
		"/hub/session/" + id + "/archive":        "POST",
		"/hub/session/" + id + "/resume":         "POST",
		"/hub/session/" + id + "/replay":         "GET",
		"/hub/session/" + id + "/participants":   "GET",
		"/hub/session/" + id + "/events/history": "GET",
		"/hub/session/" + id + "/loop":           "GET",
	} {
		r, err := f.try("PUT", path, "{}")
		require.NoError(t, err)
		assert.Equal(t, 405, r.status, path)
		assert.Equal(t, allow, r.header.Get("Allow"), path)
		assert.NotContains(t, r.json, "code")
	}
}

func TestUnknownSession(t *testing.T) {
	f := start(t)
	for _, id := range []string{"nope", "a%2Fb", "builder", "..", "%2E%2E", "%F0%9F%90%99"} {
		for _, route := range []string{
			"GET ", "PATCH ", "DELETE ", "POST /archive", "POST /resume", "GET /replay", "GET /participants",
			"GET /events/history", "GET /loop",
		} {
			method, rest, _ := strings.Cut(route, " ")
			body := f.call(404, method, "/hub/session/"+id+rest, "{}")
			assert.Equal(t, "CODER_SESSION_NOT_FOUND", body["code"], "%s %s", id, route)
		}
	}
}

func TestEscapedPathsDoNotCollide(t *testing.T) {
	f := start(t)
	f.create(`{"task":"x"}`)
	// One element that would be two routes if it were decoded too early.
	body := f.call(404, "GET", "/hub/session/codesess_000000000001%2Farchive", "")
	assert.Equal(t, "CODER_SESSION_NOT_FOUND", body["code"])
	assert.Equal(t, "codesess_000000000001", f.get("/hub/session/%63odesess_000000000001")["sessionId"])
}

func TestTraceIDsCount(t *testing.T) {
	f := start(t)
	for i := 1; i <= 3; i++ {
		r, err := f.try("GET", "/hub/session/nope", "")
		require.NoError(t, err)
		assert.Equal(t, fmt.Sprintf("trace_%06d", i), r.header.Get("x-session-id"))
	}
}

func TestRequestBodyLimit(t *testing.T) {
	f := start(t)
	body := `{"task":"` + strings.Repeat("x", 64<<20) + `"}`
	r, err := f.try("POST", "/hub/session", body)
	require.NoError(t, err)
	assert.Equal(t, 413, r.status)
	assert.Equal(t, false, r.json["success"])
	assert.Empty(t, f.SessionIDs())
}

// sample is one of the Hub's real answers.
func sample(t *testing.T, name string) any {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "responses", name+".json"))
	require.NoError(t, err)
	var v any
	require.NoError(t, json.Unmarshal(data, &v))
	return v
}

var timestamp = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`)

// assertShape checks that everything the fake sends is of the kind the real
// Hub sends there, and that it sends nothing the real one does not.
func assertShape(t *testing.T, where string, real, fake any) {
	t.Helper()
	if !assert.Equal(t, kind(real), kind(fake), where) {
		return
	}
	switch fake := fake.(type) {
	case map[string]any:
		for name, value := range fake {
			known, ok := real.(map[string]any)[name]
			if assert.True(t, ok, "%s has a member %s that the Hub does not send", where, name) {
				assertShape(t, where+"."+name, known, value)
			}
		}
	case []any:
		if reals := real.([]any); len(reals) > 0 {
			for i, value := range fake {
				assertShape(t, fmt.Sprintf("%s[%d]", where, i), union(reals), value)
			}
		}
	case string:
		if timestamp.MatchString(real.(string)) {
			assert.Regexp(t, timestamp, fake, where)
		}
	}
}

func kind(v any) string {
	if v == nil {
		return "null"
	}
	return fmt.Sprintf("%T", v)
}

// union merges the elements of a real list, which show different members.
func union(elements []any) any {
	if _, ok := elements[0].(map[string]any); !ok {
		return elements[0]
	}
	merged := map[string]any{}
	for _, element := range slices.Backward(elements) {
		maps.Copy(merged, element.(map[string]any))
	}
	return merged
}

// required checks that an object has at least these members.
func required(t *testing.T, object any, members ...string) {
	t.Helper()
	for _, member := range members {
		assert.Contains(t, object, member)
	}
}

const fullSession = `{
	"task": "Migrate the billing service to API v3", "label": "Migrate to v3", "agent": "scout", "defaultAgent": "lead",
	"visibility": "collaborate", "workflowMode": "loop",
	"loop": {"goal": "All billing tests green on v3", "maxIterations": 2, "autoContinue": true, "allowDetached": false},
	"tags": ["migration"], "enabledAgents": ["lead", "builder"],
	"skills": [{"skillId": "release-checklist", "repo": "custom", "name": "Release checklist", "url": "https://skills.example/r"}],
	"repo": {"url": "https://git.example/billing", "private": true},
	"repos": [{"url": "https://git.example/billing", "private": true}, {"url": "https://git.example/checkout"}],
	"projectId": "proj_1", "runtime": "bun:1", "env": {"NODE_ENV": "test"},
	"resources": {"memory": "1Gi"}, "network": {"enabled": true}, "timeout": {"idle": "10m"},
	"command": {"exec": ["make"], "mode": "oneshot", "files": [{"path": "a", "content": "AP8="}]},
	"files": [{"path": "b", "content": "aGk="}], "metadata": {"ticket": "AUTH-7", "attempt": 2, "deep": {"a": [1]}},
	"scopes": ["services:read"], "unknown": {"member": 1}
}`

func TestShapes(t *testing.T) {
	f := start(t)
	id := f.create(strings.ReplaceAll(fullSession, `, "private": true`, ""))
	f.call(201, "POST", "/hub/session/builder", `{"sourceSessionId":"`+id+`"}`)
	control := f.Session(id)
	control.SetStatus("active")
	control.AddParticipant(codertest.Participant{
		ID: "p_obs0", Role: "observer", Transport: "sse", AgentRole: "scout",
		Metadata: map[string]any{"origin": "web", "driverVersion": "1"},
	})
	control.DisconnectParticipant("p_obs0")
	control.AddReplayEntries(codertest.ReplayEntry{Type: "message", Agent: "lead", Content: "Hello."})
	control.Emit(codertest.Event{Event: "task_start", Agent: "scout", TaskID: "task_01"})

	check := func(name string, fake any) {
		t.Helper()
		assertShape(t, name, sample(t, name), fake)
	}
	created := f.call(201, "POST", "/hub/session", `{"task":"x"}`)
	check("session-create", created)
	required(t, created, "sessionId", "status", "sandboxId", "mode", "visibility")
	check("session-create-builder", omit(f.call(201, "POST", "/hub/session/builder", `{}`), "sandboxId"))

	r, err := read(f.client.Get(f.URL() + "/coder"))
	require.NoError(t, err)
	check("discover", r.json)

	list := f.get("/hub/sessions")
	check("sessions-list", list)
	for _, item := range at(t, list, "sessions", "websocket").([]any) {
		required(t, item, "sessionId", "label", "status", "mode", "visibility", "workflowMode", "createdAt", "lastActivityAt",
			"taskCount", "subAgentCount", "observerCount", "participantCount", "tags", "skills", "bucket", "runtimeAvailable",
			"controlAvailable", "wakeAvailable", "historyOnly", "liveExpected")
	}
	check("sessions-list-empty", f.get("/hub/sessions?search=nothing+like+it"))

	detail := union([]any{sample(t, "session-get"), at(t, sample(t, "sessions-list"), "sessions", "websocket", 4)})
	detail.(map[string]any)["metadata"] = map[string]any{"ticket": "", "attempt": 0.0, "deep": map[string]any{"a": []any{}}}
	got := f.get("/hub/session/" + id)
	assertShape(t, "session-get", detail, got)
	required(t, got, "task", "env", "metadata", "updatedAt")

	update := sample(t, "session-update").(map[string]any)
	update["metadata"] = detail.(map[string]any)["metadata"]
	assertShape(t, "session-update", update, f.call(200, "PATCH", "/hub/session/"+id, `{"label":"New"}`))

	check("session-replay", f.get("/hub/session/"+id+"/replay"))
	check("session-participants", f.get("/hub/session/"+id+"/participants?includeDisconnected=true"))
	history := sample(t, "session-events-history")
	for _, event := range at(t, history, "events").([]any) {
		event.(map[string]any)["payload"] = map[string]any{}
	}
	gotHistory := f.get("/hub/session/" + id + "/events/history")
	for _, event := range at(t, gotHistory, "events").([]any) {
		required(t, event, "id", "event", "category", "payload", "occurredAt", "ingestedAt")
		event.(map[string]any)["payload"] = map[string]any{}
	}
	assertShape(t, "session-events-history", history, gotHistory)
	check("session-loop", f.get("/hub/session/"+id+"/loop"))
	check("session-loop-none", f.get("/hub/session/"+created["sessionId"].(string)+"/loop"))
	check("session-archive", f.call(200, "POST", "/hub/session/"+id+"/archive", ""))
	control.Pause()
	check("session-resume", f.call(200, "POST", "/hub/session/"+id+"/resume", ""))
	check("session-delete", f.call(200, "DELETE", "/hub/session/"+id, ""))
}

func TestErrorShapes(t *testing.T) {
	f := start(t)
	id := f.create(`{"task":"x"}`)
	archived := f.create(`{"task":"x"}`)
	f.Session(archived).Archive()
	for name, answer := range map[string]map[string]any{
		"404-session-not-found": f.call(404, "GET", "/hub/session/nope", ""),
		"409-session-conflict":  f.call(409, "POST", "/hub/session/"+id+"/resume", ""),
		"410-session-archived":  f.call(410, "POST", "/hub/session/"+archived+"/resume", ""),
		"400-invalid-request":   f.call(400, "POST", "/hub/session", `{"task":""}`),
	} {
		data, err := os.ReadFile(filepath.Join("testdata", "errors", name+".json"))
		require.NoError(t, err)
		var want struct{ Body map[string]any }
		require.NoError(t, json.Unmarshal(data, &want))
		assertShape(t, name, want.Body, answer)
		assert.Equal(t, want.Body["code"], answer["code"], name)
	}
}

func omit(object map[string]any, member string) map[string]any {
	delete(object, member)
	return object
}
