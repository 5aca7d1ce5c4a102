package codertest

import (
	"bytes"
	"slices"
	"time"
)

// agentRecord is a custom agent: a draft that changes, and versions that do
// not.
type agentRecord struct {
	id        string
	draft     agentSnapshot
	versions  []agentVersion // oldest first
	archived  bool
	createdAt string
	updatedAt string
}

// agentSnapshot is what makes an agent. Slices in it are replaced, never
// changed in place, so that a copy is frozen.
type agentSnapshot struct {
	Slug               string     `json:"slug"`
	DisplayName        string     `json:"displayName"`
	Description        string     `json:"description,omitzero"`
	Instructions       string     `json:"instructions"`
	Model              string     `json:"model,omitzero"`
	ThinkingLevel      string     `json:"thinkingLevel,omitzero"`
	HeadlessCompatible bool       `json:"headlessCompatible"`
	Tools              []string   `json:"tools"`
	ServiceTools       []string   `json:"serviceTools"`
	SavedSkills        []skillRef `json:"savedSkills"`
	CompanionAgents    []string   `json:"companionAgents"`
}

type agentVersion struct {
	agentSnapshot
	ID              string `json:"id"`
	AgentID         string `json:"agentId"`
	Version         int    `json:"version"`
	CreatedByUserID string `json:"createdByUserId"`
	CreatedAt       string `json:"createdAt"`
}

type customAgent struct {
	agentSnapshot
	ID                     string        `json:"id"`
	OwnerUserID            string        `json:"ownerUserId"`
	Lifecycle              string        `json:"lifecycle"`
	Visibility             string        `json:"visibility"`
	CreatedAt              string        `json:"createdAt"`
	UpdatedAt              string        `json:"updatedAt"`
	HasPublishedVersion    bool          `json:"hasPublishedVersion"`
	HasUnpublishedChanges  bool          `json:"hasUnpublishedChanges"`
	LatestPublishedVersion int           `json:"latestPublishedVersion,omitzero"`
	LatestPublishedAt      string        `json:"latestPublishedAt,omitzero"`
	Published              *agentVersion `json:"published,omitzero"`
	Draft                  agentSnapshot `json:"draft"`
}

type agentAnswer struct {
	Agent customAgent `json:"agent"`
}

type agentList struct {
	Agents []customAgent `json:"agents"`
}

type agentVersionList struct {
	Versions []agentVersion `json:"versions"`
}

// answer shows the draft in front: everything belongs to the caller.
func (a *agentRecord) answer() customAgent {
	agent := customAgent{
		agentSnapshot:         a.draft,
		ID:                    a.id,
		OwnerUserID:           owner.UserID,
		Lifecycle:             "draft",
		Visibility:            "private_draft",
		CreatedAt:             a.createdAt,
		UpdatedAt:             a.updatedAt,
		HasUnpublishedChanges: true,
		Draft:                 a.draft,
	}
	if len(a.versions) > 0 {
		last := a.versions[len(a.versions)-1]
		agent.Lifecycle = "published"
		agent.Visibility = "org"
		agent.HasPublishedVersion = true
		agent.HasUnpublishedChanges = !bytes.Equal(encode(last.agentSnapshot), encode(a.draft))
		agent.LatestPublishedVersion = last.Version
		agent.LatestPublishedAt = last.CreatedAt
		agent.Published = &last
	}
	if a.archived {
		agent.Lifecycle = "archived"
	}
	return agent
}

// findAgent takes an id or a slug. An id wins.
func (h *Hub) findAgent(idOrSlug string) (*agentRecord, error) {
	if agent, ok := h.agents.byID[idOrSlug]; ok {
		return agent, nil
	}
	for agent := range h.agents.oldestFirst() {
		if agent.draft.Slug == idOrSlug {
			return agent, nil
		}
	}
	return nil, notFound("No agent with this id or slug")
}

func (h *Hub) createAgent(c *call) (any, error) {
	var req agentRequest
	if err := decode(c.body, &req); err != nil {
		return nil, err
	}
	err := required("slug", value(req.Slug), "displayName", value(req.DisplayName), "instructions", value(req.Instructions))
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	draft, err := h.redraft(agentSnapshot{}, &req)
	if err != nil {
		return nil, err
	}
	now := iso(time.Now())
	agent := h.agents.add(func(id string) *agentRecord {
		return &agentRecord{id: id, draft: draft, createdAt: now, updatedAt: now}
	})
	return agentAnswer{agent.answer()}, nil
}

func (h *Hub) getAgent(c *call) (any, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	agent, err := h.findAgent(c.id)
	if err != nil {
		return nil, err
	}
	return agentAnswer{agent.answer()}, nil
}

func (h *Hub) listAgents(c *call) (any, error) {
	archived, err := c.queryFlag("includeArchived")
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	var list agentList
	for agent := range h.agents.oldestFirst() {
		if archived || !agent.archived {
			list.Agents = append(list.Agents, agent.answer())
		}
	}
	return list, nil
}

// liveAgent is findAgent for what an archived agent does not take.
func (h *Hub) liveAgent(idOrSlug string) (*agentRecord, error) {
	agent, err := h.findAgent(idOrSlug)
	if err == nil && agent.archived {
		return nil, invalid("The agent is archived")
	}
	return agent, err
}

func (h *Hub) updateAgent(c *call) (any, error) {
	var req agentRequest
	if err := decode(c.body, &req); err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	agent, err := h.liveAgent(c.id)
	if err != nil {
		return nil, err
	}
	draft, err := h.redraft(agent.draft, &req)
	if err != nil {
		return nil, err
	}
	agent.draft = draft
	agent.updatedAt = iso(time.Now())
	return agentAnswer{agent.answer()}, nil
}

// publishAgent freezes the draft as the next version, changed or not.
func (h *Hub) publishAgent(c *call) (any, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	agent, err := h.liveAgent(c.id)
	if err != nil {
		return nil, err
	}
	agent.updatedAt = iso(time.Now())
	version := h.agentVersions.add(func(id string) agentVersion {
		return agentVersion{
			agentSnapshot:   agent.draft,
			ID:              id,
			AgentID:         agent.id,
			Version:         len(agent.versions) + 1,
			CreatedByUserID: owner.UserID,
			CreatedAt:       agent.updatedAt,
		}
	})
	agent.versions = append(agent.versions, version)
	return agentAnswer{agent.answer()}, nil
}

func (h *Hub) archiveAgent(c *call) (any, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	agent, err := h.findAgent(c.id)
	if err != nil {
		return nil, err
	}
	if !agent.archived {
		agent.archived = true
		agent.updatedAt = iso(time.Now())
	}
	return agentAnswer{agent.answer()}, nil
}

// listAgentVersions answers newest first.
func (h *Hub) listAgentVersions(c *call) (any, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	agent, err := h.findAgent(c.id)
	if err != nil {
		return nil, err
	}
	versions := slices.Clone(agent.versions)
	slices.Reverse(versions)
	return agentVersionList{versions}, nil
}
