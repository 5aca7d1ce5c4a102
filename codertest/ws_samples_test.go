package codertest_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// transcript is a conversation over a socket as it was recorded.
type transcript struct {
	URL    string
	Frames []struct {
		From  string
		Frame map[string]any
	}
	Close struct {
		From   string
		Code   int
		Reason string
	}
}

func recorded(t *testing.T, file string) transcript {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "stream", file))
	require.NoError(t, err)
	var s transcript
	require.NoError(t, json.Unmarshal(data, &s))
	return s
}

// volatile are members that differ from one run to the next.
var volatile = []string{
	"timestamp", "resumedAt", "connectedAt", "lastActivity", "author", "sequence", "metadata", "id",
}

// sameMembers checks that what the Hub has sent says what was recorded, and
// has what else was recorded in the same form.
func sameMembers(t *testing.T, where string, want, got any) {
	t.Helper()
	if !assert.Equal(t, kind(want), kind(got), where) {
		return
	}
	switch want := want.(type) {
	case map[string]any:
		for member, value := range want {
			have, ok := got.(map[string]any)[member]
			if !assert.True(t, ok, "%s has no %s", where, member) {
				continue
			}
			if strings.HasPrefix(fmt.Sprint(value), "stream_") || contains(volatile, member) {
				assert.Equal(t, kind(value), kind(have), where+"."+member)
				continue
			}
			sameMembers(t, where+"."+member, value, have)
		}
	case []any:
		if assert.Len(t, got, len(want), where) {
			for i := range want {
				sameMembers(t, fmt.Sprintf("%s[%d]", where, i), want[i], got.([]any)[i])
			}
		}
	default:
		assert.Equal(t, want, got, where)
	}
}

func contains(list []string, text string) bool {
	for _, element := range list {
		if element == text {
			return true
		}
	}
	return false
}

// staged is a Hub with the session of the recordings.
func staged(t *testing.T) (f fixture, id string) {
	t.Helper()
	f = start(t, codertest.WithAPIKey("KEY"))
	f.Answer() // to the task
	r, err := f.try("POST", "/hub/session", `{"task":"Implement OAuth login with a GitHub provider","label":"OAuth login"}`,
		"Authorization", "Bearer KEY")
	require.NoError(t, err)
	id = r.json["sessionId"].(string)
	control := f.Session(id)
	control.SetStatus("active")
	control.AddReplayEntries(codertest.ReplayEntry{Type: "message", Agent: "lead", Content: "I will start with the callback route."})
	hydration := recorded(t, "ws-observer.json").Frames[2].Frame
	control.Set("stream", hydration["stream"])
	control.Set("tasks", hydration["tasks"])
	return f, id
}

// enact opens the socket of a recording, with another session.
func (f fixture) enact(s transcript, id string) *client {
	f.Helper()
	_, query, _ := strings.Cut(s.URL, "?")
	return f.dial(strings.ReplaceAll(query, "codesess_7f3a9c21b4e0", id))
}

func withID(frame map[string]any, id string) map[string]any {
	text, err := json.Marshal(frame)
	if err != nil {
		panic(err)
	}
	var other map[string]any
	if err := json.Unmarshal([]byte(strings.ReplaceAll(string(text), "codesess_7f3a9c21b4e0", id)), &other); err != nil {
		panic(err)
	}
	return other
}

func (c *client) sendJSON(frame any) {
	c.Helper()
	text, err := json.Marshal(frame)
	require.NoError(c, err)
	c.send(string(text))
}

func TestRecordedObserver(t *testing.T) {
	s := recorded(t, "ws-observer.json")
	f, id := staged(t)
	c := f.enact(s, id)
	for i, step := range s.Frames {
		frame := withID(step.Frame, id)
		switch {
		case step.From == "client":
			c.sendJSON(frame)
		case frame["type"] == "broadcast":
			c.send(`{"type":"ping"}`) // the filters are in place when it comes back
			c.expect("pong")
			f.Session(id).Emit(codertest.Event{Event: "task_start", Payload: frame["data"]})
			sameMembers(t, fmt.Sprint(i), frame, c.next())
		case frame["type"] == "presence":
			frame["participant"].(map[string]any)["transport"] = "ws"
			frame["participant"].(map[string]any)["subscriptions"] = []any{"task_*", "agent"}
			sameMembers(t, fmt.Sprint(i), frame, c.next())
		case frame["type"] == "session_hydration":
			delete(frame, "streamingState") // of the Hub's own agent only
			sameMembers(t, fmt.Sprint(i), frame, c.next())
		default:
			sameMembers(t, fmt.Sprint(i), frame, c.next())
		}
	}
}

func TestRecordedController(t *testing.T) {
	s := recorded(t, "ws-controller.json")
	f, id := staged(t)
	c := f.enact(s, id)
	for i, step := range s.Frames {
		frame := withID(step.Frame, id)
		where := fmt.Sprint(i, " ", frame["type"], " ", frame["event"])
		if step.From == "client" {
			c.sendJSON(frame)
			continue
		}
		switch {
		case frame["type"] == "session_stream_ready", frame["type"] == "rpc_command_error":
			continue // not of this Hub
		case frame["event"] == "presence_update":
			f.Session(id).UpdatePresence()
			assert.Equal(t, []any{"lead", "controller"}, all(t, c.expect("presence presence_update")["participants"], "role"))
			continue
		case frame["event"] == "rpc_ui_request":
			continue // see TestAgentAsks
		case frame["type"] == "session_hydration":
			delete(frame, "streamingState")
		case frame["event"] == "rpc_event":
			// The recorded agent says no name, and answers each command first.
			delete(at(t, frame, "data", "event").(map[string]any), "agentName")
			sameMembers(t, where, frame, c.find("rpc agent_start"))
			continue
		case frame["event"] == "rpc_response":
			// What it says depends on what was said before.
			want := at(t, frame, "data", "response").(map[string]any)
			response := map[string]any{}
			for response["id"] != want["id"] {
				response = at(t, c.find("broadcast rpc_response"), "data", "response").(map[string]any)
			}
			for _, member := range []string{"type", "id", "command", "success"} {
				assert.Equal(t, want[member], response[member], where)
			}
			if want["command"] == "get_messages" { // the recorded agent puts the list into an object
				response["data"] = at(t, response["data"], "messages")
			}
			assert.Equal(t, reflect.TypeOf(want["data"]), reflect.TypeOf(response["data"]), where)
			continue
		case frame["type"] == "pong":
			sameMembers(t, where, frame, c.find("pong"))
			continue
		}
		sameMembers(t, where, frame, c.next())
	}
	f.Session(id).EndStreams(coder.CloseCode(s.Close.Code), s.Close.Reason)
	c.closed(s.Close.Code, s.Close.Reason)
}

// find reads to the frame with this name.
func (c *client) find(want string) map[string]any {
	c.Helper()
	for {
		if frame := c.next(); nameOf(frame) == want {
			return frame
		}
	}
}

func TestRecordedLead(t *testing.T) {
	s := recorded(t, "ws-lead.json")
	f := start(t, codertest.WithAPIKey("KEY"))
	init := map[string]any{}
	for member, value := range s.Frames[1].Frame {
		if !contains([]string{"type", "role", "sessionId"}, member) {
			init[member] = value
		}
	}
	f.SetInit(init)
	answers := map[string][]codertest.Action{}
	for _, step := range s.Frames {
		if actions, ok := step.Frame["actions"].([]any); ok {
			for _, action := range actions {
				id := step.Frame["id"].(string)
				answers[id] = append(answers[id], action.(map[string]any))
			}
		}
	}
	f.OnRequest(func(r codertest.LeadRequest) ([]codertest.Action, bool) { return answers[r.ID], true })

	const id = "codesess_000000000001"
	lead := f.enact(s, id)
	for i, step := range s.Frames {
		frame := step.Frame
		switch {
		case step.From == "client":
			lead.sendJSON(frame)
		case frame["type"] == "init":
			frame["sessionId"] = id
			sameMembers(t, "init", frame, lead.next())
		case frame["type"] == "rpc_command":
			c := f.dial("api_key=KEY&role=controller&sessionId=" + id)
			c.expect("init")
			c.sendJSON(frame)
			assert.Equal(t, frame, lead.next())
		case frame["type"] == "session_resume":
			text, err := json.Marshal(frame)
			require.NoError(t, err)
			f.Session(id).SendRaw(string(text))
			assert.Equal(t, frame, lead.next())
		default:
			assert.Equal(t, frame, lead.next(), i)
		}
	}
	lead.send(`{"type":"ping"}`)
	lead.expect("pong")
	assert.Equal(t, "{\"type\":\"session\"}\n{\"type\":\"message\"}\n", f.Session(id).Files()["/workspace/session.jsonl"])
	f.Session(id).EndStreams(coder.CloseCode(s.Close.Code), s.Close.Reason)
	lead.closed(s.Close.Code, s.Close.Reason)
}

func TestRecordedRejections(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("testdata", "stream", "ws-rejections.json"))
	require.NoError(t, err)
	var rejections []struct{ Frame map[string]any }
	require.NoError(t, json.Unmarshal(data, &rejections))
	f, id := staged(t)
	f.Session(id).Archive()
	c := f.dial("api_key=KEY&sessionId=" + id)
	expired := rejections[0].Frame
	expired["sessionId"], expired["expiredAt"] = id, 1.0
	got := c.next()
	got["expiredAt"] = 1.0
	sameMembers(t, "expired", expired, got)
	c = f.dial("api_key=KEY&role=boss&sessionId=" + id)
	sameMembers(t, "role", rejections[1].Frame, c.next())
}
