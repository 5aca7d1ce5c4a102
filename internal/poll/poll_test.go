package poll

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPoll(t *testing.T) {
	p := Poll{Interval: time.Second, Timeout: 10 * time.Second}
	run := func(t *testing.T, ctx context.Context, look func(context.Context, int) (bool, error)) (looks int, took time.Duration, err error) {
		began := time.Now()
		err = p.Run(ctx, func(ctx context.Context) (bool, error) { looks++; return look(ctx, looks) })
		return looks, time.Since(began), err
	}
	synctest.Test(t, func(t *testing.T) {
		looks, took, err := run(t, t.Context(), func(_ context.Context, n int) (bool, error) { return n == 3, nil })
		require.NoError(t, err)
		assert.Equal(t, 3, looks)
		assert.Equal(t, 3*time.Second, took, "it waits before each look")

		looks, took, err = run(t, t.Context(), func(context.Context, int) (bool, error) { return false, nil })
		require.NoError(t, err, "running out of time is no error")
		assert.GreaterOrEqual(t, looks, 9)
		assert.Equal(t, 10*time.Second, took)

		_, took, err = run(t, t.Context(), func(ctx context.Context, _ int) (bool, error) { <-ctx.Done(); return false, nil })
		require.NoError(t, err)
		assert.Equal(t, 10*time.Second, took, "a look that hangs ends with the time")

		_, _, err = run(t, t.Context(), func(context.Context, int) (bool, error) { return false, errors.New("fatal") })
		require.EqualError(t, err, "fatal")

		ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer cancel()
		_, took, err = run(t, ctx, func(context.Context, int) (bool, error) { return false, nil })
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 2500*time.Millisecond, took, "the context ends it at once")
	})
}
