package codertest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/agentuity/coder-go/codertest"
)

// Whatever ends a turn, controllers are told of its end in the agent's own
// protocol, before anything else.
func TestTurnsAlwaysEnd(t *testing.T) {
	for name, test := range map[string]struct {
		end  func(f fixture, id string)
		then []string
	}{
		"paused":   {func(f fixture, id string) { f.Session(id).Pause() }, []string{"broadcast agent_end", "presence session_leave", "broadcast session_leave"}},
		"failed":   {func(f fixture, id string) { f.Session(id).SetStatus("failed") }, []string{"broadcast agent_end", "presence session_leave", "broadcast session_leave"}},
		"shutdown": {func(f fixture, id string) { f.Session(id).Shutdown() }, []string{"broadcast agent_end", "broadcast session_shutdown"}},
		"archived": {func(f fixture, id string) { f.Session(id).Archive() }, []string{"broadcast agent_end", "broadcast session_shutdown"}},
		"deleted": {func(f fixture, id string) { f.call(200, "DELETE", "/hub/session/"+id, "") },
			[]string{"broadcast session_shutdown"}},
		"the agent leaves": {func(f fixture, id string) { f.Session(id).DisconnectParticipant("p_000001") },
			[]string{"presence session_leave", "broadcast session_leave"}},
		"a lead comes": {func(f fixture, id string) { f.dial("role=lead&sessionId=" + id) },
			[]string{"presence session_leave", "broadcast session_leave", "presence session_join", "broadcast session_join"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := start(t, codertest.WithAgentPace(time.Second))
				defer f.Close()
				id := f.active()
				c := f.control(id)
				c.command("prompt", "Say hello")
				c.command("follow_up", "And again")
				c.expect("rpc agent_start", "rpc turn_start", "rpc message_start", "rpc message_update")
				test.end(f, id)
				end := c.expect("rpc message_end")
				assert.Equal(t, "aborted", at(t, end, "data", "event", "message", "stopReason"))
				c.expect("rpc turn_end", "rpc agent_end")
				c.expect(test.then...)
				if over := test.then[len(test.then)-1] == "broadcast session_shutdown"; over {
					c.closed(4404, "Session "+name)
					return
				}
				time.Sleep(time.Hour)
				c.ping()
			})
		})
	}
}

// The parts of a turn that have not begun have no end either.
func TestEndsOfWhatHasNotBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, codertest.WithAgentPace(time.Second))
		defer f.Close()
		id := f.active()
		c := f.control(id)
		c.command("prompt", "select one")
		c.expect("rpc agent_start")
		c.command("abort", "")
		c.expect("rpc agent_end")
		c.command("prompt", "select one")
		c.until("broadcast rpc_ui_request")
		f.Session(id).Pause()
		c.expect("rpc turn_end", "rpc agent_end", "broadcast agent_end", "presence session_leave", "broadcast session_leave")
		f.Session(id).SetStatus("active")
		c.expect("presence session_join", "broadcast session_join", "broadcast agent_start")
		c.send(`{"type":"rpc_ui_response","id":"ui_000001","result":"red"}`)
		time.Sleep(time.Hour)
		c.ping() // nobody asks any more

		c.command("prompt", "first")
		c.expect("rpc agent_start")
		c.command("steer", "second")
		assert.Equal(t, rpcNames(turn[1:11]), c.until("rpc turn_end"), "before its turn there is nothing to steer")
		assert.Equal(t, rpcNames(turn[1:]), c.until("rpc agent_end"))
		c.command("prompt", "never said") // while the agent rests after its last step
		synctest.Wait()
		f.Session(id).Pause()
		c.expect("broadcast agent_end", "presence session_leave", "broadcast session_leave")
		time.Sleep(time.Hour)
		c.ping()
	})
}

// The Hub's agent gives way to a lead, and says no more.
func TestAgentGivesWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, codertest.WithAgentPace(time.Second))
		defer f.Close()
		id := f.active()
		c := f.control(id)
		c.command("prompt", "Say hello")
		c.expect("rpc agent_start", "rpc turn_start")
		lead := f.dial("role=lead&sessionId=" + id)
		lead.expect("init", "session_hydration")
		c.expect("rpc turn_end", "rpc agent_end",
			"presence session_leave", "broadcast session_leave", "presence session_join", "broadcast session_join")
		time.Sleep(time.Hour)
		c.ping()
	})
}
