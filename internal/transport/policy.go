package transport

import (
	"cmp"
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
	asked, ok := RetryAfter(c.outcome.Status, c.outcome.Header, time.Now())
	if !ok {
		return own, true
	}
	if asked > p.MaxRetryAfter || remaining >= 0 && asked > remaining {
		return 0, false
	}
	// The Hub's word is a minimum. Some of our own wait on top spreads the clients that were
	// told the same; it also keeps "Retry-After: 0" from becoming a tight loop.
	return max(own, asked+rand.N(p.MinBackoff)), true
}

// outlasts reports whether this failure is repeated for UnavailableWindow, however many attempts that
// takes.
func (f Failure) outlasts() bool { return f == NeverSent || f == Refusing || f == Unavailable }

// hasRateLimit tells whether a 409 is about the rate of requests rather than about state.
func hasRateLimit(h http.Header) bool {
	return h.Get("Retry-After") != "" || h.Get("X-Ratelimit-Reset") != "" || h.Get("X-Ratelimit-Retry-After") != ""
}

// RetryAfter reads how long the Hub asks to wait: Retry-After in seconds or as a date, else, where
// the rate of requests is what it complains of, X-RateLimit-Reset in Unix seconds, else
// X-RateLimit-Retry-After in seconds: gateways put those on answers of any kind. A value that
// cannot be read counts as absent, a time that has passed as 0.
func RetryAfter(status int, h http.Header, now time.Time) (time.Duration, bool) {
	if v := strings.TrimSpace(h.Get("Retry-After")); v != "" {
		if d, ok := seconds(v); ok {
			return d, true
		}
		if at, err := http.ParseTime(v); err == nil {
			return max(0, at.Sub(now)), true
		}
	}
	if status != http.StatusTooManyRequests && status != http.StatusConflict {
		return 0, false
	}
	if v := strings.TrimSpace(h.Get("X-Ratelimit-Reset")); v != "" {
		if unix, err := strconv.ParseInt(v, 10, 64); err == nil {
			return max(0, time.Unix(unix, 0).Sub(now)), true
		}
	}
	return seconds(strings.TrimSpace(h.Get("X-Ratelimit-Retry-After")))
}

// seconds reads a number of seconds; more than a year is a year, so that nothing overflows.
func seconds(v string) (time.Duration, bool) {
	n, err := strconv.ParseUint(v, 10, 63)
	if err != nil {
		return 0, false
	}
	return time.Duration(min(n, 365*24*3600)) * time.Second, true
}
