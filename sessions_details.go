package coder

import (
	"fmt"
	"time"

	"github.com/agentuity/coder-go/internal/wire"
)

// SessionUsage is what a session has used.
type SessionUsage struct {
	// InputTokens counts what the models read.
	InputTokens int64 `json:"inputTokens"`
	// OutputTokens counts what the models wrote.
	OutputTokens int64 `json:"outputTokens"`
	// ReasoningTokens counts what the models thought.
	ReasoningTokens int64 `json:"reasoningTokens"`
	// CostUSD is the price in US dollars.
	CostUSD float64 `json:"costUsd"`
	// UpdatedAt is when this was counted.
	UpdatedAt UnixMilli `json:"updatedAt,omitzero"`
	// ByAgent is the same for each agent.
	ByAgent map[string]SessionUsage `json:"byAgent,omitzero"`
}

// SessionTaskStatus is how a task stands. Unknown values are kept as they came.
type SessionTaskStatus string

// The statuses of tasks.
const (
	TaskRunning   SessionTaskStatus = "running"
	TaskCompleted SessionTaskStatus = "completed"
	TaskFailed    SessionTaskStatus = "failed"
)

// SessionTaskState is a task that an agent of a session was given.
type SessionTaskState struct {
	// TaskID is its id.
	TaskID string `json:"taskId"`
	// Agent is the agent it was given to.
	Agent string `json:"agent"`
	// Status is how it stands.
	Status SessionTaskStatus `json:"status"`
	// Prompt is what the agent was told.
	Prompt string `json:"prompt"`
	// StartedAt is when it began.
	StartedAt time.Time `json:"startedAt,omitzero"`
	// CompletedAt is when it ended.
	CompletedAt time.Time `json:"completedAt,omitzero"`
	// Duration is how long it took.
	Duration Milliseconds `json:"duration,omitzero"`
	// Result is what came of it.
	Result string `json:"result,omitzero"`
	// Error is why it failed.
	Error string `json:"error,omitzero"`
}

// SessionAgentActivity is what an agent is doing.
type SessionAgentActivity struct {
	// Status is free text. Seen: idle, running, tool_start, tool_end, completed, failed.
	Status string `json:"status"`
	// ToolCallCount is the number of tool calls so far.
	ToolCallCount int `json:"toolCallCount"`
	// LastActivity is when it did something last.
	LastActivity UnixMilli `json:"lastActivity,omitzero"`
	// Name is the name of the agent.
	Name string `json:"name,omitzero"`
	// CurrentTool is the tool it is using.
	CurrentTool string `json:"currentTool,omitzero"`
	// CurrentToolArgs are the arguments of that.
	CurrentToolArgs string `json:"currentToolArgs,omitzero"`
	// TotalElapsed is how long it has worked.
	TotalElapsed Milliseconds `json:"totalElapsed,omitzero"`
}

// SessionStreamBlock is text that agents are producing.
type SessionStreamBlock struct {
	// Output is the text.
	Output string `json:"output"`
	// Thinking is the thinking behind it.
	Thinking string `json:"thinking"`
}

// SessionStreamProjection is the text that a session is producing, of the lead and of each task.
type SessionStreamProjection struct {
	SessionStreamBlock
	// Tasks is the text of each task, by its id.
	Tasks map[string]SessionStreamBlock `json:"tasks"`
}

// SessionRuntimeContext is where a session works.
type SessionRuntimeContext struct {
	// Branch is the Git branch.
	Branch string `json:"branch,omitzero"`
	// WorkingDirectory is the directory in the runtime.
	WorkingDirectory string `json:"workingDirectory,omitzero"`
}

// Usage returns what the session has used, nil if the Hub does not say. An error means that it
// says it in a form this package does not know.
func (s *Session) Usage() (*SessionUsage, error) { return extra[*SessionUsage](s, "usage") }

// Tasks returns the tasks of the session, nil if the Hub does not say. An error means that it says
// it in a form this package does not know.
func (s *Session) Tasks() ([]SessionTaskState, error) { return extra[[]SessionTaskState](s, "tasks") }

// AgentActivity returns what each agent is doing, by agent, nil if the Hub does not say. An error
// means that it says it in a form this package does not know.
func (s *Session) AgentActivity() (map[string]SessionAgentActivity, error) {
	return extra[map[string]SessionAgentActivity](s, "agentActivity")
}

// Workers returns the sessions that work for this one, nil if the Hub does not say. An error means
// that it says it in a form this package does not know.
func (s *Session) Workers() ([]SessionListItem, error) {
	return extra[[]SessionListItem](s, "workers")
}

// Stream returns the text that is being produced, nil if the Hub does not say. An error means that
// it says it in a form this package does not know.
func (s *Session) Stream() (*SessionStreamProjection, error) {
	return extra[*SessionStreamProjection](s, "stream")
}

// RuntimeContext returns where the session works, nil if the Hub does not say. An error means that
// it says it in a form this package does not know.
func (s *Session) RuntimeContext() (*SessionRuntimeContext, error) {
	return extra[*SessionRuntimeContext](s, "context")
}

// RuntimeError returns what went wrong in the session, "" if nothing did or the Hub does not say.
// The error means that it says it in a form this package does not know.
func (s *Session) RuntimeError() (string, error) { return extra[string](s, "error") }

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
