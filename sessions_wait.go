package coder

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/agentuity/coder-go/internal/poll"
	"github.com/agentuity/coder-go/internal/quote"
	"github.com/agentuity/coder-go/internal/route"
)

// WaitForSessionOptions says how often [Client.WaitForSession] polls, and when it gives up.
type WaitForSessionOptions struct {
	// PollInterval is the shortest time between two polls. Default: 2 s.
	PollInterval time.Duration
	// MaxPollInterval is what the time between two polls grows to while nothing changes. Default: 15 s, and
	// at least PollInterval.
	MaxPollInterval time.Duration
	// StallTimeout ends the wait: with OutcomeStalled when nothing has changed for so long, with an error
	// when the Hub has not answered for so long. Default: 10 min. Negative: never.
	StallTimeout time.Duration
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
	}
	o.PollInterval = cmp.Or(o.PollInterval, 2*time.Second)
	o.MaxPollInterval = cmp.Or(o.MaxPollInterval, 15*time.Second)
	o.StallTimeout = cmp.Or(o.StallTimeout, 10*time.Minute)
	return nil
}

// OutcomeKind says why a wait for a session is over.
type OutcomeKind string

// The kinds of outcomes. Of several that apply the first one in this list is returned, except
// that a session that was shut down is OutcomeArchived only where no other down to
// OutcomeBlocked applies.
const (
	OutcomeDeleted    OutcomeKind = "deleted"     // it no longer exists
	OutcomeArchived   OutcomeKind = "archived"    // it is over: archived, shut down or history only
	OutcomeFailed     OutcomeKind = "failed"      // it, or its loop, ended with an error
	OutcomeCompleted  OutcomeKind = "completed"   // it, or its loop, did what it was to do
	OutcomeCancelled  OutcomeKind = "cancelled"   // somebody cancelled its loop
	OutcomeBlocked    OutcomeKind = "blocked"     // its loop cannot go on by itself
	OutcomeNeedsInput OutcomeKind = "needs_input" // it waits for the next prompt, or for an answer
	OutcomePaused     OutcomeKind = "paused"      // it sleeps, and no wake-up is under way
	OutcomeStalled    OutcomeKind = "stalled"     // nothing has changed for StallTimeout
)

// SessionOutcome is what came of waiting for a session.
type SessionOutcome struct {
	// Kind says why there is nothing left to wait for.
	Kind OutcomeKind
	// Session and Loop are as last seen. Loop is nil if there is none, or the Hub did not say.
	Session *Session
	Loop    *SessionLoopState
	// Evidence says in words what Kind was concluded from, such as "loop status is completed".
	// It is for people, and may be worded differently in another version.
	Evidence []string
}

// WaitError is the end of a wait without an outcome: the context ended, the Hub refused, or gave
// no answer for too long. It wraps the error that says which.
type WaitError struct {
	// Session and Loop are as last seen, nil if they were not.
	Session *Session
	Loop    *SessionLoopState
	// Err tells what ended the wait.
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

const (
	waitOp = "WaitForSession"
	// waitTail is how many events of the history a look reads.
	waitTail = 50
	// waitAside is the time that each request of a look has. Without history and loop a look goes on.
	waitAside = 30 * time.Second
)

// WaitForSession polls a session until it is over, has failed, is done, cannot go on by itself, or
// nothing happens any more. See [OutcomeKind]. No single member tells that: it is concluded from status,
// bucket and flags, the state of the loop and the end of the event history, and the outcome has the
// evidence. Everything but a stall must be seen in two polls before it is believed.
//
// Nil options wait as [WaitForSessionOptions] says. A poll is one request each for the session, its history
// and, in loop mode, its loop. Polls begin PollInterval apart and become rarer while nothing
// changes. Transient failures do not end the wait: a network that fails, the statuses 408, 425, 429
// and 5xx but 501, answers that cannot be used. A Retry-After is respected. Time in which the Hub
// gave no answer is no stall.
//
// Errors: [*ValidationError] for the arguments; one that matches [ErrSessionNotFound] if the first
// answer is that there is no such session; otherwise a [*WaitError], which holds the session as
// last seen: for the end of the context, which ends the wait at once; for every other answer than
// 2xx, such as 401 or 403; for a certificate that is not trusted; and for a Hub that gives no
// answer for StallTimeout, or asks for a longer time than is left of that.
//
// GET /hub/session/{sessionId}, GET /hub/session/{sessionId}/events/history,
// GET /hub/session/{sessionId}/loop
func (c *Client) WaitForSession(ctx context.Context, sessionID string, options *WaitForSessionOptions) (*SessionOutcome, error) {
	var o WaitForSessionOptions
	if options != nil {
		o = *options
	}
	if err := o.complete(); err != nil {
		return nil, err
	}
	w := waiter{
		client:  c,
		options: o,
		detail:  get(waitOp, "/hub/session/{sessionID}", sessionID),
		history: aside{request: get(waitOp, "/hub/session/{sessionID}/events/history", sessionID).
			with(new(route.Query).Int("limit", waitTail))},
		loop:     aside{request: get(waitOp, "/hub/session/{sessionID}/loop", sessionID)},
		answered: time.Now(),
	}
	if err := w.detail.check(); err != nil {
		return nil, err
	}
	for _, r := range []*request{w.detail, w.history.request, w.loop.request} {
		r.attempts = 1 // the next look is the next attempt
	}
	return w.run(ctx)
}

// waiter is one call of WaitForSession.
type waiter struct {
	client        *Client
	options       WaitForSessionOptions
	detail        *request
	history, loop aside

	session *Session          // as last seen
	state   *SessionLoopState // as last seen
	vitals  vitals            // the same, and the history, as far as they show life
	pending OutcomeKind       // what the look before has shown, and another has to confirm
	outcome *SessionOutcome

	began    time.Time     // the look before
	failure  error         // of the look before
	answered time.Time     // the last look that the Hub answered, or the beginning
	quiet    time.Duration // observed without a change
}

// aside is a request of a look that may fail alone.
type aside struct {
	request   *request
	notBefore time.Time // from the last answer's Retry-After
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
		return w.judge(w.observe(ctx, session)), nil
	case ctx.Err() != nil: // run returns the error
		return poll.Sight{}, err
	case w.session != nil && errors.Is(err, ErrSessionNotFound):
		return w.judge(&observation{session: w.session, gone: true}), nil
	default:
		return w.missed(err)
	}
}

// detailOf reads the session. A Hub that accepts and does not answer costs a look at most waitAside, and
// never more than is left of StallTimeout.
func (w *waiter) detailOf(ctx context.Context) (*Session, error) {
	limit := waitAside
	if w.options.StallTimeout > 0 {
		limit = lookLimit(w.options.StallTimeout - time.Since(w.answered))
	}
	look, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	session, err := call[Session](look, w.client, w.detail)
	if err != nil && look.Err() != nil && ctx.Err() == nil {
		err = w.detail.requestError(SentUnknown, fmt.Errorf("the Hub has not answered for %v", limit.Round(time.Millisecond)))
	}
	return session, err
}

// lookLimit is how long a request of a watcher may take that has so much time left. The last one has a
// second, so that it can be answered at all.
func lookLimit(left time.Duration) time.Duration { return min(waitAside, max(left, time.Second)) }

// missed rides out a look that got no answer, as long as there is hope.
func (w *waiter) missed(err error) (poll.Sight, error) {
	w.failure = err
	asked := retryAfter(err)
	left := w.options.StallTimeout - time.Since(w.answered)
	// An answer that cannot be used may be a gateway's, in the time of a restart.
	hopeless := failureOf(err).Permanent()
	if hopeless || w.options.StallTimeout > 0 && asked >= left {
		return poll.Sight{}, err
	}
	return poll.Sight{Wait: asked}, nil
}

// observe reads what there is besides the session itself.
func (w *waiter) observe(ctx context.Context, session *Session) *observation {
	o := &observation{session: session}
	history := readAside[SessionEventHistory](ctx, w.client, &w.history)
	if history != nil {
		o.events = history.Events
		slices.SortFunc(o.events, func(a, b SessionEvent) int { return cmp.Compare(b.ID, a.ID) })
	}
	o.partial = history == nil
	if o.inLoop() {
		state := readAside[LoopStateResponse](ctx, w.client, &w.loop)
		if state != nil {
			o.loop = state.Loop
		}
		o.partial = o.partial || state == nil
	}
	return o
}

// readAside returns nil if the Hub does not say.
func readAside[T any, P checked[T]](ctx context.Context, c *Client, a *aside) *T {
	if time.Now().Before(a.notBefore) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, waitAside)
	defer cancel()
	answer, err := call[T, P](ctx, c, a.request)
	a.notBefore = time.Now().Add(retryAfter(err))
	return answer
}

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
		w.conclude(kind, evidence)
	case kind == "" && w.options.StallTimeout > 0 && w.quiet >= w.options.StallTimeout:
		w.conclude(OutcomeStalled, o.stalled(w.quiet))
	}
	if kind != "" || !o.partial { // what was not answered refutes nothing
		changed = changed || kind != w.pending
		w.pending = kind
	}
	return poll.Sight{Done: w.outcome != nil, Changed: changed}
}

func (w *waiter) conclude(kind OutcomeKind, evidence []string) {
	for i := range evidence {
		evidence[i] = w.client.secret.Line(evidence[i])
	}
	w.outcome = &SessionOutcome{Kind: kind, Session: w.session, Loop: w.state, Evidence: evidence}
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
	if len(o.events) > 0 {
		v.event = o.events[0].ID
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
	r.add(true, "status is %s", o.session.Status)
	for _, loop := range o.loopReadings() {
		r.add(true, "%s", loop.text)
	}
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
