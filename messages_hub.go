package coder

import (
	"encoding/json"
	"errors"
	"strings"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/agentuity/coder-go/internal/wire"
)

// HubInitMessage begins a connection: it grants a role, and has what a lead works with. Only Role is always
// set.
type HubInitMessage struct {
	// Role is the role granted. It need not be the one asked for.
	Role HubRole `json:"role"`
	// SessionID is the session that was joined or created.
	SessionID string `json:"sessionId,omitzero"`
	// Resume names the file that a lead goes on from; nil if it starts a new conversation.
	Resume *HubLeadResumeDescriptor `json:"resume,omitzero"`
	// Tools and Commands are run by the Hub, on a [ToolRequest] and a [CommandRequest].
	Tools    []HubToolDefinition    `json:"tools,omitzero"`
	Commands []HubCommandDefinition `json:"commands,omitzero"`
	// Agents may take part in the session.
	Agents []AgentDefinition `json:"agents,omitzero"`

	// How a lead is to work: additions to its system prompt, the model, the model's thinking level (free
	// text), and the first task.
	Config        *HubConfig `json:"config,omitzero"`
	Model         *HubModel  `json:"model,omitzero"`
	ThinkingLevel string     `json:"thinkingLevel,omitzero"`
	Task          string     `json:"task,omitzero"`

	// AgentRole names the agent that a sub-agent is to be.
	AgentRole string `json:"agentRole,omitzero"`
	// Label is the display name of the session.
	Label string `json:"label,omitzero"`
}

// HubLeadResumeDescriptor names the conversation that a lead goes on from.
type HubLeadResumeDescriptor struct {
	// SessionFile is the path of the file with the conversation so far.
	SessionFile string `json:"sessionFile"`
	// PiSessionID is the id in that file: Pi is the agent that writes it.
	PiSessionID string `json:"piSessionId,omitzero"`
	// Cwd is the working directory.
	Cwd string `json:"cwd,omitzero"`
}

// HubToolDefinition is a tool that the Hub runs.
type HubToolDefinition struct {
	// Name is what a [ToolRequest] names. Label is for people, Description for the model.
	Name        string `json:"name"`
	Label       string `json:"label"`
	Description string `json:"description"`
	// Parameters is the JSON Schema of [ToolRequest].Params. Whole numbers that a float64 cannot hold are
	// json.Number.
	Parameters map[string]any `json:"parameters"`
	// PromptSnippet is text for the lead's system prompt, PromptGuidelines rules for the use of the tool, one a line
	// where the Hub has sent a list.
	PromptSnippet    string     `json:"promptSnippet,omitzero"`
	PromptGuidelines PromptText `json:"promptGuidelines,omitzero"`
	// TimeoutMs is the longest time that the tool may take; 0 if the Hub does not say.
	TimeoutMs Milliseconds `json:"timeoutMs,omitzero"`
}

// PromptText is a text for a prompt. It also reads a list of texts, which become its lines.
type PromptText string

// UnmarshalJSON reads a text, or a list of texts.
func (p *PromptText) UnmarshalJSON(data []byte) error {
	switch jsontext.Value(data).Kind() {
	case jsontext.KindNull:
		*p = ""
		return nil
	case jsontext.KindString:
		var text string
		err := jsonv2.Unmarshal(data, &text, wire.Accepted)
		*p = PromptText(text)
		return err
	case jsontext.KindBeginArray:
		var lines []string
		err := wire.UnmarshalExact(data, &lines)
		*p = PromptText(strings.Join(lines, "\n"))
		return err
	}
	return errors.New("coder: a text for a prompt must be a text or a list of texts")
}

// HubCommandDefinition is a command that the Hub runs.
type HubCommandDefinition struct {
	// Name is what a [CommandRequest] names. Description is for people.
	Name        string `json:"name"`
	Description string `json:"description"`
}

// AgentDefinition is an agent of a session. Only Name, Description and SystemPrompt are always set.
type AgentDefinition struct {
	// DisplayName is for people. Where it is empty, show Name.
	Name        string `json:"name"`
	DisplayName string `json:"displayName,omitzero"`
	// Source is "builtin" or "custom".
	Source string `json:"source,omitzero"`
	// Description says what the agent is for. SystemPrompt is for its model.
	Description  string `json:"description"`
	SystemPrompt string `json:"systemPrompt"`

	// The model and its settings. ThinkingLevel is free text.
	Model         string   `json:"model,omitzero"`
	Tools         []string `json:"tools,omitzero"`
	Temperature   *float64 `json:"temperature,omitzero"`
	ThinkingLevel string   `json:"thinkingLevel,omitzero"`

	// ReadOnly says that the agent changes nothing; nil if the Hub does not say.
	ReadOnly *bool `json:"readOnly,omitzero"`
	// HubTools are tools of the Hub that the agent may use besides Tools.
	HubTools []HubToolDefinition `json:"hubTools,omitzero"`
	// Capabilities are words without a fixed meaning.
	Capabilities []string `json:"capabilities,omitzero"`
	// StrictToolSelection says that the agent may use no other tools; nil if the Hub does not say.
	StrictToolSelection *bool `json:"strictToolSelection,omitzero"`
	// Status says whether the agent can be given work.
	Status AgentDefinitionStatus `json:"status,omitzero"`
}

// AgentDefinitionStatus says whether an agent can be given work. Unknown values are kept as they came.
type AgentDefinitionStatus string

// The statuses of agents.
const (
	AgentAvailable AgentDefinitionStatus = "available"
	AgentBusy      AgentDefinitionStatus = "busy"
	AgentOffline   AgentDefinitionStatus = "offline"
)

// HubConfig adds to the system prompt of a lead.
type HubConfig struct {
	// The prefix goes before the system prompt, the suffix after it.
	SystemPromptPrefix string `json:"systemPromptPrefix,omitzero"`
	SystemPromptSuffix string `json:"systemPromptSuffix,omitzero"`
}

// HubModel names a model.
type HubModel struct {
	// ID is the name that the provider gives the model.
	Provider string `json:"provider"`
	ID       string `json:"id"`
}

// HubHydrationMessage is the conversation so far. It replaces all that was known before.
type HubHydrationMessage struct {
	// SessionID is the session of the connection.
	SessionID string `json:"sessionId"`
	// ResumedAt is when the connection was made.
	ResumedAt UnixMilli `json:"resumedAt"`
	// Entries come oldest first.
	Entries []ConversationEntry `json:"entries"`
	// Label is the display name of the session, Task its first prompt.
	Label string `json:"label,omitzero"`
	Task  string `json:"task,omitzero"`
	// LeadConnected says whether an agent drives the session; nil if the Hub does not say.
	LeadConnected *bool `json:"leadConnected,omitzero"`

	// What happens at the moment: the text that is being written, the tasks that agents were given, and
	// whether any agent is writing. Nil if the Hub does not say.
	Stream         *SessionStreamProjection `json:"stream,omitzero"`
	Tasks          []SessionTaskState       `json:"tasks,omitzero"`
	StreamingState *HubStreamingState       `json:"streamingState,omitzero"`
}

// HubStreamingState says whether text is being produced.
type HubStreamingState struct {
	// IsStreaming is nil if the Hub does not say.
	IsStreaming *bool `json:"isStreaming,omitzero"`
	// ActiveTasks has the tasks that run.
	ActiveTasks []HubActiveTask `json:"activeTasks,omitzero"`
}

// HubActiveTask is a task that runs.
type HubActiveTask struct {
	// Agent is who works on the task.
	TaskID string `json:"taskId"`
	Agent  string `json:"agent"`
}

// streams reports whether the Hub says that an agent is at work.
func (m *HubHydrationMessage) streams() bool {
	return m.StreamingState != nil && m.StreamingState.IsStreaming != nil && *m.StreamingState.IsStreaming
}

// HubStreamReadyMessage says where the durable stream of the session is.
type HubStreamReadyMessage struct {
	// StreamURL is where StreamID can be read.
	StreamID  string `json:"streamId"`
	StreamURL string `json:"streamUrl"`
}

// HubSessionResumeMessage says that the session goes on from a durable stream.
type HubSessionResumeMessage struct {
	// StreamURL is where StreamID can be read.
	StreamID  string `json:"streamId"`
	StreamURL string `json:"streamUrl"`
	// ActivePRDKey names the product requirements document that the session works on.
	ActivePRDKey string `json:"activePrdKey,omitzero"`
}

// PongMessage answers a [PingMessage]. The answers to the pings that a [HubConn] sends by itself are not
// yielded.
type PongMessage struct {
	// Timestamp is when the Hub sent the answer, EchoedTimestamp that of the ping.
	Timestamp       UnixMilli `json:"timestamp"`
	EchoedTimestamp UnixMilli `json:"echoedTimestamp,omitzero"`
}

// ConnectionRejectedMessage says that the Hub ends the connection. If the connection is not open yet, the
// program gets a [*HubConnError] instead.
type ConnectionRejectedMessage struct {
	// Code is a reason such as "session_expired". Message is for people.
	Code    string `json:"code"`
	Message string `json:"message"`
	// Timestamp is when the Hub sent this.
	Timestamp UnixMilli `json:"timestamp"`
	// SessionID is the session of the connection, if the Hub says.
	SessionID string `json:"sessionId,omitzero"`
	// ReconnectState has a meaning only for the Hub.
	ReconnectState string `json:"reconnectState,omitzero"`
	// ExpiredAt is when the session expired, if it has.
	ExpiredAt UnixMilli `json:"expiredAt,omitzero"`
}

// ProtocolErrorMessage says that the Hub could not use a message that it received. If the connection is not
// open yet, the program gets a [*HubConnError] instead.
type ProtocolErrorMessage struct {
	// Code is a reason such as "invalid_role". Message is for people.
	Code    string `json:"code"`
	Message string `json:"message"`
	// Timestamp is when the Hub sent this.
	Timestamp UnixMilli `json:"timestamp"`
	// SessionID is the session of the connection, if the Hub says.
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
	// Actions are carried out in order. None means to proceed.
	Actions []HubAction
}

func (*HubResponse) serverMessage() {}

// HubAction is something that a [HubResponse] asks the lead to do: [*AckAction], [*BlockAction],
// [*ConfirmAction], [*NotifyAction], [*ReturnAction], [*StatusAction], [*SystemPromptAction],
// [*InjectMessageAction] or [*UnknownAction].
type HubAction interface{ hubAction() }

// AckAction says to proceed.
type AckAction struct{}

// BlockAction says to stop.
type BlockAction struct {
	// Reason tells people, or the model, why.
	Reason string `json:"reason"`
}

// ConfirmAction says to ask the user, and to stop if the answer is no.
type ConfirmAction struct {
	// Title and Message are the question.
	Title   string `json:"title"`
	Message string `json:"message"`
	// DenyReason is what to say if the answer is no.
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
	// Message is for people.
	Message string      `json:"message"`
	Level   NotifyLevel `json:"level,omitzero"`
}

// ReturnAction is the result of a tool.
type ReturnAction struct {
	// Result is any JSON value.
	Result json.RawMessage `json:"result,omitzero"`
}

// StatusAction sets a part of the status line.
type StatusAction struct {
	// Key names the part of the status line. Without a Text it is cleared.
	Key  string `json:"key"`
	Text string `json:"text,omitzero"`
}

// SystemPromptActionMode says what happens to the existing system prompt. Unknown values are kept as they
// came.
type SystemPromptActionMode string

// The modes.
const (
	SystemPromptReplace SystemPromptActionMode = "replace"
	SystemPromptPrefix  SystemPromptActionMode = "prefix"
	SystemPromptSuffix  SystemPromptActionMode = "suffix"
)

// SystemPromptAction changes the system prompt.
type SystemPromptAction struct {
	// SystemPrompt is the new text.
	SystemPrompt string `json:"systemPrompt"`
	// Mode says where the text goes. If it is empty, programs differ: the Hub's schema says replace, its
	// terminal client appends.
	Mode SystemPromptActionMode `json:"mode,omitzero"`
}

// InjectMessageAction adds a message to the conversation.
type InjectMessageAction struct {
	// Message goes to the end of the conversation.
	Message InjectedMessage `json:"message"`
}

// InjectedMessage is a message to be added to a conversation.
type InjectedMessage struct {
	// Role is "user" or "assistant".
	Role string `json:"role"`
	// Content is plain text.
	Content string `json:"content"`
}

// UnknownAction is an action this package has no type for, or that could not be decoded.
type UnknownAction struct {
	// Action is empty if it could not be read.
	Action string
	// Raw is the whole action.
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
