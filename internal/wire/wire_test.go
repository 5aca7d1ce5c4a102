package wire

import (
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type thing struct {
	ID    string            `json:"id"`
	N     *int              `json:"n"`
	List  []int             `json:"list"`
	Bytes []byte            `json:"bytes"`
	Map   map[string]bool   `json:"map"`
	Any   any               `json:"any"`
	Raw   json.RawMessage   `json:"raw"`
	Next  *thing            `json:"next"`
	Array [2]int            `json:"array"`
	Text  map[string]string `json:"text"`
}

// TestUnmarshal: only text that is not JSON is an error, and what is of the wrong kind leaves its
// zero value and nothing else.
func TestUnmarshal(t *testing.T) {
	for in, want := range map[string]thing{
		`{"id":"x","n":1}`:                          {ID: "x", N: new(1)},
		`{"id":"x","n":"1"}`:                        {ID: "x"},
		`{"id":7,"n":1}`:                            {N: new(1)},
		`{"list":[1,"x",3]}`:                        {List: []int{1, 0, 3}},
		`{"list":"x","id":"x"}`:                     {ID: "x"},
		`{"bytes":"not base64!","id":"x"}`:          {ID: "x"},
		`{"bytes":[1],"id":"x"}`:                    {ID: "x"},
		`{"n":"","map":{"a":true,"b":1}}`:           {Map: map[string]bool{"a": true, "b": false}},
		`{"n":"","any":{"a":[1,null]},"raw":[ 1 ]}`: {Any: map[string]any{"a": []any{1.0, nil}}, Raw: json.RawMessage(`[ 1 ]`)},
		`{"n":"","next":{"id":1,"n":2}}`:            {Next: &thing{N: new(2)}},
		`{"next":[],"id":"x"}`:                      {ID: "x"},
		`{"next":{"next":{"n":"x","id":"deep"}}}`:   {Next: &thing{Next: &thing{ID: "deep"}}},
		`{"array":[1],"id":"x"}`:                    {ID: "x"},
		`{"text":{"a":1,"b":"c"}}`:                  {Text: map[string]string{"a": "", "b": "c"}},
		`{"id":"a","id":"b"}`:                       {ID: "b"},
		`[]`:                                        {},
		`7`:                                         {},
		` {"id":"blanks"} `:                         {ID: "blanks"},
		`{"n":null,"id":null,"next":null,"list":null,"i":1}`: {},
	} {
		var got, read thing
		require.NoError(t, Unmarshal([]byte(in), &got), in)
		assert.Equal(t, want, got, in)
		require.NoError(t, unmarshalRead(t.Context(), func() io.Reader { return strings.NewReader(in) }, &read), in)
		assert.Equal(t, want, read, in)
	}
	for _, in := range []string{``, `{`, `{"id":"x"`, `{"id":"x"}}`, `{"id":"x"} 1`, `<html>`, `{"id":"\x"}`, `{'id':1}`, `{"n":"","id":}`} {
		var got thing
		require.Error(t, Unmarshal([]byte(in), &got), in)
		require.Error(t, unmarshalRead(t.Context(), func() io.Reader { return strings.NewReader(in) }, &got), in)
		assert.False(t, Valid([]byte(in)), in)
	}
	var exact thing
	require.Error(t, UnmarshalExact([]byte(`{"id":7}`), &exact))
}

func TestRefused(t *testing.T) {
	for in, want := range map[string]bool{
		`{"ok":false}`: true, `{"success":false,"data":{}}`: true, `{"x":1,"ok":false}`: true,
		`{"ok":true}`: false, `{"ok":"false"}`: false, `{"data":{"ok":false}}`: false, `{}`: false, ``: false, `"ok"`: false,
	} {
		assert.Equal(t, want, Refused([]byte(in)), in)
	}
}

func TestDecodeError(t *testing.T) {
	for in, want := range map[string]ErrorBody{
		`{"error":"text"}`:                                   {Message: "text"},
		`{"error":"text","message":"other"}`:                 {Message: "text"},
		`{"error":"","message":"other"}`:                     {Message: "other"},
		`{"code":null,"message":"still told"}`:               {Message: "still told"},
		`{"code":7,"message":"m","details":[]}`:              {Message: "m"},
		`{"error":{"message":"inside"}}`:                     {Message: "inside"},
		`{"error":{"message":"inside"},"message":"outside"}`: {Message: "outside"},
		`{"error":{"name":"ZodError","issues":[{"code":"c","path":["a",0],"message":"m"},7]}}`: {
			Issues: []Issue{{Code: "c", Path: []any{"a", 0.0}, Message: "m"}},
		},
		`{"details":{"a":1}}`: {Details: map[string]any{"a": 1.0}},
		`[]`:                  {}, `<html>`: {}, ``: {}, `{"error":7}`: {},
		// Cut, as a body beyond the limit is: what came first is kept.
		`{"code":"C","message":"m","details":{"a":1,"b":"wo`: {Code: "C", Message: "m", Details: map[string]any{"a": 1.0}},
		`{"code":"C","error":"text","x":[[[{"`:               {Code: "C", Message: "text"},
		`{"code":"C","mess`:                                  {Code: "C"},
		`{"error":{"issues":[{"code":"c","message":"m"},{"code":"d","mes`: {
			Issues: []Issue{{Code: "c", Message: "m"}, {Code: "d"}},
		},
		`{"code":"C"`: {Code: "C"}, `{"code":`: {}, `{`: {}, `{"code":"C"}}`: {Code: "C"},
	} {
		assert.Equal(t, want, DecodeError([]byte(in)), in)
	}
}

// TestSpan: where a value stands, also in a text that is read twice because another member has the wrong kind.
func TestSpan(t *testing.T) {
	for _, text := range []string{
		`{"n":1,"value":{"a":[1]}}`, ` {"value" : {"a":[1]} , "n":1}`, `{"n":"no number","value":{"a":[1]}}`,
		`{"value":{"a":[1]},"n":[]}`, `{"deep":{"value":7},"n":1e99,"value":{"a":[1]}}`,
	} {
		for _, unmarshal := range []func([]byte, any) error{Unmarshal, UnmarshalFlat} {
			var out struct {
				N     int  `json:"n"`
				Value Span `json:"value"`
				None  Span `json:"none"`
			}
			require.NoError(t, unmarshal([]byte(text), &out))
			assert.Equal(t, `{"a":[1]}`, string(out.Value.Of([]byte(text))), text)
			assert.Empty(t, out.None.Of([]byte(text)))
		}
	}
}

// unmarshalRead is UnmarshalRead with the cost of the text.
func unmarshalRead(ctx context.Context, open func() io.Reader, out any) error {
	var cost Cost
	_, _ = io.Copy(&cost, open())
	return cost.UnmarshalRead(ctx, open, out)
}
