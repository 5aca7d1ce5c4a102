package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/examples/internal/transcript"
)

type transcriptArguments struct {
	SessionID string `json:"session_id" jsonschema:"the id of the session"`
	Cursor    string `json:"cursor,omitzero" jsonschema:"where to go on: next_cursor of the page before; leave it out for the beginning"`
	Last      int    `json:"last,omitzero" jsonschema:"begin so many entries before the end, and not at the beginning; not together with cursor"`
	Limit     int    `json:"limit,omitzero" jsonschema:"how many entries to return at most; a page with long ones has fewer"`
}

type transcriptResult struct {
	SessionID  string  `json:"session_id"`
	Entries    []entry `json:"entries" jsonschema:"the page, oldest first"`
	More       bool    `json:"more" jsonschema:"there is more now: call again with next_cursor"`
	NextCursor string  `json:"next_cursor" jsonschema:"where to go on; also where more is false, for what is said later"`
}

// entry is something that was said or done, or a part of it.
type entry struct {
	Number    int    `json:"number" jsonschema:"counts the entries of the session from 1"`
	Who       string `json:"who" jsonschema:"user, agent or tool; agent NAME, task ID for an agent that works for another"`
	Kind      string `json:"kind" jsonschema:"the Hub's word, such as user_prompt, message, thinking, tool_call or tool_result"`
	Text      string `json:"text"`
	Continues bool   `json:"continues,omitzero" jsonschema:"the entry is longer: its next part begins the next page"`
}

func (r *transcriptResult) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Transcript of session %s:\n", r.SessionID)
	for _, e := range r.Entries {
		fmt.Fprintf(&b, "\n#%d %s (%s)\n%s\n", e.Number, e.Who, e.Kind, e.Text)
	}
	if r.More {
		fmt.Fprintf(&b, "\nThere is more: call read_transcript with cursor %s.\n", r.NextCursor)
	} else {
		fmt.Fprintf(&b, "\nThat is all so far. What is said later is behind cursor %s.\n", r.NextCursor)
	}
	return b.String()
}

// cursor is a place in a transcript: so many entries are read, and so many bytes of the next one.
type cursor struct{ entries, bytes int }

func (c cursor) String() string {
	if c.bytes == 0 {
		return strconv.Itoa(c.entries)
	}
	return fmt.Sprintf("%d.%d", c.entries, c.bytes)
}

func parseCursor(text string) (c cursor, err error) {
	if text == "" {
		return c, nil
	}
	entries, bytes, parted := strings.Cut(text, ".")
	c.entries, err = strconv.Atoi(entries)
	if err == nil && parted {
		c.bytes, err = strconv.Atoi(bytes)
	}
	if err != nil || c.entries < 0 || c.bytes < 0 {
		return c, badCursor()
	}
	return c, nil
}

func badCursor() error {
	return &badArgument{"cursor", "must be a next_cursor of this session, or be left out"}
}

// head is what an entry takes in JSON besides its text, at most.
const head = 300

// transcript returns a page. A Hub may ignore an offset, so that the transcript is always read from its beginning: nothing is
// kept of what is passed over.
func (s *server) transcript(ctx context.Context, _ *mcp.CallToolRequest, in transcriptArguments) (*transcriptResult, error) {
	at, err := parseCursor(in.Cursor)
	if err != nil {
		return nil, err
	}
	if in.Last > 0 {
		if in.Cursor != "" {
			return nil, &badArgument{"last", "must not be together with cursor"}
		}
		total, err := s.entries(ctx, in.SessionID)
		if err != nil {
			return nil, err
		}
		at.entries = max(0, total-in.Last)
	}
	r := &transcriptResult{SessionID: in.SessionID, Entries: []entry{}}
	n, room := 0, mostOfText
	for e, err := range s.client.ReplayEntries(ctx, in.SessionID, nil) {
		if err != nil {
			return nil, err
		}
		if n++; n <= at.entries {
			continue
		}
		text := body(&e)
		if at.bytes > len(text) {
			return nil, badCursor()
		}
		text = transcript.Clean(text[at.bytes:]) // it is clean, but may begin within a rune if the cursor is wrong
		if len(r.Entries) == in.Limit || room < 2*head && len(r.Entries) > 0 {
			r.More = true
			break
		}
		fit := fits(text, room-head)
		r.Entries = append(r.Entries, entry{Number: n, Who: who(&e), Kind: word(string(e.Type)), Text: text[:fit], Continues: fit < len(text)})
		if fit < len(text) {
			at.bytes += fit
			r.More = true
			break
		}
		room -= head + size(text)
		at = cursor{entries: n}
	}
	if n < at.entries {
		return nil, badCursor()
	}
	r.NextCursor = at.String()
	return r, nil
}

// entries is how many a transcript has.
func (s *server) entries(ctx context.Context, sessionID string) (n int, err error) {
	for _, err := range s.client.ReplayEntries(ctx, sessionID, nil) {
		if err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}

// who has said or done something.
func who(e *coder.ConversationEntry) string {
	switch e.Type {
	case coder.EntryUserPrompt:
		return "user"
	case coder.EntryToolResult, coder.EntryRuntimeOutput, coder.EntryRuntimeStatus, coder.EntryRuntimePreview:
		return "tool"
	}
	if e.TaskID != "" {
		return "agent " + word(cmp.Or(e.Agent, "?")) + ", task " + word(e.TaskID)
	}
	return "agent"
}

// body is all there is to an entry, as a text.
func body(e *coder.ConversationEntry) string {
	text := e.Content
	if e.Thinking != "" && e.Thinking != e.Content {
		text = paragraphs("(thinking) "+e.Thinking, text)
	}
	switch e.Type {
	case coder.EntryToolCall:
		args, _ := json.Marshal(e.ToolArgs) // it comes from JSON
		text = paragraphs(e.ToolName+" "+string(args), text)
	case coder.EntryToolResult:
		if e.IsError != nil && *e.IsError {
			text = paragraphs("(failed)", text)
		}
		text = paragraphs(e.ToolName, text)
	}
	return transcript.Clean(text)
}
