package coder_test

import (
	"bytes"
	"encoding/json"
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

func TestRequestError_HidesURLErrors(t *testing.T) {
	s := newServer(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	_, err := s.client(t).ListSessions(t.Context(), &coder.ListSessionsParams{Search: "s3cr3t"})
	require.Error(t, err)
	var ue *url.Error
	assert.NotErrorAs(t, err, &ue)
	assert.NotContains(t, err.Error(), "s3cr3t")
	require.ErrorIs(t, err, io.EOF, "the cause stays reachable")
}

func TestErrors_Texts(t *testing.T) {
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

func TestAPIError_Samples(t *testing.T) {
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

func TestAPIError_LogsWithoutItsBody(t *testing.T) {
	s := newServer(t, answer(http.StatusBadGateway, "text/html", "<html>private</html>"))
	_, err := s.client(t).GetSession(t.Context(), "x")
	var logged bytes.Buffer
	slog.New(slog.NewJSONHandler(&logged, nil)).Error("failed", "error", err)
	assert.Contains(t, logged.String(), `"status":502`)
	assert.NotContains(t, logged.String(), "private")
}
