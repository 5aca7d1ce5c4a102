package coder_test

import (
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

// TestREADMECompiles builds every piece of Go in the README: the program as it is, statements and
// functions inside the frame that a reader would imagine around them.
func TestREADMECompiles(t *testing.T) {
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	blocks := goBlock.FindAllStringSubmatch(string(text), -1)
	require.NotEmpty(t, blocks)
	programs := 0
	for _, block := range blocks {
		source := block[1]
		switch {
		case strings.HasPrefix(source, "package main"):
			programs++
			body := source[strings.Index(source, "func main"):]
			assert.LessOrEqual(t, strings.Count(body, "\n"), 20, "the snippet is short")
		case strings.HasPrefix(source, "func "):
			source = frame("context", "testing", "testing/synctest", "github.com/agentuity/coder-go", "github.com/agentuity/coder-go/codertest") +
				source + "\nfunc yourAgent(context.Context, *coder.Client) error { return nil }\nfunc main() {}\n"
		default:
			source = frame("context", "errors", "github.com/agentuity/coder-go") +
				"func f(ctx context.Context, client *coder.Client, request coder.CreateSessionRequest) {\n" + source + "}\nfunc main() {}\n"
		}
		file := filepath.Join(t.TempDir(), "main.go")
		require.NoError(t, os.WriteFile(file, []byte(source), 0o600))
		out, err := exec.Command("go", "build", "-o", os.DevNull, file).CombinedOutput()
		assert.NoError(t, err, "%s\n%s", out, source)
	}
	assert.Equal(t, 1, programs)
}

func frame(imports ...string) string {
	return "package main\n\nimport (\n\t\"" + strings.Join(imports, "\"\n\t\"") + "\"\n)\n\n"
}

// TestREADMENames looks for every sentinel and every option there is.
func TestREADMENames(t *testing.T) {
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
		assert.Contains(t, string(text), "`"+name+"`")
	}
}
