package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
)

// progress shows what is going on: a line for each beginning and each end. On a terminal there is a table of the tasks at work
// below the lines, in the place of those for beginnings.
type progress struct {
	out   io.Writer
	size  func() (columns, lines int) // nil: out is no terminal
	total int
	stop  func() // takes the table away

	mu     sync.Mutex
	began  time.Time
	rows   []*row
	ended  int // in earlier runs too
	failed int
	spent  *spent // nil: nothing has ended
	drawn  string // the table on the screen
}

// redraw is how often the table is drawn.
const redraw = 250 * time.Millisecond

// start begins to show the tasks of a plan.
func (p *progress) start(results []*result) {
	p.began, p.total, p.stop = time.Now(), len(results), func() {}
	for _, r := range results {
		if r != nil {
			p.count(r)
		}
	}
	if p.ended > 0 {
		p.note(fmt.Sprintf("%d of %d tasks had ended in an earlier run", p.ended, p.total))
	}
	if p.size == nil {
		return
	}
	ticker, done := time.NewTicker(redraw), make(chan struct{})
	var drawing sync.WaitGroup
	drawing.Go(func() {
		for {
			select {
			case <-ticker.C:
				p.mu.Lock()
				p.draw("", p.table())
				p.mu.Unlock()
			case <-done:
				return
			}
		}
	})
	p.stop = func() {
		ticker.Stop()
		close(done)
		drawing.Wait()
		p.mu.Lock()
		defer p.mu.Unlock()
		p.draw("", "")
	}
}

// begin shows that a task begins.
func (p *progress) begin(number int, t *task) *row {
	r := &row{number: number, title: oneLine(t.title()), began: time.Now()}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rows = append(p.rows, r)
	slices.SortFunc(p.rows, func(a, b *row) int { return a.number - b.number })
	if p.size == nil {
		p.line(p.about("begins", r, ""))
	}
	return r
}

// end shows what a task came to.
func (p *progress) end(row *row, r *result) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at := slices.Index(p.rows, row); at >= 0 {
		p.rows = slices.Delete(p.rows, at, at+1)
	}
	p.count(r)
	text := p.about(r.verdict(), row, clock(r.duration()))
	if remark := r.remark(); remark != "" {
		text += ": " + remark
	}
	p.line(text)
}

// note shows a line about the program.
func (p *progress) note(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.line("fleet: " + oneLine(text))
}

// The methods below are called with the mutex held.

func (p *progress) count(r *result) {
	p.ended++
	if !r.Succeeded {
		p.failed++
	}
	if p.spent == nil {
		p.spent = new(spent)
	}
	p.spent.add(r.spent)
}

// about begins a line about a task.
func (p *progress) about(what string, r *row, took string) string {
	return fmt.Sprintf("%*d/%d  %-11s %7s  %s", len(fmt.Sprint(p.total)), r.number, p.total, what, took, fit(r.title, 60))
}

// longest is how much of a line is written where nothing is known of the width.
const longest = 240

// line writes a line, above the table.
func (p *progress) line(text string) {
	columns := longest + 1
	if p.size != nil {
		columns, _ = p.size()
	}
	table := ""
	if p.drawn != "" {
		table = p.table()
	}
	p.draw(fit(text, columns-1)+"\n", table)
}

// draw draws a table in the place of the one that is there, and a line above it, all at once so that nothing flickers.
func (p *progress) draw(line, table string) {
	if line == "" && table == p.drawn {
		return
	}
	erase := ""
	if up := p.height(p.drawn); up > 0 {
		erase = fmt.Sprintf("\x1b[%dA\r\x1b[J", up) // up, to the beginning of the line, and clear all below
	}
	_, _ = io.WriteString(p.out, erase+line+table)
	p.drawn = table
}

// height is how many lines of the screen a table takes. One that has become narrower breaks lines.
func (p *progress) height(table string) (lines int) {
	if table == "" {
		return 0
	}
	columns, _ := p.size()
	for line := range strings.Lines(table) {
		lines += max(1, (cells(strings.TrimSuffix(line, "\n"))+columns-1)/columns)
	}
	return lines
}

// table is as wide as the screen, less the last column, after which some terminals begin a new line; and as high at most, less
// the line that the cursor is in.
func (p *progress) table() string {
	columns, height := p.size()
	width := columns - 1
	room := height - 2 // below the totals
	if room < 0 {
		return ""
	}
	lines := []string{p.totals()}
	shown := p.rows
	if len(shown) > room {
		shown = shown[:max(room-1, 0)]
	}
	title := min(max(width/3, 10), 40)
	for _, r := range shown {
		lines = append(lines, fmt.Sprintf("%*d/%d %7s %5s  %s  %s", len(fmt.Sprint(p.total)), r.number, p.total, clock(time.Since(r.began)),
			fmt.Sprintf("×%d", r.toolCalls()), column(r.title, title), oneLine(r.now())))
	}
	if more := len(p.rows) - len(shown); more > 0 && room > 0 {
		lines = append(lines, fmt.Sprintf("and %d more at work", more))
	}
	var b strings.Builder
	for _, line := range lines {
		b.WriteString(fit(line, width) + "\n")
	}
	return b.String()
}

// totals says how far it is.
func (p *progress) totals() string {
	text := fmt.Sprintf("%d of %d ended", p.ended, p.total)
	if p.failed > 0 {
		text += fmt.Sprintf(", %d not well", p.failed)
	}
	text += fmt.Sprintf("; %d at work; %s", len(p.rows), clock(time.Since(p.began)))
	if p.spent != nil {
		if used := p.spent.words(); used != "" {
			text += "; " + used
		}
	}
	return text
}
