package coder

import (
	"encoding/json"
	"strings"

	jsonv2 "github.com/go-json-experiment/json"

	"github.com/agentuity/coder-go/internal/wire"
)

// RPCCommandType is what an [RPCCommand] asks for. Unknown values are kept as they came.
type RPCCommandType string

// RPCCommand is a command to the agent.
type RPCCommand struct {
	// Type decides which of the other members count.
	Type RPCCommandType `json:"type"`
	// ID is the same in the command and its [RPCResponse].
	ID string `json:"id,omitzero"`
	// Message is the text of a prompt, steer or follow_up. Hubs also send it as Text.
	Message string `json:"message,omitzero"`
	Text    string `json:"text,omitzero"`
	// Images come with a prompt.
	Images []string `json:"images,omitzero"`
	// Agent is the agent that is meant, if it is not the lead. Hubs also send it as TargetAgent.
	Agent       string `json:"agent,omitzero"`
	TargetAgent string `json:"targetAgent,omitzero"`
	// Attachments come with a prompt.
	Attachments []PromptAttachmentDescriptor `json:"attachments,omitzero"`
}

// RPCEventMessage is something that the agent in the session's sandbox did.
type RPCEventMessage struct {
	// EventType is a name such as "message_update".
	EventType string
	// Event is a JSON object whose form depends on EventType. See Decode.
	Event json.RawMessage
	// SessionID is empty if the Hub does not say.
	SessionID string
	// Timestamp is when the event happened.
	Timestamp UnixMilli
	// Replay says that this is history, which the Hub sends when a connection is new, and not live.
	Replay bool
}

// Decode decodes Event into a value, as lenient as the answers of the Hub are decoded. In free JSON whole
// numbers that a float64 cannot hold become json.Number.
func (m *RPCEventMessage) Decode(v any) error { return wire.Unmarshal(m.Event, v) }

// RPCResponseMessage is the answer to an [RPCCommandMessage] with an id. Everybody in the session
// gets the answers to everybody.
type RPCResponseMessage struct {
	// Response has the id of its command.
	Response RPCResponse
	// SessionID is empty, and Timestamp zero, if the Hub does not say.
	SessionID string
	Timestamp UnixMilli
}

// RPCResponse is the answer to a command.
type RPCResponse struct {
	// ID and Command are those of the command.
	ID      string         `json:"id"`
	Command RPCCommandType `json:"command"`
	// Success says whether the command was carried out. If it was not, Error says why.
	Success bool `json:"success"`
	// Data is the result, in a form that depends on the command.
	Data  json.RawMessage `json:"data,omitzero"`
	Error string          `json:"error,omitzero"`
}

// RPCUIRequestMessage asks the user something, or asks to show something. Answer it with
// [HubConn.RespondUI] if its method is one that is answered.
type RPCUIRequestMessage struct {
	// ID is what the answer names.
	ID string
	// Method is what to show or ask, Params a JSON object that says with what. See Decode and
	// [RPCUIParams].
	Method RPCUIMethod
	Params json.RawMessage
	// SessionID is empty, and Timestamp zero, if the Hub does not say.
	SessionID string
	Timestamp UnixMilli
}

// Decode decodes Params into a value, such as an [RPCUIParams], as lenient as the answers of the
// Hub are decoded. Without Params it changes nothing. In free JSON whole numbers that a float64 cannot hold
// become json.Number.
func (m *RPCUIRequestMessage) Decode(v any) error {
	if len(m.Params) == 0 {
		return nil
	}
	return wire.Unmarshal(m.Params, v)
}

// RPCUIMethod is what an [RPCUIRequestMessage] asks for. Unknown values are kept as they came.
type RPCUIMethod string

// The methods. The first four are answered with what the user chose or typed, null if nothing, or
// with true or false.
const (
	UISelect        RPCUIMethod = "select"          // Title, Options; a text
	UIConfirm       RPCUIMethod = "confirm"         // Title, Message; a bool
	UIInput         RPCUIMethod = "input"           // Title, Placeholder; a text
	UIEditor        RPCUIMethod = "editor"          // Title, Prefill; a text
	UINotify        RPCUIMethod = "notify"          // Message, NotifyType
	UISetStatus     RPCUIMethod = "setStatus"       // StatusKey, StatusText
	UISetWidget     RPCUIMethod = "setWidget"       // WidgetKey, WidgetLines, WidgetPlacement
	UISetTitle      RPCUIMethod = "setTitle"        // Title
	UISetEditorText RPCUIMethod = "set_editor_text" // Text
)

// Answered reports whether the method wants an answer. Unknown methods do; theirs is null.
func (m RPCUIMethod) Answered() bool {
	switch m {
	case UINotify, UISetStatus, UISetWidget, UISetTitle, UISetEditorText:
		return false
	}
	return true
}

// RPCUIParams has the parameters of all methods of an [RPCUIRequestMessage] together.
type RPCUIParams struct {
	// Title heads a question, or is that of the window. Message is the text below it, or a notice.
	Title   string `json:"title,omitzero"`
	Message string `json:"message,omitzero"`
	// Options are what to choose from.
	Options []string `json:"options,omitzero"`
	// Placeholder is shown while nothing is typed, Prefill is the text to begin with.
	Placeholder string `json:"placeholder,omitzero"`
	Prefill     string `json:"prefill,omitzero"`
	// NotifyType says how important a notice is.
	NotifyType NotifyLevel `json:"notifyType,omitzero"`
	// StatusKey names a part of the status line, which shows StatusText.
	StatusKey  string `json:"statusKey,omitzero"`
	StatusText string `json:"statusText,omitzero"`
	// WidgetKey names a widget, which shows WidgetLines. WidgetPlacement is "aboveEditor" or "belowEditor".
	WidgetKey       string   `json:"widgetKey,omitzero"`
	WidgetLines     []string `json:"widgetLines,omitzero"`
	WidgetPlacement string   `json:"widgetPlacement,omitzero"`
	// Text goes into the editor.
	Text string `json:"text,omitzero"`
}

// RPCCommandErrorMessage says that a command could not be carried out.
type RPCCommandErrorMessage struct {
	// ID is empty if the command had none or the Hub does not say.
	ID string `json:"id,omitzero"`
	// Error tells people why.
	Error string `json:"error"`
	// Raw is the whole message.
	Raw json.RawMessage `json:"-"`
}

// RPCState tells what an agent is doing.
type RPCState struct {
	// IsStreaming says that the agent is at work.
	IsStreaming bool `json:"isStreaming"`
	// IsWaitingForInput says that it has asked something and waits for the answer.
	IsWaitingForInput bool `json:"isWaitingForInput"`
	// SessionName is the agent's own name for the session.
	SessionName string `json:"sessionName,omitzero"`
}

// RPCMessage is a message of the conversation as the agent has it.
type RPCMessage struct {
	// Role is "user", "assistant" or another.
	Role    string     `json:"role"`
	Content RPCContent `json:"content"`
	// Timestamp is zero if the agent does not say.
	Timestamp UnixMilli `json:"timestamp,omitzero"`
}

// RPCContent is what was said: one block of type "text", or a list of blocks.
type RPCContent []RPCContentBlock

// RPCContentBlock is a piece of a message.
type RPCContentBlock struct {
	// Type is "text", "thinking" or another. The member of that name has the text.
	Type     string `json:"type"`
	Text     string `json:"text,omitzero"`
	Thinking string `json:"thinking,omitzero"`
}

// UnmarshalJSON reads a text or a list.
func (c *RPCContent) UnmarshalJSON(data []byte) error {
	var text string
	if jsonv2.Unmarshal(data, &text, wire.Accepted) == nil && string(data) != "null" {
		*c = RPCContent{{Type: "text", Text: text}}
		return nil
	}
	var blocks []RPCContentBlock
	err := wire.Unmarshal(data, &blocks)
	*c = blocks
	return err
}

// Text returns the text blocks as one.
func (c RPCContent) Text() string {
	var b strings.Builder
	for _, block := range c {
		b.WriteString(block.Text)
	}
	return b.String()
}

func (*RPCEventMessage) serverMessage() {}

func (*RPCResponseMessage) serverMessage() {}

func (*RPCUIRequestMessage) serverMessage() {}

func (*RPCCommandErrorMessage) serverMessage() {}
