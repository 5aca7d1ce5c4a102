package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// following is the time in which one follows a session.
func (w *worker) following(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, time.Duration(200+w.random.IntN(1500))*time.Millisecond)
}

// listening is the time in which one listens to a live channel: where nothing is harmed it is long enough to miss something.
func (w *worker) listening(ctx context.Context) (context.Context, context.CancelFunc) {
	if w.config.fair() {
		return context.WithTimeout(ctx, 2*silence)
	}
	return w.following(ctx)
}

// silence is how long nothing may come over a live channel where nothing is harmed.
const silence = 1500 * time.Millisecond

// ticks checks the numbers of a live channel: one after the other, save where the connection was lost in between.
type ticks struct {
	*worker
	channel string
	last    int  // -1: none has come
	lost    bool // since the last one the connection was lost: some may be missing, and none may come again
}

func (t *ticks) lostConnection() { t.lost = true }

func (t *ticks) take(n int) {
	t.book.count(t.book.events, t.channel, 1)
	switch {
	case t.last >= 0 && n > t.last+1 && !t.lost:
		t.book.report(lost, "%s over %s: event %d after %d", t.channel, t.way.name, n, t.last)
	case t.last >= 0 && n <= t.last:
		t.book.report(duplicate, "%s over %s: event %d after %d", t.channel, t.way.name, n, t.last)
	}
	t.last, t.lost = n, false
}

// over looks at how a live channel of a session has ended that goes on.
func (t *ticks) over(ctx context.Context, err error) {
	t.check(err != nil, "%s: it has ended by itself", t.channel)
	if now := int(t.ticked.Load()); t.config.fair() && ctx.Err() != nil && t.last < now-int(silence/ticksEvery) {
		t.book.report(lost, "%s over %s: event %d is the last one, and the Hub is at %d", t.channel, t.way.name, t.last, now)
	}
}

func (t *ticks) broadcast(m *coder.BroadcastEventMessage) {
	if m.Event != tickEvent {
		return
	}
	var tick struct {
		N int `json:"n"`
	}
	err := m.Decode(&tick)
	t.check(err == nil, "%s: %s: %v", t.channel, m.Data, err)
	t.take(tick.N)
}

// stream observes a ticking session.
func (w *worker) stream(ctx context.Context) {
	ctx, cancel := w.listening(ctx)
	defer cancel()
	returned := w.guard(ctx, "StreamEvents")
	defer returned()
	t := &ticks{worker: w, channel: "StreamEvents", last: -1}
	began := time.Now()
	var failed error
	for event, err := range w.client.StreamEvents(ctx, w.ticker(), nil) {
		if err != nil {
			failed = err
			break
		}
		switch m := event.Data.(type) {
		case *coder.ReconnectedMessage:
			t.lostConnection()
		case *coder.BroadcastEventMessage:
			t.broadcast(m)
		case *coder.UnknownMessage:
			w.check(false, "StreamEvents: an event that cannot be read: %v", m)
		}
	}
	w.returned(ctx, "StreamEvents", began, ended(failed, t.last))
	w.judge(ctx, "StreamEvents", time.Since(began), failed)
	t.over(ctx, failed)
}

// ended is nil for a channel that has brought something until its context ended.
func ended(err error, last int) error {
	if last >= 0 && errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}

func (w *worker) ticker() string { return w.ticking[w.random.IntN(len(w.ticking))] }

// watched is how far a session has been watched.
type watched struct {
	cursor coder.Cursor
	next   int // -1: none has been seen
}

// watch watches a ticking session for some time.
func (w *worker) watch(ctx context.Context) {
	ctx, cancel := w.following(ctx)
	defer cancel()
	id := w.ticker()
	if w.seen[id] == nil {
		w.seen[id] = &watched{next: -1}
	}
	w.readOn(ctx, id, 1+w.random.IntN(200))
}

// catchUp reads on in each session that was watched, when nothing fails any more and no more happens: what is missing now would
// never have come.
func (w *worker) catchUp(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, giveUp)
	defer cancel()
	last := int(w.ticked.Load())
	for id, seen := range w.seen {
		if before := seen.next; before <= last {
			w.readOn(ctx, id, 1)
			if seen.next == before {
				w.book.report(lost, "WatchEvents over %s: nothing comes after event %d, and the Hub has %d", w.way.name, before-1, last)
			}
		}
	}
}

// readOn reads on where watching has stopped, so many ticks at most: not one event may be missing, or come twice.
func (w *worker) readOn(ctx context.Context, id string, most int) {
	returned := w.guard(ctx, "WatchEvents")
	defer returned()
	seen := w.seen[id]
	began, read, left := time.Now(), 0, false
	var failed error
	for event, err := range w.client.WatchEvents(ctx, id, &coder.WatchEventsOptions{After: seen.cursor, Settle: 300 * time.Millisecond, PollInterval: time.Second}) {
		if err != nil {
			failed = err
			break
		}
		seen.cursor = event.Cursor
		w.check(!event.Late, "WatchEvents: %d is late", event.ID)
		if event.Event != tickEvent {
			continue
		}
		w.book.count(w.book.events, "WatchEvents", 1)
		n := number(event.Payload)
		switch {
		case seen.next >= 0 && n > seen.next:
			w.book.report(lost, "WatchEvents over %s: event %d, not %d", w.way.name, n, seen.next)
		case seen.next >= 0 && n < seen.next:
			w.book.report(duplicate, "WatchEvents over %s: event %d, not %d", w.way.name, n, seen.next)
		}
		seen.next = n + 1
		if read++; read == most {
			left = true
			break
		}
	}
	w.check(left || failed != nil, "WatchEvents: it has ended by itself")
	w.returned(ctx, "WatchEvents", began, ended(failed, read-1))
	w.judge(ctx, "WatchEvents", time.Since(began), failed)
}

// connect follows a ticking session with a WebSocket.
func (w *worker) connect(ctx context.Context) {
	id := w.ticker()
	var conn *coder.HubConn
	role := []coder.HubRole{coder.RoleController, coder.RoleObserver}[w.random.IntN(2)]
	if !w.call(ctx, "Connect", func(ctx context.Context) (err error) {
		conn, err = w.client.Connect(ctx, id, &coder.HubConnectOptions{Role: role})
		return err
	}) {
		return
	}
	w.check(conn.SessionID() == id, "Connect: session %s, not %s", conn.SessionID(), id)
	w.check(conn.Init().SessionID == id, "Init: session %s, not %s", conn.Init().SessionID, id)
	follow, cancel := w.listening(ctx)
	defer cancel()
	guarded := w.guard(follow, "HubConn.Messages")
	t := &ticks{worker: w, channel: "HubConn", last: -1}
	began := time.Now()
	var failed error
	for message, err := range conn.Messages(follow) {
		if err != nil {
			failed = err
			break
		}
		switch m := message.(type) {
		case *coder.ReconnectedMessage:
			t.lostConnection()
		case *coder.BroadcastEventMessage:
			t.broadcast(m)
		case *coder.UnknownMessage:
			w.check(false, "HubConn: a message that cannot be read: %v", m)
		}
	}
	guarded()
	w.returned(follow, "HubConn.Messages", began, ended(failed, t.last))
	w.judge(follow, "HubConn.Messages", time.Since(began), failed)
	t.over(follow, failed)
	w.close(ctx, conn)
}

func (w *worker) close(ctx context.Context, conn *coder.HubConn) {
	w.call(ctx, "HubConn.Close", func(context.Context) error { return conn.Close() }, coder.ErrConnClosed, coder.ErrOutcomeUnknown)
	w.check(conn.State() == coder.StateClosed, "State: %v after Close", conn.State())
}

// notAnswered are the errors of questions and commands over connections that fail: of what the agent cannot be told, and of
// what it did not answer. Whether they are true is looked at in what the Hub got.
var notAnswered = []error{coder.ErrOutcomeUnknown, coder.ErrConnClosed, coder.ErrPromptDropped, coder.ErrAgentAborted}

// ask talks to an agent.
func (w *worker) ask(ctx context.Context) {
	truth := w.newSession(ctx, "Say hello")
	if truth == nil {
		return
	}
	prompts := make(map[string]error) // by token, with what the client was told
	defer func() {
		for token, err := range prompts {
			w.heardBy(truth, token, err)
		}
		w.remove(ctx, truth)
	}()
	var conn *coder.HubConn
	if !w.call(ctx, "Attach", func(ctx context.Context) (err error) {
		conn, err = w.client.Attach(ctx, truth.ID(), nil)
		return err
	}) {
		return
	}
	defer w.close(ctx, conn)
	for range 3 {
		w.question(ctx, conn, prompts)
	}
	w.receipt(ctx, conn, prompts)
	for method, send := range map[string]func(context.Context, string) error{
		"HubConn.Prompt": conn.Prompt, "HubConn.Steer": conn.Steer, "HubConn.FollowUp": conn.FollowUp,
	} {
		token := w.token()
		w.book.asked(token, method)
		err := w.try(ctx, method, func(ctx context.Context) error { return send(ctx, "Go on with "+token) }, notAnswered...)
		if err == nil {
			err = coder.ErrOutcomeUnknown // it is on its way, and may get lost
		}
		prompts[token] = err
	}
	w.commands(ctx, conn)
}

// question asks, and checks that the answer is the one to it.
func (w *worker) question(ctx context.Context, conn *coder.HubConn, prompts map[string]error) {
	token := w.token()
	w.book.asked(token, "HubConn.Ask")
	var answer *coder.Answer
	err := w.try(ctx, "HubConn.Ask", func(ctx context.Context) (err error) {
		answer, err = conn.Ask(ctx, "What is "+token+"?", nil)
		return err
	}, notAnswered...)
	w.answered(token, answer, err)
	prompts[token] = err
}

// answered checks the answer to a question.
func (w *worker) answered(token string, answer *coder.Answer, err error) {
	if err != nil {
		w.book.count(w.book.asks, kindOf(err), 1)
		return
	}
	what := "answered"
	if answer.Shared {
		what = "answered, shared"
	}
	w.book.count(w.book.asks, what, 1)
	var said strings.Builder
	for _, m := range answer.Messages {
		if m.Role == "assistant" {
			said.WriteString(m.Content.Text() + "|")
		}
	}
	w.check(answer.Shared || strings.Contains(said.String(), token), "the answer to %s is %q", token, said.String())
}

// heardBy notes how often the Hub got a prompt, and what the client was told of it.
func (w *worker) heardBy(truth *codertest.SessionControl, token string, err error) {
	for _, frame := range truth.Frames() {
		if strings.Contains(string(frame.Body), token) {
			w.book.made(token)
		}
	}
	var agent *coder.AgentError
	switch {
	case err == nil:
		w.book.heard(token, "made")
	case errors.Is(err, coder.ErrOutcomeUnknown), errors.As(err, &agent): // the agent was told, and what came of it is another matter
		w.book.heard(token, "unknown")
	default:
		w.book.heard(token, "not")
	}
}

// receipt submits a question, and collects the answer.
func (w *worker) receipt(ctx context.Context, conn *coder.HubConn, prompts map[string]error) {
	token := w.token()
	w.book.asked(token, "HubConn.Submit")
	var receipt *coder.Receipt
	err := w.try(ctx, "HubConn.Submit", func(ctx context.Context) (err error) {
		receipt, err = conn.Submit(ctx, "What is "+token+"?")
		return err
	}, notAnswered...)
	if prompts[token] = err; receipt == nil {
		return
	}
	prompts[token] = coder.ErrOutcomeUnknown // it is on its way, and may get lost
	var answer *coder.Answer
	err = w.try(ctx, "Answer", func(ctx context.Context) (err error) {
		answer, err = w.client.Answer(ctx, receipt)
		return err
	}, notAnswered...)
	w.answered(token, answer, err)
}

// commands sends what else a controller sends.
func (w *worker) commands(ctx context.Context, conn *coder.HubConn) {
	for _, command := range []struct {
		method string
		send   func(context.Context) error
	}{
		{"HubConn.GetState", func(ctx context.Context) error { _, err := conn.GetState(ctx); return err }},
		{"HubConn.GetMessages", func(ctx context.Context) error { _, err := conn.GetMessages(ctx); return err }},
		{"HubConn.Abort", conn.Abort},
		{"HubConn.Compact", conn.Compact},
		{"HubConn.RespondUI", func(ctx context.Context) error { return conn.RespondUI(ctx, "nobody_asked", true) }},
		{"HubConn.Send", func(ctx context.Context) error { return conn.Send(ctx, new(coder.BootstrapReadyMessage)) }},
		{"HubConn.Listen", func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
			defer cancel()
			if err := conn.Listen(ctx, nil); !errors.Is(err, context.DeadlineExceeded) {
				return fmt.Errorf("while listening: %w", err)
			}
			return nil
		}},
	} {
		w.call(ctx, command.method, func(ctx context.Context) error {
			err := command.send(ctx)
			if unanswered := new(coder.HubConnError); errors.As(err, &unanswered) && unanswered.Code == coder.ConnUnanswered {
				return fmt.Errorf("%w: %w", coder.ErrOutcomeUnknown, err) // the command, or its answer, was lost on its way
			}
			return err
		}, notAnswered...)
	}
	conn.DiscardMessages()
}

// lead creates a session with a socket, and leads it.
func (w *worker) lead(ctx context.Context) {
	token := w.token()
	var conn *coder.HubConn
	if !w.create(ctx, "ConnectNew", token, func(ctx context.Context) (err error) {
		conn, err = w.client.ConnectNew(ctx, &coder.HubConnectOptions{Label: token, Task: "Lead"})
		return err
	}) {
		return
	}
	truth := w.control(conn.SessionID())
	w.call(ctx, "HubConn.SendAndWait", func(ctx context.Context) error {
		_, err := conn.SendAndWait(ctx, &coder.EventRequest{Event: coder.EventTurnStart, Data: map[string]any{}})
		return err
	}, notAnswered...)
	w.close(ctx, conn)
	if truth != nil {
		w.remove(ctx, truth)
	}
}
