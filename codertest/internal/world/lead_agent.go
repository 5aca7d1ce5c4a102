package world

import (
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// ownAgent is the Hub's own agent. It answers the commands of controllers in a
// session that no program leads. What it says depends only on what it is told.
type ownAgent struct {
	running bool        // from agent_start to agent_end
	inTurn  bool        // from turn_start to turn_end
	plan    []agentStep // what remains of the turn
	queue   []prompt    // what is answered after it
	asking  *uiRequest  // a question that waits for an answer
	timer   *time.Timer // until the next step
	said    string      // what it has said of the current message
	open    string      // the id of that message; empty: there is none

	// Counts, of which ids are made.
	turns, calls, asked, messages int
}

type agentStep func(s *Session, now time.Time)

// prompt is a text that a controller has sent.
type prompt struct {
	text string
	by   *Connection
}

// runAgent takes steps until the agent has nothing to do, waits for an answer, or
// rests.
func (s *Session) runAgent() {
	a := &s.agent
	for !s.world.closed && a.timer == nil && a.asking == nil {
		if len(a.plan) == 0 && !a.next(s) {
			return
		}
		step := a.plan[0]
		a.plan = a.plan[1:]
		step(s, time.Now())
		if s.world.config.Pace > 0 {
			s.restAgent()
		}
	}
}

func (s *Session) restAgent() {
	a := &s.agent
	var timer *time.Timer
	timer = time.AfterFunc(s.world.config.Pace, func() {
		s.change(func(time.Time) {
			if a.timer == timer { // otherwise the agent was interrupted
				a.timer = nil
				s.runAgent()
			}
		})
	})
	a.timer = timer
}

// next plans the next turn, or agent_end after the last one.
func (a *ownAgent) next(s *Session) bool {
	switch {
	case len(a.queue) > 0:
		if !a.running {
			a.running = true
			a.plan = append(a.plan, happens("agent_start", map[string]any{"agentName": s.agentName()}))
		}
		a.plan = append(a.plan, a.turn(a.queue[0])...)
		a.queue = a.queue[1:]
	case a.running:
		a.plan = append(a.plan, a.finished)
	default:
		return false
	}
	return true
}

// stop ends the agent and tells nobody: all connections have ended.
func (a *ownAgent) stop() {
	if a.timer != nil {
		a.timer.Stop()
	}
	a.timer, a.asking, a.plan, a.queue = nil, nil, nil, nil
	a.running, a.inTurn, a.open, a.said = false, false, "", ""
}

// enqueue makes the agent answer a prompt after what it does now.
func (a *ownAgent) enqueue(text string, by *Connection) {
	a.queue = append(a.queue, prompt{text, by})
}

// steer makes the agent drop its plan for the turn and say so.
func (a *ownAgent) steer(s *Session, text string, by *Connection, now time.Time) {
	if !a.inTurn {
		a.enqueue(text, by)
		return
	}
	a.interrupt(s, "stop", now)
	s.said(text, by, now)
	a.plan = append(a.say("Changing course: "+text), a.endTurn)
}

// abort ends the turn and drops what was to be answered after it.
func (a *ownAgent) abort(s *Session, now time.Time) {
	a.queue = nil
	if !a.running {
		return
	}
	a.interrupt(s, "aborted", now)
	if a.inTurn {
		a.endTurn(s, now)
	}
	a.finished(s, now)
}

// interrupt drops the plan for the turn and ends the current message.
func (a *ownAgent) interrupt(s *Session, why string, now time.Time) {
	if a.timer != nil {
		a.timer.Stop()
	}
	a.timer, a.asking, a.plan = nil, nil, nil
	if a.open != "" {
		a.endMessage(s, why, now)
	}
}

// turn returns the steps of the answer to a prompt: the agent speaks, asks if the
// prompt wants it to, calls a tool, and says that it is done.
func (a *ownAgent) turn(p prompt) []agentStep {
	steps := []agentStep{
		func(s *Session, now time.Time) { s.said(p.text, p.by, now) },
		a.startTurn,
	}
	steps = append(steps, a.say("Working on it: "+p.text)...)
	if question := a.question(p.text); question != nil {
		return append(steps, question)
	}
	return append(steps, a.work("Done.")...)
}

func (a *ownAgent) startTurn(s *Session, now time.Time) {
	a.turns++
	a.inTurn = true
	s.happen(Event{Event: "turn_start", Payload: map[string]any{"turnId": a.turnID()}}, now)
}

func (a *ownAgent) endTurn(s *Session, now time.Time) {
	a.inTurn = false
	s.happen(Event{Event: "turn_end", Payload: map[string]any{"turnId": a.turnID()}}, now)
}

func (a *ownAgent) finished(s *Session, now time.Time) {
	a.running = false
	s.happen(Event{Event: "agent_end", Payload: map[string]any{"agentName": s.agentName()}}, now)
}

func (a *ownAgent) turnID() string { return fmt.Sprintf("turn_%06d", a.turns) }

func happens(event string, payload map[string]any) agentStep {
	return func(s *Session, now time.Time) { s.happen(Event{Event: event, Payload: payload}, now) }
}

// work returns the steps that call a tool, say the conclusion and end the turn.
func (a *ownAgent) work(conclusion string) []agentStep {
	steps := append([]agentStep{a.callTool, a.toolResult}, a.say(conclusion)...)
	return append(steps, a.endTurn)
}

const agentTool = "read"

func (a *ownAgent) callTool(s *Session, now time.Time) {
	a.calls++
	args := map[string]any{"path": "README.md"}
	s.happen(Event{Event: "tool_call", Payload: map[string]any{
		"toolName": agentTool, "toolCallId": a.callID(), "args": args,
	}}, now)
	s.addEntry(Entry{Type: "tool_call", Agent: s.agentName(), Members: map[string]any{
		"toolName": agentTool, "toolCallId": a.callID(), "toolArgs": args,
	}}, now)
}

func (a *ownAgent) toolResult(s *Session, now time.Time) {
	content := "# " + s.label
	s.happen(Event{Event: "tool_result", Payload: map[string]any{
		"toolName": agentTool, "toolCallId": a.callID(), "content": content, "isError": false,
	}}, now)
	s.addEntry(Entry{Type: "tool_result", Agent: s.agentName(), Content: content, Members: map[string]any{
		"toolName": agentTool, "toolCallId": a.callID(), "isError": false,
	}}, now)
}

func (a *ownAgent) callID() string { return fmt.Sprintf("call_%06d", a.calls) }

// say returns the steps of a message, which is told in pieces.
func (a *ownAgent) say(text string) []agentStep {
	steps := []agentStep{a.startMessage}
	for _, piece := range pieces(text) {
		steps = append(steps, func(s *Session, now time.Time) {
			a.said += piece
			s.happen(Event{Event: "message_update", Payload: map[string]any{
				"message":               a.message(),
				"assistantMessageEvent": map[string]any{"type": "text_delta", "delta": piece},
			}}, now)
		})
	}
	return append(steps, func(s *Session, now time.Time) { a.endMessage(s, "stop", now) })
}

func (a *ownAgent) startMessage(s *Session, now time.Time) {
	a.messages++
	a.open = fmt.Sprintf("msg_%06d", a.messages)
	s.happen(Event{Event: "message_start", Payload: map[string]any{"message": a.message()}}, now)
}

func (a *ownAgent) endMessage(s *Session, why string, now time.Time) {
	message := a.message()
	message["stopReason"] = why
	s.happen(Event{Event: "message_end", Payload: map[string]any{"message": message}}, now)
	s.addEntry(Entry{Type: "message", Agent: s.agentName(), Content: a.said, Members: map[string]any{
		"turnId": a.turnID(),
	}}, now)
	a.open, a.said = "", ""
}

// message is the current message.
func (a *ownAgent) message() map[string]any {
	return map[string]any{"id": a.open, "role": "assistant", "content": textBlocks(a.said)}
}

// maxPieces is how many pieces a message has at most.
const maxPieces = 12

// pieces cuts a text after spaces, into pieces of about the same number of words.
func pieces(text string) []string {
	words := strings.SplitAfter(text, " ")
	each := (len(words) + maxPieces - 1) / maxPieces
	var all []string
	for start := 0; start < len(words); start += each {
		all = append(all, strings.Join(words[start:min(start+each, len(words))], ""))
	}
	return all
}

// questions are what the agent asks if the prompt has the word.
var questions = []struct {
	word   string
	params map[string]any
}{
	{"confirm", map[string]any{"title": "Go on?", "message": "The agent wants to read a file."}},
	{"select", map[string]any{"title": "Which color?", "options": []string{"red", "green", "blue"}}},
	{"input", map[string]any{"title": "What name?", "placeholder": "name"}},
}

// question returns the step that asks, or nil if the prompt has no such word.
func (a *ownAgent) question(text string) agentStep {
	text = strings.ToLower(text)
	for _, q := range questions {
		if !strings.Contains(text, q.word) {
			continue
		}
		return func(s *Session, now time.Time) {
			a.asked++
			a.asking = &uiRequest{ID: fmt.Sprintf("ui_%06d", a.asked), Method: q.word, Params: Encode(q.params)}
			s.toControllers(s.wrapped("rpc_ui_request", *a.asking, s.tick(now)))
		}
	}
	return nil
}

// answered takes the answer to the agent's question and plans the rest of the
// turn. It reports whether the agent waits for this answer.
func (a *ownAgent) answered(id string, result jsontext.Value) bool {
	if a.asking == nil || a.asking.ID != id {
		return false
	}
	method := a.asking.Method
	a.asking = nil
	var text string
	isText := result.Kind() == '"' && json.Unmarshal(result, &text, wireFormat) == nil
	switch {
	case method == "confirm" && result.Kind() == 't':
		a.plan = a.work("Confirmed. Done.")
	case method != "confirm" && isText:
		a.plan = a.work("You chose " + text + ". Done.")
	default:
		a.plan = append(a.say("Then not."), a.endTurn)
	}
	return true
}
