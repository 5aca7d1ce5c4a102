package codertest_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/codertest"
)

func TestStreamOfEvents(t *testing.T) {
	for name, opts := range map[string][]codertest.Option{
		"loopback":  nil,
		"in memory": {codertest.WithInMemoryNetwork()},
	} {
		t.Run(name, func(t *testing.T) {
			hub := codertest.NewHub(opts...)
			defer hub.Close()
			f := fixture{TB: t, Hub: hub, client: hub.HTTPClient()}
			id := f.active()
			control := f.Session(id)
			control.AddReplayEntries(codertest.ReplayEntry{Type: "message", Agent: "lead", Content: "Hello\nworld."})
			control.Set("agentActivity", map[string]any{"lead": map[string]any{"status": "idle", "toolCallCount": 1, "lastActivity": 5}})
			o := f.observe(id, "")
			defer o.close()

			snapshot := o.next()
			assert.Equal(t, "snapshot "+id+" Greeting active sandbox 0",
				text(snapshot, "type", "sessionId", "label", "status", "mode", "taskCount"))
			assert.Regexp(t, timestamp, snapshot["createdAt"])
			assert.Equal(t, "idle", at(t, snapshot, "agentActivity", "lead", "status"))
			assert.Equal(t, []any{"lead"}, all(t, snapshot["participants"], "role"), "the new observer is not there yet")
			assert.Regexp(t, timestamp, at(t, snapshot, "participants", 0, "connectedAt"))

			hydration := o.next()
			assert.Equal(t, "hydration "+id+" Say hello", text(hydration, "type", "sessionId", "task"))
			assert.Equal(t, []any{"Say hello", "Hello\nworld."}, all(t, hydration["entries"], "content"))

			join := o.next()
			assert.Equal(t, "presence session_join "+id, text(join, "type", "event", "sessionId"))
			assert.Equal(t, "p_000002 observer sse []", text(join["participant"], "id", "role", "transport", "subscriptions"))
			assert.Equal(t, kind(1.0), kind(at(t, join, "participant", "connectedAt")))
			joined := o.next()
			assert.Equal(t, "broadcast session_join session", text(joined, "type", "event", "category"))
			assert.Equal(t, "p_000002", at(t, joined, "data", "participant", "id"))

			control.Emit(codertest.Event{Event: "tool_call", Agent: "lead", TaskID: "t1", Payload: map[string]any{"toolName": "read"}})
			b := o.next()
			assert.Equal(t, "broadcast tool_call tool "+id, text(b, "type", "event", "category", "sessionId"))
			assert.Equal(t, map[string]any{"toolName": "read", "agent": "lead", "taskId": "t1"}, b["data"])
			assert.Equal(t, kind(1.0), kind(b["timestamp"]))

			detail := f.get("/hub/session/" + id)
			assert.Equal(t, "1 2", text(detail, "observerCount", "participantCount"))
			assert.Equal(t, 1, control.Streams())

			f.call(200, "PATCH", "/hub/session/"+id, `{"label":"New"}`)
			b = o.next()
			assert.Equal(t, "session_label_updated map[label:New]", text(b, "event", "data"))

			f.call(200, "POST", "/hub/session/"+id+"/archive", "")
			o.expect("broadcast session_shutdown")
			o.ended()
			require.Eventually(t, func() bool { return hub.Streams() == 0 }, 10*time.Second, time.Millisecond)
			for _, r := range hub.Requests() {
				if strings.HasSuffix(r.Path, "/events") {
					assert.Equal(t, 200, r.Status)
				}
			}
		})
	}
}

func TestStreamCredentials(t *testing.T) {
	const key = "agc_secret"
	f := start(t, codertest.WithAPIKey(key))
	r, err := f.try("POST", "/hub/session", newSession, "Authorization", "Bearer "+key)
	require.NoError(t, err)
	id := r.json["sessionId"].(string)
	for _, test := range []struct {
		query, header, value string
		want                 int
	}{
		{"", "X-Nothing", "", 401},
		{"?api_key=" + key, "X-Nothing", "", 200},
		{"?api_key=wrong", "X-Nothing", "", 401},
		{"", "Authorization", "Bearer " + key, 200},
		{"", "x-agentuity-auth-api-key", key, 200},
		{"?token=" + key, "X-Nothing", "", 401},
	} {
		o := f.request(id, test.query, test.header, test.value)
		assert.Equal(t, test.want, o.resp.StatusCode, "%+v", test)
		if test.want == 401 {
			r, err := read(o.resp, nil)
			require.NoError(t, err)
			assert.Equal(t, false, r.json["success"])
		}
		o.close()
	}
	r, err = f.try("GET", "/hub/sessions?api_key="+key, "")
	require.NoError(t, err)
	assert.Equal(t, 401, r.status, "other routes look at headers only")
}

func TestStreamOfNoSession(t *testing.T) {
	f := start(t)
	body := f.call(404, "GET", "/hub/session/nope/events", "")
	assert.Equal(t, "CODER_SESSION_NOT_FOUND", body["code"])
	f.call(405, "POST", "/hub/session/nope/events", "{}")
}

func TestStreamOfAnEndedSession(t *testing.T) {
	f := start(t)
	id := f.create(newSession)
	f.Session(id).Archive()
	o := f.observe(id, "")
	o.expect("snapshot", "hydration", "broadcast session_shutdown")
	o.ended()
	o = f.observe(id, "?subscribe=task")
	o.expect("snapshot", "hydration")
	o.ended()
	assert.InDelta(t, 0, f.get("/hub/session/" + id)["observerCount"], 0)
}
