package coder_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

func TestPrepareSessionForRemoteAttach(t *testing.T) {
	prepare := func(t *testing.T, c *coder.Client, id string) (*coder.Session, time.Duration, error) {
		began := time.Now()
		s, err := c.PrepareSessionForRemoteAttach(t.Context(), id, nil)
		return s, time.Since(began), err
	}
	running := func(t *testing.T, c *coder.Client) string {
		id := newSession(t, c)
		for range 3 {
			_, err := c.GetSession(t.Context(), id)
			require.NoError(t, err)
		}
		return id
	}
	t.Run("a session that runs is returned", func(t *testing.T) {
		bubble(t, func(t *testing.T, hub *codertest.Hub) {
			c := hubClient(t, hub)
			s, took, err := prepare(t, c, running(t, c))
			require.NoError(t, err)
			assert.True(t, s.RuntimeAvailable)
			assert.Zero(t, took)
		})
	})
	t.Run("a paused one is woken", func(t *testing.T) {
		bubble(t, func(t *testing.T, hub *codertest.Hub) {
			c := hubClient(t, hub)
			id := running(t, c)
			hub.Session(id).Pause()
			s, took, err := prepare(t, c, id)
			require.NoError(t, err)
			assert.True(t, s.RuntimeAvailable)
			assert.Positive(t, took)
		})
	})
	t.Run("one that is over is returned", func(t *testing.T) {
		bubble(t, func(t *testing.T, hub *codertest.Hub) {
			c := hubClient(t, hub)
			id := running(t, c)
			hub.Session(id).Archive()
			s, took, err := prepare(t, c, id)
			require.NoError(t, err)
			assert.True(t, s.HistoryOnly)
			assert.Zero(t, took)
		})
	})
	t.Run("one that does not wake is returned in the end", func(t *testing.T) {
		bubble(t, func(t *testing.T, hub *codertest.Hub) {
			c := hubClient(t, hub)
			id := running(t, c)
			hub.Session(id).Pause()
			steps := make([]func(*codertest.SessionControl), 100)
			hub.Session(id).Script(steps...)
			s, took, err := prepare(t, c, id)
			require.NoError(t, err, "running out of time is no error")
			assert.False(t, s.RuntimeAvailable)
			assert.Equal(t, 30*time.Second, took)
		})
	})
	t.Run("a look that hangs is bounded, a 404 passes", func(t *testing.T) {
		bubble(t, func(t *testing.T, hub *codertest.Hub) {
			c := hubClient(t, hub)
			id := running(t, c)
			hub.Session(id).Pause()
			hub.Inject(codertest.Fault{Method: http.MethodGet, Skip: 1, Status: http.StatusNotFound})
			hub.Inject(codertest.Fault{Method: http.MethodGet, Skip: 1, Stall: true, Count: -1})
			s, took, err := prepare(t, c, id)
			require.NoError(t, err)
			assert.False(t, s.RuntimeAvailable)
			assert.Equal(t, 30*time.Second, took)
			c.CloseIdleConnections()
		})
	})
	for name, status := range map[string]int{"401": 401, "402": 402, "403": 403, "426": 426} {
		t.Run("a look answered "+name+" ends it", func(t *testing.T) {
			bubble(t, func(t *testing.T, hub *codertest.Hub) {
				c := hubClient(t, hub)
				id := running(t, c)
				hub.Session(id).Pause()
				hub.Inject(codertest.Fault{Method: http.MethodGet, Skip: 1, Status: status})
				_, _, err := prepare(t, c, id)
				var api *coder.APIError
				require.ErrorAs(t, err, &api)
				assert.Equal(t, status, api.StatusCode)
				assert.Equal(t, "PrepareSessionForRemoteAttach", api.Operation)
			})
		})
	}
	t.Run("the end of the context", func(t *testing.T) {
		bubble(t, func(t *testing.T, hub *codertest.Hub) {
			c := hubClient(t, hub)
			id := running(t, c)
			hub.Session(id).Pause()
			hub.Session(id).Script(make([]func(*codertest.SessionControl), 100)...)
			ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
			defer cancel()
			began := time.Now()
			_, err := c.PrepareSessionForRemoteAttach(ctx, id, nil)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			var failed *coder.RequestError
			require.ErrorAs(t, err, &failed)
			assert.Equal(t, 2500*time.Millisecond, time.Since(began))
		})
	})
	for name, body := range map[string]string{
		"resumed is false": `{"sessionId":"x","resumed":false}`,
		"an error":         `{"sessionId":"x","error":"sandbox is gone"}`,
		"not ok":           `{"ok":false,"error":"sandbox is gone"}`,
	} {
		t.Run("the Hub declines: "+name, func(t *testing.T) {
			bubble(t, func(t *testing.T, hub *codertest.Hub) {
				c := hubClient(t, hub)
				id := running(t, c)
				hub.Session(id).Pause()
				hub.Inject(codertest.Fault{Method: http.MethodPost, Count: 2, Status: 200, Body: []byte(body)})
				_, _, err := prepare(t, c, id)
				require.ErrorIs(t, err, coder.ErrResumeDeclined)
				_, err = c.ResumeSession(t.Context(), id)
				require.ErrorIs(t, err, coder.ErrResumeDeclined)
				if name == "an error" {
					assert.Contains(t, err.Error(), "sandbox is gone")
				}
			})
		})
	}
}
