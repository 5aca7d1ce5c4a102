package codertest

import (
	"slices"
	"time"
)

type createBucketRequest struct {
	Name          string   `json:"name"`
	Description   string   `json:"description"`
	SavedSkillIDs []string `json:"savedSkillIds"`
}

// bucketRecord names its skills; what they are is looked up when it is shown,
// so that a skill saved again is the new one in every bucket.
type bucketRecord struct {
	id          string
	name        string
	description string
	createdAt   string
	skillIDs    []string
}

type skillBucket struct {
	ID          string       `json:"id"`
	Name        string       `json:"name"`
	Description string       `json:"description,omitzero"`
	CreatedAt   string       `json:"createdAt"`
	UpdatedAt   string       `json:"updatedAt"`
	SkillCount  int          `json:"skillCount"`
	Skills      []savedSkill `json:"skills"`
}

type bucketAnswer struct {
	Bucket skillBucket `json:"bucket"`
}

type bucketList struct {
	Buckets []skillBucket `json:"buckets"`
}

func (h *Hub) createSkillBucket(c *call) (any, error) {
	var req createBucketRequest
	if err := decode(c.body, &req); err != nil {
		return nil, err
	}
	if err := required("name", req.Name); err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.knowSkills(req.SavedSkillIDs); err != nil {
		return nil, err
	}
	bucket := h.buckets.add(func(id string) *bucketRecord {
		return &bucketRecord{
			id:          id,
			name:        req.Name,
			description: req.Description,
			createdAt:   iso(time.Now()),
			skillIDs:    distinct(req.SavedSkillIDs),
		}
	})
	return bucketAnswer{h.show(bucket)}, nil
}

func (h *Hub) show(b *bucketRecord) skillBucket {
	bucket := skillBucket{
		ID:          b.id,
		Name:        b.name,
		Description: b.description,
		CreatedAt:   b.createdAt,
		UpdatedAt:   b.createdAt,
		SkillCount:  len(b.skillIDs),
	}
	for _, id := range b.skillIDs {
		bucket.Skills = append(bucket.Skills, h.skills.byID[id])
	}
	return bucket
}

func (h *Hub) listSkillBuckets(*call) (any, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var list bucketList
	for bucket := range h.buckets.oldestFirst() {
		list.Buckets = append(list.Buckets, h.show(bucket))
	}
	return list, nil
}

// deleteSkillBucket leaves the skills in the library.
func (h *Hub) deleteSkillBucket(c *call) (any, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.knowBuckets([]string{c.id}); err != nil {
		return nil, err
	}
	h.buckets.remove(c.id)
	for workspace := range h.workspaces.oldestFirst() {
		workspace.SkillBucketIDs = without(workspace.SkillBucketIDs, c.id)
	}
	return removed{OK: true}, nil
}

// knowBuckets refuses ids of no bucket.
func (h *Hub) knowBuckets(ids []string) error {
	for _, id := range ids {
		if _, ok := h.buckets.byID[id]; !ok {
			return notFound("No skill bucket with id " + id)
		}
	}
	return nil
}

// distinct keeps the first of every value.
func distinct(values []string) []string {
	var kept []string
	for _, value := range values {
		if !slices.Contains(kept, value) {
			kept = append(kept, value)
		}
	}
	return kept
}
