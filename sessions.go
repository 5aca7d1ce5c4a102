package coder

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"iter"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/agentuity/coder-go/internal/paging"
	"github.com/agentuity/coder-go/internal/route"
	"github.com/agentuity/coder-go/internal/wire"
)

// UpdateSessionRequest says what to change. A nil member is left as it is; a list replaces the
// stored one, and an empty list clears it. What has no member here, such as the environment, is
// fixed when a session is created.
type UpdateSessionRequest struct {
	// Label replaces the display name.
	Label *string `json:"label,omitzero"`

	// DefaultAgent is the id of the agent that prompts go to. Agent is the older name of the same thing:
	// DefaultAgent wins if both are given.
	Agent        *string `json:"agent,omitzero"`
	DefaultAgent *string `json:"defaultAgent,omitzero"`

	// Visibility says who may see the session.
	Visibility *SessionVisibility `json:"visibility,omitzero"`

	// Lists: what the session can be filtered by, the skills that are attached to it, and the agents
	// that may take part in it.
	Tags          []string   `json:"tags,omitzero"`
	Skills        []SkillRef `json:"skills,omitzero"`
	EnabledAgents []string   `json:"enabledAgents,omitzero"`

	// Skills to attach: those of the library by [SavedSkill].ID, and whole buckets by [SkillBucket].ID. They are in the
	// Hub's REST reference, but not in its other documentation: a Hub may ignore them.
	SavedSkillIDs  []string `json:"savedSkillIds,omitzero"`
	SkillBucketIDs []string `json:"skillBucketIds,omitzero"`

	// Extra holds members that this package has no field for, but a newer Hub takes. A member that has the name of
	// a field, in the same letter case, is a [*ValidationError].
	Extra map[string]json.RawMessage `json:",embed"`
}

// UpdateSessionResponse is the session after an update. Only SessionID is always set: a Hub may
// leave out the rest.
type UpdateSessionResponse struct {
	// SessionID is the id that was asked for.
	SessionID string `json:"sessionId"`

	// The values that an update can change, as they are now. DefaultAgent is null if there is none.
	Label         string            `json:"label,omitzero"`
	Visibility    SessionVisibility `json:"visibility,omitzero"`
	Tags          []string          `json:"tags,omitzero"`
	Skills        []SkillRef        `json:"skills,omitzero"`
	DefaultAgent  Nullable[string]  `json:"defaultAgent,omitzero"`
	EnabledAgents []string          `json:"enabledAgents,omitzero"`

	// Metadata is what the session was created with. Whole numbers that a float64 cannot hold are json.Number.
	Metadata map[string]any `json:"metadata,omitzero"`

	// Extra holds the members this package has no field for.
	Extra map[string]json.RawMessage `json:",embed"`
}

func (r *UpdateSessionResponse) problem() error { return missingText("sessionId", r.SessionID) }

func (r *UpdateSessionResponse) namedSession() string { return r.SessionID }

// SessionListItem is a session as lists show it.
type SessionListItem struct {
	// SessionID is the id for every method that takes a session.
	SessionID string `json:"sessionId"`
	// Label is the display name. It may be empty.
	Label string `json:"label"`
	// Status is free text. [StatusActive] and its like are those that have been seen.
	Status string `json:"status"`
	// Mode says where the session runs.
	Mode SessionMode `json:"mode"`
	// Visibility says who may see it.
	Visibility SessionVisibility `json:"visibility"`

	// Owner and Origin are nil if the Hub does not send them. Origin says which kind of program created the
	// session.
	Owner  *SessionOwner  `json:"owner,omitzero"`
	Origin *SessionOrigin `json:"origin,omitzero"`

	// Repo is the main repository, Repos has all of them.
	Repo  *SessionRepositoryRef  `json:"repo,omitzero"`
	Repos []SessionRepositoryRef `json:"repos,omitzero"`
	// Workspace is nil if the session was not started from one.
	Workspace *SessionWorkspace `json:"workspace,omitzero"`

	// SessionKind is a category of the Hub's own. ParentSessionID is set if the session was derived from
	// another one, CoordinationJobID if it works for an orchestration job.
	SessionKind       string `json:"sessionKind,omitzero"`
	ParentSessionID   string `json:"parentSessionId,omitzero"`
	CoordinationJobID string `json:"coordinationJobId,omitzero"`

	// WorkflowMode says how the session works on its task. LoopStatus and LoopIteration are the state of a
	// loop, and are empty in any other mode.
	WorkflowMode  WorkflowMode `json:"workflowMode"`
	LoopStatus    LoopStatus   `json:"loopStatus,omitzero"`
	LoopIteration int          `json:"loopIteration,omitzero"`

	// LastActivityAt is the time of the last activity. GetSession may leave it out.
	CreatedAt      time.Time `json:"createdAt,omitzero"`
	LastActivityAt time.Time `json:"lastActivityAt,omitzero"`

	// Counts: the tasks so far, the sub-agents, the observers, and all participants. GetSession may leave
	// them out.
	TaskCount        int `json:"taskCount"`
	SubAgentCount    int `json:"subAgentCount"`
	ObserverCount    int `json:"observerCount"`
	ParticipantCount int `json:"participantCount"`

	// Tags are what the session can be filtered by, Skills what is attached to it.
	Tags   []string   `json:"tags"`
	Skills []SkillRef `json:"skills"`
	// EnabledAgents may take part in the session.
	EnabledAgents []string `json:"enabledAgents,omitzero"`
	// Builder is the state of an agent-builder session; nil for other sessions.
	Builder *AgentBuilderSessionState `json:"builder,omitzero"`
	// DefaultAgent is the agent that prompts go to. It is empty if there is none.
	DefaultAgent string `json:"defaultAgent,omitzero"`
	// Bucket is the group that the Hub sorts the session into.
	Bucket SessionBucket `json:"bucket"`

	// What can be done now: RuntimeAvailable says that the runtime can be reached, ControlAvailable that
	// the session takes commands, ManageAvailable that it can be managed, WakeAvailable that
	// [Client.ResumeSession] can wake it.
	RuntimeAvailable bool `json:"runtimeAvailable"`
	ControlAvailable bool `json:"controlAvailable"`
	ManageAvailable  bool `json:"manageAvailable,omitzero"`
	WakeAvailable    bool `json:"wakeAvailable"`
	// HistoryOnly says that the session is over and can only be replayed.
	HistoryOnly bool `json:"historyOnly"`
	// LiveExpected says that the Hub expects a live connection.
	LiveExpected bool `json:"liveExpected"`

	// Extra holds the members this package has no field for.
	Extra map[string]json.RawMessage `json:",embed"`
}

// SessionOwner is the user a session belongs to.
type SessionOwner struct {
	// Name is for people, and may be empty.
	UserID string `json:"userId"`
	Name   string `json:"name,omitzero"`
}

// SessionWorkspace is the workspace a session was started from.
type SessionWorkspace struct {
	// ID is what [Client.GetWorkspace] takes, Name is for people, Scope says who owns the workspace.
	ID    string         `json:"id"`
	Name  string         `json:"name"`
	Scope WorkspaceScope `json:"scope"`
}

// SessionOrigin says which kind of program created a session. In JSON it is an object or just its type, and
// therefore it has JSON methods on every version of Go.
type SessionOrigin struct {
	// Type is "web", "desktop", "tui", "sdk" or another.
	Type string
	// Extra holds the other members of the object.
	Extra map[string]json.RawMessage

	text bool // it came as a plain string
}

// sessionOriginObject is the object form of a SessionOrigin.
type sessionOriginObject struct {
	Type  string                     `json:"type"`
	Extra map[string]json.RawMessage `json:",embed"`
}

// MarshalJSON writes the form that was read. An origin that was not read is written as an object.
func (o SessionOrigin) MarshalJSON() ([]byte, error) {
	if o.text && len(o.Extra) == 0 {
		return jsonv2.Marshal(o.Type, wire.Accepted)
	}
	return jsonv2.Marshal(&sessionOriginObject{o.Type, o.Extra}, wire.Accepted, jsonv2.Deterministic(true))
}

// UnmarshalJSON reads a string or an object.
func (o *SessionOrigin) UnmarshalJSON(data []byte) error {
	switch jsontext.Value(data).Kind() {
	case jsontext.KindString:
		*o = SessionOrigin{text: true}
		return jsonv2.Unmarshal(data, &o.Type, wire.Accepted)
	case jsontext.KindBeginObject:
		var object sessionOriginObject
		err := wire.Unmarshal(data, &object)
		*o = SessionOrigin{Type: object.Type, Extra: object.Extra}
		return err
	case jsontext.KindNull:
		*o = SessionOrigin{}
		return nil
	}
	return errors.New("coder: the origin of a session must be a text or an object")
}

// Session is a session with all that the Hub says about it. What only some Hubs send stays in Extra, and
// methods such as [Session.Usage] decode it on demand.
type Session struct {
	SessionListItem
	// Task is the first prompt.
	Task string `json:"task,omitzero"`
	// Env is the environment of the runtime, fixed when the session was created.
	Env map[string]string `json:"env,omitzero"`
	// Metadata is what the session was created with. Whole numbers that a float64 cannot hold are json.Number.
	Metadata map[string]any `json:"metadata,omitzero"`
	// UpdatedAt is the time of the last change to the session's record.
	UpdatedAt time.Time `json:"updatedAt,omitzero"`
}

func (s *Session) problem() error { return missingText("sessionId", s.SessionID) }

func (s *Session) namedSession() string { return s.SessionID }

// ListSessionsParams selects sessions. The zero value of a member means that it is not sent.
type ListSessionsParams struct {
	// Search looks through title, task and metadata.
	Search string
	// IncludeArchived lists archived sessions too.
	IncludeArchived bool
	// Limit is the size of the page, Offset the number of sessions before it.
	Limit  int
	Offset int
}

// ListConnectableSessionsParams selects sessions that can be connected to.
type ListConnectableSessionsParams struct {
	// Search looks through title, task and metadata.
	Search string
	// Limit is the largest number of sessions to return; 0 means all.
	Limit int
	// Offset is the number of connectable sessions to skip.
	Offset int
}

// SessionListResponse is a page of sessions.
type SessionListResponse struct {
	// Sessions may come in any order.
	Sessions []SessionListItem `json:"sessions"`
	// SandboxSessions are sandboxes that the Hub lists beside the sessions.
	SandboxSessions []SandboxSessionListItem `json:"sandboxSessions,omitzero"`
	// Total is the number of sessions on all pages, as the Hub counts them. It may count more than the
	// pages hold.
	Total int `json:"total"`
	// Limit and Offset are set by [Client.ListConnectableSessions] only: the Hub does not repeat them.
	Limit  int `json:"limit,omitzero"`
	Offset int `json:"offset,omitzero"`
}

// SandboxSessionListItem is a sandbox in a list of sessions.
type SandboxSessionListItem struct {
	// SessionID names the session that runs in the sandbox SandboxID.
	SessionID string `json:"sessionId"`
	SandboxID string `json:"sandboxId"`
	// Status is free text.
	Status string `json:"status"`
	// Task is the first prompt of the session, Metadata what it was created with. Whole numbers that a float64
	// cannot hold are json.Number.
	Task     string         `json:"task,omitzero"`
	Metadata map[string]any `json:"metadata,omitzero"`
	// WSConnected says that the sandbox is connected to the Hub.
	WSConnected bool `json:"wsConnected"`
}

// sessionPage is a list of sessions as it is on the wire.
type sessionPage struct {
	Sessions struct {
		WebSocket []SessionListItem `json:"websocket"`
		Sandbox   sandboxSessions   `json:"sandbox"`
	} `json:"sessions"`
	Total int `json:"total"`
}

// sandboxSessions are the sandboxes of a list. The original takes anything for an element: what is no object is
// passed over.
type sandboxSessions []SandboxSessionListItem

func (s *sandboxSessions) UnmarshalJSON(data []byte) error {
	var elements []json.RawMessage
	err := wire.Unmarshal(data, &elements)
	for _, raw := range elements {
		var item SandboxSessionListItem
		if raw[0] == '{' && wire.Unmarshal(raw, &item) == nil {
			*s = append(*s, item)
		}
	}
	return err
}

func (p *sessionPage) problem() error {
	return missingIn("sessions.websocket", p.Sessions.WebSocket, "sessionId",
		func(s *SessionListItem) string { return s.SessionID })
}

func (*sessionPage) listsLargeStructs() {}

// GetSession returns a session. An unknown id is an error that matches [ErrSessionNotFound].
//
// GET /hub/session/{sessionId}
func (c *Client) GetSession(ctx context.Context, sessionID string) (*Session, error) {
	return call[Session](ctx, c, get("GetSession", "/hub/session/{sessionID}", sessionID))
}

// UpdateSession changes the label, default agent, visibility, tags, skills or agents of a session.
//
// PATCH /hub/session/{sessionId}
func (c *Client) UpdateSession(ctx context.Context, sessionID string, body UpdateSessionRequest) (*UpdateSessionResponse, error) {
	return call[UpdateSessionResponse](ctx, c, patch("UpdateSession", "/hub/session/{sessionID}", &body, sessionID))
}

// ListSessions returns one page of sessions. Nil params list what the Hub lists by default.
//
// GET /hub/sessions
func (c *Client) ListSessions(ctx context.Context, params *ListSessionsParams) (*SessionListResponse, error) {
	var p ListSessionsParams
	if params != nil {
		p = *params
	}
	return c.listSessions(ctx, "ListSessions", p)
}

func (c *Client) listSessions(ctx context.Context, op string, p ListSessionsParams) (*SessionListResponse, error) {
	var q route.Query
	q.String("search", p.Search).Bool("includeArchived", p.IncludeArchived).Int("limit", p.Limit).Int("offset", p.Offset)
	page, err := call[sessionPage](ctx, c, get(op, "/hub/sessions").with(&q))
	if err != nil {
		return nil, err
	}
	return &SessionListResponse{
		Sessions:        page.Sessions.WebSocket,
		SandboxSessions: page.Sessions.Sandbox,
		Total:           page.Total,
	}, nil
}

// ListConnectableSessions returns the sessions that a controller can connect to, now or after waking them:
// sandbox sessions that run or are paused, neither archived nor over. It makes one request without a limit,
// filters the sessions, and then applies Limit and Offset. Total is the number of sessions after filtering.
//
// GET /hub/sessions
func (c *Client) ListConnectableSessions(ctx context.Context, params *ListConnectableSessionsParams) (*SessionListResponse, error) {
	const op = "ListConnectableSessions"
	var p ListConnectableSessionsParams
	if params != nil {
		p = *params
	}
	if err := checkPage(op, p.Limit, p.Offset); err != nil {
		return nil, err
	}
	list, err := c.listSessions(ctx, op, ListSessionsParams{Search: p.Search, IncludeArchived: true})
	if err != nil {
		return nil, err
	}
	kept := make([]SessionListItem, 0, len(list.Sessions))
	for _, s := range list.Sessions {
		if s.connectable() {
			kept = append(kept, s)
		}
	}
	out := &SessionListResponse{Total: len(kept), Limit: p.Limit, Offset: p.Offset}
	kept = kept[min(p.Offset, len(kept)):]
	if p.Limit > 0 {
		kept = kept[:min(p.Limit, len(kept))]
	}
	out.Sessions = kept
	return out, nil
}

// checkPage refuses a page that is cut out here, not by the Hub.
func checkPage(op string, limit, offset int) error {
	switch {
	case limit < 0:
		return invalid(op, "limit", "must not be negative")
	case offset < 0:
		return invalid(op, "offset", "must not be negative")
	}
	return nil
}

func (s *SessionListItem) connectable() bool {
	if s.Mode != SessionModeSandbox || s.HistoryOnly || s.Status == StatusArchived {
		return false
	}
	return s.Bucket == BucketRunning || s.Bucket == BucketPaused && (s.RuntimeAvailable || s.WakeAvailable)
}

// DeleteSession deletes a session for good. If the response to an attempt was lost and the next attempt finds
// no such session, the call succeeds.
//
// DELETE /hub/session/{sessionId}
func (c *Client) DeleteSession(ctx context.Context, sessionID string) error {
	return c.done(ctx, del("DeleteSession", "/hub/session/{sessionID}", sessionID))
}

// pageSize is the Limit of an iterator's requests unless its params have one.
const pageSize = 100

// AllSessions returns all sessions from params.Offset on, page by page. Limit is the size of a
// page, not a maximum; 0 means 100. Nil params list what the Hub lists by default. Leaving the
// loop ends the requests; ranging again starts over.
//
// No session comes twice, and none that exists all the time is left out, if the list keeps its order, its
// total is true, and sessions are only created, or only removed, in the meantime. More cannot be promised: if
// the order changes, if the Hub does not report the true total, or if sessions are created and removed
// between the same two pages, one may be left out. After a removal, some sessions that Offset skipped may
// appear. The loop ends even if the Hub ignores limit or offset; it has then yielded what the Hub gave.
//
// An error is the last thing that it yields. The errors are those of [Client.ListSessions]. A negative Limit
// or Offset is a [*ValidationError].
//
// GET /hub/sessions
func (c *Client) AllSessions(ctx context.Context, params *ListSessionsParams) iter.Seq2[SessionListItem, error] {
	var p ListSessionsParams
	if params != nil {
		p = *params
	}
	return c.allSessions(ctx, "AllSessions", p)
}

func (c *Client) allSessions(ctx context.Context, op string, p ListSessionsParams) iter.Seq2[SessionListItem, error] {
	p.Limit = cmp.Or(p.Limit, pageSize)
	id := func(s *SessionListItem) string { return s.SessionID }
	return paging.ByOffset(p.Offset, id, func(offset int) ([]SessionListItem, int, error) {
		page := p
		page.Offset = offset
		list, err := c.listSessions(ctx, op, page)
		if err != nil {
			return nil, 0, err
		}
		return list.Sessions, list.Total, nil
	})
}

// AllConnectableSessions returns all sessions that a controller can connect to, by the same criteria as
// [Client.ListConnectableSessions]. ListConnectableSessions makes one request and sees only what the Hub puts
// on one page; AllConnectableSessions reads every page. Limit is the size of a page of the Hub's list, before
// sessions are filtered out; 0 means 100. Offset is the number of connectable sessions to skip.
//
// Its guarantees and errors are those of [Client.AllSessions].
//
// GET /hub/sessions
func (c *Client) AllConnectableSessions(ctx context.Context, params *ListConnectableSessionsParams) iter.Seq2[SessionListItem, error] {
	const op = "AllConnectableSessions"
	var p ListConnectableSessionsParams
	if params != nil {
		p = *params
	}
	all := c.allSessions(ctx, op, ListSessionsParams{Search: p.Search, IncludeArchived: true, Limit: p.Limit})
	return func(yield func(SessionListItem, error) bool) {
		if err := checkPage(op, p.Limit, p.Offset); err != nil {
			yield(SessionListItem{}, err)
			return
		}
		pass := p.Offset
		for s, err := range all {
			switch {
			case err == nil && !s.connectable():
			case err == nil && pass > 0:
				pass--
			case !yield(s, err):
				return
			}
		}
	}
}
