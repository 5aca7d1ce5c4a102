package promises

import (
	"context"
	"slices"

	"github.com/agentuity/coder-go"
)

func lists() []Promise {
	return []Promise{
		{
			Name: "sessions-limit", Belief: "A list of sessions has at most as many as limit says.",
			Needs: "AllSessions", Otherwise: "A page holds everything: memory is not bounded by it.",
			check: (*run).sessionsLimit,
		},
		{
			Name: "sessions-offset", Belief: "offset passes over as many sessions of the same list.",
			Needs: "AllSessions, EnsureSession", Otherwise: "Sessions beyond the first page are not found: EnsureSession may create a second one.",
			check: (*run).sessionsOffset,
		},
		{
			Name: "sessions-order", Belief: "Two equal requests list sessions in the same order.",
			Needs: "AllSessions", Otherwise: "A session may be missed between two pages.",
			check: (*run).sessionsOrder,
		},
		{
			Name: "sessions-total", Belief: "total counts all sessions that match, not those of the page.",
			Needs: "AllSessions", Otherwise: "It ends early, after as many sessions as total says.",
			check: (*run).sessionsTotal,
		},
		{
			Name: "sessions-tell", Belief: "A listed session names its mode and its bucket.",
			Needs: "ListConnectableSessions", Otherwise: "Sessions that could be attached to are left out.",
			check: (*run).sessionsTell,
		},
		{
			Name: "search-selects", Belief: "search leaves out what does not have the text.",
			Needs: "EnsureSession", Otherwise: "It reads every session there is, with each call.",
			check: (*run).searchSelects,
		},
		{
			Name: "users-offset", Belief: "offset passes over as many users, or all of them come as a plain list.",
			Needs: "AllUsers", Otherwise: "Users beyond the first page are not found.",
			check: (*run).usersOffset,
		},
	}
}

const noSecond = "it takes two sessions, and there are fewer"

// list is a page of all sessions.
func (r *run) list(ctx context.Context, limit, offset int) (*coder.SessionListResponse, error) {
	return r.client.ListSessions(ctx, &coder.ListSessionsParams{IncludeArchived: true, Limit: limit, Offset: offset})
}

func (r *run) sessionsLimit(parent context.Context) verdict {
	ctx, cancel := bounded(parent)
	defer cancel()
	page, err := r.list(ctx, 1, 0)
	switch {
	case err != nil:
		return failed(err)
	case len(page.Sessions) == 0:
		return unsettled("there is no session")
	}
	if len(page.Sessions) == 1 {
		two, err := r.list(ctx, 2, 0)
		switch {
		case err != nil:
			return failed(err)
		case len(two.Sessions) < 2:
			return unsettled(noSecond)
		}
	}
	return check(len(page.Sessions) == 1, "asked for 1, got %d", len(page.Sessions))
}

// sessionsOffset tries more than once, since others may create sessions meanwhile.
func (r *run) sessionsOffset(parent context.Context) verdict {
	ctx, cancel := bounded(parent)
	defer cancel()
	for range 3 {
		two, err := r.list(ctx, 2, 0)
		if err != nil {
			return failed(err)
		}
		if len(two.Sessions) < 2 {
			return unsettled(noSecond)
		}
		next, err := r.list(ctx, 3, 1)
		if err != nil {
			return failed(err)
		}
		if len(next.Sessions) > 0 && next.Sessions[0].SessionID == two.Sessions[1].SessionID {
			return held("offset 1 begins with the second session")
		}
	}
	return broken("offset 1 does not begin with the second session, three times")
}

func (r *run) sessionsOrder(parent context.Context) verdict {
	ctx, cancel := bounded(parent)
	defer cancel()
	for range 3 {
		first, err := r.list(ctx, 10, 0)
		if err != nil {
			return failed(err)
		}
		second, err := r.list(ctx, 10, 0)
		if err != nil {
			return failed(err)
		}
		a, b := common(first.Sessions, second.Sessions)
		if len(a) < 2 {
			return unsettled(noSecond)
		}
		if slices.Equal(a, b) {
			return held("the same order of %d sessions, twice", len(a))
		}
	}
	return broken("the order of the same sessions differed, three times")
}

// common returns the ids of the sessions that are in both lists, in the order of each.
func common(first, second []coder.SessionListItem) (a, b []string) {
	in := func(list []coder.SessionListItem, id string) bool {
		return slices.ContainsFunc(list, func(s coder.SessionListItem) bool { return s.SessionID == id })
	}
	for i := range first {
		if id := first[i].SessionID; in(second, id) {
			a = append(a, id)
		}
	}
	for i := range second {
		if id := second[i].SessionID; in(first, id) {
			b = append(b, id)
		}
	}
	return a, b
}

func (r *run) sessionsTotal(parent context.Context) verdict {
	ctx, cancel := bounded(parent)
	defer cancel()
	least := 0
	for range 3 {
		one, err := r.list(ctx, 1, 0) // the smallest page: a total of what came so far is not enough
		if err != nil {
			return failed(err)
		}
		many, err := r.list(ctx, 50, 0)
		switch {
		case err != nil:
			return failed(err)
		case len(many.Sessions) < 2:
			return unsettled(noSecond)
		case one.Total <= 0: // unknown, which AllSessions understands
			return unsettled("no total is told")
		case one.Total >= len(many.Sessions):
			return held("a total of %d", one.Total)
		}
		least = len(many.Sessions)
	}
	return broken("a page holds %d sessions, more than the total says", least)
}

func (r *run) sessionsTell(parent context.Context) verdict {
	ctx, cancel := bounded(parent)
	defer cancel()
	page, err := r.list(ctx, 20, 0)
	switch {
	case err != nil:
		return failed(err)
	case len(page.Sessions) == 0:
		return unsettled("there is no session")
	}
	silent := 0
	for i := range page.Sessions {
		if s := &page.Sessions[i]; s.Mode == "" || s.Bucket == "" {
			silent++
		}
	}
	return check(silent == 0, "%d of %d sessions name no mode or no bucket", silent, len(page.Sessions))
}

func (r *run) searchSelects(parent context.Context) verdict {
	ctx, cancel := bounded(parent)
	defer cancel()
	page, err := r.client.ListSessions(ctx, &coder.ListSessionsParams{Search: "nobody has " + r.nonce + "-nobody", IncludeArchived: true, Limit: 5})
	if err != nil {
		return failed(err)
	}
	if len(page.Sessions) == 0 {
		if all, err := r.list(ctx, 1, 0); err != nil || len(all.Sessions) == 0 {
			return unsettled("there is no session that could have been left out")
		}
	}
	return check(len(page.Sessions) == 0, "a text that nobody has finds %d sessions", len(page.Sessions))
}

func (r *run) usersOffset(parent context.Context) verdict {
	ctx, cancel := bounded(parent)
	defer cancel()
	two, err := r.client.ListUsers(ctx, &coder.ListUsersParams{Limit: 2})
	switch {
	case err != nil:
		return failed(err)
	case len(two.Users) < 2:
		return unsettled("it takes two users, and there are fewer")
	case len(two.Users) > 2 && two.Total == len(two.Users): // it knows no pages
		return held("all %d come at once", two.Total)
	}
	next, err := r.client.ListUsers(ctx, &coder.ListUsersParams{Limit: 3, Offset: 1})
	if err != nil {
		return failed(err)
	}
	second := len(next.Users) > 0 && next.Users[0].UserID == two.Users[1].UserID
	return check(second, "offset 1 begins with the second user: %t", second)
}
