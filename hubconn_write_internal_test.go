package coder

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/internal/socket"
)

// pipeHub is the Hub's side of connections that are made without a network: one end of a pipe each.
type pipeHub struct {
	play func(*websocket.Conn)
	near func(net.Conn) io.ReadWriteCloser // the client's end; nil: as it is
}

// pipeEnd is what websocket.Accept takes a connection from.
type pipeEnd struct {
	*httptest.ResponseRecorder
	conn net.Conn
}

func (e pipeEnd) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return e.conn, bufio.NewReadWriter(bufio.NewReader(e.conn), bufio.NewWriter(e.conn)), nil
}

func (h pipeHub) RoundTrip(r *http.Request) (*http.Response, error) {
	near, far := net.Pipe()
	end := pipeEnd{httptest.NewRecorder(), far}
	conn, err := websocket.Accept(end, r, nil)
	if err != nil {
		return nil, err
	}
	go func() {
		defer func() { _ = conn.CloseNow() }()
		h.play(conn)
	}()
	answer := end.Result()
	answer.Body = near
	if h.near != nil {
		answer.Body = h.near(near)
	}
	return answer, nil
}

// drain reads until the connection ends.
func drain(conn *websocket.Conn) {
	for {
		if _, _, err := conn.Read(context.Background()); err != nil {
			return
		}
	}
}

// openLink opens a link that nobody reads or writes yet.
func openLink(t *testing.T, hub pipeHub) *socket.Link {
	t.Helper()
	l, err := socket.Dial(t.Context(), "ws://hub.invalid", socket.Options{Client: &http.Client{Transport: hub}, ReadLimit: -1})
	require.Nil(t, err)
	t.Cleanup(func() {
		l.EndWriting()
		_ = l.EndReading(nil)
	})
	return l
}

// onWrite calls a function before each write to the socket.
type onWrite struct {
	net.Conn
	before func()
}

func (w onWrite) Write(p []byte) (int, error) {
	w.before()
	return w.Conn.Write(p)
}

// connectTo connects to a Hub that admits and answers nothing.
func connectTo(t *testing.T, hub pipeHub) *HubConn {
	t.Helper()
	hub.play = func(conn *websocket.Conn) {
		_ = conn.Write(context.Background(), websocket.MessageText, []byte(`{"type":"init","role":"lead","sessionId":"codesess_1"}`))
		drain(conn)
	}
	c, err := NewClient(WithURL("http://hub.invalid"), WithAPIKey("key_7f3a90d1"), WithHTTPClient(&http.Client{Transport: hub}))
	require.NoError(t, err)
	conn, err := c.Connect(t.Context(), "codesess_1", &HubConnectOptions{Role: RoleLead})
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func (h *HubConn) waitingCalls() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.calls)
}

// TestHubConn_SendAndWait_CallsAreForgotten: when their callers return, whenever that is.
func TestHubConn_SendAndWait_CallsAreForgotten(t *testing.T) {
	t.Run("while they wait for the answer", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			conn := connectTo(t, pipeHub{})
			for range 3 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				_, err := conn.SendAndWait(ctx, new(EventRequest))
				cancel()
				require.ErrorIs(t, err, context.DeadlineExceeded)
			}
			assert.Zero(t, conn.waitingCalls())
		})
	})
	t.Run("while they are written", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			slow := false
			conn := connectTo(t, pipeHub{near: func(near net.Conn) io.ReadWriteCloser {
				return onWrite{near, func() {
					if slow {
						time.Sleep(3 * time.Second)
					}
				}}
			}})
			synctest.Wait()
			slow = true
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := conn.SendAndWait(ctx, new(EventRequest))
			require.ErrorIs(t, err, ErrOutcomeUnknown)
			time.Sleep(5 * time.Second)
			assert.Zero(t, conn.waitingCalls())
		})
	})
	// The caller returns and forgets after the writer has taken its frame, but before the writer
	// says that it is awaited. Nothing can be put between these, so the writer's part is played alone.
	t.Run("before they are awaited", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			out := &outgoing{
				frame: []byte(`{}`), call: &hubCall{callID: callID{false, "1"}, answer: make(chan callAnswer, 1)}, done: make(chan sendResult, 1),
			}
			l := openLink(t, pipeHub{play: drain, near: func(near net.Conn) io.ReadWriteCloser {
				return onWrite{near, func() { assert.False(t, out.abandon(), "the writer has taken it") }}
			}})
			h := &HubConn{client: &Client{}, calls: make(map[callID]*hubCall)}
			assert.Nil(t, h.deliver(l, out))
			assert.Zero(t, h.waitingCalls())
			assert.Equal(t, sendResult{maybeSent: true}, <-out.done)
		})
	})
	t.Run("when they have given up before", func(t *testing.T) {
		out := &outgoing{call: &hubCall{callID: callID{false, "1"}}}
		assert.True(t, out.abandon())
		h := &HubConn{calls: make(map[callID]*hubCall)}
		assert.Nil(t, h.deliver(nil, out), "and nothing is written")
		assert.Zero(t, h.waitingCalls())
	})
}
