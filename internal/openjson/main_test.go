package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestGeneratedMethodsAreUpToDate(t *testing.T) {
	types, err := openTypes("../..")
	require.NoError(t, err)
	require.Subset(t, types, []string{"SavedSkill", "SessionListItem", "Session", "CustomAgent"}, "with an Extra, and embedding one")
	require.NotContains(t, types, "SessionOrigin", "its methods are written by hand")
	want, err := generate(types)
	require.NoError(t, err)
	got, err := os.ReadFile(filepath.Join("../..", output))
	require.NoError(t, err)
	assert.Equal(t, string(want), string(got), "run go generate: an open type was added, renamed or removed")
}
