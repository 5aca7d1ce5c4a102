package codertest_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// text joins members of an object.
func text(object any, members ...string) string {
	joined := ""
	for i, member := range members {
		if i > 0 {
			joined += " "
		}
		joined += fmt.Sprint(object.(map[string]any)[member])
	}
	return joined
}

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

func TestSetLoop(t *testing.T) {
	f := start(t)
	id := f.create(`{"task":"x"}`)
	f.Session(id).SetLoop(codertest.Loop{Status: "awaiting_input", Iteration: 2, MaxIterations: 9, Goal: "g", Summary: "s", NextAction: "n"})
	for range 2 {
		answer := f.get("/hub/session/" + id + "/loop")
		assert.Equal(t, "loop", answer["workflowMode"])
		assert.Equal(t, "awaiting_input 2 9 g s n",
			text(answer["loop"], "status", "iteration", "maxIterations", "goal", "summary", "nextAction"))
	}
	for status, event := range map[coder.LoopStatus]string{
		coder.LoopRunning: "loop_state_updated", coder.LoopBlocked: "loop_blocked", coder.LoopCompleted: "loop_completed", coder.LoopCancelled: "loop_cancelled", coder.LoopFailed: "loop_state_updated",
	} {
		f.Session(id).SetLoop(codertest.Loop{Status: status, Iteration: 1})
		for range 2 {
			loop := at(t, f.get("/hub/session/"+id+"/loop"), "loop")
			assert.Equal(t, string(status)+" 1 <nil>", text(loop, "status", "iteration", "maxIterations"), "a loop that was set makes no step")
		}
		assert.Equal(t, event, at(t, f.get("/hub/session/"+id+"/events/history?limit=1"), "events", 0, "event"))
	}
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
