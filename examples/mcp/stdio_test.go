package main

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
	"github.com/agentuity/coder-go/examples/internal/cli"
)

const (
	initialize  = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{"elicitation":{}},"clientInfo":{"name":"old","version":"1"}}}`
	initialized = `{"jsonrpc":"2.0","method":"notifications/initialized"}`
	waiting     = `{"jsonrpc":"2.0","id":"wait","method":"tools/call","params":{"name":"wait_session","arguments":{"session_id":"codesess_000000000001","max_seconds":600}}}`
)

// served is what the server writes to an input that ends, by the ids of what is answered, and its error.
func served(ctx context.Context, t *testing.T, client *coder.Client, input string) (map[any]string, error) {
	t.Helper()
	var out text
	p := &program{in: io.NopCloser(strings.NewReader(input)), out: &out}
	err := p.serve(ctx, client, slog.New(slog.DiscardHandler))
	answers := map[any]string{}
	for line := range strings.Lines(out.String()) {
		var message struct {
			ID     any
			Method string
		}
		require.NoError(t, json.Unmarshal([]byte(line), &message), line)
		if message.Method == "" {
			assert.NotContains(t, answers, message.ID)
			answers[message.ID] = line
		}
	}
	return answers, err
}

// TestInputEnds: whoever writes all requests at once, and closes the input, has all answers, also those that take time.
func TestInputEnds(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub, u *user) {
		client, err := hub.NewClient()
		require.NoError(t, err)
		hub.Answer(works(20, "It is tidy.")...)
		u.start("Tidy up")
		for range 20 {
			answers, err := served(t.Context(), t, client, strings.Join([]string{
				initialize, initialized, waiting,
				`{"jsonrpc":"2.0","id":"","method":"tools/list"}`,
				`{"jsonrpc":"2.0","id":0,"method":"nonsense"}`,
				`{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"list_sessions","arguments":{}}}`,
				`{"jsonrpc":"2.0","id":4,"method":"tools/call","params":{"name":"wait_session","arguments":{"session_id":"codesess_000000000001","max_seconds":600}}}`,
				`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":4}}`,
				`{"jsonrpc":"2.0","id":5,"method":"ping"}`, // without the end of its line
			}, "\n"))
			require.NoError(t, err)
			require.Len(t, answers, 7, "%v", answers)
			assert.Contains(t, answers["wait"], "It is tidy.")
			assert.Contains(t, answers[3.], "codesess_000000000001")
			assert.NotContains(t, answers[4.], "It is tidy.")
		}
	}, codertest.WithAgentPace(time.Second))
}

// TestInputEndsBeforeTheUserAnswers: whom the server asks cannot answer any more, and nobody waits for that.
func TestInputEndsBeforeTheUserAnswers(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub, u *user) {
		client, err := hub.NewClient()
		require.NoError(t, err)
		hub.Answer(asks("select", branches)...)
		id := u.start("Push it")
		waited, _ := call[turn](u, "wait_session", args{"session_id": id})
		require.NotNil(t, waited.Question)
		answers, err := served(t.Context(), t, client, strings.Join([]string{
			initialize, initialized,
			`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"answer_question","arguments":{"session_id":"` + id + `","question_id":"` + waited.Question.ID + `"}}}`,
		}, "\n"))
		require.NoError(t, err)
		assert.Contains(t, answers[2.], "the client has closed its end, and cannot answer")
	})
}

// TestInputEndsWithoutAnswer: a subscription has no answer before it ends, and an id that is used twice has one for both.
func TestInputEndsWithoutAnswer(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub, u *user) {
		client, err := hub.NewClient()
		require.NoError(t, err)
		hub.Answer(works(20, "It is tidy.")...)
		u.start("Tidy up")
		for _, request := range []string{waiting, `{"jsonrpc":"2.0","id":2,"method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true}}}`} {
			answers, err := served(t.Context(), t, client, strings.Join([]string{initialize, initialized, waiting, request}, "\n"))
			require.NoError(t, err)
			assert.Contains(t, answers["wait"], "It is tidy.")
		}
	}, codertest.WithAgentPace(time.Second))
}

// TestInputEndsAndInterrupted: the end of the context ends the wait for answers as well.
func TestInputEndsAndInterrupted(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub, u *user) {
		client, err := hub.NewClient()
		require.NoError(t, err)
		hub.Answer(works(20, "It is tidy.")...)
		u.start("Tidy up")
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		answers, err := served(ctx, t, client, strings.Join([]string{initialize, initialized, waiting}, "\n"))
		require.NoError(t, err)
		assert.NotContains(t, answers, "wait")
		assert.Equal(t, time.Minute, time.Since(began))
	}, codertest.WithAgentPace(time.Hour))
}

// TestNoMore: what is not MCP ends the server, but what was asked before that is answered.
func TestNoMore(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub, u *user) {
		client, err := hub.NewClient()
		require.NoError(t, err)
		hub.Answer(works(20, "It is tidy.")...)
		u.start("Tidy up")
		for _, nonsense := range []string{"Hello?", `{"jsonrpc":"2.0","id":7`, `{"jsonrpc":"1.0","id":7,"method":"ping"}`, strings.Repeat(" ", 17<<20)} {
			answers, err := served(t.Context(), t, client, strings.Join([]string{initialize, initialized, waiting, nonsense}, "\n"))
			require.ErrorContains(t, err, "the input is no MCP: ")
			assert.Contains(t, answers["wait"], "It is tidy.")
		}
	}, codertest.WithAgentPace(time.Second))
}

// TestBlanks around a message, and lines without one, are passed over.
func TestBlanks(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub, _ *user) {
		client, err := hub.NewClient()
		require.NoError(t, err)
		answers, err := served(t.Context(), t, client, "\n\r\n \t"+initialize+" \r\n\n"+initialized+"\t\n  \n"+`{"jsonrpc":"2.0","id":2,"method":"ping"} `)
		require.NoError(t, err)
		assert.Len(t, answers, 2)
	})
}

// TestTheEndOfTheInput of a process: the calls that wait are answered, and then it ends.
func TestTheEndOfTheInput(t *testing.T) {
	hub := codertest.NewHub(codertest.WithAPIKey("key"), codertest.WithoutAgent())
	defer hub.Close()
	w := openWire(t, hub, "-v")
	w.waits()
	w.send(waiting)
	w.send(`{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"list_sessions","arguments":{}}}`)
	require.NoError(t, w.in.Close())
	w.until(`"id":9`)
	hub.Session("codesess_000000000001").Archive()
	assert.Zero(t, w.end().ExitCode(), "%s", w.errs)
	said := strings.Join(w.said, "")
	assert.Contains(t, said, `"id":3,`)
	assert.Contains(t, said, `"id":"wait",`)
	assert.Contains(t, w.errs.String(), "level=INFO", "-v logs")
}

// TestTheEndOfTheInputInterrupted: Ctrl-C ends the wait for the last answers.
func TestTheEndOfTheInputInterrupted(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no signal can be sent to another process there")
	}
	hub := codertest.NewHub(codertest.WithAPIKey("key"), codertest.WithAgentPace(time.Hour))
	defer hub.Close()
	w := openWire(t, hub)
	w.waits()
	require.NoError(t, w.in.Close())
	require.NoError(t, w.cmd.Process.Signal(os.Interrupt))
	assert.Equal(t, cli.Interrupted, w.end().ExitCode())
	assert.False(t, hub.Session("codesess_000000000001").Archived())
}
