package coder

import (
	"encoding/json"
	"time"

	"github.com/agentuity/coder-go/internal/wire"
)

// ServerMessage is what a [HubConn] receives: one of the message types of this package, or
// [*UnknownMessage].
type ServerMessage interface{ serverMessage() }

// ObserverSSEMessage is what an observer receives from [Client.StreamEvents]:
// [*SSESessionSnapshotMessage], [*SSEHydrationMessage], [*PresenceEventMessage],
// [*BroadcastEventMessage], [*ReconnectedMessage] or [*UnknownMessage].
type ObserverSSEMessage interface{ observerMessage() }

// HubRole is the part somebody plays in a session. Unknown values are kept as they came.
type HubRole string

// The roles.
const (
	RoleLead       HubRole = "lead"       // drives the session; there is one
	RoleController HubRole = "controller" // steers it
	RoleObserver   HubRole = "observer"   // watches it
	RoleSubAgent   HubRole = "sub_agent"  // works for the lead
)

// SSESessionSnapshotMessage is the first message of an observer's stream: the session as it stands.
type SSESessionSnapshotMessage struct {
	// SessionID is the id of the session.
	SessionID string `json:"sessionId"`
	// Label is its display name.
	Label string `json:"label"`
	// Status is free text, as in [SessionListItem].
	Status string `json:"status"`
	// CreatedAt is when it was created.
	CreatedAt time.Time `json:"createdAt,omitzero"`
	// Mode says where it runs.
	Mode SessionMode `json:"mode"`
	// Participants are those connected to it.
	Participants []SnapshotParticipant `json:"participants"`
	// TaskCount is the number of tasks so far.
	TaskCount int `json:"taskCount"`
	// AgentActivity is what each agent is doing, by agent.
	AgentActivity map[string]SessionAgentActivity `json:"agentActivity"`
	// Stream is the text that is being produced.
	Stream *SessionStreamProjection `json:"stream,omitzero"`
}

// SnapshotParticipant is somebody connected to a session, as snapshots have them.
type SnapshotParticipant struct {
	// ID is its id.
	ID string `json:"id"`
	// Role is its part in the session.
	Role HubRole `json:"role"`
	// Transport is "ws" or "sse".
	Transport string `json:"transport"`
	// ConnectedAt is when it came.
	ConnectedAt time.Time `json:"connectedAt,omitzero"`
	// Idle says that it does nothing; nil: not said.
	Idle *bool `json:"idle,omitzero"`
}

// SSEHydrationMessage is the conversation so far. It replaces what was known of it before.
type SSEHydrationMessage struct {
	// SessionID is the id of the session.
	SessionID string `json:"sessionId"`
	// Entries are the entries of the conversation, oldest first.
	Entries []ConversationEntry `json:"entries"`
	// Task is the first prompt.
	Task string `json:"task,omitzero"`
	// Stream is the text that is being produced.
	Stream *SessionStreamProjection `json:"stream,omitzero"`
	// Tasks are the tasks of the session.
	Tasks []SessionTaskState `json:"tasks,omitzero"`
}

// PresenceEventMessage says that somebody came or left.
type PresenceEventMessage struct {
	// Event is "session_join", "session_leave" or "presence_update".
	Event string `json:"event"`
	// Participant is who came or left.
	Participant *SessionParticipant `json:"participant,omitzero"`
	// Participants is everybody, with a presence_update.
	Participants []SessionParticipant `json:"participants,omitzero"`
	// SessionID is the id of the session.
	SessionID string `json:"sessionId"`
	// Timestamp is when it happened.
	Timestamp UnixMilli `json:"timestamp"`
}

// SessionParticipant is somebody connected to a session, as live messages have them.
type SessionParticipant struct {
	// ID is its id.
	ID string `json:"id"`
	// Role is its part in the session.
	Role HubRole `json:"role"`
	// Transport is "ws" or "sse".
	Transport string `json:"transport"`
	// Subscriptions are the filters it has subscribed to.
	Subscriptions []string `json:"subscriptions"`
	// ConnectedAt is when it came.
	ConnectedAt UnixMilli `json:"connectedAt,omitzero"`
	// LastActivity is when it did something last.
	LastActivity UnixMilli `json:"lastActivity,omitzero"`
	// Metadata is free.
	Metadata map[string]any `json:"metadata,omitzero"`
}

// BroadcastEventMessage is something that happened in a session.
type BroadcastEventMessage struct {
	// Event is the name of the event, such as "message_update".
	Event string `json:"event"`
	// Category is the group of the event, such as "message".
	Category string `json:"category"`
	// Data is what the event says, a JSON object whose form depends on the event. See Decode.
	Data json.RawMessage `json:"data,omitzero"`
	// SessionID is the id of the session.
	SessionID string `json:"sessionId"`
	// Timestamp is when it happened.
	Timestamp UnixMilli `json:"timestamp"`
}

// Decode decodes Data into a value, as lenient as the answers of the Hub are decoded.
func (m *BroadcastEventMessage) Decode(v any) error { return wire.Unmarshal(m.Data, v) }

// UnknownMessage is a message this package has no type for, or that could not be decoded.
type UnknownMessage struct {
	// Type is its type, as far as it could be read.
	Type string
	// Raw is all of it. It need not be JSON.
	Raw json.RawMessage
}

// ReconnectedMessage says that the connection was lost and that another one stands. What was sent
// in between is lost; the hydration that follows replaces what was known. While there is none, there
// is no message: [HubConn.State] says so.
type ReconnectedMessage struct {
	// Attempt counts the attempts it took, from 1.
	Attempt int
	// Cause is why the connection was lost.
	Cause error
	// Down is how long there was none. The silence after which it counted as lost came before.
	Down time.Duration
}

func (*SSESessionSnapshotMessage) observerMessage() {}

func (*SSEHydrationMessage) observerMessage() {}

func (*PresenceEventMessage) observerMessage() {}

func (*BroadcastEventMessage) observerMessage() {}

func (*UnknownMessage) observerMessage() {}

func (*ReconnectedMessage) observerMessage() {}

func (*PresenceEventMessage) serverMessage() {}

func (*BroadcastEventMessage) serverMessage() {}

func (*UnknownMessage) serverMessage() {}

func (*ReconnectedMessage) serverMessage() {}
