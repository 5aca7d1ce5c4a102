package world

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// The versions of the agent that have been recorded.
const (
	AgentVersionOld = "0.74.2"
	AgentVersionNew = "1.6.0"
)

// The roles of messages, the kinds of their blocks, and how they end.
const (
	roleUser       = "user"
	roleAssistant  = "assistant"
	roleToolResult = "toolResult"
	roleSystem     = "system"

	blockText     = "text"
	blockThinking = "thinking"
	blockToolCall = "toolCall"

	stopStop    = "stop"
	stopToolUse = "toolUse"
	stopError   = "error"
	stopAborted = "aborted"
)

// agentMessage is a message of the agent's conversation.
type agentMessage struct {
	Role         string        `json:"role"`
	ToolCallID   string        `json:"toolCallId,omitzero"`
	ToolName     string        `json:"toolName,omitzero"`
	Content      []*agentBlock `json:"content,omitzero"`
	Sections     any           `json:"sections,omitzero"`
	ToolsAdded   any           `json:"toolsAdded,omitzero"`
	Summary      string        `json:"summary,omitzero"`
	TokensBefore int           `json:"tokensBefore,omitzero"`
	API          string        `json:"api,omitzero"`
	Provider     string        `json:"provider,omitzero"`
	Model        string        `json:"model,omitzero"`
	Usage        *agentUsage   `json:"usage,omitzero"`
	StopReason   string        `json:"stopReason,omitzero"`
	IsError      *bool         `json:"isError,omitzero"`
	Timestamp    int64         `json:"timestamp"`
	ResponseID   string        `json:"responseId,omitzero"`
	ErrorMessage string        `json:"errorMessage,omitzero"`
	RawStop      string        `json:"rawStopReason,omitzero"`
	DurationMs   *int64        `json:"durationMs,omitzero"`
	Thinking     string        `json:"thinkingLevel,omitzero"`

	Further jsontext.Value `json:",embed"`

	entry string // the id of its entry
}

// agentBlock is a part of a message.
type agentBlock struct {
	Type      string         `json:"type"`
	Text      *string        `json:"text,omitzero"`
	Thinking  *string        `json:"thinking,omitzero"`
	Signature string         `json:"thinkingSignature,omitzero"`
	ID        string         `json:"id,omitzero"`
	Name      string         `json:"name,omitzero"`
	Arguments jsontext.Value `json:"arguments,omitzero"`
}

// add appends to the text of a block.
func (b *agentBlock) add(piece string) {
	whole := b.content() + piece
	if b.Type == blockThinking {
		b.Thinking = &whole
	} else {
		b.Text = &whole
	}
}

func (b *agentBlock) content() string {
	switch {
	case b.Text != nil:
		return *b.Text
	case b.Thinking != nil:
		return *b.Thinking
	}
	return ""
}

type agentUsage struct {
	Input      int       `json:"input"`
	Output     int       `json:"output"`
	CacheRead  int       `json:"cacheRead"`
	CacheWrite int       `json:"cacheWrite"`
	Reasoning  *int      `json:"reasoning,omitzero"`
	Total      int       `json:"totalTokens"`
	Cost       agentCost `json:"cost"`
}

// agentCost is in dollars.
type agentCost struct {
	Input      float64 `json:"input"`
	Output     float64 `json:"output"`
	CacheRead  float64 `json:"cacheRead"`
	CacheWrite float64 `json:"cacheWrite"`
	Total      float64 `json:"total"`
	Provider   *bool   `json:"totalFromProvider,omitzero"`
}

// What the model is called, and what it costs for each token.
const (
	thinkingLevel = "medium"

	agentAPI, agentProvider, agentModel = "openai-completions", "codertest", "codertest-1"

	costInput, costOutput, costCached = 3e-6, 15e-6, 0.3e-6
	tokensInput, tokensCached         = 800, 200
)

func textBlock(text string) *agentBlock { return &agentBlock{Type: blockText, Text: &text} }

func userMessage(text string, now time.Time) *agentMessage {
	return &agentMessage{Role: roleUser, Content: []*agentBlock{textBlock(text)}, Timestamp: now.UnixMilli()}
}

const systemPrompt = "You are the agent of a fake Hub."

// systemMessage is what the newer version reports first.
func systemMessage(now time.Time) *agentMessage {
	return &agentMessage{
		Role:       roleSystem,
		Further:    jsontext.Value(`{"content":""}`), // no list, unlike that of others
		Sections:   map[string]any{"preamble": systemPrompt},
		ToolsAdded: []any{map[string]any{"name": "read"}},
		Timestamp:  now.UnixMilli(),
	}
}

func toolMessage(call *agentBlock, result string, failed bool, now time.Time) *agentMessage {
	return &agentMessage{
		Role: roleToolResult, ToolCallID: call.ID, ToolName: call.Name,
		Content: []*agentBlock{textBlock(result)}, IsError: &failed, Timestamp: now.UnixMilli(),
	}
}

// assistantMessage is a message of which nothing has been said yet. How it ends
// is only right in message_end: before that the older version says stop.
func (a *ownAgent) assistantMessage(now time.Time) *agentMessage {
	m := &agentMessage{
		Role: roleAssistant, Content: []*agentBlock{}, API: agentAPI, Provider: agentProvider, Model: agentModel,
		Usage: new(agentUsage{}), StopReason: stopStop, Timestamp: now.UnixMilli(),
	}
	if a.newer() {
		m.StopReason = "pending"
	}
	return m
}

// finish ends a message of which something was said, and counts what it has used.
func (m *agentMessage) finish(a *ownAgent, reason, errorMessage string, took time.Duration) {
	if reason != stopAborted {
		words := 0
		for _, block := range m.Content {
			words += len(cut(block.content()))
		}
		cost := agentCost{Input: tokensInput * costInput, Output: float64(words) * costOutput, CacheRead: tokensCached * costCached}
		cost.Total = cost.Input + cost.Output + cost.CacheRead
		m.Usage = &agentUsage{
			Input: tokensInput, Output: words, CacheRead: tokensCached, Total: tokensInput + tokensCached + words, Cost: cost,
		}
		if a.newer() {
			m.Usage.Reasoning, m.Usage.Cost.Provider = new(int), new(bool)
			m.RawStop = rawStops[reason]
		}
	}
	m.end(a, reason, errorMessage, took)
}

func (m *agentMessage) end(a *ownAgent, reason, errorMessage string, took time.Duration) {
	m.StopReason, m.ErrorMessage = reason, errorMessage
	if a.newer() {
		m.DurationMs = new(took.Milliseconds())
	}
}

// rawStops is what the provider says of how a message ends.
var rawStops = map[string]string{stopStop: "stop", stopToolUse: "tool_calls", "length": "length"}
