//go:build parity

package parity

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

var seed = flag.Uint64("seed", 1, "from which scenarios are generated")

// fewest is how many scenarios a whole run must play, and fewestLive on live channels.
const (
	fewest     = 500
	fewestLive = 75
)

// What all tests share: both clients talk to one server, one call after the other.
var (
	original  *driver
	followers *driver // of the original's, over live channels
	known     *knowledge
	server    *recorder
	tally     = tallies{methods: make(map[string]bool), channels: make(map[string]bool), differences: make(map[string]bool)}
)

// tallies count what the summary says.
type tallies struct {
	mu          sync.Mutex
	scenarios   int
	methods     map[string]bool
	channels    map[string]bool // scenarios of live channels, by name
	messages    int             // generated ones, sent over live channels
	vainly      int             // waits for what did not come
	differences map[string]bool // on purpose, and asserted
	others      int
}

func (t *tallies) add(m *method) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.scenarios++
	t.methods[m.name] = true
}

func (t *tallies) followed(scenario string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.scenarios++
	t.channels[scenario] = true
}

// vain counts a wait for what did not come.
func (t *tallies) vain() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.vainly++
	t.others++
}

// patience is how long to wait for what must come. Where much is broken, nobody should wait long.
func (t *tallies) patience() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.vainly > 3 {
		return patience / 20
	}
	return patience
}

// generated counts a message that one side was sent.
func (t *tallies) generated() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.messages++
}

func (t *tallies) met(difference string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.differences[difference] = true
}

func (t *tallies) other() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.others++
}

func TestMain(m *testing.M) {
	flag.Parse()
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "parity:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "AGENTUITY_") {
			if err := os.Unsetenv(name); err != nil {
				return 0, err
			}
		}
	}
	if original, err = startDriver("driver.mjs"); err != nil {
		return 0, err
	}
	if followers, err = startDriver("--no-warnings", "--experimental-websocket", "streams.mjs"); err != nil {
		return 0, err
	}
	if known, err = describeOriginal(original); err != nil {
		return 0, err
	}
	server = newRecorder()
	defer server.Close()
	defer httpClient.CloseIdleConnections()

	code = m.Run()
	if err := errors.Join(original.stop(), followers.stop()); err != nil {
		return 0, err
	}
	if code != 0 {
		tally.others = max(tally.others, 1) // assertions that are not counted
	}
	fmt.Printf("parity: %d scenarios, %d methods, %d on live channels, %d messages there, %d differences on purpose, %d others\n",
		tally.scenarios, len(tally.methods), len(tally.channels), tally.messages, len(tally.differences), tally.others)
	if code == 0 && flag.Lookup("test.run").Value.String() == "" {
		return 0, complete()
	}
	return code, nil
}

// complete makes sure that a whole run has looked at everything.
func complete() error {
	switch {
	case tally.scenarios < fewest:
		return fmt.Errorf("only %d scenarios were played, at least %d are wanted", tally.scenarios, fewest)
	case len(tally.channels) < fewestLive:
		return fmt.Errorf("only %d scenarios were played on live channels, at least %d are wanted", len(tally.channels), fewestLive)
	case len(tally.methods) != len(known.Methods):
		return fmt.Errorf("%d of %d methods were called", len(tally.methods), len(known.Methods))
	}
	rows, err := table("On purpose")
	if err != nil {
		return err
	}
	listed := make(map[string]bool)
	for _, r := range rows {
		listed[r.names[0]] = true
	}
	for _, name := range sortedDifference(tally.differences, listed) {
		err = errors.Join(err, fmt.Errorf("docs/differences.md does not list %s", name))
	}
	for _, name := range sortedDifference(listed, tally.differences) {
		err = errors.Join(err, fmt.Errorf("docs/differences.md lists %s, which was not met", name))
	}
	return err
}

// newGenerator makes one whose output depends on the seed and its name alone, so that a test can
// be run by itself.
func newGenerator(name string) *generator {
	h := *seed
	for _, b := range []byte(name) {
		h = h*1099511628211 + uint64(b)
	}
	return &generator{Rand: rand.New(rand.NewPCG(*seed, h)), richness: mixed}
}

// eachMethod runs a test for every method that makes requests on a Hub.
func eachMethod(t *testing.T, test func(t *testing.T, m *method)) {
	for i := range methods {
		if m := &methods[i]; !m.discovery() {
			t.Run(m.name, func(t *testing.T) { test(t, m) })
		}
	}
}
