package codertest

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

type saveSkillRequest struct {
	Source      string `json:"source"`
	Repo        string `json:"repo"`
	SkillID     string `json:"skillId"`
	Name        string `json:"name"`
	Description string `json:"description"`
	URL         string `json:"url"`
	Content     string `json:"content"`
}

type savedSkill struct {
	ID          string `json:"id"`
	Source      string `json:"source"`
	Repo        string `json:"repo"`
	SkillID     string `json:"skillId"`
	Name        string `json:"name"`
	Description string `json:"description,omitzero"`
	URL         string `json:"url,omitzero"`
	Content     string `json:"content,omitzero"`
	CreatedAt   string `json:"createdAt"`
	UpdatedAt   string `json:"updatedAt"`
}

type skillAnswer struct {
	Skill savedSkill `json:"skill"`
}

type skillLibrary struct {
	Skills []savedSkill `json:"skills"`
}

// removed is the answer to a DELETE that is not of a session.
type removed struct {
	OK bool `json:"ok"`
}

// saveSkill puts a skill into the library, or over the one with the same
// source, repository and skill id, which keeps its record id.
func (h *Hub) saveSkill(c *call) (any, error) {
	var req saveSkillRequest
	if err := decode(c.body, &req); err != nil {
		return nil, err
	}
	if err := required("repo", req.Repo, "skillId", req.SkillID, "name", req.Name); err != nil {
		return nil, err
	}
	req.Source = cmp.Or(req.Source, "registry")
	now := iso(time.Now())
	h.mu.Lock()
	defer h.mu.Unlock()
	for skill := range h.skills.oldestFirst() {
		if skill.Source == req.Source && skill.Repo == req.Repo && skill.SkillID == req.SkillID {
			saved := req.record(skill.ID, skill.CreatedAt, now)
			h.skills.byID[skill.ID] = saved
			return skillAnswer{saved}, nil
		}
	}
	return skillAnswer{h.skills.add(func(id string) savedSkill { return req.record(id, now, now) })}, nil
}

func (r *saveSkillRequest) record(id, createdAt, updatedAt string) savedSkill {
	return savedSkill{
		ID: id, Source: r.Source, Repo: r.Repo, SkillID: r.SkillID, Name: r.Name,
		Description: r.Description, URL: r.URL, Content: r.Content,
		CreatedAt: createdAt, UpdatedAt: updatedAt,
	}
}

func (s savedSkill) ref() skillRef {
	return skillRef{SkillID: s.SkillID, Repo: s.Repo, Name: s.Name, URL: s.URL, Content: s.Content}
}

func (h *Hub) listSavedSkills(*call) (any, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return skillLibrary{slices.Collect(h.skills.oldestFirst())}, nil
}

// deleteSavedSkill takes the skill out of buckets and workspaces too. Sessions
// and agents keep what they were given.
func (h *Hub) deleteSavedSkill(c *call) (any, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.knowSkills([]string{c.id}); err != nil {
		return nil, err
	}
	h.skills.remove(c.id)
	for bucket := range h.buckets.oldestFirst() {
		bucket.skillIDs = without(bucket.skillIDs, c.id)
	}
	for workspace := range h.workspaces.oldestFirst() {
		workspace.SavedSkillIDs = without(workspace.SavedSkillIDs, c.id)
	}
	return removed{OK: true}, nil
}

// without copies, since an answer under way may still hold ids.
func without(ids []string, id string) []string {
	return slices.DeleteFunc(slices.Clone(ids), func(other string) bool { return other == id })
}

// knowSkills refuses ids that are not in the library.
func (h *Hub) knowSkills(ids []string) error {
	for _, id := range ids {
		if _, ok := h.skills.byID[id]; !ok {
			return notFound("No saved skill with id " + id)
		}
	}
	return nil
}

// skillRefs resolves saved skills and buckets into the skills they are, each
// of them once, after those that are there already.
func (h *Hub) skillRefs(refs []skillRef, skillIDs, bucketIDs []string) ([]skillRef, error) {
	if err := h.knowSkills(skillIDs); err != nil {
		return nil, err
	}
	if err := h.knowBuckets(bucketIDs); err != nil {
		return nil, err
	}
	for _, id := range bucketIDs {
		skillIDs = slices.Concat(skillIDs, h.buckets.byID[id].skillIDs)
	}
	for _, id := range skillIDs {
		ref := h.skills.byID[id].ref()
		known := slices.ContainsFunc(refs, func(other skillRef) bool {
			return other.SkillID == ref.SkillID && other.Repo == ref.Repo
		})
		if !known {
			refs = append(refs, ref)
		}
	}
	return refs, nil
}

// required refuses blank values; it takes pairs of member and value.
func required(pairs ...string) error {
	for pair := range slices.Chunk(pairs, 2) {
		if strings.TrimSpace(pair[1]) == "" {
			return invalid(pair[0] + " must be a non-empty string")
		}
	}
	return nil
}
