package codertest

import (
	"bufio"
	"context"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/agentuity/coder-go/codertest/internal/outbox"
)

const (
	// maxFrame is the longest frame the Hub reads, in bytes.
	maxFrame = 64 << 20
	// authWait is how long the Hub waits for credentials in the first frame.
	authWait = 5 * time.Second
)

var socketRoute = channel{
	admits: func(*exchange) bool { return true }, // refused after it is open
	serve:  (*exchange).serveSocket,
}

// socket is a live connection over WebSocket.
type socket struct {
	*connection
	hub     *Hub
	query   url.Values
	header  http.Header
	fault   Fault
	conn    *websocket.Conn
	raw     net.Conn
	patient *time.Timer // waits for credentials

	// Guarded by the Hub's lock.
	refused bool
}

// serveSocket serves a client until either side leaves. The goroutine reads,
// and a second one writes.
func (x *exchange) serveSocket(f Fault) {
	if !strings.EqualFold(x.r.Header.Get("Upgrade"), "websocket") {
		x.send((&problem{
			status:  http.StatusUpgradeRequired,
			message: "This route is a WebSocket",
			header:  http.Header{"Upgrade": {"websocket"}},
		}).answer())
		return
	}
	c := &connection{out: outbox.New(x.hub.queue)}
	if !x.hub.register(c) {
		panic(http.ErrAbortHandler)
	}
	defer x.hub.release(c)
	s := &socket{connection: c, hub: x.hub, query: x.r.URL.Query(), header: x.r.Header, fault: f}
	if !s.accept(x) {
		return
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		s.write()
	}()
	defer func() {
		s.out.Cut()
		<-sent
		s.out.OnCut(nil)
		_ = s.conn.CloseNow()
	}()
	s.read()
}

// accept upgrades the connection, or has answered why not.
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
	s.out.OnCut(func() { _ = w.conn.Close() })
	return true
}

// upgrade sees what becomes of a request to upgrade. It keeps the connection,
// which can be closed at once where the socket's own way takes its time.
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

// write sends what comes until the connection is gone.
func (s *socket) write() {
	defer s.out.Cut()
	for {
		next, ok, end := s.out.Take()
		switch {
		case ok && next.Kind == kindInit && s.fault.Cut != CutNone:
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
		case <-s.out.Wake():
		case <-s.out.Gone():
			return
		}
	}
}

// breakOff lets the connection fail at the first message, in the way the Fault
// wants it: before the message, or in the middle of it.
func (s *socket) breakOff(body []byte) {
	if s.fault.Cut == CutMidBody {
		const finalText, length16 = 0x81, 126
		frame := append([]byte{finalText, length16, byte(len(body) >> 8), byte(len(body))}, body[:len(body)/2]...)
		_, _ = s.raw.Write(frame)
	}
	if s.fault.Stall {
		s.out.Stall()
	} else {
		s.out.Cut()
	}
}

// read lets the client in and takes what it sends until it leaves.
func (s *socket) read() {
	s.greet()
	defer s.dismiss()
	for s.listens() {
		kind, data, err := s.conn.Read(context.Background())
		if err != nil {
			return
		}
		if kind == websocket.MessageText && s.listens() {
			s.receive(data)
		}
	}
	<-s.out.Gone()
}

func (s *socket) listens() bool {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	return !s.deaf
}

// greet decides on credentials that came with the request. Without any, it
// lets the first frame decide.
func (s *socket) greet() {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	switch {
	case s.hub.apiKey == "" || s.hasKey():
		s.join(time.Now())
	case s.offersKey():
		s.refuseKey()
	default:
		s.patient = time.AfterFunc(authWait, func() {
			s.hub.mu.Lock()
			defer s.hub.mu.Unlock()
			if s.session == nil {
				s.refuseKey()
			}
		})
	}
}

// dismiss ends the wait for credentials.
func (s *socket) dismiss() {
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	if s.patient != nil {
		s.patient.Stop()
	}
}

var keyParameters = []string{"api_key", "token", "apiKey"}

// hasKey reports whether the request carries the Hub's key.
func (s *socket) hasKey() bool {
	for _, name := range keyParameters {
		if sameSecret(s.query.Get(name), s.hub.apiKey) {
			return true
		}
	}
	return s.hub.admits(s.header)
}

// offersKey reports whether the request carries any key.
func (s *socket) offersKey() bool {
	for _, name := range keyParameters {
		if s.query.Get(name) != "" {
			return true
		}
	}
	return s.header.Get("Authorization") != "" || s.header.Get("x-agentuity-auth-api-key") != ""
}
