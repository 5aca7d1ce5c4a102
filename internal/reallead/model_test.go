//go:build lead

package reallead

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// model is a stub of a language model. The word in the last prompt tells it what to answer. If the prompt has a number,
// as in "[[text]] #3", each text of the answer ends with it: no two answers are the same.
type model struct {
	server *httptest.Server

	mu    sync.Mutex
	calls map[string]int
	held  map[string]chan struct{} // by the number of the prompt
}

func newModel(t *testing.T) *model {
	m := &model{calls: make(map[string]int), held: make(map[string]chan struct{})}
	m.server = httptest.NewServer(m)
	t.Cleanup(func() {
		m.server.CloseClientConnections()
		m.server.Close()
	})
	return m
}

// hold is closed when the answers to a prompt go on that are held. Prompts without a number have "".
func (m *model) hold(number string) chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.held[number] == nil {
		m.held[number] = make(chan struct{})
	}
	return m.held[number]
}

// release lets the answers to a prompt go on.
func (m *model) release(number string) { close(m.hold(number)) }

// call counts the calls with a word and number.
func (m *model) call(prompt string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls[prompt]++
	return m.calls[prompt]
}

// said is one answer: thoughts, text and calls of tools. A piece that is empty is held until it is released.
type said struct {
	thinking, text []string
	tools          []tool
}

type tool struct{ id, name, args string }

const (
	stormPieces = 300
	// storm is a piece of a long answer.
	storm = "This piece of the answer has 40 bytes.. "
)

// goOn is the name of a file that lets a tool go on, which removes it.
const goOn = "go-on"

// answers are what the model says: after the prompt, after the first tools, and so on.
var answers = map[string][]said{
	"text":    {{text: []string{"Hello, ", "this is ", "the answer."}}},
	"second":  {{text: []string{"The second ", "answer."}}},
	"steered": {{text: []string{"Steered."}}},
	"think":   {{thinking: []string{"First I think, ", "then I speak."}, text: []string{"Here is ", "the answer."}}},
	"two": {
		{tools: []tool{{"call_1", "read", `{"path":"notes.json"}`}, {"call_2", "bash", `{"command":"echo one; echo two"}`}}},
		{text: []string{"Now I write."}, tools: []tool{{"call_3", "write", `{"path":"out.txt","content":"hello\n"}`}}},
		{text: []string{"All done."}},
	},
	"slow":     {{text: []string{"slow 0 ", "slow 1 ", "", "slow 2"}}},
	"slowtool": {{tools: []tool{{"call_1", "bash", `{"command":"echo begun; sleep 60"}`}}}, {text: []string{"All done."}}},
	"heldtool": {
		{tools: []tool{{"call_1", "bash", `{"command":"echo begun; until rm ` + goOn + `; do sleep 0.1; done 2>&-"}`}}},
		{text: []string{"All done."}},
	},
	"task": {
		{text: []string{"I delegate."}, tools: []tool{{"call_1", "task", `{"description":"look around","prompt":"Look","subagent_type":"scout"}`}}},
		{text: []string{"All done."}},
	},
	"ask":   {{tools: []tool{{"call_1", "ask_user", `{"question":"go on?"}`}}}, {text: []string{"All done."}}},
	"over1": {{text: []string{"Hello, ", "this is ", "the answer."}}},
	"storm": {{text: strings.SplitAfter(strings.Repeat(storm, stormPieces), storm)[:stormPieces]}},
}

var word = regexp.MustCompile(`\[\[(\w+)\]\](?: (#\w+))?`)

func (m *model) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "/responses") {
		serveSubAgent(w)
		return
	}
	var request struct {
		Messages []struct {
			Role    string
			Content json.RawMessage
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	asked, number, step := "", "", 0
	for _, message := range request.Messages {
		switch message.Role {
		case "user":
			step = 0
			if found := word.FindSubmatch(message.Content); found != nil {
				asked, number = string(found[1]), string(found[2])
			}
		case "assistant":
			step++
		}
	}
	switch n := m.call(asked + number); {
	case asked == "err400":
		fail(w, http.StatusBadRequest, "invalid_request_error", "Invalid request: the stub refuses it")
	case asked == "err500":
		fail(w, http.StatusInternalServerError, "server_error", "The server had an error")
	case asked == "over1" && n == 1:
		fail(w, 529, "overloaded_error", "overloaded")
	case step < len(answers[asked]):
		m.serve(w, r, answers[asked][step], number)
	default:
		fail(w, http.StatusBadRequest, "invalid_request_error", fmt.Sprintf("the stub has no answer %d to %q", step, asked))
	}
}

func fail(w http.ResponseWriter, status int, kind, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{"message": message, "type": kind, "code": kind}})
}

// serve streams an answer in the form of OpenAI's chat completions.
func (m *model) serve(w http.ResponseWriter, r *http.Request, s said, number string) {
	w.Header().Set("Content-Type", "text/event-stream")
	send := func(chunk map[string]any) {
		chunk["id"], chunk["object"], chunk["created"], chunk["model"] = "chatcmpl-1", "chat.completion.chunk", 1700000000, "stub-1"
		text, _ := json.Marshal(chunk)
		_, _ = fmt.Fprintf(w, "data: %s\n\n", text)
		_ = http.NewResponseController(w).Flush()
	}
	choice := func(delta map[string]any, reason any) {
		send(map[string]any{"choices": []any{map[string]any{"index": 0, "delta": delta, "finish_reason": reason}}})
	}
	choice(map[string]any{"role": "assistant"}, nil)
	for _, piece := range s.thinking {
		choice(map[string]any{"reasoning_content": piece}, nil)
	}
	for _, piece := range s.text {
		if piece == "" {
			select {
			case <-m.hold(number):
			case <-r.Context().Done():
				return
			}
			continue
		}
		choice(map[string]any{"content": piece}, nil)
	}
	if number != "" && len(s.text) > 0 {
		choice(map[string]any{"content": " " + number}, nil)
	}
	for i, t := range s.tools {
		choice(map[string]any{"tool_calls": []any{map[string]any{
			"index": i, "id": t.id, "type": "function", "function": map[string]any{"name": t.name, "arguments": t.args},
		}}}, nil)
	}
	reason := "stop"
	if len(s.tools) > 0 {
		reason = "tool_calls"
	}
	choice(map[string]any{}, reason)
	send(map[string]any{"choices": []any{}, "usage": map[string]any{
		"prompt_tokens": 1000, "completion_tokens": len(s.text), "total_tokens": 1000 + len(s.text),
	}})
	_, _ = fmt.Fprint(w, "data: [DONE]\n\n")
}

const subAgentSays = "The sub-agent has looked."

// serveSubAgent answers in the form of OpenAI's responses, which the model of the sub-agent speaks.
func serveSubAgent(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/event-stream")
	content := map[string]any{"type": "output_text", "text": subAgentSays, "annotations": []any{}}
	item := map[string]any{"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": []any{content}}
	response := map[string]any{
		"id": "resp_1", "object": "response", "status": "completed", "model": "gpt-4", "output": []any{item},
		"usage": map[string]any{"input_tokens": 10, "output_tokens": 5, "total_tokens": 15},
	}
	for i, event := range []map[string]any{
		{"type": "response.created", "response": map[string]any{"id": "resp_1", "object": "response", "status": "in_progress", "output": []any{}}},
		{"type": "response.output_item.added", "output_index": 0, "item": map[string]any{
			"type": "message", "id": "msg_1", "role": "assistant", "status": "in_progress", "content": []any{},
		}},
		{"type": "response.content_part.added", "item_id": "msg_1", "output_index": 0, "content_index": 0, "part": map[string]any{
			"type": "output_text", "text": "", "annotations": []any{},
		}},
		{"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0, "content_index": 0, "delta": subAgentSays},
		{"type": "response.output_item.done", "output_index": 0, "item": item},
		{"type": "response.completed", "response": response},
	} {
		event["sequence_number"] = i
		text, _ := json.Marshal(event)
		_, _ = fmt.Fprintf(w, "event: %s\ndata: %s\n\n", event["type"], text)
	}
}
