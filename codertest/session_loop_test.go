package codertest_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

func TestLoopProgress(t *testing.T) {
	for _, test := range []struct {
		config string
		want   []string
	}{
		{`{}`, []string{"starting 0", "running 1", "running 2", "running 3", "completed 3", "completed 3"}},
		{`{"maxIterations":1}`, []string{"starting 0", "running 1", "completed 1", "completed 1"}},
		{`{"maxIterations":4}`, []string{"starting 0", "running 1", "running 2", "running 3", "running 4", "completed 4"}},
	} {
		f := start(t)
		id := f.create(`{"task":"x","workflowMode":"loop","loop":` + test.config + `}`)
		for i, want := range test.want {
			item := at(t, f.get("/hub/sessions"), "sessions", "websocket", 0)
			assert.Equal(t, want, text(item, "loopStatus", "loopIteration"), "the list agrees")
			loop := at(t, f.get("/hub/session/"+id+"/loop"), "loop")
			assert.Equal(t, want, text(loop, "status", "iteration"), "step %d of %s", i, test.config)
			_, completed := loop.(map[string]any)["completedAt"]
			assert.Equal(t, at(t, loop, "status") == "completed", completed)
		}
	}
}

func TestLoopFollowsTheSession(t *testing.T) {
	f := start(t)
	id := f.create(`{"task":"x","workflowMode":"loop","loop":{"goal":"g","autoContinue":false}}`)
	loop := func() map[string]any { return at(t, f.get("/hub/session/"+id+"/loop"), "loop").(map[string]any) }
	assert.Equal(t, false, loop()["autoContinue"])
	assert.NotContains(t, loop(), "allowDetached")
	f.Session(id).SetStatus("active")
	f.Session(id).Pause()
	assert.Equal(t, "paused", loop()["status"])
	assert.Equal(t, "paused", loop()["status"], "a paused loop makes no step")
	f.Session(id).SetStatus("active")
	assert.Equal(t, "running", loop()["status"])
	f.call(200, "POST", "/hub/session/"+id+"/archive", "")
	assert.Equal(t, "cancelled", loop()["status"])
}

func TestStandardSessionHasNoLoop(t *testing.T) {
	f := start(t)
	id := f.create(`{"task":"x"}`)
	answer := f.get("/hub/session/" + id + "/loop")
	assert.Equal(t, map[string]any{"sessionId": id, "workflowMode": "standard", "loop": nil}, answer)
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
