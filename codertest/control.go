package codertest

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// SessionControl does to one session what on a real Hub happens behind the
// scenes: its agents, its sandbox, other people. Its methods may be called at
// any time and force what they say, whatever state the session is in. On a
// session that has been deleted since they change nothing a client could see.
type SessionControl struct {
	hub     *Hub
	session *session
}

// Session returns the control of a session. It panics if the Hub has no
// session with this id: a test that asks for it has gone wrong before.
func (h *Hub) Session(id string) *SessionControl {
	h.mu.Lock()
	defer h.mu.Unlock()
	s, ok := h.sessions.byID[id]
	if !ok {
		panic(fmt.Sprintf("codertest: the Hub has no session %q", id))
	}
	return &SessionControl{hub: h, session: s}
}

// SessionIDs returns the ids of all sessions, archived ones included, in the
// order in which they were created.
func (h *Hub) SessionIDs() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.sessions.ids)
}

// ID returns the id of the session.
func (c *SessionControl) ID() string { return c.session.id }

// Pause puts the session to sleep, as the Hub does with one that idles. It can
// be resumed. Observers and controllers that are connected stay; the socket of
// a lead is closed with 4408. In the middle of a turn the Hub's agent aborts it
// first, as at the other ends of a session: its agent_end always comes.
func (c *SessionControl) Pause() { c.SetStatus(statusPaused) }

// Shutdown ends the session, as its agent does when it is done. Only its
// history remains, but unlike an archived session it is still listed.
func (c *SessionControl) Shutdown() { c.SetStatus(statusShutdown) }

// Archive archives the session, as somebody else may do.
func (c *SessionControl) Archive() { c.SetStatus(statusArchived) }

// SetStatus puts the session into the state that status stands for: creating,
// provisioning, active, paused, resuming, archived or shutdown. Any other
// text, such as error or failed, is shown as it is, on a session that has lost
// its runtime and cannot be resumed.
func (c *SessionControl) SetStatus(status string) {
	c.change(func(s *session, now time.Time) { s.become(status, now) })
}

// SetMode sets the mode of the session: sandbox, which every session has at
// first, or tui for one in somebody's terminal, which nobody else controls.
func (c *SessionControl) SetMode(mode string) {
	c.change(func(s *session, now time.Time) { s.mode = mode })
}

// Set gives the session's detail a member, such as usage or tasks, or replaces
// one the Hub gives it. A nil value takes back what Set did. Values are written
// as encoding/json/v2 does; one that cannot be is a panic.
func (c *SessionControl) Set(member string, value any) {
	frozen := freeze(value)
	c.change(func(s *session, now time.Time) {
		s.members = maps.Clone(s.members)
		if s.members == nil {
			s.members = make(map[string]jsontext.Value)
		}
		s.members[member] = frozen
		if value == nil {
			delete(s.members, member)
		}
	})
}

// Emit appends an event to the history of the session, tells those who follow
// it, and returns the event's id.
func (c *SessionControl) Emit(e Event) int {
	var id int
	c.change(func(s *session, now time.Time) { id = s.record(e, now) })
	return id
}

// AddReplayEntries appends to the conversation of the session.
func (c *SessionControl) AddReplayEntries(entries ...ReplayEntry) {
	c.change(func(s *session, now time.Time) {
		for _, e := range entries {
			s.addEntry(e, now)
		}
	})
}

// AddParticipant connects somebody to the session and returns their id.
func (c *SessionControl) AddParticipant(p Participant) string {
	var id string
	c.change(func(s *session, now time.Time) { id = s.join(p, now) })
	return id
}

// DisconnectParticipant ends the connections of the participant with this id;
// a socket is closed with 1001.
func (c *SessionControl) DisconnectParticipant(id string) {
	c.change(func(s *session, now time.Time) {
		s.leaveAll(func(p participant) bool { return p.ID == id }, now)
	})
}

// Script says what each of the next GET requests for the session's detail
// sees: before the Hub answers the first of them it calls the first step, and
// so on. A step changes the session through the control it is given, and a nil
// step nothing. While there are steps left the session takes none by itself;
// a second Script adds to the first. A step may use the Hub, but not close it:
// Close waits for it.
//
//	hub.Session(id).Script(
//		nil, // still as it is
//		(*codertest.SessionControl).Pause,
//		func(s *codertest.SessionControl) { s.SetStatus("failed") },
//	)
func (c *SessionControl) Script(steps ...func(*SessionControl)) {
	c.change(func(s *session, now time.Time) { s.script = append(s.script, steps...) })
}

// change runs under the lock of the Hub.
func (c *SessionControl) change(do func(s *session, now time.Time)) {
	c.hub.mu.Lock()
	defer c.hub.mu.Unlock()
	do(c.session, time.Now())
}

// Loop is the state of a session's loop.
type Loop struct {
	// Status is idle, starting, running, paused, completed, cancelled,
	// blocked or awaiting_input.
	Status string
	// Iteration is the current iteration.
	Iteration int
	// MaxIterations is where the loop ends. 0: no such limit.
	MaxIterations int
	// Goal, Summary and NextAction are shown as they are, if not empty.
	Goal, Summary, NextAction string
}

// SetLoop sets the state of the session's loop, which from then on changes
// only by SetLoop, or when the session ends. A session in standard mode
// becomes a loop session.
func (c *SessionControl) SetLoop(loop Loop) {
	c.change(func(s *session, now time.Time) { s.setLoop(loop, now) })
}

// nextStep takes the next step of a session's script and returns what it does,
// or nil if there is no script.
func (h *Hub) nextStep(id string) (func(), error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s, err := h.find(id)
	if err != nil || len(s.script) == 0 {
		return nil, err
	}
	step := s.script[0]
	s.script = s.script[1:]
	if step == nil {
		return func() {}, nil
	}
	return func() { step(&SessionControl{hub: h, session: s}) }, nil
}
