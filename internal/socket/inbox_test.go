package socket

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func newTestInbox() *Inbox[string] {
	return NewInbox(3, 10, func(s string) int { return len(s) })
}

func takeAll(b *Inbox[string]) []string {
	var all []string
	for {
		item, ok := b.Take()
		if !ok {
			return all
		}
		all = append(all, item)
	}
}

// TestInbox_Full: by number or by size, and no longer once something was taken.
func TestInbox_Full(t *testing.T) {
	for name, items := range map[string][]string{"by number": {"a", "b", "c"}, "by size": {"12345", "67890"}} {
		b := newTestInbox()
		for _, item := range items {
			assert.False(t, b.Full(), name)
			b.Put(item)
		}
		assert.True(t, b.Full(), name)
		b.Put("more") // what was read already is kept
		assert.Empty(t, b.Room(), name)
		assert.Equal(t, append(items, "more"), takeAll(b), name)
		assert.Len(t, b.Room(), 1, name)
		assert.False(t, b.Full(), name)
	}
}

// TestInbox_More is one token, however much was put.
func TestInbox_More(t *testing.T) {
	b := newTestInbox()
	assert.Empty(t, b.More())
	b.Put("a")
	b.Put("b")
	assert.Len(t, b.More(), 1)
	<-b.More()
	assert.Equal(t, []string{"a", "b"}, takeAll(b))
	assert.Empty(t, b.More())
}

// TestInbox_Consume: there is one consumer at a time.
func TestInbox_Consume(t *testing.T) {
	b := newTestInbox()
	require.True(t, b.Consume())
	assert.False(t, b.Consume())
	b.Put("a")
	b.Leave()
	require.True(t, b.Consume())
	assert.Equal(t, []string{"a"}, takeAll(b), "what is left waits for the next one")
}

// TestInbox_Discard: what nobody consumes is dropped, and there is room again.
func TestInbox_Discard(t *testing.T) {
	b := newTestInbox()
	for range 3 {
		b.Put("a")
	}
	b.Discard()
	assert.False(t, b.Full())
	assert.Len(t, b.Room(), 1)
	b.Put("b")
	assert.Empty(t, takeAll(b))

	require.True(t, b.Consume())
	b.Put("c")
	assert.Equal(t, []string{"c"}, takeAll(b), "not what somebody takes")
	b.Put("d")
	b.Leave()
	assert.Empty(t, takeAll(b))
}
