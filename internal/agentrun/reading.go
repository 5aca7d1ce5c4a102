package agentrun

import "time"

// Kind says how an agent is doing.
type Kind string

// The kinds.
const (
	Idle      Kind = "idle"      // nothing was asked of it
	Working   Kind = "working"   // or it may go on by itself
	Answered  Kind = "answered"  // the last prompt is over, with an answer that may be cut
	Failed    Kind = "failed"    // the last prompt is over, and the agent's ErrorMessage, if any, says why
	Aborted   Kind = "aborted"   // the last prompt is over, because somebody aborted it
	Question  Kind = "question"  // it has asked the user something
	Unheeded  Kind = "unheeded"  // it has heard a prompt, and nobody works on it
	TasksDone Kind = "tasksDone" // its tasks are completed, and it had nothing else to do
	Ended     Kind = "ended"     // the last prompt is over, and no event says how
)

// Over reports whether nothing more will come of the last prompt.
func (k Kind) Over() bool {
	switch k {
	case Answered, Failed, Aborted, TasksDone, Ended:
		return true
	}
	return false
}

// Reading is what the events say at a time.
type Reading struct {
	Kind   Kind
	Answer Answer
	// Left says that the lead has gone.
	Left bool
	// Reason says in words what Kind was concluded from.
	Reason string
	// Until is when another reading is due if no further event comes; zero: never.
	Until time.Time
}

// Question returns the id of the question that is open, or may be.
func (r *Run) Question() string { return r.question }

// At reads the state at a time.
func (r *Run) At(now time.Time) Reading {
	switch {
	case !r.left.IsZero():
		return r.afterLead(now)
	case r.question != "" && !r.doubtful.IsZero() && now.Before(r.doubtful.Add(questionIsOpen)):
		return Reading{Kind: Working, Reason: "a question may be answered", Until: r.doubtful.Add(questionIsOpen)}
	case r.question != "":
		return Reading{Kind: Question, Reason: "a question is open"}
	case r.open && !r.turnEnded.IsZero() && r.last.StopReason != "toolUse":
		return r.waitUntil(now, r.turnEnded.Add(endIsLost), "a turn has just ended", "a turn ended, and nothing followed;")
	case r.open:
		return Reading{Kind: Working, Reason: "a run is open"}
	case !r.heard.IsZero() && now.Before(r.compacting.Add(compactionEnds)):
		return Reading{Kind: Working, Reason: "a compaction is under way, and an input was heard", Until: r.compacting.Add(compactionEnds)}
	case !r.heard.IsZero():
		until := r.heard.Add(promptIsTaken)
		if now.Before(until) {
			return Reading{Kind: Working, Reason: "an input was heard", Until: until}
		}
		return Reading{Kind: Unheeded, Reason: "an input was heard, and no run began"}
	case r.lost:
		return Reading{Kind: Failed, Answer: r.last, Reason: "the lead began anew in the middle of the work"}
	case !r.compacting.IsZero():
		return r.waitUntil(now, r.compacting.Add(compactionEnds), "a compaction is under way", "the compaction did not end")
	case !r.compacted.IsZero() && !r.ended.IsZero():
		return r.waitUntil(now, r.compacted.Add(runFollows), "a compaction has ended", "no run followed the compaction")
	case !r.ended.IsZero():
		return r.afterRun(now)
	}
	for _, running := range r.tasks {
		if running {
			return Reading{Kind: Working, Reason: "a task is running"}
		}
	}
	switch {
	case r.taskDone && !r.Whole:
		return Reading{Kind: Working, Reason: "a task is completed, and what it belongs to is not known"}
	case r.taskDone:
		return Reading{Kind: TasksDone, Reason: "the newest task is completed, and none is running"}
	}
	return Reading{Kind: Idle, Reason: "no run has been seen"}
}

func (r *Run) afterRun(now time.Time) Reading {
	switch {
	case r.settled:
		return r.verdict("the agent has settled")
	case r.last.StopReason == "stop":
		return r.waitUntil(now, r.ended.Add(compactionFollows), "a run has just ended", "the run ended")
	case r.last.StopReason == "length":
		return r.waitUntil(now, r.ended.Add(cutIsTriedAgain), "a run has just ended with a cut answer", "the run ended")
	case r.last.StopReason == "error", !r.retryUntil.IsZero():
		return r.waitUntil(now, r.retryUntil, "a retry may follow", "no retry followed")
	}
	return r.verdict("the run ended")
}

// waitUntil is work until a time, and then the verdict.
func (r *Run) waitUntil(now, until time.Time, waiting, reason string) Reading {
	if now.Before(until) {
		return Reading{Kind: Working, Reason: waiting, Until: until}
	}
	return r.verdict(reason)
}

// verdict reads the last message.
func (r *Run) verdict(reason string) Reading {
	out := Reading{Kind: Answered, Answer: r.last, Reason: reason + " with " + r.last.StopReason}
	switch r.last.StopReason {
	case "":
		out.Kind, out.Reason = Ended, reason+" without saying how"
		if r.listed {
			out.Kind, out.Reason = Failed, reason+" without an answer"
		}
	case "stop", "length":
	case "aborted":
		out.Kind = Aborted
	case "error":
		out.Kind = Failed
	default:
		out.Kind, out.Reason = Failed, reason+" without an answer"
	}
	return out
}

func (r *Run) afterLead(now time.Time) Reading {
	if until := r.left.Add(goodbye); now.Before(until) && !r.leftNow {
		return Reading{Kind: Working, Left: true, Reason: "the lead is leaving", Until: until}
	}
	var out Reading
	switch {
	case !r.sent.IsZero() && now.Before(r.sent.Add(promptIsTaken)):
		return Reading{Kind: Working, Left: true, Reason: "a prompt was sent, and no lead is there yet", Until: r.sent.Add(promptIsTaken)}
	case !r.sent.IsZero():
		return Reading{Kind: Unheeded, Left: true, Reason: "a prompt was sent, and no lead came"}
	case !r.messageOpen && r.open && r.unread:
		out = Reading{Kind: Ended, Reason: "the lead left, and nothing says how its last message ended"}
	case r.messageOpen, r.open && (r.stale || !r.last.known):
		out = Reading{Kind: Failed, Answer: r.last, Reason: "the lead left in the middle of an answer"}
	case r.open && r.last.StopReason == "toolUse":
		out = Reading{Kind: Failed, Answer: r.last, Reason: "the lead left in the middle of the work"}
	case !r.heard.IsZero():
		out = Reading{Kind: Failed, Reason: "the lead left before it began"}
	case r.last.known:
		out = r.verdict("the lead left")
	default:
		out = Reading{Kind: Idle, Reason: "the lead left"}
	}
	out.Left = true
	return out
}

// Sure reports whether events before those that were applied could change what At says.
func (r *Run) Sure(now time.Time) bool {
	reading := r.At(now)
	switch {
	case r.Whole:
		return true
	case reading.Kind == Question:
		return !r.another // else it may have been asked before that one, and come late
	case reading.Kind == Working && r.open && r.toolOnly:
		return false // another tool may have asked something
	case reading.Kind == Ended:
		return r.prompted // else a message before may say how
	case reading.Kind == Idle, reading.Kind == Unheeded, r.left.IsZero() && !r.open && r.heard.IsZero() && r.compacting.IsZero() && r.ended.IsZero():
		return false
	case reading.Kind == Failed && !r.left.IsZero():
		return r.last.known || r.messageOpen
	case reading.Kind == Failed && r.last.StopReason == "error" && !r.settled && !isFinal(r.last.ErrorMessage):
		return r.prompted || r.gap > 0 // the waits for retries are known
	}
	return true
}

// Answered reports whether the agent has said the last of an answer, although its run may not be over yet.
func (r *Run) Answered() bool {
	switch {
	case !r.heard.IsZero():
		return false
	case r.open:
		return r.last.StopReason == "stop" && !r.messageOpen && !r.stale && !r.unread
	}
	return !r.ended.IsZero() && (r.last.StopReason == "stop" || r.last.StopReason == "length")
}
