package main

import (
	"math"
	"regexp"
	"slices"
)

// experiment is a group of runs that belong together, and what the table says of them.
type experiment struct {
	name string
	runs []run
	// few: it takes long, or says the same every time, so two rounds are enough.
	few  bool
	rows []row
}

// run is one process of a round.
type run struct {
	name  string // how rows refer to it
	order order
	// lossy: it may have read less than was sent, which is what is measured.
	lossy bool
}

// round is what the runs of one round came to, by name.
type round map[string]measured

// figure makes one number of a round. It is no number (NaN) if the round does not have it.
type figure func(round) float64

// row is a line of the table.
type row struct {
	what string
	goal goal
	is   figure
	// compare is more to know, without a goal.
	compare []comparison
}

type comparison struct {
	label string
	unit  string
	is    figure
	// run fails by its nature, if it does; then there is no figure.
	run string
}

func (e experiment) wanted(only *regexp.Regexp) bool {
	return only.MatchString(e.name) || slices.ContainsFunc(e.rows, func(r row) bool { return only.MatchString(r.what) })
}

// What figures are made of.

type metric func(measured) float64

func cpuEach(m measured) float64     { return m.CPU / float64(m.N) }
func wallEach(m measured) float64    { return m.Wall / float64(m.N) }
func allocs(m measured) float64      { return m.Allocs }
func kilobytes(m measured) float64   { return m.Bytes / 1e3 }
func peak(m measured) float64        { return m.PeakMB }
func grew(m measured) float64        { return m.GrewMB }
func connections(m measured) float64 { return m.Connections }
func discoveries(m measured) float64 { return m.Discoveries }
func lost(m measured) float64        { return 100 * (1 - float64(m.Seen)/float64(m.N)) }
func late(m measured) float64        { return m.Late }
func heldHeap(m measured) float64    { return m.Held.HeapKB }
func heldStacks(m measured) float64  { return m.Held.StackKB }
func heldLive(m measured) float64    { return m.Held.LiveKB }
func heldAll(m measured) float64     { return m.Held.HeapKB + m.Held.StackKB }
func goroutines(m measured) float64  { return m.Held.Goroutines }

func of(of metric, name string) figure { return func(r round) float64 { return of(r[name]) } }

func over(of metric, name, base string) figure {
	return func(r round) float64 { return of(r[name]) / of(r[base]) }
}

func less(of metric, name, base string) figure {
	return func(r round) float64 { return of(r[name]) - of(r[base]) }
}

// times is a figure in another unit.
func times(factor float64, is figure) figure { return func(r round) float64 { return factor * is(r) } }

// worstOf is the largest of some figures.
func worstOf(figures ...figure) figure {
	return func(r round) float64 {
		worst := math.Inf(-1)
		for _, is := range figures {
			worst = max(worst, is(r))
		}
		return worst
	}
}

// grown is how much more each costs at ten times the size. 1 is linear.
func grown(of metric, name, base string, sizes float64) figure {
	return func(r round) float64 { return of(r[name]) / of(r[base]) / sizes }
}

// linear is what counts as linear: caches that no longer hold everything are no step.
const linear = 1.25

const megabyte = 1e6

func experiments() []experiment { return append(callExperiments(), liveExperiments()...) }

// callExperiments are about calls, lists, replays and the program as a whole.
func callExperiments() []experiment {
	return []experiment{
		{
			name: "get-64",
			runs: []run{
				{name: "ours", order: order{Task: "get", N: 40_000, Warm: 4000, Parallel: 64}},
				{name: "handwritten", order: order{Task: "get", N: 40_000, Warm: 4000, Parallel: 64}},
				{name: "typescript", order: order{Task: "get", N: 6000, Warm: 3000, Parallel: 64}},
				{name: "ours 640", order: order{Subject: "ours", Task: "get", N: 40_000, Warm: 4000, Parallel: 640}},
				{name: "handwritten 640", order: order{Subject: "handwritten", Task: "get", N: 40_000, Warm: 4000, Parallel: 640}},
			},
			rows: []row{
				{
					what: "GetSession, 64 at a time: CPU per call over handwritten", goal: faster(0.90),
					is:      over(cpuEach, "ours", "handwritten"),
					compare: []comparison{{label: "TypeScript", unit: "×", is: over(cpuEach, "typescript", "handwritten")}},
				},
				{
					what: "GetSession, growth: CPU per call with 640 in flight over 64",
					goal: faster(linear).or("handwritten", over(cpuEach, "handwritten 640", "handwritten")),
					is:   over(cpuEach, "ours 640", "ours"),
					compare: []comparison{
						{label: "handwritten", unit: "×", is: over(cpuEach, "handwritten 640", "handwritten")},
						{label: "640 in flight over handwritten", unit: "×", is: over(cpuEach, "ours 640", "handwritten 640")},
					},
				},
			},
		},
		{
			name: "get-1",
			runs: []run{
				{name: "ours", order: order{Task: "get", N: 15_000, Warm: 2000}},
				{name: "handwritten", order: order{Task: "get", N: 15_000, Warm: 2000}},
				{name: "typescript", order: order{Task: "get", N: 4000, Warm: 2000}},
			},
			rows: []row{
				{
					what: "GetSession, one at a time: CPU per call over handwritten", goal: faster(0.95),
					is: over(cpuEach, "ours", "handwritten"),
					compare: []comparison{
						{label: "wall time", unit: "×", is: over(wallEach, "ours", "handwritten")},
						{label: "TypeScript", unit: "×", is: over(cpuEach, "typescript", "handwritten")},
					},
				},
				{
					what: "GetSession: allocations", goal: within(75, ""), is: of(allocs, "ours"),
					compare: []comparison{
						{label: "handwritten", is: of(allocs, "handwritten")},
						{label: "kilobytes", unit: "kB", is: of(kilobytes, "ours")},
						{label: "handwritten", unit: "kB", is: of(kilobytes, "handwritten")},
					},
				},
			},
		},
		{
			name: "retry-layer",
			few:  true,
			runs: []run{
				{name: "layer", order: order{Task: "exchange-get", N: 4000, Warm: 500}},
				{name: "plain", order: order{Task: "exchange-get", N: 4000, Warm: 500}},
				{name: "layer create", order: order{Subject: "layer", Task: "exchange-create", N: 2000, Warm: 500}},
				{name: "plain create", order: order{Subject: "plain", Task: "exchange-create", N: 2000, Warm: 500}},
				{name: "bare create", order: order{Subject: "bare", Task: "exchange-create", N: 2000, Warm: 500}},
			},
			rows: []row{{
				what: "retry layer on a create: allocations over a plain client", goal: within(8, ""),
				is: less(allocs, "layer create", "plain create"),
				compare: []comparison{
					{label: "over one without a limit on silence", is: less(allocs, "layer create", "bare create")},
					{label: "on a GET", is: less(allocs, "layer", "plain")},
				},
			}},
		},
		{
			name: "create",
			few:  true,
			runs: []run{
				{name: "ours", order: order{Task: "create", N: 10_000, Warm: 2000}},
				{name: "handwritten", order: order{Task: "create", N: 10_000, Warm: 2000}},
			},
			rows: []row{{
				what: "CreateSession: allocations", goal: within(90, ""), is: of(allocs, "ours"),
				compare: []comparison{{label: "handwritten", is: of(allocs, "handwritten")}},
			}},
		},
		{
			name: "list",
			runs: []run{
				{name: "ours", order: order{Task: "list", N: 60, Warm: 5, Size: 1000}},
				{name: "handwritten", order: order{Task: "list", N: 40, Warm: 5, Size: 1000}},
				{name: "typescript", order: order{Task: "list", N: 15, Warm: 5, Size: 1000}},
				{name: "ours unknown", order: order{Subject: "ours", Task: "list-unknown", N: 60, Warm: 5, Size: 1000}},
				{name: "handwritten unknown", order: order{Subject: "handwritten", Task: "list-unknown", N: 40, Warm: 5, Size: 1000}},
				{name: "ours 10000", order: order{Subject: "ours", Task: "list", N: 6, Warm: 1, Size: 10_000}},
				{name: "handwritten 10000", order: order{Subject: "handwritten", Task: "list", N: 4, Warm: 1, Size: 10_000}},
			},
			rows: []row{
				{
					what: "list of 1,000 sessions: CPU over handwritten", goal: faster(0.80),
					is: over(cpuEach, "ours", "handwritten"),
					compare: []comparison{
						{label: "TypeScript", unit: "×", is: over(cpuEach, "typescript", "handwritten")},
						{label: "allocations for each session", is: times(1.0/1000, of(allocs, "ours"))},
						{label: "handwritten", is: times(1.0/1000, of(allocs, "handwritten"))},
					},
				},
				{
					what: "list of 1,000, three unknown members in each kept: CPU over handwritten that loses them", goal: faster(0.95),
					is: over(cpuEach, "ours unknown", "handwritten unknown"),
				},
				{
					what: "list, growth: CPU per item of 10,000 over 1,000", goal: faster(linear),
					is:      grown(cpuEach, "ours 10000", "ours", 10),
					compare: []comparison{{label: "handwritten", unit: "×", is: grown(cpuEach, "handwritten 10000", "handwritten", 10)}},
				},
			},
		},
		{
			name: "replay",
			runs: []run{
				{name: "ours", order: order{Task: "entries", N: 1, Size: 100}},
				{name: "handwritten", order: order{Task: "replay", N: 1, Size: 100}},
				{name: "typescript", order: order{Task: "replay", N: 1, Size: 100}},
				{name: "ours whole", order: order{Subject: "ours", Task: "replay", N: 1, Size: 100}},
				{name: "ours 10", order: order{Subject: "ours", Task: "entries", N: 1, Size: 10}},
			},
			rows: []row{
				{
					what: "ReplayEntries of 100 MB: wall time over handwritten whole", goal: faster(0.30), is: over(wallEach, "ours", "handwritten"),
					compare: []comparison{
						{label: "CPU", unit: "×", is: over(cpuEach, "ours", "handwritten")},
						{label: "TypeScript", unit: "×", is: over(wallEach, "typescript", "handwritten")},
					},
				},
				{
					what: "ReplayEntries of 100 MB: peak memory", goal: within(16, "MB"), is: of(peak, "ours"),
					compare: []comparison{
						{label: "of 10 MB", unit: "MB", is: of(peak, "ours 10")},
						{label: "by how much the process grew", unit: "MB", is: of(grew, "ours")},
						{label: "handwritten whole", unit: "MB", is: of(peak, "handwritten")},
						{label: "TypeScript", unit: "MB", is: of(peak, "typescript")},
					},
				},
				{
					what: "GetReplay of 100 MB, whole: peak memory", goal: within(180, "MB"), is: of(peak, "ours whole"),
					compare: []comparison{{label: "wall time over handwritten", unit: "×", is: over(wallEach, "ours whole", "handwritten")}},
				},
			},
		},
		{
			name: "hostile",
			few:  true,
			runs: []run{
				{name: "tiny", order: order{Subject: "ours", Task: "hostile-tiny", N: 1, Size: 8}},
				{name: "sessions", order: order{Subject: "ours", Task: "hostile-sessions", N: 1, Size: 8}},
				{name: "entries", order: order{Subject: "ours", Task: "hostile-entries", N: 1, Size: 8}},
				{name: "free", order: order{Subject: "ours", Task: "hostile-free", N: 1, Size: 8}},
				{name: "handwritten tiny", order: order{Subject: "handwritten", Task: "hostile-tiny", N: 1, Size: 1}},
				{name: "handwritten free", order: order{Subject: "handwritten", Task: "hostile-free", N: 1, Size: 8}},
			},
			rows: []row{{
				what: "hostile answers of 8 MB, the worst of four: peak memory over 20 times their size and 64 MB", goal: smaller(1),
				is: times(1.0/(20*8+64), worstOf(of(grew, "tiny"), of(grew, "sessions"), of(grew, "entries"), of(grew, "free"))),
				compare: []comparison{
					{label: "list of {}", unit: "MB", is: of(grew, "tiny")},
					{label: "list with blanks", unit: "MB", is: of(grew, "sessions")},
					{label: "replay", unit: "MB", is: of(grew, "entries")},
					{label: "free JSON", unit: "MB", is: of(grew, "free")},
					{label: "handwritten, list of {} of 1 MB", unit: "MB", is: of(grew, "handwritten tiny")},
					{label: "handwritten, free JSON", unit: "MB", is: of(grew, "handwritten free")},
				},
			}},
		},
		{
			name: "bursts",
			runs: []run{
				{name: "ours", order: order{Task: "bursts", N: 50, Warm: 3, Parallel: 64}},
				{name: "handwritten", order: order{Task: "bursts", N: 50, Warm: 3, Parallel: 64}},
			},
			rows: []row{{
				what: "50 bursts of 64 calls over TLS: new connections after warm-up", goal: within(0, ""), is: of(connections, "ours"),
				compare: []comparison{
					{label: "handwritten, transport as it comes", is: of(connections, "handwritten")},
					{label: "its CPU over ours", unit: "×", is: over(cpuEach, "handwritten", "ours")},
				},
			}},
		},
		{
			name: "discovery",
			few:  true,
			runs: []run{
				{name: "ours", order: order{Task: "first", N: 1000, Parallel: 1000}},
				{name: "typescript", order: order{Task: "first", N: 1000, Parallel: 1000}},
			},
			rows: []row{{
				what: "1,000 concurrent first calls: discoveries", goal: within(1, ""), is: of(discoveries, "ours"),
				compare: []comparison{{label: "TypeScript", is: of(discoveries, "typescript")}},
			}},
		},
		{
			name: "cold-start",
			runs: []run{
				{name: "ours", order: order{Task: "cold", N: 40}},
				{name: "handwritten", order: order{Task: "cold", N: 40}},
				{name: "typescript", order: order{Task: "cold", N: 3}},
			},
			rows: []row{{
				what: "cold start to the first decoded answer over handwritten", goal: faster(1.3), is: over(wallEach, "ours", "handwritten"),
				compare: []comparison{{label: "TypeScript", unit: "×", is: over(wallEach, "typescript", "handwritten")}},
			}},
		},
		{
			name: "compile",
			few:  true,
			runs: []run{
				{name: "handwritten", order: order{Task: "compile", N: 1}},
				{name: "ours", order: order{Task: "compile", N: 1}},
			},
			rows: []row{{
				what: "cold compile beyond net/http and encoding/json: CPU-seconds", goal: seconds(8), is: of(cpuEach, "ours"),
				compare: []comparison{
					{label: "net/http and encoding/json, which handwritten needs too", unit: "s", is: of(cpuEach, "handwritten")},
				},
			}},
		},
	}
}
