package coder

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/internal/transport"
	"github.com/agentuity/coder-go/internal/wire"
)

func FuzzHubURL(f *testing.F) {
	for _, raw := range []string{
		"https://hub.example", "https://hub.example/", " wss://hub.example/p//api/ws/ ", "http://h/api/hub/api/ws", "ws://[::1]:3500/api/ws",
		"http://h/%2F/a%20b", "http://h/../x", "HTTPS://H", "http://u:p@h", "http://:p@h", "http://h?x", "http://h#", "http:///x", "h:80", "http://h:port", "//h", "http://h\\x",
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
		given, err := url.Parse(strings.TrimSpace(raw))
		require.NoError(t, err)
		assert.Equal(t, []string{given.Hostname(), given.Port()}, []string{r.URL.Hostname(), r.URL.Port()})
		path := strings.TrimSuffix(r.URL.EscapedPath(), "/api/hub/session/a%2Fb")
		assert.True(t, strings.HasPrefix(given.EscapedPath(), path), "%q begins with %q", given.EscapedPath(), path)
		assert.True(t, given.User == nil && given.RawQuery == "" && given.Fragment == "", "nothing is left out in silence")
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

// breaksLine is what ends a line, or makes a terminal write it otherwise.
var breaksLine = regexp.MustCompile(`[\p{Cc}\p{Zl}\p{Zp}\x{202a}-\x{202e}\x{2066}-\x{2069}]`)

// FuzzErrorBody: whatever a Hub, or a gateway before it, says of a failure, it becomes one short line, and what it says in JSON
// is there, also where the end of it is cut.
func FuzzErrorBody(f *testing.F) {
	seeds(f, "errors/*.json")
	for _, body := range []string{
		`{"error":"text"}`, `{"code":null,"message":7,"details":[],"error":{"issues":[{"path":[1,"a"]}]}}`, `[]`, `"x"`, "<html>", "",
		`{"code":"A\nB","message":"a\nb\r\u0085\u2028\u202e"}`, `{"error":"","message":"m","details":{"a":{"b":[1]},"c":2}} `,
		`{"error":{"message":"of the report","issues":[{"code":"c"},7,{"path":["a"]}]},"message":"m"}`, `{"message":"` + strings.Repeat("ä", 2000) + `"}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		e := errorOf(body)
		assert.NotEmpty(t, e.Message)
		assert.NotRegexp(t, breaksLine, e.Error(), "one line")
		assert.Less(t, len(e.Error()), 4000)
		assert.Equal(t, string(body), string(e.Body))

		var said map[string]any
		if !jsontext.Value(body).IsValid() || json.Unmarshal(body, &said) != nil || said == nil {
			return
		}
		report, _ := said["error"].(map[string]any)
		code, _ := said["code"].(string)
		assert.Equal(t, code, string(e.Code))
		for _, text := range []any{said["error"], said["message"], report["message"]} {
			if text, _ := text.(string); text != "" {
				assert.Equal(t, text, e.Message)
				break
			}
		}
		details, _ := said["details"].(map[string]any)
		assert.ElementsMatch(t, slices.Collect(maps.Keys(details)), slices.Collect(maps.Keys(e.Details)))
		issues, _ := report["issues"].([]any)
		assert.Len(t, e.Issues, len(slices.DeleteFunc(issues, func(issue any) bool { _, ok := issue.(map[string]any); return !ok })))
		if cut := bytes.TrimRight(body, "]} \t\r\n"); bytes.HasSuffix(cut, []byte(`"`)) { // of a number it is not known that it is whole
			cut := errorOf(cut)
			assert.Equal(t, []any{e.Code, e.Message, e.Details, e.Issues}, []any{cut.Code, cut.Message, cut.Details, cut.Issues}, "without the brackets at its end")
		}
	})
}

// errorOf is the error of an answer with this body.
func errorOf(body []byte) *APIError {
	a := &response{
		request: &request{op: "GetSession", method: "GET", path: "/hub/session/x"},
		outcome: &transport.Outcome{Status: 400, Text: body, Header: http.Header{"Content-Type": {"application/json"}}},
	}
	return a.apiError()
}

// decodesAgain checks what holds for any body that was accepted: it identifies what it should,
// can be written, and what was written reads as the same, with what no field is for. A body is first
// brought to the form in which raw JSON is written.
func decodesAgain[T any, P checked[T]](t *testing.T, body []byte, decode func([]byte, any) error) {
	t.Helper()
	if written, err := json.Marshal(json.RawMessage(bytes.ToValidUTF8(body, []byte("?")))); err == nil {
		body = written
	}
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
	assert.Equal(t, v, again)
	out, err = json.Marshal(&again)
	require.NoError(t, err)
	require.NoError(t, decode(out, &third))
	assert.Equal(t, again, third)
}

func FuzzSession(f *testing.F) {
	seeds(f, "responses/session-*.json")
	f.Add([]byte(`{"sessionId":"x","origin":"web","createdAt":"","taskCount":1e400,"owner":[],"Extra":1,"":{}}`))
	f.Add([]byte(`{"sessionId":"x","entries":[{"timestamp":1764662402000.5,"toolArgs":{"n":9007199254740993}}],"new":{"n":[1.0]}}`))
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
	for n := range 16 { // a null wherever a piece may begin
		f.Add([]byte(strings.Repeat(" ", n) + `{"sessions":{"websocket":[ null],"sandbox":[]},"total":1}`))
	}
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
		for piece := range slices.Chunk(body, 1+len(body)%16) {
			_, _ = cost.Write(piece)
		}
		again := cost.UnmarshalRead(context.Background(), func() io.Reader { return iotest.HalfReader(bytes.NewReader(body)) }, &pieces)
		assert.Equal(t, err == nil, again == nil)
		assert.Equal(t, whole, pieces)
		decodesAgain[sessionPage](t, body, wire.Unmarshal)
	})
}
