package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// stdio is MCP over standard input and output, as the transport of the SDK has it, with two differences. At the end of the input
// the requests that were read are answered: the SDK drops their answers then, although who has closed its end may still read, as
// in a pipe of a shell. And lines may be empty, or end with blanks.
type stdio struct {
	in  io.ReadCloser
	out io.WriteCloser
}

func (t *stdio) Connect(ctx context.Context) (mcp.Connection, error) {
	lines := &trimmed{Scanner: bufio.NewScanner(t.in), Closer: t.in}
	lines.Buffer(nil, mcp.DefaultMaxLineLength)
	conn, err := (&mcp.IOTransport{Reader: lines, Writer: t.out}).Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &patient{
		Connection: conn, theirs: make(map[jsonrpc.ID]bool), ours: make(map[jsonrpc.ID]bool),
		changed: make(chan struct{}, 1), closed: make(chan struct{}),
	}, nil
}

// patient is a connection whose input ends when all is answered.
type patient struct {
	mcp.Connection
	end     error         // why there is no more input; only Read knows, which is called by one goroutine
	changed chan struct{} // a request was sent or answered; has room for one
	close   sync.Once
	closed  chan struct{}

	mu     sync.Mutex
	theirs map[jsonrpc.ID]bool // requests of the client that have no answer yet
	ours   map[jsonrpc.ID]bool // requests to the client
}

// listen is the request that has no answer before it is cancelled.
const listen = "subscriptions/listen"

// errNoMoreInput is the answer to a request to a client that cannot answer any more.
var errNoMoreInput = &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: "the client has closed its end, and cannot answer"}

func (c *patient) Read(ctx context.Context) (jsonrpc.Message, error) {
	if c.end == nil {
		message, err := c.Connection.Read(ctx)
		if err == nil {
			c.note(message, c.theirs, c.ours)
			return message, nil
		}
		if c.end = err; !errors.Is(err, io.EOF) {
			c.end = fmt.Errorf("the input is no MCP: %w", err)
		}
	}
	for {
		unanswered, done := c.left()
		if unanswered.IsValid() {
			return &jsonrpc.Response{ID: unanswered, Error: errNoMoreInput}, nil
		}
		if done {
			return nil, c.end
		}
		select {
		case <-c.changed:
		case <-c.closed:
			return nil, c.end
		}
	}
}

func (c *patient) Write(ctx context.Context, message jsonrpc.Message) error {
	if _, asks := message.(*jsonrpc.Request); asks { // the answer may be read before Write returns
		c.note(message, c.ours, c.theirs)
		return c.Connection.Write(ctx, message)
	}
	err := c.Connection.Write(ctx, message)
	c.note(message, c.ours, c.theirs)
	return err
}

// note takes a message from one side: a request waits for its answer then, and an answer ends that. A client may use an id twice
// at once; the SDK answers one of the two.
func (c *patient) note(message jsonrpc.Message, asked, answered map[jsonrpc.ID]bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch m := message.(type) {
	case *jsonrpc.Request:
		if m.IsCall() && m.Method != listen {
			asked[m.ID] = true
		}
	case *jsonrpc.Response:
		delete(answered, m.ID)
	}
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

// left returns a request to the client that has no answer, and forgets it, or else whether the client has all of its own.
func (c *patient) left() (unanswered jsonrpc.ID, done bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id := range c.ours {
		delete(c.ours, id)
		return id, false
	}
	return unanswered, len(c.theirs) == 0
}

func (c *patient) Close() error {
	c.close.Do(func() { close(c.closed) })
	return c.Connection.Close()
}

// trimmed reads lines without the blanks around them, and leaves out those that are empty: behind a message the SDK wants the end
// of its line.
type trimmed struct {
	*bufio.Scanner
	io.Closer
	line []byte // what is left of it
}

func (r *trimmed) Read(p []byte) (int, error) {
	for len(r.line) == 0 {
		if !r.Scan() {
			return 0, cmp.Or(r.Err(), io.EOF)
		}
		if line := bytes.TrimSpace(r.Bytes()); len(line) > 0 {
			r.line = append(bytes.Clone(line), '\n')
		}
	}
	n := copy(p, r.line)
	r.line = r.line[n:]
	return n, nil
}
