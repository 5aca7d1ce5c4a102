package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/agentuity/coder-go/examples/internal/transcript"
)

// clean takes out of a text of others what is no text: colours of terminals, control characters, and marks that turn the
// direction of writing.
func clean(text string) string {
	return transcript.Clean(lineEnds.Replace(colours.ReplaceAllString(text, "")))
}

var (
	colours  = regexp.MustCompile(`\x1b\[[\x30-\x3f]*[\x20-\x2f]*[\x40-\x7e]`)
	lineEnds = strings.NewReplacer("\r\n", "\n", "\r", "\n")
)

// line is a text of others in one line.
func line(text string) string { return strings.Join(strings.Fields(clean(text)), " ") }

// passage is a text that may be cut in the middle.
type passage struct {
	Text string
	Left int    // how many characters are left out behind Text
	Rest string // what follows them
}

func (p passage) size() int { return len(p.Text) + len(p.Rest) }

// Cut says what is left out.
func (p passage) Cut() string {
	return fmt.Sprintf("%s left out here; -full keeps them", plural(p.Left, "character", "characters"))
}

// Lines says how long a passage is.
func (p passage) Lines() string {
	n := strings.Count(p.Text, "\n") + 1
	switch {
	case p.Left > 0:
		return "cut"
	case p.Text == "":
		return "empty"
	}
	return plural(n, "line", "lines")
}

// The limits of what is shown without -full, in bytes: a text is cut if it is longer than longest. Its end often says more than
// its middle.
const (
	longest = 20_000
	kept    = 12_000
	ending  = 4_000
)

// trimmed is a clean text without the lines before and after it.
func trimmed(text string) string {
	return strings.TrimRight(strings.TrimLeft(clean(text), "\n"), " \t\n")
}

// cut takes out the middle of a long text.
func cut(text string, full bool) passage {
	if full || len(text) <= longest {
		return passage{Text: text}
	}
	first, last := kept, len(text)-ending
	for !utf8.RuneStart(text[first]) {
		first--
	}
	for !utf8.RuneStart(text[last]) {
		last++
	}
	return passage{text[:first], utf8.RuneCountInString(text[first:last]), text[last:]}
}

// written is the value of an argument as text: a text as it is, since a command or a file is unreadable as JSON.
func written(value any) string {
	if text, isText := value.(string); isText {
		return text
	}
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(value) // it comes from JSON
	return b.String()
}

// address is a URL without what may be secret in it: user, password and query.
func address(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return ""
	}
	return line((&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String())
}

// duration is a time for people: 84 ms, 1.2 s, 3 min 4 s, 2 h 5 min.
func duration(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%s h %d min", grouped(int64(d.Hours())), int(d.Minutes())%60)
}

// plural is a number of things.
func plural(n int, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return grouped(int64(n)) + " " + more
}

// size is a number of bytes for people.
func size(n int64) string {
	switch {
	case n < 1000:
		return plural(int(n), "byte", "bytes")
	case n < 1_000_000:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	default:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
}

// grouped writes a number with a comma before each three digits.
func grouped(n int64) string {
	text := strconv.FormatInt(n, 10)
	first := 0
	if n < 0 {
		first = 1
	}
	for i := len(text) - 3; i > first; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
