package wire

import (
	"bufio"
	"errors"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// ErrTooLarge says that one value of a stream is larger than allowed.
var ErrTooLarge = errors.New("one value is larger than the limit")

// readAhead is the buffer between the network and the decoder.
const readAhead = 64 << 10

// Stream reads one large JSON object while it arrives: the elements of one of its lists, and the
// members that are text or a flag. All else is passed over. It holds one value at a time.
type Stream struct {
	dec    *jsontext.Decoder
	source *source
}

// NewStream returns a Stream over r. No value may be larger than limit bytes.
func NewStream(r io.Reader, limit int64) *Stream {
	src := &source{r: bufio.NewReaderSize(r, readAhead), limit: limit}
	return &Stream{dec: jsontext.NewDecoder(src, Accepted), source: src}
}

// ReadErr is what the reader failed with, nil if it was not at fault.
func (s *Stream) ReadErr() error { return s.source.err }

// Read reads the object and nothing after it. It calls element for each element of the list named
// list, in raw form that is valid until it returns, and member for each other member that is text
// or a flag. It stops without an error when element returns false, and reports whether there was
// such a list.
func (s *Stream) Read(list string, element func(raw []byte) bool, member func(name string, raw []byte)) (found bool, err error) {
	if err := s.expect(jsontext.KindBeginObject); err != nil {
		return false, err
	}
	for s.peek() == jsontext.KindString {
		name, err := s.dec.ReadToken()
		if err != nil {
			return found, err
		}
		switch text, kind := name.String(), s.peek(); {
		case text == list && kind == jsontext.KindBeginArray:
			found = true
			more, err := s.elements(element)
			if err != nil || !more {
				return true, err
			}
		case kind == jsontext.KindString, kind == jsontext.KindTrue, kind == jsontext.KindFalse:
			raw, err := s.dec.ReadValue()
			if err != nil {
				return found, err
			}
			member(text, raw)
		default:
			if err := s.skip(); err != nil {
				return found, err
			}
		}
	}
	if err := s.expect(jsontext.KindEndObject); err != nil {
		return found, err
	}
	if _, err := s.dec.ReadToken(); !errors.Is(err, io.EOF) {
		return found, errors.Join(errTrailing, err)
	}
	return found, nil
}

var (
	errTrailing = errors.New("something follows the value")
	errKind     = errors.New("a value of another kind was expected")
)

func (s *Stream) elements(element func([]byte) bool) (more bool, err error) {
	if err := s.expect(jsontext.KindBeginArray); err != nil {
		return false, err
	}
	for {
		switch s.peek() {
		case jsontext.KindEndArray:
			return true, s.expect(jsontext.KindEndArray)
		default:
			raw, err := s.dec.ReadValue()
			if err != nil {
				return false, err
			}
			if !element(raw) {
				return false, nil
			}
		}
	}
}

// skip passes over a value of any size, token by token.
func (s *Stream) skip() error {
	depth := s.dec.StackDepth()
	for {
		s.source.reset()
		if _, err := s.dec.ReadToken(); err != nil {
			return err
		}
		if s.dec.StackDepth() == depth {
			return nil
		}
	}
}

func (s *Stream) peek() jsontext.Kind {
	s.source.reset()
	return s.dec.PeekKind()
}

func (s *Stream) expect(kind jsontext.Kind) error {
	s.source.reset()
	token, err := s.dec.ReadToken()
	if err == nil && token.Kind() != kind {
		return errKind
	}
	return err
}

// source limits what is read for one value, and keeps the error of the reader apart from those of
// the decoder.
type source struct {
	r     *bufio.Reader
	limit int64
	left  int64
	err   error
}

func (s *source) reset() { s.left = s.limit }

func (s *source) Read(p []byte) (int, error) {
	if s.left <= 0 {
		s.err = ErrTooLarge
		return 0, s.err
	}
	n, err := s.r.Read(p[:min(int64(len(p)), s.left)])
	s.left -= int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}
