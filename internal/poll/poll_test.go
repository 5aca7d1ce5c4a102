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
	run := func(t *testing.T, ctx context.Context, look func(context.Context, int) (Sight, error)) (looks int, took time.Duration, err error) {
		began := time.Now()
		err = p.Run(ctx, func(ctx context.Context) (Sight, error) { looks++; return look(ctx, looks) })
		return looks, time.Since(began), err
	}
	synctest.Test(t, func(t *testing.T) {
		looks, took, err := run(t, t.Context(), func(_ context.Context, n int) (Sight, error) { return Sight{Done: n == 3}, nil })
		require.NoError(t, err)
		assert.Equal(t, 3, looks)
		assert.Equal(t, 3*time.Second, took, "it waits before each look")

		looks, took, err = run(t, t.Context(), func(context.Context, int) (Sight, error) { return Sight{}, nil })
		require.NoError(t, err, "running out of time is no error")
		assert.GreaterOrEqual(t, looks, 9)
		assert.Equal(t, 10*time.Second, took)

		_, took, err = run(t, t.Context(), func(ctx context.Context, _ int) (Sight, error) { <-ctx.Done(); return Sight{}, nil })
		require.NoError(t, err)
		assert.Equal(t, 10*time.Second, took, "a look that hangs ends with the time")

		_, _, err = run(t, t.Context(), func(context.Context, int) (Sight, error) { return Sight{}, errors.New("fatal") })
		require.EqualError(t, err, "fatal")

		ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer cancel()
		_, took, err = run(t, ctx, func(context.Context, int) (Sight, error) { return Sight{}, nil })
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 2500*time.Millisecond, took, "the context ends it at once")
	})
}

// TestBackOff: the time between looks grows to its maximum while nothing changes.
func TestBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := Poll{Interval: 2 * time.Second, MaxInterval: 15 * time.Second, AtOnce: true}
		var waits []float64
		last := time.Now()
		require.NoError(t, p.Run(t.Context(), func(context.Context) (Sight, error) {
			waits = append(waits, time.Since(last).Seconds())
			last = time.Now()
			n := len(waits)
			switch n {
			case 9:
				return Sight{Changed: true}, nil
			case 11:
				return Sight{Wait: 20 * time.Second}, nil
			case 12:
				return Sight{Wait: time.Second}, nil
			}
			return Sight{Done: n == 14}, nil
		}))
		assert.Equal(t, []float64{0, 2, 3, 4.5, 6.75, 10.125, 15, 15, 15, 2, 3, 20, 6.75, 10.125}, waits)

		for name, p := range map[string]Poll{
			"no maximum":                {Interval: 2 * time.Second},
			"a maximum below the least": {Interval: 2 * time.Second, MaxInterval: time.Second},
		} {
			began, looks := time.Now(), 0
			require.NoError(t, p.Run(t.Context(), func(context.Context) (Sight, error) { looks++; return Sight{Done: looks == 5}, nil }))
			assert.Equal(t, 10*time.Second, time.Since(began), name)
		}
	})
}

// TestDoneWins: what was found before the context ended counts.
func TestDoneWins(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	p := Poll{AtOnce: true}
	require.NoError(t, p.Run(ctx, func(context.Context) (Sight, error) { cancel(); return Sight{Done: true}, nil }))
	require.ErrorIs(t, p.Run(ctx, func(context.Context) (Sight, error) { return Sight{}, errors.New("cut off") }), context.Canceled)
}
