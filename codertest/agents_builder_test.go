package codertest_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestBuilderSession(t *testing.T) {
	f := start(t)
	source := f.create(`{"task":"x","label":"Invoice export"}`)
	for body, want := range map[string]map[string]any{
		``:                                {"mode": "new"},
		`{}`:                              {"mode": "new"},
		`{"mode":"new","prompt":"Learn"}`: {"mode": "new"},
		`{"sourceSessionId":"` + source + `"}`: {
			"mode": "from_session", "sourceSession": map[string]any{"sessionId": source, "label": "Invoice export"},
		},
	} {
		created := f.call(201, "POST", "/hub/session/builder", body)
		assert.Equal(t, "creating", created["status"])
		got := f.get("/hub/session/" + created["sessionId"].(string))
		assert.Equal(t, want, got["builder"], body)
		assert.Equal(t, "agent_builder", got["sessionKind"])
		if want["mode"] == "from_session" {
			assert.Equal(t, source, got["parentSessionId"])
		}
	}
}

func TestBuilderSessionRefuses(t *testing.T) {
	f := start(t)
	for body, want := range map[string]string{
		`[]`:                                     "CODER_INVALID_REQUEST",
		`{"mode":"clone"}`:                       "CODER_INVALID_REQUEST",
		`{"visibility":"public"}`:                "CODER_INVALID_REQUEST",
		`{"mode":"from_session"}`:                "CODER_INVALID_REQUEST",
		`{"sourceSessionId":" "}`:                "CODER_INVALID_REQUEST",
		`{"mode":"edit","sourceSessionId":"x"}`:  "CODER_INVALID_REQUEST",
		`{"targetAgentSlug":" "}`:                "CODER_INVALID_REQUEST",
		`{"sourceSessionId":"codesess_unknown"}`: "CODER_SESSION_NOT_FOUND",
	} {
		status := 400
		if want == "CODER_SESSION_NOT_FOUND" {
			status = 404
		}
		assert.Equal(t, want, f.call(status, "POST", "/hub/session/builder", body)["code"], body)
	}
	assert.Empty(t, f.SessionIDs())
}
