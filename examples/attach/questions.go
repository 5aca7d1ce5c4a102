package main

import (
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
	closed chan struct{}   // closed when the user has been told that it is over, or has left
}

// markers say what to type, for each kind of question that the user can be asked.
var markers = map[coder.RPCUIMethod]string{
	coder.UIConfirm: "y/n> ", coder.UISelect: "number> ", coder.UIInput: "text> ", coder.UIEditor: "text> ",
}

// question lets the user answer what the agent asks, for Ask and Listen: the context ends when nobody wants the answer any
// more. Null, nothing, is what the protocol has for those who cannot answer.
func (c *chat) question(ctx context.Context, m *coder.RPCUIRequestMessage) (any, error) {
	q := &question{method: m.Method, ctx: ctx, answer: make(chan any, 1), closed: make(chan struct{})}
	_ = m.Decode(&q.RPCUIParams) // what cannot be read is not shown
	if markers[m.Method] == "" {
		c.view.Line("? the agent asks for %s, which this program does not know", m.Method)
		return nil, nil
	}
	select {
	case c.questions <- q:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	select {
	case answer := <-q.answer:
		return answer, nil
	case <-ctx.Done():
		<-q.closed // before it is said what has become of the prompt, which waits until this returns
		return nil, ctx.Err()
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

func (q *question) print(v *transcript.View) {
	lines := slices.DeleteFunc([]string{q.Title, q.Message, q.Placeholder, q.Prefill}, func(s string) bool { return s == "" })
	for i, option := range q.Options {
		lines = append(lines, strconv.Itoa(i+1)+". "+option)
	}
	v.Line("? %s", strings.Join(lines, "\n"))
}

// parse turns a line into an answer, or says what is wrong with it. An empty line is nothing, if the question is not one of
// yes or no.
func (q *question) parse(line string) (answer any, problem string) {
	number, _ := strconv.Atoi(line)
	switch {
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
	_ = m.Decode(&p)
	if p.StatusKey+p.WidgetKey != "" && p.StatusText == "" && len(p.WidgetLines) == 0 {
		return // it takes back what was shown
	}
	parts := []string{string(p.NotifyType), p.Message, p.StatusKey, p.StatusText, p.WidgetKey, strings.Join(p.WidgetLines, "\n"), p.Title, p.Text}
	c.view.Line("* %s", strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), ": "))
}
