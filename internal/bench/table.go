package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// line is a row with what was measured.
type line struct {
	what, goal, measured, verdict, compare string
}

func newLine(r row, rounds []round) line {
	values := valuesOf(r.is, rounds)
	met := 0
	for _, v := range values {
		if v <= r.goal.most {
			met++
		}
	}
	verdict := "missed"
	if r.goal.worst && met == len(values) || !r.goal.worst && median(values) <= r.goal.most {
		verdict = "met"
	}
	if met > 0 && met < len(values) {
		verdict += fmt.Sprintf(" (%d of %d rounds met it)", met, len(values))
	}
	var compared []string
	for _, c := range r.compare {
		if c.run != "" {
			compared = append(compared, c.label+" "+rounds[0][c.run].Failure)
			continue
		}
		compared = append(compared, c.label+" "+spread(valuesOf(c.is, rounds), c.unit))
	}
	return line{
		what:     r.what,
		goal:     "≤ " + number64(r.goal.most, r.goal.unit),
		measured: spread(values, r.goal.unit),
		verdict:  verdict,
		compare:  strings.Join(compared, "; "),
	}
}

func valuesOf(is figure, rounds []round) []float64 {
	values := make([]float64, len(rounds))
	for i, r := range rounds {
		values[i] = is(r)
	}
	return values
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// spread is the median with the smallest and the largest, unless they are the same.
func spread(values []float64, unit string) string {
	least, most := number64(slices.Min(values), ""), number64(slices.Max(values), "")
	if unit == "×" {
		least, most = ratioText(slices.Min(values)), ratioText(slices.Max(values))
	}
	if least == most {
		return number64(median(values), unit)
	}
	return fmt.Sprintf("%s (%s to %s)", number64(median(values), unit), least, most)
}

func number64(v float64, unit string) string {
	switch {
	case unit == "×":
		return ratioText(v) + " ×"
	case unit != "":
		return number64(v, "") + " " + unit
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	default:
		return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0")
	}
}

func ratioText(v float64) string {
	if v >= 10 {
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

// printTable prints Markdown that reads well in a terminal too.
func printTable(w io.Writer, machine string, lines []line) error {
	rows := [][]string{{"what", "goal", "measured", "verdict", "for comparison"}}
	for _, l := range lines {
		rows = append(rows, []string{l.what, l.goal, l.measured, l.verdict, l.compare})
	}
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], len([]rune(cell)))
		}
	}
	var b strings.Builder
	b.WriteString(machine + "\n\n")
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

// machine says where and with what it was measured.
func (r *runner) machine(ctx context.Context) string {
	node, err := exec.CommandContext(ctx, "node", "--version").Output()
	if err != nil {
		node = []byte("unknown")
	}
	return fmt.Sprintf("%s; %d cores, %s; %s, Node %s; %d rounds: median (smallest to largest); load at the end %s",
		time.Now().Format(time.DateOnly), runtime.NumCPU(), after("/proc/cpuinfo", "model name\t: ", "\n"), runtime.Version(),
		strings.TrimSpace(string(node)), r.rounds, after("/proc/loadavg", "", " "))
}

// after reads what stands behind a label in a file.
func after(file, label, end string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return "unknown"
	}
	_, rest, _ := strings.Cut(string(text), label)
	value, _, _ := strings.Cut(rest, end)
	return value
}
