package coder

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/agentuity/coder-go/internal/agentrun"
	"github.com/agentuity/coder-go/internal/wire"
)

// Conversation holds everything that was said in a session, also after a lost connection. Feed it the messages of a
// [HubConn] or of [Client.StreamEvents], or the events of a history, in order. Show what it holds or, piece by piece, the
// changes that each Apply method returns. The zero value is an empty conversation. It is safe for concurrent use, and
// takes as much memory as the texts in it.
type Conversation struct {
	mu       sync.Mutex
	messages []*conversationMessage
	run      agentrun.Run
	lost     bool // the connection
	state    ConversationState
	question *ConversationAsked
	told     string   // the id of the question that the last change has
	waiting  []string // texts of users in the hydration that have not become a message of the agent's yet
	again    []string // those of waiting that were sent again since
}

// ConversationState is what the agent is doing. Unknown values do not occur.
type ConversationState string

// The states.
const (
	ConversationIdle         ConversationState = "idle"         // it has nothing to do
	ConversationWorking      ConversationState = "working"      // it writes a message, or runs a tool
	ConversationRetrying     ConversationState = "retrying"     // it waits after an error, or compacts the conversation
	ConversationQuestion     ConversationState = "question"     // it has asked something
	ConversationDisconnected ConversationState = "disconnected" // not known: the connection is lost
)

// ConversationMessage is a message of a user or of the agent.
type ConversationMessage struct {
	// Role is "user" or "assistant".
	Role string `json:"role"`
	// Text is what was said so far, Thinking what the model thought before it.
	Text     string `json:"text"`
	Thinking string `json:"thinking,omitzero"`
	// ToolCalls are the tools that the message calls, with what they answered.
	ToolCalls []ConversationToolCall `json:"toolCalls,omitzero"`
	// Done says that Text is complete. StopReason and ErrorMessage say how the message ended, if that is known.
	Done         bool       `json:"done"`
	StopReason   StopReason `json:"stopReason,omitzero"`
	ErrorMessage string     `json:"errorMessage,omitzero"`
	// Timestamp is zero if it is not known.
	Timestamp UnixMilli `json:"timestamp,omitzero"`
}

// ConversationToolCall is a call of a tool.
type ConversationToolCall struct {
	// ID is the same in all messages and events about the call.
	ID string `json:"id"`
	// Name is the tool, Args are its arguments, a JSON object.
	Name string          `json:"name"`
	Args json.RawMessage `json:"args,omitzero"`
	// Result is what it answered, once Done. IsError says that it failed.
	Result  string `json:"result,omitzero"`
	IsError bool   `json:"isError,omitzero"`
	Done    bool   `json:"done,omitzero"`
}

// ConversationChangeKind says what a [ConversationChange] does.
type ConversationChangeKind string

// The kinds of changes.
const (
	ConversationAppend  ConversationChangeKind = "append"  // Delta is added to the Part of message Index
	ConversationReplace ConversationChangeKind = "replace" // message Index is Message; it may be new
	ConversationStateIs ConversationChangeKind = "state"   // State has changed
)

// ConversationChange is a step from one state of a conversation to the next. A page that applies all changes has the
// conversation:
//
//	messages.length = change.count
//	if (change.kind == "replace") messages[change.index] = change.message
//	if (change.kind == "append") messages[change.index][change.part] += change.delta
//	if (change.kind == "state") state = change.state
type ConversationChange struct {
	// Kind decides which of the other members are set.
	Kind ConversationChangeKind `json:"kind"`
	// Count is how many messages there are after the change.
	Count int `json:"count"`
	// Index is the index of the message, from 0.
	Index int `json:"index"`
	// Part is "text" or "thinking".
	Part  string `json:"part,omitzero"`
	Delta string `json:"delta,omitzero"`
	// Message is the whole message.
	Message *ConversationMessage `json:"message,omitzero"`
	// State is what the agent is doing now. Question is what it asks, in the state ConversationQuestion; nil if that is
	// not known.
	State    ConversationState  `json:"state,omitzero"`
	Question *ConversationAsked `json:"question,omitzero"`
}

// ConversationAsked is what the agent asks its user. It is answered with [HubConn.RespondUI].
type ConversationAsked struct {
	// ID is the id to answer with.
	ID string `json:"id"`
	// Method is the kind of question, Params are its parameters: see [RPCUIParams].
	Method RPCUIMethod     `json:"method"`
	Params json.RawMessage `json:"params,omitzero"`
}

// conversationMessage is a message as it grows.
type conversationMessage struct {
	ConversationMessage
	text, thinking map[int]*strings.Builder // by the index of the block
	order          []int                    // of the blocks, as they came
	joined         bool                     // its beginning was not seen: it is Text and Thinking, and deltas are added to them
}

// Apply takes a message of a [HubConn], and returns what changes. A [*ReconnectedMessage] changes the state only: the
// hydration after it replaces what was known. Replayed events are ignored, since the hydration has them.
func (c *Conversation) Apply(m ServerMessage) []ConversationChange {
	switch m := m.(type) {
	case *HubHydrationMessage:
		return c.hydrate(m.Entries, m.Stream, m.streams())
	case *RPCEventMessage:
		if m.Replay {
			return nil
		}
		return c.apply(m.EventType, m.Event, m.Timestamp.Time)
	case *BroadcastEventMessage:
		return c.apply(m.Event, m.Data, m.Timestamp.Time)
	case *RPCUIRequestMessage:
		if !m.Method.Answered() {
			return nil
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.question = &ConversationAsked{m.ID, m.Method, m.Params}
		return c.event(&agentrun.Event{At: time.Now(), Name: typeRPCUIRequest, QuestionID: m.ID}, nil)
	case *ReconnectedMessage:
		return c.Disconnected()
	}
	return nil
}

// ApplyObserver takes a message of [Client.StreamEvents]. See Apply.
func (c *Conversation) ApplyObserver(m ObserverSSEMessage) []ConversationChange {
	switch m := m.(type) {
	case *SSEHydrationMessage:
		streaming := m.Stream != nil && (m.Stream.Output != "" || m.Stream.Thinking != "")
		return c.hydrate(m.Entries, m.Stream, streaming)
	case *BroadcastEventMessage:
		return c.apply(m.Event, m.Data, m.Timestamp.Time)
	case *ReconnectedMessage:
		return c.Disconnected()
	}
	return nil
}

// ApplyEvent takes an event of a history. Apply the events oldest first.
func (c *Conversation) ApplyEvent(e SessionEvent) []ConversationChange {
	if e.TaskID != "" {
		return nil // of an agent that works on a task
	}
	return c.apply(e.Event, e.Payload, e.OccurredAt)
}

// Sent tells the conversation that the program has sent a prompt itself: the Hub tells only the others. A conversation needs it
// where a hydration has a prompt that is alike and has no answer, so that this one is not taken for that. The prompt is part of
// the conversation when the agent takes it.
func (c *Conversation) Sent(prompt string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent(prompt)
}

// sent notes a prompt that was sent since the hydration, if that has one that is alike. The mutex is held.
func (c *Conversation) sent(prompt string) {
	if prompt = strings.TrimSpace(prompt); slices.Contains(c.waiting, prompt) {
		c.again = append(c.again, prompt)
	}
}

// Disconnected tells the conversation that the connection is lost: what the agent is doing is not known until
// the next message.
func (c *Conversation) Disconnected() []ConversationChange {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lost = true
	return c.stateChanges(nil)
}

// Messages returns the conversation so far. The result is the caller's own.
func (c *Conversation) Messages() []ConversationMessage {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.snapshots()
}

// snapshots are the messages as they are now. The mutex is held.
func (c *Conversation) snapshots() []ConversationMessage {
	all := make([]ConversationMessage, len(c.messages))
	for i, m := range c.messages {
		all[i] = m.snapshot()
	}
	return all
}

// Text returns what the agent has said, one paragraph a message, without thoughts and tool calls.
func (c *Conversation) Text() string {
	var said []string
	for _, m := range c.Messages() {
		if m.Role == "assistant" && m.Text != "" {
			said = append(said, m.Text)
		}
	}
	return strings.Join(said, "\n\n")
}

// State returns what the agent is doing.
func (c *Conversation) State() ConversationState {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now()
}

// MarshalJSON writes the conversation as {"state": …, "messages": […]}, for a page that then applies the changes. In the state
// ConversationQuestion there is a "question" too, if it is known.
func (c *Conversation) MarshalJSON() ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := struct {
		State    ConversationState     `json:"state"`
		Question *ConversationAsked    `json:"question,omitzero"`
		Messages []ConversationMessage `json:"messages"`
	}{State: c.now(), Messages: c.snapshots()}
	if now.State == ConversationQuestion {
		now.Question = c.question
	}
	return wire.Marshal(now)
}

func (m *conversationMessage) snapshot() ConversationMessage {
	out := m.ConversationMessage
	out.ToolCalls = slices.Clone(m.ToolCalls)
	if !m.Done && !m.joined {
		out.Text, out.Thinking = m.join(m.text), m.join(m.thinking)
	}
	return out
}

func (m *conversationMessage) join(blocks map[int]*strings.Builder) string {
	var whole strings.Builder
	for _, index := range m.order {
		if b := blocks[index]; b != nil {
			whole.WriteString(b.String())
		}
	}
	return whole.String()
}

// block returns the block with an index. Blocks come in the order of their indices.
func (m *conversationMessage) block(kind UpdateKind, index int) *strings.Builder {
	blocks := &m.text
	if kind == UpdateThinking {
		blocks = &m.thinking
	}
	if *blocks == nil {
		*blocks = make(map[int]*strings.Builder)
	}
	b := (*blocks)[index]
	if b == nil {
		b = new(strings.Builder)
		(*blocks)[index] = b
		if i, found := slices.BinarySearch(m.order, index); !found {
			m.order = slices.Insert(m.order, i, index)
		}
	}
	return b
}

// now is the state. The mutex is held.
func (c *Conversation) now() ConversationState {
	if c.lost {
		return ConversationDisconnected
	}
	at := time.Now()
	reading := c.run.At(at)
	switch {
	case reading.Kind == agentrun.Question:
		return ConversationQuestion
	case c.run.Pauses(at):
		return ConversationRetrying
	case reading.Kind == agentrun.Working && !c.run.Answered():
		return ConversationWorking
	}
	return ConversationIdle
}

// stateChanges adds the change of the state, if there is one. The mutex is held.
func (c *Conversation) stateChanges(changes []ConversationChange) []ConversationChange {
	now := c.now()
	if now != ConversationQuestion {
		c.question = nil
	}
	if c.state == "" {
		c.state = ConversationIdle
	}
	id := ""
	if c.question != nil {
		id = c.question.ID
	}
	if now == c.state && id == c.told {
		return changes
	}
	c.state, c.told = now, id
	return append(changes, ConversationChange{Kind: ConversationStateIs, Count: len(c.messages), State: now, Question: c.question})
}

func (c *Conversation) replace(i int) ConversationChange {
	whole := c.messages[i].snapshot()
	return ConversationChange{Kind: ConversationReplace, Count: len(c.messages), Index: i, Message: &whole}
}

// apply takes an event by its name.
func (c *Conversation) apply(name string, payload []byte, at time.Time) []ConversationChange {
	if at.IsZero() {
		at = time.Now()
	}
	e := agentrun.Decode(name, payload, at)
	if e.TaskID != "" && !strings.HasPrefix(e.Name, "task_") {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.event(&e, func() AgentEvent { return decodeAgentEvent(name, payload) })
}

// event takes an event. The mutex is held.
func (c *Conversation) event(e *agentrun.Event, decode func() AgentEvent) []ConversationChange {
	c.lost = false
	c.run.Apply(e)
	var changes []ConversationChange
	switch e.Name {
	case EventMessageStart, EventMessageUpdate, EventMessageEnd, EventToolExecutionStart, EventToolCall, EventToolExecutionEnd, EventToolResult:
		changes = c.said(decode())
	case EventUserPrompt:
		if prompt, ok := decode().(*UserPrompt); ok {
			c.sent(prompt.Text)
		}
	}
	return c.stateChanges(changes)
}

// said takes what is part of the conversation.
func (c *Conversation) said(event AgentEvent) []ConversationChange {
	switch e := event.(type) {
	case *MessageStart:
		if e.Message.Role == "assistant" {
			return []ConversationChange{c.replace(c.begin("assistant", e.Message.Timestamp))}
		}
	case *MessageUpdate:
		return c.update(e)
	case *MessageEnd:
		return c.end(&e.Message)
	case *ToolExecutionStart:
		return c.call(e.ToolCallID, e.ToolName, e.Args)
	case *ToolCall:
		return c.call(e.ToolCallID, e.ToolName, e.Args)
	case *ToolExecutionEnd:
		return c.result(e.ToolCallID, e.Result.Content, e.IsError)
	case *ToolResult:
		return c.result(e.ToolCallID, e.Content, e.IsError)
	}
	return nil
}

// begin adds a message, and returns its index.
func (c *Conversation) begin(role string, at UnixMilli) int {
	m := &conversationMessage{}
	m.Role, m.Timestamp = role, at
	c.messages = append(c.messages, m)
	return len(c.messages) - 1
}

// isOpen reports whether the agent is at a message.
func (c *Conversation) isOpen() bool {
	i := len(c.messages) - 1
	return i >= 0 && c.messages[i].Role == "assistant" && !c.messages[i].Done
}

// open returns the index of the message that the agent is at, which may have begun unseen.
func (c *Conversation) open() int {
	if c.isOpen() {
		return len(c.messages) - 1
	}
	i := c.begin("assistant", UnixMilli{})
	c.messages[i].joined = true
	return i
}

func (c *Conversation) update(u *MessageUpdate) []ConversationChange {
	if u.Kind != UpdateText && u.Kind != UpdateThinking || u.ContentIndex < 0 {
		return nil
	}
	if u.Phase != UpdateDelta && (u.Phase != UpdateEnd || !c.isOpen()) {
		return nil
	}
	before := len(c.messages)
	i := c.open()
	m := c.messages[i]
	switch {
	case u.Phase == UpdateDelta && m.joined:
		if u.Kind == UpdateText {
			m.Text += u.Delta
		} else {
			m.Thinking += u.Delta
		}
	case u.Phase == UpdateDelta:
		last := len(m.order) == 0 || u.ContentIndex >= m.order[len(m.order)-1]
		m.block(u.Kind, u.ContentIndex).WriteString(u.Delta)
		if !last { // it does not go to the end of the part
			return []ConversationChange{c.replace(i)}
		}
	case u.Phase == UpdateEnd && !m.joined && u.Content != "":
		b := m.block(u.Kind, u.ContentIndex)
		if b.String() == u.Content {
			return nil
		}
		b.Reset()
		b.WriteString(u.Content)
		return []ConversationChange{c.replace(i)}
	default:
		return nil
	}
	if before != len(c.messages) {
		return []ConversationChange{c.replace(i)}
	}
	return []ConversationChange{{Kind: ConversationAppend, Count: len(c.messages), Index: i, Part: u.Kind, Delta: u.Delta}}
}

// end takes a whole message.
func (c *Conversation) end(m *AgentMessage) []ConversationChange {
	switch m.Role {
	case "user":
		text := m.Content.Text()
		sent := strings.TrimSpace(text)
		if i := slices.Index(c.again, sent); i >= 0 { // of two that are alike it does not matter which is which
			c.again = slices.Delete(c.again, i, i+1)
		} else if i := slices.Index(c.waiting, sent); i >= 0 { // the hydration has it
			c.waiting = slices.Delete(c.waiting, i, i+1)
			return nil
		}
		i := c.begin("user", m.Timestamp)
		c.messages[i].Text, c.messages[i].Done = text, true
		return []ConversationChange{c.replace(i)}
	case "assistant":
		i := c.open()
		said := c.messages[i]
		said.Text, said.Thinking, said.Done = m.Content.Text(), m.Content.Thinking(), true
		said.StopReason, said.ErrorMessage, said.Timestamp = m.StopReason, m.ErrorMessage, m.Timestamp
		said.text, said.thinking, said.order, said.joined = nil, nil, nil, false
		for _, call := range m.Content.ToolCalls() {
			if c.toolCall(call.ID) == nil {
				said.ToolCalls = append(said.ToolCalls, ConversationToolCall{ID: call.ID, Name: call.Name, Args: call.Arguments})
			}
		}
		return []ConversationChange{c.replace(i)}
	case "toolResult":
		return c.result(m.ToolCallID, m.Content, m.IsError)
	}
	return nil
}

// toolCall returns a call of one of the newest messages.
func (c *Conversation) toolCall(id string) *ConversationToolCall {
	_, call := c.findCall(id)
	return call
}

func (c *Conversation) findCall(id string) (int, *ConversationToolCall) {
	for i := len(c.messages) - 1; i >= 0 && c.messages[i].Role != "user"; i-- {
		for k := range c.messages[i].ToolCalls {
			if call := &c.messages[i].ToolCalls[k]; call.ID == id {
				return i, call
			}
		}
	}
	return -1, nil
}

// call adds a call of a tool to the message that made it, if that did not say so.
func (c *Conversation) call(id, name string, args json.RawMessage) []ConversationChange {
	if id == "" || c.toolCall(id) != nil {
		return nil
	}
	i := len(c.messages) - 1
	if i < 0 || c.messages[i].Role != "assistant" {
		i = c.begin("assistant", UnixMilli{})
		c.messages[i].Done = true
	}
	c.messages[i].ToolCalls = append(c.messages[i].ToolCalls, ConversationToolCall{ID: id, Name: name, Args: args})
	return []ConversationChange{c.replace(i)}
}

func (c *Conversation) result(id string, content MessageContent, isError bool) []ConversationChange {
	i, call := c.findCall(id)
	text := content.Text()
	if call == nil || call.Done && call.Result == text && call.IsError == isError {
		return nil
	}
	call.Result, call.IsError, call.Done = text, isError, true
	return []ConversationChange{c.replace(i)}
}

// hydrate replaces everything by a conversation as the Hub has it.
func (c *Conversation) hydrate(entries []ConversationEntry, stream *SessionStreamProjection, streaming bool) []ConversationChange {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.messages, c.waiting, c.again, c.lost = nil, nil, nil, false
	c.run = agentrun.Run{}
	for i := range entries {
		c.entry(&entries[i])
	}
	if stream != nil && (stream.Output != "" || stream.Thinking != "") {
		m := c.messages[c.open()]
		m.Text, m.Thinking, m.joined = stream.Output, stream.Thinking, true
	}
	if streaming {
		c.run.Apply(&agentrun.Event{At: time.Now(), Name: EventAgentStart, Inferred: true})
	}
	changes := make([]ConversationChange, 0, len(c.messages)+1)
	for i := range c.messages {
		changes = append(changes, c.replace(i))
	}
	told := c.stateChanges(changes)
	if len(told) == 0 { // an empty conversation is told as well
		told = append(told, ConversationChange{Kind: ConversationStateIs, State: c.state, Question: c.question})
	}
	return told
}

// entry takes an entry of a hydration.
func (c *Conversation) entry(e *ConversationEntry) {
	if e.TaskID != "" {
		return
	}
	last := func() *conversationMessage { // the assistant's message that the entry belongs to
		if i := len(c.messages) - 1; i >= 0 && c.messages[i].Role == "assistant" {
			return c.messages[i]
		}
		m := c.messages[c.begin("assistant", e.Timestamp)]
		m.Done = true
		return m
	}
	switch e.Type {
	case EntryUserPrompt:
		m := c.messages[c.begin("user", e.Timestamp)]
		m.Text, m.Done = e.Content, true
		c.waiting = append(c.waiting, strings.TrimSpace(e.Content))
	case EntryMessage:
		m := last()
		if m.Text != "" || len(m.ToolCalls) > 0 {
			m = c.messages[c.begin("assistant", e.Timestamp)]
		}
		m.Text, m.Done = e.Content, true
		if e.Thinking != "" {
			m.Thinking = e.Thinking
		}
		c.waiting = nil
	case EntryThinking:
		m := c.messages[c.begin("assistant", e.Timestamp)]
		m.Thinking, m.Done = e.Thinking, true
		if m.Thinking == "" {
			m.Thinking = e.Content
		}
	case EntryToolCall:
		args, _ := wire.Marshal(e.ToolArgs)
		if e.ToolArgs == nil {
			args = nil
		}
		m := last()
		m.ToolCalls = append(m.ToolCalls, ConversationToolCall{ID: e.ToolCallID, Name: e.ToolName, Args: args})
	case EntryToolResult:
		if _, call := c.findCall(e.ToolCallID); call != nil {
			call.Result, call.Done = e.Content, true
			call.IsError = e.IsError != nil && *e.IsError
		}
	}
}
