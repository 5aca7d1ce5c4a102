package world

import (
	"bytes"
	"slices"
	"time"
)

// agents are the custom agents of the organization.
type agents struct {
	collection[*agentRecord]
	versions collection[agentVersion]
	skills   *skills
}

// agentRecord is a custom agent: a draft, which changes, and the versions that
// were published, which do not.
type agentRecord struct {
	id        string
	draft     agentSnapshot
	versions  []agentVersion // oldest first
	archived  bool
	createdAt string
	updatedAt string
}

// agentSnapshot is the definition of an agent. A copy of it does not change: its
// slices are replaced and never changed in place.
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

// answer has the members of the draft, since the caller owns every agent.
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
		agent.HasUnpublishedChanges = !bytes.Equal(Encode(last.agentSnapshot), Encode(a.draft))
		agent.LatestPublishedVersion = last.Version
		agent.LatestPublishedAt = last.CreatedAt
		agent.Published = &last
	}
	if a.archived {
		agent.Lifecycle = "archived"
	}
	return agent
}

// find looks for an id first, and then for a slug.
func (all *agents) find(idOrSlug string) (*agentRecord, error) {
	if agent, ok := all.byID[idOrSlug]; ok {
		return agent, nil
	}
	for agent := range all.oldestFirst() {
		if agent.draft.Slug == idOrSlug {
			return agent, nil
		}
	}
	return nil, notFound("No agent with this id or slug")
}

func (all *agents) create(c *Call) (any, error) {
	var req agentRequest
	if err := decode(c.Body, &req); err != nil {
		return nil, err
	}
	err := required("slug", value(req.Slug), "displayName", value(req.DisplayName), "instructions", value(req.Instructions))
	if err != nil {
		return nil, err
	}
	draft, err := all.redraft(agentSnapshot{}, &req)
	if err != nil {
		return nil, err
	}
	now := iso(time.Now())
	agent := all.add(func(id string) *agentRecord {
		return &agentRecord{id: id, draft: draft, createdAt: now, updatedAt: now}
	})
	return agentAnswer{agent.answer()}, nil
}

func (all *agents) get(c *Call) (any, error) {
	agent, err := all.find(c.ID)
	if err != nil {
		return nil, err
	}
	return agentAnswer{agent.answer()}, nil
}

func (all *agents) list(c *Call) (any, error) {
	archived, err := c.queryFlag("includeArchived")
	if err != nil {
		return nil, err
	}
	var list agentList
	for agent := range all.oldestFirst() {
		if archived || !agent.archived {
			list.Agents = append(list.Agents, agent.answer())
		}
	}
	return list, nil
}

// findLive is find for changes, which an archived agent refuses.
func (all *agents) findLive(idOrSlug string) (*agentRecord, error) {
	agent, err := all.find(idOrSlug)
	if err == nil && agent.archived {
		return nil, invalid("The agent is archived")
	}
	return agent, err
}

func (all *agents) update(c *Call) (any, error) {
	var req agentRequest
	if err := decode(c.Body, &req); err != nil {
		return nil, err
	}
	agent, err := all.findLive(c.ID)
	if err != nil {
		return nil, err
	}
	draft, err := all.redraft(agent.draft, &req)
	if err != nil {
		return nil, err
	}
	agent.draft = draft
	agent.updatedAt = iso(time.Now())
	return agentAnswer{agent.answer()}, nil
}

// publish makes the draft the next version, even if it has not changed.
func (all *agents) publish(c *Call) (any, error) {
	agent, err := all.findLive(c.ID)
	if err != nil {
		return nil, err
	}
	agent.updatedAt = iso(time.Now())
	version := all.versions.add(func(id string) agentVersion {
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

func (all *agents) archive(c *Call) (any, error) {
	agent, err := all.find(c.ID)
	if err != nil {
		return nil, err
	}
	if !agent.archived {
		agent.archived = true
		agent.updatedAt = iso(time.Now())
	}
	return agentAnswer{agent.answer()}, nil
}

// listVersions answers with the newest first.
func (all *agents) listVersions(c *Call) (any, error) {
	agent, err := all.find(c.ID)
	if err != nil {
		return nil, err
	}
	versions := slices.Clone(agent.versions)
	slices.Reverse(versions)
	return agentVersionList{versions}, nil
}
