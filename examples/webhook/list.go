package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// printJobs prints the table of jobs, oldest first.
func printJobs(out io.Writer, jobs []*job) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "STATE\tREPOSITORY\tNUMBER\tSESSION\tOUTCOME\tTOOK\tREASON")
	for _, j := range jobs {
		took := "-"
		if !j.ended.IsZero() {
			took = j.ended.Sub(j.received).Round(10 * time.Millisecond).String()
		}
		fmt.Fprintf(table, "%s\t%s\t%d\t%s\t%s\t%s\t%s\n", j.state, j.repository, j.number, orDash(j.session), orDash(j.outcome), took,
			shorten(printable(j.reason), 80))
	}
	return table.Flush()
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return printable(text)
}

// printable makes a text from elsewhere fit for one line of a terminal.
func printable(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == ' ' }), " ")
}
