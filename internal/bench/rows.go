package main

import (
	"regexp"
	"slices"
)

// experiment is a group of runs that belong together, and what the table says of them.
type experiment struct {
	name string
	runs []run
	// few: it takes long, or says the same every time, so two rounds are enough.
	few bool
	// many: the difference is small, so there are four times as many rounds.
	many bool
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

// figure makes one number of a round.
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

// goal is the largest value wanted.
type goal struct {
	most float64
	unit string // of the figure as well; "×" is a ratio
	// worst: every round must meet it, not the median.
	worst bool
}

func ratio(most float64) goal { return goal{most: most, unit: "×"} }

func limit(most float64, unit string) goal { return goal{most: most, unit: unit, worst: true} }

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
func connections(m measured) float64 { return m.Connections }
func discoveries(m measured) float64 { return m.Discoveries }
func lost(m measured) float64        { return 100 * (1 - float64(m.Seen)/float64(m.N)) }

func of(of metric, name string) figure { return func(r round) float64 { return of(r[name]) } }

func over(of metric, name, base string) figure {
	return func(r round) float64 { return of(r[name]) / of(r[base]) }
}

func less(of metric, name, base string) figure {
	return func(r round) float64 { return of(r[name]) - of(r[base]) }
}

// grown is how much more each costs at ten times the size. 1 is linear.
func grown(of metric, name, base string, sizes float64) figure {
	return func(r round) float64 { return of(r[name]) / of(r[base]) / sizes }
}

// linear is what counts as linear: caches that no longer hold everything are no step.
const linear = 1.25

func experiments() []experiment {
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
					what: "GetSession, 64 at a time: CPU per call over handwritten", goal: ratio(0.75),
					is:      over(cpuEach, "ours", "handwritten"),
					compare: []comparison{{label: "TypeScript", unit: "×", is: over(cpuEach, "typescript", "handwritten")}},
				},
				{
					what: "GetSession, growth: CPU per call with 640 in flight over 64", goal: ratio(linear),
					is:      over(cpuEach, "ours 640", "ours"),
					compare: []comparison{{label: "handwritten", unit: "×", is: over(cpuEach, "handwritten 640", "handwritten")}},
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
					what: "GetSession, one at a time: wall time per call over handwritten", goal: ratio(0.97),
					is: over(wallEach, "ours", "handwritten"),
					compare: []comparison{
						{label: "CPU", unit: "×", is: over(cpuEach, "ours", "handwritten")},
						{label: "TypeScript", unit: "×", is: over(wallEach, "typescript", "handwritten")},
					},
				},
				{
					what: "GetSession: allocations", goal: limit(100, ""), is: of(allocs, "ours"),
					compare: []comparison{{label: "handwritten", is: of(allocs, "handwritten")}},
				},
				{
					what: "GetSession: kilobytes allocated", goal: limit(8, "kB"), is: of(kilobytes, "ours"),
					compare: []comparison{{label: "handwritten", unit: "kB", is: of(kilobytes, "handwritten")}},
				},
			},
		},
		{
			name: "retry-layer",
			many: true,
			runs: []run{
				{name: "layer", order: order{Task: "exchange-get", N: 10_000, Warm: 1000, Parallel: 64}},
				{name: "plain", order: order{Task: "exchange-get", N: 10_000, Warm: 1000, Parallel: 64}},
				{name: "bare", order: order{Task: "exchange-get", N: 10_000, Warm: 1000, Parallel: 64}},
				{name: "layer create", order: order{Subject: "layer", Task: "exchange-create", N: 2000, Warm: 500}},
				{name: "plain create", order: order{Subject: "plain", Task: "exchange-create", N: 2000, Warm: 500}},
				{name: "bare create", order: order{Subject: "bare", Task: "exchange-create", N: 2000, Warm: 500}},
			},
			rows: []row{
				{
					what: "retry layer on a GET: CPU over a plain client", goal: ratio(1.03), is: over(cpuEach, "layer", "plain"),
					compare: []comparison{{label: "over one without a limit on silence", unit: "×", is: over(cpuEach, "layer", "bare")}},
				},
				{
					what: "retry layer on a GET: allocations over a plain client", goal: limit(3, ""), is: less(allocs, "layer", "plain"),
					compare: []comparison{{label: "over one without a limit on silence", is: less(allocs, "layer", "bare")}},
				},
				{
					what: "retry layer on a create: allocations over a plain client", goal: limit(9, ""),
					is:      less(allocs, "layer create", "plain create"),
					compare: []comparison{{label: "over one without a limit on silence", is: less(allocs, "layer create", "bare create")}},
				},
			},
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
					what: "list of 1,000 sessions: CPU over handwritten", goal: ratio(0.50),
					is:      over(cpuEach, "ours", "handwritten"),
					compare: []comparison{{label: "TypeScript", unit: "×", is: over(cpuEach, "typescript", "handwritten")}},
				},
				{
					what: "list of 1,000, three unknown members in each kept: CPU over handwritten that loses them", goal: ratio(0.50),
					is: over(cpuEach, "ours unknown", "handwritten unknown"),
				},
				{
					what: "list, growth: CPU per item of 10,000 over 1,000", goal: ratio(linear),
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
					what: "ReplayEntries of 100 MB: peak memory", goal: limit(16, "MB"), is: of(peak, "ours"),
					compare: []comparison{
						{label: "of 10 MB", unit: "MB", is: of(peak, "ours 10")},
						{label: "handwritten whole", unit: "MB", is: of(peak, "handwritten")},
						{label: "TypeScript", unit: "MB", is: of(peak, "typescript")},
					},
				},
				{
					what: "ReplayEntries of 100 MB: wall time over handwritten whole", goal: ratio(0.45), is: over(wallEach, "ours", "handwritten"),
					compare: []comparison{
						{label: "CPU", unit: "×", is: over(cpuEach, "ours", "handwritten")},
						{label: "TypeScript", unit: "×", is: over(wallEach, "typescript", "handwritten")},
					},
				},
				{
					what: "GetReplay of 100 MB, whole: peak memory", goal: limit(180, "MB"), is: of(peak, "ours whole"),
					compare: []comparison{{label: "wall time over handwritten", unit: "×", is: over(wallEach, "ours whole", "handwritten")}},
				},
			},
		},
		{
			name: "events",
			runs: []run{
				{name: "ours", order: order{Task: "events", N: 200_000, Warm: 20_000, Size: 250}},
				{name: "handwritten", order: order{Task: "events", N: 100_000, Warm: 10_000, Size: 250}},
				{name: "typescript", order: order{Task: "events", N: 50_000, Warm: 20_000, Size: 250}},
				{name: "callbacks", order: order{Subject: "typescript", Task: "callbacks", N: 50_000, Warm: 20_000, Size: 250}},
				{name: "ours 2000000", order: order{Subject: "ours", Task: "events", N: 2_000_000, Warm: 20_000, Size: 250}},
			},
			rows: []row{
				{
					what: "SSE, events of 250 B: CPU per event over TypeScript's iterator", goal: ratio(0.20), is: over(cpuEach, "ours", "typescript"),
					compare: []comparison{
						{label: "handwritten", unit: "×", is: over(cpuEach, "handwritten", "typescript")},
						{label: "TypeScript with callbacks", unit: "×", is: over(cpuEach, "callbacks", "typescript")},
					},
				},
				{
					what: "SSE, events of 250 B: allocations per event", goal: limit(4, ""), is: of(allocs, "ours"),
					compare: []comparison{{label: "handwritten", is: of(allocs, "handwritten")}},
				},
				{
					what: "SSE, growth: CPU per event of 2,000,000 over 200,000", goal: ratio(linear),
					is: over(cpuEach, "ours 2000000", "ours"),
				},
			},
		},
		{
			name: "large-events",
			runs: []run{
				{name: "ours 1", order: order{Subject: "ours", Task: "events", N: 200, Warm: 10, Size: 1 << 20}},
				{name: "ours 10", order: order{Subject: "ours", Task: "events", N: 20, Warm: 1, Size: 10 << 20}},
				{name: "typescript 1", order: order{Subject: "typescript", Task: "events", N: 20, Warm: 4, Size: 1 << 20}},
				{name: "typescript 10", order: order{Subject: "typescript", Task: "events", N: 2, Warm: 1, Size: 10 << 20}},
				{name: "handwritten 1", order: order{Subject: "handwritten", Task: "events", N: 1, Size: 1 << 20}},
			},
			rows: []row{{
				what: "SSE: CPU for an event of 10 MB over one of 1 MB", goal: ratio(12), is: over(cpuEach, "ours 10", "ours 1"),
				compare: []comparison{
					{label: "TypeScript", unit: "×", is: over(cpuEach, "typescript 10", "typescript 1")},
					{label: "handwritten", run: "handwritten 1"},
				},
			}},
		},
		{
			name: "slow-consumer",
			few:  true,
			runs: []run{
				{name: "ours", order: order{Task: "events", N: 5000, Size: 4 << 10, Pause: 1}, lossy: true},
				{name: "typescript", order: order{Task: "events", N: 5000, Size: 4 << 10, Pause: 1}, lossy: true},
			},
			rows: []row{{
				what: "SSE, a consumer slower than the stream: events lost", goal: limit(0, "%"), is: of(lost, "ours"),
				compare: []comparison{{label: "TypeScript", unit: "%", is: of(lost, "typescript")}},
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
				what: "CreateSession: allocations", goal: limit(90, ""), is: of(allocs, "ours"),
				compare: []comparison{{label: "handwritten", is: of(allocs, "handwritten")}},
			}},
		},
		{
			name: "bursts",
			runs: []run{
				{name: "ours", order: order{Task: "bursts", N: 50, Warm: 3, Parallel: 64}},
				{name: "handwritten", order: order{Task: "bursts", N: 50, Warm: 3, Parallel: 64}},
			},
			rows: []row{{
				what: "50 bursts of 64 calls over TLS: new connections after warm-up", goal: limit(0, ""), is: of(connections, "ours"),
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
				what: "1,000 concurrent first calls: discoveries", goal: limit(1, ""), is: of(discoveries, "ours"),
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
				what: "cold start to the first decoded answer over handwritten", goal: ratio(1.3), is: over(wallEach, "ours", "handwritten"),
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
				what: "cold compile of the package and its dependencies: CPU-seconds", goal: limit(12, "s"),
				is: func(r round) float64 { return r["handwritten"].CPU + r["ours"].CPU },
				compare: []comparison{
					{label: "net/http and encoding/json, which handwritten needs too", unit: "s", is: of(cpuEach, "handwritten")},
					{label: "the rest", unit: "s", is: of(cpuEach, "ours")},
				},
			}},
		},
	}
}
