package flight

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCallersShareOneFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Group[int]
		var runs atomic.Int32
		slow := func(context.Context) (int, error) {
			time.Sleep(time.Second)
			return int(runs.Add(1)), nil
		}
		for range 200 {
			go func() {
				v, err := g.Do(t.Context(), "key", slow)
				assert.NoError(t, err)
				assert.Equal(t, 1, v)
			}()
		}
		early, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, err := g.Do(early, "key", slow)
		require.ErrorIs(t, err, context.DeadlineExceeded, "it leaves alone")
		v, err := g.Do(t.Context(), "another key", func(context.Context) (int, error) { return 7, nil })
		require.NoError(t, err)
		assert.Equal(t, 7, v)
		synctest.Wait()
		time.Sleep(2 * time.Second)
		assert.EqualValues(t, 1, runs.Load())

		_, err = g.Do(t.Context(), "key", func(context.Context) (int, error) { return 0, errors.New("failed") })
		require.EqualError(t, err, "failed")
		v, err = g.Do(t.Context(), "key", slow)
		require.NoError(t, err, "a failure is not remembered")
		assert.Equal(t, 2, v)
		assert.Empty(t, g.flights)
	})
}

func TestAFlightEndsWithItsLastCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Group[int]
		type key struct{}
		ended := make(chan any, 1)
		forever := func(ctx context.Context) (int, error) {
			<-ctx.Done()
			ended <- ctx.Value(key{})
			return 0, ctx.Err()
		}
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "of the first caller"))
		other, cancelOther := context.WithCancel(t.Context())
		go func() { _, _ = g.Do(ctx, "key", forever) }()
		synctest.Wait()
		go func() { _, _ = g.Do(other, "key", forever) }()
		synctest.Wait()
		cancel()
		synctest.Wait()
		assert.Empty(t, ended, "one caller is left")
		cancelOther()
		assert.Equal(t, "of the first caller", <-ended)

		v, err := g.Do(t.Context(), "key", func(context.Context) (int, error) { return 3, nil })
		require.NoError(t, err, "the next caller does not get the flight that was abandoned")
		assert.Equal(t, 3, v)
		_, err = g.Do(ctx, "key", forever)
		require.ErrorIs(t, err, context.Canceled, "a context that ended starts nothing")
	})
}

func TestWhatTheLastCallerIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Group[int]
		lost := errors.New("the answer was lost")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := g.Do(ctx, "key", func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, lost })
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, lost, "what became of the call")
		var left *Left
		require.ErrorAs(t, err, &left)

		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		v, err := g.Do(ctx, "key", func(ctx context.Context) (int, error) { <-ctx.Done(); return 7, nil })
		require.NoError(t, err, "it was just in time")
		assert.Equal(t, 7, v)
	})
}

// TestJoiningAFlightThatEnds: nobody whose context lives is told that a context has ended.
func TestJoiningAFlightThatEnds(t *testing.T) {
	var g Group[int]
	for range 5_000 {
		first, leave := context.WithCancel(t.Context())
		flying := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			_, _ = g.Do(first, "key", func(ctx context.Context) (int, error) {
				close(flying)
				<-ctx.Done()
				return 0, ctx.Err()
			})
		})
		<-flying
		other, stop := context.WithCancel(t.Context())
		joined := make(chan error, 1)
		wg.Go(func() {
			_, err := g.Do(other, "key", func(context.Context) (int, error) { return 1, nil })
			if other.Err() == nil {
				joined <- err
			}
			close(joined)
		})
		leave() // just when the other joins: it has a flight of its own, or keeps the first one going
		runtime.Gosched()
		select {
		case err := <-joined:
			require.NoError(t, err)
		default:
		}
		stop()
		wg.Wait()
		require.NoError(t, <-joined)
	}
}

func TestPanicsAndExits(t *testing.T) {
	var g Group[int]
	assert.PanicsWithValue(t, "oh", func() {
		_, _ = g.Do(t.Context(), "key", func(context.Context) (int, error) { panic("oh") })
	})
	_, err := g.Do(t.Context(), "key", func(context.Context) (int, error) { runtime.Goexit(); return 0, nil })
	require.ErrorIs(t, err, errExited, "nobody waits for ever")
	v, err := g.Do(t.Context(), "key", func(context.Context) (int, error) { return 1, nil })
	require.NoError(t, err)
	assert.Equal(t, 1, v)
}
