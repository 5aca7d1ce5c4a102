package coder_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// crowd is how many observe at the same time; race_test.go has fewer.
var crowd = 10_000

// crowdHub is a Hub in the place of a network, which thousands of streams take little memory to observe.
type crowdHub struct {
	mu      sync.Mutex
	down    bool
	opened  []time.Time // all requests for a stream
	streams map[*crowdStream]bool
	most    int // session looked at at a time
	looking int
}

// crowdStream is the body of a stream. It brings a hydration, and then nothing until it is cut.
type crowdStream struct {
	io.Reader
	hub  *crowdHub
	left <-chan struct{}
	once sync.Once
	cut  chan struct{}
}

func (s *crowdStream) Read(p []byte) (int, error) {
	if n, err := s.Reader.Read(p); err == nil {
		return n, nil
	}
	select {
	case <-s.cut:
	case <-s.left:
	}
	return 0, io.ErrUnexpectedEOF
}

func (s *crowdStream) Close() error {
	s.once.Do(func() { close(s.cut) })
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	delete(s.hub.streams, s)
	return nil
}

func (h *crowdHub) RoundTrip(r *http.Request) (*http.Response, error) {
	id := strings.Split(r.URL.Path, "/")[4]
	answer := &http.Response{StatusCode: http.StatusOK, Request: r, Header: http.Header{"Content-Type": {"application/json"}}}
	if !strings.HasSuffix(r.URL.Path, "/events") {
		h.mu.Lock()
		h.looking++
		h.most = max(h.most, h.looking)
		h.mu.Unlock()
		time.Sleep(10 * time.Millisecond)
		h.mu.Lock()
		defer h.mu.Unlock()
		h.looking--
		if h.down {
			return nil, errAway
		}
		answer.Body = io.NopCloser(strings.NewReader(fmt.Sprintf(`{"sessionId":%q,"status":"active"}`, id)))
		return answer, nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.opened = append(h.opened, time.Now())
	if h.down {
		return nil, errAway
	}
	s := &crowdStream{hub: h, left: r.Context().Done(), cut: make(chan struct{}), Reader: strings.NewReader(fmt.Sprintf(
		"event: hydration\ndata: {\"type\":\"hydration\",\"sessionId\":%q,\"entries\":[]}\n\n", id))}
	h.streams[s] = true
	answer.Header.Set("Content-Type", "text/event-stream")
	answer.Body = s
	return answer, nil
}

var errAway = &net.OpError{Op: "dial", Err: errors.New("connection refused")}

// restart cuts everything, and is away for so long.
func (h *crowdHub) restart(away time.Duration) {
	h.mu.Lock()
	h.down = true
	h.opened = nil
	for s := range h.streams {
		s.once.Do(func() { close(s.cut) })
	}
	h.mu.Unlock()
	time.Sleep(away)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.down = false
}

func (h *crowdHub) open() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.streams)
}

// fullestSecond is how many of these times are in the second that has most of them.
func fullestSecond(times []time.Time) int {
	slices.SortFunc(times, time.Time.Compare)
	most, from := 0, 0
	for to := range times {
		for times[to].Sub(times[from]) >= time.Second {
			from++
		}
		most = max(most, to-from+1)
	}
	return most
}

// TestWithConnectRate: thousands of streams come to a Hub, and come back to one that restarts, at the rate that is allowed;
// they ask a few at a time whether their sessions are over, and no call waits for them.
func TestWithConnectRate(t *testing.T) {
	for name, test := range map[string]struct {
		options       []coder.Option
		streams, rate int
		first, back   time.Duration // after so long all of them are there, and are back
	}{
		"default":  {nil, crowd, 200, time.Duration(crowd/160+1) * time.Second, time.Duration(crowd/160+16) * time.Second},
		"few":      {[]coder.Option{coder.WithConnectRate(10)}, 100, 10, 13 * time.Second, 30 * time.Second},
		"no limit": {[]coder.Option{coder.WithConnectRate(-1)}, 1000, 1000, 0, 35 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hub := &crowdHub{streams: make(map[*crowdStream]bool)}
				c := newClient(t, append(test.options, coder.WithURL("http://hub.invalid"), coder.WithAPIKey("key_7f3a90d1"),
					coder.WithHTTPClient(&http.Client{Transport: hub}))...)
				ctx, leave := context.WithCancel(t.Context())
				var group sync.WaitGroup
				defer group.Wait()
				defer leave()
				var back atomic.Int64
				for i := range test.streams {
					group.Go(func() {
						for event, err := range c.StreamEvents(ctx, fmt.Sprint("codesess_", i), nil) {
							if err != nil {
								assert.ErrorIs(t, err, context.Canceled)
								return
							}
							if _, ok := event.Data.(*coder.ReconnectedMessage); ok {
								back.Add(1)
							}
						}
					})
				}
				time.Sleep(test.first)
				synctest.Wait()
				assert.Equal(t, test.streams, hub.open())
				assert.LessOrEqual(t, fullestSecond(hub.opened), test.rate)

				const away = 10 * time.Second
				hub.restart(away)
				for range int(test.back / time.Second) {
					began := time.Now()
					_, err := c.GetSession(t.Context(), "codesess_0")
					require.NoError(t, err)
					require.LessOrEqual(t, time.Since(began), 10*time.Millisecond, "a call does not wait for those who come back")
					time.Sleep(time.Second)
				}
				assert.Equal(t, test.streams, hub.open())
				assert.Equal(t, int64(test.streams), back.Load())
				if test.rate < test.streams {
					assert.LessOrEqual(t, fullestSecond(hub.opened), test.rate)
				}
				assert.LessOrEqual(t, hub.most, 17)
			})
		})
	}
}

// TestWithConnectRate_HubConn: the same holds for connections, whose time for the handshake begins when they may come.
func TestWithConnectRate_HubConn(t *testing.T) {
	const connections, rate = 100, 10
	var (
		mu    sync.Mutex
		times []time.Time
	)
	restart := make(chan struct{})
	live(t, func(p *peer) {
		mu.Lock()
		times = append(times, time.Now())
		mu.Unlock()
		p.admit()
		end := p.listening()
		if p.n <= connections {
			<-restart
			_ = p.Close(1012, "restart")
		}
		<-end
	}, func(t *testing.T, hub *liveHub) {
		restart = make(chan struct{}) // of the bubble
		c := hub.client(coder.WithConnectRate(rate))
		conns := make([]*coder.HubConn, connections)
		var group sync.WaitGroup
		began := time.Now()
		for i := range conns {
			group.Go(func() {
				var err error
				conns[i], err = c.Connect(t.Context(), "codesess_1", &coder.HubConnectOptions{HandshakeTimeout: time.Second})
				assert.NoError(t, err)
			})
		}
		group.Wait()
		require.False(t, t.Failed())
		assert.Less(t, time.Since(began), 13*time.Second)
		close(restart)
		restarted := time.Now()
		for _, conn := range conns {
			for message, err := range conn.Messages(t.Context()) {
				require.NoError(t, err)
				if _, ok := message.(*coder.ReconnectedMessage); ok {
					break
				}
			}
		}
		assert.Less(t, time.Since(restarted), 15*time.Second)
		for _, conn := range conns {
			require.NoError(t, conn.Close())
		}
		mu.Lock()
		defer mu.Unlock()
		assert.LessOrEqual(t, fullestSecond(times), rate)
	})
}

// TestClient_TooManyRequests: after a 429 all calls wait as long as the Hub has asked one of them to, and then come one
// after the other.
func TestClient_TooManyRequests(t *testing.T) {
	const pollers = 1000
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		c := hubClient(t, hub)
		id := readySession(t, hub)
		hub.Inject(codertest.Fault{Route: detailRoute, Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"20"}}})
		var group sync.WaitGroup
		began := time.Now()
		for i := range pollers {
			group.Go(func() {
				time.Sleep(time.Duration(i) * 10 * time.Millisecond)
				_, err := c.GetSession(t.Context(), id)
				assert.NoError(t, err)
			})
		}
		group.Wait()
		var times []time.Time
		for _, r := range hub.Requests() {
			if r.Route == detailRoute && r.Time.After(began) {
				times = append(times, r.Time)
				assert.GreaterOrEqual(t, r.Time.Sub(began), 20*time.Second, "nobody asks before the time has come")
			}
		}
		assert.Len(t, times, pollers, "but the first, and that once more")
		assert.LessOrEqual(t, fullestSecond(times), 200)
		assert.Less(t, time.Since(began), 30*time.Second)
	})
}

// TestClient_TooManyRequests_WebSocket: it is no other answer if it is one to the request for a WebSocket.
func TestClient_TooManyRequests_WebSocket(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		c := hubClient(t, hub)
		id := readySession(t, hub)
		hub.Inject(codertest.Fault{Route: "/ws", Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"20"}}})
		began := time.Now()
		var group sync.WaitGroup
		group.Go(func() {
			conn, err := c.Connect(t.Context(), id, nil)
			if assert.NoError(t, err) {
				assert.NoError(t, conn.Close())
			}
		})
		synctest.Wait()
		_, err := c.GetSession(t.Context(), id)
		require.NoError(t, err)
		assert.Equal(t, 20*time.Second, time.Since(began))
		group.Wait()
	})
}

// TestClient_TooManyRequests_NotForAll: a call that has no time to wait is told what is the matter, and a client that
// accepts no wait, or makes no second attempt, makes nobody wait.
func TestClient_TooManyRequests_NotForAll(t *testing.T) {
	slow := http.Header{"Retry-After": {"20"}}
	for name, test := range map[string]struct {
		policy coder.RetryPolicy
		after  http.Header
		waits  time.Duration
	}{
		"as it is":          {coder.RetryPolicy{}, slow, 20 * time.Second},
		"no second attempt": {coder.RetryPolicy{MaxAttempts: 1}, slow, 0},
		"no wait accepted":  {coder.RetryPolicy{MaxRetryAfter: -1}, slow, 0},
		"none so long":      {coder.RetryPolicy{MaxRetryAfter: 19 * time.Second}, slow, 0},
		"no time told":      {coder.RetryPolicy{MinBackoff: 3 * time.Second}, nil, 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, hub *codertest.Hub) {
				c := hubClient(t, hub, coder.WithRetryPolicy(test.policy))
				id := readySession(t, hub)
				hub.Inject(codertest.Fault{Route: loopRoute, Status: http.StatusTooManyRequests, Header: test.after, Count: -1})
				var group sync.WaitGroup
				group.Go(func() { _, _ = c.GetLoopState(t.Context(), id) })
				synctest.Wait()
				began := time.Now()
				hurry, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				defer cancel()
				_, err := c.GetSession(hurry, id)
				require.NoError(t, err)
				require.Zero(t, time.Since(began))
				_, err = c.GetSession(t.Context(), id)
				require.NoError(t, err)
				assert.Equal(t, test.waits, time.Since(began))
				group.Wait()
			})
		})
	}
}

// busyHub answers the first calls, after a second, that they are too many.
type busyHub struct {
	mu     sync.Mutex
	refuse int
	after  string
	silent bool // it does not answer others at all
	hits   []time.Time
}

func (h *busyHub) RoundTrip(r *http.Request) (*http.Response, error) {
	h.mu.Lock()
	h.hits = append(h.hits, time.Now())
	refused := h.refuse > 0
	h.refuse--
	h.mu.Unlock()
	time.Sleep(time.Second)
	if h.silent && !refused {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	answer := &http.Response{StatusCode: http.StatusOK, Request: r, Header: http.Header{"Content-Type": {"application/json"}}}
	answer.Body = io.NopCloser(strings.NewReader(`{"sessionId":"codesess_0","status":"active"}`))
	if refused {
		answer.StatusCode = http.StatusTooManyRequests
		answer.Header.Set("Retry-After", h.after)
	}
	return answer, nil
}

func (h *busyHub) client(t *testing.T, options ...coder.Option) *coder.Client {
	return newClient(t, append(options, coder.WithURL("http://hub.invalid"), coder.WithAPIKey("key_7f3a90d1"),
		coder.WithHTTPClient(&http.Client{Transport: h}))...)
}

// TestClient_TooManyRequests_AllAtOnce: calls that were all told the same come back one after the other.
func TestClient_TooManyRequests_AllAtOnce(t *testing.T) {
	const callers = 1000
	synctest.Test(t, func(t *testing.T) {
		hub := &busyHub{refuse: callers, after: "20"}
		c := hub.client(t)
		var group sync.WaitGroup
		for range callers {
			group.Go(func() {
				_, err := c.GetSession(t.Context(), "codesess_0")
				assert.NoError(t, err)
			})
		}
		group.Wait()
		require.Len(t, hub.hits, 2*callers)
		assert.LessOrEqual(t, fullestSecond(hub.hits[callers:]), 200)
	})
}

// TestClient_TooManyRequests_StallTimeout: what a look has waited because of others is not given to it again.
func TestClient_TooManyRequests_StallTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := &busyHub{refuse: 1, after: "50", silent: true}
		c := hub.client(t)
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() { _, _ = c.GetSession(ctx, "codesess_0") })
		time.Sleep(2 * time.Second)
		began := time.Now()
		_, err := c.WaitForSession(t.Context(), "codesess_0", &coder.WaitForSessionOptions{StallTimeout: time.Minute})
		require.ErrorContains(t, err, "has not answered")
		assert.Equal(t, time.Minute, time.Since(began))
		cancel()
		group.Wait()
	})
}

// TestClient_TooManyRequests_Connect: who has no time to wait until the Hub wants to be asked again connects all the same.
func TestClient_TooManyRequests_Connect(t *testing.T) {
	live(t, echo, func(t *testing.T, hub *liveHub) {
		hub.rest = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "50")
			w.WriteHeader(http.StatusTooManyRequests)
		}
		c := hub.client()
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() { _, _ = c.GetSession(ctx, "codesess_1") })
		synctest.Wait()
		began := time.Now()
		hurry, stop := context.WithTimeout(t.Context(), 10*time.Second)
		defer stop()
		conn, err := c.Connect(hurry, "codesess_1", nil)
		require.NoError(t, err)
		assert.Zero(t, time.Since(began))
		require.NoError(t, conn.Close())
		conn, err = c.Connect(t.Context(), "codesess_1", nil)
		require.NoError(t, err)
		assert.Equal(t, 50*time.Second, time.Since(began))
		require.NoError(t, conn.Close())
		cancel()
		group.Wait()
	})
}
