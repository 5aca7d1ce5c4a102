package codertest

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/agentuity/coder-go/codertest/internal/outbox"
	"github.com/agentuity/coder-go/codertest/internal/world"
)

// channel is a live channel: streams of events or sockets.
type channel struct {
	admits func(*exchange) bool // where it looks for the Hub's key besides the header
	serve  func(*exchange, Fault)
}

var eventStream = channel{
	admits: func(x *exchange) bool { return sameSecret(x.r.URL.Query().Get("api_key"), x.hub.key()) },
	serve:  (*exchange).streamEvents,
}

// open serves a live channel. A zero Fault does nothing.
func (x *exchange) open(f Fault) {
	if refused := x.refuse(); refused != nil {
		x.send(problemAnswer(refused))
		return
	}
	x.target.channel().serve(x, f)
}

// streamEvents serves an observer until one of the two ends it.
func (x *exchange) streamEvents(f Fault) {
	c := x.hub.world.Connect()
	if c == nil {
		panic(http.ErrAbortHandler)
	}
	defer c.Leave()
	if err := c.Observe(x.target.id(), x.r.URL.Query()); err != nil {
		x.survive(err)
		a := problemAnswer(err)
		a.header = merge(a.header, f.Header)
		x.send(a)
		return
	}
	control := http.NewResponseController(x.w)
	c.Out.OnCut(func() { _ = control.SetWriteDeadline(time.Unix(1, 0)) })
	defer c.Out.OnCut(nil)
	x.out = c.Out
	x.pass(CutAfterEffect, f)
	x.sendHeader(answer{status: http.StatusOK, header: merge(http.Header{
		"Content-Type":      {"text/event-stream"},
		"Cache-Control":     {"no-cache"},
		"X-Accel-Buffering": {"no"}, // or a proxy may hold events back
	}, f.Header)})
	if f.Cut == CutMidBody {
		first, _, _ := c.Out.Take()
		text := block(first)
		_ = x.write(text[:len(text)/2])
		x.pass(CutMidBody, f)
	}
	if err := x.pump(c); err != nil {
		panic(http.ErrAbortHandler)
	}
}

var errGone = errors.New("the connection is gone")

// pump sends what the outbox has until its end, which is no error.
func (x *exchange) pump(live *world.Connection) error {
	out := live.Out
	var silence <-chan time.Time
	var timer *time.Timer
	if x.hub.config.keepAlive > 0 {
		timer = time.NewTimer(x.hub.config.keepAlive)
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
				timer.Reset(x.hub.config.keepAlive)
			}
			continue
		case end != nil:
			return nil
		}
		select {
		case <-out.Wake():
		case <-silence:
			timer.Reset(x.hub.config.keepAlive)
			if out.Stalled() {
				continue
			}
			if err := x.write([]byte(": keep-alive\n\n")); err != nil {
				return err
			}
			live.KeptAlive()
		case <-out.Gone():
			return errGone
		case <-x.r.Context().Done():
			return errGone
		}
	}
}

// write sends without buffering.
func (x *exchange) write(text []byte) error {
	if _, err := x.w.Write(text); err != nil {
		return err
	}
	return http.NewResponseController(x.w).Flush()
}

// block is a message in the form of a stream of events.
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
