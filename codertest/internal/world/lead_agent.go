package world

import (
	"slices"
	"time"
)

// ownAgent is the Hub's own agent. It leads a session that no program leads, and
// behaves as the recorded agent: what it says, in which order, when it tries again
// and what it does with prompts that come while it works. It has no model. What it
// answers depends only on what it is told and on what a test has scripted.
type ownAgent struct {
	session *Session
	phase   agentPhase
	plan    []agentStep // what it does next
	timer   *time.Timer // until the next step
	asking  *question   // what it waits for

	taskGiven bool     // the session's task has been run, or a lead has it
	away      bool     // it has no connection to the Hub
	unsent    []unsent // what it could not report meanwhile

	script   [][]AgentTurn // what it answers to the next prompts
	failures []AgentError  // how its next model calls end

	steering, followUps []prompt // what waits for the end of a turn, and of an answer
	merged              []prompt // what an old agent was told while it waited for a retry
	lost                []prompt // prompts that came before the first had begun

	answer   []AgentTurn // what remains to be said to the prompt
	ending   *AgentTurn  // what a test wants it to end with instead, or nil
	turn     agentTurn   // the model call under way
	attempt  int         // of the retries
	overflow bool        // the conversation has been compacted for this prompt

	compaction compaction // the one under way

	knowsSystem bool            // the system message has been reported
	messages    []*agentMessage // the conversation as the model knows it
	ran         []*agentMessage // what the run has added

	// Counts, of which ids are made.
	calls, asked, responses, entries int
}

// agentPhase says what the agent is doing.
type agentPhase int

const (
	agentIdle agentPhase = iota
	agentStarting
	agentRunning
	agentRetrying
	agentCompacting
)

// agentStep is what the agent does at once, after a rest.
type agentStep struct {
	after time.Duration
	do    func(now time.Time)
}

// then plans a step after the usual rest.
func (a *ownAgent) then(do func(now time.Time)) { a.later(a.session.world.config.Pace, do) }

func (a *ownAgent) later(after time.Duration, do func(now time.Time)) {
	a.plan = append(a.plan, agentStep{after, do})
}

// proceed takes steps until the agent has nothing to do, waits for an answer, or
// rests.
func (a *ownAgent) proceed(now time.Time) {
	for !a.session.world.closed && a.timer == nil && a.asking == nil && len(a.plan) > 0 {
		step := a.plan[0]
		a.plan = a.plan[1:]
		if step.after > 0 {
			a.rest(step)
			return
		}
		step.do(now)
	}
}

func (a *ownAgent) rest(step agentStep) {
	var timer *time.Timer
	timer = time.AfterFunc(step.after, func() {
		a.session.change(func(now time.Time) {
			if a.timer != timer || a.session.world.closed { // it was interrupted
				return
			}
			a.timer = nil
			step.do(now)
			a.proceed(now)
		})
	})
	a.timer = timer
}

// interrupt drops what the agent has planned.
func (a *ownAgent) interrupt() {
	if a.timer != nil {
		a.timer.Stop()
	}
	if a.asking != nil && a.asking.timer != nil {
		a.asking.timer.Stop()
	}
	a.timer, a.asking, a.plan = nil, nil, nil
}

// stop ends the agent and tells nobody: all connections have ended.
func (a *ownAgent) stop() {
	a.interrupt()
	a.phase = agentIdle
}

// runTask makes the task that the session was created with the agent's first
// prompt. It does so once.
func (a *ownAgent) runTask(now time.Time) {
	if a.taskGiven || a.session.task == "" || a.session.mode != "sandbox" {
		return
	}
	a.taskGiven = true
	a.session.report.expect(a.session.task)
	a.hear(prompt{text: a.session.task, isTask: true}, now)
	a.proceed(now)
}

// begin makes the agent answer a prompt. Until the next step it does not know of
// it: a prompt that comes meanwhile is lost.
func (a *ownAgent) begin(p prompt) {
	a.phase = agentStarting
	a.then(func(now time.Time) {
		a.sayBefore(p, now)
		if !a.newer() {
			for _, p := range a.lost {
				a.sayBefore(p, now)
			}
		}
		a.attempt, a.overflow = 0, false
		a.startRun([]prompt{p}, now)
	})
}

// startRun begins a run. Without a prompt it tries once more what has failed.
func (a *ownAgent) startRun(prompts []prompt, now time.Time) {
	a.phase = agentRunning
	a.ran = nil
	a.turn = agentTurn{index: -1}
	a.say("agent_start", nil, now)
	for range a.lost { // it takes the end of a lost prompt for its own
		a.saySettled(false, now)
	}
	a.lost = nil
	if len(prompts) > 0 {
		if len(a.steering) > 0 { // it was told while it was idle
			prompts = append(slices.Clip(prompts), a.takeSteering())
		}
		a.answer = a.answerTo(prompts[len(prompts)-1])
	}
	a.openTurn(prompts, now)
}

// openTurn begins a turn, with what was said to the agent, and plans the model
// call.
func (a *ownAgent) openTurn(prompts []prompt, now time.Time) {
	a.turn = agentTurn{index: a.turn.index + 1}
	said := make([]*agentMessage, len(prompts))
	for i, p := range prompts {
		said[i] = userMessage(p.text, now)
	}
	if !a.newer() { // the older one reports the call before the turn
		a.sayContext(said, now)
	}
	a.sayTurnStart(now)
	if a.newer() && !a.knowsSystem && len(prompts) > 0 {
		a.knowsSystem = true
		a.sayMessage(systemMessage(now), now)
	}
	for i, p := range prompts {
		if p.queued {
			a.sayQueue(now)
		}
		if !p.isTask {
			a.report(now, func(now time.Time) { a.session.said(p.text, p.by, now) })
		}
		a.sayMessage(said[i], now)
	}
	if a.newer() {
		a.sayContext(nil, now)
	}
	a.then(a.callModel)
}

// closeTurn ends the turn and plans what follows: another turn, because of tools
// or because something waits, or the end of the run.
func (a *ownAgent) closeTurn(now time.Time) {
	a.sayTurnEnd(now)
	ended := a.turn.message.StopReason
	switch {
	case ended == stopError || ended == stopAborted:
		a.endRun(now)
	case len(a.steering) > 0:
		p := a.takeSteering()
		a.answer = a.answerTo(p)
		a.openTurn([]prompt{p}, now)
	case len(a.turn.results) > 0:
		a.openTurn(nil, now)
	case len(a.followUps) > 0:
		p := a.takeFollowUp()
		a.answer = a.answerTo(p)
		a.openTurn([]prompt{p}, now)
	default:
		a.endRun(now)
	}
}

// endRun ends the run. A failed one may be tried again, and a conversation that
// has become too long is made shorter.
func (a *ownAgent) endRun(now time.Time) {
	failure := a.turn.failure
	aborted := a.turn.message.StopReason == stopAborted
	again := failure.transient() && a.attempt < maxRetries
	a.sayAgentEnd(again, now)
	switch {
	case again:
		a.waitForRetry(now)
	case failure == AgentContextOverflow:
		a.recover(now)
	case failure.transient():
		a.sayRetryEnd(false, a.turn.message.ErrorMessage, now)
		a.settle(false, now)
	case aborted:
		a.settle(true, now)
	case a.turn.contextFull:
		a.compact(compaction{reason: "threshold"}, now)
	default:
		a.settle(false, now)
	}
}

// settle makes the agent idle.
func (a *ownAgent) settle(aborted bool, now time.Time) {
	a.phase = agentIdle
	a.attempt, a.overflow, a.answer, a.ending = 0, false, nil, nil
	a.saySettled(aborted, now)
}

// working reports whether the agent is busy. It is before it reports a run, and
// while it compacts.
func (a *ownAgent) working() bool { return a.phase != agentIdle }
