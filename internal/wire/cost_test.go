package wire

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCheckCost(t *testing.T) {
	const mib = 1 << 20
	for name, text := range map[string]string{
		"objects":        "[" + strings.Repeat("{},", 2*mib) + "{}]",
		"nested objects": strings.Repeat(`{"":`, mib) + "1" + strings.Repeat("}", mib),
		"nulls":          "[" + strings.Repeat("null,", 2*mib) + "null]",
		"numbers":        "[" + strings.Repeat("1,", 8*mib) + "1]",
	} {
		require.ErrorIs(t, CheckCost([]byte(text)), ErrOutOfProportion, name)
	}
	for name, text := range map[string]string{
		"nothing":     "",
		"text":        `"` + strings.Repeat("x", 64*mib) + `"`,
		"few objects": "[" + strings.Repeat("{},", 50_000) + "{}]",
		"escapes":     `"` + strings.Repeat(`\u007b`, 8*mib) + `"`,
	} {
		require.NoError(t, CheckCost([]byte(text)), name)
	}
}

// TestCostOfWhatHubsSay: however often it is repeated, an answer of a Hub is in proportion. That of a
// deletion is not, and never repeated.
func TestCostOfWhatHubsSay(t *testing.T) {
	samples, err := filepath.Glob("../../testdata/responses/*.json")
	require.NoError(t, err)
	large := 0
	for _, file := range samples {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		if len(text) < 300 {
			continue
		}
		large++
		var c Cost
		_, _ = c.Write(text)
		factor := float64(c.size+costOfObject*c.objects+costOfElement*c.elements) / float64(c.size)
		assert.Less(t, factor, 14.0, file)
	}
	assert.Greater(t, large, 20)
}
