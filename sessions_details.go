package coder

import (
	"fmt"
	"time"

	"github.com/agentuity/coder-go/internal/wire"
)

// SessionUsage is what a session, or one of its agents, has used so far.
type SessionUsage struct {
	// Tokens that the models read, wrote, and spent on thinking.
	InputTokens     int64 `json:"inputTokens"`
	OutputTokens    int64 `json:"outputTokens"`
	ReasoningTokens int64 `json:"reasoningTokens"`
	// CostUSD is the price of them in US dollars; nil if the Hub does not say.
	CostUSD *float64 `json:"costUsd,omitzero"`
	// UpdatedAt is the time of the count.
	UpdatedAt UnixMilli `json:"updatedAt,omitzero"`
	// ByAgent has the same figures for each agent.
	ByAgent map[string]SessionUsage `json:"byAgent,omitzero"`
}

// SessionTaskStatus is the state of a task. Unknown values are kept as they came.
type SessionTaskStatus string

// The statuses of tasks.
const (
	TaskRunning   SessionTaskStatus = "running"
	TaskCompleted SessionTaskStatus = "completed"
	TaskFailed    SessionTaskStatus = "failed"
)

// SessionTaskState is a task that an agent of a session was given.
type SessionTaskState struct {
	// TaskID is the same in the messages and events about the task.
	TaskID string `json:"taskId"`
	// Agent is who was given the task, and Prompt is the text of the task.
	Agent  string            `json:"agent"`
	Status SessionTaskStatus `json:"status"`
	Prompt string            `json:"prompt"`
	// CompletedAt and Duration are zero while the task runs.
	StartedAt   time.Time    `json:"startedAt,omitzero"`
	CompletedAt time.Time    `json:"completedAt,omitzero"`
	Duration    Milliseconds `json:"duration,omitzero"`
	// Result is the answer of a completed task, Error the reason of a failed one.
	Result string `json:"result,omitzero"`
	Error  string `json:"error,omitzero"`
}

// SessionAgentActivity says what an agent is doing.
type SessionAgentActivity struct {
	// Status is free text. Seen: idle, running, tool_start, tool_end, completed, failed.
	Status string `json:"status"`
	// ToolCallCount counts the tool calls so far.
	ToolCallCount int `json:"toolCallCount"`
	// LastActivity is the time of the agent's last activity.
	LastActivity UnixMilli `json:"lastActivity,omitzero"`
	// Name is for people.
	Name string `json:"name,omitzero"`
	// CurrentTool is the tool that is running, CurrentToolArgs are its arguments as text.
	CurrentTool     string `json:"currentTool,omitzero"`
	CurrentToolArgs string `json:"currentToolArgs,omitzero"`
	// TotalElapsed is the time that the agent has worked.
	TotalElapsed Milliseconds `json:"totalElapsed,omitzero"`
}

// SessionStreamBlock is the text that an agent is writing at the moment, as far as it has come.
type SessionStreamBlock struct {
	// Output is the text, Thinking the thoughts before it.
	Output   string `json:"output"`
	Thinking string `json:"thinking"`
}

// SessionStreamProjection is the text that a session is writing at the moment: that of the lead, and that of
// each task.
type SessionStreamProjection struct {
	SessionStreamBlock
	// Tasks has the text of each task by its id.
	Tasks map[string]SessionStreamBlock `json:"tasks"`
}

// SessionRuntimeContext says where in its runtime a session works.
type SessionRuntimeContext struct {
	// Branch is the Git branch that is checked out.
	Branch string `json:"branch,omitzero"`
	// WorkingDirectory is a path in the runtime.
	WorkingDirectory string `json:"workingDirectory,omitzero"`
}

// SessionObserved counts what the Hub has seen of the agent.
type SessionObserved struct {
	// TurnCount counts the turns, CompactionCount how often the conversation was compacted.
	TurnCount       int `json:"turnCount"`
	CompactionCount int `json:"compactionCount"`
	// LastAgentModel is the model that the agent used last, "" if the Hub does not say.
	LastAgentModel string `json:"lastAgentModel,omitzero"`
}

// SessionDiagnostics is what the Hub finds suspicious in a session.
type SessionDiagnostics struct {
	// InactiveRunningTasks are tasks that are marked as running but send nothing: evidence that they have
	// stalled.
	InactiveRunningTasks []SessionInactiveTask `json:"inactiveRunningTasks"`
}

// SessionInactiveTask is a task that runs but sends nothing.
type SessionInactiveTask struct {
	// TaskID is the same in [SessionTaskState]. Agent is who was given the task.
	TaskID string `json:"taskId"`
	Agent  string `json:"agent"`
	// InactivityMs is how long the task has sent nothing.
	InactivityMs Milliseconds `json:"inactivityMs"`
	// LastActivityAt is zero if the task has sent nothing since StartedAt.
	StartedAt      time.Time `json:"startedAt,omitzero"`
	LastActivityAt time.Time `json:"lastActivityAt,omitzero"`
}

// SessionProduct is the product work of a session. A member that is empty or nil does not exist.
type SessionProduct struct {
	// ActivePRDKey is the product requirements document that the session works on, ActivePRDTaskID the task in it.
	ActivePRDKey    string `json:"activePrdKey,omitzero"`
	ActivePRDTaskID string `json:"activePrdTaskId,omitzero"`
	// DeckGeneration is the state of a slide deck.
	DeckGeneration *SessionDeckGeneration `json:"deckGeneration,omitzero"`
}

// SessionDeckGeneration is the state of a slide deck. Only State is always set.
type SessionDeckGeneration struct {
	// State is free text.
	State string `json:"state"`
	// When it was asked for, begun and done.
	RequestedAt time.Time `json:"requestedAt,omitzero"`
	StartedAt   time.Time `json:"startedAt,omitzero"`
	CompletedAt time.Time `json:"completedAt,omitzero"`
	// Title and DeckType, which is free text, are the deck's.
	Title    string `json:"title,omitzero"`
	DeckType string `json:"deckType,omitzero"`
	// What it is made for: a product requirements document, a task in it, a todo.
	PRDKey    string `json:"prdKey,omitzero"`
	PRDTaskID string `json:"prdTaskId,omitzero"`
	TodoID    string `json:"todoId,omitzero"`
	// URL leads to the deck. Error is why there is none.
	URL   string `json:"url,omitzero"`
	Error string `json:"error,omitzero"`
}

// Usage returns what the session has used so far, nil if the Hub does not say. An error means that the
// member has a form that this package does not know.
func (s *Session) Usage() (*SessionUsage, error) { return extra[*SessionUsage](s, "usage") }

// Tasks returns the tasks of the session, nil if the Hub does not say. An error means that the member has
// a form that this package does not know.
func (s *Session) Tasks() ([]SessionTaskState, error) { return extra[[]SessionTaskState](s, "tasks") }

// AgentActivity returns what each agent is doing, by its name, nil if the Hub does not say. An error means
// that the member has a form that this package does not know.
func (s *Session) AgentActivity() (map[string]SessionAgentActivity, error) {
	return extra[map[string]SessionAgentActivity](s, "agentActivity")
}

// Workers returns the sessions that work for this one, nil if the Hub does not say. An error means that
// the member has a form that this package does not know.
func (s *Session) Workers() ([]SessionListItem, error) {
	return extra[[]SessionListItem](s, "workers")
}

// Stream returns the text that is being written at the moment, nil if the Hub does not say. An error means
// that the member has a form that this package does not know.
func (s *Session) Stream() (*SessionStreamProjection, error) {
	return extra[*SessionStreamProjection](s, "stream")
}

// RuntimeContext returns where in its runtime the session works, nil if the Hub does not say. An error
// means that the member has a form that this package does not know.
func (s *Session) RuntimeContext() (*SessionRuntimeContext, error) {
	return extra[*SessionRuntimeContext](s, "context")
}

// RuntimeError returns what went wrong in the session, "" if nothing did or the Hub does not say. The
// error means that the member has a form that this package does not know.
func (s *Session) RuntimeError() (string, error) { return extra[string](s, "error") }

// Observed returns what the Hub has counted, nil if the Hub does not say. An error means that the member has a
// form that this package does not know.
func (s *Session) Observed() (*SessionObserved, error) {
	return extra[*SessionObserved](s, "observed")
}

// Diagnostics returns what the Hub finds suspicious, nil if the Hub does not say. An error means that the member
// has a form that this package does not know.
func (s *Session) Diagnostics() (*SessionDiagnostics, error) {
	return extra[*SessionDiagnostics](s, "diagnostics")
}

// Product returns the product work of the session, nil if the Hub does not say. An error means that the member
// has a form that this package does not know.
func (s *Session) Product() (*SessionProduct, error) { return extra[*SessionProduct](s, "product") }

// Participants returns who is connected, nil if the Hub does not say: then use [Client.ListParticipants]. An
// error means that the member has a form that this package does not know.
func (s *Session) Participants() ([]SnapshotParticipant, error) {
	return extra[[]SnapshotParticipant](s, "participants")
}

// StreamID returns the id of the durable stream that keeps the conversation, "" if there is none or the Hub does not
// say. An error means that the member has a form that this package does not know.
func (s *Session) StreamID() (string, error) { return extra[string](s, "streamId") }

// StreamURL returns the address of the durable stream that keeps the conversation, "" if there is none or the Hub
// does not say. An error means that the member has a form that this package does not know.
func (s *Session) StreamURL() (string, error) { return extra[string](s, "streamUrl") }

// extra decodes a member that stayed in Extra.
func extra[T any](s *Session, name string) (T, error) {
	var out T
	raw, ok := s.Extra[name]
	if !ok {
		return out, nil
	}
	if err := wire.UnmarshalExact(raw, &out); err != nil {
		var zero T
		return zero, fmt.Errorf("coder: Session: the member %q has an unknown form: %w", name, err)
	}
	return out, nil
}
