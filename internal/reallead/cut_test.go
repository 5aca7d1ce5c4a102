//go:build lead

package reallead

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

// parts are what a message holds, and, after a "!", what it does not.
type parts []string

func (p parts) in(message []byte) bool {
	return !slices.ContainsFunc(p, func(part string) bool {
		absent, no := strings.CutPrefix(part, "!")
		return bytes.Contains(message, []byte(absent)) == no
	})
}

// moment is when a connection is cut: at the last of these messages, each after the one before. One from the Hub never
// arrives, and nothing after it; one to the Hub is the last thing that does.
type moment struct {
	toHub    bool
	messages []parts
}

// cutter cuts the WebSocket of a client once, at a moment.
type cutter struct {
	done chan struct{} // closed when it has cut

	mu   sync.Mutex
	at   moment
	over bool
}

func newCutter(at moment) *cutter { return &cutter{at: at, done: make(chan struct{})} }

// transport is what a client whose connection is to be cut goes through.
func (c *cutter) transport() *http.Transport {
	transport := coder.NewTransport()
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &cutConn{Conn: conn, cutter: c}, nil
	}
	return transport
}

// due takes a message, and reports whether it is the one at which the connection is cut.
func (c *cutter) due(toHub bool, message []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over || len(c.at.messages) == 0 || toHub != c.at.toHub || !c.at.messages[0].in(message) {
		return false
	}
	c.at.messages = c.at.messages[1:]
	c.over = len(c.at.messages) == 0
	return c.over
}

// cutConn is a TCP connection that ends at the moment.
type cutConn struct {
	net.Conn
	cutter        *cutter
	toHub, toHere frames
	once          sync.Once
	mu            sync.Mutex
	ended         bool // guarded by mu
}

func (c *cutConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.wasCut() {
		return 0, syscall.ECONNRESET
	}
	passed := 0
	for start, message := range c.toHere.messages(p[:n]) {
		if c.cutter.due(false, message) {
			c.cut()
			return max(passed, start), syscall.ECONNRESET
		}
	}
	return n, err
}

func (c *cutConn) Write(p []byte) (int, error) {
	cut := false
	for _, message := range c.toHub.messages(p) {
		cut = c.cutter.due(true, message) || cut
	}
	if cut {
		c.mu.Lock()
		c.ended = true // before it is sent: nothing may come back
		c.mu.Unlock()
	}
	n, err := c.Conn.Write(p)
	if cut {
		c.cut()
	}
	return n, err
}

func (c *cutConn) wasCut() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended
}

// cut ends the connection: the Hub reads what was sent, and then the end.
func (c *cutConn) cut() {
	c.once.Do(func() {
		c.mu.Lock()
		c.ended = true
		c.mu.Unlock()
		if tcp, ok := c.Conn.(*net.TCPConn); ok {
			_ = tcp.CloseWrite()
		}
		_ = c.SetReadDeadline(time.Unix(1, 0))
		close(c.cutter.done)
	})
}

// frames finds the messages in what a WebSocket sends in one direction, whole ones without compression, as the Hub and
// this client send them.
type frames struct {
	open bool   // the upgrade is over
	rest []byte // of a message that is not whole
}

// messages yields the messages that end in a piece, each with where it starts there, 0 if that was in a piece before.
func (f *frames) messages(piece []byte) func(yield func(int, []byte) bool) {
	return func(yield func(int, []byte) bool) {
		if !f.open {
			// A connection may have been used for other requests before.
			upgrade := bytes.HasPrefix(piece, []byte("HTTP/1.1 101 ")) || bytes.Contains(piece, []byte("Upgrade: websocket\r\n"))
			end := bytes.Index(piece, []byte("\r\n\r\n"))
			if !upgrade || end < 0 {
				return
			}
			f.open = true
			f.rest = make([]byte, 0, len(piece))
			f.rest = append(f.rest, piece[end+4:]...)
		} else {
			f.rest = append(f.rest, piece...)
		}
		for {
			size, message := frame(f.rest)
			if size == 0 {
				return
			}
			start := len(piece) - len(f.rest)
			f.rest = f.rest[size:]
			if message != nil && !yield(max(0, start), message) {
				return
			}
		}
	}
}

// frame returns the size of the frame at the beginning, 0 if it is not whole, and the text in it, nil if it has none.
func frame(b []byte) (size int, text []byte) {
	if len(b) < 2 {
		return 0, nil
	}
	masked, length, at := b[1]&0x80 != 0, int(b[1]&0x7f), 2
	switch {
	case length == 126 && len(b) >= 4:
		length, at = int(binary.BigEndian.Uint16(b[2:])), 4
	case length == 127 && len(b) >= 10:
		length, at = int(binary.BigEndian.Uint64(b[2:])), 10
	case length >= 126:
		return 0, nil
	}
	var mask []byte
	if masked {
		if len(b) < at+4 {
			return 0, nil
		}
		mask, at = b[at:at+4], at+4
	}
	if len(b) < at+length {
		return 0, nil
	}
	if b[0]&0x0f != 1 {
		return at + length, nil
	}
	text = slices.Clone(b[at : at+length])
	for i := range mask {
		for j := i; j < len(text); j += 4 {
			text[j] ^= mask[i]
		}
	}
	return at + length, text
}

// relay is the only way to a Hub that can be gone.
type relay struct {
	t       *testing.T
	address string // of the relay
	hub     string

	mu       sync.Mutex
	listener net.Listener
	conns    map[net.Conn]bool
	workers  sync.WaitGroup
}

// newRelay begins to pass on connections to a Hub with this host and port.
func newRelay(t *testing.T, hub string) *relay {
	t.Helper()
	r := &relay{t: t, hub: hub, address: "127.0.0.1:0", conns: make(map[net.Conn]bool)}
	r.back()
	t.Cleanup(func() {
		r.gone()
		r.workers.Wait()
	})
	return r
}

// back lets connections come, as a Hub does that has started.
func (r *relay) back() {
	r.t.Helper()
	listener, err := new(net.ListenConfig).Listen(r.t.Context(), "tcp", r.address)
	require.NoError(r.t, err)
	r.mu.Lock()
	r.listener, r.address = listener, listener.Addr().String()
	r.mu.Unlock()
	r.workers.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			r.workers.Go(func() { r.pass(conn) })
		}
	})
}

// pass passes on a connection until one side ends it.
func (r *relay) pass(near net.Conn) {
	far, err := net.Dial("tcp", r.hub)
	if err != nil || !r.keep(near, far) {
		reset(near)
		return
	}
	defer r.drop(near, far)
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
		both.Go(func() {
			_, _ = way[0].(*net.TCPConn).WriteTo(way[1])
			reset(near)
			reset(far)
		})
	}
	both.Wait()
}

func (r *relay) keep(conns ...net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, conn := range conns {
		if r.listener == nil {
			reset(conn)
			continue
		}
		r.conns[conn] = true
	}
	return r.listener != nil
}

func (r *relay) drop(conns ...net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, conn := range conns {
		delete(r.conns, conn)
	}
}

// gone resets all connections, and refuses others.
func (r *relay) gone() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.listener != nil {
		_ = r.listener.Close()
		r.listener = nil
	}
	for conn := range r.conns {
		reset(conn)
	}
}

// reset ends a connection as a process does that is killed.
func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
