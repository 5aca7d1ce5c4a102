package codertest_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestUnknownRoutes(t *testing.T) {
	f := start(t)
	id := f.create(`{"task":"x"}`)
	for _, path := range []string{
		"/hub", "/hub/", "/hub/session", "/hub/session/", "/hub/sessions/", "/hub/session/" + id + "/", "/hub/nonsense",
		"/hub/session/" + id + "/nonsense", "/hub/session//archive", "/coder", "",
	} {
		want := 404
		if path == "/hub/session" {
			want = 405
		}
		body := f.call(want, "GET", path, "")
		assert.NotContains(t, body, "code", path)
	}
	r, err := read(f.client.Get(f.URL() + "/"))
	require.NoError(t, err)
	assert.Equal(t, 404, r.status)
	r, err = read(f.client.Get(f.URL() + "/hub/sessions"))
	require.NoError(t, err)
	assert.Equal(t, 404, r.status, "routes live below /api")
}

func TestWrongMethods(t *testing.T) {
	f := start(t)
	id := f.create(`{"task":"x"}`)
	for path, allow := range map[string]string{
		"/hub/session":                           "POST",
		"/hub/session/builder":                   "POST, GET, PATCH, DELETE",
		"/hub/sessions":                          "GET",
		"/hub/session/" + id:                     "GET, PATCH, DELETE",
		"/hub/session/" + id + "/archive":        "POST",
		"/hub/session/" + id + "/resume":         "POST",
		"/hub/session/" + id + "/replay":         "GET",
		"/hub/session/" + id + "/participants":   "GET",
		"/hub/session/" + id + "/events/history": "GET",
		"/hub/session/" + id + "/loop":           "GET",
		"/hub/session/" + id + "/todos":          "GET",
		"/hub/skills":                            "GET",
		"/hub/init":                              "GET",
	} {
		r, err := f.try("PUT", path, "{}")
		require.NoError(t, err)
		assert.Equal(t, 405, r.status, path)
		assert.Equal(t, allow, r.header.Get("Allow"), path)
		assert.NotContains(t, r.json, "code")
	}
}

func TestUnknownSession(t *testing.T) {
	f := start(t)
	for _, id := range []string{"nope", "a%2Fb", "builder", "..", "%2E%2E", "%F0%9F%90%99"} {
		for _, route := range []string{
			"GET ", "PATCH ", "DELETE ", "POST /archive", "POST /resume", "GET /replay", "GET /participants",
			"GET /events/history", "GET /loop", "GET /todos",
		} {
			method, rest, _ := strings.Cut(route, " ")
			body := f.call(404, method, "/hub/session/"+id+rest, "{}")
			assert.Equal(t, "CODER_SESSION_NOT_FOUND", body["code"], "%s %s", id, route)
		}
	}
}

func TestEscapedPathsDoNotCollide(t *testing.T) {
	f := start(t)
	f.create(`{"task":"x"}`)
	// One element that would be two routes if it were decoded too early.
	body := f.call(404, "GET", "/hub/session/codesess_000000000001%2Farchive", "")
	assert.Equal(t, "CODER_SESSION_NOT_FOUND", body["code"])
	assert.Equal(t, "codesess_000000000001", f.get("/hub/session/%63odesess_000000000001")["sessionId"])
}
