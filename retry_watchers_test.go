package coder_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// watcher is a method that makes another attempt when a failure is transient.
type watcher struct {
	name  string
	match func(method, path string) bool // the requests that fail
	skip  int                            // so many of them pass first
	calls bool                           // uses the retry policy; the others make one attempt at a time
	run   func(ctx context.Context, hub *codertest.Hub, c *coder.Client, id string) error
}

func suffix(method, end string) func(string, string) bool {
	return func(m, path string) bool { return m == method && strings.HasSuffix(path, end) }
}

// watchers are the columns of the table of TestRetries_WatchersAgree, in order.
var watchers = []watcher{
	{name: "GetSession", match: suffix("GET", "1"), calls: true,
		run: func(ctx context.Context, _ *codertest.Hub, c *coder.Client, id string) error {
			_, err := c.GetSession(ctx, id)
			return err
		}},
	{name: "CreateSession", match: suffix("POST", "/session"), calls: true,
		run: func(ctx context.Context, _ *codertest.Hub, c *coder.Client, _ string) error {
			_, err := c.CreateSession(ctx, coder.CreateSessionRequest{Task: "x"})
			return err
		}},
	{name: "Prepare", match: suffix("GET", "1"), skip: 1,
		run: func(ctx context.Context, hub *codertest.Hub, c *coder.Client, id string) error {
			hub.Session(id).Pause()
			s, err := c.PrepareSessionForRemoteAttach(ctx, id, nil)
			if err == nil && !s.RuntimeAvailable {
				err = errors.New("it has not waited for the runtime")
			}
			return err
		}},
	{name: "WaitForSession", match: suffix("GET", "1"),
		run: func(ctx context.Context, hub *codertest.Hub, c *coder.Client, id string) error {
			hub.Session(id).Archive()
			_, err := c.WaitForSession(ctx, id, nil)
			return err
		}},
	{name: "StreamEvents", match: suffix("GET", "/events"), run: observeUntilCut(0)},
	{name: "StreamEvents, connected before", match: suffix("GET", "/events"), skip: 1, run: observeUntilCut(1)},
	{name: "Connect", match: suffix("GET", "/ws"), run: connectUntilCut(0)},
	{name: "HubConn, connected before", match: suffix("GET", "/ws"), skip: 1, run: connectUntilCut(1)},
}

// observeUntilCut observes a session until its stream has been cut so often and is back.
func observeUntilCut(cuts int) func(context.Context, *codertest.Hub, *coder.Client, string) error {
	return func(ctx context.Context, hub *codertest.Hub, c *coder.Client, id string) error {
		left := cuts
		for event, err := range c.StreamEvents(ctx, id, nil) {
			if err != nil {
				return err
			}
			if _, greeted := event.Data.(*coder.SSEHydrationMessage); greeted {
				if left == 0 {
					return nil
				}
				left--
				hub.Session(id).CutStreams()
			}
		}
		return errors.New("the stream ended")
	}
}

// connectUntilCut connects to a session until the connection has been cut so often and is back.
func connectUntilCut(cuts int) func(context.Context, *codertest.Hub, *coder.Client, string) error {
	return func(ctx context.Context, hub *codertest.Hub, c *coder.Client, id string) error {
		conn, err := c.Connect(ctx, id, &coder.HubConnectOptions{Role: coder.RoleController})
		if err != nil {
			return err
		}
		defer conn.Close()
		if cuts == 0 {
			return nil
		}
		hub.Session(id).CutStreams()
		for message, err := range conn.Messages(ctx) {
			if err != nil {
				return err
			}
			if _, back := message.(*coder.ReconnectedMessage); back {
				return nil
			}
		}
		return errors.New("the messages ended")
	}
}

// interruption makes one request fail: with an answer, with the loss of its connection, or because no
// connection comes about.
type interruption struct {
	watcher *watcher
	answer  func(*http.Request) *http.Response
	lost    error
	dial    error

	base     *http.Transport
	seen     atomic.Int32
	failDial atomic.Bool
}

func (i *interruption) RoundTrip(r *http.Request) (*http.Response, error) {
	if !i.watcher.match(r.Method, r.URL.Path) || int(i.seen.Add(1)) != i.watcher.skip+1 {
		return i.base.RoundTrip(r)
	}
	switch {
	case i.answer != nil:
		return i.answer(r), nil
	case i.lost != nil:
		if r.Body != nil { // or nothing of the request would have gone out
			_, _ = io.Copy(io.Discard, r.Body)
		}
		return nil, i.lost
	}
	i.base.CloseIdleConnections()
	i.failDial.Store(true)
	return i.base.RoundTrip(r)
}

// after is the number of requests that followed the one that failed.
func (i *interruption) after() int { return int(i.seen.Load()) - i.watcher.skip - 1 }

func interrupt(hub *codertest.Hub, w *watcher, i *interruption) *http.Client {
	i.watcher = w
	i.base = hub.HTTPClient().Transport.(*http.Transport).Clone()
	connect := i.base.DialContext
	i.base.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if i.failDial.CompareAndSwap(true, false) {
			return nil, &net.OpError{Op: "dial", Net: network, Err: i.dial}
		}
		return connect(ctx, network, address)
	}
	return &http.Client{Transport: i}
}

func answered(status int, header ...string) *interruption {
	return &interruption{answer: func(r *http.Request) *http.Response {
		resp := &http.Response{
			StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Request: r,
			Body: io.NopCloser(strings.NewReader(`{"error":"no"}`)),
		}
		for n := 0; n < len(header); n += 2 {
			resp.Header.Set(header[n], header[n+1])
		}
		return resp
	}}
}

// TestRetries_WatchersAgree is the documentation as a table: which failures are followed by another
// attempt (+) and which end the call (-). The columns are the watchers. Where a row is not the same
// for all that repeat, the difference is meant, and said at the end of the row.
func TestRetries_WatchersAgree(t *testing.T) {
	for _, row := range []struct {
		name  string
		make  func() *interruption
		wants string // a mark for each of GetSession, CreateSession | Prepare, WaitForSession | StreamEvents ×2 | Connect, HubConn
	}{
		{"lost", func() *interruption { return &interruption{lost: syscall.ECONNRESET} }, "+- ++ ++ ++"},
		{"refused", func() *interruption { return &interruption{dial: refused} }, "++ ++ ++ ++"},
		// A host that does not exist is a mistake in the URL, unless it was there before.
		{"no such host", func() *interruption { return &interruption{dial: &net.DNSError{IsNotFound: true}} }, "++ ++ ++ -+"},
		{"certificate", func() *interruption { return &interruption{dial: x509.UnknownAuthorityError{}} }, "-- -- -- --"},

		{"408", func() *interruption { return answered(408) }, "+- ++ ++ ++"},
		{"425", func() *interruption { return answered(425) }, "+- ++ ++ ++"},
		{"429", func() *interruption { return answered(429) }, "++ ++ ++ ++"},
		{"409 with a rate limit", func() *interruption { return answered(409, "Retry-After", "1") }, "++ ++ ++ ++"},
		{"502", func() *interruption { return answered(502) }, "+- ++ ++ ++"},
		// A gateway answers it, with any header and body, also when the request had an effect.
		{"503", func() *interruption { return answered(503) }, "+- ++ ++ ++"},
		{"503 with Retry-After", func() *interruption { return answered(503, "Retry-After", "1") }, "+- ++ ++ ++"},
		{"504", func() *interruption { return answered(504) }, "+- ++ ++ ++"},
		{"520", func() *interruption { return answered(520) }, "+- ++ ++ ++"},
		{"524", func() *interruption { return answered(524) }, "+- ++ ++ ++"},
		{"530", func() *interruption { return answered(530) }, "+- ++ ++ ++"},
		// A failure inside the Hub may be there again at once, but not for ever: who waits, waits.
		{"500", func() *interruption { return answered(500) }, "-- ++ ++ ++"},
		{"507", func() *interruption { return answered(507) }, "-- ++ ++ ++"},
		{"525", func() *interruption { return answered(525) }, "-- ++ ++ ++"},

		{"401", func() *interruption { return answered(401) }, "-- -- -- --"},
		{"402", func() *interruption { return answered(402) }, "-- -- -- --"},
		{"403", func() *interruption { return answered(403) }, "-- -- -- --"},
		{"426", func() *interruption { return answered(426) }, "-- -- -- --"},
		// Prepare polls a session that is waking, as the original does: only these four answers end it.
		{"400", func() *interruption { return answered(400) }, "-- +- -- --"},
		{"404", func() *interruption { return answered(404) }, "-- +- -- --"},
		{"409", func() *interruption { return answered(409) }, "-- +- -- --"},
		{"410", func() *interruption { return answered(410) }, "-- +- -- --"},
		{"421", func() *interruption { return answered(421) }, "-- +- -- --"},
		{"501", func() *interruption { return answered(501) }, "-- +- -- --"},
		{"302", func() *interruption { return answered(302, "Location", "https://elsewhere.invalid") }, "-- +- -- --"},
		// A page in the place of the Hub's answer: at first a mistake in the URL for a stream, later a
		// restart. A WebSocket reads an answer without an upgrade as 200, which is no refusal of a Hub.
		{"200, unusable", func() *interruption { return answered(200) }, "-- ++ -+ --"},
	} {
		marks := strings.ReplaceAll(row.wants, " ", "")
		require.Len(t, marks, len(watchers))
		for n := range watchers {
			w := &watchers[n]
			t.Run(fmt.Sprint(row.name, "/", w.name), func(t *testing.T) {
				bubble(t, func(t *testing.T, hub *codertest.Hub) {
					i := row.make()
					policy := coder.RetryPolicy{MaxAttempts: 1}
					if w.calls {
						policy = coder.RetryPolicy{}
					}
					id := readySession(t, hub)
					c := hubClient(t, hub, coder.WithRetryPolicy(policy), coder.WithHTTPClient(interrupt(hub, w, i)))
					defer c.CloseIdleConnections()
					err := w.run(t.Context(), hub, c, id)
					if marks[n] == '+' {
						require.NoError(t, err)
						assert.Positive(t, i.after(), "there was another attempt")
						return
					}
					require.Error(t, err)
					assert.Zero(t, i.after(), "there was no other attempt")
					if status, isStatus := strconv.Atoi(row.name); isStatus == nil {
						var api *coder.APIError
						require.ErrorAs(t, err, &api, "the error says what the Hub answered")
						assert.Equal(t, status, api.StatusCode)
					}
				})
			})
		}
	}
}

// readySession is a session that is active.
func readySession(t *testing.T, hub *codertest.Hub) string {
	t.Helper()
	c := hubClient(t, hub)
	defer c.CloseIdleConnections()
	id := newSession(t, c)
	hub.Session(id).SetStatus("active")
	return id
}
