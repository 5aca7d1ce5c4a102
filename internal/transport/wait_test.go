package transport

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/agentuity/coder-go/internal/gate"
)

// failing is a call whose attempts fail, with the default policy except for what is given.
func failing(ctx context.Context, policy Policy, status int, header http.Header) *call {
	return &call{
		Context: ctx, transport: newTransport(http.Client{}, policy), request: Request{Idempotent: true},
		outcome: Outcome{Status: status, Header: header},
	}
}

func retryAfter(seconds string) http.Header { return http.Header{"Retry-After": {seconds}} }

// often makes what is random show itself.
const often = 200

// TestWait_Attempts: failures that do not outlast MaxAttempts are counted; the waits between them double.
func TestWait_Attempts(t *testing.T) {
	for attempts := range 6 {
		for _, policy := range []Policy{{MaxAttempts: attempts}, {MaxAttempts: 9}} {
			c := failing(t.Context(), policy.WithDefaults(), 429, nil)
			if policy.MaxAttempts == 9 {
				c.request.Attempts = attempts // of this request
				if attempts == 0 {
					attempts = 9
				}
			} else if attempts == 0 {
				attempts = 4 // by default
			}
			waits := 0
			for {
				wait, ok := c.wait(Limited)
				if !ok {
					break
				}
				least := 100 * time.Millisecond << waits
				assert.True(t, least/2 <= wait && wait <= least, "%d: %v", waits, wait)
				waits++
			}
			assert.Equal(t, attempts-1, waits)
		}
	}
	c := failing(t.Context(), Policy{}.WithDefaults(), 400, nil)
	_, ok := c.wait(Rejected)
	assert.False(t, ok, "it stays so")
	c.request.Idempotent = false
	_, ok = c.wait(Lost)
	assert.False(t, ok, "it may have been done")
	c = failing(t.Context(), Policy{MaxAttempts: 2, MinBackoff: time.Second, MaxBackoff: time.Second, UnavailableWindow: -1}, 503, nil)
	_, ok = c.wait(Unavailable)
	assert.True(t, ok, "without a window it is counted as others are")
	_, ok = c.wait(Unavailable)
	assert.False(t, ok)
}

// TestWait_Window: what a Hub that is away does is tried again until the window ends, not a moment longer, and the last attempt is
// made at its end.
func TestWait_Window(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const window = 30 * time.Second
		c := failing(t.Context(), Policy{MaxAttempts: 2, MinBackoff: time.Second, MaxBackoff: time.Second, UnavailableWindow: window}, 503, nil)
		for range 5 {
			_, ok := c.wait(Unavailable)
			assert.True(t, ok, "more often than MaxAttempts")
		}
		time.Sleep(window - time.Millisecond)
		for range often {
			wait, ok := c.wait(Unavailable)
			assert.True(t, ok)
			assert.Equal(t, time.Millisecond, wait, "no longer than the window")
		}
		time.Sleep(time.Millisecond)
		_, ok := c.wait(Unavailable)
		assert.False(t, ok, "the window is over")
	})
}

// TestWait_RetryAfter: what a Hub asks for is the least, and is not exceeded by much; what is too long ends the call.
func TestWait_RetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		deadline := func(left time.Duration) context.Context {
			ctx, cancel := context.WithTimeout(t.Context(), left)
			t.Cleanup(cancel)
			return ctx
		}
		policy := Policy{MinBackoff: time.Second, MaxBackoff: time.Second, MaxRetryAfter: 40 * time.Second}.WithDefaults()
		for name, test := range map[string]struct {
			ctx     context.Context
			failure Failure
			asked   string
			wait    bool
		}{
			"for a while":                {t.Context(), Limited, "20", true},
			"at most":                    {t.Context(), Limited, "40", true},
			"too long":                   {t.Context(), Limited, "41", false},
			"until the window ends":      {t.Context(), Unavailable, "30", true},
			"beyond the window":          {t.Context(), Unavailable, "31", false},
			"until the deadline":         {deadline(20 * time.Second), Limited, "20", true},
			"beyond the deadline":        {deadline(20 * time.Second), Limited, "21", false},
			"of a failure with a window": {t.Context(), NeverSent, "20", true},
		} {
			status := map[Failure]int{Limited: 429, Unavailable: 503, NeverSent: 503}[test.failure]
			asked, _ := RetryAfter(status, retryAfter(test.asked), time.Now())
			longest := time.Duration(0)
			for range often {
				c := failing(test.ctx, policy, status, retryAfter(test.asked))
				wait, ok := c.wait(test.failure)
				assert.Equal(t, test.wait, ok, name)
				if !ok {
					break
				}
				assert.True(t, asked <= wait && wait < asked+policy.MinBackoff, "%s: %v", name, wait)
				longest = max(longest, wait)
			}
			if _, limited := test.ctx.Deadline(); test.wait && !limited {
				assert.Greater(t, longest, asked+policy.MinBackoff/2, "%s: those that were told the same are spread", name)
			}
		}
	})
}

// TestWait_Deadline: a last attempt is worth more than the rest of a wait.
func TestWait_Deadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for left, want := range map[time.Duration]time.Duration{
			time.Hour: 0, time.Second: 900 * time.Millisecond, 101 * time.Millisecond: time.Millisecond,
			100 * time.Millisecond: 0, 50 * time.Millisecond: 0, // there is no time for it
		} {
			ctx, cancel := context.WithTimeout(t.Context(), left)
			c := failing(ctx, Policy{MinBackoff: 10 * time.Second, MaxBackoff: 10 * time.Second}.WithDefaults(), 429, nil)
			wait, ok := c.wait(Limited)
			assert.True(t, ok)
			if want == 0 {
				assert.True(t, 5*time.Second <= wait && wait <= 10*time.Second, "%v: %v", left, wait)
			} else {
				assert.Equal(t, want, wait, "%v", left)
			}
			cancel()
		}
	})
}

// TestTooMany: all calls wait after a 429, for as long as it says, or a little; and not where that is not accepted, or nothing is
// tried again.
func TestTooMany(t *testing.T) {
	for name, test := range map[string]struct {
		policy Policy
		status int
		header http.Header
		held   time.Duration
	}{
		"as long as it says":   {Policy{}, 429, retryAfter("7"), 7 * time.Second},
		"a little":             {Policy{}, 429, nil, 100 * time.Millisecond},
		"as long as is taken":  {Policy{MaxRetryAfter: 7 * time.Second}, 429, retryAfter("7"), 7 * time.Second},
		"too long":             {Policy{MaxRetryAfter: 7 * time.Second}, 429, retryAfter("8"), 0},
		"another status":       {Policy{}, 503, retryAfter("7"), 0},
		"nothing tried again":  {Policy{MaxAttempts: 1}, 429, retryAfter("7"), 0},
		"something tried once": {Policy{MaxAttempts: 2}, 429, retryAfter("7"), 7 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr := newTransport(http.Client{}, test.policy.WithDefaults())
				tr.TooMany(t.Context(), test.status, test.header)
				began := time.Now()
				assert.True(t, tr.gate.Call(t.Context()))
				took := time.Since(began)
				assert.True(t, test.held <= took && took <= 2*test.held, "held for %v, and not %v", took, test.held)
			})
		})
	}
}

// TestTooMany_Others: a call that is tried again for another reason does not queue up with those that were too many.
func TestTooMany_Others(t *testing.T) {
	for status, queued := range map[int]bool{http.StatusBadGateway: false, http.StatusTooManyRequests: true} {
		synctest.Test(t, func(t *testing.T) {
			tr := New(Config{
				HTTPClient: http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
					answer := &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: r}
					if callOf(r.Context()).attempts == 1 {
						answer.StatusCode = status
					}
					return answer, nil
				})},
				Policy: Policy{MinBackoff: time.Millisecond, MaxBackoff: time.Millisecond}, Logger: slog.New(slog.DiscardHandler), MaxBody: 1, Silence: time.Minute,
				Gate: gate.New(1), // one in a second
			})
			began := time.Now()
			var calls sync.WaitGroup
			for range 10 {
				calls.Go(func() {
					o := tr.Do(t.Context(), &Request{Method: http.MethodGet, URL: "http://hub", Idempotent: true})
					assert.Equal(t, 2, o.Attempts)
					o.Body.Release()
				})
			}
			calls.Wait()
			assert.Equal(t, queued, time.Since(began) > time.Second, "%d: %v", status, time.Since(began))
		})
	}
}

func TestJitter(t *testing.T) {
	assert.Zero(t, jitter(0))
	assert.Zero(t, jitter(-1))
	longest := time.Duration(0)
	for range often {
		j := jitter(time.Second)
		assert.True(t, 0 <= j && j < time.Second)
		longest = max(longest, j)
	}
	assert.Greater(t, longest, time.Second/2)
}

func TestHasRateLimit(t *testing.T) {
	for name, want := range map[string]bool{"Retry-After": true, "X-Ratelimit-Reset": true, "X-Ratelimit-Retry-After": true, "X-Ratelimit-Remaining": false} {
		assert.Equal(t, want, hasRateLimit(http.Header{name: {"1"}}), name)
	}
	assert.False(t, hasRateLimit(nil))
}
