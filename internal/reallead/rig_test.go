//go:build lead

package reallead

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
	"github.com/agentuity/coder-go/internal/agentrun"
)

const (
	// patience is how long anything may take that has to come.
	patience = time.Minute
	// retryDelay is how long the agent waits before it tries again at first, by its settings.
	retryDelay = 500 * time.Millisecond
)

// rig is a Hub, an agent that leads a session of it, and a controller and an observer of that session.
type rig struct {
	t       *testing.T
	ctx     context.Context
	version string
	channel string

	hub      *codertest.Hub
	url      string // of the Hub, for everybody
	relay    *relay // to it; nil: there is none
	restarts bool   // there is to be one
	client   *coder.Client
	model    *model
	agent    *agent
	id       string // of the session
	conn     *coder.HubConn

	mu    sync.Mutex
	heard []coder.ServerMessage // by the controller
	news  chan struct{}         // closed when there is more
	next  int                   // the first message that await has not looked at

	observed  []string // names of events, by the observer
	observing chan struct{}
	leave     context.CancelFunc // of the observer

	over    <-chan struct{} // closed when nothing more will come that is awaited; nil: not known
	free    chan struct{}   // closed when who asks has noticed that the Hub is gone: a question is answered then
	asking  sync.WaitGroup  // what is asked beside
	waiting []chan waited
	stall   time.Duration // after which WaitForSession gives up; 0: not in the time of a test
}

// waited is what WaitForSession has said, and when.
type waited struct {
	outcome *coder.SessionOutcome
	err     error
	at      time.Time
	cost    string
}

// traffic counts requests and the bytes of their answers.
type traffic struct {
	next            http.RoundTripper
	requests, bytes atomic.Int64
}

func (c *traffic) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := c.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	c.requests.Add(1)
	answer.Body = &countedBody{answer.Body, &c.bytes}
	return answer, nil
}

type countedBody struct {
	io.ReadCloser
	bytes *atomic.Int64
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.bytes.Add(int64(n))
	return n, err
}

func absolute(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(name)
	require.NoError(t, err)
	return path
}

// scout is the sub-agent that the Hub tells the extension of.
var scout = map[string]any{
	"name": "scout", "displayName": "Scout", "source": "builtin", "description": "Looks around.", "systemPrompt": "You look around.",
	"model": "azure-openai-responses/gpt-4", "thinkingLevel": "off", "readOnly": true,
}

// newRig returns a rig without anything in it.
func newRig(t *testing.T, version, channel string) *rig {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*patience)
	t.Cleanup(cancel)
	return &rig{
		t: t, ctx: ctx, version: version, channel: channel, model: newModel(t),
		news: make(chan struct{}), observing: make(chan struct{}),
	}
}

// open starts the Hub.
func (r *rig) open(options ...codertest.Option) {
	r.t.Helper()
	r.hub = codertest.NewHub(options...)
	r.t.Cleanup(r.hub.Close)
	r.url = r.hub.URL()
	if r.restarts {
		r.relay = newRelay(r.t, strings.TrimPrefix(r.url, "http://"))
		r.url = "http://" + r.relay.address
	}
	r.client = r.newClient()
}

// newClient returns another client of the Hub.
func (r *rig) newClient(options ...coder.Option) *coder.Client {
	r.t.Helper()
	client, err := r.hub.NewClient(append(options, coder.WithURL(r.url))...)
	require.NoError(r.t, err)
	return client
}

// join starts an agent that leads a session. A task is the session's.
func (r *rig) join(task string) {
	r.t.Helper()
	r.open(codertest.WithoutAgent(), codertest.WithAPIKey(key))
	r.hub.SetInit(map[string]any{"agents": []any{scout}})
	client := r.client
	switch r.channel {
	case byExtension:
		r.agent = startAgent(r.t, r.version, r.model, []string{extension(r.t, r.version)}, r.environment("AGENTUITY_CODER_API_KEY="+key), func([]byte) {})
		r.id = r.sessionOfLead()
	case byDriver:
		if task != "" {
			created, err := client.CreateSession(r.ctx, coder.CreateSessionRequest{Task: task})
			require.NoError(r.t, err)
			r.id = created.SessionID
		}
		d := drive(r.ctx, r.t, client, r.id, r.version, r.model)
		r.agent, r.id = d.agent, d.conn.SessionID()
	}
	r.follow()
}

const key = "agc_key"

// environment is what the published extension has to know.
func (r *rig) environment(more ...string) []string {
	return append(more,
		"AGENTUITY_CODER_HUB_URL=ws"+strings.TrimPrefix(r.url, "http")+"/api/ws",
		// With a key the extension asks a gateway for models, and ends the agent if there is none.
		"NODE_OPTIONS=--unhandled-rejections=warn",
	)
}

// sessionOfLead waits until the agent has joined, and returns its session.
func (r *rig) sessionOfLead() string {
	r.t.Helper()
	for {
		for _, id := range r.hub.SessionIDs() {
			for _, frame := range r.hub.Session(id).Frames() {
				if frame.Type == "event" { // session_start: it is ready
					return id
				}
			}
		}
		r.pause("the agent to join")
	}
}

// pause waits a moment before something is looked at again that nobody tells of.
func (r *rig) pause(forWhat string) {
	r.t.Helper()
	select {
	case <-r.ctx.Done():
		require.Fail(r.t, "waited in vain for "+forWhat)
	case <-time.After(20 * time.Millisecond):
	}
}

// follow connects a controller and an observer.
func (r *rig) follow() {
	r.t.Helper()
	conn, err := r.client.Connect(r.ctx, r.id, &coder.HubConnectOptions{Role: coder.RoleController})
	require.NoError(r.t, err)
	r.conn = conn
	r.t.Cleanup(func() { _ = conn.Close() })
	go func() {
		for message, err := range conn.Messages(r.ctx) {
			if err != nil {
				return
			}
			r.mu.Lock()
			r.heard = append(r.heard, message)
			close(r.news)
			r.news = make(chan struct{})
			r.mu.Unlock()
		}
	}()
	r.await("the hydration", func(m coder.ServerMessage) bool { _, ok := m.(*coder.HubHydrationMessage); return ok })
	ctx, leave := context.WithCancel(r.ctx)
	r.leave = leave
	ready := make(chan struct{})
	var hydrated sync.Once // it comes again when the connection was lost
	go func() {
		defer close(r.observing)
		for event, err := range r.client.StreamEvents(ctx, r.id, nil) {
			if err != nil {
				if !errors.Is(err, context.Canceled) {
					assert.NoError(r.t, err)
				}
				return
			}
			switch data := event.Data.(type) {
			case *coder.SSEHydrationMessage:
				hydrated.Do(func() { close(ready) })
			case *coder.BroadcastEventMessage:
				r.observed = append(r.observed, data.Event)
			}
		}
	}()
	select {
	case <-ready:
	case <-r.ctx.Done():
		require.Fail(r.t, "the observer gets no hydration")
	}
}

// await waits for a message to the controller, after those that were awaited before.
func (r *rig) await(what string, wanted func(coder.ServerMessage) bool) coder.ServerMessage {
	r.t.Helper()
	for {
		r.mu.Lock()
		more := r.news
		for r.next < len(r.heard) {
			message := r.heard[r.next]
			r.next++
			if wanted(message) {
				r.mu.Unlock()
				return message
			}
		}
		r.mu.Unlock()
		select {
		case <-more:
		case <-r.over:
			require.Fail(r.t, "the prompt was over before "+what)
		case <-r.ctx.Done():
			require.Fail(r.t, "waited in vain for "+what)
		}
	}
}

// awaitEvent waits for an event of the agent.
func (r *rig) awaitEvent(name string, parts ...string) {
	r.t.Helper()
	r.await(name, func(m coder.ServerMessage) bool {
		event, ok := m.(*coder.RPCEventMessage)
		return ok && event.EventType == name && !slices.ContainsFunc(parts, func(part string) bool {
			return !strings.Contains(string(event.Event), part)
		})
	})
}

// newest is the id of the newest event of the history.
func (r *rig) newest() int {
	r.t.Helper()
	history, err := r.client.ListEventHistory(r.ctx, r.id, &coder.ListEventHistoryParams{Limit: 1})
	require.NoError(r.t, err)
	if len(history.Events) == 0 {
		return 0
	}
	return history.Events[0].ID
}

// prompt sends a prompt, and begins to wait for its end as a program would.
func (r *rig) prompt(text string) {
	r.t.Helper()
	r.wait()
	require.NoError(r.t, r.conn.Prompt(r.ctx, text))
}

// wait begins to wait until what is told the agent from now on is over.
func (r *rig) wait() {
	r.t.Helper()
	after, done := r.newest(), make(chan waited, 1)
	r.waiting = append(r.waiting, done)
	count := &traffic{next: coder.NewTransport()}
	watcher := r.newClient(coder.WithHTTPClient(&http.Client{Transport: count}))
	go func() {
		outcome, err := watcher.WaitForSession(r.ctx, r.id, &coder.WaitForSessionOptions{
			PollInterval: 250 * time.Millisecond, MaxPollInterval: time.Second, AfterEvent: after, StallTimeout: r.stall,
		})
		done <- waited{outcome, err, time.Now(), fmt.Sprintf("%d requests, %d bytes", count.requests.Load(), count.bytes.Load())}
	}()
}

// history returns all events, the oldest first.
func (r *rig) history() []coder.SessionEvent {
	r.t.Helper()
	history, err := r.client.ListEventHistory(r.ctx, r.id, nil)
	require.NoError(r.t, err)
	slices.Reverse(history.Events)
	return history.Events
}

// verdict is what the client says of the prompts of a session.
type verdict struct {
	// story is what the rules of package agentrun say, work left out: how each prompt was over, one after the other.
	story []string
	// delay is how long after the agent's last event that was certain.
	delay time.Duration
	// outcomes are what WaitForSession has said of each prompt.
	outcomes []string
}

// verdict waits until everything is over, and looks from all sides.
func (r *rig) verdict() (v verdict) {
	r.t.Helper()
	var last waited
	for _, done := range r.waiting {
		select {
		case last = <-done:
		case <-r.ctx.Done():
			require.Fail(r.t, "WaitForSession does not end")
		}
		require.NoError(r.t, last.err)
		v.outcomes = append(v.outcomes, string(last.outcome.Kind))
		r.t.Logf("WaitForSession: %s, %s, %v", last.outcome.Kind, last.cost, last.outcome.Evidence)
	}
	events := r.history()
	v.story, v.delay = story(events)
	if len(r.waiting) > 0 {
		final := events[len(events)-1].IngestedAt
		r.t.Logf("WaitForSession returned %v after the last event", last.at.Sub(final).Round(10*time.Millisecond))
		assert.False(r.t, last.at.Before(final), "nothing is called over before its last event")
		want := last.outcome.Kind
		if want == coder.OutcomeStalled { // one look cannot tell
			want = coder.OutcomeWorking
		}
		checked := coder.OutcomeWorking
		for again := true; again; again = checked == coder.OutcomeWorking && want != checked {
			outcome, err := r.client.CheckSession(r.ctx, r.id)
			require.NoError(r.t, err)
			checked = outcome.Kind
			r.pause("CheckSession") // the Hub's clock shows whole seconds: one look is certain up to a second later
		}
		assert.Equal(r.t, want, checked, "CheckSession")
	}
	return v
}

// story reads a history event by event, and says what was over when.
func story(events []coder.SessionEvent) (lines []string, delay time.Duration) {
	run := agentrun.Run{Whole: true}
	last := ""           // since a run began
	var newest time.Time // of the events so far
	note := func(now time.Time) (due time.Time) {
		reading := run.At(now)
		line := ""
		if reading.Kind.Over() || reading.Kind == agentrun.Question || reading.Kind == agentrun.Unheeded {
			line = string(reading.Kind)
			if reason := reading.Answer.StopReason; reason != "" {
				line += " (" + reason + ")"
			}
		}
		if line != "" && line != last {
			lines, delay = append(lines, line), now.Sub(newest)
			last = line
		}
		return reading.Until
	}
	var due time.Time
	for i := range events {
		event := agentrun.Decode(events[i].Event, events[i].Payload, events[i].IngestedAt)
		for !due.IsZero() && !due.After(event.At) {
			due = note(due)
		}
		run.Apply(&event)
		if event.Name == "agent_start" {
			last = ""
		}
		newest = event.At
		due = note(event.At)
	}
	for !due.IsZero() {
		due = note(due)
	}
	return lines, delay
}

// different is what is not the same each time: how long a sub-agent took, and whether the output of an aborted tool was
// taken before.
var different = regexp.MustCompile(`(?s)\n\n---\n_scout: .*_$|^begun\n+`)

// entries is the conversation, as type and text.
func (r *rig) entries() (entries []string) {
	r.t.Helper()
	replay, err := r.client.GetReplay(r.ctx, r.id, nil)
	require.NoError(r.t, err)
	for _, e := range replay.Entries {
		entries = append(entries, string(e.Type)+" "+different.ReplaceAllString(e.Content, ""))
	}
	return entries
}

// assertObserved checks that the observer was told every event of the history since it came, in order.
func (r *rig) assertObserved() {
	r.t.Helper()
	history := r.history()
	var want []string
	began := false
	for _, event := range history {
		switch {
		case began && event.Event != "rpc_ui_request": // those are for controllers
			want = append(want, event.Event)
		case event.Event == coder.EventSessionJoin && strings.Contains(string(event.Payload), `"sse"`):
			began = true
			want = append(want, event.Event)
		}
	}
	r.leave()
	<-r.observing
	assert.GreaterOrEqual(r.t, len(r.observed), len(want), "the observer was told everything")
	assert.Equal(r.t, want, r.observed[:min(len(want), len(r.observed))])
}
