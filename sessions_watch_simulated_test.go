package coder_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// TestWatchEvents_Simulated watches sessions in which events come one by one and by the hundred, over a Hub that fails,
// stalls, cuts, answers slowly and restarts, that shows ids out of order, has ids with gaps and caps its pages, by
// programs that are slow, are killed and go on where their cursor says. In the end the whole history is compared with
// what they were given.
//
//	go test -run WatchEvents_Simulated -runs 10000 -v .
func TestWatchEvents_Simulated(t *testing.T) {
	counts := countSimulated(t, simulateWatch)
	assert.Greater(t, counts["events"], 100**simulatedRuns)
	assert.Greater(t, counts["late"], *simulatedRuns, "ids are marked as late")
	assert.Greater(t, counts["processes"], 3**simulatedRuns/2)
}

// simulatedHistory is a transport that shows the history of a session as a Hub may: ids appear late, have gaps between
// them, pages are short, and answers are old when they arrive. What it asks the Hub for meets the Hub's faults.
type simulatedHistory struct {
	http.RoundTripper
	session *codertest.SessionControl
	seed    uint64
	spread  int     // from one id to the next
	capped  int     // the most that a page has, 0: as asked
	hides   float64 // share of the events that do not show up at once
	lags    float64 // share of the answers that are slow

	mu     sync.Mutex
	r      *rand.Rand
	events []coder.SessionEvent
	pages  []simulatedRange // that this process was given
}

// simulatedRange is what a page shows: all ids from low up to below high that were there when it was asked for.
type simulatedRange struct {
	low, high int
	asked     time.Time
}

// delay is how long after it was stored an event shows up.
func (h *simulatedHistory) delay(id int) time.Duration {
	r := rand.New(rand.NewPCG(h.seed, uint64(id)))
	switch {
	case r.Float64() >= h.hides:
		return 0
	case r.IntN(3) > 0:
		return time.Duration(r.IntN(5000)) * time.Millisecond
	}
	return time.Duration(r.IntN(120_000)) * time.Millisecond
}

func (h *simulatedHistory) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(r.URL.Path, "/events/history") {
		return h.RoundTripper.RoundTrip(r)
	}
	q := r.URL.Query()
	limit, _ := strconv.Atoi(q.Get("limit"))
	before, _ := strconv.Atoi(q.Get("beforeId"))
	asked, inner := time.Now(), r.Clone(r.Context())
	inner.URL.RawQuery = "limit=1"
	resp, err := h.RoundTripper.RoundTrip(inner)
	if err != nil || resp.StatusCode != http.StatusOK {
		return resp, err
	}
	resp.Body, resp.ContentLength = &simulatedPage{body: resp.Body, view: h, asked: asked, limit: limit, before: before}, -1
	resp.Header.Del("Content-Length")
	return resp, nil
}

// simulatedPage is the body of an answer, which is read before it is replaced, so that it can fail.
type simulatedPage struct {
	body          io.ReadCloser
	view          *simulatedHistory
	asked         time.Time
	limit, before int
	page          *bytes.Reader
}

func (p *simulatedPage) Close() error { return p.body.Close() }

func (p *simulatedPage) Read(b []byte) (int, error) {
	if p.page == nil {
		text, err := io.ReadAll(p.body)
		if err != nil {
			return 0, err
		}
		var newest coder.SessionEventHistory
		if err := json.Unmarshal(text, &newest); err != nil {
			return 0, err
		}
		page, lag := p.view.take(&newest, p.asked, p.limit, p.before)
		p.page = bytes.NewReader(page)
		time.Sleep(lag)
	}
	return p.page.Read(b)
}

// take makes the page that the Hub would answer with now, and says how long it is on its way.
func (h *simulatedHistory) take(newest *coder.SessionEventHistory, asked time.Time, limit, before int) (text []byte, lag time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(newest.Events) > 0 && (len(h.events) == 0 || newest.Events[0].ID > h.events[len(h.events)-1].ID) {
		h.events = h.session.Events()
	}
	if h.capped > 0 {
		limit = min(limit, h.capped)
	}
	now := time.Now()
	page := coder.SessionEventHistory{SessionID: h.session.ID(), Events: []coder.SessionEvent{}}
	for i := len(h.events) - 1; i >= 0 && len(page.Events) < limit; i-- {
		e := h.events[i]
		e.ID *= h.spread
		if (before == 0 || e.ID < before) && !now.Before(e.IngestedAt.Add(h.delay(e.ID))) {
			page.Events = append(page.Events, e)
		}
	}
	shows := simulatedRange{high: cmp.Or(before, math.MaxInt), asked: asked}
	if len(page.Events) == limit {
		shows.low = page.Events[limit-1].ID
	}
	h.pages = append(h.pages, shows)
	h.r.Shuffle(len(page.Events), func(i, j int) { page.Events[i], page.Events[j] = page.Events[j], page.Events[i] })
	page.Total = len(page.Events)
	text, _ = json.Marshal(page)
	if h.r.Float64() < h.lags {
		lag = time.Duration(h.r.IntN(20_000)) * time.Millisecond
	}
	return text, lag
}

// lastAsked is when the last page was asked for that would show an id, zero if there was none.
func (h *simulatedHistory) lastAsked(id int) (asked time.Time) {
	for _, page := range h.pages {
		if page.low <= id && id < page.high && page.asked.After(asked) {
			asked = page.asked
		}
	}
	return asked
}

// readUpTo returns for each id, ascending, when all ids above one up to that were read, at least.
func (h *simulatedHistory) readUpTo(above int, ids []int) map[int]time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	bounds := []int{above + 1} // where another page may be the last
	for _, page := range h.pages {
		bounds = append(bounds, page.low, page.high)
	}
	slices.Sort(bounds)
	read, at := make(map[int]time.Time), time.Now()
	for _, id := range ids {
		if id <= above {
			read[id] = h.lastAsked(id)
			continue
		}
		for ; len(bounds) > 0 && bounds[0] <= id; bounds = bounds[1:] {
			if asked := h.lastAsked(bounds[0]); bounds[0] > above && asked.Before(at) {
				at = asked
			}
		}
		read[id] = at
	}
	return read
}

// begin forgets what the process before was given.
func (h *simulatedHistory) begin() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pages = nil
}

// simulatedWatch is a session that is watched by one process after another.
type simulatedWatch struct {
	*testing.T
	r       *rand.Rand
	hub     *codertest.Hub
	session *codertest.SessionControl
	view    *simulatedHistory
	options coder.WatchEventsOptions
	counts  map[string]int

	cursor    string // as a file holds it
	last      int    // the id of the last event that came in order
	given     map[int]simulatedGift
	processes []simulatedProcess

	logged sync.Mutex
	log    []string
	rough  []time.Time // when the Hub has failed
}

// simulatedGift is when an event was given, and to which process.
type simulatedGift struct {
	at      time.Time
	process int
	late    bool
}

// simulatedProcess is one process that has watched.
type simulatedProcess struct {
	after      int // where it began
	began, end time.Time
	saw        bool // the end of the session
}

func (w *simulatedWatch) acts() string {
	w.logged.Lock()
	defer w.logged.Unlock()
	return strings.Join(w.log, "\n")
}

func (w *simulatedWatch) note(format string, args ...any) {
	w.logged.Lock()
	defer w.logged.Unlock()
	w.log = append(w.log, time.Now().Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
}

func (w *simulatedWatch) fails() {
	w.logged.Lock()
	defer w.logged.Unlock()
	w.rough = append(w.rough, time.Now())
}

// wasRough reports whether the Hub has failed between two times.
func (w *simulatedWatch) wasRough(from, to time.Time) bool {
	w.logged.Lock()
	defer w.logged.Unlock()
	return slices.ContainsFunc(w.rough, func(at time.Time) bool { return at.After(from) && at.Before(to) })
}

func simulateWatch(t *testing.T, seed uint64, counts map[string]int) {
	r := rand.New(rand.NewPCG(seed, 41))
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		c := hubClient(t, hub)
		id := newSession(t, c)
		w := &simulatedWatch{T: t, r: r, hub: hub, session: hub.Session(id), counts: counts, given: make(map[int]simulatedGift)}
		w.session.SetStatus("active")
		transport := coder.NewTransport()
		transport.DialContext = hub.HTTPClient().Transport.(*http.Transport).DialContext
		defer transport.CloseIdleConnections()
		w.view = &simulatedHistory{
			RoundTripper: transport, session: w.session, seed: seed, r: rand.New(rand.NewPCG(seed, 42)),
			spread: []int{1, 1, 3, 1000}[r.IntN(4)], capped: []int{0, 0, 1 + r.IntN(5), 20 + r.IntN(50)}[r.IntN(4)],
			hides: []float64{0, 0.02, 0.3}[r.IntN(3)],
		}
		if w.view.capped == 0 || w.view.capped > 5 { // else it takes hours until all is read
			w.view.lags = []float64{0, 0.1}[r.IntN(2)]
		}
		w.options = coder.WatchEventsOptions{
			NoStream: r.IntN(4) == 0, PollInterval: time.Duration(r.IntN(2)*(1+r.IntN(60))) * time.Second,
			Settle: []time.Duration{0, 0, 0, 10 * time.Second, -1}[r.IntN(5)],
		}
		done, disturbance := make(chan struct{}), r.Uint64() // the goroutines share no source
		go func() {
			defer close(done)
			w.disturb(rand.New(rand.NewPCG(disturbance, 43)))
		}()
		defer func() { <-done }()
		for !w.process(id) {
			time.Sleep(time.Duration(r.ExpFloat64() * float64(10*time.Second)))
		}
		<-done
		w.judge()
	})
}

// disturb does what happens to a session and its Hub, until the session is over.
func (w *simulatedWatch) disturb(r *rand.Rand) {
	emit := func(n int) {
		for range n {
			w.session.Emit(codertest.Event{Event: []coder.EventName{coder.EventTurnEnd, coder.EventMessageUpdate, coder.EventToolCall}[r.IntN(3)]})
		}
	}
	quiet := time.Now()
	for range 2 + r.IntN(20) {
		time.Sleep(time.Duration(r.ExpFloat64() * float64(15*time.Second)))
		switch r.IntN(11) {
		default:
			n := 1 + r.IntN(5)
			w.note("%d events", n)
			emit(n)
		case 0:
			n := 1 + r.IntN(400)
			w.note("%d events at once", n)
			emit(n)
		case 1:
			w.note("some events a second")
			for range r.IntN(60) {
				emit(r.IntN(3))
				time.Sleep(time.Duration(r.ExpFloat64() * float64(time.Second)))
			}
		case 2:
			w.note("streams are cut")
			w.session.CutStreams()
		case 3:
			w.note("streams stall")
			w.session.StallStreams()
		case 4:
			w.note("noise")
			for range r.IntN(50) {
				w.session.Broadcast(codertest.Event{Event: coder.EventTurnEnd})
			}
		case 5, 6:
			w.fails()
			f := w.fault(r)
			w.note("%+v", f)
			w.hub.Inject(f)
		case 7:
			w.fails()
			down := time.Second + time.Duration(r.IntN(14000))*time.Millisecond
			how := codertest.Outage{Kind: codertest.OutageKind(r.IntN(int(codertest.OutageRetryAfter) + 1)), Crash: r.IntN(2) == 0}
			w.note("restart for %v: %+v", down, how)
			w.hub.Restart(down, how)
			if end := time.Now().Add(down); end.After(quiet) {
				quiet = end
			}
		}
	}
	if r.IntN(2) == 0 {
		time.Sleep(time.Duration(r.IntN(300)) * time.Second)
	}
	time.Sleep(time.Until(quiet)) // what is done to a Hub that is down is not told
	w.note("it is over")
	if r.IntN(2) == 0 {
		w.session.Archive()
	} else {
		w.session.Shutdown()
	}
}

func (w *simulatedWatch) fault(r *rand.Rand) codertest.Fault {
	f := codertest.Fault{
		Method: http.MethodGet, Count: 1 + r.IntN(4), Route: []string{
			"/hub/session/{id}/events/history", "/hub/session/{id}/events/history", "/hub/session/{id}/events", "/hub/session/{id}", "",
		}[r.IntN(5)],
	}
	switch r.IntN(6) {
	case 0:
		f.Status = []int{500, 502, 503, 504}[r.IntN(4)]
	case 1:
		f.Status, f.Header = 429, http.Header{"Retry-After": {strconv.Itoa(1 + r.IntN(20))}}
	case 2:
		f.Cut = []codertest.CutPoint{codertest.CutBeforeEffect, codertest.CutAfterEffect, codertest.CutMidBody}[r.IntN(3)]
	case 3:
		f.Cut, f.Stall = []codertest.CutPoint{codertest.CutNone, codertest.CutAfterEffect, codertest.CutMidBody}[r.IntN(3)], true
	case 4:
		f.Delay = time.Duration(r.IntN(20_000)) * time.Millisecond
	case 5:
		f.Body, f.Header = []byte("<html>A gateway's page"), http.Header{"Content-Type": {"text/html"}}
	}
	return f
}

// process is one process that watches, until it is killed. It reports whether the session is over.
func (w *simulatedWatch) process(id string) bool {
	ctx, kill := context.WithTimeout(w.Context(), 4*time.Hour)
	lives := len(w.processes) < 4 && w.r.IntN(4) > 0
	if lives {
		kill()
		ctx, kill = context.WithTimeout(w.Context(), time.Duration(w.r.ExpFloat64()*float64(100*time.Second)))
	}
	defer kill()
	o := w.options
	o.After = coder.Cursor(w.cursor)
	me := len(w.processes)
	w.processes = append(w.processes, simulatedProcess{after: w.last, began: time.Now(), end: time.Now().Add(math.MaxInt64)})
	w.counts["processes"]++
	w.note("process %d begins after %d: %+v", me, w.last, o)
	slow, live, err := []time.Duration{0, 0, 300 * time.Millisecond}[w.r.IntN(3)], false, error(nil)
	w.view.begin()
	c := hubClient(w.T, w.hub, coder.WithHTTPClient(&http.Client{Transport: w.view}))
	for e, failed := range c.WatchEvents(ctx, id, &o) {
		if err = failed; err != nil {
			break
		}
		w.take(me, &e)
		if e.Live {
			require.False(w, live, "live twice")
			live = true
			w.checkLive()
		}
		if slow > 0 && w.r.IntN(10) == 0 {
			time.Sleep(time.Duration(w.r.ExpFloat64() * float64(slow)))
		}
	}
	w.processes[me].end = time.Now()
	switch {
	case err == nil:
		w.processes[me].saw = true
		w.note("process %d ends at %d", me, w.last)
		require.True(w, live, "it ends live\n%s", w.acts())
		return true
	case ctx.Err() != nil:
		require.ErrorIs(w, err, context.DeadlineExceeded)
		require.True(w, lives, "the session is over, and nobody says so\n%s", w.acts())
	default:
		w.note("process %d: %v", me, err)
		w.counts["gave up"]++
		var unusable *coder.ResponseError
		require.True(w, coder.IsTransient(err) || errors.As(err, &unusable), "%v\n%s", err, w.acts())
	}
	return false
}

// take notes an event that a process was given.
func (w *simulatedWatch) take(me int, e *coder.WatchedEvent) {
	w.cursor = string(e.Cursor)
	if e.ID == 0 {
		require.True(w, e.Live)
		return
	}
	w.counts["events"]++
	before, twice := w.given[e.ID]
	require.False(w, twice, "%d was given to %d before, and now to %d\n%s", e.ID, before.process, me, w.acts())
	w.given[e.ID] = simulatedGift{time.Now(), me, e.Late}
	require.Equal(w, e.ID < w.last, e.Late, "%d after %d\n%s", e.ID, w.last, w.acts())
	if e.Late {
		w.counts["late"]++
		return
	}
	w.last = e.ID
	require.False(w, time.Now().Before(e.IngestedAt.Add(w.options.Settle).Truncate(time.Millisecond)), "%d is not settled\n%s", e.ID, w.acts())
}

func (w *simulatedWatch) settle() time.Duration {
	switch {
	case w.options.Settle < 0:
		return 0
	case w.options.Settle == 0:
		return 5 * time.Second
	}
	return w.options.Settle
}

// shownAt is when an event showed up, by its id as the client knows it.
func (w *simulatedWatch) shownAt(e *coder.SessionEvent) time.Time {
	return e.IngestedAt.Add(w.view.delay(e.ID))
}

// checkLive checks that everything was given that a process knows to be settled. If an answer was slow, it takes the events for younger than they are.
func (w *simulatedWatch) checkLive() {
	margin := w.settle() + 2*time.Second
	if w.view.lags > 0 || w.wasRough(time.Now().Add(-5*time.Minute), time.Now()) {
		margin += 2 * time.Minute
	}
	truth := w.truth()
	ids := make([]int, len(truth))
	for i := range truth {
		ids[i] = truth[i].ID
	}
	read := w.view.readUpTo(w.last, ids)
	for _, e := range truth {
		at := read[e.ID].Add(-margin)
		if w.shownAt(&e).Before(at) && e.ID > w.processes[len(w.processes)-1].after {
			_, given := w.given[e.ID]
			require.True(w, given, "it is live at %v, and %d of %v, shown at %v, is missing\n%s", at, e.ID, e.IngestedAt, w.shownAt(&e), w.acts())
		}
	}
}

// truth is the whole history, with the ids that clients see.
func (w *simulatedWatch) truth() []coder.SessionEvent {
	events := w.session.Events()
	for i := range events {
		events[i].ID *= w.view.spread
	}
	return events
}

// judge compares what was given with the whole history.
func (w *simulatedWatch) judge() {
	truth := w.truth()
	ids := make(map[int]bool)
	for i := range truth {
		e := &truth[i]
		ids[e.ID] = true
		gift, given := w.given[e.ID]
		shown := w.shownAt(e)
		switch {
		case given:
			require.False(w, gift.at.Before(shown), "%d", e.ID)
			if gift.late {
				require.Greater(w, w.view.delay(e.ID), w.settle()-time.Second, "#%d %v showed up in time\n%s", e.ID, e.IngestedAt, w.acts())
			}
		case w.view.delay(e.ID) <= w.settle()-10*time.Millisecond:
			require.Fail(w, "missing", "#%d %s of %v, shown at %v\n%s", e.ID, e.Event, e.IngestedAt, shown, w.acts())
		case w.watched(e.ID, shown):
			require.Fail(w, "a late one is missing", "#%d of %v, shown at %v\n%s", e.ID, e.IngestedAt, shown, w.acts())
		default:
			w.counts["late, and nobody watched"]++
		}
	}
	for id := range w.given {
		require.True(w, ids[id], "%d is not in the history", id)
	}
}

// watched reports whether a process that could have seen an event was there when it showed up, and for long enough
// after that, to the end of the session or with a Hub that answered.
func (w *simulatedWatch) watched(id int, shown time.Time) bool {
	for _, p := range w.processes {
		if id > p.after && shown.After(p.began) && p.end.Sub(shown) > 150*time.Second {
			return p.saw || !w.wasRough(shown.Add(-3*time.Minute), shown.Add(150*time.Second))
		}
	}
	return false
}
