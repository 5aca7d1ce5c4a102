package codertest

import (
	"sync"
	"time"

	"github.com/coder/websocket"
)

const (
	defaultKeepAlive = 15 * time.Second
	defaultQueue     = 4096
	maxQueuedBytes   = 64 << 20
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
	out         *outbox
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
		c.out.cut()
	}
	for s := range h.sessions.oldestFirst() {
		s.agent.stop()
	}
}

// message is something to send over a live connection.
type message struct {
	kind string // the type in the body; empty: the body is sent as it is
	body []byte
	half bool // the connection breaks off in the middle of it
}

// ending is how a connection ends once everything that waits has been sent.
// Streams of events have no words for it.
type ending struct {
	code   websocket.StatusCode
	reason string
}

// outbox holds what waits to be sent over one connection. Nothing that is done
// to it blocks, and none of it waits for the other side.
type outbox struct {
	limit int
	wake  chan struct{} // has a token when there may be something to send
	gone  chan struct{} // closed when the connection is cut

	mu      sync.Mutex
	waiting []message
	size    int // of their bodies
	mute    bool
	deaf    bool
	severed bool
	end     *ending
	abort   func() // makes a write that hangs fail
}

func newOutbox(limit int) *outbox {
	return &outbox{limit: limit, wake: make(chan struct{}, 1), gone: make(chan struct{})}
}

// put appends a message, or cuts the connection if too many wait already.
func (o *outbox) put(m message) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.mute || o.end != nil || o.severed:
		return
	case len(o.waiting) >= o.limit || o.size >= maxQueuedBytes:
		o.sever()
		return
	}
	o.waiting = append(o.waiting, m)
	o.size += len(m.body)
	o.signal()
}

// take returns the next message, if there is one. Without one it returns how
// to end, if it is time for that.
func (o *outbox) take() (next message, ok bool, end *ending) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.mute {
		return message{}, false, nil
	}
	if len(o.waiting) == 0 {
		return message{}, false, o.end
	}
	next = o.waiting[0]
	o.waiting[0] = message{}
	o.waiting = o.waiting[1:]
	o.size -= len(next.body)
	return next, true, nil
}

// finish ends the connection after what waits. The first ending counts.
func (o *outbox) finish(end ending) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.end == nil {
		o.end = &end
		o.signal()
	}
}

// silence lets the connection stand and sends nothing over it any more.
func (o *outbox) silence() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.mute = true
	o.waiting = nil
}

func (o *outbox) silent() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.mute
}

// stopListening leaves what the client sends where it is.
func (o *outbox) stopListening() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.deaf = true
}

func (o *outbox) listening() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.deaf
}

// cut aborts the connection, whatever waits.
func (o *outbox) cut() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sever()
}

func (o *outbox) sever() {
	if o.severed {
		return
	}
	o.severed = true
	o.waiting = nil
	close(o.gone)
	if o.abort != nil {
		o.abort()
	}
}

// onCut says how to make a write that hangs fail; nil: no longer.
func (o *outbox) onCut(abort func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.abort = abort
	if o.severed && abort != nil {
		abort()
	}
}

func (o *outbox) signal() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}
