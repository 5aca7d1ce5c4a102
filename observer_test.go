package coder_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// onlooker is an Observer that keeps what it is told.
type onlooker struct {
	mu          sync.Mutex
	began       []coder.CallInfo
	over        []coder.CallResult
	attempts    []coder.AttemptInfo
	connections []coder.ConnectionInfo
	agent       []coder.AgentInfo
	open        int      // calls that are not over
	chains      []string // of each attempt, the calls it belongs to
}

type chainKey struct{}

func chainOf(ctx context.Context) string {
	chain, _ := ctx.Value(chainKey{}).(string)
	return chain
}

func (w *onlooker) observer() coder.Option {
	return coder.WithObserver(coder.Observer{
		Call: func(ctx context.Context, info coder.CallInfo) (context.Context, func(coder.CallResult)) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.began = append(w.began, info)
			w.open++
			name := strings.TrimSpace(fmt.Sprintf("%s %s %s", info.Operation, info.Method, info.Route))
			return context.WithValue(ctx, chainKey{}, strings.TrimPrefix(chainOf(ctx)+" > "+name, " > ")), func(r coder.CallResult) {
				w.mu.Lock()
				defer w.mu.Unlock()
				w.open--
				w.over = append(w.over, r)
			}
		},
		Attempt: func(ctx context.Context, info coder.AttemptInfo) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.attempts = append(w.attempts, info)
			w.chains = append(w.chains, chainOf(ctx))
		},
		Connection: func(ctx context.Context, info coder.ConnectionInfo) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.connections = append(w.connections, info)
			w.chains = append(w.chains, chainOf(ctx))
		},
		Agent: func(ctx context.Context, info coder.AgentInfo) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.agent = append(w.agent, info)
			w.chains = append(w.chains, chainOf(ctx))
		},
	})
}

// changes are what was told of connections, in a line each.
func (w *onlooker) changes() (lines []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.connections {
		lines = append(lines, fmt.Sprintf("%s %s %s attempt %d error %t up %v down %t", c.Operation, c.Route, c.Change, c.Attempt, c.Err != nil, c.Up.Round(time.Second), c.Down > 0))
	}
	return lines
}

func TestWithObserver_Attempts(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		w := new(onlooker)
		c := hubClient(t, hub, w.observer())
		created, err := c.CreateSession(t.Context(), coder.CreateSessionRequest{Task: "Say hello"})
		require.NoError(t, err)
		hub.Inject(codertest.Fault{Method: http.MethodGet, Status: 503, Header: http.Header{"Retry-After": {"2"}}})
		hub.Inject(codertest.Fault{Method: http.MethodGet, Cut: codertest.CutMidBody})
		_, err = c.GetSession(t.Context(), created.SessionID)
		require.NoError(t, err)
		_, err = c.GetSession(t.Context(), "codesess_none")
		require.ErrorIs(t, err, coder.ErrSessionNotFound)

		get := func(id string) coder.CallInfo {
			return coder.CallInfo{Operation: "GetSession", Method: "GET", Route: "/hub/session/{sessionID}", SessionID: id}
		}
		assert.Equal(t, []coder.CallInfo{{Operation: "CreateSession", Method: "POST", Route: "/hub/session"}, get(created.SessionID), get("codesess_none")}, w.began)
		require.Len(t, w.over, 3)
		assert.Equal(t, []int{1, 3, 1}, []int{w.over[0].Attempts, w.over[1].Attempts, w.over[2].Attempts})
		assert.Equal(t, []int{201, 200, 404}, []int{w.over[0].StatusCode, w.over[1].StatusCode, w.over[2].StatusCode})
		require.NoError(t, w.over[1].Err)
		assert.Equal(t, created.SessionID, w.over[0].SessionID, "the answer names it")
		assert.Equal(t, created.SessionID, w.over[1].SessionID)
		require.ErrorIs(t, w.over[2].Err, coder.ErrSessionNotFound)
		require.Len(t, w.attempts, 5)
		for _, a := range w.attempts {
			assert.Equal(t, hub.URL(), a.Scheme+"://"+a.Host)
		}
		var lines []string
		for _, a := range w.attempts {
			lines = append(lines, fmt.Sprintf("%s %s %s %d: status %d failure %q error %t sent %t received %t again %t wait %t",
				a.Operation, a.Method, a.Route, a.Attempt, a.StatusCode, a.Failure, a.Err != nil, a.Sent > 0, a.Received > 0, a.Again, a.Wait > 0))
		}
		assert.Equal(t, []string{
			`CreateSession POST /hub/session 1: status 201 failure "" error false sent true received true again false wait false`,
			`GetSession GET /hub/session/{sessionID} 1: status 503 failure "unavailable" error false sent false received true again true wait true`,
			`GetSession GET /hub/session/{sessionID} 2: status 0 failure "lost" error true sent false received true again true wait true`,
			`GetSession GET /hub/session/{sessionID} 3: status 200 failure "" error false sent false received true again false wait false`,
			`GetSession GET /hub/session/{sessionID} 1: status 404 failure "rejected" error false sent false received true again false wait false`,
		}, lines)
		assert.GreaterOrEqual(t, w.attempts[1].Wait, 2*time.Second)
		assert.GreaterOrEqual(t, w.over[1].Duration, w.attempts[1].Wait+w.attempts[2].Wait)
		requests := hub.Requests()
		assert.EqualValues(t, len(requests[0].Body), w.attempts[0].Sent)
		assert.Equal(t, "CreateSession POST /hub/session", w.chains[0])
	})
}

// TestWithObserver_Failures: each way in which an attempt fails has its name.
func TestWithObserver_Failures(t *testing.T) {
	for status, want := range map[int]coder.AttemptFailure{
		302: coder.FailureRejected, 400: coder.FailureRejected, 401: coder.FailureRejected, 404: coder.FailureRejected, 501: coder.FailureRejected,
		408: coder.FailureTooLate, 425: coder.FailureTooLate, 429: coder.FailureRateLimited, 500: coder.FailureServerError,
		502: coder.FailureUnavailable, 503: coder.FailureUnavailable, 200: "",
	} {
		bubble(t, func(t *testing.T, hub *codertest.Hub) {
			w := new(onlooker)
			c := hubClient(t, hub, w.observer(), coder.WithRetryPolicy(coder.RetryPolicy{MaxAttempts: 1}))
			hub.Inject(codertest.Fault{Status: status, Body: []byte("{}"), Count: -1})
			_, _ = c.ListSessions(t.Context(), nil)
			require.Len(t, w.attempts, 1)
			assert.Equal(t, want, w.attempts[0].Failure, status)
			assert.Equal(t, status, w.attempts[0].StatusCode)
			assert.Equal(t, status, w.over[0].StatusCode)
			require.Error(t, w.over[0].Err, "an answer of no use is no success: %d", status)
			assert.Equal(t, cmp.Or(want, coder.FailureUnusable), w.over[0].Failure)
		})
	}
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		w := new(onlooker)
		refused := errors.New("refused")
		c := newClient(t, coder.WithURL(hub.URL()), coder.WithHTTPClient(hub.HTTPClient()), w.observer(), coder.WithCredential(func(context.Context) (string, error) { return "", refused }))
		_, err := c.ListSessions(t.Context(), nil)
		require.ErrorIs(t, err, refused)
		assert.Empty(t, w.attempts, "nothing was attempted")
		assert.Equal(t, coder.FailureNoCredential, w.over[0].Failure)
		require.ErrorIs(t, w.over[0].Err, refused)

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		hub.Inject(codertest.Fault{Delay: time.Minute})
		_, err = hubClient(t, hub, w.observer()).ListSessions(ctx, nil)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Len(t, w.attempts, 1)
		assert.Equal(t, coder.FailureEnded, w.attempts[0].Failure)
		assert.Equal(t, time.Second, w.attempts[0].Duration)
	})
}

// TestWithObserver_Methods: every method is a call with its name, whose routes are templates.
func TestWithObserver_Methods(t *testing.T) {
	for _, m := range methods {
		t.Run(m.name, func(t *testing.T) {
			w := new(onlooker)
			body := sample(t, m.sample)
			s := newServer(t, answerJSON(http.StatusOK, body))
			c := s.client(t, w.observer())
			id := m.sampleID(t)
			_, err := m.call(t.Context(), c, id)
			require.NoError(t, err)
			require.NotEmpty(t, w.began)
			assert.Zero(t, w.open, "every call is over")
			assert.Len(t, w.attempts, len(s.seen()), "every request is an attempt")
			for i, call := range w.began {
				assert.Equal(t, m.name, call.Operation)
				assert.NotContains(t, call.Route, id)
				assert.NotContains(t, call.Route, "?")
				require.NoError(t, w.over[i].Err)
			}
			method, target, _ := strings.Cut(m.route, " ")
			path, _, _ := strings.Cut(strings.TrimPrefix(target, "/api"), "?")
			route := w.attempts[0].Route
			if m.name == "Do" {
				assert.Empty(t, route, "it is not known")
				return
			}
			assert.Equal(t, method, w.attempts[0].Method)
			assert.Len(t, strings.Split(route, "/"), len(strings.Split(path, "/")))
			for i, part := range strings.Split(route, "/") {
				if want := strings.Split(path, "/")[i]; !strings.HasPrefix(part, "{") {
					assert.Equal(t, want, part, "of %s", route)
				}
			}
			_, err = m.call(t.Context(), c, "..")
			if m.hasID() {
				require.Error(t, err)
				assert.Zero(t, w.open)
			}
		})
	}
}

// TestWithObserver_Repeated: what was done by an attempt whose answer was lost is a success.
func TestWithObserver_Repeated(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		w := new(onlooker)
		c := hubClient(t, hub, w.observer())
		id := newSession(t, hubClient(t, hub))
		hub.Inject(codertest.Fault{Method: http.MethodPost, Cut: codertest.CutAfterEffect})
		_, err := c.ArchiveSession(t.Context(), id)
		require.NoError(t, err)
		hub.Inject(codertest.Fault{Method: http.MethodDelete, Cut: codertest.CutAfterEffect})
		require.NoError(t, c.DeleteSession(t.Context(), id))
		require.Len(t, w.over, 2)
		for _, r := range w.over {
			require.NoError(t, r.Err)
			assert.Equal(t, 2, r.Attempts)
		}
	})
}

// TestWithObserver_Parents: what a method made of several calls does goes on with the context that it was given.
func TestWithObserver_Parents(t *testing.T) {
	bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
		w := new(onlooker)
		c := hubClient(t, hub, w.observer())
		result, err := c.RunSession(t.Context(), "key", runTask, nil)
		require.NoError(t, err)
		assert.Equal(t, coder.CallInfo{Operation: "RunSession"}, w.began[0])
		assert.Zero(t, w.open)
		last := w.over[len(w.over)-1]
		assert.Equal(t, result, last.Session)
		assert.Equal(t, result.SessionID, last.SessionID)
		for _, chain := range w.chains {
			assert.True(t, strings.HasPrefix(chain, "RunSession"), chain)
		}
		for _, want := range []string{
			"RunSession > EnsureSession > EnsureSession POST /hub/session",
			"RunSession > WaitForSession > WaitForSession GET /hub/session/{sessionID}",
		} {
			assert.Contains(t, w.chains, want)
		}

		*w = onlooker{}
		conn, err := c.Attach(context.WithValue(t.Context(), chainKey{}, "program"), result.SessionID, nil)
		require.NoError(t, err)
		defer conn.Close()
		assert.Equal(t, []coder.CallInfo{
			{Operation: "Attach", SessionID: result.SessionID},
			{Operation: "Attach", Method: "GET", Route: "/hub/session/{sessionID}", SessionID: result.SessionID},
		}, w.began)
		assert.Equal(t, "program > Attach", w.chains[len(w.chains)-1], "of the connection")
		*w = onlooker{}
		answer, err := conn.Ask(t.Context(), "Hello", nil)
		require.NoError(t, err)
		assert.Equal(t, answer, w.over[len(w.over)-1].Answer)
		assert.Equal(t, result.SessionID, w.over[len(w.over)-1].SessionID)
		assert.Contains(t, w.began, coder.CallInfo{Operation: "Ask", Route: "/ws", SessionID: result.SessionID}, "the prompt itself")
		*w = onlooker{}
		_, err = conn.GetState(t.Context())
		require.NoError(t, err)
		assert.Equal(t, []coder.CallInfo{{Operation: "GetState", Route: "/ws", SessionID: result.SessionID}}, w.began)
		assert.Len(t, w.over, 1)
		*w = onlooker{}
		func() {
			defer func() { _ = recover() }()
			_, _ = conn.Ask(t.Context(), "Hello", &coder.AskOptions{OnText: func(string) { panic("of the program") }})
		}()
		assert.Zero(t, w.open)
		require.EqualError(t, w.over[len(w.over)-1].Err, "coder: the call has not returned: a function of the program has panicked, or ended its goroutine")
		require.NoError(t, conn.Close())
	})
}

// TestWithObserver_RunError: a run that has failed is about a session too.
func TestWithObserver_RunError(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		w := new(onlooker)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := hubClient(t, hub, w.observer()).RunSession(ctx, "key", runTask, nil)
		var run *coder.RunError
		require.ErrorAs(t, err, &run)
		require.NotEmpty(t, run.SessionID)
		assert.Equal(t, run.SessionID, w.over[len(w.over)-1].SessionID)
	})
}

// TestWithObserver_Discovery: finding the Hub belongs to the call that needs it.
func TestWithObserver_Discovery(t *testing.T) {
	hub := codertest.NewHub()
	defer hub.Close()
	clearEnv(t)
	t.Setenv("AGENTUITY_CATALYST_URL", hub.URL())
	w := new(onlooker)
	c := newClient(t, coder.WithAPIKey("key"), coder.WithHTTPClient(hub.HTTPClient()), w.observer())
	_, err := c.ListSessions(t.Context(), nil)
	require.NoError(t, err)
	assert.Equal(t, []string{"ListSessions GET /hub/sessions > URL GET /coder", "ListSessions GET /hub/sessions"}, w.chains)
}

// TestWithObserver_Connections: a live connection is there, lost, back and over, in this order.
func TestWithObserver_Connections(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		w := new(onlooker)
		c := hubClient(t, hub, w.observer())
		id := newSession(t, hubClient(t, hub))
		session := hub.Session(id)
		session.SetStatus("active")
		session.RefuseStreams(codertest.Refusal{Count: 1, Status: 503})
		noJitter := &coder.HubConnectOptions{ReconnectDelay: time.Nanosecond, MaxReconnectDelay: time.Nanosecond}
		conn, err := c.Connect(t.Context(), id, noJitter)
		require.NoError(t, err)
		conn.DiscardMessages()
		time.Sleep(10 * time.Second)
		session.RefuseStreams(codertest.Refusal{Count: 2, Status: 503})
		session.CutStreams()
		time.Sleep(10 * time.Second)
		require.NoError(t, conn.Close())
		again, err := c.Connect(t.Context(), id, &coder.HubConnectOptions{MaxReconnectAttempts: -1})
		require.NoError(t, err)
		again.DiscardMessages()
		time.Sleep(10 * time.Second)
		session.EndStreams(coder.CloseForbidden, "go away")
		time.Sleep(time.Second)
		require.NoError(t, again.Close())
		_, err = c.Connect(t.Context(), "codesess_none", nil)
		require.Error(t, err)
		assert.Equal(t, []string{
			"Connect /ws failed attempt 1 error true up 0s down false",
			"Connect /ws opened attempt 2 error false up 0s down false",
			"Connect /ws lost attempt 0 error true up 10s down false",
			"Connect /ws failed attempt 1 error true up 0s down false",
			"Connect /ws failed attempt 2 error true up 0s down false",
			"Connect /ws back attempt 3 error false up 0s down true",
			"Connect /ws over attempt 0 error false up 10s down false",
			"Connect /ws opened attempt 1 error false up 0s down false",
			"Connect /ws over attempt 0 error true up 10s down false",
			"Connect /ws failed attempt 1 error true up 0s down false",
			"Connect /ws over attempt 0 error true up 0s down false",
		}, w.changes())
	})
}

// TestWithObserver_Streams: an event stream likewise.
func TestWithObserver_Streams(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		w := new(onlooker)
		c := hubClient(t, hub, w.observer())
		id := newSession(t, hubClient(t, hub))
		session := hub.Session(id)
		session.SetStatus("active")
		time.AfterFunc(10*time.Second, session.CutStreams)
		time.AfterFunc(20*time.Second, session.Archive)
		for _, err := range c.StreamEvents(t.Context(), id, nil) {
			require.NoError(t, err)
		}
		for _, err := range c.StreamEvents(t.Context(), "codesess_none", nil) {
			require.Error(t, err)
		}
		other := newSession(t, hubClient(t, hub))
		for _, err := range c.StreamEvents(t.Context(), other, nil) {
			require.NoError(t, err)
			break
		}
		var seen []string
		for _, line := range w.changes() {
			seen = append(seen, strings.Join(strings.Fields(line)[2:7], " "))
			assert.True(t, strings.HasPrefix(line, "StreamEvents /hub/session/{sessionID}/events "), line)
		}
		assert.Equal(t, []string{
			"opened attempt 1 error false", "lost attempt 0 error true", "back attempt 1 error false", "over attempt 0 error false",
			"failed attempt 1 error true", "over attempt 0 error true",
			"opened attempt 1 error false", "over attempt 0 error false",
		}, seen)
		assert.Zero(t, w.open)
	})
}

// agentLines are what was told of an agent, in a line each.
func (w *onlooker) agentLines() (lines []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range w.agent {
		line := fmt.Sprintf("%T", a.Event)
		switch e := a.Event.(type) {
		case *coder.MessageEnd:
			if e.Message.Role == "system" { // only newer agents report it
				continue
			}
			line += " " + e.Message.Role + " " + e.Message.StopReason
		case *coder.ToolExecutionStart:
			line += " " + e.ToolName
		case *coder.ToolExecutionEnd:
			line += " " + e.ToolName
		default:
			continue
		}
		lines = append(lines, line)
	}
	return lines
}

// TestWithObserver_Agent: what the agent does is told once, also when the connection is lost in the middle of it.
func TestWithObserver_Agent(t *testing.T) {
	turns := []codertest.AgentTurn{
		{Tools: []codertest.AgentTool{{Name: "read", Result: "ok"}, {Name: "bash", Result: "ok"}}}, {Text: "Done."},
	}
	want := []string{
		"*coder.MessageEnd user ", "*coder.MessageEnd assistant toolUse",
		"*coder.ToolExecutionStart read", "*coder.ToolExecutionEnd read", "*coder.MessageEnd toolResult ",
		"*coder.ToolExecutionStart bash", "*coder.ToolExecutionEnd bash", "*coder.MessageEnd toolResult ",
		"*coder.MessageEnd assistant stop",
	}
	sorted := func(lines []string) []string { return slices.Sorted(slices.Values(lines)) }
	for seed := range uint64(max(10, *simulatedRuns/10)) {
		r := rand.New(rand.NewPCG(seed, 81))
		bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
			w := new(onlooker)
			session, _ := idleAgent(t, hub)
			c := hubClient(t, hub, w.observer())
			conn, err := c.Attach(t.Context(), session.ID(), nil)
			require.NoError(t, err)
			defer conn.Close()
			session.Answer(turns...)
			if seed > 0 {
				time.AfterFunc(time.Duration(r.IntN(8000))*time.Millisecond, session.CutStreams)
			}
			_, err = conn.Ask(t.Context(), "Do it", nil)
			require.NoError(t, err)
			assert.Equal(t, sorted(want), sorted(w.agentLines()), "seed %d", seed)
			for _, a := range w.agent {
				assert.Equal(t, session.ID(), a.SessionID)
				assert.Equal(t, "Ask", a.Operation)
				assert.False(t, a.At.IsZero())
				if unknown, ok := a.Event.(*coder.UnknownAgentEvent); ok {
					assert.Equal(t, unknown.Name, a.Name)
				} else {
					assert.Equal(t, strings.ToLower(fmt.Sprintf("%T", a.Event)), "*coder."+strings.ReplaceAll(a.Name, "_", ""))
				}
			}
		}, codertest.WithAgentPace(500*time.Millisecond), codertest.WithAgentVersion([]string{"0.74.2", "1.6.0"}[r.IntN(2)]))
	}
	for seed := range uint64(max(5, *simulatedRuns/10)) {
		r := rand.New(rand.NewPCG(seed, 83))
		bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
			w := new(onlooker)
			c := hubClient(t, hub, w.observer())
			hub.OnSession(func(s *codertest.SessionControl) {
				s.Answer(turns...)
				if seed > 0 {
					time.AfterFunc(time.Duration(r.IntN(8000))*time.Millisecond, s.CutStreams)
				}
			})
			result, err := c.RunSession(t.Context(), "key", runTask, nil)
			require.NoError(t, err)
			require.Equal(t, "Done.", result.Answer)
			assert.Equal(t, sorted(want), sorted(w.agentLines()), "seed %d", seed)
			*w = onlooker{}
			_, err = c.RunSession(t.Context(), "key", runTask, nil)
			require.NoError(t, err)
			assert.Empty(t, w.agentLines(), "it was done before")
		}, codertest.WithAgentPace(500*time.Millisecond), codertest.WithAgentVersion([]string{"0.74.2", "1.6.0"}[r.IntN(2)]))
	}
}

// TestWithObserver_Careless: functions that are nil, and that return nil, do no harm.
func TestWithObserver_Careless(t *testing.T) {
	bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
		for _, o := range []coder.Observer{
			{},
			{Call: func(context.Context, coder.CallInfo) (context.Context, func(coder.CallResult)) { return nil, nil }},
		} {
			c := hubClient(t, hub, coder.WithObserver(o))
			result, err := c.RunSession(t.Context(), "key", runTask, nil)
			require.NoError(t, err)
			conn, err := c.Attach(t.Context(), result.SessionID, nil)
			require.NoError(t, err)
			_, err = conn.Ask(t.Context(), "Hello", nil)
			require.NoError(t, err)
			require.NoError(t, conn.Close())
		}
	})
}

// TestWithObserver_Secrets: a key is in nothing that is told, however the Hub repeats it.
func TestWithObserver_Secrets(t *testing.T) {
	const key = "agc_a-key+with/special=chars"
	w := new(onlooker)
	s := newServer(t, func(rw http.ResponseWriter, _ *http.Request) {
		rw.WriteHeader(http.StatusBadRequest)
		_, _ = fmt.Fprintf(rw, `{"error":"bad key %s","code":%q}`, key, key)
	})
	c := s.client(t, coder.WithAPIKey(key), w.observer())
	_, err := c.GetSession(t.Context(), "x")
	require.Error(t, err)
	_, err = c.Connect(t.Context(), "x", &coder.HubConnectOptions{MaxReconnectAttempts: -1})
	require.Error(t, err)
	require.NotEmpty(t, w.connections)
	// The key in a path, in an answer that is none, and as the name of a session that the Hub has made.
	_, err = c.GetSession(t.Context(), key)
	require.Error(t, err)
	broken := newServer(t, func(rw http.ResponseWriter, _ *http.Request) {
		if conn, _, err := http.NewResponseController(rw).Hijack(); assert.NoError(t, err) {
			_, _ = io.WriteString(conn, "HTTP/1.1 "+key+"\r\n\r\n")
			_ = conn.Close()
		}
	})
	_, err = broken.client(t, coder.WithAPIKey(key), w.observer(), once).GetSession(t.Context(), "x")
	require.Error(t, err)
	named := newServer(t, answerJSON(200, `{"sessionId":"`+key+`"}`)).client(t, coder.WithAPIKey(key), w.observer())
	created, err := named.CreateSession(t.Context(), coder.CreateSessionRequest{Task: "x"})
	require.NoError(t, err)
	assert.Equal(t, key, created.SessionID, "it is the program's to use")
	assert.Equal(t, "[API key]", w.over[len(w.over)-1].SessionID)
	_, err = named.RunSession(t.Context(), "k", coder.CreateSessionRequest{Task: "x"}, nil)
	require.Error(t, err)
	for _, told := range []any{w.began, w.over, w.attempts, w.connections} {
		assertNoSecret(t, key, "what is told", told)
		assert.NotContains(t, fmt.Sprintf("%+v", told), key)
	}
	for _, r := range w.over {
		assertNoSecret(t, key, "the error", r.Err)
	}
}

// TestWithObserver_Unusable: what the method makes of an answer is told, and not only that there was one.
func TestWithObserver_Unusable(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		w := new(onlooker)
		c := hubClient(t, hub, w.observer())
		id := newSession(t, hubClient(t, hub))
		last := func() coder.CallResult { return w.over[len(w.over)-1] }

		hub.Inject(codertest.Fault{Route: "/hub/session/{id}/events", Status: 200, Body: []byte("<html>"), Header: http.Header{"Content-Type": {"text/html"}}})
		_, err := take(c.StreamEvents(t.Context(), id, &coder.StreamEventsOptions{MaxReconnectAttempts: -1}), 1)
		require.Error(t, err)
		require.EqualError(t, last().Err, err.Error())

		hub.Inject(codertest.Fault{Route: "/hub/session/{id}/events", Cut: codertest.CutAfterEffect, Stall: true, Count: -1})
		_, err = take(c.StreamEvents(t.Context(), id, &coder.StreamEventsOptions{MaxReconnectAttempts: -1, IdleTimeout: 10 * time.Second}), 1)
		require.ErrorContains(t, err, "the Hub has not answered for 10s")
		require.NotErrorIs(t, last().Err, context.Canceled)
		assert.Equal(t, coder.FailureLost, w.attempts[len(w.attempts)-1].Failure, "it was not the program that gave up")
		assert.Zero(t, w.open)
	})
	live(t, func(p *peer) {
		if p.admit() {
			p.listenTo(func(frame map[string]any) {
				command, _ := frame["command"].(map[string]any)
				_ = p.say(fmt.Sprintf(`{"type":"rpc_response","response":{"type":"response","id":%q,"command":"get_state","success":false,"error":"busy"}}`, command["id"]))
			})
		}
	}, func(t *testing.T, hub *liveHub) {
		w := new(onlooker)
		conn, err := connect(t.Context(), hub.client(w.observer()), "codesess_1", nil)
		require.NoError(t, err)
		defer conn.Close()
		_, err = conn.GetState(t.Context())
		require.ErrorContains(t, err, "busy")
		require.Equal(t, err, w.over[len(w.over)-1].Err)
	})
}

// TestWithObserver_Panics: a call that a panic ends is over too.
func TestWithObserver_Panics(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		w := new(onlooker)
		panics := func(f func()) {
			assert.Panics(t, f)
			assert.Zero(t, w.open)
			require.ErrorContains(t, w.over[len(w.over)-1].Err, "a function of the program has panicked")
		}
		c := newClient(t, coder.WithURL(hub.URL()), coder.WithHTTPClient(hub.HTTPClient()), w.observer(),
			coder.WithCredential(func(context.Context) (string, error) { panic("of the program") }))
		panics(func() { _, _ = c.ListSessions(t.Context(), nil) })
		panics(func() {
			_ = hubClient(t, hub, w.observer()).Do(t.Context(), "GET", "/hub/sessions", nil, new(panicking))
		})
	})
}

// panicking panics when it is decoded.
type panicking struct{}

func (*panicking) UnmarshalJSON([]byte) error { panic("of the program") }

// TestWithObserver_AgentOnce: each thing once, also where several have one time, a history has everything twice, or the
// connection was lost in the middle.
func TestWithObserver_AgentOnce(t *testing.T) {
	message := func(role, id, text string, at int, stop string) map[string]any {
		return map[string]any{"message": map[string]any{
			"role": role, "toolCallId": id, "timestamp": 1760000000000 + at, "stopReason": stop, "content": []any{map[string]any{"type": "text", "text": text}},
		}}
	}
	events := []codertest.Event{
		{Event: coder.EventAgentStart}, {Event: coder.EventTurnStart},
		{Event: coder.EventMessageEnd, Payload: message("user", "", "Do it", 0, "")},
		{Event: coder.EventMessageEnd, Payload: message("assistant", "", "I look.", 1, "toolUse")},
		{Event: coder.EventToolExecutionStart, Payload: map[string]any{"toolCallId": "a", "toolName": "read"}},
		{Event: coder.EventToolExecutionEnd, Payload: map[string]any{"toolCallId": "a", "toolName": "read"}},
		{Event: coder.EventMessageEnd, Payload: message("toolResult", "a", "ok", 2, "")},
		{Event: coder.EventMessageEnd, Payload: message("toolResult", "b", "ok", 2, "")}, // in the same millisecond
		{Event: coder.EventTurnEnd}, {Event: coder.EventTurnStart},
		{Event: coder.EventTaskStart, Payload: map[string]any{"taskId": "task1", "agent": "scout"}},
		{Event: coder.EventTaskComplete, Payload: map[string]any{"taskId": "task1", "agent": "scout"}},
		{Event: coder.EventMessageEnd, Payload: message("assistant", "", "Do", 3, "toolUse")},
		{Event: coder.EventMessageEnd, Payload: message("assistant", "", "Done.", 3, "stop")},
		{Event: coder.EventTurnEnd}, {Event: coder.EventAgentEnd, Payload: map[string]any{"messages": []any{message("assistant", "", "Done.", 3, "stop")["message"]}}},
	}
	counts := func(w *onlooker) map[string]int {
		all := make(map[string]int)
		for _, a := range w.agent {
			if a.Name != coder.EventSessionStart {
				all[a.Name]++
			}
		}
		return all
	}
	for _, twice := range []bool{false, true} {
		bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
			w := new(onlooker)
			c := hubClient(t, hub, w.observer())
			hub.OnSession(func(s *codertest.SessionControl) {
				s.SetStatus("active")
				for _, e := range events {
					s.Emit(e)
					if twice {
						s.Emit(e)
					}
				}
			})
			result, err := c.RunSession(t.Context(), "key", runTask, nil)
			require.NoError(t, err)
			require.Equal(t, "Done.", result.Answer)
			assert.Equal(t, map[string]int{
				"agent_start": 1, "agent_end": 1, "turn_start": 2, "turn_end": 2, "message_end": 6, "tool_execution_start": 1, "tool_execution_end": 1,
				"task_start": 1, "task_complete": 1,
			}, counts(w), "twice: %t", twice)
		}, codertest.WithoutAgent())
	}
	for at := range len(events) { // the connection is lost before one of them
		bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
			w := new(onlooker)
			session, conn := silentLead(t, hub, w.observer())
			time.AfterFunc(time.Second, func() {
				for i, e := range events {
					if i == at {
						session.CutStreams()
					}
					session.Emit(e)
				}
			})
			answer, err := conn.Ask(t.Context(), "Do it", nil)
			require.NoError(t, err)
			require.Equal(t, "Done.", answer.Text)
			got := counts(w)
			for name, want := range map[string]int{"message_end": 6, "tool_execution_start": 1, "tool_execution_end": 1, "task_start": 1, "task_complete": 1} {
				assert.Equal(t, want, got[name], "%s, lost before %d", name, at)
			}
			for name, most := range map[string]int{"agent_start": 1, "turn_start": 2, "turn_end": 2} {
				assert.LessOrEqual(t, got[name], most, "%s, lost before %d", name, at)
			}
		}, codertest.WithoutAgent())
	}
}

// TestWithObserver_OthersTasks: what a sub-agent does for somebody else's prompt is not told of ours, which waits.
func TestWithObserver_OthersTasks(t *testing.T) {
	bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
		w := new(onlooker)
		client := hubClient(t, hub)
		lead, err := client.ConnectNew(t.Context(), &coder.HubConnectOptions{Role: coder.RoleLead})
		require.NoError(t, err)
		defer lead.Close()
		agent := reported{t, lead}
		agent.tell("session_start", map[string]any{"reason": "startup"})
		agent.tell("agent_start", map[string]any{})
		agent.says("user", "Theirs")
		conn, err := hubClient(t, hub, w.observer()).Connect(t.Context(), lead.SessionID(), &coder.HubConnectOptions{Role: coder.RoleController})
		require.NoError(t, err)
		defer conn.Close()
		done := make(chan error, 1)
		go func() {
			_, err := conn.Ask(t.Context(), "Ours", nil)
			done <- err
		}()
		synctest.Wait()
		agent.hears("Ours")
		agent.tell("task_start", map[string]any{"taskId": "theirs", "agent": "scout"})
		agent.tell("task_complete", map[string]any{"taskId": "theirs", "agent": "scout"})
		agent.says("assistant", "For them.")
		agent.says("user", "Ours")
		agent.tell("task_start", map[string]any{"taskId": "ours", "agent": "scout"})
		agent.tell("task_complete", map[string]any{"taskId": "ours", "agent": "scout"})
		agent.says("assistant", "For us.")
		require.NoError(t, <-done)
		var tasks []string
		for _, a := range w.agent {
			if start, ok := a.Event.(*coder.TaskStart); ok {
				tasks = append(tasks, start.TaskID)
			}
		}
		assert.Equal(t, []string{"ours"}, tasks)
	}, codertest.WithoutAgent())
}
