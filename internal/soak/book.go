package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/internal/faultproxy"
)

// wrongness is a kind of what must never happen.
type wrongness string

const (
	duplicate wrongness = "done twice"     // what was asked for once
	lost      wrongness = "lost"           // an event, an item, or what was said to be done
	wrongly   wrongness = "wrong answer"   // not what the Hub knows
	misjudged wrongness = "wrong error"    // an error that nothing led to, or that says what is not so
	late      wrongness = "late"           // a call that outlives its context
	leaked    wrongness = "left behind"    // goroutines, connections, memory
	untested  wrongness = "never answered" // a method of which no call succeeded, or a way without faults
)

var wrongnesses = []wrongness{duplicate, lost, wrongly, misjudged, late, leaked, untested}

// patience is how long after its context a call may return: the machine may be busy, under the race detector above all.
var patience = 5 * time.Second

// book is what a soak has seen.
type book struct {
	mu        sync.Mutex
	began     time.Time
	lasted    time.Duration
	calls     map[string]int // by method
	succeeded map[string]int
	failures  map[string]int // by kind of error
	times     []time.Duration
	half      time.Duration // half of the calls took at most as long
	most      time.Duration // and 99 of 100
	latest    time.Duration
	longest   time.Duration
	slowest   string // the call that took longest
	wrongs    map[wrongness]int
	examples  []string
	creates   map[string]*creation // by token
	outcomes  outcomes
	events    map[string]int // by channel
	asks      map[string]int // by what they came to
	faults    map[faultproxy.Kind]int
	hubFaults map[string]int
	held      atomic.Bool // the call that breakLate holds back
	before    machine
	after     machine
}

// machine is what the process has.
type machine struct {
	goroutines, connections int
	heap                    uint64
}

func look(connections int) machine {
	runtime.GC()
	runtime.GC()
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	return machine{runtime.NumGoroutine(), connections, memory.HeapAlloc}
}

// creation is something that was asked for once, under a name of its own.
type creation struct {
	method  string
	outcome string // made, unknown or not, as the client was told; empty while it waits
	made    int    // how often the Hub has made it
}

func newBook() *book {
	return &book{
		began: time.Now(), calls: make(map[string]int), succeeded: make(map[string]int), failures: make(map[string]int),
		wrongs: make(map[wrongness]int), creates: make(map[string]*creation), events: make(map[string]int), asks: make(map[string]int),
		faults: make(map[faultproxy.Kind]int), hubFaults: make(map[string]int),
	}
}

// report notes that something is wrong.
func (b *book) report(kind wrongness, format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wrongs[kind]++
	if len(b.examples) < 20 {
		b.examples = append(b.examples, string(kind)+": "+fmt.Sprintf(format, args...))
	}
}

func (b *book) wrong() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	sum := 0
	for _, n := range b.wrongs {
		sum += n
	}
	return sum
}

func (b *book) count(counts map[string]int, what string, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	counts[what] += n
}

// returned notes a call.
func (b *book) returned(method string, took, overdue time.Duration, err error) {
	b.mu.Lock()
	b.calls[method]++
	b.times = append(b.times, took)
	b.latest = max(b.latest, overdue)
	if took > b.longest {
		b.longest, b.slowest = took, fmt.Sprintf("%s: %v", method, err)
	}
	if err == nil {
		b.succeeded[method]++
	} else {
		b.failures[kindOf(err)]++
	}
	b.mu.Unlock()
	if overdue > patience {
		b.report(late, "%s returned %v after its context had ended: %v", method, overdue, err)
	}
}

// kindOf names what callers tell errors by.
func kindOf(err error) string {
	for _, kind := range []struct {
		err  error
		name string
	}{
		{coder.ErrOutcomeUnknown, "outcome unknown"}, {context.Canceled, "canceled"}, {context.DeadlineExceeded, "deadline"},
		{coder.ErrReconnectsExceeded, "too many attempts to reconnect"}, {coder.ErrRateLimited, "rate limited"},
		{coder.ErrUnavailable, "unavailable"}, {coder.ErrConnClosed, "connection closed"}, {coder.ErrPromptDropped, "prompt dropped"},
		{coder.ErrNotFound, "not found"}, {coder.ErrSessionNotFound, "not found"}, {coder.ErrConflict, "conflict"},
		{coder.ErrResumeDeclined, "resume declined"}, {coder.ErrNotAttachable, "not attachable"}, {coder.ErrAgentAborted, "aborted"},
		{coder.ErrAgentStalled, "stalled"},
	} {
		if errors.Is(err, kind.err) {
			return kind.name
		}
	}
	if coder.IsTransient(err) {
		return "transient"
	}
	return fmt.Sprintf("%T", err)
}

// asked says that something is about to be asked for.
func (b *book) asked(token, method string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.creates[token] = &creation{method: method}
}

// heard notes what the client was told.
func (b *book) heard(token, outcome string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.creates[token].outcome = outcome
}

// made notes that the Hub has made something.
func (b *book) made(token string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c := b.creates[token]; c != nil {
		c.made++
	}
}

// settle compares what clients were told with what the Hub did, when nothing goes on any more. What the book holds of single calls
// is summed up and forgotten: it would be taken for something that is left behind.
func (b *book) settle() {
	if n := len(b.times); n > 0 {
		slices.Sort(b.times)
		b.half, b.most = b.times[n/2], b.times[n*99/100]
	}
	b.outcomes = b.summedUp()
	creates := b.creates
	b.times, b.creates = nil, nil
	for _, token := range slices.Sorted(maps.Keys(creates)) {
		c := creates[token]
		switch {
		case c.made > 1:
			b.report(duplicate, "%s: %s was made %d times, and the client was told %q", c.method, token, c.made, c.outcome)
		case c.outcome == "made" && c.made == 0:
			b.report(lost, "%s: %s was never made, but the client was told so", c.method, token)
		case c.outcome == "not" && c.made > 0:
			b.report(misjudged, "%s: %s was made, and the client was told that it was not", c.method, token)
		}
	}
}

// outcomes are what creates came to, as the client was told; of those that it does not know some had been made.
type outcomes struct{ all, made, unknownMade, unknownNot, not int }

func (b *book) summedUp() outcomes {
	o := outcomes{all: len(b.creates)}
	for _, c := range b.creates {
		switch {
		case c.outcome == "made":
			o.made++
		case c.outcome == "not":
			o.not++
		case c.made > 0:
			o.unknownMade++
		default:
			o.unknownNot++
		}
	}
	return o
}

func (b *book) print(out io.Writer, c config) {
	b.mu.Lock()
	defer b.mu.Unlock()
	total, answered := 0, 0
	for method, n := range b.calls {
		total += n
		answered += b.succeeded[method]
	}
	fmt.Fprintf(out, "%s, seed %d, %v, on %s\n", runtime.Version(), c.seed, b.lasted.Round(time.Second), strings.Join(c.ways, ", "))
	fmt.Fprintf(out, "calls %d, of %d methods; answered %d\n", total, len(b.calls), answered)
	fmt.Fprintf(out, "p50 %v, p99 %v, longest %v (%s); at most %v after its context\n",
		round(b.half), round(b.most), round(b.longest), b.slowest, round(b.latest))
	o := b.outcomes
	fmt.Fprintf(out, "creates %d: made %d, unknown %d (%d had been made), not made %d\n",
		o.all, o.made, o.unknownMade+o.unknownNot, o.unknownMade, o.not)
	line(out, "events", b.events)
	line(out, "questions", b.asks)
	line(out, "errors", b.failures)
	faults := make(map[string]int, len(b.faults))
	for kind, n := range b.faults {
		faults[kind.String()] = n
	}
	line(out, "faults of the network", faults)
	line(out, "faults of the Hub", b.hubFaults)
	fmt.Fprintf(out, "goroutines %d before, %d after; connections %d, %d; heap %.1f MB, %.1f MB\n", b.before.goroutines, b.after.goroutines,
		b.before.connections, b.after.connections, float64(b.before.heap)/1e6, float64(b.after.heap)/1e6)
	for _, kind := range wrongnesses {
		fmt.Fprintf(out, "%-14s %d\n", kind, b.wrongs[kind])
	}
	for _, example := range b.examples {
		fmt.Fprintln(out, " ", example)
	}
}

func round(d time.Duration) time.Duration {
	if d > time.Second {
		return d.Round(10 * time.Millisecond)
	}
	return d.Round(10 * time.Microsecond)
}

// line prints counts, the most frequent first.
func line(out io.Writer, what string, counts map[string]int) {
	sum := 0
	names := slices.SortedFunc(maps.Keys(counts), func(x, y string) int {
		return cmp.Or(counts[y]-counts[x], strings.Compare(x, y))
	})
	for i, name := range names {
		sum += counts[name]
		names[i] = fmt.Sprintf("%s %d", name, counts[name])
	}
	fmt.Fprintf(out, "%s %d: %s\n", what, sum, strings.Join(names, ", "))
}
