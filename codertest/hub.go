package codertest

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest/internal/world"
	"github.com/agentuity/coder-go/internal/memnet"
)

// A Hub is a fake Coder Hub that keeps everything in memory. NewHub starts one,
// and Close stops it. Its methods may be called by several goroutines at once.
type Hub struct {
	config  config
	world   *world.World
	routes  []route
	network network
	server  *http.Server
	client  *http.Client

	served  chan struct{}  // closed once the server accepts no more
	conns   sync.WaitGroup // open connections of the server
	done    chan struct{}  // closed by Close; ends delayed and stalled answers
	closing sync.Once

	log      requestLog
	faults   faultList
	restarts restarts

	mu      sync.Mutex
	clients []*http.Client // guarded by mu
	apiKey  string         // guarded by mu; empty: anybody may use the Hub
}

// NewHub starts a Hub on a loopback port, or where an option says. It
// panics if it cannot listen on a loopback port. The caller must call Close when
// done with it.
func NewHub(opts ...Option) *Hub {
	h := &Hub{
		config: config{keepAlive: defaultKeepAlive, queue: defaultQueue, version: world.AgentVersionOld},
		served: make(chan struct{}),
		done:   make(chan struct{}),
	}
	for _, opt := range opts {
		opt(&h.config)
	}
	h.apiKey = h.config.apiKey
	h.world = world.New(world.Config{
		Queue: h.config.queue, Pace: h.config.pace, EventReplay: h.config.replay,
		NoAgent: h.config.noAgent, AgentVersion: h.config.version,
		AgentExtension: h.config.dialect == DialectExtension, AgentErrors: worldErrors(h.config.agentErrors),
		FrameLimit: h.config.logLimit,
	})
	h.log.most = h.config.logLimit
	h.routes = h.allRoutes()
	h.network = listen(&h.config)
	h.restarts.begin(h)
	h.client = h.newHTTPClient(&http.Transport{MaxIdleConnsPerHost: 64})
	h.server = &http.Server{
		Handler: h.Handler(), ConnState: h.countConn,
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			return context.WithValue(ctx, connection{}, conn)
		},
	}
	go func() {
		defer close(h.served)
		_ = h.server.Serve(door{h.network.listener, &h.restarts})
	}()
	return h
}

// URL returns the base URL of the Hub, as coder.WithURL and the variable
// AGENTUITY_CODER_URL want it. The Hub also answers discovery: its URL may be
// given in AGENTUITY_CATALYST_URL instead.
func (h *Hub) URL() string { return h.network.url }

// String names the Hub and shows nothing of its memory.
func (h *Hub) String() string { return fmt.Sprintf("codertest.Hub(%s)", h.URL()) }

// Handler returns the Hub as an http.Handler, to be served by a server of the
// test: over TLS or HTTP/2, under a path prefix, behind a proxy. It shares its
// memory with the Hub's own server, and works until Close.
func (h *Hub) Handler() http.Handler { return h.config.wrap(http.HandlerFunc(h.serve)) }

// wrap puts the middleware of the test around a handler.
func (c *config) wrap(handler http.Handler) http.Handler {
	for _, around := range slices.Backward(c.around) {
		handler = around(handler)
	}
	return handler
}

// HTTPClient returns an HTTP client that reaches the Hub on either network. Every
// call returns the same client. It uses no proxy and sends no credentials.
func (h *Hub) HTTPClient() *http.Client { return h.client }

// placeholderKey is the key of clients of a Hub that has none. Without any, a
// client would send a real key from the environment.
const placeholderKey = "codertest"

// NewClient returns a client of the Hub. It has the Hub's URL, its API key, and an HTTP
// client that reaches the Hub on either network, with the transport of coder.NewTransport. If
// the Hub has no key, the client has a made-up one, so that it sends none from the
// environment. The options come after that, and win. [coder.WithCredential] cannot be
// combined with a key: pass [coder.WithAPIKey]("") too. Close closes the client's idle
// connections.
func (h *Hub) NewClient(opts ...coder.Option) (*coder.Client, error) {
	own := []coder.Option{
		coder.WithURL(h.URL()),
		coder.WithAPIKey(cmp.Or(h.key(), placeholderKey)),
		coder.WithHTTPClient(h.newHTTPClient(coder.NewTransport())),
	}
	return coder.NewClient(slices.Concat(own, opts)...)
}

// SetAPIKey changes the key that the Hub checks, as when a key is rotated: see
// [WithAPIKey]. Requests that have been admitted, streams of events and sockets go
// on. An empty key lets everybody in.
func (h *Hub) SetAPIKey(key string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.apiKey = key
}

func (h *Hub) key() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.apiKey
}

// Close stops the Hub and returns when its goroutines have ended. It ends
// responses that are delayed or stalled, cuts all connections, streams of events
// and sockets included, and closes the idle connections of the clients that the
// Hub made. Later requests fail to connect. Calling Close again is harmless.
// Functions that the Hub calls, of OnRequest, OnSession and Script, must not
// call Close: it waits for them.
func (h *Hub) Close() {
	h.closing.Do(func() {
		close(h.done)
		h.restarts.close()
		_ = h.server.Close()
		<-h.served
		// A connection accepted while the server closed was not known to it yet.
		_ = h.server.Close()
		h.world.Close()
		h.conns.Wait()
	})
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, client := range h.clients {
		client.CloseIdleConnections()
	}
}

// newHTTPClient returns a client whose transport dials the Hub. Close closes its
// idle connections.
func (h *Hub) newHTTPClient(transport *http.Transport) *http.Client {
	transport.DialContext = h.dial
	client := &http.Client{Transport: transport}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.clients = append(h.clients, client)
	return client
}

func (h *Hub) countConn(conn net.Conn, state http.ConnState) {
	h.restarts.track(conn, state)
	switch state {
	case http.StateNew:
		h.conns.Add(1)
	case http.StateClosed, http.StateHijacked:
		h.conns.Done()
	}
}

// memoryURL is the URL of a Hub in memory. Its name cannot be resolved, so that a
// client with another transport fails.
const memoryURL = "http://hub.invalid"

// network is where a Hub listens, and how its clients get there.
type network struct {
	listener net.Listener
	url      string
	dial     func(ctx context.Context, network, address string) (net.Conn, error)
}

// listen listens where the options say.
func listen(c *config) network {
	switch {
	case c.inMemory:
		return listenInMemory()
	case c.listener != nil:
		return overSockets(c.listener)
	case time.Now().UTC().Year() == 2000: // the clock of a bubble
		panic("codertest: a Hub in a testing/synctest bubble needs WithInMemoryNetwork: while a socket is waited for, the time of the bubble stands still")
	default:
		return overSockets(listenLoopback())
	}
}

func listenLoopback() net.Listener {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		if listener, err = net.Listen("tcp6", "[::1]:0"); err != nil {
			panic("codertest: cannot listen on a loopback port: " + err.Error())
		}
	}
	return listener
}

// overSockets is the network of a listener that anybody can dial.
func overSockets(listener net.Listener) network {
	address := listener.Addr().String()
	if tcp, ok := listener.Addr().(*net.TCPAddr); ok && tcp.IP.IsUnspecified() { // nobody can dial that everywhere
		address = net.JoinHostPort("127.0.0.1", strconv.Itoa(tcp.Port))
	}
	return network{listener: listener, url: "http://" + address, dial: new(net.Dialer).DialContext}
}

func listenInMemory() network {
	listener := memnet.Listen()
	return network{listener: listener, url: memoryURL, dial: listener.Dial}
}
