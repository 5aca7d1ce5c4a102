package coder_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
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
		"401": {401, nil, `{"error":"Invalid API key"}`, "coder: GetSession: 401 Unauthorized: Invalid API key (GET /hub/session/x); check the key in AGENTUITY_SDK_KEY, WithAPIKey or WithCredential", []error{coder.ErrUnauthorized}},
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

// TestIsTransient_Calls: for each failure of a call, whether the same call may be made again.
func TestIsTransient_Calls(t *testing.T) {
	once := coder.WithRetryPolicy(coder.RetryPolicy{MaxAttempts: 1})
	for name, c := range map[string]struct {
		fault        codertest.Fault
		read, create bool
	}{
		"400":                    {codertest.Fault{Status: 400}, false, false},
		"401":                    {codertest.Fault{Status: 401}, false, false},
		"402":                    {codertest.Fault{Status: 402}, false, false},
		"403":                    {codertest.Fault{Status: 403}, false, false},
		"404":                    {codertest.Fault{Status: 404}, false, false},
		"408":                    {codertest.Fault{Status: 408}, true, true},
		"409":                    {codertest.Fault{Status: 409}, false, false},
		"409, rate limit":        {codertest.Fault{Status: 409, Header: http.Header{"X-Ratelimit-Reset": {"1"}}}, true, true},
		"410":                    {codertest.Fault{Status: 410}, false, false},
		"421":                    {codertest.Fault{Status: 421}, false, false},
		"425":                    {codertest.Fault{Status: 425}, true, true},
		"426":                    {codertest.Fault{Status: 426}, false, false},
		"429":                    {codertest.Fault{Status: 429}, true, true},
		"429, in a week":         {codertest.Fault{Status: 429, Header: http.Header{"Retry-After": {"604800"}}}, true, true},
		"500":                    {codertest.Fault{Status: 500}, true, false},
		"501":                    {codertest.Fault{Status: 501}, false, false},
		"502":                    {codertest.Fault{Status: 502}, true, false},
		"503":                    {codertest.Fault{Status: 503}, true, false},
		"504":                    {codertest.Fault{Status: 504}, true, false},
		"522":                    {codertest.Fault{Status: 522}, true, false},
		"525":                    {codertest.Fault{Status: 525}, true, false},
		"302":                    {codertest.Fault{Status: 302}, false, false},
		"200, a page":            {codertest.Fault{Status: 200, Body: []byte("<html>")}, false, false},
		"200, empty":             {codertest.Fault{Status: 200, Body: []byte(" ")}, false, false},
		"cut before the effect":  {codertest.Fault{Cut: codertest.CutBeforeEffect}, true, false},
		"cut after the effect":   {codertest.Fault{Cut: codertest.CutAfterEffect}, true, false},
		"cut in the body":        {codertest.Fault{Cut: codertest.CutMidBody}, true, false},
		"silent for two minutes": {codertest.Fault{Stall: true}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, hub *codertest.Hub) {
				client := hubClient(t, hub, once)
				id := newSession(t, client)
				c.fault.Count = -1 // net/http repeats a GET by itself
				hub.Inject(c.fault)
				_, err := client.GetSession(t.Context(), id)
				require.Error(t, err)
				assert.Equal(t, c.read, coder.IsTransient(err), "%v", err)
				assert.Equal(t, c.read, coder.IsTransient(fmt.Errorf("the job failed: %w", err)))
				_, err = client.CreateSession(t.Context(), coder.CreateSessionRequest{Task: "x"})
				require.Error(t, err)
				assert.Equal(t, c.create, coder.IsTransient(err), "%v", err)
				if coder.IsTransient(err) {
					assert.Len(t, hub.SessionIDs(), 1, "no second session")
				}
			})
		})
	}
}

// TestIsTransient_EnsureSession: EnsureSession looks before it creates, so that it may always be called again.
func TestIsTransient_EnsureSession(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		c := hubClient(t, hub, coder.WithRetryPolicy(coder.RetryPolicy{MaxAttempts: 1}))
		for _, fault := range []codertest.Fault{
			{Cut: codertest.CutAfterEffect}, {Status: 503, Effect: true}, {Status: 500, Effect: true}, {Status: 200, Effect: true, Body: []byte("<html>")},
		} {
			fault.Method, fault.Route = http.MethodPost, "/hub/session"
			hub.Inject(fault)
			_, err := c.EnsureSession(t.Context(), "key", coder.CreateSessionRequest{Task: "x"}, &coder.EnsureSessionOptions{LookupWindow: -1})
			require.ErrorIs(t, err, coder.ErrOutcomeUnknown)
			assert.True(t, coder.IsTransient(err), "%v", err)
			ensured, err := c.EnsureSession(t.Context(), "key", coder.CreateSessionRequest{Task: "x"}, nil)
			require.NoError(t, err)
			assert.Equal(t, []string{ensured.SessionID}, hub.SessionIDs(), "it found the first")
			require.NoError(t, c.DeleteSession(t.Context(), ensured.SessionID))
		}
		hub.Inject(codertest.Fault{Method: http.MethodPost, Status: 400})
		_, err := c.EnsureSession(t.Context(), "key", coder.CreateSessionRequest{Task: "x"}, nil)
		assert.False(t, coder.IsTransient(err), "%v", err)
	})
}

// TestIsTransient_Ends: the end of the context, mistakes of the program and the agent's own failures do not pass.
func TestIsTransient_Ends(t *testing.T) {
	assert.False(t, coder.IsTransient(nil))
	for _, err := range []error{
		io.EOF, errors.New("x"), context.Canceled, context.DeadlineExceeded, coder.ErrMessagesInUse, coder.ErrConnClosed,
		coder.ErrAgentFailed, coder.ErrAgentAborted, coder.ErrAgentStalled, coder.ErrNeedsInput, coder.ErrOutcomeUnknown,
		&coder.ValidationError{}, &coder.ResponseError{}, &coder.APIError{StatusCode: 404}, &coder.HubConnError{},
		&coder.AgentError{Err: coder.ErrAgentFailed}, &net.OpError{Op: "dial", Err: io.EOF},
	} {
		assert.False(t, coder.IsTransient(err), "%v", err)
	}
	assert.True(t, coder.IsTransient(&coder.APIError{StatusCode: 503}), "made by a test of the program")
	assert.True(t, coder.IsTransient(&coder.AgentError{Err: coder.ErrPromptDropped}))

	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		c := hubClient(t, hub)
		id := newSession(t, c)
		hub.Inject(codertest.Fault{Status: 503, Count: -1})
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		_, err := c.WaitForSession(ctx, id, nil)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.False(t, coder.IsTransient(err), "%v", err)
		_, err = c.GetSession(ctx, id)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.False(t, coder.IsTransient(err), "%v", err)
		_, err = c.EnsureSession(ctx, "key", coder.CreateSessionRequest{}, nil)
		assert.False(t, coder.IsTransient(err), "%v", err)
	})
}

// TestIsTransient_Connections: errors of live connections, by what ended them.
func TestIsTransient_Connections(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		c := hubClient(t, hub)
		id := newSession(t, c)
		hub.Session(id).SetStatus("active")
		for status, want := range map[int]bool{401: false, 403: false, 404: false, 429: true, 500: true, 502: true, 503: true} {
			fault := hub.Inject(codertest.Fault{Route: "/ws", Status: status, Count: -1})
			_, err := c.Connect(t.Context(), id, &coder.HubConnectOptions{MaxReconnectAttempts: 1})
			require.Error(t, err)
			assert.Equal(t, want, coder.IsTransient(err), "%v", err)
			_, err = c.ConnectNew(t.Context(), &coder.HubConnectOptions{Role: coder.RoleLead, MaxReconnectAttempts: 1})
			require.Error(t, err)
			assert.Equal(t, status == 429, coder.IsTransient(err), "%v", err)
			fault.Remove()
			fault = hub.Inject(codertest.Fault{Route: "/hub/session/{id}/events", Status: status, Count: -1})
			for _, err := range c.StreamEvents(t.Context(), id, &coder.StreamEventsOptions{MaxReconnectAttempts: 1}) {
				require.Error(t, err)
				assert.Equal(t, want, coder.IsTransient(err), "%v", err)
			}
			fault.Remove()
		}
		for code, want := range map[coder.CloseCode]bool{4001: false, coder.CloseUnavailable: true, 1001: true} {
			conn, err := c.Connect(t.Context(), id, &coder.HubConnectOptions{MaxReconnectAttempts: -1})
			require.NoError(t, err)
			hub.Session(id).EndStreams(code, "")
			_, err = messages(t, conn)
			require.Error(t, err)
			assert.Equal(t, want, coder.IsTransient(err), "%v", err)
			err = conn.Send(t.Context(), &coder.PingMessage{})
			require.Error(t, err)
			assert.Equal(t, want, coder.IsTransient(err), "%v", err)
			require.NoError(t, conn.Close())
			assert.False(t, coder.IsTransient(conn.Send(t.Context(), &coder.PingMessage{})))
		}
		hub.Inject(codertest.Fault{Route: "/hub/session/{id}/replay", Cut: codertest.CutMidBody, Count: -1})
		for _, err := range c.ReplayEntries(t.Context(), id, nil) {
			if err != nil {
				assert.True(t, coder.IsTransient(err), "%v", err)
			}
		}
	})
}
