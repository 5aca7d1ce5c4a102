package main

import (
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestCounter_AllThreads counts the time that the threads of a process take, which the kernel can count in software
// where there is no counter of instructions: those that are there already, and those that come.
func TestCounter_AllThreads(t *testing.T) {
	spin := func() {
		runtime.LockOSThread() // and the thread ends with the goroutine
		for cpu := threadTime(); threadTime()-cpu < 50*time.Millisecond; {
			continue
		}
	}
	c, err := newCounter(unix.PERF_TYPE_SOFTWARE, unix.PERF_COUNT_SW_TASK_CLOCK)
	if err != nil {
		t.Skipf("this kernel does not let it: %v", err)
	}
	defer c.close()
	before, err := c.read()
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for range 8 {
		group.Go(spin)
	}
	group.Wait()
	after, err := c.read()
	if err != nil {
		t.Fatal(err)
	}
	if counted, least := time.Duration(after-before), 8*50*time.Millisecond; counted < least {
		t.Errorf("counted %v of at least %v", counted, least)
	}
}

// threadTime is the time that this thread has taken.
func threadTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_THREAD, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestCountInstructions counts, or says why it cannot.
func TestCountInstructions(t *testing.T) {
	c, err := countInstructions()
	if err != nil {
		t.Skip(err)
	}
	defer c.close()
	before, err := c.read()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0
	for i := range 1_000_000 {
		sum += i ^ sum
	}
	after, err := c.read()
	if err != nil {
		t.Fatal(err)
	}
	if after-before < 1_000_000 {
		t.Errorf("a million rounds (%d) cannot be done with %v instructions", sum, after-before)
	}
}
