package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestFit(t *testing.T) {
	for _, test := range []struct {
		text    string
		columns int
		want    string
	}{
		{"abc", 3, "abc"}, {"abcd", 3, "ab…"}, {"abc", 1, "…"}, {"abc", 0, ""}, {"", 0, ""}, {"abc", -1, ""},
		{"日本語", 6, "日本語"}, {"日本語", 5, "日本…"}, {"日本語", 4, "日…"}, {"e\u0301e\u0301e\u0301", 3, "e\u0301e\u0301e\u0301"}, {"🚀🚀", 3, "🚀…"},
	} {
		assert.Equal(t, test.want, fit(test.text, test.columns), "%q in %d columns", test.text, test.columns)
	}
	assert.Equal(t, "日本   ", column("日本", 7))
	assert.Equal(t, "日… ", column("日本語日本", 4))
}
