package cassette

import (
	"errors"
	"io"
	"sync"

	"github.com/agentuity/coder-go/internal/split"
)

// socketTap records the messages that go over a WebSocket.
type socketTap struct {
	io.ReadWriteCloser
	in, out *frames

	mu     sync.Mutex
	closed bool // by the program
}

func newSocketTap(raw io.ReadWriteCloser, x *exchange) *socketTap {
	return &socketTap{
		ReadWriteCloser: raw,
		in:              newFrames(x, Received, ByHub),
		out:             newFrames(x, Sent, ByProgram),
	}
}

// Read is called by one goroutine, and so is Write.
func (s *socketTap) Read(p []byte) (int, error) {
	n, err := s.ReadWriteCloser.Read(p)
	s.in.Take(p[:n])
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
	s.out.Take(p) // before it is sent: what answers it is read by another goroutine
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

// frames records the messages that go over a WebSocket in one direction.
type frames struct {
	split.Frames
	exchange *exchange
	closed   bool // a close frame has gone by
}

func newFrames(x *exchange, kind Kind, by string) *frames {
	f := &frames{exchange: x}
	f.Most = x.recorder.maxBody
	f.Message = func(message []byte, binary bool, omitted int64) {
		x.add(len(message), func(r *Redaction) Line {
			body := r.Body(message, omitted)
			if binary {
				body = Body{Base64: body.Bytes(), Omitted: body.Omitted}
			}
			return Line{Kind: kind, Body: body}
		})
	}
	f.Closed = func(code int, reason string) {
		f.closed = true
		x.add(len(reason), func(r *Redaction) Line {
			return Line{Kind: Close, By: by, Code: code, Reason: r.Text(reason)}
		})
	}
	return f
}
