// Package flight lets concurrent callers share one running call. Unlike a bare singleflight a
// caller may leave early without disturbing the others, and the call ends with its last caller.
package flight

import (
	"context"
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

// Do returns the result of fn, which runs once for all concurrent callers with this key. It runs
// in a context with the values of the first caller's, which is cancelled when all callers have
// left. A caller whose context ends gets the context's error; the last of them waits for fn to
// return, so that nothing is left running.
func (g *Group[T]) Do(ctx context.Context, key string, fn func(context.Context) (T, error)) (T, error) {
	var zero T
	if err := ctx.Err(); err != nil {
		return zero, err
	}
	f, results := g.join(ctx, key, fn)
	select {
	case r := <-results:
		if r.Err != nil {
			return zero, r.Err
		}
		return r.Val.(T), nil
	case <-ctx.Done():
		if g.leave(key, f) {
			<-results
		}
		return zero, ctx.Err()
	}
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
		defer g.land(key, f)
		return fn(f.ctx)
	})
}

// leave takes one caller off and reports whether it was the last, in which case the flight ends.
func (g *Group[T]) leave(key string, f *flight) bool {
	g.mu.Lock()
	f.callers--
	last := f.callers == 0
	g.mu.Unlock()
	if last {
		g.land(key, f)
	}
	return last
}

// land ends a flight: whoever comes now starts a new one.
func (g *Group[T]) land(key string, f *flight) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.flights[key] == f {
		delete(g.flights, key)
		g.results.Forget(key)
	}
	f.cancel()
}
