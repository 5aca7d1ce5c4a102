package codertest

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/agentuity/coder-go/codertest/internal/outbox"
)

// broadcast is something that happened, as those who follow a session see it.
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

// data makes an object of the payload, which names agent and task.
func (e sessionEvent) data() jsontext.Value {
	members := make(map[string]jsontext.Value)
	if e.Agent != "" {
		members["agent"] = encode(e.Agent)
	}
	if e.TaskID != "" {
		members["taskId"] = encode(e.TaskID)
	}
	switch e.Payload.Kind() {
	case 'n':
	case '{':
		if len(members) == 0 {
			return e.Payload
		}
		maps.Copy(members, membersOf(e.Payload))
	default:
		members["value"] = e.Payload
	}
	return encode(members)
}

// accepts reports whether a filter of a subscription lets an event through.
func accepts(filter string, b broadcast) bool {
	prefix, open := strings.CutSuffix(filter, "*")
	return filter == b.Event || filter == b.Category || open && strings.HasPrefix(b.Event, prefix)
}

// parseFilters reads the filters of a query parameter; none: everything.
func parseFilters(list string) []string {
	filters := []string{}
	for filter := range strings.SplitSeq(list, ",") {
		if filter != "" {
			filters = append(filters, filter)
		}
	}
	return filters
}

// wants reports whether an event is for this connection.
func (c *connection) wants(b broadcast) bool {
	return len(c.filters) == 0 || slices.ContainsFunc(c.filters, func(filter string) bool { return accepts(filter, b) })
}

func everybody(*connection) bool { return true }

// publish sends a broadcast to those who follow the session, are chosen and
// have not filtered it out.
func (s *session) publish(b broadcast, chosen func(*connection) bool) {
	var encoded outbox.Message
	for _, c := range s.live {
		if !c.ready || !c.follows || !chosen(c) || !c.wants(b) {
			continue
		}
		if encoded.Body == nil {
			encoded = outbox.Message{Kind: b.Type, Body: encode(b)}
		}
		c.out.Put(encoded)
	}
}

// presence tells who is there; no filter applies to it.
type presence struct {
	Type         string             `json:"type"`
	Event        string             `json:"event"`
	Participant  *liveParticipant   `json:"participant,omitzero"`
	Participants []*liveParticipant `json:"participants,omitempty"`
	SessionID    string             `json:"sessionId"`
	Timestamp    int64              `json:"timestamp"`
}

type liveParticipant struct {
	ID            string         `json:"id"`
	Role          string         `json:"role"`
	Transport     string         `json:"transport"`
	Subscriptions []string       `json:"subscriptions"`
	ConnectedAt   int64          `json:"connectedAt"`
	LastActivity  int64          `json:"lastActivity"`
	Metadata      jsontext.Value `json:"metadata,omitzero"`
}

// live returns the participant as presence messages have it, or nil if they
// have no word for what it is: they know nothing of sub-agents.
func (p participant) live() *liveParticipant {
	if !slices.Contains([]string{"lead", "observer", "controller"}, p.Role) {
		return nil
	}
	return &liveParticipant{
		ID:            p.ID,
		Role:          p.Role,
		Transport:     p.Transport,
		Subscriptions: p.subscriptions,
		ConnectedAt:   millis(p.ConnectedAt),
		LastActivity:  millis(p.LastActivityAt),
		Metadata:      p.Metadata,
	}
}

// millis reads a time that iso has written.
func millis(text string) int64 {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic("codertest: " + err.Error())
	}
	return at.UnixMilli()
}

// present tells that somebody came or left.
func (s *session) present(event string, p participant, now time.Time) {
	if shown := p.live(); shown != nil {
		s.announce(presence{Event: event, Participant: shown}, now)
	}
}

func (s *session) announce(p presence, now time.Time) {
	p.Type = "presence"
	p.SessionID = s.id
	p.Timestamp = now.UnixMilli()
	m := outbox.Message{Kind: p.Type, Body: encode(p)}
	for _, c := range s.live {
		if c.ready && c.follows {
			c.out.Put(m)
		}
	}
}

// liveAs returns the connection of a participant, if there is one.
func (s *session) liveAs(participant string) *connection {
	i := slices.IndexFunc(s.live, func(c *connection) bool { return c.participant == participant })
	if i < 0 {
		return nil
	}
	return s.live[i]
}

// part takes a connection that has ended off the session.
func (s *session) part(c *connection, now time.Time) {
	s.live = slices.DeleteFunc(s.live, func(other *connection) bool { return other == c })
	s.leaveAll(func(p participant) bool { return p.ID == c.participant }, now)
	if s.lead == c {
		s.lead = nil
		if s.row().runtime && s.mode == "sandbox" {
			s.standIn(now)
		}
	}
}

// hangUp ends all connections after what waits to be sent over them.
func (s *session) hangUp(end outbox.Ending) {
	for _, c := range s.live {
		c.out.End(end)
	}
}
