//go:build parity

package parity

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

// These are the differences on purpose that no other test meets on its way. Every one is a row of
// the table in docs/differences.md, under the same name.

// differ runs the assertions of one difference.
func differ(t *testing.T, name string, assertions func(t *testing.T)) {
	t.Helper()
	if t.Run(name, assertions) {
		tally.met(name)
	}
}

// minimalAnswer is an answer to a method that both accept.
func minimalAnswer(m string) answer {
	g := newGenerator("minimal " + m)
	g.richness = minimal
	a := g.answerTo(known, methodNamed(m))
	a.status = 0
	return a
}

func bodyOf(t *testing.T, o outcome) any {
	t.Helper()
	require.Len(t, o.requests, 1, "%v", o.err)
	v, err := tree(o.requests[0].body)
	require.NoError(t, err)
	return v
}

func TestDifferencesInRequests(t *testing.T) {
	differ(t, "workspace-needs-only-a-name", func(t *testing.T) {
		there, here := scenario{method: "CreateWorkspace", args: []any{object{"name": "x", "description": "y"}},
			answers: []answer{minimalAnswer("CreateWorkspace")}}.play(t)
		requireThrown(t, there, "ValidationInputError")
		assert.Equal(t, object{"name": "x", "description": "y"}, bodyOf(t, here))
	})
	differ(t, "zero-parameters-are-not-sent", func(t *testing.T) {
		for method, wire := range map[string]string{
			"ListSessions":     "includeArchived=false&limit=0&offset=0",
			"ListUsers":        "limit=0&offset=0",
			"ListCustomAgents": "includeArchived=false",
			"GetReplay":        "limit=0&offset=0",
		} {
			params := object{}
			for pair := range strings.SplitSeq(wire, "&") {
				name, value, _ := strings.Cut(pair, "=")
				params[name] = any(0)
				if value == "false" {
					params[name] = false
				}
			}
			args := []any{params}
			if methodNamed(method).id {
				args = []any{"s", params}
			}
			there, here := scenario{method: method, args: args, answers: []answer{minimalAnswer(method)}}.play(t)
			assert.True(t, strings.HasSuffix(there.requests[0].target, "?"+wire), there.requests[0].target)
			assert.NotContains(t, here.requests[0].target, "?")
		}
		// Applied locally, a limit of 0 is none at all there and all there is here.
		list := object{"sessions": object{"websocket": []any{connectable("active")}, "sandbox": []any{}}, "total": 1}
		there, here := scenario{method: "ListConnectableSessions", args: []any{object{"limit": 0}}, answers: []answer{ok(encode(list))}}.play(t)
		assert.Empty(t, there.result.(object)["sessions"])
		assert.Len(t, here.result.(object)["sessions"], 1)
	})
	differ(t, "negative-parameters", func(t *testing.T) {
		for _, method := range []string{"ListSessions", "ListConnectableSessions", "ListUsers"} {
			there, here := scenario{method: method, args: []any{object{"limit": -1}}, answers: []answer{minimalAnswer(method)}}.play(t)
			require.NoError(t, there.err)
			requireInvalid(t, here)
		}
	})
	differ(t, "ids-that-are-no-path-element", func(t *testing.T) {
		eachMethod(t, func(t *testing.T, m *method) {
			if !m.id {
				return
			}
			for _, id := range []string{"", ".", ".."} {
				args := append([]any{id}, m.sample[1:]...)
				there, here := scenario{method: m.name, args: args, answers: []answer{minimalAnswer(m.name)}}.play(t)
				requireInvalid(t, here)
				if m.name != "ListGitHubRepos" {
					assert.NotEmpty(t, there.requests)
					assert.NotContains(t, there.requests[0].target, "%2E", "another route is asked there")
				}
			}
			for _, id := range []string{"a/../b", "../x", `a\..\b`, "a/.", "%2e%2e", "a/%2E%2E/b", "%252e%252e", "a%2F..", "a/..;x/b", "/x", "x/", "a//b", "%2Fx", ";x"} {
				args := append([]any{id}, m.sample[1:]...)
				there, here := scenario{method: m.name, args: args, answers: []answer{minimalAnswer(m.name)}}.play(t)
				requireInvalid(t, here)
				assert.NotEmpty(t, there.requests, "it is sent there")
			}
		})
	})
	differ(t, "answers-about-another-session", func(t *testing.T) {
		for _, name := range aboutASession {
			m := methodNamed(name)
			other := scenario{method: name, args: []any{"s_2"}, answers: []answer{minimalAnswer(name)}}.about()
			args := append([]any{"s_1"}, m.sample[1:]...)
			there, here := scenario{method: name, args: args, answers: other, verbatim: true}.play(t)
			require.NoError(t, there.err, name)
			var unusable *coder.ResponseError
			require.ErrorAs(t, here.err, &unusable, name)
			assert.Contains(t, unusable.Reason, `"s_1" was asked for`)
			assert.Contains(t, unusable.Reason, `"s_2"`)
		}
		other := ok(`{"ok":true,"sessionId":"s_2"}`)
		there, here := scenario{method: "DeleteSession", args: []any{"s_1"}, answers: []answer{other}, verbatim: true}.play(t)
		require.NoError(t, there.err)
		var unusable *coder.ResponseError
		require.ErrorAs(t, here.err, &unusable)
		assert.Contains(t, unusable.Reason, `"s_1" was asked for`)
		assert.Contains(t, unusable.Reason, `"s_2"`)
	})
	differ(t, "replays-without-entries", func(t *testing.T) {
		for _, body := range []string{`{"sessionId":"s"}`, `{"sessionId":"s","entries":null}`, `{"sessionId":"s","entries":{}}`} {
			there, here := scenario{method: "GetReplay", args: []any{"s"}, answers: []answer{ok(body)}, verbatim: true}.play(t)
			require.NoError(t, there.err)
			var unusable *coder.ResponseError
			require.ErrorAs(t, here.err, &unusable)
		}
	})
	differ(t, "blank-texts-that-are-required", func(t *testing.T) {
		file := object{"path": "", "content": object{"$bytes": "aGk="}}
		for method, bodies := range map[string][]object{
			"CreateSession":     {{"task": ""}, {"task": " "}, {"task": "x", "files": []any{file}}},
			"SaveSkill":         {{"repo": "", "skillId": "b", "name": "c"}, {"repo": "a", "skillId": " ", "name": "c"}, {"repo": "a", "skillId": "b", "name": ""}},
			"CreateCustomSkill": {{"skillId": "", "name": "b", "content": "c"}, {"skillId": "a", "name": " ", "content": "c"}},
			"CreateSkillBucket": {{"name": ""}},
			"CreateWorkspace":   {{"name": "", "dependencies": []any{"git"}}},
			"CreateCustomAgent": {{"slug": "", "displayName": "b", "instructions": "c"}, {"slug": "a", "displayName": "b", "instructions": "\n"}},
		} {
			for _, body := range bodies {
				there, here := scenario{method: method, args: []any{body}, answers: []answer{minimalAnswer(method)}}.play(t)
				require.NoError(t, there.err)
				requireInvalid(t, here)
			}
		}
		// Blank is what each language trims: the two disagree about two characters.
		for text, blank := range map[string]bool{"\ufeff": false, "\u0085": true} {
			there, here := scenario{method: "CreateCustomSkill", args: []any{object{"skillId": "a", "name": "b", "content": text}},
				answers: []answer{minimalAnswer("CreateCustomSkill")}}.play(t)
			assert.Equal(t, !blank, there.err != nil, "%q there", text)
			assert.Equal(t, blank, here.err != nil, "%q here", text)
		}
	})
	differ(t, "empty-optional-texts", func(t *testing.T) {
		for method, body := range map[string]object{
			"CreateSession":             {"task": "x", "label": "", "skills": []any{object{"skillId": "a", "repo": "b", "name": ""}}, "repo": object{"branch": ""}},
			"CreateAgentBuilderSession": {"label": "", "prompt": ""},
			"CreateWorkspace":           {"name": "x", "description": "", "dependencies": []any{"git"}},
			"SaveSkill":                 {"repo": "a", "skillId": "b", "name": "c", "description": ""},
			"CreateCustomSkill":         {"skillId": "a", "name": "b", "content": "c", "description": ""},
			"CreateSkillBucket":         {"name": "x", "description": ""},
			"CreateCustomAgent":         {"slug": "a", "displayName": "b", "instructions": "c", "model": ""},
		} {
			there, here := scenario{method: method, args: []any{body}, answers: []answer{minimalAnswer(method)}}.play(t)
			require.NoError(t, here.err)
			assert.Contains(t, string(there.requests[0].body), `""`, method)
			assert.NotContains(t, string(here.requests[0].body), `""`, method)
		}
		// What an update empties is sent.
		scenario{method: "UpdateSession", args: []any{"s", object{"label": "", "tags": []any{}}}, answers: []answer{minimalAnswer("UpdateSession")}}.check(t)
		scenario{method: "UpdateWorkspace", args: []any{"w", object{"description": "", "repos": []any{}}}, answers: []answer{minimalAnswer("UpdateWorkspace")}}.check(t)
	})
	differ(t, "members-that-are-fixed-at-creation", func(t *testing.T) {
		sent := object{"workflowMode": "loop", "loop": object{"goal": "x"}, "metadata": object{"a": "b"}}
		there := scenario{method: "UpdateSession", args: []any{"s", sent}, answers: []answer{minimalAnswer("UpdateSession")}}.
			playOriginal(t, methodNamed("UpdateSession"))
		assert.Equal(t, sent, bodyOf(t, there))
		tags := membersOf(methodNamed("UpdateSession").in)
		for name := range sent {
			assert.NotContains(t, tags, name)
		}
	})
	differ(t, "parameters-of-participants-and-events", func(t *testing.T) {
		there := func(method string, params object) string {
			m := methodNamed(method)
			return scenario{method: method, args: []any{"s", params}, answers: []answer{minimalAnswer(method)}}.playOriginal(t, m).requests[0].target
		}
		here := func(method string, params object) string {
			m := methodNamed(method)
			return scenario{method: method, args: []any{"s", params}, answers: []answer{minimalAnswer(method)}}.playGo(t, m).requests[0].target
		}
		assert.Equal(t, "/api/hub/session/s/participants?offset=3", there("ListParticipants", object{"offset": 3, "includeDisconnected": true}))
		assert.Equal(t, "/api/hub/session/s/participants?includeDisconnected=true", here("ListParticipants", object{"includeDisconnected": true}))
		assert.Equal(t, "/api/hub/session/s/events/history?offset=3", there("ListEventHistory", object{"offset": 3, "beforeId": 9}))
		assert.Equal(t, "/api/hub/session/s/events/history?beforeId=9", here("ListEventHistory", object{"beforeId": 9}))
	})
	differ(t, "unknown-members-of-requests", func(t *testing.T) {
		body := object{"task": "x", "newMember": 1}
		m := methodNamed("CreateSession")
		there := scenario{method: "CreateSession", args: []any{body}, answers: []answer{minimalAnswer("CreateSession")}}.playOriginal(t, m)
		assert.Equal(t, object{"task": "x", "newMember": 1.0}, bodyOf(t, there))
		assert.NotContains(t, membersOf(m.in), "Extra")
	})
	differ(t, "dependencies-that-are-nil", func(t *testing.T) {
		there, here := scenario{method: "ValidateWorkspaceDependencies", answers: []answer{minimalAnswer("ValidateWorkspaceDependencies")}}.play(t)
		assert.Equal(t, object{}, bodyOf(t, there))
		assert.Equal(t, object{"dependencies": []any{}}, bodyOf(t, here))
	})
	differ(t, "keys-of-a-hub", func(t *testing.T) {
		there, here := scenario{method: "ListWorkspaces", answers: []answer{minimalAnswer("ListWorkspaces")}, options: options{key: "agc_1"}}.play(t)
		assert.Equal(t, "Bearer agc_1", there.requests[0].header.Get("Authorization"))
		assert.Empty(t, here.requests[0].header.Get("Authorization"))
		assert.Equal(t, "agc_1", here.requests[0].header.Get("X-Agentuity-Auth-Api-Key"))
	})
}

func connectable(status string) object {
	g := newGenerator("connectable item")
	g.richness = minimal
	s := g.object(*known.Schemas["CoderSessionListResponse"].Members["sessions"].Element)
	s["mode"], s["bucket"], s["historyOnly"], s["status"] = "sandbox", "running", false, status
	return s
}

func requireInvalid(t *testing.T, here outcome) {
	t.Helper()
	var invalid *coder.ValidationError
	require.ErrorAs(t, here.err, &invalid)
	assert.Empty(t, here.requests, "nothing is sent")
}

func requireThrown(t *testing.T, there outcome, name string) {
	t.Helper()
	var thrown *originalError
	require.ErrorAs(t, there.err, &thrown)
	assert.Equal(t, name, thrown.Name)
}

func TestDifferencesInAnswers(t *testing.T) {
	differ(t, "refusals-with-a-success-status", func(t *testing.T) {
		for method, body := range map[string]string{
			"DeleteWorkspace": `{"ok":false}`, "DeleteSavedSkill": `{"ok":false}`, "DeleteSkillBucket": `{"ok":false}`, "DeleteSession": `{"ok":false}`,
			"ValidateWorkspaceDependencies": `{"success":false,"data":{"valid":[],"invalid":[]}}`,
		} {
			there, here := scenario{method: method, args: methodNamed(method).sample, answers: []answer{ok(body)}}.play(t)
			require.NoError(t, there.err, method)
			var unusable *coder.ResponseError
			require.ErrorAs(t, here.err, &unusable, method)
		}
	})
	differ(t, "deletions-need-no-body", func(t *testing.T) {
		for _, method := range []string{"DeleteWorkspace", "DeleteSavedSkill", "DeleteSkillBucket"} {
			for _, a := range []answer{{status: 204}, ok(""), ok("{}"), ok("null"), {contentType: "text/plain", body: "{}"}} {
				there, here := scenario{method: method, args: []any{"x"}, answers: []answer{a}}.play(t)
				require.Error(t, there.err)
				require.NoError(t, here.err)
			}
		}
		for _, a := range []answer{ok(""), ok("{}"), ok("deleted")} { // no difference
			scenario{method: "DeleteSession", args: []any{"x"}, answers: []answer{a}}.check(t)
		}
	})
	differ(t, "content-type-of-answers", func(t *testing.T) {
		for _, contentType := range []string{"text/plain", "application/problem+json", "APPLICATION/JSON"} {
			a := minimalAnswer("ListWorkspaces")
			a.contentType = contentType
			there, here := scenario{method: "ListWorkspaces", answers: []answer{a}}.play(t)
			requireThrown(t, there, "ValidationOutputError")
			require.NoError(t, here.err)
		}
	})
	differ(t, "empty-identities", func(t *testing.T) {
		for method, body := range map[string]string{
			"CreateSession": `{"sessionId":"","status":"creating"}`, "ArchiveSession": `{"sessionId":""}`,
			"ListEventHistory": `{"sessionId":"s","events":[{"id":0,"event":"e","occurredAt":"2026-01-15T09:30:00Z"}]}`,
		} {
			there, here := scenario{method: method, args: methodNamed(method).sample, answers: []answer{ok(body)}}.play(t)
			require.NoError(t, there.err, method)
			var unusable *coder.ResponseError
			require.ErrorAs(t, here.err, &unusable, method)
		}
	})
	differ(t, "archived-but-running", func(t *testing.T) {
		list := object{"sessions": object{"websocket": []any{connectable("archived"), connectable("active")}, "sandbox": []any{}}, "total": 2}
		there, here := scenario{method: "ListConnectableSessions", answers: []answer{ok(encode(list))}}.play(t)
		assert.Equal(t, 2.0, there.result.(object)["total"])
		assert.Equal(t, 1.0, here.result.(object)["total"])
	})
	differ(t, "times-that-are-none", func(t *testing.T) {
		body := `{"workspaces":[{"id":"w","name":"n","scope":"user","ownerUserId":"u","repos":[],"repoCount":0,"savedSkillIds":[],"skillBucketIds":[],"selectionCount":0,"createdAt":"soon","updatedAt":""}]}`
		there, here := scenario{method: "ListWorkspaces", answers: []answer{ok(body)}}.play(t)
		first := func(o outcome) object { return o.result.(object)["workspaces"].([]any)[0].(object) }
		assert.Equal(t, "soon", first(there)["createdAt"])
		require.NoError(t, here.err)
		assert.NotContains(t, first(here), "createdAt", "the zero time")
	})
	differ(t, "counts-are-whole", func(t *testing.T) {
		body := `{"accountId":"a","totalCount":2.5,"repositories":[]}`
		there, here := scenario{method: "ListGitHubRepos", args: []any{"a"}, answers: []answer{ok(body)}}.play(t)
		assert.Equal(t, 2.5, there.result.(object)["totalCount"])
		require.NoError(t, here.err)
		assert.Equal(t, 0.0, here.result.(object)["totalCount"])
	})
	differ(t, "elements-that-are-no-objects", func(t *testing.T) {
		for _, element := range []string{"7", "null", `"x"`, "[]"} {
			body := `{"sessionId":"s","skills":[` + element + `]}`
			there, here := scenario{method: "UpdateSession", args: []any{"s", object{}}, answers: []answer{ok(body)}}.play(t)
			require.NoError(t, there.err)
			assert.Len(t, there.result.(object)["skills"], 1)
			var bad *coder.ResponseError
			require.ErrorAs(t, here.err, &bad)
			assert.Contains(t, bad.Reason, "skills[0]")
		}
	})
	differ(t, "digits-of-whole-numbers", func(t *testing.T) {
		body := strings.TrimSuffix(minimalAnswer("GetSession").body, "}") + `,"metadata":{"id":9007199254740993}}`
		there, here := scenario{method: "GetSession", args: []any{"s"}, answers: []answer{ok(body)}}.play(t)
		require.NoError(t, there.err)
		assert.Equal(t, object{"id": 9007199254740992.0}, there.result.(object)["metadata"])
		require.NoError(t, here.err)
		assert.Equal(t, map[string]any{"id": json.Number("9007199254740993")}, here.value.(*coder.Session).Metadata)
	})
	differ(t, "half-characters", func(t *testing.T) {
		body := `{"sessionId":"s","status":"\ud83d"}`
		there, here := scenario{method: "ArchiveSession", args: []any{"s"}, answers: []answer{ok(body)}}.play(t)
		require.NoError(t, there.err)
		require.NoError(t, here.err)
		assert.Equal(t, "\ufffd", here.result.(object)["status"])
	})
}

func TestDifferencesInErrors(t *testing.T) {
	differ(t, "texts-of-malformed-errors", func(t *testing.T) {
		for name, a := range map[string]answer{
			"a null member":     {body: `{"code":null,"message":"text"}`},
			"a numeric code":    {body: `{"code":7,"message":"text"}`},
			"a list of details": {body: `{"message":"text","details":[]}`},
			"an empty error":    {body: `{"error":"","message":"text"}`},
			"a broken report":   {body: `{"error":{"name":"ZodError","issues":[{}]},"message":"text"}`},
			"no JSON type":      {contentType: "text/plain", body: `{"message":"text"}`},
			"text in an object": {body: `{"error":{"message":"text"}}`},
		} {
			a.status = 422
			there, here := scenario{method: "GetSession", args: []any{"s"}, answers: []answer{a}}.play(t)
			requireThrown(t, there, "APIErrorResponse")
			assert.NotContains(t, there.err.Error(), "text", name)
			var api *coder.APIError
			require.ErrorAs(t, here.err, &api, name)
			assert.Equal(t, "text", api.Message, name)
		}
	})
	differ(t, "codes-and-details", func(t *testing.T) {
		a := answer{status: 410, body: `{"code":"CODER_SESSION_ARCHIVED","message":"text","details":{"a":1}}`}
		there, here := scenario{method: "GetSession", args: []any{"s"}, answers: []answer{a}}.play(t)
		requireThrown(t, there, "APIErrorResponse")
		var api *coder.APIError
		require.ErrorAs(t, here.err, &api)
		assert.Equal(t, coder.CodeSessionArchived, api.Code)
		assert.Equal(t, map[string]any{"a": 1.0}, api.Details)
		require.ErrorIs(t, here.err, coder.ErrSessionArchived)
	})
	differ(t, "payment-and-upgrade-texts", func(t *testing.T) {
		for _, a := range []answer{
			{status: 402, body: `{"error":"text"}`}, {status: 426, body: `{"error":"text"}`}, {status: 400, body: `{"code":"UPGRADE_REQUIRED","message":"text"}`},
		} {
			there, here := scenario{method: "GetSession", args: []any{"s"}, answers: []answer{a}}.play(t)
			assert.NotContains(t, there.err.Error(), "text")
			var api *coder.APIError
			require.ErrorAs(t, here.err, &api)
			assert.Equal(t, "text", api.Message)
			assert.Equal(t, a.status, api.StatusCode)
		}
	})
	differ(t, "redirects", func(t *testing.T) {
		again := answer{status: 307, header: map[string]string{"Location": "/elsewhere"}, body: "{}"}
		there, here := scenario{method: "ListWorkspaces", answers: []answer{again, minimalAnswer("ListWorkspaces")}}.play(t)
		for _, o := range []outcome{there, here} {
			require.NoError(t, o.err)
			require.Len(t, o.requests, 2, "both follow a GET")
			assert.Equal(t, "/elsewhere", o.requests[1].target)
			assert.Equal(t, "Bearer "+testKey, o.requests[1].header.Get("Authorization"))
		}
		there, here = scenario{method: "SaveSkill", args: methodNamed("SaveSkill").sample, answers: []answer{again, minimalAnswer("SaveSkill")}}.play(t)
		require.NoError(t, there.err)
		assert.Len(t, there.requests, 2)
		var api *coder.APIError
		require.ErrorAs(t, here.err, &api)
		assert.Equal(t, 307, api.StatusCode)
		assert.Len(t, here.requests, 1)
	})
}

// TestRetries counts the requests that an answer with a status causes.
func TestRetries(t *testing.T) {
	policy := coder.RetryPolicy{MinBackoff: 1, MaxBackoff: 1, MaxAttempts: 3, UnavailableWindow: 50_000_000}
	count := func(t *testing.T, m *method, a answer) (there, here int) {
		t.Helper()
		s := scenario{method: m.name, args: m.sample, answers: []answer{a}}
		tally.add(m)
		there = len(s.playOriginal(t, m).requests)
		server.load(a)
		client, err := coder.NewClient(coder.WithURL(server.URL), coder.WithHTTPClient(httpClient), coder.WithRetryPolicy(policy))
		require.NoError(t, err)
		_, err = m.try(t, client, m.sample)
		require.Error(t, err)
		return there, len(server.requests())
	}
	read, create := methodNamed("GetSession"), methodNamed("CreateSession")
	differ(t, "repeated-conflicts", func(t *testing.T) {
		for _, status := range []int{409, 501} {
			for _, m := range []*method{read, create} {
				there, here := count(t, m, answer{status: status, body: `{"message":"no"}`})
				assert.Equal(t, 4, there)
				assert.Equal(t, 1, here)
			}
		}
		_, here := count(t, read, answer{status: 409, header: map[string]string{"Retry-After": "0"}, body: `{"message":"no"}`})
		assert.Greater(t, here, 1, "unless it is a limit on the rate")
	})
	differ(t, "repeated-creates", func(t *testing.T) {
		for _, a := range []answer{
			{status: 502, contentType: "text/html", body: "bad gateway"},
			{status: 503, contentType: "text/html", body: "bad gateway"},
			{status: 503, header: map[string]string{"Retry-After": "0"}, body: `{"error":"no","code":"UNAVAILABLE"}`},
		} {
			there, here := count(t, create, a)
			assert.Greater(t, there, 4)
			assert.Equal(t, 1, here)
			_, played := scenario{method: create.name, args: create.sample, answers: []answer{a}}.play(t)
			require.ErrorIs(t, played.err, coder.ErrOutcomeUnknown)
			there, here = count(t, read, a)
			assert.Greater(t, there, 4, "both repeat what can be repeated")
			assert.Greater(t, here, 2)
		}
	})
	differ(t, "repeated-rate-limits-and-timeouts", func(t *testing.T) {
		for _, status := range []int{408, 425, 429, 504, 520, 521, 522, 523, 524, 530} {
			there, here := count(t, read, answer{status: status, body: "{}"})
			assert.Equal(t, 1, there, status)
			assert.Greater(t, here, 1, status)
			there, here = count(t, create, answer{status: status, body: "{}"})
			assert.Equal(t, 1, there, status)
			if status == 429 {
				assert.Greater(t, here, 1)
				continue
			}
			assert.Equal(t, 1, here, status)
			_, played := scenario{method: create.name, args: create.sample, answers: []answer{{status: status, body: "{}"}}}.play(t)
			require.Error(t, played.err)
			assert.Equal(t, status >= 500, errors.Is(played.err, coder.ErrOutcomeUnknown), status)
		}
	})
}

func TestDifferencesInConfiguration(t *testing.T) {
	differ(t, "forms-of-urls", func(t *testing.T) {
		url := func(there, here string, given string) {
			tally.add(methodNamed("URL"))
			text, err := original.do(order{Op: "call", Method: "getUrl", Options: map[string]string{"url": given}})
			require.NoError(t, err)
			assert.Equal(t, encode(there), string(text))
			client, err := coder.NewClient(coder.WithURL(given))
			if here == "" {
				var invalid *coder.ValidationError
				require.ErrorAs(t, err, &invalid, given)
				return
			}
			require.NoError(t, err)
			got, err := client.URL(t.Context())
			require.NoError(t, err)
			assert.Equal(t, here, got)
		}
		url("https://h.invalid", "https://h.invalid", "https://h.invalid/") // one slash is taken off by both
		url("https://h.invalid/a", "https://h.invalid/a", "https://h.invalid/a/")
		url("https://h.invalid//", "https://h.invalid", "https://h.invalid///")
		url(" https://h.invalid", "https://h.invalid", " https://h.invalid")
		url("wss://h.invalid/api/ws", "https://h.invalid", "wss://h.invalid/api/ws")
		url("https://h.invalid/api/hub", "https://h.invalid", "https://h.invalid/api/hub/")
		url("h.invalid", "", "h.invalid")
		url("https://u:p@h.invalid", "", "https://u:p@h.invalid")
	})
	differ(t, "empty-is-not-set", func(t *testing.T) {
		env := map[string]string{"AGENTUITY_CODER_URL": "SERVER", "AGENTUITY_SDK_KEY": "", "AGENTUITY_CLI_KEY": "cli_env"}
		there, here := scenario{method: "ListWorkspaces", answers: []answer{minimalAnswer("ListWorkspaces")}, options: options{env: env, noKey: true}}.play(t)
		assert.Empty(t, there.requests[0].header.Get("Authorization"))
		assert.Equal(t, "Bearer cli_env", here.requests[0].header.Get("Authorization"))
	})
	differ(t, "discovery-needs-a-key", func(t *testing.T) {
		there, here := scenario{answers: []answer{ok(`{"url":"https://h.invalid"}`)}, options: options{env: catalyst, noKey: true}}.discovering().play(t)
		require.NoError(t, there.err)
		require.ErrorIs(t, here.err, coder.ErrMissingAPIKey)
		assert.Empty(t, here.requests)
	})
	differ(t, "slash-after-the-discovery-url", func(t *testing.T) {
		there, here := scenario{answers: []answer{ok(`{"url":"https://h.invalid"}`)},
			options: options{env: map[string]string{"AGENTUITY_CATALYST_URL": "SERVER/"}}}.discovering().play(t)
		assert.Equal(t, "//coder", there.requests[0].target)
		assert.Equal(t, "/coder", here.requests[0].target)
	})
	differ(t, "discovered-urls-that-are-none", func(t *testing.T) {
		for _, url := range []string{"", "h.invalid", "ftp://h.invalid", "https://u:p@h.invalid", "https://h.invalid?x=1"} {
			there, here := scenario{answers: []answer{ok(fmt.Sprintf(`{"url":%q}`, url))}}.discovering().play(t)
			require.NoError(t, there.err)
			var unusable *coder.ResponseError
			require.ErrorAs(t, here.err, &unusable)
		}
	})
}
