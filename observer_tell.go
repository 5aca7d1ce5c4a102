package coder

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/agentuity/coder-go/internal/agentrun"
	"github.com/agentuity/coder-go/internal/transport"
)

var attemptFailures = [...]AttemptFailure{
	transport.None: "", transport.NeverSent: FailureNeverSent, transport.UnknownHost: FailureUnknownHost,
	transport.Untrusted: FailureUntrusted, transport.Unprocessed: FailureUnprocessed, transport.Lost: FailureLost,
	transport.Limited: FailureRateLimited, transport.Unavailable: FailureUnavailable, transport.TooLate: FailureTooLate,
	transport.Broken: FailureServerError, transport.Unusable: FailureUnusable, transport.Rejected: FailureRejected,
	transport.Ended: FailureEnded, transport.NoCredential: FailureNoCredential,
}

// observedCall is a call that an observer was told of; the zero value is one that nobody was.
type observedCall struct {
	end   func(CallResult)
	began time.Time
}

// observe tells the observer that a call begins. The context is not nil.
func (c *Client) observe(ctx context.Context, op, method, route string) (context.Context, observedCall) {
	if c.observer.Call == nil {
		return ctx, observedCall{}
	}
	began := time.Now()
	next, end := c.observer.Call(ctx, CallInfo{Operation: op, Method: method, Route: route})
	if next == nil {
		next = ctx
	}
	return next, observedCall{end, began}
}

// over tells the observer that the call is over.
func (o observedCall) over(result CallResult) {
	if o.end == nil {
		return
	}
	result.Duration = time.Since(o.began)
	o.end(result)
}

// errPanicked is what a call came to that a panic has ended.
var errPanicked = errors.New("coder: a function of the program has panicked")

// observed makes a call that is made of several others.
func observed[T any](ctx context.Context, c *Client, op, sessionID string, do func(context.Context) (*T, error)) (*T, error) {
	if c.observer.Call == nil || ctx == nil {
		return do(ctx)
	}
	ctx, call := c.observe(ctx, op, "", "")
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
func (h *HubConn) observe(ctx context.Context, op string) (context.Context, observedCall) {
	return h.client.observe(ctx, op, "", wsRoute)
}

// over tells the observer what became of it.
func (h *HubConn) over(call observedCall, err error) {
	if call.end != nil {
		call.over(CallResult{Err: err, SessionID: h.SessionID()})
	}
}

// wsRoute is the route of live connections.
const wsRoute = "/ws"

// connectionTeller tells the observer of one live connection.
type connectionTeller struct {
	ctx   context.Context
	tell  func(context.Context, ConnectionInfo) // nil: nobody wants to know
	op    string
	route string
	since time.Time // it is there, or was until until; zero: it is not
	until time.Time
	lost  time.Time // it was there before; zero: it was not
	began bool      // an attempt was made
}

func (c *Client) connectionTeller(ctx context.Context, op, route string) *connectionTeller {
	return &connectionTeller{ctx: context.WithoutCancel(ctx), tell: c.observer.Connection, op: op, route: route}
}

func (t *connectionTeller) send(change ConnectionChange, info ConnectionInfo) {
	info.Operation, info.Route, info.Change = t.op, t.route, change
	t.tell(t.ctx, info)
}

// there says that an attempt has succeeded.
func (t *connectionTeller) there(attempt int) {
	if t.tell == nil {
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
	if t.tell != nil {
		t.began = true
		t.send(ConnectionFailed, ConnectionInfo{Attempt: attempt, Err: err})
	}
}

// ends says that the connection, if there was one, has just ended.
func (t *connectionTeller) ends() {
	if t.tell != nil && t.until.IsZero() {
		t.until = time.Now()
	}
}

// gone says that a connection which was there is to be opened again.
func (t *connectionTeller) gone(err error) {
	if t.tell == nil || t.since.IsZero() {
		return
	}
	up := t.up()
	t.since, t.lost = time.Time{}, t.until
	t.send(ConnectionLost, ConnectionInfo{Err: err, Up: up})
}

// over says that there is nothing more to tell.
func (t *connectionTeller) over(err error) {
	if t.tell != nil && t.began {
		t.send(ConnectionOver, ConnectionInfo{Err: err, Up: t.up()})
	}
}

func (t *connectionTeller) up() time.Duration {
	if t.since.IsZero() {
		return 0
	}
	return max(t.until.Sub(t.since), 1)
}

// agentTeller tells the observer what an agent does, each thing once: what was heard may be read again from the history.
type agentTeller struct {
	ctx       context.Context
	tell      func(context.Context, AgentInfo) // nil: nobody wants to know
	op        string
	sessionID string
	told      map[string]bool
	again     bool // of what comes now, some may have been told
}

func (c *Client) agentTeller(ctx context.Context, op, sessionID string) *agentTeller {
	return &agentTeller{ctx: ctx, tell: c.observer.Agent, op: op, sessionID: sessionID}
}

// wants reports whether anybody wants to know.
func (t *agentTeller) wants() bool { return t != nil && t.tell != nil }

func (t *agentTeller) event(name EventName, payload []byte, taskID string, at time.Time) {
	name, payload = agentrun.Unwrap(name, payload)
	event := decodeAgentEvent(name, payload)
	switch key := agentEventKey(event, taskID); {
	case key == "":
		if t.again {
			return
		}
	case t.told[key]:
		return
	default:
		if t.told == nil {
			t.told = make(map[string]bool)
		}
		t.told[key] = true
	}
	t.tell(t.ctx, AgentInfo{Operation: t.op, SessionID: t.sessionID, TaskID: taskID, Name: name, Event: event, At: at})
}

// agentEventKey tells events apart that happen once, "" for those that cannot be told apart.
func agentEventKey(event AgentEvent, taskID string) string {
	message := func(m *AgentMessage) string {
		if m.Timestamp.IsZero() {
			return ""
		}
		return m.Role + strconv.FormatInt(m.Timestamp.UnixMilli(), 10)
	}
	id := ""
	switch e := event.(type) {
	case *MessageStart:
		id = message(&e.Message)
	case *MessageEnd:
		id = message(&e.Message)
	case *ToolExecutionStart:
		id = e.ToolCallID
	case *ToolExecutionEnd:
		id = e.ToolCallID
	}
	if id == "" {
		return ""
	}
	return fmt.Sprintf("%T %s %s", event, taskID, id)
}
