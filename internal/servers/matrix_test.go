//go:build servers

package servers

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
)

// property is a column of the matrix: a test, which returns what to write into the cell.
type property struct {
	name string
	test func(t *testing.T, s *server) string
}

var properties = []property{
	{"quiet stream", quietStreamsGoOn},
	{"greeted stream", greetedStreamsEnd},
	{"shutdown", shutdownEndsStreams},
	{"compressed", eventsAreNotHeldBack},
	{"greeted socket", greetedSocketsEnd},
	{"deaf server", deafServersAreLost},
	{"too large", tooLargeIsSaid},
	{"quiet socket", pingsKeepSockets},
	{"large", largeMessagesPass},
	{"large refused", largeCreatesAreRefused},
	{"slow", slowAnswersCome},
	{"idle creates", createsMissTheEndOfConnections},
}

const yes = "yes"

func TestMatrix(t *testing.T) {
	for _, s := range servers {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			for _, p := range properties {
				t.Run(p.name, func(t *testing.T) {
					t.Parallel() // most of the time is spent waiting for servers that close what is quiet
					cell := "FAILED"
					defer func() {
						if t.Failed() {
							cell = "FAILED"
						}
						results.set(s, p, cell)
					}()
					cell = p.test(t, s)
				})
			}
		})
	}
}

var results = matrix{cells: make(map[string]string), versions: make(map[*server]string)}

type matrix struct {
	mu       sync.Mutex
	cells    map[string]string
	versions map[*server]string
}

func (m *matrix) set(s *server, p property, cell string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cells[s.name+"/"+p.name] = cell
}

func (m *matrix) version(s *server, version string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.versions[s] = version
}

// table returns the matrix as the table of docs/servers.md.
func (m *matrix) table() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var text bytes.Buffer
	w := tabwriter.NewWriter(&text, 0, 0, 1, ' ', tabwriter.Debug)
	row := func(cells []string) { _, _ = fmt.Fprintln(w, "\t "+strings.Join(cells, "\t ")+"\t") }
	head, rule := []string{"server"}, []string{"---"}
	for _, p := range properties {
		head, rule = append(head, p.name), append(rule, "---")
	}
	row(head)
	row(rule)
	for _, s := range servers {
		cells := []string{m.versions[s]}
		for _, p := range properties {
			cells = append(cells, m.cells[s.name+"/"+p.name])
		}
		row(cells)
	}
	_ = w.Flush()
	return text.String()
}
