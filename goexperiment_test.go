package coder

import (
	"go/build/constraint"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestBuildConstraints: the methods are for Go before 1.27, and each of the two combinations of Go
// and GOEXPERIMENT with which Extra would be lost has a file that does not compile.
func TestBuildConstraints(t *testing.T) {
	for file, want := range map[string]map[string]bool{
		"zz_json.go":               {"1.26": true, "1.26 jsonv2": true, "1.27": false, "1.27 jsonv2": false, "1.28": false},
		"goexperiment_jsonv2.go":   {"1.26": false, "1.26 jsonv2": true, "1.27": false, "1.27 jsonv2": false, "1.28": false},
		"goexperiment_nojsonv2.go": {"1.26": false, "1.26 jsonv2": false, "1.27": true, "1.27 jsonv2": true, "1.28": true},
		"internal/wire/go127.go":   {"1.26": false, "1.27": true, "1.28": true},
		"internal/wire/go126.go":   {"1.26": true, "1.27": false, "1.28": false},
	} {
		source, err := os.ReadFile(file)
		require.NoError(t, err)
		var expr constraint.Expr
		for line := range strings.Lines(string(source)) {
			if constraint.IsGoBuild(line) {
				expr, err = constraint.Parse(strings.TrimSpace(line))
				require.NoError(t, err)
			}
		}
		require.NotNil(t, expr, file)
		for setup, want := range want {
			version, experiment, _ := strings.Cut(setup, " ")
			got := expr.Eval(func(tag string) bool {
				if minor, ok := strings.CutPrefix(tag, "go1."); ok {
					return minor <= strings.TrimPrefix(version, "1.") // both have two digits
				}
				return tag == "goexperiment."+experiment
			})
			assert.Equal(t, want, got, "%s with Go %s", file, setup)
		}
	}
}
