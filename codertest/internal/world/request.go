package world

import (
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Call is what a route needs to know of a request.
type Call struct {
	// ID is what the path has in place of the pattern's {…}, decoded.
	ID string
	// Query and Body are the request's.
	Query url.Values
	Body  []byte
}

// unlimited is the limit of a request that names none.
const unlimited = -1

// page returns the part of items that limit and offset name.
func page[T any](items []T, limit, offset int) []T {
	items = items[min(offset, len(items)):]
	if limit == unlimited {
		return items
	}
	return items[:min(limit, len(items))]
}

// queryCount returns a query parameter that is a count, or absent without it.
func (c *Call) queryCount(name string, absent int) (int, error) {
	text := c.Query.Get(name)
	if text == "" {
		return absent, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0, invalid("The query parameter " + name + " must be a whole number of 0 or more")
	}
	return n, nil
}

// queryFlag returns a query parameter that is true or false, and false without
// it.
func (c *Call) queryFlag(name string) (bool, error) {
	text := c.Query.Get(name)
	if text == "" {
		return false, nil
	}
	on, err := strconv.ParseBool(text)
	if err != nil {
		return false, invalid("The query parameter " + name + " must be true or false")
	}
	return on, nil
}

// queryPage returns the query parameters limit and offset.
func (c *Call) queryPage() (limit, offset int, err error) {
	if limit, err = c.queryCount("limit", unlimited); err != nil {
		return 0, 0, err
	}
	offset, err = c.queryCount("offset", 0)
	return limit, offset, err
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

// required refuses blank values. It takes pairs of a member's name and value.
func required(pairs ...string) error {
	for pair := range slices.Chunk(pairs, 2) {
		if strings.TrimSpace(pair[1]) == "" {
			return invalid(pair[0] + " must be a non-empty string")
		}
	}
	return nil
}

// oneOf refuses a value that is not allowed. An empty one was not sent.
func oneOf(member, value string, allowed ...string) error {
	if value == "" || slices.Contains(allowed, value) {
		return nil
	}
	return invalid(member + " must be one of " + strings.Join(allowed, ", "))
}

// subset refuses a list with a value that is not allowed.
func subset(member string, values, allowed []string) error {
	for _, value := range values {
		if !slices.Contains(allowed, value) {
			return invalid(member + " has no value " + value)
		}
	}
	return nil
}

// value returns what was sent, or the zero value if it is nil.
func value[T any](sent *T) T {
	if sent == nil {
		return *new(T)
	}
	return *sent
}

// replace sets a value to what was sent, if it is not nil.
func replace[T any](value, sent *T) {
	if sent != nil {
		*value = *sent
	}
}
