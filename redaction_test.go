package coder_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

const repeatedKey = "agc_made-up-key-0123456789"

// assertKeyless looks for the key in an error and in all below it.
func assertKeyless(t *testing.T, err error) {
	t.Helper()
	require.Error(t, err)
	for ; err != nil; err = errors.Unwrap(err) {
		for _, verb := range []string{"%v", "%+v", "%#v"} {
			assert.NotContains(t, fmt.Sprintf(verb, err), repeatedKey)
		}
	}
}

// TestTheKeyInATrailer: net/http quotes a trailer that it cannot read, also in the middle of a stream.
func TestTheKeyInATrailer(t *testing.T) {
	hub := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if !assert.NoError(t, err) {
			return
		}
		defer conn.Close()
		kind, body := "text/event-stream", "data: {\"type\":\"x\"}\n\n"
		if strings.HasSuffix(r.URL.Path, "/replay") {
			kind, body = "application/json", `{"sessionId":"s1","entries":[{"type":"message","timestamp":1}`
		}
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\nno trailer %s\r\n\r\n",
			kind, len(body), body, repeatedKey)
	})
	c := hub.client(t, coder.WithAPIKey(repeatedKey))
	_, err := take(c.ReplayEntries(t.Context(), "s1", nil), 10)
	assertKeyless(t, err)
	assert.ErrorContains(t, err, "[API key]")
	reconnected := false
	options := &coder.StreamEventsOptions{MaxReconnectAttempts: 1, ReconnectDelay: time.Millisecond}
	for event, err := range c.StreamEvents(t.Context(), "s1", options) {
		if err != nil {
			assertKeyless(t, err)
			break
		}
		if again, ok := event.Data.(*coder.ReconnectedMessage); ok {
			assertKeyless(t, again.Cause)
			reconnected = true
		}
	}
	assert.True(t, reconnected)
}

// TestTheKeyInAPath: a session id of the program's, or of the Hub's, may be the key.
func TestTheKeyInAPath(t *testing.T) {
	c := newServer(t, answerJSON(404, `{}`)).client(t, coder.WithAPIKey(repeatedKey))
	_, err := c.GetSession(t.Context(), repeatedKey)
	assertKeyless(t, err)
	var api *coder.APIError
	require.ErrorAs(t, err, &api)
	assert.Equal(t, "/hub/session/[API key]", api.Path)
	assert.Equal(t, "[API key]", api.SessionID)
	_, err = take(c.StreamEvents(t.Context(), repeatedKey, nil), 1)
	assertKeyless(t, err)

	_, err = newServer(t, answerJSON(200, `{}`)).client(t, coder.WithAPIKey(repeatedKey)).GetSession(t.Context(), repeatedKey)
	assertKeyless(t, err)
	var unusable *coder.ResponseError
	require.ErrorAs(t, err, &unusable)
	assert.Equal(t, "/hub/session/[API key]", unusable.Path)

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = c.GetSession(ended, repeatedKey)
	assertKeyless(t, err)
	var request *coder.RequestError
	require.ErrorAs(t, err, &request)
	assert.Equal(t, "/hub/session/[API key]", request.Path)
	closed := newServer(t, nil)
	closed.Close()
	_, err = closed.client(t, coder.WithAPIKey(repeatedKey), once).GetSession(t.Context(), repeatedKey)
	assertKeyless(t, err)
	require.ErrorAs(t, err, &request)
	assert.Equal(t, "/hub/session/[API key]", request.Path)

	_, err = c.Connect(ended, repeatedKey, nil)
	assertKeyless(t, err)
	over := newServer(t, answerJSON(200, `{"sessionId":"`+repeatedKey+`","historyOnly":true}`)).client(t, coder.WithAPIKey(repeatedKey))
	_, err = over.Attach(t.Context(), repeatedKey, nil)
	require.ErrorIs(t, err, coder.ErrNotAttachable)
	assertKeyless(t, err)
}

// TestTheKeyInAFieldOfAnError: errors of package json cut in their text what they have whole in fields.
func TestTheKeyInAFieldOfAnError(t *testing.T) {
	around := strings.Repeat("x", 150)
	c := newServer(t, answerJSON(200, `{"A":{"`+around+repeatedKey+around+`":"x"}}`)).client(t, coder.WithAPIKey(repeatedKey))
	var out struct{ A map[string]int }
	err := c.Do(t.Context(), http.MethodGet, "/x", nil, &out)
	assertKeyless(t, err)
	var semantic *jsonv2.SemanticError
	assert.NotErrorAs(t, err, &semantic, "its pointer has the key")
}
