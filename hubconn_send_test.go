package coder_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

// TestHubConn_Send_WaitsForAConnection: and then the message goes out once.
func TestHubConn_Send_WaitsForAConnection(t *testing.T) {
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

// TestHubConn_Send_GivesUp: in the middle of a write the outcome is unknown, and the connection lives on.
func TestHubConn_Send_GivesUp(t *testing.T) {
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

// TestHubConn_Send_EndedContext: nothing is sent, although the writer has nothing else to do.
func TestHubConn_Send_EndedContext(t *testing.T) {
	heard := 0
	live(t, func(p *peer) {
		p.admit()
		p.listenTo(func(map[string]any) { heard++ })
	}, func(t *testing.T, hub *liveHub) {
		conn := connected(t, hub)
		synctest.Wait()
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		for range 20 {
			// Whoever waits for this context gives the writer time.
			err := conn.Abort(&asked{Context: ended, before: func(int) { time.Sleep(time.Millisecond) }})
			require.ErrorIs(t, err, context.Canceled)
			require.NotErrorIs(t, err, coder.ErrOutcomeUnknown)
			_, err = conn.SendAndWait(ended, &coder.EventRequest{})
			require.ErrorIs(t, err, context.Canceled)
			require.NotErrorIs(t, err, coder.ErrOutcomeUnknown)
		}
		require.NoError(t, conn.Close())
		synctest.Wait()
		assert.Zero(t, heard)
	})
}

// TestHubConn_Send_AsTheContextEnds: what is on the socket is sent, although nobody waited for that any more.
func TestHubConn_Send_AsTheContextEnds(t *testing.T) {
	for range 20 {
		live(t, func(p *peer) {
			p.admit()
			p.listen()
		}, func(t *testing.T, hub *liveHub) {
			conn := connected(t, hub)
			inner, cancel := context.WithCancel(t.Context())
			ctx := &asked{Context: inner, before: func(times int) {
				if times == 2 { // the writer has it
					time.Sleep(time.Second)
					cancel()
				}
			}}
			require.NoError(t, conn.Abort(ctx))
			require.Error(t, inner.Err())
			require.NoError(t, conn.Close())
		})
	}
}

// TestHubConn_Send_ClosedMeanwhile: the program's own Close is the reason, whatever ends because of it.
func TestHubConn_Send_ClosedMeanwhile(t *testing.T) {
	for range 20 {
		live(t, func(p *peer) {
			p.admit()
			p.listen()
		}, func(t *testing.T, hub *liveHub) {
			conn := connected(t, hub)
			err := conn.Abort(&asked{Context: t.Context(), before: func(int) { assert.NoError(t, conn.Close()) }})
			require.ErrorIs(t, err, coder.ErrConnClosed)
			assert.Empty(t, connError(t, err).Code)
			require.NotErrorIs(t, err, coder.ErrOutcomeUnknown)
		})
	}
}

// TestHubConn_Send_AfterTheEndOfACreate: whether the session was created is open, that a later
// message was not sent is not.
func TestHubConn_Send_AfterTheEndOfACreate(t *testing.T) {
	live(t, func(p *peer) {
		_, _ = p.hear()
		_ = p.say(`{"type":"init","role":"lead"}`)
	}, func(t *testing.T, hub *liveHub) {
		conn := connectedTo(t, hub, "", func(o *coder.HubConnectOptions) { o.Role = coder.RoleLead })
		synctest.Wait()
		require.Equal(t, coder.StateClosed, conn.State())
		err := conn.Abort(t.Context())
		assert.Equal(t, coder.ConnLost, connError(t, err).Code)
		require.NotErrorIs(t, err, coder.ErrOutcomeUnknown)
		_, err = messages(t, conn)
		assert.Equal(t, coder.ConnLost, connError(t, err).Code)
		require.NotErrorIs(t, err, coder.ErrOutcomeUnknown)
	})
}

// TestHubConn_Send_TooLargeForTheOtherSide: 1009 in the middle of a write is what its sender gets, and
// nothing was taken.
func TestHubConn_Send_TooLargeForTheOtherSide(t *testing.T) {
	for name, send := range map[string]func(conn *coder.HubConn) error{
		"Send": func(conn *coder.HubConn) error {
			return conn.Prompt(context.Background(), strings.Repeat("x", 1<<20))
		},
		"SendAndWait": func(conn *coder.HubConn) error {
			_, err := conn.SendAndWait(context.Background(), &coder.ToolRequest{Name: strings.Repeat("x", 1<<20)})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			live(t, func(p *peer) {
				p.SetReadLimit(1 << 10) // the library then closes with 1009
				p.admit()
				p.listen()
			}, func(t *testing.T, hub *liveHub) {
				conn := connected(t, hub)
				conn.DiscardMessages()
				e := connError(t, send(conn))
				assert.Equal(t, coder.CloseTooLarge, e.CloseCode)
				require.NotErrorIs(t, e, coder.ErrOutcomeUnknown)
				assert.Equal(t, map[string]string{"Send": "Prompt", "SendAndWait": "SendAndWait"}[name], e.Operation)
				require.NoError(t, conn.Close())
			})
		})
	}
}

// TestHubConn_Send_Invalid: messages are refused before they are sent.
func TestHubConn_Send_Invalid(t *testing.T) {
	live(t, echo, func(t *testing.T, hub *liveHub) {
		conn := connected(t, hub)
		ctx := t.Context()
		for name, send := range map[string]func() error{
			"nil":       func() error { return conn.Send(ctx, nil) },
			"typed nil": func() error { return conn.Send(ctx, (*coder.ToolRequest)(nil)) },
			"no JSON":   func() error { return conn.Send(ctx, &coder.EventRequest{Data: map[string]any{"a": func() {}}}) },
			"no UTF-8":  func() error { return conn.Prompt(ctx, "\xff") },
			"empty":     func() error { return conn.Steer(ctx, "") },
			"blank":     func() error { return conn.FollowUp(ctx, " \n") },
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

// embedding has the methods of a message, but is none.
type embedding struct{ *coder.EventRequest }

// TestHubConn_Send_NoMessage: what is no message is refused, without a panic, and nothing is sent.
func TestHubConn_Send_NoMessage(t *testing.T) {
	heard := 0
	live(t, func(p *peer) {
		p.admit()
		p.listenTo(func(map[string]any) { heard++ })
	}, func(t *testing.T, hub *liveHub) {
		conn := connected(t, hub)
		for name, m := range map[string]coder.ClientMessage{
			"nil":                    nil,
			"nil event":              (*coder.EventRequest)(nil),
			"nil tool":               (*coder.ToolRequest)(nil),
			"nil ping":               (*coder.PingMessage)(nil),
			"nil subscription":       (*coder.ObserverSubscribeMessage)(nil),
			"embedding":              embedding{&coder.EventRequest{Event: "x"}},
			"pointer to embedding":   &embedding{&coder.EventRequest{Event: "x"}},
			"embedding nil":          embedding{},
			"nil pointer to it":      (*embedding)(nil),
			"anonymous and embedded": struct{ coder.ClientMessage }{&coder.PingMessage{}},
		} {
			var bad *coder.ValidationError
			require.ErrorAs(t, conn.Send(t.Context(), m), &bad, name)
			assert.Equal(t, "Send", bad.Operation, name)
			assert.Equal(t, "message", bad.Field, name)
		}
		require.NoError(t, conn.Close())
		synctest.Wait()
		assert.Zero(t, heard)
	})
}

// TestHubConn_Send_Messages: how each message goes out.
func TestHubConn_Send_Messages(t *testing.T) {
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

// TestHubConn_Send_PingTime: a ping has a time, also when it was not given one.
func TestHubConn_Send_PingTime(t *testing.T) {
	var sent []map[string]any
	live(t, func(p *peer) {
		p.pings = true
		p.admit()
		p.listenTo(func(frame map[string]any) { sent = append(sent, frame) })
	}, func(t *testing.T, hub *liveHub) {
		conn := connected(t, hub)
		ping := &coder.PingMessage{}
		require.NoError(t, conn.Send(t.Context(), ping))
		assert.True(t, ping.Timestamp.IsZero(), "the message is not changed")
		synctest.Wait()
		assert.Equal(t, []map[string]any{{"type": "ping", "timestamp": float64(time.Now().UnixMilli())}}, sent)
	})
}

// TestHubConn_Send_TooLargeAfterwards: 1009 is about the last message, so that one before it that waits for its
// answer may well have been taken.
func TestHubConn_Send_TooLargeAfterwards(t *testing.T) {
	large := strings.Repeat("x", 1<<20)
	for name, then := range map[string]func(conn *coder.HubConn) error{
		"Send": func(conn *coder.HubConn) error { return conn.Prompt(context.Background(), large) },
		"SendAndWait": func(conn *coder.HubConn) error {
			_, err := conn.SendAndWait(context.Background(), &coder.ToolRequest{Name: large})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			heard := make(chan struct{})
			live(t, func(p *peer) {
				p.SetReadLimit(1 << 10)
				p.admit()
				p.listenTo(func(frame map[string]any) { // answers nothing
					if frame["name"] == "taken" {
						close(heard)
					}
				})
			}, func(t *testing.T, hub *liveHub) {
				conn := connected(t, hub)
				conn.DiscardMessages()
				waits := make(chan error, 1)
				go func() {
					_, err := conn.SendAndWait(context.Background(), &coder.ToolRequest{Name: "taken"})
					waits <- err
				}()
				<-heard
				e := connError(t, then(conn))
				assert.Equal(t, coder.CloseTooLarge, e.CloseCode)
				require.NotErrorIs(t, e, coder.ErrOutcomeUnknown, "this one was refused")
				e = connError(t, <-waits)
				assert.Equal(t, coder.CloseTooLarge, e.CloseCode)
				require.ErrorIs(t, e, coder.ErrOutcomeUnknown, "the Hub has this one")
				require.NoError(t, conn.Close())
			})
		})
	}
}
