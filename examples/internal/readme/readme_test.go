package readme

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestEveryExample: each has a line in the table, and a command with its output. That the output is true is a test of its own
// in each of them.
func TestEveryExample(t *testing.T) {
	text, err := os.ReadFile(Path())
	require.NoError(t, err)
	folders, err := os.ReadDir(filepath.Dir(Path()))
	require.NoError(t, err)
	blocks := Blocks(string(text))
	count := 0
	for _, folder := range folders {
		name := folder.Name()
		if !folder.IsDir() || name == "internal" {
			continue
		}
		count++
		assert.Regexp(t, `\n\| .*go (run \./examples/`+name+`\b|-C examples/`+name+` run \.).* \| .+ \|\n`, string(text), "no line in the table")
		command, checked := "", false
		for c := range blocks {
			if strings.Contains(c, "examples/"+name) {
				command = c
			}
		}
		if !assert.NotEmpty(t, command, "examples/README.md has no command with its output for %s", name) {
			continue
		}
		tests, err := filepath.Glob(filepath.Join(filepath.Dir(Path()), name, "*_test.go"))
		require.NoError(t, err)
		for _, test := range tests {
			source, err := os.ReadFile(test)
			require.NoError(t, err)
			checked = checked || strings.Contains(string(source), "readme.Check(t, "+fmt.Sprintf("%q", command)) || strings.Contains(string(source), "readme.Check(t, `"+command+"`")
		}
		assert.True(t, checked, "no test of %s calls readme.Check with %q", name, command)
	}
	assert.Len(t, blocks, count)
}

// noted is a test that fails without failing this one.
type noted struct {
	testing.TB
	failed bool
}

func (n *noted) Helper()               {}
func (n *noted) Errorf(string, ...any) { n.failed = true }

// TestCheck: it sees a line that differs, and one too many, but not a time, an address or a column.
func TestCheck(t *testing.T) {
	text, err := os.ReadFile(Path())
	require.NoError(t, err)
	const command = "go run ./examples/quickstart"
	said := strings.TrimSuffix(Blocks(string(text))[command], "\n") + "\n"
	for name, test := range map[string]struct {
		output string
		fails  bool
	}{
		"as it stands":    {said, false},
		"another time":    {strings.Replace(said, " 1 s", " 3 s", 1), false},
		"another column":  {strings.Replace(said, "task  ", "task     ", 1), false},
		"another word":    {strings.Replace(said, "task  ", "job   ", 1), true},
		"a line less":     {said[:strings.LastIndexByte(strings.TrimSuffix(said, "\n"), '\n')+1], true},
		"a line in front": {"hello\n" + said, true},
		"nothing":         {"", true},
	} {
		n := &noted{TB: t}
		Check(n, command, test.output)
		assert.Equal(t, test.fails, n.failed, name)
	}
}
