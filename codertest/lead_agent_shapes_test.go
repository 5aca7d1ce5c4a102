package codertest_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/codertest"
)

// members are the members of events with their kinds, as paths such as "message_end
// assistant message.usage.cost.total:float64", with how often each was there. A path without a member
// counts the events.
type members map[string]int

// add counts the members of an event: free ones, such as the arguments of tools,
// as one.
func (m members) add(name string, payload map[string]any) {
	if message, ok := payload["message"].(map[string]any); ok {
		name += fmt.Sprint(" ", message["role"])
		if message["stopReason"] == "error" || message["stopReason"] == "aborted" {
			name += "-failed"
		}
	}
	if update, ok := payload["assistantMessageEvent"].(map[string]any); ok {
		name += fmt.Sprint(" ", update["type"])
	}
	m[name]++
	m.walk(name, "", payload)
}

// free are members whose own members differ, or are those of other events.
var free = []string{
	"args", "arguments", "input", "messages", "context", "partial", "details", "structuredContent", "systemPromptOptions",
	"sections", "toolsAdded", "preparation", "branchEntries", "compactionEntry", "toolResults", "entry", "result", "partialResult",
}

func (m members) walk(name, prefix string, object map[string]any) {
	for member, value := range object {
		if member == "(members)" {
			continue // what the recording says of itself
		}
		path := prefix + member
		m[name+" "+path+":"+kind(value)]++
		if inner, ok := value.(map[string]any); ok && !slices.Contains(free, member) {
			m.walk(name, path+".", inner)
		}
	}
}

// recordedMembers are those of the whole recordings of a version.
func recordedMembers(t *testing.T, version string, dialect codertest.AgentDialect) members {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "testdata", "agent", version, "*.jsonl"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	found := make(members)
	for _, file := range files {
		recording, err := os.Open(file)
		require.NoError(t, err)
		lines := bufio.NewScanner(recording)
		lines.Buffer(nil, 64<<20)
		for lines.Scan() {
			var line struct {
				Channel, Direction string
				Frame              any
			}
			require.NoError(t, json.Unmarshal(lines.Bytes(), &line))
			frame, _ := line.Frame.(map[string]any)
			switch {
			case dialect == codertest.DialectRPC && line.Channel == "pi-stdout" && frame["type"] != "response":
				found.add(frame["type"].(string), frame)
			case dialect == codertest.DialectExtension && line.Channel == "lead" && line.Direction == "c2s" && frame["type"] == "event":
				found.add(frame["event"].(string), frame["data"].(map[string]any))
			}
		}
		require.NoError(t, lines.Err())
		require.NoError(t, recording.Close())
	}
	return found
}

// beside are members that only other recordings have, which are not kept whole.
var beside = []string{
	"auto_retry_end finalError:string", "compaction_end errorMessage:string", "input streamingBehavior:string",
	"message_end assistant-failed message.responseId:string", "turn_end assistant-failed message.responseId:string", // aborted in the middle
}

// ahead are members of a message that is whole. The recorded model was so quick
// that the extension had them before the end.
var ahead = []string{
	"message.durationMs:float64", "message.rawStopReason:string",
	"message.usage.cost.totalFromProvider:bool", "message.usage.reasoning:float64",
}

// What the Hub's own agent reports has the members that the recorded one reports,
// and no others.
func TestAgentHasTheRecordedMembers(t *testing.T) {
	for dialect, recordings := range map[codertest.AgentDialect][]played{
		codertest.DialectRPC: overRPC, codertest.DialectExtension: overExtension,
	} {
		for _, version := range []string{"0.74.2", "1.6.0"} {
			t.Run(fmt.Sprint(dialect, " ", version), func(t *testing.T) {
				recorded := recordedMembers(t, version, dialect)
				own := make(members)
				for _, recording := range recordings {
					for _, event := range ownHistory(t, recording, dialect, version) {
						if event.name != "session_start" { // of the Hub
							own.add(event.name, event.payload)
						}
					}
				}
				for _, path := range slices.Sorted(maps.Keys(own)) {
					event := eventOf(path, recorded)
					if event == "" || slices.Contains(beside, path) {
						continue
					}
					assert.Contains(t, recorded, path, "the recorded agent does not say this")
				}
				for _, path := range slices.Sorted(maps.Keys(recorded)) {
					event := eventOf(path, own)
					if event == "" || recorded[path] < recorded[event] { // it is not always there
						continue
					}
					if early := strings.HasPrefix(event, "message_update") && !strings.HasSuffix(event, "_end"); early &&
						slices.Contains(ahead, strings.TrimPrefix(path, event+" ")) {
						continue
					}
					assert.Contains(t, own, path, "the recorded agent always says this")
				}
			})
		}
	}
}

// eventOf is the event that a path belongs to, or nothing if it is not among the
// events.
func eventOf(path string, events members) string {
	for {
		i := strings.LastIndexByte(path, ' ')
		if i < 0 {
			return ""
		}
		path = path[:i]
		if _, ok := events[path]; ok && !strings.Contains(path, ".") {
			return path
		}
	}
}
