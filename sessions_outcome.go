package coder

import (
	"fmt"
	"slices"
	"strings"
)

// observation is what one look at a session has shown.
type observation struct {
	session *Session
	gone    bool              // the Hub no longer knows the session, which is as last seen
	loop    *SessionLoopState // nil: none, or not read
	events  []SessionEvent    // the newest of the history, newest first; nil: not read
	partial bool              // something that was asked for was not answered
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
	r.add(o.session.Status == statusArchived, "status is %s", o.session.Status)
	r.add(o.session.HistoryOnly, "historyOnly is set")
	return r
}

func (o *observation) failed() (r readings) {
	status := o.session.Status
	r.add(status == statusError || status == statusFailed, "status is %s", status)
	r = append(r, o.loopIs(LoopFailed)...)
	return append(r, o.newestIs(EventSessionError)...)
}

func (o *observation) completed() readings {
	r := o.loopIs(LoopCompleted)
	i := o.newest(func(e *SessionEvent) bool { return e.Event == EventSessionComplete })
	r.add(i >= 0 && !o.began(i, workBegins), "%s, and no work began after it", o.event(i))
	return r
}

func (o *observation) cancelled() readings { return o.loopIs(LoopCancelled) }

func (o *observation) blocked() readings { return o.loopIs(LoopBlocked) }

func (o *observation) over() (r readings) {
	status := o.session.Status
	r.add(status == statusShutdown || status == statusStopped, "status is %s", status)
	return append(r, o.newestIs(EventSessionShutdown)...)
}

func (o *observation) needsInput() readings {
	if r := o.loopIs(LoopAwaitingInput); len(r) > 0 || o.inLoop() {
		return r
	}
	var r readings
	i := o.newest((*SessionEvent).ofOwnTurn)
	ended := i >= 0 && o.events[i].Event == EventTurnEnd
	if ended && !o.waking() && !o.began(i, stepBegins) && !o.taskRuns() && !o.agentBusy() {
		r.add(true, "%s is the newest of a turn", o.event(i))
		r.add(true, "nothing began after it, and no task or agent is busy")
	}
	return r
}

func (o *observation) paused() (r readings) {
	s := o.session
	if s.RuntimeAvailable || s.LiveExpected || s.Status == statusResuming {
		return nil
	}
	r.add(s.Status == statusPaused, "status is %s", s.Status)
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
	return o.session.Status == statusResuming || o.session.LiveExpected && !o.session.RuntimeAvailable
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
	i := o.newest(func(e *SessionEvent) bool { return strings.HasPrefix(e.Event, "loop_") })
	if i >= 0 && loopEnds[o.events[i].Event] != "" && !o.began(i, workBegins) {
		all = append(all, loopReading{loopEnds[o.events[i].Event], o.event(i) + ", and no work began after it"})
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

// workBegins are the events that say that a session is at work, stepBegins those within a turn.
var (
	workBegins = []EventName{
		EventSessionStart, EventTurnStart, EventBeforeAgentStart, EventAgentStart, EventTaskStart,
		EventLoopStarted, EventLoopResumed, "user_prompt", "input",
	}
	stepBegins = append([]EventName{
		EventToolCall, EventToolExecutionStart, EventMessageStart, EventThinkingStart,
	}, workBegins...)
)

// newest returns the index of the newest event that matches, -1 if there is none.
func (o *observation) newest(match func(*SessionEvent) bool) int {
	for i := range o.events {
		if match(&o.events[i]) {
			return i
		}
	}
	return -1
}

// newestIs returns a reading if the newest event has this name. session_leave and agent_end may follow it.
func (o *observation) newestIs(name EventName) (r readings) {
	i := o.newest(func(e *SessionEvent) bool { return e.Event != EventSessionLeave && e.Event != EventAgentEnd })
	said := i >= 0 && o.events[i].Event == name
	r.add(said && i == 0, "%s is the newest", o.event(i))
	r.add(said && i > 0, "%s, and only goodbyes after it", o.event(i))
	return r
}

// began tells whether one of the events with these names is newer than that at index i.
func (o *observation) began(i int, names []EventName) bool {
	return slices.ContainsFunc(o.events[:i], func(e SessionEvent) bool { return slices.Contains(names, e.Event) })
}

// event names an event in evidence.
func (o *observation) event(i int) string {
	if i < 0 || i >= len(o.events) {
		return ""
	}
	return fmt.Sprintf("event #%d %s", o.events[i].ID, o.events[i].Event)
}

// ofOwnTurn tells the turns of the session from those of its tasks.
func (e *SessionEvent) ofOwnTurn() bool {
	return e.TaskID == "" && (e.Event == EventTurnStart || e.Event == EventTurnEnd)
}

// taskRuns tells whether a task is running: by the session's word, else by its history.
func (o *observation) taskRuns() bool {
	if tasks, err := o.session.Tasks(); err == nil && tasks != nil {
		return slices.ContainsFunc(tasks, func(t SessionTaskState) bool { return t.Status == TaskRunning })
	}
	ended := make(map[string]bool)
	for _, e := range o.events { // a start is met after its end
		switch e.Event {
		case EventTaskComplete, EventTaskError:
			ended[e.TaskID] = true
		case EventTaskStart:
			if e.TaskID != "" && !ended[e.TaskID] {
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
