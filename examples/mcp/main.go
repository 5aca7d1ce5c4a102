// Mcp is a server of the Model Context Protocol, through which an agent gives tasks to agents of the Coder Hub: it starts
// sessions, waits for them, asks, answers what they ask, reads what was said, and archives.
//
//	go -C examples/mcp run .          # speaks MCP on standard input and output
//	go -C examples/mcp run . -demo    # a short conversation with itself, to look at; also where a person is at the terminal
//
// Claude Desktop, and most other programs that start MCP servers, are told of it in their configuration. It is best built first,
// with go -C examples/mcp build -o ~/bin/coder-mcp .:
//
//	{"mcpServers": {"coder": {"command": "/home/you/bin/coder-mcp", "env": {"AGENTUITY_SDK_KEY": "…"}}}}
//
// It talks to the Hub that AGENTUITY_SDK_KEY or AGENTUITY_CODER_URL names. Without either it starts a Hub of its own in memory,
// whose agent only answers "Done.", and says so on standard error. -demo always does that. Standard output has nothing but
// MCP; what else there is to say goes to standard error, more of it with -v.
//
// At the end of its input it answers what it was asked, which takes as long as the calls wait, and ends with status 0. It ends with
// 1 if the input is no MCP or the output cannot be written, 2 if it was called wrongly, and 130 after Ctrl-C: the calls that are
// under way have no answer then. The second Ctrl-C ends it at once. The sessions go on at the Hub.
//
// How it works: server.go has the tools, as a client sees them, and what every call goes through; stdio.go carries their messages.
// sessions.go has the short calls, wait.go those that wait for an agent, questions.go what it asks meanwhile, progress.go what is
// told of it. transcript.go cuts a transcript into pages, failures.go says what went wrong so that a model can act on it, and
// demo.go is the conversation of the demonstration.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
	"github.com/agentuity/coder-go/examples/internal/cli"
)

func main() {
	p := &program{
		in: os.Stdin, out: os.Stdout, errs: os.Stderr, person: term.IsTerminal(int(os.Stdin.Fd())),
		interrupts: func(ctx context.Context) (context.Context, context.CancelFunc) {
			return signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
		},
	}
	os.Stdout = os.Stderr // what any package prints is not taken for MCP
	os.Exit(p.run(context.Background(), os.Args[1:]))
}

// program is what mcp has to do with the world.
type program struct {
	in     io.ReadCloser
	out    io.WriteCloser
	errs   io.Writer
	person bool // somebody is at a terminal, who does not speak MCP
	// interrupts ends a context with the first Ctrl-C, until the function that it returns is called.
	interrupts func(context.Context) (context.Context, context.CancelFunc)
	embedded   []codertest.Option // of the Hub that it starts, besides those that it always has
}

func (p *program) run(ctx context.Context, args []string) int {
	flags := flag.NewFlagSet("mcp", flag.ContinueOnError)
	demo := flags.Bool("demo", false, "play a short conversation of a client with the server, on an embedded Hub")
	verbose := flags.Bool("v", false, "log what is done to standard error")
	if err := cli.Parse(flags, args, p.errs); err != nil {
		return cli.Status(p.errs, "mcp", err, false)
	}
	level := slog.LevelWarn
	if *verbose {
		level = slog.LevelDebug
	}
	logger := slog.New(slog.NewTextHandler(p.errs, &slog.HandlerOptions{Level: level}))
	ctx, release := p.interrupts(ctx)
	defer release()
	said := make(chan struct{})
	silent := context.AfterFunc(ctx, func() {
		defer close(said)
		release() // the next one ends the program as if it had never asked for signals
		p.say("interrupted; the sessions of an account go on")
	})
	err := p.work(ctx, *demo || p.person, logger)
	if !silent() {
		<-said
		return cli.Interrupted
	}
	return cli.Status(p.errs, "mcp", err, false)
}

// work serves, or shows how that looks.
func (p *program) work(ctx context.Context, demo bool, logger *slog.Logger) error {
	if demo {
		return p.demonstrate(ctx, logger)
	}
	client, stop, err := p.connect(logger)
	if err != nil {
		return cli.Wrong(err)
	}
	defer stop()
	return p.serve(ctx, client, logger)
}

// connect returns a client of the Hub that the environment names, or of one that it starts.
func (p *program) connect(logger *slog.Logger) (client *coder.Client, stop func(), err error) {
	if os.Getenv("AGENTUITY_SDK_KEY") != "" || os.Getenv("AGENTUITY_CODER_URL") != "" {
		if client, err = coder.NewClient(coder.WithLogger(logger)); err != nil {
			return nil, nil, err
		}
		return client, client.CloseIdleConnections, nil
	}
	p.say("no AGENTUITY_SDK_KEY and no AGENTUITY_CODER_URL: serving an embedded Hub, whose agent only answers \"Done.\"")
	_, client, stop, err = p.embed(logger)
	return client, stop, err
}

// embed starts a Hub in memory.
func (p *program) embed(logger *slog.Logger) (*codertest.Hub, *coder.Client, func(), error) {
	hub := codertest.NewHub(append(p.embedded, codertest.WithAgentVersion("1.6.0"), codertest.WithAgentPace(pace))...)
	client, err := hub.NewClient(coder.WithLogger(logger))
	if err != nil {
		hub.Close()
		return nil, nil, nil, err
	}
	return hub, client, hub.Close, nil
}

// serve speaks MCP until the input ends, or the context.
func (p *program) serve(ctx context.Context, client *coder.Client, logger *slog.Logger) error {
	server := newServer(ctx, client, logger)
	// Run would do the same, but logs the end of the context as an error.
	session, err := server.Connect(ctx, &stdio{in: p.in, out: p.out}, nil)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = session.Close() })
	defer stop()
	if err := session.Wait(); ctx.Err() == nil {
		return err
	}
	return nil
}

func (p *program) say(text string) { fmt.Fprintln(p.errs, "mcp:", text) }
