package world

import (
	"cmp"
	"slices"
	"time"
)

// workspaces are the workspaces of the Hub.
type workspaces struct {
	collection[*workspace]
	skills *skills
}

// workspaceRequest creates or updates a workspace. What is nil was not sent.
type workspaceRequest struct {
	Name             *string       `json:"name"`
	Description      *string       `json:"description"`
	Scope            *string       `json:"scope"`
	Repos            *[]repository `json:"repos"`
	SavedSkillIDs    *[]string     `json:"savedSkillIds"`
	SkillBucketIDs   *[]string     `json:"skillBucketIds"`
	Dependencies     *[]string     `json:"dependencies"`
	SetupScript      *string       `json:"setupScript"`
	SystemPrompt     *string       `json:"systemPrompt"`
	SystemPromptMode *string       `json:"systemPromptMode"`
	EnabledAgents    *[]string     `json:"enabledAgents"`
}

// workspace is a workspace as it is remembered and as it is answered.
type workspace struct {
	ID               string             `json:"id"`
	Name             string             `json:"name"`
	Description      string             `json:"description,omitzero"`
	Scope            string             `json:"scope"`
	OwnerUserID      string             `json:"ownerUserId"`
	Repos            []repository       `json:"repos"`
	RepoCount        int                `json:"repoCount"`
	Dependencies     []string           `json:"dependencies"`
	SetupScript      string             `json:"setupScript"`
	SystemPrompt     string             `json:"systemPrompt"`
	SystemPromptMode string             `json:"systemPromptMode"`
	Snapshot         *workspaceSnapshot `json:"snapshot,omitzero"`
	SavedSkillIDs    []string           `json:"savedSkillIds"`
	SkillBucketIDs   []string           `json:"skillBucketIds"`
	EnabledAgents    []string           `json:"enabledAgents"`
	SelectionCount   int                `json:"selectionCount"`
	CreatedAt        string             `json:"createdAt"`
	UpdatedAt        string             `json:"updatedAt"`
}

type workspaceAnswer struct {
	Workspace workspace `json:"workspace"`
}

type workspaceList struct {
	Workspaces []workspace `json:"workspaces"`
}

// sessionWorkspace is how a session names its workspace.
type sessionWorkspace struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Scope string `json:"scope"`
}

func (w *workspace) ref() *sessionWorkspace {
	if w == nil {
		return nil
	}
	return &sessionWorkspace{ID: w.ID, Name: w.Name, Scope: w.Scope}
}

// answer returns a copy, with what the workspace selects counted.
func (w *workspace) answer() workspace {
	shown := *w
	shown.RepoCount = len(w.Repos)
	shown.SelectionCount = len(w.Repos) + len(w.SavedSkillIDs) + len(w.SkillBucketIDs) + len(w.Dependencies) + len(w.EnabledAgents)
	if w.Snapshot != nil {
		shown.Snapshot = new(*w.Snapshot)
	}
	return shown
}

func (all *workspaces) check(r *workspaceRequest) error {
	if r.Name != nil {
		if err := required("name", *r.Name); err != nil {
			return err
		}
	}
	if err := oneOf("scope", value(r.Scope), "user", "org"); err != nil {
		return err
	}
	if err := oneOf("systemPromptMode", value(r.SystemPromptMode), "append", "overwrite"); err != nil {
		return err
	}
	if err := all.skills.known(value(r.SavedSkillIDs)); err != nil {
		return err
	}
	return all.skills.knownBuckets(value(r.SkillBucketIDs))
}

func (w *workspace) apply(r workspaceRequest) {
	replace(&w.Name, r.Name)
	replace(&w.Description, r.Description)
	replace(&w.Scope, r.Scope)
	replace(&w.Repos, r.Repos)
	replace(&w.SavedSkillIDs, r.SavedSkillIDs)
	replace(&w.SkillBucketIDs, r.SkillBucketIDs)
	replace(&w.Dependencies, r.Dependencies)
	replace(&w.SetupScript, r.SetupScript)
	replace(&w.SystemPrompt, r.SystemPrompt)
	replace(&w.SystemPromptMode, r.SystemPromptMode)
	replace(&w.EnabledAgents, r.EnabledAgents)
	w.Scope = cmp.Or(w.Scope, "user")
	w.SystemPromptMode = cmp.Or(w.SystemPromptMode, "append")
}

// create needs a name and nothing else.
func (all *workspaces) create(c *Call) (any, error) {
	var req workspaceRequest
	if err := decode(c.Body, &req); err != nil {
		return nil, err
	}
	if req.Name == nil {
		return nil, invalid("name must be a non-empty string")
	}
	if err := all.check(&req); err != nil {
		return nil, err
	}
	now := time.Now()
	w := all.add(func(id string) *workspace {
		return &workspace{ID: id, OwnerUserID: owner.UserID, CreatedAt: iso(now), UpdatedAt: iso(now)}
	})
	w.apply(req)
	if len(w.Dependencies) > 0 || w.SetupScript != "" {
		w.requestSnapshot(now)
	}
	return workspaceAnswer{w.answer()}, nil
}

func (all *workspaces) update(c *Call) (any, error) {
	var req workspaceRequest
	if err := decode(c.Body, &req); err != nil {
		return nil, err
	}
	if req == (workspaceRequest{}) {
		return nil, invalid("The request changes nothing")
	}
	w, err := all.find(c.ID)
	if err != nil {
		return nil, err
	}
	if err := all.check(&req); err != nil {
		return nil, err
	}
	w.apply(req)
	w.UpdatedAt = iso(time.Now())
	return workspaceAnswer{w.answer()}, nil
}

func (all *workspaces) find(id string) (*workspace, error) {
	if w, ok := all.byID[id]; ok {
		return w, nil
	}
	return nil, notFound("No workspace with this id")
}

// get answers with the workspace as it is, and then moves its snapshot on.
func (all *workspaces) get(c *Call) (any, error) {
	w, err := all.find(c.ID)
	if err != nil {
		return nil, err
	}
	answer := workspaceAnswer{w.answer()}
	w.advanceSnapshot(time.Now())
	return answer, nil
}

func (all *workspaces) list(*Call) (any, error) {
	var list workspaceList
	for w := range all.oldestFirst() {
		list.Workspaces = append(list.Workspaces, w.answer())
	}
	return list, nil
}

// delete changes nothing about the sessions that were created from it.
func (all *workspaces) delete(c *Call) (any, error) {
	if _, err := all.find(c.ID); err != nil {
		return nil, err
	}
	all.remove(c.ID)
	return removed{OK: true}, nil
}

// furnish gives a session what its workspace has and its request did not.
func (w *workspace) furnish(s *Session) {
	s.workspace = w
	if s.repo == nil && s.repos == nil {
		s.repos = slices.Clone(w.Repos)
	}
	if s.enabledAgents == nil {
		s.enabledAgents = slices.Clone(w.EnabledAgents)
	}
}
