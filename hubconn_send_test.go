package coder_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

// echo answers every request, and tells what it was.
func echo(p *peer) {
	if !p.admit() {
		return
	}
	for {
		frame, err := p.hear()
		if err != nil {
			return
		}
		if id, ok := frame["id"].(string); ok {
			_ = p.say(fmt.Sprintf(`{"id":%q,"actions":[{"action":"RETURN","result":%q}]}`, id, id))
		}
	}
}

// TestTenSendersShareOneMessage, while one consumes, a second is refused and the third sends.
func TestTenSendersShareOneMessage(t *testing.T) {
	live(t, echo, func(t *testing.T, hub *liveHub) {
		conn := connected(t, hub)
		shared := &coder.EventRequest{Event: "turn_start", Data: map[string]any{"a": 1}}
		var group sync.WaitGroup
		var responses, consumed atomic.Int32
		group.Go(func() {
			for m, err := range conn.Messages(t.Context()) {
				assert.NoError(t, err)
				if _, ok := m.(*coder.HubResponse); ok {
					consumed.Add(1)
				}
			}
		})
		synctest.Wait()
		for m, err := range conn.Messages(t.Context()) {
			assert.Nil(t, m)
			require.ErrorIs(t, err, coder.ErrMessagesInUse)
		}
		ids := make(chan string, 100)
		var senders sync.WaitGroup
		for range 10 {
			senders.Go(func() {
				for range 10 {
					r, err := conn.SendAndWait(t.Context(), shared)
					if assert.NoError(t, err) {
						responses.Add(1)
						assert.Equal(t, fmt.Sprintf("%q", r.ID), string(r.Actions[0].(*coder.ReturnAction).Result))
						ids <- r.ID
					}
				}
			})
		}
		senders.Wait()
		close(ids)
		unique := make(map[string]bool)
		for id := range ids {
			unique[id] = true
		}
		assert.Len(t, unique, 100)
		assert.Empty(t, shared.ID, "the message is not changed")
		assert.EqualValues(t, 100, responses.Load())
		synctest.Wait()
		require.NoError(t, conn.Close())
		group.Wait()
		assert.EqualValues(t, 100, consumed.Load())
	})
}

// TestSendAndWaitFailsAtOnce when the connection is lost.
func TestSendAndWaitFailsAtOnce(t *testing.T) {
	live(t, func(p *peer) {
		if p.admit(); p.n == 1 {
			_, _ = p.hear()
			time.Sleep(2 * time.Second)
			return
		}
		p.listen()
	}, func(t *testing.T, hub *liveHub) {
		conn := connected(t, hub)
		began := time.Now()
		_, err := conn.SendAndWait(t.Context(), &coder.EventRequest{Event: "x"})
		assert.Equal(t, 2*time.Second, time.Since(began))
		e := connError(t, err)
		assert.Equal(t, coder.ConnLost, e.Code)
		assert.Equal(t, "SendAndWait", e.Operation)
		require.ErrorIs(t, err, coder.ErrOutcomeUnknown)

		why := fmt.Errorf("the user has left")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 5*time.Second, why)
		defer cancel()
		_, err = conn.SendAndWait(ctx, &coder.EventRequest{Event: "x"})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, why)
		require.ErrorIs(t, err, coder.ErrOutcomeUnknown)
		assert.Equal(t, coder.StateConnected, conn.State(), "the caller's context is not the connection's")

		time.AfterFunc(time.Second, func() { _ = conn.Close() })
		_, err = conn.SendAndWait(t.Context(), &coder.EventRequest{Event: "x"})
		require.ErrorIs(t, err, coder.ErrConnClosed)
		require.ErrorIs(t, err, coder.ErrOutcomeUnknown)
		require.ErrorIs(t, conn.Send(t.Context(), &coder.PingMessage{}), coder.ErrConnClosed)
	})
}

// TestSendWaitsForAConnection, and goes out once.
func TestSendWaitsForAConnection(t *testing.T) {
	heard := make(map[string]int)
	live(t, func(p *peer) {
		if p.n == 1 {
			p.admit()
			return
		}
		if p.n < 4 || !p.admit() {
			return
		}
		for {
			frame, err := p.hear()
			if err != nil {
				return
			}
			heard[frame["command"].(map[string]any)["message"].(string)]++
		}
	}, func(t *testing.T, hub *liveHub) {
		conn := connected(t, hub)
		synctest.Wait()
		assert.Equal(t, coder.StateReconnecting, conn.State())
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		err := conn.Prompt(ctx, "too late")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NotErrorIs(t, err, coder.ErrOutcomeUnknown, "it has not gone out, and will not")
		var group sync.WaitGroup
		for i := range 10 {
			group.Go(func() { assert.NoError(t, conn.Prompt(t.Context(), fmt.Sprint(i))) })
		}
		group.Wait()
		require.ErrorIs(t, conn.Prompt(ctx, "too late"), context.DeadlineExceeded)
		require.NoError(t, conn.Close())
		synctest.Wait()
		assert.Len(t, heard, 10)
		for text, times := range heard {
			assert.Equal(t, 1, times, text)
		}
	})
}

// TestSendGivesUp in the middle of a write: nobody knows then, and the connection lives on.
func TestSendGivesUp(t *testing.T) {
	live(t, func(p *peer) {
		p.admit()
		time.Sleep(10 * time.Second)
		for _, want := range []string{"x", "y"} {
			frame, _ := p.hear()
			assert.Equal(t, want, frame["command"].(map[string]any)["message"])
		}
		p.listen()
	}, func(t *testing.T, hub *liveHub) {
		conn := connected(t, hub, func(o *coder.HubConnectOptions) { o.HeartbeatInterval = time.Hour })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := conn.Prompt(ctx, "x")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, coder.ErrOutcomeUnknown)
		require.NoError(t, conn.Prompt(t.Context(), "y"))
		assert.Len(t, hub.seen(), 1)
	})
}

// TestInvalidMessages are refused before they are sent.
func TestInvalidMessages(t *testing.T) {
	live(t, echo, func(t *testing.T, hub *liveHub) {
		conn := connected(t, hub)
		ctx := t.Context()
		for name, send := range map[string]func() error{
			"nil":       func() error { return conn.Send(ctx, nil) },
			"typed nil": func() error { return conn.Send(ctx, (*coder.ToolRequest)(nil)) },
			"no JSON":   func() error { return conn.Send(ctx, &coder.EventRequest{Data: map[string]any{"a": func() {}}}) },
			"no UTF-8":  func() error { return conn.Prompt(ctx, "\xff") },
			"empty":     func() error { return conn.Steer(ctx, "") },
			"no id":     func() error { return conn.RespondUI(ctx, "", 1) },
			"nil, wait": func() error { _, err := conn.SendAndWait(ctx, nil); return err },
			"typed nil, wait": func() error {
				_, err := conn.SendAndWait(ctx, (*coder.EventRequest)(nil))
				return err
			},
		} {
			var bad *coder.ValidationError
			require.ErrorAs(t, send(), &bad, name)
		}
		require.NoError(t, conn.Send(ctx, &coder.CommandRequest{Name: "x"}))
		assert.NotEmpty(t, next(t, conn).(*coder.HubResponse).ID, "Send fills in an id too")
		require.NoError(t, conn.Send(ctx, &coder.CommandRequest{ID: "mine", Name: "x"}))
		assert.Equal(t, "mine", next(t, conn).(*coder.HubResponse).ID)
	})
}

// TestInvalidResponse: it has the id, but no actions.
func TestInvalidResponse(t *testing.T) {
	live(t, func(p *peer) {
		p.admit()
		frame, _ := p.hear()
		_ = p.say(`{"id":"another","actions":[]}`)
		_ = p.say(fmt.Sprintf(`{"type":"broadcast","id":%q,"actions":[]}`, frame["id"]))
		_ = p.say(fmt.Sprintf(`{"id":%q}`, frame["id"]))
		p.listen()
	}, func(t *testing.T, hub *liveHub) {
		conn := connected(t, hub)
		_, err := conn.SendAndWait(t.Context(), &coder.EventRequest{})
		assert.Equal(t, coder.ConnInvalidResponse, connError(t, err).Code)
	})
}

// TestCommands correlates commands and responses, wrapped or not.
func TestCommands(t *testing.T) {
	const broadcast = `{"type":"broadcast","event":"rpc_response","category":"rpc","sessionId":"s","timestamp":1,"data":{"response":%s}}`
	answers := map[string][]string{
		"state":        {fmt.Sprintf(broadcast, `{"type":"response","id":"another","command":"get_state","success":true,"data":{"sessionName":"no"}}`), fmt.Sprintf(broadcast, `{"type":"response","id":"ID","command":"get_state","success":true,"data":{"isStreaming":true,"sessionName":"x"}}`)},
		"raw state":    {`{"type":"rpc_response","response":{"type":"response","id":"ID","command":"get_state","success":true,"data":{"isStreaming":true,"sessionName":"x"}}}`},
		"messages":     {fmt.Sprintf(broadcast, `{"id":"ID","success":true,"data":[{"role":"user","content":"a","timestamp":7},{"role":"assistant","content":[{"type":"text","text":"b"},{"type":"thinking","thinking":"c"},{"type":"text","text":"d"}]},{"role":"x","content":null}]}`)},
		"says no":      {fmt.Sprintf(broadcast, `{"id":"ID","success":false,"error":"no such command"}`)},
		"no data":      {fmt.Sprintf(broadcast, `{"id":"ID","success":true}`)},
		"no lead":      {`{"type":"rpc_command_error","error":"Sandbox driver is not connected; resume the session first"}`},
		"no lead, id":  {`{"type":"rpc_command_error","id":"another","error":"not for us"}`, `{"type":"rpc_command_error","id":"ID","error":"no lead"}`},
		"says nothing": nil,
	}
	var now string
	live(t, func(p *peer) {
		p.admit()
		for {
			frame, err := p.hear()
			if err != nil {
				return
			}
			id := frame["command"].(map[string]any)["id"].(string)
			for _, answer := range answers[now] {
				_ = p.say(strings.ReplaceAll(answer, "ID", id))
			}
		}
	}, func(t *testing.T, hub *liveHub) {
		conn := connected(t, hub)
		conn.DiscardMessages()
		for _, now = range []string{"state", "raw state"} {
			state, err := conn.GetState(t.Context())
			require.NoError(t, err)
			assert.Equal(t, &coder.RPCState{IsStreaming: true, SessionName: "x"}, state)
		}
		now = "messages"
		all, err := conn.GetMessages(t.Context())
		require.NoError(t, err)
		require.Len(t, all, 3)
		assert.Equal(t, "a", all[0].Content.Text())
		assert.EqualValues(t, 7, all[0].Timestamp.UnixMilli())
		assert.Equal(t, "bd", all[1].Content.Text())
		assert.Equal(t, "c", all[1].Content[1].Thinking)
		assert.Empty(t, all[2].Content)
		for name, code := range map[string]coder.HubConnErrorCode{
			"says no": coder.ConnCommandFailed, "no data": coder.ConnInvalidResponse,
			"no lead": coder.ConnCommandFailed, "no lead, id": coder.ConnCommandFailed,
		} {
			now = name
			_, err := conn.GetState(t.Context())
			e := connError(t, err)
			assert.Equal(t, code, e.Code, name)
			assert.Equal(t, "GetState", e.Operation)
			require.NotErrorIs(t, err, coder.ErrOutcomeUnknown)
		}
		now = "says nothing"
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		_, err = conn.GetMessages(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

// TestClientMessages is how each message goes out.
func TestClientMessages(t *testing.T) {
	var sent []map[string]any
	live(t, func(p *peer) {
		p.pings = true
		p.admit()
		p.listenTo(func(frame map[string]any) { sent = append(sent, frame) })
	}, func(t *testing.T, hub *liveHub) {
		conn := connected(t, hub)
		for _, m := range []coder.ClientMessage{
			&coder.RenameSessionMessage{Label: "new"}, &coder.BootstrapReadyMessage{}, &coder.RPCUIResponseMessage{ID: "1"},
			&coder.PingMessage{Timestamp: coder.UnixMilli{Time: time.UnixMilli(7)}}, &coder.ToolRequest{ID: "1", Name: "n", ToolCallID: "c"},
			&coder.RPCCommandMessage{Command: coder.RPCCommand{Type: coder.CommandPrompt, Message: "m", Images: []string{"i"}}},
		} {
			require.NoError(t, conn.Send(t.Context(), m))
		}
		synctest.Wait()
		assert.Equal(t, []map[string]any{
			{"type": "rename_session", "label": "new"}, {"type": "bootstrap_ready"}, {"type": "rpc_ui_response", "id": "1", "result": nil},
			{"type": "ping", "timestamp": 7.0}, {"type": "tool", "id": "1", "name": "n", "toolCallId": "c", "params": map[string]any{}},
			{"type": "rpc_command", "command": map[string]any{"type": "prompt", "message": "m", "images": []any{"i"}}},
		}, sent)
	})
}
