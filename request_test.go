package coder_test

import (
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// extended are the methods that take a request with an Extra, by the name of the request.
var extended = map[string]func(t *testing.T, c *coder.Client, extra map[string]json.RawMessage) error{
	"CreateSessionRequest": func(t *testing.T, c *coder.Client, extra map[string]json.RawMessage) error {
		_, err := c.CreateSession(t.Context(), coder.CreateSessionRequest{Task: "t", Extra: extra})
		return err
	},
	"UpdateSessionRequest": func(t *testing.T, c *coder.Client, extra map[string]json.RawMessage) error {
		_, err := c.UpdateSession(t.Context(), "x", coder.UpdateSessionRequest{Extra: extra})
		return err
	},
	"CreateWorkspaceRequest": func(t *testing.T, c *coder.Client, extra map[string]json.RawMessage) error {
		_, err := c.CreateWorkspace(t.Context(), coder.CreateWorkspaceRequest{Name: "n", Extra: extra})
		return err
	},
	"UpdateWorkspaceRequest": func(t *testing.T, c *coder.Client, extra map[string]json.RawMessage) error {
		_, err := c.UpdateWorkspace(t.Context(), "x", coder.UpdateWorkspaceRequest{Extra: extra})
		return err
	},
	"CreateCustomAgentRequest": func(t *testing.T, c *coder.Client, extra map[string]json.RawMessage) error {
		_, err := c.CreateCustomAgent(t.Context(), coder.CreateCustomAgentRequest{Slug: "s", DisplayName: "n", Instructions: "i", Extra: extra})
		return err
	},
	"UpdateCustomAgentRequest": func(t *testing.T, c *coder.Client, extra map[string]json.RawMessage) error {
		_, err := c.UpdateCustomAgent(t.Context(), "x", coder.UpdateCustomAgentRequest{Extra: extra})
		return err
	},
	"SaveSkillRequest": func(t *testing.T, c *coder.Client, extra map[string]json.RawMessage) error {
		_, err := c.SaveSkill(t.Context(), coder.SaveSkillRequest{Repo: "r", SkillID: "s", Name: "n", Extra: extra})
		return err
	},
	"CreateCustomSkillRequest": func(t *testing.T, c *coder.Client, extra map[string]json.RawMessage) error {
		_, err := c.CreateCustomSkill(t.Context(), coder.CreateCustomSkillRequest{SkillID: "s", Name: "n", Content: "c", Extra: extra})
		return err
	},
	"CreateSkillBucketRequest": func(t *testing.T, c *coder.Client, extra map[string]json.RawMessage) error {
		_, err := c.CreateSkillBucket(t.Context(), coder.CreateSkillBucketRequest{Name: "n", Extra: extra})
		return err
	},
	"CreateAgentBuilderSessionRequest": func(t *testing.T, c *coder.Client, extra map[string]json.RawMessage) error {
		_, err := c.CreateAgentBuilderSession(t.Context(), coder.CreateAgentBuilderSessionRequest{Extra: extra})
		return err
	},
}

// requestTypes are the bodies of the methods, by their names.
func requestTypes() map[string]reflect.Type {
	types := make(map[string]reflect.Type)
	client := reflect.TypeFor[*coder.Client]()
	for m := range client.Methods() {
		for in := range m.Type.Ins() {
			if strings.HasSuffix(in.Name(), "Request") {
				types[in.Name()] = in
			}
		}
	}
	return types
}

// TestRequests_Extra: every request takes members that it has no field for, and sends them as they are.
func TestRequests_Extra(t *testing.T) {
	answered := answerJSON(http.StatusOK, `{"sessionId":"x","workspace":{"id":"x"},"agent":{"id":"x"},"skill":{"id":"x"},"bucket":{"id":"x"}}`)
	for name, request := range requestTypes() {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, answered)
			call := extended[name]
			require.NotNil(t, call, "add the request to the table")

			extra := map[string]json.RawMessage{"newest": json.RawMessage(`{"b":[1,2],"a":"<é>"}`), "Label": json.RawMessage(`1`), "none": nil}
			require.NoError(t, call(t, s.client(t), extra))
			require.Len(t, s.seen(), 1)
			var sent map[string]json.RawMessage
			require.NoError(t, json.Unmarshal(s.seen()[0].body, &sent))
			assert.JSONEq(t, `{"b":[1,2],"a":"<é>"}`, string(sent["newest"]))
			assert.Equal(t, "1", string(sent["Label"]), "a Hub tells letter cases apart")
			assert.Equal(t, "null", string(sent["none"]))
			assert.Len(t, extra, 3, "the caller's map is left alone")

			fields := 0
			for f := range request.Fields() {
				member, _, _ := strings.Cut(f.Tag.Get("json"), ",")
				if member == "" {
					continue
				}
				fields++
				assertExtraRefused(t, call(t, s.client(t), map[string]json.RawMessage{member: json.RawMessage(`"x"`)}), member)
			}
			assert.Positive(t, fields)
			for _, bad := range []string{"", "{", "\"a\xff\"", "1 2", `{"a":1,"a":2}`} {
				assertExtraRefused(t, call(t, s.client(t), map[string]json.RawMessage{"newest": json.RawMessage(bad)}), "newest")
			}
			var invalid *coder.ValidationError
			require.ErrorAs(t, call(t, s.client(t), map[string]json.RawMessage{"a\xff": json.RawMessage("1")}), &invalid)
			assert.Len(t, s.seen(), 1, "nothing is sent that is refused")
		})
	}
	assert.Len(t, requestTypes(), len(extended))
}

func assertExtraRefused(t *testing.T, err error, member string) {
	t.Helper()
	var invalid *coder.ValidationError
	require.ErrorAs(t, err, &invalid, member)
	assert.Equal(t, "extra."+member, invalid.Field)
	assert.Regexp(t, `^coder: `+invalid.Operation+`: extra\.`+member+` `, err.Error())
	assert.Regexp(t, `^(Create|Update|Save|Ensure)`, invalid.Operation)
}

// TestRequests_ExtraOfACustomSkill: the members that the method adds are refused too.
func TestRequests_ExtraOfACustomSkill(t *testing.T) {
	s := newServer(t, answerJSON(http.StatusOK, `{}`))
	for _, member := range []string{"source", "repo"} {
		assertExtraRefused(t, extended["CreateCustomSkillRequest"](t, s.client(t), map[string]json.RawMessage{member: json.RawMessage(`"x"`)}), member)
	}
	assert.Empty(t, s.seen())
}

// TestUpdateWorkspace_ExtraIsAChange: a member of Extra is something to change, an empty Extra is nothing.
func TestUpdateWorkspace_ExtraIsAChange(t *testing.T) {
	s := newServer(t, answerJSON(http.StatusOK, `{"workspace":{"id":"x"}}`))
	call := extended["UpdateWorkspaceRequest"]
	require.NoError(t, call(t, s.client(t), map[string]json.RawMessage{"new": json.RawMessage("1")}))
	var invalid *coder.ValidationError
	require.ErrorAs(t, call(t, s.client(t), map[string]json.RawMessage{}), &invalid)
	assert.Equal(t, "body", invalid.Field)
	assert.Len(t, s.seen(), 1)
}

// TestEnsureSession_Extra: it is sent with every create, and refused before anything is.
func TestEnsureSession_Extra(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		c := hubClient(t, hub)
		request := ensureTask
		request.Extra = map[string]json.RawMessage{"metadata": json.RawMessage(`{}`)}
		_, err := c.EnsureSession(t.Context(), "k", request, nil)
		assertExtraRefused(t, err, "metadata")
		assert.Empty(t, hub.Requests())

		request.Extra = map[string]json.RawMessage{"model": json.RawMessage(`"provider/model-large"`)}
		_, err = c.EnsureSession(t.Context(), "k", request, nil)
		require.NoError(t, err)
		requests := hub.Requests()
		at := slices.IndexFunc(requests, func(r codertest.Request) bool { return r.Method == http.MethodPost })
		require.NotEqual(t, -1, at)
		assert.JSONEq(t, `{"task":"Review pull request 7","metadata":{"team":"payments","idempotencyKey":"k"},"model":"provider/model-large"}`,
			string(requests[at].Body))
	})
}

// TestUpdateSession_Skills: a list that is empty is sent, one that is nil is not.
func TestUpdateSession_Skills(t *testing.T) {
	s := newServer(t, answerJSON(http.StatusOK, `{"sessionId":"x"}`))
	_, err := s.client(t).UpdateSession(t.Context(), "x", coder.UpdateSessionRequest{SavedSkillIDs: []string{"sk_1"}, SkillBucketIDs: []string{}})
	require.NoError(t, err)
	assert.JSONEq(t, `{"savedSkillIds":["sk_1"],"skillBucketIds":[]}`, string(s.seen()[0].body))
}
