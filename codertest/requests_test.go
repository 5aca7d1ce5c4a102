package codertest_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/codertest"
)

func TestRequests(t *testing.T) {
	const key = "agc_secret"
	f := start(t, codertest.WithAPIKey(key))
	assert.Empty(t, f.Requests())
	began := time.Now()
	_, err := f.try("POST", "/hub/session", newSession, "Authorization", "Bearer "+key, "X-Mine", "1")
	require.NoError(t, err)
	_, err = f.try("GET", "/hub/session/a%2Fb?token="+key+"&x=1", "", "x-agentuity-auth-api-key", key)
	require.NoError(t, err)
	_, err = f.try("GET", "/hub/nothing", "")
	require.NoError(t, err)

	requests := f.Requests()
	require.Len(t, requests, 3)
	first, second, third := requests[0], requests[1], requests[2]
	assert.Equal(t, "POST", first.Method)
	assert.Equal(t, "/api/hub/session", first.Path)
	assert.Equal(t, "/hub/session", first.Route)
	assert.Equal(t, newSession, string(first.Body))
	assert.Equal(t, 201, first.Status)
	assert.Equal(t, "trace_000001", first.RequestID)
	assert.Equal(t, "Bearer [API key]", first.Header.Get("Authorization"), "a test that fails may print it")
	assert.Equal(t, "1", first.Header.Get("X-Mine"))
	assert.False(t, first.Time.Before(began))

	assert.Equal(t, "/api/hub/session/a%2Fb", second.Path)
	assert.Equal(t, "token=%5BAPI+key%5D&x=1", second.RawQuery)
	assert.Equal(t, "[API key]", second.Header.Get("X-Agentuity-Auth-Api-Key"))
	_, err = f.try("GET", "/hub/sessions", "", "x-agentuity-auth-api-key", "agc_first second", "Authorization", "first second")
	require.NoError(t, err)
	last := f.Requests()[3]
	assert.Equal(t, "[API key]", last.Header.Get("X-Agentuity-Auth-Api-Key"), "a key may have blanks")
	assert.Equal(t, "[API key]", last.Header.Get("Authorization"))
	assert.Equal(t, "/hub/session/{id}", second.Route)
	assert.Nil(t, second.Body)
	assert.Equal(t, 404, second.Status)
	assert.Equal(t, 401, third.Status)
	assert.Empty(t, third.Route)

	first.Header.Set("X-Mine", "2")
	first.Body[0] = '!'
	assert.Equal(t, "1", f.Requests()[0].Header.Get("X-Mine"))
	assert.Equal(t, newSession, string(f.Requests()[0].Body))
}

func TestPrintingARequestKeepsItsSecrets(t *testing.T) {
	const key = "agc_secret"
	f := start(t, codertest.WithAPIKey(key))
	f.Inject(codertest.Fault{Skip: 1, Cut: codertest.CutBeforeEffect})
	for range 2 {
		_, _ = f.try("POST", "/hub/session?token="+key, `{"task":"x","env":{"KEY":"`+key+`"}}`,
			"Authorization", "Bearer "+key, "x-agentuity-auth-api-key", key)
	}
	requests := f.Requests()
	require.Len(t, requests, 2)
	var printed bytes.Buffer
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
		fmt.Fprintf(&printed, format, requests[0])
		fmt.Fprintf(&printed, format, &requests[0])
		fmt.Fprintf(&printed, format, requests)
	}
	slog.New(slog.NewTextHandler(&printed, nil)).Info("request", "request", requests[0])
	slog.New(slog.NewJSONHandler(&printed, nil)).Info("request", "request", requests[0])
	fmt.Fprint(&printed, f.Hub)
	assert.NotContains(t, printed.String(), key)
	assert.Contains(t, printed.String(), `"path":"/api/hub/session"`)
	assert.Equal(t, "POST /api/hub/session: 201", requests[0].String())
	assert.Equal(t, "POST /api/hub/session: no answer", requests[1].String())
}

func TestTraceIDsCount(t *testing.T) {
	f := start(t)
	for i := 1; i <= 3; i++ {
		r, err := f.try("GET", "/hub/session/nope", "")
		require.NoError(t, err)
		assert.Equal(t, fmt.Sprintf("trace_%06d", i), r.header.Get("x-session-id"))
	}
}

// TestLogLimit: a Hub that runs for long keeps the newest, and counts on.
func TestLogLimit(t *testing.T) {
	f := start(t, codertest.WithLogLimit(2))
	id := f.active()
	c := f.control(id)
	for _, n := range []string{"1", "2", "3"} {
		c.send(`{"type":"ping","timestamp":` + n + `}`)
		c.expect("pong")
		f.get("/hub/sessions?limit=" + n)
	}
	requests := f.Requests()
	require.Len(t, requests, 2)
	assert.Equal(t, "limit=2", requests[0].RawQuery)
	assert.Equal(t, "limit=3", requests[1].RawQuery)
	assert.Greater(t, requests[1].RequestID, requests[0].RequestID)
	frames := f.Session(id).Frames()
	require.Len(t, frames, 2)
	assert.JSONEq(t, `{"type":"ping","timestamp":2}`, string(frames[0].Body))
	none := start(t, codertest.WithLogLimit(0))
	none.get("/hub/sessions")
	assert.Empty(t, none.Requests())
	assert.PanicsWithValue(t, "codertest: the limit of a log must not be negative", func() { codertest.WithLogLimit(-1) })
}
