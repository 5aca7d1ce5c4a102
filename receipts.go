package coder

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/agentuity/coder-go/internal/agentrun"
	"github.com/agentuity/coder-go/internal/poll"
	"github.com/agentuity/coder-go/internal/route"
	"github.com/agentuity/coder-go/internal/wire"
)

// Receipt is a prompt that was sent. It has what [Client.Answer] needs to find the answer, in this process or another.
// Store it as text: see MarshalText. It does not hold the text of the prompt.
type Receipt struct {
	// SessionID is the session of the agent.
	SessionID string
	// AfterEvent is the id of the newest event of the history before the prompt was sent.
	AfterEvent int
	// Digest is a digest of the prompt's text.
	Digest string
	// Before is the number of prompts with the same text that the agent takes first.
	Before int
	// Command says that the text begins with a slash: a command of the agent has no answer.
	Command bool
	// SentAt is when the prompt was sent, by the clock of the Hub.
	SentAt time.Time
	// Disposition is what the agent did with the prompt: PromptStarted, PromptQueued or PromptHandled. It is empty
	// if the agent has not said.
	Disposition RPCDisposition
}

// receiptWire is what the text of a receipt holds.
type receiptWire struct {
	SessionID   string         `json:"s"`
	AfterEvent  int            `json:"a"`
	Digest      string         `json:"d"`
	Before      int            `json:"b,omitzero"`
	Command     bool           `json:"c,omitzero"`
	SentAt      time.Time      `json:"t"`
	Disposition RPCDisposition `json:"m,omitzero"`
}

// receiptPrefix begins the text of a receipt, with the version of its form.
const receiptPrefix = "receipt1."

// MarshalText returns the receipt as a text without blanks, of some 300 characters, that UnmarshalText reads.
func (r Receipt) MarshalText() ([]byte, error) {
	text, err := wire.Marshal(receiptWire(r))
	if err != nil {
		return nil, err
	}
	return append([]byte(receiptPrefix), base64.RawURLEncoding.EncodeToString(text)...), nil
}

// UnmarshalText reads what MarshalText has written.
func (r *Receipt) UnmarshalText(text []byte) error {
	var read receiptWire
	body, ok := strings.CutPrefix(string(text), receiptPrefix)
	raw, err := base64.RawURLEncoding.DecodeString(body)
	if !ok || err != nil || wire.UnmarshalExact(raw, &read) != nil {
		return errors.New("coder: the text is no receipt")
	}
	*r = Receipt(read)
	return nil
}

// Answer finds the answer to the prompt of a receipt in the history of its session, and waits if there is none yet.
// Any process can call it, any number of times, and gets the same answer each time. It polls as
// [Client.WaitForSession] does, and tolerates the same failures.
//
// If others sent prompts with the same text at the same time, it may return the answer to one of those. If it cannot tell
// prompts apart for any other reason, or if the history holds no messages of users, the error matches
// [ErrOutcomeUnknown].
//
// Errors: [*ValidationError] for an invalid receipt; an [*AgentError], with what the agent said, if the prompt ended
// without an answer (it matches [ErrAgentStalled] when nothing has come from the agent for 10 min, not counting the time in
// which the Hub sends no response); and those of [Client.GetSession].
//
// GET /hub/session/{sessionId}, GET /hub/session/{sessionId}/events/history
func (c *Client) Answer(ctx context.Context, receipt *Receipt) (*Answer, error) {
	const op = "Answer"
	switch {
	case receipt == nil:
		return nil, invalid(op, "receipt", "must not be nil")
	case receipt.Digest == "":
		return nil, invalid(op, "receipt.Digest", "must not be empty")
	case receipt.AfterEvent < 0:
		return nil, invalid(op, "receipt.AfterEvent", "must not be negative")
	case receipt.Before < 0:
		return nil, invalid(op, "receipt.Before", "must not be negative")
	case ctx == nil:
		return nil, noContext(op)
	}
	if err := checkSessionID(op, receipt.SessionID); err != nil {
		return nil, err
	}
	return observed(ctx, c, op, receipt.SessionID, func(ctx context.Context) (*Answer, error) {
		return c.collect(ctx, op, receipt, collectOptions{stall: 10 * time.Minute, teller: c.agentTeller(ctx, op, receipt.SessionID)})
	})
}

// collectOptions say how an answer is collected from a history.
type collectOptions struct {
	stall time.Duration              // without an event; not above 0: for ever
	asked func(*RPCUIRequestMessage) // called with an open question, again and again; nil: a question is an end

	teller *agentTeller // nil: nobody wants to know

	limits   Limits
	exceeded func(context.Context) error // called when one is crossed, to abort the agent; it may wait for a connection
}

// collector is one search for an answer in a history.
type collector struct {
	promptWatch
	options collectOptions
	newest  int // the event up to which the history was read
	now     time.Time

	workers  sync.WaitGroup
	life     context.Context // of the search; for the workers
	limited  time.Time       // when the agent was to be aborted since it went beyond a limit
	answered time.Time       // when the Hub last was
	looked   time.Time       // when the look before began; zero: it was not answered
	quiet    time.Duration   // observed without an event of an agent
	answer   *Answer
	err      error
}

func (c *Client) collect(ctx context.Context, op string, receipt *Receipt, options collectOptions) (*Answer, error) {
	sent := receipt.SentAt
	k := &collector{
		promptWatch: promptWatch{client: c, op: op, sessionID: receipt.SessionID, teller: options.teller},
		options:     options, newest: receipt.AfterEvent, answered: time.Now(),
	}
	k.prompt = agentrun.NewPrompt(receipt.Digest, sent, agentrun.Run{}, agentrun.Queue{}, receipt.Before)
	k.prompt.History, k.prompt.Command = true, receipt.Command
	if options.limits.any() {
		k.tally = newTally(options.limits)
	}
	life, cancel := context.WithCancel(ctx)
	defer k.workers.Wait()
	defer cancel()
	k.life = life
	if receipt.Disposition != "" {
		k.prompt.Respond(true, string(receipt.Disposition), "", sent)
	}
	every := poll.Poll{Interval: time.Second, MaxInterval: 15 * time.Second, AtOnce: true}
	switch err := every.Run(ctx, k.look); {
	case err == nil:
		return k.answer, k.err
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		request := get(op, "/hub/session/{sessionID}/events/history", receipt.SessionID)
		return nil, request.requestError(SentUnknown, contextError(ctx, ctx.Err(), nil))
	default:
		return nil, err
	}
}

// look reads what is new in the history and judges it.
func (k *collector) look(ctx context.Context) (poll.Sight, error) {
	now := time.Now()
	if !k.looked.IsZero() {
		k.quiet += now.Sub(k.looked)
	}
	k.looked = now
	request := get(k.op, "/hub/session/{sessionID}", k.sessionID)
	request.attempts = 1
	k.client.gate.Call(ctx) // to wait because of others is not part of the look
	limited, cancel := context.WithTimeout(ctx, asideLimit)
	defer cancel()
	session, err := call[Session](limited, k.client, request)
	if err != nil {
		return k.missed(ctx, err)
	}
	changed, err := k.read(limited)
	if err != nil {
		return k.missed(ctx, err)
	}
	k.answered = time.Now()
	now = (&observation{session: session, now: k.now}).judged()
	reading := k.prompt.At(now)
	if k.exceeded() && !reading.Kind.Over() && k.limited.IsZero() {
		k.limited = time.Now()
		aborted := make(chan error, 1)
		k.aborted = aborted
		k.workers.Go(func() { aborted <- k.options.exceeded(k.life) })
	}
	if reading.Kind == agentrun.PromptAsks && k.options.asked != nil && k.question != nil {
		k.options.asked(k.question)
	}
	switch {
	case reading.Kind.Over():
		k.answer, k.err = k.result(reading)
		return poll.Sight{Done: true}, nil
	case !k.limited.IsZero() && time.Since(k.limited) >= abortObeyed:
		k.err = k.notObeyed()
		return poll.Sight{Done: true}, nil
	case now.After(k.now): // the session is over, and nothing more will come
		k.err = k.failed(ErrAgentFailed, "the session is over: "+reading.Reason)
		return poll.Sight{Done: true}, nil
	case reading.Kind == agentrun.PromptAsks && k.options.asked == nil:
		k.err = k.failed(ErrNeedsInput, reading.Reason)
		return poll.Sight{Done: true}, nil
	case k.options.stall > 0 && k.quiet >= k.options.stall:
		k.err = k.stalled(k.options.stall)
		return poll.Sight{Done: true}, nil
	}
	sight := poll.Sight{Changed: changed}
	if !reading.Until.IsZero() {
		sight.Due = reading.Until.Add(time.Second - 1).Truncate(time.Second).Sub(k.now)
	}
	return sight, nil
}

// missed rides out a look that got no answer, as long as there is hope.
func (k *collector) missed(ctx context.Context, err error) (poll.Sight, error) {
	k.looked = time.Time{}
	asked := retryAfter(err)
	left := cmp.Or(max(k.options.stall, 0), 10*time.Minute) - time.Since(k.answered)
	if ctx.Err() != nil || failureOf(err).Permanent() && !errors.Is(err, context.DeadlineExceeded) || asked >= left {
		return poll.Sight{}, err
	}
	return poll.Sight{Wait: asked}, nil
}

// collectPage is the size of the pages in which a history is read.
const collectPage = 50

// read takes what the history has since it was last read, oldest first, and reports whether there was anything. The
// pages come newest first: what they hold is kept small until the last one is there.
func (k *collector) read(ctx context.Context) (bool, error) {
	var events []SessionEvent // newest first
	before := 0
	for {
		request := get(k.op, "/hub/session/{sessionID}/events/history", k.sessionID).
			with(new(route.Query).Int("limit", collectPage).Int("beforeId", before))
		request.attempts = 1
		sent := k.client.send(ctx, request)
		history, err := decode[SessionEventHistory](sent)
		if err != nil {
			return false, err
		}
		if before == 0 {
			k.now = hubTime(sent.outcome.Header)
		}
		page := history.Events
		slices.SortFunc(page, func(a, b SessionEvent) int { return cmp.Compare(b.ID, a.ID) })
		reached, fresh := len(page) == 0, false
		for _, e := range page {
			if e.ID <= k.newest {
				reached = true
				break
			}
			if before != 0 && e.ID >= before {
				continue
			}
			fresh = true
			if isDropped(e.Event) {
				e.Payload = nil
			}
			events = append(events, e)
		}
		if reached || !fresh {
			break
		}
		before = events[len(events)-1].ID
	}
	for i := range slices.Backward(events) {
		e := &events[i]
		at := e.IngestedAt
		if at.IsZero() {
			at = k.now
		}
		k.event(e.Event, e.Payload, at, e.TaskID)
		k.newest = e.ID
		if isOfAgent(e.Event) {
			k.quiet = 0
		}
	}
	return len(events) > 0, nil
}

// isDropped reports whether events of a history are large, and nothing of them counts.
func isDropped(name EventName) bool {
	return name == EventMessageUpdate || name == EventContext || name == EventToolExecutionUpdate
}

// newestOf returns the id of the newest event of a session, 0 if there is none, and the time by the clock of the Hub.
func (c *Client) newestOf(ctx context.Context, op, sessionID string) (int, time.Time, error) {
	sent := c.send(ctx, get(op, "/hub/session/{sessionID}/events/history", sessionID).with(new(route.Query).Int("limit", 1)))
	history, err := decode[SessionEventHistory](sent)
	if err != nil {
		return 0, time.Time{}, err
	}
	newest := 0
	for _, e := range history.Events {
		newest = max(newest, e.ID)
	}
	return newest, hubTime(sent.outcome.Header), nil
}
