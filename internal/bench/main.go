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
	if len(args) > 0 && args[0] == "serve" {
		return serve(os.Stdin, os.Stdout)
	}
	if len(args) == 2 && args[0] == "client" {
		var o order
		if err := json.Unmarshal([]byte(args[1]), &o); err != nil {
			return err
		}
		m, err := carryOut(ctx, o)
		if err != nil {
			return fmt.Errorf("%s of %s: %w", o.Task, o.Subject, err)
		}
		return json.NewEncoder(os.Stdout).Encode(m)
	}
	return compare(ctx, args)
}

func compare(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	rounds := flags.Int("rounds", 5, "how often everything is measured; the figures are medians")
	only := flags.String("select", ".", "measure only what matches the `regexp`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	wanted, err := regexp.Compile(*only)
	if err != nil {
		return err
	}
	r, err := newRunner(ctx, *rounds)
	if err != nil {
		return err
	}
	defer r.close()
	var lines []line
	for _, e := range experiments() {
		if !e.wanted(wanted) {
			continue
		}
		found, err := r.experiment(ctx, e)
		if err != nil {
			return err
		}
		lines = append(lines, found...)
	}
	return printTable(os.Stdout, r.machine(ctx), lines)
}
