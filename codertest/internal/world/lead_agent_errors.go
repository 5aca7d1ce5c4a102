package world

import (
	"fmt"
	"time"
)

const (
	maxRetries = 3
	firstRetry = 2 * time.Second // each further one waits twice as long
)

// waitForRetry waits, and tries the model call again in a run of its own.
func (a *ownAgent) waitForRetry(now time.Time) {
	a.phase = agentRetrying
	delay := firstRetry << a.attempt
	a.attempt++
	a.sayInRPC("auto_retry_start", map[string]any{
		"attempt": a.attempt, "maxAttempts": maxRetries, "delayMs": delay.Milliseconds(),
		"errorMessage": a.turn.message.ErrorMessage,
	}, now)
	a.forgetFailure(now)
	a.later(delay, func(now time.Time) {
		merged := a.merged
		a.merged = nil
		a.startRun(merged, now)
	})
}

// sayRetryEnd says that a retry has worked, or that no other follows.
func (a *ownAgent) sayRetryEnd(worked bool, finalError string, now time.Time) {
	end := map[string]any{"success": worked, "attempt": a.attempt}
	if !worked {
		end["finalError"] = finalError
	}
	a.sayInRPC("auto_retry_end", end, now)
}

// forgetFailure takes a failed answer out of the conversation: the model is not
// told of it.
func (a *ownAgent) forgetFailure(now time.Time) {
	if last := len(a.messages) - 1; last >= 0 && a.messages[last] == a.turn.message {
		a.messages = a.messages[:last]
	}
	if a.newer() {
		a.sayInRPC("entry_appended", map[string]any{"entry": map[string]any{
			"type": "context_edit", "id": a.entryID(), "parentId": a.turn.message.entry,
			"timestamp": iso(now), "targetId": a.turn.message.entry, "replacement": nil,
		}}, now)
	}
}

// recover makes a conversation shorter that has become too long, and tries the
// model call again. It does so once for a prompt.
func (a *ownAgent) recover(now time.Time) {
	a.forgetFailure(now)
	if a.overflow {
		const gaveUp = "Context overflow recovery failed after one compact-and-retry attempt."
		a.sayInRPC("compaction_end", map[string]any{
			"reason": "overflow", "aborted": false, "willRetry": false, "errorMessage": gaveUp,
		}, now)
		a.settle(false, now)
		return
	}
	a.overflow = true
	a.compact(compaction{reason: "overflow", again: true}, now)
}

// compaction is the replacement of most of the conversation by a summary.
type compaction struct {
	reason string // manual, overflow or threshold
	again  bool   // what has failed is tried again after it
	// done is told the result or why there is none, if it is not nil.
	done func(result map[string]any, failed string, now time.Time)
}

// compact makes the conversation shorter. The summary is a model call, which may
// fail as others do. Afterwards the agent tries again what has failed, or begins
// with what waits.
func (a *ownAgent) compact(c compaction, now time.Time) {
	reason, again := c.reason, c.again
	a.phase, a.compaction = agentCompacting, c
	tokens := 1000 + 1000*len(a.messages)
	kept := a.entryID()
	a.sayInRPC("compaction_start", map[string]any{"reason": reason}, now)
	a.sayInExtension("session_before_compact", a.withReason(map[string]any{
		"preparation": map[string]any{
			"firstKeptEntryId": kept, "messagesToSummarize": a.messages, "turnPrefixMessages": []any{},
			"isSplitTurn": false, "tokensBefore": tokens,
		},
		"branchEntries": []any{},
	}, reason, again), now)
	a.then(func(now time.Time) {
		if failure := a.nextFailure(); failure != AgentNoError {
			why := "Summarization failed: " + failure.text(a.newer())
			a.sayInRPC("compaction_end", map[string]any{
				"reason": reason, "aborted": false, "willRetry": false, "errorMessage": compactionFailed(reason) + why,
			}, now)
			if c.done != nil {
				c.done(nil, why, now)
			}
			a.settleQueue(false, now)
			return
		}
		result := map[string]any{
			"summary": fmt.Sprintf("Summary of %d messages.", len(a.messages)), "firstKeptEntryId": kept,
			"tokensBefore": tokens, "details": map[string]any{"readFiles": []any{}, "modifiedFiles": []any{}},
		}
		a.summarize(result["summary"].(string), tokens, now)
		end := map[string]any{"reason": reason, "result": result, "aborted": false, "willRetry": again}
		a.sayInRPC("compaction_end", end, now)
		entry := map[string]any{"type": "compaction", "id": a.entryID(), "timestamp": iso(now), "fromHook": false}
		for name, value := range result {
			entry[name] = value
		}
		a.sayInExtension("session_compact", a.withReason(map[string]any{
			"compactionEntry": entry, "fromExtension": false,
		}, reason, again), now)
		if c.done != nil {
			c.done(result, "", now)
		}
		if again {
			a.then(func(now time.Time) { a.startRun(nil, now) })
			return
		}
		a.settleQueue(reason == "threshold", now)
	})
}

// withReason adds what the newer version says besides.
func (a *ownAgent) withReason(event map[string]any, reason string, again bool) map[string]any {
	if a.newer() {
		event["reason"], event["willRetry"] = reason, again
	}
	return event
}

func compactionFailed(reason string) string {
	if reason == "overflow" {
		return "Context overflow recovery failed: "
	}
	return "Compaction failed: "
}

// settleQueue makes the agent idle. After a compaction that came by itself it
// begins with what was queued meanwhile.
func (a *ownAgent) settleQueue(goesOn bool, now time.Time) {
	switch {
	case goesOn && len(a.steering) > 0:
		a.startRun([]prompt{a.takeSteering()}, now)
	case goesOn && len(a.followUps) > 0:
		a.startRun([]prompt{a.takeFollowUp()}, now)
	default:
		a.settle(false, now)
	}
}

// summarize keeps what was said since the last prompt.
func (a *ownAgent) summarize(summary string, tokens int, now time.Time) {
	kept := []*agentMessage{{Role: "compactionSummary", Summary: summary, TokensBefore: tokens, Timestamp: now.UnixMilli()}}
	for i := len(a.messages) - 1; i >= 0; i-- {
		if a.messages[i].Role == roleUser {
			kept = append(kept, a.messages[i:]...)
			break
		}
	}
	a.messages = kept
}
