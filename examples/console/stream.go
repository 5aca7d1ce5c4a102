package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Of the streams of events.
const (
	signOfLife = 15 * time.Second // between two comments, so that a connection that is dead is noticed
	writeTime  = 30 * time.Second // for a browser that takes nothing; it may connect again
	retryTime  = time.Second      // what a browser waits before it connects again
	maxStreams = 200              // at a time
)

// events streams the list of sessions and, if one is named, what happens in it:
//
//	sessions  the list                        no id
//	snapshot  everything of the session       id: what the browser has then
//	change    a coder.ConversationChange      id
//	link      how the console gets at it      id
//	question  what the agent asks, or null    id
//	notice    what else somebody says         id
//
// A browser that connects again names the last id it has seen, and goes on there. One that is too far behind, or reads so slowly
// that it has missed what was kept, gets a snapshot. Nobody waits for anybody else: each reads at its own pace.
func (c *console) events(w http.ResponseWriter, r *http.Request) {
	select {
	case c.streams <- struct{}{}:
		defer func() { <-c.streams }()
	default:
		refuse(w, http.StatusServiceUnavailable, "There are too many pages that show sessions.")
		return
	}
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("X-Accel-Buffering", "no") // proxies are not to wait for more
	if r.Method == http.MethodHead {
		return
	}
	leaveBoard := c.board.read()
	defer leaveBoard()
	s := &stream{w: w, control: http.NewResponseController(w)}
	id := r.FormValue("session")
	var session *watch
	if id != "" {
		var leave func()
		session, leave = c.watches.use(id)
		defer leave()
	}
	seen := r.Header.Get("Last-Event-ID")
	if seen == "" {
		seen = r.FormValue("seen") // a page that was hidden and comes back
	}
	epoch, at := position(seen)

	s.print("retry: %d\n\n", retryTime.Milliseconds())
	var shown []byte
	for {
		list, listChanged := c.board.now()
		if !bytes.Equal(list, shown) {
			s.add("sessions", "", list)
			shown = list
		}
		var changed <-chan struct{}
		if session != nil {
			var events []event
			events, at, changed = session.read(epoch, at)
			epoch = session.epoch
			for _, e := range events {
				s.add(e.name, fmt.Sprintf("%s-%d", epoch, e.number+1), e.data)
			}
		}
		if s.flush() != nil || !s.wait(r.Context(), listChanged, changed) {
			return
		}
	}
}

// position reads an id: the watch that has given it, and what number comes next. A text that is none is a position of no watch.
func position(id string) (epoch string, at int64) {
	epoch, number, _ := strings.Cut(id, "-")
	at, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return "", 0
	}
	return epoch, at
}

// stream is an answer that goes on. It has no buffer of its own: a conversation can be long, and many may be sent it.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	err     error // of the first text that could not be written
}

func (s *stream) print(format string, args ...any) { s.write(fmt.Appendf(nil, format, args...)) }

func (s *stream) write(text []byte) {
	if s.err == nil {
		_ = s.control.SetWriteDeadline(time.Now().Add(writeTime)) // not every ResponseWriter can do that
		_, s.err = s.w.Write(text)
	}
}

// add adds an event. JSON has no line breaks of its own.
func (s *stream) add(name, id string, data []byte) {
	s.print("event: %s\n", name)
	if id != "" {
		s.print("id: %s\n", id)
	}
	s.print("data: ")
	s.write(data)
	s.print("\n\n")
}

// flush sends what the server still holds back.
func (s *stream) flush() error {
	if s.err != nil {
		return s.err
	}
	return s.control.Flush()
}

// wait waits until something has changed. It reports false when the stream is over.
func (s *stream) wait(ctx context.Context, list, session <-chan struct{}) bool {
	alive := time.NewTimer(signOfLife)
	defer alive.Stop()
	select {
	case <-list:
	case <-session:
	case <-alive.C:
		s.print(": still there\n\n")
	case <-ctx.Done():
		return false
	}
	return true
}
