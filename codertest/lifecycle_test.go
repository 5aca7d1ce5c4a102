package codertest_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

var observer = codertest.Participant{Role: "observer", Transport: "sse"}

func eventNamed(name string) codertest.Event { return codertest.Event{Event: name} }

func TestStateTable(t *testing.T) {
	for _, row := range []struct {
		status, mode, bucket                      string
		runtime, control, wake, historyOnly, live bool
		archive, resume                           int
		resumed                                   string
		code                                      string
		listed                                    bool
	}{
		{status: "creating", bucket: "provisioning", live: true, resume: 409, code: "CODER_SESSION_CONFLICT", listed: true},
		{status: "provisioning", bucket: "provisioning", live: true, resume: 409, code: "CODER_SESSION_CONFLICT", listed: true},
		{status: "active", bucket: "running", runtime: true, control: true, live: true, resume: 200, resumed: "active", listed: true},
		{status: "active", mode: "tui", bucket: "running", runtime: true, live: true, resume: 200, resumed: "active", listed: true},
		{status: "paused", bucket: "paused", wake: true, resume: 200, resumed: "resuming", listed: true},
		{status: "resuming", bucket: "paused", wake: true, live: true, resume: 200, resumed: "resuming", listed: true},
		{status: "archived", bucket: "history", historyOnly: true, resume: 410, code: "CODER_SESSION_ARCHIVED"},
		{status: "shutdown", bucket: "history", historyOnly: true, resume: 410, code: "CODER_SESSION_ARCHIVED", listed: true},
		{status: "failed", bucket: "history", resume: 409, code: "CODER_SESSION_CONFLICT", listed: true},
	} {
		t.Run(row.status+row.mode, func(t *testing.T) {
			f := start(t)
			id := f.create(`{"task":"x"}`)
			control := f.Session(id)
			control.SetStatus(row.status)
			if row.mode != "" {
				control.SetMode(coder.SessionMode(row.mode))
			}
			control.Script(nil) // look without making a step
			got := f.get("/hub/session/" + id)
			for member, want := range map[string]any{
				"status": row.status, "bucket": row.bucket, "runtimeAvailable": row.runtime, "controlAvailable": row.control,
				"wakeAvailable": row.wake, "historyOnly": row.historyOnly, "liveExpected": row.live,
			} {
				assert.Equal(t, want, got[member], member)
			}
			list := at(t, f.get("/hub/sessions"), "sessions", "websocket")
			assert.Equal(t, row.listed, len(list.([]any)) == 1, "listed without includeArchived")

			answer := f.call(row.resume, "POST", "/hub/session/"+id+"/resume", "")
			if row.resume == 200 {
				assert.Equal(t, map[string]any{"sessionId": id, "status": row.resumed, "resumed": true}, answer)
			} else {
				assert.Equal(t, row.code, answer["code"])
			}
			for range 2 {
				want := map[string]any{"sessionId": id, "status": "archived"}
				assert.Equal(t, want, f.call(200, "POST", "/hub/session/"+id+"/archive", ""), "archiving twice changes nothing")
			}
			assert.Equal(t, "archived", f.get("/hub/session/" + id)["status"])
		})
	}
}

func TestLifeCycleIsObserved(t *testing.T) {
	f := start(t)
	id := f.create(`{"task":"x"}`)
	observe := func() string { return f.get("/hub/session/" + id)["status"].(string) }
	var seen []string
	for range 4 {
		seen = append(seen, observe())
	}
	f.Session(id).Pause()
	seen = append(seen, observe(), observe())
	f.call(200, "POST", "/hub/session/"+id+"/resume", "")
	seen = append(seen, observe(), observe(), observe())
	f.call(200, "POST", "/hub/session/"+id+"/archive", "")
	seen = append(seen, observe(), observe())
	assert.Equal(t, []string{
		"creating", "provisioning", "active", "active",
		"paused", "paused",
		"resuming", "active", "active",
		"archived", "archived",
	}, seen)
	history := f.get("/hub/session/" + id + "/events/history")
	assert.Equal(t, []any{
		"session_leave", "session_shutdown", "agent_end", "agent_start", "session_join",
		"session_leave", "agent_end", "agent_start", "session_join", "session_start",
	}, all(t, history["events"], "event"))
}

func TestOtherRoutesDoNotObserve(t *testing.T) {
	f := start(t)
	id := f.create(`{"task":"x"}`)
	for _, rest := range []string{"/replay", "/participants", "/events/history", "/loop"} {
		f.get("/hub/session/" + id + rest)
	}
	f.call(200, "PATCH", "/hub/session/"+id, `{}`)
	assert.Equal(t, "creating", f.get("/hub/session/" + id)["status"])
}

func TestLeadConnectsWithTheRuntime(t *testing.T) {
	f := start(t)
	id := f.create(`{"task":"x","defaultAgent":"scout"}`)
	participants := func(query string) []any {
		return all(t, f.get("/hub/session/" + id + "/participants" + query)["participants"], "role")
	}
	assert.Empty(t, participants(""))
	f.Session(id).SetStatus("active")
	assert.Equal(t, []any{"lead"}, participants(""))
	f.Session(id).AddParticipant(observer)
	f.Session(id).AddParticipant(codertest.Participant{Role: "sub_agent"})
	got := f.get("/hub/session/" + id)
	assert.InDelta(t, 3, got["participantCount"], 0)
	assert.InDelta(t, 1, got["observerCount"], 0)
	assert.InDelta(t, 1, got["subAgentCount"], 0)
	f.Session(id).Pause()
	assert.Equal(t, []any{"observer"}, participants(""), "observers may watch a session sleep")
	f.Session(id).Shutdown()
	assert.Empty(t, participants(""))
	assert.Equal(t, []any{"lead", "observer", "sub_agent"}, participants("?includeDisconnected=true"))
}

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
