package transport

import (
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// FuzzRetryAfter compares with a reading that has no range to leave: whatever a gateway writes, a wait is what it says, never
// negative and at most a year.
func FuzzRetryAfter(f *testing.F) {
	const date = "Thu, 15 Jan 2026 09:30:00 GMT"
	for _, seed := range [][4]string{
		{"7", date, "", ""}, {"Thu, 15 Jan 2026 09:31:00 GMT", date, "", ""}, {"Thursday, 15-Jan-26 09:31:00 GMT", "", "", ""},
		{"soon", date, "1768469410", "3"}, {"-1", "today", "", "1.5"}, {"", "Fri, 31 Dec 9999 23:59:59 GMT", "253402300799", ""},
		{"Fri, 31 Dec 9999 23:59:59 GMT", date, "", ""}, {"", "Mon, 01 Jan 0001 00:00:00 GMT", "1768469410.123", ""}, {"1e3", "", "99999999999999", "1_0"},
		{"", date, "4102444800", ""}, {"", date, "1.", ".5"}, {"9223372036854775807", "", "", "9223372036854775807"},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3], uint16(429))
		f.Add(seed[0], seed[1], seed[2], seed[3], uint16(503))
	}
	f.Fuzz(func(t *testing.T, after, date, reset, limit string, status uint16) {
		now := time.Date(2026, 1, 15, 9, 30, 0, 0, time.UTC)
		header := http.Header{"Retry-After": {after}, "Date": {date}, "X-Ratelimit-Reset": {reset}, "X-Ratelimit-Retry-After": {limit}}
		got, ok := RetryAfter(int(status), header, now)
		want := referenceWait(int(status), header, now)
		require.Equal(t, want != nil, ok, "%q", header)
		if !ok {
			require.Zero(t, got)
			return
		}
		require.GreaterOrEqual(t, got, time.Duration(0), "%q", header)
		require.LessOrEqual(t, got, longestWait, "%q", header)
		exact, _ := want.Float64()
		require.InDelta(t, min(max(exact, 0), longestWait.Seconds()), got.Seconds(), 1e-5, "%q", header)
	})
}

// referenceWait is the wait in seconds, nil if none is asked for.
func referenceWait(status int, h http.Header, now time.Time) *big.Rat {
	if at, err := http.ParseTime(h.Get("Date")); err == nil {
		now = at
	}
	number := func(name string) *big.Rat {
		text := strings.TrimSpace(h.Get(name))
		whole, fraction, _ := strings.Cut(text, ".")
		if whole+fraction == "" || strings.Trim(whole+fraction, "0123456789") != "" {
			return nil
		}
		value, _ := new(big.Rat).SetString("0" + whole + "." + fraction + "0")
		return value
	}
	if after := number("Retry-After"); after != nil {
		return after
	}
	if at, err := http.ParseTime(strings.TrimSpace(h.Get("Retry-After"))); err == nil {
		return big.NewRat(at.Unix()-now.Unix(), 1)
	}
	if status != http.StatusTooManyRequests && status != http.StatusConflict {
		return nil
	}
	if reset := number("X-Ratelimit-Reset"); reset != nil {
		return reset.Sub(reset, big.NewRat(now.Unix(), 1))
	}
	return number("X-Ratelimit-Retry-After")
}
