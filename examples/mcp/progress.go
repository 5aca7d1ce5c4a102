package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/examples/internal/transcript"
)

const (
	// apart is the shortest time between two notifications, so that an agent in a hurry floods nobody.
	apart = 200 * time.Millisecond
	// beat is the longest: a client may give up a call of which it hears nothing.
	beat = 10 * time.Second
)

// progress hears what an agent does, and tells the client that waits for it.
type progress struct {
	request *mcp.CallToolRequest
	began   time.Time
	changed chan struct{} // has room for one
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu     sync.Mutex
	status string // of the session, while nothing is heard of its agent
	doing  string // what the agent is
	calls  map[string]bool
	seen   map[time.Time]bool // messages whose tokens are counted
	tokens int64
}

// newProgress begins to tell, if the client wants to be told.
func newProgress(ctx context.Context, request *mcp.CallToolRequest) *progress {
	p := &progress{
		request: request, began: time.Now(), changed: make(chan struct{}, 1),
		calls: make(map[string]bool), seen: make(map[time.Time]bool),
	}
	ctx, p.cancel = context.WithCancel(ctx)
	if token := request.Params.GetProgressToken(); token != nil {
		p.running.Go(func() { p.tell(ctx, token) })
	}
	return p
}

// stop returns when nothing more is told: behind the result of a call no progress may come.
func (p *progress) stop() {
	p.cancel()
	p.running.Wait()
}

// follow hears the events of a session until stop. Without a stream there is only what polls say.
func (p *progress) follow(ctx context.Context, client *coder.Client, sessionID string) {
	ctx, cancel := context.WithCancel(ctx)
	stop := p.cancel
	p.cancel = func() { cancel(); stop() }
	p.running.Go(func() {
		for event, err := range client.StreamEvents(ctx, sessionID, &coder.StreamEventsOptions{Subscribe: heardEvents}) {
			if err != nil {
				return
			}
			if m, ok := event.Data.(*coder.BroadcastEventMessage); ok {
				p.heard(m.AgentEvent())
			}
		}
	})
}

// heardEvents are the events that say what an agent does. The pieces of an answer are not among them: they are most of a stream.
var heardEvents = []string{
	coder.EventAgentStart, coder.EventMessageStart, coder.EventMessageEnd, coder.EventToolExecutionStart, coder.EventToolExecutionEnd,
	coder.EventTaskStart, coder.EventTaskComplete, coder.EventTaskError, coder.EventAutoRetryStart, coder.EventCompactionStart,
}

// tell notifies the client of every change, but neither too often nor too rarely. The number only counts: nobody knows how much an
// agent has before it.
func (p *progress) tell(ctx context.Context, token any) {
	silence := time.NewTicker(beat)
	defer silence.Stop()
	for n := 1; ; n++ {
		select {
		case <-p.changed:
		case <-silence.C:
		case <-ctx.Done():
			return
		}
		silence.Reset(beat)
		// An error is the end of the connection, which ends the call as well.
		_ = p.request.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ProgressToken: token, Progress: float64(n), Message: p.now()})
		select {
		case <-time.After(apart):
		case <-ctx.Done():
			return
		}
	}
}

// now says what is going on, in words.
func (p *progress) now() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return fmt.Sprintf("%s (%s)", cmp.Or(p.doing, p.status, "looking at the session"), p.figures())
}

// figures are what is counted. The mutex is held.
func (p *progress) figures() string {
	parts := []string{time.Since(p.began).Round(time.Second).String()}
	if len(p.calls) > 0 {
		parts = append(parts, plural(len(p.calls), "tool call"))
	}
	if p.tokens > 0 {
		parts = append(parts, fmt.Sprintf("%d tokens", p.tokens))
	}
	return strings.Join(parts, ", ")
}

// polled takes what the session says of itself. What its events say is more.
func (p *progress) polled(session *coder.Session) {
	p.update(func() {
		p.status = "session " + word(session.Status)
		if session.Status != coder.StatusActive {
			p.doing = ""
		}
	})
}

// update changes what is going on, and has it told if it reads differently now.
func (p *progress) update(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	doing, calls, tokens := cmp.Or(p.doing, p.status), len(p.calls), p.tokens
	change()
	if doing == cmp.Or(p.doing, p.status) && calls == len(p.calls) && tokens == p.tokens {
		return
	}
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

// heard takes an event of the agent. One may come twice.
func (p *progress) heard(event coder.AgentEvent) {
	p.update(func() {
		switch e := event.(type) {
		case *coder.AgentStart, *coder.ToolExecutionEnd, *coder.TaskComplete, *coder.TaskError:
			p.doing = "thinking"
		case *coder.MessageStart:
			if e.Message.Role == "assistant" {
				p.doing = "thinking"
			}
		case *coder.MessageEnd:
			if m := &e.Message; m.Role == "assistant" && m.Usage != nil && !p.seen[m.Timestamp.Time] {
				p.seen[m.Timestamp.Time] = true
				p.tokens += cmp.Or(m.Usage.TotalTokens, m.Usage.Input+m.Usage.Output+m.Usage.CacheRead+m.Usage.CacheWrite)
			}
		case *coder.ToolExecutionStart:
			p.doing = line(transcript.Call(e.ToolName, e.Args))
			p.calls[e.ToolCallID] = true
		case *coder.TaskStart:
			p.doing = line("task for " + e.Agent + ": " + cmp.Or(e.Description, e.Prompt))
		case *coder.AutoRetryStart:
			p.doing = line(fmt.Sprintf("tries again in %v: %s", e.Delay.Duration(), e.ErrorMessage))
		case *coder.CompactionStart:
			p.doing = "summarizes the conversation"
		}
	})
}
