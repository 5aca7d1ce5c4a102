package codertest_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

const newAgent = `{"slug":"doc-writer","displayName":"Doc writer","instructions":"Write."}`

func (f fixture) createAgent(body string) map[string]any {
	f.Helper()
	return at(f, f.call(201, "POST", "/hub/agents", body), "agent").(map[string]any)
}

func TestAgentDraft(t *testing.T) {
	f := start(t)
	agent := f.createAgent(newAgent)
	assert.Equal(t, "agent_000001 doc-writer Doc writer Write. draft private_draft false true",
		text(agent, "id", "slug", "displayName", "instructions", "lifecycle", "visibility", "hasPublishedVersion", "hasUnpublishedChanges"))
	draft := map[string]any{
		"slug": "doc-writer", "displayName": "Doc writer", "instructions": "Write.", "headlessCompatible": false,
		"tools": []any{}, "serviceTools": []any{}, "savedSkills": []any{}, "companionAgents": []any{},
	}
	assert.Equal(t, draft, agent["draft"])
	for _, absent := range []string{"description", "model", "thinkingLevel", "published", "latestPublishedVersion", "latestPublishedAt"} {
		assert.NotContains(t, agent, absent)
	}
	assert.Equal(t, agent, f.get("/hub/agents/doc-writer")["agent"])
	assert.Equal(t, agent, f.get("/hub/agents/agent_000001")["agent"])
	assert.Equal(t, map[string]any{"versions": []any{}}, f.get("/hub/agents/doc-writer/versions"))
}

func TestUpdateAgent(t *testing.T) {
	f := start(t)
	skill := f.saveSkill("one")
	f.createAgent(newAgent)
	update := func(body string) any { return at(t, f.call(200, "PATCH", "/hub/agents/doc-writer", body), "agent") }
	got := update(`{"description":"d","model":"m","thinkingLevel":"low","headlessCompatible":true,"tools":["read"],
		"serviceTools":["coord_spawn_workers"],"savedSkillIds":["` + skill + `"],"companionAgents":["scout"]}`)
	assert.Equal(t, "d m low true [read] [coord_spawn_workers] [scout]",
		text(got, "description", "model", "thinkingLevel", "headlessCompatible", "tools", "serviceTools", "companionAgents"))
	frozen := []any{map[string]any{"skillId": "one", "repo": "labs/skills", "name": "Skill one"}}
	assert.Equal(t, frozen, at(t, got, "savedSkills"))
	f.call(200, "DELETE", "/hub/skills/library/"+skill, "")
	got = update(`{}`)
	assert.Equal(t, "d m low", text(got, "description", "model", "thinkingLevel"))
	assert.Equal(t, frozen, at(t, got, "savedSkills"))
	got = update(`{"description":null,"model":null,"thinkingLevel":null,"savedSkillIds":[]}`)
	assert.Equal(t, "<nil> <nil> <nil> [] true", text(got, "description", "model", "thinkingLevel", "savedSkills", "headlessCompatible"))
	for _, body := range []string{
		``, `{"slug":""}`, `{"model":1}`, `{"thinkingLevel":"max"}`, `{"tools":["hammer"]}`, `{"serviceTools":["read"]}`, `{"displayName":" "}`,
	} {
		assert.Equal(t, "CODER_INVALID_REQUEST", f.call(400, "PATCH", "/hub/agents/doc-writer", body)["code"], body)
	}
	f.call(404, "PATCH", "/hub/agents/doc-writer", `{"savedSkillIds":["`+skill+`"]}`)
	assert.Equal(t, got, f.get("/hub/agents/doc-writer")["agent"], "a refused update changes nothing")
}

func TestCreateAgentRefuses(t *testing.T) {
	f := start(t)
	for _, body := range []string{
		``, `{}`, `{"slug":"a","displayName":"A"}`, `{"slug":"a","instructions":"I"}`, `{"displayName":"A","instructions":"I"}`,
		`{"slug":"a","displayName":"A","instructions":"I","tools":["hammer"]}`,
	} {
		assert.Equal(t, "CODER_INVALID_REQUEST", f.call(400, "POST", "/hub/agents", body)["code"], body)
	}
	f.call(404, "POST", "/hub/agents", `{"slug":"a","displayName":"A","instructions":"I","savedSkillIds":["sk_unknown"]}`)
	assert.Equal(t, map[string]any{"agents": []any{}}, f.get("/hub/agents"))
}

func TestSlugsAreTakenOnce(t *testing.T) {
	f := start(t)
	f.createAgent(newAgent)
	f.createAgent(`{"slug":"other","displayName":"Other","instructions":"I"}`)
	assert.NotContains(t, f.call(409, "POST", "/hub/agents", newAgent), "code")
	f.call(409, "POST", "/hub/agents", `{"slug":"agent_000001","displayName":"Other","instructions":"I"}`)
	f.call(409, "PATCH", "/hub/agents/other", `{"slug":"doc-writer"}`)
	f.call(200, "PATCH", "/hub/agents/other", `{"slug":"other","displayName":"Same"}`)
	f.call(200, "PATCH", "/hub/agents/other", `{"slug":"third"}`)
	f.call(404, "GET", "/hub/agents/other", "")
	assert.Equal(t, "Same", at(t, f.get("/hub/agents/third"), "agent", "displayName"))
	f.call(200, "POST", "/hub/agents/doc-writer/archive", "")
	f.call(409, "POST", "/hub/agents", newAgent)
}

func TestSlugWithASlash(t *testing.T) {
	f := start(t)
	f.createAgent(`{"slug":"team/a b","displayName":"A","instructions":"I"}`)
	assert.Equal(t, "team/a b", at(t, f.get("/hub/agents/team%2Fa%20b"), "agent", "slug"))
	f.call(200, "POST", "/hub/agents/team%2Fa%20b/publish", "")
}

func TestPublishedVersionsAreFrozen(t *testing.T) {
	f := start(t)
	f.createAgent(newAgent)
	first := at(t, f.call(200, "POST", "/hub/agents/doc-writer/publish", ""), "agent")
	assert.Equal(t, "published org true false 1",
		text(first, "lifecycle", "visibility", "hasPublishedVersion", "hasUnpublishedChanges", "latestPublishedVersion"))
	assert.Equal(t, "agentver_000001 agent_000001 1 Write.", text(at(t, first, "published"), "id", "agentId", "version", "instructions"))

	changed := at(t, f.call(200, "PATCH", "/hub/agents/doc-writer", `{"instructions":"Write more.","tools":["read"]}`), "agent")
	assert.Equal(t, true, at(t, changed, "hasUnpublishedChanges"))
	assert.Equal(t, "Write more.", at(t, changed, "draft", "instructions"))
	assert.Equal(t, "Write. []", text(at(t, changed, "published"), "instructions", "tools"))
	back := at(t, f.call(200, "PATCH", "/hub/agents/doc-writer", `{"instructions":"Write.","tools":[]}`), "agent")
	assert.Equal(t, false, at(t, back, "hasUnpublishedChanges"))

	f.call(200, "PATCH", "/hub/agents/doc-writer", `{"instructions":"Write less."}`)
	f.call(200, "POST", "/hub/agents/agent_000001/publish", "not JSON")
	versions := f.get("/hub/agents/doc-writer/versions")["versions"]
	assert.Equal(t, []any{2.0, 1.0}, all(t, versions, "version"))
	assert.Equal(t, []any{"Write less.", "Write."}, all(t, versions, "instructions"))
}

func TestArchiveAgent(t *testing.T) {
	f := start(t)
	f.createAgent(newAgent)
	f.createAgent(`{"slug":"other","displayName":"Other","instructions":"I"}`)
	for range 2 {
		assert.Equal(t, "archived", at(t, f.call(200, "POST", "/hub/agents/doc-writer/archive", ""), "agent", "lifecycle"))
	}
	assert.Equal(t, []any{"other"}, all(t, f.get("/hub/agents")["agents"], "slug"))
	assert.Equal(t, []any{"other"}, all(t, f.get("/hub/agents?includeArchived=false")["agents"], "slug"))
	assert.Equal(t, []any{"doc-writer", "other"}, all(t, f.get("/hub/agents?includeArchived=true")["agents"], "slug"))
	f.call(400, "GET", "/hub/agents?includeArchived=x", "")
	assert.Equal(t, "CODER_INVALID_REQUEST", f.call(400, "PATCH", "/hub/agents/doc-writer", `{"displayName":"x"}`)["code"])
	assert.Equal(t, "CODER_INVALID_REQUEST", f.call(400, "POST", "/hub/agents/doc-writer/publish", "")["code"])
	for _, route := range []string{"GET ", "PATCH ", "POST /publish", "POST /archive", "GET /versions"} {
		method, rest, _ := strings.Cut(route, " ")
		assert.NotContains(t, f.call(404, method, "/hub/agents/nope"+rest, "{}"), "code", route)
	}
}

func TestBuilderSessionEditsAnAgent(t *testing.T) {
	f := start(t)
	f.createAgent(newAgent)
	for _, body := range []string{
		`{"targetAgentSlug":"doc-writer"}`, `{"mode":"edit","targetAgentId":"agent_000001"}`, `{"targetAgentId":"agent_000001","targetAgentSlug":"x"}`,
	} {
		id := f.call(201, "POST", "/hub/session/builder", body)["sessionId"].(string)
		assert.Equal(t, map[string]any{
			"mode": "edit", "targetAgent": map[string]any{"slug": "doc-writer", "agentId": "agent_000001", "displayName": "Doc writer"},
		}, f.get("/hub/session/" + id)["builder"], body)
	}
	assert.NotContains(t, f.call(404, "POST", "/hub/session/builder", `{"targetAgentSlug":"nope"}`), "code")
}
