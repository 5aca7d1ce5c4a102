package coder

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/agentuity/coder-go/internal/route"
	"github.com/agentuity/coder-go/internal/wire"
)

// request is one call on the Hub, before it has a URL.
type request struct {
	op         string // the method of Client
	method     string
	route      string // the template of the path
	path       string // escaped, below /api
	sessionID  string // the session that the path names, "" if it names none
	query      string
	in         any // encoded as the body; nil: none
	idempotent bool
	attempts   int                                           // 0: as many as the retry policy says
	stream     bool                                          // the body is read while it arrives
	accept     string                                        // the media type wanted; "": JSON
	reduce     func(body io.Reader) (kept []byte, err error) // of a large answer, while it arrives; nil: nothing does
	err        error
}

// The methods of Client build their requests with the functions below. In a template {names} stand for
// ids, which are escaped.

func newRequest(op, method, template string, idempotent bool, ids []string) *request {
	r := &request{op: op, method: method, idempotent: idempotent}
	r.route, _, _ = strings.Cut(template, "?")
	r.path, r.err = route.Path(template, ids...)
	if strings.HasPrefix(template, "/hub/session/{") {
		r.sessionID = ids[0]
	}
	return r
}

func get(op, template string, ids ...string) *request {
	return newRequest(op, http.MethodGet, template, true, ids)
}

func patch(op, template string, in any, ids ...string) *request {
	r := newRequest(op, http.MethodPatch, template, true, ids)
	r.in = in
	return r
}

func del(op, template string, ids ...string) *request {
	return newRequest(op, http.MethodDelete, template, true, ids)
}

// create is a POST that is not idempotent: it is not sent again once it may have reached the Hub.
func create(op, template string, in any, ids ...string) *request {
	r := newRequest(op, http.MethodPost, template, false, ids)
	r.in = in
	return r
}

// act is an idempotent POST without a body.
func act(op, template string, ids ...string) *request {
	return newRequest(op, http.MethodPost, template, true, ids)
}

func (r *request) with(q *route.Query) *request {
	query, err := q.Encode()
	if r.err == nil {
		r.err = err
	}
	r.query = query
	return r
}

// require refuses a text that is empty or blank.
func (r *request) require(field, value string) *request {
	if r.err == nil && strings.TrimSpace(value) == "" {
		r.err = &route.Error{Field: field, Reason: "must not be empty"}
	}
	return r
}

// checkSessionID returns the *ValidationError of an id that no session can have.
func checkSessionID(op, sessionID string) error {
	return get(op, "/hub/session/{sessionID}", sessionID).check()
}

// check returns the *ValidationError of an invalid argument.
func (r *request) check() error {
	if r.err == nil { // which spares the variable below
		return nil
	}
	var bad *route.Error
	if errors.As(r.err, &bad) {
		return invalid(r.op, bad.Field, bad.Reason)
	}
	return r.err
}

func (r *request) encode() ([]byte, error) {
	switch in := r.in.(type) {
	case nil:
		return nil, nil
	case []byte: // copied: net/http may still read the body when the call has returned
		return bytes.Clone(in), nil
	case json.RawMessage:
		return bytes.Clone(in), nil
	}
	if field, reason := badExtra(r.in); field != "" {
		return nil, invalid(r.op, field, reason)
	}
	body, err := wire.Marshal(r.in)
	if err != nil {
		return nil, unencodable(r.op, err)
	}
	return body, nil
}

// badExtra finds a member in the Extra of a request that cannot be sent: it has the name of a field, be that set or not,
// or is not JSON. The field names the member, and is "" if there is none.
func badExtra(in any) (field, reason string) {
	v := reflect.Indirect(reflect.ValueOf(in))
	if v.Kind() != reflect.Struct {
		return "", ""
	}
	member := v.FieldByName("Extra")
	if !member.IsValid() || member.Type() != reflect.TypeFor[map[string]json.RawMessage]() || member.Len() == 0 {
		return "", ""
	}
	extra := member.Interface().(map[string]json.RawMessage)
	for _, f := range reflect.VisibleFields(v.Type()) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if _, twice := extra[name]; twice && name != "" {
			return "extra." + name, "has a field of its own, which must be used"
		}
	}
	for _, name := range slices.Sorted(maps.Keys(extra)) {
		if value := jsontext.Value(extra[name]); value != nil && !value.IsValid() {
			return "extra." + name, "is not valid UTF-8 or not valid JSON"
		}
	}
	return "", ""
}

// unencodable names the member of a request that cannot be encoded. It does not repeat the value.
func unencodable(op string, err error) *ValidationError {
	v := invalid(op, "the request", "has no JSON form")
	v.Err = err
	var (
		pointer   jsontext.Pointer
		semantic  *jsonv2.SemanticError
		syntactic *jsontext.SyntacticError
	)
	switch {
	case errors.As(err, &syntactic):
		pointer, v.Reason = syntactic.JSONPointer, "is not valid UTF-8 or not valid JSON"
	case errors.As(err, &semantic):
		pointer = semantic.JSONPointer
		switch semantic.GoType {
		case nil:
		case reflect.TypeFor[json.Number]():
			v.Reason = "is a json.Number that is not a number"
		default:
			v.Reason = "has no JSON form (" + semantic.GoType.String() + ")"
		}
	}
	if pointer != "" {
		v.Field = strings.Join(slices.Collect(pointer.Tokens()), ".")
	}
	return v
}

func rawRequest(method, path string) (*request, error) {
	switch {
	case method == "" || strings.ContainsFunc(method, func(r rune) bool { return r < 'A' || r > 'Z' }):
		return nil, invalid("Do", "method", "must be an HTTP method in capital letters")
	case method == http.MethodConnect || method == http.MethodTrace:
		return nil, invalid("Do", "method", "must be one that routes have")
	}
	u, err := url.Parse(path)
	switch {
	case err != nil || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//"):
		return nil, invalid("Do", "path", `must be an escaped path that starts with one "/"`)
	case u.Fragment != "" || strings.Contains(path, "#"):
		return nil, invalid("Do", "path", "must not have a fragment")
	case path != u.EscapedPath() && path != u.EscapedPath()+"?"+u.RawQuery || strings.ContainsFunc(u.RawQuery, notEscaped):
		return nil, invalid("Do", "path", "must be escaped")
	}
	for element := range strings.SplitSeq(u.EscapedPath(), "/") {
		if element != "" && route.Strays(element) {
			return nil, invalid("Do", "path", `must not have an element that is "." or "..", or with an escaped slash at its beginning or end`)
		}
	}
	r := &request{op: "Do", method: method, path: u.EscapedPath(), sessionID: sessionOf(u.EscapedPath())}
	if u.RawQuery != "" {
		r.query = "?" + u.RawQuery
	}
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		r.idempotent = true
	}
	return r, nil
}

func notEscaped(r rune) bool { return r <= ' ' || r > '~' }
