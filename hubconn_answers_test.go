package coder_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

// TestDataOfAnotherKind is no state and no conversation.
func TestDataOfAnotherKind(t *testing.T) {
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
			if data[0] == '[' {
				require.NoError(t, err)
			} else {
				e := connError(t, err)
				assert.Equal(t, coder.ConnInvalidResponse, e.Code, data)
				assert.Equal(t, "GetMessages", e.Operation)
			}
		}
	})
}

// TestWhoseCommandFailed: the one that is named, all commands if none is, and never a request.
func TestWhoseCommandFailed(t *testing.T) {
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

// TestWhatHasTheIDButIsNoAnswer.
func TestWhatHasTheIDButIsNoAnswer(t *testing.T) {
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

// TestNothingIsSentForAnEndedContext, although the writer has nothing else to do.
func TestNothingIsSentForAnEndedContext(t *testing.T) {
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

// TestSentAsTheContextEnds: what is on the socket is sent, although nobody waited for that any more.
func TestSentAsTheContextEnds(t *testing.T) {
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

// TestAnsweredAsTheContextEnds: an answer that has come is not thrown away.
func TestAnsweredAsTheContextEnds(t *testing.T) {
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

// TestClosedWhileSending: the program's own Close is the reason, whatever ends because of it.
func TestClosedWhileSending(t *testing.T) {
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

// TestTheEndOfACreateIsNotThatOfOtherCalls: whether the session was created is open, that a later
// message was not sent is not.
func TestTheEndOfACreateIsNotThatOfOtherCalls(t *testing.T) {
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

// TestTheRestBeforeTheEnd: messages and the end come while the consumer is about to wait for either.
func TestTheRestBeforeTheEnd(t *testing.T) {
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

// TestDiscardingMakesRoom for a reader that had none.
func TestDiscardingMakesRoom(t *testing.T) {
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

// TestLeavingTheLoopDiscards what was not taken, if that is what the program wants.
func TestLeavingTheLoopDiscards(t *testing.T) {
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
