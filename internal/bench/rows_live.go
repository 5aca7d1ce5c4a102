package main

// liveExperiments are about sessions that are watched: streams of events and WebSockets.
func liveExperiments() []experiment {
	return []experiment{
		{
			name: "events",
			runs: []run{
				{name: "ours", order: order{Task: "events", N: 200_000, Warm: 20_000, Size: 250}},
				{name: "handwritten", order: order{Task: "events", N: 100_000, Warm: 10_000, Size: 250}},
				{name: "typescript", order: order{Task: "events", N: 50_000, Warm: 20_000, Size: 250}},
				{name: "callbacks", order: order{Subject: "typescript", Task: "callbacks", N: 50_000, Warm: 20_000, Size: 250}},
			},
			rows: []row{
				{
					what: "SSE, events of 250 B: CPU per event over TypeScript's iterator", goal: faster(0.15), is: over(cpuEach, "ours", "typescript"),
					compare: []comparison{
						{label: "handwritten", unit: "×", is: over(cpuEach, "handwritten", "typescript")},
						{label: "over handwritten", unit: "×", is: over(cpuEach, "ours", "handwritten")},
						{label: "TypeScript with callbacks", unit: "×", is: over(cpuEach, "callbacks", "typescript")},
					},
				},
				{
					what: "SSE, events of 250 B: allocations per event", goal: within(4, ""), is: of(allocs, "ours"),
					compare: []comparison{{label: "handwritten", is: of(allocs, "handwritten")}},
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
				what: "SSE: CPU for an event of 10 MB over one of 1 MB", goal: faster(11), is: over(cpuEach, "ours 10", "ours 1"),
				compare: []comparison{
					{label: "bytes allocated for each byte of 1 MB", is: times(1e3/(1<<20), of(kilobytes, "ours 1"))},
					{label: "of 10 MB", is: times(1e3/(10<<20), of(kilobytes, "ours 10"))},
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
				what: "SSE, a consumer slower than the stream: events lost", goal: within(0, "%"), is: of(lost, "ours"),
				compare: []comparison{{label: "TypeScript", unit: "%", is: of(lost, "typescript")}},
			}},
		},
		idleExperiment("idle-streams", "StreamEvents", "handwritten", 0.85),
		idleExperiment("idle-connections", "HubConn", "bare coder/websocket", 1.3),
		{
			name: "frame",
			runs: []run{
				{name: "ours", order: order{Task: "frames", N: 4, Size: 32 * megabyte}},
				{name: "bare", order: order{Subject: "handwritten", Task: "frames", N: 4, Size: 32 * megabyte}},
				{name: "ours 1", order: order{Subject: "ours", Task: "frames", N: 1, Size: 32 * megabyte}},
				{name: "bare 1", order: order{Subject: "handwritten", Task: "frames", N: 1, Size: 32 * megabyte}},
			},
			rows: []row{{
				what: "four WebSocket messages of 32 MB, one after the other: peak memory over the size of one", goal: smaller(2.2),
				is: times(1.0/32, of(grew, "ours")),
				compare: []comparison{
					{label: "of one alone", unit: "×", is: times(1.0/32, of(grew, "ours 1"))},
					{label: "bare coder/websocket and encoding/json", unit: "×", is: times(1.0/32, of(grew, "bare"))},
					{label: "of one alone", unit: "×", is: times(1.0/32, of(grew, "bare 1"))},
				},
			}},
		},
		{
			name: "follow",
			few:  true,
			runs: []run{{name: "ours", order: order{Task: "follow", N: 5}}},
			rows: []row{{
				what: "the end of a session until WaitForSession with Follow returns, the longest of 5", goal: seconds(1), is: of(late, "ours"),
			}},
		},
	}
}

// idleExperiment opens sessions and lets them be silent.
func idleExperiment(task, what, base string, most float64) experiment {
	return experiment{
		name: task,
		few:  true,
		runs: []run{
			{name: "ours", order: order{Task: task, N: 1000}},
			{name: "base", order: order{Subject: "handwritten", Task: task, N: 1000}},
			{name: "ours 10000", order: order{Subject: "ours", Task: task, N: 10_000}},
			{name: "base 10000", order: order{Subject: "handwritten", Task: task, N: 10_000}},
		},
		rows: []row{
			{
				what: "1,000 of " + what + ", open and silent: heap and stacks over " + base, goal: smaller(most), is: over(heldAll, "ours", "base"),
				compare: []comparison{
					{label: "heap", unit: "kB", is: of(heldHeap, "ours")},
					{label: "of it alive", unit: "kB", is: of(heldLive, "ours")},
					{label: "stacks", unit: "kB", is: of(heldStacks, "ours")},
					{label: "goroutines", is: of(goroutines, "ours")},
					{label: base + ": heap", unit: "kB", is: of(heldHeap, "base")},
					{label: "of it alive", unit: "kB", is: of(heldLive, "base")},
					{label: "stacks", unit: "kB", is: of(heldStacks, "base")},
					{label: "goroutines", is: of(goroutines, "base")},
				},
			},
			{
				what: "10,000 of " + what + ": the same", goal: smaller(most), is: over(heldAll, "ours 10000", "base 10000"),
				compare: []comparison{
					{label: "heap and stacks", unit: "kB", is: of(heldAll, "ours 10000")},
					{label: base, unit: "kB", is: of(heldAll, "base 10000")},
				},
			},
		},
	}
}
