//go:build parity

package parity

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/agentuity/coder-go/codertest"
)

// generatedRounds is how many messages of a type are made: a minimal one, one with everything, and
// mixed ones.
const generatedRounds = 16

// generate makes valid messages of a type.
func generate(schema string) []object {
	s := known.Schemas[schema]
	switch schema {
	case "RpcResponseMessage": // which is free there; this is what a Hub sends
		text := shape{Type: "string"}
		s = s.with(map[string]shape{"response": {Type: "object", Members: map[string]shape{
			"type": {Type: "enum", Values: []any{"response"}}, "id": text, "command": text, "success": {Type: "boolean"},
			"data": shape{Type: "unknown"}.optional(), "error": text.optional(),
		}}})
	case "RpcUiRequestMessage":
		s = s.with(map[string]shape{"method": {Type: "enum", Values: []any{"select", "setStatus", "something_new"}}})
	}
	g := newGenerator("stream " + schema)
	var out []object
	for round := range generatedRounds {
		g.richness = min(richness(round), mixed)
		message := g.value(s, "")
		if s.Type == "union" && g.richness == full {
			message = g.value(pick(g, s.Options), "")
		}
		out = append(out, jsonOf(message).(object))
	}
	return out
}

// TestGeneratedEvents sends streams of events what a Hub might, in all the ways a block can be written.
func TestGeneratedEvents(t *testing.T) {
	for _, schema := range []string{"SseSessionSnapshotMessage", "SseHydrationMessage", "PresenceEventMessage", "BroadcastEventMessage"} {
		messages := generate(schema)
		channelScenario{name: "events of the type " + goName(schema), play: func(s *stage) {
			watcher := s.follow("watcher", nil)
			watcher.untilType("hydration")
			for i, message := range messages {
				s.session.SendRaw(block(i, message))
				tally.generated()
			}
			s.session.Emit(codertest.Event{Event: "the_last"})
			watcher.untilEvent("the_last")
		}}.check(t)
	}
}

// block writes a message in one of the forms that are read alike.
func block(form int, message object) string {
	kind := message["type"].(string)
	untyped := maps.Clone(message)
	delete(untyped, "type")
	lines := strings.ReplaceAll(encode(message), `,"`, ",\ndata: \"") // no text of the generator has that in it
	return []string{
		"event: " + kind + "\ndata: " + encode(message) + "\n\n",
		"event:" + kind + "\ndata:" + encode(untyped) + "\n\n",
		"data: " + encode(message) + "\n\n",
		": keep-alive\n\nevent: message\nid: 7\nretry: 1\ndata: " + encode(message) + "\n\n",
		"event: message_update\ndata: " + encode(message) + "\n\n",
		"event: one\r\nevent: other\r\ndata: " + encode(message) + "\r\n\r\n",
		"event\ndata: " + lines + "\n\n",
	}[form%7]
}

// TestGeneratedFrames sends sockets what a Hub might.
func TestGeneratedFrames(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(serverMessages())) {
		messages := generate(name)
		channelScenario{name: "frames of the type " + goName(name), play: func(s *stage) {
			c := s.connect("controller", "controller", nil)
			c.untilType("session_hydration")
			for _, message := range messages {
				s.session.SendRaw(encode(message))
				tally.generated()
			}
			s.session.Emit(codertest.Event{Event: "the_last"})
			c.untilEvent("the_last")
		}}.check(t)
	}
}

// serverMessages are the schemas of what sockets are sent. The union of them has no names for them.
func serverMessages() map[string]shape {
	out := map[string]shape{"CoderHubResponse": known.Schemas["CoderHubResponse"]}
	for _, option := range known.Schemas["ServerMessage"].Options {
		kind, typed := option.object().Members["type"]
		if !typed {
			continue
		}
		found := false
		for name, s := range known.Schemas {
			if slices.Equal(s.object().Members["type"].Values, kind.Values) && len(s.Options) == len(option.Options) {
				out[name], found = s, true
			}
		}
		if !found {
			panic(fmt.Sprint("no schema of its own for ", kind.Values))
		}
	}
	return out
}
