// Quickstart takes a coding session through its life: it creates one, finds it, waits until it can
// be attached to, changes it, looks at what happened in it, archives it and deletes it.
//
//	go run ./examples/quickstart
//
// With AGENTUITY_SDK_KEY or AGENTUITY_CODER_URL set it talks to that Hub. Without, it starts a Hub
// of its own in memory, so that it runs without an account.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout)
	interrupted := ctx.Err() != nil
	stop()
	switch {
	case interrupted:
		fmt.Fprintln(os.Stderr, "quickstart: interrupted")
		os.Exit(130)
	case err != nil:
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer) error {
	client, stop, err := connect(out)
	if err != nil {
		return err
	}
	defer stop()
	return tour(ctx, client, out)
}

// connect returns a client of the Hub the environment names, or of one that it starts.
func connect(out io.Writer) (client *coder.Client, stop func(), err error) {
	if os.Getenv("AGENTUITY_SDK_KEY") != "" || os.Getenv("AGENTUITY_CODER_URL") != "" {
		client, err = coder.NewClient()
		if err != nil {
			return nil, nil, err
		}
		step(out, "Start", "talking to the Hub that the environment names")
		return client, client.CloseIdleConnections, nil
	}
	hub := codertest.NewHub(codertest.WithAgentVersion("1.6.0"))
	client, err = hub.NewClient()
	if err != nil {
		hub.Close()
		return nil, nil, err
	}
	step(out, "Start", "no AGENTUITY_SDK_KEY and no AGENTUITY_CODER_URL: talking to an embedded Hub")
	return client, hub.Close, nil
}

func tour(ctx context.Context, client *coder.Client, out io.Writer) (err error) {
	url, err := client.URL(ctx)
	if err != nil {
		return err
	}
	step(out, "Hub", "%s", url)

	created, err := client.CreateSession(ctx, coder.CreateSessionRequest{
		Task:     "Add a /healthz endpoint that answers 200",
		Label:    "Quickstart",
		Tags:     []string{"quickstart"},
		Metadata: map[string]any{"example": "quickstart"},
	})
	if errors.Is(err, coder.ErrOutcomeUnknown) {
		return fmt.Errorf("look for a session labelled Quickstart before trying again: %w", err)
	}
	if err != nil {
		return err
	}
	id := created.SessionID
	step(out, "Created", "%s, %s", id, created.Status)
	deleted := false
	defer func() {
		if deleted {
			return
		}
		// Whatever went wrong, do not leave a session running, not even after Ctrl-C.
		cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		if e := client.DeleteSession(cleanup, id); e != nil {
			err = errors.Join(err, fmt.Errorf("session %s is still there: %w", id, e))
		}
	}()

	list, err := client.ListSessions(ctx, &coder.ListSessionsParams{Search: "Quickstart", Limit: 5})
	if err != nil {
		return err
	}
	step(out, "Listed", "%d of %d sessions that match", len(list.Sessions), list.Total)
	for _, s := range list.Sessions {
		step(out, "", "%s  %s  %s", s.SessionID, s.Status, s.Label)
	}

	session, err := ready(ctx, client, id)
	if err != nil {
		return err
	}
	step(out, "Prepared", "%s, runtime available: %t", session.Status, session.RuntimeAvailable)

	step(out, "Waiting", "for the agent, which may take minutes")
	outcome, err := client.WaitForSession(ctx, id, &coder.WaitForSessionOptions{PollInterval: time.Second / 2})
	if err != nil {
		return err
	}
	step(out, "Waited", "%s, succeeded: %t (%s)", outcome.Kind, outcome.Succeeded(), strings.Join(outcome.Evidence, "; "))

	updated, err := client.UpdateSession(ctx, id, coder.UpdateSessionRequest{
		Label: new("Quickstart, renamed"),
		Tags:  []string{"quickstart", "renamed"},
	})
	if err != nil {
		return err
	}
	step(out, "Updated", "label %q, tags %s", updated.Label, strings.Join(updated.Tags, ", "))

	if err := inspect(ctx, client, id, out); err != nil {
		return err
	}

	archived, err := client.ArchiveSession(ctx, id)
	if err != nil {
		return err
	}
	step(out, "Archived", "%s", archived.Status)
	if err := client.DeleteSession(ctx, id); err != nil {
		return err
	}
	deleted = true
	switch _, err = client.GetSession(ctx, id); {
	case err == nil:
		return errors.New("the session was deleted, and is still there")
	case !errors.Is(err, coder.ErrSessionNotFound):
		return err
	}
	step(out, "Deleted", "it is not found any more")
	return nil
}

// ready waits until the session has left the statuses it is born with, and then until a controller
// could attach to it.
func ready(ctx context.Context, client *coder.Client, id string) (*coder.Session, error) {
	for {
		session, err := client.PrepareSessionForRemoteAttach(ctx, id, nil)
		if err != nil {
			return nil, err
		}
		if session.Status != "creating" && session.Status != "provisioning" {
			return session, nil
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for session %s: %w", id, ctx.Err())
		}
	}
}

// inspect prints what there is to know about a session.
func inspect(ctx context.Context, client *coder.Client, id string, out io.Writer) error {
	people, err := client.ListParticipants(ctx, id, nil)
	if err != nil {
		return err
	}
	for _, p := range people.Participants {
		step(out, "Participant", "%s over %s", p.Role, p.Transport)
	}
	history, err := client.ListEventHistory(ctx, id, &coder.ListEventHistoryParams{Limit: 5})
	if err != nil {
		return err
	}
	for _, e := range history.Events {
		step(out, "Event", "#%d %s", e.ID, e.Event)
	}
	replay, err := client.GetReplay(ctx, id, nil)
	if err != nil {
		return err
	}
	for _, e := range replay.Entries {
		step(out, "Entry", "%s: %s", e.Type, e.Content)
	}
	loop, err := client.GetLoopState(ctx, id)
	if err != nil {
		return err
	}
	step(out, "Mode", "%s, loop: %t", loop.WorkflowMode, loop.Loop != nil)
	return nil
}

func step(out io.Writer, name, format string, args ...any) {
	_, _ = fmt.Fprintf(out, "%-12s %s\n", name, fmt.Sprintf(format, args...))
}
