package world

import (
	"maps"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// sessions are the sessions that have not been deleted.
type sessions struct {
	collection[*Session]
	world *World
}

// Session is what the Hub remembers of one session. After the session has been
// deleted, its methods change nothing that a client could see.
type Session struct {
	world *World

	id            string
	label         string
	task          string
	status        string
	mode          string
	owner         sessionOwner
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
	todos        []sessionTodo
	script       []func()
	members      map[string]jsontext.Value // set by a test, in addition to the Hub's own or in their place

	live         []*Connection
	lead         *Connection       // the one in live that leads the session, or nil
	leadInstance string            // of the program that leads it
	drivers      []string          // instances of such programs so far, the newest last
	frames       []Frame           // what came over its sockets
	files        map[string]string // that a lead has written
	agent        ownAgent
	report       report // of whoever leads
	lastTick     int64
	ingested     time.Time // when the Hub hears of what is reported late, or zero
}

// repository is open: what a client sends comes back.
type repository map[string]jsontext.Value

// Session returns a session that has not been deleted.
func (w *World) Session(id string) (s *Session, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s, ok = w.sessions.byID[id]
	return s, ok
}

// SessionIDs returns the ids of all sessions, oldest first.
func (w *World) SessionIDs() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.sessions.ids)
}

// ID returns the id of the session.
func (s *Session) ID() string { return s.id }

// change calls do with the lock.
func (s *Session) change(do func(now time.Time)) {
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	do(time.Now())
}

// SetMode sets where the session runs: sandbox or tui.
func (s *Session) SetMode(mode string) {
	s.change(func(time.Time) { s.mode = mode })
}

// SetMember adds a member to the session's detail, or replaces one that the Hub
// gives it. A nil value takes that back.
func (s *Session) SetMember(name string, value any) {
	frozen := freeze(value)
	s.change(func(time.Time) {
		s.members = maps.Clone(s.members)
		if s.members == nil {
			s.members = make(map[string]jsontext.Value)
		}
		s.members[name] = frozen
		if value == nil {
			delete(s.members, name)
		}
	})
}

// Script says what happens before each of the next requests for the session's
// detail: the steps are called without the lock, one for each request. Nil does
// nothing. As long as there are steps, the session does not move on by itself.
func (s *Session) Script(steps ...func()) {
	s.change(func(time.Time) { s.script = append(s.script, steps...) })
}

func (all *sessions) find(id string) (*Session, error) {
	if s, ok := all.byID[id]; ok {
		return s, nil
	}
	return nil, sessionNotFound()
}

// get answers with the session as it is, and then moves it on: a client that
// has just created a session sees it creating at first. If there is a script,
// its next step comes before the answer instead.
func (all *sessions) get(c *Call) (any, error) {
	s, err := all.find(c.ID)
	if err != nil {
		return nil, err
	}
	if len(s.script) > 0 {
		step := s.script[0]
		s.script = s.script[1:]
		if step != nil {
			all.world.unlocked(step)
		}
		if s, err = all.find(c.ID); err != nil { // the step may have deleted it
			return nil, err
		}
		return s.detail(), nil
	}
	detail := s.detail()
	s.advance(time.Now())
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

// update ignores members that cannot be changed, such as workflowMode, loop and
// metadata.
func (all *sessions) update(c *Call) (any, error) {
	var req updateSessionRequest
	if err := decode(c.Body, &req); err != nil {
		return nil, err
	}
	if err := checkVisibility(req.Visibility); err != nil {
		return nil, err
	}
	if err := checkSkillRefs(value(req.Skills)); err != nil {
		return nil, err
	}
	s, err := all.find(c.ID)
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

func (s *Session) update(req updateSessionRequest, now time.Time) {
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

type sessionStatus struct {
	SessionID string `json:"sessionId"`
	Status    string `json:"status"`
}

func (all *sessions) delete(c *Call) (any, error) {
	s, err := all.find(c.ID)
	if err != nil {
		return nil, err
	}
	s.shutDown("deleted", time.Now())
	all.remove(c.ID)
	return sessionStatus{SessionID: c.ID, Status: "deleted"}, nil
}
