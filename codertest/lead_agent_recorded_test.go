package codertest_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/codertest"
)

// player plays what was done to a recorded agent to the Hub's own.
type player struct {
	*client
	session *codertest.SessionControl
}

// tell sends a command, with further members.
func (p player) tell(kind, message string, members ...string) {
	p.Helper()
	p.send(`{"type":"rpc_command","command":{"type":"` + kind + `","message":"` + message + `"` + strings.Join(members, "") + `}}`)
}

const queues = `,"streamingBehavior":"followUp"`

// after sends a command when the agent has worked for so long. It takes a second
// before it takes a prompt, before each piece of a message, and for a tool.
func (p player) after(worked time.Duration, kind, message string, members ...string) {
	p.Helper()
	time.Sleep(worked)
	p.tell(kind, message, members...)
}

var (
	hello  = codertest.AgentTurn{Text: "Hello, this is the answer."}
	second = codertest.AgentTurn{Text: "The second answer."}
	slow   = codertest.AgentTurn{Text: "slow 0 slow 1 slow 2 slow 3 slow 4"}
	reads  = codertest.AgentTool{Name: "read", Args: map[string]any{"path": "notes.txt"}, Result: "line one"}
	runs   = codertest.AgentTool{Name: "bash", Args: map[string]any{"command": "sleep 2"}, Result: "slept"}
	asleep = codertest.AgentTurn{Tools: []codertest.AgentTool{runs}}
	allDon = codertest.AgentTurn{Text: "All done."}
	later  = 5 * time.Minute
)

// played says for a recording what was done to the agent, and what its model said.
type played struct {
	file string
	// begun says that the agent had answered prompts before, which the recording
	// does not have.
	begun bool
	do    func(p player)
}

// overRPC are recordings of the RPC mode.
var overRPC = []played{
	{"real-lead/rpc-mode", false, func(p player) {
		p.session.Answer(codertest.AgentTurn{Text: "I will read it.", Tools: []codertest.AgentTool{reads}}, allDon)
		p.session.Answer(codertest.AgentTurn{Tools: []codertest.AgentTool{{Ask: &codertest.AgentQuestion{Method: "confirm"}}}}, allDon)
		p.session.Answer(slow)
		p.session.Answer(second)
		p.tell("prompt", "Read the notes")
		p.after(later, "prompt", "Ask me")
		time.Sleep(later)
		p.send(`{"type":"rpc_ui_response","id":"ui_000001","result":true}`)
		p.after(later, "prompt", "Slowly")
		p.after(4*time.Second+time.Millisecond, "prompt", "Another")
		p.tell("follow_up", "Follow")
		time.Sleep(later)
		p.session.FailModel(codertest.AgentOverloaded)
		p.session.Answer(hello)
		p.tell("prompt", "Overload")
		p.after(later, "compact", "")
	}},
	{"real-lead-1.6/rpc-text", false, func(p player) {
		p.session.Answer(hello)
		p.tell("prompt", "Say something")
	}},
	{"real-lead-1.6/rpc-tools", false, func(p player) {
		p.session.Answer(
			codertest.AgentTurn{Tools: []codertest.AgentTool{reads, runs}},
			codertest.AgentTurn{Text: "Now I write.", Tools: []codertest.AgentTool{{Name: "write"}}},
			allDon,
		)
		p.tell("prompt", "Do two things")
	}},
	{"real-lead-1.6/rpc-empty", false, func(p player) {
		p.session.Answer()
		p.tell("prompt", "Say nothing")
	}},
	{"real-lead-1.6/rpc-529-once", false, func(p player) {
		p.session.FailModel(codertest.AgentOverloaded)
		p.session.Answer(hello)
		p.tell("prompt", "Overload")
	}},
	{"real-lead-1.6/rpc-500-three", false, func(p player) {
		p.session.FailModel(codertest.AgentServerError, codertest.AgentServerError, codertest.AgentServerError, codertest.AgentServerError)
		p.tell("prompt", "Fail")
	}},
	{"real-lead-1.6/rpc-400", false, func(p player) {
		p.session.FailModel(codertest.AgentInvalidRequest)
		p.tell("prompt", "Fail")
	}},
	{"real-lead-1.6/rpc-overflow", true, func(p player) {
		p.session.FailModel(codertest.AgentContextOverflow)
		p.session.Answer(hello)
		p.tell("prompt", "Too long")
	}},
	{"real-lead-1.6/rpc-compaction-fails", true, func(p player) {
		p.session.FailModel(codertest.AgentContextOverflow, codertest.AgentInvalidRequest)
		p.tell("prompt", "Too long")
	}},
	{"real-lead-1.6/rpc-threshold-compacts", true, func(p player) {
		p.session.Answer(codertest.AgentTurn{Text: "Nearly full.", ContextFull: true})
		p.tell("prompt", "Nearly full")
	}},
	{"real-lead-1.6/rpc-abort-in-text", false, func(p player) {
		p.session.Answer(slow)
		p.tell("prompt", "Talk")
		p.after(4*time.Second+time.Millisecond, "abort", "")
		p.after(later, "abort", "")
	}},
	{"real-lead-1.6/rpc-abort-in-tool", false, func(p player) {
		p.session.Answer(asleep, allDon)
		p.tell("prompt", "Sleep")
		p.after(3*time.Second+time.Millisecond, "abort", "")
	}},
	{"real-lead-1.6/rpc-abort-in-retry-wait", false, func(p player) {
		p.session.FailModel(codertest.AgentServerError, codertest.AgentServerError)
		p.tell("prompt", "Fail")
		p.after(3*time.Second, "abort", "")
		p.after(later, "prompt", "Fail")
		p.after(3*time.Second, "abort_retry", "")
	}},
	{"real-lead-1.6/rpc-abort-with-follow-up-queued", false, func(p player) {
		p.session.Answer(slow)
		p.session.Answer(hello)
		p.session.Answer(second)
		p.tell("prompt", "Talk")
		p.after(4*time.Second+time.Millisecond, "follow_up", "And then")
		p.after(time.Second/2, "abort", "")
		p.after(later, "prompt", "Anew")
	}},
	{"real-lead-1.6/rpc-abort-with-steer-queued", false, func(p player) {
		p.session.Answer(slow)
		p.tell("prompt", "Talk")
		p.after(4*time.Second+time.Millisecond, "steer", "Otherwise")
		p.after(time.Second/2, "abort", "")
	}},
	{"real-lead-1.6/rpc-clear-queue-then-abort", false, func(p player) {
		p.session.Answer(slow)
		p.tell("prompt", "Talk")
		p.after(4*time.Second+time.Millisecond, "follow_up", "And then")
		p.tell("clear_queue", "")
		p.after(time.Second/2, "abort", "")
	}},
	{"real-lead-1.6/rpc-steer-in-text", false, func(p player) {
		p.session.Answer(slow)
		p.tell("prompt", "Slowly")
		p.after(4*time.Second+time.Millisecond, "steer", "Otherwise")
		p.after(later, "steer", "While idle")
		p.after(later, "prompt", "Anew")
	}},
	{"real-lead-1.6/rpc-follow-up", false, func(p player) {
		p.session.Answer(slow)
		for range 3 {
			p.session.Answer(second)
		}
		p.tell("prompt", "Slowly")
		p.after(4*time.Second+time.Millisecond, "follow_up", "And then")
		p.after(later, "follow_up", "While idle")
		p.after(later, "prompt", "Anew")
	}},
	{"real-lead-1.6/rpc-follow-up-idle", false, followUpIdle},
	{"real-lead-1.6/rpc-follow-up-idle.pi-0.74.2", false, followUpIdle},
	{"real-lead-1.6/rpc-prompt-while-busy", false, func(p player) {
		p.session.Answer(slow)
		p.session.Answer(hello)
		p.tell("prompt", "Slowly")
		p.after(4*time.Second+time.Millisecond, "prompt", "Another")
		p.tell("prompt", "A third", queues)
	}},
	{"real-lead-1.6/rpc-streaming-behavior", false, streamingBehavior},
	{"real-lead-1.6/rpc-streaming-behavior.pi-0.74.2", false, streamingBehavior},
	{"real-lead-1.6/rpc-two-prompts-at-once-no-extension", false, twoAtOnce},
	{"real-lead-1.6/rpc-two-prompts-at-once-no-extension.pi-0.74.2", false, twoAtOnce},
	{"real-lead-1.6/rpc-prompt-then-follow-up-at-once", false, func(p player) {
		p.session.Answer(hello)
		p.session.Answer(second)
		p.session.Answer(hello)
		p.tell("prompt", "One")
		p.tell("follow_up", "Two")
		p.after(later, "prompt", "Three")
		p.tell("prompt", "Four", queues)
	}},
}

func followUpIdle(p player) {
	p.session.Answer(hello)
	p.tell("prompt", "One")
	p.after(later, "follow_up", "While idle")
	p.tell("steer", "While idle")
}

func streamingBehavior(p player) {
	p.session.Answer(slow)
	p.session.Answer(second)
	p.session.Answer(hello)
	p.tell("prompt", "Slowly", queues)
	p.after(4*time.Second+time.Millisecond, "prompt", "Two", queues)
	p.after(later, "prompt", "Three", queues)
}

func twoAtOnce(p player) {
	p.session.Answer(hello)
	p.tell("prompt", "One")
	p.tell("prompt", "Two")
}

// overExtension are recordings of what the extension reports.
var overExtension = []played{
	{"real-lead/text", false, answers(hello)},
	{"real-lead-1.6/text", false, answers(hello)},
	{"real-lead/thinking", false, answers(codertest.AgentTurn{Thinking: "First I think, then I speak.", Text: "Here is the answer."})},
	{"real-lead/empty", false, answers()},
	{"real-lead/length", false, answers(codertest.AgentTurn{Text: "This is cut in the midd", StopReason: "length"})},
	{"real-lead/tool-read", false, answers(codertest.AgentTurn{Text: "I will read it.", Tools: []codertest.AgentTool{reads}}, allDon)},
	{"real-lead/tool-fails", false, answers(codertest.AgentTurn{Tools: []codertest.AgentTool{{Name: "bash", IsError: true}}}, allDon)},
	{"real-lead/tools-three-turns", false, threeTurns},
	{"real-lead-1.6/tools-three-turns", false, threeTurns},
	{"real-lead/sub-agent-task", false, answers(codertest.AgentTurn{Text: "I delegate.", Tools: []codertest.AgentTool{{
		Task: &codertest.AgentTask{Prompt: "Look", Progress: []string{"", "", "The sub-agent ", "has looked."}, Result: "It has looked."},
	}}}, allDon)},
	{"real-lead-1.6/sub-agent-task", false, answers(codertest.AgentTurn{Text: "I delegate.", Tools: []codertest.AgentTool{{
		Task: &codertest.AgentTask{Prompt: "Look", Error: "getModel is not a function"},
	}}}, allDon)},
	{"real-lead/error-400", false, fails(codertest.AgentInvalidRequest)},
	{"real-lead-1.6/error-400", false, fails(codertest.AgentInvalidRequest)},
	{"real-lead/error-529-once", false, fails(codertest.AgentOverloaded)},
	{"real-lead-1.6/error-529-once", false, fails(codertest.AgentOverloaded)},
	{"real-lead/error-500-retried", false, fails(codertest.AgentServerError, codertest.AgentServerError, codertest.AgentServerError, codertest.AgentServerError)},
	{"real-lead-1.6/error-500-retried", false, fails(codertest.AgentServerError, codertest.AgentServerError, codertest.AgentServerError, codertest.AgentServerError)},
	{"real-lead/no-model-key", false, withoutKey},
	{"real-lead-1.6/no-model-key", false, withoutKey},
	{"real-lead/overflow-compacts", false, func(p player) {
		for range 3 {
			p.session.Answer(hello)
		}
		p.tell("prompt", "One word")
		p.after(later, "prompt", "One word")
		time.Sleep(later)
		p.session.FailModel(codertest.AgentContextOverflow)
		p.tell("prompt", "Too long")
	}},
	{"real-lead-1.6/overflow-compacts", true, fails(codertest.AgentContextOverflow)},
	{"real-lead-1.6/compaction-fails", true, fails(codertest.AgentContextOverflow, codertest.AgentInvalidRequest)},
	{"real-lead/abort", false, abortInText},
	{"real-lead-1.6/abort", false, abortInText},
	{"real-lead-1.6/abort-in-tool", false, func(p player) {
		p.session.Answer(asleep)
		p.tell("prompt", "Sleep")
		p.after(3*time.Second+time.Millisecond, "abort", "")
	}},
	{"real-lead/abort-in-retry-wait", false, abortInRetryWait},
	{"real-lead-1.6/abort-in-retry-wait", false, abortInRetryWait},
	{"real-lead/abort-with-follow-up-queued", false, abortWithFollowUp},
	{"real-lead-1.6/abort-with-follow-up-queued", false, abortWithFollowUp},
	{"real-lead-1.6/follow-up", false, func(p player) {
		p.session.Answer(slow)
		p.session.Answer(second)
		p.tell("prompt", "Slowly")
		p.after(4*time.Second+time.Millisecond, "follow_up", "And then")
	}},
	{"real-lead/steer-idle", false, func(p player) {
		p.session.Answer(hello)
		p.tell("steer", "While idle")
	}},
	{"real-lead/steer-in-tool", false, func(p player) {
		p.session.Answer(asleep, allDon)
		p.tell("prompt", "Sleep")
		p.after(3*time.Second+time.Millisecond, "steer", "Otherwise")
	}},
	{"real-lead/prompt-while-busy", false, func(p player) {
		p.session.Answer(slow)
		p.session.Answer(second)
		p.session.Answer(hello)
		p.tell("prompt", "Slowly")
		p.after(4*time.Second+time.Millisecond, "prompt", "Also this")
		p.tell("prompt", "And a third")
	}},
	{"real-lead/two-prompts", false, func(p player) {
		p.session.Answer(hello)
		p.session.Answer(second)
		p.tell("prompt", "One")
		p.after(later, "prompt", "Two")
	}},
	{"real-lead/prompt-in-retry-wait", false, func(p player) {
		p.session.Answer(codertest.AgentTurn{Text: "I will read it.", Tools: []codertest.AgentTool{reads}}, allDon)
		p.session.Answer(codertest.AgentTurn{Thinking: "First I think, then I speak.", Text: "Here is the answer."})
		p.tell("prompt", "Read the notes")
		p.after(later, "prompt", "Think")
		time.Sleep(later)
		p.session.FailModel(codertest.AgentOverloaded)
		p.session.Answer(hello)
		p.session.Answer(second)
		p.tell("prompt", "Overload")
		p.after(3*time.Second, "prompt", "And now")
	}},
	{"real-lead-1.6/prompt-in-retry-wait", false, func(p player) {
		p.session.FailModel(codertest.AgentOverloaded)
		p.session.Answer(hello)
		p.session.Answer(second)
		p.tell("prompt", "Overload")
		p.after(3*time.Second, "prompt", "Another")
	}},
	{"real-lead-1.6/prompt-then-follow-up-at-once", false, promptThenFollowUp},
	{"real-lead-1.6/prompt-then-follow-up-at-once.pi-0.74.2", false, promptThenFollowUp},
}

func answers(turns ...codertest.AgentTurn) func(player) {
	return func(p player) {
		p.session.Answer(turns...)
		p.tell("prompt", "Say something")
	}
}

func fails(errs ...codertest.AgentError) func(player) {
	return func(p player) {
		p.session.FailModel(errs...)
		p.session.Answer(hello)
		p.tell("prompt", "Fail")
	}
}

func withoutKey(p player) {
	p.session.FailModel(codertest.AgentNoModelKey, codertest.AgentNoModelKey)
	p.tell("prompt", "Hi")
	p.after(later, "prompt", "Hi")
}

func threeTurns(p player) {
	p.session.Answer(
		codertest.AgentTurn{Tools: []codertest.AgentTool{reads, runs}},
		codertest.AgentTurn{Text: "Now I write.", Tools: []codertest.AgentTool{{Name: "write"}}},
		allDon,
	)
	p.tell("prompt", "Do two things")
}

func abortInText(p player) {
	p.session.Answer(slow)
	p.tell("prompt", "Talk")
	p.after(4*time.Second+time.Millisecond, "abort", "")
	p.after(later, "abort", "")
}

func abortInRetryWait(p player) {
	p.session.FailModel(codertest.AgentServerError)
	p.tell("prompt", "Fail")
	p.after(3*time.Second, "abort", "")
}

func abortWithFollowUp(p player) {
	p.session.Answer(slow)
	p.session.Answer(hello)
	p.session.Answer(second)
	p.tell("prompt", "Talk")
	p.after(4*time.Second+time.Millisecond, "follow_up", "And then")
	p.after(time.Second/2, "abort", "")
	p.after(later, "prompt", "Anew")
}

func promptThenFollowUp(p player) {
	p.session.Answer(hello)
	p.tell("prompt", "One")
	p.tell("follow_up", "Two")
}

// The Hub's own agent reports the same events in the same order as the recorded
// one, with the same roles and ends of messages.
func TestAgentBehavesAsRecorded(t *testing.T) {
	for dialect, recordings := range map[codertest.AgentDialect][]played{
		codertest.DialectRPC: overRPC, codertest.DialectExtension: overExtension,
	} {
		for _, test := range recordings {
			t.Run(test.file, func(t *testing.T) {
				version := "0.74.2"
				if strings.HasPrefix(test.file, "real-lead-1.6/") && !strings.HasSuffix(test.file, "pi-0.74.2") {
					version = "1.6.0"
				}
				assert.Equal(t, recordedEvents(t, test.file, version), ownEvents(t, test, dialect, version))
			})
		}
	}
}

// ownEvents plays to the Hub's own agent and returns what is compared of what it
// has reported.
func ownEvents(t *testing.T, test played, dialect codertest.AgentDialect, version string) (events []string) {
	t.Helper()
	for _, event := range ownHistory(t, test, dialect, version) {
		events = note(events, event.name, event.payload, version)
	}
	return events
}

// ownHistory plays to the Hub's own agent and returns what has happened then.
func ownHistory(t *testing.T, test played, dialect codertest.AgentDialect, version string) (events []happened) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := start(t, codertest.WithAgentDialect(dialect), codertest.WithAgentVersion(version), codertest.WithAgentPace(time.Second))
		defer f.Close()
		id := f.dial("role=controller").expect("init")["sessionId"].(string)
		p := player{f.control(id), f.Session(id)}
		var live []happened
		heard := make(chan struct{})
		go func() { // nothing has to wait for a reader
			defer close(heard)
			live = liveEvents(t, p.conn)
		}()
		before := 0
		if test.begun {
			p.session.Answer(hello)
			p.tell("prompt", "Before")
			time.Sleep(later)
			before = len(f.history(id))
		}
		test.do(p)
		time.Sleep(later)
		events = f.history(id)
		assert.NoError(t, p.conn.CloseNow())
		<-heard
		restoreCopies(events, live)
		events = events[before:]
	})
	return events
}

// liveEvents returns what a controller is told of its agent, until its connection
// ends.
func liveEvents(t *testing.T, conn *websocket.Conn) (events []happened) {
	for {
		_, data, err := conn.Read(t.Context())
		if err != nil {
			return events
		}
		var frame struct {
			Event string `json:"event"`
			Data  struct {
				Event map[string]any `json:"event"`
			} `json:"data"`
		}
		if assert.NoError(t, json.Unmarshal(data, &frame)) && frame.Event == "rpc_event" {
			events = append(events, happened{frame.Data.Event["type"].(string), frame.Data.Event})
		}
	}
}

// restoreCopies gives the events of the history the members that it leaves out, and
// that controllers were told. All others have to be the same.
func restoreCopies(events, live []happened) {
	for _, event := range events {
		if len(live) == 0 || live[0].name != event.name {
			continue // it is no event of the agent
		}
		for member, value := range live[0].payload {
			switch {
			case member == "timestamp", member == "agent", member == "type": // of the Hub
			case event.payload[member] == nil, member == "assistantMessageEvent":
				event.payload[member] = value
			}
		}
		live = live[1:]
	}
}

type happened struct {
	name    string
	payload map[string]any
}

// history is what has happened in a session, the oldest first.
func (f fixture) history(id string) (events []happened) {
	f.Helper()
	for _, event := range f.get("/hub/session/" + id + "/events/history")["events"].([]any) {
		events = append(events, happened{at(f, event, "event").(string), at(f, event, "payload").(map[string]any)})
	}
	slices.Reverse(events)
	return events
}

// recordedEvents returns what the recorded agent has reported.
func recordedEvents(t *testing.T, file, version string) (events []string) {
	t.Helper()
	recording, err := os.Open(filepath.Join("..", "internal", "agentrun", "testdata", file+".jsonl"))
	require.NoError(t, err)
	defer func() { _ = recording.Close() }()
	overRPC := strings.HasPrefix(filepath.Base(file), "rpc-")
	lines := bufio.NewScanner(recording)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var line struct {
			Channel, Direction string
			Frame              any
		}
		require.NoError(t, json.Unmarshal(lines.Bytes(), &line))
		frame, isObject := line.Frame.(map[string]any)
		switch {
		case !isObject:
		case overRPC && line.Channel == "pi-stdout" && line.Direction == "out":
			events = note(events, frame["type"].(string), frame, version)
		case !overRPC && line.Channel == "lead" && line.Direction == "c2s" && frame["type"] == "event":
			events = note(events, frame["event"].(string), frame["data"].(map[string]any), version)
		}
	}
	require.NoError(t, lines.Err())
	return events
}

// aside are events that are not compared: those of sessions and questions, and the
// output of a tool so far, which the Hub's own agent does not tell.
var aside = []string{
	"session_start", "session_shutdown", "session_join", "session_leave", "user_prompt",
	"response", "rpc_ui_request", "extension_ui_request", "extension_error", "tool_execution_update",
}

// note appends what is compared of an event. The updates of a message count as one.
// The older version reports the context at any time after it was asked for.
func note(events []string, name string, payload map[string]any, version string) []string {
	if slices.Contains(aside, name) || name == "context" && version == "0.74.2" {
		return events
	}
	line := name
	said := func(message any) {
		if m, ok := message.(map[string]any); ok {
			line += fmt.Sprint(" ", m["role"])
			if m["stopReason"] != nil {
				line += fmt.Sprint(" ", m["stopReason"])
			}
		}
	}
	switch name {
	case "message_update":
	case "agent_end":
		for _, m := range payload["messages"].([]any) {
			said(m)
		}
	default:
		said(payload["message"])
	}
	for _, member := range []string{
		"willRetry", "aborted", "success", "attempt", "delayMs", "reason", "isError", "turnIndex", "outcome", "streamingBehavior",
	} {
		if value, ok := payload[member]; ok {
			line += fmt.Sprint(" ", member, "=", value)
		}
	}
	if len(events) > 0 && name == "message_update" && events[len(events)-1] == line {
		return events
	}
	return append(events, line)
}
