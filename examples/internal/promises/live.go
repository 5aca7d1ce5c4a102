package promises

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/agentuity/coder-go"
)

func streams() []Promise {
	return []Promise{
		{
			Name: "stream-begins", Belief: "A stream of events begins with a snapshot, and then a hydration.",
			Needs: "StreamEvents, Conversation", Otherwise: "What was said before is missing, and a connection only counts as healthy with its first event.",
			check: (*run).streamBegins,
		},
		{
			Name: "stream-unnumbered", Belief: "The stream does not number its events.",
			Needs: "WatchEvents, which therefore reads the history", Otherwise: "Nothing is lost: WatchEvents asks more than it would have to.",
			check: (*run).streamUnnumbered,
		},
	}
}

func sockets() []Promise {
	return []Promise{
		{
			Name: "socket-init", Belief: "A WebSocket begins with init, which names the session.",
			Needs: "Connect, ConnectNew, Attach", Otherwise: "Connect ends with an error after its HandshakeTimeout.",
			check: (*run).socketInit,
		},
		{
			Name: "socket-hydrated", Belief: "After init a WebSocket brings session_hydration.",
			Needs: "Ask and Conversation after a lost connection", Otherwise: "What was said meanwhile is only found in the history.",
			check: (*run).socketHydrated,
		},
		{
			Name: "socket-pongs", Belief: "A ping over a WebSocket is answered.",
			Needs: "HubConn", Otherwise: "A quiet connection counts as lost after 30 s, again and again.",
			check: (*run).socketPongs,
		},
	}
}

const noLive = "there is no session that is not over"

// once is a stream of events that is not opened again.
func once() *coder.StreamEventsOptions {
	return &coder.StreamEventsOptions{MaxReconnectAttempts: -1, IdleTimeout: oneLimit / 3}
}

func (r *run) streamBegins(parent context.Context) verdict {
	ctx, cancel := bounded(parent)
	defer cancel()
	if err := r.look(ctx); err != nil {
		return failed(err)
	}
	if r.live == "" {
		return unsettled(noLive)
	}
	began := time.Now()
	var kinds []string
	for event, err := range r.client.StreamEvents(ctx, r.live, once()) {
		if err != nil {
			if len(kinds) > 0 {
				return broken("after %v: %v", kinds, err)
			}
			return failed(err)
		}
		switch event.Data.(type) {
		case *coder.SSESessionSnapshotMessage:
			kinds = append(kinds, "snapshot")
		case *coder.SSEHydrationMessage:
			kinds = append(kinds, "hydration")
		default:
			kinds = append(kinds, event.Event)
		}
		if len(kinds) == 2 {
			break
		}
	}
	return check(len(kinds) == 2 && kinds[0] == "snapshot" && kinds[1] == "hydration", "%.60q within %v", kinds, round(time.Since(began)))
}

func (r *run) streamUnnumbered(context.Context) verdict {
	w := r.options.Wire
	if w == nil {
		return unsettled("the client does not show it")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.blocks == 0 {
		return unsettled("no stream of events has brought anything")
	}
	return check(w.numbered == 0, "%d of %d events have an id", w.numbered, w.blocks)
}

// socketLook is what one connection has shown.
type socketLook struct {
	err      error // why there was none
	opened   bool  // but the socket was
	init     *coder.HubInitMessage
	hydrated bool
	lost     error
	watched  time.Duration
}

// The connection that is looked at sends a ping each pingEvery, counts as lost when nothing came for pongWithin, and is
// watched a little longer. It may take greeting until it is admitted.
const (
	pingEvery  = 500 * time.Millisecond
	pongWithin = 2 * time.Second
	watchFor   = 3 * time.Second
	greeting   = 20 * time.Second
)

// socket opens a connection, once, and watches it for some pings: as an observer, or as a controller where the session is
// our own.
func (r *run) socket(ctx context.Context) (*socketLook, *verdict) {
	if r.sockets != nil {
		return r.sockets, nil
	}
	if err := r.look(ctx); err != nil {
		v := failed(err)
		return nil, &v
	}
	if r.live == "" {
		v := unsettled(noLive)
		return nil, &v
	}
	look := &socketLook{}
	r.sockets = look
	role := coder.RoleObserver
	if r.made != nil {
		role = coder.RoleController
	}
	var lost atomic.Pointer[error]
	before := r.options.Wire.sockets()
	began := time.Now()
	conn, err := r.client.Connect(ctx, r.live, &coder.HubConnectOptions{
		Role: role, MaxReconnectAttempts: -1, HandshakeTimeout: greeting,
		HeartbeatInterval: pingEvery, HeartbeatTimeout: pongWithin,
		OnState: func(_ coder.HubConnState, why error) { lost.CompareAndSwap(nil, &why) },
	})
	if err != nil {
		look.err, look.watched = err, time.Since(began)
		look.opened = r.options.Wire.sockets() > before
		return look, nil
	}
	defer conn.Close()
	look.init = conn.Init()
	began = time.Now()
	watch, cancel := context.WithTimeout(ctx, watchFor)
	defer cancel()
	for message, err := range conn.Messages(watch) {
		if err != nil {
			if watch.Err() == nil {
				look.lost = err
			}
			break
		}
		if _, ok := message.(*coder.HubHydrationMessage); ok {
			look.hydrated = true
		}
	}
	look.watched = time.Since(began)
	if why := lost.Load(); why != nil && *why != nil {
		look.lost = *why
	}
	return look, nil
}

func (r *run) socketInit(parent context.Context) verdict {
	ctx, cancel := bounded(parent)
	defer cancel()
	look, v := r.socket(ctx)
	switch {
	case v != nil:
		return *v
	case look.err != nil:
		if look.opened && look.watched >= greeting {
			return broken("nothing came for %v: %v", round(look.watched), look.err)
		}
		return failed(look.err)
	case look.init == nil:
		return broken("the first message was another one")
	}
	return check(look.init.SessionID == r.live, "role %s, it names %s", look.init.Role, named(look.init.SessionID == r.live))
}

func named(same bool) string {
	if same {
		return "the session"
	}
	return "no session, or another one"
}

func (r *run) socketHydrated(parent context.Context) verdict {
	ctx, cancel := bounded(parent)
	defer cancel()
	look, v := r.socket(ctx)
	switch {
	case v != nil:
		return *v
	case look.err != nil:
		return failed(look.err)
	}
	return check(look.hydrated, "hydration within %v: %t", round(look.watched), look.hydrated)
}

func (r *run) socketPongs(parent context.Context) verdict {
	ctx, cancel := bounded(parent)
	defer cancel()
	look, v := r.socket(ctx)
	switch {
	case v != nil:
		return *v
	case look.err != nil:
		return failed(look.err)
	case look.lost != nil:
		return broken("the connection was lost after %v: %v", round(look.watched), look.lost)
	}
	return held("it lived for %v with a ping each %v", round(look.watched), pingEvery)
}

func wires() []Promise {
	return []Promise{{
		Name: "answers-dated", Belief: "Every answer has a Date.",
		Needs: "WaitForSession, CheckSession, waits that a Hub asks for with a date", Otherwise: "Times are those of this machine, whose clock may be wrong.",
		check: (*run).answersDated,
	}}
}

func (r *run) answersDated(context.Context) verdict {
	w := r.options.Wire
	if w == nil {
		return unsettled("the client does not show it")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.answers == 0 {
		return unsettled("there was no answer")
	}
	return check(w.undated == 0, "%d of %d answers have none", w.undated, w.answers)
}
