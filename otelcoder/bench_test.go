package otelcoder_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/otelcoder"
)

// discard is an exporter that is not there.
type discard struct{}

func (discard) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error { return nil }
func (discard) Shutdown(context.Context) error                             { return nil }

// canned answers each request with a session, without a network.
func canned(*http.Request) (*http.Response, error) {
	const body = `{"sessionId":"codesess_1","label":"x","status":"active"}`
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, ContentLength: int64(len(body)),
		Body: io.NopCloser(bytes.NewReader([]byte(body))),
	}, nil
}

func benchClient(b testing.TB, opts ...coder.Option) *coder.Client {
	b.Helper()
	c, err := coder.NewClient(append([]coder.Option{coder.WithURL("http://hub.test"), coder.WithAPIKey("key"),
		coder.WithHTTPClient(&http.Client{Transport: roundTripper(canned)})}, opts...)...)
	require.NoError(b, err)
	return c
}

// BenchmarkGetSession is what a call costs, on a network that costs nothing.
func BenchmarkGetSession(b *testing.B) {
	meters := metric.NewMeterProvider(metric.WithReader(metric.NewManualReader()))
	with := func(tracers trace.TracerProvider) []coder.Option {
		return []coder.Option{coder.WithObserver(otelcoder.Observer(otelcoder.WithTracerProvider(tracers), otelcoder.WithMeterProvider(meters)))}
	}
	sampled := sdktrace.NewTracerProvider(sdktrace.WithBatcher(discard{}))
	defer func() { _ = sampled.Shutdown(context.WithoutCancel(b.Context())) }()
	for _, bench := range []struct {
		name string
		opts []coder.Option
	}{
		{"no observer", nil},
		{"an observer without functions", []coder.Option{coder.WithObserver(coder.Observer{})}},
		{"metrics alone", with(noop.NewTracerProvider())},
		{"metrics, and spans that are not sampled", with(sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample())))},
		{"metrics and spans", with(sampled)},
	} {
		b.Run(bench.name, func(b *testing.B) {
			c := benchClient(b, bench.opts...)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.GetSession(b.Context(), "codesess_1"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkAgentEvent is what a piece of an answer costs, of which there are many.
func BenchmarkAgentEvent(b *testing.B) {
	p := newProbe()
	ctx, over := p.observer.Call(b.Context(), coder.CallInfo{Operation: "Ask"})
	defer over(coder.CallResult{})
	info := coder.AgentInfo{Operation: "Ask", Name: coder.EventMessageUpdate, Event: &coder.MessageUpdate{Delta: "x"}}
	b.ReportAllocs()
	for b.Loop() {
		p.observer.Agent(ctx, info)
	}
}
