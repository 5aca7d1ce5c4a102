// Package faultproxy is a network that fails, for tests and for internal/soak. A Proxy stands between a client and
// a server, passes on what they send, and does harm to some exchanges, as a Plan says. An exchange is what a client
// sends and what the server answers: it begins when the client speaks first, or again after the server has. So the same
// proxy does for HTTP/1.1, for TLS that it does not look into and for WebSockets; in HTTP/2, whose frames it
// reads where it has a certificate, an exchange is a stream.
package faultproxy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"sync"
	"time"
)

// Config says what a Proxy stands before, and what it does.
type Config struct {
	// Dial connects to the server.
	Dial func(context.Context) (net.Conn, error)
	// Plan says what is done to which exchange. Nil: nothing.
	Plan Plan
	// Certificate is what the Proxy shows clients if it is to read HTTP/2 frames, and Server how it then trusts
	// the server. Nil: it passes on bytes as they come, encrypted or not.
	Certificate *tls.Certificate
	Server      *tls.Config
}

// Proxy is a network between a client and a server.
type Proxy struct {
	config   Config
	listener net.Listener
	ctx      context.Context
	stop     context.CancelFunc
	group    sync.WaitGroup

	mu          sync.Mutex
	plan        Plan
	connections int
	open        map[*pair]bool
	counts      map[Kind]int
}

// Serve stands behind listener, which it owns from now on, until Close. It takes connections that begin with a CONNECT
// for what follows, and requests in absolute form, as a proxy of an environment gets them: there is one server to go to.
func Serve(listener net.Listener, config Config) *Proxy {
	p := &Proxy{config: config, listener: listener, plan: config.Plan, open: make(map[*pair]bool), counts: make(map[Kind]int)}
	p.ctx, p.stop = context.WithCancel(context.Background())
	p.group.Go(p.accept)
	return p
}

// Follow replaces the plan, for exchanges that have not begun. Nil is a network without faults.
func (p *Proxy) Follow(plan Plan) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.plan = plan
}

// Counts tells how often each kind of fault has been done.
func (p *Proxy) Counts() map[Kind]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	counts := make(map[Kind]int, len(p.counts))
	for kind, n := range p.counts {
		counts[kind] = n
	}
	return counts
}

// Open tells how many connections of clients are open.
func (p *Proxy) Open() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.open)
}

// Cut resets the connections that were harmed: what was lost on them is not waited for any longer. The others stay, so that one
// that nobody closes is still there to be seen.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for both := range p.open {
		if both.harmed {
			both.reset()
		}
	}
}

// Close ends all connections, and returns when nothing of the Proxy is left.
func (p *Proxy) Close() {
	p.stop()
	_ = p.listener.Close()
	p.mu.Lock()
	for both := range p.open {
		both.close()
	}
	p.mu.Unlock()
	p.group.Wait()
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.group.Go(func() { p.serve(client) })
	}
}

// take notes a connection; nil if the Proxy is closed.
func (p *Proxy) take(client net.Conn) *pair {
	p.mu.Lock()
	defer p.mu.Unlock()
	both := &pair{proxy: p, client: client, number: p.connections}
	both.ctx, both.leave = context.WithCancel(p.ctx)
	p.connections++
	p.open[both] = true
	if p.ctx.Err() != nil {
		both.close()
	}
	return both
}

func (p *Proxy) serve(client net.Conn) {
	both := p.take(client)
	defer func() {
		both.close()
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.open, both)
	}()
	if _, fault := both.next(); fault.Kind == Refuse {
		both.count(Refuse)
		both.reset()
		return
	}
	reader, err := tunnelled(client)
	if err != nil {
		return
	}
	server, err := p.config.Dial(both.ctx)
	if err != nil {
		both.reset()
		return
	}
	if !both.with(server) {
		return
	}
	if p.config.Certificate != nil {
		both.frames(reader)
		return
	}
	both.bytes(reader, client, server)
}

// tunnelled answers a CONNECT, if the client begins with one.
func tunnelled(client net.Conn) (*bufio.Reader, error) {
	reader := bufio.NewReaderSize(client, pieceSize)
	const connect = "CONNECT "
	if begin, err := reader.Peek(len(connect)); err != nil || string(begin) != connect {
		return reader, err
	}
	for {
		line, err := reader.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		if len(bytes.TrimSpace(line)) == 0 {
			_, err = io.WriteString(client, "HTTP/1.1 200 OK\r\n\r\n")
			return reader, err
		}
	}
}

// pieceSize is how much is passed on at a time.
const pieceSize = 16 << 10

// pair is a connection of a client, and the one to the server that belongs to it.
type pair struct {
	proxy  *Proxy
	number int
	ctx    context.Context // ends with the connections
	leave  context.CancelFunc
	client net.Conn
	harmed bool // under the Proxy's mutex

	mu        sync.Mutex
	server    net.Conn
	exchanges int
}

// with adds the server's end, unless the pair is closed.
func (b *pair) with(server net.Conn) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ctx.Err() != nil {
		_ = server.Close()
		return false
	}
	b.server = server
	return true
}

// close ends both connections in good order: what was written arrives.
func (b *pair) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.leave()
	_ = b.client.Close()
	if b.server != nil {
		_ = b.server.Close()
	}
}

// reset ends both with what TCP has for a broken connection.
func (b *pair) reset() {
	b.mu.Lock()
	for _, conn := range []net.Conn{b.client, b.server} {
		if secured, ok := conn.(*tls.Conn); ok {
			conn = secured.NetConn()
		}
		if begun, ok := conn.(*peeked); ok {
			conn = begun.Conn
		}
		if socket, ok := conn.(*net.TCPConn); ok {
			_ = socket.SetLinger(0)
		}
		if conn != nil {
			_ = conn.Close() // before a close_notify of TLS is sent, which would be an end in good order
		}
	}
	b.mu.Unlock()
	b.close()
}

// next is what the plan has for the next exchange. The first one, number 0, is the connection itself, which can only be
// refused.
func (b *pair) next() (exchange int, fault Fault) {
	b.mu.Lock()
	exchange = b.exchanges
	b.exchanges++
	b.mu.Unlock()
	b.proxy.mu.Lock()
	plan := b.proxy.plan
	b.proxy.mu.Unlock()
	if plan != nil {
		fault = plan(b.number, exchange)
	}
	return exchange, fault
}

func (b *pair) count(kind Kind) {
	b.proxy.mu.Lock()
	defer b.proxy.mu.Unlock()
	b.proxy.counts[kind]++
	b.harmed = true
}

// pause waits, for ever if d is 0, and reports whether the connections are still open.
func (b *pair) pause(d time.Duration) bool {
	var over <-chan time.Time
	if d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-over:
		return true
	case <-b.ctx.Done():
		return false
	}
}
