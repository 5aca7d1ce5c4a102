package coder

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"time"

	"github.com/agentuity/coder-go/internal/paging"
	"github.com/agentuity/coder-go/internal/route"
)

// SessionEventHistory is a page of the events of a session.
type SessionEventHistory struct {
	// SessionID is the id that was asked for.
	SessionID string `json:"sessionId"`
	// Events may come in any order.
	Events []SessionEvent `json:"events"`
	// Total is the number of events on all pages, Limit and Offset are those that were applied. All are 0 if
	// the Hub does not say.
	Total  int `json:"total,omitzero"`
	Limit  int `json:"limit,omitzero"`
	Offset int `json:"offset,omitzero"`
	// Extra holds the members this package has no field for.
	Extra map[string]json.RawMessage `json:",embed"`
}

func (h *SessionEventHistory) problem() error {
	if err := missingText("sessionId", h.SessionID); err != nil {
		return err
	}
	for i := range h.Events {
		if h.Events[i].ID == 0 {
			return missingText(fmt.Sprintf("events[%d].id", i), "")
		}
	}
	return missingIn("events", h.Events, "event", func(e *SessionEvent) string { return e.Event })
}

func (h *SessionEventHistory) namedSession() string { return h.SessionID }

// SessionEvent is something that happened in a session. Only ID, Event and OccurredAt are always set.
type SessionEvent struct {
	// ID grows with each event of a session. BeforeID takes it.
	ID int `json:"id"`
	// Event is a name such as "turn_end", often one of [EventName]; Category is a group such as "turn".
	Event    string `json:"event"`
	Category string `json:"category,omitzero"`
	// The agent and the task that the event is about.
	Agent  string `json:"agent,omitzero"`
	TaskID string `json:"taskId,omitzero"`
	// Payload has the details, in a form that depends on the event.
	Payload json.RawMessage `json:"payload,omitzero"`
	// When the event happened, and when the Hub stored it.
	OccurredAt time.Time `json:"occurredAt,omitzero"`
	IngestedAt time.Time `json:"ingestedAt,omitzero"`
	// Extra holds the members this package has no field for.
	Extra map[string]json.RawMessage `json:",embed"`
}

// AgentEvent decodes the event. The result is never nil: an event of the Hub, rather than of the agent, is an
// [*UnknownAgentEvent].
func (e *SessionEvent) AgentEvent() AgentEvent { return decodeAgentEvent(e.Event, e.Payload) }

// ListEventHistoryParams selects events. The zero value of a member means that it is not sent.
type ListEventHistoryParams struct {
	// Limit is the size of the page.
	Limit int
	// BeforeID returns events with a smaller id only. For the next page it is the smallest id of
	// the page before.
	BeforeID int
}

// ListEventHistory returns the newest events of a session, or the newest before a given one. An
// unknown id is an error that matches [ErrSessionNotFound].
//
// GET /hub/session/{sessionId}/events/history
func (c *Client) ListEventHistory(ctx context.Context, sessionID string, params *ListEventHistoryParams) (*SessionEventHistory, error) {
	var q route.Query
	if params != nil {
		q.Int("limit", params.Limit).Int("beforeId", params.BeforeID)
	}
	return call[SessionEventHistory](ctx, c,
		get("ListEventHistory", "/hub/session/{sessionID}/events/history", sessionID).with(&q))
}

// AllEventHistory returns the events of a session from the newest to the oldest, page by page. It starts
// below params.BeforeID; 0 means with the newest. Limit is the size of a page, not a maximum; 0 means 100.
// Events that happen after the first page was read do not appear. No event comes twice. None is left out if
// every page holds the newest events below the page before. The loop ends even if the Hub ignores limit or
// beforeId. Leaving the loop ends the requests; ranging again starts over.
//
// An error is the last thing that it yields. The errors are those of [Client.ListEventHistory]; if the
// session is deleted in between, the error matches [ErrSessionNotFound].
//
// GET /hub/session/{sessionId}/events/history
func (c *Client) AllEventHistory(ctx context.Context, sessionID string, params *ListEventHistoryParams) iter.Seq2[SessionEvent, error] {
	var p ListEventHistoryParams
	if params != nil {
		p = *params
	}
	return c.allEventHistory(ctx, "AllEventHistory", sessionID, p)
}

func (c *Client) allEventHistory(ctx context.Context, op, sessionID string, p ListEventHistoryParams) iter.Seq2[SessionEvent, error] {
	id := func(e *SessionEvent) int { return e.ID }
	return paging.Before(p.BeforeID, id, func(before int) ([]SessionEvent, error) {
		var q route.Query
		q.Int("limit", cmp.Or(p.Limit, pageSize)).Int("beforeId", before)
		history, err := call[SessionEventHistory](ctx, c,
			get(op, "/hub/session/{sessionID}/events/history", sessionID).with(&q))
		if err != nil {
			return nil, err
		}
		return history.Events, nil
	})
}

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

// Events beyond the Hub's own list: the agent was recorded to send them, or a Hub sends them for it. See
// [AgentEvent].
const (
	EventUserPrompt          EventName = "user_prompt"
	EventInput               EventName = "input"
	EventContext             EventName = "context"
	EventQueueUpdate         EventName = "queue_update"
	EventAgentSettled        EventName = "agent_settled"
	EventAutoRetryStart      EventName = "auto_retry_start"
	EventAutoRetryEnd        EventName = "auto_retry_end"
	EventCompactionStart     EventName = "compaction_start"
	EventCompactionEnd       EventName = "compaction_end"
	EventSessionBeforeSwitch EventName = "session_before_switch"
	EventEntryAppended       EventName = "entry_appended"
	EventExtensionError      EventName = "extension_error"
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
