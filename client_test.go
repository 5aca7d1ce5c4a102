package coder_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

func TestNewClientRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		env   map[string]string
		opts  []coder.Option
		field string
	}{
		"no key":                   {nil, nil, "the API key"},
		"relative URL":             {nil, []coder.Option{coder.WithURL("hub.example")}, "WithURL"},
		"other scheme":             {nil, []coder.Option{coder.WithURL("ftp://hub.example")}, "WithURL"},
		"no host":                  {nil, []coder.Option{coder.WithURL("https:///x")}, "WithURL"},
		"no URL at all":            {nil, []coder.Option{coder.WithURL("http://[::1")}, "WithURL"},
		"a user name":              {nil, []coder.Option{coder.WithURL("https://s3cr3t@hub.example")}, "WithURL"},
		"a query":                  {nil, []coder.Option{coder.WithURL("https://hub.example/?token=s3cr3t")}, "WithURL"},
		"a fragment":               {nil, []coder.Option{coder.WithURL("https://hub.example/#s3cr3t")}, "WithURL"},
		"URL variable":             {map[string]string{"AGENTUITY_CODER_URL": "s3cr3t"}, nil, "AGENTUITY_CODER_URL"},
		"Catalyst variable":        {map[string]string{"AGENTUITY_CATALYST_URL": "s3cr3t", "AGENTUITY_SDK_KEY": "k"}, nil, "AGENTUITY_CATALYST_URL"},
		"region":                   {map[string]string{"AGENTUITY_SDK_KEY": "k"}, []coder.Option{coder.WithRegion("evil.example/")}, "the region"},
		"line break in the key":    {nil, []coder.Option{coder.WithURL("http://h"), coder.WithAPIKey("s3cr3t\n")}, "the API key"},
		"line break in the org":    {nil, []coder.Option{coder.WithURL("http://h"), coder.WithOrgID("s3cr3t\r\n")}, "WithOrgID"},
		"line break in the agent":  {nil, []coder.Option{coder.WithURL("http://h"), coder.WithUserAgent("a\nb")}, "WithUserAgent"},
		"negative backoff":         {nil, []coder.Option{coder.WithURL("http://h"), coder.WithRetryPolicy(coder.RetryPolicy{MinBackoff: -1})}, "MinBackoff"},
		"negative largest backoff": {nil, []coder.Option{coder.WithURL("http://h"), coder.WithRetryPolicy(coder.RetryPolicy{MaxBackoff: -1})}, "MaxBackoff"},
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

func TestBadArguments(t *testing.T) {
	s := newServer(t, answerJSON(http.StatusOK, `{"sessionId":"x"}`))
	c := s.client(t)
	ctx := t.Context()
	for name, test := range map[string]struct {
		method, field string
		call          func() error
	}{
		"empty task": {"CreateSession", "task", func() error { _, err := c.CreateSession(ctx, coder.CreateSessionRequest{}); return err }},
		"blank task": {"CreateSession", "task", func() error {
			_, err := c.CreateSession(ctx, coder.CreateSessionRequest{Task: " \n"})
			return err
		}},
		"file without path": {"CreateSession", "files[1].path", func() error {
			_, err := c.CreateSession(ctx, coder.CreateSessionRequest{Task: "x", Files: []coder.FileToWrite{{Path: "a"}, {}}})
			return err
		}},
		"metadata without JSON form": {"CreateSession", "metadata.a", func() error {
			_, err := c.CreateSession(ctx, coder.CreateSessionRequest{Task: "x", Metadata: map[string]any{"a": func() {}}})
			return err
		}},
		"text that is not UTF-8": {"CreateSession", "label", func() error {
			_, err := c.CreateSession(ctx, coder.CreateSessionRequest{Task: "x", Label: "\xff"})
			return err
		}},
		"negative limit": {"ListSessions", "limit", func() error {
			_, err := c.ListSessions(ctx, &coder.ListSessionsParams{Limit: -1})
			return err
		}},
		"negative offset": {"ListSessions", "offset", func() error {
			_, err := c.ListSessions(ctx, &coder.ListSessionsParams{Offset: -1})
			return err
		}},
		"negative limit, connectable": {"ListConnectableSessions", "limit", func() error {
			_, err := c.ListConnectableSessions(ctx, &coder.ListConnectableSessionsParams{Limit: -1})
			return err
		}},
		"negative offset, connectable": {"ListConnectableSessions", "offset", func() error {
			_, err := c.ListConnectableSessions(ctx, &coder.ListConnectableSessionsParams{Offset: -1})
			return err
		}},
		"negative limit, replay": {"GetReplay", "limit", func() error {
			_, err := c.GetReplay(ctx, "x", &coder.GetSessionReplayParams{Limit: -1})
			return err
		}},
		"negative limit, participants": {"ListParticipants", "limit", func() error {
			_, err := c.ListParticipants(ctx, "x", &coder.ListParticipantsParams{Limit: -1})
			return err
		}},
		"negative cursor": {"ListEventHistory", "beforeId", func() error {
			_, err := c.ListEventHistory(ctx, "x", &coder.ListEventHistoryParams{BeforeID: -1})
			return err
		}},
		"negative interval": {"PrepareSessionForRemoteAttach", "PollInterval", func() error {
			_, err := c.PrepareSessionForRemoteAttach(ctx, "x", &coder.RemoteAttachPreparationOptions{PollInterval: -1})
			return err
		}},
		"Do, no method":           {"Do", "method", func() error { return c.Do(ctx, "", "/x", nil, nil) }},
		"Do, not a method":        {"Do", "method", func() error { return c.Do(ctx, "GET /", "/x", nil, nil) }},
		"Do, absolute URL":        {"Do", "path", func() error { return c.Do(ctx, "GET", "https://evil.example/x", nil, nil) }},
		"Do, other host":          {"Do", "path", func() error { return c.Do(ctx, "GET", "//evil.example/x", nil, nil) }},
		"Do, relative":            {"Do", "path", func() error { return c.Do(ctx, "GET", "x", nil, nil) }},
		"Do, dots":                {"Do", "path", func() error { return c.Do(ctx, "GET", "/hub/../x", nil, nil) }},
		"Do, escaped dots":        {"Do", "path", func() error { return c.Do(ctx, "GET", "/hub/%2e%2E/x", nil, nil) }},
		"Do, escaped slash":       {"Do", "path", func() error { return c.Do(ctx, "GET", "/hub/session/%2Fx", nil, nil) }},
		"Do, fragment":            {"Do", "path", func() error { return c.Do(ctx, "GET", "/hub#x", nil, nil) }},
		"Do, bad escape":          {"Do", "path", func() error { return c.Do(ctx, "GET", "/hub/%zz", nil, nil) }},
		"Do, out is no pointer":   {"Do", "out", func() error { return c.Do(ctx, "GET", "/hub", nil, struct{}{}) }},
		"Do, in has no JSON form": {"Do", "the request", func() error { return c.Do(ctx, "POST", "/hub", make(chan int), nil) }},
	} {
		t.Run(name, func(t *testing.T) {
			err := test.call()
			var invalid *coder.ValidationError
			require.ErrorAs(t, err, &invalid)
			assert.Equal(t, test.method, invalid.Operation)
			assert.Equal(t, test.field, invalid.Field)
			assert.Regexp(t, `^coder: `+test.method+`: `, err.Error())
			assert.Contains(t, err.Error(), test.field)
		})
	}
	assert.Empty(t, s.seen(), "nothing was sent")
}

func TestKeys(t *testing.T) {
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

func TestTheCallersHTTPClientIsCopied(t *testing.T) {
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

// TestSecretsStaySecret looks for the key in everything that is printed or returned.
func TestSecretsStaySecret(t *testing.T) {
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
				w.WriteHeader(http.StatusFound)
			},
			"code": answerJSON(http.StatusForbidden, `{"code":"`+key+`","error":{"issues":[{"message":"`+key+`"}]}}`),
			"lost": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		} {
			s := newServer(t, handler)
			s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
			c := s.client(t, opts(s)...)
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
		_, err := c.ListSessions(t.Context(), &coder.ListSessionsParams{Search: key})
		require.Error(t, err)
		err = c.Do(t.Context(), http.MethodGet, "/x?token="+key, nil, nil)
		require.Error(t, err)
		keep("not sent", err)
		for name, text := range texts {
			assert.NotContains(t, text, testKey, name)
		}
		assert.NotContains(t, logged.String(), testKey)
	}
	assert.Contains(t, logged.String(), `"attempt":1`)
	assert.Contains(t, logged.String(), `"path":"/hub/session/x"`)
	assert.Contains(t, logged.String(), `"request_id":"trace_1"`)
}

func TestLoggingIsSilentByDefault(t *testing.T) {
	var logged bytes.Buffer
	previous := slog.Default()
	defer slog.SetDefault(previous)
	slog.SetDefault(slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug})))
	s := newServer(t, answerJSON(http.StatusInternalServerError, "{}"))
	_, err := s.client(t).GetSession(t.Context(), "x")
	require.Error(t, err)
	assert.Empty(t, logged.String())
}

func TestURLErrorsNeverShow(t *testing.T) {
	s := newServer(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	_, err := s.client(t).ListSessions(t.Context(), &coder.ListSessionsParams{Search: "s3cr3t"})
	require.Error(t, err)
	var ue *url.Error
	assert.NotErrorAs(t, err, &ue)
	assert.NotContains(t, err.Error(), "s3cr3t")
	require.ErrorIs(t, err, io.EOF, "the cause stays reachable")
}

func TestErrorTexts(t *testing.T) {
	for name, test := range map[string]struct {
		status int
		header http.Header
		body   string
		text   string
		is     []error
	}{
		"402": {
			402, http.Header{"X-Upgrade-Url": {"https://app.example/billing"}}, `{"message":"Plan limit reached"}`,
			"coder: GetSession: 402 Payment Required: Plan limit reached (GET /hub/session/x); see https://app.example/billing",
			[]error{coder.ErrPaymentRequired},
		},
		"426": {426, nil, ``, "coder: GetSession: 426 Upgrade Required: the Hub needs a newer version of this client (GET /hub/session/x)", []error{coder.ErrUpgradeRequired}},
		"code UPGRADE_REQUIRED": {
			400, nil, `{"code":"UPGRADE_REQUIRED","message":"Client too old"}`,
			"coder: GetSession: 400 Bad Request: Client too old (GET /hub/session/x; UPGRADE_REQUIRED)",
			[]error{coder.ErrUpgradeRequired, coder.ErrInvalidRequest},
		},
		"401": {401, nil, `{"error":"Invalid API key"}`, "coder: GetSession: 401 Unauthorized: Invalid API key (GET /hub/session/x); check the key in AGENTUITY_SDK_KEY or WithAPIKey", []error{coder.ErrUnauthorized}},
		"410": {410, nil, `{}`, "coder: GetSession: 410 Gone: the status is unexpected (GET /hub/session/x)", []error{coder.ErrSessionArchived}},
		"409": {409, nil, `{"code":"CODER_SESSION_CONFLICT"}`, "coder: GetSession: 409 Conflict: it exists already or is in use (GET /hub/session/x; CODER_SESSION_CONFLICT)", []error{coder.ErrConflict, coder.ErrSessionConflict}},
		"407": {407, nil, ``, "coder: GetSession: 407 Proxy Authentication Required: a proxy wants credentials (GET /hub/session/x); check the user and the password in HTTP_PROXY, or of the transport's Proxy", nil},
		"413": {413, http.Header{"Content-Type": {"text/html"}}, `<html>`, "coder: GetSession: 413 Request Entity Too Large: the request is larger than the Hub, or a gateway before it, takes (GET /hub/session/x)", nil},
		"421": {421, nil, ``, "coder: GetSession: 421 Misdirected Request: the status is unexpected (GET /hub/session/x)", []error{coder.ErrMisdirected}},
		"a code with another status": {
			500, nil, `{"code":"CODER_SESSION_NOT_FOUND","message":"odd"}`,
			"coder: GetSession: 500 Internal Server Error: odd (GET /hub/session/x; CODER_SESSION_NOT_FOUND)",
			[]error{coder.ErrSessionNotFound, coder.ErrNotFound},
		},
		"line breaks": {403, nil, `{"message":"a\r\nb\u0007"}`, "coder: GetSession: 403 Forbidden: a  b  (GET /hub/session/x)", []error{coder.ErrForbidden}},
		"a wait":      {429, http.Header{"Retry-After": {"7"}}, ``, "coder: GetSession: 429 Too Many Requests: too many requests (GET /hub/session/x); try again after 7s", []error{coder.ErrRateLimited}},
		"long":        {403, nil, `{"message":"` + strings.Repeat("ä", 1000) + `"}`, "coder: GetSession: 403 Forbidden: " + strings.Repeat("ä", 300) + "… (GET /hub/session/x)", nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				for k, v := range test.header {
					w.Header()[k] = v
				}
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, test.body)
			})
			_, err := s.client(t).GetSession(t.Context(), "x")
			require.EqualError(t, err, test.text)
			for _, target := range test.is {
				require.ErrorIs(t, err, target)
			}
		})
	}
}

func TestErrorSamples(t *testing.T) {
	for _, name := range []string{
		"400-error-object", "400-error-string", "400-invalid-request", "400-upgrade-required", "401-unauthorized",
		"402-payment-required", "403-forbidden", "404-session-not-found", "409-session-conflict", "410-session-archived",
		"422-validation-report", "426-upgrade-required", "429-rate-limited", "500-internal",
	} {
		t.Run(name, func(t *testing.T) {
			var exchange struct {
				Status  int
				Headers map[string]string
				Body    json.RawMessage
				Expect  struct {
					Message string
					Issues  int
				}
			}
			require.NoError(t, json.Unmarshal([]byte(sample(t, "errors/"+name+".json")), &exchange))
			s := newServer(t, func(w http.ResponseWriter, _ *http.Request) {
				for k, v := range exchange.Headers {
					w.Header().Set(k, v)
				}
				w.WriteHeader(exchange.Status)
				_, _ = w.Write(exchange.Body)
			})
			_, err := s.client(t).GetSession(t.Context(), "x")
			var api *coder.APIError
			require.ErrorAs(t, err, &api)
			assert.Equal(t, exchange.Status, api.StatusCode)
			assert.Equal(t, "trace_5f2b", api.RequestID)
			assert.Len(t, api.Issues, exchange.Expect.Issues)
			if exchange.Expect.Message != "" {
				assert.Equal(t, exchange.Expect.Message, api.Message)
			}
			if name == "422-validation-report" {
				assert.Equal(t, []any{"loop", "maxIterations"}, api.Issues[0].Path)
			}
		})
	}
}

func TestErrorsLogWithoutTheirBody(t *testing.T) {
	s := newServer(t, answer(http.StatusBadGateway, "text/html", "<html>private</html>"))
	_, err := s.client(t).GetSession(t.Context(), "x")
	var logged bytes.Buffer
	slog.New(slog.NewJSONHandler(&logged, nil)).Error("failed", "error", err)
	assert.Contains(t, logged.String(), `"status":502`)
	assert.NotContains(t, logged.String(), "private")
}

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

// TestSecretsStaySecret_HoweverTheyAreRepeated: a Hub, a proxy or package net/http repeats the key raw, quoted,
// escaped or cut, in an answer, a header, a status line or a close frame. No error, log record or printed
// value has it.
func TestSecretsStaySecret_HoweverTheyAreRepeated(t *testing.T) {
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
			answerJSON(http.StatusOK, `{"sessionId":"x","status":"`+inJSON+`"}`)(w, r)
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

// assertNoSecret looks for a key in a value: printed with every verb, encoded, in the texts of all errors below
// it, and in everything of this module that can be reached from it with package reflect.
func assertNoSecret(t *testing.T, key, name string, v any) {
	t.Helper()
	check := func(how, text string) {
		t.Helper()
		for _, form := range []string{key, url.QueryEscape(key), fmt.Sprintf("%x", key), fmt.Sprintf("%X", key), key[:len(key)-3]} {
			assert.NotContains(t, text, form, "%s, %s", name, how)
		}
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%X"} {
		check(verb, fmt.Sprintf(verb, v))
	}
	encoded, err := json.Marshal(v)
	if err == nil {
		check("JSON", string(encoded))
	}
	var walk func(v reflect.Value, path string, depth int)
	walk = func(v reflect.Value, path string, depth int) {
		if depth > 12 || !v.IsValid() {
			return
		}
		if v.CanInterface() {
			if err, ok := v.Interface().(error); ok && (v.Kind() != reflect.Pointer || !v.IsNil()) {
				check("the error "+path, err.Error())
			}
		}
		switch v.Kind() {
		case reflect.String:
			check(path, v.String())
		case reflect.Pointer, reflect.Interface:
			walk(v.Elem(), path, depth+1)
		case reflect.Struct:
			for i := range v.NumField() {
				walk(v.Field(i), path+"."+v.Type().Field(i).Name, depth+1)
			}
		case reflect.Slice, reflect.Array:
			if v.Type().Elem().Kind() == reflect.Uint8 && v.Kind() == reflect.Slice {
				check(path, string(v.Bytes()))
				return
			}
			for i := range min(v.Len(), 100) {
				walk(v.Index(i), path+"[]", depth+1)
			}
		case reflect.Map:
			for _, k := range v.MapKeys() {
				walk(k, path+"[key]", depth+1)
				walk(v.MapIndex(k), path+"["+k.String()+"]", depth+1)
			}
		}
	}
	if _, client := v.(*coder.Client); !client { // which reaches net/http, and its open connections
		walk(reflect.ValueOf(v), "", 0)
	}
}
