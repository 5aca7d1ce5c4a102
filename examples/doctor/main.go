// Doctor finds out why it does not work: it goes the way of a request, from the environment to the live channels, and
// prints a line a step, with a sentence of advice on each that is not fine.
//
//	go run ./examples/doctor            # changes nothing at the Hub
//	go run ./examples/doctor -write     # also makes, changes, archives and deletes a session with a small task
//	go run ./examples/doctor -json      # for a bug report
//	go run ./examples/doctor -record F  # also writes to the file F what went over the wire, without keys and texts
//
// It examines the Hub that the environment names, with the key that is there. Without either it examines a Hub of its
// own in memory, so that it runs without an account. At the end it compares what the Hub does with what this library
// believes about it; -v prints each of these promises, and -write settles those that can only be seen by writing.
//
// Nothing it prints has the key, a value of the environment, or what was said in a session. It ends with status 0 if all
// is fine, 1 if something is not, 2 if it was called wrongly, and 130 after Ctrl-C; a second one ends it at once.
//
// How it works: checks.go has the steps and their order, values.go what can be wrong with a variable, network.go what is
// between here and the Hub, with proxy.go and port.go, hub.go the Hub's routes, live.go its live channels, beliefs.go the
// promises, drift.go what is new. probe.go is a transport that notes what a client does not show, advice.go knows what to do
// about an error, hide.go what must not be printed, and table.go prints. It belongs to this module: it uses internal packages,
// which no other program can.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	log.SetOutput(io.Discard) // package net/http prints there what a port says unasked; the table has it
	ctx, end := interruptible(context.Background(), os.Stderr)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr, nil)
	end()
	os.Exit(status)
}

// interruptible returns a context that ends with the first Ctrl-C, which begins to clean up: that may take half a minute, so
// it says so. The second ends the program as if it had never asked for signals.
func interruptible(parent context.Context, errs io.Writer) (ctx context.Context, end func()) {
	ctx, stop := signal.NotifyContext(parent, os.Interrupt, syscall.SIGTERM)
	silent := context.AfterFunc(ctx, func() {
		stop()
		fmt.Fprintln(errs, "doctor: interrupted, cleaning up; once more ends it at once")
	})
	return ctx, func() {
		silent()
		stop()
	}
}

// The statuses that it ends with.
const (
	allFine     = 0
	notFine     = 1
	badUsage    = 2
	interrupted = 130
)

// run examines a Hub through what is between here and there; nil: whatever the environment says.
func run(ctx context.Context, args []string, out, errs io.Writer, between *surroundings) int {
	var (
		asJSON, all, write bool
		record             string
	)
	flags := flag.NewFlagSet("doctor", flag.ContinueOnError)
	flags.SetOutput(errs)
	flags.BoolVar(&write, "write", false, "also make, change, prompt, archive and delete a session; an agent works on it, which costs a little")
	flags.BoolVar(&asJSON, "json", false, "print JSON, for a bug report")
	flags.BoolVar(&all, "v", false, "print every promise, also those that were held")
	flags.StringVar(&record, "record", "", "write what goes over the wire to a new `file`, without keys and without the texts of sessions")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return allFine
	case err != nil:
		return badUsage
	case flags.NArg() > 0:
		fmt.Fprintf(errs, "doctor: %d arguments too many; what to examine is in the environment\n", flags.NArg())
		return badUsage
	}
	d := newDoctor(write, between)
	defer d.stop()
	if record != "" {
		if err := d.record(record); err != nil {
			if errors.Is(err, fs.ErrExist) {
				err = fmt.Errorf("%w; name another one, a recording replaces nothing", err)
			}
			fmt.Fprintln(errs, "doctor:", err)
			return badUsage
		}
	}
	table := &table{out: out, all: all}
	if !asJSON {
		d.found = table.print
	}
	d.examine(ctx)
	failed := d.recorded()
	if failed != nil {
		fmt.Fprintln(errs, "doctor: the recording is not whole:", failed)
	}
	if asJSON {
		if err := writeJSON(out, d); err != nil {
			fmt.Fprintln(errs, "doctor:", err)
			return notFine
		}
	} else {
		table.end(d.lines)
	}
	if ctx.Err() != nil {
		return interrupted
	}
	if d.wrong() > 0 || failed != nil {
		return notFine
	}
	return allFine
}
