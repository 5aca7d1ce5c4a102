//go:build parity

package parity

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/codertest"
)

// tapPrefix is where clients find the Hub, so that a prefix that gets lost is noticed.
const tapPrefix = "/hub1"

// tap stands between clients and a Hub, and remembers what goes through.
type tap struct {
	*httptest.Server
	hub   *codertest.Hub
	proxy *httputil.ReverseProxy
	dial  *http.Client

	mu       sync.Mutex
	passages []*passage
	wrong    *strings.Replacer // of the query of a socket, nil for none
}

// misroute lets sockets to one session reach another.
func (t *tap) misroute(from, to string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.wrong = strings.NewReplacer(url.QueryEscape(from), url.QueryEscape(to))
}

// query is that of a socket as it reaches the Hub.
func (t *tap) query(r *http.Request) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.wrong == nil {
		return r.URL.RawQuery
	}
	return t.wrong.Replace(r.URL.RawQuery)
}

// passage is a request, and what came over the socket that it opened.
type passage struct {
	recorded
	ended chan struct{}

	mu       sync.Mutex
	over     bool     // one side has ended it, and the other does not know yet
	frames   []string // of the client
	hubFirst bool     // it was the Hub that ended it
	closed   *websocket.CloseError
}

func newTap(t *testing.T, hub *codertest.Hub) *tap {
	t.Helper()
	target, err := url.Parse(hub.URL())
	require.NoError(t, err)
	transport := &http.Transport{}
	tap := &tap{hub: hub, dial: &http.Client{Transport: transport}}
	tap.proxy = &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     transport,
		FlushInterval: -1, // at once: events must not wait for more
		ErrorLog:      log.New(io.Discard, "", 0),
	}
	tap.Server = httptest.NewServer(http.StripPrefix(tapPrefix, tap))
	t.Cleanup(func() {
		tap.CloseClientConnections() // if a test has failed before everybody left
		tap.Close()
		transport.CloseIdleConnections()
	})
	return tap
}

func (t *tap) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p := &passage{recorded: recorded{r.Method, r.RequestURI, r.Header.Clone(), nil}, ended: make(chan struct{})}
	t.mu.Lock()
	t.passages = append(t.passages, p)
	t.mu.Unlock()
	defer close(p.ended)
	defer p.leave()
	t.await(p)
	if strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		t.relay(p, w, r)
		return
	}
	t.proxy.ServeHTTP(w, r)
}

// await waits until the Hub knows who has left. Who comes back would else find itself there, or not.
func (t *tap) await(p *passage) {
	for limit := time.Now().Add(patience); time.Now().Before(limit); time.Sleep(200 * time.Microsecond) {
		living := 0
		for _, other := range t.all() {
			other.mu.Lock()
			if other != p && !other.over {
				living++
			}
			other.mu.Unlock()
		}
		if t.hub.Streams() <= living {
			return
		}
	}
}

func (p *passage) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
}

// relay connects two sockets. It ends one as the other ended, be it with a code or with a cut.
func (t *tap) relay(p *passage, w http.ResponseWriter, r *http.Request) {
	header := r.Header.Clone()
	for name := range header {
		if strings.HasPrefix(name, "Sec-Websocket-") || name == "Connection" || name == "Upgrade" {
			header.Del(name)
		}
	}
	address := t.hub.URL() + r.URL.Path + "?" + t.query(r)
	hub, response, err := websocket.Dial(r.Context(), address, &websocket.DialOptions{HTTPClient: t.dial, HTTPHeader: header})
	if err != nil {
		status := http.StatusBadGateway
		if response != nil {
			status = response.StatusCode
		}
		http.Error(w, err.Error(), status)
		return
	}
	client, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		_ = hub.CloseNow()
		return
	}
	hub.SetReadLimit(-1)
	client.SetReadLimit(-1)
	left, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		refused := false
		forward(hub, client, func(frame []byte) { refused = strings.Contains(string(frame), `"connection_rejected"`) }, func(*websocket.CloseError) {
			if refused { // in words: then the client is to close it, not the Hub
				select {
				case <-left:
				case <-time.After(patience):
				}
			}
			p.mu.Lock()
			defer p.mu.Unlock()
			p.hubFirst, p.over = p.closed == nil, true
		})
	}()
	forward(client, hub, func(frame []byte) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.frames = append(p.frames, string(frame))
	}, func(why *websocket.CloseError) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if !p.hubFirst {
			p.closed = why
		}
		p.over = true
		close(left)
	})
	<-done
}

// forward passes on what one side sends, and how it ends. The end is told before it is passed on;
// without a code it was cut.
func forward(from, to *websocket.Conn, note func([]byte), end func(*websocket.CloseError)) {
	ctx := context.Background()
	for {
		kind, frame, err := from.Read(ctx)
		var closed websocket.CloseError
		switch {
		case errors.As(err, &closed):
			end(&closed)
			_ = to.Close(closed.Code, closed.Reason)
			return
		case err != nil:
			end(nil)
			_ = to.CloseNow()
			return
		}
		note(frame)
		_ = to.Write(ctx, kind, frame) // if it fails, the other direction sees why
	}
}

// all returns the passages so far, in the order in which they began.
func (t *tap) all() []*passage {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.passages)
}

// settle waits until everybody has left.
func (t *tap) settle(test *testing.T) {
	test.Helper()
	limit := time.After(patience)
	for _, p := range t.all() {
		select {
		case <-p.ended:
		case <-limit:
			require.FailNow(test, "a connection was left open: "+p.target)
		}
	}
}

// sent returns the frames of the client as JSON, without heartbeats, which come when they come. The
// heartbeats are returned apart, one for all.
func (p *passage) sent(t *testing.T) (frames []any, heartbeat any) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, text := range p.frames {
		frame, err := tree([]byte(text))
		require.NoError(t, err, text)
		if o, ok := frame.(object); ok && o["type"] == "ping" {
			heartbeat = frame
			continue
		}
		frames = append(frames, frame)
	}
	return frames, heartbeat
}
