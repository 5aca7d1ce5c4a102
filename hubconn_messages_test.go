package coder_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

// TestHubConn_Messages_NobodyRanges: reading stops when enough waits, which is neither a lost connection
// nor a loss, whether the Hub goes on reading or not.
func TestHubConn_Messages_NobodyRanges(t *testing.T) {
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

// TestHubConn_DiscardMessages: responses are seen while there is room, and always with DiscardMessages.
func TestHubConn_DiscardMessages(t *testing.T) {
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

// TestHubConn_Messages_GoOn: another range goes on where the last one stopped; each ends with its context.
func TestHubConn_Messages_GoOn(t *testing.T) {
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

// TestHubConn_Messages_LargeFrames: 10 MB are no problem, what is beyond the limit ends the connection.
func TestHubConn_Messages_LargeFrames(t *testing.T) {
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

// TestHubConn_Messages_TheRestBeforeTheEnd: messages and the end come while the consumer is about to
// wait for either.
func TestHubConn_Messages_TheRestBeforeTheEnd(t *testing.T) {
	for range 20 {
		live(t, func(p *peer) {
			p.admit()
			time.Sleep(time.Second)
			for i := range 3 {
				_ = p.say(fmt.Sprintf(`{"type":"pong","timestamp":%d,"echoedTimestamp":1}`, i))
			}
			_ = p.Close(4404, "gone")
		}, func(t *testing.T, hub *liveHub) {
			conn := connected(t, hub)
			ctx := &asked{Context: t.Context(), before: func(int) { time.Sleep(5 * time.Second) }}
			count := 0
			for m, err := range conn.Messages(ctx) {
				if err != nil {
					require.ErrorIs(t, err, coder.ErrSessionNotFound)
					continue
				}
				assert.EqualValues(t, count, m.(*coder.PongMessage).Timestamp.UnixMilli())
				count++
			}
			assert.Equal(t, 3, count)
		})
	}
}

// TestHubConn_Messages_OwnPongs: pongs to our own pings do not reach Messages: on a quiet connection
// that nobody reads they alone would fill the inbox. The pong to a ping of the program does.
func TestHubConn_Messages_OwnPongs(t *testing.T) {
	for name, pong := range map[string]string{
		"that say which ping": `{"type":"pong","timestamp":2,"echoedTimestamp":%d}`,
		"that do not":         `{"type":"pong","timestamp":2}`,
	} {
		t.Run(name, func(t *testing.T) {
			var pings atomic.Int32
			live(t, func(p *peer) {
				p.admit()
				p.pings = true
				for {
					frame, err := p.hear()
					if err != nil {
						return
					}
					if frame["type"] != "ping" {
						_ = p.say(`{"type":"presence","event":"presence_update","sessionId":"codesess_1","timestamp":1}`)
						continue
					}
					pings.Add(1)
					answer := pong
					if strings.Contains(pong, "%d") {
						answer = fmt.Sprintf(pong, int64(frame["timestamp"].(float64)))
					}
					_ = p.say(answer)
				}
			}, func(t *testing.T, hub *liveHub) {
				conn := connected(t, hub)
				time.Sleep(24 * time.Hour)
				require.NoError(t, conn.Abort(t.Context()))
				assert.IsType(t, &coder.PresenceEventMessage{}, next(t, conn), "nothing has waited before it")
				assert.Greater(t, pings.Load(), int32(8000))
				assert.Len(t, hub.seen(), 1, "they are a sign of life")

				mine := coder.UnixMilli{Time: time.UnixMilli(1)}
				require.NoError(t, conn.Send(t.Context(), &coder.PingMessage{Timestamp: mine}))
				assert.IsType(t, &coder.PongMessage{}, next(t, conn))
				require.NoError(t, conn.Close())
			})
		})
	}
}

// flood sends more than may wait, and then answers.
func flood(p *peer) {
	p.admit()
	for i := range 1100 {
		if p.say(fmt.Sprintf(`{"type":"pong","timestamp":%d,"echoedTimestamp":1}`, i)) != nil {
			return
		}
	}
	for {
		frame, err := p.hear()
		if err != nil {
			return
		}
		if id, ok := frame["id"].(string); ok {
			_ = p.say(fmt.Sprintf(`{"id":%q,"actions":[]}`, id))
		}
	}
}

// TestHubConn_DiscardMessages_MakesRoom: for a reader that had none.
func TestHubConn_DiscardMessages_MakesRoom(t *testing.T) {
	live(t, flood, func(t *testing.T, hub *liveHub) {
		conn := connected(t, hub)
		synctest.Wait()
		conn.DiscardMessages()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := conn.SendAndWait(ctx, &coder.EventRequest{})
		require.NoError(t, err)
	})
}

// TestHubConn_DiscardMessages_LeavingTheLoop: what was not taken is dropped then.
func TestHubConn_DiscardMessages_LeavingTheLoop(t *testing.T) {
	live(t, flood, func(t *testing.T, hub *liveHub) {
		conn := connected(t, hub)
		synctest.Wait()
		for m, err := range conn.Messages(t.Context()) {
			require.NoError(t, err)
			assert.EqualValues(t, 0, m.(*coder.PongMessage).Timestamp.UnixMilli())
			conn.DiscardMessages()
			synctest.Wait()
			break
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		_, err := conn.SendAndWait(ctx, &coder.EventRequest{})
		require.NoError(t, err, "there is room again")
		require.NoError(t, conn.Send(t.Context(), &coder.EventRequest{ID: "unseen"}))
		synctest.Wait()
		for m, err := range conn.Messages(ctx) {
			require.ErrorIs(t, err, context.DeadlineExceeded, "%+v", m)
		}
	})
}
