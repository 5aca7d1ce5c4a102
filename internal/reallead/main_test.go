//go:build lead

package reallead

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/agentuity/coder-go"
)

func TestMain(m *testing.M) {
	for _, v := range os.Environ() { // of whoever runs the tests
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "AGENTUITY_") {
			_ = os.Unsetenv(name)
		}
	}
	status := m.Run()
	fmt.Print(results.table(), asked.table(), restarted.table(), installed())
	os.Exit(status)
}

// play plays a scenario and asserts what is right.
func play(t *testing.T, name, version, channel string, s scenario) {
	t.Helper()
	began := time.Now()
	cell := "FAILED"
	defer func() { results.set(name, version, channel, cell, time.Since(began)) }()
	s.entries = slices.Clone(s.entries)
	for _, key := range []string{channel, version, version + " " + channel} {
		if unlike := s.unlike[key]; unlike != nil {
			unlike(&s)
		}
	}
	r := newRig(t, version, channel)
	if slices.Contains(s.outcomes, string(coder.OutcomeStalled)) {
		r.stall = 5 * time.Second
	}
	s.do(r)
	v := r.verdict()
	assert.Equal(t, s.story, v.story, "by the events")
	assert.Equal(t, s.outcomes, v.outcomes, "by WaitForSession")
	assert.Equal(t, s.entries, r.entries(), "the conversation")
	r.assertObserved()
	if t.Failed() {
		return
	}
	cell = "none, stalled"
	if len(v.story) > 0 {
		cell = fmt.Sprintf("%s, %g s", v.story[len(v.story)-1], v.delay.Round(100*time.Millisecond).Seconds())
	}
	assert.Equal(t, documentedTable(t, "scenario")[name][column(version, channel)], cell, "docs/real-agent.md")
}

// installed says what was tested.
func installed() string {
	text := "\nWith"
	if programs, _ := filepath.Glob("npm/node/node_modules/node-*/package.json"); len(programs) == 1 {
		text += " Node " + versionIn(programs[0])
	}
	for _, version := range versions {
		modules := "npm/pi-" + version + "/node_modules/"
		text += ", Pi " + versionIn(modules+"@earendil-works/pi-coding-agent/package.json") +
			" beside @agentuity/coder-tui " + versionIn(modules+"@agentuity/coder-tui/package.json")
	}
	return text + "\n"
}

func versionIn(manifest string) string {
	var m struct{ Version string }
	text, err := os.ReadFile(manifest)
	if err != nil || json.Unmarshal(text, &m) != nil {
		return "(not installed)"
	}
	return m.Version
}

var (
	results   = newTable("scenario", scenarioNames)
	asked     = newTable("prompt", inquiryNames)
	restarted = newTable("restart", restartNames)
)

func newTable(name string, rows []string) *table {
	return &table{name: name, rows: rows, cells: make(map[string]string), took: make(map[string]time.Duration)}
}

// table is one of docs/real-agent.md.
type table struct {
	name string
	rows []string

	mu    sync.Mutex
	cells map[string]string
	took  map[string]time.Duration
}

func (m *table) set(name, version, channel, cell string, took time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cells[name+"/"+column(version, channel)] = cell
	m.took[name+"/"+column(version, channel)] = took
}

// table returns the table, and how long each row took; nothing if nothing was played.
func (m *table) table() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var text bytes.Buffer
	w := tabwriter.NewWriter(&text, 0, 0, 1, ' ', tabwriter.Debug)
	row := func(cells []string) { _, _ = fmt.Fprintln(w, "\t "+strings.Join(cells, "\t ")+"\t") }
	if len(m.cells) == 0 {
		return ""
	}
	head, rule := []string{m.name}, []string{"---"}
	for _, version := range versions {
		for _, channel := range channels {
			head, rule = append(head, column(version, channel)), append(rule, "---")
		}
	}
	row(head)
	row(rule)
	for _, name := range m.rows {
		cells := []string{name}
		for _, c := range head[1:] {
			cells = append(cells, m.cells[name+"/"+c])
		}
		row(cells)
	}
	_ = w.Flush()
	_, _ = fmt.Fprintln(&text, "\nTime of each, in seconds:")
	for _, name := range m.rows {
		_, _ = fmt.Fprintf(&text, "%-20s", name)
		for _, c := range head[1:] {
			_, _ = fmt.Fprintf(&text, " %5.1f", m.took[name+"/"+c].Seconds())
		}
		_, _ = fmt.Fprintln(&text)
	}
	return text.String()
}
