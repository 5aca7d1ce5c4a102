package coder_test

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/internal/wire"
)

func TestUnixMilli(t *testing.T) {
	for text, want := range map[string]time.Time{
		"1768473737512":     time.Date(2026, 1, 15, 10, 42, 17, 512e6, time.UTC),
		"0":                 time.Unix(0, 0).UTC(),
		"-1":                time.Unix(0, -1e6).UTC(),
		"1768473737512.25":  time.Date(2026, 1, 15, 10, 42, 17, 512250000, time.UTC),
		"1.768473737512e12": time.Date(2026, 1, 15, 10, 42, 17, 512e6, time.UTC),
		"null":              {},
	} {
		var u coder.UnixMilli
		require.NoError(t, json.Unmarshal([]byte(text), &u), text)
		assert.Equal(t, want, u.Time, text)
		if text != "null" && text != "1.768473737512e12" {
			out, err := json.Marshal(u)
			require.NoError(t, err)
			assert.Equal(t, text, string(out))
		}
	}
	for _, text := range []string{`"2026-01-15T10:42:17Z"`, `{}`, `true`, `1e300`} {
		var u coder.UnixMilli
		require.Error(t, json.Unmarshal([]byte(text), &u), text)
	}
}

func TestMilliseconds(t *testing.T) {
	assert.Equal(t, 1500*time.Microsecond, coder.Milliseconds(1.5).Duration())
	assert.EqualValues(t, math.MaxInt64, coder.Milliseconds(1e300).Duration())
	assert.EqualValues(t, math.MinInt64, coder.Milliseconds(-1e300).Duration())
	assert.Zero(t, coder.Milliseconds(math.NaN()).Duration())
}

func TestNullable(t *testing.T) {
	type holder struct {
		A coder.Nullable[string] `json:"a,omitzero"`
	}
	for text, want := range map[string]coder.Nullable[string]{
		`{}`: {}, `{"a":null}`: coder.Null[string](), `{"a":""}`: coder.Value(""), `{"a":"x"}`: coder.Value("x"),
	} {
		for name, codec := range map[string]struct {
			decode func([]byte, any) error
			encode func(any) ([]byte, error)
		}{
			"v1": {json.Unmarshal, json.Marshal},
			"v2": {
				func(b []byte, v any) error { return jsonv2.Unmarshal(b, v) },
				func(v any) ([]byte, error) { return jsonv2.Marshal(v) },
			},
		} {
			var h holder
			require.NoError(t, codec.decode([]byte(text), &h), name)
			assert.Equal(t, want, h.A, name)
			out, err := codec.encode(h)
			require.NoError(t, err, name)
			assert.Equal(t, text, string(out), name)
		}
	}
	v, ok := coder.Value(7).Get()
	assert.True(t, ok)
	assert.Equal(t, 7, v)
	_, ok = coder.Null[int]().Get()
	assert.False(t, ok)
	assert.True(t, coder.Null[int]().IsNull())
	assert.True(t, coder.Nullable[int]{}.IsZero())
}

// TestModels_RoundTrips: with either JSON package, by value and by pointer, nothing is lost.
func TestModels_RoundTrips(t *testing.T) {
	for _, name := range []string{"session-get", "session-get-builder", "session-get-history", "session-get-paused"} {
		text := sample(t, "responses/"+name+".json")
		var v1, v2 coder.Session
		require.NoError(t, json.Unmarshal([]byte(text), &v1))
		require.NoError(t, jsonv2.Unmarshal([]byte(text), &v2))
		assert.Equal(t, v1, v2)
		for _, v := range []any{v1, &v1, []coder.Session{v1}[0]} {
			assertSameJSON(t, text, v, name)
		}
		out, err := jsonv2.Marshal(v1)
		require.NoError(t, err)
		assertSameJSON(t, text, json.RawMessage(out), name)

		// A session inside another value, as callers keep it.
		kept, err := json.Marshal(map[string]coder.Session{"a": v1})
		require.NoError(t, err)
		var back map[string]coder.Session
		require.NoError(t, json.Unmarshal(kept, &back))
		assert.Equal(t, v1.Task, back["a"].Task)
		assert.Equal(t, v1.Owner, back["a"].Owner)
		assert.Len(t, back["a"].Extra, len(v1.Extra))
	}
}

// TestRequests_Bodies: what is not set is not sent, and what is set to nothing is.
func TestRequests_Bodies(t *testing.T) {
	var full coder.CreateSessionRequest
	text := sample(t, "requests/session-create-full.json")
	require.NoError(t, json.Unmarshal([]byte(text), &full))
	assert.Equal(t, []byte{0, 0xff}, full.Files[1].Content, "files are bytes")
	out, err := json.Marshal(full)
	require.NoError(t, err)
	assert.JSONEq(t, text, string(out))

	for want, in := range map[string]any{
		`{"task":""}`:                        coder.CreateSessionRequest{},
		`{"task":"x","tags":[]}`:             coder.CreateSessionRequest{Task: "x", Tags: []string{}},
		`{}`:                                 coder.UpdateSessionRequest{},
		`{"tags":[],"skills":[],"label":""}`: coder.UpdateSessionRequest{Label: new(""), Tags: []string{}, Skills: []coder.SkillRef{}},
		`{"task":"x","loop":{"autoContinue":false}}`:       coder.CreateSessionRequest{Task: "x", Loop: &coder.SessionLoopConfig{AutoContinue: new(false)}},
		`{"task":"x","command":{"exec":["a"]}}`:            coder.CreateSessionRequest{Task: "x", Command: &coder.SandboxCommand{Exec: []string{"a"}}},
		`{"task":"x","network":{"enabled":false}}`:         coder.CreateSessionRequest{Task: "x", Network: &coder.SandboxNetworkConfig{Enabled: new(false)}},
		`{"task":"x","files":[{"path":"a","content":""}]}`: coder.CreateSessionRequest{Task: "x", Files: []coder.FileToWrite{{Path: "a"}}},
		`{"skillId":"s","name":"n","content":"c"}`:         coder.CreateCustomSkillRequest{SkillID: "s", Name: "n", Content: "c"},
	} {
		out, err := wire.Marshal(in) // as it is sent: before Go 1.27 encoding/json/v2 follows the rules of encoding/json
		require.NoError(t, err)
		assert.JSONEq(t, want, string(out))
	}
}

func TestNormalizeVisibility(t *testing.T) {
	for text, want := range map[string]coder.SessionVisibility{
		"private": coder.VisibilityPrivate, "PRIVATE": coder.VisibilityPrivate,
		"organization": coder.VisibilityOrganization, " org\n": coder.VisibilityOrganization, "Org": coder.VisibilityOrganization,
		"collaborate": coder.VisibilityCollaborate, "\tCollab ": coder.VisibilityCollaborate,
	} {
		got, err := coder.NormalizeVisibility(text)
		require.NoError(t, err, "%q", text)
		assert.Equal(t, want, got, "%q", text)
	}
	for _, text := range []string{"", " ", "public", "organisation", "private org", "priv"} {
		got, err := coder.NormalizeVisibility(text)
		var bad *coder.ValidationError
		require.ErrorAs(t, err, &bad, "%q", text)
		assert.Empty(t, got)
		assert.Equal(t, "NormalizeVisibility", bad.Operation)
		assert.Equal(t, "visibility", bad.Field)
	}
}
