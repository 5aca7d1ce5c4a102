package coder_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// TestOptions_NegativeMeansOff: in every option in which there is something to turn off.
func TestOptions_NegativeMeansOff(t *testing.T) {
	t.Run("RetryPolicy.MaxAttempts: one request", func(t *testing.T) {
		bubble(t, func(t *testing.T, hub *codertest.Hub) {
			in := hub.Inject(codertest.Fault{Status: 502, Count: -1})
			_, err := hubClient(t, hub, coder.WithRetryPolicy(coder.RetryPolicy{MaxAttempts: -1})).GetSession(t.Context(), "x")
			require.ErrorIs(t, err, coder.ErrUnavailable)
			assert.Equal(t, 1, in.Hits())
		})
	})
	t.Run("RetryPolicy.MaxRetryAfter: no wait is accepted", func(t *testing.T) {
		bubble(t, func(t *testing.T, hub *codertest.Hub) {
			in := hub.Inject(codertest.Fault{Status: 429, Header: http.Header{"Retry-After": {"1"}}, Count: -1})
			_, err := hubClient(t, hub, coder.WithRetryPolicy(coder.RetryPolicy{MaxRetryAfter: -1})).GetSession(t.Context(), "x")
			require.ErrorIs(t, err, coder.ErrRateLimited)
			assert.Equal(t, 1, in.Hits())
		})
	})
	t.Run("WithMaxResponseSize: no limit", func(t *testing.T) {
		announcing := func(w http.ResponseWriter, _ *http.Request) { // more than the default, and sends less
			w.Header().Set("Content-Length", "300000000")
			_, _ = w.Write([]byte(`{`))
		}
		_, err := newServer(t, announcing).client(t).GetSession(t.Context(), "x")
		require.ErrorIs(t, err, coder.ErrResponseTooLarge)
		_, err = newServer(t, announcing).client(t, coder.WithMaxResponseSize(-1)).GetSession(t.Context(), "x")
		require.Error(t, err)
		require.NotErrorIs(t, err, coder.ErrResponseTooLarge)
	})
	t.Run("RemoteAttachPreparationOptions.Timeout: until the context ends", func(t *testing.T) {
		bubble(t, func(t *testing.T, hub *codertest.Hub) {
			c := hubClient(t, hub)
			id := readySession(t, hub)
			hub.Session(id).Pause()
			hub.Session(id).Script(make([]func(*codertest.SessionControl), 600)...) // it takes ten minutes to wake
			began := time.Now()
			s, err := c.PrepareSessionForRemoteAttach(t.Context(), id, &coder.RemoteAttachPreparationOptions{Timeout: -1})
			require.NoError(t, err)
			assert.True(t, s.RuntimeAvailable)
			assert.Greater(t, time.Since(began), 9*time.Minute)
		})
	})
	t.Run("StreamEventsOptions.IdleTimeout: for ever", func(t *testing.T) {
		bubble(t, func(t *testing.T, hub *codertest.Hub) {
			c := hubClient(t, hub)
			id := readySession(t, hub)
			time.AfterFunc(24*time.Hour, func() { hub.Session(id).CutStreams() })
			began := time.Now()
			for event, err := range c.StreamEvents(t.Context(), id, &coder.StreamEventsOptions{IdleTimeout: -1, MaxReconnectAttempts: -1}) {
				if err != nil {
					break
				}
				if _, greeted := event.Data.(*coder.SSEHydrationMessage); greeted {
					hub.Session(id).StallStreams() // not even keep-alives
				}
			}
			assert.Equal(t, 24*time.Hour, time.Since(began), "a day of silence is no loss")
			c.CloseIdleConnections()
		})
	})
	t.Run("StreamEventsOptions.MaxReconnectAttempts: none", func(t *testing.T) {
		bubble(t, func(t *testing.T, hub *codertest.Hub) {
			c := hubClient(t, hub)
			id := readySession(t, hub)
			var last error
			for event, err := range c.StreamEvents(t.Context(), id, &coder.StreamEventsOptions{MaxReconnectAttempts: -1}) {
				if last = err; err != nil {
					continue
				}
				if _, greeted := event.Data.(*coder.SSEHydrationMessage); greeted {
					hub.Session(id).CutStreams()
				}
			}
			var lost *coder.RequestError
			require.ErrorAs(t, last, &lost)
			require.NotErrorIs(t, last, coder.ErrReconnectsExceeded, "there was none to exceed")
			c.CloseIdleConnections()
		})
	})
}

func TestWithHTTPClient_IsCopied(t *testing.T) {
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "seen", Value: "yes", Path: "/"})
		answerJSON(http.StatusOK, `{"sessionId":"x"}`)(w, r)
	})
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	given := &http.Client{Jar: jar, Timeout: time.Hour}
	before := *given
	c := s.client(t, coder.WithHTTPClient(given), coder.WithUserAgent("billing-bot/1.4"), coder.WithOrgID("org_1"))
	for range 2 {
		_, err = c.GetSession(t.Context(), "x")
		require.NoError(t, err)
	}
	assert.Equal(t, before.Timeout, given.Timeout)
	assert.Nil(t, given.Transport)
	assert.Nil(t, given.CheckRedirect)
	header := s.seen()[1].header
	assert.Equal(t, "seen=yes", header.Get("Cookie"), "the jar is used")
	assert.Regexp(t, `^billing-bot/1\.4 agentuity-coder-go/`, header.Get("User-Agent"))
	assert.Equal(t, "org_1", header.Get("X-Agentuity-Orgid"))
}

func TestWithLogger_SilentByDefault(t *testing.T) {
	var logged bytes.Buffer
	previous := slog.Default()
	defer slog.SetDefault(previous)
	slog.SetDefault(slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug})))
	s := newServer(t, answerJSON(http.StatusInternalServerError, "{}"))
	_, err := s.client(t).GetSession(t.Context(), "x")
	require.Error(t, err)
	assert.Empty(t, logged.String())
}

// TestWithHTTPClient_TimeoutIsForEachAttempt.
func TestWithHTTPClient_TimeoutIsForEachAttempt(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		given := *hub.HTTPClient()
		given.Timeout = 2 * time.Second
		c := hubClient(t, hub, coder.WithHTTPClient(&given))
		id := newSession(t, c)
		hub.Inject(codertest.Fault{Stall: true, Count: 2})
		began := time.Now()
		_, err := c.GetSession(t.Context(), id)
		require.NoError(t, err)
		assert.InDelta(t, 4.2, time.Since(began).Seconds(), 0.2)
	})
}
