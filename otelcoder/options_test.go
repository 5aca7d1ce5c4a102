package otelcoder_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	newest "go.opentelemetry.io/otel/semconv/v1.43.0"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
	"github.com/agentuity/coder-go/otelcoder"
)

// TestObserver_Global: the global providers, also those that are set later.
func TestObserver_Global(t *testing.T) {
	p := newProbe()
	observer := otelcoder.Observer(otelcoder.WithTracerProvider(nil), otelcoder.WithMeterProvider(nil), nil)
	tracers, meters := otel.GetTracerProvider(), otel.GetMeterProvider()
	otel.SetTracerProvider(p.tracers)
	otel.SetMeterProvider(p.meters)
	defer otel.SetTracerProvider(tracers)
	defer otel.SetMeterProvider(meters)
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		p.observer = observer
		require.NoError(t, listSessions(t.Context(), p.client(t, hub)))
	})
	p.one(t, "GET /api/hub/sessions")
	assert.Len(t, p.lines(t, "http.client.request.duration"), 1)
}

// broken is a provider whose meters make no instrument.
type broken struct{ noop.MeterProvider }

func (broken) Meter(string, ...metric.MeterOption) metric.Meter { return brokenMeter{} }

type brokenMeter struct{ noop.Meter }

var errBroken = errors.New("no instruments today")

func (brokenMeter) Int64Counter(string, ...metric.Int64CounterOption) (metric.Int64Counter, error) {
	return nil, errBroken
}

func (brokenMeter) Int64UpDownCounter(string, ...metric.Int64UpDownCounterOption) (metric.Int64UpDownCounter, error) {
	return nil, errBroken
}

func (brokenMeter) Int64Histogram(string, ...metric.Int64HistogramOption) (metric.Int64Histogram, error) {
	return nil, errBroken
}

func (brokenMeter) Float64Histogram(string, ...metric.Float64HistogramOption) (metric.Float64Histogram, error) {
	return nil, errBroken
}

// TestObserver_BrokenMeter: a program works without metrics, and hears why there are none.
func TestObserver_BrokenMeter(t *testing.T) {
	var handled []error
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { handled = append(handled, err) }))
	defer otel.SetErrorHandler(otel.ErrorHandlerFunc(func(error) {}))
	p := newProbe(otelcoder.WithMeterProvider(broken{}))
	require.Len(t, handled, 10, "one for each instrument")
	require.ErrorIs(t, handled[0], errBroken)
	bubble(t, func(t *testing.T, hub *codertest.Hub) { everything(t, hub, p) })
	assert.NotEmpty(t, p.ended("invoke_agent"))
}

// TestObserver_Careless: what the library does not send does no harm.
func TestObserver_Careless(t *testing.T) {
	p := newProbe(otelcoder.WithContent())
	o := p.observer
	ctx := context.Background()
	o.Attempt(ctx, coder.AttemptInfo{})
	o.Attempt(ctx, coder.AttemptInfo{Host: ":", Err: errBroken, Again: true})
	o.Connection(ctx, coder.ConnectionInfo{})
	o.Agent(ctx, coder.AgentInfo{})
	for _, info := range []coder.CallInfo{{}, {Operation: "Ask"}, {Operation: "RunSession"}, {Method: "GET"}, {Route: "/ws"}} {
		ctx, over := o.Call(ctx, info)
		for _, event := range []coder.AgentEvent{
			nil, (*coder.AgentStart)(nil), &coder.ToolExecutionEnd{}, &coder.ToolExecutionStart{}, &coder.ToolExecutionStart{}, &coder.TaskStart{},
			&coder.TaskComplete{}, &coder.TaskError{}, &coder.MessageEnd{}, &coder.UnknownAgentEvent{},
		} {
			o.Agent(ctx, coder.AgentInfo{Event: event})
		}
		o.Attempt(ctx, coder.AttemptInfo{})
		o.Connection(ctx, coder.ConnectionInfo{})
		over(coder.CallResult{Answer: &coder.Answer{}, Session: &coder.SessionResult{}})
		o.Agent(ctx, coder.AgentInfo{})
		o.Connection(ctx, coder.ConnectionInfo{})
	}
	p.one(t, "coder.")
	p.one(t, "WebSocket ")
}

// TestObserver_AtOnce: one observer for several clients that do many things at a time.
func TestObserver_AtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		p := newProbe()
		sessions := []*codertest.SessionControl{idle(t, hub), idle(t, hub), idle(t, hub), idle(t, hub)}
		var all sync.WaitGroup
		for _, session := range sessions {
			c := p.client(t, hub)
			conn := attach(t, c, session.ID())
			session.Answer(work...)
			all.Go(func() {
				_, err := conn.Ask(t.Context(), secretPrompt, nil)
				assert.NoError(t, err)
				assert.NoError(t, conn.Close())
			})
			for range 20 {
				all.Go(func() { assert.NoError(t, listSessions(t.Context(), c)) })
			}
		}
		all.Wait()
		assert.Len(t, p.ended("GET /api/hub/sessions"), 80)
		assert.Len(t, p.ended("invoke_agent"), 4)
		assert.Contains(t, p.lines(t, "http.client.request.duration"), "http.request.method=GET http.response.status_code=200 url.template=/api/hub/sessions: 80")
		parents := map[string]int{}
		for _, s := range p.ended("execute_tool read") {
			parents[s.Parent.SpanID().String()]++
		}
		assert.Len(t, parents, 4, "each tool belongs to its own call")
	}, codertest.WithAgentPace(100*time.Millisecond))
}

// TestConventions: the names that are stable are those of the newest version of the conventions too.
func TestConventions(t *testing.T) {
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		p := newProbe()
		hub.Inject(codertest.Fault{Status: 503, Count: -1})
		require.Error(t, listSessions(t.Context(), p.client(t, hub)))
		attrs := attributes(p.one(t, "GET /api/hub/sessions").Attributes)
		for _, key := range []attribute.Key{
			newest.HTTPRequestMethodKey, newest.URLTemplateKey, newest.ServerAddressKey, newest.ServerPortKey, newest.HTTPResponseStatusCodeKey,
			newest.HTTPRequestResendCountKey, newest.ErrorTypeKey,
		} {
			assert.Contains(t, attrs, string(key))
		}
	})
}
