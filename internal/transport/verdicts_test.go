package transport

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestClassify_Statuses: the verdict on every status, with and without what says that there were too many calls.
func TestClassify_Statuses(t *testing.T) {
	gateways := []int{502, 503, 504, 520, 521, 522, 523, 524, 530}
	for status := 100; status < 600; status++ {
		want := Rejected
		switch {
		case 200 <= status && status <= 299:
			want = None
		case status == 429:
			want = Limited
		case status == 408, status == 425:
			want = TooLate
		case slices.Contains(gateways, status):
			want = Unavailable
		case status == 501:
			want = Rejected
		case 500 <= status:
			want = Broken
		}
		assert.Equal(t, want, Classify(status, nil, nil), "%d", status)
		if status == 409 {
			want = Limited
		}
		for _, name := range []string{"X-Ratelimit-Remaining", "X-Ratelimit-Reset", "X-Ratelimit-Retry-After", "Retry-After"} {
			if hasRateLimit(http.Header{name: {"1"}}) {
				assert.Equal(t, want, Classify(status, http.Header{name: {"1"}}, nil), "%d with %s", status, name)
			}
		}
	}
}

// TestFailure: what follows from each verdict, as the retry table of the package documentation has it.
func TestFailure(t *testing.T) {
	type verdict struct{ transient, permanent, neverSent, doubtful, repeated, repeatedCreate, unknown bool }
	const yes, no = true, false
	for f, want := range map[Failure]verdict{
		None:         {no, no, no, no, no, no, no},
		NeverSent:    {yes, no, yes, no, yes, yes, no},
		UnknownHost:  {yes, no, yes, no, yes, yes, no},
		Untrusted:    {no, yes, yes, no, no, no, no},
		Unprocessed:  {yes, no, no, no, yes, yes, no},
		Lost:         {yes, no, no, yes, yes, no, yes},
		Limited:      {yes, no, no, no, yes, yes, no},
		Unavailable:  {yes, no, no, yes, yes, no, yes},
		TooLate:      {yes, no, no, no, yes, no, no},
		Broken:       {yes, no, no, no, no, no, yes},
		Unusable:     {no, no, no, no, no, no, yes},
		Rejected:     {no, yes, no, no, no, no, no},
		Ended:        {no, no, no, no, no, no, yes},
		NoCredential: {no, no, yes, no, no, no, no},
	} {
		got := verdict{f.Transient(), f.Permanent(), f.NeverSent(), f.doubtful(), f.Repeats(true), f.Repeats(false), f.Unknown()}
		assert.Equal(t, want, got, fmt.Sprint(int(f)))
	}
}
