package transport

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sizes are around everything that reading does differently.
var sizes = []int{0, 1, firstRead - 1, firstRead, firstRead + 1, largestPooled - 1, largestPooled, largestPooled + 1, largestPooled + pieceSize, 3 * largestPooled}

// TestReadBody: a body of any size, announced or not, comes whole, or not at all where it is larger than is allowed.
func TestReadBody(t *testing.T) {
	for _, size := range sizes {
		whole := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
		for _, announced := range []int64{-1, int64(size), 7} {
			for _, reader := range []func(io.Reader) io.Reader{func(r io.Reader) io.Reader { return r }, iotest.DataErrReader, iotest.HalfReader} {
				body, err := readBody(reader(bytes.NewReader(whole)), announced, max(int64(size), 7))
				require.NoError(t, err, size)
				got, err := io.ReadAll(body.Reader())
				require.NoError(t, err)
				require.True(t, bytes.Equal(whole, got), size)
				body.Release()
			}
		}
		if size == 0 {
			continue
		}
		_, err := readBody(bytes.NewReader(whole), -1, int64(size)-1)
		require.ErrorIs(t, err, ErrTooLarge, size)
		_, err = readBody(iotest.ErrReader(errors.New("it is not read")), int64(size), int64(size)-1)
		require.ErrorIs(t, err, ErrTooLarge, size)
		_, err = readBody(io.MultiReader(bytes.NewReader(whole), iotest.ErrReader(io.ErrUnexpectedEOF)), -1, int64(size))
		require.ErrorIs(t, err, io.ErrUnexpectedEOF, size)
	}
}

// pausing brings nothing some times before each byte.
type pausing struct {
	text   string
	pauses int
	paused int
}

func (p *pausing) Read(to []byte) (int, error) {
	if p.paused++; p.paused <= p.pauses {
		return 0, nil
	}
	p.paused = 0
	if p.text == "" {
		return 0, io.EOF
	}
	n := copy(to[:1], p.text)
	p.text = p.text[n:]
	return n, nil
}

// TestReadBody_Nothing: a reader that brings nothing a hundred times in a row is broken; one that does so now and then is not.
func TestReadBody_Nothing(t *testing.T) {
	body, err := readBody(&pausing{text: "ab", pauses: 100}, -1, 10)
	require.NoError(t, err)
	text, whole := body.Bytes()
	assert.True(t, whole)
	assert.Equal(t, "ab", string(text))
	_, err = readBody(&pausing{text: "ab", pauses: 101}, -1, 10)
	require.ErrorIs(t, err, io.ErrNoProgress)
}

// TestReduceBody: only what is large is reduced, while it arrives.
func TestReduceBody(t *testing.T) {
	errBad := errors.New("it cannot be reduced")
	for _, size := range sizes {
		whole := strings.Repeat("x", size)
		called := false
		reduce := func(r io.Reader) ([]byte, error) {
			called = true
			text, err := io.ReadAll(r)
			assert.True(t, err == nil && string(text) == whole, "%d: all of it can be read", size)
			return []byte("less"), nil
		}
		for _, announced := range []int64{-1, int64(size), -2} {
			called = false
			limit := int64(size)
			if announced == -2 { // it may be much larger
				limit += 4 * largestPooled
			}
			body, unreduced, err := reduceBody(strings.NewReader(whole), announced, limit, reduce)
			require.NoError(t, err)
			require.NoError(t, unreduced)
			assert.Equal(t, size >= largestPooled, called, size)
			want := whole
			if called {
				want = "less"
			}
			got, err := io.ReadAll(body.Reader())
			require.NoError(t, err)
			assert.Len(t, got, len(want), size)
			body.Release()
		}
		if size == 0 {
			continue
		}
		readAll := func(r io.Reader) ([]byte, error) { _, err := io.ReadAll(r); return nil, err }
		_, _, err := reduceBody(strings.NewReader(whole), -1, int64(size)-1, readAll)
		require.ErrorIs(t, err, ErrTooLarge, size)
		_, _, err = reduceBody(iotest.ErrReader(errors.New("it is not read")), int64(size), int64(size)-1, readAll)
		require.ErrorIs(t, err, ErrTooLarge, size)
		_, _, err = reduceBody(io.MultiReader(strings.NewReader(whole), iotest.ErrReader(io.ErrUnexpectedEOF)), -1, int64(size)+1, readAll)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF, size)
	}

	// What cannot be reduced: why, and the beginning of it.
	large := strings.Repeat("x", 2*largestPooled)
	body, unreduced, err := reduceBody(strings.NewReader(large), -1, int64(len(large)), func(io.Reader) ([]byte, error) { return nil, errBad })
	require.NoError(t, err)
	require.ErrorIs(t, unreduced, errBad)
	assert.Equal(t, large[:10], string(body.Prefix(10)))
}

// TestLimitedReader: behind the limit there is an error, which stays.
func TestLimitedReader(t *testing.T) {
	r := &limitedReader{source: strings.NewReader("abcd"), left: 4, limit: 4}
	text, err := io.ReadAll(r)
	require.NoError(t, err)
	assert.Equal(t, "abcd", string(text))
	r = &limitedReader{source: iotest.OneByteReader(strings.NewReader("abcd")), left: 3, limit: 3}
	text, err = io.ReadAll(r)
	require.ErrorIs(t, err, ErrTooLarge)
	require.ErrorContains(t, err, "of 3 bytes")
	assert.Equal(t, "abc", string(text))
	_, again := r.Read(make([]byte, 1))
	assert.Equal(t, err, again)
}
