package world

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// copies are the members of events in which an agent repeats, each time, what it
// has said before: the whole message with each of its pieces, the whole
// conversation with each call of the model. An answer of 12 kB in 300 pieces comes
// as 7.4 MB. Who follows a session is sent all of it; the Hub remembers the rest,
// so that what it keeps grows with what is said.
var copies = map[string][]string{
	"message_update":         {"message"},
	"context":                {"messages"},
	"turn_end":               {"context"},
	"before_agent_start":     {"systemPrompt", "systemPromptOptions"},
	"session_before_compact": {"preparation", "branchEntries"},
	"tool_execution_update":  {"partialResult"},
}

// withoutCopies returns the payload of an event without the copies. One that has
// none is returned as it is.
func withoutCopies(event string, payload jsontext.Value) jsontext.Value {
	left := copies[event]
	if left == nil || payload.Kind() != '{' {
		return payload
	}
	members := membersOf(payload)
	before := len(members)
	for _, name := range left {
		delete(members, name)
	}
	changed := len(members) != before
	if update := members["assistantMessageEvent"]; event == "message_update" && update.Kind() == '{' {
		inner := membersOf(update)
		if _, ok := inner["partial"]; ok {
			delete(inner, "partial")
			members["assistantMessageEvent"] = Encode(inner)
			changed = true
		}
	}
	if !changed {
		return payload
	}
	return Encode(members)
}

// withoutCopies returns the text of a frame without the copies in the event that it
// reports.
func (f *clientFrame) withoutCopies(text jsontext.Value) jsontext.Value {
	var name string
	switch *f.Type {
	case "event":
		if json.Unmarshal(f.Event, &name, wireFormat) == nil {
			return replaceMember(text, "data", f.Data, withoutCopiesIn(name, f.Data))
		}
	case "rpc_event":
		return replaceMember(text, "event", f.Event, withoutCopiesOf(f.Event))
	}
	return text
}

// withoutCopiesIn is withoutCopies for an event that may be wrapped.
func withoutCopiesIn(name string, data jsontext.Value) jsontext.Value {
	if name != "rpc_event" || data.Kind() != '{' {
		return withoutCopies(name, data)
	}
	event := membersOf(data)["event"]
	return replaceMember(data, "event", event, withoutCopiesOf(event))
}

// withoutCopiesOf is withoutCopies for an event that has its name in it.
func withoutCopiesOf(event jsontext.Value) jsontext.Value {
	var named struct {
		Type string `json:"type"`
	}
	if event.Kind() != '{' || json.Unmarshal(event, &named, wireFormat) != nil {
		return event
	}
	return withoutCopies(named.Type, event)
}

// replaceMember returns the object with a member replaced, or as it is if the two
// values are the same.
func replaceMember(object jsontext.Value, name string, before, after jsontext.Value) jsontext.Value {
	if len(before) == len(after) {
		return object
	}
	return Encode(override(object, map[string]jsontext.Value{name: after}))
}
