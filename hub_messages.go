package coder

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
	// PromptSnippet is to be added to the system prompt.
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

func (*HubInitMessage) serverMessage()            {}
func (*HubHydrationMessage) serverMessage()       {}
func (*HubStreamReadyMessage) serverMessage()     {}
func (*HubSessionResumeMessage) serverMessage()   {}
func (*PongMessage) serverMessage()               {}
func (*ConnectionRejectedMessage) serverMessage() {}
func (*ProtocolErrorMessage) serverMessage()      {}
