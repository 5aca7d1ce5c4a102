package codertest

import (
	"cmp"
	"slices"
	"time"
)

// workspaceRequest is that of a creation and of an update; nil is a member
// that was not sent.
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

// workspace is both the record and what is answered. Slices are replaced,
// never changed in place.
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

// answer counts what the workspace selects by now.
func (w *workspace) answer() workspace {
	shown := *w
	shown.RepoCount = len(w.Repos)
	shown.SelectionCount = len(w.Repos) + len(w.SavedSkillIDs) + len(w.SkillBucketIDs) + len(w.Dependencies) + len(w.EnabledAgents)
	if w.Snapshot != nil {
		shown.Snapshot = new(*w.Snapshot)
	}
	return shown
}

func (h *Hub) checkWorkspace(r *workspaceRequest) error {
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
	if err := h.knowSkills(value(r.SavedSkillIDs)); err != nil {
		return err
	}
	return h.knowBuckets(value(r.SkillBucketIDs))
}

// value is what was sent, or the zero value.
func value[T any](sent *T) T {
	if sent == nil {
		return *new(T)
	}
	return *sent
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

// createWorkspace needs a name and nothing else.
func (h *Hub) createWorkspace(c *call) (any, error) {
	var req workspaceRequest
	if err := decode(c.body, &req); err != nil {
		return nil, err
	}
	if req.Name == nil {
		return nil, invalid("name must be a non-empty string")
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.checkWorkspace(&req); err != nil {
		return nil, err
	}
	now := time.Now()
	w := h.workspaces.add(func(id string) *workspace {
		return &workspace{ID: id, OwnerUserID: owner.UserID, CreatedAt: iso(now), UpdatedAt: iso(now)}
	})
	w.apply(req)
	if len(w.Dependencies) > 0 || w.SetupScript != "" {
		w.requestSnapshot(now)
	}
	return workspaceAnswer{w.answer()}, nil
}

func (h *Hub) updateWorkspace(c *call) (any, error) {
	var req workspaceRequest
	if err := decode(c.body, &req); err != nil {
		return nil, err
	}
	if req == (workspaceRequest{}) {
		return nil, invalid("The request changes nothing")
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	w, err := h.findWorkspace(c.id)
	if err != nil {
		return nil, err
	}
	if err := h.checkWorkspace(&req); err != nil {
		return nil, err
	}
	w.apply(req)
	w.UpdatedAt = iso(time.Now())
	return workspaceAnswer{w.answer()}, nil
}

func (h *Hub) findWorkspace(id string) (*workspace, error) {
	if w, ok := h.workspaces.byID[id]; ok {
		return w, nil
	}
	return nil, notFound("No workspace with this id")
}

// getWorkspace answers with the workspace as it is, then its snapshot takes a
// step.
func (h *Hub) getWorkspace(c *call) (any, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	w, err := h.findWorkspace(c.id)
	if err != nil {
		return nil, err
	}
	answer := workspaceAnswer{w.answer()}
	w.advanceSnapshot(time.Now())
	return answer, nil
}

func (h *Hub) listWorkspaces(*call) (any, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var list workspaceList
	for w := range h.workspaces.oldestFirst() {
		list.Workspaces = append(list.Workspaces, w.answer())
	}
	return list, nil
}

// deleteWorkspace leaves the sessions alone that were started from it.
func (h *Hub) deleteWorkspace(c *call) (any, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, err := h.findWorkspace(c.id); err != nil {
		return nil, err
	}
	h.workspaces.remove(c.id)
	return removed{OK: true}, nil
}

// furnish gives a session what its workspace has and the request does not.
func (w *workspace) furnish(s *session) {
	s.workspace = w
	if s.repo == nil && s.repos == nil {
		s.repos = slices.Clone(w.Repos)
	}
	if s.enabledAgents == nil {
		s.enabledAgents = slices.Clone(w.EnabledAgents)
	}
}
