// Package ownstack calls functions that need a large stack where a goroutine that waits for long has a small one: a stack
// that has grown seldom shrinks again, and of ten thousand live connections each would keep one.
package ownstack

import "runtime"

// Call calls f on a goroutine of its own, and returns when it has. If f panics, so does Call, with the same value; if f
// exits its goroutine, as FailNow of a test does, the caller's is exited.
func Call(f func()) {
	c := call{f: f, done: make(chan struct{})}
	go c.run()
	<-c.done
	if !c.returned {
		c.end()
	}
}

type call struct {
	f        func()
	done     chan struct{}
	returned bool
	panicked any
}

func (c *call) run() {
	defer close(c.done)
	defer c.recovered()
	c.f()
	c.returned = true
}

func (c *call) recovered() {
	if !c.returned {
		c.panicked = recover() //nolint:revive // run defers this
	}
}

func (c *call) end() {
	if c.panicked == nil {
		runtime.Goexit()
	}
	panic(c.panicked)
}
