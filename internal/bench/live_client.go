package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/agentuity/coder-go"
)

// liveOrder is what a process that watches sessions is to watch.
type liveOrder struct {
	URL       string `json:"url"`
	Addresses int    `json:"addresses"` // as hubOrder has it
	Streams   int    `json:"streams"`
	Sockets   int    `json:"sockets"`
}

// liveStatus is how it is doing.
type liveStatus struct {
	Open       int      `json:"open"`       // sessions with a connection that has been greeted
	Back       int      `json:"back"`       // sessions that have connected again
	Received   int      `json:"received"`   // events
	Gaps       int      `json:"gaps"`       // events that did not follow on the one before, on one connection
	Failed     []string `json:"failed"`     // why sessions have ended, the first few
	CPU        float64  `json:"cpu"`        // seconds
	MemoryMB   float64  `json:"memoryMB"`   // now
	PeakMB     float64  `json:"peakMB"`     // the most there ever was
	HeapMB     float64  `json:"heapMB"`     // in use
	StacksMB   float64  `json:"stacksMB"`   // in use
	Goroutines int      `json:"goroutines"` // of the process
	// Each has the events of each session, over all its connections; only if asked for.
	Each map[string]int `json:"each"`
}

// watcher watches one session.
type watcher struct {
	received atomic.Int64 // events
	gaps     atomic.Int64
	open     atomic.Bool
	again    atomic.Int64 // connections after the first
	last     int          // number of the event before, on this connection
}

// event notes an event, which must follow on the one before.
func (w *watcher) event(n int) {
	w.received.Add(1)
	if n != w.last+1 {
		w.gaps.Add(1)
	}
	w.last = n
}

// reconnected begins to count anew: each connection has events of its own.
func (w *watcher) reconnected() {
	w.last = 0
	w.again.Add(1)
}

// fleet is all that a process watches.
type fleet struct {
	watchers map[string]*watcher
	mu       sync.Mutex
	failed   []string
}

// watch watches until the input ends, and answers each line of it with the status.
func watch(ctx context.Context, o liveOrder, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	options := []coder.Option{coder.WithAPIKey("key"), coder.WithURL(o.URL)}
	if o.Addresses > 1 { // a transport of the program costs each stream its larger buffers
		options = append(options, coder.WithHTTPClient(&http.Client{Transport: spreading(o.Addresses)}))
	}
	c, err := coder.NewClient(options...)
	if err != nil {
		return err
	}
	f := &fleet{watchers: make(map[string]*watcher)}
	var begin []func()
	add := func(id string, observe func(context.Context, string, *watcher, func()) error) {
		w := new(watcher)
		f.watchers[id] = w
		begin = append(begin, func() { f.run(ctx, id, w, observe) })
	}
	for i := range o.Streams {
		add(fmt.Sprintf("live-s%d", i), watchStream(c))
	}
	for i := range o.Sockets {
		add(fmt.Sprintf("live-w%d", i), watchSocket(c))
	}
	go func() {
		for _, begin := range begin {
			begin()
		}
	}()
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		status, err := f.status(lines.Text() == "each")
		if err != nil {
			return err
		}
		if err := json.NewEncoder(out).Encode(status); err != nil {
			return err
		}
	}
	return lines.Err()
}

// opening bounds how many sessions are being opened for the first time.
var opening = make(chan struct{}, 64)

func (f *fleet) run(ctx context.Context, id string, w *watcher, observe func(context.Context, string, *watcher, func()) error) {
	opening <- struct{}{}
	var once sync.Once
	greeted := func() { once.Do(func() { <-opening }) }
	go func() {
		err := observe(ctx, id, w, greeted)
		greeted()
		w.open.Store(false)
		f.mu.Lock()
		defer f.mu.Unlock()
		f.failed = append(f.failed, fmt.Sprintf("%s: %v", id, err))
	}()
}

func watchStream(c *coder.Client) func(context.Context, string, *watcher, func()) error {
	return func(ctx context.Context, id string, w *watcher, greeted func()) error {
		for e, err := range c.StreamEvents(ctx, id, &coder.StreamEventsOptions{MaxReconnectAttempts: math.MaxInt}) {
			if err != nil {
				return err
			}
			switch m := e.Data.(type) {
			case *coder.ReconnectedMessage:
				w.reconnected()
			case *coder.SSEHydrationMessage:
				w.open.Store(true)
				greeted()
			case *coder.BroadcastEventMessage:
				w.event(eventNumber(m.Data))
			}
		}
		return nil
	}
}

func watchSocket(c *coder.Client) func(context.Context, string, *watcher, func()) error {
	return func(ctx context.Context, id string, w *watcher, greeted func()) error {
		conn, err := c.Connect(ctx, id, &coder.HubConnectOptions{MaxReconnectAttempts: math.MaxInt})
		if err != nil {
			return err
		}
		defer conn.Close()
		w.open.Store(true)
		greeted()
		for message, err := range conn.Messages(ctx) {
			if err != nil {
				return err
			}
			switch m := message.(type) {
			case *coder.ReconnectedMessage:
				w.reconnected()
			case *coder.BroadcastEventMessage:
				w.event(eventNumber(m.Data))
			}
		}
		return nil
	}
}

func (f *fleet) status(each bool) (s liveStatus, err error) {
	if each {
		s.Each = make(map[string]int)
	}
	for id, w := range f.watchers {
		received := int(w.received.Load())
		s.Received += received
		s.Gaps += int(w.gaps.Load())
		if w.open.Load() {
			s.Open++
		}
		if w.again.Load() > 0 {
			s.Back++
		}
		if each {
			s.Each[id] = received
		}
	}
	f.mu.Lock()
	s.Failed = f.failed[:min(3, len(f.failed))]
	f.mu.Unlock()
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	s.HeapMB, s.StacksMB = float64(memory.HeapInuse)/1e6, float64(memory.StackInuse)/1e6
	s.Goroutines, s.CPU = runtime.NumGoroutine(), cpuOf(syscall.RUSAGE_SELF)
	if s.MemoryMB, err = memoryOf("VmRSS:"); err == nil {
		s.PeakMB, err = memoryOf("VmHWM:")
	}
	return s, err
}

// spreading is the library's own transport, over so many loopback addresses in turn: connections from one address
// to one port are bounded by the number of ports.
func spreading(addresses int) *http.Transport {
	t := coder.NewTransport()
	dial := t.DialContext
	var next atomic.Int64
	t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		to := fmt.Sprintf("127.0.0.%d:", 1+next.Add(1)%int64(addresses))
		return dial(ctx, network, strings.Replace(address, "127.0.0.1:", to, 1))
	}
	return t
}
