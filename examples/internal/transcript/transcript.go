// Package transcript prints a conversation to a terminal while it is held: text as it comes, thoughts and calls of tools
// folded into a line each. What was printed is not printed again, whatever the connection does.
package transcript

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/agentuity/coder-go"
)

// history is how many messages are printed of what was said before the program came.
const history = 10

// View prints the changes of a [coder.Conversation].
type View struct {
	*Printer
	unfold bool // thoughts and results of tools are printed whole
	shown  []shown
	own    []string // what the user has typed, and need not see again
}

// New returns a View that writes to out.
func New(out io.Writer, unfold bool) *View {
	return &View{Printer: NewPrinter(out), unfold: unfold}
}

// shown is what was printed of a message of the conversation.
type shown struct {
	role, text, thinking string
	thought              bool // the line of the thoughts
	done                 bool
	calls                map[string]bool // by id: done
}

// Sent says that a text was sent that the user has typed: the terminal has it already.
func (v *View) Sent(text string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.own = append(v.own, strings.TrimSpace(text))
}

// Show prints what a step of the conversation adds to what was printed.
func (v *View) Show(changes []coder.ConversationChange) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if isHydration(changes) {
		v.align(changes)
	}
	for i := range changes {
		change := &changes[i]
		for len(v.shown) < change.Count {
			v.shown = append(v.shown, shown{})
		}
		v.shown = v.shown[:change.Count]
		switch change.Kind {
		case coder.ConversationAppend:
			v.add(&v.shown[change.Index], change)
		case coder.ConversationReplace:
			v.message(&v.shown[change.Index], change.Message)
		}
	}
	v.rest()
}

// isHydration tells that the Hub has said everything again, as it does after a lost connection.
func isHydration(changes []coder.ConversationChange) bool {
	return len(changes) > 0 && changes[0].Kind == coder.ConversationReplace && changes[0].Index == 0 && len(changes) >= changes[0].Count
}

// align finds what was printed in what the Hub says now. Messages need not be at their old places: the Hub does not keep
// those that have failed.
func (v *View) align(changes []coder.ConversationChange) {
	old, first := v.shown, len(v.shown) == 0
	v.shown = nil
	for _, change := range changes[:changes[0].Count] {
		var s shown
		m := change.Message
		if i := slices.IndexFunc(old, func(o shown) bool { return o.isOf(m) }); i >= 0 {
			s, old = old[i], old[i+1:]
		}
		if skipped := change.Count - history; first && change.Index < skipped { // nobody wants to read all of it
			s = all(m)
			if change.Index == 0 {
				v.line(fmt.Sprintf("* %d earlier messages", skipped))
			}
		}
		v.shown = append(v.shown, s)
	}
}

// isOf reports whether a message goes on with what was printed.
func (s *shown) isOf(m *coder.ConversationMessage) bool {
	switch {
	case s.role != m.Role:
		return false
	case s.text != "" && s.done:
		return strings.TrimSpace(s.text) == strings.TrimSpace(m.Text)
	case s.text != "":
		return strings.HasPrefix(m.Text, s.text)
	case len(s.calls) > 0:
		return slices.ContainsFunc(m.ToolCalls, func(call coder.ConversationToolCall) bool { _, found := s.calls[call.ID]; return found })
	}
	return s.thinking != "" && strings.HasPrefix(m.Thinking, s.thinking)
}

func all(m *coder.ConversationMessage) shown {
	s := shown{role: m.Role, text: m.Text, thinking: m.Thinking, thought: true, done: m.Done, calls: map[string]bool{}}
	for _, call := range m.ToolCalls {
		s.calls[call.ID] = call.Done
	}
	return s
}

// add prints a piece of a message.
func (v *View) add(s *shown, change *coder.ConversationChange) {
	s.role = "assistant"
	if change.Part == "thinking" {
		v.thinks(s, s.thinking+change.Delta)
		return
	}
	v.thought(s)
	v.says(s, s.text+change.Delta)
}

// message prints what is new in a message.
func (v *View) message(s *shown, m *coder.ConversationMessage) {
	s.role = m.Role
	if m.Role == "user" {
		v.said(s, m.Text)
		return
	}
	v.thinks(s, m.Thinking)
	if m.Text != "" || m.Done {
		v.thought(s)
	}
	v.says(s, m.Text)
	if m.Done && !s.done {
		s.done = true
		if s.text != "" {
			v.endLine()
		}
		v.stopped(m)
	}
	for i := range m.ToolCalls {
		if call := &m.ToolCalls[i]; call.Done || !failed(m) { // else it does not run
			v.call(s, call)
		}
	}
}

// said prints what was said to the agent.
func (v *View) said(s *shown, text string) {
	if s.done {
		return
	}
	s.text, s.done = text, true
	if i := slices.Index(v.own, strings.TrimSpace(text)); i >= 0 {
		v.own = slices.Delete(v.own, i, i+1)
		return
	}
	v.line("> " + text)
}

const thinking = "· thinking"

// thinks begins the line of the thoughts, which thought ends when they are over.
func (v *View) thinks(s *shown, thoughts string) {
	if s.thinking == "" && thoughts != "" && !s.thought {
		v.begin(thinking)
	}
	s.thinking = thoughts
}

func (v *View) thought(s *shown) {
	if s.thought || s.thinking == "" {
		return
	}
	s.thought = true
	v.finish(thinking, ": "+lines(s.thinking))
	if v.unfold {
		v.line("  " + s.thinking)
	}
}

// says prints the rest of a text, which begins a line.
func (v *View) says(s *shown, text string) {
	switch rest, found := strings.CutPrefix(text, s.text); {
	case found && s.text != "":
		v.text(rest)
	case strings.TrimSpace(text) != strings.TrimSpace(s.text): // it is new, or another one instead
		v.endLine()
		v.text(text)
	}
	s.text = text
}

// stopped prints how a message has ended, if not well.
func (v *View) stopped(m *coder.ConversationMessage) {
	switch {
	case failed(m):
		v.line(fmt.Sprintf("! %s: %s", m.StopReason, cmp.Or(m.ErrorMessage, "the agent does not say why")))
	case m.StopReason == coder.StopReasonLength:
		v.line("! the answer is cut: the model had no room for more")
	}
}

func failed(m *coder.ConversationMessage) bool {
	return m.StopReason == coder.StopReasonError || m.StopReason == coder.StopReasonAborted
}

// call prints the call of a tool: its beginning, if nothing else is under way, and what has come of it.
func (v *View) call(s *shown, call *coder.ConversationToolCall) {
	done, begun := s.calls[call.ID]
	if done {
		return
	}
	if s.calls == nil {
		s.calls = make(map[string]bool)
	}
	s.calls[call.ID] = call.Done
	text := "· " + Call(call.Name, call.Args)
	switch {
	case call.Done:
		result := " → ok, "
		if call.IsError {
			result = " → failed, "
		}
		v.finish(text, result+lines(call.Result))
		if v.unfold && call.Result != "" {
			v.line("  " + call.Result)
		}
	case !begun && v.begun == "":
		v.begin(text)
	}
}

// Call names a call of a tool in a few words, so that it can be told from another.
func Call(name string, args json.RawMessage) string { return name + arguments(args) }

// arguments is what tells one call of a tool from another, behind its name.
func arguments(args json.RawMessage) string {
	var members map[string]any
	decoder := json.NewDecoder(bytes.NewReader(args))
	decoder.UseNumber()
	if decoder.Decode(&members) != nil || len(members) == 0 {
		return ""
	}
	return " " + Brief(members)
}

// Brief returns what tells one call of a tool from another, in a few words: the argument that says most, or all of them as
// JSON. It is empty if there are none.
func Brief(args map[string]any) string {
	if len(args) == 0 {
		return ""
	}
	var text string
	for _, name := range []string{"command", "pattern", "path", "file_path", "url", "query", "question", "description", "title"} {
		if value, ok := args[name].(string); ok && value != "" {
			text = value
			break
		}
	}
	if text == "" {
		var b strings.Builder
		encoder := json.NewEncoder(&b)
		encoder.SetEscapeHTML(false)
		_ = encoder.Encode(args) // they come from JSON
		text = b.String()
	}
	const most = 60
	words := strings.Join(strings.Fields(text), " ")
	if short := []rune(words); len(short) > most {
		words = string(short[:most]) + "…"
	}
	return words
}

func lines(text string) string {
	text = strings.TrimSpace(text)
	switch n := strings.Count(text, "\n") + 1; {
	case text == "":
		return "nothing"
	case n == 1:
		return "1 line"
	default:
		return fmt.Sprintf("%d lines", n)
	}
}

// Event prints what the agent does besides talking and calling tools.
func (v *View) Event(event coder.AgentEvent) {
	switch e := event.(type) {
	case *coder.AutoRetryStart:
		v.Line("* it tries again in %v", e.Delay.Duration())
	case *coder.CompactionStart, *coder.SessionBeforeCompact:
		v.Line("* it summarizes the conversation")
	case *coder.TaskStart:
		v.Line("· task for %s: %s", e.Agent, cmp.Or(e.Description, e.Prompt))
	case *coder.TaskComplete:
		v.Line("· task of %s: done, %s", e.Agent, lines(e.Result))
	case *coder.TaskError:
		v.Line("! task of %s: %s", e.Agent, e.Error)
	case *coder.UnknownAgentEvent: // of the Hub's
		switch e.Name {
		case coder.EventSessionError:
			v.Line("! %s %s", e.Name, e.Raw)
		case coder.EventSessionLabelUpdated:
			var data struct{ Label string }
			_ = json.Unmarshal(e.Raw, &data)
			v.Line("* the session is now called %s", data.Label)
		}
	}
}

// Presence prints who comes and goes.
func (v *View) Presence(m *coder.PresenceEventMessage) {
	if m.Participant != nil {
		v.Line("* %s: %s", strings.TrimPrefix(m.Event, "session_"), m.Participant.Role)
	}
}

// Back prints that a lost connection is back.
func (v *View) Back(down time.Duration) { v.Line("* back after %v", down.Round(100*time.Millisecond)) }
