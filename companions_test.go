package coder_test

import (
	"encoding/json"
	"net/http"
	"testing"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

// TestHubInit_Query: the lead is who is meant when nobody is named.
func TestHubInit_Query(t *testing.T) {
	s := newServer(t, answerJSON(http.StatusOK, `{"type":"init","role":"lead"}`))
	for _, params := range []*coder.HubInitParams{nil, {}, {Agent: "lead"}} {
		_, err := s.client(t).HubInit(t.Context(), params)
		require.NoError(t, err)
	}
	_, err := s.client(t).HubInit(t.Context(), &coder.HubInitParams{Agent: "my scout&co"})
	require.NoError(t, err)
	var targets []string
	for _, r := range s.seen() {
		targets = append(targets, r.target)
	}
	assert.Equal(t, []string{"/api/hub/init", "/api/hub/init", "/api/hub/init", "/api/hub/init?agent=my+scout%26co"}, targets)
}

// TestCompanions_UnusableAnswers: each names what is missing, and returns no value.
func TestCompanions_UnusableAnswers(t *testing.T) {
	init := func(t *testing.T, c *coder.Client) (any, error) { return untyped(c.HubInit(t.Context(), nil)) }
	skills := func(t *testing.T, c *coder.Client) (any, error) { return untyped(c.HubSkills(t.Context())) }
	todos := func(t *testing.T, c *coder.Client) (any, error) {
		return untyped(c.SessionTodos(t.Context(), "s", nil))
	}
	for _, tc := range []struct {
		call         func(*testing.T, *coder.Client) (any, error)
		body, reason string
	}{
		{init, `{"role":"lead"}`, `the member "type" is missing`},
		{init, `{"type":"session_hydration","role":"lead"}`, "it is no init, but of type session_hydration"},
		{skills, `{"ok":true,"count":0}`, `the list "skills" is missing`},
		{skills, `{"ok":true,"skills":[{"path":"a"},{"content":"x"}]}`, `the member "skills[1].path" is missing`},
		{skills, `{"ok":false,"count":0,"skills":[]}`, "it says that the request failed"},
		{todos, `{"ok":true,"todos":[]}`, `the member "sessionId" is missing`},
		{todos, `{"sessionId":"s","ok":true}`, `the list "todos" is missing`},
		{todos, `{"sessionId":"s","ok":true,"todos":[{"title":"x"}]}`, `the member "todos[0].id" is missing`},
		{todos, `{"sessionId":"s","ok":true,"unavailable":true,"todos":[{"title":"x"}]}`, `the member "todos[0].id" is missing`},
	} {
		got, err := tc.call(t, newServer(t, answerJSON(http.StatusOK, tc.body)).client(t))
		var bad *coder.ResponseError
		require.ErrorAs(t, err, &bad, tc.body)
		assert.Equal(t, tc.reason, bad.Reason, tc.body)
		assert.Nil(t, got, tc.body)
	}
}

// TestSessionTodos_Unavailable: a Hub that cannot reach the todos says so, and need not send a list.
func TestSessionTodos_Unavailable(t *testing.T) {
	s := newServer(t, answerJSON(http.StatusOK, `{"sessionId":"s","ok":true,"unavailable":true,"message":"no task service"}`))
	got, err := s.client(t).SessionTodos(t.Context(), "s", nil)
	require.NoError(t, err)
	assert.True(t, got.Unavailable)
	assert.Equal(t, "no task service", got.Message)
	assert.Equal(t, "/api/hub/session/s/todos", s.seen()[0].target, "without parameters there is no query")
}

// TestPromptText: what is a list elsewhere is not lost.
func TestPromptText(t *testing.T) {
	for text, want := range map[string]coder.PromptText{
		`"Use it first."`: "Use it first.", `["Use it first.","Then ask."]`: "Use it first.\nThen ask.", `["a"]`: "a", `[]`: "", `null`: "", `"a\nb"`: "a\nb",
	} {
		for _, read := range []func([]byte, any) error{json.Unmarshal, func(b []byte, v any) error { return jsonv2.Unmarshal(b, v) }} {
			tool := coder.HubToolDefinition{PromptGuidelines: "before"}
			require.NoError(t, read([]byte(`{"promptGuidelines":`+text+`}`), &tool))
			assert.Equal(t, want, tool.PromptGuidelines, text)
			out, err := json.Marshal(tool.PromptGuidelines)
			require.NoError(t, err)
			wantText, err := json.Marshal(string(want))
			require.NoError(t, err)
			assert.Equal(t, string(wantText), string(out), "it is written as a text")
			for _, bad := range []string{"7", "{}", "[7]", `[["a"]]`} {
				require.Error(t, read([]byte(`{"promptGuidelines":`+bad+`}`), &tool), bad)
			}
		}
	}
}

// untyped returns nil for a nil pointer, which would be no nil in an any.
func untyped[T any](v *T, err error) (any, error) {
	if v == nil {
		return nil, err
	}
	return v, err
}
