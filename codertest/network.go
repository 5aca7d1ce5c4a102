package codertest

import (
	"context"
	"net"
	"os"
	"sync"
	"syscall"
)

// memoryURL is what an in-memory Hub calls itself. The name cannot be
// resolved, so that a client that would dial for real fails loudly.
const memoryURL = "http://hub.invalid"

type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// network is where a Hub listens and how its clients get there.
type network struct {
	listener net.Listener
	url      string
	dial     dialFunc
}

func listenLoopback() network {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		if listener, err = net.Listen("tcp6", "[::1]:0"); err != nil {
			panic("codertest: cannot listen on a loopback port: " + err.Error())
		}
	}
	return network{
		listener: listener,
		url:      "http://" + listener.Addr().String(),
		dial:     new(net.Dialer).DialContext,
	}
}

func listenInMemory() network {
	listener := &memoryListener{conns: make(chan net.Conn), done: make(chan struct{})}
	return network{listener: listener, url: memoryURL, dial: listener.dial}
}

// memoryListener hands out one end of a net.Pipe for every dial of the other.
type memoryListener struct {
	conns chan net.Conn
	done  chan struct{}
	close sync.Once
}

func (l *memoryListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.done:
		return nil, l.failed("accept", net.ErrClosed)
	}
}

func (l *memoryListener) Close() error {
	l.close.Do(func() { close(l.done) })
	return nil
}

func (l *memoryListener) Addr() net.Addr { return memoryAddr{} }

// dial fails after Close as a dial to a port nobody listens on does.
func (l *memoryListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-l.done:
		return nil, l.failed("dial", os.NewSyscallError("connect", syscall.ECONNREFUSED))
	case <-ctx.Done():
		return nil, l.failed("dial", ctx.Err())
	}
}

func (l *memoryListener) failed(op string, err error) error {
	return &net.OpError{Op: op, Net: l.Addr().Network(), Addr: l.Addr(), Err: err}
}

type memoryAddr struct{}

func (memoryAddr) Network() string { return "pipe" }
func (memoryAddr) String() string  { return "in-memory hub" }
