package coder

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/agentuity/coder-go/internal/route"
	"github.com/agentuity/coder-go/internal/socket"
)

// HubConnState is the state of a [HubConn].
type HubConnState string

// The states.
const (
	StateConnecting     HubConnState = "connecting"     // the first attempt
	StateAuthenticating HubConnState = "authenticating" // waits for the Hub to admit it
	StateConnected      HubConnState = "connected"
	StateReconnecting   HubConnState = "reconnecting" // waits for, or makes, another attempt
	StateClosed         HubConnState = "closed"       // for good
)

// HubConn is a live connection to a session, made by [Client.Connect], [Client.ConnectNew] or
// [Client.Attach]. It is safe for concurrent use. When the connection is lost it connects again to the
// same session, and [HubConn.Messages] yields a [*ReconnectedMessage]. Close it to end its goroutines.
//
// Range over Messages, or call DiscardMessages. Otherwise the connection stops reading once 1,024 messages,
// or 64 MiB of them, wait: it then still counts as alive and nothing is lost, but no response arrives until
// somebody ranges over Messages. For the same reason a call that waits for a response inside a loop over
// Messages needs a context with a deadline, or a goroutine of its own: too many messages may come before the
// response.
type HubConn struct {
	client  *Client
	op      string // Operation of the reader's errors: the call that connects, then "HubConn"
	options HubConnectOptions

	ctx        context.Context // ends with Close, and only then
	cancel     context.CancelFunc
	awaited    time.Time // how long the caller waits for the first connection; zero: for ever
	goroutines sync.WaitGroup
	admitted   chan struct{} // closed by the reader when it is connected for the first time
	ended      chan struct{} // closed by the reader when it has ended, and does not connect again
	told       chan struct{} // closed after that, when OnState knows

	pings ownPings
	inbox *socket.Inbox[inboxItem]
	ear   ear // of the reader, before the inbox

	mu         sync.Mutex
	state      HubConnState
	sessionID  string
	init       *HubInitMessage
	subscribe  []string
	link       *socket.Link // the current one, or the last
	writer     writer
	calls      map[callID]*hubCall
	lastCall   *hubCall      // that of the newest frame a sender has written; nil: nobody waits for its answer
	failedSend *outgoing     // its write has failed; the reader tells its sender why
	err        *HubConnError // why the reader has ended; set before ended is closed
}

// Reading stops while so many messages, or so many bytes of them, wait for somebody to range over them.
const (
	inboxMessages = 1024
	inboxBytes    = 64 << 20
)

func newHubConn(ctx context.Context, c *Client, op, sessionID string, o HubConnectOptions) *HubConn {
	h := &HubConn{
		client: c, op: op, options: o,
		admitted: make(chan struct{}), ended: make(chan struct{}), told: make(chan struct{}),
		inbox: socket.NewInbox(inboxMessages, inboxBytes, inboxItem.size),
		state: StateConnecting, sessionID: sessionID, subscribe: o.Subscribe,
		calls: make(map[callID]*hubCall),
		ear:   ear{off: o.Role != RoleController, turn: make(chan struct{}, 1)},
	}
	h.ctx, h.cancel = context.WithCancel(ctx)
	return h
}

// HubConnectOptions says in which role to connect, and how to reconnect when the connection is lost. The zero
// value connects as an observer.
type HubConnectOptions struct {
	// Role is one of [RoleObserver], [RoleController] or [RoleLead]. Default: RoleObserver.
	Role HubRole
	// Agent is the agent's name, for a sub-agent.
	Agent string
	// ParentSessionID is the session that a sub-agent works for.
	ParentSessionID string
	// Task is the first prompt of a new session, Label its display name.
	Task  string
	Label string
	// Subscribe selects broadcasts for an observer: by category ("task"), by name ("turn_end"), by
	// prefix ("task_*") or all ("*"). Default: what the Hub sends observers.
	Subscribe []string
	// Origin is the kind of program: "web", "desktop", "tui" or "sdk". Default: "sdk".
	Origin string
	// DriverMode is "rpc" for a driver.
	DriverMode string
	// DriverInstanceID identifies a running driver, so that the Hub can turn away an older one of the same
	// session.
	DriverInstanceID string
	// DriverVersion is the version of a driver, for the Hub's records.
	DriverVersion string
	// MaxReconnectAttempts is the largest number of attempts in a row to connect again. The count starts
	// again at 0 once a connection has proved healthy: it was read for 5 s after the Hub had admitted it, or
	// has delivered something that only a session at work sends. Negative: none. Default: 10.
	MaxReconnectAttempts int
	// ReconnectDelay is the wait before the first of these attempts. It doubles with each attempt, and up to
	// half of it is subtracted at random. The waits start again at ReconnectDelay after 30 s of reading.
	// Default: 1 s.
	ReconnectDelay time.Duration
	// MaxReconnectDelay is the longest of these waits. Default: 30 s.
	MaxReconnectDelay time.Duration
	// HeartbeatInterval is the time between two pings. Negative: no pings. Default: 10 s.
	HeartbeatInterval time.Duration
	// HeartbeatTimeout is how long the Hub may send nothing, and how long a write may move no byte,
	// before the connection counts as lost. It must be longer than HeartbeatInterval. Negative: for
	// ever. Default: 30 s, and at least 3 times HeartbeatInterval.
	HeartbeatTimeout time.Duration
	// HandshakeTimeout bounds each attempt, from the discovery of the Hub to its init message. Negative: only
	// the context bounds an attempt. Default: 30 s.
	HandshakeTimeout time.Duration
	// OnState is called with StateReconnecting and the cause when the connection is lost, with StateConnected and nil when
	// it is back, and with StateClosed and the last error of Messages when it has ended for good. The last call comes before
	// Messages ends; after Close there is no call. The goroutine that reads calls OnState, one call at a time and without a
	// lock: while OnState runs, nothing is received. It may use the connection, but must not call Close, range over the
	// messages, or wait for a goroutine that does: these wait for OnState.
	OnState func(HubConnState, error)
}

// AttachOptions says how to attach to a session.
type AttachOptions struct {
	// Preparation says how long to wait for the session. The default of its Timeout is 30 s for a session that is
	// woken, and 120 s for one that is being created: the Hub waits as long for its own driver.
	Preparation RemoteAttachPreparationOptions
	// Connection is as for Connect. Its Role is set by Attach.
	Connection HubConnectOptions
}

// Connect opens a live connection to a session, as an observer, a controller or the lead, and returns when
// the Hub has admitted it. The context bounds only this call: end the connection with [HubConn.Close]. With
// nil options it connects as an observer.
//
// Attempts that fail for a transient reason (the network, a status of 5xx, 408, 425 or 429, a connection that
// is closed before the Hub has sent its init message, as during a restart) are followed by others until the
// context ends or MaxReconnectAttempts is exceeded. Connect also ends if the Hub accepts a connection and is
// then silent for HandshakeTimeout, and if the host name does not exist.
//
// The API key goes into a header and into the first message, never into the URL.
//
// Errors: [*ValidationError], also for an empty id, and [*HubConnError].
//
// GET /ws, as a WebSocket
func (c *Client) Connect(ctx context.Context, sessionID string, options *HubConnectOptions) (*HubConn, error) {
	const op = "Connect"
	if err := checkSessionID(op, sessionID); err != nil {
		return nil, err
	}
	return c.connect(ctx, op, sessionID, options.orDefault())
}

// ConnectNew creates a session and opens a live connection to it. An attempt that may have reached the Hub is
// not repeated: the error then matches [ErrOutcomeUnknown], and has the id of the session if that is known.
// Once ConnectNew has returned, [HubConn.SessionID] returns the id, and a lost connection is made again to
// the same session. Otherwise it works as Connect.
//
// Errors: [*ValidationError] and [*HubConnError].
//
// GET /ws, as a WebSocket
func (c *Client) ConnectNew(ctx context.Context, options *HubConnectOptions) (*HubConn, error) {
	return c.connect(ctx, "ConnectNew", "", options.orDefault())
}

func (o *HubConnectOptions) orDefault() HubConnectOptions {
	if o == nil {
		return HubConnectOptions{}
	}
	return *o
}

// Attach wakes a session if it is paused, waits for its runtime, as PrepareSessionForRemoteAttach does, and connects as a
// controller. It also waits for a session that is being created, by default for 120 s. If the session is over, or has no
// runtime even after the wait, Attach does not try to connect, and the error matches [ErrNotAttachable].
//
// Errors: those of PrepareSessionForRemoteAttach and of Connect.
//
// GET /hub/session/{sessionId}, POST /hub/session/{sessionId}/resume, GET /ws
func (c *Client) Attach(ctx context.Context, sessionID string, options *AttachOptions) (*HubConn, error) {
	const op = "Attach"
	var o AttachOptions
	if options != nil {
		o = *options
	}
	if err := checkSessionID(op, sessionID); err != nil {
		return nil, err
	}
	o.Connection.Role = RoleController
	connection, err := o.Connection.complete(op)
	if err != nil {
		return nil, err
	}
	if ctx == nil {
		return nil, noContext(op)
	}
	return observed(ctx, c, op, sessionID, func(ctx context.Context) (*HubConn, error) {
		session, err := c.prepare(ctx, op, sessionID, o.Preparation, true)
		switch {
		case err != nil:
			return nil, err
		case session.HistoryOnly:
			return nil, notAttachable(c.secret.Text(sessionID), "the session is over and can only be replayed")
		case !session.RuntimeAvailable:
			return nil, notAttachable(c.secret.Text(sessionID), "the session has no runtime")
		}
		return c.open(ctx, op, sessionID, connection)
	})
}

func notAttachable(sessionID, why string) error {
	return newHubConnError("Attach", sessionID, ConnFailed, &reason{why, ErrNotAttachable})
}

// complete checks the options and returns them with their defaults.
func (o HubConnectOptions) complete(op string) (HubConnectOptions, error) {
	for _, d := range []struct {
		field string
		value *time.Duration
		def   time.Duration
	}{
		{"ReconnectDelay", &o.ReconnectDelay, time.Second},
		{"MaxReconnectDelay", &o.MaxReconnectDelay, 30 * time.Second},
		{"HeartbeatInterval", &o.HeartbeatInterval, 10 * time.Second},
		{"HeartbeatTimeout", &o.HeartbeatTimeout, max(30*time.Second, 3*o.HeartbeatInterval)},
		{"HandshakeTimeout", &o.HandshakeTimeout, 30 * time.Second},
	} {
		if *d.value < 0 && strings.HasSuffix(d.field, "Delay") {
			return o, invalid(op, d.field, "must not be negative")
		}
		*d.value = cmp.Or(*d.value, d.def)
		if *d.value < 0 {
			*d.value = forever
		}
	}
	if o.HeartbeatTimeout <= o.HeartbeatInterval && o.HeartbeatInterval < forever {
		return o, invalid(op, "HeartbeatTimeout", "must be longer than HeartbeatInterval, which it is to see answered")
	}
	o.MaxReconnectAttempts = max(0, cmp.Or(o.MaxReconnectAttempts, 10))
	o.Role = cmp.Or(o.Role, RoleObserver)
	o.Origin = cmp.Or(o.Origin, "sdk")
	o.Subscribe = slices.Clone(o.Subscribe)
	return o, nil
}

// query is the query of the request that opens a connection. No credential is in it.
func (o *HubConnectOptions) query(sessionID, orgID string, subscribe []string) (string, error) {
	return new(route.Query).
		String("sessionId", sessionID).
		String("role", string(o.Role)).
		String("agent", o.Agent).
		String("parent", o.ParentSessionID).
		String("task", o.Task).
		String("label", o.Label).
		String("subscribe", strings.Join(subscribe, ",")).
		String("orgId", orgID).
		String("origin", o.Origin).
		String("driverMode", o.DriverMode).
		String("driverInstanceId", o.DriverInstanceID).
		String("driverVersion", o.DriverVersion).
		Encode()
}

// connect opens a connection to a session; "" for a new one.
func (c *Client) connect(ctx context.Context, op, sessionID string, options HubConnectOptions) (*HubConn, error) {
	options, err := options.complete(op)
	if err != nil {
		return nil, err
	}
	if ctx == nil {
		return nil, noContext(op)
	}
	return observed(ctx, c, op, sessionID, func(ctx context.Context) (*HubConn, error) { return c.open(ctx, op, sessionID, options) })
}

// open is connect with options that are complete.
func (c *Client) open(ctx context.Context, op, sessionID string, options HubConnectOptions) (*HubConn, error) {
	if err := ctx.Err(); err != nil {
		return nil, newHubConnError(op, c.secret.Text(sessionID), "", contextError(ctx, err, nil))
	}
	h := newHubConn(context.WithoutCancel(ctx), c, op, sessionID, options)
	h.awaited, _ = ctx.Deadline()
	h.goroutines.Go(h.run)
	select {
	case <-h.admitted:
	case <-h.ended:
	case <-ctx.Done():
	}
	if h.wasAdmitted() { // Messages reports what has happened since
		return h, nil
	}
	_ = h.Close()
	failed := h.err.as(op)
	if sessionID == "" && failed.SessionID != "" { // the session exists, and the caller does not know it
		failed.outcomeUnknown = true
	}
	if err := ctx.Err(); err != nil {
		var last error
		if failed.Code != "" {
			last = h.err
		}
		unknown := failed.outcomeUnknown
		failed = newHubConnError(op, failed.SessionID, "", contextError(ctx, err, last))
		failed.outcomeUnknown = unknown
	}
	return nil, failed
}

// Format prints the connection for every verb of package fmt: its session and its state, and no secret.
// It is safe while the connection works.
func (h *HubConn) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, h.describe()) }

// LogValue returns what package slog logs for a connection.
func (h *HubConn) LogValue() slog.Value { return slog.StringValue(h.describe()) }

func (h *HubConn) describe() string {
	if h == nil || h.client == nil {
		return "coder.HubConn(nil)"
	}
	return "coder.HubConn(" + h.client.secret.Line(h.SessionID()) + ", " + string(h.State()) + ")"
}

// Init returns the init message with which the Hub admitted the current connection, or the last one. It is
// nil for an observer that was admitted without such a message.
func (h *HubConn) Init() *HubInitMessage {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.init
}

// SessionID returns the id of the session: the one the Hub has named, else the one asked for.
func (h *HubConn) SessionID() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.sessionID
}

// State returns the state of the connection.
func (h *HubConn) State() HubConnState {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.state
}

// setState changes the state, unless it is StateClosed.
func (h *HubConn) setState(s HubConnState) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.state != StateClosed {
		h.state = s
	}
}

// Close closes the connection, and returns when its goroutines have ended: at once, or after about a second
// if the Hub does not react. It can be called at any time, by any goroutine, and again, but not by OnState.
// Calls that wait, and all later calls, fail with an error that matches [ErrConnClosed]. Close always returns
// nil.
func (h *HubConn) Close() error {
	h.cancel() // before h.link is read, so that no link can be opened that this does not see
	h.mu.Lock()
	h.state = StateClosed
	l := h.link
	h.mu.Unlock()
	if l != nil {
		l.Close(int(CloseNormal), "Client closed", ErrConnClosed)
	}
	h.goroutines.Wait()
	return nil
}

// Messages yields everything the Hub sends, in order, beginning with what came after Connect returned: one of
// the message types of this package, or an [*UnknownMessage]. It also yields the responses that SendAndWait
// and other calls wait for. After a loss a [*ReconnectedMessage] comes before the messages of the new
// connection.
//
// There is one consumer at a time: a second one gets an error that matches [ErrMessagesInUse]. Ranging
// again continues where the last loop stopped. The loop ends without an error when the program closes
// the connection; messages that still wait are then dropped. It ends with an error, a [*HubConnError] and
// the last thing it yields, when the context ends or the connection has ended for good.
func (h *HubConn) Messages(ctx context.Context) iter.Seq2[ServerMessage, error] {
	const op = "Messages"
	return func(yield func(ServerMessage, error) bool) {
		if ctx == nil {
			yield(nil, noContext(op))
			return
		}
		if !h.inbox.Consume() {
			yield(nil, h.newError(op, "", ErrMessagesInUse))
			return
		}
		defer h.inbox.Leave()
		for ended := false; ; {
			if h.ctx.Err() != nil {
				return
			}
			if ctx.Err() != nil {
				yield(nil, h.ctxError(ctx, op))
				return
			}
			if item, ok := h.inbox.Take(); ok {
				if !yield(item.decode(), nil) {
					return
				}
				continue
			}
			if ended { // and the inbox is empty
				yield(nil, h.finalError(op))
				return
			}
			select {
			case <-h.inbox.More():
			case <-h.told:
				ended = true
			case <-h.ctx.Done():
			case <-ctx.Done():
			}
		}
	}
}

// inboxItem is a frame as it came, or a message of our own.
type inboxItem struct {
	raw     []byte
	message ServerMessage
}

func (i inboxItem) size() int { return len(i.raw) }

func (i inboxItem) decode() ServerMessage {
	if i.message != nil {
		return i.message
	}
	return decodeServerMessage(i.raw)
}

// DiscardMessages drops the messages that wait and, from now on, those that come while nobody ranges over
// Messages. It is for programs that only send and wait for responses.
func (h *HubConn) DiscardMessages() { h.inbox.Discard() }
