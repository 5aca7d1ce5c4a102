// Package readme keeps examples/README.md true: it has the command of each example with the first lines that it prints.
package readme

import (
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// firstLines is how many lines of the output are there.
const firstLines = 10

// Path is where examples/README.md is, from wherever a test runs.
func Path() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "README.md")
}

// Check compares the first lines that a program has printed with those that stand below its command in examples/README.md.
// Times, addresses and how far columns are apart may differ.
func Check(t testing.TB, command, output string) {
	t.Helper()
	text, err := os.ReadFile(Path())
	if err != nil {
		t.Fatal(err)
	}
	want, ok := Blocks(string(text))[command]
	if !ok {
		t.Fatalf("examples/README.md has no %q with its output below", command)
	}
	got := slices.Collect(strings.Lines(output))
	if len(got) > firstLines {
		got = append(got[:firstLines:firstLines], "…\n")
	}
	if printed := strings.Join(got, ""); plain(want) != plain(printed) {
		t.Errorf("examples/README.md has below %s\n%s\nand it prints\n%s", command, want, printed)
	}
}

var block = regexp.MustCompile("(?s)```sh\n([^\n]+)\n```\n\n```text\n(.*?)```\n")

// Blocks returns the commands with what stands below them.
func Blocks(text string) map[string]string {
	blocks := make(map[string]string)
	for _, found := range block.FindAllStringSubmatch(text, -1) {
		blocks[found[1]] = found[2]
	}
	return blocks
}

// What differs from run to run.
var (
	anyTime    = regexp.MustCompile(`\b\d+(\.\d+)? ?(µs|ms|s)\b`)
	anyAddress = regexp.MustCompile(`127\.0\.0\.1:\d+`)
	anyDate    = regexp.MustCompile(`\b\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d)?( UTC|Z)?)?`)
	anySpace   = regexp.MustCompile(`[ \t]+`)
)

func plain(text string) string {
	text = anyTime.ReplaceAllString(text, "1 s")
	text = anyAddress.ReplaceAllString(text, "127.0.0.1:8080")
	text = anyDate.ReplaceAllString(text, "2026-01-01")
	var lines []string
	for line := range strings.Lines(text) {
		lines = append(lines, strings.TrimSpace(anySpace.ReplaceAllString(line, " ")))
	}
	return strings.Join(lines, "\n")
}
