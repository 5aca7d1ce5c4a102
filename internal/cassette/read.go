package cassette

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
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

// Read reads a cassette, and refuses one that no Recorder writes: what is wrong is named by line and member. A last line without an end is passed over, as a program leaves it that was killed.
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
			if err != nil && (whole || number == 1 || json.Valid(text)) {
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
		return notALine(err)
	}
	l.Number = number
	if err := l.check(); err != nil {
		return err
	}
	x := numbers[l.Exchange]
	switch {
	case l.Kind == Request && x != nil:
		return fmt.Errorf("n: there are two requests with the number %d", l.Exchange)
	case l.Kind == Request:
		x = &Exchange{Request: l}
		numbers[l.Exchange] = x
		t.Exchanges = append(t.Exchanges, x)
		return nil
	case x == nil:
		return fmt.Errorf("n: there is no request with the number %d before it", l.Exchange)
	}
	if err := x.mayFollow(&l); err != nil {
		return err
	}
	x.Lines = append(x.Lines, l)
	return nil
}

// notALine names the member that cannot be read, where that is known.
func notALine(err error) error {
	var kind *json.UnmarshalTypeError
	var base base64.CorruptInputError
	switch {
	case errors.As(err, &kind) && kind.Field != "":
		return fmt.Errorf("%s: a %s cannot stand here", kind.Field, kind.Value)
	case errors.As(err, &base):
		return fmt.Errorf("base64: %w", err)
	}
	return fmt.Errorf("it is no line of a recording: %w", err)
}

// check checks a line by itself.
func (l *Line) check() error {
	forms := 0
	for _, there := range []bool{l.JSON != nil, l.Text != "", l.Base64 != nil} {
		if there {
			forms++
		}
	}
	switch {
	case l.Offset < 0:
		return fmt.Errorf("t: %d is before the recording began", l.Offset)
	case l.Exchange < 1:
		return errors.New("n: the number of the exchange is missing, or below 1")
	case l.Kind == "":
		return errors.New("is: it does not say what happened")
	case forms > 1:
		return errors.New("json, text, base64: only one of them can be there")
	case l.Omitted < 0:
		return fmt.Errorf("omitted: %d is negative", l.Omitted)
	}
	switch l.Kind {
	case Request:
		if l.Method == "" {
			return errors.New("method: it is missing")
		}
		if !strings.Contains(l.URL, "://") {
			return fmt.Errorf("url: %q is no URL with a host", l.URL)
		}
	case Answer:
		return l.checkStatus()
	case Close:
		if l.By != ByProgram && l.By != ByHub {
			return fmt.Errorf("by: %q is neither %s nor %s", l.By, ByProgram, ByHub)
		}
		if l.Code < 0 || l.Code > math.MaxUint16 {
			return fmt.Errorf("code: %d is no close code", l.Code)
		}
	case End:
		if !slices.Contains(endings, l.How) {
			return fmt.Errorf("how: %q is none of %q", l.How, endings)
		}
	case Piece, Sent, Received:
	default:
		return fmt.Errorf("is: what is %q?", l.Kind)
	}
	return nil
}

// checkStatus lets in what package net/http takes from a server: some send what no standard has, such as 999.
func (l *Line) checkStatus() error {
	switch {
	case l.Status < 100 || l.Status > 999:
		return fmt.Errorf("status: %d is no status", l.Status)
	case l.Status < 200 && l.Status != http.StatusSwitchingProtocols:
		return fmt.Errorf("status: %d announces an answer, and is none", l.Status)
	case l.Status == http.StatusSwitchingProtocols && l.Header.Get("Upgrade") == "":
		return errors.New("header: a status of 101 has an Upgrade")
	}
	return nil
}

// mayFollow checks a line by those before it.
func (x *Exchange) mayFollow(l *Line) error {
	answer, answered := x.Answered()
	before := x.Request
	if n := len(x.Lines); n > 0 {
		before = x.Lines[n-1]
	}
	socket := answer.Status == http.StatusSwitchingProtocols
	switch {
	case before.Kind == End:
		return fmt.Errorf("n: %q follows the end of exchange %d, in line %d", l.Kind, l.Exchange, before.Number)
	case l.Offset < before.Offset:
		return fmt.Errorf("t: %d is before line %d of the same exchange, at %d", l.Offset, before.Number, before.Offset)
	case l.Kind == Answer && answered:
		return errors.New("is: there are two answers to one request")
	case l.Kind == Answer:
		return nil
	case l.Kind == End && !answered && (l.How == Whole || l.How == Cut):
		return fmt.Errorf("how: %q, and there is no answer", l.How)
	case l.Kind == End && answered && l.How != Whole && l.How != Cut && l.How != Left:
		return fmt.Errorf("how: %q, and there is an answer, in line %d", l.How, x.Lines[0].Number)
	case l.Kind == End:
		return nil
	case !answered:
		return fmt.Errorf("is: %q follows an answer that is not there", l.Kind)
	case socket && l.Kind == Piece:
		return errors.New("is: a body follows a status of 101: messages are sent or received")
	case !socket && l.Kind != Piece:
		return fmt.Errorf("is: %q follows a status of %d, which opens no WebSocket", l.Kind, answer.Status)
	case l.Kind == Piece && (len(l.Bytes()) > 0 || l.Omitted > 0) && !x.hasBody(answer.Status):
		return fmt.Errorf("is: a body follows a %d to %s, which has none", answer.Status, x.Request.Method)
	}
	return nil
}

// hasBody reports whether an answer can have a body.
func (x *Exchange) hasBody(status int) bool {
	return x.Request.Method != http.MethodHead && status != http.StatusNoContent && status != http.StatusNotModified
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
