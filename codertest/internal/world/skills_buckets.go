package world

import (
	"slices"
	"time"
)

type createBucketRequest struct {
	Name          string   `json:"name"`
	Description   string   `json:"description"`
	SavedSkillIDs []string `json:"savedSkillIds"`
}

// bucketRecord has the ids of its skills. The skills are looked up when it is
// answered, so that one that is saved again changes in every bucket.
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

func (k *skills) createBucket(c *Call) (any, error) {
	var req createBucketRequest
	if err := decode(c.Body, &req); err != nil {
		return nil, err
	}
	if err := required("name", req.Name); err != nil {
		return nil, err
	}
	if err := k.known(req.SavedSkillIDs); err != nil {
		return nil, err
	}
	bucket := k.buckets.add(func(id string) *bucketRecord {
		return &bucketRecord{
			id:          id,
			name:        req.Name,
			description: req.Description,
			createdAt:   iso(time.Now()),
			skillIDs:    distinct(req.SavedSkillIDs),
		}
	})
	return bucketAnswer{k.bucket(bucket)}, nil
}

func (k *skills) bucket(b *bucketRecord) skillBucket {
	bucket := skillBucket{
		ID:          b.id,
		Name:        b.name,
		Description: b.description,
		CreatedAt:   b.createdAt,
		UpdatedAt:   b.createdAt,
		SkillCount:  len(b.skillIDs),
	}
	for _, id := range b.skillIDs {
		bucket.Skills = append(bucket.Skills, k.saved.byID[id])
	}
	return bucket
}

func (k *skills) listBuckets(*Call) (any, error) {
	var list bucketList
	for bucket := range k.buckets.oldestFirst() {
		list.Buckets = append(list.Buckets, k.bucket(bucket))
	}
	return list, nil
}

// deleteBucket also takes the bucket out of workspaces. Its skills stay in the
// library.
func (k *skills) deleteBucket(c *Call) (any, error) {
	if err := k.knownBuckets([]string{c.ID}); err != nil {
		return nil, err
	}
	k.buckets.remove(c.ID)
	for workspace := range k.workspaces.oldestFirst() {
		workspace.SkillBucketIDs = without(workspace.SkillBucketIDs, c.ID)
	}
	return removed{OK: true}, nil
}

// knownBuckets refuses ids that no bucket has.
func (k *skills) knownBuckets(ids []string) error {
	for _, id := range ids {
		if _, ok := k.buckets.byID[id]; !ok {
			return notFound("No skill bucket with id " + id)
		}
	}
	return nil
}

// distinct returns every value once.
func distinct(values []string) []string {
	var kept []string
	for _, value := range values {
		if !slices.Contains(kept, value) {
			kept = append(kept, value)
		}
	}
	return kept
}
