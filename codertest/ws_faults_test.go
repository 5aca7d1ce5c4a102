package codertest_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/codertest"
)

func TestFaultsOfASocket(t *testing.T) {
	const route = "/ws"
	synctest.Test(t, func(t *testing.T) {
		f := start(t)
		defer f.Close()
		dial := func() (*http.Response, error) {
			conn, resp, err := websocket.Dial(t.Context(), f.URL()+"/api/ws", &websocket.DialOptions{HTTPClient: f.client})
			if err == nil {
				t.Cleanup(func() { _ = conn.CloseNow() })
			}
			return resp, err
		}
		f.Inject(codertest.Fault{Route: route, Status: 502})
		resp, err := dial()
		require.Error(t, err)
		assert.Equal(t, 502, resp.StatusCode)

		f.client.CloseIdleConnections()
		f.Inject(codertest.Fault{Route: route, Cut: codertest.CutBeforeEffect})
		_, err = dial()
		require.Error(t, err)
		assert.Empty(t, f.SessionIDs())

		f.Inject(codertest.Fault{Route: route, Cut: codertest.CutAfterEffect})
		f.dial("").lost()
		assert.Len(t, f.SessionIDs(), 1, "the session was created, and nobody knows")

		f.Inject(codertest.Fault{Route: route, Cut: codertest.CutMidBody})
		f.dial("").lost()
		assert.Len(t, f.SessionIDs(), 2)

		f.Inject(codertest.Fault{Route: route, Delay: time.Minute, Header: http.Header{"X-Mine": {"1"}}})
		began := time.Now()
		resp, err = dial()
		require.NoError(t, err)
		assert.Equal(t, "1", resp.Header.Get("X-Mine"))
		assert.Equal(t, time.Minute, time.Since(began))

		for _, cut := range []codertest.CutPoint{codertest.CutAfterEffect, codertest.CutMidBody} {
			f.Inject(codertest.Fault{Route: route, Cut: cut, Stall: true})
			c := f.dial("")
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			_, _, err := c.conn.Read(ctx)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			cancel()
		}
		synctest.Wait()
		assert.Equal(t, 1, f.Streams(), "only the one that was late is there")
	})
}

func TestStalledSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t)
		defer f.Close()
		id := f.active()
		c := f.control(id)
		f.Session(id).StallStreams()
		for range 10 {
			c.send(`{"type":"ping"}`)
		}
		f.Session(id).Emit(eventNamed("turn_end"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		_, _, err := c.conn.Read(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		synctest.Wait()
		assert.Equal(t, 0, f.Streams())
		assert.Len(t, f.Session(id).Frames(), 11)
	})
}

func TestDeafHub(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t)
		id := f.active()
		c := f.control(id)
		f.Session(id).StopReading()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		var err error
		for n := 0; err == nil && n < 100; n++ {
			err = c.conn.Write(ctx, websocket.MessageText, []byte(`{"type":"ping"}`))
		}
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Len(t, f.Session(id).Frames(), 1)
		f.Session(id).CutStreams()
		synctest.Wait()
		assert.Equal(t, 0, f.Streams())

		c = f.control(id)
		f.Session(id).StopReading()
		f.Session(id).Emit(eventNamed("turn_end"))
		c.expect("broadcast turn_end")
		f.Close()
	})
}

func TestCutAndRawFrames(t *testing.T) {
	f := start(t)
	id := f.active()
	c := f.control(id)
	f.Session(id).SendRaw(`{"type":`)
	_, data, err := c.conn.Read(t.Context())
	require.NoError(t, err)
	assert.Equal(t, `{"type":`, string(data))
	f.Session(id).CutStreams()
	c.lost()
	f.control(id)
}

func TestSlowSocket(t *testing.T) {
	for name, opts := range map[string][]codertest.Option{
		"loopback":  {codertest.WithStreamQueue(8)},
		"in memory": {codertest.WithStreamQueue(8), codertest.WithInMemoryNetwork()},
	} {
		t.Run(name, func(t *testing.T) {
			hub := codertest.NewHub(opts...)
			defer hub.Close()
			f := fixture{TB: t, Hub: hub, client: hub.HTTPClient()}
			id := f.active()
			slow := f.control(id)
			fast := f.control(id)
			payload := map[string]any{"text": strings.Repeat("x", 1<<20)}
			for n := 0; hub.Streams() > 1; n++ {
				require.Less(t, n, 1000, "a connection that nobody reads should be cut")
				f.Session(id).Emit(codertest.Event{Event: "turn_end", Payload: payload})
				for nameOf(fast.next()) != "broadcast turn_end" {
					continue
				}
			}
			slow.lost()
		})
	}
}

func TestManySockets(t *testing.T) {
	const clients, prompts = 8, 20
	f := start(t, codertest.WithStreamQueue(clients*prompts*100)) // all of it may wait for a client that gets no processor
	id := f.active()
	var running sync.WaitGroup
	for range clients {
		running.Go(func() {
			conn, _, err := websocket.Dial(t.Context(), f.URL()+"/api/ws?role=controller&sessionId="+id,
				&websocket.DialOptions{HTTPClient: f.client})
			if !assert.NoError(t, err) {
				return
			}
			defer func() { _ = conn.CloseNow() }()
			conn.SetReadLimit(-1)
			assert.NoError(t, conn.Write(t.Context(), websocket.MessageText, []byte(`{"type":"bootstrap_ready"}`)))
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				for range prompts {
					assert.NoError(t, conn.Write(t.Context(), websocket.MessageText,
						[]byte(`{"type":"rpc_command","command":{"type":"prompt","message":"x"}}`)))
				}
				assert.NoError(t, conn.Write(t.Context(), websocket.MessageText, []byte(`{"type":"ping"}`)))
			}()
			for {
				_, data, err := conn.Read(t.Context())
				if !assert.NoError(t, err) || strings.Contains(string(data), `"pong"`) {
					break
				}
			}
			<-sent
		})
	}
	running.Wait()
	entries := f.get("/hub/session/" + id + "/replay")["entries"].([]any)
	assert.Len(t, entries, 1+clients*prompts*5)
	require.Eventually(t, func() bool { return f.Streams() == 0 }, 10*time.Second, time.Millisecond)
}
