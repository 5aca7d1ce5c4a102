package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/agentuity/coder-go"
)

// watch follows a session at the Hub. All that happens becomes events with a number, for any number of browsers.
type watch struct {
	client *coder.Client
	id     string
	epoch  string // numbers of events of another watch mean nothing

	mu           sync.Mutex
	conversation coder.Conversation
	link         link
	question     *question      // what the agent asks; nil: nothing
	conn         *coder.HubConn // nil: there is none
	again        func()         // makes it look at the session again
	orders       map[string]*order

	first, next int64         // the numbers of the oldest event that is kept, and of the one to come
	kept        []event       // from first to next
	size        int           // of what is kept
	whole       []byte        // a snapshot of everything as JSON; nil: nobody has needed one since the last event
	changed     chan struct{} // closed when there is another event
}

// event is a step from one state of the page to the next.
type event struct {
	number int64
	name   string
	data   []byte // JSON, of one line
}

// How much is kept for browsers that are behind: those that are further behind begin with a snapshot.
const (
	keptEvents = 1000
	keptSize   = 1 << 20
)

// link says how the console gets at the session.
type link struct {
	State linkState `json:"state"`
	// Text says more, for people.
	Text string `json:"text,omitzero"`
}

type linkState string

const (
	linkConnecting   linkState = "connecting"
	linkLive         linkState = "live"
	linkReconnecting linkState = "reconnecting"
	linkAsleep       linkState = "asleep" // it can be woken
	linkOver         linkState = "over"   // it can only be read
	linkAway         linkState = "away"   // the Hub does not answer, or refuses; Text says what
)

func newWatch(client *coder.Client, id string) *watch {
	return &watch{
		client: client, id: id, epoch: rand.Text()[:8], link: link{State: linkConnecting},
		again: func() {}, orders: make(map[string]*order), changed: make(chan struct{}),
	}
}

// run follows the session until the context ends, whatever happens to the Hub.
func (w *watch) run(ctx context.Context) {
	failures := 0
	for ctx.Err() == nil {
		round, again := context.WithCancel(ctx)
		w.mu.Lock()
		w.again = again
		w.mu.Unlock()
		began := time.Now()
		err := w.follow(round)
		if time.Since(began) > time.Minute {
			failures = 0
		}
		if err == nil || round.Err() != nil { // somebody wants it to look again
			again()
			continue
		}
		if failures > 0 || !errors.Is(err, errEnded) {
			w.set(link{linkAway, explain(err)})
		}
		select {
		case <-round.Done():
		case <-time.After(waitAfter(failures)):
		}
		failures++
		again()
	}
}

// waitAfter is how long to wait after so many failures: not at all, a second, two, and up to 16.
func waitAfter(failures int) time.Duration {
	if failures == 0 {
		return 0
	}
	return time.Second << min(failures-1, 4)
}

// lookTime is how long the Hub may take to say what has become of a session, or which there are.
const lookTime = 5 * time.Second

// errEnded says that a connection has ended that was good: perhaps because the session has, which the next look tells.
var errEnded = errors.New("the connection to the session has ended")

// follow looks at the session, and does what is to be done in its state until that is another one.
func (w *watch) follow(ctx context.Context) error {
	looking, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	session, err := w.client.GetSession(looking, w.id)
	switch {
	case err != nil:
		return err
	case session.HistoryOnly:
		return w.rest(ctx, linkOver)
	case isAsleep(&session.SessionListItem): // to look at it does not wake it
		return w.rest(ctx, linkAsleep)
	}
	w.set(link{State: linkConnecting})
	conn, err := w.client.Attach(ctx, w.id, &coder.AttachOptions{Connection: coder.HubConnectOptions{
		Origin: "web", ReconnectDelay: 250 * time.Millisecond, MaxReconnectDelay: 5 * time.Second, OnState: w.onState,
	}})
	switch {
	case errors.Is(err, coder.ErrNotAttachable):
		return w.rest(ctx, linkOver)
	case err != nil:
		return err
	}
	defer conn.Close()
	w.attached(conn, link{State: linkLive})
	defer w.attached(nil, link{State: linkConnecting})
	return fmt.Errorf("%w: %w", errEnded, conn.Listen(ctx, &coder.AskOptions{OnMessage: w.apply, OnQuestion: w.ask}))
}

// rest shows what was said in a session to which nothing can be said, until somebody wants another look.
func (w *watch) rest(ctx context.Context, state linkState) error {
	replay, err := w.client.GetReplay(ctx, w.id, nil)
	if err != nil {
		return err
	}
	w.apply(&coder.HubHydrationMessage{SessionID: w.id, Entries: replay.Entries})
	w.set(link{State: state})
	<-ctx.Done()
	return nil
}

// isAsleep reports whether a session sleeps, and nobody is waking it.
func isAsleep(s *coder.SessionListItem) bool {
	return s.Bucket == coder.BucketPaused && !s.RuntimeAvailable && !s.LiveExpected
}

// noticed takes what the list says of the session. If that is news, it looks itself.
func (w *watch) noticed(s *coder.SessionListItem) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch w.link.State {
	case linkLive:
		if isAsleep(s) || s.HistoryOnly {
			w.again()
		}
	case linkAsleep:
		if !isAsleep(s) {
			w.again()
		}
	case linkOver:
		if s.RuntimeAvailable {
			w.again()
		}
	}
}

// lookAgain makes it look at the session, and go on from there.
func (w *watch) lookAgain() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.again()
}

func (w *watch) onState(state coder.HubConnState, _ error) {
	switch state {
	case coder.StateReconnecting:
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, change := range w.conversation.Disconnected() {
			w.publish("change", change)
		}
		w.setLink(link{State: linkReconnecting})
	case coder.StateConnected:
		w.set(link{State: linkLive})
	}
}

func (w *watch) attached(conn *coder.HubConn, l link) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conn = conn
	w.setLink(l)
	w.tell() // also if the link is as it was: somebody may wait for the connection
}

func (w *watch) set(l link) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.setLink(l)
}

// setLink publishes how it gets at the session. The mutex is held.
func (w *watch) setLink(l link) {
	if w.link != l {
		w.link = l
		w.publish("link", l)
	}
}

// apply takes a message of the Hub.
func (w *watch) apply(m coder.ServerMessage) {
	w.mu.Lock()
	defer w.mu.Unlock()
	changes := w.conversation.Apply(m)
	if _, ok := m.(*coder.HubHydrationMessage); ok {
		w.restart()
		return
	}
	for _, change := range changes {
		w.publish("change", change)
	}
	if n := noticeOf(m); n.Text != "" {
		w.publish("notice", n)
	}
}

// notice is what a message says that is no part of the conversation.
type notice struct {
	Text string `json:"text"`
	// Bad says that something has not worked.
	Bad bool `json:"bad,omitzero"`
}

func noticeOf(m coder.ServerMessage) notice {
	switch m := m.(type) {
	case *coder.RPCCommandErrorMessage:
		return notice{m.Error, true}
	case *coder.RPCResponseMessage:
		if !m.Response.Success {
			return notice{cmp.Or(m.Response.Error, "The agent has refused that."), true}
		}
	case *coder.ProtocolErrorMessage:
		return notice{m.Message, true}
	case *coder.RPCUIRequestMessage:
		var p coder.RPCUIParams
		if m.Method == coder.UINotify && m.Decode(&p) == nil {
			return notice{p.Message, p.NotifyType == coder.NotifyError}
		}
	}
	return notice{}
}

// publish adds an event. The mutex is held.
func (w *watch) publish(name string, value any) {
	data, err := json.Marshal(value)
	if err != nil { // then at least nothing is shown that is wrong
		w.restart()
		return
	}
	w.kept = append(w.kept, event{w.next, name, data})
	w.next++
	w.whole = nil
	w.size += len(data)
	if len(w.kept) > keptEvents || w.size > keptSize {
		half := (len(w.kept) + 1) / 2
		for _, e := range w.kept[:half] {
			w.size -= len(e.data)
		}
		w.kept = slices.Delete(w.kept, 0, half)
		w.first += int64(half)
	}
	w.tell()
}

// restart makes everybody begin with a snapshot. The mutex is held.
func (w *watch) restart() {
	w.next++
	w.first, w.kept, w.size, w.whole = w.next, nil, 0, nil
	w.tell()
}

func (w *watch) tell() {
	close(w.changed)
	w.changed = make(chan struct{})
}

// read returns what a browser is missing that has seen all events of this watch before the number at: the events since then or,
// if they are not kept any more, a snapshot of everything. Next is what to ask for then. Changed is closed when there is more.
func (w *watch) read(epoch string, at int64) (events []event, next int64, changed <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if epoch == w.epoch && at >= w.first && at <= w.next {
		return slices.Clone(w.kept[at-w.first:]), w.next, w.changed
	}
	if w.whole == nil {
		data, err := json.Marshal(snapshot{&w.conversation, w.link, w.question})
		if err != nil { // no event: the browser keeps what it has
			return nil, w.next, w.changed
		}
		w.whole = data
	}
	return []event{{w.next - 1, "snapshot", w.whole}}, w.next, w.changed
}

// snapshot is everything there is to show of a session.
type snapshot struct {
	Conversation *coder.Conversation `json:"conversation"`
	Link         link                `json:"link"`
	Question     *question           `json:"question"`
}

// connected returns the connection, and waits for one that is being made.
func (w *watch) connected(ctx context.Context) (*coder.HubConn, error) {
	for {
		w.mu.Lock()
		conn, l, changed := w.conn, w.link, w.changed
		w.mu.Unlock()
		switch {
		case conn != nil:
			return conn, nil
		case l.State == linkAsleep:
			return nil, errors.New("the session is asleep: wake it first")
		case l.State == linkOver:
			return nil, coder.ErrNotAttachable
		case l.State == linkAway:
			return nil, errors.New(l.Text)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
