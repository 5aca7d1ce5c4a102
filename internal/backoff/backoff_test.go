package backoff

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestDelay(t *testing.T) {
	const least, most = 100 * time.Millisecond, 5 * time.Second
	for n, want := range []time.Duration{100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000} {
		want *= time.Millisecond
		different := make(map[time.Duration]bool)
		for range 50 {
			d := Delay(n, least, most)
			assert.LessOrEqual(t, d, want)
			assert.GreaterOrEqual(t, d, want/2)
			different[d] = true
		}
		assert.Greater(t, len(different), 10, "waits are spread")
	}
	assert.Positive(t, Delay(1000, 1, math.MaxInt64), "no overflow")
	assert.LessOrEqual(t, Delay(0, time.Hour, time.Second), time.Second)
	assert.Zero(t, Delay(3, 0, time.Second))
}

func TestSleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		assert.True(t, Sleep(t.Context(), time.Hour))
		assert.Equal(t, time.Hour, time.Since(began))

		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began = time.Now()
		assert.False(t, Sleep(ctx, time.Hour))
		assert.Equal(t, time.Minute, time.Since(began), "the context ends it at once")
		assert.False(t, Sleep(ctx, 0), "a context that has ended wins")
	})
}

func TestAttempts(t *testing.T) {
	a := Attempts{Max: 3, Least: time.Second, Most: 2 * time.Second}
	for range 2 {
		for n, most := range []time.Duration{time.Second, 2 * time.Second, 2 * time.Second} {
			wait, more := a.Next()
			assert.True(t, more)
			assert.LessOrEqual(t, wait, most)
			assert.GreaterOrEqual(t, wait, most/2)
			assert.Equal(t, n+1, a.Failed())
		}
		_, more := a.Next()
		assert.False(t, more, "three attempts and no more")
		assert.Equal(t, 3, a.Failed())
		a.Reset()
	}
	for range 2 {
		_, _ = a.Next()
	}
	a.Succeeded()
	wait, more := a.Next()
	assert.True(t, more)
	assert.GreaterOrEqual(t, wait, time.Second, "the waits go on growing")
	assert.Equal(t, 1, a.Failed())

	_, more = (&Attempts{}).Next()
	assert.False(t, more, "none allowed")
}
