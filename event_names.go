package coder

// EventName is the name of an event in a session: what [SessionEvent].Event holds and what a
// subscription takes. It is a string by another name, so that the constants can be used wherever
// a string is wanted. Hubs send other names too.
type EventName = string

// The events of the life of a session.
const (
	EventSessionStart         EventName = "session_start"
	EventSessionComplete      EventName = "session_complete"
	EventSessionError         EventName = "session_error"
	EventSessionShutdown      EventName = "session_shutdown"
	EventSessionBeforeCompact EventName = "session_before_compact"
	EventSessionCompact       EventName = "session_compact"
	EventSessionJoin          EventName = "session_join"
	EventSessionLeave         EventName = "session_leave"
	EventSessionLabelUpdated  EventName = "session_label_updated"

	EventPresenceUpdate EventName = "presence_update"
	EventRPCReady       EventName = "rpc_ready"

	EventAgentStart       EventName = "agent_start"
	EventAgentEnd         EventName = "agent_end"
	EventAgentProgress    EventName = "agent_progress"
	EventBeforeAgentStart EventName = "before_agent_start"

	EventTurnStart EventName = "turn_start"
	EventTurnEnd   EventName = "turn_end"

	EventToolCall            EventName = "tool_call"
	EventToolResult          EventName = "tool_result"
	EventToolExecutionStart  EventName = "tool_execution_start"
	EventToolExecutionEnd    EventName = "tool_execution_end"
	EventToolExecutionUpdate EventName = "tool_execution_update"

	EventRuntimeProcessStart     EventName = "runtime_process_start"
	EventRuntimeProcessOutput    EventName = "runtime_process_output"
	EventRuntimeProcessError     EventName = "runtime_process_error"
	EventRuntimeProcessStop      EventName = "runtime_process_stop"
	EventRuntimePreviewAvailable EventName = "runtime_preview_available"

	EventTaskStart    EventName = "task_start"
	EventTaskComplete EventName = "task_complete"
	EventTaskError    EventName = "task_error"

	EventMessageStart  EventName = "message_start"
	EventMessageUpdate EventName = "message_update"
	EventMessageEnd    EventName = "message_end"

	EventThinkingStart EventName = "thinking_start"
	EventThinkingEnd   EventName = "thinking_end"

	EventLoopStateUpdated EventName = "loop_state_updated"
	EventLoopStarted      EventName = "loop_started"
	EventLoopResumed      EventName = "loop_resumed"
	EventLoopPaused       EventName = "loop_paused"
	EventLoopBlocked      EventName = "loop_blocked"
	EventLoopCompleted    EventName = "loop_completed"
	EventLoopCancelled    EventName = "loop_cancelled"

	EventCoordJobCreated       EventName = "coord_job_created"
	EventCoordJobCompleted     EventName = "coord_job_completed"
	EventCoordJobFailed        EventName = "coord_job_failed"
	EventCoordTaskReady        EventName = "coord_task_ready"
	EventCoordTaskClaimed      EventName = "coord_task_claimed"
	EventCoordTaskCompleted    EventName = "coord_task_completed"
	EventCoordTaskFailed       EventName = "coord_task_failed"
	EventCoordTaskDiscovered   EventName = "coord_task_discovered"
	EventCoordFileReserved     EventName = "coord_file_reserved"
	EventCoordFileReleased     EventName = "coord_file_released"
	EventCoordFileConflict     EventName = "coord_file_conflict"
	EventCoordContractProvided EventName = "coord_contract_provided"
	EventCoordWorkerJoined     EventName = "coord_worker_joined"
)

// EventCategory is a group of events: what [SessionEvent].Category holds. It is a string by
// another name, as [EventName] is. Hubs send other categories too.
type EventCategory = string

// The categories of events.
const (
	EventCategorySession  EventCategory = "session"
	EventCategoryPresence EventCategory = "presence"
	EventCategoryRPC      EventCategory = "rpc"
	EventCategoryAgent    EventCategory = "agent"
	EventCategoryTurn     EventCategory = "turn"
	EventCategoryTool     EventCategory = "tool"
	EventCategoryRuntime  EventCategory = "runtime"
	EventCategoryTask     EventCategory = "task"
	EventCategoryMessage  EventCategory = "message"
	EventCategoryThinking EventCategory = "thinking"
	EventCategoryLoop     EventCategory = "loop"
	EventCategoryCoord    EventCategory = "coord"
)
