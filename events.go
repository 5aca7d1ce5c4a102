package coder

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/agentuity/coder-go/internal/route"
	"github.com/agentuity/coder-go/internal/sse"
	"github.com/agentuity/coder-go/internal/transport"
)

// SSEEvent is one event of an observer's stream.
type SSEEvent struct {
	// Event is the name of the event: that of its block, or else the type of the message.
	Event string
	// Data is the message.
	Data ObserverSSEMessage
}

// StreamEventsOptions says what to observe, and how to go on when the connection is lost.
type StreamEventsOptions struct {
	// Subscribe selects broadcasts: by category ("task"), by name ("turn_end"), by prefix
	// ("task_*") or all ("*"). Default: what the Hub sends observers. Snapshots, hydrations and
	// presence always come.
	Subscribe []string
	// NoReconnect ends the stream when the connection is lost.
	NoReconnect bool
	// MaxReconnectAttempts is the largest number of attempts in a row, without a connection that
	// proved healthy. Default: 10.
	MaxReconnectAttempts int
	// ReconnectDelay is the wait before the first attempt. It doubles with each, and up to half of
	// it is taken off at random. Default: 1 s.
	ReconnectDelay time.Duration
	// MaxReconnectDelay is what the waits grow to. Default: 30 s.
	MaxReconnectDelay time.Duration
	// IdleTimeout is how long the Hub may send nothing, not even a keep-alive comment, before the
	// connection counts as lost. Default: 60 s once such a comment came, 5 min before.
	IdleTimeout time.Duration
}

// What StreamEvents takes for a living connection.
const (
	idleBeforeComment = 5 * time.Minute
	idleAfterComment  = time.Minute
	healthyAfter      = 30 * time.Second
)

// StreamEvents observes a session: it yields what happens in it, as it happens. First comes a
// snapshot, then a hydration with the conversation so far, then presence and broadcasts. A message
// that cannot be decoded, or is of no known type, comes as an [*UnknownMessage].
//
// When the connection is lost it connects again, and yields a [*ReconnectedMessage] before anything
// of the new connection: what was sent in between is lost, and the hydration that follows replaces
// what was known. A connection has proved healthy after a presence or broadcast event, or 30 s; too
// many attempts without one end the stream with an error that matches [ErrReconnectsExceeded].
//
// The stream ends without an error when the session is over: after a session_shutdown, or when the
// Hub says that the session is deleted, archived or can only be replayed. It ends with an error,
// the last thing it yields, when the Hub refuses (401, 403, 404 and other 4xx but 408 and 429) or its
// certificate is not trusted, and with the context. Leaving the loop closes the connection; ranging again starts over. A slow loop
// slows the Hub down and loses nothing: one event is held at a time, of at most 64 MiB.
//
// GET /hub/session/{sessionId}/events, GET /hub/session/{sessionId}
func (c *Client) StreamEvents(ctx context.Context, sessionID string, options *StreamEventsOptions) iter.Seq2[*SSEEvent, error] {
	var o StreamEventsOptions
	if options != nil {
		o = *options
	}
	err := o.validate()
	subscribe := slices.Clone(o.Subscribe)
	if len(subscribe) > 0 && !slices.ContainsFunc(subscribe, selectsShutdown) {
		subscribe = append(subscribe, EventSessionShutdown) // by which the end is told from a loss
	}
	const op = "StreamEvents"
	open := get(op, "/hub/session/{sessionID}/events", sessionID).
		with(new(route.Query).String("subscribe", strings.Join(subscribe, ",")))
	open.stream, open.accept, open.attempts = true, "text/event-stream", 1
	look := get(op, "/hub/session/{sessionID}", sessionID)
	look.attempts = 1
	return func(yield func(*SSEEvent, error) bool) {
		if err == nil && ctx == nil {
			err = noContext(op)
		}
		if err != nil {
			yield(nil, err)
			return
		}
		o := eventObserver{client: c, options: o, open: open, look: look, yield: yield}
		if err := o.run(ctx); err != nil {
			yield(nil, err)
		}
	}
}

func (o *StreamEventsOptions) validate() error {
	const op = "StreamEvents"
	for i, filter := range o.Subscribe {
		if filter == "" || strings.Contains(filter, ",") {
			return invalid(op, fmt.Sprintf("Subscribe[%d]", i), "must be a filter, and not hold a comma")
		}
	}
	switch {
	case o.MaxReconnectAttempts < 0:
		return invalid(op, "MaxReconnectAttempts", "must not be negative")
	case o.ReconnectDelay < 0:
		return invalid(op, "ReconnectDelay", "must not be negative")
	case o.MaxReconnectDelay < 0:
		return invalid(op, "MaxReconnectDelay", "must not be negative")
	case o.IdleTimeout < 0:
		return invalid(op, "IdleTimeout", "must not be negative")
	}
	o.MaxReconnectAttempts = cmp.Or(o.MaxReconnectAttempts, 10)
	o.ReconnectDelay = cmp.Or(o.ReconnectDelay, time.Second)
	o.MaxReconnectDelay = cmp.Or(o.MaxReconnectDelay, 30*time.Second)
	return nil
}

// selectsShutdown tells whether a filter lets session_shutdown through.
func selectsShutdown(filter string) bool {
	prefix, all := strings.CutSuffix(filter, "*")
	return filter == EventSessionShutdown || filter == EventCategorySession || all && strings.HasPrefix(EventSessionShutdown, prefix)
}

// eventObserver is one range over StreamEvents.
type eventObserver struct {
	client     *Client
	options    StreamEventsOptions
	open, look *request
	yield      func(*SSEEvent, error) bool

	connected bool // at least once
	attempts  int  // since a connection was healthy
	lost      time.Time
	cause     error
	over      bool // session_shutdown was seen
	left      bool // the loop was left
}

// run connects until there is nothing to observe any more. It returns nil also if the loop was left.
func (o *eventObserver) run(ctx context.Context) error {
	for {
		connected, err := o.observe(ctx)
		switch {
		case o.left:
			return nil
		case ctx.Err() != nil:
			return o.failed(contextError(ctx, ctx.Err(), nil))
		case fatalToStream(err):
			return err
		case o.over && errors.Is(err, io.EOF):
			return nil
		}
		if errors.Is(err, io.EOF) {
			err = &flaw{"the Hub ended the stream", io.ErrUnexpectedEOF}
		}
		if connected {
			o.lost, o.cause = time.Now(), err
			if over, err := o.sessionIsOver(ctx); over || err != nil {
				return err
			}
		}
		if o.options.NoReconnect {
			return o.failed(err)
		}
		if o.attempts++; o.attempts > o.options.MaxReconnectAttempts {
			return o.failed(&flaw{fmt.Sprintf("gave up after %d attempts to reconnect: %v", o.options.MaxReconnectAttempts, err), errors.Join(ErrReconnectsExceeded, err)})
		}
		wait := transport.Backoff(o.attempts-1, o.options.ReconnectDelay, o.options.MaxReconnectDelay)
		if !sleep(ctx, wait) {
			return o.failed(contextError(ctx, ctx.Err(), nil))
		}
	}
}

// observe yields what one connection brings. It returns whether there was one, and why it ended:
// io.EOF if the Hub ended it.
func (o *eventObserver) observe(ctx context.Context) (connected bool, err error) {
	a := o.client.send(ctx, o.open)
	if a.err != nil {
		return false, a.err
	}
	stream := a.outcome.Stream
	defer func() { _ = stream.Close() }()
	began := time.Now()
	if o.connected {
		again := &ReconnectedMessage{Attempt: o.attempts, Cause: o.cause, Down: time.Since(o.lost)}
		if o.left = !o.yield(&SSEEvent{Event: "reconnected", Data: again}, nil); o.left {
			return true, nil
		}
	}
	o.connected = true

	source := &idleSource{stream: stream, fixed: o.options.IdleTimeout}
	source.reader = sse.NewReader(source, 0)
	for {
		block, err := source.reader.Next()
		if time.Since(began) >= healthyAfter {
			o.attempts = 0
		}
		if errors.Is(err, sse.ErrTooLarge) {
			return true, a.unusable("an event is larger than 64 MiB", ErrResponseTooLarge)
		}
		if err != nil {
			return true, err
		}
		event := decodeObserverEvent(block)
		switch m := event.Data.(type) {
		case *PresenceEventMessage:
			o.attempts = 0
		case *BroadcastEventMessage:
			o.attempts = 0
			o.over = o.over || m.Event == EventSessionShutdown
		}
		if o.left = !o.yield(event, nil); o.left {
			return true, nil
		}
	}
}

// sessionIsOver asks the Hub after a connection has ended without a word.
func (o *eventObserver) sessionIsOver(ctx context.Context) (bool, error) {
	session, err := call[Session](ctx, o.client, o.look)
	switch {
	case err == nil:
		return session.HistoryOnly || session.Status == statusArchived, nil
	case errors.Is(err, ErrSessionNotFound):
		return true, nil
	case fatalToStream(err):
		return false, err
	default:
		return false, nil // the Hub may be away, as the stream is
	}
}

// fatalToStream: the next attempt would be answered the same.
func fatalToStream(err error) bool {
	var api *APIError
	if !errors.As(err, &api) {
		return errors.As(err, new(*ValidationError)) || errors.As(err, new(*ResponseError)) || err != nil && transport.Permanent(err)
	}
	return api.StatusCode/100 == 4 && api.StatusCode != 408 && api.StatusCode != 429
}

func (o *eventObserver) failed(err error) error {
	var known *RequestError
	if errors.As(err, &known) {
		return err
	}
	return &RequestError{Operation: o.open.op, Method: o.open.method, Path: o.open.path, Sent: SentYes, Err: err}
}

// idleSource is a stream whose limit on silence depends on what the Hub has shown so far.
type idleSource struct {
	stream *transport.Stream
	reader *sse.Reader
	fixed  time.Duration
}

func (s *idleSource) Read(p []byte) (int, error) {
	switch {
	case s.fixed > 0:
		s.stream.SetSilence(s.fixed)
	case s.reader.Comments() > 0:
		s.stream.SetSilence(idleAfterComment)
	default:
		s.stream.SetSilence(idleBeforeComment)
	}
	return s.stream.Read(p)
}

// sleep waits, and reports false when the context ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
