package codertest

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// session is what the Hub remembers of one session. Slices and maps in it are
// replaced, never changed in place: answers under way may still hold them.
type session struct {
	id            string
	label         string
	task          string
	status        string
	mode          string
	kind          string
	visibility    string
	workflowMode  string
	defaultAgent  string
	parentID      string
	tags          []string
	enabledAgents []string
	skills        []skillRef
	repo          repository
	repos         []repository
	env           map[string]string
	metadata      map[string]jsontext.Value
	workspace     *workspace
	builder       *builderState
	createdAt     time.Time
	updatedAt     time.Time
	activeAt      time.Time

	taskCount    int
	loop         *loopState
	events       []sessionEvent
	entries      []replayEntry
	participants []participant
	live         []*connection
	lead         *connection // in s.live, or nil
	leadInstance string      // of the lead's driver
	drivers      []string    // instances so far, the newest last
	frames       []ClientFrame
	files        map[string]string // of a lead
	agent        agent
	lastTick     int64
	script       []func(*SessionControl)
	members      map[string]jsontext.Value // set by a test, on top of the Hub's own
}

// repository is open: what a client sends comes back.
type repository map[string]jsontext.Value

type skillRef struct {
	SkillID string `json:"skillId"`
	Repo    string `json:"repo"`
	Name    string `json:"name,omitzero"`
	URL     string `json:"url,omitzero"`
	Content string `json:"content,omitzero"`
}

type sessionOwner struct {
	UserID string `json:"userId"`
	Name   string `json:"name,omitzero"`
}

type sessionOrigin struct {
	Type string `json:"type"`
}

// sessionItem is a session as the list shows it.
type sessionItem struct {
	SessionID        string            `json:"sessionId"`
	Label            string            `json:"label"`
	Status           string            `json:"status"`
	Mode             string            `json:"mode"`
	Visibility       string            `json:"visibility"`
	Owner            sessionOwner      `json:"owner"`
	Origin           sessionOrigin     `json:"origin"`
	Repo             repository        `json:"repo,omitzero"`
	Repos            []repository      `json:"repos,omitempty"`
	Workspace        *sessionWorkspace `json:"workspace,omitzero"`
	SessionKind      string            `json:"sessionKind"`
	ParentSessionID  string            `json:"parentSessionId,omitzero"`
	WorkflowMode     string            `json:"workflowMode"`
	LoopStatus       string            `json:"loopStatus,omitzero"`
	LoopIteration    *int              `json:"loopIteration,omitzero"`
	CreatedAt        string            `json:"createdAt"`
	LastActivityAt   string            `json:"lastActivityAt"`
	TaskCount        int               `json:"taskCount"`
	SubAgentCount    int               `json:"subAgentCount"`
	ObserverCount    int               `json:"observerCount"`
	ParticipantCount int               `json:"participantCount"`
	Tags             []string          `json:"tags"`
	Skills           []skillRef        `json:"skills"`
	EnabledAgents    []string          `json:"enabledAgents"`
	Builder          *builderState     `json:"builder,omitzero"`
	DefaultAgent     string            `json:"defaultAgent,omitzero"`
	Bucket           string            `json:"bucket"`
	RuntimeAvailable bool              `json:"runtimeAvailable"`
	ControlAvailable bool              `json:"controlAvailable"`
	ManageAvailable  bool              `json:"manageAvailable"`
	WakeAvailable    bool              `json:"wakeAvailable"`
	HistoryOnly      bool              `json:"historyOnly"`
	LiveExpected     bool              `json:"liveExpected"`
}

// sessionDetail is a session by itself.
type sessionDetail struct {
	sessionItem
	Task      string                    `json:"task,omitzero"`
	Env       map[string]string         `json:"env,omitzero"`
	Metadata  map[string]jsontext.Value `json:"metadata,omitzero"`
	UpdatedAt string                    `json:"updatedAt"`
}

func (s *session) item() sessionItem {
	row := s.row()
	item := sessionItem{
		SessionID:        s.id,
		Label:            s.label,
		Status:           s.status,
		Mode:             s.mode,
		Visibility:       s.visibility,
		Owner:            owner,
		Origin:           sessionOrigin{Type: "sdk"},
		Repo:             s.repo,
		Repos:            s.repos,
		Workspace:        s.workspace.ref(),
		SessionKind:      s.kind,
		ParentSessionID:  s.parentID,
		WorkflowMode:     s.workflowMode,
		CreatedAt:        iso(s.createdAt),
		LastActivityAt:   iso(s.activeAt),
		TaskCount:        s.taskCount,
		SubAgentCount:    s.connected("sub_agent"),
		ObserverCount:    s.connected("observer"),
		ParticipantCount: s.connected(""),
		Tags:             s.tags,
		Skills:           s.skills,
		EnabledAgents:    s.enabledAgents,
		Builder:          s.builder,
		DefaultAgent:     s.defaultAgent,
		Bucket:           row.bucket,
		RuntimeAvailable: row.runtime,
		ControlAvailable: row.control,
		ManageAvailable:  row.manage,
		WakeAvailable:    row.wake,
		HistoryOnly:      row.historyOnly,
		LiveExpected:     row.live,
	}
	if s.loop != nil {
		item.LoopStatus = s.loop.Status
		item.LoopIteration = new(s.loop.Iteration)
	}
	return item
}

func (s *session) detail() any {
	detail := sessionDetail{
		sessionItem: s.item(),
		Task:        s.task,
		Env:         s.env,
		Metadata:    s.metadata,
		UpdatedAt:   iso(s.updatedAt),
	}
	if len(s.members) == 0 {
		return detail
	}
	return override(detail, s.members)
}

// find returns a session that has not been deleted.
func (h *Hub) find(id string) (*session, error) {
	if s, ok := h.sessions.byID[id]; ok {
		return s, nil
	}
	return nil, sessionNotFound()
}

// getSession answers with the session as it is, then lets it take a step: the
// first answer to a client that has just created a session says creating.
func (h *Hub) getSession(c *call) (any, error) {
	step, err := h.nextStep(c.id)
	if err != nil {
		return nil, err
	}
	if step != nil {
		step()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	s, err := h.find(c.id)
	if err != nil {
		return nil, err
	}
	detail := s.detail()
	if step == nil {
		s.advance(time.Now())
	}
	return detail, nil
}

type updateSessionRequest struct {
	Label         *string     `json:"label"`
	Agent         *string     `json:"agent"`
	DefaultAgent  *string     `json:"defaultAgent"`
	Visibility    string      `json:"visibility"`
	Tags          *[]string   `json:"tags"`
	Skills        *[]skillRef `json:"skills"`
	EnabledAgents *[]string   `json:"enabledAgents"`
}

type updateSessionResponse struct {
	SessionID     string                    `json:"sessionId"`
	Label         string                    `json:"label"`
	Visibility    string                    `json:"visibility"`
	Tags          []string                  `json:"tags"`
	Skills        []skillRef                `json:"skills"`
	DefaultAgent  *string                   `json:"defaultAgent"`
	EnabledAgents []string                  `json:"enabledAgents"`
	Metadata      map[string]jsontext.Value `json:"metadata,omitzero"`
}

// updateSession changes what may be changed and leaves the rest of the
// request alone: workflow mode, loop and metadata are fixed at creation.
func (h *Hub) updateSession(c *call) (any, error) {
	var req updateSessionRequest
	if err := decode(c.body, &req); err != nil {
		return nil, err
	}
	if err := checkVisibility(req.Visibility); err != nil {
		return nil, err
	}
	if err := checkSkillRefs(value(req.Skills)); err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	s, err := h.find(c.id)
	if err != nil {
		return nil, err
	}
	s.update(req, time.Now())
	answer := updateSessionResponse{
		SessionID:     s.id,
		Label:         s.label,
		Visibility:    s.visibility,
		Tags:          s.tags,
		Skills:        s.skills,
		EnabledAgents: s.enabledAgents,
		Metadata:      s.metadata,
	}
	if s.defaultAgent != "" {
		answer.DefaultAgent = new(s.defaultAgent)
	}
	return answer, nil
}

func (s *session) update(req updateSessionRequest, now time.Time) {
	renamed := req.Label != nil && *req.Label != s.label
	replace(&s.label, req.Label)
	replace(&s.defaultAgent, req.Agent)
	replace(&s.defaultAgent, req.DefaultAgent)
	replace(&s.tags, req.Tags)
	replace(&s.skills, req.Skills)
	replace(&s.enabledAgents, req.EnabledAgents)
	if req.Visibility != "" {
		s.visibility = req.Visibility
	}
	s.updatedAt = now
	if renamed {
		s.record(Event{Event: "session_label_updated", Payload: map[string]any{"label": s.label}}, now)
	}
}

// replace sets a value if the request has one.
func replace[T any](value, sent *T) {
	if sent != nil {
		*value = *sent
	}
}

type sessionStatus struct {
	SessionID string `json:"sessionId"`
	Status    string `json:"status"`
}

func (h *Hub) deleteSession(c *call) (any, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s, err := h.find(c.id)
	if err != nil {
		return nil, err
	}
	s.shutDown("deleted", time.Now())
	h.sessions.remove(c.id)
	return sessionStatus{SessionID: c.id, Status: "deleted"}, nil
}
