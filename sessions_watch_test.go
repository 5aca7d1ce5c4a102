package coder_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// historyView is a transport that shows a history otherwise than codertest does: ids appear late, old ones are gone, pages are
// short.
type historyView struct {
	http.RoundTripper
	mu       sync.Mutex
	hidden   map[int]time.Time // until then
	trimmed  int               // ids up to this are gone
	capped   int
	requests int
}

func (v *historyView) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(r.URL.Path, "/events/history") {
		return v.RoundTripper.RoundTrip(r)
	}
	v.mu.Lock()
	v.requests++
	v.mu.Unlock()
	q := r.URL.Query()
	limit, _ := strconv.Atoi(q.Get("limit"))
	before, _ := strconv.Atoi(q.Get("beforeId"))
	if v.capped > 0 {
		limit = min(limit, v.capped)
	}
	inner := r.Clone(r.Context())
	var page []map[string]any
	for {
		q.Set("limit", "1000")
		inner.URL.RawQuery = q.Encode()
		resp, err := v.RoundTripper.RoundTrip(inner)
		if err != nil || resp.StatusCode != http.StatusOK {
			return resp, err
		}
		text, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil {
			return nil, err
		}
		var answer map[string]any
		if err := json.Unmarshal(text, &answer); err != nil {
			return nil, err
		}
		events, _ := answer["events"].([]any)
		for _, e := range events {
			event := e.(map[string]any)
			id := int(event["id"].(float64))
			q.Set("beforeId", strconv.Itoa(id))
			if id > v.trimmed && !v.isHidden(id) && (before == 0 || id < before) && len(page) < limit {
				page = append(page, event)
			}
		}
		if len(page) == limit || len(events) < 1000 {
			answer["events"] = append([]map[string]any{}, page...)
			text, _ = json.Marshal(answer)
			resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
			resp.Header.Del("Content-Length")
			return resp, nil
		}
	}
}

// since returns the number of requests since it was last asked for.
func (v *historyView) since() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	n := v.requests
	v.requests = 0
	return n
}

func (v *historyView) isHidden(id int) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return time.Now().Before(v.hidden[id])
}

func (v *historyView) hide(id int, d time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.hidden == nil {
		v.hidden = make(map[int]time.Time)
	}
	v.hidden[id] = time.Now().Add(d)
}

// viewed returns a client that sees the history through the view.
func viewed(t *testing.T, hub *codertest.Hub, v *historyView) *coder.Client {
	t.Helper()
	transport := coder.NewTransport()
	transport.DialContext = hub.HTTPClient().Transport.(*http.Transport).DialContext
	v.RoundTripper = transport
	t.Cleanup(transport.CloseIdleConnections)
	return hubClient(t, hub, coder.WithHTTPClient(&http.Client{Transport: v}))
}

// watched is one that watches, as a program does.
type watched struct {
	mu     sync.Mutex
	events []coder.WatchedEvent
	at     []time.Time
	err    error
	done   chan struct{}
}

func watch(ctx context.Context, c *coder.Client, id string, o *coder.WatchEventsOptions) *watched {
	w := &watched{done: make(chan struct{})}
	go func() {
		defer close(w.done)
		for e, err := range c.WatchEvents(ctx, id, o) {
			w.mu.Lock()
			if err != nil {
				w.err = err
			} else {
				w.events = append(w.events, e)
				w.at = append(w.at, time.Now())
			}
			w.mu.Unlock()
		}
	}()
	return w
}

func (w *watched) seen() []coder.WatchedEvent {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.events)
}

// ids returns the ids in the order in which they came, late ones negative.
func (w *watched) ids() (all []int) {
	for _, e := range w.seen() {
		switch {
		case e.Late:
			all = append(all, -e.ID)
		case e.ID > 0:
			all = append(all, e.ID)
		}
	}
	return all
}

// assertIDs fails with the place where the ids differ.
func assertIDs(t *testing.T, want, got []int) {
	t.Helper()
	for i := range max(len(want), len(got)) {
		if i >= len(want) || i >= len(got) || want[i] != got[i] {
			assert.Fail(t, "other ids", "%d are wanted, %d came; from #%d on %v are wanted, %v came", len(want), len(got), i,
				want[min(i, len(want)):min(i+5, len(want))], got[min(i, len(got)):min(i+5, len(got))])
			return
		}
	}
}

// history returns all ids that the history has.
func historyIDs(t *testing.T, c *coder.Client, id string) (all []int) {
	t.Helper()
	for e, err := range c.AllEventHistory(t.Context(), id, nil) {
		require.NoError(t, err)
		all = append(all, e.ID)
	}
	slices.Reverse(all)
	return all
}

// upTo returns the ids from one to another.
func upTo(from, to int) (all []int) {
	for id := from; id <= to; id++ {
		all = append(all, id)
	}
	return all
}

func emitTurns(s *codertest.SessionControl, n int) (last int) {
	for range n {
		last = s.Emit(codertest.Event{Event: coder.EventTurnEnd})
	}
	return last
}

// TestWatchEvents: what was there, and what comes, once each and in order, until the session is over.
func TestWatchEvents(t *testing.T) {
	for _, noStream := range []bool{false, true} {
		for _, settle := range []time.Duration{0, -1, time.Minute} {
			bubble(t, func(t *testing.T, hub *codertest.Hub) {
				c := hubClient(t, hub)
				id := newSession(t, c)
				session := hub.Session(id)
				emitTurns(session, 1234)
				w := watch(t.Context(), c, id, &coder.WatchEventsOptions{Settle: settle, NoStream: noStream})
				time.Sleep(5 * time.Minute)
				assertIDs(t, historyIDs(t, c, id), w.ids())
				for range 30 {
					emitTurns(session, 3)
					time.Sleep(7 * time.Second)
				}
				time.Sleep(5 * time.Minute)
				assertIDs(t, historyIDs(t, c, id), w.ids())
				emitTurns(session, 5)
				session.Archive()
				<-w.done
				require.NoError(t, w.err)
				assertIDs(t, historyIDs(t, c, id), w.ids())
				marks := 0
				for _, e := range w.seen() {
					if e.Live {
						marks++
					}
				}
				assert.Equal(t, 1, marks)
			})
		}
	}
}

// TestWatchEvents_Resumes: another process goes on where the cursor says, and needs no more requests than that takes.
func TestWatchEvents_Resumes(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		v := &historyView{}
		c := viewed(t, hub, v)
		id := newSession(t, c)
		last := emitTurns(hub.Session(id), 1000)
		time.Sleep(time.Minute)
		var all []int // without streams, which would add their joins to the history
		var cursor coder.Cursor
		for len(all) < last { // a process that dies after each 70 events
			n := 0
			for e, err := range c.WatchEvents(t.Context(), id, &coder.WatchEventsOptions{After: cursor, NoStream: true}) {
				require.NoError(t, err)
				if e.ID > 0 {
					all = append(all, e.ID)
				}
				cursor = e.Cursor
				if n++; n == 70 || len(all) == last {
					break
				}
			}
		}
		assertIDs(t, upTo(1, last), all)
		v.since()
		for e, err := range c.WatchEvents(t.Context(), id, &coder.WatchEventsOptions{After: cursor, NoStream: true}) {
			require.NoError(t, err)
			assert.True(t, e.Live, "nothing is missing")
			assert.Zero(t, e.ID)
			assert.Equal(t, cursor, e.Cursor)
			break
		}
		assert.Equal(t, 1, v.since())
		assert.NotContains(t, string(cursor), " ")
		assert.Less(t, len(cursor), 100)
	})
}

// TestWatchEvents_Live: the mark comes after everything that was there, and before anything else.
func TestWatchEvents_Live(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		c := hubClient(t, hub)
		id := newSession(t, c)
		for _, n := range []int{3, 50, 200} { // one page, and several
			last := emitTurns(hub.Session(id), n)
			time.Sleep(time.Minute)
			w := watch(t.Context(), c, id, nil)
			time.Sleep(time.Minute)
			events := w.seen()
			mark := slices.IndexFunc(events, func(e coder.WatchedEvent) bool { return e.Live })
			assertIDs(t, upTo(1, last), w.ids()[:last])
			assert.Contains(t, []int{last - 1, last}, mark)
			assert.Contains(t, []int{0, last}, events[mark].ID)
			hub.Session(id).Archive()
			<-w.done
			id = newSession(t, c)
		}

		// All of it is younger than Settle.
		id = newSession(t, c)
		emitTurns(hub.Session(id), 3)
		w := watch(t.Context(), c, id, nil)
		time.Sleep(time.Minute)
		events := w.seen()
		assert.True(t, events[0].Live)
		assert.Zero(t, events[0].ID)
		hub.Session(id).Archive()
		<-w.done
	})
}

// TestWatchEvents_Settle: an id that shows up out of order comes in its place, or is marked as late, once.
func TestWatchEvents_Settle(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		v := &historyView{}
		c := viewed(t, hub, v)
		id := newSession(t, c)
		session := hub.Session(id)
		w := watch(t.Context(), c, id, nil)
		time.Sleep(time.Minute)
		first := w.ids()
		last := first[len(first)-1]
		v.hide(last+2, 3*time.Second)
		v.hide(last+4, 40*time.Second)
		emitTurns(session, 6)
		time.Sleep(20 * time.Second)
		assert.Equal(t, []int{last + 1, last + 2, last + 3, last + 5, last + 6}, w.ids()[len(first):])
		time.Sleep(2 * time.Minute)
		assert.Equal(t, -(last + 4), w.ids()[len(first)+5])
		emitTurns(session, 1)
		time.Sleep(time.Minute)
		assert.Equal(t, last+7, w.ids()[len(first)+6], "once, and the others go on")
		late := w.seen()[slices.IndexFunc(w.seen(), func(e coder.WatchedEvent) bool { return e.Late })]
		session.Archive()
		<-w.done
		require.NoError(t, w.err)
		// The cursor of a late event is where the others are.
		for e, err := range c.WatchEvents(t.Context(), id, &coder.WatchEventsOptions{After: late.Cursor}) {
			require.NoError(t, err)
			assert.Equal(t, last+7, e.ID)
			break
		}
	})
}

func TestWatchEvents_Refuses(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		v := &historyView{}
		c := viewed(t, hub, v)
		id, other := newSession(t, c), newSession(t, c)
		emitTurns(hub.Session(id), 200)
		time.Sleep(time.Minute)
		var cursor coder.Cursor
		for e, err := range c.WatchEvents(t.Context(), id, nil) {
			require.NoError(t, err)
			if cursor = e.Cursor; e.ID == 50 {
				break
			}
		}
		elsewhere, err := coder.NewClient(coder.WithURL("http://other.invalid"), coder.WithAPIKey("key"))
		require.NoError(t, err)
		before := len(hub.Requests())
		fails := func(c *coder.Client, id string, o *coder.WatchEventsOptions) (last error) {
			n := 0
			for e, err := range c.WatchEvents(t.Context(), id, o) {
				n++
				last = err
				assert.Zero(t, e)
			}
			assert.Equal(t, 1, n)
			return last
		}
		for name, err := range map[string]error{
			"another session": fails(c, other, &coder.WatchEventsOptions{After: cursor}),
			"another Hub":     fails(elsewhere, id, &coder.WatchEventsOptions{After: cursor}),
		} {
			require.ErrorIs(t, err, coder.ErrForeignCursor, name)
			assert.Contains(t, err.Error(), "coder: WatchEvents: After is a cursor of another")
			assert.False(t, coder.IsTransient(err))
		}
		for _, o := range []*coder.WatchEventsOptions{
			{After: "7"}, {After: cursor + "0x"}, {After: cursor[:10]}, {After: "cursor1.a.b.-1"}, {PollInterval: -1}, {ReconnectDelay: -1}, {MaxReconnectDelay: -1},
		} {
			var bad *coder.ValidationError
			require.ErrorAs(t, fails(c, id, o), &bad)
			require.NotErrorIs(t, bad, coder.ErrForeignCursor)
		}
		var bad *coder.ValidationError
		require.ErrorAs(t, fails(c, "", nil), &bad)
		assert.Len(t, hub.Requests(), before, "nothing was sent")
		require.ErrorIs(t, fails(c, "codesess_unknown", nil), coder.ErrSessionNotFound)

		v.trimmed = 40
		for e, err := range c.WatchEvents(t.Context(), id, &coder.WatchEventsOptions{After: cursor}) {
			require.NoError(t, err)
			assert.Equal(t, 51, e.ID, "nothing after the cursor is gone")
			break
		}
		v.trimmed = 60
		err = fails(c, id, &coder.WatchEventsOptions{After: cursor})
		require.ErrorIs(t, err, coder.ErrHistoryGap)
		var gap *coder.HistoryGapError
		require.ErrorAs(t, err, &gap)
		assert.Equal(t, coder.HistoryGapError{SessionID: id, After: 50}, *gap)
		assert.False(t, coder.IsTransient(err))
		v.trimmed = 1000
		require.ErrorIs(t, fails(c, id, &coder.WatchEventsOptions{After: cursor}), coder.ErrHistoryGap)
	})
}

// TestWatchEvents_Failures: a Hub that is away is waited for, and one that says no is not.
func TestWatchEvents_Failures(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		c := hubClient(t, hub)
		id := newSession(t, c)
		session := hub.Session(id)
		emitTurns(session, 150)
		w := watch(t.Context(), c, id, nil)
		time.Sleep(time.Minute)
		away := hub.Inject(codertest.Fault{Status: 503, Count: -1})
		session.CutStreams()
		time.Sleep(2 * time.Minute)
		emitTurns(session, 10)
		away.Remove()
		time.Sleep(3 * time.Minute)
		assertIDs(t, historyIDs(t, c, id), w.ids())
		hub.Inject(codertest.Fault{Status: 401, Count: -1, Route: "/hub/session/{id}/events/history"})
		<-w.done
		require.ErrorIs(t, w.err, coder.ErrUnauthorized)
	})
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		c := hubClient(t, hub)
		id := newSession(t, c)
		hub.Inject(codertest.Fault{Status: 503, Count: -1})
		began := time.Now()
		w := watch(t.Context(), c, id, &coder.WatchEventsOptions{MaxReconnectAttempts: 3})
		<-w.done
		require.ErrorIs(t, w.err, coder.ErrUnavailable)
		assert.True(t, coder.IsTransient(w.err))
		assert.Less(t, time.Since(began), 5*time.Minute)

		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Hour, errors.New("of the test"))
		defer cancel()
		w = watch(ctx, c, id, &coder.WatchEventsOptions{MaxReconnectAttempts: 1 << 40})
		<-w.done
		require.ErrorIs(t, w.err, context.DeadlineExceeded)
	})
}

// TestWatchEvents_Requests: how many requests events take that come at different rates, with a stream and without.
func TestWatchEvents_Requests(t *testing.T) {
	for _, noStream := range []bool{false, true} {
		for rate, most := range map[int]int{1: 4200, 100: 1000, 10_000: 60} { // events a minute
			bubble(t, func(t *testing.T, hub *codertest.Hub) {
				c := hubClient(t, hub)
				id := newSession(t, c)
				w := watch(t.Context(), c, id, &coder.WatchEventsOptions{NoStream: noStream})
				time.Sleep(time.Minute)
				before := len(hub.Requests())
				for range 1000 {
					emitTurns(hub.Session(id), 1)
					time.Sleep(time.Minute / time.Duration(rate))
				}
				time.Sleep(time.Minute)
				requests := len(hub.Requests()) - before
				t.Logf("no stream %t, %d events a minute: %d requests for 1,000 events", noStream, rate, requests)
				assert.LessOrEqual(t, requests, most*map[bool]int{false: 1, true: 2}[noStream])
				assertIDs(t, historyIDs(t, c, id), w.ids())
				worst := time.Duration(0)
				for i, e := range w.seen() {
					if e.ID > 0 {
						worst = max(worst, w.at[i].Sub(e.IngestedAt))
					}
				}
				assert.LessOrEqual(t, worst, map[bool]time.Duration{false: 7 * time.Second, true: 36 * time.Second}[noStream])
				hub.Session(id).Archive()
				<-w.done
			})
		}
	}
}

// slowHistory delays the answers of a history on their way.
type slowHistory struct {
	http.RoundTripper
	lag atomic.Int64
}

func (s *slowHistory) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := s.RoundTripper.RoundTrip(r)
	if strings.HasSuffix(r.URL.Path, "/events/history") {
		time.Sleep(time.Duration(s.lag.Load()))
	}
	return resp, err
}

// TestWatchEvents_SlowAnswers: a page is as old as its request. What showed up while the answer was on its way comes in
// its place.
func TestWatchEvents_SlowAnswers(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		v := &historyView{}
		viewed(t, hub, v)
		slow := &slowHistory{RoundTripper: v}
		c := hubClient(t, hub, coder.WithHTTPClient(&http.Client{Transport: slow}))
		id := newSession(t, c)
		last := emitTurns(hub.Session(id), 3)
		w := watch(t.Context(), c, id, &coder.WatchEventsOptions{NoStream: true, PollInterval: time.Second})
		time.Sleep(37500 * time.Millisecond)
		assertIDs(t, upTo(1, last), w.ids())
		v.hide(last+1, 4*time.Second)
		emitTurns(hub.Session(id), 3)
		time.Sleep(1100 * time.Millisecond) // they were seen
		slow.lag.Store(int64(8 * time.Second))
		time.Sleep(time.Minute)
		assertIDs(t, upTo(1, last+3), w.ids())
		hub.Session(id).Archive()
		<-w.done
	})
}

// TestWatchEvents_LateBehindOthers: a late event is found below the newest page, for as long as it may show up, and only ids
// that are missing are looked for.
func TestWatchEvents_LateBehindOthers(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		v := &historyView{}
		c := viewed(t, hub, v)
		id := newSession(t, c)
		session := hub.Session(id)
		last := emitTurns(session, 10)
		w := watch(t.Context(), c, id, &coder.WatchEventsOptions{NoStream: true})
		time.Sleep(time.Minute)
		emitTurns(session, 700)
		time.Sleep(time.Minute)
		v.since()
		time.Sleep(10 * time.Minute)
		assert.Equal(t, 20, v.since(), "no id is missing: a look has one page")

		v.hide(last+701, 4*time.Minute)
		v.hide(last+702, 6*time.Minute+10*time.Second)
		v.hide(last+703, time.Hour)
		emitTurns(session, 503)
		time.Sleep(8 * time.Minute)
		want := append(upTo(1, last+700), upTo(last+704, last+1203)...)
		assertIDs(t, append(want, -(last+701)), w.ids())
		v.since()
		time.Sleep(10 * time.Minute)
		assert.Equal(t, 20, v.since(), "what is missing for long is not looked for")
		session.Archive()
		<-w.done
		require.NoError(t, w.err)
	})
}

// TestWatchEvents_LateWhileTheHubIsAway: what has shown up late in time is found, however long the Hub was away meanwhile.
func TestWatchEvents_LateWhileTheHubIsAway(t *testing.T) {
	for _, away := range []codertest.Fault{
		{Route: historyRoute, Status: http.StatusServiceUnavailable, Count: -1},
		{Route: historyRoute, Stall: true, Cut: codertest.CutMidBody, Count: -1},
	} {
		bubble(t, func(t *testing.T, hub *codertest.Hub) {
			v := &historyView{}
			c := viewed(t, hub, v)
			id := newSession(t, c)
			session := hub.Session(id)
			last := emitTurns(session, 10)
			w := watch(t.Context(), c, id, &coder.WatchEventsOptions{NoStream: true, MaxReconnectAttempts: math.MaxInt})
			time.Sleep(time.Minute)
			v.hide(last+1, 4*time.Minute)
			v.hide(last+2, 6*time.Minute+10*time.Second)
			emitTurns(session, 300)
			time.Sleep(time.Minute)
			fault := hub.Inject(away)
			time.Sleep(20 * time.Minute)
			assertIDs(t, append(upTo(1, last), upTo(last+3, last+300)...), w.ids())
			fault.Remove()
			time.Sleep(2 * time.Minute)
			got := w.ids()
			assert.Contains(t, got, -(last + 1))
			session.Archive()
			<-w.done
			require.NoError(t, w.err)
		})
	}
}

// TestWatchEvents_LateInATrimmedHistory: what a history has lost is not looked for, again and again.
func TestWatchEvents_LateInATrimmedHistory(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		v := &historyView{}
		c := viewed(t, hub, v)
		id := newSession(t, c)
		session := hub.Session(id)
		last := emitTurns(session, 10)
		w := watch(t.Context(), c, id, &coder.WatchEventsOptions{NoStream: true})
		time.Sleep(time.Minute)
		v.hide(last+1, 1000*time.Hour)
		emitTurns(session, 300)
		time.Sleep(time.Minute)
		for i := range last + 150 {
			v.hide(i+1, 1000*time.Hour)
		}
		time.Sleep(10 * time.Minute)
		v.since()
		time.Sleep(10 * time.Minute)
		assert.Equal(t, 20, v.since(), "a look has one page")
		session.Archive()
		<-w.done
		require.NoError(t, w.err)
	})
}

// TestWatchEvents_LiveAfterADelay: it is live when it has yielded all that is settled where it was read last, although the end of
// the history was read long before.
func TestWatchEvents_LiveAfterADelay(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		c := hubClient(t, hub)
		id := newSession(t, c)
		session := hub.Session(id)
		last := emitTurns(session, 250)
		hub.Inject(codertest.Fault{Route: historyRoute, Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"30"}}, Skip: 1})
		began := time.Now()
		live := 0
		for e, err := range c.WatchEvents(t.Context(), id, nil) {
			require.NoError(t, err)
			if e.Live {
				live = e.ID
				break
			}
		}
		assert.GreaterOrEqual(t, live, last)
		assert.InDelta(t, 30, time.Since(began).Seconds(), 1)
	})
}

// TestWatchEvents_EndsSettled: what shows up right after the end of the session is not left out, and one that is long over is
// read without a wait.
func TestWatchEvents_EndsSettled(t *testing.T) {
	for _, noStream := range []bool{false, true} {
		bubble(t, func(t *testing.T, hub *codertest.Hub) {
			v := &historyView{}
			c := viewed(t, hub, v)
			id := newSession(t, c)
			session := hub.Session(id)
			w := watch(t.Context(), c, id, &coder.WatchEventsOptions{NoStream: noStream, PollInterval: time.Second})
			time.Sleep(time.Minute)
			ids := w.ids()
			last := ids[len(ids)-1]
			for hidden := range 5 { // the end of the session among them
				v.hide(last+1+hidden, 4500*time.Millisecond)
			}
			emitTurns(session, 1)
			session.Archive()
			<-w.done
			require.NoError(t, w.err)
			assertIDs(t, historyIDs(t, c, id), w.ids())
			time.Sleep(time.Minute)
			began := time.Now()
			w = watch(t.Context(), c, id, &coder.WatchEventsOptions{NoStream: noStream})
			<-w.done
			require.NoError(t, w.err)
			assertIDs(t, historyIDs(t, c, id), w.ids())
			assert.Less(t, time.Since(began), time.Second)
		})
	}
}
