package coder

import (
	"encoding/json"

	"github.com/agentuity/coder-go/internal/wire"
)

// HubInitMessage begins a connection: the part that was granted and, for a lead, what it works
// with.
type HubInitMessage struct {
	// Role is the part granted. It need not be the one asked for.
	Role HubRole `json:"role"`
	// SessionID is the session that was joined or created.
	SessionID string `json:"sessionId,omitzero"`
	// Resume says what a lead goes on from.
	Resume *HubLeadResumeDescriptor `json:"resume,omitzero"`
	// Tools are the tools of the Hub.
	Tools []HubToolDefinition `json:"tools,omitzero"`
	// Commands are the commands of the Hub.
	Commands []HubCommandDefinition `json:"commands,omitzero"`
	// Agents are the agents there are.
	Agents []AgentDefinition `json:"agents,omitzero"`
	// Config adds to the system prompt.
	Config *HubConfig `json:"config,omitzero"`
	// Model is the model to use.
	Model *HubModel `json:"model,omitzero"`
	// ThinkingLevel is free text.
	ThinkingLevel string `json:"thinkingLevel,omitzero"`
	// Task is the first task.
	Task string `json:"task,omitzero"`
	// AgentRole is the agent to be.
	AgentRole string `json:"agentRole,omitzero"`
	// Label is the label of the session.
	Label string `json:"label,omitzero"`
}

// HubLeadResumeDescriptor says what a lead goes on from.
type HubLeadResumeDescriptor struct {
	// SessionFile is the file with the session so far.
	SessionFile string `json:"sessionFile"`
	// PiSessionID is the id of the session in that file.
	PiSessionID string `json:"piSessionId,omitzero"`
	// Cwd is the working directory.
	Cwd string `json:"cwd,omitzero"`
}

// HubToolDefinition is a tool that the Hub runs.
type HubToolDefinition struct {
	// Name is what a [ToolRequest] names.
	Name string `json:"name"`
	// Label is for people.
	Label string `json:"label"`
	// Description is for the model.
	Description string `json:"description"`
	// Parameters is the JSON Schema of the parameters.
	Parameters map[string]any `json:"parameters"`
	// PromptSnippet is text that the lead adds to its system prompt.
	PromptSnippet string `json:"promptSnippet,omitzero"`
	// PromptGuidelines are rules for the use of the tool.
	PromptGuidelines string `json:"promptGuidelines,omitzero"`
	// TimeoutMs is how long it may take.
	TimeoutMs Milliseconds `json:"timeoutMs,omitzero"`
}

// HubCommandDefinition is a command that the Hub runs.
type HubCommandDefinition struct {
	// Name is what a [CommandRequest] names.
	Name string `json:"name"`
	// Description is for people.
	Description string `json:"description"`
}

// AgentDefinition is an agent of a session.
type AgentDefinition struct {
	// Name is the name of the agent.
	Name string `json:"name"`
	// DisplayName is for people. If it is empty, Name is.
	DisplayName string `json:"displayName,omitzero"`
	// Source is "builtin" or "custom".
	Source string `json:"source,omitzero"`
	// Description says what the agent is for.
	Description string `json:"description"`
	// SystemPrompt is what it is told.
	SystemPrompt string `json:"systemPrompt"`
	// Model is the model it uses.
	Model string `json:"model,omitzero"`
	// Tools are the tools it may use.
	Tools []string `json:"tools,omitzero"`
	// Temperature is that of the model; nil: not said.
	Temperature *float64 `json:"temperature,omitzero"`
	// ThinkingLevel is free text.
	ThinkingLevel string `json:"thinkingLevel,omitzero"`
	// ReadOnly says that it changes nothing; nil: not said.
	ReadOnly *bool `json:"readOnly,omitzero"`
	// HubTools are tools of the Hub it may use.
	HubTools []HubToolDefinition `json:"hubTools,omitzero"`
	// Capabilities are free words.
	Capabilities []string `json:"capabilities,omitzero"`
	// StrictToolSelection says that it may use only these tools; nil: not said.
	StrictToolSelection *bool `json:"strictToolSelection,omitzero"`
	// Status is how it stands.
	Status AgentDefinitionStatus `json:"status,omitzero"`
}

// AgentDefinitionStatus is how an agent stands. Unknown values are kept as they came.
type AgentDefinitionStatus string

// The statuses of agents.
const (
	AgentAvailable AgentDefinitionStatus = "available"
	AgentBusy      AgentDefinitionStatus = "busy"
	AgentOffline   AgentDefinitionStatus = "offline"
)

// HubConfig adds to the system prompt of a lead.
type HubConfig struct {
	// SystemPromptPrefix goes before it.
	SystemPromptPrefix string `json:"systemPromptPrefix,omitzero"`
	// SystemPromptSuffix goes after it.
	SystemPromptSuffix string `json:"systemPromptSuffix,omitzero"`
}

// HubModel names a model.
type HubModel struct {
	// Provider is who offers it.
	Provider string `json:"provider"`
	// ID is its id there.
	ID string `json:"id"`
}

// HubHydrationMessage is the conversation so far. It replaces what was known of it before.
type HubHydrationMessage struct {
	// SessionID is the id of the session.
	SessionID string `json:"sessionId"`
	// ResumedAt is when the connection was made.
	ResumedAt UnixMilli `json:"resumedAt"`
	// Entries are the entries of the conversation, oldest first.
	Entries []ConversationEntry `json:"entries"`
	// Label is the label of the session.
	Label string `json:"label,omitzero"`
	// Task is the first prompt.
	Task string `json:"task,omitzero"`
	// LeadConnected says whether somebody drives the session; nil: not said.
	LeadConnected *bool `json:"leadConnected,omitzero"`
	// Stream is the text that is being produced.
	Stream *SessionStreamProjection `json:"stream,omitzero"`
	// Tasks are the tasks of the session.
	Tasks []SessionTaskState `json:"tasks,omitzero"`
	// StreamingState says whether text is being produced, and by which tasks.
	StreamingState *HubStreamingState `json:"streamingState,omitzero"`
}

// HubStreamingState says whether text is being produced.
type HubStreamingState struct {
	// IsStreaming says so; nil: not said.
	IsStreaming *bool `json:"isStreaming,omitzero"`
	// ActiveTasks are the tasks that run.
	ActiveTasks []HubActiveTask `json:"activeTasks,omitzero"`
}

// HubActiveTask is a task that runs.
type HubActiveTask struct {
	// TaskID is its id.
	TaskID string `json:"taskId"`
	// Agent is who works on it.
	Agent string `json:"agent"`
}

// HubStreamReadyMessage says where the durable stream of the session is.
type HubStreamReadyMessage struct {
	// StreamID is the id of the stream.
	StreamID string `json:"streamId"`
	// StreamURL is its address.
	StreamURL string `json:"streamUrl"`
}

// HubSessionResumeMessage says that the session goes on from a durable stream.
type HubSessionResumeMessage struct {
	// StreamID is the id of the stream.
	StreamID string `json:"streamId"`
	// StreamURL is its address.
	StreamURL string `json:"streamUrl"`
	// ActivePRDKey is the key of the product requirement document in work.
	ActivePRDKey string `json:"activePrdKey,omitzero"`
}

// PongMessage answers a ping, of which a [HubConn] sends one every so often by itself.
type PongMessage struct {
	// Timestamp is when it was sent.
	Timestamp UnixMilli `json:"timestamp"`
	// EchoedTimestamp is when the ping was sent.
	EchoedTimestamp UnixMilli `json:"echoedTimestamp,omitzero"`
}

// ConnectionRejectedMessage says that the Hub will not have the connection. Before the connection
// stands it is a [*HubConnError] instead.
type ConnectionRejectedMessage struct {
	// Code is why, such as "session_expired".
	Code string `json:"code"`
	// Message is for people.
	Message string `json:"message"`
	// Timestamp is when it was sent.
	Timestamp UnixMilli `json:"timestamp"`
	// SessionID is the session it is about.
	SessionID string `json:"sessionId,omitzero"`
	// ReconnectState is opaque.
	ReconnectState string `json:"reconnectState,omitzero"`
	// ExpiredAt is when the session expired.
	ExpiredAt UnixMilli `json:"expiredAt,omitzero"`
}

// ProtocolErrorMessage says that the Hub did not like what it was sent. Before the connection
// stands it is a [*HubConnError] instead.
type ProtocolErrorMessage struct {
	// Code is why, such as "invalid_role".
	Code string `json:"code"`
	// Message is for people.
	Message string `json:"message"`
	// Timestamp is when it was sent.
	Timestamp UnixMilli `json:"timestamp"`
	// SessionID is the session it is about.
	SessionID string `json:"sessionId,omitzero"`
}

func (*HubInitMessage) serverMessage() {}

func (*HubHydrationMessage) serverMessage() {}

func (*HubStreamReadyMessage) serverMessage() {}

func (*HubSessionResumeMessage) serverMessage() {}

func (*PongMessage) serverMessage() {}

func (*ConnectionRejectedMessage) serverMessage() {}

func (*ProtocolErrorMessage) serverMessage() {}

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
	Result json.RawMessage `json:"result,omitzero"`
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

func (*AckAction) hubAction() {}

func (*BlockAction) hubAction() {}

func (*ConfirmAction) hubAction() {}

func (*NotifyAction) hubAction() {}

func (*ReturnAction) hubAction() {}

func (*StatusAction) hubAction() {}

func (*SystemPromptAction) hubAction() {}

func (*InjectMessageAction) hubAction() {}

func (*UnknownAction) hubAction() {}

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
