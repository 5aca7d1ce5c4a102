//go:build parity

package parity

import (
	"testing"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

func rpc(command object) object { return object{"type": "rpc_command", "command": command} }

// TestSockets plays the part of observers, controllers and leads.
func TestSockets(t *testing.T) {
	for _, scenario := range []channelScenario{
		{name: "an observer", play: func(s *stage) {
			history(s)
			o := s.connect("observer", "observer", func(o *channelOptions) { o.Subscribe = []string{"turn_*", "task"}; o.Origin = "web" })
			o.untilKind("init")
			o.untilType("session_hydration")
			s.session.Emit(codertest.Event{Event: "turn_start", Agent: "builder", Payload: object{"nothing": nil, "list": []any{}}})
			s.session.Emit(codertest.Event{Event: "message_update"})
			guest := s.session.AddParticipant(codertest.Participant{Metadata: map[string]any{"a": "b"}})
			s.session.UpdatePresence()
			s.session.DisconnectParticipant(guest)
			o.untilEvent("session_leave")
			o.send(object{"type": "subscribe", "patterns": []any{"message"}})
			o.send(object{"type": "rename_session", "label": "mine"}) // is refused, and tells that the filters hold
			o.untilType("protocol_error")
			s.session.Emit(codertest.Event{Event: "turn_end"})
			s.session.Emit(codertest.Event{Event: "message_end"})
			o.untilEvent("message_end")
		}},
		{name: "a controller", play: func(s *stage) {
			c := s.connect("controller", "controller", nil)
			c.untilKind("init")
			c.untilType("session_hydration")
			c.send(rpc(object{"type": "prompt", "message": "Rename it, but confirm it first"}))
			for _, event := range []string{"agent_start", "turn_start", "message_start", "message_update", "message_end"} {
				c.untilEvent(event)
			}
			question := c.untilEvent("rpc_ui_request")["data"].(object)
			c.send(rpc(object{"type": "get_state", "id": "state"}))
			c.untilEvent("rpc_response")
			c.send(object{"type": "rpc_ui_response", "id": question["id"], "result": true})
			for _, event := range []string{"tool_execution_end", "message_start", "message_end", "turn_end", "turn_start", "agent_end"} {
				c.untilEvent(event)
			}
			c.send(rpc(object{"type": "get_messages", "id": "messages"}))
			c.untilEvent("rpc_response")
			c.send(rpc(object{"type": "dance", "id": "unknown"}))
			c.untilType("rpc_command_error")
			c.untilEvent("rpc_response")
			c.send(rpc(object{"type": "compact"}))
			c.untilEvent("compaction_end")
			c.send(object{"type": "rename_session", "label": "renamed"})
			c.untilEvent("session_label_updated")
		}},
		{name: "a lead, and who steers it", play: lead},
		{name: "a Hub for everybody", open: true, play: func(s *stage) {
			s.connect("observer", "", func(o *channelOptions) { o.OrgID = "" }).untilType("session_hydration")
			s.connect("controller", "controller", nil).untilType("session_hydration") // it says its organization
		}},
		{name: "a sub-agent", play: func(s *stage) {
			s.hub.SetInit(initMembers)
			a := s.connect("scout", "lead", func(o *channelOptions) { o.Agent, o.ParentSessionID, o.SessionID = "scout", s.session.ID(), "" })
			a.untilKind("init")
			a.untilType("session_hydration")
		}},
		{name: "no such session", play: func(s *stage) {
			s.connect("lost", "observer", func(o *channelOptions) { o.SessionID = "a/b ü" }).
				untilRefused(object{"code": "connection_error", "closeCode": 4404.0})
		}},
		{name: "a wrong key", play: func(s *stage) {
			s.key = "sk_wrong"
			for _, role := range []string{"observer", "controller", "lead"} {
				s.connect(role, role, nil).untilRefused(object{"code": "auth_failed", "serverCode": "auth_failed", "serverMessageType": "connection_rejected"})
			}
		}},
		{name: "a second lead", play: func(s *stage) {
			s.connect("first", "lead", nil).untilKind("init")
			s.connect("second", "lead", nil).untilRefused(object{"code": "auth_failed", "serverCode": "session_active"})
		}},
		{name: "a driver that another one followed", play: func(s *stage) {
			driver := func(name string) func(*channelOptions) {
				return func(o *channelOptions) { o.DriverMode, o.DriverInstanceID, o.DriverVersion = "rpc", name, "1.0" }
			}
			for _, name := range []string{"a", "b"} {
				d := s.connect(name, "lead", driver(name))
				d.untilKind("init")
				d.leave()
				s.tap.settle(s.T)
			}
			s.connect("a again", "lead", driver("a")).untilRefused(object{"code": "connection_error", "closeCode": 4410.0})
		}},
		{name: "a session that is over", play: func(s *stage) {
			s.session.Archive()
			s.connect("late", "controller", nil).untilRefused(object{"code": "auth_failed", "serverCode": "session_expired"})
		}},
		{name: "a Hub that is busy at first", play: func(s *stage) {
			s.session.RefuseStreams(codertest.Refusal{Count: 2, Reason: "busy"})
			s.connect("patient", "controller", nil).untilType("session_hydration")
		}},
		{name: "a Hub that stays busy", play: func(s *stage) {
			s.session.RefuseStreams(codertest.Refusal{Count: -1})
			s.connect("patient", "observer", nil).untilRefused(object{"code": "max_reconnects_exceeded"})
		}},
		{name: "a Hub that falls silent", play: func(s *stage) {
			c := s.connect("controller", "controller", func(o *channelOptions) { o.HeartbeatIntervalMs, o.HeartbeatTimeoutMs = 200, 800 })
			c.untilType("session_hydration")
			s.session.StallStreams()
			c.untilKind("lost")
			c.untilType("session_hydration")
		}},
		{name: "a connection that breaks", play: func(s *stage) {
			c := s.connect("controller", "controller", nil)
			c.untilType("session_hydration")
			s.session.CutStreams()
			c.untilKind("lost")
			c.untilType("session_hydration")
			c.send(rpc(object{"type": "get_state", "id": "state"}))
			c.untilEvent("rpc_response")
		}},
		{name: "codes to come back after", play: func(s *stage) {
			o := s.connect("observer", "observer", nil)
			o.untilType("session_hydration")
			for _, code := range []coder.CloseCode{1000, 1001, 1011, 3999, 4408, 4429} {
				s.session.Emit(codertest.Event{Event: "turn_start", Category: "turn"}) // work: the connection is healthy
				o.untilEvent("turn_start")
				s.session.EndStreams(code, "back soon")
				o.untilKind("lost")
				o.untilType("session_hydration")
			}
		}},
		{name: "a new session is created once", play: func(s *stage) {
			l := s.connect("lead", "lead", func(o *channelOptions) { o.SessionID, o.Label, o.Task = "", "a&b", "do it" })
			id := l.untilKind("init")["sessionId"].(string)
			s.hub.Session(id).CutStreams()
			l.untilKind("lost")
			l.untilType("session_hydration")
		}},
		{name: "the iterator", socket: "subscription", play: func(s *stage) {
			o := s.connect("observer", "observer", nil)
			o.untilType("session_hydration")
			s.session.Emit(codertest.Event{Event: "turn_end"})
			o.untilEvent("turn_end")
			s.session.EndStreams(1001, "")
			o.untilType("session_hydration")
			s.session.Emit(codertest.Event{Event: "message_end"}) // a cut takes with it what is under way
			o.untilEvent("message_end")
			s.session.RefuseStreams(codertest.Refusal{Code: "session_expired", Message: "over", CloseCode: 4404})
			s.session.CutStreams()
			o.untilKind("error")
		}},
	} {
		scenario.check(t)
	}
}

// initMembers is what a lead finds.
var initMembers = map[string]any{
	"resume": object{"sessionFile": "/s.jsonl", "piSessionId": "pi", "cwd": "/w"},
	"tools": []any{object{"name": "search", "label": "Search", "description": "d", "parameters": object{"type": "object", "properties": object{}},
		"promptSnippet": "s", "promptGuidelines": "g", "timeoutMs": 1500.5}},
	"commands": []any{object{"name": "status", "description": "d"}},
	"agents": []any{object{"name": "scout", "displayName": "Scout", "source": "custom", "description": "d", "systemPrompt": "p", "model": "m",
		"tools": []any{"read"}, "temperature": 0.5, "thinkingLevel": "low", "readOnly": true, "hubTools": []any{}, "capabilities": []any{"code"},
		"strictToolSelection": false, "status": "busy"}},
	"config": object{"systemPromptPrefix": "before", "systemPromptSuffix": "after"},
	"model":  object{"provider": "anthropic", "id": "m"}, "thinkingLevel": "high",
}

// everyAction are the actions a Hub may answer a lead with.
var everyAction = []codertest.Action{
	{"action": "ACK"}, {"action": "BLOCK", "reason": "r"}, {"action": "CONFIRM", "title": "t", "message": "m", "deny_reason": "d"},
	{"action": "NOTIFY", "message": "m", "level": "warning"}, {"action": "RETURN", "result": []any{nil, object{"a": 1.5}}},
	{"action": "STATUS", "key": "k", "text": "t"}, {"action": "SYSTEM_PROMPT", "systemPrompt": "p", "mode": "suffix"},
	{"action": "INJECT_MESSAGE", "message": object{"role": "user", "content": "c"}}, {"action": "SOMETHING_NEW", "a": []any{1}},
}

// lead creates a session, reports to the Hub, and is commanded by a controller.
func lead(s *stage) {
	s.hub.SetInit(initMembers)
	s.hub.OnRequest(func(r codertest.LeadRequest) ([]codertest.Action, bool) {
		if r.Type == "command" {
			return everyAction, true
		}
		return nil, true
	})
	l := s.connect("lead", "lead", func(o *channelOptions) {
		o.SessionID, o.Label, o.Task, o.Origin = "", "née & co", "a=b?c#d+e%", "tui"
		o.DriverMode, o.DriverInstanceID, o.DriverVersion = "rpc", "driver 1", "1.0~"
	})
	id := l.untilKind("init")["sessionId"].(string)
	l.request(object{"type": "event", "event": "session_start", "data": object{"agentRole": "lead", "nothing": nil}}, patience)
	l.untilAnswered("answer")
	l.request(object{"type": "tool", "name": "search", "toolCallId": "call_1", "params": object{"q": "x"}}, patience)
	l.untilAnswered("answer")
	l.request(object{"type": "command", "name": "status", "args": ""}, patience)
	l.untilAnswered("answer")
	l.send(object{"type": "session_write", "path": "/s.jsonl", "content": "{}\n"})
	l.send(object{"type": "session_entry", "path": "/s.jsonl", "line": `{"type":"message","content":"Hello","timestamp":1768469400000}`})
	l.request(object{"type": "event", "event": "turn_end", "data": object{}}, patience)
	l.untilAnswered("answer")

	c := s.connect("controller", "controller", func(o *channelOptions) { o.SessionID = id })
	c.untilType("session_hydration")
	c.send(rpc(object{"type": "prompt", "message": "Go on", "images": []any{"data:,"}}))
	c.send(rpc(object{"type": "get_state", "id": "state"}))
	l.untilType("rpc_command")
	l.untilType("rpc_command")
	response := object{"type": "response", "id": "state", "command": "get_state", "success": true, "data": object{"isStreaming": true}}
	l.request(object{"type": "event", "event": "rpc_response", "data": object{"response": response}}, patience)
	c.untilEvent("rpc_response")
	l.untilAnswered("answer")
	l.request(object{"type": "event", "event": "rpc_event", "data": object{"event": object{"type": "agent_start", "agentName": "lead"}}}, patience)
	c.untilEvent("agent_start")
	l.untilAnswered("answer")
	l.request(object{"type": "event", "event": "rpc_ui_request", "data": object{
		"id": "ui_1", "method": "select", "params": object{"title": "t", "options": []any{"a"}},
	}}, patience)
	c.untilEvent("rpc_ui_request")
	l.untilAnswered("answer")
	c.send(object{"type": "rpc_ui_response", "id": "ui_1", "result": "a"})
	l.untilType("rpc_ui_response")
}
