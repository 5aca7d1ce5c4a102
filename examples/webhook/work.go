package main

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/agentuity/coder-go"
)

const (
	mostAttempts = 300 // of one step of a job, in about a day
	longestDelay = 5 * time.Minute
	longestWait  = 24 * time.Hour // that a forge or a Hub may ask for
)

// worker does the jobs that are in the database, some at a time.
type worker struct {
	client  *coder.Client
	forge   *forge
	store   *store
	atOnce  int
	options coder.RunSessionOptions
	log     *slog.Logger
	woken   chan struct{} // has room for one
	// finished is called with each job that is over: answered or given up. Nil: nobody needs to know.
	finished func(*job)

	mu   sync.Mutex
	busy map[int64]bool // the jobs that are being done
}

// wake makes run look for work.
func (w *worker) wake() {
	select {
	case w.woken <- struct{}{}:
	default: // it has not looked since the last time
	}
}

// run does jobs until the context ends, and returns when none is being done any more. What was begun goes on at the Hub.
func (w *worker) run(ctx context.Context) {
	var group sync.WaitGroup
	defer group.Wait()
	for ctx.Err() == nil {
		wait := w.begin(ctx, &group)
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-w.woken:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// begin begins what is due, and returns how long there is nothing more to do unless somebody wakes the worker.
func (w *worker) begin(ctx context.Context, group *sync.WaitGroup) time.Duration {
	w.mu.Lock()
	busy := maps.Clone(w.busy) // what ends while the database is read is left alone: what was read of it is old
	w.mu.Unlock()
	jobs, err := w.store.next(ctx, len(busy)+w.atOnce)
	if err != nil {
		if ctx.Err() == nil {
			w.log.ErrorContext(ctx, "the database cannot be read", "error", err)
		}
		return longestDelay
	}
	for _, j := range jobs {
		if busy[j.id] {
			continue
		}
		if wait := time.Until(j.next); wait > 0 { // and so have all that come after it
			return wait
		}
		w.mu.Lock()
		full := len(w.busy) >= w.atOnce
		if !full {
			w.busy[j.id] = true
		}
		w.mu.Unlock()
		if full {
			break
		}
		group.Go(func() {
			w.do(ctx, j)
			w.mu.Lock()
			delete(w.busy, j.id)
			w.mu.Unlock()
			w.wake()
		})
	}
	return time.Hour
}

// do takes a job as far as it goes. What has happened is written down also if the context has ended meanwhile.
func (w *worker) do(ctx context.Context, j *job) {
	log := w.log.With("repository", j.repository, "number", j.number, "delivery", j.delivery)
	if j.state == received {
		if err := w.session(ctx, j, log); err != nil {
			w.later(ctx, j, log, err)
			return
		}
		j.state, j.ended, j.attempts, j.next = ran, time.Now(), 0, time.Time{}
		log.InfoContext(ctx, "the session has ended", "session", j.session, "outcome", j.outcome, "took", j.ended.Sub(j.received).Round(time.Millisecond))
		if !w.save(ctx, j, log) {
			return
		}
	}
	err := w.answer(ctx, j, log)
	var refused *forgeError
	switch {
	case err == nil:
		j.state = answered
	case errors.As(err, &refused) && !refused.transient():
		j.state, j.reason = givenUp, err.Error()
		log.ErrorContext(ctx, "the answer is given up: start with -retry when this is mended", "session", j.session, "error", err)
	default:
		w.later(ctx, j, log, err)
		return
	}
	w.save(ctx, j, log)
}

// save writes a job down, and reports whether it could. If not, the job is as it was, and is done again, but not at once.
func (w *worker) save(ctx context.Context, j *job, log *slog.Logger) bool {
	err := w.store.save(context.WithoutCancel(ctx), j)
	if err == nil {
		if w.finished != nil && (j.state == answered || j.state == givenUp) {
			w.finished(j)
		}
		return true
	}
	log.ErrorContext(ctx, "it could not be written down", "error", err)
	timer := time.NewTimer(time.Minute)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// session runs the session of a job. The error is nil if there is an outcome, however bad.
func (w *worker) session(ctx context.Context, j *job, log *slog.Logger) error {
	if over, err := w.over(ctx, j); over || err != nil {
		return err
	}
	options := w.options
	options.OnSession = func(id string, _ bool) {
		j.session = id
		log.InfoContext(ctx, "an agent is at work", "session", id)
		if err := w.store.save(ctx, j); err != nil && ctx.Err() == nil { // the key finds it, too
			log.WarnContext(ctx, "the session could not be written down", "session", id, "error", err)
		}
	}
	result, err := w.client.RunSession(ctx, j.key, j.request, &options)
	var run *coder.RunError
	if errors.As(err, &run) && run.SessionID != "" {
		j.session = run.SessionID
	}
	switch {
	case err == nil:
		j.session, j.answer = result.SessionID, result.Answer
		j.take(result.Outcome)
		return nil
	case ctx.Err() != nil || coder.IsTransient(err) || passes(err):
		return err
	case run != nil && run.Outcome != nil: // only its answer cannot be read
		j.take(run.Outcome)
		j.reason = "its answer could not be read"
	default: // it would be refused again
		j.outcome, j.succeeded, j.reason = "error", false, "the Hub refused it"
	}
	log.ErrorContext(ctx, "the session could not be run", "session", j.session, "error", err)
	return nil
}

// over reports whether the session of an earlier start has come to a bad end, and takes it. RunSession would pass over it and
// create another, which nobody has asked for.
func (w *worker) over(ctx context.Context, j *job) (bool, error) {
	if j.session == "" {
		return false, nil
	}
	outcome, err := w.client.CheckSession(ctx, j.session)
	if errors.Is(err, coder.ErrSessionNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	switch outcome.Kind {
	case coder.OutcomeFailed, coder.OutcomeCancelled, coder.OutcomeArchived:
		// One that has done its task RunSession takes, and reads its answer. And a Hub in memory may have given the id again.
		if !outcome.Succeeded() && outcome.Session != nil && outcome.Session.Metadata["idempotencyKey"] == j.key {
			j.take(outcome)
			return true, nil
		}
	}
	return false, nil
}

// passes reports whether an error is none of the job but of the account or the configuration. Somebody will see to it, and the
// jobs wait until then.
func passes(err error) bool {
	for _, all := range []error{coder.ErrUnauthorized, coder.ErrMissingAPIKey, coder.ErrPaymentRequired} {
		if errors.Is(err, all) {
			return true
		}
	}
	return false
}

// take takes how a session has ended.
func (j *job) take(outcome *coder.SessionOutcome) {
	j.outcome, j.succeeded, j.reason = string(outcome.Kind), outcome.Succeeded(), ""
	if !j.succeeded {
		_, j.reason, _ = strings.Cut(outcome.String(), ": ")
	}
}

// answer posts the answer of a job, unless it is there.
func (w *worker) answer(ctx context.Context, j *job, log *slog.Logger) error {
	there, err := w.forge.find(ctx, j.repository, j.number, j.written, marker(j.key))
	if err != nil {
		return err
	}
	if there {
		log.InfoContext(ctx, "the answer is there already", "session", j.session)
		return nil
	}
	if err := w.forge.comment(ctx, j.repository, j.number, answerTo(j)); err != nil {
		return err
	}
	log.InfoContext(ctx, "answered", "session", j.session)
	return nil
}

// later puts a job off after a failure that passes.
func (w *worker) later(ctx context.Context, j *job, log *slog.Logger, err error) {
	if ctx.Err() != nil {
		return // it is as it was, for the next start
	}
	wait := min(time.Second<<min(j.attempts, 10), longestDelay)
	j.attempts++
	if asked := askedFor(err); asked > 0 {
		wait = min(max(wait, asked), longestWait)
	}
	j.next = time.Now().Add(wait)
	switch {
	case j.attempts < mostAttempts:
		log.WarnContext(ctx, "it did not work, and will be tried again", "step", j.state, "attempt", j.attempts, "in", wait.Round(time.Second), "error", err)
	case j.state == received: // whoever asked is told
		j.state, j.ended, j.attempts, j.next = ran, time.Now(), 0, time.Time{}
		j.outcome, j.reason = "error", "the Hub was not available for a long time"
		log.ErrorContext(ctx, "the session is given up", "session", j.session, "error", err)
	default:
		j.state, j.reason = givenUp, err.Error()
		log.ErrorContext(ctx, "the answer is given up: start with -retry when this is mended", "session", j.session, "error", err)
	}
	w.save(ctx, j, log)
}

// askedFor is how long the other side asks to wait, 0 if it does not.
func askedFor(err error) time.Duration {
	var hub *coder.APIError
	var forge *forgeError
	switch {
	case errors.As(err, &hub):
		return hub.RetryAfter
	case errors.As(err, &forge):
		return forge.retryAfter
	}
	return 0
}
