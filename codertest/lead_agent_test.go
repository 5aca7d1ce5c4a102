package codertest_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/codertest"
)

// turn is what the agent does about a prompt.
var turn = []string{
	"agent_start", "turn_start",
	"message_start", "message_update", "message_end", "tool_call", "tool_result",
	"message_start", "message_update", "message_end", "turn_end", "agent_end",
}

func rpcNames(words []string) []string {
	var names []string
	for _, word := range words {
		names = append(names, "rpc "+word)
	}
	return names
}

func TestAgentAnswersAPrompt(t *testing.T) {
	f := start(t)
	id := f.active()
	observer := f.observe(id, "?subscribe=message,turn,tool,agent_*")
	defer observer.close()
	observer.expect("snapshot", "hydration", "presence session_join")
	c := f.control(id)
	observer.expect("presence session_join")
	c.command("prompt", "Fix the flaky test of the parser, and tell me what it was")

	said := ""
	stamps := map[any]bool{}
	var names []string
	for len(names) == 0 || names[len(names)-1] != "rpc agent_end" {
		frame := c.next()
		names = append(names, nameOf(frame))
		inner := at(t, frame, "data", "event").(map[string]any)
		assert.False(t, stamps[inner["timestamp"]], "no two events have the same timestamp")
		stamps[inner["timestamp"]] = true
		if inner["type"] == "message_update" {
			said += at(t, inner, "assistantMessageEvent", "delta").(string)
			assert.Equal(t, "text_delta", at(t, inner, "assistantMessageEvent", "type"))
		}
		if inner["type"] == "message_end" {
			assert.Equal(t, said, at(t, inner, "message", "content", 0, "text"))
			assert.Equal(t, "assistant stop", text(inner["message"], "role", "stopReason"))
			said = ""
		}
	}
	var plain []string
	for range append(names, "user_prompt") {
		plain = append(plain, observer.next()["event"].(string))
	}
	assert.Equal(t, "user_prompt", plain[1])
	assert.Equal(t, "agent_start", plain[0])
	assert.Equal(t, rpcNames(plain[2:]), names[1:], "observers see the same in their own way")

	replay := f.get("/hub/session/" + id + "/replay")["entries"]
	assert.Equal(t, []any{"user_prompt", "user_prompt", "message", "tool_call", "tool_result", "message"}, all(t, replay, "type"))
	assert.Equal(t, "Working on it: Fix the flaky test of the parser, and tell me what it was", at(t, replay, 2, "content"))
	history := all(t, f.get("/hub/session/" + id + "/events/history")["events"], "event")
	assert.Equal(t, []any{"agent_end", "turn_end", "message_end"}, history[:3])

	c.send(`{"type":"rpc_command","command":{"type":"get_messages","id":"m"}}`)
	response := at(t, c.expect("broadcast rpc_response"), "data", "response")
	assert.Equal(t, "response m get_messages true", text(response, "type", "id", "command", "success"))
	assert.Equal(t, []any{"user", "user", "assistant", "assistant"}, all(t, at(t, response, "data"), "role"))
	assert.Equal(t, "Done.", at(t, response, "data", 3, "content", 0, "text"))
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
	} {
		f := start(t)
		id := f.active()
		c := f.control(id)
		c.command("prompt", test.prompt)
		c.until("rpc message_end")
		question := c.expect("broadcast rpc_ui_request")["data"]
		assert.Equal(t, "ui_000001 "+test.method, text(question, "id", "method"))
		assert.NotEmpty(t, at(t, question, "params", "title"))
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
		id := f.active()
		c := f.control(id)
		began := time.Now()
		c.command("prompt", "one two three four five six seven eight nine ten eleven twelve thirteen")
		for range 7 {
			c.next()
		}
		assert.Equal(t, 7*time.Second, time.Since(began))
		o := f.observe(id, "?subscribe=none")
		assert.Equal(t, "Working on it: one two three four five ", at(t, o.next(), "stream", "output"))
		assert.Equal(t, "Working on it: one two three four five ", at(t, o.next(), "stream", "output"))
		o.close()
		c.expect("presence session_join", "broadcast session_join", "presence session_leave", "broadcast session_leave")

		c.command("steer", "Look left")
		assert.Equal(t, append([]string{"rpc message_end"}, rpcNames(turn[7:])...), c.until("rpc agent_end"))
		entries := f.get("/hub/session/" + id + "/replay")["entries"]
		assert.Equal(t, []any{"Say hello", "one two three four five six seven eight nine ten eleven twelve thirteen",
			"Working on it: one two three four five ", "Look left", "Changing course: Look left"}, all(t, entries, "content"))

		c.command("prompt", "first")
		c.command("follow_up", "second")
		assert.Equal(t, append(rpcNames(turn[:11]), rpcNames(turn[1:])...), c.until("rpc agent_end"))

		c.command("prompt", "third")
		c.command("follow_up", "fourth")
		c.expect("rpc agent_start", "rpc turn_start", "rpc message_start")
		c.command("abort", "")
		end := c.expect("rpc message_end")
		assert.Equal(t, "aborted", at(t, end, "data", "event", "message", "stopReason"))
		c.expect("rpc turn_end", "rpc agent_end")
		c.command("abort", "")
		c.command("compact", "")
		c.expect("rpc session_before_compact", "rpc session_compact")
		c.command("steer", "Again")
		c.expect("rpc agent_start")
		f.Session(id).Pause()
		f.Session(id).SetStatus("active")
		c.expect("rpc agent_end", "broadcast agent_end", "presence session_leave", "broadcast session_leave",
			"presence session_join", "broadcast session_join", "broadcast agent_start")
		time.Sleep(time.Hour)
		c.command("prompt", "fifth")
		c.expect("rpc agent_start")
		f.call(200, "DELETE", "/hub/session/"+id, "")
		c.expect("rpc agent_end", "broadcast session_shutdown")
		c.closed(4404, "Session deleted")
		time.Sleep(time.Hour)
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
	c.send(`{"type":"rpc_command","command":{"type":"prompt","text":"by another name","id":"p1"}}`)
	assert.Equal(t, true, at(t, c.expect("broadcast rpc_response"), "data", "response", "success"))
	c.expect("rpc agent_start")
}

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

// What had arrived before Close, and is looked at afterwards, wakes no agent.
func TestAgentDoesNotOutliveTheHub(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t)
		id := f.active()
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
		assert.NotContains(t, all(t, answer["events"], "event"), "turn_start")
	})
}

// A timer that goes off in the moment in which the agent changes its course
// does not hurry it on.
func TestAgentIsSteeredInTheLastMoment(t *testing.T) {
	for range 50 {
		synctest.Test(t, func(t *testing.T) {
			f := start(t, codertest.WithAgentPace(time.Second))
			defer f.Close()
			id := f.active()
			c := f.control(id)
			f.OnRequest(func(codertest.LeadRequest) ([]codertest.Action, bool) {
				time.Sleep(time.Second)
				return nil, false
			})
			conn, served := f.serveSocket("role=controller&sessionId="+id, func() {})
			go func() { _, _ = io.Copy(io.Discard, conn) }()
			c.expect("presence session_join", "broadcast session_join")
			c.command("prompt", "one two three four five six")
			c.expect("rpc agent_start", "rpc turn_start", "rpc message_start", "rpc message_update")
			_, err := conn.Write(bytes.Join([][]byte{
				textFrame(`{"type":"tool","id":"1","name":"wait"}`),
				textFrame(`{"type":"rpc_command","command":{"type":"steer","message":"y"}}`),
			}, nil))
			require.NoError(t, err)
			c.until("rpc message_end")
			c.expect("broadcast user_prompt", "rpc message_start")
			began := time.Now()
			c.expect("rpc message_update")
			assert.Equal(t, time.Second, time.Since(began))
			_ = conn.Close()
			<-served
		})
	}
}
