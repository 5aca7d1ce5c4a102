package promises

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

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

func updating() []Promise {
	return []Promise{
		{
			Name: "stream-tells", Belief: "The stream tells at once of what goes into the history.", Writes: true,
			Needs: "WatchEvents, WaitForSessionOptions.Follow", Otherwise: "Events are seen with the next poll, up to 30 s later.",
			check: (*run).streamTells,
		},
		{
			Name: "history-follows", Belief: "What the stream has told is in the history within 5 s.", Writes: true,
			Needs: "WatchEvents (Settle), Answer", Otherwise: "WatchEvents may mark such events as late.",
			check: (*run).historyFollows,
		},
		{
			Name: "update-applies", Belief: "An update changes label and tags, and replaces the whole list.", Writes: true,
			Needs: "UpdateSession", Otherwise: "It seems to work and does nothing, or old tags stay.",
			check: (*run).updateApplies,
		},
		{
			Name: "update-keeps", Belief: "An update leaves alone what it does not name.", Writes: true,
			Needs: "UpdateSession, EnsureSession, which finds sessions by their metadata", Otherwise: "An update takes the key away, and the session is not found again.",
			check: (*run).updateKeeps,
		},
		{
			Name: "update-repeats", Belief: "The same update again has the same effect and the same answer.", Writes: true,
			Needs: "the retries of UpdateSession", Otherwise: "An update whose answer was lost is reported as a failure.",
			check: (*run).updateRepeats,
		},
		{
			Name: "update-fixed", Belief: "Metadata and env are fixed: an update of them is refused or ignored.", Writes: true,
			Needs: "UpdateSessionRequest, which has no field for them", Otherwise: "It could have one; until then Extra does it. Whoever changes metadata can take the key of EnsureSession away.",
			check: (*run).updateFixed,
		},
		{
			Name: "ask-answers", Belief: "A prompt comes back as a message of the user, and then the agent's answer comes.", Writes: true,
			Needs: "Ask, Submit, Listen", Otherwise: "Ask says ErrOutcomeUnknown although the agent works.",
			check: (*run).askAnswers,
		},
		{
			Name: "resume-repeats", Belief: "Resuming a session that is awake works, and changes nothing.", Writes: true,
			Needs: "the retries of ResumeSession, Attach", Otherwise: "A resume whose answer was lost is reported as declined.",
			check: (*run).resumeRepeats,
		},
	}
}

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

// made is the session that the writing promises are about.
type made struct {
	id       string
	key      string
	metadata map[string]any
	strings  error // why only texts were taken as metadata; nil: everything was
	updated  bool
	answers  []*coder.UpdateSessionResponse // to the same update
	applied  *coder.Session                 // as it was read after the first of them
	archived bool
	deleted  bool
	told     string // the event that the stream told after the update
	after    int    // the newest event before it
}

const (
	label   = "coder-go promises"
	relabel = "coder-go promises, renamed"
	tag     = "coder-go-promises"
	task    = "Answer with the one word ready. Use no tools and change nothing."
	prompt  = "Answer with the one word done. Use no tools and change nothing."
	unmade  = "there is no session to try it with"
)

var fixedEnv = map[string]string{"CODER_GO_PROMISE": "as-created"}

// create makes the session, once. A Hub that takes only texts as metadata gets these.
func (r *run) create(ctx context.Context) error {
	m := &made{key: "promises-" + r.nonce}
	m.metadata = map[string]any{
		"idempotencyKey": m.key, "number": 12.5, "list": []any{"a", true}, "object": map[string]any{"b": "c"},
	}
	request := coder.CreateSessionRequest{Task: task, Label: label, Tags: []string{tag}, Env: fixedEnv, Metadata: m.metadata}
	created, err := r.client.CreateSession(ctx, request)
	if errors.Is(err, coder.ErrInvalidRequest) {
		m.strings = err
		m.metadata = map[string]any{"idempotencyKey": m.key}
		request.Metadata = m.metadata
		created, err = r.client.CreateSession(ctx, request)
	}
	if err != nil {
		r.doubt = errors.Is(err, coder.ErrOutcomeUnknown)
		return err
	}
	m.id = created.SessionID
	r.made = m
	return nil
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

// read reads the session that was made.
func (r *run) read(ctx context.Context) (*coder.Session, *verdict) {
	if r.made == nil {
		v := unsettled(unmade)
		return nil, &v
	}
	session, err := r.client.GetSession(ctx, r.made.id)
	if err != nil {
		v := failed(err)
		return nil, &v
	}
	return session, nil
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

// streamTells changes the label while it follows the session.
func (r *run) streamTells(parent context.Context) verdict {
	ctx, cancel := bounded(parent)
	defer cancel()
	if r.made == nil {
		return unsettled(unmade)
	}
	newest, err := r.events(ctx, r.made.id, 1, 0)
	if err != nil {
		return failed(err)
	}
	if len(newest) > 0 {
		r.made.after = newest[0].ID
	}
	follow, stop := context.WithCancel(ctx)
	defer stop()
	var sent time.Time
	late := time.AfterFunc(oneLimit/2, stop)
	defer late.Stop()
	for event, err := range r.client.StreamEvents(follow, r.made.id, once()) {
		if err != nil {
			if sent.IsZero() {
				return failed(err)
			}
			break
		}
		switch m := event.Data.(type) {
		case *coder.SSEHydrationMessage:
			if !sent.IsZero() {
				continue
			}
			sent = time.Now()
			late.Reset(10 * time.Second)
			if err := r.update(ctx); err != nil {
				return failed(err)
			}
		case *coder.BroadcastEventMessage:
			if !sent.IsZero() && m.Event != coder.EventSessionJoin && m.Event != coder.EventSessionLeave {
				r.made.told, r.delay = m.Event, max(time.Since(sent), 1)
				return held("told of a changed label within %v", round(r.delay))
			}
		}
	}
	return r.untold(ctx)
}

// untold is the verdict where the stream has told nothing: has the history anything new?
func (r *run) untold(ctx context.Context) verdict {
	newest, err := r.events(ctx, r.made.id, 1, 0)
	switch {
	case err != nil:
		return failed(err)
	case len(newest) > 0 && newest[0].ID > r.made.after:
		return broken("the history has a new event, %.40q, of which nothing was told", newest[0].Event)
	}
	return unsettled("a changed label makes no event")
}

// update changes label and tags.
func (r *run) update(ctx context.Context) error {
	answer, err := r.client.UpdateSession(ctx, r.made.id, coder.UpdateSessionRequest{Label: new(relabel), Tags: []string{tag, tag + "-2"}})
	r.made.updated = r.made.updated || err == nil
	r.made.answers = append(r.made.answers, answer)
	return err
}

func (r *run) historyFollows(ctx context.Context) verdict {
	if r.made == nil {
		return unsettled(unmade)
	}
	if r.made.told == "" {
		return unsettled("the stream has told nothing")
	}
	took, yes, err := eventually(ctx, 5*time.Second, func() (bool, error) {
		page, err := r.events(ctx, r.made.id, 20, 0)
		return slices.ContainsFunc(page, func(e coder.SessionEvent) bool { return e.ID > r.made.after && e.Event == r.made.told }), err
	})
	if err != nil {
		return failed(err)
	}
	return check(yes, "%.40q in the history after %v: %t", r.made.told, round(took), yes)
}

func (r *run) updateApplies(parent context.Context) verdict {
	ctx, cancel := bounded(parent)
	defer cancel()
	if r.made == nil {
		return unsettled(unmade)
	}
	if !r.made.updated {
		if err := r.update(ctx); err != nil {
			return failed(err)
		}
	}
	session, v := r.read(ctx)
	if v != nil {
		return *v
	}
	r.made.applied = session
	tags := slices.Equal(slices.Sorted(slices.Values(session.Tags)), []string{tag, tag + "-2"})
	return check(session.Label == relabel && tags, "label changed: %t, tags replaced: %t", session.Label == relabel, tags)
}

func (r *run) updateKeeps(parent context.Context) verdict {
	ctx, cancel := bounded(parent)
	defer cancel()
	if r.made == nil || !r.made.updated {
		return unsettled(unmade)
	}
	session, v := r.read(ctx)
	if v != nil {
		return *v
	}
	key, sameTask := session.Metadata["idempotencyKey"] == r.made.key, session.Task == task
	return check(key && sameTask, "after an update of the label: same metadata: %t, same task: %t", key, sameTask)
}

func (r *run) updateRepeats(parent context.Context) verdict {
	ctx, cancel := bounded(parent)
	defer cancel()
	if r.made == nil || !r.made.updated {
		return unsettled(unmade)
	}
	err := r.update(ctx)
	switch {
	case statusOf(err) != "" && !coder.IsTransient(err):
		return broken("%s", statusOf(err))
	case err != nil:
		return failed(err)
	}
	session, v := r.read(ctx)
	if v != nil {
		return *v
	}
	first, again := r.made.answers[0], r.made.answers[len(r.made.answers)-1]
	same := first != nil && first.Label == again.Label && slices.Equal(first.Tags, again.Tags)
	effect := r.made.applied == nil || session.Label == r.made.applied.Label && slices.Equal(session.Tags, r.made.applied.Tags)
	return check(same && effect, "the same answer: %t, the same effect: %t", same, effect)
}

func (r *run) updateFixed(parent context.Context) verdict {
	ctx, cancel := bounded(parent)
	defer cancel()
	before, v := r.read(ctx)
	if v != nil {
		return *v
	}
	metadata, _ := json.Marshal(map[string]any{"idempotencyKey": r.made.key, "fixed": "no"})
	_, err := r.client.UpdateSession(ctx, r.made.id, coder.UpdateSessionRequest{Extra: map[string]json.RawMessage{
		"metadata": metadata, "env": json.RawMessage(`{"CODER_GO_PROMISE":"changed"}`),
	}})
	if err != nil && (statusOf(err) == "" || coder.IsTransient(err)) {
		return failed(err)
	}
	answer := "ignored"
	if err != nil {
		answer = statusOf(err)
	}
	after, v := r.read(ctx)
	if v != nil {
		return *v
	}
	var changed []string
	if !reflect.DeepEqual(before.Metadata, after.Metadata) {
		changed = append(changed, "metadata")
	}
	if !reflect.DeepEqual(before.Env, after.Env) {
		changed = append(changed, "env")
	}
	if len(changed) > 0 {
		return broken("changed: %s", strings.Join(changed, ", "))
	}
	if before.Env == nil {
		answer += "; env is not shown"
	}
	return held("%s", answer)
}

func (r *run) askAnswers(parent context.Context) verdict {
	ctx, cancel := context.WithTimeout(parent, working)
	defer cancel()
	if r.made == nil {
		return unsettled(unmade)
	}
	conn, err := r.client.Attach(ctx, r.made.id, nil)
	if err != nil {
		return failed(err)
	}
	defer conn.Close()
	began := time.Now()
	answer, err := conn.Ask(ctx, prompt, nil)
	switch {
	case errors.Is(err, coder.ErrOutcomeUnknown) && ctx.Err() == nil:
		return broken("after %v: %v", round(time.Since(began)), err)
	case err != nil:
		return failed(err)
	case answer.Text == "":
		return broken("the answer has no text")
	}
	return held("answered within %v", round(time.Since(began)))
}

func (r *run) resumeRepeats(parent context.Context) verdict {
	ctx, cancel := bounded(parent)
	defer cancel()
	session, v := r.read(ctx)
	switch {
	case v != nil:
		return *v
	case !session.RuntimeAvailable:
		return unsettled("the session is not awake: status %.40q", session.Status)
	}
	_, err := r.client.ResumeSession(ctx, r.made.id)
	switch {
	case err == nil:
		return held("it works")
	case coder.IsTransient(err):
		return failed(err)
	}
	return broken("%v", err)
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

// cleanUp takes away what was made, whatever has become of the context, and returns what it could not.
func (r *run) cleanUp(ctx context.Context) []string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleaning)
	defer cancel()
	if r.made == nil && r.doubt { // the answer to the create was lost
		r.find(ctx)
	}
	switch {
	case r.made == nil && r.doubt:
		return []string{fmt.Sprintf("a session with the label %q may have been created, and was not found", label)}
	case r.made == nil || r.made.deleted:
		return nil
	}
	err := r.client.DeleteSession(ctx, r.made.id)
	if err == nil || errors.Is(err, coder.ErrSessionNotFound) {
		return nil
	}
	if _, archived := r.client.ArchiveSession(ctx, r.made.id); archived == nil {
		return []string{fmt.Sprintf("session %s is archived and not deleted: %v", r.made.id, err)}
	}
	return []string{fmt.Sprintf("session %s is still there: %v", r.made.id, err)}
}

// find looks for a session whose create had no answer.
func (r *run) find(ctx context.Context) {
	key := "promises-" + r.nonce
	_, _, _ = eventually(ctx, cleaning/2, func() (bool, error) {
		for s, err := range r.client.AllSessions(ctx, &coder.ListSessionsParams{Search: key, IncludeArchived: true}) {
			if err != nil {
				return false, nil // another look may be answered
			}
			session, err := r.client.GetSession(ctx, s.SessionID)
			if err == nil && session.Metadata["idempotencyKey"] == key {
				r.made = &made{id: s.SessionID, key: key}
				return true, nil
			}
		}
		return false, nil
	})
}
