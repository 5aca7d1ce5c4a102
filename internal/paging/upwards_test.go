package paging

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// history is a server's side of a list that grows.
type history struct {
	ids      []int // ascending
	capped   int   // the most that a page has
	ignores  bool  // beforeId
	size     func(id int) int
	tooLarge int // the bytes that no page has; 0: any
	requests int
	held     int // the most bytes of a page
}

var errTooLarge = errors.New("too large")

func (h *history) fetch(limit, before int) ([]int, error) {
	h.requests++
	end := len(h.ids)
	if before > 0 && !h.ignores {
		end, _ = slices.BinarySearch(h.ids, before)
	}
	if h.capped > 0 {
		limit = min(limit, h.capped)
	}
	page := slices.Clone(h.ids[max(0, end-limit):end])
	bytes := 0
	for _, id := range page {
		bytes += h.size(id)
	}
	if h.tooLarge > 0 && bytes >= h.tooLarge {
		return nil, errTooLarge
	}
	h.held = max(h.held, bytes)
	slices.Reverse(page)
	return page, nil
}

func (h *history) upwards(limit int) *Upwards[int] {
	if h.size == nil {
		h.size = func(int) int { return 200 }
	}
	return &Upwards[int]{
		ID: func(id *int) int { return *id }, Size: func(id *int) int { return h.size(*id) }, Fetch: h.fetch, Limit: limit,
		TooLarge: func(err error) bool { return errors.Is(err, errTooLarge) },
	}
}

// climb reads everything above an id.
func climb(t *testing.T, u *Upwards[int], after int, each func()) (got []int) {
	t.Helper()
	for more := true; more; {
		var found, before []int
		var err error
		found, before, more, err = u.After(after)
		require.NoError(t, err)
		for _, id := range before {
			require.LessOrEqual(t, id, after)
		}
		for _, id := range found {
			require.Greater(t, id, after)
			after = id
			got = append(got, id)
		}
		if each != nil {
			each()
		}
	}
	return got
}

// TestUpwards: every id above the one to begin with, once and in order, however the ids lie and whatever the server caps.
func TestUpwards(t *testing.T) {
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 5))
		h := &history{}
		id := []int{0, r.IntN(50), r.IntN(1_000_000_000)}[r.IntN(3)]
		spread := []int{1, 3, 500}[r.IntN(3)]
		grow := func(n int) {
			for range n {
				id += 1 + r.IntN(spread)
				h.ids = append(h.ids, id)
			}
		}
		grow(r.IntN(400))
		if r.IntN(2) == 0 {
			h.capped = 1 + r.IntN(60)
		}
		after := 0
		if len(h.ids) > 0 && r.IntN(3) > 0 {
			after = h.ids[r.IntN(len(h.ids))]
		}
		limit := 1 + r.IntN(100)
		grown := 3
		got := climb(t, h.upwards(limit), after, func() {
			if grown > 0 && r.IntN(2) == 0 {
				grown--
				grow(r.IntN(30))
			}
		})
		i, _ := slices.BinarySearch(h.ids, after+1)
		// What came after the last look is for the next one.
		want := append([]int{}, h.ids[i:]...)
		require.LessOrEqual(t, len(got), len(want))
		require.Equal(t, want[:len(got)], append([]int{}, got...), "seed %d, after %d, limit %d, cap %d", seed, after, limit, h.capped)
		require.Equal(t, want[len(got):], append([]int{}, climb(t, h.upwards(limit), max(after, slices.Max(append(got, 0))), nil)...))
	}
}

func TestUpwards_Requests(t *testing.T) {
	for name, test := range map[string]struct {
		spread, capped, most int
	}{
		"dense":             {1, 0, 105},
		"capped":            {1, 50, 225},
		"tiny":              {1, 10, 1020},
		"sparse":            {1000, 0, 250},
		"capped and sparse": {1000, 20, 1250},
	} {
		h := &history{capped: test.capped}
		for k := range 10_000 {
			h.ids = append(h.ids, (k+1)*test.spread)
		}
		assert.Len(t, climb(t, h.upwards(100), 0, nil), 10_000)
		assert.LessOrEqual(t, h.requests, test.most, "%s: requests for 10,000", name)
		h.requests = 0
		assert.Len(t, climb(t, h.upwards(100), h.ids[9_990], nil), 9)
		assert.Equal(t, 1, h.requests, "%s: the newest are on one page", name)
		h.requests = 0
		assert.Empty(t, climb(t, h.upwards(100), h.ids[9_999], nil))
		assert.Equal(t, 1, h.requests, "%s: nothing is new", name)
	}
}

// TestUpwards_LittleMoreThanAPage: the step is no longer than what there is.
func TestUpwards_LittleMoreThanAPage(t *testing.T) {
	h := &history{capped: 11}
	for k := range 1000 {
		h.ids = append(h.ids, k+1)
	}
	assert.Len(t, climb(t, h.upwards(100), 988, nil), 12)
	assert.LessOrEqual(t, h.requests, 7)
}

func TestUpwards_LargeElements(t *testing.T) {
	h := &history{size: func(int) int { return 1 << 20 }}
	for k := range 500 {
		h.ids = append(h.ids, k+1)
	}
	u := h.upwards(100)
	assert.Len(t, climb(t, u, 0, nil), 500)
	first := h.held
	h.held = 0
	assert.Len(t, climb(t, u, 250, nil), 250)
	assert.LessOrEqual(t, h.held, 2*LargePage, "it has learned; the first page had %d", first)
}

// TestUpwards_TooLarge: a page that is refused for its size is asked for in parts, down to one element.
func TestUpwards_TooLarge(t *testing.T) {
	h := &history{size: func(id int) int { return 200 + id%50*100_000 }, tooLarge: 5_000_000}
	for k := range 500 {
		h.ids = append(h.ids, k+1)
	}
	assert.Len(t, climb(t, h.upwards(100), 0, nil), 500)
	assert.Less(t, h.requests, 500)

	h.tooLarge = 1_000_000
	_, _, _, err := h.upwards(100).After(0)
	require.ErrorIs(t, err, errTooLarge, "one element is too large")
}

func TestUpwards_Below(t *testing.T) {
	h := &history{ids: []int{1, 2, 3, 4, 5, 6}}
	u := h.upwards(2)
	_, _, _, err := u.After(5)
	require.NoError(t, err)
	page, err := u.Below(5)
	require.NoError(t, err)
	assert.Equal(t, []int{3, 4}, page)
	h.ignores = true
	_, err = u.Below(5)
	require.ErrorIs(t, err, ErrNoPages)
}

func TestUpwards_Gaps(t *testing.T) {
	for name, test := range map[string]struct {
		ids   []int
		after int
		limit int
		want  error
	}{
		"nothing is left":             {nil, 5, 10, ErrGap},
		"the newest is below":         {[]int{1, 2, 3}, 5, 10, ErrGap},
		"the beginning is cut":        {[]int{20, 21, 22}, 5, 10, ErrGap},
		"the beginning is cut, pages": {[]int{20, 21, 22, 23, 24, 25, 26, 27}, 5, 2, ErrGap},
		"cut right behind it":         {[]int{6, 7, 8}, 5, 10, nil},
		"never read":                  {[]int{20, 21, 22}, 0, 10, nil},
		"empty and never read":        {nil, 0, 10, nil},
		"the newest":                  {[]int{4, 5}, 5, 10, nil},
	} {
		h := &history{ids: test.ids}
		u := h.upwards(test.limit)
		var err error
		for more, after := true, test.after; more && err == nil; {
			var found []int
			found, _, more, err = u.After(after)
			if len(found) > 0 {
				after = found[len(found)-1]
			}
		}
		require.ErrorIs(t, err, test.want, name)
	}
	h := &history{ids: []int{1, 2, 3, 4, 5, 6, 7, 8, 9}, ignores: true}
	_, _, _, err := h.upwards(3).After(1)
	require.ErrorIs(t, err, ErrNoPages)
	h = &history{ids: []int{1, 2, 3, 4, 5, 6, 7, 8, 9}, ignores: true}
	found, _, more, err := h.upwards(3).After(7)
	require.NoError(t, err, "one page is enough")
	assert.Equal(t, fmt.Sprint([]int{8, 9}, false), fmt.Sprint(found, more))
}

// TestUpwards_Since: what After returns has all that was there at the time that Since tells, although more shows up between the
// pages, and what was fetched before is as good as nothing.
func TestUpwards_Since(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 7))
		h := &history{capped: r.IntN(3) * r.IntN(30)}
		var hidden []int
		for id := 1; id < 2000; id += 1 + r.IntN(1+r.IntN(5)) {
			if r.IntN(4) == 0 {
				hidden = append(hidden, id)
			} else {
				h.ids = append(h.ids, id)
			}
		}
		h.ids = append(h.ids, 3000)
		u := h.upwards(100)
		fetch := u.Fetch
		var there [][]int // at each page
		u.Fetch = func(limit, before int) ([]int, error) {
			for range r.IntN(3) {
				if len(hidden) > 0 {
					i := r.IntN(len(hidden))
					at, _ := slices.BinarySearch(h.ids, hidden[i])
					h.ids = slices.Insert(h.ids, at, hidden[i])
					hidden = slices.Delete(hidden, i, i+1)
				}
			}
			there = append(there, slices.Clone(h.ids))
			return fetch(limit, before)
		}
		u.Asked = func() time.Time { return time.Unix(int64(len(there)), 0) }
		for id, more := 0, true; more; {
			var found []int
			var err error
			found, _, more, err = u.After(id)
			require.NoError(t, err)
			if len(found) == 0 {
				continue
			}
			last := found[len(found)-1]
			for _, was := range there[u.Since().Unix()-1] {
				if was > id && was <= last {
					require.Contains(t, found, was, "seed %d", seed)
				}
			}
			id = last
		}
	}

	h := &history{}
	for id := range 1000 {
		h.ids = append(h.ids, id+1)
	}
	u := h.upwards(100)
	u.Asked = func() time.Time { return time.Unix(int64(h.requests), 0) }
	found, _, more, err := u.After(0)
	require.NoError(t, err)
	assert.True(t, more)
	assert.NotEmpty(t, found)
	assert.EqualValues(t, h.requests, u.Since().Unix(), "the last page has it all")

	h = &history{ids: []int{1000, 2000}}
	h.ids = append(h.ids, make([]int, 100)...)
	for i := range 100 {
		h.ids[2+i] = 3000 + i
	}
	u = h.upwards(100)
	var asked []int
	fetch := u.Fetch
	u.Fetch = func(limit, before int) ([]int, error) {
		if limit > 1 {
			asked = append(asked, before)
		}
		return fetch(limit, before)
	}
	u.Asked = func() time.Time { return time.Unix(int64(len(asked)), 0) }
	found, _, _, err = u.After(0)
	require.NoError(t, err)
	assert.Contains(t, found, 1000)
	assert.Greater(t, len(asked), 3, "it was looked for further and further up")
	assert.EqualValues(t, len(asked), u.Since().Unix(), "the last page has all that is below")
}
