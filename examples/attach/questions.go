package main

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/examples/internal/transcript"
)

// question is what the agent asks.
type question struct {
	coder.RPCUIParams
	method coder.RPCUIMethod
	ctx    context.Context // until the answer is not wanted any more
	answer chan any        // has room for one
}

// question lets the user answer, as Ask wants it: the context ends when nobody waits for the answer any more.
func (c *chat) question(ctx context.Context, m *coder.RPCUIRequestMessage) (any, error) {
	q := &question{method: m.Method, ctx: ctx, answer: make(chan any, 1)}
	_ = m.Decode(&q.RPCUIParams) // what cannot be read is not shown
	select {
	case c.questions <- q:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case answer := <-q.answer:
		return answer, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// asking is a question that came between two prompts: the agent works for somebody else, or the user has just attached.
type asking struct {
	id   string
	stop context.CancelFunc
}

// answerAside lets the user answer a question, as Ask does during a prompt.
func (c *chat) answerAside(ctx context.Context, m *coder.RPCUIRequestMessage) {
	if c.asks != nil && c.asks.id == m.ID { // it comes again with a new connection
		return
	}
	var params coder.RPCUIParams
	_ = m.Decode(&params)
	ctx, cancel := context.WithCancel(ctx)
	if params.Timeout > 0 {
		ctx, cancel = context.WithTimeout(ctx, params.Timeout.Duration())
	}
	c.asks = &asking{m.ID, cancel}
	c.goroutines.Go(func() {
		answer, err := c.question(ctx, m)
		if err == nil {
			err = c.conn.RespondUI(ctx, m.ID, answer)
		}
		if err != nil && ctx.Err() == nil {
			c.view.Line("! %v", err)
		}
	})
}

// stopAside ends that when the agent does not ask any more. After a lost connection it is not known before the next event.
func (c *chat) stopAside(m coder.ServerMessage) {
	switch m.(type) {
	case *coder.ReconnectedMessage, *coder.HubHydrationMessage:
		if c.conversation.State() != coder.ConversationIdle {
			return
		}
	}
	if c.asks != nil && c.conversation.State() != coder.ConversationQuestion {
		c.asks.stop()
		c.asks = nil
	}
}

// over is closed when the answer is not wanted any more. Without a question there is nothing to wait for.
func (q *question) over() <-chan struct{} {
	if q == nil {
		return nil
	}
	return q.ctx.Done()
}

// ended says why.
func (q *question) ended() string {
	if deadline, ok := q.ctx.Deadline(); ok && !time.Now().Before(deadline) {
		return "too late to answer, the agent goes on without"
	}
	return "no answer is needed any more"
}

// known reports whether the user can be asked.
func (q *question) known() bool {
	switch q.method {
	case coder.UIConfirm, coder.UISelect, coder.UIInput, coder.UIEditor:
		return true
	}
	return false
}

// marker says what to type.
func (q *question) marker() string {
	switch q.method {
	case coder.UIConfirm:
		return "y/n> "
	case coder.UISelect:
		return "number> "
	default:
		return "text> "
	}
}

func (q *question) print(v *transcript.View) {
	if !q.known() {
		v.Line("? the agent asks for %s, which this program does not know", q.method)
		return
	}
	lines := []string{"? " + q.Title}
	for _, detail := range []string{q.Message, q.Placeholder, q.Prefill} {
		if detail != "" {
			lines = append(lines, detail)
		}
	}
	for i, option := range q.Options {
		lines = append(lines, strconv.Itoa(i+1)+". "+option)
	}
	v.Line("%s", strings.Join(lines, "\n"))
}

// parse turns a line into an answer, or says what is wrong with it. An empty line is null, nothing, if the question is not
// one of yes or no. So is any line for a question that this program does not know, which is what the protocol has for those
// who cannot answer.
func (q *question) parse(line string) (answer any, problem string) {
	number, _ := strconv.Atoi(line)
	switch {
	case !q.known():
		return nil, ""
	case q.method == coder.UIConfirm:
		switch strings.ToLower(line) {
		case "y", "yes":
			return true, ""
		case "n", "no":
			return false, ""
		}
		return nil, "answer y or n"
	case line == "":
		return nil, ""
	case q.method != coder.UISelect || slices.Contains(q.Options, line):
		return line, ""
	case number >= 1 && number <= len(q.Options):
		return q.Options[number-1], ""
	}
	return nil, "answer with the number or the text of an option, or with an empty line"
}

// notice prints what wants no answer.
func (c *chat) notice(m *coder.RPCUIRequestMessage) {
	var p coder.RPCUIParams
	_ = m.Decode(&p) // what cannot be read is not shown
	switch {
	case m.Method == coder.UINotify:
		c.view.Line("* %s: %s", cmp.Or(p.NotifyType, coder.NotifyInfo), p.Message)
	case m.Method == coder.UISetStatus && p.StatusText != "":
		c.view.Line("* %s: %s", p.StatusKey, p.StatusText)
	case m.Method == coder.UISetWidget && len(p.WidgetLines) > 0:
		c.view.Line("* %s:\n%s", p.WidgetKey, strings.Join(p.WidgetLines, "\n"))
	case m.Method == coder.UISetTitle:
		c.view.Line("* %s", p.Title)
	case m.Method == coder.UISetEditorText:
		c.view.Line("* you may want to say: %s", p.Text)
	}
}
