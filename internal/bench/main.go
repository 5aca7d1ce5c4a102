// Bench compares this library with what people would write by hand and with the client it is a port
// of, and holds the result against the goals of rows.go. `make bench-compare` runs it; the last
// result is in docs/performance.md.
//
// Three kinds of processes take part, all of this program save for the original client, which Node
// runs: a server with canned answers, the clients, each started for one measurement of one subject,
// and the one that starts the others. Client and server have one processor each, and the server does
// next to nothing, so that what is measured is the client. Figures are ratios of two clients in the
// same round wherever that is possible: the machine may be shared, and slow for a while.
//
// The module file of its own keeps all of this out of the library's.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"strings"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := play(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// play takes the role that the first argument names.
func play(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return compare(ctx, args)
	}
	switch args[0] {
	case "serve":
		var o hubOrder
		if err := json.Unmarshal([]byte(args[1]), &o); err != nil {
			return err
		}
		return serve(o, os.Stdin, os.Stdout)
	case "client":
		var o order
		if err := json.Unmarshal([]byte(args[1]), &o); err != nil {
			return err
		}
		m, err := carryOut(ctx, o)
		if err != nil {
			return fmt.Errorf("%s of %s: %w", o.Task, o.Subject, err)
		}
		return json.NewEncoder(os.Stdout).Encode(m)
	case "watch":
		var o liveOrder
		if err := json.Unmarshal([]byte(args[1]), &o); err != nil {
			return err
		}
		return watch(ctx, o, os.Stdin, os.Stdout)
	case "growth":
		return measureGrowth(ctx, args[1:])
	case "live":
		return watchLong(ctx, args[1:])
	default:
		return compare(ctx, args)
	}
}

// compare measures the table.
func compare(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	rounds := flags.Int("rounds", 5, "how often everything is measured; the figures are medians")
	only := flags.String("select", ".", "measure only what matches the `regexp`")
	versions := flags.String("go", "local", "the Go versions to measure with, as GOTOOLCHAIN has them; goals hold on the last")
	if err := flags.Parse(args); err != nil {
		return err
	}
	wanted, err := regexp.Compile(*only)
	if err != nil {
		return err
	}
	began := loadNow()
	r, err := newRunner(ctx, *rounds, strings.Fields(strings.ReplaceAll(*versions, ",", " ")))
	if err != nil {
		return err
	}
	defer r.close()
	counted, err := r.countsInstructions(ctx)
	if err != nil {
		return err
	}
	table := []line{r.columns(counted == "")}
	for _, e := range experiments() {
		if !e.wanted(wanted) {
			continue
		}
		found, err := r.experiment(ctx, e)
		if err != nil {
			return err
		}
		for _, row := range e.rows {
			table = append(table, newLine(row, found, counted == ""))
		}
	}
	about := fmt.Sprintf("%s; median (smallest to largest) of %d rounds", r.machine(ctx), r.rounds)
	r.close() // so that what the server has taken counts
	fmt.Printf("%s\n%s\n", about, loadNow().since(began))
	if counted != "" {
		fmt.Printf("no column for instructions of user space: they cannot be counted here (%s)\n", counted)
	}
	fmt.Println()
	return printTable(os.Stdout, table)
}
