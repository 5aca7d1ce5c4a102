// Package agentrun tells from the events of a coding agent whether it is at work, whether its last prompt is over,
// and how it ended. It knows both dialects: the events that the agent's extension reports to a Hub, and those that
// the agent prints in its RPC mode. Its rules come from recordings of the real agent (testdata), versions 0.74.2
// and 1.6.0, and need no sign that only one of them gives.
package agentrun

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/agentuity/coder-go/internal/wire"
)

// Event is an event of an agent with what the rules look at.
type Event struct {
	// At is when the Hub got it or, where that is not known, when it was first seen.
	At time.Time
	// Name is the type of the event.
	Name string
	// Inferred says that it was not reported: a snapshot says that the agent is at work, and nothing of how it began.
	Inferred bool

	Role        string  // of its message
	Last        Answer  // its message, or the last of an agent that stopped, if that is an assistant's
	Listed      bool    // it has the messages of its run
	Stamp       float64 // of its message, the same in its beginning and its end; 0: there is none
	Said        string  // by a user: its message, an input, a prompt
	Queued      []string
	Reason      string // of a shutdown or a start
	Delay       time.Duration
	WillRetry   *bool
	Success     *bool
	Aborted     bool
	Failed      bool // it has an errorMessage of its own
	TaskID      string
	ToolID      string // of the call
	Participant string // the role of who came or left
	QuestionID  string // of an rpc_ui_request that is answered
}

// longestDelay bounds what an agent may announce.
const longestDelay = 24 * time.Hour

// Answer is what is known of an assistant's message.
type Answer struct {
	// StopReason is "stop", "length", "toolUse", "error" or "aborted". It counts only from message_end on.
	StopReason string
	// ErrorMessage is the agent's own text.
	ErrorMessage string
	// Text is what was said, without thoughts.
	Text string

	known bool // it is an assistant's message
}

// message is a message of a conversation. Roles other than these pass and are never the answer.
type message struct {
	Role         string         `json:"role"`
	Content      jsontext.Value `json:"content"`
	StopReason   string         `json:"stopReason"`
	ErrorMessage string         `json:"errorMessage"`
	Timestamp    float64        `json:"timestamp"`
}

func (m *message) answer() Answer {
	if m.Role != roleAssistant {
		return Answer{}
	}
	return Answer{StopReason: m.StopReason, ErrorMessage: m.ErrorMessage, Text: text(m.Content), known: true}
}

const (
	roleUser      = "user"
	roleAssistant = "assistant"
)

// text returns the text blocks of a content, which is a list of blocks or a text.
func text(content jsontext.Value) string {
	var whole string
	if content.Kind() == jsontext.KindString {
		_ = wire.Unmarshal(content, &whole)
		return whole
	}
	var blocks []struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	var b strings.Builder
	if wire.Unmarshal(content, &blocks) == nil {
		for _, block := range blocks {
			if block.Type == "text" {
				b.WriteString(block.Text)
			}
		}
	}
	return b.String()
}

// Decode makes an Event of the payload of an event. What it cannot read it leaves out.
func Decode(name string, payload []byte, at time.Time) Event {
	var p struct {
		Message      *jsontext.Value  `json:"message"`
		Messages     []jsontext.Value `json:"messages"`
		Reason       string           `json:"reason"`
		DelayMs      float64          `json:"delayMs"`
		WillRetry    *bool            `json:"willRetry"`
		Success      *bool            `json:"success"`
		Aborted      bool             `json:"aborted"`
		ErrorMessage string           `json:"errorMessage"`
		Text         string           `json:"text"`
		Content      jsontext.Value   `json:"content"`
		Steering     []string         `json:"steering"`
		FollowUp     []string         `json:"followUp"`
		TaskID       string           `json:"taskId"`
		ToolCallID   string           `json:"toolCallId"`
		ID           string           `json:"id"`
		Method       string           `json:"method"`
		Participant  struct {
			Role string `json:"role"`
		} `json:"participant"`
	}
	name, payload = Unwrap(name, payload)
	e := Event{At: at, Name: name}
	switch name {
	case "message_update", "context", "before_agent_start", "tool_call", "tool_execution_update":
		return e // they are large, and that they came is all that counts
	}
	if wire.Unmarshal(payload, &p) != nil {
		return e
	}
	e.Reason, e.WillRetry, e.Success, e.Aborted, e.TaskID = p.Reason, p.WillRetry, p.Success, p.Aborted, p.TaskID
	e.Delay = time.Duration(min(max(p.DelayMs, 0), float64(longestDelay/time.Millisecond))) * time.Millisecond
	e.Failed = p.ErrorMessage != ""
	e.Participant, e.ToolID = p.Participant.Role, p.ToolCallID
	var m message
	if p.Message != nil && p.Message.Kind() == jsontext.KindBeginObject && wire.Unmarshal(*p.Message, &m) == nil {
		e.Role, e.Last, e.Stamp = m.Role, m.answer(), m.Timestamp
		if m.Role == roleUser {
			e.Said = strings.TrimSpace(text(m.Content))
		}
	}
	e.Listed = len(p.Messages) > 0
	for i := len(p.Messages) - 1; i >= 0 && !e.Last.known; i-- {
		m = message{}
		if p.Messages[i].Kind() == jsontext.KindBeginObject && wire.Unmarshal(p.Messages[i], &m) == nil {
			e.Last = m.answer()
		}
	}
	switch name {
	case "input":
		e.Said = strings.TrimSpace(p.Text)
	case "user_prompt":
		e.Said = strings.TrimSpace(cmp.Or(p.Text, text(p.Content)))
	case "queue_update":
		for _, said := range slices.Concat(p.Steering, p.FollowUp) {
			e.Queued = append(e.Queued, strings.TrimSpace(said))
		}
	case "rpc_ui_request", "extension_ui_request":
		switch p.Method {
		case "confirm", "select", "input", "editor":
			e.QuestionID = p.ID
		}
	}
	return e
}

// Unwrap takes an event out of the envelope in which the driver of a sandbox reports it, and gives it the name of
// today: older agents call a compaction auto_compaction.
func Unwrap(name string, payload []byte) (string, []byte) {
	if name == "rpc_event" {
		var envelope struct {
			Event jsontext.Value `json:"event"`
		}
		var inner struct {
			Type string `json:"type"`
		}
		if wire.Unmarshal(payload, &envelope) == nil && wire.Unmarshal(envelope.Event, &inner) == nil && inner.Type != "" {
			name, payload = inner.Type, envelope.Event
		}
	}
	switch name {
	case "auto_compaction_start":
		name = "compaction_start"
	case "auto_compaction_end":
		name = "compaction_end"
	}
	return name, payload
}
