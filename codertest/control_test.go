package codertest_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

func TestScript(t *testing.T) {
	f := start(t)
	id := f.create(`{"task":"x"}`)
	control := f.Session(id)
	assert.Equal(t, id, control.ID())
	control.Script(
		nil,
		nil,
		(*codertest.SessionControl).Pause,
		func(s *codertest.SessionControl) { s.SetStatus("failed"); s.Set("error", "out of memory") },
	)
	control.Script(func(s *codertest.SessionControl) { s.SetStatus("creating"); s.Set("error", nil) })
	var seen []string
	for range 8 {
		got := f.get("/hub/session/" + id)
		seen = append(seen, text(got, "status", "error"))
	}
	assert.Equal(t, []string{
		"creating <nil>", "creating <nil>", "paused <nil>", "failed out of memory",
		"creating <nil>", "creating <nil>", "provisioning <nil>", "active <nil>",
	}, seen)
}

func TestScriptedStepMayUseTheHub(t *testing.T) {
	f := start(t)
	id := f.create(`{"task":"x"}`)
	f.Session(id).Script(func(s *codertest.SessionControl) { f.call(200, "DELETE", "/hub/session/"+s.ID(), "") })
	f.call(404, "GET", "/hub/session/"+id, "")
}

func TestSet(t *testing.T) {
	f := start(t)
	id := f.create(`{"task":"x"}`)
	f.Session(id).Set("usage", map[string]any{"inputTokens": 5})
	f.Session(id).Set("liveExpected", "a wrong type")
	got := f.get("/hub/session/" + id)
	assert.Equal(t, map[string]any{"inputTokens": 5.0}, got["usage"])
	assert.Equal(t, "a wrong type", got["liveExpected"])
	assert.Equal(t, "x", got["task"])
	f.Session(id).Set("liveExpected", nil)
	assert.Equal(t, true, f.get("/hub/session/" + id)["liveExpected"])
}

func TestValuesAreTakenAsTheyAre(t *testing.T) {
	f := start(t)
	id := f.create(newSession)
	value := map[string]any{"n": 1}
	f.Session(id).Set("usage", value)
	f.Session(id).Emit(codertest.Event{Event: "turn_end", Payload: value})
	f.Session(id).AddReplayEntries(codertest.ReplayEntry{Type: "turn", Members: map[string]any{"v": value}})
	f.Session(id).AddParticipant(codertest.Participant{Metadata: value})
	value["n"] = 2
	want := map[string]any{"n": 1.0}
	assert.Equal(t, want, f.get("/hub/session/" + id)["usage"])
	assert.Equal(t, want, at(t, f.get("/hub/session/"+id+"/events/history"), "events", 1, "payload"))
	assert.Equal(t, want, at(t, f.get("/hub/session/"+id+"/replay"), "entries", 1, "v"))
	assert.Equal(t, want, at(t, f.get("/hub/session/"+id+"/participants"), "participants", 0, "metadata"))

	assert.Panics(t, func() { f.Session(id).Set("usage", make(chan int)) })
	assert.Panics(t, func() { f.Session(id).Emit(codertest.Event{Payload: func() {}}) })
	assert.Equal(t, want, f.get("/hub/session/" + id)["usage"])
}

func TestControlOfNoSession(t *testing.T) {
	f := start(t)
	assert.PanicsWithValue(t, `codertest: the Hub has no session "nope"`, func() { f.Session("nope") })
	id := f.create(`{"task":"x"}`)
	control := f.Session(id)
	f.call(200, "DELETE", "/hub/session/"+id, "")
	control.Pause()
	f.call(404, "GET", "/hub/session/"+id, "")
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
	require.Eventually(t, func() bool { return f.Session(id).Streams() == 0 }, 10*time.Second, time.Millisecond) // it has left
	c = f.control(id)
	f.Session(id).DisconnectParticipant("p_000003")
	c.closed(1001, "Disconnected")
	for _, code := range []coder.CloseCode{0, 999, 1005, 1006, 1015, 2999, 5000} {
		assert.Panics(t, func() { f.Session(id).EndStreams(code, "") }, code)
	}
}

func TestCutStreams(t *testing.T) {
	f := start(t)
	id := f.create(newSession)
	o := f.observe(id, "")
	defer o.close()
	o.expect(opening...)
	f.Session(id).CutStreams()
	o.broken()
	require.Eventually(t, func() bool { return f.Session(id).Streams() == 0 }, 10*time.Second, time.Millisecond)
	f.observe(id, "").close()
}

func TestSendRaw(t *testing.T) {
	f := start(t)
	id := f.create(newSession)
	o := f.observe(id, "")
	defer o.close()
	o.expect(opening...)
	f.Session(id).SendRaw("event: broadcast\r\ndata: {\n\n")
	block, err := o.block()
	require.NoError(t, err)
	assert.Equal(t, "event: broadcast\r\ndata: {\n", block)
}
