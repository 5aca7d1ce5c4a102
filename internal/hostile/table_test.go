package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseMeasured(t *testing.T) {
	m, err := parseMeasured("it is fine\nName:\tx\nVmPeak:\t 99 kB\nVmHWM:\t   2048 kB\nVmRSS:\t 1 kB\n")
	require.NoError(t, err)
	assert.Equal(t, measured{2 << 20, "it is fine"}, m)
	for _, out := range []string{"", "it is fine", "x\nName: y\n", "x\nVmHWM: many kB\n", "x\nVmHWM: 7 MB\n"} {
		_, err := parseMeasured(out)
		require.Error(t, err, "%q", out)
	}
}

func TestTable(t *testing.T) {
	rows := []row{
		{way{title: "a list", size: 8 * mega, bound: 224 * mega}, "accepted", 1_540 * kilo},
		{way{title: "no end", bound: 10 * mega}, "refused", 10*mega + 1},
		{way{title: "no promise"}, "accepted", 999 * mega},
	}
	assert.Equal(t, []bool{false, true, false}, []bool{rows[0].isOver(), rows[1].isOver(), rows[2].isOver()})
	text := table(rows, 16*mega)
	assert.Equal(t, `| way | sent | what the library said | bound | peak |
| --- | ---: | --- | ---: | ---: |
| a list | 8.0 MB | accepted | 224 MB | 1.5 MB |
| no end | without end | refused | 10 MB | 10 MB **too much** |
| no promise | without end | accepted | none promised | 999 MB |

A process that makes one small call peaks at 16 MB.
`, text)
}

func TestBetween(t *testing.T) {
	text, err := between("# A\n"+begin+"\nold\n"+end+"\nrest\n", "new\n")
	require.NoError(t, err)
	assert.Equal(t, "# A\n"+begin+"\n\nnew\n\n"+end+"\nrest\n", text)
	again, err := between(text, "new\n")
	require.NoError(t, err)
	assert.Equal(t, text, again)
	for _, document := range []string{"", begin, end + begin} {
		_, err := between(document, "new")
		require.ErrorIs(t, err, errNoMarkers, "%q", document)
	}
}

// TestWays: names are those of one way each, and the modest one is none of them.
func TestWays(t *testing.T) {
	seen := map[string]bool{modest: true}
	for _, w := range ways {
		assert.False(t, seen[w.name], w.name)
		seen[w.name] = true
		assert.NotEmpty(t, w.title)
		assert.NotNil(t, w.serve)
		assert.NotNil(t, w.use)
	}
}
