package codertest

import (
	"cmp"
	"time"

	"github.com/agentuity/coder-go/codertest/internal/outbox"
)

// The statuses a session goes through.
const (
	statusCreating     = "creating"
	statusProvisioning = "provisioning"
	statusActive       = "active"
	statusPaused       = "paused"
	statusResuming     = "resuming"
	statusArchived     = "archived"
	statusShutdown     = "shutdown"
)

// stateRow is what follows from a status.
type stateRow struct {
	bucket      string
	runtime     bool
	control     bool
	manage      bool
	wake        bool
	historyOnly bool
	live        bool
}

var stateTable = map[string]stateRow{
	statusCreating:     {bucket: "provisioning", manage: true, live: true},
	statusProvisioning: {bucket: "provisioning", manage: true, live: true},
	statusActive:       {bucket: "running", runtime: true, control: true, manage: true, live: true},
	statusPaused:       {bucket: "paused", manage: true, wake: true},
	statusResuming:     {bucket: "paused", manage: true, wake: true, live: true},
	statusArchived:     {bucket: "history", historyOnly: true},
	statusShutdown:     {bucket: "history", historyOnly: true},
}

// lost is the row of every other status, such as error or failed: the runtime
// is gone for good, but nobody has closed the session.
var lost = stateRow{bucket: "history", manage: true}

func (s *session) row() stateRow {
	row, known := stateTable[s.status]
	if !known {
		return lost
	}
	if s.mode == "tui" {
		row.control = false
	}
	return row
}

// nextStatus is where a session goes by itself after it has been looked at.
var nextStatus = map[string]string{
	statusCreating:     statusProvisioning,
	statusProvisioning: statusActive,
	statusResuming:     statusActive,
}

func (s *session) advance(now time.Time) {
	if next, ok := nextStatus[s.status]; ok {
		s.become(next, now)
	}
}

// become moves the session to a status, with everything that comes along.
func (s *session) become(status string, now time.Time) {
	if status == s.status {
		return
	}
	before := s.row()
	s.status = status
	s.updatedAt = now
	after := s.row()
	switch {
	case after.historyOnly:
		s.end(before.runtime, now)
	case after.runtime && !before.runtime:
		s.startRuntime(now)
	case before.runtime && !after.runtime:
		s.stopRuntime(now)
	}
}

func (s *session) startRuntime(now time.Time) {
	if s.lead == nil {
		s.standIn(now)
	}
	s.record(Event{Event: "agent_start", Agent: s.leadAgent()}, now)
	s.resumeLoop(now)
}

// standIn is a lead without a connection: the Hub's own agent.
func (s *session) standIn(now time.Time) {
	s.join(Participant{Role: "lead", Transport: "ws", AgentRole: s.leadAgent()}, now)
}

// stopRuntime leaves observers where they are: they may watch a session sleep.
// So may controllers that are really there, and wake it.
func (s *session) stopRuntime(now time.Time) {
	s.agent.abort(s, now)
	s.pauseLoop(now)
	s.record(Event{Event: "agent_end", Agent: s.leadAgent()}, now)
	if s.lead != nil {
		s.lead.out.End(outbox.Ending{Code: closeUnavailable, Reason: "Session " + s.status})
		s.lead = nil
	}
	s.leaveAll(func(p participant) bool {
		live := s.liveAs(p.ID)
		return p.Role != "observer" && (live == nil || !live.follows)
	}, now)
}

func (s *session) end(ran bool, now time.Time) {
	s.agent.abort(s, now)
	s.cancelLoop(now)
	if ran {
		s.record(Event{Event: "agent_end", Agent: s.leadAgent()}, now)
	}
	s.shutDown(s.status, now)
}

// shutDown tells of the end and parts with everybody: session_shutdown is the
// last that those who follow the session see of it.
func (s *session) shutDown(reason string, now time.Time) {
	s.agent.abort(s, now)
	s.lead = nil
	s.record(Event{Event: "session_shutdown", Payload: map[string]any{"reason": reason}}, now)
	s.hangUp(outbox.Ending{Code: closeSessionNotFound, Reason: "Session " + reason})
	s.leaveAll(func(participant) bool { return true }, now)
}

func (s *session) leadAgent() string { return cmp.Or(s.defaultAgent, "lead") }

// archiveSession archives from any state; an archived session stays as it is.
func (h *Hub) archiveSession(c *call) (any, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s, err := h.find(c.id)
	if err != nil {
		return nil, err
	}
	s.become(statusArchived, time.Now())
	return sessionStatus{SessionID: s.id, Status: s.status}, nil
}

type resumeResponse struct {
	SessionID string `json:"sessionId"`
	Status    string `json:"status"`
	Resumed   bool   `json:"resumed"`
}

// resumeSession begins to wake a paused session. A session that is awake, or
// about to be, is left alone.
func (h *Hub) resumeSession(c *call) (any, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s, err := h.find(c.id)
	if err != nil {
		return nil, err
	}
	switch s.status {
	case statusActive, statusResuming:
	case statusPaused:
		s.become(statusResuming, time.Now())
	case statusArchived:
		return nil, sessionArchived("Session is archived")
	case statusShutdown:
		return nil, sessionArchived("Session is shut down")
	case statusCreating, statusProvisioning:
		return nil, sessionConflict("Session is being provisioned")
	default:
		return nil, sessionConflict("Session cannot be resumed from status " + s.status)
	}
	return resumeResponse{SessionID: s.id, Status: s.status, Resumed: true}, nil
}
