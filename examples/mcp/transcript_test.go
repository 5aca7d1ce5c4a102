package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// TestPages: the pages of a transcript together have everything, once and in order.
func TestPages(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub, u *user) {
		hub.Answer(
			codertest.AgentTurn{Thinking: "Hm.", Text: "I look.", Tools: []codertest.AgentTool{
				{Name: "bash", Args: map[string]any{"command": "cat log", "n": 7}, Result: strings.Repeat("\"line\"\n", 15_000)},
				{Name: "read", Args: map[string]any{"path": "x"}, Result: "no such file", IsError: true},
			}},
			codertest.AgentTurn{Text: strings.Repeat("ä<ö>", 20_000)},
		)
		id := u.start("Read the log")
		call[turn](u, "wait_session", args{"session_id": id})
		for i := range 12 {
			hub.Answer(codertest.AgentTurn{Text: fmt.Sprint("Answer ", i)})
			call[turn](u, "ask_session", args{"session_id": id, "prompt": fmt.Sprint("Prompt ", i)})
		}
		for _, limit := range []int{1, 7, 100} {
			texts, who := map[int]string{}, map[int]string{}
			last, cursor, pages, spoken := 0, "", 0, ""
			for more := true; more; pages++ {
				page, said := call[transcriptResult](u, "read_transcript", args{"session_id": id, "cursor": cursor, "limit": limit})
				require.NotEmpty(t, page.Entries)
				assert.LessOrEqual(t, len(page.Entries), limit)
				for i, e := range page.Entries {
					if continued := e.Number == last; !continued {
						assert.Equal(t, last+1, e.Number)
					} else {
						assert.Zero(t, i)
					}
					last = e.Number
					texts[e.Number] += e.Text
					who[e.Number] = e.Who + " " + e.Kind
					assert.Contains(t, said, e.Text)
				}
				more, cursor = page.More, page.NextCursor
				assert.Equal(t, more, strings.Contains(said, "There is more: call read_transcript with cursor "+cursor))
				spoken += said
			}
			entries := hub.Session(id).Entries()
			require.Len(t, texts, len(entries))
			for i, e := range entries {
				assert.Contains(t, texts[i+1], e.Content, "#%d", i+1)
				if e.Type != coder.EntryToolCall && e.Type != coder.EntryToolResult && e.Thinking == "" {
					assert.Equal(t, e.Content, texts[i+1], "and nothing besides")
				}
			}
			assert.Equal(t, "user user_prompt", who[1])
			assert.Contains(t, spoken, "bash {\"command\":\"cat log\",\"n\":7}")
			assert.Contains(t, spoken, "(failed)\n\nno such file")
			assert.Greater(t, pages, len(entries)/limit)

			// What is said later is behind the last cursor.
			page, said := call[transcriptResult](u, "read_transcript", args{"session_id": id, "cursor": cursor})
			assert.Empty(t, page.Entries)
			assert.Contains(t, said, "That is all so far.")
			call[turn](u, "ask_session", args{"session_id": id, "prompt": "One more"})
			page, _ = call[transcriptResult](u, "read_transcript", args{"session_id": id, "cursor": cursor})
			require.NotEmpty(t, page.Entries)
			assert.Equal(t, "One more", page.Entries[0].Text)
		}
		entries := hub.Session(id).Entries()
		for last, first := range map[int]int{1: len(entries), 3: len(entries) - 2, len(entries): 1, 5000: 1} {
			page, _ := call[transcriptResult](u, "read_transcript", args{"session_id": id, "last": last})
			assert.Equal(t, first, page.Entries[0].Number)
			assert.Equal(t, last > 20, page.More)
			if !page.More {
				assert.Equal(t, entries[len(entries)-1].Content, page.Entries[len(page.Entries)-1].Text)
			}
		}
		assert.Contains(t, u.fails("read_transcript", args{"session_id": id, "last": 3, "cursor": "2"}), "the argument last is wrong")
		assert.Contains(t, u.fails("read_transcript", args{"session_id": id, "last": 0}), "/properties/last")
		for _, cursor := range []string{"9999", "0.99999", "1.5.2", "x"} {
			assert.Contains(t, u.fails("read_transcript", args{"session_id": id, "cursor": cursor}), "the argument cursor is wrong", cursor)
		}
	})
}
