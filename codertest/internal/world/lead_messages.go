package world

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/agentuity/coder-go/internal/wire"
)

// Files returns the files that a lead has written, by path.
func (s *Session) Files() (files map[string]string) {
	s.change(func(time.Time) { files = maps.Clone(s.files) })
	return files
}

// leadEvent takes an event that a lead or a sub-agent reports in a request.
func (s *Session) leadEvent(role, name string, data jsontext.Value, now time.Time) {
	var about struct {
		AgentRole string         `json:"agentRole"`
		Agent     string         `json:"agent"`
		AgentName string         `json:"agentName"`
		TaskID    string         `json:"taskId"`
		Event     jsontext.Value `json:"event"`
	}
	_ = wire.Unmarshal(data, &about) // what has a wrong type is left out
	switch name {
	case "rpc_event":
		s.leadRPCEvent(role, about.Event, now)
	case "rpc_response", "rpc_ui_request":
		if data.Kind() != '{' {
			return
		}
		s.toControllers(s.wrapped(name, data, now.UnixMilli()))
		if name == "rpc_ui_request" {
			s.keep(Event{Event: name, Payload: data}, s.tick(now), now)
		}
	default:
		e := Event{Event: name, Agent: about.AgentRole}
		if slices.Contains(ofTasks, name) {
			e.Agent, e.TaskID = cmp.Or(about.Agent, about.AgentName, about.AgentRole), about.TaskID
		}
		if len(data) > 0 {
			e.Payload = data
		}
		s.happen(e, now)
		s.learn(role, name, data, extensionDialect, now)
	}
}

// fromLead takes a message of a lead or a sub-agent that is no request.
func (s *Session) fromLead(role string, f clientFrame, now time.Time) {
	at := now.UnixMilli()
	switch *f.Type {
	case "session_write":
		s.writeFile(f.Path, f.Content)
	case "session_entry":
		s.writeFile(f.Path, s.files[f.Path]+f.Line+"\n")
		s.addLine(f.Line, now)
	case "rpc_event":
		s.leadRPCEvent(role, f.Event, now)
	case "rpc_response":
		s.toControllers(s.wrapped("rpc_response", map[string]any{"response": f.Response}, at))
	case "rpc_ui_request":
		s.asks(uiRequest{ID: f.ID, Method: f.Method, Params: f.Params}, now)
	}
}

// asks sends what the agent asks or shows to the controllers. The history has it too, so that who only reads it knows
// that a question is open.
func (s *Session) asks(r uiRequest, now time.Time) {
	at := s.tick(now)
	s.toControllers(s.wrapped("rpc_ui_request", r, at))
	s.keep(Event{Event: "rpc_ui_request", Payload: r}, at, now)
}

// leadRPCEvent takes an event in the protocol that controllers know.
func (s *Session) leadRPCEvent(role string, event jsontext.Value, now time.Time) {
	var inner struct {
		Type string `json:"type"`
	}
	if json.Unmarshal(event, &inner, wireFormat) == nil && inner.Type != "" {
		s.happen(Event{Event: inner.Type, Payload: event}, now)
		s.learn(role, inner.Type, event, rpcDialect, now)
	}
}

func (s *Session) writeFile(path, content string) {
	if s.files == nil {
		s.files = make(map[string]string)
	}
	s.files[path] = content
}

var entryTypes = []string{
	"message", "thinking", "tool_call", "tool_result", "task_result",
	"runtime_status", "runtime_output", "runtime_preview", "turn", "user_prompt",
}

// addLine appends a line of a lead's file to the conversation if it is an entry
// of one. Such files have lines of other kinds as well.
func (s *Session) addLine(line string, now time.Time) {
	var members map[string]jsontext.Value
	var entry struct {
		Type    string  `json:"type"`
		Content *string `json:"content"`
	}
	body := []byte(line)
	// A hydration could not have what is nested too deeply.
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
	s.report.keepsBook = true
	s.addEntry(Entry{Type: entry.Type, Members: extra}, now)
}
