package promises

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write docs/promises.md again")

// TestDocumentationIsTrue compares docs/promises.md with the list, and the README with its length.
func TestDocumentationIsTrue(t *testing.T) {
	const file, begin = "../../../docs/promises.md", "| promise | what is believed | needed by | otherwise |\n"
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	head, _, found := strings.Cut(string(text), begin)
	require.True(t, found)
	var table strings.Builder
	table.WriteString(head + begin + "| --- | --- | --- | --- |\n")
	for _, p := range All() {
		name := "`" + p.Name + "`"
		if p.Writes {
			name += " (w)"
		}
		fmt.Fprintf(&table, "| %s | %s | %s | %s |\n", name, p.Belief, p.Needs, p.Otherwise)
	}
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(table.String()), 0o600))
		return
	}
	assert.Equal(t, table.String(), string(text), "go test -update ./examples/internal/promises writes it again")

	readme, err := os.ReadFile("../../../README.md")
	require.NoError(t, err)
	assert.Contains(t, string(readme), fmt.Sprintf("| %d | 0 | 0 |", len(All())), "the README says how many promises were held")
}
