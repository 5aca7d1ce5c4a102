package promises

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/agentuity/coder-go"
)

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
			if !sent.IsZero() && ofUpdate(m.Event, m.Data) {
				r.made.told, r.delay = m.Event, max(time.Since(sent), 1)
				return held("told of a changed label within %v", round(r.delay))
			}
		}
	}
	return r.untold(ctx)
}

// ofUpdate tells whether an event is that of the update. Others may come meanwhile, of the agent and of who joins.
func ofUpdate(event string, data json.RawMessage) bool {
	return event == coder.EventSessionLabelUpdated || bytes.Contains(data, []byte(relabel))
}

// untold is the verdict where the stream has not told of the update: has the history?
func (r *run) untold(ctx context.Context) verdict {
	newest, err := r.events(ctx, r.made.id, 20, 0)
	if err != nil {
		return failed(err)
	}
	for i := range newest {
		if e := &newest[i]; e.ID > r.made.after && ofUpdate(e.Event, e.Payload) {
			return broken("the history has a new event, %.40q, of which nothing was told", e.Event)
		}
	}
	return unsettled("a changed label makes no event")
}

// update changes label and tags.
func (r *run) update(ctx context.Context) error {
	answer, err := r.client.UpdateSession(ctx, r.made.id, coder.UpdateSessionRequest{Label: new(relabel), Tags: []string{tag, tag + "-2"}})
	if err == nil {
		r.made.updated = true
		r.made.answers = append(r.made.answers, answer)
	}
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
	same := first.Label == again.Label && slices.Equal(first.Tags, again.Tags)
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
	// One after the other: a refusal of both would say nothing of the second.
	answers, refused := make([]string, 2), make([]bool, 2)
	for i, extra := range []map[string]json.RawMessage{
		{"metadata": metadata},
		{"env": json.RawMessage(`{"CODER_GO_PROMISE":"changed"}`)},
	} {
		_, err := r.client.UpdateSession(ctx, r.made.id, coder.UpdateSessionRequest{Extra: extra})
		switch {
		case err == nil:
			answers[i] = "ignored"
		case statusOf(err) == "" || coder.IsTransient(err) || errors.Is(err, coder.ErrUnauthorized) || errors.Is(err, coder.ErrNotFound):
			return failed(err)
		default:
			answers[i], refused[i] = statusOf(err), true
		}
	}
	after, v := r.read(ctx)
	if v != nil {
		return *v
	}
	var changed, unseen []string
	switch {
	case !reflect.DeepEqual(before.Metadata, after.Metadata):
		changed = append(changed, "metadata")
	case !refused[0] && before.Metadata["idempotencyKey"] != r.made.key:
		unseen = append(unseen, "metadata")
	}
	const name = "CODER_GO_PROMISE"
	switch {
	case !reflect.DeepEqual(before.Env, after.Env):
		changed = append(changed, "env")
	case !refused[1] && before.Env[name] != fixedEnv[name]: // not shown, or masked
		unseen = append(unseen, "env")
	}
	switch {
	case len(changed) > 0:
		return broken("changed: %s", strings.Join(changed, ", "))
	case len(unseen) > 0:
		return unsettled("what became of it is not shown: %s", strings.Join(unseen, ", "))
	}
	return held("metadata: %s, env: %s", answers[0], answers[1])
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
	case coder.IsTransient(err):
		return failed(err)
	default:
		return broken("%v", err)
	}
	after, err := r.client.GetSession(ctx, r.made.id)
	switch {
	case errors.Is(err, coder.ErrSessionNotFound):
		return broken("it works, and the session is gone: %s", statusOf(err))
	case err != nil:
		return failed(err)
	}
	changed := differences(session, after)
	return check(len(changed) == 0, "it works, and changes %s", cmp.Or(strings.Join(changed, ", "), "nothing"))
}

// differences are what has changed of a session that works. Its status, activity and counts may, with its agent and who watches.
func differences(before, after *coder.Session) []string {
	var names []string
	for _, d := range []struct {
		name string
		same bool
	}{
		{"label", before.Label == after.Label},
		{"tags", slices.Equal(before.Tags, after.Tags)},
		{"task", before.Task == after.Task},
		{"mode", before.Mode == after.Mode},
		{"visibility", before.Visibility == after.Visibility},
		{"createdAt", before.CreatedAt.Equal(after.CreatedAt)},
		{"metadata", reflect.DeepEqual(before.Metadata, after.Metadata)},
		{"env", reflect.DeepEqual(before.Env, after.Env)},
		{"runtimeAvailable", before.RuntimeAvailable == after.RuntimeAvailable},
		{"historyOnly", before.HistoryOnly == after.HistoryOnly},
	} {
		if !d.same {
			names = append(names, d.name)
		}
	}
	return names
}
