package paging

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// model is a server with a list of ids. Its functions may be replaced by those of a worse one.
type model struct {
	list    []int
	size    int
	offsets []int // that were asked for

	change func()                  // before every request but the first
	from   func(offset int) int    // where the page really starts
	total  func(len int) (say int) // what it says
}

func newModel(n, size int) *model {
	m := &model{
		size:   size,
		change: func() {},
		from:   func(offset int) int { return offset },
		total:  func(n int) int { return n },
	}
	for id := range n {
		m.list = append(m.list, id)
	}
	return m
}

// all ranges over the model, which fails the test after a number of requests.
func (m *model) all(t *testing.T, offset, most int) iter.Seq2[int, error] {
	return ByOffset(offset, func(id *int) int { return *id }, func(offset int) ([]int, int, error) {
		m.offsets = append(m.offsets, offset)
		require.LessOrEqual(t, len(m.offsets), most, "requests: it has to end")
		require.GreaterOrEqual(t, offset, 0)
		if len(m.offsets) > 1 {
			m.change()
		}
		from := min(m.from(offset), len(m.list))
		return slices.Clone(m.list[from:min(from+m.size, len(m.list))]), m.total(len(m.list)), nil
	})
}

func (m *model) insert(at int, ids ...int) { m.list = slices.Insert(m.list, at, ids...) }
func (m *model) remove(from, to int)       { m.list = slices.Delete(m.list, from, to) }

func collect[T any](seq iter.Seq2[T, error]) (got []T, err error) {
	for v, e := range seq {
		if e != nil {
			return got, e
		}
		got = append(got, v)
	}
	return got, nil
}

// TestHonestServer: while elements are only added, or only removed, none is missed that was there
// all the time, and none comes twice.
func TestHonestServer(t *testing.T) {
	type world func(m *model, rng *rand.Rand) (budget int, change func())
	add := func(where func(m *model, rng *rand.Rand) int) world {
		return func(m *model, rng *rand.Rand) (int, func()) {
			next, budget := len(m.list), rng.IntN(40)
			left, most := budget, 1+rng.IntN(20)
			return budget, func() {
				for range min(left, rng.IntN(most+1)) {
					m.insert(where(m, rng), next)
					next++
					left--
				}
			}
		}
	}
	anywhere := func(m *model, rng *rand.Rand) int { return rng.IntN(len(m.list) + 1) }
	remove := func(where func(m *model, rng *rand.Rand) int) world {
		return func(m *model, rng *rand.Rand) (int, func()) {
			left, most := rng.IntN(len(m.list)+1), 1+rng.IntN(20)
			return 0, func() {
				for range min(left, rng.IntN(most+1)) {
					at := where(m, rng) % len(m.list)
					m.remove(at, at+1)
					left--
				}
			}
		}
	}
	worlds := map[string]world{
		"nothing happens":    func(*model, *rand.Rand) (int, func()) { return 0, func() {} },
		"added at the front": add(func(*model, *rand.Rand) int { return 0 }),
		"added at the end":   add(func(m *model, _ *rand.Rand) int { return len(m.list) }),
		"added anywhere":     add(anywhere),
		"added in front of the page": add(func(m *model, rng *rand.Rand) int {
			return rng.IntN(min(m.offsets[len(m.offsets)-1], len(m.list)) + 1)
		}),
		"removed at the front": remove(func(*model, *rand.Rand) int { return 0 }),
		"removed at the end":   remove(func(m *model, _ *rand.Rand) int { return len(m.list) - 1 }),
		"removed anywhere":     remove(anywhere),
		"removed in front of the page": remove(func(m *model, rng *rand.Rand) int {
			return rng.IntN(m.offsets[len(m.offsets)-1] + 1)
		}),
	}
	for name, world := range worlds {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(3000) {
				rng := rand.New(rand.NewPCG(seed, 0))
				n := rng.IntN(60)
				m := newModel(n, 1+rng.IntN(7))
				first := slices.Clone(m.list)
				added, change := world(m, rng)
				m.change = change
				if rng.IntN(3) == 0 {
					most := m.size
					m.change = func() { change(); m.size = 1 + rng.IntN(most) }
				}
				offset := 0
				if rng.IntN(5) == 0 {
					offset = rng.IntN(n + 1)
				}

				got, err := collect(m.all(t, offset, 10+3*(n+added)))
				require.NoError(t, err)
				unique(t, got, seed)
				stayed := slices.DeleteFunc(first[offset:], func(id int) bool { return !slices.Contains(m.list, id) })
				require.Empty(t, missing(got, stayed), "seed %d: there all the time; offsets %v", seed, m.offsets)
			}
		})
	}
}

func unique(t *testing.T, got []int, seed uint64) {
	t.Helper()
	sorted := slices.Sorted(slices.Values(got))
	require.Len(t, slices.Compact(sorted), len(got), "seed %d: twice the same", seed)
}

// missing returns what is wanted and was not got.
func missing(got, want []int) (ids []int) {
	seen := make(map[int]bool)
	for _, id := range got {
		seen[id] = true
	}
	return slices.DeleteFunc(slices.Clone(want), func(id int) bool { return seen[id] })
}

// TestAnyServer: it ends and yields nothing twice, whatever the server makes of limit, offset and
// total, and whatever happens to the list.
func TestAnyServer(t *testing.T) {
	for seed := range uint64(5000) {
		rng := rand.New(rand.NewPCG(seed, 1))
		n := rng.IntN(30)
		m := newModel(n, 1+rng.IntN(7))
		size, most := m.size, rng.IntN(n+5)
		low, high := rng.IntN(40)-5, rng.IntN(40)-5

		m.total = []func(int) int{
			func(len int) int { return len },
			func(int) int { return low },
			func(int) int { return rng.IntN(n+20) - 5 },
			func(int) int { return []int{low, high}[len(m.offsets)%2] },
			func(int) int { return 100 * len(m.offsets) },
			func(int) int { return max(1, 1000-len(m.offsets)) },
			func(int) int { return []int{math.MinInt, math.MaxInt, 1}[rng.IntN(3)] },
			func(len int) int { return min(len, m.size) },
		}[rng.IntN(8)]
		m.from = []func(int) int{
			func(offset int) int { return offset },
			func(int) int { return 0 },
			func(offset int) int { return offset % (most + 1) },
			func(offset int) int { return rng.IntN(offset + 1) },
			func(offset int) int { return offset / 2 },
		}[rng.IntN(5)]
		fresh := n
		turn := []func(){
			func() {},
			func() { m.size = rng.IntN(size + 1) },
			func() { m.size = n },
			func() { rng.Shuffle(len(m.list), func(i, j int) { m.list[i], m.list[j] = m.list[j], m.list[i] }) },
		}[rng.IntN(4)]
		coming, going := rng.IntN(3), rng.IntN(3)
		m.change = func() {
			turn()
			for range rng.IntN(coming + 1) {
				if fresh < n+30 {
					m.insert(rng.IntN(len(m.list)+1), fresh)
					fresh++
				}
			}
			for range min(len(m.list), rng.IntN(going+1)) {
				at := rng.IntN(len(m.list))
				m.remove(at, at+1)
			}
		}
		got, err := collect(m.all(t, rng.IntN(2)*rng.IntN(n+5), (n+30)*(maxStale+2)))
		require.NoError(t, err)
		unique(t, got, seed)
	}
}

// TestOffsets looks at what is asked for. Each row is a list of six, in pages of two.
func TestOffsets(t *testing.T) {
	all := []int{0, 1, 2, 3, 4, 5}
	for _, row := range []struct {
		name    string
		start   int
		set     func(m *model)
		offsets []int
		got     []int
	}{
		{"total reached", 0, nil, []int{0, 2, 4}, all},
		{"from an offset", 3, nil, []int{3, 5}, all[3:]},
		{"from behind the end", 9, nil, []int{9}, nil},
		{"empty", 0, func(m *model) { m.list = nil }, []int{0}, nil},
		{"total unknown", 0, func(m *model) { m.total = func(int) int { return 0 } }, []int{0, 2, 4, 6}, all},
		{"total negative", 0, func(m *model) { m.total = func(int) int { return -1 } }, []int{0, 2, 4, 6}, all},
		{"total too high", 0, func(m *model) { m.total = func(int) int { return 100 } }, []int{0, 2, 4, 6}, all},
		{"everything at once", 0, func(m *model) { m.size = 10 }, []int{0}, all},
		{"pages shrink", 0, func(m *model) { m.change = func() { m.size = 1 } }, []int{0, 2, 3, 4, 5}, all},
		{"offset ignored", 0, func(m *model) { m.from = func(int) int { return 0 } }, []int{0, 2}, all[:2]},
		{"offset ignored, total grows", 0, func(m *model) {
			m.from = func(int) int { return 0 }
			m.change = func() {
				if len(m.offsets) == 2 {
					m.insert(6, 6, 7, 8)
				}
			}
		}, []int{0, 2, 4}, all[:2]}, // reach is 5: a page at 2 may be old, one at 4 not
		{"one removed", 0, func(m *model) {
			m.change = func() {
				if len(m.offsets) == 2 {
					m.remove(0, 1)
				}
			}
		}, []int{0, 2, 1, 3}, []int{0, 1, 3, 4, 2, 5}},
		{"one removed, page empty", 0, func(m *model) {
			m.change = func() {
				if len(m.offsets) == 3 {
					m.remove(0, 2)
				}
			}
		}, []int{0, 2, 4, 2}, all},
		{"one removed, total not always told", 0, func(m *model) {
			m.change = func() {
				if len(m.offsets) == 3 {
					m.remove(0, 1)
				}
			}
			m.total = func(n int) int { return []int{n, 0}[(len(m.offsets)-1)%2] }
		}, []int{0, 2, 4, 3, 5}, []int{0, 1, 2, 3, 5, 4}},
		{"all removed", 0, func(m *model) {
			m.change = func() { m.list = nil }
		}, []int{0, 2}, all[:2]},
		{"removed from the front, one with each request", 0, func(m *model) {
			m.list = append(m.list, 6, 7, 8, 9)
			m.change = func() { m.remove(0, 1) }
		}, []int{0, 2, 1, 0, 1, 2, 3}, []int{0, 1, 3, 4, 5, 6, 7, 8, 9}},
		{"removed twice, and then no more", 0, func(m *model) {
			*m = *newModel(12, 1)
			m.change = func() {
				if n := len(m.offsets); n == 8 || n == 9 {
					m.list = m.list[:len(m.list)-2]
				}
			}
		}, []int{0, 1, 2, 3, 4, 5, 6, 7, 5, 1, 3, 4, 5, 6, 7}, []int{0, 1, 2, 3, 4, 5, 6, 7}},
		{"added in front of what is new", 0, func(m *model) {
			m.change = func() {
				if len(m.offsets) == 2 {
					m.insert(0, 6, 7, 8, 9)
				}
			}
		}, []int{0, 2, 4, 6, 8}, []int{0, 1, 8, 9, 2, 3, 4, 5}},
	} {
		t.Run(row.name, func(t *testing.T) {
			m := newModel(6, 2)
			if row.set != nil {
				row.set(m)
			}
			got, err := collect(m.all(t, row.start, 100))
			require.NoError(t, err)
			assert.Equal(t, row.got, got)
			assert.Equal(t, row.offsets, m.offsets)
		})
	}
}

// TestSteadyRemoval: elements that disappear all the time do not keep it from getting on.
func TestSteadyRemoval(t *testing.T) {
	for _, row := range []struct{ rate, size int }{{1, 100}, {10, 100}, {99, 100}, {100, 100}, {300, 100}, {1, 1}, {3, 1}} {
		rate := row.rate
		t.Run(fmt.Sprintf("%d removed, page of %d", rate, row.size), func(t *testing.T) {
			n := 200 * row.size
			m := newModel(n, row.size)
			rng := rand.New(rand.NewPCG(uint64(rate), 0))
			m.change = func() {
				for range min(rate, len(m.list)) {
					at := rng.IntN(len(m.list))
					m.remove(at, at+1)
				}
			}
			got, err := collect(m.all(t, 0, 210))
			require.NoError(t, err)
			unique(t, got, uint64(rate))
			assert.Empty(t, missing(got, m.list))
		})
	}
}

// TestStaleLimit: it gives a server up that goes on for ever, and only then.
func TestStaleLimit(t *testing.T) {
	t.Run("total grows for ever", func(t *testing.T) {
		m := newModel(6, 2)
		m.from = func(int) int { return 0 }
		m.total = func(int) int { return 100 * len(m.offsets) }
		got, err := collect(m.all(t, 0, 2*maxStale))
		require.NoError(t, err)
		assert.Equal(t, []int{0, 1}, got)
		assert.Len(t, m.offsets, maxStale+2)
	})
	t.Run("total shrinks ever faster", func(t *testing.T) {
		m := newModel(6, 1)
		m.from = func(int) int { return 0 }
		m.change = func() { m.size = 0 }
		m.total = func(int) int { return math.MaxInt - len(m.offsets)*len(m.offsets) }
		_, err := collect(m.all(t, 1<<60, 2*maxStale))
		require.NoError(t, err)
		assert.Len(t, m.offsets, maxStale+2)
	})
	t.Run("half of a long list is removed at once", func(t *testing.T) {
		m := newModel(4*maxStale, 1)
		m.change = func() {
			if len(m.offsets) == 3*maxStale {
				m.remove(2*maxStale, 3*maxStale-1) // what it has just seen
				m.remove(3*maxStale-1, len(m.list))
				m.insert(len(m.list), -1)
				m.remove(0, maxStale)
			}
		}
		got, err := collect(m.all(t, 0, 10*maxStale))
		require.NoError(t, err)
		assert.Empty(t, missing(got, m.list))
	})
	t.Run("a long list doubles at the front", func(t *testing.T) {
		m := newModel(3*maxStale, 1)
		m.change = func() {
			if len(m.offsets) == 2*maxStale {
				for i := range 2 * maxStale {
					m.insert(0, 3*maxStale+i)
				}
			}
		}
		got, err := collect(m.all(t, 0, 10*maxStale))
		require.NoError(t, err)
		assert.Empty(t, missing(got, newModel(3*maxStale, 1).list))
	})
}

// TestSteadyGrowth: what is old on two of three pages does not add up.
func TestSteadyGrowth(t *testing.T) {
	m := newModel(2*maxStale, 1)
	list := slices.Clone(m.list)
	m.change = func() {
		if len(m.offsets)%3 != 0 {
			m.insert(0, len(m.list))
		}
	}
	got, err := collect(m.all(t, 0, 3*len(list)+3))
	require.NoError(t, err)
	assert.Empty(t, missing(got, list))
}

func TestBreakAndRangeAgain(t *testing.T) {
	m := newModel(6, 2)
	all := m.all(t, 0, 100)
	for id, err := range all {
		if err != nil || id == 2 {
			break
		}
	}
	assert.Equal(t, []int{0, 2}, m.offsets, "break ends the requests")
	for range 2 {
		m.offsets = nil
		got, err := collect(all)
		require.NoError(t, err)
		assert.Equal(t, m.list, got, "it starts over")
		assert.Equal(t, []int{0, 2, 4}, m.offsets)
	}
}

func TestErrorComesLast(t *testing.T) {
	lost := errors.New("lost")
	for name, seq := range map[string]iter.Seq2[int, error]{
		"ByOffset": ByOffset(0, func(id *int) int { return *id }, func(offset int) ([]int, int, error) {
			if offset == 2 {
				return []int{7}, 9, lost
			}
			return []int{8, 7}, 9, nil
		}),
		"Before": Before(0, func(id *int) int { return *id }, func(before int) ([]int, error) {
			if before == 7 {
				return []int{6}, lost
			}
			return []int{8, 7}, nil
		}),
	} {
		t.Run(name, func(t *testing.T) {
			var got []int
			var errs []error
			for id, err := range seq {
				got, errs = append(got, id), append(errs, err)
			}
			assert.Equal(t, []int{8, 7, 0}, got)
			assert.Equal(t, []error{nil, nil, lost}, errs)
		})
	}
}

// TestBefore: newest to oldest from servers good and bad.
func TestBefore(t *testing.T) {
	for seed := range uint64(5000) {
		rng := rand.New(rand.NewPCG(seed, 2))
		var list []int // oldest first, with gaps
		for id := range rng.IntN(60) {
			if rng.IntN(3) > 0 {
				list = append(list, id+1)
			}
		}
		start := rng.IntN(2) * rng.IntN(70)
		first, size, honest := slices.Clone(list), 1+rng.IntN(7), rng.IntN(2) == 0
		requests, next := 0, 100
		got, err := collect(Before(start, func(id *int) int { return *id }, func(before int) ([]int, error) {
			requests++
			require.LessOrEqual(t, requests, len(first)/2+len(first)+60, "seed %d", seed)
			if requests > 1 {
				for range rng.IntN(3) {
					list = append(list, next)
					next++
				}
			}
			below := list
			if honest || rng.IntN(2) == 0 {
				below = slices.DeleteFunc(slices.Clone(list), func(id int) bool { return before > 0 && id >= before })
			}
			page := slices.Clone(below[max(0, len(below)-size):])
			if !honest && len(below) > 0 {
				page = append(page, below[rng.IntN(len(below))], below[0])
			}
			rng.Shuffle(len(page), func(i, j int) { page[i], page[j] = page[j], page[i] })
			return page, nil
		}))
		require.NoError(t, err)
		for i := 1; i < len(got); i++ {
			require.Less(t, got[i], got[i-1], "seed %d", seed)
		}
		if honest {
			want := slices.DeleteFunc(first, func(id int) bool { return start > 0 && id >= start })
			slices.Reverse(want)
			require.True(t, slices.Equal(want, got), "seed %d: %v, not %v", seed, got, want)
			require.LessOrEqual(t, requests, (len(want)+size-1)/size+1, "seed %d", seed)
		}
	}
}

func TestBeforeEnds(t *testing.T) {
	for name, row := range map[string]struct {
		page   func(before int) []int
		before []int
		got    []int
	}{
		"empty page":       {func(b int) []int { return map[int][]int{0: {9, 8}, 8: {5}}[b] }, []int{0, 8, 5}, []int{9, 8, 5}},
		"cursor ignored":   {func(int) []int { return []int{9, 8} }, []int{0, 8}, []int{9, 8}},
		"limit ignored":    {func(int) []int { return []int{3, 2, 1} }, []int{0}, []int{3, 2, 1}},
		"twice on a page":  {func(int) []int { return []int{3, 1, 3, 2, 1} }, []int{0}, []int{3, 2, 1}},
		"nothing":          {func(int) []int { return nil }, []int{0}, nil},
		"no positive ids":  {func(int) []int { return []int{-2, -1} }, []int{0}, []int{-1, -2}},
		"newer ones later": {func(b int) []int { return map[int][]int{0: {9, 8}, 8: {11, 10, 7}}[b] }, []int{0, 8, 7}, []int{9, 8, 7}},
	} {
		t.Run(name, func(t *testing.T) {
			var before []int
			all := Before(0, func(id *int) int { return *id }, func(b int) ([]int, error) {
				before = append(before, b)
				require.Less(t, len(before), 9)
				return row.page(b), nil
			})
			for range 2 {
				before = nil
				got, err := collect(all)
				require.NoError(t, err)
				assert.Equal(t, row.got, got)
				assert.Equal(t, row.before, before)
			}
			before = nil
			for _, err := range all {
				require.NoError(t, err)
				break
			}
			assert.Equal(t, []int{0}, before, "break ends the requests")
		})
	}
}
