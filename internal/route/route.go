// Package route builds the escaped paths and queries of the Hub's routes. Nothing else does.
package route

import (
	"fmt"
	"strconv"
	"strings"
)

// Error says which parameter of a path or query cannot be used, and why.
type Error struct{ Field, Reason string }

func (e *Error) Error() string { return e.Field + " " + e.Reason }

// Path replaces the {names} of a template, in order, by the given ids, each escaped as one path
// element. An id that is empty, or that climbs, would be another route, and is an error.
func Path(template string, ids ...string) (string, error) {
	if strings.Count(template, "{") != len(ids) {
		return "", fmt.Errorf("route %s needs %d ids, got %d", template, strings.Count(template, "{"), len(ids))
	}
	var b strings.Builder
	b.Grow(len(template) + 32*len(ids))
	for _, id := range ids {
		before, rest, _ := strings.Cut(template, "{")
		name, after, _ := strings.Cut(rest, "}")
		switch {
		case id == "":
			return "", &Error{name, "must not be empty"}
		case Strays(id):
			return "", &Error{name, `must not have an empty element, "." or ".." between slashes`}
		}
		b.WriteString(before)
		escape(&b, id, component, "%20")
		template = after
	}
	b.WriteString(template)
	return b.String(), nil
}

// Strays reports whether an id has an element between slashes or backslashes that is empty, "." or "..".
// Escaping does not help: gateways that decode %2F in a path then resolve such elements and merge slashes, so
// that "/x" reaches x. Some decode twice, and some cut an element at a semicolon.
func Strays(id string) bool {
	if !strings.ContainsAny(id, `./\%;`) {
		return id == ""
	}
	for range 3 {
		for element := range strings.SplitSeq(strings.ReplaceAll(id, `\`, "/"), "/") {
			switch element, _, _ = strings.Cut(element, ";"); element {
			case "", ".", "..":
				return true
			}
		}
		decoded := unescape(id)
		if decoded == id {
			return false
		}
		id = decoded
	}
	return false
}

// unescape decodes every %XX, and leaves a "%" alone that begins none, as gateways do: an id must not pass
// because one escape of it is wrong.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if c, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(c))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// What stays as it is in a path element, and in a form-encoded query.
const (
	component = "-_.!~*'()"
	form      = "-_.*"
)

// Query collects query parameters in the order they are added. The zero Query is empty.
type Query struct {
	b   strings.Builder
	err error
}

// String adds a parameter unless the value is empty.
func (q *Query) String(name, value string) *Query {
	if value != "" {
		q.add(name, value, form, "+")
	}
	return q
}

// Bool adds a parameter if the value is true.
func (q *Query) Bool(name string, value bool) *Query {
	if value {
		q.add(name, "true", form, "+")
	}
	return q
}

// Int adds a parameter unless the value is 0. A negative value is an error.
func (q *Query) Int(name string, value int) *Query {
	if value < 0 && q.err == nil {
		q.err = &Error{name, "must not be negative"}
	}
	if value != 0 {
		q.add(name, strconv.Itoa(value), form, "+")
	}
	return q
}

func (q *Query) add(name, value, unreserved, blank string) {
	if q.b.Len() == 0 {
		q.b.WriteByte('?')
	} else {
		q.b.WriteByte('&')
	}
	q.b.WriteString(name)
	q.b.WriteByte('=')
	escape(&q.b, value, unreserved, blank)
}

// Encode returns the query with its question mark, or "" if nothing was added.
func (q *Query) Encode() (string, error) { return q.b.String(), q.err }

// escape percent-encodes every byte but letters, digits and those of unreserved; a blank has its
// own form.
func escape(b *strings.Builder, s, unreserved, blank string) {
	const hex = "0123456789ABCDEF"
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9',
			strings.IndexByte(unreserved, c) >= 0:
			b.WriteByte(c)
		case c == ' ':
			b.WriteString(blank)
		default:
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
}
