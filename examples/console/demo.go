package main

import (
	"context"
	"strings"
	"time"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// pace is how long the agents of the demonstration rest before each thing they say.
const pace = 90 * time.Millisecond

// embedded starts a Hub in memory, with sessions to look at.
func embedded(ctx context.Context) (client *coder.Client, stop func(), err error) {
	hub := codertest.NewHub(codertest.WithAgentVersion("1.6.0"), codertest.WithAgentPace(pace), codertest.WithLogLimit(100))
	hub.OnSession(play)
	if client, err = hub.NewClient(); err != nil {
		hub.Close()
		return nil, nil, err
	}
	past(hub)
	for _, s := range []coder.CreateSessionRequest{
		{Label: "Explain the parser", Task: "Explain how the parser works, and where it is slow"},
		{Label: "Release 1.4", Task: "Prepare the release, but confirm it with me first"},
	} {
		if err := begin(ctx, client, s); err != nil {
			hub.Close()
			return nil, nil, err
		}
	}
	return client, hub.Close, nil
}

// begin starts a session, and looks at it until it is there.
func begin(ctx context.Context, client *coder.Client, request coder.CreateSessionRequest) error {
	created, err := client.CreateSession(ctx, request)
	if err != nil {
		return err
	}
	for {
		session, err := client.GetSession(ctx, created.SessionID)
		if err != nil || session.Bucket != coder.BucketProvisioning {
			return err
		}
	}
}

// past adds sessions that were there before.
func past(hub *codertest.Hub) {
	now := time.Now()
	hub.AddSession(codertest.Session{
		Label: "Flaky test in CI", Task: "Find out why TestUpload fails now and then", Status: "archived",
		Created: now.Add(-50 * time.Hour), LastActivity: now.Add(-49 * time.Hour),
		Entries: []codertest.ReplayEntry{
			{Type: coder.EntryUserPrompt, Content: "Find out why TestUpload fails now and then"},
			{Type: coder.EntryMessage, Agent: "lead", Content: "It waits 100 ms for a goroutine that takes longer on a busy machine. " +
				"I have replaced the sleep by a channel; it has passed 2,000 times since."},
		},
	})
	hub.AddSession(codertest.Session{
		Label: "Upgrade to Go 1.26", Task: "Upgrade the module to Go 1.26", Status: "paused",
		Created: now.Add(-5 * time.Hour), LastActivity: now.Add(-3 * time.Hour),
		Entries: []codertest.ReplayEntry{
			{Type: coder.EntryUserPrompt, Content: "Upgrade the module to Go 1.26"},
			{Type: coder.EntryMessage, Agent: "lead", Content: "Done: go.mod says 1.26.0, and the tests pass. Shall I use the new features as well?"},
		},
	})
}

// play says what becomes of a session that is started.
func play(session *codertest.SessionControl) {
	tool := func(name, argument, value, result string) codertest.AgentTool {
		return codertest.AgentTool{Name: name, Args: map[string]any{argument: value}, Result: result}
	}
	switch task := strings.ToLower(session.Task()); {
	case strings.Contains(task, "confirm"):
		session.Answer(
			codertest.AgentTurn{
				Thinking: "Everything is merged. The tag is the point of no return, so I have to ask.",
				Text:     "Version 1.4.0 is ready: the changelog is written, and all 214 tests pass.",
				Tools: []codertest.AgentTool{
					tool("bash", "command", "go test ./...", "ok  \t./...\t12.4s"),
					{Ask: &codertest.AgentQuestion{Method: string(coder.UIConfirm), Params: map[string]any{"title": "Push the tag v1.4.0?", "message": "It starts the release. It cannot be taken back."}}},
				},
			},
			codertest.AgentTurn{Text: "Understood. I have noted it in the release log."},
		)
	case strings.Contains(task, "which"):
		session.Answer(
			codertest.AgentTurn{Text: "There are three ways.", Tools: []codertest.AgentTool{
				{Ask: &codertest.AgentQuestion{Method: string(coder.UISelect), Params: map[string]any{"title": "Which one?", "options": []string{"The small one", "The safe one", "The fast one"}}}},
			}},
			codertest.AgentTurn{Text: "Then I take that one."},
		)
	default:
		session.Answer(
			codertest.AgentTurn{
				Thinking: "First the entry point, then what it calls most often.",
				Text:     "I will read the parser first.",
				Tools:    []codertest.AgentTool{tool("grep", "pattern", "func Parse", "parser.go:17: func Parse(r io.Reader) (*Tree, error)"), tool("read", "path", "parser.go", "package parser\n\n// Parse reads a tree.\nfunc Parse(r io.Reader) (*Tree, error) {\n\tlex := newLexer(r)\n\treturn parseExpr(lex, 0)\n}")},
			},
			codertest.AgentTurn{Text: explanation},
		)
	}
}

// explanation is a longer answer, to be watched.
const explanation = `It works in two steps. The lexer cuts the text into tokens, one at a time, and never looks back. The parser takes them and climbs: it reads an operand, looks at the operator behind it, and goes on as long as that binds more tightly than the one before.

Two places are slow:

1. newLexer copies the whole input before it begins. A bufio.Reader would do.
2. parseExpr allocates a node for each pair of parentheses, and drops it at once.

The first costs memory, the second time. On a file of 2 MB I expect a third less of both if they are mended. Nothing else stands out: the table of operators is a switch, and the tree is built once.

Shall I mend them? I would begin with the second, since it is five lines and has a test already.`
