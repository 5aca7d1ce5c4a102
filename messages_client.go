package coder

import (
	"fmt"
	"reflect"
	"time"

	"github.com/agentuity/coder-go/internal/wire"
)

// ClientMessage is what a [HubConn] sends: [*EventRequest], [*ToolRequest], [*CommandRequest],
// [*SessionEntryMessage], [*SessionWriteMessage], [*BootstrapReadyMessage],
// [*ObserverSubscribeMessage], [*RPCCommandMessage], [*RPCUIResponseMessage],
// [*RenameSessionMessage] or [*PingMessage]. Sending does not change it, so that one message can be
// sent again and by several goroutines.
type ClientMessage interface {
	// frame is the message as it is sent. One that is answered gets the id, unless that is empty.
	frame(id string) any
}

// HubRequest is a message that the Hub answers with a [HubResponse]: an [*EventRequest], a [*ToolRequest]
// or a [*CommandRequest].
type HubRequest interface {
	ClientMessage
	hubRequest()
}

func (*EventRequest) hubRequest()   {}
func (*ToolRequest) hubRequest()    {}
func (*CommandRequest) hubRequest() {}

// EventRequest tells the Hub what happened to the lead, and is answered with a [HubResponse].
type EventRequest struct {
	// ID is the same in request and response. SendAndWait always sets it, Send sets it if it is empty.
	ID    string    `json:"id"`
	Event EventName `json:"event"`
	// Data has the details. A json.Number is sent as a number.
	Data map[string]any `json:"data"`
}

// ToolRequest asks the Hub to run one of its tools, and is answered with a [HubResponse] that
// usually holds a [ReturnAction].
type ToolRequest struct {
	// ID is the same in request and response. SendAndWait always sets it, Send sets it if it is empty.
	ID string `json:"id"`
	// Name is a [HubToolDefinition].Name.
	Name string `json:"name"`
	// ToolCallID is that of the call in the conversation.
	ToolCallID string `json:"toolCallId"`
	// Params follow the JSON Schema in [HubToolDefinition].Parameters. A json.Number is sent as a number.
	Params map[string]any `json:"params"`
}

// CommandRequest asks the Hub to run one of its commands, and is answered with a [HubResponse].
type CommandRequest struct {
	// ID is the same in request and response. SendAndWait always sets it, Send sets it if it is empty.
	ID string `json:"id"`
	// Name is a [HubCommandDefinition].Name.
	Name string `json:"name"`
	// Args is the text after the name, as it was typed.
	Args string `json:"args"`
}

// SessionEntryMessage appends a line to a file that the Hub keeps for the session.
type SessionEntryMessage struct {
	// Line is one line of JSON, without the newline.
	Path string `json:"path"`
	Line string `json:"line"`
}

// SessionWriteMessage replaces a file that the Hub keeps for the session.
type SessionWriteMessage struct {
	// Content is the whole file.
	Path    string `json:"path"`
	Content string `json:"content"`
}

// BootstrapReadyMessage says that a controller is ready. A [HubConn] sends it by itself.
type BootstrapReadyMessage struct{}

// ObserverSubscribeMessage replaces the filters of an observer. They also hold for the connections
// that a [HubConn] makes later.
type ObserverSubscribeMessage struct {
	// Patterns are filters as in [HubConnectOptions].Subscribe.
	Patterns []string `json:"patterns"`
}

// The commands.
const (
	CommandPrompt      RPCCommandType = "prompt"
	CommandSteer       RPCCommandType = "steer"
	CommandFollowUp    RPCCommandType = "follow_up"
	CommandAbort       RPCCommandType = "abort"
	CommandGetState    RPCCommandType = "get_state"    // answered, if it has an id
	CommandGetMessages RPCCommandType = "get_messages" // answered, if it has an id
	CommandCompact     RPCCommandType = "compact"
)

// RPCCommandMessage is a command to the agent. A controller sends it, a lead gets it from the Hub.
type RPCCommandMessage struct {
	// Command is sent as it is. Commands that have an answer are answered only if they have an ID.
	Command RPCCommand `json:"command"`
}

// RPCUIResponseMessage answers an [RPCUIRequestMessage].
type RPCUIResponseMessage struct {
	// ID is that of the request.
	ID string `json:"id"`
	// Result is what the user chose or typed. Nil is sent as null, a json.Number as a number.
	Result any `json:"result"`
}

// RenameSessionMessage gives the session another label.
type RenameSessionMessage struct {
	// Label is the new display name.
	Label string `json:"label"`
}

// PingMessage asks for a [PongMessage]. A [HubConn] sends pings by itself.
type PingMessage struct {
	// Timestamp is the time of sending, filled in if it is zero.
	Timestamp UnixMilli `json:"timestamp"`
}

// typed is a message with its type before it.
type typed[T any] struct {
	Type    string `json:"type"`
	Message *T     `json:",embed"`
}

func (m *EventRequest) frame(id string) any {
	c := *m
	if id != "" {
		c.ID = id
	}
	return typed[EventRequest]{"event", &c}
}

func (m *ToolRequest) frame(id string) any {
	c := *m
	if id != "" {
		c.ID = id
	}
	return typed[ToolRequest]{"tool", &c}
}

func (m *CommandRequest) frame(id string) any {
	c := *m
	if id != "" {
		c.ID = id
	}
	return typed[CommandRequest]{"command", &c}
}

func (m *RPCCommandMessage) frame(id string) any {
	c := *m
	if id != "" {
		c.Command.ID = id
	}
	return typed[RPCCommandMessage]{typeRPCCommand, &c}
}

func (m *SessionEntryMessage) frame(string) any {
	return typed[SessionEntryMessage]{"session_entry", m}
}

func (m *SessionWriteMessage) frame(string) any {
	return typed[SessionWriteMessage]{"session_write", m}
}

func (m *BootstrapReadyMessage) frame(string) any {
	return typed[BootstrapReadyMessage]{"bootstrap_ready", m}
}

func (m *ObserverSubscribeMessage) frame(string) any {
	return typed[ObserverSubscribeMessage]{"subscribe", m}
}

func (m *RPCUIResponseMessage) frame(string) any {
	return typed[RPCUIResponseMessage]{"rpc_ui_response", m}
}

func (m *RenameSessionMessage) frame(string) any {
	return typed[RenameSessionMessage]{"rename_session", m}
}

func (m *PingMessage) frame(string) any {
	if m.Timestamp.IsZero() {
		m = &PingMessage{UnixMilli{time.Now()}}
	}
	return typed[PingMessage]{"ping", m}
}

func (*RPCCommandMessage) serverMessage() {}

// requestID is the id a message has, and whether it is one that is answered with a HubResponse.
func requestID(m ClientMessage) (id string, answered bool) {
	if refuseMessage("", m) != nil {
		return "", false
	}
	switch m := m.(type) {
	case *EventRequest:
		return m.ID, true
	case *ToolRequest:
		return m.ID, true
	case *CommandRequest:
		return m.ID, true
	}
	return "", false
}

// refuseMessage returns an error for what is no message of this package: nil, a nil pointer, a type
// that embeds one.
func refuseMessage(op string, m ClientMessage) error {
	switch m.(type) {
	case *EventRequest, *ToolRequest, *CommandRequest, *SessionEntryMessage, *SessionWriteMessage, *BootstrapReadyMessage,
		*ObserverSubscribeMessage, *RPCCommandMessage, *RPCUIResponseMessage, *RenameSessionMessage, *PingMessage:
		if !reflect.ValueOf(m).IsNil() {
			return nil
		}
	case nil:
	default:
		return invalid(op, "message", fmt.Sprintf("must be one of the messages of this package, not a %T", m))
	}
	return invalid(op, "message", "must not be nil")
}

// encodeMessage returns the frame of a message.
func encodeMessage(op string, m ClientMessage, id string) ([]byte, error) {
	if err := refuseMessage(op, m); err != nil {
		return nil, err
	}
	data, err := wire.Marshal(m.frame(id))
	if err != nil {
		bad := unencodable(op, err)
		if bad.Field == "the request" {
			bad.Field = "message"
		}
		return nil, bad
	}
	return data, nil
}
