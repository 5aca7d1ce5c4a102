package cassette

import (
	"encoding/binary"
	"errors"
	"io"
	"sync"
)

// socketTap records the messages that go over a WebSocket.
type socketTap struct {
	io.ReadWriteCloser
	in, out frames

	mu     sync.Mutex
	closed bool // by the program
}

func newSocketTap(raw io.ReadWriteCloser, x *exchange) *socketTap {
	return &socketTap{
		ReadWriteCloser: raw,
		in:              frames{exchange: x, kind: Received, by: ByHub},
		out:             frames{exchange: x, kind: Sent, by: ByProgram},
	}
}

// Read is called by one goroutine, and so is Write.
func (s *socketTap) Read(p []byte) (int, error) {
	n, err := s.ReadWriteCloser.Read(p)
	s.in.take(p[:n])
	if err != nil {
		s.mu.Lock()
		left := s.closed
		s.mu.Unlock()
		switch {
		case s.in.closed:
			s.in.exchange.end(Whole, nil)
		case left || s.out.exchange.ctx.Err() != nil:
			s.in.exchange.end(Left, nil)
		case errors.Is(err, io.EOF):
			s.in.exchange.end(Cut, nil)
		default:
			s.in.exchange.end(Cut, err)
		}
	}
	return n, err
}

func (s *socketTap) Write(p []byte) (int, error) {
	s.out.take(p) // before it is sent: what answers it is read by another goroutine
	return s.ReadWriteCloser.Write(p)
}

func (s *socketTap) Close() error {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	s.mu.Unlock()
	if first {
		s.in.exchange.end(Left, nil)
	}
	return s.ReadWriteCloser.Close()
}

// frames takes apart what goes over a WebSocket in one direction (RFC 6455, 5.2).
type frames struct {
	exchange *exchange
	kind     Kind
	by       string

	head    []byte // of the frame that has begun
	left    uint64 // of its payload
	at      uint64 // in its payload
	mask    []byte // nil: none
	op      byte
	final   bool
	control []byte // payload of a control frame
	message []byte // what is kept of the message so far
	binary  bool
	omitted int64
	closed  bool // a close frame has gone by
	lost    bool // it is not understood
}

const (
	opContinuation = 0
	opText         = 1
	opBinary       = 2
	opClose        = 8
	finalBit       = 0x80
	reservedBits   = 0x70
	maskBit        = 0x80
	length16       = 126
	length64       = 127
)

// take takes what has gone by.
func (f *frames) take(p []byte) {
	for len(p) > 0 && !f.lost {
		if f.left == 0 {
			n := f.header(p)
			p = p[n:]
			if f.head == nil && f.left == 0 && !f.lost { // a frame without a payload
				f.end()
			}
			continue
		}
		n := min(uint64(len(p)), f.left)
		f.payload(p[:n])
		p = p[n:]
		if f.left -= n; f.left == 0 {
			f.end()
		}
	}
}

// header takes bytes of a header, and sets what it says once it is whole: head is nil then.
func (f *frames) header(p []byte) (n int) {
	need := func() int {
		if len(f.head) < 2 {
			return 2
		}
		size := 2
		switch f.head[1] &^ maskBit {
		case length16:
			size += 2
		case length64:
			size += 8
		}
		if f.head[1]&maskBit != 0 {
			size += 4
		}
		return size
	}
	for len(f.head) < need() {
		if n == len(p) {
			return n
		}
		f.head = append(f.head, p[n])
		n++
	}
	h := f.head
	f.head, f.at, f.mask = nil, 0, nil
	f.final = h[0]&finalBit != 0
	f.op = h[0] & 0x0f
	if f.op != opContinuation && f.op < opClose {
		f.binary = f.op == opBinary
	}
	rest := h[2:]
	switch length := h[1] &^ maskBit; length {
	case length16:
		f.left, rest = uint64(binary.BigEndian.Uint16(rest)), rest[2:]
	case length64:
		f.left, rest = binary.BigEndian.Uint64(rest), rest[8:]
	default:
		f.left = uint64(length)
	}
	if h[1]&maskBit != 0 {
		f.mask = rest
	}
	f.lost = h[0]&reservedBits != 0 // an extension, such as compression: none was asked for
	return n
}

func (f *frames) payload(p []byte) {
	plain := make([]byte, len(p))
	for i, c := range p {
		if f.mask != nil {
			c ^= f.mask[(f.at+uint64(i))%4]
		}
		plain[i] = c
	}
	f.at += uint64(len(p))
	if f.op >= opClose {
		f.control = append(f.control, plain[:min(len(plain), 125)]...)
		return
	}
	room := max(0, f.exchange.recorder.maxBody-int64(len(f.message)))
	kept := plain[:min(int64(len(plain)), room)]
	f.message = append(f.message, kept...)
	f.omitted += int64(len(plain) - len(kept))
}

// end ends a frame, and with it perhaps a message.
func (f *frames) end() {
	switch {
	case f.op == opClose:
		code, reason := 0, ""
		if len(f.control) >= 2 {
			code, reason = int(binary.BigEndian.Uint16(f.control)), string(f.control[2:])
		}
		f.closed = true
		by := f.by
		f.exchange.add(len(reason), func(r *Redaction) Line {
			return Line{Kind: Close, By: by, Code: code, Reason: r.Text(reason)}
		})
	case f.op < opClose && f.final:
		message, omitted, isBinary, kind := f.message, f.omitted, f.binary, f.kind
		f.message, f.omitted = nil, 0
		f.exchange.add(len(message), func(r *Redaction) Line {
			body := r.Body(message, omitted)
			if isBinary {
				body = Body{Base64: body.Bytes(), Omitted: body.Omitted}
			}
			return Line{Kind: kind, Body: body}
		})
	}
	if f.op >= opClose {
		f.control = nil
	}
}
