package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/examples/internal/transcript"
)

// row is a task at work, as it is shown.
type row struct {
	number int // in the file, from 1
	title  string
	began  time.Time

	mu        sync.Mutex
	sessionID string
	status    string // the session's, while nothing is heard of its agent
	doing     string // what the agent is, empty: nothing was heard of it yet
	calls     map[string]bool
}

// now says what is going on, in words.
func (r *row) now() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return cmp.Or(r.doing, r.status, "looking for its session")
}

// session is the id of the session, empty as long as it is not known.
func (r *row) session() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sessionID
}

func (r *row) toolCalls() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.calls)
}

// polled takes what the session says of itself. What its stream says is newer.
func (r *row) polled(session *coder.Session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sessionID, r.status = session.SessionID, session.Status
	if session.Status != coder.StatusActive {
		r.doing = ""
	}
	activity, _ := session.AgentActivity() // a form that is not known says nothing
	for _, agent := range activity {
		if r.doing == "" && agent.CurrentTool != "" {
			r.status = agent.CurrentTool
		}
	}
}

// heardEvents are the events that say what an agent does. The pieces of an answer are not among them: they say little here, and
// are most of a stream.
var heardEvents = []string{
	coder.EventAgentStart, coder.EventMessageStart, coder.EventToolExecutionStart, coder.EventToolExecutionEnd,
	coder.EventTaskStart, coder.EventTaskComplete, coder.EventTaskError, coder.EventAutoRetryStart, coder.EventCompactionStart,
}

// listen follows the session until the context ends. Without a stream there is only what polls say.
func (r *row) listen(ctx context.Context, client *coder.Client, sessionID string) {
	for event, err := range client.StreamEvents(ctx, sessionID, &coder.StreamEventsOptions{Subscribe: heardEvents}) {
		if err != nil {
			return
		}
		if m, ok := event.Data.(*coder.BroadcastEventMessage); ok {
			r.heard(m.AgentEvent())
		}
	}
}

func (r *row) heard(event coder.AgentEvent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch e := event.(type) {
	case *coder.AgentStart, *coder.ToolExecutionEnd:
		r.doing = "thinking"
	case *coder.MessageStart:
		if e.Message.Role == "assistant" {
			r.doing = "thinking"
		}
	case *coder.ToolExecutionStart:
		r.doing = transcript.Call(e.ToolName, e.Args)
		if r.calls == nil {
			r.calls = make(map[string]bool)
		}
		r.calls[cmp.Or(e.ToolCallID, fmt.Sprint("#", len(r.calls)))] = true
	case *coder.TaskStart:
		r.doing = "task for " + e.Agent + ": " + cmp.Or(e.Description, e.Prompt)
	case *coder.TaskComplete, *coder.TaskError:
		r.doing = "thinking"
	case *coder.AutoRetryStart:
		r.doing = fmt.Sprintf("tries again in %v: %s", e.Delay.Duration(), e.ErrorMessage)
	case *coder.CompactionStart:
		r.doing = "summarizes the conversation"
	}
}

// oneLine makes a line of text of others, which could do anything to a terminal.
func oneLine(text string) string { return strings.Join(strings.Fields(transcript.Clean(text)), " ") }
