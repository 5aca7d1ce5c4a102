package coder_test

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

// methodCase is a method of Client, as every one of them is tested.
type methodCase struct {
	name    string
	route   string // method and target; ID stands for the escaped id
	sample  string // the answer, and by default the JSON of the result
	request string // the body, if there is one
	want    string // the JSON of the result, if it is not the answer
	wrapper string // the member of the answer that holds the JSON of the result, if it is not all of it
	create  bool   // must not be repeated
	bodied  bool   // needs no body in the answer
	call    func(ctx context.Context, c *coder.Client, id string) (any, error)
}

// methods are all methods.
var methods = slices.Concat(sessionMethods, iteratorMethods, resourceMethods)

func (m *methodCase) hasID() bool { return strings.Contains(m.route, "ID") }

// sampleID is the session that the sample is about, or some id.
func (m *methodCase) sampleID(t *testing.T) string {
	t.Helper()
	var about struct {
		SessionID string `json:"sessionId"`
	}
	if strings.Contains(m.route, "/session/ID") {
		require.NoError(t, json.Unmarshal([]byte(sample(t, m.sample)), &about))
	}
	return cmp.Or(about.SessionID, "codesess_1")
}

var sessionMethods = []methodCase{
	{
		name: "CreateSession", route: "POST /api/hub/session", create: true,
		sample: "responses/session-create.json", request: "requests/session-create.json",
		call: func(ctx context.Context, c *coder.Client, _ string) (any, error) {
			return c.CreateSession(ctx, coder.CreateSessionRequest{
				Task:         "Implement OAuth login with a GitHub provider",
				WorkflowMode: coder.WorkflowStandard,
				Tags:         []string{"auth", "feature"},
			})
		},
	},
	{
		name: "GetSession", route: "GET /api/hub/session/ID", sample: "responses/session-get.json",
		call: func(ctx context.Context, c *coder.Client, id string) (any, error) { return c.GetSession(ctx, id) },
	},
	{
		name: "UpdateSession", route: "PATCH /api/hub/session/ID",
		sample: "responses/session-update.json", request: "requests/session-update.json",
		call: func(ctx context.Context, c *coder.Client, id string) (any, error) {
			return c.UpdateSession(ctx, id, coder.UpdateSessionRequest{
				Label:      new("OAuth login, phase 2"),
				Visibility: new(coder.VisibilityOrganization),
				Tags:       []string{"auth", "feature", "phase-2"},
				Agent:      new("builder"),
				Skills: []coder.SkillRef{{
					SkillID: "code-review", Repo: "northwind-labs/skills", Name: "Code review",
					URL: "https://skills.example/northwind-labs/skills/code-review",
				}},
			})
		},
	},
	{
		name: "ListSessions", route: "GET /api/hub/sessions?search=auth&includeArchived=true&limit=20&offset=3",
		sample: "responses/sessions-list.json", want: "sessions",
		call: func(ctx context.Context, c *coder.Client, _ string) (any, error) {
			return c.ListSessions(ctx, &coder.ListSessionsParams{Search: "auth", IncludeArchived: true, Limit: 20, Offset: 3})
		},
	},
	{
		name: "ListConnectableSessions", route: "GET /api/hub/sessions?includeArchived=true",
		sample: "responses/sessions-list-empty.json", want: "sessions",
		call: func(ctx context.Context, c *coder.Client, _ string) (any, error) {
			return c.ListConnectableSessions(ctx, nil)
		},
	},
	{
		name: "DeleteSession", route: "DELETE /api/hub/session/ID", sample: "responses/session-delete.json", want: "nothing",
		bodied: true,
		call: func(ctx context.Context, c *coder.Client, id string) (any, error) {
			return nil, c.DeleteSession(ctx, id)
		},
	},
	{
		name: "ArchiveSession", route: "POST /api/hub/session/ID/archive", sample: "responses/session-archive.json",
		call: func(ctx context.Context, c *coder.Client, id string) (any, error) { return c.ArchiveSession(ctx, id) },
	},
	{
		name: "ResumeSession", route: "POST /api/hub/session/ID/resume", sample: "responses/session-resume.json",
		call: func(ctx context.Context, c *coder.Client, id string) (any, error) { return c.ResumeSession(ctx, id) },
	},
	{
		name: "PrepareSessionForRemoteAttach", route: "GET /api/hub/session/ID", sample: "responses/session-get-history.json",
		call: func(ctx context.Context, c *coder.Client, id string) (any, error) {
			return c.PrepareSessionForRemoteAttach(ctx, id, nil)
		},
	},
	{
		name: "GetReplay", route: "GET /api/hub/session/ID/replay?limit=100&offset=2", sample: "responses/session-replay.json",
		call: func(ctx context.Context, c *coder.Client, id string) (any, error) {
			return c.GetReplay(ctx, id, &coder.GetSessionReplayParams{Limit: 100, Offset: 2})
		},
	},
	{
		name:   "ListParticipants",
		route:  "GET /api/hub/session/ID/participants?limit=50&includeDisconnected=true",
		sample: "responses/session-participants.json",
		call: func(ctx context.Context, c *coder.Client, id string) (any, error) {
			return c.ListParticipants(ctx, id, &coder.ListParticipantsParams{Limit: 50, IncludeDisconnected: true})
		},
	},
	{
		name:   "ListEventHistory",
		route:  "GET /api/hub/session/ID/events/history?limit=3&beforeId=1230",
		sample: "responses/session-events-history.json",
		call: func(ctx context.Context, c *coder.Client, id string) (any, error) {
			return c.ListEventHistory(ctx, id, &coder.ListEventHistoryParams{Limit: 3, BeforeID: 1230})
		},
	},
	{
		name: "GetLoopState", route: "GET /api/hub/session/ID/loop", sample: "responses/session-loop.json",
		call: func(ctx context.Context, c *coder.Client, id string) (any, error) { return c.GetLoopState(ctx, id) },
	},
	{
		name:   "SessionTodos",
		route:  "GET /api/hub/session/ID/todos?includeTerminal=true&includeSync=true&limit=30",
		sample: "responses/session-todos.json",
		call: func(ctx context.Context, c *coder.Client, id string) (any, error) {
			return c.SessionTodos(ctx, id, &coder.SessionTodosParams{IncludeTerminal: true, IncludeSync: true, Limit: 30})
		},
	},
	{
		name: "Do", route: "POST /api/hub/session", sample: "responses/session-create.json", create: true,
		call: func(ctx context.Context, c *coder.Client, _ string) (any, error) {
			var out coder.CreateSessionResponse
			err := c.Do(ctx, http.MethodPost, "/hub/session", nil, &out)
			return &out, err
		},
	},
}

// notCalls are the methods of Client that make no request of their own on a route of the Hub.
// ReplayEntries and EnsureSession have tests of their own: one reads a stream, the other makes several requests.
// WaitForSession, CheckSession, LastAnswer, Answer, WatchEvents and RunSession have too: one look is several requests.
// Connect, ConnectNew and Attach open WebSockets.
var notCalls = []string{
	"CloseIdleConnections", "Format", "LogValue", "URL", "ReplayEntries", "EnsureSession", "StreamEvents", "WaitForSession", "CheckSession", "Answer",
	"WatchEvents", "RunSession", "LastAnswer",
	"Connect", "ConnectNew", "Attach",
}

func TestMethods_AllAreInTheTable(t *testing.T) {
	var listed []string
	for _, m := range methods {
		listed = append(listed, m.name)
	}
	listed = append(listed, notCalls...)
	client := reflect.TypeFor[*coder.Client]()
	for i := range client.NumMethod() {
		assert.Contains(t, listed, client.Method(i).Name, "add the method to the table, so that it is tested as all are")
	}
}

func eachMethod(t *testing.T, test func(t *testing.T, m methodCase)) {
	for _, m := range methods {
		t.Run(m.name, func(t *testing.T) { test(t, m) })
	}
}

func TestMethods_Success(t *testing.T) {
	eachMethod(t, func(t *testing.T, m methodCase) {
		s := newServer(t, answerJSON(http.StatusOK, sample(t, m.sample)))
		id := m.sampleID(t)
		got, err := m.call(t.Context(), s.client(t), id)
		require.NoError(t, err)

		require.Len(t, s.seen(), 1)
		request := s.seen()[0]
		assert.Equal(t, strings.ReplaceAll(m.route, "ID", id), request.method+" "+request.target)
		if m.request == "" {
			assert.Empty(t, request.body)
			assert.Empty(t, request.header["Content-Type"], "no Content-Type without a body")
		} else {
			assert.JSONEq(t, sample(t, m.request), string(request.body))
			assert.Equal(t, "application/json", request.header.Get("Content-Type"))
		}
		assert.Equal(t, "application/json", request.header.Get("Accept"))
		assert.Equal(t, "Bearer "+testKey, request.header.Get("Authorization"))
		assert.Regexp(t, `^agentuity-coder-go/\d+\.\d+\.\d+ \(go1\.`, request.header.Get("User-Agent"))

		switch m.want {
		case "nothing":
		case "sessions":
			var page struct {
				Sessions struct{ WebSocket json.RawMessage }
				Total    int
			}
			require.NoError(t, json.Unmarshal([]byte(sample(t, m.sample)), &page))
			list := got.(*coder.SessionListResponse)
			assert.Equal(t, page.Total, list.Total)
			assertSameJSON(t, string(page.Sessions.WebSocket), list.Sessions, "nothing the Hub sent may be lost or invented")
		case "users":
			list := got.(*coder.ListUsersResponse)
			assertSameJSON(t, sample(t, m.sample), list.Users, "nothing the Hub sent may be lost or invented")
			assert.Len(t, list.Users, list.Total)
		case "init":
			var members map[string]any
			require.NoError(t, json.Unmarshal([]byte(sample(t, m.sample)), &members))
			delete(members, "type") // which the Go type says
			without, err := json.Marshal(members)
			require.NoError(t, err)
			assertSameJSON(t, string(without), got, "nothing else may be lost or invented")
		case "workspaces":
			list := *got.(*coder.WorkspaceListResponse)
			list.Workspaces = slices.Clone(list.Workspaces)
			assert.Equal(t, coder.WorkspacePromptAppend, list.Workspaces[1].SystemPromptMode, "the default is filled in")
			list.Workspaces[1].SystemPromptMode = ""
			assertSameJSON(t, sample(t, m.sample), list, "nothing else may be lost or invented")
		default:
			assertSameJSON(t, unwrap(t, sample(t, m.sample), m.wrapper), got, "nothing the Hub sent may be lost or invented")
		}
	})
}

func TestMethods_IDs(t *testing.T) {
	hostile := map[string]string{
		"a/b": "a%2Fb", "a?b": "a%3Fb", "a/..b": "a%2F..b", "ä #%": "%C3%A4%20%23%25", "a b+c": "a%20b%2Bc",
	}
	eachMethod(t, func(t *testing.T, m methodCase) {
		if !m.hasID() {
			return
		}
		var asked string
		s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
			answerJSON(http.StatusOK, strings.ReplaceAll(sample(t, m.sample), m.sampleID(t), asked))(w, r)
		})
		c := s.client(t)
		for _, id := range []string{"", ".", "..", "nope/../x", `nope\..\x`, "x/.", "%2e%2e/x", "/x", "x/", "a//x", `\x`, "%2Fx", ";x"} {
			_, err := m.call(t.Context(), c, id)
			var invalid *coder.ValidationError
			require.ErrorAs(t, err, &invalid, "id %q", id)
			assert.Equal(t, m.name, invalid.Operation)
			assert.NotEmpty(t, invalid.Field)
			assert.Regexp(t, `^coder: `+m.name+`: \w+ID\w* must not (be|have) `, err.Error())
		}
		require.Empty(t, s.seen(), "nothing is sent with a bad id")
		for id, escaped := range hostile {
			asked = id
			_, err := m.call(t.Context(), c, id)
			require.NoError(t, err, "id %q", id)
			last := s.seen()[len(s.seen())-1]
			assert.Equal(t, strings.ReplaceAll(m.route, "ID", escaped), last.method+" "+last.target, "the id stays one element")
		}
	})
}

// TestMethods_AnotherSession: an answer about another session than the one asked for is none.
func TestMethods_AnotherSession(t *testing.T) {
	eachMethod(t, func(t *testing.T, m methodCase) {
		if m.sampleID(t) == "codesess_1" {
			return
		}
		s := newServer(t, answerJSON(http.StatusOK, sample(t, m.sample)))
		for _, asked := range []string{"codesess_1", strings.ToUpper(m.sampleID(t)), m.sampleID(t) + "0"} {
			_, err := m.call(t.Context(), s.client(t), asked)
			var other *coder.ResponseError
			require.ErrorAs(t, err, &other, asked)
			assert.Contains(t, other.Reason, asked)
			assert.Contains(t, other.Reason, m.sampleID(t))
		}
	})
}

func TestMethods_APIError(t *testing.T) {
	eachMethod(t, func(t *testing.T, m methodCase) {
		s := newServer(t, answerJSON(http.StatusNotFound,
			`{"success":false,"code":"CODER_SESSION_NOT_FOUND","message":"No session with this id","details":{"a":1}}`))
		_, err := m.call(t.Context(), s.client(t), "codesess_1")
		var api *coder.APIError
		require.ErrorAs(t, err, &api)
		assert.Equal(t, http.StatusNotFound, api.StatusCode)
		assert.Equal(t, coder.CodeSessionNotFound, api.Code)
		assert.Equal(t, "No session with this id", api.Message)
		assert.Equal(t, "trace_1", api.RequestID)
		assert.Equal(t, m.name, api.Operation)
		assert.Equal(t, map[string]any{"a": 1.0}, api.Details)
		assert.Equal(t, 1, api.Attempts)
		route := strings.ReplaceAll(m.route, "ID", "codesess_1")
		route, _, _ = strings.Cut(route, "?")
		assert.Equal(t, route, api.Method+" /api"+api.Path)
		require.ErrorIs(t, err, coder.ErrSessionNotFound)
		require.ErrorIs(t, err, coder.ErrNotFound)
		require.NotErrorIs(t, err, coder.ErrOutcomeUnknown)
		assert.Regexp(t, `^coder: `+m.name+`: 404 Not Found: No session with this id \(`, err.Error())
	})
}

func TestMethods_HTML502(t *testing.T) {
	eachMethod(t, func(t *testing.T, m methodCase) {
		s := newServer(t, answer(http.StatusBadGateway, "text/html", "<html>bad gateway</html>"))
		_, err := m.call(t.Context(), s.client(t), "codesess_1")
		require.ErrorIs(t, err, coder.ErrUnavailable)
		var api *coder.APIError
		require.ErrorAs(t, err, &api)
		assert.Equal(t, m.create, isUnknown(err), "only a create has an unknown outcome")
		assert.Equal(t, "<html>bad gateway</html>", string(api.Body))
		assert.NotContains(t, err.Error(), "<html>")
	})
}

func TestMethods_UnusableAnswers(t *testing.T) {
	for name, body := range map[string]string{
		"empty": "", "null": "null", "HTML": "<html>login</html>", "cut": `{"sessionId":"codesess_1","sta`,
		"something after it": `{"sessionId":"codesess_1"} {}`,
		"wrong wrapper":      `{"data":{"sessionId":"codesess_1","sessions":[]}}`,
		"says no":            `{"ok":false,"sessionId":"codesess_1"}`,
	} {
		t.Run(name, func(t *testing.T) {
			eachMethod(t, func(t *testing.T, m methodCase) {
				s := newServer(t, answerJSON(http.StatusOK, body))
				got, err := m.call(t.Context(), s.client(t), "codesess_1")
				if m.bodied && (name == "empty" || name == "null" || name == "wrong wrapper") || m.name == "Do" && (name == "wrong wrapper" || name == "says no") {
					require.NoError(t, err, "only the status matters here")
					return
				}
				var bad *coder.ResponseError
				require.ErrorAs(t, err, &bad)
				assert.True(t, got == nil || reflect.ValueOf(got).IsNil() || m.name == "Do", "no value with an error")
				assert.Equal(t, m.create, isUnknown(err))
				assert.Equal(t, http.StatusOK, bad.StatusCode)
				assert.Equal(t, "trace_1", bad.RequestID)
				assert.Equal(t, body, string(bad.Body))
				assert.Regexp(t, `^coder: `+m.name+`: unusable answer: `, err.Error())
				assert.NotContains(t, err.Error(), "login", "no body in the text")
			})
		})
	}
}

func TestMethods_CancelledContext(t *testing.T) {
	eachMethod(t, func(t *testing.T, m methodCase) {
		s := newServer(t, answerJSON(http.StatusOK, sample(t, m.sample)))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := m.call(ctx, s.client(t), "codesess_1")
		require.ErrorIs(t, err, context.Canceled)
		var failed *coder.RequestError
		require.ErrorAs(t, err, &failed)
		assert.Equal(t, m.name, failed.Operation)
		assert.Equal(t, coder.SentNo, failed.Sent)
		require.NotErrorIs(t, err, coder.ErrOutcomeUnknown, "nothing was sent")
		assert.NotContains(t, err.Error(), s.URL)
		assert.Empty(t, s.seen())
	})
}

func isUnknown(err error) bool { return errorsIs(err, coder.ErrOutcomeUnknown) }

// unwrap returns a member of a JSON object, or the whole of it without a name.
func unwrap(t *testing.T, object, name string) string {
	t.Helper()
	if name == "" {
		return object
	}
	var members map[string]json.RawMessage
	require.NoError(t, json.Unmarshal([]byte(object), &members))
	require.Contains(t, members, name)
	return string(members[name])
}

func normal(v any) any {
	switch v := v.(type) {
	case string:
		if at, err := time.Parse(time.RFC3339, v); err == nil {
			return at.UTC().String()
		}
	case []any:
		for i := range v {
			v[i] = normal(v[i])
		}
	case map[string]any:
		for k := range v {
			if v[k] = normal(v[k]); v[k] == false {
				delete(v, k)
			}
		}
	}
	return v
}

func TestMethods_BadArguments(t *testing.T) {
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
		"negative limit, todos": {"SessionTodos", "limit", func() error {
			_, err := c.SessionTodos(ctx, "x", &coder.SessionTodosParams{Limit: -1})
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
