package codertest_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/codertest"
)

// observed is a stream of events under way.
type observed struct {
	testing.TB
	cancel context.CancelFunc
	resp   *http.Response
	lines  *bufio.Reader
}

// observe opens a stream of events and checks that it is one.
func (f fixture) observe(id, query string) *observed {
	f.Helper()
	o := f.request(id, query)
	require.Equal(f, 200, o.resp.StatusCode)
	assert.Equal(f, "text/event-stream", o.resp.Header.Get("Content-Type"))
	assert.Equal(f, int64(-1), o.resp.ContentLength)
	return o
}

func (f fixture) request(id, query string, header ...string) *observed {
	f.Helper()
	ctx, cancel := context.WithCancel(f.Context())
	req, err := http.NewRequestWithContext(ctx, "GET", f.URL()+"/api/hub/session/"+id+"/events"+query, nil)
	require.NoError(f, err)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := f.client.Do(req)
	require.NoError(f, err)
	return &observed{TB: f, cancel: cancel, resp: resp, lines: bufio.NewReader(resp.Body)}
}

func (o *observed) close() {
	o.cancel()
	_ = o.resp.Body.Close()
}

// block returns the next block as it is, without the empty line.
func (o *observed) block() (string, error) {
	var block strings.Builder
	for {
		line, err := o.lines.ReadString('\n')
		if err != nil {
			return block.String() + line, err
		}
		if line == "\n" {
			return block.String(), nil
		}
		block.WriteString(line)
	}
}

// next returns the next message.
func (o *observed) next() map[string]any {
	o.Helper()
	block, err := o.block()
	require.NoError(o, err)
	name, data, ok := strings.Cut(strings.TrimSuffix(block, "\n"), "\ndata: ")
	require.True(o, ok, block)
	var message map[string]any
	require.NoError(o, json.Unmarshal([]byte(data), &message), block)
	assert.Equal(o, "event: "+message["type"].(string), name)
	return message
}

// expect reads messages that must be these: type, or type and event.
func (o *observed) expect(want ...string) {
	o.Helper()
	for _, want := range want {
		message := o.next()
		got := message["type"].(string)
		if event, ok := message["event"]; ok {
			got += " " + event.(string)
		}
		require.Equal(o, want, got)
	}
}

// ended checks that nothing but the end of the stream follows.
func (o *observed) ended() {
	o.Helper()
	rest, err := o.block()
	require.ErrorIs(o, err, io.EOF)
	require.NotErrorIs(o, err, io.ErrUnexpectedEOF)
	assert.Empty(o, rest)
}

// broken checks that the stream breaks off, whatever is read before that.
func (o *observed) broken() {
	o.Helper()
	for {
		if _, err := o.block(); err != nil {
			require.ErrorIs(o, err, io.ErrUnexpectedEOF)
			return
		}
	}
}

var opening = []string{"snapshot", "hydration", "presence session_join", "broadcast session_join"}

func TestStreamOfEvents(t *testing.T) {
	for name, opts := range map[string][]codertest.Option{
		"loopback":  nil,
		"in memory": {codertest.WithInMemoryNetwork()},
	} {
		t.Run(name, func(t *testing.T) {
			hub := codertest.NewHub(opts...)
			defer hub.Close()
			f := fixture{TB: t, Hub: hub, client: hub.HTTPClient()}
			id := f.create(`{"task":"Say hello","label":"Greeting"}`)
			control := f.Session(id)
			control.SetStatus("active")
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
			o.expect("broadcast agent_end", "broadcast session_shutdown")
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

func TestBroadcastDataIsAnObject(t *testing.T) {
	f := start(t)
	id := f.create(newSession)
	o := f.observe(id, "")
	defer o.close()
	o.expect(opening...)
	for _, test := range []struct {
		event codertest.Event
		want  map[string]any
	}{
		{codertest.Event{}, map[string]any{}},
		{codertest.Event{Payload: json.RawMessage("null"), Agent: "a"}, map[string]any{"agent": "a"}},
		{codertest.Event{Payload: []int{1}}, map[string]any{"value": []any{1.0}}},
		{codertest.Event{Payload: "text", TaskID: "t"}, map[string]any{"value": "text", "taskId": "t"}},
		{codertest.Event{Payload: map[string]any{"agent": "b"}, Agent: "a"}, map[string]any{"agent": "b"}},
	} {
		test.event.Event = "turn_end"
		f.Session(id).Broadcast(test.event)
		assert.Equal(t, test.want, o.next()["data"])
	}
	events := f.get("/hub/session/" + id + "/events/history")["events"]
	assert.NotContains(t, all(t, events, "event"), "turn_end", "what is only broadcast leaves no trace")
}

func TestFilters(t *testing.T) {
	f := start(t)
	id := f.create(newSession)
	all := []string{"task_start", "tool_call", "turn_end", "agent_progress", "odd"}
	for query, want := range map[string][]string{
		"?subscribe=*":                      all,
		"?subscribe=":                       all,
		"?subscribe=,":                      all,
		"?subscribe=task":                   {"task_start"},
		"?subscribe=task_*":                 {"task_start"},
		"?subscribe=t*":                     {"task_start", "tool_call", "turn_end"},
		"?subscribe=turn_end,agent":         {"turn_end", "agent_progress"},
		"?subscribe=tool_cal":               {},
		"?subscribe=task_*%2Cagent%2Cother": {"task_start", "agent_progress"},
		"?subscribe=special":                {"odd"},
	} {
		o := f.observe(id, query)
		o.expect(opening[:3]...)
		f.Session(id).UpdatePresence()
		for _, name := range all {
			event := codertest.Event{Event: name}
			if name == "odd" {
				event.Category = "special"
			}
			f.Session(id).Emit(event)
		}
		f.Session(id).EndStreams(1000, "")
		var got []string
		updates := 0
		for {
			block, err := o.block()
			if err != nil {
				break
			}
			for _, name := range all {
				if strings.Contains(block, `"event":"`+name+`"`) {
					got = append(got, name)
				}
			}
			updates += strings.Count(block, "presence_update")
		}
		assert.ElementsMatch(t, want, got, query)
		assert.Equal(t, 1, updates, "%s: no filter applies to presence", query)
		o.close()
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

func TestEndsOfASession(t *testing.T) {
	for name, end := range map[string]func(f fixture, id string){
		"archived": func(f fixture, id string) { f.Session(id).Archive() },
		"shutdown": func(f fixture, id string) { f.Session(id).Shutdown() },
		"deleted":  func(f fixture, id string) { f.call(200, "DELETE", "/hub/session/"+id, "") },
	} {
		f := start(t)
		id := f.create(newSession)
		o := f.observe(id, "")
		o.expect(opening...)
		end(f, id)
		b := o.next()
		assert.Equal(t, "session_shutdown map[reason:"+name+"]", text(b, "event", "data"))
		o.ended()
		o.close()
	}
}
