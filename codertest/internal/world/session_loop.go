package world

import (
	"cmp"
	"slices"
	"time"
)

// defaultIterations is how many iterations a loop without a maximum has.
const defaultIterations = 3

// Loop is the state of a loop, as a test sets it. A MaxIterations of 0 is no
// maximum.
type Loop struct {
	Status                    string
	Iteration, MaxIterations  int
	Goal, Summary, NextAction string
}

// loopState is the state of a loop as it is answered.
type loopState struct {
	Status           string `json:"status"`
	Iteration        int    `json:"iteration"`
	MaxIterations    *int   `json:"maxIterations,omitzero"`
	Goal             string `json:"goal,omitzero"`
	Summary          string `json:"summary,omitzero"`
	NextAction       string `json:"nextAction,omitzero"`
	LoopID           string `json:"loopId"`
	StartedAt        int64  `json:"startedAt"`
	UpdatedAt        int64  `json:"updatedAt"`
	CompletedAt      int64  `json:"completedAt,omitzero"`
	LastCheckpointAt int64  `json:"lastCheckpointAt,omitzero"`
	AutoContinue     *bool  `json:"autoContinue,omitzero"`
	AllowDetached    *bool  `json:"allowDetached,omitzero"`

	held   bool   // set by a test: it does not move on by itself any more
	asleep string // the status before the session paused
}

type loopStateResponse struct {
	SessionID    string     `json:"sessionId"`
	WorkflowMode string     `json:"workflowMode"`
	Loop         *loopState `json:"loop"`
}

func newLoop(sessionID string, config loopConfig, now time.Time) *loopState {
	return &loopState{
		Status:        "starting",
		MaxIterations: config.MaxIterations,
		Goal:          config.Goal,
		LoopID:        "loop_" + sessionID,
		StartedAt:     now.UnixMilli(),
		UpdatedAt:     now.UnixMilli(),
		AutoContinue:  config.AutoContinue,
		AllowDetached: config.AllowDetached,
	}
}

// loop answers with the loop as it is, and then moves it on.
func (all *sessions) loop(c *Call) (any, error) {
	s, err := all.find(c.ID)
	if err != nil {
		return nil, err
	}
	answer := loopStateResponse{SessionID: s.id, WorkflowMode: s.workflowMode}
	if s.loop != nil {
		answer.Loop = new(*s.loop)
		s.advanceLoop(time.Now())
	}
	return answer, nil
}

// advanceLoop goes from starting to running, through the iterations, and to
// completed.
func (s *Session) advanceLoop(now time.Time) {
	last := defaultIterations
	if s.loop.MaxIterations != nil {
		last = *s.loop.MaxIterations
	}
	switch {
	case s.loop.held:
	case s.loop.Status == "starting":
		s.loop.Iteration = 1
		s.loopBecomes("running", "loop_started", now)
	case s.loop.Status == "running" && s.loop.Iteration < last:
		s.loop.Iteration++
		s.loop.LastCheckpointAt = now.UnixMilli()
		s.loopBecomes("running", "loop_state_updated", now)
	case s.loop.Status == "running":
		s.loop.CompletedAt = now.UnixMilli()
		s.loopBecomes("completed", "loop_completed", now)
	}
}

func (s *Session) pauseLoop(now time.Time) {
	if s.loop == nil || !slices.Contains([]string{"starting", "running"}, s.loop.Status) {
		return
	}
	s.loop.asleep = s.loop.Status
	s.loopBecomes("paused", "loop_paused", now)
}

func (s *Session) resumeLoop(now time.Time) {
	if s.loop == nil || s.loop.asleep == "" || s.loop.Status != "paused" {
		return
	}
	s.loopBecomes(s.loop.asleep, "loop_resumed", now)
	s.loop.asleep = ""
}

func (s *Session) cancelLoop(now time.Time) {
	if s.loop == nil || slices.Contains([]string{"completed", "cancelled", "failed"}, s.loop.Status) {
		return
	}
	s.loop.CompletedAt = now.UnixMilli()
	s.loopBecomes("cancelled", "loop_cancelled", now)
}

func (s *Session) loopBecomes(status, event string, now time.Time) {
	s.loop.Status = status
	s.loop.UpdatedAt = now.UnixMilli()
	s.record(Event{
		Event:   event,
		Payload: map[string]any{"status": status, "iteration": s.loop.Iteration},
	}, now)
}

// loopEvents are the events that tell of a status. All others are told by
// loop_state_updated.
var loopEvents = map[string]string{
	"paused":    "loop_paused",
	"blocked":   "loop_blocked",
	"completed": "loop_completed",
	"cancelled": "loop_cancelled",
}

// SetLoop sets the state of the loop, which from then on changes only by SetLoop
// or when the session ends. A session in standard mode becomes a loop session.
func (s *Session) SetLoop(to Loop) {
	s.change(func(now time.Time) {
		s.putLoop(to, now)
		s.loopBecomes(to.Status, cmp.Or(loopEvents[to.Status], "loop_state_updated"), now)
	})
}

// putLoop sets the state of the loop and tells nobody.
func (s *Session) putLoop(to Loop, now time.Time) {
	if s.loop == nil {
		s.workflowMode = "loop"
		s.loop = newLoop(s.id, loopConfig{}, now)
	}
	s.loop.held = true
	s.loop.asleep = ""
	s.loop.Iteration = to.Iteration
	s.loop.MaxIterations = nil
	if to.MaxIterations != 0 {
		s.loop.MaxIterations = new(to.MaxIterations)
	}
	s.loop.Goal, s.loop.Summary, s.loop.NextAction = to.Goal, to.Summary, to.NextAction
	s.loop.CompletedAt = 0
	if to.Status == "completed" || to.Status == "cancelled" {
		s.loop.CompletedAt = now.UnixMilli()
	}
	s.loop.Status = to.Status
	s.loop.UpdatedAt = now.UnixMilli()
}
