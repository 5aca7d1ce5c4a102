package world

import (
	"cmp"
	"strings"
)

type builderRequest struct {
	Label           string `json:"label"`
	Prompt          string `json:"prompt"`
	Mode            string `json:"mode"`
	Visibility      string `json:"visibility"`
	SourceSessionID string `json:"sourceSessionId"`
	TargetAgentID   string `json:"targetAgentId"`
	TargetAgentSlug string `json:"targetAgentSlug"`
}

type builderState struct {
	Mode          string         `json:"mode"`
	SourceSession *builderSource `json:"sourceSession,omitzero"`
	TargetAgent   *builderTarget `json:"targetAgent,omitzero"`
}

type builderSource struct {
	SessionID string `json:"sessionId"`
	Label     string `json:"label"`
}

type builderTarget struct {
	Slug        string `json:"slug"`
	AgentID     string `json:"agentId"`
	DisplayName string `json:"displayName"`
}

// effectiveMode is the mode that was sent, or the one that follows from the
// other members.
func (r *builderRequest) effectiveMode() string {
	switch {
	case r.Mode != "":
		return r.Mode
	case r.SourceSessionID != "":
		return "from_session"
	case r.TargetAgentID != "" || r.TargetAgentSlug != "":
		return "edit"
	default:
		return "new"
	}
}

// target is the id of the agent to edit, or its slug.
func (r *builderRequest) target() string {
	return cmp.Or(strings.TrimSpace(r.TargetAgentID), strings.TrimSpace(r.TargetAgentSlug))
}

func (r *builderRequest) check() error {
	if err := oneOf("mode", r.Mode, "new", "edit", "from_session"); err != nil {
		return err
	}
	if err := checkVisibility(r.Visibility); err != nil {
		return err
	}
	switch mode := r.effectiveMode(); {
	case mode == "from_session" && strings.TrimSpace(r.SourceSessionID) == "":
		return invalid("sourceSessionId is required to build from a session")
	case mode == "edit" && r.target() == "":
		return invalid("targetAgentId or targetAgentSlug is required to edit an agent")
	}
	return nil
}

// createBuilder creates a session in which an agent is built. The request may be
// empty.
func (all *sessions) createBuilder(c *Call) (any, error) {
	var req builderRequest
	if len(c.Body) > 0 {
		if err := decode(c.Body, &req); err != nil {
			return nil, err
		}
	}
	if err := req.check(); err != nil {
		return nil, err
	}
	state, err := all.builder(&req)
	if err != nil {
		return nil, err
	}
	s := &Session{
		label:      cmp.Or(req.Label, shorten(req.Prompt), "Agent builder"),
		task:       req.Prompt,
		kind:       "agent_builder",
		visibility: req.Visibility,
		builder:    state,
	}
	if state.SourceSession != nil {
		s.parentID = state.SourceSession.SessionID
	}
	return all.begin(s, loopConfig{})
}

// builder looks up what is built from.
func (all *sessions) builder(req *builderRequest) (*builderState, error) {
	state := &builderState{Mode: req.effectiveMode()}
	if state.Mode == "from_session" {
		source, err := all.find(req.SourceSessionID)
		if err != nil {
			return nil, err
		}
		state.SourceSession = &builderSource{SessionID: source.id, Label: source.label}
	}
	if state.Mode == "edit" {
		agent, err := all.world.agents.find(req.target())
		if err != nil {
			return nil, err
		}
		state.TargetAgent = &builderTarget{Slug: agent.draft.Slug, AgentID: agent.id, DisplayName: agent.draft.DisplayName}
	}
	return state, nil
}
