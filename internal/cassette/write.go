package cassette

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/agentuity/coder-go/internal/quote"
)

const (
	// DefaultMaxBody is how much of a body, or of a message, is kept, in bytes.
	DefaultMaxBody = 8 << 20
	// mostWaiting is how much may wait to be written, in bytes.
	mostWaiting = 64 << 20
)

// ErrTooSlow says that a recording has ended early, since more happened than could be written.
var ErrTooSlow = errors.New("the recording has stopped: more happened than its writer could take")

// Recorder writes a cassette. Those who tell it what happens never wait for the writer: it has a goroutine of its
// own, which is there as long as something waits.
type Recorder struct {
	began     time.Time
	maxBody   int64
	omitTexts bool

	mu        sync.Mutex
	idle      sync.Cond // nothing waits, and the goroutine has ended
	redactors []quote.Redactor
	exchanges int
	waiting   []entry
	size      int // of what waits, in bytes
	working   bool
	closed    bool
	err       error // the first
	out       io.Writer
}

// entry is something that has happened. line is called later, by the goroutine that writes, since it takes time.
type entry struct {
	at   time.Time
	size int
	line func(*Redaction) Line
}

// NewRecorder writes the first line. maxBody 0 means DefaultMaxBody.
func NewRecorder(out io.Writer, library string, maxBody int64, omitTexts bool) (*Recorder, error) {
	if maxBody == 0 {
		maxBody = DefaultMaxBody
	}
	r := &Recorder{out: out, began: time.Now(), maxBody: maxBody, omitTexts: omitTexts}
	r.idle.L = &r.mu
	first, err := json.Marshal(Header{Format: Format, Library: library, Began: r.began.UTC().Truncate(time.Millisecond), OmitTexts: omitTexts})
	if err == nil {
		_, err = out.Write(append(first, '\n'))
	}
	return r, err
}

// Keep makes the key of a client known, so that it is kept out.
func (r *Recorder) Keep(secret quote.Redactor) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.redactors = append(r.redactors, secret)
}

// next returns the number of the next exchange.
func (r *Recorder) next() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.exchanges++
	return r.exchanges
}

// add notes what has happened.
func (r *Recorder) add(size int, line func(*Redaction) Line) {
	at := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.err != nil {
		return
	}
	if r.size += size; r.size > mostWaiting {
		r.err = ErrTooSlow
		return
	}
	r.waiting = append(r.waiting, entry{at, size, line})
	if !r.working {
		r.working = true
		go r.work()
	}
}

// work writes what waits.
func (r *Recorder) work() {
	for {
		r.mu.Lock()
		batch := r.waiting
		r.waiting = nil
		redaction := &Redaction{OmitTexts: r.omitTexts, Keys: keysOf(slices.Clone(r.redactors))}
		if len(batch) == 0 {
			r.working = false
			r.idle.Broadcast()
			r.mu.Unlock()
			return
		}
		r.mu.Unlock()
		for _, e := range batch {
			err := r.write(e, redaction)
			r.mu.Lock()
			r.size -= e.size
			if r.err == nil && err != nil {
				r.err, r.waiting = err, nil
			}
			failed := r.err != nil && !errors.Is(r.err, ErrTooSlow)
			r.mu.Unlock()
			if failed {
				break
			}
		}
	}
}

func keysOf(redactors []quote.Redactor) func(string) string {
	return func(s string) string {
		for _, r := range redactors {
			s = r.Text(s)
		}
		return s
	}
}

// write writes a line. A panic in what takes secrets out, or in the writer, ends the recording and not the program:
// the goroutine is ours.
func (r *Recorder) write(e entry, redaction *Redaction) (err error) {
	defer func() {
		if why := recover(); why != nil {
			err = fmt.Errorf("a panic while a line was written: %v", why)
		}
	}()
	line := e.line(redaction)
	line.Offset = e.at.Sub(r.began).Milliseconds()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(line); err != nil {
		return fmt.Errorf("encoding a line: %w", err)
	}
	_, err = r.out.Write(b.Bytes())
	return err
}

// Close writes what waits, and returns the first error. What happens later is not recorded.
func (r *Recorder) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for r.working {
		r.idle.Wait()
	}
	return r.err
}
