package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
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

// TestSpentOf: what the session says of itself counts more than what was counted.
func TestSpentOf(t *testing.T) {
	said := new(coder.Session)
	require.NoError(t, json.Unmarshal([]byte(`{"sessionId":"s","usage":{"inputTokens":70,"outputTokens":7,"reasoningTokens":0,"costUsd":9.5}}`), said))
	for name, test := range map[string]struct {
		counted *coder.Spent
		session *coder.Session
		want    spent
	}{
		"not counted":  {nil, nil, spent{}},
		"nothing":      {&coder.Spent{}, &coder.Session{}, spent{ToolCalls: new(int64(0))}},
		"all":          {&coder.Spent{ToolCalls: 2, Tokens: 110, CostUSD: 0.75}, nil, spent{ToolCalls: new(int64(2)), Tokens: new(int64(110)), CostUSD: new(0.75)}},
		"unknown cost": {&coder.Spent{Tokens: 12, NotTold: []string{"CostUSD"}}, nil, spent{ToolCalls: new(int64(0)), Tokens: new(int64(12))}},
		"cost in part": {&coder.Spent{Tokens: 2, CostUSD: 0.5, NotTold: []string{"CostUSD", "Tokens"}}, nil, spent{ToolCalls: new(int64(0)), Tokens: new(int64(2)), CostUSD: new(0.5), CostIsMore: true}},
		"the Hub says": {&coder.Spent{ToolCalls: 1, Tokens: 1, CostUSD: 0.5, NotTold: []string{"CostUSD"}}, said, spent{ToolCalls: new(int64(1)), Tokens: new(int64(77)), CostUSD: new(9.5)}},
	} {
		assert.Equal(t, test.want, spentOf(test.counted, test.session), name)
	}
}
