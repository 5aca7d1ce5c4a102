//go:build !race

package otelcoder_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

// TestAllocations: an observer without functions costs nothing, and a piece of an answer hardly anything.
func TestAllocations(t *testing.T) {
	count := func(opts ...coder.Option) float64 {
		c := benchClient(t, opts...)
		return testing.AllocsPerRun(500, func() {
			_, err := c.GetSession(t.Context(), "codesess_1")
			require.NoError(t, err)
		})
	}
	p := newProbe()
	none := count()
	assert.InDelta(t, none, count(coder.WithObserver(coder.Observer{})), 0)
	assert.LessOrEqual(t, count(coder.WithObserver(p.observer)), none+40)
	piece := testing.Benchmark(BenchmarkAgentEvent)
	assert.Zero(t, piece.AllocsPerOp())
}
