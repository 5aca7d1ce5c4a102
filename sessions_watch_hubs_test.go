package coder_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// TestWatchEvents_Silent: a Hub that begins an answer and falls silent holds nothing up for ever.
func TestWatchEvents_Silent(t *testing.T) {
	t.Run("for a while", func(t *testing.T) {
		bubble(t, func(t *testing.T, hub *codertest.Hub) {
			c := hubClient(t, hub)
			id := newSession(t, c)
			emitTurns(hub.Session(id), 300)
			hub.Inject(codertest.Fault{Route: historyRoute, Cut: codertest.CutMidBody, Stall: true, Count: 3})
			w := watch(t.Context(), c, id, nil)
			time.Sleep(time.Hour)
			assertIDs(t, historyIDs(t, c, id), w.ids())
			silent := hub.Inject(codertest.Fault{Method: http.MethodGet, Route: "/hub/session/{id}", Cut: codertest.CutMidBody, Stall: true})
			hub.Session(id).Archive()
			<-w.done
			require.NoError(t, w.err)
			assert.Equal(t, 1, silent.Hits(), "whether it is over, too")
			assertIDs(t, historyIDs(t, c, id), w.ids())
		})
	})
	t.Run("for ever, without a limit of the transport", func(t *testing.T) {
		bubble(t, func(t *testing.T, hub *codertest.Hub) {
			transport := hub.HTTPClient().Transport.(*http.Transport).Clone()
			transport.ResponseHeaderTimeout = 0
			c := hubClient(t, hub, coder.WithHTTPClient(&http.Client{Transport: transport}))
			defer c.CloseIdleConnections()
			id := newSession(t, c)
			hub.Inject(codertest.Fault{Route: historyRoute, Cut: codertest.CutAfterEffect, Stall: true, Count: -1})
			began := time.Now()
			w := watch(t.Context(), c, id, &coder.WatchEventsOptions{MaxReconnectAttempts: 2})
			<-w.done
			require.EqualError(t, w.err, "coder: WatchEvents: the Hub has not answered for 10m0s (GET /hub/session/"+id+"/events/history)")
			assert.True(t, coder.IsTransient(w.err))
			assert.Less(t, time.Since(began), 31*time.Minute)
		})
	})
}

// TestWatchEvents_Unavailable: what a Hub has answered is told, however long a call has tried.
func TestWatchEvents_Unavailable(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		c := hubClient(t, hub, coder.WithRetryPolicy(coder.RetryPolicy{UnavailableWindow: time.Hour}))
		id := newSession(t, c)
		hub.Inject(codertest.Fault{Route: historyRoute, Status: 503, Count: -1})
		w := watch(t.Context(), c, id, &coder.WatchEventsOptions{MaxReconnectAttempts: -1})
		<-w.done
		require.ErrorIs(t, w.err, coder.ErrUnavailable)
		assert.True(t, coder.IsTransient(w.err))
	})
}

// TestWatchEvents_RetryAfter: a look that is refused with a time to come back is not repeated before.
func TestWatchEvents_RetryAfter(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		c := hubClient(t, hub, coder.WithRetryPolicy(coder.RetryPolicy{MaxAttempts: 1}))
		id := newSession(t, c)
		w := watch(t.Context(), c, id, &coder.WatchEventsOptions{Settle: -1})
		time.Sleep(time.Minute)
		hub.Inject(codertest.Fault{Route: historyRoute, Status: 503, Header: http.Header{"Retry-After": {"40"}}})
		emitTurns(hub.Session(id), 1)
		before := len(hub.Requests())
		time.Sleep(39 * time.Second)
		assert.Len(t, hub.Requests(), before+1, "however the bell rings")
		emitTurns(hub.Session(id), 1)
		time.Sleep(2 * time.Second)
		assertIDs(t, historyIDs(t, c, id), w.ids())
		hub.Inject(codertest.Fault{Route: historyRoute, Status: 503, Header: http.Header{"Retry-After": {"61"}}})
		emitTurns(hub.Session(id), 1)
		<-w.done
		require.ErrorIs(t, w.err, coder.ErrUnavailable, "that is too long")
	})
}

// TestWatchEvents_Delay: how long after it was stored an event is yielded, whether it comes alone or one after the other, and how many
// looks that takes.
func TestWatchEvents_Delay(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		view := new(historyView)
		c := viewed(t, hub, view)
		id := newSession(t, c)
		w := watch(t.Context(), c, id, &coder.WatchEventsOptions{PollInterval: 10 * time.Minute})
		time.Sleep(time.Minute)
		view.since()
		for range 20 {
			before := len(w.ids())
			emitTurns(hub.Session(id), 1)
			time.Sleep(6500 * time.Millisecond)
			require.Len(t, w.ids(), before+1)
			time.Sleep(13 * time.Second)
		}
		assert.LessOrEqual(t, view.since(), 45, "one look an event, or two")
		for range 60 { // the bell does not fall silent
			emitTurns(hub.Session(id), 1)
			time.Sleep(time.Second)
		}
		time.Sleep(6500 * time.Millisecond)
		assertIDs(t, historyIDs(t, c, id), w.ids())
		worst := time.Duration(0)
		for i, e := range w.seen() {
			if e.ID > 0 && !e.IngestedAt.IsZero() {
				worst = max(worst, w.at[i].Sub(e.IngestedAt))
			}
		}
		assert.LessOrEqual(t, worst, 6500*time.Millisecond)
		hub.Session(id).Archive()
		<-w.done
		require.NoError(t, w.err)
	})
}

// plainHistory is the transport of a Hub whose events say only when they happened, of a session that is over.
type plainHistory struct {
	at       time.Time
	events   int
	unpaged  bool // it returns the newest events, whatever it is asked for
	requests int
}

func (h *plainHistory) RoundTrip(r *http.Request) (*http.Response, error) {
	body := bytes.NewBufferString(`{"sessionId":"x","status":"archived","historyOnly":true}`)
	if strings.HasSuffix(r.URL.Path, "/events/history") {
		h.requests++
		limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
		before, _ := strconv.Atoi(r.URL.Query().Get("beforeId"))
		if before == 0 || h.unpaged {
			before = h.events + 1
		}
		events := []map[string]any{}
		for id := min(before, h.events+1) - 1; id > 0 && len(events) < limit; id-- {
			events = append(events, map[string]any{"id": id, "event": "turn_start", "occurredAt": h.at})
		}
		body.Reset()
		_ = json.NewEncoder(body).Encode(map[string]any{"sessionId": "x", "events": events})
	}
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(body), Request: r,
	}, nil
}

// TestWatchEvents_NotIngested: what is old is not waited for, also where the Hub does not say when it stored it.
func TestWatchEvents_NotIngested(t *testing.T) {
	bubble(t, func(t *testing.T, _ *codertest.Hub) {
		for age, most := range map[time.Duration]time.Duration{time.Hour: time.Second, time.Second: time.Hour} {
			h := &plainHistory{at: time.Now().Add(-age), events: 1000}
			c := newClient(t, coder.WithURL("http://hub.invalid"), coder.WithHTTPClient(&http.Client{Transport: h}))
			w := watch(t.Context(), c, "x", &coder.WatchEventsOptions{NoStream: true, PollInterval: time.Second})
			began := time.Now()
			for len(w.ids()) < 1000 && time.Since(began) < most {
				time.Sleep(100 * time.Millisecond)
			}
			assert.Len(t, w.ids(), 1000, "events of an age of %v", age)
			<-w.done
			require.NoError(t, w.err)
		}
	})
}

// TestWatchEvents_NoPages: of a Hub without pages nothing is to be expected of another look.
func TestWatchEvents_NoPages(t *testing.T) {
	bubble(t, func(t *testing.T, _ *codertest.Hub) {
		h := &plainHistory{at: time.Now().Add(-time.Hour), events: 1000, unpaged: true}
		c := newClient(t, coder.WithURL("http://hub.invalid"), coder.WithHTTPClient(&http.Client{Transport: h}))
		w := watch(t.Context(), c, "x", &coder.WatchEventsOptions{NoStream: true})
		<-w.done
		require.EqualError(t, w.err, "coder: WatchEvents: unusable answer: the Hub does not page its history (GET /hub/session/x/events/history: 200)")
		assert.False(t, coder.IsTransient(w.err))
		assert.LessOrEqual(t, h.requests, 2)
	})
}

// TestWaitForSession_FollowLost: a stream that was there and is away tells nothing: the Hub is asked as without it.
func TestWaitForSession_FollowLost(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		c := hubClient(t, hub)
		id := newSession(t, c)
		session := hub.Session(id)
		session.SetStatus("active")
		time.AfterFunc(time.Minute, func() {
			session.RefuseStreams(codertest.Refusal{Count: -1, Status: 503})
			session.CutStreams()
		})
		var ended time.Time
		time.AfterFunc(90*time.Second, func() { ended = time.Now(); session.Archive() })
		outcome, err := c.WaitForSession(t.Context(), id, &coder.WaitForSessionOptions{Follow: true, MaxPollInterval: 10 * time.Minute})
		require.NoError(t, err)
		assert.Equal(t, coder.OutcomeArchived, outcome.Kind)
		assert.Less(t, time.Since(ended), time.Minute, fmt.Sprint(looks(hub)))
	})
}
