package window

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWindow(t *testing.T) {
	for name, source := range map[string]io.Reader{
		"whole":         strings.NewReader("0123456789"),
		"in bytes":      iotest.OneByteReader(strings.NewReader("0123456789")),
		"with its end":  iotest.DataErrReader(strings.NewReader("0123456789")),
		"and an error":  io.MultiReader(strings.NewReader("0123456789"), iotest.ErrReader(io.EOF)),
		"half of what":  iotest.HalfReader(strings.NewReader("0123456789")),
		"with nothings": &hesitant{strings.NewReader("0123456789"), 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := New(source, 2)
			for len(w.Bytes()) < 3 {
				require.NoError(t, w.More())
			}
			assert.Equal(t, "012", string(w.Bytes()[:3]))
			w.Drop(2)
			rest := "23456789"
			for len(w.Bytes()) < len(rest) {
				require.NoError(t, w.More())
			}
			assert.Equal(t, rest, string(w.Bytes()))
			w.Drop(len(rest))
			for range 2 {
				require.ErrorIs(t, w.More(), io.EOF)
				assert.Empty(t, w.Bytes())
			}
			require.ErrorIs(t, w.Err(), io.EOF)
		})
	}
}

// hesitant returns nothing every other time.
type hesitant struct {
	io.Reader
	n int
}

func (h *hesitant) Read(p []byte) (int, error) {
	if h.n++; h.n%2 == 0 {
		return 0, nil
	}
	return h.Reader.Read(p)
}

// TestWhatWasReadStays before an error.
func TestWhatWasReadStays(t *testing.T) {
	failed := errors.New("reset")
	w := New(io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(failed)), 0)
	require.NoError(t, w.More())
	require.ErrorIs(t, w.More(), failed)
	assert.Equal(t, "abc", string(w.Bytes()))
}

func TestNoProgress(t *testing.T) {
	w := New(stuck{}, 0)
	require.ErrorIs(t, w.More(), io.ErrNoProgress)
	require.ErrorIs(t, w.More(), io.ErrNoProgress)
}

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

// TestLargeBuffersAreNotKept once nothing of them is needed.
func TestLargeBuffersAreNotKept(t *testing.T) {
	w := New(iotest.OneByteReader(strings.NewReader(strings.Repeat("x", 3<<20))), 1<<20)
	for len(w.Bytes()) < 2<<20 {
		require.NoError(t, w.More())
	}
	assert.Len(t, w.buffer, 2<<20)
	w.Drop(2<<20 - 1)
	require.NoError(t, w.More())
	assert.Len(t, w.buffer, 2<<20, "something is needed")
	w.Drop(2)
	require.NoError(t, w.More())
	assert.Len(t, w.buffer, 1<<20)
}
