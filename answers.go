package coder

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/agentuity/coder-go/internal/agentrun"
	"github.com/agentuity/coder-go/internal/quote"
	"github.com/agentuity/coder-go/internal/wire"
)

// Answer is what the agent said to a prompt.
type Answer struct {
	// Text is the text of the last message: what the agent says when it is done. Thinking is what it thought before
	// that.
	Text     string
	Thinking string
	// Messages are all messages of the agent and of its tools, failed attempts included.
	Messages []AgentMessage
	// ToolCalls is how often the agent has called a tool, in all Messages.
	ToolCalls int
	// StopReason is how the last message ended. It is empty if the prompt was a command that needs no answer.
	StopReason StopReason
	// ErrorMessage is what the agent says about StopReasonError and StopReasonAborted.
	ErrorMessage string
	// Usage is the sum over all messages, nil if the agent does not say.
	Usage *AgentUsage
	// Truncated says that the answer is cut: the model had no room for more.
	Truncated bool
	// Steered says that somebody steered the agent while it worked on the prompt. Shared says that another prompt has the
	// same answer: the agent may answer several prompts at once.
	Steered bool
	Shared  bool
	// NotEnforced names the [Limits] that could not be enforced since the agent does not report the figures: "CostUSD" or
	// "Tokens".
	NotEnforced []string
}

// AgentError says why a prompt has no answer. It matches [ErrAgentFailed], [ErrAgentAborted], [ErrAgentStalled],
// [ErrNeedsInput], [ErrLimitExceeded], [ErrPromptDropped] or, if it is not known what happened to the prompt,
// [ErrOutcomeUnknown].
type AgentError struct {
	// Operation is a method of [HubConn] or [Client], such as "Ask".
	Operation string
	// SessionID is the session that the prompt was sent to.
	SessionID string
	// Reason says in words what the error was concluded from. It is for people.
	Reason string
	// Answer is what the agent said, nil if it said nothing.
	Answer *Answer
	// Question is what the agent asks, with ErrNeedsInput. Nil if that is not known.
	Question *RPCUIRequestMessage
	// Err is one of the sentinels that AgentError matches, or the error that a function of the caller
	// returned.
	Err error
}

// Error says what happened and why.
func (e *AgentError) Error() string {
	parts := []string{"coder: " + e.Operation, strings.TrimPrefix(innerText(e.Err), "coder: ")}
	if e.Answer != nil && e.Answer.ErrorMessage != "" {
		parts = append(parts, quote.Line(e.Answer.ErrorMessage))
	}
	if e.Reason != "" {
		parts = append(parts, quote.Line(e.Reason))
	}
	return strings.Join(parts, ": ")
}

// Unwrap returns Err.
func (e *AgentError) Unwrap() error { return e.Err }

// promptWatch follows a prompt through events, and keeps what belongs to its answer.
type promptWatch struct {
	client    *Client
	op        string
	sessionID string
	prompt    *agentrun.Prompt
	messages  []AgentMessage
	said      map[string]bool      // the messages that were taken: a history may have each twice
	question  *RPCUIRequestMessage // the last one that was asked
	tally     *tally               // nil: there are no limits
	teller    *agentTeller         // nil: nobody wants to know what the agent does
	aborted   chan error           // what became of the abort for a limit; nil: there was none
}

// exceeded reports whether a limit is crossed.
func (w *promptWatch) exceeded() bool { return w.tally != nil && w.tally.beyond != "" }

// event takes an event of the agent, and reports whether it belongs to the answer.
func (w *promptWatch) event(name string, payload []byte, at time.Time, taskID string) bool {
	e := agentrun.Decode(name, payload, at)
	if taskID != "" {
		e.TaskID = taskID
	}
	mine := w.prompt.Apply(&e)
	if e.QuestionID != "" && e.QuestionID == w.prompt.Question() { // else it is of a task, or was answered
		w.question = questionOf(name, payload, w.sessionID, at)
	}
	if (mine || e.TaskID != "" && w.prompt.Runs()) && w.teller.wants() && !(w.prompt.History && isDropped(name)) {
		w.teller.event(name, payload, e.TaskID, at)
	}
	if mine && w.tally != nil {
		switch e.Name {
		case EventMessageStart, EventMessageEnd, EventToolExecutionStart:
			w.tally.add(decodeAgentEvent(name, payload), "")
		}
	}
	if mine && e.Name == EventMessageEnd && e.Role != "user" && e.Role != "system" {
		if end, ok := decodeAgentEvent(name, payload).(*MessageEnd); ok {
			w.take(&end.Message)
		}
	}
	return mine
}

// take takes a message of the answer, once.
func (w *promptWatch) take(m *AgentMessage) {
	if id := messageIdentity(m); id != "" {
		if w.said[id] {
			return
		}
		if w.said == nil {
			w.said = make(map[string]bool)
		}
		w.said[id] = true
	}
	w.messages = append(w.messages, *m)
}

// answer is what was said so far, nil if nothing was.
func (w *promptWatch) answer() *Answer {
	if len(w.messages) == 0 {
		return nil
	}
	a := &Answer{Messages: w.messages, Steered: w.prompt.Steered, Shared: w.prompt.Shared}
	for i := range w.messages {
		m := &w.messages[i]
		if m.Role != "assistant" {
			continue
		}
		a.Text, a.Thinking = m.Content.Text(), m.Content.Thinking()
		a.StopReason, a.ErrorMessage = m.StopReason, w.client.secret.Text(m.ErrorMessage)
		a.ToolCalls += len(m.Content.ToolCalls())
		a.Usage = a.Usage.plus(m.Usage)
	}
	a.Truncated = a.StopReason == StopReasonLength
	if w.tally != nil {
		a.NotEnforced = w.tally.notEnforced()
	}
	return a
}

// plus adds what another message has used.
func (u *AgentUsage) plus(other *AgentUsage) *AgentUsage {
	if other == nil {
		return u
	}
	sum := AgentUsage{}
	if u != nil {
		sum = *u
	}
	sum.Input += other.Input
	sum.Output += other.Output
	sum.CacheRead += other.CacheRead
	sum.CacheWrite += other.CacheWrite
	sum.Reasoning += other.Reasoning
	sum.TotalTokens += other.TotalTokens
	if c := other.Cost; c != nil {
		cost := AgentCost{}
		if sum.Cost != nil {
			cost = *sum.Cost
		}
		cost.Input += c.Input
		cost.Output += c.Output
		cost.CacheRead += c.CacheRead
		cost.CacheWrite += c.CacheWrite
		cost.Total += c.Total
		sum.Cost = &cost
	}
	return &sum
}

// promptErrors are the errors of prompts that have come to something else than an answer.
var promptErrors = map[agentrun.PromptKind]error{
	agentrun.PromptFailed:   ErrAgentFailed,
	agentrun.PromptAborted:  ErrAgentAborted,
	agentrun.PromptRefused:  ErrAgentFailed,
	agentrun.PromptDropped:  ErrPromptDropped,
	agentrun.PromptUnheard:  ErrOutcomeUnknown,
	agentrun.PromptUnheeded: ErrAgentStalled,
}

// result is what a reading that is over comes to.
func (w *promptWatch) result(r agentrun.PromptReading) (*Answer, error) {
	answer := w.answer()
	switch r.Kind {
	case agentrun.PromptAnswered:
		if answer == nil {
			return nil, w.failed(ErrOutcomeUnknown, "its answer is not in what was reported")
		}
		return answer, nil
	case agentrun.PromptHandled:
		return new(Answer), nil
	case agentrun.PromptRefused:
		return nil, w.failed(ErrAgentFailed, "the agent refused it: "+w.prompt.Refusal)
	}
	if r.Kind == agentrun.PromptAborted && w.exceeded() {
		return nil, w.failed(ErrLimitExceeded, w.tally.beyond)
	}
	return nil, w.failed(promptErrors[r.Kind], r.Reason)
}

// abortObeyed is how long an agent has to stop that went beyond a limit.
const abortObeyed = 30 * time.Second

// notObeyed is the error of an agent that goes on after that.
func (w *promptWatch) notObeyed() error {
	why := fmt.Sprintf("it has not obeyed the abort for %v", abortObeyed)
	select {
	case err := <-w.aborted:
		if err != nil {
			why = "the abort has failed: " + innerText(err)
		}
	default: // it waits for a connection
		why = fmt.Sprintf("the abort could not be sent for %v", abortObeyed)
	}
	return w.failed(ErrLimitExceeded, w.tally.beyond+", and "+why)
}

func (w *promptWatch) failed(err error, reason string) error {
	if err == nil {
		err = errors.New("coder: no answer")
	}
	e := &AgentError{Operation: w.op, SessionID: w.client.secret.Text(w.sessionID), Reason: w.client.secret.Text(reason), Answer: w.answer(), Err: err}
	if errors.Is(err, ErrNeedsInput) {
		e.Question = w.question
	}
	return e
}

// isOfAgent reports whether an event is a sign of life of an agent. Others come and go, and prompt, while it hangs.
func isOfAgent(name EventName) bool {
	switch name {
	case EventSessionJoin, EventSessionLeave, EventSessionLabelUpdated, EventPresenceUpdate, EventUserPrompt:
		return false
	}
	return true
}

// stalled is the error of an agent from which nothing came for so long.
func (w *promptWatch) stalled(quiet time.Duration) error {
	return w.failed(ErrAgentStalled, fmt.Sprintf("nothing has come from it for %v", quiet.Round(time.Second)))
}

// questionOf returns what an agent has asked at a time, with an event of a history that has a QuestionID.
func questionOf(name EventName, payload []byte, sessionID string, at time.Time) *RPCUIRequestMessage {
	name, payload = agentrun.Unwrap(name, payload)
	var q struct {
		ID     string          `json:"id"`
		Method RPCUIMethod     `json:"method"`
		Params json.RawMessage `json:"params"`
	}
	_ = wire.Unmarshal(payload, &q) // its id was read from there
	if name != typeRPCUIRequest {   // as the agent says it: its parameters stand beside the id
		q.Params = payload
	}
	return &RPCUIRequestMessage{ID: q.ID, Method: q.Method, Params: q.Params, SessionID: sessionID, Timestamp: UnixMilli{at}}
}
