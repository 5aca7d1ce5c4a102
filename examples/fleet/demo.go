package main

import (
	"strings"
	"time"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// sampleTasks are what there is to do without an account.
const sampleTasks = `Find the race in the parser
{"key": "pr-7", "task": "Review pull request 7", "label": "PR 7"}
{"key": "pr-8", "task": "Review pull request 8", "label": "PR 8"}
Update the dependencies, and run the tests
Say in one sentence what this repository is for
Sort the list of customers by name
`

// pace is how long the agents of the demonstration rest before each step.
const pace = 40 * time.Millisecond

// embedded starts a Hub in memory, whose agents do the sample tasks.
func embedded(options ...codertest.Option) (client *coder.Client, stop func(), err error) {
	hub := codertest.NewHub(append([]codertest.Option{codertest.WithAgentVersion("1.6.0"), codertest.WithAgentPace(pace)}, options...)...)
	hub.OnSession(play)
	if client, err = hub.NewClient(); err != nil {
		hub.Close()
		return nil, nil, err
	}
	return client, hub.Close, nil
}

// play says what becomes of a session.
func play(session *codertest.SessionControl) {
	tool := func(name, argument, value, result string) codertest.AgentTool {
		return codertest.AgentTool{Name: name, Args: map[string]any{argument: value}, Result: result}
	}
	switch task := session.Task(); {
	case strings.Contains(task, "race"):
		session.Answer(
			codertest.AgentTurn{Thinking: "Two goroutines, one map.", Text: "I will look.", Tools: []codertest.AgentTool{tool("grep", "pattern", "go func", "parser.go:17"), tool("read", "path", "parser.go", "go func() { seen[token] = true }()")}},
			codertest.AgentTurn{Text: "It is the map in parser.go, line 17: two goroutines write to it without a lock."},
		)
	case strings.Contains(task, "pull request 7"):
		session.Answer(
			codertest.AgentTurn{Text: "Somebody has to test it.", Tools: []codertest.AgentTool{{Task: &codertest.AgentTask{Agent: "tester", Description: "Test the branch", Prompt: "Run the tests", Result: "All of them pass."}}}},
			codertest.AgentTurn{Text: "It is good to merge."},
		)
	case strings.Contains(task, "pull request 8"):
		session.Answer(
			codertest.AgentTurn{Text: "What does it change?", Tools: []codertest.AgentTool{tool("bash", "command", "git diff main", "+ return nil, nil"), tool("read", "path", "cache.go", "return nil, nil")}},
			codertest.AgentTurn{Text: "Who calls it?", Tools: []codertest.AgentTool{tool("grep", "pattern", "cache.Get", "page.go:88"), tool("read", "path", "page.go", "value.Write(w)")}},
			codertest.AgentTurn{Text: "A miss returns neither a value nor an error, and no test says that it may."},
		)
	case strings.Contains(task, "dependencies"):
		session.FailModel(codertest.AgentOverloaded)
		session.Answer(
			codertest.AgentTurn{Text: "Two are old.", Tools: []codertest.AgentTool{tool("bash", "command", "go get -u ./...", "ok"), tool("bash", "command", "go test ./...", "ok")}},
			codertest.AgentTurn{Text: "Two dependencies are newer now, and the tests pass."},
		)
	}
}
