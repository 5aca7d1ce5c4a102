package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

func TestCut(t *testing.T) {
	long := "begin" + strings.Repeat("ä", longest) + "end"
	p := cut(long, false)
	assert.True(t, strings.HasPrefix(p.Text, "begin") && strings.HasSuffix(p.Rest, "end"))
	assert.Equal(t, len([]rune(long)), len([]rune(p.Text))+p.Left+len([]rune(p.Rest)), "whole characters are left out, and counted")
	assert.Less(t, len(p.Text)+len(p.Rest), longest)
	assert.Equal(t, passage{Text: long}, cut(long, true))
	assert.Equal(t, passage{Text: long[:longest]}, cut(long[:longest], false))

	hub, client := newHub(t)
	entries := []codertest.ReplayEntry{
		{Type: coder.EntryUserPrompt, Content: "long prompt " + long}, {Type: coder.EntryMessage, Content: "long answer " + long},
		{Type: coder.EntryToolCall, Members: map[string]any{"toolCallId": "1", "toolName": "write", "toolArgs": map[string]any{"content": long}}},
		{Type: coder.EntryToolResult, Content: long, Members: map[string]any{"toolCallId": "1"}},
	}
	id := hub.AddSession(codertest.Session{Task: "x", Entries: entries}).ID()
	for _, s := range pages {
		text := pageOf(t, client, id, s)
		assert.Equal(t, 2, strings.Count(text, "left out here"), "what people and agents say is never cut")
		assert.Equal(t, 1, strings.Count(text, "2 texts are cut"))
		s.full = true
		text = pageOf(t, client, id, s)
		assert.NotContains(t, text, "left out")
		assert.Equal(t, 4, strings.Count(text, long))
	}
}

func TestClean(t *testing.T) {
	for text, want := range map[string]string{
		"\x1b[1;31mred\x1b[0m":   "red",
		"10 %\r20 %\r\nend":      "10 %\n20 %\nend",
		"a\x00b\x07c\u202ed\x7f": "abcd",
		"tab\tstays é 世界 🎉":      "tab\tstays é 世界 🎉",
		"\xff\xfe":               "\ufffd\ufffd",
	} {
		assert.Equal(t, want, clean(text))
	}
}

func TestForPeople(t *testing.T) {
	for d, want := range map[time.Duration]string{
		84 * time.Millisecond: "84 ms", 1200 * time.Millisecond: "1.2 s", 59 * time.Second: "59 s", 64 * time.Second: "1 min 4 s", 26*time.Hour + 5*time.Minute: "26 h 5 min",
	} {
		assert.Equal(t, want, duration(d))
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1234: "-1,234", -123: "-123"} {
		assert.Equal(t, want, grouped(n))
	}
	for n, want := range map[int64]string{1: "1 byte", 999: "999 bytes", 1500: "1.5 kB", 2_500_000: "2.5 MB"} {
		assert.Equal(t, want, size(n))
	}
}
