package codertest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/codertest"
	"github.com/agentuity/coder-go/internal/agentrun"
)

// begins, works and concludes are what the agent reports of a prompt that it
// answers by itself: that it works on it, with a tool, and that it is done.
var (
	begins = []string{"agent_start", "turn_start", "message_start", "message_end"}
	works  = []string{
		"message_start", "message_update", "message_end", "tool_execution_start",
		"tool_execution_end", "message_start", "message_end", "turn_end",
	}
	concludes = []string{"turn_start", "message_start", "message_update", "message_end", "turn_end"}
	ends      = []string{"agent_end"}
	run       = slices.Concat(begins, works, concludes, ends)
)

func rpcNames(parts ...[]string) []string {
	var names []string
	for _, word := range slices.Concat(parts...) {
		names = append(names, "rpc "+word)
	}
	return names
}

// accepted reads the answer to a command, which must have succeeded.
func (c *client) accepted() {
	c.Helper()
	response := at(c, c.expect("broadcast rpc_response"), "data", "response")
	require.Equal(c, "response true", text(response, "type", "success"), "%v", response)
}

// prompt sends a prompt to an agent that is idle.
func (c *client) prompt(message string) {
	c.Helper()
	c.command("prompt", message)
	c.accepted()
}

// idle is a session that runs in a bubble, and whose agent has run its task.
func (f fixture) idle() string {
	f.Helper()
	id := f.active()
	time.Sleep(time.Hour)
	return id
}

func TestAgentAnswersAPrompt(t *testing.T) {
	f := start(t)
	id := f.active()
	observer := f.observe(id, "?subscribe=message,turn,tool,agent_*")
	defer observer.close()
	observer.expect("snapshot", "hydration", "presence session_join")
	c := f.control(id)
	observer.expect("presence session_join")
	c.prompt("Fix the flaky test of the parser, and tell me what it was")

	said := ""
	stamps := map[any]bool{}
	var names, collapsed []string
	for len(names) == 0 || names[len(names)-1] != "rpc agent_end" {
		frame := c.next()
		names = append(names, nameOf(frame))
		inner := at(t, frame, "data", "event").(map[string]any)
		assert.False(t, stamps[inner["timestamp"]], "no two events have the same timestamp")
		stamps[inner["timestamp"]] = true
		if inner["type"] == "message_update" {
			update := inner["assistantMessageEvent"].(map[string]any)
			if update["type"] == "text_delta" {
				said += update["delta"].(string)
				assert.Equal(t, said, at(t, inner, "message", "content", 0, "text"))
				assert.Equal(t, inner["message"], update["partial"])
			}
		}
		if inner["type"] == "message_end" && at(t, inner, "message", "role") == "assistant" {
			assert.Equal(t, said, at(t, inner, "message", "content", 0, "text"))
			said = ""
		}
		if len(collapsed) == 0 || collapsed[len(collapsed)-1] != nameOf(frame) {
			collapsed = append(collapsed, nameOf(frame))
		}
	}
	assert.Equal(t, rpcNames(run), collapsed)
	var plain []string
	for range append(names, "user_prompt") {
		plain = append(plain, "rpc "+observer.next()["event"].(string))
	}
	plain = slices.DeleteFunc(plain, func(name string) bool { return name == "rpc user_prompt" })
	assert.Equal(t, names, plain, "observers see the same in their own way")

	replay := f.get("/hub/session/" + id + "/replay")["entries"]
	assert.Equal(t, []any{"user_prompt", "user_prompt", "message", "tool_call", "tool_result", "message"}, all(t, replay, "type"))
	assert.Equal(t, "Working on it: Fix the flaky test of the parser, and tell me what it was", at(t, replay, 2, "content"))
	history := all(t, f.get("/hub/session/" + id + "/events/history")["events"], "event")
	assert.Equal(t, []any{"agent_end", "turn_end", "message_end"}, history[:3])

	c.send(`{"type":"rpc_command","command":{"type":"get_messages","id":"m"}}`)
	response := at(t, c.expect("broadcast rpc_response"), "data", "response")
	assert.Equal(t, "response m get_messages true", text(response, "type", "id", "command", "success"))
	messages := at(t, response, "data", "messages")
	assert.Equal(t, []any{"user", "assistant", "user", "assistant", "toolResult", "assistant"}, all(t, messages, "role"))
	assert.Equal(t, "Done.", at(t, messages, 5, "content", 0, "text"))
}

func TestAgentIsDeterministic(t *testing.T) {
	var seen []any
	for range 2 {
		synctest.Test(t, func(t *testing.T) {
			f := start(t)
			defer f.Close()
			id := f.active()
			c := f.control(id)
			c.command("prompt", "one")
			c.command("prompt", "two")
			var frames []any
			for n := 0; n < 2; {
				frame := c.next()
				frames = append(frames, frame)
				if nameOf(frame) == "rpc agent_end" {
					n++
				}
			}
			seen = append(seen, frames)
		})
	}
	assert.Equal(t, seen[0], seen[1])
}

func TestAgentAsks(t *testing.T) {
	for _, test := range []struct{ prompt, method, answer, want string }{
		{"please confirm", "confirm", `,"result":true`, "Confirmed. Done."},
		{"please Confirm", "confirm", `,"result":false`, "Then not."},
		{"select one", "select", `,"result":"green"`, "You chose green. Done."},
		{"select one", "select", `,"result":null`, "Then not."},
		{"select one", "select", `,"result":7`, "Then not."},
		{"please confirm", "confirm", `,"result":"true"`, "Then not."},
		{"ask for input", "input", `,"result":"Bob"`, "You chose Bob. Done."},
		{"ask for input", "input", ``, "Then not."},
		{"open the editor", "editor", `,"result":"text"`, "You chose text. Done."},
	} {
		f := start(t)
		id := f.active()
		c := f.control(id)
		c.prompt(test.prompt)
		c.until("rpc tool_execution_start")
		question := c.expect("broadcast rpc_ui_request")["data"]
		assert.Equal(t, "ui_000001 "+test.method, text(question, "id", "method"))
		assert.NotEmpty(t, at(t, question, "params", "title"))
		newest := at(t, f.get("/hub/session/"+id+"/events/history"), "events", 0)
		assert.Equal(t, question, at(t, newest, "payload"), "the history has the question too")
		assert.Equal(t, agentrun.Question, f.reading(id).Kind)
		c.send(`{"type":"rpc_command","command":{"type":"get_state","id":"s"}}`)
		state := at(t, c.expect("broadcast rpc_response"), "data", "response", "data")
		assert.Equal(t, "true true Greeting", text(state, "isStreaming", "isWaitingForInput", "sessionName"))

		late := f.dial("role=controller&sessionId=" + id)
		late.expect("init")
		late.send(`{"type":"bootstrap_ready"}`)
		assert.Equal(t, true, at(t, late.expect("session_hydration"), "streamingState", "isStreaming"))
		assert.Equal(t, question, late.expect("broadcast rpc_ui_request")["data"], "who comes later is asked as well")
		late.send(`{"type":"rpc_ui_response","id":"other","result":true}`)
		late.send(`{"type":"rpc_ui_response","id":"ui_000001"` + test.answer + `}`)
		late.send(`{"type":"rpc_ui_response","id":"ui_000001","result":true}`)
		late.until("rpc agent_end")
		entries := f.get("/hub/session/" + id + "/replay")["entries"].([]any)
		assert.Equal(t, test.want, at(t, entries[len(entries)-1], "content"))
	}
}

func TestAgentAtItsPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, codertest.WithAgentPace(time.Second))
		defer f.Close()
		id := f.idle()
		c := f.control(id)
		began := time.Now()
		const long = "one two three four five six seven eight nine ten eleven twelve thirteen"
		c.prompt(long)
		c.expect(rpcNames(begins)...)
		assert.Equal(t, time.Second, time.Since(began), "it takes a moment to begin")
		c.expect("rpc message_start", "rpc message_update", "rpc message_update") // text_start and the first text_delta
		for range 3 {
			c.expect("rpc message_update")
		}
		assert.Equal(t, 5*time.Second, time.Since(began))
		o := f.observe(id, "?subscribe=none")
		snapshot := o.next()
		assert.Equal(t, "Working on it: one two three four five ", at(t, snapshot, "stream", "output"))
		assert.Equal(t, "lead running", text(at(t, snapshot, "agentActivity", "lead"), "name", "status"))
		assert.Equal(t, "Working on it: one two three four five ", at(t, o.next(), "stream", "output"))
		o.close()
		c.expect("presence session_join", "broadcast session_join", "presence session_leave", "broadcast session_leave")

		c.command("steer", "Look left")
		c.expect("rpc queue_update")
		c.accepted()
		c.until("rpc turn_end")
		assert.Equal(t, rpcNames([]string{"turn_start", "queue_update"}, begins[2:], concludes[1:], ends), c.until("rpc agent_end"))
		entries := f.get("/hub/session/" + id + "/replay")["entries"]
		assert.Equal(t, []any{
			"Say hello", long, "Working on it: " + long, nil, "# Greeting", "Look left", "Changing course: Look left",
		}, all(t, entries, "content"), "the turn is finished, and its tool is the last")

		c.prompt("first")
		c.command("follow_up", "second")
		c.expect("rpc queue_update")
		c.accepted()
		assert.Equal(t, rpcNames(begins, works, concludes, []string{"turn_start", "queue_update"}, begins[2:], works, concludes, ends),
			c.until("rpc agent_end"))
	})
}

// aborted reads the end of a run that was aborted while the agent spoke.
func (c *client) aborted() {
	c.Helper()
	c.expect("rpc message_update") // text_end
	message := at(c, c.expect("rpc message_end"), "data", "event", "message")
	assert.Equal(c, "assistant aborted Request was aborted", text(message, "role", "stopReason", "errorMessage"))
	c.expect("rpc turn_end", "rpc agent_end")
}

// spoken reads to where the agent speaks.
func (c *client) spoken() {
	c.Helper()
	c.expect(rpcNames(begins)...)
	c.expect("rpc message_start", "rpc message_update", "rpc message_update")
}

func TestAgentIsAborted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, codertest.WithAgentPace(time.Second))
		defer f.Close()
		id := f.idle()
		c := f.control(id)
		c.prompt("third")
		c.spoken()
		c.command("follow_up", "fourth")
		c.expect("rpc queue_update")
		c.accepted()
		c.command("abort", "")
		c.aborted()
		c.accepted() // only when it is over
		c.command("abort", "")
		c.accepted()
		time.Sleep(time.Hour)
		c.ping() // what was queued waits for a prompt

		c.prompt("fifth")
		c.expect(rpcNames(begins)...)
		f.Session(id).Pause() // before the model has spoken
		message := at(t, c.expect("rpc message_start", "rpc message_end"), "data", "event", "message")
		assert.Equal(t, "[] aborted", text(message, "content", "stopReason"))
		c.expect("rpc turn_end", "rpc agent_end", "presence session_leave", "broadcast session_leave")
		f.Session(id).SetStatus("active")
		c.expect("presence session_join", "broadcast session_join")
		time.Sleep(time.Hour)
		c.prompt("sixth") // the follow-up is gone with the runtime
		assert.Equal(t, rpcNames(run), c.until("rpc agent_end"))

		c.prompt("seventh")
		f.call(200, "DELETE", "/hub/session/"+id, "")
		c.expect("broadcast session_shutdown")
		c.closed(4404, "Session deleted")
		time.Sleep(time.Hour)
	})
}

// A tool that is aborted fails, and so does the model call after it.
func TestAgentIsAbortedInATool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t)
		defer f.Close()
		id := f.active()
		c := f.control(id)
		f.Session(id).Answer(codertest.AgentTurn{Tools: []codertest.AgentTool{
			{Name: "bash", Result: "done"}, {Ask: &codertest.AgentQuestion{Method: "confirm"}}, {Name: "write"},
		}})
		c.prompt("Do three things")
		c.until("broadcast rpc_ui_request")
		c.command("abort", "")
		c.expect("rpc tool_execution_end", "rpc tool_execution_end")
		for _, want := range []string{"done false", "Command aborted true", "Command aborted true"} {
			c.expect("rpc message_start")
			message := at(t, c.expect("rpc message_end"), "data", "event", "message")
			assert.Equal(t, want, fmt.Sprint(at(t, message, "content", 0, "text"), " ", at(t, message, "isError")))
		}
		assert.Equal(t, "toolUse", at(t, c.expect("rpc turn_end"), "data", "event", "message", "stopReason"))
		c.expect("rpc turn_start", "rpc message_start", "rpc message_end", "rpc turn_end", "rpc agent_end")
		c.accepted()
		c.send(`{"type":"rpc_ui_response","id":"ui_000001","result":true}`)
		c.ping() // nobody asks any more
	})
}

func TestAgentRefuses(t *testing.T) {
	f := start(t)
	id := f.active()
	c := f.control(id)
	for command, why := range map[string]string{
		`{"type":"prompt"}`:          "The command needs a message",
		`{"type":"dance","id":"d1"}`: "Unknown command: dance",
	} {
		c.send(`{"type":"rpc_command","command":` + command + `}`)
		assert.Equal(t, why, c.expect("rpc_command_error")["error"])
		if strings.Contains(command, "d1") {
			assert.Equal(t, "d1 dance false "+why, text(at(t, c.expect("broadcast rpc_response"), "data", "response"), "id", "command", "success", "error"))
		}
	}
	c.send(`{"type":"rpc_command","command":{"type":"prompt","text":"by another name, confirm it","id":"p1"}}`)
	assert.Equal(t, "p1 true", text(at(t, c.expect("broadcast rpc_response"), "data", "response"), "id", "success"))
	c.until("broadcast rpc_ui_request")
	c.command("prompt", "while it works")
	response := at(t, c.expect("broadcast rpc_response"), "data", "response")
	assert.Equal(t, "false Agent is already processing. Specify streamingBehavior ('steer' or 'followUp') to queue the message.",
		text(response, "success", "error"))
	f.Session(id).FailModel(codertest.AgentNoModelKey)
	c.command("abort", "")
	c.until("broadcast rpc_response")
	c.command("prompt", "without a key")
	response = at(t, c.expect("broadcast rpc_response"), "data", "response")
	assert.Contains(t, text(response, "success", "error"), "false No API key found")
	c.ping()
}

// Whatever ends a turn, controllers are told of its end in the agent's own
// protocol, before anything else.
func TestTurnsAlwaysEnd(t *testing.T) {
	for name, test := range map[string]struct {
		end  func(f fixture, id string)
		then []string
	}{
		"paused":   {func(f fixture, id string) { f.Session(id).Pause() }, []string{"presence session_leave", "broadcast session_leave"}},
		"failed":   {func(f fixture, id string) { f.Session(id).SetStatus("failed") }, []string{"presence session_leave", "broadcast session_leave"}},
		"shutdown": {func(f fixture, id string) { f.Session(id).Shutdown() }, []string{"broadcast session_shutdown"}},
		"archived": {func(f fixture, id string) { f.Session(id).Archive() }, []string{"broadcast session_shutdown"}},
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
				id := f.idle()
				c := f.control(id)
				c.prompt("Say hello")
				c.command("follow_up", "And again")
				c.expect("rpc queue_update")
				c.accepted()
				c.spoken()
				test.end(f, id)
				c.aborted()
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

// What has not begun has no end either.
func TestEndsOfWhatHasNotBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, codertest.WithAgentPace(time.Second))
		defer f.Close()
		id := f.idle()
		c := f.control(id)
		c.prompt("select one")
		c.command("abort", "")
		c.accepted() // there is nothing to abort yet
		c.until("broadcast rpc_ui_request")
		f.Session(id).Pause()
		c.until("rpc agent_end")
		c.expect("presence session_leave", "broadcast session_leave")
		f.Session(id).SetStatus("active")
		c.expect("presence session_join", "broadcast session_join")
		c.send(`{"type":"rpc_ui_response","id":"ui_000001","result":"red"}`)
		time.Sleep(time.Hour)
		c.ping() // nobody asks any more

		c.prompt("never said")
		synctest.Wait()
		f.Session(id).Pause()
		c.expect("presence session_leave", "broadcast session_leave")
		time.Sleep(time.Hour)
		c.ping()
	})
}

// The Hub's agent gives way to a lead, and says no more.
func TestAgentGivesWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, codertest.WithAgentPace(time.Second))
		defer f.Close()
		id := f.idle()
		c := f.control(id)
		c.prompt("Say hello")
		c.spoken()
		lead := f.dial("role=lead&sessionId=" + id)
		lead.expect("init", "session_hydration")
		c.aborted()
		c.expect("presence session_leave", "broadcast session_leave", "presence session_join", "broadcast session_join")
		time.Sleep(time.Hour)
		c.ping()
	})
}

// What had arrived before Close, and is looked at afterwards, wakes no agent.
func TestAgentDoesNotOutliveTheHub(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t)
		id := f.active()
		before := len(f.history(id))
		conn, served := f.serveSocket("role=controller&sessionId="+id, func() {})
		defer conn.Close()
		go func() { _, _ = io.Copy(io.Discard, conn) }()
		f.OnRequest(func(codertest.LeadRequest) ([]codertest.Action, bool) {
			time.Sleep(time.Minute)
			return nil, false
		})
		_, err := conn.Write(bytes.Join([][]byte{
			textFrame(`{"type":"tool","id":"1","name":"wait"}`),
			textFrame(`{"type":"rpc_command","command":{"type":"prompt","message":"x"}}`),
		}, nil))
		require.NoError(t, err)
		synctest.Wait()
		f.Close()
		<-served
		require.Len(t, f.Session(id).Frames(), 2)
		history := httptest.NewRecorder()
		f.Handler().ServeHTTP(history, httptest.NewRequest("GET", "/api/hub/session/"+id+"/events/history", nil))
		var answer map[string]any
		require.NoError(t, json.Unmarshal(history.Body.Bytes(), &answer))
		newest := all(t, answer["events"], "event")
		assert.NotContains(t, newest[:len(newest)-before], "turn_start")
	})
}

// A timer that goes off in the moment in which the agent is aborted does not hurry
// it on.
func TestAgentIsAbortedInTheLastMoment(t *testing.T) {
	for range 50 {
		synctest.Test(t, func(t *testing.T) {
			f := start(t, codertest.WithAgentPace(time.Second))
			defer f.Close()
			id := f.idle()
			c := f.control(id)
			f.OnRequest(func(codertest.LeadRequest) ([]codertest.Action, bool) {
				time.Sleep(time.Second)
				return nil, false
			})
			conn, served := f.serveSocket("role=controller&sessionId="+id, func() {})
			go func() { _, _ = io.Copy(io.Discard, conn) }()
			c.expect("presence session_join", "broadcast session_join")
			c.prompt("one two three four five six")
			c.spoken()
			_, err := conn.Write(bytes.Join([][]byte{
				textFrame(`{"type":"tool","id":"1","name":"wait"}`),
				textFrame(`{"type":"rpc_command","command":{"type":"abort"}}`),
				textFrame(`{"type":"rpc_command","command":{"type":"prompt","message":"y"}}`),
			}, nil))
			require.NoError(t, err)
			c.until("rpc agent_end")
			c.accepted()
			c.accepted()
			began := time.Now()
			c.expect("rpc agent_start")
			assert.Equal(t, time.Second, time.Since(began))
			_ = conn.Close()
			<-served
		})
	}
}
