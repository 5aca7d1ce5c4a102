// Package outbox holds what waits to be sent over one live connection. Whoever has something to
// send puts it in and goes on at once; the goroutine that writes to the connection takes it out.
package outbox

import "sync"

// maxBytes is how much may wait, whatever one more message adds to it.
const maxBytes = 64 << 20

// Message is something to send.
type Message struct {
	// Kind is the type in the body, which a stream of events names beside it. Empty: the body is
	// sent as it is.
	Kind string
	Body []byte
}

// Ending is how a socket is closed. A stream of events just ends.
type Ending struct {
	Code   int
	Reason string
}

// Outbox is a queue of messages. Its methods may be called by several goroutines at once, and none
// of them waits for the client.
type Outbox struct {
	limit int           // of the messages that wait
	wake  chan struct{} // has a token when there may be something to take
	gone  chan struct{} // closed by Cut

	mu      sync.Mutex
	waiting []Message
	size    int // of their bodies
	stalled bool
	cut     bool
	end     *Ending
	abort   func() // makes a write fail that is under way
}

// New returns an Outbox in which no more than limit messages may wait.
func New(limit int) *Outbox {
	return &Outbox{limit: limit, wake: make(chan struct{}, 1), gone: make(chan struct{})}
}

// Put appends a message, or cuts the connection if too many wait already. A connection that is
// stalled, ending or cut takes none.
func (o *Outbox) Put(m Message) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.stalled || o.end != nil || o.cut:
		return
	case len(o.waiting) >= o.limit || o.size >= maxBytes:
		o.cutLocked()
		return
	}
	o.waiting = append(o.waiting, m)
	o.size += len(m.Body)
	o.signal()
}

// Take returns the next message, if there is one. Without one it returns how to end the connection,
// if it is time for that. If there is neither, wait for Wake.
func (o *Outbox) Take() (next Message, ok bool, end *Ending) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.stalled {
		return Message{}, false, nil
	}
	if len(o.waiting) == 0 {
		return Message{}, false, o.end
	}
	next = o.waiting[0]
	o.waiting[0] = Message{}
	o.waiting = o.waiting[1:]
	o.size -= len(next.Body)
	return next, true, nil
}

// Wake receives when Take may have something new.
func (o *Outbox) Wake() <-chan struct{} { return o.wake }

// Gone is closed when the connection is cut.
func (o *Outbox) Gone() <-chan struct{} { return o.gone }

// End ends the connection after what waits. Only the first ending counts.
func (o *Outbox) End(end Ending) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.end == nil {
		o.end = &end
		o.signal()
	}
}

// Stall drops what waits and everything that is still to come, and leaves the connection open.
func (o *Outbox) Stall() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.stalled = true
	o.waiting = nil
}

// Stalled reports whether Stall was called.
func (o *Outbox) Stalled() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.stalled
}

// Cut drops what waits and aborts the connection.
func (o *Outbox) Cut() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.cutLocked()
}

func (o *Outbox) cutLocked() {
	if o.cut {
		return
	}
	o.cut = true
	o.waiting = nil
	close(o.gone)
	if o.abort != nil {
		o.abort()
	}
}

// OnCut sets what Cut calls, which should make a write fail that is under way. If the connection
// has been cut already, it is called at once. Nil: nothing is to be called any more.
func (o *Outbox) OnCut(abort func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.abort = abort
	if o.cut && abort != nil {
		abort()
	}
}

func (o *Outbox) signal() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}
