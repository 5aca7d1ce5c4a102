package coder

import (
	"cmp"
	"encoding/json"
	"strings"

	"github.com/agentuity/coder-go/internal/agentrun"
	"github.com/agentuity/coder-go/internal/wire"
)

// newAgentEvent has the types whose members are those of the payload, by the name of the event.
var newAgentEvent = map[EventName]func() AgentEvent{
	EventAgentStart:           func() AgentEvent { return new(AgentStart) },
	EventAgentEnd:             func() AgentEvent { return new(AgentEnd) },
	EventAgentSettled:         func() AgentEvent { return new(AgentSettled) },
	EventBeforeAgentStart:     func() AgentEvent { return new(BeforeAgentStart) },
	EventContext:              func() AgentEvent { return new(AgentContext) },
	EventTurnStart:            func() AgentEvent { return new(TurnStart) },
	EventTurnEnd:              func() AgentEvent { return new(TurnEnd) },
	EventMessageStart:         func() AgentEvent { return new(MessageStart) },
	EventMessageEnd:           func() AgentEvent { return new(MessageEnd) },
	EventTaskStart:            func() AgentEvent { return new(TaskStart) },
	EventAgentProgress:        func() AgentEvent { return new(AgentProgress) },
	EventTaskComplete:         func() AgentEvent { return new(TaskComplete) },
	EventTaskError:            func() AgentEvent { return new(TaskError) },
	EventInput:                func() AgentEvent { return new(Input) },
	EventQueueUpdate:          func() AgentEvent { return new(QueueUpdate) },
	EventAutoRetryStart:       func() AgentEvent { return new(AutoRetryStart) },
	EventAutoRetryEnd:         func() AgentEvent { return new(AutoRetryEnd) },
	EventCompactionStart:      func() AgentEvent { return new(CompactionStart) },
	EventCompactionEnd:        func() AgentEvent { return new(CompactionEnd) },
	EventSessionBeforeCompact: func() AgentEvent { return new(SessionBeforeCompact) },
	EventSessionCompact:       func() AgentEvent { return new(SessionCompact) },
	EventSessionStart:         func() AgentEvent { return new(SessionStart) },
	EventSessionBeforeSwitch:  func() AgentEvent { return new(SessionBeforeSwitch) },
	EventSessionShutdown:      func() AgentEvent { return new(SessionShutdown) },
	EventEntryAppended:        func() AgentEvent { return new(EntryAppended) },
	EventExtensionError:       func() AgentEvent { return new(ExtensionError) },
}

// decodeAgentEvent turns the payload of an event into its type, on every channel. What has no type, or is no
// object, is an UnknownAgentEvent.
func decodeAgentEvent(name string, payload json.RawMessage) AgentEvent {
	name, payload = agentrun.Unwrap(name, payload)
	unknown := &UnknownAgentEvent{Name: name, Raw: payload}
	if len(payload) == 0 || payload[0] != '{' {
		return unknown
	}
	var event AgentEvent
	var err error
	switch name {
	case EventMessageUpdate:
		event, err = decodeUpdate(payload)
	case EventToolCall, EventToolResult, EventToolExecutionStart, EventToolExecutionUpdate, EventToolExecutionEnd:
		event, err = decodeToolEvent(name, payload)
	case EventUserPrompt:
		var p struct {
			Content   string    `json:"content"`
			Text      string    `json:"text"`
			Timestamp UnixMilli `json:"timestamp"`
		}
		err = wire.Unmarshal(payload, &p)
		event = &UserPrompt{Text: cmp.Or(p.Content, p.Text), Timestamp: p.Timestamp}
	default:
		empty := newAgentEvent[name]
		if empty == nil {
			return unknown
		}
		event = empty()
		err = wire.Unmarshal(payload, event)
	}
	if err != nil {
		return unknown
	}
	return event
}

// decodeUpdate leaves the message so far unread.
func decodeUpdate(payload []byte) (*MessageUpdate, error) {
	var p struct {
		Event struct {
			Type         string        `json:"type"`
			ContentIndex int           `json:"contentIndex"`
			Delta        string        `json:"delta"`
			Content      string        `json:"content"`
			ToolCall     *ContentBlock `json:"toolCall"`
			ID           string        `json:"id"`
			ToolName     string        `json:"toolName"`
		} `json:"assistantMessageEvent"`
	}
	if err := wire.UnmarshalFlat(payload, &p); err != nil {
		return nil, err
	}
	e := p.Event
	u := &MessageUpdate{ContentIndex: e.ContentIndex, Delta: e.Delta, Content: e.Content, ToolCall: e.ToolCall}
	u.Kind, u.Phase, _ = strings.Cut(e.Type, "_")
	if u.ToolCall == nil && e.ID != "" {
		u.ToolCall = &ContentBlock{Type: BlockToolCall, ID: e.ID, Name: e.ToolName}
	}
	return u, nil
}

// decodeToolEvent knows both names of the arguments of a tool.
func decodeToolEvent(name string, payload []byte) (AgentEvent, error) {
	var p struct {
		ToolOutput
		ToolCallID    string          `json:"toolCallId"`
		ToolName      string          `json:"toolName"`
		Args          json.RawMessage `json:"args"`
		Input         json.RawMessage `json:"input"`
		IsError       bool            `json:"isError"`
		Result        ToolOutput      `json:"result"`
		PartialResult ToolOutput      `json:"partialResult"`
		Duration      Milliseconds    `json:"durationMs"`
	}
	if err := wire.Unmarshal(payload, &p); err != nil {
		return nil, err
	}
	args := p.Args
	if args == nil {
		args = p.Input
	}
	switch name {
	case EventToolCall:
		return &ToolCall{p.ToolCallID, p.ToolName, args}, nil
	case EventToolExecutionStart:
		return &ToolExecutionStart{p.ToolCallID, p.ToolName, args}, nil
	case EventToolExecutionUpdate:
		return &ToolExecutionUpdate{p.ToolCallID, p.ToolName, args, p.PartialResult}, nil
	case EventToolExecutionEnd:
		return &ToolExecutionEnd{p.ToolCallID, p.ToolName, p.Result, p.IsError, p.Duration}, nil
	}
	return &ToolResult{p.ToolCallID, p.ToolName, args, p.Content, p.Details, p.StructuredContent, p.IsError}, nil
}
