package codertest_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/agentuity/coder-go/codertest"
)

func TestUsers(t *testing.T) {
	f := start(t)
	assert.Equal(t, map[string]any{"users": []any{}, "total": 0.0, "offset": 0.0}, f.get("/hub/users"))
	login := time.Date(2026, 1, 15, 8, 55, 0, 0, time.FixedZone("CET", 3600))
	dana := f.AddUser(codertest.User{
		UserID: "user_dana", DisplayName: "Dana Reyes", Email: "dana@x.example", Provider: "google", AvatarURL: "https://a", LastLoginAt: login,
	})
	assert.Equal(t, "user_dana", dana)
	sam := f.AddUser(codertest.User{DisplayName: "Sam Okafor"})
	f.AddUser(codertest.User{DisplayName: "Daniel"})

	first := at(t, f.get("/hub/users"), "users", 0)
	assert.Equal(t, "user_dana Dana Reyes dana@x.example google https://a 2026-01-15T07:55:00.000Z",
		text(first, "userId", "displayName", "email", "provider", "avatarUrl", "lastLoginAt"))
	second := at(t, f.get("/hub/users"), "users", 1)
	assert.Equal(t, sam, at(t, second, "userId"))
	assert.NotContains(t, second, "avatarUrl")
	for _, member := range []string{"email", "provider", "lastLoginAt", "lastSeenAt", "createdAt"} {
		assert.NotEmpty(t, at(t, second, member), member)
	}
	for query, want := range map[string]struct {
		names []any
		total float64
	}{
		"":                            {[]any{"Dana Reyes", "Sam Okafor", "Daniel"}, 3},
		"search=DAN":                  {[]any{"Dana Reyes", "Daniel"}, 2},
		"search=dan&limit=1&offset=1": {[]any{"Daniel"}, 2},
		"search=x.example":            {[]any{}, 0}, // the name, not the address
		"limit=0":                     {[]any{}, 3},
		"limit=2":                     {[]any{"Dana Reyes", "Sam Okafor"}, 3},
		"offset=9":                    {[]any{}, 3},
	} {
		list := f.get("/hub/users?" + query)
		assert.Equal(t, want.names, all(t, list["users"], "displayName"), query)
		assert.InDelta(t, want.total, list["total"], 0, query)
	}
	page := f.get("/hub/users?limit=2&offset=1")
	assert.Equal(t, "2 1", text(page, "limit", "offset"))
	f.call(400, "GET", "/hub/users?limit=x", "")
}

func TestGitHub(t *testing.T) {
	f := start(t)
	assert.Equal(t, map[string]any{"connected": false, "accounts": []any{}}, f.get("/hub/github/accounts"))
	labs := f.AddGitHubAccount(codertest.GitHubAccount{
		AccountID: "90 210/x", AccountName: "labs", InstallationID: "5123", IntegrationID: "int_5", AvatarURL: "https://a",
		Repositories: []codertest.GitHubRepository{
			{ID: 700100200, Name: "checkout", Private: true, DefaultBranch: "trunk"}, {Name: "billing", Archived: true, Disabled: true},
		},
	})
	dana := f.AddGitHubAccount(codertest.GitHubAccount{AccountType: "User", AvatarURL: "https://b"})
	accounts := f.get("/hub/github/accounts")
	assert.Equal(t, "true "+dana+" https://b", text(accounts, "connected", "username", "avatarUrl"))
	assert.Equal(t, "5123 int_5 90 210/x labs Organization https://a",
		text(at(t, accounts, "accounts", 0), "installationId", "integrationId", "accountId", "accountName", "accountType", "avatarUrl"))

	repos := f.get("/hub/github/repos?accountId=90%20210%2Fx")
	assert.Equal(t, labs+" 2", text(repos, "accountId", "totalCount"))
	assert.Equal(t, map[string]any{
		"id": 700100200.0, "name": "checkout", "fullName": "labs/checkout", "private": true, "defaultBranch": "trunk",
		"cloneUrl": "https://github.com/labs/checkout.git", "htmlUrl": "https://github.com/labs/checkout", "visibility": "private",
		"archived": false, "disabled": false, "owner": map[string]any{"login": "labs", "avatarUrl": "https://a"},
	}, at(t, repos, "repositories", 0))
	assert.Equal(t, "main public true true", text(at(t, repos, "repositories", 1), "defaultBranch", "visibility", "archived", "disabled"))
	assert.Equal(t, []any{}, f.get("/hub/github/repos?accountId=" + dana)["repositories"])
	f.call(404, "GET", "/hub/github/repos?accountId=nope", "")
	f.call(400, "GET", "/hub/github/repos?accountId=", "")
}

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
