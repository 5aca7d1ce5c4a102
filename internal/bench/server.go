package main

import (
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
}

// server speaks as much HTTP/1.1 as the clients need, over answers that are made once: a server of
// net/http would take as much of the machine as the clients do.
type server struct {
	url         string
	session     []byte // with its headers, as all of these
	created     []byte
	discovered  []byte
	missing     []byte
	item        []byte
	itemUnknown []byte
	replay      replayPart
	lists       sync.Map // of answers, by query
	events      sync.Map // of streams, by session
	connections atomic.Int64
	discoveries atomic.Int64
}

// serve listens until the input ends, which it does when the process that started it is gone.
func serve(in io.Reader, out io.Writer) error {
	s, err := newServer()
	if err != nil {
		return err
	}
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	certificate, authority, err := newCertificate()
	if err != nil {
		return err
	}
	encrypted, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.url = "http://" + plain.Addr().String()
	s.discovered = response("200 OK", fmt.Appendf(nil, `{"url":%q}`, s.url))
	go s.accept(plain, nil)
	go s.accept(tls.NewListener(encrypted, &tls.Config{Certificates: []tls.Certificate{certificate}}), &s.connections)
	err = json.NewEncoder(out).Encode(addresses{URL: s.url, TLS: "https://" + encrypted.Addr().String(), Certificate: authority})
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, in)
	return err
}

func newServer() (*server, error) {
	s := &server{replay: newReplayPart(), missing: response("404 Not Found", []byte(`{"error":"no such route"}`))}
	session, err := sessionJSON()
	if err != nil {
		return nil, err
	}
	s.session = response("200 OK", session)
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

func (s *server) accept(listener net.Listener, count *atomic.Int64) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		if count != nil {
			count.Add(1)
		}
		go func() {
			defer conn.Close()
			s.answerAll(conn)
		}()
	}
}

// answerAll answers the requests of a connection, one after the other. It allocates nothing for
// those that are measured by the thousand.
func (s *server) answerAll(conn net.Conn) {
	buffer, filled := make([]byte, 16<<10), 0
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
		if err := s.answer(conn, method, target); err != nil {
			return
		}
	}
}

func contentLength(head []byte) int {
	for line := range bytes.SplitSeq(head, []byte("\r\n")) {
		name, value, _ := bytes.Cut(line, []byte(": "))
		if bytes.EqualFold(name, []byte("Content-Length")) {
			n, _ := strconv.Atoi(string(value)) // does not escape
			return n
		}
	}
	return 0
}

// answer writes the answer to one request. An error ends the connection.
func (s *server) answer(w io.Writer, method, target []byte) error {
	path, query, _ := bytes.Cut(target, []byte("?"))
	under, isSession := bytes.CutPrefix(path, []byte("/api/hub/session/"))
	id, companion, _ := bytes.Cut(under, []byte("/"))
	var body []byte
	switch {
	case isSession && string(companion) == "":
		body = s.session
	case isSession && string(companion) == "replay":
		return s.writeReplay(w, number(id, "replay-"))
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
		seen, err := json.Marshal(counters{s.connections.Load(), s.discoveries.Load()})
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
func (s *server) writeReplay(w io.Writer, megabytes int) error {
	length := len(replayHead) + megabytes*len(s.replay.text) + len(replayTail)
	_, err := fmt.Fprintf(w, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", length, replayHead)
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
	// The end of the connection ends the stream: no framing but the events' own.
	_, err := io.WriteString(w, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
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
