package coder_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

func TestConnect_Request(t *testing.T) {
	live(t, func(p *peer) {
		p.admit()
		p.listen()
	}, func(t *testing.T, hub *liveHub) {
		conn, err := hub.client().Connect(t.Context(), "codesess_1", &coder.HubConnectOptions{
			Agent: "a b", ParentSessionID: "p", Task: "Try ä", Label: "l&m", Subscribe: []string{"task_*", "agent"},
			DriverMode: "rpc", DriverInstanceID: "d", DriverVersion: "1",
		})
		require.NoError(t, err)
		assert.Equal(t, coder.StateConnected, conn.State())
		assert.Equal(t, "codesess_1", conn.SessionID())
		assert.Equal(t, coder.RoleObserver, conn.Init().Role)
		require.NoError(t, conn.Close())
		require.NoError(t, conn.Close())
		assert.Equal(t, coder.StateClosed, conn.State())

		request := hub.seen()[0]
		assert.Equal(t, prefix+"/api/ws?sessionId=codesess_1&role=observer&agent=a+b&parent=p&task=Try+%C3%A4&label=l%26m"+
			"&subscribe=task_*%2Cagent&orgId=org_2f9c1d&origin=sdk&driverMode=rpc&driverInstanceId=d&driverVersion=1", request.RequestURI)
		assert.Equal(t, "Bearer "+testKey, request.Header.Get("Authorization"))
		assert.Equal(t, "org_2f9c1d", request.Header.Get("X-Agentuity-Orgid"))
		assert.Regexp(t, `^agentuity-coder-go/`, request.Header.Get("User-Agent"))
		assert.NotContains(t, request.RequestURI, testKey)
	})
}

func TestConnect_RefusesOptions(t *testing.T) {
	c := newClient(t, coder.WithURL("http://hub.invalid"))
	for field, o := range map[string]coder.HubConnectOptions{
		"ReconnectDelay": {ReconnectDelay: -1}, "MaxReconnectDelay": {MaxReconnectDelay: -1},
	} {
		_, err := c.Connect(t.Context(), "codesess_1", &o)
		var bad *coder.ValidationError
		require.ErrorAs(t, err, &bad)
		assert.Equal(t, field, bad.Field)
		_, err = c.Attach(t.Context(), "x", &coder.AttachOptions{Connection: o})
		require.ErrorAs(t, err, &bad)
		assert.Equal(t, "Attach", bad.Operation)
	}
}

// TestHubConn_NoContext: nil for a context is refused by every method that has one.
func TestHubConn_NoContext(t *testing.T) {
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

func TestAttach(t *testing.T) {
	state := func(history, runtime, wake bool) string {
		b, err := json.Marshal(map[string]any{
			"sessionId": "codesess_1", "historyOnly": history, "runtimeAvailable": runtime, "wakeAvailable": wake,
		})
		require.NoError(t, err)
		return string(b)
	}
	for _, test := range []struct {
		name   string
		states []string
		ok     bool
	}{
		{"running", []string{state(false, true, false)}, true},
		{"wakes", []string{state(false, false, true), state(false, false, false), state(false, true, false)}, true},
		{"does not wake", []string{state(false, false, true), state(false, false, true)}, false},
		{"cannot wake", []string{state(false, false, false)}, false},
		{"is over", []string{state(true, true, false)}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			live(t, func(p *peer) {
				p.admit()
				p.listen()
			}, func(t *testing.T, hub *liveHub) {
				looks := 0
				hub.rest = func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Content-Type", "application/json")
					if r.Method == http.MethodPost {
						_, _ = w.Write([]byte(`{"sessionId":"codesess_1","resumed":true}`))
						return
					}
					_, _ = w.Write([]byte(test.states[min(looks, len(test.states)-1)]))
					looks++
				}
				c := hub.client()
				conn, err := c.Attach(t.Context(), "codesess_1", nil)
				if !test.ok {
					e := connError(t, err)
					require.ErrorIs(t, err, coder.ErrNotAttachable)
					assert.Equal(t, "Attach", e.Operation)
					assert.Empty(t, hub.seen(), "nothing is dialled")
					return
				}
				require.NoError(t, err)
				assert.Contains(t, hub.seen()[0].RequestURI, "?sessionId=codesess_1&role=controller&")
				require.NoError(t, conn.Close())
				_, err = c.Attach(t.Context(), "..", nil)
				var bad *coder.ValidationError
				require.ErrorAs(t, err, &bad)
				assert.Equal(t, "Attach", bad.Operation)
			})
		})
	}
}

// TestAttach_Waits: a session that is being created is given as long as the Hub gives its driver, one that is woken 30 s.
func TestAttach_Waits(t *testing.T) {
	for name, test := range map[string]struct {
		status string
		looks  int // before the session moves on, one a second
		limit  time.Duration
		took   time.Duration
		ok     bool
	}{
		"created slowly":            {status: coder.StatusCreating, looks: 110, took: 111 * time.Second, ok: true},
		"provisioned slowly":        {status: coder.StatusProvisioning, looks: 110, took: 111 * time.Second, ok: true},
		"not created":               {status: coder.StatusCreating, looks: 200, took: 120 * time.Second},
		"not created, as told":      {status: coder.StatusCreating, looks: 200, limit: 5 * time.Second, took: 5 * time.Second},
		"created very slowly":       {status: coder.StatusCreating, looks: 400, limit: -1, took: 401 * time.Second, ok: true},
		"not woken":                 {status: coder.StatusPaused, looks: 200, took: 30 * time.Second},
		"not woken, as told":        {status: coder.StatusPaused, looks: 200, limit: time.Minute, took: time.Minute},
		"neither created nor woken": {status: coder.StatusFailed, looks: 200},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, hub *codertest.Hub) {
				c := hubClient(t, hub)
				id := newSession(t, c)
				hub.Session(id).SetStatus(test.status)
				hub.Session(id).Script(make([]func(*codertest.SessionControl), test.looks)...)
				began := time.Now()
				conn, err := c.Attach(t.Context(), id, &coder.AttachOptions{
					Preparation: coder.RemoteAttachPreparationOptions{Timeout: test.limit},
				})
				assert.InDelta(t, test.took.Seconds(), time.Since(began).Seconds(), 2)
				if !test.ok {
					require.ErrorIs(t, err, coder.ErrNotAttachable)
					return
				}
				require.NoError(t, err)
				require.NoError(t, conn.Close())
			})
		})
	}
}

// TestAttach_Hub: a session from its creation to an answer of its agent.
func TestAttach_Hub(t *testing.T) {
	bubbleWith(t, func(t *testing.T, hub *codertest.Hub) {
		c := hubClient(t, hub)
		id := newSession(t, c)
		conn, err := c.Attach(t.Context(), id, nil)
		require.NoError(t, err, "a session that was just created is waited for")
		defer func() { assert.NoError(t, conn.Close()) }()
		assert.Equal(t, id, conn.SessionID())
		assert.Equal(t, coder.RoleController, conn.Init().Role)

		require.NoError(t, conn.Prompt(t.Context(), "Say hello"))
		hydrated, ended := false, false
		for m, err := range conn.Messages(t.Context()) {
			require.NoError(t, err)
			switch m := m.(type) {
			case *coder.HubHydrationMessage:
				hydrated = true
			case *coder.RPCEventMessage:
				ended = m.EventType == coder.EventAgentEnd
			}
			if ended {
				break
			}
		}
		assert.True(t, hydrated)
		state, err := conn.GetState(t.Context())
		require.NoError(t, err)
		assert.False(t, state.IsStreaming)
		messages, err := conn.GetMessages(t.Context())
		require.NoError(t, err)
		assert.NotEmpty(t, messages)

		hub.Session(id).Archive()
		_, err = c.Attach(t.Context(), id, nil)
		require.ErrorIs(t, err, coder.ErrNotAttachable)
	})
}

// TestHubConn_Close: from several goroutines while everything is in use, in every phase.
func TestHubConn_Close(t *testing.T) {
	for phase, play := range map[string]func(*peer){
		"connected": func(p *peer) { p.admit(); p.listen() },
		"reconnecting": func(p *peer) {
			if p.n == 1 {
				p.admit()
			}
		},
		"authenticating": func(p *peer) {
			if p.n == 1 {
				p.admit()
				return
			}
			p.listen()
		},
		"stalled": func(p *peer) { p.admit(); time.Sleep(20 * time.Second) },
		"flooded": func(p *peer) {
			p.admit()
			for p.say(`{"type":"pong","timestamp":1}`) == nil {
				time.Sleep(time.Millisecond)
			}
		},
	} {
		t.Run(phase, func(t *testing.T) {
			live(t, play, func(t *testing.T, hub *liveHub) {
				conn := connected(t, hub)
				var group sync.WaitGroup
				group.Go(func() {
					for m, err := range conn.Messages(context.Background()) {
						assert.NoError(t, err)
						assert.NotNil(t, m)
					}
				})
				group.Go(func() {
					for {
						if err := conn.Send(context.Background(), &coder.PingMessage{}); err != nil {
							if errorsIs(err, coder.ErrConnClosed) {
								return
							}
							var lost *coder.HubConnError
							assert.True(t, errors.As(err, &lost) && lost.Code == coder.ConnLost, "%v", err)
						}
						time.Sleep(time.Second)
					}
				})
				group.Go(func() {
					for {
						_, err := conn.SendAndWait(context.Background(), &coder.EventRequest{})
						if assert.Error(t, err); errorsIs(err, coder.ErrConnClosed) {
							return
						}
					}
				})
				time.Sleep(2500 * time.Millisecond)
				began := time.Now()
				for range 3 {
					group.Go(func() { assert.NoError(t, conn.Close()) })
				}
				group.Wait()
				if phase == "stalled" {
					assert.LessOrEqual(t, time.Since(began), 2*time.Second)
				} else {
					assert.LessOrEqual(t, time.Since(began), time.Second)
				}
				assert.Equal(t, coder.StateClosed, conn.State())
				_, err := conn.SendAndWait(t.Context(), &coder.ToolRequest{})
				require.ErrorIs(t, err, coder.ErrConnClosed)
				require.NotErrorIs(t, err, coder.ErrOutcomeUnknown)
				_, err = conn.GetState(t.Context())
				require.ErrorIs(t, err, coder.ErrConnClosed)
				require.ErrorIs(t, conn.Prompt(t.Context(), "x"), coder.ErrConnClosed)
				after, err := messages(t, conn)
				require.NoError(t, err)
				assert.Empty(t, after, "nothing comes after Close")
			})
		})
	}
}

// TestHubConn_Close_SaysGoodbye: the Hub gets a close frame.
func TestHubConn_Close_SaysGoodbye(t *testing.T) {
	live(t, func(p *peer) {
		p.admit()
		p.listen()
		assert.Equal(t, websocket.CloseError{Code: 1000, Reason: "Client closed"}, p.closed)
	}, func(t *testing.T, hub *liveHub) {
		conn := connected(t, hub)
		synctest.Wait()
		began := time.Now()
		require.NoError(t, conn.Close())
		assert.Zero(t, time.Since(began))
	})
}

// TestHubConn_Format: printing is safe while the connection works, and shows no secret.
func TestHubConn_Format(t *testing.T) {
	live(t, func(p *peer) { p.admit(); p.listen() }, func(t *testing.T, hub *liveHub) {
		conn := connected(t, hub)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 100 {
				_ = conn.Abort(t.Context())
			}
		}()
		var logged strings.Builder
		logger := slog.New(slog.NewTextHandler(&logged, nil))
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x"} {
			text := fmt.Sprintf(verb, conn)
			assert.Equal(t, "coder.HubConn(codesess_1, connected)", text, verb)
		}
		logger.Info("here", "conn", conn)
		assert.NotContains(t, logged.String(), testKey)
		assert.Contains(t, logged.String(), "coder.HubConn(codesess_1, connected)")
		<-done
		require.NoError(t, conn.Close())
		assert.Equal(t, "coder.HubConn(nil)", fmt.Sprint((*coder.HubConn)(nil)))
	})
}
