// Quickstart gives an agent a task, waits until it is done, and prints its answer.
//
//	go run ./examples/quickstart
//	go run ./examples/quickstart -task "Say hello" -keep
//
// It talks to the Hub that AGENTUITY_SDK_KEY or AGENTUITY_CODER_URL names. Without either it starts a Hub of its own in memory,
// so that it runs without an account.
//
// The session is deleted at the end, unless -keep is given or the agent has not done its task: then it is there to be looked at.
// The first Ctrl-C archives it, so that no agent works on for nobody; the second ends the program at once. It ends with status 0 if the
// task was done, 1 if not, 2 if it was called wrongly, and 130 after Ctrl-C.
//
// How it works: RunSession creates the session, waits for it and reads the answer. ReplayEntries has all that was said.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
	"github.com/agentuity/coder-go/examples/internal/cli"
	"github.com/agentuity/coder-go/examples/internal/progress"
	"github.com/agentuity/coder-go/examples/internal/transcript"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends it at once
	p := &program{out: os.Stdout, teller: progress.New("quickstart", os.Stderr)}
	os.Exit(p.run(ctx, os.Args[1:]))
}

// program is what it has to do with the world.
type program struct {
	out    io.Writer          // the answer
	teller *progress.Teller   // everything else
	client *coder.Client      // nil: of the Hub that the environment names, or of an embedded one
	hub    []codertest.Option // of the embedded one, for tests
	task   string
	keep   bool
}

func (p *program) run(ctx context.Context, args []string) int {
	flags := flag.NewFlagSet("quickstart", flag.ContinueOnError)
	flags.StringVar(&p.task, "task", "Add a /healthz endpoint that answers 200", "what the agent is to do, in `words`")
	flags.BoolVar(&p.keep, "keep", false, "do not delete the session at the end")
	if err := cli.Parse(flags, args, p.out); err != nil {
		return cli.Status(p.teller.Out, flags.Name(), err, false)
	}
	stop, err := p.connect()
	if err != nil {
		p.teller.Say("%v", err)
		return cli.BadUsage
	}
	defer stop()
	switch ok, err := p.work(ctx); {
	case err != nil && ctx.Err() != nil:
		p.teller.Say("interrupted: %v", err)
		return cli.Interrupted
	case err != nil:
		p.teller.Say("%v", err)
		if unanswered := new(coder.RequestError); errors.As(err, &unanswered) {
			p.teller.Say("go run ./examples/doctor finds out what is between here and the Hub")
		}
	case ok:
		return cli.OK
	}
	return cli.Failed
}

// connect makes the client.
func (p *program) connect() (stop func(), err error) {
	switch {
	case p.client != nil:
		return func() {}, nil
	case os.Getenv("AGENTUITY_SDK_KEY") != "" || os.Getenv("AGENTUITY_CODER_URL") != "":
		if p.client, err = coder.NewClient(); err != nil {
			return nil, err
		}
		return p.client.CloseIdleConnections, nil
	case p.keep:
		return nil, errors.New("-keep needs a Hub of yours: the embedded one ends with the program")
	}
	hub := codertest.NewHub(append([]codertest.Option{codertest.WithAgentVersion("1.6.0"), codertest.WithAgentPace(60 * time.Millisecond)}, p.hub...)...)
	hub.OnSession(play)
	if p.client, err = hub.NewClient(); err != nil {
		hub.Close()
		return nil, err
	}
	p.teller.Say("no AGENTUITY_SDK_KEY and no AGENTUITY_CODER_URL: the agent of an embedded Hub does the task")
	return hub.Close, nil
}

// work gives the task to an agent, and prints what came of it. ok: the task is done.
func (p *program) work(ctx context.Context) (ok bool, err error) {
	// The key names the job: RunSession with the same key finds the same session. This one is to be new each time.
	key := "quickstart-" + rand.Text()
	var now atomic.Value
	now.Store("creating the session")
	stop := p.teller.Watch(func() string { return now.Load().(string) })
	defer stop()
	began := time.Now()
	result, err := p.client.RunSession(ctx, key, coder.CreateSessionRequest{Task: p.task, Label: "Quickstart"}, &coder.RunSessionOptions{
		ArchiveOnCancel: true,
		OnPoll: func(session *coder.Session) {
			now.Store(fmt.Sprintf("session %s is %s", session.SessionID, session.Status))
		},
	})
	stop()
	if err != nil {
		var run *coder.RunError
		if errors.As(err, &run) && run.SessionID != "" && !run.Archived {
			err = errors.Join(err, p.remove(ctx, run.SessionID))
		}
		return false, err
	}
	id, outcome := result.SessionID, result.Outcome
	p.show("session", id)
	if !outcome.Succeeded() {
		p.show("failed", outcome.String())
		p.show("look", "go run ./examples/transcript -format md "+id)
		p.show("talk to it", "go run ./examples/attach -session "+id)
		return false, nil
	}
	err = p.conversation(ctx, id)
	if err == nil {
		p.show("answer", result.Answer)
		p.show("outcome", fmt.Sprintf("succeeded (%s) in %v", outcome.Kind, time.Since(began).Round(100*time.Millisecond)))
	}
	return err == nil, errors.Join(err, p.remove(ctx, id))
}

// remove deletes the session, also after Ctrl-C, unless it is to be kept.
func (p *program) remove(ctx context.Context, id string) error {
	if p.keep {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	if err := p.client.DeleteSession(ctx, id); err != nil && !errors.Is(err, coder.ErrSessionNotFound) {
		return fmt.Errorf("session %s is still there: %w", id, err)
	}
	p.show("deleted", id)
	return nil
}

// conversation prints what was said before the answer, a line each.
func (p *program) conversation(ctx context.Context, id string) error {
	for entry, err := range p.client.ReplayEntries(ctx, id, nil) {
		if err != nil {
			return err
		}
		switch entry.Type {
		case coder.EntryUserPrompt:
			p.show("task", entry.Content)
		case coder.EntryToolCall:
			p.show("tool call", entry.ToolName+" "+transcript.Brief(entry.ToolArgs))
		}
	}
	return nil
}

// show prints a line, or several, each behind its name. It quotes the Hub.
func (p *program) show(name, text string) {
	text = strings.ReplaceAll(strings.TrimSpace(transcript.Clean(text)), "\n", "\n"+strings.Repeat(" ", 12))
	_, _ = fmt.Fprintf(p.out, "%-11s %s\n", name, text)
}

// play says what becomes of a session of the embedded Hub.
func play(session *codertest.SessionControl) {
	if !strings.Contains(session.Task(), "/healthz") {
		return // the agent has an answer of its own
	}
	session.Answer(
		codertest.AgentTurn{Thinking: "Where are the routes?", Text: "I look for the routes.", Tools: []codertest.AgentTool{
			{Name: "grep", Args: map[string]any{"pattern": "HandleFunc"}, Result: "server.go:17"},
			{Name: "edit", Args: map[string]any{"path": "server.go"}, Result: "1 line added"},
		}},
		codertest.AgentTurn{Text: "The tests have to pass, too.", Tools: []codertest.AgentTool{
			{Name: "bash", Args: map[string]any{"command": "go test ./..."}, Result: "ok"},
		}},
		codertest.AgentTurn{Text: "GET /healthz answers 200 now, and the tests pass."},
	)
}
