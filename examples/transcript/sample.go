package main

import (
	"strings"
	"time"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// sample adds a session that is over to a Hub, with some of everything that a page shows, and returns its id.
func sample(hub *codertest.Hub) string {
	began := time.Date(2026, 1, 15, 9, 30, 0, 0, time.UTC)
	at := func(seconds int) time.Time { return began.Add(time.Duration(seconds) * time.Second) }
	said := func(seconds int, kind coder.ConversationEntryType, content string, members map[string]any) codertest.ReplayEntry {
		e := codertest.ReplayEntry{Type: kind, Content: content, Members: members, Time: at(seconds)}
		if kind != coder.EntryUserPrompt {
			e.Agent = "lead"
		}
		return e
	}
	calls := func(seconds int, id, tool string, args map[string]any) codertest.ReplayEntry {
		return said(seconds, coder.EntryToolCall, "", map[string]any{"toolName": tool, "toolCallId": id, "toolArgs": args})
	}
	returns := func(seconds int, id, tool, content string, isError bool, elapsed int) codertest.ReplayEntry {
		return said(seconds, coder.EntryToolResult, content,
			map[string]any{"toolName": tool, "toolCallId": id, "isError": isError, "elapsedMs": elapsed})
	}
	scout := map[string]any{"agent": "scout", "taskId": "task_1"}
	ended := map[string]any{"message": map[string]any{
		"role": "assistant", "stopReason": "stop", "content": []any{map[string]any{"type": "text", "text": "Done."}},
	}}
	s := hub.AddSession(codertest.Session{
		Task: "Export invoices as CSV", Label: "Export invoices as CSV",
		Owner: coder.SessionOwner{UserID: "user_sample", Name: "Sam Okafor"}, DefaultAgent: "lead",
		Tags: []string{"billing", "export"}, Created: began, Status: "archived",
		Events: []codertest.Event{
			{Event: coder.EventSessionStart, Time: began},
			{Event: coder.EventAgentStart, Time: at(5)},
			{Event: coder.EventMessageEnd, Payload: ended, Time: at(290)},
			{Event: coder.EventAgentEnd, Time: at(290)},
		},
		Entries: []codertest.ReplayEntry{
			said(5, coder.EntryUserPrompt, "Export invoices as CSV. The button belongs where the marked place in the picture is.\n\n"+
				"Amounts need two decimals, and a comma in a name must not break the file.", map[string]any{"attachments": []any{
				map[string]any{"type": "image", "name": "invoices.png", "mimeType": "image/png", "content": samplePicture},
				map[string]any{"type": "url", "name": "How we write CSV", "url": "https://wiki.example/csv"},
			}}),
			said(9, coder.EntryThinking, "Is there an exporter already?\nIf so, it knows how amounts are written.", nil),
			said(11, coder.EntryMessage, "I will look for an exporter, and ask the scout who uses the list.", nil),
			calls(12, "call_1", "grep", map[string]any{"pattern": "export|csv", "path": "src"}),
			calls(12, "call_2", "task", map[string]any{"agent": "scout", "description": "Who uses the list of invoices?"}),
			returns(12, "call_1", "grep", "src/export.ts:12:export function toJSON(list: Invoice[]) {\nsrc/money.ts:4:export const decimals = 2", false, 84),
			said(20, coder.EntryMessage, "The page `src/pages/invoices.tsx`, and nothing else.", scout),
			returns(31, "call_2", "task", "The page src/pages/invoices.tsx, and nothing else.", false, 18_400),
			calls(60, "call_3", "write", map[string]any{
				"path":    "src/csv.ts",
				"content": "export function toCSV(list: Invoice[]): string {\n\tconst cell = (s: string) => /[\",\\n]/.test(s) ? `\"${s.replaceAll('\"', '\"\"')}\"` : s\n\treturn list.map(i => [cell(i.name), i.amount.toFixed(2)].join(',')).join('\\n')\n}\n",
			}),
			returns(60, "call_3", "write", "ok", false, 12),
			calls(70, "call_4", "bash", map[string]any{"command": "npm test -- csv"}),
			returns(83, "call_4", "bash", "\x1b[31mFAIL\x1b[0m src/csv.test.ts\n  expected \"Doe, Jane\" in quotes, got Doe, Jane\n", true, 12_804),
			said(95, coder.EntryThinking, "The test writes the name itself. It has to go through cell as well.", nil),
			calls(110, "call_5", "edit", map[string]any{"path": "src/csv.test.ts", "oldText": "row(name)", "newText": "row(cell(name))"}),
			returns(110, "call_5", "edit", "ok", false, 9),
			calls(120, "call_6", "bash", map[string]any{"command": "npm test -- --verbose"}),
			returns(171, "call_6", "bash", strings.Repeat("ok  a test of the invoices, which passes as it did before\n", 600)+"612 tests, 612 passed\n", false, 50_911),
			said(180, coder.EntryMessage, "The exporter writes CSV, and the button is there.\n\n## What has changed\n\n"+
				"1. `src/csv.ts` is new: **two decimals**, and quotes where a name has a comma.\n"+
				"2. `src/pages/invoices.tsx` has the button:\n   - beside the filter, as in the picture\n   - hidden while the list is empty\n\n"+
				"```ts\nconst file = new Blob([toCSV(list)], { type: 'text/csv' })\n```\n\nAll 612 tests pass.", nil),
			said(240, coder.EntryUserPrompt, "Does Excel open it with umlauts, <b>Müller & Söhne</b> for example?", nil),
			said(262, coder.EntryThinking, "Excel takes a file for Latin-1 unless it begins with a byte order mark.", nil),
			calls(270, "call_7", "edit", map[string]any{"path": "src/csv.ts", "oldText": "return list", "newText": "return '\\ufeff' + list"}),
			returns(270, "call_7", "edit", "ok", false, 8),
			said(290, coder.EntryMessage, "It does now: the file begins with a byte order mark.", nil),
		},
	})
	s.Set("tasks", []any{map[string]any{
		"taskId": "task_1", "agent": "scout", "status": "completed", "prompt": "Who uses the list of invoices?",
		"startedAt": at(13), "completedAt": at(31), "duration": 18_400, "result": "The page src/pages/invoices.tsx, and nothing else.",
	}})
	s.Set("usage", map[string]any{"inputTokens": 182_334, "outputTokens": 20_411, "reasoningTokens": 3_020, "costUsd": 1.87})
	s.SetTodos(
		codertest.Todo{Title: "Write amounts with two decimals", Status: coder.TodoDone, Assignee: coder.SessionTodoAssignee{ID: "lead"}},
		codertest.Todo{Title: "Hide the button while the list is empty", Status: coder.TodoDone, Assignee: coder.SessionTodoAssignee{ID: "lead"}},
		codertest.Todo{Title: "Export what is filtered only", Status: coder.TodoOpen},
	)
	return s.ID()
}

// samplePicture is a PNG of 240 by 72 pixels.
const samplePicture = "iVBORw0KGgoAAAANSUhEUgAAAPAAAABIBAMAAAA64mW5AAAAD1BMVEX///8LV9DEKBzIzdR4gIpo/wHtAAAAbUlEQVR42u3WwQ1AMBiG4SYmsIIJJFaw" +
	"/0xuOFUTbf7S5z2Lx8Gn0hxUAoPBYDAYfMLST9uqdN1vyXaD1xpPP/UA564Dg8FgcB9w6SERdixK8kv96mszWPtjYNnx93fc6CUfD7ZjOw7YMVgq7QAg" +
	"VU/ybZ/jQwAAAABJRU5ErkJggg=="
