package world

import (
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// AgentTurn is what one model call of the agent says.
type AgentTurn struct {
	Thinking, Text string
	Tools          []AgentTool
	// StopReason is how it ends. Empty: toolUse with tools, else stop.
	StopReason, ErrorMessage string
	// ContextFull makes the agent compact its conversation after the run.
	ContextFull bool
}

// AgentTool is a call of a tool, and its result.
type AgentTool struct {
	Name    string
	Args    jsontext.Value // an object
	Result  string
	IsError bool
	// Ask is what the tool asks the user. The answer is its result.
	Ask *AgentQuestion
	// Task is what the tool delegates.
	Task *AgentTask

	answered func(a *ownAgent, given userAnswer)
}

// AgentQuestion is a question to the user.
type AgentQuestion struct {
	Method  string         // confirm, select, input or editor
	Params  jsontext.Value // an object
	Timeout time.Duration  // 0: none
}

// AgentTask is work of a sub-agent.
type AgentTask struct {
	Agent, Prompt, Description string
	// Progress is what the sub-agent says, piece by piece.
	Progress []string
	// Result is its answer. If Error is not empty, the task fails.
	Result, Error string
}

// AgentError is how a model call ends.
type AgentError int

// The ends of model calls.
const (
	AgentNoError AgentError = iota
	AgentOverloaded
	AgentServerError
	AgentInvalidRequest
	AgentContextOverflow
	AgentNoModelKey
)

// transient reports whether the agent tries again.
func (e AgentError) transient() bool { return e == AgentOverloaded || e == AgentServerError }

const noModelKey = "No API key found for codertest.\n\nUse /login to log into a provider via OAuth or API key."

// text is the error message of the agent, which differs between its versions.
func (e AgentError) text(newer bool) string {
	var status, kind, message string
	switch e {
	case AgentOverloaded:
		status, kind, message = "529", "overloaded_error", "overloaded"
	case AgentServerError:
		status, kind, message = "500", "server_error", "The server had an error while processing your request"
	case AgentContextOverflow:
		status, kind = "400", "invalid_request_error"
		message = "This model's maximum context length is 128000 tokens. However, your messages resulted in 130000 tokens."
	case AgentNoModelKey:
		return noModelKey
	default:
		status, kind, message = "400", "invalid_request_error", "Invalid request: the model does not exist"
	}
	if !newer {
		return status + " " + message
	}
	body := struct {
		Message string  `json:"message"`
		Type    string  `json:"type"`
		Code    *string `json:"code"`
	}{Message: message, Type: kind}
	return status + ": " + string(Encode(body))
}

// Answer says what the agent answers to the next prompt for which nothing is said
// yet: one turn for each model call. It says by itself that it is done if the last
// turn has tools, and nothing if there is none.
func (s *Session) Answer(turns []AgentTurn) {
	if len(turns) == 0 {
		turns = []AgentTurn{{}}
	}
	s.change(func(time.Time) { s.agent.script = append(s.agent.script, turns) })
}

// Answer says what the agent answers to the next prompt, in whatever session that
// comes.
func (w *World) Answer(turns []AgentTurn) {
	if len(turns) == 0 {
		turns = []AgentTurn{{}}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.script = append(w.script, turns)
}

// FailModel says how the next model calls of the session end.
func (s *Session) FailModel(failures []AgentError) {
	s.change(func(time.Time) { s.agent.failures = append(s.agent.failures, failures...) })
}

// nextFailure returns how the model call that begins now ends.
func (a *ownAgent) nextFailure() AgentError {
	if len(a.failures) == 0 {
		return AgentNoError
	}
	failure := a.failures[0]
	a.failures = a.failures[1:]
	return failure
}

// lacksKey reports whether there is no key for the model call of a prompt, which
// then does not begin.
func (a *ownAgent) lacksKey() bool {
	if len(a.failures) == 0 || a.failures[0] != AgentNoModelKey {
		return false
	}
	a.failures = a.failures[1:]
	return true
}

// answerTo returns what the agent answers: what a test has scripted or, by
// itself, that it works on it, and that it is done. It asks first if the prompt
// wants it to.
func (a *ownAgent) answerTo(p prompt) []AgentTurn {
	switch {
	case len(a.script) > 0:
		turns := a.script[0]
		a.script = a.script[1:]
		return turns
	case len(a.session.world.script) > 0:
		turns := a.session.world.script[0]
		a.session.world.script = a.session.world.script[1:]
		return turns
	case p.steers:
		return []AgentTurn{{Text: "Changing course: " + p.text}}
	}
	begins := AgentTurn{Text: "Working on it: " + p.text}
	if tool := a.asks(p.text); tool != nil {
		begins.Tools = []AgentTool{*tool}
		return []AgentTurn{begins}
	}
	begins.Tools = []AgentTool{a.readFile()}
	return []AgentTurn{begins, done}
}

var done = AgentTurn{Text: "Done."}

func (a *ownAgent) readFile() AgentTool {
	return AgentTool{
		Name: "read", Args: jsontext.Value(`{"path":"README.md"}`), Result: "# " + a.session.label,
	}
}

// questions are what the agent asks if the prompt has the word.
var questions = []struct {
	word   string
	params map[string]any
}{
	{"confirm", map[string]any{"title": "Go on?", "message": "The agent wants to read a file."}},
	{"select", map[string]any{"title": "Which color?", "options": []string{"red", "green", "blue"}}},
	{"input", map[string]any{"title": "What name?", "placeholder": "name"}},
	{"editor", map[string]any{"title": "What text?", "prefill": "text"}},
}

// asks returns the tool that asks the user, or nil if the prompt has no such word.
// Whom the extension asks sits at the terminal, and nobody on the Hub hears of it.
func (a *ownAgent) asks(text string) *AgentTool {
	if a.extension() {
		return nil
	}
	text = strings.ToLower(text)
	for _, q := range questions {
		if strings.Contains(text, q.word) {
			return &AgentTool{
				Name:     "ask_user",
				Args:     Encode(map[string]any{"question": q.params["title"]}),
				Ask:      &AgentQuestion{Method: q.word, Params: Encode(q.params)},
				answered: (*ownAgent).heed,
			}
		}
	}
	return nil
}

// heed plans what follows the answer to a question of the agent's own.
func (a *ownAgent) heed(given userAnswer) {
	reads := AgentTurn{Tools: []AgentTool{a.readFile()}}
	switch {
	case given.method == "confirm" && given.result.Kind() == 't':
		a.answer = []AgentTurn{reads, {Text: "Confirmed. Done."}}
	case given.method != "confirm" && given.isText:
		a.answer = []AgentTurn{reads, {Text: "You chose " + given.text + ". Done."}}
	default:
		a.answer = []AgentTurn{{Text: "Then not."}}
	}
}

// userAnswer is an answer to a question.
type userAnswer struct {
	method string
	result jsontext.Value // empty: none
	text   string
	isText bool
}

func newUserAnswer(method string, result jsontext.Value) userAnswer {
	given := userAnswer{method: method, result: result}
	given.isText = result.Kind() == '"' && json.Unmarshal(result, &given.text, wireFormat) == nil
	return given
}

// toolResult is the answer as the tool that has asked returns it.
func (g userAnswer) toolResult() string {
	switch {
	case g.isText:
		return g.text
	case len(g.result) == 0:
		return "null"
	}
	return string(g.result)
}
