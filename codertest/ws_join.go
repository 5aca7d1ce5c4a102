package codertest

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/agentuity/coder-go/codertest/internal/outbox"
)

// notice is a message of the Hub about the connection itself.
type notice struct {
	Type      string `json:"type"`
	Code      string `json:"code"`
	Message   string `json:"message"`
	SessionID string `json:"sessionId,omitzero"`
	ExpiredAt int64  `json:"expiredAt,omitzero"`
	Timestamp int64  `json:"timestamp"`
}

// turnedAway says why somebody cannot join and how the socket ends.
type turnedAway struct {
	notice notice // not sent if it has no type
	end    outbox.Ending
}

func rejected(code, message string, close int) *turnedAway {
	return &turnedAway{
		notice: notice{Type: "connection_rejected", Code: code, Message: message},
		end:    outbox.Ending{Code: close, Reason: message},
	}
}

func malformed(code, message string) *turnedAway {
	away := rejected(code, message, closeBadRequest)
	away.notice.Type = "protocol_error"
	return away
}

func closed(code int, reason string) *turnedAway {
	return &turnedAway{end: outbox.Ending{Code: code, Reason: reason}}
}

// turnAway ends a socket that has not joined.
func (s *socket) turnAway(why *turnedAway, now time.Time) {
	s.refused = true
	if why.notice.Type != "" {
		why.notice.Timestamp = now.UnixMilli()
		s.out.Put(outbox.Message{Kind: why.notice.Type, Body: encode(why.notice)})
	}
	s.out.End(why.end)
}

func (s *socket) refuseKey() {
	s.turnAway(rejected("auth_failed", "The API key is missing or invalid", closeAuthRequired), time.Now())
}

// applicant is who wants to join, as the query says.
type applicant struct {
	asked    string // role
	role     string // as the Hub has it
	session  string
	agent    string
	instance string // of a driver
	origin   string
}

func (s *socket) applicant() (applicant, *turnedAway) {
	a := applicant{
		asked:    s.query.Get("role"),
		session:  s.query.Get("sessionId"),
		agent:    s.query.Get("agent"),
		instance: s.query.Get("driverInstanceId"),
		origin:   cmp.Or(s.query.Get("origin"), "sdk"),
	}
	if a.asked == "" {
		a.asked = "observer"
		if a.origin == "tui" { // a driver in somebody's terminal does not say what it is
			a.asked = "lead"
		}
	}
	if !slices.Contains([]string{"lead", "observer", "controller"}, a.asked) {
		return a, malformed("invalid_role", "Role is not supported")
	}
	if mode := s.query.Get("driverMode"); mode != "" && mode != "rpc" {
		return a, malformed("invalid_driver_mode", "Driver mode is not supported")
	}
	a.role = a.asked
	if parent := s.query.Get("parent"); parent != "" && a.agent != "" && a.asked != "controller" {
		a.role = "sub_agent"
		a.session = cmp.Or(a.session, parent)
	}
	return a, nil
}

// kindInit is the first message to somebody who has joined.
const kindInit = "init"

// join lets the client into its session, or turns it away.
func (s *socket) join(now time.Time) {
	a, away := s.applicant()
	if away != nil {
		s.turnAway(away, now)
		return
	}
	joined, away := s.hub.placeFor(a)
	if away != nil {
		away.notice.SessionID = a.session
		s.turnAway(away, now)
		return
	}
	created := joined == nil
	if created {
		joined = s.create(a)
	}
	s.role = a.role
	s.follows = a.asked != "lead"
	s.filters = []string{}
	if a.role != "controller" {
		s.filters = parseFilters(s.query.Get("subscribe"))
	}
	s.out.Put(outbox.Message{Kind: kindInit, Body: encode(s.initFor(joined, a))})
	if a.asked == "observer" || a.asked == "lead" && !created {
		s.out.Put(joined.socketHydration(now))
	}
	s.ready = a.asked != "controller"
	joined.welcome(s.connection, a, now)
	joined.enter(s.connection, Participant{
		Role: a.role, Transport: "ws", AgentRole: a.agentRole(joined), Metadata: s.metadata(a),
	}, now)
}

// placeFor finds the session somebody wants to join; nil is a new one.
func (h *Hub) placeFor(a applicant) (*session, *turnedAway) {
	var s *session
	if a.session != "" {
		var err error
		if s, err = h.find(a.session); err != nil {
			return nil, closed(closeSessionNotFound, "Session not found")
		}
	}
	if r := h.refusal(s); r != nil {
		return nil, r.turnedAway()
	}
	switch {
	case s == nil:
		return nil, nil
	case s.row().historyOnly:
		away := rejected("session_expired", "Session has ended", closeSessionNotFound)
		away.notice.ExpiredAt = s.updatedAt.UnixMilli()
		return nil, away
	case a.role == "lead":
		away := s.leadConflict(a.instance)
		return s, away
	}
	return s, nil
}

func (r *refusal) turnedAway() *turnedAway {
	away := closed(r.CloseCode, r.Reason)
	if r.Code != "" {
		away.notice = notice{Type: "connection_rejected", Code: r.Code, Message: r.Message}
	}
	return away
}

// leadConflict says why somebody cannot be the lead. A driver may take the
// place of its own earlier connection; one that another driver has followed
// is stale.
func (s *session) leadConflict(instance string) *turnedAway {
	last := len(s.drivers) - 1
	switch i := slices.Index(s.drivers, instance); {
	case i >= 0 && i < last:
		return closed(closeStaleDriver, "Newer driver connected")
	case s.lead != nil && (instance == "" || s.leadInstance != instance):
		return rejected("session_active", "Another lead is connected", closeSessionActive)
	}
	return nil
}

// create makes the session of somebody who has named none.
func (s *socket) create(a applicant) *session {
	created := &session{label: s.query.Get("label"), task: s.query.Get("task"), kind: "interactive"}
	s.hub.begin(created, loopConfig{})
	if a.role == "lead" {
		created.mode = "tui"
	}
	return created
}

// welcome makes the session ready for whom it gets: a lead brings the runtime
// with it, and a controller wants one that is awake.
func (s *session) welcome(c *connection, a applicant, now time.Time) {
	switch a.role {
	case "lead":
		if s.lead != nil {
			s.lead.out.End(outbox.Ending{Code: closeStaleDriver, Reason: "Newer driver connected"})
		}
		s.agent.abort(s, now)
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

// awake finishes what is only a matter of being looked at, and reports whether
// the session has a runtime.
func (s *session) awake(now time.Time) bool {
	if _, soon := nextStatus[s.status]; soon {
		s.become(statusActive, now)
	}
	return s.row().runtime
}

func (a applicant) agentRole(s *session) string {
	if a.agent == "" && a.role == "lead" {
		return s.leadAgent()
	}
	return a.agent
}

// initFor is the first message to somebody who has joined.
func (s *socket) initFor(joined *session, a applicant) map[string]any {
	init := map[string]any{"type": "init", "role": a.role, "sessionId": joined.id}
	if joined.label != "" {
		init["label"] = joined.label
	}
	if a.asked != "lead" {
		return init
	}
	if joined.task != "" {
		init["task"] = joined.task
	}
	init["agentRole"] = a.agentRole(joined)
	maps.Copy(init, s.hub.init)
	return init
}

// metadata is what a participant says about itself.
func (s *socket) metadata(a applicant) map[string]any {
	metadata := map[string]any{"origin": a.origin}
	for _, name := range []string{"driverMode", "driverInstanceId", "driverVersion"} {
		if value := s.query.Get(name); value != "" {
			metadata[name] = value
		}
	}
	return metadata
}
