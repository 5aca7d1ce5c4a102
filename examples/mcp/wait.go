package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/examples/internal/transcript"
)

// How long a call may wait, in seconds. Many clients give a call up after a minute.
const mostSeconds, usualSeconds = 600, 45

// mostPrompts is how often a prompt is given that the agent loses. Of those that come together it takes one.
const mostPrompts = 5

type waitArguments struct {
	SessionID  string `json:"session_id" jsonschema:"the id of the session, as start_session or list_sessions returns it"`
	MaxSeconds int    `json:"max_seconds,omitzero" jsonschema:"how long to wait at most. Then the state is working, and the session goes on"`
}

type askArguments struct {
	SessionID  string `json:"session_id" jsonschema:"the id of the session, as start_session or list_sessions returns it"`
	Prompt     string `json:"prompt" jsonschema:"what to tell the agent; it remembers what was said in its session before"`
	MaxSeconds int    `json:"max_seconds,omitzero" jsonschema:"how long to wait for the answer at most. Then the state is working, and the agent goes on"`
}

// turn is what came of a wait.
type turn struct {
	SessionID string    `json:"session_id"`
	State     string    `json:"state" jsonschema:"turn_ended or completed: the agent is done; needs_input: it has asked something, or waits for a prompt; working: it is still at it; failed, aborted, blocked or cancelled: it has stopped, see error; paused: it sleeps; stalled: nothing has come from it for long; archived or deleted: the session is over"`
	Succeeded bool      `json:"succeeded" jsonschema:"the agent did what it was asked last"`
	Answer    string    `json:"answer,omitzero" jsonschema:"what the agent said last; the end of it may be left out, which it says then"`
	Error     string    `json:"error,omitzero" jsonschema:"why it did not succeed, or what is wrong with the answer"`
	Question  *question `json:"question,omitzero" jsonschema:"what the agent asks, with the state needs_input"`
	Heard     string    `json:"heard" jsonschema:"how long the call waited, and which calls of tools and tokens it heard of meanwhile"`
	Next      string    `json:"next" jsonschema:"what to do now"`
}

func (t *turn) text() string {
	head := fmt.Sprintf("Session %s: %s (%s).", t.SessionID, t.State, t.Heard)
	if t.Error != "" {
		head += "\nError: " + t.Error
	}
	asks := ""
	if t.Question != nil {
		asks = t.Question.text()
	}
	return paragraphs(head, t.Answer, asks, t.Next)
}

// next says what to do about a state.
func next(kind coder.OutcomeKind) string {
	switch kind {
	case coder.OutcomeWorking:
		return "The agent works on, also while nobody waits. Call wait_session (again) for its outcome."
	case coder.OutcomeTurnEnded, coder.OutcomeCompleted:
		return "The agent is done. ask_session gives it a further prompt; archive_session ends the session when it is not needed any more."
	case coder.OutcomeNeedsInput:
		return "The agent waits for its user. wait_session returns its question, if it has asked one; else ask_session tells it how to go on."
	case coder.OutcomeFailed, coder.OutcomeAborted, coder.OutcomeBlocked, coder.OutcomeCancelled, coder.OutcomeLimited:
		return "The agent has stopped. read_transcript with last: 20 shows how far it is; ask_session gives it another prompt; archive_session ends the session."
	case coder.OutcomePaused:
		return "The session sleeps. ask_session wakes it."
	case coder.OutcomeStalled:
		return "Nothing has come from the agent for long. session_status shows the evidence; archive_session ends the session."
	case coder.OutcomeArchived:
		return "The session is over. read_transcript still works; start_session with another key starts anew."
	case coder.OutcomeDeleted:
		return "The session does not exist any more, and its transcript neither. start_session starts a new one."
	}
	return "session_status tells more."
}

// wait waits for a session. It only looks, so that whatever ends it leaves the session as it is.
func (s *server) wait(ctx context.Context, request *mcp.CallToolRequest, in waitArguments) (*turn, error) {
	p := newProgress(ctx, request)
	defer p.stop()
	limited, cancel := limit(ctx, in.MaxSeconds)
	defer cancel()
	return s.await(ctx, limited, p, in.SessionID, "")
}

func limit(ctx context.Context, seconds int) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, time.Duration(seconds)*time.Second)
}

// await waits until the limited context ends, which leaves the session at work. The question with the id answered does not end it:
// a Hub may be late with what its history has.
func (s *server) await(ctx, limited context.Context, p *progress, id, answered string) (*turn, error) {
	p.follow(limited, s.client, id)
	for pause := time.Second; ; pause = min(2*pause, 15*time.Second) {
		t, err := s.look(ctx, limited, p, id)
		if err != nil || t.Question == nil || t.Question.ID != answered {
			return t, err
		}
		select {
		case <-time.After(pause):
		case <-limited.Done():
			t.Next = "The question is still open: the answer may not have arrived. Call answer_question again."
			return t, ctx.Err()
		}
	}
}

// look waits once.
func (s *server) look(ctx, limited context.Context, p *progress, id string) (*turn, error) {
	outcome, err := s.client.WaitForSession(limited, id, &coder.WaitForSessionOptions{PollInterval: time.Second, Follow: true, OnPoll: p.polled})
	var early *coder.WaitError
	switch {
	case errors.As(err, &early) && isOver(ctx, limited) && early.Session == nil:
		return nil, &advised{err, "The Hub has not answered all the time. This passes: call wait_session again, in 30s; the session is not touched by that."}
	case errors.As(err, &early) && isOver(ctx, limited):
		return p.turn(id, coder.OutcomeWorking), nil
	case err != nil:
		return nil, err
	}
	t := p.turn(id, outcome.Kind)
	t.Succeeded, t.Error = outcome.Succeeded(), trouble(outcome)
	if outcome.Kind == coder.OutcomeNeedsInput {
		t.Next = "The agent waits for its user, without a question that is known. read_transcript with last: 20 shows how far it is, and ask_session tells it to go on."
		t.asks(asked(outcome.Question))
	}
	if t.Answer, err = s.lastAnswer(ctx, id); err != nil && ctx.Err() == nil {
		t.Next = "What it said last could not be read: " + what(err) + ". " + t.Next
	}
	return t, ctx.Err()
}

// trouble is what is wrong with an outcome, if something is.
func trouble(outcome *coder.SessionOutcome) string {
	why := strings.Join(outcome.Evidence, "; ")
	switch {
	case outcome.Truncated:
		return cutShort
	case outcome.Succeeded(), outcome.Kind == coder.OutcomeWorking, outcome.Kind == coder.OutcomeNeedsInput, outcome.Kind == coder.OutcomePaused:
		return ""
	case outcome.ErrorMessage != "" && strings.Contains(why, outcome.ErrorMessage): // else it is not the reason
		return problem(outcome.ErrorMessage)
	}
	return problem(why)
}

// cutShort is what is wrong with an answer that is Truncated.
const cutShort = "the answer is cut: the model had no room for more"

// problem is what others say of a failure.
func problem(text string) string { return cut(transcript.Clean(text), mostOfError) }

// isOver reports whether the time of a call is over, and not the call.
func isOver(ctx, limited context.Context) bool { return limited.Err() != nil && ctx.Err() == nil }

// turn is what is known when a wait is over.
func (p *progress) turn(id string, kind coder.OutcomeKind) *turn {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := &turn{SessionID: id, State: string(kind), Heard: p.figures(), Next: next(kind)}
	if kind == coder.OutcomeWorking {
		t.Next = "Now: " + cmp.Or(p.doing, p.status, "not known") + ". " + t.Next
	}
	return t
}

// asks adds what the agent asks, if that is known.
func (t *turn) asks(q *question) {
	if q != nil {
		t.Question, t.Next = q, "The agent waits for the answer: call answer_question with this question_id."
	}
}

// lastAnswer is what the agent said last. A session without a transcript has none.
func (s *server) lastAnswer(ctx context.Context, id string) (string, error) {
	last, where, n := "", cursor{}, 0
	for entry, err := range s.client.ReplayEntries(ctx, id, nil) {
		switch {
		case errors.Is(err, coder.ErrNotFound):
			return "", nil
		case err != nil:
			return "", err
		case entry.Type == coder.EntryMessage && entry.TaskID == "":
			last, where = entry.Content, cursor{entries: n}
		}
		n++
	}
	return whole(last, "cursor "+where.String()), nil
}

// whole is an answer, or as much of it as a result has room for, and where the rest is.
func whole(answer, where string) string {
	answer = transcript.Clean(answer)
	if fits(answer, mostOfText) < len(answer) {
		return cut(answer, mostOfText) + "\n[read_transcript with " + where + " has all of it]"
	}
	return answer
}

// justNow is where in a transcript an answer is that has come a moment ago.
const justNow = "last: 5"

// ask gives the agent a prompt and waits for the answer to it.
func (s *server) ask(ctx context.Context, request *mcp.CallToolRequest, in askArguments) (*turn, error) {
	p := newProgress(ctx, request)
	defer p.stop()
	limited, cancel := limit(ctx, in.MaxSeconds)
	defer cancel()
	conn, err := s.client.Attach(limited, in.SessionID, nil)
	if err != nil {
		if isOver(ctx, limited) {
			err = &advised{err, "The session was not ready in time, and the prompt was not sent. Call ask_session again, with a larger max_seconds."}
		}
		return nil, err
	}
	defer conn.Close()
	options := &coder.AskOptions{OnMessage: func(m coder.ServerMessage) {
		switch m := m.(type) {
		case *coder.RPCEventMessage:
			if !m.Replay {
				p.heard(m.AgentEvent())
			}
		case *coder.BroadcastEventMessage:
			p.heard(m.AgentEvent())
		}
	}}
	answer, err := conn.Ask(limited, in.Prompt, options)
	for n := 1; errors.Is(err, coder.ErrPromptDropped) && n < mostPrompts; n++ { // it came right behind another, and had no effect
		answer, err = conn.Ask(limited, in.Prompt, options)
	}
	t, err := p.answered(in.SessionID, answer, err, isOver(ctx, limited))
	if err == nil {
		s.remember(in.SessionID, t.Question)
	}
	return t, err
}

// answered is what came of a prompt.
func (p *progress) answered(id string, answer *coder.Answer, err error, over bool) (*turn, error) {
	var agent *coder.AgentError
	switch {
	case err == nil:
		t := p.turn(id, coder.OutcomeTurnEnded)
		t.Succeeded, t.Answer = true, whole(answer.Text, justNow)
		if answer.Truncated {
			t.Error = cutShort
		}
		return t, nil
	case over && errors.Is(err, coder.ErrOutcomeUnknown):
		t := p.turn(id, coder.OutcomeWorking)
		t.Next += " The prompt was given to it, or may have been: do not give it again unless read_transcript shows that it is missing."
		return t, nil
	case over && !errors.As(err, &agent):
		return nil, &advised{err, "The prompt was not sent in time. Call ask_session again, with a larger max_seconds."}
	case errors.Is(err, coder.ErrOutcomeUnknown):
		return nil, &advised{err, "It is not known whether the agent has the prompt. Look with wait_session and read_transcript before you give it again."}
	case !errors.As(err, &agent) || errors.Is(err, coder.ErrPromptDropped):
		return nil, err
	}
	kind := coder.OutcomeFailed
	switch {
	case errors.Is(err, coder.ErrNeedsInput):
		kind = coder.OutcomeNeedsInput
	case errors.Is(err, coder.ErrAgentAborted):
		kind = coder.OutcomeAborted
	case errors.Is(err, coder.ErrAgentStalled):
		kind = coder.OutcomeStalled
	}
	t := p.turn(id, kind)
	if kind == coder.OutcomeNeedsInput {
		t.asks(asked(agent.Question))
	} else {
		t.Error = problem(agent.Reason)
	}
	if agent.Answer != nil {
		t.Answer = whole(agent.Answer.Text, justNow)
		if message := agent.Answer.ErrorMessage; message != "" && kind != coder.OutcomeNeedsInput {
			t.Error = problem(message)
		}
	}
	return t, nil
}
