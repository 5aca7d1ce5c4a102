package coder

import (
	"cmp"
	"context"
	"encoding/json"
	"reflect"
	"time"
)

// WorkspaceSystemPromptMode says what the prompt of a workspace does to that of the lead agent.
// Unknown values are kept as they came.
type WorkspaceSystemPromptMode string

// The system prompt modes.
const (
	WorkspacePromptAppend    WorkspaceSystemPromptMode = "append"    // adds to it
	WorkspacePromptOverwrite WorkspaceSystemPromptMode = "overwrite" // replaces it
)

// CreateWorkspaceRequest describes a workspace: the repositories, skills and more that sessions start from.
// Name is required. The Hub may refuse a workspace in which nothing is selected: see
// [Client.CreateWorkspace].
type CreateWorkspaceRequest struct {
	// Name is for people. Required.
	Name string `json:"name"`
	// Description tells people what the workspace is for.
	Description string `json:"description,omitzero"`
	// Scope says who owns the workspace. Default: the Hub's.
	Scope WorkspaceScope `json:"scope,omitzero"`

	// The selections: repositories, skills of the library by [SavedSkill].ID and buckets by
	// [SkillBucket].ID.
	Repos          []SessionRepositoryRef `json:"repos,omitzero"`
	SavedSkillIDs  []string               `json:"savedSkillIds,omitzero"`
	SkillBucketIDs []string               `json:"skillBucketIds,omitzero"`

	// The prepared image: APT packages such as "jq" or "jq=1.7.1-3", and a shell script that runs while it
	// is prepared.
	Dependencies []string `json:"dependencies,omitzero"`
	SetupScript  string   `json:"setupScript,omitzero"`

	// SystemPrompt is for the lead agent. SystemPromptMode says whether it is added to the lead's own prompt
	// or replaces it. Default: the Hub's, which is append.
	SystemPrompt     string                    `json:"systemPrompt,omitzero"`
	SystemPromptMode WorkspaceSystemPromptMode `json:"systemPromptMode,omitzero"`

	// EnabledAgents may take part in sessions of the workspace. "lead" always does, and need not be listed.
	EnabledAgents []string `json:"enabledAgents,omitzero"`
	// Extra holds members that this package has no field for, but a newer Hub takes. A member that has the name of
	// a field, in the same letter case, is a [*ValidationError].
	Extra map[string]json.RawMessage `json:",embed"`
}

// UpdateWorkspaceRequest says what to change. A nil member is left as it is; a list replaces the
// stored one, and an empty list clears it. At least one member must be set. The members mean what they
// mean in [CreateWorkspaceRequest].
type UpdateWorkspaceRequest struct {
	// Name and Description are for people, Scope says who owns the workspace.
	Name        *string         `json:"name,omitzero"`
	Description *string         `json:"description,omitzero"`
	Scope       *WorkspaceScope `json:"scope,omitzero"`

	// The selections.
	Repos          []SessionRepositoryRef `json:"repos,omitzero"`
	SavedSkillIDs  []string               `json:"savedSkillIds,omitzero"`
	SkillBucketIDs []string               `json:"skillBucketIds,omitzero"`

	// The prepared image. It is built anew by [Client.RefreshWorkspaceSnapshot].
	Dependencies []string `json:"dependencies,omitzero"`
	SetupScript  *string  `json:"setupScript,omitzero"`

	// The prompt for the lead agent, and what happens to the lead's own prompt.
	SystemPrompt     *string                    `json:"systemPrompt,omitzero"`
	SystemPromptMode *WorkspaceSystemPromptMode `json:"systemPromptMode,omitzero"`

	// EnabledAgents may take part in sessions of the workspace.
	EnabledAgents []string `json:"enabledAgents,omitzero"`
	// Extra holds members that this package has no field for, but a newer Hub takes. A member that has the name of
	// a field, in the same letter case, is a [*ValidationError].
	Extra map[string]json.RawMessage `json:",embed"`
}

// WorkspaceDetail is a workspace: repositories, skills and more that sessions start from.
type WorkspaceDetail struct {
	// ID is the id for every method that takes a workspace.
	ID string `json:"id"`
	// Name and Description are for people.
	Name        string `json:"name"`
	Description string `json:"description,omitzero"`
	// Scope says whether a user or the organization owns the workspace, OwnerUserID which user.
	Scope       WorkspaceScope `json:"scope"`
	OwnerUserID string         `json:"ownerUserId"`
	// RepoCount is the number of Repos.
	Repos     []SessionRepositoryRef `json:"repos"`
	RepoCount int                    `json:"repoCount"`

	// The prepared image: its APT packages, the shell script that runs while it is prepared.
	Dependencies []string `json:"dependencies,omitzero"`
	SetupScript  string   `json:"setupScript,omitzero"`

	// SystemPrompt is for the lead agent. SystemPromptMode says whether it is added to the lead's own prompt
	// or replaces it; where the Hub does not say, it is WorkspacePromptAppend.
	SystemPrompt     string                    `json:"systemPrompt,omitzero"`
	SystemPromptMode WorkspaceSystemPromptMode `json:"systemPromptMode,omitzero"`

	// Snapshot is the state of the prepared image; nil if there is none.
	Snapshot *WorkspaceSnapshot `json:"snapshot,omitzero"`

	// Skills of the library by [SavedSkill].ID, buckets by [SkillBucket].ID, and the agents that may take
	// part in sessions.
	SavedSkillIDs  []string `json:"savedSkillIds"`
	SkillBucketIDs []string `json:"skillBucketIds"`
	EnabledAgents  []string `json:"enabledAgents,omitzero"`
	// SelectionCount is the number of things selected, of all kinds, as the Hub counts them.
	SelectionCount int `json:"selectionCount"`

	// When the workspace was created, and when it was changed last.
	CreatedAt time.Time `json:"createdAt,omitzero"`
	UpdatedAt time.Time `json:"updatedAt,omitzero"`
	// Extra holds the members this package has no field for.
	Extra map[string]json.RawMessage `json:",embed"`
}

// WorkspaceSnapshot is the prepared image of a workspace. Only Status is always set.
type WorkspaceSnapshot struct {
	// Status is free text. Seen: queued, ready.
	Status string `json:"status"`
	// SnapshotRef is what sessions start from.
	SnapshotID  string `json:"snapshotId,omitzero"`
	SnapshotRef string `json:"snapshotRef,omitzero"`

	// What the image was built from: the base image, the version of the driver in the base image, and a hash
	// of the workspace's settings. BuildID names the build.
	BaseSnapshotRef   string `json:"baseSnapshotRef,omitzero"`
	BaseDriverVersion string `json:"baseDriverVersion,omitzero"`
	ConfigHash        string `json:"configHash,omitzero"`
	BuildID           string `json:"buildId,omitzero"`

	// When the build was asked for, when Status changed last, and when the image was built.
	RequestedAt time.Time `json:"requestedAt,omitzero"`
	UpdatedAt   time.Time `json:"updatedAt,omitzero"`
	CreatedAt   time.Time `json:"createdAt,omitzero"`
	// Error says why the build failed.
	Error string `json:"error,omitzero"`
	// Extra holds the members this package has no field for.
	Extra map[string]json.RawMessage `json:",embed"`
}

// workspaceAnswer is a workspace as it is on the wire.
type workspaceAnswer struct {
	Workspace *WorkspaceDetail `json:"workspace"`
}

func (a *workspaceAnswer) problem() error {
	if a.Workspace == nil {
		return missingText("workspace", "")
	}
	return missingText("workspace.id", a.Workspace.ID)
}

// WorkspaceListResponse lists workspaces.
type WorkspaceListResponse struct {
	// Workspaces has all workspaces the caller can see.
	Workspaces []WorkspaceDetail `json:"workspaces"`
	// Extra holds the members this package has no field for.
	Extra map[string]json.RawMessage `json:",embed"`
}

func (r *WorkspaceListResponse) problem() error {
	return missingIn("workspaces", r.Workspaces, "id", func(w *WorkspaceDetail) string { return w.ID })
}

func (*WorkspaceListResponse) listsLargeStructs() {}

// WorkspaceDependencyValidationResponse says which packages can be installed.
type WorkspaceDependencyValidationResponse struct {
	// Valid has the packages that can be installed, as they were given; Invalid the others.
	Valid   []string                     `json:"valid"`
	Invalid []InvalidWorkspaceDependency `json:"invalid"`
	// Extra holds the members this package has no field for.
	Extra map[string]json.RawMessage `json:",embed"`
}

// InvalidWorkspaceDependency is a package that cannot be installed.
type InvalidWorkspaceDependency struct {
	// Package is as it was given.
	Package string `json:"package"`
	// Error says what is wrong with the package, for people.
	Error string `json:"error"`
	// SearchURL leads to a page to look for the package.
	SearchURL string `json:"searchUrl"`
	// RequestedVersion is empty if none was asked for. AvailableVersions is empty if the package is not
	// known.
	RequestedVersion  string   `json:"requestedVersion,omitzero"`
	AvailableVersions []string `json:"availableVersions,omitzero"`
	// Extra holds the members this package has no field for.
	Extra map[string]json.RawMessage `json:",embed"`
}

// workspaceDependencies is a list of packages as it is on the wire.
type workspaceDependencies struct {
	Dependencies []string `json:"dependencies"`
}

// workspaceDependenciesAnswer is their validation as it is on the wire.
type workspaceDependenciesAnswer struct {
	Data *WorkspaceDependencyValidationResponse `json:"data"`
}

func (a *workspaceDependenciesAnswer) problem() error {
	switch {
	case a.Data == nil:
		return missingText("data", "")
	case a.Data.Valid == nil:
		return &reason{text: `the list "data.valid" is missing`}
	case a.Data.Invalid == nil:
		return &reason{text: `the list "data.invalid" is missing`}
	}
	return nil
}

// CreateWorkspace creates a workspace. The Hub may refuse one in which nothing is selected: no
// repository, skill, bucket, dependency, agent, setup script or system prompt.
//
// The request is not repeated once it may have reached the Hub. An error that matches [ErrOutcomeUnknown]
// means that the workspace may exist. A name that is blank is a [*ValidationError].
//
// POST /hub/workspaces
func (c *Client) CreateWorkspace(ctx context.Context, body CreateWorkspaceRequest) (*WorkspaceDetail, error) {
	return c.workspace(ctx, create("CreateWorkspace", "/hub/workspaces", &body).require("name", body.Name))
}

// UpdateWorkspace changes a workspace. An update in which nothing is set is a [*ValidationError].
//
// PATCH /hub/workspaces/{workspaceId}
func (c *Client) UpdateWorkspace(ctx context.Context, workspaceID string, body UpdateWorkspaceRequest) (*WorkspaceDetail, error) {
	const op = "UpdateWorkspace"
	if len(body.Extra) == 0 {
		body.Extra = nil
	}
	r := patch(op, "/hub/workspaces/{workspaceID}", &body, workspaceID)
	if r.err == nil && reflect.ValueOf(body).IsZero() {
		r.err = invalid(op, "body", "must change something")
	}
	return c.workspace(ctx, r)
}

// GetWorkspace returns a workspace. An unknown id is an error that matches [ErrNotFound].
//
// GET /hub/workspaces/{workspaceId}
func (c *Client) GetWorkspace(ctx context.Context, workspaceID string) (*WorkspaceDetail, error) {
	return c.workspace(ctx, get("GetWorkspace", "/hub/workspaces/{workspaceID}", workspaceID))
}

// ListWorkspaces returns all workspaces the caller can see.
//
// GET /hub/workspaces
func (c *Client) ListWorkspaces(ctx context.Context) (*WorkspaceListResponse, error) {
	list, err := call[WorkspaceListResponse](ctx, c, get("ListWorkspaces", "/hub/workspaces"))
	if err != nil {
		return nil, err
	}
	for i := range list.Workspaces {
		list.Workspaces[i].complete()
	}
	return list, nil
}

// DeleteWorkspace deletes a workspace for good. If the response to an attempt was lost and the next attempt
// finds no such workspace, the call succeeds.
//
// DELETE /hub/workspaces/{workspaceId}
func (c *Client) DeleteWorkspace(ctx context.Context, workspaceID string) error {
	return c.done(ctx, del("DeleteWorkspace", "/hub/workspaces/{workspaceID}", workspaceID))
}

// RefreshWorkspaceSnapshot starts a new build of a workspace's prepared image. It does not wait for the
// build: Snapshot.Status of [Client.GetWorkspace] says when it is done.
//
// POST /hub/workspaces/{workspaceId}/snapshot/refresh
func (c *Client) RefreshWorkspaceSnapshot(ctx context.Context, workspaceID string) (*WorkspaceDetail, error) {
	return c.workspace(ctx, act("RefreshWorkspaceSnapshot", "/hub/workspaces/{workspaceID}/snapshot/refresh", workspaceID))
}

// ValidateWorkspaceDependencies looks up which APT packages can be installed, before a workspace
// depends on them. It changes nothing. A package that cannot be installed is not an error.
//
// POST /hub/workspaces/dependencies/validate
func (c *Client) ValidateWorkspaceDependencies(ctx context.Context, dependencies []string) (*WorkspaceDependencyValidationResponse, error) {
	r := create("ValidateWorkspaceDependencies", "/hub/workspaces/dependencies/validate", &workspaceDependencies{dependencies})
	r.idempotent = true // it only looks
	out, err := call[workspaceDependenciesAnswer](ctx, c, r)
	if err != nil {
		return nil, err
	}
	return out.Data, nil
}

func (c *Client) workspace(ctx context.Context, r *request) (*WorkspaceDetail, error) {
	out, err := call[workspaceAnswer](ctx, c, r)
	if err != nil {
		return nil, err
	}
	out.Workspace.complete()
	return out.Workspace, nil
}

// complete fills in what the Hub leaves out because it is the default.
func (w *WorkspaceDetail) complete() {
	w.SystemPromptMode = cmp.Or(w.SystemPromptMode, WorkspacePromptAppend)
}
