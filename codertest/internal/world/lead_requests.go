package world

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// LeadRequest is a request whose sender waits for an answer. As a rule it is the
// lead.
type LeadRequest struct {
	SessionID, Type, ID, Name string
	Body                      []byte
}

// OnRequest makes answer decide how requests are answered. It returns the JSON of
// the actions, or nil for those the Hub answers with by itself, and whether there
// is an answer at all. It is called without the lock. Nil takes it back.
func (w *World) OnRequest(answer func(LeadRequest) (actions []byte, answered bool)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.onRequest = answer
}

// SetInit sets members of the message init of leads and sub-agents, in addition
// to those the Hub gives it or in their place. Nil takes them back.
func (w *World) SetInit(members map[string]any) {
	frozen := make(map[string]any)
	for name, value := range members {
		frozen[name] = freeze(value)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.leadInit = frozen
}

// init answers with what a program that leads is told when it connects, before it
// does. No session is created, and none is named.
func (w *World) init(c *Call) (any, error) {
	init := map[string]any{"type": KindInit, "role": roleLead, "agentRole": cmp.Or(c.Query.Get("agent"), "lead")}
	maps.Copy(init, w.leadInit)
	return init, nil
}

type response struct {
	ID      string         `json:"id"`
	Actions jsontext.Value `json:"actions"`
}

// What the Hub answers by itself: that it has heard, or what a tool returns.
var (
	acknowledge = jsontext.Value(`[{"action":"ACK"}]`)
	returnNull  = jsontext.Value(`[{"action":"RETURN","result":null}]`)
)

// request answers an event, a tool or a command. The events of a lead are events
// of the session.
func (c *Connection) request(f clientFrame, data []byte, leads bool, now time.Time) {
	r := LeadRequest{SessionID: c.session.id, Type: *f.Type, ID: f.ID, Name: f.Name, Body: slices.Clone(data)}
	if r.Type == "event" && json.Unmarshal(f.Event, &r.Name) != nil || r.Name == "" || r.ID == "" {
		c.protest("invalid_message", "A request has an id and a name", now)
		return
	}
	if r.Type == "event" && leads {
		c.session.leadEvent(c.role, r.Name, f.Data, now)
	}
	var actions jsontext.Value
	answered := true
	if decide := c.world.onRequest; decide != nil {
		c.world.unlocked(func() { actions, answered = decide(r) })
	}
	switch {
	case !answered:
		return
	case actions == nil && r.Type == "tool":
		actions = returnNull
	case actions == nil:
		actions = acknowledge
	}
	c.tell(response{ID: r.ID, Actions: actions})
}
