//go:build parity

package parity

import (
	"fmt"
	"os"
	"regexp"
	"strings"
)

const documentPath = "../../docs/differences.md"

// row is a row of a table in docs/differences.md: the quoted names in its first column, the second
// and the last.
type row struct {
	names []string
	where string
	why   string
}

var quoted = regexp.MustCompile("`([^`]+)`")

// table reads the table below a heading.
func table(heading string) ([]row, error) {
	text, err := os.ReadFile(documentPath)
	if err != nil {
		return nil, err
	}
	_, section, _ := strings.Cut(string(text), "\n## "+heading+"\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var rows []row
	for line := range strings.Lines(section) {
		if !strings.HasPrefix(line, "|") {
			continue
		}
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		var names []string
		for _, m := range quoted.FindAllStringSubmatch(cells[0], -1) {
			names = append(names, m[1])
		}
		if len(names) > 0 && len(cells) > 1 {
			rows = append(rows, row{names, strings.TrimSpace(cells[1]), strings.TrimSpace(cells[len(cells)-1])})
		}
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("%s has no table below %q", documentPath, heading)
	}
	return rows, nil
}
