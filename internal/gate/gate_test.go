package gate_test

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/internal/gate"
)

// passages are the times after the beginning at which so many have passed who came at once.
func passages(t *testing.T, n int, pass func(context.Context) bool) []time.Duration {
	var (
		mu    sync.Mutex
		times []time.Duration
		group sync.WaitGroup
	)
	began := time.Now()
	for range n {
		group.Go(func() {
			assert.True(t, pass(t.Context()))
			mu.Lock()
			defer mu.Unlock()
			times = append(times, time.Since(began))
		})
	}
	group.Wait()
	slices.Sort(times)
	return times
}

// mostInASecond counts those in the fullest second.
func mostInASecond(times []time.Duration) int {
	most := 0
	for i, from := range times {
		n := 0
		for _, at := range times[i:] {
			if at < from+time.Second {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

func TestConnect(t *testing.T) {
	for rate, atOnce := range map[int]int{1: 1, 2: 1, 4: 1, 5: 1, 10: 2, 200: 40, 1000: 200} {
		synctest.Test(t, func(t *testing.T) {
			g := gate.New(rate)
			times := passages(t, 5*rate, g.Connect)
			most := mostInASecond(times)
			assert.LessOrEqual(t, most, rate, "rate %d", rate)
			assert.GreaterOrEqual(t, most, rate-1, "rate %d", rate)
			at := 0
			for at < len(times) && times[at] == 0 {
				at++
			}
			assert.Equal(t, atOnce, at, "rate %d", rate)
			assert.Less(t, times[len(times)-1], 7*time.Second, "rate %d", rate)

			time.Sleep(time.Hour) // which saves up no more than that
			assert.LessOrEqual(t, mostInASecond(passages(t, 3*rate, g.Connect)), rate)
		})
	}
}

func TestConnect_WithoutLimit(t *testing.T) {
	for _, rate := range []int{0, -1} {
		synctest.Test(t, func(t *testing.T) {
			g := gate.New(rate)
			assert.Zero(t, passages(t, 10_000, g.Connect)[9999])
			g.Hold(time.Second)
			assert.Equal(t, time.Second, passages(t, 10_000, g.Connect)[9999], "but it can be held")
		})
	}
}

// TestConnect_InOrder: who came first passes first.
func TestConnect_InOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := gate.New(10)
		var (
			mu    sync.Mutex
			order []int
			group sync.WaitGroup
		)
		for i := range 50 {
			group.Go(func() {
				assert.True(t, g.Connect(t.Context()))
				mu.Lock()
				defer mu.Unlock()
				order = append(order, i)
			})
			synctest.Wait()
		}
		group.Wait()
		assert.IsIncreasing(t, order)
	})
}

// TestConnect_Left: who leaves holds nobody up.
func TestConnect_Left(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := gate.New(10)
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		for range 10_000 {
			group.Go(func() { g.Connect(ctx) })
		}
		synctest.Wait()
		cancel()
		assert.False(t, g.Connect(ctx), "a context that has ended")
		group.Wait()
		times := passages(t, 10, g.Connect)
		assert.Less(t, times[9], 2*time.Second)
	})
}

// TestCall passes at once, however many there are, unless the gate is held; then they come as connects do.
func TestCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := gate.New(100)
		assert.Zero(t, passages(t, 10_000, g.Call)[9999])

		g.Hold(3 * time.Second)
		g.Hold(time.Second) // which makes it no shorter
		times := passages(t, 1000, g.Call)
		assert.Equal(t, 3*time.Second, times[0])
		assert.LessOrEqual(t, mostInASecond(times), 100)
		assert.Less(t, times[999], 16*time.Second)

		time.Sleep(time.Second)
		assert.Zero(t, passages(t, 10_000, g.Call)[9999], "nobody waits any more")
	})
}

// TestCall_NotBehindConnects: that ten thousand connections are opened is no reason to wait for a call.
func TestCall_NotBehindConnects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := gate.New(100)
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		for range 10_000 {
			group.Go(func() { g.Connect(ctx) })
		}
		synctest.Wait()
		assert.Zero(t, passages(t, 10, g.Call)[9])
		g.Hold(time.Second)
		assert.Equal(t, time.Second, passages(t, 10, g.Call)[9])
		cancel()
		group.Wait()
	})
}

// TestCall_HeldWhileWaiting: a hold that comes later is one for all who wait.
func TestCall_HeldWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := gate.New(100)
		g.Hold(time.Second)
		time.AfterFunc(900*time.Millisecond, func() { g.Hold(5 * time.Second) })
		assert.Equal(t, 5900*time.Millisecond, passages(t, 1, g.Call)[0])
	})
}

// TestCall_Deadline: who cannot wait so long does not wait, and who can does, until its context ends.
func TestCall_Deadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := gate.New(100)
		g.Hold(10 * time.Second)
		began := time.Now()
		short, cancel := context.WithTimeout(t.Context(), 9*time.Second)
		defer cancel()
		require.True(t, g.Call(short))
		require.Zero(t, time.Since(began))

		ctx, leave := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, leave)
		require.False(t, g.Call(ctx))
		require.Equal(t, time.Second, time.Since(began))
		require.False(t, g.Call(ctx))

		long, cancelLong := context.WithTimeout(t.Context(), time.Minute)
		defer cancelLong()
		require.True(t, g.Call(long))
		require.Equal(t, 10*time.Second, time.Since(began))
	})
}

// TestCall_MoreThanTheRate: a program that makes more calls than the rate is not slowed down for ever by one hold.
func TestCall_MoreThanTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := gate.New(100)
		g.Hold(time.Second)
		var (
			group sync.WaitGroup
			last  atomic.Int64
		)
		for range 30 * 300 {
			group.Go(func() {
				began := time.Now()
				assert.True(t, g.Call(t.Context()))
				last.Store(int64(time.Since(began)))
			})
			time.Sleep(time.Second / 300)
		}
		assert.Zero(t, time.Duration(last.Load()), "half a minute after the hold")
		group.Wait()
	})
}

// TestCall_DeadlineInTheQueue: who has time for the hold, but not for all who wait before, is not kept back until it ends.
func TestCall_DeadlineInTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := gate.New(10)
		g.Hold(time.Second)
		ctx, leave := context.WithCancel(t.Context())
		var group sync.WaitGroup
		for range 1000 {
			group.Go(func() { g.Call(ctx) })
		}
		synctest.Wait()
		began := time.Now()
		short, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		assert.True(t, g.Call(short))
		assert.Equal(t, time.Second, time.Since(began))
		leave()
		group.Wait()
	})
}

// TestConnect_Deadline: who cannot wait so long as the gate is held comes at the rate that is allowed all the same.
func TestConnect_Deadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := gate.New(100)
		g.Hold(time.Minute)
		times := passages(t, 1000, func(ctx context.Context) bool {
			short, cancel := context.WithTimeout(ctx, 30*time.Second)
			defer cancel()
			return g.Connect(short)
		})
		assert.Zero(t, times[0])
		assert.LessOrEqual(t, mostInASecond(times), 100)
		assert.Less(t, times[999], 13*time.Second)
		assert.GreaterOrEqual(t, passages(t, 1, g.Connect)[0], 45*time.Second, "who can wait does")
	})
}
