package coder

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/agentuity/coder-go/internal/backoff"
	"github.com/agentuity/coder-go/internal/ownstack"
	"github.com/agentuity/coder-go/internal/quote"
	"github.com/agentuity/coder-go/internal/sse"
	"github.com/agentuity/coder-go/internal/transport"
	"github.com/agentuity/coder-go/internal/wire"
)

// eventObserver is one range over StreamEvents. Its methods between run and the read of the connection are kept small:
// their variables are on the stack of a goroutine that waits for events, and what needs a large stack has one of its own.
type eventObserver struct {
	client  *Client
	options StreamEventsOptions
	open    *request
	yield   func(*SSEEvent, error) bool
	onLoss  func() // nil: nobody wants to know

	attempts  backoff.Attempts
	connected bool      // at least once
	tries     int       // since the last connection
	lost      time.Time // when it was
	cause     error     // why it was
	teller    *connectionTeller

	ended bool // the session is over: there is no need to ask for it
	left  bool // the loop was left
}

func (c *Client) newEventObserver(options StreamEventsOptions, open *request, yield func(*SSEEvent, error) bool, onLoss func()) *eventObserver {
	return &eventObserver{
		client: c, options: options, open: open, yield: yield, onLoss: onLoss,
		attempts: backoff.Attempts{
			Max: options.MaxReconnectAttempts, Least: cmp.Or(options.ReconnectDelay, time.Second), Most: options.MaxReconnectDelay,
		},
	}
}

// run connects until there is nothing to observe any more. It returns nil if the session is over, or the
// loop was left.
func (o *eventObserver) run(ctx context.Context) (err error) {
	o.teller = o.client.connectionTeller(ctx, o.open.op, o.open.route)
	defer func() { o.over(ctx, err) }()
	for {
		attempt := o.tries
		if !o.connected {
			attempt++ // the first is no reconnect
		}
		var (
			connected bool
			err       error
		)
		if o.client.gate.Connect(ctx) {
			connected, err = o.observe(ctx, attempt)
		}
		o.teller.ends()
		if !connected && ctx.Err() == nil {
			o.teller.failed(attempt, err)
		}
		if again, err := o.goOn(ctx, connected, err); !again {
			return err
		}
	}
}

// over tells of the end of the stream.
func (o *eventObserver) over(ctx context.Context, err error) {
	if o.left || errors.Is(err, context.Canceled) && ctx.Err() != nil {
		err = nil
	}
	o.teller.over(err)
}

// goOn decides whether there is another attempt after a connection, or an attempt, that has ended with err, and waits for
// its time. If there is none, the stream ends with the error that it returns.
func (o *eventObserver) goOn(ctx context.Context, connected bool, err error) (again bool, _ error) {
	switch {
	case o.left:
		return false, nil
	case ctx.Err() != nil:
		return false, o.failed(contextError(ctx, ctx.Err(), nil))
	case o.ended:
		return false, nil
	case o.connected && sessionIsGone(err): // meanwhile
		if over, _ := o.sessionIsOver(ctx); over {
			return false, nil
		}
		return false, err
	case o.fatal(err):
		return false, err
	}
	if connected {
		if errors.Is(err, io.EOF) {
			err = &reason{"the Hub ended the stream", io.ErrUnexpectedEOF}
		}
		o.lost, o.cause, o.tries = time.Now(), err, 0
		if o.onLoss != nil {
			o.onLoss()
		}
		err = o.failed(err)
		if over, refused := o.sessionIsOver(ctx); over || refused != nil {
			return false, refused
		}
		if ctx.Err() != nil {
			return false, o.failed(contextError(ctx, ctx.Err(), nil))
		}
	}
	asked := retryAfter(err)
	if o.options.MaxReconnectAttempts < 0 || asked > maxRetryAfter {
		return false, err
	}
	o.tries++
	wait, more := o.attempts.Next()
	if !more {
		return false, o.failed(&reason{
			fmt.Sprintf("too many attempts to reconnect (%d): %s", o.attempts.Max, innerText(err)),
			errors.Join(ErrReconnectsExceeded, err),
		})
	}
	o.teller.gone(err)
	if !backoff.Sleep(ctx, max(wait, asked)) {
		return false, o.failed(contextError(ctx, ctx.Err(), nil))
	}
	return true, nil
}

// connect opens a stream. One that has not been answered within the limit on silence is lost.
func (o *eventObserver) connect(ctx context.Context, cancel context.CancelCauseFunc) (*response, error) {
	limit := cmp.Or(o.options.IdleTimeout, idleBeforeComment)
	timer := time.AfterFunc(limit, func() { cancel(transport.ErrUnanswered) })
	a := o.client.send(ctx, o.open)
	err := a.err
	switch inTime := timer.Stop(); {
	case !inTime:
		err = o.failed(fmt.Errorf("the Hub has not answered for %v", limit))
	case err == nil:
		err = a.noEvents()
	}
	err = a.over(err)
	return a, err
}

// noEvents returns an error for an answer that cannot be a stream of events. One without a Content-Type, or
// with an unknown one, may be one.
func (a *response) noEvents() error {
	kind, _, _ := mime.ParseMediaType(a.outcome.Header.Get("Content-Type"))
	encoding := a.outcome.Header.Get("Content-Encoding")
	switch {
	case a.outcome.Status == http.StatusNoContent:
		return a.unusable("it has no content", nil)
	case kind == "text/html", transport.IsJSON(a.outcome.Header):
		return a.unusable(fmt.Sprintf("it is %s and no stream of events", quote.Line(kind)), nil)
	case encoding != "" && !strings.EqualFold(encoding, "identity"):
		return a.unusable(fmt.Sprintf("its Content-Encoding is %s although identity was asked for", quote.Line(encoding)), nil)
	}
	return nil
}

// observe yields what one connection brings. It returns whether there was one, and why it ended: io.EOF if
// the Hub ended it.
func (o *eventObserver) observe(parent context.Context, attempt int) (connected bool, err error) {
	ctx, cancelFor := context.WithCancelCause(parent)
	cancel := func() { cancelFor(nil) }
	defer cancel()
	var a *response
	ownstack.Call(func() { a, err = o.connect(ctx, cancelFor) })
	if a.err == nil {
		defer func() { _ = a.outcome.Stream.Close() }()
	}
	if err != nil {
		return false, err
	}
	o.teller.there(attempt)
	if o.connected && !o.tellBack() {
		return true, nil
	}
	o.connected = true
	return true, o.read(ctx, cancel, a)
}

// tellBack yields that there is another connection, and reports whether the loop goes on.
func (o *eventObserver) tellBack() bool {
	again := &ReconnectedMessage{Attempt: o.tries, Cause: o.cause, Down: time.Since(o.lost)}
	o.left = !o.yield(&SSEEvent{Event: "reconnected", Data: again}, nil)
	return !o.left
}

// read yields the events of a connection.
func (o *eventObserver) read(ctx context.Context, cancel context.CancelFunc, a *response) error {
	c := &eventConnection{
		observer: o, ctx: ctx, response: a,
		health:   connectionHealth{attempts: &o.attempts},
		shutdown: shutdownWatch{observer: o, cancel: cancel},
		source:   idleSource{stream: a.outcome.Stream, fixed: o.options.IdleTimeout},
	}
	c.reader = sse.NewReader(&c.source, 0)
	c.source.reader = c.reader
	defer c.shutdown.stop()
	for {
		block, err := c.reader.Next()
		event, err := c.take(block, err)
		if err != nil {
			return err
		}
		if o.left = !o.yield(event, nil); o.left {
			return nil
		}
	}
}

// eventConnection is an open stream.
type eventConnection struct {
	observer *eventObserver
	ctx      context.Context
	response *response
	source   idleSource
	reader   *sse.Reader
	health   connectionHealth
	shutdown shutdownWatch
}

// take makes an event of what was read, or the error that ends the connection.
func (c *eventConnection) take(block sse.Event, err error) (*SSEEvent, error) {
	o := c.observer
	c.health.read(c.source.waited())
	if retry := c.reader.Retry(); retry > 0 && o.options.ReconnectDelay == 0 {
		o.attempts.Least = min(retry, o.attempts.Most)
	}
	switch {
	case errors.Is(err, sse.ErrTooLarge):
		return nil, c.response.unusable("an event is larger than 64 MiB", ErrResponseTooLarge)
	case err != nil:
		return nil, err
	case c.ctx.Err() != nil:
		return nil, c.ctx.Err()
	}
	if err := wire.CheckCost(block.Data); err != nil {
		return nil, c.response.unusable("an event: "+err.Error(), errors.Join(ErrResponseTooLarge, err))
	}
	event := quickEvent(block, o.open.sessionID)
	if event == nil {
		ownstack.Call(func() { event = decodeObserverEvent(block) })
	}
	c.health.note(event.Data)
	c.shutdown.note(c.ctx, event.Data)
	return event, nil
}

// connectionHealth decides whether a connection has proved healthy. Presence proves nothing: of two
// observers whom a server greets and drops, each would be told that the other has come.
type connectionHealth struct {
	attempts *backoff.Attempts
	hydrated bool
	since    time.Duration // spent reading since the hydration
	total    time.Duration // spent reading
}

// read counts time that was spent reading. The time in which the loop is busy with an event says nothing
// about the connection.
func (h *connectionHealth) read(d time.Duration) {
	h.total += d
	if h.hydrated {
		h.since += d
	}
	switch {
	case h.total >= restoredAfter:
		h.attempts.Reset()
	case h.since >= healthyAfter:
		h.attempts.Succeeded()
	}
}

func (h *connectionHealth) note(message ObserverSSEMessage) {
	switch m := message.(type) {
	case *SSEHydrationMessage:
		h.hydrated = true
	case *BroadcastEventMessage:
		if m.Event != EventSessionJoin && m.Event != EventSessionLeave {
			h.attempts.Reset()
		}
	}
}

// shutdownWatch ends a connection after a session_shutdown, if that was the end of the session.
type shutdownWatch struct {
	observer *eventObserver
	cancel   context.CancelFunc // of the connection
	seen     bool
	asking   sync.WaitGroup
}

// note begins to watch when a message is a session_shutdown. What the Hub sends within goodbyeTime is
// still read.
func (w *shutdownWatch) note(ctx context.Context, message ObserverSSEMessage) {
	m, ok := message.(*BroadcastEventMessage)
	if !ok || m.Event != EventSessionShutdown || w.seen {
		return
	}
	var data struct {
		Reason string `json:"reason"`
	}
	_ = m.Decode(&data) // an unknown form gives no reason
	switch data.Reason {
	case "": // the Hub's own
		w.seen, w.observer.ended = true, true
		w.asking.Go(func() {
			backoff.Sleep(ctx, goodbyeTime)
			w.cancel()
		})
	case shutdownQuit: // the lead has left: the Hub knows whether that was the end
		w.seen = true
		over := &w.observer.ended
		w.asking.Go(func() {
			if !backoff.Sleep(ctx, goodbyeTime) {
				return
			}
			if ended, _ := w.observer.sessionIsOver(ctx); ended {
				*over = true
				w.cancel()
			}
		})
	}
}

// stop ends the watch with its connection.
func (w *shutdownWatch) stop() {
	w.cancel()
	w.asking.Wait()
}

// shutdownQuit is the reason of a session_shutdown when the lead ends. The others are new, resume, fork and
// reload: the lead goes on.
const shutdownQuit = "quit"

// sessionIsOver asks the Hub whether the session is over. The error is one that the next connection would
// meet.
func (o *eventObserver) sessionIsOver(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, lookFor)
	defer cancel()
	// What waits at the gate is not to keep others from looking.
	if !o.client.gate.Call(ctx) || o.client.looks.Acquire(ctx, 1) != nil {
		return false, nil
	}
	defer o.client.looks.Release(1)
	look := get(o.open.op, "/hub/session/{sessionID}", o.open.sessionID)
	look.attempts = 1
	session, err := call[Session](ctx, o.client, look)
	var api *APIError
	switch {
	case err == nil:
		return session.isOver(), nil
	case sessionIsGone(err):
		return true, nil
	case errors.As(err, &api) && o.fatal(err):
		return false, err
	default:
		return false, nil // the Hub may be away, as the stream is
	}
}

// mostLooks is how many sessions are looked at at the same time because their streams were lost: when a Hub restarts, that
// is all of them, and they are to share a few connections.
const mostLooks = 16

// isOver reports whether nothing will happen in the session any more.
func (s *Session) isOver() bool {
	return s.HistoryOnly || s.Status == StatusArchived || s.Status == StatusShutdown || s.Status == StatusStopped
}

func sessionIsGone(err error) bool {
	return errors.Is(err, ErrSessionNotFound) || errors.Is(err, ErrSessionArchived)
}

// fatal reports whether the next attempt would fail in the same way. Exception: an answer that is not a
// stream of events is fatal on the first connection, since the URL may be wrong, and so is a key that is not to be
// had. Later it is transient: a gateway may answer with a page while the Hub restarts.
func (o *eventObserver) fatal(err error) bool {
	failure := failureOf(err)
	if failure == transport.Unusable || failure == transport.NoCredential {
		return !o.connected || errors.Is(err, ErrResponseTooLarge)
	}
	return failure.Permanent()
}

// failed is the error of a stream that has ended with err.
func (o *eventObserver) failed(err error) error {
	sent := SentYes
	if known := (*RequestError)(nil); errors.As(err, &known) {
		sent = known.Sent
	}
	return (&response{request: o.open, secret: o.client.secret}).requestError(sent, err)
}

// idleSource is a stream whose limit on silence depends on what the Hub has shown so far.
type idleSource struct {
	stream *transport.Stream
	reader *sse.Reader
	fixed  time.Duration
	spent  time.Duration // reading, since waited was called
}

// waited returns how long the stream was read since it was called last.
func (s *idleSource) waited() time.Duration {
	d := s.spent
	s.spent = 0
	return d
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
	began := time.Now()
	n, err := s.stream.Read(p)
	s.spent += time.Since(began)
	return n, err
}
