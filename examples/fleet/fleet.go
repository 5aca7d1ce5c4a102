package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/agentuity/coder-go"
)

// fleet gives tasks to sessions, some at a time.
type fleet struct {
	client      *coder.Client
	file        string // that the tasks are from
	tasks       []*task
	atOnce      int
	options     coder.RunSessionOptions // of each
	results     *resultsFile
	retryFailed bool
	progress    *progress

	mu      sync.Mutex
	stopped error // why no further task is begun
}

// aside is how long it may take to look up when a session has ended, and to archive one that does not stop.
const aside = 30 * time.Second

// plan returns the results that need no work, in the places of their tasks: nil is a task to do.
func (f *fleet) plan() ([]*result, error) {
	results := make([]*result, len(f.tasks))
	for i, t := range f.tasks {
		earlier, err := f.results.of(t)
		switch {
		case err != nil:
			return nil, fmt.Errorf("%s:%d: %w", f.file, t.line, err)
		case earlier != nil && earlier.ended() && (earlier.Succeeded || !f.retryFailed):
			results[i] = earlier
		}
	}
	return results, nil
}

// run does what is left of a plan, in the order of the file. The error is why it did not begin all of it, or could not write the
// results down; the end of the context is none.
func (f *fleet) run(ctx context.Context, results []*result) error {
	var working sync.WaitGroup
	places := make(chan struct{}, f.atOnce)
	for i, t := range f.tasks {
		if results[i] != nil {
			continue
		}
		places <- struct{}{} // waits until one of the others is done
		if !f.goesOn(ctx) {
			results[i] = t.result(outcomeNotBegun)
			<-places
			continue
		}
		row := f.progress.begin(i+1, t) // here, so that they begin in the order of the file
		working.Go(func() {
			defer func() { <-places }()
			results[i] = f.do(ctx, t, row)
		})
	}
	working.Wait()
	return f.stopped
}

// goesOn reports whether further tasks are begun.
func (f *fleet) goesOn(ctx context.Context) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return ctx.Err() == nil && f.stopped == nil
}

func (f *fleet) stop(why error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stopped = cmp.Or(f.stopped, why)
}

func (t *task) result(outcome coder.OutcomeKind) *result {
	return &result{Key: t.key, Task: t.request.Task, Label: t.request.Label, Outcome: outcome}
}

// do does one task, and writes down what it came to.
func (f *fleet) do(ctx context.Context, t *task, row *row) *result {
	r, err := f.session(ctx, t, row)
	if err != nil {
		f.failed(ctx, r, err)
	}
	if s := r.session; r.rejoined && s != nil {
		after, cancel := context.WithTimeout(context.WithoutCancel(ctx), aside)
		if heard := lastHeard(after, f.client, r.SessionID); heard.After(s.CreatedAt) { // both by the Hub's clock
			r.Seconds = seconds(heard.Sub(s.CreatedAt))
		}
		cancel()
	}
	r.Ended = time.Now().UTC().Truncate(time.Millisecond)
	if err := f.results.add(r); err != nil {
		f.stop(fmt.Errorf("the results cannot be written: %w", err))
	}
	f.progress.end(row, r)
	return r
}

// session runs the session of a task, and shows what its agent does.
func (f *fleet) session(ctx context.Context, t *task, row *row) (*result, error) {
	r := t.result(outcomeError)
	began := time.Now()
	defer func() { r.Seconds = seconds(time.Since(began)) }()
	if err := f.putAway(ctx, t); err != nil {
		return r, err
	}
	var listening sync.WaitGroup
	defer listening.Wait()
	live, cancel := context.WithCancel(ctx)
	defer cancel()
	options := f.options
	options.OnPoll = func(session *coder.Session) {
		if first := row.session() == ""; first {
			listening.Go(func() { row.listen(live, f.client, session.SessionID) })
		}
		row.polled(session)
	}
	ran, err := f.client.RunSession(ctx, t.key, t.request, &options)
	if err != nil {
		return r, err
	}
	r.SessionID, r.Answer, r.NotEnforced = ran.SessionID, ran.Answer, ran.NotEnforced
	r.take(ran.Outcome)
	r.spent = spentOf(ran.Spent, r.session)
	r.rejoined = !ran.Created
	return r, nil
}

func seconds(d time.Duration) float64 { return d.Round(time.Millisecond).Seconds() }

// take takes what is known of a session.
func (r *result) take(outcome *coder.SessionOutcome) {
	r.Outcome, r.Succeeded, r.Truncated, r.session = outcome.Kind, outcome.Succeeded(), outcome.Truncated, outcome.Session
	if r.Succeeded {
		return
	}
	r.Reason = outcome.ErrorMessage
	if len(outcome.Evidence) > 0 && (r.Reason == "" || r.Outcome == coder.OutcomeLimited) { // of a limit the agent knows nothing
		r.Reason = outcome.Evidence[0]
	}
}

// putAway archives the session of an earlier run that has failed: RunSession passes over sessions that are archived, and would
// take up one that waits, or was aborted, as it is. One whose end nobody knows is not put away: it may be at work.
func (f *fleet) putAway(ctx context.Context, t *task) error {
	earlier, _ := f.results.of(t)
	if earlier == nil || !earlier.ended() || earlier.SessionID == "" {
		return nil
	}
	if _, err := f.client.ArchiveSession(ctx, earlier.SessionID); err != nil && !errors.Is(err, coder.ErrSessionNotFound) {
		return fmt.Errorf("the session that has failed cannot be archived: %w", err)
	}
	return nil
}

// failed makes a result of an error.
func (f *fleet) failed(ctx context.Context, r *result, err error) {
	r.Reason = err.Error()
	var run *coder.RunError
	if errors.As(err, &run) {
		r.SessionID, r.Archived = run.SessionID, run.Archived
		defer func() { r.spent = spentOf(run.Spent, r.session) }()
		if run.Outcome != nil { // only the answer is missing
			r.take(run.Outcome)
			r.Reason = err.Error()
			return
		}
	}
	switch {
	case ctx.Err() != nil:
		r.Outcome, r.Reason = outcomeInterrupted, ""
		if r.SessionID != "" && !r.Archived {
			r.Reason = "its session could not be archived, and may be at work"
		}
	case errors.Is(err, coder.ErrLimitExceeded):
		r.Outcome = coder.OutcomeLimited
		after, cancel := context.WithTimeout(context.WithoutCancel(ctx), aside)
		defer cancel()
		if _, err := f.client.ArchiveSession(after, r.SessionID); err != nil {
			r.Reason += "; it could not be archived: " + err.Error()
			return
		}
		r.Archived = true
	case slices.ContainsFunc([]error{coder.ErrUnauthorized, coder.ErrMissingAPIKey, coder.ErrPaymentRequired}, func(all error) bool { return errors.Is(err, all) }):
		f.stop(err) // the next one would not do better
	}
}

// firstLine is the beginning of an answer.
func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return oneLine(line)
}
