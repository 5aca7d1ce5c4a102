package coder_test

import (
	"context"
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

// TestTheCountBeginsAnew with each connection.
func TestTheCountBeginsAnew(t *testing.T) {
	live(t, func(p *peer) {
		if p.n%2 == 1 {
			p.admit() // and is lost, each time
		}
	}, func(t *testing.T, hub *liveHub) {
		conn := connected(t, hub, func(o *coder.HubConnectOptions) { o.MaxReconnectAttempts = 2 })
		for range 5 {
			again, ok := next(t, conn).(*coder.ReconnectedMessage)
			require.True(t, ok)
			assert.Equal(t, 2, again.Attempt)
			assert.LessOrEqual(t, again.Down, 3*time.Second, "so do the waits")
		}
		require.NoError(t, conn.Close())
	})
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
					w.WriteHeader(http.StatusServiceUnavailable)
				}
				_, err := hub.client(coder.WithURL("http://hub.invalid/nowhere")).Connect(t.Context(), coder.HubConnectOptions{
					SessionID: id, MaxReconnectAttempts: 1, ReconnectDelay: 1, MaxReconnectDelay: 1,
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
		_, err = c.Connect(t.Context(), coder.HubConnectOptions{SessionID: "codesess_1"})
		assert.Contains(t, connError(t, err).Error(), "in time")
		swallows.Store(false)
		conn, err := c.Connect(t.Context(), coder.HubConnectOptions{SessionID: "codesess_1"})
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
			_, err := hub.client().Connect(t.Context(), coder.HubConnectOptions{SessionID: id})
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
			_, err := hub.client().Connect(t.Context(), o)
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
			_ = p.say(fmt.Sprintf(`{"type":"pong","timestamp":%d}`, i))
		}
		time.Sleep(5*time.Minute + 50*time.Second)
		_ = p.say(`{"type":"pong","timestamp":1024}`)
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
