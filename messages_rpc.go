package coder

import (
	"encoding/json"

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
	// Agent is the agent that the command is for, if it is not the lead. Hubs also send it as TargetAgent.
	Agent       string `json:"agent,omitzero"`
	TargetAgent string `json:"targetAgent,omitzero"`
	// Attachments come with a prompt.
	Attachments []PromptAttachmentDescriptor `json:"attachments,omitzero"`
	// StreamingBehavior says what happens to a prompt that comes while the agent is at work. Without it an agent
	// in a sandbox refuses such a prompt, and one in a terminal queues it as QueueFollowUp does.
	StreamingBehavior StreamingBehavior `json:"streamingBehavior,omitzero"`
	// Extra holds the members this package has no field for. They are sent.
	Extra map[string]json.RawMessage `json:",embed"`
}

// StreamingBehavior says what happens to a prompt that comes while the agent is at work. Unknown values are kept
// as they came.
type StreamingBehavior string

// The behaviors. With either of them, an idle agent takes the prompt as an ordinary one.
const (
	QueueFollowUp StreamingBehavior = "followUp" // it waits until the agent is done
	QueueSteer    StreamingBehavior = "steer"    // it comes before the next call of the model
)

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
	// Replay says that the event is not live, but from the history, which the Hub sends to a new connection.
	Replay bool
}

// Decode decodes Event into v, as leniently as responses of the Hub are decoded. Without Event it changes nothing. Names
// must match in letter case, so fields need json tags. In free JSON whole numbers that a float64 cannot hold become
// json.Number.
func (m *RPCEventMessage) Decode(v any) error { return decodePayload(m.Event, v) }

// AgentEvent decodes the event. The result is never nil.
func (m *RPCEventMessage) AgentEvent() AgentEvent { return decodeAgentEvent(m.EventType, m.Event) }

// RPCResponseMessage is the answer to an [RPCCommandMessage] with an id. Everybody in the session gets the
// answers to all commands.
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

// Disposition returns what the agent did with a prompt, a steer or a follow_up, "" if it does not say: only
// newer agents do.
func (r *RPCResponse) Disposition() RPCDisposition {
	var data struct {
		Disposition RPCDisposition `json:"disposition"`
	}
	if len(r.Data) > 0 {
		_ = wire.Unmarshal(r.Data, &data)
	}
	return data.Disposition
}

// RPCDisposition is what the agent did with a prompt, a steer or a follow_up. Unknown values are kept as they
// came.
type RPCDisposition string

// The dispositions.
const (
	PromptStarted RPCDisposition = "started" // a run begins; also said of the second of two prompts sent at once, which is lost
	PromptQueued  RPCDisposition = "queued"  // it waits until the agent takes it
	PromptHandled RPCDisposition = "handled" // it was a command, or nothing for the model: there is no answer
)

// RPCUIRequestMessage asks the user something, or asks to show something. Answer it with
// [HubConn.RespondUI] if its method is one that is answered.
type RPCUIRequestMessage struct {
	// ID is the id to answer with.
	ID string
	// Method is what to show or ask, Params are its parameters, a JSON object. See Decode and [RPCUIParams].
	Method RPCUIMethod
	Params json.RawMessage
	// SessionID is empty, and Timestamp zero, if the Hub does not say.
	SessionID string
	Timestamp UnixMilli
}

// Decode decodes Params into v, such as an [RPCUIParams], as leniently as responses of the Hub are decoded. Without Params
// it changes nothing. Names must match in letter case, so fields need json tags. In free JSON whole numbers that a float64
// cannot hold become json.Number.
func (m *RPCUIRequestMessage) Decode(v any) error { return decodePayload(m.Params, v) }

// RPCUIMethod is what an [RPCUIRequestMessage] asks for. Unknown values are kept as they came.
type RPCUIMethod string

// The methods. The first four are answered with what the user chose or typed, or with true or false; null
// means no answer.
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

// Answered reports whether the method wants an answer. Unknown methods do: answer them with null.
func (m RPCUIMethod) Answered() bool {
	switch m {
	case UINotify, UISetStatus, UISetWidget, UISetTitle, UISetEditorText:
		return false
	}
	return true
}

// RPCUIParams has the parameters of all methods of an [RPCUIRequestMessage] together.
type RPCUIParams struct {
	// Title is the heading of a question, or the title of the window. Message is the text below it, or a
	// notice.
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
	// Timeout is how long the agent waits for the answer. Then it goes on without one, and does not say so. 0: it
	// waits for ever.
	Timeout Milliseconds `json:"timeout,omitzero"`
	// Extra holds the members this package has no field for.
	Extra map[string]json.RawMessage `json:",embed"`
}

// RPCCommandErrorMessage says that a command could not be carried out.
type RPCCommandErrorMessage struct {
	// ID is empty if the command had none or the Hub does not say.
	ID string `json:"id,omitzero"`
	// Error says what went wrong, for people.
	Error string `json:"error"`
	// Raw is the whole message.
	Raw json.RawMessage `json:"-"`
}

// RPCState says what an agent is doing.
type RPCState struct {
	// IsStreaming says that the agent is at work. Older agents say false while they wait before another call
	// of a model that has failed.
	IsStreaming bool `json:"isStreaming"`
	// IsWaitingForInput says that it has asked something and waits for the answer. The recorded agents do not
	// say so: believe true, but not false.
	IsWaitingForInput bool `json:"isWaitingForInput"`
	// SessionName is the agent's own name for the session; SessionID and SessionFile are its own, too, and mean
	// nothing to the Hub.
	SessionName string `json:"sessionName,omitzero"`
	SessionID   string `json:"sessionId,omitzero"`
	SessionFile string `json:"sessionFile,omitzero"`
	// Model is what the agent works with, nil if it does not say; ThinkingLevel is how much the model thinks,
	// free text.
	Model         *RPCModel `json:"model,omitzero"`
	ThinkingLevel string    `json:"thinkingLevel,omitzero"`
	// IsCompacting says that the agent summarizes the conversation. AutoCompactionEnabled says that it does so by
	// itself; nil if it does not say.
	IsCompacting          bool  `json:"isCompacting,omitzero"`
	AutoCompactionEnabled *bool `json:"autoCompactionEnabled,omitzero"`
	// How many queued texts of a kind the agent takes at once: "all" or "one-at-a-time".
	SteeringMode string `json:"steeringMode,omitzero"`
	FollowUpMode string `json:"followUpMode,omitzero"`
	// MessageCount counts the messages of the conversation, PendingMessageCount the texts that are queued. Those
	// of an idle agent run with the next prompt.
	MessageCount        int `json:"messageCount,omitzero"`
	PendingMessageCount int `json:"pendingMessageCount,omitzero"`
	// Extra holds the members this package has no field for.
	Extra map[string]json.RawMessage `json:",embed"`
}

// RPCModel is the model that an agent works with.
type RPCModel struct {
	// ID is what the provider calls the model, Name is for people.
	ID   string `json:"id"`
	Name string `json:"name,omitzero"`
	// Provider is who offers the model, API the protocol it is called with.
	Provider string `json:"provider,omitzero"`
	API      string `json:"api,omitzero"`
	// Reasoning says that it can think; nil if the agent does not say.
	Reasoning *bool `json:"reasoning,omitzero"`
	// The largest number of tokens of a conversation, and of an answer; 0 if the agent does not say.
	ContextWindow int64 `json:"contextWindow,omitzero"`
	MaxTokens     int64 `json:"maxTokens,omitzero"`
	// Extra holds the members this package has no field for.
	Extra map[string]json.RawMessage `json:",embed"`
}

func (*RPCEventMessage) serverMessage() {}

func (*RPCResponseMessage) serverMessage() {}

func (*RPCUIRequestMessage) serverMessage() {}

func (*RPCCommandErrorMessage) serverMessage() {}
