package transport

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
)

const (
	// firstRead is the buffer of an answer that does not say how long it is.
	firstRead = 4 << 10
	// largestPooled bounds what is allocated on the word of a Content-Length, and what is kept.
	largestPooled = 1 << 20
	// pieceSize is the size of the pieces of a larger body.
	pieceSize = 1 << 20
	// mostPooled pieces of one body are kept for the next.
	mostPooled = 8
)

// What no body uses. The garbage collector empties them.
var (
	buffers = sync.Pool{New: func() any { return new([]byte) }}
	pieces  = sync.Pool{New: func() any { return new([pieceSize]byte) }}
)

// Body is an answer, read whole. A large one is kept in pieces, so that growing never copies it.
// Its bytes are valid until Release.
type Body struct {
	head *[]byte // from the pool; all of a small body
	rest [][]byte
}

// Bytes returns the body if it is in one piece.
func (b *Body) Bytes() ([]byte, bool) {
	if b.head == nil {
		return nil, true
	}
	return *b.head, len(b.rest) == 0
}

// Reader reads the body from its beginning.
func (b *Body) Reader() io.Reader {
	if b.head == nil {
		return bytes.NewReader(nil)
	}
	readers := []io.Reader{bytes.NewReader(*b.head)}
	for _, piece := range b.rest {
		readers = append(readers, bytes.NewReader(piece))
	}
	return io.MultiReader(readers...)
}

// Prefix returns a copy of at most n bytes.
func (b *Body) Prefix(n int) []byte {
	if b.head == nil {
		return nil
	}
	return bytes.Clone((*b.head)[:min(n, len(*b.head))])
}

// Release gives the buffer back.
func (b *Body) Release() {
	if b.head != nil && cap(*b.head) <= largestPooled+1 {
		*b.head = (*b.head)[:0]
		buffers.Put(b.head)
	}
	for _, piece := range b.rest[:min(len(b.rest), mostPooled)] {
		pieces.Put((*[pieceSize]byte)(piece[:pieceSize]))
	}
	b.head, b.rest = nil, nil
}

// readBody reads a 2xx body of at most limit bytes.
func readBody(r io.Reader, announced, limit int64) (Body, error) {
	if announced > limit {
		return Body{}, fmt.Errorf("%w of %d bytes", ErrTooLarge, limit)
	}

	body := Body{head: buffers.Get().(*[]byte)}
	// One byte more than announced: the end must be seen for the connection to be used again.
	want := int(min(max(announced, firstRead), largestPooled)) + 1
	if cap(*body.head) < want {
		*body.head = make([]byte, 0, want)
	}
	piece := body.head
	var total int64
	for empty := 0; ; {
		if len(*piece) == cap(*piece) {
			piece = body.grow(piece)
		}
		n, err := r.Read((*piece)[len(*piece):cap(*piece)])
		*piece = (*piece)[:len(*piece)+n]
		if empty++; n > 0 {
			empty = 0
		}
		if total += int64(n); total > limit {
			err = fmt.Errorf("%w of %d bytes", ErrTooLarge, limit)
		}
		if err == nil && empty > 100 {
			err = io.ErrNoProgress
		}
		if errors.Is(err, io.EOF) {
			return body, nil
		}
		if err != nil {
			body.Release()
			return Body{}, err
		}
	}
}

// reduceBody is readBody for a body that reduce makes smaller while it arrives, if it is large.
func reduceBody(r io.Reader, announced, limit int64, reduce func(io.Reader) ([]byte, error)) (body Body, unreduced, err error) {
	if announced > limit {
		return Body{}, nil, fmt.Errorf("%w of %d bytes", ErrTooLarge, limit)
	}
	source := &limitedReader{source: r, left: limit, limit: limit}
	head, err := readBody(io.LimitReader(source, largestPooled), min(announced, largestPooled), largestPooled)
	if err != nil || source.limit-source.left < largestPooled {
		return head, nil, err
	}
	kept, unreduced := reduce(io.MultiReader(head.Reader(), source))
	switch {
	case source.err != nil && !errors.Is(source.err, io.EOF):
		head.Release()
		return Body{}, nil, source.err
	case unreduced != nil:
		return head, unreduced, nil
	}
	head.Release()
	return Body{head: &kept}, nil, nil
}

// limitedReader fails with ErrTooLarge behind the limit, and remembers the error of its source.
type limitedReader struct {
	source      io.Reader
	left, limit int64
	err         error
}

func (r *limitedReader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	n, err := r.source.Read(p)
	if r.left -= int64(n); r.left < 0 {
		n, err = 0, fmt.Errorf("%w of %d bytes", ErrTooLarge, r.limit)
	}
	r.err = err
	return n, err
}

// grow returns a piece with room: the head, doubled, while it is small, else a new piece.
func (b *Body) grow(full *[]byte) *[]byte {
	if cap(*full) <= largestPooled/2 {
		larger := make([]byte, len(*full), 2*cap(*full))
		copy(larger, *full)
		*full = larger
		return full
	}
	b.rest = append(b.rest, pieces.Get().(*[pieceSize]byte)[:0])
	return &b.rest[len(b.rest)-1]
}

// readText reads what there is of an error's body, up to the limit. A failure to read never hides
// the status.
func readText(r io.Reader) []byte {
	text, _ := io.ReadAll(io.LimitReader(r, ErrorBodyLimit))
	return text
}
