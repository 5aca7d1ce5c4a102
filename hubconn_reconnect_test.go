package coder_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
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

// TestAnObserverReconnectsWithoutInit: that the connection is another comes before its first frame,
// and what the Hub said of the old one is past.
func TestAnObserverReconnectsWithoutInit(t *testing.T) {
	live(t, func(p *peer) {
		if p.n == 1 {
			p.admit()
			return
		}
		_ = p.say(`{"type":"presence","event":"session_join","sessionId":"codesess_1","timestamp":1}`)
		p.listen()
	}, func(t *testing.T, hub *liveHub) {
		conn := connected(t, hub, func(o *coder.HubConnectOptions) { o.Role = coder.RoleObserver })
		assert.NotNil(t, conn.Init())
		again, ok := next(t, conn).(*coder.ReconnectedMessage)
		require.True(t, ok, "before anything of the new connection")
		assert.Contains(t, connError(t, again.Cause).Error(), "ended it without a word")
		require.ErrorIs(t, again.Cause, io.ErrUnexpectedEOF)
		assert.IsType(t, &coder.PresenceEventMessage{}, next(t, conn))
		assert.Nil(t, conn.Init())
		assert.Equal(t, "codesess_1", conn.SessionID())
	})
}

// TestTheCountBeginsAnew with each connection that has brought work.
func TestTheCountBeginsAnew(t *testing.T) {
	live(t, func(p *peer) {
		if p.n%2 == 1 {
			p.admit()
			_ = p.say(`{"type":"broadcast","event":"turn_start","data":{},"category":"turn","sessionId":"codesess_1","timestamp":1}`)
		} // and is lost, each time
	}, func(t *testing.T, hub *liveHub) {
		conn := connected(t, hub, func(o *coder.HubConnectOptions) { o.MaxReconnectAttempts = 2 })
		assert.IsType(t, &coder.BroadcastEventMessage{}, next(t, conn))
		for range 5 {
			again, ok := next(t, conn).(*coder.ReconnectedMessage)
			require.True(t, ok)
			assert.Equal(t, 2, again.Attempt)
			assert.LessOrEqual(t, again.Down, 3*time.Second, "so do the waits")
			assert.IsType(t, &coder.BroadcastEventMessage{}, next(t, conn))
		}
		require.NoError(t, conn.Close())
	})
}

// TestAHubThatAdmitsAndDrops: what proves a connection healthy, and what does not.
func TestAHubThatAdmitsAndDrops(t *testing.T) {
	broadcast := func(event string) string {
		return `{"type":"broadcast","event":"` + event + `","data":{},"category":"c","sessionId":"codesess_1","timestamp":1}`
	}
	for name, test := range map[string]struct {
		says  []string
		stays time.Duration
		ends  bool
	}{
		"at once":               {nil, 0, true},
		"with a greeting":       {[]string{`{"type":"presence","event":"presence_update","sessionId":"codesess_1","timestamp":1}`, broadcast("session_join")}, 0, true},
		"after one has left":    {[]string{broadcast("session_leave")}, time.Second, true},
		"after a pong":          {[]string{`{"type":"pong","timestamp":1,"echoedTimestamp":1}`}, 4 * time.Second, true},
		"after 5 s":             {nil, 5 * time.Second, false},
		"after a broadcast":     {[]string{broadcast("message_end")}, 0, false},
		"after an event":        {[]string{`{"type":"rpc_event","event":{"type":"turn_start"}}`}, 0, false},
		"after what is no JSON": {[]string{`{"type":"broadcast"`}, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			live(t, func(p *peer) {
				p.admit()
				for _, frame := range test.says {
					_ = p.say(frame)
				}
				if p.n == 30 {
					p.listen()
				}
				time.Sleep(test.stays)
			}, func(t *testing.T, hub *liveHub) {
				conn := connected(t, hub, func(o *coder.HubConnectOptions) { o.MaxReconnectAttempts = 3 })
				var last error
				for m, err := range conn.Messages(t.Context()) {
					if last = err; err != nil {
						break
					}
					if again, ok := m.(*coder.ReconnectedMessage); ok && len(hub.seen()) == 30 {
						if test.says == nil {
							assert.Greater(t, again.Down, 10*time.Second, "the waits have grown")
						} else {
							assert.LessOrEqual(t, again.Down, time.Second, "the waits begin anew too")
						}
						break
					}
				}
				assert.Equal(t, test.ends, errors.Is(last, coder.ErrReconnectsExceeded), "%v", last)
				if test.ends {
					assert.Len(t, hub.seen(), 4)
				}
				require.NoError(t, conn.Close())
			})
		})
	}
}

// TestAnInitForAnotherSession ends the connection, and nothing is sent there.
func TestAnInitForAnotherSession(t *testing.T) {
	for name, first := range map[string]int{"at first": 1, "after a loss": 2} {
		t.Run(name, func(t *testing.T) {
			var heard []map[string]any
			live(t, func(p *peer) {
				if p.n < first {
					p.admit()
					return
				}
				_, _ = p.hear() // the credentials
				_ = p.say(`{"type":"init","role":"controller","sessionId":"codesess_2"}`)
				p.listenTo(func(frame map[string]any) { heard = append(heard, frame) })
			}, func(t *testing.T, hub *liveHub) {
				conn, err := hub.client().Connect(t.Context(), "codesess_1", &coder.HubConnectOptions{Role: coder.RoleController})
				if err == nil {
					for _, err = range conn.Messages(t.Context()) {
						_ = err
					}
					require.NoError(t, conn.Close())
				}
				assert.Contains(t, connError(t, err).Error(), `"codesess_2"`)
				assert.Contains(t, err.Error(), `"codesess_1"`)
				synctest.Wait()
				assert.Empty(t, heard)
				assert.Len(t, hub.seen(), first)
			})
		})
	}
}

// TestTheHubSaysWhenToComeBack: up to a minute it is obeyed, longer waits are the caller's decision.
func TestTheHubSaysWhenToComeBack(t *testing.T) {
	for after, wait := range map[string]time.Duration{"7": 7 * time.Second, "60": time.Minute, "61": 0} {
		for _, id := range []string{"codesess_1", ""} {
			synctestHub(t, func(t *testing.T, hub *liveHub) {
				var asked []time.Time
				hub.rest = func(w http.ResponseWriter, _ *http.Request) {
					asked = append(asked, time.Now())
					w.Header().Set("Retry-After", after)
					if id == "" { // a 503 would leave open whether a session was created
						w.WriteHeader(http.StatusTooManyRequests)
						return
					}
					w.WriteHeader(http.StatusServiceUnavailable)
				}
				_, err := connect(t.Context(), hub.client(coder.WithURL("http://hub.invalid/nowhere")), id, &coder.HubConnectOptions{
					MaxReconnectAttempts: 1, ReconnectDelay: 1, MaxReconnectDelay: 1,
				})
				_ = connError(t, err)
				var api *coder.APIError
				require.ErrorAs(t, err, &api)
				assert.Equal(t, after, fmt.Sprint(api.RetryAfter.Seconds()))
				if wait == 0 {
					assert.Len(t, asked, 1)
					return
				}
				require.Len(t, asked, 2)
				assert.Equal(t, wait, asked[1].Sub(asked[0]))
			})
		}
	}
}

// TestFiltersAreCopied: the caller's slices are the caller's.
func TestFiltersAreCopied(t *testing.T) {
	live(t, func(p *peer) {
		p.admit()
		if p.n == 2 {
			_, _ = p.hear()
		}
		if p.n == 4 {
			p.listen()
		}
	}, func(t *testing.T, hub *liveHub) {
		filters := []string{"task"}
		conn := connected(t, hub, func(o *coder.HubConnectOptions) { o.Role, o.Subscribe = coder.RoleObserver, filters })
		filters[0] = "changed"
		assert.IsType(t, &coder.ReconnectedMessage{}, next(t, conn))
		patterns := []string{"agent"}
		require.NoError(t, conn.Send(t.Context(), &coder.ObserverSubscribeMessage{Patterns: patterns}))
		patterns[0] = "changed"
		assert.IsType(t, &coder.ReconnectedMessage{}, next(t, conn))
		assert.IsType(t, &coder.ReconnectedMessage{}, next(t, conn))
		for i, want := range []string{"task", "task", "agent", "agent"} {
			assert.Equal(t, want, hub.seen()[i].URL.Query().Get("subscribe"), i)
		}
	})
}

// TestTheLastFiltersHold: the last on the wire, whoever returns first.
func TestTheLastFiltersHold(t *testing.T) {
	for range 50 {
		var last string
		live(t, func(p *peer) {
			if p.admit(); p.n > 1 {
				p.listen()
				return
			}
			for range 5 {
				frame, _ := p.hear()
				last = frame["patterns"].([]any)[0].(string)
			}
		}, func(t *testing.T, hub *liveHub) {
			conn := connected(t, hub, func(o *coder.HubConnectOptions) { o.Role = coder.RoleObserver })
			var group sync.WaitGroup
			for i := range 5 {
				group.Go(func() {
					assert.NoError(t, conn.Send(t.Context(), &coder.ObserverSubscribeMessage{Patterns: []string{fmt.Sprint("p", i)}}))
				})
			}
			group.Wait()
			assert.IsType(t, &coder.ReconnectedMessage{}, next(t, conn))
			assert.Equal(t, last, hub.seen()[1].URL.Query().Get("subscribe"))
		})
	}
}

// TestFiltersOfASenderWhoGaveUp hold too, if the Hub got them.
func TestFiltersOfASenderWhoGaveUp(t *testing.T) {
	live(t, func(p *peer) {
		if p.admit(); p.n > 1 {
			p.listen()
			return
		}
		time.Sleep(5 * time.Second)
		_, _ = p.hear()
	}, func(t *testing.T, hub *liveHub) {
		conn := connected(t, hub, func(o *coder.HubConnectOptions) { o.Role = coder.RoleObserver })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, conn.Send(ctx, &coder.ObserverSubscribeMessage{Patterns: []string{"task"}}), coder.ErrOutcomeUnknown)
		assert.IsType(t, &coder.ReconnectedMessage{}, next(t, conn))
		assert.Equal(t, "task", hub.seen()[1].URL.Query().Get("subscribe"))
	})
}

// TestAHostThatSwallowsEverything is no place for a Hub: where it is, is asked again.
func TestAHostThatSwallowsEverything(t *testing.T) {
	clearEnv(t)
	t.Setenv("AGENTUITY_CATALYST_URL", "http://catalyst.invalid")
	live(t, func(p *peer) {
		if p.admit(); p.n > 1 {
			p.listen()
		}
	}, func(t *testing.T, hub *liveHub) {
		var discoveries atomic.Int32
		var swallows atomic.Bool
		base := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if swallows.Load() {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return hub.dial(ctx, network, address)
		}}
		c, err := coder.NewClient(coder.WithAPIKey(testKey), coder.WithOrgID("org_2f9c1d"), coder.WithHTTPClient(&http.Client{
			Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				if !strings.HasPrefix(r.URL.Host, "catalyst") {
					return base.RoundTrip(r)
				}
				discoveries.Add(1)
				w := httptest.NewRecorder()
				w.Header().Set("Content-Type", "application/json")
				_, _ = w.WriteString(`{"url":"http://hub.invalid` + prefix + `"}`)
				return w.Result(), nil
			}),
		}))
		require.NoError(t, err)
		swallows.Store(true)
		_, err = c.Connect(t.Context(), "codesess_1", nil)
		assert.Contains(t, connError(t, err).Error(), "in time")
		swallows.Store(false)
		conn, err := c.Connect(t.Context(), "codesess_1", nil)
		require.NoError(t, err)
		assert.EqualValues(t, 2, discoveries.Load())
		swallows.Store(true)
		time.AfterFunc(time.Minute, func() { swallows.Store(false) })
		assert.IsType(t, &coder.ReconnectedMessage{}, next(t, conn))
		assert.Greater(t, discoveries.Load(), int32(2))
		require.NoError(t, conn.Close())
		base.CloseIdleConnections()
	})
}

// TestNoSuchHost is a slip of the pen when nothing was there before, and an outage afterwards.
func TestNoSuchHost(t *testing.T) {
	none := &net.DNSError{Err: "no such host", Name: "elsewhere", IsNotFound: true}
	live(t, func(p *peer) {
		if p.admit(); p.n > 1 {
			p.listen()
		}
	}, func(t *testing.T, hub *liveHub) {
		for _, id := range []string{"codesess_1", ""} {
			hub.setRefuse(none)
			began := time.Now()
			_, err := connect(t.Context(), hub.client(), id, nil)
			_ = connError(t, err)
			require.ErrorIs(t, err, none)
			require.NotErrorIs(t, err, coder.ErrReconnectsExceeded)
			require.NotErrorIs(t, err, coder.ErrOutcomeUnknown)
			assert.Zero(t, time.Since(began), "nothing is tried again")
		}
		hub.setRefuse(nil)
		conn := connected(t, hub)
		hub.setRefuse(none)
		time.AfterFunc(10*time.Second, func() { hub.setRefuse(nil) })
		assert.Greater(t, next(t, conn).(*coder.ReconnectedMessage).Attempt, 2)
	})
}

// TestHeartbeatTimes: the timeout is more than the interval, always.
func TestHeartbeatTimes(t *testing.T) {
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

// TestTimeToSpeakAfterAPause: while the reader waits for room the Hub cannot be heard, and it need not
// speak at once afterwards.
func TestTimeToSpeakAfterAPause(t *testing.T) {
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

// TestOwnPongs do not reach Messages: on a quiet connection that nobody reads they alone would fill the
// inbox. The pong to a ping of the program does.
func TestOwnPongs(t *testing.T) {
	for name, pong := range map[string]string{
		"that say which ping": `{"type":"pong","timestamp":2,"echoedTimestamp":%d}`,
		"that do not":         `{"type":"pong","timestamp":2}`,
	} {
		t.Run(name, func(t *testing.T) {
			pings := 0
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
					pings++
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
				assert.Greater(t, pings, 8000)
				assert.Len(t, hub.seen(), 1, "they are a sign of life")

				mine := coder.UnixMilli{Time: time.UnixMilli(1)}
				require.NoError(t, conn.Send(t.Context(), &coder.PingMessage{Timestamp: mine}))
				assert.IsType(t, &coder.PongMessage{}, next(t, conn))
				require.NoError(t, conn.Close())
			})
		})
	}
}

// TestNoHeartbeat: negative means off.
func TestNoHeartbeat(t *testing.T) {
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

// TestAHubThatDoesNotReadButSends: a write that moves no byte is a lost connection, whatever comes in.
func TestAHubThatDoesNotReadButSends(t *testing.T) {
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

// TestTooLargeForTheOtherSide: 1009 in the middle of a write is what its sender gets, and nothing was taken.
func TestTooLargeForTheOtherSide(t *testing.T) {
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
