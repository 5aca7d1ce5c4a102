package codertest_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/codertest"
)

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

func TestLongFrames(t *testing.T) {
	f := start(t, codertest.WithoutAgent())
	id := f.active()
	f.Session(id).AddReplayEntries(codertest.ReplayEntry{Type: "message", Content: strings.Repeat("x", 10<<20)})
	c := f.dial("role=observer&sessionId=" + id)
	c.expect("init")
	assert.Len(t, at(t, c.expect("session_hydration"), "entries", 1, "content"), 10<<20)
	c.expect("presence session_join", "broadcast session_join")
	c.send(`{"type":"ping","timestamp":1,"padding":"` + strings.Repeat("x", 63<<20) + `"}`)
	c.expect("pong")
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
		c.expect("broadcast rpc_response") // and the agent rests
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

func TestSocketCredentials(t *testing.T) {
	const key = "agc_secret"
	synctest.Test(t, func(t *testing.T) {
		f := start(t, codertest.WithAPIKey(key))
		defer f.Close()
		for _, test := range []struct {
			query, header, value, frame string
			welcome                     bool
		}{
			{"api_key=" + key, "X-Nothing", "", "", true},
			{"token=" + key, "X-Nothing", "", "", true},
			{"apiKey=" + key, "X-Nothing", "", "", true},
			{"token=wrong&apiKey=" + key, "X-Nothing", "", "", true},
			{"", "Authorization", "Bearer " + key, "", true},
			{"", "x-agentuity-auth-api-key", key, "", true},
			{"", "X-Nothing", "", `{"authorization":"` + key + `","org_id":"org"}`, true},
			{"api_key=wrong", "X-Nothing", "", "", false},
			{"", "Authorization", "Bearer wrong", "", false},
			{"", "x-agentuity-auth-api-key", "wrong", "", false},
			{"", "X-Nothing", "", `{"authorization":"wrong"}`, false},
			{"", "X-Nothing", "", `{"type":"ping"}`, false},
			{"", "X-Nothing", "", `nonsense`, false},
			{"", "X-Nothing", "", "", false},
		} {
			c := f.dial(test.query, test.header, test.value)
			if test.frame != "" {
				c.send(test.frame)
			}
			began := time.Now()
			first := c.next()
			if test.welcome {
				assert.Equal(t, "init", first["type"], "%+v", test)
				c.send(`{"authorization":"` + key + `"}`) // also after the fact
				c.send(`{"org_id":"org"}`)
				_ = c.conn.Close(websocket.StatusNormalClosure, "")
				continue
			}
			assert.Equal(t, "connection_rejected auth_failed", text(first, "type", "code"), "%+v", test)
			c.closed(4401, "The API key is missing or invalid")
			if test.query+test.frame == "" && test.header == "X-Nothing" {
				assert.Equal(t, 5*time.Second, time.Since(began), "credentials may be late")
			} else {
				assert.Zero(t, time.Since(began))
			}
		}
		synctest.Wait()
		assert.Equal(t, 0, f.Streams())
		assert.Len(t, f.SessionIDs(), 7, "who is turned away leaves nothing behind")
	})
}

// Who has given the key in time is not shown the door later.
func TestCredentialsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, codertest.WithAPIKey("key"))
		defer f.Close()
		c := f.dial("role=lead")
		time.Sleep(4 * time.Second)
		c.send(`{"authorization":"key"}`)
		c.expect("init")
		time.Sleep(time.Minute)
		c.ping()
	})
}
