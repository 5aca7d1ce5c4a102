package coder

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/agentuity/coder-go/internal/quote"
	"github.com/agentuity/coder-go/internal/transport"
	"github.com/agentuity/coder-go/internal/wire"
)

// response is a request with its outcome: what the methods decode, and what their errors quote.
type response struct {
	*request
	ctx     context.Context // of the call
	outcome *transport.Outcome
	secret  quote.Redactor // for what the Hub says
	err     error
	// observed is told of the error that the method returns.
	observed *observedCall
	// named is the session that the answer names.
	named string
}

// over says what the method returns, and returns it.
func (a *response) over(err error) error {
	if a.observed != nil {
		result := CallResult{Err: err, SessionID: cmp.Or(a.sessionID, a.named)}
		if o := a.outcome; o != nil {
			result.StatusCode, result.Attempts, result.Failure = o.Status, o.Attempts, attemptFailures[o.Failure]
		}
		if result.Failure == "" && errors.As(err, new(*ResponseError)) {
			result.Failure = FailureUnusable
		}
		a.observed.over(result)
	}
	return err
}

// failure returns the error of an answer that is not 2xx, and of a request without an answer.
func (a *response) failure(ctx context.Context) error {
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
	e := a.requestError(Sent(o.Sent), err)
	e.Attempts, e.failure, e.outcomeUnknown = o.Attempts, o.Failure, o.Unknown
	return e
}

// contextError is the error of a call that its context ended. It keeps the error of the last attempt.
func contextError(ctx context.Context, ended, last error) error {
	e := &endedError{ended: ended, last: last}
	if cause := context.Cause(ctx); !errors.Is(cause, ended) {
		e.cause = cause
	}
	return e
}

// requestError is the error of a request that has no answer. The program, or a session id of the Hub's, may have
// put the key into the path.
func (a *response) requestError(sent Sent, err error) *RequestError {
	e := a.request.requestError(sent, err)
	e.Path = a.secret.Text(e.Path)
	return e
}

func (a *response) apiError() *APIError {
	o := a.outcome
	text := []byte(a.secret.Text(string(o.Text)))
	said := wire.DecodeError(text)
	e := &APIError{
		Operation:      a.op,
		StatusCode:     o.Status,
		Code:           ErrorCode(said.Code),
		Message:        said.Message,
		Method:         a.method,
		Path:           a.secret.Text(a.path),
		RequestID:      a.secret.Text(o.Header.Get(transport.RequestIDHeader)),
		SessionID:      a.secret.Text(a.sessionID),
		Details:        said.Details,
		UpgradeURL:     a.secret.Text(o.Header.Get("X-Upgrade-Url")),
		Attempts:       o.Attempts,
		Body:           text,
		json:           transport.IsJSON(o.Header),
		region:         a.secret.Text(o.Header.Get(regionHeader)),
		failure:        transport.Classify(o.Status, o.Header, nil),
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

// unusable is the error of a 2xx answer that cannot be used. The outcome of a call that is not
// idempotent is then unknown.
func (a *response) unusable(reason string, cause error) *ResponseError {
	o := a.outcome
	return &ResponseError{
		Operation: a.op, Method: a.method, Path: a.secret.Text(a.path), StatusCode: o.Status,
		RequestID: a.secret.Text(o.Header.Get(transport.RequestIDHeader)), Reason: a.secret.Text(reason), Err: a.secret.Error(cause),
		Body: []byte(a.secret.Text(string(o.Body.Prefix(transport.ErrorBodyLimit)))), outcomeUnknown: !a.idempotent,
	}
}

// errRefused is the cause of a 2xx answer that says ok:false or success:false.
var errRefused = errors.New("the Hub refused")

// missingText returns an error if the member with this name is empty.
func missingText(name, value string) error {
	if value == "" {
		return &reason{text: fmt.Sprintf("the member %q is missing", name)}
	}
	return nil
}

// missingIn returns an error if a list is missing, or an element of it lacks the member that
// identifies it.
func missingIn[T any](name string, list []T, member string, identity func(*T) string) error {
	if list == nil {
		return &reason{text: fmt.Sprintf("the list %q is missing", name)}
	}
	for i := range list {
		if identity(&list[i]) == "" {
			return missingText(fmt.Sprintf("%s[%d].%s", name, i, member), "")
		}
	}
	return nil
}

// call makes a request and decodes the answer. Every method that returns a value uses it.
func call[T any, P checked[T]](ctx context.Context, c *Client, r *request) (*T, error) {
	return decode[T, P](c.send(ctx, r))
}

// decode turns a 2xx answer into a value, or into an error if problem finds one.
func decode[T any, P checked[T]](a *response) (*T, error) {
	out, err := decodeUnobserved[T, P](a)
	return out, a.over(err)
}

func decodeUnobserved[T any, P checked[T]](a *response) (*T, error) {
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
	if named, ok := any(out).(sessionNamer); ok {
		a.named = named.namedSession()
		if err := a.otherSession(named.namedSession()); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// sessionNamer is implemented by the responses that name the session they are about.
type sessionNamer interface{ namedSession() string }

// otherSession returns an error if the answer names another session than the request: it was misrouted,
// cached for somebody else, or damaged.
func (a *response) otherSession(id string) error {
	if a.sessionID == "" || id == a.sessionID {
		return nil
	}
	return a.unusable(fmt.Sprintf("it is about session %q, and %q was asked for", quote.Line(id), quote.Line(a.sessionID)), nil)
}

func (a *response) decodeInto(out any) error {
	if err := a.outcome.Unreduced; err != nil {
		return a.unreduced(err)
	}
	_, large := out.(interface{ listsLargeStructs() })
	cost, err := a.checkCost(large)
	if err != nil {
		return err
	}
	body, whole := a.outcome.Body.Bytes()
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
		err = cost.UnmarshalRead(a.ctx, a.outcome.Body.Reader, out)
	}
	switch {
	case err == nil:
		return nil
	case a.ctx.Err() != nil:
		return a.ended()
	case errors.Is(err, wire.ErrNotAnObject):
		return a.unusable(fmt.Sprintf("%q is not an object", a.secret.Line(elementOf(err))), err)
	default:
		return a.unusable("it is not valid JSON", err)
	}
}

// unreduced is the error of a large answer that could not be decoded while it arrived.
func (a *response) unreduced(err error) error {
	switch {
	case err == wire.ErrNotAnObject: //nolint:errorlint // the whole of it
		return a.unusable("it is not an object", err)
	case errors.Is(err, wire.ErrNotAnObject):
		return a.unusable(innerText(err), wire.ErrNotAnObject)
	case errors.Is(err, wire.ErrOutOfProportion), errors.Is(err, wire.ErrTooLarge):
		return a.unusable(err.Error(), errors.Join(ErrResponseTooLarge, err))
	}
	return a.unusable("it is not valid JSON", err)
}

// elementOf names the element of a list that is no object, as "sessions.websocket[0]".
func elementOf(err error) string {
	var (
		name strings.Builder
		at   *jsonv2.SemanticError
	)
	if errors.As(err, &at) {
		for token := range at.JSONPointer.Tokens() {
			switch _, err := strconv.Atoi(token); {
			case err == nil:
				name.WriteString("[" + token + "]")
			case name.Len() > 0:
				name.WriteString("." + token)
			default:
				name.WriteString(token)
			}
		}
	}
	return name.String()
}

// checkCost refuses a body that would take too much memory decoded. Responses that are lists of large structs
// have a method listsLargeStructs. The cost is that of a body in more than one piece, and else nil.
func (a *response) checkCost(large bool) (*wire.Cost, error) {
	body, whole := a.outcome.Body.Bytes()
	cost := wire.Cost{Large: large}
	var err error
	if whole {
		err = cost.Of(body)
	} else {
		_, _ = io.Copy(&cost, a.outcome.Body.Reader()) // neither of them fails
		err = cost.Check()
	}
	if err != nil {
		return nil, a.unusable(err.Error(), errors.Join(ErrResponseTooLarge, err))
	}
	return &cost, nil
}

// ended is the error of an answer that was not decoded because the context has ended.
func (a *response) ended() error {
	e := a.requestError(SentYes, contextError(a.ctx, a.ctx.Err(), nil))
	e.Attempts, e.outcomeUnknown = a.outcome.Attempts, !a.idempotent
	return e
}

// done makes a request whose answer has no value.
func (c *Client) done(ctx context.Context, r *request) error {
	a := c.send(ctx, r)
	return a.over(a.done())
}

func (a *response) done() error {
	if a.err != nil {
		if a.method == http.MethodDelete && a.repeatedOn(ErrNotFound) {
			return nil
		}
		return a.err
	}
	defer a.outcome.Body.Release()
	body, whole := a.outcome.Body.Bytes()
	switch {
	case whole && len(bytes.TrimSpace(body)) == 0:
		return nil
	case !whole || !wire.Valid(body): // a sign-in page is no deletion
		return a.unusable("it is not valid JSON", nil)
	case wire.Refused(body):
		return a.unusable("it says that the request failed", errRefused)
	}
	var about struct {
		SessionID string `json:"sessionId"`
	}
	if a.sessionID != "" && wire.Unmarshal(body, &about) == nil && about.SessionID != "" {
		return a.otherSession(about.SessionID)
	}
	return nil
}

// repeatedOn reports whether the call failed with target only because an earlier attempt, whose answer
// was lost, had succeeded: the second DELETE of a session is answered 404. A 404 that is not JSON is
// not the Hub's, and proves nothing.
func (a *response) repeatedOn(target error) bool {
	var api *APIError
	return a.outcome != nil && a.outcome.Doubtful && errors.As(a.err, &api) && api.json && errors.Is(api, target)
}

// decodeRaw decodes the answer of Do, whose type is the caller's.
func (a *response) decodeRaw(out any) error {
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
	if _, err := a.checkCost(false); err != nil {
		return err
	}
	err := wire.UnmarshalCallers(a.ctx, a.outcome.Body.Reader, out)
	switch {
	case err == nil:
		return nil
	case a.ctx.Err() != nil:
		return a.ended()
	case errors.As(err, new(*jsontext.SyntacticError)) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF):
		return a.unusable("it is not valid JSON", err)
	default:
		return a.unusable("it does not fit what it is decoded into", err)
	}
}
