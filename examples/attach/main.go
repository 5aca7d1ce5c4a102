// Attach talks to the agent of a session, in a terminal: what is typed is a prompt, and the answer
// appears while it is produced. The questions of the agent are answered with the next line.
//
//	go run ./examples/attach -session codesess_…
//	echo "Say hello" | go run ./examples/attach
//
// It talks to the Hub that AGENTUITY_SDK_KEY or AGENTUITY_CODER_URL names. Without either it starts
// a Hub of its own in memory, with an agent that repeats what it is told and asks if the prompt has
// the word confirm, select, input or editor. Thoughts and calls of tools take a line each; -v prints
// them whole.
//
// Ctrl-C aborts what the agent does; twice, or if it does nothing, it ends the program. Ctrl-D ends
// the program. If the input is no terminal, each line waits until the agent has answered the one
// before or asks something, and so does the end. The session stays. The status is 0 at the end, 1 if something went wrong, 2 if
// the program was called wrongly, and 130 after Ctrl-C.
//
// How it works: agent.go has the half that faces the agent. It listens until there is a prompt, asks it,
// and listens again. All that comes goes into a Conversation, whose changes are printed. user.go has the
// half that faces the user. The two share channels, and no state but the Conversation.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
	"github.com/agentuity/coder-go/examples/internal/cli"
)

// errInterrupted is how it ends with Ctrl-C.
var errInterrupted = errors.New("interrupted")

// terminal is where the user is.
type terminal struct {
	in          io.Reader
	out         io.Writer
	interrupts  <-chan os.Signal
	interactive bool // somebody types; otherwise the input is a file or a pipe
	unfold      bool // thoughts and results of tools are printed whole
}

func main() {
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt)
	stdin, err := os.Stdin.Stat()
	interactive := err == nil && stdin.Mode()&os.ModeCharDevice != 0
	err = run(context.Background(), os.Args[1:], terminal{in: os.Stdin, out: os.Stdout, interrupts: interrupts, interactive: interactive})
	os.Exit(cli.Status(os.Stderr, "attach", err, errors.Is(err, errInterrupted)))
}

func run(ctx context.Context, args []string, t terminal) error {
	flags := flag.NewFlagSet("attach", flag.ContinueOnError)
	id := flags.String("session", "", "the `id` of the session to attach to")
	flags.BoolVar(&t.unfold, "v", false, "print thoughts and results of tools whole")
	if err := cli.Parse(flags, args, t.out); err != nil {
		return err
	}
	if os.Getenv("AGENTUITY_SDK_KEY") == "" && os.Getenv("AGENTUITY_CODER_URL") == "" {
		if *id != "" {
			return cli.Wrong(errors.New("set AGENTUITY_SDK_KEY or AGENTUITY_CODER_URL to attach to a session of yours, " +
				"or leave -session out for a demonstration"))
		}
		return demonstrate(ctx, t)
	}
	if *id == "" {
		return cli.Wrong(errors.New("which session? name it with -session"))
	}
	client, err := coder.NewClient()
	if err != nil {
		return cli.Wrong(err)
	}
	defer client.CloseIdleConnections()
	return attach(ctx, client, *id, t)
}

// demonstrate attaches to a session on an embedded Hub.
func demonstrate(ctx context.Context, t terminal) error {
	fmt.Fprintln(t.out, "no AGENTUITY_SDK_KEY and no AGENTUITY_CODER_URL: attaching to a session on an embedded Hub")
	hub := codertest.NewHub(codertest.WithAgentVersion("1.6.0"), codertest.WithAgentPace(60*time.Millisecond)) // slow enough to see it work
	defer hub.Close()
	client, err := hub.NewClient()
	if err != nil {
		return err
	}
	created, err := client.CreateSession(ctx, coder.CreateSessionRequest{Task: "Be there for questions", Label: "Demonstration"})
	if err != nil {
		return err
	}
	if _, err := client.WaitForSession(ctx, created.SessionID, &coder.WaitForSessionOptions{PollInterval: 50 * time.Millisecond}); err != nil {
		return err
	}
	return attach(ctx, client, created.SessionID, t)
}

// attach connects to a session and lets the user talk to its agent.
func attach(ctx context.Context, client *coder.Client, id string, t terminal) error {
	c := newChat(t)
	var err error
	if c.conn, err = connect(ctx, client, id, c.connection, t.interrupts); err != nil {
		return err
	}
	defer c.conn.Close()
	return c.converse(ctx, t)
}

// connect can take a while: the session may have to wake up. Ctrl-C ends that, and the error says so.
func connect(
	ctx context.Context, client *coder.Client, id string, onState func(coder.HubConnState, error), interrupts <-chan os.Signal,
) (*coder.HubConn, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-interrupts:
			cancel(errInterrupted)
		case <-ctx.Done():
		}
	}()
	return client.Attach(ctx, id, &coder.AttachOptions{Connection: coder.HubConnectOptions{OnState: onState}})
}

// converse connects the user with the agent until one of them leaves.
func (c *chat) converse(ctx context.Context, t terminal) error {
	ctx, cancel := context.WithCancel(ctx)
	defer c.goroutines.Wait()
	defer cancel()
	defer c.view.End()
	c.view.Line("* attached to %s; /help says what you can type", c.conn.SessionID())
	c.begin(ctx)
	ended := make(chan error, 1)
	c.goroutines.Go(func() { ended <- c.serveAgent(ctx) })
	return c.serveUser(ctx, t, ended)
}
