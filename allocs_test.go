//go:build !race

package coder_test

import (
	"flag"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestAllocations holds the budgets of the hot paths; the race detector would add its own. A benchmark
// runs as often as it takes for what happens once, a connection above all, to count for nothing.
func TestAllocations(t *testing.T) {
	for name, test := range map[string]struct {
		most  int64
		times string
		run   func(*testing.B)
	}{
		"GetSession":    {100, "2000x", BenchmarkGetSession},
		"CreateSession": {90, "2000x", BenchmarkCreateSession},
		"ListSessions":  {30_000, "20x", BenchmarkListSessions1000}, // 1,000 of them
		"StreamEvents":  {4, "20000x", BenchmarkStreamEvents},
	} {
		t.Run(name, func(t *testing.T) {
			const benchtime = "test.benchtime"
			defer func(asked string) { require.NoError(t, flag.Set(benchtime, asked)) }(flag.Lookup(benchtime).Value.String())
			require.NoError(t, flag.Set(benchtime, test.times))
			result := testing.Benchmark(test.run)
			require.Greater(t, result.N, 1)
			assert.LessOrEqual(t, result.AllocsPerOp(), test.most)
		})
	}
}
