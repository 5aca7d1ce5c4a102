package world

import (
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/agentuity/coder-go/codertest/internal/outbox"
)

// Frame is a message that a client has sent over a socket.
type Frame struct {
	Time                    time.Time
	Participant, Role, Type string
	Body                    []byte
}

// Frames returns the messages that clients have sent over the sockets of the
// session, in the order in which they were received. Those that only carry
// credentials are left out.
func (s *Session) Frames() (frames []Frame) {
	s.change(func(time.Time) { frames = slices.Clone(s.frames) })
	for i := range frames {
		frames[i].Body = slices.Clone(frames[i].Body)
	}
	return frames
}

// clientFrame has the members of all messages that clients send.
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

// Credentials returns the API key in a message of a client, or nothing if it has
// none.
func Credentials(data []byte) string {
	var f clientFrame
	if json.Unmarshal(data, &f, wireFormat) != nil {
		return ""
	}
	return f.Authorization
}

// Receive takes a message of the client. If the client has not joined a session,
// it is ignored.
func (c *Connection) Receive(data []byte) {
	now := time.Now()
	var f clientFrame
	err := json.Unmarshal(data, &f, wireFormat)
	c.world.mu.Lock()
	defer c.world.mu.Unlock()
	switch {
	case c.session == nil:
	case err != nil || jsontext.Value(data).Kind() != '{':
		c.protest("invalid_message", "The message is no JSON object, or has members of a wrong type", now)
	case tooDeep(data):
		c.protest("invalid_message", "The message is nested too deeply", now)
	case f.Type == nil:
		if f.Authorization == "" && f.OrgID == "" {
			c.protest("invalid_message", "The message has no type", now)
		}
	default:
		if *f.Type != "ping" {
			c.world.idle.news(now)
		}
		c.session.frames = append(c.session.frames, Frame{
			Time: now, Participant: c.participant, Role: c.role, Type: *f.Type, Body: f.withoutCopies(data),
		})
		if most := c.world.config.FrameLimit; most != nil && len(c.session.frames) > *most {
			c.session.frames = slices.Delete(c.session.frames, 0, len(c.session.frames)-*most)
		}
		c.handle(f, data, now)
	}
}

// handle does what a message asks for.
func (c *Connection) handle(f clientFrame, data []byte, now time.Time) {
	s := c.session
	s.active(c.participant, now)
	leads := c.role == "lead" || c.role == "sub_agent"
	switch *f.Type {
	case "ping":
		c.world.signOfLife(now)
		c.tell(pong{Type: "pong", Timestamp: now.UnixMilli(), Echoed: f.Timestamp})
	case "bootstrap_ready":
		if !c.ready { // only a controller is not
			c.hydrate(now)
		}
	case "subscribe":
		if c.role != "controller" {
			c.subscribe(f.Patterns)
		}
	case "event", "tool", "command":
		c.request(f, data, leads, now)
	case "session_entry", "session_write", "rpc_event", "rpc_response", "rpc_ui_request":
		if !leads {
			c.protest("forbidden", "Only the lead may send "+*f.Type, now)
			return
		}
		s.fromLead(c.role, f, now)
	case "rpc_command":
		c.command(f.Command, now)
	case "rpc_ui_response":
		if c.role != "controller" {
			c.protest("forbidden", "Only a controller may answer the agent", now)
			return
		}
		s.answerUI(f, data, now)
	case "rename_session":
		if c.role == "observer" {
			c.protest("forbidden", "Observers may not rename a session", now)
			return
		}
		s.update(updateSessionRequest{Label: &f.Label}, now)
	default:
		c.protest("unknown_type", "There is no message of this type", now)
	}
}

// tell sends a message to this client only.
func (c *Connection) tell(v any) { c.Out.Put(outbox.Message{Body: Encode(v)}) }

// protest tells the client that a message makes no sense. The connection goes on.
func (c *Connection) protest(code, text string, now time.Time) {
	c.tell(notice{Type: "protocol_error", Code: code, Message: text, SessionID: c.session.id, Timestamp: now.UnixMilli()})
}

type pong struct {
	Type      string   `json:"type"`
	Timestamp int64    `json:"timestamp"`
	Echoed    *float64 `json:"echoedTimestamp,omitzero"`
}

// hydrate sends a controller the conversation so far, the events it is to hear
// again, and the question that the agent asks now, if any. From then on it is sent
// what happens.
func (c *Connection) hydrate(now time.Time) {
	s := c.session
	c.ready = true
	c.Out.Put(s.socketHydration(now))
	for _, event := range s.replayed(c.world.config.EventReplay) {
		c.tell(rpcEvent{Type: "rpc_event", Event: event.inner(), Timestamp: event.at})
	}
	if question := s.agent.known(); question != nil {
		c.tell(s.wrapped("rpc_ui_request", question.uiRequest, now.UnixMilli()))
	}
}

// active sets when a participant was last active.
func (s *Session) active(participant string, now time.Time) {
	for i, p := range s.participants {
		if p.ID == participant {
			s.participants[i].LastActivityAt = iso(now)
		}
	}
}

// subscribe replaces the filters of the connection.
func (c *Connection) subscribe(patterns []string) {
	c.filters = slices.DeleteFunc(slices.Clone(patterns), func(p string) bool { return p == "" })
	if c.filters == nil {
		c.filters = []string{}
	}
	for i, p := range c.session.participants {
		if p.ID == c.participant {
			c.session.participants[i].subscriptions = c.filters
		}
	}
}
