package coder_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

// TestHubConn_Messages_Kinds: each kind of frame is decoded, and what is of no kind is kept.
func TestHubConn_Messages_Kinds(t *testing.T) {
	frames := []struct {
		frame string
		want  coder.ServerMessage
	}{
		{`{"type":"broadcast","event":"x","category":"c","data":{"a":1},"sessionId":"s","timestamp":5}`, nil},
		{`{"event":"x","data":{},"type":"broadcast"}`, &coder.BroadcastEventMessage{Event: "x", Data: jsonText(`{}`)}},
		{`{"type":"broadcast","event":"x","data":7}`, nil},
		{`{"type":"broadcast","data":{}}`, nil},
		{`{"type":"broadcast","event":"rpc_response","data":{"no":1}}`, &coder.BroadcastEventMessage{Event: "rpc_response", Data: jsonText(`{"no":1}`)}},
		{
			`{"type":"rpc_event","event":{"type":"turn_end"},"timestamp":0}`,
			&coder.RPCEventMessage{EventType: "turn_end", Event: jsonText(`{"type":"turn_end"}`), Timestamp: coder.UnixMilli{Time: time.UnixMilli(0).UTC()}, Replay: true},
		},
		{
			`{"type":"broadcast","event":"rpc_event","data":{"event":{"type":"turn_end"}},"sessionId":"s"}`,
			&coder.RPCEventMessage{EventType: "turn_end", Event: jsonText(`{"type":"turn_end"}`), SessionID: "s"},
		},
		{`{"type":"rpc_event","event":"x"}`, nil},
		{`{"type":"rpc_ui_request","id":"1","method":"shout","params":{}}`, &coder.RPCUIRequestMessage{ID: "1", Method: "shout", Params: jsonText(`{}`)}},
		{`{"type":"rpc_ui_request","method":"shout"}`, nil},
		{`{"type":"rpc_command","command":{"type":"steer","text":"x","targetAgent":"a"}}`, &coder.RPCCommandMessage{Command: coder.RPCCommand{Type: coder.CommandSteer, Text: "x", TargetAgent: "a"}}},
		{`{"type":"rpc_command"}`, nil},
		{`{"type":"init","role":"observer","tools":[{"name":"a","promptGuidelines":["x"]}]}`, &coder.HubInitMessage{Role: coder.RoleObserver, Tools: []coder.HubToolDefinition{{Name: "a", PromptGuidelines: "x"}}}},
		{`{"type":"connection_rejected","code":"a","message":"b"}`, &coder.ConnectionRejectedMessage{Code: "a", Message: "b"}},
		{`{"type":"protocol_error","code":"a","message":"b"}`, &coder.ProtocolErrorMessage{Code: "a", Message: "b"}},
		{`{"error":"after ready this is only a frame"}`, nil},
		{`{"type":"snapshot","sessionId":"s"}`, nil},
		{`{"type":7}`, nil},
		{`[1]`, nil},
		{`"x"`, nil},
		{`null`, nil},
		{`{"type":"pong"`, nil},
		{``, nil},
		{
			`{"id":"1","actions":[{"action":"ACK"},{"action":"DANCE","x":1},7,{"action":"NOTIFY","message":{"no":"text"},"level":"loud"},{"action":"RETURN"}]}`,
			&coder.HubResponse{ID: "1", Actions: []coder.HubAction{
				&coder.AckAction{}, &coder.UnknownAction{Action: "DANCE", Raw: jsonText(`{"action":"DANCE","x":1}`)}, &coder.UnknownAction{Raw: jsonText(`7`)},
				&coder.NotifyAction{Level: "loud"}, &coder.ReturnAction{},
			}},
		},
		{`{"id":"1"}`, nil},
		{`{"id":"1","actions":[]}`, &coder.HubResponse{ID: "1", Actions: []coder.HubAction{}}},
	}
	live(t, func(p *peer) {
		p.admit()
		for _, f := range frames {
			_ = p.say(f.frame)
		}
		_ = p.Write(context.Background(), websocket.MessageBinary, []byte{0, 0xff})
		p.listen()
	}, func(t *testing.T, hub *liveHub) {
		conn := connected(t, hub)
		first := next(t, conn).(*coder.BroadcastEventMessage)
		assert.Equal(t, "c", first.Category)
		assert.JSONEq(t, `{"a":1}`, string(first.Data))
		for _, f := range frames[1:] {
			got := next(t, conn)
			if f.want != nil {
				assert.Equal(t, f.want, got, f.frame)
				continue
			}
			unknown, ok := got.(*coder.UnknownMessage)
			if assert.True(t, ok, "%s is a %T", f.frame, got) {
				assert.Equal(t, f.frame, string(unknown.Raw))
			}
		}
		assert.Equal(t, []byte{0, 0xff}, []byte(next(t, conn).(*coder.UnknownMessage).Raw))
	})
}

// TestHubConn_Messages_HydrationThatHoldsNothing: without the session or its entries it is not one,
// while no entries yet is a good beginning.
func TestHubConn_Messages_HydrationThatHoldsNothing(t *testing.T) {
	bad := []string{
		`{"type":"session_hydration"}`, `{"type":"session_hydration","sessionId":"s"}`, `{"type":"session_hydration","entries":[]}`,
		`{"type":"session_hydration","sessionId":"s","entries":"oops"}`, `{"type":"session_hydration","sessionId":"s","entries":null}`,
		`{"type":"session_hydration","sessionId":7,"entries":[]}`, `{"type":"session_hydration","sessionId":"s","entries":{}}`,
	}
	live(t, func(p *peer) {
		p.admit()
		for _, frame := range append(bad, `{"type":"session_hydration","sessionId":"s","entries":[]}`) {
			_ = p.say(frame)
		}
		p.listen()
	}, func(t *testing.T, hub *liveHub) {
		conn := connected(t, hub)
		for _, frame := range bad {
			m, ok := next(t, conn).(*coder.UnknownMessage)
			require.True(t, ok, frame)
			assert.Equal(t, "session_hydration", m.Type)
			assert.Equal(t, frame, string(m.Raw))
		}
		assert.Equal(t, "s", next(t, conn).(*coder.HubHydrationMessage).SessionID)
	})
}

// TestRPCUIRequestMessage_Decode_WithoutParams: it leaves the value as it is.
func TestRPCUIRequestMessage_Decode_WithoutParams(t *testing.T) {
	live(t, func(p *peer) {
		p.admit()
		_ = p.say(`{"type":"rpc_ui_request","id":"1","method":"setTitle"}`)
		_ = p.say(`{"type":"rpc_ui_request","id":"2","method":"setTitle","params":{"title":"new"}}`)
		p.listen()
	}, func(t *testing.T, hub *liveHub) {
		conn := connected(t, hub)
		params := coder.RPCUIParams{Title: "old"}
		for _, want := range []string{"old", "new"} {
			require.NoError(t, next(t, conn).(*coder.RPCUIRequestMessage).Decode(&params))
			assert.Equal(t, want, params.Title)
		}
	})
}

// TestDecode_Nothing: a message without a payload decodes to nothing, and an error says where it comes from.
func TestDecode_Nothing(t *testing.T) {
	for name, decode := range map[string]func(json.RawMessage, any) error{
		"broadcast": func(data json.RawMessage, v any) error { return (&coder.BroadcastEventMessage{Data: data}).Decode(v) },
		"rpc event": func(data json.RawMessage, v any) error { return (&coder.RPCEventMessage{Event: data}).Decode(v) },
		"question":  func(data json.RawMessage, v any) error { return (&coder.RPCUIRequestMessage{Params: data}).Decode(v) },
	} {
		v := struct {
			Title string `json:"title"`
		}{"as it was"}
		require.NoError(t, decode(nil, &v), name)
		assert.Equal(t, "as it was", v.Title, name)
		require.NoError(t, decode(json.RawMessage(`{"title":"new"}`), &v), name)
		assert.Equal(t, "new", v.Title, name)
		require.ErrorContains(t, decode(json.RawMessage(`{`), &v), "coder: Decode: ", name)
	}
}
