package coder_test

import (
	"bufio"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

// recordedEvent is an event that the real agent was recorded to report.
type recordedEvent struct {
	name string
	data json.RawMessage
}

// recordedEvents returns what the agent reports through its extension, and what it prints in its RPC mode.
func recordedEvents(t *testing.T, file string) (extension, printed []recordedEvent) {
	t.Helper()
	f, err := os.Open(file)
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line struct {
			Channel, Direction string
			Frame              json.RawMessage
		}
		require.NoError(t, json.Unmarshal(lines.Bytes(), &line))
		var frame struct {
			Type, Event string
			Data        json.RawMessage
		}
		if json.Unmarshal(line.Frame, &frame) != nil {
			continue
		}
		switch {
		case line.Channel == "pi-stdout" && line.Direction == "out":
			printed = append(printed, recordedEvent{frame.Type, line.Frame})
		case line.Channel == "lead" && line.Direction == "c2s" && frame.Type == "event":
			extension = append(extension, recordedEvent{frame.Event, frame.Data})
		}
	}
	require.NoError(t, lines.Err())
	return extension, printed
}

// TestAgentEvent_Recordings: every event of the real agent, of both versions, has a type, the same one on the three
// channels, and no member of a message is lost.
func TestAgentEvent_Recordings(t *testing.T) {
	files, err := filepath.Glob("testdata/agent/*/*.jsonl")
	require.NoError(t, err)
	seen := make(map[string]int)
	for _, file := range files {
		extension, printed := recordedEvents(t, file)
		for _, e := range slices.Concat(extension, printed) {
			switch e.name {
			case "response", "extension_ui_request", "rpc_response", "rpc_ui_request": // no events
				continue
			}
			history := coder.SessionEvent{Event: e.name, Payload: e.data}
			event := history.AgentEvent()
			unknown, ok := event.(*coder.UnknownAgentEvent)
			require.False(t, ok, "%s: %s has no type: %v", file, e.name, unknown)
			broadcast := coder.BroadcastEventMessage{Event: e.name, Data: e.data}
			rpc := coder.RPCEventMessage{EventType: e.name, Event: e.data}
			wrapped := coder.SessionEvent{Event: "rpc_event", Payload: json.RawMessage(`{"event":` + string(withType(t, e)) + `}`)}
			assert.Equal(t, event, broadcast.AgentEvent())
			assert.Equal(t, event, rpc.AgentEvent())
			assert.IsType(t, event, wrapped.AgentEvent())
			assertKeepsMessages(t, e, event)
			seen[reflect.TypeOf(event).Elem().Name()]++
		}
	}
	want := []string{
		"AgentContext", "AgentEnd", "AgentProgress", "AgentSettled", "AgentStart", "AutoRetryEnd", "AutoRetryStart", "BeforeAgentStart",
		"CompactionEnd", "CompactionStart", "EntryAppended", "Input", "MessageEnd", "MessageStart", "MessageUpdate", "QueueUpdate",
		"SessionBeforeCompact", "SessionCompact", "SessionShutdown", "SessionStart", "TaskComplete", "TaskError", "TaskStart",
		"ToolCall", "ToolExecutionEnd", "ToolExecutionStart", "ToolExecutionUpdate", "ToolResult", "TurnEnd", "TurnStart",
	}
	assert.Equal(t, want, slices.Sorted(maps.Keys(seen)))
}

// withType returns the payload with its type in it, as it is in RPC mode.
func withType(t *testing.T, e recordedEvent) []byte {
	t.Helper()
	var members map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(e.data, &members))
	members["type"] = json.RawMessage(`"` + e.name + `"`)
	text, err := json.Marshal(members)
	require.NoError(t, err)
	return text
}

// assertKeepsMessages compares the messages of an event with what was sent, member by member.
func assertKeepsMessages(t *testing.T, e recordedEvent, event coder.AgentEvent) {
	t.Helper()
	var sent struct {
		Message     any
		Messages    []any
		ToolResults []any
	}
	require.NoError(t, json.Unmarshal(e.data, &sent))
	same := func(sent, got any) {
		t.Helper()
		text, err := json.Marshal(got)
		require.NoError(t, err)
		var read any
		require.NoError(t, json.Unmarshal(text, &read))
		assert.Equal(t, withoutZeros(sent), withoutZeros(read), e.name)
	}
	switch event := event.(type) {
	case *coder.MessageStart:
		same(sent.Message, event.Message)
	case *coder.MessageEnd:
		same(sent.Message, event.Message)
	case *coder.TurnEnd:
		same(sent.Message, event.Message)
		same(sent.ToolResults, event.ToolResults)
	case *coder.AgentEnd:
		same(sent.Messages, event.Messages)
	case *coder.AgentContext:
		same(sent.Messages, event.Messages)
	}
}

// withoutZeros drops members that say nothing. A content that is a text becomes a list.
func withoutZeros(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = withoutZeros(v[i])
		}
	case map[string]any:
		if text, ok := v["content"].(string); ok && v["role"] != nil {
			v["content"] = []any{map[string]any{"type": "text", "text": text}}
		}
		for name, member := range v {
			member = withoutZeros(member)
			if v[name] = member; member == nil || member == "" || member == false || member == 0.0 {
				delete(v, name)
			}
		}
	}
	return v
}

// TestMessageUpdate_Recordings: the deltas of each block, joined, are the text that ends it; thoughts and the
// arguments of tools are no text.
func TestMessageUpdate_Recordings(t *testing.T) {
	for file, want := range map[string]string{
		"0.74.2/thinking":          "Here is the answer.",
		"0.74.2/tools-three-turns": "Now I write.All done.",
		"1.6.0/rpc-tools":          "Now I write.All done.",
	} {
		extension, printed := recordedEvents(t, "testdata/agent/"+file+".jsonl")
		events := extension
		if strings.HasPrefix(file, "1.6.0/rpc-") {
			events = printed
		}
		var text, said, thoughts strings.Builder
		for _, e := range events {
			update, ok := (&coder.SessionEvent{Event: e.name, Payload: e.data}).AgentEvent().(*coder.MessageUpdate)
			if !ok {
				continue
			}
			text.WriteString(update.TextDelta())
			switch {
			case update.Phase == coder.UpdateEnd && update.Kind == coder.UpdateText:
				said.WriteString(update.Content)
			case update.Phase == coder.UpdateEnd && update.Kind == coder.UpdateThinking:
				thoughts.WriteString(update.Content)
			case update.Phase == coder.UpdateEnd && update.Kind == coder.UpdateToolCall:
				require.NotNil(t, update.ToolCall, file)
				assert.NotEmpty(t, update.ToolCall.ID)
				assert.NotEmpty(t, update.ToolCall.Arguments)
			}
		}
		assert.Equal(t, want, said.String(), file)
		assert.Equal(t, want, text.String(), file)
		assert.Equal(t, strings.HasSuffix(file, "thinking"), thoughts.Len() > 0, file)
	}
}

// TestAgentEvent_Forms: both names of things, and what is of no use.
func TestAgentEvent_Forms(t *testing.T) {
	for name, test := range map[string]struct {
		event, payload string
		want           coder.AgentEvent
	}{
		"input of a tool":     {"tool_call", `{"toolCallId":"1","toolName":"read","input":{"path":"a"}}`, &coder.ToolCall{ToolCallID: "1", ToolName: "read", Args: json.RawMessage(`{"path":"a"}`)}},
		"args of a tool":      {"tool_call", `{"toolCallId":"1","toolName":"read","args":{"path":"a"}}`, &coder.ToolCall{ToolCallID: "1", ToolName: "read", Args: json.RawMessage(`{"path":"a"}`)}},
		"a text":              {"tool_result", `{"content":"done","isError":true}`, &coder.ToolResult{Content: coder.MessageContent{{Type: "text", Text: "done"}}, IsError: true}},
		"an older name":       {"auto_compaction_start", `{"reason":"overflow"}`, &coder.CompactionStart{Reason: "overflow"}},
		"a prompt, as text":   {"user_prompt", `{"text":"hi","timestamp":5}`, &coder.UserPrompt{Text: "hi", Timestamp: coder.UnixMilli{Time: unixMilli(5)}}},
		"a prompt":            {"user_prompt", `{"content":"hi"}`, &coder.UserPrompt{Text: "hi"}},
		"willRetry":           {"agent_end", `{"messages":[],"willRetry":false}`, &coder.AgentEnd{Messages: []coder.AgentMessage{}, WillRetry: new(false)}},
		"an update of an id":  {"message_update", `{"assistantMessageEvent":{"type":"toolcall_start","contentIndex":1,"id":"c","toolName":"read"}}`, &coder.MessageUpdate{Kind: "toolcall", Phase: "start", ContentIndex: 1, ToolCall: &coder.ContentBlock{Type: "toolCall", ID: "c", Name: "read"}}},
		"a member of a kind":  {"input", `{"text":7,"source":"rpc"}`, &coder.Input{Source: "rpc"}},
		"an event of the Hub": {"session_join", `{"participant":{}}`, &coder.UnknownAgentEvent{Name: "session_join", Raw: json.RawMessage(`{"participant":{}}`)}},
		"no object":           {"agent_end", `[]`, &coder.UnknownAgentEvent{Name: "agent_end", Raw: json.RawMessage(`[]`)}},
		"no JSON":             {"agent_end", `{"messages":`, &coder.UnknownAgentEvent{Name: "agent_end", Raw: json.RawMessage(`{"messages":`)}},
		"nothing":             {"agent_end", ``, &coder.UnknownAgentEvent{Name: "agent_end", Raw: json.RawMessage{}}},
		"an empty envelope":   {"rpc_event", `{"event":7}`, &coder.UnknownAgentEvent{Name: "rpc_event", Raw: json.RawMessage(`{"event":7}`)}},
	} {
		event := coder.SessionEvent{Event: test.event, Payload: json.RawMessage(test.payload)}
		assert.Equal(t, test.want, event.AgentEvent(), name)
	}
}

func unixMilli(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

func TestAgentEnd_Answer(t *testing.T) {
	end := coder.AgentEnd{Messages: []coder.AgentMessage{{Role: "assistant", StopReason: "toolUse"}, {Role: "toolResult"}, {Role: "assistant", StopReason: "stop"}, {Role: "user"}}}
	assert.Same(t, &end.Messages[2], end.Answer())
	assert.Nil(t, new(coder.AgentEnd).Answer())
}

func TestMessageContent(t *testing.T) {
	content := coder.MessageContent{
		{Type: "thinking", Thinking: "hm", ThinkingSignature: "s"}, {Type: "text", Text: "a"},
		{Type: "toolCall", ID: "1", Name: "read", Arguments: json.RawMessage(`{}`)}, {Type: "text", Text: "b"}, {Type: "video", Text: "no"},
	}
	assert.Equal(t, "ab", content.Text())
	assert.Equal(t, "hm", content.Thinking())
	assert.Equal(t, content[2:3], coder.MessageContent(content.ToolCalls()))
}

func TestRPCResponse_Disposition(t *testing.T) {
	assert.Equal(t, coder.PromptHandled, (&coder.RPCResponse{Data: json.RawMessage(`{"disposition":"handled"}`)}).Disposition())
	assert.Empty(t, (&coder.RPCResponse{}).Disposition())
}
