package main

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // RFC 6455 asks for it
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"time"
)

// live are the sessions that stay open. Each connection gets events of its own, counted from 1, at a steady
// rate. A goroutine writes them, another reads, so that a connection that its client closes is noticed.
type live struct {
	every   time.Duration // between two events; 0: they are silent
	begun   chan struct{} // closed: events are sent
	quiet   chan struct{} // closed: nothing is sent any more
	leave   chan struct{} // closed: connections are closed, after all that was sent
	writers sync.WaitGroup

	mu      sync.Mutex
	sent    map[string]int // events of each session, over all its connections
	opening map[int64]int  // connections by the second in which they came
}

// liveCount is what a server has to say of its live sessions.
type liveCount struct {
	Sent map[string]int `json:"sent"`
	CPU  float64        `json:"cpu"`
	// Opening is the largest number of connections that came in a second.
	Opening int `json:"opening"`
}

func (l *live) start(every time.Duration) {
	l.every, l.begun, l.quiet, l.leave = every, make(chan struct{}), make(chan struct{}), make(chan struct{})
	l.sent, l.opening = make(map[string]int), make(map[int64]int)
}

// command does what a line of the input says: "begin" sends events from now on, "quiet" none, and "leave", after that,
// closes all connections; "count" does nothing. The answer comes when it is done; what was sent is known when it is quiet.
func (l *live) command(line string) liveCount {
	switch line {
	case "begin":
		close(l.begun)
	case "quiet":
		l.mu.Lock()
		close(l.quiet)
		l.mu.Unlock()
		l.writers.Wait()
	case "leave":
		close(l.leave)
		time.Sleep(200 * time.Millisecond) // what has not been read when a process ends can undo what it has sent
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	c := liveCount{Sent: l.sent, CPU: cpuOf(syscall.RUSAGE_SELF)}
	for _, n := range l.opening {
		c.Opening = max(c.Opening, n)
	}
	return c
}

// accepted counts a connection.
func (l *live) accepted() {
	l.mu.Lock()
	l.opening[time.Now().Unix()]++
	l.mu.Unlock()
}

// begins reports whether there is something to send, and then counts a writer.
func (l *live) begins() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.quiet:
		return false
	default:
	}
	if l.every > 0 {
		l.writers.Add(1)
	}
	return l.every > 0
}

// write sends the events of a connection until that is gone or all is quiet.
func (l *live) write(conn net.Conn, id string, framed func([]byte) []byte, gone <-chan struct{}) {
	if l.begins() {
		n, sending := 0, true
		select {
		case <-l.begun:
		case <-l.quiet:
			sending = false
		case <-gone:
			sending = false
		}
		timer := time.NewTimer(rand.N(l.every)) // not all at the same time
		for sending {
			select {
			case <-l.quiet:
				sending = false
			case <-gone:
				sending = false
			case <-timer.C:
				timer.Reset(l.every)
				if _, err := conn.Write(framed(liveMessage(id, n+1))); err != nil {
					sending = false
				} else {
					n++
				}
			}
		}
		timer.Stop()
		l.mu.Lock()
		l.sent[id] += n
		l.mu.Unlock()
		l.writers.Done()
	}
	select {
	case <-gone:
	case <-l.leave:
		_ = conn.(*net.TCPConn).CloseWrite()
	}
}

func liveMessage(id string, n int) []byte {
	return fmt.Appendf(nil, `{"type":"broadcast","event":"message_update","category":"message","data":{"n":%d,"agent":"lead",`+
		`"assistantMessageEvent":{"type":"text_delta","delta":"Adding the callback route. "}},"sessionId":%q,"timestamp":1768473737522}`, n, id)
}

// stream observes a live session.
func (l *live) stream(conn net.Conn, id string) error {
	_, err := fmt.Fprintf(conn, streamHead+"event: snapshot\ndata: {\"type\":\"snapshot\",\"sessionId\":%q,\"status\":\"active\",\"mode\":\"sandbox\",\"participants\":[]}\n\n"+
		"event: hydration\ndata: {\"type\":\"hydration\",\"sessionId\":%q,\"entries\":[]}\n\n", id, id)
	if err != nil {
		return err
	}
	gone := make(chan struct{})
	defer close(gone)
	go l.write(conn, id, func(message []byte) []byte { return fmt.Appendf(nil, "event: broadcast\ndata: %s\n\n", message) }, gone)
	var b [64]byte
	for err == nil { // it sends nothing
		_, err = conn.Read(b[:])
	}
	return err
}

// socket is a WebSocket: of a live session, or of one with so many messages of that size.
func (s *server) socket(conn net.Conn, head, query string) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return err
	}
	id := values.Get("sessionId")
	sum := sha1.Sum([]byte(string(header([]byte(head), "Sec-WebSocket-Key")) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // as above
	_, err = fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n%s",
		base64.StdEncoding.EncodeToString(sum[:]), frame([]byte(`{"type":"init","role":"observer"}`)))
	if err != nil {
		return err
	}
	gone := make(chan struct{})
	defer close(gone)
	if strings.HasPrefix(id, "frames-") {
		go s.writeFrames(conn, id)
	} else {
		go s.live.write(conn, id, frame, gone)
	}
	return readFrames(conn)
}

func (s *server) writeFrames(conn net.Conn, id string) {
	n, size := number([]byte(id), "frames-"), number([]byte(id), "-of-")
	one := frame(message(size))
	each := min(max(1, 64<<10/size), n)
	batch := bytes.Repeat(one, each)
	for range n / each {
		if _, err := conn.Write(batch); err != nil {
			return
		}
	}
	_, _ = conn.Write(batch[:n%each*len(one)])
}

// frame is a text message from a server.
func frame(message []byte) []byte {
	b := []byte{0x81} // the last fragment of a text
	switch n := len(message); {
	case n < 126:
		b = append(b, byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 127), uint64(n))
	}
	return append(b, message...)
}

// readFrames reads what a client sends, which is short, until it closes the connection. Pings, the protocol's and
// the Hub's, are answered.
func readFrames(conn net.Conn) error {
	var b [256]byte
	for {
		if _, err := io.ReadFull(conn, b[:6]); err != nil { // with the mask, which is always there
			return err
		}
		opcode, n, mask := b[0]&0xf, int(b[1]&0x7f), b[2:6]
		if n >= 126 {
			return fmt.Errorf("a client has sent a long message")
		}
		payload := b[6 : 6+n]
		if _, err := io.ReadFull(conn, payload); err != nil {
			return err
		}
		for i := range payload {
			payload[i] ^= mask[i%4]
		}
		var answer []byte
		switch {
		case opcode == 0x8: // close
			_, _ = conn.Write(append([]byte{0x88, byte(n)}, payload...))
			return io.EOF
		case opcode == 0x9: // ping
			answer = append([]byte{0x8a, byte(n)}, payload...)
		case bytes.Contains(payload, []byte(`"type":"ping"`)):
			answer = frame([]byte(`{"type":"pong"}`))
		}
		if answer == nil {
			continue
		}
		if _, err := conn.Write(answer); err != nil {
			return err
		}
	}
}

// endStream streams a session that ends after a second or so, and notes when it did.
func (s *server) endStream(conn net.Conn, id string) error {
	_, err := io.WriteString(conn, streamHead+string(event(250)))
	if err != nil {
		return err
	}
	time.Sleep(time.Second + rand.N(time.Second))
	s.gone.Store(id, true)
	s.ended.Store(time.Now().UnixNano())
	if _, err := io.WriteString(conn, lastEvent); err != nil {
		return err
	}
	return io.EOF
}

// named is the session with that id.
func (s *server) named(id string) []byte {
	session := s.alive
	if _, over := s.gone.Load(id); over {
		session = s.over
	}
	return response("200 OK", bytes.Replace(session, []byte(sessionID), []byte(id), 1))
}
