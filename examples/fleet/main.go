// Fleet gives many tasks to agents, some at a time, shows what they are at, and says what came of it.
//
//	go run ./examples/fleet tasks.txt                             # four at a time
//	go run ./examples/fleet -at-once 8 -results done.jsonl tasks.txt
//	go run ./examples/fleet -max-cost 2 -chart durations.svg -    # tasks from standard input
//
// It talks to the Hub that AGENTUITY_SDK_KEY or AGENTUITY_CODER_URL names. Without either, and without a file, it starts a Hub
// of its own in memory, with tasks to try it on.
//
// A line of the file is the text of a task or, if it begins with a brace, a JSON object: "task", "key", and what else creates a
// session, such as "label", "workspaceId" and "tags". Blank lines count for nothing:
//
//	Fix the flaky test in parser_test.go
//	{"key": "pr-7", "task": "Review pull request 7", "label": "PR 7", "workspaceId": "ws_1"}
//
// The key of a task is that of its session too: who runs the program again, with the same file and the same -name, goes on with
// the sessions that are there, and has none twice. Without a key it follows from the text of the task. With -results each result
// is written to a file when the task ends, and what has ended is not asked for again; -retry-failed does again what has not
// ended well.
//
// The first Ctrl-C archives what is at work, and prints the summary; the second ends the program at once. It ends with status 0
// if all tasks have ended well, 1 if not, 2 if it was called wrongly, and 130 after Ctrl-C.
//
// How it works: fleet.go has the one call that does a task, RunSession, and what is made of its result. tasks.go reads the file,
// results.go the other one. live.go hears what an agent does, progress.go shows it, spent.go has what it has used, and
// summary.go and chart.go tell the end of it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

func main() {
	p := &program{in: os.Stdin, out: os.Stdout, errs: os.Stderr, size: terminalSize(os.Stderr), interrupts: func(ctx context.Context) (context.Context, context.CancelFunc) {
		return signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	}}
	os.Exit(p.run(context.Background(), os.Args[1:]))
}

// The statuses that it ends with.
const (
	allWell     = 0
	notWell     = 1
	badUsage    = 2
	interrupted = 130
)

// program is what fleet has to do with the world.
type program struct {
	in        io.Reader
	out, errs io.Writer                   // the summary; everything else
	size      func() (columns, lines int) // of the terminal that errs is; nil: it is none
	client    *coder.Client               // nil: of the Hub that the environment names, or of an embedded one
	hub       []codertest.Option          // of the embedded Hub, for tests
	// interrupts ends a context with the first Ctrl-C, until the function that it returns is called. Nil: nobody interrupts.
	interrupts func(context.Context) (context.Context, context.CancelFunc)
}

// settings are what the flags say.
type settings struct {
	file, name, results, chart string
	atOnce                     int
	retryFailed                bool
	options                    coder.RunSessionOptions
}

func (p *program) run(ctx context.Context, args []string) int {
	s, err := p.parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return allWell
	case err != nil:
		return p.refuse(err)
	}
	tasks, err := p.tasks(s)
	if err != nil {
		return p.refuse(err)
	}
	f := &fleet{file: s.file, tasks: tasks, atOnce: s.atOnce, options: s.options, retryFailed: s.retryFailed, progress: &progress{out: p.errs, size: p.size}}
	if s.results != "" {
		if f.results, err = openResults(s.results); err != nil {
			return p.refuse(err)
		}
	}
	plan, err := f.plan()
	if err == nil && s.chart != "" {
		err = writable(s.chart)
	}
	if err != nil {
		return p.refuse(errors.Join(err, f.results.close()))
	}
	client, stop, err := p.connect()
	if err != nil {
		return p.refuse(errors.Join(err, f.results.close()))
	}
	defer stop()
	f.client = client
	return p.work(ctx, f, plan, s)
}

// work does the tasks, and says what came of them.
func (p *program) work(ctx context.Context, f *fleet, results []*result, s *settings) int {
	release := func() {}
	if p.interrupts != nil {
		ctx, release = p.interrupts(ctx)
		defer release()
	}
	began := time.Now()
	f.progress.start(results)
	said := make(chan struct{})
	silent := context.AfterFunc(ctx, func() {
		release() // the next one ends the program as if it had never asked for signals
		f.progress.note("interrupted, archiving what is at work; once more ends it at once")
		close(said)
	})
	err := f.run(ctx, results)
	if !silent() {
		<-said
	}
	f.progress.stop()
	summarize(p.out, results, time.Since(began))
	if s.chart != "" {
		err = errors.Join(err, writeChart(s.chart, results))
	}
	if err = errors.Join(err, f.results.close()); err != nil {
		p.complain(err)
	}
	switch {
	case ctx.Err() != nil:
		return interrupted
	case err != nil || !allDone(results):
		return notWell
	}
	return allWell
}

func allDone(results []*result) bool {
	for _, r := range results {
		if !r.Succeeded {
			return false
		}
	}
	return true
}

func (p *program) complain(err error) {
	for line := range strings.Lines(err.Error()) { // errors that were joined
		fmt.Fprintln(p.errs, "fleet:", oneLine(line))
	}
}

func (p *program) refuse(err error) int {
	p.complain(err)
	return badUsage
}

// parse reads the flags.
func (p *program) parse(args []string) (*settings, error) {
	s := &settings{}
	flags := flag.NewFlagSet("fleet", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // the caller says what is wrong
	limits := &s.options.Limits
	flags.IntVar(&s.atOnce, "at-once", 4, "`how many` tasks to do at a time")
	flags.StringVar(&s.results, "results", "", "the `file` that results are added to, as lines of JSON; what has ended in it is not done again")
	flags.BoolVar(&s.retryFailed, "retry-failed", false, "do again what has not ended well, in new sessions; the old ones are archived")
	flags.StringVar(&s.chart, "chart", "", "the SVG `file` to draw the durations in")
	flags.StringVar(&s.name, "name", "fleet", "the beginning of all keys: with another `name` everything is done anew")
	flags.Float64Var(&limits.CostUSD, "max-cost", 0, "stop an agent that has cost more `US dollars` than this")
	flags.IntVar(&limits.Tokens, "max-tokens", 0, "stop an agent that has used more `tokens` than this")
	flags.IntVar(&limits.Turns, "max-turns", 0, "stop an agent that has called its model more `often` than this")
	flags.IntVar(&limits.ToolCalls, "max-tool-calls", 0, "stop an agent that has called tools more `often` than this")
	flags.IntVar(&limits.SameCall, "max-same-call", 0, "stop an agent that has made the same call of a tool more `often` than this")
	flags.DurationVar(&s.options.StallTimeout, "stall", 10*time.Minute, "give up a session in which nothing has changed for so `long`, and archive it")
	s.options.ArchiveOnCancel, s.options.ArchiveOnStall, s.options.Count = true, true, true
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		flags.SetOutput(p.out)
		fmt.Fprint(p.out, usage)
		flags.PrintDefaults()
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("%w; -help tells the flags", err)
	case flags.NArg() > 1:
		return nil, errors.New("more than one file of tasks: which?")
	case s.atOnce < 1:
		return nil, errors.New("-at-once: must be at least 1")
	case s.options.StallTimeout <= 0:
		return nil, errors.New("-stall: must be above 0")
	case !isKey(s.name):
		return nil, errors.New("-name: must be a text of 1 to 100 visible characters, without blanks")
	case s.retryFailed && s.results == "":
		return nil, errors.New("-retry-failed: needs -results, where it is written what has failed")
	}
	for name, negative := range map[string]bool{
		"cost": !(limits.CostUSD >= 0), "tokens": limits.Tokens < 0, "turns": limits.Turns < 0, "tool-calls": limits.ToolCalls < 0, "same-call": limits.SameCall < 0,
	} {
		if negative {
			return nil, fmt.Errorf("-max-%s: must not be negative", name)
		}
	}
	s.file = flags.Arg(0)
	return s, nil
}

const usage = `usage: fleet [flags] [file]

Gives the tasks of a file to agents; - is standard input. A line is the text of a task, or a JSON object:

  Fix the flaky test in parser_test.go
  {"key": "pr-7", "task": "Review pull request 7", "label": "PR 7", "workspaceId": "ws_1"}

Only "task" is required. "key" names the session of the task, so that it is found again; without, it follows from the text of
the task. The other members are those of CreateSessionRequest, such as label, workspaceId, tags, repo and defaultAgent.

It ends with status 0 if all tasks have ended well, 1 if not, 2 if it was called wrongly, and 130 after Ctrl-C.

`

// tasks reads the file of tasks.
func (p *program) tasks(s *settings) ([]*task, error) {
	switch {
	case p.client == nil && !hasHub() && s.file == "":
		return readTasks(strings.NewReader(sampleTasks), "the sample tasks", s.name)
	case p.client == nil && !hasHub():
		return nil, errors.New("set AGENTUITY_SDK_KEY or AGENTUITY_CODER_URL to do tasks of yours, or leave the file out for a demonstration")
	case s.file == "":
		return nil, errors.New("which tasks? name a file, or - for standard input")
	case s.file == "-":
		s.file = "standard input"
		return readTasks(p.in, s.file, s.name)
	}
	file, err := os.Open(s.file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // it was only read
	return readTasks(file, s.file, s.name)
}

// writable reports why a file cannot be written, before it matters.
func writable(name string) error {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	return file.Close()
}

// hasHub reports whether the environment names a Hub, or a key of one.
func hasHub() bool {
	return os.Getenv("AGENTUITY_SDK_KEY") != "" || os.Getenv("AGENTUITY_CODER_URL") != ""
}

// connect returns a client of the Hub that the environment names, or of one that it starts.
func (p *program) connect() (client *coder.Client, stop func(), err error) {
	switch {
	case p.client != nil:
		return p.client, func() {}, nil
	case hasHub():
		if client, err = coder.NewClient(); err != nil {
			return nil, nil, err
		}
		return client, client.CloseIdleConnections, nil
	}
	fmt.Fprintln(p.errs, "fleet: no AGENTUITY_SDK_KEY and no AGENTUITY_CODER_URL: doing sample tasks on an embedded Hub")
	return embedded(p.hub...)
}
