package main

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestReport: the table has a row of everything that is measured, and the tree what a run was made of.
func TestReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		p := program{seed: 1, rate: 0.05, sessions: 12}
		require.NoError(t, p.run(t.Context(), &out))
		for name := range by {
			assert.Contains(t, out.String(), "| `"+name+"`, ")
		}
		for _, text := range []string{
			"\ninvoke_agent ", "\n  coder.EnsureSession ", "\n    POST /api/hub/session ", "\n  execute_tool read ", " attempt.failure=",
			"connection.change=`back`", "| `agentuity.coder.connection.active`, 2 series | operation=`Attach` | 0 |\n",
		} {
			assert.Contains(t, out.String(), text)
		}
		assert.NotContains(t, out.String(), "codesess_")
		assert.NotContains(t, out.String(), "%!")
	})
}

// TestReport_Calm: nothing is made to fail at a rate of 0.
func TestReport_Calm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		p := program{seed: 1, sessions: 3}
		require.NoError(t, p.run(t.Context(), &out))
		assert.Contains(t, out.String(), "3 jobs, of which 0 failed;")
		assert.Contains(t, out.String(), "of which 0 were made to fail")
		// A stream that the program leaves while it is being opened has an attempt that has ended.
		ended := strings.NewReplacer("attempt.failure=`ended`", "", "attempt.failure=ended\n", "\n")
		assert.NotContains(t, ended.Replace(out.String()), "attempt.failure")
	})
}
