// Package memnet is a network in memory: a listener, and the function that dials it. Nothing leaves
// the process, and inside a testing/synctest bubble fake time goes on while a connection waits,
// which it does not for sockets.
package memnet

import (
	"context"
	"net"
	"os"
	"sync"
	"syscall"
)

// Listener is a net.Listener that accepts what Dial dials.
type Listener struct {
	accepting chan net.Conn
	closed    chan struct{}
	close     sync.Once
}

// Listen returns an open Listener.
func Listen() *Listener {
	return &Listener{accepting: make(chan net.Conn), closed: make(chan struct{})}
}

// Accept waits for the next call of Dial and returns the server's end of a net.Pipe.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.accepting:
		return conn, nil
	case <-l.closed:
		return nil, failed("accept", net.ErrClosed)
	}
}

// Close ends Accept. Connections that were accepted stay open.
func (l *Listener) Close() error {
	l.close.Do(func() { close(l.closed) })
	return nil
}

// Addr returns an address that names no host.
func (l *Listener) Addr() net.Addr { return addr{} }

// Dial waits until the connection is accepted and returns the client's end. Network and address are
// ignored: there is one place to dial. After Close it fails as a dial to a port does that nobody
// listens on. Its signature is that of http.Transport.DialContext.
func (l *Listener) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.accepting <- server:
		return client, nil
	case <-l.closed:
		return nil, failed("dial", os.NewSyscallError("connect", syscall.ECONNREFUSED))
	case <-ctx.Done():
		return nil, failed("dial", ctx.Err())
	}
}

func failed(op string, err error) error {
	return &net.OpError{Op: op, Net: addr{}.Network(), Addr: addr{}, Err: err}
}

type addr struct{}

func (addr) Network() string { return "pipe" }
func (addr) String() string  { return "memory" }
