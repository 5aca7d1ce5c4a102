package drift

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/internal/wire"
)

// check looks at a value and reports what it does not know.
type check func(w *walker, at string, v jsontext.Value)

func text(w *walker, at string, v jsontext.Value) {
	if v.Kind() != jsontext.KindString {
		w.wrong(at, v, "text")
	}
}

func boolean(w *walker, at string, v jsontext.Value) {
	if v.Kind() != jsontext.KindTrue && v.Kind() != jsontext.KindFalse {
		w.wrong(at, v, "boolean")
	}
}

func number(w *walker, at string, v jsontext.Value) {
	if v.Kind() != jsontext.KindNumber {
		w.wrong(at, v, "number")
	}
}

// whole takes 3.0 and 1e3 too, as the library does.
func whole(w *walker, at string, v jsontext.Value) {
	if f, err := strconv.ParseFloat(string(v), 64); v.Kind() != jsontext.KindNumber {
		w.wrong(at, v, "number")
	} else if err != nil || f != math.Trunc(f) {
		w.report(at, WrongKind, "fraction, not whole number")
	}
}

// instant is a time as text.
func instant(w *walker, at string, v jsontext.Value) {
	if v.Kind() != jsontext.KindString {
		w.wrong(at, v, "text")
	} else if _, err := time.Parse(time.RFC3339, unquote(v)); err != nil {
		w.report(at, WrongKind, "text, not time")
	}
}

func free(*walker, string, jsontext.Value) {}

func freeObject(w *walker, at string, v jsontext.Value) {
	if v.Kind() != jsontext.KindBeginObject {
		w.wrong(at, v, "object")
	}
}

// oneOf is an enumeration.
func oneOf(values ...string) check {
	return func(w *walker, at string, v jsontext.Value) {
		if v.Kind() != jsontext.KindString {
			w.wrong(at, v, "text")
		} else if value := unquote(v); !slices.Contains(values, value) {
			w.report(at, UnknownValue, strconv.Quote(short(value)))
		}
	}
}

// orNull takes null too.
func orNull(c check) check {
	return func(w *walker, at string, v jsontext.Value) {
		if v.Kind() != jsontext.KindNull {
			c(w, at, v)
		}
	}
}

// orText takes a text too.
func orText(c check) check {
	return func(w *walker, at string, v jsontext.Value) {
		if v.Kind() != jsontext.KindString {
			c(w, at, v)
		}
	}
}

func listOf(c check) check {
	return func(w *walker, at string, v jsontext.Value) {
		if v.Kind() != jsontext.KindBeginArray {
			w.wrong(at, v, "list")
			return
		}
		dec := begun(v)
		for dec.PeekKind() != jsontext.KindEndArray {
			c(w, at+"[]", next(dec))
		}
	}
}

// mapOf is an object whose names are data.
func mapOf(c check) check {
	return eachMember(func(w *walker, at, _ string, v jsontext.Value) { c(w, member(at, "*"), v) })
}

// object is an object with the members that a struct has.
type object map[string]check

func (o object) check(w *walker, at string, v jsontext.Value) {
	eachMember(func(w *walker, at, name string, v jsontext.Value) {
		if c, known := o[name]; known {
			c(w, member(at, name), v)
		} else {
			w.report(member(at, name), UnknownMember, "")
		}
	})(w, at, v)
}

// with returns an object that has other members besides, or instead.
func (o object) with(others object) object {
	all := maps.Clone(o)
	maps.Copy(all, others)
	return all
}

func eachMember(c func(w *walker, at, name string, v jsontext.Value)) check {
	return func(w *walker, at string, v jsontext.Value) {
		if v.Kind() != jsontext.KindBeginObject {
			w.wrong(at, v, "object")
			return
		}
		dec := begun(v)
		for dec.PeekKind() != jsontext.KindEndObject {
			name := unquote(next(dec))
			c(w, at, name, next(dec))
		}
	}
}

// begun is a decoder past the beginning of an object or a list. The text is valid: no step of it can fail.
func begun(v jsontext.Value) *jsontext.Decoder {
	dec := jsontext.NewDecoder(bytes.NewReader(v), wire.Accepted)
	_, _ = dec.ReadToken()
	return dec
}

func next(dec *jsontext.Decoder) jsontext.Value {
	v, _ := dec.ReadValue()
	return v
}

func unquote(v jsontext.Value) string {
	var text string
	_ = jsonv2.Unmarshal(v, &text, wire.Accepted)
	return text
}

// peek returns the member of an object, nil if it has none. Of several with the name the last one counts, as it does in
// the library.
func peek(v jsontext.Value, name string) jsontext.Value {
	var found jsontext.Value
	if v.Kind() == jsontext.KindBeginObject {
		eachMember(func(_ *walker, _, other string, v jsontext.Value) {
			if other == name {
				found = v.Clone()
			}
		})(nil, "", v)
	}
	return found
}

// peekText returns a member that is a text, "" if it is not.
func peekText(v jsontext.Value, name string) string {
	if found := peek(v, name); found.Kind() == jsontext.KindString {
		return unquote(found)
	}
	return ""
}

// nullable are the members that the contract of the Hub lets be null, besides those of the type Nullable. Elsewhere a
// null is of the wrong kind.
var nullable = []string{"LoopStateResponse.Loop", "SessionTodo.Assignee"}

// closed are the texts of which the contract, or the recordings of the agent, have all values and the library has no
// constants.
var closed = map[string][]string{
	"PresenceEventMessage.Event":    {"session_join", "session_leave", "presence_update"},
	"SessionParticipant.Transport":  {"ws", "sse"},
	"SnapshotParticipant.Transport": {"ws", "sse"},
	"Participant.Transport":         {"ws", "sse"},
	"AgentDefinition.Source":        {"builtin", "custom"},
	"InjectedMessage.Role":          {"user", "assistant"},
	"SessionTodosResponse.Op":       {"session_todo_list"},
	"AgentMessage.Role":             {"user", "assistant", "toolResult", "system", "compactionSummary"},
}

// further are values of enumerations that the library names without a constant.
var further = map[string][]string{
	"AgentMessage.StopReason": {"pending"}, // before the message has ended
	// Commands of the agent that the library does not send. Everybody hears the answers to everybody.
	"RPCResponse.Command": {
		"get_entries", "get_last_assistant_text", "get_session_stats", "clear_queue", "abort_retry",
	},
}

// shapes turns types into checks.
type shapes struct {
	special map[reflect.Type]check  // the types that read more, or less, than their kind says
	structs map[reflect.Type]object // also those that are being made: a struct may contain itself
}

func newShapes() *shapes {
	s := &shapes{structs: make(map[reflect.Type]object), special: map[reflect.Type]check{
		reflect.TypeFor[time.Time]():           instant,
		reflect.TypeFor[coder.UnixMilli]():     number,
		reflect.TypeFor[coder.Milliseconds]():  number,
		reflect.TypeFor[json.RawMessage]():     free,
		reflect.TypeFor[coder.PromptText]():    orText(listOf(text)),
		reflect.TypeFor[coder.SessionOrigin](): orText(object{"type": text}.check),
	}}
	s.special[reflect.TypeFor[coder.MessageContent]()] = orText(listOf(shape[coder.ContentBlock](s)))
	s.special[reflect.TypeFor[coder.SessionEvent]()] = s.events().named(members[coder.SessionEvent](s).check, "payload")
	return s
}

// shape returns what a value of the type may look like.
func shape[T any](s *shapes) check { return s.of(reflect.TypeFor[T]()) }

// members returns the members of a struct: its fields, and what extras has of it.
func (s *shapes) members(t reflect.Type) object {
	members := make(object)
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-" || name == "" && f.Type.Kind() == reflect.Map: // Extra
		case name == "" && f.Anonymous:
			members = s.members(f.Type).with(members)
		default:
			members[name] = s.field(t.Name()+"."+f.Name, f.Type)
		}
	}
	return members.with(s.extras(t))
}

// field is the shape of a field, with what the tables say of it.
func (s *shapes) field(name string, t reflect.Type) check {
	c := s.of(t)
	switch {
	case name == "ContentBlock.Arguments": // raw, to be decoded once
		c = freeObject
	case closed[name] != nil:
		c = oneOf(closed[name]...)
	case aliased[name] != "" || further[name] != nil:
		c = oneOf(slices.Concat(values[cmp.Or(aliased[name], t.Name())], further[name])...)
	}
	if slices.Contains(nullable, name) {
		c = orNull(c)
	}
	return c
}

func (s *shapes) of(t reflect.Type) check {
	if c := s.special[t]; c != nil {
		return c
	}
	if strings.HasPrefix(t.Name(), "Nullable[") {
		get, _ := t.MethodByName("Get")
		return orNull(s.of(get.Type.Out(0)))
	}
	switch t.Kind() {
	case reflect.Pointer:
		return s.of(t.Elem())
	case reflect.String:
		if constants := values[t.Name()]; constants != nil {
			return oneOf(constants...)
		}
		return text
	case reflect.Bool:
		return boolean
	case reflect.Int, reflect.Int64:
		return whole
	case reflect.Float64:
		return number
	case reflect.Interface:
		return free
	case reflect.Slice:
		return listOf(s.of(t.Elem()))
	case reflect.Map:
		if t.Elem().Kind() == reflect.Interface {
			return freeObject
		}
		return mapOf(s.of(t.Elem()))
	case reflect.Struct:
		o := s.structs[t]
		if o == nil {
			o = make(object)
			s.structs[t] = o
			maps.Copy(o, s.members(t))
		}
		return o.check
	}
	panic("drift: no shape for " + t.String())
}
