package coder_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// goesOn is an agent that calls tools for ever, or nearly so. With same it makes the same call over and over.
func goesOn(same bool) (turns []codertest.AgentTurn) {
	for k := range 40 {
		args := map[string]any{"path": fmt.Sprint("file", k), "deep": map[string]any{"a": 1, "b": 2}}
		if same {
			args["path"] = "file"
		}
		turns = append(turns, codertest.AgentTurn{Text: fmt.Sprint("Turn ", k+1), Tools: []codertest.AgentTool{{Name: "read", Args: args, Result: "ok"}}})
	}
	return append(turns, codertest.AgentTurn{Text: "Done at last."})
}

// spent counts what the agent did after a point in the history: its messages, but for those that were aborted, and calls of
// tools.
func spent(session *codertest.SessionControl, after int) (turns, calls int) {
	for _, e := range session.Events() {
		if e.ID <= after {
			continue
		}
		switch event := e.AgentEvent().(type) {
		case *coder.MessageEnd:
			if event.Message.Role == "assistant" && event.Message.StopReason != coder.StopReasonAborted {
				turns++
			}
		case *coder.ToolExecutionStart:
			calls++
		}
	}
	return turns, calls
}

func newestID(session *codertest.SessionControl) int {
	events := session.Events()
	return events[len(events)-1].ID
}

// TestHubConn_Ask_Limits: the agent is aborted with the first event that goes beyond a limit, and the error says which one.
func TestHubConn_Ask_Limits(t *testing.T) {
	for name, test := range map[string]struct {
		limits       coder.Limits
		same         bool
		reason       string
		turns, calls int // at most
	}{
		"turns":     {coder.Limits{Turns: 5}, false, "more than 5 turns", 5, 5},
		"calls":     {coder.Limits{ToolCalls: 7}, false, "more than 7 calls of tools", 8, 8},
		"same call": {coder.Limits{SameCall: 3, ToolCalls: 30}, true, `more than 3 times the same call of "read"`, 4, 4},
		"others":    {coder.Limits{SameCall: 3, ToolCalls: 9}, false, "more than 9 calls of tools", 10, 10},
		"tokens":    {coder.Limits{Tokens: 100, CostUSD: 1000}, false, "more than 100 tokens", 20, 20},
	} {
		t.Run(name, func(t *testing.T) {
			asks(t, func(t *testing.T, _ *codertest.Hub, session *codertest.SessionControl, conn *coder.HubConn) {
				session.Answer(goesOn(test.same)...)
				before := newestID(session)
				answer, err := conn.Ask(t.Context(), "Go on for ever", &coder.AskOptions{Limits: test.limits})
				assert.Nil(t, answer)
				e := agentError(t, err, coder.ErrLimitExceeded)
				assert.Contains(t, err.Error(), test.reason)
				require.NotErrorIs(t, err, coder.ErrAgentAborted)
				assert.False(t, coder.IsTransient(err))
				require.NotNil(t, e.Answer, "what was said")
				turns, calls := spent(session, before)
				assert.LessOrEqual(t, turns, test.turns)
				assert.LessOrEqual(t, calls, test.calls)
				session.Answer(codertest.AgentTurn{Text: "Hello"})
				answer, err = conn.Ask(t.Context(), "Say hello", &coder.AskOptions{Limits: test.limits})
				require.NoError(t, err, "each prompt has its own")
				assert.Equal(t, "Hello", answer.Text)
			})
		})
	}
	for _, bad := range []coder.Limits{{CostUSD: -1}, {CostUSD: math.NaN()}, {Tokens: -1}, {Turns: -1}, {ToolCalls: -1}, {SameCall: -1}} {
		bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
			_, conn := idleAgent(t, hub)
			_, err := conn.Ask(t.Context(), "Hello", &coder.AskOptions{Limits: bad})
			var invalid *coder.ValidationError
			require.ErrorAs(t, err, &invalid)
			assert.Contains(t, invalid.Field, "Limits.")
		})
	}
}

// TestHubConn_Ask_LimitsAcrossLosses: also while the connection is lost, and at any moment.
func TestHubConn_Ask_LimitsAcrossLosses(t *testing.T) {
	within := 0
	for seed := range uint64(max(10, *simulatedRuns/10)) {
		r := rand.New(rand.NewPCG(seed, 51))
		most := 1 + r.IntN(10)
		bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
			session, conn := idleAgent(t, hub)
			session.Answer(goesOn(false)...)
			before := newestID(session)
			cut := time.Duration(r.IntN(20_000)) * time.Millisecond
			time.AfterFunc(cut, session.CutStreams)
			_, err := conn.Ask(t.Context(), "Go on for ever", &coder.AskOptions{Limits: coder.Limits{Turns: most}})
			require.ErrorIs(t, err, coder.ErrLimitExceeded, "seed %d", seed)
			if turns, _ := spent(session, before); turns <= most+1 {
				within++
			}
		}, codertest.WithAgentPace(time.Duration(50+r.IntN(400))*time.Millisecond), codertest.WithAgentDialect(codertest.AgentDialect(r.IntN(2))))
	}
	t.Logf("%d of %d were stopped in the turn that went beyond", within, max(10, *simulatedRuns/10))
}

// TestHubConn_Ask_LimitsOfWhatIsDone: an answer that was whole before anybody could say stop is an answer, and nobody is stopped.
func TestHubConn_Ask_LimitsOfWhatIsDone(t *testing.T) {
	bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
		session, conn := idleAgent(t, hub)
		session.Answer(append(goesOn(false)[:5:5], codertest.AgentTurn{Text: "Done all the same."})...)
		time.AfterFunc(50*time.Millisecond, func() {
			session.RefuseStreams(codertest.Refusal{Count: 4, Status: 503})
			session.CutStreams()
		})
		answer, err := conn.Ask(t.Context(), "Do it", &coder.AskOptions{Limits: coder.Limits{Turns: 2}})
		require.NoError(t, err)
		assert.Equal(t, "Done all the same.", answer.Text)
		time.Sleep(time.Minute)
		for _, f := range session.Frames() {
			assert.NotContains(t, string(f.Body), `"abort"`)
		}
	}, codertest.WithAgentPace(20*time.Millisecond))
}

// TestHubConn_Ask_LimitsNotObeyed: of an agent that goes on it is told whether it could be told to stop.
func TestHubConn_Ask_LimitsNotObeyed(t *testing.T) {
	said := func(role, text, stopReason string) map[string]any {
		return map[string]any{"message": map[string]any{"role": role, "stopReason": stopReason, "content": []any{map[string]any{"type": "text", "text": text}}}}
	}
	for name, test := range map[string]struct {
		away bool
		why  string
	}{
		"it does not obey":     {false, "more than 2 calls of tools, and it has not obeyed the abort for 30s"},
		"it cannot be reached": {true, "more than 2 calls of tools, and the abort has failed: too many attempts to connect: the connection was lost: closed with 4408 UNAVAILABLE"},
	} {
		bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
			session, conn := silentLead(t, hub)
			ctx, cancel := context.WithCancel(t.Context())
			var agent sync.WaitGroup
			agent.Go(func() {
				time.Sleep(time.Second)
				session.Emit(codertest.Event{Event: coder.EventAgentStart})
				session.Emit(codertest.Event{Event: coder.EventMessageStart, Payload: said("user", "Do it", "")})
				session.Emit(codertest.Event{Event: coder.EventMessageEnd, Payload: said("user", "Do it", "")})
				for k := 0; ctx.Err() == nil; k++ {
					if k == 2 && test.away {
						session.RefuseStreams(codertest.Refusal{Count: -1, Status: 503})
						session.CutStreams()
						time.Sleep(time.Second)
					}
					session.Emit(codertest.Event{Event: coder.EventToolExecutionStart, Payload: map[string]any{"toolCallId": fmt.Sprint("call", k), "toolName": "read"}})
					time.Sleep(time.Second)
				}
			})
			began := time.Now()
			_, err := conn.Ask(t.Context(), "Do it", &coder.AskOptions{Limits: coder.Limits{ToolCalls: 2}})
			cancel()
			agent.Wait()
			e := agentError(t, err, coder.ErrLimitExceeded)
			assert.Equal(t, test.why, e.Reason, name)
			assert.False(t, coder.IsTransient(err))
			assert.Less(t, time.Since(began), 4*time.Minute) // it connects again for so long
		}, codertest.WithoutAgent())
	}
}

// TestHubConn_Ask_LimitsNotEnforced: what the agent does not tell cannot be limited, and the answer says so.
func TestHubConn_Ask_LimitsNotEnforced(t *testing.T) {
	bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
		_, conn := idleAgent(t, hub)
		answer, err := conn.Ask(t.Context(), "Hello", &coder.AskOptions{Limits: coder.Limits{CostUSD: 1, Turns: 100}})
		require.NoError(t, err)
		var cost float64
		for _, m := range answer.Messages {
			if m.Usage != nil && m.Usage.Cost != nil {
				cost += m.Usage.Cost.Total
			}
		}
		assert.Equal(t, cost == 0, slices.Equal([]string{"CostUSD"}, answer.NotEnforced), "%v costs %v", answer.NotEnforced, cost)
	})
}

// TestRunSession_LimitsSimulated: whichever limit is crossed at whichever pace, the agent is stopped in the turn that goes
// beyond it, also by a call that finds the session at work.
func TestRunSession_LimitsSimulated(t *testing.T) {
	for seed := range uint64(max(10, *simulatedRuns/10)) {
		r := rand.New(rand.NewPCG(seed, 81))
		most := 1 + r.IntN(10)
		limits := []coder.Limits{{Turns: most}, {ToolCalls: most}, {SameCall: most}}[r.IntN(3)]
		bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
			hub.Answer(goesOn(limits.SameCall > 0)...)
			if r.IntN(3) == 0 { // the call before had no limits, and was cut short
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(r.IntN(10_000))*time.Millisecond)
				_, err := hubClient(t, hub).RunSession(ctx, "key", runTask, nil)
				cancel()
				require.Error(t, err)
			}
			before := 0
			if ids := hub.SessionIDs(); len(ids) > 0 {
				before, _ = spent(hub.Session(ids[0]), 0)
			}
			result, err := hubClient(t, hub).RunSession(t.Context(), "key", runTask, &coder.RunSessionOptions{Limits: limits})
			require.NoError(t, err)
			require.Equal(t, coder.OutcomeLimited, result.Outcome.Kind, "seed %d: %v", seed, result.Outcome.Evidence)
			turns, _ := spent(hub.Session(result.SessionID), 0)
			require.LessOrEqual(t, turns, max(most, before)+1, "seed %d: %+v", seed, limits)
		}, codertest.WithAgentPace(time.Duration(50+r.IntN(400))*time.Millisecond), codertest.WithAgentDialect(codertest.AgentDialect(r.IntN(2))),
			codertest.WithAgentVersion([]string{"0.74.2", "1.6.0"}[r.IntN(2)]))
	}
}
