package coder

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"iter"
	"maps"
	"slices"

	"github.com/agentuity/coder-go/internal/backoff"
	"github.com/agentuity/coder-go/internal/route"
	"github.com/agentuity/coder-go/internal/wire"
)

// ReplayEntriesSource is the store of the Hub that a replay was read from. Unknown values are kept
// as they came.
type ReplayEntriesSource string

// The sources of replays.
const (
	ReplaySourceDurableStream  ReplayEntriesSource = "durable_stream"
	ReplaySourceSessionEntries ReplayEntriesSource = "session_entries"
	ReplaySourceEventHistory   ReplayEntriesSource = "event_history"
	ReplaySourceNone           ReplayEntriesSource = "none"
)

// SessionReplay is the transcript of a session.
type SessionReplay struct {
	// SessionID is the id that was asked for.
	SessionID string `json:"sessionId"`
	// EntriesSource names the store that the entries were read from.
	EntriesSource ReplayEntriesSource `json:"entriesSource,omitzero"`
	// SourceCounts counts the entries in each store; nil if the Hub does not say.
	SourceCounts *ReplaySourceCounts `json:"sourceCounts,omitzero"`
	// Entries come oldest first.
	Entries []ConversationEntry `json:"entries,omitzero"`
	// Replay and Events are what else a Hub may put here. The transcript is in Entries.
	Replay json.RawMessage   `json:"replay,omitzero"`
	Events []json.RawMessage `json:"events,omitzero"`
	// Extra holds the members this package has no field for.
	Extra map[string]json.RawMessage `json:",embed"`
}

func (r *SessionReplay) problem() error {
	if r.Entries == nil {
		return &reason{text: `the list "entries" is missing`}
	}
	return missingText("sessionId", r.SessionID)
}

func (r *SessionReplay) namedSession() string { return r.SessionID }

// ReplaySourceCounts counts the entries that each store of the Hub has of a session.
type ReplaySourceCounts struct {
	// The stores are those of [ReplayEntriesSource].
	DurableStream  int `json:"durableStream"`
	SessionEntries int `json:"sessionEntries"`
	EventHistory   int `json:"eventHistory"`
}

// ConversationEntryType is the kind of a [ConversationEntry]. Unknown values are kept as they came.
type ConversationEntryType string

// The kinds of entries.
const (
	EntryMessage        ConversationEntryType = "message"     // text of an agent
	EntryUserPrompt     ConversationEntryType = "user_prompt" // text of a user
	EntryThinking       ConversationEntryType = "thinking"
	EntryToolCall       ConversationEntryType = "tool_call"
	EntryToolResult     ConversationEntryType = "tool_result"
	EntryTaskResult     ConversationEntryType = "task_result"
	EntryRuntimeStatus  ConversationEntryType = "runtime_status"
	EntryRuntimeOutput  ConversationEntryType = "runtime_output"
	EntryRuntimePreview ConversationEntryType = "runtime_preview"
	EntryTurn           ConversationEntryType = "turn"
)

// ConversationEntry is one entry of a transcript. Only Type and Timestamp are always set.
type ConversationEntry struct {
	// Type decides which of the other members are set.
	Type ConversationEntryType `json:"type"`
	// Timestamp is the time at which it was said or done.
	Timestamp UnixMilli `json:"timestamp"`
	// Agent is who said or did it.
	Agent string `json:"agent,omitzero"`
	// Content is the text, Thinking the thoughts before it.
	Content  string `json:"content,omitzero"`
	Thinking string `json:"thinking,omitzero"`

	// A tool call: the tool, its arguments, and, in the entry of its result, whether it failed (nil if the
	// Hub does not say). ToolCallID is the same in the call and its result. Whole numbers in ToolArgs that a
	// float64 cannot hold are json.Number.
	ToolName   string         `json:"toolName,omitzero"`
	ToolCallID string         `json:"toolCallId,omitzero"`
	ToolArgs   map[string]any `json:"toolArgs,omitzero"`
	IsError    *bool          `json:"isError,omitzero"`

	// The task, the turn and the reply that the entry belongs to.
	TaskID  string `json:"taskId,omitzero"`
	TurnID  string `json:"turnId,omitzero"`
	ReplyID string `json:"replyId,omitzero"`

	// Sequence orders the entries, ElapsedMs is how long the work took. Both are nil if the Hub does not say.
	Sequence  *int64        `json:"sequence,omitzero"`
	ElapsedMs *Milliseconds `json:"elapsedMs,omitzero"`

	// Runtime describes the process of a runtime entry, Preview the page of a runtime_preview entry.
	Runtime *RuntimeProcessDescriptor `json:"runtime,omitzero"`
	Preview *RuntimePreviewDescriptor `json:"preview,omitzero"`
	// Attachments came with a prompt, which Author wrote.
	Attachments []PromptAttachmentDescriptor `json:"attachments,omitzero"`
	Author      *ConversationAuthor          `json:"author,omitzero"`
	// Extra holds the members this package has no field for.
	Extra map[string]json.RawMessage `json:",embed"`
}

// RuntimeProcessDescriptor is a process in the runtime of a session. Every member is optional.
type RuntimeProcessDescriptor struct {
	// How the process was started: program, arguments, working directory and environment.
	PID     int               `json:"pid,omitzero"`
	Command string            `json:"command,omitzero"`
	Args    []string          `json:"args,omitzero"`
	Cwd     string            `json:"cwd,omitzero"`
	Env     map[string]string `json:"env,omitzero"`
	// Status is free text.
	Status string `json:"status,omitzero"`
	// ExitCode is nil while the process runs, or if the Hub does not say. Signal is what ended it.
	ExitCode *int   `json:"exitCode,omitzero"`
	Signal   string `json:"signal,omitzero"`
	// Extra holds the members this package has no field for.
	Extra map[string]json.RawMessage `json:",embed"`
}

// RuntimePreviewDescriptor says where something that runs in a session can be seen. Every member is optional.
type RuntimePreviewDescriptor struct {
	// URL opens the preview. Port, Protocol and Path are what it leads to in the runtime.
	URL      string `json:"url,omitzero"`
	Port     int    `json:"port,omitzero"`
	Protocol string `json:"protocol,omitzero"`
	Path     string `json:"path,omitzero"`
	// Status is free text.
	Status string `json:"status,omitzero"`
	// Extra holds the members this package has no field for.
	Extra map[string]json.RawMessage `json:",embed"`
}

// PromptAttachmentDescriptor is something that came with a prompt. Only Type is always set.
type PromptAttachmentDescriptor struct {
	// Type is "file", "image", "url" or another.
	Type string `json:"type"`
	// Name is for people.
	Name string `json:"name,omitzero"`
	// URL is where the content is, Content is the content itself.
	URL     string `json:"url,omitzero"`
	Content string `json:"content,omitzero"`
	// MimeType and Size, in bytes, are those of the content. Size is nil if it is not known.
	MimeType string `json:"mimeType,omitzero"`
	Size     *int64 `json:"size,omitzero"`
	// Extra holds the members this package has no field for.
	Extra map[string]json.RawMessage `json:",embed"`
}

// ConversationActorType is a kind of author. Unknown values are kept as they came.
type ConversationActorType string

// The kinds of authors.
const (
	ActorUser    ConversationActorType = "user"
	ActorAPIKey  ConversationActorType = "api_key"
	ActorService ConversationActorType = "service"
)

// ConversationAuthor is who wrote a prompt. Every member is optional.
type ConversationAuthor struct {
	// The user: id, name for people, mail address, address of a picture.
	UserID      string `json:"userId,omitzero"`
	DisplayName string `json:"displayName,omitzero"`
	Email       string `json:"email,omitzero"`
	AvatarURL   string `json:"avatarUrl,omitzero"`
	// APIKeyLabel is the name of the API key that the prompt was sent with.
	APIKeyLabel string `json:"apiKeyLabel,omitzero"`
	// ActorType says whether the author is a user, an API key or a service.
	ActorType ConversationActorType `json:"actorType,omitzero"`
	// Extra holds the members this package has no field for.
	Extra map[string]json.RawMessage `json:",embed"`
}

// GetSessionReplayParams selects entries of a replay.
type GetSessionReplayParams struct {
	// Limit is the largest number of entries to return, Offset the number of entries to skip. 0: not sent. A
	// Hub may ignore both.
	Limit  int
	Offset int
	// NoResume makes [Client.ReplayEntries] end with a [*ReplayError] when the connection is lost in the
	// middle. It is not sent, and has no meaning for [Client.GetReplay], which returns nothing before it has
	// everything. Default: ReplayEntries requests the transcript again and goes on.
	NoResume bool
}

// GetReplay returns the whole transcript of a session. An unknown id is an error that matches
// [ErrSessionNotFound].
//
// GET /hub/session/{sessionId}/replay
func (c *Client) GetReplay(ctx context.Context, sessionID string, params *GetSessionReplayParams) (*SessionReplay, error) {
	var q route.Query
	if params != nil {
		q.Int("limit", params.Limit).Int("offset", params.Offset)
	}
	var entries arrivingEntries
	r := get("GetReplay", "/hub/session/{sessionID}/replay", sessionID).with(&q)
	r.reduce = entries.read
	replay, err := call[SessionReplay](ctx, c, r)
	if err == nil && entries.list != nil {
		replay.Entries = entries.list
	}
	return replay, err
}

// arrivingEntries are the entries of a replay that is decoded while it arrives.
type arrivingEntries struct {
	list []ConversationEntry // nil: there was no need to
	cost wire.Cost
	size int // of the body so far
}

// read reads a replay, and returns the rest of it.
func (e *arrivingEntries) read(body io.Reader) ([]byte, error) {
	*e = arrivingEntries{cost: wire.Cost{Large: true}}
	return wire.Split(io.TeeReader(body, (*sizeOf)(&e.size)), unlimited, "entries", func() { e.list = []ConversationEntry{} }, e.take)
}

func (e *arrivingEntries) take(raw []byte) error {
	if raw[0] != '{' {
		return &reason{fmt.Sprintf(`"entries[%d]" is not an object`, len(e.list)), wire.ErrNotAnObject}
	}
	_, _ = e.cost.Write(raw)
	_, _ = e.cost.Write([]byte{','})
	if err := e.cost.CheckOf(e.size); err != nil {
		return err
	}
	e.list = append(e.list, ConversationEntry{})
	return wire.Unmarshal(raw, &e.list[len(e.list)-1])
}

// sizeOf counts what is written.
type sizeOf int

func (s *sizeOf) Write(p []byte) (int, error) {
	*s += sizeOf(len(p))
	return len(p), nil
}

// ReplayError says that a replay broke off in the middle.
type ReplayError struct {
	// Delivered is the number of entries yielded before the error, each counted once.
	Delivered int
	// Err is the cause: a [*RequestError] if the connection was lost or the context ended, a
	// [*ResponseError] if what came cannot be used, or is not the same transcript as before, an [*APIError] if
	// the Hub refused to send the transcript once more.
	Err error
}

// Error says how far the replay came, and why it ended.
func (e *ReplayError) Error() string {
	return fmt.Sprintf("%v (after %d entries)", e.Err, e.Delivered)
}

// Unwrap returns the cause.
func (e *ReplayError) Unwrap() error { return e.Err }

// ReplayEntries returns the entries of a replay, oldest first, each as soon as it has arrived. Memory depends
// only on the size of one entry, which must not be larger than [WithMaxResponseSize], not on the size of the
// replay or the number of entries. Leaving the loop closes the connection; ranging again starts over. A slow
// loop slows the Hub down and loses nothing.
//
// If the connection is lost in the middle, is silent for 60 s, or ends before the JSON does, ReplayEntries requests the
// transcript again and skips the entries that it has yielded, so that no entry comes twice. The entries that it skips must
// be the same as before, in the same order: they are compared by sequence if they have one, else by time, agent, text, tool
// and arguments, and the ids of task, turn and reply. If they differ, or if there are fewer, the replay ends with a
// [*ReplayError]. Entries that were added at the end meanwhile are yielded. The waits and the number of attempts are those
// of the [RetryPolicy]; each new entry resets the count of MaxAttempts. Each of these requests is itself repeated as any
// idempotent call is, and waits as long as the Hub asks. With [GetSessionReplayParams].NoResume, or with MaxAttempts 1, the
// transcript is not requested again.
//
// An error is the last thing that it yields: one of those of [Client.GetReplay] if there is no replay to
// read, and a [*ReplayError] if the replay ends in the middle. [IsTransient] is true for a ReplayError whose
// connection was lost.
//
// GET /hub/session/{sessionId}/replay
func (c *Client) ReplayEntries(ctx context.Context, sessionID string, params *GetSessionReplayParams) iter.Seq2[ConversationEntry, error] {
	return c.replayEntries(ctx, "ReplayEntries", sessionID, params)
}

func (c *Client) replayEntries(ctx context.Context, op, sessionID string, params *GetSessionReplayParams) iter.Seq2[ConversationEntry, error] {
	var q route.Query
	resumes := true
	if params != nil {
		q.Int("limit", params.Limit).Int("offset", params.Offset)
		resumes = !params.NoResume
	}
	r := get(op, "/hub/session/{sessionID}/replay", sessionID).with(&q)
	r.stream = true
	return func(yield func(ConversationEntry, error) bool) {
		reader := replayReader{client: c, resumes: resumes, yield: yield}
		if err := reader.readAll(ctx, r); err != nil {
			yield(ConversationEntry{}, err)
		}
	}
}

// replayReader takes the entries out of a replay, in as many requests as it takes.
type replayReader struct {
	client  *Client
	resumes bool
	yield   func(ConversationEntry, error) bool

	delivered int          // over all requests
	requests  int          // before the current one
	passed    uint64       // digest of what was delivered by the requests before
	digest    maphash.Hash // of the entries that the current request has brought

	response  *response
	stream    *wire.Stream
	seen      int // entries that the current request has brought
	sessionID string
	refused   bool
}

// readAll reads until the transcript is whole, the loop was left, or another request would not help.
func (r *replayReader) readAll(ctx context.Context, open *request) error {
	policy := r.client.retry
	attempts := backoff.Attempts{Max: policy.MaxAttempts - 1, Least: policy.MinBackoff, Most: policy.MaxBackoff}
	for {
		before := r.delivered
		err, lost := r.readOnce(ctx, open)
		switch {
		case err == nil:
			return nil
		case r.delivered > before:
			attempts.Succeeded() // the waits go on growing: a Hub that cuts each time is not asked at full speed
		}
		if !lost || !r.resumes {
			return err
		}
		wait, more := attempts.Next()
		if !more {
			return err
		}
		if !backoff.Sleep(ctx, wait) {
			e := r.response.requestError(SentYes, contextError(ctx, ctx.Err(), err))
			e.Attempts = r.requests
			return &ReplayError{Delivered: r.delivered, Err: e}
		}
	}
}

// readOnce makes one request. It reports whether the answer was lost on the way.
func (r *replayReader) readOnce(ctx context.Context, open *request) (err error, lost bool) {
	first := r.requests == 0
	a := r.client.send(ctx, open)
	before := r.requests
	if a.outcome != nil {
		r.requests += a.outcome.Attempts
	}
	_ = a.over(a.err) // until the answer begins
	if a.err != nil {
		if first {
			return a.err, false
		}
		return r.failed(a.err, before), false // the request has been repeated as often as the policy allows
	}
	defer func() { _ = a.outcome.Stream.Close() }()
	r.response, r.stream = a, wire.NewStream(a.outcome.Stream, r.client.maxResponseSize)
	r.begin()
	if err = r.read(); err == nil {
		return nil, false
	}
	failure := a.streamFailure(ctx, r.stream, err)
	// Some gateways end an answer that they have lost as if it were whole.
	cut := errors.Is(err, io.ErrUnexpectedEOF) && r.seen > 0
	return r.failed(failure, before), ctx.Err() == nil && (cut || failureOf(failure).Transient())
}

// begin prepares for another answer.
func (r *replayReader) begin() {
	if r.seen >= r.delivered { // else the answer before has not come so far as the one before it
		r.passed = r.digest.Sum64()
	}
	r.digest.Reset()
	r.seen, r.sessionID, r.refused = 0, "", false
}

// failed is the error of a replay that ends with err, whose own request was not the first.
func (r *replayReader) failed(err error, before int) error {
	var (
		api     *APIError
		request *RequestError
	)
	switch {
	case errors.As(err, &api):
		api.Attempts += before
	case errors.As(err, &request):
		request.Attempts += before
	}
	return &ReplayError{Delivered: r.delivered, Err: err}
}

// read yields every entry of an answer that was not yielded before. It returns nil also if the loop was left.
func (r *replayReader) read() error {
	left := false
	var bad error
	var entry ConversationEntry // one for all: the loop gets copies
	found, err := r.stream.Read("entries", func(raw []byte) bool {
		entry = ConversationEntry{}
		if bad = r.otherSession(); bad != nil {
			return false
		}
		if raw[0] != '{' {
			bad = r.response.unusable(fmt.Sprintf(`"entries[%d]" is not an object`, r.seen), wire.ErrNotAnObject)
			return false
		}
		if bad = wire.CheckCost(raw); bad != nil {
			bad = r.response.unusable("an entry: "+bad.Error(), errors.Join(ErrResponseTooLarge, bad))
			return false
		}
		if bad = wire.Unmarshal(raw, &entry); bad != nil {
			return false
		}
		if r.resumes {
			entry.identify(&r.digest)
		}
		if r.seen++; r.seen <= r.delivered {
			if r.seen == r.delivered && r.digest.Sum64() != r.passed {
				bad = &reason{text: "the transcript has changed since the connection was lost"}
			}
			return bad == nil
		}
		r.delivered++
		left = !r.yield(entry, nil)
		return !left
	}, r.member)
	switch {
	case left:
		return nil
	case bad != nil:
		return bad
	case err != nil:
		return err
	case r.refused:
		return &reason{"it says that the request failed", errRefused}
	case !found:
		return &reason{text: `the list "entries" is missing`}
	case r.seen < r.delivered:
		return &reason{text: fmt.Sprintf("the transcript has changed since the connection was lost: it has %d entries", r.seen)}
	}
	if err := r.otherSession(); err != nil {
		return err
	}
	return missingText("sessionId", r.sessionID)
}

// identify adds to a digest what tells the entry from others: its sequence, else its content. What a Hub may
// word anew each time, the address of an attachment for example, is left out.
func (e *ConversationEntry) identify(h *maphash.Hash) {
	if e.Sequence != nil {
		maphash.WriteComparable(h, *e.Sequence)
		return
	}
	maphash.WriteComparable(h, e.Timestamp.UnixMicro())
	for _, text := range [...]string{
		string(e.Type), e.Agent, e.Content, e.Thinking, e.ToolName, e.ToolCallID, e.TaskID, e.TurnID, e.ReplyID,
	} {
		writeText(h, text)
	}
	writeJSON(h, e.ToolArgs)
}

// writeText adds a text so that it does not run into the next one.
func writeText(h *maphash.Hash, text string) {
	maphash.WriteComparable(h, len(text))
	_, _ = h.WriteString(text)
}

// writeJSON adds what was decoded from JSON, whatever the order of the members was.
func writeJSON(h *maphash.Hash, v any) {
	switch v := v.(type) {
	case map[string]any:
		maphash.WriteComparable(h, len(v))
		for _, name := range slices.Sorted(maps.Keys(v)) {
			writeText(h, name)
			writeJSON(h, v[name])
		}
	case []any:
		maphash.WriteComparable(h, len(v))
		for _, element := range v {
			writeJSON(h, element)
		}
	case string:
		writeText(h, v)
	default: // a number, a flag, null
		maphash.WriteComparable(h, v)
	}
}

// otherSession returns an error if the replay has named another session so far.
func (r *replayReader) otherSession() error {
	if r.sessionID == "" {
		return nil
	}
	return r.response.otherSession(r.sessionID)
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
func (a *response) streamFailure(ctx context.Context, stream *wire.Stream, err error) error {
	var bad *reason
	switch {
	case ctx.Err() != nil:
		err = contextError(ctx, ctx.Err(), nil)
	case errors.As(err, new(*ResponseError)):
		return err
	case errors.As(err, &bad):
		return a.unusable(bad.text, bad.cause)
	case errors.Is(err, wire.ErrTooLarge):
		return a.unusable("an entry is larger than the limit", ErrResponseTooLarge)
	case stream.ReadErr() == nil:
		return a.unusable("it is not valid JSON", err)
	default:
		err = stream.ReadErr()
	}
	e := a.requestError(SentYes, err)
	e.Attempts = a.outcome.Attempts
	return e
}
