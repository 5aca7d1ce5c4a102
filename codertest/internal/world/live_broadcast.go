package world

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/agentuity/coder-go/codertest/internal/outbox"
)

// broadcast is an event as live connections are sent it.
type broadcast struct {
	Type      string         `json:"type"`
	Event     string         `json:"event"`
	Category  string         `json:"category"`
	Data      jsontext.Value `json:"data"`
	SessionID string         `json:"sessionId"`
	Timestamp int64          `json:"timestamp"`
}

func (e sessionEvent) broadcast(sessionID string) broadcast {
	return broadcast{
		Type:      "broadcast",
		Event:     e.Event,
		Category:  e.Category,
		Data:      e.data(),
		SessionID: sessionID,
		Timestamp: e.at,
	}
}

// data is the payload with agent and task as members. A payload that is no object
// becomes the member value of one.
func (e sessionEvent) data() jsontext.Value {
	members := make(map[string]jsontext.Value)
	if e.Agent != "" {
		members["agent"] = Encode(e.Agent)
	}
	if e.TaskID != "" {
		members["taskId"] = Encode(e.TaskID)
	}
	switch e.Payload.Kind() {
	case 'n': // null
	case '{':
		if len(members) == 0 {
			return e.Payload
		}
		maps.Copy(members, membersOf(e.Payload))
	default:
		members["value"] = e.Payload
	}
	return Encode(members)
}

// accepts reports whether a filter lets an event through: its name, its category,
// or the beginning of its name and an asterisk.
func accepts(filter string, b broadcast) bool {
	prefix, open := strings.CutSuffix(filter, "*")
	return filter == b.Event || filter == b.Category || open && strings.HasPrefix(b.Event, prefix)
}

// parseFilters reads the filters of a query parameter.
func parseFilters(list string) []string {
	filters := []string{}
	for filter := range strings.SplitSeq(list, ",") {
		if filter != "" {
			filters = append(filters, filter)
		}
	}
	return filters
}

// wants reports whether the filters of the connection let an event through.
func (c *Connection) wants(b broadcast) bool {
	return len(c.filters) == 0 || slices.ContainsFunc(c.filters, func(filter string) bool { return accepts(filter, b) })
}

func everybody(*Connection) bool { return true }

// publish sends a broadcast to those who follow the session, are chosen and have
// not filtered it out.
func (s *Session) publish(b broadcast, chosen func(*Connection) bool) {
	s.world.idle.news(time.Now())
	var encoded outbox.Message
	for _, c := range s.live {
		if !c.ready || !c.follows || !chosen(c) || !c.wants(b) {
			continue
		}
		if encoded.Body == nil {
			encoded = outbox.Message{Kind: b.Type, Body: Encode(b)}
		}
		c.Out.Put(encoded)
	}
}
