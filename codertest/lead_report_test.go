package codertest_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/codertest"
)

// program is a program that leads a session, in a test.
type program struct {
	*client
	f  fixture
	id string // of the session
}

// lead connects a program that leads a session of its own.
func (f fixture) lead() program {
	f.Helper()
	c := f.dial("origin=tui")
	return program{c, f, c.expect("init")["sessionId"].(string)}
}

// tells reports an event as the agent's extension does.
func (p program) tells(event, members string) {
	p.Helper()
	p.send(`{"id":"r","type":"event","event":"` + event + `","data":{"type":"` + event + `","agentRole":"lead"` + members + `}}`)
	for p.next()["id"] != "r" { // what the Hub relays comes in between
	}
}

// prints reports an event as the agent prints it in its RPC mode.
func (p program) prints(event, members string) {
	p.Helper()
	p.send(`{"type":"rpc_event","event":{"type":"` + event + `"` + members + `}}`)
	p.send(`{"type":"ping"}`)
	for p.next()["type"] != "pong" {
	}
}

// detail is the session as the Hub shows it.
func (p program) detail() map[string]any {
	p.Helper()
	return p.f.get("/hub/session/" + p.id)
}

// hydration is what a controller that comes now is told of the session.
func (p program) hydration() map[string]any {
	p.Helper()
	c := p.f.dial("role=controller&sessionId=" + p.id)
	c.expect("init")
	c.send(`{"type":"bootstrap_ready"}`)
	frame := c.expect("session_hydration")
	require.NoError(p, c.conn.CloseNow())
	return frame
}

func (p program) entries() []string {
	p.Helper()
	return p.f.said(p.id)
}

const (
	userSays   = `,"message":{"role":"user","content":[{"type":"text","text":"%s"}],"timestamp":1}`
	agentSays  = `,"message":{"role":"assistant","content":[{"type":"text","text":"%s"}],"stopReason":"%s","timestamp":2}`
	agentBegin = `,"message":{"role":"assistant","content":[{"type":"text","text":"all of it, already"}],"stopReason":"stop","timestamp":2}`
	agentDelta = `,"assistantMessageEvent":{"type":"%s_delta","contentIndex":%d,"delta":"%s"}`
)

func says(form string, values ...any) string { return fmt.Sprintf(form, values...) }

// recordedReports are the events that the recorded agent has reported, as frames of
// a lead: in either way.
func recordedReports(t *testing.T, file string) (extension, rpc []string) {
	t.Helper()
	recording, err := os.Open(filepath.Join("..", "testdata", "agent", file+".jsonl"))
	require.NoError(t, err)
	defer func() { _ = recording.Close() }()
	lines := bufio.NewScanner(recording)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var line struct {
			Channel, Direction string
			Frame              json.RawMessage
		}
		require.NoError(t, json.Unmarshal(lines.Bytes(), &line))
		var frame struct{ Type, Method string }
		_ = json.Unmarshal(line.Frame, &frame) // a close is none
		switch {
		case line.Channel == "lead" && line.Direction == "c2s" && frame.Type == "event":
			extension = append(extension, string(line.Frame))
		case line.Channel == "pi-stdout" && frame.Type != "response" && frame.Type != "extension_ui_request":
			rpc = append(rpc, `{"type":"rpc_event","event":`+string(line.Frame)+`}`)
		}
	}
	require.NoError(t, lines.Err())
	return extension, rpc
}

var threeRecordedTurns = []string{
	"user_prompt Do two things [[two]]", "tool_call ", "tool_call ", "tool_result line one\nline two\n", "tool_result one\ntwo\n",
	"message Now I write.", "tool_call ", "tool_result Successfully wrote to out.txt", "message All done.",
}

// What a lead reports is the conversation, whichever version it is and in which way
// it reports.
func TestRecordedConversations(t *testing.T) {
	for file, want := range map[string][]string{
		"0.74.2/text":     {"user_prompt Say something [[text]]", "message Hello, this is the answer."},
		"1.6.0/text":      {"user_prompt Say something [[text]]", "message Hello, this is the answer."},
		"0.74.2/thinking": {"user_prompt Think [[think]]", "thinking First I think, then I speak.", "message Here is the answer."},
		"0.74.2/tools-three-turns": {
			"user_prompt Do two things [[two]]", "tool_call ", "tool_call ", "tool_result line one\nline two\n", "tool_result one\ntwo\n",
			"message Now I write.", "tool_call ", "tool_result Successfully wrote 6 bytes to out.txt", "message All done.",
		},
		"1.6.0/tools-three-turns": threeRecordedTurns,
		"1.6.0/rpc-tools":         threeRecordedTurns,
		"0.74.2/tool-fails": {
			"user_prompt Fail [[badtool]]", "tool_call ", "tool_result oops\n\n\nCommand exited with code 3", "message All done.",
		},
		"0.74.2/sub-agent-task": {
			"user_prompt Delegate [[task]]", "message I delegate.", "tool_call ", "task_result The sub-agent has looked.",
			"tool_result The sub-agent has looked.\n\n---\n_scout: 86ms | 110 in 12 out tokens | $0.0040_", "message All done.",
		},
		"1.6.0/sub-agent-task": {
			"user_prompt Delegate [[task]]", "message I delegate.", "tool_call ", "task_result getModel is not a function",
			"tool_result Agent scout failed: getModel is not a function", "message All done.",
		},
		"1.6.0/rpc-529-once": {"user_prompt Overload [[over1]]", "message Hello, this is the answer."},
		"1.6.0/rpc-abort-with-follow-up-queued": {
			"user_prompt Talk [[long]]", "message part 0 part 1 part 2 part 3 part 4 part 5 ",
			"user_prompt Anew [[text]]", "message Hello, this is the answer.", "user_prompt And then [[second]]", "message The second answer.",
		},
	} {
		t.Run(file, func(t *testing.T) {
			f := start(t)
			extension, rpc := recordedReports(t, file)
			reports := extension
			if strings.Contains(file, "/rpc-") {
				reports = rpc
			}
			require.NotEmpty(t, reports)
			lead := f.lead()
			for _, frame := range reports {
				lead.send(frame)
			}
			lead.send(`{"type":"ping"}`)
			for lead.next()["type"] != "pong" {
			}
			assert.Equal(t, want, lead.entries())
			assert.Equal(t, "idle", at(t, lead.detail(), "agentActivity", "lead", "status"))
			assert.Equal(t, false, at(t, lead.hydration(), "streamingState", "isStreaming"))
		})
	}
}

// A driver and an extension may report the same.
func TestReportsInTwoWays(t *testing.T) {
	f := start(t)
	lead := f.lead()
	for range 2 {
		lead.prints("agent_start", "")
		lead.tells("agent_start", "")
		lead.tells("message_end", says(userSays, "Go"))
		lead.prints("message_end", says(userSays, "Go"))
		lead.prints("message_end", says(agentSays, "Gone.", "stop"))
		lead.tells("message_end", says(agentSays, "Gone.", "stop"))
		lead.tells("task_start", `,"taskId":"t","agent":"scout","prompt":"Look"`)
		lead.tells("task_complete", `,"taskId":"t","agent":"scout","result":"Seen."`)
		lead.tells("agent_end", "")
		assert.Equal(t, true, at(t, lead.hydration(), "streamingState", "isStreaming"), "by the way that is believed")
		lead.prints("agent_end", "")
		assert.Equal(t, false, at(t, lead.hydration(), "streamingState", "isStreaming"))
	}
	assert.Equal(t, []string{
		"user_prompt Go", "message Gone.", "task_result Seen.", "user_prompt Go", "message Gone.",
	}, lead.entries())
	assert.Equal(t, 4, strings.Count(fmt.Sprint(all(t, f.get("/hub/session/" + lead.id + "/events/history")["events"], "event")), "agent_start"),
		"the history has both")

	// The next one to lead may report in the other way.
	id, c := lead.id, f.control(lead.id)
	require.NoError(t, lead.conn.CloseNow())
	c.until("broadcast session_leave")
	next := program{f.dial("role=lead&sessionId=" + id), f, id}
	next.expect("init", "session_hydration")
	next.tells("agent_start", "")
	next.tells("message_end", says(agentSays, "Anew.", "stop"))
	assert.Equal(t, "message Anew.", next.entries()[5])
}

// The Hub's own agent takes over from a program, and reports in its own way.
func TestReportsAfterAProgramHasLed(t *testing.T) {
	f := start(t)
	id := f.active()
	c := f.control(id)
	lead := program{f.dial("role=lead&sessionId=" + id), f, id}
	lead.expect("init", "session_hydration")
	lead.tells("agent_start", "")
	lead.tells("message_end", says(agentSays, "By the program.", "stop"))
	require.NoError(t, lead.conn.CloseNow())
	for range 2 { // the program comes, and then the agent
		c.until("broadcast session_join")
	}
	f.Answer(codertest.AgentTurn{Text: "By the Hub."})
	c.prompt("Go on")
	c.until("rpc agent_end")
	assert.Equal(t, []string{"user_prompt Say hello", "message By the program.", "user_prompt Go on", "message By the Hub."}, lead.entries())
}

// What a controller has said is in the conversation once.
func TestPromptsAreEnteredOnce(t *testing.T) {
	f := start(t)
	lead := f.lead()
	c := f.control(lead.id)
	c.command("prompt", "Go")
	c.command("follow_up", "Go")
	lead.expect("rpc_command", "rpc_command")
	lead.tells("agent_start", "")
	for _, text := range []string{"Go", " Go\\n", "Go", "typed in the terminal"} {
		lead.tells("message_start", says(userSays, text))
		lead.tells("message_end", says(userSays, text))
	}
	assert.Equal(t, []string{"user_prompt Go", "user_prompt Go", "user_prompt Go", "user_prompt typed in the terminal"}, lead.entries())

	byTask := f.dial("role=lead&task=Mine")
	withTask := program{byTask, f, byTask.expect("init")["sessionId"].(string)}
	withTask.tells("message_end", says(userSays, "Mine"))
	withTask.tells("message_end", `,"message":{"role":"user","content":"As a text"}`)
	withTask.tells("message_end", `,"message":{"role":"user","content":[{"type":"image"}]}`)
	assert.Equal(t, []string{"user_prompt Mine", "user_prompt As a text"}, withTask.entries())
}

// A lead that takes up no prompts does not fill the memory.
func TestPromptsThatAreNeverTakenUp(t *testing.T) {
	f := start(t)
	lead := f.lead()
	c := f.control(lead.id)
	for i := range 1001 {
		c.command("prompt", fmt.Sprint("prompt ", i))
		lead.expect("rpc_command")
	}
	for _, text := range []string{"prompt 0", "prompt 1", "prompt 1000"} {
		lead.tells("message_end", says(userSays, text))
	}
	assert.Equal(t, []string{"user_prompt prompt 1000", "user_prompt prompt 0"}, lead.entries()[1000:], "the oldest is forgotten")
}

// A lead that writes the conversation itself is believed.
func TestALeadThatKeepsTheConversation(t *testing.T) {
	f := start(t)
	lead := f.lead()
	lead.send(`{"type":"session_entry","path":"a.jsonl","line":"{\"type\":\"message\",\"content\":\"Written.\"}"}`)
	lead.tells("message_end", says(agentSays, "Reported.", "stop"))
	assert.Equal(t, []string{"message Written."}, lead.entries())
}

// What a sub-agent reports over a connection of its own is in the history only.
func TestReportsOfSubAgents(t *testing.T) {
	f := start(t)
	lead := f.lead()
	sub := f.dial("role=lead&agent=scout&parent=" + lead.id)
	sub.expect("init", "session_hydration")
	scout := program{sub, f, lead.id}
	scout.tells("agent_start", "")
	scout.tells("message_end", says(agentSays, "Seen.", "stop"))
	scout.prints("agent_start", "")
	assert.Empty(t, lead.entries())
	assert.Empty(t, lead.detail()["agentActivity"])
	assert.Equal(t, false, at(t, lead.hydration(), "streamingState", "isStreaming"))
	assert.Contains(t, all(t, f.get("/hub/session/" + lead.id + "/events/history")["events"], "event"), "agent_start")
}

func TestWhatALeadIsAt(t *testing.T) {
	f := start(t)
	lead := f.lead()
	assert.NotContains(t, lead.detail(), "agentActivity")
	activity := func() string {
		t.Helper()
		return text(at(t, lead.detail(), "agentActivity", "lead"), "name", "status", "toolCallCount", "currentTool", "currentToolArgs")
	}
	streams := func() any {
		t.Helper()
		return at(t, lead.hydration(), "streamingState", "isStreaming")
	}
	lead.tells("agent_start", "")
	assert.Equal(t, "lead running 0 <nil> <nil>", activity())
	assert.Equal(t, true, streams())
	assert.NotContains(t, lead.detail(), "stream")
	lead.tells("message_start", agentBegin)
	assert.Equal(t, "  map[]", text(lead.detail()["stream"], "output", "thinking", "tasks"), "message_start may be ahead")
	lead.tells("message_update", says(agentDelta, "thinking", 0, "Hm"))
	lead.tells("message_update", says(agentDelta, "text", 1, "I "))
	lead.tells("message_update", says(agentDelta, "toolcall", 2, "{}"))
	lead.tells("message_update", says(agentDelta, "thinking", 0, "."))
	lead.tells("message_update", says(agentDelta, "text", 1, "see"))
	lead.tells("message_update", says(agentDelta, "text", 1000000000, ", and"))
	want := "I see, and Hm. map[]"
	assert.Equal(t, want, text(lead.detail()["stream"], "output", "thinking", "tasks"))
	assert.Equal(t, want, text(lead.hydration()["stream"], "output", "thinking", "tasks"))
	observer := f.observe(lead.id, "")
	snapshot := observer.next()
	assert.Equal(t, want, text(snapshot["stream"], "output", "thinking", "tasks"))
	assert.Equal(t, "running", at(t, snapshot, "agentActivity", "lead", "status"))
	assert.Equal(t, want, text(observer.next()["stream"], "output", "thinking", "tasks"))
	observer.close()
	lead.tells("message_update", `,"assistantMessageEvent":{"type":"text_end","contentIndex":1,"content":"I see it"}`)
	assert.Equal(t, "I see it, and", at(t, lead.detail(), "stream", "output"), "the whole block replaces its pieces")
	lead.tells("message_end", says(agentSays, "I see it", "toolUse"))
	assert.NotContains(t, lead.detail(), "stream")
	lead.tells("message_update", says(agentDelta, "text", 0, "late"))
	assert.NotContains(t, lead.detail(), "stream")

	lead.tells("tool_execution_start", `,"toolCallId":"a","toolName":"read","args":{"path":"x"}`)
	lead.tells("tool_execution_start", `,"toolCallId":"b","toolName":"bash","args":{"command":"`+strings.Repeat("é", 200)+`"}`)
	assert.Equal(t, `lead tool_start 2 read {"path":"x"}`, activity())
	lead.tells("tool_execution_end", `,"toolCallId":"a","toolName":"read"`)
	assert.Equal(t, `lead tool_start 2 bash {"command":"`+strings.Repeat("é", 94), activity(), "arguments are cut")
	lead.tells("tool_execution_end", `,"toolCallId":"b","toolName":"bash"`)
	assert.Equal(t, "lead running 2 <nil> <nil>", activity())
	lead.tells("agent_end", `,"messages":[]`)
	assert.Equal(t, "lead idle 2 <nil> <nil>", activity())
	assert.Equal(t, false, streams())

	// What a run has not ended ends with the lead's next start, or with the lead.
	for _, end := range []string{"session_start", "session_shutdown"} {
		lead.tells("agent_start", "")
		lead.tells("message_start", agentBegin)
		lead.tells("tool_execution_start", `,"toolCallId":"c","toolName":"read"`)
		lead.tells(end, `,"reason":"new"`)
		assert.Equal(t, false, streams(), end)
		assert.NotContains(t, lead.detail(), "stream", end)
	}
	lead.tells("agent_start", "")
	c := f.control(lead.id)
	require.NoError(t, lead.conn.CloseNow())
	c.until("broadcast session_leave")
	assert.Equal(t, false, streams(), "nobody leads")
	assert.Equal(t, "lead idle 4 <nil> <nil>", activity())
}

func TestWaitsForRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t)
		defer f.Close()
		lead := f.lead()
		streams := func() any {
			t.Helper()
			return at(t, lead.hydration(), "streamingState", "isStreaming")
		}
		lead.prints("agent_start", "")
		lead.prints("agent_end", "")
		assert.Equal(t, false, streams())
		lead.prints("auto_retry_start", `,"attempt":1,"delayMs":2000`)
		assert.Equal(t, true, streams())
		time.Sleep(2 * time.Second)
		assert.Equal(t, false, streams(), "it did not try again")
		lead.prints("agent_start", "")
		lead.prints("agent_end", "")
		lead.prints("auto_retry_start", `,"delayMs":1e300`)
		time.Sleep(time.Hour)
		assert.Equal(t, true, streams())
		lead.prints("auto_retry_end", `,"success":false`)
		assert.Equal(t, false, streams())
		lead.prints("auto_retry_start", `,"delayMs":1e300`)
		time.Sleep(24 * time.Hour)
		assert.Equal(t, false, streams(), "no agent waits for so long")
	})
}

func TestTasksOfALead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t)
		defer f.Close()
		lead := f.lead()
		assert.NotContains(t, lead.detail(), "tasks")
		lead.tells("agent_start", "")
		lead.tells("task_start", `,"taskId":"a","agent":"scout","prompt":"Look","description":"d"`)
		lead.tells("task_start", `,"taskId":"b","agent":"builder","prompt":"Build"`)
		lead.tells("task_start", `,"agent":"nobody"`)
		lead.tells("task_start", `,"taskId":"a","agent":"scout","prompt":"Again"`)
		lead.tells("message_update", says(agentDelta, "text", 0, "of no message"))
		lead.tells("agent_progress", `,"taskId":"a","agentName":"scout","status":"tool_start","currentTool":"read","currentToolArgs":"x","elapsed":45`)
		lead.tells("agent_progress", `,"taskId":"b","agentName":"builder","status":"thinking_delta","delta":"Hm","elapsed":3`)
		lead.tells("agent_progress", `,"taskId":"c","agentName":"stranger","status":"text_delta","delta":"?"`)
		const members = "status name toolCallCount currentTool currentToolArgs totalElapsed"
		agent := func(name string) string {
			return text(at(t, lead.detail(), "agentActivity", name), strings.Fields(members)...)
		}
		assert.Equal(t, "tool_start scout 1 read x 45", agent("scout"))
		assert.Equal(t, "running builder 0 <nil> <nil> 3", agent("builder"))
		lead.tells("agent_progress", `,"taskId":"a","agentName":"scout","status":"tool_end","elapsed":61`)
		assert.Equal(t, "tool_end scout 1 <nil> <nil> 61", agent("scout"))
		for _, piece := range []string{"It is ", "there."} {
			lead.tells("agent_progress", `,"taskId":"a","agentName":"scout","status":"text_delta","delta":"`+piece+`","elapsed":70`)
		}
		hydration := lead.hydration()
		assert.Equal(t, "[map[agent:scout taskId:a] map[agent:builder taskId:b]]", text(hydration["streamingState"], "activeTasks"))
		assert.Equal(t, "  map[a:map[output:It is there. thinking:] b:map[output: thinking:Hm]]",
			text(hydration["stream"], "output", "thinking", "tasks"))
		assert.Equal(t, "a scout Look running 2000-01-01T00:00:00.000Z", text(at(t, hydration, "tasks", 0), "taskId", "agent", "prompt", "status", "startedAt"))

		time.Sleep(time.Second)
		lead.tells("task_complete", `,"taskId":"a","agent":"scout","duration":86,"result":"It is there."`)
		lead.tells("task_error", `,"taskId":"b","agent":"builder","error":"no tools"`)
		lead.tells("task_complete", `,"taskId":"b","agent":"builder","result":"late"`)
		lead.tells("agent_progress", `,"taskId":"b","agentName":"builder","status":"text_delta","delta":"late"`)
		detail := lead.detail()
		assert.NotContains(t, detail, "stream")
		assert.InDelta(t, 4, detail["taskCount"], 0, "as often as one has begun")
		assert.Equal(t, []any{
			map[string]any{
				"taskId": "a", "agent": "scout", "prompt": "Look", "status": "completed", "startedAt": "2000-01-01T00:00:00.000Z",
				"completedAt": "2000-01-01T00:00:01.000Z", "duration": 86.0, "result": "It is there.",
			},
			map[string]any{
				"taskId": "b", "agent": "builder", "prompt": "Build", "status": "failed", "startedAt": "2000-01-01T00:00:00.000Z",
				"completedAt": "2000-01-01T00:00:01.000Z", "error": "no tools",
			},
		}, detail["tasks"])
		assert.Equal(t, "completed scout 1 <nil> <nil> 86", agent("scout"))
		assert.Equal(t, "failed builder 0 <nil> <nil> 3", agent("builder"))
		observer := f.observe(lead.id, "")
		assert.InDelta(t, 4, observer.next()["taskCount"], 0)
		assert.Equal(t, detail["tasks"], observer.next()["tasks"])
		observer.close()
		entries := f.get("/hub/session/" + lead.id + "/replay")["entries"]
		assert.Equal(t, "task_result scout It is there. a false", text(at(t, entries, 0), "type", "agent", "content", "taskId", "isError"))
		assert.Equal(t, "task_result builder no tools b true", text(at(t, entries, 1), "type", "agent", "content", "taskId", "isError"))
		for _, event := range f.get("/hub/session/" + lead.id + "/events/history")["events"].([]any) {
			switch at(t, event, "event") {
			case "task_start", "agent_progress", "task_complete", "task_error":
				assert.Equal(t, at(t, event, "payload", "taskId"), at(t, event, "taskId"))
				assert.Contains(t, []any{"scout", "builder", "stranger", "nobody"}, at(t, event, "agent"))
			default:
				assert.NotContains(t, event, "taskId")
			}
		}

		lead.tells("task_start", `,"taskId":"c","agent":"scout","prompt":"Look elsewhere"`)
		lead.tells("agent_progress", `,"taskId":"c","agentName":"scout","status":"tool_start","currentTool":"grep","elapsed":5`)
		assert.Equal(t, "tool_start scout 2 grep <nil> 5", agent("scout"), "it counts for all its tasks")

		// A test may say something else.
		f.Session(lead.id).Set("tasks", []any{})
		assert.Equal(t, []any{}, lead.detail()["tasks"])
		assert.Equal(t, []any{}, lead.hydration()["tasks"])
	})
}

// Members of a wrong type are no reason to lose the others.
func TestOddReports(t *testing.T) {
	f := start(t)
	lead := f.lead()
	for _, members := range []string{`,"message":7`, `,"message":{"role":"assistant","content":{}}`, `,"message":{"role":"assistant","content":[7]}`} {
		lead.tells("message_end", members)
	}
	lead.tells("message_update", `,"assistantMessageEvent":[]`)
	lead.tells("context", `,"messages":7`)
	lead.tells("message_end", `,"taskId":{},"delayMs":"x","message":{"role":"assistant","content":[{"type":"text","text":"Here."},{"type":"image"}]}`)
	assert.Equal(t, []string{"message Here."}, lead.entries())
}

// storm is an answer of 12 kB in 300 pieces, as the older version's agent reports
// it: with each piece the whole message comes twice.
func storm(lead program) (sent int) {
	var text strings.Builder
	frame := func(event, members string) {
		f := `{"id":"r","type":"event","event":"` + event + `","data":{"type":"` + event + `","agentRole":"lead"` + members + `}}`
		sent += len(f)
		lead.send(f)
		for lead.next()["id"] != "r" {
		}
	}
	message := func() string {
		return `{"role":"assistant","content":[{"type":"text","text":"` + text.String() + `"}],"stopReason":"stop","timestamp":2}`
	}
	frame("context", `,"messages":[`+message()+`]`)
	frame("message_start", `,"message":`+message())
	for i := range 300 {
		piece := fmt.Sprintf("piece %03d of an answer that is quite long ", i)[:40]
		text.WriteString(piece)
		frame("message_update", `,"assistantMessageEvent":{"type":"text_delta","contentIndex":0,"delta":"`+piece+`","partial":`+message()+`},"message":`+message())
	}
	frame("message_end", `,"message":`+message())
	frame("turn_end", `,"message":`+message()+`,"toolResults":[],"context":{"contextMessages":[`+message()+`],"llmMessages":[`+message()+`]}`)
	frame("context", `,"messages":[`+message()+`]`)
	return sent
}

// What the Hub keeps grows with what is said, and not with how often an agent
// repeats it. Who follows the session is told all of it.
func TestWhatIsKeptOfAStorm(t *testing.T) {
	f := start(t)
	lead := f.lead()
	observer := f.watch(lead.id)
	heard := make(chan int)
	go func() {
		n := 0
		for {
			_, data, err := observer.conn.Read(t.Context())
			if err != nil {
				heard <- n
				return
			}
			n += len(data)
		}
	}()
	sent := storm(lead)
	history, err := f.try("GET", "/hub/session/"+lead.id+"/events/history", "")
	require.NoError(t, err)
	frames := 0
	for _, frame := range f.Session(lead.id).Frames() {
		frames += len(frame.Body)
	}
	f.Session(lead.id).Shutdown()
	told := <-heard
	t.Logf("sent %d bytes; the observer was told %d; kept %d in the history and %d as frames", sent, told, len(history.body), frames)
	assert.Greater(t, sent, 3_600_000)
	assert.Greater(t, told, sent, "followers are told everything")
	assert.Less(t, len(history.body), 150_000)
	assert.Less(t, frames, 150_000)
	names := fmt.Sprint(all(t, history.json["events"], "event"))
	assert.Equal(t, 300, strings.Count(names, "message_update"), "no event is left out")
	said := f.get("/hub/session/" + lead.id + "/replay")["entries"]
	assert.Len(t, at(t, said, 0, "content"), 12_000)
}

// Only copies are left out, of events in either way to report them, and all else
// stays as it came.
func TestWhatIsKeptOfEvents(t *testing.T) {
	f := start(t)
	lead := f.lead()
	for _, test := range []struct{ sent, kept string }{
		{`{"type":"message_update","message":{},"usage":1,"assistantMessageEvent":{"type":"text_delta","delta":"a","partial":{}}}`,
			`{"type":"message_update","usage":1,"assistantMessageEvent":{"type":"text_delta","delta":"a"}}`},
		{`{"type":"context","messages":[],"x":1}`, `{"type":"context","x":1}`},
		{`{"type":"turn_end","message":{},"toolResults":[],"context":{}}`, `{"type":"turn_end","message":{},"toolResults":[]}`},
		{`{"type":"before_agent_start","prompt":"p","systemPrompt":"s","systemPromptOptions":{}}`, `{"type":"before_agent_start","prompt":"p"}`},
		{`{"type":"session_before_compact","reason":"r","preparation":{},"branchEntries":[]}`, `{"type":"session_before_compact","reason":"r"}`},
		{`{"type":"tool_execution_update","toolCallId":"a","partialResult":{}}`, `{"type":"tool_execution_update","toolCallId":"a"}`},
		{`{"type":"message_end","message":{"partial":1},"messages":[]}`, `{"type":"message_end","message":{"partial":1},"messages":[]}`},
	} {
		var named struct{ Type string }
		require.NoError(t, json.Unmarshal([]byte(test.sent), &named))
		for form, frame := range map[string]string{
			"extension": `{"id":"r","type":"event","event":"` + named.Type + `","data":%s}`,
			"driver":    `{"type":"rpc_event","event":%s}`,
			"wrapped":   `{"id":"r","type":"event","event":"rpc_event","data":{"event":%s}}`,
		} {
			lead.send(fmt.Sprintf(frame, test.sent))
			lead.send(`{"type":"ping"}`)
			for lead.next()["type"] != "pong" {
			}
			event := at(t, f.get("/hub/session/"+lead.id+"/events/history?limit=1"), "events", 0, "payload")
			assert.JSONEq(t, test.kept, string(encoded(t, event)), form)
			frames := f.Session(lead.id).Frames()
			kept := string(frames[len(frames)-2].Body)
			assert.JSONEq(t, fmt.Sprintf(frame, test.kept), kept, form)
			if test.kept == test.sent {
				assert.Equal(t, fmt.Sprintf(frame, test.sent), kept, "byte for byte")
			}
		}
	}
	observer := f.watch(lead.id)
	lead.prints("context", `,"messages":[1]`)
	assert.Equal(t, "[1]", fmt.Sprint(at(t, observer.expect("broadcast context"), "data", "messages")))
}
