package codertest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/agentuity/coder-go/codertest"
)

// ask sends a command and returns the data of the answer.
func (c *client) ask(kind string) map[string]any {
	c.Helper()
	c.send(`{"type":"rpc_command","command":{"type":"` + kind + `","id":"` + kind + `"}}`)
	for {
		frame := c.next()
		if nameOf(frame) != "broadcast rpc_response" {
			continue
		}
		response := at(c, frame, "data", "response").(map[string]any)
		if response["id"] == kind {
			data, _ := response["data"].(map[string]any)
			return data
		}
	}
}

// The newer agent streams until it is idle, the older one not while it waits for a
// retry or compacts.
func TestAgentSaysWhatItIsAt(t *testing.T) {
	for version, patient := range map[string]bool{"0.74.2": false, "1.6.0": true} {
		t.Run(version, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := start(t, codertest.WithAgentPace(time.Second), codertest.WithAgentVersion(version))
				defer f.Close()
				id := f.idle()
				c := f.control(id)
				says := func(want string) {
					t.Helper()
					assert.Equal(t, want, text(c.ask("get_state"),
						"isStreaming", "isCompacting", "isWaitingForInput", "pendingMessageCount"))
				}
				says("false false false 0")
				state := c.ask("get_state")
				assert.Equal(t, "codertest-1 codertest", text(state["model"], "id", "provider"))
				assert.Equal(t, "medium one-at-a-time one-at-a-time "+id+" Greeting",
					text(state, "thinkingLevel", "steeringMode", "followUpMode", "sessionId", "sessionName"))

				f.Session(id).FailModel(codertest.AgentOverloaded, codertest.AgentContextOverflow)
				c.prompt("confirm it")
				c.expect(rpcNames(begins)...)
				says("true false false 0")
				c.until("rpc agent_end")
				time.Sleep(time.Second)
				says(map[bool]string{true: "true", false: "false"}[patient] + " false false 0")
				c.until("rpc compaction_start")
				says(map[bool]string{true: "true", false: "false"}[patient] + " true false 0")
				detail := f.get("/hub/session/" + id)
				assert.Equal(t, "running", at(t, detail, "agentActivity", "lead", "status"))
				c.until("broadcast rpc_ui_request")
				c.command("follow_up", "later")
				says("true false true 1")
				detail = f.get("/hub/session/" + id)
				assert.Equal(t, "tool_start ask_user", text(at(t, detail, "agentActivity", "lead"), "status", "currentTool"))
				late := f.dial("role=observer&sessionId=" + id)
				late.expect("init")
				assert.Equal(t, true, at(t, late.expect("session_hydration"), "streamingState", "isStreaming"))
				c.command("abort", "")
				says("false false false 1")
				c.command("clear_queue", "")
				says("false false false 0")
				messages := c.ask("get_messages")["messages"].([]any)
				assert.InDelta(t, len(messages), c.ask("get_state")["messageCount"], 0)
				assert.Equal(t, "compactionSummary", at(t, messages, 0, "role"), "what was before it is summarized")
				time.Sleep(time.Hour)
				late = f.dial("role=observer&sessionId=" + id)
				late.expect("init")
				assert.Equal(t, false, at(t, late.expect("session_hydration"), "streamingState", "isStreaming"))
			})
		})
	}
}

// The extension answers no command, and knows few.
func TestExtensionIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, codertest.WithAgentDialect(codertest.DialectExtension))
		defer f.Close()
		id := f.active()
		c := f.control(id)
		for _, kind := range []string{"get_state", "get_messages", "compact", "dance"} {
			c.command(kind, "")
		}
		c.ping()
		c.command("prompt", "confirm it") // at the terminal
		names := c.until("rpc agent_end")
		assert.Equal(t, []string{"rpc input", "rpc before_agent_start", "rpc agent_start", "rpc context", "rpc turn_start"}, names[:5])
		assert.NotContains(t, names, "broadcast rpc_ui_request")
		assert.NotContains(t, names, "broadcast rpc_response")
	})
}

func TestCompact(t *testing.T) {
	f := start(t)
	id := f.active()
	c := f.control(id)
	c.command("compact", "")
	c.expect("rpc compaction_start", "rpc compaction_end")
	response := at(t, c.expect("broadcast rpc_response"), "data", "response")
	assert.Equal(t, "true Summary of 2 messages.", text(map[string]any{
		"success": at(t, response, "success"), "summary": at(t, response, "data", "summary"),
	}, "success", "summary"))
	f.Session(id).FailModel(codertest.AgentInvalidRequest)
	c.command("compact", "")
	c.expect("rpc compaction_start")
	assert.Equal(t, "Compaction failed: Summarization failed: 400 Invalid request: the model does not exist",
		at(t, c.expect("rpc compaction_end"), "data", "event", "errorMessage"))
	response = at(t, c.expect("broadcast rpc_response"), "data", "response")
	assert.Equal(t, "false Summarization failed: 400 Invalid request: the model does not exist", text(response, "success", "error"))
}

// What is queued while the agent compacts by itself, it begins with afterwards.
func TestCompactionAndTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, codertest.WithAgentPace(time.Second), codertest.WithAgentVersion("1.6.0"))
		defer f.Close()
		id := f.idle()
		c := f.control(id)
		f.Session(id).Answer(codertest.AgentTurn{Text: "Nearly full.", ContextFull: true})
		c.prompt("Go")
		c.until("rpc compaction_start")
		c.command("prompt", "Refused")
		assert.Equal(t, false, at(t, c.expect("broadcast rpc_response"), "data", "response", "success"))
		c.command("follow_up", "And then")
		c.until("rpc compaction_end")
		assert.Equal(t, []string{"rpc agent_start", "rpc turn_start", "rpc queue_update", "rpc message_start"}, c.until("rpc message_start"))
		c.until("rpc agent_settled")

		c.command("compact", "")
		c.expect("rpc compaction_start")
		c.command("abort", "")
		assert.Equal(t, "manual true", text(at(t, c.expect("rpc compaction_end"), "data", "event"), "reason", "aborted"))
		assert.Equal(t, "Compaction cancelled", at(t, c.expect("broadcast rpc_response"), "data", "response", "error"))
		assert.Equal(t, true, at(t, c.expect("rpc agent_settled"), "data", "event", "aborted"))
		c.accepted()
		time.Sleep(time.Hour)
		c.ping()
	})
}

// What has failed and is tried again is no part of the conversation, and the next
// failure is a first one.
func TestRetriesAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, codertest.WithAgentPace(time.Second))
		defer f.Close()
		id := f.idle()
		c := f.control(id)
		f.Session(id).FailModel(codertest.AgentOverloaded, codertest.AgentNoError, codertest.AgentServerError)
		c.prompt("Say hello")
		for range 2 {
			c.until("rpc agent_end")
			retry := at(t, c.expect("rpc auto_retry_start"), "data", "event")
			assert.Equal(t, "1 3 2000", text(retry, "attempt", "maxAttempts", "delayMs"))
			end := at(t, c.find("rpc auto_retry_end"), "data", "event")
			assert.Equal(t, "true 1", text(end, "success", "attempt"))
		}
		c.until("rpc agent_end")
		assert.Equal(t, []any{"user", "assistant", "user", "assistant", "toolResult", "assistant"},
			all(t, c.ask("get_messages")["messages"], "role"))
	})
}

// A terminal's agent that is idle takes what would steer it for a prompt.
func TestSteeringAnIdleTerminal(t *testing.T) {
	f := start(t, codertest.WithAgentDialect(codertest.DialectExtension))
	id := f.active()
	c := f.control(id)
	c.command("steer", "Go left")
	c.until("rpc agent_end")
	assert.Contains(t, f.said(id), "message Working on it: Go left")
}
