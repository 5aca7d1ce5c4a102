package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

func fileWith(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "results.jsonl")
	require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	return name
}

func contents(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	return string(text)
}

func TestResults(t *testing.T) {
	name := filepath.Join(t.TempDir(), "results.jsonl")
	f, err := openResults(name)
	require.NoError(t, err)
	failed := &result{Key: "a", Task: "A", Outcome: coder.OutcomeFailed, Reason: "400"}
	done := &result{
		Key: "b", Task: "B", SessionID: "codesess_1", Outcome: coder.OutcomeTurnEnded, Succeeded: true, Answer: "Done\n.",
		Ended: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Seconds: 1.5, spent: spent{ToolCalls: new(int64(2)), CostUSD: new(0.25), CostIsMore: true},
	}
	again := &result{Key: "a", Task: "A", Outcome: coder.OutcomeTurnEnded, Succeeded: true}
	for _, r := range []*result{failed, done, again} {
		require.NoError(t, f.add(r))
	}
	assert.Equal(t, 3, strings.Count(contents(t, name), "\n"), "each is written at once")
	require.NoError(t, f.close())

	f, err = openResults(name)
	require.NoError(t, err)
	defer func() { require.NoError(t, f.close()) }()
	done.earlier, again.earlier = true, true
	assert.Equal(t, map[string]*result{"a": again, "b": done}, f.known)

	of, err := f.of(&task{key: "c"})
	require.NoError(t, err)
	assert.Nil(t, of)
	_, err = f.of(&task{key: "b", request: coder.CreateSessionRequest{Task: "Another one"}})
	require.ErrorContains(t, err, `the key "b" had another task`)
}

// TestResults_HalfALine: who was killed while writing has left a part of a line.
func TestResults_HalfALine(t *testing.T) {
	const whole = `{"key":"a","task":"A","outcome":"turn_ended","succeeded":true,"seconds":1}` + "\n"
	for cut := 1; cut < len(whole); cut++ {
		name := fileWith(t, whole+whole[:cut])
		f, err := openResults(name)
		require.NoError(t, err)
		require.NoError(t, f.add(&result{Key: "b", Outcome: coder.OutcomeTurnEnded}))
		require.NoError(t, f.close())
		text := contents(t, name)
		assert.True(t, strings.HasPrefix(text, whole+`{"key":"b",`), "%q", text)
		assert.Equal(t, 2, strings.Count(text, "\n"))
	}
}

func TestResults_NoResults(t *testing.T) {
	for text, want := range map[string]string{
		"Fix the flaky test\nTidy up\n":             "results.jsonl:1: it is no result: ",
		"\n{\"key\":\"a\",\"outcome\":\"x\"}\n{}\n": "results.jsonl:3: it is no result: key and outcome",
		"{\"key\":\"a\",\"outco\n{}\n":              "results.jsonl:1: it is no result: ",
	} {
		name := fileWith(t, text)
		_, err := openResults(name)
		require.ErrorContains(t, err, want)
		assert.Equal(t, text, contents(t, name), "it is left as it was")
	}
}

// TestWhatWasSpent counts what a history has, whatever it has twice.
func TestWhatWasSpent(t *testing.T) {
	message := func(at int, stop string, usage map[string]any) codertest.Event {
		fields := map[string]any{"role": "assistant", "stopReason": stop, "content": "x", "usage": usage}
		if at > 0 {
			fields["timestamp"] = at
		}
		return codertest.Event{Event: coder.EventMessageEnd, Payload: map[string]any{"message": fields}}
	}
	call := func(id string) codertest.Event {
		return codertest.Event{Event: coder.EventToolExecutionStart, Payload: map[string]any{"toolCallId": id, "toolName": "read"}}
	}
	priced := func(tokens int, price float64) map[string]any {
		return map[string]any{"totalTokens": tokens, "cost": map[string]any{"total": price}}
	}
	for name, test := range map[string]struct {
		events []codertest.Event
		usage  map[string]any
		want   spent
	}{
		"nothing":        {nil, nil, spent{ToolCalls: new(int64(0))}},
		"twice":          {[]codertest.Event{call("a"), call("a"), call("b"), message(1, "stop", priced(100, 0.5)), message(1, "stop", priced(100, 0.5)), message(2, "stop", priced(10, 0.25))}, nil, spent{ToolCalls: new(int64(2)), Tokens: new(int64(110)), CostUSD: new(0.75)}},
		"without ids":    {[]codertest.Event{call(""), call(""), message(0, "stop", priced(1, 1)), message(0, "stop", priced(1, 1))}, nil, spent{ToolCalls: new(int64(2)), Tokens: new(int64(2)), CostUSD: new(2.0)}},
		"unknown cost":   {[]codertest.Event{message(1, "stop", map[string]any{"input": 3, "output": 4, "cacheRead": 5})}, nil, spent{ToolCalls: new(int64(0)), Tokens: new(int64(12))}},
		"cost in part":   {[]codertest.Event{message(1, "stop", priced(1, 0.5)), message(2, "stop", priced(1, 0))}, nil, spent{ToolCalls: new(int64(0)), Tokens: new(int64(2)), CostUSD: new(0.5), CostIsMore: true}},
		"failed is free": {[]codertest.Event{message(1, "stop", priced(1, 0.5)), message(2, "error", nil)}, nil, spent{ToolCalls: new(int64(0)), Tokens: new(int64(1)), CostUSD: new(0.5)}},
		"the Hub says":   {[]codertest.Event{call("a"), message(1, "stop", priced(1, 0.5))}, map[string]any{"inputTokens": 70, "outputTokens": 7, "reasoningTokens": 0, "costUsd": 9.5}, spent{ToolCalls: new(int64(1)), Tokens: new(int64(77)), CostUSD: new(9.5)}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hub := codertest.NewHub(codertest.WithInMemoryNetwork())
				defer hub.Close()
				client, err := hub.NewClient()
				require.NoError(t, err)
				session := hub.AddSession(codertest.Session{Task: "x", Events: test.events})
				if test.usage != nil {
					session.Set("usage", test.usage)
				}
				was, _ := whatWasSpent(t.Context(), client, session.ID(), session.Detail())
				assert.Equal(t, test.want, was)
				hub.Inject(codertest.Fault{Route: "/hub/session/{id}/events/history", Status: 403})
				was, _ = whatWasSpent(t.Context(), client, session.ID(), nil)
				assert.Equal(t, spent{}, was)
			})
		})
	}
}
