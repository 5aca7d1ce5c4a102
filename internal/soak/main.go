// Command soak uses every method of the library over networks that fail and with a Hub that fails, for as long as one
// likes, and compares what came back with what the Hub knows. It ends with an error if anything was done twice, lost,
// answered wrongly, judged wrongly, late, or left behind.
//
//	go run ./internal/soak -duration 20m -seed 7
//	go run ./internal/soak -rounds 3 -break duplicate   # what it finds when something is wrong
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"
)

// config is what a soak is like.
type config struct {
	duration time.Duration
	rounds   int // of each worker; 0: as many as there is time for
	seed     uint64
	workers  int // on each way
	share    float64
	ways     []string
	only     []string // scenarios; none: all
	breaks   string
	calm     bool // the Hub does not fail
	heap     string
}

// fair says that nothing fails but what is broken on purpose: whatever is called must work then.
func (c config) fair() bool { return c.calm && c.share == 0 }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	var c config
	flags := flag.NewFlagSet("soak", flag.ContinueOnError)
	flags.DurationVar(&c.duration, "duration", 30*time.Second, "how long calls are begun")
	flags.IntVar(&c.rounds, "rounds", 0, "how many rounds each worker has; 0: as many as there is time for")
	flags.Uint64Var(&c.seed, "seed", 1, "what is done, and which exchanges are harmed, depends on it")
	flags.IntVar(&c.workers, "workers", 8, "workers on each way")
	flags.Float64Var(&c.share, "share", 0.04, "share of the exchanges that are harmed")
	flags.StringVar(&c.breaks, "break", "", "break the truth on purpose: "+strings.Join(breakages, ", "))
	flags.BoolVar(&c.calm, "calm", false, "let the Hub never fail")
	flags.StringVar(&c.heap, "heap", "", "write a profile of what is left of the heap to this file")
	selected := flags.String("ways", strings.Join(wayNames(), ","), "ways to the Hub")
	only := flags.String("only", "", "scenarios; none: all")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *only != "" {
		c.only = strings.Split(*only, ",")
	}
	c.ways = strings.Split(*selected, ",")
	if c.breaks != "" && !slices.Contains(breakages, c.breaks) {
		return fmt.Errorf("there is no -break %s", c.breaks)
	}
	for _, name := range c.ways {
		if !slices.Contains(wayNames(), name) {
			return fmt.Errorf("there is no way %q: %s", name, strings.Join(wayNames(), ", "))
		}
	}
	b, err := soak(ctx, c)
	if err != nil {
		return err
	}
	b.print(out, c)
	if wrong := b.wrong(); wrong > 0 {
		return fmt.Errorf("%d things are wrong", wrong)
	}
	return nil
}
