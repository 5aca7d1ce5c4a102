//go:build servers

package servers

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	require.NoError(t, err)
	return text
}

// connect opens a socket as a controller.
func (r *rig) connect(t *testing.T, id string, change func(*coder.HubConnectOptions)) *coder.HubConn {
	t.Helper()
	options := &coder.HubConnectOptions{
		Role: coder.RoleController, MaxReconnectAttempts: 3,
		ReconnectDelay: 10 * time.Millisecond, MaxReconnectDelay: 20 * time.Millisecond,
	}
	if change != nil {
		change(options)
	}
	conn, err := r.client.Connect(within(t, patience), id, options)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func greetedSocketsEnd(t *testing.T, s *server) string {
	r := newRig(t, s, settings{})
	id := r.session(t, greets)
	conn := r.connect(t, id, nil)
	var last error
	for _, err := range conn.Messages(within(t, patience)) {
		last = err
	}
	assert.ErrorIs(t, last, coder.ErrReconnectsExceeded)
	assert.Equal(t, 4, r.sessionBooks(t, id).Sockets, "one, and three more")
	return yes
}

// event is a message whose size is that of its text, and a little more.
func event(name string, size int) *coder.EventRequest {
	return &coder.EventRequest{Event: name, Data: map[string]any{"text": strings.Repeat("x", size)}}
}

// flood is more than the buffers of two sockets hold, so that a write of it blocks when nobody reads.
const flood = 24 << 20

// deafServersAreLost: ws goes on talking and does not read. Bun does neither.
func deafServersAreLost(t *testing.T, s *server) string {
	r := newRig(t, s, settings{Largest: 2 * flood})
	id := r.session(t, usual)
	const timeout = 3 * time.Second
	conn := r.connect(t, id, func(o *coder.HubConnectOptions) {
		o.HeartbeatInterval, o.HeartbeatTimeout = time.Second, timeout
		o.MaxReconnectAttempts, o.MaxReconnectDelay = 1000, 100*time.Millisecond // Bun is away for a time
	})
	conn.DiscardMessages()
	_, err := conn.SendAndWait(within(t, patience), event("deafen", 1))
	require.NoError(t, err)
	began := time.Now()
	err = conn.Send(within(t, patience), event("flood", flood))
	took := time.Since(began)
	var lost *coder.HubConnError
	if assert.ErrorAs(t, err, &lost) {
		assert.Equal(t, coder.ConnLost, lost.Code)
		assert.ErrorIs(t, err, coder.ErrOutcomeUnknown)
	}
	t.Logf("%s: after %v: %v", s.name, took, err)
	assert.Less(t, took, timeout+3*time.Second)
	_, err = conn.SendAndWait(within(t, patience), event("again", 1))
	assert.NoError(t, err, "the next connection")
	assert.Equal(t, []string{"deafen", "again"}, r.sessionBooks(t, id).Heard)
	return yes
}

// tooLargeIsSaid: the server closes in the middle of a message, and who sends it is told why.
func tooLargeIsSaid(t *testing.T, s *server) string {
	const largest = 1 << 20
	r := newRig(t, s, settings{Largest: largest})
	id := r.session(t, usual)
	conn := r.connect(t, id, func(o *coder.HubConnectOptions) { o.MaxReconnectAttempts = 1000 })
	conn.DiscardMessages()
	told := func(what string, err error) {
		var e *coder.HubConnError
		if assert.ErrorAs(t, err, &e, what) {
			assert.Equal(t, coder.CloseTooLarge, e.CloseCode, "%s: %v", what, err)
			assert.NotErrorIs(t, err, coder.ErrOutcomeUnknown, what)
		}
	}
	const rounds = 10
	for range rounds {
		told("Send", conn.Send(within(t, patience), event("large", flood)))
		for _, size := range []int{largest, 2 * largest, flood} { // the first is too large by its envelope
			_, err := conn.SendAndWait(within(t, patience), event("large", size))
			told(fmt.Sprintf("SendAndWait of %d", size), err)
		}
		_, err := conn.SendAndWait(within(t, patience), event("small", 1))
		require.NoError(t, err, "the next connection")
	}
	// One that the server has, and that waits for its answer, is another matter.
	waits := make(chan error, 1)
	go func() {
		_, err := conn.SendAndWait(within(t, patience), event("unanswered", 1))
		waits <- err
	}()
	require.Eventually(t, func() bool { return slices.Contains(r.sessionBooks(t, id).Heard, "unanswered") }, patience, 10*time.Millisecond)
	told("Send after it", conn.Send(within(t, patience), event("large", flood)))
	assert.ErrorIs(t, <-waits, coder.ErrOutcomeUnknown)

	books := r.sessionBooks(t, id)
	assert.NotContains(t, books.Heard, "large")
	assert.Equal(t, 4*rounds+1, books.Sockets)
	return yes
}

// pingsKeepSockets with a server that drops those over which nothing came for 8 s.
func pingsKeepSockets(t *testing.T, s *server) string {
	r := newRig(t, s, settings{DropSilent: 8000})
	kept, dropped := r.session(t, usual), r.session(t, usual)
	with := r.connect(t, kept, func(o *coder.HubConnectOptions) { o.HeartbeatInterval = 3 * time.Second })
	with.DiscardMessages()
	without := r.connect(t, dropped, func(o *coder.HubConnectOptions) { o.HeartbeatInterval, o.HeartbeatTimeout = -1, -1 })
	var wait sync.WaitGroup
	wait.Go(func() {
		for message, err := range without.Messages(within(t, patience)) {
			if !assert.NoError(t, err) {
				return
			}
			if _, ok := message.(*coder.ReconnectedMessage); ok {
				return
			}
		}
	})
	wait.Wait()
	assert.Equal(t, 2, r.sessionBooks(t, dropped).Sockets, "without pings the server drops it")
	_, err := with.SendAndWait(within(t, patience), event("late", 1))
	assert.NoError(t, err)
	assert.Equal(t, 1, r.sessionBooks(t, kept).Sockets)
	return yes
}

// largeMessagesPass: a create with a large task, and a conversation as large, over both channels.
func largeMessagesPass(t *testing.T, s *server) string {
	r := newRig(t, s, settings{})
	task := strings.Repeat("x", 20<<20)
	created, err := r.client.CreateSession(within(t, patience), coder.CreateSessionRequest{Task: task})
	require.NoError(t, err)
	came := func(channel string, entries []coder.ConversationEntry) {
		if assert.Len(t, entries, 1, channel) {
			assert.True(t, entries[0].Content == task, "%s: the task is whole", channel) //nolint:testifylint // prints 20 MiB twice
		}
	}
	for event, err := range r.client.StreamEvents(within(t, patience), created.SessionID, few) {
		require.NoError(t, err)
		if m, ok := event.Data.(*coder.SSEHydrationMessage); ok {
			came("stream", m.Entries)
			break
		}
	}
	conn := r.connect(t, created.SessionID, nil)
	for message, err := range conn.Messages(within(t, patience)) {
		require.NoError(t, err)
		if m, ok := message.(*coder.HubHydrationMessage); ok {
			came("socket", m.Entries)
			break
		}
	}
	_, err = conn.SendAndWait(within(t, patience), event("after", 1))
	require.NoError(t, err)
	books := r.sessionBooks(t, created.SessionID)
	assert.Equal(t, []int{1, 1}, []int{books.Streams, books.Sockets})
	return yes
}
