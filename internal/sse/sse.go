// Package sse reads Server-Sent Events. It knows the framing and nothing of what is in it.
package sse

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"time"

	"github.com/agentuity/coder-go/internal/window"
)

// DefaultLimit is the largest block a Reader takes when it is given no limit.
const DefaultLimit = 64 << 20

// largestKept is the memory for data that is kept for the next event.
const largestKept = 1 << 20

// ErrTooLarge says that a block is larger than the limit.
var ErrTooLarge = errors.New("sse: an event is larger than the limit")

// Event is one block that has data.
type Event struct {
	// Name is the event's name, "message" if the block has none.
	Name string
	// Data is the text of all data lines, joined by line feeds. It is valid until the next call of
	// Next.
	Data []byte
	// ID is the last id seen, of this block or one before.
	ID string
}

// Reader takes a stream apart. Lines may end in LF, CR or CRLF, in any mix.
type Reader struct {
	window   *window.Window
	limit    int
	comments int

	at     int  // window.Bytes()[at:] is not parsed
	seen   int  // so much of that has no line end
	afterR bool // the last line ended in CR: an LF that follows belongs to it
	begun  bool // the byte order mark is past
	err    error

	names []string // those that came, so that a name costs no allocation

	// The block under way. Its data is data, or, as long as it is a single line, what the window
	// begins with.
	size    int
	name    string
	data    []byte
	hasData bool
	held    int // so much of the window; -1: nothing
	id      string
	retry   time.Duration // of the stream
}

// leastWindow is what a silent stream has for what may come.
const leastWindow = 512

// NewReader returns a Reader of blocks of at most limit bytes, or DefaultLimit if it is 0.
func NewReader(source io.Reader, limit int) *Reader { return newReader(source, limit, leastWindow) }

func newReader(source io.Reader, limit, least int) *Reader {
	if limit == 0 {
		limit = DefaultLimit
	}
	return &Reader{window: window.New(source, least), limit: limit, held: -1}
}

// Comments counts the comment lines so far. Servers send them to show that they are there.
func (r *Reader) Comments() int { return r.comments }

// Retry returns the delay before a reconnection that the stream has asked for last, 0 if it has not.
func (r *Reader) Retry() time.Duration { return r.retry }

// Next returns the next event. At the end of the stream it returns io.EOF, and discards a block
// that is not finished. Any other error is the source's, or ErrTooLarge, and stays.
func (r *Reader) Next() (Event, error) {
	if r.data = r.data[:0]; cap(r.data) > largestKept {
		r.data = nil
	}
	r.release()
	for {
		line, err := r.line()
		if err != nil {
			return Event{}, err
		}
		if len(line) > 0 {
			if r.size += len(line); r.size > r.limit {
				r.err = ErrTooLarge
				return Event{}, r.err
			}
			r.field(line)
			continue
		}
		event, ok := Event{Name: r.name, Data: r.data, ID: r.id}, r.hasData
		if r.held >= 0 {
			event.Data = r.window.Bytes()[:r.held:r.held]
		}
		r.size, r.name, r.hasData = 0, "", false
		if ok {
			if event.Name == "" {
				event.Name = "message"
			}
			return event, nil
		}
	}
}

// field takes one line of a block.
func (r *Reader) field(line []byte) {
	if line[0] == ':' {
		r.comments++
		return
	}
	name, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimPrefix(value, []byte(" "))
	switch string(name) {
	case "data":
		if !r.hasData {
			r.hasData = true
			r.hold(len(value))
			return
		}
		if r.held >= 0 {
			r.data = append(r.data, r.window.Bytes()[:r.held]...)
			r.held = -1
		}
		r.data = append(r.data, '\n')
		r.data = append(r.data, value...)
	case "event":
		r.name = r.intern(value)
	case "id":
		if bytes.IndexByte(value, 0) < 0 {
			r.id = string(value)
		}
	case "retry":
		if ms, err := strconv.ParseUint(string(value), 10, 31); err == nil {
			r.retry = time.Duration(ms) * time.Millisecond
		}
	}
}

// intern returns the text without an allocation if it came before. There are few names.
func (r *Reader) intern(text []byte) string {
	for _, name := range r.names {
		if name == string(text) {
			return name
		}
	}
	s := string(text)
	if len(s) <= 64 && len(r.names) < mostNames {
		r.names = append(r.names, s)
	}
	return s
}

// mostNames are remembered.
const mostNames = 16

// hold keeps the end of the line that was just read, at the beginning of the window.
func (r *Reader) hold(size int) {
	from := r.at - 1 - size // behind the line there is its end
	r.window.Drop(from)
	r.at -= from
	r.held = size
}

// release drops what was parsed.
func (r *Reader) release() {
	r.window.Drop(r.at)
	r.at, r.held = 0, -1
}

// pass passes over what belongs to no line. The window need not keep it, and so a large buffer, until there is a line.
func (r *Reader) pass(n int) {
	if r.at += n; r.held < 0 {
		r.release()
	}
}

// line returns the next line without its end. It is valid until the next call.
func (r *Reader) line() ([]byte, error) {
	if r.held < 0 {
		r.release()
	}
	for {
		unread := r.window.Bytes()[r.at:]
		if r.afterR && len(unread) > 0 {
			r.afterR = false
			if unread[0] == '\n' {
				r.pass(1)
				continue
			}
		}
		if !r.begun && (r.err != nil || !bytes.HasPrefix(byteOrderMark, unread)) {
			r.begun = true
			if bytes.HasPrefix(unread, byteOrderMark) {
				r.pass(len(byteOrderMark))
				continue
			}
		}
		if r.begun {
			if n := lineEnd(unread[r.seen:]); n >= 0 {
				n += r.seen
				r.afterR = unread[n] == '\r'
				r.at += n + 1
				r.seen = 0
				return unread[:n], nil
			}
			r.seen = len(unread)
		}
		if r.size+len(unread) > r.limit {
			r.err = ErrTooLarge
			return nil, r.err
		}
		if r.err == nil {
			r.err = r.window.More()
		}
		if r.err != nil && r.begun {
			return nil, r.err
		}
	}
}

var byteOrderMark = []byte("\xEF\xBB\xBF")

// lineEnd returns the index of the first LF or CR, or -1. It looks at growing parts of the text: of a
// text of many short lines that all end in CR, most would be searched for an LF once a line.
func lineEnd(text []byte) int {
	for from, size := 0, 128; from < len(text); from, size = from+size, 2*size {
		part := text[from:min(from+size, len(text))]
		lf := bytes.IndexByte(part, '\n')
		if lf >= 0 {
			part = part[:lf]
		}
		if cr := bytes.IndexByte(part, '\r'); cr >= 0 {
			return from + cr
		}
		if lf >= 0 {
			return from + lf
		}
	}
	return -1
}
