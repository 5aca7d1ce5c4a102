package coder

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/agentuity/coder-go/internal/poll"
	"github.com/agentuity/coder-go/internal/quote"
	"github.com/agentuity/coder-go/internal/transport"
)

// WaitForSessionOptions says how often [Client.WaitForSession] polls, and when it gives up.
type WaitForSessionOptions struct {
	// PollInterval is the shortest time between the beginnings of two polls. Default: 2 s.
	PollInterval time.Duration
	// MaxPollInterval is the longest time between two polls, which is reached while nothing changes. Default:
	// 15 s, and at least PollInterval.
	MaxPollInterval time.Duration
	// StallTimeout ends the wait: with OutcomeStalled when nothing has changed for that long, with an error
	// when the Hub has not responded for that long. Default: 10 min. Negative: never.
	StallTimeout time.Duration
	// AfterEvent makes the wait ignore events with this id or a smaller one, so that a wait after a prompt does not
	// end with the answer to the prompt before: take the id of the newest event of the history before you send the
	// prompt. The agent must be idle then: work that it has not finished ends after that event, and ends the wait.
	// [HubConn.Ask] and [Client.Answer] tell one answer from the other. Status, flags and loop are not affected.
	// Default: all events count.
	AfterEvent int
	// Follow also opens the session's event stream, which says when to poll. The outcome is then known within moments of
	// the event that decides it, or as soon as the rules are certain of it, and polls are MaxPollInterval apart while
	// nothing happens. If there is no stream, the wait polls as it does without Follow.
	Follow bool
	// OnPoll is called with the session after each poll that returned it, before the next one begins.
	OnPoll func(*Session)
}

// complete checks the options and fills in the defaults.
func (o *WaitForSessionOptions) complete() error {
	switch {
	case o.PollInterval < 0:
		return invalid(waitOp, "PollInterval", "must not be negative")
	case o.MaxPollInterval < 0:
		return invalid(waitOp, "MaxPollInterval", "must not be negative")
	case o.AfterEvent < 0:
		return invalid(waitOp, "AfterEvent", "must not be negative")
	}
	o.PollInterval = cmp.Or(o.PollInterval, 2*time.Second)
	o.MaxPollInterval = cmp.Or(o.MaxPollInterval, 15*time.Second)
	o.StallTimeout = cmp.Or(o.StallTimeout, 10*time.Minute)
	return nil
}

// WaitError says why a wait ended without an outcome: the context ended, the Hub refused a request, or the
// Hub sent no response for too long. Err says which.
type WaitError struct {
	// Session and Loop are as last seen, nil if they were not seen.
	Session *Session
	Loop    *SessionLoopState
	// Err is the error that ended the wait.
	Err error

	secret quote.Redactor
}

// Error says what ended the wait, and how the session was last seen.
func (e *WaitError) Error() string {
	switch {
	case e.Session == nil:
		return e.Err.Error()
	case e.Loop != nil:
		return fmt.Sprintf("%v; last seen: status %s, loop %s", e.Err, e.secret.Line(e.Session.Status), e.secret.Line(string(e.Loop.Status)))
	default:
		return fmt.Sprintf("%v; last seen: status %s", e.Err, e.secret.Line(e.Session.Status))
	}
}

// Unwrap returns the cause.
func (e *WaitError) Unwrap() error { return e.Err }

const waitOp = "WaitForSession"

// WaitForSession polls a session until it is over, has failed, is done, cannot go on by itself, or nothing
// happens any more. See [OutcomeKind]. No single member says so: the outcome is concluded from status, bucket
// and flags, the state of the loop and the end of the event history, and holds the evidence. Every outcome
// except a stall must be seen in two polls before it is returned.
//
// The events of the agent show when a prompt is over, and how it ended. An [*AgentEnd] alone does not, since a model
// that fails is called again, and a full conversation is compacted first. So a complete answer is known one second
// after its end, and an error when no other attempt can follow: after 15 s, or longer if the agent's waits are
// longer. The age of an event that existed before the wait follows from the clock of the Hub and the Date of its
// responses. An event that comes later is never taken for older than it is, whatever the clocks of the Hub and of
// gateways say.
//
// Nil options mean the defaults of [WaitForSessionOptions]. A poll makes one request for the session, one for the
// newest 3 events of its history, more for older events if those do not decide and, in loop mode, one for the loop.
// Polls begin PollInterval apart and become rarer while nothing changes, and while the events are large. After a
// minute without a change one poll reads 50 events: a question may be among them. Transient failures do not end the
// wait: a network that fails, the statuses 408, 425, 429 and 5xx except 501, responses that cannot be used. A
// Retry-After is respected. Time without a response of the Hub does not count as a stall.
//
// Errors: [*ValidationError] for the arguments; an error that matches [ErrSessionNotFound] if the first response says that
// there is no such session; otherwise a [*WaitError], which holds the session as last seen. These end the wait with a
// WaitError: the end of the context, at once; every status that is neither 2xx nor transient, such as 401 or 403, but a
// later 404 means [OutcomeDeleted]; a 401, 402 or 403 to the request for the history, unless the loop says more; a
// certificate that is not trusted; and a Hub that sends no response for StallTimeout, or asks to wait longer than what is
// left of StallTimeout.
//
// GET /hub/session/{sessionId}, GET /hub/session/{sessionId}/events/history,
// GET /hub/session/{sessionId}/loop; with Follow also GET /hub/session/{sessionId}/events
func (c *Client) WaitForSession(ctx context.Context, sessionID string, options *WaitForSessionOptions) (*SessionOutcome, error) {
	if ctx == nil {
		return nil, noContext(waitOp)
	}
	var o WaitForSessionOptions
	if options != nil {
		o = *options
	}
	if err := o.complete(); err != nil {
		return nil, err
	}
	w := waiter{
		looker:   looker{client: c, op: waitOp, sessionID: sessionID, attempts: 1, after: o.AfterEvent}, // the next look is the next attempt
		options:  o,
		detail:   get(waitOp, "/hub/session/{sessionID}", sessionID),
		answered: time.Now(),
	}
	w.detail.attempts = 1
	if err := w.detail.check(); err != nil {
		return nil, err
	}
	return observed(ctx, c, waitOp, sessionID, w.run)
}

// CheckSession looks at a session once and says how it is doing, by the rules of [Client.WaitForSession]. As long as
// nothing is certain, the outcome is [OutcomeWorking]: the agent may try again, or the session was never given a prompt.
// CheckSession does not look again to confirm an outcome, and cannot tell a session that stalls from one at work. It
// reads the newest 1,000 events at most: what ended before these is not seen. It relies on the clocks of the Hub and of
// gateways. With a clock that is ahead it may report an error as final although the agent will try again; with a clock
// that is behind it reports outcomes late. If the Hub does not say when it stored an event, the event counts from 10
// minutes after it happened.
//
// Errors are those of [Client.GetSession], also for the requests for history and loop, which the outcome
// depends on. A 404 for these two only is no error, since a Hub may not have these routes.
//
// GET /hub/session/{sessionId}, GET /hub/session/{sessionId}/events/history,
// GET /hub/session/{sessionId}/loop
func (c *Client) CheckSession(ctx context.Context, sessionID string) (*SessionOutcome, error) {
	const op = "CheckSession"
	look := get(op, "/hub/session/{sessionID}", sessionID)
	if err := look.check(); err != nil {
		return nil, err
	}
	if ctx == nil {
		return nil, noContext(op)
	}
	return observed(ctx, c, op, sessionID, func(ctx context.Context) (*SessionOutcome, error) {
		session, err := call[Session](ctx, c, look)
		if err != nil {
			return nil, err
		}
		return c.checkSession(ctx, op, session)
	})
}

// checkSession is CheckSession for a session that was read.
func (c *Client) checkSession(ctx context.Context, op string, session *Session) (*SessionOutcome, error) {
	l := looker{client: c, op: op, sessionID: session.SessionID}
	o := l.around(ctx, session, 0)
	for _, err := range []error{l.history.err, l.loop.err} {
		if err != nil && !errors.Is(err, ErrNotFound) {
			return nil, err
		}
	}
	kind, evidence := o.decide()
	if kind == "" {
		kind, evidence = OutcomeWorking, o.undecided()
	}
	return o.outcome(c, kind, evidence), nil
}

// waiter is one call of WaitForSession.
type waiter struct {
	looker
	options WaitForSessionOptions
	detail  *request

	session *Session          // as last seen
	state   *SessionLoopState // as last seen
	last    *observation      // the last one that had read the history
	vitals  vitals            // the same, and the history, as far as they show life
	pending OutcomeKind       // what the look before has shown, and another has to confirm
	outcome *SessionOutcome

	began    time.Time     // the look before
	failure  error         // of the look before
	refusal  error         // the same, of the history
	answered time.Time     // the last look that the Hub answered, or the beginning
	quiet    time.Duration // observed without a change
}

// vitals are the signs of life of a session. They can be compared.
type vitals struct {
	status          string
	bucket          SessionBucket
	runtime         bool
	control         bool
	manage          bool
	wake            bool
	historyOnly     bool
	live            bool
	active, updated int64
	loopStatus      LoopStatus
	loopIteration   int
	loop            SessionLoopState
	event           int
}

func (w *waiter) run(ctx context.Context) (*SessionOutcome, error) {
	every := poll.Poll{Interval: w.options.PollInterval, MaxInterval: w.options.MaxPollInterval, AtOnce: true}
	if w.options.Follow {
		bell, stop := w.client.listen(ctx, w.sessionID, false)
		defer stop()
		every.Bell = &poll.Bell{Rings: bell.rings, Listens: func() bool { return !bell.silent() }, Pause: followPause}
	}
	err := every.Run(ctx, w.look)
	switch {
	case err == nil:
		return w.outcome, nil
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		err = w.detail.requestError(SentUnknown, contextError(ctx, ctx.Err(), w.failure))
	case w.session == nil && errors.Is(err, ErrSessionNotFound):
		return nil, err
	}
	return nil, &WaitError{Session: w.session, Loop: w.state, Err: err, secret: w.client.secret}
}

// followPause is the least time between two polls that the stream asks for, or that confirm an outcome.
const followPause = 200 * time.Millisecond

// look asks the Hub once how things are.
func (w *waiter) look(ctx context.Context) (poll.Sight, error) {
	now := time.Now()
	if !w.began.IsZero() && w.failure == nil {
		w.quiet += now.Sub(w.began)
	}
	w.began = now
	session, err := w.detailOf(ctx)
	switch {
	case err == nil:
		sight := w.judge(w.around(ctx, session, w.least()))
		before := w.refusal
		w.refusal = w.refused()
		if w.pending == "" && !sight.Done && before != nil {
			return sight, w.refusal
		}
		return sight, nil
	case ctx.Err() != nil: // run returns the error
		return poll.Sight{}, err
	case w.session != nil && errors.Is(err, ErrSessionNotFound):
		return w.judge(&observation{session: w.session, gone: true}), nil
	default:
		return w.missed(err)
	}
}

// quietFor is how long nothing changes before a look reads more than the newest events: a tool may have asked something
// while another one went on talking.
const quietFor = time.Minute

// least is how many events a look reads at least.
func (w *waiter) least() int {
	if w.quiet >= quietFor || w.options.StallTimeout > 0 && w.quiet >= w.options.StallTimeout {
		return 50
	}
	return 0
}

// detailOf reads the session. A Hub that accepts and does not answer costs a look at most asideLimit, and
// never more than is left of StallTimeout.
func (w *waiter) detailOf(ctx context.Context) (*Session, error) {
	limit, silent := asideLimit, asideLimit
	if w.options.StallTimeout > 0 {
		end := w.answered.Add(w.options.StallTimeout)
		held, cancel := context.WithDeadline(ctx, end)
		defer cancel()
		w.client.gate.Call(held)                                    // to wait because of others is not part of the look
		if limit = lookLimit(time.Until(end)); limit < asideLimit { // which ends the wait
			silent = w.options.StallTimeout
		}
	} else {
		w.client.gate.Call(ctx)
	}
	look, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	session, err := call[Session](look, w.client, w.detail)
	if err != nil && look.Err() != nil && ctx.Err() == nil {
		err = w.detail.requestError(SentUnknown, fmt.Errorf("the Hub has not answered for %v", silent))
	}
	return session, err
}

// lookLimit is how long a request of a watcher may take that has so much time left. The last one has a
// second, so that it can be answered at all.
func lookLimit(left time.Duration) time.Duration { return min(asideLimit, max(left, time.Second)) }

// missed rides out a look that got no answer, as long as there is hope.
func (w *waiter) missed(err error) (poll.Sight, error) {
	w.failure = err
	asked := retryAfter(err)
	left := w.options.StallTimeout - time.Since(w.answered)
	// An answer that cannot be used may be a gateway's, in the time of a restart.
	failure := failureOf(err)
	hopeless := failure.Permanent() || failure == transport.NoCredential && w.session == nil
	if hopeless || w.options.StallTimeout > 0 && asked >= left {
		return poll.Sight{}, err
	}
	return poll.Sight{Wait: asked}, nil
}

// refused is why the Hub does not tell how the agent is doing, if this key will never be told: two looks in a row end the
// wait. Where there is no history, or a loop tells more, the wait goes on.
func (w *waiter) refused() error {
	err := w.history.err
	if w.state == nil && (errors.Is(err, ErrUnauthorized) || errors.Is(err, ErrPaymentRequired) || errors.Is(err, ErrForbidden)) {
		return err
	}
	return nil
}

// bytesPerSecond is how much of a history the looks read on average: the events of an agent can be a megabyte each.
const bytesPerSecond = 256 << 10

// judge draws the conclusion from a look that was answered.
func (w *waiter) judge(o *observation) poll.Sight {
	w.failure, w.answered = nil, time.Now()
	changed := w.remember(o)
	if !o.gone && w.options.OnPoll != nil {
		w.options.OnPoll(o.session)
	}
	kind, evidence := o.decide()
	switch {
	case kind != "" && kind == w.pending:
		w.conclude(o, kind, evidence)
	case kind == "" && w.options.StallTimeout > 0 && w.quiet >= w.options.StallTimeout:
		w.conclude(o, OutcomeStalled, o.stalled(w.quiet))
	}
	if kind != "" || !o.partial { // what was not answered refutes nothing
		changed = changed || kind != w.pending
		w.pending = kind
	}
	sight := poll.Sight{Done: w.outcome != nil, Changed: changed}
	if !o.agent.Until.IsZero() {
		sight.Due = o.agent.Until.Sub(o.now)
	}
	if w.options.Follow && w.pending != "" {
		sight.Due = followPause
	}
	sight.Wait = min(w.options.MaxPollInterval, time.Duration(o.read)*time.Second/bytesPerSecond)
	return sight
}

func (w *waiter) conclude(o *observation, kind OutcomeKind, evidence []string) {
	o.loop = w.state
	if w.last != nil {
		o.run, o.agent, o.asked, o.now = w.last.run, w.last.agent, w.last.asked, w.last.now
	}
	w.outcome = o.outcome(w.client, kind, evidence)
}

// remember keeps what a look has shown, and reports whether anything has changed. What it has not
// shown has not changed.
func (w *waiter) remember(o *observation) bool {
	w.session = o.session
	v := w.vitals
	s := o.session
	v.status, v.bucket = s.Status, s.Bucket
	v.runtime, v.control, v.manage, v.wake = s.RuntimeAvailable, s.ControlAvailable, s.ManageAvailable, s.WakeAvailable
	v.historyOnly, v.live = s.HistoryOnly, s.LiveExpected
	v.active, v.updated = s.LastActivityAt.UnixNano(), s.UpdatedAt.UnixNano()
	v.loopStatus, v.loopIteration = s.LoopStatus, s.LoopIteration
	if o.loop != nil {
		w.state = o.loop
		v.loop = *o.loop
		v.loop.MaxIterations, v.loop.AutoContinue, v.loop.AllowDetached = nil, nil, nil
	}
	if o.events != nil && (!o.unsure || w.last == nil) {
		w.last = o
	}
	if o.newest > 0 {
		v.event = o.newest
	}
	changed := v != w.vitals
	if changed {
		w.vitals, w.quiet = v, 0
	}
	return changed
}

// stalled is the evidence of a stall, with where it happened.
func (o *observation) stalled(quiet time.Duration) (r readings) {
	r.add(true, "nothing has changed for %v", quiet.Round(time.Second))
	return append(r, o.undecided()...)
}

// undecided says how a session is doing that has come to nothing.
func (o *observation) undecided() (r readings) {
	r.add(true, "status is %s", o.session.Status)
	for _, loop := range o.loopReadings() {
		r.add(true, "%s", loop.text)
	}
	r.add(o.agent.Reason != "", "%s", o.agent.Reason)
	r.add(len(o.events) > 0, "%s is the newest", o.event(0))
	return r
}

// retryAfter returns how long the Hub asked to wait, 0 if it did not.
func retryAfter(err error) time.Duration {
	var api *APIError
	if errors.As(err, &api) {
		return api.RetryAfter
	}
	return 0
}
