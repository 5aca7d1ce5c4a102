package coder

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/internal/sse"
	"github.com/agentuity/coder-go/internal/wire"
)

// FuzzServerMessage: whatever a Hub sends is a message, and nothing that was not understood is lost.
func FuzzServerMessage(f *testing.F) {
	files, err := filepath.Glob("testdata/stream/ws-*.json")
	require.NoError(f, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(f, err)
		var transcript struct {
			Frames []struct {
				Frame json.RawMessage `json:"frame"`
			} `json:"frames"`
		}
		if wire.Unmarshal(text, &transcript) != nil || transcript.Frames == nil { // a list of rejections
			require.NoError(f, wire.Unmarshal(text, &transcript.Frames))
		}
		require.NotEmpty(f, transcript.Frames)
		for _, frame := range transcript.Frames {
			f.Add([]byte(frame.Frame))
		}
	}
	for _, frame := range []string{
		``, `{`, `null`, `[]`, `{"type":null}`, `{"type":"broadcast","data":[]}`, `{"id":"1","actions":[null,{"action":7}]}`,
		`{"type":"broadcast","event":"rpc_event","data":{"event":{"type":[]}}}`, `{"type":"broadcast","type":"pong"}`,
	} {
		f.Add([]byte(frame))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		m := decodeServerMessage(raw)
		require.NotNil(t, m)
		switch m := m.(type) {
		case *UnknownMessage:
			assert.Equal(t, string(raw), string(m.Raw))
		case *HubResponse:
			assert.NotEmpty(t, m.ID)
			for _, a := range m.Actions {
				assert.NotNil(t, a)
			}
		case *BroadcastEventMessage:
			assert.NotEmpty(t, m.Event)
			assert.NoError(t, m.Decode(new(map[string]any)))
			assert.NotNil(t, m.AgentEvent())
		case *RPCEventMessage:
			assert.NoError(t, m.Decode(new(map[string]any)))
			assert.NotNil(t, m.AgentEvent())
		case *RPCResponseMessage:
			_ = wire.Unmarshal(m.Response.Data, new([]RPCMessage))
		}
		h := &HubConn{client: &Client{}, sessionID: "s", calls: map[callID]*hubCall{}}
		call := &hubCall{callID: callID{false, "1"}, answer: make(chan callAnswer, 1)}
		h.await(call)
		h.settle(raw)
		_ = h.refusal(raw)
	})
}

// FuzzBroadcast: a broadcast that is decoded quickly is the one that is decoded otherwise, on both channels.
func FuzzBroadcast(f *testing.F) {
	for _, file := range []string{"testdata/stream/*.sse", "internal/sse/testdata/*.sse"} {
		files, err := filepath.Glob(file)
		require.NoError(f, err)
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(f, err)
			for line := range bytes.Lines(text) {
				if data, ok := bytes.CutPrefix(line, []byte("data: ")); ok {
					f.Add(bytes.TrimSpace(data))
				}
			}
		}
	}
	for _, text := range []string{
		fmt.Sprintf(benchBroadcast, "x"), `{"event":"x","data":{}}`, `{"type":"pong","event":"x","data":{}}`, `{"event":"x","data":[]}`, `{"event":"x"}`,
		`{"type":"broadcast","event":"rpc_event","data":{"event":{"type":"turn_end"}},"sessionId":"s"}`,
		`{"type":"broadcast","event":"rpc_response","data":{"response":{"success":true}},"timestamp":0}`, `{"type":"","event":"x","data":{},"category":""}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		block := sse.Event{Name: typeBroadcast, Data: text}
		if event := quickEvent(block, "s"); event != nil {
			require.Equal(t, decodeObserverEvent(block), event)
		}
		if m := new(BroadcastEventMessage); m.quickly(text, "") {
			require.Equal(t, decodeServerBroadcast(text), m.unwrapped())
		}
	})
}
