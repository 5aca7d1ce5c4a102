package promises

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"

	"github.com/agentuity/coder-go"
)

func creating() []Promise {
	return []Promise{
		{
			Name: "created-found", Belief: "A session can be read as soon as it is created.", Writes: true,
			Needs: "EnsureSession, RunSession, Attach", Otherwise: "Attach right after the create fails with ErrSessionNotFound.",
			check: (*run).createdFound,
		},
		{
			Name: "created-listed", Belief: "A created session is listed within 60 s.", Writes: true,
			Needs: "EnsureSession, after a create whose answer was lost", Otherwise: "It returns ErrOutcomeUnknown, or creates a second session.",
			check: (*run).createdListed,
		},
		{
			Name: "search-metadata", Belief: "search looks into metadata, and finds a created session within 60 s.", Writes: true,
			Needs: "EnsureSession, RunSession", Otherwise: "They never find a session again: one key, many sessions.",
			check: (*run).searchMetadata,
		},
		{
			Name: "metadata-key", Belief: "A text in metadata is returned as it was stored.", Writes: true,
			Needs: "EnsureSession, RunSession", Otherwise: "They do not recognize their own sessions.",
			check: (*run).metadataKey,
		},
		{
			Name: "metadata-json", Belief: "Numbers, lists and objects in metadata are taken, and returned as they were stored.", Writes: true,
			Needs: "CreateSessionRequest.Metadata", Otherwise: "Only texts can be stored.",
			check: (*run).metadataJSON,
		},
		{
			Name: "created-ready", Belief: "A created session has its runtime within 120 s.", Writes: true,
			Needs: "Attach", Otherwise: "It returns ErrNotAttachable for a session that is on its way.",
			check: (*run).createdReady,
		},
		{
			Name: "task-ends", Belief: "The history tells when the task of a session is over.", Writes: true,
			Needs: "WaitForSession, CheckSession, RunSession", Otherwise: "WaitForSession says needs_input or stalled, not turn_ended.",
			check: (*run).taskEnds,
		},
	}
}

func (r *run) createdFound(parent context.Context) verdict {
	ctx, cancel := bounded(parent)
	defer cancel()
	if err := r.create(ctx); err != nil {
		return failed(err)
	}
	_, err := r.client.GetSession(ctx, r.made.id)
	switch {
	case errors.Is(err, coder.ErrNotFound):
		return broken("%s", statusOf(err))
	case err != nil:
		return failed(err)
	}
	return held("created and read")
}

// listed reports whether a list with a search has the session.
func (r *run) listed(ctx context.Context, search string, archived bool) (bool, error) {
	for s, err := range r.client.AllSessions(ctx, &coder.ListSessionsParams{Search: search, IncludeArchived: archived, Limit: 100}) {
		if err != nil {
			return false, err
		}
		if s.SessionID == r.made.id {
			return true, nil
		}
	}
	return false, nil
}

func (r *run) createdListed(ctx context.Context) verdict {
	if r.made == nil {
		return unsettled(unmade)
	}
	took, yes, err := eventually(ctx, soon, func() (bool, error) { return r.listed(ctx, "", false) })
	if err != nil {
		return failed(err)
	}
	return check(yes, "listed after %v: %t", round(took), yes)
}

func (r *run) searchMetadata(ctx context.Context) verdict {
	if r.made == nil {
		return unsettled(unmade)
	}
	took, yes, err := eventually(ctx, soon, func() (bool, error) { return r.listed(ctx, r.made.key, true) })
	if err != nil {
		return failed(err)
	}
	return check(yes, "found after %v: %t", round(took), yes)
}

func (r *run) metadataKey(parent context.Context) verdict {
	ctx, cancel := bounded(parent)
	defer cancel()
	session, v := r.read(ctx)
	if v != nil {
		return *v
	}
	return check(session.Metadata["idempotencyKey"] == r.made.key, "the same text: %t", session.Metadata["idempotencyKey"] == r.made.key)
}

func (r *run) metadataJSON(parent context.Context) verdict {
	ctx, cancel := bounded(parent)
	defer cancel()
	session, v := r.read(ctx)
	switch {
	case v != nil:
		return *v
	case r.made.strings != nil:
		return broken("only texts were taken: %s", statusOf(r.made.strings))
	}
	var changed []string
	for name, value := range r.made.metadata {
		if name != "idempotencyKey" && !reflect.DeepEqual(session.Metadata[name], value) {
			changed = append(changed, name)
		}
	}
	slices.Sort(changed)
	if len(changed) > 0 {
		return broken("returned in another form: %s", strings.Join(changed, ", "))
	}
	return held("a number, a list and an object")
}

func (r *run) createdReady(ctx context.Context) verdict {
	if r.made == nil {
		return unsettled(unmade)
	}
	status := ""
	took, yes, err := eventually(ctx, ready, func() (bool, error) {
		session, err := r.client.GetSession(ctx, r.made.id)
		if err != nil {
			return false, err
		}
		status = session.Status
		return session.RuntimeAvailable, nil
	})
	if err != nil {
		return failed(err)
	}
	return check(yes, "status %.40q after %v", status, round(took))
}

func (r *run) taskEnds(ctx context.Context) verdict {
	if r.made == nil {
		return unsettled(unmade)
	}
	var outcome *coder.SessionOutcome
	took, yes, err := eventually(ctx, working, func() (bool, error) {
		var err error
		outcome, err = r.client.CheckSession(ctx, r.made.id)
		return err == nil && outcome.Kind != coder.OutcomeWorking && outcome.Kind != coder.OutcomeStalled, err
	})
	switch {
	case err != nil:
		return failed(err)
	case !yes && r.answered(ctx):
		return broken("%s after %v, and the conversation has an answer", outcome.Kind, round(took))
	case !yes:
		return unsettled("%s after %v", outcome.Kind, round(took))
	case outcome.Kind == coder.OutcomeTurnEnded || outcome.Kind == coder.OutcomeCompleted:
		return held("%s after %v", outcome.Kind, round(took))
	case outcome.Kind == coder.OutcomeNeedsInput:
		return broken("%s after %v: nothing tells how the task has ended", outcome.Kind, round(took))
	}
	return unsettled("%s after %v", outcome.Kind, round(took))
}

// answered reports whether the conversation of the session ends with words of the agent.
func (r *run) answered(ctx context.Context) bool {
	replay, err := r.client.GetReplay(ctx, r.made.id, nil)
	if err != nil {
		return false
	}
	for i := len(replay.Entries) - 1; i >= 0; i-- {
		switch replay.Entries[i].Type {
		case coder.EntryMessage:
			return true
		case coder.EntryUserPrompt:
			return false
		}
	}
	return false
}
