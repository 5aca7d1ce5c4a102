package world

import (
	"cmp"
	"maps"
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
}

type rpcCommandError struct {
	Type    string `json:"type"`
	Error   string `json:"error"`
	Command string `json:"command,omitzero"`
	ID      string `json:"id,omitzero"`
}

type rpcResponse struct {
	Type    string `json:"type"`
	ID      string `json:"id"`
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
	case !s.awake(now) || s.mode == "tui" && s.lead == nil:
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

// obey lets the Hub's own agent carry a command out, after the response.
func (c *Connection) obey(cmd rpcCommand, now time.Time) {
	s := c.session
	agent := &s.agent
	answer := rpcResponse{Success: true}
	do := func() {}
	switch cmd.Type {
	case "prompt", "follow_up":
		do = func() { agent.enqueue(cmd.Message, c) }
	case "steer":
		do = func() { agent.steer(s, cmd.Message, c, now) }
	case "abort":
		do = func() { agent.abort(s, now) }
	case "compact":
		do = func() {
			s.happen(Event{Event: "session_before_compact"}, now)
			s.happen(Event{Event: "session_compact"}, now)
		}
	case "get_state":
		answer.Data = map[string]any{
			"isStreaming":       agent.running,
			"isWaitingForInput": agent.asking != nil,
			"sessionName":       s.label,
		}
	case "get_messages":
		answer.Data = s.rpcMessages()
	default:
		c.commandFailed(cmd, "Unknown command: "+cmd.Type, now)
		return
	}
	if cmd.ID != "" {
		s.respond(cmd, answer, now)
	}
	do()
	s.runAgent()
}

// respond sends the response to a command to all controllers.
func (s *Session) respond(c rpcCommand, r rpcResponse, now time.Time) {
	r.Type, r.ID, r.Command = "response", c.ID, c.Type
	s.toControllers(s.wrapped("rpc_response", map[string]any{"response": r}, now.UnixMilli()))
}

type rpcMessage struct {
	Role      string `json:"role"`
	Content   any    `json:"content"`
	Timestamp int64  `json:"timestamp"`
}

// rpcMessages is the conversation as get_messages answers it.
func (s *Session) rpcMessages() []rpcMessage {
	messages := []rpcMessage{}
	for _, entry := range s.entries {
		switch entry.Type {
		case "user_prompt":
			messages = append(messages, rpcMessage{"user", entry.Content, entry.Timestamp})
		case "message":
			messages = append(messages, rpcMessage{"assistant", textBlocks(entry.Content), entry.Timestamp})
		}
	}
	return messages
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
func (s *Session) happen(e Event, now time.Time) {
	event := s.keep(e, s.tick(now), now)
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
	event := s.keep(Event{Event: "user_prompt", Category: "message", Payload: map[string]any{
		"content": text, "timestamp": at,
	}}, at, now)
	s.publish(event.broadcast(s.id), func(c *Connection) bool { return c != by })
}

// answerUI passes the answer to a question of the agent on to the lead. The Hub's
// own agent takes the first answer.
func (s *Session) answerUI(f clientFrame, data []byte) {
	if s.lead != nil {
		s.lead.Out.Put(outbox.Message{Kind: *f.Type, Body: data})
		return
	}
	if s.agent.answered(f.ID, f.Result) {
		s.runAgent()
	}
}
