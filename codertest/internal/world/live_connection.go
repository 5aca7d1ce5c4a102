package world

import (
	"slices"
	"time"

	"github.com/agentuity/coder-go/codertest/internal/outbox"
)

// The codes a socket is closed with.
const (
	closeGoingAway       = 1001
	closeBadRequest      = 4400
	closeSessionNotFound = 4404
	closeUnavailable     = 4408
	closeSessionActive   = 4409
	closeStaleDriver     = 4410
)

// Connection is a live connection: a stream of events or a socket. It follows no
// session until Observe or Join have let it in.
type Connection struct {
	// Out holds what waits to be sent over it.
	Out *outbox.Outbox

	world       *World
	session     *Session
	participant string
	role        string   // lead, sub_agent, observer or controller
	filters     []string // none: everything; a controller has none
	ready       bool     // has been sent the conversation so far
	follows     bool     // is sent what happens
	unread      bool     // what it sends is not read any more
	dropped     bool     // the Hub has gone down since it connected
}

// Connect returns a new connection, or nil after Close and while the Hub is down. Whoever connects must
// call Leave in the end.
func (w *World) Connect() *Connection {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || w.restart.down {
		return nil
	}
	c := &Connection{world: w, Out: outbox.New(w.config.Queue)}
	w.connections[c] = struct{}{}
	w.idle.news(time.Now())
	w.leaving.Add(1)
	return c
}

// Leave takes the connection off its session.
func (c *Connection) Leave() {
	c.world.mu.Lock()
	defer c.world.mu.Unlock()
	delete(c.world.connections, c)
	if c.session != nil {
		c.session.part(c, time.Now())
	}
	c.world.leaving.Done()
}

// Connections counts all live connections, in a session or not.
func (w *World) Connections() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.connections)
}

// Connections counts the live connections of the session.
func (s *Session) Connections() (n int) {
	s.change(func(time.Time) { n = len(s.live) })
	return n
}

// EachOutbox calls do for each live connection of the session, with the lock.
func (s *Session) EachOutbox(do func(*outbox.Outbox)) {
	s.change(func(now time.Time) {
		s.world.idle.news(now)
		for _, c := range s.live {
			do(c.Out)
		}
	})
}

// StopReading makes Reading false for the live connections of the session.
func (s *Session) StopReading() {
	s.change(func(time.Time) {
		for _, c := range s.live {
			c.unread = true
		}
	})
}

// Reading reports whether what the client sends is still to be read.
func (c *Connection) Reading() bool {
	c.world.mu.Lock()
	defer c.world.mu.Unlock()
	return !c.unread
}

// liveAs returns the connection of a participant, if there is one.
func (s *Session) liveAs(participant string) *Connection {
	for _, c := range s.live {
		if c.participant == participant {
			return c
		}
	}
	return nil
}

// part takes a connection that has ended off the session. If it was the lead, the
// Hub's own agent leads from then on, if it may.
func (s *Session) part(c *Connection, now time.Time) {
	s.live = slices.DeleteFunc(s.live, func(other *Connection) bool { return other == c })
	s.leaveAll(func(p participant) bool { return p.ID == c.participant }, now)
	if s.lead == c {
		s.lead = nil
		if s.row().runtime && s.mode == "sandbox" {
			s.leadItself(now)
		}
	}
}

// hangUp ends all connections after what waits to be sent over them.
func (s *Session) hangUp(end outbox.Ending) {
	for _, c := range s.live {
		c.Out.End(end)
	}
}
