package codertest

import (
	"time"

	"github.com/agentuity/coder-go/codertest/internal/outbox"
)

const (
	defaultKeepAlive = 15 * time.Second
	defaultQueue     = 4096
)

// connection is one live connection, a stream of events or a socket, from the
// time it is let in. The Hub's lock guards everything but out.
type connection struct {
	session     *session
	participant string
	role        string   // lead, sub_agent, observer or controller
	filters     []string // none: everything; a controller has none
	ready       bool     // has been told the conversation so far
	follows     bool     // is told what happens
	deaf        bool     // what the client sends is not read any more
	out         *outbox.Outbox
}

// register counts a new connection, so that Close ends it and waits for it. It
// is false once the Hub is closed.
func (h *Hub) register(c *connection) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return false
	}
	h.open[c] = struct{}{}
	h.lives.Add(1)
	return true
}

// release is the counterpart of register.
func (h *Hub) release(c *connection) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.open, c)
	if c.session != nil {
		c.session.part(c, time.Now())
	}
	h.lives.Done()
}

func (h *Hub) cutAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for c := range h.open {
		c.out.Cut()
	}
	for s := range h.sessions.oldestFirst() {
		s.agent.stop()
	}
}
