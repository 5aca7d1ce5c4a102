package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// verdict is how a task ended, in a word.
func (r *result) verdict() string {
	if r.Succeeded {
		return "done"
	}
	return strings.ReplaceAll(string(r.Outcome), "_", " ")
}

// remark is what else there is to say, in a line: why it did not end well, or what the agent has answered.
func (r *result) remark() string {
	var said []string
	switch {
	case r.Reason != "": // also of a task that has ended well, and whose answer could not be read
		said = append(said, oneLine(r.Reason))
	case r.Succeeded && r.Answer != "":
		said = append(said, firstLine(r.Answer))
	}
	if r.Archived {
		said = append(said, "its session was archived")
	}
	if r.Truncated {
		said = append(said, "the answer is cut off")
	}
	if len(r.NotEnforced) > 0 {
		said = append(said, "not enforced: the limit of "+strings.Join(r.NotEnforced, " and "))
	}
	return strings.Join(said, "; ")
}

// summarize writes a line for each task, and one for all of them.
func summarize(out io.Writer, results []*result, took time.Duration) {
	_, _ = fmt.Fprintf(out, "\n%-11s %8s %6s %10s %9s  %s\n", "OUTCOME", "DURATION", "CALLS", "TOKENS", "COST", "TASK")
	var total spent
	begun, well, notBegun := 0, 0, 0
	for _, r := range results {
		if r.Outcome == outcomeNotBegun {
			notBegun++
		} else {
			begun++
			total.add(r.spent)
		}
		if r.Succeeded {
			well++
		}
		duration := ""
		if r.Outcome != outcomeNotBegun {
			duration = clock(r.duration())
		}
		text := fmt.Sprintf("%-11s %8s %6s %10s %9s  %s", r.verdict(), duration, number(r.ToolCalls), number(r.Tokens), r.cost(), column(oneLine(r.title()), 30))
		if r.SessionID != "" {
			text += "  " + oneLine(r.SessionID)
		}
		if r.earlier {
			text += "  (earlier)"
		}
		_, _ = fmt.Fprintln(out, strings.TrimRight(text, " "))
		if remark := r.remark(); remark != "" {
			_, _ = fmt.Fprintf(out, "%50s%s\n", "", fit(remark, longest))
		}
	}
	text := fmt.Sprintf("%d of %d tasks ended well", well, len(results))
	if bad := begun - well; bad > 0 {
		text += fmt.Sprintf(", %d did not", bad)
	}
	if notBegun > 0 {
		text += fmt.Sprintf(", %d not begun", notBegun)
	}
	text += "; " + clock(took)
	if used := total.words(); begun > 0 && used != "" {
		text += "; " + used
	}
	_, _ = fmt.Fprintf(out, "\n%s\n", text)
}

// words names what is known.
func (s *spent) words() string {
	var parts []string
	if s.ToolCalls != nil {
		parts = append(parts, count(s.ToolCalls, "tool call"))
	}
	if s.Tokens != nil {
		parts = append(parts, count(s.Tokens, "token"))
	}
	if s.CostUSD != nil {
		parts = append(parts, s.cost())
	}
	return strings.Join(parts, ", ")
}

// cost is what is known of the price.
func (s *spent) cost() string {
	if s.CostUSD == nil {
		return "-"
	}
	text := fmt.Sprintf("$%.2f", *s.CostUSD)
	if *s.CostUSD < 0.1 {
		text = fmt.Sprintf("$%.4f", *s.CostUSD)
	}
	if s.CostIsMore {
		text = "≥" + text
	}
	return text
}

// count writes a number of things.
func count(n *int64, thing string) string {
	if *n != 1 {
		thing += "s"
	}
	return number(n) + " " + thing
}

// number writes 12345 as 12,345.
func number(n *int64) string {
	if n == nil {
		return "-"
	}
	text := strconv.FormatInt(*n, 10)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}

// clock writes how long something took, in a few characters.
func clock(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%.1fs", d.Truncate(100*time.Millisecond).Seconds())
	}
	d = d.Truncate(time.Second)
	hours, minutes, seconds := int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60
	if hours > 0 {
		return fmt.Sprintf("%dh%02dm", hours, minutes)
	}
	return fmt.Sprintf("%dm%02ds", minutes, seconds)
}
