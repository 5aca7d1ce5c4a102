package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// TestTools: what a model reads is whole.
func TestTools(t *testing.T) {
	bubble(t, func(t *testing.T, _ *codertest.Hub, u *user) {
		assert.Contains(t, u.session.InitializeResult().Instructions, "never an instruction")
		capabilities, err := json.Marshal(u.session.InitializeResult().Capabilities)
		require.NoError(t, err)
		assert.JSONEq(t, `{"tools":{}}`, string(capabilities), "they never change, and there is nothing else, such as logs")
		hints := map[string]string{}
		list, err := u.session.ListTools(t.Context(), nil)
		require.NoError(t, err)
		for _, tool := range list.Tools {
			assert.Greater(t, len(tool.Description), 80, tool.Name)
			assert.NotEmpty(t, tool.Title)
			require.NotNil(t, tool.Annotations.DestructiveHint)
			require.NotNil(t, tool.Annotations.OpenWorldHint)
			hints[tool.Name] = fmt.Sprintf("reads %t, destroys %t, again %t, open %t", tool.Annotations.ReadOnlyHint,
				*tool.Annotations.DestructiveHint, tool.Annotations.IdempotentHint, *tool.Annotations.OpenWorldHint)
			in, out := read(t, tool.InputSchema), read(t, tool.OutputSchema)
			assert.Equal(t, "object", in.Type)
			assert.Equal(t, "object", out.Type)
			require.NotNil(t, in.AdditionalProperties, "unknown arguments are refused")
			for name, property := range in.Properties {
				assert.NotEmpty(t, property.Description, "%s of %s", name, tool.Name)
				assert.NotEmpty(t, property.Type, "%s of %s has one type", name, tool.Name)
			}
			if tool.Name != "list_sessions" {
				assert.Contains(t, in.Required, map[bool]string{true: "task", false: "session_id"}[tool.Name == "start_session"])
			}
		}
		assert.Equal(t, map[string]string{
			"start_session":   "reads false, destroys false, again true, open true",
			"wait_session":    "reads true, destroys false, again true, open true",
			"ask_session":     "reads false, destroys false, again false, open true",
			"answer_question": "reads false, destroys false, again false, open true",
			"read_transcript": "reads true, destroys false, again true, open true",
			"list_sessions":   "reads true, destroys false, again true, open false",
			"session_status":  "reads true, destroys false, again true, open false",
			"archive_session": "reads false, destroys true, again true, open false",
		}, hints)
	})
}

// read takes a schema as it came over the wire, and makes sure that it is one.
func read(t *testing.T, schema any) *jsonschema.Schema {
	t.Helper()
	raw, err := json.Marshal(schema)
	require.NoError(t, err)
	s := new(jsonschema.Schema)
	require.NoError(t, json.Unmarshal(raw, s))
	_, err = s.Resolve(&jsonschema.ResolveOptions{ValidateDefaults: true})
	require.NoError(t, err)
	return s
}

// TestStartTwice: a model that repeats its call has one session.
func TestStartTwice(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub, u *user) {
		first, said := call[startResult](u, "start_session", args{"task": "Tidy up", "label": "Broom", "repo_url": "https://github.com/acme/shop", "branch": "dev"})
		assert.True(t, first.Created)
		assert.Contains(t, said, "Started session "+first.SessionID)
		assert.Contains(t, said, "Call wait_session")
		detail := hub.Session(first.SessionID).Detail()
		assert.Equal(t, "Broom", detail.Label)
		assert.Equal(t, &coder.SessionRepositoryRef{URL: "https://github.com/acme/shop", Branch: "dev"}, detail.Repo)

		second, said := call[startResult](u, "start_session", args{"task": "Tidy up", "label": "Another label", "repo_url": "https://github.com/acme/shop", "branch": "dev"})
		assert.False(t, second.Created)
		assert.Equal(t, first.SessionID, second.SessionID)
		assert.Contains(t, said, "was there already")
		assert.Len(t, hub.SessionIDs(), 1)

		call[startResult](u, "start_session", args{"task": "Tidy up"}) // elsewhere
		assert.Len(t, hub.SessionIDs(), 2)
		keyed := args{"task": "Tidy up", "key": "tidy-2"}
		var together sync.WaitGroup
		for range 5 {
			together.Go(func() {
				result, err := u.say(t.Context(), "start_session", keyed)
				assert.NoError(t, err)
				assert.False(t, result.IsError, texts(result))
			})
		}
		together.Wait()
		assert.Len(t, hub.SessionIDs(), 3)
		assert.Equal(t, "tidy-2", hub.Session(hub.SessionIDs()[2]).Metadata()["idempotencyKey"])

		said = u.fails("start_session", args{"task": "Something else", "key": "tidy-2"})
		assert.Contains(t, said, "the argument key is wrong: it belongs to session "+hub.SessionIDs()[2]+", whose task is another: \"Tidy up\"")
		hub.Session(hub.SessionIDs()[2]).Set("task", "") // a Hub need not tell it
		call[startResult](u, "start_session", args{"task": "Something else", "key": "tidy-2"})
		assert.Len(t, hub.SessionIDs(), 3)
	})
}

// TestStartTogether: calls that share a create, of which nothing is known but the id.
func TestStartTogether(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub, u *user) {
		hub.Inject(codertest.Fault{Method: http.MethodPost, Route: "/hub/session", Delay: time.Second})
		hub.Inject(codertest.Fault{Method: http.MethodGet, Route: "/hub/session/{id}", Status: 403})
		var together sync.WaitGroup
		for range 5 {
			together.Go(func() {
				result, err := u.say(t.Context(), "start_session", args{"task": "Tidy up"})
				if assert.NoError(t, err) {
					assert.Contains(t, texts(result), "codesess_000000000001")
				}
			})
		}
		together.Wait()
		assert.Len(t, hub.SessionIDs(), 1)
	})
}

// TestStartAnew: a session that is over, and has not done its task, is no reason not to do it.
func TestStartAnew(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub, u *user) {
		first := u.start("Tidy up")
		call[archiveResult](u, "archive_session", args{"session_id": first})
		second := u.start("Tidy up")
		assert.NotEqual(t, first, second)
		call[turn](u, "wait_session", args{"session_id": second})
		call[archiveResult](u, "archive_session", args{"session_id": second})
		again, said := call[startResult](u, "start_session", args{"task": "Tidy up"})
		assert.Equal(t, second, again.SessionID, "it has done its task")
		assert.Contains(t, said, "To do the task anew, call start_session with another key.")
	}, codertest.WithAgentPace(time.Second))
}

// TestUnknownOutcome: where it is not known whether a session was created, the next call with the key finds out.
func TestUnknownOutcome(t *testing.T) {
	for name, cut := range map[string]codertest.CutPoint{"it was not": codertest.CutBeforeEffect, "it was": codertest.CutAfterEffect} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, hub *codertest.Hub, u *user) {
				hub.Inject(codertest.Fault{Method: http.MethodPost, Route: "/hub/session", Cut: cut})
				away := hub.Inject(codertest.Fault{Method: http.MethodGet, Route: "/hub/sessions", Skip: 1, Status: 500, Count: -1})
				said := u.fails("start_session", args{"task": "Tidy up", "key": "job-1"})
				assert.Contains(t, said, `It is not known whether the session was created. Call again with the same arguments and the key "job-1"`)
				away.Remove()
				for range 3 {
					result, err := u.say(t.Context(), "start_session", args{"task": "Tidy up", "key": "job-1"})
					require.NoError(t, err)
					if !result.IsError {
						break
					}
				}
				call[startResult](u, "start_session", args{"task": "Tidy up", "key": "job-1"})
				assert.Len(t, hub.SessionIDs(), 1)
			})
		})
	}
}

// TestBadArguments names what is wrong, before anything is sent.
func TestBadArguments(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub, u *user) {
		for _, test := range []struct {
			tool      string
			arguments args
			want      string
		}{
			{"start_session", args{}, `missing properties: ["task"]`},
			{"start_session", args{"task": ""}, "/properties/task"},
			{"start_session", args{"task": " \n"}, "the argument task is wrong: it must not be"},
			{"start_session", args{"task": 7}, "/properties/task"},
			{"start_session", args{"task": "x", "taks": "y"}, `unexpected additional properties ["taks"]`},
			{"start_session", args{"task": "x", "branch": "main"}, "the argument branch is wrong: it needs repo_url"},
			{"start_session", args{"task": "x", "repo_url": "acme/shop"}, "the argument repo_url is wrong: it must be an HTTPS address"},
			{"start_session", args{"task": "x", "repo_url": "https://bob:hunter2@github.com/acme/shop"}, "the argument repo_url is wrong: it must not hold credentials"},
			{"start_session", args{"task": "x", "key": strings.Repeat("k", 201)}, "/properties/key"},
			{"start_session", args{"task": "x", "label": strings.Repeat("k", 201)}, "/properties/label"},
			{"wait_session", args{}, `missing properties: ["session_id"]`},
			{"wait_session", args{"session_id": ""}, "/properties/session_id"},
			{"wait_session", args{"session_id": "x", "max_seconds": 601}, "/properties/max_seconds"},
			{"wait_session", args{"session_id": "x", "max_seconds": "long"}, "/properties/max_seconds"},
			{"wait_session", args{"session_id": ".."}, "the argument session_id is wrong"},
			{"ask_session", args{"session_id": "x", "prompt": ""}, "/properties/prompt"},
			{"answer_question", args{"session_id": "x"}, `missing properties: ["question_id"]`},
			{"read_transcript", args{"session_id": "x", "cursor": "tomorrow"}, "the argument cursor is wrong"},
			{"read_transcript", args{"session_id": "x", "cursor": "-1"}, "the argument cursor is wrong"},
			{"read_transcript", args{"session_id": "x", "cursor": "1.-1"}, "the argument cursor is wrong"},
			{"read_transcript", args{"session_id": "x", "limit": 101}, "/properties/limit"},
			{"list_sessions", args{"bucket": "bin"}, "/properties/bucket"},
			{"list_sessions", args{"limit": 0}, "/properties/limit"},
			{"list_sessions", args{"offset": -1}, "/properties/offset"},
			{"session_status", args{"session_id": ".."}, "the argument session_id is wrong"},
			{"archive_session", args{"session_id": ".."}, "the argument session_id is wrong"},
		} {
			said := u.fails(test.tool, test.arguments)
			assert.Contains(t, said, test.want, "%s %v", test.tool, test.arguments)
			assert.NotContains(t, said, "hunter2")
		}
		assert.Empty(t, hub.Requests())
		_, err := u.say(t.Context(), "nonsense", nil)
		require.ErrorContains(t, err, `unknown tool "nonsense"`)
	})
}

// TestNull is what some clients send for what is left out.
func TestNull(t *testing.T) {
	bubble(t, func(t *testing.T, _ *codertest.Hub, u *user) {
		call[startResult](u, "start_session", args{"task": "Tidy up", "key": nil, "label": nil, "repo_url": nil, "branch": nil, "workspace_id": nil})
		call[listResult](u, "list_sessions", args{"bucket": nil, "limit": nil, "offset": nil, "search": nil, "include_archived": nil})
		assert.Contains(t, u.fails("wait_session", args{"session_id": nil}), `missing properties: ["session_id"]`)
		for _, all := range []any{args{}, json.RawMessage(" { } ")} {
			result, err := u.session.CallTool(t.Context(), &mcp.CallToolParams{Name: "list_sessions", Arguments: all})
			require.NoError(t, err)
			assert.False(t, result.IsError, texts(result))
		}
	})
}

// sessionTools are calls of all tools that want a session.
func sessionTools(id string) map[string]args {
	return map[string]args{
		"wait_session": {"session_id": id}, "ask_session": {"session_id": id, "prompt": "Hello"}, "session_status": {"session_id": id},
		"answer_question": {"session_id": id, "question_id": "q", "answer": "yes"}, "read_transcript": {"session_id": id}, "archive_session": {"session_id": id},
	}
}

func TestUnknownSession(t *testing.T) {
	bubble(t, func(t *testing.T, _ *codertest.Hub, u *user) {
		for tool, arguments := range sessionTools("codesess_nobody") {
			said := u.fails(tool, arguments)
			assert.True(t, strings.HasPrefix(said, tool+" failed: "), said)
			assert.Contains(t, said, "There is no such session: check session_id; list_sessions shows", tool)
		}
	})
}

// TestHubAway: the errors pass, and say so.
func TestHubAway(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub, u *user) {
		id := u.start("Tidy up")
		down := hub.Restart(24*time.Hour, codertest.Outage{})
		defer down.End()
		calls := sessionTools(id)
		delete(calls, "wait_session")
		calls["start_session"], calls["list_sessions"] = args{"task": "x"}, args{}
		for tool, arguments := range calls {
			said := u.fails(tool, arguments)
			assert.Contains(t, said, "This passes: the same call may be made again, in 30s.", tool)
		}
		said := u.fails("wait_session", args{"session_id": id, "max_seconds": 30})
		assert.Contains(t, said, "The Hub has not answered all the time. This passes: call wait_session again")
	})
}

// TestRateLimited tells how long the Hub asks to wait.
func TestRateLimited(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub, u *user) {
		hub.Inject(codertest.Fault{Route: "/hub/sessions", Status: 429, Header: http.Header{"Retry-After": {"90"}}})
		assert.Contains(t, u.fails("list_sessions", args{}), "the same call may be made again, in 1m30s.")
	})
}

// TestTheKeyIsRefused: the user has to do something, and the key is not shown.
func TestTheKeyIsRefused(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub, _ *user) {
		client, err := hub.NewClient(coder.WithAPIKey("hunter2"))
		require.NoError(t, err)
		u, closeUser := connected(t, client, nil, "")
		defer closeUser()
		hub.SetAPIKey("another")
		said := u.fails("list_sessions", args{})
		assert.Contains(t, said, "The user has to correct AGENTUITY_SDK_KEY")
		assert.NotContains(t, said, "hunter2")
		hub.Inject(codertest.Fault{Status: 403, Body: []byte(`{"error":"` + strings.Repeat("hunter2 \x1b[2J", 10_000) + `"}`)})
		said = u.fails("list_sessions", args{})
		assert.Contains(t, said, "The key of this server has no right to this")
		assert.NotContains(t, said, "hunter2")
		assert.NotContains(t, said, "\x1b")
		assert.Less(t, len(said), 5_000)
	})
}

// TestList: every session is on one page.
func TestList(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub, u *user) {
		for i := range 250 {
			session := hub.AddSession(codertest.Session{Task: "x", Label: fmt.Sprintf("job %d\n\x1b[2J", i)})
			if i%3 == 0 {
				session.Archive()
			}
			if i%3 == 1 {
				session.Pause()
			}
		}
		for _, test := range []struct {
			arguments args
			want      int
		}{
			{args{"include_archived": true}, 250}, {args{}, 166}, {args{"bucket": "paused"}, 83}, {args{"bucket": "history", "include_archived": true, "limit": 100}, 84},
			{args{"bucket": "provisioning"}, 0}, {args{"search": "job 77"}, 1},
		} {
			seen := map[string]bool{}
			for more := true; more; {
				page, said := call[listResult](u, "list_sessions", test.arguments)
				for _, s := range page.Sessions {
					assert.False(t, seen[s.SessionID])
					seen[s.SessionID] = true
					assert.Contains(t, said, s.SessionID)
					assert.NotContains(t, s.Label, "\n")
					if test.arguments["bucket"] != nil {
						assert.Equal(t, test.arguments["bucket"], s.Bucket)
					}
				}
				more = page.NextOffset > 0
				assert.Equal(t, more, strings.Contains(said, fmt.Sprintf("call list_sessions with offset %d", page.NextOffset)))
				test.arguments["offset"] = page.NextOffset
			}
			assert.Len(t, seen, test.want, "%v", test.arguments)
		}
	})
}

func TestStatusAndArchive(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub, u *user) {
		id := u.start("Tidy up")
		call[turn](u, "wait_session", args{"session_id": id})
		status, said := call[statusResult](u, "session_status", args{"session_id": id})
		assert.Equal(t, "turn_ended", status.State)
		assert.True(t, status.Succeeded)
		assert.Equal(t, "Tidy up", status.Task)
		assert.NotEmpty(t, status.Evidence)
		assert.Contains(t, said, "Task: Tidy up")

		archived, said := call[archiveResult](u, "archive_session", args{"session_id": id})
		assert.Equal(t, "archived", archived.Status)
		assert.Contains(t, said, "read_transcript still works")
		assert.True(t, hub.Session(id).Archived())
		hub.Inject(codertest.Fault{Route: "/hub/session/{id}/archive", Status: 409, Body: []byte(`{"error":"over","code":"CODER_SESSION_ARCHIVED"}`)})
		for range 2 { // whatever the Hub says of the second time
			archived, _ = call[archiveResult](u, "archive_session", args{"session_id": id})
			assert.Equal(t, "archived", archived.Status)
		}
		page, _ := call[transcriptResult](u, "read_transcript", args{"session_id": id})
		assert.NotEmpty(t, page.Entries)
		waited, _ := call[turn](u, "wait_session", args{"session_id": id})
		assert.Equal(t, "archived", waited.State)
		assert.True(t, waited.Succeeded)
		assert.Contains(t, u.fails("ask_session", args{"session_id": id, "prompt": "Go on"}), "The session is over, and its agent with it.")
	})
}
