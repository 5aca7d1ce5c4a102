package coder

import (
	"encoding/json"
	"slices"
)

// AgentEvent is something that the agent of a session did: one of the types below, or
// [*UnknownAgentEvent]. A controller gets it from [*RPCEventMessage].AgentEvent, an observer from
// [*BroadcastEventMessage].AgentEvent, and the history has it in [*SessionEvent].AgentEvent.
//
// The events of one prompt are, in this order: an [*Input]; [*AgentStart]; for each call of the model
// [*TurnStart], then [*MessageStart], [*MessageUpdate] and [*MessageEnd] of each message, the events of its
// tools, [*TurnEnd]; and [*AgentEnd]. An *AgentEnd does not end the prompt if the model has failed: the agent
// waits and tries again, or compacts the conversation first. [Client.WaitForSession] finds out when a prompt is
// over.
//
// These are the events that the agent Pi was recorded to send, in versions 0.74.2 and 1.6.0, through its extension
// for terminals and in its RPC mode, which sandboxes use. Some events come only on one of these channels, and some
// only from the newer version; the comments say so. Only the events of messages, turns and runs are sure to be in
// order: the others may overtake them.
type AgentEvent interface{ agentEvent() }

// AgentStart begins a run: one or more turns. A prompt may take several runs, and a run may answer several
// prompts.
type AgentStart struct{}

// AgentEnd ends a run.
type AgentEnd struct {
	// Messages are all messages of the run, those of users and tools included. See Answer.
	Messages []AgentMessage `json:"messages"`
	// WillRetry says that the agent will call the model again. False proves nothing: a compaction, and after
	// it another run, may follow. It is nil if the agent does not say: only newer agents do, in RPC mode.
	WillRetry *bool `json:"willRetry,omitzero"`
}

// Answer returns the last message of an assistant, nil if there is none.
func (e *AgentEnd) Answer() *AgentMessage {
	for i := range slices.Backward(e.Messages) {
		if e.Messages[i].Role == "assistant" {
			return &e.Messages[i]
		}
	}
	return nil
}

// AgentSettled says that the agent has nothing more to do. Only newer agents send it, in RPC mode. They also
// send it wrongly, while the run of a prompt begins.
type AgentSettled struct {
	// Aborted says that somebody stopped it.
	Aborted bool `json:"aborted"`
}

// BeforeAgentStart comes before the first run of a prompt, but not before a run that continues the prompt.
// The extension reports it.
type BeforeAgentStart struct {
	// Prompt is the text of the prompt, SystemPrompt is the system prompt of the model.
	Prompt       string `json:"prompt"`
	SystemPrompt string `json:"systemPrompt,omitzero"`
}

// AgentContext has the whole conversation as it is sent to the model. The extension reports it before each call
// of the model. It may arrive before events that happened earlier.
type AgentContext struct {
	// Messages come oldest first.
	Messages []AgentMessage `json:"messages"`
}

// TurnStart begins a turn: one call of the model, and the tools that it calls.
type TurnStart struct {
	// TurnIndex counts the turns of the run from 0, in events of the extension.
	TurnIndex int `json:"turnIndex"`
	// Timestamp is zero if the agent does not say.
	Timestamp UnixMilli `json:"timestamp,omitzero"`
}

// TurnEnd ends a turn. Another one follows if Message ended with StopReasonToolUse.
type TurnEnd struct {
	// TurnIndex is that of the TurnStart.
	TurnIndex int `json:"turnIndex"`
	// Message is what the model said, ToolResults what the tools answered.
	Message     AgentMessage   `json:"message"`
	ToolResults []AgentMessage `json:"toolResults"`
	// Outcome is "completed", "error" or "aborted". Only the extension of newer agents reports it.
	Outcome string `json:"outcome,omitzero"`
}

// MessageStart begins a message of a user, an assistant or a tool. It may already have text that the updates
// bring again: do not add the updates to it.
type MessageStart struct {
	// Message is the message so far.
	Message AgentMessage `json:"message"`
}

// MessageEnd ends a message.
type MessageEnd struct {
	// Message is the whole message.
	Message AgentMessage `json:"message"`
}

// UpdateKind is what a [MessageUpdate] adds to. Unknown values are kept as they came.
type UpdateKind = string

// The kinds of updates.
const (
	UpdateText     UpdateKind = "text"     // what is said
	UpdateThinking UpdateKind = "thinking" // what the model thinks
	UpdateToolCall UpdateKind = "toolcall" // a call of a tool; the deltas are pieces of its arguments, as JSON
)

// UpdatePhase says what a [MessageUpdate] does to its block. Unknown values are kept as they came.
type UpdatePhase = string

// The phases of a block of a message.
const (
	UpdateStart UpdatePhase = "start"
	UpdateDelta UpdatePhase = "delta"
	UpdateEnd   UpdatePhase = "end"
)

// MessageUpdate is a piece of an assistant's message. The deltas of one ContentIndex, joined, are the text of that
// block; see TextDelta.
//
// With each update agents also send the whole message so far. This package does not read it: its cost grows with
// the square of the length of an answer, it is sometimes ahead of the deltas, and newer agents leave it out.
type MessageUpdate struct {
	// Kind and Phase say what happens to the block at ContentIndex, which counts from 0.
	Kind         UpdateKind
	Phase        UpdatePhase
	ContentIndex int
	// Delta is what is added, in the phase UpdateDelta.
	Delta string
	// Content is the whole text, or the whole thought, in the phase UpdateEnd.
	Content string
	// ToolCall is the whole call, in the phase UpdateEnd of UpdateToolCall. From newer agents in RPC mode it
	// also has the ID and the Name of the call in the phase UpdateStart. Otherwise it is nil.
	ToolCall *ContentBlock
}

// TextDelta returns what the update adds to the text for the reader, without thoughts and arguments of tools.
func (u *MessageUpdate) TextDelta() string {
	if u.Kind != UpdateText {
		return ""
	}
	return u.Delta
}

// ToolCall says that a tool is about to run. The extension reports it, after the [*ToolExecutionStart].
type ToolCall struct {
	// ToolCallID is the ID of the block that calls the tool. Args is a JSON object.
	ToolCallID string
	ToolName   string
	Args       json.RawMessage
}

// ToolResult is what a tool has answered. The extension reports it, unless the tool was blocked.
type ToolResult struct {
	// ToolCallID is the ID of the block that has called the tool. Args is a JSON object.
	ToolCallID string
	ToolName   string
	Args       json.RawMessage
	// Content is for the model. Details and StructuredContent are JSON in a form of the tool's own.
	Content           MessageContent
	Details           json.RawMessage
	StructuredContent json.RawMessage
	// IsError says that the tool has failed.
	IsError bool
}

// ToolExecutionStart begins the run of a tool.
type ToolExecutionStart struct {
	// ToolCallID is the ID of the block that calls the tool. Args is a JSON object.
	ToolCallID string
	ToolName   string
	Args       json.RawMessage
}

// ToolExecutionUpdate is the output of a tool so far. The last update may come after the result.
type ToolExecutionUpdate struct {
	// ToolCallID is the ID of the block that calls the tool. Args is a JSON object.
	ToolCallID string
	ToolName   string
	Args       json.RawMessage
	// PartialResult is the result so far, not what was added.
	PartialResult ToolOutput
}

// ToolExecutionEnd ends the run of a tool, also of one that was blocked.
type ToolExecutionEnd struct {
	// ToolCallID is the ID of the block that has called the tool.
	ToolCallID string
	ToolName   string
	Result     ToolOutput
	// IsError says that the tool has failed.
	IsError bool
	// Duration is 0 if the agent does not say.
	Duration Milliseconds
}

// ToolOutput is what a tool says.
type ToolOutput struct {
	// Content is for the model. Details and StructuredContent are JSON in a form of the tool's own.
	Content           MessageContent  `json:"content"`
	Details           json.RawMessage `json:"details,omitzero"`
	StructuredContent json.RawMessage `json:"structuredContent,omitzero"`
}

// TaskStart says that the agent has given a task to another agent.
type TaskStart struct {
	// TaskID is the same in all events of the task.
	TaskID string `json:"taskId"`
	// Agent is who was given the task, Prompt is the text of the task, Description a title for people.
	Agent       string `json:"agent"`
	Prompt      string `json:"prompt"`
	Description string `json:"description"`
}

// AgentProgress says what the agent that works on a task is doing. No other event reports what that agent
// says and which tools it calls.
type AgentProgress struct {
	// TaskID is the same in all events of the task, AgentName who works on it.
	TaskID    string `json:"taskId"`
	AgentName string `json:"agentName"`
	// Status is "tool_start", "tool_end", "text_delta", "thinking_delta", "running", "completed" or "failed".
	Status string `json:"status"`
	// Delta is the text of a text_delta or thinking_delta.
	Delta string `json:"delta,omitzero"`
	// CurrentTool is the tool that is running, CurrentToolArgs are its arguments as text.
	CurrentTool     string `json:"currentTool,omitzero"`
	CurrentToolArgs string `json:"currentToolArgs,omitzero"`
	// Elapsed is how long the task has taken so far.
	Elapsed Milliseconds `json:"elapsed,omitzero"`
}

// TaskComplete says that a task is done. The agent that gave it goes on.
type TaskComplete struct {
	// TaskID is the same in all events of the task.
	TaskID string `json:"taskId"`
	// Agent is who has worked on it, Result what it said, which may be cut, Duration how long it took.
	Agent    string       `json:"agent"`
	Result   string       `json:"result"`
	Duration Milliseconds `json:"duration,omitzero"`
}

// TaskError says that a task has failed. The agent that gave it goes on.
type TaskError struct {
	// TaskID is the same in all events of the task.
	TaskID string `json:"taskId"`
	// Agent is who has worked on it, Error why it failed.
	Agent string `json:"agent"`
	Error string `json:"error"`
}

// UserPrompt says that somebody has sent a text. The Hub sends it to everybody else in the session.
type UserPrompt struct {
	// Text is what was sent.
	Text string
	// Timestamp is zero if the Hub does not say.
	Timestamp UnixMilli
}

// Input says that the agent has received a text. The extension reports it at once, even while the agent is at
// work. It does not mean that the agent will act on the text.
type Input struct {
	// Text is the prompt as it was sent.
	Text string `json:"text"`
	// Source is "extension" for a text that came through the Hub, else "rpc" or "interactive".
	Source string `json:"source,omitzero"`
	// StreamingBehavior is "followUp" or "steer" for a text that was queued. Only newer agents say so.
	StreamingBehavior StreamingBehavior `json:"streamingBehavior,omitzero"`
}

// QueueUpdate has the texts that are queued for the agent. It comes in RPC mode.
type QueueUpdate struct {
	// Steering texts come before the next call of the model, FollowUp texts when the agent is done.
	Steering []string `json:"steering"`
	FollowUp []string `json:"followUp"`
}

// AutoRetryStart says that the model has failed, and that the agent waits and then tries again. It comes in RPC
// mode; the extension says nothing until the next [*AgentStart].
type AutoRetryStart struct {
	// Attempt counts from 1 to MaxAttempts, and begins after Delay.
	Attempt     int          `json:"attempt"`
	MaxAttempts int          `json:"maxAttempts"`
	Delay       Milliseconds `json:"delayMs"`
	// ErrorMessage is what the agent says about the failure.
	ErrorMessage string `json:"errorMessage"`
}

// AutoRetryEnd ends the attempts that an AutoRetryStart has announced. It comes in RPC mode.
type AutoRetryEnd struct {
	// Success says that the model has answered. If not, FinalError says why.
	Success    bool   `json:"success"`
	Attempt    int    `json:"attempt"`
	FinalError string `json:"finalError,omitzero"`
}

// CompactionStart says that the agent summarizes the conversation, to free its context. It comes in RPC mode; the
// extension reports a [*SessionBeforeCompact].
type CompactionStart struct {
	// Reason is "manual", "threshold" or "overflow".
	Reason string `json:"reason"`
}

// CompactionEnd ends a compaction. It comes in RPC mode.
type CompactionEnd struct {
	// Reason is that of the CompactionStart.
	Reason string `json:"reason"`
	// Aborted says that somebody stopped it. ErrorMessage says why it failed, if it has.
	Aborted      bool   `json:"aborted"`
	ErrorMessage string `json:"errorMessage,omitzero"`
	// WillRetry says that the prompt before the compaction runs again. Nil: the agent does not say.
	WillRetry *bool `json:"willRetry,omitzero"`
	// Result is nil if there is none.
	Result *Compaction `json:"result,omitzero"`
}

// SessionBeforeCompact says that the agent summarizes the conversation. The extension reports it; no event follows
// if the compaction fails.
type SessionBeforeCompact struct {
	// Reason is "manual", "threshold" or "overflow". Only newer agents say so.
	Reason string `json:"reason,omitzero"`
	// WillRetry says that the prompt before the compaction will run again. Nil: the agent does not say.
	WillRetry *bool `json:"willRetry,omitzero"`
}

// SessionCompact says that a compaction was made. The extension reports it.
type SessionCompact struct {
	// Reason and WillRetry are those of the SessionBeforeCompact.
	Reason    string `json:"reason,omitzero"`
	WillRetry *bool  `json:"willRetry,omitzero"`
	// Compaction is the result.
	Compaction Compaction `json:"compactionEntry"`
}

// Compaction is the summary that replaces a conversation.
type Compaction struct {
	// Summary is the text.
	Summary string `json:"summary"`
	// The size of the conversation in tokens, before and after. TokensAfter is an estimate, 0 if the agent
	// does not say.
	TokensBefore int64 `json:"tokensBefore"`
	TokensAfter  int64 `json:"estimatedTokensAfter,omitzero"`
	// Usage is what making the summary has used; nil if the agent does not say.
	Usage *AgentUsage `json:"usage,omitzero"`
}

// SessionStart says that the agent has begun a conversation: when it starts, and when somebody begins another
// conversation in its terminal. A run that was open is lost. The extension reports it.
type SessionStart struct {
	// Reason is "startup", "new", "resume", "fork" or "reload".
	Reason string `json:"reason"`
	// PreviousSessionFile is the agent's file of the conversation before, if there was one.
	PreviousSessionFile string `json:"previousSessionFile,omitzero"`
}

// SessionBeforeSwitch says that the agent is about to switch to another conversation. The extension reports
// it.
type SessionBeforeSwitch struct {
	// Reason is "new" or "resume".
	Reason string `json:"reason"`
}

// SessionShutdown says that the agent has left its conversation. Without a Reason it comes from the Hub, and
// says that the session was shut down. It may arrive before events that happened earlier.
type SessionShutdown struct {
	// Reason is "quit" if the agent has ended. With "new", "resume", "fork" or "reload" the agent goes on
	// with another conversation, or begins again.
	Reason string `json:"reason,omitzero"`
	// TargetSessionFile is where the agent goes on, if it does.
	TargetSessionFile string `json:"targetSessionFile,omitzero"`
}

// EntryAppended says that the agent has added to the file it keeps of the conversation. Newer agents send it, in
// RPC mode.
type EntryAppended struct {
	// Entry is JSON in a form of the agent's own.
	Entry json.RawMessage `json:"entry,omitzero"`
}

// ExtensionError says that an extension of the agent has failed. It comes in RPC mode.
type ExtensionError struct {
	// ExtensionPath names the extension, Event is the event that it was handling, Error says why it failed.
	ExtensionPath string `json:"extensionPath"`
	Event         string `json:"event"`
	Error         string `json:"error"`
}

// UnknownAgentEvent is an event that this package has no type for, or that could not be decoded. All events of
// the Hub, rather than of the agent, are among them.
type UnknownAgentEvent struct {
	// Name is the type of the event.
	Name EventName
	// Raw is the payload. It need not be JSON.
	Raw json.RawMessage
}

func (*AgentStart) agentEvent()           {}
func (*AgentEnd) agentEvent()             {}
func (*AgentSettled) agentEvent()         {}
func (*BeforeAgentStart) agentEvent()     {}
func (*AgentContext) agentEvent()         {}
func (*TurnStart) agentEvent()            {}
func (*TurnEnd) agentEvent()              {}
func (*MessageStart) agentEvent()         {}
func (*MessageUpdate) agentEvent()        {}
func (*MessageEnd) agentEvent()           {}
func (*ToolCall) agentEvent()             {}
func (*ToolResult) agentEvent()           {}
func (*ToolExecutionStart) agentEvent()   {}
func (*ToolExecutionUpdate) agentEvent()  {}
func (*ToolExecutionEnd) agentEvent()     {}
func (*TaskStart) agentEvent()            {}
func (*AgentProgress) agentEvent()        {}
func (*TaskComplete) agentEvent()         {}
func (*TaskError) agentEvent()            {}
func (*UserPrompt) agentEvent()           {}
func (*Input) agentEvent()                {}
func (*QueueUpdate) agentEvent()          {}
func (*AutoRetryStart) agentEvent()       {}
func (*AutoRetryEnd) agentEvent()         {}
func (*CompactionStart) agentEvent()      {}
func (*CompactionEnd) agentEvent()        {}
func (*SessionBeforeCompact) agentEvent() {}
func (*SessionCompact) agentEvent()       {}
func (*SessionStart) agentEvent()         {}
func (*SessionBeforeSwitch) agentEvent()  {}
func (*SessionShutdown) agentEvent()      {}
func (*EntryAppended) agentEvent()        {}
func (*ExtensionError) agentEvent()       {}
func (*UnknownAgentEvent) agentEvent()    {}
