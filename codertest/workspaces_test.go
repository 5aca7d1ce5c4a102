package codertest_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func (f fixture) createWorkspace(body string) map[string]any {
	f.Helper()
	return at(f, f.call(201, "POST", "/hub/workspaces", body), "workspace").(map[string]any)
}

func TestWorkspaceNeedsAName(t *testing.T) {
	f := start(t)
	w := f.createWorkspace(`{"name":"Docs","description":"d"}`)
	assert.Equal(t, "ws_000001 Docs d user append 0 0",
		text(w, "id", "name", "description", "scope", "systemPromptMode", "repoCount", "selectionCount"))
	for _, list := range []string{"repos", "dependencies", "savedSkillIds", "skillBucketIds", "enabledAgents"} {
		assert.Equal(t, []any{}, w[list], list)
	}
	assert.NotContains(t, w, "snapshot", "there is nothing to prepare")
	for _, body := range []string{
		``, `{}`, `[]`, `{"name":""}`, `{"name":null}`, `{"name":1}`, `{"name":"x","scope":"world"}`, `{"name":"x","systemPromptMode":"prefix"}`,
		`{"name":"x","repos":["url"]}`, `{"name":"x","dependencies":"git"}`,
	} {
		assert.Equal(t, "CODER_INVALID_REQUEST", f.call(400, "POST", "/hub/workspaces", body)["code"], body)
	}
	f.call(404, "POST", "/hub/workspaces", `{"name":"x","savedSkillIds":["sk_unknown"]}`)
	f.call(404, "POST", "/hub/workspaces", `{"name":"x","skillBucketIds":["bkt_unknown"]}`)
	assert.Len(t, f.get("/hub/workspaces")["workspaces"], 1)
}

func TestWorkspaceCountsItsSelections(t *testing.T) {
	f := start(t)
	skill := f.saveSkill("one")
	bucket := f.createBucket(`{"name":"kit"}`)
	w := f.createWorkspace(`{"name":"Team","scope":"org","repos":[{"url":"https://x","private":true}],"savedSkillIds":["` + skill + `"],
		"skillBucketIds":["` + bucket + `"],"dependencies":["git","jq"],"enabledAgents":["lead","builder"],"setupScript":"make",
		"systemPrompt":"Small steps.","systemPromptMode":"overwrite"}`)
	assert.Equal(t, "org 1 7 make Small steps. overwrite",
		text(w, "scope", "repoCount", "selectionCount", "setupScript", "systemPrompt", "systemPromptMode"))
	assert.Equal(t, []any{map[string]any{"url": "https://x", "private": true}}, w["repos"])
	f.call(200, "DELETE", "/hub/skills/library/"+skill, "")
	f.call(200, "DELETE", "/hub/skills/buckets/"+bucket, "")
	w = at(t, f.get("/hub/workspaces"), "workspaces", 0).(map[string]any)
	assert.Equal(t, "5 [] []", text(w, "selectionCount", "savedSkillIds", "skillBucketIds"))
}

func TestUpdateWorkspace(t *testing.T) {
	f := start(t)
	id := f.createWorkspace(`{"name":"Team","description":"d","dependencies":["git"],"setupScript":"make"}`)["id"].(string)
	w := at(t, f.call(200, "PATCH", "/hub/workspaces/"+id, `{"description":"","dependencies":[],"enabledAgents":["lead"],"unknown":1}`), "workspace")
	assert.Equal(t, "Team <nil> [] [lead] make 1", text(w, "name", "description", "dependencies", "enabledAgents", "setupScript", "selectionCount"))
	for _, body := range []string{``, `{}`, `{"unknown":1}`, `{"name":""}`, `{"scope":"world"}`, `{"systemPromptMode":"x"}`} {
		assert.Equal(t, "CODER_INVALID_REQUEST", f.call(400, "PATCH", "/hub/workspaces/"+id, body)["code"], body)
	}
	f.call(404, "PATCH", "/hub/workspaces/"+id, `{"savedSkillIds":["sk_unknown"]}`)
	f.call(404, "PATCH", "/hub/workspaces/nope", `{"name":"x"}`)
}

func TestWorkspaceSnapshotIsObserved(t *testing.T) {
	f := start(t)
	id := f.createWorkspace(`{"name":"Team","dependencies":["git"]}`)["id"].(string)
	observe := func() string {
		f.get("/hub/workspaces")
		return text(at(t, f.get("/hub/workspaces/"+id), "workspace", "snapshot"), "status", "buildId", "snapshotId")
	}
	assert.Equal(t, "queued bld_ws_000001_1 <nil>", observe())
	assert.Equal(t, "building bld_ws_000001_1 <nil>", observe())
	assert.Equal(t, "ready bld_ws_000001_1 snp_ws_000001_1", observe())
	assert.Equal(t, "ready bld_ws_000001_1 snp_ws_000001_1", observe())
	refreshed := at(t, f.call(200, "POST", "/hub/workspaces/"+id+"/snapshot/refresh", "not JSON"), "workspace", "snapshot")
	assert.Equal(t, "queued bld_ws_000001_2 snp_ws_000001_1", text(refreshed, "status", "buildId", "snapshotId"))
	assert.Equal(t, "queued bld_ws_000001_2 snp_ws_000001_1", observe())
	assert.Equal(t, "building bld_ws_000001_2 snp_ws_000001_1", observe())
	assert.Equal(t, "ready bld_ws_000001_2 snp_ws_000001_2", observe())
	f.call(404, "POST", "/hub/workspaces/nope/snapshot/refresh", "")
}

func TestDeleteWorkspace(t *testing.T) {
	f := start(t)
	id := f.createWorkspace(`{"name":"Team"}`)["id"].(string)
	assert.Equal(t, map[string]any{"ok": true}, f.call(200, "DELETE", "/hub/workspaces/"+id, ""))
	f.call(404, "DELETE", "/hub/workspaces/"+id, "")
	f.call(404, "GET", "/hub/workspaces/"+id, "")
	assert.Equal(t, map[string]any{"workspaces": []any{}}, f.get("/hub/workspaces"))
}

func TestSessionsKnowTheirWorkspace(t *testing.T) {
	f := start(t)
	skill := f.saveSkill("one")
	ws := f.createWorkspace(`{"name":"Team","scope":"org","repos":[{"url":"https://x"}],"savedSkillIds":["` + skill + `"],"enabledAgents":["lead"]}`)
	id := f.create(`{"task":"x","workspaceId":"` + ws["id"].(string) + `"}`)
	f.call(200, "PATCH", "/hub/workspaces/ws_000001", `{"name":"Renamed"}`)
	got := f.get("/hub/session/" + id)
	assert.Equal(t, map[string]any{"id": "ws_000001", "name": "Renamed", "scope": "org"}, got["workspace"])
	assert.Equal(t, got["workspace"], at(t, f.get("/hub/sessions"), "sessions", "websocket", 0, "workspace"))
	assert.Equal(t, []any{map[string]any{"url": "https://x"}}, got["repos"])
	assert.Equal(t, []any{"one"}, all(t, got["skills"], "skillId"))
	assert.Equal(t, []any{"lead"}, got["enabledAgents"])

	own := f.get("/hub/session/" + f.create(`{"task":"x","workspaceId":"ws_000001","repo":{"url":"https://y"},"enabledAgents":[]}`))
	assert.NotContains(t, own, "repos")
	assert.Equal(t, []any{}, own["enabledAgents"])

	f.call(200, "DELETE", "/hub/workspaces/ws_000001", "")
	assert.Contains(t, f.get("/hub/session/"+id), "workspace")
	assert.NotContains(t, f.call(404, "POST", "/hub/session", `{"task":"x","workspaceId":"ws_000001"}`), "code")
	assert.Len(t, f.SessionIDs(), 2)
}

func TestValidateDependencies(t *testing.T) {
	f := start(t)
	answer := f.call(200, "POST", "/hub/workspaces/dependencies/validate",
		`{"dependencies":["git","jq=1.7.1-3","g++","NoSuch","-x","","a","rm -rf /","no-such-pkg","jq=","jq=latest!"]}`)
	assert.Equal(t, true, answer["success"])
	assert.Equal(t, []any{"git", "jq=1.7.1-3", "g++"}, at(t, answer, "data", "valid"))
	refused := at(t, answer, "data", "invalid")
	assert.Equal(t, []any{"NoSuch", "-x", "", "a", "rm -rf /", "no-such-pkg", "jq=", "jq=latest!"}, all(t, refused, "package"))
	for i := range refused.([]any) {
		assert.NotEmpty(t, at(t, refused, i, "error"))
		assert.Contains(t, at(t, refused, i, "searchUrl"), "https://")
	}
	assert.Equal(t, "latest!", at(t, refused, 7, "requestedVersion"))
	assert.NotContains(t, at(t, refused, 0), "requestedVersion")

	empty := map[string]any{"success": true, "data": map[string]any{"valid": []any{}, "invalid": []any{}}}
	assert.Equal(t, empty, f.call(200, "POST", "/hub/workspaces/dependencies/validate", `{}`))
	assert.Equal(t, empty, f.call(200, "POST", "/hub/workspaces/dependencies/validate", `{"dependencies":[]}`))
	f.call(400, "POST", "/hub/workspaces/dependencies/validate", `{"dependencies":"git"}`)
	f.call(400, "POST", "/hub/workspaces/dependencies/validate", ``)
}
