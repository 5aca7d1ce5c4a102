package coder

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/agentuity/coder-go/internal/backoff"
)

// doorbell says when it is worth looking at a session again. It rings after events of the session's stream, and when the
// stream is there, is lost, is back, or ends. What it rings for is to be looked up: events are missed while there is no connection.
type doorbell struct {
	rings chan struct{} // has room for one
	state atomic.Int32
}

// The states of a doorbell.
const (
	doorbellSilent = iota // there is no connection
	doorbellListens
	doorbellOver // the stream says that the session is over
)

// doorbellEvents are the groups that it rings for: the pieces of an answer are not among them.
var doorbellEvents = []string{"session_*", "agent_*", "turn_*", "task_*", "loop_*"}

// listen opens the stream of a session, until the context ends or stop is called, which waits for that. off makes a bell that
// never rings.
func (c *Client) listen(ctx context.Context, sessionID string, off bool) (bell *doorbell, stop func()) {
	bell = &doorbell{rings: make(chan struct{}, 1)}
	if off {
		return bell, func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var listening sync.WaitGroup
	listening.Go(func() { bell.listen(ctx, c, sessionID) })
	return bell, func() {
		cancel()
		listening.Wait()
	}
}

// relistenAfter is how long a stream that could not be had is left alone.
const relistenAfter = time.Minute

func (b *doorbell) listen(ctx context.Context, c *Client, sessionID string) {
	options := &StreamEventsOptions{Subscribe: doorbellEvents, MaxReconnectAttempts: math.MaxInt}
	for {
		var ended error
		for event, err := range c.streamEvents(ctx, sessionID, options, func() { b.ring(doorbellSilent) }) {
			if err != nil {
				ended = err
				break
			}
			b.hear(event.Data)
		}
		switch {
		case ctx.Err() != nil:
			return
		case ended == nil: // who asks the Hub may be told otherwise: a session that was shut down can be resumed
			b.ring(doorbellOver)
		default:
			b.ring(doorbellSilent)
		}
		if failureOf(ended).Permanent() || !backoff.Sleep(ctx, relistenAfter) {
			return
		}
	}
}

// hear rings for what may be of interest. Presence is not.
func (b *doorbell) hear(m ObserverSSEMessage) {
	switch m.(type) {
	case *SSEHydrationMessage, *ReconnectedMessage, *BroadcastEventMessage:
		b.ring(doorbellListens)
	}
}

func (b *doorbell) ring(state int32) {
	b.state.Store(state)
	select {
	case b.rings <- struct{}{}:
	default:
	}
}

func (b *doorbell) silent() bool { return b.state.Load() == doorbellSilent }

func (b *doorbell) over() bool { return b.state.Load() == doorbellOver }
