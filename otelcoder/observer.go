package otelcoder

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/agentuity/coder-go"
)

// scope is the name of the instrumentation.
const scope = "github.com/agentuity/coder-go/otelcoder"

// The operations of the conventions for generative AI.
const (
	invokeAgent = "invoke_agent"
	executeTool = "execute_tool"
)

// Observer returns what [coder.WithObserver] takes: functions that make spans and metrics. See the package documentation. One may
// serve several clients. What cannot be made is reported to [go.opentelemetry.io/otel.Handle], and is missing.
func Observer(opts ...Option) coder.Observer {
	c := newConfig(opts)
	r := &recorder{
		config: c,
		tracer: c.tracers.Tracer(scope, trace.WithInstrumentationVersion(coder.Version), trace.WithSchemaURL(semconv.SchemaURL)),
		metrics: newMetrics(c.meters.Meter(scope, metric.WithInstrumentationVersion(coder.Version),
			metric.WithSchemaURL(semconv.SchemaURL))),
	}
	o := coder.Observer{Call: r.begin, Attempt: r.attempt, Connection: r.connection}
	if !c.noAgent {
		o.Agent = r.agent
	}
	return o
}

// recorder is behind the functions of an Observer.
type recorder struct {
	config
	*metrics
	tracer trace.Tracer
	last   atomic.Pointer[server] // where the last attempt went

	tools, models, eventNames, agents vocabulary
}

// call is a call that is under way.
type call struct {
	recorder *recorder
	info     coder.CallInfo
	ctx      context.Context // that of the call, with its span
	span     trace.Span      // nil: it has none
	above    *call           // of which this is a part; nil: the program makes it
	run      *run            // what its agent does; nil: it has none

	// Of a request, by its one goroutine.
	server  *server
	failure string // the error type of the last attempt

	unknown unknownInside
}

// unknownInside is the last call with an unknown outcome inside another one. Whether it counts is known when that is over: an unknown
// outcome that is passed on is one, and not two.
type unknownInside struct {
	mu        sync.Mutex
	operation string // "": there is none
	over      bool   // nobody asks any more
}

type callKey struct{}

// callOf returns the call that a context belongs to, nil for none.
func (r *recorder) callOf(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)
	if c == nil || c.recorder != r {
		return nil
	}
	return c
}

// begin is Call of the Observer.
func (r *recorder) begin(ctx context.Context, info coder.CallInfo) (context.Context, func(coder.CallResult)) {
	c := &call{recorder: r, info: info, above: r.callOf(ctx)}
	if isAgent(info) {
		c.run = &run{call: c}
	}
	if r.filter(info) {
		name, kind, attrs := describe(info)
		ctx, c.span = r.tracer.Start(ctx, name, trace.WithSpanKind(kind), trace.WithAttributes(attrs...))
	}
	c.ctx = context.WithValue(ctx, callKey{}, c)
	return c.ctx, c.over
}

// isAgent reports whether an agent is at work in the call.
func isAgent(info coder.CallInfo) bool {
	if info.Method != "" || info.Route != "" {
		return false
	}
	switch info.Operation {
	case "Ask", "Answer", "RunSession":
		return true
	}
	return false
}

// describe is what is known of the span of a call when it begins.
func describe(info coder.CallInfo) (name string, kind trace.SpanKind, attrs []attribute.KeyValue) {
	operation := operationKey.String(info.Operation)
	switch {
	case isAgent(info):
		return invokeAgent, trace.SpanKindClient, append(genAI(invokeAgent), operation)
	case info.Method != "":
		attrs = []attribute.KeyValue{semconv.HTTPRequestMethodKey.String(info.Method), operation}
		if path := template(info.Operation, info.Route); path != "" {
			return info.Method + " " + path, trace.SpanKindClient, append(attrs, semconv.URLTemplate(path))
		}
		return info.Method, trace.SpanKindClient, attrs
	case info.Route != "": // a message over a WebSocket
		return "WebSocket " + info.Operation, trace.SpanKindClient, []attribute.KeyValue{operation}
	}
	return "coder." + info.Operation, trace.SpanKindInternal, []attribute.KeyValue{operation}
}

// over is called with what the call came to.
func (c *call) over(result coder.CallResult) {
	r, kind := c.recorder, c.errorType(&result)
	unknown := errors.Is(result.Err, coder.ErrOutcomeUnknown)
	operation := c.info.Operation
	c.countUnknown(unknown)
	if c.above == nil {
		r.operation.Record(c.ctx, result.Duration.Seconds(), r.operationSets.of(operationSet{operation, kind}).record...)
	}
	if c.run != nil {
		c.run.over(&result, kind)
	}
	if c.span == nil {
		return
	}
	if c.span.IsRecording() {
		attrs := make([]attribute.KeyValue, 0, 6)
		if c.server != nil {
			attrs = append(attrs, c.server.attributes()...)
		}
		if result.StatusCode != 0 {
			attrs = append(attrs, semconv.HTTPResponseStatusCode(result.StatusCode))
		}
		if result.Attempts > 1 {
			attrs = append(attrs, semconv.HTTPRequestResendCount(result.Attempts-1))
		}
		if unknown {
			attrs = append(attrs, outcomeUnknownKey.Bool(true))
		}
		if kind != "" {
			attrs = append(attrs, semconv.ErrorTypeKey.String(kind))
			c.span.SetStatus(codes.Error, c.description(result.Err))
		}
		c.span.SetAttributes(attrs...)
	}
	c.span.End()
}

// countUnknown counts unknown outcomes, each once: by the outermost of the calls that have passed it on.
func (c *call) countUnknown(unknown bool) {
	c.unknown.mu.Lock()
	inside := c.unknown.operation
	c.unknown.over = true
	c.unknown.mu.Unlock()
	switch {
	case !unknown && inside != "": // c has dealt with it
		c.addUnknown(inside, true)
	case !unknown:
	case c.above == nil:
		c.addUnknown(c.info.Operation, false)
	default:
		c.above.unknownInside(c.info.Operation)
	}
}

// unknownInside notes that a part of the call has come to an unknown outcome. The one before was another, since the call has gone on.
func (c *call) unknownInside(operation string) {
	c.unknown.mu.Lock()
	before := c.unknown.operation
	if c.unknown.over { // it has not been waited for
		before = operation
	} else {
		c.unknown.operation = operation
	}
	c.unknown.mu.Unlock()
	if before != "" {
		c.addUnknown(before, true)
	}
}

func (c *call) addUnknown(operation string, inner bool) {
	c.recorder.unknown.Add(c.ctx, 1, c.recorder.unknownSets.of(unknownSet{operation, inner}).add...)
}

// description is the text of an error for a span, which may have ids and content.
func (c *call) description(err error) string {
	if err == nil || !c.recorder.content {
		return ""
	}
	return err.Error()
}

// errorType is the class of what a call came to, "" for success.
func (c *call) errorType(result *coder.CallResult) string {
	if result.Err == nil {
		if s := result.Session; s != nil && s.Outcome != nil && !s.Outcome.Succeeded() {
			return string(s.Outcome.Kind)
		}
		return ""
	}
	kind := errorType(result.Err)
	if result.Failure == coder.FailureNoCredential {
		return string(result.Failure)
	}
	if c.info.Method != "" && c.failure != "" && kind != "canceled" && kind != "timeout" {
		return c.failure // as the attempt has it: the same error has one type
	}
	return kind
}

// attempt is Attempt of the Observer.
func (r *recorder) attempt(ctx context.Context, info coder.AttemptInfo) {
	at := r.last.Load()
	if at == nil || at.scheme != info.Scheme || at.host != info.Host {
		at = newServer(info.Scheme, info.Host)
		r.last.Store(at)
	}
	kind := attemptErrorType(&info)
	path := template(info.Operation, info.Route)
	r.request.Record(ctx, info.Duration.Seconds(), r.requestSets.of(requestSet{
		method: info.Method, template: path, errorType: kind, server: *at, status: info.StatusCode,
	}).record...)
	if info.Again {
		r.retries.Add(ctx, 1, r.retrySets.of(retrySet{info.Operation, info.Failure}).add...)
	}
	c := r.callOf(ctx)
	if c == nil {
		return
	}
	c.server, c.failure = at, kind
	if c.span == nil || !c.span.IsRecording() {
		return
	}
	attrs := make([]attribute.KeyValue, 0, 5)
	attrs = append(attrs, attemptKey.Int(info.Attempt))
	if info.StatusCode != 0 {
		attrs = append(attrs, semconv.HTTPResponseStatusCode(info.StatusCode))
	}
	if info.Failure != "" {
		attrs = append(attrs, failureKey.String(string(info.Failure)))
	}
	if info.Again {
		attrs = append(attrs, waitKey.Float64(info.Wait.Seconds()))
	}
	c.span.AddEvent("agentuity.coder.attempt", trace.WithAttributes(withError(attrs, kind)...))
}

// connection is Connection of the Observer.
func (r *recorder) connection(ctx context.Context, info coder.ConnectionInfo) {
	kind := errorType(info.Err)
	r.changes.Add(ctx, 1, r.changeSets.of(changeSet{info.Operation, kind, info.Change}).add...)
	active := r.operationSets.of(operationSet{operation: info.Operation})
	switch info.Change {
	case coder.ConnectionOpened:
		r.active.Add(ctx, 1, active.add...)
	case coder.ConnectionBack:
		r.active.Add(ctx, 1, active.add...)
		r.down.Record(ctx, info.Down.Seconds(), active.record...)
	case coder.ConnectionLost:
		r.active.Add(ctx, -1, active.add...)
	case coder.ConnectionOver:
		if info.Up > 0 {
			r.active.Add(ctx, -1, active.add...)
		}
	}
	if c := r.callOf(ctx); c != nil && c.span != nil && c.span.IsRecording() {
		attrs := []attribute.KeyValue{operationKey.String(info.Operation), changeKey.String(string(info.Change))}
		if info.Attempt > 0 {
			attrs = append(attrs, attemptKey.Int(info.Attempt))
		}
		if info.Down > 0 {
			attrs = append(attrs, downKey.Float64(info.Down.Seconds()))
		}
		c.span.AddEvent("agentuity.coder.connection", trace.WithAttributes(withError(attrs, kind)...))
	}
}

// agent is Agent of the Observer.
func (r *recorder) agent(ctx context.Context, info coder.AgentInfo) {
	r.events.Add(ctx, 1, r.eventSets.of(eventSet{info.Operation, r.eventNames.name(info.Name)}).add...)
	if c := r.callOf(ctx); c != nil && c.run != nil {
		if info.At.IsZero() {
			info.At = time.Now()
		}
		c.run.event(&info)
	}
}
