package codertest

import (
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/agentuity/coder-go/codertest/internal/outbox"
)

// ClientFrame is a message somebody has sent over a socket.
type ClientFrame struct {
	// Time is when the Hub had read it.
	Time time.Time
	// Participant is the id of the sender.
	Participant string
	// Role is lead, sub_agent, observer or controller.
	Role string
	// Type is the type of the message, empty if it has none.
	Type string
	// Body is the message as it came.
	Body []byte
}

// Frames returns the messages that have come over the sockets of the session,
// in the order in which the Hub has read them. Those that only carry
// credentials are left out. The result is the caller's own.
func (c *SessionControl) Frames() []ClientFrame {
	c.hub.mu.Lock()
	defer c.hub.mu.Unlock()
	frames := slices.Clone(c.session.frames)
	for i := range frames {
		frames[i].Body = slices.Clone(frames[i].Body)
	}
	return frames
}

// clientFrame holds the members of all messages of clients.
type clientFrame struct {
	Type          *string        `json:"type"`
	Authorization string         `json:"authorization"`
	OrgID         string         `json:"org_id"`
	ID            string         `json:"id"`
	Event         jsontext.Value `json:"event"`
	Data          jsontext.Value `json:"data"`
	Name          string         `json:"name"`
	Path          string         `json:"path"`
	Line          string         `json:"line"`
	Content       string         `json:"content"`
	Patterns      []string       `json:"patterns"`
	Command       jsontext.Value `json:"command"`
	Response      jsontext.Value `json:"response"`
	Method        string         `json:"method"`
	Params        jsontext.Value `json:"params"`
	Result        jsontext.Value `json:"result"`
	Timestamp     *float64       `json:"timestamp"`
	Label         string         `json:"label"`
}

// receive takes a message of the client.
func (s *socket) receive(data []byte) {
	if answer := s.takeFrame(data); answer != nil {
		answer() // without the lock: it may come from a test, which may use the Hub
	}
}

// takeFrame lets the message have its effect. What it returns must be called
// without the lock.
func (s *socket) takeFrame(data []byte) (answer func()) {
	now := time.Now()
	var f clientFrame
	err := json.Unmarshal(data, &f, wireFormat)
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	joined := s.session != nil
	switch {
	case s.refused:
	case !joined && err == nil && sameSecret(f.Authorization, s.hub.apiKey):
		s.join(now)
	case !joined:
		s.refuseKey()
	case err != nil || jsontext.Value(data).Kind() != '{':
		s.protest("invalid_message", "The message is no JSON object, or has members of a wrong type", now)
	case tooDeep(data):
		s.protest("invalid_message", "The message is nested too deeply", now)
	case f.Type == nil:
		if f.Authorization == "" && f.OrgID == "" {
			s.protest("invalid_message", "The message has no type", now)
		}
	default:
		s.session.frames = append(s.session.frames, ClientFrame{
			Time: now, Participant: s.participant, Role: s.role, Type: *f.Type, Body: data,
		})
		return s.handle(f, data, now)
	}
	return nil
}

// handle does what the message asks for.
func (s *socket) handle(f clientFrame, data []byte, now time.Time) (answer func()) {
	s.session.active(s.participant, now)
	leads := s.role == "lead" || s.role == "sub_agent"
	switch *f.Type {
	case "ping":
		s.tell(pong{Type: "pong", Timestamp: now.UnixMilli(), Echoed: f.Timestamp})
	case "bootstrap_ready":
		if !s.ready { // which only a controller is at first
			s.hydrate(now)
		}
	case "subscribe":
		if s.role != "controller" {
			s.session.subscribe(s.connection, f.Patterns)
		}
	case "event", "tool", "command":
		return s.request(f, data, leads, now)
	case "session_entry", "session_write", "rpc_event", "rpc_response", "rpc_ui_request":
		if !leads {
			s.protest("forbidden", "Only the lead may send "+*f.Type, now)
			return nil
		}
		s.session.fromLead(f, now)
	case "rpc_command":
		s.command(f.Command, now)
	case "rpc_ui_response":
		if s.role != "controller" {
			s.protest("forbidden", "Only a controller may answer the agent", now)
			return nil
		}
		s.hub.answerUI(s.session, f, data)
	case "rename_session":
		if s.role == "observer" {
			s.protest("forbidden", "Observers may not rename a session", now)
			return nil
		}
		s.session.update(updateSessionRequest{Label: &f.Label}, now)
	default:
		s.protest("unknown_type", "There is no message of this type", now)
	}
	return nil
}

// tell sends a message to this client only.
func (s *socket) tell(v any) { s.out.Put(outbox.Message{Body: encode(v)}) }

// protest tells the client that a message makes no sense. It may go on.
func (s *socket) protest(code, text string, now time.Time) {
	s.tell(notice{Type: "protocol_error", Code: code, Message: text, SessionID: s.session.id, Timestamp: now.UnixMilli()})
}

type pong struct {
	Type      string   `json:"type"`
	Timestamp int64    `json:"timestamp"`
	Echoed    *float64 `json:"echoedTimestamp,omitzero"`
}

// hydrate tells a controller the conversation so far, what has been if the Hub
// replays it, and what the agent wants to know; from then on it hears what
// happens.
func (s *socket) hydrate(now time.Time) {
	s.ready = true
	s.out.Put(s.session.socketHydration(now))
	for _, event := range s.session.replayed(s.hub.replay) {
		s.tell(rpcEvent{Type: "rpc_event", Event: event.inner(), Timestamp: event.at})
	}
	if question := s.session.agent.asking; question != nil {
		s.tell(s.session.wrapped("rpc_ui_request", *question, now.UnixMilli()))
	}
}

// active notes that a participant has done something.
func (s *session) active(participant string, now time.Time) {
	for i, p := range s.participants {
		if p.ID == participant {
			s.participants[i].LastActivityAt = iso(now)
		}
	}
}

// subscribe replaces the filters of an observer.
func (s *session) subscribe(c *connection, patterns []string) {
	c.filters = slices.DeleteFunc(slices.Clone(patterns), func(p string) bool { return p == "" })
	if c.filters == nil {
		c.filters = []string{}
	}
	for i, p := range s.participants {
		if p.ID == c.participant {
			s.participants[i].subscriptions = c.filters
		}
	}
}
