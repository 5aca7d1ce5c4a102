package coder_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

var simulatedRuns = flag.Int("runs", 100, "how many seeds each simulation plays")

// TestWaitForSession_Simulated waits for sessions of codertest's agent, of both versions and in both dialects, in
// which everything happens that the recordings have: tools, thoughts, tasks and questions, models that fail, once or for
// good, compactions, prompts, steers, follow-ups and aborts by others, lost connections and a Hub that is away. What
// WaitForSession says must be so, and stay so as long as nobody asks for more.
//
//	go test -run Simulated -runs 10000 -v .
func TestWaitForSession_Simulated(t *testing.T) {
	var s simulation
	for seed := range uint64(*simulatedRuns) {
		if !t.Run(fmt.Sprint(seed), func(t *testing.T) { s.play(t, seed) }) {
			break
		}
	}
	t.Log(s.String())
	assert.Greater(t, s.waits, *simulatedRuns/2)
	for _, kind := range []coder.OutcomeKind{coder.OutcomeTurnEnded, coder.OutcomeFailed, coder.OutcomeAborted, coder.OutcomeNeedsInput} {
		assert.NotZero(t, s.kinds[kind], "%s came about", kind)
	}
}

// simulation counts what its sessions came to.
type simulation struct {
	waits    int
	requests int
	bytes    int64
	busy     time.Duration // what the waits took
	kinds    map[coder.OutcomeKind]int
	late     map[coder.OutcomeKind][]time.Duration // from the last event of the agent to the verdict
}

func (s *simulation) String() string {
	text := fmt.Sprintf("%d waits, %d of them for questions; %.1f requests and %.1f kB each, %.0f s each\n", s.waits, s.kinds[coder.OutcomeNeedsInput], float64(s.requests)/float64(s.waits),
		float64(s.bytes)/float64(s.waits)/1000, s.busy.Seconds()/float64(s.waits))
	for kind, late := range s.late {
		slices.Sort(late)
		text += fmt.Sprintf("%-10s %5d; noticed after %v, %v at most\n", kind, s.kinds[kind], late[len(late)/2].Round(time.Second/10), late[len(late)-1].Round(time.Second/10))
	}
	return text
}

// countingTransport counts the bytes of the answers to GET requests.
type countingTransport struct {
	http.RoundTripper
	bytes *atomic.Int64
}

func (c countingTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := c.RoundTripper.RoundTrip(r)
	if err == nil && answer.StatusCode == http.StatusOK {
		answer.Body = countingBody{answer.Body, c.bytes}
	}
	return answer, err
}

type countingBody struct {
	io.ReadCloser
	bytes *atomic.Int64
}

func (c countingBody) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.bytes.Add(int64(n))
	return n, err
}

// simulatedSession is one session of the simulation.
type simulatedSession struct {
	*testing.T
	r        *rand.Rand
	hub      *codertest.Hub
	client   *coder.Client
	id       string
	noModel  bool          // the agent has no key for its model
	restarts bool          // of the Hub
	mu       chan struct{} // a lock whose waiters let the fake time go on
	stopped  bool
	touched  time.Time // when somebody last did something
	logged   sync.Mutex
	log      []string // guarded by logged
	lossy    bool     // a restart has lost what the agent reported; guarded by logged
}

// acts is what was done so far.
func (one *simulatedSession) acts() []string {
	one.logged.Lock()
	defer one.logged.Unlock()
	return slices.Clone(one.log)
}

// losesReports reports whether a restart has lost what the agent reported.
func (one *simulatedSession) losesReports() bool {
	one.logged.Lock()
	defer one.logged.Unlock()
	return one.lossy
}

func (s *simulation) play(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 11))
	options := []codertest.Option{
		codertest.WithAgentVersion([]string{"0.74.2", "1.6.0"}[r.IntN(2)]),
		codertest.WithAgentPace(time.Duration(20+r.IntN(500)) * time.Millisecond),
	}
	dialect := codertest.AgentDialect(r.IntN(2))
	options = append(options, codertest.WithAgentDialect(dialect))
	var errs []codertest.AgentError
	for r.IntN(2) == 0 {
		errs = append(errs, codertest.AgentError(r.IntN(int(codertest.AgentNoModelKey))))
	}
	noModel := r.IntN(40) == 0
	if noModel {
		errs = []codertest.AgentError{codertest.AgentNoModelKey}
	}
	options = append(options, codertest.WithAgentErrors(errs...))
	bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
		var read atomic.Int64
		base := hub.HTTPClient().Transport
		client := hubClient(t, hub, coder.WithHTTPClient(&http.Client{Transport: countingTransport{base, &read}}))
		for range r.IntN(4) {
			hub.Answer(randomTurns(r, dialect)...)
		}
		created, err := client.CreateSession(t.Context(), coder.CreateSessionRequest{Task: "Sort the list"})
		require.NoError(t, err)
		one := &simulatedSession{T: t, r: r, hub: hub, client: client, id: created.SessionID, noModel: noModel, mu: make(chan struct{}, 1)}
		hub.Session(one.id).SetStatus("active")
		conn, err := client.Attach(t.Context(), one.id, nil)
		require.NoError(t, err)
		defer conn.Close()
		questions := make(chan string, 64)
		go func() {
			for m, err := range conn.Messages(context.Background()) {
				if q, ok := m.(*coder.RPCUIRequestMessage); err == nil && ok && q.Method.Answered() {
					questions <- q.ID
				}
			}
		}()
		done, disturbance := make(chan struct{}), r.Uint64() // the goroutines share no source
		go func() {
			defer close(done)
			one.disturb(conn, disturbance)
		}()
		for {
			requests, bytes, began := len(hub.Requests()), read.Load(), time.Now()
			outcome, err := client.WaitForSession(anHour(t), one.id, nil)
			require.NoError(t, err, "%s", one.acts())
			s.count(outcome, len(hub.Requests())-requests, read.Load()-bytes, time.Since(began))
			if outcome.Kind == coder.OutcomeNeedsInput {
				one.answerQuestions(conn, questions)
				continue
			}
			if one.check(s, outcome) {
				break
			}
		}
		<-done
	}, options...)
}

func (s *simulation) count(outcome *coder.SessionOutcome, requests int, bytes int64, took time.Duration) {
	if s.kinds == nil {
		s.kinds, s.late = make(map[coder.OutcomeKind]int), make(map[coder.OutcomeKind][]time.Duration)
	}
	s.waits++
	s.kinds[outcome.Kind]++
	s.requests += requests
	s.bytes += bytes
	s.busy += took
}

// answerQuestions answers what is open, some of it with nothing.
func (one *simulatedSession) answerQuestions(conn *coder.HubConn, questions <-chan string) {
	for {
		select {
		case id := <-questions:
			_ = conn.RespondUI(one.Context(), id, []any{nil, true, "red"}[one.r.IntN(3)])
		default:
			return
		}
	}
}

// disturb does at random what others do, for up to two minutes.
func (one *simulatedSession) disturb(conn *coder.HubConn, seed uint64) {
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	r := rand.New(rand.NewPCG(seed, 12))
	time.Sleep(time.Second) // a prompt that comes before the first run has begun makes the agent lose one of them
	for range r.IntN(8) {
		time.Sleep(time.Duration(r.ExpFloat64() * float64(8*time.Second)))
		one.mu <- struct{}{}
		if one.stopped {
			<-one.mu
			return
		}
		name, do := one.act(ctx, conn, r)
		one.logged.Lock()
		one.log = append(one.log, time.Now().Format("05.000 ")+name)
		one.logged.Unlock()
		do()
		one.touched = time.Now() // it may have waited for a connection
		<-one.mu
	}
}

func (one *simulatedSession) act(ctx context.Context, conn *coder.HubConn, r *rand.Rand) (string, func()) {
	send := func(c coder.RPCCommand) func() {
		return func() { _ = conn.Send(ctx, &coder.RPCCommandMessage{Command: c}) }
	}
	presence := func(name, role string) {
		one.hub.Session(one.id).Emit(codertest.Event{Event: name, Payload: map[string]any{"participant": map[string]any{"role": role}}})
	}
	if one.restarts && r.IntN(2) == 0 {
		return one.restart(r)
	}
	switch r.IntN(10) {
	case 0:
		return "prompt", send(coder.RPCCommand{Type: coder.CommandPrompt, Message: "And more"})
	case 1:
		return "prompt, to be queued", send(coder.RPCCommand{Type: coder.CommandPrompt, Message: "And more", StreamingBehavior: coder.QueueFollowUp})
	case 2:
		return "follow_up", send(coder.RPCCommand{Type: coder.CommandFollowUp, Message: "Then this"})
	case 3:
		return "steer", send(coder.RPCCommand{Type: coder.CommandSteer, Message: "Rather that"})
	case 4:
		return "abort", send(coder.RPCCommand{Type: coder.CommandAbort})
	case 5:
		return "compact", send(coder.RPCCommand{Type: coder.CommandCompact})
	case 6:
		return "cut", one.hub.Session(one.id).CutStreams
	case 7:
		return "the Hub is away", func() {
			away := one.hub.Inject(codertest.Fault{Status: []int{502, 503, 504}[r.IntN(3)], Count: -1})
			one.hub.Session(one.id).CutStreams()
			time.AfterFunc(time.Duration(3+r.IntN(13))*time.Second, away.Remove)
		}
	}
	if r.IntN(2) == 0 {
		return "the lead is cut off and comes back", func() {
			presence(coder.EventSessionLeave, "lead")
			time.AfterFunc(time.Duration(r.IntN(5000))*time.Millisecond, func() { presence(coder.EventSessionJoin, "lead") })
		}
	}
	return "somebody comes and goes", func() {
		presence(coder.EventSessionJoin, "observer")
		presence(coder.EventSessionLeave, "observer")
	}
}

// restart makes the Hub go down at random, for 1 to 15 s.
func (one *simulatedSession) restart(r *rand.Rand) (string, func()) {
	down := time.Second + time.Duration(r.IntN(14000))*time.Millisecond
	how := codertest.Outage{
		Kind: codertest.OutageKind(r.IntN(int(codertest.OutageRetryAfter) + 1)), Crash: r.IntN(2) == 0, LoseReports: r.IntN(4) == 0,
	}
	if r.IntN(2) == 0 {
		how.AgentDelay = time.Duration(r.IntN(3000)) * time.Millisecond
	}
	return fmt.Sprintf("restart for %v: %+v", down, how), func() {
		one.logged.Lock()
		one.lossy = one.lossy || how.LoseReports
		one.logged.Unlock()
		one.hub.Restart(down, how)
	}
}

// ofAgent are the events of an agent at work.
var ofAgent = []string{"agent_start", "turn_start", "message_start", "message_update", "message_end", "turn_end", "agent_end", "auto_retry_start", "compaction_start", "session_before_compact"}

// check compares an outcome with what happens then, when nobody does anything any more. It reports false if somebody
// did something so late that the looks could not see it.
func (one *simulatedSession) check(s *simulation, outcome *coder.SessionOutcome) bool {
	t, now := one.T, time.Now()
	one.mu <- struct{}{}
	defer func() { <-one.mu }()
	if since := now.Sub(one.touched); since < 8*time.Second && !one.stopped {
		return false
	}
	one.stopped = true
	var last *coder.AgentMessage
	var at time.Time
	time.Sleep(30 * time.Minute)
	history, err := one.client.ListEventHistory(t.Context(), one.id, nil)
	require.NoError(t, err)
	slices.SortFunc(history.Events, func(a, b coder.SessionEvent) int { return a.ID - b.ID })
	for _, e := range history.Events {
		if !slices.Contains(ofAgent, e.Event) {
			continue
		}
		at = e.IngestedAt
		require.False(t, at.After(now), "seed: it was over, and then came #%d %s: %s %q, at %v; %s", e.ID, e.Event, outcome.Kind, outcome.Evidence, now, one.acts())
		if end, ok := e.AgentEvent().(*coder.MessageEnd); ok && end.Message.Role == "assistant" {
			last = &end.Message
		}
	}
	if !at.IsZero() {
		s.late[outcome.Kind] = append(s.late[outcome.Kind], now.Sub(at))
	}
	said, _ := json.Marshal(last)
	switch outcome.Kind {
	case coder.OutcomeTurnEnded:
		require.True(t, outcome.Succeeded())
		require.NotNil(t, last)
		require.Contains(t, []string{"stop", "length"}, last.StopReason, "%s", one.acts())
		require.Equal(t, last.StopReason == "length", outcome.Truncated)
	case coder.OutcomeAborted:
		require.True(t, last == nil || last.StopReason == "aborted" || last.StopReason == "error", "%s; %s", said, one.acts())
	case coder.OutcomeFailed:
		require.False(t, outcome.Succeeded())
		require.NotNil(t, last)
		require.Equal(t, "error", last.StopReason, "%q; %s", outcome.Evidence, one.acts())
		require.Equal(t, last.ErrorMessage, outcome.ErrorMessage)
	case coder.OutcomeStalled:
		require.True(t, one.noModel, "%q; %s", outcome.Evidence, one.acts())
	default:
		require.Fail(t, "an outcome that nothing led to", "%s %q; %s", outcome.Kind, outcome.Evidence, one.acts())
	}
	return true
}

// randomTurns is what an agent answers.
func randomTurns(r *rand.Rand, dialect codertest.AgentDialect) (turns []codertest.AgentTurn) {
	for range r.IntN(4) {
		turn := codertest.AgentTurn{Text: "Some words of an answer, and more of them"}
		if r.IntN(3) == 0 {
			turn.Thinking = "First I think"
		}
		for range r.IntN(3) {
			tool := codertest.AgentTool{Name: "read", Result: "ok", IsError: r.IntN(5) == 0}
			switch r.IntN(5) {
			case 0:
				if dialect == codertest.DialectRPC {
					tool = codertest.AgentTool{Ask: &codertest.AgentQuestion{Method: "select", Params: map[string]any{"title": "Which?"}, Timeout: time.Duration(r.IntN(2)) * time.Minute}}
				}
			case 1:
				tool = codertest.AgentTool{Task: &codertest.AgentTask{Prompt: "Do it", Description: "It", Progress: []string{"a", "b"}, Result: "done", Error: []string{"", "no"}[r.IntN(2)]}}
			}
			turn.Tools = append(turn.Tools, tool)
		}
		turns = append(turns, turn)
	}
	if len(turns) > 0 && len(turns[len(turns)-1].Tools) == 0 {
		last := &turns[len(turns)-1]
		switch r.IntN(6) {
		case 0:
			last.StopReason = "length"
		case 1:
			last.ContextFull = true
		case 2:
			last.StopReason, last.ErrorMessage = "error", "400 Invalid request"
		}
	}
	return turns
}
