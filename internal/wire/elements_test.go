package wire

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type element struct {
	A    int       `json:"a"`
	List []element `json:"list"`
	Any  any       `json:"any"`
}

func TestUnmarshal_ElementsThatAreNoObjects(t *testing.T) {
	for _, bad := range []string{"null", "7", `""`, `"x"`, "[]", "[{}]", "true", "1e400", " null "} {
		for _, text := range []string{
			`{"list":[` + bad + `]}`, `{"list":[{"a":1},` + bad + `,{}]}`, `{"list":[{"list":[{}, ` + bad + `]}]}`,
			`{"a":"odd","list":[{}, ` + bad + `]}`, `{"list":[{"a":"odd"},` + "\n\t" + bad + `]}`,
		} {
			var out element
			require.ErrorIs(t, Unmarshal([]byte(text), &out), ErrNotAnObject, text)
			require.ErrorIs(t, unmarshalRead(t.Context(), opens(text), &out), ErrNotAnObject, text)
		}
		var list []element
		require.ErrorIs(t, Unmarshal([]byte(`[`+bad+`]`), &list), ErrNotAnObject)
	}
	for _, fine := range []string{
		`{"list":[]}`, `{"list":null}`, `{"list":[{}]}`, `{"a":null,"list":[{"a":null}]}`, `{"any":[null,7,[null]]}`,
		`{"a":"odd","any":[null],"list":"odd"}`, `{"any":"[null,null]"}`,
	} {
		var out element
		require.NoError(t, Unmarshal([]byte(fine), &out), fine)
	}
}

func TestNulls(t *testing.T) {
	for text, want := range map[string]int{
		"": 0, "null": 0, "[null]": 1, "[ \n null , null]": 2, `{"a":null}`: 0, `{"a":[null],"b":null,"c":[1,null,{}]}`: 2,
		`[[null],[null]]`: 2, "[nul": 0, "[nnull": 0, ",null,null,null": 3, "[1,\t\t\tnull]": 1,
	} {
		assert.Equal(t, want, countNulls([]byte(text)), text)
		for first := range len(text) + 1 {
			for second := first; second <= len(text); second++ {
				var n nulls
				for _, part := range []string{text[:first], text[first:second], text[second:]} {
					_, _ = n.Write([]byte(part))
				}
				assert.Equal(t, want, n.count, "%q cut at %d and %d", text, first, second)
			}
		}
	}
}

func TestCost_Nulls(t *testing.T) {
	require.ErrorIs(t, CheckCost([]byte("["+strings.Repeat("null,", 100_000)+"null]")), ErrOutOfProportion)
	require.NoError(t, CheckCost([]byte("{"+strings.Repeat(`"name":null,`, 100_000)+`"name":null}`)))
}
