package transport

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 15, 9, 30, 0, 0, time.UTC)
	const year = 365 * 24 * time.Hour
	for name, test := range map[string]struct {
		header http.Header
		want   time.Duration
		ok     bool
	}{
		"nothing":              {nil, 0, false},
		"seconds":              {http.Header{"Retry-After": {"7"}}, 7 * time.Second, true},
		"zero":                 {http.Header{"Retry-After": {"0"}}, 0, true},
		"blanks":               {http.Header{"Retry-After": {" 7 "}}, 7 * time.Second, true},
		"date":                 {http.Header{"Retry-After": {"Thu, 15 Jan 2026 09:31:00 GMT"}}, time.Minute, true},
		"date that has passed": {http.Header{"Retry-After": {"Thu, 15 Jan 2026 09:00:00 GMT"}}, 0, true},
		"negative":             {http.Header{"Retry-After": {"-7"}}, 0, false},
		"fraction":             {http.Header{"Retry-After": {"1.5"}}, 1500 * time.Millisecond, true},
		"no number":            {http.Header{"Retry-After": {"NaN"}}, 0, false},
		"without an end":       {http.Header{"Retry-After": {"Inf"}}, 0, false},
		"hexadecimal":          {http.Header{"Retry-After": {"0x10"}}, 0, false},
		"date, by the answer's own clock": {http.Header{
			"Retry-After": {"Thu, 15 Jan 2026 10:31:00 GMT"}, "Date": {"Thu, 15 Jan 2026 10:30:00 GMT"},
		}, time.Minute, true},
		"reset, by the answer's own clock": {http.Header{
			"X-Ratelimit-Reset": {"1768473010.5"}, "Date": {"Thu, 15 Jan 2026 10:30:00 GMT"},
		}, 10500 * time.Millisecond, true},
		"a Date that is none": {http.Header{
			"Retry-After": {"Thu, 15 Jan 2026 09:31:00 GMT"}, "Date": {"today"},
		}, time.Minute, true},
		"beyond a Duration":        {http.Header{"Retry-After": {"9223372036854775807"}}, year, true},
		"a date beyond a Duration": {http.Header{"Retry-After": {"Fri, 31 Dec 9999 23:59:59 GMT"}}, year, true},
		"a clock beyond a Duration": {http.Header{
			"X-Ratelimit-Reset": {"253402300799"}, "Date": {"Fri, 31 Dec 9999 23:59:49 GMT"},
		}, 10 * time.Second, true},
		"a reset beyond a float":  {http.Header{"X-Ratelimit-Reset": {strings.Repeat("9", 400)}}, year, true},
		"garbage, then reset":     {http.Header{"Retry-After": {"soon"}, "X-Ratelimit-Reset": {"1768469410"}}, 10 * time.Second, true},
		"reset that has passed":   {http.Header{"X-Ratelimit-Reset": {"1"}}, 0, true},
		"reset wins over seconds": {http.Header{"X-Ratelimit-Reset": {"1768469410"}, "X-Ratelimit-Retry-After": {"3"}}, 10 * time.Second, true},
		"seconds of a rate limit": {http.Header{"X-Ratelimit-Retry-After": {"3"}}, 3 * time.Second, true},
		"Retry-After wins":        {http.Header{"Retry-After": {"1"}, "X-Ratelimit-Reset": {"1768469410"}}, time.Second, true},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := RetryAfter(429, test.header, now)
			assert.Equal(t, test.want, got)
			assert.Equal(t, test.ok, ok)
			if test.header.Get("Retry-After") == "" {
				_, ok = RetryAfter(502, test.header, now)
				assert.False(t, ok, "it is about the rate, not about this answer")
			}
		})
	}
}

// TestRetryAfter_Nanoseconds: without a Date the time is this machine's, which has parts of a second.
func TestRetryAfter_Nanoseconds(t *testing.T) {
	got, ok := RetryAfter(429, http.Header{"X-Ratelimit-Reset": {"102"}}, time.Unix(100, 500_000_000))
	assert.True(t, ok)
	assert.Equal(t, 1500*time.Millisecond, got)
}

func TestPolicyDefaults(t *testing.T) {
	assert.Equal(t, Policy{4, 100 * time.Millisecond, 5 * time.Second, 30 * time.Second, time.Minute}, Policy{}.WithDefaults())
	given := Policy{1, 2, 3, -4, 5}
	assert.Equal(t, given, given.WithDefaults())
}
