package coder_test

import (
	"context"

	"github.com/agentuity/coder-go"
)

var checkoutRepo = coder.SessionRepositoryRef{
	RepoID: "repo_8842", Type: "github", Provider: "github", Owner: "northwind-labs", Name: "checkout",
	FullName: "northwind-labs/checkout", URL: "https://github.com/northwind-labs/checkout",
	CloneURL: "https://github.com/northwind-labs/checkout.git", DefaultBranch: "main", Branch: "feature/oauth",
}

// resourceMethods are the methods on everything but sessions.
var resourceMethods = []methodCase{
	{
		name: "HubInit", route: "GET /api/hub/init?agent=scout", sample: "responses/hub-init.json", want: "init",
		call: func(ctx context.Context, c *coder.Client, _ string) (any, error) {
			return c.HubInit(ctx, &coder.HubInitParams{Agent: "scout"})
		},
	},
	{
		name: "HubSkills", route: "GET /api/hub/skills", sample: "responses/hub-skills.json",
		call: func(ctx context.Context, c *coder.Client, _ string) (any, error) { return c.HubSkills(ctx) },
	},
	{
		name: "CreateAgentBuilderSession", route: "POST /api/hub/session/builder", create: true,
		sample: "responses/session-create-builder.json", request: "requests/session-create-builder.json",
		call: func(ctx context.Context, c *coder.Client, _ string) (any, error) {
			return c.CreateAgentBuilderSession(ctx, coder.CreateAgentBuilderSessionRequest{
				Label: "Build from invoice export", Prompt: "Turn the repeated export steps into an agent",
				Mode: coder.BuilderModeFromSession, Visibility: coder.VisibilityPrivate,
				SourceSessionID: "codesess_91c4f07e66d3",
			})
		},
	},
	{
		name: "CreateWorkspace", route: "POST /api/hub/workspaces", create: true, wrapper: "workspace",
		sample: "responses/workspace-create.json", request: "requests/workspace-create.json",
		call: func(ctx context.Context, c *coder.Client, _ string) (any, error) {
			return c.CreateWorkspace(ctx, coder.CreateWorkspaceRequest{
				Name: "Checkout team", Description: "Checkout and auth repositories", Scope: coder.WorkspaceScopeOrg,
				Repos: []coder.SessionRepositoryRef{checkoutRepo}, Dependencies: []string{"git", "jq"},
				SetupScript: "#!/bin/sh\nbun install\n", SystemPrompt: "Prefer small pull requests.",
				SystemPromptMode: coder.WorkspacePromptAppend, SavedSkillIDs: []string{"sk_18ab3f"},
				SkillBucketIDs: []string{"bkt_70c2"}, EnabledAgents: []string{"lead", "builder"},
			})
		},
	},
	{
		name: "UpdateWorkspace", route: "PATCH /api/hub/workspaces/ID", wrapper: "workspace",
		sample: "responses/workspace-update.json", request: "requests/workspace-update.json",
		call: func(ctx context.Context, c *coder.Client, id string) (any, error) {
			return c.UpdateWorkspace(ctx, id, coder.UpdateWorkspaceRequest{
				Description: new("Checkout, auth and refunds"), Dependencies: []string{"git", "jq", "nodejs"},
			})
		},
	},
	{
		name: "GetWorkspace", route: "GET /api/hub/workspaces/ID", sample: "responses/workspace-get.json", wrapper: "workspace",
		call: func(ctx context.Context, c *coder.Client, id string) (any, error) { return c.GetWorkspace(ctx, id) },
	},
	{
		name: "ListWorkspaces", route: "GET /api/hub/workspaces", sample: "responses/workspaces-list.json", want: "workspaces",
		call: func(ctx context.Context, c *coder.Client, _ string) (any, error) { return c.ListWorkspaces(ctx) },
	},
	{
		name: "DeleteWorkspace", route: "DELETE /api/hub/workspaces/ID", sample: "responses/workspace-delete.json",
		want: "nothing", bodied: true,
		call: func(ctx context.Context, c *coder.Client, id string) (any, error) {
			return nil, c.DeleteWorkspace(ctx, id)
		},
	},
	{
		name: "RefreshWorkspaceSnapshot", route: "POST /api/hub/workspaces/ID/snapshot/refresh",
		sample: "responses/workspace-refresh.json", wrapper: "workspace",
		call: func(ctx context.Context, c *coder.Client, id string) (any, error) {
			return c.RefreshWorkspaceSnapshot(ctx, id)
		},
	},
	{
		name: "ValidateWorkspaceDependencies", route: "POST /api/hub/workspaces/dependencies/validate", wrapper: "data",
		sample:  "responses/workspace-validate-dependencies.json",
		request: "requests/workspace-validate-dependencies.json",
		call: func(ctx context.Context, c *coder.Client, _ string) (any, error) {
			return c.ValidateWorkspaceDependencies(ctx, []string{"git", "jq=9.9", "no-such-pkg"})
		},
	},
	{
		name: "SaveSkill", route: "POST /api/hub/skills/library", create: true, wrapper: "skill",
		sample: "responses/skill-save.json", request: "requests/skill-save.json",
		call: func(ctx context.Context, c *coder.Client, _ string) (any, error) {
			return c.SaveSkill(ctx, coder.SaveSkillRequest{
				Repo: "northwind-labs/skills", SkillID: "code-review", Name: "Code review", Description: "Reviews a change set",
				URL: "https://skills.example/northwind-labs/skills/code-review",
			})
		},
	},
	{
		name: "CreateCustomSkill", route: "POST /api/hub/skills/library", create: true, wrapper: "skill",
		sample: "responses/skill-create-custom.json", request: "requests/skill-create-custom.json",
		call: func(ctx context.Context, c *coder.Client, _ string) (any, error) {
			return c.CreateCustomSkill(ctx, coder.CreateCustomSkillRequest{
				SkillID: "release-checklist", Name: "Release checklist", Description: "Steps before a release",
				Content: "# Release checklist\n\n1. Run the tests.\n",
			})
		},
	},
	{
		name: "ListSavedSkills", route: "GET /api/hub/skills/library", sample: "responses/skills-library-list.json",
		call: func(ctx context.Context, c *coder.Client, _ string) (any, error) { return c.ListSavedSkills(ctx) },
	},
	{
		name: "DeleteSavedSkill", route: "DELETE /api/hub/skills/library/ID", sample: "responses/skill-delete.json",
		want: "nothing", bodied: true,
		call: func(ctx context.Context, c *coder.Client, id string) (any, error) {
			return nil, c.DeleteSavedSkill(ctx, id)
		},
	},
	{
		name: "CreateSkillBucket", route: "POST /api/hub/skills/buckets", create: true, wrapper: "bucket",
		sample: "responses/bucket-create.json", request: "requests/bucket-create.json",
		call: func(ctx context.Context, c *coder.Client, _ string) (any, error) {
			return c.CreateSkillBucket(ctx, coder.CreateSkillBucketRequest{
				Name: "Review kit", Description: "Skills for reviewers", SavedSkillIDs: []string{"sk_18ab3f"},
			})
		},
	},
	{
		name: "ListSkillBuckets", route: "GET /api/hub/skills/buckets", sample: "responses/buckets-list.json",
		call: func(ctx context.Context, c *coder.Client, _ string) (any, error) { return c.ListSkillBuckets(ctx) },
	},
	{
		name: "DeleteSkillBucket", route: "DELETE /api/hub/skills/buckets/ID", sample: "responses/bucket-delete.json",
		want: "nothing", bodied: true,
		call: func(ctx context.Context, c *coder.Client, id string) (any, error) {
			return nil, c.DeleteSkillBucket(ctx, id)
		},
	},
	{
		name: "ListGitHubAccounts", route: "GET /api/hub/github/accounts", sample: "responses/github-accounts.json",
		call: func(ctx context.Context, c *coder.Client, _ string) (any, error) { return c.ListGitHubAccounts(ctx) },
	},
	{
		name: "ListGitHubRepos", route: "GET /api/hub/github/repos?accountId=ID", sample: "responses/github-repos.json",
		call: func(ctx context.Context, c *coder.Client, id string) (any, error) { return c.ListGitHubRepos(ctx, id) },
	},
	{
		name: "ListUsers", route: "GET /api/hub/users?search=a&limit=10&offset=3",
		sample: "responses/users-list-array.json", want: "users",
		call: func(ctx context.Context, c *coder.Client, _ string) (any, error) {
			return c.ListUsers(ctx, &coder.ListUsersParams{Search: "a", Limit: 10, Offset: 3})
		},
	},
	{
		name: "ListCustomAgents", route: "GET /api/hub/agents?includeArchived=true", sample: "responses/agents-list.json",
		call: func(ctx context.Context, c *coder.Client, _ string) (any, error) {
			return c.ListCustomAgents(ctx, &coder.ListCustomAgentsParams{IncludeArchived: true})
		},
	},
	{
		name: "GetCustomAgent", route: "GET /api/hub/agents/ID", sample: "responses/agent-get.json", wrapper: "agent",
		call: func(ctx context.Context, c *coder.Client, id string) (any, error) { return c.GetCustomAgent(ctx, id) },
	},
	{
		name: "CreateCustomAgent", route: "POST /api/hub/agents", create: true, wrapper: "agent",
		sample: "responses/agent-create.json", request: "requests/agent-create.json",
		call: func(ctx context.Context, c *coder.Client, _ string) (any, error) {
			return c.CreateCustomAgent(ctx, coder.CreateCustomAgentRequest{
				Slug: "doc-writer", DisplayName: "Doc writer", Instructions: "Write concise documentation.",
				HeadlessCompatible: new(false), Tools: []coder.CustomAgentTool{coder.ToolRead, coder.ToolWrite},
				ServiceTools: []coder.CustomAgentServiceTool{}, SavedSkillIDs: []string{}, CompanionAgents: []string{},
			})
		},
	},
	{
		name: "UpdateCustomAgent", route: "PATCH /api/hub/agents/ID", wrapper: "agent",
		sample: "responses/agent-update.json", request: "requests/agent-update.json",
		call: func(ctx context.Context, c *coder.Client, id string) (any, error) {
			return c.UpdateCustomAgent(ctx, id, coder.UpdateCustomAgentRequest{
				DisplayName: new("Documentation writer"), Description: coder.Null[string](),
				ThinkingLevel: coder.Value(coder.ThinkingLow),
			})
		},
	},
	{
		name: "PublishCustomAgent", route: "POST /api/hub/agents/ID/publish", create: true,
		sample: "responses/agent-publish.json", wrapper: "agent",
		call: func(ctx context.Context, c *coder.Client, id string) (any, error) {
			return c.PublishCustomAgent(ctx, id)
		},
	},
	{
		name: "ArchiveCustomAgent", route: "POST /api/hub/agents/ID/archive",
		sample: "responses/agent-archive.json", wrapper: "agent",
		call: func(ctx context.Context, c *coder.Client, id string) (any, error) {
			return c.ArchiveCustomAgent(ctx, id)
		},
	},
	{
		name: "ListCustomAgentVersions", route: "GET /api/hub/agents/ID/versions", sample: "responses/agent-versions.json",
		call: func(ctx context.Context, c *coder.Client, id string) (any, error) {
			return c.ListCustomAgentVersions(ctx, id)
		},
	},
}
