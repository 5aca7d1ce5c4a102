package main

import (
	"regexp"
	"strconv"
	"strings"
)

// What agents write is Markdown. These are the parts of it that make an answer readable: paragraphs, headings, lists, code,
// and emphasis. All else stays as it was written, so that nothing is lost: links, tables, quotations, HTML. It becomes a
// tree of plain texts, and the template escapes them.

// block is a part of an answer.
type block struct {
	Kind    string // paragraph, heading, list, code, or rule
	Level   int    // of a heading: from 4, since the page has those above
	Ordered bool   // of a list
	Items   []listItem
	Spans   []span // of a paragraph and a heading
	Text    string // of code
}

type listItem struct {
	Value  int // of an ordered list
	Blocks []block
}

// span is a piece of a line.
type span struct {
	Text         string
	Code, Strong bool
}

const deepest = 6 // lists in lists; what is deeper is text

var (
	headingLine = regexp.MustCompile(`^ {0,3}(#{1,6}) +(.*?)(?: +#+)? *$`)
	ruleLine    = regexp.MustCompile(`^ {0,3}(?:(?:- *){3,}|(?:\* *){3,}|(?:_ *){3,})$`)
	listLine    = regexp.MustCompile(`^( *)([-*+]|(\d{1,6})[.)])( +)(.*)$`)
	fenceLine   = regexp.MustCompile("^( *)(`{3,}|~{3,})(.*)$")
)

// markup reads a clean text.
func markup(text string) []block {
	return readBlocks(strings.Split(strings.ReplaceAll(text, "\t", "    "), "\n"), 0)
}

func readBlocks(lines []string, depth int) (blocks []block) {
	for len(lines) > 0 {
		first := lines[0]
		switch {
		case strings.TrimSpace(first) == "":
			lines = lines[1:]
		case opensFence(first):
			var code block
			code, lines = readCode(lines)
			blocks = append(blocks, code)
		case ruleLine.MatchString(first):
			blocks, lines = append(blocks, block{Kind: "rule"}), lines[1:]
		case headingLine.MatchString(first):
			m := headingLine.FindStringSubmatch(first)
			blocks, lines = append(blocks, block{Kind: "heading", Level: min(3+len(m[1]), 6), Spans: readSpans(m[2])}), lines[1:]
		case listLine.MatchString(first) && depth < deepest:
			var list block
			list, lines = readList(lines, depth)
			blocks = append(blocks, list)
		default:
			n := 1 // it may be a list that is too deep
			for n < len(lines) && !begins(lines[n]) {
				n++
			}
			blocks = append(blocks, block{Kind: "paragraph", Spans: readSpans(strings.Join(lines[:n], "\n"))})
			lines = lines[n:]
		}
	}
	return blocks
}

// begins reports whether a line ends the paragraph before it.
func begins(line string) bool {
	text := strings.TrimLeft(line, " ")
	if text == "" {
		return true
	}
	if !strings.ContainsRune("`~#-*_+0123456789", rune(text[0])) { // most lines need no closer look
		return false
	}
	return opensFence(line) || headingLine.MatchString(line) || ruleLine.MatchString(line) || listLine.MatchString(line)
}

func opensFence(line string) bool {
	m := fenceLine.FindStringSubmatch(line)
	return len(m) > 0 && (m[2][0] == '~' || !strings.Contains(m[3], "`"))
}

// readCode reads to the end of the fence, or of the text if it has none.
func readCode(lines []string) (code block, rest []string) {
	m := fenceLine.FindStringSubmatch(lines[0])
	indent, fence := len(m[1]), m[2]
	var text []string
	for lines = lines[1:]; len(lines) > 0; lines = lines[1:] {
		closing := strings.TrimSpace(lines[0])
		if len(closing) >= len(fence) && strings.Trim(closing, fence[:1]) == "" {
			lines = lines[1:]
			break
		}
		text = append(text, dedent(lines[0], indent))
	}
	return block{Kind: "code", Text: strings.Join(text, "\n")}, lines
}

// readList reads the items of one kind that begin where the first one does.
func readList(lines []string, depth int) (list block, rest []string) {
	first := listLine.FindStringSubmatch(lines[0])
	list = block{Kind: "list", Ordered: first[3] != ""}
	indent := len(first[1])
	for len(lines) > 0 {
		m := listLine.FindStringSubmatch(lines[0])
		if len(m) == 0 || (m[3] != "") != list.Ordered || len(m[1]) > indent+1 || len(m[1])+1 < indent || ruleLine.MatchString(lines[0]) {
			break
		}
		inner := len(m[1]) + len(m[2]) + min(len(m[4]), 4)
		content := []string{m[5]}
		n := 1
		for ; n < len(lines) && belongs(lines[n:], indent); n++ {
			content = append(content, dedent(lines[n], inner))
		}
		item := listItem{Blocks: readBlocks(content, depth+1)}
		item.Value, _ = strconv.Atoi(m[3])
		list.Items = append(list.Items, item)
		for lines = lines[n:]; len(lines) > 1 && strings.TrimSpace(lines[0]) == "" && listLine.MatchString(lines[1]); {
			lines = lines[1:]
		}
	}
	return list, lines
}

// belongs reports whether a line goes on with an item of a list: it is indented, or an ordinary line behind one.
func belongs(lines []string, indent int) bool {
	deep := len(lines[0])-len(strings.TrimLeft(lines[0], " ")) > indent+1
	if strings.TrimSpace(lines[0]) == "" {
		return len(lines) > 1 && strings.TrimSpace(lines[1]) != "" && len(lines[1])-len(strings.TrimLeft(lines[1], " ")) > indent+1
	}
	return deep || !begins(lines[0])
}

// dedent takes away as much of an indentation as there is, up to n.
func dedent(line string, n int) string {
	i := 0
	for i < n && i < len(line) && line[i] == ' ' {
		i++
	}
	return line[i:]
}

// readSpans finds code and what is strong. Each pass is linear, whatever the text is.
func readSpans(text string) []span {
	return strengthen(withCode(text))
}

var ticks = regexp.MustCompile("`+")

// withCode finds what stands between two runs of as many backticks.
func withCode(text string) (spans []span) {
	runs := ticks.FindAllStringIndex(text, -1)
	last := make(map[int]int) // by its length, the last run
	for i, run := range runs {
		last[run[1]-run[0]] = i
	}
	from := 0
	for i := 0; i < len(runs); i++ {
		length := runs[i][1] - runs[i][0]
		if last[length] == i {
			continue // it closes nothing, and nothing closes it
		}
		end := i + 1
		for runs[end][1]-runs[end][0] != length {
			end++
		}
		code := text[runs[i][1]:runs[end][0]]
		if strings.HasPrefix(code, " ") && strings.HasSuffix(code, " ") && strings.TrimSpace(code) != "" {
			code = code[1 : len(code)-1]
		}
		spans = append(spans, span{Text: text[from:runs[i][0]]}, span{Text: code, Code: true})
		from, i = runs[end][1], end
	}
	return append(spans, span{Text: text[from:]})
}

// strengthen finds what stands between two pairs of asterisks, outside of code.
func strengthen(spans []span) (out []span) {
	type mark struct{ span, at int }
	open, pairs := mark{-1, 0}, make(map[mark]bool) // whether a mark opens
	for i, s := range spans {
		if s.Code {
			continue
		}
		for at := 0; ; at += 2 {
			next := strings.Index(s.Text[at:], "**")
			if next < 0 {
				break
			}
			at += next
			here := mark{i, at}
			spaceBefore := at == 0 && i == 0 || at > 0 && isBlank(s.Text[at-1])
			spaceAfter := at+2 == len(s.Text) && i == len(spans)-1 || at+2 < len(s.Text) && isBlank(s.Text[at+2])
			switch {
			case open.span >= 0 && !spaceBefore:
				pairs[open], pairs[here] = true, false
				open.span = -1
			case !spaceAfter:
				open = here
			}
		}
	}
	strong := false
	add := func(text string, code bool) {
		if text != "" {
			out = append(out, span{text, code, strong})
		}
	}
	for i, s := range spans {
		from := 0
		for at := 0; !s.Code; at += 2 {
			next := strings.Index(s.Text[at:], "**")
			if next < 0 {
				break
			}
			at += next
			if opens, paired := pairs[mark{i, at}]; paired {
				add(s.Text[from:at], false)
				strong, from = opens, at+2
			}
		}
		add(s.Text[from:], s.Code)
	}
	return out
}

func isBlank(c byte) bool { return c == ' ' || c == '\n' }
