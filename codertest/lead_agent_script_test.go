package codertest_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/codertest"
	"github.com/agentuity/coder-go/internal/agentrun"
)

// said returns the entries of the conversation as type and text.
func (f fixture) said(id string) (entries []string) {
	f.Helper()
	for _, entry := range f.get("/hub/session/" + id + "/replay")["entries"].([]any) {
		content, _ := entry.(map[string]any)["content"].(string)
		entries = append(entries, at(f, entry, "type").(string)+" "+content)
	}
	return entries
}

// reading is what package agentrun says of the history.
func (f fixture) reading(id string) agentrun.Reading {
	f.Helper()
	var events []agentrun.Event
	history := f.get("/hub/session/" + id + "/events/history")["events"].([]any)
	for i := len(history) - 1; i >= 0; i-- {
		event := history[i].(map[string]any)
		occurred, err := time.Parse(time.RFC3339, event["occurredAt"].(string))
		require.NoError(f, err)
		events = append(events, agentrun.Decode(event["event"].(string), encoded(f, event["payload"]), occurred))
	}
	return agentrun.Read(events, true, time.Now())
}

func TestAgentRunsTheTaskOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t)
		defer f.Close()
		id := f.create(`{"task":"Fix it","label":"Fix"}`)
		assert.Equal(t, []string{"user_prompt Fix it"}, f.said(id))
		f.get("/hub/session/" + id)
		assert.Empty(t, f.get("/hub/session/" + id)["agentActivity"], "it has no runtime yet")
		want := []string{"user_prompt Fix it", "message Working on it: Fix it", "tool_call ", "tool_result # Fix", "message Done."}
		assert.Equal(t, want, f.said(id), "it has when a client has looked twice")
		assert.NotContains(t, all(t, f.get("/hub/session/" + id + "/events/history")["events"], "event"), "user_prompt",
			"nobody has typed the task")
		assert.Equal(t, "idle 1", text(at(t, f.get("/hub/session/"+id), "agentActivity", "lead"), "status", "toolCallCount"))

		f.Session(id).Pause()
		f.Session(id).SetStatus("active")
		lead := f.dial("role=lead&sessionId=" + id)
		lead.expect("init", "session_hydration")
		require.NoError(t, lead.conn.CloseNow())
		time.Sleep(time.Second)
		assert.Equal(t, want, f.said(id), "it has been run")

		byLead := f.dial("role=lead&task=Mine").expect("init")["sessionId"].(string)
		f.Session(byLead).SetMode("sandbox")
		f.Session(byLead).Pause()
		f.Session(byLead).SetStatus("active")
		assert.Equal(t, []string{"user_prompt Mine"}, f.said(byLead), "the lead was told of its task")
	})
}

func TestWithoutAgent(t *testing.T) {
	f := start(t, codertest.WithoutAgent())
	id := f.active()
	assert.Equal(t, []string{"user_prompt Say hello"}, f.said(id))
	assert.Empty(t, f.get("/hub/session/" + id + "/participants")["participants"])
	c := f.control(id)
	c.send(`{"type":"rpc_command","command":{"type":"get_state","id":"s"}}`)
	assert.Equal(t, "Sandbox driver is not connected; resume the session first", c.expect("rpc_command_error")["error"])
	assert.Equal(t, false, at(t, c.expect("broadcast rpc_response"), "data", "response", "success"))
	assert.Equal(t, "active", f.get("/hub/session/" + id)["status"])
	lead := f.dial("role=lead&sessionId=" + id)
	lead.expect("init", "session_hydration")
	c.until("broadcast session_join")
	c.command("prompt", "Go")
	lead.expect("rpc_command")
}

// What the Hub's own agent reports is read as the recorded agent is.
func TestAgentIsReadAsRecorded(t *testing.T) {
	for name, test := range map[string]struct {
		turns  []codertest.AgentTurn
		errors []codertest.AgentError
		want   string
	}{
		"answer":  {[]codertest.AgentTurn{hello}, nil, "answered stop Hello, this is the answer."},
		"tools":   {[]codertest.AgentTurn{asleep, allDon}, nil, "answered stop All done."},
		"length":  {[]codertest.AgentTurn{{Text: "cut", StopReason: "length"}}, nil, "answered length cut"},
		"error":   {[]codertest.AgentTurn{{Text: "half", StopReason: "error", ErrorMessage: "terminated"}}, nil, "failed error half"},
		"aborted": {[]codertest.AgentTurn{{Text: "half", StopReason: "aborted"}}, nil, "aborted aborted half"},
		"retried": {[]codertest.AgentTurn{hello}, []codertest.AgentError{codertest.AgentOverloaded, codertest.AgentServerError},
			"answered stop Hello, this is the answer."},
		"in vain": {nil, []codertest.AgentError{codertest.AgentOverloaded, codertest.AgentOverloaded, codertest.AgentOverloaded, codertest.AgentOverloaded},
			"failed error "},
		"final":    {nil, []codertest.AgentError{codertest.AgentInvalidRequest}, "failed error "},
		"overflow": {[]codertest.AgentTurn{hello}, []codertest.AgentError{codertest.AgentContextOverflow}, "answered stop Hello, this is the answer."},
		"overflow again": {nil, []codertest.AgentError{codertest.AgentContextOverflow, codertest.AgentNoError, codertest.AgentContextOverflow},
			"failed error "},
		"threshold": {[]codertest.AgentTurn{{Text: "Nearly full.", ContextFull: true}}, nil, "answered stop Nearly full."},
	} {
		for _, version := range []string{"0.74.2", "1.6.0"} {
			for _, dialect := range []codertest.AgentDialect{codertest.DialectRPC, codertest.DialectExtension} {
				t.Run(fmt.Sprint(name, " ", version, " ", dialect), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						f := start(t, codertest.WithAgentPace(time.Second), codertest.WithAgentVersion(version),
							codertest.WithAgentDialect(dialect), codertest.WithAgentErrors(test.errors...))
						defer f.Close()
						id := f.create(`{"task":"Fix it"}`)
						if test.turns != nil {
							f.Session(id).Answer(test.turns...)
						}
						f.Session(id).SetStatus("active")
						for busy := true; busy; time.Sleep(250 * time.Millisecond) {
							reading := f.reading(id)
							busy = at(t, f.get("/hub/session/"+id), "agentActivity", "lead", "status") != "idle"
							assert.False(t, busy && reading.Kind.Over(), "not over too early: %s", reading.Reason)
						}
						time.Sleep(time.Hour)
						reading := f.reading(id)
						assert.Equal(t, test.want, fmt.Sprint(reading.Kind, " ", reading.Answer.StopReason, " ", reading.Answer.Text), reading.Reason)
					})
				})
			}
		}
	}
}

func TestAnswer(t *testing.T) {
	f := start(t)
	f.Answer(codertest.AgentTurn{Text: "To the task."})
	f.Answer(codertest.AgentTurn{Text: "The Hub's."})
	id := f.create(newSession)
	f.Session(id).SetStatus("active")
	f.Session(id).Answer(
		codertest.AgentTurn{Thinking: "Hm.", Tools: []codertest.AgentTool{
			{Name: "bash", Args: map[string]any{"command": "false"}, Result: "exit status 1", IsError: true},
			{Task: &codertest.AgentTask{Prompt: "Look", Description: "look around", Progress: []string{"I "}, Result: "Seen."}},
			{Task: &codertest.AgentTask{Agent: "builder", Error: "no tools"}},
		}},
	)
	c := f.control(id)
	c.prompt("First")
	c.until("rpc agent_end")
	c.prompt("Second")
	c.until("rpc agent_end")
	assert.Equal(t, []string{
		"user_prompt x", "message To the task.",
		"user_prompt First", "thinking Hm.", "tool_call ", "tool_call ", "tool_call ",
		"task_result Seen.", "task_result no tools", "tool_result exit status 1", "tool_result Seen.", "tool_result Agent builder failed: no tools", "message Done.",
		"user_prompt Second", "message The Hub's.",
	}, f.said(id), "its own answers come first")
	entries := f.get("/hub/session/" + id + "/replay")["entries"]
	assert.Equal(t, "bash map[command:false]", text(at(t, entries, 4), "toolName", "toolArgs"))
	assert.Equal(t, "call_000003 builder true", text(at(t, entries, 8), "taskId", "agent", "isError"))
	assert.Equal(t, true, at(t, entries, 9, "isError"))
	var tasks []string
	for _, event := range f.history(id) {
		if at(t, event.payload, "taskId") != nil {
			tasks = append(tasks, fmt.Sprint(event.name, " ", event.payload["taskId"], " ", event.payload["agent"]))
		}
	}
	assert.Equal(t, []string{
		"task_start call_000002 scout", "task_start call_000003 builder", "agent_progress call_000002 <nil>",
		"task_complete call_000002 scout", "task_error call_000003 builder",
	}, tasks)
	assert.Panics(t, func() { f.Answer(codertest.AgentTurn{Tools: []codertest.AgentTool{{Ask: &codertest.AgentQuestion{}}}}) })
}

// A question that nobody answers in time is answered with nothing, and nobody is
// told of that.
func TestQuestionsOfATest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, codertest.WithAgentVersion("1.6.0"))
		defer f.Close()
		id := f.active()
		c := f.control(id)
		ask := codertest.AgentTool{Ask: &codertest.AgentQuestion{
			Method: "select", Params: map[string]any{"title": "Which?", "options": []string{"a", "b"}}, Timeout: time.Minute,
		}}
		for _, test := range []struct{ answer, want string }{
			{`"a"`, "a"}, {`true`, "true"}, {`null`, "null"}, {`{"x":1}`, `{"x":1}`}, {"", "null"},
		} {
			f.Session(id).Answer(codertest.AgentTurn{Tools: []codertest.AgentTool{ask}}, codertest.AgentTurn{})
			c.prompt("Ask")
			c.until("rpc tool_execution_start")
			question := c.expect("broadcast rpc_ui_request")["data"]
			assert.Equal(t, map[string]any{"title": "Which?", "options": []any{"a", "b"}, "timeout": 60000.0}, at(t, question, "params"))
			began := time.Now()
			if test.answer != "" {
				c.send(`{"type":"rpc_ui_response","id":"` + at(t, question, "id").(string) + `","result":` + test.answer + `}`)
			}
			result := at(t, c.expect("rpc tool_execution_end"), "data", "event", "result", "content", 0, "text")
			assert.Equal(t, test.want, result)
			if test.answer == "" {
				assert.Equal(t, time.Minute, time.Since(began))
			}
			c.until("rpc agent_settled")
		}
		time.Sleep(time.Hour)
		c.ping()
	})
	f := start(t, codertest.WithAgentDialect(codertest.DialectExtension))
	asking := codertest.AgentTurn{Tools: []codertest.AgentTool{{Ask: &codertest.AgentQuestion{Method: "confirm"}}}}
	assert.PanicsWithValue(t, "codertest: in DialectExtension nobody on the Hub hears what the agent asks", func() { f.Answer(asking) })
}

func TestEndTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, codertest.WithAgentPace(time.Second))
		defer f.Close()
		id := f.idle()
		c := f.control(id)
		f.Session(id).EndTurn("stop", "") // there is none
		for _, test := range []struct{ reason, message string }{{"stop", ""}, {"length", ""}, {"error", "terminated"}} {
			c.prompt("Say hello")
			c.spoken()
			f.Session(id).EndTurn(test.reason, test.message)
			c.expect("rpc message_update")
			message := at(t, c.expect("rpc message_end"), "data", "event", "message").(map[string]any)
			assert.Equal(t, test.reason, message["stopReason"])
			assert.Equal(t, test.message, fmt.Sprint(at(t, message, "errorMessage"))[:len(test.message)])
			assert.Equal(t, "Working ", at(t, message, "content", 0, "text"))
			c.expect("rpc turn_end", "rpc agent_end")
		}
		c.prompt("Say hello")
		c.spoken()
		f.Session(id).EndTurn("aborted", "")
		c.aborted()

		c.prompt("Say hello")
		c.until("rpc tool_execution_start")
		f.Session(id).EndTurn("length", "")
		assert.Equal(t, rpcNames(works[4:], []string{"turn_start", "message_start", "message_end", "turn_end", "agent_end"}), c.until("rpc agent_end"),
			"the tool ends, and the model has no room for an answer")

		c.prompt("confirm it")
		c.until("broadcast rpc_ui_request")
		f.Session(id).EndTurn("stop", "")
		time.Sleep(time.Hour)
		c.ping() // the tool waits for the answer
		c.send(`{"type":"rpc_ui_response","id":"ui_000001","result":true}`)
		assert.Equal(t, rpcNames(works[4:], []string{"turn_start", "message_start", "message_end", "turn_end", "agent_end"}), c.until("rpc agent_end"))

		f.Session(id).FailModel(codertest.AgentOverloaded)
		c.prompt("Say hello")
		c.until("rpc auto_retry_start")
		f.Session(id).EndTurn("stop", "") // it is no turn
		f.Session(id).EndTurn("aborted", "")
		end := at(t, c.expect("rpc auto_retry_end"), "data", "event")
		assert.Equal(t, "false Retry cancelled", text(end, "success", "finalError"))
		time.Sleep(time.Hour)
		c.ping()
	})
}

func TestAgentOptions(t *testing.T) {
	assert.PanicsWithValue(t, `codertest: the agent was recorded in the versions 0.74.2 and 1.6.0, and not in "2"`,
		func() { codertest.WithAgentVersion("2") })
	assert.Panics(t, func() { codertest.NewHub(codertest.WithAgentErrors(99)) })
}
