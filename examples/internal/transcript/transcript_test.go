package transcript_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/examples/internal/transcript"
)

// session is a conversation and what was printed of it.
type session struct {
	coder.Conversation
	out  bytes.Buffer
	view *transcript.View
}

func newSession(unfold bool) *session {
	s := new(session)
	s.view = transcript.New(&s.out, unfold)
	return s
}

// prints returns what is printed of messages.
func (s *session) prints(messages ...coder.ServerMessage) string {
	s.out.Reset()
	for _, m := range messages {
		s.view.Show(s.Apply(m))
	}
	return s.out.String()
}

func event(name, payload string) *coder.RPCEventMessage {
	return &coder.RPCEventMessage{EventType: name, Event: json.RawMessage(payload)}
}

func text(delta string) *coder.RPCEventMessage {
	return event("message_update", `{"assistantMessageEvent":{"type":"text_delta","contentIndex":1,"delta":"`+delta+`"}}`)
}

func thought(delta string) *coder.RPCEventMessage {
	return event("message_update", `{"assistantMessageEvent":{"type":"thinking_delta","contentIndex":0,"delta":"`+delta+`"}}`)
}

func end(message string) *coder.RPCEventMessage {
	return event("message_end", `{"message":`+message+`}`)
}

var begin = event("message_start", `{"message":{"role":"assistant","content":[]}}`)

func said(entryType coder.ConversationEntryType, content string) coder.ConversationEntry {
	return coder.ConversationEntry{Type: entryType, Content: content}
}

func hydration(entries ...coder.ConversationEntry) *coder.HubHydrationMessage {
	return &coder.HubHydrationMessage{Entries: entries}
}

func TestThoughts(t *testing.T) {
	s := newSession(false)
	assert.Equal(t, "· thinking", s.prints(begin, thought(`One.\n`), thought("Two.")), "it is at it")
	assert.Equal(t, ": 2 lines\nSo", s.prints(text("So")))
	assert.Equal(t, " it is.\n", s.prints(text(" it is."), end(`{"role":"assistant","content":[{"type":"thinking","thinking":"One.\nTwo."},{"type":"text","text":"So it is."}],"stopReason":"stop"}`)))

	s = newSession(true)
	assert.Equal(t, "· thinking: 2 lines\n  One.\n  Two.\nSo", s.prints(begin, thought(`One.\n`), thought("Two."), text("So")))
}

func TestTools(t *testing.T) {
	calls := func(calls ...string) *coder.RPCEventMessage {
		return end(`{"role":"assistant","stopReason":"toolUse","content":[` + strings.Join(calls, ",") + `]}`)
	}
	call := func(id, name, args string) string {
		return `{"type":"toolCall","id":"` + id + `","name":"` + name + `","arguments":` + args + `}`
	}
	result := func(id, result string) *coder.RPCEventMessage {
		return event("tool_execution_end", `{"toolCallId":"`+id+`","result":{"content":[{"type":"text","text":"`+result+`"}]}}`)
	}
	s := newSession(false)
	assert.Equal(t, "· bash ls -la", s.prints(calls(call("1", "bash", `{"command":"ls\n -la"}`))), "it runs")
	assert.Equal(t, " → ok, 14 lines\n", s.prints(result("1", strings.Repeat(`x\n`, 14))))
	assert.Empty(t, s.prints(result("1", strings.Repeat(`x\n`, 14))), "the result comes as a message as well")

	assert.Equal(t, "· read a", s.prints(calls(call("2", "read", `{"path":"a"}`), call("3", "read", `{"path":"b"}`))), "one line is open at a time")
	assert.Equal(t, "\n· read b → ok, nothing\n· read a → ok, 1 line\n", s.prints(result("3", ""), result("2", "x")))

	long := strings.Repeat("x", 70)
	assert.Equal(t, "· frob {\"a\":\""+long[:54]+"…", s.prints(calls(call("4", "frob", `{"a":"`+long+`"}`))))
	s = newSession(false)
	assert.Equal(t, "· none", s.prints(calls(call("5", "none", `{}`))))
	assert.Equal(t, "\n! aborted: by somebody\n", s.prints(end(`{"role":"assistant","stopReason":"aborted","errorMessage":"by somebody","content":[`+call("6", "never", `{}`)+`]}`)))
	s = newSession(true)
	assert.Equal(t, "· read a → ok, 2 lines\n  x\n  y\n", s.prints(calls(call("2", "read", `{"path":"a"}`)), result("2", `x\ny`)))
}

func TestHistory(t *testing.T) {
	var entries []coder.ConversationEntry
	for i := range 12 {
		entries = append(entries, said(coder.EntryUserPrompt, fmt.Sprint("Say ", i)), said(coder.EntryMessage, fmt.Sprint("It is ", i)))
	}
	s := newSession(false)
	printed := s.prints(hydration(entries...))
	assert.True(t, strings.HasPrefix(printed, "* 14 earlier messages\n> Say 7\nIt is 7\n"), printed)
	assert.True(t, strings.HasSuffix(printed, "It is 11\n"), printed)
	assert.Empty(t, s.prints(&coder.ReconnectedMessage{}, hydration(entries...)))
	assert.Equal(t, "It is more\n", s.prints(hydration(append(entries, said(coder.EntryMessage, "It is more"))...)))
}

// TestLost loses the connection in a message, after one that has failed. The Hub keeps no failures, and says what it has.
func TestLost(t *testing.T) {
	s := newSession(false)
	user := end(`{"role":"user","content":"Go"}`)
	failed := end(`{"role":"assistant","content":[],"stopReason":"error","errorMessage":"529"}`)
	assert.Equal(t, "> Go\n! error: 529\nDone.\nDone.\none t", s.prints(user, begin, failed,
		begin, end(`{"role":"assistant","content":[{"type":"text","text":"Done."}]}`),
		begin, end(`{"role":"assistant","content":[{"type":"text","text":"Done."}]}`), begin, text("one t")))
	s.view.Line("* connection lost")
	back := hydration(said(coder.EntryUserPrompt, "Go"), said(coder.EntryMessage, "Done."), said(coder.EntryMessage, "Done."))
	back.Stream = new(coder.SessionStreamProjection)
	back.Stream.Output = "one two th"
	assert.Equal(t, "wo th", s.prints(&coder.ReconnectedMessage{}, back))
	assert.Equal(t, "ree\n", s.prints(text("ree"), end(`{"role":"assistant","content":[{"type":"text","text":"one two three"}]}`)))

	back = hydration(append(back.Entries, said(coder.EntryMessage, "one two three"), said(coder.EntryMessage, "Done."))...)
	assert.Equal(t, "Done.\n", s.prints(&coder.ReconnectedMessage{}, back), "it was said for the third time")
	assert.Empty(t, s.prints(&coder.ReconnectedMessage{}, back))
	assert.Empty(t, s.prints(&coder.ReconnectedMessage{}, hydration()))
	assert.Equal(t, "> Anew\n", s.prints(end(`{"role":"user","content":"Anew"}`)), "the Hub has forgotten all of it")
}

// TestBegunAnew has a message that says something else in the end.
func TestBegunAnew(t *testing.T) {
	s := newSession(false)
	assert.Equal(t, "one\ntwo\n", s.prints(begin, text("one"), end(`{"role":"assistant","content":[{"type":"text","text":"two"}]}`)))
	assert.Equal(t, "! the answer is cut: the model had no room for more\n", s.prints(begin, end(`{"role":"assistant","content":[],"stopReason":"length"}`)))
}

func TestWhatTheUserHasTyped(t *testing.T) {
	s := newSession(false)
	s.view.Turn("> ")
	s.view.Typed()
	s.view.Sent("Go\n")
	go1 := end(`{"role":"user","content":"Go"}`)
	assert.Empty(t, s.prints(go1))
	assert.Equal(t, "> Go\n", s.prints(go1), "somebody else says it")
	s.out.Reset()
	s.view.Turn("> ")
	s.view.Turn("> ")
	s.view.Line("* one\ntwo")
	assert.Equal(t, "> \n* one\n  two\n> ", s.out.String())
	assert.Equal(t, "\none ", s.prints(begin, text("one ")), "not in the middle of a text")
	assert.Equal(t, "two\n> ", s.prints(text("two"), end(`{"role":"assistant","content":[{"type":"text","text":"one two"}]}`)))
	s.out.Reset()
	s.view.End()
	assert.Equal(t, "\n", s.out.String())
}

func TestEvents(t *testing.T) {
	for want, event := range map[string]coder.AgentEvent{
		"* it tries again in 2s\n":           &coder.AutoRetryStart{Delay: 2000},
		"* it summarizes the conversation\n": new(coder.CompactionStart),
		"· task for scout: look\n":           &coder.TaskStart{Agent: "scout", Prompt: "look"},
		"· task of scout: done, 2 lines\n":   &coder.TaskComplete{Agent: "scout", Result: "a\nb"},
		"! task of scout: lost\n":            &coder.TaskError{Agent: "scout", Error: "lost"},
		"! session_error {}\n":               &coder.UnknownAgentEvent{Name: coder.EventSessionError, Raw: json.RawMessage(`{}`)},
		"* the session is now called New\n":  &coder.UnknownAgentEvent{Name: coder.EventSessionLabelUpdated, Raw: json.RawMessage(`{"label":"New"}`)},
		"":                                   new(coder.TurnStart),
	} {
		s := newSession(false)
		s.view.Event(event)
		assert.Equal(t, want, s.out.String())
	}
}

func TestClean(t *testing.T) {
	assert.Equal(t, "]0;x[31m\u00e9\t\n\ufffd[m", transcript.Clean("\x1b]0;x\a\x1b[31m\u00e9\t\r\n\x9b[m"))
}
