package coder

import (
	"context"
	"iter"
	"sync"

	"github.com/coder/websocket"
)

// HubConnState is what a [HubConn] is at.
type HubConnState string

// The states.
const (
	StateConnecting     HubConnState = "connecting"     // the first attempt
	StateAuthenticating HubConnState = "authenticating" // waits for the Hub to admit it
	StateConnected      HubConnState = "connected"
	StateReconnecting   HubConnState = "reconnecting" // waits for, or makes, another attempt
	StateClosed         HubConnState = "closed"       // for good
)

// HubConn is a live connection to a session, made by [Client.Connect] or [Client.Attach]. It is
// safe for concurrent use. When the connection is lost it connects again, with the id of the session
// it has learned; [HubConn.Messages] says so. Close it: it has two goroutines.
//
// A program that neither ranges over Messages nor calls DiscardMessages stops the connection from
// being read once 1,024 messages, or 64 MiB of them, wait. That is not taken for a dead connection,
// and what was read is kept, but responses are not seen until somebody ranges. For the same reason
// a call that waits for a response in the body of a loop over Messages needs a context with a
// deadline, or a goroutine of its own: the response can be behind more messages than may wait.
type HubConn struct {
	client  *Client
	op      string // that of the reader's errors: the call that connects, "HubConn" once it has
	options HubConnectOptions

	ctx        context.Context // ends with Close
	cancel     context.CancelFunc
	goroutines sync.WaitGroup
	admitted   chan struct{} // closed by the reader: connected for the first time
	over       chan struct{} // closed by the reader: closed for good

	links  chan *link     // from the reader to the writer
	writes chan *outgoing // from senders to the writer
	inbox  *inbox

	mu        sync.Mutex
	state     HubConnState
	sessionID string
	init      *HubInitMessage
	subscribe []string
	link      *link
	calls     map[callID]*hubCall
	closed    bool          // by the caller
	err       *HubConnError // set before over is closed
}

func newHubConn(ctx context.Context, c *Client, op string, o HubConnectOptions) *HubConn {
	h := &HubConn{
		client: c, op: op, options: o,
		admitted: make(chan struct{}), over: make(chan struct{}),
		links: make(chan *link), writes: make(chan *outgoing),
		inbox: newInbox(),
		state: StateConnecting, sessionID: o.SessionID, subscribe: o.Subscribe,
		calls: make(map[callID]*hubCall),
	}
	h.ctx, h.cancel = context.WithCancel(ctx)
	return h
}

// Init returns what the Hub said when it admitted the current connection, or the last one. It is
// nil for an observer that was admitted without it.
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

// State returns what the connection is at.
func (h *HubConn) State() HubConnState {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.state
}

// setState leaves a closed connection closed.
func (h *HubConn) setState(s HubConnState) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.state != StateClosed {
		h.state = s
	}
}

// Close closes the connection, and returns when nothing of it is left: at once, or after about a
// second if the Hub does not react. It can be called at any time, from anywhere, and again. What
// waits then, and all later calls, fail with an error that matches [ErrConnClosed]. The error is
// always nil.
func (h *HubConn) Close() error {
	h.mu.Lock()
	h.closed, h.state = true, StateClosed
	l := h.link
	h.mu.Unlock()
	if l != nil {
		l.shut(websocket.StatusNormalClosure, "Client closed", ErrConnClosed)
	}
	h.cancel()
	h.goroutines.Wait()
	return nil
}

// closedError is the error of every call after the connection was closed by the caller.
func (h *HubConn) closedError(op string) *HubConnError {
	return &HubConnError{Operation: op, SessionID: h.SessionID(), Err: ErrConnClosed}
}

// overError is the error of every call after the connection has ended for good.
func (h *HubConn) overError(op string) *HubConnError {
	h.mu.Lock()
	closed := h.closed
	h.mu.Unlock()
	if closed {
		return h.closedError(op)
	}
	e := h.err.as(op)
	e.outcomeUnknown = false // of what ended the connection, not of this call
	return e
}

// ctxError is the error of a call whose context has ended.
func (h *HubConn) ctxError(ctx context.Context, op string) *HubConnError {
	return &HubConnError{Operation: op, SessionID: h.SessionID(), Err: contextError(ctx, ctx.Err(), nil)}
}

// Messages yields everything the Hub sends, in order, beginning with what came after Connect
// returned: one of the message types of this package, or an [*UnknownMessage]. Responses that
// SendAndWait and others wait for are among it. When the connection was lost and another one
// stands, a [*ReconnectedMessage] comes before anything of the new one.
//
// There is one consumer at a time: for a second one the error matches [ErrMessagesInUse]. To range
// again goes on where the last one stopped. It ends without an error when the program closes the
// connection, whatever still waits then, and with an error, the last it yields, when the context
// ends or the connection has ended for good: a [*HubConnError].
func (h *HubConn) Messages(ctx context.Context) iter.Seq2[ServerMessage, error] {
	const op = "Messages"
	return func(yield func(ServerMessage, error) bool) {
		if ctx == nil {
			yield(nil, noContext(op))
			return
		}
		if !h.inbox.consume() {
			yield(nil, &HubConnError{Operation: op, SessionID: h.SessionID(), Err: ErrMessagesInUse})
			return
		}
		defer h.inbox.leave()
		for over := false; ; {
			if h.ctx.Err() != nil {
				return
			}
			if ctx.Err() != nil {
				yield(nil, h.ctxError(ctx, op))
				return
			}
			if item, ok := h.inbox.take(); ok {
				if !yield(item.decode(), nil) {
					return
				}
				continue
			}
			if over {
				yield(nil, h.overError(op))
				return
			}
			select {
			case <-h.inbox.more:
			case <-h.over:
				over = true
			case <-h.ctx.Done():
			case <-ctx.Done():
			}
		}
	}
}

func (i *inboxItem) decode() ServerMessage {
	if i.message != nil {
		return i.message
	}
	return decodeServerMessage(i.raw)
}

// DiscardMessages drops what has come, and from now on whatever comes while nobody ranges over
// Messages. It is for programs that only send and wait for responses.
func (h *HubConn) DiscardMessages() { h.inbox.discard() }
