package coder_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

var runTask = coder.CreateSessionRequest{Task: "Review pull request 7"}

func runError(t *testing.T, err error) *coder.RunError {
	t.Helper()
	var e *coder.RunError
	require.ErrorAs(t, err, &e)
	return e
}

// TestRunSession: one call from a task to its result, and the same result each time after that.
func TestRunSession(t *testing.T) {
	for _, version := range []string{"0.74.2", "1.6.0"} {
		for _, dialect := range []codertest.AgentDialect{codertest.DialectRPC, codertest.DialectExtension} {
			bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
				hub.Answer(
					codertest.AgentTurn{Text: "I will look.", Tools: []codertest.AgentTool{{Name: "read", Result: "ok"}}},
					codertest.AgentTurn{Text: "It is a race in the parser."},
				)
				for k := range 3 {
					result, err := hubClient(t, hub).RunSession(t.Context(), "job-7", runTask, nil)
					require.NoError(t, err)
					assert.Equal(t, map[bool]coder.OutcomeKind{false: coder.OutcomeTurnEnded, true: coder.OutcomeArchived}[k == 2], result.Outcome.Kind)
					assert.True(t, result.Outcome.Succeeded())
					assert.Equal(t, "It is a race in the parser.", result.Answer)
					assert.Equal(t, k == 0, result.Created)
					assert.Equal(t, []string{result.SessionID}, hub.SessionIDs())
					if k == 1 {
						hub.Session(result.SessionID).Archive() // done is done
					}
					if k == 0 {
						time.Sleep(time.Hour)
					}
				}
			}, codertest.WithAgentVersion(version), codertest.WithAgentDialect(dialect), codertest.WithAgentPace(50*time.Millisecond))
		}
	}
}

// TestRunSession_RunsAnew: what has failed is run again in another session, and what has not is left alone.
func TestRunSession_RunsAnew(t *testing.T) {
	bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
		c := hubClient(t, hub)
		result, err := c.RunSession(t.Context(), "key", runTask, nil)
		require.NoError(t, err)
		assert.Equal(t, coder.OutcomeFailed, result.Outcome.Kind)
		assert.Contains(t, result.Outcome.ErrorMessage, "400")
		again, err := c.RunSession(t.Context(), "key", runTask, nil)
		require.NoError(t, err)
		assert.NotEqual(t, result.SessionID, again.SessionID)
		assert.True(t, again.Created)
		hub.Session(again.SessionID).FailModel()
	}, codertest.WithAgentErrors(codertest.AgentInvalidRequest))
	bubbleWith(t, func(t *testing.T, hub *codertest.Hub) { // it asks something, and nobody answers
		c := hubClient(t, hub)
		hub.Answer(codertest.AgentTurn{Text: "I ask.", Tools: []codertest.AgentTool{{Ask: &codertest.AgentQuestion{Method: "confirm"}}}}, codertest.AgentTurn{Text: "Good."})
		for range 2 {
			result, err := c.RunSession(t.Context(), "key", runTask, nil)
			require.NoError(t, err)
			assert.Equal(t, coder.OutcomeNeedsInput, result.Outcome.Kind)
			assert.Equal(t, "I ask.", result.Answer)
		}
		assert.Len(t, hub.SessionIDs(), 1)
	})
}

// TestRunSession_Cancelled: the end of the context leaves the session at work, unless it is to be archived.
func TestRunSession_Cancelled(t *testing.T) {
	for _, archive := range []bool{false, true} {
		bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
			c := hubClient(t, hub)
			hub.OnSession(func(s *codertest.SessionControl) {
				s.Answer(codertest.AgentTurn{Tools: []codertest.AgentTool{{}}}, codertest.AgentTurn{Tools: []codertest.AgentTool{{}}}, codertest.AgentTurn{Text: "Done in the end."})
			})
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			result, err := c.RunSession(ctx, "key", runTask, &coder.RunSessionOptions{ArchiveOnCancel: archive})
			assert.Nil(t, result)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.NotErrorIs(t, err, coder.ErrOutcomeUnknown)
			assert.False(t, coder.IsTransient(err))
			e := runError(t, err)
			require.Equal(t, []string{e.SessionID}, hub.SessionIDs())
			assert.Equal(t, "key", e.Key)
			assert.Equal(t, archive, e.Archived)
			assert.Equal(t, archive, hub.Session(e.SessionID).Archived())
			assert.Contains(t, err.Error(), "coder: RunSession: ")
			assert.Contains(t, err.Error(), "; key key")
			result, err = c.RunSession(t.Context(), "key", runTask, nil)
			require.NoError(t, err)
			assert.Equal(t, archive, result.SessionID != e.SessionID, "one that was archived in the middle is run anew")
			assert.Equal(t, "Done in the end.", result.Answer)
		}, codertest.WithAgentPace(time.Second))
	}
}

// TestRunSession_CancelledBefore: a call that never began archives nothing.
func TestRunSession_CancelledBefore(t *testing.T) {
	bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
		c := hubClient(t, hub)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		_, err := c.RunSession(ctx, "key", runTask, nil)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		_, err = c.RunSession(ctx, "key", runTask, &coder.RunSessionOptions{ArchiveOnCancel: true})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.False(t, runError(t, err).Archived)
		require.Len(t, hub.SessionIDs(), 1)
		assert.False(t, hub.Session(hub.SessionIDs()[0]).Archived())
	}, codertest.WithAgentPace(time.Minute))
}

// TestRunSession_ArchiveOnCancel: only the end of the context archives, and only what may be at work.
func TestRunSession_ArchiveOnCancel(t *testing.T) {
	options := &coder.RunSessionOptions{ArchiveOnCancel: true}
	t.Run("not after another error", func(t *testing.T) {
		bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
			c := hubClient(t, hub)
			hub.Inject(codertest.Fault{Method: http.MethodGet, Route: "/hub/session/{id}", Status: 403, Count: -1})
			_, err := c.RunSession(t.Context(), "key", runTask, options)
			require.ErrorIs(t, err, coder.ErrForbidden)
			e := runError(t, err)
			assert.False(t, e.Archived)
			assert.False(t, hub.Session(e.SessionID).Archived())
		}, codertest.WithAgentPace(time.Minute))
	})
	t.Run("not what is over", func(t *testing.T) {
		bubble(t, func(t *testing.T, hub *codertest.Hub) {
			c := hubClient(t, hub)
			made, err := ensure(t, c, "key", nil)
			require.NoError(t, err)
			hub.Session(made.SessionID).Archive()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			hub.Inject(codertest.Fault{Route: "/hub/sessions", Delay: time.Minute})
			_, err = c.RunSession(ctx, "key", runTask, options)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			assert.Empty(t, runError(t, err).SessionID)
			assert.False(t, runError(t, err).Archived)
		})
	})
	t.Run("what is gone is as good as archived", func(t *testing.T) {
		bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
			c := hubClient(t, hub)
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			hub.Inject(codertest.Fault{Method: http.MethodPost, Route: "/hub/session/{id}/archive", Status: 404, Body: []byte(`{"error":"Session not found","code":"SESSION_NOT_FOUND"}`)})
			_, err := c.RunSession(ctx, "key", runTask, options)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			assert.True(t, runError(t, err).Archived)
		}, codertest.WithAgentPace(time.Minute))
	})
}

// TestRunSession_CancelledBetweenAttempts: the end of the context is told as such also while the next attempt is waited for.
func TestRunSession_CancelledBetweenAttempts(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		c := hubClient(t, hub, coder.WithRetryPolicy(coder.RetryPolicy{MaxAttempts: 1}))
		hub.Inject(codertest.Fault{Status: 503, Count: 100})
		ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer cancel()
		_, err := c.RunSession(ctx, "key", runTask, nil)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, coder.ErrUnavailable)
		assert.False(t, coder.IsTransient(err))
	})
}

func TestRunSession_Stalled(t *testing.T) {
	for _, archive := range []bool{false, true} {
		bubble(t, func(t *testing.T, hub *codertest.Hub) {
			c := hubClient(t, hub)
			result, err := c.RunSession(t.Context(), "key", runTask, &coder.RunSessionOptions{StallTimeout: time.Minute, ArchiveOnStall: archive})
			require.NoError(t, err)
			assert.Equal(t, coder.OutcomeStalled, result.Outcome.Kind)
			assert.Equal(t, archive, hub.Session(result.SessionID).Archived())
		})
	}
}

func TestRunSession_Limits(t *testing.T) {
	for name, test := range map[string]struct {
		limits       coder.Limits
		same         bool
		reason       string
		turns, calls int // at most
	}{
		"turns":     {coder.Limits{Turns: 4}, false, "more than 4 turns", 4, 4},
		"calls":     {coder.Limits{ToolCalls: 6}, false, "more than 6 calls of tools", 7, 7},
		"same call": {coder.Limits{SameCall: 3}, true, "more than 3 times the same call", 4, 4},
		"tokens":    {coder.Limits{Tokens: 100}, false, "more than 100 tokens", 8, 8},
	} {
		t.Run(name, func(t *testing.T) {
			bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
				c := hubClient(t, hub)
				hub.Answer(goesOn(test.same)...)
				for k := range 2 {
					result, err := c.RunSession(t.Context(), "key", runTask, &coder.RunSessionOptions{Limits: test.limits})
					require.NoError(t, err)
					assert.Equal(t, coder.OutcomeLimited, result.Outcome.Kind, "call %d: %v", k, result.Outcome.Evidence)
					assert.False(t, result.Outcome.Succeeded())
					assert.Contains(t, strings.Join(result.Outcome.Evidence, "; "), test.reason)
					assert.NotEmpty(t, result.Answer)
					turns, calls := spent(hub.Session(result.SessionID), 0)
					assert.LessOrEqual(t, turns, test.turns)
					assert.LessOrEqual(t, calls, test.calls)
				}
				assert.Len(t, hub.SessionIDs(), 1)
				aborts := 0
				for _, f := range hub.Session(hub.SessionIDs()[0]).Frames() {
					if strings.Contains(string(f.Body), `"abort"`) {
						aborts++
					}
				}
				assert.Equal(t, 1, aborts, "the second call has found it aborted")
			}, codertest.WithAgentPace(100*time.Millisecond))
		})
	}
	bubbleWith(t, func(t *testing.T, hub *codertest.Hub) { // within the limits
		result, err := hubClient(t, hub).RunSession(t.Context(), "key", runTask, &coder.RunSessionOptions{Limits: coder.Limits{Turns: 10, ToolCalls: 10}})
		require.NoError(t, err)
		assert.Equal(t, coder.OutcomeTurnEnded, result.Outcome.Kind)
	}, codertest.WithAgentPace(100*time.Millisecond))
}

// TestRunSession_Spent: what a session has spent is told if it is asked for, after each run the same, and by each way to the end.
func TestRunSession_Spent(t *testing.T) {
	for name, options := range map[string]*coder.RunSessionOptions{
		"counted": {Count: true}, "within limits": {Limits: coder.Limits{Turns: 1000}}, "both": {Count: true, Limits: coder.Limits{CostUSD: 1000}},
	} {
		t.Run(name, func(t *testing.T) {
			bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
				hub.Answer(
					codertest.AgentTurn{Text: "I look.", Tools: []codertest.AgentTool{{Name: "read", Result: "a"}, {Name: "grep", Result: "b"}}},
					codertest.AgentTurn{Text: "I give it away.", Tools: []codertest.AgentTool{{Task: &codertest.AgentTask{Agent: "tester", Prompt: "Test", Result: "ok"}}}},
					codertest.AgentTurn{Text: "Done."},
				)
				c := hubClient(t, hub)
				first, err := c.RunSession(t.Context(), "key", runTask, options)
				require.NoError(t, err)
				require.NotNil(t, first.Spent)
				var turns, calls int
				var tokens int64
				var cost float64
				for e, err := range c.AllEventHistory(t.Context(), first.SessionID, nil) { // all ids and times are there, and nothing twice
					require.NoError(t, err)
					switch event := e.AgentEvent().(type) {
					case *coder.MessageEnd:
						if event.Message.Role == "assistant" {
							turns++
							tokens += event.Message.Usage.TotalTokens
							cost += event.Message.Usage.Cost.Total
						}
					case *coder.ToolExecutionStart:
						calls++
					}
				}
				assert.GreaterOrEqual(t, turns, 3)
				assert.Equal(t, 3, calls)
				assert.Equal(t, turns, first.Spent.Turns)
				assert.Equal(t, calls, first.Spent.ToolCalls)
				assert.Equal(t, tokens, first.Spent.Tokens)
				assert.InDelta(t, cost, first.Spent.CostUSD, 1e-9)
				assert.Positive(t, cost)
				assert.Empty(t, first.Spent.NotTold)

				again, err := c.RunSession(t.Context(), "key", runTask, options)
				require.NoError(t, err)
				assert.Equal(t, first.Spent, again.Spent)
				without, err := c.RunSession(t.Context(), "key", runTask, nil)
				require.NoError(t, err)
				assert.Nil(t, without.Spent, "nobody has asked")
			}, codertest.WithAgentPace(100*time.Millisecond))
		})
	}
}

// TestRunSession_SpentUnknown: to count costs nobody the result, nor much time.
func TestRunSession_SpentUnknown(t *testing.T) {
	bubbleWith(t, func(t *testing.T, hub *codertest.Hub) { // the session is deleted, and its history with it
		c := hubClient(t, hub)
		hub.Answer(goesOn(false)...)
		go func() {
			time.Sleep(700 * time.Millisecond)
			_ = c.DeleteSession(t.Context(), hub.SessionIDs()[0])
		}()
		result, err := c.RunSession(t.Context(), "key", runTask, &coder.RunSessionOptions{Count: true})
		require.NoError(t, err)
		assert.Equal(t, coder.OutcomeDeleted, result.Outcome.Kind)
		assert.Nil(t, result.Spent)
	}, codertest.WithAgentPace(100*time.Millisecond))
	takes := make(map[bool]time.Duration)
	for _, count := range []bool{false, true} {
		bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
			c := hubClient(t, hub)
			hub.Inject(codertest.Fault{Route: historyRoute, Status: 503, Count: -1})
			began := time.Now()
			_, err := c.RunSession(t.Context(), "key", runTask, &coder.RunSessionOptions{Count: count})
			assert.NotNil(t, runError(t, err).Outcome, "the answer is in the history too")
			takes[count] = time.Since(began)
		}, codertest.WithoutAgent())
	}
	assert.Less(t, takes[true], 2*takes[false])
}

// TestRunSession_Once: whatever came of the session with the key, there is no other one.
func TestRunSession_Once(t *testing.T) {
	for name, ended := range map[string]struct {
		end  func(*codertest.SessionControl)
		want coder.OutcomeKind
	}{
		"archived": {func(s *codertest.SessionControl) { s.Archive() }, coder.OutcomeArchived},
		"failed":   {func(s *codertest.SessionControl) { s.SetStatus("failed") }, coder.OutcomeFailed},
	} {
		t.Run(name, func(t *testing.T) {
			bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
				c := hubClient(t, hub)
				_, err := c.EnsureSession(t.Context(), "key", runTask, nil)
				require.NoError(t, err)
				ended.end(hub.Session(hub.SessionIDs()[0]))
				result, err := c.RunSession(t.Context(), "key", runTask, &coder.RunSessionOptions{Once: true})
				require.NoError(t, err)
				assert.Equal(t, ended.want, result.Outcome.Kind)
				assert.False(t, result.Created)
				assert.Len(t, hub.SessionIDs(), 1)
				hub.OnSession(func(s *codertest.SessionControl) { s.SetStatus("completed") })
				_, err = c.RunSession(t.Context(), "key", runTask, nil)
				require.NoError(t, err)
				assert.Len(t, hub.SessionIDs(), 2, "without it there is another one")
			}, codertest.WithoutAgent())
		})
	}
}

// TestRunSession_OnSession: the id is there before anything is waited for, also when the context ends then.
func TestRunSession_OnSession(t *testing.T) {
	bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
		c := hubClient(t, hub)
		ctx, cancel := context.WithCancel(t.Context())
		var told []string
		options := &coder.RunSessionOptions{OnSession: func(sessionID string, created bool) {
			told = append(told, fmt.Sprint(sessionID, created))
			cancel()
		}}
		_, err := c.RunSession(ctx, "key", runTask, options)
		require.ErrorIs(t, err, context.Canceled)
		require.Len(t, hub.SessionIDs(), 1)
		id := hub.SessionIDs()[0]
		assert.Equal(t, []string{id + "true"}, told)
		_, err = c.RunSession(t.Context(), "key", runTask, options)
		require.NoError(t, err)
		assert.Equal(t, []string{id + "true", id + "false"}, told)
	}, codertest.WithAgentPace(100*time.Millisecond))
}

// TestRunSession_LimitsNameNoKey: the name of a tool is the agent's to choose.
func TestRunSession_LimitsNameNoKey(t *testing.T) {
	const key = "agc_a-key+with/special=chars"
	bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
		turns := goesOn(true)
		for i := range turns {
			for k := range turns[i].Tools {
				turns[i].Tools[k].Name = key
			}
		}
		hub.Answer(turns...)
		c := hubClient(t, hub, coder.WithAPIKey(key))
		result, err := c.RunSession(t.Context(), "key", runTask, &coder.RunSessionOptions{Limits: coder.Limits{SameCall: 3}})
		require.NoError(t, err)
		assert.Contains(t, result.Outcome.Evidence, `more than 3 times the same call of "[API key]"`)
		assertNoSecret(t, key, "the evidence", result.Outcome.Evidence)
	}, codertest.WithAgentPace(100*time.Millisecond))
}

// TestRunSession_LimitsOfTheWholeHistory: what could not be limited is told after all of a history, however long that is.
func TestRunSession_LimitsOfTheWholeHistory(t *testing.T) {
	bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
		transport := coder.NewTransport()
		transport.DialContext = hub.HTTPClient().Transport.(*http.Transport).DialContext
		defer transport.CloseIdleConnections()
		slow := &slowHistory{RoundTripper: transport}
		c := hubClient(t, hub, coder.WithHTTPClient(&http.Client{Transport: slow}))
		hub.OnSession(func(s *codertest.SessionControl) {
			message := func(k int, cost float64) map[string]any {
				return map[string]any{"message": map[string]any{
					"role": "assistant", "timestamp": 1760000000000 + k, "stopReason": "stop", "content": "Done.", "usage": map[string]any{"totalTokens": 1, "cost": map[string]any{"total": cost}},
				}}
			}
			s.Emit(codertest.Event{Event: coder.EventAgentStart})
			for k := range 500 {
				s.Emit(codertest.Event{Event: coder.EventMessageEnd, Payload: message(k, 0.01*float64(min(1, 499-k)))}) // the last costs nothing
			}
			s.Emit(codertest.Event{Event: coder.EventAgentEnd, Payload: map[string]any{"messages": []any{message(500, 0.01)["message"]}}})
			s.SetStatus("active")
		})
		_, err := c.RunSession(t.Context(), "key", runTask, nil)
		require.NoError(t, err)
		slow.lag.Store(int64(time.Second))
		result, err := c.RunSession(t.Context(), "key", runTask, &coder.RunSessionOptions{Limits: coder.Limits{CostUSD: 100}})
		require.NoError(t, err)
		assert.Equal(t, coder.OutcomeTurnEnded, result.Outcome.Kind)
		assert.Equal(t, []string{"CostUSD"}, result.NotEnforced)
	}, codertest.WithoutAgent())
}

// TestRunSession_LimitsOfWhatIsDone: what was done well before is a success, whatever it has cost.
func TestRunSession_LimitsOfWhatIsDone(t *testing.T) {
	bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
		c := hubClient(t, hub)
		hub.Answer(goesOn(false)[:5]...)
		_, err := c.RunSession(t.Context(), "key", runTask, nil)
		require.NoError(t, err)
		result, err := c.RunSession(t.Context(), "key", runTask, &coder.RunSessionOptions{Limits: coder.Limits{Turns: 2}})
		require.NoError(t, err)
		assert.Equal(t, coder.OutcomeTurnEnded, result.Outcome.Kind)
		assert.True(t, result.Outcome.Succeeded())
	}, codertest.WithAgentPace(100*time.Millisecond))
}

// TestRunSession_LimitsUnreadable: limits that cannot be enforced are an error, and not forgotten.
func TestRunSession_LimitsUnreadable(t *testing.T) {
	bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
		c := hubClient(t, hub)
		hub.Answer(goesOn(false)...)
		hub.Inject(codertest.Fault{Route: historyRoute, Status: 403, Count: -1})
		_, err := c.RunSession(t.Context(), "key", runTask, &coder.RunSessionOptions{Limits: coder.Limits{Turns: 2}})
		require.ErrorIs(t, err, coder.ErrForbidden)
		assert.Contains(t, err.Error(), "the limits cannot be enforced: ")
		assert.NotEmpty(t, runError(t, err).SessionID)
	}, codertest.WithAgentPace(100*time.Millisecond))
}

// TestRunSession_LimitsDeleted: a session that is deleted has that outcome also with limits.
func TestRunSession_LimitsDeleted(t *testing.T) {
	bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
		c := hubClient(t, hub)
		hub.Answer(goesOn(false)...)
		go func() {
			time.Sleep(700 * time.Millisecond)
			_ = c.DeleteSession(t.Context(), hub.SessionIDs()[0])
		}()
		result, err := c.RunSession(t.Context(), "key", runTask, &coder.RunSessionOptions{Limits: coder.Limits{Turns: 1000}})
		require.NoError(t, err)
		assert.Equal(t, coder.OutcomeDeleted, result.Outcome.Kind)
	}, codertest.WithAgentPace(100*time.Millisecond))
}

// TestRunSession_LimitsNotObeyed: an agent that goes on after it was to be aborted is not waited for.
func TestRunSession_LimitsNotObeyed(t *testing.T) {
	bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
		c := hubClient(t, hub)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		var agent sync.WaitGroup
		hub.OnSession(func(s *codertest.SessionControl) {
			agent.Go(func() {
				s.Emit(codertest.Event{Event: coder.EventAgentStart})
				for k := 0; ctx.Err() == nil; k++ {
					time.Sleep(time.Second)
					s.Emit(codertest.Event{Event: coder.EventToolExecutionStart, Payload: map[string]any{"toolCallId": fmt.Sprint("call", k), "toolName": "read"}})
				}
			})
		})
		began := time.Now()
		_, err := c.RunSession(ctx, "key", runTask, &coder.RunSessionOptions{Limits: coder.Limits{ToolCalls: 3}})
		cancel()
		agent.Wait()
		require.ErrorIs(t, err, coder.ErrLimitExceeded)
		assert.Contains(t, err.Error(), "more than 3 calls of tools, and it has not obeyed the abort for 1m0s")
		assert.Less(t, time.Since(began), 2*time.Minute)
		assert.NotEmpty(t, runError(t, err).SessionID)
	}, codertest.WithoutAgent())
}

// TestRunSession_AnswerBeforeTools: a message that only calls tools says nothing.
func TestRunSession_AnswerBeforeTools(t *testing.T) {
	bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
		hub.Answer(
			codertest.AgentTurn{Text: "The parser has a race.", Tools: []codertest.AgentTool{{Name: "read", Result: "ok"}}},
			codertest.AgentTurn{Tools: []codertest.AgentTool{{Ask: &codertest.AgentQuestion{Method: "confirm"}}}},
		)
		result, err := hubClient(t, hub).RunSession(t.Context(), "key", runTask, nil)
		require.NoError(t, err)
		assert.Equal(t, coder.OutcomeNeedsInput, result.Outcome.Kind)
		assert.Equal(t, "The parser has a race.", result.Answer)
	})
}

// TestRunSession_LimitsSubagents: what a sub-agent does counts once, wherever it is reported.
func TestRunSession_LimitsSubagents(t *testing.T) {
	bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
		var agent sync.WaitGroup
		message := func(k int, stop string) map[string]any {
			return map[string]any{"taskId": "task1", "message": map[string]any{"role": "assistant", "timestamp": 1760000000000 + k, "stopReason": stop, "content": "x"}}
		}
		hub.OnSession(func(s *codertest.SessionControl) {
			agent.Go(func() {
				time.Sleep(5 * time.Second)
				for k := range 3 {
					s.Emit(codertest.Event{Event: coder.EventMessageStart, Payload: message(k, "")})
					s.Emit(codertest.Event{Event: coder.EventMessageEnd, Payload: message(k, "toolUse")})
					time.Sleep(time.Second)
				}
			})
		})
		result, err := hubClient(t, hub).RunSession(t.Context(), "key", runTask, &coder.RunSessionOptions{Limits: coder.Limits{Turns: 3}, StallTimeout: time.Minute})
		agent.Wait()
		require.NoError(t, err)
		assert.Equal(t, coder.OutcomeStalled, result.Outcome.Kind)
		assert.Empty(t, result.Answer)
	}, codertest.WithoutAgent())
}

// TestRunSession_OutcomeWithoutAnswer: that the session could not be archived does not take away what is known of it.
func TestRunSession_OutcomeWithoutAnswer(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		hub.Inject(codertest.Fault{Route: "/hub/session/{id}/archive", Status: 403, Count: -1})
		_, err := hubClient(t, hub).RunSession(t.Context(), "key", runTask, &coder.RunSessionOptions{StallTimeout: time.Minute, ArchiveOnStall: true})
		require.ErrorIs(t, err, coder.ErrForbidden)
		e := runError(t, err)
		require.NotNil(t, e.Outcome)
		assert.Equal(t, coder.OutcomeStalled, e.Outcome.Kind)
	})
}

func TestRunSession_BadArguments(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		c := hubClient(t, hub)
		for field, call := range map[string]func() error{
			"key": func() error { _, err := c.RunSession(t.Context(), " ", runTask, nil); return err },
			"Limits.Turns": func() error {
				_, err := c.RunSession(t.Context(), "k", runTask, &coder.RunSessionOptions{Limits: coder.Limits{Turns: -1}})
				return err
			},
			"metadata.idempotencyKey": func() error {
				_, err := c.RunSession(t.Context(), "k", coder.CreateSessionRequest{Metadata: map[string]any{"idempotencyKey": "other"}}, nil)
				return err
			},
			"ctx": func() error { _, err := c.RunSession(nil, "k", runTask, nil); return err }, //nolint:staticcheck // the point
		} {
			var bad *coder.ValidationError
			require.ErrorAs(t, call(), &bad, field)
			assert.Equal(t, field, bad.Field)
			assert.Equal(t, "RunSession", bad.Operation)
		}
		assert.Empty(t, hub.Requests())
		hub.Inject(codertest.Fault{Status: 401, Count: -1})
		_, err := c.RunSession(t.Context(), "key", runTask, nil)
		require.ErrorIs(t, err, coder.ErrUnauthorized)
		assert.Empty(t, runError(t, err).SessionID)
	})
}

// TestRunSession_Simulated: the caller is cancelled, panics or times out at any moment, the Hub restarts, and the same key is
// run again until there is a result: one session a key, and the right answer. With ArchiveOnCancel none is left at work, save
// those of which it was said that nobody knows.
//
//	go test -run RunSession_Simulated -runs 1000 -v .
func TestRunSession_Simulated(t *testing.T) {
	counts := make(map[string]int)
	for seed := range uint64(max(20, *simulatedRuns/5)) {
		if !t.Run(fmt.Sprint(seed), func(t *testing.T) { simulateRuns(t, seed, counts) }) {
			break
		}
	}
	t.Log(counts)
}

func simulateRuns(t *testing.T, seed uint64, counts map[string]int) {
	r := rand.New(rand.NewPCG(seed, 61))
	archive := r.IntN(3) == 0
	bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
		hub.OnSession(func(s *codertest.SessionControl) {
			s.Answer(codertest.AgentTurn{Tools: []codertest.AgentTool{{}}}, codertest.AgentTurn{Tools: []codertest.AgentTool{{}}}, codertest.AgentTurn{Text: "The answer."})
		})
		options := coder.RunSessionOptions{ArchiveOnCancel: archive, RepostAfter: -1}
		unknown := false
		for attempt := range 50 {
			c := hubClient(t, hub) // another process
			ctx, cancel := context.WithCancel(t.Context())
			left := time.Duration(r.ExpFloat64() * float64(8*time.Second))
			ending := r.IntN(3)
			if attempt > 10 {
				ending, left = 0, time.Hour
			}
			if r.IntN(3) == 0 {
				kind := []codertest.Outage{{}, {Kind: codertest.OutageClosed}, {Kind: codertest.OutageBadGateway}, {Kind: codertest.OutageUnavailable}, {Kind: codertest.OutageRetryAfter}}[r.IntN(5)]
				down := time.Duration(3+r.IntN(12)) * time.Second
				time.AfterFunc(time.Duration(r.IntN(6000))*time.Millisecond, func() { hub.Restart(down, kind) })
			}
			if r.IntN(5) == 0 {
				hub.Inject(codertest.Fault{Method: http.MethodPost, Route: postSession, Cut: codertest.CutAfterEffect})
			}
			switch ending {
			case 0:
				ctx, cancel = context.WithTimeout(t.Context(), left)
			case 1:
				time.AfterFunc(left, cancel)
			case 2:
				began := time.Now()
				options.OnPoll = func(*coder.Session) {
					if time.Since(began) > left {
						panic("of the program")
					}
				}
			}
			var result *coder.SessionResult
			var err error
			panicked := func() (p any) {
				defer func() { p = recover() }()
				result, err = c.RunSession(ctx, "key", runTask, &options)
				return nil
			}()
			ended := ctx.Err()
			cancel()
			options.OnPoll = nil
			switch {
			case panicked != nil:
				counts["panicked"]++
				unknown = unknown || archive // nobody archives it then
				continue
			case err == nil:
				assert.Equal(t, "The answer.", result.Answer, "%v %v", result.Outcome.Kind, result.Outcome.Evidence)
				assert.True(t, result.Outcome.Succeeded(), "%v %v", result.Outcome.Kind, result.Outcome.Evidence)
				counts["done"]++
				if !archive && !unknown {
					assert.Len(t, hub.SessionIDs(), 1)
				}
				return
			}
			e := runError(t, err)
			if ended == nil {
				counts["failed"]++
				unknown = true // only the end of the context archives
			}
			if errors.Is(err, coder.ErrOutcomeUnknown) {
				unknown = true
				counts["unknown"]++
			}
			if archive && !e.Archived && e.SessionID == "" {
				for _, id := range hub.SessionIDs() {
					if !hub.Session(id).Archived() {
						assert.True(t, unknown, "%s is at work: %v", id, err)
					}
				}
			}
			if e.Archived {
				counts["archived"]++
			} else {
				counts["left"]++
			}
		}
		require.Fail(t, "it came to nothing")
	}, codertest.WithAgentPace(time.Duration(100+r.IntN(400))*time.Millisecond))
}

// TestRunSession_Restarts: a fleet of jobs goes through restarts of the Hub, of 3 to 15 s, behind a gateway that answers with
// pages meanwhile. Every job ends with its session, and there is no other.
func TestRunSession_Restarts(t *testing.T) {
	for seed := range uint64(max(2, *simulatedRuns/50)) {
		r := rand.New(rand.NewPCG(seed, 71))
		bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
			c := hubClient(t, hub)
			hub.OnSession(func(s *codertest.SessionControl) {
				s.Answer(codertest.AgentTurn{Tools: []codertest.AgentTool{{}}}, codertest.AgentTurn{Text: "The answer to " + s.Task()})
			})
			const jobs = 40
			var group errgroup.Group
			for k := range jobs {
				after := time.Duration(r.IntN(60_000)) * time.Millisecond
				group.Go(func() error {
					time.Sleep(after)
					task := fmt.Sprint("job ", k)
					result, err := c.RunSession(t.Context(), task, coder.CreateSessionRequest{Task: task}, nil)
					if err != nil {
						return err
					}
					if !result.Outcome.Succeeded() || result.Answer != "The answer to "+task {
						return fmt.Errorf("%s came to %v, %q", task, result.Outcome.Kind, result.Answer)
					}
					return nil
				})
			}
			for range 4 {
				kind := []codertest.OutageKind{codertest.OutageUnavailable, codertest.OutageRetryAfter, codertest.OutageBadGateway}[r.IntN(3)]
				time.Sleep(time.Duration(5+r.IntN(15)) * time.Second)
				<-hub.Restart(time.Duration(3+r.IntN(13))*time.Second, codertest.Outage{Kind: kind}).Over()
			}
			require.NoError(t, group.Wait(), "seed %d", seed)
			assert.Len(t, hub.SessionIDs(), jobs)
		}, codertest.WithAgentPace(time.Duration(100+r.IntN(900))*time.Millisecond))
	}
}
