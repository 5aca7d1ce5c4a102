package coder

import (
	"encoding/json"
	"strings"

	jsonv2 "github.com/go-json-experiment/json"

	"github.com/agentuity/coder-go/internal/wire"
)

// AgentMessage is a message of the conversation as the agent has it: in the answer to
// [HubConn.GetMessages], and in the events of the agent, see [AgentEvent].
//
// A message has no id. Role decides which members are set; the others are zero.
type AgentMessage struct {
	// Role is "user", "assistant", "toolResult", or another. Only an assistant's messages are answers; newer
	// agents begin a conversation with one of role "system".
	Role string `json:"role"`
	// Content is what was said. Agents send it as a text or as a list of blocks; it is written as a list.
	Content MessageContent `json:"content"`

	// StopReason says why an assistant's message ended. It is valid only when the message has ended, in a
	// [*MessageEnd], [*TurnEnd] or [*AgentEnd]: before that agents send StopReasonStop or "pending".
	StopReason StopReason `json:"stopReason,omitzero"`
	// ErrorMessage is what the agent says about StopReasonError and StopReasonAborted, such as "529
	// overloaded".
	ErrorMessage string `json:"errorMessage,omitzero"`
	// Usage is what an assistant's message has used. It is 0 until the message has ended.
	Usage *AgentUsage `json:"usage,omitzero"`
	// Model and Provider are who wrote an assistant's message.
	Model    string `json:"model,omitzero"`
	Provider string `json:"provider,omitzero"`

	// The call that a tool's result belongs to, the tool, and whether it failed.
	ToolCallID string `json:"toolCallId,omitzero"`
	ToolName   string `json:"toolName,omitzero"`
	IsError    bool   `json:"isError,omitzero"`

	// Timestamp is zero if the agent does not say.
	Timestamp UnixMilli `json:"timestamp,omitzero"`
	// Extra holds the members this package has no field for.
	Extra map[string]json.RawMessage `json:",embed"`
}

// RPCMessage is an [AgentMessage], as [HubConn.GetMessages] returns it.
type RPCMessage = AgentMessage

// StopReason says why a message of an agent ended. It is a string by another name, as [EventName] is. Agents
// send others too.
type StopReason = string

// The reasons.
const (
	StopReasonStop    StopReason = "stop"    // the agent was done
	StopReasonLength  StopReason = "length"  // the answer is cut: the model had no room for more
	StopReasonToolUse StopReason = "toolUse" // it calls tools, and another message follows
	StopReasonError   StopReason = "error"   // the model failed; the agent may try again
	StopReasonAborted StopReason = "aborted" // somebody stopped it
)

// AgentUsage is what a message has used: tokens, and their price.
type AgentUsage struct {
	// Numbers of tokens. Input and Output are those that the model read and wrote, without its cache.
	// CacheRead and CacheWrite are those that it read from its cache and wrote to it. Reasoning is the part
	// of Output that it spent on thinking, if it says. TotalTokens are all together.
	Input       int64 `json:"input"`
	Output      int64 `json:"output"`
	CacheRead   int64 `json:"cacheRead"`
	CacheWrite  int64 `json:"cacheWrite"`
	Reasoning   int64 `json:"reasoning,omitzero"`
	TotalTokens int64 `json:"totalTokens"`
	// Cost is nil if the agent does not say.
	Cost *AgentCost `json:"cost,omitzero"`
	// Extra holds the members this package has no field for.
	Extra map[string]json.RawMessage `json:",embed"`
}

// AgentCost is the price of an [AgentUsage] in US dollars, by the price list of the agent.
type AgentCost struct {
	// The price of each kind of tokens, and of all together.
	Input      float64 `json:"input"`
	Output     float64 `json:"output"`
	CacheRead  float64 `json:"cacheRead"`
	CacheWrite float64 `json:"cacheWrite"`
	Total      float64 `json:"total"`
	// Extra holds the members this package has no field for.
	Extra map[string]json.RawMessage `json:",embed"`
}

// MessageContent is what was said: blocks in their order. It reads a plain text as one block of type
// [BlockText].
type MessageContent []ContentBlock

// RPCContent is the [MessageContent] of an [RPCMessage].
type RPCContent = MessageContent

// BlockType is the kind of a [ContentBlock]. Unknown values are kept as they came.
type BlockType = string

// The kinds of blocks.
const (
	BlockText     BlockType = "text"     // Text
	BlockThinking BlockType = "thinking" // Thinking, ThinkingSignature
	BlockToolCall BlockType = "toolCall" // ID, Name, Arguments
	BlockImage    BlockType = "image"    // Data, MimeType
)

// ContentBlock is a piece of a message. Type decides which of the other members are set.
type ContentBlock struct {
	// Type is the kind of the block.
	Type BlockType `json:"type"`
	// Text is for the reader.
	Text string `json:"text,omitzero"`
	// Thinking is what the model thought. ThinkingSignature has a meaning only for the model.
	Thinking          string `json:"thinking,omitzero"`
	ThinkingSignature string `json:"thinkingSignature,omitzero"`
	// A call of a tool: its id, the tool's name, and the arguments, a JSON object.
	ID        string          `json:"id,omitzero"`
	Name      string          `json:"name,omitzero"`
	Arguments json.RawMessage `json:"arguments,omitzero"`
	// Data is an image in base64, MimeType its type.
	Data     string `json:"data,omitzero"`
	MimeType string `json:"mimeType,omitzero"`
	// Extra holds the members this package has no field for.
	Extra map[string]json.RawMessage `json:",embed"`
}

// RPCContentBlock is a [ContentBlock] of an [RPCMessage].
type RPCContentBlock = ContentBlock

// UnmarshalJSON reads a text or a list.
func (c *MessageContent) UnmarshalJSON(data []byte) error {
	var text string
	if jsonv2.Unmarshal(data, &text, wire.Accepted) == nil && string(data) != "null" {
		*c = MessageContent{{Type: BlockText, Text: text}}
		return nil
	}
	var blocks []ContentBlock
	err := wire.Unmarshal(data, &blocks)
	*c = blocks
	return err
}

// Text returns the text of all blocks of type [BlockText], joined: what was said, without thoughts and tool
// calls.
func (c MessageContent) Text() string { return c.join(BlockText) }

// Thinking returns the text of all blocks of type [BlockThinking], joined.
func (c MessageContent) Thinking() string { return c.join(BlockThinking) }

func (c MessageContent) join(kind BlockType) string {
	var b strings.Builder
	for i := range c {
		if c[i].Type == kind {
			b.WriteString(c[i].Text)
			b.WriteString(c[i].Thinking)
		}
	}
	return b.String()
}

// ToolCalls returns the blocks of type [BlockToolCall].
func (c MessageContent) ToolCalls() []ContentBlock {
	var calls []ContentBlock
	for i := range c {
		if c[i].Type == BlockToolCall {
			calls = append(calls, c[i])
		}
	}
	return calls
}
