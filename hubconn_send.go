package coder

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/agentuity/coder-go/internal/wire"
)

// outgoing is a frame on its way to the socket.
type outgoing struct {
	frame []byte
	call  *hubCall // waits for the answer; nil: nobody does
	sent  func()   // called by the writer when the frame is on the socket, unless it is nil
	state atomic.Int32
	done  chan sendResult // has room for one
}

// sendResult is how the writing of a frame has ended.
type sendResult struct {
	maybeSent bool // some of it may have gone out
	err       error
}

// The states of an outgoing frame. It is written only if the writer takes it before its sender gives up.
const (
	outgoingWaits = iota
	outgoingTaken
	outgoingAbandoned
)

// abandon says that the sender has given up. It reports whether the writer had not taken the frame; then
// it never will.
func (o *outgoing) abandon() bool {
	return o.state.Swap(outgoingAbandoned) == outgoingWaits
}

// Send sends a message. It blocks until the message is on the socket, until the context ends, or until the
// connection has ended for good. While the connection is lost, it waits for the next one. A message is never
// sent twice: an error that matches [ErrOutcomeUnknown] means that it may have been sent, any other error
// that it was not.
//
// Errors: [*ValidationError] and [*HubConnError].
func (h *HubConn) Send(ctx context.Context, message ClientMessage) error {
	return h.send(ctx, "Send", message)
}

func (h *HubConn) send(ctx context.Context, op string, message ClientMessage) error {
	id := ""
	if given, answered := requestID(message); answered && given == "" {
		id = rand.Text()
	}
	frame, err := encodeMessage(op, message, id)
	if err != nil {
		return err
	}
	out := &outgoing{frame: frame}
	switch m := message.(type) {
	case *ObserverSubscribeMessage:
		patterns := slices.Clone(m.Patterns)
		out.sent = func() {
			h.mu.Lock()
			h.subscribe = patterns
			h.mu.Unlock()
		}
	case *PingMessage:
		out.sent = h.pings.sentByProgram
	}
	if ctx == nil {
		return noContext(op)
	}
	ctx, call := h.observe(ctx, op)
	err = h.put(ctx, op, out)
	h.over(call, err)
	return err
}

// put gives a frame to the writer and waits until it is on the socket.
func (h *HubConn) put(ctx context.Context, op string, out *outgoing) error {
	out.done = make(chan sendResult, 1)
	switch {
	case ctx == nil:
		return noContext(op)
	case h.ctx.Err() != nil:
		return h.closedError(op)
	case ctx.Err() != nil:
		return h.ctxError(ctx, op)
	}
	select {
	case <-h.ended:
		return h.finalError(op)
	case <-h.ctx.Done():
		return h.closedError(op)
	case <-ctx.Done():
		return h.ctxError(ctx, op)
	default:
	}
	h.enqueue(out)
	var e *HubConnError
	select {
	case done := <-out.done:
		return h.sendError(op, done)
	case <-h.ended:
		e = h.finalError(op)
	case <-h.ctx.Done():
		e = h.closedError(op)
	case <-ctx.Done():
		e = h.ctxError(ctx, op)
	}
	if out.abandon() {
		h.unqueue(out)
		return e
	}
	select {
	case done := <-out.done:
		if done.err == nil {
			return nil
		}
	default:
	}
	e.outcomeUnknown = true
	return e
}

func (h *HubConn) sendError(op string, done sendResult) error {
	if done.err == nil {
		return nil
	}
	if errors.Is(done.err, ErrConnClosed) {
		e := h.closedError(op)
		e.outcomeUnknown = done.maybeSent
		return e
	}
	var e *HubConnError
	if errors.As(done.err, &e) {
		e = e.as(op)
	} else {
		e = h.newError(op, ConnLost, done.err)
	}
	// A message that the other side says is too large was not taken.
	e.outcomeUnknown = done.maybeSent && e.CloseCode != CloseTooLarge
	return e
}

// failSend ends the Send whose write has failed. The reader calls it when it knows why: often the Hub has
// said so in a close frame.
func (h *HubConn) failSend(err *HubConnError) {
	h.mu.Lock()
	out := h.failedSend
	h.failedSend = nil
	h.mu.Unlock()
	if out != nil {
		out.done <- sendResult{maybeSent: true, err: err}
	}
}

// callID says which response a call waits for. Requests and commands have ids of their own.
type callID struct {
	command bool
	id      string
}

// hubCall is a call that waits for its answer.
type hubCall struct {
	callID
	answer chan callAnswer // has room for one
}

// callAnswer ends the wait of a call: a frame, or an error.
type callAnswer struct {
	raw      []byte
	err      *HubConnError
	noEffect bool // it is certain that the request had no effect
}

// await registers a call for its answer, and forget removes it.
func (h *HubConn) await(call *hubCall) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls[call.callID] = call
}

func (h *HubConn) forget(call *hubCall) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.calls, call.callID)
}

// noteWrite notes that a frame is written now, and the call that waits for its answer; nil: nobody does. It returns
// what was noted before.
func (h *HubConn) noteWrite(call *hubCall) (previous *hubCall) {
	h.mu.Lock()
	defer h.mu.Unlock()
	previous, h.lastCall = h.lastCall, call
	return previous
}

// resolve ends the wait of the call with this id, if there is one. The mutex is held.
func (h *HubConn) resolve(id callID, answer callAnswer) {
	if call := h.calls[id]; call != nil {
		delete(h.calls, id)
		call.answer <- answer
	}
}

// cancelCalls ends all waits, because a response never comes over another connection than its request.
func (h *HubConn) cancelCalls(err *HubConnError) {
	h.mu.Lock()
	defer h.mu.Unlock()
	// The close frame does not say which message was too large. It was the last one, or one before it, after
	// which nothing was taken: only the last one has certainly had no effect.
	for id, call := range h.calls {
		h.resolve(id, callAnswer{err: err, noEffect: err.CloseCode == CloseTooLarge && call == h.lastCall})
	}
}

// failCommands ends the wait for the command with this id. Without an id it ends that for all commands: the
// Hub does not say which one has failed, but what it reports, such as a missing lead, concerns them all. The
// mutex is held.
func (h *HubConn) failCommands(id, why string) {
	failed := callAnswer{err: h.commandFailed("", h.sessionID, why), noEffect: true}
	if id != "" {
		h.resolve(callID{true, id}, failed)
		return
	}
	for id := range h.calls {
		if id.command {
			h.resolve(id, failed)
		}
	}
}

func (h *HubConn) commandFailed(op, sessionID, why string) *HubConnError {
	e := newHubConnError(op, h.client.secret.Text(sessionID), ConnCommandFailed, nil)
	e.ServerMessage = h.client.secret.Text(why)
	return e
}

// SendAndWait sends an [*EventRequest], a [*ToolRequest] or a [*CommandRequest] with an id of its
// own, and returns the response to it. The message itself is not changed.
//
// If the connection is lost, or the context ends, before the response came, the error matches
// [ErrOutcomeUnknown]. SendAndWait does not wait for another connection then, since the response would not
// come again. If the Hub does not answer, only the context limits the wait. See [HubConn] for calls in a loop
// over Messages.
//
// Errors: [*ValidationError] and [*HubConnError].
func (h *HubConn) SendAndWait(ctx context.Context, request HubRequest) (*HubResponse, error) {
	const op = "SendAndWait"
	var response *HubResponse
	err := h.request(ctx, op, request, false, func(raw []byte) error {
		if response = decodeHubResponse(raw); response == nil {
			return h.invalidResponse(op, "it has no actions")
		}
		return nil
	})
	return response, err
}

func (h *HubConn) invalidResponse(op, why string) error {
	return h.newError(op, ConnInvalidResponse, errors.New(why))
}

// request sends a message and reads the frame that answers it.
func (h *HubConn) request(ctx context.Context, op string, message ClientMessage, command bool, read func(raw []byte) error) error {
	call := &hubCall{callID: callID{command, rand.Text()}, answer: make(chan callAnswer, 1)}
	frame, err := encodeMessage(op, message, call.id)
	if err != nil {
		return err
	}
	if ctx == nil {
		return noContext(op)
	}
	ctx, observed := h.observe(ctx, op)
	raw, err := h.answered(ctx, op, call, frame)
	if err == nil {
		err = read(raw)
	}
	h.over(observed, err)
	return err
}

// answered sends a frame and waits for the one that answers it.
func (h *HubConn) answered(ctx context.Context, op string, call *hubCall, frame []byte) ([]byte, error) {
	defer h.forget(call)
	if err := h.put(ctx, op, &outgoing{frame: frame, call: call}); err != nil {
		return nil, err
	}
	var unanswered <-chan time.Time // nil: the Hub answers, or the connection is lost
	if call.command {
		timer := time.NewTimer(commandTimeout)
		defer timer.Stop()
		unanswered = timer.C
	}
	var e *HubConnError
	select {
	case answer := <-call.answer:
		if answer.err == nil {
			return answer.raw, nil
		}
		e = answer.err.as(op)
		e.outcomeUnknown = !answer.noEffect
		return nil, e
	case <-unanswered:
		return nil, h.newError(op, ConnUnanswered, fmt.Errorf("the lead has not answered for %v; one in a terminal answers no commands", commandTimeout))
	case <-h.ctx.Done():
		e = h.closedError(op)
	case <-ctx.Done():
		select {
		case answer := <-call.answer:
			if answer.err == nil {
				return answer.raw, nil
			}
		default:
		}
		e = h.ctxError(ctx, op)
	}
	e.outcomeUnknown = true
	return nil, e
}

// commandTimeout is how long a lead may take to answer a command. It answers at once or never.
const commandTimeout = 30 * time.Second

// Prompt gives the agent a task. Like Steer, FollowUp, Abort and Compact it returns when the command is on the
// socket. The effects arrive as messages: see [AgentEvent]. If a command could not be carried out, an
// [*RPCCommandErrorMessage] arrives, or an [*RPCResponseMessage] without Success. Both repeat the id of the command,
// which Prompt makes up: to know the id, send an [*RPCCommandMessage] with an ID of your own.
//
// An [*AgentEnd] does not end a prompt: after an error the agent calls the model again by itself, up to 3 times.
// [HubConn.Ask] knows when the prompt is over, and returns the answer.
//
// While it is at work, an agent in a terminal queues the prompt, and an agent in a sandbox refuses it, unless
// [RPCCommand].StreamingBehavior says how to queue it. The recorded agents lose a prompt that comes before they have
// reported the user message of the prompt before. So Prompt waits until the agent has taken the previous prompt on this
// connection, for 5 s at most. Errors are those of Send.
func (h *HubConn) Prompt(ctx context.Context, text string) error {
	_, err := observed(ctx, h.client, "Prompt", h.SessionID(), func(ctx context.Context) (*sentPrompt, error) {
		return h.submit(ctx, "Prompt", RPCCommand{Type: CommandPrompt, ID: rand.Text(), Message: text})
	})
	return err
}

// Steer changes the course of the agent while it works. The agent finishes the message that it is writing and the
// tools that this message calls; the text comes before the next call of the model. An idle agent in a terminal takes
// it as a prompt; an idle agent in a sandbox keeps it until the next prompt. Errors are those of Send.
func (h *HubConn) Steer(ctx context.Context, text string) error {
	return h.command(ctx, "Steer", CommandSteer, text)
}

// FollowUp queues a task for the agent until its current one is done; both are answered in one run. An idle
// agent in a terminal takes it as a prompt; an idle agent in a sandbox keeps it until the next prompt. Errors
// are those of Send.
func (h *HubConn) FollowUp(ctx context.Context, text string) error {
	return h.command(ctx, "FollowUp", CommandFollowUp, text)
}

// Abort stops the agent, whether it is writing a message, running a tool, or waiting before another call of the
// model. Queued texts stay, and run with the next prompt. Errors are those of Send.
func (h *HubConn) Abort(ctx context.Context) error {
	return h.sendCommand(ctx, "Abort", RPCCommand{Type: CommandAbort})
}

// Compact makes the agent summarize the conversation, to free its context. An agent in a terminal ignores it.
// Errors are those of Send.
func (h *HubConn) Compact(ctx context.Context) error {
	return h.sendCommand(ctx, "Compact", RPCCommand{Type: CommandCompact})
}

func (h *HubConn) command(ctx context.Context, op string, kind RPCCommandType, text string) error {
	if strings.TrimSpace(text) == "" {
		return invalid(op, "text", "must not be empty")
	}
	return h.sendCommand(ctx, op, RPCCommand{Type: kind, Message: text})
}

// sendCommand sends a command with an id, so that its failure is not taken for that of another.
func (h *HubConn) sendCommand(ctx context.Context, op string, command RPCCommand) error {
	command.ID = rand.Text()
	return h.send(ctx, op, &RPCCommandMessage{command})
}

// GetState asks the agent whether it is at work and waits for the answer, for 30 s at most: a lead in a
// terminal answers no commands, and Code of the [*HubConnError] is then [ConnUnanswered]. If the Hub or the agent
// cannot carry out the command, Code is [ConnCommandFailed]. If a Hub does not say which command failed, all
// commands that wait for an answer fail. Other errors are those of SendAndWait.
func (h *HubConn) GetState(ctx context.Context) (*RPCState, error) {
	state := new(RPCState)
	err := h.ask(ctx, "GetState", CommandGetState, func(data json.RawMessage) bool {
		return data[0] == '{' && wire.Unmarshal(data, state) == nil
	})
	if err != nil {
		return nil, err
	}
	return state, nil
}

// GetMessages asks the agent for the conversation. Its errors, and how long it waits, are those of GetState.
func (h *HubConn) GetMessages(ctx context.Context) ([]RPCMessage, error) {
	var messages []RPCMessage
	err := h.ask(ctx, "GetMessages", CommandGetMessages, func(data json.RawMessage) bool {
		if data[0] == '{' {
			var wrapped struct {
				Messages json.RawMessage `json:"messages"`
			}
			_ = wire.Unmarshal(data, &wrapped)
			data = wrapped.Messages
		}
		return len(data) > 0 && data[0] == '[' && wire.Unmarshal(data, &messages) == nil
	})
	if err != nil {
		return nil, err
	}
	return messages, nil
}

// ask sends a command and reads the data of its response. read reports whether it can be read.
func (h *HubConn) ask(ctx context.Context, op string, kind RPCCommandType, read func(json.RawMessage) bool) error {
	return h.request(ctx, op, &RPCCommandMessage{RPCCommand{Type: kind}}, true, func(raw []byte) error {
		m, ok := decodeServerMessage(raw).(*RPCResponseMessage)
		switch {
		case !ok:
			return h.invalidResponse(op, "it is no response to a command")
		case !m.Response.Success:
			return h.commandFailed(op, h.SessionID(), m.Response.Error)
		}
		switch data := m.Response.Data; {
		case len(data) == 0 || string(data) == "null":
			return h.invalidResponse(op, "it has no data")
		case !read(data):
			return h.invalidResponse(op, "its data cannot be decoded")
		}
		return nil
	})
}

// RespondUI answers the [*RPCUIRequestMessage] that has this id, with a string, a bool, or nil for no answer.
// Errors are those of Send.
func (h *HubConn) RespondUI(ctx context.Context, requestID string, result any) error {
	const op = "RespondUI"
	if requestID == "" {
		return invalid(op, "requestID", "must not be empty")
	}
	return h.send(ctx, op, &RPCUIResponseMessage{ID: requestID, Result: result})
}
