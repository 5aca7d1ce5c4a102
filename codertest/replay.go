package codertest

import (
	"cmp"
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/internal/cassette"
	"github.com/agentuity/coder-go/internal/transport"
)

// A ReplayHub answers as a Hub did in a recording of [coder.NewRecorder]. It knows
// nothing else: it is for bug reports, and for tests against recordings of a real Hub.
// Replay starts one, and Close stops it. Its methods may be called by several
// goroutines at once.
type ReplayHub struct {
	config  config
	tape    *tape
	network network
	server  *http.Server
	client  *http.Client

	served  chan struct{}
	conns   sync.WaitGroup // open connections of the server, and handlers of sockets
	done    chan struct{}  // closed by Close
	closing sync.Once

	mu      sync.Mutex
	clients []*http.Client // guarded by mu
}

// Replay reads a recording and starts a Hub that plays it, on a loopback port or where
// [WithInMemoryNetwork] or [WithListener] says. [WithMiddleware] and [WithReplayPace]
// count too, all other options are ignored. The caller must call Close when done with it.
//
// # What is found
//
// A request gets the response that was recorded for the same method, the same path below
// /api, the same query in any order, and the same body; JSON is compared by its meaning.
// What was taken out of the recording is taken out of the request before they are
// compared. Keys, organizations, headers and the path before /api do not count. Equal
// requests get the responses in the order in which these were recorded; after the last
// one, they get the last one again. Each attempt that a client makes is a request.
//
// A program may read more often than in the recording, or less. A change is a request other than GET,
// or a message over a WebSocket. As long as there is a response from before a change, a GET does not
// get a response from after it before the program has made the change; once the program has made the
// change, a GET does not get a response from before it.
//
// A stream of events or a WebSocket is played once for each time it was opened. Over a WebSocket the program has to send
// what was sent in the recording: the ReplayHub waits for a message before it sends what the Hub sent after it. The id and
// the timestamp of a message do not count, since a client makes them up: in what the ReplayHub sends, over any connection,
// the new id replaces the old one. The message with the key does not count. Pings are answered if they were answered in
// the recording. If texts were taken out of a recording, the program's own texts are put back into what it gets. Two texts
// of one shape, "ab cd" and "xy zw", are the same then: requests and messages that differ in nothing else get each other's
// responses in the order in which these were recorded, and the text that is put back is the one that the program sent
// last.
//
// What went wrong goes wrong again: responses that were cut, connections that were reset. If a
// connection could not be made, clients of [ReplayHub.NewClient] and [ReplayHub.HTTPClient]
// fail to dial, and other clients are reset. If the program did not wait for the end, or the
// recording ended before it, the ReplayHub waits until the client disconnects.
//
// # What is not found
//
// A request that is not in the recording gets status 501, with a text that says what differs; a message over a WebSocket
// that is not in it closes the WebSocket with 4501. The same happens for a body, of a request or a response, that was
// longer than MaxBody, so that only a part of it was recorded. [ReplayHub.Missing] lists these, and [ReplayHub.Unasked]
// lists what the recording has and nobody has asked for.
//
// Errors: the error of the reader, or one that says which line is not part of a
// recording.
func Replay(recording io.Reader, opts ...Option) (*ReplayHub, error) {
	read, err := cassette.Read(recording)
	if err != nil {
		return nil, fmt.Errorf("codertest: Replay: %w", err)
	}
	h := &ReplayHub{tape: newTape(read), served: make(chan struct{}), done: make(chan struct{})}
	for _, opt := range opts {
		opt(&h.config)
	}
	if h.config.speed == nil {
		speed := 0.0
		if time.Now().UTC().Year() == 2000 { // the clock of a bubble
			speed = 1
		}
		h.config.speed = &speed
	}
	h.network = listen(&h.config)
	h.client = h.newHTTPClient(&http.Transport{MaxIdleConnsPerHost: 64})
	h.server = &http.Server{Handler: h.Handler(), ConnState: h.countConn}
	go func() {
		defer close(h.served)
		_ = h.server.Serve(h.network.listener)
	}()
	return h, nil
}

// URL returns the base URL of the ReplayHub, as coder.WithURL and the variable AGENTUITY_CODER_URL
// want it. If the recording has a response to discovery, the ReplayHub's response names this URL.
func (h *ReplayHub) URL() string { return h.network.url }

// String names the ReplayHub and shows nothing of its recording.
func (h *ReplayHub) String() string { return fmt.Sprintf("codertest.ReplayHub(%s)", h.URL()) }

// Handler returns the ReplayHub as an http.Handler, to be served by a server of the test.
func (h *ReplayHub) Handler() http.Handler { return h.config.wrap(http.HandlerFunc(h.serve)) }

// HTTPClient returns an HTTP client that reaches the ReplayHub on either network. Every
// call returns the same client. It uses no proxy and sends no credentials.
func (h *ReplayHub) HTTPClient() *http.Client { return h.client }

// replayKey is the key of clients of a ReplayHub. A client takes its key out of errors: it is in none of ours.
const replayKey = "a-made-up-key"

// NewClient returns a client of the ReplayHub, with a made-up key, as [Hub.NewClient] does. The options come after
// that, and win. With [coder.WithCredential] pass [coder.WithAPIKey]("") too.
func (h *ReplayHub) NewClient(opts ...coder.Option) (*coder.Client, error) {
	own := []coder.Option{
		coder.WithURL(h.URL()), coder.WithAPIKey(replayKey), coder.WithHTTPClient(h.newHTTPClient(coder.NewTransport())),
	}
	return coder.NewClient(slices.Concat(own, opts)...)
}

// Missing returns what was asked for but is not in the recording, in the order in which it was asked for, each
// with what differs: "POST /api/hub/session: it was recorded with another body (at /task)".
func (h *ReplayHub) Missing() []string { return h.tape.allMissing() }

// Unasked returns what the recording has and nobody has asked for so far: requests, and messages over WebSockets that
// were opened. Discovery is left out: clients of NewClient need none.
func (h *ReplayHub) Unasked() []string { return h.tape.unasked() }

// Close stops the ReplayHub, as [Hub.Close] stops a Hub.
func (h *ReplayHub) Close() {
	h.closing.Do(func() {
		close(h.done)
		_ = h.server.Close()
		<-h.served
		_ = h.server.Close() // a connection accepted meanwhile was not known to it yet
		h.conns.Wait()
	})
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, client := range h.clients {
		client.CloseIdleConnections()
	}
}

func (h *ReplayHub) countConn(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		h.conns.Add(1)
	case http.StateClosed, http.StateHijacked:
		h.conns.Done()
	}
}

func (h *ReplayHub) newHTTPClient(base *http.Transport) *http.Client {
	base.DialContext = h.network.dial
	client := &http.Client{Transport: &replayTransport{hub: h, base: base}}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.clients = append(h.clients, client)
	return client
}

// replayTransport fails to connect where the recording says so: a server cannot.
type replayTransport struct {
	hub  *ReplayHub
	base *http.Transport
}

func (t *replayTransport) CloseIdleConnections() { t.base.CloseIdleConnections() }

func (t *replayTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	body, _ := transport.BodyOf(req.Context())
	if body == nil && req.Body != nil && req.GetBody != nil {
		if again, err := req.GetBody(); err == nil {
			body, _ = io.ReadAll(again)
			_ = again.Close()
		}
	}
	x := t.hub.tape.takeIf(newAsked(req, body, t.hub.tape), func(x *played) bool { return x.neverSent() != nil })
	if x == nil {
		return t.base.RoundTrip(req)
	}
	end := x.neverSent()
	if req.Body != nil {
		_ = req.Body.Close()
	}
	if trace := httptrace.ContextClientTrace(req.Context()); trace != nil && trace.GetConn != nil && end.How != cassette.Unsent {
		trace.GetConn(req.URL.Host)
	}
	if !t.hub.rest(req.Context(), end.Offset-x.Request.Offset) {
		return nil, cmp.Or(req.Context().Err(), net.ErrClosed)
	}
	return nil, connectError(end.How, req.URL.Hostname())
}

// connectError is an error of the kind that package net/http returns when it cannot send a request.
func connectError(how, host string) error {
	switch how {
	case cassette.UnknownHost:
		return &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}}
	case cassette.Untrusted:
		return x509.UnknownAuthorityError{}
	case cassette.Unsent:
		return &net.OpError{Op: "write", Net: "tcp", Err: os.NewSyscallError("write", syscall.EPIPE)}
	}
	return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
}

// rest waits as long as it took in the recording. It reports false if the request or the ReplayHub ended first.
func (h *ReplayHub) rest(ctx context.Context, milliseconds int64) bool {
	if *h.config.speed == 0 || milliseconds <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(time.Duration(float64(milliseconds) * float64(time.Millisecond) / *h.config.speed))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
	case <-h.done:
	}
	return false
}
