package main

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/agentuity/coder-go"
)

const (
	mostAttempts = 300 // of one step of a job, in about a day
	longestDelay = 5 * time.Minute
	longestWait  = 24 * time.Hour // that a forge or a Hub may ask for
	settles      = time.Minute    // after that, what was asked for is there, or will not be
)

// worker does the jobs that are in the database, some at a time.
type worker struct {
	client *coder.Client
	forge  *forge
	store  *store
	atOnce int
	stall  time.Duration // 0: as the library has it
	log    *slog.Logger
	woken  chan struct{} // has room for one
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
		// One that has to wait lets all that come after it wait. For longer than is ever asked is since the clock was set back.
		if wait := time.Until(j.next); wait > 0 && wait <= longestWait {
			return min(wait, longestDelay) // it may be set forward meanwhile
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
		err := w.lease(ctx, j)
		if err == nil {
			err = w.session(ctx, j, log)
		}
		if err != nil {
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
		j.state, j.next = answered, time.Time{}
	case errors.As(err, &refused) && !refused.transient():
		j.state, j.reason = givenUp, err.Error()
		log.ErrorContext(ctx, "the answer is given up: start with -retry when this is mended", "session", j.session, "error", err)
	default:
		w.later(ctx, j, log, err)
		return
	}
	w.save(ctx, j, log)
}

// lease keeps everybody from a job for a while, also this program if it is killed and started again: a session or an answer that
// was asked for right before is not looked for, and missed, while it comes into being.
func (w *worker) lease(ctx context.Context, j *job) error {
	j.next = time.Now().Add(settles)
	return w.store.save(context.WithoutCancel(ctx), j)
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

// session sees a session of the Hub through. The error is nil if there is an outcome, however bad.
func (w *worker) session(ctx context.Context, j *job, log *slog.Logger) error {
	err := w.see(ctx, j, log)
	if err == nil || ctx.Err() != nil || coder.IsTransient(err) || passes(err) {
		return err
	}
	log.ErrorContext(ctx, "the session could not be run", "session", j.session, "error", err)
	j.outcome, j.succeeded, j.reason = "error", false, "the Hub refused it" // and would again
	return nil
}

// see has the task of a job done, once: a comment has one session, and is told how it ended, also if that was while nobody looked.
func (w *worker) see(ctx context.Context, j *job, log *slog.Logger) error {
	ran, err := w.client.RunSession(ctx, j.key, j.request, &coder.RunSessionOptions{
		Once: true, StallTimeout: w.stall,
		OnSession: func(session string, _ bool) {
			j.session, j.next = session, time.Time{}
			if err := w.store.save(ctx, j); err != nil && ctx.Err() == nil { // -list does not show it, and the key finds it
				log.WarnContext(ctx, "the session could not be written down", "session", j.session, "error", err)
			}
			log.InfoContext(ctx, "an agent is at work", "session", j.session)
		},
	})
	if err != nil {
		return err
	}
	j.take(ran.Outcome)
	j.answer = ran.Answer
	return nil
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

// take takes how a session has ended, and why.
func (j *job) take(outcome *coder.SessionOutcome) {
	j.outcome, j.succeeded, j.reason = string(outcome.Kind), outcome.Succeeded(), ""
	switch {
	case j.succeeded:
	case outcome.ErrorMessage != "":
		j.reason = outcome.ErrorMessage
	case outcome.Kind == coder.OutcomeNeedsInput && outcome.Question != nil:
		var asked coder.RPCUIParams
		_ = outcome.Question.Decode(&asked) // what has no text is only said to be a question
		j.reason = cmp.Or(asked.Title, asked.Message)
	case len(outcome.Evidence) > 0:
		j.reason = outcome.Evidence[0] // the rest is for those who can look at the session
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
	if err := w.lease(ctx, j); err != nil {
		return err
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
