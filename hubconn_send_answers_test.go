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

// TestHubConn_SendAndWait_TenSenders: they share a message, while one consumes and another consumer is refused.
func TestHubConn_SendAndWait_TenSenders(t *testing.T) {
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

// TestHubConn_SendAndWait_FailsAtOnce: when the connection is lost, the context ends or the program closes it.
func TestHubConn_SendAndWait_FailsAtOnce(t *testing.T) {
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

// TestHubConn_SendAndWait_AsTheContextEnds: an answer that has come is not thrown away.
func TestHubConn_SendAndWait_AsTheContextEnds(t *testing.T) {
	for range 20 {
		live(t, echo, func(t *testing.T, hub *liveHub) {
			conn := connected(t, hub)
			inner, cancel := context.WithCancel(t.Context())
			ctx := &asked{Context: inner, before: func(times int) {
				if times == 3 { // it is sent
					time.Sleep(time.Second)
					cancel()
				}
			}}
			response, err := conn.SendAndWait(ctx, &coder.EventRequest{})
			require.NoError(t, err)
			assert.Len(t, response.Actions, 1)
			require.Error(t, inner.Err())
			require.NoError(t, conn.Close())
		})
	}
}

// TestHubConn_SendAndWait_InvalidResponse: it has the id, but no actions.
func TestHubConn_SendAndWait_InvalidResponse(t *testing.T) {
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

// TestHubConn_SendAndWait_NoAnswer: messages that have the id of the request and do not answer it.
func TestHubConn_SendAndWait_NoAnswer(t *testing.T) {
	live(t, func(p *peer) {
		p.admit()
		frame, _ := p.hear()
		for _, other := range []string{
			`{"type":"presence","id":%q,"event":"x"}`, `{"type":"presence","id":%q}`, `{"type":"broadcast","id":%q,"event":"x","data":{}}`,
			`{"type":"rpc_response","id":%q}`, `{"type":"rpc_response","response":{"id":%q,"success":true}}`,
			`{"type":"broadcast","event":"rpc_response","data":{"response":{"id":%q,"success":true}}}`,
			`{"type":"rpc_command_error","id":%q,"error":"x"}`,
		} {
			_ = p.say(fmt.Sprintf(other, frame["id"]))
		}
		_ = p.say(fmt.Sprintf(`{"id":%q,"actions":[{"action":"ACK"}]}`, frame["id"]))
		p.listen()
	}, func(t *testing.T, hub *liveHub) {
		conn := connected(t, hub)
		response, err := conn.SendAndWait(t.Context(), &coder.EventRequest{})
		require.NoError(t, err)
		assert.Len(t, response.Actions, 1)
	})
}

// TestHubConn_GetState_Answers: responses are matched to commands, wrapped or not.
func TestHubConn_GetState_Answers(t *testing.T) {
	const broadcast = `{"type":"broadcast","event":"rpc_response","category":"rpc","sessionId":"s","timestamp":1,"data":{"response":%s}}`
	answers := map[string][]string{
		"state":            {fmt.Sprintf(broadcast, `{"type":"response","id":"another","command":"get_state","success":true,"data":{"sessionName":"no"}}`), fmt.Sprintf(broadcast, `{"type":"response","id":"ID","command":"get_state","success":true,"data":{"isStreaming":true,"sessionName":"x"}}`)},
		"raw state":        {`{"type":"rpc_response","response":{"type":"response","id":"ID","command":"get_state","success":true,"data":{"isStreaming":true,"sessionName":"x"}}}`},
		"messages":         {fmt.Sprintf(broadcast, `{"id":"ID","success":true,"data":[{"role":"user","content":"a","timestamp":7},{"role":"assistant","content":[{"type":"text","text":"b"},{"type":"thinking","thinking":"c"},{"type":"text","text":"d"}]},{"role":"x","content":null}]}`)},
		"wrapped messages": {fmt.Sprintf(broadcast, `{"id":"ID","success":true,"data":{"messages":[{"role":"user","content":[{"type":"text","text":"a"}]}]}}`)},
		"says no":          {fmt.Sprintf(broadcast, `{"id":"ID","success":false,"error":"no such command"}`)},
		"no data":          {fmt.Sprintf(broadcast, `{"id":"ID","success":true}`)},
		"no lead":          {`{"type":"rpc_command_error","error":"Sandbox driver is not connected; resume the session first"}`},
		"no lead, id":      {`{"type":"rpc_command_error","id":"another","error":"not for us"}`, `{"type":"rpc_command_error","id":"ID","error":"no lead"}`},
		"says nothing":     nil,
	}
	var now string
	live(t, func(p *peer) {
		p.admit()
		p.pings = true
		for {
			frame, err := p.hear()
			if err != nil {
				return
			}
			if frame["type"] == "ping" {
				_ = p.say(`{"type":"pong","timestamp":1}`)
				continue
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
		now = "wrapped messages"
		all, err = conn.GetMessages(t.Context())
		require.NoError(t, err)
		require.Len(t, all, 1)
		assert.Equal(t, "a", all[0].Content.Text())
		now = "says nothing"
		began := time.Now()
		_, err = conn.GetState(t.Context())
		assert.Equal(t, coder.ConnUnanswered, connError(t, err).Code)
		assert.Equal(t, 30*time.Second, time.Since(began))
		require.NotErrorIs(t, err, coder.ErrOutcomeUnknown)
		require.NotErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "coder: GetState: no answer: the lead has not answered for 30s")
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		_, err = conn.GetMessages(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

// TestHubConn_GetState_DataOfAnotherKind: it is no state and no conversation.
func TestHubConn_GetState_DataOfAnotherKind(t *testing.T) {
	var data string
	live(t, func(p *peer) {
		p.admit()
		for {
			frame, err := p.hear()
			if err != nil {
				return
			}
			id := frame["command"].(map[string]any)["id"]
			_ = p.say(fmt.Sprintf(`{"type":"rpc_response","response":{"id":%q,"success":true,"data":%s}}`, id, data))
		}
	}, func(t *testing.T, hub *liveHub) {
		conn := connected(t, hub)
		for _, data = range []string{`"oops"`, `7`, `true`, `null`, `[]`, `[{}]`, `{}`, `{"messages":[{"role":"user"}]}`} {
			_, err := conn.GetState(t.Context())
			if data[0] == '{' {
				require.NoError(t, err)
			} else {
				e := connError(t, err)
				assert.Equal(t, coder.ConnInvalidResponse, e.Code, data)
				assert.Equal(t, "GetState", e.Operation)
			}
			_, err = conn.GetMessages(t.Context())
			if data[0] == '[' || strings.Contains(data, "messages") {
				require.NoError(t, err)
			} else {
				e := connError(t, err)
				assert.Equal(t, coder.ConnInvalidResponse, e.Code, data)
				assert.Equal(t, "GetMessages", e.Operation)
			}
		}
	})
}

// TestHubConn_GetState_WhoseCommandFailed: that with the id, all commands if there is no id, and never a
// request.
func TestHubConn_GetState_WhoseCommandFailed(t *testing.T) {
	var ids []string // of the event, and of two commands
	live(t, func(p *peer) {
		p.admit()
		for range 3 {
			frame, _ := p.hear()
			if command, ok := frame["command"].(map[string]any); ok {
				frame = command
			}
			ids = append(ids, frame["id"].(string))
		}
		_ = p.say(fmt.Sprintf(`{"type":"rpc_command_error","id":%q,"error":"not the first"}`, ids[0]))
		_ = p.say(fmt.Sprintf(`{"type":"rpc_command_error","id":%q,"error":"not the second"}`, ids[2]))
		time.Sleep(time.Second)
		_ = p.say(`{"type":"rpc_command_error","error":"none, ` + testKey + `"}`)
		time.Sleep(time.Second)
		_ = p.say(fmt.Sprintf(`{"id":%q,"actions":[]}`, ids[0]))
		p.listen()
	}, func(t *testing.T, hub *liveHub) {
		conn := connected(t, hub)
		type end struct {
			after time.Duration
			err   error
		}
		var ends [3]chan end
		began := time.Now()
		for i := range ends {
			ends[i] = make(chan end, 1)
			go func() {
				var err error
				if i == 0 {
					_, err = conn.SendAndWait(context.Background(), &coder.EventRequest{})
				} else {
					_, err = conn.GetState(context.Background())
				}
				ends[i] <- end{time.Since(began), err}
			}()
			synctest.Wait() // one after the other
		}
		named := <-ends[2]
		assert.Zero(t, named.after)
		assert.Equal(t, "not the second", connError(t, named.err).ServerMessage)
		other := <-ends[1]
		assert.Equal(t, time.Second, other.after)
		e := connError(t, other.err)
		assert.Equal(t, coder.ConnCommandFailed, e.Code)
		assert.Equal(t, "none, [API key]", e.ServerMessage)
		event := <-ends[0]
		require.NoError(t, event.err, "it is no command")
		assert.Equal(t, 2*time.Second, event.after)
	})
}
