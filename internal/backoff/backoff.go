// Package backoff has what every loop needs that tries something again: how long to wait, how to wait,
// and when to give up.
package backoff

import (
	"context"
	"math/rand/v2"
	"time"
)

// Delay returns the wait after the n-th failure in a row, counted from 0. It doubles from least to most;
// up to half of it is taken off at random, so that clients that failed together do not return together.
func Delay(n int, least, most time.Duration) time.Duration {
	d := least
	for range n {
		if d > most/2 {
			d = most
			break
		}
		d *= 2
	}
	d = min(d, most)
	return d - rand.N(d/2+1)
}

// Sleep waits for d. It returns false, at once, when ctx ends first.
func Sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return ctx.Err() == nil
	}
}

// Attempts counts failures in a row.
type Attempts struct {
	Max         int           // so many attempts may follow a success
	Least, Most time.Duration // bounds of the waits, as for Delay

	failed int
}

// Next counts a failure. It returns how long to wait before the next attempt, and false if there have
// been too many.
func (a *Attempts) Next() (time.Duration, bool) {
	if a.failed >= a.Max {
		return 0, false
	}
	a.failed++
	return Delay(a.failed-1, a.Least, a.Most), true
}

// Failed returns the number of failures since the last Reset.
func (a *Attempts) Failed() int { return a.failed }

// Reset says that an attempt has succeeded.
func (a *Attempts) Reset() { a.failed = 0 }
