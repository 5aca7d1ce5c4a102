// Package window has a view of a stream that grows with what is needed of it.
package window

import (
	"io"
	"math/bits"
	"sync"
)

// First bytes are offered to a stream that has much to bring.
const First = 32 << 10

// Window holds what was read of a stream and is still needed. While it waits for a stream that has brought less than
// was offered, and nothing is needed, it has no more than its smallest buffer: of a thousand silent streams nothing
// larger is kept.
type Window struct {
	source     io.Reader
	least      int
	small      []byte // the smallest buffer
	buffer     []byte // buffer[start:end] is needed
	start, end int
	filled     bool // the stream has brought all that was offered: more is there
	err        error
}

// New returns a window on a stream. A window of least bytes is its smallest; 0 means First.
func New(source io.Reader, least int) *Window {
	if least == 0 {
		least = First
	}
	return &Window{source: source, least: least}
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
	w.resize(w.fitting())
	for range 100 {
		offered := w.buffer[w.end:]
		n, err := w.source.Read(offered)
		w.end += n
		w.filled = n == len(offered)
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

// fitting is the size of the buffer for what is needed and what comes next.
func (w *Window) fitting() int {
	size, needed := len(w.buffer), w.end-w.start
	switch {
	case needed == 0 && !w.filled:
		return w.least
	case needed == 0 && size > First:
		return max(w.least, First)
	case w.filled && size < First:
		return min(8*size, First)
	case needed == size:
		return 2 * size
	}
	return size
}

// resize makes room behind what is needed, in a buffer of that size.
func (w *Window) resize(size int) {
	needed, before := w.Bytes(), w.buffer
	switch {
	case size != len(before):
		w.buffer = w.get(size)
		defer put(before, w.least)
	case len(needed) > 0 && w.end < size: // there is room
		return
	}
	w.start, w.end = 0, copy(w.buffer, needed)
}

// get returns a buffer of that size.
func (w *Window) get(size int) []byte {
	if size == w.least {
		if w.small == nil {
			w.small = make([]byte, size)
		}
		return w.small
	}
	if b, ok := buffers[bits.Len(uint(size))].Get().(*[]byte); ok && len(*b) == size {
		return *b
	}
	return make([]byte, size)
}

// buffers are those that no window uses, by the number of bits of their size. The garbage collector empties them.
var buffers [bits.UintSize + 1]sync.Pool

func put(buffer []byte, least int) {
	if len(buffer) > 0 && len(buffer) != least {
		buffers[bits.Len(uint(len(buffer)))].Put(&buffer)
	}
}
