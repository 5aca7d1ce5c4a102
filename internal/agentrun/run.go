package agentrun

import (
	"crypto/sha256"
	"maps"
	"strconv"
	"strings"
	"time"
)

// How long a sign of what comes next is waited for. The agent begins a compaction at most 56 ms after the end of a
// run, as measured; a retry comes after the wait that its settings say, 2 s by default and twice that each time.
const (
	compactionFollows = time.Second      // after an answer
	cutIsTriedAgain   = 2 * time.Second  // after an answer that is cut
	runFollows        = 2 * time.Second  // after a compaction
	finalError        = 2 * time.Second  // after an error that no retry mends
	retryFollows      = 15 * time.Second // after an error, beyond what the agent has announced
	retryMargin       = 7 * time.Second  // on top of twice the last wait
	retryIsSure       = 10 * time.Minute // the agent has said that there will be one, but not when
	compactionEnds    = 10 * time.Minute // on one channel a compaction that failed never ends
	promptIsTaken     = time.Minute      // after an input
	abortEnds         = 2 * time.Second  // from a message that was aborted to the end of the run: some milliseconds
	abortSettles      = time.Second      // after a wait for a retry was given up: newer agents say whether by an abort
	questionIsOpen    = time.Minute      // after the end of a tool that may have asked it
	endIsLost         = time.Minute      // after the last turn: the event that ends the run is lost if the connection was
	goodbye           = time.Second      // after a shutdown stray events follow
)

// Run is the state that the events of an agent have led to. The zero Run has seen none.
type Run struct {
	// Whole says that no event of the session came before. Else it is not known at first whether a run is open.
	Whole       bool
	open        bool   // between agent_start and agent_end
	assumed     bool   // that, from the events of its tools alone
	prompted    bool   // the user message of the last prompt was seen
	messageOpen bool   // between message_start and message_end of an answer
	listed      bool   // the run said which messages it had
	last        Answer // the last message that ended
	stale       bool   // it is of the run before
	unread      bool   // a message ended after it whose payload could not be read

	said       time.Time // when the last message of an assistant ended
	turnEnded  time.Time // turn_end, while the run is open and has not gone on
	ended      time.Time // agent_end
	settled    bool      // agent_settled was believed
	retryUntil time.Time // after an error: when no retry will follow any more
	announced  time.Time // the same, if the agent has said when it tries again
	gap        time.Duration

	compacting time.Time // since when; zero: not
	compacted  time.Time // when a compaction ended after which a run is due

	heard    time.Time       // an input that no run has taken yet
	question string          // the id of the one that is open
	another  bool            // was open when that was asked
	asked    map[string]bool // by id: those of this lead, each of which may be reported twice
	tools    map[string]bool // by id: those that run
	toolOnly bool            // nothing but tools of the run was seen, and one of them has ended
	askers   map[string]bool // those that ran when the question was asked, and still do; empty: not known
	doubtful time.Time       // one of several ended, which may have been the one that asked

	sent    time.Time // a prompt while there was no lead
	left    time.Time // the lead's shutdown
	leftNow bool      // and it is off the session, so that nothing follows
	lost    bool      // a run that another start of the lead has cut off

	tasks    map[string]bool // by id: running
	taskDone bool            // a completed task is the newest
}

// Clone returns a copy that shares nothing.
func (r *Run) Clone() Run {
	c := *r
	c.tasks, c.tools, c.askers, c.asked = maps.Clone(r.tasks), maps.Clone(r.tools), maps.Clone(r.askers), maps.Clone(r.asked)
	return c
}

// Pauses reports whether the agent waits before it calls a model again, or compacts the conversation: what it is told
// then is not answered as at other times.
func (r *Run) Pauses(now time.Time) bool {
	return !r.open && r.left.IsZero() && (!r.compacting.IsZero() && now.Before(r.compacting.Add(compactionEnds)) || r.last.StopReason == "error" && r.waitsForRetry(now))
}

// Stops reports whether the agent was aborted and is about to end its run: what it is told then waits for somebody's next
// prompt.
func (r *Run) Stops(now time.Time) bool {
	return r.open && !r.messageOpen && r.last.StopReason == "aborted" && now.Before(r.said.Add(abortEnds))
}

// Read reads events in their order, as they stand at a time. Whole says that they begin with the first of the
// session.
func Read(events []Event, whole bool, now time.Time) Reading {
	r := Run{Whole: whole}
	for i := range events {
		r.Apply(&events[i])
	}
	return r.At(now)
}

// Apply adds an event.
func (r *Run) Apply(e *Event) {
	if e.TaskID != "" && !strings.HasPrefix(e.Name, "task_") {
		return // of an agent that works on a task: what that does ends nothing
	}
	if !r.left.IsZero() && e.Name != "session_start" && e.Name != "session_leave" {
		if !r.isBack(e) {
			r.stray(e)
			return
		}
		r.restart(e.At)
	}
	switch e.Name {
	case "agent_settled", "auto_retry_start", "auto_retry_end", "session_before_compact", "compaction_start", "session_compact", "compaction_end":
		r.closeTurn() // these follow the end of a run
	case "session_start", "session_shutdown", "session_join", "session_leave", "session_label_updated", "presence_update",
		"entry_appended", "queue_update", "extension_error", "rpc_ui_request", "extension_ui_request": // these say nothing of it
	default:
		r.turnEnded = time.Time{}
	}
	switch e.Name {
	case "agent_start":
		if !e.At.Before(r.announced.Add(-retryFollows)) { // the retry that was announced
			r.announced = time.Time{}
		}
		r.begin(e.At)
	case "turn_start", "message_start", "message_update":
		r.work(e)
	case "message_end":
		r.endMessage(e)
	case "turn_end":
		r.endTurn(e)
	case "agent_end":
		r.end(e)
	case "agent_settled":
		r.settle(e)
	case "auto_retry_start":
		r.announced = e.At.Add(e.Delay + retryFollows)
		r.retryUntil = r.announced
	case "auto_retry_end":
		r.announced = time.Time{}
		if e.Success != nil && !*e.Success { // the last has failed too, or somebody aborted the wait
			r.retryUntil = e.At.Add(abortSettles)
		}
	case "session_before_compact", "compaction_start":
		r.compacting = e.At
	case "session_compact", "compaction_end":
		r.endCompaction(e)
	case "input", "user_prompt", "before_agent_start", "context":
		if !r.open && r.compacting.IsZero() && !r.waitsForRetry(e.At) {
			r.heard = e.At
		}
	case "tool_execution_start", "tool_execution_end":
		r.tool(e)
	case "tool_call", "tool_result", "tool_execution_update":
		r.assume(e.At)
	case "task_start", "task_complete", "task_error":
		r.task(e)
	case "rpc_ui_request", "extension_ui_request":
		if e.QuestionID != "" && !r.asked[shortened(e.QuestionID)] {
			r.ask(e.QuestionID)
		}
	case "session_start":
		r.restart(e.At)
	case "session_leave":
		r.leftNow = r.leftNow || e.Participant == "lead" && !r.left.IsZero()
	case "session_shutdown":
		switch e.Reason {
		case "", "quit":
			r.left = e.At
		}
	case "session_complete", "session_error":
		r.open, r.messageOpen = false, false
	}
}

// isBack reports whether an event shows that there is a lead again, whose start was missed.
func (r *Run) isBack(e *Event) bool {
	switch e.Name {
	case "session_join":
		return e.Participant == "lead"
	case "agent_start", "turn_start", "message_start", "input":
		return e.At.After(r.left.Add(goodbye))
	}
	return false
}

// restart takes the start of a lead. What the one before was at is not taken up again.
func (r *Run) restart(at time.Time) {
	r.closeTurn()
	r.lost = r.lost || r.open
	if r.waitsForRetry(at) {
		r.retryUntil = at
	}
	r.open, r.messageOpen, r.leftNow = false, false, false
	r.question, r.asked, r.askers = "", nil, nil
	r.announced, r.left, r.compacting, r.compacted = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	r.heard = r.sent
}

// stray takes what comes after the lead has said that it leaves: the end of a message still counts.
func (r *Run) stray(e *Event) {
	switch e.Name {
	case "message_end":
		r.endMessage(e)
	case "agent_end":
		r.end(e)
	case "user_prompt": // for the lead that comes next
		r.sent = e.At
	}
}

func (r *Run) begin(at time.Time) {
	if r.last.StopReason == "error" && !r.ended.IsZero() && at.After(r.ended) {
		r.gap = at.Sub(r.ended)
	}
	r.open, r.settled, r.lost, r.taskDone, r.listed, r.tools = true, false, false, false, false, nil
	r.stale, r.unread, r.assumed, r.toolOnly = true, false, false, false
	r.heard, r.sent, r.ended, r.retryUntil, r.compacting, r.compacted = time.Time{}, time.Time{}, time.Time{}, time.Time{}, time.Time{}, time.Time{}
}

// work takes an event of a run whose start may have been missed.
func (r *Run) work(e *Event) {
	if !r.open {
		r.begin(e.At)
	}
	r.assumed, r.toolOnly = false, false
	r.goesOn()
	switch e.Name {
	case "message_start":
		r.messageOpen = e.Role == roleAssistant
	case "message_update": // only of an assistant's
		r.messageOpen = true
	}
}

func (r *Run) ask(id string) {
	if r.asked == nil || len(r.asked) == mostWaiting { // a Hub may tell of as many as it likes
		r.asked = make(map[string]bool)
	}
	r.asked[shortened(id)] = true
	r.another = r.question != ""
	r.question, r.askers, r.doubtful = id, maps.Clone(r.tools), time.Time{}
}

// goesOn takes a sign that the model has gone on, so that a question is answered. Where it is known which tools may have
// asked, only their ends say so: the other channel may be late with what came before the question.
func (r *Run) goesOn() {
	if len(r.askers) == 0 {
		r.question = ""
	}
}

// tool takes the start or the end of a tool. A question is asked by one of the tools that run: with the end of the last
// of them it is answered, and with that of another it may be.
func (r *Run) tool(e *Event) {
	if r.assume(e.At) && e.Name == "tool_execution_end" {
		r.toolOnly = true
	}
	if e.Name == "tool_execution_start" {
		if r.tools == nil {
			r.tools = make(map[string]bool)
		}
		r.tools[shortened(e.ToolID)] = true
		return
	}
	id := shortened(e.ToolID)
	delete(r.tools, id)
	if asker := r.askers[id]; asker {
		delete(r.askers, id)
		r.doubtful = e.At
	}
	r.goesOn()
}

// assume takes an event of a tool: a run is open, unless the end of one was seen and this comes late. It reports whether
// that is all that is known of the run.
func (r *Run) assume(at time.Time) bool {
	if !r.open && r.ended.IsZero() && !r.lost {
		r.begin(at)
		r.assumed = true
	}
	return r.assumed
}

func (r *Run) endTurn(e *Event) {
	if !r.open && r.ended.IsZero() {
		r.begin(e.At)
	}
	r.question, r.askers, r.messageOpen = "", nil, false
	r.takeLast(e)
	r.turnEnded = e.At
}

// takeLast takes the last message of a turn or a run that has ended. Where the event does not have it, it is the last
// one that ended, unless that is of the run before: then it is not known.
func (r *Run) takeLast(e *Event) {
	switch {
	case e.Last.known:
		r.last = e.Last
	case r.stale:
		r.last = Answer{}
	}
	r.stale = false
}

// closeTurn takes the end of the last turn for that of the run: the event that ends a run is lost if the connection was.
func (r *Run) closeTurn() {
	if r.open && !r.turnEnded.IsZero() && r.last.StopReason != "toolUse" {
		r.open, r.ended = false, r.turnEnded
	}
}

func (r *Run) endMessage(e *Event) {
	switch e.Role {
	case roleUser: // a new prompt, or one that was queued
		if !r.open && !r.ended.IsZero() {
			r.begin(e.At)
		}
		r.last, r.gap, r.prompted, r.unread = Answer{}, 0, true, false
	case roleAssistant:
		r.last, r.stale, r.unread, r.messageOpen, r.said = e.Last, false, false, false, e.At
	case "": // whose it was cannot be read
		r.last, r.unread, r.messageOpen = Answer{}, true, false
	}
	r.goesOn()
}

func (r *Run) end(e *Event) {
	r.takeLast(e)
	r.open, r.messageOpen, r.ended, r.listed = false, false, e.At, e.Listed
	r.question, r.askers = "", nil
	r.retryUntil = time.Time{}
	if !r.last.known && !e.Listed {
		r.retryUntil = e.At.Add(retryFollows)
	}
	if r.last.StopReason != "error" {
		return
	}
	wait := max(retryFollows, 2*r.gap+retryMargin)
	switch {
	case e.WillRetry != nil && *e.WillRetry:
		wait = retryIsSure
	case isFinal(r.last.ErrorMessage):
		wait = finalError
	}
	r.retryUntil = e.At.Add(wait)
	if r.announced.After(r.retryUntil) { // where both channels are reported, the other one has said so
		r.retryUntil = r.announced
	}
}

// isFinal reports whether an error begins with a status of 4xx that no retry mends.
func isFinal(errorMessage string) bool {
	digits := strings.IndexFunc(errorMessage+" ", func(r rune) bool { return r < '0' || r > '9' })
	status, err := strconv.Atoi(errorMessage[:digits])
	if err != nil || status/100 != 4 {
		return false
	}
	switch status {
	case 408, 409, 425, 429:
		return false
	}
	return true
}

// settle takes the sign that nothing more will run, which ends every wait. It also comes falsely, while a run begins.
func (r *Run) settle(e *Event) {
	if r.open {
		return
	}
	r.settled = true
	r.announced, r.compacting, r.compacted = time.Time{}, time.Time{}, time.Time{}
	if e.Aborted && r.last.StopReason == "error" { // in the wait for a retry
		r.last.StopReason = "aborted"
	}
}

func (r *Run) endCompaction(e *Event) {
	if r.open {
		return
	}
	r.compacting = time.Time{}
	if !r.heard.IsZero() { // it was not free to take it before
		r.heard = e.At
	}
	switch {
	case e.Failed, e.Aborted, e.WillRetry != nil && !*e.WillRetry:
		r.retryUntil = e.At
	default:
		r.compacted = e.At
	}
}

// longestID is the longest id that is kept as it is.
const longestID = 64

// shortened returns an id, or its digest if it is long: an agent may have many, and a Hub choose how long they are.
func shortened(id string) string {
	if len(id) <= longestID {
		return id
	}
	digest := sha256.Sum256([]byte(id))
	return string(digest[:])
}

func (r *Run) waitsForRetry(at time.Time) bool { return at.Before(r.retryUntil) }

func (r *Run) task(e *Event) {
	if r.tasks == nil {
		r.tasks = make(map[string]bool)
	}
	if id := shortened(e.TaskID); e.Name == "task_start" {
		r.tasks[id] = true
	} else {
		delete(r.tasks, id)
	}
	r.taskDone = e.Name == "task_complete"
}
