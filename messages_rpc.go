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
	// Type is what to do.
	Type RPCCommandType `json:"type"`
	// ID joins command and [RPCResponse].
	ID string `json:"id,omitzero"`
	// Message is the text of a prompt, steer or follow_up.
	Message string `json:"message,omitzero"`
	// Text is another name under which Hubs send that text.
	Text string `json:"text,omitzero"`
	// Images are the images of a prompt.
	Images []string `json:"images,omitzero"`
	// Agent is the agent it is for, if it is not the lead.
	Agent string `json:"agent,omitzero"`
	// TargetAgent is another name under which Hubs send that agent.
	TargetAgent string `json:"targetAgent,omitzero"`
	// Attachments come with a prompt.
	Attachments []PromptAttachmentDescriptor `json:"attachments,omitzero"`
}

// RPCEventMessage is something that the agent in the session's sandbox did.
type RPCEventMessage struct {
	// EventType is the type of the event, such as "message_update".
	EventType string
	// Event is the event itself, a JSON object whose form depends on its type. See Decode.
	Event json.RawMessage
	// SessionID is the id of the session, if the Hub says.
	SessionID string
	// Timestamp is when it happened.
	Timestamp UnixMilli
	// Replay says that it is history, which the Hub sends after a connection was made, and not live.
	Replay bool
}

// Decode decodes Event into a value, as lenient as the answers of the Hub are decoded.
func (m *RPCEventMessage) Decode(v any) error { return wire.Unmarshal(m.Event, v) }

// RPCResponseMessage is the answer to an [RPCCommandMessage] with an id. Everybody in the session
// gets the answers to everybody.
type RPCResponseMessage struct {
	// Response is the answer.
	Response RPCResponse
	// SessionID is the id of the session, if the Hub says.
	SessionID string
	// Timestamp is when it was sent, if the Hub says.
	Timestamp UnixMilli
}

// RPCResponse is the answer to a command.
type RPCResponse struct {
	// ID is that of the command.
	ID string `json:"id"`
	// Command is the type of the command.
	Command RPCCommandType `json:"command"`
	// Success says whether it worked.
	Success bool `json:"success"`
	// Data is what came of it, in a form that depends on the command.
	Data json.RawMessage `json:"data,omitzero"`
	// Error is why it failed.
	Error string `json:"error,omitzero"`
}

// RPCUIRequestMessage asks the user something, or asks to show something. Answer it with
// [HubConn.RespondUI] if its method is one that is answered.
type RPCUIRequestMessage struct {
	// ID is what the answer names.
	ID string
	// Method is what to do.
	Method RPCUIMethod
	// Params says with what, a JSON object. See Decode and [RPCUIParams].
	Params json.RawMessage
	// SessionID is the id of the session, if the Hub says.
	SessionID string
	// Timestamp is when it was sent, if the Hub says.
	Timestamp UnixMilli
}

// Decode decodes Params into a value, such as an [RPCUIParams], as lenient as the answers of the
// Hub are decoded. Without Params it changes nothing.
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

// RPCUIParams are the parameters of all methods of an [RPCUIRequestMessage] together.
type RPCUIParams struct {
	// Title is that of the question, or of the window.
	Title string `json:"title,omitzero"`
	// Message is the text of it.
	Message string `json:"message,omitzero"`
	// Options are what to choose from.
	Options []string `json:"options,omitzero"`
	// Placeholder is shown while nothing is typed.
	Placeholder string `json:"placeholder,omitzero"`
	// Prefill is the text to begin with.
	Prefill string `json:"prefill,omitzero"`
	// NotifyType is how important it is.
	NotifyType NotifyLevel `json:"notifyType,omitzero"`
	// StatusKey names a part of the status line.
	StatusKey string `json:"statusKey,omitzero"`
	// StatusText is its text.
	StatusText string `json:"statusText,omitzero"`
	// WidgetKey names a widget.
	WidgetKey string `json:"widgetKey,omitzero"`
	// WidgetLines is what it shows.
	WidgetLines []string `json:"widgetLines,omitzero"`
	// WidgetPlacement is "aboveEditor" or "belowEditor".
	WidgetPlacement string `json:"widgetPlacement,omitzero"`
	// Text is the text of the editor.
	Text string `json:"text,omitzero"`
}

// RPCCommandErrorMessage says that a command could not be carried out.
type RPCCommandErrorMessage struct {
	// ID is the id of the command, if it had one and the Hub says so.
	ID string `json:"id,omitzero"`
	// Error is why.
	Error string `json:"error"`
	// Raw is all of the message.
	Raw json.RawMessage `json:"-"`
}

// RPCState is what an agent is at.
type RPCState struct {
	// IsStreaming says that it is producing text.
	IsStreaming bool `json:"isStreaming"`
	// IsWaitingForInput says that it waits for an answer.
	IsWaitingForInput bool `json:"isWaitingForInput"`
	// SessionName is the name of the session.
	SessionName string `json:"sessionName,omitzero"`
}

// RPCMessage is a message of the conversation as the agent has it.
type RPCMessage struct {
	// Role is who said it, such as "user" or "assistant".
	Role string `json:"role"`
	// Content is what was said.
	Content RPCContent `json:"content"`
	// Timestamp is when, if it is known.
	Timestamp UnixMilli `json:"timestamp,omitzero"`
}

// RPCContent is what was said: one block of type "text", or a list of blocks.
type RPCContent []RPCContentBlock

// RPCContentBlock is a piece of a message.
type RPCContentBlock struct {
	// Type is its kind: "text", "thinking" and others.
	Type string `json:"type"`
	// Text is that of a text block.
	Text string `json:"text,omitzero"`
	// Thinking is that of a thinking block.
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
