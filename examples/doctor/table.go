package main

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"strings"
	"time"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/examples/internal/promises"
)

// table prints a line a step.
type table struct {
	out io.Writer
	all bool
}

func (t *table) print(line Line) {
	if line.detail && !t.all {
		return
	}
	took := ""
	if line.Took > 0 {
		took = fmt.Sprintf("%.1f ms", line.Took)
	}
	_, _ = fmt.Fprintf(t.out, "%-6s %-37s %9s  %s\n", line.Status, line.Check, took, line.Seen)
	if line.Advice != "" {
		_, _ = fmt.Fprintf(t.out, "%54s  -> %s\n", "", line.Advice)
	}
}

// end says how many lines are not fine.
func (t *table) end(lines []Line) {
	var wrong []string
	for i := range lines {
		if lines[i].Status == Wrong {
			wrong = append(wrong, lines[i].Check)
		}
	}
	if len(wrong) == 0 {
		_, _ = fmt.Fprintln(t.out, "\nAll is fine.")
		return
	}
	_, _ = fmt.Fprintf(t.out, "\nNot fine: %s.\n", strings.Join(wrong, ", "))
}

// report is what goes into a bug report.
type report struct {
	Version  string            `json:"version"` // of this library
	Go       string            `json:"go"`
	System   string            `json:"system"`
	Time     time.Time         `json:"time"`
	Embedded bool              `json:"embedded"` // no account: the Hub is codertest's
	Write    bool              `json:"write"`
	Fine     bool              `json:"fine"`
	Lines    []Line            `json:"lines"`
	Promises []promises.Result `json:"promises"`
}

func writeJSON(out io.Writer, d *doctor) error {
	r := report{
		Version: coder.Version, Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH, Time: time.Now().UTC(),
		Embedded: d.embedded != nil, Write: d.write, Fine: d.wrong() == 0, Promises: []promises.Result{},
	}
	for _, line := range d.lines {
		if !strings.HasPrefix(line.Check, "promise ") {
			r.Lines = append(r.Lines, line)
		}
	}
	if d.results != nil {
		for _, result := range d.results.Results {
			result.Seen = d.foreign(result.Seen)
			r.Promises = append(r.Promises, result)
		}
	}
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(r)
}
