package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestChange: what gremlins names is what stands there, of operators that begin alike the longer one.
func TestChange(t *testing.T) {
	for _, test := range []struct {
		source   string
		column   int
		kind     string
		from, to string
	}{
		{"if a <= b {", 6, "CONDITIONALS_BOUNDARY", "<=", "<"},
		{"if a <= b {", 6, "CONDITIONALS_NEGATION", "<=", ">"},
		{"if a < b {", 6, "CONDITIONALS_BOUNDARY", "<", "<="},
		{"if a != b {", 6, "CONDITIONALS_NEGATION", "!=", "=="},
		{"	a && b", 4, "INVERT_LOGICAL", "&&", "||"},
		{"n++", 2, "INCREMENT_DECREMENT", "++", "--"},
		{"x := -1", 6, "INVERT_NEGATIVES", "-", "+"},
		{"n -= 1", 3, "INVERT_ASSIGNMENTS", "-=", "+="},
		{"	continue", 2, "INVERT_LOOPCTRL", "continue", "break"},
		{"a % b", 3, "ARITHMETIC_BASE", "%", "*"},
	} {
		m := mutant{file: "a.go", line: 1, column: test.column, kind: test.kind, source: test.source}
		from, to, err := m.change()
		require.NoError(t, err, test.source)
		assert.Equal(t, [2]string{test.from, test.to}, [2]string{from, to}, test.source)
	}
	for _, m := range []mutant{{source: "a + b", column: 1, kind: "ARITHMETIC_BASE"}, {source: "a", column: 9, kind: "ARITHMETIC_BASE"}, {source: "a + b", column: 3, kind: "NEW"}} {
		_, _, err := m.change()
		require.Error(t, err, "%+v", m)
	}
}

// TestSurvivors: what lives must be named, and what is named must live.
func TestSurvivors(t *testing.T) {
	named, err := readSurvivors("# a comment\n\np/a.go | CONDITIONALS_BOUNDARY | if a «<» b | c { | both ways it is the same\n")
	require.NoError(t, err)
	known := mutant{file: "p/a.go", line: 3, column: 7, kind: "CONDITIONALS_BOUNDARY", source: "	if a < b | c {"}
	other := mutant{file: "p/a.go", line: 9, column: 7, kind: "CONDITIONALS_NEGATION", source: "	if a < b | c {"}
	unknown, stale := named.compare("p", []mutant{known, other})
	assert.Equal(t, []mutant{other}, unknown)
	assert.Empty(t, stale)
	_, stale = named.compare("p", nil)
	assert.Equal(t, named.keys, stale)
	_, stale = named.compare("pq", nil)
	assert.Empty(t, stale, "another package was tried")

	for _, bad := range []string{"p/a.go | KIND | line", "p/a.go | KIND | line | ", "p/a.go", "p | K | l | why\np | K | l | why"} {
		_, err := readSurvivors(bad)
		require.Error(t, err, bad)
	}
	_, err = readSurvivors(survivorsText)
	require.NoError(t, err)
}
