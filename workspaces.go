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

// CreateWorkspaceRequest describes a workspace. Only Name is required.
type CreateWorkspaceRequest struct {
	// Name is for people. Required.
	Name string `json:"name"`
	// Description says what it is for.
	Description string `json:"description,omitzero"`
	// Scope says who owns it. Default: the Hub's.
	Scope WorkspaceScope `json:"scope,omitzero"`
	// Repos are its repositories.
	Repos []SessionRepositoryRef `json:"repos,omitzero"`
	// SavedSkillIDs are ids of saved skills.
	SavedSkillIDs []string `json:"savedSkillIds,omitzero"`
	// SkillBucketIDs are ids of skill buckets.
	SkillBucketIDs []string `json:"skillBucketIds,omitzero"`
	// Dependencies are APT packages of the prepared image, such as "jq" or "jq=1.7.1-3".
	Dependencies []string `json:"dependencies,omitzero"`
	// SetupScript is a shell script that runs while the image is prepared.
	SetupScript string `json:"setupScript,omitzero"`
	// SystemPrompt is a prompt for the lead agent.
	SystemPrompt string `json:"systemPrompt,omitzero"`
	// SystemPromptMode says what SystemPrompt does to the lead's own. Default: the Hub's, which is
	// append.
	SystemPromptMode WorkspaceSystemPromptMode `json:"systemPromptMode,omitzero"`
	// EnabledAgents are the agents that may take part.
	EnabledAgents []string `json:"enabledAgents,omitzero"`
}

// UpdateWorkspaceRequest says what to change. A nil member is left as it is; a list replaces the
// stored one, and an empty list clears it. At least one member must be set.
type UpdateWorkspaceRequest struct {
	// Name is the new name.
	Name *string `json:"name,omitzero"`
	// Description is the new description.
	Description *string `json:"description,omitzero"`
	// Scope says who owns it from now on.
	Scope *WorkspaceScope `json:"scope,omitzero"`
	// Repos are the new repositories.
	Repos []SessionRepositoryRef `json:"repos,omitzero"`
	// SavedSkillIDs are ids of the new saved skills.
	SavedSkillIDs []string `json:"savedSkillIds,omitzero"`
	// SkillBucketIDs are ids of the new skill buckets.
	SkillBucketIDs []string `json:"skillBucketIds,omitzero"`
	// Dependencies are the new APT packages of the prepared image.
	Dependencies []string `json:"dependencies,omitzero"`
	// SetupScript is the new shell script that runs while the image is prepared.
	SetupScript *string `json:"setupScript,omitzero"`
	// SystemPrompt is the new prompt for the lead agent.
	SystemPrompt *string `json:"systemPrompt,omitzero"`
	// SystemPromptMode says what SystemPrompt does to the lead's own.
	SystemPromptMode *WorkspaceSystemPromptMode `json:"systemPromptMode,omitzero"`
	// EnabledAgents are the new agents that may take part.
	EnabledAgents []string `json:"enabledAgents,omitzero"`
}

// WorkspaceDetail is a workspace: repositories, skills and more that sessions start from.
type WorkspaceDetail struct {
	// ID is the id, as all methods want it.
	ID string `json:"id"`
	// Name is for people.
	Name string `json:"name"`
	// Description says what it is for.
	Description string `json:"description,omitzero"`
	// Scope says who owns it.
	Scope WorkspaceScope `json:"scope"`
	// OwnerUserID is the user it belongs to.
	OwnerUserID string `json:"ownerUserId"`
	// Repos are its repositories.
	Repos []SessionRepositoryRef `json:"repos"`
	// RepoCount is the number of its repositories.
	RepoCount int `json:"repoCount"`
	// Dependencies are the APT packages of its prepared image.
	Dependencies []string `json:"dependencies,omitzero"`
	// SetupScript is the shell script that runs while the image is prepared.
	SetupScript string `json:"setupScript,omitzero"`
	// SystemPrompt is its prompt for the lead agent.
	SystemPrompt string `json:"systemPrompt,omitzero"`
	// SystemPromptMode says what SystemPrompt does to the lead's own. Where the Hub does not say, it is
	// WorkspacePromptAppend.
	SystemPromptMode WorkspaceSystemPromptMode `json:"systemPromptMode,omitzero"`
	// Snapshot is its prepared image; nil if there is none.
	Snapshot *WorkspaceSnapshot `json:"snapshot,omitzero"`
	// SavedSkillIDs are ids of its saved skills.
	SavedSkillIDs []string `json:"savedSkillIds"`
	// SkillBucketIDs are ids of its skill buckets.
	SkillBucketIDs []string `json:"skillBucketIds"`
	// EnabledAgents are the agents that may take part.
	EnabledAgents []string `json:"enabledAgents,omitzero"`
	// SelectionCount is the number of things selected for it, of all kinds.
	SelectionCount int `json:"selectionCount"`
	// CreatedAt is when it was created.
	CreatedAt time.Time `json:"createdAt,omitzero"`
	// UpdatedAt is when it was changed last.
	UpdatedAt time.Time `json:"updatedAt,omitzero"`
	// Extra holds the members this package has no field for.
	Extra map[string]json.RawMessage `json:",embed"`
}

// WorkspaceSnapshot is the prepared image of a workspace. Only Status is always there.
type WorkspaceSnapshot struct {
	// Status is free text. Seen: queued, ready.
	Status string `json:"status"`
	// SnapshotID is its id.
	SnapshotID string `json:"snapshotId,omitzero"`
	// SnapshotRef is what sessions start from.
	SnapshotRef string `json:"snapshotRef,omitzero"`
	// BaseSnapshotRef is the image it was built on.
	BaseSnapshotRef string `json:"baseSnapshotRef,omitzero"`
	// BaseDriverVersion is the version of the driver in that image.
	BaseDriverVersion string `json:"baseDriverVersion,omitzero"`
	// ConfigHash is a hash of what it was built from.
	ConfigHash string `json:"configHash,omitzero"`
	// BuildID is the id of the build.
	BuildID string `json:"buildId,omitzero"`
	// RequestedAt is when the build was asked for.
	RequestedAt time.Time `json:"requestedAt,omitzero"`
	// UpdatedAt is when its status changed last.
	UpdatedAt time.Time `json:"updatedAt,omitzero"`
	// CreatedAt is when it was built.
	CreatedAt time.Time `json:"createdAt,omitzero"`
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
	// Workspaces are the workspaces, all of them.
	Workspaces []WorkspaceDetail `json:"workspaces"`
	// Extra holds the members this package has no field for.
	Extra map[string]json.RawMessage `json:",embed"`
}

func (r *WorkspaceListResponse) problem() error {
	return missingIn("workspaces", r.Workspaces, "id", func(w *WorkspaceDetail) string { return w.ID })
}

// WorkspaceDependencyValidationResponse says which packages can be installed.
type WorkspaceDependencyValidationResponse struct {
	// Valid are the packages that can be installed, as they were given.
	Valid []string `json:"valid"`
	// Invalid are the others.
	Invalid []InvalidWorkspaceDependency `json:"invalid"`
	// Extra holds the members this package has no field for.
	Extra map[string]json.RawMessage `json:",embed"`
}

// InvalidWorkspaceDependency is a package that cannot be installed.
type InvalidWorkspaceDependency struct {
	// Package is the package, as it was given.
	Package string `json:"package"`
	// Error says what is wrong with it, for people.
	Error string `json:"error"`
	// SearchURL is a page to look for the package.
	SearchURL string `json:"searchUrl"`
	// RequestedVersion is the version that was asked for, if one was.
	RequestedVersion string `json:"requestedVersion,omitzero"`
	// AvailableVersions are the versions there are, if the package is known.
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
// It is not repeated once it may have reached the Hub. An error that matches [ErrOutcomeUnknown]
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

// DeleteWorkspace deletes a workspace for good. If an attempt of it was lost and the next one
// finds no such workspace, it was deleted.
//
// DELETE /hub/workspaces/{workspaceId}
func (c *Client) DeleteWorkspace(ctx context.Context, workspaceID string) error {
	return c.done(ctx, del("DeleteWorkspace", "/hub/workspaces/{workspaceID}", workspaceID))
}

// RefreshWorkspaceSnapshot has the prepared image of a workspace built anew. It does not wait for
// that: Snapshot.Status of [Client.GetWorkspace] tells when it is done.
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
