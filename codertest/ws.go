package codertest

import (
	"bufio"
	"context"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest/internal/world"
)

const (
	// maxFrame is the longest frame the Hub reads, in bytes.
	maxFrame = 64 << 20
	// authWait is how long the Hub waits for credentials in the first frame.
	authWait = 5 * time.Second
)

var socketRoute = channel{
	admits: func(*exchange) bool { return true }, // a socket is rejected after it is open
	serve:  (*exchange).serveSocket,
}

// socket is a live connection over WebSocket.
type socket struct {
	live  *world.Connection
	hub   *Hub
	r     *http.Request
	fault Fault
	conn  *websocket.Conn
	raw   net.Conn

	decided  sync.Once   // whether the client may join
	deadline *time.Timer // until the first frame, if that has the credentials
}

// serveSocket serves a client until one of the two closes the socket. Its
// goroutine reads, and a second one writes.
func (x *exchange) serveSocket(f Fault) {
	if !strings.EqualFold(x.r.Header.Get("Upgrade"), "websocket") {
		x.send(problemAnswer(&world.Problem{
			Status:  http.StatusUpgradeRequired,
			Message: "This route is a WebSocket",
			Header:  http.Header{"Upgrade": {"websocket"}},
		}))
		return
	}
	c := x.hub.world.Connect()
	if c == nil {
		panic(http.ErrAbortHandler)
	}
	defer c.Leave()
	s := &socket{live: c, hub: x.hub, r: x.r, fault: f}
	if !s.accept(x) {
		return
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		s.write()
	}()
	defer func() {
		s.live.Out.Cut()
		<-sent
		s.live.Out.OnCut(nil)
		_ = s.conn.CloseNow()
	}()
	s.read()
}

// accept upgrades the connection. If it cannot, it has answered why.
func (s *socket) accept(x *exchange) bool {
	w := &upgrade{ResponseWriter: x.w, answered: func(status int) { x.hub.log.answered(x.logged, status) }}
	w.Header().Set("x-session-id", x.logged.RequestID)
	maps.Copy(w.Header(), s.fault.Header)
	conn, err := websocket.Accept(w, x.r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return false
	}
	conn.SetReadLimit(maxFrame)
	s.conn, s.raw = conn, w.conn
	s.live.Out.OnCut(func() { _ = w.conn.Close() })
	return true
}

// upgrade is the ResponseWriter of a request to upgrade. It notes the status, and
// keeps the connection: closing that aborts the socket at once.
type upgrade struct {
	http.ResponseWriter
	answered func(status int)
	conn     net.Conn
}

func (u *upgrade) WriteHeader(status int) {
	u.answered(status)
	u.ResponseWriter.WriteHeader(status)
}

func (u *upgrade) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, buffered, err := http.NewResponseController(u.ResponseWriter).Hijack()
	u.conn = conn
	return conn, buffered, err
}

// write sends what the outbox has until the connection is gone.
func (s *socket) write() {
	defer s.live.Out.Cut()
	for {
		next, ok, end := s.live.Out.Take()
		switch {
		case ok && next.Kind == world.KindInit && s.fault.Cut != CutNone:
			s.breakOff(next.Body)
			continue
		case ok:
			if s.conn.Write(context.Background(), websocket.MessageText, next.Body) != nil {
				return
			}
			continue
		case end != nil:
			_ = s.conn.Close(websocket.StatusCode(end.Code), end.Reason)
			return
		}
		select {
		case <-s.live.Out.Wake():
		case <-s.live.Out.Gone():
			return
		}
	}
}

// breakOff ends or stalls the connection at its first message, as the Fault says:
// before the message, or in the middle of it.
func (s *socket) breakOff(body []byte) {
	if s.fault.Cut == CutMidBody {
		const finalText, length16 = 0x81, 126
		frame := append([]byte{finalText, length16, byte(len(body) >> 8), byte(len(body))}, body[:len(body)/2]...)
		_, _ = s.raw.Write(frame)
	}
	if s.fault.Stall {
		s.live.Out.Stall()
	} else {
		s.live.Out.Cut()
	}
}

// read lets the client in and takes what it sends until it leaves.
func (s *socket) read() {
	s.greet()
	defer func() {
		if s.deadline != nil {
			s.deadline.Stop()
		}
	}()
	for s.live.Reading() {
		kind, data, err := s.conn.Read(context.Background())
		if err != nil {
			return
		}
		if kind == websocket.MessageText && s.live.Reading() {
			s.receive(data)
		}
	}
	<-s.live.Out.Gone()
}

// greet decides on credentials that came with the request. If there are none, the
// first frame decides.
func (s *socket) greet() {
	admitted := s.hasKey()
	if admitted || s.offersKey() {
		s.decide(func() bool { return admitted })
		return
	}
	s.deadline = time.AfterFunc(authWait, func() {
		s.decide(func() bool { return false })
	})
}

// receive takes a frame. If it has not been decided whether the client may join,
// the frame has to have the credentials.
func (s *socket) receive(data []byte) {
	decides := s.decide(func() bool { return sameSecret(world.Credentials(data), s.hub.key()) })
	if !decides {
		s.live.Receive(data)
	}
}

// decide lets the client join, or rejects it if it is not admitted. Only the first
// call does so, and only it returns true.
func (s *socket) decide(admitted func() bool) (first bool) {
	s.decided.Do(func() {
		first = true
		if admitted() {
			s.live.Join(s.r.URL.Query())
			return
		}
		const why = "The API key is missing or invalid"
		s.live.Reject(world.Rejection{
			Code: "auth_failed", Message: why, CloseCode: int(coder.CloseAuthRequired), Reason: why,
		})
	})
	return first
}

var keyParameters = []string{"api_key", "token", "apiKey"}

// hasKey reports whether the request has the Hub's key.
func (s *socket) hasKey() bool {
	if s.hub.admits(s.r.Header) {
		return true
	}
	query := s.r.URL.Query()
	return slices.ContainsFunc(keyParameters, func(name string) bool {
		return sameSecret(query.Get(name), s.hub.key())
	})
}

// offersKey reports whether the request has any key.
func (s *socket) offersKey() bool {
	query := s.r.URL.Query()
	return s.r.Header.Get("Authorization") != "" || s.r.Header.Get("x-agentuity-auth-api-key") != "" ||
		slices.ContainsFunc(keyParameters, func(name string) bool { return query.Get(name) != "" })
}
