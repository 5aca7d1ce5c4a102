package codertest

import (
	"maps"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Action is one action of the answer to a lead's request, such as
// {"action": "BLOCK", "reason": "not here"}.
type Action map[string]any

// LeadRequest is a request that a client, as a rule the lead, waits to have
// answered. Its JSON has further members, depending on the type.
type LeadRequest struct {
	// SessionID is the id of the session.
	SessionID string
	// Type is event, tool or command.
	Type string
	// ID is the id the answer will have.
	ID string
	// Name is the name of the event, the tool or the command.
	Name string
	// Body is the request as it came.
	Body []byte
}

// OnRequest makes answer decide how the Hub answers requests of leads. It
// returns the actions of the answer, and false if there is to be no answer at
// all. Nil actions are what the Hub does by itself: ACK for events and
// commands, RETURN of null for tools. It is called by the goroutine that reads
// the socket, so that nothing else is read meanwhile. It may use the Hub, but
// not close it: Close waits for it. Actions that cannot be JSON end the
// connection. A nil answer takes the last one back.
func (h *Hub) OnRequest(answer func(LeadRequest) (actions []Action, answered bool)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.onRequest = answer
}

// SetInit sets members of the message init that leads and sub-agents are sent
// when they connect, such as tools, commands, agents, config or model, beside
// or in place of the Hub's own. The values are taken as they are now. Nil takes
// them back.
func (h *Hub) SetInit(members map[string]any) {
	frozen := make(map[string]any)
	for name, value := range members {
		frozen[name] = freeze(value)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.init = frozen
}

// Files returns the files a lead has written with session_write and
// session_entry, by path. The result is the caller's own.
func (c *SessionControl) Files() map[string]string {
	c.hub.mu.Lock()
	defer c.hub.mu.Unlock()
	return maps.Clone(c.session.files)
}

type response struct {
	ID      string   `json:"id"`
	Actions []Action `json:"actions"`
}

// request answers an event, a tool or a command. Events of a lead become part
// of the session.
func (s *socket) request(f clientFrame, data []byte, leads bool, now time.Time) func() {
	r := LeadRequest{SessionID: s.session.id, Type: *f.Type, ID: f.ID, Name: f.Name, Body: slices.Clone(data)}
	if r.Type == "event" && json.Unmarshal(f.Event, &r.Name) != nil || r.Name == "" || r.ID == "" {
		s.protest("invalid_message", "A request has an id and a name", now)
		return nil
	}
	if r.Type == "event" && leads {
		s.session.leadEvent(r.Name, f.Data, now)
	}
	script := s.hub.onRequest
	return func() {
		var actions []Action
		answered := true
		if script != nil {
			actions, answered = script(r)
		}
		if actions == nil {
			actions = []Action{{"action": "ACK"}}
			if r.Type == "tool" {
				actions = []Action{{"action": "RETURN", "result": nil}}
			}
		}
		if answered {
			s.tell(response{ID: r.ID, Actions: actions})
		}
	}
}

// leadEvent makes what a lead reports part of the session.
func (s *session) leadEvent(name string, data jsontext.Value, now time.Time) {
	var about struct {
		AgentRole string         `json:"agentRole"`
		Event     jsontext.Value `json:"event"`
	}
	_ = json.Unmarshal(data, &about, wireFormat)
	switch name {
	case "rpc_event":
		s.leadRPCEvent(about.Event, now)
	case "rpc_response", "rpc_ui_request":
		if data.Kind() == '{' {
			s.toControllers(s.wrapped(name, data, now.UnixMilli()))
		}
	default:
		e := Event{Event: name, Agent: about.AgentRole}
		if len(data) > 0 {
			e.Payload = data
		}
		s.happen(e, now)
	}
}

// fromLead takes what a lead sends unasked.
func (s *session) fromLead(f clientFrame, now time.Time) {
	at := now.UnixMilli()
	switch *f.Type {
	case "session_write":
		s.writeFile(f.Path, f.Content)
	case "session_entry":
		s.writeFile(f.Path, s.files[f.Path]+f.Line+"\n")
		s.addLine(f.Line, now)
	case "rpc_event":
		s.leadRPCEvent(f.Event, now)
	case "rpc_response":
		s.toControllers(s.wrapped("rpc_response", map[string]any{"response": f.Response}, at))
	case "rpc_ui_request":
		s.toControllers(s.wrapped("rpc_ui_request", uiRequest{ID: f.ID, Method: f.Method, Params: f.Params}, at))
	}
}

// leadRPCEvent takes an event the way controllers are told of it.
func (s *session) leadRPCEvent(event jsontext.Value, now time.Time) {
	var inner struct {
		Type string `json:"type"`
	}
	if json.Unmarshal(event, &inner, wireFormat) == nil && inner.Type != "" {
		s.happen(Event{Event: inner.Type, Payload: event}, now)
	}
}

func (s *session) writeFile(path, content string) {
	if s.files == nil {
		s.files = make(map[string]string)
	}
	s.files[path] = content
}

var entryTypes = []string{
	"message", "thinking", "tool_call", "tool_result", "task_result",
	"runtime_status", "runtime_output", "runtime_preview", "turn", "user_prompt",
}

// addLine appends a line of a lead's file to the conversation if it is an
// entry of one: such files have lines of other kinds as well.
func (s *session) addLine(line string, now time.Time) {
	var members map[string]jsontext.Value
	var entry struct {
		Type    string  `json:"type"`
		Content *string `json:"content"`
	}
	body := []byte(line)
	// What is nested too deeply could not be part of a hydration.
	if json.Unmarshal(body, &members, wireFormat) != nil || json.Unmarshal(body, &entry, wireFormat) != nil || tooDeep(body) {
		return
	}
	if !slices.Contains(entryTypes, entry.Type) || entry.Type == "message" && entry.Content == nil {
		return
	}
	extra := make(map[string]any)
	for name, value := range members {
		extra[name] = value
	}
	s.addEntry(ReplayEntry{Type: entry.Type, Members: extra}, now)
}
