package world

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// labelLength is how many characters of the task a label has that nobody gave.
const labelLength = 30

type createSessionRequest struct {
	Task          string                    `json:"task"`
	Label         string                    `json:"label"`
	Agent         string                    `json:"agent"`
	DefaultAgent  string                    `json:"defaultAgent"`
	Visibility    string                    `json:"visibility"`
	WorkflowMode  string                    `json:"workflowMode"`
	Loop          loopConfig                `json:"loop"`
	Tags          []string                  `json:"tags"`
	EnabledAgents []string                  `json:"enabledAgents"`
	SavedSkillIDs []string                  `json:"savedSkillIds"`
	BucketIDs     []string                  `json:"skillBucketIds"`
	Skills        []skillRef                `json:"skills"`
	WorkspaceID   string                    `json:"workspaceId"`
	Repo          repository                `json:"repo"`
	Repos         []repository              `json:"repos"`
	Env           map[string]string         `json:"env"`
	Metadata      map[string]jsontext.Value `json:"metadata"`
	Command       *commandRequest           `json:"command"`
	Files         []fileRequest             `json:"files"`
}

// commandRequest and fileRequest are checked and have no effect: the Hub runs
// nothing.
type commandRequest struct {
	Exec  []string      `json:"exec"`
	Files []fileRequest `json:"files"`
	Mode  string        `json:"mode"`
}

type fileRequest struct {
	Path    string `json:"path"`
	Content []byte `json:"content"`
}

type loopConfig struct {
	Goal          string `json:"goal"`
	MaxIterations *int   `json:"maxIterations"`
	AutoContinue  *bool  `json:"autoContinue"`
	AllowDetached *bool  `json:"allowDetached"`
}

type createSessionResponse struct {
	SessionID  string  `json:"sessionId"`
	SandboxID  *string `json:"sandboxId"` // null until there is a sandbox
	Status     string  `json:"status"`
	Mode       string  `json:"mode"`
	Visibility string  `json:"visibility"`
}

func checkVisibility(visibility string) error {
	return oneOf("visibility", visibility, "private", "organization", "collaborate")
}

func (r *createSessionRequest) check() error {
	if strings.TrimSpace(r.Task) == "" {
		return invalid("task must be a non-empty string")
	}
	if err := checkVisibility(r.Visibility); err != nil {
		return err
	}
	if err := oneOf("workflowMode", r.WorkflowMode, "standard", "loop"); err != nil {
		return err
	}
	if r.Loop.MaxIterations != nil && *r.Loop.MaxIterations < 1 {
		return invalid("loop.maxIterations must be 1 or more")
	}
	if err := checkSkillRefs(r.Skills); err != nil {
		return err
	}
	if r.Command == nil {
		return nil
	}
	if r.Command.Exec == nil {
		return invalid("command.exec is required")
	}
	return oneOf("command.mode", r.Command.Mode, "oneshot", "interactive")
}

func (all *sessions) create(c *Call) (any, error) {
	var req createSessionRequest
	if err := decode(c.Body, &req); err != nil {
		return nil, err
	}
	if err := req.check(); err != nil {
		return nil, err
	}
	s := &Session{
		label:         req.Label,
		task:          req.Task,
		kind:          "interactive",
		visibility:    req.Visibility,
		workflowMode:  req.WorkflowMode,
		defaultAgent:  req.DefaultAgent,
		tags:          req.Tags,
		enabledAgents: req.EnabledAgents,
		skills:        req.Skills,
		repo:          req.Repo,
		repos:         req.Repos,
		env:           req.Env,
		metadata:      req.Metadata,
	}
	if s.defaultAgent == "" {
		s.defaultAgent = req.Agent
	}
	if err := all.attach(s, &req); err != nil {
		return nil, err
	}
	return all.begin(s, req.Loop)
}

// attach gives the session the workspace and the skills that the request names.
func (all *sessions) attach(s *Session, req *createSessionRequest) (err error) {
	skillIDs, bucketIDs := req.SavedSkillIDs, req.BucketIDs
	if req.WorkspaceID != "" {
		w, err := all.world.workspaces.find(req.WorkspaceID)
		if err != nil {
			return err
		}
		w.furnish(s)
		skillIDs = slices.Concat(skillIDs, w.SavedSkillIDs)
		bucketIDs = slices.Concat(bucketIDs, w.SkillBucketIDs)
	}
	s.skills, err = all.world.skills.refs(s.skills, skillIDs, bucketIDs)
	return err
}

// OnSession makes created be called for each session that a client creates, before
// the client hears of it. It is called without the lock. Nil takes it back.
func (w *World) OnSession(created func(*Session)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.onSession = created
}

// begin starts a new session with its task and a first event.
func (all *sessions) begin(s *Session, loop loopConfig) (createSessionResponse, error) {
	now := time.Now()
	all.enroll(s, loop, now)
	if s.task != "" {
		s.addEntry(Entry{Type: "user_prompt", Content: s.task}, now)
	}
	s.record(Event{Event: "session_start", Payload: map[string]any{"origin": "sdk"}}, now)
	if created := all.world.onSession; created != nil {
		all.world.unlocked(func() { created(s) })
	}
	if all.world.restart.down {
		return createSessionResponse{}, ErrDown
	}
	return createSessionResponse{SessionID: s.id, Status: s.status, Mode: s.mode, Visibility: s.visibility}, nil
}

// enroll gives a new session its defaults and an id.
func (all *sessions) enroll(s *Session, loop loopConfig, now time.Time) {
	s.world = all.world
	s.agent.session = s
	s.agent.failures = slices.Clone(all.world.config.AgentErrors)
	s.mode = cmp.Or(s.mode, "sandbox")
	s.status = statusCreating
	s.owner = cmp.Or(s.owner, owner)
	s.visibility = cmp.Or(s.visibility, "private")
	s.workflowMode = cmp.Or(s.workflowMode, "standard")
	s.label = cmp.Or(s.label, shorten(s.task))
	s.createdAt, s.updatedAt, s.activeAt = now, now, now
	all.add(func(id string) *Session {
		s.id = id
		return s
	})
	if s.workflowMode == "loop" {
		s.loop = newLoop(s.id, loop, now)
	}
}

func shorten(task string) string {
	runes := []rune(task)
	return string(runes[:min(labelLength, len(runes))])
}
