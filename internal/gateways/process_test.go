//go:build gateways

package gateways

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/codertest"
)

// patience is how long anything may take that has to come.
const patience = 20 * time.Second

// process is a gateway that runs in the foreground, as a child.
type process struct {
	command *exec.Cmd
	output  lockedBuffer
	exited  chan struct{}
}

// launch starts a program and returns when it accepts connections at all of the addresses. The end of the
// test, however it ends, is the program's.
func launch(t testing.TB, addresses []string, program string, arguments ...string) *process {
	t.Helper()
	p := &process{command: exec.Command(program, arguments...), exited: make(chan struct{})}
	p.command.Stdout, p.command.Stderr = &p.output, &p.output
	// A group of its own has its workers too. Pdeathsig is for tests that are killed.
	p.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	require.NoError(t, p.command.Start())
	go func() {
		defer close(p.exited)
		_ = p.command.Wait()
		_ = syscall.Kill(-p.command.Process.Pid, syscall.SIGKILL) // workers that it has left behind
	}()
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			t.Logf("%s said:\n%s", program, p.output.String())
		}
	})
	for _, address := range addresses {
		require.NoError(t, p.accepts(address), "%s said:\n%s", program, &p.output)
	}
	return p
}

// accepts waits until a connection to the address is accepted.
func (p *process) accepts(address string) error {
	for deadline := time.Now().Add(patience); ; {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			return conn.Close()
		}
		if time.Now().After(deadline) {
			return err
		}
		select {
		case <-p.exited:
			return fmt.Errorf("it has ended: %s", p.command.ProcessState)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (p *process) signal(signal syscall.Signal) { _ = p.command.Process.Signal(signal) }

// stop ends the process, by force if need be.
func (p *process) stop() {
	p.signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(5 * time.Second):
		_ = syscall.Kill(-p.command.Process.Pid, syscall.SIGKILL) // its workers too, or Wait waits for their output
		<-p.exited
	}
}

type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// freeAddress returns an address of the loopback interface that nobody listens on.
func freeAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	return listener.Addr().String()
}

// backend is a Hub at an address of its own, which can go away and come back with all it remembers.
type backend struct {
	hub     *codertest.Hub
	address string
	server  *http.Server
	served  chan struct{} // closed when the server accepts no more

	mu       sync.Mutex
	hijacked []net.Conn // which a server does not close
}

func newBackend(t testing.TB, options ...codertest.Option) *backend {
	t.Helper()
	b := &backend{hub: codertest.NewHub(options...), address: freeAddress(t)}
	t.Cleanup(b.hub.Close)
	b.start(t)
	t.Cleanup(b.stop)
	return b
}

func (b *backend) start(t testing.TB) {
	t.Helper()
	listener, err := net.Listen("tcp", b.address)
	require.NoError(t, err)
	b.server = &http.Server{Handler: b.hub.Handler(), ConnState: func(conn net.Conn, state http.ConnState) {
		if state == http.StateHijacked {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.hijacked = append(b.hijacked, conn)
		}
	}}
	b.served = make(chan struct{})
	go func() {
		defer close(b.served)
		_ = b.server.Serve(listener)
	}()
}

// stop cuts every connection and accepts no more.
func (b *backend) stop() {
	_ = b.server.Close()
	<-b.served
	_ = b.server.Close() // a connection that was accepted meanwhile
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, conn := range b.hijacked {
		_ = conn.Close()
	}
	b.hijacked = nil
}
