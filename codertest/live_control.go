package codertest

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/agentuity/coder-go/codertest/internal/outbox"
)

// The close codes of the Hub's sockets, see coder.CloseCode.
const (
	closeGoingAway       = 1001
	closeBadRequest      = 4400
	closeAuthRequired    = 4401
	closeSessionNotFound = 4404
	closeUnavailable     = 4408
	closeSessionActive   = 4409
	closeStaleDriver     = 4410
)

// Streams returns how many live connections the session has: streams of events
// and sockets. A connection that a client has ended counts until the Hub has
// noticed.
func (c *SessionControl) Streams() int {
	c.hub.mu.Lock()
	defer c.hub.mu.Unlock()
	return len(c.session.live)
}

// Streams returns how many live connections the Hub has: streams of events and
// sockets, those included that have not said yet who they are.
func (h *Hub) Streams() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.open)
}

// Broadcast tells those who follow the session of an event, as Emit does, and
// leaves its history alone.
func (c *SessionControl) Broadcast(e Event) {
	c.change(func(s *session, now time.Time) {
		s.publish(newEvent(e, now).broadcast(s.id), everybody)
	})
}

// UpdatePresence tells those who follow the session who is there now.
func (c *SessionControl) UpdatePresence() {
	c.change(func(s *session, now time.Time) {
		update := presence{Event: "presence_update"}
		for _, p := range s.participants {
			if shown := p.live(); shown != nil && p.DisconnectedAt == "" {
				update.Participants = append(update.Participants, shown)
			}
		}
		s.announce(update, now)
	})
}

// SendRaw sends text as it is over the live connections that are open now:
// between two messages of a stream of events, and as a text frame of a socket.
// It is meant for what the Hub would never send.
func (c *SessionControl) SendRaw(text string) {
	c.eachLive(func(live *connection) { live.out.Put(outbox.Message{Body: []byte(text)}) })
}

// CutStreams aborts the live connections that are open now, as a network that
// breaks down does. What waits to be sent is lost. Clients may come back.
func (c *SessionControl) CutStreams() { c.eachLive(func(live *connection) { live.out.Cut() }) }

// StallStreams lets the live connections that are open now stand and sends
// nothing over them any more, not even what keeps them alive, until the client
// leaves. What clients send is still read.
func (c *SessionControl) StallStreams() { c.eachLive(func(live *connection) { live.out.Stall() }) }

// EndStreams ends the live connections that are open now after what waits to
// be sent: streams of events just end, and sockets are closed with a code and
// a reason of at most 123 bytes. The session itself goes on.
func (c *SessionControl) EndStreams(closeCode int, reason string) {
	checkClose(closeCode, reason)
	c.eachLive(func(live *connection) { live.out.End(outbox.Ending{Code: closeCode, Reason: reason}) })
}

// StopReading makes the Hub leave what comes over the sockets that are open now
// where it is, so that a client that goes on sending is blocked in the end. It
// also makes the Hub blind to a client that leaves.
func (c *SessionControl) StopReading() { c.eachLive(func(live *connection) { live.deaf = true }) }

// checkClose panics on a way to close a socket that cannot be.
func checkClose(code int, reason string) {
	usual := code >= 1000 && code <= 1014 && (code < 1004 || code > 1006)
	if !usual && (code < 3000 || code > 4999) {
		panic(fmt.Sprintf("codertest: a socket cannot be closed with the code %d", code))
	}
	if len(reason) > 123 {
		panic("codertest: the reason a socket is closed with is longer than 123 bytes")
	}
}

func (c *SessionControl) eachLive(do func(*connection)) {
	c.change(func(s *session, _ time.Time) {
		for _, live := range s.live {
			do(live)
		}
	})
}

// Refusal is how the Hub turns away somebody who wants to follow a session.
type Refusal struct {
	// Count is how many of them to turn away; 0 means one, less than 0 all.
	Count int
	// Status is the HTTP status a stream of events is answered with. 0: 503.
	// A socket is always opened, and refused afterwards.
	Status int
	// Header replaces fields of that answer, such as Retry-After. An empty
	// slice removes the field. A socket has none.
	Header http.Header
	// Code and Message say why, in the error of a stream of events and in the
	// frame connection_rejected of a socket. With an empty Code a socket is
	// closed without that frame.
	Code, Message string
	// CloseCode is the code a socket is closed with. 0: 4408, temporarily
	// unavailable.
	CloseCode int
	// Reason is the reason it is closed with, at most 123 bytes.
	Reason string
}

// refusal is a Refusal at work.
type refusal struct {
	Refusal
	session *session // nil: any
}

// RefuseStreams turns away those who connect to the session from now on. Of
// several refusals the one given first acts.
func (c *SessionControl) RefuseStreams(r Refusal) {
	c.change(func(s *session, _ time.Time) { c.hub.refuse(r, s) })
}

// RefuseStreams turns away those who connect to any session from now on, or
// want to create one with a socket.
func (h *Hub) RefuseStreams(r Refusal) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.refuse(r, nil)
}

func (h *Hub) refuse(r Refusal, s *session) {
	r.Count = cmp.Or(r.Count, 1)
	r.CloseCode = cmp.Or(r.CloseCode, closeUnavailable)
	checkClose(r.CloseCode, r.Reason)
	r.Header = r.Header.Clone()
	h.refusals = append(h.refusals, &refusal{Refusal: r, session: s})
}

// refusal returns how somebody who connects to the session is turned away, or
// nil. The session is nil for one that would be created.
func (h *Hub) refusal(s *session) *refusal {
	i := slices.IndexFunc(h.refusals, func(r *refusal) bool { return r.session == nil || r.session == s })
	if i < 0 {
		return nil
	}
	r := h.refusals[i]
	if r.Count--; r.Count == 0 {
		h.refusals = slices.Delete(h.refusals, i, i+1)
	}
	return r
}

func (r *refusal) problem() *problem {
	return &problem{
		status:  cmp.Or(r.Status, http.StatusServiceUnavailable),
		code:    r.Code,
		message: cmp.Or(r.Message, "The session cannot be followed now"),
		header:  merge(r.Header),
	}
}
