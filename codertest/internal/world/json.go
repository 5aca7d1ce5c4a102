package world

import (
	"maps"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/agentuity/coder-go/internal/wire"
)

// wireFormat reads what any client may send. It writes the same value in the
// same bytes every time, a nil slice as [], and a json.Number as a number.
var wireFormat = json.JoinOptions(
	json.Deterministic(true),
	jsontext.AllowDuplicateNames(true),
	jsontext.AllowInvalidUTF8(true),
	wire.WritesNumbers,
)

// Encode returns the JSON of a value. It panics if there is none: the Hub's own
// values always have one, and others come from a test, which is wrong then.
func Encode(v any) []byte {
	data, err := json.Marshal(v, wireFormat)
	if err != nil {
		panic("codertest: " + err.Error())
	}
	return data
}

// freeze returns the JSON of a value of a test as it is now, so that the test
// may change the value later. It panics if there is none, or if it is nested so
// deeply that the Hub could not put it into a message.
func freeze(v any) jsontext.Value {
	text := Encode(v)
	if tooDeep(text) {
		panic("codertest: the value is nested too deeply")
	}
	return text
}

// membersOf returns the members of an object that the Hub has encoded itself.
func membersOf(object jsontext.Value) map[string]jsontext.Value {
	members := make(map[string]jsontext.Value)
	if err := json.Unmarshal(object, &members, wireFormat); err != nil {
		panic("codertest: " + err.Error())
	}
	return members
}

// override returns the members of the JSON of v, some of them replaced.
func override(v any, members map[string]jsontext.Value) map[string]jsontext.Value {
	object := membersOf(Encode(v))
	maps.Copy(object, members)
	return object
}

// maxDepth is how deeply nested JSON may be that comes in. Encode fails at
// 10000, and the Hub wraps what it passes on.
const maxDepth = 9900

// tooDeep expects valid JSON.
func tooDeep(text []byte) bool {
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// iso writes a time the way the Hub does: UTC, always three decimals.
func iso(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// millis reads a time that iso has written.
func millis(text string) int64 {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic("codertest: " + err.Error())
	}
	return at.UnixMilli()
}
