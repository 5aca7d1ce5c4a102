package codertest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Only a controller is hydrated when it is ready, and once.
func TestBootstrapReady(t *testing.T) {
	f := start(t)
	id := f.active()
	observer := f.watch(id)
	lead := f.dial("role=lead&agent=scout&parent=" + id)
	lead.expect("init", "session_hydration")
	observer.expect("broadcast session_join")
	c := f.control(id)
	observer.expect("presence session_join", "broadcast session_join")
	for _, other := range []*client{observer, lead, c} {
		other.send(`{"type":"bootstrap_ready"}`)
		other.ping()
	}
}

func TestControllersHaveNoFilters(t *testing.T) {
	f := start(t)
	id := f.active()
	c := f.control(id)
	c.send(`{"type":"subscribe","patterns":["none"]}`)
	c.ping()
	f.Session(id).Emit(eventNamed("turn_end"))
	c.expect("broadcast turn_end")
	f.Session(id).UpdatePresence()
	assert.Empty(t, at(t, c.expect("presence presence_update"), "participants", 1, "subscriptions"))
}

func TestFramesOfCredentialsSayNothing(t *testing.T) {
	f := start(t)
	c := f.control(f.active())
	for _, frame := range []string{`{"org_id":"org"}`, `{"authorization":"key"}`} {
		c.send(frame)
		c.ping()
	}
	c.send(`{"org_id":""}`)
	c.expect("protocol_error")
}

func TestLastActivity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t)
		defer f.Close()
		id := f.active()
		c := f.control(id)
		time.Sleep(time.Minute)
		c.ping()
		time.Sleep(time.Minute)
		participants := f.get("/hub/session/" + id + "/participants")["participants"]
		assert.Equal(t, []any{"2000-01-01T00:00:00.000Z", "2000-01-01T00:01:00.000Z"}, all(t, participants, "lastActivityAt"))
		f.Session(id).UpdatePresence()
		update := c.expect("presence presence_update")["participants"]
		assert.InDelta(t, time.Now().Add(-time.Minute).UnixMilli(), at(t, update, 1, "lastActivity"), 0)
	})
}

func TestControllersAreHydratedWhenTheyAreReady(t *testing.T) {
	f := start(t)
	id := f.active()
	observer := f.dial("role=observer&sessionId=" + id)
	observer.expect("init", "session_hydration", "presence session_join", "broadcast session_join")
	c := f.dial("role=controller&subscribe=task&sessionId=" + id)
	init := c.expect("init")
	assert.Equal(t, "controller "+id, text(init, "role", "sessionId"))
	observer.expect("presence session_join", "broadcast session_join")
	f.Session(id).Emit(eventNamed("turn_end"))
	c.send(`{"type":"ping"}`)
	c.expect("pong")
	c.send(`{"type":"bootstrap_ready"}`)
	c.expect("session_hydration")
	f.Session(id).Emit(eventNamed("turn_start"))
	c.expect("broadcast turn_start")
	assert.InDelta(t, 3, f.get("/hub/session/" + id)["participantCount"], 0)
}

func TestMalformedFrames(t *testing.T) {
	f := start(t)
	id := f.active()
	c := f.control(id)
	for frame, code := range map[string]string{
		`{`:                                   "invalid_message",
		`[]`:                                  "invalid_message",
		`null`:                                "invalid_message",
		`{"type":7}`:                          "invalid_message",
		`{"type":"ping","timestamp":"now"}`:   "invalid_message",
		`{}`:                                  "invalid_message",
		`{"type":"odd"}`:                      "unknown_type",
		`{"type":"event","id":"1"}`:           "invalid_message",
		`{"type":"event","id":"1","event":7}`: "invalid_message",
		`{"type":"tool","name":"x"}`:          "invalid_message",
		`{"type":"rpc_command"}`:              "invalid_message",
		`{"type":"rpc_command","command":7}`:  "invalid_message",
		`{"type":"rpc_command","command":{}}`: "invalid_message",
		`{"type":"session_write","path":"a","content":"b"}`:    "forbidden",
		`{"type":"rpc_event","event":{"type":"x"}}`:            "forbidden",
		`{"type":"rpc_response","response":{"type":"x"}}`:      "forbidden",
		`{"type":"rpc_ui_request","id":"1","method":"m"}`:      "forbidden",
		`{"type":"session_entry","path":"a","line":"{\"a\":"}`: "forbidden",
	} {
		c.send(frame)
		assert.Equal(t, "protocol_error "+code+" "+id, text(c.next(), "type", "code", "sessionId"), frame)
	}
	require.NoError(t, c.conn.Write(t.Context(), websocket.MessageBinary, []byte(`{"type":"ping"}`)))
	c.send(`{"type":"ping","timestamp":1}`)
	assert.InDelta(t, 1, c.expect("pong")["echoedTimestamp"], 0, "a binary frame is no message")

	observer := f.dial("role=observer&sessionId=" + id)
	observer.expect("init", "session_hydration", "presence session_join", "broadcast session_join")
	observer.send(`{"type":"rename_session","label":"x"}`)
	assert.Equal(t, "forbidden", observer.expect("protocol_error")["code"])
	observer.send(`{"type":"rpc_command","command":{"type":"prompt","message":"x"}}`)
	observer.expect("rpc_command_error")
}

func TestRenameSession(t *testing.T) {
	f := start(t)
	id := f.active()
	c := f.control(id)
	c.send(`{"type":"rename_session","label":"New"}`)
	assert.Equal(t, map[string]any{"label": "New"}, c.expect("broadcast session_label_updated")["data"])
	assert.Equal(t, "New", f.get("/hub/session/" + id)["label"])
}
