package codertest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

func (f fixture) roles(id string) []any {
	return all(f, f.get("/hub/session/" + id + "/participants")["participants"], "role")
}

func TestOneLeadASession(t *testing.T) {
	f := start(t)
	id := f.active()
	assert.Equal(t, []any{"lead"}, f.roles(id))
	first := f.dial("role=lead&driverInstanceId=drv_1&driverVersion=2&sessionId=" + id)
	init := first.expect("init", "session_hydration")
	assert.Equal(t, true, init["leadConnected"])
	assert.Equal(t, []any{"lead"}, f.roles(id), "the Hub's own lead makes room")
	who := at(t, f.get("/hub/session/"+id+"/participants"), "participants", 0)
	assert.Equal(t, "p_000002 ws lead map[driverInstanceId:drv_1 driverVersion:2 origin:sdk]",
		text(who, "id", "transport", "agentRole", "metadata"))

	for _, query := range []string{"", "&driverInstanceId=drv_0"} {
		second := f.dial("role=lead&sessionId=" + id + query)
		assert.Equal(t, "connection_rejected session_active "+id, text(second.next(), "type", "code", "sessionId"))
		second.closed(4409, "Another lead is connected")
	}

	again := f.dial("role=lead&driverInstanceId=drv_1&sessionId=" + id)
	again.expect("init", "session_hydration")
	first.closed(4410, "Newer driver connected")
	require.NoError(t, again.conn.Close(websocket.StatusNormalClosure, ""))
	require.Eventually(t, func() bool { return f.Session(id).Streams() == 0 }, 10*time.Second, time.Millisecond)
	assert.Equal(t, []any{"lead"}, f.roles(id), "the Hub's own lead is back")

	newer := f.dial("role=lead&driverInstanceId=drv_2&sessionId=" + id)
	newer.expect("init", "session_hydration")
	f.dial("role=lead&driverInstanceId=drv_1&sessionId="+id).closed(4410, "Newer driver connected")
	require.NoError(t, newer.conn.CloseNow())
	require.Eventually(t, func() bool { return f.Session(id).Streams() == 0 }, 10*time.Second, time.Millisecond)
	f.dial("role=lead&driverInstanceId=drv_1&sessionId="+id).closed(4410, "Newer driver connected")
}

func TestDrivers(t *testing.T) {
	f := start(t)
	id := f.active()
	var lead *client
	for _, step := range []struct {
		driver string
		leaves bool // the lead before
		code   int  // 0: welcome
	}{
		{"", false, 0},
		{"", false, 4409}, // two without a name are two
		{"drv_1", false, 4409},
		{"drv_1", true, 0},
		{"drv_1", false, 0},
		{"drv_1", false, 0}, // as often as it likes
		{"", false, 4409},
		{"", true, 0},
		{"drv_1", false, 4409}, // the last driver, but not the lead any more
		{"drv_1", true, 0},
		{"drv_2", true, 0},
		{"drv_1", false, 4410},
		{"", true, 0},
		{"drv_1", true, 4410},
		{"", false, 0}, // without a name nobody is stale
	} {
		if step.leaves {
			require.NoError(t, lead.conn.CloseNow())
			require.Eventually(t, func() bool { return f.Session(id).Streams() == 0 }, 10*time.Second, time.Millisecond)
		}
		c := f.dial("role=lead&driverInstanceId=" + step.driver + "&sessionId=" + id)
		switch step.code {
		case 0:
			c.expect("init", "session_hydration")
			if lead != nil && !step.leaves {
				_ = lead.conn.CloseNow()
			}
			lead = c
			require.Eventually(t, func() bool { return f.Session(id).Streams() == 1 }, 10*time.Second, time.Millisecond)
		case 4409:
			c.expect("connection_rejected")
			c.closed(4409, "Another lead is connected")
		default:
			c.closed(4410, "Newer driver connected")
		}
	}
}

func TestLeadWakesASession(t *testing.T) {
	f := start(t)
	id := f.create(newSession)
	lead := f.dial("role=lead&sessionId=" + id)
	lead.expect("init", "session_hydration")
	assert.Equal(t, "active", f.get("/hub/session/" + id)["status"])
	assert.Equal(t, []any{"lead"}, f.roles(id))
	f.Session(id).Pause()
	lead.closed(4408, "Session paused")
	f.dial("role=lead&sessionId="+id).expect("init", "session_hydration")
	assert.Equal(t, "active", f.get("/hub/session/" + id)["status"])
}

func TestSubAgents(t *testing.T) {
	f := start(t)
	id := f.active()
	lead := f.dial("role=lead&agent=scout&parent=" + id)
	assert.Equal(t, "sub_agent scout "+id, text(lead.expect("init"), "role", "agentRole", "sessionId"))
	observer := f.dial("role=observer&agent=builder&subscribe=task&parent=" + id)
	assert.Equal(t, "sub_agent", observer.expect("init")["role"])
	observer.expect("session_hydration")
	assert.Equal(t, []any{"lead", "sub_agent", "sub_agent"}, f.roles(id))
	assert.InDelta(t, 2, f.get("/hub/session/" + id)["subAgentCount"], 0)
	f.Session(id).Emit(eventNamed("turn_end"))
	f.Session(id).Emit(eventNamed("task_start"))
	observer.expect("broadcast task_start")
}

func TestRequestsAreAnswered(t *testing.T) {
	f := start(t)
	c := f.dial("role=lead")
	id := c.expect("init")["sessionId"].(string)
	for frame, want := range map[string]string{
		`{"id":"r1","type":"event","event":"turn_start","data":{"agentRole":"scout","n":1}}`: "r1 [map[action:ACK]]",
		`{"id":"r2","type":"tool","name":"search","toolCallId":"c","params":{}}`:             "r2 [map[action:RETURN result:<nil>]]",
		`{"id":"r3","type":"command","name":"deck","args":"x"}`:                              "r3 [map[action:ACK]]",
	} {
		c.send(frame)
		assert.Equal(t, want, text(c.next(), "id", "actions"))
	}
	event := at(t, f.get("/hub/session/"+id+"/events/history?limit=1"), "events", 0)
	assert.Equal(t, "turn_start scout map[agentRole:scout n:1]", text(event, "event", "agent", "payload"))

	f.OnRequest(func(r codertest.LeadRequest) ([]codertest.Action, bool) {
		f.Session(r.SessionID).Set("asked", r.Type+" "+r.ID+" "+r.Name+" "+string(r.Body))
		switch r.Name {
		case "nothing":
			return nil, false
		case "none":
			return []codertest.Action{}, true
		case "block":
			return []codertest.Action{{"action": "BLOCK", "reason": "no"}, {"action": "STATUS", "key": "k"}}, true
		}
		return nil, true
	})
	c.send(`{"id":"r4","type":"tool","name":"nothing"}`)
	c.send(`{"id":"r5","type":"tool","name":"none"}`)
	c.send(`{"id":"r6","type":"event","event":"block"}`)
	c.send(`{"id":"r7","type":"command","name":"other"}`)
	assert.Equal(t, "r5 []", text(c.next(), "id", "actions"))
	assert.Equal(t, "r6 [map[action:BLOCK reason:no] map[action:STATUS key:k]]", text(c.next(), "id", "actions"))
	assert.Equal(t, "r7 [map[action:ACK]]", text(c.next(), "id", "actions"))
	assert.Equal(t, `command r7 other {"id":"r7","type":"command","name":"other"}`, f.get("/hub/session/" + id)["asked"])
	f.OnRequest(nil)
	c.send(`{"id":"r8","type":"tool","name":"nothing"}`)
	assert.Equal(t, "r8", c.next()["id"])

	var types []string
	for _, frame := range f.Session(id).Frames() {
		types = append(types, frame.Type)
		assert.Equal(t, coder.RoleLead, frame.Role)
		assert.Equal(t, "p_000001", frame.Participant)
	}
	assert.ElementsMatch(t, []string{"event", "tool", "command", "tool", "tool", "event", "command", "tool"}, types)
	frames := f.Session(id).Frames()
	assert.JSONEq(t, `{"id":"r8","type":"tool","name":"nothing"}`, string(frames[7].Body))
	frames[7].Body[0] = '!'
	assert.Equal(t, byte('{'), f.Session(id).Frames()[7].Body[0])
}

func TestLeadAndControllers(t *testing.T) {
	f := start(t)
	id := f.active()
	one, other := f.control(id), f.control(id)
	one.expect("presence session_join", "broadcast session_join")
	observer := f.dial("role=observer&subscribe=message,turn&sessionId=" + id)
	observer.expect("init", "session_hydration", "presence session_join")
	for _, c := range []*client{one, other} {
		c.expect("presence session_join", "broadcast session_join")
	}
	lead := f.dial("role=lead&sessionId=" + id)
	lead.expect("init", "session_hydration")
	for _, c := range []*client{one, other} {
		c.expect("presence session_leave", "broadcast session_leave", "presence session_join", "broadcast session_join")
	}
	observer.expect("presence session_leave", "presence session_join")

	one.send(`{"type":"rpc_command","command":{"type":"prompt","message":"Go","agent":"scout"}}`)
	assert.Equal(t, map[string]any{"type": "prompt", "message": "Go", "agent": "scout"}, lead.expect("rpc_command")["command"])
	assert.Equal(t, "Go", at(t, other.expect("broadcast user_prompt"), "data", "content"))
	observer.expect("broadcast user_prompt")
	assert.Equal(t, "Go", at(t, f.get("/hub/session/"+id+"/replay"), "entries", 1, "content"))
	one.send(`{"type":"rpc_command","command":{"type":"get_state","id":"c1"}}`)
	assert.Equal(t, "c1", at(t, lead.expect("rpc_command"), "command", "id"))

	lead.send(`{"type":"rpc_response","response":{"type":"response","id":"c1","success":true}}`)
	lead.send(`{"type":"rpc_event","event":{"type":"turn_start","turnId":"t"}}`)
	lead.send(`{"id":"r1","type":"event","event":"turn_end","data":{"turnId":"t"}}`)
	lead.send(`{"id":"r2","type":"event","event":"rpc_event","data":{"event":{"type":"message_start"}}}`)
	lead.send(`{"id":"r3","type":"event","event":"rpc_response","data":{"response":{"id":"c2"}}}`)
	lead.send(`{"type":"rpc_ui_request","id":"ui-1","method":"confirm","params":{"title":"t","message":"m"}}`)
	for _, c := range []*client{one, other} {
		assert.Equal(t, "c1", at(t, c.expect("broadcast rpc_response"), "data", "response", "id"))
		inner := at(t, c.expect("rpc turn_start"), "data", "event")
		assert.Equal(t, "t", at(t, inner, "turnId"))
		assert.Equal(t, kind(1.0), kind(at(t, inner, "timestamp")))
		c.expect("rpc turn_end", "rpc message_start")
		assert.Equal(t, "c2", at(t, c.expect("broadcast rpc_response"), "data", "response", "id"))
		assert.Equal(t, "ui-1 confirm map[message:m title:t]", text(c.expect("broadcast rpc_ui_request")["data"], "id", "method", "params"))
	}
	observer.expect("broadcast turn_start", "broadcast turn_end", "broadcast message_start")
	other.send(`{"type":"rpc_ui_response","id":"ui-1","result":true}`)
	for _, want := range []string{"r1", "r2", "r3"} {
		assert.Equal(t, want, lead.next()["id"])
	}
	assert.Equal(t, "ui-1 true", text(lead.expect("rpc_ui_response"), "id", "result"))
}

func TestLeadsDoNotCommand(t *testing.T) {
	f := start(t)
	lead := f.dial("role=lead&origin=tui")
	id := lead.expect("init")["sessionId"].(string)
	lead.send(`{"type":"rpc_command","command":{"type":"abort"}}`)
	lead.expect("rpc_command_error")
	require.NoError(t, lead.conn.CloseNow())
	require.Eventually(t, func() bool { return f.Session(id).Streams() == 0 }, 10*time.Second, time.Millisecond)

	c := f.dial("role=controller&sessionId=" + id)
	c.expect("init")
	c.send(`{"type":"bootstrap_ready"}`)
	assert.Equal(t, false, c.expect("session_hydration")["leadConnected"])
	c.send(`{"type":"rpc_command","command":{"type":"get_state","id":"c1"}}`)
	failed := c.expect("rpc_command_error")
	assert.Equal(t, "Sandbox driver is not connected; resume the session first get_state c1", text(failed, "error", "command", "id"))
	answer := at(t, c.expect("broadcast rpc_response"), "data", "response")
	assert.Equal(t, "c1 false", text(answer, "id", "success"))
}

func TestFilesOfALead(t *testing.T) {
	f := start(t)
	lead := f.dial("role=lead")
	id := lead.expect("init")["sessionId"].(string)
	lead.send(`{"type":"session_write","path":"a.jsonl","content":"{}\n"}`)
	lead.send(`{"type":"session_entry","path":"a.jsonl","line":"{\"type\":\"message\",\"content\":\"Hi\",\"agent\":\"lead\",\"timestamp\":5}"}`)
	lead.send(`{"type":"session_entry","path":"b.jsonl","line":"{\"type\":\"message\",\"message\":{}}"}`)
	lead.send(`{"type":"session_entry","path":"b.jsonl","line":"{\"type\":\"session\"}"}`)
	lead.send(`{"type":"session_entry","path":"b.jsonl","line":"nonsense"}`)
	lead.send(`{"type":"ping"}`)
	lead.expect("pong")
	assert.Equal(t, map[string]string{
		"a.jsonl": "{}\n" + `{"type":"message","content":"Hi","agent":"lead","timestamp":5}` + "\n",
		"b.jsonl": `{"type":"message","message":{}}` + "\n" + `{"type":"session"}` + "\nnonsense\n",
	}, f.Session(id).Files())
	entries := f.get("/hub/session/" + id + "/replay")["entries"]
	assert.Equal(t, []any{"Hi"}, all(t, entries, "content"))
	assert.Equal(t, "message lead 5 1", text(at(t, entries, 0), "type", "agent", "timestamp", "sequence"))
}

func TestInitOfALead(t *testing.T) {
	f := start(t)
	f.SetInit(map[string]any{"model": map[string]any{"provider": "p", "id": "m"}, "agentRole": "chief"})
	lead := f.dial("role=lead&task=Try")
	assert.Equal(t, "chief map[id:m provider:p] Try", text(lead.expect("init"), "agentRole", "model", "task"))
	assert.NotContains(t, f.dial("role=observer").expect("init"), "model")
	f.SetInit(nil)
	assert.NotContains(t, f.dial("role=lead").expect("init"), "model")
	assert.Panics(t, func() { f.SetInit(map[string]any{"tools": func() {}}) })
}

func TestControllersWatchASessionSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t)
		defer f.Close()
		id := f.active()
		c := f.control(id)
		f.Session(id).Pause()
		c.expect("broadcast agent_end", "presence session_leave", "broadcast session_leave")
		c.send(`{"type":"rpc_command","command":{"type":"prompt","message":"x"}}`)
		c.expect("rpc_command_error")
		f.call(200, "POST", "/hub/session/"+id+"/resume", "")
		c.send(`{"type":"rpc_command","command":{"type":"get_state","id":"c1"}}`)
		c.expect("presence session_join", "broadcast session_join", "broadcast agent_start", "broadcast rpc_response")
		assert.Equal(t, "active", f.get("/hub/session/" + id)["status"])
	})
}
