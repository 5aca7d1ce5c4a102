package paging

import (
	"cmp"
	"errors"
	"slices"
	"time"
)

// Upwards reads a list upwards of which pages can only be had downwards: the newest elements, or the newest below
// an id. It holds one page at a time.
type Upwards[T any] struct {
	// ID is what elements are ordered by. It is above 0.
	ID func(*T) int
	// Size is how many bytes an element has.
	Size func(*T) int
	// Fetch returns the newest elements below an id, 0 for all, in any order. It may return fewer than limit.
	Fetch func(limit, before int) ([]T, error)
	// Asked returns when the page was asked for that Fetch has returned last. Nil: nobody wants to know.
	Asked func() time.Time
	// Limit is the most that a page has. The first ones have fewer, and so have those after one above LargePage.
	Limit int
	// TooLarge reports whether an error of Fetch says that the page was too large. It is asked for half of it then.
	TooLarge func(error) bool

	limit, step int
	top         int // the newest id when the list was last read from its end, if there is more below it; else 0
	since       time.Time
}

// Since returns a time at which what After has returned last was whole: what was there then, up to the newest of it, is in it.
func (u *Upwards[T]) Since() time.Time { return u.since }

func (u *Upwards[T]) asked() time.Time {
	if u.Asked == nil {
		return time.Time{}
	}
	return u.Asked()
}

// The bounds of the size of a page: one that is larger is followed by one of half the length, one that is much
// smaller by one of twice the length.
const (
	LargePage = 4 << 20
	smallPage = LargePage / 8
	firstPage = 20 // elements
)

// Errors of a list that cannot be read on.
var (
	// ErrGap means that what followed the id that was read last is no longer there.
	ErrGap = errors.New("paging: nothing up to the id is left")
	// ErrNoPages means that the server returns the newest elements, whatever is asked for.
	ErrNoPages = errors.New("paging: the list has no pages")
)

// After returns the elements with the lowest ids above an id, oldest first, of which none is missing between. before
// has elements up to the id that came with them. more says that there are others above, which another call returns; the
// last of them reads the list from its end, so that it has everything that was there at that moment.
func (u *Upwards[T]) After(id int) (found, before []T, more bool, err error) {
	if u.limit == 0 {
		u.limit, u.step = min(firstPage, u.Limit), u.Limit
	}
	if u.top <= id {
		u.top = 0
		page, err := u.fetch(0)
		switch {
		case err != nil:
			return nil, nil, false, err
		case len(page) == 0 && id > 0, len(page) > 0 && u.newest(page) < id:
			return nil, nil, false, ErrGap
		case len(page) == 0:
			u.since = u.asked()
			return nil, nil, false, nil
		case u.reaches(page, id):
			u.since = u.asked()
			before, found = u.split(page, id)
			return found, before, false, nil
		}
		u.top = u.newest(page)
	}
	found, before, err = u.climb(id)
	return found, before, err == nil, err
}

// Below returns the elements with the highest ids below an id, oldest first.
func (u *Upwards[T]) Below(id int) ([]T, error) { return u.fetch(id) }

// climb looks at the ids right above one, further up while there are none, and less far while there are too many for a
// page. It returns nothing if there is nothing up to top.
func (u *Upwards[T]) climb(id int) (found, before []T, err error) {
	for from := id; from < u.top; {
		to, limit := min(from+u.step, u.top), u.limit
		page, err := u.fetch(to + 1)
		if err != nil {
			return nil, nil, err
		}
		asked := u.asked()
		page = slices.DeleteFunc(page, func(e T) bool { return u.ID(&e) > to })
		reached := to // above this nothing is missing
		if len(page) > 0 {
			reached = u.ID(&page[0]) - 1
		}
		if reached > from && len(page) < limit { // the server may return fewer, or there is nothing below
			if reached, err = u.newestBelow(page, id); err != nil {
				return nil, nil, err
			}
		}
		if reached > from {
			u.step = max((to-from)/2, 1)
			continue
		}
		if reached <= id { // it has all that the pages before had shown not to be there
			from = id
		}
		if from == id {
			u.since = asked
		}
		switch before, found = u.split(page, from); {
		case len(found) == to-from: // no id is left out
			u.step = max(u.step, len(page))
		case 2*len(found) <= len(page):
			u.step = min(2*u.step, u.top)
		}
		if len(found) > 0 {
			return found, before, nil
		}
		from = to
	}
	u.top = 0
	return nil, nil, nil
}

// newestBelow returns the newest id below a page, 0 if there is none.
func (u *Upwards[T]) newestBelow(page []T, id int) (int, error) {
	if len(page) == 0 {
		if id > 0 {
			return 0, ErrGap
		}
		return 0, nil
	}
	oldest := u.ID(&page[0])
	below, err := u.Fetch(1, oldest)
	switch {
	case err != nil:
		return 0, err
	case len(below) == 0 && id > 0:
		return 0, ErrGap
	case len(below) == 0:
		return 0, nil
	}
	newest := u.newest(u.sorted(below))
	if newest >= oldest {
		return 0, ErrNoPages
	}
	return newest, nil
}

// fetch returns a page, sorted and without an id twice.
func (u *Upwards[T]) fetch(before int) ([]T, error) {
	page, err := u.Fetch(u.limit, before)
	for ; err != nil; page, err = u.Fetch(u.limit, before) {
		if u.limit == 1 || u.TooLarge == nil || !u.TooLarge(err) {
			return nil, err
		}
		u.limit /= 2
	}
	page = u.sorted(page)
	if before > 0 && len(page) > 0 && u.ID(&page[0]) >= before {
		return nil, ErrNoPages
	}
	size := 0
	for i := range page {
		size += u.Size(&page[i])
	}
	switch {
	case size > LargePage:
		u.limit = max(u.limit/2, 1)
	case size < smallPage:
		u.limit = min(2*u.limit, u.Limit)
	}
	return page, nil
}

func (u *Upwards[T]) sorted(page []T) []T {
	slices.SortFunc(page, func(a, b T) int { return cmp.Compare(u.ID(&a), u.ID(&b)) })
	return slices.CompactFunc(page, func(a, b T) bool { return u.ID(&a) == u.ID(&b) })
}

func (u *Upwards[T]) newest(page []T) int { return u.ID(&page[len(page)-1]) }

// reaches reports whether a page goes down to an id, so that nothing is missing above that.
func (u *Upwards[T]) reaches(page []T, id int) bool { return len(page) > 0 && u.ID(&page[0]) <= id+1 }

// split divides a page into what is up to an id, and what is above.
func (u *Upwards[T]) split(page []T, id int) (upTo, above []T) {
	i, _ := slices.BinarySearchFunc(page, id+1, func(e T, id int) int { return cmp.Compare(u.ID(&e), id) })
	return page[:i], page[i:]
}
