package wire

import "github.com/go-json-experiment/json/jsontext"

// Span is where a value stands in the text that was decoded, for a value that need not be copied.
type Span struct{ start, end int64 }

// UnmarshalJSONFrom passes over the value.
func (s *Span) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	value, err := d.ReadValue()
	s.end = d.InputOffset()
	s.start = s.end - int64(len(value))
	return err
}

// Of returns the value, as a part of the text. It is empty if there was none.
func (s Span) Of(text []byte) []byte { return text[s.start:s.end:s.end] }
