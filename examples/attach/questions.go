package main

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/agentuity/coder-go"
)

// question is a UI request that wants an answer. The first one that waits is open.
type question struct {
	*coder.RPCUIRequestMessage
	coder.RPCUIParams
	shown    bool
	answered bool // the answer is on its way
}

// request takes a UI request: it shows what is only to be shown, and keeps what is to be answered.
func (c *conversation) request(m *coder.RPCUIRequestMessage) {
	q := &question{RPCUIRequestMessage: m}
	_ = m.Decode(&q.RPCUIParams) // what cannot be read is not shown
	switch {
	case m.Method.Answered():
		same := func(other *question) bool { return other.ID == m.ID }
		if !slices.ContainsFunc(c.questions, same) { // it comes again with a new connection
			c.questions = append(c.questions, q)
		}
	case m.Method == coder.UINotify:
		c.line("* %s: %s", cmp.Or(q.NotifyType, coder.NotifyInfo), q.Message)
	case m.Method == coder.UISetStatus && q.StatusText != "":
		c.line("* %s: %s", q.StatusKey, q.StatusText)
	case m.Method == coder.UISetWidget && len(q.WidgetLines) > 0:
		c.line("* %s:\n%s", q.WidgetKey, strings.Join(q.WidgetLines, "\n"))
	case m.Method == coder.UISetTitle:
		c.line("* %s", q.Title)
	case m.Method == coder.UISetEditorText:
		c.line("* you may want to say: %s", q.Text)
	}
}

// known reports whether the user can be asked.
func (q *question) known() bool {
	switch q.Method {
	case coder.UIConfirm, coder.UISelect, coder.UIInput, coder.UIEditor:
		return true
	}
	return false
}

// marker says what to type.
func (q *question) marker() string {
	switch q.Method {
	case coder.UIConfirm:
		return "y/n> "
	case coder.UISelect:
		return "number> "
	default:
		return "text> "
	}
}

// show shows a question once.
func (c *conversation) show(q *question) {
	if q.shown {
		return
	}
	q.shown = true
	if !q.known() {
		c.line("? the agent asks for %s, which this program does not know", q.Method)
		return
	}
	c.line("? %s", q.Title)
	for _, detail := range []string{q.Message, q.Placeholder, q.Prefill} {
		if detail != "" {
			c.line("  %s", detail)
		}
	}
	for i, option := range q.Options {
		c.line("  %d. %s", i+1, option)
	}
}

// answer answers a question with what was typed. An empty line answers null, nothing, if the
// question is not one of yes or no. What makes no sense is asked again.
func (c *conversation) answer(q *question, line string) {
	switch number, _ := strconv.Atoi(line); {
	case q.Method == coder.UIConfirm:
		switch strings.ToLower(line) {
		case "y", "yes":
			c.respond(q, true)
		case "n", "no":
			c.respond(q, false)
		default:
			c.line("! answer y or n")
		}
	case line == "":
		c.respond(q, nil)
	case q.Method != coder.UISelect || slices.Contains(q.Options, line):
		c.respond(q, line)
	case number >= 1 && number <= len(q.Options):
		c.respond(q, q.Options[number-1])
	default:
		c.line("! answer with the number or the text of an option, or with an empty line")
	}
}

// respond sends an answer. If that fails, the question is still open.
func (c *conversation) respond(q *question, result any) {
	q.answered = true
	c.call(func(ctx context.Context) func() {
		err := c.conn.RespondUI(ctx, q.ID, result)
		return func() {
			if err != nil {
				q.answered, q.shown = false, false
				c.line("! %v", err)
				return
			}
			c.questions = slices.DeleteFunc(c.questions, func(other *question) bool { return other == q })
		}
	})
}

// forget drops the questions when the agent does nothing any more: it was aborted, or somebody else
// has answered, of which the Hub says nothing.
func (c *conversation) forget() {
	for _, q := range c.questions {
		if q.shown && !q.answered {
			c.line("* no answer is needed any more: %s", q.Title)
		}
	}
	c.questions = nil
}
