package codertest

import (
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// A Hub is a fake Coder Hub that keeps everything in memory. NewHub starts
// one, Close stops it; in between all methods may be called by several
// goroutines at once.
type Hub struct {
	apiKey    string
	keepAlive time.Duration
	queue     int
	pace      time.Duration
	replay    int // events at most
	network   network
	server    *http.Server
	client    *http.Client

	served  chan struct{}  // closed once the server accepts no more
	conns   sync.WaitGroup // open connections
	lives   sync.WaitGroup // live connections, sockets included
	done    chan struct{}  // closed by Close; ends delayed and stalled answers
	closing sync.Once

	log    requestLog
	faults faultList

	mu            sync.Mutex // guards everything below
	closed        bool       // no live connection any more
	open          map[*connection]struct{}
	refusals      []*refusal
	init          map[string]any
	onRequest     func(LeadRequest) ([]Action, bool)
	clients       []*http.Client
	sessions      collection[*session]
	workspaces    collection[*workspace]
	skills        collection[savedSkill]
	buckets       collection[*bucketRecord]
	agents        collection[*agentRecord]
	agentVersions collection[agentVersion]
	users         collection[userRecord]
	github        collection[githubAccount]
	repositories  int64 // GitHub repositories so far
}

// NewHub starts a Hub on a loopback port, or on the network an option names.
// It panics if no loopback port can be had. The caller must call Close when
// done with it.
func NewHub(opts ...Option) *Hub {
	c := config{keepAlive: defaultKeepAlive, queue: defaultQueue}
	for _, opt := range opts {
		opt(&c)
	}
	h := &Hub{
		apiKey:    c.apiKey,
		keepAlive: c.keepAlive,
		queue:     c.queue,
		pace:      c.pace,
		replay:    c.replay,
		served:    make(chan struct{}),
		done:      make(chan struct{}),
		open:      make(map[*connection]struct{}),

		sessions:      newCollection[*session]("codesess_%012d"),
		workspaces:    newCollection[*workspace]("ws_%06d"),
		skills:        newCollection[savedSkill]("sk_%06d"),
		buckets:       newCollection[*bucketRecord]("bkt_%06d"),
		agents:        newCollection[*agentRecord]("agent_%06d"),
		agentVersions: newCollection[agentVersion]("agentver_%06d"),
		users:         newCollection[userRecord]("user_%06d"),
		github:        newCollection[githubAccount]("%06d"),
	}
	if c.inMemory {
		h.network = listenInMemory()
	} else {
		h.network = listenLoopback()
	}
	h.client = h.newHTTPClient(&http.Transport{MaxIdleConnsPerHost: 64})
	h.server = &http.Server{Handler: h.Handler(), ConnState: h.countConn}
	go func() {
		defer close(h.served)
		_ = h.server.Serve(h.network.listener)
	}()
	return h
}

// URL returns the base URL of the Hub, as coder.WithURL and the variable
// AGENTUITY_CODER_URL want it. The Hub also answers discovery: its URL may be
// given in AGENTUITY_CATALYST_URL instead.
func (h *Hub) URL() string { return h.network.url }

// Handler returns the Hub as an http.Handler, for those who want to serve it
// themselves: over TLS or HTTP/2, under a path prefix, behind a proxy. It
// shares its memory with the Hub's own server, and works until Close.
func (h *Hub) Handler() http.Handler { return http.HandlerFunc(h.serve) }

// HTTPClient returns an HTTP client that reaches the Hub on whichever network
// it is. Every call returns the same client. It uses no proxy, and sends no
// credentials of its own.
func (h *Hub) HTTPClient() *http.Client { return h.client }

// Close stops the Hub: it ends answers that are delayed or stalled, cuts the
// connections that are left, streams of events and sockets included, closes the
// idle connections of the clients the Hub made, and returns when the goroutines
// that served them are gone. What a test has these call, for OnRequest or in a
// Script, it waits for, and must not be called there. Later requests fail to
// connect. Calling Close again is harmless.
func (h *Hub) Close() {
	h.closing.Do(func() {
		close(h.done)
		_ = h.server.Close()
		<-h.served
		// A connection accepted while the server closed was not known to it yet.
		_ = h.server.Close()
		h.cutAll()
	})
	h.conns.Wait()
	h.lives.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, client := range h.clients {
		client.CloseIdleConnections()
	}
}

// newHTTPClient makes a client whose transport dials the Hub, and remembers it
// for Close.
func (h *Hub) newHTTPClient(transport *http.Transport) *http.Client {
	transport.DialContext = h.network.dial
	client := &http.Client{Transport: transport}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.clients = append(h.clients, client)
	return client
}

func (h *Hub) countConn(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		h.conns.Add(1)
	case http.StateClosed, http.StateHijacked:
		h.conns.Done()
	}
}

// String names the Hub without giving anything of its memory away.
func (h *Hub) String() string { return fmt.Sprintf("codertest.Hub(%s)", h.URL()) }
