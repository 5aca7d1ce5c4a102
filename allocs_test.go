//go:build !race

package coder_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestAllocations holds the budgets of the hot paths; the race detector would add its own.
func TestAllocations(t *testing.T) {
	for name, test := range map[string]struct {
		most int64
		run  func(*testing.B)
	}{
		"GetSession":    {100, BenchmarkGetSession},
		"CreateSession": {90, BenchmarkCreateSession},
		"StreamEvents":  {4, BenchmarkStreamEvents},
	} {
		t.Run(name, func(t *testing.T) {
			result := testing.Benchmark(test.run)
			require.Positive(t, result.N)
			assert.LessOrEqual(t, result.AllocsPerOp(), test.most)
		})
	}
}
