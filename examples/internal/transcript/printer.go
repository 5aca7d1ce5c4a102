package transcript

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode"
)

// Printer writes lines, and text that comes in pieces between them, to a terminal where somebody may be typing. It is
// safe for concurrent use, and writes no control characters of others: they could do anything to a terminal.
type Printer struct {
	mu      sync.Mutex
	out     io.Writer
	inLine  bool   // the cursor is not at the beginning of a line
	begun   string // the line that Finish may go on with; empty: there is none
	marker  string // what stands before the user's next line; empty: it is not the user's turn
	waiting bool   // the cursor is behind the marker
}

// NewPrinter returns a Printer that writes to out. It ignores errors: there is nobody to tell.
func NewPrinter(out io.Writer) *Printer { return &Printer{out: out} }

// Line writes a line of its own. Further lines that args bring along are indented, so that none of them can be taken for
// one of the program's.
func (p *Printer) Line(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.line(fmt.Sprintf(format, args...))
	p.rest()
}

// Turn says whether the next line is the user's, and what stands before it. Empty: it is not.
func (p *Printer) Turn(marker string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting && p.marker != marker {
		p.endLine()
	}
	p.marker = marker
	p.rest()
}

// Typed says that the user has typed a line, which the terminal has shown.
func (p *Printer) Typed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inLine, p.waiting, p.begun, p.marker = false, false, "", ""
}

// End ends the line that the cursor is in.
func (p *Printer) End() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.marker = ""
	p.endLine()
}

// The methods below are called with the mutex held.

func (p *Printer) line(text string) {
	p.endLine()
	p.write(indent(text) + "\n")
}

// text goes on with what somebody says.
func (p *Printer) text(text string) {
	text = Clean(text)
	if text == "" {
		return
	}
	if p.waiting || p.begun != "" {
		p.endLine()
	}
	p.write(text)
	p.inLine = !strings.HasSuffix(text, "\n")
}

// begin begins a line that finish ends.
func (p *Printer) begin(text string) {
	p.endLine()
	p.write(indent(text))
	p.inLine, p.begun = true, text
}

// finish ends the line that begins with a text, or repeats it if something else was written meanwhile.
func (p *Printer) finish(text, end string) {
	if p.begun != text || text == "" {
		p.line(text + end)
		return
	}
	p.write(indent(end) + "\n")
	p.inLine, p.begun = false, ""
}

// rest shows the marker, unless somebody is in the middle of a line.
func (p *Printer) rest() {
	if p.marker == "" || p.inLine {
		return
	}
	p.write(p.marker)
	p.inLine, p.waiting = true, true
}

func (p *Printer) endLine() {
	if p.inLine {
		p.write("\n")
	}
	p.inLine, p.waiting, p.begun = false, false, ""
}

func (p *Printer) write(text string) { _, _ = p.out.Write([]byte(text)) }

func indent(text string) string {
	text = strings.TrimRightFunc(Clean(text), unicode.IsSpace)
	return strings.ReplaceAll(text, "\n", "\n  ")
}

// Clean drops everything but visible characters, spaces, tabs and newlines.
func Clean(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsGraphic(r) || r == '\n' || r == '\t' {
			return r
		}
		return -1
	}, text)
}
