package coder_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
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
	back := make(chan struct{}, 1)
	conn, err := c.Attach(ctx, id, &coder.AttachOptions{Connection: coder.HubConnectOptions{OnState: func(state coder.HubConnState, _ error) {
		if state == coder.StateConnected {
			back <- struct{}{}
		}
	}}})
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
		cut(id)
		<-back // the next prompt goes over another connection
	}
	if err := conn.Close(); err != nil {
		return seen, err
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

// record runs a program with a Hub in a bubble, and returns the recording and what the program has seen.
func record(t *testing.T, options *coder.RecorderOptions, program func(*testing.T, *coder.Client, *codertest.Hub) ([]string, error),
	opts ...codertest.Option,
) (recording []byte, seen []string) {
	t.Helper()
	bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
		var file bytes.Buffer
		rec, err := coder.NewRecorder(&file, options)
		require.NoError(t, err)
		c := hubClient(t, hub, coder.WithRecorder(rec))
		seen, err = program(t, c, hub)
		require.NoError(t, err)
		require.NoError(t, rec.Close())
		recording = file.Bytes()
	}, opts...)
	return recording, seen
}

// replay plays a recording in a bubble.
func replay(t *testing.T, recording []byte, program func(t *testing.T, hub *codertest.ReplayHub, c *coder.Client), opts ...codertest.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		hub, err := codertest.Replay(bytes.NewReader(recording), append(opts, codertest.WithInMemoryNetwork())...)
		require.NoError(t, err)
		defer hub.Close()
		c, err := hub.NewClient()
		require.NoError(t, err)
		program(t, hub, c)
	})
}

// storyOn is tellStory on a Hub that is away at times.
func storyOn(t *testing.T, c *coder.Client, hub *codertest.Hub) ([]string, error) {
	hub.Inject(codertest.Fault{Method: "GET", Route: "/hub/sessions", Status: http.StatusServiceUnavailable})
	return tellStory(t.Context(), c, func(id string) {
		time.Sleep(time.Second)
		hub.Session(id).CutStreams()
	})
}

// TestRecorder_PlayedBack: a program that meets what it has met before sees the same, at any pace.
func TestRecorder_PlayedBack(t *testing.T) {
	recording, seen := record(t, nil, storyOn, codertest.WithAgentVersion("1.6.0"), codertest.WithAgentPace(20*time.Millisecond))
	require.Contains(t, seen, "cause unexpected EOF")
	for name, opts := range map[string][]codertest.Option{
		"as it was": nil, "at once": {codertest.WithReplayPace(0)}, "slowly": {codertest.WithReplayPace(0.5)},
	} {
		t.Run(name, func(t *testing.T) {
			replay(t, recording, func(t *testing.T, hub *codertest.ReplayHub, c *coder.Client) {
				again, err := tellStory(t.Context(), c, func(string) {})
				require.NoError(t, err)
				assert.Equal(t, seen, again)
				assert.Empty(t, hub.Missing())
				assert.Empty(t, hub.Unasked())
			}, opts...)
		})
	}
}
