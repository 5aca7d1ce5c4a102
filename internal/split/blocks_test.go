package split_test

import (
	"bytes"
	"io"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/internal/split"
	"github.com/agentuity/coder-go/internal/sse"
)

// blocksOf are the blocks of a stream that goes by in pieces of so many bytes.
func blocksOf(t *testing.T, stream []byte, size int, most int64) (blocks [][]byte) {
	t.Helper()
	b := split.Blocks{Most: most, Block: func(block []byte, omitted int64) {
		require.LessOrEqual(t, int64(len(block)), most)
		require.True(t, omitted == 0 || int64(len(block)) == most, "nothing is omitted as long as there is room")
		blocks = append(blocks, append(block[:len(block):len(block)], make([]byte, omitted)...))
	}}
	for len(stream) > 0 {
		n := min(size, len(stream))
		b.Take(stream[:n])
		stream = stream[n:]
	}
	b.End()
	return blocks
}

// eventsOf reads a stream that ends well.
func eventsOf(t *testing.T, stream []byte) (events []sse.Event) {
	t.Helper()
	r := sse.NewReader(bytes.NewReader(stream), 0)
	for {
		event, err := r.Next()
		if err != nil {
			require.ErrorIs(t, err, io.EOF)
			return events
		}
		event.Data = bytes.Clone(event.Data)
		events = append(events, event)
	}
}

// TestBlocks_NothingKept: what is not kept is counted, also a line feed that comes in a later piece than what it follows.
func TestBlocks_NothingKept(t *testing.T) {
	blocks := blocksOf(t, []byte("data: a\r\n\r\n"), 1, 0)
	require.Len(t, blocks, 1)
	require.Len(t, blocks[0], len("data: a\r\n\r"), "the last line feed comes when the block has ended")
}

// TestBlocks_AfterCRLF: of the two bytes that end a line the second came alone, and another line feed follows alone.
func TestBlocks_AfterCRLF(t *testing.T) {
	blocks := blocksOf(t, []byte("data: a\r\n\ndata: b\n\n"), 1, 1<<10)
	require.Equal(t, [][]byte{[]byte("data: a\r\n\n"), []byte("data: b\n\n")}, blocks)
}

// oneLineEnd writes all line ends as LF.
func oneLineEnd(text []byte) []byte {
	return bytes.ReplaceAll(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")), []byte("\r"), []byte("\n"))
}

// FuzzBlocks: a listener and a reader of the same stream see the same events, however it is cut into pieces.
func FuzzBlocks(f *testing.F) {
	sample, err := os.ReadFile("../sse/testdata/framing.sse")
	require.NoError(f, err)
	f.Add(sample, uint8(7), uint8(9))
	f.Add([]byte("data: a\r\r\ndata\n\r\n"), uint8(1), uint8(3))
	f.Add([]byte("data: a\r\n\r\ndata: b\r\n\r\n"), uint8(1), uint8(0))
	f.Add([]byte("\n\r\n\r\r:\n\ndata:x"), uint8(2), uint8(1))
	f.Fuzz(func(t *testing.T, stream []byte, size, most uint8) {
		blocks := blocksOf(t, stream, int(size)%64+1, 1<<30)
		var all [][]byte
		for _, block := range blocks { // an LF after the CR at the end of a block may have come too late to belong to it
			all = append(all, oneLineEnd(block))
		}
		require.Equal(t, string(oneLineEnd(stream)), string(bytes.Join(all, nil)))
		var apart []sse.Event
		for i, block := range blocks {
			if i > 0 && bytes.HasPrefix(block, []byte("\xEF\xBB\xBF")) {
				return // a byte order mark is one at the beginning of a stream only
			}
			apart = append(apart, eventsOf(t, block)...)
		}
		whole := eventsOf(t, stream)
		for i := range min(len(apart), len(whole)) { // an id stays for the events after it, in other blocks
			apart[i].ID, whole[i].ID = "", ""
		}
		require.Equal(t, whole, apart)
		cut := blocksOf(t, stream, int(size)%64+1, int64(most))
		require.Len(t, cut, len(blocks))
		for i := range cut {
			require.Len(t, cut[i], len(blocks[i]), "what is not kept is counted")
			require.Equal(t, blocks[i][:min(len(blocks[i]), int(most))], cut[i][:min(len(cut[i]), int(most))])
		}
	})
}
