package coder

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/agentuity/coder-go/internal/quote"
	"github.com/agentuity/coder-go/internal/transport"
)

// Sentinel errors: match them with [errors.Is]. The types [APIError], [RequestError], [ResponseError] and
// [ValidationError] carry the details.
var (
	// ErrSessionNotFound: there is no such session. The error also matches ErrNotFound.
	ErrSessionNotFound = errors.New("coder: session not found")
	// ErrSessionArchived: the operation is impossible, since the session is archived or shut down.
	ErrSessionArchived = errors.New("coder: session archived")
	// ErrSessionConflict: the state of the session does not allow the operation. The error also matches
	// ErrConflict.
	ErrSessionConflict = errors.New("coder: session conflict")
	// ErrInvalidRequest: the Hub found the request malformed or impossible (status 400).
	ErrInvalidRequest = errors.New("coder: invalid request")
	// ErrUnauthorized: the API key is missing or wrong (status 401).
	ErrUnauthorized = errors.New("coder: unauthorized")
	// ErrPaymentRequired: the plan does not cover the request (status 402). See [APIError.UpgradeURL].
	ErrPaymentRequired = errors.New("coder: payment required")
	// ErrForbidden: the key may not do this (status 403).
	ErrForbidden = errors.New("coder: forbidden")
	// ErrNotFound: what was asked for does not exist (status 404).
	ErrNotFound = errors.New("coder: not found")
	// ErrConflict: the object exists already or is in use (status 409).
	ErrConflict = errors.New("coder: conflict")
	// ErrMisdirected: discovery asked the wrong region (status 421). See [WithRegion].
	ErrMisdirected = errors.New("coder: misdirected request")
	// ErrUpgradeRequired: the Hub no longer serves this version of the client (status 426).
	ErrUpgradeRequired = errors.New("coder: upgrade required")
	// ErrRateLimited: too many requests (status 429). See [APIError.RetryAfter].
	ErrRateLimited = errors.New("coder: rate limited")
	// ErrUnavailable: the Hub, or a gateway in front of it, is unavailable for now (status 502 to 504).
	ErrUnavailable = errors.New("coder: hub unavailable")
	// ErrMissingAPIKey: no API key was given, and without one the Hub cannot be discovered.
	ErrMissingAPIKey = errors.New("coder: missing API key")
	// ErrResumeDeclined: the response to a resume was a 2xx, but says that the Hub will not wake the session.
	ErrResumeDeclined = errors.New("coder: resume declined")
	// ErrOutcomeUnknown: a call that must not be repeated has, or may have, reached the Hub, and got no
	// usable response. The call may have taken effect. Look before you call again.
	ErrOutcomeUnknown = errors.New("coder: outcome unknown")
	// ErrResponseTooLarge: the response was larger than [WithMaxResponseSize] allows.
	ErrResponseTooLarge = errors.New("coder: response too large")
	// ErrReconnectsExceeded: a live connection was lost, and too many attempts to reconnect failed.
	ErrReconnectsExceeded = errors.New("coder: too many attempts to reconnect")
	// ErrNotAttachable: the session has no runtime that a controller could attach to.
	ErrNotAttachable = errors.New("coder: session not attachable")
	// ErrAgentFailed: the agent failed at a prompt: its model failed, or the agent left the session. See
	// [AgentError].
	ErrAgentFailed = errors.New("coder: the agent failed")
	// ErrAgentAborted: somebody aborted the agent while it worked on a prompt. See [AgentError].
	ErrAgentAborted = errors.New("coder: the agent was aborted")
	// ErrAgentStalled: nothing came from the agent for too long, or no agent worked on a prompt. See [AgentError].
	ErrAgentStalled = errors.New("coder: the agent stalled")
	// ErrNeedsInput: the agent has asked something and waits for the answer. See [AgentError].
	ErrNeedsInput = errors.New("coder: the agent needs input")
	// ErrLimitExceeded: the agent went beyond one of the [Limits] of Ask, and was aborted. See [AgentError]. From RunSession
	// it means that the agent was aborted but goes on.
	ErrLimitExceeded = errors.New("coder: limit exceeded")
	// ErrPromptDropped: the agent lost a prompt, as it does if two prompts arrive within milliseconds. The prompt had
	// no effect. See [AgentError].
	ErrPromptDropped = errors.New("coder: the agent dropped the prompt")
	// ErrForeignCursor: a [Cursor] belongs to another session or Hub.
	ErrForeignCursor = errors.New("coder: foreign cursor")
	// ErrHistoryGap: the history of a session no longer holds the events after a [Cursor]. See
	// [HistoryGapError].
	ErrHistoryGap = errors.New("coder: gap in the history")
	// ErrMessagesInUse: somebody else ranges over the messages of the [HubConn].
	ErrMessagesInUse = errors.New("coder: messages in use")
	// ErrConnClosed: the [HubConn] was closed by the program.
	ErrConnClosed = errors.New("coder: connection closed")
)

// ErrorCode is the machine-readable code of an error response. Unknown codes are kept as they came.
type ErrorCode string

// The codes the Hub documents.
const (
	CodeSessionNotFound ErrorCode = "CODER_SESSION_NOT_FOUND"
	CodeSessionArchived ErrorCode = "CODER_SESSION_ARCHIVED"
	CodeSessionConflict ErrorCode = "CODER_SESSION_CONFLICT"
	CodeInvalidRequest  ErrorCode = "CODER_INVALID_REQUEST"
	CodeUpgradeRequired ErrorCode = "UPGRADE_REQUIRED"
)

// byCode and byStatus map the code and the status of an APIError to the sentinels that it matches. A
// code also matches the sentinel of the status that belongs to it.
var (
	byCode = map[ErrorCode][]error{
		CodeSessionNotFound: {ErrSessionNotFound, ErrNotFound},
		CodeSessionArchived: {ErrSessionArchived},
		CodeSessionConflict: {ErrSessionConflict, ErrConflict},
		CodeInvalidRequest:  {ErrInvalidRequest},
		CodeUpgradeRequired: {ErrUpgradeRequired},
	}
	byStatus = map[int]error{
		http.StatusBadRequest:         ErrInvalidRequest,
		http.StatusUnauthorized:       ErrUnauthorized,
		http.StatusPaymentRequired:    ErrPaymentRequired,
		http.StatusForbidden:          ErrForbidden,
		http.StatusNotFound:           ErrNotFound,
		http.StatusConflict:           ErrConflict,
		http.StatusMisdirectedRequest: ErrMisdirected,
		http.StatusUpgradeRequired:    ErrUpgradeRequired,
		http.StatusTooManyRequests:    ErrRateLimited,
		http.StatusBadGateway:         ErrUnavailable,
		http.StatusServiceUnavailable: ErrUnavailable,
		http.StatusGatewayTimeout:     ErrUnavailable,
	}
)

// Issue is one finding of the Hub's request validator.
type Issue struct {
	// Code names the kind of finding, such as "invalid_type".
	Code string
	// Path leads to the member: names (string) and indexes (float64).
	Path []any
	// Message is for people.
	Message string
	// Input is the value that was refused, if the Hub says. Whole numbers that a float64 cannot hold are
	// json.Number.
	Input any
}

// APIError is a response of the Hub, or of a gateway in front of it, with a status other than 2xx.
type APIError struct {
	// Operation is the method of [Client] that was called.
	Operation string
	// StatusCode is the HTTP status.
	StatusCode int
	// Code is the code of the error body, empty if there was none.
	Code ErrorCode
	// Message is the text of the error body, or a description of the status if there was none.
	Message string
	// Method and Path are the HTTP method and the escaped path below /api, without query.
	Method, Path string
	// RequestID is the trace id of the request (header x-session-id), for support. It has nothing
	// to do with coder sessions.
	RequestID string
	// SessionID is the session the path names, if it names one.
	SessionID string
	// Details is the member "details" of the error body. Whole numbers that a float64 cannot hold are
	// json.Number.
	Details map[string]any
	// Issues are the findings of the Hub's validator.
	Issues []Issue
	// UpgradeURL is where a plan can be chosen (status 402).
	UpgradeURL string
	// RetryAfter is how long the Hub asked to wait, 0 if it did not.
	RetryAfter time.Duration
	// Attempts counts the requests of the call, the last one included.
	Attempts int
	// Body is the beginning of the response's body, at most 64 KiB. It is never part of an error text.
	Body []byte `json:"-"`

	json           bool   // the body was announced as JSON
	region         string // of discovery, where a 421 points
	failure        transport.Failure
	outcomeUnknown bool
}

// Error says what failed, why, and what to do about it where that is known.
func (e *APIError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "coder: %s: %s (%s %s", e.Operation, e.summary(), e.Method, quote.Line(e.Path))
	if e.Code != "" {
		b.WriteString("; " + quote.Line(string(e.Code)))
	}
	if e.RequestID != "" {
		b.WriteString("; request " + quote.Line(e.RequestID))
	}
	if e.Attempts > 1 {
		fmt.Fprintf(&b, "; %d attempts", e.Attempts)
	}
	b.WriteString(")")
	if advice := e.advice(); advice != "" {
		b.WriteString("; " + advice)
	}
	if e.outcomeUnknown {
		b.WriteString("; it may have taken effect")
	}
	return b.String()
}

func (e *APIError) summary() string {
	text := strconv.Itoa(e.StatusCode)
	if status := http.StatusText(e.StatusCode); status != "" {
		text += " " + status
	}
	if e.Message != "" {
		text += ": " + quote.Line(e.Message)
	}
	return text
}

func (e *APIError) inner() string {
	text := e.summary()
	if e.RequestID != "" {
		text += " (request " + quote.Line(e.RequestID) + ")"
	}
	if advice := e.advice(); advice != "" {
		text += "; " + advice
	}
	return text
}

func (e *APIError) advice() string {
	switch {
	case e.StatusCode == http.StatusUnauthorized:
		return "check the key in AGENTUITY_SDK_KEY, WithAPIKey or WithCredential"
	case e.StatusCode == http.StatusProxyAuthRequired:
		return "check the user and the password in HTTP_PROXY, or of the transport's Proxy"
	case e.StatusCode == http.StatusConflict && strings.HasPrefix(e.Path, "/hub/github/"):
		return "the caller has no login with GitHub at this Hub: connect GitHub in the Agentuity app first"
	case e.StatusCode == http.StatusPaymentRequired && e.UpgradeURL != "":
		return "see " + quote.Line(e.UpgradeURL)
	case e.StatusCode == http.StatusNotFound && !e.json:
		return "the answer is not the Hub's: check the URL in WithURL or AGENTUITY_CODER_URL"
	case e.RetryAfter > 0:
		return "try again after " + e.RetryAfter.Round(time.Second).String()
	}
	return ""
}

// Is matches the sentinels of the code and of the status.
func (e *APIError) Is(target error) bool {
	for _, sentinel := range byCode[e.Code] {
		if target == sentinel {
			return true
		}
	}
	switch target {
	case ErrOutcomeUnknown:
		return e.outcomeUnknown
	case ErrSessionNotFound:
		return e.StatusCode == http.StatusNotFound && e.json && e.SessionID != ""
	case ErrSessionArchived:
		return e.StatusCode == http.StatusGone && e.SessionID != ""
	}
	sentinel, ok := byStatus[e.StatusCode]
	return ok && target == sentinel
}

// LogValue keeps the body out of logs.
func (e *APIError) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("operation", e.Operation),
		slog.Int("status", e.StatusCode),
		slog.String("code", quote.Line(string(e.Code))),
		slog.String("message", quote.Line(e.Message)),
		slog.String("method", e.Method),
		slog.String("path", quote.Line(e.Path)),
		slog.String("request_id", quote.Line(e.RequestID)),
		slog.Int("attempts", e.Attempts),
	)
}

// Sent says whether a request that failed had left for the Hub.
type Sent int

const (
	// SentUnknown means that it may have been sent.
	SentUnknown Sent = iota
	// SentNo means that it certainly had no effect: it was not sent, or the Hub refused it.
	SentNo
	// SentYes means that it was sent, and may have had an effect.
	SentYes
)

// String returns "unknown", "no" or "yes".
func (s Sent) String() string {
	switch s {
	case SentNo:
		return "no"
	case SentYes:
		return "yes"
	}
	return "unknown"
}

// RequestError is a call that got no response: the network failed, or the context ended. [errors.As] finds
// the underlying error, for example a [*net.OpError]. If the context ended the call, the error matches
// [context.Canceled] or [context.DeadlineExceeded] and, where an earlier attempt failed, that attempt's error
// too.
type RequestError struct {
	// Operation is the method of [Client] that was called.
	Operation string
	// Method and Path are the HTTP method and the escaped path below /api, without query.
	Method, Path string
	// Attempts counts the requests of the call, those that could not be sent included.
	Attempts int
	// Sent says whether the request reached the Hub.
	Sent Sent
	// Err is the cause.
	Err error

	failure        transport.Failure
	outcomeUnknown bool
}

// requestError is the error of a request that has no answer.
func (r *request) requestError(sent Sent, err error) *RequestError {
	return &RequestError{Operation: r.op, Method: r.method, Path: r.path, Sent: sent, Err: err, failure: failureOf(err)}
}

// Error says what failed and why.
func (e *RequestError) Error() string {
	text := fmt.Sprintf("coder: %s: %s (%s %s", e.Operation, e.inner(), e.Method, quote.Line(e.Path))
	if e.Attempts > 1 {
		text += fmt.Sprintf("; %d attempts", e.Attempts)
	}
	text += ")"
	if e.outcomeUnknown {
		text += "; it may have taken effect"
	}
	return text
}

func (e *RequestError) inner() string { return innerText(e.Err) }

// Unwrap returns the cause.
func (e *RequestError) Unwrap() error { return e.Err }

// Is matches ErrOutcomeUnknown if the call may have taken effect.
func (e *RequestError) Is(target error) bool { return target == ErrOutcomeUnknown && e.outcomeUnknown }

// ResponseError is a 2xx response that cannot be used: it is not JSON, lacks a required member, is too large,
// or says that the request failed.
type ResponseError struct {
	// Operation is the method of [Client] that was called.
	Operation string
	// Method and Path are the HTTP method and the escaped path below /api, without query.
	Method, Path string
	// StatusCode is the HTTP status.
	StatusCode int
	// RequestID is the trace id of the request (header x-session-id), for support.
	RequestID string
	// Reason says what is wrong or missing.
	Reason string
	// Body is the beginning of the response's body, at most 64 KiB. It is never part of an error text.
	Body []byte `json:"-"`
	// Err is the cause, if there is one.
	Err error

	outcomeUnknown bool
}

// Error says what is wrong with the response.
func (e *ResponseError) Error() string {
	text := fmt.Sprintf("coder: %s: %s (%s %s: %d", e.Operation, e.inner(), e.Method, quote.Line(e.Path), e.StatusCode)
	if e.RequestID != "" {
		text += "; request " + quote.Line(e.RequestID)
	}
	text += ")"
	if e.outcomeUnknown {
		text += "; it may have taken effect"
	}
	return text
}

func (e *ResponseError) inner() string { return "unusable answer: " + e.Reason }

// Unwrap returns the cause.
func (e *ResponseError) Unwrap() error { return e.Err }

// Is matches ErrOutcomeUnknown if the call may have taken effect.
func (e *ResponseError) Is(target error) bool {
	return target == ErrOutcomeUnknown && e.outcomeUnknown
}

// ValidationError is an invalid argument, option or environment variable. Nothing was sent.
type ValidationError struct {
	// Operation is the function or method of this package that was called.
	Operation string
	// Field is the parameter, member, option or environment variable at fault.
	Field string
	// Reason completes the sentence that the field begins. It never repeats a secret.
	Reason string
	// Err is the cause, if there is one.
	Err error
}

// Error names the method and the field.
func (e *ValidationError) Error() string {
	return fmt.Sprintf("coder: %s: %s %s", e.Operation, quote.Line(e.Field), e.Reason)
}

// Unwrap returns the cause.
func (e *ValidationError) Unwrap() error { return e.Err }

// endedError says that the context ended, why, and how the last attempt failed.
type endedError struct {
	ended, cause, last error
}

func (e *endedError) Error() string {
	text := e.ended.Error()
	if e.cause != nil {
		text += ": " + e.cause.Error()
	}
	if e.last != nil {
		text += "; before that: " + innerText(e.last)
	}
	return text
}

func (e *endedError) Unwrap() []error {
	errs := []error{e.ended}
	if e.cause != nil {
		errs = append(errs, e.cause)
	}
	if e.last != nil {
		errs = append(errs, e.last)
	}
	return errs
}

// innerText is the text of an error inside another one, which already names the package, the operation
// and the route. Text of other packages is bounded: net/http quotes what it cannot read.
func innerText(err error) string {
	switch e := err.(type) { //nolint:errorlint // it is about this error, not about those below it
	case interface{ inner() string }:
		return e.inner()
	case *endedError, *reason:
		return e.Error()
	}
	return quote.Line(err.Error())
}

// failureOf returns the verdict on what ended a call, as far as the error tells: that on the Hub's
// answer, else that on the attempt that had none.
func failureOf(err error) transport.Failure {
	var (
		api     *APIError
		request *RequestError
	)
	switch {
	case err == nil:
		return transport.None
	case errors.As(err, &api):
		if api.failure == transport.None { // made by somebody else
			return transport.Classify(api.StatusCode, nil, nil)
		}
		return api.failure
	case errors.As(err, new(*ResponseError)):
		return transport.Unusable
	case errors.As(err, new(*credentialError)):
		return transport.NoCredential
	case errors.As(err, new(*ValidationError)):
		return transport.Rejected
	case errors.As(err, &request):
		return request.failure
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return transport.Ended
	default:
		return transport.Classify(0, nil, err)
	}
}

// IsTransient reports whether the same call may be made again safely, and may then work: the Hub or a gateway was
// unavailable, the connection failed, there were too many requests, or the agent dropped the prompt. If a [HubConn]
// has ended, the call to make again is the one that connects. The client has already repeated requests, as the retry
// table says: wait before you call again.
//
// It is false for everything that matches [ErrOutcomeUnknown], since the call may have taken effect; errors of
// [Client.EnsureSession] and [Client.RunSession] are an exception, since these look before they create. It is also false for
// the end of the call's context, and for errors of other packages. The package documentation has a table.
func IsTransient(err error) bool {
	var (
		api      *APIError
		request  *RequestError
		response *ResponseError
		conn     *HubConnError
		op       string
		failure  transport.Failure
	)
	switch {
	case errors.As(err, new(*endedError)):
		return false
	case errors.Is(err, ErrPromptDropped):
		return true
	case errors.As(err, &conn):
		failure = conn.failure
	case errors.As(err, &api):
		failure, op = failureOf(err), api.Operation
	case errors.As(err, &response):
		failure, op = failureOf(err), response.Operation
	case errors.As(err, &request):
		failure, op = failureOf(err), request.Operation
	}
	if errors.Is(err, ErrOutcomeUnknown) {
		return op == ensureOp || errors.As(err, new(*RunError))
	}
	return failure.Transient()
}

// sessionOf returns the session that a path below /api names.
func sessionOf(path string) string {
	rest, ok := strings.CutPrefix(path, "/hub/session/")
	if !ok {
		return ""
	}
	element, _, _ := strings.Cut(rest, "/")
	if element == "builder" {
		return ""
	}
	id, err := url.PathUnescape(element)
	if err != nil {
		return ""
	}
	return id
}

// describe is the message for an answer whose body has none.
func describe(status int, json bool) string {
	switch status {
	case http.StatusBadRequest:
		return "the request is invalid"
	case http.StatusUnauthorized:
		return "authentication failed"
	case http.StatusPaymentRequired:
		return "a paid plan is needed"
	case http.StatusForbidden:
		return "this is not permitted"
	case http.StatusNotFound:
		if json {
			return "there is no such resource"
		}
		return "there is no such endpoint"
	case http.StatusConflict:
		return "it exists already or is in use"
	case http.StatusProxyAuthRequired:
		return "a proxy wants credentials"
	case http.StatusRequestEntityTooLarge:
		return "the request is larger than the Hub, or a gateway before it, takes"
	case http.StatusUpgradeRequired:
		return "the Hub needs a newer version of this client"
	case http.StatusTooManyRequests:
		return "too many requests"
	case http.StatusInternalServerError:
		return "the Hub failed"
	case http.StatusBadGateway, http.StatusServiceUnavailable:
		return "the Hub is unavailable for now"
	case http.StatusGatewayTimeout:
		return "the Hub did not answer in time"
	}
	return "the status is unexpected"
}

func invalid(op, field, reason string) *ValidationError {
	return &ValidationError{Operation: op, Field: field, Reason: reason}
}

// noContext is the error of a call that was given nil for its context.
func noContext(op string) error { return invalid(op, "ctx", "must not be nil") }

// checked is implemented by every response type. problem reports why valid JSON is unusable, usually
// because its ID is missing. The text of that error is the Reason of a ResponseError, and what it wraps
// its Err.
type checked[T any] interface {
	*T
	problem() error
}

// reason is why an answer cannot be used, with its cause.
type reason struct {
	text  string
	cause error
}

func (f *reason) Error() string { return f.text }

func (f *reason) Unwrap() error { return f.cause }
