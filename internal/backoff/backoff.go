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

// Attempts counts failures in a row. The count and the waits begin anew at different times: a connection
// that always ends after a few seconds works, but must not be made again at once each time.
type Attempts struct {
	Max         int           // so many attempts may follow a success
	Least, Most time.Duration // bounds of the waits, as for Delay

	failed, waits int
}

// Next counts a failure. It returns how long to wait before the next attempt, and false if there have
// been too many.
func (a *Attempts) Next() (time.Duration, bool) {
	if a.failed >= a.Max {
		return 0, false
	}
	a.failed++
	a.waits++
	return Delay(a.waits-1, a.Least, a.Most), true
}

// Failed returns the number of failures since the count began.
func (a *Attempts) Failed() int { return a.failed }

// Succeeded begins the count anew. The waits go on growing.
func (a *Attempts) Succeeded() { a.failed = 0 }

// Reset begins the count and the waits anew.
func (a *Attempts) Reset() { a.failed, a.waits = 0, 0 }
