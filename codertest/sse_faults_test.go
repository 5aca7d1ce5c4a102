package codertest_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/codertest"
)

func TestKeepAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t)
		defer f.Close()
		id := f.create(newSession)
		o := f.observe(id, "")
		defer o.close()
		o.expect(opening...)
		began := time.Now()
		time.Sleep(10 * time.Second)
		f.Session(id).Emit(eventNamed("turn_end"))
		o.expect("broadcast turn_end")
		for i := range 3 {
			block, err := o.block()
			require.NoError(t, err)
			assert.Equal(t, ": keep-alive\n", block)
			assert.Equal(t, time.Duration(10+15*(i+1))*time.Second, time.Since(began))
		}
	})
}

func TestNoKeepAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, codertest.WithKeepAlive(0))
		defer f.Close()
		id := f.create(newSession)
		o := f.observe(id, "")
		defer o.close()
		o.expect(opening...)
		time.AfterFunc(time.Hour, func() { f.Session(id).Emit(eventNamed("turn_end")) })
		o.expect("broadcast turn_end")
	})
}

func TestStalledStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, codertest.WithKeepAlive(time.Second))
		defer f.Close()
		id := f.create(newSession)
		o := f.observe(id, "")
		o.expect(opening...)
		f.Session(id).StallStreams()
		f.Session(id).Emit(eventNamed("turn_end"))
		time.AfterFunc(time.Hour, o.cancel)
		began := time.Now()
		_, err := o.block()
		require.ErrorIs(t, err, context.Canceled)
		assert.Equal(t, time.Hour, time.Since(began))
		synctest.Wait()
		assert.Equal(t, 0, f.Session(id).Streams())

		again := f.observe(id, "")
		defer again.close()
		again.expect(opening...)
	})
}

func TestFaultsOfAStream(t *testing.T) {
	const route = "/hub/session/{id}/events"
	synctest.Test(t, func(t *testing.T) {
		f := start(t)
		defer f.Close()
		id := f.create(newSession)
		f.Inject(codertest.Fault{Route: route, Status: 502, Effect: true})
		f.call(502, "GET", "/hub/session/"+id+"/events", "")

		f.client.CloseIdleConnections() // on a new connection nothing is repeated
		f.Inject(codertest.Fault{Route: route, Cut: codertest.CutAfterEffect})
		_, err := f.try("GET", "/hub/session/"+id+"/events", "")
		require.ErrorIs(t, err, io.EOF)
		events := f.get("/hub/session/" + id + "/events/history")["events"]
		assert.Equal(t, []any{"session_leave", "session_join", "session_start"}, all(t, events, "event"))

		f.Inject(codertest.Fault{Route: route, Cut: codertest.CutMidBody})
		o := f.observe(id, "")
		block, err := o.block()
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		assert.True(t, strings.HasPrefix(block, "event: snapshot\ndata: {"), block)
		o.close()

		f.Inject(codertest.Fault{Route: route, Delay: time.Minute, Header: http.Header{"X-Mine": {"1"}}})
		began := time.Now()
		o = f.observe(id, "")
		assert.Equal(t, "1", o.resp.Header.Get("X-Mine"))
		assert.Equal(t, time.Minute, time.Since(began))
		o.close()

		for _, cut := range []codertest.CutPoint{codertest.CutNone, codertest.CutAfterEffect, codertest.CutMidBody} {
			f.Inject(codertest.Fault{Route: route, Cut: cut, Stall: true})
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			req, err := http.NewRequestWithContext(ctx, "GET", f.URL()+"/api/hub/session/"+id+"/events", nil)
			require.NoError(t, err)
			_, err = read(f.client.Do(req))
			require.ErrorIs(t, err, context.DeadlineExceeded, "cut %d", cut)
			cancel()
		}
		synctest.Wait()
		assert.Equal(t, 0, f.Streams())
	})
}

// A reader that stands still costs itself the connection, and nobody else
// anything.
func TestSlowReader(t *testing.T) {
	for name, opts := range map[string][]codertest.Option{
		"loopback":  {codertest.WithStreamQueue(8)},
		"in memory": {codertest.WithStreamQueue(8), codertest.WithInMemoryNetwork()},
	} {
		t.Run(name, func(t *testing.T) {
			hub := codertest.NewHub(opts...)
			defer hub.Close()
			f := fixture{TB: t, Hub: hub, client: hub.HTTPClient()}
			id := f.create(newSession)
			slow, fast := f.observe(id, ""), f.observe(id, "")
			defer slow.close()
			defer fast.close()
			fast.expect(opening...)
			payload := map[string]any{"text": strings.Repeat("x", 1<<20)}
			for n := 0; hub.Streams() > 1; n++ {
				require.Less(t, n, 1000, "a connection that nobody reads should be cut")
				f.Session(id).Emit(codertest.Event{Event: "turn_end", Payload: payload})
				for fast.next()["event"] != "turn_end" {
					continue
				}
			}
			slow.broken()
			f.Session(id).Emit(eventNamed("turn_start"))
			for fast.next()["event"] != "turn_start" {
				continue
			}
		})
	}
}

func TestCloseEndsStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t)
		id := f.create(newSession)
		read, unread := f.observe(id, ""), f.observe(id, "")
		read.expect(opening...)
		for range 100 {
			f.Session(id).Emit(eventNamed("turn_end"))
		}
		began := time.Now()
		f.Close()
		assert.Zero(t, time.Since(began))
		read.broken()
		_, err := io.ReadAll(unread.resp.Body)
		require.Error(t, err)
		assert.Equal(t, 0, f.Streams())
		_, err = f.try("GET", "/hub/session/"+id+"/events", "")
		require.Error(t, err)
	})
}

func TestManyObservers(t *testing.T) {
	f := start(t)
	id := f.create(newSession)
	const observers, events = 16, 200
	results := make(chan error, observers)
	for range observers {
		o := f.observe(id, "?subscribe=turn_end,session_shutdown")
		go func() {
			defer o.close()
			seen := 0
			for {
				block, err := o.block()
				if errors.Is(err, io.EOF) && seen == 4*events {
					results <- nil
					return
				}
				if err != nil {
					results <- err
					return
				}
				seen += strings.Count(block, `"event":"turn_end"`)
			}
		}()
	}
	senders := make(chan struct{})
	for range 4 {
		go func() {
			for range events {
				f.Session(id).Emit(eventNamed("turn_end"))
			}
			senders <- struct{}{}
		}()
	}
	for range 4 {
		<-senders
	}
	f.Session(id).Shutdown()
	for range observers {
		assert.NoError(t, <-results)
	}
}
