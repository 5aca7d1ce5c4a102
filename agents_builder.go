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

// CreateAgentBuilderSessionRequest describes an agent-builder session. Every member is optional, save
// those that Mode needs.
type CreateAgentBuilderSessionRequest struct {
	// Label is the display name. Default: the Hub's.
	Label string `json:"label,omitzero"`
	// Prompt tells the builder what to pay attention to.
	Prompt string `json:"prompt,omitzero"`
	// Mode says what the builder starts from. Default: from_session if SourceSessionID is set, else edit
	// if TargetAgentID or TargetAgentSlug is, else new.
	Mode AgentBuilderSessionMode `json:"mode,omitzero"`
	// Visibility says who may see the session. Default: the Hub's, which is private.
	Visibility SessionVisibility `json:"visibility,omitzero"`
	// SourceSessionID is the session to learn from. Required for from_session.
	SourceSessionID string `json:"sourceSessionId,omitzero"`
	// The agent to edit, by id or by slug. One of them is required for edit.
	TargetAgentID   string `json:"targetAgentId,omitzero"`
	TargetAgentSlug string `json:"targetAgentSlug,omitzero"`
	// Extra holds members that this package has no field for, but a newer Hub takes. A member that has the name of
	// a field, in the same letter case, is a [*ValidationError].
	Extra map[string]json.RawMessage `json:",embed"`
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

// AgentBuilderSessionState is the state of an agent-builder session.
type AgentBuilderSessionState struct {
	// Mode says what the builder started from: SourceSession, TargetAgent, or neither.
	Mode          AgentBuilderSessionMode    `json:"mode"`
	SourceSession *AgentBuilderSourceSession `json:"sourceSession,omitzero"`
	TargetAgent   *AgentBuilderTargetAgent   `json:"targetAgent,omitzero"`
	// Durable names what the builder has stored so far, LastAction is the last thing it did.
	Durable    *AgentBuilderDurableState `json:"durable,omitzero"`
	LastAction *AgentBuilderActionState  `json:"lastAction,omitzero"`
	// Proposal is the agent as the builder would make it now. Lists of sessions leave it out.
	Proposal *AgentBuilderProposal `json:"proposal,omitzero"`
	// Extra holds the members this package has no field for.
	Extra map[string]json.RawMessage `json:",embed"`
}

// AgentBuilderSourceSession is the session that an agent-builder session learns from.
type AgentBuilderSourceSession struct {
	// Label is for people.
	SessionID string `json:"sessionId"`
	Label     string `json:"label,omitzero"`
}

// AgentBuilderTargetAgent is the agent that an agent-builder session edits.
type AgentBuilderTargetAgent struct {
	// DisplayName is for people. Only Slug is always set.
	Slug        string `json:"slug"`
	AgentID     string `json:"agentId,omitzero"`
	DisplayName string `json:"displayName,omitzero"`
}

// AgentBuilderDurableState names what an agent-builder session has stored.
type AgentBuilderDurableState struct {
	// The agent whose draft the builder writes.
	DraftAgentID   string `json:"draftAgentId,omitzero"`
	DraftAgentSlug string `json:"draftAgentSlug,omitzero"`
	// LastPublishedVersion is 0 until the builder has published one.
	LastPublishedVersion int `json:"lastPublishedVersion,omitzero"`
}

// AgentBuilderActionState is something an agent-builder session did to an agent.
type AgentBuilderActionState struct {
	// What was done, whether it worked, and when.
	Kind       AgentBuilderActionKind   `json:"kind"`
	Status     AgentBuilderActionStatus `json:"status"`
	OccurredAt time.Time                `json:"occurredAt,omitzero"`
	// Message is for people.
	Message string `json:"message,omitzero"`
	// The agent it was done to, and the version if one was published.
	AgentID          string `json:"agentId,omitzero"`
	AgentSlug        string `json:"agentSlug,omitzero"`
	PublishedVersion int    `json:"publishedVersion,omitzero"`
}

// AgentBuilderProposal is an agent that is not stored yet. Every member is optional, and means what it
// means in [CustomAgentSnapshot].
type AgentBuilderProposal struct {
	// The names of the agent, and its instructions.
	Slug         string `json:"slug,omitzero"`
	DisplayName  string `json:"displayName,omitzero"`
	Description  string `json:"description,omitzero"`
	Instructions string `json:"instructions,omitzero"`

	// How it runs. HeadlessCompatible is nil if the builder has not decided.
	Model              string                   `json:"model,omitzero"`
	ThinkingLevel      CustomAgentThinkingLevel `json:"thinkingLevel,omitzero"`
	HeadlessCompatible *bool                    `json:"headlessCompatible,omitzero"`

	// The tools and skills that it may use, and the agents that come along with it.
	Tools           []CustomAgentTool        `json:"tools,omitzero"`
	ServiceTools    []CustomAgentServiceTool `json:"serviceTools,omitzero"`
	SavedSkills     []SkillRef               `json:"savedSkills,omitzero"`
	CompanionAgents []string                 `json:"companionAgents,omitzero"`
	// Extra holds the members this package has no field for.
	Extra map[string]json.RawMessage `json:",embed"`
}

// CreateAgentBuilderSession creates a session in which a custom agent is built or edited. A
// [*ValidationError] says what is missing for the mode; see [CreateAgentBuilderSessionRequest]. An unknown
// source session or target agent is an error that matches [ErrNotFound].
//
// The request is not repeated once it may have reached the Hub. An error that matches [ErrOutcomeUnknown]
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
