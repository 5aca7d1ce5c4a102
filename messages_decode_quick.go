package coder

import (
	"bytes"
	"time"

	"github.com/agentuity/coder-go/internal/sse"
	"github.com/agentuity/coder-go/internal/wire"
)

// quickly decodes a broadcast of the usual form in a fraction of the time that it takes otherwise, and reports whether it
// was one. Data is then a part of the text. session is the id that the event probably has.
func (m *BroadcastEventMessage) quickly(text []byte, session string) bool {
	e, sure := wire.ReadEnvelope(text)
	if !sure || len(e.Event) == 0 || len(e.Data) == 0 || e.Data[0] != '{' || len(e.Type) > 0 && string(e.Type) != typeBroadcast {
		return false
	}
	m.Event, m.Category, m.Data = interned(e.Event), interned(e.Category), e.Data
	if m.SessionID = session; session != string(e.SessionID) {
		m.SessionID = string(e.SessionID)
	}
	if e.HasTimestamp {
		m.Timestamp = UnixMilli{time.UnixMilli(e.Timestamp).UTC()}
	}
	return true
}

// quickEvent is decodeObserverEvent for a broadcast of the usual form, and nil for everything else.
func quickEvent(block sse.Event, session string) *SSEEvent {
	if block.Name != typeBroadcast {
		return nil
	}
	both := new(struct { // one object instead of two
		event   SSEEvent
		message BroadcastEventMessage
	})
	if !both.message.quickly(block.Data, session) {
		return nil
	}
	both.message.Data = bytes.Clone(both.message.Data)
	both.event = SSEEvent{Event: typeBroadcast, Data: &both.message}
	return &both.event
}

// interned returns the text of a name or a category, without an allocation if this package knows it.
func interned(text []byte) string {
	if name, ok := knownTexts[string(text)]; ok {
		return name
	}
	return string(text)
}

var knownTexts = func() map[string]string {
	texts := make(map[string]string)
	for _, text := range []string{
		EventSessionStart, EventSessionComplete, EventSessionError, EventSessionShutdown, EventSessionBeforeCompact,
		EventSessionCompact, EventSessionJoin, EventSessionLeave, EventSessionLabelUpdated, EventPresenceUpdate,
		EventRPCReady, EventAgentStart, EventAgentEnd, EventAgentProgress, EventBeforeAgentStart, EventTurnStart,
		EventTurnEnd, EventToolCall, EventToolResult, EventToolExecutionStart, EventToolExecutionEnd,
		EventToolExecutionUpdate, EventRuntimeProcessStart, EventRuntimeProcessOutput, EventRuntimeProcessError,
		EventRuntimeProcessStop, EventRuntimePreviewAvailable, EventTaskStart, EventTaskComplete, EventTaskError,
		EventMessageStart, EventMessageUpdate, EventMessageEnd, EventThinkingStart, EventThinkingEnd,
		EventLoopStateUpdated, EventLoopStarted, EventLoopResumed, EventLoopPaused, EventLoopBlocked, EventLoopCompleted,
		EventLoopCancelled, EventCoordJobCreated, EventCoordJobCompleted, EventCoordJobFailed, EventCoordTaskReady,
		EventCoordTaskClaimed, EventCoordTaskCompleted, EventCoordTaskFailed, EventCoordTaskDiscovered,
		EventCoordFileReserved, EventCoordFileReleased, EventCoordFileConflict, EventCoordContractProvided,
		EventCoordWorkerJoined, EventUserPrompt, EventInput, EventContext, EventQueueUpdate, EventAgentSettled,
		EventAutoRetryStart, EventAutoRetryEnd, EventCompactionStart, EventCompactionEnd, EventSessionBeforeSwitch,
		EventEntryAppended, EventExtensionError, EventCategorySession, EventCategoryPresence, EventCategoryRPC,
		EventCategoryAgent, EventCategoryTurn, EventCategoryTool, EventCategoryRuntime, EventCategoryTask,
		EventCategoryMessage, EventCategoryThinking, EventCategoryLoop, EventCategoryCoord,
	} {
		texts[text] = text
	}
	return texts
}()
