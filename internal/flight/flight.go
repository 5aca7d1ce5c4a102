// Package flight lets concurrent callers share one running call. Unlike with a singleflight.Group a caller
// may leave early without disturbing the others, the call ends with its last caller, and a panic reaches
// the callers.
package flight

import (
	"context"
	"errors"
	"sync"
)

// Group shares calls by key. The zero Group is ready for use.
type Group[T any] struct {
	mu      sync.Mutex
	flights map[string]*flight[T]
}

// flight is a running call. Its result is set before done is closed.
type flight[T any] struct {
	cancel   context.CancelFunc
	callers  int // guarded by the mutex of the group
	done     chan struct{}
	value    T
	err      error
	panicked any
}

// Left is what a caller gets whose context ended while others wait on.
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
	f := g.join(ctx, key, fn)
	var left error
	select {
	case <-f.done:
	case <-ctx.Done():
		if !g.leave(key, f) {
			return zero, &Left{Err: ctx.Err()}
		}
		if <-f.done; f.err != nil {
			left = &Left{Err: ctx.Err(), Flight: f.err}
		}
	}
	switch {
	case f.panicked != nil:
		panic(f.panicked)
	case left != nil:
		return zero, left
	}
	return f.value, f.err
}

// join returns the flight with this key, and starts it if there is none.
func (g *Group[T]) join(ctx context.Context, key string, fn func(context.Context) (T, error)) *flight[T] {
	g.mu.Lock()
	defer g.mu.Unlock()
	f := g.flights[key]
	if f == nil {
		f = &flight[T]{done: make(chan struct{}), err: errExited}
		ctx, f.cancel = context.WithCancel(context.WithoutCancel(ctx))
		if g.flights == nil {
			g.flights = make(map[string]*flight[T])
		}
		g.flights[key] = f
		go g.run(ctx, key, f, fn)
	}
	f.callers++
	return f
}

// errExited is the result of a call that has ended its goroutine with runtime.Goexit.
var errExited = errors.New("the goroutine of the call exited")

func (g *Group[T]) run(ctx context.Context, key string, f *flight[T], fn func(context.Context) (T, error)) {
	defer func() {
		f.panicked = recover()
		g.mu.Lock()
		defer g.mu.Unlock()
		g.remove(key, f)
		close(f.done)
	}()
	f.value, f.err = fn(ctx)
}

// leave takes one caller off and reports whether it was the last, in which case the flight is cancelled.
func (g *Group[T]) leave(key string, f *flight[T]) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if f.callers--; f.callers > 0 {
		return false
	}
	g.remove(key, f)
	return true
}

// remove cancels a flight and makes room: nobody can join it any more.
func (g *Group[T]) remove(key string, f *flight[T]) {
	if g.flights[key] == f {
		delete(g.flights, key)
	}
	f.cancel()
}
