package coder

import "sync"

// inbox holds frames until somebody takes them. One goroutine puts, one takes.
type inbox struct {
	mu         sync.Mutex
	items      []inboxItem
	bytes      int
	consuming  bool
	discarding bool
	room, more chan struct{} // hold a token when something was taken, or put
}

// inboxItem is a frame, or a message of our own.
type inboxItem struct {
	raw     []byte
	message ServerMessage
}

func newInbox() *inbox {
	return &inbox{room: make(chan struct{}, 1), more: make(chan struct{}, 1)}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (b *inbox) full() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.items) >= inboxFrames || b.bytes >= inboxBytes
}

func (b *inbox) put(item inboxItem) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.discarding && !b.consuming {
		return
	}
	b.items = append(b.items, item)
	b.bytes += len(item.raw)
	signal(b.more)
}

func (b *inbox) take() (inboxItem, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.items) == 0 {
		return inboxItem{}, false
	}
	item := b.items[0]
	b.items[0] = inboxItem{}
	if b.items = b.items[1:]; len(b.items) == 0 {
		b.items = nil
	}
	b.bytes -= len(item.raw)
	signal(b.room)
	return item, true
}

// consume makes the caller the one who takes, unless there is one.
func (b *inbox) consume() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.consuming {
		return false
	}
	b.consuming = true
	return true
}

func (b *inbox) leave() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.consuming = false
	b.drop()
}

// discard drops from now on what nobody takes.
func (b *inbox) discard() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.discarding = true
	b.drop()
}

func (b *inbox) drop() {
	if b.discarding && !b.consuming {
		b.items, b.bytes = nil, 0
		signal(b.room)
	}
}
