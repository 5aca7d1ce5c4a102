//go:build servers

package servers

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

// cuts is how often a quiet stream is cut while it is watched. One attempt to reconnect is allowed: without
// connections that prove healthy the second cut would be the end.
const cuts = 3

// quietStreamsGoOn: Bun ends a response in which nothing was written for 10 s, before the first keep-alive comment. The
// other two are told to end it after 7 s: Node cuts the connection, Hono ends the stream as a handler does
// that returns.
func quietStreamsGoOn(t *testing.T, s *server) string {
	r := newRig(t, s, settings{EndSilent: 7000})
	id := r.session(t, usual)
	options := &coder.StreamEventsOptions{MaxReconnectAttempts: 1, ReconnectDelay: 50 * time.Millisecond, MaxReconnectDelay: 100 * time.Millisecond}
	reconnects, arrived := 0, 0
	for event, err := range r.client.StreamEvents(within(t, (cuts+1)*15*time.Second), id, options) {
		if !assert.NoError(t, err, "after %d reconnects", reconnects) {
			break
		}
		switch m := event.Data.(type) {
		case *coder.ReconnectedMessage:
			reconnects++
			t.Logf("%s: %v", s.name, m.Cause)
		case *coder.SSEHydrationMessage:
			// An event that proves nothing about the connection, so that only the time does.
			r.emit(t, id, coder.EventSessionLeave, "between", reconnects)
			if reconnects == cuts {
				r.emit(t, id, coder.EventTurnEnd)
			}
		case *coder.BroadcastEventMessage:
			switch m.Event {
			case coder.EventSessionLeave:
				assert.JSONEq(t, string(mustJSON(t, map[string]any{"between": arrived})), string(mustJSON(t, m.Data)))
				arrived++
			case coder.EventTurnEnd:
				assert.Equal(t, cuts+1, arrived, "an event of each connection arrives")
				assert.Equal(t, cuts+1, r.sessionBooks(t, id).Streams)
				return yes
			}
		}
	}
	t.Errorf("it ended after %d reconnects", reconnects)
	return ""
}

// few are the options of those who do not wait long.
var few = &coder.StreamEventsOptions{MaxReconnectAttempts: 3, ReconnectDelay: 10 * time.Millisecond, MaxReconnectDelay: 20 * time.Millisecond}

func greetedStreamsEnd(t *testing.T, s *server) string {
	r := newRig(t, s, settings{})
	id := r.session(t, greets)
	var last error
	for _, err := range r.client.StreamEvents(within(t, patience), id, few) {
		last = err
	}
	assert.ErrorIs(t, last, coder.ErrReconnectsExceeded)
	assert.Equal(t, 4, r.sessionBooks(t, id).Streams, "one, and three more")
	return yes
}

// shutdownEndsStreams: the Hub has said that the session is over, and leaves the connection open.
func shutdownEndsStreams(t *testing.T, s *server) string {
	r := newRig(t, s, settings{Comments: 100})
	id := r.session(t, usual)
	var said time.Time
	for event, err := range r.client.StreamEvents(within(t, patience), id, few) {
		require.NoError(t, err)
		if _, ok := event.Data.(*coder.SSEHydrationMessage); ok {
			r.emit(t, id, coder.EventSessionShutdown)
			said = time.Now()
		}
	}
	if assert.False(t, said.IsZero()) {
		assert.Less(t, time.Since(said), 5*time.Second)
	}
	assert.Equal(t, 1, r.sessionBooks(t, id).Streams)
	assert.Eventually(t, func() bool { return r.sessionBooks(t, id).Observers == 0 }, patience, 50*time.Millisecond,
		"the server sees that the stream was closed")
	return yes
}

// eventsAreNotHeldBack by a server that compresses what may be compressed.
func eventsAreNotHeldBack(t *testing.T, s *server) string {
	r := newRig(t, s, settings{Compress: true})
	id := r.session(t, usual)
	assert.True(t, r.holdsBack(t, id), "who accepts gzip waits for events")
	events := 0
	var emitted time.Time
	for event, err := range r.client.StreamEvents(within(t, patience), id, few) {
		require.NoError(t, err)
		switch m := event.Data.(type) {
		case *coder.SSEHydrationMessage:
			emitted = time.Now()
			r.emit(t, id, coder.EventTurnEnd)
		case *coder.BroadcastEventMessage:
			if m.Event != coder.EventTurnEnd {
				continue
			}
			assert.Less(t, time.Since(emitted), time.Second)
			emitted = time.Now()
			if events++; events < 5 {
				r.emit(t, id, coder.EventTurnEnd)
			}
		}
		if events == 5 {
			break
		}
	}
	assert.Equal(t, []string{"gzip", "identity"}, r.sessionBooks(t, id).Encodings)
	return yes
}

// holdsBack asks for a compressed stream, and reports whether its snapshot does not come.
func (r *rig) holdsBack(t *testing.T, id string) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url+"/api/hub/session/"+id+"/events", nil)
	require.NoError(t, err)
	request.Header.Set("Accept-Encoding", "gzip")
	request.Close = true
	answer, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer answer.Body.Close()
	assert.Equal(t, "gzip", answer.Header.Get("Content-Encoding"))
	text, err := io.ReadAll(answer.Body)
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	t.Logf("%d bytes came", len(text))
	return len(text) < 20 // the header of gzip has 10 bytes
}
