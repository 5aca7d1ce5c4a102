package coder

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/agentuity/coder-go/internal/backoff"
	"github.com/agentuity/coder-go/internal/paging"
	"github.com/agentuity/coder-go/internal/quote"
	"github.com/agentuity/coder-go/internal/route"
	"github.com/agentuity/coder-go/internal/transport"
)

// WatchEventsOptions says where to begin, and how often to read.
type WatchEventsOptions struct {
	// After is the cursor of the event to begin after, "" to begin with the first event of the history. A cursor of
	// another session or Hub is refused with an error that matches ErrForeignCursor.
	After Cursor
	// Settle is how old an event must be before it is yielded: a Hub may show ids out of order, and an event that
	// shows up within this time is yielded in its place. Default: 5 s. Negative: events are yielded when they are
	// seen.
	Settle time.Duration
	// PollInterval is the time between two reads of the history while the event stream says nothing. Default: 30
	// s.
	PollInterval time.Duration
	// NoStream watches without an event stream: the history is read only every PollInterval.
	NoStream bool
	// MaxReconnectAttempts is the largest number of reads in a row that may fail. Default: 10. For a watch that must never
	// end: math.MaxInt. Negative: none, the first read that fails ends the watch. A Hub that asks to wait for more than a
	// minute ends it too.
	MaxReconnectAttempts int
	// ReconnectDelay is the wait after the first read that failed. It doubles up to MaxReconnectDelay; up to half of it is
	// subtracted at random. Default: 1 s and 30 s.
	ReconnectDelay, MaxReconnectDelay time.Duration
}

func (o *WatchEventsOptions) complete() error {
	switch {
	case o.PollInterval < 0:
		return invalid(watchOp, "PollInterval", "must not be negative")
	case o.ReconnectDelay < 0:
		return invalid(watchOp, "ReconnectDelay", "must not be negative")
	case o.MaxReconnectDelay < 0:
		return invalid(watchOp, "MaxReconnectDelay", "must not be negative")
	}
	o.Settle = cmp.Or(o.Settle, 5*time.Second)
	o.PollInterval = cmp.Or(o.PollInterval, 30*time.Second)
	o.MaxReconnectAttempts = max(cmp.Or(o.MaxReconnectAttempts, 10), 0)
	o.ReconnectDelay = cmp.Or(o.ReconnectDelay, time.Second)
	o.MaxReconnectDelay = max(cmp.Or(o.MaxReconnectDelay, 30*time.Second), o.ReconnectDelay)
	return nil
}

// WatchedEvent is an event of a session that is watched.
type WatchedEvent struct {
	SessionEvent
	// Cursor is where to go on after this event, in this process or another. A late event has the cursor of the
	// event before it.
	Cursor Cursor `json:"cursor"`
	// Late says that the event showed up after others with higher ids had been yielded.
	Late bool `json:"late,omitzero"`
	// Live marks the event with which the loop has caught up: everything that the history held when it was read, and
	// that was Settle old, has been yielded. If there was nothing to yield at that moment, it is an empty event with ID
	// 0.
	Live bool `json:"live,omitzero"`
}

// HistoryGapError says that the history no longer holds the events after a cursor. It matches
// [ErrHistoryGap].
type HistoryGapError struct {
	// SessionID is the session.
	SessionID string
	// After is the id of the last event that was read.
	After int
}

// Error says where the gap is.
func (e *HistoryGapError) Error() string {
	return fmt.Sprintf("coder: %s: the history of session %s no longer has the events after %d", watchOp, quote.Line(e.SessionID), e.After)
}

// Is matches ErrHistoryGap.
func (e *HistoryGapError) Is(target error) bool { return target == ErrHistoryGap }

const watchOp = "WatchEvents"

// WatchEvents yields every event in the history of a session once, in the order of their ids: first the events that
// exist, then new ones, until the session is over. A program that stores the Cursor of the last event that it has
// handled can go on there after a restart, in another process too.
//
// All events are read from the history. The event stream ([Client.StreamEvents]) only says when to read: after events of the
// categories session, agent, turn, task and loop. Without a stream, and for other categories, the history is read every
// PollInterval. An event is yielded when it is Settle old, so that an event with a lower id that shows up within that time
// comes before it. An event that shows up later is yielded as Late, if it shows up within 5 minutes, has an id above the
// cursor that the range began with, and is among the newest 1,000 events and 16 MiB. What showed up late while nobody
// watched is not yielded.
//
// The loop ends without an error when the session has been over for Settle and its history is read to the end. An error is
// the last thing that it yields: [*ValidationError], which matches [ErrForeignCursor] for a cursor of another session or
// Hub; [*HistoryGapError] if the history no longer holds the events after the cursor, or has started again with lower ids,
// so that nothing is left out silently; those of [Client.ListEventHistory], at once if another attempt cannot help, else
// after MaxReconnectAttempts, a count that starts again with each page that was read; and that of the context.
//
// Leaving the loop ends the requests; ranging again starts over. A slow loop delays nobody else: only one page of at
// most 100 events, fewer if they are large, is read ahead. To read 10,000 existing events takes some 110 requests.
//
// GET /hub/session/{sessionId}/events/history, GET /hub/session/{sessionId}/events, GET /hub/session/{sessionId}
func (c *Client) WatchEvents(ctx context.Context, sessionID string, options *WatchEventsOptions) iter.Seq2[WatchedEvent, error] {
	var o WatchEventsOptions
	if options != nil {
		o = *options
	}
	refused := o.complete()
	return func(yield func(WatchedEvent, error) bool) {
		w := &eventWatch{client: c, sessionID: sessionID, options: o, yield: yield}
		err := refused
		if err == nil {
			err = w.run(ctx)
		}
		if err != nil && !w.left {
			yield(WatchedEvent{}, err)
		}
	}
}

// eventWatch is one range over WatchEvents.
type eventWatch struct {
	client    *Client
	sessionID string
	options   WatchEventsOptions
	yield     func(WatchedEvent, error) bool
	left      bool // the caller has left the loop

	hub     string // the Hub as cursors name it
	cursor  int    // the id of the last event that was yielded in order
	history paging.Upwards[SessionEvent]
	yielded recentIDs
	clock   hubClock
	began   time.Time         // when the last page was asked for, by our clock
	asked   time.Time         // when those that were read last were asked for, at the earliest
	now     time.Time         // when it came, which may be much later
	pending map[int]time.Time // events that are not settled, with when they were first seen
	live    bool              // the mark was set
	over    bool              // the session is
	read    time.Time         // when the end of the history was asked for that was read last
	settles time.Time         // when nothing of a session that is over can show up any more
	back    time.Time         // when it was last looked for late events

	searched time.Time // everything late that had shown up by then was found
}

// The rhythm of a watch.
const (
	watchPage  = 100
	watchPause = 250 * time.Millisecond // between looks while the bell rings
	// clockGrain is how much older an event can be than the Date of an answer tells, which has whole seconds.
	clockGrain = time.Second
)

func (w *eventWatch) run(ctx context.Context) error {
	if ctx == nil {
		return noContext(watchOp)
	}
	if err := checkSessionID(watchOp, w.sessionID); err != nil {
		return err
	}
	if err := w.begin(ctx); err != nil {
		return err
	}
	bell, stop := w.client.listen(ctx, w.sessionID, w.options.NoStream)
	defer stop()
	attempts := backoff.Attempts{Max: w.options.MaxReconnectAttempts, Least: w.options.ReconnectDelay, Most: w.options.MaxReconnectDelay}
	var rang time.Time // when the bell first rang for what was not looked at
	asked := time.Time{}
	for {
		began := time.Now()
		if !rang.IsZero() && began.Sub(rang) >= w.settle() {
			rang = time.Time{}
		}
		due, err := w.look(ctx, &attempts)
		switch {
		case w.left:
			return nil
		case ctx.Err() != nil:
			return w.ended(ctx)
		case err == nil && w.over && due.IsZero():
			if !w.read.Before(w.settles) {
				return nil
			}
			due = w.settles
		}
		wait := began.Add(w.options.PollInterval)
		if err != nil {
			again, more := attempts.Next()
			if !w.rides(err) || !more {
				return err
			}
			wait = time.Now().Add(max(again, retryAfter(err)))
		} else if !due.IsZero() && due.Before(wait) {
			wait = due
		}
		if err == nil && !w.over && (bell.over() || bell.silent() && time.Since(asked) >= w.options.PollInterval) {
			asked = time.Now()
			if w.over, err = w.isOver(ctx); err != nil {
				return err
			}
			if w.over { // what came before its end is read to the last
				continue
			}
		}
		if !w.await(ctx, bell, wait, began.Add(watchPause), &rang, err != nil) {
			return w.ended(ctx)
		}
	}
}

// settle is how long after the bell an event can be yielded.
func (w *eventWatch) settle() time.Duration {
	if w.options.Settle < 0 {
		return 0
	}
	return w.options.Settle + clockGrain
}

// await waits for the next look: until a time or, if the bell rings, until what it rang for can be yielded. It returns false
// when the context ends.
func (w *eventWatch) await(ctx context.Context, bell *doorbell, until, notBefore time.Time, rang *time.Time, failed bool) bool {
	for {
		next := until
		if !rang.IsZero() && !failed {
			if at := rang.Add(w.settle()); at.Before(next) {
				next = at
			}
		}
		if next.Before(notBefore) {
			next = notBefore
		}
		timer := time.NewTimer(time.Until(next))
		select {
		case <-bell.rings:
			timer.Stop()
			if rang.IsZero() {
				*rang = time.Now()
			}
			if bell.over() && !failed { // nothing will come that is to be waited for
				until = notBefore
			}
		case <-timer.C:
			return ctx.Err() == nil
		case <-ctx.Done():
			timer.Stop()
			return false
		}
	}
}

// begin reads the cursor.
func (w *eventWatch) begin(ctx context.Context) error {
	base, err := w.client.hubURL(ctx, watchOp)
	if err != nil {
		return err
	}
	w.hub = hubName(base)
	if w.cursor, err = w.options.After.of(w.hub, w.sessionID); err != nil {
		return err
	}
	w.yielded.floor = w.cursor
	w.searched = time.Now()
	w.pending = make(map[int]time.Time)
	w.history = paging.Upwards[SessionEvent]{
		ID:       func(e *SessionEvent) int { return e.ID },
		Size:     func(e *SessionEvent) int { return len(e.Payload) },
		Fetch:    func(limit, before int) ([]SessionEvent, error) { return w.fetch(ctx, limit, before) },
		Asked:    func() time.Time { return w.began },
		Limit:    watchPage,
		TooLarge: func(err error) bool { return errors.Is(err, ErrResponseTooLarge) },
	}
	return nil
}

// answerLimit is how long a request may take with all its attempts. It is for transports that wait for ever for an answer to
// begin.
const answerLimit = 10 * time.Minute

// answerInTime makes a request that a Hub which falls silent holds up for so long, and no longer. The error is then that of a
// lost connection: the context of the program has not ended.
func answerInTime[T any, P checked[T]](ctx context.Context, c *Client, r *request, limit time.Duration) (*T, *response, error) {
	limited, cancel := context.WithTimeoutCause(ctx, limit, transport.ErrUnanswered)
	defer cancel()
	sent := c.send(limited, r)
	answer, err := decodeUnobserved[T, P](sent)
	var answered *APIError
	switch {
	case err == nil || limited.Err() == nil || ctx.Err() != nil:
	case errors.As(err, &answered): // but not as it should
		err = answered
	default:
		silent := r.requestError(SentUnknown, fmt.Errorf("the Hub has not answered for %v", limit))
		silent.failure = transport.Lost
		err = silent
	}
	err = sent.over(err)
	return answer, sent, err
}

func (w *eventWatch) fetch(ctx context.Context, limit, before int) ([]SessionEvent, error) {
	history, sent, err := answerInTime[SessionEventHistory](ctx, w.client, get(watchOp, "/hub/session/{sessionID}/events/history", w.sessionID).
		with(new(route.Query).Int("limit", limit).Int("beforeId", before)), answerLimit)
	if err != nil {
		return nil, err
	}
	w.now = time.Now()
	w.began = sent.outcome.Began
	w.clock.atMost(hubTime(sent.outcome.Header).Sub(w.now))
	return history.Events, nil
}

// look yields what is new and settled. It returns when the next event will be, zero if none waits.
func (w *eventWatch) look(ctx context.Context, attempts *backoff.Attempts) (due time.Time, err error) {
	for {
		found, before, more, err := w.history.After(w.cursor)
		switch {
		case errors.Is(err, paging.ErrGap):
			return time.Time{}, &HistoryGapError{SessionID: w.client.secret.Text(w.sessionID), After: w.cursor}
		case errors.Is(err, paging.ErrNoPages):
			return time.Time{}, (&response{
				request: get(watchOp, "/hub/session/{sessionID}/events/history", w.sessionID), outcome: &transport.Outcome{Status: 200}, secret: w.client.secret,
			}).unusable("the Hub does not page its history", paging.ErrNoPages)
		case err != nil:
			return time.Time{}, err
		}
		attempts.Reset()
		w.asked = w.history.Since()
		if !w.yieldLate(before) {
			return time.Time{}, nil
		}
		settled := 0
		for ; settled < len(found); settled++ {
			// Of what is younger than the page, the page cannot show what has shown up meanwhile.
			if due = w.due(&found[settled]); due.After(w.asked) {
				break
			}
		}
		ended := !more || settled < len(found) // of what can be yielded now
		for i := range found[:settled] {
			e := &found[i]
			if !w.give(WatchedEvent{SessionEvent: *e, Live: ended && !w.live && i == settled-1}, e.ID) {
				return time.Time{}, nil
			}
		}
		if ended && !w.live && !w.give(WatchedEvent{Live: true}, w.cursor) {
			return time.Time{}, nil
		}
		switch {
		case settled < len(found):
			w.note(found[settled:])
		case !more:
			clear(w.pending)
			w.read, due = w.asked, time.Time{}
		case ctx.Err() != nil:
			return time.Time{}, ctx.Err()
		default:
			continue
		}
		w.lookBack(append(before, found...))
		return due, nil
	}
}

// give yields an event, and reports whether the caller wants more.
func (w *eventWatch) give(e WatchedEvent, cursor int) bool {
	if e.ID > 0 {
		w.yielded.add(e.ID, w.stored(&e.SessionEvent))
	}
	w.cursor = cursor
	w.live = w.live || e.Live
	e.Cursor = newCursor(w.hub, w.sessionID, cursor)
	w.left = !w.yield(e, nil)
	return !w.left
}

// due is when an event is settled.
func (w *eventWatch) due(e *SessionEvent) time.Time {
	if w.options.Settle < 0 {
		return time.Time{}
	}
	return w.stored(e).Add(w.options.Settle)
}

// stored is when an event was stored, by our clock.
func (w *eventWatch) stored(e *SessionEvent) time.Time {
	seen := seenEvent{seen: w.now, ingested: e.storedBy()}
	if first, ok := w.pending[e.ID]; ok {
		seen.seen = first
	}
	return w.clock.when(&seen)
}

// note keeps when the events that are not settled were first seen.
func (w *eventWatch) note(events []SessionEvent) {
	for id := range w.pending {
		if id <= w.cursor {
			delete(w.pending, id)
		}
	}
	for i := range events {
		if _, ok := w.pending[events[i].ID]; !ok {
			w.pending[events[i].ID] = w.now
		}
	}
}

// rides reports whether another look may succeed. An answer that cannot be used may be a gateway's.
func (w *eventWatch) rides(err error) bool {
	if errors.Is(err, ErrHistoryGap) || errors.Is(err, paging.ErrNoPages) {
		return false
	}
	return !failureOf(err).Permanent() && retryAfter(err) <= maxRetryAfter
}

// isOver asks the Hub whether the session is over, and notes until when something of it may show up. That it cannot be
// asked is no error: the next look finds out.
func (w *eventWatch) isOver(ctx context.Context) (bool, error) {
	session, _, err := answerInTime[Session](ctx, w.client, get(watchOp, "/hub/session/{sessionID}", w.sessionID), answerLimit)
	w.settles = time.Now().Add(w.settle())
	switch {
	case err == nil:
		ended := seenEvent{seen: time.Now(), ingested: session.UpdatedAt} // or earlier
		w.settles = w.clock.when(&ended).Add(w.settle())
		return session.isOver(), nil
	case errors.Is(err, ErrSessionArchived):
		return true, nil
	case failureOf(err).Permanent():
		return false, err
	}
	return false, nil
}

func (w *eventWatch) ended(ctx context.Context) error {
	return get(watchOp, "/hub/session/{sessionID}/events/history", w.sessionID).requestError(SentUnknown, contextError(ctx, ctx.Err(), nil))
}
