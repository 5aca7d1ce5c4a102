package world

import (
	"time"
)

// prompt is what the agent is told.
type prompt struct {
	text   string
	by     *Connection // who has sent it
	steers bool        // it changes the course of what the agent does
	queued bool        // it had to wait
	isTask bool        // it is the task that the session was created with
}

func take(queue *[]prompt) prompt {
	p := (*queue)[0]
	*queue = (*queue)[1:]
	return p
}

func (a *ownAgent) takeSteering() prompt { return take(&a.steering) }
func (a *ownAgent) takeFollowUp() prompt { return take(&a.followUps) }

// enqueue keeps what is said until a turn or an answer ends.
func (a *ownAgent) enqueue(p prompt, now time.Time) {
	p.queued = true
	if p.steers {
		a.steering = append(a.steering, p)
	} else {
		a.followUps = append(a.followUps, p)
	}
	a.sayQueue(now)
}

// hear tells the agent something through its extension, as a terminal's agent is
// told: idle it begins, busy it queues.
func (a *ownAgent) hear(p prompt, now time.Time) {
	input := map[string]any{"text": p.text, "source": "extension"}
	busy := a.phase == agentRunning || a.phase == agentCompacting || a.phase == agentRetrying && a.newer()
	if busy && a.newer() {
		input["streamingBehavior"] = "followUp"
		if p.steers {
			input["streamingBehavior"] = "steer"
		}
	}
	a.sayInExtension("input", input, now)
	switch {
	case busy:
		a.enqueue(p, now)
	case a.phase == agentIdle && a.lacksKey():
	default:
		a.take(p, now)
	}
}

// take takes a prompt that need not wait.
func (a *ownAgent) take(p prompt, now time.Time) {
	switch a.phase {
	case agentStarting:
		a.lost = append(a.lost, p)
	case agentRetrying: // the next attempt answers both
		a.sayBefore(p, now)
		a.merged = append(a.merged, p)
	default:
		p.steers = false // there is no course to change
		a.begin(p)
	}
}

// The end of a message, and of a tool, that somebody has aborted.
const (
	messageAborted = "Request was aborted"
	toolAborted    = "Command aborted"
)

// betweenTurns is what the agent says when it is aborted before the model speaks.
func (a *ownAgent) betweenTurns() string {
	if a.newer() {
		return "This operation was aborted"
	}
	return "Request was aborted."
}

// abort ends what the agent does. What is queued stays.
func (a *ownAgent) abort(now time.Time) {
	switch a.phase {
	case agentRetrying:
		a.cancelRetry(true, now)
	case agentCompacting:
		a.interrupt()
		a.sayInRPC("compaction_end", map[string]any{
			"reason": a.compaction.reason, "aborted": true, "willRetry": false,
		}, now)
		if a.compaction.done != nil {
			a.compaction.done(nil, "Compaction cancelled", now)
		}
		a.settle(true, now)
	case agentRunning:
		a.interrupt()
		a.abortRun(now)
	}
}

// cancelRetry makes the agent try no more.
func (a *ownAgent) cancelRetry(aborted bool, now time.Time) {
	a.interrupt()
	a.merged = nil
	a.sayRetryEnd(false, "Retry cancelled", now)
	a.settle(aborted, now)
}

func (a *ownAgent) abortRun(now time.Time) {
	t := &a.turn
	switch {
	case t.open:
		a.finishMessage(stopAborted, messageAborted, now)
	case t.runningTool() != nil:
		a.steeringWaits(func() {
			for t.done < len(t.tools) {
				a.finishTool(t.done, toolAborted, true, now)
			}
			a.finishTools(now) // opens the next turn
			a.interrupt()
		})
		a.sayNothingButEnd(stopAborted, a.betweenTurns(), now)
	default:
		a.sayNothingButEnd(stopAborted, a.betweenTurns(), now)
	}
}

// steeringWaits calls do while nothing seems to wait for the end of the turn.
func (a *ownAgent) steeringWaits(do func()) {
	steering := a.steering
	a.steering = nil
	do()
	a.steering = steering
}

// quit ends what the agent does, and drops what is queued: the agent is not there
// any more.
func (a *ownAgent) quit(now time.Time) {
	a.steering, a.followUps, a.merged, a.lost = nil, nil, nil, nil
	if a.away {
		a.vanish()
		return
	}
	if a.phase == agentStarting {
		a.interrupt()
		a.phase = agentIdle
		return
	}
	a.abort(now)
}

// EndTurn ends the turn of the agent that is under way, for a reason: what it is
// saying ends there. Without one under way nothing happens.
func (s *Session) EndTurn(reason, errorMessage string) {
	s.change(func(now time.Time) {
		s.agent.endTurn(reason, errorMessage, now)
		s.agent.proceed(now)
	})
}

func (a *ownAgent) endTurn(reason, errorMessage string, now time.Time) {
	t := &a.turn
	switch {
	case reason == stopAborted:
		a.abort(now)
	case a.phase != agentRunning:
	case t.open:
		a.interrupt()
		a.finishMessage(reason, errorMessage, now)
	default:
		// The tools that run end as they would, and the next model call ends so.
		a.ending = &AgentTurn{StopReason: reason, ErrorMessage: errorMessage}
	}
}
