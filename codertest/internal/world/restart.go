package world

import (
	"errors"
	"slices"
	"time"

	"github.com/agentuity/coder-go/codertest/internal/outbox"
)

// ErrDown says that the Hub has gone down. The request has no effect and gets no
// answer.
var ErrDown = errors.New("the Hub is down")

// goodbye is how long a Hub that goes down waits for its live connections to end.
const goodbye = time.Second

// Outage is how the Hub goes down.
type Outage struct {
	// Crash cuts live connections. Else sockets are closed with the code and the
	// reason.
	Crash     bool
	CloseCode int
	Reason    string
	// LoseReports loses what the Hub's own agent reports while it has no connection.
	LoseReports bool
	// AgentDelay is how long after the Hub the agent is back.
	AgentDelay time.Duration
}

// restart is whether the Hub is down, or its own agents have not come back since.
type restart struct {
	down  bool
	loses bool
	delay time.Duration
	timer *time.Timer // until the agents are back
}

// unsent is what the Hub's own agent could not report when it happened.
type unsent struct {
	at     time.Time
	report func(now time.Time)
}

// GoDown ends all live connections and forgets what only a process knows. From
// then on nobody can connect, and requests fail with [ErrDown].
func (w *World) GoDown(o Outage) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	w.idle.news(now)
	w.restart.stop()
	w.restart = restart{down: true, loses: o.LoseReports, delay: o.AgentDelay}
	open := w.dropConnections(o)
	if len(open) > 0 {
		time.AfterFunc(goodbye, func() {
			for _, out := range open {
				out.Cut()
			}
		})
	}
	for s := range w.sessions.oldestFirst() {
		s.forget(now)
	}
}

// dropConnections ends all connections, and returns those that are still to be
// told of it.
func (w *World) dropConnections(o Outage) (open []*outbox.Outbox) {
	for c := range w.connections {
		deaf := o.Crash || c.unread || c.Out.Stalled()
		c.dropped, c.session = true, nil
		if deaf {
			c.Out.Cut()
			continue
		}
		c.Out.End(outbox.Ending{Code: o.CloseCode, Reason: o.Reason})
		open = append(open, c.Out)
	}
	return open
}

// forget drops what the process knew of a session. Its own agent goes on without
// a connection.
func (s *Session) forget(now time.Time) {
	a := &s.agent
	if s.lead == nil && s.row().runtime && s.led() {
		a.away = true
	}
	if a.asking != nil && s.world.restart.loses {
		a.asking.lost = true
	}
	s.lead, s.live = nil, nil
	s.participants = slices.Clone(s.participants)
	for i, p := range s.participants {
		if p.DisconnectedAt == "" {
			s.participants[i].DisconnectedAt = iso(now)
		}
	}
	s.report.restart()
	for _, t := range s.report.tasks {
		t.output, t.thinking = nil, nil
	}
}

// ComeBack lets clients connect again, and the Hub's own agents.
func (w *World) ComeBack() {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	w.idle.news(now)
	r := &w.restart
	r.down = false
	if r.delay == 0 {
		w.agentsComeBack(now)
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(r.delay, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		if r.timer == timer && !w.closed {
			w.agentsComeBack(time.Now())
		}
	})
	r.timer = timer
}

// stop ends the wait for the agents.
func (r *restart) stop() {
	if r.timer != nil {
		r.timer.Stop()
		r.timer = nil
	}
}

func (w *World) agentsComeBack(now time.Time) {
	w.restart.stop()
	for s := range w.sessions.oldestFirst() {
		switch {
		case s.agent.away:
			s.agent.comeBack(now)
		case s.row().runtime && s.mode == "sandbox" && s.connected(roleLead) == 0: // a program led it
			s.leadItself(now)
		}
	}
}

// comeBack connects the agent to the Hub again. It reports what it could not, and
// what it asks is asked again.
func (a *ownAgent) comeBack(now time.Time) {
	s := a.session
	a.away = false
	s.joinAsAgent(now)
	s.ingested = now
	for _, u := range a.unsent {
		u.report(u.at)
	}
	a.unsent, s.ingested = nil, time.Time{}
	if q := a.known(); q != nil && q.heard {
		s.toControllers(s.wrapped("rpc_ui_request", q.uiRequest, s.tick(now)))
	} else if q != nil {
		q.heard = true
	}
}

// report tells the Hub something, or keeps it until the agent is connected again.
func (a *ownAgent) report(now time.Time, report func(now time.Time)) {
	switch {
	case !a.away:
		report(now)
	case !a.session.world.restart.loses:
		a.unsent = append(a.unsent, unsent{now, report})
	}
}

// known is the question that the Hub knows to be open, or nil.
func (a *ownAgent) known() *question {
	if a.away || a.asking == nil || a.asking.lost {
		return nil
	}
	return a.asking
}

// vanish ends an agent that has no connection. What it has not reported is lost.
func (a *ownAgent) vanish() {
	a.stop()
	a.away, a.unsent = false, nil
	a.attempt, a.overflow, a.answer, a.ending = 0, false, nil, nil
}
