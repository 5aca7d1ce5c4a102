package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// line is a row of the table, by column.
type line []string

// columns are those of the table: one for each Go version, and one for instructions if they could be counted.
func (r *runner) columns(counted bool) line {
	header := line{"what", "goal"}
	for _, t := range r.toolchains {
		header = append(header, strings.Replace(t.version, "go", "Go ", 1))
	}
	if counted {
		header = append(header, "by instructions")
	}
	return append(header, "verdict", "for comparison")
}

// newLine makes a line of what the Go versions have measured. The last is held against the goal. counted:
// there is a column for instructions.
func newLine(r row, found [][]round, counted bool) line {
	newest := found[len(found)-1]
	cells := line{r.what, r.goal.String()}
	for _, rounds := range found {
		cells = append(cells, spread(valuesOf(r.is, rounds), r.goal.unit))
	}
	verdict := r.goal.judge(r.is, newest)
	if counted {
		instructions := ""
		if rounds, ok := byInstructions(r.is, newest); ok {
			instructions = medians(r.is, withInstructions(found), r.goal.unit)
			g := r.goal
			g.time = false // counted, whatever the neighbours do
			verdict += "; by instructions " + g.judge(r.is, rounds)
		}
		cells = append(cells, instructions)
	}
	var compared []string
	for _, c := range r.compare {
		if c.run != "" {
			compared = append(compared, c.label+" "+newest[0][c.run].Failure)
			continue
		}
		compared = append(compared, c.label+" "+medians(c.is, found, c.unit))
	}
	return append(cells, verdict, strings.Join(compared, "; "))
}

func withInstructions(found [][]round) (counted [][]round) {
	for _, rounds := range found {
		rounds, _ := byInstructions(func(round) float64 { return 0 }, rounds)
		counted = append(counted, rounds)
	}
	return counted
}

// medians are those of the Go versions, one for all if they look the same.
func medians(is figure, found [][]round, unit string) string {
	var texts []string
	for _, rounds := range found {
		texts = append(texts, bare64(median(valuesOf(is, rounds)), unit))
	}
	text := strings.Join(slices.Compact(texts), " / ")
	if unit != "" {
		text += " " + unit
	}
	return text
}

// spread is the median with the smallest and the largest, unless they are the same.
func spread(values []float64, unit string) string {
	least, most := bare64(slices.Min(values), unit), bare64(slices.Max(values), unit)
	if least == most {
		return number64(median(values), unit)
	}
	return fmt.Sprintf("%s (%s to %s)", number64(median(values), unit), least, most)
}

func number64(v float64, unit string) string {
	if unit == "" {
		return bare64(v, unit)
	}
	return bare64(v, unit) + " " + unit
}

// bare64 is a number without its unit.
func bare64(v float64, unit string) string {
	switch {
	case math.IsNaN(v):
		return "?"
	case (unit == "×" || unit == "s") && v < 10:
		return strconv.FormatFloat(v, 'f', 2, 64)
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	default:
		return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0")
	}
}

// printTable prints Markdown that reads well in a terminal too.
func printTable(w io.Writer, rows []line) error {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], len([]rune(cell)))
		}
	}
	var b strings.Builder
	for n, row := range rows {
		for i, cell := range row {
			b.WriteString("| " + cell + strings.Repeat(" ", widths[i]-len([]rune(cell))) + " ")
		}
		b.WriteString("|\n")
		if n == 0 {
			b.WriteString(strings.Repeat("| --- ", len(row)) + "|\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
