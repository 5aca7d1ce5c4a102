package coder

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"

	"github.com/agentuity/coder-go/internal/sse"
	"github.com/agentuity/coder-go/internal/wire"
)

// The types of the messages of a connection, as far as they are named more than once.
const (
	typeInit         = "init"
	typeRejected     = "connection_rejected"
	typeProtocol     = "protocol_error"
	typeError        = "error" // of a HubConnError; such a message has no type
	typeRPCEvent     = "rpc_event"
	typeRPCResponse  = "rpc_response"
	typeRPCUIRequest = "rpc_ui_request"
	typeRPCCommand   = "rpc_command"
	typeRPCFailure   = "rpc_command_error"
	typePong         = "pong"
)

// frameType reads the type of a frame, "" if it has none.
func frameType(raw []byte) string {
	var head struct {
		Type string `json:"type"`
	}
	_ = wire.UnmarshalFlat(raw, &head)
	return head.Type
}

// eventType is frameType for a value that was decoded before. As a rule the type comes first, and what follows may be long.
func eventType(event []byte) string {
	if rest, ok := bytes.CutPrefix(event, []byte(`{"type":"`)); ok {
		if kind, _, ok := bytes.Cut(rest[:min(len(rest), 100)], []byte(`"`)); ok && !bytes.ContainsRune(kind, '\\') && utf8.Valid(kind) {
			return string(kind)
		}
	}
	return frameType(event)
}

// decodeServerMessage turns a frame into a message. What has no type of this package, lacks what
// makes it useful, or is not even JSON, is an UnknownMessage.
func decodeServerMessage(raw []byte) ServerMessage {
	if bytes.HasPrefix(raw, []byte(`{"type":"broadcast"`)) { // most do, and need not be read twice
		if m := new(BroadcastEventMessage); m.quickly(raw, "") {
			return m.unwrapped()
		}
		if m := decodeServerBroadcast(raw); m != nil {
			return m
		}
	}
	kind := frameType(raw)
	if m := decodeKnown(kind, raw); m != nil {
		return m
	}
	return &UnknownMessage{Type: kind, Raw: raw}
}

// decodeKnown returns nil for what it does not know. A nil of one of the types never gets into the
// interface.
func decodeKnown(kind string, raw []byte) ServerMessage {
	switch kind {
	case "":
		if m := decodeHubResponse(raw); m != nil {
			return m
		}
		return nil
	case typeInit:
		return decodeAs[HubInitMessage](raw)
	case "session_hydration":
		var m HubHydrationMessage
		if wire.Unmarshal(raw, &m) == nil && m.SessionID != "" && m.Entries != nil {
			return &m
		}
		return nil
	case "session_stream_ready":
		return decodeAs[HubStreamReadyMessage](raw)
	case "session_resume":
		return decodeAs[HubSessionResumeMessage](raw)
	case typePong:
		return decodeAs[PongMessage](raw)
	case typeRejected:
		return decodeAs[ConnectionRejectedMessage](raw)
	case typeProtocol:
		return decodeAs[ProtocolErrorMessage](raw)
	case typePresence:
		var m PresenceEventMessage
		if wire.Unmarshal(raw, &m) == nil && m.Event != "" {
			return &m
		}
		return nil
	case typeBroadcast:
		return decodeServerBroadcast(raw)
	case typeRPCEvent, typeRPCResponse, typeRPCUIRequest:
		var at rpcOrigin
		if wire.Unmarshal(raw, &at) != nil {
			return nil
		}
		return decodeRPC(kind, raw, at, true)
	case typeRPCCommand:
		var m RPCCommandMessage
		if wire.Unmarshal(raw, &m) == nil && m.Command.Type != "" {
			return &m
		}
		return nil
	case typeRPCFailure:
		m := RPCCommandErrorMessage{Raw: raw}
		if wire.Unmarshal(raw, &m) == nil {
			m.Raw = raw
			return &m
		}
	}
	return nil
}

func decodeAs[T any, P interface {
	*T
	ServerMessage
}](raw []byte) ServerMessage {
	m := new(T)
	if wire.Unmarshal(raw, m) != nil {
		return nil
	}
	return P(m)
}

// rpcOrigin is what surrounds an RPC message.
type rpcOrigin struct {
	SessionID string    `json:"sessionId"`
	Timestamp UnixMilli `json:"timestamp"`
}

// decodeServerBroadcast also takes out what broadcasts only wrap. What it returns refers to the frame: older agents
// send megabytes for a long answer.
func decodeServerBroadcast(raw []byte) ServerMessage {
	var body struct {
		broadcastWire
		Data wire.Span `json:"data"`
	}
	if wire.UnmarshalFlat(raw, &body) != nil {
		return nil
	}
	body.broadcastWire.Data = body.Data.Of(raw)
	m := body.message()
	if m == nil {
		return nil
	}
	return m.unwrapped()
}

// unwrapped returns what the broadcast only wraps, if that is so.
func (m *BroadcastEventMessage) unwrapped() ServerMessage {
	switch m.Event {
	case typeRPCEvent, typeRPCResponse, typeRPCUIRequest:
		at := rpcOrigin{SessionID: m.SessionID, Timestamp: m.Timestamp}
		if inner := decodeRPC(m.Event, m.Data, at, false); inner != nil {
			return inner
		}
	}
	return m
}

// decodeRPC decodes an RPC message, be it a frame or the data of a broadcast. Only an event that
// is a frame is a replay.
func decodeRPC(kind string, data []byte, at rpcOrigin, frame bool) ServerMessage {
	var body struct {
		Event    wire.Span       `json:"event"`
		Response *RPCResponse    `json:"response"`
		ID       string          `json:"id"`
		Method   RPCUIMethod     `json:"method"`
		Params   json.RawMessage `json:"params"`
	}
	if wire.UnmarshalFlat(data, &body) != nil {
		return nil
	}
	event := body.Event.Of(data)
	switch {
	case kind == typeRPCEvent && len(event) > 0 && event[0] == '{':
		return &RPCEventMessage{EventType: eventType(event), Event: event, SessionID: at.SessionID, Timestamp: at.Timestamp, Replay: frame}
	case kind == typeRPCResponse && body.Response != nil:
		return &RPCResponseMessage{Response: *body.Response, SessionID: at.SessionID, Timestamp: at.Timestamp}
	case kind == typeRPCUIRequest && body.ID != "" && body.Method != "":
		return &RPCUIRequestMessage{
			ID: body.ID, Method: body.Method, Params: body.Params, SessionID: at.SessionID, Timestamp: at.Timestamp,
		}
	}
	return nil
}

// The types of observer messages.
const (
	typeSnapshot  = "snapshot"
	typeHydration = "hydration"
	typePresence  = "presence"
	typeBroadcast = "broadcast"
)

// decodeObserverEvent turns a block into an event. The type is that in the JSON, else the name of
// the block. What cannot be decoded is an UnknownMessage.
func decodeObserverEvent(block sse.Event) *SSEEvent {
	kind := block.Name
	switch kind {
	case typeBroadcast: // most are, and need not be read twice
		if m := decodeBroadcast(block.Data); m != nil {
			return &SSEEvent{Event: block.Name, Data: m}
		}
		fallthrough
	default:
		var head struct {
			Type string `json:"type"`
		}
		if wire.Unmarshal(block.Data, &head) == nil && head.Type != "" {
			kind = head.Type
		}
	}
	event := &SSEEvent{Event: block.Name, Data: decodeObserverMessage(kind, block.Data)}
	if event.Event == "message" {
		event.Event = kind
	}
	return event
}

func decodeObserverMessage(kind string, data []byte) ObserverSSEMessage {
	switch kind {
	case typeSnapshot:
		var m SSESessionSnapshotMessage
		if wire.Unmarshal(data, &m) == nil && m.SessionID != "" {
			return &m
		}
	case typeHydration:
		var m SSEHydrationMessage
		if wire.Unmarshal(data, &m) == nil && m.SessionID != "" && m.Entries != nil {
			return &m
		}
	case typePresence:
		var m PresenceEventMessage
		if wire.Unmarshal(data, &m) == nil && m.Event != "" {
			return &m
		}
	case typeBroadcast:
		if m := decodeBroadcast(data); m != nil {
			return m
		}
	}
	return &UnknownMessage{Type: kind, Raw: json.RawMessage(bytes.Clone(data))}
}

// broadcastWire is a broadcast with its type.
type broadcastWire struct {
	Type string `json:"type"`
	broadcastPlain
}

type broadcastPlain BroadcastEventMessage

// decodeBroadcast returns nil for what is not a broadcast.
func decodeBroadcast(data []byte) *BroadcastEventMessage {
	m := new(broadcastWire)
	if wire.UnmarshalFlat(data, m) != nil {
		return nil
	}
	return m.message()
}

// message returns nil if it is no broadcast.
func (m *broadcastWire) message() *BroadcastEventMessage {
	if m.Event == "" || m.Type != "" && m.Type != typeBroadcast || len(m.Data) == 0 || m.Data[0] != '{' {
		return nil
	}
	return (*BroadcastEventMessage)(&m.broadcastPlain)
}
