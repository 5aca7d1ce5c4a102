package otelcoder

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"

	"github.com/agentuity/coder-go"
)

// The attributes that no convention has a name for.
const (
	operationKey      = attribute.Key("agentuity.coder.operation")            // the method that was called, such as "EnsureSession"
	outcomeUnknownKey = attribute.Key("agentuity.coder.outcome_unknown")      // true: nobody knows whether it had an effect
	outcomeKey        = attribute.Key("agentuity.coder.session.outcome")      // what RunSession came to, such as "turn_ended"
	unfinishedKey     = attribute.Key("agentuity.coder.unfinished")           // true: the tool or task was at work when the call was over
	attemptKey        = attribute.Key("agentuity.coder.attempt.number")       // counts from 1
	waitKey           = attribute.Key("agentuity.coder.attempt.wait")         // seconds until the next attempt
	failureKey        = attribute.Key("agentuity.coder.attempt.failure")      // a coder.AttemptFailure
	changeKey         = attribute.Key("agentuity.coder.connection.change")    // a coder.ConnectionChange
	eventKey          = attribute.Key("agentuity.coder.agent.event")          // the name of an event of the agent
	scopeKey          = attribute.Key("agentuity.coder.scope")                // "program" or "inner"
	downKey           = attribute.Key("agentuity.coder.connection.down_time") // seconds
)

// provider is who runs the agent; whose model it uses is in gen_ai.response.model.
const provider = "agentuity"

// other stands for a name that is one too many.
const other = "_OTHER"

// sentinels are the errors that have a type of their own, in the order in which they count.
var sentinels = []struct {
	err  error
	name string
}{
	{context.Canceled, "canceled"},
	{context.DeadlineExceeded, "timeout"},
	{coder.ErrLimitExceeded, "limit_exceeded"},
	{coder.ErrAgentFailed, "agent_failed"},
	{coder.ErrAgentAborted, "agent_aborted"},
	{coder.ErrAgentStalled, "agent_stalled"},
	{coder.ErrNeedsInput, "needs_input"},
	{coder.ErrPromptDropped, "prompt_dropped"},
	{coder.ErrReconnectsExceeded, "reconnects_exceeded"},
	{coder.ErrConnClosed, "connection_closed"},
	{coder.ErrNotAttachable, "not_attachable"},
	{coder.ErrMessagesInUse, "messages_in_use"},
	{coder.ErrHistoryGap, "history_gap"},
	{coder.ErrForeignCursor, "foreign_cursor"},
	{coder.ErrResumeDeclined, "resume_declined"},
	{coder.ErrOutcomeUnknown, "outcome_unknown"},
}

// errorType is the class of an error, "" for nil.
func errorType(err error) string {
	if err == nil {
		return ""
	}
	for _, s := range sentinels {
		if errors.Is(err, s.err) {
			return s.name
		}
	}
	var (
		api        *coder.APIError
		conn       *coder.HubConnError
		validation *coder.ValidationError
		response   *coder.ResponseError
		request    *coder.RequestError
	)
	switch {
	case errors.As(err, &api):
		return strconv.Itoa(api.StatusCode)
	case errors.As(err, &conn) && conn.Code != "":
		return string(conn.Code)
	case errors.As(err, &validation):
		return "invalid_argument"
	case errors.As(err, &response):
		return string(coder.FailureUnusable)
	case errors.As(err, &request) && request.Sent == coder.SentNo:
		return string(coder.FailureNeverSent)
	case errors.As(err, &request):
		return string(coder.FailureLost)
	}
	return other
}

// attemptErrorType is the class of the failure of an attempt, "" for none. It is the status if there was one, as the conventions
// want it.
func attemptErrorType(info *coder.AttemptInfo) string {
	switch {
	case info.Failure == "":
		return ""
	case info.Failure == coder.FailureEnded && errors.Is(info.Err, context.DeadlineExceeded):
		return "timeout"
	case info.Failure == coder.FailureEnded:
		return "canceled"
	case info.StatusCode >= 300:
		return strconv.Itoa(info.StatusCode)
	}
	return string(info.Failure)
}

// template is the template of a route as a path of the Hub's, "" for none.
func template(operation, route string) string {
	if route == "" || operation == "URL" { // discovery is not below /api
		return route
	}
	return "/api" + route
}

// server is where requests go.
type server struct {
	scheme, host string // as they are told
	address      string
	port         int
}

func newServer(scheme, host string) *server {
	s := &server{scheme: scheme, host: host}
	address, port, err := net.SplitHostPort(host)
	if err != nil {
		address, port = host, ""
	}
	s.address = strings.Trim(address, "[]")
	if s.port, err = strconv.Atoi(port); err != nil || s.port == 0 {
		s.port = map[string]int{"http": 80, "https": 443}[scheme]
	}
	return s
}

func (s *server) attributes() []attribute.KeyValue {
	return []attribute.KeyValue{semconv.ServerAddress(s.address), semconv.ServerPort(s.port)}
}

// vocabulary lets the first names through, so that a Hub cannot make labels without end.
type vocabulary struct {
	mu   sync.RWMutex
	seen map[string]bool
}

// The most names of a kind, and the most bytes of one.
const (
	mostNames   = 200
	longestName = 100
)

func (v *vocabulary) known(name string) bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.seen[name]
}

// name returns a name, or other.
func (v *vocabulary) name(name string) string {
	if name == "" || v.known(name) {
		return name
	}
	if len(name) > longestName || strings.ToValidUTF8(name, "") != name {
		return other
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.seen) >= mostNames {
		return other
	}
	if v.seen == nil {
		v.seen = make(map[string]bool)
	}
	v.seen[strings.Clone(name)] = true
	return name
}
