package coder

import (
	"bytes"
	"encoding/json"

	"github.com/agentuity/coder-go/internal/sse"
	"github.com/agentuity/coder-go/internal/wire"
)

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
	if wire.Unmarshal(data, m) != nil || m.Event == "" || m.Type != "" && m.Type != typeBroadcast {
		return nil
	}
	if len(m.Data) == 0 || m.Data[0] != '{' {
		return nil
	}
	return (*BroadcastEventMessage)(&m.broadcastPlain)
}
