package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/agentuity/coder-go"
)

// credentials asks for something that takes a key, and finds a session to look at on the way.
func (d *doctor) credentials(ctx context.Context) bool {
	var list *coder.SessionListResponse
	took, err := timed(ctx, func(ctx context.Context) error {
		var err error
		list, err = d.once.ListSessions(ctx, &coder.ListSessionsParams{IncludeArchived: true, Limit: 20})
		return err
	})
	var odd *coder.ResponseError
	switch {
	case errors.As(err, &odd):
		d.fail("Hub", took, err)
		return false
	case errors.Is(err, coder.ErrUnauthorized), errors.Is(err, coder.ErrForbidden), errors.Is(err, coder.ErrPaymentRequired):
		d.fail("credentials", took, err)
		return false
	case errors.Is(err, coder.ErrNotFound):
		d.fail("Hub", took, err)
		return false
	case err != nil: // the other routes are looked at all the same
		d.fail("GET /hub/sessions", took, err)
		return true
	}
	d.add(Line{Check: "credentials", Status: OK, Seen: "accepted"})
	d.timedLine("GET /hub/sessions", fmt.Sprintf("%d of %d sessions", len(list.Sessions), list.Total), took)
	for i := range list.Sessions {
		s := &list.Sessions[i]
		over := s.HistoryOnly || s.Status == coder.StatusArchived || s.Status == coder.StatusShutdown || s.Status == coder.StatusStopped
		if d.session == "" || !over {
			d.session, d.live = s.SessionID, !over
		}
		if d.live {
			break
		}
	}
	return true
}

// timedLine is a line about an answer, which may have come late.
func (d *doctor) timedLine(check, seen string, took time.Duration) {
	line := Line{Check: check, Status: OK, Seen: seen, Took: ms(took)}
	if took > slowAnswer {
		line.Status = Wrong
		line.Advice = "The answer is slow: measure it from another network; if it is slow there too, report it with -json."
	}
	d.add(line)
}

// route is one that only reads.
type route struct {
	name     string
	call     func(context.Context) error
	optional bool // a Hub may do without it
}

// routes asks each route that only reads.
func (d *doctor) routes(ctx context.Context) bool {
	c, id := d.once, d.session
	all := []route{
		{name: "GET /hub/users", call: func(ctx context.Context) error { return second(c.ListUsers(ctx, &coder.ListUsersParams{Limit: 1})) }},
		{name: "GET /hub/workspaces", call: func(ctx context.Context) error { return second(c.ListWorkspaces(ctx)) }},
		{name: "GET /hub/agents", call: func(ctx context.Context) error { return second(c.ListCustomAgents(ctx, nil)) }},
		{name: "GET /hub/skills/library", call: func(ctx context.Context) error { return second(c.ListSavedSkills(ctx)) }},
		{name: "GET /hub/skills/buckets", call: func(ctx context.Context) error { return second(c.ListSkillBuckets(ctx)) }},
		{name: "GET /hub/github/accounts", call: func(ctx context.Context) error { return second(c.ListGitHubAccounts(ctx)) }},
		{name: "GET /hub/init", call: func(ctx context.Context) error { return second(c.HubInit(ctx, nil)) }, optional: true},
		{name: "GET /hub/skills", call: func(ctx context.Context) error { return second(c.HubSkills(ctx)) }, optional: true},
		{name: "GET /hub/session/{id}", call: func(ctx context.Context) error { return second(c.GetSession(ctx, id)) }},
		{name: "GET /hub/session/{id}/replay", call: func(ctx context.Context) error { return second(c.GetReplay(ctx, id, nil)) }},
		{name: "GET /hub/session/{id}/participants", call: func(ctx context.Context) error { return second(c.ListParticipants(ctx, id, nil)) }},
		{name: "GET /hub/session/{id}/events/history", call: func(ctx context.Context) error {
			return second(c.ListEventHistory(ctx, id, &coder.ListEventHistoryParams{Limit: 10}))
		}},
		{name: "GET /hub/session/{id}/loop", call: func(ctx context.Context) error { return second(c.GetLoopState(ctx, id)) }},
		{name: "GET /hub/session/{id}/todos", call: func(ctx context.Context) error { return second(c.SessionTodos(ctx, id, nil)) }, optional: true},
	}
	for _, r := range all {
		if id == "" && len(r.name) > len(ofSession) && r.name[:len(ofSession)] == ofSession {
			d.add(Line{Check: r.name, Status: Skipped, Seen: "there is no session to ask about"})
			continue
		}
		took, err := timed(ctx, r.call)
		var api *coder.APIError
		switch {
		case err == nil:
			d.timedLine(r.name, "answered", took)
		case r.optional && errors.Is(err, coder.ErrNotFound):
			d.add(Line{Check: r.name, Status: OK, Seen: "this Hub does without it", Took: ms(took)})
		case r.name == "GET /hub/github/accounts" && errors.Is(err, coder.ErrConflict) && errors.As(err, &api):
			d.add(Line{Check: r.name, Status: OK, Seen: "GitHub is not connected", Took: ms(took)})
		default:
			d.fail(r.name, took, err)
		}
	}
	return true
}

const ofSession = "GET /hub/session/"

func second[T any](_ T, err error) error { return err }
