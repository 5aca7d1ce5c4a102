package codertest

import (
	"cmp"
	"maps"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/agentuity/coder-go/codertest/internal/outbox"
)

// rpcCommand is what a controller wants of the lead.
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

// uiRequest is a question of the agent to whoever controls it.
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

// speaks are the commands that put words into the conversation.
var speaks = map[string]bool{"prompt": true, "steer": true, "follow_up": true}

// command passes a command on to the lead, or to the Hub's own agent.
func (s *socket) command(command jsontext.Value, now time.Time) {
	var c rpcCommand
	if json.Unmarshal(command, &c, wireFormat) != nil || command.Kind() != '{' || c.Type == "" {
		s.protest("invalid_message", "An rpc_command has a command with a type", now)
		return
	}
	c.Message = cmp.Or(c.Message, c.Text)
	joined := s.session
	switch {
	case s.role != "controller":
		s.commandFailed(c, "Only a controller may command the agent", now)
	case speaks[c.Type] && c.Message == "":
		s.commandFailed(c, "The command needs a message", now)
	case !joined.awake(now) || joined.mode == "tui" && joined.lead == nil:
		s.commandFailed(c, "Sandbox driver is not connected; resume the session first", now)
	case joined.lead != nil:
		if speaks[c.Type] {
			joined.said(c.Message, s.connection, now)
		}
		m := relayed{Type: "rpc_command", Command: command}
		joined.lead.out.Put(outbox.Message{Kind: m.Type, Body: encode(m)})
	default:
		s.obey(c, now)
	}
}

// commandFailed tells the sender, and whoever waits for the response.
func (s *socket) commandFailed(c rpcCommand, why string, now time.Time) {
	s.tell(rpcCommandError{Type: "rpc_command_error", Error: why, Command: c.Type, ID: c.ID})
	if c.ID != "" {
		s.session.respond(c, rpcResponse{Error: why}, now)
	}
}

// obey lets the Hub's own agent do what a controller wants.
func (s *socket) obey(c rpcCommand, now time.Time) {
	agent := &s.session.agent
	answer := rpcResponse{Success: true}
	do := func() {}
	switch c.Type {
	case "prompt", "follow_up":
		do = func() { agent.prompt(c.Message, s.connection) }
	case "steer":
		do = func() { agent.steer(s.session, c.Message, s.connection, now) }
	case "abort":
		do = func() { agent.abort(s.session, now) }
	case "compact":
		do = func() {
			s.session.happen(Event{Event: "session_before_compact"}, now)
			s.session.happen(Event{Event: "session_compact"}, now)
		}
	case "get_state":
		answer.Data = map[string]any{
			"isStreaming":       agent.running,
			"isWaitingForInput": agent.asking != nil,
			"sessionName":       s.session.label,
		}
	case "get_messages":
		answer.Data = s.session.rpcMessages()
	default:
		s.commandFailed(c, "Unknown command: "+c.Type, now)
		return
	}
	if c.ID != "" {
		s.session.respond(c, answer, now)
	}
	do()
	s.hub.runAgent(s.session)
}

// respond broadcasts the response to a command.
func (s *session) respond(c rpcCommand, r rpcResponse, now time.Time) {
	r.Type, r.ID, r.Command = "response", c.ID, c.Type
	s.toControllers(s.wrapped("rpc_response", map[string]any{"response": r}, now.UnixMilli()))
}

type rpcMessage struct {
	Role      string `json:"role"`
	Content   any    `json:"content"`
	Timestamp int64  `json:"timestamp"`
}

// rpcMessages is the conversation as get_messages has it.
func (s *session) rpcMessages() []rpcMessage {
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
func (s *session) wrapped(event string, data any, at int64) broadcast {
	return broadcast{
		Type: "broadcast", Event: event, Category: "rpc", Data: encode(data), SessionID: s.id, Timestamp: at,
	}
}

func (s *session) toControllers(b broadcast) {
	s.publish(b, func(c *connection) bool { return c.role == "controller" })
}

// happen makes an event of the agent part of the session. Controllers are told
// in the agent's own protocol, observers as of any event. No two such events
// have the same timestamp: some clients take them for one.
func (s *session) happen(e Event, now time.Time) {
	event := s.keep(e, s.tick(now), now)
	s.publish(event.broadcast(s.id), func(c *connection) bool { return c.role != "controller" })
	s.toControllers(s.wrapped("rpc_event", map[string]any{"event": event.inner()}, event.at))
}

// inner is an event in the agent's own protocol.
func (e sessionEvent) inner() map[string]jsontext.Value {
	inner := map[string]jsontext.Value{"type": encode(e.Event), "timestamp": encode(e.at)}
	maps.Copy(inner, membersOf(e.data()))
	return inner
}

// rpcEvent is an event that is replayed: live ones are wrapped.
type rpcEvent struct {
	Type      string                    `json:"type"`
	Event     map[string]jsontext.Value `json:"event"`
	Timestamp int64                     `json:"timestamp"`
}

// tick returns the time, or what comes after the last time it returned.
func (s *session) tick(now time.Time) int64 {
	s.lastTick = max(now.UnixMilli(), s.lastTick+1)
	return s.lastTick
}

// said puts what somebody has typed into the conversation, and tells everybody
// else.
func (s *session) said(text string, by *connection, now time.Time) {
	at := s.tick(now)
	s.addEntry(ReplayEntry{Type: "user_prompt", Content: text}, now)
	event := s.keep(Event{Event: "user_prompt", Category: "message", Payload: map[string]any{
		"content": text, "timestamp": at,
	}}, at, now)
	s.publish(event.broadcast(s.id), func(c *connection) bool { return c != by })
}

// answerUI takes the answer to a question of the agent: the lead's, or the
// Hub's own, which takes the first one.
func (h *Hub) answerUI(s *session, f clientFrame, data []byte) {
	if s.lead != nil {
		s.lead.out.Put(outbox.Message{Kind: *f.Type, Body: data})
		return
	}
	if s.agent.answered(f.ID, f.Result) {
		h.runAgent(s)
	}
}
