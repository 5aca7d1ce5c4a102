package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"runtime/pprof"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
	"github.com/agentuity/coder-go/internal/faultproxy"
)

const apiKey = "key_of_the_soak"

// longestWait is what a fault of the network takes at most. Those that last for ever are in the table of deadlines.
const longestWait = 1500 * time.Millisecond

// wayKinds are the ways to the Hub, and what can be done to each.
var wayKinds = []struct {
	name  string
	kinds []faultproxy.Kind
}{
	{"plain", overTCP},         // HTTP/1.1
	{"tls", overTCP},           // TLS, which the proxy does not look into
	{"h2", faultproxy.Kinds()}, // HTTP/2, whose frames it reads
	{"transport", overTCP},     // a transport of the program, without limits of its own
	{"environment", overTCP},   // through HTTP_PROXY
}

var overTCP = slices.DeleteFunc(faultproxy.Kinds(), func(kind faultproxy.Kind) bool { return kind >= faultproxy.GoAway })

func wayNames() []string {
	names := make([]string, len(wayKinds))
	for i, kind := range wayKinds {
		names[i] = kind.name
	}
	return names
}

// way is a client, and the network between it and the Hub.
type way struct {
	name      string
	client    *coder.Client
	transport *http.Transport // nil: the client's own
	proxy     *faultproxy.Proxy
}

// stage is a Hub, and the ways to it.
type stage struct {
	book    *book
	config  config
	hub     *codertest.Hub
	direct  *coder.Client // without a network between
	secured *http.Server
	served  sync.WaitGroup
	ways    []*way
	ticking []string     // sessions in which something happens all the time
	ticked  atomic.Int64 // the newest tick of each
	settled settled
}

func newStage(c config, b *book) (*stage, error) {
	s := &stage{book: b, config: c}
	s.hub = codertest.NewHub(codertest.WithAPIKey(apiKey), codertest.WithLogLimit(100), codertest.WithMiddleware(s.sabotage))
	s.hub.OnSession(s.created)
	var err error
	if s.direct, err = s.hub.NewClient(); err != nil {
		return nil, err
	}
	certified := httptest.NewUnstartedServer(nil)
	certified.StartTLS() // for its certificate
	certified.Close()
	certificate := certified.TLS.Certificates[0]
	trusted := x509.NewCertPool()
	trusted.AddCert(certified.Certificate())

	secured, err := listen()
	if err != nil {
		return nil, err
	}
	s.secured = &http.Server{
		Handler: s.hub.Handler(), ErrorLog: log.New(discard{}, "", 0), ReadHeaderTimeout: time.Minute,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12},
	}
	s.served.Go(func() { _ = s.secured.ServeTLS(secured, "", "") })
	for i, kind := range wayKinds {
		if !slices.Contains(c.ways, kind.name) {
			continue
		}
		listener, err := listen()
		if err != nil {
			return nil, err
		}
		w := &way{name: kind.name}
		address, url := s.hub.URL()[len("http://"):], "http://"+listener.Addr().String()
		proxy := faultproxy.Config{Plan: faultproxy.Seeded(c.seed*100+uint64(i), c.share, longestWait, kind.kinds...)}
		switch kind.name {
		case "tls", "h2":
			address, url = secured.Addr().String(), "https://"+listener.Addr().String()
			w.transport = coder.NewTransport()
			w.transport.TLSClientConfig = &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}
			w.transport.ForceAttemptHTTP2 = false
			if kind.name == "h2" {
				w.transport.TLSClientConfig.NextProtos = nil
				w.transport.ForceAttemptHTTP2 = true
				proxy.Certificate, proxy.Server = &certificate, &tls.Config{RootCAs: trusted, ServerName: "example.com", MinVersion: tls.VersionTLS12}
			}
		case "transport":
			w.transport = new(http.Transport)
		case "environment": // which is not asked for addresses of this machine
			for name, value := range map[string]string{"HTTP_PROXY": url, "NO_PROXY": "", "no_proxy": ""} {
				if err := os.Setenv(name, value); err != nil {
					return nil, err
				}
			}
			url = "http://hub.test"
		}
		proxy.Dial = func(ctx context.Context) (net.Conn, error) { return new(net.Dialer).DialContext(ctx, "tcp", address) }
		w.proxy = faultproxy.Serve(listener, proxy)
		options := []coder.Option{coder.WithURL(url), coder.WithAPIKey(apiKey), coder.WithObserver(coder.Observer{
			Attempt: func(ctx context.Context, _ coder.AttemptInfo) {
				if n, wanted := ctx.Value(attemptsOf{}).(*atomic.Int32); wanted {
					n.Add(1)
				}
			},
		})}
		if s.config.breaks == breakImpatient {
			options = append(options, coder.WithRetryPolicy(coder.RetryPolicy{MaxAttempts: 1}))
		}
		if w.transport != nil {
			options = append(options, coder.WithHTTPClient(&http.Client{Transport: w.transport}))
		}
		if w.client, err = coder.NewClient(options...); err != nil {
			return nil, err
		}
		s.ways = append(s.ways, w)
	}
	s.settle()
	return s, nil
}

func listen() (net.Listener, error) {
	return new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
}

// discard takes what the server says of connections that fail.
type discard struct{}

func (discard) Write(text []byte) (int, error) { return len(text), nil }

// calm ends all faults, and the connections on which something may have been lost without an end: a damaged record of TLS can
// make its reader wait for more than was sent.
func (s *stage) calm() {
	for _, w := range s.ways {
		w.proxy.Follow(nil)
		w.proxy.Cut()
	}
}

// connections are all that are open: between clients and proxies, and what the Hub counts as live.
func (s *stage) connections() int {
	sum := s.hub.Streams()
	for _, w := range s.ways {
		sum += w.proxy.Open()
	}
	return sum
}

// leave closes what clients keep open for the next call.
func (s *stage) leave() {
	for _, w := range s.ways {
		w.client.CloseIdleConnections()
		if w.transport != nil {
			w.transport.CloseIdleConnections()
		}
	}
}

func (s *stage) close() {
	for _, w := range s.ways {
		for kind, n := range w.proxy.Counts() {
			s.book.faults[kind] += n
		}
		w.proxy.Close()
	}
	_ = s.secured.Close()
	s.hub.Close()
	s.served.Wait()
	s.hub, s.direct, s.secured = nil, nil, nil
}

// soak plays, and returns what was seen.
func soak(ctx context.Context, c config) (*book, error) {
	b := newBook()
	b.before = look(0)
	s, err := newStage(c, b)
	if err != nil {
		return nil, err
	}
	weather, clear := context.WithCancel(ctx)
	var around sync.WaitGroup
	around.Go(func() { s.tick(weather) })
	if !c.calm {
		around.Go(func() { s.weather(weather) })
	}
	until, stop := context.WithTimeout(ctx, c.duration)
	if c.rounds > 0 {
		until, stop = context.WithCancel(ctx)
	}
	var (
		working sync.WaitGroup
		workers []*worker
	)
	for i, way := range s.ways {
		for j := range c.workers {
			w := newWorker(s, way, i*c.workers+j)
			workers = append(workers, w)
			working.Go(func() { w.work(until) })
		}
	}
	go func() { // what has begun is played to its end, without faults
		<-until.Done()
		clear()
		s.calm()
	}()
	working.Wait()
	stop()
	clear()
	around.Wait()
	for _, w := range workers {
		working.Go(func() { w.catchUp(context.WithoutCancel(ctx)) })
	}
	working.Wait()
	b.lasted = time.Since(b.began)
	b.settle()
	s.audit()
	clients := make([]*coder.Client, 0, len(s.ways))
	for _, w := range s.ways {
		clients = append(clients, w.client)
	}
	s.vanish(clients)
	return b, nil
}

// audit reports methods that were never called or never answered, and ways on which nothing was harmed. Not all are in a soak of
// few scenarios.
func (s *stage) audit() {
	if len(s.config.only) > 0 || s.config.rounds > 0 {
		return
	}
	b := s.book
	for _, method := range methods() {
		b.mu.Lock()
		calls, answered := b.calls[method], b.succeeded[method]
		b.mu.Unlock()
		if answered == 0 {
			b.report(untested, "%s, in %d calls", method, calls)
		}
	}
	for _, w := range s.ways {
		if s.config.share > 0 && len(w.proxy.Counts()) == 0 {
			b.report(untested, "a network that fails, on the way %s", w.name)
		}
	}
}

// methods are all that are to be called. Those of a HubConn have its name before theirs.
func methods() []string {
	var names []string
	for _, kind := range []struct {
		t      reflect.Type
		prefix string
		silent []string // need no network
	}{
		{reflect.TypeFor[*coder.Client](), "", []string{"CloseIdleConnections", "Format", "LogValue"}},
		{reflect.TypeFor[*coder.HubConn](), "HubConn.", []string{"Format", "LogValue", "Init", "SessionID", "State", "DiscardMessages"}},
	} {
		for i := range kind.t.NumMethod() {
			if name := kind.t.Method(i).Name; !slices.Contains(kind.silent, name) {
				names = append(names, kind.prefix+name)
			}
		}
	}
	return names
}

// remnant is how much heap may be left over: pools, and what net/http and TLS keep.
const remnant = 4 << 20

// vanish waits until everything that was open is closed, takes the Hub away, and reports what is left.
func (s *stage) vanish(clients []*coder.Client) {
	open := func() int { s.leave(); return s.connections() }
	b := s.book
	wait(func() bool { return open() == 0 })
	if b.after.connections = open(); b.after.connections > 0 {
		for _, w := range s.ways {
			b.report(leaked, "%d connections over %s", w.proxy.Open(), w.name)
		}
		b.report(leaked, "%d live connections of the Hub\n%s", s.hub.Streams(), stacks())
	}
	s.close()
	s.ways, s.ticking = nil, nil
	var after machine
	wait(func() bool { // timers of net/http hold what they belong to for some seconds
		after = look(b.after.connections)
		return after.goroutines <= b.before.goroutines && after.heap <= b.before.heap+remnant
	})
	b.after = after
	if err := s.profile(); err != nil {
		b.report(leaked, "the profile of the heap: %v", err)
	}
	switch {
	case after.goroutines > b.before.goroutines:
		b.report(leaked, "%d goroutines more than before\n%s", after.goroutines-b.before.goroutines, stacks())
	case after.heap > b.before.heap+remnant:
		b.report(leaked, "%d bytes of heap", after.heap-b.before.heap)
	}
	for _, client := range clients { // which may hold nothing of what they did
		client.CloseIdleConnections()
	}
}

// profile writes what is left of the heap, if that is wanted.
func (s *stage) profile() error {
	if s.config.heap == "" {
		return nil
	}
	file, err := os.Create(s.config.heap)
	if err != nil {
		return err
	}
	return errors.Join(pprof.WriteHeapProfile(file), file.Close())
}

// giveUp is how long what has been left may take to be gone.
var giveUp = 30 * time.Second

// wait waits for what comes soon.
func wait(done func() bool) {
	for until := time.Now().Add(giveUp); !done() && time.Now().Before(until); {
		time.Sleep(20 * time.Millisecond)
	}
}
