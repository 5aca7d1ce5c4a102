package coder_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

func TestNewClient_Refuses(t *testing.T) {
	for name, test := range map[string]struct {
		env   map[string]string
		opts  []coder.Option
		field string
	}{
		"no key":                    {nil, nil, "the API key"},
		"relative URL":              {nil, []coder.Option{coder.WithURL("hub.example")}, "WithURL"},
		"other scheme":              {nil, []coder.Option{coder.WithURL("ftp://hub.example")}, "WithURL"},
		"no host":                   {nil, []coder.Option{coder.WithURL("https:///x")}, "WithURL"},
		"no URL at all":             {nil, []coder.Option{coder.WithURL("http://[::1")}, "WithURL"},
		"a user name":               {nil, []coder.Option{coder.WithURL("https://s3cr3t@hub.example")}, "WithURL"},
		"a query":                   {nil, []coder.Option{coder.WithURL("https://hub.example/?token=s3cr3t")}, "WithURL"},
		"a fragment":                {nil, []coder.Option{coder.WithURL("https://hub.example/#s3cr3t")}, "WithURL"},
		"URL variable":              {map[string]string{"AGENTUITY_CODER_URL": "s3cr3t"}, nil, "AGENTUITY_CODER_URL"},
		"Catalyst variable":         {map[string]string{"AGENTUITY_CATALYST_URL": "s3cr3t", "AGENTUITY_SDK_KEY": "k"}, nil, "AGENTUITY_CATALYST_URL"},
		"region":                    {map[string]string{"AGENTUITY_SDK_KEY": "k"}, []coder.Option{coder.WithRegion("evil.example/")}, "WithRegion"},
		"region of the environment": {map[string]string{"AGENTUITY_SDK_KEY": "k", "AGENTUITY_REGION": "evil.example/"}, nil, "AGENTUITY_REGION"},
		"line break in the key":     {nil, []coder.Option{coder.WithURL("http://h"), coder.WithAPIKey("s3cr3t\n")}, "the API key"},
		"line break in the org":     {nil, []coder.Option{coder.WithURL("http://h"), coder.WithOrgID("s3cr3t\r\n")}, "WithOrgID"},
		"line break in the agent":   {nil, []coder.Option{coder.WithURL("http://h"), coder.WithUserAgent("a\nb")}, "WithUserAgent"},
		"negative backoff":          {nil, []coder.Option{coder.WithURL("http://h"), coder.WithRetryPolicy(coder.RetryPolicy{MinBackoff: -1})}, "MinBackoff"},
		"negative largest backoff":  {nil, []coder.Option{coder.WithURL("http://h"), coder.WithRetryPolicy(coder.RetryPolicy{MaxBackoff: -1})}, "MaxBackoff"},
	} {
		t.Run(name, func(t *testing.T) {
			clearEnv(t)
			for k, v := range test.env {
				t.Setenv(k, v)
			}
			c, err := coder.NewClient(test.opts...)
			assert.Nil(t, c)
			var invalid *coder.ValidationError
			require.ErrorAs(t, err, &invalid)
			assert.Equal(t, "NewClient", invalid.Operation)
			assert.Contains(t, invalid.Field, test.field)
			assert.NotContains(t, err.Error(), "s3cr3t", "what was passed may be a secret")
			assert.Equal(t, name == "no key", errors.Is(err, coder.ErrMissingAPIKey))
			if name == "no key" {
				assert.Contains(t, err.Error(), "AGENTUITY_SDK_KEY")
			}
		})
	}
}

func TestNewClient_Keys(t *testing.T) {
	for name, test := range map[string]struct {
		env            map[string]string
		key            string
		bearer, hubKey string
	}{
		"option":             {map[string]string{"AGENTUITY_SDK_KEY": "sdk"}, "option", "Bearer option", ""},
		"SDK variable":       {map[string]string{"AGENTUITY_SDK_KEY": "sdk", "AGENTUITY_CLI_KEY": "cli"}, "", "Bearer sdk", ""},
		"CLI variable":       {map[string]string{"AGENTUITY_CLI_KEY": "cli"}, "", "Bearer cli", ""},
		"issued by a Hub":    {nil, "agc_1", "", "agc_1"},
		"none, with a URL":   {nil, "", "", ""},
		"a blank in the key": {nil, "a b", "Bearer a b", ""},
	} {
		t.Run(name, func(t *testing.T) {
			clearEnv(t)
			for k, v := range test.env {
				t.Setenv(k, v)
			}
			s := newServer(t, answerJSON(http.StatusOK, `{"sessionId":"x"}`))
			_, err := s.client(t, coder.WithAPIKey(test.key)).GetSession(t.Context(), "x")
			require.NoError(t, err)
			header := s.seen()[0].header
			assert.Equal(t, test.bearer, header.Get("Authorization"))
			assert.Equal(t, test.hubKey, header.Get("X-Agentuity-Auth-Api-Key"))
		})
	}
}

func TestDo(t *testing.T) {
	s := newServer(t, answerJSON(http.StatusOK, ` {"ok":false, "n":1} `))
	c := s.client(t)
	require.NoError(t, c.Do(t.Context(), http.MethodGet, "/hub/skills?x=1&y=a%2Fb", nil, nil))
	var raw json.RawMessage
	require.NoError(t, c.Do(t.Context(), http.MethodPut, "/hub/a%2Fb", json.RawMessage(`{"b": 1}`), &raw))
	assert.Equal(t, ` {"ok":false, "n":1} `, string(raw), "as it came")
	var typed struct{ N int }
	require.NoError(t, c.Do(t.Context(), http.MethodPost, "/x", []byte(`[1]`), &typed))
	require.NoError(t, c.Do(t.Context(), http.MethodPatch, "/x", map[string]int{"b": 2, "a": 1}, nil))
	var got []string
	for _, r := range s.seen() {
		got = append(got, r.method+" "+r.target+" "+string(r.body))
	}
	assert.Equal(t, []string{
		"GET /api/hub/skills?x=1&y=a%2Fb ", `PUT /api/hub/a%2Fb {"b": 1}`, "POST /api/x [1]", `PATCH /api/x {"a":1,"b":2}`,
	}, got)

	empty := newServer(t, answerJSON(http.StatusNoContent, ""))
	require.NoError(t, empty.client(t).Do(t.Context(), http.MethodPost, "/x", nil, nil))
	err := empty.client(t).Do(t.Context(), http.MethodPost, "/x", nil, &raw)
	var bad *coder.ResponseError
	require.ErrorAs(t, err, &bad)
}

// TestClient_SecretsStaySecret looks for the key in everything that is printed or returned.
func TestClient_SecretsStaySecret(t *testing.T) {
	var logged bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug - 4}))
	for _, key := range []string{testKey, "agc_" + testKey} {
		texts := map[string]string{}
		keep := func(name string, v any) {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
				texts[name+" "+verb] = fmt.Sprintf(verb, v)
			}
		}
		opts := func(s *server) []coder.Option {
			return []coder.Option{coder.WithAPIKey(key), coder.WithOrgID("org"), coder.WithLogger(logger)}
		}
		for name, handler := range map[string]http.HandlerFunc{
			"declined":  answerJSON(http.StatusOK, `{"sessionId":"x","error":"bad key `+key+`"}`),
			"success":   answerJSON(http.StatusOK, sample(t, "responses/session-get.json")),
			"API error": answerJSON(http.StatusUnauthorized, `{"error":"Invalid API key `+key+`"}`),
			"garbage":   answer(http.StatusOK, "text/html", "<html>"+key),
			"HTML":      answer(http.StatusBadGateway, "text/html", "<html>"+key),
			"redirect": func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "https://u:"+key+"@elsewhere.invalid/?key="+key, http.StatusFound)
			},
			"location": func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "https://u:"+key+"@h/%zz?key="+key)
				w.Header().Add("X-Session-Id", "trace_2")
				w.WriteHeader(http.StatusFound)
			},
			"code": answerJSON(http.StatusForbidden, `{"code":"`+key+`","error":{"issues":[{"message":"`+key+`"}]}}`),
			"lost": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		} {
			s := newServer(t, handler)
			s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
			c := s.client(t, opts(s)...)
			_, _ = c.GetSession(t.Context(), key) // is logged
			_, err := c.GetSession(t.Context(), "x")
			if err != nil {
				keep(name, err)
				texts[name+" logged"] = err.Error()
				logger.Error("failed", "error", err, "client", c)
			}
			_, err = c.CreateSession(t.Context(), coder.CreateSessionRequest{Task: "x", Env: map[string]string{"TOKEN": key}})
			keep(name+" of a create", err)
			_, err = c.ResumeSession(t.Context(), "x")
			keep(name+" of a resume", err)
			keep("client", c)
			keep("client value", *c)
			encoded, _ := json.Marshal(map[string]any{"client": c})
			keep("client as JSON", string(encoded))
		}
		closed := newServer(t, nil)
		c := closed.client(t, opts(closed)...)
		closed.Close()
		_, err := c.ListSessions(t.Context(), &coder.ListSessionsParams{Search: "a-search " + key})
		require.Error(t, err)
		keep("a search", err)
		err = c.Do(t.Context(), http.MethodGet, "/x?token="+key, nil, nil)
		require.Error(t, err)
		keep("not sent", err)
		for name, text := range texts {
			assert.NotContains(t, text, testKey, name)
			assert.NotContains(t, text, "a-search", "no query: %s", name)
		}
		assert.NotContains(t, logged.String(), testKey)
		assert.NotContains(t, logged.String(), "a-search")
	}
	assert.Contains(t, logged.String(), `"attempt":1`)
	assert.Contains(t, logged.String(), `"path":"/hub/session/x"`)
	assert.Contains(t, logged.String(), `"request_id":"trace_1"`)
}

// TestClient_SecretsStaySecret_HoweverTheyAreRepeated: a Hub, a proxy or package net/http repeats the key raw, quoted,
// escaped or cut, in an answer, a header, a status line or a close frame. No error, log record or printed
// value has it.
func TestClient_SecretsStaySecret_HoweverTheyAreRepeated(t *testing.T) {
	const key = "agc_made/up-key.of+32=characters"
	inJSON := `\u0061gc_made\/up\u002dkey.of+32=characters`
	raw := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_, _ = io.WriteString(conn, text)
				_ = conn.Close()
			}
		}
	}
	handlers := map[string]http.HandlerFunc{
		"message escaped":       answerJSON(http.StatusForbidden, `{"code":"`+inJSON+`","message":"`+inJSON+`","details":{"`+inJSON+`":"`+inJSON+`"}}`),
		"issue":                 answerJSON(http.StatusBadRequest, `{"error":{"name":"ZodError","issues":[{"code":"`+inJSON+`","path":["`+inJSON+`"],"message":"`+inJSON+`","input":"`+inJSON+`"}]}}`),
		"JSON in JSON":          answerJSON(http.StatusForbidden, `{"message":"{\"key\":\"`+strings.ReplaceAll(inJSON, `\`, `\\`)+`\"}"}`),
		"URL in HTML":           answer(http.StatusBadGateway, "text/html", `<a href="/?api_key=`+url.QueryEscape(key)+`">`+html.EscapeString(key)),
		"cut":                   answerJSON(http.StatusForbidden, `{"message":"`+strings.Repeat("x", 64<<10-30)+key),
		"unusable":              answerJSON(http.StatusOK, `{"`+inJSON+`":`),
		"a page":                answer(http.StatusOK, "text/html", "<p>"+key),
		"another session":       answerJSON(http.StatusOK, `{"sessionId":"`+inJSON+`"}`),
		"malformed status line": raw("HTTP/1.1 " + key + "\r\n\r\n"),
		"malformed answer":      raw(key + "\r\n\r\n"),
		"malformed header":      raw("HTTP/1.1 200 OK\r\n" + key + "\r\n\r\n"),
		"malformed length":      raw("HTTP/1.1 200 OK\r\nContent-Length: " + key + "\r\n\r\n"),
		"malformed encoding":    raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: " + key + "\r\n\r\n"),
		"status line":           raw("HTTP/1.1 403 " + key + "\r\nContent-Length: 0\r\n\r\n"),
		"headers": func(w http.ResponseWriter, r *http.Request) {
			for _, name := range []string{"X-Session-Id", "X-Upgrade-Url", "Content-Type", "Retry-After", "X-Agentuity-Region", "Content-Encoding"} {
				w.Header().Set(name, key)
			}
			w.WriteHeader(map[string]int{"GET": 402, "POST": 421}[r.Method])
		},
		"request id of a success": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Session-Id", key+strings.Repeat("y", 5000))
			_, _ = io.WriteString(w, `{"sessionId":"y","status":"`+inJSON+`"}`)
		},
		"location": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "https://u:"+key+"@h/%zz?key="+url.QueryEscape(key))
			w.WriteHeader(http.StatusTemporaryRedirect)
		},
		"upgrade": raw("HTTP/1.1 101 Switching\r\nUpgrade: " + key + "\r\nConnection: Upgrade\r\n\r\n"),
		"long":    raw("HTTP/1.1 " + strings.Repeat("z", 100<<10) + "\r\n\r\n"),
	}
	var logged bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	text := slog.New(slog.NewTextHandler(&logged, nil))
	for name, handler := range handlers {
		t.Run(name, func(t *testing.T) {
			logged.Reset()
			s := newServer(t, handler)
			s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
			c := s.client(t, coder.WithAPIKey(key), coder.WithLogger(logger), coder.WithRetryPolicy(coder.RetryPolicy{MaxAttempts: 1, UnavailableWindow: -1}))
			var errs []error
			note := func(err error) { errs = append(errs, err) }
			_, err := c.GetSession(t.Context(), "x")
			note(err)
			_, err = c.CreateSession(t.Context(), coder.CreateSessionRequest{Task: "t"})
			note(err)
			note(c.DeleteSession(t.Context(), "x"))
			note(c.Do(t.Context(), http.MethodGet, "/x", nil, new(int)))
			_, err = c.Connect(t.Context(), "x", &coder.HubConnectOptions{MaxReconnectAttempts: -1})
			note(err)
			_, err = c.ConnectNew(t.Context(), &coder.HubConnectOptions{MaxReconnectAttempts: -1})
			note(err)
			for _, err := range c.StreamEvents(t.Context(), "x", &coder.StreamEventsOptions{MaxReconnectAttempts: -1}) {
				note(err)
			}
			for _, err := range c.ReplayEntries(t.Context(), "x", nil) {
				note(err)
			}
			_, err = c.EnsureSession(t.Context(), "k", coder.CreateSessionRequest{Task: "t"}, &coder.EnsureSessionOptions{LookupWindow: -1})
			note(err)
			failed := 0
			for i, err := range errs {
				if err == nil {
					continue
				}
				failed++
				assert.Less(t, len(err.Error()), 3000, "text from outside is bounded")
				logger.Error("failed", "error", err, "errors", []error{err})
				text.Error("failed", "error", err)
				assertNoSecret(t, key, fmt.Sprintf("%s: call %d", name, i), err)
			}
			assert.Positive(t, failed)
			assert.NotContains(t, logged.String(), "made", "the log")
			for line := range strings.Lines(logged.String()) {
				assert.Less(t, len(line), 20_000, "text from outside is bounded in logs")
			}
			assertNoSecret(t, key, "client", c)
		})
	}
}
