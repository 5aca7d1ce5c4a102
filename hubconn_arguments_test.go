package coder_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

// embedding has the methods of a message, but is none.
type embedding struct{ *coder.EventRequest }

// TestWhatIsNoMessage is refused, without a panic, and nothing is sent.
func TestWhatIsNoMessage(t *testing.T) {
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

// TestNoContext: nil for a context is refused by every method that has one.
func TestNoContext(t *testing.T) {
	heard := 0
	live(t, func(p *peer) {
		p.admit()
		p.listenTo(func(map[string]any) { heard++ })
	}, func(t *testing.T, hub *liveHub) {
		var none context.Context
		c := hub.client()
		conn := connected(t, hub)
		for method, call := range map[string]func() error{
			"Connect":    func() error { _, err := c.Connect(none, "codesess_1", nil); return err },
			"ConnectNew": func() error { _, err := c.ConnectNew(none, nil); return err },
			"Attach":     func() error { _, err := c.Attach(none, "codesess_1", nil); return err },
			"StreamEvents": func() (last error) {
				for event, err := range c.StreamEvents(none, "codesess_1", nil) {
					assert.Nil(t, event)
					last = err
				}
				return last
			},
			"Messages": func() (last error) {
				for m, err := range conn.Messages(none) {
					assert.Nil(t, m)
					last = err
				}
				return last
			},
			"Send":        func() error { return conn.Send(none, &coder.PingMessage{}) },
			"SendAndWait": func() error { _, err := conn.SendAndWait(none, &coder.EventRequest{}); return err },
			"Prompt":      func() error { return conn.Prompt(none, "x") },
			"Abort":       func() error { return conn.Abort(none) },
			"GetState":    func() error { _, err := conn.GetState(none); return err },
			"GetMessages": func() error { _, err := conn.GetMessages(none); return err },
			"RespondUI":   func() error { return conn.RespondUI(none, "1", nil) },
		} {
			for range 2 {
				var bad *coder.ValidationError
				require.ErrorAs(t, call(), &bad, method)
				assert.Equal(t, method, bad.Operation)
				assert.Equal(t, "ctx", bad.Field)
			}
		}
		assert.Len(t, hub.seen(), 1)
		require.NoError(t, conn.Close())
		synctest.Wait()
		assert.Zero(t, heard)
	})
}

// TestAHydrationThatHoldsNothing: without the session or its entries it is not one, while no entries
// yet is a good beginning.
func TestAHydrationThatHoldsNothing(t *testing.T) {
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

// TestAQuestionWithoutParams asks nothing in particular.
func TestAQuestionWithoutParams(t *testing.T) {
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

// TestAPingHasATime, also when it was not given one.
func TestAPingHasATime(t *testing.T) {
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
