package otelcoder

import (
	"sync"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"

	"github.com/agentuity/coder-go"
)

// The buckets that the conventions ask for, and those of calls that may take an hour.
var (
	requestBuckets   = []float64{0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10}
	agentBuckets     = []float64{0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92}
	tokenBuckets     = []float64{1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864}
	operationBuckets = []float64{0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600}
	downBuckets      = []float64{0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600}
)

// metrics are the instruments. What cannot be made counts nothing, and is reported to otel.Handle.
type metrics struct {
	request   metric.Float64Histogram
	operation metric.Float64Histogram
	retries   metric.Int64Counter
	unknown   metric.Int64Counter
	changes   metric.Int64Counter
	active    metric.Int64UpDownCounter
	down      metric.Float64Histogram
	events    metric.Int64Counter
	agent     metric.Float64Histogram
	tokens    metric.Int64Histogram

	requestSets   sets[requestSet]
	operationSets sets[operationSet]
	retrySets     sets[retrySet]
	changeSets    sets[changeSet]
	unknownSets   sets[unknownSet]
	eventSets     sets[eventSet]
	agentSets     sets[agentSet]
	tokenSets     sets[tokenSet]
}

func newMetrics(m metric.Meter) *metrics {
	seconds := func(name, description string, buckets []float64) metric.Float64Histogram {
		h, err := m.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(description),
			metric.WithExplicitBucketBoundaries(buckets...))
		return made[metric.Float64Histogram](h, noop.Float64Histogram{}, err)
	}
	counter := func(name, unit, description string) metric.Int64Counter {
		c, err := m.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(description))
		return made[metric.Int64Counter](c, noop.Int64Counter{}, err)
	}
	active, err := m.Int64UpDownCounter("agentuity.coder.connection.active", metric.WithUnit("{connection}"),
		metric.WithDescription("Live connections that are there."))
	active = made[metric.Int64UpDownCounter](active, noop.Int64UpDownCounter{}, err)
	tokens, err := m.Int64Histogram("gen_ai.client.token.usage", metric.WithUnit("{token}"),
		metric.WithDescription("Number of input and output tokens used."), metric.WithExplicitBucketBoundaries(tokenBuckets...))
	tokens = made[metric.Int64Histogram](tokens, noop.Int64Histogram{}, err)
	return &metrics{
		request:   seconds("http.client.request.duration", "Duration of HTTP client requests.", requestBuckets),
		operation: seconds("agentuity.coder.operation.duration", "Duration of the calls that the program makes.", operationBuckets),
		retries:   counter("agentuity.coder.retries", "{retry}", "Attempts that another one follows."),
		unknown: counter("agentuity.coder.unknown_outcomes", "{call}",
			"Calls of which nobody knows whether they had an effect, each once."),
		changes: counter("agentuity.coder.connection.changes", "{change}", "Changes of live connections."),
		active:  active,
		down:    seconds("agentuity.coder.connection.down_time", "How long a live connection was away until it was back.", downBuckets),
		events:  counter("agentuity.coder.agent.events", "{event}", "Events of the agent."),
		agent:   seconds("gen_ai.client.operation.duration", "GenAI operation duration.", agentBuckets),
		tokens:  tokens,
	}
}

// made returns an instrument, or one that does nothing.
func made[T any](instrument, nothing T, err error) T {
	if err != nil {
		otel.Handle(err)
		return nothing
	}
	return instrument
}

// sets keeps sets of attributes, which cost more to make than to look up.
type sets[K interface {
	comparable
	attributes() []attribute.KeyValue
}] struct {
	mu   sync.RWMutex
	made map[K]set
}

// set is a set of attributes as instruments take it.
type set struct {
	add    []metric.AddOption
	record []metric.RecordOption
}

// mostSets is as many sets as the SDK keeps apart.
const mostSets = 2000

func (s *sets[K]) of(key K) set {
	s.mu.RLock()
	options, ok := s.made[key]
	s.mu.RUnlock()
	if ok {
		return options
	}
	option := metric.WithAttributeSet(attribute.NewSet(key.attributes()...))
	options = set{[]metric.AddOption{option}, []metric.RecordOption{option}}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.made == nil {
		s.made = make(map[K]set)
	}
	if len(s.made) < mostSets {
		s.made[key] = options
	}
	return options
}

func withError(attrs []attribute.KeyValue, errorType string) []attribute.KeyValue {
	if errorType != "" {
		attrs = append(attrs, semconv.ErrorTypeKey.String(errorType))
	}
	return attrs
}

type requestSet struct {
	method, template, errorType string
	server                      server
	status                      int
}

func (k requestSet) attributes() []attribute.KeyValue {
	attrs := append(k.server.attributes(), semconv.HTTPRequestMethodKey.String(k.method))
	if k.template != "" {
		attrs = append(attrs, semconv.URLTemplate(k.template))
	}
	if k.status != 0 {
		attrs = append(attrs, semconv.HTTPResponseStatusCode(k.status))
	}
	return withError(attrs, k.errorType)
}

type operationSet struct{ operation, errorType string }

func (k operationSet) attributes() []attribute.KeyValue {
	return withError([]attribute.KeyValue{operationKey.String(k.operation)}, k.errorType)
}

type retrySet struct {
	operation string
	failure   coder.AttemptFailure
}

func (k retrySet) attributes() []attribute.KeyValue {
	return []attribute.KeyValue{operationKey.String(k.operation), failureKey.String(string(k.failure))}
}

type changeSet struct {
	operation, errorType string
	change               coder.ConnectionChange
}

func (k changeSet) attributes() []attribute.KeyValue {
	return withError([]attribute.KeyValue{operationKey.String(k.operation), changeKey.String(string(k.change))}, k.errorType)
}

type unknownSet struct {
	operation string
	inner     bool
}

func (k unknownSet) attributes() []attribute.KeyValue {
	scope := "program"
	if k.inner {
		scope = "inner"
	}
	return []attribute.KeyValue{operationKey.String(k.operation), scopeKey.String(scope)}
}

type eventSet struct{ operation, event string }

func (k eventSet) attributes() []attribute.KeyValue {
	return []attribute.KeyValue{operationKey.String(k.operation), eventKey.String(k.event)}
}

type agentSet struct{ genAI, operation, tool, model, errorType string }

func (k agentSet) attributes() []attribute.KeyValue {
	attrs := append(genAI(k.genAI), operationKey.String(k.operation))
	if k.tool != "" {
		attrs = append(attrs, semconv.GenAIToolName(k.tool))
	}
	if k.model != "" {
		attrs = append(attrs, semconv.GenAIResponseModel(k.model))
	}
	return withError(attrs, k.errorType)
}

// genAI are the attributes that everything about an agent has.
func genAI(operation string) []attribute.KeyValue {
	return []attribute.KeyValue{
		semconv.GenAIOperationNameKey.String(operation), semconv.GenAIProviderNameKey.String(provider),
	}
}

type tokenSet struct{ operation, model, direction string }

func (k tokenSet) attributes() []attribute.KeyValue {
	attrs := append(genAI(invokeAgent), operationKey.String(k.operation), semconv.GenAITokenTypeKey.String(k.direction))
	if k.model != "" {
		attrs = append(attrs, semconv.GenAIResponseModel(k.model))
	}
	return attrs
}
