package codertest

import (
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// agent answers the commands of controllers in a session that has no lead of
// flesh and blood. What it says depends on nothing but what it is told.
type agent struct {
	running bool        // from agent_start to agent_end
	inTurn  bool        // from turn_start to turn_end
	plan    []agentStep // the rest of the turn
	queue   []utterance // what comes after it
	asking  *uiRequest  // a question that has no answer yet
	timer   *time.Timer // until the next step
	turns   int         // so far
	calls   int         // of tools
	asked   int         // questions
	texts   int         // messages
	said    string      // of the message under way
	open    string      // its id, empty between messages
}

type agentStep func(s *session, now time.Time)

// utterance is something a controller has typed.
type utterance struct {
	text string
	by   *connection
}

// runAgent lets the agent go on until it has nothing to do, waits for an
// answer, or takes a rest.
func (h *Hub) runAgent(s *session) {
	a := &s.agent
	for !h.closed && a.timer == nil && a.asking == nil {
		if len(a.plan) == 0 && !a.next(s) {
			return
		}
		step := a.plan[0]
		a.plan = a.plan[1:]
		step(s, time.Now())
		if h.pace > 0 {
			h.rest(s)
		}
	}
}

func (h *Hub) rest(s *session) {
	a := &s.agent
	var timer *time.Timer
	timer = time.AfterFunc(h.pace, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if a.timer == timer {
			a.timer = nil
			h.runAgent(s)
		}
	})
	a.timer = timer
}

// next plans the next turn, or the end of the agent's work.
func (a *agent) next(s *session) bool {
	switch {
	case len(a.queue) > 0:
		if !a.running {
			a.running = true
			a.plan = append(a.plan, happens("agent_start", map[string]any{"agentName": s.leadAgent()}))
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

// stop drops everything without a word: nobody is there any more to hear one.
func (a *agent) stop() {
	if a.timer != nil {
		a.timer.Stop()
	}
	a.timer, a.asking, a.plan, a.queue = nil, nil, nil, nil
	a.running, a.inTurn, a.open, a.said = false, false, "", ""
}

// prompt makes the agent answer, now or after what it is about.
func (a *agent) prompt(text string, by *connection) {
	a.queue = append(a.queue, utterance{text, by})
}

// steer makes the agent change its course in the middle of a turn.
func (a *agent) steer(s *session, text string, by *connection, now time.Time) {
	if !a.inTurn {
		a.prompt(text, by)
		return
	}
	a.interrupt(s, "stop", now)
	s.said(text, by, now)
	a.plan = append(a.say("Changing course: "+text), a.endTurn)
}

// abort ends the turn, and what would have come after it.
func (a *agent) abort(s *session, now time.Time) {
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

// interrupt drops the plan and ends the message under way.
func (a *agent) interrupt(s *session, why string, now time.Time) {
	if a.timer != nil {
		a.timer.Stop()
	}
	a.timer, a.asking, a.plan = nil, nil, nil
	if a.open != "" {
		a.endMessage(s, why, now)
	}
}

// turn is what the agent does about something it is told: it speaks, asks if
// it is to ask, uses a tool, and sums up.
func (a *agent) turn(u utterance) []agentStep {
	steps := []agentStep{
		func(s *session, now time.Time) { s.said(u.text, u.by, now) },
		a.startTurn,
	}
	steps = append(steps, a.say("Working on it: "+u.text)...)
	if question := a.question(u.text); question != nil {
		return append(steps, question)
	}
	return append(steps, a.work("Done.")...)
}

func (a *agent) startTurn(s *session, now time.Time) {
	a.turns++
	a.inTurn = true
	s.happen(Event{Event: "turn_start", Payload: map[string]any{"turnId": a.turnID()}}, now)
}

func (a *agent) endTurn(s *session, now time.Time) {
	a.inTurn = false
	s.happen(Event{Event: "turn_end", Payload: map[string]any{"turnId": a.turnID()}}, now)
}

func (a *agent) finished(s *session, now time.Time) {
	a.running = false
	s.happen(Event{Event: "agent_end", Payload: map[string]any{"agentName": s.leadAgent()}}, now)
}

func (a *agent) turnID() string { return fmt.Sprintf("turn_%06d", a.turns) }

func happens(event string, payload map[string]any) agentStep {
	return func(s *session, now time.Time) { s.happen(Event{Event: event, Payload: payload}, now) }
}

// work uses a tool and says how it went.
func (a *agent) work(conclusion string) []agentStep {
	steps := append([]agentStep{a.callTool, a.toolResult}, a.say(conclusion)...)
	return append(steps, a.endTurn)
}

const agentTool = "read"

func (a *agent) callTool(s *session, now time.Time) {
	a.calls++
	args := map[string]any{"path": "README.md"}
	s.happen(Event{Event: "tool_call", Payload: map[string]any{
		"toolName": agentTool, "toolCallId": a.callID(), "args": args,
	}}, now)
	s.addEntry(ReplayEntry{Type: "tool_call", Agent: s.leadAgent(), Members: map[string]any{
		"toolName": agentTool, "toolCallId": a.callID(), "toolArgs": args,
	}}, now)
}

func (a *agent) toolResult(s *session, now time.Time) {
	content := "# " + s.label
	s.happen(Event{Event: "tool_result", Payload: map[string]any{
		"toolName": agentTool, "toolCallId": a.callID(), "content": content, "isError": false,
	}}, now)
	s.addEntry(ReplayEntry{Type: "tool_result", Agent: s.leadAgent(), Content: content, Members: map[string]any{
		"toolName": agentTool, "toolCallId": a.callID(), "isError": false,
	}}, now)
}

func (a *agent) callID() string { return fmt.Sprintf("call_%06d", a.calls) }

// say is a message in pieces.
func (a *agent) say(text string) []agentStep {
	steps := []agentStep{a.startMessage}
	for _, piece := range pieces(text) {
		steps = append(steps, func(s *session, now time.Time) {
			a.said += piece
			s.happen(Event{Event: "message_update", Payload: map[string]any{
				"message":               a.message(),
				"assistantMessageEvent": map[string]any{"type": "text_delta", "delta": piece},
			}}, now)
		})
	}
	return append(steps, func(s *session, now time.Time) { a.endMessage(s, "stop", now) })
}

func (a *agent) startMessage(s *session, now time.Time) {
	a.texts++
	a.open = fmt.Sprintf("msg_%06d", a.texts)
	s.happen(Event{Event: "message_start", Payload: map[string]any{"message": a.message()}}, now)
}

func (a *agent) endMessage(s *session, why string, now time.Time) {
	message := a.message()
	message["stopReason"] = why
	s.happen(Event{Event: "message_end", Payload: map[string]any{"message": message}}, now)
	s.addEntry(ReplayEntry{Type: "message", Agent: s.leadAgent(), Content: a.said, Members: map[string]any{
		"turnId": a.turnID(),
	}}, now)
	a.open, a.said = "", ""
}

// message is the message under way.
func (a *agent) message() map[string]any {
	return map[string]any{"id": a.open, "role": "assistant", "content": textBlocks(a.said)}
}

// maxPieces is how many pieces a message has at most.
const maxPieces = 12

// pieces cuts a text after spaces.
func pieces(text string) []string {
	words := strings.SplitAfter(text, " ")
	each := (len(words) + maxPieces - 1) / maxPieces
	var all []string
	for start := 0; start < len(words); start += each {
		all = append(all, strings.Join(words[start:min(start+each, len(words))], ""))
	}
	return all
}

// questions are what the agent asks if what it is told has the word.
var questions = []struct {
	word   string
	params map[string]any
}{
	{"confirm", map[string]any{"title": "Go on?", "message": "The agent wants to read a file."}},
	{"select", map[string]any{"title": "Which color?", "options": []string{"red", "green", "blue"}}},
	{"input", map[string]any{"title": "What name?", "placeholder": "name"}},
}

// question is the step that asks, or nil if there is nothing to ask.
func (a *agent) question(text string) agentStep {
	text = strings.ToLower(text)
	for _, q := range questions {
		if !strings.Contains(text, q.word) {
			continue
		}
		return func(s *session, now time.Time) {
			a.asked++
			a.asking = &uiRequest{ID: fmt.Sprintf("ui_%06d", a.asked), Method: q.word, Params: encode(q.params)}
			s.toControllers(s.wrapped("rpc_ui_request", *a.asking, s.tick(now)))
		}
	}
	return nil
}

// answered lets the agent go on with the answer to its question, and reports
// whether it was one.
func (a *agent) answered(id string, result jsontext.Value) bool {
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
