//go:build parity

package parity

import (
	"testing"

	"github.com/agentuity/coder-go/codertest"
)

// once makes a stream end with its first connection.
func once(o *channelOptions) { o.Reconnect = new(false) }

// history makes a session whose snapshot and hydration have every member.
func history(s *stage) {
	block := object{"output": "o", "thinking": "t"}
	s.session.Set("stream", object{"output": "text", "thinking": "", "tasks": object{"task_1": block}})
	s.session.Set("tasks", []any{
		object{"taskId": "task_1", "agent": "builder", "prompt": "p", "status": "completed", "startedAt": "2026-01-15T09:30:00.000Z",
			"completedAt": "2026-01-15T09:31:00Z", "duration": 60000.5, "result": "r", "error": ""},
		object{"taskId": "task_2", "agent": "scout", "prompt": "", "status": "running"},
	})
	s.session.Set("agentActivity", object{"builder": object{
		"name": "Builder", "status": "tool_start", "currentTool": "read", "currentToolArgs": "{}", "toolCallCount": 3,
		"lastActivity": 1768469400000, "totalElapsed": 12.25,
	}})
}

// watched is what a whole session looks like to somebody who follows its events.
func watched(change func(*channelOptions)) func(*stage) {
	return func(s *stage) {
		history(s)
		watcher := s.follow("watcher", change)
		watcher.untilType("hydration")
		s.session.Emit(codertest.Event{Event: "turn_start", Agent: "builder", Payload: object{"turnId": "t", "nothing": nil}})
		s.session.Emit(codertest.Event{Event: "message_update", Payload: object{"delta": "\u2028 \r\n\x00 👩‍💻"}})
		guest := s.session.AddParticipant(codertest.Participant{Role: "controller", Metadata: map[string]any{"a": []any{1, nil}}})
		s.session.UpdatePresence()
		s.session.DisconnectParticipant(guest)
		s.session.Broadcast(codertest.Event{Event: "task_complete", TaskID: "task_2", Payload: 7})
		s.session.Broadcast(codertest.Event{Event: "something_new", Category: "novelty"})
		s.session.Emit(codertest.Event{Event: "turn_end"})
		s.session.Shutdown()
		watcher.untilKind("end")
	}
}

// TestStreamsOfEvents follows sessions of a Hub with both iterators, and with the original's class.
func TestStreamsOfEvents(t *testing.T) {
	everything := func(o *channelOptions) { once(o); o.Subscribe = []string{"*"} }
	for _, scenario := range []channelScenario{
		{name: "a whole session", play: watched(once)},
		{name: "a selection", play: watched(func(o *channelOptions) { once(o); o.Subscribe = []string{"turn_*", "task", "session_shutdown"} })},
		{name: "a selection without the end", play: func(s *stage) {
			watcher := s.follow("watcher", func(o *channelOptions) { o.Subscribe = []string{"turn_end", "task"} })
			watcher.untilType("hydration")
			for _, event := range []string{"turn_start", "task_start", "message_start", "turn_end"} {
				s.session.Emit(codertest.Event{Event: event})
			}
			watcher.untilEvent("turn_end")
		}},
		{name: "everything by name", play: watched(everything)},
		{name: "without an organization", play: watched(func(o *channelOptions) { once(o); o.OrgID = "" })},
		{name: "a session that is over", play: func(s *stage) {
			s.session.Archive()
			s.follow("late", once).untilKind("end")
		}},
		{name: "nobody", play: func(s *stage) {
			s.key = ""
			s.follow("nobody", nil).untilRefused(object{"code": "auth_failed", "status": 401.0})
		}},
		{name: "a Hub for everybody", open: true, play: watched(once)},
		{name: "no such session", play: func(s *stage) {
			s.follow("lost", func(o *channelOptions) { once(o); o.SessionID = "a/b ü" }).
				untilRefused(object{"code": "connection_failed", "status": 404.0})
		}},
		{name: "a wrong key", play: func(s *stage) {
			s.key = "sk_wrong"
			s.follow("stranger", nil).untilRefused(object{"code": "auth_failed", "status": 401.0})
		}},
		{name: "a Hub that is busy at first", play: func(s *stage) {
			s.session.RefuseStreams(codertest.Refusal{Count: 2})
			s.follow("patient", nil).untilType("hydration")
		}},
		{name: "a Hub that stays busy", play: func(s *stage) {
			s.session.RefuseStreams(codertest.Refusal{Count: -1})
			s.follow("patient", nil).untilRefused(object{"code": "max_reconnects_exceeded"})
		}},
		{name: "a connection that breaks", play: breaks},
		{name: "a stream that just ends", play: func(s *stage) {
			watcher := s.follow("watcher", nil)
			watcher.untilType("hydration")
			s.session.EndStreams(1001, "")
			watcher.untilType("snapshot")
			watcher.untilType("hydration")
		}},
	} {
		scenario.check(t)
	}
	channelScenario{name: "a connection that breaks, with the class", events: "eventClient", play: breaks}.check(t)
}

// breaks cuts the connection of a watcher, who comes back each time.
func breaks(s *stage) {
	watcher := s.follow("watcher", func(o *channelOptions) { o.Subscribe = []string{"*"} })
	for range 3 {
		watcher.untilType("hydration")
		s.session.Emit(codertest.Event{Event: "turn_end"})
		watcher.untilEvent("turn_end")
		s.session.CutStreams()
	}
	watcher.untilType("hydration")
}
