package coder

import (
	"context"
	"encoding/json"
	"time"

	"github.com/agentuity/coder-go/internal/route"
)

// CustomAgentThinkingLevel is how much a model thinks before it answers. Unknown values are kept
// as they came.
type CustomAgentThinkingLevel string

// The thinking levels.
const (
	ThinkingOff     CustomAgentThinkingLevel = "off"
	ThinkingMinimal CustomAgentThinkingLevel = "minimal"
	ThinkingLow     CustomAgentThinkingLevel = "low"
	ThinkingMedium  CustomAgentThinkingLevel = "medium"
	ThinkingHigh    CustomAgentThinkingLevel = "high"
	ThinkingXHigh   CustomAgentThinkingLevel = "xhigh"
)

// CustomAgentLifecycle says whether an agent is a draft, published or archived. Unknown values are kept as they
// came.
type CustomAgentLifecycle string

// The stages in the life of an agent.
const (
	AgentLifecycleDraft     CustomAgentLifecycle = "draft"     // never published
	AgentLifecyclePublished CustomAgentLifecycle = "published" // has a version
	AgentLifecycleArchived  CustomAgentLifecycle = "archived"  // no longer in use
)

// CustomAgentVisibility says who may see an agent. Unknown values are kept as they came.
type CustomAgentVisibility string

// The visibilities of agents.
const (
	AgentVisibilityOrg          CustomAgentVisibility = "org"           // the organization
	AgentVisibilityPrivateDraft CustomAgentVisibility = "private_draft" // its owner
)

// CreateCustomAgentRequest describes an agent. Slug, DisplayName and Instructions are required.
type CreateCustomAgentRequest struct {
	// Slug is a stable short name: sessions and workspaces name the agent by it once it is published.
	// Required.
	Slug string `json:"slug"`
	// DisplayName is for people. Required.
	DisplayName string `json:"displayName"`
	// Instructions is the system prompt. Required.
	Instructions string `json:"instructions"`
	// Description tells people what the agent is for.
	Description string `json:"description,omitzero"`

	// Model and ThinkingLevel override the defaults.
	Model         string                   `json:"model,omitzero"`
	ThinkingLevel CustomAgentThinkingLevel `json:"thinkingLevel,omitzero"`
	// HeadlessCompatible says that the agent works without a person.
	HeadlessCompatible *bool `json:"headlessCompatible,omitzero"`

	// The tools the agent may use: on the files of the session, and those of the Hub.
	Tools        []CustomAgentTool        `json:"tools,omitzero"`
	ServiceTools []CustomAgentServiceTool `json:"serviceTools,omitzero"`

	// SavedSkillIDs selects skills by [SavedSkill].ID. The agent gets them as they are now: later changes to
	// them do not reach it.
	SavedSkillIDs []string `json:"savedSkillIds,omitzero"`
	// CompanionAgents come along wherever the agent is used.
	CompanionAgents []string `json:"companionAgents,omitzero"`
	// Extra holds members that this package has no field for, but a newer Hub takes. A member that has the name of
	// a field, in the same letter case, is a [*ValidationError].
	Extra map[string]json.RawMessage `json:",embed"`
}

// UpdateCustomAgentRequest says what to change in the draft of an agent. A member that is nil or
// absent is left as it is; a list replaces the stored one, and an empty list clears it. [Null]
// clears what can be null. The members mean what they mean in [CreateCustomAgentRequest].
type UpdateCustomAgentRequest struct {
	// The names of the agent, and its instructions.
	Slug         *string          `json:"slug,omitzero"`
	DisplayName  *string          `json:"displayName,omitzero"`
	Instructions *string          `json:"instructions,omitzero"`
	Description  Nullable[string] `json:"description,omitzero"`

	// How it runs.
	Model              Nullable[string]                   `json:"model,omitzero"`
	ThinkingLevel      Nullable[CustomAgentThinkingLevel] `json:"thinkingLevel,omitzero"`
	HeadlessCompatible *bool                              `json:"headlessCompatible,omitzero"`

	// The tools and skills that it may use, and the agents that come along with it.
	Tools           []CustomAgentTool        `json:"tools,omitzero"`
	ServiceTools    []CustomAgentServiceTool `json:"serviceTools,omitzero"`
	SavedSkillIDs   []string                 `json:"savedSkillIds,omitzero"`
	CompanionAgents []string                 `json:"companionAgents,omitzero"`
	// Extra holds members that this package has no field for, but a newer Hub takes. A member that has the name of
	// a field, in the same letter case, is a [*ValidationError].
	Extra map[string]json.RawMessage `json:",embed"`
}

// CustomAgentSnapshot is what makes an agent: how it is called, told and equipped. A published version keeps its own.
type CustomAgentSnapshot struct {
	// Slug is a stable short name.
	Slug string `json:"slug"`
	// DisplayName and Description are for people, Instructions is the system prompt.
	DisplayName  string `json:"displayName"`
	Description  string `json:"description,omitzero"`
	Instructions string `json:"instructions"`

	// Model and ThinkingLevel override the defaults where they are set.
	Model         string                   `json:"model,omitzero"`
	ThinkingLevel CustomAgentThinkingLevel `json:"thinkingLevel,omitzero"`
	// HeadlessCompatible says that the agent works without a person.
	HeadlessCompatible bool `json:"headlessCompatible"`

	// The tools the agent may use: on the files of the session, and those of the Hub.
	Tools        []CustomAgentTool        `json:"tools"`
	ServiceTools []CustomAgentServiceTool `json:"serviceTools"`

	// SavedSkills are the skills as they were when the agent got them.
	SavedSkills []SkillRef `json:"savedSkills"`
	// CompanionAgents come along wherever the agent is used.
	CompanionAgents []string `json:"companionAgents,omitzero"`
	// Extra holds the members this package has no field for.
	Extra map[string]json.RawMessage `json:",embed"`
}

// CustomAgentVersion is a version of an agent. Once published it never changes.
type CustomAgentVersion struct {
	CustomAgentSnapshot
	// ID is the id of the version, AgentID that of the agent.
	ID      string `json:"id"`
	AgentID string `json:"agentId"`
	// Version is the number of the version. It grows with each version.
	Version int `json:"version"`
	// CreatedByUserID is the user who published it, CreatedAt the time of that.
	CreatedByUserID string    `json:"createdByUserId"`
	CreatedAt       time.Time `json:"createdAt,omitzero"`
}

// CustomAgent is an agent that a user has made. The embedded snapshot is its content now; Published and Draft
// have the content of its last version and of its draft.
type CustomAgent struct {
	CustomAgentSnapshot
	// ID is the id for every method that takes an agent. The slug can be used instead.
	ID string `json:"id"`
	// OwnerUserID is the only user who may change the agent.
	OwnerUserID string `json:"ownerUserId"`
	// Lifecycle says whether the agent is a draft, published or archived.
	Lifecycle CustomAgentLifecycle `json:"lifecycle"`
	// Visibility says who may see it.
	Visibility CustomAgentVisibility `json:"visibility"`
	// When the agent was created, and when it was changed last.
	CreatedAt time.Time `json:"createdAt,omitzero"`
	UpdatedAt time.Time `json:"updatedAt,omitzero"`

	// HasUnpublishedChanges says that the draft differs from the last version. LatestPublishedVersion is 0,
	// and LatestPublishedAt zero, if there is none.
	HasPublishedVersion    bool      `json:"hasPublishedVersion"`
	HasUnpublishedChanges  bool      `json:"hasUnpublishedChanges"`
	LatestPublishedVersion int       `json:"latestPublishedVersion,omitzero"`
	LatestPublishedAt      time.Time `json:"latestPublishedAt,omitzero"`

	// Published is the last version, nil if there is none. Draft is only for the owner to see.
	Published *CustomAgentVersion  `json:"published,omitzero"`
	Draft     *CustomAgentSnapshot `json:"draft,omitzero"`
}

// customAgentAnswer is an agent as it is on the wire.
type customAgentAnswer struct {
	Agent *CustomAgent `json:"agent"`
}

func (a *customAgentAnswer) problem() error {
	if a.Agent == nil {
		return missingText("agent", "")
	}
	return missingText("agent.id", a.Agent.ID)
}

// ListCustomAgentsParams selects agents.
type ListCustomAgentsParams struct {
	// IncludeArchived lists archived agents too.
	IncludeArchived bool
}

// CustomAgentListResponse lists agents.
type CustomAgentListResponse struct {
	// Agents has all agents the caller can see.
	Agents []CustomAgent `json:"agents"`
	// Extra holds the members this package has no field for.
	Extra map[string]json.RawMessage `json:",embed"`
}

func (r *CustomAgentListResponse) problem() error {
	return missingIn("agents", r.Agents, "id", func(a *CustomAgent) string { return a.ID })
}

func (*CustomAgentListResponse) listsLargeStructs() {}

// CustomAgentVersionListResponse lists the versions of an agent.
type CustomAgentVersionListResponse struct {
	// Versions has all versions. The Hub promises no order.
	Versions []CustomAgentVersion `json:"versions"`
	// Extra holds the members this package has no field for.
	Extra map[string]json.RawMessage `json:",embed"`
}

func (r *CustomAgentVersionListResponse) problem() error {
	return missingIn("versions", r.Versions, "id", func(v *CustomAgentVersion) string { return v.ID })
}

func (*CustomAgentVersionListResponse) listsLargeStructs() {}

// ListCustomAgents returns the agents the caller can see. Nil params list what the Hub lists by
// default.
//
// GET /hub/agents
func (c *Client) ListCustomAgents(ctx context.Context, params *ListCustomAgentsParams) (*CustomAgentListResponse, error) {
	var q route.Query
	if params != nil {
		q.Bool("includeArchived", params.IncludeArchived)
	}
	return call[CustomAgentListResponse](ctx, c, get("ListCustomAgents", "/hub/agents").with(&q))
}

// GetCustomAgent returns an agent. An unknown id or slug is an error that matches [ErrNotFound].
//
// GET /hub/agents/{agentIdOrSlug}
func (c *Client) GetCustomAgent(ctx context.Context, agentIDOrSlug string) (*CustomAgent, error) {
	return c.customAgent(ctx, get("GetCustomAgent", "/hub/agents/{agentIDOrSlug}", agentIDOrSlug))
}

// CreateCustomAgent creates an agent, which is a draft until it is published. A blank slug, display name or
// instructions is a [*ValidationError].
//
// The request is not repeated once it may have reached the Hub. An error that matches [ErrOutcomeUnknown]
// means that the agent may exist: look for its slug.
//
// POST /hub/agents
func (c *Client) CreateCustomAgent(ctx context.Context, body CreateCustomAgentRequest) (*CustomAgent, error) {
	return c.customAgent(ctx, create("CreateCustomAgent", "/hub/agents", &body).
		require("slug", body.Slug).require("displayName", body.DisplayName).require("instructions", body.Instructions))
}

// UpdateCustomAgent changes the draft of an agent that the caller owns. An empty update is allowed.
//
// PATCH /hub/agents/{agentIdOrSlug}
func (c *Client) UpdateCustomAgent(ctx context.Context, agentIDOrSlug string, body UpdateCustomAgentRequest) (*CustomAgent, error) {
	return c.customAgent(ctx, patch("UpdateCustomAgent", "/hub/agents/{agentIDOrSlug}", &body, agentIDOrSlug))
}

// PublishCustomAgent makes the draft of an agent that the caller owns its next version.
//
// The request is not repeated once it may have reached the Hub. An error that matches [ErrOutcomeUnknown]
// means that the version may exist: look at LatestPublishedVersion. The request has no body, and some
// gateways, such as Varnish, repeat such a request by themselves.
//
// POST /hub/agents/{agentIdOrSlug}/publish
func (c *Client) PublishCustomAgent(ctx context.Context, agentIDOrSlug string) (*CustomAgent, error) {
	return c.customAgent(ctx, create("PublishCustomAgent", "/hub/agents/{agentIDOrSlug}/publish", nil, agentIDOrSlug))
}

// ArchiveCustomAgent archives an agent that the caller owns: it is then no longer in use.
//
// POST /hub/agents/{agentIdOrSlug}/archive
func (c *Client) ArchiveCustomAgent(ctx context.Context, agentIDOrSlug string) (*CustomAgent, error) {
	return c.customAgent(ctx, act("ArchiveCustomAgent", "/hub/agents/{agentIDOrSlug}/archive", agentIDOrSlug))
}

// ListCustomAgentVersions returns all versions of an agent. An unknown id or slug is an error that
// matches [ErrNotFound].
//
// GET /hub/agents/{agentIdOrSlug}/versions
func (c *Client) ListCustomAgentVersions(ctx context.Context, agentIDOrSlug string) (*CustomAgentVersionListResponse, error) {
	return call[CustomAgentVersionListResponse](ctx, c,
		get("ListCustomAgentVersions", "/hub/agents/{agentIDOrSlug}/versions", agentIDOrSlug))
}

func (c *Client) customAgent(ctx context.Context, r *request) (*CustomAgent, error) {
	out, err := call[customAgentAnswer](ctx, c, r)
	if err != nil {
		return nil, err
	}
	return out.Agent, nil
}
