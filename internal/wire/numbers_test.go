package wire

import (
	"bytes"
	"context"
	v1 "encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// numbers are what the text of a number becomes in free JSON.
var numbers = map[string]any{
	"0": 0.0, "-0": 0.0, "1.5": 1.5, "1e3": 1000.0, "-17": -17.0,
	"9007199254740991": 9007199254740991.0, "9007199254740992": 9007199254740992.0, "10000000000000000": 1e16,
	"-9007199254740992": -9007199254740992.0, "100000000000000000000": 1e20,
	"9007199254740993": v1.Number("9007199254740993"), "-9007199254740993": v1.Number("-9007199254740993"),
	"18446744073709551615":           v1.Number("18446744073709551615"),
	"123456789012345678901234567890": v1.Number("123456789012345678901234567890"),
	"1e400":                          v1.Number("1e400"),
	"-1e400":                         v1.Number("-1e400"),
	"1" + strings.Repeat("0", 400):   v1.Number("1" + strings.Repeat("0", 400)),
	"0.1234567890123456789":          0.1234567890123456789,
	"1234567890123456789.5":          1234567890123456789.5,
	"1234567890123456789e0":          1234567890123456789e0,
	"1e-400":                         0.0,
	"1.7976931348623157e308":         1.7976931348623157e308,
}

type free struct {
	Text string         `json:"text"`
	Any  any            `json:"any"`
	Map  map[string]any `json:"map"`
	List []any          `json:"list"`
	Int  int            `json:"int"`
}

func TestUnmarshal_KeepsWholeNumbers(t *testing.T) {
	decoders := map[string]func(string, any) error{
		"text":   func(text string, out any) error { return Unmarshal([]byte(text), out) },
		"stream": func(text string, out any) error { return unmarshalRead(context.Background(), opens(text), out) },
		"slow": func(text string, out any) error {
			return unmarshalRead(context.Background(), func() io.Reader { return oneByOne{strings.NewReader(text)} }, out)
		},
	}
	for name, decode := range decoders {
		for text, want := range numbers {
			for _, wrong := range []string{"", `,"int":"not one"`} { // which makes it tolerant
				all := `{"text":"` + strings.Repeat("x", 13) + `","any":` + text + `,"map":{"a":{"b":[` + text + `]},"c":` + text + `},"list":[[` + text + `],null,"s"]` + wrong + `}`
				var out free
				require.NoError(t, decode(all, &out), all)
				assert.Equal(t, want, out.Any, "%s %s", name, text)
				assert.Equal(t, map[string]any{"a": map[string]any{"b": []any{want}}, "c": want}, out.Map, "%s %s", name, text)
				assert.Equal(t, []any{[]any{want}, nil, "s"}, out.List, "%s %s", name, text)
				assert.Equal(t, strings.Repeat("x", 13), out.Text)

				encoded, err := Marshal(out)
				require.NoError(t, err)
				var again free
				require.NoError(t, decode(string(encoded), &again))
				switch want := want.(type) {
				case v1.Number:
					assert.Equal(t, out, again)
					assert.Contains(t, string(encoded), `"any":`+string(want)+`,`)
				case float64: // is written in its shortest form, which need not be what a float64 holds
					if number, ok := again.Any.(v1.Number); ok {
						got, err := number.Float64()
						require.NoError(t, err)
						assert.Equal(t, want, got)
					} else {
						assert.Equal(t, out, again)
					}
				}
			}
		}
	}
}

func TestUnmarshalCallers_KeepsWholeNumbers(t *testing.T) {
	var out any
	require.NoError(t, UnmarshalCallers(context.Background(), opens(`{"id":12345678901234567891,"n":1}`), &out))
	assert.Equal(t, map[string]any{"id": v1.Number("12345678901234567891"), "n": 1.0}, out)
	var exact struct {
		ID uint64 `json:"id"`
	}
	require.NoError(t, UnmarshalCallers(context.Background(), opens(`{"id":12345678901234567891,"n":1}`), &exact))
	assert.Equal(t, uint64(12345678901234567891), exact.ID)
}

func TestMarshal_Number(t *testing.T) {
	text, err := Marshal(map[string]any{"a": v1.Number("12345678901234567891"), "b": []any{v1.Number("1.50")}, "c": v1.Number("")})
	require.NoError(t, err)
	assert.Equal(t, `{"a":12345678901234567891,"b":[1.50],"c":0}`, string(text))
	for _, bad := range []v1.Number{"x", `"1"`, "01", "1 2", " ", "NaN", "{}", "null", "1,\"b\":2"} {
		_, err := Marshal(map[string]any{"a": bad})
		assert.Error(t, err, "%q", bad)
	}
}

func TestDigits(t *testing.T) {
	hasLongNumber := func(text []byte) bool {
		var d digits
		_, _ = d.Write(text)
		return d.found
	}
	for before := range 40 {
		for length := 10; length < 40; length++ {
			text := []byte(strings.Repeat("x", before) + strings.Repeat("7", length) + "x")
			assert.Equal(t, length >= longNumber, hasLongNumber(text), "%s", text)
			for cut := range text {
				var d digits
				for _, part := range [][]byte{text[:cut/2], text[cut/2 : cut], text[cut:]} {
					_, _ = d.Write(part)
				}
				assert.Equal(t, length >= longNumber, d.found, "%s cut at %d", text, cut)
			}
		}
	}
	assert.False(t, hasLongNumber(nil))
	assert.False(t, hasLongNumber(bytes.Repeat([]byte(`{"at":"2026-01-15T09:30:00.000Z","ms":1768469400000},`), 50)))
}

func opens(text string) func() io.Reader {
	return func() io.Reader { return strings.NewReader(text) }
}

// oneByOne reads a byte at a time.
type oneByOne struct{ r io.Reader }

func (o oneByOne) Read(p []byte) (int, error) { return o.r.Read(p[:min(1, len(p))]) }
