package wire

import (
	"bytes"
	"errors"
	"io"

	"github.com/agentuity/coder-go/internal/window"
)

// ErrTooLarge says that one value of a stream is larger than allowed.
var ErrTooLarge = errors.New("one value is larger than the limit")

var (
	errSyntax   = errors.New("it is no JSON object")
	errTrailing = errors.New("something follows the value")
)

// Stream reads one large JSON object while it arrives: the elements of one of its lists, and the
// members that are text or a flag. All else is passed over. It holds one value at a time.
//
// It finds where values end and no more: whether a value is JSON is found out by who decodes it,
// and of what is passed over only the brackets and quotes are looked at.
type Stream struct {
	window *window.Window
	limit  int64
}

// NewStream returns a Stream over r. No value may be larger than limit bytes.
func NewStream(r io.Reader, limit int64) *Stream {
	return &Stream{window: window.New(r, 0), limit: limit}
}

// ReadErr is what the reader failed with, nil if it was not at fault.
func (s *Stream) ReadErr() error {
	if err := s.window.Err(); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// Read reads the object and nothing after it. It calls element for each element of the list named
// list, in raw form that is valid until it returns, and member for each other member that is text
// or a flag. It stops without an error when element returns false, and reports whether there was
// such a list.
func (s *Stream) Read(list string, element func(raw []byte) bool, member func(name string, raw []byte)) (found bool, err error) {
	left := false
	err = s.sequence('{', '}', func() error {
		name, err := s.name()
		if err != nil {
			return err
		}
		first, err := s.peek()
		switch {
		case err != nil:
			return err
		case name == list && first == '[':
			found = true
			return s.sequence('[', ']', func() error {
				raw, err := s.value()
				if err == nil && !element(raw) {
					left, err = true, errLeft
				}
				return err
			})
		case first == '"', first == 't', first == 'f':
			raw, err := s.value()
			if err == nil {
				member(name, raw)
			}
			return err
		default:
			return s.pass()
		}
	})
	switch {
	case left:
		return true, nil
	case err != nil:
		return found, err
	}
	if _, err := s.peek(); !errors.Is(err, io.ErrUnexpectedEOF) {
		return found, errors.Join(errTrailing, err)
	}
	return found, s.ReadErr()
}

var errLeft = errors.New("element returned false")

// sequence reads a list or an object, whose items it leaves to item.
func (s *Stream) sequence(begin, end byte, item func() error) error {
	if err := s.expect(begin); err != nil {
		return err
	}
	next, err := s.peek()
	if err == nil && next == end {
		return s.expect(end)
	}
	for err == nil {
		if err := item(); err != nil {
			return err
		}
		if next, err = s.peek(); next == end {
			return s.expect(end)
		} else if err == nil {
			err = s.expect(',')
		}
	}
	return err
}

// name reads the name of a member, and the colon.
func (s *Stream) name() (string, error) {
	first, err := s.peek()
	if err == nil && first != '"' {
		err = errSyntax
	}
	var raw []byte
	if err == nil {
		raw, err = s.value()
	}
	var name string
	if err == nil {
		err = UnmarshalExact(raw, &name)
	}
	if err == nil {
		err = s.expect(':')
	}
	return name, err
}

// peek returns the next byte that is no blank.
func (s *Stream) peek() (byte, error) {
	for {
		for i, c := range s.window.Bytes() {
			switch c {
			case ' ', '\t', '\r', '\n':
			default:
				s.window.Drop(i)
				return c, nil
			}
		}
		s.window.Drop(len(s.window.Bytes()))
		if err := s.more(); err != nil {
			return 0, err
		}
	}
}

func (s *Stream) expect(c byte) error {
	next, err := s.peek()
	if err == nil && next != c {
		err = errSyntax
	}
	if err == nil {
		s.window.Drop(1)
	}
	return err
}

// more reads more. The end is not expected.
func (s *Stream) more() error {
	err := s.window.More()
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// value returns the next value. It is valid until more is read.
func (s *Stream) value() ([]byte, error) {
	if _, err := s.peek(); err != nil {
		return nil, err
	}
	var f frame
	size := 0
	for {
		unread := s.window.Bytes()
		n, done := f.scan(unread[size:])
		if size += n; int64(size) > s.limit {
			return nil, ErrTooLarge
		}
		if done {
			s.window.Drop(size)
			return unread[:size:size], nil
		}
		if err := s.more(); err != nil {
			return nil, err
		}
	}
}

// pass passes over a value of any size.
func (s *Stream) pass() error {
	var f frame
	for {
		n, done := f.scan(s.window.Bytes())
		s.window.Drop(n)
		if done {
			return nil
		}
		if err := s.more(); err != nil {
			return err
		}
	}
}

// frame is how much is known of a value whose end is looked for.
type frame struct {
	depth   int
	text    bool // in a text
	escaped bool // behind a backslash in it
	plain   bool // in a number, true, false or null
}

// scan looks at more of the value. It returns how much of it belongs to the value, and whether the
// value ends there.
func (f *frame) scan(part []byte) (n int, done bool) {
	for n < len(part) {
		if f.text {
			n += f.scanText(part[n:])
			if !f.text && f.depth == 0 {
				return n, true
			}
			continue
		}
		switch part[n] {
		case '"':
			if f.plain {
				return n, true
			}
			f.text = true
		case '{', '[':
			if f.plain {
				return n, true
			}
			f.depth++
		case '}', ']':
			if f.depth--; f.depth <= 0 && !f.plain {
				return n + 1, true
			} else if f.plain {
				return n, true
			}
		case ',', ':', ' ', '\t', '\r', '\n':
			if f.plain {
				return n, true
			}
			if f.depth == 0 {
				return n + 1, true // no value at all, as who decodes it will say
			}
		default:
			f.plain = f.depth == 0
		}
		n++
	}
	return n, false
}

// shortText is how long most names are.
const shortText = 24

// scanText looks at more of a text, and returns how much of it belongs to the text.
func (f *frame) scanText(part []byte) (n int) {
	if f.escaped {
		f.escaped = false
		n = 1
	}
	for short := min(len(part), n+shortText); n < short && part[n] != '\\'; n++ { // a search would cost more
		if part[n] == '"' {
			f.text = false
			return n + 1
		}
	}
	for n < len(part) {
		quote := bytes.IndexByte(part[n:], '"')
		end := len(part)
		if quote >= 0 {
			end = n + quote
		}
		for n < end {
			escape := bytes.IndexByte(part[n:end], '\\')
			if escape < 0 {
				n = end
				break
			}
			n += escape + 2
		}
		switch {
		case n > len(part): // the backslash is the last
			f.escaped = true
			return len(part)
		case n == end && quote >= 0:
			f.text = false
			return n + 1
		}
	}
	return n
}
