package coder

import (
	"slices"
	"time"
)

// How late an event is marked as late, and not missed.
const (
	recentMost    = 1000 // ids that are known to have been yielded
	lateFor       = 5 * time.Minute
	lookBackEvery = 30 * time.Second
	lookBackBytes = 16 << 20
)

// yieldLate yields what has shown up below the cursor, and reports whether the caller wants more.
func (w *eventWatch) yieldLate(events []SessionEvent) bool {
	for i := range events {
		if e := &events[i]; e.ID <= w.cursor && w.yielded.lacks(e.ID) {
			if !w.give(WatchedEvent{SessionEvent: *e, Late: true}, w.cursor) {
				return false
			}
		}
	}
	return true
}

// lookBack looks for late events below a page, where ids are missing among those that were yielded. Where none is, as on
// a Hub that counts the events of each session without a gap, that takes no request. What fails is done again the
// next time, and reaches back as far as it would have: what was late then must not be too old now, however long the Hub
// was away.
func (w *eventWatch) lookBack(page []SessionEvent) {
	if w.now.Sub(w.back) < lookBackEvery && !w.over || len(page) == 0 {
		return
	}
	w.back = w.now
	floor, some := w.yielded.missing(w.searched.Add(-max(lateFor, 2*w.options.PollInterval)))
	if !some {
		w.searched = w.asked
		return
	}
	before := min(page[0].ID, w.cursor+1)
	for size := 0; before > floor+1 && size < lookBackBytes; {
		page, err := w.history.Below(before)
		if err != nil || !w.yieldLate(page) {
			return
		}
		if len(page) == 0 { // the history no longer has more
			break
		}
		before = page[0].ID
		for i := range page {
			size += len(page[i].Payload)
		}
	}
	w.searched = w.asked
}

// recentIDs are the newest ids that were yielded. Those up to floor are not known.
type recentIDs struct {
	floor int
	all   []recentID // ascending
}

// recentID is an id, and when its event was stored.
type recentID struct {
	id     int
	stored time.Time
}

func (r *recentIDs) find(id int) (at int, found bool) {
	return slices.BinarySearchFunc(r.all, id, func(e recentID, id int) int { return e.id - id })
}

func (r *recentIDs) add(id int, stored time.Time) {
	at, found := r.find(id)
	if found {
		return
	}
	r.all = slices.Insert(r.all, at, recentID{id, stored})
	if len(r.all) >= 2*recentMost {
		r.floor = r.all[recentMost-1].id
		r.all = append(r.all[:0], r.all[recentMost:]...)
	}
}

// lacks reports whether an id was certainly not yielded.
func (r *recentIDs) lacks(id int) bool {
	_, found := r.find(id)
	return !found && id > r.floor
}

// missing returns the id above which the first is missing, right below one that was stored since a time.
func (r *recentIDs) missing(since time.Time) (above int, some bool) {
	above = r.floor
	for _, e := range r.all {
		if e.id > above+1 && e.stored.After(since) {
			return above, true
		}
		above = e.id
	}
	return 0, false
}
