package codertest_test

import (
	"context"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/codertest"
)

// A cut is noticed at once, and not when something is to be sent.
func TestCutsAreNoticedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t)
		defer f.Close()
		id := f.create(newSession)
		o := f.observe(id, "")
		defer o.close()
		o.expect(opening...)
		began := time.Now()
		f.Session(id).CutStreams()
		o.broken()
		assert.Zero(t, time.Since(began))
	})
}

// StallStreams and a Fault that stalls leave a connection without a word, even
// at the end of the session, and CutStreams ends it all the same.
func TestStalledConnectionsStaySilent(t *testing.T) {
	for _, cut := range []codertest.CutPoint{codertest.CutNone, codertest.CutAfterEffect, codertest.CutMidBody} {
		for _, transport := range []string{"sse", "ws"} {
			synctest.Test(t, func(t *testing.T) {
				f := start(t, codertest.WithStreamQueue(8))
				defer f.Close()
				id := f.active()
				if cut != codertest.CutNone {
					f.Inject(codertest.Fault{Method: "GET", Cut: cut, Stall: true})
				}
				ended := make(chan error, 1)
				go func() { ended <- f.readAll(transport, id) }()
				synctest.Wait()
				require.Equal(t, 1, f.Session(id).Streams())
				if cut == codertest.CutNone {
					f.Session(id).StallStreams()
				}
				for range 100 {
					f.Session(id).Emit(eventNamed("turn_end"))
				}
				f.Session(id).EndStreams(1000, "")
				f.Session(id).Shutdown()
				time.Sleep(time.Hour)
				select {
				case err := <-ended:
					t.Errorf("%s, cut %d: it should hang, and not end with %v", transport, cut, err)
				default:
				}
				assert.Equal(t, 1, f.Session(id).Streams())
				began := time.Now()
				f.Session(id).CutStreams()
				require.Error(t, <-ended, "%s, cut %d", transport, cut)
				assert.Zero(t, time.Since(began))
				synctest.Wait()
				assert.Equal(t, 0, f.Streams())
			})
		}
	}
}

// readAll follows a session until it cannot any more.
func (f fixture) readAll(transport, id string) error {
	if transport == "sse" {
		f.client.CloseIdleConnections() // on a new connection nothing is repeated
		_, err := read(f.client.Get(f.URL() + "/api/hub/session/" + id + "/events"))
		return err
	}
	conn, _, err := websocket.Dial(context.Background(), f.URL()+"/api/ws?sessionId="+id, &websocket.DialOptions{HTTPClient: f.client})
	if err != nil {
		return err
	}
	defer func() { _ = conn.CloseNow() }()
	for {
		if _, _, err := conn.Read(context.Background()); err != nil {
			return err
		}
	}
}

// WithStreamQueue says how many messages may wait, besides the one that is
// being sent.
func TestStreamQueueIsExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 5
		f := start(t, codertest.WithStreamQueue(limit))
		defer f.Close()
		id := f.create(newSession)
		o := f.observe(id, "")
		defer o.close()
		o.expect(opening...)
		for range 1 + limit {
			f.Session(id).Emit(eventNamed("turn_end"))
			synctest.Wait()
			require.Equal(t, 1, f.Streams())
		}
		f.Session(id).Emit(eventNamed("turn_end"))
		synctest.Wait()
		assert.Equal(t, 0, f.Streams())
	})
}

// No more than 64 MiB wait, and what has been sent does not count.
func TestStreamQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t)
		defer f.Close()
		id := f.create(newSession)
		o := f.observe(id, "")
		defer o.close()
		o.expect(opening...)
		block := ": " + strings.Repeat("x", 32<<20-4) + "\n\n"
		for range 3 {
			f.Session(id).SendRaw(block)
			_, err := io.CopyN(io.Discard, o.lines, int64(len(block)))
			require.NoError(t, err)
		}
		f.Session(id).Emit(eventNamed("turn_end"))
		o.expect("broadcast turn_end") // then nothing of the last one is under way
		for range 4 {                  // the first will be
			synctest.Wait()
			require.Equal(t, 1, f.Streams())
			f.Session(id).SendRaw(block)
		}
		synctest.Wait()
		assert.Equal(t, 0, f.Streams())
	})
}
