// Package progress tells whoever runs an example how far it is, on standard error.
package progress

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/agentuity/coder-go/examples/internal/transcript"
)

// How long it is silent, and how often it then says how far it is: in place on a terminal, in a line each elsewhere.
const (
	silence   = time.Second
	redrawn   = 200 * time.Millisecond
	lineAfter = 10 * time.Second
)

// Teller writes lines that begin with the name of the program. It is safe for concurrent use.
type Teller struct {
	Name     string
	Out      io.Writer
	Terminal bool // Out is one, where a line can be written anew

	mu   sync.Mutex
	line bool // the cursor is behind a line that is written anew
}

// New returns a Teller that writes to a file, such as os.Stderr.
func New(name string, out *os.File) *Teller {
	info, err := out.Stat()
	return &Teller{Name: name, Out: out, Terminal: err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"}
}

// Say writes a line. It may quote the Hub.
func (t *Teller) Say(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.clear()
	fmt.Fprintf(t.Out, "%s: %s\n", t.Name, transcript.Clean(fmt.Sprintf(format, args...)))
}

// Watch tells what now returns, and for how long it has lasted, until the returned function is called. It is silent in the
// first second. What now returns may quote the Hub.
func (t *Teller) Watch(now func() string) (stop func()) {
	done, over := make(chan struct{}), make(chan struct{})
	began := time.Now()
	go func() {
		defer close(over)
		timer := time.NewTimer(silence)
		defer timer.Stop()
		for {
			select {
			case <-done:
				return
			case <-timer.C:
			}
			t.show(now(), time.Since(began))
			if t.Terminal {
				timer.Reset(redrawn)
			} else {
				timer.Reset(lineAfter)
			}
		}
	}()
	return sync.OnceFunc(func() {
		close(done)
		<-over
		t.mu.Lock()
		defer t.mu.Unlock()
		t.clear()
	})
}

func (t *Teller) show(now string, since time.Duration) {
	text := fmt.Sprintf("%s: %s, %d s", t.Name, transcript.Clean(now), int(since.Seconds()))
	t.mu.Lock()
	defer t.mu.Unlock()
	t.clear()
	if t.Terminal {
		fmt.Fprint(t.Out, text)
		t.line = true
		return
	}
	fmt.Fprintln(t.Out, text)
}

// clear removes the line that is written anew. The mutex is held.
func (t *Teller) clear() {
	if t.line {
		fmt.Fprint(t.Out, "\r\x1b[K")
		t.line = false
	}
}
