package cassette

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Tape is a cassette that was read.
type Tape struct {
	Header
	Exchanges []*Exchange // in the order in which they began
}

// Exchange is a request and what became of it.
type Exchange struct {
	Request Line
	Lines   []Line // that follow
}

// Ended returns how it has ended, "" if the recording has ended before.
func (x *Exchange) Ended() (how Line, ended bool) {
	if n := len(x.Lines); n > 0 && x.Lines[n-1].Kind == End {
		return x.Lines[n-1], true
	}
	return Line{}, false
}

// Answered returns the header of the answer, and whether there is one.
func (x *Exchange) Answered() (Line, bool) {
	if len(x.Lines) > 0 && x.Lines[0].Kind == Answer {
		return x.Lines[0], true
	}
	return Line{}, false
}

// mostBytes bounds a cassette that is read.
const mostBytes = 1 << 30

// Read reads a cassette. A last line without an end is passed over, as a program leaves it that was killed.
func Read(r io.Reader) (*Tape, error) {
	lines := bufio.NewReader(io.LimitReader(r, mostBytes+1))
	t := new(Tape)
	numbers := make(map[int]*Exchange)
	var read int64
	for number := 1; ; number++ {
		text, err := lines.ReadBytes('\n')
		if read += int64(len(text)); read > mostBytes {
			return nil, fmt.Errorf("it is larger than %d bytes", mostBytes)
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		whole := err == nil
		text = bytes.TrimSpace(text)
		if len(text) > 0 {
			err := t.line(text, number, numbers)
			if err != nil && (whole || number == 1) {
				return nil, fmt.Errorf("line %d: %w", number, err)
			}
		}
		if !whole {
			break
		}
	}
	if t.Format == 0 {
		return nil, errors.New("it is empty")
	}
	return t, nil
}

func (t *Tape) line(text []byte, number int, numbers map[int]*Exchange) error {
	if t.Format == 0 {
		return t.first(text)
	}
	var l Line
	if err := json.Unmarshal(text, &l); err != nil {
		return errors.New("it is no line of a recording: " + err.Error())
	}
	l.Number = number
	x := numbers[l.Exchange]
	switch {
	case l.Kind == Request && x != nil:
		return fmt.Errorf("there are two requests with the number %d", l.Exchange)
	case l.Kind == Request:
		x = &Exchange{Request: l}
		numbers[l.Exchange] = x
		t.Exchanges = append(t.Exchanges, x)
		return nil
	case x == nil:
		return fmt.Errorf("there is no request with the number %d", l.Exchange)
	}
	_, answered := x.Answered()
	_, ended := x.Ended()
	switch l.Kind {
	case Answer:
		if answered {
			return errors.New("there are two answers to one request")
		}
		if l.Status < 100 || l.Status > 999 {
			return fmt.Errorf("%d is no status", l.Status)
		}
	case Piece, Sent, Received, Close:
		if !answered {
			return errors.New("something follows an answer that is not there")
		}
	case End:
	default:
		return fmt.Errorf("what is %q?", l.Kind)
	}
	if ended {
		return errors.New("something follows the end")
	}
	x.Lines = append(x.Lines, l)
	return nil
}

func (t *Tape) first(text []byte) error {
	var h Header
	switch err := json.Unmarshal(text, &h); {
	case err != nil || h.Format == 0:
		return errors.New(`it is no recording: the first line has no "cassette"`)
	case h.Format != Format:
		return fmt.Errorf("it is a recording of the format %d, and this version reads %d", h.Format, Format)
	}
	t.Header = h
	return nil
}
