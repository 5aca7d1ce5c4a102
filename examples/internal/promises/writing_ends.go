package promises

import (
	"context"
	"errors"

	"github.com/agentuity/coder-go"
)

func ending() []Promise {
	return []Promise{
		{
			Name: "archive-ends", Belief: "An archived session says so: its status is archived, or it is historyOnly.", Writes: true,
			Needs: "WaitForSession, StreamEvents, WatchEvents", Otherwise: "They wait for a session that is over.",
			check: (*run).archiveEnds,
		},
		{
			Name: "archive-repeats", Belief: "Archiving an archived session works again, or says that it is archived.", Writes: true,
			Needs: "the retries of ArchiveSession", Otherwise: "An archive whose answer was lost is reported as a failure.",
			check: (*run).archiveRepeats,
		},
		{
			Name: "archived-hidden", Belief: "An archived session is listed with includeArchived, and not without.", Writes: true,
			Needs: "ListSessions, ListConnectableSessions, EnsureSession", Otherwise: "Sessions that are over are offered, or none is found.",
			check: (*run).archivedHidden,
		},
		{
			Name: "archived-searched", Belief: "search finds archived sessions by their metadata.", Writes: true,
			Needs: "EnsureSession, RunSession", Otherwise: "What was done and archived is done again.",
			check: (*run).archivedSearched,
		},
		{
			Name: "archived-replayed", Belief: "The conversation of an archived session can still be read.", Writes: true,
			Needs: "ReplayEntries, GetReplay", Otherwise: "The transcript is lost with the archive: read it before.",
			check: (*run).archivedReplayed,
		},
		{
			Name: "resume-declined", Belief: "Resuming an archived session is declined: 410 or 409, a code, or resumed false.", Writes: true,
			Needs: "ResumeSession (ErrResumeDeclined, ErrSessionArchived), Attach", Otherwise: "Attach waits 30 s for a session that never wakes.",
			check: (*run).resumeDeclined,
		},
		{
			Name: "delete-ends", Belief: "A deleted session is answered with 404.", Writes: true,
			Needs: "DeleteSession, WaitForSession (outcome deleted)", Otherwise: "They wait for a session that is gone.",
			check: (*run).deleteEnds,
		},
		{
			Name: "delete-repeats", Belief: "Deleting a deleted session is answered with 404, or works again.", Writes: true,
			Needs: "the retries of DeleteSession", Otherwise: "A delete whose answer was lost is reported as a failure.",
			check: (*run).deleteRepeats,
		},
	}
}

func (r *run) archiveEnds(parent context.Context) verdict {
	ctx, cancel := bounded(parent)
	defer cancel()
	if r.made == nil {
		return unsettled(unmade)
	}
	if _, err := r.client.ArchiveSession(ctx, r.made.id); err != nil {
		return failed(err)
	}
	r.made.archived = true
	session, v := r.read(ctx)
	if v != nil {
		return *v
	}
	return check(session.HistoryOnly || session.Status == coder.StatusArchived, "status %.40q, historyOnly %t", session.Status, session.HistoryOnly)
}

func (r *run) archiveRepeats(parent context.Context) verdict {
	ctx, cancel := bounded(parent)
	defer cancel()
	if r.made == nil || !r.made.archived {
		return unsettled(unmade)
	}
	_, err := r.client.ArchiveSession(ctx, r.made.id)
	switch {
	case err == nil:
		return held("it works")
	case errors.Is(err, coder.ErrSessionArchived):
		return held("%s", statusOf(err))
	case statusOf(err) == "" || coder.IsTransient(err):
		return failed(err)
	}
	return broken("%s", statusOf(err))
}

func (r *run) archivedHidden(parent context.Context) verdict {
	ctx, cancel := bounded(parent)
	defer cancel()
	if r.made == nil || !r.made.archived {
		return unsettled(unmade)
	}
	without, err := r.listed(ctx, "", false)
	if err != nil {
		return failed(err)
	}
	with, err := r.listed(ctx, "", true)
	if err != nil {
		return failed(err)
	}
	return check(with && !without, "listed with includeArchived: %t, without: %t", with, without)
}

func (r *run) archivedSearched(parent context.Context) verdict {
	ctx, cancel := bounded(parent)
	defer cancel()
	if r.made == nil || !r.made.archived {
		return unsettled(unmade)
	}
	found, err := r.listed(ctx, r.made.key, true)
	if err != nil {
		return failed(err)
	}
	return check(found, "found: %t", found)
}

func (r *run) archivedReplayed(parent context.Context) verdict {
	ctx, cancel := bounded(parent)
	defer cancel()
	if r.made == nil || !r.made.archived {
		return unsettled(unmade)
	}
	replay, err := r.client.GetReplay(ctx, r.made.id, nil)
	switch {
	case statusOf(err) != "" && !coder.IsTransient(err):
		return broken("%s", statusOf(err))
	case err != nil:
		return failed(err)
	}
	return check(len(replay.Entries) > 0, "%d entries", len(replay.Entries))
}

func (r *run) resumeDeclined(parent context.Context) verdict {
	ctx, cancel := bounded(parent)
	defer cancel()
	if r.made == nil || !r.made.archived {
		return unsettled(unmade)
	}
	_, err := r.client.ResumeSession(ctx, r.made.id)
	switch {
	case err == nil:
		return broken("an archived session was resumed, or the answer says so")
	case errors.Is(err, coder.ErrResumeDeclined):
		return held("status 200, and it says no")
	case errors.Is(err, coder.ErrSessionArchived), errors.Is(err, coder.ErrConflict):
		return held("%s", statusOf(err))
	case statusOf(err) == "" || coder.IsTransient(err):
		return failed(err)
	}
	return broken("%s", statusOf(err))
}

func (r *run) deleteEnds(parent context.Context) verdict {
	ctx, cancel := bounded(parent)
	defer cancel()
	if r.made == nil {
		return unsettled(unmade)
	}
	if err := r.client.DeleteSession(ctx, r.made.id); err != nil {
		return failed(err)
	}
	r.made.deleted = true
	_, err := r.client.GetSession(ctx, r.made.id)
	switch {
	case err == nil:
		r.made.deleted = false // the last look is that of cleanUp
		return broken("it is still there")
	case errors.Is(err, coder.ErrSessionNotFound):
		return held("%s", statusOf(err))
	case statusOf(err) == "" || coder.IsTransient(err):
		return failed(err)
	}
	return broken("%s", statusOf(err))
}

func (r *run) deleteRepeats(parent context.Context) verdict {
	ctx, cancel := bounded(parent)
	defer cancel()
	if r.made == nil || !r.made.deleted {
		return unsettled("nothing was deleted")
	}
	err := r.client.DeleteSession(ctx, r.made.id)
	switch {
	case err == nil:
		return held("it works again")
	case errors.Is(err, coder.ErrSessionNotFound):
		return held("%s", statusOf(err))
	case statusOf(err) == "" || coder.IsTransient(err):
		return failed(err)
	}
	return broken("%s", statusOf(err))
}
