package main

import (
	"crypto/sha256"
	_ "embed" // the template and the style sheet
	"encoding/base64"
	"html/template"
	"io"
	"strings"
	"time"
)

var (
	//go:embed page.html
	pageText string
	//go:embed style.css
	styleText string
)

// page escapes all that it is given: nothing of a session is put into it as HTML.
var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"markup": markup, "moment": moment, "clock": clock, "stamp": stamp, "number": func(n int) string { return grouped(int64(n)) },
	"plural": plural, "duration": duration,
}).Parse(pageText))

// policy forbids a browser everything but the page's own style sheet and the images in it.
func policy() string {
	sum := sha256.Sum256([]byte(styleText))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; img-src data:; base-uri 'none'; form-action 'none'"
}

// htmlPage writes HTML.
type htmlPage struct {
	out io.Writer
	day string // of the newest item
}

func (p *htmlPage) begin(s *summary) error {
	return page.ExecuteTemplate(p.out, "begin", struct {
		*summary
		Policy string
		Style  template.CSS
	}{s, policy(), template.CSS(styleText)})
}

func (p *htmlPage) item(it *item) error {
	if day := it.At.UTC().Format("2006-01-02"); !it.At.IsZero() && day != p.day {
		p.day = day
		if err := page.ExecuteTemplate(p.out, "day", day); err != nil {
			return err
		}
	}
	return page.ExecuteTemplate(p.out, "item", it)
}

func (p *htmlPage) end(s *summary, t *totals) error {
	return page.ExecuteTemplate(p.out, "end", struct {
		*summary
		*totals
	}{s, t})
}

// clock is the time of a day.
func clock(t time.Time) string { return t.UTC().Format("15:04:05") }

// stamp is a time for programs.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// Took is how long it was between the first entry and the last.
func (t *totals) Took() string {
	if t.First.IsZero() || !t.Last.After(t.First) {
		return ""
	}
	return duration(t.Last.Sub(t.First))
}

// Words says in a line what there was.
func (t *totals) Words() string {
	calls := plural(t.Calls, "call of a tool", "calls of tools")
	if t.Failed > 0 {
		calls += ", " + grouped(int64(t.Failed)) + " failed"
	}
	parts := []string{plural(t.Prompts, "prompt", "prompts"), plural(t.Answers, "answer", "answers"), calls}
	if took := t.Took(); took != "" {
		parts = append(parts, took+" from the first to the last")
	}
	if t.Cut > 0 {
		parts = append(parts, plural(t.Cut, "text is cut", "texts are cut")+", -full keeps them whole")
	}
	return strings.Join(parts, "; ")
}
