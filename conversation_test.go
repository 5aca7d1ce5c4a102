package coder_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

// page is what a browser makes of the changes.
type page struct {
	messages []coder.ConversationMessage
	state    coder.ConversationState
}

func (p *page) apply(changes []coder.ConversationChange) {
	for _, change := range changes {
		p.messages = append(p.messages, make([]coder.ConversationMessage, max(0, change.Count-len(p.messages)))...)[:change.Count]
		switch {
		case change.Kind == coder.ConversationReplace:
			p.messages[change.Index] = *change.Message
		case change.Kind == coder.ConversationAppend && change.Part == "text":
			p.messages[change.Index].Text += change.Delta
		case change.Kind == coder.ConversationAppend:
			p.messages[change.Index].Thinking += change.Delta
		default:
			p.state = change.State
		}
	}
}

// saidIn returns what the agent has said in a recording, by its own account.
func saidIn(events []timedEvent) (texts []string) {
	for _, e := range events {
		if end, ok := agentEvent(e).(*coder.MessageEnd); ok && end.Message.Role == "assistant" && end.Message.Content.Text() != "" {
			texts = append(texts, end.Message.Content.Text())
		}
	}
	return texts
}

func agentEvent(e timedEvent) coder.AgentEvent {
	payload, _ := json.Marshal(e.event.Payload)
	return (&coder.SessionEvent{Event: e.event.Event, Payload: payload}).AgentEvent()
}

// withoutWholes takes out what newer agents leave out: the message so far.
func withoutWholes(e timedEvent) timedEvent {
	if e.event.Event != coder.EventMessageUpdate {
		return e
	}
	payload, _ := json.Marshal(e.event.Payload)
	var members map[string]any
	_ = json.Unmarshal(payload, &members)
	delete(members, "message")
	if update, ok := members["assistantMessageEvent"].(map[string]any); ok {
		delete(update, "partial")
	}
	e.event.Payload = members
	return e
}

func rpcMessage(e timedEvent) *coder.RPCEventMessage {
	payload, _ := json.Marshal(e.event.Payload)
	return &coder.RPCEventMessage{EventType: e.event.Event, Event: payload, Timestamp: coder.UnixMilli{Time: time.UnixMilli(1700000000000).Add(e.after)}}
}

// hydrationOf is what a Hub hydrates with that was told these events.
func hydrationOf(events []timedEvent) *coder.HubHydrationMessage {
	h := &coder.HubHydrationMessage{Entries: []coder.ConversationEntry{}, Stream: &coder.SessionStreamProjection{}}
	working := false
	for _, e := range events {
		switch event := agentEvent(e).(type) {
		case *coder.AgentStart:
			working = true
		case *coder.AgentEnd:
			working = false
		case *coder.MessageStart:
			h.Stream = &coder.SessionStreamProjection{}
		case *coder.MessageUpdate:
			h.Stream.Output += event.TextDelta()
			if event.Kind == coder.UpdateThinking {
				h.Stream.Thinking += event.Delta
			}
		case *coder.MessageEnd:
			h.Stream = &coder.SessionStreamProjection{}
			m := event.Message
			switch m.Role {
			case "user":
				h.Entries = append(h.Entries, coder.ConversationEntry{Type: coder.EntryUserPrompt, Content: m.Content.Text()})
			case "assistant":
				if m.Content.Thinking() != "" {
					h.Entries = append(h.Entries, coder.ConversationEntry{Type: coder.EntryThinking, Thinking: m.Content.Thinking()})
				}
				if m.Content.Text() != "" {
					h.Entries = append(h.Entries, coder.ConversationEntry{Type: coder.EntryMessage, Content: m.Content.Text()})
				}
				for _, call := range m.Content.ToolCalls() {
					h.Entries = append(h.Entries, coder.ConversationEntry{Type: coder.EntryToolCall, ToolCallID: call.ID, ToolName: call.Name})
				}
			case "toolResult":
				h.Entries = append(h.Entries, coder.ConversationEntry{Type: coder.EntryToolResult, ToolCallID: m.ToolCallID, Content: m.Content.Text(), IsError: &m.IsError})
			}
		}
	}
	h.StreamingState = &coder.HubStreamingState{IsStreaming: &working}
	return h
}

// TestConversation_Recordings cuts the connection at ten frames of every recording, or with -runs 1000 at each, and joins
// again: what was said is what the agent says it has said, nothing is doubled, and who applies the changes has it too.
func TestConversation_Recordings(t *testing.T) {
	for name := range stories(t) {
		events := recording(t, name)
		want := strings.Join(saidIn(events), "\n\n")
		step := 1
		if *simulatedRuns < 1000 { // the race detector makes it ten times slower
			step += len(events) / 10
		}
		for _, strip := range []bool{false, true} {
			if strip {
				for i := range events {
					events[i] = withoutWholes(events[i])
				}
			}
			for cut := 0; cut <= len(events); cut += step {
				var c coder.Conversation
				p := page{messages: []coder.ConversationMessage{}}
				for i, e := range events {
					if i == cut {
						p.apply(c.Apply(&coder.ReconnectedMessage{}))
						require.Equal(t, coder.ConversationDisconnected, p.state)
						p.apply(c.Apply(hydrationOf(events[:i])))
					}
					p.apply(c.Apply(rpcMessage(e)))
				}
				require.Equal(t, want, c.Text(), "%s, cut at %d", name, cut)
				shown, err := json.Marshal(c.Messages())
				require.NoError(t, err)
				seen, err := json.Marshal(p.messages)
				require.NoError(t, err)
				require.JSONEq(t, string(shown), string(seen), "%s, cut at %d", name, cut)
			}
		}
	}
}

// TestConversation_Channels: a controller, an observer and a history bring the same.
func TestConversation_Channels(t *testing.T) {
	for name := range stories(t) {
		events := recording(t, name)
		var controller, observer, history coder.Conversation
		for i, e := range events {
			m := rpcMessage(e)
			controller.Apply(m)
			observer.ApplyObserver(&coder.BroadcastEventMessage{Event: m.EventType, Data: m.Event, Timestamp: m.Timestamp})
			history.ApplyEvent(coder.SessionEvent{ID: i + 1, Event: m.EventType, Payload: m.Event, OccurredAt: m.Timestamp.Time})
		}
		require.Equal(t, controller.Messages(), observer.Messages(), name)
		require.Equal(t, controller.Messages(), history.Messages(), name)
	}
}

func TestConversation_ToolsAndThoughts(t *testing.T) {
	var c coder.Conversation
	for _, e := range recording(t, "real-lead/tools-three-turns") {
		c.Apply(rpcMessage(e))
	}
	messages := c.Messages()
	require.NotEmpty(t, messages)
	assert.Equal(t, "user", messages[0].Role)
	var calls []coder.ConversationToolCall
	for _, m := range messages {
		assert.True(t, m.Done)
		calls = append(calls, m.ToolCalls...)
	}
	require.NotEmpty(t, calls)
	for _, call := range calls {
		assert.True(t, call.Done, call.Name)
		assert.NotEmpty(t, call.Name)
		assert.NotEmpty(t, call.Args)
	}
	text, err := json.Marshal(&c)
	require.NoError(t, err)
	assert.Contains(t, string(text), `"state":"idle"`)
	assert.Contains(t, string(text), `"messages":[{"role":"user"`)
}

func TestConversation_States(t *testing.T) {
	event := func(name, payload string) *coder.RPCEventMessage {
		return &coder.RPCEventMessage{EventType: name, Event: json.RawMessage(payload), Timestamp: coder.UnixMilli{Time: time.Now()}}
	}
	failed := `{"messages":[{"role":"assistant","stopReason":"error","errorMessage":"529"}]}`
	var c coder.Conversation
	var states []string
	for _, m := range []coder.ServerMessage{
		event("agent_start", `{}`), event("agent_end", failed), event("agent_start", `{}`),
		&coder.RPCUIRequestMessage{ID: "q", Method: coder.UIConfirm}, event("tool_execution_end", `{"toolCallId":"1"}`),
		event("agent_end", `{"messages":[{"role":"assistant","stopReason":"stop"}]}`), &coder.ReconnectedMessage{}, &coder.HubHydrationMessage{},
	} {
		for _, change := range c.Apply(m) {
			if change.Kind == coder.ConversationStateIs {
				states = append(states, string(change.State))
				assert.Equal(t, change.State == coder.ConversationQuestion, change.Question != nil)
			}
		}
	}
	assert.Equal(t, []string{"working", "retrying", "working", "question", "working", "idle", "disconnected", "idle"}, states)
}

// TestConversation_QueuedPrompt: a prompt that the hydration has, and that the agent comes to later, is there once.
func TestConversation_QueuedPrompt(t *testing.T) {
	var c coder.Conversation
	c.Apply(&coder.HubHydrationMessage{Entries: []coder.ConversationEntry{
		{Type: coder.EntryUserPrompt, Content: "One"}, {Type: coder.EntryMessage, Content: "Said."}, {Type: coder.EntryUserPrompt, Content: "Two"},
	}})
	two := &coder.RPCEventMessage{EventType: "message_end", Event: json.RawMessage(`{"message":{"role":"user","content":"Two "}}`)}
	for _, change := range c.Apply(two) {
		assert.Equal(t, coder.ConversationStateIs, change.Kind)
	}
	assert.Len(t, c.Messages(), 3)
	c.Apply(two)
	assert.Len(t, c.Messages(), 4, "somebody says it again")
}

// TestConversation_SaidAgain: the hydration ends with a prompt that has no answer, since its run has failed, and it is given again,
// by others or by this program: it is there twice then, whether or not the agent comes to the first one.
func TestConversation_SaidAgain(t *testing.T) {
	hydration := &coder.HubHydrationMessage{Entries: []coder.ConversationEntry{{Type: coder.EntryUserPrompt, Content: "One"}, {Type: coder.EntryMessage, Content: "Said."}, {Type: coder.EntryUserPrompt, Content: "Try"}}}
	taken := &coder.RPCEventMessage{EventType: "message_end", Event: json.RawMessage(`{"message":{"role":"user","content":"Try "}}`)}
	for name, again := range map[string]func(*coder.Conversation){
		"by others": func(c *coder.Conversation) {
			c.Apply(&coder.BroadcastEventMessage{Event: "user_prompt", Data: json.RawMessage(`{"content":"Try"}`)})
		},
		"by this program": func(c *coder.Conversation) { c.Sent("Try") },
	} {
		t.Run(name, func(t *testing.T) {
			var c coder.Conversation
			c.Apply(hydration)
			again(&c)
			c.Apply(taken)
			assert.Len(t, c.Messages(), 4)
			c.Apply(taken)
			assert.Len(t, c.Messages(), 4, "the agent has come to the first one as well")
			c.Apply(taken)
			assert.Len(t, c.Messages(), 5, "that one is new")

			c.Apply(hydration) // has everything
			c.Apply(taken)
			assert.Len(t, c.Messages(), 3, "what was sent before it does not count")
		})
	}
	var c coder.Conversation
	for range 1000 {
		c.Sent("Try") // nothing is waited for, and nothing is kept
	}
	c.Apply(taken)
	c.Apply(hydration)
	c.Apply(taken)
	assert.Len(t, c.Messages(), 3)
}

// TestConversation_Questions: each question is told, also where the one before was open; and a page that joins sees it.
func TestConversation_Questions(t *testing.T) {
	var c coder.Conversation
	ask := func(id string) []coder.ConversationChange {
		return c.Apply(&coder.RPCUIRequestMessage{ID: id, Method: coder.UIConfirm, Params: json.RawMessage(`{"title":"Push?"}`)})
	}
	c.Apply(&coder.RPCEventMessage{EventType: "agent_start"})
	for _, id := range []string{"a", "b"} {
		changes := ask(id)
		require.Len(t, changes, 1, id)
		assert.Equal(t, coder.ConversationStateIs, changes[0].Kind)
		assert.Equal(t, coder.ConversationQuestion, changes[0].State)
		assert.Equal(t, &coder.ConversationAsked{ID: id, Method: coder.UIConfirm, Params: json.RawMessage(`{"title":"Push?"}`)}, changes[0].Question)
		assert.Empty(t, ask(id), "it was told")
		text, err := json.Marshal(&c)
		require.NoError(t, err)
		assert.JSONEq(t, `{"state":"question","question":{"id":"`+id+`","method":"confirm","params":{"title":"Push?"}},"messages":[]}`, string(text))
	}
	c.Apply(&coder.RPCEventMessage{EventType: "agent_end", Event: json.RawMessage(`{"messages":[]}`)})
	text, err := json.Marshal(&c)
	require.NoError(t, err)
	assert.NotContains(t, string(text), "question")
}

// FuzzConversation applies frames in any order: nothing panics, nothing grows without reason, and a page that applies the
// changes has what the conversation has.
func FuzzConversation(f *testing.F) {
	payloads := []string{
		`{"message":{"role":"assistant","content":[]}}`, `{"message":{"role":"assistant","content":[{"type":"text","text":"whole"},{"type":"toolCall","id":"1","name":"read","arguments":{}}],"stopReason":"toolUse"}}`,
		`{"message":{"role":"user","content":"hi"}}`, `{"message":{"role":"toolResult","toolCallId":"1","content":"ok"}}`, `{"message":{"role":"system","content":""}}`,
		`{"assistantMessageEvent":{"type":"text_delta","contentIndex":0,"delta":"a"}}`, `{"assistantMessageEvent":{"type":"text_delta","contentIndex":9000000000000000000,"delta":"b"}}`,
		`{"assistantMessageEvent":{"type":"text_delta","contentIndex":-1,"delta":"c"}}`, `{"assistantMessageEvent":{"type":"text_end","contentIndex":0,"content":"all"}}`,
		`{"assistantMessageEvent":{"type":"thinking_delta","contentIndex":1,"delta":"hm"}}`, `{"assistantMessageEvent":{"type":"toolcall_delta","contentIndex":2,"delta":"{"}}`,
		`{"toolCallId":"1","toolName":"read","args":{}}`, `{"toolCallId":"1","result":{"content":"ok"}}`, `{"toolCallId":"2","content":"no","isError":true}`, `{}`, `[]`, `<`,
	}
	names := []string{"message_start", "message_update", "message_end", "tool_execution_start", "tool_call", "tool_execution_end", "tool_result", "agent_start", "agent_end", "session_start"}
	for i := range names {
		f.Add([]byte{byte(i), byte(i), 1, 5, 1, 8, 2, 1, 200, 0, 1, 5})
	}
	f.Add([]byte{0, 0, 1, 6, 1, 5, 1, 5, 1, 9, 1, 5}) // blocks come in any order, and grow in the middle
	f.Fuzz(func(t *testing.T, script []byte) {
		var c coder.Conversation
		p := page{messages: []coder.ConversationMessage{}}
		for len(script) >= 2 {
			if script[0] >= 200 {
				h := &coder.HubHydrationMessage{Stream: &coder.SessionStreamProjection{}}
				for _, kind := range []coder.ConversationEntryType{coder.EntryUserPrompt, coder.EntryThinking, coder.EntryMessage, coder.EntryToolCall, coder.EntryToolResult}[:script[1]%6] {
					h.Entries = append(h.Entries, coder.ConversationEntry{Type: kind, Content: "x", ToolCallID: "1"})
				}
				if script[1]%2 == 0 {
					h.Stream.Output = "so far"
				}
				p.apply(c.Apply(h))
			} else {
				p.apply(c.Apply(&coder.RPCEventMessage{EventType: names[int(script[0])%len(names)], Event: json.RawMessage(payloads[int(script[1])%len(payloads)])}))
			}
			script = script[2:]
		}
		shown, seen := fmt.Sprintf("%+v", c.Messages()), fmt.Sprintf("%+v", slices.Clip(p.messages))
		if shown != seen {
			t.Fatalf("the conversation is\n%s\nand the page has\n%s", shown, seen)
		}
	})
}
