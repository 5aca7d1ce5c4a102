package main

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/agentuity/coder-go/examples/internal/transcript"
)

// What a text of others may take of a result, in bytes of JSON. A result holds its texts twice, as JSON for programs and as a text
// for models, and is to stay below 100 kB.
const (
	mostOfText   = 36_000
	mostOfTask   = 2_000
	mostOfError  = 2_000
	mostOfLine   = 200
	mostOfOption = 100
	mostOfWord   = 60
)

// weight is what a rune takes in JSON, where encoding/json writes it.
func weight(r rune) int {
	switch {
	case r == '"', r == '\\', r == '\n', r == '\r', r == '\t':
		return 2
	case r < ' ', r == '<', r == '>', r == '&', r == '\u2028', r == '\u2029':
		return 6
	}
	return utf8.RuneLen(r)
}

// size is what a text takes in JSON.
func size(text string) int {
	n := 0
	for _, r := range text {
		n += weight(r)
	}
	return n
}

// fits is how many bytes of a text fit into so many bytes of JSON. The text is valid UTF-8, as Clean leaves it.
func fits(text string, most int) int {
	for i, r := range text {
		if most -= weight(r); most < 0 {
			return i
		}
	}
	return len(text)
}

// cut is the beginning of a text, which says so if it is not all of it.
func cut(text string, most int) string {
	n := fits(text, most)
	if n == len(text) {
		return text
	}
	return fmt.Sprintf("%s… (%d bytes more)", text[:n], len(text)-n)
}

// line makes one line of a text of others.
func line(text string) string { return short(text, mostOfLine) }

// word is a line for what the Hub says in a word.
func word(text string) string { return short(text, mostOfWord) }

func short(text string, most int) string {
	return cut(strings.Join(strings.Fields(transcript.Clean(text)), " "), most)
}

// paragraphs joins what there is.
func paragraphs(parts ...string) string {
	var all []string
	for _, part := range parts {
		if part != "" {
			all = append(all, part)
		}
	}
	return strings.Join(all, "\n\n")
}

// ago says how long something is past, for people and models.
func ago(at time.Time) string {
	if at.IsZero() {
		return "never"
	}
	return max(time.Since(at), 0).Round(time.Second).String() + " ago"
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
