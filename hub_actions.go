package coder

import (
	"encoding/json"

	"github.com/agentuity/coder-go/internal/wire"
)

// HubResponse answers an [EventRequest], a [ToolRequest] or a [CommandRequest].
type HubResponse struct {
	// ID is that of the request.
	ID string
	// Actions are what to do, in order. None means to proceed.
	Actions []HubAction
}

func (*HubResponse) serverMessage() {}

// HubAction is something to do: [*AckAction], [*BlockAction], [*ConfirmAction], [*NotifyAction],
// [*ReturnAction], [*StatusAction], [*SystemPromptAction], [*InjectMessageAction] or
// [*UnknownAction].
type HubAction interface{ hubAction() }

// AckAction says to proceed.
type AckAction struct{}

// BlockAction says to stop.
type BlockAction struct {
	// Reason is why.
	Reason string `json:"reason"`
}

// ConfirmAction says to ask the user, and to stop if the answer is no.
type ConfirmAction struct {
	// Title is that of the question.
	Title string `json:"title"`
	// Message is the question.
	Message string `json:"message"`
	// DenyReason is the reason to give if the answer is no.
	DenyReason string `json:"deny_reason,omitzero"`
}

// NotifyLevel is how important something is. Unknown values are kept as they came.
type NotifyLevel string

// The levels.
const (
	NotifyInfo    NotifyLevel = "info" // also if there is none
	NotifyWarning NotifyLevel = "warning"
	NotifyError   NotifyLevel = "error"
)

// NotifyAction says to show something.
type NotifyAction struct {
	// Message is what to show.
	Message string `json:"message"`
	// Level is how important it is.
	Level NotifyLevel `json:"level,omitzero"`
}

// ReturnAction is the result of a tool.
type ReturnAction struct {
	// Result is any JSON value.
	Result json.RawMessage `json:"result"`
}

// StatusAction sets a part of the status line.
type StatusAction struct {
	// Key names the part.
	Key string `json:"key"`
	// Text is its text; empty: it is cleared.
	Text string `json:"text,omitzero"`
}

// SystemPromptActionMode says what becomes of the system prompt there is. Unknown values are kept
// as they came.
type SystemPromptActionMode string

// The modes.
const (
	SystemPromptReplace SystemPromptActionMode = "replace"
	SystemPromptPrefix  SystemPromptActionMode = "prefix"
	SystemPromptSuffix  SystemPromptActionMode = "suffix"
)

// SystemPromptAction changes the system prompt.
type SystemPromptAction struct {
	// SystemPrompt is the text.
	SystemPrompt string `json:"systemPrompt"`
	// Mode says where it goes. Without one programs differ: the Hub's schema says replace, its
	// terminal client appends.
	Mode SystemPromptActionMode `json:"mode,omitzero"`
}

// InjectMessageAction adds a message to the conversation.
type InjectMessageAction struct {
	// Message is the message.
	Message InjectedMessage `json:"message"`
}

// InjectedMessage is a message to be added to a conversation.
type InjectedMessage struct {
	// Role is "user" or "assistant".
	Role string `json:"role"`
	// Content is its text.
	Content string `json:"content"`
}

// UnknownAction is an action this package has no type for, or that could not be decoded.
type UnknownAction struct {
	// Action is its kind, as far as it could be read.
	Action string
	// Raw is all of it.
	Raw json.RawMessage
}

func (*AckAction) hubAction()           {}
func (*BlockAction) hubAction()         {}
func (*ConfirmAction) hubAction()       {}
func (*NotifyAction) hubAction()        {}
func (*ReturnAction) hubAction()        {}
func (*StatusAction) hubAction()        {}
func (*SystemPromptAction) hubAction()  {}
func (*InjectMessageAction) hubAction() {}
func (*UnknownAction) hubAction()       {}

// decodeHubResponse returns nil for what is no response: it has an id and a list of actions.
func decodeHubResponse(raw []byte) *HubResponse {
	var response struct {
		ID      string            `json:"id"`
		Actions []json.RawMessage `json:"actions"`
	}
	if wire.Unmarshal(raw, &response) != nil || response.ID == "" || response.Actions == nil {
		return nil
	}
	r := &HubResponse{ID: response.ID, Actions: make([]HubAction, len(response.Actions))}
	for i, action := range response.Actions {
		r.Actions[i] = decodeHubAction(action)
	}
	return r
}

func decodeHubAction(raw json.RawMessage) HubAction {
	var head struct {
		Action string `json:"action"`
	}
	if wire.Unmarshal(raw, &head) == nil {
		if a := newHubAction(head.Action); a != nil && wire.Unmarshal(raw, a) == nil {
			return a
		}
	}
	return &UnknownAction{Action: head.Action, Raw: raw}
}

// newHubAction returns an empty action, nil if the kind is unknown.
func newHubAction(kind string) HubAction {
	switch kind {
	case "ACK":
		return new(AckAction)
	case "BLOCK":
		return new(BlockAction)
	case "CONFIRM":
		return new(ConfirmAction)
	case "NOTIFY":
		return new(NotifyAction)
	case "RETURN":
		return new(ReturnAction)
	case "STATUS":
		return new(StatusAction)
	case "SYSTEM_PROMPT":
		return new(SystemPromptAction)
	case "INJECT_MESSAGE":
		return new(InjectMessageAction)
	}
	return nil
}
