package coder_test

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

// TestMethods_TinyElements: what would take hundreds of times its size to decode is refused before that, wherever it
// comes from.
func TestMethods_TinyElements(t *testing.T) {
	objects := strings.Repeat("{},", 500_000) + "{}"
	fewer := strings.Repeat("{},", 150_000) + "{}"                                  // half a megabyte
	sparse := strings.Repeat(`{"a":0}`+strings.Repeat(" ", 47)+",", 200_000) + "{}" // which cost nothing but in a list of large structs
	for name, test := range map[string]struct {
		body string
		call func(ctx context.Context, c *coder.Client) error
	}{
		"sessions": {`{"sessions":{"websocket":[` + objects + `],"sandbox":[]},"total":1}`, func(ctx context.Context, c *coder.Client) error {
			_, err := c.ListSessions(ctx, nil)
			return err
		}},
		"entries": {`{"sessionId":"x","entries":[` + objects + `]}`, func(ctx context.Context, c *coder.Client) error {
			_, err := c.GetReplay(ctx, "x", nil)
			return err
		}},
		"an entry": {`{"sessionId":"x","entries":[{"content":"","x":[` + objects + `]}]}`, func(ctx context.Context, c *coder.Client) error {
			for _, err := range c.ReplayEntries(ctx, "x", nil) {
				if err != nil {
					return err
				}
			}
			return nil
		}},
		"workspaces": {`{"workspaces":[` + objects + `]}`, func(ctx context.Context, c *coder.Client) error {
			_, err := c.ListWorkspaces(ctx)
			return err
		}},
		"free JSON": {`{"sessionId":"x","metadata":{"a":[` + objects + `]}}`, func(ctx context.Context, c *coder.Client) error {
			_, err := c.GetSession(ctx, "x")
			return err
		}},
		"free JSON in one piece": {`{"sessionId":"x","metadata":{"a":[` + fewer + `]}}`, func(ctx context.Context, c *coder.Client) error {
			_, err := c.GetSession(ctx, "x")
			return err
		}},
		"large structs": {`{"sessions":{"websocket":[` + sparse + `],"sandbox":[]},"total":1}`, func(ctx context.Context, c *coder.Client) error {
			_, err := c.ListSessions(ctx, nil)
			return err
		}},
		"Do": {`[` + objects + `]`, func(ctx context.Context, c *coder.Client) error {
			var out any
			return c.Do(ctx, http.MethodGet, "/hub/x", nil, &out)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			c := newServer(t, answerJSON(http.StatusOK, test.body)).client(t)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := test.call(t.Context(), c)
			runtime.ReadMemStats(&after)
			var refused *coder.ResponseError
			require.ErrorAs(t, err, &refused)
			require.ErrorIs(t, err, coder.ErrResponseTooLarge)
			assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(20*len(test.body)+64<<20))
		})
	}
	t.Run("hydration of a stream", func(t *testing.T) {
		hub := &eventHub{stream: func(_ int, r *http.Request) (*http.Response, error) {
			return events(r, true, "event: hydration\ndata: {\"sessionId\":\"x\",\"entries\":["+objects+"]}\n\n"), nil
		}}
		observing(t, hub, func(t *testing.T, all observeAll) {
			_, err := all(t.Context(), nil)
			require.ErrorIs(t, err, coder.ErrResponseTooLarge)
			assert.Len(t, hub.streams, 1, "the next connection would bring it again")
		})
	})
	t.Run("first message of a connection", func(t *testing.T) {
		live(t, func(p *peer) {
			_ = p.Write(context.Background(), websocket.MessageText, []byte(`{"type":"init","sessionId":"codesess_1","x":[`+objects+`]}`))
			p.listen()
		}, func(t *testing.T, hub *liveHub) {
			_, err := hub.client().Connect(t.Context(), "codesess_1", nil)
			require.ErrorIs(t, err, coder.ErrResponseTooLarge)
			assert.Len(t, hub.seen(), 1)
		})
	})
	t.Run("message of a connection", func(t *testing.T) {
		live(t, func(p *peer) {
			p.admit()
			_ = p.Write(context.Background(), websocket.MessageText, []byte(`{"type":"session_hydration","sessionId":"codesess_1","entries":[`+objects+`]}`))
			p.listen()
		}, func(t *testing.T, hub *liveHub) {
			conn := connected(t, hub)
			for _, err := range conn.Messages(t.Context()) {
				require.ErrorIs(t, err, coder.ErrResponseTooLarge)
			}
			assert.Len(t, hub.seen(), 1)
		})
	})
}

// TestMethods_DecodingEndsWithTheContext: an answer that takes long to decode does not outlast it.
func TestMethods_DecodingEndsWithTheContext(t *testing.T) {
	session := `{"sessionId":"codesess_%d","label":"` + strings.Repeat("x", 2000) + `"},`
	var b strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&b, session, i)
	}
	body := `{"sessions":{"websocket":[` + strings.TrimSuffix(b.String(), ",") + `],"sandbox":[]},"total":1}`
	ctx, cancel := context.WithCancel(t.Context())
	// The context ends when all of the body has been read, and nothing of it is decoded.
	c := newClient(t, coder.WithURL("http://hub.test"), coder.WithHTTPClient(&http.Client{Transport: tripper(func(r *http.Request) (*http.Response, error) {
		return &http.Response{
			StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Request: r, ContentLength: -1,
			Body: io.NopCloser(io.MultiReader(strings.NewReader(body), endOf(cancel))),
		}, nil
	})}))
	_, err := c.ListSessions(ctx, nil)
	require.ErrorIs(t, err, context.Canceled)
	var failed *coder.RequestError
	require.ErrorAs(t, err, &failed)
}

// TestMethods_NothingIsEncodedAfterTheContext: a context that has ended costs no encoding.
func TestMethods_NothingIsEncodedAfterTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	encoded := false
	_, err := newClient(t, coder.WithURL("http://hub.test")).CreateSession(ctx, coder.CreateSessionRequest{
		Task: "x", Metadata: map[string]any{"a": marshaler(func() ([]byte, error) { encoded = true; return []byte("1"), nil })},
	})
	require.ErrorIs(t, err, context.Canceled)
	require.NotErrorIs(t, err, coder.ErrOutcomeUnknown)
	assert.False(t, encoded)
}

type marshaler func() ([]byte, error)

func (m marshaler) MarshalJSON() ([]byte, error) { return m() }

type tripper func(*http.Request) (*http.Response, error)

func (f tripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// endOf is the end of a body, with which something else ends.
type endOf func()

func (f endOf) Read([]byte) (int, error) {
	f()
	return 0, io.EOF
}

// TestWaits_BoundAPollThatHangs is no longer than the wait it belongs to.
func TestWaits_BoundAPollThatHangs(t *testing.T) {
	for name, body := range map[string]func(r *http.Request) io.Reader{
		"says nothing": nil,
		"drips":        func(r *http.Request) io.Reader { return &repeat{ctx: r.Context(), every: time.Second, block: " "} },
	} {
		t.Run(name, func(t *testing.T) {
			hub := &eventHub{look: func(_ int, r *http.Request) (*http.Response, error) {
				if body == nil {
					<-r.Context().Done()
					return nil, r.Context().Err()
				}
				answer := reply(200, "")
				answer.Body = io.NopCloser(body(r))
				return answer, nil
			}}
			observing(t, hub, func(t *testing.T, _ observeAll) {
				c, err := coder.NewClient(coder.WithURL("https://hub.test"), coder.WithHTTPClient(&http.Client{Transport: hub}))
				require.NoError(t, err)
				began := time.Now()
				_, err = c.WaitForSession(t.Context(), "x", &coder.WaitForSessionOptions{StallTimeout: 100 * time.Second})
				var waited *coder.WaitError
				require.ErrorAs(t, err, &waited)
				assert.Contains(t, err.Error(), "has not answered")
				assert.InDelta(t, 100, time.Since(began).Seconds(), 1)
				assert.Greater(t, len(hub.looks), 2, "a look has a limit of its own")
			})
		})
	}
}

// TestMethods_PeakOfLists: the worst that is still decoded stays within 20 times its size and 64 MB. Blanks between
// the elements make it pass. The lists and elements are those that came out worst of 20 lists with 15 elements.
func TestMethods_PeakOfLists(t *testing.T) {
	const size = 8 << 20
	sessions := func(ctx context.Context, c *coder.Client) error { _, err := c.ListSessions(ctx, nil); return err }
	session := func(ctx context.Context, c *coder.Client) error { _, err := c.GetSession(ctx, "x"); return err }
	for name, test := range map[string]struct {
		format, element string
		length          int
		call            func(ctx context.Context, c *coder.Client) error
	}{
		"sessions": {`{"sessions":{"websocket":[%s],"sandbox":[]},"total":1}`, `{"a":0}`, 77, sessions},
		"entries": {`{"sessionId":"x","entries":[%s]}`, `{"":[]}`, 60, func(ctx context.Context, c *coder.Client) error {
			_, err := c.GetReplay(ctx, "x", nil)
			return err
		}},
		"free JSON": {`{"sessionId":"x","metadata":{"a":[%s]}}`, `""`, 3, session},
	} {
		t.Run(name, func(t *testing.T) {
			defer debug.SetGCPercent(debug.SetGCPercent(50)) // it is not about how far the collector lags behind
			element := "," + test.element + strings.Repeat(" ", test.length-1-len(test.element))
			body := fmt.Sprintf(test.format, strings.Repeat(element, size/test.length)[1:])
			c := newClient(t, coder.WithURL("http://hub.invalid"), coder.WithHTTPClient(&http.Client{Transport: tripper(func(r *http.Request) (*http.Response, error) {
				return &http.Response{
					StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Request: r,
					Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
				}, nil
			})}))
			var err error
			peak, bound := uint64(math.MaxUint64), uint64(20*len(body)+64<<20)
			for range 3 { // what is garbage already counts as long as a busy machine has not collected it
				peak = min(peak, peakHeap(func() { err = test.call(t.Context(), c) }))
				require.NotErrorIs(t, err, coder.ErrResponseTooLarge, "it is decoded")
				if peak < bound {
					break
				}
			}
			assert.Less(t, peak, bound)
			assert.Greater(t, peak, uint64(2*len(body)), "the measurement sees it")
		})
	}
}

// peakHeap returns by how much the heap grows, at most, while f runs.
func peakHeap(f func()) uint64 {
	heap := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	read := func() uint64 {
		metrics.Read(heap)
		return heap[0].Value.Uint64()
	}
	runtime.GC()
	runtime.GC() // what was only swept lazily is gone
	before := read()
	peak := before
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	sample := time.NewTicker(time.Millisecond)
	defer sample.Stop()
	for {
		select {
		case <-done:
			return max(peak, read()) - before
		case <-sample.C:
			peak = max(peak, read())
		}
	}
}
