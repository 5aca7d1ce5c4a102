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

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

func TestDirectoryShapes(t *testing.T) {
	f := start(t)
	check := func(name string, fake any) {
		t.Helper()
		assertShape(t, name, sample(t, name), fake)
	}
	f.AddUser(codertest.User{DisplayName: "Dana", AvatarURL: "https://a"})
	check("users-list-object", f.get("/hub/users?limit=10"))
	check("github-accounts-disconnected", f.get("/hub/github/accounts"))
	id := f.AddGitHubAccount(codertest.GitHubAccount{AccountType: "User", AvatarURL: "https://a", Repositories: []codertest.GitHubRepository{{Name: "x"}}})
	check("github-accounts", f.get("/hub/github/accounts"))
	check("github-repos", f.get("/hub/github/repos?accountId="+id))

	skill := f.call(201, "POST", "/hub/skills/library", `{"repo":"r","skillId":"s","name":"n","description":"d","url":"https://x"}`)
	check("skill-save", skill)
	check("skill-create-custom", f.call(201, "POST", "/hub/skills/library",
		`{"source":"custom","repo":"custom","skillId":"s","name":"n","description":"d","content":"c"}`))
	check("hub-skills", f.get("/hub/skills"))
	check("skills-library-list", f.get("/hub/skills/library"))
	check("bucket-create", f.call(201, "POST", "/hub/skills/buckets", `{"name":"k","description":"d","savedSkillIds":["sk_000001"]}`))
	check("buckets-list", f.get("/hub/skills/buckets"))

	check("workspace-get", f.call(201, "POST", "/hub/workspaces", `{"name":"w","description":"d","repos":[{"url":"https://x"}],
		"savedSkillIds":["sk_000001"],"skillBucketIds":["bkt_000001"],"dependencies":["git"],"enabledAgents":["lead"]}`))
	for range 3 {
		check("workspace-get", f.get("/hub/workspaces/ws_000001"))
	}
	check("workspaces-list", f.get("/hub/workspaces"))
	check("workspace-update", f.call(200, "PATCH", "/hub/workspaces/ws_000001", `{"name":"x"}`))
	check("workspace-refresh", f.call(200, "POST", "/hub/workspaces/ws_000001/snapshot/refresh", ""))
	check("workspace-validate-dependencies", f.call(200, "POST", "/hub/workspaces/dependencies/validate", `{"dependencies":["git","no-such-x","jq=!"]}`))

	created := f.call(201, "POST", "/hub/agents", `{"slug":"a","displayName":"A","instructions":"I","description":"d","model":"m",
		"thinkingLevel":"high","tools":["read"],"serviceTools":["web_search"],"savedSkillIds":["sk_000001"],"companionAgents":["scout"]}`)
	assertShape(t, "agent-create", sample(t, "agent-get"), created)
	check("agent-get", f.call(200, "POST", "/hub/agents/a/publish", ""))
	check("agents-list", f.get("/hub/agents"))
	check("agent-versions", f.get("/hub/agents/a/versions"))
	assertShape(t, "agent-archive", sample(t, "agent-get"), f.call(200, "POST", "/hub/agents/a/archive", ""))

	session := f.get("/hub/session/" + f.create(`{"task":"x","workspaceId":"ws_000001"}`))
	assertShape(t, "session-get", at(t, sample(t, "session-get"), "workspace"), session["workspace"])
	builder := f.call(201, "POST", "/hub/session/builder", `{"sourceSessionId":"codesess_000000000001"}`)["sessionId"].(string)
	check("session-get-builder", omit(f.get("/hub/session/"+builder), "updatedAt"))
	for _, route := range []string{"skills/buckets/bkt_000001", "skills/library/sk_000001", "workspaces/ws_000001"} {
		check("bucket-delete", f.call(200, "DELETE", "/hub/"+route, ""))
	}
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
	f.Answer() // to the task
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
	control.SetTodos(codertest.Todo{
		Title: "Validate the state", Status: coder.TodoInProgress, Priority: "high", Tags: []string{"auth"},
		Assignee: coder.SessionTodoAssignee{ID: "agent_builder", Name: "builder", Type: "agent"},
	})
	check("session-todos", f.get("/hub/session/"+id+"/todos"))
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
