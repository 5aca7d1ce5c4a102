package world

import (
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// agentTurn is a model call and the tools it asks for.
type agentTurn struct {
	index       int // in the run
	began       time.Time
	message     *agentMessage   // what the model says, nil before it does
	open        bool            // it has not said all
	blocks      int             // how many blocks of it have begun
	tools       []AgentTool     // what it calls
	begun, done int             // how many of the tools have begun, and have ended
	results     []*agentMessage // of the tools
	failure     AgentError
	contextFull bool
	toolBegan   time.Time
}

// runningTool is the tool that runs, or nil.
func (t *agentTurn) runningTool() *AgentTool {
	if t.done < t.begun {
		return &t.tools[t.done]
	}
	return nil
}

// callModel lets the model say something, or fail.
func (a *ownAgent) callModel(now time.Time) {
	if failure := a.nextFailure(); failure != AgentNoError {
		a.turn.failure = failure
		a.sayNothingButEnd(stopError, failure.text(a.newer()), now)
		return
	}
	says := done
	switch {
	case a.ending != nil:
		says, a.ending = *a.ending, nil
	case len(a.answer) > 0:
		says, a.answer = a.answer[0], a.answer[1:]
	}
	a.turn.tools, a.turn.contextFull = says.Tools, says.ContextFull
	a.turn.began = now
	a.turn.message = a.assistantMessage(now)
	a.turn.open = true
	a.sayOpenMessage("message_start", nil, now)
	a.responses++
	a.turn.message.ResponseID = fmt.Sprintf("response_%06d", a.responses)
	pieces := a.pieces(says)
	if len(pieces) > 0 {
		pieces[0](now)
		for _, piece := range pieces[1:] {
			a.then(piece)
		}
	}
	reason := says.StopReason
	switch {
	case reason != "":
	case len(says.Tools) > 0:
		reason = stopToolUse
	default:
		reason = stopStop
	}
	a.then(func(now time.Time) { a.finishMessage(reason, says.ErrorMessage, now) })
}

// pieces returns the steps in which a turn is said: thoughts, text and calls of
// tools.
func (a *ownAgent) pieces(says AgentTurn) []func(time.Time) {
	var steps []func(time.Time)
	say := func(kind, whole string) {
		for i, piece := range cut(whole) {
			steps = append(steps, func(now time.Time) {
				if i == 0 {
					a.beginBlock(&agentBlock{Type: kind})
					a.sayUpdate(kind+"_start", nil, now)
				}
				a.turn.message.Content[a.turn.blocks-1].add(piece)
				a.sayUpdate(kind+"_delta", map[string]any{"delta": piece}, now)
			})
		}
	}
	if says.Thinking != "" {
		say(blockThinking, says.Thinking)
	}
	if says.Text != "" {
		say(blockText, says.Text)
	}
	for _, tool := range says.Tools {
		steps = append(steps, func(now time.Time) {
			a.calls++
			block := &agentBlock{Type: blockToolCall, ID: fmt.Sprintf("call_%06d", a.calls), Name: tool.Name, Arguments: jsontext.Value(`{}`)}
			a.beginBlock(block)
			start := map[string]any{}
			if a.newer() && !a.extension() {
				start["id"], start["toolName"] = block.ID, block.Name
			}
			a.sayUpdate("toolcall_start", start, now)
			a.sayUpdate("toolcall_delta", map[string]any{"delta": ""}, now)
			block.Arguments = tool.args()
			a.sayUpdate("toolcall_delta", map[string]any{"delta": string(block.Arguments)}, now)
		})
	}
	return steps
}

func (t *AgentTool) args() jsontext.Value {
	if len(t.Args) == 0 {
		return jsontext.Value(`{}`)
	}
	return t.Args
}

func (a *ownAgent) beginBlock(b *agentBlock) {
	if b.Type == blockThinking {
		b.Signature = "reasoning_content"
	}
	a.turn.message.Content = append(a.turn.message.Content, b)
	a.turn.blocks++
}

// maxPieces is how many pieces a text has at most.
const maxPieces = 12

// cut cuts a text after spaces, into pieces of about the same number of words.
func cut(text string) []string {
	words := strings.SplitAfter(text, " ")
	each := (len(words) + maxPieces - 1) / maxPieces
	var all []string
	for start := 0; start < len(words); start += each {
		all = append(all, strings.Join(words[start:min(start+each, len(words))], ""))
	}
	return all
}

// finishMessage ends the message that is being said, and begins the tools it
// calls.
func (a *ownAgent) finishMessage(reason, errorMessage string, now time.Time) {
	t := &a.turn
	t.open = false
	t.message.finish(a, reason, errorMessage, now.Sub(t.began))
	for i, block := range t.message.Content {
		end := map[string]any{"contentIndex": i}
		switch block.Type {
		case blockToolCall:
			end["toolCall"] = block
			a.sayUpdate("toolcall_end", end, now)
		default:
			end["content"] = block.content()
			a.sayUpdate(block.Type+"_end", end, now)
		}
	}
	a.addThinkingLevel()
	a.sayMessageEnd(t.message, now)
	if a.attempt > 0 && reason != stopError && reason != stopAborted {
		a.sayRetryEnd(true, "", now)
		a.attempt = 0
	}
	if reason == stopToolUse {
		a.startTools(now)
		return
	}
	a.closeTurn(now)
}

// sayNothingButEnd makes the model call end before it has said anything.
func (a *ownAgent) sayNothingButEnd(reason, errorMessage string, now time.Time) {
	t := &a.turn
	t.message = a.assistantMessage(now)
	t.message.end(a, reason, errorMessage, 0)
	a.addThinkingLevel()
	a.sayOpenMessage("message_start", nil, now)
	a.sayMessageEnd(t.message, now)
	a.closeTurn(now)
}

// addThinkingLevel adds what the newer version says of a message that is whole.
func (a *ownAgent) addThinkingLevel() {
	if a.newer() {
		a.turn.message.Thinking = thinkingLevel
	}
}

// startTools begins all tools of the turn. They end one after the other.
func (a *ownAgent) startTools(now time.Time) {
	t := &a.turn
	t.toolBegan = now
	for i := range t.tools {
		call := t.call(i)
		t.begun++
		a.say("tool_execution_start", map[string]any{
			"toolCallId": call.ID, "toolName": call.Name, "args": call.Arguments,
		}, now)
		if a.extension() {
			a.say("tool_call", map[string]any{
				"toolCallId": call.ID, "toolName": call.Name, "input": call.Arguments,
			}, now)
		}
		if task := t.tools[i].Task; task != nil {
			a.sayTask("task_start", call.ID, map[string]any{
				"agent": task.Agent, "prompt": task.Prompt, "description": task.Description,
			}, now)
		}
	}
	for i := range t.tools {
		a.runTool(i)
	}
	a.later(0, a.finishTools)
}

// call is the block of the message that calls the tool.
func (t *agentTurn) call(i int) *agentBlock {
	return t.message.Content[len(t.message.Content)-len(t.tools)+i]
}

// runTool plans what a tool does.
func (a *ownAgent) runTool(i int) {
	tool := &a.turn.tools[i]
	switch {
	case tool.Ask != nil:
		a.then(func(now time.Time) { a.ask(i, now) })
	case tool.Task != nil:
		a.runSubAgent(i)
	default:
		a.then(func(now time.Time) { a.finishTool(i, tool.Result, tool.IsError, now) })
	}
}

func (a *ownAgent) runSubAgent(i int) {
	task, id := a.turn.tools[i].Task, a.turn.call(i).ID
	for _, piece := range task.Progress {
		a.then(func(now time.Time) {
			a.sayTask("agent_progress", id, map[string]any{
				"agentName": task.Agent, "status": "text_delta", "delta": piece,
				"elapsed": now.Sub(a.turn.toolBegan).Milliseconds(),
			}, now)
		})
	}
	a.then(func(now time.Time) {
		if task.Error != "" {
			a.sayTask("task_error", id, map[string]any{"agent": task.Agent, "error": task.Error}, now)
			a.finishTool(i, "Agent "+task.Agent+" failed: "+task.Error, a.turn.tools[i].IsError, now)
			return
		}
		a.sayTask("task_complete", id, map[string]any{
			"agent": task.Agent, "result": task.Result, "duration": now.Sub(a.turn.toolBegan).Milliseconds(),
		}, now)
		a.finishTool(i, task.Result, a.turn.tools[i].IsError, now)
	})
}

// finishTool ends a tool.
func (a *ownAgent) finishTool(i int, result string, failed bool, now time.Time) {
	t := &a.turn
	call := t.call(i)
	m := toolMessage(call, result, failed, now)
	if a.newer() {
		m.DurationMs = new(now.Sub(t.toolBegan).Milliseconds())
	}
	t.results = append(t.results, m)
	t.done++
	content := textBlocks(result)
	if a.extension() {
		heard := map[string]any{
			"toolCallId": call.ID, "toolName": call.Name, "input": call.Arguments, "content": content, "isError": failed,
		}
		if a.newer() {
			heard["structuredContent"] = result
		}
		a.say("tool_result", heard, now)
	}
	ended := map[string]any{
		"toolCallId": call.ID, "toolName": call.Name, "result": map[string]any{"content": content}, "isError": failed,
	}
	if a.newer() {
		ended["durationMs"] = *m.DurationMs
	}
	a.say("tool_execution_end", ended, now)
}

// finishTools ends the turn when its tools have ended.
func (a *ownAgent) finishTools(now time.Time) {
	for _, m := range a.turn.results {
		a.sayMessage(m, now)
	}
	a.closeTurn(now)
}

// question is what the agent has asked the user.
type question struct {
	uiRequest

	tool  int         // which of the turn asks
	heard bool        // the Hub has heard of it
	lost  bool        // the Hub does not know of it any more, or never will
	timer *time.Timer // until nobody waits for the answer any more, or nil
}

// ask asks the user. The agent waits for the answer.
func (a *ownAgent) ask(i int, now time.Time) {
	ask := a.turn.tools[i].Ask
	a.asked++
	q := &question{tool: i, heard: !a.away, lost: a.away && a.session.world.restart.loses}
	if ask.Timeout > 0 {
		q.timer = time.AfterFunc(ask.Timeout, func() {
			a.session.change(func(now time.Time) {
				if a.asking == q && !a.session.world.closed {
					a.takeAnswer(nil, now)
				}
			})
		})
	}
	q.uiRequest = uiRequest{ID: fmt.Sprintf("ui_%06d", a.asked), Method: ask.Method, Params: ask.Params}
	a.asking = q
	a.report(now, func(now time.Time) { a.session.asks(q.uiRequest, now) })
}

// answered takes the answer to the agent's question if that is what it waits for.
func (a *ownAgent) answered(id string, result jsontext.Value, now time.Time) {
	if a.asking != nil && a.asking.ID == id {
		a.takeAnswer(result, now)
	}
}

func (a *ownAgent) takeAnswer(result jsontext.Value, now time.Time) {
	q := a.asking
	a.asking = nil
	if q.timer != nil {
		q.timer.Stop()
	}
	given := newUserAnswer(q.Method, result)
	tool := &a.turn.tools[q.tool]
	if tool.answered != nil {
		tool.answered(a, given)
	}
	a.finishTool(q.tool, given.toolResult(), tool.IsError, now)
	a.proceed(now)
}
