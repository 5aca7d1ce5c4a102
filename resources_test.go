package coder_test

import (
	"encoding/json"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

func TestResources_BadArguments(t *testing.T) {
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

// TestResources_Bodies: the exact bytes of bodies in which it matters what is left out, and in what order.
func TestResources_Bodies(t *testing.T) {
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

// TestResources_WithoutIdentity: nothing that lacks its wrapper, list or identity is returned.
func TestResources_WithoutIdentity(t *testing.T) {
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

// TestResources_Tolerated: a member of the wrong kind costs only itself, also below a wrapper.
func TestResources_Tolerated(t *testing.T) {
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

// TestResources_Extra: lists keep what their wrappers hold besides, and items what they do.
func TestResources_Extra(t *testing.T) {
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

// TestResources_NilParams: without parameters there is no query at all.
func TestResources_NilParams(t *testing.T) {
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

// TestResources_Retries: what has the same effect once or twice is repeated, what creates is not.
func TestResources_Retries(t *testing.T) {
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
