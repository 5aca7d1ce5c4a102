package coder_test

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

// eventHub is a network with a Hub of one session, whose every answer a test decides.
type eventHub struct {
	stream func(n int, r *http.Request) (*http.Response, error) // n counts from 1
	look   func(n int, r *http.Request) (*http.Response, error) // nil: the session is alive

	mu      sync.Mutex
	streams []time.Time // when a stream was asked for
	looks   []time.Time
}

func (h *eventHub) RoundTrip(r *http.Request) (*http.Response, error) {
	play, times := h.look, &h.looks
	if strings.HasSuffix(r.URL.Path, "/events") {
		play, times = h.stream, &h.streams
	}
	h.mu.Lock()
	*times = append(*times, time.Now())
	n := len(*times)
	h.mu.Unlock()
	if play == nil {
		return reply(200, `{"sessionId":"x","status":"active"}`), nil
	}
	return play(n, r)
}

func (h *eventHub) gaps() []float64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return gaps(h.streams)
}

func reply(status int, body string, header ...string) *http.Response {
	r := &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body))}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

// events is a stream of some blocks that then ends, or stays silent until it is closed.
func events(r *http.Request, stays bool, blocks ...string) *http.Response {
	body := io.Reader(strings.NewReader(strings.Join(blocks, "")))
	if stays {
		body = io.MultiReader(body, &silence{r.Context()})
	}
	return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: io.NopCloser(body)}
}

// silence is a body that says nothing until its request ends.
type silence struct{ ctx context.Context }

func (s *silence) Read([]byte) (int, error) {
	<-s.ctx.Done()
	return 0, s.ctx.Err()
}

const (
	snapshotBlock = `event: snapshot
data: {"sessionId":"x","label":"l","status":"active","createdAt":"2026-01-01T00:00:00Z","mode":"sandbox","participants":[],"taskCount":0,"agentActivity":{}}

`
	hydrationBlock = "event: hydration\ndata: {\"sessionId\":\"x\",\"entries\":[]}\n\n"
	presenceBlock  = "event: presence\ndata: {\"event\":\"presence_update\",\"sessionId\":\"x\",\"timestamp\":1}\n\n"
)

func broadcastBlock(event string) string {
	return "event: broadcast\ndata: {\"event\":\"" + event + "\",\"data\":{},\"category\":\"c\",\"sessionId\":\"x\",\"timestamp\":1}\n\n"
}

// observing runs a test in fake time with a function that ranges over all there is.
func observing(t *testing.T, hub *eventHub, test func(t *testing.T, all func(ctx context.Context, o *coder.StreamEventsOptions) ([]coder.ObserverSSEMessage, error))) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c, err := coder.NewClient(coder.WithURL("https://hub.test"), coder.WithAPIKey(testKey), coder.WithHTTPClient(&http.Client{Transport: hub}))
		require.NoError(t, err)
		test(t, func(ctx context.Context, o *coder.StreamEventsOptions) (messages []coder.ObserverSSEMessage, last error) {
			for event, err := range c.StreamEvents(ctx, "x", o) {
				if err != nil {
					require.NoError(t, last, "an error is the last")
					last = err
					continue
				}
				messages = append(messages, event.Data)
			}
			return messages, last
		})
	})
}

type observeAll = func(ctx context.Context, o *coder.StreamEventsOptions) ([]coder.ObserverSSEMessage, error)

// reconnected are the messages about losses.
func reconnected(messages []coder.ObserverSSEMessage) (all []*coder.ReconnectedMessage) {
	for _, m := range messages {
		if r, ok := m.(*coder.ReconnectedMessage); ok {
			all = append(all, r)
		}
	}
	return all
}

// shutdownBlock is a session_shutdown with a reason, "" for none.
func shutdownBlock(reason string) string {
	return strings.Replace(broadcastBlock("session_shutdown"), `"data":{}`, `"data":{"reason":"`+reason+`"}`, 1)
}

// TestStreamEvents_ShutdownOfTheHub ends the stream, whatever the connection does afterwards, and soon.
func TestStreamEvents_ShutdownOfTheHub(t *testing.T) {
	goodbyes := broadcastBlock("session_shutdown") + broadcastBlock("session_leave") + broadcastBlock("agent_end")
	for name, test := range map[string]struct {
		answer   func(r *http.Request) *http.Response
		messages int
		took     time.Duration
	}{
		"and the end":     {func(r *http.Request) *http.Response { return events(r, false, goodbyes) }, 3, 0},
		"and a reset":     {func(*http.Request) *http.Response { return cutAfter(goodbyes) }, 3, 0},
		"and silence":     {func(r *http.Request) *http.Response { return events(r, true, goodbyes) }, 3, time.Second},
		"and keep-alives": {func(r *http.Request) *http.Response { return eventsEvery(r, 300*time.Millisecond, goodbyes, ":\n\n") }, 3, time.Second},
		"and more events": {func(r *http.Request) *http.Response {
			return eventsEvery(r, 300*time.Millisecond, goodbyes, broadcastBlock("session_start"))
		}, 6, time.Second},
		"with an empty reason": {func(r *http.Request) *http.Response { return events(r, true, shutdownBlock("")) }, 1, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			hub := &eventHub{stream: func(_ int, r *http.Request) (*http.Response, error) { return test.answer(r), nil }}
			observing(t, hub, func(t *testing.T, all observeAll) {
				began := time.Now()
				messages, err := all(t.Context(), nil)
				require.NoError(t, err)
				assert.Len(t, messages, test.messages)
				assert.Equal(t, test.took, time.Since(began))
				assert.Len(t, hub.streams, 1)
				assert.Empty(t, hub.looks, "there is nothing to ask")
			})
		})
	}
}

// TestStreamEvents_ShutdownOfALead: the session goes on unless the Hub says otherwise.
func TestStreamEvents_ShutdownOfALead(t *testing.T) {
	for _, reason := range []string{"new", "resume", "fork", "reload", "unheard_of"} {
		t.Run(reason, func(t *testing.T) {
			hub := &eventHub{stream: func(n int, r *http.Request) (*http.Response, error) {
				if n == 1 {
					return events(r, false, shutdownBlock(reason), broadcastBlock("session_start")), nil
				}
				return reply(401, `{}`), nil
			}}
			observing(t, hub, func(t *testing.T, all observeAll) {
				messages, err := all(t.Context(), nil)
				require.ErrorIs(t, err, coder.ErrUnauthorized, "it has connected again")
				assert.Len(t, messages, 2)
				assert.Len(t, hub.looks, 1, "after the loss")
			})
		})
	}
	for name, test := range map[string]struct {
		status int
		body   string
		over   bool
	}{
		"deleted":      {404, `{"error":"no such session"}`, true},
		"archived":     {200, `{"sessionId":"x","status":"archived"}`, true},
		"shut down":    {200, `{"sessionId":"x","status":"shutdown"}`, true},
		"stopped":      {200, `{"sessionId":"x","status":"stopped"}`, true},
		"history only": {200, `{"sessionId":"x","status":"active","historyOnly":true}`, true},
		"active":       {200, `{"sessionId":"x","status":"active"}`, false},
		"not told":     {500, `{}`, false},
	} {
		t.Run("quit, "+name, func(t *testing.T) {
			hub := &eventHub{
				stream: func(n int, r *http.Request) (*http.Response, error) {
					if n == 1 {
						return eventsEvery(r, time.Minute, shutdownBlock("quit"), broadcastBlock("session_start")), nil
					}
					return reply(401, `{}`), nil
				},
				look: func(int, *http.Request) (*http.Response, error) { return reply(test.status, test.body), nil },
			}
			observing(t, hub, func(t *testing.T, all observeAll) {
				ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
				defer cancel()
				began := time.Now()
				messages, err := all(ctx, nil)
				if test.over {
					require.NoError(t, err)
					assert.Len(t, messages, 1)
					assert.Equal(t, time.Second, time.Since(began))
				} else {
					require.ErrorIs(t, err, context.DeadlineExceeded)
					assert.Len(t, messages, 2, "it stays connected")
				}
				assert.Len(t, hub.looks, 1)
				assert.Len(t, hub.streams, 1)
			})
		})
	}
}

// eventsEvery is a stream that begins with a block and then repeats another one for ever.
func eventsEvery(r *http.Request, d time.Duration, first, again string) *http.Response {
	answer := events(r, false)
	answer.Body = io.NopCloser(io.MultiReader(strings.NewReader(first), &repeat{ctx: r.Context(), every: d, block: again}))
	return answer
}

type repeat struct {
	ctx   context.Context
	every time.Duration
	block string
}

func (b *repeat) Read(p []byte) (int, error) {
	select {
	case <-time.After(b.every):
		return copy(p, b.block), nil
	case <-b.ctx.Done():
		return 0, b.ctx.Err()
	}
}

// cutAfter is a stream that breaks.
func cutAfter(blocks ...string) *http.Response {
	return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: io.NopCloser(io.MultiReader(
		strings.NewReader(strings.Join(blocks, "")), brokenReader{}))}
}

type brokenReader struct{}

var errReset = errors.New("connection reset by peer")

func (brokenReader) Read([]byte) (int, error) { return 0, errReset }

// TestStreamEvents_IdleLimitBeforeTheAnswer: a Hub that accepts and then says nothing is a lost connection.
func TestStreamEvents_IdleLimitBeforeTheAnswer(t *testing.T) {
	for name, test := range map[string]struct {
		options coder.StreamEventsOptions
		limit   time.Duration
	}{
		"by default": {coder.StreamEventsOptions{MaxReconnectAttempts: -1}, 5 * time.Minute},
		"as set":     {coder.StreamEventsOptions{MaxReconnectAttempts: -1, IdleTimeout: 5 * time.Second}, 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			hub := &eventHub{stream: func(_ int, r *http.Request) (*http.Response, error) {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}}
			observing(t, hub, func(t *testing.T, all observeAll) {
				began := time.Now()
				_, err := all(t.Context(), &test.options)
				require.ErrorContains(t, err, "the Hub has not answered for "+test.limit.String())
				require.ErrorAs(t, err, new(*coder.RequestError))
				require.NotErrorIs(t, err, context.Canceled, "nobody has cancelled")
				assert.Equal(t, test.limit, time.Since(began))
			})
		})
	}
}

// TestStreamEvents_HubThatDoesNotSayWhetherItIsOver does not keep the stream from coming back.
func TestStreamEvents_HubThatDoesNotSayWhetherItIsOver(t *testing.T) {
	for name, look := range map[string]func(int, *http.Request) (*http.Response, error){
		"silent": func(_ int, r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		},
		"a page": func(int, *http.Request) (*http.Response, error) {
			return reply(200, "<html>restarting</html>", "Content-Type", "text/html"), nil
		},
		"500": func(int, *http.Request) (*http.Response, error) { return reply(500, `{}`), nil },
		"429": func(int, *http.Request) (*http.Response, error) { return reply(429, `{}`), nil },
	} {
		t.Run(name, func(t *testing.T) {
			hub := &eventHub{look: look, stream: func(n int, r *http.Request) (*http.Response, error) {
				if n == 1 {
					return events(r, false, presenceBlock), nil
				}
				return events(r, false, broadcastBlock("session_shutdown")), nil
			}}
			observing(t, hub, func(t *testing.T, all observeAll) {
				began := time.Now()
				messages, err := all(t.Context(), nil)
				require.NoError(t, err)
				require.Len(t, reconnected(messages), 1)
				assert.LessOrEqual(t, time.Since(began), 11*time.Second)
			})
		})
	}
}

// TestStreamEvents_SessionThatIsOver: it does not matter when the Hub says so.
func TestStreamEvents_SessionThatIsOver(t *testing.T) {
	archived := `{"code":"CODER_SESSION_ARCHIVED","message":"archived"}`
	unknown := `{"code":"CODER_SESSION_NOT_FOUND","message":"no such session"}`
	for name, test := range map[string]struct {
		streamed, looked string
		status           int
		over             bool
	}{
		"deleted, by the look":      {looked: unknown, status: 404, over: true},
		"archived, by the look":     {looked: archived, status: 410, over: true},
		"status of the session":     {looked: `{"sessionId":"x","status":"archived"}`, status: 200, over: true},
		"history only":              {looked: `{"sessionId":"x","status":"active","historyOnly":true}`, status: 200, over: true},
		"deleted, by both":          {streamed: unknown, looked: unknown, status: 404, over: true},
		"archived, by both":         {streamed: archived, looked: archived, status: 410, over: true},
		"deleted, by the stream":    {streamed: unknown, looked: `{"sessionId":"x","status":"active"}`, status: 200},
		"forbidden, by the look":    {looked: `{}`, status: 403},
		"no such route by the look": {looked: `{}`, status: 501},
	} {
		t.Run(name, func(t *testing.T) {
			hub := &eventHub{
				stream: func(n int, r *http.Request) (*http.Response, error) {
					if n == 1 {
						return events(r, false, presenceBlock), nil
					}
					return reply(404, test.streamed), nil
				},
				look: func(n int, _ *http.Request) (*http.Response, error) {
					if n == 1 && test.streamed != "" {
						return reply(200, `{"sessionId":"x","status":"active"}`), nil
					}
					return reply(test.status, test.looked), nil
				},
			}
			observing(t, hub, func(t *testing.T, all observeAll) {
				_, err := all(t.Context(), nil)
				if test.over {
					require.NoError(t, err)
				} else {
					require.ErrorAs(t, err, new(*coder.APIError))
				}
			})
		})
	}
}

// TestStreamEvents_RetryAfter is a minimum of the wait, and one that is too long ends the stream.
func TestStreamEvents_RetryAfter(t *testing.T) {
	for asked, respected := range map[int]bool{45: true, 60: true, 61: false} {
		for _, status := range []int{429, 503} {
			hub := &eventHub{stream: func(n int, r *http.Request) (*http.Response, error) {
				if n < 3 {
					return reply(status, `{}`, "Retry-After", strconv.Itoa(asked)), nil
				}
				return events(r, false, broadcastBlock("session_shutdown")), nil
			}}
			observing(t, hub, func(t *testing.T, all observeAll) {
				_, err := all(t.Context(), nil)
				if respected {
					require.NoError(t, err)
					assert.Equal(t, []float64{float64(asked), float64(asked)}, hub.gaps())
					return
				}
				var api *coder.APIError
				require.ErrorAs(t, err, &api)
				assert.Equal(t, time.Duration(asked)*time.Second, api.RetryAfter)
				assert.Len(t, hub.streams, 1)
			})
		}
	}
}

// TestStreamEvents_AnswerThatIsNoStream: an answer that says that it is something else.
func TestStreamEvents_AnswerThatIsNoStream(t *testing.T) {
	for name, answer := range map[string]func() *http.Response{
		"text/html": func() *http.Response {
			return reply(200, "<html>log in</html>", "Content-Type", "text/html; charset=utf-8")
		},
		"application/json":  func() *http.Response { return reply(200, `{"success":false}`) },
		"it has no content": func() *http.Response { return reply(204, "") },
	} {
		t.Run(name, func(t *testing.T) {
			hub := &eventHub{stream: func(int, *http.Request) (*http.Response, error) { return answer(), nil }}
			observing(t, hub, func(t *testing.T, all observeAll) {
				messages, err := all(t.Context(), nil)
				assert.Empty(t, messages)
				require.ErrorAs(t, err, new(*coder.ResponseError))
				require.ErrorContains(t, err, name)
				assert.Len(t, hub.streams, 1, "that is a wrong URL")
			})
			hub = &eventHub{stream: func(n int, r *http.Request) (*http.Response, error) {
				switch {
				case n == 1:
					return events(r, false, presenceBlock), nil
				case n < 4:
					return answer(), nil
				}
				return events(r, false, broadcastBlock("session_shutdown")), nil
			}}
			observing(t, hub, func(t *testing.T, all observeAll) {
				messages, err := all(t.Context(), nil)
				require.NoError(t, err, "later that passes")
				lost := reconnected(messages)
				require.Len(t, lost, 1)
				assert.Equal(t, 3, lost[0].Attempt)
			})
		})
	}
	t.Run("a type of its own", func(t *testing.T) {
		hub := &eventHub{stream: func(_ int, r *http.Request) (*http.Response, error) {
			answer := events(r, false, broadcastBlock("session_shutdown"))
			answer.Header = http.Header{"Content-Type": {"application/octet-stream"}}
			return answer, nil
		}}
		observing(t, hub, func(t *testing.T, all observeAll) {
			_, err := all(t.Context(), nil)
			require.NoError(t, err)
		})
	})
}

// TestStreamEvents_AnswersThatStay are not asked for again; those that may pass are.
func TestStreamEvents_AnswersThatStay(t *testing.T) {
	for status, stays := range map[int]bool{302: true, 307: true, 409: true, 501: true, 408: false, 429: false, 500: false, 502: false} {
		hub := &eventHub{stream: func(int, *http.Request) (*http.Response, error) {
			return reply(status, `{}`, "Location", "https://elsewhere.test/"), nil
		}}
		observing(t, hub, func(t *testing.T, all observeAll) {
			_, err := all(t.Context(), nil)
			require.ErrorAs(t, err, new(*coder.APIError))
			if stays {
				assert.Len(t, hub.streams, 1, status)
				require.NotErrorIs(t, err, coder.ErrReconnectsExceeded)
			} else {
				assert.Len(t, hub.streams, 11, "the first, and 10 more by default")
				require.ErrorIs(t, err, coder.ErrReconnectsExceeded)
				require.ErrorContains(t, err, "coder: StreamEvents: too many attempts to reconnect (10): "+strconv.Itoa(status))
			}
		})
	}
}

// TestStreamEvents_GivingUpIsSaidOnce: the error that ends the stream is one of this package, with the last cause.
func TestStreamEvents_GivingUpIsSaidOnce(t *testing.T) {
	for name, test := range map[string]struct {
		stream func(int, *http.Request) (*http.Response, error)
		want   string
	}{
		"no answer": {
			func(int, *http.Request) (*http.Response, error) { return nil, errReset },
			"coder: StreamEvents: too many attempts to reconnect (1): connection reset by peer (GET /hub/session/x/events)",
		},
		"a status": {
			func(int, *http.Request) (*http.Response, error) { return reply(503, `{"message":"away"}`), nil },
			"coder: StreamEvents: too many attempts to reconnect (1): 503 Service Unavailable: away (GET /hub/session/x/events)",
		},
		"the end": {
			func(_ int, r *http.Request) (*http.Response, error) { return events(r, false), nil },
			"coder: StreamEvents: too many attempts to reconnect (1): the Hub ended the stream (GET /hub/session/x/events)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			observing(t, &eventHub{stream: test.stream}, func(t *testing.T, all observeAll) {
				_, err := all(t.Context(), &coder.StreamEventsOptions{MaxReconnectAttempts: 1})
				require.EqualError(t, err, test.want)
				require.ErrorIs(t, err, coder.ErrReconnectsExceeded)
				_, direct := err.(*coder.RequestError) //nolint:errorlint // not what it wraps
				assert.True(t, direct)
			})
		})
	}
}

// TestStreamEvents_TooManyRequests: also a 409 may be about their rate.
func TestStreamEvents_TooManyRequests(t *testing.T) {
	hub := &eventHub{stream: func(n int, r *http.Request) (*http.Response, error) {
		if n == 1 {
			return reply(409, `{}`, "Retry-After", "7"), nil
		}
		return events(r, false, broadcastBlock("session_shutdown")), nil
	}}
	observing(t, hub, func(t *testing.T, all observeAll) {
		_, err := all(t.Context(), nil)
		require.NoError(t, err)
		assert.Equal(t, []float64{7}, hub.gaps())
	})
}

// TestStreamEvents_Health: what brings the count of attempts back to 0, and what does not.
func TestStreamEvents_Health(t *testing.T) {
	for name, test := range map[string]struct {
		blocks  []string
		stays   time.Duration // after them
		healthy bool
	}{
		"nothing":                        {nil, 0, false},
		"what comes at once":             {[]string{snapshotBlock, hydrationBlock}, 0, false},
		"what is unknown":                {[]string{"data: {}\n\n"}, 0, false},
		"presence":                       {[]string{snapshotBlock, hydrationBlock, presenceBlock}, 0, false},
		"one who joins":                  {[]string{snapshotBlock, hydrationBlock, broadcastBlock("session_join")}, 0, false},
		"one who leaves":                 {[]string{snapshotBlock, hydrationBlock, broadcastBlock("session_leave")}, 0, false},
		"a broadcast":                    {[]string{broadcastBlock("turn_start")}, 0, true},
		"4 seconds after the hydration":  {[]string{snapshotBlock, hydrationBlock}, 4 * time.Second, false},
		"5 seconds after the hydration":  {[]string{snapshotBlock, hydrationBlock}, 5 * time.Second, true},
		"29 seconds without a hydration": {[]string{snapshotBlock}, 29 * time.Second, false},
		"30 seconds without a hydration": {[]string{snapshotBlock}, 30 * time.Second, true},
		"30 seconds without words":       {nil, 30 * time.Second, true},
	} {
		t.Run(name, func(t *testing.T) {
			hub := &eventHub{stream: func(n int, r *http.Request) (*http.Response, error) {
				if n == 20 {
					return events(r, false, broadcastBlock("session_shutdown")), nil
				}
				answer := events(r, false, test.blocks...)
				answer.Body = io.NopCloser(io.MultiReader(answer.Body, pause(test.stays)))
				return answer, nil
			}}
			observing(t, hub, func(t *testing.T, all observeAll) {
				_, err := all(t.Context(), &coder.StreamEventsOptions{MaxReconnectAttempts: 2})
				if test.healthy {
					require.NoError(t, err)
				} else {
					require.ErrorIs(t, err, coder.ErrReconnectsExceeded)
					assert.Len(t, hub.streams, 3)
				}
			})
		})
	}
}

// TestStreamEvents_ServerThatCutsQuietStreams, as Bun does after 10 s, is no reason to give up, nor to ask for a
// hydration each few seconds.
func TestStreamEvents_ServerThatCutsQuietStreams(t *testing.T) {
	for name, test := range map[string]struct {
		lives  time.Duration
		period [2]float64 // between two connections, in the end
	}{
		"after 6 s":  {6 * time.Second, [2]float64{21, 36}}, // 30 s less up to half
		"after 31 s": {31 * time.Second, [2]float64{31.5, 32}},
	} {
		t.Run(name, func(t *testing.T) {
			hub := &eventHub{stream: func(n int, r *http.Request) (*http.Response, error) {
				if n == 200 {
					return events(r, false, broadcastBlock("session_shutdown")), nil
				}
				answer := events(r, false, snapshotBlock, hydrationBlock, presenceBlock)
				answer.Body = io.NopCloser(io.MultiReader(answer.Body, pause(test.lives)))
				return answer, nil
			}}
			observing(t, hub, func(t *testing.T, all observeAll) {
				_, err := all(t.Context(), &coder.StreamEventsOptions{MaxReconnectAttempts: 3})
				require.NoError(t, err)
				for _, gap := range hub.gaps()[20:] {
					assert.GreaterOrEqual(t, gap, test.period[0])
					assert.LessOrEqual(t, gap, test.period[1])
				}
			})
		})
	}
}

// TestStreamEvents_RetryField is the first delay, unless the program says otherwise.
func TestStreamEvents_RetryField(t *testing.T) {
	for name, test := range map[string]struct {
		options coder.StreamEventsOptions
		gap     [2]float64
	}{
		"by default":        {coder.StreamEventsOptions{}, [2]float64{4, 8}},
		"bounded":           {coder.StreamEventsOptions{MaxReconnectDelay: 2 * time.Second}, [2]float64{1, 2}},
		"the program's own": {coder.StreamEventsOptions{ReconnectDelay: time.Second}, [2]float64{0.5, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			hub := &eventHub{stream: func(n int, r *http.Request) (*http.Response, error) {
				if n == 2 {
					return events(r, false, broadcastBlock("session_shutdown")), nil
				}
				return events(r, false, "retry: 8000\n\n", snapshotBlock), nil
			}}
			observing(t, hub, func(t *testing.T, all observeAll) {
				_, err := all(t.Context(), &test.options)
				require.NoError(t, err)
				assert.GreaterOrEqual(t, hub.gaps()[0], test.gap[0])
				assert.LessOrEqual(t, hub.gaps()[0], test.gap[1])
			})
		})
	}
}

// TestStreamEvents_NotCompressed: identity is asked for, and what comes encoded nevertheless is refused by name.
func TestStreamEvents_NotCompressed(t *testing.T) {
	hub := &eventHub{stream: func(_ int, r *http.Request) (*http.Response, error) {
		if !assert.Equal(t, []string{"identity"}, r.Header["Accept-Encoding"]) {
			return reply(500, ""), nil
		}
		answer := events(r, true)
		answer.Header.Set("Content-Encoding", "br")
		return answer, nil
	}}
	observing(t, hub, func(t *testing.T, all observeAll) {
		_, err := all(t.Context(), nil)
		var unusable *coder.ResponseError
		require.ErrorAs(t, err, &unusable)
		assert.Contains(t, unusable.Reason, "Content-Encoding is br")
	})
}

// pause is a body that ends after some time.
type pause time.Duration

func (p pause) Read([]byte) (int, error) {
	time.Sleep(time.Duration(p))
	return 0, io.EOF
}

// TestStreamEvents_TimeInTheLoopIsNoHealth: what the loop takes for an event says nothing about the connection.
func TestStreamEvents_TimeInTheLoopIsNoHealth(t *testing.T) {
	hub := &eventHub{stream: func(_ int, r *http.Request) (*http.Response, error) {
		return events(r, false, snapshotBlock, hydrationBlock, hydrationBlock), nil
	}}
	synctest.Test(t, func(t *testing.T) {
		c, err := coder.NewClient(coder.WithURL("https://hub.test"), coder.WithHTTPClient(&http.Client{Transport: hub}))
		require.NoError(t, err)
		var last error
		for _, err := range c.StreamEvents(t.Context(), "x", &coder.StreamEventsOptions{MaxReconnectAttempts: 2, IdleTimeout: time.Second}) {
			last = err
			time.Sleep(20 * time.Second)
		}
		require.ErrorIs(t, last, coder.ErrReconnectsExceeded)
		assert.Len(t, hub.streams, 3)
	})
}

// TestStreamEvents_ReconnectedMessage is about this loss alone.
func TestStreamEvents_ReconnectedMessage(t *testing.T) {
	hub := &eventHub{stream: func(n int, r *http.Request) (*http.Response, error) {
		switch n {
		case 1:
			return events(r, false, snapshotBlock), nil
		case 2:
			return cutAfter(snapshotBlock), nil
		case 3, 4:
			return reply(503, `{}`), nil
		}
		return events(r, false, broadcastBlock("session_shutdown")), nil
	}}
	observing(t, hub, func(t *testing.T, all observeAll) {
		messages, err := all(t.Context(), &coder.StreamEventsOptions{ReconnectDelay: 10 * time.Second, MaxReconnectDelay: 10 * time.Second})
		require.NoError(t, err)
		lost := reconnected(messages)
		require.Len(t, lost, 2)
		assert.Equal(t, []int{1, 3}, []int{lost[0].Attempt, lost[1].Attempt})
		require.ErrorIs(t, lost[0].Cause, io.ErrUnexpectedEOF)
		require.ErrorContains(t, lost[0].Cause, "the Hub ended the stream")
		require.ErrorIs(t, lost[1].Cause, errReset)
		between := hub.gaps()
		assert.InDelta(t, between[0], lost[0].Down.Seconds(), 0.001)
		assert.InDelta(t, between[1]+between[2]+between[3], lost[1].Down.Seconds(), 0.001)
	})
}

// TestStreamEvents_TheContextEndsAPoll: also between two connections it is the context that the error names.
func TestStreamEvents_TheContextEndsAPoll(t *testing.T) {
	for name, o := range map[string]*coder.StreamEventsOptions{"reconnecting": nil, "not": {MaxReconnectAttempts: -1}, "the last attempt": {MaxReconnectAttempts: 1}} {
		t.Run(name, func(t *testing.T) {
			hub := &eventHub{
				stream: func(_ int, r *http.Request) (*http.Response, error) { return events(r, false, snapshotBlock), nil },
				look: func(_ int, r *http.Request) (*http.Response, error) {
					<-r.Context().Done()
					return nil, r.Context().Err()
				},
			}
			observing(t, hub, func(t *testing.T, all observeAll) {
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				_, err := all(ctx, o)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.NotErrorIs(t, err, coder.ErrReconnectsExceeded)
			})
		})
	}
}

// TestStreamEvents_NothingAfterTheContext: what is in the buffer when the context ends is not yielded.
func TestStreamEvents_NothingAfterTheContext(t *testing.T) {
	hub := &eventHub{stream: func(_ int, r *http.Request) (*http.Response, error) {
		return events(r, true, strings.Repeat(broadcastBlock("turn_start"), 100)), nil
	}}
	synctest.Test(t, func(t *testing.T) {
		c, err := coder.NewClient(coder.WithURL("https://hub.test"), coder.WithHTTPClient(&http.Client{Transport: hub}))
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		count := 0
		for _, err := range c.StreamEvents(ctx, "x", nil) {
			if count++; count > 1 {
				require.ErrorIs(t, err, context.Canceled)
			}
			cancel()
		}
		assert.Equal(t, 2, count)
	})
}

// TestStreamEvents_EventTooLarge ends the stream: the next connection would bring it again.
func TestStreamEvents_EventTooLarge(t *testing.T) {
	hub := &eventHub{stream: func(_ int, r *http.Request) (*http.Response, error) {
		large := io.MultiReader(strings.NewReader(presenceBlock+"data: "), io.LimitReader(forever('x'), 64<<20))
		return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: io.NopCloser(large)}, nil
	}}
	observing(t, hub, func(t *testing.T, all observeAll) {
		messages, err := all(t.Context(), nil)
		assert.Len(t, messages, 1)
		require.ErrorIs(t, err, coder.ErrResponseTooLarge)
		require.ErrorAs(t, err, new(*coder.ResponseError))
		assert.Len(t, hub.streams, 1)
	})
}

type forever byte

func (e forever) Read(p []byte) (int, error) {
	for n := copy(p, []byte{byte(e)}); n < len(p); n *= 2 {
		copy(p[n:], p[:n]) // twice as much at a time: a loop over bytes is slow with -race
	}
	return len(p), nil
}

// TestStreamEvents_ForEver goes on through an outage of a day.
func TestStreamEvents_ForEver(t *testing.T) {
	hub := &eventHub{}
	began := time.Time{}
	hub.stream = func(_ int, r *http.Request) (*http.Response, error) {
		if time.Since(began) < 24*time.Hour {
			return nil, errReset
		}
		return events(r, false, broadcastBlock("session_shutdown")), nil
	}
	observing(t, hub, func(t *testing.T, all observeAll) {
		began = time.Now()
		_, err := all(t.Context(), &coder.StreamEventsOptions{MaxReconnectAttempts: math.MaxInt})
		require.NoError(t, err)
		between := hub.gaps()
		assert.LessOrEqual(t, between[len(between)-1], 30.0)
		assert.GreaterOrEqual(t, between[len(between)-1], 15.0)
	})
}
