package main

import (
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"
)

// drawn writes blocks down, so that they can be compared.
func drawn(blocks []block) string {
	var b strings.Builder
	for _, x := range blocks {
		b.WriteString(x.Kind[:1])
		switch x.Kind {
		case "list":
			b.WriteString("(")
			for i, item := range x.Items {
				if i > 0 {
					b.WriteString("|")
				}
				if x.Ordered {
					b.WriteString(grouped(int64(item.Value)))
				}
				b.WriteString(drawn(item.Blocks))
			}
			b.WriteString(")")
		case "heading":
			b.WriteString(grouped(int64(x.Level)))
		}
		if x.Text != "" || len(x.Spans) > 0 {
			b.WriteString("{" + x.Text)
			for _, s := range x.Spans {
				text := s.Text
				if s.Code {
					text = "<" + text + ">"
				}
				if s.Strong {
					text = "!" + text + "!"
				}
				b.WriteString(text)
			}
			b.WriteString("}")
		}
	}
	return b.String()
}

func TestMarkup(t *testing.T) {
	for text, want := range map[string]string{
		"":                                       "",
		"one\ntwo\n\nthree":                      "p{one\ntwo}p{three}",
		"# A\n### B ##\n####### no":              "h4{A}h6{B}p{####### no}",
		"#no":                                    "p{#no}",
		"a\n```go\nx := `1`\n\n```\nb":           "p{a}c{x := `1`\n}p{b}",
		"```\nno end":                            "c{no end}",
		"````\n```\n````":                        "c{```}",
		"~~~\n```\n~~~":                          "c{```}",
		"```inline``` is no fence":               "p{<inline> is no fence}",
		"a\n---\nb":                              "p{a}rp{b}",
		"- a\n- b\n  more\n\n- c":                "l(p{a}|p{b\nmore}|p{c})",
		"- a\nlazy\n\nnext":                      "l(p{a\nlazy})p{next}",
		"2. a\n3. b\n- c":                        "l(2p{a}|3p{b})l(p{c})",
		"1. a\n   - b\n     - c\n   - d\n2. e":   "l(1p{a}l(p{b}l(p{c})|p{d})|2p{e})",
		"- a\n  ```\n  code\n    in\n  ```\n- b": "l(p{a}c{code\n  in}|p{b})",
		"-no\n1.no":                              "p{-no\n1.no}",
		"use `a` and ``b ` c`` `` ` ``":          "p{use <a> and <b ` c> <`>}",
		"`open and ``two``":                      "p{`open and <two>}",
		"**a** b **c `d` e**":                    "p{!a! b !c !!<d>!! e!}",
		"** no ** 2**3":                          "p{** no ** 2**3}",
		"**open":                                 "p{**open}",
		"`**` is **it**":                         "p{<**> is !it!}",
		"| a | b |\n|---|---|\n| 1 | 2 |":        "p{| a | b |\n|---|---|\n| 1 | 2 |}",
		"[x](https://a.example) <b>&amp;</b>":    "p{[x](https://a.example) <b>&amp;</b>}",
		"\tindented":                             "p{    indented}",
	} {
		assert.Equal(t, want, drawn(markup(text)), "%q", text)
	}
}

// BenchmarkMarkup_Hostile has texts that are made to be slow: each takes a time in proportion to its length.
func BenchmarkMarkup_Hostile(b *testing.B) {
	var runs strings.Builder
	for n := range 1500 {
		runs.WriteString(strings.Repeat("`", n+1) + " ")
	}
	for name, text := range map[string]string{
		"runs": runs.String(), "stars": strings.Repeat("**a ", 300_000), "deep": strings.Repeat("- ", 500_000), "fences": strings.Repeat("```\n", 250_000),
		"items": strings.Repeat("- a\n", 250_000), "nested": strings.Repeat("- a\n  - b\n    - c\n", 60_000), "lines": strings.Repeat("a\n", 500_000),
		"blanks": "- a" + strings.Repeat("\n", 1_000_000),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				markup(text)
			}
		})
	}
}

// FuzzMarkup: every letter and digit of a text is still there, in its order, but the numbers of lists and the languages of code.
func FuzzMarkup(f *testing.F) {
	for _, text := range append(evil, "# A\n- b\n  1. c\n```\nd\n```\n**e** `f`") {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		text = strings.Map(func(r rune) rune {
			if unicode.IsDigit(r) || r == '~' {
				return -1 // numbers of lists are no text, and words behind a fence are none that is shown
			}
			return r
		}, clean(text))
		got := letters(plain(markup(text)))
		if !strings.Contains(text, "```") {
			assert.Equal(t, letters(text), got)
		}
	})
}

func plain(blocks []block) string {
	var b strings.Builder
	for _, x := range blocks {
		b.WriteString(x.Text)
		for _, s := range x.Spans {
			b.WriteString(s.Text)
		}
		for _, item := range x.Items {
			b.WriteString(plain(item.Blocks))
		}
	}
	return b.String()
}

func letters(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) {
			return r
		}
		return -1
	}, text)
}
