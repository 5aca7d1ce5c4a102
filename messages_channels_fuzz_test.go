package coder

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/internal/sse"
	"github.com/agentuity/coder-go/internal/wire"
)

// FuzzChannels: an event of an agent is the same one to a controller, to an observer and in the history, and nothing of what
// a stream brings is lost.
func FuzzChannels(f *testing.F) {
	for name := range newAgentEvent {
		f.Add(name, []byte(`{"type":"`+name+`","message":{"role":"assistant","content":[{"type":"text","text":"x"}]},"timestamp":1}`))
	}
	for _, pattern := range []string{"testdata/stream/*.json", "testdata/responses/session-events-*.json"} {
		files, err := filepath.Glob(pattern)
		require.NoError(f, err)
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(f, err)
			var history SessionEventHistory
			if wire.Unmarshal(text, &history) == nil {
				for _, e := range history.Events {
					f.Add(e.Event, []byte(e.Payload))
				}
			}
		}
	}
	for _, name := range []string{"tool_call", "tool_execution_end", "message_update", "user_prompt", "auto_compaction_start", "snapshot", "hydration", "presence", "broadcast", "message"} {
		f.Add(name, []byte(`{"sessionId":"s","event":"turn_end","data":{"a":1},"entries":[],"args":{"n":1e400},"assistantMessageEvent":{"type":"text_delta","delta":"x"}}`))
	}
	f.Fuzz(func(t *testing.T, name string, payload []byte) {
		stream := decodeObserverEvent(sse.Event{Name: name, Data: payload})
		require.NotNil(t, stream.Data)
		if unknown, ok := stream.Data.(*UnknownMessage); ok {
			assert.Equal(t, string(payload), string(unknown.Raw))
		}

		payload = bytes.Trim(payload, " \t\r\n") // what surrounds a value does not come along
		// A Hub puts the event into JSON. What is no JSON does not come as far.
		if !jsontext.Value(payload).IsValid() || len(payload) == 0 || payload[0] != '{' {
			return
		}
		name = strings.ToValidUTF8(name, "")
		quoted, err := jsontext.AppendQuote(nil, name)
		require.NoError(t, err)
		history := SessionEvent{Event: name, Payload: payload}
		want := history.AgentEvent()
		require.NotNil(t, want)
		if name == "" || name == typeRPCEvent || name == typeRPCResponse || name == typeRPCUIRequest {
			return // what only wraps
		}
		text := `{"type":"broadcast","event":` + string(quoted) + `,"data":` + string(payload) + `,"sessionId":"s"}`
		broadcast, ok := decodeServerMessage([]byte(text)).(*BroadcastEventMessage)
		require.True(t, ok, "%s", text)
		assert.Equal(t, want, broadcast.AgentEvent(), "to a controller")
		observed, ok := decodeObserverEvent(sse.Event{Name: typeBroadcast, Data: []byte(text)}).Data.(*BroadcastEventMessage)
		require.True(t, ok, "%s", text)
		assert.Equal(t, want, observed.AgentEvent(), "to an observer")
		if kind := frameType(payload); kind == name {
			text = `{"type":"rpc_event","event":` + string(payload) + `,"sessionId":"s","timestamp":1}`
			rpc, ok := decodeServerMessage([]byte(text)).(*RPCEventMessage)
			require.True(t, ok, "%s", text)
			assert.Equal(t, want, rpc.AgentEvent(), "as an RPC event")
		}

		// What was heard can be told: a Conversation takes it, and can be written.
		var c Conversation
		c.Apply(broadcast)
		c.ApplyObserver(observed)
		c.ApplyEvent(history)
		out, err := json.Marshal(&c)
		require.NoError(t, err)
		assert.True(t, json.Valid(out))
	})
}
