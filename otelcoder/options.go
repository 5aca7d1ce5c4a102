package otelcoder

import (
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/agentuity/coder-go"
)

// Option changes what [Observer] does.
type Option func(*config)

type config struct {
	tracers trace.TracerProvider
	meters  metric.MeterProvider
	content bool
	noAgent bool
	filter  func(coder.CallInfo) bool
}

func newConfig(opts []Option) config {
	c := config{filter: func(coder.CallInfo) bool { return true }}
	for _, opt := range opts {
		if opt != nil {
			opt(&c)
		}
	}
	if c.tracers == nil {
		c.tracers = otel.GetTracerProvider()
	}
	if c.meters == nil {
		c.meters = otel.GetMeterProvider()
	}
	return c
}

// WithTracerProvider says where spans go. Default, and for nil: the global provider.
func WithTracerProvider(provider trace.TracerProvider) Option {
	return func(c *config) { c.tracers = provider }
}

// WithMeterProvider says where metrics go. Default, and for nil: the global provider.
func WithMeterProvider(provider metric.MeterProvider) Option {
	return func(c *config) { c.meters = provider }
}

// WithContent puts on spans what is said: the prompt and the answer, the arguments and the results of tools, and the texts of
// errors, which name sessions and keys of RunSession. They may be long, and hold anything; the limits of the SDK cut them
// (OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT). Default: none of it.
func WithContent() Option {
	return func(c *config) { c.content = true }
}

// WithFilter says which calls get a span; what is below one without becomes a child of the span above. It is for programs that
// poll, and want no span of each request. Metrics count all calls. Default, and for nil: all.
func WithFilter(spans func(coder.CallInfo) bool) Option {
	return func(c *config) {
		if spans != nil {
			c.filter = spans
		}
	}
}

// WithoutAgentEvents does without the spans of tools and tasks and the count of events, and with fewer tokens counted: those of
// the answer of Ask and Answer, and of sessions that RunSession has created. With it RunSession does not read the history of a
// session while it waits, which costs requests. Default: agents are observed.
func WithoutAgentEvents() Option {
	return func(c *config) { c.noAgent = true }
}
