package codertest_test

import (
	"encoding/json"
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
