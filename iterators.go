package coder

import (
	"cmp"
	"context"
	"iter"

	"github.com/agentuity/coder-go/internal/paging"
	"github.com/agentuity/coder-go/internal/route"
)

// pageSize is the Limit of an iterator's requests unless its params have one.
const pageSize = 100

// AllSessions returns all sessions from params.Offset on, page by page. Limit is the size of a
// page, not a maximum; 0 means 100. Nil params list what the Hub lists by default. Leaving the
// loop ends the requests; ranging again starts over.
//
// No session comes twice, and none that exists all the time is left out, if the list keeps its
// order, its total is true, and sessions are only created, or only removed, in the meantime. More
// cannot be promised: if the order changes, if the Hub does not tell the true total, or if sessions
// are created and removed between the same two pages, one may be left out. After a removal some of
// those that Offset passed over may appear. The loop ends even if the Hub ignores limit or offset;
// it then has what the Hub gave.
//
// An error is the last thing it yields, and the same as of [Client.ListSessions]. A negative
// Limit or Offset is a [*ValidationError].
//
// GET /hub/sessions
func (c *Client) AllSessions(ctx context.Context, params *ListSessionsParams) iter.Seq2[SessionListItem, error] {
	var p ListSessionsParams
	if params != nil {
		p = *params
	}
	return c.allSessions(ctx, "AllSessions", p)
}

func (c *Client) allSessions(ctx context.Context, op string, p ListSessionsParams) iter.Seq2[SessionListItem, error] {
	p.Limit = cmp.Or(p.Limit, pageSize)
	id := func(s *SessionListItem) string { return s.SessionID }
	return paging.ByOffset(p.Offset, id, func(offset int) ([]SessionListItem, int, error) {
		page := p
		page.Offset = offset
		list, err := c.listSessions(ctx, op, page)
		if err != nil {
			return nil, 0, err
		}
		return list.Sessions, list.Total, nil
	})
}

// AllConnectableSessions returns all sessions that a controller can connect to, chosen as by
// [Client.ListConnectableSessions]. That makes one request, and gets what the Hub puts on one
// page; this looks at every page. Limit is the size of a page of the Hub's list, before anything
// is filtered out; 0 means 100. Offset is the number of connectable sessions to pass over.
//
// What is promised, and the errors, are as of [Client.AllSessions].
//
// GET /hub/sessions
func (c *Client) AllConnectableSessions(ctx context.Context, params *ListConnectableSessionsParams) iter.Seq2[SessionListItem, error] {
	const op = "AllConnectableSessions"
	var p ListConnectableSessionsParams
	if params != nil {
		p = *params
	}
	all := c.allSessions(ctx, op, ListSessionsParams{Search: p.Search, IncludeArchived: true, Limit: p.Limit})
	return func(yield func(SessionListItem, error) bool) {
		if err := checkPage(op, p.Limit, p.Offset); err != nil {
			yield(SessionListItem{}, err)
			return
		}
		pass := p.Offset
		for s, err := range all {
			switch {
			case err == nil && !s.connectable():
			case err == nil && pass > 0:
				pass--
			case !yield(s, err):
				return
			}
		}
	}
}

// AllUsers returns all users of the Hub from params.Offset on, page by page. Limit is the size of
// a page, not a maximum; 0 means 100. A Hub that answers with a plain list is asked once, and may
// ignore Offset. Leaving the loop ends the requests; ranging again starts over.
//
// What is promised, and the errors, are as of [Client.AllSessions].
//
// GET /hub/users
func (c *Client) AllUsers(ctx context.Context, params *ListUsersParams) iter.Seq2[User, error] {
	var p ListUsersParams
	if params != nil {
		p = *params
	}
	p.Limit = cmp.Or(p.Limit, pageSize)
	id := func(u *User) string { return u.UserID }
	return paging.ByOffset(p.Offset, id, func(offset int) ([]User, int, error) {
		page := p
		page.Offset = offset
		list, err := c.listUsers(ctx, "AllUsers", page)
		if err != nil {
			return nil, 0, err
		}
		return list.Users, list.Total, nil
	})
}

// AllEvents returns the events of a session from the newest to the oldest, page by page. It starts
// below params.BeforeID; 0 means with the newest. Limit is the size of a page, not a maximum; 0
// means 100. Events that happen after the first page was read do not appear. No event comes twice,
// and if every page has the newest events below the one before, none is left out. The loop ends
// even if the Hub ignores limit or beforeId. Leaving it ends the requests; ranging again starts
// over.
//
// An error is the last thing it yields, and the same as of [Client.ListEventHistory]: one that
// matches [ErrSessionNotFound] also if the session is deleted in between.
//
// GET /hub/session/{sessionId}/events/history
func (c *Client) AllEvents(ctx context.Context, sessionID string, params *ListEventHistoryParams) iter.Seq2[SessionEvent, error] {
	var p ListEventHistoryParams
	if params != nil {
		p = *params
	}
	id := func(e *SessionEvent) int { return e.ID }
	return paging.Before(p.BeforeID, id, func(before int) ([]SessionEvent, error) {
		var q route.Query
		q.Int("limit", cmp.Or(p.Limit, pageSize)).Int("beforeId", before)
		history, err := call[SessionEventHistory](ctx, c,
			get("AllEvents", "/hub/session/{sessionID}/events/history", sessionID).with(&q))
		if err != nil {
			return nil, err
		}
		return history.Events, nil
	})
}
