package coder_test

import (
	"context"
	"errors"
	"fmt"
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

// keyHub answers as it is told, and keeps the keys that it was shown.
type keyHub struct {
	answers func(n int, key string, r *http.Request) *http.Response // n counts from 1
	mu      sync.Mutex
	keys    []string
	paths   []string
}

func (h *keyHub) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		_ = r.Body.Close()
	}
	key := r.Header.Get("X-Agentuity-Auth-Api-Key")
	if bearer := r.Header.Get("Authorization"); bearer != "" {
		key = strings.TrimPrefix(key+bearer, "Bearer ")
	}
	h.mu.Lock()
	h.keys, h.paths = append(h.keys, key), append(h.paths, r.URL.Path)
	n := len(h.keys)
	h.mu.Unlock()
	return h.answers(n, key, r), nil
}

func (h *keyHub) client(t *testing.T, key func(context.Context) (string, error), opts ...coder.Option) *coder.Client {
	t.Helper()
	return newClient(t, append([]coder.Option{
		coder.WithURL("http://hub.test"), coder.WithCredential(key), coder.WithHTTPClient(&http.Client{Transport: h}),
	}, opts...)...)
}

// inTurn returns the keys one after the other, and the last one from then on.
func inTurn(keys ...string) func(context.Context) (string, error) {
	var n atomic.Int32
	return func(context.Context) (string, error) { return keys[min(int(n.Add(1)), len(keys))-1], nil }
}

const aSession = `{"sessionId":"x","status":"active"}`

// onlyFor is a Hub that knows one key.
func onlyFor(key, body string) func(int, string, *http.Request) *http.Response {
	return func(_ int, shown string, _ *http.Request) *http.Response {
		if shown != key {
			return reply(http.StatusUnauthorized, `{"error":"no such key: `+shown+`"}`)
		}
		return reply(http.StatusOK, body)
	}
}

func TestWithCredential_Options(t *testing.T) {
	clearEnv(t)
	never := func(context.Context) (string, error) { panic("NewClient asks for no key") }
	for name, test := range map[string]struct {
		opts []coder.Option
		says string // "": no error
	}{
		"nil":                {[]coder.Option{coder.WithCredential(nil)}, "WithCredential must not be nil"},
		"with a key":         {[]coder.Option{coder.WithAPIKey(testKey), coder.WithCredential(never)}, "WithCredential must not be combined with WithAPIKey"},
		"with an empty key":  {[]coder.Option{coder.WithAPIKey(""), coder.WithCredential(never)}, ""},
		"without a URL":      {[]coder.Option{coder.WithCredential(never)}, ""},
		"in the environment": {[]coder.Option{coder.WithCredential(never), coder.WithURL("http://hub.test")}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "in the environment" {
				t.Setenv("AGENTUITY_SDK_KEY", testKey)
			}
			_, err := coder.NewClient(test.opts...)
			if test.says == "" {
				require.NoError(t, err)
				return
			}
			var bad *coder.ValidationError
			require.ErrorAs(t, err, &bad)
			assert.Equal(t, "coder: NewClient: "+test.says, err.Error())
		})
	}
}

// TestWithCredential_EachAttempt: every request has a key that was asked for before it, discovery's too.
func TestWithCredential_EachAttempt(t *testing.T) {
	clearEnv(t)
	t.Setenv("AGENTUITY_SDK_KEY", "sk_of_the_environment")
	synctest.Test(t, func(t *testing.T) {
		hub := &keyHub{answers: func(n int, _ string, r *http.Request) *http.Response {
			switch {
			case r.URL.Path == "/coder":
				return reply(http.StatusOK, `{"url":"https://hub.test"}`)
			case n < 4:
				return reply(http.StatusServiceUnavailable, `{}`)
			}
			return reply(http.StatusOK, aSession)
		}}
		c := hub.client(t, inTurn("key-one", "agc_key-two", "key-three", "key-four", "key-five"), coder.WithURL(""))
		for range 2 {
			_, err := c.GetSession(t.Context(), "x")
			require.NoError(t, err)
		}
		assert.Equal(t, []string{"key-one", "agc_key-two", "key-three", "key-four", "key-five"}, hub.keys, "in one header each")
		assert.Equal(t, "/coder", hub.paths[0])
	})
}

// TestWithCredential_After401: one more request, with another key, and only then.
func TestWithCredential_After401(t *testing.T) {
	create := func(t *testing.T, c *coder.Client) error {
		_, err := c.CreateSession(t.Context(), coder.CreateSessionRequest{Task: "Sort the list"})
		return err
	}
	look := func(t *testing.T, c *coder.Client) error { _, err := c.GetSession(t.Context(), "x"); return err }
	observe := func(t *testing.T, c *coder.Client) error {
		_, err := take(c.StreamEvents(t.Context(), "x", &coder.StreamEventsOptions{MaxReconnectAttempts: -1}), 1)
		return err
	}
	for name, test := range map[string]struct {
		run  func(*testing.T, *coder.Client) error
		give []string
		most int // RetryPolicy.MaxAttempts
		want []string
		ok   bool
	}{
		"a create":             {run: create, give: []string{"key-old", "key-new"}, want: []string{"key-old", "key-new"}, ok: true},
		"a read":               {run: look, give: []string{"key-old", "key-new"}, want: []string{"key-old", "key-new"}, ok: true},
		"the same key":         {run: create, give: []string{"key-old"}, want: []string{"key-old"}},
		"another that is none": {run: look, give: []string{"key-old", "key-bad", "key-new"}, want: []string{"key-old", "key-bad"}},
		"from one header to the other": {
			run: look, give: []string{"agc_key-old", "key-new"}, want: []string{"agc_key-old", "key-new"}, ok: true,
		},
		"with one attempt only":      {run: look, give: []string{"key-old", "key-new"}, most: 1, want: []string{"key-old"}},
		"it counts against nothing":  {run: look, give: []string{"key-old", "key-new"}, most: 2, want: []string{"key-old", "key-new"}, ok: true},
		"a stream, which has one go": {run: observe, give: []string{"key-old", "key-bad"}, want: []string{"key-old", "key-bad"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hub := &keyHub{answers: onlyFor("key-new", aSession)}
				err := test.run(t, hub.client(t, inTurn(test.give...), coder.WithRetryPolicy(coder.RetryPolicy{MaxAttempts: test.most})))
				assert.Equal(t, test.want, hub.keys)
				if test.ok {
					require.NoError(t, err)
					return
				}
				require.ErrorIs(t, err, coder.ErrUnauthorized)
				require.NotErrorIs(t, err, coder.ErrOutcomeUnknown)
				assert.False(t, coder.IsTransient(err))
				var api *coder.APIError
				require.ErrorAs(t, err, &api)
				assert.Equal(t, len(test.want), api.Attempts)
				for _, key := range test.give {
					assertNoSecret(t, key, name, err)
				}
			})
		})
	}
}

// TestWithCredential_Fails: nothing is sent, and the error is the function's own.
func TestWithCredential_Fails(t *testing.T) {
	const leaked = "sk_leaked-by-the-vault"
	sealed := errors.New("the vault is sealed")
	for name, test := range map[string]struct {
		give func(context.Context) (string, error)
		says string
	}{
		"an error":        {func(context.Context) (string, error) { return "", sealed }, "the vault is sealed"},
		"an empty key":    {func(context.Context) (string, error) { return "", nil }, "it has returned an empty key"},
		"a line break":    {func(context.Context) (string, error) { return leaked + "\n", nil }, "the key contains a character that cannot stand in a header (often a line break at the end)"},
		"it repeats keys": {func(context.Context) (string, error) { return leaked, fmt.Errorf("%q has expired", leaked) }, `"[API key]" has expired`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hub := &keyHub{}
				c := hub.client(t, test.give)
				_, create := c.CreateSession(t.Context(), coder.CreateSessionRequest{Task: "Sort the list"})
				_, look := c.GetSession(t.Context(), "x")
				_, stream := take(c.StreamEvents(t.Context(), "x", nil), 1)
				_, wait := c.WaitForSession(t.Context(), "x", nil)
				_, connect := c.Connect(t.Context(), "x", nil)
				_, found := hub.client(t, test.give, coder.WithURL("")).GetSession(t.Context(), "x")
				assert.Empty(t, hub.keys, "nothing is sent")
				for op, err := range map[string]error{
					"CreateSession": create, "GetSession": look, "StreamEvents": stream, "WaitForSession": wait, "Connect": connect, "discovery": found,
				} {
					require.ErrorContains(t, err, "the function of WithCredential failed: "+test.says, op)
					require.NotErrorIs(t, err, coder.ErrOutcomeUnknown, op)
					require.NotErrorIs(t, err, coder.ErrUnauthorized, op)
					assert.False(t, coder.IsTransient(err), op)
					assert.Equal(t, name == "an error", errors.Is(err, sealed), op)
					assertNoSecret(t, leaked, op, err)
				}
				var failed *coder.RequestError
				require.ErrorAs(t, create, &failed)
				assert.Equal(t, coder.SentNo, failed.Sent)
				assert.Equal(t, "coder: CreateSession: the function of WithCredential failed: "+test.says+" (POST /hub/session)", create.Error())
				var conn *coder.HubConnError
				require.ErrorAs(t, connect, &conn)
			})
		})
	}
}

// TestWithCredential_QuotesItsLast: a key that was refused here, since it cannot stand in a header, is one that is guarded.
func TestWithCredential_QuotesItsLast(t *testing.T) {
	const leaked = "sk_leaked-by-the-vault\x7f"
	n := 0
	c := new(keyHub).client(t, func(context.Context) (string, error) {
		if n++; n == 1 {
			return leaked, nil
		}
		return "", fmt.Errorf("the vault still has %q", leaked)
	})
	_, err := c.GetSession(t.Context(), "x")
	require.ErrorContains(t, err, "cannot stand in a header")
	_, err = c.GetSession(t.Context(), "x")
	require.ErrorContains(t, err, `the vault still has "[API key]"`)
	assertNoSecret(t, leaked[:len(leaked)-1], "the error", err)
}

// TestWithCredential_FailsAfter401: the error also says that the Hub had refused the key.
func TestWithCredential_FailsAfter401(t *testing.T) {
	sealed, n := errors.New("the vault is sealed"), 0
	hub := &keyHub{answers: onlyFor("key-new", aSession)}
	_, err := hub.client(t, func(context.Context) (string, error) {
		if n++; n > 1 {
			return "", sealed
		}
		return "key-old", nil
	}).CreateSession(t.Context(), coder.CreateSessionRequest{Task: "Sort the list"})
	require.ErrorIs(t, err, sealed)
	require.ErrorIs(t, err, coder.ErrUnauthorized)
	require.NotErrorIs(t, err, coder.ErrOutcomeUnknown)
	assert.Equal(t, []string{"key-old"}, hub.keys)
}

// TestWithCredential_Shared: concurrent callers share one call of the function; one that leaves disturbs nobody; who
// was refused a key is not given what somebody was given who had asked before.
func TestWithCredential_Shared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		current := "key-old"
		var mu sync.Mutex
		vault := func(ctx context.Context) (string, error) {
			calls.Add(1)
			mu.Lock()
			key := current
			mu.Unlock()
			select {
			case <-time.After(time.Second):
				return key, nil
			case <-ctx.Done():
				return "", ctx.Err()
			}
		}
		hub := &keyHub{answers: func(_ int, key string, _ *http.Request) *http.Response {
			mu.Lock()
			defer mu.Unlock()
			return onlyFor(current, aSession)(0, key, nil)
		}}
		c := hub.client(t, vault)
		get := func(ctx context.Context) error { _, err := c.GetSession(ctx, "x"); return err }
		var wg sync.WaitGroup
		early, cancel := context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		wg.Go(func() { assert.ErrorIs(t, get(early), context.DeadlineExceeded) })
		for range 100 {
			wg.Go(func() { assert.NoError(t, get(t.Context())) })
		}
		wg.Wait()
		assert.EqualValues(t, 1, calls.Load())
		assert.Len(t, hub.keys, 100)

		// The key changes while a call of the function is under way, which returns the old one. Another caller
		// has asked by then, and is refused in the middle of the third caller's call.
		wg.Go(func() { assert.NoError(t, get(t.Context())) })
		time.Sleep(time.Second / 2)
		mu.Lock()
		current = "key-new"
		mu.Unlock()
		wg.Wait()
		assert.EqualValues(t, 3, calls.Load())

		mu.Lock()
		current = "key-newer"
		mu.Unlock()
		before := calls.Load()
		for range 100 {
			wg.Go(func() { assert.NoError(t, get(t.Context())) })
		}
		wg.Wait()
		assert.EqualValues(t, before+1, calls.Load(), "one for all: it has the new key")

		only, leave := context.WithCancel(t.Context())
		wg.Go(func() { assert.ErrorIs(t, get(only), context.Canceled) })
		synctest.Wait()
		leave()
		wg.Wait() // the function's context has ended with the last caller: the bubble would not end otherwise
	})
}

// TestWithCredential_KeysOfLate are not told, whichever of them the Hub repeats.
func TestWithCredential_KeysOfLate(t *testing.T) {
	hub := &keyHub{answers: func(n int, _ string, _ *http.Request) *http.Response {
		if n < 5 {
			return reply(http.StatusOK, aSession)
		}
		return reply(http.StatusForbidden, `{"error":"not sk_number_one, sk_number_two nor agc_number_three"}`)
	}}
	c := hub.client(t, inTurn("sk_number_one", "sk_number_two", "agc_number_three", "sk_number_four"))
	var last error
	for range 5 {
		_, last = c.GetSession(t.Context(), "x")
	}
	require.ErrorContains(t, last, "not [API key], [API key] nor [API key]")
	for _, key := range []string{"sk_number_one", "sk_number_two", "agc_number_three", "sk_number_four"} {
		assertNoSecret(t, key, "the error", last)
		assertNoSecret(t, key, "the client", c)
	}
}

// rotatingHub is a Hub of codertest whose key changes, at once or within the next call of the function that knows the key of the
// moment, 5 ms later.
func rotatingHub(t *testing.T, test func(t *testing.T, hub *codertest.Hub, c *coder.Client, rotate, rotateWithin func())) {
	t.Helper()
	bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
		var mu sync.Mutex
		n, current, within := 0, "agc_key-number-0", false
		rotate := func() {
			n++
			current = fmt.Sprintf("sk_key-number-%d", n)
			hub.SetAPIKey(current)
		}
		c := hubClient(t, hub, coder.WithAPIKey(""), coder.WithCredential(func(context.Context) (string, error) {
			mu.Lock()
			key := current
			if within {
				within = false
				rotate()
			}
			mu.Unlock()
			time.Sleep(5 * time.Millisecond)
			return key, nil
		}))
		test(t, hub, c, func() {
			mu.Lock()
			defer mu.Unlock()
			rotate()
		}, func() {
			mu.Lock()
			defer mu.Unlock()
			within = true
		})
	}, codertest.WithoutAgent(), codertest.WithAPIKey("agc_key-number-0"))
}

// TestWithCredential_RotationInTheMiddle: the key changes while 1,000 sessions are created, while 1,000 streams and 100
// controllers listen, and before all of them are cut. No session is created twice, and no event is lost.
func TestWithCredential_RotationInTheMiddle(t *testing.T) {
	const sessions, controllers = 1000, 100
	rotatingHub(t, func(t *testing.T, hub *codertest.Hub, c *coder.Client, rotate, rotateWithin func()) {
		ids := make([]string, sessions)
		var creating sync.WaitGroup
		time.AfterFunc(100*time.Millisecond, rotateWithin)
		for i := range ids {
			creating.Go(func() {
				time.Sleep(time.Duration(i/5) * time.Millisecond)
				created, err := c.CreateSession(t.Context(), coder.CreateSessionRequest{Task: "Sort the list"})
				if assert.NoError(t, err) {
					ids[i] = created.SessionID
				}
			})
		}
		creating.Wait()
		slices.Sort(ids)
		require.Len(t, slices.Compact(slices.Clone(ids)), sessions)
		list, err := c.ListSessions(t.Context(), &coder.ListSessionsParams{Limit: 1})
		require.NoError(t, err)
		assert.Equal(t, sessions, list.Total, "no second create")
		refused := 0
		for _, r := range hub.Requests() {
			if r.Status == http.StatusUnauthorized {
				refused++
			}
		}
		assert.Positive(t, refused, "the rotation met some of them")

		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var listening sync.WaitGroup
		heard := make([][]string, sessions+controllers)
		note := func(at int, m any) {
			if b, ok := m.(*coder.BroadcastEventMessage); ok && strings.HasPrefix(b.Event, "task_") {
				heard[at] = append(heard[at], b.Event)
			}
		}
		for i, id := range ids {
			listening.Go(func() {
				for event, err := range c.StreamEvents(ctx, id, nil) {
					if err != nil {
						assert.ErrorIs(t, err, context.Canceled)
						return
					}
					note(i, event.Data)
				}
			})
		}
		var conns [controllers]*coder.HubConn
		for i := range conns {
			conns[i], err = c.Connect(ctx, ids[i], &coder.HubConnectOptions{Role: coder.RoleController})
			require.NoError(t, err)
			listening.Go(func() {
				for m, err := range conns[i].Messages(ctx) {
					if !assert.NoError(t, err) {
						return
					}
					note(sessions+i, m)
				}
			})
		}
		emit := func(name coder.EventName) {
			synctest.Wait()
			for _, id := range ids {
				hub.Session(id).Emit(codertest.Event{Event: name})
			}
			synctest.Wait()
		}
		time.Sleep(time.Second)
		emit("task_started")
		rotate()
		emit("task_progress") // those that are open go on
		before := len(hub.Requests())
		for _, id := range ids {
			hub.Session(id).CutStreams()
		}
		time.Sleep(time.Second / 4)
		rotate() // some wait, some are about to ask, some are back
		time.Sleep(time.Minute)
		emit("task_complete")
		for _, conn := range conns {
			require.NoError(t, conn.Close())
		}
		cancel()
		listening.Wait()
		for i, names := range heard {
			require.Equal(t, []string{"task_started", "task_progress", "task_complete"}, names, "listener %d", i)
		}
		opened := 0
		for _, r := range hub.Requests()[before:] {
			if r.Status == http.StatusOK || r.Status == http.StatusSwitchingProtocols {
				opened++
			}
		}
		assert.GreaterOrEqual(t, opened, sessions+controllers, "all of them came back")
	})
}

// TestWithCredential_HubConn: a connection that is refused for its key tries once more with another, whichever way it
// is refused, and one that is closed for its key comes back with another.
func TestWithCredential_HubConn(t *testing.T) {
	refuse := func(p *peer) {
		_ = p.say(`{"type":"connection_rejected","code":"auth_failed","message":"expired"}`)
		_ = p.Close(4401, "expired")
	}
	// admit plays the handshake. The key is the same in the header and in the first frame.
	admit := func(p *peer) {
		hello, err := p.hear()
		if !assert.NoError(p.t, err) {
			return
		}
		assert.Equal(p.t, p.request.Header.Get("Authorization"), fmt.Sprint("Bearer ", hello["authorization"]))
		_ = p.say(`{"type":"init","role":"controller","sessionId":"codesess_1"}`)
		_, _ = p.hear()
	}
	for name, test := range map[string]struct {
		play func(p *peer)
		give []string
		want string // "": connected
		dial int
	}{
		"refused by a message": {
			play: func(p *peer) {
				if p.n == 1 {
					refuse(p)
					return
				}
				admit(p)
				p.listen()
			},
			give: []string{"key-old", "key-new"}, dial: 2,
		},
		"refused again": {
			play: refuse,
			give: []string{"key-old", "key-new", "key-newer"}, want: "auth_failed", dial: 2,
		},
		"the same key": {
			play: refuse,
			give: []string{"key-old"}, want: "auth_failed", dial: 1,
		},
		"closed later": {
			play: func(p *peer) {
				admit(p)
				if p.n == 1 {
					_ = p.Close(4401, "expired")
					return
				}
				p.listen()
			},
			give: []string{"key-old", "key-new"}, dial: 2,
		},
	} {
		t.Run(name, func(t *testing.T) {
			var dials atomic.Int32
			live(t, func(p *peer) {
				dials.Store(int32(p.n)) //nolint:gosec // a small number
				test.play(p)
			}, func(t *testing.T, hub *liveHub) {
				c := hub.client(coder.WithAPIKey(""), coder.WithCredential(inTurn(test.give...)))
				conn, err := c.Connect(t.Context(), "codesess_1", &coder.HubConnectOptions{Role: coder.RoleController})
				if test.want != "" {
					require.ErrorContains(t, err, test.want)
				} else {
					require.NoError(t, err)
					conn.DiscardMessages()
					time.Sleep(10 * time.Second) // the peer answers no ping: not for longer
					assert.Equal(t, coder.StateConnected, conn.State())
					require.NoError(t, conn.Close())
				}
				assert.EqualValues(t, test.dial, dials.Load())
			})
		})
	}
}

// TestWithCredential_AwayForAWhile: what had been connected waits for a key as it waits for a Hub.
func TestWithCredential_AwayForAWhile(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		var sealed atomic.Bool
		c := hubClient(t, hub, coder.WithAPIKey(""), coder.WithCredential(func(context.Context) (string, error) {
			if sealed.Load() {
				return "", errors.New("the vault is sealed")
			}
			return "sk_some-key", nil
		}))
		id := newSession(t, c)
		conn, err := c.Connect(t.Context(), id, &coder.HubConnectOptions{Role: coder.RoleController})
		require.NoError(t, err)
		conn.DiscardMessages()
		ctx, cancel := context.WithCancel(t.Context())
		var back int
		var wg sync.WaitGroup
		wg.Go(func() {
			for event, err := range c.StreamEvents(ctx, id, nil) {
				if err != nil {
					assert.ErrorIs(t, err, context.Canceled)
					return
				}
				if _, ok := event.Data.(*coder.ReconnectedMessage); ok {
					back++
				}
			}
		})
		time.Sleep(time.Second)
		sealed.Store(true)
		hub.Session(id).CutStreams()
		time.Sleep(10 * time.Second)
		assert.NotEqual(t, coder.StateConnected, conn.State())
		sealed.Store(false)
		time.Sleep(time.Minute)
		assert.Equal(t, coder.StateConnected, conn.State())
		require.NoError(t, conn.Close())
		cancel()
		wg.Wait()
		assert.Equal(t, 1, back)
	})
}
