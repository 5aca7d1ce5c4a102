package coder_test

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// TestAllSessions_WhileTheyChange: between any two sessions that the loop gets, some are created,
// or some are archived or deleted. None comes twice, and none is missed that was there throughout.
func TestAllSessions_WhileTheyChange(t *testing.T) {
	for _, grow := range []bool{true, false} {
		t.Run(map[bool]string{true: "created", false: "removed"}[grow], func(t *testing.T) {
			for seed := range uint64(50) {
				bubble(t, func(t *testing.T, hub *codertest.Hub) {
					rng := rand.New(rand.NewPCG(seed, 0))
					c := hubClient(t, hub)
					for range rng.IntN(25) {
						newSession(t, c)
					}
					stayed := hub.SessionIDs()
					limit, budget := 1+rng.IntN(7), rng.IntN(30)
					change := func() {
						if grow {
							newSession(t, c)
							return
						}
						if len(stayed) == 0 {
							return
						}
						at := rng.IntN(len(stayed))
						if id := stayed[at]; rng.IntN(2) == 0 {
							hub.Session(id).Archive()
						} else {
							require.NoError(t, c.DeleteSession(t.Context(), id))
						}
						stayed = slices.Delete(stayed, at, at+1)
					}
					got := make(map[string]bool)
					for s, err := range c.AllSessions(t.Context(), &coder.ListSessionsParams{Limit: limit}) {
						require.NoError(t, err, "seed %d", seed)
						require.False(t, got[s.SessionID], "seed %d: %s comes twice", seed, s.SessionID)
						got[s.SessionID] = true
						for n := rng.IntN(4); n > 0 && budget > 0; n, budget = n-1, budget-1 {
							change()
						}
					}
					for _, id := range stayed {
						require.True(t, got[id], "seed %d: %s is missed", seed, id)
					}
					require.Less(t, len(hub.Requests()), 400, "seed %d", seed)
				})
			}
		})
	}
}

// TestAllSessions_DeletingWhatItYields: the loop that empties a Hub.
func TestAllSessions_DeletingWhatItYields(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		c := hubClient(t, hub)
		for range 50 {
			newSession(t, c)
		}
		for s, err := range c.AllSessions(t.Context(), &coder.ListSessionsParams{Limit: 7}) {
			require.NoError(t, err)
			require.NoError(t, c.DeleteSession(t.Context(), s.SessionID))
		}
		assert.Empty(t, hub.SessionIDs())
	})
}

// TestAllConnectableSessions compares with the method that makes one request.
func TestAllConnectableSessions(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		c := hubClient(t, hub)
		rng := rand.New(rand.NewPCG(1, 1))
		statuses := []string{"active", "paused", "archived", "shutdown", "creating", "failed"}
		for range 40 {
			hub.Session(newSession(t, c)).SetStatus(statuses[rng.IntN(len(statuses))])
		}
		for _, id := range hub.SessionIDs() {
			if rng.IntN(5) == 0 {
				hub.Session(id).SetMode("tui")
			}
		}
		list, err := c.ListConnectableSessions(t.Context(), nil)
		require.NoError(t, err)
		require.NotEmpty(t, list.Sessions)
		require.Less(t, list.Total, 30)
		before := len(hub.Requests())
		for offset := range list.Total + 2 {
			for _, limit := range []int{0, 1, 7, 40} {
				all := c.AllConnectableSessions(t.Context(), &coder.ListConnectableSessionsParams{Limit: limit, Offset: offset})
				got, err := take(all, 99)
				require.NoError(t, err)
				require.True(t, slices.EqualFunc(list.Sessions[min(offset, list.Total):], got, func(a, b coder.SessionListItem) bool {
					return a.SessionID == b.SessionID
				}), "limit %d, offset %d", limit, offset)
			}
		}
		for _, query := range queries(t, hub, before) {
			assert.Equal(t, "true", query.Get("includeArchived"))
		}
	})
}

// TestDeleteSession_LostAnswer: the second attempt meets the work of the first, which is success.
func TestDeleteSession_LostAnswer(t *testing.T) {
	for name, fault := range map[string]codertest.Fault{
		"lost": {Cut: codertest.CutAfterEffect}, "502": {Status: 502, Effect: true}, "503": {Status: 503, Effect: true},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, hub *codertest.Hub) {
				c := hubClient(t, hub)
				id := newSession(t, c)
				fault.Method = http.MethodDelete
				hub.Inject(fault)
				require.NoError(t, c.DeleteSession(t.Context(), id))
				require.ErrorIs(t, c.DeleteSession(t.Context(), id), coder.ErrSessionNotFound, "without a lost answer it is an error")

				id = newSession(t, c)
				fault.Method = http.MethodPost
				fault.Route = "/hub/session/{id}/archive"
				hub.Inject(fault)
				hub.Inject(codertest.Fault{
					Method: fault.Method, Route: fault.Route, Status: http.StatusGone,
					Body: []byte(`{"code":"CODER_SESSION_ARCHIVED"}`),
				})
				response, err := c.ArchiveSession(t.Context(), id)
				require.NoError(t, err)
				assert.Equal(t, "archived", response.Status)
				assert.Equal(t, id, response.SessionID)
			})
		})
	}
	t.Run("a 404 that is not the Hub's proves nothing", func(t *testing.T) {
		bubble(t, func(t *testing.T, hub *codertest.Hub) {
			c := hubClient(t, hub)
			id := newSession(t, c)
			hub.Inject(codertest.Fault{Status: 502})
			hub.Inject(codertest.Fault{Status: 404, Body: []byte("default backend"), Header: http.Header{"Content-Type": {"text/plain"}}})
			err := c.DeleteSession(t.Context(), id)
			require.ErrorIs(t, err, coder.ErrNotFound)
			require.NotErrorIs(t, err, coder.ErrSessionNotFound)
			assert.Contains(t, err.Error(), "check the URL")
		})
	})
}

func TestListConnectableSessions(t *testing.T) {
	page := strings.Replace(sample(t, "responses/sessions-list.json"), `"sessions": {`, `"sessions": {"x": 0,`, 1)
	s := newServer(t, answerJSON(http.StatusOK, page))
	list, err := s.client(t).ListConnectableSessions(t.Context(), &coder.ListConnectableSessionsParams{Limit: 2, Offset: 1})
	require.NoError(t, err)
	var ids []string
	for _, item := range list.Sessions {
		ids = append(ids, item.SessionID)
	}
	assert.Equal(t, []string{"codesess_5b10de88a2c4", "codesess_c04d17be52a9"}, ids)
	assert.Equal(t, []int{3, 2, 1}, []int{list.Total, list.Limit, list.Offset})
	list, err = s.client(t).ListConnectableSessions(t.Context(), &coder.ListConnectableSessionsParams{Offset: 7})
	require.NoError(t, err)
	assert.Empty(t, list.Sessions)

	archived := newServer(t, answerJSON(http.StatusOK, `{"sessions":{"websocket":[
		{"sessionId":"a","mode":"sandbox","bucket":"running","status":"archived"},
		{"sessionId":"b","mode":"sandbox","bucket":"running","status":"active"}],"sandbox":[]},"total":2}`))
	list, err = archived.client(t).ListConnectableSessions(t.Context(), nil)
	require.NoError(t, err)
	assert.Len(t, list.Sessions, 1, "an archived session is left out, whatever else it says")
}

func TestSessionOrigin(t *testing.T) {
	for _, text := range []string{`"web"`, `{"type":"sdk"}`, `{"type":"sdk","client":"go"}`} {
		var o coder.SessionOrigin
		require.NoError(t, json.Unmarshal([]byte(text), &o))
		assert.Contains(t, []string{"web", "sdk"}, o.Type)
		out, err := json.Marshal(o)
		require.NoError(t, err)
		assert.JSONEq(t, text, string(out))
	}
}
