package codertest_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

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
	entries := f.get("/hub/session/" + id + "/replay")["entries"].([]any)
	assert.Equal(t, "Go", at(t, entries[len(entries)-1], "content"))
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

func TestOnlyControllersAnswerTheAgent(t *testing.T) {
	f := start(t)
	id := f.active()
	observer := f.dial("role=observer&subscribe=none&sessionId=" + id)
	observer.expect("init", "session_hydration", "presence session_join")
	scout := f.dial("role=lead&agent=scout&parent=" + id)
	scout.expect("init", "session_hydration")
	c := f.control(id)
	observer.expect("presence session_join")
	c.command("prompt", "select one")
	c.until("broadcast rpc_ui_request")
	for _, other := range []*client{observer, scout} {
		other.send(`{"type":"rpc_ui_response","id":"ui_000001","result":"green"}`)
		assert.Equal(t, "forbidden "+id, text(other.expect("protocol_error"), "code", "sessionId"))
	}
	c.ping()
	c.send(`{"type":"rpc_ui_response","id":"ui_000001","result":"red"}`)
	c.until("rpc agent_end")
	entries := f.get("/hub/session/" + id + "/replay")["entries"].([]any)
	assert.Equal(t, "You chose red. Done.", at(t, entries[len(entries)-1], "content"))

	lead := f.dial("role=lead&sessionId=" + id)
	lead.expect("init", "session_hydration")
	observer.send(`{"type":"rpc_ui_response","id":"ui-1","result":true}`)
	lead.ping()
}
