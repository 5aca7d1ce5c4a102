package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
	"github.com/agentuity/coder-go/examples/internal/transcript"
)

// pace is how long the agents of an embedded Hub rest before each step.
const pace = 60 * time.Millisecond

// demonstrate plays a client that talks to the server, both in this process. It is what a program does that uses the tools.
func (p *program) demonstrate(ctx context.Context, logger *slog.Logger) error {
	p.say("a conversation of a client with this server, on an embedded Hub; a program that knows MCP starts the server without -demo")
	hub, client, stop, err := p.embed(logger)
	if err != nil {
		return err
	}
	defer stop()
	hub.OnSession(play)
	return converse(ctx, client, logger, p.out)
}

// play is what the agent of the demonstration says.
func play(session *codertest.SessionControl) {
	session.Answer(
		codertest.AgentTurn{Thinking: "Where is it?", Text: "I will look.", Tools: []codertest.AgentTool{
			{Name: "grep", Args: map[string]any{"pattern": "healthz"}, Result: "routes.go:12"},
			{Name: "edit", Args: map[string]any{"path": "routes.go"}, Result: "ok"},
		}},
		codertest.AgentTurn{Text: "GET /healthz answers 200 now."},
	)
	session.Answer(
		codertest.AgentTurn{Text: "Gladly.", Tools: []codertest.AgentTool{{Ask: &codertest.AgentQuestion{
			Method: "select", Params: map[string]any{"title": "Which branch shall I push to?", "options": []any{"main", "healthz"}},
		}}}},
		codertest.AgentTurn{Text: "It is pushed to the branch healthz."},
	)
}

// converse takes a session through its life, as a model would.
func converse(ctx context.Context, client *coder.Client, logger *slog.Logger, out io.Writer) error {
	here, there := mcp.NewInMemoryTransports()
	serving, err := newServer(ctx, client, logger).Connect(ctx, here, nil)
	if err != nil {
		return err
	}
	defer func() { _ = serving.Close() }()
	d := &demo{Printer: transcript.NewPrinter(out)}
	user := mcp.NewClient(&mcp.Implementation{Name: "demo", Version: coder.Version}, &mcp.ClientOptions{
		ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) {
			d.Line("%3.0f  %s", r.Params.Progress, r.Params.Message)
		},
	})
	if d.session, err = user.Connect(ctx, there, nil); err != nil {
		return err
	}
	defer func() { _ = d.session.Close() }()
	tools, err := d.session.ListTools(ctx, nil)
	if err != nil {
		return err
	}
	names := make([]string, 0, len(tools.Tools))
	for _, t := range tools.Tools {
		names = append(names, t.Name)
	}
	d.Line("tools: %s", strings.Join(names, ", "))
	return d.play(ctx)
}

// demo is the client.
type demo struct {
	*transcript.Printer // notifications come while a call waits
	session             *mcp.ClientSession
}

func (d *demo) play(ctx context.Context) error {
	task := map[string]any{"task": "Add a /healthz endpoint that answers 200", "label": "healthz"}
	started, err := d.call(ctx, "start_session", task)
	if err != nil {
		return err
	}
	id := started["session_id"]
	if _, err = d.call(ctx, "start_session", task); err != nil { // a model may repeat itself
		return err
	}
	if _, err = d.call(ctx, "wait_session", map[string]any{"session_id": id}); err != nil {
		return err
	}
	asked, err := d.call(ctx, "ask_session", map[string]any{"session_id": id, "prompt": "Push it, please"})
	if err != nil {
		return err
	}
	question, _ := asked["question"].(map[string]any)
	for _, step := range []struct {
		tool      string
		arguments map[string]any
	}{
		{"answer_question", map[string]any{"session_id": id, "question_id": question["question_id"], "answer": "healthz"}},
		{"read_transcript", map[string]any{"session_id": id, "limit": 4}},
		{"archive_session", map[string]any{"session_id": id}},
	} {
		if _, err := d.call(ctx, step.tool, step.arguments); err != nil {
			return err
		}
	}
	return nil
}

// call calls a tool, and prints what is said.
func (d *demo) call(ctx context.Context, name string, arguments map[string]any) (map[string]any, error) {
	text, err := json.Marshal(arguments)
	if err != nil {
		return nil, err
	}
	d.Line("> %s %s", name, text)
	params := &mcp.CallToolParams{Name: name, Arguments: arguments}
	params.SetProgressToken(name)
	result, err := d.session.CallTool(ctx, params)
	if err != nil {
		return nil, err
	}
	for _, content := range result.Content {
		if text, ok := content.(*mcp.TextContent); ok {
			d.Line("< %s", strings.ReplaceAll(text.Text, "\n\n", "\n"))
		}
	}
	if result.IsError {
		return nil, fmt.Errorf("%s has failed", name)
	}
	values, _ := result.StructuredContent.(map[string]any)
	return values, nil
}
