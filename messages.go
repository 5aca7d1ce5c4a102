package coder

import (
	"encoding/json"
	"fmt"
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

// SSESessionSnapshotMessage is the first message of an observer's stream: the current state of the session.
type SSESessionSnapshotMessage struct {
	// SessionID is the session that is observed.
	SessionID string `json:"sessionId"`
	// Label is the display name.
	Label string `json:"label"`
	// Status is free text, as in [SessionListItem].
	Status string `json:"status"`
	// CreatedAt is when the session was created.
	CreatedAt time.Time `json:"createdAt,omitzero"`
	// Mode says where the session runs.
	Mode SessionMode `json:"mode"`
	// Participants has everybody who is connected.
	Participants []SnapshotParticipant `json:"participants"`
	// TaskCount counts the tasks so far.
	TaskCount int `json:"taskCount"`
	// AgentActivity says what each agent is doing, by the agent's name.
	AgentActivity map[string]SessionAgentActivity `json:"agentActivity"`
	// Stream is the text that is being written at the moment; nil if the Hub does not say.
	Stream *SessionStreamProjection `json:"stream,omitzero"`
}

// SnapshotParticipant is somebody connected to a session, as snapshots have them.
type SnapshotParticipant struct {
	// ID identifies the participant within its session.
	ID string `json:"id"`
	// Role is the part it plays.
	Role HubRole `json:"role"`
	// Transport is "ws" or "sse".
	Transport string `json:"transport"`
	// ConnectedAt is when it connected.
	ConnectedAt time.Time `json:"connectedAt,omitzero"`
	// Idle says that it does nothing; nil if the Hub does not say.
	Idle *bool `json:"idle,omitzero"`
}

// SSEHydrationMessage is the conversation so far. It replaces all that was known before.
type SSEHydrationMessage struct {
	// SessionID is the session that is observed.
	SessionID string `json:"sessionId"`
	// Entries come oldest first.
	Entries []ConversationEntry `json:"entries"`
	// Task is the first prompt.
	Task string `json:"task,omitzero"`
	// Stream is the text that is being written, Tasks are the tasks that agents were given; nil if the Hub
	// does not say.
	Stream *SessionStreamProjection `json:"stream,omitzero"`
	Tasks  []SessionTaskState       `json:"tasks,omitzero"`
}

// PresenceEventMessage says that somebody came or left.
type PresenceEventMessage struct {
	// Event is "session_join", "session_leave" or "presence_update".
	Event string `json:"event"`
	// Participant is who came or left.
	Participant *SessionParticipant `json:"participant,omitzero"`
	// Participants has everybody, with a presence_update.
	Participants []SessionParticipant `json:"participants,omitzero"`
	// The session, and the time.
	SessionID string    `json:"sessionId"`
	Timestamp UnixMilli `json:"timestamp"`
}

// SessionParticipant is somebody connected to a session, as live messages show it.
type SessionParticipant struct {
	// ID identifies the participant within its session.
	ID string `json:"id"`
	// Role is the part it plays.
	Role HubRole `json:"role"`
	// Transport is "ws" or "sse".
	Transport string `json:"transport"`
	// Subscriptions are the patterns of an observer that wants only some events.
	Subscriptions []string `json:"subscriptions"`
	// When it connected, and the time of its last activity.
	ConnectedAt  UnixMilli `json:"connectedAt,omitzero"`
	LastActivity UnixMilli `json:"lastActivity,omitzero"`
	// Metadata is free JSON, as the Hub has it. Whole numbers that a float64 cannot hold are json.Number.
	Metadata map[string]any `json:"metadata,omitzero"`
}

// BroadcastEventMessage is something that happened in a session.
type BroadcastEventMessage struct {
	// Event is a name such as "message_update", often one of [EventName].
	Event string `json:"event"`
	// Category is a group of events such as "message".
	Category string `json:"category"`
	// Data is a JSON object whose form depends on Event. See Decode.
	Data json.RawMessage `json:"data,omitzero"`
	// The session, and the time.
	SessionID string    `json:"sessionId"`
	Timestamp UnixMilli `json:"timestamp"`
}

// Decode decodes Data into v, as leniently as responses of the Hub are decoded. Without Data it changes nothing. Names must
// match in letter case, so fields need json tags. In free JSON whole numbers that a float64 cannot hold become json.Number.
func (m *BroadcastEventMessage) Decode(v any) error { return decodePayload(m.Data, v) }

// decodePayload is Decode of a message.
func decodePayload(payload json.RawMessage, v any) error {
	if len(payload) == 0 {
		return nil
	}
	if err := wire.Unmarshal(payload, v); err != nil {
		return fmt.Errorf("coder: Decode: %w", err)
	}
	return nil
}

// AgentEvent decodes the event. The result is never nil: an event of the Hub, rather than of the agent, is an
// [*UnknownAgentEvent].
func (m *BroadcastEventMessage) AgentEvent() AgentEvent { return decodeAgentEvent(m.Event, m.Data) }

// UnknownMessage is a message this package has no type for, or that could not be decoded.
type UnknownMessage struct {
	// Type is empty if it could not be read.
	Type string
	// Raw is the whole message. It need not be JSON.
	Raw json.RawMessage
}

// ReconnectedMessage says that the connection was lost and that another one is open. What was sent in between
// is lost; the hydration that follows replaces what was known. While there is no connection, no message says
// so: see [HubConn.State].
type ReconnectedMessage struct {
	// Attempt counts the attempts it took, from 1.
	Attempt int
	// Cause is why the connection was lost.
	Cause error
	// Down is the time without a connection, not counting the silence after which it was taken for lost.
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
