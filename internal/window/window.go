// Package window has a view of a stream that grows with what is needed of it.
package window

import "io"

const (
	// First bytes are offered at the beginning.
	First = 32 << 10
	// largestKept is the buffer that is kept once nothing in it is needed.
	largestKept = 1 << 20
)

// Window holds what was read of a stream and is still needed.
type Window struct {
	source     io.Reader
	first      int
	buffer     []byte // buffer[start:end] is needed
	start, end int
	err        error
}

// New returns a window on a stream. A window of first bytes is its smallest; 0 means First.
func New(source io.Reader, first int) *Window {
	if first == 0 {
		first = First
	}
	return &Window{source: source, first: first}
}

// Bytes is what was read and not dropped. It is valid until the next call of More.
func (w *Window) Bytes() []byte { return w.buffer[w.start:w.end] }

// Drop drops the first n of Bytes.
func (w *Window) Drop(n int) { w.start += n }

// Err is the error of the stream, once it has one.
func (w *Window) Err() error { return w.err }

// More reads more of the stream behind Bytes. The buffer doubles, so that something costs time in
// proportion to its size. An error of the stream stays.
func (w *Window) More() error {
	if w.err != nil {
		return w.err
	}
	if w.start == w.end {
		w.start, w.end = 0, 0
		if len(w.buffer) > largestKept {
			w.buffer = nil
		}
	}
	switch {
	case w.end < len(w.buffer):
	case w.start > 0:
		w.end = copy(w.buffer, w.Bytes())
		w.start = 0
	default:
		larger := make([]byte, max(w.first, 2*len(w.buffer)))
		copy(larger, w.buffer)
		w.buffer = larger
	}
	for range 100 {
		n, err := w.source.Read(w.buffer[w.end:])
		w.end += n
		w.err = err
		if n > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
	w.err = io.ErrNoProgress
	return w.err
}
