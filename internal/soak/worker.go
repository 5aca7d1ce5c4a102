package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"github.com/agentuity/coder-go"
)

// worker plays scenarios one after the other, with the client of its way.
type worker struct {
	*stage
	way    *way
	client *coder.Client
	number int
	random *rand.Rand
	named  int
	// seen is how far each ticking session has been watched.
	seen map[string]*watched
}

func newWorker(s *stage, w *way, number int) *worker {
	return &worker{
		stage: s, way: w, client: w.client, number: number, seen: make(map[string]*watched),
		random: rand.New(rand.NewPCG(s.config.seed, uint64(number))), //nolint:gosec // a plan, no secret
	}
}

// work plays until ctx ends, or for so many rounds. What has begun is played to its end.
func (w *worker) work(ctx context.Context) {
	var deck []scenario
	for _, s := range scenarios {
		if len(w.config.only) > 0 && !slices.Contains(w.config.only, s.name) {
			continue
		}
		deck = append(deck, slices.Repeat([]scenario{s}, s.weight)...)
	}
	begun := context.WithoutCancel(ctx)
	if w.config.breaks == breakLeak && w.number == 0 {
		w.leak(begun)
	}
	for round := 0; ctx.Err() == nil && (w.config.rounds == 0 || round < w.config.rounds); round++ {
		// Every scenario in each round, in another order each time.
		w.random.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })
		for _, s := range deck {
			if ctx.Err() != nil {
				return
			}
			s.play(w, begun)
		}
	}
}

// leak leaves a stream open.
func (w *worker) leak(ctx context.Context) {
	opened := make(chan struct{})
	go func() {
		for _, err := range w.client.StreamEvents(ctx, w.ticker(), nil) {
			if err != nil {
				return
			}
			select {
			case <-opened:
			default:
				close(opened)
			}
		}
	}()
	<-opened
}

// token is a name that nothing else has.
func (w *worker) token() string {
	w.named++
	return fmt.Sprintf("soak-%d-%d", w.number, w.named)
}

// bounded is the context of a call: a short time now and then, and otherwise a long one.
func (w *worker) bounded(ctx context.Context, long time.Duration) (context.Context, context.CancelFunc) {
	if w.random.IntN(12) == 0 {
		long = time.Duration(1+w.random.IntN(200)) * time.Millisecond
	}
	return context.WithTimeout(ctx, long)
}

// callTime is how long a call may take that goes to the end: a Hub restarts at most every few seconds.
const callTime = 45 * time.Second

// call calls a method, notes what it came to, and judges its error. It reports whether there was none.
func (w *worker) call(ctx context.Context, method string, do func(context.Context) error, fine ...error) bool {
	return w.try(ctx, method, do, fine...) == nil
}

func (w *worker) try(ctx context.Context, method string, do func(context.Context) error, fine ...error) error {
	long := callTime
	if w.config.breaks == breakLate {
		long = time.Second
	}
	ctx, cancel := w.bounded(ctx, long)
	defer cancel()
	returned := w.guard(ctx, method)
	defer returned()
	began := time.Now()
	err := do(ctx)
	if w.config.breaks == breakLate && w.book.held.CompareAndSwap(false, true) {
		<-ctx.Done()
		time.Sleep(2 * patience)
	}
	w.returned(ctx, method, began, err)
	w.judge(ctx, method, time.Since(began), err, fine...)
	if took := time.Since(began); w.config.fair() && took >= callTime {
		w.book.report(misjudged, "%s over %s: nothing failed, and it took %v: %v", method, w.way.name, took, err)
	}
	return err
}

// never is how long after its context a call may go on until nobody waits for it any more.
const never = time.Minute

// guard ends the soak if a call does not return at all: until what guard returns is called.
func (w *worker) guard(ctx context.Context, method string) (returned func()) {
	until, _ := ctx.Deadline()
	timer := time.AfterFunc(time.Until(until)+never, func() {
		panic(fmt.Sprintf("soak: %s over %s has not returned %v after its context has ended\n%s", method, w.way.name, never, stacks()))
	})
	return func() { timer.Stop() }
}

func (w *worker) returned(ctx context.Context, method string, began time.Time, err error) {
	var overdue time.Duration
	if until, ok := ctx.Deadline(); ok {
		overdue = max(0, time.Since(until))
	}
	w.book.returned(method, time.Since(began), overdue, err)
}

// judge reports an error that nothing led to: all that goes wrong here passes, save what is expected.
func (w *worker) judge(ctx context.Context, method string, took time.Duration, err error, fine ...error) {
	is := func(target error) bool { return errors.Is(err, target) }
	switch {
	case err == nil:
		return
	case is(context.Canceled): // nobody has cancelled anything
	case ctx.Err() != nil && is(ctx.Err()):
		return
	case gaveUp(took, err): // others would have worked
	case w.config.fair() && (coder.IsTransient(err) || slices.ContainsFunc(notAnswered, is)): // nothing led to it
	case coder.IsTransient(err), slices.ContainsFunc(fine, is):
		return
	}
	w.book.report(misjudged, "%s over %s: %v", method, w.way.name, err)
}

// enough is how long a call that repeats nothing more may have taken: the window for a Hub that is away may be over then.
const enough = 20 * time.Second

// gaveUp reports whether a request that can be repeated was not, although there was time and nobody had said when.
func gaveUp(took time.Duration, err error) bool {
	const attempts = 4 // of the RetryPolicy
	var request *coder.RequestError
	var answer *coder.APIError
	switch {
	case !coder.IsTransient(err) || took >= enough:
		return false
	case errors.As(err, &request):
		return request.Method == http.MethodGet && request.Attempts < attempts
	case errors.As(err, &answer):
		return answer.Method == http.MethodGet && answer.Attempts < attempts && answer.RetryAfter == 0 && answer.StatusCode > http.StatusInternalServerError
	}
	return false
}

// create calls a method that makes something with this token, and notes what the client is told.
func (w *worker) create(ctx context.Context, method, token string, do func(context.Context) error) bool {
	w.book.asked(token, method)
	err := w.try(ctx, method, do, coder.ErrOutcomeUnknown)
	w.told(token, err)
	return err == nil
}

func (w *worker) told(token string, err error) {
	switch {
	case err == nil:
		w.book.heard(token, "made")
	case errors.Is(err, coder.ErrOutcomeUnknown):
		w.book.heard(token, "unknown")
	default:
		w.book.heard(token, "not")
	}
}

// all reads an iterator to its end, and reports whether it got there.
func all[T any](ctx context.Context, w *worker, method string, items func(context.Context) iter.Seq2[T, error]) (list []T, whole bool) {
	whole = w.call(ctx, method, func(ctx context.Context) error {
		for item, err := range items(ctx) {
			if err != nil {
				return err
			}
			list = append(list, item)
		}
		return nil
	})
	return list, whole
}

// check reports a wrong answer.
func (w *worker) check(right bool, format string, args ...any) {
	if !right {
		w.book.report(wrongly, "%s: %s", w.way.name, fmt.Sprintf(format, args...))
	}
}
