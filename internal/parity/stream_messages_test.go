//go:build parity

package parity

import (
	"encoding/json"
	"reflect"

	"github.com/agentuity/coder-go"
)

// The messages of clients, in the types of this module.
var clientMessages = []coder.ClientMessage{
	new(coder.EventRequest), new(coder.ToolRequest), new(coder.CommandRequest), new(coder.SessionEntryMessage),
	new(coder.SessionWriteMessage), new(coder.BootstrapReadyMessage), new(coder.ObserverSubscribeMessage), new(coder.RPCCommandMessage),
	new(coder.RPCUIResponseMessage), new(coder.RenameSessionMessage), new(coder.PingMessage),
}

// renameSession is the one message of clients that the original has no schema for.
const renameSession = "rename_session"

// discriminator is the fixed value by which the original tells messages, or actions, of a Go type.
func discriminator(goType, member string) string {
	for name, s := range known.Schemas {
		if d := s.object().Members[member]; goName(name) == goType && len(d.Values) == 1 {
			return d.Values[0].(string)
		}
	}
	return ""
}

// clientMessage is a message of JSON in the type it has here.
func clientMessage(message object) coder.ClientMessage {
	for _, m := range clientMessages {
		t := reflect.TypeOf(m).Elem()
		kind := discriminator(t.Name(), "type")
		if t == reflect.TypeFor[coder.RenameSessionMessage]() {
			kind = renameSession
		}
		if kind != message["type"] {
			continue
		}
		out := reflect.New(t)
		if err := json.Unmarshal([]byte(encode(message)), out.Interface()); err != nil {
			panic(err)
		}
		return out.Interface().(coder.ClientMessage)
	}
	panic("no type here for " + encode(message))
}

// heard is a message as the Hub may have sent it: what a Go type says by itself is spelled out.
func heard(message any) any {
	switch m := message.(type) {
	case *coder.UnknownMessage:
		if v, err := tree(m.Raw); err == nil {
			return v
		}
		return string(m.Raw)
	case *coder.HubResponse:
		actions := []any{}
		for _, a := range m.Actions {
			actions = append(actions, heardAction(a))
		}
		return object{"id": m.ID, "actions": actions}
	case *coder.RPCEventMessage:
		if m.Replay {
			return object{"type": "rpc_event", "event": jsonOf(m.Event), "timestamp": jsonOf(m.Timestamp)}
		}
		return wrapped("rpc_event", object{"event": jsonOf(m.Event)}, m.SessionID, m.Timestamp)
	case *coder.RPCResponseMessage:
		response := jsonOf(m.Response).(object)
		response["type"] = "response"
		if m.SessionID == "" && m.Timestamp.IsZero() {
			return object{"type": "rpc_response", "response": response}
		}
		return wrapped("rpc_response", object{"response": response}, m.SessionID, m.Timestamp)
	case *coder.RPCUIRequestMessage:
		data := object{"id": m.ID, "method": string(m.Method), "params": jsonOf(m.Params)}
		if m.SessionID == "" && m.Timestamp.IsZero() {
			data["type"] = "rpc_ui_request"
			return data
		}
		return wrapped("rpc_ui_request", data, m.SessionID, m.Timestamp)
	case *coder.RPCCommandErrorMessage:
		return jsonOf(m.Raw)
	}
	out := jsonOf(message).(object)
	out["type"] = discriminator(reflect.TypeOf(message).Elem().Name(), "type")
	return out
}

func heardAction(a coder.HubAction) any {
	if unknown, ok := a.(*coder.UnknownAction); ok {
		return jsonOf(unknown.Raw)
	}
	out := jsonOf(a).(object)
	out["action"] = discriminator(reflect.TypeOf(a).Elem().Name(), "action")
	return out
}

// wrapped is a broadcast of the agent's protocol, which is taken apart here.
func wrapped(event string, data object, session string, at coder.UnixMilli) object {
	return object{
		"type": "broadcast", "event": event, "category": "rpc", "data": data, "sessionId": session, "timestamp": jsonOf(at),
	}
}

func jsonOf(v any) any {
	out, err := tree([]byte(encode(v)))
	if err != nil {
		panic(err)
	}
	return out
}
