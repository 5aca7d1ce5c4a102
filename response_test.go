package coder_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

// TestResponses_Tolerated: one member that is not as it should be does not cost the others.
func TestResponses_Tolerated(t *testing.T) {
	wrong := map[string]string{
		"text for a number":       `"taskCount":"three"`,
		"fraction for a number":   `"taskCount":1.5,"subAgentCount":3.0`,
		"number beyond the range": `"taskCount":1e400`,
		"number for a text":       `"label":5`,
		"object for a text":       `"label":{"a":1}`,
		"text for a flag":         `"runtimeAvailable":"yes"`,
		"text for a list":         `"tags":"a,b"`,
		"object for a list":       `"tags":{}`,
		"number for an object":    `"owner":5`,
		"list for an object":      `"owner":[]`,
		"text for a map":          `"metadata":"x"`,
		"number for the origin":   `"origin":7`,
		"number in the origin":    `"origin":{"type":7}`,
		"null everywhere":         `"label":null,"tags":null,"owner":null,"repo":null,"metadata":null,"createdAt":null,"origin":null,"taskCount":null`,
		"empty time":              `"createdAt":""`,
		"malformed time":          `"createdAt":"yesterday"`,
		"number for a time":       `"createdAt":1768469400000`,
		"object for a time":       `"createdAt":{}`,
		"wrong kind deeper":       `"owner":{"userId":5,"name":"Dana"},"repo":{"name":[],"url":"u","extra":1},"builder":{"mode":"new","lastAction":{"occurredAt":"","kind":"publish"}}`,
	}
	for name, members := range wrong {
		t.Run(name, func(t *testing.T) {
			s, err := getSession(t, `{"sessionId":"x",`+members+`,"status":"active","visibility":"private",
				"lastActivityAt":"2026-01-15T10:42:17.512Z","wakeAvailable":true,"unknown":{"kept":[1]},"task":"T"}`)
			require.NoError(t, err)
			assert.Equal(t, "x", s.SessionID)
			assert.Equal(t, "active", s.Status)
			assert.Equal(t, coder.VisibilityPrivate, s.Visibility)
			assert.True(t, s.WakeAvailable)
			assert.Equal(t, time.Date(2026, 1, 15, 10, 42, 17, 512e6, time.UTC), s.LastActivityAt)
			assert.Equal(t, "T", s.Task)
			assert.JSONEq(t, `{"kept":[1]}`, string(s.Extra["unknown"]))
			assert.Empty(t, s.Label)
			assert.Empty(t, s.Tags)
			assert.Zero(t, s.TaskCount)
			assert.True(t, s.CreatedAt.IsZero())
			if name != "wrong kind deeper" {
				assert.Nil(t, s.Owner, "the zero value, not an empty one")
				if name == "number in the origin" {
					assert.Equal(t, &coder.SessionOrigin{}, s.Origin)
				} else {
					assert.Nil(t, s.Origin)
				}
				return
			}
			assert.Equal(t, &coder.SessionOwner{Name: "Dana"}, s.Owner)
			assert.Equal(t, "u", s.Repo.URL)
			assert.JSONEq(t, `1`, string(s.Repo.Extra["extra"]))
			assert.Equal(t, coder.BuilderActionPublish, s.Builder.LastAction.Kind)
		})
	}
	t.Run("bad bytes in a text", func(t *testing.T) {
		s, err := getSession(t, "{\"sessionId\":\"x\",\"label\":\"a\xffb\",\"odd\":\"\xfe\"}")
		require.NoError(t, err)
		assert.Equal(t, "a\uFFFDb", s.Label)
		assert.Contains(t, s.Extra, "odd")
	})
	t.Run("duplicate names", func(t *testing.T) {
		s, err := getSession(t, `{"sessionId":"x","label":"a","label":"b","odd":1,"odd":{"x":1,"x":2}}`)
		require.NoError(t, err)
		assert.Equal(t, "b", s.Label)
		encoded, err := json.Marshal(s)
		require.NoError(t, err, "what was accepted can be written again")
		assert.Contains(t, string(encoded), `"odd":{"x":1,"x":2}`)
	})
	t.Run("unknown values of enumerations", func(t *testing.T) {
		s, err := getSession(t, `{"sessionId":"x","mode":"quantum","bucket":"bin","visibility":"all","workflowMode":"dream"}`)
		require.NoError(t, err)
		assert.Equal(t, []string{"quantum", "bin", "all", "dream"},
			[]string{string(s.Mode), string(s.Bucket), string(s.Visibility), string(s.WorkflowMode)})
	})
	t.Run("in a list", func(t *testing.T) {
		s := newServer(t, answerJSON(http.StatusOK,
			`{"sessions":{"websocket":[{"sessionId":"a","taskCount":"x","new":1},{"sessionId":"b","label":"B"}],"sandbox":[7,{"sandboxId":"s"}]},"total":"2"}`))
		list, err := s.client(t).ListSessions(t.Context(), nil)
		require.NoError(t, err)
		assert.Len(t, list.Sessions, 2)
		assert.Equal(t, "B", list.Sessions[1].Label)
		assert.JSONEq(t, `1`, string(list.Sessions[0].Extra["new"]))
		assert.Equal(t, []coder.SandboxSessionListItem{{SandboxID: "s"}}, list.SandboxSessions, "by the contract anything may be an element")
	})
	t.Run("times and numbers that may be absent", func(t *testing.T) {
		s := newServer(t, answerJSON(http.StatusOK, `{"sessionId":"x","entries":[
			{"type":"runtime_status","timestamp":"soon","elapsedMs":"long","sequence":"one","runtime":{"exitCode":"x","pid":4}},
			{"type":"runtime_status","timestamp":1764662402000.25,"elapsedMs":0.5,"sequence":0,"runtime":{"exitCode":0}}]}`))
		replay, err := s.client(t).GetReplay(t.Context(), "x", nil)
		require.NoError(t, err)
		first, second := replay.Entries[0], replay.Entries[1]
		assert.True(t, first.Timestamp.IsZero())
		assert.Nil(t, first.ElapsedMs, "no number is not 0")
		assert.Nil(t, first.Sequence)
		assert.Nil(t, first.Runtime.ExitCode)
		assert.Equal(t, 4, first.Runtime.PID)
		assert.Equal(t, 1764662402000.25, float64(second.Timestamp.UnixMicro())/1000)
		assert.Equal(t, 500*time.Microsecond, second.ElapsedMs.Duration())
		assert.Equal(t, new(0), second.Runtime.ExitCode)
	})
}

// TestResponses_IdentityIsNotTolerated: what identifies a thing must be there, and of the right kind.
func TestResponses_IdentityIsNotTolerated(t *testing.T) {
	list := func(t *testing.T, c *coder.Client) error {
		_, err := c.ListSessions(t.Context(), nil)
		return err
	}
	get := func(t *testing.T, c *coder.Client) error { _, err := c.GetSession(t.Context(), "x"); return err }
	history := func(t *testing.T, c *coder.Client) error {
		_, err := c.ListEventHistory(t.Context(), "x", nil)
		return err
	}
	replay := func(t *testing.T, c *coder.Client) error {
		_, err := c.GetReplay(t.Context(), "x", nil)
		return err
	}
	entries := func(t *testing.T, c *coder.Client) error {
		_, err := take(c.ReplayEntries(t.Context(), "x", nil), 5)
		return err
	}
	people := func(t *testing.T, c *coder.Client) error {
		_, err := c.ListParticipants(t.Context(), "x", nil)
		return err
	}
	for _, test := range []struct {
		call     func(*testing.T, *coder.Client) error
		body     string
		complain string
	}{
		{get, `{}`, `"sessionId"`},
		{get, `{"sessionId":5}`, `"sessionId"`},
		{get, `{"sessionId":""}`, `"sessionId"`},
		{get, `{"sessionId":null}`, `"sessionId"`},
		{get, `{"session_id":"x"}`, `"sessionId"`},
		{get, `[]`, `"sessionId"`},
		{get, `"x"`, `"sessionId"`},
		{list, `{"sessions":[{"sessionId":"a"}],"total":1}`, `"sessions.websocket"`},
		{list, `{"sessions":{"sandbox":[]},"total":0}`, `"sessions.websocket"`},
		{list, `{"sessions":{"websocket":null,"sandbox":[]},"total":0}`, `"sessions.websocket"`},
		{list, `{"sessions":{"websocket":[{"sessionId":"a"},{"label":"b"}],"sandbox":[]},"total":2}`, `"sessions.websocket[1].sessionId"`},
		{list, `{"sessions":{"websocket":[null],"sandbox":[]},"total":2}`, `"sessions.websocket[0]" is not an object`},
		{get, `{"sessionId":"x","skills":[{"skillId":"a"},"b"]}`, `"skills[1]" is not an object`},
		{replay, `{"sessionId":"x","entries":[{"type":"message"},null]}`, `"entries[1]" is not an object`},
		{entries, `{"sessionId":"x","entries":[{"type":"message"},7]}`, `"entries[1]" is not an object`},
		{history, `{"sessionId":"x","events":null}`, `"events"`},
		{history, `{"sessionId":"x","events":[{"id":"12","event":"turn_end"}]}`, `"events[0].id"`},
		{history, `{"sessionId":"x","events":[{"id":12}]}`, `"events[0].event"`},
		{people, `{"sessionId":"x"}`, `"participants"`},
		{people, `{"sessionId":"x","participants":[{"role":"lead"}]}`, `"participants[0].id"`},
		{people, `{"participants":[]}`, `"sessionId"`},
	} {
		t.Run(test.body, func(t *testing.T) {
			s := newServer(t, answerJSON(http.StatusOK, test.body))
			err := test.call(t, s.client(t))
			var bad *coder.ResponseError
			require.ErrorAs(t, err, &bad)
			assert.Contains(t, bad.Reason, test.complain)
		})
	}
}

// endless answers with a body that goes on for 512 MiB, or until the client has had enough.
func endless(status int, announce bool) http.HandlerFunc {
	const size = 512 << 20
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if announce {
			w.Header().Set("Content-Length", fmt.Sprint(size))
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `{"sessionId":"x","label":"`)
		block := strings.Repeat("a", 1<<20)
		for range size >> 20 {
			if _, err := io.WriteString(w, block); err != nil {
				return
			}
		}
	}
}

func TestResponses_Huge(t *testing.T) {
	for name, test := range map[string]struct {
		status   int
		announce bool
	}{
		"success": {200, false}, "success, announced": {200, true}, "error": {500, false}, "error, announced": {500, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, endless(test.status, test.announce))
			c := s.client(t, coder.WithMaxResponseSize(8<<20))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := c.GetSession(t.Context(), "x")
			runtime.ReadMemStats(&after)
			// Both sides count: the server's block is 1 MiB.
			assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(40<<20), "memory stays bounded")
			if test.status == 200 {
				require.ErrorIs(t, err, coder.ErrResponseTooLarge)
				var bad *coder.ResponseError
				require.ErrorAs(t, err, &bad)
				_, err = c.CreateSession(t.Context(), coder.CreateSessionRequest{Task: "x"})
				require.ErrorIs(t, err, coder.ErrOutcomeUnknown, "the session was created, though nothing of it is known")
				_, err = c.GetReplay(t.Context(), "x", nil) // is decoded while it arrives
				require.ErrorIs(t, err, coder.ErrResponseTooLarge)
				if test.announce {
					_, err = s.client(t).GetSession(t.Context(), "x")
					require.ErrorContains(t, err, "larger than the limit of 268435456 bytes", "the default")
				}
				return
			}
			var api *coder.APIError
			require.ErrorAs(t, err, &api)
			assert.Len(t, api.Body, 64<<10)
		})
	}
}

func TestResponses_InPieces(t *testing.T) {
	var entries []string
	for i := range 3_200 {
		entries = append(entries, fmt.Sprintf(`{"type":"message","timestamp":%d,"content":"%s"}`, 1764662402000+i, strings.Repeat("x", 1000)))
	}
	body := `{"entries":[` + strings.Join(entries, ",") + `],"sessionId":"x"}`
	require.Greater(t, len(body), 3<<20)
	s := newServer(t, answerJSON(http.StatusOK, body))
	replay, err := s.client(t).GetReplay(t.Context(), "x", nil)
	require.NoError(t, err)
	assert.Len(t, replay.Entries, 3_200)
	assert.EqualValues(t, 1764662402000+3_199, replay.Entries[3_199].Timestamp.UnixMilli())

	wrong := strings.Replace(body, `"timestamp":1764662402000`, `"timestamp":"x"`, 1)
	s = newServer(t, answerJSON(http.StatusOK, wrong))
	replay, err = s.client(t).GetReplay(t.Context(), "x", nil)
	require.NoError(t, err)
	assert.Len(t, replay.Entries, 3_200)
	assert.True(t, replay.Entries[0].Timestamp.IsZero())

	var raw json.RawMessage
	require.NoError(t, s.client(t).Do(t.Context(), http.MethodGet, "/hub/session/x/replay", nil, &raw))
	assert.Equal(t, wrong, string(raw))
}
