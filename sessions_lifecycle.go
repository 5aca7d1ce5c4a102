package coder

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/agentuity/coder-go/internal/poll"
	"github.com/agentuity/coder-go/internal/quote"
)

// SessionStatus is the status of a session. It is free text: values other than the constants exist. To learn what a
// session can do now, read its members, such as RuntimeAvailable and HistoryOnly; to learn how it is doing, call
// [Client.CheckSession].
type SessionStatus = string

// The statuses that have been seen.
const (
	StatusCreating     SessionStatus = "creating"     // not ready yet
	StatusProvisioning SessionStatus = "provisioning" // not ready yet
	StatusActive       SessionStatus = "active"       // ready; a standard session stays so when it is done
	StatusRunning      SessionStatus = "running"      // ready
	StatusConnected    SessionStatus = "connected"    // ready
	StatusPaused       SessionStatus = "paused"       // asleep, and can be woken
	StatusResuming     SessionStatus = "resuming"     // waking
	StatusArchived     SessionStatus = "archived"     // over
	StatusShutdown     SessionStatus = "shutdown"     // over
	StatusStopped      SessionStatus = "stopped"      // over
	StatusError        SessionStatus = "error"        // has lost its runtime
	StatusFailed       SessionStatus = "failed"       // has lost its runtime
)

// How long a session is waited for: that of a Hub for the driver of a new session, and that of a wake.
const (
	createWait = 120 * time.Second
	wakeWait   = 30 * time.Second
)

// LifecycleResponse is the response to an archive or a resume.
type LifecycleResponse struct {
	// SessionID is the id that was asked for.
	SessionID string `json:"sessionId"`
	// Status is the session's current status, free text. It is empty if the Hub does not say.
	Status string `json:"status,omitzero"`
	// Extra holds the members this package has no field for. A resume has "resumed".
	Extra map[string]json.RawMessage `json:",embed"`
}

func (r *LifecycleResponse) problem() error { return missingText("sessionId", r.SessionID) }

func (r *LifecycleResponse) namedSession() string { return r.SessionID }

// resumeResponse is a LifecycleResponse that may say no.
type resumeResponse LifecycleResponse

func (r *resumeResponse) problem() error {
	var said string
	_ = json.Unmarshal(r.Extra["error"], &said)
	switch {
	case said != "":
		return &reason{"the Hub declined to wake the session: " + quote.Line(said), ErrResumeDeclined}
	case string(r.Extra["resumed"]) == "false":
		return &reason{"the Hub declined to wake the session", ErrResumeDeclined}
	}
	return (*LifecycleResponse)(r).problem()
}

func (r *resumeResponse) namedSession() string { return r.SessionID }

// ArchiveSession ends a session. Its transcript stays and can be replayed. If the response to an attempt was
// lost and the next attempt finds the session archived, the call succeeds.
//
// POST /hub/session/{sessionId}/archive
func (c *Client) ArchiveSession(ctx context.Context, sessionID string) (*LifecycleResponse, error) {
	a := c.send(ctx, act("ArchiveSession", "/hub/session/{sessionID}/archive", sessionID))
	if a.repeatedOn(ErrSessionArchived) {
		_ = a.over(nil)
		return &LifecycleResponse{SessionID: sessionID, Status: StatusArchived}, nil
	}
	return decode[LifecycleResponse](a)
}

// ResumeSession begins to wake a paused session, and does not wait until it is ready:
// PrepareSessionForRemoteAttach does. If the response says that the Hub will not wake the session, the error
// matches [ErrResumeDeclined]; for a session that is over it matches [ErrSessionArchived].
//
// POST /hub/session/{sessionId}/resume
func (c *Client) ResumeSession(ctx context.Context, sessionID string) (*LifecycleResponse, error) {
	return c.resume(ctx, "ResumeSession", sessionID)
}

func (c *Client) resume(ctx context.Context, op, sessionID string) (*LifecycleResponse, error) {
	response, err := call[resumeResponse](ctx, c, act(op, "/hub/session/{sessionID}/resume", sessionID))
	var bad *ResponseError
	if errors.As(err, &bad) && errors.Is(err, errRefused) {
		bad.Err = ErrResumeDeclined
	}
	return (*LifecycleResponse)(response), err
}

// RemoteAttachPreparationOptions says how long to wait for a session to wake.
type RemoteAttachPreparationOptions struct {
	// Timeout bounds the wait, from when the Hub began to wake the session. Default: 30 s. Negative: until the
	// context ends.
	Timeout time.Duration
	// PollInterval is the time between two polls. Default: 1 s.
	PollInterval time.Duration
}

// PrepareSessionForRemoteAttach wakes a session if it is paused, and waits until its runtime is available, so
// that a controller can attach to it. It returns the session as last seen. Look at HistoryOnly and
// RuntimeAvailable: it is no error if the session is over or cannot be woken, or if Timeout is reached.
//
// While it waits, only the end of the context, a response with status 401, 402, 403 or 426, and a certificate
// that is not trusted are errors. If the Hub declines to wake the session, the error matches
// [ErrResumeDeclined].
//
// GET /hub/session/{sessionId}, POST /hub/session/{sessionId}/resume
func (c *Client) PrepareSessionForRemoteAttach(ctx context.Context, sessionID string, options *RemoteAttachPreparationOptions) (*Session, error) {
	var o RemoteAttachPreparationOptions
	if options != nil {
		o = *options
	}
	return c.prepare(ctx, "PrepareSessionForRemoteAttach", sessionID, o, false)
}

// prepare wakes a paused session and waits for it. With newborn it also waits for one that is being created.
func (c *Client) prepare(ctx context.Context, op, sessionID string, o RemoteAttachPreparationOptions, newborn bool) (*Session, error) {
	if o.PollInterval < 0 {
		return nil, invalid(op, "PollInterval", "must not be negative")
	}
	wait := poll.Poll{
		Interval: cmp.Or(o.PollInterval, time.Second),
		Timeout:  max(0, cmp.Or(o.Timeout, wakeWait)), // 0: no limit
	}

	look := get(op, "/hub/session/{sessionID}", sessionID)
	session, err := call[Session](ctx, c, look)
	switch {
	case err != nil || session.HistoryOnly || session.RuntimeAvailable:
		return session, err
	case session.WakeAvailable:
		if _, err := c.resume(ctx, op, sessionID); err != nil {
			return nil, err
		}
	case !newborn || session.Bucket != BucketProvisioning:
		return session, nil
	case o.Timeout == 0:
		wait.Timeout = createWait
	}
	var last error
	err = wait.Run(ctx, func(ctx context.Context) (poll.Sight, error) {
		var latest *Session
		if latest, last = call[Session](ctx, c, look); last != nil {
			return poll.Sight{}, fatalToPrepare(last)
		}
		session = latest
		return poll.Sight{Done: session.HistoryOnly || session.RuntimeAvailable}, nil
	})
	switch {
	case err == nil:
		return session, nil
	case errors.Is(err, ctx.Err()):
		return nil, look.requestError(SentNo, contextError(ctx, ctx.Err(), last))
	}
	return nil, err
}

// fatalToPrepare returns err if further polls will meet it again. Exception: of the answers that the Hub
// rejects a poll with only these four end it, since a session that is waking can be missing for a moment.
func fatalToPrepare(err error) error {
	switch {
	case errors.Is(err, ErrUnauthorized), errors.Is(err, ErrPaymentRequired),
		errors.Is(err, ErrForbidden), errors.Is(err, ErrUpgradeRequired):
		return err
	case !errors.As(err, new(*APIError)) && failureOf(err).Permanent():
		return err
	}
	return nil
}
