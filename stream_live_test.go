package coder_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// follow streams the events of a session on another goroutine, as long as the bubble lasts.
type follow struct {
	events chan *coder.SSEEvent // every event
	err    error                // once events is closed
}

func startFollowing(t *testing.T, c *coder.Client, id string, o *coder.StreamEventsOptions) *follow {
	f := &follow{events: make(chan *coder.SSEEvent, 10_000)}
	go func() {
		defer close(f.events)
		for e, err := range c.StreamEvents(t.Context(), id, o) {
			if err != nil {
				f.err = err
				return
			}
			f.events <- e
		}
	}()
	return f
}

// next returns the next event, which must come.
func (f *follow) next(t *testing.T) any {
	t.Helper()
	e, ok := <-f.events
	require.True(t, ok, "the stream ended: %v", f.err)
	return e.Data
}

// greeting takes what a new connection begins with.
func (f *follow) greeting(t *testing.T) {
	t.Helper()
	assert.IsType(t, new(coder.SSESessionSnapshotMessage), f.next(t))
	assert.IsType(t, new(coder.SSEHydrationMessage), f.next(t))
	assert.IsType(t, new(coder.PresenceEventMessage), f.next(t))
	assert.IsType(t, new(coder.BroadcastEventMessage), f.next(t)) // the same, as a broadcast
}

// end waits for the end and returns its error.
func (f *follow) end() error {
	for range f.events {
	}
	return f.err
}

func TestStreamEvents_Live(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		c := hubClient(t, hub)
		id := newSession(t, c)
		f := startFollowing(t, c, id, nil)
		f.greeting(t)
		hub.Session(id).Emit(codertest.Event{Event: "turn_end"})
		m := f.next(t).(*coder.BroadcastEventMessage)
		assert.Equal(t, "turn_end", m.Event)
		assert.Equal(t, id, m.SessionID)
		assert.False(t, m.Timestamp.IsZero())

		// An hour passes with nothing but keep-alive comments.
		time.Sleep(time.Hour)
		assert.Empty(t, f.events)

		hub.Session(id).Shutdown()
		require.NoError(t, f.end(), "a session that was shut down ends it normally")
	})
}

func TestStreamEvents_Reconnects(t *testing.T) {
	for name, test := range map[string]struct {
		lose func(*codertest.SessionControl)
		idle time.Duration // until the loss is noticed
		is   error
	}{
		"cut":   {(*codertest.SessionControl).CutStreams, 0, nil},
		"ended": {func(s *codertest.SessionControl) { s.EndStreams(1001, "") }, 0, nil},
		"stall": {(*codertest.SessionControl).StallStreams, 55 * time.Second, nil},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, hub *codertest.Hub) {
				c := hubClient(t, hub)
				id := newSession(t, c)
				f := startFollowing(t, c, id, nil)
				f.greeting(t)
				time.Sleep(20 * time.Second) // a keep-alive comment comes
				began := time.Now()
				hub.Session(id).RefuseStreams(codertest.Refusal{Count: 2})
				test.lose(hub.Session(id))
				again := f.next(t).(*coder.ReconnectedMessage)
				assert.Equal(t, 3, again.Attempt)
				require.Error(t, again.Cause)
				waits := time.Since(began) - test.idle
				assert.InDelta(t, 5.25, waits.Seconds(), 1.8, "1, 2 and 4 seconds, less up to half of each")
				assert.InDelta(t, waits.Seconds(), again.Down.Seconds(), 6)
				f.greeting(t)
				hub.Session(id).Emit(codertest.Event{Event: "turn_end"})
				assert.IsType(t, new(coder.BroadcastEventMessage), f.next(t))
				hub.Session(id).Archive()
				require.NoError(t, f.end())
				c.CloseIdleConnections()
			})
		})
	}
}

func TestStreamEvents_IdleLimit(t *testing.T) {
	for name, test := range map[string]struct {
		options coder.StreamEventsOptions
		comment bool
		want    time.Duration
	}{
		"before a comment": {coder.StreamEventsOptions{}, false, 5 * time.Minute},
		"after a comment":  {coder.StreamEventsOptions{}, true, time.Minute},
		"as told":          {coder.StreamEventsOptions{IdleTimeout: 7 * time.Second}, false, 7 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, hub *codertest.Hub) {
				c := hubClient(t, hub)
				id := newSession(t, c)
				f := startFollowing(t, c, id, &test.options)
				f.greeting(t)
				if test.comment {
					time.Sleep(16 * time.Second)
				}
				hub.Session(id).SendRaw("event: turn\ndata: {\"type\":\"odd\"}\n\n")
				f.next(t)
				began := time.Now()
				hub.Session(id).StallStreams()
				again := f.next(t).(*coder.ReconnectedMessage)
				assert.InDelta(t, test.want.Seconds(), (time.Since(began) - again.Down).Seconds(), 0.1)
				hub.Session(id).Archive()
				require.NoError(t, f.end())
				c.CloseIdleConnections()
			})
		})
	}
}

func TestStreamEvents_GivesUp(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		c := hubClient(t, hub)
		id := newSession(t, c)
		hub.Session(id).RefuseStreams(codertest.Refusal{Count: -1})
		began := time.Now()
		before := len(hub.Requests())
		err := startFollowing(t, c, id, &coder.StreamEventsOptions{MaxReconnectAttempts: 3, ReconnectDelay: 10 * time.Second, MaxReconnectDelay: 20 * time.Second}).end()
		require.ErrorIs(t, err, coder.ErrReconnectsExceeded)
		require.ErrorIs(t, err, coder.ErrUnavailable, "the last cause stays reachable")
		assert.Equal(t, 4, len(hub.Requests())-before)
		assert.InDelta(t, 37.5, time.Since(began).Seconds(), 12.5, "10, 20 and 20 seconds, less up to half of each")
	})
	t.Run("connections that never prove healthy count", func(t *testing.T) {
		bubble(t, func(t *testing.T, hub *codertest.Hub) {
			c := hubClient(t, hub)
			id := newSession(t, c)
			hub.Inject(codertest.Fault{Route: "/hub/session/{id}/events", Status: 200, Body: []byte(": nothing\n\n"), Header: http.Header{"Content-Type": {"text/event-stream"}}, Count: -1})
			err := startFollowing(t, c, id, &coder.StreamEventsOptions{MaxReconnectAttempts: 5}).end()
			require.ErrorIs(t, err, coder.ErrReconnectsExceeded)
		})
	})
	t.Run("connections that did do not", func(t *testing.T) {
		bubble(t, func(t *testing.T, hub *codertest.Hub) {
			c := hubClient(t, hub)
			id := newSession(t, c)
			f := startFollowing(t, c, id, &coder.StreamEventsOptions{MaxReconnectAttempts: 1})
			f.greeting(t)
			for range 20 {
				hub.Session(id).CutStreams()
				again := f.next(t).(*coder.ReconnectedMessage)
				assert.Equal(t, 1, again.Attempt)
				f.greeting(t)
				hub.Session(id).Emit(codertest.Event{Event: "turn_start"})
				f.next(t)
			}
			hub.Session(id).Archive()
			require.NoError(t, f.end())
		})
	})
	t.Run("without reconnecting", func(t *testing.T) {
		bubble(t, func(t *testing.T, hub *codertest.Hub) {
			c := hubClient(t, hub)
			id := newSession(t, c)
			f := startFollowing(t, c, id, &coder.StreamEventsOptions{MaxReconnectAttempts: -1})
			f.greeting(t)
			hub.Session(id).EndStreams(1001, "")
			err := f.end()
			var failed *coder.RequestError
			require.ErrorAs(t, err, &failed)
			assert.Contains(t, err.Error(), "the Hub ended the stream")
			hub.Session(id).Archive()
			require.NoError(t, startFollowing(t, c, id, &coder.StreamEventsOptions{MaxReconnectAttempts: -1}).end(), "the Hub says that it is over")
		})
	})
}

// TestStreamEvents_Ends: when the session is over, and when the Hub says no.
func TestStreamEvents_Ends(t *testing.T) {
	t.Run("deleted while the connection was away", func(t *testing.T) {
		bubble(t, func(t *testing.T, hub *codertest.Hub) {
			c := hubClient(t, hub)
			id := newSession(t, c)
			f := startFollowing(t, c, id, nil)
			f.greeting(t)
			control := hub.Session(id)
			hub.Inject(codertest.Fault{Route: "/hub/session/{id}", Status: 500}) // nobody knows at first
			control.CutStreams()
			synctest.Wait()
			require.NoError(t, c.DeleteSession(t.Context(), id))
			require.NoError(t, f.end(), "the next attempt is told")
		})
	})
	t.Run("the key is withdrawn", func(t *testing.T) {
		bubble(t, func(t *testing.T, hub *codertest.Hub) {
			c := hubClient(t, hub)
			id := newSession(t, c)
			f := startFollowing(t, c, id, nil)
			f.greeting(t)
			hub.Inject(codertest.Fault{Route: "/hub/session/{id}", Status: 401})
			hub.Session(id).CutStreams()
			require.ErrorIs(t, f.end(), coder.ErrUnauthorized)
		})
	})
	t.Run("the context", func(t *testing.T) {
		bubble(t, func(t *testing.T, hub *codertest.Hub) {
			c := hubClient(t, hub)
			id := newSession(t, c)
			for _, down := range []bool{false, true} { // in a connection, and between two
				if down {
					hub.Session(id).RefuseStreams(codertest.Refusal{Count: -1})
				}
				ctx, cancel := context.WithTimeout(t.Context(), 1300*time.Millisecond)
				began := time.Now()
				var last error
				for _, err := range c.StreamEvents(ctx, id, nil) {
					last = err
				}
				cancel()
				require.ErrorIs(t, last, context.DeadlineExceeded)
				assert.Equal(t, 1300*time.Millisecond, time.Since(began))
			}
			c.CloseIdleConnections()
		})
	})
}

// TestStreamEvents_Storm: a thousand disconnects, stalls and garbage frames. Every loss is visible,
// and within one connection nothing comes twice.
func TestStreamEvents_Storm(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		random := rand.New(rand.NewPCG(1, 2))
		c := hubClient(t, hub)
		id := newSession(t, c)
		s := hub.Session(id)
		// Most of these connections are cut before they have proved healthy.
		f := startFollowing(t, c, id, &coder.StreamEventsOptions{MaxReconnectAttempts: math.MaxInt})
		f.greeting(t)
		losses, sent, garbage := 0, 0, 0
		seen := make(map[int]bool) // in this connection
		last, received, unknown := -1, 0, 0
		take := func(data any) (lost bool) {
			switch m := data.(type) {
			case *coder.ReconnectedMessage:
				clear(seen)
				return true
			case *coder.UnknownMessage:
				unknown++
			case *coder.BroadcastEventMessage:
				var n struct {
					N *int `json:"n"`
				}
				require.NoError(t, m.Decode(&n))
				if n.N == nil {
					return false
				}
				assert.False(t, seen[*n.N], "message %d came twice", *n.N)
				assert.Greater(t, *n.N, last, "messages come in order")
				seen[*n.N], last = true, *n.N
				received++
			}
			return false
		}
		for range 1000 {
			for range random.IntN(5) {
				s.Broadcast(codertest.Event{Event: "message_update", Payload: map[string]any{"n": sent}})
				sent++
			}
			switch random.IntN(4) {
			case 0:
				s.SendRaw([]string{"event: broadcast\ndata: {\"cut\n\n", "data: \x00\xff\n\n", ":\n\n\n", "event: ?\n\ndata\n\n"}[random.IntN(4)])
				garbage++
				continue
			case 1:
				s.CutStreams()
			case 2:
				s.StallStreams()
			case 3:
				s.EndStreams(1001, "")
			}
			if random.IntN(4) == 0 {
				s.RefuseStreams(codertest.Refusal{Count: 1 + random.IntN(4), Status: []int{500, 502, 503, 429}[random.IntN(4)]})
			}
			losses++
			for !take(f.next(t)) {
			}
			f.greeting(t)
		}
		s.Shutdown()
		for e := range f.events {
			assert.False(t, take(e.Data), "no loss that was none")
		}
		require.NoError(t, f.err)
		assert.Greater(t, losses, 600)
		assert.Greater(t, received, sent/20)
		assert.Positive(t, unknown)
		synctest.Wait()
		assert.Zero(t, s.Streams(), "no connection is left")
		c.CloseIdleConnections()
		t.Logf("%d losses, %d garbage frames, %d of %d messages arrived", losses, garbage, received, sent)
	})
}

func TestStreamEvents_HoldsNothingBack(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		c := hubClient(t, hub)
		id := newSession(t, c)
		n := 0
		for e, err := range c.StreamEvents(t.Context(), id, nil) {
			require.NoError(t, err)
			if m, ok := e.Data.(*coder.BroadcastEventMessage); ok {
				var data struct {
					N int `json:"n"`
				}
				if m.Event == coder.EventSessionJoin {
					continue
				}
				require.NoError(t, m.Decode(&data))
				assert.Equal(t, n, data.N, "a slow loop loses nothing")
				time.Sleep(time.Second)
				if n++; n == 200 {
					break
				}
			}
			if _, ok := e.Data.(*coder.PresenceEventMessage); ok {
				for i := range 200 {
					hub.Session(id).Broadcast(codertest.Event{Event: fmt.Sprint("e", i), Payload: map[string]any{"n": i}})
				}
			}
		}
		assert.Equal(t, 200, n)
		synctest.Wait()
		assert.Zero(t, hub.Session(id).Streams())
	})
}
