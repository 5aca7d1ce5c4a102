package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// runner starts the other processes.
type runner struct {
	self   string // this program
	dir    string // for what is built on the way
	rounds int
	server addresses
	stop   func()
	part   replayPart
}

func newRunner(ctx context.Context, rounds int) (*runner, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return nil, err
	}
	r := &runner{self: self, dir: dir, rounds: max(1, rounds), part: newReplayPart()}
	r.stop = func() { _ = os.RemoveAll(dir) }
	if err := r.start(ctx); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *runner) close() { r.stop() }

// start starts the server, and builds the programs for cold starts.
func (r *runner) start(ctx context.Context) error {
	server := r.command(ctx, r.self, "serve")
	in, err := server.StdinPipe()
	if err != nil {
		return err
	}
	out, err := server.StdoutPipe()
	if err != nil {
		return err
	}
	if err := server.Start(); err != nil {
		return err
	}
	remove := r.stop
	r.stop = func() {
		_ = in.Close()
		_ = server.Wait()
		remove()
	}
	if err := json.NewDecoder(bufio.NewReader(out)).Decode(&r.server); err != nil {
		return fmt.Errorf("starting the server: %w", err)
	}
	_, err = r.output(r.command(ctx, "go", "build", "-o", r.dir+string(filepath.Separator), "./cold/ours", "./cold/handwritten"))
	return err
}

// command is a process with one processor, as far as Go is concerned, and nothing in its
// environment that a client would read.
func (r *runner) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "AGENTUITY_") || strings.HasPrefix(v, "GOMAXPROCS=") ||
			strings.HasPrefix(v, "GOGC=") || strings.HasPrefix(v, "GOMEMLIMIT=")
	})
	if name != "go" {
		cmd.Env = append(cmd.Env, "GOMAXPROCS=1")
	}
	cmd.Stderr = os.Stderr
	return cmd
}

func (r *runner) output(cmd *exec.Cmd) ([]byte, error) {
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", strings.Join(cmd.Args, " "), err)
	}
	return out, nil
}

// experiment runs all rounds of an experiment, every other one backwards: what is run first may
// find the machine in another state.
func (r *runner) experiment(ctx context.Context, e experiment) ([]line, error) {
	times := r.rounds
	switch {
	case e.few:
		times = min(2, times)
	case e.many:
		times *= 4
	}
	rounds := make([]round, times)
	for i := range rounds {
		rounds[i] = make(round)
		runs := slices.Clone(e.runs)
		// What is compiled last finds the first in the cache.
		if i%2 == 1 && runs[0].order.Task != "compile" {
			slices.Reverse(runs)
		}
		for _, run := range runs {
			fmt.Fprintf(os.Stderr, "%s %d/%d: %s\n", e.name, i+1, times, run.name)
			m, err := r.run(ctx, run)
			if err != nil {
				return nil, err
			}
			rounds[i][run.name] = m
		}
	}
	lines := make([]line, len(e.rows))
	for i, row := range e.rows {
		lines[i] = newLine(row, rounds)
	}
	return lines, nil
}

// run runs one process, and checks that it has read what there was to read.
func (r *runner) run(ctx context.Context, run run) (m measured, err error) {
	o := run.order
	o.Subject = cmp.Or(o.Subject, run.name)
	o.addresses = r.server
	switch o.Task {
	case "cold":
		return r.coldStart(ctx, o)
	case "compile":
		return r.compile(ctx, o)
	}
	text, err := json.Marshal(o)
	if err != nil {
		return m, err
	}
	cmd := r.command(ctx, r.self, "client", string(text))
	if o.Subject == "typescript" {
		cmd = r.command(ctx, "node", "original.mjs", string(text))
	}
	out, err := r.output(cmd)
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(out, &m); err != nil {
		return m, fmt.Errorf("%s: %w", out, err)
	}
	things, chars := r.want(o)
	if m.Failure == "" && !run.lossy && (m.Seen != things || chars > 0 && m.Chars != chars) {
		return m, fmt.Errorf("%s of %s read %d things with %d characters instead of %d with %d",
			o.Task, o.Subject, m.Seen, m.Chars, things, chars)
	}
	return m, nil
}

// want is what an order finds if nothing is lost. 0 characters: they are not counted.
func (r *runner) want(o order) (things, chars int) {
	switch o.Task {
	case "bursts":
		return o.N * o.Parallel, 0
	case "list", "list-unknown":
		return o.N * o.Size, 0
	case "entries", "replay":
		return o.N * (o.Size*r.part.entries + 1), o.N * o.Size * r.part.chars
	default:
		return o.N, 0
	}
}

// coldStart starts a program so many times, and takes the median of the time until it has printed
// what it read from its first answer.
func (r *runner) coldStart(ctx context.Context, o order) (m measured, err error) {
	command := []string{filepath.Join(r.dir, o.Subject)}
	if o.Subject == "typescript" {
		command = []string{"node", "cold/original.mjs"}
	}
	command = append(command, r.server.URL, sessionID)
	times := make([]float64, o.N)
	for i := range times {
		began := time.Now()
		cmd := r.command(ctx, command[0], command[1:]...)
		out, err := cmd.StdoutPipe()
		if err != nil {
			return m, err
		}
		if err := cmd.Start(); err != nil {
			return m, err
		}
		said, readErr := bufio.NewReader(out).ReadString('\n')
		times[i] = time.Since(began).Seconds()
		_, _ = io.Copy(io.Discard, out)
		if err := errors.Join(readErr, cmd.Wait()); err != nil {
			return m, err
		}
		if said != sessionID+" "+branch+"\n" {
			return m, fmt.Errorf("%s said %q", command[0], said)
		}
	}
	return measured{N: 1, Wall: median(times)}, nil
}

// compile compiles into an empty cache: first what a handwritten client needs, then the package and
// the rest of its dependencies.
func (r *runner) compile(ctx context.Context, o order) (m measured, err error) {
	cache := filepath.Join(r.dir, "cache")
	what := []string{"github.com/agentuity/coder-go"}
	if o.Subject == "handwritten" {
		if err := os.RemoveAll(cache); err != nil {
			return m, err
		}
		what = []string{"net/http", "encoding/json"}
	}
	cmd := r.command(ctx, "go", append([]string{"build"}, what...)...)
	cmd.Env = append(cmd.Env, "GOCACHE="+cache)
	if _, err := r.output(cmd); err != nil {
		return m, err
	}
	// That of the compilers that it started is included.
	return measured{N: 1, CPU: (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()}, nil
}
