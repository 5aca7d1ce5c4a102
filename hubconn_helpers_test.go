package coder_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/internal/memnet"
)

// liveHub is a Hub whose side of each connection is played by the test, in memory.
type liveHub struct {
	t        testing.TB
	server   *http.Server
	network  *memnet.Listener
	play     func(*peer)
	rest     http.HandlerFunc // all other requests
	handlers sync.WaitGroup

	mu       sync.Mutex
	requests []*http.Request
	refuse   error // what dialing fails with
}

// newLiveHub calls play for each connection, once it is open. It is closed when play returns.
func newLiveHub(t testing.TB, play func(*peer)) *liveHub {
	t.Helper()
	h := &liveHub{t: t, network: memnet.Listen(), play: play}
	h.server = &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	var serving sync.WaitGroup
	serving.Go(func() { _ = h.server.Serve(h.network) })
	t.Cleanup(func() {
		_ = h.server.Close()
		serving.Wait()
		h.handlers.Wait()
	})
	return h
}

func (h *liveHub) dial(ctx context.Context, network, address string) (net.Conn, error) {
	h.mu.Lock()
	refuse := h.refuse
	h.mu.Unlock()
	if refuse != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: refuse}
	}
	return h.network.Dial(ctx, network, address)
}

func (h *liveHub) setRefuse(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.refuse = err
}

func (h *liveHub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	if r.URL.Path == prefix+"/api/ws" {
		h.requests = append(h.requests, r)
	}
	n := len(h.requests)
	h.mu.Unlock()
	if r.URL.Path != prefix+"/api/ws" || r.Header.Get("Upgrade") == "" {
		if h.rest == nil {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		h.rest(w, r)
		return
	}
	h.handlers.Add(1)
	defer h.handlers.Done()
	if h.rest != nil && r.Header.Get("X-Upgrade") == "no" {
		h.rest(w, r)
		return
	}
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer func() { _ = conn.CloseNow() }()
	conn.SetReadLimit(-1)
	h.play(&peer{t: h.t, Conn: conn, request: r, n: n})
}

// seen returns the requests for connections.
func (h *liveHub) seen() []*http.Request {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.requests)
}

func (h *liveHub) client(opts ...coder.Option) *coder.Client {
	h.t.Helper()
	c, err := coder.NewClient(append([]coder.Option{
		coder.WithURL("http://hub.invalid" + prefix), coder.WithAPIKey(testKey), coder.WithOrgID("org_2f9c1d"),
		coder.WithHTTPClient(&http.Client{Transport: &http.Transport{DialContext: h.dial}}),
	}, opts...)...)
	require.NoError(h.t, err)
	h.t.Cleanup(c.CloseIdleConnections)
	return c
}

// peer is the Hub's side of a connection, the n-th from 1.
type peer struct {
	*websocket.Conn
	t       testing.TB
	request *http.Request
	n       int
	pings   bool                 // hear returns them too
	closed  websocket.CloseError // set by listen
}

// say sends a frame.
func (p *peer) say(frame string) error {
	return p.Write(context.Background(), websocket.MessageText, []byte(frame))
}

// hear returns the next frame, but for pings.
func (p *peer) hear() (map[string]any, error) {
	for {
		_, data, err := p.Read(context.Background())
		if err != nil {
			return nil, err
		}
		var frame map[string]any
		if err := json.Unmarshal(data, &frame); err != nil {
			return nil, err
		}
		if frame["type"] != "ping" || p.pings {
			return frame, nil
		}
	}
}

// admit plays the handshake of a session.
func (p *peer) admit() bool {
	hello, err := p.hear()
	if err != nil {
		return false
	}
	assert.Equal(p.t, map[string]any{"authorization": testKey, "org_id": "org_2f9c1d"}, hello)
	role := p.request.URL.Query().Get("role")
	if p.say(fmt.Sprintf(`{"type":"init","role":%q,"sessionId":"codesess_1"}`, role)) != nil {
		return false
	}
	if role == "controller" {
		ready, err := p.hear()
		if err != nil {
			return false
		}
		assert.Equal(p.t, map[string]any{"type": "bootstrap_ready"}, ready)
	}
	return true
}

// listen reads until the connection is closed.
func (p *peer) listen() { p.listenTo(func(map[string]any) {}) }

// listenTo listens and hands on what it hears.
func (p *peer) listenTo(each func(frame map[string]any)) {
	for {
		frame, err := p.hear()
		if err != nil {
			_ = errors.As(err, &p.closed)
			return
		}
		each(frame)
	}
}

// listening listens meanwhile. The channel is closed when the connection is.
func (p *peer) listening() <-chan struct{} {
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		p.listen()
	}()
	return closed
}

// live runs a test against a liveHub in fake time. Goroutines that are left fail it.
func live(t *testing.T, play func(*peer), test func(t *testing.T, hub *liveHub)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		test(t, newLiveHub(t, play))
	})
}

// synctestHub is live for tests in which no connection comes about.
func synctestHub(t *testing.T, test func(t *testing.T, hub *liveHub)) {
	t.Helper()
	live(t, func(p *peer) { p.listen() }, test)
}

// connect opens a connection to a session; "" for one that it creates.
func connect(ctx context.Context, c *coder.Client, id string, o *coder.HubConnectOptions) (*coder.HubConn, error) {
	if id == "" {
		return c.ConnectNew(ctx, o)
	}
	return c.Connect(ctx, id, o)
}

// connected connects as a controller of codesess_1, unless change says otherwise.
func connected(t *testing.T, hub *liveHub, change ...func(*coder.HubConnectOptions)) *coder.HubConn {
	t.Helper()
	return connectedTo(t, hub, "codesess_1", change...)
}

// connectedTo connects to a session, as a controller unless change says otherwise; "" creates one.
func connectedTo(t *testing.T, hub *liveHub, id string, change ...func(*coder.HubConnectOptions)) *coder.HubConn {
	t.Helper()
	o := coder.HubConnectOptions{Role: coder.RoleController}
	for _, f := range change {
		f(&o)
	}
	conn, err := connect(t.Context(), hub.client(), id, &o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// next returns the next message.
func next(t *testing.T, conn *coder.HubConn) coder.ServerMessage {
	t.Helper()
	for m, err := range conn.Messages(t.Context()) {
		require.NoError(t, err)
		return m
	}
	require.Fail(t, "the messages have ended")
	return nil
}

// messages receives everything until the end, and returns what the end was.
func messages(t *testing.T, conn *coder.HubConn) (all []coder.ServerMessage, end error) {
	t.Helper()
	for m, err := range conn.Messages(t.Context()) {
		if err != nil {
			return all, err
		}
		all = append(all, m)
	}
	return all, nil
}

// connError returns an error as what it has to be.
func connError(t *testing.T, err error) *coder.HubConnError {
	t.Helper()
	var e *coder.HubConnError
	require.ErrorAs(t, err, &e)
	assert.NotContains(t, err.Error(), testKey)
	assert.NotContains(t, err.Error(), "hub.invalid", "no URL")
	assert.NotContains(t, err.Error(), "\n")
	return e
}

// echo answers every request, and tells what it was.
func echo(p *peer) {
	if !p.admit() {
		return
	}
	for {
		frame, err := p.hear()
		if err != nil {
			return
		}
		if id, ok := frame["id"].(string); ok {
			_ = p.say(fmt.Sprintf(`{"id":%q,"actions":[{"action":"RETURN","result":%q}]}`, id, id))
		}
	}
}

// asked is a context that says when its Done channel is asked for, which the code under test does
// right before it waits for it.
type asked struct {
	context.Context
	before func(times int)
	times  int
}

func (a *asked) Done() <-chan struct{} {
	a.times++
	a.before(a.times)
	return a.Context.Done()
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

type jsonText = json.RawMessage

func decodeSample(t testing.TB, path string, out any) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(sample(t, path)), out))
}
