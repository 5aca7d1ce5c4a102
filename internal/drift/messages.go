package drift

import (
	"encoding/json"
	"reflect"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/internal/agentrun"
)

// members returns the members of a struct type.
func members[T any](s *shapes) object {
	shape[T](s)
	return s.structs[reflect.TypeFor[T]()]
}

// typed is a message with the members of a struct, and its type beside them.
func typed[T any](s *shapes) check { return members[T](s).with(object{"type": text}).check }

// frame is what the Hub sends over a WebSocket.
func (s *shapes) frame() check {
	events := s.events()
	rpc := func(name string, c check) check {
		return object{"type": text, name: c, "sessionId": text, "timestamp": number}.check
	}
	frames := map[string]check{
		"init":                 typed[coder.HubInitMessage](s),
		"session_hydration":    typed[coder.HubHydrationMessage](s),
		"session_stream_ready": typed[coder.HubStreamReadyMessage](s),
		"session_resume":       typed[coder.HubSessionResumeMessage](s),
		"pong":                 typed[coder.PongMessage](s),
		"connection_rejected":  typed[coder.ConnectionRejectedMessage](s),
		"protocol_error":       typed[coder.ProtocolErrorMessage](s),
		"presence":             typed[coder.PresenceEventMessage](s),
		"broadcast":            events.broadcast(s),
		"rpc_event":            rpc("event", events.agentEvent),
		"rpc_response":         rpc("response", s.rpcResponse()),
		"rpc_ui_request":       s.uiRequest().with(object{"type": text, "sessionId": text, "timestamp": number}).check,
		"rpc_command":          typed[coder.RPCCommandMessage](s),
		"rpc_command_error":    typed[coder.RPCCommandErrorMessage](s),
	}
	response := s.hubResponse().check
	refusal := object{"type": text, "error": text}.check
	return func(w *walker, at string, v jsontext.Value) {
		kind := peekText(v, "type")
		switch c := frames[kind]; {
		case c != nil:
			c(w, at, v)
		case kind == "" && peek(v, "id") != nil && peek(v, "actions") != nil:
			response(w, at, v)
		case kind == "" && peek(v, "error") != nil:
			refusal(w, at, v)
		default:
			w.unknown("", kind)
		}
	}
}

// observed is what the Hub sends over an event stream under a name. The type in the JSON goes before the name.
func (s *shapes) observed() func(name string) check {
	messages := map[string]check{
		"snapshot":  typed[coder.SSESessionSnapshotMessage](s),
		"hydration": typed[coder.SSEHydrationMessage](s),
		"presence":  typed[coder.PresenceEventMessage](s),
		"broadcast": s.events().broadcast(s),
	}
	return func(name string) check {
		return func(w *walker, at string, v jsontext.Value) {
			kind := peekText(v, "type")
			if kind == "" {
				kind = name
			}
			if c := messages[kind]; c != nil {
				c(w, at, v)
			} else {
				w.unknown("", kind)
			}
		}
	}
}

// hubResponse has no type. With one that is null it is taken for one all the same.
func (s *shapes) hubResponse() object {
	return object{"type": text, "id": text, "actions": listOf(s.action())}
}

// unknown reports a message, an event or an action without a type.
func (w *walker) unknown(at, name string) { w.report(at, UnknownMessage, strconv.Quote(short(name))) }

// action is an element of a response's list.
func (s *shapes) action() check {
	actions := map[string]object{
		"ACK":            members[coder.AckAction](s),
		"BLOCK":          members[coder.BlockAction](s),
		"CONFIRM":        members[coder.ConfirmAction](s),
		"NOTIFY":         members[coder.NotifyAction](s),
		"RETURN":         members[coder.ReturnAction](s),
		"STATUS":         members[coder.StatusAction](s),
		"SYSTEM_PROMPT":  members[coder.SystemPromptAction](s),
		"INJECT_MESSAGE": members[coder.InjectMessageAction](s),
	}
	return func(w *walker, at string, v jsontext.Value) {
		name := peekText(v, "action")
		if o, known := actions[name]; known {
			o.with(object{"action": text}).check(w, at, v)
		} else {
			w.unknown(member(at, "action"), name)
		}
	}
}

// rpcResponse is an agent's answer to a command. What is in it depends on the command.
func (s *shapes) rpcResponse() check {
	messages := shape[[]coder.AgentMessage](s)
	data := map[coder.RPCCommandType]check{
		coder.CommandGetState:    shape[coder.RPCState](s),
		coder.CommandGetMessages: either(messages, object{"messages": messages}.check),
		coder.CommandPrompt:      s.disposition(), coder.CommandSteer: s.disposition(), coder.CommandFollowUp: s.disposition(),
		coder.CommandCompact: shape[coder.Compaction](s),
	}
	response := members[coder.RPCResponse](s).with(object{"type": text})
	return func(w *walker, at string, v jsontext.Value) {
		response.check(w, at, v)
		found := peek(v, "data")
		if c := data[coder.RPCCommandType(peekText(v, "command"))]; c != nil && found != nil {
			c(w, member(at, "data"), found)
		}
	}
}

// disposition is what RPCResponse.Disposition reads.
func (s *shapes) disposition() check {
	return object{"disposition": shape[coder.RPCDisposition](s)}.check
}

// uiRequest is a question of an agent to its user.
func (s *shapes) uiRequest() object {
	return object{"id": text, "method": shape[coder.RPCUIMethod](s), "params": shape[coder.RPCUIParams](s)}
}

// either is a list, or something else.
func either(list, other check) check {
	return func(w *walker, at string, v jsontext.Value) {
		if v.Kind() == jsontext.KindBeginArray {
			list(w, at, v)
		} else {
			other(w, at, v)
		}
	}
}

// events are the payloads of events by name.
type events map[string]check

// events asks the library for the type of each event that it has a name for. The Hub's own have none: their payloads
// are free.
func (s *shapes) events() events {
	all := make(events)
	for _, name := range values["EventName"] {
		switch event := (&coder.BroadcastEventMessage{Event: name, Data: json.RawMessage(`{}`)}).AgentEvent().(type) {
		case *coder.UnknownAgentEvent:
			all[name] = freeObject
		case *coder.MessageUpdate:
			all[name] = s.agentObject(s.messageUpdate())
		case *coder.ToolCall, *coder.ToolResult, *coder.ToolExecutionStart, *coder.ToolExecutionUpdate, *coder.ToolExecutionEnd:
			all[name] = s.agentObject(s.toolEvent())
		case *coder.UserPrompt:
			all[name] = s.agentObject(userPrompt)
		default:
			t := reflect.TypeOf(event).Elem()
			s.of(t)
			all[name] = s.agentObject(s.structs[t])
		}
	}
	all["rpc_event"] = object{"event": all.agentEvent}.check
	all["rpc_response"] = object{"response": s.rpcResponse()}.check
	all["rpc_ui_request"] = s.uiRequest().check
	return all
}

// userPrompt has what the library reads of the event.
var userPrompt = object{"content": text, "text": text, "timestamp": number}

// agentObject is the payload of an event of the agent, with what all of them may have.
func (s *shapes) agentObject(o object) check { return agentMembers.with(o).check }

// messageUpdate has the piece of a message, which the library reads, and the message so far, which it does not.
func (s *shapes) messageUpdate() object {
	return object{
		"assistantMessageEvent": s.update().check, "message": shape[coder.AgentMessage](s), "usage": shape[coder.AgentUsage](s),
		"text": text, // which the Hub's terminal program reads
	}
}

// update is a piece of a message. The kind and the phase are one word there.
func (s *shapes) update() object {
	var kinds []string
	for _, kind := range values["UpdateKind"] {
		for _, phase := range values["UpdatePhase"] {
			kinds = append(kinds, kind+"_"+phase)
		}
	}
	return object{
		"type": oneOf(kinds...), "contentIndex": whole, "delta": text, "content": text,
		"toolCall": shape[coder.ContentBlock](s), "id": text, "toolName": text, "partial": shape[coder.AgentMessage](s),
	}
}

// toolEvent has what the library reads of the events of a tool.
func (s *shapes) toolEvent() object {
	output := shape[coder.ToolOutput](s)
	return members[coder.ToolOutput](s).with(object{
		"toolCallId": text, "toolName": text, "args": freeObject, "input": freeObject, "isError": boolean,
		"result": output, "partialResult": output, "durationMs": number,
	})
}

// payload looks at the payload of an event, nil if there is none, and at the event's name.
func (e events) payload(w *walker, nameAt, name, at string, v jsontext.Value) {
	name, _ = agentrun.Unwrap(name, nil)
	switch c := e[name]; {
	case c == nil:
		w.unknown(nameAt, name)
	case v != nil:
		c(w, at, v)
	}
}

// agentEvent is an event with its name in it.
func (e events) agentEvent(w *walker, at string, v jsontext.Value) {
	if v.Kind() != jsontext.KindBeginObject {
		w.wrong(at, v, "object")
		return
	}
	e.payload(w, member(at, "type"), peekText(v, "type"), at, v)
}

// broadcast is an event with its name before it.
func (e events) broadcast(s *shapes) check {
	return e.named(typed[coder.BroadcastEventMessage](s), "data")
}

// named is something with an event's name and its payload.
func (e events) named(c check, payload string) check {
	return func(w *walker, at string, v jsontext.Value) {
		c(w, at, v)
		if name := peekText(v, "event"); name != "" {
			e.payload(w, member(at, "event"), name, member(at, payload), peek(v, payload))
		}
	}
}
