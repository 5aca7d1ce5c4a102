package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

// by says which attributes tell the rows of a metric apart; over the others is summed.
var by = map[string][]attribute.Key{
	"http.client.request.duration":         {"http.request.method", "http.response.status_code", "error.type"},
	"agentuity.coder.operation.duration":   {"agentuity.coder.operation", "error.type"},
	"agentuity.coder.retries":              {"agentuity.coder.attempt.failure"},
	"agentuity.coder.unknown_outcomes":     {"agentuity.coder.operation", "agentuity.coder.scope"},
	"agentuity.coder.connection.changes":   {"agentuity.coder.operation", "agentuity.coder.connection.change", "error.type"},
	"agentuity.coder.connection.active":    {"agentuity.coder.operation"},
	"agentuity.coder.connection.down_time": {"agentuity.coder.operation"},
	"agentuity.coder.agent.events":         {"agentuity.coder.agent.event"},
	"gen_ai.client.operation.duration":     {"gen_ai.operation.name", "gen_ai.tool.name", "error.type"},
	"gen_ai.client.token.usage":            {"agentuity.coder.operation", "gen_ai.response.model", "gen_ai.token.type"},
}

// row is what a line of the table says.
type row struct {
	total   float64
	count   uint64 // of a histogram; else 0
	bounds  []float64
	buckets []uint64
}

func (r *row) add(total float64, count uint64, bounds []float64, buckets []uint64) {
	r.total += total
	r.count += count
	r.bounds = bounds
	if r.buckets == nil {
		r.buckets = make([]uint64, len(buckets))
	}
	for i, n := range buckets {
		r.buckets[i] += n
	}
}

// writeMetrics writes a table of all metrics, and how many data points each has.
func writeMetrics(out io.Writer, all *metricdata.ResourceMetrics) {
	fmt.Fprint(out, "| metric | attributes | value |\n| --- | --- | --- |\n")
	var metrics []metricdata.Metrics
	for _, scope := range all.ScopeMetrics {
		metrics = append(metrics, scope.Metrics...)
	}
	slices.SortFunc(metrics, func(a, b metricdata.Metrics) int { return cmp.Compare(a.Name, b.Name) })
	for _, m := range metrics {
		rows, points := rowsOf(m)
		name := fmt.Sprintf("`%s`, %d series", m.Name, points)
		for _, labels := range slices.Sorted(maps.Keys(rows)) {
			fmt.Fprintf(out, "| %s | %s | %s |\n", name, labels, rows[labels].text(m.Unit))
			name = ""
		}
	}
}

func rowsOf(m metricdata.Metrics) (rows map[string]*row, points int) {
	rows = make(map[string]*row)
	at := func(set attribute.Set) *row {
		points++
		labels := labels(set, by[m.Name])
		if rows[labels] == nil {
			rows[labels] = new(row)
		}
		return rows[labels]
	}
	switch data := m.Data.(type) {
	case metricdata.Sum[int64]:
		for _, p := range data.DataPoints {
			at(p.Attributes).add(float64(p.Value), 0, nil, nil)
		}
	case metricdata.Histogram[int64]:
		for _, p := range data.DataPoints {
			at(p.Attributes).add(float64(p.Sum), p.Count, p.Bounds, p.BucketCounts)
		}
	case metricdata.Histogram[float64]:
		for _, p := range data.DataPoints {
			at(p.Attributes).add(p.Sum, p.Count, p.Bounds, p.BucketCounts)
		}
	}
	return rows, points
}

// labels are the attributes that tell rows apart, without the prefixes.
func labels(set attribute.Set, keys []attribute.Key) string {
	var parts []string
	for _, key := range keys {
		if v, ok := set.Value(key); ok {
			name := strings.TrimPrefix(strings.TrimPrefix(string(key), "agentuity.coder."), "gen_ai.")
			parts = append(parts, name+"=`"+v.String()+"`")
		}
	}
	return strings.Join(parts, " ")
}

func (r *row) text(unit string) string {
	switch {
	case r.count == 0:
		return fmt.Sprintf("%.0f", r.total)
	case unit == "s":
		return fmt.Sprintf("%d: mean %s, 95 %% within %s", r.count, seconds(r.total/float64(r.count)), r.quantile(0.95))
	}
	return fmt.Sprintf("%d: mean %.0f, sum %.0f", r.count, r.total/float64(r.count), r.total)
}

func seconds(s float64) string {
	switch {
	case s < 0.01:
		return fmt.Sprintf("%.1f ms", s*1000)
	case s < 1:
		return fmt.Sprintf("%.0f ms", s*1000)
	}
	return fmt.Sprintf("%.4g s", s)
}

// quantile is the bound of the bucket that a quantile is in: more is not known.
func (r *row) quantile(q float64) string {
	seen, want := uint64(0), q*float64(r.count)
	for i, n := range r.buckets {
		if seen += n; float64(seen) >= want && i < len(r.bounds) {
			return seconds(r.bounds[i])
		}
	}
	return "more than " + seconds(r.bounds[len(r.bounds)-1])
}

// writeTrace writes the spans of the RunSession with the most spans that have failed, as a tree.
func writeTrace(out io.Writer, spans tracetest.SpanStubs) {
	below := make(map[trace.SpanID][]tracetest.SpanStub)
	failed := make(map[trace.TraceID]int)
	var roots []tracetest.SpanStub
	for _, s := range spans {
		below[s.Parent.SpanID()] = append(below[s.Parent.SpanID()], s)
		if s.Status.Code == codes.Error {
			failed[s.SpanContext.TraceID()]++
		}
		if !s.Parent.SpanID().IsValid() && value(&s, "agentuity.coder.operation") == "RunSession" {
			roots = append(roots, s)
		}
	}
	if len(roots) == 0 {
		return
	}
	root := slices.MaxFunc(roots, func(a, b tracetest.SpanStub) int {
		return cmp.Compare(failed[a.SpanContext.TraceID()], failed[b.SpanContext.TraceID()])
	})
	fmt.Fprint(out, "\n```\n")
	writeSpan(out, &root, below, "", 1)
	fmt.Fprint(out, "```\n")
}

// writeSpan writes a span and what is below it, by time; one after the other that look the same are one line.
func writeSpan(out io.Writer, s *tracetest.SpanStub, below map[trace.SpanID][]tracetest.SpanStub, indent string, times int) {
	fmt.Fprintf(out, "%s%s", indent, looks(s))
	if times > 1 {
		fmt.Fprintf(out, " (%d times)\n", times)
	} else {
		fmt.Fprintf(out, " %s\n", s.EndTime.Sub(s.StartTime).Round(time.Millisecond))
	}
	for _, e := range s.Events {
		if text := event(e.Attributes); text != "" {
			fmt.Fprintf(out, "%s  · %s\n", indent, text)
		}
	}
	children := below[s.SpanContext.SpanID()]
	slices.SortStableFunc(children, func(a, b tracetest.SpanStub) int { return a.StartTime.Compare(b.StartTime) })
	for i := 0; i < len(children); {
		same := 1
		for i+same < len(children) && alike(&children[i], &children[i+same], below) {
			same++
		}
		writeSpan(out, &children[i], below, indent+"  ", same)
		i += same
	}
}

func alike(a, b *tracetest.SpanStub, below map[trace.SpanID][]tracetest.SpanStub) bool {
	return plain(a, below) && plain(b, below) && looks(a) == looks(b)
}

// plain reports whether there is nothing to tell of a span but its name.
func plain(s *tracetest.SpanStub, below map[trace.SpanID][]tracetest.SpanStub) bool {
	for _, e := range s.Events {
		if event(e.Attributes) != "" {
			return false
		}
	}
	return len(below[s.SpanContext.SpanID()]) == 0
}

func looks(s *tracetest.SpanStub) string {
	text := s.Name
	for _, key := range []attribute.Key{
		"http.response.status_code", "error.type", "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens", "agentuity.coder.session.outcome",
	} {
		if v := value(s, key); v != "" {
			text += fmt.Sprintf(" %s=%s", key[strings.LastIndexByte(string(key), '.')+1:], v)
		}
	}
	return text
}

// event is an event that is worth a line: an attempt that failed, a live connection that was lost or is back.
func event(attrs []attribute.KeyValue) string {
	text, dull := "", false
	for _, kv := range attrs {
		switch kv.Key {
		case "agentuity.coder.attempt.failure", "agentuity.coder.attempt.number", "agentuity.coder.attempt.wait",
			"agentuity.coder.connection.down_time", "agentuity.coder.connection.change":
			text += fmt.Sprintf(" %s=%.12s", kv.Key[len("agentuity.coder."):], kv.Value.String())
		}
		dull = dull || kv.Value.String() == "opened" || kv.Value.String() == "over"
	}
	if dull || !strings.Contains(text, "failure") && !strings.Contains(text, "change") {
		return ""
	}
	return strings.TrimPrefix(text, " ")
}

func value(s *tracetest.SpanStub, key attribute.Key) string {
	for _, kv := range s.Attributes {
		if kv.Key == key {
			return kv.Value.String()
		}
	}
	return ""
}
