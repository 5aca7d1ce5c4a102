package coder_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// TestHubConn_Ask_Simulated asks codertest's agent, which repeats what it is asked, while everything happens that the
// recordings have, and a neighbour prompts, steers and aborts. The answer is that to the question, or there is an error
// that says why not.
//
//	go test -run Ask_Simulated -runs 10000 -v .
func TestHubConn_Ask_Simulated(t *testing.T) {
	counts := countSimulated(t, func(t *testing.T, seed uint64, counts map[string]int) { simulateAsks(t, seed, false, counts) })
	assert.Greater(t, counts["answered"], *simulatedRuns, "most are answered")
}

// TestHubConn_Ask_SimulatedRestarts is the same with a Hub that restarts, in every way there is, at any moment.
func TestHubConn_Ask_SimulatedRestarts(t *testing.T) {
	counts := countSimulated(t, func(t *testing.T, seed uint64, counts map[string]int) { simulateAsks(t, seed, true, counts) })
	assert.Greater(t, counts["answered"], *simulatedRuns, "most are answered")
}

// countSimulated plays the runs until one fails, and returns what they came to.
func countSimulated(t *testing.T, play func(t *testing.T, seed uint64, counts map[string]int)) map[string]int {
	t.Helper()
	counts := make(map[string]int)
	for seed := range uint64(*simulatedRuns) {
		if !t.Run(fmt.Sprint(seed), func(t *testing.T) { play(t, seed, counts) }) {
			break
		}
	}
	var lines []string
	for _, what := range slices.Sorted(maps.Keys(counts)) {
		lines = append(lines, fmt.Sprintf("%d %s", counts[what], what))
	}
	t.Log(strings.Join(lines, ", "))
	return counts
}

func simulateAsks(t *testing.T, seed uint64, restarts bool, counts map[string]int) {
	r := rand.New(rand.NewPCG(seed, 21))
	var errs []codertest.AgentError
	for r.IntN(2) == 0 {
		errs = append(errs, codertest.AgentError(r.IntN(int(codertest.AgentNoModelKey))))
	}
	bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
		session, conn := idleAgent(t, hub)
		session.FailModel(errs...)
		neighbour, err := hubClient(t, hub).Attach(t.Context(), session.ID(), nil)
		require.NoError(t, err)
		defer neighbour.Close()
		neighbour.DiscardMessages()
		one := &simulatedSession{T: t, r: r, hub: hub, client: hubClient(t, hub), id: session.ID(), restarts: restarts, mu: make(chan struct{}, 1)}
		done, disturbance := make(chan struct{}), r.Uint64() // the goroutines share no source
		go func() {
			defer close(done)
			one.disturb(neighbour, disturbance)
		}()
		for k := range 3 {
			question := fmt.Sprintf("Question %d of %d", k, seed)
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Hour)
			began := time.Now()
			answer, err := conn.Ask(ctx, question, &coder.AskOptions{OnQuestion: func(context.Context, *coder.RPCUIRequestMessage) (any, error) { return true, nil }})
			cancel()
			what := judgeAsk(t, one, question, answer, err)
			counts[what]++
			require.NotErrorIs(t, err, context.DeadlineExceeded, "%s after %v", one.acts(), time.Since(began))
			time.Sleep(time.Duration(r.IntN(3000)) * time.Millisecond)
		}
		one.mu <- struct{}{}
		one.stopped = true
		<-one.mu
		<-done
	}, codertest.WithAgentVersion([]string{"0.74.2", "1.6.0"}[r.IntN(2)]), codertest.WithAgentDialect(codertest.AgentDialect(r.IntN(2))),
		codertest.WithAgentPace(time.Duration(20+r.IntN(300))*time.Millisecond))
}

// TestClient_Answer_Simulated submits a question, loses the process at any moment after that, and collects the answer in
// another one, twice.
func TestClient_Answer_Simulated(t *testing.T) {
	counts := countSimulated(t, func(t *testing.T, seed uint64, counts map[string]int) { simulateReceipts(t, seed, false, counts) })
	assert.Greater(t, counts["answered"], *simulatedRuns/2, "most are answered")
}

// TestClient_Answer_SimulatedRestarts is the same with a Hub that restarts, in every way there is, at any moment.
func TestClient_Answer_SimulatedRestarts(t *testing.T) {
	counts := countSimulated(t, func(t *testing.T, seed uint64, counts map[string]int) { simulateReceipts(t, seed, true, counts) })
	assert.Greater(t, counts["answered"], *simulatedRuns/2, "most are answered")
}

func simulateReceipts(t *testing.T, seed uint64, restarts bool, counts map[string]int) {
	r := rand.New(rand.NewPCG(seed, 31))
	var errs []codertest.AgentError
	for r.IntN(2) == 0 {
		errs = append(errs, codertest.AgentError(r.IntN(int(codertest.AgentNoModelKey))))
	}
	bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
		session, conn := idleAgent(t, hub)
		session.FailModel(errs...)
		neighbour, err := hubClient(t, hub).Attach(t.Context(), session.ID(), nil)
		require.NoError(t, err)
		defer neighbour.Close()
		neighbour.DiscardMessages()
		conn.DiscardMessages()
		one := &simulatedSession{T: t, r: r, hub: hub, client: hubClient(t, hub), id: session.ID(), restarts: restarts, mu: make(chan struct{}, 1)}
		done, disturbance := make(chan struct{}), r.Uint64() // the goroutines share no source
		go func() {
			defer close(done)
			one.disturb(neighbour, disturbance)
		}()
		time.Sleep(time.Duration(r.IntN(5000)) * time.Millisecond)
		question := fmt.Sprintf("Question of %d", seed)
		killed, kill := context.WithTimeout(t.Context(), time.Duration(r.ExpFloat64()*float64(4*time.Second)))
		receipt, err := conn.Submit(killed, question)
		kill()
		require.NoError(t, conn.Close())
		var refused *coder.AgentError
		if receipt == nil {
			require.Error(t, err)
			if !errors.As(err, &refused) {
				require.NotErrorIs(t, err, coder.ErrOutcomeUnknown)
			}
			counts["not sent"]++
		} else {
			time.Sleep(time.Duration(r.ExpFloat64() * float64(5*time.Second)))
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Hour)
			answer, err := hubClient(t, hub).Answer(ctx, receipt)
			counts[judgeAsk(t, one, question, answer, err)]++
			again, twice := hubClient(t, hub).Answer(ctx, receipt)
			cancel()
			assert.Equal(t, answer, again, "%v", one.acts())
			assert.Equal(t, fmt.Sprint(err), fmt.Sprint(twice), "%v", one.acts())
		}
		one.mu <- struct{}{}
		one.stopped = true
		<-one.mu
		<-done
	}, codertest.WithAgentVersion([]string{"0.74.2", "1.6.0"}[r.IntN(2)]), codertest.WithAgentDialect(codertest.AgentDialect(r.IntN(2))),
		codertest.WithAgentPace(time.Duration(20+r.IntN(300))*time.Millisecond))
}

// judgeAsk says what a question came to, and fails if that is not so.
func judgeAsk(t *testing.T, one *simulatedSession, question string, answer *coder.Answer, err error) string {
	t.Helper()
	if err == nil {
		require.NotNil(t, answer)
		said, mine := "", false
		for _, m := range answer.Messages {
			if m.Role == "assistant" {
				said += m.Content.Text() + "|"
				mine = mine || strings.Contains(m.Content.Text(), question)
				require.True(t, m.StopReason == "aborted" || wholeAnswer(m.Content.Text()), "half an answer to %q: %q; %s", question, said, one.acts())
			}
		}
		if one.losesReports() { // the message that repeats the question may be lost
			mine = mine || !strings.Contains(said, "Working on it")
		}
		require.True(t, mine || answer.Shared || answer.Truncated || said == "|", "the answer to %q is %q; %s", question, said, one.acts())
		require.Contains(t, []string{"stop", "length"}, answer.StopReason)
		switch {
		case answer.Shared:
			return "answered, shared"
		case answer.Steered:
			return "answered, steered"
		}
		return "answered"
	}
	require.Nil(t, answer)
	var request *coder.RequestError // of a look at the history before the prompt was sent
	if (errors.Is(err, coder.ErrUnavailable) || errors.As(err, &request)) && !errors.Is(err, coder.ErrOutcomeUnknown) {
		one.neverHeard(question, err)
		return "not sent: the Hub was away for too long"
	}
	var refused *coder.HubConnError
	if one.restarts && errors.As(err, &refused) && strings.Contains(refused.Error(), "driver is not connected") {
		one.neverHeard(question, err)
		return "refused: the agent was not back"
	}
	var failed *coder.AgentError
	require.ErrorAs(t, err, &failed, "%v; %s", err, one.acts())
	if errors.Is(err, coder.ErrAgentStalled) && strings.Contains(failed.Reason, "it is queued") {
		return "queued, and an idle agent does not come to it"
	}
	for name, is := range map[string]error{"failed": coder.ErrAgentFailed, "aborted": coder.ErrAgentAborted, "dropped": coder.ErrPromptDropped, "stalled": coder.ErrAgentStalled, "unknown": coder.ErrOutcomeUnknown} {
		if !errors.Is(err, is) {
			continue
		}
		switch name {
		case "dropped", "stalled", "unknown": // the history says so too
			one.neverHeard(question, err)
		}
		return name
	}
	require.Fail(t, "an error that nothing led to", "%v; %s", err, one.acts())
	return ""
}

// wholeAnswer reports whether a text is all that codertest's agent says in one message.
func wholeAnswer(text string) bool {
	return slices.Contains([]string{"", "Done.", "Changing course: Rather that", "Working on it: And more", "Working on it: Then this", "Working on it: Rather that"}, text) ||
		regexp.MustCompile(`^Working on it: Question (\d+ )?of \d+$`).MatchString(text)
}

// neverHeard checks that the history has no sign of the agent taking the question, or where reports were lost, none of
// its answer: one that it did not see begin belongs to nobody.
func (one *simulatedSession) neverHeard(question string, err error) {
	one.Helper()
	heard, begun, answered := false, false, false
	var whole coder.UnixMilli // the last message that was seen to begin
	for _, e := range one.hub.Session(one.id).Events() {
		if start, ok := e.AgentEvent().(*coder.MessageStart); ok {
			whole = start.Message.Timestamp
		}
		end, ok := e.AgentEvent().(*coder.MessageEnd)
		if !ok {
			continue
		}
		said := end.Message.Content.Text()
		switch end.Message.Role {
		case "user":
			heard, begun = heard || strings.Contains(said, question), false
		case "assistant":
			began := end.Message.Timestamp == whole
			begun = begun || began && strings.Contains(said, question)
			answered = answered || heard && begun && began && said == "Done."
		}
	}
	if one.losesReports() {
		require.False(one, answered, "%v, but the agent answered %q; %s", err, question, one.acts())
		return
	}
	require.False(one, heard, "%v, but the agent took %q; %s", err, question, one.acts())
}
