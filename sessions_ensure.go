package coder

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/agentuity/coder-go/internal/backoff"
	"github.com/agentuity/coder-go/internal/flight"
	"github.com/agentuity/coder-go/internal/transport"
)

// idempotencyKey is the metadata member that EnsureSession finds sessions by.
const idempotencyKey = "idempotencyKey"

// defaultLookupWindow is how long EnsureSession looks for a session it may have created.
const defaultLookupWindow = 60 * time.Second

// EnsureSessionOptions says which session [Client.EnsureSession] returns, and what it does when it does not know
// whether one was created.
type EnsureSessionOptions struct {
	// NewIfOver ignores sessions that are over and have not done what they were asked: those that are archived, failed
	// or cancelled, unless their last prompt had succeeded before. A session that is done, sleeps, waits, was aborted or
	// is blocked is still returned. NewIfOver costs requests for the history of each session found.
	NewIfOver bool
	// RepostAfter is how long the Hub must answer lookups without finding the session before the session is
	// created again. If the first create was only slow, two sessions exist then: a longer RepostAfter is
	// safer. Default: the session is not created again.
	RepostAfter time.Duration
	// LookupWindow bounds the time for lookups and further creates, from the first lookup that the Hub
	// answered. It is at least RepostAfter. Default: 60 s. Negative: no lookup.
	LookupWindow time.Duration
}

// EnsuredSession is a session that exists.
type EnsuredSession struct {
	// SessionID is the id for every method that takes a session.
	SessionID string
	// Session is as last seen. It is nil if the session was created, by this call or by one that runs at the same time
	// with the same key, and could not be read.
	Session *Session
	// Created says that this call created the session. Of concurrent calls with one key, only one has Created
	// set.
	Created bool
	// Recovered says that the session was found after a create whose response was lost.
	Recovered bool
}

// EnsureSession returns the session with this key, and creates it if there is none. A session that is found is returned
// whatever its state and whatever the request says, even if it is archived or has failed, unless NewIfOver is set. If
// there are several, the oldest is returned. EnsureSession is for callers that may run twice for one job, such as webhooks
// and job queues: the key is an idempotency key, and names the job. It is kept in the session's metadata, as
// idempotencyKey.
//
// If the outcome of a create is unknown, EnsureSession looks for the session several times within LookupWindow, and returns
// it if it shows up. If it does not, EnsureSession creates the session again after RepostAfter, if that is set; in the end
// it returns an error that matches [ErrOutcomeUnknown]. Concurrent calls with one key on one Client share one create, with
// the request and the options of the first call. If the context of a call ends during the create, the next call looks first,
// as if its own create had an unknown outcome. Share the Client: two Clients are like two processes.
//
// What EnsureSession cannot do: two processes that call at the same moment can both create a session, since
// the Hub has no idempotency keys of its own. A search that finds nothing does not prove that there is no
// session. A context that ends during the create leaves no time to look. Use a key that is not part of
// another key, such as a UUID: the Hub's search also matches parts of words, and every session found is read.
//
// A key that is blank, and a request whose metadata has another idempotencyKey, are a
// [*ValidationError].
//
// GET /hub/sessions, GET /hub/session/{sessionId}, POST /hub/session; with NewIfOver also
// GET /hub/session/{sessionId}/events/history, GET /hub/session/{sessionId}/loop
func (c *Client) EnsureSession(ctx context.Context, key string, body CreateSessionRequest, options *EnsureSessionOptions) (*EnsuredSession, error) {
	e := ensurer{client: c, key: key, window: defaultLookupWindow, body: body}
	if options != nil {
		e.newIfOver, e.repostAfter = options.NewIfOver, options.RepostAfter
		e.window = cmp.Or(options.LookupWindow, e.window)
	}
	if err := e.prepare(); err != nil {
		return nil, err
	}
	if ctx == nil {
		return nil, noContext(ensureOp)
	}
	return observed(ctx, c, ensureOp, "", e.ensure)
}

// ensure shares a flight with others.
func (e *ensurer) ensure(ctx context.Context) (*EnsuredSession, error) {
	shared, err := e.client.ensures.Do(ctx, e.key, e.run)
	if err != nil {
		return nil, leftEarly(ctx, err)
	}
	own := shared.EnsuredSession
	own.Created = own.Created && shared.claimed.CompareAndSwap(false, true)
	return &own, nil
}

const ensureOp = "EnsureSession"

// leftEarly returns the error of a caller whose context ended. It matches ErrOutcomeUnknown if the create
// goes on for other callers, or had begun and may have had an effect.
func leftEarly(ctx context.Context, err error) error {
	var left *flight.Left
	if !errors.As(err, &left) {
		return err
	}
	last := left.Flight
	if cancelled := new(endedError); errors.As(last, &cancelled) { // by its last caller's leaving, which is no cancel of that caller
		last = cancelled.last
	}
	e := create(ensureOp, "/hub/session", nil).requestError(SentUnknown, contextError(ctx, left.Err, last))
	e.outcomeUnknown = left.Flight == nil || errors.Is(left.Flight, ErrOutcomeUnknown)
	return e
}

// sharedSession is the result of a flight. The first caller to claim it has created it.
type sharedSession struct {
	EnsuredSession
	claimed atomic.Bool
}

// ensurer is one flight.
type ensurer struct {
	client      *Client
	key         string
	body        CreateSessionRequest
	window      time.Duration // how long to look after a create of unknown outcome
	repostAfter time.Duration // 0: never
	newIfOver   bool
	past        map[string]bool // sessions that are over
	answered    time.Time       // the first lookup after such a create that the Hub answered
}

// prepare checks the arguments and puts the key into the request.
func (e *ensurer) prepare() error {
	other, given := e.body.Metadata[idempotencyKey]
	switch {
	case strings.TrimSpace(e.key) == "":
		return invalid(ensureOp, "key", "must not be empty")
	case e.repostAfter < 0:
		return invalid(ensureOp, "RepostAfter", "must not be negative")
	case given && other != any(e.key):
		return invalid(ensureOp, "metadata."+idempotencyKey, "must be the key, or not be there")
	}
	e.body.Metadata = maps.Clone(e.body.Metadata)
	if e.body.Metadata == nil {
		e.body.Metadata = make(map[string]any, 1)
	}
	e.body.Metadata[idempotencyKey] = e.key
	r := createSession(ensureOp, &e.body)
	if err := r.check(); err != nil {
		return err
	}
	_, err := r.encode()
	return err
}

func (e *ensurer) run(ctx context.Context) (*sharedSession, error) {
	found, err := e.first(ctx)
	if err != nil {
		return nil, err
	}
	if found != nil {
		e.client.doubts.end(e.key, false)
		return &sharedSession{EnsuredSession: EnsuredSession{SessionID: found.SessionID, Session: found}}, nil
	}
	inDoubt := e.client.doubts.has(e.key, max(e.window, e.repostAfter))
	for {
		var (
			made *sharedSession
			err  error
		)
		if inDoubt { // a caller before left during the create
			err = leftInDoubt()
			inDoubt = false
		} else {
			e.client.doubts.begin(e.key)
			made, err = e.create(ctx)
			e.client.doubts.end(e.key, errors.Is(err, ErrOutcomeUnknown))
		}
		if !errors.Is(err, ErrOutcomeUnknown) || ctx.Err() != nil {
			return made, err
		}
		found, repost := e.search(ctx)
		if ctx.Err() == nil && !e.answered.IsZero() { // it has looked long enough
			e.client.doubts.end(e.key, false)
		}
		if found != nil {
			return &sharedSession{EnsuredSession: EnsuredSession{
				SessionID: found.SessionID, Session: found, Created: true, Recovered: true,
			}}, nil
		}
		if !repost {
			return nil, err
		}
	}
}

// first looks before anything is created. Sessions that are over are remembered: they are not what a create of
// unknown outcome has made.
func (e *ensurer) first(ctx context.Context) (*Session, error) {
	if !e.newIfOver {
		return e.find(ctx)
	}
	all, err := e.findAll(ctx)
	if err != nil {
		return nil, err
	}
	for _, found := range all {
		outcome, err := e.client.checkSession(ctx, ensureOp, found)
		if err != nil {
			return nil, err
		}
		switch outcome.Kind {
		case OutcomeArchived, OutcomeFailed, OutcomeCancelled:
		default:
			return found, nil
		}
		if outcome.Succeeded() {
			return found, nil
		}
		if e.past == nil {
			e.past = make(map[string]bool)
		}
		e.past[found.SessionID] = true
	}
	return nil, nil
}

// leftInDoubt is the error for a key whose create was begun by an earlier call that did not see its end.
func leftInDoubt() error {
	e := create(ensureOp, "/hub/session", nil).requestError(SentUnknown,
		errors.New("an earlier call with this key left during the create, and no session has shown up since"))
	e.outcomeUnknown = true
	return e
}

// doubts are the keys whose last create has an unknown outcome, with when that was. A caller that comes
// right after one that left must look before it creates.
type doubts struct {
	mu    sync.Mutex
	since map[string]time.Time
}

func (d *doubts) begin(key string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.since == nil {
		d.since = make(map[string]time.Time)
	}
	d.since[key] = time.Now()
}

func (d *doubts) end(key string, unknown bool) {
	if unknown {
		d.begin(key)
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.since, key)
}

// has reports whether a key is in doubt for less than window. What is in doubt for longer is forgotten.
func (d *doubts) has(key string, window time.Duration) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	since, ok := d.since[key]
	if ok && time.Since(since) >= window {
		delete(d.since, key)
		return false
	}
	return ok
}

// create creates the session and, if that goes well, reads it.
func (e *ensurer) create(ctx context.Context) (*sharedSession, error) {
	created, err := call[CreateSessionResponse](ctx, e.client, createSession(ensureOp, &e.body))
	if err != nil {
		return nil, err
	}
	session, err := e.get(ctx, created.SessionID)
	if err != nil {
		session = nil // the session exists: failing to read it is no failure to create it
	}
	return &sharedSession{EnsuredSession: EnsuredSession{SessionID: created.SessionID, Session: session, Created: true}}, nil
}

// search looks for a session that may have been created, several times. It ends with the session, with
// the window, or when lookups have found nothing for RepostAfter: the session may then be created again.
func (e *ensurer) search(ctx context.Context) (found *Session, repost bool) {
	began := time.Now()
	var answered time.Time // the first lookup of this search that was
	window := max(e.window, e.repostAfter)
	for wait := time.Second; e.window >= 0; wait = min(2*wait, 10*time.Second) {
		found, err := e.findWithin(ctx, lookLimit(time.Until(cmp.Or(e.answered, began).Add(window))))
		if found != nil {
			return found, false
		}
		now := time.Now()
		if err == nil {
			answered = cmp.Or(answered, now)
			e.answered = cmp.Or(e.answered, now)
		}
		// A Hub that answers no lookup at all is given the same time, so that this ends.
		left := cmp.Or(e.answered, began).Add(window).Sub(now)
		if e.repostAfter > 0 && err == nil {
			untilRepost := answered.Add(e.repostAfter).Sub(now)
			if untilRepost <= 0 && left >= 0 {
				return nil, true
			}
			wait = min(wait, max(untilRepost, 0))
		}
		if left <= 0 || !backoff.Sleep(ctx, min(wait, left)) {
			return nil, false
		}
	}
	return nil, false
}

// findWithin is find for a Hub that may accept and not answer.
func (e *ensurer) findWithin(ctx context.Context, limit time.Duration) (*Session, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return e.find(ctx)
}

// readAtOnce is how many candidates find reads at the same time.
const readAtOnce = 8

// find returns the oldest session with the key, nil if there is none.
func (e *ensurer) find(ctx context.Context) (*Session, error) {
	all, err := e.findAll(ctx)
	if len(all) == 0 {
		return nil, err
	}
	return all[0], nil
}

// findAll returns the sessions with the key, the oldest first. The list does not tell the metadata, so that every
// candidate is read.
func (e *ensurer) findAll(ctx context.Context) ([]*Session, error) {
	var (
		mu  sync.Mutex
		all []*Session
	)
	reads, readCtx := errgroup.WithContext(ctx)
	reads.SetLimit(readAtOnce)
	for candidate, err := range e.client.allSessions(readCtx, ensureOp, ListSessionsParams{Search: e.key, IncludeArchived: true}) {
		if err != nil {
			reads.Go(func() error { return err })
			break
		}
		if e.past[candidate.SessionID] {
			continue
		}
		reads.Go(func() error {
			session, err := e.read(readCtx, candidate.SessionID)
			if session == nil || err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			if session.Metadata[idempotencyKey] == e.key {
				all = append(all, session)
			}
			return nil
		})
	}
	if err := reads.Wait(); err != nil {
		return nil, err
	}
	slices.SortFunc(all, (*Session).compareAge)
	return all, nil
}

// readAttempts is how often a candidate is read that the Hub fails on, some seconds in all.
const readAttempts = 5

// read returns a candidate, nil if it cannot be read: it is gone, the caller may not, or the Hub always
// fails on it. One such session must not keep all others from being found. A Hub that does not answer is an
// error.
func (e *ensurer) read(ctx context.Context, id string) (*Session, error) {
	attempts := backoff.Attempts{Max: readAttempts - 1, Least: time.Second, Most: 4 * time.Second}
	for {
		session, err := e.get(ctx, id)
		switch failure := failureOf(err); {
		case failure == transport.Rejected:
			return nil, nil
		case failure != transport.Broken && failure != transport.Unusable:
			return session, err
		}
		wait, more := attempts.Next()
		if !more {
			return nil, nil
		}
		if !backoff.Sleep(ctx, wait) {
			return nil, err
		}
	}
}

func (e *ensurer) get(ctx context.Context, id string) (*Session, error) {
	return call[Session](ctx, e.client, get(ensureOp, "/hub/session/{sessionID}", id))
}

// compareAge orders sessions, the oldest first, so that all processes choose the same.
func (s *Session) compareAge(other *Session) int {
	return cmp.Or(s.CreatedAt.Compare(other.CreatedAt), cmp.Compare(s.SessionID, other.SessionID))
}
