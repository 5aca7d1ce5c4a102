//go:build !race

package coder_test

import (
	"flag"
	"math"
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
			least := int64(math.MaxInt64) // a garbage collection in between takes what is pooled away
			for range 3 {
				result := testing.Benchmark(test.run)
				require.Greater(t, result.N, 1)
				least = min(least, result.AllocsPerOp())
			}
			assert.LessOrEqual(t, least, test.most)
		})
	}
}
