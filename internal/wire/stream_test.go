package wire

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// passage is what a Stream makes of an object.
type passage struct {
	Elements []string
	Members  []string
	Found    bool
}

func readStream(r io.Reader, limit int64) (p passage, err error) {
	p.Found, err = NewStream(r, limit).Read("entries", func(raw []byte) bool {
		p.Elements = append(p.Elements, string(raw))
		return true
	}, func(name string, raw []byte) { p.Members = append(p.Members, name+"="+string(raw)) })
	return p, err
}

// referenceStream does the same with all of the text at once, and the library's decoder.
func referenceStream(text string) (p passage, err error) {
	dec := jsontext.NewDecoder(strings.NewReader(text), Accepted)
	if _, err := dec.ReadToken(); err != nil {
		return p, err
	}
	for dec.PeekKind() == jsontext.KindString {
		token, err := dec.ReadToken()
		if err != nil {
			return p, err
		}
		name := token.String()
		raw, err := dec.ReadValue()
		if err != nil {
			return p, err
		}
		switch kind := raw.Kind(); {
		case name == "entries" && kind == jsontext.KindBeginArray:
			p.Found = true
			var elements []jsontext.Value
			if err := json.Unmarshal(raw, &elements, Accepted); err != nil {
				return p, err
			}
			for _, e := range elements {
				p.Elements = append(p.Elements, string(e))
			}
		case kind == jsontext.KindString, kind == jsontext.KindTrue, kind == jsontext.KindFalse:
			p.Members = append(p.Members, name+"="+string(raw))
		}
	}
	return p, nil
}

const awkward = "\n{ \"a\" : \"x\\\"],}\\\\\" , \"entries\":[ {\"b\":[1,{\"c\":\"}\"}],\"d\":\"\\\\\"} ,7, -1.5e3,true , null,\"e\\u0022\",[[ ]] ,{ }]," +
	"\"f\":{\"g\":[\"]\",\"\\\"\"]},\"n\":12 ,\"entri\\u0065s\":[1],\"t\":true,\"o\":false,\"z\":null,\"long\":\"" +
	"0123456789012345678901234567890123456789\\\\\\\"0123456789012345678901234567890123456789\\\\\"} \r\n"

// TestStream reads an awkward object in two parts, split at every byte, and byte by byte.
func TestStream(t *testing.T) {
	want, err := referenceStream(awkward)
	require.NoError(t, err)
	require.Len(t, want.Elements, 9)
	require.Len(t, want.Members, 4)
	check := func(source io.Reader) {
		got, err := readStream(source, 1000)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for at := range awkward {
		check(io.MultiReader(strings.NewReader(awkward[:at]), strings.NewReader(awkward[at:])))
	}
	check(iotest.OneByteReader(strings.NewReader(awkward)))
	check(iotest.DataErrReader(strings.NewReader(awkward)))
}

func TestStreamRefuses(t *testing.T) {
	for _, text := range []string{
		``, ` `, `[]`, `null`, `7`, `<html>`, `{`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `{"a" 1}`, `{a:1}`, `{1:1}`, `{"\x":1}`,
		`{"entries":[`, `{"entries":[1`, `{"entries":[1,`, `{"entries":[1}`, `{"entries":[1]`, `{"entries":["]}`, `{"entries":[1]} x`, `{}{}`,
	} {
		_, err := readStream(strings.NewReader(text), 1000)
		require.Error(t, err, text)
	}
	for _, text := range []string{`{"entries":[,]}`, `{"entries":[1,]}`, `{"entries":[1 2]}`, `{"entries":[:]}`, `{"entries":[tru]}`, `{"entries":[{]}]}`} {
		var bad error
		_, err := NewStream(strings.NewReader(text), 1000).Read("entries", func(raw []byte) bool {
			var v any
			bad = errors.Join(bad, Unmarshal(raw, &v))
			return true
		}, func(string, []byte) {})
		require.Error(t, errors.Join(bad, err), text)
	}
}

func TestStreamStops(t *testing.T) {
	s := NewStream(io.MultiReader(strings.NewReader(`{"entries":[1,2,3`), iotest.ErrReader(errors.New("reset"))), 1000)
	n := 0
	found, err := s.Read("entries", func([]byte) bool { n++; return n < 2 }, nil)
	require.NoError(t, err)
	assert.True(t, found)
	assert.Equal(t, 2, n)
	require.NoError(t, s.ReadErr(), "nothing was read that was not needed")
}

func TestStreamErrors(t *testing.T) {
	reset := errors.New("reset")
	for _, text := range []string{``, `{"a":"x`, `{"entries":[1,`, `{"entries":[1]} `} {
		s := NewStream(io.MultiReader(strings.NewReader(text), iotest.ErrReader(reset)), 1000)
		_, err := s.Read("entries", func([]byte) bool { return true }, func(string, []byte) {})
		require.ErrorIs(t, err, reset, text)
		require.ErrorIs(t, s.ReadErr(), reset)
	}
	s := NewStream(strings.NewReader(`{"entries":[1,`), 1000)
	_, err := s.Read("entries", func([]byte) bool { return true }, nil)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.NoError(t, s.ReadErr(), "the reader was not at fault")
}

// TestStreamLimit bounds what is held, and not what is passed over.
func TestStreamLimit(t *testing.T) {
	long := strings.Repeat("x", 100<<10)
	for text, fits := range map[string]bool{
		`{"a":["` + long + `"],"n":` + strings.Repeat("1", 100<<10) + `,"entries":[1]}`: true,
		`{"entries":["` + long[:998] + `"]}`:                                            true,
		`{"entries":["` + long[:999] + `"]}`:                                            false,
		`{"entries":["` + long + `"]}`:                                                  false,
		`{"entries":[` + strings.Repeat("[", 1001) + `]}`:                               false,
		`{"` + long + `":1}`:                                                            false,
		`{"a":"` + long + `"}`:                                                          false,
	} {
		for _, source := range []io.Reader{strings.NewReader(text), iotest.HalfReader(strings.NewReader(text))} {
			_, err := readStream(source, 1000)
			if fits {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, ErrTooLarge)
			}
		}
	}
}

func FuzzStream(f *testing.F) {
	f.Add(awkward, uint8(3))
	f.Add(`{"entries":[{"a":"\\"},{"b":"\""}],"a":tr`, uint8(1))
	f.Add(`{"entries":[[[[}}]]],"entries":[1 2]}`, uint8(200))
	f.Fuzz(func(t *testing.T, text string, chunk uint8) {
		got, err := readStream(&pieces{strings.NewReader(text), int(chunk)%64 + 1}, 1<<20)
		if !jsontext.Value(text).IsValid(Accepted) || jsontext.Value(text).Kind() != jsontext.KindBeginObject {
			return // it has ended
		}
		want, fails := referenceStream(text)
		if fails != nil {
			return // as of a name that is no text
		}
		require.NoError(t, err)
		assert.Equal(t, want, got)
	})
}

// pieces reads a few bytes at a time.
type pieces struct {
	io.Reader
	size int
}

func (p *pieces) Read(b []byte) (int, error) { return p.Reader.Read(b[:min(len(b), p.size)]) }
