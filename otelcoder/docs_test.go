package otelcoder_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
	"github.com/agentuity/coder-go/otelcoder"
)

func readDocs(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../docs/observability.md")
	require.NoError(t, err)
	return string(text)
}

// TestDocs_Names: docs/observability.md names everything that is exported, and in each row of a metric all that it has.
func TestDocs_Names(t *testing.T) {
	docs := readDocs(t)
	bubble(t, func(t *testing.T, hub *codertest.Hub) {
		p := newProbe(otelcoder.WithContent())
		everything(t, hub, p)
		c := p.client(t, hub)
		session := idle(t, hub)
		hub.Inject(codertest.Fault{Status: 503})
		require.NoError(t, listSessions(t.Context(), c))
		hub.Inject(codertest.Fault{Status: 503})
		require.ErrorIs(t, createSession(t.Context(), c), coder.ErrOutcomeUnknown)
		conn := attach(t, c, session.ID())
		session.Answer(work...)
		time.AfterFunc(time.Second, session.CutStreams)
		_, err := conn.Ask(t.Context(), secretPrompt, nil)
		require.NoError(t, err)
		time.Sleep(time.Minute)
		require.NoError(t, conn.Close())
		keys := map[string]bool{}
		add := func(list []attribute.KeyValue) {
			for _, kv := range list {
				keys[string(kv.Key)] = true
			}
		}
		for _, s := range p.spans.GetSpans() {
			add(s.Attributes)
			for _, e := range s.Events {
				keys[e.Name] = true
				add(e.Attributes)
			}
		}
		for key := range keys {
			assert.Contains(t, docs, "`"+key+"`")
		}
		require.Greater(t, len(keys), 25)
		metrics := map[string]bool{}
		p.each(t, func(m metricdata.Metrics, attrs attribute.Set, _ float64, _ uint64) {
			metrics[m.Name] = true
			row := regexp.MustCompile("(?m)^\\| `" + regexp.QuoteMeta(m.Name) + "` \\| .*$").FindString(docs)
			assert.Contains(t, row, ", `"+m.Unit+"` |", "the unit of %s", m.Name)
			for _, kv := range attrs.ToSlice() {
				assert.Contains(t, row, "`"+string(kv.Key)+"`", "an attribute of %s", m.Name)
			}
		})
		require.Len(t, metrics, 10)
	}, codertest.WithAgentPace(500*time.Millisecond))
}

// TestDocs_Compiles compiles the programs in docs/observability.md.
func TestDocs_Compiles(t *testing.T) {
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(readDocs(t), -1)
	require.Len(t, blocks, 2)
	for _, block := range blocks {
		file := filepath.Join(t.TempDir(), "main.go")
		require.NoError(t, os.WriteFile(file, []byte(block[1]), 0o600))
		out, err := exec.Command("go", "build", "-o", os.DevNull, file).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	for _, name := range []string{"WithTracerProvider", "WithMeterProvider", "WithContent", "WithFilter", "WithoutAgentEvents"} {
		assert.Contains(t, readDocs(t), "`"+name+"`")
	}
}
