// Package poll looks at something again and again until it is as wanted.
package poll

import (
	"context"
	"time"

	"github.com/agentuity/coder-go/internal/backoff"
)

// Poll says how often and how long to look.
type Poll struct {
	Interval    time.Duration // the least time between two looks
	MaxInterval time.Duration // what that grows to while nothing changes; not above Interval: it stays
	Timeout     time.Duration // for all looks together; 0: none
	AtOnce      bool          // the first look is not waited for
	Bell        *Bell         // says when to look; nil: nothing does
}

// Bell says when it is worth looking. While it listens, looks are MaxInterval apart where it does not ring.
type Bell struct {
	Rings   <-chan struct{}
	Listens func() bool
	Pause   time.Duration // the least time between two looks
}

// Sight is what a look has shown.
type Sight struct {
	Done    bool          // there is no need for another look
	Changed bool          // the next look is due after Interval, however long it was before
	Due     time.Duration // the next look is due after so long, but not before Interval, with a Bell its Pause; 0: when it is
	Wait    time.Duration // the next look is not due before that
}

// Run waits and looks, in turn, until look reports that it is done or fails, or the time is up,
// which is no error. The context given to look ends with the time; the end of ctx is an error.
func (p Poll) Run(ctx context.Context, look func(context.Context) (Sight, error)) error {
	bounded := ctx
	if p.Timeout > 0 {
		var cancel context.CancelFunc
		bounded, cancel = context.WithTimeout(ctx, p.Timeout)
		defer cancel()
	}
	interval, wait := p.Interval, p.Interval
	least := p.Interval
	if p.Bell != nil {
		least = min(least, p.Bell.Pause)
	}
	var notBefore time.Duration
	for first := true; ; first = false {
		if !(first && p.AtOnce) && !p.sleep(bounded, wait, notBefore) {
			return ctx.Err()
		}
		sight, err := look(bounded)
		switch {
		case ctx.Err() != nil && !sight.Done:
			return ctx.Err()
		case err != nil || sight.Done:
			return err
		case bounded.Err() != nil:
			return nil
		}
		if first || sight.Changed {
			interval = p.Interval
		} else {
			interval = p.longer(interval)
		}
		wait = interval
		if p.Bell != nil && p.Bell.Listens() {
			wait = max(p.Interval, p.MaxInterval)
		}
		if sight.Due > 0 {
			wait = max(least, min(wait, sight.Due))
		}
		notBefore = max(least, sight.Wait)
		wait = max(wait, sight.Wait)
	}
}

// sleep waits for the next look. The bell can make it earlier, but not than notBefore.
func (p Poll) sleep(ctx context.Context, wait, notBefore time.Duration) bool {
	if p.Bell == nil {
		return backoff.Sleep(ctx, wait)
	}
	began := time.Now()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return ctx.Err() == nil
	case <-p.Bell.Rings:
		return backoff.Sleep(ctx, notBefore-time.Since(began))
	}
}

// longer returns the interval that follows when nothing has changed.
func (p Poll) longer(interval time.Duration) time.Duration {
	return max(p.Interval, min(interval+interval/2, p.MaxInterval))
}
