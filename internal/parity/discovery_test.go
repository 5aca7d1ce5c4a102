//go:build parity

package parity

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

// catalyst makes both clients ask the recording server where the Hub is.
var catalyst = map[string]string{"AGENTUITY_CATALYST_URL": "SERVER"}

func (s scenario) discovering() scenario {
	s.method = "URL"
	if s.options.env == nil {
		s.options.env = catalyst
	}
	return s
}

func TestDiscovery(t *testing.T) {
	for _, url := range []string{
		"https://hub.invalid", "https://hub.invalid/", "http://127.0.0.1:9/hub1", "https://hub.invalid:8443/a/b/", "https://hub.invalid/a%20b",
	} {
		for _, org := range []string{"", "org_1"} {
			scenario{answers: []answer{ok(encode(object{"url": url, "unknown": 1}))}, options: options{orgID: org}}.discovering().check(t)
		}
	}
	for _, body := range []string{"", "null", "[]", "{}", `{"url":7}`, `{"url":null}`, `{"success":true,"data":{"url":"https://hub.invalid"}}`, "<html>"} {
		scenario{answers: []answer{ok(body)}}.discovering().check(t)
	}
	m := methodNamed("URL")
	g := newGenerator("discovery")
	for _, form := range errorForms {
		s := form.scenario(g, m)
		s.args = nil
		s.discovering().check(t)
	}
}

// TestMisdirected: no region was asked, so none is followed. Some HTTP stacks repeat a 421 by
// themselves, that of Node among them, so the requests are not compared.
func TestMisdirected(t *testing.T) {
	a := answer{status: 421, header: map[string]string{"x-agentuity-region": "use"}, body: `{"message":"elsewhere"}`}
	there, here := scenario{answers: []answer{a}}.discovering().play(t)
	assert.Equal(t, &originalError{Name: "APIErrorResponse", Message: "elsewhere", Status: 421, URL: server.URL + "/coder"}, there.err)
	require.ErrorIs(t, here.err, coder.ErrMisdirected)
	assert.Len(t, here.requests, 1)
}

// TestDiscoveryThenCall: the discovered URL is where the call goes, with the same credentials.
func TestDiscoveryThenCall(t *testing.T) {
	for _, path := range []string{"/hub2", "/hub2/", ""} {
		url := server.URL + path
		scenario{
			method: "ListSavedSkills", options: options{env: catalyst, orgID: "org_1"},
			answers: []answer{ok(encode(object{"url": url})), ok(`{"skills":[]}`)},
		}.check(t)
	}
	scenario{ // what discovery says is what the call says
		method: "ListSavedSkills", options: options{env: catalyst},
		answers: []answer{{status: 401, body: `{"error":"no"}`}},
	}.check(t)
}

// TestEnvironment: both read the same variables, in the same order.
func TestEnvironment(t *testing.T) {
	answers := []answer{ok(`{"skills":[]}`)}
	for _, env := range []map[string]string{
		{"AGENTUITY_CODER_URL": "SERVER"},
		{"AGENTUITY_CODER_URL": "SERVER/", "AGENTUITY_SDK_KEY": "sk_env"},
		{"AGENTUITY_CODER_URL": "SERVER", "AGENTUITY_CLI_KEY": "cli_env"},
		{"AGENTUITY_CODER_URL": "SERVER", "AGENTUITY_SDK_KEY": "sk_env", "AGENTUITY_CLI_KEY": "cli_env"},
		{"AGENTUITY_CODER_URL": "SERVER", "AGENTUITY_CATALYST_URL": "http://127.0.0.1:1"},
	} {
		for _, noKey := range []bool{true, false} {
			t.Run("", func(t *testing.T) {
				scenario{method: "ListSavedSkills", answers: answers, options: options{env: env, noKey: noKey}}.check(t)
			})
		}
	}
	discover := []answer{ok(encode(object{"url": server.URL})), answers[0]}
	for _, env := range []map[string]string{
		{"AGENTUITY_TRANSPORT_URL": "SERVER"},
		{"AGENTUITY_TRANSPORT_URL": "http://127.0.0.1:1", "AGENTUITY_CATALYST_URL": "SERVER"},
		{"AGENTUITY_CATALYST_URL": "SERVER", "AGENTUITY_CODER_URL": ""},
		{"AGENTUITY_CATALYST_URL": "SERVER", "AGENTUITY_REGION": "use"},
	} {
		t.Run("", func(t *testing.T) {
			scenario{method: "ListSavedSkills", answers: discover, options: options{env: env}}.check(t)
		})
	}
}

// TestVisibilities: what people may write for a visibility is read alike.
func TestVisibilities(t *testing.T) {
	for _, text := range []string{
		"private", "PRIVATE", " org ", "organization", "Collab", "collaborate\n", "", "orgs", "public", "\u00a0org", "toString",
	} {
		tally.add(methodNamed("CreateSession"))
		there, err := original.do(order{Op: "function", Method: "normalizeVisibility", Args: []string{text}})
		here, err2 := coder.NormalizeVisibility(text)
		if err != nil || string(there) == "" {
			assert.Error(t, err2, "%q", text)
			continue
		}
		require.NoError(t, err2, "%q", text)
		assert.Equal(t, encode(string(here)), string(there), "%q", text)
	}
}

// TestFailedDiscoveryIsNotRemembered: a second call asks again here, and fails at once there.
func TestFailedDiscoveryIsNotRemembered(t *testing.T) {
	script := []answer{{status: 500, body: `{}`}, ok(encode(object{"url": server.URL})), ok(`{"skills":[]}`)}
	m := methodNamed("ListSavedSkills")
	tally.add(m)
	env := map[string]string{"AGENTUITY_CATALYST_URL": server.URL}

	server.load(script...)
	for range 2 {
		_, err := original.do(order{Op: "call", Method: m.original(), Args: []any{}, Options: map[string]string{"apiKey": testKey}, Env: env, Keep: t.Name()})
		var thrown *originalError
		require.ErrorAs(t, err, &thrown)
		assert.Equal(t, 500, thrown.Status)
	}
	assert.Len(t, server.requests(), 1)

	server.load(script...)
	for name, value := range env {
		t.Setenv(name, value)
	}
	client, err := coder.NewClient(coder.WithAPIKey(testKey), coder.WithHTTPClient(httpClient), coder.WithRetryPolicy(coder.RetryPolicy{MaxAttempts: 1}))
	require.NoError(t, err)
	_, err = client.ListSavedSkills(t.Context())
	var api *coder.APIError
	require.ErrorAs(t, err, &api)
	_, err = client.ListSavedSkills(t.Context())
	require.NoError(t, err)
	assert.Len(t, server.requests(), 3)
	tally.met("failed-discovery")
}
