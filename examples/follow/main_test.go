package main

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

func TestDemonstration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := codertest.NewHub(codertest.WithInMemoryNetwork())
		defer hub.Close()
		var out bytes.Buffer
		require.NoError(t, demonstrate(t.Context(), hub, nil, &printer{out: &out}))
		text := out.String()
		for _, want := range []string{
			"* Demonstration: creating", "user_prompt: Sort the list", "* join: observer", `- grep {"pattern":"customers"}`,
			"\nThe customers are in customers.go. I will sort them by name.\n", "* the connection was lost (", "message: Sorted, and the tests pass.",
			"- tester is done: customers.go is sorted", "the session is over\n",
		} {
			assert.Contains(t, text, want)
		}
	})
}

// TestTextOfOthers does nothing to the terminal.
func TestTextOfOthers(t *testing.T) {
	var out bytes.Buffer
	p := &printer{out: &out}
	p.line("%s", "a\x1b[2Jb\rc\td\u202ee\u00e9")
	p.print(&coder.BroadcastEventMessage{Event: coder.EventMessageUpdate, Data: []byte(`{"assistantMessageEvent":{"type":"text_delta","delta":"x\u001b]0;y\u0007z"}}`)})
	for _, kind := range []string{"thinking_delta", "toolcall_delta"} {
		p.print(&coder.BroadcastEventMessage{Event: coder.EventMessageUpdate, Data: []byte(`{"assistantMessageEvent":{"type":"` + kind + `","delta":"hidden"}}`)})
	}
	assert.Equal(t, "a[2Jbc\tde\u00e9\nx]0;yz", out.String())
}

func TestInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := codertest.NewHub(codertest.WithInMemoryNetwork())
		defer hub.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := demonstrate(ctx, hub, nil, &printer{out: new(bytes.Buffer)})
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

func TestASessionOfOnesOwn(t *testing.T) {
	hub := codertest.NewHub()
	defer hub.Close()
	t.Setenv("AGENTUITY_SDK_KEY", "")
	t.Setenv("AGENTUITY_CODER_URL", "")
	require.ErrorContains(t, run(t.Context(), []string{"-session", "x"}, new(bytes.Buffer)), "AGENTUITY_SDK_KEY")

	t.Setenv("AGENTUITY_CODER_URL", hub.URL())
	require.ErrorContains(t, run(t.Context(), nil, new(bytes.Buffer)), "-session")
	require.Error(t, run(t.Context(), []string{"-nonsense"}, new(bytes.Buffer)))
	require.ErrorIs(t, run(t.Context(), []string{"-session", "codesess_unknown"}, new(bytes.Buffer)), coder.ErrSessionNotFound)

	client, err := hub.NewClient()
	require.NoError(t, err)
	created, err := client.CreateSession(t.Context(), coder.CreateSessionRequest{Task: "x"})
	require.NoError(t, err)
	control := hub.Session(created.SessionID)
	out := &shutsDown{control: control}
	require.NoError(t, run(t.Context(), []string{"-session", created.SessionID, "-subscribe", "turn, task_*"}, out))
	assert.Contains(t, out.String(), "- session_shutdown")
	assert.Contains(t, out.String(), "the session is over")
}

// shutsDown ends the session as soon as somebody has joined it.
type shutsDown struct {
	bytes.Buffer
	control *codertest.SessionControl
}

func (s *shutsDown) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("join")) {
		s.control.Shutdown()
	}
	return s.Buffer.Write(p)
}
