package coder_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

// TestNumbers_KeepTheirDigits: a whole number that a float64 cannot hold stays what it is in all free JSON, read
// and sent.
func TestNumbers_KeepTheirDigits(t *testing.T) {
	const (
		long = "9007199254740993"
		free = `{"id":` + long + `,"deep":[{"id":-18446744073709551615,"n":1.5}],"much":1e400,"text":"` + long + `"}`
	)
	want := map[string]any{
		"id": json.Number(long), "much": json.Number("1e400"), "text": long,
		"deep": []any{map[string]any{"id": json.Number("-18446744073709551615"), "n": 1.5}},
	}
	for _, odd := range []string{"", `"taskCount":"many",`} { // one member of the wrong kind
		session, err := getSession(t, `{`+odd+`"sessionId":"x","metadata":`+free+`}`)
		require.NoError(t, err)
		assert.Equal(t, want, session.Metadata)
		encoded, err := json.Marshal(session)
		require.NoError(t, err)
		assert.Contains(t, string(encoded), `"id":`+long, "it is written as the number it is")
		assert.Contains(t, string(encoded), `"id":-18446744073709551615`)
		assert.Contains(t, string(encoded), `"much":1e400`)
	}

	s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/replay"):
			answerJSON(http.StatusOK, `{"sessionId":"x","entries":[{"type":"tool_call","timestamp":1,"toolArgs":`+free+`}]}`)(w, r)
		case strings.HasSuffix(r.URL.Path, "/participants"):
			answerJSON(http.StatusOK, `{"sessionId":"x","participants":[{"id":"p","role":"lead","metadata":`+free+`}]}`)(w, r)
		case strings.HasSuffix(r.URL.Path, "/hub/session"):
			answerJSON(http.StatusBadRequest, `{"details":`+free+`,"error":{"issues":[{"code":"c","message":"m","path":[],"input":`+free+`}]}}`)(w, r)
		default:
			answerJSON(http.StatusOK, free)(w, r)
		}
	})
	c := s.client(t)
	replay, err := c.GetReplay(t.Context(), "x", nil)
	require.NoError(t, err)
	assert.Equal(t, want, replay.Entries[0].ToolArgs)
	for entry, err := range c.ReplayEntries(t.Context(), "x", nil) {
		require.NoError(t, err)
		assert.Equal(t, want, entry.ToolArgs)
	}
	participants, err := c.ListParticipants(t.Context(), "x", nil)
	require.NoError(t, err)
	assert.Equal(t, want, participants.Participants[0].Metadata)

	_, err = c.CreateSession(t.Context(), coder.CreateSessionRequest{Task: "t", Metadata: want})
	var api *coder.APIError
	require.ErrorAs(t, err, &api)
	assert.Equal(t, want, api.Details)
	assert.Equal(t, any(want), api.Issues[0].Input)
	sent := string(s.seen()[len(s.seen())-1].body)
	assert.Contains(t, sent, `"metadata":{"deep":[{"id":-18446744073709551615,"n":1.5}],"id":9007199254740993,"much":1e400,"text":"9007199254740993"}`)

	var out any
	require.NoError(t, c.Do(t.Context(), http.MethodGet, "/x", nil, &out))
	assert.Equal(t, any(want), out)

	event := &coder.BroadcastEventMessage{Data: json.RawMessage(`{"details":` + free + `}`)}
	var data map[string]any
	require.NoError(t, event.Decode(&data))
	assert.Equal(t, any(want), data["details"])
}

// TestNumbers_ThatAreNone: a json.Number is checked before anything is sent.
func TestNumbers_ThatAreNone(t *testing.T) {
	s := newServer(t, nil)
	for _, bad := range []json.Number{"twelve", "01", `"1"`, "1,2", "{}"} {
		_, err := s.client(t).CreateSession(t.Context(), coder.CreateSessionRequest{
			Task: "t", Metadata: map[string]any{"deep": []any{map[string]any{"id": bad}}},
		})
		var invalid *coder.ValidationError
		require.ErrorAs(t, err, &invalid, "%q", bad)
		assert.Equal(t, "metadata.deep.0.id", invalid.Field, "%v", err)
	}
	assert.Empty(t, s.seen())
}
