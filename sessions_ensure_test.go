package coder_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
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

var ensureTask = coder.CreateSessionRequest{Task: "Review pull request 7", Metadata: map[string]any{"team": "payments"}}

func ensure(t *testing.T, c *coder.Client, key string, o *coder.EnsureSessionOptions) (*coder.EnsuredSession, error) {
	t.Helper()
	return c.EnsureSession(t.Context(), key, ensureTask, o)
}

const postSession = "/hub/session"

func TestEnsureSession(t *testing.T) {
	t.Run("creates once, finds afterwards", func(t *testing.T) {
		bubble(t, func(t *testing.T, hub *codertest.Hub) {
			c := hubClient(t, hub)
			first, err := ensure(t, c, "delivery-1", nil)
			require.NoError(t, err)
			assert.True(t, first.Created)
			assert.False(t, first.Recovered)
			assert.Equal(t, map[string]any{"team": "payments", "idempotencyKey": "delivery-1"}, first.Session.Metadata)
			assert.NotContains(t, ensureTask.Metadata, "idempotencyKey", "the caller's map is left alone")
			hub.Session(first.SessionID).Archive()
			second, err := ensure(t, c, "delivery-1", nil)
			require.NoError(t, err)
			assert.Equal(t, first.SessionID, second.SessionID, "archived ones are found too")
			assert.False(t, second.Created)
			assert.True(t, second.Session.HistoryOnly)
			other, err := ensure(t, c, "delivery", nil)
			require.NoError(t, err)
			assert.NotEqual(t, first.SessionID, other.SessionID, "a key that is part of another is another")
			assert.Len(t, hub.SessionIDs(), 2)
		})
	})
	t.Run("of several the oldest", func(t *testing.T) {
		bubble(t, func(t *testing.T, hub *codertest.Hub) {
			c := hubClient(t, hub)
			for range 3 {
				_, err := c.CreateSession(t.Context(), coder.CreateSessionRequest{Task: "x", Metadata: map[string]any{"idempotencyKey": "k"}})
				require.NoError(t, err)
				time.Sleep(time.Second)
			}
			got, err := ensure(t, c, "k", nil)
			require.NoError(t, err)
			assert.Equal(t, hub.SessionIDs()[0], got.SessionID)
		})
	})
	t.Run("concurrent calls share one create", func(t *testing.T) {
		bubble(t, func(t *testing.T, hub *codertest.Hub) {
			c := hubClient(t, hub)
			hub.Inject(codertest.Fault{Method: http.MethodPost, Route: postSession, Delay: time.Second})
			var created atomic.Int32
			var wg sync.WaitGroup
			for i := range 50 {
				wg.Go(func() {
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					if i%5 == 0 {
						time.AfterFunc(500*time.Millisecond, cancel) // leaves early, and disturbs nobody
					}
					got, err := c.EnsureSession(ctx, "k", ensureTask, nil)
					if i%5 == 0 {
						assert.ErrorIs(t, err, context.Canceled)
						assert.ErrorAs(t, err, new(*coder.RequestError))
						assert.ErrorIs(t, err, coder.ErrOutcomeUnknown, "it goes on for others")
						return
					}
					if assert.NoError(t, err) && got.Created {
						created.Add(1)
					}
				})
			}
			wg.Wait()
			assert.EqualValues(t, 1, created.Load(), "one of them has created it")
			assert.Len(t, hub.SessionIDs(), 1)
		})
	})
	t.Run("ends with its last caller", func(t *testing.T) {
		bubble(t, func(t *testing.T, hub *codertest.Hub) {
			c := hubClient(t, hub)
			hub.Inject(codertest.Fault{Method: http.MethodPost, Stall: true})
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			began := time.Now()
			_, err := c.EnsureSession(ctx, "k", ensureTask, nil)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.ErrorIs(t, err, coder.ErrOutcomeUnknown, "the create was under way")
			assert.Equal(t, time.Second, time.Since(began))
			c.CloseIdleConnections()
		})
	})
	for name, fault := range map[string]codertest.Fault{
		"the answer is lost": {Cut: codertest.CutAfterEffect}, "502 after the effect": {Status: 502, Effect: true},
		"garbage": {Status: 201, Body: []byte("<html>"), Effect: true}, "the answer is cut": {Cut: codertest.CutMidBody},
	} {
		t.Run("recovers when "+name, func(t *testing.T) {
			bubble(t, func(t *testing.T, hub *codertest.Hub) {
				c := hubClient(t, hub)
				fault.Method = http.MethodPost
				hub.Inject(fault)
				hub.Inject(codertest.Fault{Route: "/hub/sessions", Skip: 1, Count: 2, Body: []byte(`{"sessions":{"websocket":[],"sandbox":[]},"total":0}`)})
				got, err := ensure(t, c, "k", nil)
				require.NoError(t, err)
				assert.True(t, got.Recovered)
				assert.True(t, got.Created)
				assert.Equal(t, []string{got.SessionID}, hub.SessionIDs())
			})
		})
	}
	t.Run("gives up after the window", func(t *testing.T) {
		for _, repost := range []bool{false, true} {
			bubble(t, func(t *testing.T, hub *codertest.Hub) {
				c := hubClient(t, hub)
				hub.Inject(codertest.Fault{Method: http.MethodPost, Cut: codertest.CutBeforeEffect})
				began := time.Now()
				options := &coder.EnsureSessionOptions{LookupWindow: 20 * time.Second}
				if repost {
					options.RepostAfter = 20 * time.Second
				}
				got, err := ensure(t, c, "k", options)
				assert.InDelta(t, 20, time.Since(began).Seconds(), 0.1)
				if repost {
					require.NoError(t, err)
					assert.True(t, got.Created)
					assert.Len(t, hub.SessionIDs(), 1)
					return
				}
				require.ErrorIs(t, err, coder.ErrOutcomeUnknown)
				assert.Empty(t, hub.SessionIDs())
			})
		}
	})
	t.Run("who comes right after a caller that left looks first", func(t *testing.T) {
		for name, arrives := range map[string]bool{"it was created": true, "it was not": false} {
			t.Run(name, func(t *testing.T) {
				bubble(t, func(t *testing.T, hub *codertest.Hub) {
					c := hubClient(t, hub)
					fault := codertest.Fault{Method: http.MethodPost, Cut: codertest.CutBeforeEffect, Stall: true}
					if arrives {
						fault.Cut = codertest.CutAfterEffect
					}
					hub.Inject(fault)
					// The search of the Hub is late: what was created shows up after some seconds.
					hub.Inject(codertest.Fault{Route: "/hub/sessions", Skip: 1, Count: 2, Body: []byte(`{"sessions":{"websocket":[],"sandbox":[]},"total":0}`)})
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					defer cancel()
					_, err := c.EnsureSession(ctx, "k", ensureTask, nil)
					require.ErrorIs(t, err, coder.ErrOutcomeUnknown)

					got, err := ensure(t, c, "k", &coder.EnsureSessionOptions{LookupWindow: 20 * time.Second})
					if arrives {
						require.NoError(t, err)
						assert.True(t, got.Recovered)
						assert.Len(t, hub.SessionIDs(), 1)
						return
					}
					require.ErrorIs(t, err, coder.ErrOutcomeUnknown)
					assert.Empty(t, hub.SessionIDs())
					got, err = ensure(t, c, "k", nil)
					require.NoError(t, err, "after the window it is created")
					assert.True(t, got.Created)
					c.CloseIdleConnections()
				})
			})
		}
	})
	t.Run("posts again after RepostAfter, within the window", func(t *testing.T) {
		for name, test := range map[string]struct {
			lost    int // creates that do not arrive
			options coder.EnsureSessionOptions
			posts   int
			after   time.Duration
			unknown bool
		}{
			"once":                 {1, coder.EnsureSessionOptions{RepostAfter: 5 * time.Second}, 2, 5 * time.Second, false},
			"three times":          {3, coder.EnsureSessionOptions{RepostAfter: 5 * time.Second}, 4, 15 * time.Second, false},
			"until the window":     {99, coder.EnsureSessionOptions{RepostAfter: 25 * time.Second}, 3, 60 * time.Second, true},
			"beyond the window":    {1, coder.EnsureSessionOptions{RepostAfter: 90 * time.Second}, 2, 90 * time.Second, false},
			"without a lookup":     {1, coder.EnsureSessionOptions{LookupWindow: -1}, 1, 0, true},
			"never, by default":    {1, coder.EnsureSessionOptions{}, 1, 60 * time.Second, true},
			"only where it is set": {1, coder.EnsureSessionOptions{LookupWindow: time.Second}, 1, time.Second, true},
		} {
			t.Run(name, func(t *testing.T) {
				bubble(t, func(t *testing.T, hub *codertest.Hub) {
					c := hubClient(t, hub)
					hub.Inject(codertest.Fault{Method: http.MethodPost, Cut: codertest.CutBeforeEffect, Count: test.lost})
					began := time.Now()
					_, err := ensure(t, c, "k", &test.options)
					assert.Equal(t, test.unknown, errors.Is(err, coder.ErrOutcomeUnknown), "%v", err)
					assert.InDelta(t, test.after.Seconds(), time.Since(began).Seconds(), 0.1)
					posts := 0
					for _, r := range hub.Requests() {
						if r.Method == http.MethodPost {
							posts++
						}
					}
					assert.Equal(t, test.posts, posts)
				})
			})
		}
	})
	t.Run("lookups that are not answered do not count for RepostAfter", func(t *testing.T) {
		bubble(t, func(t *testing.T, hub *codertest.Hub) {
			c := hubClient(t, hub)
			hub.Inject(codertest.Fault{Method: http.MethodPost, Cut: codertest.CutAfterEffect})
			away := hub.Inject(codertest.Fault{Method: http.MethodGet, Skip: 1, Status: 500, Count: -1})
			time.AfterFunc(20*time.Second, away.Remove)
			got, err := ensure(t, c, "k", &coder.EnsureSessionOptions{RepostAfter: 5 * time.Second})
			require.NoError(t, err)
			assert.True(t, got.Recovered)
			assert.Len(t, hub.SessionIDs(), 1)
		})
	})
	t.Run("a Hub that does not answer the looks", func(t *testing.T) {
		bubble(t, func(t *testing.T, hub *codertest.Hub) {
			c := hubClient(t, hub)
			hub.Inject(codertest.Fault{Method: http.MethodPost, Cut: codertest.CutAfterEffect})
			away := hub.Inject(codertest.Fault{Method: http.MethodGet, Skip: 1, Status: 500, Count: -1})
			_, err := ensure(t, c, "k", nil)
			require.ErrorIs(t, err, coder.ErrOutcomeUnknown)
			away.Remove()
			got, err := ensure(t, c, "k", nil)
			require.NoError(t, err)
			assert.False(t, got.Created)
		})
	})
	t.Run("a detail that cannot be read", func(t *testing.T) {
		bubble(t, func(t *testing.T, hub *codertest.Hub) {
			hub.Inject(codertest.Fault{Route: "/hub/session/{id}", Status: 500})
			got, err := ensure(t, hubClient(t, hub), "k", nil)
			require.NoError(t, err)
			assert.Nil(t, got.Session)
			assert.NotEmpty(t, got.SessionID)
		})
	})
	t.Run("a first look that fails creates nothing", func(t *testing.T) {
		bubble(t, func(t *testing.T, hub *codertest.Hub) {
			hub.Inject(codertest.Fault{Method: http.MethodGet, Status: 403})
			_, err := ensure(t, hubClient(t, hub), "k", nil)
			require.ErrorIs(t, err, coder.ErrForbidden)
			require.NotErrorIs(t, err, coder.ErrOutcomeUnknown)
			assert.Empty(t, hub.SessionIDs())
		})
	})
	t.Run("bad arguments", func(t *testing.T) {
		bubble(t, func(t *testing.T, hub *codertest.Hub) {
			c := hubClient(t, hub)
			for field, call := range map[string]func() error{
				"key": func() error { _, err := ensure(t, c, " ", nil); return err },
				"task": func() error {
					_, err := c.EnsureSession(t.Context(), "k", coder.CreateSessionRequest{}, nil)
					return err
				},
				"RepostAfter": func() error {
					_, err := ensure(t, c, "k", &coder.EnsureSessionOptions{RepostAfter: -1})
					return err
				},
				"metadata.idempotencyKey": func() error {
					_, err := c.EnsureSession(t.Context(), "k", coder.CreateSessionRequest{Task: "x", Metadata: map[string]any{"idempotencyKey": "other"}}, nil)
					return err
				},
			} {
				var invalid *coder.ValidationError
				require.ErrorAs(t, call(), &invalid)
				assert.Equal(t, field, invalid.Field)
				assert.Equal(t, "EnsureSession", invalid.Operation)
			}
			_, err := c.EnsureSession(t.Context(), "k", coder.CreateSessionRequest{Task: "x", Metadata: map[string]any{"idempotencyKey": "k"}}, nil)
			require.NoError(t, err, "the same key is fine")
			assert.Len(t, hub.SessionIDs(), 1)
		})
	})
}

// ensureBooks adds up what a storm of calls came to.
type ensureBooks struct {
	calls, created, found, recovered, unknown, notTried int
	blind, planned                                      int
}

// TestEnsureSession_NewIfOver: what is over and has not done its task makes room for another session, once.
func TestEnsureSession_NewIfOver(t *testing.T) {
	newIfOver := &coder.EnsureSessionOptions{NewIfOver: true}
	run := func(t *testing.T, hub *codertest.Hub, c *coder.Client) *codertest.SessionControl {
		t.Helper()
		first, err := ensure(t, c, "key", newIfOver)
		require.NoError(t, err)
		require.True(t, first.Created)
		session := hub.Session(first.SessionID)
		session.SetStatus("active")
		time.Sleep(time.Minute)
		return session
	}
	for name, test := range map[string]struct {
		model   []codertest.AgentError
		becomes func(*codertest.SessionControl)
		another bool
	}{
		"done":                     {},
		"done, archived":           {becomes: (*codertest.SessionControl).Archive},
		"done, shut down":          {becomes: (*codertest.SessionControl).Shutdown},
		"done, asleep":             {becomes: (*codertest.SessionControl).Pause},
		"failed":                   {model: []codertest.AgentError{codertest.AgentInvalidRequest}, another: true},
		"failed, archived":         {model: []codertest.AgentError{codertest.AgentInvalidRequest}, becomes: (*codertest.SessionControl).Archive, another: true},
		"lost its runtime":         {becomes: func(s *codertest.SessionControl) { s.SetStatus("error") }, another: true},
		"no model, archived":       {model: []codertest.AgentError{codertest.AgentNoModelKey}, becomes: (*codertest.SessionControl).Archive, another: true},
		"no model":                 {model: []codertest.AgentError{codertest.AgentNoModelKey}},
		"loop cancelled":           {becomes: func(s *codertest.SessionControl) { s.SetLoop(codertest.Loop{Status: coder.LoopCancelled}) }, another: true},
		"loop blocked":             {becomes: func(s *codertest.SessionControl) { s.SetLoop(codertest.Loop{Status: coder.LoopBlocked}) }},
		"loop completed, archived": {becomes: func(s *codertest.SessionControl) { s.SetLoop(codertest.Loop{Status: coder.LoopCompleted}); s.Archive() }},
	} {
		t.Run(name, func(t *testing.T) {
			bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
				c := hubClient(t, hub)
				session := run(t, hub, c)
				if test.becomes != nil {
					test.becomes(session)
				}
				for range 2 {
					again, err := ensure(t, c, "key", newIfOver)
					require.NoError(t, err)
					assert.Equal(t, test.another, again.SessionID != session.ID())
				}
				assert.Len(t, hub.SessionIDs(), map[bool]int{false: 1, true: 2}[test.another], "one more, not one each time")
				plain, err := ensure(t, c, "key", nil)
				require.NoError(t, err)
				assert.Equal(t, session.ID(), plain.SessionID, "by default the oldest, whatever has become of it")
			}, codertest.WithAgentErrors(test.model...))
		})
	}
	t.Run("a create of unknown outcome", func(t *testing.T) {
		bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
			c := hubClient(t, hub)
			session := run(t, hub, c)
			session.Archive()
			hub.Inject(codertest.Fault{Method: http.MethodPost, Route: postSession, Cut: codertest.CutAfterEffect})
			again, err := ensure(t, c, "key", newIfOver)
			require.NoError(t, err)
			assert.True(t, again.Recovered)
			assert.NotEqual(t, session.ID(), again.SessionID, "not what was over before")
			hub.Inject(codertest.Fault{Method: http.MethodGet, Route: "/hub/session/{id}/events/history", Status: 500})
			_, err = ensure(t, c, "key", newIfOver)
			require.ErrorContains(t, err, "coder: EnsureSession: 500")
			assert.True(t, coder.IsTransient(err))
			assert.Len(t, hub.SessionIDs(), 2, "what cannot be told creates nothing")
		}, codertest.WithAgentErrors(codertest.AgentInvalidRequest))
	})
}

// TestEnsureSession_NewIfOverLooksOnce: however many are over, the sessions are listed once.
func TestEnsureSession_NewIfOverLooksOnce(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		c := hubClient(t, hub)
		for range 30 {
			created, err := c.CreateSession(t.Context(), coder.CreateSessionRequest{Task: "Do it", Metadata: map[string]any{"idempotencyKey": "key"}})
			require.NoError(t, err)
			hub.Session(created.SessionID).Archive()
		}
		before := len(hub.Requests())
		made, err := ensure(t, c, "key", &coder.EnsureSessionOptions{NewIfOver: true})
		require.NoError(t, err)
		assert.True(t, made.Created)
		lists, reads := 0, 0
		for _, r := range hub.Requests()[before:] {
			switch {
			case r.Route == "/hub/sessions":
				lists++
			case r.Route == "/hub/session/{id}":
				reads++
			}
		}
		assert.Equal(t, 1, lists)
		assert.LessOrEqual(t, reads, 2*30+1)
	})
}

// stormRounds is how often a storm is raised; race_test.go has fewer.
var stormRounds = 100

// TestEnsureSession_Storm makes 10,000 calls through faults drawn from a seeded plan, and judges
// them by the Hub's own books.
func TestEnsureSession_Storm(t *testing.T) {
	const callsARound = 100
	var books ensureBooks
	for round := range stormRounds {
		synctest.Test(t, func(t *testing.T) { ensureRound(t, uint64(round), callsARound, &books) })
	}
	require.Equal(t, stormRounds*callsARound, books.calls)
	require.Positive(t, books.recovered)
	require.Positive(t, books.unknown)
	t.Logf("%d calls: %d created, %d found, %d of them recovered from an unknown outcome, %d told that it is unknown, %d told that nothing was tried",
		books.calls, books.created, books.found, books.recovered, books.unknown, books.notTried)
	t.Logf("blind repetition of the same plan would have made %d sessions for %d", books.blind, books.planned)
	require.Greater(t, books.blind, books.planned)
}

// drawFault draws what happens to a create, and whether it then has an effect and an answer.
func drawFault(random *rand.Rand) (f codertest.Fault, effect, answered bool) {
	f = codertest.Fault{Method: http.MethodPost, Route: postSession}
	switch random.IntN(10) {
	case 0:
		f.Cut = codertest.CutBeforeEffect
	case 1:
		f.Cut, effect = codertest.CutAfterEffect, true
	case 2:
		f.Status, f.Effect = 502, random.IntN(2) == 0
		effect = f.Effect
	case 3:
		f.Status = 503
	case 4:
		f.Status, f.Body, f.Effect, effect = 201, []byte("<html>"), true, true
	default: // nothing happens
		effect, answered = true, true
	}
	return f, effect, answered
}

func ensureRound(t *testing.T, seed uint64, calls int, books *ensureBooks) {
	random := rand.New(rand.NewPCG(seed, 7))
	hub := codertest.NewHub(codertest.WithInMemoryNetwork())
	defer hub.Close()
	c := hubClient(t, hub)
	var injected []*codertest.Injection
	keys := calls * 4 / 5
	// The plan is as long as blind repetition needs it, which goes on until an answer comes, key
	// after key.
	for made := 0; made < keys; {
		f, effect, answered := drawFault(random)
		injected = append(injected, hub.Inject(f))
		if effect {
			books.blind++
		}
		if answered {
			made++
		}
	}
	books.planned += keys
	for range calls / 10 {
		away := codertest.Fault{Method: http.MethodGet, Skip: random.IntN(20), Status: []int{502, 503, 504, 500}[random.IntN(4)], Count: 1 + random.IntN(3)}
		injected = append(injected, hub.Inject(away))
	}

	type result struct {
		key string
		got *coder.EnsuredSession
		err error
	}
	results := make(chan result, calls)
	var wg sync.WaitGroup
	for i := range calls {
		// Some keys are called twice, at once or later.
		key := fmt.Sprintf("job-%d-%05d", seed, i%keys)
		delay := time.Duration(random.IntN(200)) * time.Second
		if i >= keys && i%2 == 0 {
			delay = 0
		}
		wg.Go(func() {
			time.Sleep(delay)
			got, err := c.EnsureSession(t.Context(), key, coder.CreateSessionRequest{Task: "x"}, nil)
			results <- result{key, got, err}
		})
	}
	wg.Wait()
	close(results)
	for _, in := range injected {
		in.Remove()
	}

	byKey := sessionsByKey(t, hub)
	told := make(map[string]bool)
	returned := make(map[string]string)
	createdBy := make(map[string]int)
	for r := range results {
		books.calls++
		switch {
		case r.err == nil:
			if id, ok := returned[r.key]; ok {
				assert.Equal(t, id, r.got.SessionID, "calls with one key get one session")
			}
			returned[r.key] = r.got.SessionID
			if r.got.Created {
				books.created++
				createdBy[r.key]++
			} else {
				books.found++
			}
			if r.got.Recovered {
				books.recovered++
			}
		case errors.Is(r.err, coder.ErrOutcomeUnknown):
			books.unknown++
			told[r.key] = true
		default:
			books.notTried++
		}
	}
	for key, id := range returned {
		assert.Equal(t, []string{id}, byKey[key], "a key whose call succeeded has one session, the one that was returned")
		assert.LessOrEqual(t, createdBy[key], 1)
	}
	for key, ids := range byKey {
		assert.Len(t, ids, 1, "no key has two")
		if _, ok := returned[key]; !ok {
			assert.True(t, told[key], "who has no session was told that there may be one")
		}
	}
	c.CloseIdleConnections()
}

// sessionsByKey reads the Hub's books, past the client and the network.
func sessionsByKey(t *testing.T, hub *codertest.Hub) map[string][]string {
	t.Helper()
	byKey := make(map[string][]string)
	for _, id := range hub.SessionIDs() {
		w := httptest.NewRecorder()
		hub.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/api/hub/session/"+id, nil))
		require.Equal(t, http.StatusOK, w.Code)
		var s struct {
			Metadata struct{ IdempotencyKey string }
		}
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &s))
		byKey[s.Metadata.IdempotencyKey] = append(byKey[s.Metadata.IdempotencyKey], id)
	}
	return byKey
}
