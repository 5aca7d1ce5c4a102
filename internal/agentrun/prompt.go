package agentrun

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"
)

// Digest stands for a text wherever it must be known again and need not be kept. Blanks around the text do not count.
func Digest(text string) string {
	sum := sha256.Sum256([]byte(strings.TrimSpace(text)))
	return hex.EncodeToString(sum[:])
}

// PromptKind says what became of a prompt.
type PromptKind string

// The kinds.
const (
	PromptSent     PromptKind = "sent"     // nothing has been heard of it yet
	PromptWaits    PromptKind = "waits"    // it was heard, and waits for its turn
	PromptRuns     PromptKind = "runs"     // the agent works on it
	PromptAsks     PromptKind = "asks"     // the agent works on it, and has asked something
	PromptAnswered PromptKind = "answered" // by the last message, which may be cut
	PromptFailed   PromptKind = "failed"   // by an error of the model, or because the lead left
	PromptAborted  PromptKind = "aborted"  // by somebody; if it was not seen, it is queued still
	PromptRefused  PromptKind = "refused"  // the agent did not take it
	PromptHandled  PromptKind = "handled"  // it was a command, or nothing for the model
	PromptDropped  PromptKind = "dropped"  // the run that should have taken it is over
	PromptUnheard  PromptKind = "unheard"  // it may not have arrived
	PromptUnheeded PromptKind = "unheeded" // it was heard, and no agent works
)

// Over reports whether nothing more will come of the prompt.
func (k PromptKind) Over() bool {
	switch k {
	case "", PromptSent, PromptWaits, PromptRuns, PromptAsks:
		return false
	}
	return true
}

// How long a sign of a prompt is waited for.
const (
	promptIsHeard = 30 * time.Second // after it was sent
	promptBegins  = time.Minute      // after it was heard by an idle agent: a command begins no run
)

// Queue has what was said to the agent and has not become a message of the conversation yet. An agent may tell of it
// as it hears it, the Hub as it passes it on, and the agent again as what it has queued: each is a list of its own.
type Queue struct {
	inputs, prompts, queued []string // digests, of each the newest
	// whole says that nothing else can wait: the start of a run was seen, which begins with what was said first.
	whole bool
	// cut says that the last run ended without its answer: what waited then still does, and the next run takes it.
	cut bool
}

// Clone returns a copy that shares nothing.
func (q *Queue) Clone() Queue {
	return Queue{slices.Clone(q.inputs), slices.Clone(q.prompts), slices.Clone(q.queued), q.whole, q.cut}
}

// Apply adds an event.
func (q *Queue) Apply(e *Event) {
	switch e.Name {
	case "input":
		q.inputs = newest(append(q.inputs, Digest(e.Said)))
	case "user_prompt":
		q.prompts = newest(append(q.prompts, Digest(e.Said)))
	case "queue_update":
		q.queued = nil
		for _, said := range newest(e.Queued) {
			q.queued = append(q.queued, Digest(said))
		}
	case "message_end":
		if e.Role == roleUser {
			said := Digest(e.Said)
			q.inputs, q.prompts, q.queued = without(q.inputs, said), without(q.prompts, said), without(q.queued, said)
		}
	case "agent_start":
		q.whole = q.whole || !q.cut && !e.Inferred
	case "agent_end":
		q.cut = e.Last.StopReason != "stop"
		if !q.cut { // what has not had its turn now has been lost
			q.inputs, q.prompts = nil, nil
		}
	case "session_start":
		*q = Queue{}
	}
}

// mostWaiting is how much is kept of a list. A Hub may tell of texts that never become messages, for as long as it likes.
const mostWaiting = 1000

func newest(list []string) []string { return list[max(0, len(list)-mostWaiting):] }

// without returns a list without the first text that is equal to one.
func without(list []string, text string) []string {
	if i := slices.Index(list, text); i >= 0 {
		return slices.Delete(slices.Clone(list), i, i+1)
	}
	return list
}

// Waiting counts how often the text with this digest is in the queue, and how many other texts are.
func (q *Queue) Waiting(digest string) (same, others int) {
	for _, list := range [][]string{q.inputs, q.prompts, q.queued} {
		count := 0
		for _, said := range list {
			if said == digest {
				count++
			}
		}
		same, others = max(same, count), max(others, len(list)-count)
	}
	return same, others
}

// Prompt follows a prompt from the moment it is sent to the message that answers it.
type Prompt struct {
	digest string
	sent   time.Time
	run    Run
	queue  Queue
	before int // messages with the same text that come before it

	heard    time.Time
	ran      bool // a run was under way since it was heard
	queuedBy bool // the agent has said so, or heard it while it was at work
	kind     PromptKind
	users    bool    // a message of a user was seen
	passed   bool    // one that nobody is known to have said, which may have been its own
	last     Answer  // the last message that answers it, as far as it is
	answer   bool    // there is one
	begins   bool    // the beginnings of messages are reported
	began    float64 // the stamp of the last message of an assistant that was seen to begin
	ended    float64 // and of the one that was seen to end
	open     bool    // the last one that began has not ended
	torn     bool    // of an answer the beginning or the end is missing, or it is not known to be to this prompt alone
	other    bool    // the next attempt answers a prompt of somebody else too
	mixed    bool    // and the message of that one may be lost

	// History says that the events come from a history, which has no responses: an agent in RPC mode that is at work
	// may have heard the prompt, and does not say so.
	History bool
	// Command says that the text may be a command, which begins no run.
	Command bool
	// Steered says that the agent was steered while it worked on the prompt, Shared that another prompt has the
	// same answer.
	Steered, Shared bool
	// Refusal is what the agent says of a prompt that it did not take.
	Refusal string
}

// IsCommand reports whether a text may be a command of the agent's.
func IsCommand(text string) bool { return strings.HasPrefix(strings.TrimSpace(text), "/") }

// NewPrompt follows the text with a digest, which is sent at a time. Run and queue are what is known of the agent then,
// and so many messages with the same text come before it.
func NewPrompt(digest string, sent time.Time, run Run, queue Queue, before int) *Prompt {
	return &Prompt{digest: digest, sent: sent, run: run.Clone(), queue: queue.Clone(), before: before, users: run.prompted}
}

// Respond takes the agent's response to the prompt. A disposition is empty if the agent does not say.
func (p *Prompt) Respond(success bool, disposition, failure string, now time.Time) {
	switch {
	case p.kind != "":
	case !success:
		p.kind, p.Refusal = PromptRefused, failure
	case disposition == "handled":
		p.kind = PromptHandled
	default:
		p.hear(now)
		p.queuedBy = p.queuedBy || disposition == "queued"
	}
}

func (p *Prompt) hear(now time.Time) {
	if p.heard.IsZero() {
		p.heard = now
		p.ran = p.run.open
		p.queuedBy = p.queuedBy || p.run.open && p.run.prompted
	}
}

// Question returns the id of the question that is open, or may be.
func (p *Prompt) Question() string { return p.run.question }

// Apply takes an event, and reports whether it belongs to the answer.
func (p *Prompt) Apply(e *Event) bool {
	if e.TaskID != "" && !strings.HasPrefix(e.Name, "task_") {
		return false
	}
	queue := p.queue
	p.run.Apply(e)
	p.queue.Apply(e)
	if p.kind.Over() {
		return false
	}
	if e.Name == "message_end" && e.Role == roleUser {
		p.users = true
	}
	switch e.Name {
	case "input":
		if Digest(e.Said) == p.digest {
			p.hear(e.At)
		}
	case "before_agent_start": // older agents add what comes in the wait for a retry to what they try again
		p.other = p.Runs() && p.run.Pauses(e.At)
	case "queue_update":
		if p.isQueued() {
			p.hear(e.At)
			p.queuedBy = true
		}
	case "session_join":
		// The lead was away: its next attempt may have been reported meanwhile, with the message of the other prompt.
		p.mixed = p.mixed || e.Participant == "lead" && p.other
	case "agent_start":
		p.ran, p.other = true, false
	case "message_start":
		p.begins = true
		if e.Role == roleAssistant {
			p.assistantBegins(e)
		}
	case "message_end":
		switch e.Role {
		case roleUser:
			p.userSays(e, &queue)
		case roleAssistant:
			return p.assistantSays(e)
		case "": // whose it was cannot be read
			p.open = false
		}
	case "session_start":
		if p.Runs() || !p.heard.IsZero() {
			p.kind = PromptFailed
		}
	}
	return p.Runs()
}

// isQueued reports whether the agent has it in its queue.
func (p *Prompt) isQueued() bool {
	return slices.Contains(p.queue.queued, p.digest)
}

// Runs reports whether its own message was seen, and the answer is not whole.
func (p *Prompt) Runs() bool { return p.kind == PromptRuns }

// Heard reports whether there is any sign that the prompt has arrived.
func (p *Prompt) Heard() bool { return p.kind != "" || !p.heard.IsZero() }

// Decided reports whether an event has said what became of the prompt, and not the silence after it.
func (p *Prompt) Decided() bool { return p.kind.Over() }

// Taken reports whether the agent can be told something else without losing this: its own message was seen, or it is in
// the agent's queue, or nothing will come of it.
func (p *Prompt) Taken() bool { return p.kind != "" || p.queuedBy }

// userSays takes the message of a user. Those with the same text that were heard before come first; a text that
// nobody is known to have said is the expanded form of the only one that waits, if that is a command and everything that
// waits is known. Else it may be the task of the session, or what somebody said before this program listened.
func (p *Prompt) userSays(e *Event, queue *Queue) {
	p.mixed = false
	if p.Runs() {
		switch {
		case !p.answer, p.last.StopReason == "error":
			p.Shared = true
		case p.last.StopReason == "toolUse":
			p.Steered = true
		case p.last.StopReason == "length":
			p.kind = PromptAnswered
		}
		return
	}
	said := Digest(e.Said)
	known, _ := queue.Waiting(said)
	_, others := queue.Waiting(p.digest)
	switch {
	case said == p.digest && p.before > 0:
		p.before--
	case said == p.digest, p.Command && known == 0 && others == 0 && !p.heard.IsZero() && queue.whole:
		p.hear(e.At)
		p.kind, p.open = PromptRuns, false
	case p.Command && known == 0 && !p.heard.IsZero():
		p.passed = true
	}
}

// assistantBegins takes the beginning of a message. If the one before has not ended, its end is lost, and with it what followed:
// this one may answer the prompt of somebody else. Where two channels report everything, one may be late.
func (p *Prompt) assistantBegins(e *Event) {
	if p.Runs() && p.open && e.Stamp != p.began {
		p.kind, p.torn = PromptUnheard, true
	}
	p.began, p.open = e.Stamp, e.Stamp != p.ended
}

// assistantSays takes a message of the assistant. If its beginning is missing, so may be the end of the answer, and the
// prompt of somebody else. What comes after a prompt that was added to this one may be an answer to that one alone, if its
// message is lost.
func (p *Prompt) assistantSays(e *Event) bool {
	again := e.Stamp == p.ended // by the other channel
	p.ended, p.open = e.Stamp, false
	if !p.Runs() {
		return false
	}
	if p.mixed || p.begins && e.Stamp != 0 && e.Stamp != p.began && !again {
		p.kind, p.torn = PromptUnheard, true
		return false
	}
	p.last, p.answer = e.Last, true
	switch e.Last.StopReason {
	case "stop":
		p.kind = PromptAnswered
	case "aborted":
		p.kind = PromptAborted
	}
	return true
}

// PromptReading is what is known of a prompt at a time.
type PromptReading struct {
	Kind PromptKind
	// Answer is the last message that answers it, as far as there is one.
	Answer Answer
	// Reason says in words what Kind was concluded from.
	Reason string
	// Until is when another reading is due if no further event comes; zero: never.
	Until time.Time
}

// At reads the state at a time.
func (p *Prompt) At(now time.Time) PromptReading {
	out := PromptReading{Kind: p.kind, Answer: p.last, Reason: "its answer has ended"}
	run := p.run.At(now)
	switch {
	case p.torn:
		out.Reason = "what the agent reported in the meantime is lost"
		return out
	case p.kind.Over():
		return out
	case p.Runs():
		return p.running(run)
	case run.Left && run.Kind != Working:
		return PromptReading{Kind: PromptFailed, Reason: run.Reason}
	case p.heard.IsZero() && p.History && run.Kind == Working:
		return PromptReading{Kind: PromptSent, Reason: run.Reason, Until: run.Until}
	case p.heard.IsZero():
		return due(now, p.sent.Add(promptIsHeard), PromptSent, PromptUnheard, "nothing has been heard of it")
	case p.ran && (run.Kind == Answered || run.Kind == Ended) && !p.users:
		return PromptReading{Kind: PromptUnheard, Reason: "messages of users are not reported"}
	case p.ran && (run.Kind == Answered || run.Kind == Ended):
		if p.passed {
			return PromptReading{Kind: PromptUnheard, Reason: run.Reason + ", and took something that may have been it"}
		}
		return PromptReading{Kind: PromptDropped, Reason: run.Reason + ", and did not take it"}
	case p.ran && run.Kind == Aborted:
		return PromptReading{Kind: PromptAborted, Answer: run.Answer, Reason: run.Reason}
	case p.ran && run.Kind == Failed:
		return PromptReading{Kind: PromptFailed, Answer: run.Answer, Reason: run.Reason}
	case run.Kind == Unheeded:
		return PromptReading{Kind: PromptUnheeded, Reason: run.Reason}
	case !p.ran && run.Kind != Working && p.isQueued():
		return due(now, p.heard.Add(promptBegins), PromptWaits, PromptUnheeded, "it is queued, and no run began")
	case !p.ran && run.Kind != Working && p.Command && !p.passed:
		return due(now, p.heard.Add(promptBegins), PromptWaits, PromptHandled, "it was taken, and no run began")
	case !p.ran && run.Kind != Working:
		return due(now, p.heard.Add(promptBegins), PromptWaits, PromptUnheard, "it was taken, and no run began")
	case run.Kind == Question:
		return PromptReading{Kind: PromptAsks, Reason: run.Reason}
	}
	return PromptReading{Kind: PromptWaits, Reason: run.Reason, Until: run.Until}
}

// due is one kind until a time and another from then on.
func due(now, until time.Time, before, after PromptKind, reason string) PromptReading {
	if now.Before(until) {
		return PromptReading{Kind: before, Reason: reason, Until: until}
	}
	return PromptReading{Kind: after, Reason: reason}
}

// running reads a prompt that is being answered: an error or a cut answer is final when the run is.
func (p *Prompt) running(run Reading) PromptReading {
	out := PromptReading{Kind: PromptRuns, Answer: p.last, Reason: run.Reason, Until: run.Until}
	switch run.Kind {
	case Answered, Ended:
		out.Kind = PromptAnswered
	case Failed, Unheeded:
		out.Kind = PromptFailed
	case Aborted:
		out.Kind = PromptAborted
	case Question:
		out.Kind = PromptAsks
	}
	return out
}
