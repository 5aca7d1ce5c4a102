package faultproxy

import (
	"bufio"
	"cmp"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"sync"
)

// The frames, flags and error codes of RFC 9113 that matter here.
const (
	frameData, frameHeaders, frameReset, frameSettings, frameGoAway, frameWindow, frameContinuation = 0, 1, 3, 4, 7, 8, 9

	flagAck = 1

	noError, internalError, refusedStream, cancelled = 0, 2, 7, 8

	preface   = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	frameHead = 9
	frameMost = 1 << 20
)

// frames speaks TLS with both sides, and HTTP/2 or whatever else they agree on.
func (b *pair) frames(reader *bufio.Reader) {
	client := tls.Server(&peeked{b.client, reader}, &tls.Config{
		Certificates: []tls.Certificate{*b.proxy.config.Certificate}, NextProtos: []string{"h2", "http/1.1"}, MinVersion: tls.VersionTLS12,
	})
	if client.HandshakeContext(b.ctx) != nil {
		return
	}
	agreed := client.ConnectionState().NegotiatedProtocol
	config := b.proxy.config.Server.Clone()
	config.NextProtos = []string{cmp.Or(agreed, "http/1.1")}
	server := tls.Client(b.server, config)
	if server.HandshakeContext(b.ctx) != nil {
		return
	}
	b.mu.Lock()
	b.client, b.server = client, server // to be closed with a close_notify
	b.mu.Unlock()
	if agreed != "h2" {
		b.bytes(client, client, server)
		return
	}
	s := &streams{
		pair: b, client: newSide(client), server: newSide(server), faults: make(map[uint32]*streamFault),
	}
	var group sync.WaitGroup
	for _, pass := range []func(){s.up, s.down} {
		group.Go(func() {
			defer b.close()
			pass()
		})
	}
	group.Wait()
}

// peeked is a connection of which something has been read.
type peeked struct {
	net.Conn
	reader *bufio.Reader
}

func (p *peeked) Read(piece []byte) (int, error) { return p.reader.Read(piece) }

// frame is a frame of HTTP/2.
type frame struct {
	kind, flags byte
	stream      uint32
	payload     []byte
}

func (f frame) bytes() []byte {
	head := binary.BigEndian.AppendUint32(make([]byte, 0, frameHead+len(f.payload)), uint32(len(f.payload))<<8|uint32(f.kind))
	head = binary.BigEndian.AppendUint32(append(head, f.flags), f.stream)
	return append(head, f.payload...)
}

// side is one end of an HTTP/2 connection. Both directions write to it, whoever has the turn: a channel, since a fault may hold
// it for long, and a bubble of testing/synctest does not see that a mutex is waited for.
type side struct {
	conn   net.Conn
	reader *bufio.Reader
	turn   chan struct{}
}

func newSide(conn net.Conn) side {
	return side{conn, bufio.NewReaderSize(conn, pieceSize), make(chan struct{}, 1)}
}

func (s *side) read() (f frame, ok bool) {
	var head [frameHead]byte
	if _, err := io.ReadFull(s.reader, head[:]); err != nil {
		return f, false
	}
	size := binary.BigEndian.Uint32(head[:]) >> 8
	if size > frameMost {
		return f, false
	}
	f = frame{head[3], head[4], binary.BigEndian.Uint32(head[5:]) &^ (1 << 31), make([]byte, size)}
	_, err := io.ReadFull(s.reader, f.payload)
	return f, err == nil
}

func (s *side) write(f frame) bool {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	_, err := s.conn.Write(f.bytes())
	return err == nil
}

// streams is an HTTP/2 connection whose frames are looked at.
//
// Frames of some streams are held back. So that the compressed headers of the others can still be read, both sides are told to
// remember no headers (a table of 0 bytes), and nothing is held back before the client has confirmed that.
type streams struct {
	*pair
	client, server side

	state   sync.Mutex
	faults  map[uint32]*streamFault
	settled bool
	away    bool // GOAWAY was sent: no stream is processed that comes after it
	newest  uint32
}

type streamFault struct {
	Fault
	exchange int
	dead     bool // nothing of it is passed on
	answer   int  // bytes that the server has sent
}

// fault is what is to be done to the stream of a frame, nil if nothing, and whether nothing of it is passed on any more.
func (s *streams) fault(f frame) (fault *streamFault, dead bool) {
	s.state.Lock()
	defer s.state.Unlock()
	fault = s.faults[f.stream]
	return fault, fault != nil && fault.dead
}

// end lets nothing more of a stream pass.
func (s *streams) end(fault *streamFault) {
	s.state.Lock()
	defer s.state.Unlock()
	fault.dead = true
}

// opened says that a frame of the client opens a stream, and what is done to it.
func (s *streams) opened(f frame) (fault *streamFault, previous uint32) {
	s.state.Lock()
	defer s.state.Unlock()
	if f.kind != frameHeaders || f.stream <= s.newest {
		return nil, 0
	}
	previous, s.newest = s.newest, f.stream
	if s.away { // which the client may not have heard
		s.faults[f.stream] = &streamFault{dead: true}
		return nil, 0
	}
	exchange, what := s.next()
	if what.Kind == None || what.Kind >= GoAway && !s.settled {
		return nil, 0
	}
	fault = &streamFault{Fault: what, exchange: exchange}
	s.away = what.Kind == GoAway
	fault.dead = what.Kind == GoAway || what.Kind == RefuseStream
	s.faults[f.stream] = fault
	return fault, previous
}

func (s *streams) up() {
	begin := make([]byte, len(preface))
	if _, err := io.ReadFull(s.client.reader, begin); err != nil {
		return
	}
	if _, err := s.server.conn.Write(begin); err != nil {
		return
	}
	for {
		f, ok := s.client.read()
		if !ok || !s.ask(f) {
			return
		}
	}
}

func (s *streams) down() {
	for {
		f, ok := s.server.read()
		if !ok || !s.tell(f) {
			return
		}
	}
}

// ask passes on a frame of the client. It returns false if that was the last.
func (s *streams) ask(f frame) bool {
	if f.kind == frameSettings {
		s.state.Lock()
		s.settled = s.settled || f.flags&flagAck != 0
		s.state.Unlock()
		return s.server.write(withoutTable(f))
	}
	if fault, previous := s.opened(f); fault != nil {
		if !s.begin(fault.exchange, fault.Fault) {
			return false
		}
		switch fault.Kind {
		case GoAway:
			s.count(GoAway)
			payload := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, previous), noError)
			return s.client.write(frame{kind: frameGoAway, payload: payload})
		case RefuseStream:
			s.count(RefuseStream)
			return s.client.write(resetFrame(f.stream, refusedStream))
		case ResetRequest:
			s.count(ResetRequest)
			s.server.write(f)
			s.reset()
			return false
		}
	}
	if _, dead := s.fault(f); dead {
		return s.credit(&s.client, f)
	}
	return s.server.write(f)
}

// tell passes on a frame of the server. It returns false if that was the last.
func (s *streams) tell(f frame) bool {
	fault, dead := s.fault(f)
	switch {
	case f.kind == frameSettings:
		return s.client.write(withoutTable(f))
	case fault == nil || f.kind != frameData && f.kind != frameHeaders && f.kind != frameContinuation:
		return s.client.write(f)
	case dead:
		return s.credit(&s.server, f)
	case fault.Kind == ResetStream:
		s.count(ResetStream)
		s.end(fault)
		return s.client.write(resetFrame(f.stream, internalError)) && s.server.write(resetFrame(f.stream, cancelled)) &&
			s.credit(&s.server, f)
	}
	piece := f.bytes()
	before := fault.answer
	fault.answer += len(piece)
	what := fault.Fault
	if what.Kind == Corrupt {
		if what = (Fault{}); fault.After >= before && fault.After < fault.answer {
			s.count(Corrupt)
			clear(piece[5:frameHead]) // no stream has the number 0
		}
	}
	s.client.turn <- struct{}{}
	defer func() { <-s.client.turn }()
	return s.do(s.client.conn, piece, before, what)
}

// credit gives back what a frame that is held back took of the window of its connection.
func (s *streams) credit(from *side, f frame) bool {
	if f.kind != frameData || len(f.payload) == 0 {
		return true
	}
	return from.write(frame{kind: frameWindow, payload: binary.BigEndian.AppendUint32(nil, uint32(len(f.payload)))})
}

// withoutTable is a frame of settings by which its receiver remembers no headers.
func withoutTable(f frame) frame {
	if f.flags&flagAck == 0 {
		const headerTableSize = 1
		f.payload = append(f.payload, 0, headerTableSize, 0, 0, 0, 0)
	}
	return f
}

func resetFrame(stream, code uint32) frame {
	return frame{kind: frameReset, stream: stream, payload: binary.BigEndian.AppendUint32(nil, code)}
}
