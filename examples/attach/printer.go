package main

import (
	"fmt"
	"io"
	"strings"
	"unicode"
)

// printer writes what happens. Text that the agent produces is written as it comes, between lines.
// It writes no control characters of others: they could do anything to the terminal.
type printer struct {
	out    io.Writer
	inLine bool   // the cursor is not at the beginning of a line
	marker string // what the cursor stands behind, waiting for input; empty if it does not
}

// line writes a line of its own. Further lines that args bring along are indented, so that none of
// them can be taken for one of the program's.
func (p *printer) line(format string, args ...any) {
	p.endLine()
	text := strings.TrimRightFunc(fmt.Sprintf(format, args...), unicode.IsSpace)
	p.write(clean(strings.ReplaceAll(text, "\n", "\n  ")) + "\n")
}

// text goes on with what the agent says.
func (p *printer) text(text string) {
	text = clean(text)
	if text == "" {
		return
	}
	if p.marker != "" {
		p.endLine()
	}
	p.write(text)
	p.inLine = !strings.HasSuffix(text, "\n")
}

// inText reports whether the agent is in the middle of a line.
func (p *printer) inText() bool { return p.inLine && p.marker == "" }

// await shows that the next line is the user's.
func (p *printer) await(marker string) {
	if p.marker == marker {
		return
	}
	p.endLine()
	p.write(marker)
	p.inLine, p.marker = true, marker
}

// typed notes that the user has typed a line, which the terminal has shown.
func (p *printer) typed() { p.inLine, p.marker = false, "" }

func (p *printer) endLine() {
	if p.inLine {
		p.write("\n")
	}
	p.inLine, p.marker = false, ""
}

// write ignores errors: there is nobody to tell, and a terminal that is gone ends the input as well.
func (p *printer) write(text string) { _, _ = io.WriteString(p.out, text) }

// clean drops everything but visible characters, spaces, tabs and newlines.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsGraphic(r) || r == '\n' || r == '\t' {
			return r
		}
		return -1
	}, text)
}
