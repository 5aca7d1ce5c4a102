package codertest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest/internal/world"
)

// OutageKind is what happens to clients that connect to a Hub while it is down.
type OutageKind int

const (
	// OutageRefused refuses connections, as a port without a listener does. It is
	// the zero value. The clients of [Hub.NewClient] and [Hub.HTTPClient] fail to
	// dial with ECONNREFUSED, on either network. Other clients, which dial the
	// loopback port by themselves, are connected and reset at once: the Hub keeps
	// the port, since another program could take a free one.
	OutageRefused OutageKind = iota
	// OutageClosed accepts connections and closes them at once, as a load balancer
	// without a backend does. The client does not know what happened to its
	// request.
	OutageClosed
	// OutageBadGateway answers each request, those for a WebSocket included, with
	// status 502 and an HTML page, as a gateway that cannot reach the Hub does.
	OutageBadGateway
	// OutageUnavailable is OutageBadGateway with the status 503.
	OutageUnavailable
	// OutageRetryAfter is OutageUnavailable with the header Retry-After: the seconds
	// until the Hub is back, rounded up.
	OutageRetryAfter
)

// gateway reports whether somebody stands before the Hub who is not down.
func (k OutageKind) gateway() bool { return k >= OutageBadGateway }

// Outage is how a Hub goes down, and what is lost. The zero value is a clean
// restart: sockets are closed with [coder.CloseGoingAway], connections are
// refused, and nothing that agents report meanwhile is lost.
type Outage struct {
	// Kind is what happens to clients that connect while the Hub is down.
	Kind OutageKind
	// Crash aborts all live connections, as if the Hub was killed: sockets without a
	// close frame, streams of events in the middle.
	Crash bool
	// LoseReports loses what the Hub's own agent reports while it has no connection
	// to the Hub. These reports are never sent to anybody, and are neither in the
	// history nor in the conversation, which may then have the beginning of a run and
	// not its end. An open question is not asked again. Without LoseReports the agent
	// keeps these reports and sends them in order when it is back, as the recorded
	// agent does: OccurredAt of these events is when they happened, and IngestedAt
	// when the Hub received them.
	LoseReports bool
	// AgentDelay is how long after the Hub's return its own agent connects again.
	// Until then nobody leads the session, and commands fail. 0: both are back at
	// the same time, before any client. The recorded agent took 1 to 2 seconds.
	AgentDelay time.Duration
}

func (o Outage) check(down time.Duration) {
	switch {
	case o.Kind < OutageRefused || o.Kind > OutageRetryAfter:
		panic(fmt.Sprintf("codertest: there is no OutageKind %d", o.Kind))
	case down < 0 || o.AgentDelay < 0:
		panic("codertest: the time of an Outage must not be negative")
	}
}

// Downtime is the time in which a Hub is down.
type Downtime struct {
	hub    *Hub
	outage Outage
	until  time.Time
	timer  *time.Timer
	over   chan struct{}
	hits   int
	before []*Downtime // that this one has taken the place of
}

// Restart makes the Hub go down at once, and serve again after the time given. It
// returns when the Hub is down. To wait until it is back, receive from
// [Downtime.Over]; [Downtime.End] brings it back earlier, and Close ends it. With 0
// the Hub drops all connections and serves new ones. A Restart of a Hub that is
// down replaces the first Restart: the Hub is back when the second is over.
//
//	hub.Restart(10*time.Second, codertest.Outage{})                                           // goes on meanwhile
//	<-hub.Restart(10*time.Second, codertest.Outage{Kind: codertest.OutageBadGateway}).Over() // waits
//
// Sockets are closed with [coder.CloseGoingAway] and streams of events end, both
// after the messages that are queued for them; they are aborted a second later if
// their clients do not read. See [Outage] for a crash. What clients send from now
// on is lost. Requests under way are cut: if the Hub has begun to carry one out, it
// is carried out. While the Hub is down it receives nothing: no request is in
// [Hub.Requests], and no Fault and no Refusal acts or counts. Discovery is down as
// well. A Hub that is served by [Hub.Handler] aborts requests in both OutageRefused
// and OutageClosed.
//
// Afterwards the Hub remembers all that it has stored: sessions and their status,
// history, conversation, workspaces and the rest. What only the process knew is
// lost: participants have disconnected, without a session_leave, and leads and
// sub-agents that are programs have to connect again. The text of an answer under
// way is in no stream projection, and its message is in the conversation only
// when it has ended.
//
// The Hub's own agent is in the sandbox and goes on working. Its participant is
// disconnected, and joins anew. A question to its user stays open: a controller
// that connects after the agent is back gets the question again, and can answer it.
// [Outage] says what happens to the agent's reports meanwhile. The waits of the
// agent, and a test's own timers, go on. If a program led a session, the Hub's
// agent becomes the lead until the program is back, as after any loss of the
// connection.
func (h *Hub) Restart(down time.Duration, how Outage) *Downtime {
	how.check(down)
	r := &h.restarts
	r.mu.Lock()
	defer r.mu.Unlock()
	d := &Downtime{hub: h, outage: how, until: time.Now().Add(down), over: make(chan struct{})}
	if r.closed {
		close(d.over)
		return d
	}
	if last := r.now; last != nil {
		last.timer.Stop()
		d.before = slices.Concat(last.before, []*Downtime{last})
	}
	r.now = d
	r.endLife()
	r.life, r.endLife = context.WithCancel(context.Background())
	if !how.Kind.gateway() {
		h.server.SetKeepAlivesEnabled(false) // closes what is idle, and what is busy when it becomes so
		for conn := range r.fresh {
			_ = conn.Close()
		}
	}
	h.world.GoDown(world.Outage{
		Crash: how.Crash, LoseReports: how.LoseReports, AgentDelay: how.AgentDelay,
		CloseCode: int(coder.CloseGoingAway), Reason: "The Hub restarts",
	})
	if down == 0 {
		r.comeBack()
		return d
	}
	d.timer = time.AfterFunc(down, d.End)
	return d
}

// Over returns a channel that is closed when the Hub is back, or was closed.
func (d *Downtime) Over() <-chan struct{} { return d.over }

// End brings the Hub back now. If the Hub is back already, or another Restart has
// replaced this one, it does nothing.
func (d *Downtime) End() {
	r := &d.hub.restarts
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.now == d && !r.closed {
		r.comeBack()
	}
}

// Hits returns how many clients the Hub has refused so far: connections that it
// has refused or closed, and requests that a gateway has answered in its place.
func (d *Downtime) Hits() int {
	d.hub.restarts.mu.Lock()
	defer d.hub.restarts.mu.Unlock()
	return d.hits
}

// restarts is whether the Hub is down.
type restarts struct {
	hub *Hub

	mu      sync.Mutex
	closed  bool
	now     *Downtime       // nil: the Hub is up
	life    context.Context // ends when the Hub goes down
	endLife context.CancelFunc
	fresh   map[net.Conn]struct{} // connections that have brought no request
}

func (r *restarts) begin(h *Hub) {
	r.hub = h
	r.life, r.endLife = context.WithCancel(context.Background())
	r.fresh = make(map[net.Conn]struct{})
}

// comeBack ends the Downtime in force. The caller holds the lock.
func (r *restarts) comeBack() {
	d := r.now
	r.now = nil
	r.hub.server.SetKeepAlivesEnabled(true)
	r.hub.world.ComeBack()
	d.finish()
}

// finish tells those who wait that it is over.
func (d *Downtime) finish() {
	if d.timer != nil {
		d.timer.Stop()
	}
	for _, earlier := range d.before {
		close(earlier.over)
	}
	close(d.over)
}

// close ends the Downtime in force. The Hub is not back.
func (r *restarts) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	if r.now != nil {
		r.now.finish()
	}
}

// turnsAway returns the Downtime in force, if it is of a kind that is chosen, and
// counts.
func (r *restarts) turnsAway(chosen func(OutageKind) bool) (d *Downtime) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.now == nil || !chosen(r.now.outage.Kind) {
		return nil
	}
	r.now.hits++
	return r.now
}

// enter returns the life of the Hub that serves a request, or the Downtime in
// force.
func (r *restarts) enter() (life context.Context, d *Downtime) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.now != nil {
		r.now.hits++
		return nil, r.now
	}
	return r.life, nil
}

// track follows a connection until it has brought a request.
func (r *restarts) track(conn net.Conn, state http.ConnState) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if state == http.StateNew {
		r.fresh[conn] = struct{}{}
	} else {
		delete(r.fresh, conn)
	}
}

// dial is how the clients of the Hub reach it.
func (h *Hub) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if h.restarts.turnsAway(func(k OutageKind) bool { return k == OutageRefused }) != nil {
		return nil, &net.OpError{
			Op: "dial", Net: network, Addr: h.network.listener.Addr(),
			Err: os.NewSyscallError("connect", syscall.ECONNREFUSED),
		}
	}
	return h.network.dial(ctx, network, address)
}

// door is the listener of the Hub's server, which lets nobody in while the Hub is
// down and no gateway answers.
type door struct {
	net.Listener
	restarts *restarts
}

func (d door) Accept() (net.Conn, error) {
	for {
		conn, err := d.Listener.Accept()
		if err != nil {
			return nil, err
		}
		down := d.restarts.turnsAway(func(k OutageKind) bool { return !k.gateway() })
		if down == nil {
			return conn, nil
		}
		if tcp, ok := conn.(*net.TCPConn); ok && down.outage.Kind == OutageRefused {
			_ = tcp.SetLinger(0) // closing resets it
		}
		_ = conn.Close()
	}
}

// answer answers a request in the place of a Hub that is down.
func (d *Downtime) answer(w http.ResponseWriter) {
	status := http.StatusServiceUnavailable
	switch d.outage.Kind {
	case OutageRefused, OutageClosed: // over a connection that was open before, or by a server of the test
		panic(http.ErrAbortHandler)
	case OutageBadGateway:
		status = http.StatusBadGateway
	case OutageRetryAfter:
		left := (time.Until(d.until) + time.Second - 1) / time.Second
		w.Header().Set("Retry-After", strconv.Itoa(int(max(left, 1))))
	case OutageUnavailable:
	}
	w.Header().Set("Content-Type", "text/html")
	w.WriteHeader(status)
	says := fmt.Sprint(status, " ", http.StatusText(status))
	_, _ = io.WriteString(w, "<html>\r\n<head><title>"+says+"</title></head>\r\n<body>\r\n<center><h1>"+says+
		"</h1></center>\r\n</body>\r\n</html>\r\n")
}

// connection is the key of the connection in the context of a request.
type connection struct{}

// whileUp calls do, and cuts the exchange as soon as the Hub goes down.
func (x *exchange) whileUp(do func()) {
	stop := context.AfterFunc(x.life, x.hangUp)
	defer func() {
		if !stop() {
			panic(http.ErrAbortHandler)
		}
	}()
	do()
}

// hangUp closes the connection of the exchange. If a server of the test serves
// it, the Hub can only make reading and writing fail.
func (x *exchange) hangUp() {
	if conn, ok := x.r.Context().Value(connection{}).(net.Conn); ok {
		_ = conn.Close()
		return
	}
	control, past := http.NewResponseController(x.w), time.Unix(1, 0)
	_ = control.SetReadDeadline(past)
	_ = control.SetWriteDeadline(past)
}

// survive ends the exchange if the Hub has gone down.
func (x *exchange) survive(err error) {
	if x.life.Err() != nil || errors.Is(err, world.ErrDown) {
		panic(http.ErrAbortHandler)
	}
}
