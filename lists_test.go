package coder_test

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// iteratorMethods are the methods of Client that range over pages. Here they are left after the
// first page.
var iteratorMethods = []methodCase{
	{
		name: "AllSessions", route: "GET /api/hub/sessions?search=auth&includeArchived=true&limit=20",
		sample: "responses/sessions-list.json", want: "sessions",
		call: func(ctx context.Context, c *coder.Client, _ string) (any, error) {
			params := coder.ListSessionsParams{Search: "auth", IncludeArchived: true, Limit: 20}
			all, err := take(c.AllSessions(ctx, &params), 6)
			if err != nil {
				return nil, err
			}
			return &coder.SessionListResponse{Sessions: all, Total: len(all)}, nil
		},
	},
	{
		name: "AllConnectableSessions", route: "GET /api/hub/sessions?search=auth&includeArchived=true&limit=100",
		sample: "responses/sessions-list-empty.json", want: "sessions",
		call: func(ctx context.Context, c *coder.Client, _ string) (any, error) {
			all, err := take(c.AllConnectableSessions(ctx, &coder.ListConnectableSessionsParams{Search: "auth"}), 6)
			if err != nil {
				return nil, err
			}
			return &coder.SessionListResponse{Sessions: all, Total: len(all)}, nil
		},
	},
	{
		name: "AllUsers", route: "GET /api/hub/users?search=a&limit=10&offset=3",
		sample: "responses/users-list-array.json", want: "users",
		call: func(ctx context.Context, c *coder.Client, _ string) (any, error) {
			all, err := take(c.AllUsers(ctx, &coder.ListUsersParams{Search: "a", Limit: 10, Offset: 3}), 6)
			if err != nil {
				return nil, err
			}
			return &coder.ListUsersResponse{Users: all, Total: len(all)}, nil
		},
	},
	{
		name:   "AllEventHistory",
		route:  "GET /api/hub/session/ID/events/history?limit=3&beforeId=1240",
		sample: "responses/session-events-history.json", wrapper: "events",
		call: func(ctx context.Context, c *coder.Client, id string) (any, error) {
			return take(c.AllEventHistory(ctx, id, &coder.ListEventHistoryParams{Limit: 3, BeforeID: 1240}), 3)
		},
	},
}

// pager is one of the four iterators over a list of eight on a Hub, by what identifies an element.
type pager struct {
	name, route string

	fill func(t *testing.T, hub *codertest.Hub, c *coder.Client) (ids []string) // in the order of the list
	all  func(ctx context.Context, c *coder.Client, ids []string, limit, offset int) iter.Seq2[string, error]
}

var pagers = []pager{
	{
		"AllSessions", "/hub/sessions", fillSessions,
		func(ctx context.Context, c *coder.Client, _ []string, limit, offset int) iter.Seq2[string, error] {
			return named(c.AllSessions(ctx, &coder.ListSessionsParams{Limit: limit, Offset: offset}), sessionID)
		},
	},
	{
		"AllConnectableSessions", "/hub/sessions",
		func(t *testing.T, hub *codertest.Hub, c *coder.Client) []string {
			ids := fillSessions(t, hub, c)
			for _, id := range ids {
				hub.Session(id).SetStatus("active")
			}
			return ids
		},
		func(ctx context.Context, c *coder.Client, _ []string, limit, offset int) iter.Seq2[string, error] {
			params := coder.ListConnectableSessionsParams{Limit: limit, Offset: offset}
			return named(c.AllConnectableSessions(ctx, &params), sessionID)
		},
	},
	{
		"AllUsers", "/hub/users",
		func(_ *testing.T, hub *codertest.Hub, _ *coder.Client) (ids []string) {
			for range 8 {
				ids = append(ids, hub.AddUser(codertest.User{}))
			}
			return ids
		},
		func(ctx context.Context, c *coder.Client, _ []string, limit, offset int) iter.Seq2[string, error] {
			params := coder.ListUsersParams{Limit: limit, Offset: offset}
			return named(c.AllUsers(ctx, &params), func(u *coder.User) string { return u.UserID })
		},
	},
	{
		"AllEventHistory", "/hub/session/{id}/events/history",
		func(t *testing.T, hub *codertest.Hub, c *coder.Client) (ids []string) {
			session := hub.Session(newSession(t, c))
			events, err := c.ListEventHistory(t.Context(), session.ID(), nil)
			require.NoError(t, err)
			for range 8 - len(events.Events) {
				session.Emit(codertest.Event{Event: "turn_end"})
			}
			for id := range 8 {
				ids = append(ids, fmt.Sprint(session.ID(), " ", 8-id))
			}
			return ids
		},
		func(ctx context.Context, c *coder.Client, ids []string, limit, offset int) iter.Seq2[string, error] {
			session, _, _ := strings.Cut(ids[0], " ")
			params := coder.ListEventHistoryParams{Limit: limit}
			if offset != 0 {
				params.BeforeID = 9 - offset
			}
			return named(c.AllEventHistory(ctx, session, &params), func(e *coder.SessionEvent) string {
				return fmt.Sprint(session, " ", e.ID)
			})
		},
	},
}

func sessionID(s *coder.SessionListItem) string { return s.SessionID }

func fillSessions(t *testing.T, hub *codertest.Hub, c *coder.Client) []string {
	t.Helper()
	for range 8 {
		newSession(t, c)
	}
	ids := hub.SessionIDs()
	slices.Reverse(ids)
	return ids
}

func named[T any](all iter.Seq2[T, error], name func(*T) string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for v, err := range all {
			id := ""
			if err == nil {
				id = name(&v)
			}
			if !yield(id, err) {
				return
			}
		}
	}
}

// outcome is all that an iterator yielded. An error must be the last of it, with the zero value.
func outcome(t *testing.T, all iter.Seq2[string, error]) (ids []string, last error) {
	t.Helper()
	for id, err := range all {
		require.NoError(t, last, "nothing comes after an error")
		if last = err; err == nil {
			ids = append(ids, id)
		} else {
			assert.Empty(t, id)
		}
	}
	return ids, last
}

func eachPager(t *testing.T, test func(t *testing.T, hub *codertest.Hub, c *coder.Client, p pager, ids []string)) {
	for _, p := range pagers {
		t.Run(p.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, hub *codertest.Hub) {
				c := hubClient(t, hub)
				test(t, hub, c, p, p.fill(t, hub, c))
			})
		})
	}
}

func TestLists_Pages(t *testing.T) {
	eachPager(t, func(t *testing.T, hub *codertest.Hub, c *coder.Client, p pager, ids []string) {
		for _, offset := range []int{0, 3} {
			onHub := 8 - offset
			if p.name == "AllConnectableSessions" {
				onHub = 8 // the offset is not the Hub's
			}
			for limit, requests := range map[int]int{0: 1, 1: onHub, 3: (onHub + 2) / 3, 8: 1, 9: 1} {
				all := p.all(t.Context(), c, ids, limit, offset)
				for range 2 { // ranging again starts over
					before := len(hub.Requests())
					got, err := outcome(t, all)
					require.NoError(t, err)
					assert.Equal(t, ids[offset:], got)
					sent := queries(t, hub, before)
					assert.Len(t, sent, requests, "limit %d, offset %d", limit, offset)
					for _, query := range sent {
						want := fmt.Sprint(limit)
						if limit == 0 {
							want = "100"
						}
						assert.Equal(t, want, query.Get("limit"), "the size of a page")
					}
				}
			}
		}
	})
}

func TestLists_Break(t *testing.T) {
	eachPager(t, func(t *testing.T, hub *codertest.Hub, c *coder.Client, p pager, ids []string) {
		all := p.all(t.Context(), c, ids, 2, 0)
		for n, requests := range map[int]int{1: 1, 2: 1, 3: 2, 4: 2, 5: 3} {
			before := len(hub.Requests())
			got, err := take(all, n)
			require.NoError(t, err)
			assert.Equal(t, ids[:n], got)
			assert.Len(t, hub.Requests()[before:], requests, "left after %d", n)
		}
	})
}

func TestLists_Errors(t *testing.T) {
	eachPager(t, func(t *testing.T, hub *codertest.Hub, c *coder.Client, p pager, ids []string) {
		hub.Inject(codertest.Fault{Route: p.route, Skip: 2, Status: http.StatusForbidden})
		got, err := outcome(t, p.all(t.Context(), c, ids, 2, 0))
		assert.Equal(t, ids[:4], got)
		require.ErrorIs(t, err, coder.ErrForbidden)
		var api *coder.APIError
		require.ErrorAs(t, err, &api)
		assert.Equal(t, p.name, api.Operation)

		hub.Inject(codertest.Fault{Route: p.route, Skip: 1, Count: 2, Status: http.StatusBadGateway})
		got, err = outcome(t, p.all(t.Context(), c, ids, 2, 0))
		require.NoError(t, err, "a page is asked for again as every GET is")
		assert.Equal(t, ids, got)

		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		before := len(hub.Requests())
		got, err = nil, nil
		for id, e := range p.all(ctx, c, ids, 2, 0) {
			require.NoError(t, err, "nothing comes after an error")
			if err = e; e == nil {
				got = append(got, id)
			}
			if len(got) == 3 {
				cancel()
			}
		}
		require.ErrorIs(t, err, context.Canceled)
		assert.Equal(t, ids[:4], got, "what has arrived is not lost")
		assert.Len(t, hub.Requests()[before:], 2)
	})
}

func TestLists_BadArguments(t *testing.T) {
	s := newServer(t, answerJSON(http.StatusOK, "{}"))
	c, ctx := s.client(t), t.Context()
	user := func(u *coder.User) string { return u.UserID }
	event := func(e *coder.SessionEvent) string { return e.Event }
	for _, row := range []struct {
		method, field string
		all           iter.Seq2[string, error]
	}{
		{"AllSessions", "limit", named(c.AllSessions(ctx, &coder.ListSessionsParams{Limit: -1}), sessionID)},
		{"AllSessions", "offset", named(c.AllSessions(ctx, &coder.ListSessionsParams{Offset: -1}), sessionID)},
		{"AllConnectableSessions", "limit", named(c.AllConnectableSessions(ctx, &coder.ListConnectableSessionsParams{Limit: -1}), sessionID)},
		{"AllConnectableSessions", "offset", named(c.AllConnectableSessions(ctx, &coder.ListConnectableSessionsParams{Offset: -1}), sessionID)},
		{"AllUsers", "limit", named(c.AllUsers(ctx, &coder.ListUsersParams{Limit: -1}), user)},
		{"AllUsers", "offset", named(c.AllUsers(ctx, &coder.ListUsersParams{Offset: -1}), user)},
		{"AllEventHistory", "limit", named(c.AllEventHistory(ctx, "s", &coder.ListEventHistoryParams{Limit: -1}), event)},
		{"AllEventHistory", "beforeId", named(c.AllEventHistory(ctx, "s", &coder.ListEventHistoryParams{BeforeID: -1}), event)},
		{"AllEventHistory", "sessionID", named(c.AllEventHistory(ctx, "", nil), event)},
	} {
		got, err := outcome(t, row.all)
		var invalid *coder.ValidationError
		require.ErrorAs(t, err, &invalid, "%s %s", row.method, row.field)
		assert.Equal(t, row.method, invalid.Operation)
		assert.Equal(t, row.field, invalid.Field)
		assert.Empty(t, got)
	}
	assert.Empty(t, s.seen(), "nothing is sent")
}

// TestLists_WithoutParams: nil params are the zero params.
func TestLists_WithoutParams(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		c := hubClient(t, hub)
		id := newSession(t, c)
		hub.Session(id).SetStatus("active")
		user := hub.AddUser(codertest.User{})
		sessions, err := take(c.AllSessions(t.Context(), nil), 9)
		require.NoError(t, err)
		require.Len(t, sessions, 1)
		assert.Equal(t, id, sessions[0].SessionID)
		sessions, err = take(c.AllConnectableSessions(t.Context(), nil), 9)
		require.NoError(t, err)
		require.Len(t, sessions, 1)
		users, err := take(c.AllUsers(t.Context(), nil), 9)
		require.NoError(t, err)
		require.Len(t, users, 1)
		assert.Equal(t, user, users[0].UserID)
		events, err := take(c.AllEventHistory(t.Context(), id, nil), 99)
		require.NoError(t, err)
		assert.NotEmpty(t, events)
	})
}

// TestLists_ParamsAreCopied: the caller may use them for something else.
func TestLists_ParamsAreCopied(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		c := hubClient(t, hub)
		ids := fillSessions(t, hub, c)
		params := coder.ListSessionsParams{Limit: 3}
		all := c.AllSessions(t.Context(), &params)
		params.Limit, params.Offset = 1, 5
		got, err := outcome(t, named(all, sessionID))
		require.NoError(t, err)
		assert.Equal(t, ids, got)
		assert.Equal(t, coder.ListSessionsParams{Limit: 1, Offset: 5}, params)
	})
}

// TestLists_OnAHubThatDoesNotPage: it answers with the same, whatever it is asked for.
func TestLists_OnAHubThatDoesNotPage(t *testing.T) {
	for _, row := range []struct {
		pager, body string
		requests    int
		got         []string
	}{
		{"AllSessions", `{"sessions":{"websocket":[{"sessionId":"a"},{"sessionId":"b"}],"sandbox":[]},"total":2}`, 1, []string{"a", "b"}},
		{"AllSessions", `{"sessions":{"websocket":[{"sessionId":"a"},{"sessionId":"b"}],"sandbox":[]},"total":50}`, 2, []string{"a", "b"}},
		{"AllSessions", `{"sessions":{"websocket":[{"sessionId":"a"},{"sessionId":"b"}],"sandbox":[]}}`, 2, []string{"a", "b"}},
		{"AllSessions", `{"sessions":{"websocket":[],"sandbox":[]},"total":50}`, 1, nil},
		{"AllConnectableSessions", `{"sessions":{"websocket":[{"sessionId":"a"},{"sessionId":"b","mode":"sandbox","bucket":"running"}],"sandbox":[]}}`, 2, []string{"b"}},
		{"AllUsers", `[{"userId":"a"},{"userId":"b"},{"userId":"c"}]`, 1, []string{"a", "b", "c"}},
		{"AllUsers", `{"users":[{"userId":"a"},{"userId":"b"}]}`, 2, []string{"a", "b"}},
		{"AllUsers", `[]`, 1, nil},
		{
			"AllEventHistory", `{"sessionId":"s","events":[{"id":7,"event":"a"},{"id":9,"event":"a"},{"id":8,"event":"a"},{"id":9,"event":"a"}]}`,
			2, []string{"s 9", "s 8", "s 7"},
		},
		{"AllEventHistory", `{"sessionId":"s","events":[]}`, 1, nil},
	} {
		t.Run(row.pager, func(t *testing.T) {
			bubble(t, func(t *testing.T, hub *codertest.Hub) {
				p := pagers[slices.IndexFunc(pagers, func(p pager) bool { return p.name == row.pager })]
				hub.Inject(codertest.Fault{Count: -1, Body: []byte(row.body)})
				got, err := outcome(t, p.all(t.Context(), hubClient(t, hub), []string{"s 1"}, 2, 0))
				require.NoError(t, err)
				assert.Equal(t, row.got, got)
				assert.Len(t, hub.Requests(), row.requests, "%s", row.body)
			})
		})
	}
}
