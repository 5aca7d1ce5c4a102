package codertest

import (
	"fmt"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest/internal/outbox"
	"github.com/agentuity/coder-go/codertest/internal/world"
)

// SessionControl does to one session what on a real Hub happens behind the
// scenes: its agents, its sandbox, other people. Its methods may be called at
// any time and force what they say, whatever state the session is in. On a
// session that has been deleted since they change nothing a client could see.
type SessionControl struct{ session *world.Session }

// Session returns the control of a session. It panics if the Hub has no
// session with this id: a test that asks for it has gone wrong before.
func (h *Hub) Session(id string) *SessionControl {
	s, ok := h.world.Session(id)
	if !ok {
		panic(fmt.Sprintf("codertest: the Hub has no session %q", id))
	}
	return &SessionControl{s}
}

// SessionIDs returns the ids of all sessions, archived ones included, in the
// order in which they were created.
func (h *Hub) SessionIDs() []string { return h.world.SessionIDs() }

// ID returns the id of the session.
func (c *SessionControl) ID() string { return c.session.ID() }

// Pause puts the session to sleep, as the Hub does with one that idles. It can
// be resumed. Observers and controllers that are connected stay; the socket of
// a lead is closed with 4408. In the middle of a turn the Hub's agent aborts it
// first, as at the other ends of a session: its agent_end always comes.
func (c *SessionControl) Pause() { c.SetStatus("paused") }

// Shutdown ends the session, as its agent does when it is done. Only its
// history remains, but unlike an archived session it is still listed.
func (c *SessionControl) Shutdown() { c.SetStatus("shutdown") }

// Archive archives the session, as somebody else may do.
func (c *SessionControl) Archive() { c.SetStatus("archived") }

// SetStatus puts the session into the state that status stands for: creating,
// provisioning, active, paused, resuming, archived or shutdown. Any other
// text, such as error or failed, is shown as it is, on a session that has lost
// its runtime and cannot be resumed.
func (c *SessionControl) SetStatus(status string) { c.session.SetStatus(status) }

// SetMode sets where the session runs. A session that was created over HTTP runs
// in a sandbox. One that runs in somebody's terminal cannot be controlled by
// others.
func (c *SessionControl) SetMode(mode coder.SessionMode) { c.session.SetMode(string(mode)) }

// SetLoop sets the state of the session's loop, which from then on changes
// only by SetLoop, or when the session ends. A session in standard mode
// becomes a loop session.
func (c *SessionControl) SetLoop(loop Loop) { c.session.SetLoop(loop.world()) }

// Set gives the session's detail a member, such as usage or tasks, or replaces
// one the Hub gives it. A nil value takes back what Set did. Values are written
// as encoding/json/v2 does; one that cannot be is a panic.
func (c *SessionControl) Set(member string, value any) { c.session.SetMember(member, value) }

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
	script := make([]func(), len(steps))
	for i, step := range steps {
		if step != nil {
			script[i] = func() { step(c) }
		}
	}
	c.session.Script(script...)
}

// Emit appends an event to the history of the session, tells those who follow
// it, and returns the event's id.
func (c *SessionControl) Emit(e Event) int { return c.session.Emit(world.Event(e)) }

// Broadcast tells those who follow the session of an event, as Emit does, and
// leaves its history alone.
func (c *SessionControl) Broadcast(e Event) { c.session.Broadcast(world.Event(e)) }

// AddReplayEntries appends to the conversation of the session.
func (c *SessionControl) AddReplayEntries(entries ...ReplayEntry) {
	added := make([]world.Entry, len(entries))
	for i, e := range entries {
		added[i] = e.world()
	}
	c.session.AddEntries(added)
}

// AddParticipant connects somebody to the session and returns their id.
func (c *SessionControl) AddParticipant(p Participant) string {
	return c.session.AddParticipant(p.world())
}

// DisconnectParticipant ends the connections of the participant with this id;
// a socket is closed with 1001.
func (c *SessionControl) DisconnectParticipant(id string) { c.session.DisconnectParticipant(id) }

// UpdatePresence tells those who follow the session who is there now.
func (c *SessionControl) UpdatePresence() { c.session.UpdatePresence() }

// Streams returns how many live connections the session has: streams of events
// and sockets. A connection that a client has ended counts until the Hub has
// noticed.
func (c *SessionControl) Streams() int { return c.session.Connections() }

// Streams returns how many live connections the Hub has: streams of events and
// sockets, those included that have not said yet who they are.
func (h *Hub) Streams() int { return h.world.Connections() }

// SendRaw sends text as it is over the live connections that are open now:
// between two messages of a stream of events, and as a text frame of a socket.
// It is meant for what the Hub would never send.
func (c *SessionControl) SendRaw(text string) {
	c.session.EachOutbox(func(out *outbox.Outbox) { out.Put(outbox.Message{Body: []byte(text)}) })
}

// CutStreams aborts the live connections that are open now, as a network that
// breaks down does. What waits to be sent is lost. Clients may come back.
func (c *SessionControl) CutStreams() { c.session.EachOutbox((*outbox.Outbox).Cut) }

// StallStreams lets the live connections that are open now stand and sends
// nothing over them any more, not even what keeps them alive, until the client
// leaves. What clients send is still read.
func (c *SessionControl) StallStreams() { c.session.EachOutbox((*outbox.Outbox).Stall) }

// EndStreams ends the live connections that are open now after what waits to
// be sent: streams of events just end, and sockets are closed with a code and
// a reason of at most 123 bytes. The session itself goes on.
func (c *SessionControl) EndStreams(closeCode coder.CloseCode, reason string) {
	checkClose(closeCode, reason)
	c.session.EachOutbox(func(out *outbox.Outbox) { out.End(outbox.Ending{Code: int(closeCode), Reason: reason}) })
}

// StopReading makes the Hub leave what comes over the sockets that are open now
// where it is, so that a client that goes on sending is blocked in the end. It
// also makes the Hub blind to a client that leaves.
func (c *SessionControl) StopReading() { c.session.StopReading() }

// RefuseStreams turns away those who connect to the session from now on. Of
// several refusals the one given first acts.
func (c *SessionControl) RefuseStreams(r Refusal) { c.session.Refuse(r.world()) }

// RefuseStreams turns away those who connect to any session from now on, or
// want to create one with a socket.
func (h *Hub) RefuseStreams(r Refusal) { h.world.Refuse(r.world()) }

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

// OnRequest makes answer decide how the Hub answers requests of leads. It
// returns the actions of the answer, and false if there is to be no answer at
// all. Nil actions are what the Hub does by itself: ACK for events and
// commands, RETURN of null for tools. It is called by the goroutine that reads
// the socket, so that nothing else is read meanwhile. It may use the Hub, but
// not close it: Close waits for it. Actions that cannot be JSON end the
// connection. A nil answer takes the last one back.
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

// SetInit sets members of the message init that leads and sub-agents are sent
// when they connect, such as tools, commands, agents, config or model, beside
// or in place of the Hub's own. The values are taken as they are now. Nil takes
// them back.
func (h *Hub) SetInit(members map[string]any) { h.world.SetInit(members) }

// AddUser adds a member to the organization and returns the id. A Hub starts
// without any; whoever owns the sessions on it is not listed.
func (h *Hub) AddUser(u User) string { return h.world.AddUser(world.User(u)) }

// AddGitHubAccount links a GitHub account with its repositories and returns
// the account's id. Until the first is linked, GitHub is not connected. The
// first account of type User is the one that is connected.
func (h *Hub) AddGitHubAccount(a GitHubAccount) string { return h.world.AddGitHubAccount(a.world()) }
