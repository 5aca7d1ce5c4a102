package codertest_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/codertest"
)

// nested is an object that holds another, and so on.
func nested(depth int) string {
	return strings.Repeat(`{"a":`, depth-1) + "{}" + strings.Repeat("}", depth-1)
}

// goesOn checks that the Hub is not blocked.
func (f fixture) goesOn(id string) {
	f.Helper()
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		f.Session(id).Emit(eventNamed("turn_end"))
		for _, path := range []string{"/hub/sessions", "/hub/session/" + id, "/hub/session/" + id + "/replay", "/hub/session/" + id + "/events/history"} {
			r, err := f.try("GET", path, "")
			if assert.NoError(f, err, path) {
				assert.Equal(f, 200, r.status, path)
			}
		}
	}()
	select {
	case <-answered:
	case <-time.After(10 * time.Second):
		f.Fatal("the Hub does not answer any more")
	}
}

// What can be read, but not written any more once it is part of something
// longer, is refused. It must not come to a panic under the lock of the Hub.
func TestFramesThatAreNestedTooDeeply(t *testing.T) {
	f := start(t)
	lead := f.dial("role=lead")
	id := lead.expect("init")["sessionId"].(string)
	c := f.control(id)
	lead.send(`{"type":"event","id":"1","event":"turn_end","data":` + nested(9_999) + `}`)
	assert.Equal(t, "protocol_error invalid_message The message is nested too deeply", text(lead.next(), "type", "code", "message"))
	lead.send(`{"type":"session_entry","path":"a","line":"` + strings.ReplaceAll(`{"type":"message","content":"x","b":`+nested(9_999)+`}`, `"`, `\"`) + `"}`)
	lead.send(`{"type":"ping"}`)
	lead.expect("pong")
	f.goesOn(id)
	c.expect("broadcast turn_end")
	assert.NotContains(t, f.Session(id).Files(), "b")

	// The deepest that is taken can be passed on everywhere, what is next to
	// each other or in texts, behind escaped quotes too, not counted.
	lead.send(`{"type":"event","id":"2","event":"turn_end","data":` + nested(9_899) + `,"name":"[\"[` + strings.Repeat("[", 20_000) + `","args":[` + strings.Repeat("{},[],", 20_000) + `0]}`)
	assert.Equal(t, "2", lead.next()["id"])
	c.expect("rpc turn_end")
	lead.send(`{"type":"session_entry","path":"b","line":"` + strings.ReplaceAll(`{"type":"message","content":"x","b":`+nested(9_899)+`}`, `"`, `\"`) + `"}`)
	lead.send(`{"type":"rpc_event","event":` + strings.Replace(nested(9_899), "{", `{"type":"turn_start",`, 1) + `}`)
	c.expect("rpc turn_start")
	f.goesOn(id)
	assert.Equal(t, []any{"x"}, all(t, f.get("/hub/session/" + id + "/replay")["entries"], "content"))
	f.control(id)
}

func TestRequestsThatAreNestedTooDeeply(t *testing.T) {
	f := start(t)
	id := f.create(newSession)
	body := f.call(400, "POST", "/hub/session", `{"task":"x","repo":`+nested(9_999)+`}`)
	assert.Equal(t, "The request body is nested too deeply", body["message"])
	f.create(`{"task":"x","repo":` + nested(9_899) + `}`)
	f.goesOn(id)
}

// TestNumbersAreNumbers: a json.Number of a test is one on every version of Go, and numbers keep their digits.
func TestNumbersAreNumbers(t *testing.T) {
	f := start(t)
	id := f.create(`{"task":"x","metadata":{"n":9007199254740993}}`)
	value := map[string]any{"n": json.Number("9007199254740993")}
	f.Session(id).Set("usage", value)
	f.Session(id).Emit(codertest.Event{Event: "turn_end", Payload: value})
	f.Session(id).AddReplayEntries(codertest.ReplayEntry{Type: "turn", Members: map[string]any{"v": value}})
	f.Session(id).AddParticipant(codertest.Participant{Metadata: value})
	for path, member := range map[string]string{"": "usage", "?": "metadata", "/events/history": "payload", "/replay": "v", "/participants": "metadata"} {
		r, err := f.try("GET", "/hub/session/"+id+path, "")
		require.NoError(t, err)
		assert.Contains(t, string(r.body), `"`+member+`":{"n":9007199254740993}`)
	}
	assert.Panics(t, func() { f.Session(id).Set("usage", json.Number("x")) })
}

func TestPanicsLeaveTheHubAlone(t *testing.T) {
	f := start(t)
	id := f.active()
	c := f.control(id)
	deep := codertest.Event{Event: "turn_end", Payload: jsontext.Value(nested(9_999))}
	odd := codertest.Event{Event: "task_start", Payload: func() {}}
	for _, wrong := range []func(){
		func() { f.Session(id).Emit(deep) },
		func() { f.Session(id).Broadcast(deep) },
		func() { f.Session(id).Set("usage", deep.Payload) },
		func() {
			f.Session(id).AddReplayEntries(codertest.ReplayEntry{Type: "turn", Members: map[string]any{"v": deep.Payload}})
		},
		func() {
			f.Session(id).AddParticipant(codertest.Participant{Metadata: map[string]any{"v": deep.Payload}})
		},
		func() { f.SetInit(map[string]any{"config": deep.Payload}) },
		func() { f.Session(id).Broadcast(odd) },
		func() { f.Session(id).Emit(odd) },
		func() { f.Session(id).EndStreams(0, "") },
		func() { f.RefuseStreams(codertest.Refusal{CloseCode: 1}) },
	} {
		assert.Panics(t, wrong)
		f.goesOn(id)
		c.expect("broadcast turn_end")
	}
	assert.InDelta(t, 0, f.get("/hub/session/" + id)["taskCount"], 0, "what could not be told did not happen")

	// This panic is one of the Hub's own goroutine.
	f.OnRequest(func(codertest.LeadRequest) ([]codertest.Action, bool) {
		return []codertest.Action{{"action": func() {}}}, true
	})
	c.send(`{"id":"1","type":"tool","name":"x"}`)
	c.lost()
	f.goesOn(id)
	require.Eventually(t, func() bool { return f.Streams() == 0 }, 10*time.Second, time.Millisecond)
}
