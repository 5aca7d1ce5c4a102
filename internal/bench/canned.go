package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
)

// The texts that the server answers with, and what a client must have found in them. A client that
// reads nothing would be fast.

const (
	sessionID   = "codesess_7f3a9c21b4e0"
	branch      = "feature/oauth"
	samplesPath = "../../testdata/responses/"
)

// sessionJSON is a session of about 1.2 KB with every member of the list item and the detail. The
// members that the Hub adds for its own web page are left out.
func sessionJSON() ([]byte, error) {
	return sample("session-get.json", func(s map[string]json.RawMessage) {
		for _, companion := range []string{
			"participants", "tasks", "agentActivity", "stream", "streamId", "streamUrl", "context", "usage", "repos",
		} {
			delete(s, companion)
		}
	})
}

// itemJSON is a session as lists have it: without the members of the detail, and with three that no
// client knows if they are asked for.
func itemJSON(unknown bool) ([]byte, error) {
	session, err := sessionJSON()
	if err != nil {
		return nil, err
	}
	return edit(session, func(s map[string]json.RawMessage) {
		for _, detail := range []string{"task", "env", "metadata", "updatedAt"} {
			delete(s, detail)
		}
		if unknown {
			s["priority"] = json.RawMessage(`"high"`)
			s["costCents"] = json.RawMessage(`1250`)
			s["review"] = json.RawMessage(`{"state":"open","by":["user_01k2dana7q"]}`)
		}
	})
}

func sample(name string, change func(map[string]json.RawMessage)) ([]byte, error) {
	text, err := os.ReadFile(samplesPath + name)
	if err != nil {
		return nil, fmt.Errorf("run it in the folder internal/bench: %w", err)
	}
	return edit(text, change)
}

func edit(text []byte, change func(map[string]json.RawMessage)) ([]byte, error) {
	var s map[string]json.RawMessage
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, err
	}
	change(s)
	return json.Marshal(s)
}

// listJSON is a list of n sessions.
func listJSON(item []byte, n int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"sessions":{"websocket":[`)
	b.Write(bytes.Repeat(append(bytes.Clone(item), ','), n-1))
	b.Write(item)
	fmt.Fprintf(&b, `],"sandbox":[]},"total":%d}`, n)
	return b.Bytes()
}

// replayPart is 1 MB of the entries of a replay, each with a comma behind it: what an agent says and
// thinks, the tools it calls, and what those return, which is the most of it.
type replayPart struct {
	text    []byte
	entries int
	chars   int // of all contents
}

const (
	replayHead = `{"sessionId":%q,"entriesSource":"session_entries","entries":[`
	replayTail = `{"type":"turn","timestamp":1764662402000}]}` // one entry more
)

func newReplayPart() replayPart {
	const said = "The exporter now writes CSV, and the tests that cover it pass. Next is the import, which reads what it wrote. "
	const source = `\tif err := writer.Write(record); err != nil {\n\t\treturn fmt.Errorf(\"row %d: %w\", row, err)\n\t}\n`
	const members = `"agent":"lead","turnId":"turn_12","sequence":1201,"timestamp":1764662402000`
	var entries [][]byte
	chars := 0
	add := func(kind, more, content string) {
		entries = append(entries, fmt.Appendf(nil, `{"type":"%s",%s%s,"content":"%s"},`, kind, members, more, content))
		var text string
		if err := json.Unmarshal([]byte(`"`+content+`"`), &text); err != nil {
			panic(err) // one of the constants above
		}
		chars += len(text)
	}
	const call = `,"toolName":"read","toolCallId":"call_81c2"`
	add("message", "", said)
	add("tool_call", call+`,"toolArgs":{"path":"internal/export/csv.go","offset":120,"limit":80}`, "")
	add("tool_result", call+`,"isError":false`, strings.Repeat(source, 80))
	add("thinking", "", strings.Repeat(said, 6))
	add("message", "", strings.Repeat(said, 3))
	one := bytes.Join(entries, nil)
	times := 1_000_000 / len(one)
	return replayPart{bytes.Repeat(one, times), times * len(entries), times * chars}
}

const (
	messageHead = `{"type":"broadcast","event":"message_update","category":"message",` +
		`"data":{"assistantMessageEvent":{"type":"text_delta","delta":"`
	messageTail = `"},"agent":"lead"},"sessionId":"` + sessionID + `","timestamp":1768473737522}`
	eventHead   = "event: broadcast\ndata: "
	eventTail   = "\n\n"
	// The event after which a session is over.
	lastEvent = eventHead + `{"type":"broadcast","event":"session_shutdown","category":"session",` +
		`"data":{},"sessionId":"` + sessionID + `","timestamp":1768473737523}` + eventTail
)

// message is one broadcast of that many bytes.
func message(size int) []byte {
	return []byte(messageHead + strings.Repeat("x", size-len(messageHead)-len(messageTail)) + messageTail)
}

// event is one broadcast of that many bytes, framing included.
func event(size int) []byte {
	return slices.Concat([]byte(eventHead), message(size-len(eventHead)-len(eventTail)), []byte(eventTail))
}
