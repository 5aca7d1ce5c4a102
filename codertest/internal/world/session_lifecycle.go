package world

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

// stateRow is what a status says about a session.
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
// is gone for good, and the session has not been closed.
var lost = stateRow{bucket: "history", manage: true}

func (s *Session) row() stateRow {
	row, known := stateTable[s.status]
	if !known {
		return lost
	}
	if s.mode == "tui" {
		row.control = false
	}
	return row
}

// nextStatus is what a session becomes after a client has looked at it.
var nextStatus = map[string]string{
	statusCreating:     statusProvisioning,
	statusProvisioning: statusActive,
	statusResuming:     statusActive,
}

func (s *Session) advance(now time.Time) {
	if next, ok := nextStatus[s.status]; ok {
		s.become(next, now)
	}
}

// SetStatus moves the session to a status, whatever status it has.
func (s *Session) SetStatus(status string) {
	s.change(func(now time.Time) { s.become(status, now) })
}

// become moves the session to a status, with all that follows from it.
func (s *Session) become(status string, now time.Time) {
	if status == s.status {
		return
	}
	before := s.row()
	s.status = status
	s.updatedAt = now
	after := s.row()
	switch {
	case after.historyOnly:
		s.end(now)
	case after.runtime && !before.runtime:
		s.startRuntime(now)
	case before.runtime && !after.runtime:
		s.stopRuntime(now)
	}
}

func (s *Session) startRuntime(now time.Time) {
	s.resumeLoop(now)
	if s.lead == nil {
		s.leadItself(now)
	}
}

// leadItself makes the Hub's own agent the lead, a participant without a
// connection, which begins with the session's task.
func (s *Session) leadItself(now time.Time) {
	if s.world.config.NoAgent {
		return
	}
	s.report.newLead()
	if s.world.restart.down {
		s.agent.away = true // until the Hub is back
	} else {
		s.joinAsAgent(now)
	}
	s.agent.runTask(now)
}

func (s *Session) joinAsAgent(now time.Time) {
	s.join(Participant{Role: "lead", Transport: "ws", AgentRole: s.agentName()}, now)
}

// led reports whether somebody obeys commands: a program, or the Hub's own agent.
func (s *Session) led() bool {
	return s.lead != nil || s.mode != "tui" && !s.world.config.NoAgent && !s.agent.away
}

// stopRuntime disconnects the lead and sub-agents. Observers stay, and
// controllers that have a connection, since they may wake the session.
func (s *Session) stopRuntime(now time.Time) {
	s.agent.quit(now)
	s.pauseLoop(now)
	if s.lead != nil {
		s.lead.Out.End(outbox.Ending{Code: closeUnavailable, Reason: "Session " + s.status})
		s.lead = nil
	}
	s.leaveAll(func(p participant) bool {
		live := s.liveAs(p.ID)
		return p.Role != "observer" && (live == nil || !live.follows)
	}, now)
}

func (s *Session) end(now time.Time) {
	s.agent.quit(now)
	s.cancelLoop(now)
	s.shutDown(s.status, now)
}

// shutDown ends all connections. The event session_shutdown is the last they are
// sent.
func (s *Session) shutDown(reason string, now time.Time) {
	s.agent.quit(now)
	s.lead = nil
	s.record(Event{Event: "session_shutdown", Payload: map[string]any{"reason": reason}}, now)
	s.hangUp(outbox.Ending{Code: closeSessionNotFound, Reason: "Session " + reason})
	s.leaveAll(func(participant) bool { return true }, now)
}

// agentName is the name of the agent that leads the session.
func (s *Session) agentName() string { return cmp.Or(s.defaultAgent, "lead") }

// archive archives a session whatever its status is.
func (all *sessions) archive(c *Call) (any, error) {
	s, err := all.find(c.ID)
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

// resume begins to wake a paused session. One that is awake, or will be soon,
// stays as it is.
func (all *sessions) resume(c *Call) (any, error) {
	s, err := all.find(c.ID)
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
