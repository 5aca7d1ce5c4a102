package coder_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

// TestMessageKinds decodes each kind of frame, and what no kind is made for.
func TestMessageKinds(t *testing.T) {
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
		{`{"type":"init","role":"observer","tools":[{"name":"a","promptGuidelines":["x"]}]}`, &coder.HubInitMessage{Role: coder.RoleObserver, Tools: []coder.HubToolDefinition{{Name: "a"}}}},
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

// TestNobodyRanges: reading stops when enough waits, which is neither a lost connection nor a loss,
// whether the Hub goes on reading or not.
func TestNobodyRanges(t *testing.T) {
	for name, test := range map[string]struct {
		size, most int
		reads      bool
	}{
		"by number": {10, 1024, true}, "by size": {1<<20 - 1<<10, 65, true}, "a Hub of one thread": {10, 1024, false},
	} {
		t.Run(name, func(t *testing.T) {
			const total = 3000
			count := total * 1024 / test.most
			if test.size > 10 { // a frame just fits a buffer of 1 MiB
				count = test.most + 5
			}
			var sent atomic.Int32
			live(t, func(p *peer) {
				p.admit()
				var closed <-chan struct{}
				if test.reads {
					closed = p.listening()
				}
				pad := `,"pad":"` + strings.Repeat("x", test.size) + `"}`
				for i := range count {
					if p.say(fmt.Sprintf(`{"type":"pong","echoedTimestamp":1,"timestamp":%d`, i)+pad) != nil {
						break
					}
					sent.Add(1)
				}
				if test.reads {
					<-closed
					return
				}
				p.listen()
			}, func(t *testing.T, hub *liveHub) {
				conn := connected(t, hub)
				time.Sleep(5 * time.Minute)
				assert.InDelta(t, test.most, sent.Load(), 2, "then reading stops")
				assert.Equal(t, coder.StateConnected, conn.State())
				i := 0
				for m, err := range conn.Messages(t.Context()) {
					require.NoError(t, err)
					pong, ok := m.(*coder.PongMessage)
					require.True(t, ok, "%T", m)
					require.EqualValues(t, i, pong.Timestamp.UnixMilli())
					if i++; i == count {
						break
					}
				}
				assert.Len(t, hub.seen(), 1)
				time.Sleep(29 * time.Second)
				assert.Equal(t, coder.StateConnected, conn.State(), "the Hub's time to show life begins anew")
			})
		})
	}
}

// TestResponsesWhileNobodyRanges are seen as long as there is room, or for ever with DiscardMessages.
func TestResponsesWhileNobodyRanges(t *testing.T) {
	live(t, echo, func(t *testing.T, hub *liveHub) {
		conn := connected(t, hub)
		for range 1000 {
			_, err := conn.SendAndWait(t.Context(), &coder.EventRequest{})
			require.NoError(t, err)
		}
		conn.DiscardMessages()
		for range 3000 {
			_, err := conn.SendAndWait(t.Context(), &coder.EventRequest{})
			require.NoError(t, err)
		}
		conn.DiscardMessages()
		time.AfterFunc(time.Second, func() { _ = conn.Send(context.Background(), &coder.EventRequest{ID: "last"}) })
		assert.Equal(t, "last", next(t, conn).(*coder.HubResponse).ID, "who ranges gets what comes")
	})
}

// TestRangingGoesOn where it stopped, and ends with its context.
func TestRangingGoesOn(t *testing.T) {
	live(t, func(p *peer) {
		p.admit()
		for i := range 10 {
			_ = p.say(fmt.Sprintf(`{"type":"pong","timestamp":%d,"echoedTimestamp":1}`, i))
		}
		p.listen()
	}, func(t *testing.T, hub *liveHub) {
		conn := connected(t, hub)
		for i := range 10 {
			for m, err := range conn.Messages(t.Context()) {
				require.NoError(t, err)
				assert.EqualValues(t, i, m.(*coder.PongMessage).Timestamp.UnixMilli())
				for _, err := range conn.Messages(t.Context()) {
					require.ErrorIs(t, err, coder.ErrMessagesInUse)
				}
				break
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for m, err := range conn.Messages(ctx) {
			assert.Nil(t, m)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			_ = connError(t, err)
		}
		assert.Equal(t, coder.StateConnected, conn.State())
	})
}

// TestLargeFrames: 10 MB are no problem, what is beyond the limit ends the connection.
func TestLargeFrames(t *testing.T) {
	play := func(p *peer) {
		p.admit()
		_ = p.say(`{"type":"session_hydration","sessionId":"s","resumedAt":1,"entries":[{"type":"message","timestamp":1,"content":"` + strings.Repeat("x", 10<<20) + `"}]}`)
		p.listen()
	}
	live(t, play, func(t *testing.T, hub *liveHub) {
		m := next(t, connected(t, hub)).(*coder.HubHydrationMessage)
		assert.Len(t, m.Entries[0].Content, 10<<20)
	})
	live(t, play, func(t *testing.T, hub *liveHub) {
		conn, err := hub.client(coder.WithMaxResponseSize(1<<20)).Connect(t.Context(), "codesess_1", nil)
		require.NoError(t, err)
		_, err = messages(t, conn)
		_ = connError(t, err)
		require.ErrorIs(t, err, coder.ErrResponseTooLarge)
		assert.Len(t, hub.seen(), 1, "another connection would bring it again")
		require.NoError(t, conn.Close())
	})
}

// TestSubscriptionsSurvive: the next connection is asked for with the filters that hold.
func TestSubscriptionsSurvive(t *testing.T) {
	live(t, func(p *peer) {
		p.admit()
		if p.n == 1 {
			frame, _ := p.hear()
			assert.Equal(t, map[string]any{"type": "subscribe", "patterns": []any{"task", "x*"}}, frame)
			return
		}
		p.listen()
	}, func(t *testing.T, hub *liveHub) {
		conn := connected(t, hub, func(o *coder.HubConnectOptions) { o.Role, o.Subscribe = coder.RoleObserver, []string{"*"} })
		require.NoError(t, conn.Send(t.Context(), &coder.ObserverSubscribeMessage{Patterns: []string{"task", "x*"}}))
		assert.IsType(t, &coder.ReconnectedMessage{}, next(t, conn))
		synctest.Wait()
		assert.Contains(t, hub.seen()[0].RequestURI, "subscribe=*&")
		assert.Contains(t, hub.seen()[1].RequestURI, "subscribe=task%2Cx*&")
	})
}

// TestCloseCodes: which are terminal, and what they are called.
func TestCloseCodes(t *testing.T) {
	for code := range coder.CloseCode(6000) {
		assert.Equal(t, code >= 4000 && code <= 4999 && code != 4408 && code != 4429, code.Terminal(), "%d", code)
	}
	assert.Equal(t, "4404 SESSION_NOT_FOUND", coder.CloseSessionNotFound.String())
	assert.Equal(t, "4711", coder.CloseCode(4711).String())
}

// TestHubEnumerations compares the constants with the words of the Hub.
func TestHubEnumerations(t *testing.T) {
	got := constants(t)
	for kind, want := range map[string]string{
		"HubRole":                "lead controller observer sub_agent",
		"HubConnState":           "connecting authenticating connected reconnecting closed",
		"AgentDefinitionStatus":  "available busy offline",
		"NotifyLevel":            "info warning error",
		"SystemPromptActionMode": "replace prefix suffix",
		"RPCUIMethod":            "select confirm input editor notify setStatus setWidget setTitle set_editor_text",
		"RPCCommandType":         "prompt steer follow_up abort get_state get_messages compact",
	} {
		assert.Equal(t, strings.Fields(want), got[kind], kind)
	}
	for _, method := range got["RPCUIMethod"] {
		assert.Equal(t, strings.Contains("select confirm input editor", method), coder.RPCUIMethod(method).Answered(), method)
	}
}
