package coder

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/agentuity/coder-go/internal/agentrun"
	"github.com/agentuity/coder-go/internal/backoff"
	"github.com/agentuity/coder-go/internal/quote"
)

// RunSessionOptions says what [Client.RunSession] does about lost responses, stalls, limits and the end of
// its context.
type RunSessionOptions struct {
	// RepostAfter and LookupWindow are those of [EnsureSessionOptions], but RepostAfter is 10 s by default: a create of
	// unknown outcome is repeated when the Hub has answered lookups for that long and no session has shown up. If the first
	// create was only slow, two sessions exist then. Negative: never.
	RepostAfter  time.Duration
	LookupWindow time.Duration
	// Once returns the result of a session with the key that is over, whatever came of it. Default: a session that was
	// archived or cancelled or has failed, and has not done its task, is passed over, and another one is created. A job
	// RepostAfter is then negative by default.
	Once bool
	// StallTimeout is that of [WaitForSessionOptions]. Default: 10 min. Negative: never.
	StallTimeout time.Duration
	// ArchiveOnCancel archives the session with the key when the context ends, even if an earlier call has created it. It is
	// for programs that end with Ctrl-C and must leave nothing running. The call then takes up to 30 s longer. If the
	// context has ended before the call, nothing is archived. Default: the session goes on, and a call with the same key
	// finds it again.
	ArchiveOnCancel bool
	// ArchiveOnStall archives a session that has stalled.
	ArchiveOnStall bool
	// Limits apply to the whole session: the agent is aborted when it goes beyond one of them, and the outcome is then
	// OutcomeLimited. What was spent before this call counts too. Default: none.
	Limits Limits
	// Count reads the whole history of the session for SessionResult.Spent, which costs requests. With Limits it is read anyway.
	Count bool
	// OnSession is called with the id of the session when it is found or created, before the wait: to store the id where it
	// survives the program, or to show it.
	OnSession func(sessionID string, created bool)
	// OnPoll is called with the session after each poll that returned it, before the next one begins.
	OnPoll func(*Session)
}

// SessionResult is the result of [Client.RunSession].
type SessionResult struct {
	// SessionID is the session.
	SessionID string
	// Created says that this call has created it.
	Created bool
	// Outcome says how it ended. It is never nil.
	Outcome *SessionOutcome
	// Answer is the last text of the agent, without thoughts. If the outcome is no success, it need not be an answer to
	// the task.
	Answer string
	// Usage is what the session has used, nil if the Hub does not say.
	Usage *SessionUsage
	// Spent is what the agents of the session have spent. It is nil without Count and Limits, and if the history could
	// not be read.
	Spent *Spent
	// NotEnforced names the limits that could not be enforced since the agent does not report the figures:
	// "CostUSD" or "Tokens".
	NotEnforced []string
}

// RunError says why [Client.RunSession] ended without a result. The session may still be at work: call again with
// the key.
type RunError struct {
	// Key is the key that RunSession was called with.
	Key string
	// SessionID is the session, empty if it is not known.
	SessionID string
	// Archived says that the session was archived because ArchiveOnCancel is set.
	Archived bool
	// Outcome is how the session ended, if only its answer could not be read or it could not be archived. Nil: not known.
	Outcome *SessionOutcome
	// Spent is what was counted before the error. It is nil without Count and Limits.
	Spent *Spent
	// Err is the cause, such as the error of EnsureSession or WaitForSession, or why the agent could not be
	// aborted.
	Err error

	secret quote.Redactor
}

// Error says what ended the run.
func (e *RunError) Error() string {
	text := "coder: " + runOp + ": " + strings.TrimPrefix(innerText(e.Err), "coder: ")
	if e.SessionID != "" {
		text += "; session " + e.secret.Line(e.SessionID)
		if e.Archived {
			text += " was archived"
		}
	}
	return text + "; key " + e.secret.Line(e.Key)
}

// Unwrap returns the cause.
func (e *RunError) Unwrap() error { return e.Err }

const runOp = "RunSession"

// RunSession gives an agent a task and returns the result. It finds the session with this key or creates one, as
// [Client.EnsureSession] does, waits for it as [Client.WaitForSession] does with Follow, and reads what the agent said. It
// is for callers that may run twice for one job, such as workers of a job queue: the key names the job. The request counts
// only when the session is created: with the same key and another task the result is that of the first task.
//
// When the context ends, the session goes on, so that a deployment does not destroy an hour of work: a call with the same
// key finds the session again, in this process or another. If the session found is archived, failed or cancelled and has
// not done its task, another one is created, unless Once is set. A session that is done, waits for input, was aborted or went beyond a limit
// is never run again: its result is returned. To do the job again with the same key, delete that session first; if it has
// not done its task, it is enough to archive it.
//
// A session that has stalled is waited for again, unless ArchiveOnStall has archived it. While the Hub is away the session
// is looked for, or created, for some 4 min; the context can end that earlier.
//
// An outcome that is no success is not an error: check Outcome.Succeeded.
//
// Errors: [*ValidationError]; otherwise a [*RunError] with the key. It matches [ErrOutcomeUnknown] if it is not known
// whether the session was created, and [ErrLimitExceeded] if the agent goes on for a minute after it was aborted for
// a limit; otherwise it wraps the error of the step that failed, such as one of EnsureSession or WaitForSession. If
// [IsTransient] is true for it, the same call may be made again.
//
// The routes are those of EnsureSession and WaitForSession; POST /hub/session/{sessionId}/archive; with Limits those of
// [Client.WatchEvents] and [Client.Attach]
func (c *Client) RunSession(ctx context.Context, key string, body CreateSessionRequest, options *RunSessionOptions) (*SessionResult, error) {
	var o RunSessionOptions
	if options != nil {
		o = *options
	}
	if err := o.Limits.check(runOp); err != nil {
		return nil, err
	}
	if o.Once && o.RepostAfter == 0 {
		o.RepostAfter = -1
	}
	o.RepostAfter = max(cmp.Or(o.RepostAfter, 10*time.Second), 0)
	o.ArchiveOnCancel = o.ArchiveOnCancel && ctx != nil && ctx.Err() == nil
	r := &sessionRun{client: c, key: key, options: o}
	return observed(ctx, c, runOp, "", func(ctx context.Context) (*SessionResult, error) { return r.run(ctx, body) })
}

// sessionRun is one call of RunSession.
type sessionRun struct {
	client         *Client
	key, sessionID string
	options        RunSessionOptions
	created        bool
	teller         *agentTeller
	outcome        *SessionOutcome // nil: not known yet
	spent          *spending       // nil: not counted yet
}

func (r *sessionRun) run(ctx context.Context, body CreateSessionRequest) (*SessionResult, error) {
	ensured, err := r.ensure(ctx, body)
	var bad *ValidationError
	switch {
	case errors.As(err, &bad):
		own := *bad
		own.Operation = runOp
		return nil, &own
	case err != nil:
		return nil, r.left(ctx, err)
	}
	r.sessionID, r.created = ensured.SessionID, ensured.Created
	if r.options.OnSession != nil {
		r.options.OnSession(r.sessionID, r.created)
	}
	r.teller = r.client.agentTeller(ctx, runOp, r.sessionID)
	result, err := r.wait(ctx)
	if err != nil {
		return nil, r.left(ctx, err)
	}
	result.Created = ensured.Created
	return result, nil
}

// ensure finds or creates the session. A Hub that restarts may close connections for longer than a call tries.
func (r *sessionRun) ensure(ctx context.Context, body CreateSessionRequest) (*EnsuredSession, error) {
	options := &EnsureSessionOptions{NewIfOver: !r.options.Once, RepostAfter: r.options.RepostAfter, LookupWindow: r.options.LookupWindow}
	attempts := backoff.Attempts{Max: 6, Least: time.Second, Most: 10 * time.Second}
	for {
		ensured, err := r.client.EnsureSession(ctx, r.key, body, options)
		if err == nil || !IsTransient(err) || errors.Is(err, ErrOutcomeUnknown) || retryAfter(err) > maxRetryAfter {
			return ensured, err
		}
		switch wait, more := attempts.Next(); {
		case !more:
			return nil, err
		case !backoff.Sleep(ctx, max(wait, retryAfter(err))):
			return nil, contextError(ctx, ctx.Err(), err)
		}
	}
}

// wait waits for the session, and reads what it came to.
func (r *sessionRun) wait(ctx context.Context) (*SessionResult, error) {
	waiting, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	spent := r.watch(waiting, cancel)
	defer spent.stop()
	r.spent = spent
	outcome, err := r.client.WaitForSession(waiting, r.sessionID, &WaitForSessionOptions{
		StallTimeout: r.options.StallTimeout, Follow: true, OnPoll: r.options.OnPoll,
	})
	if err != nil {
		if failed := context.Cause(waiting); failed != nil && ctx.Err() == nil {
			return nil, failed
		}
		return nil, err
	}
	spent.catchUp(ctx) // an earlier call may have aborted it for the limits
	spent.stop()
	r.outcome = outcome
	if beyond := spent.tally.beyond; beyond != "" && outcome.Kind == OutcomeAborted {
		outcome.Kind, outcome.Evidence = OutcomeLimited, append([]string{r.client.secret.Text(beyond)}, outcome.Evidence...)
	}
	whole := r.rest(ctx, spent)
	result := &SessionResult{SessionID: r.sessionID, Outcome: outcome, NotEnforced: spent.tally.notEnforced()}
	if whole && r.counts() {
		result.Spent = spent.tally.spent()
	}
	if outcome.Session != nil {
		result.Usage, _ = outcome.Session.Usage() // what has an unknown form is as good as nothing
	}
	if result.Answer, err = r.client.lastAnswer(ctx, runOp, r.sessionID); err != nil && !sessionIsGone(err) {
		return nil, err
	}
	if r.options.ArchiveOnStall && outcome.Kind == OutcomeStalled { // after the answer was read: a Hub may hide it then
		if _, err := r.client.ArchiveSession(ctx, r.sessionID); err != nil && !sessionIsGone(err) {
			return nil, err
		}
	}
	return result, nil
}

// left is the error of a run that ends before its session does.
func (r *sessionRun) left(ctx context.Context, err error) error {
	e := &RunError{Key: r.key, SessionID: r.sessionID, Outcome: r.outcome, Err: err, secret: r.client.secret}
	if r.spent != nil && r.counts() {
		e.Spent = r.spent.tally.spent()
	}
	if !r.options.ArchiveOnCancel || ctx.Err() == nil {
		return e
	}
	after, cancel := context.WithTimeout(context.WithoutCancel(ctx), asideLimit)
	defer cancel()
	if e.SessionID == "" {
		e.SessionID = r.lookUp(after, errors.Is(err, ErrOutcomeUnknown))
	}
	if e.SessionID != "" {
		failed := persist(after, func() error {
			_, err := r.client.ArchiveSession(after, e.SessionID)
			return err
		})
		e.Archived = failed == nil || sessionIsGone(failed)
	}
	return e
}

// lookUp returns the session with the key that may be at work, "" if there is none to be seen: one that this call may have
// created, or an earlier one.
func (r *sessionRun) lookUp(ctx context.Context, created bool) string {
	search := ensurer{client: r.client, key: r.key, window: asideLimit}
	var found *Session
	if created {
		found, _ = search.search(ctx)
	} else {
		_ = persist(ctx, func() (err error) {
			found, err = search.find(ctx)
			return err
		})
	}
	if found == nil || found.isOver() {
		return ""
	}
	return found.SessionID
}

// persist makes a call again as long as its failures pass and the context lasts.
func persist(ctx context.Context, call func() error) error {
	for n := 0; ; n++ {
		err := call()
		if err == nil || !IsTransient(err) || !backoff.Sleep(ctx, max(backoff.Delay(n, time.Second, 10*time.Second), retryAfter(err))) {
			return err
		}
	}
}

// spending counts what a session spends while it is waited for: from its history, which has everything, and from its stream,
// which is there first. What both tell counts once.
type spending struct {
	mu      sync.Mutex
	tally   *tally
	counted int  // events
	looked  bool // whether there was anything to abort when the past was beyond a limit
	aborted bool
	caught  chan struct{} // closed when what was there is counted, or nothing more will be
	whole   bool          // what was there is counted, and what came since
	newest  int           // the event that was read last
	cancel  context.CancelFunc
	group   sync.WaitGroup
}

// add counts an event, and reports whether the agent is to be aborted: it is at work beyond a limit, or may be.
func (s *spending) add(event AgentEvent, taskID string, live bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counted++
	if s.aborted || !s.tally.add(event, taskID) || s.looked && !live {
		return false
	}
	s.aborted, s.looked = live, true
	return true
}

// catchUp waits until what was there is counted, as long as there is more of it from time to time.
func (s *spending) catchUp(ctx context.Context) {
	counted := func() int {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.counted
	}
	for before := -1; before != counted(); {
		before = counted()
		patience := time.NewTimer(asideLimit)
		select {
		case <-patience.C:
			continue
		case <-s.caught:
		case <-ctx.Done():
		}
		patience.Stop()
		return
	}
}

func (s *spending) stop() {
	s.cancel()
	s.group.Wait()
}

// counts reports whether the history is read for what the session spends.
func (r *sessionRun) counts() bool { return r.options.Count || r.options.Limits.any() }

// watch aborts the agent when it goes beyond a limit; if it cannot, the wait ends with the reason. It also tells the observer
// what the agent does.
func (r *sessionRun) watch(ctx context.Context, fail context.CancelCauseFunc) *spending {
	s := &spending{tally: newTally(r.options.Limits), cancel: func() {}, caught: make(chan struct{})}
	if !r.counts() && r.teller.tell == nil {
		close(s.caught)
		return s
	}
	ctx, s.cancel = context.WithCancel(ctx)
	count := func(event AgentEvent, taskID string, live bool) {
		if !s.add(event, taskID, live) {
			return
		}
		switch aborted, err := r.abort(ctx, live); {
		case err != nil && ctx.Err() == nil && !r.isOver(ctx):
			fail(fmt.Errorf("%s, and the agent could not be aborted: %w", r.client.secret.Text(s.tally.beyond), err))
		case aborted:
			s.mu.Lock()
			s.aborted = true
			s.mu.Unlock()
			s.group.Go(func() {
				if backoff.Sleep(ctx, abortSeen) {
					fail(fmt.Errorf("%w: %s, and it has not obeyed the abort for %v", ErrLimitExceeded, r.client.secret.Text(s.tally.beyond), abortSeen))
				}
			})
		}
	}
	s.group.Go(func() {
		defer closeOnce(s.caught)
		live := false
		for e, err := range r.client.WatchEvents(ctx, r.sessionID, &WatchEventsOptions{Settle: -1}) {
			switch {
			case ctx.Err() != nil:
				return
			case err != nil:
				if r.options.Limits.any() && !r.isOver(ctx) {
					fail(fmt.Errorf("the limits cannot be enforced: %w", err))
				}
				return
			}
			if e.ID > 0 {
				s.newest = max(s.newest, e.ID)
				r.tell(&e.SessionEvent, live)
				count(e.AgentEvent(), e.task(), live)
			}
			if live = live || e.Live; live {
				s.whole = true
				closeOnce(s.caught)
			}
		}
	})
	if !r.options.Limits.any() {
		return s
	}
	s.group.Go(func() {
		options := &StreamEventsOptions{Subscribe: []string{EventMessageStart, EventMessageEnd, EventToolExecutionStart}}
		for e, err := range r.client.StreamEvents(ctx, r.sessionID, options) {
			if err != nil {
				return // the history has it all
			}
			m, ok := e.Data.(*BroadcastEventMessage)
			if !ok {
				continue
			}
			if event := m.AgentEvent(); canBeToldApart(event) {
				count(event, agentrun.Decode(m.Event, m.Data, time.Time{}).TaskID, true)
			}
		}
	})
	return s
}

// tell tells the observer of an event. What an earlier call has seen, live false, is told if this one has created the session.
func (r *sessionRun) tell(e *SessionEvent, live bool) {
	if r.teller.wants() && (live || r.created) {
		at := cmp.Or(e.IngestedAt, e.OccurredAt)
		if at.IsZero() {
			at = time.Now()
		}
		r.teller.event(e.Event, e.Payload, e.task(), at)
	}
}

// rest counts what has happened since an event was read, and tells the observer of it. It reports whether all of the history is
// counted.
func (r *sessionRun) rest(ctx context.Context, s *spending) bool {
	tells := r.teller.tell != nil && (s.newest > 0 || r.created)
	if !tells && !s.whole {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, asideLimit)
	defer cancel()
	var rest []SessionEvent // newest first
	for e, err := range r.client.allEventHistory(ctx, runOp, r.sessionID, ListEventHistoryParams{Limit: 20}) {
		if err != nil || len(rest) == tailEvents {
			s.whole = false
			break
		}
		if e.ID <= s.newest {
			break
		}
		rest = append(rest, e)
	}
	for i := range slices.Backward(rest) {
		e := &rest[i]
		if tells {
			r.tell(e, true)
		}
		s.tally.add(e.AgentEvent(), e.task())
	}
	return s.whole
}

// canBeToldApart reports whether an event counts once if it comes twice.
func canBeToldApart(event AgentEvent) bool {
	switch e := event.(type) {
	case *MessageStart:
		return !e.Message.Timestamp.IsZero()
	case *MessageEnd:
		return !e.Message.Timestamp.IsZero()
	case *ToolExecutionStart:
		return e.ToolCallID != ""
	}
	return false
}

// abortSeen is how long an agent has to stop that went beyond a limit, and the wait to see that it has: polls may be far apart.
const abortSeen = time.Minute

// isOver reports whether the session has come to something, such as its end: there is nothing to abort then, and the wait says
// what it is.
func (r *sessionRun) isOver(ctx context.Context) bool {
	outcome, err := r.client.CheckSession(ctx, r.sessionID)
	if err != nil {
		return sessionIsGone(err)
	}
	return outcome.Kind != OutcomeWorking
}

// abort stops the agent, and reports whether there was anything to stop. What it was at before this call, live false, may be
// over.
func (r *sessionRun) abort(ctx context.Context, live bool) (bool, error) {
	if !live {
		outcome, err := r.client.CheckSession(ctx, r.sessionID)
		if err != nil || outcome.Kind != OutcomeWorking {
			return false, err
		}
	}
	conn, err := r.client.Attach(ctx, r.sessionID, nil)
	if err != nil {
		return false, err
	}
	defer func() { _ = conn.Close() }()
	conn.DiscardMessages()
	err = conn.Abort(ctx)
	return err == nil, err
}

// task is the task that an event of a history belongs to, "" for the lead. The row may leave it to the payload.
func (e *SessionEvent) task() string {
	return cmp.Or(e.TaskID, agentrun.Decode(e.Event, e.Payload, time.Time{}).TaskID)
}
