package transport

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/agentuity/coder-go/internal/backoff"
)

// Policy is the retry policy. The coder package documents its fields.
type Policy struct {
	MaxAttempts       int
	MinBackoff        time.Duration
	MaxBackoff        time.Duration
	UnavailableWindow time.Duration
	MaxRetryAfter     time.Duration
}

// WithDefaults replaces zero fields.
func (p Policy) WithDefaults() Policy {
	orDefault(&p.MaxAttempts, 4)
	orDefault(&p.MinBackoff, 100*time.Millisecond)
	orDefault(&p.MaxBackoff, 5*time.Second)
	orDefault(&p.UnavailableWindow, 30*time.Second)
	orDefault(&p.MaxRetryAfter, 60*time.Second)
	return p
}

func orDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// wait returns the time until the next attempt, or false when there is none. It is called once
// for every failed attempt.
func (c *call) wait(f Failure) (time.Duration, bool) {
	p := c.transport.policy
	p.MaxAttempts = cmp.Or(c.request.Attempts, p.MaxAttempts)
	if p.MaxAttempts <= 1 || !f.Repeats(c.request.Idempotent) {
		return 0, false
	}
	remaining := time.Duration(-1)
	if f.outlasts() && p.UnavailableWindow > 0 {
		now := time.Now()
		if c.windowEnd.IsZero() {
			c.windowEnd = now.Add(p.UnavailableWindow)
		}
		if remaining = c.windowEnd.Sub(now); remaining <= 0 {
			return 0, false
		}
	} else if c.counted++; c.counted >= p.MaxAttempts {
		return 0, false
	}

	own := backoff.Delay(c.backoffs, p.MinBackoff, p.MaxBackoff)
	c.backoffs++
	if remaining >= 0 {
		own = min(own, remaining)
	}
	left := time.Duration(math.MaxInt64) // until the deadline
	if deadline, ok := c.Deadline(); ok {
		left = time.Until(deadline)
	}
	wait, asked := own, time.Duration(0)
	if after, ok := RetryAfter(c.outcome.Status, c.outcome.Header, time.Now()); ok {
		if after > p.MaxRetryAfter || remaining >= 0 && after > remaining || after > left {
			return 0, false
		}
		// Retry-After is a minimum. Some of our own wait on top spreads the clients that were told the
		// same, and keeps "Retry-After: 0" from becoming a tight loop.
		asked = after
		wait = max(own, asked+jitter(p.MinBackoff))
	}
	if left > lastAttempt { // a last attempt is worth more than the rest of a wait
		wait = min(wait, max(asked, left-lastAttempt))
	}
	return wait, true
}

// TooMany keeps all calls from being made if a Hub has answered that there are too many requests, for as long as it says and
// the policy accepts.
func (t *Transport) TooMany(ctx context.Context, status int, header http.Header) {
	if status != http.StatusTooManyRequests || t.policy.MaxAttempts <= 1 {
		return
	}
	asked, ok := RetryAfter(status, header, time.Now())
	switch {
	case !ok:
		asked = t.policy.MinBackoff
	case asked > t.policy.MaxRetryAfter:
		return
	}
	t.logger.LogAttrs(ctx, slog.LevelDebug, "coder hub has too many requests: all calls wait", slog.Duration("duration", asked))
	t.gate.Hold(asked)
}

// lastAttempt is how long before the deadline of a call its last attempt begins.
const lastAttempt = 100 * time.Millisecond

func jitter(most time.Duration) time.Duration {
	if most <= 0 {
		return 0
	}
	return rand.N(most)
}

// outlasts reports whether this failure is repeated for UnavailableWindow, however many attempts that
// takes.
func (f Failure) outlasts() bool { return f == NeverSent || f == Unavailable }

// hasRateLimit tells whether a 409 is about the rate of requests rather than about state.
func hasRateLimit(h http.Header) bool {
	return h.Get("Retry-After") != "" || h.Get("X-Ratelimit-Reset") != "" || h.Get("X-Ratelimit-Retry-After") != ""
}

// RetryAfter reads how long the Hub asks to wait: Retry-After in seconds or as a date, else, where
// the rate of requests is what it complains of, X-RateLimit-Reset in Unix seconds, else
// X-RateLimit-Retry-After in seconds: gateways put those on answers of any kind. Times are measured by
// the clock of the answer, its Date, where there is one. A value that cannot be read counts as absent, a
// time that has passed as 0. A wait is at most a year.
func RetryAfter(status int, h http.Header, now time.Time) (time.Duration, bool) {
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date
	}
	if v := strings.TrimSpace(h.Get("Retry-After")); v != "" {
		if n, ok := seconds(v); ok {
			return waitOf(n), true
		}
		if at, err := http.ParseTime(v); err == nil {
			return waitOf(at.Sub(now).Seconds()), true
		}
	}
	if status != http.StatusTooManyRequests && status != http.StatusConflict {
		return 0, false
	}
	if n, ok := seconds(strings.TrimSpace(h.Get("X-Ratelimit-Reset"))); ok {
		return waitOf(n - float64(now.Unix()) - float64(now.Nanosecond())/1e9), true
	}
	n, ok := seconds(strings.TrimSpace(h.Get("X-Ratelimit-Retry-After")))
	return waitOf(n), ok
}

// longestWait is what a longer wait is cut to, so that nothing overflows.
const longestWait = 365 * 24 * time.Hour

// waitOf is a number of seconds, brought into the range of waits.
func waitOf(seconds float64) time.Duration {
	return time.Duration(min(max(seconds, 0), longestWait.Seconds()) * float64(time.Second))
}

// seconds reads a decimal number of seconds, fractions included.
func seconds(v string) (float64, bool) {
	n, err := strconv.ParseFloat(v, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) || n < 0 || strings.Trim(v, "0123456789.") != "" {
		return 0, false
	}
	return n, true
}
