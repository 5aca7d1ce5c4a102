package codertest

import (
	"fmt"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest/internal/outbox"
	"github.com/agentuity/coder-go/codertest/internal/world"
)

// SessionControl does to one session what its agents, its sandbox and other
// people do on a real Hub. Its methods may be called at any time, whatever state
// the session is in. After the session was deleted, they change nothing that a
// client could see.
type SessionControl struct {
	hub     *Hub
	session *world.Session
}

// Session returns the control of a session. It panics if the Hub has no session
// with this id.
func (h *Hub) Session(id string) *SessionControl {
	s, ok := h.world.Session(id)
	if !ok {
		panic(fmt.Sprintf("codertest: the Hub has no session %q", id))
	}
	return &SessionControl{hub: h, session: s}
}

// AddSession adds a session that exists already, with a past, and returns its
// control. Its id is the next one. Since no client has created it, OnSession is
// not called, and the Hub's agent does nothing until it gets a prompt. Lists show
// it among the others by its time of creation.
//
//	old := hub.AddSession(codertest.Session{
//		Task:         "Fix the flaky test",
//		Owner:        coder.SessionOwner{UserID: "user_alice"},
//		Created:      time.Now().AddDate(0, -4, 0),
//		LastActivity: time.Now().AddDate(0, -3, 0),
//	})
func (h *Hub) AddSession(s Session) *SessionControl {
	past := world.Past{
		Task: s.Task, Label: s.Label, Status: s.Status, Mode: string(s.Mode), Visibility: string(s.Visibility),
		WorkflowMode: string(s.WorkflowMode), DefaultAgent: s.DefaultAgent,
		OwnerID: s.Owner.UserID, OwnerName: s.Owner.Name,
		Tags: s.Tags, Metadata: s.Metadata, Created: s.Created, LastActivity: s.LastActivity,
	}
	if s.Loop != nil {
		past.Loop = new(s.Loop.world())
	}
	if s.Entries != nil {
		past.Entries = []world.Entry{}
	}
	for _, e := range s.Entries {
		past.Entries = append(past.Entries, e.world())
	}
	if s.Events != nil {
		past.Events = []world.Event{}
	}
	for _, e := range s.Events {
		past.Events = append(past.Events, world.Event(e))
	}
	return &SessionControl{hub: h, session: h.world.AddSession(past)}
}

// OnSession sets the function that the Hub calls for each session that a client
// creates, over HTTP or with a socket: before the client gets the id, and before
// the agent begins. So a test can control a session whose id its program does
// not show:
//
//	hub.OnSession(func(s *codertest.SessionControl) {
//		s.Answer(codertest.AgentTurn{Text: "There is a race in " + s.Label() + "."})
//	})
//
// The goroutine that serves the client calls it. The function may use the Hub,
// but must not close it: Close waits for it. Nil removes the last one.
func (h *Hub) OnSession(created func(*SessionControl)) {
	if created == nil {
		h.world.OnSession(nil)
		return
	}
	h.world.OnSession(func(s *world.Session) { created(&SessionControl{hub: h, session: s}) })
}

// SessionIDs returns the ids of all sessions, archived ones included, in the
// order in which they were created.
func (h *Hub) SessionIDs() []string { return h.world.SessionIDs() }

// ID returns the id of the session.
func (c *SessionControl) ID() string { return c.session.ID() }

// Pause puts the session to sleep, as the Hub does with one that idles. It can
// be resumed. Observers and controllers stay connected; the socket of a lead is
// closed with [coder.CloseUnavailable]. In the middle of a turn the Hub's agent
// aborts the turn first.
func (c *SessionControl) Pause() { c.SetStatus("paused") }

// Shutdown ends the session, as its agent does when it is done. Only its history
// remains. Unlike an archived session it is still listed.
func (c *SessionControl) Shutdown() { c.SetStatus("shutdown") }

// Archive archives the session, as another client may do.
func (c *SessionControl) Archive() { c.SetStatus("archived") }

// SetStatus moves the session to a status: creating, provisioning, active, paused,
// resuming, archived or shutdown, with all its consequences. With any other text,
// such as error or failed, the session has lost its runtime and cannot be resumed.
func (c *SessionControl) SetStatus(status string) { c.session.SetStatus(status) }

// SetMode sets where the session runs. A session that was created over HTTP runs
// in a sandbox. One that runs in somebody's terminal cannot be controlled by
// others.
func (c *SessionControl) SetMode(mode coder.SessionMode) { c.session.SetMode(string(mode)) }

// SetLoop sets the state of the session's loop. From then on only SetLoop, or
// the end of the session, changes it. A session in standard mode becomes a loop
// session.
func (c *SessionControl) SetLoop(loop Loop) { c.session.SetLoop(loop.world()) }

// Set adds a member to the session's detail, such as usage or tasks, or replaces
// a member of the Hub. A nil value undoes that. Values are written as
// encoding/json/v2 does. Set panics if a value cannot be.
func (c *SessionControl) Set(member string, value any) { c.session.SetMember(member, value) }

// SetTodos replaces the todo list of the session, which [coder.Client.SessionTodos]
// returns in this order. A session starts without any, and the Hub's agent keeps none.
func (c *SessionControl) SetTodos(todos ...Todo) {
	list := make([]world.Todo, len(todos))
	for i, t := range todos {
		list[i] = t.world()
	}
	c.session.SetTodos(list)
}

// Script sets what each of the next GET requests for the session's detail sees:
// before the Hub answers the first request, it calls the first step, and so on. A
// step changes the session through its argument. A nil step changes nothing. As
// long as there are steps, the session does not move on by itself. A second
// Script adds to the first. A step may use the Hub, but must not close it: Close
// waits for the step.
//
//	hub.Session(id).Script(
//		nil, // as it is
//		(*codertest.SessionControl).Pause,
//		func(s *codertest.SessionControl) { s.SetStatus("failed") },
//	)
func (c *SessionControl) Script(steps ...func(*SessionControl)) {
	script := make([]func(), len(steps))
	for i, step := range steps {
		if step != nil {
			script[i] = func() { step(c) }
		}
	}
	c.session.Script(script...)
}

// Emit appends an event to the history of the session, sends it to those who follow the
// session, and returns the event's id. A controller gets events from its hydration on,
// which may come after [coder.Client.Attach] has returned.
func (c *SessionControl) Emit(e Event) int { return c.session.Emit(world.Event(e)) }

// Broadcast sends an event to those who follow the session, as Emit does, but
// does not add it to the history.
func (c *SessionControl) Broadcast(e Event) { c.session.Broadcast(world.Event(e)) }

// AddReplayEntries appends to the conversation of the session.
func (c *SessionControl) AddReplayEntries(entries ...ReplayEntry) {
	added := make([]world.Entry, len(entries))
	for i, e := range entries {
		added[i] = e.world()
	}
	c.session.AddEntries(added)
}

// AddParticipant adds a participant to the session and returns its id. The
// participant counts as connected, but has no connection of its own.
func (c *SessionControl) AddParticipant(p Participant) string {
	return c.session.AddParticipant(p.world())
}

// DisconnectParticipant disconnects the participant with this id. The Hub
// closes its socket with [coder.CloseGoingAway].
func (c *SessionControl) DisconnectParticipant(id string) { c.session.DisconnectParticipant(id) }

// UpdatePresence sends those who follow the session a presence_update with all
// participants. By itself the Hub only sends who has joined and who has left.
func (c *SessionControl) UpdatePresence() { c.session.UpdatePresence() }

// Streams returns how many live connections the session has: streams of events
// and sockets. A connection that a client has ended counts until the Hub notices.
func (c *SessionControl) Streams() int { return c.session.Connections() }

// Streams returns how many live connections the Hub has: streams of events and
// sockets, including those that have joined no session yet.
func (h *Hub) Streams() int { return h.world.Connections() }

// SendRaw sends text as it is over the live connections that are open now:
// between two messages of a stream of events, and as a text frame of a socket. It
// is meant for what a real Hub would never send.
func (c *SessionControl) SendRaw(text string) {
	c.session.EachOutbox(func(out *outbox.Outbox) { out.Put(outbox.Message{Body: []byte(text)}) })
}

// CutStreams aborts the live connections that are open now, as a network failure
// does. Messages that wait to be sent are lost. Clients may reconnect.
func (c *SessionControl) CutStreams() { c.session.EachOutbox((*outbox.Outbox).Cut) }

// StallStreams makes the Hub send nothing more over the live connections that
// are open now, not even a keep-alive comment. It leaves them open until the
// client disconnects, and still reads what clients send.
func (c *SessionControl) StallStreams() { c.session.EachOutbox((*outbox.Outbox).Stall) }

// EndStreams ends the live connections that are open now, after the messages
// that wait to be sent. Streams of events just end. Sockets are closed with the
// code and a close reason of at most 123 bytes. The session itself goes on.
func (c *SessionControl) EndStreams(closeCode coder.CloseCode, reason string) {
	checkClose(closeCode, reason)
	c.session.EachOutbox(func(out *outbox.Outbox) { out.End(outbox.Ending{Code: int(closeCode), Reason: reason}) })
}

// StopReading makes the Hub read nothing more from the sockets that are open now,
// so that the writes of a client block sooner or later. The Hub does not notice
// then that a client disconnects.
func (c *SessionControl) StopReading() { c.session.StopReading() }

// RefuseStreams refuses clients that connect to the session from now on. If
// there are several refusals, the first one counts. [Injection.Remove] undoes
// it.
func (c *SessionControl) RefuseStreams(r Refusal) *Injection {
	return &Injection{c.session.Refuse(r.world())}
}

// RefuseStreams refuses clients that connect to any session from now on, or
// create one with a socket. [Injection.Remove] undoes it.
func (h *Hub) RefuseStreams(r Refusal) *Injection { return &Injection{h.world.Refuse(r.world())} }

// Frames returns the messages that have come over the sockets of the session,
// in the order in which the Hub has read them. Those that only carry
// credentials are left out. The result is the caller's own.
func (c *SessionControl) Frames() []ClientFrame {
	received := c.session.Frames()
	frames := make([]ClientFrame, len(received))
	for i, f := range received {
		frames[i] = clientFrame(f)
	}
	return frames
}

// Files returns the files a lead has written with session_write and
// session_entry, by path. The result is the caller's own.
func (c *SessionControl) Files() map[string]string { return c.session.Files() }

// OnRequest makes answer decide how the Hub answers requests of leads. It returns
// the actions of the answer, and false if there is to be no answer at all. Nil
// actions mean those of the Hub: ACK for events and commands, RETURN of null for
// tools. Actions that cannot be written as JSON end the connection.
//
// The goroutine that reads the socket calls answer, so that the Hub reads nothing
// else meanwhile. The function may use the Hub, but must not close it: Close waits
// for it. A nil answer removes the last one.
func (h *Hub) OnRequest(answer func(LeadRequest) (actions []Action, answered bool)) {
	if answer == nil {
		h.world.OnRequest(nil)
		return
	}
	h.world.OnRequest(func(r world.LeadRequest) ([]byte, bool) {
		actions, answered := answer(LeadRequest(r))
		if actions == nil {
			return nil, answered
		}
		return world.Encode(actions), answered
	})
}

// SetInit sets members, such as tools, commands, agents, config or model, of the
// init message. Leads and sub-agents get that message when they connect, and
// before from GET /api/hub/init. The members are added to the Hub's own, or
// replace them. The values are copied now. Nil removes them.
func (h *Hub) SetInit(members map[string]any) { h.world.SetInit(members) }

// AddSkillFile adds a file to those that [coder.Client.HubSkills] returns, or replaces
// the one with the same path, which may be one that no program should write to.
// Without AddSkillFile the Hub returns the saved skills that have a content, each as
// .agents/skills/<skill id>/SKILL.md.
func (h *Hub) AddSkillFile(path, content string) { h.world.AddSkillFile(path, content) }

// AddUser adds a member to the organization and returns its id. A Hub starts
// without users. The owner of the sessions is not listed.
func (h *Hub) AddUser(u User) string { return h.world.AddUser(world.User(u)) }

// AddGitHubAccount links a GitHub account with its repositories and returns the
// account's id. Until the first is linked, GitHub is not connected. The first
// account of type User is the caller's own.
func (h *Hub) AddGitHubAccount(a GitHubAccount) string { return h.world.AddGitHubAccount(a.world()) }
