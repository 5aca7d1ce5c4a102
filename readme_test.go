package coder_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var goBlock = regexp.MustCompile("(?s)```go\n(.*?)```")

// TestREADME_Compiles compiles every piece of Go in the README: the program as it is, statements and
// functions inside the frame that a reader would imagine around them. Each is a file of one package,
// so that there is one build and nothing to link.
func TestREADME_Compiles(t *testing.T) {
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	blocks := goBlock.FindAllStringSubmatch(string(text), -1)
	require.NotEmpty(t, blocks)
	programs := 0
	dir := t.TempDir()
	build := []string{"build", "-o", os.DevNull}
	var sources strings.Builder
	for i, block := range blocks {
		source, program := strings.CutPrefix(block[1], "package main\n")
		switch {
		case program:
			programs++
			_, body, ok := strings.Cut(source, "\nfunc main() {\n")
			assert.True(t, ok, "a program has a main")
			assert.LessOrEqual(t, strings.Count(body, "\n"), 19, "the snippet is short")
			source = "package readme\n" + source
		case strings.HasPrefix(source, "func "):
			agent := fmt.Sprintf("yourAgent%d", i)
			source = framed(strings.ReplaceAll(source, "yourAgent", agent) + "\nfunc " + agent + "(context.Context, *coder.Client) error { return nil }\n")
		default:
			source = framed(fmt.Sprintf("func f%d(ctx context.Context, client *coder.Client, id string, request coder.CreateSessionRequest) error {\n", i) +
				source + "\nreturn nil }\n")
		}
		file := filepath.Join(dir, fmt.Sprintf("block%d.go", i))
		require.NoError(t, os.WriteFile(file, []byte(source), 0o600))
		build = append(build, file)
		fmt.Fprintf(&sources, "%s:\n%s\n", file, source)
	}
	out, err := exec.Command("go", build...).CombinedOutput()
	assert.NoError(t, err, "%s\n%s", out, &sources)
	assert.Equal(t, 1, programs)
}

// framed puts a package clause and the imports that are used before a piece of source.
func framed(source string) string {
	imports := ""
	for _, path := range []string{
		"context", "errors", "fmt", "os", "testing", "testing/synctest", "github.com/agentuity/coder-go", "github.com/agentuity/coder-go/codertest",
	} {
		name := strings.TrimSuffix(path[strings.LastIndex(path, "/")+1:], "-go")
		if strings.Contains(source, name+".") {
			imports += "import \"" + path + "\"\n"
		}
	}
	return "package readme\n\n" + imports + source
}

// TestREADME_Names looks for every sentinel and every option there is.
func TestREADME_Names(t *testing.T) {
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	var names []string
	for _, file := range []string{"errors.go", "options.go"} {
		source, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, m := range regexp.MustCompile(`(?m)^(?:func|\t)\s*(Err\w+|With\w+)(?:\(| +=)`).FindAllStringSubmatch(string(source), -1) {
			names = append(names, m[1])
		}
	}
	require.Greater(t, len(names), 25)
	for _, name := range names {
		if !strings.Contains(string(text), "`"+name+"`") {
			t.Errorf("%s is not in it", name)
		}
	}
}

// TestREADME_ExplainsErrorTypes: README and package documentation name every type of error there is.
func TestREADME_ExplainsErrorTypes(t *testing.T) {
	var types []string
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for _, file := range files {
		source, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, m := range regexp.MustCompile(`(?m)^func \(\w+ \*?([A-Z]\w*)\) Error\(\) string`).FindAllStringSubmatch(string(source), -1) {
			types = append(types, m[1])
		}
	}
	require.Len(t, types, 10)
	for _, file := range []string{"README.md", "doc.go"} {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, name := range types {
			assert.Contains(t, string(text), "*"+name, "%s explains it", file)
		}
	}
}
