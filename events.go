package coder

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"mime"
	"net/http"
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
	// presence always come, and session_shutdown, by which the end is told from a loss.
	Subscribe []string
	// NoReconnect ends the stream with an error when the connection is lost and the session is not
	// over.
	NoReconnect bool
	// MaxReconnectAttempts is the largest number of attempts in a row, without a connection that
	// proved healthy. Default: 10, which with the delays below are about 2 min. For a stream that
	// is to go on for ever: math.MaxInt.
	MaxReconnectAttempts int
	// ReconnectDelay is the wait before the first attempt. It doubles with each, and up to half of
	// it is taken off at random. Default: 1 s.
	ReconnectDelay time.Duration
	// MaxReconnectDelay is what the waits grow to. Default: 30 s.
	MaxReconnectDelay time.Duration
	// IdleTimeout is how long the Hub may send nothing, not even its first answer or a keep-alive
	// comment, before the connection counts as lost. Default: 60 s once such a comment came, 5 min
	// before.
	IdleTimeout time.Duration
}

// What StreamEvents takes for a living connection.
const (
	idleBeforeComment = 5 * time.Minute
	idleAfterComment  = time.Minute
	healthyAfter      = 30 * time.Second
	lookFor           = 10 * time.Second // at a session whose connection has ended
)

// StreamEvents observes a session: it yields what happens in it, as it happens. First comes a
// snapshot, then a hydration with the conversation so far, then presence and broadcasts. A message
// that cannot be decoded, or is of no known type, comes as an [*UnknownMessage].
//
// When the connection is lost it connects again, and yields a [*ReconnectedMessage] before anything
// of the new connection: what was sent in between is lost, and the hydration that follows replaces
// what was known. The first connection is tried again in the same way. A connection has proved
// healthy after a presence or broadcast event, or 30 s; too many attempts without one end the
// stream with an error that matches [ErrReconnectsExceeded]. A Retry-After of up to 60 s is
// respected, a longer one ends the stream.
//
// The stream ends without an error when the session is over: after a session_shutdown, or when the
// Hub says, after a loss, that the session is deleted, archived or can only be replayed. It ends
// with an error, the last thing it yields, when the Hub refuses (501, redirects, 401, 403, 404 and
// other 4xx but 408, 429 and a 409 that says when to come back), its certificate is not trusted, its first answer is no stream of
// events, or an event is larger than 64 MiB ([ErrResponseTooLarge]); and with the context.
//
// Leaving the loop closes the connection; ranging again starts over. Nothing is dropped here for a
// loop that is slow: it slows the Hub down, which may close the connection. One event is held at a
// time; reading one takes up to three times its size.
//
// GET /hub/session/{sessionId}/events, GET /hub/session/{sessionId}
func (c *Client) StreamEvents(ctx context.Context, sessionID string, options *StreamEventsOptions) iter.Seq2[*SSEEvent, error] {
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
	look := get(op, "/hub/session/{sessionID}", sessionID)
	look.attempts = 1
	return func(yield func(*SSEEvent, error) bool) {
		switch {
		case refused != nil:
			yield(nil, refused)
			return
		case ctx == nil:
			yield(nil, noContext(op))
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
		if filter == "" || strings.ContainsAny(filter, ", \t\r\n") {
			return invalid(op, fmt.Sprintf("Subscribe[%d]", i), "must be a filter, without a comma or a blank")
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
	tries     int  // since the last connection
	lost      time.Time
	cause     error
	over      bool // session_shutdown was the last that happened
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
		case o.over && errors.Is(err, io.EOF):
			return nil
		case o.connected && sessionIsGone(err): // meanwhile
			if over, _ := o.sessionIsOver(ctx); over {
				return nil
			}
			return err
		case o.fatal(err):
			return err
		}
		if connected {
			if errors.Is(err, io.EOF) {
				err = &flaw{"the Hub ended the stream", io.ErrUnexpectedEOF}
			}
			o.lost, o.cause, o.tries = time.Now(), err, 0
			err = o.failed(err)
			if over, refused := o.sessionIsOver(ctx); over || refused != nil {
				return refused
			}
			if ctx.Err() != nil {
				return o.failed(contextError(ctx, ctx.Err(), nil))
			}
		}
		asked := retryAfter(err)
		if o.options.NoReconnect || asked > maxRetryAfter {
			return err
		}
		o.tries++
		if o.attempts++; o.attempts > o.options.MaxReconnectAttempts {
			return o.failed(&flaw{
				fmt.Sprintf("too many attempts to reconnect (%d): %s", o.options.MaxReconnectAttempts, o.bare(err)),
				errors.Join(ErrReconnectsExceeded, err),
			})
		}
		wait := transport.Backoff(o.attempts-1, o.options.ReconnectDelay, o.options.MaxReconnectDelay)
		if !sleep(ctx, max(wait, asked)) {
			return o.failed(contextError(ctx, ctx.Err(), nil))
		}
	}
}

// connect opens a stream. What has not answered within the limit on silence is lost. The function
// that it returns ends the connection.
func (o *eventObserver) connect(ctx context.Context) (*answer, func(), error) {
	attempt, cancel := context.WithCancel(ctx)
	limit := cmp.Or(o.options.IdleTimeout, idleBeforeComment)
	timer := time.AfterFunc(limit, cancel)
	a := o.client.send(attempt, o.open)
	inTime := timer.Stop()
	end := func() {
		cancel()
		if a.err == nil {
			_ = a.outcome.Stream.Close()
		}
	}
	err := a.err
	if !inTime && ctx.Err() == nil {
		err = o.failed(fmt.Errorf("the Hub has not answered for %v", limit))
	}
	if err == nil {
		err = a.noEvents()
	}
	if err != nil {
		end()
		return nil, nil, err
	}
	return a, end, nil
}

// noEvents returns an error for an answer that says that it is no stream of events. One that says
// nothing, or something unheard of, may be one.
func (a *answer) noEvents() error {
	kind, _, _ := mime.ParseMediaType(a.outcome.Header.Get("Content-Type"))
	switch {
	case a.outcome.Status == http.StatusNoContent:
		return a.unusable("it has no content", nil)
	case kind == "text/html", transport.IsJSON(a.outcome.Header):
		return a.unusable(fmt.Sprintf("it is %s and no stream of events", kind), nil)
	}
	return nil
}

// observe yields what one connection brings. It returns whether there was one, and why it ended:
// io.EOF if the Hub ended it.
func (o *eventObserver) observe(ctx context.Context) (connected bool, err error) {
	o.over = false
	a, end, err := o.connect(ctx)
	if err != nil {
		return false, err
	}
	defer end()
	if o.connected {
		again := &ReconnectedMessage{Attempt: o.tries, Cause: o.cause, Down: time.Since(o.lost)}
		if o.left = !o.yield(&SSEEvent{Event: "reconnected", Data: again}, nil); o.left {
			return true, nil
		}
	}
	o.connected = true

	source := &idleSource{stream: a.outcome.Stream, fixed: o.options.IdleTimeout}
	source.reader = sse.NewReader(source, 0)
	var read time.Duration // the time in which the loop was not busy with an event
	for {
		began := time.Now()
		block, err := source.reader.Next()
		if read += time.Since(began); read >= healthyAfter {
			o.attempts = 0
		}
		switch {
		case errors.Is(err, sse.ErrTooLarge):
			return true, a.unusable("an event is larger than 64 MiB", ErrResponseTooLarge)
		case err != nil:
			return true, err
		case ctx.Err() != nil:
			return true, ctx.Err()
		}
		event := decodeObserverEvent(block)
		o.note(event.Data)
		if o.left = !o.yield(event, nil); o.left {
			return true, nil
		}
	}
}

// note takes what a message says about the connection and the session. After a shutdown there may
// be goodbyes; whatever else comes, the session is alive.
func (o *eventObserver) note(message ObserverSSEMessage) {
	switch m := message.(type) {
	case *PresenceEventMessage:
		o.attempts = 0
	case *BroadcastEventMessage:
		o.attempts = 0
		goodbye := m.Event == EventSessionLeave || m.Event == EventAgentEnd
		o.over = m.Event == EventSessionShutdown || o.over && goodbye
	}
}

// sessionIsOver asks the Hub after a connection has ended without a word. The error is one that the
// next connection would meet.
func (o *eventObserver) sessionIsOver(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, lookFor)
	defer cancel()
	session, err := call[Session](ctx, o.client, o.look)
	var api *APIError
	switch {
	case err == nil:
		return session.HistoryOnly || session.Status == statusArchived, nil
	case sessionIsGone(err):
		return true, nil
	case errors.As(err, &api) && o.fatal(err):
		return false, err
	default:
		return false, nil // the Hub may be away, as the stream is
	}
}

func sessionIsGone(err error) bool {
	return errors.Is(err, ErrSessionNotFound) || errors.Is(err, ErrSessionArchived)
}

// fatal tells errors that the next attempt would meet again. A page in the place of a stream is one
// at first; later somebody may have put it there for the time of a restart.
func (o *eventObserver) fatal(err error) bool {
	var api *APIError
	switch {
	case errors.As(err, new(*ResponseError)):
		return !o.connected || errors.Is(err, ErrResponseTooLarge)
	case errors.As(err, &api) && api.StatusCode == http.StatusNotImplemented:
		return true
	default:
		return !passing(err)
	}
}

// bare is the text of an error of the same request, without what says of which it is.
func (o *eventObserver) bare(err error) string {
	text := strings.TrimPrefix(err.Error(), "coder: "+o.open.op+": ")
	return strings.TrimSuffix(text, " ("+o.open.method+" "+o.open.path+")")
}

// failed is the error of a stream that has ended with err.
func (o *eventObserver) failed(err error) error {
	sent := SentYes
	if known := (*RequestError)(nil); errors.As(err, &known) {
		sent = known.Sent
	}
	return &RequestError{Operation: o.open.op, Method: o.open.method, Path: o.open.path, Sent: sent, Err: err}
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
