// Follow prints what happens in a session, as it happens, across lost connections: text as it comes,
// thoughts and calls of tools folded into a line each, who comes and goes, retries and tasks.
//
//	go run ./examples/follow -session codesess_…
//
// It talks to the Hub that AGENTUITY_SDK_KEY or AGENTUITY_CODER_URL names. Without either it starts
// a Hub of its own in memory, with a session in which something happens, and a connection that
// breaks. -v prints thoughts and results of tools whole.
//
// It ends when the session does. The status is 0 then, 1 if the session cannot be followed, 2 if the program was called
// wrongly, and 130 after Ctrl-C, which leaves the session as it is.
//
// How it works: StreamEvents yields everything, and connects again when the connection is lost. What was
// sent meanwhile is lost, but the Hub then says the whole conversation again. A Conversation makes one
// thing of both, and its changes are printed.
package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
	"github.com/agentuity/coder-go/examples/internal/cli"
	"github.com/agentuity/coder-go/examples/internal/transcript"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends it at once
	err := run(ctx, os.Args[1:], os.Stdout)
	os.Exit(cli.Status(os.Stderr, "follow", err, ctx.Err() != nil))
}

// run follows the session that the arguments name. embedded are options of the embedded Hub, for tests.
func run(ctx context.Context, args []string, out io.Writer, embedded ...codertest.Option) error {
	flags := flag.NewFlagSet("follow", flag.ContinueOnError)
	id := flags.String("session", "", "the `id` of the session to follow")
	subscribe := flags.String("subscribe", "", "what to follow, as \"turn,task_*\" (default: everything)")
	unfold := flags.Bool("v", false, "print thoughts and results of tools whole")
	if err := cli.Parse(flags, args, out); err != nil {
		return err
	}
	options := &coder.StreamEventsOptions{}
	if *subscribe != "" {
		for filter := range strings.SplitSeq(*subscribe, ",") {
			options.Subscribe = append(options.Subscribe, strings.TrimSpace(filter))
		}
	}
	view := transcript.New(out, *unfold)
	if os.Getenv("AGENTUITY_SDK_KEY") == "" && os.Getenv("AGENTUITY_CODER_URL") == "" {
		if *id != "" {
			return cli.Wrong(errors.New("set AGENTUITY_SDK_KEY or AGENTUITY_CODER_URL to follow a session of yours, or leave -session out for a demonstration"))
		}
		view.Line("no AGENTUITY_SDK_KEY and no AGENTUITY_CODER_URL: following a session on an embedded Hub")
		hub := codertest.NewHub(append([]codertest.Option{codertest.WithAgentVersion("1.6.0"), codertest.WithAgentPace(pace)}, embedded...)...)
		defer hub.Close()
		return demonstrate(ctx, hub, options, view)
	}
	if *id == "" {
		return cli.Wrong(errors.New("which session? name it with -session"))
	}
	client, err := coder.NewClient()
	if err != nil {
		return cli.Wrong(err)
	}
	defer client.CloseIdleConnections()
	return follow(ctx, client, *id, options, view)
}

// follow prints a session's events until it is over.
func follow(ctx context.Context, client *coder.Client, id string, options *coder.StreamEventsOptions, view *transcript.View) error {
	defer view.End()
	var conversation coder.Conversation
	for event, err := range client.StreamEvents(ctx, id, options) {
		if err != nil {
			return err
		}
		view.Show(conversation.ApplyObserver(event.Data))
		show(event.Data, view)
	}
	view.Line("the session is over")
	return nil
}

// show prints what is no part of the conversation.
func show(message coder.ObserverSSEMessage, view *transcript.View) {
	switch m := message.(type) {
	case *coder.SSESessionSnapshotMessage:
		view.Line("* %s: %s, %d tasks", m.Label, m.Status, m.TaskCount)
	case *coder.PresenceEventMessage:
		view.Presence(m)
	case *coder.ReconnectedMessage:
		view.Line("* the connection was lost (%v) and is back after %v", m.Cause, m.Down.Round(100*time.Millisecond))
	case *coder.BroadcastEventMessage:
		view.Event(m.AgentEvent())
	case *coder.UnknownMessage:
		view.Line("? %s %.200q", m.Type, m.Raw)
	}
}
