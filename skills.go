package coder

import (
	"context"
	"encoding/json"
	"time"
)

// SaveSkillRequest describes a skill to save. Repo, SkillID and Name are required.
type SaveSkillRequest struct {
	// SkillID is unique within Repo, the repository the skill comes from. Both are required.
	Repo    string `json:"repo"`
	SkillID string `json:"skillId"`
	// Name is for people. Required.
	Name string `json:"name"`
	// Description tells people what the skill is for.
	Description string `json:"description,omitzero"`
	// URL leads to a page about the skill or its repository.
	URL string `json:"url,omitzero"`
	// Source is the kind of place the skill comes from. Default: the Hub's, which is "registry".
	Source string `json:"source,omitzero"`
	// Content is the text of SKILL.md.
	Content string `json:"content,omitzero"`
	// Extra holds members that this package has no field for, but a newer Hub takes. A member that has the name of
	// a field, in the same letter case, is a [*ValidationError].
	Extra map[string]json.RawMessage `json:",embed"`
}

// CreateCustomSkillRequest describes a skill of your own. All but Description is required.
type CreateCustomSkillRequest struct {
	// SkillID is unique among your own skills. Required.
	SkillID string `json:"skillId"`
	// Name is for people. Required.
	Name string `json:"name"`
	// Description tells people what the skill is for.
	Description string `json:"description,omitzero"`
	// Content is the text of SKILL.md. Required.
	Content string `json:"content"`
	// Extra holds members that this package has no field for, but a newer Hub takes. A member that has the name of
	// a field, in the same letter case, is a [*ValidationError].
	Extra map[string]json.RawMessage `json:",embed"`
}

// customSkill is a CreateCustomSkillRequest as it is on the wire: saving a skill whose source and
// repository are both "custom". It does not embed the request, which before Go 1.27 has JSON methods.
type customSkill struct {
	Source      string                     `json:"source"`
	Repo        string                     `json:"repo"`
	SkillID     string                     `json:"skillId"`
	Name        string                     `json:"name"`
	Description string                     `json:"description,omitzero"`
	Content     string                     `json:"content"`
	Extra       map[string]json.RawMessage `json:",embed"`
}

func (r *CreateCustomSkillRequest) wire() *customSkill {
	return &customSkill{
		Source: "custom", Repo: "custom",
		SkillID: r.SkillID, Name: r.Name, Description: r.Description, Content: r.Content, Extra: r.Extra,
	}
}

// SavedSkill is a skill in the caller's library.
type SavedSkill struct {
	// ID is the id for [Client.DeleteSavedSkill] and for members called SavedSkillIDs. It is not SkillID.
	ID string `json:"id"`
	// Source is "registry", "custom" or another.
	Source string `json:"source"`
	// SkillID is unique within Repo, the repository the skill comes from: "custom" for one of your own.
	Repo    string `json:"repo"`
	SkillID string `json:"skillId"`
	// Name and Description are for people.
	Name        string `json:"name"`
	Description string `json:"description,omitzero"`
	// URL leads to a page about the skill or its repository.
	URL string `json:"url,omitzero"`
	// Installs counts how often the skill was installed; nil if the Hub does not say.
	Installs *int `json:"installs,omitzero"`
	// Content is the text of SKILL.md, where the library holds it.
	Content string `json:"content,omitzero"`
	// When the skill was saved, and when it was saved again or changed.
	CreatedAt time.Time `json:"createdAt,omitzero"`
	UpdatedAt time.Time `json:"updatedAt,omitzero"`
	// Extra holds the members this package has no field for.
	Extra map[string]json.RawMessage `json:",embed"`
}

// savedSkillAnswer is a saved skill as it is on the wire.
type savedSkillAnswer struct {
	Skill *SavedSkill `json:"skill"`
}

func (a *savedSkillAnswer) problem() error {
	if a.Skill == nil {
		return missingText("skill", "")
	}
	return missingText("skill.id", a.Skill.ID)
}

// SavedSkillListResponse lists saved skills.
type SavedSkillListResponse struct {
	// Skills is the whole library.
	Skills []SavedSkill `json:"skills"`
	// Extra holds the members this package has no field for.
	Extra map[string]json.RawMessage `json:",embed"`
}

func (r *SavedSkillListResponse) problem() error {
	return missingIn("skills", r.Skills, "id", func(s *SavedSkill) string { return s.ID })
}

// CreateSkillBucketRequest describes a skill bucket. Only Name is required.
type CreateSkillBucketRequest struct {
	// Name is for people. Required.
	Name string `json:"name"`
	// Description tells people what the bucket is for.
	Description string `json:"description,omitzero"`
	// SavedSkillIDs selects the skills to put in it, by [SavedSkill].ID.
	SavedSkillIDs []string `json:"savedSkillIds,omitzero"`
	// Extra holds members that this package has no field for, but a newer Hub takes. A member that has the name of
	// a field, in the same letter case, is a [*ValidationError].
	Extra map[string]json.RawMessage `json:",embed"`
}

// SkillBucket is a group of saved skills.
type SkillBucket struct {
	// ID is the id for [Client.DeleteSkillBucket] and for members called SkillBucketIDs.
	ID string `json:"id"`
	// Name and Description are for people.
	Name        string `json:"name"`
	Description string `json:"description,omitzero"`
	// When the bucket was created, and when it was changed last.
	CreatedAt time.Time `json:"createdAt,omitzero"`
	UpdatedAt time.Time `json:"updatedAt,omitzero"`
	// Skills is what the bucket holds, SkillCount how many there are.
	SkillCount int          `json:"skillCount"`
	Skills     []SavedSkill `json:"skills"`
	// Extra holds the members this package has no field for.
	Extra map[string]json.RawMessage `json:",embed"`
}

// skillBucketAnswer is a skill bucket as it is on the wire.
type skillBucketAnswer struct {
	Bucket *SkillBucket `json:"bucket"`
}

func (a *skillBucketAnswer) problem() error {
	if a.Bucket == nil {
		return missingText("bucket", "")
	}
	return missingText("bucket.id", a.Bucket.ID)
}

// SkillBucketListResponse lists skill buckets.
type SkillBucketListResponse struct {
	// Buckets has all buckets of the caller.
	Buckets []SkillBucket `json:"buckets"`
	// Extra holds the members this package has no field for.
	Extra map[string]json.RawMessage `json:",embed"`
}

func (r *SkillBucketListResponse) problem() error {
	return missingIn("buckets", r.Buckets, "id", func(b *SkillBucket) string { return b.ID })
}

// SaveSkill saves a skill to the caller's library. Saving one with the same source, repo and skill
// id again updates it. A repo, skill id or name that is blank is a [*ValidationError].
//
// The request is not repeated once it may have reached the Hub. An error that matches [ErrOutcomeUnknown]
// means that the skill may be saved.
//
// POST /hub/skills/library
func (c *Client) SaveSkill(ctx context.Context, body SaveSkillRequest) (*SavedSkill, error) {
	return c.saveSkill(ctx, create("SaveSkill", "/hub/skills/library", &body).
		require("repo", body.Repo).require("skillId", body.SkillID).require("name", body.Name))
}

// CreateCustomSkill saves a skill of your own to the caller's library: one whose source and repository are
// "custom". A blank skill id, name or content is a [*ValidationError].
//
// The request is not repeated once it may have reached the Hub. An error that matches [ErrOutcomeUnknown]
// means that the skill may exist.
//
// POST /hub/skills/library
func (c *Client) CreateCustomSkill(ctx context.Context, body CreateCustomSkillRequest) (*SavedSkill, error) {
	return c.saveSkill(ctx, create("CreateCustomSkill", "/hub/skills/library", body.wire()).
		require("skillId", body.SkillID).require("name", body.Name).require("content", body.Content))
}

func (c *Client) saveSkill(ctx context.Context, r *request) (*SavedSkill, error) {
	out, err := call[savedSkillAnswer](ctx, c, r)
	if err != nil {
		return nil, err
	}
	return out.Skill, nil
}

// ListSavedSkills returns all skills of the caller's library.
//
// GET /hub/skills/library
func (c *Client) ListSavedSkills(ctx context.Context) (*SavedSkillListResponse, error) {
	return call[SavedSkillListResponse](ctx, c, get("ListSavedSkills", "/hub/skills/library"))
}

// DeleteSavedSkill removes a skill from the caller's library. The id is [SavedSkill].ID, not the skill id
// within a repository. If the response to an attempt was lost and the next attempt finds no such skill, the
// call succeeds.
//
// DELETE /hub/skills/library/{savedSkillId}
func (c *Client) DeleteSavedSkill(ctx context.Context, skillID string) error {
	return c.done(ctx, del("DeleteSavedSkill", "/hub/skills/library/{skillID}", skillID))
}

// CreateSkillBucket creates a group of saved skills, which can be attached to sessions together. A name that
// is blank is a [*ValidationError].
//
// The request is not repeated once it may have reached the Hub. An error that matches [ErrOutcomeUnknown]
// means that the bucket may exist.
//
// POST /hub/skills/buckets
func (c *Client) CreateSkillBucket(ctx context.Context, body CreateSkillBucketRequest) (*SkillBucket, error) {
	out, err := call[skillBucketAnswer](ctx, c,
		create("CreateSkillBucket", "/hub/skills/buckets", &body).require("name", body.Name))
	if err != nil {
		return nil, err
	}
	return out.Bucket, nil
}

// ListSkillBuckets returns all skill buckets of the caller.
//
// GET /hub/skills/buckets
func (c *Client) ListSkillBuckets(ctx context.Context) (*SkillBucketListResponse, error) {
	return call[SkillBucketListResponse](ctx, c, get("ListSkillBuckets", "/hub/skills/buckets"))
}

// DeleteSkillBucket deletes a skill bucket. If the response to an attempt was lost and the next attempt finds
// no such bucket, the call succeeds.
//
// DELETE /hub/skills/buckets/{bucketId}
func (c *Client) DeleteSkillBucket(ctx context.Context, bucketID string) error {
	return c.done(ctx, del("DeleteSkillBucket", "/hub/skills/buckets/{bucketID}", bucketID))
}
