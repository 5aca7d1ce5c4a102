package codertest

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/agentuity/coder-go/codertest/internal/outbox"
)

// channel is a route that stays open: it has its own way with credentials and
// answers.
type channel struct {
	admits func(*exchange) bool // besides the headers every route looks at
	serve  func(*exchange, Fault)
}

var eventStream = channel{
	admits: func(x *exchange) bool { return sameSecret(x.r.URL.Query().Get("api_key"), x.hub.apiKey) },
	serve:  (*exchange).streamEvents,
}

func (t target) channel() *channel {
	if t.route == nil {
		return nil
	}
	return t.route.live
}

// open serves a live channel, with the Fault that goes with this request.
func (x *exchange) open(f Fault) {
	if refused := x.refuse(); refused != nil {
		x.send(refused.answer())
		return
	}
	x.target.channel().serve(x, f)
}

// streamEvents serves an observer until either side ends it.
func (x *exchange) streamEvents(f Fault) {
	c := &connection{role: "observer", follows: true, out: outbox.New(x.hub.queue)}
	c.filters = parseFilters(x.r.URL.Query().Get("subscribe"))
	if !x.hub.register(c) {
		panic(http.ErrAbortHandler)
	}
	defer x.hub.release(c)
	if err := x.hub.watch(c, x.target.id()); err != nil {
		a := asProblem(err).answer()
		a.header = merge(a.header, f.Header)
		x.send(a)
		return
	}
	control := http.NewResponseController(x.w)
	c.out.OnCut(func() { _ = control.SetWriteDeadline(time.Unix(1, 0)) })
	defer c.out.OnCut(nil)
	x.out = c.out
	x.pass(CutAfterEffect, f)
	x.sendHeader(answer{status: http.StatusOK, header: merge(http.Header{
		"Content-Type":      {"text/event-stream"},
		"Cache-Control":     {"no-cache"},
		"X-Accel-Buffering": {"no"}, // or a proxy may keep events to itself
	}, f.Header)})
	if f.Cut == CutMidBody {
		first, _, _ := c.out.Take()
		text := block(first)
		_ = x.write(text[:len(text)/2])
		x.pass(CutMidBody, f)
	}
	if err := x.pump(c.out); err != nil {
		panic(http.ErrAbortHandler)
	}
}

// watch lets an observer into a session. A session of which only the history
// remains is shown once and ends the stream.
func (h *Hub) watch(c *connection, id string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	s, err := h.find(id)
	if err != nil {
		return err
	}
	if r := h.refusal(s); r != nil {
		return r.problem()
	}
	now := time.Now()
	c.ready = true
	c.out.Put(s.snapshot())
	c.out.Put(s.hydration())
	if s.row().historyOnly {
		over := newEvent(Event{Event: "session_shutdown", Payload: map[string]any{"reason": s.status}}, now)
		if b := over.broadcast(s.id); c.wants(b) {
			c.out.Put(outbox.Message{Kind: b.Type, Body: encode(b)})
		}
		c.out.End(outbox.Ending{})
		return nil
	}
	s.enter(c, Participant{Role: "observer", Transport: "sse"}, now)
	return nil
}

var errGone = errors.New("the connection is gone")

// pump sends what comes. It returns nil when the stream has come to its end.
func (x *exchange) pump(out *outbox.Outbox) error {
	var silence <-chan time.Time
	var timer *time.Timer
	if x.hub.keepAlive > 0 {
		timer = time.NewTimer(x.hub.keepAlive)
		defer timer.Stop()
		silence = timer.C
	}
	for {
		next, ok, end := out.Take()
		switch {
		case ok:
			if err := x.write(block(next)); err != nil {
				return err
			}
			if timer != nil {
				timer.Reset(x.hub.keepAlive)
			}
			continue
		case end != nil:
			return nil
		}
		select {
		case <-out.Wake():
		case <-silence:
			timer.Reset(x.hub.keepAlive)
			if out.Stalled() {
				continue
			}
			if err := x.write([]byte(": keep-alive\n\n")); err != nil {
				return err
			}
		case <-out.Gone():
			return errGone
		case <-x.r.Context().Done():
			return errGone
		}
	}
}

// write sends at once.
func (x *exchange) write(text []byte) error {
	if _, err := x.w.Write(text); err != nil {
		return err
	}
	return http.NewResponseController(x.w).Flush()
}

// block is the message as a stream of events has it.
func block(m outbox.Message) []byte {
	if m.Kind == "" {
		return m.Body
	}
	var b bytes.Buffer
	_, _ = io.WriteString(&b, "event: "+m.Kind+"\ndata: ")
	b.Write(m.Body)
	_, _ = io.WriteString(&b, "\n\n")
	return b.Bytes()
}
