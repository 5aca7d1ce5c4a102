package promises

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// consequences are what a feature of the library makes of a Hub that breaks a promise: what Otherwise says.
var consequences = map[string]struct {
	lie  func(l *liar, r *http.Request) (*http.Response, error)
	then func(t *testing.T, hub *codertest.Hub, client *coder.Client)
}{
	"sessions-limit": {
		lie: func(l *liar, r *http.Request) (*http.Response, error) { return l.without(r, "limit") },
		then: func(t *testing.T, _ *codertest.Hub, client *coder.Client) {
			assert.Equal(t, 4, sessions(t, client, &coder.ListSessionsParams{Limit: 1}), "all of them, from one page")
		},
	},
	"sessions-offset": {
		lie: func(l *liar, r *http.Request) (*http.Response, error) { return l.without(r, "offset") },
		then: func(t *testing.T, _ *codertest.Hub, client *coder.Client) {
			assert.Equal(t, 2, sessions(t, client, &coder.ListSessionsParams{Limit: 2}), "those of the first page")
		},
	},
	"sessions-total": {
		lie: func(l *liar, r *http.Request) (*http.Response, error) {
			if is(r, "GET", "s") {
				return l.changed(r, func(body object) { body["total"] = len(sessionsOf(body)) })
			}
			return l.honest.RoundTrip(r)
		},
		then: func(t *testing.T, _ *codertest.Hub, client *coder.Client) {
			assert.Equal(t, 2, sessions(t, client, &coder.ListSessionsParams{Limit: 2}), "it ends early")
		},
	},
	"sessions-tell": {
		lie: func(l *liar, r *http.Request) (*http.Response, error) {
			return l.changed(r, func(body object) { only(body, func(s object) bool { delete(s, "bucket"); return true }) })
		},
		then: func(t *testing.T, _ *codertest.Hub, client *coder.Client) {
			list, err := client.ListConnectableSessions(t.Context(), nil)
			require.NoError(t, err)
			assert.Empty(t, list.Sessions, "they are left out")
		},
	},
	"search-metadata": {
		lie: func(l *liar, r *http.Request) (*http.Response, error) {
			if is(r, "GET", "s") {
				return l.with(r, func(q url.Values) { q.Set("search", "nothing of this") })
			}
			return l.honest.RoundTrip(r)
		},
		then: func(t *testing.T, _ *codertest.Hub, client *coder.Client) {
			for range 2 {
				ensured, err := client.EnsureSession(t.Context(), "one key", coder.CreateSessionRequest{Task: "x"}, nil)
				require.NoError(t, err)
				assert.True(t, ensured.Created, "one key, many sessions")
			}
		},
	},
	"search-selects": {
		lie: func(l *liar, r *http.Request) (*http.Response, error) { return l.without(r, "search") },
		then: func(t *testing.T, hub *codertest.Hub, client *coder.Client) {
			_, err := client.EnsureSession(t.Context(), "one key", coder.CreateSessionRequest{Task: "x"}, nil)
			require.NoError(t, err)
			read := make(map[string]bool)
			for _, r := range hub.Requests() {
				if r.Route == "/hub/session/{id}" {
					read[r.Path] = true
				}
			}
			assert.Len(t, read, 5, "it reads every session, and the one that it creates")
		},
	},
	"users-offset": {
		lie: func(l *liar, r *http.Request) (*http.Response, error) { return l.without(r, "offset") },
		then: func(t *testing.T, hub *codertest.Hub, client *coder.Client) {
			for range 5 {
				hub.AddUser(codertest.User{})
			}
			n := 0
			for _, err := range client.AllUsers(t.Context(), &coder.ListUsersParams{Limit: 2}) {
				require.NoError(t, err)
				n++
			}
			assert.Equal(t, 2, n, "those of the first page")
		},
	},
	"created-ready": {
		lie: func(l *liar, r *http.Request) (*http.Response, error) {
			if is(r, "GET", "/*") {
				return l.changed(r, func(body object) { body["runtimeAvailable"], body["status"] = false, "provisioning" })
			}
			return l.honest.RoundTrip(r)
		},
		then: func(t *testing.T, _ *codertest.Hub, client *coder.Client) {
			created, err := client.CreateSession(t.Context(), coder.CreateSessionRequest{Task: "x"})
			require.NoError(t, err)
			began := time.Now()
			_, err = client.Attach(t.Context(), created.SessionID, nil)
			require.ErrorIs(t, err, coder.ErrNotAttachable)
			assert.GreaterOrEqual(t, time.Since(began), ready)
		},
	},
	"created-found": {
		lie: func(l *liar, r *http.Request) (*http.Response, error) {
			if is(r, "GET", "/*") {
				return l.says(r, 404, `{"code":"CODER_SESSION_NOT_FOUND","message":"Unknown session"}`)
			}
			return l.honest.RoundTrip(r)
		},
		then: func(t *testing.T, _ *codertest.Hub, client *coder.Client) {
			created, err := client.CreateSession(t.Context(), coder.CreateSessionRequest{Task: "x"})
			require.NoError(t, err)
			_, err = client.Attach(t.Context(), created.SessionID, nil)
			require.ErrorIs(t, err, coder.ErrSessionNotFound)
		},
	},
	"archived-searched": {
		lie: func(l *liar, r *http.Request) (*http.Response, error) { return l.without(r, "includeArchived") },
		then: func(t *testing.T, hub *codertest.Hub, client *coder.Client) {
			for range 2 {
				ensured, err := client.EnsureSession(t.Context(), "one key", coder.CreateSessionRequest{Task: "x"}, nil)
				require.NoError(t, err)
				assert.True(t, ensured.Created, "what was done is done again")
				hub.Session(ensured.SessionID).Archive()
			}
		},
	},
	"archived-hidden": {
		lie: func(l *liar, r *http.Request) (*http.Response, error) {
			return l.with(r, func(q url.Values) { q.Set("includeArchived", "true") })
		},
		then: func(t *testing.T, hub *codertest.Hub, client *coder.Client) {
			hub.Session(hub.SessionIDs()[0]).Archive()
			assert.Equal(t, 4, sessions(t, client, nil), "one that is over is among them")
		},
	},
	"update-keeps": {
		lie: func(l *liar, r *http.Request) (*http.Response, error) {
			if is(r, "GET", "/*") && l.times("updates") > 0 {
				return l.changed(r, func(body object) { delete(body, "metadata") })
			}
			return l.honest.RoundTrip(r)
		},
		then: func(t *testing.T, _ *codertest.Hub, client *coder.Client) {
			for range 2 {
				ensured, err := client.EnsureSession(t.Context(), "one key", coder.CreateSessionRequest{Task: "x"}, nil)
				require.NoError(t, err)
				assert.True(t, ensured.Created, "it is not found again")
				_, err = client.UpdateSession(t.Context(), ensured.SessionID, coder.UpdateSessionRequest{Label: new("x")})
				require.NoError(t, err)
			}
		},
	},
	"stream-tells": {
		lie: func(l *liar, r *http.Request) (*http.Response, error) {
			if is(r, "GET", "/events") {
				return l.blocks(r, func(block string) string {
					if strings.Contains(block, "event: broadcast") {
						return ""
					}
					return block
				})
			}
			return l.honest.RoundTrip(r)
		},
		then: func(t *testing.T, hub *codertest.Hub, client *coder.Client) {
			session := hub.Session(hub.SessionIDs()[0])
			var caused time.Time
			for event, err := range client.WatchEvents(t.Context(), session.ID(), nil) {
				require.NoError(t, err)
				if event.Live {
					time.AfterFunc(40*time.Second, func() { // when it polls
						caused = time.Now()
						session.Emit(codertest.Event{Event: coder.EventTurnEnd})
					})
				}
				if event.Event == coder.EventTurnEnd {
					assert.Greater(t, time.Since(caused), 20*time.Second, "it is seen with the next poll")
					break
				}
			}
		},
	},
	"ask-answers": {
		lie: func(l *liar, r *http.Request) (*http.Response, error) {
			return l.frames(r, func(text string) (string, bool) { return text, !strings.Contains(text, "rpc_") })
		},
		then: func(t *testing.T, hub *codertest.Hub, client *coder.Client) {
			conn, err := client.Attach(t.Context(), hub.SessionIDs()[0], nil)
			require.NoError(t, err)
			defer conn.Close()
			_, err = conn.Ask(t.Context(), "another thing", nil)
			require.ErrorIs(t, err, coder.ErrOutcomeUnknown)
			assert.NotEmpty(t, hub.Session(hub.SessionIDs()[0]).Entries(), "although the agent works")
		},
	},
	"metadata-key": {
		lie: func(l *liar, r *http.Request) (*http.Response, error) {
			if is(r, "GET", "/*") {
				return l.changed(r, func(body object) { delete(body, "metadata") })
			}
			return l.honest.RoundTrip(r)
		},
		then: func(t *testing.T, _ *codertest.Hub, client *coder.Client) {
			for range 2 {
				ensured, err := client.EnsureSession(t.Context(), "one key", coder.CreateSessionRequest{Task: "x"}, nil)
				require.NoError(t, err)
				assert.True(t, ensured.Created, "it is not recognized")
			}
		},
	},
	"created-listed": {
		lie: func(l *liar, r *http.Request) (*http.Response, error) {
			switch {
			case is(r, "GET", "s"):
				return l.with(r, func(q url.Values) { q.Set("search", "nothing of this") })
			case r.Method == http.MethodPost:
				answer, err := l.honest.RoundTrip(r)
				if err == nil {
					answer.Body.Close()
				}
				return l.says(r, 502, "{}")
			}
			return l.honest.RoundTrip(r)
		},
		then: func(t *testing.T, _ *codertest.Hub, client *coder.Client) {
			_, err := client.EnsureSession(t.Context(), "one key", coder.CreateSessionRequest{Task: "x"}, nil)
			require.ErrorIs(t, err, coder.ErrOutcomeUnknown)
		},
	},
	"history-before": {
		lie: func(l *liar, r *http.Request) (*http.Response, error) { return l.without(r, "beforeId") },
		then: func(t *testing.T, hub *codertest.Hub, client *coder.Client) {
			id := long(hub)
			n := 0
			for _, err := range client.AllEventHistory(t.Context(), id, &coder.ListEventHistoryParams{Limit: 50}) {
				require.NoError(t, err)
				n++
			}
			assert.Equal(t, 50, n, "only the first page is found")
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			first, failed := watch(ctx, client, id)
			require.ErrorContains(t, failed, "the Hub does not page its history")
			assert.Zero(t, first, "and leaves nothing out silently")
		},
	},
	"history-end": {
		lie: func(l *liar, r *http.Request) (*http.Response, error) {
			if has(r, "beforeId", "1") {
				return l.without(r, "beforeId")
			}
			return l.honest.RoundTrip(r)
		},
		then: func(t *testing.T, hub *codertest.Hub, client *coder.Client) {
			n := 0
			for _, err := range client.AllEventHistory(t.Context(), long(hub), &coder.ListEventHistoryParams{Limit: 50}) {
				require.NoError(t, err)
				n++
			}
			assert.Equal(t, 301, n, "all of them, once")
		},
	},
	"missing-session": {
		lie: func(l *liar, r *http.Request) (*http.Response, error) {
			if is(r, "GET", "/*") {
				return l.says(r, 400, refused)
			}
			return l.honest.RoundTrip(r)
		},
		then: func(t *testing.T, _ *codertest.Hub, client *coder.Client) {
			_, err := client.WaitForSession(t.Context(), "codesess_missing", nil)
			require.ErrorIs(t, err, coder.ErrInvalidRequest, "it is taken for a failure")
		},
	},
	"missing-socket": {
		lie: func(l *liar, r *http.Request) (*http.Response, error) {
			return l.frames(r, func(text string) (string, bool) {
				text = strings.Replace(text, "\x11\x34", "\x11\x38", 1)
				return text, !strings.Contains(text, "connection_rejected")
			})
		},
		then: func(t *testing.T, _ *codertest.Hub, client *coder.Client) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			began := time.Now()
			_, err := client.Connect(ctx, "codesess_missing", nil)
			require.Error(t, err)
			assert.Equal(t, time.Minute, time.Since(began), "it tries until its context ends")
		},
	},
	"missing-stream": {
		lie: func(l *liar, r *http.Request) (*http.Response, error) {
			if is(r, "GET", "/events") {
				return l.says(r, 500, `{"error":"No."}`)
			}
			return l.honest.RoundTrip(r)
		},
		then: func(t *testing.T, hub *codertest.Hub, client *coder.Client) {
			for _, err := range client.StreamEvents(t.Context(), "codesess_missing", nil) {
				require.ErrorIs(t, err, coder.ErrReconnectsExceeded, "it tries again and again")
			}
		},
	},
	"socket-init": {
		lie: func(l *liar, r *http.Request) (*http.Response, error) {
			return l.frames(r, func(text string) (string, bool) { return text, !strings.Contains(text, `"type":"init"`) })
		},
		then: func(t *testing.T, hub *codertest.Hub, client *coder.Client) {
			began := time.Now()
			_, err := client.Connect(t.Context(), hub.SessionIDs()[0], &coder.HubConnectOptions{Role: coder.RoleController})
			require.Error(t, err)
			assert.Equal(t, 30*time.Second, time.Since(began), "the HandshakeTimeout")
		},
	},
	"update-repeats": {
		lie: lost(http.MethodPatch, 409, conflict),
		then: func(t *testing.T, hub *codertest.Hub, client *coder.Client) {
			_, err := client.UpdateSession(t.Context(), hub.SessionIDs()[0], coder.UpdateSessionRequest{Label: new("x")})
			require.ErrorIs(t, err, coder.ErrSessionConflict)
			assert.Equal(t, "x", hub.Session(hub.SessionIDs()[0]).Label(), "it had worked")
		},
	},
	"archive-repeats": {
		lie: lost(http.MethodPost, 409, conflict),
		then: func(t *testing.T, hub *codertest.Hub, client *coder.Client) {
			_, err := client.ArchiveSession(t.Context(), hub.SessionIDs()[0])
			require.ErrorIs(t, err, coder.ErrSessionConflict)
			assert.True(t, hub.Session(hub.SessionIDs()[0]).Archived(), "it had worked")
		},
	},
	"resume-repeats": {
		lie: lost(http.MethodPost, 409, conflict),
		then: func(t *testing.T, hub *codertest.Hub, client *coder.Client) {
			_, err := client.ResumeSession(t.Context(), hub.SessionIDs()[0])
			require.ErrorIs(t, err, coder.ErrSessionConflict, "it is reported as declined")
		},
	},
	"delete-repeats": {
		lie: lost(http.MethodDelete, 409, conflict),
		then: func(t *testing.T, hub *codertest.Hub, client *coder.Client) {
			require.ErrorIs(t, client.DeleteSession(t.Context(), hub.SessionIDs()[0]), coder.ErrConflict)
			assert.Len(t, hub.SessionIDs(), 3, "it had worked")
		},
	},
	"archive-ends": {
		lie: func(l *liar, r *http.Request) (*http.Response, error) {
			if is(r, "GET", "/*") {
				return l.changed(r, func(body object) { body["status"], body["historyOnly"] = "active", false })
			}
			return l.honest.RoundTrip(r)
		},
		then: func(t *testing.T, hub *codertest.Hub, client *coder.Client) {
			hub.Session(hub.SessionIDs()[0]).Archive()
			outcome, err := client.CheckSession(t.Context(), hub.SessionIDs()[0])
			require.NoError(t, err)
			assert.NotEqual(t, coder.OutcomeArchived, outcome.Kind)
		},
	},
	"replay-stable": {
		lie: func(l *liar, r *http.Request) (*http.Response, error) {
			if l.nth("replays") == 1 {
				return l.honest.RoundTrip(r) // it is cut
			}
			return l.changed(r, func(body object) { body["entries"] = body["entries"].([]any)[1:] })
		},
		then: func(t *testing.T, hub *codertest.Hub, client *coder.Client) {
			id := hub.SessionIDs()[0]
			for range 50 {
				hub.Session(id).AddReplayEntries(codertest.ReplayEntry{Type: coder.EntryMessage, Content: strings.Repeat("x", 10000)})
			}
			hub.Inject(codertest.Fault{Route: "/hub/session/{id}/replay", Cut: codertest.CutMidBody})
			var failed error
			for _, err := range client.ReplayEntries(t.Context(), id, nil) {
				failed = err
			}
			require.ErrorContains(t, failed, "the transcript has changed since the connection was lost")
		},
	},
	"replay-answers": {
		lie: func(l *liar, r *http.Request) (*http.Response, error) {
			switch {
			case is(r, "GET", "/replay"):
				return l.changed(r, func(body object) { keep(body, "entries", func(e object) bool { return e["type"] != "message" }) })
			case is(r, "GET", "/events/history") && has(r, "limit", "10"): // where the answer is looked for
				return l.changed(r, func(body object) { body["events"] = []any{} })
			}
			return l.honest.RoundTrip(r)
		},
		then: func(t *testing.T, _ *codertest.Hub, client *coder.Client) {
			result, err := client.RunSession(t.Context(), "one key", coder.CreateSessionRequest{Task: "x"}, nil)
			require.NoError(t, err)
			assert.Empty(t, result.Answer)
		},
	},
	"resume-declined": {
		lie: func(l *liar, r *http.Request) (*http.Response, error) {
			if is(r, "POST", "/resume") {
				return l.says(r, 200, `{"sessionId":"`+strings.Split(r.URL.Path, "/")[4]+`","resumed":true}`)
			}
			return l.honest.RoundTrip(r)
		},
		then: func(t *testing.T, hub *codertest.Hub, client *coder.Client) {
			id := hub.SessionIDs()[0]
			hub.Session(id).Pause()
			began := time.Now()
			_, err := client.Attach(t.Context(), id, nil)
			require.ErrorIs(t, err, coder.ErrNotAttachable)
			assert.GreaterOrEqual(t, time.Since(began), 30*time.Second, "it waits for a session that never wakes")
		},
	},
	"history-prompts": {
		lie: func(l *liar, r *http.Request) (*http.Response, error) {
			if is(r, "GET", "/events/history") {
				return l.changed(r, func(body object) {
					keep(body, "events", func(e object) bool { return message(e)["role"] != "user" && e["event"] != "input" })
				})
			}
			return l.honest.RoundTrip(r)
		},
		then: func(t *testing.T, hub *codertest.Hub, client *coder.Client) {
			created, err := client.CreateSession(t.Context(), coder.CreateSessionRequest{Task: "x"})
			require.NoError(t, err)
			conn, err := client.Attach(t.Context(), created.SessionID, nil)
			require.NoError(t, err)
			defer conn.Close()
			receipt, err := conn.Submit(t.Context(), "another thing")
			require.NoError(t, err)
			_, err = client.Answer(t.Context(), receipt)
			require.ErrorIs(t, err, coder.ErrOutcomeUnknown)
		},
	},
}

// lost loses the answer to the first request of a method that has had its effect, and answers the second otherwise.
func lost(method string, status int, body string) func(l *liar, r *http.Request) (*http.Response, error) {
	return func(l *liar, r *http.Request) (*http.Response, error) {
		if r.Method != method {
			return l.honest.RoundTrip(r)
		}
		if l.nth("requests") > 1 {
			return l.says(r, status, body)
		}
		answer, err := l.honest.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		answer.Body.Close()
		return nil, errors.New("the connection was lost")
	}
}

func sessions(t *testing.T, client *coder.Client, params *coder.ListSessionsParams) int {
	t.Helper()
	n := 0
	for _, err := range client.AllSessions(t.Context(), params) {
		require.NoError(t, err)
		n++
	}
	return n
}

// long makes a session with a history of 301 events.
func long(hub *codertest.Hub) string {
	session := hub.Session(hub.SessionIDs()[0])
	for range 300 {
		session.Emit(codertest.Event{Event: coder.EventToolCall})
	}
	return session.ID()
}

// watch returns the id of the first event that WatchEvents yields, and how it ends.
func watch(ctx context.Context, client *coder.Client, id string) (first int, failed error) {
	for event, err := range client.WatchEvents(ctx, id, &coder.WatchEventsOptions{NoStream: true}) {
		if err != nil {
			return first, err
		}
		if first == 0 {
			first = event.ID
		}
	}
	return first, nil
}

// TestOtherwise shows that the library does what the list says of a Hub that breaks a promise.
func TestOtherwise(t *testing.T) {
	for name, c := range consequences {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hub := codertest.NewHub(codertest.WithInMemoryNetwork(), codertest.WithAgentVersion("1.6.0"))
				defer hub.Close()
				for range 4 {
					hub.AddSession(codertest.Session{Task: "An older session"})
				}
				transport := &liar{hub: hub, honest: hub.HTTPClient().Transport, lie: c.lie, seen: make(map[string]int)}
				client, err := hub.NewClient(coder.WithHTTPClient(&http.Client{Transport: transport}))
				require.NoError(t, err)
				c.then(t, hub, client)
			})
		})
	}
}
