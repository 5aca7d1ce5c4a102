// Package paging makes one sequence of the pages of a list that may change, on a server that may
// not page as it should.
//
// Every sequence starts over when it is ranged over again, makes no request once the loop was
// left, and yields an error last.
package paging

import (
	"cmp"
	"iter"
	"slices"
)

// maxStale is how many pages in a row may bring nothing new, unless walking over all that was
// seen takes more. It is for servers that make new excuses with every page.
const maxStale = 1000

// ByOffset ranges over a list of which fetch returns the page that starts at an offset, and how
// many elements there are on all pages (0 or less: unknown). It starts at offset, and yields no key
// twice. How many elements a page has is up to fetch and may vary.
//
// It ends on an empty page, when it has come to total, and on a page without a new key that no
// change of total explains. In the end it ends whatever the server makes of offset and total.
//
// Nothing is missed that was in the list throughout, if its elements keep their order and are only
// added, or only removed, and total is true. Elements that are removed move others to the left,
// past the offset: by at most what total shrank. So it goes back that far. Elements that are added
// move some to the right that were seen: by at most what total grew. So pages that only have such
// do not end it. If both happen between two requests, they hide each other in total.
func ByOffset[T any, K comparable](
	offset int, key func(*T) K, fetch func(offset int) (page []T, total int, err error),
) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		r := run[K]{offset: offset, frontier: offset, seen: make(map[K]bool)}
		for more := true; more; {
			page, total, err := fetch(r.offset)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			known := len(r.seen)
			for i := range page {
				if r.isNew(key(&page[i])) && !yield(page[i], nil) {
					return
				}
			}
			more = r.next(len(page), total, len(r.seen) > known)
		}
	}
}

// run is where one walk over a list is.
type run[K comparable] struct {
	seen   map[K]bool
	offset int // of the page that is read

	// All elements in front of the frontier have been seen, but for those that came while walking.
	frontier int
	// Nothing at reach or behind it has been seen. Between frontier and reach both is possible.
	reach int

	total      int // the last that was said, 0 for none
	shrunk     int // by how much total fell with the last page
	stale      int // pages since the last new key
	staleItems int // what was on these, an empty page counted as one
}

func (r *run[K]) isNew(key K) bool {
	if r.seen[key] {
		return false
	}
	r.seen[key] = true
	return true
}

// next goes to the offset of the next page, if there is to be one, after a page of n elements.
func (r *run[K]) next(n, total int, fresh bool) bool {
	before := r.shrunk
	grown := r.note(total)
	end := r.offset + n

	r.frontier = max(0, r.frontier-r.shrunk)
	gap := r.offset > r.frontier               // what is in it may have been skipped
	explained := n > 0 && end <= r.reach+grown // if nothing on the page is new
	r.reach = max(r.reach+grown, end)
	if !gap {
		r.frontier = max(r.frontier, end)
	}

	switch {
	case fresh:
		r.stale, r.staleItems = 0, 0
	case !gap && !explained:
		return false
	default:
		r.stale++
		r.staleItems += max(1, n)
		if r.stale > maxStale && r.staleItems > len(r.seen) {
			return false
		}
	}
	if total > 0 && r.frontier >= total {
		return false
	}
	// While elements keep disappearing, as many more will have when the next page comes. Starting
	// that much earlier leaves no gap then; else every page would have one, and it would get nowhere.
	r.offset = max(0, r.frontier-min(r.shrunk, before))
	return true
}

// note compares total with the last one, and returns by how much it grew.
func (r *run[K]) note(total int) (grown int) {
	r.shrunk = 0
	if total <= 0 {
		return 0
	}
	if r.total > 0 {
		grown = max(0, total-r.total)
		r.shrunk = max(0, r.total-total)
	}
	r.total = total
	return grown
}

// Before ranges over a list from its highest id to its lowest. Ids are positive. Of fetch it gets
// a page of elements with ids below a given one (0: any), in whatever order; those that are not
// below it are passed over. It ends on a page that has none below it, and after id 1.
func Before[T any](
	before int, id func(*T) int, fetch func(before int) (page []T, err error),
) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		last := before
		for more := true; more; {
			page, err := fetch(last)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			slices.SortFunc(page, func(a, b T) int { return cmp.Compare(id(&b), id(&a)) })
			more = false
			for i := range page {
				this := id(&page[i])
				if last != 0 && this >= last {
					continue
				}
				if !yield(page[i], nil) {
					return
				}
				last, more = this, this > 1
			}
		}
	}
}
