package world

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/agentuity/coder-go/internal/wire"
)

// report is what the Hub has learned from the events of the agent that leads: what
// was said, whether it works, and on which tasks. The Hub's own agent reports in
// the same way as a program does.
type report struct {
	// dialect is how the lead reports its runs and messages: it is the first way
	// in which it has. If a driver and an extension report the same, the second is
	// in the history, and the Hub learns nothing from it.
	dialect dialect
	// keepsBook says that the lead writes the entries of the conversation itself.
	keepsBook bool

	heard      bool      // it has reported a run or a message
	running    bool      // between agent_start and agent_end
	retryUntil time.Time // how long the wait for a retry lasts that was announced
	at         time.Time // of its last event

	saying  bool         // between message_start and message_end of an answer
	blocks  []spokenText // of that answer, so far
	answers int          // how many have ended, of which turn ids are made

	toolCalls int
	tools     []runningTool // that have not ended

	prompts []string // in the conversation already, and not yet taken up by the agent
	tasks   []*sessionTask
}

// dialect is a way of reporting.
type dialect int

const (
	noDialect        dialect = iota
	extensionDialect         // events of the agent's extension
	rpcDialect               // what the agent prints in its RPC mode
)

// spokenText is a block of an answer so far.
type spokenText struct {
	index int
	kind  string
	text  []byte
}

type runningTool struct{ id, name, args string }

// sessionTask is a task of a sub-agent.
type sessionTask struct {
	TaskID      string   `json:"taskId"`
	Agent       string   `json:"agent"`
	Prompt      string   `json:"prompt"`
	Status      string   `json:"status"`
	StartedAt   string   `json:"startedAt"`
	CompletedAt string   `json:"completedAt,omitzero"`
	Duration    *float64 `json:"duration,omitzero"`
	Result      string   `json:"result,omitzero"`
	Error       string   `json:"error,omitzero"`

	output, thinking []byte // so far, while it runs
	activity         agentActivity
}

const (
	taskRunning   = "running"
	taskCompleted = "completed"
	taskFailed    = "failed"
)

// agentActivity is what an agent is doing.
type agentActivity struct {
	Status        string  `json:"status"`
	Name          string  `json:"name"`
	ToolCallCount int     `json:"toolCallCount"`
	CurrentTool   string  `json:"currentTool,omitzero"`
	CurrentArgs   string  `json:"currentToolArgs,omitzero"`
	LastActivity  int64   `json:"lastActivity"`
	TotalElapsed  float64 `json:"totalElapsed,omitzero"`
}

// agentEvent has the members of events of agents that the Hub looks at.
type agentEvent struct {
	AgentRole string        `json:"agentRole"`
	Message   spokenMessage `json:"message"`
	Update    struct {
		Type    string `json:"type"`
		Index   int    `json:"contentIndex"`
		Delta   string `json:"delta"`
		Content string `json:"content"`
	} `json:"assistantMessageEvent"`
	DelayMs float64 `json:"delayMs"`

	ToolCallID string         `json:"toolCallId"`
	ToolName   string         `json:"toolName"`
	Args       jsontext.Value `json:"args"`

	TaskID    string   `json:"taskId"`
	Agent     string   `json:"agent"`
	AgentName string   `json:"agentName"`
	Prompt    string   `json:"prompt"`
	Result    string   `json:"result"`
	Error     string   `json:"error"`
	Duration  *float64 `json:"duration"`
	Status    string   `json:"status"`
	Delta     string   `json:"delta"`
	Tool      string   `json:"currentTool"`
	ToolArgs  string   `json:"currentToolArgs"`
	Elapsed   float64  `json:"elapsed"`
}

// spokenMessage is a message of an agent's conversation.
type spokenMessage struct {
	Role       string         `json:"role"`
	Content    jsontext.Value `json:"content"`
	ToolCallID string         `json:"toolCallId"`
	ToolName   string         `json:"toolName"`
	IsError    bool           `json:"isError"`
}

type spokenBlock struct {
	Type      string         `json:"type"`
	Text      string         `json:"text"`
	Thinking  string         `json:"thinking"`
	ID        string         `json:"id"`
	Name      string         `json:"name"`
	Arguments jsontext.Value `json:"arguments"`
}

// blocks are the blocks of a content, which is a list of them or a text.
func (m *spokenMessage) blocks() (blocks []spokenBlock) {
	var text string
	if m.Content.Kind() == '"' {
		_ = wire.Unmarshal(m.Content, &text)
		return []spokenBlock{{Type: blockText, Text: text}}
	}
	_ = wire.Unmarshal(m.Content, &blocks)
	return blocks
}

func (m *spokenMessage) text() string {
	text := ""
	for _, b := range m.blocks() {
		if b.Type == blockText {
			text += b.Text
		}
	}
	return text
}

// ofTasks are the events of sub-agents. Only an extension reports them, also beside
// a driver.
var ofTasks = []string{"task_start", "agent_progress", "task_complete", "task_error"}

// roleLead is the role of who leads a session.
const roleLead = "lead"

// learn takes an event that somebody with this role reports. What a sub-agent says
// over a connection of its own is in the history only: the lead reports its task.
func (s *Session) learn(role, name string, payload jsontext.Value, d dialect, now time.Time) {
	var e agentEvent
	// Members of a wrong type are left out.
	if role != roleLead || payload.Kind() != '{' || wire.Unmarshal(payload, &e) != nil {
		return
	}
	if slices.Contains(ofTasks, name) {
		s.learnOfTask(name, &e, now)
		return
	}
	r := &s.report
	switch name {
	case "agent_start", "turn_start", "message_start", "message_end":
		r.dialect = cmp.Or(r.dialect, d)
	}
	if r.dialect != noDialect && r.dialect != d {
		return
	}
	r.at = now
	switch name {
	case "agent_start":
		r.restart()
		r.heard, r.running = true, true
	case "agent_end", "session_start", "session_shutdown":
		r.restart()
	case "auto_retry_start":
		r.retryUntil = now.Add(milliseconds(e.DelayMs))
	case "auto_retry_end":
		r.retryUntil = time.Time{}
	case "message_start":
		r.heard = true
		r.saying, r.blocks = e.Message.Role == roleAssistant, nil
	case "message_update":
		r.hear(e.Update.Type, e.Update.Index, e.Update.Delta, e.Update.Content)
	case "message_end":
		r.heard = true
		r.saying, r.blocks = false, nil
		s.enterMessage(&e, now)
	case "tool_execution_start":
		r.toolCalls++
		r.tools = append(r.tools, runningTool{e.ToolCallID, e.ToolName, toolArgs(e.Args)})
	case "tool_execution_end":
		r.tools = slices.DeleteFunc(r.tools, func(t runningTool) bool { return t.id == e.ToolCallID })
	}
}

// lead takes note of a lead that is new, which may report in another way.
func (r *report) newLead() {
	r.restart()
	r.dialect, r.keepsBook = noDialect, false
}

// restart forgets what a run has not ended.
func (r *report) restart() {
	r.running, r.retryUntil = false, time.Time{}
	r.saying, r.blocks, r.tools = false, nil, nil
}

// maxPrompts is how many prompts may wait to be taken up. An agent that is told
// more has lost the oldest.
const maxPrompts = 1000

// expect notes a prompt that is in the conversation already, so that the agent's
// own report of it makes no second entry.
func (r *report) expect(prompt string) {
	r.prompts = append(r.prompts, strings.TrimSpace(prompt))
	r.prompts = r.prompts[max(0, len(r.prompts)-maxPrompts):]
}

// expected takes a prompt off those that were expected, and reports whether it was
// one.
func (r *report) expected(prompt string) bool {
	i := slices.Index(r.prompts, strings.TrimSpace(prompt))
	if i >= 0 {
		r.prompts = slices.Delete(r.prompts, i, i+1)
	}
	return i >= 0
}

// hear adds a piece to the answer that is being said. A block may be reported
// piece by piece, and as a whole when it has ended.
func (r *report) hear(kind string, index int, delta, whole string) {
	kind, step, _ := strings.Cut(kind, "_")
	if !r.saying || kind != blockText && kind != blockThinking {
		return
	}
	i := slices.IndexFunc(r.blocks, func(b spokenText) bool { return b.index == index })
	if i < 0 {
		i = len(r.blocks)
		r.blocks = append(r.blocks, spokenText{index: index, kind: kind})
	}
	switch step {
	case "delta":
		r.blocks[i].text = append(r.blocks[i].text, delta...)
	case "end":
		r.blocks[i].text = []byte(whole)
	}
}

// enterMessage adds what a message says to the conversation.
func (s *Session) enterMessage(e *agentEvent, now time.Time) {
	r, m := &s.report, &e.Message
	agent := cmp.Or(e.AgentRole, s.agentName())
	switch m.Role {
	case roleUser:
		if text := m.text(); !r.expected(text) && text != "" {
			s.enterLearned(Entry{Type: "user_prompt", Content: text}, now)
		}
	case roleAssistant:
		r.answers++
		turn := map[string]any{"turnId": turnID(r.answers)}
		for _, b := range m.blocks() {
			switch b.Type {
			case blockThinking:
				s.enterLearned(Entry{Type: "thinking", Agent: agent, Content: b.Thinking, Members: turn}, now)
			case blockText:
				s.enterLearned(Entry{Type: "message", Agent: agent, Content: b.Text, Members: turn}, now)
			case blockToolCall:
				call := map[string]any{"toolName": b.Name, "toolCallId": b.ID}
				if b.Arguments.Kind() == '{' {
					call["toolArgs"] = b.Arguments
				}
				s.enterLearned(Entry{Type: "tool_call", Agent: agent, Members: call}, now)
			}
		}
	case roleToolResult:
		s.enterLearned(Entry{Type: "tool_result", Agent: agent, Content: m.text(), Members: map[string]any{
			"toolName": m.ToolName, "toolCallId": m.ToolCallID, "isError": m.IsError,
		}}, now)
	}
}

// enterLearned adds an entry that follows from events, unless the lead writes the
// entries itself.
func (s *Session) enterLearned(e Entry, now time.Time) {
	if !s.report.keepsBook {
		s.addEntry(e, now)
	}
}

// learnOfTask takes an event of a sub-agent. The event that begins a task may be
// reported twice; what comes after its end changes nothing.
func (s *Session) learnOfTask(name string, e *agentEvent, now time.Time) {
	r := &s.report
	i := slices.IndexFunc(r.tasks, func(t *sessionTask) bool { return t.TaskID == e.TaskID })
	if name == "task_start" && i < 0 && e.TaskID != "" {
		r.tasks = append(r.tasks, &sessionTask{
			TaskID: e.TaskID, Agent: e.Agent, Prompt: e.Prompt, Status: taskRunning, StartedAt: iso(now),
			activity: agentActivity{Status: "running", Name: e.Agent, LastActivity: now.UnixMilli()},
		})
		return
	}
	if i < 0 || r.tasks[i].Status != taskRunning {
		return
	}
	t := r.tasks[i]
	t.activity.LastActivity = now.UnixMilli()
	switch name {
	case "agent_progress":
		t.progress(e)
	case "task_complete":
		s.endTask(t, taskCompleted, e, now)
	case "task_error":
		s.endTask(t, taskFailed, e, now)
	}
}

func (t *sessionTask) progress(e *agentEvent) {
	a := &t.activity
	a.TotalElapsed = e.Elapsed
	switch e.Status {
	case "text_delta":
		t.output = append(t.output, e.Delta...)
	case "thinking_delta":
		t.thinking = append(t.thinking, e.Delta...)
	case "tool_start":
		a.Status, a.CurrentTool, a.CurrentArgs = e.Status, e.Tool, e.ToolArgs
		a.ToolCallCount++
	case "tool_end":
		a.Status, a.CurrentTool, a.CurrentArgs = e.Status, "", ""
	}
}

func (s *Session) endTask(t *sessionTask, status string, e *agentEvent, now time.Time) {
	t.Status, t.CompletedAt, t.Duration = status, iso(now), e.Duration
	t.Result, t.Error = e.Result, e.Error
	t.output, t.thinking = nil, nil
	t.activity.Status, t.activity.CurrentTool, t.activity.CurrentArgs = status, "", ""
	if e.Duration != nil {
		t.activity.TotalElapsed = *e.Duration
	}
	s.enterLearned(Entry{Type: "task_result", Agent: t.Agent, Content: cmp.Or(e.Error, e.Result), Members: map[string]any{
		"taskId": t.TaskID, "isError": status == taskFailed,
	}}, now)
}

// working reports whether the agent produces an answer, or waits to try again.
func (s *Session) working(now time.Time) bool {
	r := &s.report
	return s.led() && (r.running || now.Before(r.retryUntil)) || s.agent.working() && !s.agent.away
}

// shownTasks are the tasks as clients see them.
func (r *report) shownTasks() jsontext.Value {
	if len(r.tasks) == 0 {
		return nil
	}
	return Encode(r.tasks)
}

// activeTasks are the tasks that run.
func (r *report) activeTasks() []any {
	active := []any{}
	for _, t := range r.tasks {
		if t.Status == taskRunning {
			active = append(active, map[string]any{"taskId": t.TaskID, "agent": t.Agent})
		}
	}
	return active
}

// activity is what agents are doing, by name, or nil if none has done anything yet.
func (s *Session) activity(now time.Time) jsontext.Value {
	r := &s.report
	working := s.working(now)
	if !r.heard && !working {
		return nil
	}
	shown := make(map[string]agentActivity)
	for _, t := range r.tasks {
		a := t.activity
		a.ToolCallCount += shown[t.Agent].ToolCallCount
		shown[t.Agent] = a
	}
	lead := agentActivity{
		Status: "idle", Name: s.agentName(), ToolCallCount: r.toolCalls, LastActivity: max(r.at.UnixMilli(), s.createdAt.UnixMilli()),
	}
	switch {
	case working && len(r.tools) > 0:
		lead.Status, lead.CurrentTool, lead.CurrentArgs = "tool_start", r.tools[0].name, r.tools[0].args
	case working:
		lead.Status = "running"
	}
	shown[lead.Name] = lead
	return Encode(shown)
}

// stream is the text that agents are producing, if they do.
func (r *report) stream() jsontext.Value {
	type block struct {
		Output   string `json:"output"`
		Thinking string `json:"thinking"`
	}
	now := struct {
		block `json:",inline"`
		Tasks map[string]block `json:"tasks"`
	}{Tasks: make(map[string]block)}
	for _, b := range r.blocks {
		if b.kind == blockText {
			now.Output += string(b.text)
		} else {
			now.Thinking += string(b.text)
		}
	}
	for _, t := range r.tasks {
		if t.Status == taskRunning {
			now.Tasks[t.TaskID] = block{string(t.output), string(t.thinking)}
		}
	}
	if !r.saying && len(now.Tasks) == 0 {
		return nil
	}
	return Encode(now)
}

func turnID(answers int) string { return fmt.Sprintf("turn_%06d", answers) }

// longestRetry bounds what an agent may announce.
const longestRetry = 24 * time.Hour

func milliseconds(n float64) time.Duration {
	return time.Duration(min(max(n, 0), float64(longestRetry/time.Millisecond))) * time.Millisecond
}

// maxToolArgs is how many bytes of a tool's arguments are shown.
const maxToolArgs = 200

func toolArgs(args jsontext.Value) string {
	text := string(args)
	if len(text) > maxToolArgs {
		text = strings.ToValidUTF8(text[:maxToolArgs], "")
	}
	return text
}
