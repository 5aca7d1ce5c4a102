package world

import "slices"

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
	hits    int
}

// Refuse turns away those who connect to any session from now on, or want to
// create one with a socket. Of several refusals the one given first counts.
func (w *World) Refuse(r Refusal) *Refusing { return w.refuse(&refusal{Refusal: r}) }

// Refuse turns away those who connect to the session from now on.
func (s *Session) Refuse(r Refusal) *Refusing {
	return s.world.refuse(&refusal{Refusal: r, session: s})
}

// Refusing is a Refusal in force.
type Refusing struct {
	world   *World
	refusal *refusal
}

func (w *World) refuse(r *refusal) *Refusing {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refusals = append(w.refusals, r)
	return &Refusing{w, r}
}

// Hits returns how many clients it has turned away.
func (r *Refusing) Hits() int {
	r.world.mu.Lock()
	defer r.world.mu.Unlock()
	return r.refusal.hits
}

// Remove ends it.
func (r *Refusing) Remove() {
	r.world.mu.Lock()
	defer r.world.mu.Unlock()
	r.world.refusals = slices.DeleteFunc(r.world.refusals, func(other *refusal) bool { return other == r.refusal })
}

// refusal returns the refusal that a client which connects to the session meets,
// or nil. The session is nil if it would be created.
func (w *World) refusal(s *Session) *Refusal {
	i := slices.IndexFunc(w.refusals, func(r *refusal) bool { return r.session == nil || r.session == s })
	if i < 0 {
		return nil
	}
	r := w.refusals[i]
	r.hits++
	if r.Count--; r.Count == 0 {
		w.refusals = slices.Delete(w.refusals, i, i+1)
	}
	return &r.Refusal
}
