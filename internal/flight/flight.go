// Package flight lets concurrent callers share one running call. Unlike a bare singleflight a
// caller may leave early without disturbing the others, and the call ends with its last caller.
package flight

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sync/singleflight"
)

// Group shares calls by key. The zero Group is ready for use.
type Group[T any] struct {
	mu      sync.Mutex
	flights map[string]*flight
	results singleflight.Group
}

type flight struct {
	ctx     context.Context //nolint:containedctx // the flight's own, not a caller's
	cancel  context.CancelFunc
	callers int
}

// Left is the error of a caller whose context ended.
type Left struct {
	// Err is the context's error.
	Err error
	// Flight is what the call came to that ended with this caller, its last; nil if it goes on
	// for others.
	Flight error
}

func (e *Left) Error() string { return e.Err.Error() }

// Unwrap returns both errors.
func (e *Left) Unwrap() []error {
	if e.Flight == nil {
		return []error{e.Err}
	}
	return []error{e.Err, e.Flight}
}

// Do returns the result of fn, which runs once for all concurrent callers with this key. It runs
// in a context with the values of the first caller's, which is cancelled when all callers have
// left. A caller whose context ends gets a *Left; the last of them waits for fn to return, so that
// nothing is left running. A panic of fn reaches every caller.
func (g *Group[T]) Do(ctx context.Context, key string, fn func(context.Context) (T, error)) (T, error) {
	var zero T
	if err := ctx.Err(); err != nil {
		return zero, &Left{Err: err, Flight: err}
	}
	f, results := g.join(ctx, key, fn)
	var r singleflight.Result
	select {
	case r = <-results:
	case <-ctx.Done():
		if !g.leave(key, f) {
			return zero, &Left{Err: ctx.Err()}
		}
		if r = <-results; r.Err != nil {
			r.Err = &Left{Err: ctx.Err(), Flight: r.Err}
		}
	}
	var p *panicked
	if errors.As(r.Err, &p) {
		panic(p.value)
	}
	if r.Err != nil {
		return zero, r.Err
	}
	return r.Val.(T), nil
}

func (g *Group[T]) join(ctx context.Context, key string, fn func(context.Context) (T, error)) (*flight, <-chan singleflight.Result) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f := g.flights[key]
	if f == nil {
		f = &flight{}
		f.ctx, f.cancel = context.WithCancel(context.WithoutCancel(ctx))
		if g.flights == nil {
			g.flights = make(map[string]*flight)
		}
		g.flights[key] = f
	}
	f.callers++
	return f, g.results.DoChan(key, func() (any, error) {
		v, err := guarded(func() (T, error) { return fn(f.ctx) })
		g.mu.Lock()
		defer g.mu.Unlock()
		g.land(key, f)
		return v, err
	})
}

// leave takes one caller off and reports whether it was the last, in which case the flight ends.
// Nobody can join it any more then.
func (g *Group[T]) leave(key string, f *flight) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if f.callers--; f.callers > 0 {
		return false
	}
	g.land(key, f)
	return true
}

// land ends a flight: whoever comes now starts a new one.
func (g *Group[T]) land(key string, f *flight) {
	if g.flights[key] == f {
		delete(g.flights, key)
		g.results.Forget(key)
	}
	f.cancel()
}

// panicked is a panic on its way to the callers.
type panicked struct{ value any }

func (p *panicked) Error() string { return fmt.Sprint("panic: ", p.value) }

var errExited = errors.New("the goroutine of the call exited")

// guarded calls fn where neither a panic nor runtime.Goexit can keep the callers waiting.
func guarded[T any](fn func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		r := result{err: errExited}
		defer func() {
			if p := recover(); p != nil {
				r.err = &panicked{p}
			}
			done <- r
		}()
		r.value, r.err = fn()
	}()
	r := <-done
	return r.value, r.err
}
