package coder

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/agentuity/coder-go/internal/agentrun"
)

// AskOptions says what to do while [HubConn.Ask] waits. The functions are called one at a time, OnText and OnMessage by
// the goroutine that called Ask.
type AskOptions struct {
	// OnText is called with each piece of the answer's text as it arrives, without thoughts and arguments of tools. If the
	// model fails in the middle, the text starts again. Once the connection was lost, OnText is not called any more; the
	// Answer has the whole text.
	OnText func(delta string)
	// OnMessage is called with every message, as Messages yields them, before Ask uses it.
	OnMessage func(ServerMessage)
	// OnQuestion answers what the agent asks while it works on the prompt. It returns a bool for UIConfirm, a string for
	// UISelect, UIInput and UIEditor, or nil for no answer, and may block. Its context ends at the question's timeout, when the answer is no longer wanted, and when Ask
	// ends; Ask waits until OnQuestion has returned. An error that it returns ends Ask. If OnQuestion is nil, a question
	// ends Ask with an error that matches ErrNeedsInput.
	OnQuestion func(context.Context, *RPCUIRequestMessage) (any, error)
	// StallTimeout ends Ask with an error that matches ErrAgentStalled when nothing has come from the agent for that
	// long. Default: 10 min. Negative: never.
	StallTimeout time.Duration
	// Limits abort the agent when it goes beyond one of them while it works on the prompt. Ask then ends with an error that
	// matches ErrLimitExceeded and holds what the agent said. If the answer is complete when a limit is crossed, Ask returns
	// it. Default: none.
	Limits Limits
}

// asking is one call of Ask.
type asking struct {
	*HubConn
	op      string
	text    string
	options AskOptions
	watch   promptWatch
	sent    *sentPrompt // nil: not yet
	resent  bool        // in another form
	receipt *Receipt
	teller  *agentTeller

	lastSign  time.Time
	limited   time.Time                    // when the agent was aborted since it went beyond a limit; zero: it was not
	failure   error                        // what ends it
	asked     string                       // the id of the question that OnQuestion has
	stopAsk   context.CancelFunc           // ends that
	asking    chan struct{}                // closed when that has returned
	replies   chan error                   // how OnQuestion has ended
	open      chan *RPCUIRequestMessage    // a question that the history has, once the connection was lost
	collected chan func() (*Answer, error) // what the history says, once the connection was lost
	workers   sync.WaitGroup

	mu     sync.Mutex
	reply  *RPCUIResponseMessage // the last answer to a question
	repeat bool                  // it is being sent again
}

// Ask gives the agent a task and returns the complete answer to it, never the answer to the prompt of somebody else. If
// the agent is at work, the prompt waits for its turn. The answer is known with its last message or, if that message is
// cut or an error, when no other attempt can follow; see [Client.WaitForSession].
//
// Ask reads [HubConn.Messages], so only one call can run at a time; OnMessage gets the messages. If the connection is
// lost, Ask goes on until it finds the answer in the history of the session.
//
// Errors: [*ValidationError]; a [*HubConnError] if the connection fails before the prompt was sent, if the context ends, or,
// matching [ErrMessagesInUse], if somebody else ranges over the messages; those of ListEventHistory, which Ask calls to find
// the end of the history; and an [*AgentError], with what the agent said, if there is no answer. If the error matches
// [ErrPromptDropped] the prompt had no effect; if it matches [ErrOutcomeUnknown] it may have had one.
//
// GET /hub/session/{sessionId}/events/history, and the WebSocket
func (h *HubConn) Ask(ctx context.Context, text string, options *AskOptions) (*Answer, error) {
	const op = "Ask"
	a := &asking{HubConn: h, op: op, text: text, replies: make(chan error, 1), open: make(chan *RPCUIRequestMessage, 1)}
	if options != nil {
		a.options = *options
	}
	if a.options.StallTimeout == 0 {
		a.options.StallTimeout = 10 * time.Minute
	}
	if ctx == nil {
		return nil, noContext(op)
	}
	if err := a.options.Limits.check(op); err != nil {
		return nil, err
	}
	if !h.inbox.Consume() {
		return nil, h.newError(op, "", ErrMessagesInUse)
	}
	defer h.inbox.Leave()
	return observed(ctx, h.client, op, h.SessionID(), func(ctx context.Context) (*Answer, error) {
		a.teller = h.client.agentTeller(ctx, op, h.SessionID())
		ctx, cancel := context.WithCancel(ctx)
		defer a.workers.Wait()
		defer cancel()
		return a.run(ctx)
	})
}

func (a *asking) run(ctx context.Context) (*Answer, error) {
	if err := a.awaitPause(ctx); err != nil {
		return nil, err
	}
	var err error
	if a.receipt, a.sent, err = a.submitAsk(ctx, a.op, a.text); err != nil {
		if a.receipt == nil || ctx.Err() != nil || a.ctx.Err() != nil {
			return nil, err
		}
		a.collect(ctx) // it may have been sent
		return a.await(ctx)
	}
	a.follow()
	return a.await(ctx)
}

// follow follows the prompt that was sent.
func (a *asking) follow() {
	a.watch = promptWatch{
		client: a.client, op: a.op, sessionID: a.receipt.SessionID, teller: a.teller,
		prompt:   agentrun.NewPrompt(a.sent.digest, a.sent.at, a.sent.run, a.sent.queue, a.sent.before),
		question: a.sent.asked,
	}
	if a.options.Limits.any() {
		a.watch.tally = newTally(a.options.Limits)
	}
	a.watch.prompt.Command = a.receipt.Command
}

// again sends the prompt in another form, once, if it was refused for the first, and reports whether it was.
func (a *asking) again(ctx context.Context, refusal string) bool {
	if a.resent {
		return false
	}
	sent, err := a.resubmit(ctx, a.op, a.text, refusal)
	switch {
	case errors.Is(err, ErrOutcomeUnknown):
		a.collect(ctx)
	case err != nil:
		a.failure = err
	case sent == nil:
		return false
	default:
		a.sent, a.resent, a.receipt.Before = sent, true, sent.before
		a.follow()
	}
	return true
}

// awaitPause waits while the agent is known to wait before another attempt, or to compact the conversation.
func (a *asking) awaitPause(ctx context.Context) error {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		for item, ok := a.inbox.Take(); ok; item, ok = a.inbox.Take() {
			a.tell(item.decode())
		}
		if !a.ear.pauses(time.Now()) {
			return nil
		}
		select {
		case <-a.inbox.More():
		case <-ticker.C:
		case <-a.ended:
			return a.finalError(a.op)
		case <-a.ctx.Done():
			return a.closedError(a.op)
		case <-ctx.Done():
			return a.ctxError(ctx, a.op)
		}
	}
}

func (a *asking) tell(m ServerMessage) {
	if a.options.OnMessage != nil {
		a.options.OnMessage(m)
	}
}

// await takes messages until the answer is there.
func (a *asking) await(ctx context.Context) (*Answer, error) {
	a.lastSign = time.Now()
	ended := a.told
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		if item, ok := a.inbox.Take(); ok {
			a.take(ctx, item.decode())
			if a.failure != nil {
				return nil, a.failure
			}
		}
		var until <-chan time.Time
		if a.collected == nil {
			reading := a.watch.prompt.At(time.Now())
			if reading.Kind.Over() {
				if !a.watch.prompt.Decided() && a.State() != StateConnected {
					a.collect(ctx) // the silence is that of the connection
					continue
				}
				return a.watch.result(reading)
			}
			if err := a.question(ctx, reading.Kind == agentrun.PromptAsks); err != nil {
				return nil, err
			}
			if a.watch.exceeded() && a.limited.IsZero() {
				a.abort(ctx)
			}
			due, stalled := a.due(reading)
			if !a.limited.IsZero() && !time.Now().Before(a.limited.Add(abortObeyed)) {
				return nil, a.watch.notObeyed()
			}
			if stalled && a.State() != StateConnected {
				a.collect(ctx)
				continue
			}
			if stalled {
				return nil, a.watch.stalled(time.Since(a.lastSign))
			}
			if !due.IsZero() {
				timer.Reset(time.Until(due))
				until = timer.C
			}
		}
		if a.inbox.Len() > 0 {
			continue
		}
		select {
		case <-a.inbox.More():
		case <-until:
		case answer := <-a.collected:
			return answer()
		case err := <-a.replies:
			if err != nil {
				return nil, a.watch.failed(err, "OnQuestion failed")
			}
		case q := <-a.open:
			if a.sendAgain(ctx, q.ID) {
				continue
			}
			a.watch.question = q
			if err := a.question(ctx, true); err != nil {
				return nil, err
			}
		case <-ended:
			ended = nil
			a.collect(ctx)
		case <-a.ctx.Done():
			return nil, a.unknown(a.closedError(a.op))
		case <-ctx.Done():
			return nil, a.unknown(a.ctxError(ctx, a.op))
		}
	}
}

// abort stops an agent that has gone beyond a limit. That may have to wait for a connection.
func (a *asking) abort(ctx context.Context) {
	a.limited = time.Now()
	aborted := make(chan error, 1)
	a.watch.aborted = aborted
	a.workers.Go(func() { aborted <- a.Abort(ctx) })
}

// sendAgain sends the answer to a question again that the history shows open, since it may have been lost with the connection,
// or have come when there was no lead. It reports whether there is one. A second answer has no effect.
func (a *asking) sendAgain(ctx context.Context, id string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.reply == nil || a.reply.ID != id {
		return false
	}
	if !a.repeat {
		a.repeat = true
		reply := a.reply
		a.workers.Go(func() {
			_ = a.RespondUI(ctx, reply.ID, reply.Result) // what is not sent is sent with the next look
			a.mu.Lock()
			defer a.mu.Unlock()
			a.repeat = false
		})
	}
	return true
}

// unknown says that the prompt has arrived, or may have.
func (a *asking) unknown(e *HubConnError) error {
	e.outcomeUnknown = true
	return e
}

// due is when the next reading is due, and whether the agent has stalled.
func (a *asking) due(reading agentrun.PromptReading) (time.Time, bool) {
	until := reading.Until
	if a.options.StallTimeout > 0 && a.asked == "" {
		stalls := a.lastSign.Add(a.options.StallTimeout)
		if !time.Now().Before(stalls) {
			return stalls, true
		}
		if until.IsZero() || stalls.Before(until) {
			until = stalls
		}
	}
	if !a.limited.IsZero() {
		if obeys := a.limited.Add(abortObeyed); until.IsZero() || obeys.Before(until) {
			until = obeys
		}
	}
	return until, false
}

// take takes a message. Those that came before the prompt was sent are only passed on.
func (a *asking) take(ctx context.Context, m ServerMessage) {
	a.tell(m)
	if a.sent != nil && a.sent.skip > 0 {
		a.sent.skip--
		return
	}
	if a.collected != nil {
		if q, ok := m.(*RPCUIRequestMessage); ok && q.Method.Answered() {
			a.watch.question = q
			a.failure = a.question(ctx, true)
		}
		return
	}
	now := time.Now()
	switch m := m.(type) {
	case *HubHydrationMessage:
		if m.streams() {
			a.watch.prompt.Apply(&agentrun.Event{At: now, Name: EventAgentStart, Inferred: true})
		}
	case *RPCEventMessage:
		if m.Replay {
			return
		}
		a.lastSign = now
		mine := a.watch.event(m.EventType, m.Event, now, "")
		if mine && a.options.OnText != nil {
			if update, ok := m.AgentEvent().(*MessageUpdate); ok && update.TextDelta() != "" {
				a.options.OnText(update.TextDelta())
			}
		}
	case *BroadcastEventMessage:
		if isOfAgent(m.Event) {
			a.lastSign = now
		}
		a.watch.event(m.Event, m.Data, now, "")
	case *RPCResponseMessage:
		if r := m.Response; r.ID == a.sent.id && (r.Success || !a.again(ctx, r.Error)) {
			a.watch.prompt.Respond(r.Success, string(r.Disposition()), r.Error, now)
		}
	case *RPCCommandErrorMessage:
		if (m.ID == a.sent.id || m.ID == "" && !a.watch.prompt.Heard()) && !a.again(ctx, m.Error) {
			a.failure = a.commandFailed(a.op, a.receipt.SessionID, m.Error)
		}
	case *RPCUIRequestMessage:
		if m.Method.Answered() {
			a.lastSign = now
			a.watch.question = m
			a.watch.prompt.Apply(&agentrun.Event{At: now, Name: typeRPCUIRequest, QuestionID: m.ID})
		}
	case *ReconnectedMessage:
		a.collect(ctx)
	}
}

// question lets OnQuestion answer what is asked, once, or ends that when nothing is asked any more.
func (a *asking) question(ctx context.Context, open bool) error {
	q := a.watch.question
	switch {
	case !open || q == nil:
		if a.stopAsk != nil && !open {
			a.stopAsk()
			a.stopAsk, a.asked = nil, ""
		}
		return nil
	case a.options.OnQuestion == nil:
		return a.watch.failed(ErrNeedsInput, "it asks for a "+string(q.Method))
	case a.asked == q.ID:
		return nil
	}
	if a.stopAsk != nil {
		a.stopAsk()
	}
	a.asked = q.ID
	var params RPCUIParams
	_ = q.Decode(&params)
	ask, stop := context.WithCancel(ctx)
	if params.Timeout > 0 {
		ask, stop = context.WithTimeout(ctx, params.Timeout.Duration())
	}
	a.stopAsk = stop
	before, done := a.asking, make(chan struct{})
	a.asking = done
	a.workers.Go(func() {
		defer close(done)
		defer stop()
		if before != nil { // one at a time
			<-before
		}
		value, err := a.options.OnQuestion(ask, q)
		if ask.Err() != nil { // nobody wants it any more
			return
		}
		if err == nil {
			a.mu.Lock()
			a.reply = &RPCUIResponseMessage{ID: q.ID, Result: value}
			a.mu.Unlock()
			err = a.RespondUI(ask, q.ID, value)
			var bad *ValidationError
			if !errors.As(err, &bad) { // a lost connection is not the end of it: see sendAgain
				err = nil
			}
		}
		if err != nil {
			select {
			case a.replies <- err:
			default:
			}
		}
	})
	return nil
}

// Listen does what [HubConn.Ask] does while it waits, without a prompt: it calls OnText and OnMessage, and lets OnQuestion
// answer what the agent asks while it works for somebody else. It is for programs that have nothing to ask at the moment,
// and for those that only answer questions. OnText is called with everything that the agent says; StallTimeout and Limits
// are ignored. Without OnQuestion, questions are left to others.
//
// Listen reads [HubConn.Messages], so only one call can run at a time. It goes on where the last call of Ask, Listen or
// Messages has stopped. It ends without an error when the program closes the connection, and with an error when the context
// ends, when the connection has ended for good, and when OnQuestion fails.
//
// Errors: [*ValidationError]; [*HubConnError], with [ErrMessagesInUse] if somebody else ranges over the messages; and an
// [*AgentError] with the error of OnQuestion.
func (h *HubConn) Listen(ctx context.Context, options *AskOptions) error {
	const op = "Listen"
	a := &asking{HubConn: h, op: op, replies: make(chan error, 1)}
	if options != nil {
		a.options = *options
	}
	if ctx == nil {
		return noContext(op)
	}
	if !h.inbox.Consume() {
		return h.newError(op, "", ErrMessagesInUse)
	}
	defer h.inbox.Leave()
	ctx, cancel := context.WithCancel(ctx)
	defer a.workers.Wait()
	defer cancel()
	a.watch = promptWatch{client: h.client, op: op, sessionID: h.SessionID()}
	return a.listen(ctx)
}

func (a *asking) listen(ctx context.Context) error {
	known := true // whether a question is open: after a lost connection not before the agent says something
	for ended := false; ; {
		switch { // before a message is taken that nobody would see
		case a.ctx.Err() != nil:
			return nil //nolint:nilerr // the program has closed the connection
		case ctx.Err() != nil:
			return a.ctxError(ctx, a.op)
		}
		switch item, ok := a.inbox.Take(); {
		case ok:
			switch m := item.decode().(type) {
			case *ReconnectedMessage:
				known = false
				a.tell(m)
			default:
				known = a.hear(m) || known
			}
			continue
		case ended:
			return a.finalError(a.op)
		}
		if err := a.answer(ctx, known); err != nil {
			return err
		}
		select {
		case <-a.inbox.More():
		case err := <-a.replies:
			if err != nil {
				return a.watch.failed(err, "OnQuestion failed")
			}
		case <-a.told:
			ended = true
		case <-a.ctx.Done():
		case <-ctx.Done():
		}
	}
}

// hear passes a message on, and reports whether it tells what the agent is at.
func (a *asking) hear(m ServerMessage) bool {
	a.tell(m)
	switch m := m.(type) {
	case *RPCEventMessage:
		if m.Replay {
			return false
		}
		if a.options.OnText != nil {
			if update, ok := m.AgentEvent().(*MessageUpdate); ok && update.TextDelta() != "" {
				a.options.OnText(update.TextDelta())
			}
		}
		return true
	case *RPCUIRequestMessage:
		return true
	case *HubHydrationMessage:
		return !m.streams() // else it may wait for an answer, and the Hub is about to ask again
	}
	return false
}

// answer lets OnQuestion answer the question that is open, if there is one.
func (a *asking) answer(ctx context.Context, known bool) error {
	if a.options.OnQuestion == nil {
		return nil
	}
	a.ear.mu.Lock()
	kind, asked := a.ear.run.At(time.Now()).Kind, a.ear.asked
	a.ear.mu.Unlock()
	if kind != agentrun.Question && !known {
		return nil
	}
	if asked != nil {
		a.watch.question = asked
	}
	return a.question(ctx, kind == agentrun.Question)
}

// collect lets the history say what becomes of the prompt, since some of what was said is lost.
func (a *asking) collect(ctx context.Context) {
	if a.collected != nil {
		return
	}
	a.collected = make(chan func() (*Answer, error), 1)
	if a.watch.client == nil {
		a.watch = promptWatch{client: a.client, op: a.op, sessionID: a.receipt.SessionID}
	}
	if a.sent != nil {
		a.ear.mu.Lock()
		a.receipt.Disposition = a.sent.disposition
		a.ear.mu.Unlock()
	}
	a.teller.again = true
	options := collectOptions{stall: a.options.StallTimeout, teller: a.teller, limits: a.options.Limits, exceeded: a.Abort}
	if a.options.OnQuestion != nil { // whether the Hub asks again is not known: the history has what is asked
		options.asked = func(q *RPCUIRequestMessage) {
			select {
			case a.open <- q:
			default:
			}
		}
	}
	receipt := *a.receipt
	a.workers.Go(func() {
		answer, err := a.client.collect(ctx, a.op, &receipt, options)
		a.collected <- func() (*Answer, error) { return answer, err }
	})
}
