package codertest_test

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

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
	f.Answer() // the task is not the subject
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
		"session_leave", "session_shutdown", "session_join", "session_leave",
		"agent_end", "turn_end", "message_end", "message_start", "message_end", "message_start", "turn_start", "agent_start",
		"session_join", "session_start",
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

func TestControllersWatchASessionSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t)
		defer f.Close()
		id := f.active()
		c := f.control(id)
		f.Session(id).Pause()
		c.expect("presence session_leave", "broadcast session_leave")
		c.send(`{"type":"rpc_command","command":{"type":"prompt","message":"x"}}`)
		c.expect("rpc_command_error")
		f.call(200, "POST", "/hub/session/"+id+"/resume", "")
		c.send(`{"type":"rpc_command","command":{"type":"get_state","id":"c1"}}`)
		c.expect("presence session_join", "broadcast session_join", "broadcast rpc_response")
		assert.Equal(t, "active", f.get("/hub/session/" + id)["status"])
	})
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
		c.expect("presence session_leave", "broadcast session_leave")
		end(f, id)
		assert.Equal(t, "session_shutdown map[reason:"+want+"]", text(c.next(), "event", "data"))
		c.closed(4404, "Session "+want)
	}
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
