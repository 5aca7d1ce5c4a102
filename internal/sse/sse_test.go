package sse

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// read returns all events, with data of their own.
func read(source io.Reader, limit int) (events []Event, comments int, err error) {
	r := newReader(source, limit, 8) // so that the buffer has to grow and to be moved
	for {
		e, err := r.Next()
		if err != nil {
			return events, r.Comments(), err
		}
		e.Data = bytes.Clone(e.Data)
		if e.Data == nil {
			e.Data = []byte{}
		}
		events = append(events, e)
	}
}

// reference does the same the slow way: all of the stream at once, normalised first.
func reference(stream string) (events []Event, comments int) {
	stream = strings.TrimPrefix(stream, "\xEF\xBB\xBF")
	stream = strings.ReplaceAll(strings.ReplaceAll(stream, "\r\n", "\n"), "\r", "\n")
	lines := strings.Split(stream, "\n")
	lines = lines[:len(lines)-1] // not finished
	var block Event
	var data []string
	id := ""
	for _, line := range lines {
		if line == "" {
			if data != nil {
				block.ID, block.Data = id, []byte(strings.Join(data, "\n"))
				if block.Name == "" {
					block.Name = "message"
				}
				events = append(events, block)
			}
			block, data = Event{}, nil
			continue
		}
		if strings.HasPrefix(line, ":") {
			comments++
			continue
		}
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "data":
			data = append(data, value)
		case "event":
			block.Name = value
		case "id":
			if !strings.Contains(value, "\x00") {
				id = value
			}
		}
	}
	return events, comments
}

func TestReader(t *testing.T) {
	for name, test := range map[string]struct {
		stream string
		want   []Event
	}{
		"one":                   {"data: a\n\n", []Event{{Name: "message", Data: []byte("a")}}},
		"a name":                {"event: x\ndata: a\n\n", []Event{{Name: "x", Data: []byte("a")}}},
		"the last name counts":  {"event: x\nevent: y\ndata: a\n\n", []Event{{Name: "y", Data: []byte("a")}}},
		"an empty name":         {"event: x\nevent\ndata: a\n\n", []Event{{Name: "message", Data: []byte("a")}}},
		"several lines of data": {"data: a\ndata:b\ndata:  c\ndata\n\n", []Event{{Name: "message", Data: []byte("a\nb\n c\n")}}},
		"empty data":            {"data:\n\n", []Event{{Name: "message", Data: []byte{}}}},
		"no data":               {"event: x\nid: 1\n\ndata: a\n\n", []Event{{Name: "message", Data: []byte("a"), ID: "1"}}},
		"ids stay":              {"id: 1\ndata: a\n\ndata: b\n\nid\ndata: c\n\nid: \x00\ndata: d\n\n", []Event{{Name: "message", Data: []byte("a"), ID: "1"}, {Name: "message", Data: []byte("b"), ID: "1"}, {Name: "message", Data: []byte("c")}, {Name: "message", Data: []byte("d")}}},
		"CR and CRLF":           {"data: a\r\rdata: b\r\n\r\ndata: c\r\n\n", []Event{{Name: "message", Data: []byte("a")}, {Name: "message", Data: []byte("b")}, {Name: "message", Data: []byte("c")}}},
		"comments and unknown":  {": hello\nx: y\nz\ndata: a\n:\n\n", []Event{{Name: "message", Data: []byte("a")}}},
		"byte order mark":       {"\xEF\xBB\xBFdata: a\n\n\xEF\xBB\xBFdata: b\n\n", []Event{{Name: "message", Data: []byte("a")}}},
		"not finished":          {"data: a\n\ndata: b\n", []Event{{Name: "message", Data: []byte("a")}}},
		"empty blocks":          {"\n\n\ndata: a\n\n\n\n", []Event{{Name: "message", Data: []byte("a")}}},
		"nothing":               {"", nil},
	} {
		t.Run(name, func(t *testing.T) {
			events, _, err := read(strings.NewReader(test.stream), 0)
			require.ErrorIs(t, err, io.EOF)
			assert.Equal(t, test.want, events)
			slow, _ := reference(test.stream)
			assert.Equal(t, test.want, slow, "the reference agrees")
		})
	}
}

// TestRetry: the last delay that can be read holds for the stream, with data or without.
func TestRetry(t *testing.T) {
	r := NewReader(strings.NewReader("data: a\n\nretry: 3000\n\ndata: b\n\nretry: x\nretry: -1\ndata: c\n\nretry: 50\ndata: d\n\n"), 0)
	for _, want := range []time.Duration{0, 3 * time.Second, 3 * time.Second, 50 * time.Millisecond} {
		_, err := r.Next()
		require.NoError(t, err)
		assert.Equal(t, want, r.Retry())
	}
}

// TestFramingSplitEverywhere reads the sample with awkward framing in two parts, split at every byte,
// and byte by byte.
func TestFramingSplitEverywhere(t *testing.T) {
	sample, err := os.ReadFile("testdata/framing.sse")
	require.NoError(t, err)
	want, comments := reference(string(sample))
	require.Len(t, want, 4)
	check := func(source io.Reader) {
		got, n, err := read(source, 0)
		require.ErrorIs(t, err, io.EOF)
		require.Equal(t, want, got)
		require.Equal(t, comments, n)
	}
	for at := range sample {
		check(io.MultiReader(bytes.NewReader(sample[:at]), bytes.NewReader(sample[at:])))
	}
	check(iotest.OneByteReader(bytes.NewReader(sample)))
	check(iotest.DataErrReader(bytes.NewReader(sample)))
}

func TestLimit(t *testing.T) {
	for name, stream := range map[string]string{
		"one line":   "data: " + strings.Repeat("x", 1000) + "\n\n",
		"many lines": strings.Repeat("data: xxxxxxxxx\n", 100) + "\n",
		"no end":     strings.Repeat("x", 2000),
		"no data":    strings.Repeat("event: xxxxxxxxx\n", 100) + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			events, _, err := read(strings.NewReader("data: first\n\n"+stream), 500)
			require.ErrorIs(t, err, ErrTooLarge)
			assert.Len(t, events, 1)
		})
	}
	events, _, err := read(strings.NewReader(strings.Repeat("data: "+strings.Repeat("x", 400)+"\n\n", 50)), 500)
	require.ErrorIs(t, err, io.EOF)
	assert.Len(t, events, 50, "the limit is for each block")
}

// TestNamesAreNotKept: they are remembered to save allocations, not to fill the memory.
func TestNamesAreNotKept(t *testing.T) {
	var stream strings.Builder
	for i := range 1000 { // the longest come first
		fmt.Fprintf(&stream, "event: %d%s\ndata\n\n", i, strings.Repeat("x", 1000-i))
	}
	r := NewReader(strings.NewReader(stream.String()), 0)
	for range 1000 {
		_, err := r.Next()
		require.NoError(t, err)
	}
	kept := 0
	for _, name := range r.names {
		kept += len(name)
	}
	assert.LessOrEqual(t, kept, mostNames*64)
	assert.NotEmpty(t, r.names)
}

func TestErrorsStay(t *testing.T) {
	failed := errors.New("connection reset")
	r := NewReader(io.MultiReader(strings.NewReader("data: a\n\ndata: b\n"), iotest.ErrReader(failed)), 0)
	_, err := r.Next()
	require.NoError(t, err)
	for range 2 {
		_, err = r.Next()
		require.ErrorIs(t, err, failed)
	}
	r = NewReader(stuck{}, 0)
	_, err = r.Next()
	require.ErrorIs(t, err, io.ErrNoProgress)
}

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

func FuzzReader(f *testing.F) {
	sample, err := os.ReadFile("testdata/framing.sse")
	require.NoError(f, err)
	f.Add(string(sample), uint16(7))
	f.Add("\xEF\xBB\xBFdata: a\r\r\ndata\n\r\n", uint16(1))
	f.Add("id: \x00\nretry: 99999999999\nevent:\ndata:\n\n\xEF\xBB", uint16(2))
	f.Fuzz(func(t *testing.T, stream string, chunk uint16) {
		want, comments := reference(stream)
		got, n, err := read(&chunked{strings.NewReader(stream), int(chunk)%64 + 1}, 1<<30)
		require.ErrorIs(t, err, io.EOF)
		assert.Equal(t, want, got)
		assert.Equal(t, comments, n)
	})
}

// chunked reads a few bytes at a time.
type chunked struct {
	io.Reader
	size int
}

func (c *chunked) Read(p []byte) (int, error) { return c.Reader.Read(p[:min(len(p), c.size)]) }

// BenchmarkReader reads blocks of one line as a network delivers them.
func BenchmarkReader(b *testing.B) {
	for _, size := range []int{250, 1 << 20, 10 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			block := "event: broadcast\ndata: " + strings.Repeat("x", size) + "\n\n"
			blocks := max(1, 100_000/size)
			benchReader(b, strings.Repeat(block, blocks), 32<<10)
		})
	}
}

// BenchmarkReaderShortLines reads a block of many lines from a buffer that holds most of them. To
// look for the one kind of line end that is not there costs time, but not for each line.
func BenchmarkReaderShortLines(b *testing.B) {
	for name, end := range map[string]string{"LF": "\n", "CR": "\r", "CRLF": "\r\n"} {
		for _, size := range []int{1 << 20, 10 << 20} {
			b.Run(fmt.Sprint(name, "/", size), func(b *testing.B) {
				large := "data: " + strings.Repeat("x", size) + end + end // so that the buffer is
				lines := strings.Repeat("data: 0123456789"+end, size/16) + end
				benchReader(b, large+lines, 1<<30)
			})
		}
	}
}

func benchReader(b *testing.B, stream string, chunk int) {
	b.SetBytes(int64(len(stream)))
	b.ReportAllocs()
	for b.Loop() {
		r := NewReader(&chunked{strings.NewReader(stream), chunk}, 0)
		for {
			if _, err := r.Next(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				b.Fatal(err)
			}
		}
	}
}

// offers is a stream that notes what is offered to it once it has brought everything, and then ends.
type offers struct {
	text    string
	offered int
}

func (o *offers) Read(p []byte) (int, error) {
	if o.text == "" {
		o.offered = len(p)
		return 0, io.EOF
	}
	n := copy(p, o.text)
	o.text = o.text[n:]
	return n, nil
}

// TestSilence: a stream that waits has a small buffer, whatever it has brought, and however its lines end.
func TestSilence(t *testing.T) {
	for _, end := range []string{"\n", "\r", "\r\n"} {
		for _, before := range []string{"", "\xEF\xBB\xBF"} {
			source := &offers{text: before + "data: " + strings.Repeat("x", 1_000_001) + end + end}
			r := NewReader(source, 0)
			_, err := r.Next()
			require.NoError(t, err)
			_, err = r.Next()
			require.ErrorIs(t, err, io.EOF)
			assert.Equal(t, leastWindow, source.offered, "%q", end)
		}
	}
}
