package world

import (
	"slices"
	"time"
)

// Refusal turns away clients that want to follow a session.
type Refusal struct {
	// Count is how many; less than 0: all.
	Count int
	// Problem answers a stream of events.
	Problem *Problem
	// Rejection ends a socket.
	Rejection Rejection
}

// refusal is a Refusal in force.
type refusal struct {
	Refusal
	session *Session // nil: any
}

// Refuse turns away those who connect to any session from now on, or want to
// create one with a socket. Of several refusals the one given first counts.
func (w *World) Refuse(r Refusal) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refusals = append(w.refusals, &refusal{Refusal: r})
}

// Refuse turns away those who connect to the session from now on.
func (s *Session) Refuse(r Refusal) {
	s.change(func(time.Time) {
		s.world.refusals = append(s.world.refusals, &refusal{Refusal: r, session: s})
	})
}

// refusal returns the refusal that a client which connects to the session meets,
// or nil. The session is nil if it would be created.
func (w *World) refusal(s *Session) *Refusal {
	i := slices.IndexFunc(w.refusals, func(r *refusal) bool { return r.session == nil || r.session == s })
	if i < 0 {
		return nil
	}
	r := w.refusals[i]
	if r.Count--; r.Count == 0 {
		w.refusals = slices.Delete(w.refusals, i, i+1)
	}
	return &r.Refusal
}
