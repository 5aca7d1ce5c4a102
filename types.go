package coder

import (
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	jsonv2 "github.com/go-json-experiment/json"

	"github.com/agentuity/coder-go/internal/wire"
)

//go:generate go run ./internal/openjson
//go:generate go run ./internal/drift/enums

// SessionVisibility says who may see a session. Unknown values are kept as they came.
type SessionVisibility string

// The visibilities of sessions.
const (
	VisibilityPrivate      SessionVisibility = "private"
	VisibilityOrganization SessionVisibility = "organization"
	VisibilityCollaborate  SessionVisibility = "collaborate" // the organization may also take part
)

// WorkflowMode says how a session works on its task. Unknown values are kept as they came.
type WorkflowMode string

// The workflow modes.
const (
	WorkflowStandard WorkflowMode = "standard" // turn by turn
	WorkflowLoop     WorkflowMode = "loop"     // autonomously, iteration by iteration
)

// SessionMode says where a session runs. Unknown values are kept as they came.
type SessionMode string

// The session modes.
const (
	SessionModeSandbox SessionMode = "sandbox" // in a cloud sandbox
	SessionModeTUI     SessionMode = "tui"     // in somebody's terminal
)

// SessionBucket is the group the Hub sorts a session into. Unknown values are kept as they came.
type SessionBucket string

// The buckets.
const (
	BucketRunning      SessionBucket = "running"
	BucketPaused       SessionBucket = "paused"
	BucketProvisioning SessionBucket = "provisioning"
	BucketHistory      SessionBucket = "history"
)

// WorkspaceScope says who owns a workspace. Unknown values are kept as they came.
type WorkspaceScope string

// The workspace scopes.
const (
	WorkspaceScopeUser WorkspaceScope = "user"
	WorkspaceScopeOrg  WorkspaceScope = "org"
)

// SkillRef names a skill.
type SkillRef struct {
	// SkillID is unique within Repo, the repository the skill comes from: "custom" for one of your own.
	SkillID string `json:"skillId"`
	Repo    string `json:"repo"`
	// Name is for people.
	Name string `json:"name,omitzero"`
	// URL leads to a page about the skill or its repository.
	URL string `json:"url,omitzero"`
	// Content has the SKILL.md text of a custom skill.
	Content string `json:"content,omitzero"`
}

// SessionRepositoryRef names a Git repository and what to use of it. Every member is optional;
// URL alone is enough for a public repository.
type SessionRepositoryRef struct {
	// The host: the id of the repository there, the kind of repository, and the host's name, such as
	// "github".
	RepoID   string `json:"repoId,omitzero"`
	Type     string `json:"type,omitzero"`
	Provider string `json:"provider,omitzero"`
	// Owner is a user or an organization. FullName is owner/name.
	Owner    string `json:"owner,omitzero"`
	Name     string `json:"name,omitzero"`
	FullName string `json:"fullName,omitzero"`
	// URL is for browsers, CloneURL for Git.
	URL      string `json:"url,omitzero"`
	CloneURL string `json:"cloneUrl,omitzero"`

	// What to check out: a branch, any Git ref, or a commit. DefaultBranch is used if none is given.
	DefaultBranch string `json:"defaultBranch,omitzero"`
	Branch        string `json:"branch,omitzero"`
	Ref           string `json:"ref,omitzero"`
	Commit        string `json:"commit,omitzero"`

	// Path is the directory of the repository to mount, RootPath the absolute path of the checkout in the
	// sandbox.
	Path     string `json:"path,omitzero"`
	RootPath string `json:"rootPath,omitzero"`
	// Extra holds the members this package has no field for.
	Extra map[string]json.RawMessage `json:",embed"`
}

// UnixMilli is a time that is written as Unix milliseconds. It is in UTC.
type UnixMilli struct{ time.Time }

// MarshalJSON writes the milliseconds as a number, and the zero time as null.
func (u UnixMilli) MarshalJSON() ([]byte, error) {
	if u.IsZero() {
		return []byte("null"), nil
	}
	whole, rest := u.UnixMilli(), u.Nanosecond()%int(time.Millisecond)
	if rest == 0 {
		return strconv.AppendInt(nil, whole, 10), nil
	}
	return strconv.AppendFloat(nil, float64(whole)+float64(rest)/1e6, 'f', -1, 64), nil
}

// UnmarshalJSON reads a number of milliseconds, which may have a fraction, or null.
func (u *UnixMilli) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		*u = UnixMilli{}
		return nil
	}
	if ms, err := strconv.ParseInt(string(data), 10, 64); err == nil {
		u.Time = time.UnixMilli(ms).UTC()
		return nil
	}
	ms, err := strconv.ParseFloat(string(data), 64)
	if err != nil || math.Abs(ms) > 1<<53 {
		return errors.New("coder: a time in Unix milliseconds must be a number")
	}
	whole, rest := math.Modf(ms)
	u.Time = time.UnixMilli(int64(whole)).Add(time.Duration(math.Round(rest*1e3)) * time.Microsecond).UTC()
	return nil
}

// Milliseconds is a length of time in milliseconds, which may have a fraction.
type Milliseconds float64

// Duration converts m. A value beyond the range of a time.Duration becomes the nearest one.
func (m Milliseconds) Duration() time.Duration {
	switch ns := float64(m) * float64(time.Millisecond); {
	case ns != ns:
		return 0
	case ns >= math.MaxInt64:
		return math.MaxInt64
	case ns <= math.MinInt64:
		return math.MinInt64
	default:
		return time.Duration(ns)
	}
}

// Nullable is a member that can be absent (the zero value), null, or a value. Make one with
// [Value] or [Null].
type Nullable[T any] struct {
	value T
	state nullState
}

type nullState uint8

const (
	absent nullState = iota
	isNull
	isValue
)

// Value returns a member with this value.
func Value[T any](v T) Nullable[T] { return Nullable[T]{value: v, state: isValue} }

// Null returns a member that is null, which in an update clears the stored value.
func Null[T any]() Nullable[T] { return Nullable[T]{state: isNull} }

// Get returns the value, and whether there is one.
func (n Nullable[T]) Get() (T, bool) { return n.value, n.state == isValue }

// IsNull reports whether the member is null.
func (n Nullable[T]) IsNull() bool { return n.state == isNull }

// IsZero reports whether the member is absent.
func (n Nullable[T]) IsZero() bool { return n.state == absent }

// MarshalJSON writes the value or null.
func (n Nullable[T]) MarshalJSON() ([]byte, error) {
	if n.state != isValue {
		return []byte("null"), nil
	}
	return wire.Marshal(n.value)
}

// UnmarshalJSON reads a value or null.
func (n *Nullable[T]) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		*n = Null[T]()
		return nil
	}
	*n = Nullable[T]{state: isValue}
	return jsonv2.Unmarshal(data, &n.value, wire.Accepted)
}

// NormalizeVisibility reads a visibility as people write it: "private", "organization" or "org",
// "collaborate" or "collab", in small letters or capitals, with blanks around it. Anything else is
// a [*ValidationError].
func NormalizeVisibility(visibility string) (SessionVisibility, error) {
	switch v := SessionVisibility(strings.ToLower(strings.TrimSpace(visibility))); v {
	case VisibilityPrivate, VisibilityOrganization, VisibilityCollaborate:
		return v, nil
	case "org":
		return VisibilityOrganization, nil
	case "collab":
		return VisibilityCollaborate, nil
	}
	return "", invalid("NormalizeVisibility", "visibility",
		"must be private, organization (or org) or collaborate (or collab)")
}
