package main

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// addresses is what the server says of itself when it is ready.
type addresses struct {
	URL         string `json:"url"`
	TLS         string `json:"tls"`
	Certificate string `json:"certificate"` // of TLS, as PEM
}

// counters is what the server has seen.
type counters struct {
	TLSConnections int64 `json:"tlsConnections"`
	Discoveries    int64 `json:"discoveries"`
	Ended          int64 `json:"ended"` // when the last session ended, in nanoseconds since 1970
}

// hubOrder says what a server is for. The zero order is for the table.
type hubOrder struct {
	// Port is where it listens for plain HTTP; 0: anywhere.
	Port int `json:"port"`
	// Addresses is on how many of the loopback addresses from 127.0.0.1 on. Default: 1. Connections to one of them,
	// from one of them, are bounded by the number of ports.
	Addresses int `json:"addresses"`
	// Every is how many milliseconds apart the events of a live session are; 0: it is silent.
	Every int `json:"every"`
}

// server speaks as much HTTP/1.1 as the clients need, over answers that are made once: a server of
// net/http would take as much of the machine as the clients do.
type server struct {
	url         string
	session     []byte // with its headers, as all of these
	created     []byte
	discovered  []byte
	missing     []byte
	alive, over []byte // a session before and after its end, without headers
	item        []byte
	itemUnknown []byte
	replay      replayPart
	lists       sync.Map // of answers, by query
	events      sync.Map // of streams, by session
	connections atomic.Int64
	discoveries atomic.Int64
	ended       atomic.Int64 // as counters have it
	gone        sync.Map     // ids of sessions that have ended
	live        live
}

// serve listens until the input ends, which it does when the process that started it is gone. A line on the
// input is for the live sessions.
func serve(order hubOrder, in io.Reader, out io.Writer) error {
	s, err := newServer()
	if err != nil {
		return err
	}
	s.live.start(time.Duration(order.Every) * time.Millisecond)
	port := order.Port
	for i := range max(1, order.Addresses) {
		plain, err := net.Listen("tcp", fmt.Sprintf("127.0.0.%d:%d", 1+i, port))
		if err != nil {
			return err
		}
		port = plain.Addr().(*net.TCPAddr).Port
		go s.accept(plain, s.live.accepted)
	}
	certificate, authority, err := newCertificate()
	if err != nil {
		return err
	}
	encrypted, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.url = fmt.Sprintf("http://127.0.0.1:%d", port)
	s.discovered = response("200 OK", fmt.Appendf(nil, `{"url":%q}`, s.url))
	go s.accept(tls.NewListener(encrypted, &tls.Config{Certificates: []tls.Certificate{certificate}}), func() { s.connections.Add(1) })
	say := json.NewEncoder(out)
	if err := say.Encode(addresses{URL: s.url, TLS: "https://" + encrypted.Addr().String(), Certificate: authority}); err != nil {
		return err
	}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		if err := say.Encode(s.live.command(lines.Text())); err != nil {
			return err
		}
	}
	return lines.Err()
}

func newServer() (*server, error) {
	s := &server{replay: newReplayPart(), missing: response("404 Not Found", []byte(`{"error":"no such route"}`))}
	session, err := sessionJSON()
	if err != nil {
		return nil, err
	}
	s.session = response("200 OK", session)
	over, err := edit(session, func(s map[string]json.RawMessage) {
		s["status"], s["historyOnly"], s["bucket"] = json.RawMessage(`"archived"`), json.RawMessage(`true`), json.RawMessage(`"history"`)
	})
	if err != nil {
		return nil, err
	}
	s.alive, s.over = session, over
	created, err := sample("session-create.json", func(map[string]json.RawMessage) {})
	if err != nil {
		return nil, err
	}
	s.created = response("201 Created", created)
	if s.item, err = itemJSON(false); err != nil {
		return nil, err
	}
	s.itemUnknown, err = itemJSON(true)
	return s, err
}

func response(status string, body []byte) []byte {
	return fmt.Appendf(nil, "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", status, len(body), body)
}

func (s *server) accept(listener net.Listener, count func()) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		count()
		go func() {
			defer conn.Close()
			s.answerAll(conn)
		}()
	}
}

// answerAll answers the requests of a connection, one after the other. It allocates nothing for
// those that are measured by the thousand.
func (s *server) answerAll(conn net.Conn) {
	buffer, filled := make([]byte, 4<<10), 0
	for {
		n, err := conn.Read(buffer[filled:])
		if err != nil {
			return
		}
		filled += n
		head := bytes.Index(buffer[:filled], []byte("\r\n\r\n"))
		if head < 0 || filled < head+4+contentLength(buffer[:head]) {
			if filled == len(buffer) {
				return // nobody sends so much
			}
			continue
		}
		filled = 0
		method, rest, _ := bytes.Cut(buffer[:head], []byte(" "))
		target, _, _ := bytes.Cut(rest, []byte(" "))
		if err := s.answer(conn, buffer[:head], method, target); err != nil {
			return
		}
	}
}

func contentLength(head []byte) int {
	n, _ := strconv.Atoi(string(header(head, "Content-Length"))) // does not escape
	return n
}

func header(head []byte, wanted string) []byte {
	for line := range bytes.SplitSeq(head, []byte("\r\n")) {
		name, value, _ := bytes.Cut(line, []byte(": "))
		if strings.EqualFold(string(name), wanted) { // does not escape
			return value
		}
	}
	return nil
}

// answer writes the answer to one request. An error ends the connection.
func (s *server) answer(w net.Conn, head, method, target []byte) error {
	path, query, _ := bytes.Cut(target, []byte("?"))
	under, isSession := bytes.CutPrefix(path, []byte("/api/hub/session/"))
	id, companion, _ := bytes.Cut(under, []byte("/"))
	var body []byte
	switch {
	case string(path) == "/api/ws":
		return s.socket(w, string(head), string(query))
	case bytes.HasPrefix(id, []byte("live-")) && string(companion) == "events":
		return s.live.stream(w, string(id))
	case bytes.HasPrefix(id, []byte("ends-")) && string(companion) == "events":
		return s.endStream(w, string(id))
	case (bytes.HasPrefix(id, []byte("ends-")) || bytes.HasPrefix(id, []byte("live-"))) && string(companion) == "":
		body = s.named(string(id))
	case bytes.HasPrefix(id, []byte("hostile-")):
		body = s.hostileAnswer(string(id))
	case string(path) == "/api/hub/sessions" && bytes.Contains(query, []byte("search=hostile")):
		body = s.hostileAnswer(string(query))
	case isSession && string(companion) == "":
		body = s.session
	case isSession && string(companion) == "events/history":
		body = response("200 OK", fmt.Appendf(nil, `{"sessionId":%q,"events":[]}`, id))
	case isSession && string(companion) == "replay":
		return s.writeReplay(w, string(id))
	case isSession && string(companion) == "events":
		return s.writeEvents(w, string(id))
	case string(method) == "POST" && string(path) == "/api/hub/session":
		body = s.created
	case string(path) == "/api/hub/sessions":
		body = s.list(number(query, "limit="), bytes.Contains(query, []byte("search=unknown")))
	case string(path) == "/coder":
		s.discoveries.Add(1)
		time.Sleep(50 * time.Millisecond) // so that all who ask at once do so before the answer
		body = s.discovered
	case string(path) == "/counters":
		seen, err := json.Marshal(counters{s.connections.Load(), s.discoveries.Load(), s.ended.Load()})
		if err != nil {
			return err
		}
		body = response("200 OK", seen)
	default:
		body = s.missing
	}
	_, err := w.Write(body)
	return err
}

// number reads the number behind a prefix that stands anywhere in the text.
func number(text []byte, prefix string) int {
	_, digits, _ := bytes.Cut(text, []byte(prefix))
	end := 0
	for end < len(digits) && '0' <= digits[end] && digits[end] <= '9' {
		end++
	}
	n, _ := strconv.Atoi(string(digits[:end]))
	return n
}

func (s *server) list(n int, unknown bool) []byte {
	type key struct {
		n       int
		unknown bool
	}
	if known, ok := s.lists.Load(key{n, unknown}); ok {
		return known.([]byte)
	}
	item := s.item
	if unknown {
		item = s.itemUnknown
	}
	list := response("200 OK", listJSON(item, n))
	s.lists.Store(key{n, unknown}, list)
	return list
}

// writeReplay sends so many megabytes of entries.
func (s *server) writeReplay(w io.Writer, id string) error {
	megabytes, head := number([]byte(id), "replay-"), fmt.Sprintf(replayHead, id)
	length := len(head) + megabytes*len(s.replay.text) + len(replayTail)
	_, err := fmt.Fprintf(w, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", length, head)
	for range megabytes {
		if err != nil {
			return err
		}
		_, err = w.Write(s.replay.text)
	}
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, replayTail)
	return err
}

// stream is what is sent for the events of one session: a batch so many times, and the rest of one.
type stream struct {
	batch []byte
	times int
	rest  []byte
}

// eventsID is the session whose stream has so many events of that size.
func eventsID(n, size int) string { return fmt.Sprintf("events-%d-of-%d", n, size) }

// streamHead begins a stream. The end of the connection ends it: no framing but the events' own.
const streamHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"

func (s *server) writeEvents(w io.Writer, id string) error {
	known, ok := s.events.Load(id)
	if !ok {
		n, size := number([]byte(id), "events-"), number([]byte(id), "-of-")
		one := event(size)
		each := min(max(1, 64<<10/size), n)
		batch := bytes.Repeat(one, each)
		known = stream{batch, n / each, batch[:n%each*size]}
		if size <= 64<<10 { // the large ones are not worth the memory
			s.events.Store(id, known)
		}
	}
	st := known.(stream)
	_, err := io.WriteString(w, streamHead)
	for range st.times {
		if err != nil {
			return err
		}
		_, err = w.Write(st.batch)
	}
	if err != nil {
		return err
	}
	if _, err := w.Write(append(bytes.Clone(st.rest), lastEvent...)); err != nil {
		return err
	}
	return io.EOF
}

// newCertificate makes a certificate for this machine that vouches for itself.
func newCertificate() (certificate tls.Certificate, authority string, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, "", err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "canned server"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},

		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, "", err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, string(text), nil
}
