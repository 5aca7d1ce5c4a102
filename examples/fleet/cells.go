package main

import (
	"strings"
	"unicode"
)

// cells is how many columns of a terminal a text takes.
func cells(text string) int {
	n := 0
	for _, r := range text {
		n += runeCells(r)
	}
	return n
}

// wide are the characters that take two columns, of East Asia and emoji, and some that take one: text that is wider than it was
// thought to be breaks the table, and text that is narrower does not.
var wide = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x1100, Hi: 0x115f, Stride: 1}, {Lo: 0x231a, Hi: 0x23f3, Stride: 1}, {Lo: 0x2600, Hi: 0x27bf, Stride: 1},
		{Lo: 0x2b1b, Hi: 0x2b55, Stride: 1}, {Lo: 0x2e80, Hi: 0xa4cf, Stride: 1}, {Lo: 0xa960, Hi: 0xa97c, Stride: 1},
		{Lo: 0xac00, Hi: 0xd7a3, Stride: 1}, {Lo: 0xf900, Hi: 0xfaff, Stride: 1}, {Lo: 0xfe30, Hi: 0xfe6b, Stride: 1},
		{Lo: 0xff01, Hi: 0xff60, Stride: 1}, {Lo: 0xffe0, Hi: 0xffe6, Stride: 1},
	},
	R32: []unicode.Range32{
		{Lo: 0x16fe0, Hi: 0x1b2fb, Stride: 1}, {Lo: 0x1f000, Hi: 0x1faff, Stride: 1}, {Lo: 0x20000, Hi: 0x3fffd, Stride: 1},
	},
}

func runeCells(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case unicode.Is(wide, r):
		return 2
	}
	return 1
}

// fit cuts a text to a number of columns, and says so with an ellipsis.
func fit(text string, columns int) string {
	if cells(text) <= columns {
		return text
	}
	var b strings.Builder
	left := columns - 1
	for _, r := range text {
		if left -= runeCells(r); left < 0 {
			break
		}
		b.WriteRune(r)
	}
	if columns < 1 {
		return ""
	}
	return b.String() + "…"
}

// column is fit, filled up with blanks.
func column(text string, columns int) string {
	text = fit(text, columns)
	return text + strings.Repeat(" ", max(columns-cells(text), 0))
}
