package coder

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/internal/transport"
	"github.com/agentuity/coder-go/internal/wire"
)

func FuzzHubURL(f *testing.F) {
	for _, raw := range []string{
		"https://hub.example", "https://hub.example/", " wss://hub.example/p//api/ws/ ", "http://h/api/hub/api/ws", "ws://[::1]:3500/api/ws",
		"http://h/%2F/a%20b", "http://h/../x", "HTTPS://H", "http://u:p@h", "http://h?x", "http://h#", "http:///x", "h:80", "http://h:port", "//h", "http://h\\x",
	} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		base, err := normalizeHubURL(raw)
		if err != nil {
			assert.NotContains(t, err.Error(), "://", "the error does not repeat the URL")
			return
		}
		again, err := normalizeHubURL(base)
		require.NoError(t, err, "what is normal stays so: %q", base)
		assert.Equal(t, base, again)
		assert.False(t, strings.HasSuffix(base, "/"))
		assert.True(t, strings.HasPrefix(base, "http://") || strings.HasPrefix(base, "https://"))
		r, err := http.NewRequest(http.MethodGet, base+"/api/hub/session/a%2Fb?x=1", nil)
		require.NoError(t, err, "a request can be made of it")
		assert.NotEmpty(t, r.URL.Host)
		assert.True(t, strings.HasSuffix(r.URL.EscapedPath(), "/api/hub/session/a%2Fb"))
		assert.Nil(t, r.URL.User)
	})
}

func seeds(f *testing.F, pattern string) {
	f.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", pattern))
	require.NoError(f, err)
	require.NotEmpty(f, files)
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(data)
	}
}

func FuzzErrorBody(f *testing.F) {
	seeds(f, "errors/*.json")
	for _, body := range []string{`{"error":"text"}`, `{"code":null,"message":7,"details":[],"error":{"issues":[{"path":[1,"a"]}]}}`, `[]`, `"x"`, "<html>", ""} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		a := &response{
			request: &request{op: "GetSession", method: "GET", path: "/hub/session/x"},
			outcome: &transport.Outcome{Status: 400, Text: body, Header: http.Header{"Content-Type": {"application/json"}}},
		}
		e := a.apiError()
		assert.NotEmpty(t, e.Message)
		assert.NotContains(t, e.Error(), "\n", "one line")
		assert.Less(t, len(e.Error()), 4000)
		assert.Equal(t, string(body), string(e.Body))
	})
}

// decodesAgain checks what holds for any body that was accepted: it identifies what it should,
// can be written, and what was written reads as the same.
func decodesAgain[T any, P checked[T]](t *testing.T, body []byte, decode func([]byte, any) error) {
	t.Helper()
	var v T
	if decode(body, &v) != nil || P(&v).problem() != nil {
		return
	}
	out, err := json.Marshal(&v)
	if err != nil {
		t.Fatalf("accepted, but cannot be written: %v", err)
	}
	var again, third T
	require.NoError(t, decode(out, &again))
	require.NoError(t, P(&again).problem())
	out, err = json.Marshal(&again)
	require.NoError(t, err)
	require.NoError(t, decode(out, &third))
	assert.Equal(t, again, third)
}

func FuzzSession(f *testing.F) {
	seeds(f, "responses/session-*.json")
	f.Add([]byte(`{"sessionId":"x","origin":"web","createdAt":"","taskCount":1e400,"owner":[],"Extra":1,"":{}}`))
	f.Add([]byte("{\"sessionId\":\"x\",\"a\":1,\"a\":{\"b\":\"\xff\"}}"))
	f.Fuzz(func(t *testing.T, body []byte) {
		decodesAgain[Session](t, body, wire.Unmarshal)
		decodesAgain[SessionReplay](t, body, wire.Unmarshal)
		decodesAgain[SessionEventHistory](t, body, wire.Unmarshal)
		decodesAgain[SessionParticipants](t, body, wire.Unmarshal)
		decodesAgain[LoopStateResponse](t, body, wire.Unmarshal)
		decodesAgain[CreateSessionResponse](t, body, wire.Unmarshal)
		decodesAgain[UpdateSessionResponse](t, body, wire.Unmarshal)
		_ = wire.Refused(body)
	})
}

func FuzzSessionList(f *testing.F) {
	seeds(f, "responses/sessions-*.json")
	f.Add([]byte(`{"sessions":{"websocket":[{"sessionId":"a","new":[1]},null,7],"sandbox":[7]},"total":"2"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var whole, pieces sessionPage
		err := wire.Unmarshal(body, &whole)
		if err == nil && whole.problem() == nil {
			for _, s := range whole.Sessions.WebSocket {
				assert.NotEmpty(t, s.SessionID)
			}
		}
		// Read in pieces it is the same.
		var cost wire.Cost
		_, _ = cost.Write(body)
		again := cost.UnmarshalRead(context.Background(), func() io.Reader { return strings.NewReader(string(body)) }, &pieces)
		assert.Equal(t, err == nil, again == nil)
		assert.Equal(t, whole, pieces)
		decodesAgain[sessionPage](t, body, wire.Unmarshal)
	})
}
