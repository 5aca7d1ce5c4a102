package wire

import (
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// Split reads an object and takes the elements out of its list with the given name, so that a long list is decoded while
// it arrives, and never held as a text. begin is called at the beginning of the list, and again if the object has another
// one of that name, which replaces it; element for each of its elements, in raw form that is valid until it returns. The
// rest is the object with an empty list. Whether its values are JSON is found out by who decodes them.
//
// No value may be larger than limit bytes. The error is that of the reader, of element, ErrNotAnObject, or one of syntax.
func Split(r io.Reader, limit int64, list string, begin func(), element func(raw []byte) error) (rest []byte, err error) {
	s := NewStream(r, limit)
	if first, err := s.peek(); err == nil && first != '{' {
		return nil, ErrNotAnObject
	}
	rest = append(rest, '{')
	err = s.sequence('{', '}', func() error {
		name, err := s.name()
		if err != nil {
			return err
		}
		first, err := s.peek()
		if err != nil {
			return err
		}
		if len(rest) > 1 {
			rest = append(rest, ',')
		}
		rest, _ = jsontext.AppendQuote(rest, name) // a text that was decoded can be quoted
		rest = append(rest, ':')
		if name == list && first == '[' {
			rest = append(rest, '[', ']')
			begin()
			return s.sequence('[', ']', func() error {
				raw, err := s.value()
				if err == nil {
					err = element(raw)
				}
				return err
			})
		}
		raw, err := s.value()
		rest = append(rest, raw...)
		return err
	})
	if err != nil {
		return nil, err
	}
	if _, err := s.peek(); s.ReadErr() != nil || err == nil {
		if err == nil {
			err = errTrailing
		}
		return nil, err
	}
	return append(rest, '}'), nil
}
