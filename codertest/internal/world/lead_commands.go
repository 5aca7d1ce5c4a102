package world

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/agentuity/coder-go/codertest/internal/outbox"
)

// rpcCommand is what a controller wants the lead to do.
type rpcCommand struct {
	Type    string `json:"type"`
	ID      string `json:"id"`
	Message string `json:"message"`
	Text    string `json:"text"` // another name of the message

	// Streaming says what becomes of a prompt while the agent works: steer or
	// followUp.
	Streaming string `json:"streamingBehavior"`
}

type rpcCommandError struct {
	Type    string `json:"type"`
	Error   string `json:"error"`
	Command string `json:"command,omitzero"`
	ID      string `json:"id,omitzero"`
}

type rpcResponse struct {
	Type    string `json:"type"`
	ID      string `json:"id,omitzero"`
	Command string `json:"command"`
	Success bool   `json:"success"`
	Data    any    `json:"data,omitzero"`
	Error   string `json:"error,omitzero"`
}

// uiRequest is a question of the agent to its controllers.
type uiRequest struct {
	ID     string         `json:"id"`
	Method string         `json:"method"`
	Params jsontext.Value `json:"params"`
}

// relayed is a message to the lead.
type relayed struct {
	Type    string         `json:"type"`
	Command jsontext.Value `json:"command"`
}

// speaks are the commands whose message is part of the conversation.
var speaks = map[string]bool{"prompt": true, "steer": true, "follow_up": true}

// command passes a command on to the lead, which may be the Hub's own agent.
func (c *Connection) command(raw jsontext.Value, now time.Time) {
	var cmd rpcCommand
	if json.Unmarshal(raw, &cmd, wireFormat) != nil || raw.Kind() != '{' || cmd.Type == "" {
		c.protest("invalid_message", "An rpc_command has a command with a type", now)
		return
	}
	cmd.Message = cmp.Or(cmd.Message, cmd.Text)
	s := c.session
	switch {
	case c.role != "controller":
		c.commandFailed(cmd, "Only a controller may command the agent", now)
	case speaks[cmd.Type] && cmd.Message == "":
		c.commandFailed(cmd, "The command needs a message", now)
	case !s.awake(now) || !s.led():
		c.commandFailed(cmd, "Sandbox driver is not connected; resume the session first", now)
	case s.lead != nil:
		if speaks[cmd.Type] {
			s.said(cmd.Message, c, now)
		}
		m := relayed{Type: "rpc_command", Command: raw}
		s.lead.Out.Put(outbox.Message{Kind: m.Type, Body: Encode(m)})
	default:
		c.obey(cmd, now)
	}
}

// commandFailed tells the sender, and whoever waits for the response.
func (c *Connection) commandFailed(cmd rpcCommand, why string, now time.Time) {
	c.tell(rpcCommandError{Type: "rpc_command_error", Error: why, Command: cmd.Type, ID: cmd.ID})
	if cmd.ID != "" {
		c.session.respond(cmd, rpcResponse{Error: why}, now)
	}
}

// obey lets the Hub's own agent carry a command out. In its RPC mode it answers
// every command, the extension none.
func (c *Connection) obey(cmd rpcCommand, now time.Time) {
	a := &c.session.agent
	p := prompt{text: cmd.Message, by: c, steers: cmd.Type == "steer" || cmd.Streaming == "steer"}
	if a.extension() {
		switch cmd.Type {
		case "prompt", "steer", "follow_up":
			a.hear(p, now)
		case "abort":
			a.abort(now)
		}
		a.proceed(now)
		return
	}
	switch cmd.Type {
	case "prompt":
		a.prompted(cmd, p, now)
	case "steer", "follow_up":
		a.enqueue(p, now)
		a.respondQueued(cmd, "queued", now)
	case "abort", "abort_retry":
		if cmd.Type == "abort" {
			a.abort(now)
		} else if a.phase == agentRetrying {
			a.cancelRetry(false, now)
		}
		a.session.respond(cmd, rpcResponse{Success: true}, now)
	case "compact":
		a.compactNow(cmd, now)
	case "clear_queue":
		cleared := map[string]any{"steering": texts(a.steering), "followUp": texts(a.followUps)}
		a.steering, a.followUps = nil, nil
		a.sayQueue(now)
		a.session.respond(cmd, rpcResponse{Success: true, Data: cleared}, now)
	case "get_state":
		a.session.respond(cmd, rpcResponse{Success: true, Data: a.state()}, now)
	case "get_messages":
		said := map[string]any{"messages": slices.Clip(a.messages)}
		a.session.respond(cmd, rpcResponse{Success: true, Data: said}, now)
	default:
		c.commandFailed(cmd, "Unknown command: "+cmd.Type, now)
	}
	a.proceed(now)
}

// alreadyProcessing is why the agent refuses a prompt.
const alreadyProcessing = "Agent is already processing. " +
	"Specify streamingBehavior ('steer' or 'followUp') to queue the message."

// prompted takes the command prompt. While the agent works, the command has to say
// whether it steers or follows.
func (a *ownAgent) prompted(cmd rpcCommand, p prompt, now time.Time) {
	busy := a.phase == agentRunning || a.phase == agentCompacting || a.phase == agentRetrying && a.newer()
	switch {
	case busy && cmd.Streaming == "":
		a.session.respond(cmd, rpcResponse{Error: alreadyProcessing}, now)
	case busy:
		a.enqueue(p, now)
		a.respondQueued(cmd, "queued", now)
	case a.phase == agentIdle && a.lacksKey():
		a.session.respond(cmd, rpcResponse{Error: noModelKey}, now)
	default:
		a.respondQueued(cmd, "started", now)
		a.take(p, now)
	}
}

// respondQueued says what became of a prompt. The older version says only that it
// has come.
func (a *ownAgent) respondQueued(cmd rpcCommand, disposition string, now time.Time) {
	r := rpcResponse{Success: true}
	if a.newer() {
		r.Data = map[string]any{"disposition": disposition}
	}
	a.session.respond(cmd, r, now)
}

// compactNow ends what the agent does and compacts the conversation.
func (a *ownAgent) compactNow(cmd rpcCommand, now time.Time) {
	a.abort(now)
	a.interrupt() // a prompt that has not begun is lost
	a.compact(compaction{reason: "manual", done: func(result map[string]any, failed string, now time.Time) {
		r := rpcResponse{Success: failed == "", Error: failed}
		if r.Success {
			r.Data = result
		}
		a.report(now, func(now time.Time) { a.session.respond(cmd, r, now) })
	}}, now)
}

// state is the answer to get_state. The newer version streams until it is idle;
// the older one does not while it waits for a retry.
func (a *ownAgent) state() map[string]any {
	streams := a.phase == agentRunning || a.newer() && (a.phase == agentRetrying || a.phase == agentCompacting)
	return map[string]any{
		"model": map[string]any{
			"id": agentModel, "name": agentModel, "api": agentAPI, "provider": agentProvider,
			"reasoning": true, "input": []string{"text"}, "contextWindow": 128000, "maxTokens": 4096,
			"cost": map[string]any{
				"input": costInput * 1e6, "output": costOutput * 1e6, "cacheRead": costCached * 1e6, "cacheWrite": 0,
			},
		},
		"thinkingLevel":         thinkingLevel,
		"isStreaming":           streams,
		"isCompacting":          a.phase == agentCompacting,
		"isWaitingForInput":     a.asking != nil,
		"steeringMode":          "one-at-a-time",
		"followUpMode":          "one-at-a-time",
		"sessionId":             a.session.id,
		"sessionName":           a.session.label,
		"autoCompactionEnabled": true,
		"messageCount":          len(a.messages),
		"pendingMessageCount":   len(a.steering) + len(a.followUps),
	}
}

// respond sends the response to a command to all controllers.
func (s *Session) respond(c rpcCommand, r rpcResponse, now time.Time) {
	r.Type, r.ID, r.Command = "response", c.ID, c.Type
	s.toControllers(s.wrapped("rpc_response", map[string]any{"response": r}, now.UnixMilli()))
}

func textBlocks(text string) []any {
	return []any{map[string]any{"type": "text", "text": text}}
}

// wrapped is a message of the agent's protocol as controllers are sent it.
func (s *Session) wrapped(event string, data any, at int64) broadcast {
	return broadcast{
		Type: "broadcast", Event: event, Category: "rpc", Data: Encode(data), SessionID: s.id, Timestamp: at,
	}
}

func (s *Session) toControllers(b broadcast) {
	s.publish(b, func(c *Connection) bool { return c.role == "controller" })
}

// happen records an event of the agent. Controllers are sent it in the agent's
// own protocol, all others as any event. Each has a timestamp of its own, since
// some clients take two events with the same timestamp for one.
//
// The history has it without its copies of what other events have.
func (s *Session) happen(e Event, now time.Time) {
	event := s.keep(e, s.tick(now), now)
	s.events[len(s.events)-1].Payload = withoutCopies(e.Event, event.Payload)
	s.publish(event.broadcast(s.id), func(c *Connection) bool { return c.role != "controller" })
	s.toControllers(s.wrapped("rpc_event", map[string]any{"event": event.inner()}, event.at))
}

// inner is an event in the agent's own protocol.
func (e sessionEvent) inner() map[string]jsontext.Value {
	inner := map[string]jsontext.Value{"type": Encode(e.Event), "timestamp": Encode(e.at)}
	maps.Copy(inner, membersOf(e.data()))
	return inner
}

// rpcEvent is an event that a controller hears again. It is not wrapped in a
// broadcast.
type rpcEvent struct {
	Type      string                    `json:"type"`
	Event     map[string]jsontext.Value `json:"event"`
	Timestamp int64                     `json:"timestamp"`
}

// tick returns the time in milliseconds, and never the same twice: if it has to,
// one more than the last time.
func (s *Session) tick(now time.Time) int64 {
	s.lastTick = max(now.UnixMilli(), s.lastTick+1)
	return s.lastTick
}

// said adds what a controller has sent to the conversation, and tells everybody
// else.
func (s *Session) said(text string, by *Connection, now time.Time) {
	at := s.tick(now)
	s.addEntry(Entry{Type: "user_prompt", Content: text}, now)
	s.report.expect(text)
	event := s.keep(Event{Event: "user_prompt", Category: "message", Payload: map[string]any{
		"content": text, "timestamp": at,
	}}, at, now)
	s.publish(event.broadcast(s.id), func(c *Connection) bool { return c != by })
}

// answerUI passes the answer to a question of the agent on to the lead. The Hub's
// own agent takes the first answer.
func (s *Session) answerUI(f clientFrame, data []byte, now time.Time) {
	if s.lead != nil {
		s.lead.Out.Put(outbox.Message{Kind: *f.Type, Body: data})
		return
	}
	s.agent.answered(f.ID, f.Result, now)
}
