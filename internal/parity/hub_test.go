//go:build parity

package parity

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// visitor drives a Hub of codertest with the original client. What it reads is read with the Go
// client as well, and must be the same.
type visitor struct {
	*testing.T
	hub  *codertest.Hub
	ours *coder.Client
}

const hubKey = "sk_hub"

func visit(t *testing.T) *visitor {
	hub := codertest.NewHub(codertest.WithAPIKey(hubKey), codertest.WithoutAgent())
	t.Cleanup(hub.Close)
	client, err := hub.NewClient()
	require.NoError(t, err)
	return &visitor{t, hub, client}
}

func (v *visitor) try(key, method string, args []any) (any, *originalError) {
	v.Helper()
	m := methodNamed(method)
	tally.add(m)
	text, err := original.do(order{Op: "call", Method: m.original(), Args: append([]any{}, args...),
		Options: map[string]string{"url": v.hub.URL(), "apiKey": key, "orgId": "org_1"}})
	var thrown *originalError
	if err != nil {
		require.ErrorAs(v, err, &thrown)
		return nil, thrown
	}
	value, err := tree(text)
	require.NoError(v, err)
	return value, nil
}

// call expects success. Its result is an object, or missing.
func (v *visitor) call(method string, args ...any) object {
	v.Helper()
	value, thrown := v.try(hubKey, method, args)
	require.Nil(v, thrown, "%s(%s)", method, encode(args))
	if o, ok := value.(object); ok {
		return o
	}
	return nil
}

// read is a call that changes nothing, so that the Go client can make it after the original.
func (v *visitor) read(method string, args ...any) object {
	v.Helper()
	there := v.call(method, args...)
	value, err := methodNamed(method).try(v.T, v.ours, args)
	require.NoError(v, err, method)
	c := comparison{differences: make(map[string]bool)}
	c.value("", there, treeOf(v.T, value))
	if len(c.found) > 0 {
		tally.other()
		v.Errorf("%s(%s) differs: %s", method, encode(args), strings.Join(c.found, "; "))
	}
	return there
}

// refuse expects an error with this status, and the same of the Go client.
func (v *visitor) refuse(status int, method string, args ...any) {
	v.Helper()
	_, thrown := v.try(hubKey, method, args)
	require.NotNil(v, thrown, "%s(%s)", method, encode(args))
	assert.Equal(v, status, thrown.Status, "%s: %s", method, thrown.Message)
	_, err := methodNamed(method).try(v.T, v.ours, args)
	var api *coder.APIError
	require.ErrorAs(v, err, &api)
	assert.Equal(v, thrown.Message, api.Message)
}

// ids are the ids in a list of an answer.
func ids(answer object, list, id string) []string {
	out := []string{}
	elements, _ := answer[list].([]any)
	for _, e := range elements {
		out = append(out, e.(object)[id].(string))
	}
	return out
}

func TestHubSessions(t *testing.T) {
	v := visit(t)
	created := v.call("CreateSession", object{
		"task": "Fix the café's login", "label": "login", "tags": []any{"a", "ü"}, "metadata": object{"ticket": "X-1"}, "env": object{"A": "b"},
		"visibility": "organization", "workflowMode": "loop", "loop": object{"goal": "green", "maxIterations": 3},
		"repo":   object{"url": "https://git.invalid/r", "private": true},
		"files":  []any{object{"path": "a.bin", "content": file([]byte{0, 255})}},
		"skills": []any{object{"skillId": "s", "repo": "custom", "content": "# S"}},
	})
	id := created["sessionId"].(string)
	second := v.call("CreateSession", object{"task": "Another"})["sessionId"].(string)
	third := v.call("CreateAgentBuilderSession", object{"mode": "new", "prompt": "build"})["sessionId"].(string)

	s := v.call("GetSession", id)
	assert.Equal(t, "login", s["label"])
	assert.Equal(t, "Fix the café's login", s["task"])
	assert.Equal(t, []any{"a", "ü"}, s["tags"])
	assert.Equal(t, object{"ticket": "X-1"}, s["metadata"])
	assert.Equal(t, "loop", s["workflowMode"])
	assert.Equal(t, true, s["repo"].(object)["private"], "unknown members are remembered")
	for range 3 {
		s = v.call("GetSession", id)
	}
	assert.Equal(t, "active", s["status"])
	v.read("GetSession", id)
	assert.NotEmpty(t, v.call("GetSession", third)["builder"])

	all := v.read("ListSessions")
	assert.ElementsMatch(t, []string{id, second, third}, ids(all, "sessions", "sessionId"))
	assert.Equal(t, 3.0, all["total"])
	var paged []string
	for offset := range 3 {
		params := object{"limit": 1}
		if offset > 0 {
			params["offset"] = offset
		}
		page := v.read("ListSessions", params)
		paged = append(paged, ids(page, "sessions", "sessionId")...)
		assert.Equal(t, 3.0, page["total"])
	}
	assert.Equal(t, ids(all, "sessions", "sessionId"), paged)
	assert.Equal(t, []string{id}, ids(v.read("ListSessions", object{"search": "café"}), "sessions", "sessionId"))

	updated := v.call("UpdateSession", id, object{"label": "renamed", "tags": []any{}, "agent": "builder"})
	assert.Equal(t, "renamed", updated["label"])
	s = v.read("GetSession", id)
	assert.Equal(t, "renamed", s["label"])
	assert.Empty(t, s["tags"])
	assert.Equal(t, "builder", s["defaultAgent"])

	v.hub.Session(id).Pause()
	assert.Contains(t, ids(v.read("ListConnectableSessions"), "sessions", "sessionId"), id)
	assert.Equal(t, true, v.call("ResumeSession", id)["resumed"])
	v.hub.Session(id).Pause()
	attached := v.call("PrepareSessionForRemoteAttach", id, object{"pollIntervalMs": 1})
	assert.Equal(t, true, attached["runtimeAvailable"])

	v.hub.Session(id).AddParticipant(codertest.Participant{Role: "lead"})
	v.hub.Session(id).AddReplayEntries(codertest.ReplayEntry{Type: "message", Content: "Hello"})
	v.hub.Session(id).Emit(codertest.Event{Event: "turn_end"})
	events := v.read("ListEventHistory", id, object{"limit": 1})
	require.Len(t, events["events"], 1)
	assert.Equal(t, "turn_end", events["events"].([]any)[0].(object)["event"])
	assert.Contains(t, encode(v.read("GetReplay", id)), "Hello")
	assert.Contains(t, encode(v.read("ListParticipants", id, object{"limit": 5})), "lead")
	v.hub.Session(id).SetLoop(codertest.Loop{Status: "running", Iteration: 2, Goal: "green"})
	loop := v.read("GetLoopState", id)["loop"].(object)
	assert.Equal(t, 2.0, loop["iteration"])
	assert.Nil(t, v.read("GetLoopState", second)["loop"])

	assert.Equal(t, "archived", v.call("ArchiveSession", id)["status"])
	assert.NotContains(t, ids(v.read("ListSessions"), "sessions", "sessionId"), id)
	assert.Contains(t, ids(v.read("ListSessions", object{"includeArchived": true}), "sessions", "sessionId"), id)
	assert.Equal(t, true, v.read("GetSession", id)["historyOnly"])
	assert.NotContains(t, ids(v.read("ListConnectableSessions"), "sessions", "sessionId"), id)

	v.call("DeleteSession", id)
	for _, method := range []string{"GetSession", "GetReplay", "ListParticipants", "ListEventHistory", "GetLoopState", "ArchiveSession", "ResumeSession", "DeleteSession"} {
		v.refuse(404, method, id)
	}
	v.refuse(404, "UpdateSession", id, object{"label": "x"})
	v.refuse(404, "GetSession", "a/b ü")
	v.refuse(400, "CreateSession", object{"task": "x", "loop": object{"maxIterations": -1}})
}

func TestHubWorkspaces(t *testing.T) {
	v := visit(t)
	w := v.call("CreateWorkspace", object{
		"name": "team", "scope": "org", "dependencies": []any{"git", "jq"}, "repos": []any{object{"url": "https://git.invalid/r", "private": true}},
	})
	id := w["id"].(string)
	assert.Equal(t, 3.0, w["selectionCount"])
	assert.Equal(t, "team", v.call("GetWorkspace", id)["name"])
	w = v.call("UpdateWorkspace", id, object{"description": "d", "dependencies": []any{}})
	assert.Equal(t, "d", w["description"])
	assert.Equal(t, 1.0, v.call("GetWorkspace", id)["selectionCount"])
	assert.NotEmpty(t, v.call("RefreshWorkspaceSnapshot", id)["snapshot"])
	for range 4 {
		v.call("GetWorkspace", id)
	}
	v.read("GetWorkspace", id)
	assert.Equal(t, []string{id}, ids(v.read("ListWorkspaces"), "workspaces", "id"))

	session := v.call("CreateSession", object{"task": "x", "workspaceId": id})["sessionId"]
	assert.Equal(t, id, v.call("GetSession", session)["workspace"].(object)["id"])

	report := v.read("ValidateWorkspaceDependencies", []any{"git", "no-such-package"})
	assert.Equal(t, []any{"git"}, report["valid"])
	assert.Len(t, report["invalid"], 1)
	assert.NotNil(t, v.read("ValidateWorkspaceDependencies", []any{})["valid"])

	v.call("DeleteWorkspace", id)
	assert.Empty(t, v.read("ListWorkspaces")["workspaces"])
	for _, method := range []string{"GetWorkspace", "RefreshWorkspaceSnapshot", "DeleteWorkspace"} {
		v.refuse(404, method, id)
	}
	v.refuse(404, "UpdateWorkspace", id, object{"name": "x"})
}

func TestHubSkills(t *testing.T) {
	v := visit(t)
	saved := v.call("SaveSkill", object{"repo": "r", "skillId": "review", "name": "Review"})
	assert.Equal(t, "registry", saved["source"])
	again := v.call("SaveSkill", object{"repo": "r", "skillId": "review", "name": "Better review"})
	assert.Equal(t, saved["id"], again["id"], "the same skill is the same record")
	custom := v.call("CreateCustomSkill", object{"skillId": "mine", "name": "Mine", "content": "# Mine\n", "description": "d"})
	assert.Equal(t, "custom", custom["source"])
	list := v.read("ListSavedSkills")
	assert.ElementsMatch(t, []string{saved["id"].(string), custom["id"].(string)}, ids(list, "skills", "id"))
	assert.Contains(t, encode(list), "Better review")

	bucket := v.call("CreateSkillBucket", object{"name": "kit", "savedSkillIds": []any{custom["id"]}})
	assert.Equal(t, 1.0, bucket["skillCount"])
	assert.Equal(t, []string{custom["id"].(string)}, ids(bucket, "skills", "id"))
	assert.Equal(t, []string{bucket["id"].(string)}, ids(v.read("ListSkillBuckets"), "buckets", "id"))

	v.call("DeleteSavedSkill", custom["id"])
	assert.Equal(t, []string{saved["id"].(string)}, ids(v.read("ListSavedSkills"), "skills", "id"))
	v.call("DeleteSkillBucket", bucket["id"])
	assert.Empty(t, v.read("ListSkillBuckets")["buckets"])
	v.refuse(404, "DeleteSavedSkill", custom["id"])
	v.refuse(404, "DeleteSkillBucket", bucket["id"])
}

func TestHubAgents(t *testing.T) {
	v := visit(t)
	body := object{"slug": "writer", "displayName": "Writer", "instructions": "Write.", "description": "d", "model": "m",
		"thinkingLevel": "low", "tools": []any{"read", "write"}, "serviceTools": []any{"web_search"}}
	agent := v.call("CreateCustomAgent", body)
	id := agent["id"].(string)
	assert.Equal(t, "draft", agent["lifecycle"])
	assert.Equal(t, []any{"read", "write"}, agent["tools"])
	v.refuse(409, "CreateCustomAgent", body) // the slug is taken
	assert.Equal(t, id, v.read("GetCustomAgent", "writer")["id"], "by slug")

	agent = v.call("UpdateCustomAgent", "writer", object{"displayName": "Scribe", "description": nil, "thinkingLevel": nil})
	assert.Equal(t, "Scribe", agent["displayName"])
	assert.NotContains(t, agent, "description", "null clears")
	assert.Equal(t, "m", agent["model"], "what was left out stays")

	assert.Equal(t, 1.0, v.call("PublishCustomAgent", id)["latestPublishedVersion"])
	v.call("UpdateCustomAgent", id, object{"instructions": "Write more."})
	assert.Equal(t, true, v.read("GetCustomAgent", id)["hasUnpublishedChanges"])
	assert.Equal(t, 2.0, v.call("PublishCustomAgent", id)["latestPublishedVersion"])
	versions := v.read("ListCustomAgentVersions", "writer")["versions"].([]any)
	require.Len(t, versions, 2)
	assert.Equal(t, "Write.", versions[1].(object)["instructions"], "a version is frozen")

	assert.Equal(t, []string{id}, ids(v.read("ListCustomAgents"), "agents", "id"))
	assert.Equal(t, "archived", v.call("ArchiveCustomAgent", id)["lifecycle"])
	assert.Empty(t, v.read("ListCustomAgents")["agents"])
	assert.Equal(t, []string{id}, ids(v.read("ListCustomAgents", object{"includeArchived": true}), "agents", "id"))
	for _, method := range []string{"GetCustomAgent", "PublishCustomAgent", "ArchiveCustomAgent", "ListCustomAgentVersions"} {
		v.refuse(404, method, "nobody")
	}
	v.refuse(404, "UpdateCustomAgent", "nobody", object{})
}

func TestHubDirectory(t *testing.T) {
	v := visit(t)
	assert.Equal(t, false, v.read("ListGitHubAccounts")["connected"])
	assert.Empty(t, v.read("ListUsers")["users"])
	for i := range 5 {
		v.hub.AddUser(codertest.User{DisplayName: fmt.Sprintf("User %d", i)})
	}
	account := v.hub.AddGitHubAccount(codertest.GitHubAccount{AccountName: "octo", Repositories: []codertest.GitHubRepository{{Name: "hello", Private: true}}})
	all := ids(v.read("ListUsers"), "users", "userId")
	assert.Len(t, all, 5)
	page := v.read("ListUsers", object{"limit": 2, "offset": 1})
	assert.Equal(t, all[1:3], ids(page, "users", "userId"))
	assert.Equal(t, 5.0, page["total"])
	assert.Len(t, v.read("ListUsers", object{"search": "user 3"})["users"], 1)

	accounts := v.read("ListGitHubAccounts")
	assert.Equal(t, true, accounts["connected"])
	assert.Equal(t, []string{account}, ids(accounts, "accounts", "accountId"))
	repos := v.read("ListGitHubRepos", account)
	assert.Equal(t, "octo/hello", repos["repositories"].([]any)[0].(object)["fullName"])
	v.refuse(404, "ListGitHubRepos", "nobody")
}

// TestHubDoor: discovery and credentials.
func TestHubDoor(t *testing.T) {
	v := visit(t)
	tally.add(methodNamed("URL"))
	text, err := original.do(order{Op: "call", Method: "getUrl", Options: map[string]string{"apiKey": hubKey},
		Env: map[string]string{"AGENTUITY_CATALYST_URL": v.hub.URL()}})
	require.NoError(t, err)
	var url string
	require.NoError(t, json.Unmarshal(text, &url))
	assert.Equal(t, v.hub.URL(), url)

	for i := range methods {
		m := &methods[i]
		if m.discovery() {
			continue
		}
		_, thrown := v.try("wrong", m.name, m.sample)
		require.NotNil(t, thrown, m.name)
		assert.Equal(t, 401, thrown.Status, m.name)
	}
}
