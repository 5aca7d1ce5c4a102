// Package cli has what the examples share as programs of a command line: the statuses that they end with, and what they say
// when they are called wrongly.
package cli

import (
	"errors"
	"flag"
	"fmt"
	"io"

	"github.com/agentuity/coder-go/examples/internal/transcript"
)

// The statuses that a program ends with.
const (
	OK          = 0
	Failed      = 1
	BadUsage    = 2
	Interrupted = 130 // after Ctrl-C
)

// wrong is an error of whoever has called the program.
type wrong struct{ error }

func (w wrong) Unwrap() error { return w.error }

// Wrong marks an error: the program was called wrongly.
func Wrong(err error) error {
	if err == nil {
		return nil
	}
	return wrong{err}
}

// Parse reads the flags of a program that has no other arguments. Help goes to out; its error is then [flag.ErrHelp].
func Parse(flags *flag.FlagSet, args []string, out io.Writer) error {
	flags.SetOutput(io.Discard) // Status says what is wrong
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		flags.SetOutput(out)
		fmt.Fprintf(out, "usage: %s [flags]\n\n", flags.Name())
		flags.PrintDefaults()
		return err
	case err != nil:
		return Wrong(fmt.Errorf("%w; -h lists the flags", err))
	case flags.NArg() > 0:
		return Wrong(fmt.Errorf("what is %q? All it is told are flags: -h lists them", flags.Arg(0)))
	}
	return nil
}

// Status writes what a program ends with, unless that is nil or help, and returns its status.
func Status(errs io.Writer, name string, err error, interrupted bool) int {
	var called wrong
	switch {
	case errors.Is(err, flag.ErrHelp):
		return OK
	case interrupted:
		fmt.Fprintf(errs, "%s: interrupted\n", name)
		return Interrupted
	case err == nil:
		return OK
	}
	fmt.Fprintf(errs, "%s: %s\n", name, transcript.Clean(err.Error())) // it may quote the Hub
	if errors.As(err, &called) {
		return BadUsage
	}
	return Failed
}
