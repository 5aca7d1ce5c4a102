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

// goBlock is a piece of Go, and what it prints if the next block says so.
var goBlock = regexp.MustCompile("(?s)```go\n(.*?)```(?:\n+```text\n(.*?)```)?")

// backgrounds are what the Hub has when a piece of the README begins, by a name in it. Each may set id, of a session.
var backgrounds = map[string]string{
	"ticket-7": `hub.Answer(codertest.AgentTurn{Text: "GET /healthz answers 200 now."})`,
	"client.Attach": `id = hub.AddSession(codertest.Session{Task: "Add a /healthz endpoint"}).ID()
		hub.Answer(codertest.AgentTurn{Tools: []codertest.AgentTool{{Ask: &codertest.AgentQuestion{Method: "confirm"}}}},
			codertest.AgentTurn{Text: "There is a test now."})`,
	"client.WatchEvents": `hub.Answer(codertest.AgentTurn{Text: "GET /healthz answers 200 now."})
		result, err := client.RunSession(ctx, "key", coder.CreateSessionRequest{Task: "Add a /healthz endpoint"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		id = result.SessionID
		hub.Session(id).Archive()`,
	"yourProgram": `_ = client`,
}

// TestREADME_Runs runs every piece of Go in the README against a Hub of codertest, in the frame that a reader would imagine
// around it, and compares what it prints with what the README says.
func TestREADME_Runs(t *testing.T) {
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	blocks := goBlock.FindAllStringSubmatch(string(text), -1)
	require.NotEmpty(t, blocks)
	dir := t.TempDir()
	args := []string{"test", "-count=1", "-v", "-run", "^TestReadme"}
	programs := 0
	for i, block := range blocks {
		file := filepath.Join(dir, fmt.Sprintf("block%d_test.go", i))
		args = append(args, file)
		background := ""
		for name, code := range backgrounds {
			if strings.Contains(block[1], name) {
				background = code
			}
		}
		source, isProgram := strings.CutPrefix(block[1], "package main\n")
		if isProgram {
			programs++
			_, body, ok := strings.Cut(source, "\nfunc main() {\n")
			require.True(t, ok, "a program has a main")
			source = strings.ReplaceAll(strings.TrimSuffix(strings.TrimSpace(body), "}"), "coder.NewClient()", "hub.NewClient()")
		}
		if strings.HasPrefix(source, "func ") { // a test
			agent := fmt.Sprintf("yourProgram%d", i)
			source = strings.ReplaceAll(strings.ReplaceAll(source, "yourProgram", agent), "func Test", "func TestReadme")
			source += "\nfunc " + agent + `(ctx context.Context, client *coder.Client) error {
				_, err := client.RunSession(ctx, "key", coder.CreateSessionRequest{Task: "Look for the race"}, nil)
				return err
			}`
		} else {
			assert.NotEmpty(t, block[2], "what it prints stands below\n%s", source)
			source = fmt.Sprintf("func TestReadme%d(t *testing.T) {\n", i) + `synctest.Test(t, func(t *testing.T) {
				hub := codertest.NewHub(codertest.WithInMemoryNetwork())
				defer hub.Close()
				client, err := hub.NewClient()
				if err != nil {
					t.Fatal(err)
				}
				ctx, id := t.Context(), ""
				_, _, _ = client, ctx, id
				` + background + `
				fmt.Println("<<<` + fmt.Sprint(i) + `")
				err = func() error {
					` + source + `
					return nil
				}()
				fmt.Println(">>>")
				if err != nil {
					t.Fatal(err)
				}
			})
			}`
		}
		require.NoError(t, os.WriteFile(file, []byte(framed(source)), 0o600))
	}
	out, err := exec.Command("go", args...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	said := string(out)
	for i, block := range blocks {
		if block[2] == "" {
			continue
		}
		_, rest, found := strings.Cut(said, fmt.Sprintf("<<<%d\n", i))
		require.True(t, found, "%s", out)
		got, _, _ := strings.Cut(rest, ">>>\n")
		assert.Equal(t, block[2], got, "what this prints\n%s", block[1])
	}
	assert.Equal(t, 1, programs)
}

// framed puts a package clause and the imports that are used before a piece of source.
func framed(source string) string {
	imports := ""
	for _, path := range []string{
		"context", "errors", "fmt", "log", "os", "testing", "testing/synctest", "golang.org/x/sync/errgroup",
		"github.com/agentuity/coder-go", "github.com/agentuity/coder-go/codertest",
	} {
		name := strings.TrimSuffix(path[strings.LastIndex(path, "/")+1:], "-go")
		if strings.Contains(source, name+".") {
			imports += "import \"" + path + "\"\n"
		}
	}
	return "package readme\n\n" + imports + source
}

// TestDocs_Compile compiles the pieces of Go in other pages: they print what depends on a Hub.
func TestDocs_Compile(t *testing.T) {
	dir := t.TempDir()
	build := []string{"vet", "-unreachable=false"}
	for _, page := range []string{"SKILL.md", "docs/errors.md", "docs/recordings.md", "docs/observability.md"} {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		blocks := goBlock.FindAllStringSubmatch(string(text), -1)
		require.NotEmpty(t, blocks, page)
		for i, block := range blocks {
			name := strings.TrimSuffix(filepath.Base(page), ".md") + fmt.Sprint(i)
			source := block[1]
			switch {
			case strings.Contains(source, "otelcoder"): // a module of its own
				continue
			case strings.HasPrefix(source, "package main\n"):
				source = strings.Replace(source, "package main", "package readme", 1)
			case strings.HasPrefix(source, "func "):
				source = strings.ReplaceAll(source, "yourProgram", name) + "\nfunc " + name + "(context.Context, *coder.Client) error { return nil }\n"
			default:
				source = "func " + name + "(ctx context.Context, client *coder.Client, id string, request coder.CreateSessionRequest) error {\n" + source + "\nreturn nil }\n"
			}
			if !strings.HasPrefix(source, "package") {
				source = framed(source)
			}
			file := filepath.Join(dir, name+"_test.go")
			require.NoError(t, os.WriteFile(file, []byte(source), 0o600))
			build = append(build, file)
		}
	}
	out, err := exec.Command("go", build...).CombinedOutput()
	assert.NoError(t, err, "%s", out)
}

// TestDocs_Names looks for every sentinel and every option there is.
func TestDocs_Names(t *testing.T) {
	for source, page := range map[string]string{"errors.go": "docs/errors.md", "options.go": "docs/configuration.md"} {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		code, err := os.ReadFile(source)
		require.NoError(t, err)
		names := regexp.MustCompile(`(?m)^(?:func|\t)\s*(Err\w+|With\w+)(?:\(| +=)`).FindAllStringSubmatch(string(code), -1)
		require.Greater(t, len(names), 9)
		for _, name := range names {
			assert.Contains(t, string(text), "`"+name[1]+"`", page)
		}
	}
}

// TestDocs_ErrorTypes: the page and the package documentation name every type of error there is.
func TestDocs_ErrorTypes(t *testing.T) {
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
	for _, file := range []string{"docs/errors.md", "doc.go"} {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, name := range types {
			assert.Contains(t, string(text), "*"+name, "%s explains it", file)
		}
	}
}
