package coder

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/agentuity/coder-go/internal/route"
)

// SSEEvent is one event of an observer's stream.
type SSEEvent struct {
	// Event is the name in the stream, or else the type of the message.
	Event string
	// Data is never nil.
	Data ObserverSSEMessage
}

// StreamEventsOptions says what to observe, and how to reconnect when the connection is lost.
type StreamEventsOptions struct {
	// Subscribe selects broadcasts: by category ("task"), by name ("turn_end"), by prefix ("task_*") or all
	// ("*"). Default: what the Hub sends observers. Snapshots, hydrations and presence always come, and so
	// does session_shutdown, which tells the end of the session from a lost connection.
	Subscribe []string
	// MaxReconnectAttempts is the largest number of attempts in a row, without a connection that proved
	// healthy. Default: 10, which with the delays below takes about 2 min. For a stream that must never end:
	// math.MaxInt. Negative: none, the stream ends with an error when the connection is lost and the session
	// is not over.
	MaxReconnectAttempts int
	// ReconnectDelay is the wait before the first attempt. It doubles with each attempt, and up to half of it
	// is subtracted at random. Default: what the stream asks for in a retry field, else 1 s.
	ReconnectDelay time.Duration
	// MaxReconnectDelay is the longest of these waits. Default: 30 s.
	MaxReconnectDelay time.Duration
	// IdleTimeout is how long the Hub may send nothing, not even its first response or a keep-alive comment,
	// before the connection counts as lost. Default: 60 s once such a comment came, 5 min before. Negative:
	// for ever.
	IdleTimeout time.Duration
}

// What StreamEvents takes for a living connection.
const (
	idleBeforeComment = 5 * time.Minute
	idleAfterComment  = time.Minute
	healthyAfter      = 5 * time.Second  // of reading, once the hydration has come
	restoredAfter     = 30 * time.Second // of reading
	goodbyeTime       = time.Second      // what is sent after a session_shutdown is still read for so long
	lookFor           = 10 * time.Second // at a session whose connection has ended
	forever           = 100 * 365 * 24 * time.Hour
)

// StreamEvents observes a session: it yields what happens in it, as it happens. First comes a
// snapshot, then a hydration with the conversation so far, then presence and broadcasts. A message
// that cannot be decoded, or is of no known type, comes as an [*UnknownMessage].
//
// When the connection is lost it reconnects, and yields a [*ReconnectedMessage] before anything of the new
// connection: what was sent in between is lost, and the hydration that follows replaces what was known. The
// first connection is retried in the same way. Too many attempts in a row end the stream with an error that
// matches [ErrReconnectsExceeded]. The count starts again at 0 once a connection has proved healthy: it has
// delivered its hydration and was then read for 5 s, or it has delivered a broadcast other than session_join
// and session_leave, which a Hub may send to everybody who connects. The waits start again at ReconnectDelay
// after 30 s, or after such a broadcast. A Retry-After of up to 60 s is respected, a longer one ends the
// stream.
//
// The stream ends without an error when the session is over. It ends one second after a session_shutdown without a
// reason, which comes from the Hub itself. It also ends when the Hub says that the session is deleted, archived, shut
// down or can only be replayed; StreamEvents asks the Hub after a session_shutdown with the reason quit, and after
// every loss. A session_shutdown with another reason (new, resume, fork, reload) comes from a lead that goes on, and
// does not end the stream.
//
// The stream ends with an error, the last thing that it yields, when the Hub refuses the request (501, redirects,
// 401, 403, 404 and other 4xx except 408, 425, 429 and a 409 that says when to retry), when its certificate is not
// trusted, when the first response is not an event stream, when an event is larger than 64 MiB
// ([ErrResponseTooLarge]), and when the context ends.
//
// Leaving the loop closes the connection; ranging again starts over. A slow loop drops nothing on this side:
// it slows the Hub down, which may close the connection. Memory holds one event at a time; reading it takes
// up to three times its size.
//
// GET /hub/session/{sessionId}/events, GET /hub/session/{sessionId}
func (c *Client) StreamEvents(ctx context.Context, sessionID string, options *StreamEventsOptions) iter.Seq2[*SSEEvent, error] {
	return c.streamEvents(ctx, sessionID, options, nil)
}

// streamEvents is StreamEvents. It calls onLoss, unless that is nil, when a connection is lost.
func (c *Client) streamEvents(ctx context.Context, sessionID string, options *StreamEventsOptions, onLoss func()) iter.Seq2[*SSEEvent, error] {
	var o StreamEventsOptions
	if options != nil {
		o = *options
	}
	refused := o.validate()
	subscribe := slices.Clone(o.Subscribe)
	if len(subscribe) > 0 && !slices.ContainsFunc(subscribe, selectsShutdown) {
		subscribe = append(subscribe, EventSessionShutdown) // by which the end is told from a loss
	}
	const op = "StreamEvents"
	open := get(op, "/hub/session/{sessionID}/events", sessionID).
		with(new(route.Query).String("subscribe", strings.Join(subscribe, ",")))
	open.stream, open.accept, open.attempts = true, "text/event-stream", 1
	return func(yield func(*SSEEvent, error) bool) {
		switch {
		case refused != nil:
			yield(nil, refused)
			return
		case ctx == nil:
			yield(nil, noContext(op))
			return
		}
		if err := c.newEventObserver(o, open, yield, onLoss).run(ctx); err != nil {
			yield(nil, err)
		}
	}
}

func (o *StreamEventsOptions) validate() error {
	const op = "StreamEvents"
	for i, filter := range o.Subscribe {
		if filter == "" || strings.ContainsAny(filter, ", \t\r\n") {
			return invalid(op, fmt.Sprintf("Subscribe[%d]", i), "must be a filter, without a comma or a blank")
		}
	}
	switch {
	case o.ReconnectDelay < 0:
		return invalid(op, "ReconnectDelay", "must not be negative")
	case o.MaxReconnectDelay < 0:
		return invalid(op, "MaxReconnectDelay", "must not be negative")
	}
	if o.IdleTimeout < 0 {
		o.IdleTimeout = forever
	}
	o.MaxReconnectAttempts = cmp.Or(o.MaxReconnectAttempts, 10)
	o.MaxReconnectDelay = cmp.Or(o.MaxReconnectDelay, 30*time.Second)
	return nil
}

// selectsShutdown tells whether a filter lets session_shutdown through.
func selectsShutdown(filter string) bool {
	prefix, all := strings.CutSuffix(filter, "*")
	return filter == EventSessionShutdown || filter == EventCategorySession || all && strings.HasPrefix(EventSessionShutdown, prefix)
}
