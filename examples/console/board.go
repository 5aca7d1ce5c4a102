package main

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/agentuity/coder-go"
)

// lookEvery is the time between two looks at the list of sessions, while a browser shows it: the Hub does not say when the
// list has changed.
const lookEvery = 3 * time.Second

// listed is how many sessions are shown.
const listed = 200

// board is the list of sessions, for all browsers.
type board struct {
	client *coder.Client
	tell   func([]coder.SessionListItem) // is told what a look has found

	stop   context.CancelFunc
	done   chan struct{}
	wanted chan struct{} // somebody wants to know, now

	mu      sync.Mutex
	list    list
	looked  time.Time     // when
	text    []byte        // the list as JSON; nil: nobody has looked yet
	changed chan struct{} // closed when there is another one
	readers int
}

// list is what a browser shows.
type list struct {
	Buckets []bucket `json:"buckets"`
	// More is how many sessions there are besides.
	More int `json:"more,omitzero"`
	// Problem says why the list may be an old one.
	Problem string `json:"problem,omitzero"`
}

type bucket struct {
	Name     coder.SessionBucket `json:"name"`
	Title    string              `json:"title"`
	Sessions []listedSession     `json:"sessions"`
}

type listedSession struct {
	ID     string    `json:"id"`
	Label  string    `json:"label"`
	Status string    `json:"status"`
	At     time.Time `json:"at,omitzero"` // of the last activity, in whole minutes: else the list would change all the time
}

// titles are the buckets in the order of the page. One that is not known here comes last, by its name.
var titles = []bucket{
	{Name: coder.BucketRunning, Title: "Running"},
	{Name: coder.BucketProvisioning, Title: "Starting"},
	{Name: coder.BucketPaused, Title: "Asleep"},
	{Name: coder.BucketHistory, Title: "Over"},
}

func newBoard(client *coder.Client) *board {
	ctx, stop := context.WithCancel(context.Background())
	b := &board{
		client: client, tell: func([]coder.SessionListItem) {}, stop: stop, list: list{Buckets: []bucket{}},
		done: make(chan struct{}), wanted: make(chan struct{}, 1), changed: make(chan struct{}),
	}
	go b.run(ctx)
	return b
}

func (b *board) close() {
	b.stop()
	<-b.done
}

// run looks while somebody wants to know.
func (b *board) run(ctx context.Context) {
	defer close(b.done)
	for {
		var next <-chan time.Time
		if b.isRead() {
			b.look(ctx, lookTime)
			next = time.After(lookEvery)
		}
		select {
		case <-ctx.Done():
			return
		case <-b.wanted:
		case <-next:
		}
	}
}

func (b *board) isRead() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.readers > 0
}

// read says that somebody shows the list, until the function that it returns is called.
func (b *board) read() (leave func()) {
	b.mu.Lock()
	b.readers++
	b.mu.Unlock()
	b.soon()
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.readers--
	}
}

// soon asks for a look before its time.
func (b *board) soon() {
	select {
	case b.wanted <- struct{}{}:
	default:
	}
}

// now returns the list as JSON, nil if there is none yet, and a channel that is closed when there is another.
func (b *board) now() ([]byte, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text, b.changed
}

// recent returns the list: the one that is known, if it is new enough, or else what the Hub says.
func (b *board) recent(ctx context.Context) list {
	b.mu.Lock()
	known, age := b.list, time.Since(b.looked)
	b.mu.Unlock()
	if age < 2*lookEvery {
		return known
	}
	b.look(ctx, pageTime)
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.list
}

// fetch asks the Hub for the list. If that is a long one, those that are not archived come first.
func (b *board) fetch(ctx context.Context, patience time.Duration) ([]coder.SessionListItem, list, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	page, err := b.client.ListSessions(ctx, &coder.ListSessionsParams{IncludeArchived: true, Limit: listed})
	if err != nil {
		return nil, list{}, err
	}
	items, total := page.Sessions, max(page.Total, len(page.Sessions))
	if total > len(items) || total >= listed {
		open, err := b.client.ListSessions(ctx, &coder.ListSessionsParams{Limit: listed})
		if err != nil {
			return nil, list{}, err
		}
		items = merged(open.Sessions, items)
	}
	return items, list{Buckets: sorted(items), More: total - len(items)}, nil
}

// merged returns as many sessions as are shown, each once.
func merged(first, rest []coder.SessionListItem) []coder.SessionListItem {
	var all []coder.SessionListItem
	known := make(map[string]bool)
	for _, item := range slices.Concat(first, rest) {
		if !known[item.SessionID] && len(all) < listed {
			known[item.SessionID] = true
			all = append(all, item)
		}
	}
	return all
}

// look asks the Hub for the list, and publishes it. Without an answer the old one stays.
func (b *board) look(ctx context.Context, patience time.Duration) {
	items, found, err := b.fetch(ctx, patience)
	if ctx.Err() != nil {
		return
	}
	b.mu.Lock()
	if err != nil {
		found = b.list
		found.Problem = explain(err)
	}
	b.list, b.looked = found, time.Now()
	text, err := json.Marshal(found)
	if err == nil && string(text) != string(b.text) {
		b.text = text
		close(b.changed)
		b.changed = make(chan struct{})
	}
	b.mu.Unlock()
	b.tell(items)
}

// sorted puts sessions into their buckets, the newest first.
func sorted(items []coder.SessionListItem) []bucket {
	buckets := slices.Clone(titles)
	for _, item := range items {
		i := slices.IndexFunc(buckets, func(b bucket) bool { return b.Name == item.Bucket })
		if i < 0 {
			i = len(buckets)
			buckets = append(buckets, bucket{Name: item.Bucket, Title: string(item.Bucket)})
		}
		buckets[i].Sessions = append(buckets[i].Sessions, listedSession{
			ID: item.SessionID, Label: labelOf(item), Status: item.Status, At: lastActivity(item).Truncate(time.Minute),
		})
	}
	buckets = slices.DeleteFunc(buckets, func(b bucket) bool { return len(b.Sessions) == 0 })
	for _, b := range buckets {
		slices.SortStableFunc(b.Sessions, func(x, y listedSession) int { return y.At.Compare(x.At) })
	}
	return buckets
}

func lastActivity(item coder.SessionListItem) time.Time {
	if item.LastActivityAt.IsZero() {
		return item.CreatedAt
	}
	return item.LastActivityAt
}

// labelOf is what a session is called: by its label, without what turns the text around it, or by its id if there is nothing to
// be seen.
func labelOf(item coder.SessionListItem) string {
	label := strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(unicode.Bidi_Control, r):
			return -1
		case unicode.IsControl(r):
			return ' '
		}
		return r
	}, item.Label)
	label = strings.Join(strings.Fields(label), " ")
	if !strings.ContainsFunc(label, unicode.IsGraphic) {
		label = ""
	}
	return cmp.Or(label, item.SessionID)
}
