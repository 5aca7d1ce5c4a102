package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/agentuity/coder-go"
)

// What a task came to, beside the kinds of outcomes of the library.
const (
	outcomeError       coder.OutcomeKind = "error"       // it is not known what became of its session, or there is none
	outcomeInterrupted coder.OutcomeKind = "interrupted" // the program was
	outcomeNotBegun    coder.OutcomeKind = "not_begun"   // is in no file
)

// result is what a task came to: a line of the file of results.
type result struct {
	Key       string            `json:"key"`
	Task      string            `json:"task"`
	Label     string            `json:"label,omitzero"`
	SessionID string            `json:"sessionId,omitzero"`
	Outcome   coder.OutcomeKind `json:"outcome"`
	Succeeded bool              `json:"succeeded"`
	Archived  bool              `json:"archived,omitzero"`
	Reason    string            `json:"reason,omitzero"` // why it has not succeeded
	Answer    string            `json:"answer,omitzero"`
	Truncated bool              `json:"truncated,omitzero"`
	Ended     time.Time         `json:"ended,omitzero"`
	Seconds   float64           `json:"seconds"`
	spent
	NotEnforced []string `json:"notEnforced,omitzero"`

	earlier  bool           // another run of the program had it
	rejoined bool           // its session was there before
	session  *coder.Session // as last seen, nil if it was not
}

// ended reports whether the session came to something, so that another run need not go on with it.
func (r *result) ended() bool {
	return r.Outcome != outcomeError && r.Outcome != outcomeInterrupted && r.Outcome != outcomeNotBegun
}

func (r *result) title() string {
	if r.Label != "" {
		return r.Label
	}
	return r.Task
}

func (r *result) duration() time.Duration { return time.Duration(r.Seconds * float64(time.Second)) }

// resultsFile is a file that each result is added to. Nil: there is none.
type resultsFile struct {
	mu    sync.Mutex
	file  *os.File
	known map[string]*result // by key, the last one of each
}

// openResults reads what earlier runs have written, and opens the file for what comes.
func openResults(name string) (*resultsFile, error) {
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600) // answers may be nobody else's business
	if err != nil {
		return nil, err
	}
	f := &resultsFile{file: file, known: make(map[string]*result)}
	if err := f.read(name); err != nil {
		_ = file.Close()
		return nil, err
	}
	return f, nil
}

// read reads all lines. Who was killed while writing has left a part of one, at the end: it is removed.
func (f *resultsFile) read(name string) error {
	text, err := io.ReadAll(f.file)
	if err != nil {
		return err
	}
	whole := 0
	for number := 1; whole < len(text); number++ {
		line, _, ended := bytes.Cut(text[whole:], []byte("\n"))
		r := &result{earlier: true}
		switch err := json.Unmarshal(line, r); {
		case !ended:
			return f.file.Truncate(int64(whole))
		case len(bytes.TrimSpace(line)) == 0:
		case err != nil:
			return fmt.Errorf("%s:%d: it is no result: %w", name, number, err)
		case r.Key == "" || r.Outcome == "":
			return fmt.Errorf("%s:%d: it is no result: key and outcome must not be empty", name, number)
		default:
			f.known[r.Key] = r
		}
		whole += len(line) + 1
	}
	return nil
}

// of returns the last result of a task, nil if there is none. One that has the key of another task is an error.
func (f *resultsFile) of(t *task) (*result, error) {
	if f == nil {
		return nil, nil
	}
	r := f.known[t.key]
	if r != nil && r.Task != t.request.Task {
		return nil, fmt.Errorf("the key %q had another task in an earlier run; give this one another key", t.key)
	}
	return r, nil
}

// add writes a result, so that it is there whatever happens to the program and the machine.
func (f *resultsFile) add(r *result) error {
	if f == nil {
		return nil
	}
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	end, err := f.file.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if _, err := f.file.Write(append(line, '\n')); err != nil {
		return errors.Join(err, f.file.Truncate(end)) // a part of a line would spoil the next one
	}
	return f.file.Sync()
}

func (f *resultsFile) close() error {
	if f == nil {
		return nil
	}
	return errors.Join(f.file.Sync(), f.file.Close())
}
