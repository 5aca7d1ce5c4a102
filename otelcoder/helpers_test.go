package otelcoder_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
	"github.com/agentuity/coder-go/otelcoder"
)

const testKey = "sk_live_S3CR3T-abcdef"

// probe is the SDK, with an exporter and a reader in memory.
type probe struct {
	spans    *tracetest.InMemoryExporter
	tracers  *sdktrace.TracerProvider
	meters   *metric.MeterProvider
	reader   *metric.ManualReader
	observer coder.Observer
}

func newProbe(opts ...otelcoder.Option) *probe {
	p := &probe{spans: tracetest.NewInMemoryExporter(), reader: metric.NewManualReader()}
	p.tracers = sdktrace.NewTracerProvider(sdktrace.WithSyncer(p.spans))
	p.meters = metric.NewMeterProvider(metric.WithReader(p.reader))
	p.observer = otelcoder.Observer(append([]otelcoder.Option{otelcoder.WithTracerProvider(p.tracers), otelcoder.WithMeterProvider(p.meters)}, opts...)...)
	return p
}

func (p *probe) client(t *testing.T, hub *codertest.Hub, opts ...coder.Option) *coder.Client {
	t.Helper()
	c, err := hub.NewClient(append([]coder.Option{coder.WithObserver(p.observer)}, opts...)...)
	require.NoError(t, err)
	return c
}

// ended are the spans that have ended, with those that match a name.
func (p *probe) ended(name string) (spans tracetest.SpanStubs) {
	for _, s := range p.spans.GetSpans() {
		if s.Name == name {
			spans = append(spans, s)
		}
	}
	return spans
}

// one returns the only span of a name.
func (p *probe) one(t *testing.T, name string) tracetest.SpanStub {
	t.Helper()
	spans := p.ended(name)
	require.Len(t, spans, 1, "spans: %v", p.names())
	return spans[0]
}

func (p *probe) names() (names []string) {
	for _, s := range p.spans.GetSpans() {
		names = append(names, s.Name)
	}
	return names
}

// paths are the distinct names of all spans, each after those above it.
func (p *probe) paths() []string {
	byID := make(map[trace.SpanID]tracetest.SpanStub)
	for _, s := range p.spans.GetSpans() {
		byID[s.SpanContext.SpanID()] = s
	}
	var paths []string
	for _, s := range byID {
		path := s.Name
		for above, ok := byID[s.Parent.SpanID()]; ok; above, ok = byID[above.Parent.SpanID()] {
			path = above.Name + " > " + path
		}
		paths = append(paths, path)
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

// attributes are attributes as a map.
func attributes(list []attribute.KeyValue) map[string]any {
	m := make(map[string]any, len(list))
	for _, kv := range list {
		m[string(kv.Key)] = kv.Value.AsInterface()
	}
	return m
}

// lines are the data points of a metric, in a line each: attributes in the order of their names, and the value, or of a histogram
// the count.
func (p *probe) lines(t *testing.T, name string) (lines []string) {
	t.Helper()
	p.each(t, func(m metricdata.Metrics, attrs attribute.Set, value float64, count uint64) {
		if m.Name == name {
			if count == 0 {
				count = uint64(value)
			}
			lines = append(lines, fmt.Sprintf("%s: %d", line(attrs), count))
		}
	})
	slices.Sort(lines)
	return lines
}

// sum is the sum of all data points of a metric.
func (p *probe) sum(t *testing.T, name string) (sum float64) {
	t.Helper()
	found := false
	p.each(t, func(m metricdata.Metrics, _ attribute.Set, value float64, _ uint64) {
		if m.Name == name {
			found = true
			sum += value
		}
	})
	require.True(t, found, "nothing was counted as %s", name)
	return sum
}

func line(attrs attribute.Set) string {
	var parts []string
	for _, kv := range attrs.ToSlice() {
		key := strings.TrimPrefix(strings.TrimPrefix(string(kv.Key), "agentuity.coder."), "gen_ai.")
		if !strings.HasPrefix(key, "server.") {
			parts = append(parts, key+"="+kv.Value.String())
		}
	}
	slices.Sort(parts)
	return strings.Join(parts, " ")
}

// each visits every data point.
func (p *probe) each(t *testing.T, visit func(m metricdata.Metrics, attrs attribute.Set, value float64, count uint64)) {
	t.Helper()
	var all metricdata.ResourceMetrics
	require.NoError(t, p.reader.Collect(context.WithoutCancel(t.Context()), &all))
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, point := range data.DataPoints {
					visit(m, point.Attributes, float64(point.Value), 0)
				}
			case metricdata.Histogram[int64]:
				for _, point := range data.DataPoints {
					visit(m, point.Attributes, float64(point.Sum), point.Count)
				}
			case metricdata.Histogram[float64]:
				for _, point := range data.DataPoints {
					visit(m, point.Attributes, point.Sum, point.Count)
				}
			default:
				assert.Fail(t, "unexpected", "%s is a %T", m.Name, data)
			}
		}
	}
}

// texts are all texts that spans and metrics have, but the conversation ids.
func (p *probe) texts(t *testing.T) (texts []string) {
	t.Helper()
	add := func(list []attribute.KeyValue) {
		for _, kv := range list {
			if kv.Key != "gen_ai.conversation.id" {
				texts = append(texts, string(kv.Key)+"="+kv.Value.String())
			}
		}
	}
	for _, s := range p.spans.GetSpans() {
		texts = append(texts, s.Name, s.Status.Description)
		add(s.Attributes)
		for _, e := range s.Events {
			texts = append(texts, e.Name)
			add(e.Attributes)
		}
		assert.Empty(t, s.Links)
	}
	p.each(t, func(m metricdata.Metrics, attrs attribute.Set, _ float64, _ uint64) {
		texts = append(texts, m.Name, m.Description, m.Unit)
		add(attrs.ToSlice())
	})
	return texts
}

// bubble runs a test on a Hub in memory, in fake time.
func bubble(t *testing.T, test func(t *testing.T, hub *codertest.Hub), opts ...codertest.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		hub := codertest.NewHub(append(opts, codertest.WithInMemoryNetwork())...)
		defer hub.Close()
		test(t, hub)
	})
}

func newSession(t *testing.T, hub *codertest.Hub) string {
	t.Helper()
	c, err := hub.NewClient()
	require.NoError(t, err)
	created, err := c.CreateSession(t.Context(), coder.CreateSessionRequest{Task: "Say hello"})
	require.NoError(t, err)
	return created.SessionID
}
