package coder_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

// TestHubConn_Heartbeat_Times: the timeout is more than the interval, always.
func TestHubConn_Heartbeat_Times(t *testing.T) {
	for _, o := range []coder.HubConnectOptions{
		{HeartbeatInterval: time.Second, HeartbeatTimeout: time.Second},
		{HeartbeatTimeout: 10 * time.Second},
		{HeartbeatInterval: time.Hour, HeartbeatTimeout: time.Minute},
	} {
		synctestHub(t, func(t *testing.T, hub *liveHub) {
			_, err := hub.client().Connect(t.Context(), "codesess_1", &o)
			var bad *coder.ValidationError
			require.ErrorAs(t, err, &bad)
			assert.Equal(t, "HeartbeatTimeout", bad.Field)
			assert.Equal(t, "Connect", bad.Operation)
			assert.Empty(t, hub.seen())
		})
	}
	for interval, timeout := range map[time.Duration]time.Duration{
		0: 30 * time.Second, time.Second: 30 * time.Second, 11 * time.Second: 33 * time.Second, time.Minute: 3 * time.Minute,
	} {
		live(t, func(p *peer) {
			p.admit()
			p.listen()
		}, func(t *testing.T, hub *liveHub) {
			conn := connected(t, hub, func(o *coder.HubConnectOptions) { o.HeartbeatInterval, o.MaxReconnectAttempts = interval, -1 })
			began := time.Now()
			_, err := messages(t, conn)
			assert.Contains(t, connError(t, err).Error(), "nothing for too long")
			assert.Equal(t, timeout, time.Since(began))
		})
	}
}

func TestHubConn_Heartbeat(t *testing.T) {
	var pings []time.Duration
	live(t, func(p *peer) {
		p.admit()
		began := time.Now()
		if p.n == 2 {
			_ = p.say(`{"type":"pong","timestamp":2}`)
			p.listen()
			return
		}
		time.AfterFunc(25*time.Second, func() { _ = p.Ping(context.Background()) }) // any sign of life counts
		for {
			_, data, err := p.Read(context.Background())
			if err != nil {
				assert.Equal(t, "Heartbeat timeout", closeReason(err))
				assert.Equal(t, websocket.StatusNormalClosure, websocket.CloseStatus(err))
				assert.Equal(t, 55*time.Second, time.Since(began))
				return
			}
			assert.JSONEq(t, fmt.Sprintf(`{"type":"ping","timestamp":%d}`, time.Now().UnixMilli()), string(data))
			pings = append(pings, time.Since(began))
		}
	}, func(t *testing.T, hub *liveHub) {
		conn := connected(t, hub)
		again := next(t, conn).(*coder.ReconnectedMessage)
		assert.Contains(t, again.Cause.Error(), "nothing for too long")
		assert.Equal(t, []time.Duration{10 * time.Second, 20 * time.Second, 30 * time.Second, 40 * time.Second, 50 * time.Second}, pings)
		assert.EqualValues(t, 2, next(t, conn).(*coder.PongMessage).Timestamp.UnixMilli())
	})
}

func closeReason(err error) string {
	var closed websocket.CloseError
	_ = errors.As(err, &closed)
	return closed.Reason
}

// TestHubConn_Heartbeat_Off: negative means off.
func TestHubConn_Heartbeat_Off(t *testing.T) {
	heard := 0
	live(t, func(p *peer) {
		p.admit()
		p.pings = true
		p.listenTo(func(frame map[string]any) {
			if frame["type"] == "ping" {
				heard++
			}
		})
	}, func(t *testing.T, hub *liveHub) {
		conn := connected(t, hub, func(o *coder.HubConnectOptions) {
			o.HeartbeatInterval, o.HeartbeatTimeout, o.HandshakeTimeout = -1, -1, -1
		})
		time.Sleep(48 * time.Hour)
		assert.Equal(t, coder.StateConnected, conn.State())
		assert.Zero(t, heard)
		assert.Len(t, hub.seen(), 1)
		require.NoError(t, conn.Close())
	})
}

// TestHubConn_Heartbeat_SlowLargeFrame: a frame may take longer than the heartbeat's timeout.
func TestHubConn_Heartbeat_SlowLargeFrame(t *testing.T) {
	live(t, func(p *peer) {
		p.admit()
		closed := p.listening()
		w, _ := p.Writer(context.Background(), websocket.MessageText)
		_, _ = w.Write([]byte(`{"type":"x","data":"`))
		for range 100 {
			time.Sleep(time.Second)
			_, _ = w.Write([]byte(strings.Repeat("x", 10000)))
		}
		_, _ = w.Write([]byte(`"}`))
		_ = w.Close()
		_ = p.say(`{"type":"pong","timestamp":1,"echoedTimestamp":1}`)
		<-closed
	}, func(t *testing.T, hub *liveHub) {
		conn := connected(t, hub)
		assert.Len(t, next(t, conn).(*coder.UnknownMessage).Raw, 1000022)
		assert.IsType(t, &coder.PongMessage{}, next(t, conn))
		assert.Len(t, hub.seen(), 1)
	})
}

// TestHubConn_Heartbeat_AfterAPause: while the reader waits for room the Hub cannot be heard, and it need not
// speak at once afterwards.
func TestHubConn_Heartbeat_AfterAPause(t *testing.T) {
	live(t, func(p *peer) {
		p.admit()
		closed := p.listening()
		for i := range 1024 {
			_ = p.say(fmt.Sprintf(`{"type":"pong","timestamp":%d,"echoedTimestamp":1}`, i))
		}
		time.Sleep(5*time.Minute + 50*time.Second)
		_ = p.say(`{"type":"pong","timestamp":1024,"echoedTimestamp":1}`)
		<-closed
	}, func(t *testing.T, hub *liveHub) {
		conn := connected(t, hub)
		synctest.Wait()
		time.Sleep(5*time.Minute + 29*time.Second) // shortly before somebody looks again
		for i := range 1025 {
			pong, ok := next(t, conn).(*coder.PongMessage)
			require.True(t, ok, "the connection was taken for dead")
			require.EqualValues(t, i, pong.Timestamp.UnixMilli())
		}
		assert.Len(t, hub.seen(), 1)
	})
}

// TestHubConn_Heartbeat_HubThatDoesNotRead: it is noticed too, although the writer hangs. What of a
// message has not left goes over the next connection; what has left in part does not.
func TestHubConn_Heartbeat_HubThatDoesNotRead(t *testing.T) {
	for _, some := range []bool{false, true} {
		live(t, func(p *peer) {
			p.admit()
			if p.n == 2 {
				frame, _ := p.hear()
				assert.Equal(t, some, frame["command"].(map[string]any)["message"] == "y", "%v", some)
				p.listen()
				return
			}
			if some {
				_, r, _ := p.Reader(context.Background())
				_, _ = r.Read(make([]byte, 10))
			}
			time.Sleep(5 * time.Minute)
		}, func(t *testing.T, hub *liveHub) {
			conn := connected(t, hub)
			began := time.Now()
			err := conn.Prompt(t.Context(), strings.Repeat("x", 100_000))
			if some {
				assert.Equal(t, 31*time.Second, time.Since(began), "30 s and what a close frame is given")
				assert.Equal(t, coder.ConnLost, connError(t, err).Code)
				require.ErrorIs(t, err, coder.ErrOutcomeUnknown, "some of it is on the wire")
				require.NoError(t, conn.Prompt(t.Context(), "y"))
			} else {
				require.NoError(t, err)
			}
			assert.IsType(t, &coder.ReconnectedMessage{}, next(t, conn))
		})
	}
}

// TestHubConn_Heartbeat_HubThatDoesNotReadButSends: a write that moves no byte is a lost connection,
// whatever comes in.
func TestHubConn_Heartbeat_HubThatDoesNotReadButSends(t *testing.T) {
	live(t, func(p *peer) {
		p.admit()
		if p.n == 1 {
			for p.say(`{"type":"presence","event":"presence_update","sessionId":"codesess_1","timestamp":1}`) == nil {
				time.Sleep(time.Second)
			}
			return
		}
		p.listen()
	}, func(t *testing.T, hub *liveHub) {
		conn := connected(t, hub)
		began := time.Now()
		require.NoError(t, conn.Prompt(t.Context(), strings.Repeat("x", 200_000)), "the next connection carries it")
		assert.InDelta(t, 32, time.Since(began).Seconds(), 1.5, "30 s, what a close frame is given, and a wait")
		for m, err := range conn.Messages(t.Context()) {
			require.NoError(t, err)
			if again, ok := m.(*coder.ReconnectedMessage); ok {
				assert.ErrorContains(t, again.Cause, "the Hub has read nothing for too long")
				break
			}
		}
		require.NoError(t, conn.Close())
	})
}
