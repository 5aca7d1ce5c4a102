package codertest_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCreateSessionDefaults(t *testing.T) {
	f := start(t)
	task := "Überprüfe alle Abhängigkeiten des Dienstes"
	body, err := json.Marshal(map[string]string{"task": task})
	require.NoError(t, err)
	created := f.call(201, "POST", "/hub/session", string(body))
	assert.Equal(t, map[string]any{
		"sessionId": "codesess_000000000001", "sandboxId": nil, "status": "creating", "mode": "sandbox", "visibility": "private",
	}, created)
	got := f.get("/hub/session/codesess_000000000001")
	assert.Equal(t, "Überprüfe alle Abhängigkeiten ", got["label"], "the first 30 characters, not bytes")
	assert.Equal(t, task, got["task"])
	assert.Equal(t, "standard", got["workflowMode"])
	assert.Equal(t, []any{}, got["tags"])
	assert.Equal(t, []any{}, got["skills"])
	assert.Equal(t, []any{}, got["enabledAgents"])
	for _, absent := range []string{
		"repo", "repos", "env", "metadata", "defaultAgent", "loopStatus", "loopIteration", "builder", "parentSessionId", "workspace",
	} {
		assert.NotContains(t, got, absent)
	}
}

func TestCreateSessionKeepsWhatItIsGiven(t *testing.T) {
	f := start(t)
	got := f.get("/hub/session/" + f.create(fullSession))
	var want map[string]any
	require.NoError(t, json.Unmarshal([]byte(fullSession), &want))
	for _, member := range []string{
		"task", "label", "defaultAgent", "visibility", "workflowMode", "tags", "enabledAgents", "skills", "repo", "repos", "env", "metadata",
	} {
		assert.Equal(t, want[member], got[member], member)
	}
	assert.Equal(t, "starting", got["loopStatus"])
	assert.InDelta(t, 0, got["loopIteration"], 0)
	assert.Equal(t, "scout", f.get("/hub/session/" + f.create(`{"task":"x","agent":"scout"}`))["defaultAgent"])
}

func TestCreateSessionKeepsLargeNumbersAndText(t *testing.T) {
	f := start(t)
	id := f.create(`{"task":"<&> \u2028","metadata":{"n":12345678901234567890}}`)
	r, err := f.try("GET", "/hub/session/"+id, "")
	require.NoError(t, err)
	assert.Contains(t, string(r.body), `{"n":12345678901234567890}`)
	assert.Equal(t, "<&> \u2028", r.json["task"])
}

func TestCreateSessionRefuses(t *testing.T) {
	f := start(t)
	for name, body := range map[string]string{
		"no body":             "",
		"not JSON":            "task=x",
		"cut JSON":            `{"task":"x"`,
		"an array":            `["task"]`,
		"null":                `null`,
		"a string":            `"task"`,
		"no task":             `{}`,
		"empty task":          `{"task":""}`,
		"blank task":          `{"task":" \n"}`,
		"null task":           `{"task":null}`,
		"numeric task":        `{"task":1}`,
		"task in upper case":  `{"Task":"x"}`,
		"unknown visibility":  `{"task":"x","visibility":"public"}`,
		"unknown workflow":    `{"task":"x","workflowMode":"swarm"}`,
		"tags no list":        `{"task":"x","tags":"a"}`,
		"env no strings":      `{"task":"x","env":{"A":1}}`,
		"repo no object":      `{"task":"x","repo":"url"}`,
		"skill of no repo":    `{"task":"x","skills":[{"skillId":"s"}]}`,
		"half an iteration":   `{"task":"x","loop":{"maxIterations":1.5}}`,
		"no iteration":        `{"task":"x","loop":{"maxIterations":0}}`,
		"unknown command":     `{"task":"x","command":{"exec":["a"],"mode":"forever"}}`,
		"command without one": `{"task":"x","command":{}}`,
		"file not base64":     `{"task":"x","files":[{"path":"a","content":"hi"}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			f := f
			f.TB = t
			assert.Equal(t, "CODER_INVALID_REQUEST", f.call(400, "POST", "/hub/session", body)["code"])
		})
	}
	assert.Empty(t, f.SessionIDs())
}

func TestDuplicateNamesAndInvalidUTF8AreTaken(t *testing.T) {
	f := start(t)
	got := f.get("/hub/session/" + f.create("{\"task\":\"a\",\"task\":\"b\xff\"}"))
	assert.Equal(t, "b\ufffd", got["task"])
}

func TestListPages(t *testing.T) {
	f := start(t)
	for i := 1; i <= 5; i++ {
		f.create(fmt.Sprintf(`{"task":"task %d"}`, i))
	}
	for query, want := range map[string][]any{
		"":                   {"task 5", "task 4", "task 3", "task 2", "task 1"},
		"limit=2":            {"task 5", "task 4"},
		"limit=2&offset=2":   {"task 3", "task 2"},
		"limit=2&offset=4":   {"task 1"},
		"offset=3":           {"task 2", "task 1"},
		"limit=2&offset=5":   {},
		"limit=2&offset=500": {},
		"limit=0":            {},
		"limit=100":          {"task 5", "task 4", "task 3", "task 2", "task 1"},
	} {
		list := f.get("/hub/sessions?" + query)
		assert.Equal(t, want, all(t, at(t, list, "sessions", "websocket"), "label"), query)
		assert.InDelta(t, 5, list["total"], 0, "%s: total counts what is on no page too", query)
		assert.Equal(t, []any{}, at(t, list, "sessions", "sandbox"))
	}
	for _, query := range []string{"limit=-1", "limit=x", "offset=-1", "offset=1.5", "includeArchived=maybe"} {
		assert.Equal(t, "CODER_INVALID_REQUEST", f.call(400, "GET", "/hub/sessions?"+query, "")["code"], query)
	}
}

func TestSearch(t *testing.T) {
	f := start(t)
	f.create(`{"task":"Fix the LOGIN page","label":"one"}`)
	f.create(`{"task":"Other","label":"Login two"}`)
	f.create(`{"task":"Other","label":"three","metadata":{"ticket":"auth-LOGIN","tags":["\u00fcber"],"said":"\u00c9t\u00e9 \"now\""}}`)
	f.create(`{"task":"Other","label":"four","metadata":{"login":true}}`)
	f.create(`{"task":"Other","label":"five","tags":["login"],"env":{"LOGIN":"login"}}`)
	archived := f.create(`{"task":"Old login","label":"six"}`)
	f.Session(archived).Archive()
	for query, want := range map[string][]any{
		"search=login":                       {"four", "three", "Login two", "one"},
		"search=LoGiN":                       {"four", "three", "Login two", "one"},
		"search=login&includeArchived=true":  {"six", "four", "three", "Login two", "one"},
		"search=login&includeArchived=false": {"four", "three", "Login two", "one"},
		"search=login&limit=1&offset=1":      {"three"},
		"search=fix+the":                     {"one"},
		"search=auth-login":                  {"three"},
		"search=" + url.QueryEscape("ÜBER"):  {"three"},
		"search=true":                        {"four"},
		"search=nothing":                     {},

		"search=" + url.QueryEscape(`été "NOW"`):   {"three"}, // as it reads, not as it is escaped
		"search=" + url.QueryEscape(`"auth-login`): {},
	} {
		list := f.get("/hub/sessions?" + query)
		assert.Equal(t, want, all(t, at(t, list, "sessions", "websocket"), "label"), query)
	}
	assert.InDelta(t, 4, f.get("/hub/sessions?search=login&limit=1")["total"], 0)
}

func TestListDoesNotObserve(t *testing.T) {
	f := start(t)
	f.create(`{"task":"x"}`)
	for range 4 {
		assert.Equal(t, "creating", at(t, f.get("/hub/sessions"), "sessions", "websocket", 0, "status"))
	}
}

func TestUpdateSession(t *testing.T) {
	f := start(t)
	id := f.create(fullSession)
	answer := f.call(200, "PATCH", "/hub/session/"+id, `{
		"label": "", "agent": "scout", "visibility": "private", "tags": [], "enabledAgents": ["scout"],
		"skills": [{"skillId": "s", "repo": "custom", "content": "text"}],
		"workflowMode": "standard", "loop": {"maxIterations": 99}, "metadata": {"ticket": "other"}, "task": "other", "nonsense": 1
	}`)
	want := map[string]any{
		"sessionId": id, "label": "", "visibility": "private", "tags": []any{}, "defaultAgent": "scout", "enabledAgents": []any{"scout"},
		"skills":   []any{map[string]any{"skillId": "s", "repo": "custom", "content": "text"}},
		"metadata": map[string]any{"ticket": "AUTH-7", "attempt": 2.0, "deep": map[string]any{"a": []any{1.0}}},
	}
	assert.Equal(t, want, answer)
	got := f.get("/hub/session/" + id)
	for member, value := range want {
		assert.Equal(t, value, got[member], member)
	}
	assert.Equal(t, "loop", got["workflowMode"])
	assert.Equal(t, "Migrate the billing service to API v3", got["task"])
	assert.InDelta(t, 2, at(t, f.get("/hub/session/"+id+"/loop"), "loop", "maxIterations"), 0)

	assert.Equal(t, "lead", f.call(200, "PATCH", "/hub/session/"+id, `{"agent":"a","defaultAgent":"lead"}`)["defaultAgent"])
	assert.Nil(t, f.call(200, "PATCH", "/hub/session/"+id, `{"agent":""}`)["defaultAgent"])
	unchanged := f.call(200, "PATCH", "/hub/session/"+id, `{}`)
	assert.Equal(t, want["tags"], unchanged["tags"])

	for _, body := range []string{"", "x", "[]", `{"visibility":"public"}`, `{"skills":[{"repo":"r"}]}`, `{"tags":"a"}`, `{"label":1}`} {
		assert.Equal(t, "CODER_INVALID_REQUEST", f.call(400, "PATCH", "/hub/session/"+id, body)["code"], body)
	}
}

func TestRenamingIsAnEvent(t *testing.T) {
	f := start(t)
	id := f.create(`{"task":"x"}`)
	f.call(200, "PATCH", "/hub/session/"+id, `{"label":"x","tags":["a"]}`)
	f.call(200, "PATCH", "/hub/session/"+id, `{"label":"y"}`)
	history := f.get("/hub/session/" + id + "/events/history")
	assert.Equal(t, []any{"session_label_updated", "session_start"}, all(t, history["events"], "event"))
}

func TestDeleteSession(t *testing.T) {
	for _, status := range []string{"creating", "provisioning", "active", "paused", "resuming", "archived", "shutdown", "failed"} {
		f := start(t)
		id := f.create(`{"task":"x"}`)
		f.create(`{"task":"other"}`)
		f.Session(id).SetStatus(status)
		assert.Equal(t, map[string]any{"sessionId": id, "status": "deleted"}, f.call(200, "DELETE", "/hub/session/"+id, ""), status)
		for _, route := range []string{
			"GET ", "PATCH ", "DELETE ", "POST /archive", "POST /resume", "GET /replay", "GET /participants", "GET /events/history", "GET /loop",
		} {
			method, rest, _ := strings.Cut(route, " ")
			assert.Equal(t, "CODER_SESSION_NOT_FOUND", f.call(404, method, "/hub/session/"+id+rest, "{}")["code"], route)
		}
		list := f.get("/hub/sessions?includeArchived=true")
		assert.Equal(t, []any{"other"}, all(t, at(t, list, "sessions", "websocket"), "label"))
		assert.Equal(t, "codesess_000000000003", f.create(`{"task":"x"}`), "no id comes twice")
	}
}

func TestBodylessPosts(t *testing.T) {
	f := start(t)
	id := f.create(`{"task":"x"}`)
	f.Session(id).Pause()
	for _, body := range []string{"", "not JSON", "{}"} {
		f.call(200, "POST", "/hub/session/"+id+"/resume", body)
		f.call(200, "POST", "/hub/session/"+id+"/archive", body)
		f.Session(id).Pause()
	}
}

func TestConcurrentUse(t *testing.T) {
	f := start(t)
	var running sync.WaitGroup
	for i := range 64 {
		running.Go(func() {
			id := f.create(fmt.Sprintf(`{"task":"task %d","workflowMode":"loop"}`, i))
			for range 3 {
				f.get("/hub/session/" + id)
				f.get("/hub/session/" + id + "/loop")
			}
			f.call(200, "PATCH", "/hub/session/"+id, `{"label":"new"}`)
			f.Session(id).Emit(eventNamed("turn_start"))
			f.Session(id).AddParticipant(observer)
			f.Session(id).Pause()
			f.get("/hub/sessions?search=new")
			f.get("/hub/session/" + id + "/events/history")
			f.get("/hub/session/" + id + "/participants")
			f.call(200, "POST", "/hub/session/"+id+"/archive", "")
			if i%2 == 0 {
				f.call(200, "DELETE", "/hub/session/"+id, "")
			}
			f.Requests()
			f.SessionIDs()
		})
	}
	running.Wait()
	assert.Len(t, f.SessionIDs(), 32)
	assert.InDelta(t, 32, f.get("/hub/sessions?includeArchived=true")["total"], 0)
	assert.InDelta(t, 0, f.get("/hub/sessions")["total"], 0)
	assert.Len(t, f.Requests(), 64*12+32+2)
}
