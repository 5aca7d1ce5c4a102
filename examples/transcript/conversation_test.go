package main

import (
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// noted is a page that keeps its items.
type noted struct{ items []*item }

func (n *noted) begin(*summary) error        { return nil }
func (n *noted) item(it *item) error         { n.items = append(n.items, it); return nil }
func (n *noted) end(*summary, *totals) error { return nil }

// items are what is made of entries, in a line each.
func items(t *testing.T, entries ...coder.ConversationEntry) (lines []string, c *conversation) {
	t.Helper()
	page := new(noted)
	c = &conversation{page: page, tasks: map[string]int{"t1": 1}}
	for i := range entries {
		require.NoError(t, c.take(&entries[i]))
	}
	require.NoError(t, c.flush())
	assert.Zero(t, c.held)
	for _, it := range page.items {
		words := []string{string(it.Kind)}
		for _, word := range []string{it.Name, it.Brief, it.Thinking.Text, it.Text.Text, string(it.State), it.Took} {
			if word != "" {
				words = append(words, word)
			}
		}
		lines = append(lines, strings.Join(words, " | "))
	}
	return lines, c
}

func calls(id, command string) coder.ConversationEntry {
	return coder.ConversationEntry{Type: coder.EntryToolCall, ToolName: "bash", ToolCallID: id, ToolArgs: map[string]any{"command": command}}
}

func returns(id, content string, isError bool) coder.ConversationEntry {
	return coder.ConversationEntry{Type: coder.EntryToolResult, ToolName: "bash", ToolCallID: id, Content: content, IsError: &isError}
}

func said(content, task string) coder.ConversationEntry {
	return coder.ConversationEntry{Type: coder.EntryMessage, Content: content, TaskID: task}
}

func TestCallsHaveTheirResults(t *testing.T) {
	lines, c := items(t, calls("1", "a"), calls("2", "b"), returns("2", "B", true), returns("1", "A", false), said("So.", ""))
	assert.Equal(t, []string{"call | bash | a | A | ok", "call | bash | b | B | failed", "answer | So."}, lines)
	assert.Equal(t, totals{Entries: 5, Answers: 1, Calls: 2, Failed: 1}, c.totals)

	lines, _ = items(t, calls("1", "task"), said("I am another.", "t1"), calls("2", "b"), returns("2", "B", false), returns("1", "A", false))
	assert.Equal(t, []string{"call | bash | task | A | ok", "answer | I am another.", "call | bash | b | B | ok"}, lines, "what others say in between")

	lines, _ = items(t, calls("1", "a"), said("I was aborted.", ""), returns("1", "A", false), returns("9", "Z", true))
	assert.Equal(t, []string{
		"call | bash | a | no result", "answer | I was aborted.",
		"call | bash | result of an earlier call | A | ok", "call | bash | result of an earlier call | Z | failed",
	}, lines)

	lines, _ = items(t, calls("1", "a"))
	assert.Equal(t, []string{"call | bash | a | no result"}, lines)
}

// TestWhatWaitsIsBounded: a call without a result does not keep all that follows.
func TestWhatWaitsIsBounded(t *testing.T) {
	many := []coder.ConversationEntry{calls("1", "a")}
	for range mostWaiting + 10 {
		many = append(many, said("x", "t1"))
	}
	lines, _ := items(t, append(many, returns("1", "A", false))...)
	assert.Equal(t, "call | bash | a | result below", lines[0])
	assert.Equal(t, "call | bash | result of an earlier call | A | ok", lines[len(lines)-1])

	page := new(noted)
	c := &conversation{page: page, full: true}
	require.NoError(t, c.take(new(calls("1", "a"))))
	require.NoError(t, c.take(new(said(strings.Repeat("x", mostHeld), "t1"))))
	assert.Len(t, page.items, 2)
}

func TestRarerEntries(t *testing.T) {
	failure, elapsed := 3, coder.Milliseconds(1500)
	lines, _ := items(t,
		coder.ConversationEntry{Type: coder.EntryTurn, TurnID: "1"},
		coder.ConversationEntry{Type: coder.EntryMessage, Thinking: "Hm.", Content: "So.\n"},
		coder.ConversationEntry{Type: coder.EntryThinking, Thinking: "Hm?"},
		coder.ConversationEntry{Type: coder.EntryTaskResult, TaskID: "t1", Content: "Found.", ElapsedMs: &elapsed},
		coder.ConversationEntry{Type: coder.EntryRuntimeStatus, Runtime: &coder.RuntimeProcessDescriptor{
			Command: "npm", Args: []string{"start"}, Env: map[string]string{"TOKEN": "hidden"}, Status: "exited", ExitCode: &failure, Signal: "TERM",
		}},
		coder.ConversationEntry{Type: coder.EntryRuntimeOutput, Content: "listening"},
		coder.ConversationEntry{Type: coder.EntryRuntimePreview, Preview: &coder.RuntimePreviewDescriptor{URL: "https://user:hidden@host.example/path?token=hidden", Status: "ready"}},
		coder.ConversationEntry{Type: "telegram", Content: "Stop."},
		coder.ConversationEntry{Type: coder.EntryToolResult, Content: "x"},
	)
	assert.Equal(t, []string{
		"answer | Hm. | So.", "thoughts | Hm?", "report | Found. | ok | 1.5 s", "process | npm start | exited, status 3, ended by TERM | failed",
		"process | listening", "preview | https://host.example/path | ready", "other | telegram | Stop.", "call | a tool | result of an earlier call | x | ok",
	}, lines)
}

// evil are texts that would do something if they were not taken for text.
var evil = []string{
	`<script>alert(1)</script>`, `</pre></details><img src="https://evil.example/x.png" onerror="alert(1)">`, `"><svg onload=alert(1)>`,
	`' onmouseover='alert(1)`, "```\n# A heading of the page\n<script>alert(1)</script>", "````` \n~~~\n</article>", "javascript:alert(1)",
	"[click](javascript:alert(1)) ![x](https://evil.example/x.png) <https://evil.example>", "<!-- ", "]]>", "<style>*{display:none}</style>",
	"&lt;script&gt;&#0;&#x202e;", "{{.Policy}}", "a\x00\x1b]0;title\x07\x1b[2J\u202e\u2028\ufffe",
	"- - - - - - - - - x", "**`a**`", "1. ```\nno end", "http-equiv=refresh", "<base href=https://evil.example>", "www.evil.example me@evil.example",
}

// evilSession has a text in every place that a page shows.
func evilSession(hub *codertest.Hub, text string) string {
	picture := []byte("\x89PNG\r\n\x1a\n" + text)
	members := map[string]any{
		"thinking": text, "toolName": text, "toolCallId": "1", "toolArgs": map[string]any{text: text, "command": text, "deep": []any{text}},
		"taskId": text, "author": map[string]any{"displayName": text},
		"runtime": map[string]any{"command": text, "args": []any{text}, "status": text, "signal": text},
		"preview": map[string]any{"url": "https://host/" + text, "status": text},
		"attachments": []any{
			map[string]any{"type": "image", "name": text, "content": base64.StdEncoding.EncodeToString(picture)},
			map[string]any{"type": "image", "name": text, "url": "data:image/svg+xml;base64," + base64.StdEncoding.EncodeToString([]byte(text))},
			map[string]any{"type": "image", "name": text, "url": "data:image/png," + text},
			map[string]any{"type": text, "name": text, "content": text, "url": text, "mimeType": text},
			map[string]any{"type": text, "url": "https://evil.example/" + text},
		},
	}
	var entries []codertest.ReplayEntry
	for _, kind := range []coder.ConversationEntryType{
		coder.EntryUserPrompt, coder.EntryMessage, coder.EntryThinking, coder.EntryToolCall, coder.EntryToolResult, coder.EntryToolResult, coder.EntryTaskResult,
		coder.EntryRuntimeStatus, coder.EntryRuntimeOutput, coder.EntryRuntimePreview, coder.EntryTurn, coder.ConversationEntryType(text),
	} {
		entries = append(entries, codertest.ReplayEntry{Type: kind, Agent: text, Content: text, Members: members})
	}
	s := hub.AddSession(codertest.Session{
		Task: text + text, Label: text, Status: text, Owner: coder.SessionOwner{UserID: text, Name: text}, DefaultAgent: text, Tags: []string{text}, Entries: entries,
	})
	s.Set("error", text)
	s.Set("repo", map[string]any{"fullName": text, "branch": text})
	s.Set("workspace", map[string]any{"id": text, "name": text, "scope": "org"})
	s.Set("tasks", []any{
		map[string]any{"taskId": text, "agent": text, "status": "failed", "prompt": text, "error": text},
		map[string]any{"taskId": "2", "agent": text, "status": text, "prompt": text, "result": text},
	})
	s.SetTodos(codertest.Todo{Title: text, Status: coder.SessionTodoStatus(text), Assignee: coder.SessionTodoAssignee{ID: text, Name: text}})
	return s.ID()
}

// TestEvilTexts: whatever is said, a page of HTML has the elements and attributes of its template, and loads nothing.
func TestEvilTexts(t *testing.T) {
	for _, text := range evil {
		hub, client := newHub(t)
		id := evilSession(hub, text)
		page := pageOf(t, client, id, pages["html"])
		elements := sound(t, page)
		assert.Equal(t, 1, elements["style"], text)
		assert.Equal(t, 5, elements["meta"], text)
		assert.Equal(t, 1, elements["img"], text)
		assert.NotContains(t, page, "ZgotmplZ")
		assert.Contains(t, page, "image/png;base64,"+base64.StdEncoding.EncodeToString([]byte("\x89PNG\r\n\x1a\n" + text))[:8])
		for _, r := range page {
			assert.True(t, r == '\n' || r == '\t' || r >= ' ' && r != '\u202e' && r != '\u2028' && r != 0x7f, "%q", r)
		}
	}
}

// TestEvilTextsInMarkdown: outside of fences there is nothing that a renderer takes for more than text.
func TestEvilTextsInMarkdown(t *testing.T) {
	for _, text := range evil {
		hub, client := newHub(t)
		outside, fence := "", ""
		for line := range strings.Lines(pageOf(t, client, evilSession(hub, text), pages["md"])) {
			line = strings.TrimSuffix(line, "\n")
			switch {
			case fence == "" && strings.HasPrefix(line, "```"):
				fence = line
				assert.Empty(t, strings.Trim(fence, "`"))
			case fence == "":
				outside += line + "\n"
			case strings.HasPrefix(line, fence) && strings.Trim(line, "`") == "":
				fence = ""
			}
		}
		assert.Empty(t, fence, "a fence without an end for %q", text)
		bare := regexp.MustCompile(`\\.`).ReplaceAllString(outside, "")
		bare = strings.NewReplacer("- [ ] ", "- ", "- [x] ", "- ").Replace(bare)
		assert.NotRegexp(t, "[<>`~|!\\[\\]]|://|www\\.|\\w@", bare, "%q", text)
		for line := range strings.Lines(bare) {
			assert.Regexp(t, `^(\n|#{1,4} |- |[A-Z])`, line, "%q", text)
		}
	}
}

func TestAnEmptySession(t *testing.T) {
	hub, client := newHub(t)
	id := hub.AddSession(codertest.Session{Entries: []codertest.ReplayEntry{}}).ID()
	html := pageOf(t, client, id, pages["html"])
	sound(t, html)
	assert.Contains(t, html, "Nothing was said.")
	assert.Contains(t, html, fmt.Sprintf("<title>%s</title>", id))
	assert.Contains(t, pageOf(t, client, id, pages["md"]), "Nothing was said.")
}
