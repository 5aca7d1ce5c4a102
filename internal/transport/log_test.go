package transport

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestLog: a line for each attempt, with the id of the request where the Hub has told one.
func TestLog(t *testing.T) {
	attempts := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if attempts++; attempts == 1 {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		w.Header().Set(RequestIDHeader, "trace_7")
	}))
	defer server.Close()
	var logged bytes.Buffer
	tr := New(Config{
		Policy: Policy{MinBackoff: time.Nanosecond}, MaxBody: 1 << 20, Silence: time.Minute,
		Logger: slog.New(slog.NewJSONHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	defer tr.CloseIdleConnections()
	o := tr.Do(t.Context(), &Request{Method: http.MethodGet, URL: server.URL + "/api/x?key=y", Path: "/x", Idempotent: true})
	require.NoError(t, o.Err)
	o.Body.Release()
	var lines []map[string]any
	for line := range strings.Lines(logged.String()) {
		var fields map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &fields))
		if fields["msg"] == "coder hub request" {
			delete(fields, "time")
			delete(fields, "duration")
			lines = append(lines, fields)
		}
	}
	assert.Equal(t, []map[string]any{
		{"level": "DEBUG", "msg": "coder hub request", "method": "GET", "path": "/x", "status": 502.0, "attempt": 1.0},
		{"level": "DEBUG", "msg": "coder hub request", "method": "GET", "path": "/x", "status": 200.0, "attempt": 2.0, "request_id": "trace_7"},
	}, lines)
}

// TestObserved: what was received counts for an answer, and not for a stream, which goes on.
func TestObserved(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) }))
	defer server.Close()
	for _, stream := range []bool{false, true} {
		var attempts []Attempt
		tr := newTransport(http.Client{}, once)
		o := tr.Do(t.Context(), &Request{
			Method: http.MethodGet, URL: server.URL, Idempotent: true, Stream: stream,
			Observe: func(_ context.Context, a Attempt) { attempts = append(attempts, a) },
		})
		require.NoError(t, o.Err)
		require.Len(t, attempts, 1)
		want := int64(5)
		if stream {
			want = 0
			require.NoError(t, o.Stream.Close())
		}
		assert.Equal(t, want, attempts[0].Received, "stream: %t", stream)
		tr.CloseIdleConnections()
	}
	// An attempt without an answer has received nothing, whatever the one before has.
	var attempts []Attempt
	tr := newTransport(http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		if len(attempts) > 0 {
			return nil, errors.New("reset")
		}
		return &http.Response{StatusCode: http.StatusBadGateway, Body: io.NopCloser(strings.NewReader("hello")), Request: r}, nil
	})}, Policy{MaxAttempts: 2, MinBackoff: time.Nanosecond, UnavailableWindow: -1})
	o := tr.Do(t.Context(), &Request{Method: http.MethodGet, URL: "http://hub", Idempotent: true, Observe: func(_ context.Context, a Attempt) { attempts = append(attempts, a) }})
	require.Error(t, o.Err)
	require.Len(t, attempts, 2)
	assert.EqualValues(t, 5, attempts[0].Received)
	assert.Zero(t, attempts[1].Received)
}
