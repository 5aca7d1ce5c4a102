// Package gate is what all requests of a client pass, so that many of them do not come at once: connections that stay
// open are spread over time, and while the Hub says that there are too many requests, nobody makes one.
package gate

import (
	"container/list"
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/agentuity/coder-go/internal/backoff"
)

// Gate lets calls and connects pass. It starts no goroutine, and keeps a timer only while somebody waits.
type Gate struct {
	mu       sync.Mutex
	held     time.Time // nobody passes before
	calls    lane
	connects lane
	hurried  lane // of connects that do not wait until the gate is not held any more
	// asked says that calls have to ask, since the gate may be held. A call that need not costs nothing.
	asked atomic.Bool
}

// New returns a gate that lets at most so many connects pass in any second, a fifth of them at once; and as many of the
// calls that a hold has kept waiting. A rate that is not positive is no limit.
func New(rate int) *Gate {
	g := &Gate{calls: newLane(rate), connects: newLane(rate), hurried: newLane(rate)}
	g.hurried.never = true
	return g
}

// Call returns when a call may be made. It returns false, at once, when ctx ends first. Nobody waits who comes while the
// gate is not held, however many still do: else a program that makes more calls than the rate would be slow for ever. A
// call whose context would end while the gate is held passes at once, so that the Hub says what is the matter; one whose
// context would end before its turn waits no longer than the gate is held.
func (g *Gate) Call(ctx context.Context) bool {
	if !g.asked.Load() {
		return true
	}
	return g.call(ctx, false)
}

// Again is Call for one that was too many, and has waited: its turn comes in order even if the gate is not held any more.
func (g *Gate) Again(ctx context.Context) bool { return g.call(ctx, true) }

func (g *Gate) call(ctx context.Context, inOrder bool) bool {
	g.mu.Lock()
	held := time.Until(g.held)
	if held <= 0 {
		g.asked.Store(false)
	}
	deadline, limited := ctx.Deadline()
	switch {
	case held <= 0 && !inOrder, limited && deadline.Before(g.held):
		g.mu.Unlock()
		return ctx.Err() == nil
	case limited && deadline.Before(g.calls.turn(g.held)):
		g.mu.Unlock()
		return backoff.Sleep(ctx, held)
	}
	return g.pass(ctx, &g.calls)
}

// Connect returns when a connection may be opened. It returns false, at once, when ctx ends first. If ctx would end while
// the gate is held, that is not waited for, and only the rate counts.
func (g *Gate) Connect(ctx context.Context) bool {
	by, _ := ctx.Deadline()
	return g.ConnectBy(ctx, by)
}

// ConnectBy is Connect for a connection that is of no use later than by, unless that is zero.
func (g *Gate) ConnectBy(ctx context.Context, by time.Time) bool {
	g.mu.Lock()
	if !by.IsZero() && by.Before(g.held) {
		return g.pass(ctx, &g.hurried)
	}
	return g.pass(ctx, &g.connects)
}

// Hold lets nobody pass for so long from now on.
func (g *Gate) Hold(d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if until := time.Now().Add(d); until.After(g.held) {
		g.held = until
		g.asked.Store(true)
	}
}

// pass waits in a lane, in order. The mutex is held, and is not any more when it returns.
func (g *Gate) pass(ctx context.Context, l *lane) bool {
	if l.waiting.Len() == 0 && l.take(g.held) == 0 {
		g.mu.Unlock()
		return ctx.Err() == nil
	}
	passed := make(chan struct{})
	place := l.waiting.PushBack(passed)
	if l.timer == nil {
		l.timer = time.AfterFunc(l.due(g.held), func() { g.release(l) })
	}
	g.mu.Unlock()
	select {
	case <-passed:
		return ctx.Err() == nil
	case <-ctx.Done():
		g.mu.Lock()
		defer g.mu.Unlock()
		l.waiting.Remove(place) // does nothing if it has passed
		return false
	}
}

// release lets those pass whose time has come.
func (g *Gate) release(l *lane) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for l.waiting.Len() > 0 {
		if wait := l.take(g.held); wait > 0 {
			l.timer.Reset(wait)
			return
		}
		close(l.waiting.Remove(l.waiting.Front()).(chan struct{}))
	}
	l.timer = nil
}

// lane is where those wait who pass one after the other.
type lane struct {
	interval time.Duration // between two
	ahead    time.Duration // how much may be saved up
	next     time.Time     // when the next one would pass if nothing were saved up
	waiting  list.List     // of channels that are closed
	timer    *time.Timer   // set while somebody waits
	never    bool          // held
}

func newLane(rate int) lane {
	if rate <= 0 {
		return lane{}
	}
	atOnce := max(1, rate/5)
	interval := time.Second / time.Duration(max(1, rate-atOnce))
	if atOnce == 1 {
		interval = time.Second / time.Duration(rate)
	}
	return lane{interval: interval, ahead: time.Duration(atOnce-1) * interval}
}

// due returns how long the next one has to wait.
func (l *lane) due(held time.Time) time.Duration {
	now := time.Now()
	if l.never {
		held = now
	}
	return max(0, held.Sub(now), l.next.Add(-l.ahead).Sub(now))
}

// turn is when one who comes now would pass.
func (l *lane) turn(held time.Time) time.Time {
	from := time.Now()
	if from.Before(held) {
		from = held
	}
	next := from
	if next.Before(l.next) {
		next = l.next
	}
	if next = next.Add(time.Duration(l.waiting.Len())*l.interval - l.ahead); next.Before(from) {
		return from
	}
	return next
}

// take lets one pass if its time has come, and returns how long it has to wait otherwise.
func (l *lane) take(held time.Time) time.Duration {
	wait := l.due(held)
	if wait == 0 {
		if now := time.Now(); l.next.Before(now) {
			l.next = now
		}
		l.next = l.next.Add(l.interval)
	}
	return wait
}
