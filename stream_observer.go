package coder

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/agentuity/coder-go/internal/backoff"
	"github.com/agentuity/coder-go/internal/sse"
	"github.com/agentuity/coder-go/internal/transport"
)

// eventObserver is one range over StreamEvents.
type eventObserver struct {
	client     *Client
	options    StreamEventsOptions
	open, look *request
	yield      func(*SSEEvent, error) bool

	connected bool             // at least once
	attempts  backoff.Attempts // since a connection was healthy
	tries     int              // since the last connection
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
		if o.options.MaxReconnectAttempts < 0 || asked > maxRetryAfter {
			return err
		}
		o.tries++
		wait, more := o.attempts.Next()
		if !more {
			return o.failed(&flaw{
				fmt.Sprintf("too many attempts to reconnect (%d): %s", o.attempts.Max, innerText(err)),
				errors.Join(ErrReconnectsExceeded, err),
			})
		}
		if !backoff.Sleep(ctx, max(wait, asked)) {
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
			o.attempts.Reset()
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
		o.attempts.Reset()
	case *BroadcastEventMessage:
		o.attempts.Reset()
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

// fatal reports whether the next attempt would fail in the same way. Exception: an answer that is no
// stream of events is fatal at first, when the URL may be wrong, and transient later, when a gateway may
// have put a page in its place for the time of a restart.
func (o *eventObserver) fatal(err error) bool {
	failure := failureOf(err)
	if failure == transport.Unusable {
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
	return o.open.requestError(sent, err)
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
