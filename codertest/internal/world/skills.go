package world

import (
	"cmp"
	"slices"
	"time"
)

// skills is the library of saved skills, and the buckets that group them.
type skills struct {
	saved      collection[savedSkill]
	buckets    collection[*bucketRecord]
	files      []skillFile // that a test has added
	workspaces *workspaces
}

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

// skillRef is a skill as sessions and agents have it.
type skillRef struct {
	SkillID string `json:"skillId"`
	Repo    string `json:"repo"`
	Name    string `json:"name,omitzero"`
	URL     string `json:"url,omitzero"`
	Content string `json:"content,omitzero"`
}

type skillAnswer struct {
	Skill savedSkill `json:"skill"`
}

type skillLibrary struct {
	Skills []savedSkill `json:"skills"`
}

// save adds a skill to the library, or replaces the one with the same source,
// repository and skill id, whose id it takes.
func (k *skills) save(c *Call) (any, error) {
	var req saveSkillRequest
	if err := decode(c.Body, &req); err != nil {
		return nil, err
	}
	if err := required("repo", req.Repo, "skillId", req.SkillID, "name", req.Name); err != nil {
		return nil, err
	}
	req.Source = cmp.Or(req.Source, "registry")
	now := iso(time.Now())
	for skill := range k.saved.oldestFirst() {
		if skill.Source == req.Source && skill.Repo == req.Repo && skill.SkillID == req.SkillID {
			saved := req.record(skill.ID, skill.CreatedAt, now)
			k.saved.byID[skill.ID] = saved
			return skillAnswer{saved}, nil
		}
	}
	return skillAnswer{k.saved.add(func(id string) savedSkill { return req.record(id, now, now) })}, nil
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

func (k *skills) list(*Call) (any, error) {
	return skillLibrary{slices.Collect(k.saved.oldestFirst())}, nil
}

// delete also takes the skill out of buckets and workspaces. Sessions and agents
// keep it.
func (k *skills) delete(c *Call) (any, error) {
	if err := k.known([]string{c.ID}); err != nil {
		return nil, err
	}
	k.saved.remove(c.ID)
	for bucket := range k.buckets.oldestFirst() {
		bucket.skillIDs = without(bucket.skillIDs, c.ID)
	}
	for workspace := range k.workspaces.oldestFirst() {
		workspace.SavedSkillIDs = without(workspace.SavedSkillIDs, c.ID)
	}
	return removed{OK: true}, nil
}

// without returns a copy of ids in which id is missing.
func without(ids []string, id string) []string {
	return slices.DeleteFunc(slices.Clone(ids), func(other string) bool { return other == id })
}

// known refuses ids that no saved skill has.
func (k *skills) known(ids []string) error {
	for _, id := range ids {
		if _, ok := k.saved.byID[id]; !ok {
			return notFound("No saved skill with id " + id)
		}
	}
	return nil
}

// refs returns the skills of refs, then those with the ids, then those of the
// buckets, each of them once.
func (k *skills) refs(refs []skillRef, skillIDs, bucketIDs []string) ([]skillRef, error) {
	if err := k.known(skillIDs); err != nil {
		return nil, err
	}
	if err := k.knownBuckets(bucketIDs); err != nil {
		return nil, err
	}
	for _, id := range bucketIDs {
		skillIDs = slices.Concat(skillIDs, k.buckets.byID[id].skillIDs)
	}
	for _, id := range skillIDs {
		ref := k.saved.byID[id].ref()
		known := slices.ContainsFunc(refs, func(other skillRef) bool {
			return other.SkillID == ref.SkillID && other.Repo == ref.Repo
		})
		if !known {
			refs = append(refs, ref)
		}
	}
	return refs, nil
}

func checkSkillRefs(refs []skillRef) error {
	for _, ref := range refs {
		if err := required("skills.skillId", ref.SkillID, "skills.repo", ref.Repo); err != nil {
			return err
		}
	}
	return nil
}
