package coder

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"hash/maphash"
	"io"
	"time"

	"github.com/agentuity/coder-go/internal/agentrun"
	"github.com/agentuity/coder-go/internal/quote"
	"github.com/agentuity/coder-go/internal/transport"
)

var attemptFailures = [...]AttemptFailure{
	transport.None: "", transport.NeverSent: FailureNeverSent, transport.UnknownHost: FailureUnknownHost,
	transport.Untrusted: FailureUntrusted, transport.Unprocessed: FailureUnprocessed, transport.Lost: FailureLost,
	transport.Limited: FailureRateLimited, transport.Unavailable: FailureUnavailable, transport.TooLate: FailureTooLate,
	transport.Broken: FailureServerError, transport.Unusable: FailureUnusable, transport.Rejected: FailureRejected,
	transport.Ended: FailureEnded, transport.NoCredential: FailureNoCredential,
}

// observedCall is a call that the observer was told of. Nil is one that it was not.
type observedCall struct {
	end    func(CallResult) // nil: it was told of the end too
	began  time.Time
	secret quote.Redactor // for the id of the session, which a Hub may have made up
}

// observe tells the observer that a call begins. The context is not nil.
func (c *Client) observe(ctx context.Context, op, method, route, sessionID string) (context.Context, *observedCall) {
	if c.observer.Call == nil {
		return ctx, nil
	}
	began := time.Now()
	next, end := c.observer.Call(ctx, CallInfo{Operation: op, Method: method, Route: route, SessionID: c.secret.Line(sessionID)})
	if next == nil {
		next = ctx
	}
	return next, &observedCall{end, began, c.secret}
}

// over tells the observer that the call is over, once.
func (o *observedCall) over(result CallResult) {
	if o == nil || o.end == nil {
		return
	}
	end := o.end
	o.end = nil
	result.Duration = time.Since(o.began)
	result.SessionID = o.secret.Line(result.SessionID)
	end(result)
}

// errPanicked is what a call came to that a panic has ended.
var errPanicked = errors.New("coder: the call has not returned: a function of the program has panicked, or ended its goroutine")

// observed makes a call that is made of several others.
func observed[T any](ctx context.Context, c *Client, op, sessionID string, do func(context.Context) (*T, error)) (*T, error) {
	if c.observer.Call == nil || ctx == nil {
		return do(ctx)
	}
	ctx, call := c.observe(ctx, op, "", "", sessionID)
	told := CallResult{Err: errPanicked, SessionID: sessionID}
	defer func() { call.over(told) }()
	result, err := do(ctx)
	told.Err = err
	told.take(any(result), err)
	return result, err
}

// take takes from what a method returns what an observer may want to know.
func (r *CallResult) take(result any, err error) {
	var agent *AgentError
	if errors.As(err, &agent) {
		r.Answer = agent.Answer
	}
	var run *RunError
	if errors.As(err, &run) {
		r.SessionID = run.SessionID
	}
	var conn *HubConnError
	if r.SessionID == "" && errors.As(err, &conn) {
		r.SessionID = conn.SessionID
	}
	switch result := result.(type) {
	case *Answer:
		if result != nil {
			r.Answer = result
		}
	case *SessionResult:
		if result != nil {
			r.Session, r.SessionID = result, result.SessionID
		}
	case *EnsuredSession:
		if result != nil {
			r.SessionID = result.SessionID
		}
	case *HubConn:
		if result != nil {
			r.SessionID = result.SessionID()
		}
	}
}

// observe tells the observer that a message is about to be sent.
func (h *HubConn) observe(ctx context.Context, op string) (context.Context, *observedCall) {
	if h.client.observer.Call == nil {
		return ctx, nil
	}
	return h.client.observe(ctx, op, "", wsRoute, h.SessionID())
}

// over tells the observer what became of it.
func (h *HubConn) over(call *observedCall, err error) {
	if call != nil {
		call.over(CallResult{Err: err, SessionID: h.SessionID()})
	}
}

// wsRoute is the route of live connections.
const wsRoute = "/ws"

// connectionTeller tells the observer of one live connection. Nil: nobody wants to know.
type connectionTeller struct {
	ctx   context.Context
	tell  func(context.Context, ConnectionInfo)
	op    string
	route string
	since time.Time // it is there, or was until until; zero: it is not
	until time.Time
	lost  time.Time // it was there before; zero: it was not
	began bool      // an attempt was made
}

func (c *Client) connectionTeller(ctx context.Context, op, route string) *connectionTeller {
	if c.observer.Connection == nil {
		return nil
	}
	return &connectionTeller{ctx: context.WithoutCancel(ctx), tell: c.observer.Connection, op: op, route: route}
}

func (t *connectionTeller) send(change ConnectionChange, info ConnectionInfo) {
	info.Operation, info.Route, info.Change = t.op, t.route, change
	t.tell(t.ctx, info)
}

// there says that an attempt has succeeded.
func (t *connectionTeller) there(attempt int) {
	if t == nil {
		return
	}
	t.began, t.since, t.until = true, time.Now(), time.Time{}
	if t.lost.IsZero() {
		t.send(ConnectionOpened, ConnectionInfo{Attempt: attempt})
	} else {
		t.send(ConnectionBack, ConnectionInfo{Attempt: attempt, Down: t.since.Sub(t.lost)})
	}
}

// failed says that an attempt has failed.
func (t *connectionTeller) failed(attempt int, err error) {
	if t != nil {
		t.began = true
		t.send(ConnectionFailed, ConnectionInfo{Attempt: attempt, Err: err})
	}
}

// ends says that the connection, if there was one, has just ended.
func (t *connectionTeller) ends() {
	if t != nil && t.until.IsZero() {
		t.until = time.Now()
	}
}

// gone says that a connection which was there is to be opened again.
func (t *connectionTeller) gone(err error) {
	if t == nil || t.since.IsZero() {
		return
	}
	up := t.up()
	t.since, t.lost = time.Time{}, t.until
	t.send(ConnectionLost, ConnectionInfo{Err: err, Up: up})
}

// over says that there is nothing more to tell.
func (t *connectionTeller) over(err error) {
	if t != nil && t.began {
		t.ends()
		t.send(ConnectionOver, ConnectionInfo{Err: err, Up: t.up()})
	}
}

func (t *connectionTeller) up() time.Duration {
	if t.since.IsZero() {
		return 0
	}
	return max(t.until.Sub(t.since), 1)
}

// agentTeller tells the observer what an agent does, each thing once: what was heard may be read again from the history, and a
// history may have everything twice.
type agentTeller struct {
	ctx       context.Context
	tell      func(context.Context, AgentInfo) // nil: nobody wants to know
	op        string
	sessionID string
	told      map[uint64]bool // by digest: ids are the Hub's to choose, and may be megabytes
	seed      maphash.Seed
	open      map[string]bool // by the task: whether a run, or a turn, has begun or ended
	again     bool            // of what comes now, some may have been told
}

func (c *Client) agentTeller(ctx context.Context, op, sessionID string) *agentTeller {
	return &agentTeller{
		ctx: ctx, tell: c.observer.Agent, op: op, sessionID: c.secret.Line(sessionID), told: make(map[uint64]bool), open: make(map[string]bool), seed: maphash.MakeSeed(),
	}
}

// wants reports whether anybody wants to know.
func (t *agentTeller) wants() bool { return t != nil && t.tell != nil }

func (t *agentTeller) event(name EventName, payload []byte, taskID string, at time.Time) {
	name, payload = agentrun.Unwrap(name, payload)
	if name == EventSessionJoin || name == EventSessionLeave { // it is not the agent that does it
		return
	}
	event := decodeAgentEvent(name, payload)
	if t.isNew(event, taskID) {
		t.tell(t.ctx, AgentInfo{Operation: t.op, SessionID: t.sessionID, TaskID: taskID, Name: name, Event: event, At: at})
	}
}

// isNew reports whether an event was not told yet. Where that cannot be known, after a loss, it was.
func (t *agentTeller) isNew(event AgentEvent, taskID string) bool {
	if id := agentEventKey(event, taskID); id != "" {
		key := maphash.String(t.seed, id)
		before := t.told[key]
		t.told[key] = true
		return !before
	}
	if t.again {
		return false
	}
	what, begins := "", false
	switch event.(type) {
	case *AgentStart:
		what, begins = "run", true
	case *AgentEnd:
		what = "run"
	case *TurnStart:
		what, begins = "turn", true
	case *TurnEnd:
		what = "turn"
	default:
		return true
	}
	what += " " + taskID
	was, known := t.open[what]
	t.open[what] = begins
	return !known || was != begins
}

// agentEventKey tells events apart that happen once, "" for those that cannot be told apart.
func agentEventKey(event AgentEvent, taskID string) string {
	id := ""
	switch e := event.(type) {
	case *MessageStart:
		id = messageIdentity(&e.Message)
	case *MessageEnd:
		id = messageIdentity(&e.Message)
	case *ToolExecutionStart:
		id = e.ToolCallID
	case *ToolExecutionEnd:
		id = e.ToolCallID
	case *TaskStart:
		id = e.TaskID
	case *TaskComplete:
		id = e.TaskID
	case *TaskError:
		id = e.TaskID
	}
	if id == "" {
		return ""
	}
	return fmt.Sprintf("%T %s %s", event, taskID, id)
}

// messageIdentity tells messages apart: several can have the same time.
func messageIdentity(m *AgentMessage) string {
	if m.Timestamp.IsZero() {
		return ""
	}
	content := fnv.New64a()
	_, _ = io.WriteString(content, m.Content.Text())
	_, _ = io.WriteString(content, m.Content.Thinking())
	for _, call := range m.Content.ToolCalls() {
		_, _ = io.WriteString(content, call.ID)
	}
	return fmt.Sprintf("%s %d %s %x", m.Role, m.Timestamp.UnixMilli(), m.ToolCallID, content.Sum64())
}
