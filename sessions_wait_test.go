package coder_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

const (
	detailRoute  = "/hub/session/{id}"
	historyRoute = "/hub/session/{id}/events/history"
	loopRoute    = "/hub/session/{id}/loop"
)

// step is what happens to a session behind the scenes.
type step = func(*codertest.SessionControl)

func emit(events ...string) step {
	return func(s *codertest.SessionControl) {
		for _, event := range events {
			s.Emit(codertest.Event{Event: event})
		}
	}
}

// ended is the end of a run of the agent, whose last message ended so.
func ended(stop, errorMessage string) step {
	return func(s *codertest.SessionControl) {
		message := map[string]any{"role": "assistant", "stopReason": stop, "errorMessage": errorMessage, "content": []any{map[string]any{"type": "text", "text": "Said."}}}
		user := map[string]any{"role": "user", "content": "Say it."}
		s.Emit(codertest.Event{Event: "message_start", Payload: map[string]any{"message": user}})
		s.Emit(codertest.Event{Event: "message_end", Payload: map[string]any{"message": user}})
		s.Emit(codertest.Event{Event: "message_start", Payload: map[string]any{"message": message}})
		s.Emit(codertest.Event{Event: "message_end", Payload: map[string]any{"message": message}})
		s.Emit(codertest.Event{Event: "turn_end", Payload: map[string]any{"message": message, "toolResults": []any{}}})
		s.Emit(codertest.Event{Event: "agent_end", Payload: map[string]any{"messages": []any{user, message}}})
	}
}

// payload is an event with a payload.
func payload(event string, members map[string]any) step {
	return func(s *codertest.SessionControl) { s.Emit(codertest.Event{Event: event, Payload: members}) }
}

func set(member string, value any) step {
	return func(s *codertest.SessionControl) { s.Set(member, value) }
}

func loopAt(status coder.LoopStatus) step {
	return func(s *codertest.SessionControl) { s.SetLoop(codertest.Loop{Status: status, Iteration: 2}) }
}

func inOrder(steps ...step) step {
	return func(s *codertest.SessionControl) {
		for _, do := range steps {
			if do != nil {
				do(s)
			}
		}
	}
}

// workingSession is a session in the middle of a turn.
func workingSession(t *testing.T, hub *codertest.Hub) string {
	t.Helper()
	id, _ := sessionInTurn(t, hub)
	return id
}

// sessionInTurn also returns the id of the event that began the turn, the newest there is.
func sessionInTurn(t *testing.T, hub *codertest.Hub) (id string, turn int) {
	t.Helper()
	id = newSession(t, hubClient(t, hub))
	s := hub.Session(id)
	s.SetStatus("active")
	return id, s.Emit(codertest.Event{Event: "turn_start"})
}

var eventID = regexp.MustCompile(`#\d+`)

// relative counts the events in evidence from the one that began the turn.
func relative(evidence []string, turn int) []string {
	out := make([]string, len(evidence))
	for i, text := range evidence {
		out[i] = eventID.ReplaceAllStringFunc(text, func(id string) string {
			n, _ := strconv.Atoi(id[1:])
			return fmt.Sprintf("#%+d", n-turn)
		})
	}
	return out
}

// anHour bounds a wait that is expected to end by itself.
func anHour(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	t.Cleanup(cancel)
	return ctx
}

// TestWaitForSession_Outcomes has every kind of outcome with what it is concluded from. Each row runs twice: with
// its evidence, which appears at the third look, and without it.
func TestWaitForSession_Outcomes(t *testing.T) {
	for _, row := range []struct {
		name     string
		kind     coder.OutcomeKind
		before   step // what is no evidence
		away     []string
		evidence step
		want     []string
		between  []float64 // seconds between looks; nil: the third look shows it, and the fourth, soon after, confirms it
		finished coder.OutcomeKind
		stop     coder.StopReason
		says     string
	}{
		{
			name: "deleted", kind: coder.OutcomeDeleted,
			evidence: nil, // see below
			want:     []string{"the Hub no longer knows the session"},
		},
		{
			name: "archived", kind: coder.OutcomeArchived,
			evidence: (*codertest.SessionControl).Archive,
			want:     []string{"status is archived", "historyOnly is set"},
		},
		{
			name: "archived, by status alone", kind: coder.OutcomeArchived,
			evidence: set("status", "archived"), want: []string{"status is archived"},
		},
		{
			name: "history only", kind: coder.OutcomeArchived,
			evidence: set("historyOnly", true), want: []string{"historyOnly is set"},
		},
		{
			name: "status failed", kind: coder.OutcomeFailed,
			evidence: set("status", "failed"), want: []string{"status is failed"},
		},
		{
			name: "status error", kind: coder.OutcomeFailed,
			evidence: set("status", "error"), want: []string{"status is error"},
		},
		{
			name: "session_error", kind: coder.OutcomeFailed,
			evidence: emit("session_error"), want: []string{"event #+1 session_error is the newest"},
		},
		{
			name: "session_error, then goodbyes", kind: coder.OutcomeFailed,
			evidence: emit("session_error", "agent_end", "session_leave"),
			want:     []string{"event #+1 session_error, and only goodbyes after it"},
		},
		{
			name: "status failed and session_error", kind: coder.OutcomeFailed,
			evidence: inOrder(set("status", "failed"), emit("session_error")),
			want:     []string{"status is failed", "event #+1 session_error is the newest"},
		},
		{
			name: "loop failed", kind: coder.OutcomeFailed, before: loopAt("running"),
			evidence: loopAt("failed"),
			want:     []string{"loop status is failed", "loopStatus of the session is failed"},
		},
		{
			name: "loop completed", kind: coder.OutcomeCompleted, before: loopAt("running"),
			evidence: loopAt("completed"),
			want: []string{
				"loop status is completed", "loopStatus of the session is completed",
				"event #+2 loop_completed, and no work began after it",
			},
		},
		{
			name: "loop completed, by its state alone", kind: coder.OutcomeCompleted, away: []string{historyRoute},
			before:   inOrder(loopAt("running"), set("loopStatus", "running")),
			evidence: loopAt("completed"), want: []string{"loop status is completed"},
		},
		{
			name: "loop completed, by the session alone", kind: coder.OutcomeCompleted, away: []string{historyRoute, loopRoute},
			before:   loopAt("running"),
			evidence: loopAt("completed"), want: []string{"loopStatus of the session is completed"},
		},
		{
			name: "loop completed, by the history alone", kind: coder.OutcomeCompleted, away: []string{loopRoute},
			before:   inOrder(loopAt("running"), set("loopStatus", "running")),
			evidence: loopAt("completed"), want: []string{"event #+2 loop_completed, and no work began after it"},
		},
		{
			name: "session_complete", kind: coder.OutcomeCompleted,
			evidence: emit("turn_end", "session_complete"), want: []string{"event #+2 session_complete, and no work began after it"},
		},
		{
			name: "session_complete, then goodbyes", kind: coder.OutcomeCompleted,
			evidence: emit("session_complete", "message_end", "agent_end", "session_leave", "session_shutdown"),
			between:  []float64{2, 3, 2, 2}, // the lead is leaving
			want:     []string{"event #+1 session_complete, and no work began after it"},
		},
		{
			name: "loop cancelled", kind: coder.OutcomeCancelled, before: loopAt("running"),
			evidence: loopAt("cancelled"),
			want: []string{
				"loop status is cancelled", "loopStatus of the session is cancelled",
				"event #+2 loop_cancelled, and no work began after it",
			},
		},
		{
			name: "loop blocked", kind: coder.OutcomeBlocked, before: loopAt("running"),
			evidence: loopAt("blocked"),
			want: []string{
				"loop status is blocked", "loopStatus of the session is blocked",
				"event #+2 loop_blocked, and no work began after it",
			},
		},
		{
			name: "loop blocked, by the session alone", kind: coder.OutcomeBlocked, away: []string{historyRoute, loopRoute},
			before:   loopAt("running"),
			evidence: loopAt("blocked"), want: []string{"loopStatus of the session is blocked"},
		},
		{
			name: "loop awaits input", kind: coder.OutcomeNeedsInput, before: loopAt("running"),
			evidence: loopAt("awaiting_input"),
			want:     []string{"loop status is awaiting_input", "loopStatus of the session is awaiting_input"},
		},
		{
			name: "a question", kind: coder.OutcomeNeedsInput, finished: coder.OutcomeNeedsInput,
			evidence: payload("rpc_ui_request", map[string]any{"id": "1", "method": "select", "params": map[string]any{"title": "Which?"}}),
			want:     []string{"a question is open", "the agent asks: Which?"},
		},
		{
			name: "answered", kind: coder.OutcomeTurnEnded, finished: coder.OutcomeTurnEnded, stop: "stop",
			evidence: ended("stop", ""), between: []float64{2, 3, 2, 2},
			want: []string{"the run ended with stop", "event #+6 agent_end is the newest"},
		},
		{
			name: "answered, by an agent that says that it has settled", kind: coder.OutcomeTurnEnded, finished: coder.OutcomeTurnEnded, stop: "stop",
			evidence: inOrder(ended("stop", ""), payload("agent_settled", map[string]any{"aborted": false})),
			want:     []string{"the agent has settled with stop", "event #+7 agent_settled is the newest"},
		},
		{
			name: "answered, and cut", kind: coder.OutcomeTurnEnded, finished: coder.OutcomeTurnEnded, stop: "length",
			evidence: ended("length", ""), between: []float64{2, 3, 2, 2},
			want: []string{"the run ended with length", "event #+6 agent_end is the newest"},
		},
		{
			name: "failed", kind: coder.OutcomeFailed, finished: coder.OutcomeFailed, stop: "error", says: "529 overloaded",
			evidence: ended("error", "529 overloaded"), between: []float64{2, 3, 2, 3, 4.5, 5.5, 2},
			want: []string{"no retry followed with error", "the agent says: 529 overloaded", "event #+6 agent_end is the newest"},
		},
		{
			name: "failed for good", kind: coder.OutcomeFailed, finished: coder.OutcomeFailed, stop: "error", says: "400 Invalid request",
			evidence: ended("error", "400 Invalid request"), between: []float64{2, 3, 2, 2},
			want: []string{"no retry followed with error", "the agent says: 400 Invalid request", "event #+6 agent_end is the newest"},
		},
		{
			name: "aborted", kind: coder.OutcomeAborted, finished: coder.OutcomeAborted, stop: "aborted", says: "Request was aborted",
			evidence: ended("aborted", "Request was aborted"),
			want:     []string{"the run ended with aborted", "the agent says: Request was aborted", "event #+6 agent_end is the newest"},
		},
		{
			name: "the lead leaves in the middle", kind: coder.OutcomeFailed, finished: coder.OutcomeFailed, stop: "toolUse",
			evidence: inOrder(
				payload("message_end", map[string]any{"message": map[string]any{"role": "assistant", "stopReason": "toolUse"}}),
				payload("session_shutdown", map[string]any{"reason": "quit"}),
			), between: []float64{2, 3, 2, 2},
			want: []string{"the lead left in the middle of the work", "event #+2 session_shutdown is the newest"},
		},
		{
			name: "the lead leaves when it is done", kind: coder.OutcomeTurnEnded, finished: coder.OutcomeTurnEnded, stop: "stop",
			evidence: inOrder(ended("stop", ""), payload("session_shutdown", map[string]any{"reason": "quit"}), emit("session_leave")),
			between:  []float64{2, 3, 2, 2},
			want:     []string{"the lead left with stop", "event #+8 session_leave is the newest"},
		},
		{
			name: "a lead that only begins anew", kind: coder.OutcomeTurnEnded, finished: coder.OutcomeTurnEnded, stop: "stop",
			evidence: inOrder(ended("stop", ""), payload("session_shutdown", map[string]any{"reason": "new"}), payload("session_start", map[string]any{"reason": "new"})),
			between:  []float64{2, 3, 2, 2},
			want:     []string{"the run ended with stop", "event #+8 session_start is the newest"},
		},
		{
			name: "a turn ended, and nothing says how", kind: coder.OutcomeNeedsInput,
			evidence: emit("message_end", "turn_end", "agent_end"), between: []float64{2, 3, 2, 3, 4.5, 5.5, 2},
			want: []string{"no retry followed without saying how", "event #+3 agent_end is the newest"},
		},
		{
			name: "the same, tasks and agents too", kind: coder.OutcomeNeedsInput,
			before: inOrder(
				func(s *codertest.SessionControl) { s.Emit(codertest.Event{Event: "task_start", TaskID: "t1"}) },
				set("tasks", []any{map[string]any{"taskId": "t1", "agent": "a", "status": "completed", "prompt": "p"}}),
				set("agentActivity", map[string]any{"lead": map[string]any{"status": "idle"}, "a": map[string]any{"status": "completed"}}),
			),
			evidence: emit("agent_end"), between: []float64{2, 3, 2, 3, 4.5, 5.5, 2},
			want: []string{"no retry followed without saying how", "event #+2 agent_end is the newest"},
		},
		{
			name: "the same, tasks too, by the history", kind: coder.OutcomeNeedsInput,
			before: func(s *codertest.SessionControl) {
				for _, event := range []string{"task_start", "task_complete", "task_start", "task_error"} {
					s.Emit(codertest.Event{Event: event, TaskID: "t1"})
				}
			},
			evidence: emit("turn_end"), between: []float64{2, 3, 2, 3, 4.5, 6.75, 10.125, 15, 15, 3.625, 2},
			want: []string{"a turn ended, and nothing followed; without saying how", "event #+5 turn_end is the newest"},
		},
		{
			name: "shut down after an answer", kind: coder.OutcomeArchived, finished: coder.OutcomeTurnEnded, stop: "stop",
			evidence: inOrder(ended("stop", ""), set("status", "shutdown"), emit("session_shutdown")), want: []string{"status is shutdown"},
		},
		{
			name: "archived in the middle of the work", kind: coder.OutcomeArchived, finished: coder.OutcomeWorking,
			evidence: set("historyOnly", true), want: []string{"historyOnly is set"},
		},
		{
			name: "shut down, by status alone", kind: coder.OutcomeArchived,
			evidence: set("status", "shutdown"), want: []string{"status is shutdown"},
		},
		{
			name: "stopped", kind: coder.OutcomeArchived,
			evidence: set("status", "stopped"), want: []string{"status is stopped"},
		},
		{
			name: "paused", kind: coder.OutcomePaused,
			evidence: (*codertest.SessionControl).Pause,
			want:     []string{"status is paused", "bucket is paused", "there is no runtime, and none is expected"},
		},
		{
			name: "paused, by bucket alone", kind: coder.OutcomePaused,
			before:   inOrder(set("runtimeAvailable", false), set("liveExpected", false)),
			evidence: set("bucket", "paused"),
			want:     []string{"bucket is paused", "there is no runtime, and none is expected"},
		},
		{
			name: "runtime gone while paused", kind: coder.OutcomePaused,
			before:   inOrder(set("status", "paused"), set("bucket", "paused")),
			evidence: inOrder(set("runtimeAvailable", false), set("liveExpected", false)),
			want:     []string{"status is paused", "bucket is paused", "there is no runtime, and none is expected"},
		},
	} {
		run := func(t *testing.T, evidence bool) *coder.SessionOutcome {
			var outcome *coder.SessionOutcome
			bubble(t, func(t *testing.T, hub *codertest.Hub) {
				c := hubClient(t, hub)
				id, turn := sessionInTurn(t, hub)
				inOrder(row.before)(hub.Session(id))
				away(hub, row.away...)
				happens := row.evidence
				if row.kind == coder.OutcomeDeleted {
					happens = func(s *codertest.SessionControl) { assert.NoError(t, c.DeleteSession(context.Background(), s.ID())) }
				}
				if !evidence {
					happens = nil
				}
				hub.Session(id).Script(nil, nil, happens)
				var err error
				outcome, err = c.WaitForSession(anHour(t), id, &coder.WaitForSessionOptions{StallTimeout: time.Minute})
				require.NoError(t, err)
				require.Equal(t, id, outcome.Session.SessionID)
				outcome.Evidence = relative(outcome.Evidence, turn)
				if evidence {
					want := row.between
					if want == nil {
						want = []float64{2, 3, 2}
					}
					assert.Equal(t, want, gaps(looks(hub)))
				}
			})
			return outcome
		}
		t.Run(row.name, func(t *testing.T) {
			outcome := run(t, true)
			assert.Equal(t, row.kind, outcome.Kind)
			assert.Equal(t, row.want, outcome.Evidence)
			if row.finished != "" {
				assert.Equal(t, row.finished, outcome.Finished)
			}
			assert.Equal(t, row.stop, outcome.StopReason)
			assert.Equal(t, row.says, outcome.ErrorMessage)
			assert.Equal(t, row.stop == coder.StopReasonLength, outcome.Truncated)
			switch row.kind {
			case coder.OutcomeArchived, coder.OutcomeDeleted:
				assert.Equal(t, row.finished == coder.OutcomeTurnEnded, outcome.Succeeded())
			default:
				assert.Equal(t, row.kind == coder.OutcomeCompleted || row.kind == coder.OutcomeTurnEnded, outcome.Succeeded())
			}
		})
		t.Run(row.name+", without the evidence", func(t *testing.T) {
			outcome := run(t, false)
			assert.Equal(t, coder.OutcomeStalled, outcome.Kind, "from %q", outcome.Evidence)
		})
	}
}

// TestWaitForSession_NoEvidence has what looks like the evidence for something, and is not.
func TestWaitForSession_NoEvidence(t *testing.T) {
	rows := map[string]struct {
		state step
		away  []string
	}{
		"an error that it recovered from":    {state: emit("session_error", "message_end")},
		"an error, and somebody who came":    {state: emit("session_error", "session_leave", "session_join")},
		"an error that may be retried":       {state: inOrder(ended("error", "529 overloaded"), payload("auto_retry_start", map[string]any{"delayMs": 3600000}))},
		"an answer, and a compaction":        {state: inOrder(ended("stop", ""), payload("compaction_start", nil))},
		"an answer, and another prompt":      {state: inOrder(ended("stop", ""), payload("input", map[string]any{"text": "More."}))},
		"a prompt that nobody works on":      {state: inOrder(ended("stop", ""), emit("session_start", "session_complete", "session_start"), payload("input", map[string]any{"text": "More."}))},
		"an answer of a loop":                {state: inOrder(loopAt("running"), ended("stop", ""))},
		"completed by a stale history":       {state: inOrder(loopAt("completed"), loopAt("running"))},
		"completed, then at work again":      {state: inOrder(loopAt("completed"), emit("turn_start"), set("loopStatus", "running")), away: []string{loopRoute}},
		"blocked no longer":                  {state: inOrder(loopAt("running"), set("loopStatus", "blocked"))},
		"has its input":                      {state: inOrder(loopAt("running"), set("loopStatus", "awaiting_input"))},
		"the end of a turn of a loop":        {state: inOrder(loopAt("running"), emit("turn_end"))},
		"the end of a turn, loop not known":  {state: inOrder(set("workflowMode", "loop"), emit("turn_end")), away: []string{loopRoute}},
		"the end of a turn of a task":        {state: func(s *codertest.SessionControl) { s.Emit(codertest.Event{Event: "turn_end", TaskID: "t1"}) }},
		"a task that goes on, by history":    {state: inOrder(func(s *codertest.SessionControl) { s.Emit(codertest.Event{Event: "task_start", TaskID: "t1"}) }, emit("turn_end"))},
		"a task that goes on, by the detail": {state: inOrder(emit("turn_end"), set("tasks", []any{map[string]any{"taskId": "t1", "status": "running"}}))},
		"an agent that is busy":              {state: inOrder(emit("turn_end"), set("agentActivity", map[string]any{"lead": map[string]any{"status": "tool_end"}}))},
		"waking up for a prompt":             {state: inOrder(emit("turn_end"), set("status", "resuming"), set("runtimeAvailable", false))},
		"being provisioned":                  {state: inOrder(emit("turn_end"), set("bucket", "provisioning"), set("runtimeAvailable", false))},
		"paused with its runtime":            {state: inOrder(set("bucket", "paused"), set("liveExpected", false))},
		"resuming, nobody expected":          {state: inOrder(emit("turn_end"), set("status", "resuming"), set("liveExpected", false))},
		"paused, somebody is coming":         {state: inOrder((*codertest.SessionControl).Pause, set("liveExpected", true))},
		"resuming":                           {state: inOrder((*codertest.SessionControl).Pause, set("status", "resuming"))},
		"paused loop with its runtime":       {state: loopAt("paused")},
	}
	rows["session_complete, then session_start"] = struct {
		state step
		away  []string
	}{state: emit("session_complete", "session_start")}
	for _, event := range []string{
		"turn_start", "before_agent_start", "agent_start", "task_start", "user_prompt", "input", "loop_started", "loop_resumed",
	} {
		rows["session_complete, then "+event] = struct {
			state step
			away  []string
		}{state: emit("session_complete", event)}
		rows["turn_end, then "+event] = struct {
			state step
			away  []string
		}{state: emit("turn_end", event)}
	}
	for _, event := range []string{"tool_call", "tool_execution_start", "message_start", "thinking_start"} {
		rows["turn_end, then "+event] = struct {
			state step
			away  []string
		}{state: emit("turn_end", event)}
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, hub *codertest.Hub) {
				id := workingSession(t, hub)
				row.state(hub.Session(id))
				hub.Session(id).Script(make([]func(*codertest.SessionControl), 100)...)
				away(hub, row.away...)
				outcome, err := hubClient(t, hub).WaitForSession(anHour(t), id, &coder.WaitForSessionOptions{StallTimeout: time.Minute})
				require.NoError(t, err)
				assert.Equal(t, coder.OutcomeStalled, outcome.Kind, "from %q", outcome.Evidence)
			})
		})
	}
}

// TestWaitForSession_OutcomeOrder: of several outcomes the first counts.
func TestWaitForSession_OutcomeOrder(t *testing.T) {
	ranked := []struct {
		kind  coder.OutcomeKind
		state step
	}{
		{coder.OutcomeArchived, set("historyOnly", true)},
		{coder.OutcomeFailed, set("status", "failed")},
		{coder.OutcomeCompleted, emit("session_complete", "turn_end")},
		{coder.OutcomeBlocked, set("loopStatus", "blocked")},
		{coder.OutcomeArchived, set("status", "shutdown")},
		{coder.OutcomeNeedsInput, payload("rpc_ui_request", map[string]any{"id": "1", "method": "confirm"})},
		{coder.OutcomePaused, (*codertest.SessionControl).Pause},
	}
	for i, first := range ranked {
		for _, second := range ranked[i+1:] {
			t.Run(string(first.kind+" before "+second.kind), func(t *testing.T) {
				bubble(t, func(t *testing.T, hub *codertest.Hub) {
					id := workingSession(t, hub)
					inOrder(second.state, first.state)(hub.Session(id))
					outcome, err := hubClient(t, hub).WaitForSession(anHour(t), id, nil)
					require.NoError(t, err)
					assert.Equal(t, first.kind, outcome.Kind, "from %q", outcome.Evidence)
				})
			})
		}
	}
}

// TestWaitForSession_Stalled, without a change for StallTimeout; and the same session with a sign of life.
func TestWaitForSession_Stalled(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		c := hubClient(t, hub)
		id, turn := sessionInTurn(t, hub)
		loopAt("running")(hub.Session(id))
		began := time.Now()
		outcome, err := c.WaitForSession(anHour(t), id, nil)
		require.NoError(t, err)
		assert.Equal(t, coder.OutcomeStalled, outcome.Kind)
		require.NotNil(t, outcome.Loop)
		assert.Equal(t, coder.LoopRunning, outcome.Loop.Status)
		took := time.Since(began)
		assert.GreaterOrEqual(t, took, 10*time.Minute)
		assert.Less(t, took, 10*time.Minute+15*time.Second)
		assert.Equal(t, []string{
			"nothing has changed for " + took.Round(time.Second).String(), "status is active", "loop status is running",
			"loopStatus of the session is running", "a run is open", "event #+1 loop_state_updated is the newest",
		}, relative(outcome.Evidence, turn))
	})
	signs := map[string]func(s *codertest.SessionControl, n int){
		"event": func(s *codertest.SessionControl, _ int) {
			s.Emit(codertest.Event{Event: "message_update"})
		},
		"activity":   func(s *codertest.SessionControl, n int) { s.Set("lastActivityAt", time.Unix(int64(n), 0)) },
		"update":     func(s *codertest.SessionControl, n int) { s.Set("updatedAt", time.Unix(int64(n), 0)) },
		"status":     func(s *codertest.SessionControl, n int) { s.Set("status", []string{"active", "running"}[n%2]) },
		"flag":       func(s *codertest.SessionControl, n int) { s.Set("controlAvailable", n%2 == 0) },
		"loop state": func(s *codertest.SessionControl, n int) { s.SetLoop(codertest.Loop{Status: "running", Iteration: n}) },
	}
	for name, sign := range signs {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, hub *codertest.Hub) {
				id := workingSession(t, hub)
				n := 0
				again := func(s *codertest.SessionControl) { n++; sign(s, n) }
				hub.Session(id).Script(slices.Repeat([]func(*codertest.SessionControl){nil, again}, 100)...)
				ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
				defer cancel()
				_, err := hubClient(t, hub).WaitForSession(ctx, id, &coder.WaitForSessionOptions{StallTimeout: 20 * time.Second})
				require.ErrorIs(t, err, context.DeadlineExceeded)
			})
		})
	}
	t.Run("never", func(t *testing.T) {
		bubble(t, func(t *testing.T, hub *codertest.Hub) {
			id := workingSession(t, hub)
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			_, err := hubClient(t, hub).WaitForSession(ctx, id, &coder.WaitForSessionOptions{StallTimeout: -1})
			require.ErrorIs(t, err, context.DeadlineExceeded)
		})
	})
	t.Run("a source that comes and goes is no sign of life", func(t *testing.T) {
		bubble(t, func(t *testing.T, hub *codertest.Hub) {
			id := workingSession(t, hub)
			loopAt("running")(hub.Session(id))
			for n := range 40 {
				hub.Inject(codertest.Fault{Route: []string{historyRoute, loopRoute}[n%2], Skip: n, Status: 500})
			}
			began := time.Now()
			outcome, err := hubClient(t, hub).WaitForSession(anHour(t), id, &coder.WaitForSessionOptions{StallTimeout: time.Minute})
			require.NoError(t, err)
			assert.Equal(t, coder.OutcomeStalled, outcome.Kind)
			assert.InDelta(t, 68, time.Since(began).Seconds(), 8)
		})
	})
}

// TestWaitForSession_Confirms: what one look shows and the next does not is not believed, and what could not
// be read refutes nothing.
func TestWaitForSession_Confirms(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		c := hubClient(t, hub)
		id := workingSession(t, hub)
		hub.Session(id).Script(
			nil, emit("turn_end"), emit("turn_start"), // at once the next turn
			nil, set("status", "failed"), inOrder(set("status", nil), emit("turn_end")), // another kind
			emit("turn_start"), nil,
			set("historyOnly", true),
		)
		outcome, err := c.WaitForSession(anHour(t), id, nil)
		require.NoError(t, err)
		assert.Equal(t, coder.OutcomeArchived, outcome.Kind)
		assert.Len(t, looks(hub), 10)
	})
	t.Run("a deleted session that is there again", func(t *testing.T) {
		bubble(t, func(t *testing.T, hub *codertest.Hub) {
			id := workingSession(t, hub)
			hub.Inject(codertest.Fault{Route: detailRoute, Skip: 1, Status: 404, Body: []byte(`{"code":"CODER_SESSION_NOT_FOUND"}`)})
			hub.Session(id).Script(nil, set("status", "failed"))
			polls := 0
			outcome, err := hubClient(t, hub).WaitForSession(anHour(t), id, &coder.WaitForSessionOptions{OnPoll: func(*coder.Session) { polls++ }})
			require.NoError(t, err)
			assert.Equal(t, coder.OutcomeFailed, outcome.Kind)
			assert.Len(t, looks(hub), 4)
			assert.Equal(t, 3, polls, "one look saw no session")
		})
	})
	t.Run("a failure between", func(t *testing.T) {
		bubble(t, func(t *testing.T, hub *codertest.Hub) {
			id := workingSession(t, hub)
			hub.Session(id).Emit(codertest.Event{Event: "session_complete"})
			hub.Inject(codertest.Fault{Route: historyRoute, Skip: 1, Status: 500})
			hub.Inject(codertest.Fault{Route: detailRoute, Skip: 2, Status: 500})
			outcome, err := hubClient(t, hub).WaitForSession(anHour(t), id, nil)
			require.NoError(t, err)
			assert.Equal(t, coder.OutcomeCompleted, outcome.Kind)
			assert.Len(t, looks(hub), 4)
		})
	})
}

// TestWaitForSession_Intervals: looks are never closer than PollInterval, and become rarer while nothing
// changes.
func TestWaitForSession_Intervals(t *testing.T) {
	for name, test := range map[string]struct {
		options *coder.WaitForSessionOptions
		faults  []codertest.Fault
		want    []float64
	}{
		"defaults": {nil, nil, []float64{2, 3, 4.5, 6.75, 10.125, 2, 3, 4.5, 6.75, 10.125, 15, 15}},
		"own": {
			&coder.WaitForSessionOptions{PollInterval: time.Second, MaxPollInterval: 2 * time.Second}, nil,
			[]float64{1, 1.5, 2, 2, 2, 1, 1.5, 2, 2, 2, 2, 2},
		},
		"a maximum below the least": {
			&coder.WaitForSessionOptions{PollInterval: 20 * time.Second}, nil,
			[]float64{20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20},
		},
		"each failure is a look": {
			nil, []codertest.Fault{{Route: detailRoute, Skip: 1, Count: 3, Status: 503}, {Route: historyRoute, Count: -1, Status: 502}},
			[]float64{2, 3, 4.5, 6.75, 10.125, 15, 15, 15, 2, 3, 4.5, 6.75},
		},
		"a wait the Hub asks for": {
			nil, []codertest.Fault{{Route: detailRoute, Skip: 1, Count: 1, Status: 429, Header: http.Header{"Retry-After": {"60"}}}},
			[]float64{2, 60, 4.5, 6.75, 10.125, 15, 2, 3, 4.5, 6.75, 10.125, 15},
		},
		"and one that is shorter": {
			nil, []codertest.Fault{{Route: detailRoute, Skip: 1, Count: 1, Status: 503, Header: http.Header{"Retry-After": {"0"}}}},
			[]float64{2, 3, 4.5, 6.75, 10.125, 15, 2, 3, 4.5, 6.75, 10.125, 15},
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, hub *codertest.Hub) {
				id := workingSession(t, hub)
				hub.Session(id).Script(nil, nil, nil, nil, nil, emit("message_update"))
				for _, fault := range test.faults {
					hub.Inject(fault)
				}
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
				defer cancel()
				_, err := hubClient(t, hub).WaitForSession(ctx, id, test.options)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				assert.Equal(t, test.want, gaps(looks(hub))[:len(test.want)])
				for _, r := range hub.Requests() {
					if r.Route == historyRoute {
						assert.Equal(t, "limit=3", r.RawQuery)
					}
					assert.NotEqual(t, loopRoute, r.Route, "a standard session has no loop")
				}
			})
		})
	}
	t.Run("history and loop have waits of their own", func(t *testing.T) {
		bubble(t, func(t *testing.T, hub *codertest.Hub) {
			id := workingSession(t, hub)
			loopAt("running")(hub.Session(id))
			hub.Inject(codertest.Fault{Route: historyRoute, Status: 503, Header: http.Header{"Retry-After": {"25"}}})
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			_, err := hubClient(t, hub).WaitForSession(ctx, id, nil)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			count := map[string]int{}
			for _, r := range hub.Requests() {
				count[r.Route]++
			}
			assert.Equal(t, map[string]int{"/hub/session": 1, detailRoute: 7, historyRoute: 3, loopRoute: 7}, count)
		})
	})
}

// TestWaitForSession_RidesOut: failures that pass do not end a wait, and none is repeated within a look.
func TestWaitForSession_RidesOut(t *testing.T) {
	html := http.Header{"Content-Type": {"text/html"}}
	for name, fault := range map[string]codertest.Fault{
		"408":             {Status: 408},
		"429":             {Status: 429},
		"409 of rates":    {Status: 409, Header: http.Header{"Retry-After": {"7"}}},
		"500":             {Status: 500},
		"502 with HTML":   {Status: 502, Header: html, Body: []byte("<html>")},
		"503":             {Status: 503},
		"504":             {Status: 504},
		"login page":      {Status: 200, Header: html, Body: []byte("<html>log in</html>")},
		"empty answer":    {Status: 200, Body: []byte{}},
		"another answer":  {Status: 200, Body: []byte(`{"ok":true}`)},
		"cut answer":      {Cut: codertest.CutMidBody},
		"no answer":       {Stall: true},
		"half an answer":  {Cut: codertest.CutMidBody, Stall: true},
		"dropped":         {Cut: codertest.CutBeforeEffect},
		"a slow answer":   {Delay: 50 * time.Second},
		"answer says no":  {Status: 200, Body: []byte(`{"ok":false,"sessionId":"x"}`)},
		"no JSON in JSON": {Status: 200, Body: []byte(`{"sessionId":`)},
	} {
		for _, route := range []string{detailRoute, historyRoute, loopRoute} {
			t.Run(name+" "+route, func(t *testing.T) {
				bubble(t, func(t *testing.T, hub *codertest.Hub) {
					c := hubClient(t, hub)
					id := workingSession(t, hub)
					loopAt("running")(hub.Session(id))
					fault.Route, fault.Skip, fault.Count = route, 1, 3
					in := hub.Inject(fault)
					hub.Session(id).Script(nil, nil, nil, nil, nil, nil, loopAt("completed"))
					polls := 0
					outcome, err := c.WaitForSession(anHour(t), id, &coder.WaitForSessionOptions{OnPoll: func(s *coder.Session) {
						polls++
						assert.Equal(t, id, s.SessionID)
					}})
					require.NoError(t, err)
					assert.Equal(t, coder.OutcomeCompleted, outcome.Kind)
					assert.Equal(t, 3, in.Hits())
					for _, gap := range gaps(looks(hub)) {
						if fault.Cut == codertest.CutNone { // net/http repeats a GET on a used connection by itself
							assert.GreaterOrEqual(t, gap, 2.0)
						}
					}
					answered := 0
					for _, r := range hub.Requests() {
						if r.Route == detailRoute && r.Status == 200 {
							answered++
						}
					}
					if fault.Status != 200 && fault.Cut != codertest.CutMidBody || route != detailRoute {
						assert.Equal(t, answered, polls, "OnPoll is called for every look that saw the session")
					}
					c.CloseIdleConnections()
				})
			})
		}
	}
}

// TestWaitForSession_WithoutHistory: one that hangs for good holds nothing up for long.
func TestWaitForSession_WithoutHistory(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		c := hubClient(t, hub)
		id := workingSession(t, hub)
		hub.Session(id).SetStatus("failed")
		hub.Inject(codertest.Fault{Route: historyRoute, Count: -1, Stall: true})
		began := time.Now()
		outcome, err := c.WaitForSession(anHour(t), id, nil)
		require.NoError(t, err)
		assert.Equal(t, coder.OutcomeFailed, outcome.Kind)
		assert.Equal(t, 62*time.Second, time.Since(began))
		c.CloseIdleConnections()
	})
}

// restarting is a client of a Hub that nobody can reach for a while: connections are refused, and
// those there are end.
func restarting(t *testing.T, hub *codertest.Hub, after, down time.Duration) (c *coder.Client, refusals *atomic.Int32) {
	t.Helper()
	base := hub.HTTPClient().Transport.(*http.Transport).Clone()
	dial := base.DialContext
	began := time.Now()
	refusals = new(atomic.Int32)
	base.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if since := time.Since(began); since >= after && since < after+down {
			refusals.Add(1)
			return nil, &net.OpError{Op: "dial", Net: network, Err: refused}
		}
		return dial(ctx, network, address)
	}
	time.AfterFunc(after, base.CloseIdleConnections)
	t.Cleanup(base.CloseIdleConnections)
	return hubClient(t, hub, coder.WithHTTPClient(&http.Client{Transport: base})), refusals
}

func TestWaitForSession_ThroughARestart(t *testing.T) {
	for name, after := range map[string]time.Duration{"at first": 0, "later": 10 * time.Second} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, hub *codertest.Hub) {
				id := workingSession(t, hub)
				began := time.Now()
				time.AfterFunc(after+15*time.Second, func() { hub.Session(id).Emit(codertest.Event{Event: "session_complete"}) })
				c, refusals := restarting(t, hub, after, 15*time.Second)
				outcome, err := c.WaitForSession(anHour(t), id, &coder.WaitForSessionOptions{MaxPollInterval: 4 * time.Second})
				require.NoError(t, err)
				assert.Equal(t, coder.OutcomeCompleted, outcome.Kind)
				assert.Less(t, time.Since(began), after+35*time.Second)
				assert.GreaterOrEqual(t, refusals.Load(), int32(2), "it was away")
				c.CloseIdleConnections()
			})
		})
	}
	t.Run("away is not stalled", func(t *testing.T) {
		bubble(t, func(t *testing.T, hub *codertest.Hub) {
			id := workingSession(t, hub)
			began := time.Now()
			c, refusals := restarting(t, hub, 5*time.Minute, 9*time.Minute)
			outcome, err := c.WaitForSession(anHour(t), id, nil)
			require.NoError(t, err)
			assert.Equal(t, coder.OutcomeStalled, outcome.Kind)
			assert.InDelta(t, 19*60, time.Since(began).Seconds(), 30, "ten minutes of what was seen")
			assert.GreaterOrEqual(t, refusals.Load(), int32(30), "it was away")
			c.CloseIdleConnections()
		})
	})
}

// TestWaitForSession_Silent: a Hub that accepts requests and does not answer them ends a wait after StallTimeout, and the
// error says so, not how long the last look took.
func TestWaitForSession_Silent(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		id := workingSession(t, hub)
		hub.Inject(codertest.Fault{Route: detailRoute, Skip: 2, Count: -1, Stall: true})
		_, err := hubClient(t, hub).WaitForSession(anHour(t), id, &coder.WaitForSessionOptions{StallTimeout: 5*time.Minute + 7*time.Second})
		require.ErrorContains(t, err, "the Hub has not answered for 5m7s")
	})
}

// TestWaitForSession_GivesUp when the Hub has given no answer for StallTimeout, or says that it will not.
func TestWaitForSession_GivesUp(t *testing.T) {
	for name, test := range map[string]struct {
		stall time.Duration
		fault codertest.Fault
		took  [2]time.Duration
	}{
		"503":                 {time.Minute, codertest.Fault{Status: 503}, [2]time.Duration{62 * time.Second, 80 * time.Second}},
		"a wait too long":     {time.Minute, codertest.Fault{Status: 503, Header: http.Header{"Retry-After": {"3600"}}}, [2]time.Duration{5 * time.Second, 5 * time.Second}},
		"a wait within it":    {time.Minute, codertest.Fault{Status: 503, Header: http.Header{"Retry-After": {"50"}}}, [2]time.Duration{55 * time.Second, 55 * time.Second}},
		"a wait, with a time": {0, codertest.Fault{Status: 503, Header: http.Header{"Retry-After": {"590"}}}, [2]time.Duration{595 * time.Second, 595 * time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, hub *codertest.Hub) {
				id := workingSession(t, hub)
				test.fault.Route, test.fault.Skip, test.fault.Count = detailRoute, 2, -1
				hub.Inject(test.fault)
				began := time.Now()
				_, err := hubClient(t, hub).WaitForSession(anHour(t), id, &coder.WaitForSessionOptions{StallTimeout: test.stall})
				require.ErrorIs(t, err, coder.ErrUnavailable)
				var failed *coder.WaitError
				require.ErrorAs(t, err, &failed)
				assert.Equal(t, id, failed.Session.SessionID)
				assert.GreaterOrEqual(t, time.Since(began), test.took[0])
				assert.LessOrEqual(t, time.Since(began), test.took[1])
			})
		})
	}
	t.Run("never", func(t *testing.T) {
		bubble(t, func(t *testing.T, hub *codertest.Hub) {
			id := workingSession(t, hub)
			hub.Inject(codertest.Fault{Route: detailRoute, Status: 503, Header: http.Header{"Retry-After": {"7200"}}})
			hub.Session(id).SetStatus("failed")
			began := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Hour)
			defer cancel()
			outcome, err := hubClient(t, hub).WaitForSession(ctx, id, &coder.WaitForSessionOptions{StallTimeout: -1})
			require.NoError(t, err)
			assert.Equal(t, coder.OutcomeFailed, outcome.Kind)
			assert.GreaterOrEqual(t, time.Since(began), 2*time.Hour)
		})
	})
}

// TestWaitForSession_IsRefused: what the next look would meet again ends the wait.
func TestWaitForSession_IsRefused(t *testing.T) {
	text := http.Header{"Content-Type": {"text/plain"}}
	for name, test := range map[string]struct {
		fault codertest.Fault
		is    error
	}{
		"400":            {codertest.Fault{Status: 400}, coder.ErrInvalidRequest},
		"401":            {codertest.Fault{Status: 401}, coder.ErrUnauthorized},
		"402":            {codertest.Fault{Status: 402}, coder.ErrPaymentRequired},
		"403":            {codertest.Fault{Status: 403}, coder.ErrForbidden},
		"404 of no Hub":  {codertest.Fault{Status: 404, Header: text, Body: []byte("default backend")}, coder.ErrNotFound},
		"409":            {codertest.Fault{Status: 409}, coder.ErrConflict},
		"418":            {codertest.Fault{Status: 418}, nil},
		"426":            {codertest.Fault{Status: 426}, coder.ErrUpgradeRequired},
		"302 to nowhere": {codertest.Fault{Status: 302, Header: http.Header{"Location": {"https://elsewhere.invalid"}}}, nil},
	} {
		for skip, seen := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				bubble(t, func(t *testing.T, hub *codertest.Hub) {
					id := workingSession(t, hub)
					loopAt("running")(hub.Session(id))
					test.fault.Route, test.fault.Skip = detailRoute, skip
					hub.Inject(test.fault)
					outcome, err := hubClient(t, hub).WaitForSession(anHour(t), id, nil)
					assert.Nil(t, outcome)
					var failed *coder.WaitError
					require.ErrorAs(t, err, &failed)
					assert.Equal(t, seen, failed.Session != nil)
					assert.Equal(t, seen, failed.Loop != nil)
					assert.Equal(t, seen, strings.HasSuffix(err.Error(), "; last seen: status active, loop running"), err.Error())
					assert.Len(t, looks(hub), skip+1)
					var api *coder.APIError
					require.ErrorAs(t, err, &api)
					assert.Equal(t, "WaitForSession", api.Operation)
					assert.Equal(t, test.fault.Status, api.StatusCode)
					if test.is != nil {
						require.ErrorIs(t, err, test.is)
					}
				})
			})
		}
	}
	t.Run("no such session", func(t *testing.T) {
		bubble(t, func(t *testing.T, hub *codertest.Hub) {
			hub.Inject(codertest.Fault{Status: 503})
			_, err := hubClient(t, hub).WaitForSession(anHour(t), "codesess_unknown", nil)
			require.ErrorIs(t, err, coder.ErrSessionNotFound)
			var wrapped *coder.WaitError
			require.NotErrorAs(t, err, &wrapped, "it is the error itself")
			assert.Len(t, looks(hub), 2)
		})
	})
}

// TestWaitForSession_HistoryIsRefused: without a history that there is, the outcome of a prompt can never be known.
func TestWaitForSession_HistoryIsRefused(t *testing.T) {
	for name, test := range map[string]struct {
		status, count int
		loop          bool
		ends          error // nil: it stalls, since it cannot tell
	}{
		"never":                {403, -1, false, coder.ErrForbidden},
		"nor with another key": {401, -1, false, coder.ErrUnauthorized},
		"not once":             {403, 1, false, nil},
		"there is no history":  {404, -1, false, nil},
		"later, perhaps":       {503, -1, false, nil},
		"a loop tells more":    {403, -1, true, nil},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, hub *codertest.Hub) {
				id := workingSession(t, hub)
				if test.loop {
					loopAt("running")(hub.Session(id))
				}
				hub.Inject(codertest.Fault{Route: historyRoute, Status: test.status, Count: test.count})
				outcome, err := hubClient(t, hub).WaitForSession(anHour(t), id, nil)
				if test.ends == nil {
					require.NoError(t, err)
					assert.Equal(t, coder.OutcomeStalled, outcome.Kind)
					return
				}
				require.ErrorIs(t, err, test.ends)
				require.ErrorAs(t, err, new(*coder.WaitError))
				assert.Len(t, looks(hub), 2)
			})
		})
	}
	t.Run("but the session says enough", func(t *testing.T) {
		bubble(t, func(t *testing.T, hub *codertest.Hub) {
			id := workingSession(t, hub)
			hub.Session(id).Archive()
			hub.Inject(codertest.Fault{Route: historyRoute, Status: 403, Count: -1})
			outcome, err := hubClient(t, hub).WaitForSession(anHour(t), id, nil)
			require.NoError(t, err)
			assert.Equal(t, coder.OutcomeArchived, outcome.Kind)
		})
	})
}

func TestWaitForSession_EndsWithTheContext(t *testing.T) {
	for name, fault := range map[string]*codertest.Fault{
		"between looks": nil,
		"in a look":     {Route: detailRoute, Skip: 2, Stall: true},
		"in a history":  {Route: historyRoute, Skip: 2, Stall: true},
		"while away":    {Route: detailRoute, Skip: 1, Count: -1, Status: 503},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, hub *codertest.Hub) {
				c := hubClient(t, hub)
				id := workingSession(t, hub)
				if fault != nil {
					hub.Inject(*fault)
				}
				why := errors.New("the shift is over")
				ctx, cancel := context.WithTimeoutCause(t.Context(), 8*time.Second, why)
				defer cancel()
				began := time.Now()
				outcome, err := c.WaitForSession(ctx, id, nil)
				assert.Nil(t, outcome)
				assert.Equal(t, 8*time.Second, time.Since(began))
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.ErrorIs(t, err, why)
				assert.Equal(t, name == "while away", errors.Is(err, coder.ErrUnavailable), "what came before")
				var failed *coder.WaitError
				require.ErrorAs(t, err, &failed)
				assert.Equal(t, id, failed.Session.SessionID)
				assert.Equal(t, "active", failed.Session.Status)
				assert.Regexp(t, `^coder: WaitForSession: context deadline exceeded: the shift is over.*; last seen: status active$`, err.Error())
				assert.Equal(t, 1, strings.Count(err.Error(), "deadline"), err.Error())
				c.CloseIdleConnections()
			})
		})
	}
	t.Run("before it began", func(t *testing.T) {
		bubble(t, func(t *testing.T, hub *codertest.Hub) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			_, err := hubClient(t, hub).WaitForSession(ctx, "x", nil)
			require.ErrorIs(t, err, context.Canceled)
			var failed *coder.WaitError
			require.ErrorAs(t, err, &failed)
			assert.Nil(t, failed.Session)
			assert.Empty(t, hub.Requests())
		})
	})
}

func TestWaitForSession_BadArguments(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		c := hubClient(t, hub)
		for field, options := range map[string]coder.WaitForSessionOptions{
			"PollInterval": {PollInterval: -1}, "MaxPollInterval": {MaxPollInterval: -1}, "AfterEvent": {AfterEvent: -1},
		} {
			_, err := c.WaitForSession(anHour(t), "x", &options)
			var invalid *coder.ValidationError
			require.ErrorAs(t, err, &invalid)
			assert.Equal(t, "WaitForSession", invalid.Operation)
			assert.Equal(t, field, invalid.Field)
		}
		var none context.Context
		_, err := c.WaitForSession(none, "x", nil)
		var invalid *coder.ValidationError
		require.ErrorAs(t, err, &invalid)
		assert.Equal(t, "ctx", invalid.Field)
		for _, id := range []string{"", ".", ".."} {
			_, err := c.WaitForSession(anHour(t), id, nil)
			var invalid *coder.ValidationError
			require.ErrorAs(t, err, &invalid)
			var wrapped *coder.WaitError
			require.NotErrorAs(t, err, &wrapped)
		}
		assert.Empty(t, hub.Requests())

		_, err = c.WaitForSession(anHour(t), "a/..b c", nil)
		require.ErrorIs(t, err, coder.ErrSessionNotFound)
		assert.Equal(t, "/api/hub/session/a%2F..b%20c", hub.Requests()[0].Path)
	})
}

// TestWaitForSession_HistoryInAnyOrder: the Hub promises none.
func TestWaitForSession_HistoryInAnyOrder(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		id := workingSession(t, hub)
		hub.Inject(codertest.Fault{Route: historyRoute, Count: -1, Body: []byte(`{"sessionId":"` + id + `","events":[
			{"id":7,"event":"session_error"},{"id":11,"event":"turn_end"},{"id":9,"event":"turn_start"},{"id":3,"event":"session_start"}]}`)})
		outcome, err := hubClient(t, hub).WaitForSession(anHour(t), id, nil)
		require.NoError(t, err)
		assert.Equal(t, coder.OutcomeNeedsInput, outcome.Kind)
		assert.Contains(t, outcome.Evidence, "event #11 turn_end is the newest")
	})
}
