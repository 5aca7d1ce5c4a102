package coder_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// tellStory is a program that uses all three ways to talk to a Hub. It returns what it has seen.
func tellStory(ctx context.Context, c *coder.Client, cut func(id string)) (seen []string, err error) {
	note := func(format string, args ...any) { seen = append(seen, fmt.Sprintf(format, args...)) }
	created, err := c.CreateSession(ctx, coder.CreateSessionRequest{Task: "Sort the list"})
	if err != nil {
		return seen, err
	}
	id := created.SessionID
	note("created %s %s", id, created.Status)
	conn, err := c.Attach(ctx, id, nil)
	if err != nil {
		return seen, err
	}
	defer conn.Close()
	for _, prompt := range []string{"Now add a test", "And one more"} {
		text := ""
		answer, err := conn.Ask(ctx, prompt, &coder.AskOptions{OnText: func(delta string) { text += delta + "|" }})
		if err != nil {
			return seen, err
		}
		note("answered %q %q %d", answer.Text, text, answer.ToolCalls)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for event, err := range c.StreamEvents(ctx, id, nil) {
		if err != nil {
			return seen, err
		}
		note("event %s %T", event.Event, event.Data)
		if m, ok := event.Data.(*coder.ReconnectedMessage); ok {
			note("cause %v", m.Cause)
			break
		}
		if _, ok := event.Data.(*coder.SSEHydrationMessage); ok {
			cut(id)
		}
	}
	list, err := c.ListSessions(ctx, &coder.ListSessionsParams{Limit: 5})
	if err != nil {
		return seen, err
	}
	note("listed %d", list.Total)
	_, err = c.GetSession(ctx, "codesess_none")
	note("none: %v", err)
	return seen, nil
}

func TestScratch(t *testing.T) {
	bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
		hub.Inject(codertest.Fault{Method: "GET", Route: "/hub/sessions", Status: http.StatusServiceUnavailable})
		var file bytes.Buffer
		rec, err := coder.NewRecorder(&file, nil)
		require.NoError(t, err)
		c := hubClient(t, hub, coder.WithRecorder(rec))
		seen, err := tellStory(t.Context(), c, func(id string) {
			time.Sleep(time.Second)
			hub.Session(id).CutStreams()
		})
		t.Log(seen)
		require.NoError(t, err)
		c.CloseIdleConnections()
		require.NoError(t, rec.Close())
		for line := range bytes.Lines(file.Bytes()) {
			fmt.Printf("%.300s\n", bytes.TrimSpace(line))
		}
	}, codertest.WithAgentVersion("1.6.0"), codertest.WithAgentPace(20*time.Millisecond))
}
