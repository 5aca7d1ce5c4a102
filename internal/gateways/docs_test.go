package gateways

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// documentation is docs/gateways.md, which users read and which must say what is tested.
func documentation(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/gateways.md")
	require.NoError(t, err)
	return string(text)
}

// documentedMatrix returns the cells of the matrix by row, such as "nginx 1.22", and by column.
func documentedMatrix(t testing.TB) map[string]map[string]string {
	t.Helper()
	rows := make(map[string]map[string]string)
	var columns []string
	for line := range strings.Lines(documentation(t)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case !strings.HasPrefix(line, "|"), cells[0] == "---":
		case columns == nil:
			columns = cells
		default:
			require.Len(t, cells, len(columns), line)
			row := make(map[string]string)
			for i, column := range columns[1:] {
				row[column] = cells[i+1]
			}
			rows[cells[0]] = row
		}
	}
	require.NotEmpty(t, rows)
	return rows
}

// TestDocumentationNamesWhatIsTested: every gateway with its release has its row in the matrix, and there is
// no row besides. That the cells are true is asserted by TestMatrix.
func TestDocumentationNamesWhatIsTested(t *testing.T) {
	rows := documentedMatrix(t)
	assert.Len(t, rows, len(products))
	for _, p := range products {
		row, found := rows[p.row()]
		assert.True(t, found, "docs/gateways.md has a row for %s", p.row())
		for column, cell := range row {
			assert.NotEmpty(t, cell, "%s, %s", p.name, column)
			assert.NotContains(t, cell, "FAILED", "%s, %s", p.name, column)
		}
	}
}

var block = regexp.MustCompile("(?s)```[a-z]+\n(.*?)```")

// TestDocumentationHasTheTestedConfigurations: a configuration that is recommended is the one that was
// tested, to the letter.
func TestDocumentationHasTheTestedConfigurations(t *testing.T) {
	text := documentation(t)
	for _, p := range products {
		_, section, found := strings.Cut(text, "\n## "+p.name+"\n")
		if !assert.True(t, found, "docs/gateways.md has a section for %s", p.name) {
			continue
		}
		section, _, _ = strings.Cut(section, "\n## ")
		blocks := block.FindAllStringSubmatch(section, -1)
		if assert.Len(t, blocks, 1, "the section on %s has one configuration", p.name) {
			assert.Equal(t, p.configuration(t), blocks[0][1], "testdata/%s", p.config)
			assert.Contains(t, section, p.options, "the options of %s", p.name)
		}
	}
}
