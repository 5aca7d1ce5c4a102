package wire

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// split returns the elements of the last list and the rest.
func split(text string) (elements []string, rest string, err error) {
	kept, err := Split(iotest.HalfReader(strings.NewReader(text)), 1<<40, "list", func() { elements = nil }, func(raw []byte) error {
		elements = append(elements, string(raw))
		return nil
	})
	return elements, string(kept), err
}

// TestSplit_Errors: those of the reader and of who takes the elements are told as they are.
func TestSplit_Errors(t *testing.T) {
	failed := errors.New("failed")
	for _, text := range []string{`{"list":[1`, `{"list":[1]`, `{"list":[1]}`, `{"a":"`, ``} {
		_, err := Split(io.MultiReader(strings.NewReader(text), iotest.ErrReader(failed)), 1<<40, "list", func() {}, func([]byte) error { return nil })
		require.ErrorIs(t, err, failed, text)
	}
	_, err := Split(strings.NewReader(`{"list":[1]}`), 1<<40, "list", func() {}, func([]byte) error { return failed })
	require.ErrorIs(t, err, failed)
	_, err = Split(strings.NewReader(`{"list":["12345"]}`), 5, "list", func() {}, func([]byte) error { return nil })
	require.ErrorIs(t, err, ErrTooLarge)
	_, err = Split(strings.NewReader(`[]`), 5, "list", func() {}, func([]byte) error { return nil })
	require.ErrorIs(t, err, ErrNotAnObject)
}

func TestSplit(t *testing.T) {
	large := `"` + strings.Repeat("x", 1<<20) + `"`
	for text, want := range map[string]struct {
		elements []string
		rest     string
	}{
		`{}`: {nil, `{}`},
		` { "a" : 1 , "list" : [ 1 , {"b":2} ] , "c":"d" } `: {[]string{"1", `{"b":2}`}, `{"a":1,"list":[],"c":"d"}`},
		`{"list":[` + large + `,null]}`:                      {[]string{large, "null"}, `{"list":[]}`},
		`{"list":[` + large + `],"list":[]}`:                 {nil, `{"list":[],"list":[]}`},
		`{"list":[1],"list":[` + large + `]}`:                {[]string{large}, `{"list":[],"list":[]}`},
		`{"list":null,"a":[1],"\u0061":{}}`:                  {nil, `{"list":null,"a":[1],"a":{}}`},
		`{"a":` + large + `}`:                                {nil, `{"a":` + large + `}`},
	} {
		elements, rest, err := split(text)
		require.NoError(t, err, text[:min(len(text), 100)])
		assert.Equal(t, want.elements, elements)
		assert.Equal(t, want.rest, rest)
	}
	for _, text := range []string{``, `{`, `[]`, `{"list":[1`, `{"list":[1,`, `{"list":[1]`, `{"list":[1]},`, `{"list":[1 2]}`, `{"list" [1]}`, `{list:[]}`, `null`} {
		_, _, err := split(text)
		require.Error(t, err, text)
	}
}
