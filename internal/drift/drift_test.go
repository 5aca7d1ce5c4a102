package drift

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestAnswer looks at what a session may be like.
func TestAnswer(t *testing.T) {
	const session = "GET /hub/session/{sessionID}"
	for body, want := range map[string]Report{
		`{"owner":{"userId":"x","team":{"a":"b"}}}`:           {Path: "owner.team", Kind: UnknownMember},
		`{"workspace":{"scope":"team"}}`:                      {Path: "workspace.scope", Kind: UnknownValue, Value: `"team"`},
		`{"usage":{"byAgent":{"lead":{"outputTokens":"a"}}}}`: {Path: "usage.byAgent.*.outputTokens", Kind: WrongKind, Value: "text, not number"},

		`{"label":null}`:         {Path: "label", Kind: WrongKind, Value: "null, not text"},
		`{"tags":["a",7]}`:       {Path: "tags[]", Kind: WrongKind, Value: "number, not text"},
		`{"taskCount":1.5}`:      {Path: "taskCount", Kind: WrongKind, Value: "fraction, not whole number"},
		`{"createdAt":17}`:       {Path: "createdAt", Kind: WrongKind, Value: "number, not text"},
		`{"createdAt":"secret"}`: {Path: "createdAt", Kind: WrongKind, Value: "text, not time"},
		`{"historyOnly":"no"}`:   {Path: "historyOnly", Kind: WrongKind, Value: "text, not boolean"},
		`{"owner":[]}`:           {Path: "owner", Kind: WrongKind, Value: "list, not object"},
		`{"origin":7}`:           {Path: "origin", Kind: WrongKind, Value: "number, not object"},
		`{"metadata":[]}`:        {Path: "metadata", Kind: WrongKind, Value: "list, not object"},
		`[]`:                     {Kind: WrongKind, Value: "list, not object"},
		`<html>`:                 {Kind: WrongKind, Value: "no JSON"},
		``:                       {Kind: WrongKind, Value: "no JSON"},

		`{"a\n` + strings.Repeat("x", 100) + `":1}`: {Path: "a " + strings.Repeat("x", 58) + "…", Kind: UnknownMember},
	} {
		want.Where = session
		assert.Equal(t, []Report{want}, Answer("GET", "/hub/session/{sessionID}", 200, []byte(body)), body)
	}
	for _, fine := range []string{
		`{}`, `{"taskCount":3.0}`, `{"origin":"sdk"}`, `{"origin":{"type":"sdk"}}`, `{"streamId":null}`, `{"status":"odd"}`,
		`{"metadata":{"a":[null,{"b":7}]},"env":{"A":"b"}}`,
	} {
		assert.Empty(t, Answer("GET", "/hub/session/{sessionID}", 200, []byte(fine)), fine)
	}
}

// TestAnswer_Errors looks at answers other than 2xx.
func TestAnswer_Errors(t *testing.T) {
	look := func(status int, body string) []Report {
		return Answer("GET", "/api/hub/sessions", status, []byte(body))
	}
	assert.Equal(t, []Report{{"GET /hub/sessions, 404", "code", UnknownValue, `"GONE"`}}, look(404, `{"code":"GONE"}`))
	assert.Equal(t, []Report{{"GET /hub/sessions, 500", "error", WrongKind, "number, not object"}}, look(500, `{"error":7}`))
	assert.Empty(t, look(422, `{"error":{"name":"ZodError","issues":[{"path":["a",1]}]}}`))
	assert.Empty(t, look(502, `<html>`), "of a proxy")
	assert.Empty(t, Answer("DELETE", "/api/hub/session/x", 204, nil), "a deletion without a body")
}

func TestAnswer_Routes(t *testing.T) {
	for request, want := range map[string]string{
		"GET /api/hub/sessions?limit=1":                  "GET /hub/sessions",
		"GET /api/hub/session/a%2Fb":                     "GET /hub/session/{sessionID}",
		"GET /hub/session/{sessionID}/loop":              "GET /hub/session/{sessionID}/loop",
		"GET /tenants/api/hub/one/api/hub/session/x":     "GET /hub/session/{sessionID}",
		"POST /api/hub/session/builder":                  "POST /hub/session/builder",
		"POST /api/hub/workspaces/dependencies/validate": "POST /hub/workspaces/dependencies/validate",
		"GET /coder":             "GET /coder",
		"GET /api/hub/new":       "",
		"PUT /api/hub/session/x": "",
		"GET /api/hub/session/":  "",
	} {
		method, path, _ := strings.Cut(request, " ")
		var where string
		for _, r := range Answer(method, path, 200, []byte(`{"x":1}`)) {
			where = r.Where
		}
		assert.Equal(t, want, where, request)
	}
}

func TestMessages(t *testing.T) {
	for text, want := range map[string]Report{
		`{"type":"weather"}`:                {WebSocket, "", UnknownMessage, `"weather"`},
		`{"id":"x"}`:                        {WebSocket, "", UnknownMessage, `""`},
		`not JSON`:                          {WebSocket, "", WrongKind, "no JSON"},
		`{"type":"pong","timestamp":"now"}`: {WebSocket, "timestamp", WrongKind, "text, not number"},
		`{"type":"broadcast","event":"weather","data":{}}`:            {WebSocket, "event", UnknownMessage, `"weather"`},
		`{"type":"broadcast","event":"turn_end","data":{"a":1}}`:      {WebSocket, "data.a", UnknownMember, ""},
		`{"type":"rpc_event","event":{"type":"weather"}}`:             {WebSocket, "event.type", UnknownMessage, `"weather"`},
		`{"id":"x","actions":[{"action":"DANCE"}]}`:                   {WebSocket, "actions[].action", UnknownMessage, `"DANCE"`},
		`{"id":"x","actions":[{"action":"NOTIFY","level":"loud"}]}`:   {WebSocket, "actions[].level", UnknownValue, `"loud"`},
		`{"type":"rpc_ui_request","id":"x","method":"m"}`:             {WebSocket, "method", UnknownValue, `"m"`},
		`{"type":"presence","event":"session_join","participants":0}`: {WebSocket, "participants", WrongKind, "number, not list"},
		`{"type":"broadcast","event":"rpc_event","data":{"event":{"type":"agent_start","a":1}}}`: {
			WebSocket, "data.event.a", UnknownMember, "",
		},
		`{"type":"broadcast","event":"message_update","data":{"assistantMessageEvent":{"type":"song_delta"}}}`: {
			WebSocket, "data.assistantMessageEvent.type", UnknownValue, `"song_delta"`,
		},
		`{"type":"rpc_response","response":{"command":"get_state","data":{"isStreaming":0}}}`: {
			WebSocket, "response.data.isStreaming", WrongKind, "number, not boolean",
		},
		`{"type":"broadcast","event":"weather"}`: {WebSocket, "event", UnknownMessage, `"weather"`},
	} {
		assert.Equal(t, []Report{want}, Frame([]byte(text)), text)
	}
	for _, fine := range []string{
		`{"type":"broadcast","event":"loop_paused","data":{"whatever":1}}`,
		`{"type":"broadcast","event":"auto_compaction_start","data":{}}`,
		`{"type":"rpc_response","response":{"command":"get_messages","data":[]}}`, `{"id":"x","actions":[]}`, `{"error":"no"}`,
	} {
		assert.Empty(t, Frame([]byte(fine)), fine)
	}
	assert.Equal(t, []Report{{EventStream, "", UnknownMessage, `"weather"`}}, Event("weather", []byte(`{}`)))
	assert.Equal(t, []Report{{EventStream, "mode", UnknownValue, `"cloud"`}}, Event("snapshot", []byte(`{"mode":"cloud"}`)))
	assert.Empty(t, Event("message", []byte(`{"type":"broadcast","event":"turn_end","data":{}}`)), "the type in the JSON counts")
}
