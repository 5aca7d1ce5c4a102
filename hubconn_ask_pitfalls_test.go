package coder_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// lateConn is a connection whose Write returns late, and whose Read returns everything that has come in a while.
type lateConn struct {
	net.Conn
	mu    sync.Mutex
	more  chan struct{} // has room for one
	data  []byte
	ended error
}

const lateBy = 100 * time.Millisecond

func newLateConn(conn net.Conn) *lateConn {
	c := &lateConn{Conn: conn, more: make(chan struct{}, 1)}
	go func() {
		buffer := make([]byte, 64<<10)
		for {
			n, err := conn.Read(buffer)
			c.mu.Lock()
			c.data = append(c.data, buffer[:n]...)
			c.ended = err
			c.mu.Unlock()
			select {
			case c.more <- struct{}{}:
			default:
			}
			if err != nil {
				return
			}
		}
	}()
	return c
}

func (c *lateConn) Read(p []byte) (int, error) {
	for {
		c.mu.Lock()
		n, ended := copy(p, c.data), c.ended
		c.data = c.data[n:]
		c.mu.Unlock()
		if n > 0 {
			return n, nil
		}
		if ended != nil {
			return 0, ended
		}
		<-c.more
		time.Sleep(lateBy)
	}
}

func (c *lateConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	time.Sleep(2 * lateBy)
	return n, err
}

// TestHubConn_Ask_EndInOneRead: everything to the end of the answer arrives with the reply to the prompt, in one read, and
// before the prompt is known to be sent.
func TestHubConn_Ask_EndInOneRead(t *testing.T) {
	for _, version := range []string{"0.74.2", "1.6.0"} {
		for _, dialect := range []codertest.AgentDialect{codertest.DialectRPC, codertest.DialectExtension} {
			bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
				transport := coder.NewTransport()
				dial := hub.HTTPClient().Transport.(*http.Transport).DialContext
				transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
					conn, err := dial(ctx, network, address)
					if err != nil {
						return nil, err
					}
					return newLateConn(conn), nil
				}
				c := hubClient(t, hub, coder.WithHTTPClient(&http.Client{Transport: transport}))
				defer c.CloseIdleConnections()
				session, _ := idleAgent(t, hub)
				conn, err := c.Attach(t.Context(), session.ID(), nil)
				require.NoError(t, err)
				defer conn.Close()
				for k := range 5 {
					session.Answer(codertest.AgentTurn{Tools: []codertest.AgentTool{{}}}, codertest.AgentTurn{Text: fmt.Sprint("Answer ", k)})
					answer, err := conn.Ask(t.Context(), fmt.Sprint("Question ", k), nil)
					require.NoError(t, err)
					assert.Equal(t, fmt.Sprint("Answer ", k), answer.Text)
					assert.Len(t, answer.Messages, 3)
				}
			}, codertest.WithAgentVersion(version), codertest.WithAgentDialect(dialect))
		}
	}
}

// TestHubConn_Ask_SubAgents: the end of a sub-agent's work is not the end of the answer, and what it says no part of it.
func TestHubConn_Ask_SubAgents(t *testing.T) {
	asks(t, func(t *testing.T, _ *codertest.Hub, session *codertest.SessionControl, conn *coder.HubConn) {
		session.Answer(
			codertest.AgentTurn{Text: "I let the scout look.", Tools: []codertest.AgentTool{{Task: &codertest.AgentTask{Prompt: "Look", Progress: []string{"looking"}, Result: "Seen by the scout."}}}},
			codertest.AgentTurn{Text: "It is all there."},
		)
		said := map[string]any{"role": "assistant", "stopReason": "stop", "content": []any{map[string]any{"type": "text", "text": "Seen by the scout."}}}
		time.AfterFunc(500*time.Millisecond, func() {
			for _, e := range []coder.EventName{coder.EventAgentStart, coder.EventMessageEnd, coder.EventTurnEnd, coder.EventAgentEnd, coder.EventAgentSettled} {
				session.Emit(codertest.Event{Event: e, Agent: "scout", TaskID: "task_1", Payload: map[string]any{
					"taskId": "task_1", "message": said, "messages": []any{said},
				}})
			}
		})
		answer, err := conn.Ask(t.Context(), "Is it there?", nil)
		require.NoError(t, err)
		assert.Equal(t, "It is all there.", answer.Text)
		assert.Len(t, answer.Messages, 3)
	})
}

// TestHubConn_Ask_IdleWhileAQuestionIsOpen: a hydration that says that nobody is at work ends no question.
func TestHubConn_Ask_IdleWhileAQuestionIsOpen(t *testing.T) {
	for _, cut := range []bool{false, true} {
		bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
			session, conn := idleAgent(t, hub)
			session.Answer(
				codertest.AgentTurn{Text: "I ask.", Tools: []codertest.AgentTool{{Ask: &codertest.AgentQuestion{Method: "confirm", Params: map[string]any{"title": "Really?"}}}}},
				codertest.AgentTurn{Text: "Then it is done."},
			)
			asked := 0
			var conversation coder.Conversation
			answer, err := conn.Ask(t.Context(), "Do it", &coder.AskOptions{
				OnMessage: func(m coder.ServerMessage) { conversation.Apply(m) },
				OnQuestion: func(ctx context.Context, _ *coder.RPCUIRequestMessage) (any, error) {
					if asked++; asked > 1 { // the Hub asks again after a lost connection
						return true, nil
					}
					if cut {
						session.CutStreams()
					}
					time.Sleep(10 * time.Second)
					session.SendRaw(`{"type":"session_hydration","sessionId":"` + session.ID() + `","entries":[],"streamingState":{"isStreaming":false}}`)
					session.SendRaw(`{"type":"rpc_response","response":{"type":"response","command":"get_state","success":true,"data":{"isStreaming":false,"isWaitingForInput":false}}}`)
					time.Sleep(10 * time.Second)
					return true, ctx.Err()
				},
			})
			require.NoError(t, err)
			assert.Equal(t, "Then it is done.", answer.Text)
			assert.Equal(t, coder.ConversationIdle, conversation.State(), "cut %t", cut)
			assert.Contains(t, conversation.Text(), "Then it is done.")
		}, codertest.WithAgentPace(100*time.Millisecond))
	}
}

// TestHubConn_Ask_CleanCloseWithoutAnEnd: that a stream is closed cleanly says nothing about the answer.
func TestHubConn_Ask_CleanCloseWithoutAnEnd(t *testing.T) {
	for _, code := range []coder.CloseCode{1000, 1001, coder.CloseUnavailable} {
		asks(t, func(t *testing.T, _ *codertest.Hub, session *codertest.SessionControl, conn *coder.HubConn) {
			session.Answer(codertest.AgentTurn{Text: "A first half, and the second half of it."})
			var text strings.Builder
			time.AfterFunc(500*time.Millisecond, func() { session.EndStreams(code, "") })
			answer, err := conn.Ask(t.Context(), "Say two halves", &coder.AskOptions{OnText: func(delta string) { text.WriteString(delta) }})
			require.NoError(t, err)
			assert.Equal(t, "A first half, and the second half of it.", answer.Text)
			assert.NotEqual(t, answer.Text, text.String(), "it was cut in the middle")
		})
	}
}

// TestHubConn_Ask_StallsInTheMiddle: a model that stops in the middle of a message ends the wait, with what was said
// before it. So it does when the connection was lost meanwhile.
func TestHubConn_Ask_StallsInTheMiddle(t *testing.T) {
	for _, cut := range []time.Duration{time.Second, 5 * time.Minute, time.Hour} {
		bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
			session, conn := silentLead(t, hub)
			said := func(role, text, stopReason string) map[string]any {
				return map[string]any{"message": map[string]any{"role": role, "stopReason": stopReason, "content": []any{map[string]any{"type": "text", "text": text}}}}
			}
			time.AfterFunc(time.Second, func() {
				for _, e := range []codertest.Event{
					{Event: coder.EventAgentStart}, {Event: coder.EventTurnStart},
					{Event: coder.EventMessageStart, Payload: said("user", "Do it", "")}, {Event: coder.EventMessageEnd, Payload: said("user", "Do it", "")},
					{Event: coder.EventMessageStart, Payload: said("assistant", "", "")},
					{Event: coder.EventMessageEnd, Payload: said("assistant", "I will look at it.", "toolUse")},
					{Event: coder.EventTurnEnd, Payload: said("assistant", "I will look at it.", "toolUse")},
					{Event: coder.EventTurnStart}, {Event: coder.EventMessageStart, Payload: said("assistant", "", "")},
					{Event: coder.EventMessageUpdate, Payload: map[string]any{"assistantMessageEvent": map[string]any{"type": "text_delta", "contentIndex": 0, "delta": "It is"}}},
				} {
					session.Emit(e)
				}
			})
			time.AfterFunc(cut, session.CutStreams)
			began := time.Now()
			answer, err := conn.Ask(t.Context(), "Do it", &coder.AskOptions{StallTimeout: 20 * time.Minute})
			assert.Nil(t, answer)
			e := agentError(t, err, coder.ErrAgentStalled)
			require.NotErrorIs(t, err, coder.ErrOutcomeUnknown)
			require.NotNil(t, e.Answer)
			assert.Equal(t, "I will look at it.", e.Answer.Text)
			assert.Less(t, time.Since(began), cut+21*time.Minute)
			assert.GreaterOrEqual(t, time.Since(began), 20*time.Minute)
		}, codertest.WithoutAgent())
	}
}

// TestHubConn_Ask_CloseOfASilentPeer: Close returns soon, and Ask with it, also if the other side reads nothing any more.
func TestHubConn_Ask_CloseOfASilentPeer(t *testing.T) {
	live(t, func(p *peer) { p.admit(); time.Sleep(10 * time.Minute) }, func(t *testing.T, hub *liveHub) {
		hub.rest = emptyHistory
		conn := connected(t, hub)
		done := make(chan error, 1)
		go func() {
			answer, err := conn.Ask(context.Background(), strings.Repeat("long ", 1<<20), nil)
			assert.Nil(t, answer)
			done <- err
		}()
		time.Sleep(5 * time.Second)
		began := time.Now()
		require.NoError(t, conn.Close())
		require.ErrorIs(t, <-done, coder.ErrConnClosed)
		assert.LessOrEqual(t, time.Since(began), 2*time.Second)
	})
}

func emptyHistory(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, `{"sessionId":"codesess_1","events":[]}`)
}

// TestHubConn_Ask_OneConnection: a transport that allows one connection is not used up by the live one.
func TestHubConn_Ask_OneConnection(t *testing.T) {
	asks(t, func(t *testing.T, hub *codertest.Hub, session *codertest.SessionControl, _ *coder.HubConn) {
		transport := coder.NewTransport()
		transport.DialContext = hub.HTTPClient().Transport.(*http.Transport).DialContext
		transport.MaxConnsPerHost = 1
		c := hubClient(t, hub, coder.WithHTTPClient(&http.Client{Transport: transport}))
		defer c.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		conn, err := c.Attach(ctx, session.ID(), nil)
		require.NoError(t, err)
		defer conn.Close()
		for _, err := range c.StreamEvents(ctx, session.ID(), nil) {
			require.NoError(t, err)
			session.Answer(codertest.AgentTurn{Text: "One is enough."})
			time.AfterFunc(time.Second/2, session.CutStreams)
			answer, err := conn.Ask(ctx, "Is one enough?", nil)
			require.NoError(t, err)
			assert.Equal(t, "One is enough.", answer.Text)
			break
		}
		assert.Equal(t, 1, transport.MaxConnsPerHost, "the program's own is as it was")
	})
}

// TestHubConn_Ask_StreamingBehaviorRefused: where a Hub does not know how to say that a prompt may wait, it is sent in the
// form that it knows, once: as a follow_up to an agent at work, and as a plain prompt to an idle one.
func TestHubConn_Ask_StreamingBehaviorRefused(t *testing.T) {
	const busy = "Agent is already processing. Specify streamingBehavior ('steer' or 'followUp') to queue the message."
	for name, c := range map[string]struct {
		atWork  bool
		refusal string
		form    string // of the refusal
		want    []string
		fails   bool
	}{
		"dropped on the way":  {true, busy, "rpc_response", []string{"prompt followUp", "follow_up"}, false},
		"not seen to be busy": {false, busy, "rpc_response", []string{"prompt followUp", "follow_up"}, false},
		"unknown, busy":       {true, `unknown member "streamingBehavior"`, "rpc_command_error", []string{"prompt followUp", "follow_up"}, false},
		"unknown, idle":       {false, `unknown member "streamingBehavior"`, "rpc_command_error", []string{"prompt followUp", "prompt"}, false},
		"another reason":      {true, "No API key found for the model", "rpc_response", []string{"prompt followUp"}, true},
	} {
		for _, submit := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s %t", name, submit), func(t *testing.T) {
				var got []string
				live(t, func(p *peer) {
					if !p.admit() {
						return
					}
					event := func(e string) { _ = p.say(`{"type":"broadcast","event":"rpc_event","data":{"event":` + e + `}}`) }
					says := func(role, text string) {
						event(fmt.Sprintf(`{"type":"message_end","message":{"role":%q,"stopReason":"stop","content":[{"type":"text","text":%q}]}}`, role, text))
					}
					if c.atWork {
						event(`{"type":"agent_start"}`)
						says("user", "Somebody else's")
					}
					p.listenTo(func(frame map[string]any) {
						command, _ := frame["command"].(map[string]any)
						sent := fmt.Sprint(command["type"])
						if b := command["streamingBehavior"]; b != nil {
							sent += " " + fmt.Sprint(b)
						}
						got = append(got, sent)
						id := command["id"]
						if len(got) == 1 {
							if c.form == "rpc_response" {
								_ = p.say(fmt.Sprintf(`{"type":"rpc_response","response":{"type":"response","id":%q,"command":"prompt","success":false,"error":%q}}`, id, c.refusal))
							} else {
								_ = p.say(fmt.Sprintf(`{"type":"rpc_command_error","id":%q,"error":%q}`, id, c.refusal))
							}
							return
						}
						_ = p.say(fmt.Sprintf(`{"type":"rpc_response","response":{"type":"response","id":%q,"command":%q,"success":true}}`, id, command["type"]))
						if c.atWork {
							says("assistant", "Theirs")
						} else {
							event(`{"type":"agent_start"}`)
						}
						says("user", "Hello")
						says("assistant", "Ours")
					})
				}, func(t *testing.T, hub *liveHub) {
					hub.rest = emptyHistory
					conn := connected(t, hub)
					time.Sleep(time.Second)
					var err error
					if submit {
						conn.DiscardMessages()
						var receipt *coder.Receipt
						receipt, err = conn.Submit(t.Context(), "Hello")
						assert.Equal(t, err == nil, receipt != nil)
					} else {
						var answer *coder.Answer
						if answer, err = conn.Ask(t.Context(), "Hello", nil); err == nil {
							assert.Equal(t, "Ours", answer.Text)
						}
					}
					if c.fails {
						require.Error(t, err)
						assert.Contains(t, err.Error(), "No API key")
					} else {
						require.NoError(t, err)
					}
					require.NoError(t, conn.Close())
				})
				assert.Equal(t, c.want, got)
			})
		}
	}
}

// TestHubConn_Commands_IDs: each command has an id of its own, so that a failure of one is not taken for that of another.
func TestHubConn_Commands_IDs(t *testing.T) {
	ids := make(map[any]string)
	live(t, func(p *peer) {
		if !p.admit() {
			return
		}
		p.listenTo(func(frame map[string]any) {
			command, _ := frame["command"].(map[string]any)
			ids[command["id"]] = fmt.Sprint(command["type"])
			switch command["type"] {
			case "steer", "abort":
				_ = p.say(fmt.Sprintf(`{"type":"rpc_command_error","id":%q,"error":"no"}`, command["id"]))
			}
			if command["id"] == "mine" { // the last one
				for _, e := range []string{
					`{"type":"agent_start"}`, `{"type":"message_end","message":{"role":"user","content":"Hello"}}`,
					`{"type":"message_end","message":{"role":"assistant","stopReason":"stop","content":[{"type":"text","text":"Hi"}]}}`,
				} {
					_ = p.say(`{"type":"broadcast","event":"rpc_event","data":{"event":` + e + `}}`)
				}
			}
		})
	}, func(t *testing.T, hub *liveHub) {
		hub.rest = emptyHistory
		conn := connected(t, hub)
		time.AfterFunc(time.Second/2, func() {
			assert.NoError(t, conn.Steer(t.Context(), "Left"))
			assert.NoError(t, conn.FollowUp(t.Context(), "Then"))
			assert.NoError(t, conn.Abort(t.Context()))
			assert.NoError(t, conn.Compact(t.Context()))
			assert.NoError(t, conn.Send(t.Context(), &coder.RPCCommandMessage{Command: coder.RPCCommand{Type: coder.CommandSteer, ID: "mine", Message: "Right"}}))
		})
		failed := ""
		answer, err := conn.Ask(t.Context(), "Hello", &coder.AskOptions{OnMessage: func(m coder.ServerMessage) {
			if e, ok := m.(*coder.RPCCommandErrorMessage); ok && e.ID == "mine" {
				failed = e.Error
			}
		}})
		require.NoError(t, err, "it was not the prompt that failed")
		assert.Equal(t, "Hi", answer.Text)
		assert.Equal(t, "no", failed)
		require.NoError(t, conn.Prompt(t.Context(), "Once more"))
		require.NoError(t, conn.Close())
	})
	assert.Len(t, ids, 7)
	assert.NotContains(t, ids, nil)
}
