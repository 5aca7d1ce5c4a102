//go:build parity

package parity

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

const streamOrg = "org with blanks; and, more"

// channelScenario is what happens to a session, and what clients of its live channels do meanwhile.
// It is played on two Hubs that are made alike, with the clients of either side.
type channelScenario struct {
	name   string
	open   bool   // the Hub lets everybody in, and clients have no key
	events string // which of the original's clients follows streams of events; default: the iterator
	socket string // and sockets; default: the class
	play   func(s *stage)
}

// stage is where a scenario is played once.
type stage struct {
	*testing.T
	scenario *channelScenario
	there    bool // with the original
	hub      *codertest.Hub
	tap      *tap
	key      string
	session  *codertest.SessionControl
	began    time.Time
	actors   []*actor
}

// actor is a client that takes part.
type actor struct {
	*stage
	follower
	name string
	log  []notice
	left bool
}

// newStage has a session in which something has happened already.
func (c *channelScenario) newStage(t *testing.T, there bool) *stage {
	s := &stage{T: t, scenario: c, there: there, key: hubKey, began: time.Now()}
	if c.open {
		s.key = ""
	}
	s.hub = codertest.NewHub(codertest.WithAPIKey(s.key))
	s.hub.Answer() // nothing, to the session's task: the agent is there for the controllers
	t.Cleanup(s.hub.Close)
	s.tap = newTap(t, s.hub)
	client, err := s.hub.NewClient()
	require.NoError(t, err)
	created, err := client.CreateSession(t.Context(), coder.CreateSessionRequest{Task: "Fix the café's login 👩‍💻", Label: "login"})
	require.NoError(t, err)
	s.session = s.hub.Session(created.SessionID)
	s.session.SetStatus("active")
	s.session.AddReplayEntries(
		codertest.ReplayEntry{Type: "user_prompt", Content: "line\r\nbreak \u2028\u2029\x00"},
		codertest.ReplayEntry{Type: "tool_call", Agent: "builder", Members: map[string]any{
			"toolName": "read", "toolCallId": "c", "toolArgs": object{"path": []any{nil, 1.5, ""}}, "isError": false, "sequence": 0,
		}},
	)
	return s
}

func (s *stage) options() channelOptions {
	return channelOptions{
		URL: s.tap.URL + tapPrefix, APIKey: s.key, OrgID: streamOrg, SessionID: s.session.ID(), ReconnectDelayMs: 2, MaxReconnectAttempts: 3,
	}
}

// cast gives the stage another client. The change is made to its options.
func (s *stage) cast(name, kind string, open func(*testing.T, channelOptions) *goFollower, change func(*channelOptions)) *actor {
	s.Helper()
	o := s.options()
	if change != nil {
		change(&o)
	}
	a := &actor{stage: s, name: name}
	if s.there {
		a.follower = openOriginal(s.T, kind, o)
	} else {
		a.follower = open(s.T, o)
	}
	s.actors = append(s.actors, a)
	s.Cleanup(a.leave) // also if the test goes no further
	return a
}

// follow lets somebody follow the events of the session.
func (s *stage) follow(name string, change func(*channelOptions)) *actor {
	s.Helper()
	return s.cast(name, cmp.Or(s.scenario.events, "events"), openEvents, change)
}

// connect lets somebody open a socket in a role.
func (s *stage) connect(name, role string, change func(*channelOptions)) *actor {
	s.Helper()
	return s.cast(name, cmp.Or(s.scenario.socket, "socket"), openSocket, func(o *channelOptions) {
		o.Role = role
		if change != nil {
			change(o)
		}
	})
}

// leave closes the client.
func (a *actor) leave() {
	if !a.left {
		a.left = true
		a.close()
	}
}

// until waits for a notice, and keeps what came before it.
func (a *actor) until(what string, matches func(notice) bool) notice {
	a.Helper()
	for {
		n, ok := a.next(tally.patience())
		if !ok {
			var log strings.Builder
			for _, n := range a.log {
				log.WriteString("\n  " + n.String())
			}
			tally.vain()
			require.FailNow(a.T, fmt.Sprintf("%s waited for %s in vain; it noticed%s", a.name, what, log.String()))
		}
		a.log = append(a.log, n)
		if matches(n) {
			return n
		}
	}
}

func (n notice) String() string {
	text := n.Kind + " " + encode(n.Value)
	return text[:min(len(text), 300)]
}

// content is the message that was noticed.
func (n notice) content() object {
	if n.Kind != "message" {
		return nil
	}
	o, _ := n.Value.(object)
	if data, ok := o["data"].(object); ok && o["type"] == nil { // of a stream of events
		return data
	}
	return o
}

// untilKind waits for a notice that is no message.
func (a *actor) untilKind(kind string) object {
	a.Helper()
	value, _ := a.until(kind, func(n notice) bool { return n.Kind == kind }).Value.(object)
	return value
}

// untilAnswered waits for what became of a request, and for the message that settled it: they come
// by different ways.
func (a *actor) untilAnswered(kind string) {
	a.Helper()
	from := len(a.log)
	a.until("an "+kind, func(notice) bool {
		var answer, message bool
		for _, n := range a.log[from:] {
			answer = answer || n.Kind == kind
			id, _ := n.content()["id"].(string)
			message = message || id != "" && id != notMine && n.content()["type"] == nil
		}
		return answer && message
	})
}

// notMine is the id of a request that nobody made.
const notMine = "not mine"

// untilType waits for a message of a type.
func (a *actor) untilType(kind string) object {
	a.Helper()
	return a.until(kind, func(n notice) bool { return n.content()["type"] == kind }).content()
}

// untilRefused waits for the error that a refusal is, whose members must be these among others.
func (a *actor) untilRefused(members object) {
	a.Helper()
	failed := a.untilKind("error")
	for name, want := range members {
		assert.Equal(a.T, want, failed[name], name)
	}
}

// untilEvent waits for a broadcast or a presence message, or what a broadcast wraps.
func (a *actor) untilEvent(name string) object {
	a.Helper()
	return a.until(name, func(n notice) bool {
		m := n.content()
		data, _ := m["data"].(object)
		inner, _ := data["event"].(object)
		return m["event"] == name || m["event"] == "rpc_event" && inner["type"] == name
	}).content()
}

// transcript is what is left of a play.
type transcript struct {
	*stage
	passages []*passage
	ids      map[string]string // of requests, which are the clients' own
}

// perform plays it, and returns when everybody has left.
func (s *stage) perform(play func(*stage)) {
	s.Helper()
	play(s)
	for _, a := range s.actors {
		a.leave()
	}
	s.tap.settle(s.T)
}

// soon is the context of what must not take long.
func (s *stage) soon() context.Context {
	ctx, cancel := context.WithTimeout(s.Context(), tally.patience())
	s.Cleanup(cancel)
	return ctx
}

// run plays the scenario once.
func (c *channelScenario) run(t *testing.T, there bool) *transcript {
	s := c.newStage(t, there)
	s.perform(c.play)
	tr := &transcript{stage: s, passages: s.tap.all(), ids: make(map[string]string)}
	for _, p := range tr.passages {
		frames, _ := p.sent(t)
		for _, f := range frames {
			frame, _ := f.(object)
			if command, ok := frame["command"].(object); ok {
				frame = command
			}
			if id, ok := frame["id"].(string); ok && tr.ids[id] == "" && frame["result"] == nil {
				tr.ids[id] = fmt.Sprintf("request %d", len(tr.ids)+1)
			}
		}
	}
	return tr
}

// normal replaces what cannot be the same on both sides: the present time, ids of requests, and the
// filter that this module adds to those of a participant (which the queries show).
func (tr *transcript) normal(v any) any {
	switch v := v.(type) {
	case object:
		out := object{}
		for name, member := range v {
			out[name] = tr.normal(member)
			if filters, ok := member.([]any); ok && name == "subscriptions" {
				out[name] = slices.DeleteFunc(slices.Clone(filters), func(f any) bool { return f == "session_shutdown" })
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = tr.normal(v[i])
		}
		return out
	case string:
		if id := tr.ids[v]; id != "" {
			return id
		}
		if at, err := time.Parse(time.RFC3339, v); err == nil && tr.recent(at) {
			return "now"
		}
	case float64:
		if tr.recent(time.UnixMilli(int64(v))) {
			return "now"
		}
	}
	return v
}

func (tr *transcript) recent(at time.Time) bool {
	return at.After(tr.began.Add(-time.Minute)) && at.Before(time.Now().Add(time.Minute))
}

// check plays the scenario with the original's clients, then with those of this module.
func (c channelScenario) check(t *testing.T) {
	t.Run(c.name, func(t *testing.T) {
		tally.followed(c.name)
		there := c.run(t, true)
		here := c.run(t, false)
		m := comparison{differences: make(map[string]bool)}
		m.transcripts(there, here)
		for name := range m.differences {
			tally.met(name)
		}
		if len(m.found) > 0 {
			tally.other()
			t.Errorf("%s differs:\n  %s", c.name, strings.Join(m.found, "\n  "))
		}
	})
}
