package ownstack_test

import (
	"errors"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/agentuity/coder-go/internal/ownstack"
)

func TestCall(t *testing.T) {
	called := 0
	ownstack.Call(func() { called++ })
	assert.Equal(t, 1, called)
}

func TestCall_Panic(t *testing.T) {
	for _, value := range []any{errors.New("broken"), "text", 0} {
		assert.PanicsWithValue(t, value, func() { ownstack.Call(func() { panic(value) }) })
	}
	assert.Panics(t, func() { ownstack.Call(func() { panic(nil) }) }) //nolint:govet // a panic all the same
}

func TestCall_Goexit(t *testing.T) {
	after, deferred := false, false
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { deferred = true }()
		ownstack.Call(runtime.Goexit)
		after = true
	}()
	<-done
	assert.False(t, after)
	assert.True(t, deferred)
}

// TestCall_SmallStack: what f needs of the stack is not the caller's.
func TestCall_SmallStack(t *testing.T) {
	var deep func(n int) int
	deep = func(n int) int {
		var room [1 << 10]byte
		room[n%len(room)] = byte(n)
		if n == 0 {
			return int(room[0])
		}
		return deep(n-1) + int(room[n%len(room)])
	}
	const goroutines = 200
	measure := func(call func(func())) uint64 {
		var before, after runtime.MemStats
		ready, end := make(chan struct{}), make(chan struct{})
		runtime.GC()
		runtime.ReadMemStats(&before)
		for range goroutines {
			go func() {
				call(func() { deep(60) })
				ready <- struct{}{}
				<-end
			}()
			<-ready
		}
		runtime.ReadMemStats(&after)
		close(end)
		return (after.StackInuse - before.StackInuse) / goroutines
	}
	own := measure(ownstack.Call)
	direct := measure(func(f func()) { f() })
	assert.Less(t, 4*own, direct, "%d and %d bytes", own, direct)
}
