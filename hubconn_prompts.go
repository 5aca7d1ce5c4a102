package coder

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/agentuity/coder-go/internal/agentrun"
	"github.com/agentuity/coder-go/internal/backoff"
)

// ear hears what a controller's connection is told of the agent, whoever reads the messages: whether it is at work, what
// waits for it, and what became of the last prompt.
type ear struct {
	mu      sync.Mutex
	off     bool // the role has no agent to talk to
	run     agentrun.Run
	queue   agentrun.Queue
	asked   *RPCUIRequestMessage // the last question
	pending *sentPrompt          // the last prompt, until the agent has taken it
	turn    chan struct{}
}

// sentPrompt is a prompt on its way to the agent.
type sentPrompt struct {
	digest string
	id     string               // of the command; empty: it has none
	at     time.Time            // before that, when it began to wait for the connection
	sent   bool                 // it is written; until then no loss of the connection is the end of it
	run    agentrun.Run         // of the agent when it was sent
	queue  agentrun.Queue       // and what waited then
	before int                  // how many prompts with the same text did
	skip   int                  // messages in the inbox that came before it
	asked  *RPCUIRequestMessage // the last question then, which may be open

	prompt      *agentrun.Prompt
	disposition RPCDisposition
	heard       chan struct{} // closed with the first sign of it, or with the connection
	taken       chan struct{} // closed when another prompt may follow
}

// How long a sign of the prompt before is waited for.
const (
	promptGap      = 5 * time.Second // before another one is sent
	promptResponse = 2 * time.Second // before Submit returns
)

// hear takes a frame and puts it into the inbox. Nobody can see the one without the other.
func (e *ear) hear(raw []byte, put func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.off && !isUpdate(raw) {
		e.take(decodeServerMessage(raw), time.Now())
	}
	put()
}

// isUpdate tells most of the frames that say nothing but how far an answer is.
func isUpdate(raw []byte) bool {
	return bytes.Contains(raw[:min(len(raw), 300)], []byte(`"message_update"`))
}

func (e *ear) take(m ServerMessage, now time.Time) {
	switch m := m.(type) {
	case *RPCEventMessage:
		if !m.Replay {
			event := agentrun.Decode(m.EventType, m.Event, now)
			e.apply(&event)
		}
	case *BroadcastEventMessage:
		event := agentrun.Decode(m.Event, m.Data, now)
		e.apply(&event)
	case *HubHydrationMessage:
		if m.streams() {
			e.apply(&agentrun.Event{At: now, Name: EventAgentStart, Inferred: true})
		}
	case *RPCUIRequestMessage:
		if m.Method.Answered() {
			e.asked = m
			e.apply(&agentrun.Event{At: now, Name: typeRPCUIRequest, QuestionID: m.ID})
		}
	case *RPCResponseMessage:
		if p := e.pending; p != nil && p.id != "" && p.id == m.Response.ID {
			p.disposition = m.Response.Disposition()
			p.prompt.Respond(m.Response.Success, string(p.disposition), m.Response.Error, now)
		}
	case *RPCCommandErrorMessage:
		if p := e.pending; p != nil && (m.ID == "" || m.ID == p.id) {
			p.prompt.Respond(false, "", m.Error, now)
		}
	}
	e.notice()
}

func (e *ear) apply(event *agentrun.Event) {
	e.run.Apply(event)
	e.queue.Apply(event)
	if e.pending != nil {
		e.pending.prompt.Apply(event)
	}
}

// notice tells those who wait for the last prompt. The mutex is held.
func (e *ear) notice() {
	p := e.pending
	if p == nil {
		return
	}
	if p.prompt.Heard() {
		closeOnce(p.heard)
	}
	if p.prompt.Taken() {
		closeOnce(p.taken)
		e.pending = nil
	}
}

// closeOnce closes a channel that nobody sends on.
func closeOnce(c chan struct{}) {
	select {
	case <-c:
	default:
		close(c)
	}
}

// deafened says that a connection was lost: what was said meanwhile is not known.
func (e *ear) deafened(put func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.run, e.queue, e.asked = agentrun.Run{}, agentrun.Queue{}, nil
	switch p := e.pending; {
	case p == nil:
	case p.sent:
		closeOnce(p.heard)
		closeOnce(p.taken)
		e.pending = nil
	default: // it waits for the next connection
		p.run, p.queue, p.before, p.asked = agentrun.Run{}, agentrun.Queue{}, 0, nil
		p.prompt = agentrun.NewPrompt(p.digest, p.at, p.run, p.queue, 0)
	}
	put()
}

// pauses reports whether the agent waits before another attempt, compacts the conversation, or is about to stop.
func (e *ear) pauses(now time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.run.Pauses(now) || e.run.Stops(now)
}

// works reports whether the agent is known to be at work.
func (e *ear) works(now time.Time) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.run.At(now).Kind == agentrun.Working
}

// submit sends a prompt when the agent has taken the one before, or has had time to.
func (h *HubConn) submit(ctx context.Context, op string, command RPCCommand) (*sentPrompt, error) {
	if strings.TrimSpace(command.Message) == "" {
		return nil, invalid(op, "text", "must not be empty")
	}
	if ctx == nil {
		return nil, noContext(op)
	}
	if err := h.awaitTurn(ctx, op); err != nil {
		return nil, err
	}
	defer func() { <-h.ear.turn }()
	p := h.ear.expect(command, h.inbox.Len)
	if err := h.send(ctx, op, &RPCCommandMessage{command}); err != nil {
		h.ear.forget(p)
		return nil, err
	}
	h.ear.written(p)
	return p, nil
}

// awaitTurn makes the caller the one that sends a prompt. It is to give the turn back.
func (h *HubConn) awaitTurn(ctx context.Context, op string) error {
	select {
	case h.ear.turn <- struct{}{}:
	case <-ctx.Done():
		return h.ctxError(ctx, op)
	case <-h.ctx.Done():
		return h.closedError(op)
	}
	h.ear.mu.Lock()
	before := h.ear.pending
	h.ear.mu.Unlock()
	if before == nil {
		return nil
	}
	timer := time.NewTimer(time.Until(before.at.Add(promptGap)))
	defer timer.Stop()
	select {
	case <-before.taken:
	case <-timer.C:
	case <-h.ended: // sending says so
	case <-h.ctx.Done():
	case <-ctx.Done():
	}
	return nil
}

// expect listens for what becomes of a prompt that is about to be sent.
func (e *ear) expect(command RPCCommand, waiting func() int) *sentPrompt {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := &sentPrompt{
		digest: agentrun.Digest(command.Message), id: command.ID, at: time.Now(), run: e.run.Clone(), queue: e.queue.Clone(), skip: waiting(), asked: e.asked,
		heard: make(chan struct{}), taken: make(chan struct{}),
	}
	p.before, _ = p.queue.Waiting(p.digest)
	p.prompt = agentrun.NewPrompt(p.digest, p.at, p.run, p.queue, p.before)
	if !e.off {
		e.pending = p
	}
	return p
}

// written notes that a prompt is on its way. It may have waited for a connection.
func (e *ear) written(p *sentPrompt) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p.at, p.sent = time.Now(), true
}

func (e *ear) forget(p *sentPrompt) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.pending == p {
		e.pending = nil
	}
}

// Submit sends a prompt, as [HubConn.Ask] does, and returns a receipt with which [Client.Answer] collects the answer, in
// this process or another. It waits up to 2 s for the Disposition of the prompt; if the context ends meanwhile, it still
// returns the receipt and no error.
//
// Errors: those of Ask until the prompt is sent. If the error matches [ErrOutcomeUnknown], the prompt may have been sent:
// the receipt is then returned too, and Answer finds out.
//
// GET /hub/session/{sessionId}/events/history, and the WebSocket
func (h *HubConn) Submit(ctx context.Context, text string) (*Receipt, error) {
	const op = "Submit"
	return observed(ctx, h.client, op, h.SessionID(), func(ctx context.Context) (*Receipt, error) { return h.submitFor(ctx, op, text) })
}

// submitFor is Submit.
func (h *HubConn) submitFor(ctx context.Context, op, text string) (*Receipt, error) {
	for ctx != nil && h.ear.pauses(time.Now()) { // what comes then is not answered as at other times
		if !backoff.Sleep(ctx, time.Second/4) || h.ctx.Err() != nil {
			break
		}
	}
	receipt, p, err := h.submitAsk(ctx, op, text)
	if err != nil {
		return receipt, err
	}
	refusal := h.awaitSign(ctx, p)
	again, err := h.resubmit(ctx, op, text, refusal)
	switch {
	case errors.Is(err, ErrOutcomeUnknown):
		return receipt, err
	case err != nil:
		return nil, err
	case again != nil:
		p, refusal = again, h.awaitSign(ctx, again)
	}
	h.ear.mu.Lock()
	defer h.ear.mu.Unlock()
	receipt.Before, receipt.Disposition = p.before, p.disposition
	if refusal != "" {
		watch := promptWatch{client: h.client, op: op, sessionID: receipt.SessionID, prompt: p.prompt}
		return nil, watch.failed(ErrAgentFailed, "the agent refused it: "+refusal)
	}
	return receipt, nil
}

// awaitSign waits a while for the first sign of a prompt, and returns why it was refused; empty: it was not.
func (h *HubConn) awaitSign(ctx context.Context, p *sentPrompt) (refusal string) {
	timer := time.NewTimer(promptResponse)
	defer timer.Stop()
	select {
	case <-p.heard:
	case <-timer.C:
	case <-ctx.Done():
	case <-h.ctx.Done():
	}
	h.ear.mu.Lock()
	defer h.ear.mu.Unlock()
	return p.prompt.Refusal
}

// resubmit sends a prompt that was refused for its streamingBehavior in a form that the other side knows: as a
// follow_up to an agent at work, else as a plain prompt, since an idle agent keeps a follow_up and does not begin. It returns
// nil if the refusal has another reason.
func (h *HubConn) resubmit(ctx context.Context, op, text, refusal string) (*sentPrompt, error) {
	if !strings.Contains(refusal, "streamingBehavior") {
		return nil, nil
	}
	command := RPCCommand{Type: CommandPrompt, ID: rand.Text(), Message: text}
	if strings.Contains(refusal, "already processing") || h.ear.works(time.Now()) {
		command.Type = CommandFollowUp
	}
	return h.submit(ctx, op, command)
}

// submitAsk sends a prompt in the one form that is right for an agent at work and an idle one. The receipt is nil if it
// was not sent.
func (h *HubConn) submitAsk(ctx context.Context, op, text string) (*Receipt, *sentPrompt, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil, invalid(op, "text", "must not be empty")
	}
	if ctx == nil {
		return nil, nil, noContext(op)
	}
	if h.ear.off {
		return nil, nil, invalid(op, "the connection", "must be a controller's: see HubConnectOptions.Role")
	}
	sessionID := h.SessionID()
	newest, at, err := h.client.newestOf(ctx, op, sessionID)
	if err != nil {
		return nil, nil, err
	}
	began := time.Now()
	p, err := h.submit(ctx, op, RPCCommand{Type: CommandPrompt, ID: rand.Text(), Message: text, StreamingBehavior: QueueFollowUp})
	receipt := &Receipt{SessionID: sessionID, AfterEvent: newest, Digest: agentrun.Digest(text), Command: agentrun.IsCommand(text), SentAt: at.Add(time.Since(began))}
	if err != nil {
		if !errors.Is(err, ErrOutcomeUnknown) {
			receipt = nil
		}
		return receipt, nil, err
	}
	receipt.Before = p.before
	return receipt, p, nil
}
