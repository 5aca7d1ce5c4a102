package reallead

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The versions of the agent, and the ways in which it leads. Each pair is a column of the table.
var (
	versions = []string{"0.74.2", "1.6.0"}
	channels = []string{byExtension, byDriver}
)

const (
	byExtension = "extension" // it joins by itself, with the published extension
	byDriver    = "RPC"       // a driver joins, and starts it in its RPC mode
)

// The rows of the table.
var scenarioNames = []string{
	"answer", "task", "tools", "thinking", "long answer", "error, retried", "error, in vain", "error, final",
	"abort in text", "abort in a tool", "steer", "follow-up", "prompt while busy", "sub-agent", "question",
	"lead reconnects", "new session", "quit in the middle", "remote controller",
}

// The rows of the table of what is asked.
var inquiryNames = []string{
	"answer", "tools", "thinking", "long answer", "error, retried", "error, in vain", "error, final",
	"abort in text", "abort in a tool", "steer", "follow-up", "prompt while busy", "sub-agent", "question", "question to nobody",
	"new session", "quit in the middle",
}

// The rows of the table of what is asked while the Hub restarts.
var restartNames = []string{"answer goes on meanwhile", "answer goes on after", "tool goes on meanwhile", "prompt waits", "question", "asked afterwards"}

const notPossible = "–"

func column(version, channel string) string { return "Pi " + version + ", " + channel }

// documentedTable returns the cells of a table of docs/real-agent.md by row and column. The table is that whose first
// column has this name.
func documentedTable(t testing.TB, name string) map[string]map[string]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/real-agent.md")
	require.NoError(t, err)
	rows := make(map[string]map[string]string)
	var columns []string
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case !strings.HasPrefix(line, "|"):
			if len(rows) > 0 {
				return rows
			}
		case columns == nil && cells[0] != name, cells[0] == "---":
		case columns == nil:
			columns = cells
		default:
			require.Len(t, cells, len(columns), line)
			row := make(map[string]string)
			for i, name := range columns[1:] {
				row[name] = cells[i+1]
			}
			rows[cells[0]] = row
		}
	}
	require.NotEmpty(t, rows)
	return rows
}

// TestDocumentationNamesWhatIsTested: the table has a row for each scenario and a column for each version and channel.
// That the cells are true is asserted by `make lead`.
func TestDocumentationNamesWhatIsTested(t *testing.T) {
	assertDocumented(t, "scenario", scenarioNames)
	assertDocumented(t, "prompt", inquiryNames)
	assertDocumented(t, "restart", restartNames)
}

func assertDocumented(t *testing.T, table string, names []string) {
	t.Helper()
	rows := documentedTable(t, table)
	assert.Len(t, rows, len(names))
	for _, name := range names {
		row, found := rows[name]
		assert.True(t, found, "docs/real-agent.md has a row for %s", name)
		assert.Len(t, row, len(versions)*len(channels), name)
		for _, version := range versions {
			for _, channel := range channels {
				cell := row[column(version, channel)]
				assert.NotEmpty(t, cell, "%s, %s", name, column(version, channel))
				assert.NotContains(t, cell, "FAILED", "%s, %s", name, column(version, channel))
			}
		}
	}
}
