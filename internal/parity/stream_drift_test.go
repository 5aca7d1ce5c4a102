//go:build parity

package parity

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/agentuity/coder-go"
)

// streamTypes are the Go types of what goes over live channels. No method leads to them by its
// signature.
var streamTypes = []reflect.Type{
	reflect.TypeFor[coder.HubInitMessage](), reflect.TypeFor[coder.HubHydrationMessage](), reflect.TypeFor[coder.HubStreamReadyMessage](),
	reflect.TypeFor[coder.HubSessionResumeMessage](), reflect.TypeFor[coder.PongMessage](), reflect.TypeFor[coder.ConnectionRejectedMessage](),
	reflect.TypeFor[coder.ProtocolErrorMessage](), reflect.TypeFor[coder.PresenceEventMessage](), reflect.TypeFor[coder.BroadcastEventMessage](),
	reflect.TypeFor[coder.RPCEventMessage](), reflect.TypeFor[coder.RPCResponseMessage](), reflect.TypeFor[coder.RPCUIRequestMessage](),
	reflect.TypeFor[coder.RPCCommandMessage](), reflect.TypeFor[coder.RPCCommandErrorMessage](), reflect.TypeFor[coder.HubResponse](),
	reflect.TypeFor[coder.SSESessionSnapshotMessage](), reflect.TypeFor[coder.SSEHydrationMessage](),
	reflect.TypeFor[coder.EventRequest](), reflect.TypeFor[coder.ToolRequest](), reflect.TypeFor[coder.CommandRequest](),
	reflect.TypeFor[coder.SessionEntryMessage](), reflect.TypeFor[coder.SessionWriteMessage](), reflect.TypeFor[coder.BootstrapReadyMessage](),
	reflect.TypeFor[coder.ObserverSubscribeMessage](), reflect.TypeFor[coder.RPCUIResponseMessage](), reflect.TypeFor[coder.RenameSessionMessage](),
	reflect.TypeFor[coder.PingMessage](),
	reflect.TypeFor[coder.AckAction](), reflect.TypeFor[coder.BlockAction](), reflect.TypeFor[coder.ConfirmAction](), reflect.TypeFor[coder.NotifyAction](),
	reflect.TypeFor[coder.ReturnAction](), reflect.TypeFor[coder.StatusAction](), reflect.TypeFor[coder.SystemPromptAction](),
	reflect.TypeFor[coder.InjectMessageAction](), reflect.TypeFor[coder.HubConnectOptions](), reflect.TypeFor[coder.StreamEventsOptions](),
}

// otherNames are Go names that do not follow from the original's.
var otherNames = map[string]string{
	"CoderHubInitRole":         "HubRole",
	"CoderHubEventName":        "EventName",
	"CoderHubWebSocketOptions": "HubConnectOptions",
	"CoderSSEOptions":          "StreamEventsOptions",
}

// A union of messages there is an interface here. Its types have this method.
var unions = map[string]string{
	"ServerMessage": "serverMessage", "ObserverSseMessage": "observerMessage", "ClientMessage": "frame", "CoderHubAction": "hubAction",
}

// unionDrift compares which types are messages of a kind.
func unionDrift(src source) []drift {
	var out []drift
	for _, union := range slices.Sorted(maps.Keys(unions)) {
		theirs := make(map[string]bool)
		for _, option := range flat(known.Schemas[union]) {
			theirs[typeOf(option)] = true
		}
		ours := maps.Clone(src.methods[unions[union]])
		out = append(out, compareSets(goName(strings.TrimPrefix(union, "CoderHub"))+"=", theirs, ours)...)
	}
	return out
}

// flat are the options of a union, and those of unions among them.
func flat(s shape) []shape {
	if len(s.Options) == 0 {
		return []shape{s}
	}
	var out []shape
	for _, option := range s.Options {
		out = append(out, flat(option)...)
	}
	return out
}

// typeOf is the Go name of the type that a schema without a name is for.
func typeOf(s shape) string {
	var found []string
	for name, other := range known.Schemas {
		if len(other.Members) > 0 && encode(other) == encode(s) {
			found = append(found, goName(name))
		}
	}
	slices.Sort(found)
	if len(found) != 1 {
		return fmt.Sprintf("one of %q", found)
	}
	if strings.HasSuffix(found[0], "InitMessage") {
		return reflect.TypeFor[coder.HubInitMessage]().Name() // one type for all roles
	}
	return found[0]
}

func (s *source) method(n *ast.FuncDecl) {
	if n.Recv == nil {
		return
	}
	receiver, _ := n.Recv.List[0].Type.(*ast.StarExpr)
	if receiver == nil {
		return
	}
	if name, ok := receiver.X.(*ast.Ident); ok {
		if s.methods[n.Name.Name] == nil {
			s.methods[n.Name.Name] = make(map[string]bool)
		}
		s.methods[n.Name.Name][name.Name] = true
	}
}

// forms compares what values members have, and which may be missing, for the types that go over
// live channels.
type forms struct {
	seen map[string]bool
	out  []drift
}

func (f *forms) compare(s shape, t reflect.Type) {
	t = bare(t)
	if len(s.Options) > 0 {
		for _, option := range s.Options {
			f.compare(option, t)
		}
		return
	}
	switch {
	case s.Type == "array" && t.Kind() == reflect.Slice, s.Type == "record" && t.Kind() == reflect.Map:
		f.compare(*s.Element, t.Elem())
	case s.Type == "object" && t.Kind() == reflect.Struct:
		key := t.Name() + encode(s)
		if f.seen[key] {
			return
		}
		f.seen[key] = true
		fields := tagged(t)
		for _, name := range s.names() {
			if field, ok := fields[name]; ok {
				f.member(t.Name()+"."+name, s.Members[name], field)
				f.compare(s.Members[name], field.Type)
			}
		}
	}
}

func (f *forms) member(item string, s shape, field reflect.StructField) {
	_, options, _ := strings.Cut(field.Tag.Get("json"), ",")
	optional := strings.Contains(options, "omitzero")
	switch {
	case optional && !s.Optional:
		f.out = append(f.out, drift{item + ": optional", onlyHere})
	case s.Optional && !optional:
		f.out = append(f.out, drift{item + ": optional", onlyThere})
	}
	if field.Type == reflect.TypeFor[json.RawMessage]() {
		return // which holds any
	}
	if theirs, ours := s.kind(), kindOf(field.Type); theirs != ours {
		f.out = append(f.out, drift{item + ": " + theirs, onlyThere}, drift{item + ": " + ours, onlyHere})
	}
}

// kind is the kind of JSON value of a schema.
func (s shape) kind() string {
	switch s.Type {
	case "enum":
		if _, ok := s.Values[0].(string); ok {
			return "string"
		}
		return fmt.Sprintf("%T", s.Values[0])
	case "record":
		return "object"
	case "any":
		return "unknown"
	}
	return s.Type
}

// kindOf is the kind of JSON value of a Go type.
func kindOf(t reflect.Type) string {
	t = bare(t)
	switch t {
	case reflect.TypeFor[time.Time]():
		return "string"
	case reflect.TypeFor[coder.UnixMilli]():
		return "number"
	}
	switch t.Kind() {
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "boolean"
	case reflect.Int, reflect.Int64, reflect.Float64:
		return "number"
	case reflect.Slice:
		return "array"
	case reflect.Map, reflect.Struct:
		return "object"
	}
	return "unknown"
}

// tagged are the fields that are members of JSON.
func tagged(t reflect.Type) map[string]reflect.StructField {
	out := make(map[string]reflect.StructField)
	for f := range t.Fields() {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && name != "-" {
			out[name] = f
		}
	}
	return out
}
