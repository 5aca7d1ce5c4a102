package main

import (
	"cmp"
	"strings"
	"time"

	"github.com/agentuity/coder-go"
)

// receive takes what the Hub sends, and reports whether the session is over.
func (c *conversation) receive(message coder.ServerMessage) (over bool) {
	switch m := message.(type) {
	case *coder.HubHydrationMessage:
		c.hydrate(m)
	case *coder.RPCEventMessage:
		if !m.Replay { // the hydration has the history
			c.event(m)
		}
	case *coder.RPCUIRequestMessage:
		c.request(m)
	case *coder.RPCResponseMessage:
		if r := m.Response; !r.Success && r.Command == coder.CommandPrompt { // the agent refuses it
			c.asked = false
			c.line("! %s", r.Error)
		}
	case *coder.RPCCommandErrorMessage:
		c.asked = false
		c.line("! %s", m.Error)
	case *coder.BroadcastEventMessage:
		c.broadcast(m)
		return m.Event == coder.EventSessionShutdown
	case *coder.PresenceEventMessage:
		if m.Participant != nil {
			c.line("* %s: %s", strings.TrimPrefix(m.Event, "session_"), m.Participant.Role)
		}
	case *coder.ReconnectedMessage:
		c.line("* the connection was lost (%v) and is back after %v", m.Cause, m.Down.Round(100*time.Millisecond))
		c.connected()
	case *coder.ProtocolErrorMessage:
		c.line("! %s: %s", m.Code, m.Message)
	case *coder.ConnectionRejectedMessage:
		c.line("! %s: %s", m.Code, m.Message)
	case *coder.UnknownMessage:
		c.line("? %s %.200q", m.Type, m.Raw)
	}
	return false
}

// hydrate begins with the conversation so far, or its end, and with what the agent is at. If the Hub
// does not say the latter, it is nothing. But a prompt that was sent when the connection was lost, or
// just now, may be on its way: there is some time left for the agent to begin.
func (c *conversation) hydrate(m *coder.HubHydrationMessage) {
	const shown = 10
	state := m.StreamingState
	c.running = state != nil && state.IsStreaming != nil && *state.IsStreaming
	if c.running {
		c.began()
	} else {
		c.finished()
	}
	if !c.asked {
		c.unclear = nil
	}
	c.line("* %s: %d entries so far", cmp.Or(m.Label, m.SessionID), len(m.Entries))
	for _, entry := range m.Entries[max(0, len(m.Entries)-shown):] {
		if entry.Content != "" {
			c.line("  %s: %s", entry.Type, entry.Content)
		}
	}
	if m.Stream != nil {
		c.text(m.Stream.Output)
	}
}

// event takes what the agent does.
func (c *conversation) event(m *coder.RPCEventMessage) {
	switch e := m.AgentEvent().(type) {
	case *coder.AgentStart, *coder.TurnStart:
		c.began()
	case *coder.MessageUpdate:
		c.text(e.TextDelta())
	case *coder.MessageEnd:
		if reason := e.Message.StopReason; reason == coder.StopReasonAborted || reason == coder.StopReasonError {
			c.line("! %s %s", reason, e.Message.ErrorMessage)
		}
		if c.inText() {
			c.endLine()
		}
	case *coder.ToolExecutionStart:
		c.line("- %s %s", m.EventType, e.ToolName)
	case *coder.ToolExecutionEnd:
		if e.IsError {
			c.line("- %s %s: failed", m.EventType, e.ToolName)
		}
	case *coder.TurnEnd:
		c.line("- turn_end")
	case *coder.AgentEnd:
		c.runEnded(e)
	case *coder.AutoRetryStart:
		c.line("* it tries again in %v", e.Delay.Duration())
		c.idle = time.After(e.Delay.Duration() + mayRetry)
	case *coder.SessionBeforeCompact, *coder.CompactionStart:
		c.line("* it summarizes the conversation")
		c.idle = nil
	case *coder.SessionCompact, *coder.CompactionEnd:
		if c.running {
			c.idle = time.After(2 * time.Second)
		}
	case *coder.AgentSettled:
		if c.idle != nil {
			c.finished()
		}
	case *coder.TaskError:
		c.line("! task_error %s", e.Error)
	case *coder.UnknownAgentEvent:
		if e.Name == coder.EventSessionError {
			c.line("! %s %s", e.Name, e.Raw)
		}
	}
}

// mayRetry is how long an agent may take to call a model again that has failed, beyond what it says.
const mayRetry = 15 * time.Second

// runEnded takes the end of a run, which need not be that of the prompt: of a model that has failed the agent asks
// again, up to 15 s later, and without saying so.
func (c *conversation) runEnded(e *coder.AgentEnd) {
	if answer := e.Answer(); answer != nil && answer.StopReason == coder.StopReasonError && !c.aborting {
		c.idle = time.After(mayRetry)
		return
	}
	c.finished()
}

// began notes that the agent works, on what it was told or will be before it is done.
func (c *conversation) began() { c.running, c.asked, c.unclear, c.idle = true, false, nil, nil }

// finished notes that the agent does nothing any more. What it was told meanwhile it begins now,
// unless it was told to stop.
func (c *conversation) finished() {
	c.asked = c.asked && !c.aborting
	c.running, c.aborting, c.idle = false, false, nil
	c.forget()
}

// broadcast takes what happens around the agent.
func (c *conversation) broadcast(m *coder.BroadcastEventMessage) {
	var data struct {
		Content string `json:"content"`
		Text    string `json:"text"`
		Label   string `json:"label"`
		Error   string `json:"error"`
		Reason  string `json:"reason"`
	}
	_ = m.Decode(&data) // what cannot be read is not shown
	switch m.Event {
	case "user_prompt":
		c.line("* somebody else says: %s", cmp.Or(data.Content, data.Text))
	case coder.EventAgentEnd: // with the sandbox, which has fallen asleep
		c.finished()
	case coder.EventSessionLabelUpdated:
		c.line("* the session is now called %s", data.Label)
	case coder.EventSessionError, coder.EventSessionShutdown:
		c.line("- %s %s", m.Event, cmp.Or(data.Error, data.Reason))
	}
}
