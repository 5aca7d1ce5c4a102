package world

import (
	"cmp"
	"maps"
	"net/url"
	"slices"
	"time"

	"github.com/agentuity/coder-go/codertest/internal/outbox"
)

// Rejection says why a socket cannot join, and how it is closed.
type Rejection struct {
	// Code and Message are those of the message connection_rejected. With an
	// empty Code there is none.
	Code, Message string
	// CloseCode and Reason are what the socket is closed with.
	CloseCode int
	Reason    string

	malformed bool  // the message is protocol_error instead
	expiredAt int64 // a member of the message
}

// notice is a message of the Hub about the connection itself.
type notice struct {
	Type      string `json:"type"`
	Code      string `json:"code"`
	Message   string `json:"message"`
	SessionID string `json:"sessionId,omitzero"`
	ExpiredAt int64  `json:"expiredAt,omitzero"`
	Timestamp int64  `json:"timestamp"`
}

func rejected(code, message string, closeCode int) *Rejection {
	return &Rejection{Code: code, Message: message, CloseCode: closeCode, Reason: message}
}

func malformed(code, message string) *Rejection {
	r := rejected(code, message, closeBadRequest)
	r.malformed = true
	return r
}

func closedWith(code int, reason string) *Rejection {
	return &Rejection{CloseCode: code, Reason: reason}
}

// Reject ends a socket that has not joined.
func (c *Connection) Reject(r Rejection) {
	c.world.mu.Lock()
	defer c.world.mu.Unlock()
	c.reject(&r, "", time.Now())
}

func (c *Connection) reject(r *Rejection, sessionID string, now time.Time) {
	if r.Code != "" {
		n := notice{
			Type: "connection_rejected", Code: r.Code, Message: r.Message,
			SessionID: sessionID, ExpiredAt: r.expiredAt, Timestamp: now.UnixMilli(),
		}
		if r.malformed {
			n.Type = "protocol_error"
		}
		c.Out.Put(outbox.Message{Kind: n.Type, Body: Encode(n)})
	}
	c.Out.End(outbox.Ending{Code: r.CloseCode, Reason: r.Reason})
}

// Observe lets a stream of events into a session. If all that remains of the
// session is its history, the stream shows it and ends. If the stream is refused,
// the error is a [*Problem], and [ErrDown] if the Hub has gone down.
func (c *Connection) Observe(sessionID string, query url.Values) error {
	w := c.world
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.dropped {
		return ErrDown
	}
	s, err := w.sessions.find(sessionID)
	if err != nil {
		return err
	}
	if r := w.refusal(s); r != nil {
		return r.Problem
	}
	now := time.Now()
	c.role, c.follows, c.ready = "observer", true, true
	c.filters = parseFilters(query.Get("subscribe"))
	c.Out.Put(s.snapshot(now))
	c.Out.Put(s.hydration())
	if s.row().historyOnly {
		over := newEvent(Event{Event: "session_shutdown", Payload: map[string]any{"reason": s.status}}, now)
		if b := over.broadcast(s.id); c.wants(b) {
			c.Out.Put(outbox.Message{Kind: b.Type, Body: Encode(b)})
		}
		c.Out.End(outbox.Ending{})
		return nil
	}
	s.enter(c, Participant{Role: "observer", Transport: "sse"}, now)
	return nil
}

// KindInit marks the first message to a client that has joined.
const KindInit = "init"

// Join lets a socket into the session that its query names, or into a new one, or
// rejects it.
func (c *Connection) Join(query url.Values) {
	w := c.world
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.dropped {
		return
	}
	now := time.Now()
	a, no := applicantOf(query)
	if no != nil {
		c.reject(no, "", now)
		return
	}
	s, no := w.placeFor(a)
	if no != nil {
		c.reject(no, a.session, now)
		return
	}
	created := s == nil
	if created {
		if s, no = w.create(a); no != nil {
			c.reject(no, s.id, now)
			return
		}
		if c.dropped { // a test has made the Hub go down
			return
		}
	}
	c.role = a.role
	c.follows = a.asked != "lead"
	c.filters = []string{}
	if a.role != "controller" {
		c.filters = parseFilters(query.Get("subscribe"))
	}
	c.Out.Put(outbox.Message{Kind: KindInit, Body: Encode(w.initFor(s, a))})
	if a.asked == "observer" || a.asked == "lead" && !created {
		c.Out.Put(s.socketHydration(now))
	}
	c.ready = a.asked != "controller"
	s.welcome(c, a, now)
	s.enter(c, Participant{
		Role: a.role, Transport: "ws", AgentRole: a.agentRole(s), Metadata: a.metadata(),
	}, now)
}

// applicant is who wants to join, as the query says.
type applicant struct {
	query    url.Values
	asked    string // the role in the query
	role     string // as the Hub has it
	session  string
	agent    string
	instance string // of a driver, which is a program that leads
	origin   string
}

func applicantOf(query url.Values) (applicant, *Rejection) {
	a := applicant{
		query:    query,
		asked:    query.Get("role"),
		session:  query.Get("sessionId"),
		agent:    query.Get("agent"),
		instance: query.Get("driverInstanceId"),
		origin:   cmp.Or(query.Get("origin"), "sdk"),
	}
	if a.asked == "" {
		a.asked = "observer"
		if a.origin == "tui" { // a driver in a terminal names no role
			a.asked = "lead"
		}
	}
	if !slices.Contains([]string{"lead", "observer", "controller"}, a.asked) {
		return a, malformed("invalid_role", "Role is not supported")
	}
	if mode := query.Get("driverMode"); mode != "" && mode != "rpc" {
		return a, malformed("invalid_driver_mode", "Driver mode is not supported")
	}
	a.role = a.asked
	if parent := query.Get("parent"); parent != "" && a.agent != "" && a.asked != "controller" {
		a.role = "sub_agent"
		a.session = cmp.Or(a.session, parent)
	}
	return a, nil
}

// placeFor finds the session to join. Nil is a new one.
func (w *World) placeFor(a applicant) (*Session, *Rejection) {
	var s *Session
	if a.session != "" {
		var err error
		if s, err = w.sessions.find(a.session); err != nil {
			return nil, closedWith(closeSessionNotFound, "Session not found")
		}
	}
	if r := w.refusal(s); r != nil {
		return nil, &r.Rejection
	}
	switch {
	case s == nil:
		return nil, nil
	case s.row().historyOnly:
		no := rejected("session_expired", "Session has ended", closeSessionNotFound)
		no.expiredAt = s.updatedAt.UnixMilli()
		return nil, no
	case a.role == "lead":
		if no := s.leadConflict(a.instance); no != nil {
			return nil, no
		}
	}
	return s, nil
}

// leadConflict says why a driver cannot lead the session. It may replace an
// earlier connection of its own. After another driver has connected, it is stale.
func (s *Session) leadConflict(instance string) *Rejection {
	last := len(s.drivers) - 1
	switch i := slices.Index(s.drivers, instance); {
	case i >= 0 && i < last:
		return closedWith(closeStaleDriver, "Newer driver connected")
	case s.lead != nil && (instance == "" || s.leadInstance != instance):
		return rejected("session_active", "Another lead is connected", closeSessionActive)
	}
	return nil
}

// create makes the session of a socket that names none. A test hears of it first,
// and may refuse it, or end the session.
func (w *World) create(a applicant) (*Session, *Rejection) {
	created := &Session{label: a.query.Get("label"), task: a.query.Get("task"), kind: "interactive"}
	if a.role == "lead" {
		created.mode = "tui"
	}
	_, _ = w.sessions.begin(created, loopConfig{})
	a.session = created.id
	_, no := w.placeFor(a)
	return created, no
}

// welcome makes the session ready for its new participant: a lead brings the
// runtime with it, and a controller wants one that is awake.
func (s *Session) welcome(c *Connection, a applicant, now time.Time) {
	switch a.role {
	case "lead":
		if s.lead != nil {
			s.lead.Out.End(outbox.Ending{Code: closeStaleDriver, Reason: "Newer driver connected"})
		}
		s.agent.quit(now)
		s.report.newLead()
		if !s.agent.taskGiven { // the lead is told of it
			s.agent.taskGiven = true
			s.report.expect(s.task)
		}
		s.lead, s.leadInstance = c, a.instance
		if a.instance != "" && !slices.Contains(s.drivers, a.instance) {
			s.drivers = append(s.drivers, a.instance)
		}
		s.leaveAll(func(p participant) bool { return p.Role == "lead" }, now)
		s.become(statusActive, now)
	case "controller":
		s.awake(now)
	}
}

// awake makes a session active that would become so by being looked at, and
// reports whether the session has a runtime.
func (s *Session) awake(now time.Time) bool {
	if _, soon := nextStatus[s.status]; soon {
		s.become(statusActive, now)
	}
	return s.row().runtime
}

func (a applicant) agentRole(s *Session) string {
	if a.agent == "" && a.role == "lead" {
		return s.agentName()
	}
	return a.agent
}

// initFor is the body of the message init.
func (w *World) initFor(s *Session, a applicant) map[string]any {
	init := map[string]any{"type": KindInit, "role": a.role, "sessionId": s.id}
	if s.label != "" {
		init["label"] = s.label
	}
	if a.asked != "lead" {
		return init
	}
	if s.task != "" {
		init["task"] = s.task
	}
	init["agentRole"] = a.agentRole(s)
	maps.Copy(init, w.leadInit)
	return init
}

// metadata is what the participant says about itself.
func (a applicant) metadata() map[string]any {
	metadata := map[string]any{"origin": a.origin}
	for _, name := range []string{"driverMode", "driverInstanceId", "driverVersion"} {
		if value := a.query.Get(name); value != "" {
			metadata[name] = value
		}
	}
	return metadata
}
