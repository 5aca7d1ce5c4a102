// Package poll looks at something again and again until it is as wanted.
package poll

import (
	"context"
	"time"
)

// Poll says how often and how long to look.
type Poll struct {
	Interval time.Duration // before each look
	Timeout  time.Duration // for all of them
}

// Run waits and looks, in turn, until look reports that it is done or fails, or the time is up,
// which is no error. The context given to look ends with the time; the end of ctx is an error.
func (p Poll) Run(ctx context.Context, look func(context.Context) (done bool, err error)) error {
	bounded, cancel := context.WithTimeout(ctx, p.Timeout)
	defer cancel()
	for {
		timer := time.NewTimer(p.Interval)
		select {
		case <-timer.C:
		case <-bounded.Done():
			timer.Stop()
			return ctx.Err()
		}
		done, err := look(bounded)
		switch {
		case ctx.Err() != nil && !done:
			return ctx.Err()
		case err != nil || done:
			return err
		case bounded.Err() != nil:
			return nil
		}
	}
}
