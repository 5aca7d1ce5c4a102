package main

import (
	"context"
	"fmt"

	"github.com/agentuity/coder-go/internal/drift"
)

// mostDrift is how many differences get a line of their own.
const mostDrift = 20

// drifted tells where the answers and messages of this run differ from what the library knows.
func (d *doctor) drifted(context.Context) bool {
	findings := d.drift.Findings()
	if len(findings) == 0 {
		d.add(Line{Check: "drift", Status: OK, Seen: "the library knows everything that came"})
		return true
	}
	for i, f := range findings {
		if i == mostDrift {
			d.add(Line{Check: "drift", Status: Note, Seen: fmt.Sprintf("and %d more", len(findings)-i), Advice: "-json has them all."})
		}
		line := Line{Check: "drift", Status: Note, Seen: fmt.Sprintf("%s: %s: %s", f.Where, f.Path, f.Kind), detail: i >= mostDrift}
		if f.Path == "" {
			line.Seen = fmt.Sprintf("%s: %s", f.Where, f.Kind)
		}
		if f.Value != "" {
			line.Seen += ": " + f.Value
		}
		line.Seen = d.foreign(line.Seen) + fmt.Sprintf(" (%d times)", f.Count)
		line.Advice = "The Hub is newer than this library, which keeps it as it came: update the library, or report it with -json."
		if f.Kind == drift.WrongKind {
			line.Status = Wrong
			line.Advice = "The library cannot read it, and leaves the member at its zero value: update the library, or report it with -json."
		}
		d.add(line)
	}
	return true
}
