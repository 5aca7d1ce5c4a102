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
	if err != nil {
		return d.unlisted(took, err)
	}
	d.answers = true
	seen := "the key is accepted"
	if d.embedded == nil && usedKey() == "" {
		seen = "none, and none was asked for"
	}
	d.add(Line{Check: "credentials", Status: OK, Seen: seen})
	d.timedLine("GET /hub/sessions", fmt.Sprintf("%d of %d sessions", len(list.Sessions), list.Total), took)
	d.choose(list.Sessions)
	return true
}

// unlisted says why the first route has failed, and whether the others are worth a look.
func (d *doctor) unlisted(took time.Duration, err error) bool {
	var odd *coder.ResponseError
	why := ""
	switch seen, _ := d.somebodyElse(err); {
	case seen != "", errors.As(err, &odd), errors.Is(err, coder.ErrNotFound):
		d.fail("Hub", took, err)
		why = "what answers is not the Hub"
	case errors.Is(err, coder.ErrUnauthorized), errors.Is(err, coder.ErrForbidden), errors.Is(err, coder.ErrPaymentRequired):
		d.fail("credentials", took, err)
		why = "all of them want a key that may do it"
	default:
		d.fail("GET /hub/sessions", took, err)
		d.failed = failureOf(err)
		return true
	}
	if !d.interrupted() {
		d.add(Line{Check: "routes, live channels, promises", Status: Skipped, Seen: "not tried: " + why})
	}
	return false
}

// A failure is what several routes may have in common.
type failure string

// Those that end it when they come twice in a row, and what is said of it.
const (
	tookLong failure = "the two before it took too long"
	limited  failure = "the two before it were limited"
	network  failure = "the two before it were not answered"
	gateway  failure = "a gateway did not reach the Hub for the two before it"
)

// failureOf tells what kind of failure an error is, "" for one of the Hub itself.
func failureOf(err error) failure {
	var (
		api *coder.APIError
		odd *coder.ResponseError
	)
	switch {
	case err == nil:
		return ""
	case errors.As(err, &api):
		switch {
		case errors.Is(err, coder.ErrRateLimited):
			return limited
		case isOfGateway(api.StatusCode):
			return gateway
		}
		return ""
	case errors.As(err, &odd):
		return ""
	case isTimeout(err):
		return tookLong
	}
	return network
}

// endsIt tells whether the routes behind a failure are not worth a try. Where some have worked, those are that would not
// take long.
func (d *doctor) endsIt(f failure) bool {
	again := f != "" && f == d.failed
	d.failed = f
	d.silent = d.silent || again && f == tookLong
	return again && (f == tookLong || f == limited || !d.answers)
}

// choose takes a session to look at: best one that is awake, and else one that is not over.
func (d *doctor) choose(sessions []coder.SessionListItem) {
	best := 0
	for i := range sessions {
		s, worth := &sessions[i], 3
		switch {
		case s.HistoryOnly, s.Status == coder.StatusArchived, s.Status == coder.StatusShutdown, s.Status == coder.StatusStopped:
			worth = 1
		case !s.RuntimeAvailable:
			worth = 2
		}
		if worth > best {
			best, d.session, d.live = worth, s.SessionID, worth > 1
		}
	}
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

// route is one that only reads. What it needs an id of, it is not asked about where there is none.
type route struct {
	name     string
	call     func(context.Context) error
	needs    string
	id       *string // nil: it needs none
	optional bool    // a Hub may do without it
}

// readOnly are the routes that only read. Lists find what the others are asked about.
func (d *doctor) readOnly() []route {
	c, session := d.once, d.session
	var workspace, agent, account string
	return []route{
		{name: "GET /hub/users", call: func(ctx context.Context) error {
			return errorOf(c.ListUsers(ctx, &coder.ListUsersParams{Limit: 1}))
		}},
		{name: "GET /hub/workspaces", call: func(ctx context.Context) error {
			list, err := c.ListWorkspaces(ctx)
			if err == nil && len(list.Workspaces) > 0 {
				workspace = list.Workspaces[0].ID
			}
			return err
		}},
		{name: "GET /hub/workspaces/{id}", needs: "workspace", id: &workspace, call: func(ctx context.Context) error {
			return errorOf(c.GetWorkspace(ctx, workspace))
		}},
		{name: "GET /hub/agents", call: func(ctx context.Context) error {
			list, err := c.ListCustomAgents(ctx, nil)
			if err == nil && len(list.Agents) > 0 {
				agent = list.Agents[0].ID
			}
			return err
		}},
		{name: "GET /hub/agents/{id}", needs: "agent", id: &agent, call: func(ctx context.Context) error {
			return errorOf(c.GetCustomAgent(ctx, agent))
		}},
		{name: "GET /hub/agents/{id}/versions", needs: "agent", id: &agent, call: func(ctx context.Context) error {
			return errorOf(c.ListCustomAgentVersions(ctx, agent))
		}},
		{name: "GET /hub/skills/library", call: func(ctx context.Context) error { return errorOf(c.ListSavedSkills(ctx)) }},
		{name: "GET /hub/skills/buckets", call: func(ctx context.Context) error { return errorOf(c.ListSkillBuckets(ctx)) }},
		{name: "GET /hub/github/accounts", call: func(ctx context.Context) error {
			list, err := c.ListGitHubAccounts(ctx)
			if err == nil && len(list.Accounts) > 0 {
				account = list.Accounts[0].AccountID
			}
			return err
		}},
		{name: "GET /hub/github/repos", needs: "GitHub account", id: &account, call: func(ctx context.Context) error {
			return errorOf(c.ListGitHubRepos(ctx, account))
		}},
		{name: "GET /hub/init", optional: true, call: func(ctx context.Context) error { return errorOf(c.HubInit(ctx, nil)) }},
		{name: "GET /hub/skills", optional: true, call: func(ctx context.Context) error { return errorOf(c.HubSkills(ctx)) }},
		{name: "GET /hub/session/{id}", needs: "session", id: &session, call: func(ctx context.Context) error {
			return errorOf(c.GetSession(ctx, session))
		}},
		{name: "GET /hub/session/{id}/replay", needs: "session", id: &session, call: func(ctx context.Context) error {
			return errorOf(c.GetReplay(ctx, session, nil))
		}},
		{name: "GET /hub/session/{id}/participants", needs: "session", id: &session, call: func(ctx context.Context) error {
			return errorOf(c.ListParticipants(ctx, session, nil))
		}},
		{name: "GET /hub/session/{id}/events/history", needs: "session", id: &session, call: func(ctx context.Context) error {
			return errorOf(c.ListEventHistory(ctx, session, &coder.ListEventHistoryParams{Limit: 10}))
		}},
		{name: "GET /hub/session/{id}/loop", needs: "session", id: &session, call: func(ctx context.Context) error {
			return errorOf(c.GetLoopState(ctx, session))
		}},
		{name: "GET /hub/session/{id}/todos", needs: "session", id: &session, optional: true, call: func(ctx context.Context) error {
			return errorOf(c.SessionTodos(ctx, session, nil))
		}},
	}
}

func errorOf[T any](_ T, err error) error { return err }

// routes asks each route that only reads. If none answers, there is no use in going on.
func (d *doctor) routes(ctx context.Context) bool {
	var ended failure
	for _, r := range d.readOnly() {
		if ended != "" {
			d.add(Line{Check: r.name, Status: Skipped, Seen: "not tried: " + string(ended)})
			continue
		}
		if r.id != nil && *r.id == "" {
			d.add(Line{Check: r.name, Status: Skipped, Seen: "there is no " + r.needs + " to ask about"})
			continue
		}
		took, err := timed(ctx, r.call)
		switch {
		case ctx.Err() != nil:
			return true
		case err == nil:
			d.answers = true
			d.timedLine(r.name, "answered", took)
		case r.optional && errors.Is(err, coder.ErrNotFound):
			d.add(Line{Check: r.name, Status: OK, Seen: "this Hub does without it", Took: ms(took)})
		case r.name == "GET /hub/github/accounts" && errors.Is(err, coder.ErrConflict):
			d.add(Line{Check: r.name, Status: OK, Seen: "GitHub is not connected", Took: ms(took)})
		default:
			d.fail(r.name, took, err)
		}
		if f := failureOf(err); d.endsIt(f) {
			ended = f
		}
	}
	if !d.answers {
		d.add(Line{Check: "live channels, promises", Status: Skipped, Seen: "no route works: they were not tried"})
	}
	return d.answers
}
