package transport

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// drip is a body that brings a piece every so often until its request ends.
type drip struct {
	ctx   context.Context
	every time.Duration
	piece string
	left  int // pieces
}

func (d *drip) Read(p []byte) (int, error) {
	if d.left == 0 {
		return 0, io.EOF
	}
	select {
	case <-time.After(d.every):
		d.left--
		return copy(p, d.piece), nil
	case <-d.ctx.Done():
		return 0, d.ctx.Err()
	}
}

func (d *drip) Close() error { return nil }

func dripping(status int, every time.Duration, piece string, pieces int) http.Client {
	return http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		return &http.Response{
			StatusCode: status, Header: http.Header{}, ContentLength: -1, Request: r,
			Body: &drip{r.Context(), every, piece, pieces},
		}, nil
	})}
}

// TestABodyThatDrips: one that brings less than 1 KiB in 60 s is a lost connection, one that brings more
// is only slow.
func TestABodyThatDrips(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		tr := newTransport(dripping(200, 10*time.Second, "x", 1000), once)
		o := tr.Do(t.Context(), &Request{Method: http.MethodGet, URL: "http://hub", Idempotent: true})
		require.ErrorIs(t, o.Err, ErrSilent)
		assert.Equal(t, Lost, o.Failure)
		assert.Equal(t, time.Minute, time.Since(began))

		began = time.Now()
		tr = newTransport(dripping(200, 10*time.Second, strings.Repeat("x", 250), 100), once)
		o = tr.Do(t.Context(), &Request{Method: http.MethodGet, URL: "http://hub", Idempotent: true})
		require.NoError(t, o.Err)
		o.Body.Release()
		assert.Equal(t, 1000*time.Second, time.Since(began))

		tr = newTransport(dripping(200, time.Minute-time.Nanosecond, strings.Repeat("x", 1<<10), 3), once)
		o = tr.Do(t.Context(), &Request{Method: http.MethodGet, URL: "http://hub", Idempotent: true})
		require.NoError(t, o.Err, "just as much as it must")
		o.Body.Release()
	})
}

// TestAnErrorBodyThatDrips costs 5 s: its status is known.
func TestAnErrorBodyThatDrips(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		tr := newTransport(dripping(403, 1100*time.Millisecond, "x", 1000), once)
		o := tr.Do(t.Context(), &Request{Method: http.MethodGet, URL: "http://hub", Idempotent: true})
		require.NoError(t, o.Err)
		require.NoError(t, o.Ended)
		assert.Equal(t, 403, o.Status)
		assert.Equal(t, "xxxx", string(o.Text), "what came is kept")
		assert.Equal(t, 5*time.Second, time.Since(began))
	})
}

// TestTheContextEndsInAnErrorBody: the outcome says so, and still has the status.
func TestTheContextEndsInAnErrorBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, status := range []int{403, 502} {
			ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
			began := time.Now()
			tr := newTransport(dripping(status, time.Second, "x", 1000), Policy{})
			o := tr.Do(ctx, &Request{Method: http.MethodGet, URL: "http://hub", Idempotent: true})
			require.ErrorIs(t, o.Ended, context.DeadlineExceeded)
			assert.Equal(t, status, o.Status)
			assert.Equal(t, "xx", string(o.Text))
			assert.Equal(t, 2500*time.Millisecond, time.Since(began))
			assert.Equal(t, 1, o.Attempts)
			cancel()
		}
	})
}
