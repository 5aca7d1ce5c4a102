// Package split takes apart what goes by piece by piece, however it is cut: the frames of a WebSocket into messages, a stream of
// events into events. For those who listen to what others read and write: nothing that goes by is an error.
package split

import "encoding/binary"

// Frames takes apart what goes over a WebSocket in one direction (RFC 6455, 5.2), compressed frames excepted: they, and all that
// follows, are passed over.
type Frames struct {
	// Most is how much is kept of a message, in bytes.
	Most int64
	// Message is called with each message that is whole, with what was kept of it, and how many bytes were not. It may keep it.
	Message func(message []byte, binary bool, omitted int64)
	// Closed is called with what a close frame says, code 0 for nothing. It may be nil.
	Closed func(code int, reason string)

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

// Take takes what has gone by.
func (f *Frames) Take(p []byte) {
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
func (f *Frames) header(p []byte) (n int) {
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

func (f *Frames) payload(p []byte) {
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
	room := max(0, f.Most-int64(len(f.message)))
	kept := plain[:min(int64(len(plain)), room)]
	f.message = append(f.message, kept...)
	f.omitted += int64(len(plain) - len(kept))
}

// end ends a frame, and with it perhaps a message.
func (f *Frames) end() {
	switch {
	case f.op == opClose:
		code, reason := 0, ""
		if len(f.control) >= 2 {
			code, reason = int(binary.BigEndian.Uint16(f.control)), string(f.control[2:])
		}
		if f.Closed != nil {
			f.Closed(code, reason)
		}
	case f.op < opClose && f.final:
		message, omitted := f.message, f.omitted
		f.message, f.omitted = nil, 0
		f.Message(message, f.binary, omitted)
	}
	if f.op >= opClose {
		f.control = nil
	}
}
