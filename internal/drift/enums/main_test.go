package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestGeneratedValuesAreUpToDate(t *testing.T) {
	found, err := read("../../..")
	require.NoError(t, err)
	require.Equal(t, []string{`"sandbox"`, `"tui"`}, found.values["SessionMode"])
	require.Equal(t, "BlockType", found.fields["ContentBlock.Type"], "a field that is a string to reflection")
	require.NotContains(t, found.fields, "SessionListItem.Mode", "reflection sees the type of it")
	want, err := found.generate()
	require.NoError(t, err)
	got, err := os.ReadFile(filepath.Join("../../..", output))
	require.NoError(t, err)
	assert.True(t, bytes.Equal(want, got), "run go generate: a constant or a field of an enumeration has changed")
}
