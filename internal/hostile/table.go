package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

const (
	kilo = 1_000
	mega = kilo * kilo

	begin = "<!-- hostile: written by make hostile -->"
	end   = "<!-- hostile: end -->"
)

// row is a way with what was measured.
type row struct {
	way
	said string
	peak int64 // bytes beyond what a modest answer takes
}

func (r row) isOver() bool { return r.bound > 0 && r.peak > r.bound }

func (r row) String() string {
	bound, verdict := "none promised", ""
	if r.bound > 0 {
		bound = megabytes(r.bound)
	}
	if r.isOver() {
		verdict = " **too much**"
	}
	sent := "without end"
	if r.size > 0 {
		sent = megabytes(r.size)
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s%s |", r.title, sent, r.said, bound, megabytes(r.peak), verdict)
}

func megabytes(n int64) string {
	if n < 10*mega {
		return fmt.Sprintf("%.1f MB", float64(n)/mega)
	}
	return fmt.Sprintf("%d MB", (n+mega/2)/mega)
}

// table is the table in Markdown, and what a modest answer takes.
func table(rows []row, base int64) string {
	var b strings.Builder
	b.WriteString("| way | sent | what the library said | bound | peak |\n| --- | ---: | --- | ---: | ---: |\n")
	for _, r := range rows {
		b.WriteString(r.String() + "\n")
	}
	fmt.Fprintf(&b, "\nA process that makes one small call peaks at %s.\n", megabytes(base))
	return b.String()
}

var errNoMarkers = errors.New("the document lacks the comments between which the table stands")

// between puts text between the two markers.
func between(document, text string) (string, error) {
	before, rest, found := strings.Cut(document, begin)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		return "", errNoMarkers
	}
	return before + begin + "\n\n" + text + "\n" + end + after, nil
}

func write(document, text string) error {
	old, err := os.ReadFile(document) //nolint:gosec // the document that was asked for
	if err != nil {
		return err
	}
	changed, err := between(string(old), text)
	if err != nil {
		return err
	}
	return os.WriteFile(document, []byte(changed), 0o644) //nolint:gosec // a document is for everybody
}

// parsePeak reads VmHWM in /proc/self/status: the most memory that a process has had, in bytes.
func parsePeak(status string) (int64, error) {
	for line := range strings.Lines(status) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			value, ok = strings.CutSuffix(strings.TrimSpace(value), " kB")
			n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
			if !ok || err != nil {
				return 0, fmt.Errorf("cannot read %q", line)
			}
			return n << 10, nil
		}
	}
	return 0, errors.New("there is no VmHWM: this needs Linux")
}
