package main

import (
	"fmt"
	"io"
	"regexp"
	"strings"
)

// markdownPage writes Markdown. What was said stands in fences: a renderer would run the HTML of an answer and load its
// images, and a fence that an answer does not close would take in all that follows. In a fence it is text everywhere.
type markdownPage struct {
	out io.Writer
	err error // the first one
}

func (p *markdownPage) print(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.out, format, args...)
	}
}

func (p *markdownPage) begin(s *summary) error {
	p.print("# %s\n\nTranscript of a session. Times are UTC.\n", escaped(s.Title))
	if s.Task != "" {
		p.fenced(passage{Text: s.Task})
	}
	p.print("\n## Summary\n\n- Outcome: %s\n", escaped(s.Outcome))
	for _, fact := range s.Facts {
		p.print("- %s: %s\n", fact.Name, escaped(fact.Value))
	}
	if len(s.Tasks) > 0 {
		p.print("\n## Tasks of other agents\n")
	}
	for _, t := range s.Tasks {
		p.print("\n### Task %d%s\n", t.Number, details(escaped(t.Agent), escaped(t.Status), t.Took, moment(t.Started)))
		p.labelled("Asked", t.Prompt)
		switch {
		case t.State == bad:
			p.labelled("Error", t.Text)
		case t.Text.Text != "":
			p.labelled("Result", t.Text)
		}
	}
	if len(s.Todos) > 0 || s.TodosNote != "" {
		p.print("\n## Todos\n\n")
	}
	if s.TodosNote != "" {
		p.print("%s\n", escaped(s.TodosNote))
	}
	for _, t := range s.Todos {
		mark := " "
		if t.Done {
			mark = "x"
		}
		p.print("- [%s] %s%s\n", mark, escaped(t.Title), details(escaped(t.Status), escaped(t.Who)))
	}
	p.print("\n## Conversation\n")
	return p.err
}

func (p *markdownPage) item(it *item) error {
	task := ""
	if it.TaskNo > 0 {
		task = fmt.Sprintf("task %d", it.TaskNo)
	} else if it.Task != "" {
		task = "task " + escaped(it.Task)
	}
	at := moment(it.At)
	who := escaped(it.Who)
	switch it.Kind {
	case prompt:
		p.print("\n### Prompt %d%s\n", it.Number, details(who, task, at))
		p.fenced(it.Text)
		for _, f := range it.Files {
			note := f.Note
			if f.Image != "" {
				note = "an image; the HTML page shows it"
			}
			p.print("\nAttachment: %s%s\n", escaped(f.Name), details(note))
			if f.Text.Text != "" {
				p.fenced(f.Text)
			}
		}
	case answer:
		if it.Thinking.Text != "" {
			p.print("\n#### Thinking%s\n", details(who, task, at))
			p.fenced(it.Thinking)
		}
		if it.Text.Text != "" {
			p.print("\n### Answer%s\n", details(who, task, at))
			p.fenced(it.Text)
		}
	case thoughts:
		p.print("\n#### Thinking%s\n", details(who, task, at))
		p.fenced(it.Thinking)
	case call:
		p.print("\n#### Call of %s%s\n", escaped(it.Name), details(string(it.State), it.Took, who, task, at))
		for _, arg := range it.Args {
			p.labelled("Argument "+escaped(arg.Name), arg.Value)
		}
		switch {
		case it.State == bad:
			p.labelled("Error", it.Text)
		case it.State == ok:
			p.labelled("Result", it.Text)
		}
	case report, process, preview, other:
		p.rest(it, task, at)
	}
	return p.err
}

// rest writes an item of a rarer kind.
func (p *markdownPage) rest(it *item, task, at string) {
	title, result := map[kind]string{report: "Result of a task", process: "Process", preview: "Preview", other: escaped(it.Name)}[it.Kind], ""
	if it.Kind == report {
		result = string(it.State)
	}
	p.print("\n#### %s%s\n", title, details(result, escaped(it.Brief), it.Took, escaped(it.Who), task, at))
	if it.Kind != other && it.Name != "" {
		p.fenced(passage{Text: it.Name})
	}
	for _, text := range []passage{it.Thinking, it.Text} {
		if text.Text != "" {
			p.fenced(text)
		}
	}
}

func (p *markdownPage) end(s *summary, t *totals) error {
	if t.Entries == 0 {
		p.print("\nNothing was said.\n")
	}
	p.print("\n## End\n\n- Outcome: %s\n- %s\n", escaped(s.Outcome), t.Words())
	if s.Working {
		p.print("- The session goes on: this page has what was said when it was written.\n")
	}
	return p.err
}

// details are what stands behind a heading: what there is of them.
func details(parts ...string) string {
	var there []string
	for _, part := range parts {
		if part != "" {
			there = append(there, part)
		}
	}
	if len(there) == 0 {
		return ""
	}
	return " — " + strings.Join(there, ", ")
}

func (p *markdownPage) labelled(label string, text passage) {
	if text.Text == "" {
		p.print("\n%s: empty\n", label)
		return
	}
	p.print("\n%s:\n", label)
	p.fenced(text)
}

// fenced writes a text between fences that are longer than any run of backticks in it.
func (p *markdownPage) fenced(text passage) {
	fence := fenceFor(text.Text)
	p.print("\n%s\n%s\n%s\n", fence, text.Text, fence)
	if text.Left > 0 {
		p.print("\n*%s*\n", text.Cut())
		p.fenced(passage{Text: text.Rest})
	}
}

func fenceFor(text string) string {
	longest := 2
	for _, run := range ticks.FindAllStringIndex(text, -1) {
		longest = max(longest, run[1]-run[0])
	}
	return strings.Repeat("`", longest+1)
}

// escaped is a line in which nothing means anything to a renderer: no link, no HTML, no mark.
func escaped(text string) string {
	return addresses.Replace(special.ReplaceAllString(text, `\$0`))
}

var (
	special   = regexp.MustCompile("[\\\\`*_\\[\\]<>#!|~@&$]")
	addresses = strings.NewReplacer("://", `:\//`, "www.", `www\.`, "WWW.", `WWW\.`) // of which some renderers make links by themselves
)
