package coder

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/agentuity/coder-go/internal/route"
	"github.com/agentuity/coder-go/internal/transport"
	"github.com/agentuity/coder-go/internal/wire"
)

// ReplayError is a replay that ended before its end.
type ReplayError struct {
	// Delivered is the number of entries that came before.
	Delivered int
	// Err is why it ended: a [*RequestError] if the connection was lost or the context ended, a
	// [*ResponseError] if the answer is of no use.
	Err error
}

// Error says how far the replay came, and why it ended.
func (e *ReplayError) Error() string {
	return fmt.Sprintf("%v (after %d entries)", e.Err, e.Delivered)
}

// Unwrap returns the cause.
func (e *ReplayError) Unwrap() error { return e.Err }

// ReplayEntries returns the entries of a replay, oldest first, each as soon as it has arrived.
// Memory does not depend on the size of the replay, only on that of an entry, which may not be
// larger than [WithMaxResponseSize]. Leaving the loop closes the connection; ranging again starts
// over. A slow loop slows the Hub down and loses nothing.
//
// An error is the last thing it yields: as of [Client.GetReplay] if there is no replay to read,
// and a [*ReplayError] if it ends in the middle. Only the request is repeated, not what was read.
//
// GET /hub/session/{sessionId}/replay
func (c *Client) ReplayEntries(ctx context.Context, sessionID string, params *GetSessionReplayParams) iter.Seq2[ConversationEntry, error] {
	var q route.Query
	if params != nil {
		q.Int("limit", params.Limit).Int("offset", params.Offset)
	}
	r := get("ReplayEntries", "/hub/session/{sessionID}/replay", sessionID).with(&q)
	r.stream = true
	return func(yield func(ConversationEntry, error) bool) {
		a := c.send(ctx, r)
		if a.err != nil {
			yield(ConversationEntry{}, a.err)
			return
		}
		defer func() { _ = a.outcome.Stream.Close() }()
		reader := replayReader{stream: wire.NewStream(a.outcome.Stream, c.maxResponseSize)}
		if err := reader.read(yield); err != nil {
			yield(ConversationEntry{}, &ReplayError{Delivered: reader.delivered, Err: a.streamFailure(ctx, reader.stream, err)})
		}
	}
}

// replayReader takes the entries out of a replay.
type replayReader struct {
	stream    *wire.Stream
	delivered int
	sessionID string
	refused   bool
}

// read yields every entry. It returns nil also if the loop was left.
func (r *replayReader) read(yield func(ConversationEntry, error) bool) error {
	left := false
	var bad error
	var entry ConversationEntry // one for all: the loop gets copies
	found, err := r.stream.Read("entries", func(raw []byte) bool {
		entry = ConversationEntry{}
		if bad = wire.Unmarshal(raw, (*conversationEntryPlain)(&entry)); bad != nil { // plain is faster
			return false
		}
		r.delivered++
		left = !yield(entry, nil)
		return !left
	}, r.member)
	switch {
	case left:
		return nil
	case bad != nil || err != nil:
		return errors.Join(bad, err)
	case r.refused:
		return &flaw{"it says that the request failed", errRefused}
	case !found:
		return &flaw{text: `the list "entries" is missing`}
	}
	return missingText("sessionId", r.sessionID)
}

func (r *replayReader) member(name string, raw []byte) {
	switch name {
	case "sessionId":
		_ = wire.Unmarshal(raw, &r.sessionID)
	case "ok", "success":
		r.refused = r.refused || string(raw) == "false"
	}
}

// streamFailure is the error of an answer that was read in part.
func (a *answer) streamFailure(ctx context.Context, stream *wire.Stream, err error) error {
	var reason *flaw
	switch {
	case ctx.Err() != nil:
		err = contextError(ctx, ctx.Err(), nil)
	case errors.As(err, &reason):
		return a.unusable(reason.text, reason.cause)
	case errors.Is(err, wire.ErrTooLarge):
		return a.unusable("an entry is larger than the limit", ErrResponseTooLarge)
	case stream.ReadErr() == nil:
		return a.unusable("it is not valid JSON", err)
	default:
		err = stream.ReadErr()
	}
	return &RequestError{
		Operation: a.op, Method: a.method, Path: a.path, Attempts: a.outcome.Attempts,
		Sent: Sent(transport.SentYes), Err: err,
	}
}
