package promises

import (
	"context"
	"slices"
	"strings"

	"github.com/agentuity/coder-go"
)

func replays() []Promise {
	return []Promise{
		{
			Name: "replay-order", Belief: "A replay has the conversation from its beginning, oldest first.",
			Needs: "ReplayEntries; RunSession and LastAnswer where the history no longer has the answer", Otherwise: "The last message is not the answer: they may return another one.",
			check: (*run).replayOrder,
		},
		{
			Name: "replay-stable", Belief: "A second replay begins with what the first one had.",
			Needs: "ReplayEntries after a lost connection", Otherwise: "It ends with an error instead of going on.",
			check: (*run).replayStable,
		},
		{
			Name: "replay-answers", Belief: "A replay has the answers of the agent as entries of the type message.",
			Needs: "RunSession and LastAnswer where the history no longer has the answer", Otherwise: "They return an empty answer then.",
			check: (*run).replayAnswers,
		},
	}
}

// replay reads the conversation of the session that is looked at.
func (r *run) replay(ctx context.Context) ([]coder.ConversationEntry, *verdict) {
	if _, v := r.history(ctx); v != nil {
		return nil, v
	}
	replay, err := r.client.GetReplay(ctx, r.told, nil)
	if err != nil {
		v := failed(err)
		return nil, &v
	}
	return replay.Entries, nil
}

func (r *run) replayOrder(parent context.Context) verdict {
	ctx, cancel := bounded(parent)
	defer cancel()
	entries, v := r.replay(ctx)
	switch {
	case v != nil:
		return *v
	case len(entries) < 2:
		return unsettled("the replay has %d entries", len(entries))
	}
	if !slices.ContainsFunc(entries, func(e coder.ConversationEntry) bool { return !e.Timestamp.IsZero() }) {
		return unsettled("none of %d entries has a time", len(entries))
	}
	for i := 1; i < len(entries); i++ {
		if entries[i].Timestamp.Before(entries[i-1].Timestamp.Time) {
			return broken("entry %d of %d is older than the one before", i+1, len(entries))
		}
	}
	if r.made == nil || r.told != r.made.id { // what others were asked first is not known
		return held("%d entries", len(entries))
	}
	first := slices.IndexFunc(entries, func(e coder.ConversationEntry) bool { return e.Type == coder.EntryUserPrompt })
	begins := first >= 0 && strings.Contains(entries[first].Content, task)
	return check(begins, "%d entries, the task is the first prompt: %t", len(entries), begins)
}

func (r *run) replayStable(parent context.Context) verdict {
	ctx, cancel := bounded(parent)
	defer cancel()
	first, v := r.replay(ctx)
	switch {
	case v != nil:
		return *v
	case len(first) < 2:
		return unsettled("the replay has %d entries", len(first))
	}
	second, v := r.replay(ctx)
	if v != nil {
		return *v
	}
	for i := range len(first) - 1 { // the last may be growing
		if i >= len(second) || first[i].Type != second[i].Type || first[i].Content != second[i].Content ||
			!first[i].Timestamp.Equal(second[i].Timestamp.Time) {
			return broken("entry %d of %d is another one the second time", i+1, len(first))
		}
	}
	return held("%d entries, twice", len(first))
}

func (r *run) replayAnswers(parent context.Context) verdict {
	ctx, cancel := bounded(parent)
	defer cancel()
	entries, v := r.replay(ctx)
	if v != nil {
		return *v
	}
	answers := 0
	for i := range entries {
		if entries[i].Type == coder.EntryMessage {
			answers++
		}
	}
	if answers > 0 {
		return held("%d of %d entries", answers, len(entries))
	}
	_, ended, _, err := r.messages(ctx)
	switch {
	case err != nil:
		return failed(err)
	case ended == 0:
		return unsettled(noMessages)
	}
	return broken("the agent has ended %d messages, and the replay has none of them", ended)
}
