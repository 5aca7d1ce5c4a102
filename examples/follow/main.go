// Follow prints what happens in a session, as it happens, across lost connections.
//
//	go run ./examples/follow -session codesess_…
//
// It talks to the Hub that AGENTUITY_SDK_KEY or AGENTUITY_CODER_URL names. Without either it starts
// a Hub of its own in memory, with a session in which something happens, and a connection that
// breaks.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"
	"unicode"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout)
	interrupted := ctx.Err() != nil
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case interrupted:
		fmt.Fprintln(os.Stderr, "follow: interrupted")
		os.Exit(130)
	case err != nil:
		fmt.Fprintln(os.Stderr, "follow:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("follow", flag.ContinueOnError)
	flags.SetOutput(out)
	id := flags.String("session", "", "the `id` of the session to follow")
	subscribe := flags.String("subscribe", "", "what to follow, as \"turn,task_*\" (default: everything)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	options := &coder.StreamEventsOptions{}
	if *subscribe != "" {
		for filter := range strings.SplitSeq(*subscribe, ",") {
			options.Subscribe = append(options.Subscribe, strings.TrimSpace(filter))
		}
	}

	p := &printer{out: out}
	if os.Getenv("AGENTUITY_SDK_KEY") == "" && os.Getenv("AGENTUITY_CODER_URL") == "" {
		if *id != "" {
			return errors.New("set AGENTUITY_SDK_KEY or AGENTUITY_CODER_URL to follow a session of yours, or leave -session out for a demonstration")
		}
		p.line("no AGENTUITY_SDK_KEY and no AGENTUITY_CODER_URL: following a session on an embedded Hub")
		hub := codertest.NewHub()
		defer hub.Close()
		return demonstrate(ctx, hub, options, p)
	}
	if *id == "" {
		return errors.New("which session? name it with -session")
	}
	client, err := coder.NewClient()
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	return follow(ctx, client, *id, options, p)
}

// follow prints a session's events until it is over.
func follow(ctx context.Context, client *coder.Client, id string, options *coder.StreamEventsOptions, p *printer) error {
	for event, err := range client.StreamEvents(ctx, id, options) {
		if err != nil {
			return err
		}
		p.print(event.Data)
	}
	p.line("the session is over")
	return nil
}

// printer writes readable lines. Text that agents produce is written as it comes, between them.
type printer struct {
	out    io.Writer
	inText bool
}

func (p *printer) line(format string, args ...any) {
	if p.inText {
		_, _ = fmt.Fprintln(p.out)
		p.inText = false
	}
	p.write(fmt.Sprintf(format, args...) + "\n")
}

// write drops what is neither visible nor a blank: the text is that of others, and control
// characters could do anything to a terminal.
func (p *printer) write(text string) {
	_, _ = fmt.Fprint(p.out, strings.Map(func(r rune) rune {
		if unicode.IsGraphic(r) || r == '\n' || r == '\t' {
			return r
		}
		return -1
	}, text))
}

func (p *printer) print(message coder.ObserverSSEMessage) {
	switch m := message.(type) {
	case *coder.SSESessionSnapshotMessage:
		p.line("* %s: %s, %d tasks", cmp.Or(m.Label, m.SessionID), m.Status, m.TaskCount)
	case *coder.SSEHydrationMessage:
		p.line("* %d entries so far", len(m.Entries))
		for _, e := range m.Entries {
			if e.Content != "" {
				p.line("  %s: %s", e.Type, e.Content)
			}
		}
	case *coder.PresenceEventMessage:
		if m.Participant != nil {
			p.line("* %s: %s", strings.TrimPrefix(m.Event, "session_"), m.Participant.Role)
		}
	case *coder.BroadcastEventMessage:
		p.broadcast(m)
	case *coder.ReconnectedMessage:
		p.line("* the connection was lost (%v) and is back after %v; what came in between is in the entries that follow",
			m.Cause, m.Down.Round(100*time.Millisecond))
	case *coder.UnknownMessage:
		p.line("? %s %.200q", m.Type, m.Raw)
	}
}

// broadcast prints what the agent says, the tools it uses, and what goes wrong.
func (p *printer) broadcast(m *coder.BroadcastEventMessage) {
	switch e := m.AgentEvent().(type) {
	case *coder.MessageUpdate:
		if text := e.TextDelta(); text != "" { // neither thoughts nor the arguments of tools
			p.inText = true
			p.write(text)
		}
	case *coder.MessageEnd:
		switch {
		case e.Message.Role == "user":
			p.line("> %s", e.Message.Content.Text())
		case e.Message.StopReason == coder.StopReasonError, e.Message.StopReason == coder.StopReasonAborted:
			p.line("- %s: %s", e.Message.StopReason, e.Message.ErrorMessage)
		}
	case *coder.ToolExecutionStart:
		p.line("- %s %s", e.ToolName, e.Args)
	case *coder.ToolExecutionEnd:
		if e.IsError {
			p.line("- %s failed", e.ToolName)
		}
	case *coder.AutoRetryStart:
		p.line("- it tries again in %v", e.Delay.Duration())
	case *coder.CompactionStart, *coder.SessionBeforeCompact:
		p.line("- it summarizes the conversation")
	case *coder.TaskStart:
		p.line("- task of %s: %s", e.Agent, e.Description)
	case *coder.TaskComplete:
		p.line("- %s is done: %s", e.Agent, e.Result)
	case *coder.TaskError:
		p.line("- %s has failed: %s", e.Agent, e.Error)
	case *coder.SessionShutdown:
		p.line("- session_shutdown %s", e.Reason)
	case *coder.UnknownAgentEvent:
		if m.Category != coder.EventCategorySession {
			p.line("- %s", m.Event)
		}
	}
}
