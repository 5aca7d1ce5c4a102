package main

import (
	"fmt"
	"io"
	"sync"

	"github.com/agentuity/coder-go/examples/internal/progress"
)

// teller tells on standard error how far the page is, if it takes long, and what went wrong.
type teller struct {
	*progress.Teller

	mu      sync.Mutex
	entries int
	bytes   int64
}

// read counts an entry that has come.
func (t *teller) read() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.entries++
}

// counting is a writer that counts what it writes.
type counting struct {
	io.Writer
	teller *teller
}

func (c *counting) Write(b []byte) (int, error) {
	n, err := c.Writer.Write(b)
	c.teller.mu.Lock()
	defer c.teller.mu.Unlock()
	c.teller.bytes += int64(n)
	return n, err
}

// counted is what there is so far.
func (t *teller) counted() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return fmt.Sprintf("%s, %s", plural(t.entries, "entry", "entries"), size(t.bytes))
}
