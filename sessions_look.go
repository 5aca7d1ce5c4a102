package coder

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/agentuity/coder-go/internal/agentrun"
	"github.com/agentuity/coder-go/internal/route"
)

// looker reads what there is to know of a session, as often as it is asked to: the session itself, its loop, and the
// end of its history, as far back as is needed to tell how the agent is doing.
type looker struct {
	client        *Client
	op, sessionID string
	attempts      int // of each request; 0: as the retry policy says
	after         int // what has this id, or a smaller one, does not count
	loop, history aside

	tail   historyTail // what the looks before have read
	looked time.Time   // when the history was last asked for, by our clock
	clock  hubClock
}

// aside is a request of a look that may fail alone.
type aside struct {
	notBefore time.Time // from the last answer's Retry-After
	err       error     // of the last one
}

// observation is what one look at a session has shown.
type observation struct {
	session *Session
	gone    bool                 // the Hub no longer knows the session, which is as last seen
	loop    *SessionLoopState    // nil: none, or not read
	events  []seenEvent          // the newest of the history, newest first; nil: not read
	run     agentrun.Run         // what the history says of the agent
	agent   agentrun.Reading     // and how that stands now
	asked   *RPCUIRequestMessage // the question that is open, or may be; nil: none, or not known
	now     time.Time
	newest  int  // the id of the newest event, also of one that does not count
	read    int  // bytes of payloads
	partial bool // something that was asked for was not answered
	unsure  bool // the history that was not answered decides how the agent is doing
}

// seenEvent is an event without its payload, which may be large, but for the question that is open, or may be.
type seenEvent struct {
	id     int
	name   EventName
	taskID string
	agent  agentrun.Event
	asked  *RPCUIRequestMessage

	seen     time.Time // first, by our clock
	ingested time.Time // by that of the Hub; zero: it does not say
}

// hubClock compares the clock of the Hub with ours. Gateways may answer with clocks of their own.
type hubClock struct {
	ahead time.Duration // of ours, at most
	known bool
}

// atMost notes how far the Hub's clock may be ahead. The least counts: an event that seems younger than it is makes a
// verdict late, one that seems older makes it wrong.
func (c *hubClock) atMost(ahead time.Duration) {
	if !c.known || ahead < c.ahead {
		c.ahead, c.known = ahead, true
	}
}

// clockError is how wrong the clock of an agent may be that says when an event happened.
const clockError = 10 * time.Minute

// storedBy is when the Hub stored an event, or certainly had, by its own clock; zero: it does not say.
func (e *SessionEvent) storedBy() time.Time {
	if e.IngestedAt.IsZero() && !e.OccurredAt.IsZero() {
		return e.OccurredAt.Add(clockError)
	}
	return e.IngestedAt
}

// when returns the time of an event by our clock, not later than it was first seen.
func (c *hubClock) when(e *seenEvent) time.Time {
	at := e.ingested.Add(-c.ahead)
	if e.ingested.IsZero() || at.After(e.seen) {
		return e.seen
	}
	return at
}

// historyTail is an unbroken piece of a history with its newest event.
type historyTail struct {
	events []seenEvent // newest first
	first  bool        // it has the first event of the history
}

// The pages of a history. The events at the end of a turn can be a megabyte each, and most looks need no more than
// the newest one.
var tailPages = []int{3, 12, 50, 100}

const (
	tailEvents = 1000 // the most a look goes back
	tailBytes  = 16 << 20
	// asideLimit is the time that each request of a look has. Without history and loop a look goes on.
	asideLimit = 30 * time.Second
)

// around reads what there is besides the session itself. At least so many events are read, if there are.
func (l *looker) around(ctx context.Context, session *Session, least int) *observation {
	o := &observation{session: session}
	if o.inLoop() {
		request := get(l.op, "/hub/session/{sessionID}/loop", l.sessionID)
		if state, _ := readAside[LoopStateResponse](ctx, l, &l.loop, request); state != nil {
			o.loop = state.Loop
		} else {
			o.partial = true
		}
	}
	l.readTail(ctx, o, least)
	return o
}

// readAside returns nil if the Hub does not say. The header is that of the answer.
func readAside[T any, P checked[T]](ctx context.Context, l *looker, a *aside, r *request) (*T, http.Header) {
	if time.Now().Before(a.notBefore) {
		return nil, nil
	}
	r.attempts = l.attempts
	answer, sent, err := answerInTime[T, P](ctx, l.client, r, asideLimit)
	a.notBefore, a.err = time.Now().Add(retryAfter(err)), err
	if err != nil {
		return nil, nil
	}
	return answer, sent.outcome.Header
}

// readTail reads the history from its end, until it is known how the agent is doing.
func (l *looker) readTail(ctx context.Context, o *observation, least int) {
	var tail historyTail
	joined := false
	asked := time.Now()
	for page := 0; ; page++ {
		history, header := l.readPage(ctx, page, tail.oldest())
		if history == nil {
			o.partial = true
			o.unsure = page > 0 && !o.run.Sure(o.judged())
			break
		}
		o.now = time.Now()
		if page == 0 {
			l.clock.atMost(hubTime(header).Sub(o.now))
		}
		more := tail.add(history.Events, o)
		if page == 0 {
			l.compareClocks(&tail)
		}
		if !joined && tail.join(&l.tail) {
			joined, more = true, true
		}
		if len(tail.events) > 0 {
			o.newest = tail.events[0].id
		}
		o.events = tail.counting(l.after)
		o.play(&l.clock, tail.first && l.after == 0)
		if !more || tail.first || tail.oldest() <= l.after || len(tail.events) >= tailEvents || o.read >= tailBytes || o.enough(least) {
			break
		}
	}
	if o.unsure {
		o.run, o.agent = agentrun.Run{}, agentrun.Reading{}
	}
	if len(tail.events) > 0 {
		l.tail, l.looked = tail, asked
	}
	if !o.unsure {
		o.asked = tail.question(o.run.Question())
	}
}

// question returns the question with an id. It forgets all others but the newest, which a look further back may show to be
// open.
func (t *historyTail) question(id string) (asked *RPCUIRequestMessage) {
	newest := true
	for i := range t.events {
		e := &t.events[i]
		switch {
		case e.asked == nil:
			continue
		case e.asked.ID == id:
			asked = cmp.Or(asked, e.asked)
		case !newest:
			e.asked = nil
		}
		newest = false
	}
	return asked
}

// compareClocks learns from the newest event, if the look before has not seen it: it came after that.
func (l *looker) compareClocks(tail *historyTail) {
	if len(tail.events) == 0 || len(l.tail.events) == 0 {
		return
	}
	newest := &tail.events[0]
	if newest.id > l.tail.events[0].id && !newest.ingested.IsZero() {
		l.clock.atMost(newest.ingested.Sub(l.looked))
	}
}

func (l *looker) readPage(ctx context.Context, page, before int) (*SessionEventHistory, http.Header) {
	limit := tailPages[min(page, len(tailPages)-1)]
	return readAside[SessionEventHistory](ctx, l, &l.history, get(l.op, "/hub/session/{sessionID}/events/history", l.sessionID).
		with(new(route.Query).Int("limit", limit).Int("beforeId", before)))
}

// oldest returns the smallest id, 0 if there is none.
func (t *historyTail) oldest() int {
	if len(t.events) == 0 {
		return 0
	}
	return t.events[len(t.events)-1].id
}

// add appends a page, and reports whether it had anything new.
func (t *historyTail) add(page []SessionEvent, o *observation) bool {
	slices.SortFunc(page, func(a, b SessionEvent) int { return cmp.Compare(b.ID, a.ID) })
	before := len(t.events)
	for i := range page {
		e := &page[i]
		o.read += len(e.Payload)
		if len(t.events) > 0 && e.ID >= t.oldest() {
			continue // a Hub may ignore beforeId, or have an event twice
		}
		event := agentrun.Decode(e.Event, e.Payload, time.Time{})
		event.TaskID = cmp.Or(event.TaskID, e.TaskID)
		seen := seenEvent{id: e.ID, name: event.Name, taskID: event.TaskID, agent: event, seen: o.now, ingested: e.storedBy()}
		if event.QuestionID != "" && event.TaskID == "" {
			seen.asked = questionOf(e.Event, e.Payload, o.session.SessionID, cmp.Or(e.OccurredAt, e.IngestedAt))
		}
		t.events = append(t.events, seen)
	}
	t.first = len(page) == 0 || t.oldest() <= 1
	return len(t.events) > before
}

// join appends what a look before has read, if nothing is missing between. The events that both have are as they
// were first seen.
func (t *historyTail) join(old *historyTail) bool {
	if len(old.events) == 0 || len(t.events) == 0 {
		return false
	}
	i := slices.IndexFunc(t.events, func(e seenEvent) bool { return e.id == old.events[0].id })
	if i < 0 {
		return false
	}
	kept := old.events[:min(len(old.events), tailEvents)]
	t.first = old.first && len(kept) == len(old.events)
	t.events = append(t.events[:i:i], kept...)
	return true
}

// counting returns the events with ids above one.
func (t *historyTail) counting(after int) []seenEvent {
	if i := slices.IndexFunc(t.events, func(e seenEvent) bool { return e.id <= after }); i >= 0 {
		return t.events[:i]
	}
	return t.events
}

// play reads the events, oldest first.
func (o *observation) play(clock *hubClock, whole bool) {
	o.run = agentrun.Run{Whole: whole}
	for i := range slices.Backward(o.events) {
		e := &o.events[i]
		e.agent.At = clock.when(e)
		o.run.Apply(&e.agent)
	}
	o.agent = o.run.At(o.now)
}

// enough reports whether older events could change nothing.
func (o *observation) enough(least int) bool {
	switch {
	case len(o.events) < least:
		return false
	case o.inLoop() && o.loop == nil: // the history may know how the loop is doing
		return len(o.events) >= 50
	case !o.run.Sure(o.judged()):
		// That its loop is completed says enough of a session, but not how the last prompt of one that is over had ended.
		return !o.isOver() && (len(o.newestIs(EventSessionError)) > 0 || len(o.completed()) > 0)
	}
	// The end of a session may hide behind the last events of its agent.
	return !o.agent.Kind.Over() || len(o.events) >= 12
}

// judged is the time at which the agent is judged: of a session that is over nothing more is to be waited for.
func (o *observation) judged() time.Time {
	if o.isOver() {
		return o.now.Add(24 * time.Hour)
	}
	return o.now
}

// isOver reports whether the session is: gone, archived, shut down or history only.
func (o *observation) isOver() bool { return o.gone || len(o.archived()) > 0 || len(o.over()) > 0 }

// hubTime is when an answer was made, by the clock of the Hub, to the second.
func hubTime(header http.Header) time.Time {
	if at, err := http.ParseTime(header.Get("Date")); err == nil {
		return at
	}
	return time.Now()
}
