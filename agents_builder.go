package coder

import (
	"context"
	"encoding/json"
	"strings"
	"time"
)

// AgentBuilderSessionMode says what an agent-builder session starts from. Unknown values are kept
// as they came.
type AgentBuilderSessionMode string

// The modes of agent-builder sessions.
const (
	BuilderModeNew         AgentBuilderSessionMode = "new"          // from nothing
	BuilderModeEdit        AgentBuilderSessionMode = "edit"         // from an agent
	BuilderModeFromSession AgentBuilderSessionMode = "from_session" // from what was done in a session
)

// AgentBuilderActionKind is what an agent-builder session did to an agent. Unknown values are kept
// as they came.
type AgentBuilderActionKind string

// The kinds of actions.
const (
	BuilderActionCreateDraft AgentBuilderActionKind = "create_draft"
	BuilderActionUpdateDraft AgentBuilderActionKind = "update_draft"
	BuilderActionPublish     AgentBuilderActionKind = "publish"
)

// AgentBuilderActionStatus is how an action ended. Unknown values are kept as they came.
type AgentBuilderActionStatus string

// The results of actions.
const (
	BuilderActionCompleted AgentBuilderActionStatus = "completed"
	BuilderActionFailed    AgentBuilderActionStatus = "failed"
)

// CreateAgentBuilderSessionRequest describes an agent-builder session. Every member is optional;
// what it starts from decides what is needed.
type CreateAgentBuilderSessionRequest struct {
	// Label is the display name. Default: the Hub's.
	Label string `json:"label,omitzero"`
	// Prompt says what to pay attention to.
	Prompt string `json:"prompt,omitzero"`
	// Mode says what it starts from. Default: from_session if SourceSessionID is set, else edit if
	// TargetAgentID or TargetAgentSlug is, else new.
	Mode AgentBuilderSessionMode `json:"mode,omitzero"`
	// Visibility says who may see the session. Default: the Hub's, which is private.
	Visibility SessionVisibility `json:"visibility,omitzero"`
	// SourceSessionID is the session to learn from. Required for from_session.
	SourceSessionID string `json:"sourceSessionId,omitzero"`
	// TargetAgentID is the id of the agent to edit. Required for edit, unless TargetAgentSlug is set.
	TargetAgentID string `json:"targetAgentId,omitzero"`
	// TargetAgentSlug is the slug of the agent to edit.
	TargetAgentSlug string `json:"targetAgentSlug,omitzero"`
}

// mode is the mode that the Hub will infer, if none is given.
func (r *CreateAgentBuilderSessionRequest) mode() AgentBuilderSessionMode {
	switch {
	case r.Mode != "":
		return r.Mode
	case r.SourceSessionID != "":
		return BuilderModeFromSession
	case r.TargetAgentID != "" || r.TargetAgentSlug != "":
		return BuilderModeEdit
	}
	return BuilderModeNew
}

// AgentBuilderSessionState is what an agent-builder session has come to.
type AgentBuilderSessionState struct {
	// Mode is what the session started from.
	Mode AgentBuilderSessionMode `json:"mode"`
	// SourceSession is the session it learns from.
	SourceSession *AgentBuilderSourceSession `json:"sourceSession,omitzero"`
	// TargetAgent is the agent it edits.
	TargetAgent *AgentBuilderTargetAgent `json:"targetAgent,omitzero"`
	// Durable is what of its work is stored.
	Durable *AgentBuilderDurableState `json:"durable,omitzero"`
	// LastAction is the last thing it did to an agent.
	LastAction *AgentBuilderActionState `json:"lastAction,omitzero"`
	// Proposal is the agent as it proposes it. Lists of sessions leave it out.
	Proposal *AgentBuilderProposal `json:"proposal,omitzero"`
	// Extra holds the members this package has no field for.
	Extra map[string]json.RawMessage `json:",embed"`
}

// AgentBuilderSourceSession is the session that an agent-builder session learns from.
type AgentBuilderSourceSession struct {
	// SessionID is its id.
	SessionID string `json:"sessionId"`
	// Label is its display name.
	Label string `json:"label,omitzero"`
}

// AgentBuilderTargetAgent is the agent that an agent-builder session edits.
type AgentBuilderTargetAgent struct {
	// Slug is its stable short name.
	Slug string `json:"slug"`
	// AgentID is its id.
	AgentID string `json:"agentId,omitzero"`
	// DisplayName is for people.
	DisplayName string `json:"displayName,omitzero"`
}

// AgentBuilderDurableState is what an agent-builder session has stored.
type AgentBuilderDurableState struct {
	// DraftAgentID is the id of the agent whose draft it writes.
	DraftAgentID string `json:"draftAgentId,omitzero"`
	// DraftAgentSlug is the slug of that agent.
	DraftAgentSlug string `json:"draftAgentSlug,omitzero"`
	// LastPublishedVersion is the version it published last.
	LastPublishedVersion int `json:"lastPublishedVersion,omitzero"`
}

// AgentBuilderActionState is something an agent-builder session did to an agent.
type AgentBuilderActionState struct {
	// Kind is what it did.
	Kind AgentBuilderActionKind `json:"kind"`
	// Status is how it ended.
	Status AgentBuilderActionStatus `json:"status"`
	// OccurredAt is when.
	OccurredAt time.Time `json:"occurredAt,omitzero"`
	// Message says more, for people.
	Message string `json:"message,omitzero"`
	// AgentID is the agent's id.
	AgentID string `json:"agentId,omitzero"`
	// AgentSlug is the agent's slug.
	AgentSlug string `json:"agentSlug,omitzero"`
	// PublishedVersion is the version that was published.
	PublishedVersion int `json:"publishedVersion,omitzero"`
}

// AgentBuilderProposal is an agent that is not stored yet. Every member is optional.
type AgentBuilderProposal struct {
	// Slug is the stable short name.
	Slug string `json:"slug,omitzero"`
	// DisplayName is for people.
	DisplayName string `json:"displayName,omitzero"`
	// Description says what the agent is for.
	Description string `json:"description,omitzero"`
	// Instructions is the system prompt.
	Instructions string `json:"instructions,omitzero"`
	// Model overrides the model.
	Model string `json:"model,omitzero"`
	// ThinkingLevel is how much the model thinks.
	ThinkingLevel CustomAgentThinkingLevel `json:"thinkingLevel,omitzero"`
	// HeadlessCompatible says whether it works without a person; nil: not said.
	HeadlessCompatible *bool `json:"headlessCompatible,omitzero"`
	// Tools are the tools it may use.
	Tools []CustomAgentTool `json:"tools,omitzero"`
	// ServiceTools are the tools of the Hub it may use.
	ServiceTools []CustomAgentServiceTool `json:"serviceTools,omitzero"`
	// SavedSkills are the skills it has.
	SavedSkills []SkillRef `json:"savedSkills,omitzero"`
	// CompanionAgents are the agents that come along.
	CompanionAgents []string `json:"companionAgents,omitzero"`
	// Extra holds the members this package has no field for.
	Extra map[string]json.RawMessage `json:",embed"`
}

// CreateAgentBuilderSession creates a session in which a custom agent is built or edited. A
// [*ValidationError] tells what the mode needs and lacks; see [CreateAgentBuilderSessionRequest].
// An unknown source session or target agent is an error that matches [ErrNotFound].
//
// It is not repeated once it may have reached the Hub. An error that matches [ErrOutcomeUnknown]
// means that the session may exist.
//
// POST /hub/session/builder
func (c *Client) CreateAgentBuilderSession(ctx context.Context, body CreateAgentBuilderSessionRequest) (*CreateSessionResponse, error) {
	const op = "CreateAgentBuilderSession"
	r := create(op, "/hub/session/builder", &body)
	switch body.mode() {
	case BuilderModeFromSession:
		r.require("sourceSessionId", body.SourceSessionID)
	case BuilderModeEdit:
		if strings.TrimSpace(body.TargetAgentID+body.TargetAgentSlug) == "" {
			r.err = invalid(op, "targetAgentId", "or targetAgentSlug must not be empty")
		}
	}
	return call[CreateSessionResponse](ctx, c, r)
}
