package main

import (
	"cmp"
	"context"
	"encoding/csv"
	"flag"
	"fmt"
	"os"
	"strconv"
)

// growing is something whose cost for each is measured at 1, 10, 100 and 1,000 times of it.
type growing struct {
	thing string
	cost  string // what each costs
	of    metric
	// order is that at so many times.
	order func(times int) order
	// size is how much of the thing there is at one time.
	size int
}

// growths are what docs/growth.svg shows. The work of a run is the same at every size, as far as that can be.
var growths = []growing{
	{
		thing: "sessions in a list", cost: "CPU of a session", size: 10,
		of: func(m measured) float64 { return m.CPU / float64(m.Seen) },
		order: func(times int) order {
			return order{Task: "list", N: max(4, 4000/times), Warm: max(1, 400/times), Size: 10 * times}
		},
	},
	{
		thing: "events of a stream", cost: "CPU of an event", size: 100,
		of: cpuEach,
		order: func(times int) order {
			return order{Task: "events", N: 100 * times, Warm: 100, Size: 250, Repeat: 1000 / times}
		},
	},
	{
		thing: "calls in flight", cost: "CPU of a call", size: 1,
		of:    cpuEach,
		order: func(times int) order { return order{Task: "get", N: 20_000, Warm: 2000, Parallel: times} },
	},
	{
		thing: "kilobytes of a WebSocket message", cost: "CPU of a byte", size: 10,
		of: func(m measured) float64 { return m.CPU / float64(m.Chars) },
		order: func(times int) order {
			return order{Task: "frames", N: max(10, 10_000/times), Warm: 1, Size: 10_000 * times}
		},
	},
	{
		thing: "open streams", cost: "heap and stacks of a stream", size: 10,
		of:    heldAll,
		order: func(times int) order { return order{Task: "idle-streams", N: 10 * times} },
	},
	{
		thing: "open WebSockets", cost: "heap and stacks of a connection", size: 10,
		of:    heldAll,
		order: func(times int) order { return order{Task: "idle-connections", N: 10 * times} },
	},
}

// measureGrowth measures what docs/growth.svg shows, and writes it as CSV. The program in the folder growth draws it.
func measureGrowth(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("bench growth", flag.ContinueOnError)
	rounds := flags.Int("rounds", 5, "how often everything is measured; the figures are medians")
	most := flags.Int("most", 1000, "up to how many times")
	version := flags.String("go", "local", "the Go version, as GOTOOLCHAIN has it")
	file := flags.String("o", "../../docs/growth.csv", "where to write the `file`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	began := loadNow()
	r, err := newRunner(ctx, *rounds, []string{*version})
	if err != nil {
		return err
	}
	defer r.close()
	out, err := os.Create(*file)
	if err != nil {
		return err
	}
	rows := csv.NewWriter(out)
	_ = rows.Write([]string{"thing", "cost of each", "size", "ours", "handwritten", "go"}) // Error says what failed
	for _, g := range growths {
		e, sizes := g.experiment(*most)
		found, err := r.experiment(ctx, e)
		if err != nil {
			return err
		}
		for _, times := range sizes {
			_ = rows.Write([]string{
				g.thing, g.cost, strconv.Itoa(g.size * times),
				scientific(median(valuesOf(of(g.of, fmt.Sprintf("ours %d", times)), found[0]))),
				scientific(median(valuesOf(of(g.of, fmt.Sprintf("handwritten %d", times)), found[0]))),
				r.newest().version,
			})
		}
		rows.Flush()
	}
	if err := cmp.Or(rows.Error(), out.Close()); err != nil {
		return err
	}
	about := r.machine(ctx)
	r.close()
	fmt.Printf("%s; medians of %d rounds\n%s\n\n", about, r.rounds, loadNow().since(began))
	text, err := os.ReadFile(*file)
	fmt.Printf("%s", text)
	return err
}

func scientific(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }

func (g growing) experiment(most int) (e experiment, sizes []int) {
	e.name = g.thing
	for times := 1; times <= most; times *= 10 {
		sizes = append(sizes, times)
		for _, subject := range []string{"ours", "handwritten"} {
			o := g.order(times)
			o.Subject = subject
			e.runs = append(e.runs, run{name: fmt.Sprintf("%s %d", subject, times), order: o})
		}
	}
	return e, sizes
}
