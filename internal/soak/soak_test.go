package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

// short is a soak of two rounds on each way.
func short(t *testing.T, c config) *book {
	t.Helper()
	if c.ways == nil {
		c.ways = wayNames()
	}
	c.rounds, c.seed = max(c.rounds, 1), 1
	c.workers = max(c.workers, 1)
	b, err := soak(t.Context(), c)
	require.NoError(t, err)
	return b
}

// TestSoak: where nothing is broken, nothing is wrong.
func TestSoak(t *testing.T) {
	b := short(t, config{ways: []string{"plain", "h2"}, only: []string{"session", "workspace", "read", "others"}, share: 0.04})
	var report bytes.Buffer
	b.print(&report, config{})
	assert.Zero(t, b.wrong(), report.String())
}

// TestMethods: all of them are known.
func TestMethods(t *testing.T) {
	assert.Subset(t, methods(), []string{"GetSession", "AllSessions", "WatchEvents", "Attach", "HubConn.Ask", "HubConn.Close"})
	assert.NotContains(t, methods(), "Format")
}

// TestSoak_Breaks: whatever is broken on purpose is seen, and as what it is.
func TestSoak_Breaks(t *testing.T) {
	for breaks, test := range map[string]struct {
		kind wrongness
		only string
	}{
		breakDuplicate: {duplicate, "session"},
		breakForget:    {lost, "session"},
		breakLose:      {lost, "stream"},
		breakSilent:    {lost, "connect"},
		breakWrong:     {wrongly, "session"},
		breakMisjudge:  {misjudged, "session"},
		breakAnswer:    {wrongly, "run"},
		breakLate:      {late, "session"},
		breakLeak:      {leaked, "others"},
		breakImpatient: {misjudged, "read"},
	} {
		t.Run(breaks, func(t *testing.T) {
			if test.kind == leaked { // it stays, and there is nothing to wait for
				defer func(long time.Duration) { giveUp = long }(giveUp)
				giveUp = time.Second
			}
			if test.kind == late { // nothing is held back for longer than it takes to be seen
				defer func(long time.Duration) { patience = long }(patience)
				patience = time.Second
			}
			c := config{ways: []string{"plain"}, breaks: breaks, only: []string{test.only}, workers: 4, calm: true}
			if breaks == breakImpatient { // there must be something to try again
				c.share, c.rounds = 0.2, 5
			}
			b := short(t, c)
			assert.Positive(t, b.wrongs[test.kind], "%v", b.examples)
			for kind, n := range b.wrongs {
				if kind != test.kind {
					t.Logf("also %s: %d", kind, n)
				}
			}
		})
	}
}

// TestSoak_Watches: events that are left out are missed on the other channels too.
func TestSoak_Watches(t *testing.T) {
	for _, only := range []string{"watch", "connect"} {
		b := short(t, config{ways: []string{"plain"}, breaks: breakLose, only: []string{only}, workers: 4, rounds: 3, calm: true})
		assert.Positive(t, b.wrongs[lost], only)
	}
}

// TestSoak_Silent: nor may they stop.
func TestSoak_Silent(t *testing.T) {
	defer func(long time.Duration) { giveUp = long }(giveUp)
	giveUp = 2 * time.Second
	for _, only := range []string{"watch", "stream"} {
		b := short(t, config{ways: []string{"plain"}, breaks: breakSilent, only: []string{only}, workers: 4, calm: true})
		assert.Positive(t, b.wrongs[lost], only)
	}
}

// TestSoak_Fair: where nothing fails, everything works.
func TestSoak_Fair(t *testing.T) {
	b := short(t, config{ways: []string{"tls", "h2"}, calm: true})
	var report bytes.Buffer
	b.print(&report, config{})
	assert.Zero(t, b.wrong(), report.String())
}

// TestJudge: which errors are wrong ones.
func TestJudge(t *testing.T) {
	alive := t.Context()
	ended, cancel := context.WithDeadline(alive, time.Now())
	defer cancel()
	unavailable := &coder.APIError{StatusCode: http.StatusServiceUnavailable}
	require.True(t, coder.IsTransient(unavailable))
	for name, test := range map[string]struct {
		ctx   context.Context
		took  time.Duration
		err   error
		fine  error
		fair  bool
		wrong int
	}{
		"none":                                 {ctx: alive, fair: true},
		"a deadline":                           {ctx: ended, err: context.DeadlineExceeded, fair: true},
		"a deadline that has not passed":       {ctx: alive, err: context.DeadlineExceeded, wrong: 1},
		"a cancel that nobody made":            {ctx: ended, err: context.Canceled, wrong: 1},
		"transient":                            {ctx: alive, err: unavailable},
		"transient, where nothing fails":       {ctx: alive, err: unavailable, fair: true, wrong: 1},
		"given up":                             {ctx: alive, err: &coder.APIError{Method: "GET", Attempts: 3, StatusCode: 502}, wrong: 1},
		"not given up":                         {ctx: alive, err: &coder.APIError{Method: "GET", Attempts: 4, StatusCode: 502}},
		"there was no time":                    {ctx: alive, took: enough, err: &coder.APIError{Method: "GET", Attempts: 1, StatusCode: 502}},
		"not to be repeated":                   {ctx: alive, err: &coder.APIError{Method: "POST", Attempts: 1, StatusCode: 502}},
		"asked to wait":                        {ctx: alive, err: &coder.APIError{Method: "GET", Attempts: 1, StatusCode: 503, RetryAfter: time.Hour}},
		"permanent":                            {ctx: alive, err: coder.ErrNotFound, wrong: 1},
		"expected":                             {ctx: alive, err: coder.ErrNotFound, fine: coder.ErrNotFound, fair: true},
		"outcome unknown":                      {ctx: alive, err: coder.ErrOutcomeUnknown, fine: coder.ErrOutcomeUnknown},
		"outcome unknown, where nothing fails": {ctx: alive, err: coder.ErrOutcomeUnknown, fine: coder.ErrOutcomeUnknown, fair: true, wrong: 1},
	} {
		t.Run(name, func(t *testing.T) {
			c := config{share: 0.04}
			if test.fair {
				c = config{calm: true}
			}
			w := newWorker(&stage{book: newBook(), config: c}, &way{name: "plain"}, 0)
			w.judge(test.ctx, "GetSession", test.took, test.err, test.fine)
			assert.Equal(t, test.wrong, w.book.wrongs[misjudged])
		})
	}
}

// TestTicks: events may be lost with a connection, and none may come twice.
func TestTicks(t *testing.T) {
	w := newWorker(&stage{book: newBook()}, &way{name: "plain"}, 0)
	ticks := &ticks{worker: w, channel: "StreamEvents", last: -1}
	for _, n := range []int{7, 8} {
		ticks.take(n)
	}
	ticks.lostConnection()
	ticks.take(12)
	assert.Zero(t, w.book.wrong())
	ticks.lostConnection()
	ticks.take(12)
	assert.Equal(t, 1, w.book.wrongs[duplicate])
	ticks.take(14)
	assert.Equal(t, 1, w.book.wrongs[lost])
}

// TestRun: what is wrong is an error of the command, and so is what there is not.
func TestRun(t *testing.T) {
	var out bytes.Buffer
	err := run(t.Context(), []string{"-rounds", "1", "-workers", "4", "-ways", "plain", "-only", "session", "-calm", "-break", breakDuplicate}, &out)
	require.Error(t, err)
	assert.Contains(t, out.String(), "done twice: ")
	for _, args := range [][]string{{"-break", "nothing"}, {"-ways", "pigeon"}, {"-unknown"}} {
		require.Error(t, run(context.Background(), args, io.Discard))
	}
}
