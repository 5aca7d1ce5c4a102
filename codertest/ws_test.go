package codertest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// client is one end of a socket.
type client struct {
	testing.TB
	conn *websocket.Conn
}

// dial opens a socket.
func (f fixture) dial(query string, header ...string) *client {
	f.Helper()
	h := make(http.Header)
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	conn, _, err := websocket.Dial(f.Context(), f.URL()+"/api/ws?"+query, &websocket.DialOptions{HTTPClient: f.client, HTTPHeader: h})
	require.NoError(f, err)
	conn.SetReadLimit(-1)
	f.Cleanup(func() { _ = conn.CloseNow() })
	return &client{TB: f, conn: conn}
}

// send sends a frame.
func (c *client) send(frame string) {
	c.Helper()
	require.NoError(c, c.conn.Write(context.Background(), websocket.MessageText, []byte(frame)))
}

// next returns the next frame.
func (c *client) next() map[string]any {
	c.Helper()
	kind, data, err := c.conn.Read(context.Background())
	require.NoError(c, err)
	require.Equal(c, websocket.MessageText, kind)
	var frame map[string]any
	require.NoError(c, json.Unmarshal(data, &frame), "%s", data)
	return frame
}

// nameOf is the type of a frame, and the event where there is one: of an
// rpc_event the one inside.
func nameOf(frame map[string]any) string {
	words := []string{}
	for _, member := range []string{"type", "event"} {
		if word, ok := frame[member].(string); ok {
			words = append(words, word)
		}
	}
	if frame["event"] == "rpc_event" {
		words[1] = frame["data"].(map[string]any)["event"].(map[string]any)["type"].(string)
		words[0] = "rpc"
	}
	return strings.Join(words, " ")
}

// expect reads frames that must have these names, and returns the last.
func (c *client) expect(want ...string) map[string]any {
	c.Helper()
	var frame map[string]any
	for _, want := range want {
		frame = c.next()
		require.Equal(c, want, nameOf(frame), "%v", frame)
	}
	return frame
}

// closed checks that the socket is closed next, and how.
func (c *client) closed(code int, reason string) {
	c.Helper()
	_, data, err := c.conn.Read(context.Background())
	var end websocket.CloseError
	require.ErrorAs(c, err, &end, "%s", data)
	assert.Equal(c, fmt.Sprint(code, " ", reason), fmt.Sprint(int(end.Code), " ", end.Reason))
}

// lost checks that the socket breaks off.
func (c *client) lost() {
	c.Helper()
	for {
		_, _, err := c.conn.Read(context.Background())
		if err == nil {
			continue
		}
		assert.EqualValues(c, -1, websocket.CloseStatus(err), "%v", err)
		return
	}
}

// active is a session that runs.
func (f fixture) active() string {
	f.Helper()
	id := f.create(`{"task":"Say hello","label":"Greeting"}`)
	f.Session(id).SetStatus("active")
	return id
}

// control connects a controller and brings it to where it hears what happens.
func (f fixture) control(id string) *client {
	f.Helper()
	c := f.dial("role=controller&sessionId=" + id)
	c.expect("init")
	c.send(`{"type":"bootstrap_ready"}`)
	c.expect("session_hydration")
	return c
}

func TestSocketOnEveryNetwork(t *testing.T) {
	for name, opts := range map[string][]codertest.Option{
		"loopback":  nil,
		"in memory": {codertest.WithInMemoryNetwork()},
	} {
		t.Run(name, func(t *testing.T) {
			hub := codertest.NewHub(opts...)
			defer hub.Close()
			f := fixture{TB: t, Hub: hub, client: hub.HTTPClient()}
			id := f.active()
			c := f.dial("role=observer&sessionId=" + id + "&subscribe=turn_end&origin=web")
			init := c.next()
			assert.Equal(t, "init observer "+id+" Greeting", text(init, "type", "role", "sessionId", "label"))
			hydration := c.next()
			assert.Equal(t, "session_hydration "+id+" Greeting Say hello true",
				text(hydration, "type", "sessionId", "label", "task", "leadConnected"))
			assert.Equal(t, kind(1.0), kind(hydration["resumedAt"]))
			assert.Equal(t, []any{"Say hello"}, all(t, hydration["entries"], "content"))
			assert.Equal(t, map[string]any{"isStreaming": false, "activeTasks": []any{}}, hydration["streamingState"])
			join := c.expect("presence session_join")
			assert.Equal(t, "p_000002 observer ws [turn_end] map[origin:web]",
				text(join["participant"], "id", "role", "transport", "subscriptions", "metadata"))
			assert.Equal(t, 1, hub.Session(id).Streams())

			c.send(`{"type":"ping","timestamp":1768473737517}`)
			pong := c.expect("pong")
			assert.InDelta(t, 1768473737517, pong["echoedTimestamp"], 0)
			assert.Equal(t, kind(1.0), kind(pong["timestamp"]))

			hub.Session(id).Emit(eventNamed("turn_start"))
			hub.Session(id).Emit(eventNamed("turn_end"))
			c.expect("broadcast turn_end")
			c.send(`{"type":"subscribe","patterns":["turn_s*",""]}`)
			c.send(`{"type":"ping"}`)
			assert.NotContains(t, c.expect("pong"), "echoedTimestamp")
			hub.Session(id).UpdatePresence()
			assert.Equal(t, []any{"turn_s*"}, at(t, c.expect("presence presence_update"), "participants", 1, "subscriptions"))
			hub.Session(id).Emit(eventNamed("turn_end"))
			hub.Session(id).Emit(eventNamed("turn_start"))
			c.expect("broadcast turn_start")
			require.NoError(t, c.conn.Close(websocket.StatusNormalClosure, "Client closed"))
			require.Eventually(t, func() bool { return hub.Streams() == 0 }, 10*time.Second, time.Millisecond)
			assert.InDelta(t, 0, f.get("/hub/session/" + id)["observerCount"], 0)
			var status int
			for _, r := range hub.Requests() {
				if r.Route == "/ws" {
					status = r.Status
				}
			}
			assert.Equal(t, 101, status)
		})
	}
}

func TestSocketIsNoPage(t *testing.T) {
	f := start(t, codertest.WithAPIKey("key"))
	r, err := f.try("GET", "/ws", "")
	require.NoError(t, err)
	assert.Equal(t, 426, r.status)
	assert.Equal(t, "websocket", r.header.Get("Upgrade"))
	r, err = f.try("GET", "/ws", "", "Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "12")
	require.NoError(t, err)
	assert.Equal(t, 400, r.status)
	assert.Equal(t, 400, f.Requests()[1].Status)
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

func TestLongFrames(t *testing.T) {
	f := start(t)
	id := f.active()
	f.Session(id).AddReplayEntries(codertest.ReplayEntry{Type: "message", Content: strings.Repeat("x", 10<<20)})
	c := f.dial("role=observer&sessionId=" + id)
	c.expect("init")
	assert.Len(t, at(t, c.expect("session_hydration"), "entries", 1, "content"), 10<<20)
	c.expect("presence session_join", "broadcast session_join")
	c.send(`{"type":"ping","timestamp":1,"padding":"` + strings.Repeat("x", 63<<20) + `"}`)
	c.expect("pong")
}

func TestEndsOfASessionCloseSockets(t *testing.T) {
	for want, end := range map[string]func(f fixture, id string){
		"archived": func(f fixture, id string) { f.Session(id).Archive() },
		"shutdown": func(f fixture, id string) { f.Session(id).Shutdown() },
		"deleted":  func(f fixture, id string) { f.call(200, "DELETE", "/hub/session/"+id, "") },
	} {
		f := start(t)
		id := f.create(newSession)
		c := f.control(id)
		f.Session(id).SetStatus("error")
		c.expect("broadcast agent_end", "presence session_leave", "broadcast session_leave")
		end(f, id)
		assert.Equal(t, "session_shutdown map[reason:"+want+"]", text(c.next(), "event", "data"))
		c.closed(4404, "Session "+want)
	}
}

func TestEndStreams(t *testing.T) {
	f := start(t)
	id := f.active()
	c := f.control(id)
	f.Session(id).Broadcast(eventNamed("turn_end"))
	f.Session(id).EndStreams(4410, "Newer driver connected")
	f.Session(id).Broadcast(eventNamed("turn_end"))
	c.expect("broadcast turn_end")
	c.closed(4410, "Newer driver connected")
	c = f.control(id)
	f.Session(id).DisconnectParticipant("p_000003")
	c.closed(1001, "Disconnected")
	for _, code := range []coder.CloseCode{0, 999, 1005, 1006, 1015, 2999, 5000} {
		assert.Panics(t, func() { f.Session(id).EndStreams(code, "") }, code)
	}
}

func TestCloseEndsSockets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, codertest.WithAPIKey("key"), codertest.WithAgentPace(time.Hour))
		waiting := f.dial("")
		c := f.dial("api_key=key&role=controller")
		id := c.expect("init")["sessionId"].(string)
		c.send(`{"type":"bootstrap_ready"}`)
		c.expect("session_hydration")
		c.send(`{"type":"rpc_command","command":{"type":"prompt","message":"x"}}`)
		c.expect("rpc agent_start")
		unread := f.dial("api_key=key&role=observer&sessionId=" + id)
		f.dial("api_key=wrong") // is being closed, and does not answer
		synctest.Wait()
		began := time.Now()
		f.Close()
		assert.Zero(t, time.Since(began))
		for _, c := range []*client{waiting, c, unread} {
			c.lost()
		}
		assert.Equal(t, 0, f.Streams())
		_, _, err := websocket.Dial(t.Context(), f.URL()+"/api/ws", &websocket.DialOptions{HTTPClient: f.client})
		require.Error(t, err)
	})
}
