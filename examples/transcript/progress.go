package main

import (
	"fmt"
	"io"
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

// progress tells on standard error how far the page is, if it takes long, and what went wrong.
type progress struct {
	out      io.Writer
	terminal bool

	mu      sync.Mutex
	entries int
	bytes   int64
	line    bool // the cursor is behind a line that is redrawn
}

// say prints a line. It may quote the Hub.
func (p *progress) say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	fmt.Fprintf(p.out, "transcript: %s\n", transcript.Clean(fmt.Sprintf(format, args...)))
}

// watch tells how far it is until the returned function is called.
func (p *progress) watch() (stop func()) {
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
			p.show(time.Since(began))
			if p.terminal {
				timer.Reset(redrawn)
			} else {
				timer.Reset(lineAfter)
			}
		}
	}()
	return func() {
		close(done)
		<-over
		p.mu.Lock()
		defer p.mu.Unlock()
		p.clear()
	}
}

func (p *progress) show(since time.Duration) {
	text := fmt.Sprintf("transcript: %s, %d s", p.counted(), int(since.Seconds()))
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	if p.terminal {
		fmt.Fprint(p.out, text)
		p.line = true
		return
	}
	fmt.Fprintln(p.out, text)
}

// clear removes the line that is redrawn. The mutex is held.
func (p *progress) clear() {
	if p.line {
		fmt.Fprint(p.out, "\r\x1b[K")
		p.line = false
	}
}

// read counts an entry that has come.
func (p *progress) read() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.entries++
}

// counting is a writer that counts what it writes.
type counting struct {
	io.Writer
	progress *progress
}

func (c *counting) Write(b []byte) (int, error) {
	n, err := c.Writer.Write(b)
	c.progress.mu.Lock()
	defer c.progress.mu.Unlock()
	c.progress.bytes += int64(n)
	return n, err
}

// counted is what there is so far.
func (p *progress) counted() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return fmt.Sprintf("%s, %s", plural(p.entries, "entry", "entries"), size(p.bytes))
}
