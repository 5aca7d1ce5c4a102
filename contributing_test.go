package coder_test

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestTheMapIsTrue compares CONTRIBUTING.md with what is there: every folder, and every file of the root,
// stands in the table, and nothing stands in it that is gone.
func TestTheMapIsTrue(t *testing.T) {
	text, err := os.ReadFile("CONTRIBUTING.md")
	require.NoError(t, err)
	_, section, found := strings.Cut(string(text), "## Where everything lives")
	require.True(t, found)
	section, _, _ = strings.Cut(section, "\n## ")
	var places []string
	for _, row := range regexp.MustCompile("(?m)^\\| (`.*?`) \\|").FindAllStringSubmatch(section, -1) {
		for _, place := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(row[1], -1) {
			places = append(places, place[1])
		}
	}
	require.Greater(t, len(places), 30)
	for _, place := range places {
		there, err := filepath.Glob(place)
		require.NoError(t, err)
		assert.NotEmpty(t, there, "%s stands in CONTRIBUTING.md", place)
	}
	listed := func(name string) bool {
		for _, place := range places {
			if match, _ := path.Match(place, name); match {
				return true
			}
		}
		return false
	}
	require.NoError(t, filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		name = filepath.ToSlash(name)
		switch {
		case err != nil:
			return err
		case !entry.IsDir():
			if !strings.Contains(name, "/") && strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") {
				assert.True(t, listed(name), "%s is missing in CONTRIBUTING.md", name)
			}
			return nil
		case name == ".", name == "internal", name == "codertest/internal":
			return nil
		case strings.HasPrefix(entry.Name(), "."), entry.Name() == "bin", name != "testdata" && entry.Name() == "testdata":
			return fs.SkipDir
		}
		assert.True(t, listed(name), "the folder %s is missing in CONTRIBUTING.md", name)
		if name != "codertest" {
			return fs.SkipDir // a folder is one row, with all that is in it
		}
		return nil
	}))
}
