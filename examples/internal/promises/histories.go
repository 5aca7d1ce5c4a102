package promises

import (
	"context"
	"slices"

	"github.com/agentuity/coder-go"
)

func histories() []Promise {
	return []Promise{
		{
			Name: "history-limit", Belief: "A page of the event history has at most as many events as limit says.",
			Needs: "CheckSession, WatchEvents", Otherwise: "A look at a session reads its whole history.",
			check: (*run).historyLimit,
		},
		{
			Name: "history-newest", Belief: "A page without beforeId has the newest events.",
			Needs: "CheckSession, WaitForSession, Submit, WatchEvents", Otherwise: "The end of a prompt is not seen.",
			check: (*run).historyNewest,
		},
		{
			Name: "history-before", Belief: "beforeId gives the newest events with smaller ids.",
			Needs: "AllEventHistory, WatchEvents, Answer, CheckSession", Otherwise: "Events before the first page are not found: AllEventHistory ends after it, WatchEvents with an error.",
			check: (*run).historyBefore,
		},
		{
			Name: "history-end", Belief: "There is an empty page before the first event.",
			Needs: "AllEventHistory, WatchEvents", Otherwise: "The end is found by a page without new ids: one request more.",
			check: (*run).historyEnd,
		},
		{
			Name: "history-ids", Belief: "Ids are positive and unique, and what was stored later has a higher one.",
			Needs: "WatchEvents, Answer, AllEventHistory", Otherwise: "WatchEvents yields events late, or not at all.",
			check: (*run).historyIDs,
		},
		{
			Name: "history-times", Belief: "An event tells when the Hub got it.",
			Needs: "WaitForSession, CheckSession, WatchEvents", Otherwise: "An event counts 10 minutes after it happened: the end of a prompt that failed is told later.",
			check: (*run).historyTimes,
		},
		{
			Name: "history-prompts", Belief: "The history has the messages of users, not only those of the agent.",
			Needs: "Answer, Submit, Ask after a lost connection", Otherwise: "An answer cannot be told from that to another prompt: ErrOutcomeUnknown.",
			check: (*run).historyPrompts,
		},
		{
			Name: "history-stops", Belief: "The end of a message of the agent tells its stopReason.",
			Needs: "WaitForSession, CheckSession, RunSession, Answer", Otherwise: "When a prompt is over is known late, or not at all.",
			check: (*run).historyStops,
		},
	}
}

const noEvents = "there is no session with enough of a history"

// look finds a session to look at: the one that was made, or the newest with a history, and one that is not over, best one that is awake.
func (r *run) look(ctx context.Context) error {
	if r.looked {
		return nil
	}
	page, err := r.list(ctx, 10, 0)
	if err != nil {
		return err
	}
	candidates := page.Sessions
	if r.made != nil {
		candidates = slices.Insert(candidates, 0, coder.SessionListItem{SessionID: r.made.id, RuntimeAvailable: true})
	}
	awake := false
	for i := range candidates {
		c := &candidates[i]
		over := c.HistoryOnly || c.Status == coder.StatusArchived || c.Status == coder.StatusShutdown || c.Status == coder.StatusStopped
		if r.live == "" && !over || !awake && c.RuntimeAvailable {
			r.live, awake = c.SessionID, c.RuntimeAvailable
		}
		if r.told == "" {
			history, err := r.events(ctx, c.SessionID, 4, 0)
			if err != nil {
				return err
			}
			if len(history) > 3 {
				r.told = c.SessionID
			}
		}
	}
	r.looked = true
	return nil
}

// events is a page of a history, newest first.
func (r *run) events(ctx context.Context, id string, limit, before int) ([]coder.SessionEvent, error) {
	history, err := r.client.ListEventHistory(ctx, id, &coder.ListEventHistoryParams{Limit: limit, BeforeID: before})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(history.Events, func(a, b coder.SessionEvent) int { return b.ID - a.ID })
	return history.Events, nil
}

// history is what the checks of the history begin with: the newest events of a session, newest first.
func (r *run) history(ctx context.Context) ([]coder.SessionEvent, *verdict) {
	if err := r.look(ctx); err != nil {
		v := failed(err)
		return nil, &v
	}
	if r.told == "" {
		v := unsettled(noEvents)
		return nil, &v
	}
	if r.toldAll != nil {
		return r.toldAll, nil
	}
	events, err := r.events(ctx, r.told, 50, 0)
	if err != nil {
		v := failed(err)
		return nil, &v
	}
	if len(events) <= 3 { // trimmed meanwhile
		v := unsettled(noEvents)
		return nil, &v
	}
	r.toldAll = events
	return events, nil
}

func (r *run) historyLimit(parent context.Context) verdict {
	ctx, cancel := bounded(parent)
	defer cancel()
	if _, v := r.history(ctx); v != nil {
		return *v
	}
	page, err := r.events(ctx, r.told, 2, 0)
	if err != nil {
		return failed(err)
	}
	return check(len(page) <= 2, "asked for 2, got %d", len(page))
}

func (r *run) historyNewest(parent context.Context) verdict {
	ctx, cancel := bounded(parent)
	defer cancel()
	events, v := r.history(ctx)
	if v != nil {
		return *v
	}
	page, err := r.events(ctx, r.told, 1, 0)
	switch {
	case err != nil:
		return failed(err)
	case len(page) == 0:
		return broken("a page of 1 is empty")
	}
	return check(page[0].ID >= events[0].ID, "the page of 1 has event %d, the page of 50 begins with %d", page[0].ID, events[0].ID)
}

func (r *run) historyBefore(parent context.Context) verdict {
	ctx, cancel := bounded(parent)
	defer cancel()
	events, v := r.history(ctx)
	if v != nil {
		return *v
	}
	before, want := events[1].ID, events[2].ID
	page, err := r.events(ctx, r.told, 5, before)
	switch {
	case err != nil:
		return failed(err)
	case len(page) == 0:
		return broken("the page before %d is empty, and there is an event %d", before, want)
	}
	return check(page[0].ID == want, "before %d comes %d, and is answered with %d", before, want, page[0].ID)
}

// How far back the beginning of a history is looked for.
const (
	backPages = 50
	backLimit = 100 // events a page
)

func (r *run) historyEnd(parent context.Context) verdict {
	ctx, cancel := bounded(parent)
	defer cancel()
	events, v := r.history(ctx)
	if v != nil {
		return *v
	}
	oldest := events[len(events)-1].ID
	for range backPages {
		page, err := r.events(ctx, r.told, backLimit, oldest)
		switch {
		case err != nil:
			return failed(err)
		case len(page) == 0:
			return held("nothing is before event %d", oldest)
		case page[len(page)-1].ID >= oldest:
			return broken("%d events before event %d, none of them older", len(page), oldest)
		}
		oldest = page[len(page)-1].ID
	}
	return unsettled("the history is long: its beginning is before event %d", oldest)
}

func (r *run) historyIDs(parent context.Context) verdict {
	ctx, cancel := bounded(parent)
	defer cancel()
	events, v := r.history(ctx)
	if v != nil {
		return *v
	}
	dated := 0
	for i := range events {
		if !events[i].IngestedAt.IsZero() {
			dated++
		}
		switch e := &events[i]; {
		case e.ID <= 0:
			return broken("an event has the id %d", e.ID)
		case i == 0:
		case events[i-1].ID == e.ID:
			return broken("two events have the id %d", e.ID)
		case !e.IngestedAt.IsZero() && !events[i-1].IngestedAt.IsZero() && events[i-1].IngestedAt.Before(e.IngestedAt):
			return broken("event %d was stored before event %d", events[i-1].ID, e.ID)
		}
	}
	if dated < 2 {
		return unsettled("the ids are unique, and which event was stored later is not told")
	}
	return held("%d events, from %d to %d", len(events), events[len(events)-1].ID, events[0].ID)
}

func (r *run) historyTimes(parent context.Context) verdict {
	ctx, cancel := bounded(parent)
	defer cancel()
	events, v := r.history(ctx)
	if v != nil {
		return *v
	}
	without := 0
	for i := range events {
		if events[i].IngestedAt.IsZero() {
			without++
		}
	}
	return check(without == 0, "%d of %d events have no ingestedAt", without, len(events))
}

// historyPages is how far back a message is looked for.
const historyPages = 5

// messages counts, among the newest events of the session, the messages of users, those of the agent that have ended, and
// those of them without a stopReason.
func (r *run) messages(ctx context.Context) (users, ended, silent int, err error) {
	before := 0
	for range historyPages {
		page, err := r.events(ctx, r.told, 50, before)
		if err != nil {
			return 0, 0, 0, err
		}
		for i := range page {
			message := (*coder.AgentMessage)(nil)
			switch e := page[i].AgentEvent().(type) {
			case *coder.MessageStart:
				if e.Message.Role == "user" {
					users++
				}
			case *coder.MessageEnd:
				message = &e.Message
			}
			switch {
			case message == nil:
			case message.Role == "user":
				users++
			case message.Role == "assistant":
				ended++
				if message.StopReason == "" {
					silent++
				}
			}
		}
		if len(page) == 0 || users > 0 && ended > 0 {
			break
		}
		before = page[len(page)-1].ID
	}
	return users, ended, silent, nil
}

const noMessages = "no answer of an agent is among the newest events"

func (r *run) historyPrompts(parent context.Context) verdict {
	ctx, cancel := bounded(parent)
	defer cancel()
	if _, v := r.history(ctx); v != nil {
		return *v
	}
	users, ended, _, err := r.messages(ctx)
	switch {
	case err != nil:
		return failed(err)
	case users > 0:
		return held("events of %d messages of users", users)
	case ended == 0:
		return unsettled(noMessages)
	}
	return broken("%d messages of the agent, none of a user", ended)
}

func (r *run) historyStops(parent context.Context) verdict {
	ctx, cancel := bounded(parent)
	defer cancel()
	if _, v := r.history(ctx); v != nil {
		return *v
	}
	_, ended, silent, err := r.messages(ctx)
	switch {
	case err != nil:
		return failed(err)
	case ended == 0:
		return unsettled(noMessages)
	}
	return check(silent == 0, "%d of %d messages of the agent end without a stopReason", silent, ended)
}
