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
	dir        string // for what is built on the way
	rounds     int
	toolchains []toolchain
	missing    []string // Go versions that could not be had
	server     addresses
	part       replayPart
	closers    []func()
}

func newRunner(ctx context.Context, rounds int, versions []string) (*runner, error) {
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return nil, err
	}
	r := &runner{dir: dir, rounds: max(1, rounds), part: newReplayPart()}
	r.closers = append(r.closers, func() { _ = os.RemoveAll(dir) })
	r.missing, err = r.newToolchains(ctx, versions)
	if err == nil {
		var server *hub
		if server, err = r.startHub(ctx, hubOrder{}); err == nil {
			r.server = server.addresses
			r.closers = append(r.closers, server.end)
		}
	}
	if err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

// close ends what was started, the last first.
func (r *runner) close() {
	for _, end := range slices.Backward(r.closers) {
		end()
	}
	r.closers = nil
}

// hub is a server in a process of its own.
type hub struct {
	addresses
	cmd *exec.Cmd
	in  io.WriteCloser
	out *json.Decoder
}

func (r *runner) startHub(ctx context.Context, order hubOrder) (*hub, error) {
	text, err := json.Marshal(order)
	if err != nil {
		return nil, err
	}
	h := &hub{cmd: r.command(ctx, r.newest().program, "serve", string(text))}
	if h.in, h.out, err = start(h.cmd); err != nil {
		return nil, err
	}
	if err := h.out.Decode(&h.addresses); err != nil {
		h.end()
		return nil, fmt.Errorf("starting the server: %w", err)
	}
	return h, nil
}

func (h *hub) end() {
	_ = h.in.Close()
	_ = h.cmd.Wait()
}

// start starts a process that is talked to: lines in, JSON out.
func start(cmd *exec.Cmd) (io.WriteCloser, *json.Decoder, error) {
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	return in, json.NewDecoder(bufio.NewReader(out)), cmd.Start()
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

// goCommand is the go command of a version.
func (r *runner) goCommand(ctx context.Context, version string, args ...string) *exec.Cmd {
	cmd := r.command(ctx, "go", args...)
	cmd.Env = append(cmd.Env, "GOTOOLCHAIN="+version)
	return cmd
}

func (r *runner) output(cmd *exec.Cmd) ([]byte, error) {
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", strings.Join(cmd.Args[:2], " "), err)
	}
	return out, nil
}

// step is one process of a round, by one of the Go versions. The original client needs none: its step
// counts for all of them.
type step struct {
	run
	toolchain int
	all       bool
}

// steps are those of a round. The original client's stand in the middle.
func (r *runner) steps(runs []run) (steps []step) {
	for i := range r.toolchains {
		for _, run := range runs {
			switch original := run.subject() == "typescript"; {
			case !original:
				steps = append(steps, step{run: run, toolchain: i})
			case i == 0:
				steps = append(steps, step{run: run, all: true})
			}
		}
	}
	return steps
}

// experiment runs all rounds of an experiment, every other one backwards: what is run first may
// find the machine in another state. It returns the rounds of each Go version.
func (r *runner) experiment(ctx context.Context, e experiment) ([][]round, error) {
	times := r.rounds
	if e.few {
		times = min(2, times)
	}
	found := make([][]round, len(r.toolchains))
	for i := range times {
		for t := range found {
			found[t] = append(found[t], make(round))
		}
		steps := r.steps(e.runs)
		// What is compiled last finds the first in the cache.
		if i%2 == 1 && e.runs[0].order.Task != "compile" {
			slices.Reverse(steps)
		}
		for _, step := range steps {
			t := r.toolchains[step.toolchain]
			fmt.Fprintf(os.Stderr, "%s %d/%d: %s, %s\n", e.name, i+1, times, step.name, t.version)
			m, err := r.run(ctx, t, step.run)
			if err != nil {
				return nil, err
			}
			for other := range found {
				if step.all || other == step.toolchain {
					found[other][i][step.name] = m
				}
			}
		}
	}
	return found, nil
}

// subject is who carries the order out: the name of the run, unless the order says otherwise.
func (r run) subject() string { return cmp.Or(r.order.Subject, r.name) }

// run runs one process, and checks that it has read what there was to read.
func (r *runner) run(ctx context.Context, t toolchain, run run) (m measured, err error) {
	o := run.order
	o.Subject = run.subject()
	o.addresses = r.server
	switch o.Task {
	case "cold":
		return r.coldStart(ctx, t, o)
	case "compile":
		return r.compile(ctx, t, o)
	}
	text, err := json.Marshal(o)
	if err != nil {
		return m, err
	}
	cmd := r.command(ctx, t.program, "client", string(text))
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

// countsInstructions tries whether a client can count instructions. Otherwise it returns why not.
func (r *runner) countsInstructions(ctx context.Context) (why string, err error) {
	m, err := r.run(ctx, r.newest(), run{name: "ours", order: order{Task: "get", N: 1}})
	return m.NoCount, err
}

// want is what an order finds if nothing is lost. 0 characters: they are not counted.
func (r *runner) want(o order) (things, chars int) {
	n := o.N * max(1, o.Repeat)
	switch o.Task {
	case "bursts":
		return n * o.Parallel, 0
	case "list", "list-unknown":
		return n * o.Size, 0
	case "entries", "replay":
		return n * (o.Size*r.part.entries + 1), n * o.Size * r.part.chars
	default:
		return n, 0
	}
}

// coldStart starts a program so many times, and takes the median of the time until it has printed
// what it read from its first answer.
func (r *runner) coldStart(ctx context.Context, t toolchain, o order) (m measured, err error) {
	command := []string{filepath.Join(t.dir, o.Subject)}
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
func (r *runner) compile(ctx context.Context, t toolchain, o order) (m measured, err error) {
	cache := filepath.Join(t.dir, "cache")
	what := []string{"github.com/agentuity/coder-go"}
	if o.Subject == "handwritten" {
		if err := os.RemoveAll(cache); err != nil {
			return m, err
		}
		what = []string{"net/http", "encoding/json"}
	}
	cmd := r.goCommand(ctx, t.asked, append([]string{"build"}, what...)...)
	cmd.Env = append(cmd.Env, "GOCACHE="+cache)
	if _, err := r.output(cmd); err != nil {
		return m, err
	}
	// That of the compilers that it started is included.
	return measured{N: 1, CPU: (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()}, nil
}
