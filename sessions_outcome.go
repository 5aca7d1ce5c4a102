package coder

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/agentuity/coder-go/internal/agentrun"
)

// OutcomeKind says how a session is doing, and so why a wait for it is over.
type OutcomeKind string

// The kinds of outcomes. If several apply, the first one in this list is returned. One exception: a session
// that was shut down is OutcomeArchived only if none of the others down to OutcomeBlocked applies.
const (
	OutcomeDeleted    OutcomeKind = "deleted"     // the session no longer exists
	OutcomeArchived   OutcomeKind = "archived"    // the session is over: archived, shut down or history only
	OutcomeFailed     OutcomeKind = "failed"      // the session, its loop or its last prompt ended with an error
	OutcomeCompleted  OutcomeKind = "completed"   // the session, or its loop, has done its task
	OutcomeCancelled  OutcomeKind = "cancelled"   // somebody cancelled the loop
	OutcomeBlocked    OutcomeKind = "blocked"     // the loop cannot go on by itself
	OutcomeLimited    OutcomeKind = "limited"     // the agent went beyond a limit, and was aborted; only from RunSession
	OutcomeNeedsInput OutcomeKind = "needs_input" // the agent has asked something; or it waits, and nothing says how the last prompt ended
	OutcomeTurnEnded  OutcomeKind = "turn_ended"  // the agent did what it was asked, and waits for the next prompt
	OutcomeAborted    OutcomeKind = "aborted"     // somebody aborted the last prompt
	OutcomePaused     OutcomeKind = "paused"      // the session sleeps, and no wake-up is under way
	OutcomeStalled    OutcomeKind = "stalled"     // nothing has changed for StallTimeout
	OutcomeWorking    OutcomeKind = "working"     // none of these, or not yet; only from CheckSession
)

// SessionOutcome is how a session is doing.
type SessionOutcome struct {
	// Kind says how the session is doing.
	Kind OutcomeKind
	// StopReason is how the agent's last message ended, such as [StopReasonStop], and ErrorMessage what the agent
	// says about an error or an abort. Both are empty if the last prompt is not over, or if the history does not
	// say.
	StopReason   StopReason
	ErrorMessage string
	// Truncated says that the answer is cut: the model had no room for more.
	Truncated bool
	// Finished is how the last prompt ended, even if the session was archived or deleted since: OutcomeTurnEnded,
	// OutcomeFailed or OutcomeAborted. It is OutcomeWorking if it did not end, OutcomeNeedsInput if a question is
	// open, OutcomeStalled if no agent took it, and empty if there was none, or the history does not say.
	Finished OutcomeKind
	// Question is what the agent asks, if Finished is OutcomeNeedsInput. Answer it with [Client.Attach] and
	// [HubConn.RespondUI]; [RPCUIMethod] says with what. If several questions are open it is the newest. Right after an
	// answer an outcome may still have the same one, with the same ID. Of a session that is over since, nobody takes the
	// answer any more. It is nil if the history does not have it.
	Question *RPCUIRequestMessage
	// Session and Loop are as last seen. Loop is nil if there is none, or the Hub did not say.
	Session *Session
	Loop    *SessionLoopState
	// Evidence says in words what Kind was concluded from, such as "loop status is completed".
	// It is for people, and may be worded differently in another version.
	Evidence []string
}

// Succeeded reports whether the session did what it was asked: Kind is OutcomeCompleted or OutcomeTurnEnded, or the
// session is over and its last prompt had succeeded before. An answer that is Truncated counts as success.
func (o *SessionOutcome) Succeeded() bool {
	switch o.Kind {
	case OutcomeCompleted, OutcomeTurnEnded:
		return true
	case OutcomeArchived, OutcomeDeleted:
		return o.Finished == OutcomeTurnEnded
	}
	return false
}

// String returns the outcome in one line, with its reasons if the kind does not say enough: "turn_ended", "failed:
// overloaded", "stalled: nothing has changed for 10m0s". It is for people, and may be worded differently in another
// version.
func (o *SessionOutcome) String() string {
	reasons := strings.Join(o.Evidence, "; ")
	switch {
	case o.Succeeded() || o.Kind == OutcomeWorking:
		reasons = ""
	case o.ErrorMessage != "" && (o.Kind == OutcomeFailed || o.Kind == OutcomeAborted):
		reasons = o.ErrorMessage
	}
	if reasons == "" {
		return string(o.Kind)
	}
	return string(o.Kind) + ": " + reasons
}

// finished is how the last prompt ended.
func finished(r agentrun.Reading) OutcomeKind {
	switch r.Kind {
	case agentrun.Answered, agentrun.TasksDone:
		return OutcomeTurnEnded
	case agentrun.Failed:
		return OutcomeFailed
	case agentrun.Aborted:
		return OutcomeAborted
	case agentrun.Question:
		return OutcomeNeedsInput
	case agentrun.Working:
		return OutcomeWorking
	case agentrun.Unheeded:
		return OutcomeStalled
	}
	return ""
}

// outcome is what an observation comes to.
func (o *observation) outcome(c *Client, kind OutcomeKind, evidence []string) *SessionOutcome {
	agent := o.run.At(o.judged())
	out := &SessionOutcome{Kind: kind, Session: o.session, Loop: o.loop, Finished: finished(agent)}
	if agent.Kind == agentrun.Question {
		out.Question = o.asked
	}
	if agent.Kind.Over() {
		out.StopReason = c.secret.Text(agent.Answer.StopReason)
		out.ErrorMessage = c.secret.Text(agent.Answer.ErrorMessage)
		out.Truncated = out.StopReason == StopReasonLength
	}
	for _, text := range evidence {
		out.Evidence = append(out.Evidence, c.secret.Line(text))
	}
	return out
}

// outcomeRules are in the order in which they are tried. The evidence of a rule that does not
// apply is empty.
var outcomeRules = []struct {
	kind     OutcomeKind
	evidence func(*observation) readings
}{
	{OutcomeDeleted, (*observation).deleted},
	{OutcomeArchived, (*observation).archived},
	{OutcomeFailed, (*observation).failed},
	{OutcomeCompleted, (*observation).completed},
	{OutcomeCancelled, (*observation).cancelled},
	{OutcomeBlocked, (*observation).blocked},
	{OutcomeArchived, (*observation).over}, // before needs_input: a session that is over needs no input
	{OutcomeNeedsInput, (*observation).needsInput},
	{OutcomeTurnEnded, (*observation).turnEnded},
	{OutcomeAborted, (*observation).aborted},
	{OutcomePaused, (*observation).paused},
}

// decide returns the first outcome there is evidence for, or none.
func (o *observation) decide() (OutcomeKind, []string) {
	for _, rule := range outcomeRules {
		if evidence := rule.evidence(o); len(evidence) > 0 {
			return rule.kind, evidence
		}
	}
	return "", nil
}

// readings are the evidence for an outcome, as sentences.
type readings []string

func (r *readings) add(applies bool, format string, args ...any) {
	if applies {
		*r = append(*r, fmt.Sprintf(format, args...))
	}
}

func (o *observation) deleted() (r readings) {
	r.add(o.gone, "the Hub no longer knows the session")
	return r
}

func (o *observation) archived() (r readings) {
	r.add(o.session.Status == StatusArchived, "status is %s", o.session.Status)
	r.add(o.session.HistoryOnly, "historyOnly is set")
	return r
}

func (o *observation) failed() (r readings) {
	status := o.session.Status
	r.add(status == StatusError || status == StatusFailed, "status is %s", status)
	r = append(r, o.loopIs(LoopFailed)...)
	r = append(r, o.newestIs(EventSessionError)...)
	why, _ := o.session.RuntimeError()
	r.add(len(r) > 0 && why != "", "the session says: %s", why)
	return append(r, o.agentIs(agentrun.Failed)...)
}

func (o *observation) completed() readings {
	r := o.loopIs(LoopCompleted)
	i := o.newestOf(func(e *seenEvent) bool { return e.name == EventSessionComplete })
	r.add(i >= 0 && !o.began(i, workBegins), "%s, and no work began after it", o.event(i))
	return r
}

func (o *observation) cancelled() readings { return o.loopIs(LoopCancelled) }

func (o *observation) blocked() readings { return o.loopIs(LoopBlocked) }

func (o *observation) over() (r readings) {
	status := o.session.Status
	r.add(status == StatusShutdown || status == StatusStopped, "status is %s", status)
	return r
}

func (o *observation) needsInput() (r readings) {
	r.add(o.agent.Kind == agentrun.Question, "%s", o.agent.Reason)
	asks := o.asks()
	r.add(asks != "", "the agent asks: %s", asks)
	r = append(r, o.loopIs(LoopAwaitingInput)...)
	if len(r) > 0 || o.taskRuns() || o.agentBusy() {
		return r
	}
	return o.agentIs(agentrun.Ended)
}

// asks is the text of the question that is open, as far as it is known.
func (o *observation) asks() string {
	var params RPCUIParams
	if o.agent.Kind != agentrun.Question || o.asked == nil || o.asked.Decode(&params) != nil {
		return ""
	}
	return cmp.Or(params.Title, params.Message)
}

func (o *observation) turnEnded() readings { return o.agentIs(agentrun.Answered, agentrun.TasksDone) }

func (o *observation) aborted() readings { return o.agentIs(agentrun.Aborted) }

// agentIs returns the reading of the history if it is of one of these kinds. The end of a prompt says nothing in a
// loop, and a session that is waking up was asked for something since.
func (o *observation) agentIs(kinds ...agentrun.Kind) (r readings) {
	if o.inLoop() || o.waking() || !slices.Contains(kinds, o.agent.Kind) {
		return nil
	}
	r.add(true, "%s", o.agent.Reason)
	r.add(o.agent.Answer.ErrorMessage != "", "the agent says: %s", o.agent.Answer.ErrorMessage)
	r.add(len(o.events) > 0, "%s is the newest", o.event(0))
	return r
}

func (o *observation) paused() (r readings) {
	s := o.session
	if s.RuntimeAvailable || s.LiveExpected || s.Status == StatusResuming {
		return nil
	}
	r.add(s.Status == StatusPaused, "status is %s", s.Status)
	r.add(s.Bucket == BucketPaused, "bucket is %s", s.Bucket)
	r.add(len(r) > 0, "there is no runtime, and none is expected")
	return r
}

// inLoop tells whether the session works in a loop, where the end of a turn says nothing.
func (o *observation) inLoop() bool {
	return o.session.WorkflowMode == WorkflowLoop || o.session.LoopStatus != "" || o.loop != nil
}

// waking tells whether a runtime is on its way: the session was asked for something.
func (o *observation) waking() bool {
	return o.session.Status == StatusResuming || o.session.LiveExpected && !o.session.RuntimeAvailable
}

// loopReading is the status of a loop, and the source of it as evidence.
type loopReading struct {
	status LoopStatus
	text   string
}

// loopReadings returns what is known of the loop, the most reliable first.
func (o *observation) loopReadings() []loopReading {
	var all []loopReading
	if o.loop != nil {
		all = append(all, loopReading{o.loop.Status, fmt.Sprintf("loop status is %s", o.loop.Status)})
	}
	if status := o.session.LoopStatus; status != "" {
		all = append(all, loopReading{status, fmt.Sprintf("loopStatus of the session is %s", status)})
	}
	i := o.newestOf(func(e *seenEvent) bool { return strings.HasPrefix(e.name, "loop_") })
	if i >= 0 && loopEnds[o.events[i].name] != "" && !o.began(i, workBegins) {
		all = append(all, loopReading{loopEnds[o.events[i].name], o.event(i) + ", and no work began after it"})
	}
	return all
}

// loopIs returns the readings that say that the loop has a status. The end of a loop is believed
// wherever it is read; of what can change again the best reading decides.
func (o *observation) loopIs(status LoopStatus) (r readings) {
	all := o.loopReadings()
	final := status == LoopFailed || status == LoopCompleted || status == LoopCancelled
	if !final && len(all) > 0 && all[0].status != status {
		return nil
	}
	for _, reading := range all {
		r.add(reading.status == status, "%s", reading.text)
	}
	return r
}

// loopEnds are the events after which a loop does nothing by itself.
var loopEnds = map[EventName]LoopStatus{
	EventLoopCompleted: LoopCompleted,
	EventLoopCancelled: LoopCancelled,
	EventLoopBlocked:   LoopBlocked,
}

// workBegins are the events that say that a session is at work.
var workBegins = []EventName{
	EventSessionStart, EventTurnStart, EventBeforeAgentStart, EventAgentStart, EventTaskStart,
	EventLoopStarted, EventLoopResumed, EventUserPrompt, EventInput,
}

// newestOf returns the index of the newest event that matches, -1 if there is none.
func (o *observation) newestOf(match func(*seenEvent) bool) int {
	for i := range o.events {
		if match(&o.events[i]) {
			return i
		}
	}
	return -1
}

// newestIs returns a reading if the newest event has this name. session_leave and agent_end may follow it.
func (o *observation) newestIs(name EventName) (r readings) {
	i := o.newestOf(func(e *seenEvent) bool { return e.name != EventSessionLeave && e.name != EventAgentEnd })
	said := i >= 0 && o.events[i].name == name
	r.add(said && i == 0, "%s is the newest", o.event(i))
	r.add(said && i > 0, "%s, and only goodbyes after it", o.event(i))
	return r
}

// began tells whether one of the events with these names is newer than that at index i.
func (o *observation) began(i int, names []EventName) bool {
	return slices.ContainsFunc(o.events[:i], func(e seenEvent) bool { return slices.Contains(names, e.name) })
}

// event names an event in evidence.
func (o *observation) event(i int) string {
	if i < 0 || i >= len(o.events) {
		return ""
	}
	return fmt.Sprintf("event #%d %s", o.events[i].id, o.events[i].name)
}

// taskRuns tells whether a task is running: by the session's word, else by its history.
func (o *observation) taskRuns() bool {
	if tasks, err := o.session.Tasks(); err == nil && tasks != nil {
		return slices.ContainsFunc(tasks, func(t SessionTaskState) bool { return t.Status == TaskRunning })
	}
	ended := make(map[string]bool)
	for _, e := range o.events { // a start is met after its end
		switch e.name {
		case EventTaskComplete, EventTaskError:
			ended[e.taskID] = true
		case EventTaskStart:
			if e.taskID != "" && !ended[e.taskID] {
				return true
			}
		}
	}
	return false
}

// agentBusy tells whether an agent does anything. A status that is not known counts as work.
func (o *observation) agentBusy() bool {
	agents, _ := o.session.AgentActivity() // a form that is not known says nothing
	for _, agent := range agents {
		switch agent.Status {
		case "", "idle", "completed", "failed":
		default:
			return true
		}
	}
	return false
}
