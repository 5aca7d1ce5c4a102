package coder_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

func TestResourceArguments(t *testing.T) {
	s := newServer(t, answerJSON(http.StatusOK, `{}`))
	c := s.client(t)
	ctx := t.Context()
	builder := func(body coder.CreateAgentBuilderSessionRequest) func() (any, error) {
		return func() (any, error) { return c.CreateAgentBuilderSession(ctx, body) }
	}
	for _, tc := range []struct {
		method, field string
		call          func() (any, error)
	}{
		{"CreateWorkspace", "name", func() (any, error) {
			return c.CreateWorkspace(ctx, coder.CreateWorkspaceRequest{Name: " \n", Description: "d"})
		}},
		{"UpdateWorkspace", "body", func() (any, error) {
			return c.UpdateWorkspace(ctx, "ws_1", coder.UpdateWorkspaceRequest{})
		}},
		{"UpdateWorkspace", "workspaceID", func() (any, error) {
			return c.UpdateWorkspace(ctx, "", coder.UpdateWorkspaceRequest{})
		}},
		{"SaveSkill", "repo", func() (any, error) {
			return c.SaveSkill(ctx, coder.SaveSkillRequest{SkillID: "s", Name: "n"})
		}},
		{"SaveSkill", "skillId", func() (any, error) {
			return c.SaveSkill(ctx, coder.SaveSkillRequest{Repo: "r", Name: "n"})
		}},
		{"SaveSkill", "name", func() (any, error) {
			return c.SaveSkill(ctx, coder.SaveSkillRequest{Repo: "r", SkillID: "s"})
		}},
		{"CreateCustomSkill", "skillId", func() (any, error) {
			return c.CreateCustomSkill(ctx, coder.CreateCustomSkillRequest{Name: "n", Content: "c"})
		}},
		{"CreateCustomSkill", "name", func() (any, error) {
			return c.CreateCustomSkill(ctx, coder.CreateCustomSkillRequest{SkillID: "s", Content: "c"})
		}},
		{"CreateCustomSkill", "content", func() (any, error) {
			return c.CreateCustomSkill(ctx, coder.CreateCustomSkillRequest{SkillID: "s", Name: "n", Content: " \t\n"})
		}},
		{"CreateSkillBucket", "name", func() (any, error) {
			return c.CreateSkillBucket(ctx, coder.CreateSkillBucketRequest{SavedSkillIDs: []string{"sk_1"}})
		}},
		{"ListGitHubRepos", "accountID", func() (any, error) { return c.ListGitHubRepos(ctx, "") }},
		{"ListUsers", "limit", func() (any, error) {
			return c.ListUsers(ctx, &coder.ListUsersParams{Limit: -1})
		}},
		{"ListUsers", "offset", func() (any, error) {
			return c.ListUsers(ctx, &coder.ListUsersParams{Offset: -1})
		}},
		{"CreateCustomAgent", "slug", func() (any, error) {
			return c.CreateCustomAgent(ctx, coder.CreateCustomAgentRequest{DisplayName: "d", Instructions: "i"})
		}},
		{"CreateCustomAgent", "displayName", func() (any, error) {
			return c.CreateCustomAgent(ctx, coder.CreateCustomAgentRequest{Slug: "s", Instructions: "i"})
		}},
		{"CreateCustomAgent", "instructions", func() (any, error) {
			return c.CreateCustomAgent(ctx, coder.CreateCustomAgentRequest{Slug: "s", DisplayName: "d"})
		}},
		{"CreateAgentBuilderSession", "sourceSessionId", builder(coder.CreateAgentBuilderSessionRequest{
			Mode: coder.BuilderModeFromSession, TargetAgentID: "agent_1",
		})},
		{"CreateAgentBuilderSession", "sourceSessionId", builder(coder.CreateAgentBuilderSessionRequest{
			SourceSessionID: " ", TargetAgentID: "agent_1",
		})},
		{"CreateAgentBuilderSession", "targetAgentId", builder(coder.CreateAgentBuilderSessionRequest{
			Mode: coder.BuilderModeEdit, SourceSessionID: "codesess_1",
		})},
		{"CreateAgentBuilderSession", "targetAgentId", builder(coder.CreateAgentBuilderSessionRequest{
			TargetAgentID: "\t", TargetAgentSlug: " ",
		})},
	} {
		got, err := tc.call()
		var bad *coder.ValidationError
		require.ErrorAs(t, err, &bad, "%s without %s", tc.method, tc.field)
		assert.Nil(t, got)
		assert.Equal(t, tc.method, bad.Operation)
		assert.Equal(t, tc.field, bad.Field)
		assert.Regexp(t, `^coder: `+tc.method+`: `+tc.field+` (or targetAgentSlug )?must `, err.Error())
	}
	assert.Empty(t, s.seen(), "nothing is sent with a bad argument")
}

// TestResourceBodies: the exact bytes of bodies in which it matters what is left out, and in what order.
func TestResourceBodies(t *testing.T) {
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		answerJSON(http.StatusOK, `{"sessionId":"codesess_1","workspace":{"id":"ws_1"},"skill":{"id":"sk_1"},
			"agent":{"id":"agent_1"},"data":{"valid":[],"invalid":[]}}`)(w, r)
	})
	c := s.client(t)
	ctx := t.Context()
	builder := func(body coder.CreateAgentBuilderSessionRequest) func() (any, error) {
		return func() (any, error) { return c.CreateAgentBuilderSession(ctx, body) }
	}
	agent := func(body coder.UpdateCustomAgentRequest) func() (any, error) {
		return func() (any, error) { return c.UpdateCustomAgent(ctx, "agent_1", body) }
	}
	for _, tc := range []struct {
		want string
		call func() (any, error)
	}{
		{`{}`, builder(coder.CreateAgentBuilderSessionRequest{})},
		{`{"mode":"new"}`, builder(coder.CreateAgentBuilderSessionRequest{Mode: coder.BuilderModeNew})},
		{`{"sourceSessionId":"codesess_1"}`, builder(coder.CreateAgentBuilderSessionRequest{SourceSessionID: "codesess_1"})},
		{`{"targetAgentId":"agent_1"}`, builder(coder.CreateAgentBuilderSessionRequest{TargetAgentID: "agent_1"})},
		{
			`{"targetAgentId":" ","targetAgentSlug":"triage"}`,
			builder(coder.CreateAgentBuilderSessionRequest{TargetAgentID: " ", TargetAgentSlug: "triage"}),
		},
		{`{"mode":"later"}`, builder(coder.CreateAgentBuilderSessionRequest{Mode: "later"})},

		{`{"source":"custom","repo":"custom","skillId":"s","name":"n","content":"  <c> & \"d\"\n"}`, func() (any, error) {
			return c.CreateCustomSkill(ctx, coder.CreateCustomSkillRequest{
				Content: "  <c> & \"d\"\n", Name: "n", SkillID: "s",
			})
		}},
		{
			`{"source":"custom","repo":"custom","skillId":"s","name":"n","description":"d","content":"c"}`,
			func() (any, error) {
				return c.CreateCustomSkill(ctx, coder.CreateCustomSkillRequest{
					SkillID: "s", Name: "n", Description: "d", Content: "c",
				})
			},
		},

		{`{"name":"n"}`, func() (any, error) {
			return c.CreateWorkspace(ctx, coder.CreateWorkspaceRequest{Name: "n"})
		}},
		{`{"name":"","repos":[],"savedSkillIds":[],"skillBucketIds":[],"dependencies":[],"enabledAgents":[]}`, func() (any, error) {
			return c.UpdateWorkspace(ctx, "ws_1", coder.UpdateWorkspaceRequest{
				Name: new(""), Repos: []coder.SessionRepositoryRef{}, SavedSkillIDs: []string{}, SkillBucketIDs: []string{},
				Dependencies: []string{}, EnabledAgents: []string{},
			})
		}},
		{`{"scope":"user","setupScript":"","systemPrompt":"p","systemPromptMode":"overwrite"}`, func() (any, error) {
			return c.UpdateWorkspace(ctx, "ws_1", coder.UpdateWorkspaceRequest{
				Scope: new(coder.WorkspaceScopeUser), SetupScript: new(""), SystemPrompt: new("p"),
				SystemPromptMode: new(coder.WorkspacePromptOverwrite),
			})
		}},
		{`{"enabledAgents":[]}`, func() (any, error) {
			return c.UpdateWorkspace(ctx, "ws_1", coder.UpdateWorkspaceRequest{EnabledAgents: []string{}})
		}},
		{`{"dependencies":[]}`, func() (any, error) { return c.ValidateWorkspaceDependencies(ctx, nil) }},
		{`{"dependencies":[]}`, func() (any, error) { return c.ValidateWorkspaceDependencies(ctx, []string{}) }},

		{`{}`, agent(coder.UpdateCustomAgentRequest{})},
		{`{"description":null,"model":null,"thinkingLevel":null}`, agent(coder.UpdateCustomAgentRequest{
			Description: coder.Null[string](), Model: coder.Null[string](),
			ThinkingLevel: coder.Null[coder.CustomAgentThinkingLevel](),
		})},
		{`{"description":"","model":"m","thinkingLevel":"xhigh","headlessCompatible":false}`, agent(coder.UpdateCustomAgentRequest{
			Description: coder.Value(""), Model: coder.Value("m"), ThinkingLevel: coder.Value(coder.ThinkingXHigh),
			HeadlessCompatible: new(false),
		})},
		{`{"slug":"s","instructions":"","tools":[],"serviceTools":["web_search"],"savedSkillIds":[],"companionAgents":[]}`,
			agent(coder.UpdateCustomAgentRequest{
				Slug: new("s"), Instructions: new(""), Tools: []coder.CustomAgentTool{},
				ServiceTools:  []coder.CustomAgentServiceTool{coder.ServiceToolWebSearch},
				SavedSkillIDs: []string{}, CompanionAgents: []string{},
			})},
		{`{"slug":"s","displayName":"d","instructions":"i"}`, func() (any, error) {
			return c.CreateCustomAgent(ctx, coder.CreateCustomAgentRequest{Slug: "s", DisplayName: "d", Instructions: "i"})
		}},
	} {
		_, err := tc.call()
		require.NoError(t, err, tc.want)
		seen := s.seen()
		assert.Equal(t, tc.want, string(seen[len(seen)-1].body))
	}
}

func TestListUsersTakesBothShapes(t *testing.T) {
	list := func(t *testing.T, body string) (*coder.ListUsersResponse, error) {
		return newServer(t, answerJSON(http.StatusOK, body)).client(t).ListUsers(t.Context(), nil)
	}
	object, err := list(t, sample(t, "responses/users-list-object.json"))
	require.NoError(t, err)
	array, err := list(t, "\n "+sample(t, "responses/users-list-array.json"))
	require.NoError(t, err)
	assert.Equal(t, object.Users, array.Users, "the samples hold the same users")
	require.Len(t, array.Users, 2)
	assert.Equal(t, coder.User{
		UserID: "user_01k2sam3xf", DisplayName: "Sam Okafor", Email: "sam@northwind.example", Provider: "google",
		LastLoginAt: time.Date(2026, 1, 14, 17, 0, 0, 0, time.UTC), LastSeenAt: time.Date(2026, 1, 14, 19, 12, 0, 0, time.UTC),
		CreatedAt: time.Date(2025, 11, 21, 9, 0, 0, 0, time.UTC),
	}, array.Users[1])
	assert.Equal(t, []int{2, 10, 0}, []int{object.Total, object.Limit, object.Offset})
	assert.Equal(t, []int{2, 0, 0}, []int{array.Total, array.Limit, array.Offset}, "a plain list counts itself")

	for _, body := range []string{`[]`, `{"users":[]}`} {
		empty, err := list(t, body)
		require.NoError(t, err, body)
		assert.Equal(t, &coder.ListUsersResponse{Users: []coder.User{}}, empty, body)
	}
	for _, body := range []string{`[{"userId":"u","email":5,"createdAt":""}]`, `{"users":[{"userId":"u","email":5,"createdAt":""}],"total":1}`} {
		odd, err := list(t, body)
		require.NoError(t, err, body)
		assert.Equal(t, &coder.ListUsersResponse{Users: []coder.User{{UserID: "u"}}, Total: 1}, odd, "a bad member costs only itself")
	}
	for body, reason := range map[string]string{
		`[{"userId":"u"},{"displayName":"Dana"}]`:           `the member "users[1].userId" is missing`,
		`{"users":[{"userId":"u"},{"displayName":"Dana"}]}`: `the member "users[1].userId" is missing`,
		`[5]`:             `the member "users[0].userId" is missing`,
		`{"total":3}`:     `the list "users" is missing`,
		`{"users":{}}`:    `the list "users" is missing`,
		`[{"userId":"u"}`: `it is not valid JSON`,
		`[] []`:           `it is not valid JSON`,
		`"users"`:         `the list "users" is missing`,
	} {
		got, err := list(t, body)
		var bad *coder.ResponseError
		require.ErrorAs(t, err, &bad, body)
		assert.Nil(t, got, body)
		assert.Equal(t, reason, bad.Reason, body)
	}
}

// TestResourcesWithoutIdentity: nothing that lacks its wrapper, list or identity is returned.
func TestResourcesWithoutIdentity(t *testing.T) {
	byName := make(map[string]methodCase)
	for _, m := range resourceMethods {
		byName[m.name] = m
	}
	for _, tc := range []struct{ method, body, reason string }{
		{"GetWorkspace", `{}`, `the member "workspace" is missing`},
		{"GetWorkspace", `{"workspace":null}`, `the member "workspace" is missing`},
		{"GetWorkspace", `{"workspace":"ws_1"}`, `the member "workspace" is missing`},
		{"GetWorkspace", `{"workspace":{"name":"a"}}`, `the member "workspace.id" is missing`},
		{"RefreshWorkspaceSnapshot", `{"id":"ws_1","name":"a"}`, `the member "workspace" is missing`},
		{"ListWorkspaces", `{"workspaces":null}`, `the list "workspaces" is missing`},
		{"ListWorkspaces", `{"workspaces":[{"id":"ws_1"},{"name":"a"}]}`, `the member "workspaces[1].id" is missing`},
		{"ListWorkspaces", `[]`, `the list "workspaces" is missing`},
		{"ValidateWorkspaceDependencies", `{"success":true}`, `the member "data" is missing`},
		{"ValidateWorkspaceDependencies", `{"success":true,"data":{"invalid":[]}}`, `the list "data.valid" is missing`},
		{"ValidateWorkspaceDependencies", `{"success":true,"data":{"valid":[]}}`, `the list "data.invalid" is missing`},
		{"ValidateWorkspaceDependencies", `{"success":false,"data":{"valid":[],"invalid":[]}}`, `it says that the request failed`},
		{"SaveSkill", `{"skill":{"skillId":"s"}}`, `the member "skill.id" is missing`},
		{"CreateCustomSkill", `{"skill":[]}`, `the member "skill" is missing`},
		{"ListSavedSkills", `{"skills":[{"skillId":"s"}]}`, `the member "skills[0].id" is missing`},
		{"CreateSkillBucket", `{"bucket":{"id":""}}`, `the member "bucket.id" is missing`},
		{"ListSkillBuckets", `{"buckets":[{"id":5}]}`, `the member "buckets[0].id" is missing`},
		{"ListGitHubAccounts", `{"connected":false}`, `the list "accounts" is missing`},
		{"ListGitHubAccounts", `{"connected":true,"accounts":[{"accountName":"a"}]}`, `the member "accounts[0].accountId" is missing`},
		{"ListGitHubRepos", `{"repositories":[]}`, `the member "accountId" is missing`},
		{"ListGitHubRepos", `{"accountId":"1"}`, `the list "repositories" is missing`},
		{"ListGitHubRepos", `{"accountId":"1","repositories":[{"id":7},{"id":"8"}]}`, `the member "repositories[1].id" is missing`},
		{"GetCustomAgent", `{"agent":{"slug":"s"}}`, `the member "agent.id" is missing`},
		{"PublishCustomAgent", `{"ok":true}`, `the member "agent" is missing`},
		{"ListCustomAgents", `{"agents":[{"id":"a"},{"slug":"s"}]}`, `the member "agents[1].id" is missing`},
		{"ListCustomAgentVersions", `{"versions":[{"agentId":"a"}]}`, `the member "versions[0].id" is missing`},
		{"CreateAgentBuilderSession", `{"status":"creating"}`, `the member "sessionId" is missing`},
	} {
		m := byName[tc.method]
		got, err := m.call(t.Context(), newServer(t, answerJSON(http.StatusOK, tc.body)).client(t), "x")
		var bad *coder.ResponseError
		require.ErrorAs(t, err, &bad, "%s: %s", tc.method, tc.body)
		assert.Nil(t, got, "%s: %s", tc.method, tc.body)
		assert.Equal(t, tc.reason, bad.Reason, "%s: %s", tc.method, tc.body)
	}
}

// TestResourcesAreTolerant: a member of the wrong kind costs only itself, also below a wrapper.
func TestResourcesAreTolerant(t *testing.T) {
	c := newServer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{
			"workspace":{"id":"ws_1","name":5,"scope":"org","repoCount":"many","repos":{},"snapshot":{"status":"ready","createdAt":""},"new":1},
			"agents":[{"id":"agent_1","slug":"s","tools":"all","createdAt":"","new":1,
				"published":{"id":"agentver_1","version":"two","slug":"s","new":2},"draft":{"slug":"s","savedSkills":5,"new":3}}]}`)
	}).client(t)
	w, err := c.GetWorkspace(t.Context(), "ws_1")
	require.NoError(t, err)
	assert.Equal(t, &coder.WorkspaceDetail{
		ID: "ws_1", Scope: coder.WorkspaceScopeOrg, SystemPromptMode: coder.WorkspacePromptAppend, Snapshot: &coder.WorkspaceSnapshot{Status: "ready"},
		Extra: map[string]json.RawMessage{"new": json.RawMessage("1")},
	}, w)
	list, err := c.ListCustomAgents(t.Context(), nil)
	require.NoError(t, err)
	snapshot := func(extra string) coder.CustomAgentSnapshot {
		return coder.CustomAgentSnapshot{Slug: "s", Extra: map[string]json.RawMessage{"new": json.RawMessage(extra)}}
	}
	assert.Equal(t, []coder.CustomAgent{{
		CustomAgentSnapshot: snapshot("1"), ID: "agent_1",
		Published: &coder.CustomAgentVersion{CustomAgentSnapshot: snapshot("2"), ID: "agentver_1"},
		Draft:     new(snapshot("3")),
	}}, list.Agents)
}

// TestAgentRoundTrips: what an agent embeds does not take its JSON methods, with either package.
func TestAgentRoundTrips(t *testing.T) {
	const version = `{"slug":"s","displayName":"d","instructions":"i","headlessCompatible":true,"tools":["read","fly"],
		"serviceTools":[],"savedSkills":[{"skillId":"k","repo":"r"}],"id":"agentver_1","agentId":"agent_1","version":2,
		"createdByUserId":"user_1","createdAt":"2026-01-13T15:00:00Z","changelog":["a"]}`
	const agent = `{"slug":"s","displayName":"d","description":"x","instructions":"i","model":"m","thinkingLevel":"ultra",
		"headlessCompatible":true,"tools":[],"serviceTools":["web_search"],"savedSkills":[],"companionAgents":["scout"],
		"id":"agent_1","ownerUserId":"user_1","lifecycle":"published","visibility":"org","createdAt":"2026-01-12T09:30:00Z",
		"updatedAt":"2026-01-13T15:00:00Z","hasPublishedVersion":true,"hasUnpublishedChanges":true,"latestPublishedVersion":2,
		"latestPublishedAt":"2026-01-13T15:00:00Z","published":` + version + `,"draft":{"slug":"s","displayName":"d",
		"instructions":"j","headlessCompatible":true,"tools":[],"serviceTools":[],"savedSkills":[],"secret":{"b":1}},"stars":5}`
	type holder struct {
		Agent   coder.CustomAgent         `json:"agent"`
		Version *coder.CustomAgentVersion `json:"version"`
	}
	text := fmt.Sprintf(`{"agent":%s,"version":%s}`, agent, version)
	var v1, v2 holder
	require.NoError(t, json.Unmarshal([]byte(text), &v1))
	require.NoError(t, jsonv2.Unmarshal([]byte(text), &v2))
	assert.Equal(t, v1, v2)
	assert.Equal(t, 2, v1.Agent.LatestPublishedVersion)
	assert.Equal(t, 2, v1.Agent.Published.Version)
	assert.Equal(t, *v1.Version, *v1.Agent.Published)
	assert.JSONEq(t, `5`, string(v1.Agent.Extra["stars"]))
	assert.JSONEq(t, `["a"]`, string(v1.Version.Extra["changelog"]))
	assert.JSONEq(t, `{"b":1}`, string(v1.Agent.Draft.Extra["secret"]))
	assert.Len(t, v1.Agent.Extra, 1, "known members are no unknown ones")
	for _, encode := range []func(any) ([]byte, error){json.Marshal, func(v any) ([]byte, error) { return jsonv2.Marshal(v) }} {
		for _, v := range []any{v1, &v1} {
			out, err := encode(v)
			require.NoError(t, err)
			assert.JSONEq(t, text, string(out))
		}
	}
}

// TestResourceExtras: lists keep what their wrappers hold besides, and items what they do.
func TestResourceExtras(t *testing.T) {
	const body = `{"workspaces":[{"id":"ws_1","x":1}],"skills":[{"id":"sk_1","x":1}],"buckets":[{"id":"bkt_1","x":1}],
		"accounts":[{"accountId":"1","x":1}],"accountId":"1","repositories":[{"id":9007199254740993,"x":1,"owner":{"login":"l","x":1}}],
		"agents":[{"id":"agent_1","x":1}],"versions":[{"id":"agentver_1","x":1}],"next":"page"}`
	c := newServer(t, answerJSON(http.StatusOK, body)).client(t)
	for _, m := range resourceMethods {
		if m.name[:4] != "List" || m.name == "ListUsers" {
			continue
		}
		got, err := m.call(t.Context(), c, "x")
		require.NoError(t, err, m.name)
		out, err := json.Marshal(got)
		require.NoError(t, err)
		assert.Contains(t, string(out), `"next":"page"`, m.name)
		assert.Contains(t, string(out), `"x":1`, m.name)
	}
	repos, err := c.ListGitHubRepos(t.Context(), "1")
	require.NoError(t, err)
	assert.Equal(t, int64(9007199254740993), repos.Repositories[0].ID)
	assert.Contains(t, repos.Repositories[0].Owner.Extra, "x")
}

func TestSlugsWithSlashes(t *testing.T) {
	s := newServer(t, answerJSON(http.StatusOK, `{"agent":{"id":"agent_1"},"versions":[]}`))
	c := s.client(t)
	const slug = "team a/doc-writer~2(é)"
	const escaped = "/api/hub/agents/team%20a%2Fdoc-writer~2(%C3%A9)"
	for want, call := range map[string]func(context.Context, string) error{
		"GET " + escaped:               func(ctx context.Context, id string) error { _, err := c.GetCustomAgent(ctx, id); return err },
		"POST " + escaped + "/publish": func(ctx context.Context, id string) error { _, err := c.PublishCustomAgent(ctx, id); return err },
		"POST " + escaped + "/archive": func(ctx context.Context, id string) error { _, err := c.ArchiveCustomAgent(ctx, id); return err },
		"GET " + escaped + "/versions": func(ctx context.Context, id string) error { _, err := c.ListCustomAgentVersions(ctx, id); return err },
	} {
		require.NoError(t, call(t.Context(), slug))
		seen := s.seen()[len(s.seen())-1]
		assert.Equal(t, want, seen.method+" "+seen.target)
	}
}

// TestNilParams: without parameters there is no query at all.
func TestNilParams(t *testing.T) {
	s := newServer(t, answerJSON(http.StatusOK, `{"agents":[],"users":[]}`))
	c := s.client(t)
	for want, call := range map[string]func() (any, error){
		"/api/hub/agents": func() (any, error) { return c.ListCustomAgents(t.Context(), nil) },
		"/api/hub/users":  func() (any, error) { return c.ListUsers(t.Context(), nil) },
	} {
		_, err := call()
		require.NoError(t, err)
		assert.Equal(t, want, s.seen()[len(s.seen())-1].target)
	}
}

// TestResourceRetries: what has the same effect once or twice is repeated, what creates is not.
func TestResourceRetries(t *testing.T) {
	for _, m := range resourceMethods {
		t.Run(m.name, func(t *testing.T) {
			var requests atomic.Int32
			s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
				if requests.Add(1) == 1 {
					answer(http.StatusBadGateway, "text/html", "<html>")(w, r)
					return
				}
				answerJSON(http.StatusOK, sample(t, m.sample))(w, r)
			})
			_, err := m.call(t.Context(), s.client(t, coder.WithRetryPolicy(coder.RetryPolicy{MinBackoff: time.Millisecond})), "x")
			if m.create {
				require.ErrorIs(t, err, coder.ErrOutcomeUnknown)
				assert.Len(t, s.seen(), 1)
				return
			}
			require.NoError(t, err)
			assert.Len(t, s.seen(), 2)
			assert.Equal(t, s.seen()[0].body, s.seen()[1].body)
		})
	}
}
