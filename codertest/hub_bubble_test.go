package codertest_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/codertest"
)

// A bubble fails the test when a goroutine is left in it, and its time stands
// still while anything waits for a real network.
func TestInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := codertest.NewHub(codertest.WithInMemoryNetwork())
		defer hub.Close()
		f := fixture{TB: t, Hub: hub, client: hub.HTTPClient()}
		id := f.create(newSession)
		assert.Equal(t, "2000-01-01T00:00:00.000Z", f.get("/hub/session/" + id)["createdAt"])
		time.Sleep(90*time.Minute + 7*time.Millisecond)
		f.call(200, "PATCH", "/hub/session/"+id, `{"label":"new"}`)
		assert.Equal(t, "2000-01-01T01:30:00.007Z", f.get("/hub/session/" + id)["updatedAt"])
	})
}

func TestDelayInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := codertest.NewHub(codertest.WithInMemoryNetwork())
		defer hub.Close()
		f := fixture{TB: t, Hub: hub, client: hub.HTTPClient()}
		hub.Inject(codertest.Fault{Delay: time.Hour, Count: 2})
		began := time.Now()
		f.create(newSession)
		assert.Equal(t, time.Hour, time.Since(began))

		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, "DELETE", hub.URL()+"/api/hub/session/codesess_000000000001", nil)
		require.NoError(t, err)
		_, err = hub.HTTPClient().Do(req)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, time.Hour+time.Minute, time.Since(began))
		synctest.Wait()
		assert.Len(t, hub.SessionIDs(), 1, "a delayed request whose client has left has no effect")
		assert.Equal(t, time.Hour+time.Minute, time.Since(began))
	})
}

func TestCloseEndsDelaysAndStalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := codertest.NewHub(codertest.WithInMemoryNetwork())
		hub.Inject(codertest.Fault{Delay: time.Hour})
		hub.Inject(codertest.Fault{Stall: true})
		hub.Inject(codertest.Fault{Stall: true, Cut: codertest.CutMidBody})
		ended := make(chan error, 3)
		for range cap(ended) {
			go func() {
				_, err := read(hub.HTTPClient().Get(hub.URL() + "/api/hub/sessions"))
				ended <- err
			}()
		}
		synctest.Wait()
		began := time.Now()
		hub.Close()
		for range cap(ended) {
			require.Error(t, <-ended)
		}
		assert.Zero(t, time.Since(began))
	})
}

func TestCloseWaitsForAnswersUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := codertest.NewHub(codertest.WithInMemoryNetwork())
		f := fixture{TB: t, Hub: hub, client: hub.HTTPClient()}
		release := make(chan struct{})
		hub.Session(f.create(newSession)).Script(func(*codertest.SessionControl) { <-release })
		go func() { _, _ = f.try("GET", "/hub/session/codesess_000000000001", "") }()
		synctest.Wait()
		closed := make(chan struct{})
		go func() {
			hub.Close()
			close(closed)
		}()
		synctest.Wait()
		select {
		case <-closed:
			t.Error("Close returned while a request was served")
		default:
		}
		close(release)
		<-closed
	})
}

func TestDialEndsWithItsContext(t *testing.T) {
	hub := codertest.NewHub(codertest.WithInMemoryNetwork())
	defer hub.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", hub.URL(), nil)
	require.NoError(t, err)
	_, err = hub.HTTPClient().Do(req)
	require.ErrorIs(t, err, context.Canceled)
}
