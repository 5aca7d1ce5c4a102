package codertest

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// wireFormat reads what clients of any make send, and writes the same answer
// in the same bytes every time. A nil slice travels as [].
var wireFormat = json.JoinOptions(
	json.Deterministic(true),
	jsontext.AllowDuplicateNames(true),
	jsontext.AllowInvalidUTF8(true),
)

// encode panics on what cannot be JSON: the Hub's own types always can, and
// values a test put in are its own to fix.
func encode(v any) []byte {
	data, err := json.Marshal(v, wireFormat)
	if err != nil {
		panic("codertest: " + err.Error())
	}
	return data
}

// membersOf takes an object apart that the Hub has encoded itself.
func membersOf(object jsontext.Value) map[string]jsontext.Value {
	members := make(map[string]jsontext.Value)
	if err := json.Unmarshal(object, &members, wireFormat); err != nil {
		panic("codertest: " + err.Error())
	}
	return members
}

// freeze takes a value a test puts in as it is now: a later change of it would
// be a race, and what cannot be JSON, or not be part of a longer message,
// should fail where it comes from.
func freeze(v any) jsontext.Value {
	text := encode(v)
	if tooDeep(text) {
		panic("codertest: the value is nested too deeply")
	}
	return text
}

// maxDepth is how deeply nested what comes in may be. What can be encoded ends
// at 10000, and the Hub wraps what it is told before it passes it on.
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

// decode reads a request body, which must be a JSON object, into v.
func decode(body []byte, v any) error {
	err := json.Unmarshal(body, v, wireFormat)
	if err == nil && tooDeep(body) {
		return invalid("The request body is nested too deeply")
	}
	if err == nil {
		if jsontext.Value(body).Kind() != '{' {
			return invalid("The request body must be a JSON object")
		}
		return nil
	}
	var semantic *json.SemanticError
	switch {
	case len(body) == 0:
		return invalid("The request body is missing")
	case errors.As(err, &semantic) && semantic.JSONPointer != "":
		return invalid("The request member " + string(semantic.JSONPointer) + " has the wrong type")
	case errors.As(err, &semantic):
		return invalid("The request body must be a JSON object")
	default:
		return invalid("The request body is not valid JSON")
	}
}

// oneOf checks a member that has an enumeration; the empty string is a member
// that was not sent.
func oneOf(member, value string, allowed ...string) error {
	if value == "" || slices.Contains(allowed, value) {
		return nil
	}
	return invalid(member + " must be one of " + strings.Join(allowed, ", "))
}

// iso writes a time the way the Hub does: UTC, always three decimals.
func iso(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// unlimited is the limit of a request that names none.
const unlimited = -1

// page cuts the part of items that limit and offset name.
func page[T any](items []T, limit, offset int) []T {
	items = items[min(offset, len(items)):]
	if limit == unlimited {
		return items
	}
	return items[:min(limit, len(items))]
}

// queryCount reads a query parameter that is a count, or says absent.
func (c *call) queryCount(name string, absent int) (int, error) {
	text := c.query.Get(name)
	if text == "" {
		return absent, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, invalid("The query parameter " + name + " must be a whole number of 0 or more")
	}
	return n, nil
}

// queryFlag reads a query parameter that is true or false; absent is false.
func (c *call) queryFlag(name string) (bool, error) {
	text := c.query.Get(name)
	if text == "" {
		return false, nil
	}
	on, err := strconv.ParseBool(text)
	if err != nil {
		return false, invalid("The query parameter " + name + " must be true or false")
	}
	return on, nil
}

// queryPage reads limit and offset.
func (c *call) queryPage() (limit, offset int, err error) {
	if limit, err = c.queryCount("limit", unlimited); err != nil {
		return 0, 0, err
	}
	offset, err = c.queryCount("offset", 0)
	return limit, offset, err
}

// override returns v as a JSON object some of whose members are replaced.
func override(v any, members map[string]jsontext.Value) map[string]jsontext.Value {
	object := make(map[string]jsontext.Value)
	if err := json.Unmarshal(encode(v), &object, wireFormat); err != nil {
		panic("codertest: " + err.Error())
	}
	maps.Copy(object, members)
	return object
}
