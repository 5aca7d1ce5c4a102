package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/examples/internal/transcript"
)

// question is what an agent asks while it works.
type question struct {
	ID      string   `json:"question_id" jsonschema:"what answer_question wants"`
	Method  string   `json:"method" jsonschema:"confirm: answer yes or no; select: answer with one of the options; input or editor: answer with any text"`
	Ask     string   `json:"text" jsonschema:"what is asked"`
	Options []string `json:"options,omitzero" jsonschema:"what to choose from"`
	options []string // as the agent wrote them, and wants them back
}

func (q *question) text() string {
	lines := []string{fmt.Sprintf("The agent asks (question_id %s, %s): %s", q.ID, q.Method, q.Ask)}
	for _, option := range q.Options {
		lines = append(lines, "- "+option)
	}
	if more := len(q.options) - len(q.Options); more > 0 {
		lines = append(lines, "There are "+plural(more, "more option")+", which are too many to be told.")
	}
	return strings.Join(lines, "\n")
}

// mostOptions is how many options of a question are told.
const mostOptions = 50

// asked is a question as it came from the agent; nil if it is none that can be answered.
func asked(m *coder.RPCUIRequestMessage) *question {
	if m == nil || m.ID == "" || !m.Method.Answered() {
		return nil
	}
	var params coder.RPCUIParams
	_ = m.Decode(&params) // what cannot be read is not shown
	q := &question{ID: m.ID, Method: string(m.Method)}
	parts := slices.DeleteFunc([]string{params.Title, params.Message, params.Placeholder, params.Prefill}, func(s string) bool { return s == "" })
	q.Ask = cut(transcript.Clean(strings.Join(parts, "\n")), mostOfTask)
	q.options = params.Options
	for _, option := range params.Options[:min(len(params.Options), mostOptions)] {
		q.Options = append(q.Options, short(option, mostOfOption))
	}
	return q
}

type answerArguments struct {
	SessionID  string  `json:"session_id" jsonschema:"the id of the session"`
	QuestionID string  `json:"question_id" jsonschema:"the question_id of the question that is answered"`
	Answer     *string `json:"answer,omitempty" jsonschema:"the answer: yes or no where the method is confirm, one of the options where it is select, else any text. Leave it out to let the user of this client answer"`
	MaxSeconds int     `json:"max_seconds,omitzero" jsonschema:"how long to wait for the agent afterwards, as in wait_session"`
}

// answer answers a question, and waits for what comes of it.
func (s *server) answer(ctx context.Context, request *mcp.CallToolRequest, in answerArguments) (*turn, error) {
	q, err := s.find(ctx, in.SessionID, in.QuestionID)
	if err != nil {
		return nil, err
	}
	value, err := q.value(request, in.Answer)
	if err != nil {
		return nil, err
	}
	p := newProgress(ctx, request)
	defer p.stop()
	limited, cancel := limit(ctx, in.MaxSeconds)
	defer cancel()
	conn, err := s.client.Attach(limited, in.SessionID, nil)
	if err != nil {
		if isOver(ctx, limited) {
			err = &advised{err, "The session was not ready in time, and the answer was not sent. Call answer_question again, with a larger max_seconds."}
		}
		return nil, err
	}
	defer conn.Close() // after the wait, so that the answer is not lost with the connection
	if err := conn.RespondUI(limited, q.ID, value); err != nil {
		return nil, &advised{err, "The answer may not have arrived. Call wait_session; if it returns the same question, answer that again."}
	}
	s.remember(in.SessionID, nil)
	return s.await(ctx, limited, p, in.SessionID, q.ID)
}

// remember keeps what an agent asks; nil: nothing.
func (s *server) remember(id string, q *question) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if q == nil {
		delete(s.questions, id)
		return
	}
	s.questions[id] = q
}

// find finds a question that is open, with its id.
func (s *server) find(ctx context.Context, id, questionID string) (*question, error) {
	s.mu.Lock()
	known := s.questions[id]
	s.mu.Unlock()
	if known != nil && known.ID == questionID {
		return known, nil // an answer to one that is not open any more has no effect
	}
	outcome, err := s.client.CheckSession(ctx, id)
	if err != nil {
		return nil, err
	}
	q := asked(outcome.Question)
	if q == nil || q.ID != questionID {
		return nil, &badArgument{"question_id", "is not that of a question that is open. wait_session returns the one that is, if there is one"}
	}
	return q, nil
}

// value is an answer as the agent takes it: what the call says, or what the user does.
func (q *question) value(request *mcp.CallToolRequest, answer *string) (any, error) {
	if answer != nil {
		return q.parse(strings.TrimSpace(*answer))
	}
	given, _ := request.Params.InputResponses[q.ID].(*mcp.ElicitResult)
	capabilities := request.ClientCapabilities()
	switch {
	case given == nil && (capabilities == nil || capabilities.Elicitation == nil):
		return nil, &badArgument{"answer", "is missing, and this client cannot ask its user for it. Ask the user yourself, or decide"}
	case given == nil:
		return nil, &userIsAsked{q.form()}
	case given.Action != "accept":
		return nil, &badArgument{"answer", fmt.Sprintf("is missing, and the user gave none (%s). The agent waits on", line(given.Action))}
	}
	if yes, ok := given.Content["answer"].(bool); ok {
		return yes, nil
	}
	text, _ := given.Content["answer"].(string)
	return q.parse(text)
}

// parse reads an answer, or says what is wrong with it.
func (q *question) parse(answer string) (any, error) {
	switch coder.RPCUIMethod(q.Method) {
	case coder.UIConfirm:
		switch strings.ToLower(answer) {
		case "yes", "y", "true":
			return true, nil
		case "no", "n", "false":
			return false, nil
		}
		return nil, &badArgument{"answer", "must be yes or no"}
	case coder.UISelect:
		if i := slices.Index(q.Options, answer); i >= 0 {
			return q.options[i], nil
		}
		return nil, &badArgument{"answer", fmt.Sprintf("must be one of %q", q.Options)}
	}
	return answer, nil
}

// userIsAsked is why a call has no result yet: the client asks its user first, and then calls again. The SDK does that by itself,
// on either side, as the version of the protocol wants it.
type userIsAsked struct{ requests mcp.InputRequestMap }

func (*userIsAsked) Error() string { return "the user is asked first" }

// form is the question as a client shows it to its user.
func (q *question) form() mcp.InputRequestMap {
	property := map[string]any{"type": "string", "title": "Answer"}
	switch coder.RPCUIMethod(q.Method) {
	case coder.UIConfirm:
		property["type"] = "boolean"
	case coder.UISelect:
		property["enum"] = q.Options
	}
	return mcp.InputRequestMap{q.ID: &mcp.ElicitParams{
		Mode: "form", Message: "An agent of the Coder Hub asks: " + q.Ask,
		RequestedSchema: map[string]any{"type": "object", "properties": map[string]any{"answer": property}, "required": []string{"answer"}},
	}}
}
