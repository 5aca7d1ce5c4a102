package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// order is one measurement of one subject. The driver of the original client takes the same.
type order struct {
	Subject string `json:"subject"`
	Task    string `json:"task"`
	// N is how often it is done: calls, events or bursts.
	N int `json:"n"`
	// Warm is how often it is done before that, uncounted.
	Warm int `json:"warm"`
	// Parallel is how many calls are under way at a time.
	Parallel int `json:"parallel"`
	// Size is that of an answer: items of a list, megabytes of a replay, bytes of an event.
	Size int `json:"size"`
	// Pause is how many milliseconds a slow consumer takes for each event.
	Pause int `json:"pause"`
	// Repeat is how often all of that is done, where N is to be small. Default: 1.
	Repeat int `json:"repeat"`

	addresses
}

// measured is what came of an order.
type measured struct {
	N           int     `json:"n"`
	Wall        float64 `json:"wall"`        // seconds
	CPU         float64 `json:"cpu"`         // seconds, user and system
	PeakMB      float64 `json:"peakMB"`      // most memory the process ever had, in 10^6 bytes
	GrewMB      float64 `json:"grewMB"`      // how much of that came while it was measured
	Allocs      float64 `json:"allocs"`      // of each
	Bytes       float64 `json:"bytes"`       // allocated for each
	Connections float64 `json:"connections"` // opened over TLS
	Discoveries float64 `json:"discoveries"`
	Late        float64 `json:"late"` // seconds from an end until it was noticed, the longest
	// Instructions counts those of user space; 0: they cannot be counted, and NoCount says why.
	Instructions float64 `json:"instructions"`
	NoCount      string  `json:"noCount"`
	// Held is what each of the things that are open takes.
	Held held `json:"held"`
	// Seen counts what was read and found to be right: answers, items, entries or events.
	Seen int `json:"seen"`
	// Chars is the length of the texts that were read, where they are what counts.
	Chars int `json:"chars"`
	// Failure is what a subject that cannot do the task failed with.
	Failure string `json:"failure"`
}

// seen is what a task has read.
type seen struct {
	things, chars int
	late          time.Duration
}

// task does something n times.
type task func(ctx context.Context, n int) (seen, error)

// prepare makes the tasks of a subject. The second result ends what it has opened.
type prepare func(o order) (task, func(), error)

var subjects = map[string]map[string]prepare{"ours": ours, "handwritten": handwritten, "layer": layer, "plain": plain, "bare": bare}

// errCannot marks what a subject cannot do by its nature.
var errCannot = errors.New("cannot")

// carryOut measures one task of one subject in this process.
func carryOut(ctx context.Context, o order) (m measured, err error) {
	prepare := subjects[o.Subject][o.Task]
	if prepare == nil {
		return m, errors.New("unknown")
	}
	instructions, err := countInstructions()
	if err != nil {
		m.NoCount = err.Error()
	} else {
		defer instructions.close()
	}
	work, end, err := prepare(o)
	if err != nil {
		return m, err
	}
	defer end()
	if o.Warm > 0 {
		if _, err := work(ctx, o.Warm); err != nil {
			return m, err
		}
	}
	before, err := askCounters(ctx, o.URL)
	if err != nil {
		return m, err
	}
	var memory, memoryAfter runtime.MemStats
	runtime.GC()
	runtime.GC() // the first may have left what has finalizers, and does not shrink every stack
	runtime.ReadMemStats(&memory)
	goroutines := runtime.NumGoroutine()
	peak, err := peakMemory()
	if err != nil {
		return m, err
	}
	if m.NoCount == "" {
		if m.Instructions, err = instructions.read(); err != nil {
			m.NoCount = err.Error()
		}
	}
	cpu, began := cpuOf(syscall.RUSAGE_SELF), time.Now()
	found, err := repeat(ctx, work, o)
	m.Wall, m.CPU = time.Since(began).Seconds(), cpuOf(syscall.RUSAGE_SELF)-cpu
	runtime.ReadMemStats(&memoryAfter)
	if errors.Is(err, errCannot) {
		m.Failure = err.Error()
	} else if err != nil {
		return m, err
	}
	if m.NoCount == "" {
		counted, err := instructions.read()
		if err != nil {
			m.NoCount, counted = err.Error(), m.Instructions
		}
		m.Instructions = counted - m.Instructions
	}
	after, err := askCounters(ctx, o.URL)
	if err != nil {
		return m, err
	}
	m.N, m.Seen, m.Chars, m.Late = o.N*max(1, o.Repeat), found.things, found.chars, found.late.Seconds()
	m.Allocs = float64(memoryAfter.Mallocs-memory.Mallocs) / float64(m.N)
	m.Bytes = float64(memoryAfter.TotalAlloc-memory.TotalAlloc) / float64(m.N)
	m.Connections = float64(after.TLSConnections - before.TLSConnections)
	m.Discoveries = float64(after.Discoveries - before.Discoveries)
	if strings.HasPrefix(o.Task, "idle-") {
		m.Held = heldSince(&memory, goroutines, m.N)
	}
	m.PeakMB, err = peakMemory()
	m.GrewMB = m.PeakMB - peak
	return m, err
}

func repeat(ctx context.Context, work task, o order) (all seen, err error) {
	for range max(1, o.Repeat) {
		found, err := work(ctx, o.N)
		all.things += found.things
		all.chars += found.chars
		all.late = max(all.late, found.late)
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

// cpuOf is the time of the processor that this process, or those that it has waited for, have taken.
func cpuOf(who int) float64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(who, &u) // fails only on arguments it does not know
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

// peakMemory asks Linux for the high-water mark of this process. That of getrusage would be at
// least that of the process which started this one.
func peakMemory() (float64, error) { return memoryOf("VmHWM:") }

// memoryOf reads a size of this process, in 10^6 bytes.
func memoryOf(what string) (float64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	_, mark, _ := strings.Cut(string(status), what)
	kilobytes, _, _ := strings.Cut(strings.TrimSpace(mark), " ")
	n, err := strconv.ParseFloat(kilobytes, 64)
	return n * 1024 / 1e6, err
}

// askCounters asks what the server has seen so far, over a connection of its own.
func askCounters(ctx context.Context, url string) (c counters, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/counters", http.NoBody)
	if err != nil {
		return c, err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return c, err
	}
	defer resp.Body.Close()
	err = json.NewDecoder(resp.Body).Decode(&c)
	return c, err
}

// calls makes a task of a single call that reports what it has read: n calls, so many at a time.
func calls(parallel int, call func(context.Context) (seen, error)) task {
	return func(ctx context.Context, n int) (all seen, err error) {
		if parallel <= 1 {
			for range n {
				one, err := call(ctx)
				if err != nil {
					return all, err
				}
				all.things += one.things
				all.chars += one.chars
				all.late = max(all.late, one.late)
			}
			return all, nil
		}
		var (
			left   atomic.Int64
			things atomic.Int64
			failed atomic.Pointer[error]
			group  sync.WaitGroup
		)
		left.Store(int64(n))
		for range parallel {
			group.Go(func() {
				for left.Add(-1) >= 0 && failed.Load() == nil {
					one, err := call(ctx)
					if err != nil {
						failed.Store(&err)
						return
					}
					things.Add(int64(one.things))
				}
			})
		}
		group.Wait()
		if err := failed.Load(); err != nil {
			return all, *err
		}
		return seen{things: int(things.Load())}, nil
	}
}

// bursts makes a task of n bursts, each of so many calls that begin at once.
func bursts(parallel int, call func(context.Context) (seen, error)) task {
	burst := calls(parallel, call)
	return func(ctx context.Context, n int) (all seen, err error) {
		for range n {
			one, err := burst(ctx, parallel)
			if err != nil {
				return all, err
			}
			all.things += one.things
		}
		return all, nil
	}
}

// right is one thing that was read, if it was what the server had sent.
func right(ok bool, what any) (seen, error) {
	if !ok {
		return seen{}, fmt.Errorf("unexpected content: %v", what)
	}
	return seen{things: 1}, nil
}
