package cassette

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// lines records what a function makes happen, and returns what is on the tape.
func lines(t testing.TB, maxBody int64, happens func(*Recorder)) []Line {
	t.Helper()
	var file bytes.Buffer
	r, err := NewRecorder(&file, "test", maxBody, false)
	require.NoError(t, err)
	happens(r)
	require.NoError(t, r.Close())
	tape, err := Read(&file)
	require.NoError(t, err)
	require.Len(t, tape.Exchanges, 1)
	return tape.Exchanges[0].Lines
}

// begun is an exchange whose answer has come.
func begun(r *Recorder) *exchange {
	x := &exchange{recorder: r, number: r.next(), ctx: context.Background()}
	x.begin(httptest.NewRequest(http.MethodGet, "http://h/api/ws", nil), nil)
	x.answered(&http.Response{StatusCode: http.StatusSwitchingProtocols, Header: http.Header{"Upgrade": {"websocket"}}})
	return x
}

// RFC 6455, 5.2.
const (
	opContinuation = 0
	opText         = 1
	opBinary       = 2
	opClose        = 8

	finalBit     = 0x80
	reservedBits = 0x70
	maskBit      = 0x80
	length16     = 126
	length64     = 127
)

// frame is one frame of a WebSocket.
func frame(op byte, final, masked bool, payload string) []byte {
	head := []byte{op, 0}
	if final {
		head[0] |= finalBit
	}
	switch n := len(payload); {
	case n < length16:
		head[1] = byte(n)
	case n < 1<<16:
		head[1] = length16
		head = binary.BigEndian.AppendUint16(head, uint16(n))
	default:
		head[1] = length64
		head = binary.BigEndian.AppendUint64(head, uint64(n))
	}
	body := []byte(payload)
	if masked {
		mask := []byte{1, 0x80, 7, 0xff}
		head[1] |= maskBit
		head = append(head, mask...)
		for i := range body {
			body[i] ^= mask[i%4]
		}
	}
	return append(head, body...)
}

// TestFrames: messages are found however the bytes are cut.
func TestFrames(t *testing.T) {
	long, longer := strings.Repeat("é", 200), strings.Repeat("x", 70_000)
	for _, masked := range []bool{false, true} {
		var wire []byte
		for _, f := range [][]byte{
			frame(opText, true, masked, `{"a":1}`),
			frame(opText, true, masked, ""),
			frame(opText, false, masked, `{"in":`),
			frame(9, true, masked, "ping"), // between two parts of a message
			frame(opContinuation, false, masked, ""),
			frame(opContinuation, true, masked, `"parts"}`),
			frame(opText, true, masked, long),
			frame(opBinary, true, masked, "binary"),
			frame(opText, true, masked, longer),
			frame(opClose, true, masked, "\x03\xe9going away"),
		} {
			wire = append(wire, f...)
		}
		for _, size := range []int{1, 2, 3, 7, 1000, len(wire)} {
			t.Run(fmt.Sprint(masked, size), func(t *testing.T) {
				got := lines(t, 0, func(r *Recorder) {
					f := newFrames(begun(r), Received, ByHub)
					for rest := wire; len(rest) > 0; {
						n := min(size, len(rest))
						f.Take(rest[:n])
						rest = rest[n:]
					}
				})[1:]
				require.Len(t, got, 7)
				for i, want := range []string{`{"a":1}`, "", `{"in":"parts"}`, long, "binary", longer} {
					assert.Equal(t, Received, got[i].Kind)
					assert.Equal(t, want, string(got[i].Bytes()))
				}
				assert.Equal(t, []byte("binary"), got[4].Base64)
				assert.Equal(t, Line{Kind: Close, Exchange: 1, By: ByHub, Code: 1001, Reason: "going away", Offset: got[6].Offset, Number: got[6].Number}, got[6])
			})
		}
	}
}

func TestFrames_Limit(t *testing.T) {
	got := lines(t, 10, func(r *Recorder) {
		f := newFrames(begun(r), Sent, ByProgram)
		f.Take(frame(opText, false, true, "0123456"))
		f.Take(frame(opContinuation, true, true, "789abc"))
		f.Take(frame(opText, true, true, "next"))
		f.Take(frame(opClose, true, true, ""))
		f.Take(frame(opText|0x40, true, true, "compressed")) // of an extension that nobody has asked for
		f.Take(frame(opText, true, true, "not understood any more"))
	})[1:]
	require.Len(t, got, 3)
	assert.Equal(t, Body{Text: "0123456789", Omitted: 3}, got[0].Body)
	assert.Equal(t, "next", got[1].Text)
	assert.Equal(t, Close, got[2].Kind)
	assert.Zero(t, got[2].Code)
}

// pieces is a body that comes in pieces of a size, and ends as it is told.
type pieces struct {
	rest string
	size int
	err  error
}

func (p *pieces) Read(b []byte) (int, error) {
	if p.rest == "" {
		return 0, p.err
	}
	n := copy(b, p.rest[:min(p.size, len(p.rest))])
	p.rest = p.rest[n:]
	return n, nil
}

func (p *pieces) Close() error { return nil }

// answered records the answer to a request, read to its end by a program.
func answered(t *testing.T, maxBody int64, kind string, body *pieces) (got string, recorded []Line) {
	t.Helper()
	recorded = lines(t, maxBody, func(r *Recorder) {
		rt := r.Around(roundTrip(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {kind}}, Body: body, ContentLength: -1}, nil
		}), nil)
		resp, err := rt.RoundTrip(httptest.NewRequest(http.MethodGet, "http://h/api/x", nil))
		require.NoError(t, err)
		all, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		got = string(all)
	})
	return got, recorded
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestTap_Events: events are found however the bytes are cut and the lines end.
func TestTap_Events(t *testing.T) {
	for name, end := range map[string]string{"LF": "\n", "CRLF": "\r\n", "CR": "\r"} {
		text := strings.NewReplacer("\n", end).Replace("event: a\ndata: 1\n\n: comment\n\ndata: two\ndata: lines\n\ndata: half")
		for size := range 12 {
			t.Run(fmt.Sprint(name, size+1), func(t *testing.T) {
				got, recorded := answered(t, 0, "text/event-stream; charset=utf-8", &pieces{text, size + 1, errors.New("reset by peer")})
				assert.Equal(t, text, got, "it changes nothing")
				var texts []string
				for _, line := range recorded[1:] {
					texts = append(texts, line.Text)
				}
				assert.Equal(t, []string{"event: a\ndata: 1\n\n", ": comment\n\n", "data: two\ndata: lines\n\n", "data: half", ""}, texts)
				last := recorded[len(recorded)-1]
				assert.Equal(t, Cut, last.How)
				assert.Equal(t, "reset by peer", last.Error)
			})
		}
	}
}

func TestTap_Limit(t *testing.T) {
	got, recorded := answered(t, 12, "text/event-stream", &pieces{"data: 0123456789\n\ndata: 1\n\n", 5, io.EOF})
	assert.Equal(t, "data: 0123456789\n\ndata: 1\n\n", got)
	require.Len(t, recorded, 4)
	assert.Equal(t, Body{Text: "data: 012345", Omitted: 6}, recorded[1].Body)
	assert.Equal(t, Body{Text: "data: 1\n\n"}, recorded[2].Body)
	got, recorded = answered(t, 12, "application/json", &pieces{`{"token":"s1","more":"s2"}`, 5, io.EOF})
	assert.Len(t, got, 26)
	assert.Equal(t, Body{Text: `{"token"`, Omitted: 18}, recorded[1].Body)
	assert.Equal(t, Whole, recorded[2].How)
}

func TestTap_ReadInParts(t *testing.T) {
	for name, test := range map[string]struct {
		length int64
		want   string
	}{"all that was announced": {3, Whole}, "a part": {6, Left}, "who knows": {-1, Left}} {
		t.Run(name, func(t *testing.T) {
			recorded := lines(t, 0, func(r *Recorder) {
				rt := r.Around(roundTrip(func(*http.Request) (*http.Response, error) {
					return &http.Response{StatusCode: 200, Header: http.Header{}, Body: &pieces{"abc", 3, io.EOF}, ContentLength: test.length}, nil
				}), nil)
				resp, err := rt.RoundTrip(httptest.NewRequest(http.MethodGet, "http://h/api/x", nil))
				require.NoError(t, err)
				_, _ = resp.Body.Read(make([]byte, 3))
				require.NoError(t, resp.Body.Close())
				require.NoError(t, resp.Body.Close())
			})
			assert.Equal(t, test.want, recorded[len(recorded)-1].How)
			assert.Equal(t, "abc", recorded[1].Text)
		})
	}
}

// TestRecorder_TooSlow: what cannot be written ends the recording, and is not held.
func TestRecorder_TooSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var file bytes.Buffer
		stuck := make(chan struct{})
		first := true
		r, err := NewRecorder(writer(func(p []byte) (int, error) {
			if !first {
				<-stuck
			}
			first = false
			return file.Write(p)
		}), "test", 0, false)
		require.NoError(t, err)
		x := begun(r)
		for range mostWaiting>>20 + 10 {
			x.add(1<<20, func(*Redaction) Line { return Line{Kind: Sent} })
		}
		x.end(Left, nil)
		x.add(0, func(*Redaction) Line { return Line{Kind: Sent} })
		close(stuck)
		require.ErrorIs(t, r.Close(), ErrTooSlow)
		tape, err := Read(&file)
		require.NoError(t, err, "what was written can be read")
		_, ended := tape.Exchanges[0].Ended()
		assert.False(t, ended)
		assert.Len(t, tape.Exchanges[0].Lines, mostWaiting>>20, "an answer, and less than that in messages")
	})
}

// TestRecorder_Panic: it is an error of the recording, and nothing of it is written.
func TestRecorder_Panic(t *testing.T) {
	var file bytes.Buffer
	r, err := NewRecorder(&file, "test", 0, false)
	require.NoError(t, err)
	x := begun(r)
	x.add(0, func(*Redaction) Line { panic("a mistake") })
	x.end(Left, nil)
	require.ErrorContains(t, r.Close(), "a mistake")
	tape, err := Read(&file)
	require.NoError(t, err)
	assert.Len(t, tape.Exchanges[0].Lines, 1)
}

type writer func([]byte) (int, error)

func (f writer) Write(p []byte) (int, error) { return f(p) }

// FuzzFrames: whatever goes over a connection, it is recorded without a panic, and what is recorded can be read.
func FuzzFrames(f *testing.F) {
	f.Add(frame(opText, true, true, `{"a":1}`), 3)
	f.Add(append(frame(opText, false, false, "a"), frame(opClose, true, false, "\x03\xe8")...), 1)
	f.Add([]byte{finalBit | opText, length64, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}, 4)
	f.Fuzz(func(t *testing.T, data []byte, size int) {
		size = max(1, size)
		lines(t, 100, func(r *Recorder) {
			x := begun(r)
			sent, received := newFrames(x, Sent, ByProgram), newFrames(x, Received, ByHub)
			for rest := data; len(rest) > 0; {
				n := min(size, len(rest))
				sent.Take(rest[:n])
				received.Take(rest[:n])
				rest = rest[n:]
			}
		})
	})
}

// FuzzRead: what is no recording is an error, and never more. Of a recording every line is there, once, with the others of
// its exchange, in the order in which it happened.
func FuzzRead(f *testing.F) {
	f.Add([]byte(firstLine))
	f.Add([]byte(firstLine + `{"t":1,"n":1,"is":"request","method":"GET","url":"http://h/api/x","json":null}` + "\n" + `{"n":1,"is":"answer","status":200}` + "\n"))
	f.Add([]byte(firstLine + `{"n":1,"is":"request","method":"GET","url":"http://h/"}` + "\n" + `{"n":1,"is":"end","how":"refused"}`))
	for _, last := range []string{"\n", `{"n":1,"is":"body","t":4,"text":"c"}`, `{"n":1,"is":"body","t":2,"text":"c"}`, `{"n":1,"is":"end","t":4,"how":"cut"}` + "\n" + `{"n":1,"is":"body","t":4}`, `{"n":1,"is":"bo`} {
		f.Add([]byte(firstLine + `{"n":1,"is":"request","method":"GET","url":"http://h/"}` + "\n\n" + `{"n":2,"is":"request","method":"GET","url":"http://h/"}` + "\n" +
			`{"n":1,"is":"answer","status":200}` + "\n" + `{"n":2,"is":"end","how":"refused"}` + "\n" + `{"n":1,"is":"body","t":3,"text":"b"}` + "\n" + last))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		tape, err := Read(bytes.NewReader(data))
		if (tape == nil) == (err == nil) {
			t.Fatalf("either a tape or an error: %v, %v", tape, err)
		}
		if tape == nil {
			return
		}
		var want, got []Line
		header := true
		for i, text := range bytes.Split(data, []byte("\n")) {
			var line Line
			if text = bytes.TrimSpace(text); len(text) == 0 {
				continue
			}
			if header {
				header = false
			} else if json.Unmarshal(text, &line) == nil { // the last may be cut
				line.Number = i + 1
				want = append(want, line)
			}
		}
		numbers := make(map[int]bool)
		for _, x := range tape.Exchanges {
			assert.Equal(t, Request, x.Request.Kind)
			assert.False(t, numbers[x.Request.Exchange], "two have one number")
			numbers[x.Request.Exchange] = true
			got = append(append(got, x.Request), x.Lines...)
			before := x.Request
			for i, line := range x.Lines {
				assert.Equal(t, before.Exchange, line.Exchange)
				assert.Greater(t, line.Number, before.Number)
				assert.GreaterOrEqual(t, line.Offset, before.Offset)
				assert.NotEqual(t, End, before.Kind, "nothing follows the end")
				assert.Equal(t, i == 0 && line.Kind != End, line.Kind == Answer, "an answer is the first of them")
				before = line
			}
		}
		slices.SortFunc(got, func(a, b Line) int { return a.Number - b.Number })
		assert.Equal(t, want, got)
	})
}
