package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
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

// text is what is written by several goroutines.
type text struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (t *text) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.Write(p)
}

func (t *text) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.String()
}

// called runs the program with tasks on standard input.
func called(ctx context.Context, client *coder.Client, tasks string, args ...string) (status int, out, errs string) {
	var stdout, stderr text
	p := &program{in: strings.NewReader(tasks), out: &stdout, errs: &stderr, client: client}
	status = p.run(ctx, append(args, "-"))
	return status, stdout.String(), stderr.String()
}

// bubble makes a test with a Hub in fake time.
func bubble(t *testing.T, test func(t *testing.T, hub *codertest.Hub), opts ...codertest.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		hub := codertest.NewHub(append(opts, codertest.WithInMemoryNetwork())...)
		defer hub.Close()
		test(t, hub)
	})
}

func clientOf(t *testing.T, hub *codertest.Hub, opts ...coder.Option) *coder.Client {
	t.Helper()
	client, err := hub.NewClient(opts...)
	require.NoError(t, err)
	return client
}

// byKey are the sessions of the Hub by their keys.
func byKey(hub *codertest.Hub) map[string][]*codertest.SessionControl {
	sessions := make(map[string][]*codertest.SessionControl)
	for _, id := range hub.SessionIDs() {
		session := hub.Session(id)
		key := fmt.Sprint(session.Metadata()["idempotencyKey"])
		sessions[key] = append(sessions[key], session)
	}
	return sessions
}

// written are the last results in a file, by key.
func written(t *testing.T, name string) map[string]*result {
	t.Helper()
	f, err := openResults(name)
	require.NoError(t, err)
	require.NoError(t, f.close())
	return f.known
}

// jobs are n tasks with the keys job-1 to job-n.
func jobs(n int) string {
	var b strings.Builder
	for k := range n {
		fmt.Fprintf(&b, "{\"key\":\"job-%d\",\"task\":\"Do job %d\"}\n", k+1, k+1)
	}
	return b.String()
}

// works lets each agent work for some steps.
func works(steps int) func(*codertest.SessionControl) {
	return func(s *codertest.SessionControl) {
		turns := make([]codertest.AgentTurn, steps)
		for k := range turns {
			turns[k] = codertest.AgentTurn{Text: "I look.", Tools: []codertest.AgentTool{{Name: "read", Args: map[string]any{"path": fmt.Sprint("file", k)}, Result: "ok"}}}
		}
		s.Answer(append(turns, codertest.AgentTurn{Text: "It is done: " + s.Task()})...)
	}
}

// TestAtOnce: the Hub's books say how many agents were at work at once.
func TestAtOnce(t *testing.T) {
	for _, atOnce := range []int{1, 3, 20} {
		bubble(t, func(t *testing.T, hub *codertest.Hub) {
			hub.OnSession(works(3))
			status, out, errs := called(t.Context(), clientOf(t, hub), jobs(7), "-at-once", fmt.Sprint(atOnce))
			assert.Equal(t, allWell, status, "%s\n%s", out, errs)
			assert.Contains(t, out, "7 of 7 tasks ended well; ")
			assert.Contains(t, out, "21 tool calls, ")
			assert.Contains(t, errs, "7/7  done ")
			assert.Contains(t, errs, "Do job 7: It is done: Do job 7\n")
			require.Len(t, hub.SessionIDs(), 7)
			most := 0
			for _, id := range hub.SessionIDs() {
				began, atWork := hub.Session(id).Detail().CreatedAt, 0
				for _, other := range hub.SessionIDs() {
					session := hub.Session(other)
					if !session.Detail().CreatedAt.After(began) && ended(session).After(began) {
						atWork++
					}
				}
				most = max(most, atWork)
			}
			assert.Equal(t, min(atOnce, 7), most)
		}, codertest.WithAgentPace(time.Second))
	}
}

// ended is when the last run of a session has ended.
func ended(session *codertest.SessionControl) (at time.Time) {
	for _, e := range session.Events() {
		if e.Event == coder.EventAgentEnd {
			at = e.OccurredAt
		}
	}
	return at
}

// dying is a network that ends with the nth request, as it does for a program that is killed.
type dying struct {
	http.RoundTripper
	mu      sync.Mutex
	left    int
	reaches bool   // the last request still reaches the Hub
	dies    func() // is called once
}

var errDead = errors.New("the program is dead")

func (d *dying) RoundTrip(r *http.Request) (*http.Response, error) {
	d.mu.Lock()
	d.left--
	left := d.left
	if left == 0 {
		d.dies()
	}
	d.mu.Unlock()
	if left > 0 || left == 0 && d.reaches {
		response, err := d.RoundTripper.RoundTrip(r)
		if left > 0 || err != nil {
			return response, err
		}
		_ = response.Body.Close()
	}
	return nil, errDead
}

// TestKilled kills the program with each of its first requests, and with some of the later ones, and runs it again. Each task has
// one session.
func TestKilled(t *testing.T) {
	const n = 3
	step := 1
	for killed := 1; ; killed += step {
		if killed > 25 {
			step = 9
		}
		over := false
		for _, reaches := range []bool{false, true} {
			bubble(t, func(t *testing.T, hub *codertest.Hub) {
				hub.OnSession(works(1))
				name := filepath.Join(t.TempDir(), "results.jsonl")
				ctx, kill := context.WithCancel(t.Context())
				defer kill()
				transport := coder.NewTransport()
				transport.DialContext = hub.HTTPClient().Transport.(*http.Transport).DialContext
				defer transport.CloseIdleConnections()
				var left []byte
				network := &dying{RoundTripper: transport, left: killed, reaches: reaches, dies: func() {
					left, _ = os.ReadFile(name)
					kill()
				}}
				first := clientOf(t, hub, coder.WithHTTPClient(&http.Client{Transport: network}))
				status, _, _ := called(ctx, first, jobs(n), "-at-once", "2", "-results", name)
				if ctx.Err() == nil {
					require.Equal(t, allWell, status)
					over = true // all that it does was interrupted
					return
				}
				// What was written after its death was not. It has left half a line.
				require.NoError(t, os.WriteFile(name, append(left, `{"key":"fleet-jo`...), 0o600))
				status, out, errs := called(t.Context(), clientOf(t, hub), jobs(n), "-at-once", "2", "-results", name)
				require.Equal(t, allWell, status, "killed at request %d\n%s\n%s", killed, out, errs)
				require.Len(t, hub.SessionIDs(), n, "killed at request %d", killed)
				require.Len(t, byKey(hub), n)
				for key, r := range written(t, name) {
					require.True(t, r.Succeeded, key)
					require.Equal(t, "It is done: "+r.Task, r.Answer)
					require.Equal(t, int64(1), *r.ToolCalls)
				}
				require.Equal(t, n, strings.Count(contents(t, name), "\n"), "nothing was done twice")
				requests := len(hub.Requests())
				status, _, errs = called(t.Context(), clientOf(t, hub), jobs(n), "-results", name)
				require.Equal(t, allWell, status)
				require.Contains(t, errs, "3 of 3 tasks had ended in an earlier run")
				require.Len(t, hub.Requests(), requests, "there is nothing left to ask for")
			}, codertest.WithAgentPace(100*time.Millisecond))
		}
		if over {
			require.Greater(t, killed, 25, "there were requests to interrupt")
			return
		}
	}
}

// TestFailed: what has failed is left alone, until it is to be done again.
func TestFailed(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		var mu sync.Mutex
		begun := make(map[string]int)
		hub.OnSession(func(s *codertest.SessionControl) {
			mu.Lock()
			defer mu.Unlock()
			if begun[s.Task()]++; begun[s.Task()] > 1 {
				return
			}
			switch s.Task() {
			case "Do job 1":
				s.FailModel(codertest.AgentInvalidRequest)
			case "Do job 2":
				s.Answer(codertest.AgentTurn{Text: "May I?", Tools: []codertest.AgentTool{{Ask: &codertest.AgentQuestion{Method: "confirm"}}}})
			case "Do job 3":
				s.Answer(codertest.AgentTurn{Text: "I was stopped", StopReason: "aborted"})
			}
		})
		name := filepath.Join(t.TempDir(), "results.jsonl")
		status, out, errs := called(t.Context(), clientOf(t, hub), jobs(4), "-results", name)
		assert.Equal(t, notWell, status)
		assert.Contains(t, out, "1 of 4 tasks ended well, 3 did not; ")
		assert.Contains(t, errs, "1/4  failed ")
		assert.Contains(t, errs, "Do job 1: 400")
		first := written(t, name)
		assert.Equal(t, coder.OutcomeFailed, first["fleet-job-1"].Outcome)
		assert.Equal(t, coder.OutcomeNeedsInput, first["fleet-job-2"].Outcome)
		assert.Equal(t, coder.OutcomeAborted, first["fleet-job-3"].Outcome)

		status, out, _ = called(t.Context(), clientOf(t, hub), jobs(4), "-results", name)
		assert.Equal(t, notWell, status)
		assert.Equal(t, 4, strings.Count(out, "(earlier)"))
		assert.Len(t, hub.SessionIDs(), 4)

		status, out, errs = called(t.Context(), clientOf(t, hub), jobs(4), "-results", name, "-retry-failed")
		assert.Equal(t, allWell, status, "%s\n%s", out, errs)
		assert.Equal(t, 1, strings.Count(out, "(earlier)"))
		for k := range 3 {
			sessions := byKey(hub)[fmt.Sprint("fleet-job-", k+1)]
			if assert.Len(t, sessions, 2, "job %d", k+1) {
				assert.True(t, sessions[0].Archived())
				assert.False(t, sessions[1].Archived())
			}
		}
		assert.Len(t, byKey(hub)["fleet-job-4"], 1)
	})
}

// TestErrors: a task of which it is not known what became of it is taken up again by the next run.
func TestErrors(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		name := filepath.Join(t.TempDir(), "results.jsonl")
		fault := hub.Inject(codertest.Fault{Method: http.MethodGet, Route: "/hub/session/codesess_000000000001", Status: 403, Count: -1})
		status, out, _ := called(t.Context(), clientOf(t, hub), jobs(2), "-at-once", "1", "-results", name)
		assert.Equal(t, notWell, status)
		assert.Contains(t, out, "\nerror ")
		assert.Contains(t, out, "403 Forbidden")
		r := written(t, name)["fleet-job-1"]
		assert.Equal(t, outcomeError, r.Outcome)
		assert.Equal(t, "codesess_000000000001", r.SessionID)
		assert.False(t, hub.Session(r.SessionID).Archived(), "it may be at work")
		fault.Remove()
		status, _, _ = called(t.Context(), clientOf(t, hub), jobs(2), "-results", name)
		assert.Equal(t, allWell, status)
		assert.Len(t, hub.SessionIDs(), 2)
	})
}

// TestRefused: where the next task would not do better, it is not begun.
func TestRefused(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		status, out, errs := called(t.Context(), clientOf(t, hub, coder.WithAPIKey("a-wrong-key")), jobs(9), "-at-once", "2")
		assert.Equal(t, notWell, status)
		assert.Contains(t, out, "0 of 9 tasks ended well, 2 did not, 7 not begun")
		assert.Contains(t, errs, "fleet: coder: RunSession: ")
		assert.Contains(t, errs, "401")
		assert.NotContains(t, out+errs, "a-wrong-key")
	}, codertest.WithAPIKey("the-right-key"))
}

func TestLimits(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		hub.OnSession(works(30))
		name := filepath.Join(t.TempDir(), "results.jsonl")
		for run := range 2 {
			status, out, errs := called(t.Context(), clientOf(t, hub), jobs(2), "-max-tool-calls", "5", "-results", name)
			assert.Equal(t, notWell, status)
			assert.Contains(t, out, "\nlimited ")
			assert.Contains(t, out, "more than 5 calls of tools")
			assert.Contains(t, out, "0 of 2 tasks ended well, 2 did not")
			assert.Equal(t, 2*(1-run), strings.Count(errs, "limited"), "the second run has nothing to do")
		}
	}, codertest.WithAgentPace(100*time.Millisecond))
}

// TestLimits_NotObeyed: an agent that goes on after it was to be aborted loses its session.
func TestLimits_NotObeyed(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		ctx, cancel := context.WithCancel(t.Context())
		var agent sync.WaitGroup
		defer agent.Wait()
		defer cancel()
		hub.OnSession(func(s *codertest.SessionControl) {
			agent.Go(func() {
				s.Emit(codertest.Event{Event: coder.EventAgentStart})
				for k := 0; ctx.Err() == nil && !s.Archived(); k++ {
					time.Sleep(time.Second)
					s.Emit(codertest.Event{Event: coder.EventToolExecutionStart, Payload: map[string]any{"toolCallId": fmt.Sprint("call", k), "toolName": "read"}})
				}
			})
		})
		status, out, _ := called(t.Context(), clientOf(t, hub), jobs(1), "-max-tool-calls", "3")
		assert.Equal(t, notWell, status)
		assert.Contains(t, out, "\nlimited ")
		assert.Contains(t, out, "its session was archived")
		assert.True(t, hub.Session(hub.SessionIDs()[0]).Archived())
	}, codertest.WithoutAgent())
}

// TestStalled: a session in which nothing happens is given up, and archived.
func TestStalled(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		began := time.Now()
		status, out, _ := called(t.Context(), clientOf(t, hub), jobs(1), "-stall", "2m")
		assert.Equal(t, notWell, status)
		assert.Contains(t, out, "\nstalled ")
		assert.Contains(t, out, "nothing has changed for 2m")
		assert.True(t, hub.Session(hub.SessionIDs()[0]).Archived())
		assert.Less(t, time.Since(began), 3*time.Minute)
	}, codertest.WithoutAgent())
}

// TestUnknownCost: where the agent does not tell what it costs, the summary does not either, and says that there was no limit.
func TestUnknownCost(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		hub.OnSession(func(s *codertest.SessionControl) {
			usage := map[string]any{"totalTokens": 1500}
			if s.Task() == "Do job 2" {
				usage["cost"] = map[string]any{"total": 0.25}
			}
			message := map[string]any{"role": "assistant", "timestamp": 1760000000000, "stopReason": "stop", "content": "Done.", "usage": usage}
			s.Emit(codertest.Event{Event: coder.EventAgentStart})
			s.Emit(codertest.Event{Event: coder.EventMessageEnd, Payload: map[string]any{"message": message}})
			s.Emit(codertest.Event{Event: coder.EventAgentEnd, Payload: map[string]any{"messages": []any{message}}})
			s.SetStatus("active")
		})
		status, out, _ := called(t.Context(), clientOf(t, hub), jobs(2), "-max-cost", "3")
		assert.Equal(t, allWell, status)
		assert.Regexp(t, `\ndone .* 1,500         -  Do job 1`, out)
		assert.Regexp(t, `\ndone .* 1,500     \$0.25  Do job 2`, out)
		assert.Equal(t, 1, strings.Count(out, "not enforced: the limit of CostUSD"))
		assert.Contains(t, out, "3,000 tokens, ≥$0.25\n")
	}, codertest.WithoutAgent())
}

// TestInterrupted: what is at work is archived, what has not begun does not begin, and another run does both.
func TestInterrupted(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		ctx, interrupt := context.WithCancel(t.Context())
		defer interrupt()
		hub.OnSession(func(s *codertest.SessionControl) {
			if s.Task() == "Do job 1" {
				return
			}
			works(20)(s)
			if s.Task() == "Do job 3" {
				time.AfterFunc(5*time.Second, interrupt)
			}
		})
		name := filepath.Join(t.TempDir(), "results.jsonl")
		status, out, errs := called(ctx, clientOf(t, hub), jobs(5), "-at-once", "2", "-results", name)
		assert.Equal(t, interrupted, status)
		assert.Equal(t, 1, strings.Count(errs, "interrupted, archiving what is at work; once more ends it at once\n"))
		assert.Contains(t, out, "1 of 5 tasks ended well, 2 did not, 2 not begun; ")
		assert.Equal(t, 2, strings.Count(out, "\ninterrupted "))
		assert.Equal(t, 2, strings.Count(out, "its session was archived"))
		assert.Equal(t, 2, strings.Count(out, "\nnot begun "))
		require.Len(t, hub.SessionIDs(), 3)
		for _, id := range hub.SessionIDs() { // the first two began at once, in either order
			session := hub.Session(id)
			assert.Equal(t, session.Task() != "Do job 1", session.Archived(), session.Task())
		}
		results := written(t, name)
		assert.Len(t, results, 3)
		assert.Equal(t, outcomeInterrupted, results["fleet-job-2"].Outcome)
		assert.Positive(t, *results["fleet-job-2"].Tokens, "it was spent")

		hub.OnSession(nil)
		status, out, errs = called(t.Context(), clientOf(t, hub), jobs(5), "-results", name)
		assert.Equal(t, allWell, status, "%s\n%s", out, errs)
		assert.Equal(t, 1, strings.Count(out, "(earlier)"))
		assert.Len(t, hub.SessionIDs(), 7, "two were archived in the middle")
	}, codertest.WithAgentPace(200*time.Millisecond))
}

// TestResultsCannotBeWritten: what is at work goes on, and nothing else begins.
func TestResultsCannotBeWritten(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		tasks, err := readTasks(strings.NewReader(jobs(3)), "f", "fleet")
		require.NoError(t, err)
		results, err := openResults(filepath.Join(t.TempDir(), "results.jsonl"))
		require.NoError(t, err)
		require.NoError(t, results.file.Close())
		f := &fleet{client: clientOf(t, hub), tasks: tasks, atOnce: 1, results: results, progress: &progress{out: new(text)}}
		plan, err := f.plan()
		require.NoError(t, err)
		f.progress.start(plan)
		require.ErrorContains(t, f.run(t.Context(), plan), "the results cannot be written: ")
		assert.Len(t, hub.SessionIDs(), 1)
		assert.Equal(t, outcomeNotBegun, plan[1].Outcome)
	})
}
