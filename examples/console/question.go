package main

import (
	"context"
	"errors"
	"slices"

	"github.com/agentuity/coder-go"
)

// question is what the agent asks, as the page shows it.
type question struct {
	ID          string            `json:"id"`
	Method      coder.RPCUIMethod `json:"method"`
	Title       string            `json:"title"`
	Message     string            `json:"message"`
	Options     []string          `json:"options"`
	Placeholder string            `json:"placeholder"`
	Prefill     string            `json:"prefill"`

	answers chan any // has room for one
}

// ask shows a question to all browsers, and returns the first answer. The context ends when nobody wants one any more.
func (w *watch) ask(ctx context.Context, m *coder.RPCUIRequestMessage) (any, error) {
	var p coder.RPCUIParams
	_ = m.Decode(&p) // what cannot be read is not shown
	q := &question{m.ID, m.Method, p.Title, p.Message, p.Options, p.Placeholder, p.Prefill, make(chan any, 1)}
	w.show(q)
	defer w.show(nil)
	select {
	case answer := <-q.answers:
		return answer, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (w *watch) show(q *question) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.question = q
	w.publish("question", q)
}

// The answers that are not possible.
var (
	errNotAsked  = errors.New("that is not asked any more: it was answered elsewhere, or the agent went on without")
	errBadAnswer = errors.New("that is no answer to this question")
)

// reply answers a question. None means that there is no answer, which the agent is told.
func (w *watch) reply(id, text string, none bool) error {
	w.mu.Lock()
	q := w.question
	w.mu.Unlock()
	if q == nil || q.ID != id {
		return errNotAsked
	}
	answer, err := q.parse(text, none)
	if err != nil {
		return err
	}
	select {
	case q.answers <- answer:
		return nil
	default:
		return errNotAsked // somebody was faster
	}
}

// parse turns what came from the page into what the agent wants.
func (q *question) parse(text string, none bool) (any, error) {
	switch {
	case none:
		return nil, nil
	case q.Method == coder.UIConfirm && (text == "yes" || text == "no"):
		return text == "yes", nil
	case q.Method == coder.UISelect && slices.Contains(q.Options, text):
		return text, nil
	case q.Method == coder.UIInput, q.Method == coder.UIEditor:
		return text, nil
	}
	return nil, errBadAnswer
}
