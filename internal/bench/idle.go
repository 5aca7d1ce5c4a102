package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"

	"github.com/coder/websocket"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/internal/bench/byhand"
)

// held is what each of the things that are open and idle takes: memory that the runtime has in use, and the part
// of the heap that is alive.
type held struct {
	HeapKB     float64 `json:"heapKB"`
	StackKB    float64 `json:"stackKB"`
	LiveKB     float64 `json:"liveKB"`
	Goroutines float64 `json:"goroutines"`
}

// heldSince compares with before.
func heldSince(before *runtime.MemStats, goroutines, n int) held {
	runtime.GC()
	runtime.GC() // stacks shrink with each, to a half
	var now runtime.MemStats
	runtime.ReadMemStats(&now)
	each := func(now, before uint64) float64 { return (float64(now) - float64(before)) / 1e3 / float64(n) }
	return held{
		HeapKB:     each(now.HeapInuse, before.HeapInuse),
		StackKB:    each(now.StackInuse, before.StackInuse),
		LiveKB:     each(now.HeapAlloc, before.HeapAlloc),
		Goroutines: float64(runtime.NumGoroutine()-goroutines) / float64(n),
	}
}

// session observes a live session, with one goroutine of the caller, until ctx ends or it fails. It calls open
// when it has been greeted, and event with the number of each event.
type session func(ctx context.Context, id string, open func(), event func(n int)) error

// idle makes a task that opens n sessions, and leaves them open until the measurement is over. At most 64
// are being opened at a time.
func idle(observe session, end func()) (task, func(), error) {
	ctx, cancel := context.WithCancel(context.Background())
	opening := make(chan struct{}, 64)
	work := func(asked context.Context, n int) (found seen, err error) {
		opened, failed := make(chan struct{}), make(chan error, n)
		go func() {
			for i := range n {
				opening <- struct{}{}
				go func() {
					open := func() { <-opening; opened <- struct{}{} }
					failed <- observe(ctx, fmt.Sprintf("live-%d", i), open, func(int) {})
				}()
			}
		}()
		for found.things < n {
			select {
			case <-opened:
				found.things++
			case err := <-failed:
				return found, errors.Join(errors.New("a session has ended"), err)
			case <-asked.Done():
				return found, asked.Err()
			}
		}
		return found, nil
	}
	return work, func() { cancel(); end() }, nil
}

// streamOurs observes with StreamEvents.
func streamOurs(c *coder.Client) session {
	return func(ctx context.Context, id string, open func(), event func(int)) error {
		for e, err := range c.StreamEvents(ctx, id, nil) {
			if err != nil {
				return err
			}
			switch m := e.Data.(type) {
			case *coder.SSEHydrationMessage:
				open()
			case *coder.BroadcastEventMessage:
				event(eventNumber(m.Data))
			case *coder.UnknownMessage:
				return fmt.Errorf("unknown: %s", m.Raw)
			}
		}
		return errors.New("the session is over")
	}
}

// connectOurs observes with a HubConn. One goroutine ranges over its messages.
func connectOurs(c *coder.Client) session {
	return func(ctx context.Context, id string, open func(), event func(int)) error {
		conn, err := c.Connect(ctx, id, nil)
		if err != nil {
			return err
		}
		defer conn.Close()
		open()
		for message, err := range conn.Messages(ctx) {
			if err != nil {
				return err
			}
			if m, ok := message.(*coder.BroadcastEventMessage); ok {
				event(eventNumber(m.Data))
			}
		}
		return errors.New("the session is over")
	}
}

// streamByHand observes with the scanner that everybody takes.
func (c *byHand) stream(ctx context.Context, id string, open func(), event func(int)) error {
	resp, err := c.request(ctx, http.MethodGet, "/session/"+id+"/events", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	var name string
	for lines.Scan() {
		line := lines.Text()
		switch data, isData := strings.CutPrefix(line, "data: "); {
		case strings.HasPrefix(line, "event: "):
			name = line[len("event: "):]
		case isData && name == "hydration":
			open()
		case isData && name == "broadcast":
			var m byhand.Broadcast
			if err := json.Unmarshal([]byte(data), &m); err != nil {
				return err
			}
			event(eventNumber(m.Data))
		}
	}
	return errors.Join(errors.New("the stream has ended"), lines.Err())
}

// connect observes with a bare coder/websocket, which one goroutine reads.
func (c *byHand) connect(ctx context.Context, id string, open func(), event func(int)) error {
	conn, err := c.dial(ctx, id)
	if err != nil {
		return err
	}
	defer func() { _ = conn.CloseNow() }()
	open()
	for {
		_, text, err := conn.Read(ctx)
		if err != nil {
			return err
		}
		var m byhand.Broadcast
		if err := json.Unmarshal(text, &m); err != nil {
			return err
		}
		if m.Type == "broadcast" {
			event(eventNumber(m.Data))
		}
	}
}

// dial opens a bare WebSocket, and reads its init.
func (c *byHand) dial(ctx context.Context, id string) (*websocket.Conn, error) {
	options := &websocket.DialOptions{HTTPClient: &c.http, HTTPHeader: http.Header{"Authorization": {"Bearer key"}}}
	conn, _, err := websocket.Dial(ctx, c.url+"/api/ws?role=observer&sessionId="+id, options) //nolint:bodyclose // the library closes it
	if err != nil {
		return nil, err
	}
	conn.SetReadLimit(-1)
	_, _, err = conn.Read(ctx)
	return conn, err
}

func eventNumber(data []byte) int { return number(data, `"n":`) }
