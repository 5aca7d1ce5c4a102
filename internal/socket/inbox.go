package socket

import "sync"

// Inbox holds what was read until somebody takes it. One goroutine puts, one takes.
//
// It never blocks and never refuses: whoever puts asks Full first and, if need be, waits for Room.
type Inbox[T any] struct {
	maxItems, maxBytes int
	size               func(T) int

	room, more chan struct{} // hold a token when something was taken, or put

	mu         sync.Mutex
	items      []T
	bytes      int
	consuming  bool
	discarding bool
}

// NewInbox returns an inbox that is full with so many items, or with items of so many bytes by size.
func NewInbox[T any](maxItems, maxBytes int, size func(T) int) *Inbox[T] {
	return &Inbox[T]{
		maxItems: maxItems, maxBytes: maxBytes, size: size,
		room: make(chan struct{}, 1), more: make(chan struct{}, 1),
	}
}

// Room yields after an item was taken, or all were dropped.
func (b *Inbox[T]) Room() <-chan struct{} { return b.room }

// More yields after an item was put.
func (b *Inbox[T]) More() <-chan struct{} { return b.more }

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Full reports whether a limit is reached.
func (b *Inbox[T]) Full() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.items) >= b.maxItems || b.bytes >= b.maxBytes
}

// Put adds an item, unless items are discarded.
func (b *Inbox[T]) Put(item T) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.discarding && !b.consuming {
		return
	}
	b.items = append(b.items, item)
	b.bytes += b.size(item)
	signal(b.more)
}

// Take removes the oldest item and returns it; it reports whether there was one.
func (b *Inbox[T]) Take() (T, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var none T
	if len(b.items) == 0 {
		return none, false
	}
	item := b.items[0]
	b.items[0] = none
	if b.items = b.items[1:]; len(b.items) == 0 {
		b.items = nil
	}
	b.bytes -= b.size(item)
	signal(b.room)
	return item, true
}

// Len returns how many items wait.
func (b *Inbox[T]) Len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.items)
}

// Consume makes the caller the consumer; it reports false if there is one already.
func (b *Inbox[T]) Consume() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.consuming {
		return false
	}
	b.consuming = true
	return true
}

// Leave ends what Consume began. Nobody takes from then on.
func (b *Inbox[T]) Leave() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.consuming = false
	b.drop()
}

// Discard drops, from now on, everything that is here while there is no consumer.
func (b *Inbox[T]) Discard() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.discarding = true
	b.drop()
}

// drop empties the inbox if that is wanted. The mutex is held.
func (b *Inbox[T]) drop() {
	if b.discarding && !b.consuming {
		b.items, b.bytes = nil, 0
		signal(b.room)
	}
}
