package coder

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/agentuity/coder-go/internal/flight"
	"github.com/agentuity/coder-go/internal/route"
	"github.com/agentuity/coder-go/internal/transport"
	"github.com/agentuity/coder-go/internal/wire"
)

// Version is the version of this package, as it stands in the User-Agent header.
const Version = "0.1.0"

// silence is how long a body may yield nothing before its connection counts as lost.
const silence = 60 * time.Second

// Client talks to one Hub. It is immutable and safe for concurrent use. Make it with [NewClient]
// and share it: it keeps connections open between calls.
type Client struct {
	transport *transport.Transport
	hub       *hubResolver
	ensures   *flight.Group[*sharedSession]
	// maxResponseSize bounds what is held of an answer at a time.
	maxResponseSize int64
	sockets         *http.Client // opens live connections
	// Functions, so that nothing that prints a client finds the key in it.
	header func(body bool) http.Header
	redact func(text string) string
	hello  func() []byte // the first message of a live connection; nil: none
	orgID  func() string
}

// NewClient returns a client. It reads the environment, makes no request and starts no goroutine.
//
// The Hub's URL is [WithURL], else AGENTUITY_CODER_URL, else discovered by the first call. The key
// is [WithAPIKey], else AGENTUITY_SDK_KEY, else AGENTUITY_CLI_KEY; with an explicit URL there may
// be none, as for a Hub on this machine.
//
// Errors: a [*ValidationError] for an option or variable that cannot be used, one that matches
// [ErrMissingAPIKey] if the Hub must be discovered and there is no key.
func NewClient(opts ...Option) (*Client, error) {
	var cfg config
	for _, opt := range opts {
		if opt != nil {
			opt(&cfg)
		}
	}
	cfg.apiKey = firstOf(cfg.apiKey, os.Getenv("AGENTUITY_SDK_KEY"), os.Getenv("AGENTUITY_CLI_KEY"))
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	hub, err := newHubResolver(&cfg)
	if err != nil {
		return nil, err
	}
	if cfg.logger == nil {
		cfg.logger = slog.New(slog.DiscardHandler)
	}
	if cfg.maxResponseSize == 0 {
		cfg.maxResponseSize = defaultMaxResponseSize
	}
	var httpClient http.Client
	if cfg.httpClient != nil {
		httpClient = *cfg.httpClient
	}
	if httpClient.Transport == nil {
		httpClient.Transport = transport.NewHTTPTransport()
	}
	return &Client{
		hub:             hub,
		ensures:         new(flight.Group[*sharedSession]),
		maxResponseSize: cfg.maxResponseSize,
		header:          headers(&cfg),
		redact:          redactor(cfg.apiKey),
		hello:           hello(cfg.apiKey, cfg.orgID),
		orgID:           func() string { return cfg.orgID },
		sockets: &http.Client{
			Transport: httpClient.Transport, Jar: httpClient.Jar,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		transport: transport.New(transport.Config{
			HTTPClient: httpClient,
			Policy:     transport.Policy(cfg.retry),
			Logger:     cfg.logger,
			MaxBody:    cfg.maxResponseSize,
			Silence:    silence,
		}),
	}, nil
}

// headers returns the function that makes the headers of a request.
func headers(cfg *config) func(body bool) http.Header {
	agent := fmt.Sprintf("agentuity-coder-go/%s (%s; %s/%s)", Version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	if cfg.userAgent != "" {
		agent = cfg.userAgent + " " + agent
	}
	type header struct {
		name  string
		value []string
	}
	fixed := []header{{"Accept", []string{"application/json"}}, {"User-Agent", []string{agent}}}
	switch key := cfg.apiKey; {
	case strings.HasPrefix(key, "agc_"):
		fixed = append(fixed, header{"X-Agentuity-Auth-Api-Key", []string{key}})
	case key != "":
		fixed = append(fixed, header{"Authorization", []string{"Bearer " + key}})
	}
	if cfg.orgID != "" {
		fixed = append(fixed, header{"X-Agentuity-Orgid", []string{cfg.orgID}})
	}
	contentType := []string{"application/json"}
	return func(body bool) http.Header {
		h := make(http.Header, len(fixed)+1)
		for _, f := range fixed {
			h[f.name] = f.value
		}
		if body {
			h["Content-Type"] = contentType
		}
		return h
	}
}

// hello returns the function that makes the message in which a live connection names its key.
func hello(key, orgID string) func() []byte {
	return func() []byte {
		if key == "" && orgID == "" {
			return nil
		}
		frame, _ := wire.Marshal(struct { // texts that can stand in a header have a JSON form
			Authorization string `json:"authorization,omitzero"`
			OrgID         string `json:"org_id,omitzero"`
		}{key, orgID})
		return frame
	}
}

// shortestKey is the length from which on a text is taken for a key, not for a word.
const shortestKey = 8

// redactor returns the function that takes the key out of what the Hub says, should it repeat it.
func redactor(key string) func(string) string {
	if len(key) < shortestKey {
		return func(text string) string { return text }
	}
	return strings.NewReplacer(key, "[API key]").Replace
}

// CloseIdleConnections closes the connections that no call uses at the moment. The client stays
// usable. If [WithHTTPClient] gave it a transport that others use too, theirs are closed as well.
func (c *Client) CloseIdleConnections() { c.transport.CloseIdleConnections() }

// Format prints the client without what it keeps secret, for every verb of package fmt.
func (c *Client) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.describe()) }

// LogValue is what package slog logs for a client.
func (c *Client) LogValue() slog.Value { return slog.StringValue(c.describe()) }

func (c *Client) describe() string {
	switch {
	case c == nil || c.hub == nil:
		return "coder.Client(nil)"
	case c.hub.fixed != "":
		return "coder.Client(" + c.hub.fixed + ")"
	default:
		return "coder.Client(discovered Hub)"
	}
}

// request is one call on the Hub, before it has a URL.
type request struct {
	op         string // the method of Client
	method     string
	path       string // escaped, below /api
	query      string
	in         any    // encoded as the body; nil: none
	repeatable bool   // the same effect once or twice
	attempts   int    // 0: as many as the retry policy says
	stream     bool   // the body is read while it arrives
	accept     string // the media type wanted; "": JSON
	err        error
}

// The methods build their requests with these. A route is a template: {names} stand for the ids.

func newRequest(op, method, template string, repeatable bool, ids []string) *request {
	r := &request{op: op, method: method, repeatable: repeatable}
	r.path, r.err = route.Path(template, ids...)
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

// create is a POST that must not be repeated once it may have arrived.
func create(op, template string, in any, ids ...string) *request {
	r := newRequest(op, http.MethodPost, template, false, ids)
	r.in = in
	return r
}

// act is a POST whose effect is the same once or twice.
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

// answer is what came of a request, with all that its errors name.
type answer struct {
	*request
	outcome *transport.Outcome
	redact  func(string) string // of what the Hub says
	err     error
}

// send makes the call. Whatever is wrong with the arguments is found before anything is sent.
func (c *Client) send(ctx context.Context, r *request) *answer {
	if ctx == nil {
		return &answer{request: r, err: invalid(r.op, "ctx", "must not be nil")}
	}
	if err := r.check(); err != nil {
		return &answer{request: r, err: err}
	}
	body, err := r.encode()
	if err != nil {
		return &answer{request: r, err: err}
	}
	base, err := c.hubURL(ctx, r.op)
	if err != nil {
		return &answer{request: r, err: err}
	}
	a := c.exchangeBody(ctx, r, base+"/api"+r.path+r.query, body)
	// A single attempt, as of those who poll, is not enough to give a URL up.
	if a.outcome.Err != nil && a.outcome.Sent == transport.SentNo && a.outcome.Ended == nil && r.attempts == 0 {
		c.hub.forget(base)
	}
	return a
}

// check returns what is wrong with the arguments.
func (r *request) check() error {
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
	case []byte: // net/http may still read it when the call has returned
		return bytes.Clone(in), nil
	case json.RawMessage:
		return bytes.Clone(in), nil
	}
	body, err := wire.Marshal(r.in)
	if err != nil {
		return nil, unencodable(r.op, err)
	}
	return body, nil
}

// unencodable says which member of a request has no JSON form, without repeating its value.
func unencodable(op string, err error) *ValidationError {
	v := &ValidationError{Method: op, Field: "the request", Reason: "has no JSON form", Err: err}
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
		if semantic.GoType != nil {
			v.Reason = "has no JSON form (" + semantic.GoType.String() + ")"
		}
	}
	if pointer != "" {
		v.Field = strings.Join(slices.Collect(pointer.Tokens()), ".")
	}
	return v
}

func (c *Client) exchange(ctx context.Context, r *request, url string) *answer {
	return c.exchangeBody(ctx, r, url, nil)
}

func (c *Client) exchangeBody(ctx context.Context, r *request, url string, body []byte) *answer {
	header := c.header(body != nil)
	if r.accept != "" {
		header["Accept"] = []string{r.accept}
	}
	outcome := c.transport.Do(ctx, &transport.Request{
		Method:     r.method,
		URL:        url,
		Path:       r.path,
		Header:     header,
		Body:       body,
		Repeatable: r.repeatable,
		Stream:     r.stream,
		Attempts:   r.attempts,
	})
	a := &answer{request: r, outcome: outcome, redact: c.redact}
	a.err = a.failure(ctx)
	return a
}

// failure is the error of an answer that is not 2xx, or of none.
func (a *answer) failure(ctx context.Context) error {
	o := a.outcome
	var err error
	switch {
	case o.Err == nil && o.Status/100 == 2:
		return nil
	case errors.Is(o.Err, transport.ErrTooLarge):
		return a.unusable(o.Err.Error(), errors.Join(ErrResponseTooLarge, o.Err))
	case o.Err == nil:
		err = a.apiError()
	default:
		err = o.Err
	}
	if o.Ended != nil {
		if errors.Is(err, o.Ended) {
			err = nil
		}
		err = contextError(ctx, o.Ended, err)
	} else if o.Err == nil {
		return err
	}
	return &RequestError{
		Operation: a.op, Method: a.method, Path: a.path, Attempts: o.Attempts,
		Sent: Sent(o.Sent), Err: err, outcomeUnknown: o.Unknown,
	}
}

// contextError is the error of a context that ended a call, with what the last attempt said.
func contextError(ctx context.Context, ended, last error) error {
	e := &endedError{ended: ended, last: last}
	if cause := context.Cause(ctx); !errors.Is(cause, ended) {
		e.cause = cause
	}
	return e
}

func (a *answer) apiError() *APIError {
	o := a.outcome
	text := []byte(a.redact(string(o.Text)))
	said := wire.DecodeError(text)
	e := &APIError{
		Operation:      a.op,
		StatusCode:     o.Status,
		Code:           ErrorCode(said.Code),
		Message:        said.Message,
		Method:         a.method,
		Path:           a.path,
		RequestID:      a.redact(o.Header.Get(transport.RequestIDHeader)),
		SessionID:      sessionOf(a.path),
		Details:        said.Details,
		UpgradeURL:     a.redact(o.Header.Get("X-Upgrade-Url")),
		Attempts:       o.Attempts,
		Body:           text,
		json:           transport.IsJSON(o.Header),
		region:         o.Header.Get(regionHeader),
		outcomeUnknown: o.Unknown,
	}
	for _, issue := range said.Issues {
		e.Issues = append(e.Issues, Issue(issue))
	}
	if e.Message == "" {
		e.Message = describe(e.StatusCode, e.json)
	}
	e.RetryAfter, _ = transport.RetryAfter(o.Status, o.Header, time.Now())
	return e
}

// unusable is the error of a 2xx answer. After a call that must not be repeated nobody can tell
// what it did.
func (a *answer) unusable(reason string, cause error) *ResponseError {
	o := a.outcome
	return &ResponseError{
		Operation: a.op, Method: a.method, Path: a.path, StatusCode: o.Status,
		RequestID: a.redact(o.Header.Get(transport.RequestIDHeader)), Reason: a.redact(reason), Err: cause,
		Body: []byte(a.redact(string(o.Body.Prefix(transport.ErrorBodyLimit)))), outcomeUnknown: !a.repeatable,
	}
}

// errRefused is the cause of a 2xx answer that says ok:false or success:false.
var errRefused = errors.New("the Hub refused")

// checked is an answer that can tell what makes it useless, above all the lack of what identifies
// it. The error's text is the reason, what it wraps the cause.
type checked[T any] interface {
	*T
	problem() error
}

// flaw is a reason with a cause.
type flaw struct {
	text  string
	cause error
}

func (f *flaw) Error() string { return f.text }
func (f *flaw) Unwrap() error { return f.cause }

// missingText reports a member that is missing.
func missingText(name, value string) error {
	if value == "" {
		return &flaw{text: fmt.Sprintf("the member %q is missing", name)}
	}
	return nil
}

// missingIn reports a list that is missing, or its first element without the text that identifies it.
func missingIn[T any](name string, list []T, member string, identity func(*T) string) error {
	if list == nil {
		return &flaw{text: fmt.Sprintf("the list %q is missing", name)}
	}
	for i := range list {
		if identity(&list[i]) == "" {
			return missingText(fmt.Sprintf("%s[%d].%s", name, i, member), "")
		}
	}
	return nil
}

// call makes a request and decodes the answer: every method that returns something is one call.
func call[T any, P checked[T]](ctx context.Context, c *Client, r *request) (*T, error) {
	return decode[T, P](c.send(ctx, r))
}

// decode turns a 2xx answer into a value. It never returns a value that lacks what identifies it.
func decode[T any, P checked[T]](a *answer) (*T, error) {
	if a.err != nil {
		return nil, a.err
	}
	defer a.outcome.Body.Release()
	out := new(T)
	if err := a.decodeInto(out); err != nil {
		return nil, err
	}
	if err := P(out).problem(); err != nil {
		return nil, a.unusable(err.Error(), errors.Unwrap(err))
	}
	return out, nil
}

func (a *answer) decodeInto(out any) error {
	body, whole := a.outcome.Body.Bytes()
	var err error
	if whole {
		switch text := bytes.TrimSpace(body); {
		case len(text) == 0:
			return a.unusable("it is empty", nil)
		case string(text) == "null":
			return a.unusable("it is null", nil)
		case wire.Refused(text):
			return a.unusable("it says that the request failed", errRefused)
		}
		err = wire.Unmarshal(body, out)
	} else {
		err = wire.UnmarshalRead(a.outcome.Body.Reader, out)
	}
	if err != nil {
		return a.unusable("it is not valid JSON", err)
	}
	return nil
}

// done makes a request whose answer says nothing but that it worked.
func (c *Client) done(ctx context.Context, r *request) error {
	a := c.send(ctx, r)
	if a.err != nil {
		if a.method == http.MethodDelete && a.repeatedOn(ErrNotFound) {
			return nil
		}
		return a.err
	}
	defer a.outcome.Body.Release()
	if body, whole := a.outcome.Body.Bytes(); whole && wire.Refused(body) {
		return a.unusable("it says that the request failed", errRefused)
	}
	return nil
}

// repeatedOn tells that a call failed with this error only because an earlier attempt, whose
// answer was lost, had succeeded. A 404 that is not the Hub's own proves nothing.
func (a *answer) repeatedOn(target error) bool {
	var api *APIError
	return a.outcome != nil && a.outcome.Doubtful && errors.As(a.err, &api) && api.json && errors.Is(api, target)
}

// Do makes a request that this package has no method for. The path is escaped and below /api, as
// "/hub/skills?x=1". A nil in means no body; []byte and [json.RawMessage] are sent as they are,
// anything else is encoded. A nil out ignores the answer, a [*json.RawMessage] gets it as it came,
// anything else is decoded into, by the rules of JSON v2 save that names match in any case. GET, HEAD, PUT, PATCH, DELETE and OPTIONS are repeated as calls
// that have the same effect twice, all other methods as creates (see the table of the package
// documentation). A POST without a body cannot be kept from being repeated by package net/http
// itself when an HTTP/2 connection ends: send at least {}.
//
// Errors: [*ValidationError] for a method, path or body that cannot be sent, [*ResponseError] for
// an answer that is not JSON when out is given, otherwise as every method.
func (c *Client) Do(ctx context.Context, method, path string, in, out any) error {
	r, err := rawRequest(method, path)
	if err != nil {
		return err
	}
	if v := reflect.ValueOf(out); out != nil && (v.Kind() != reflect.Pointer || v.IsNil()) {
		return invalid("Do", "out", "must be nil or a pointer")
	}
	r.in = in
	a := c.send(ctx, r)
	if a.err != nil {
		return a.err
	}
	defer a.outcome.Body.Release()
	if out == nil {
		return nil
	}
	return a.decodeRaw(out)
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
		if id, _ := url.PathUnescape(element); id == "." || id == ".." {
			return nil, invalid("Do", "path", `must not have "." or ".." in it`)
		}
	}
	r := &request{op: "Do", method: method, path: u.EscapedPath()}
	if u.RawQuery != "" {
		r.query = "?" + u.RawQuery
	}
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		r.repeatable = true
	}
	return r, nil
}

func notEscaped(r rune) bool { return r <= ' ' || r > '~' }

// decodeRaw is decodeInto for answers whose shape only the caller knows.
func (a *answer) decodeRaw(out any) error {
	if raw, ok := out.(*json.RawMessage); ok {
		text, err := io.ReadAll(a.outcome.Body.Reader())
		if err == nil && !wire.Valid(text) {
			return a.unusable("it is not valid JSON", nil)
		}
		*raw = text
		return err
	}
	if body, whole := a.outcome.Body.Bytes(); whole && string(bytes.TrimSpace(body)) == "null" {
		return a.unusable("it is null", nil)
	}
	err := wire.UnmarshalCallers(a.outcome.Body.Reader(), out)
	switch {
	case err == nil:
		return nil
	case errors.As(err, new(*jsontext.SyntacticError)) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF):
		return a.unusable("it is not valid JSON", err)
	default:
		return a.unusable("it does not fit what it is decoded into", err)
	}
}
