package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

// liveFlags are those of the experiment with sessions that are watched for long.
type liveFlags struct {
	sessions int
	lasts    time.Duration
	every    time.Duration
	down     time.Duration
	version  string
}

// watchLong watches so many streams of events and so many WebSockets at once, restarts the Hub at half time, and
// prints what it took and whether anything was lost.
func watchLong(ctx context.Context, args []string) error {
	var o liveFlags
	flags := flag.NewFlagSet("bench live", flag.ContinueOnError)
	flags.IntVar(&o.sessions, "sessions", 10_000, "how many StreamEvents, and as many HubConns")
	flags.DurationVar(&o.lasts, "for", 10*time.Minute, "how long they are watched")
	flags.DurationVar(&o.every, "every", time.Second, "the time between two events of a session")
	flags.DurationVar(&o.down, "down", time.Second, "how long the Hub is away at half time")
	flags.StringVar(&o.version, "go", "local", "the Go version, as GOTOOLCHAIN has it")
	if err := flags.Parse(args); err != nil {
		return err
	}
	r := &runner{}
	var err error
	if r.dir, err = os.MkdirTemp("", "bench-"); err != nil {
		return err
	}
	r.closers = append(r.closers, func() { _ = os.RemoveAll(r.dir) })
	defer r.close()
	began := loadNow()
	if _, err := r.newToolchains(ctx, []string{o.version}); err != nil {
		return err
	}
	parts := []*part{
		{kind: "StreamEvents", order: liveOrder{Streams: o.sessions}},
		{kind: "HubConn", order: liveOrder{Sockets: o.sessions}},
	}
	table, err := r.live(ctx, o, parts)
	if err != nil {
		return err
	}
	r.close()
	fmt.Printf("%s; %d streams and %d WebSockets for %v, an event every %v each, the Hub away for %v at half time\n%s\n\n",
		r.machine(ctx), o.sessions, o.sessions, o.lasts, o.every, o.down, loadNow().since(began))
	return printTable(os.Stdout, table)
}

// part is one process that watches, and the Hub that it watches, in another: a process may open only so many files.
type part struct {
	kind  string
	order liveOrder
	hub   *hub
	in    io.WriteCloser
	out   *json.Decoder

	opened, half, back, quiet snapshot // see live
	before, after             liveCount
	backAfter                 time.Duration
	cells                     []string // of liveRows
}

// snapshot is the status of the client and of the Hub at a time.
type snapshot struct {
	at  time.Time
	me  liveStatus
	hub liveCount
}

// addressesFor is how many loopback addresses a Hub listens on: with 20,000 connections each, there are ports left.
func addressesFor(sessions int) int { return 1 + sessions/20_000 }

const (
	settle = 3 * time.Second // after all have opened, before anything is counted
	drain  = 2 * time.Second // for what is on its way
)

func (r *runner) live(ctx context.Context, o liveFlags, parts []*part) ([]line, error) {
	if err := roomFor(o.sessions); err != nil {
		return nil, err
	}
	every := int(o.every / time.Millisecond)
	for _, p := range parts {
		if err := r.open(ctx, p, o.sessions, every); err != nil {
			return nil, err
		}
	}
	// Both are open before the time begins.
	if err := each(parts, func(p *part) error {
		return p.until(ctx, "all are open", func(s liveStatus) bool { return s.Open == o.sessions })
	}); err != nil {
		return nil, err
	}
	if err := each(parts, func(p *part) error { return p.hub.ask("begin", new(liveCount)) }); err != nil {
		return nil, err
	}
	sleep(ctx, settle)
	if err := each(parts, func(p *part) (err error) { p.opened, err = p.snapshot(); return err }); err != nil {
		return nil, err
	}
	sleep(ctx, o.lasts/2)
	if err := each(parts, func(p *part) (err error) { p.half, err = p.snapshot(); return err }); err != nil {
		return nil, err
	}
	for _, p := range parts {
		fmt.Fprintln(os.Stderr, "the Hub of", p.kind, "restarts")
		if err := p.stop(); err != nil {
			return nil, err
		}
	}
	sleep(ctx, o.down)
	up := time.Now()
	for _, p := range parts {
		if err := r.restart(ctx, p, every); err != nil {
			return nil, err
		}
	}
	back := func(p *part) (err error) {
		if err := p.until(ctx, "all are back", func(s liveStatus) bool { return s.Back == o.sessions }); err != nil {
			return err
		}
		p.backAfter = time.Since(up)
		p.back, err = p.snapshot()
		return err
	}
	if err := each(parts, back); err != nil {
		return nil, err
	}
	sleep(ctx, o.lasts/2-time.Since(up))
	if err := each(parts, func(p *part) (err error) { p.quiet, err = p.snapshot(); return err }); err != nil {
		return nil, err
	}
	if err := each(parts, func(p *part) error { return p.finish(ctx) }); err != nil {
		return nil, err
	}
	table := []line{{"what", parts[0].kind, parts[1].kind}}
	for i, what := range liveRows {
		table = append(table, line{what, parts[0].cells[i], parts[1].cells[i]})
	}
	return table, nil
}

// each does something with every part, at the same time.
func each(parts []*part, do func(*part) error) error {
	errs := make([]error, len(parts))
	var group sync.WaitGroup
	for i, p := range parts {
		group.Go(func() { errs[i] = do(p) })
	}
	group.Wait()
	return errors.Join(errs...)
}

// open starts a Hub and the process that watches it.
func (r *runner) open(ctx context.Context, p *part, sessions, every int) error {
	p.order.Addresses = addressesFor(sessions)
	hub, err := r.startHub(ctx, hubOrder{Addresses: p.order.Addresses, Every: every})
	if err != nil {
		return err
	}
	p.hub = hub
	r.closers = append(r.closers, func() { p.hub.end() })
	p.order.URL = hub.URL
	text, err := json.Marshal(p.order)
	if err != nil {
		return err
	}
	client := r.command(ctx, r.newest().program, "watch", string(text))
	if p.in, p.out, err = start(client); err != nil {
		return err
	}
	r.closers = append(r.closers, func() { _ = p.in.Close(); _ = client.Wait() })
	return nil
}

// stop ends the Hub, as a restart does: what it has sent arrives, then every connection ends.
func (p *part) stop() error {
	if err := p.hub.ask("quiet", &p.before); err != nil {
		return err
	}
	if err := p.hub.ask("leave", &p.before); err != nil {
		return err
	}
	p.hub.end()
	return nil
}

// restart starts the Hub at the same port.
func (r *runner) restart(ctx context.Context, p *part, every int) error {
	_, port, _ := strings.Cut(strings.TrimPrefix(p.hub.URL, "http://"), ":")
	hub, err := r.startHub(ctx, hubOrder{Addresses: p.order.Addresses, Every: every, Port: number([]byte(port), "")})
	if err != nil {
		return err
	}
	p.hub = hub
	return hub.ask("begin", new(liveCount))
}

// ask says a line to a Hub, and hears its answer.
func (h *hub) ask(line string, answer any) error {
	if _, err := fmt.Fprintln(h.in, line); err != nil {
		return err
	}
	return h.out.Decode(answer)
}

func (p *part) status(line string) (s liveStatus, err error) {
	if _, err := fmt.Fprintln(p.in, line); err != nil {
		return s, err
	}
	if err := p.out.Decode(&s); err != nil {
		return s, err
	}
	if len(s.Failed) > 0 {
		err = fmt.Errorf("sessions have ended: %s", strings.Join(s.Failed, "; "))
	}
	return s, err
}

func (p *part) snapshot() (s snapshot, err error) {
	s.at = time.Now()
	if s.me, err = p.status("status"); err == nil {
		err = p.hub.ask("count", &s.hub)
	}
	return s, err
}

// until waits for something that the status says.
func (p *part) until(ctx context.Context, what string, done func(liveStatus) bool) error {
	began, told := time.Now(), time.Now()
	for ; ; sleep(ctx, 100*time.Millisecond) {
		s, err := p.status("status")
		if time.Since(told) > 5*time.Second {
			told = time.Now()
			fmt.Fprintf(os.Stderr, "%s: after %v %d are open, %d are back\n", p.kind, time.Since(began).Round(time.Second), s.Open, s.Back)
		}
		switch {
		case err != nil:
			return err
		case done(s):
			fmt.Fprintf(os.Stderr, "%s: %s\n", p.kind, what)
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case time.Since(began) > 5*time.Minute:
			return fmt.Errorf("%s: after %v not %s: %d open, %d back", p.kind, 5*time.Minute, what, s.Open, s.Back)
		}
	}
}

// liveRows are the rows of the table; finish has a cell for each.
var liveRows = []string{
	"events sent, received", "lost, of how many sessions", "out of order or twice, within a connection",
	"all were back after", "new connections, the most in a second of the restart",
	"CPU before the restart", "while they came back", "after it", "CPU of the Hub before the restart",
	"memory of the process before the restart, after it", "the most it ever was",
	"heap and stacks before the restart, for each", "goroutines for each",
}

// finish lets what is on its way arrive, and counts.
func (p *part) finish(ctx context.Context) error {
	if err := p.hub.ask("quiet", &p.after); err != nil {
		return err
	}
	sleep(ctx, drain)
	end, err := p.status("each")
	if err != nil {
		return err
	}
	n := len(end.Each)
	sent, lost, losers := count(end.Each, p.before.Sent, p.after.Sent)
	share := func(from, to snapshot, of func(snapshot) float64) string {
		return fmt.Sprintf("%.0f %% of a core", 100*(of(to)-of(from))/to.at.Sub(from.at).Seconds())
	}
	mine := func(s snapshot) float64 { return s.me.CPU }
	p.cells = []string{
		fmt.Sprintf("%d, %d", sent, end.Received),
		fmt.Sprintf("%d, %d of %d", lost, losers, n),
		fmt.Sprint(end.Gaps),
		fmt.Sprintf("%.1f s", p.backAfter.Seconds()),
		fmt.Sprint(p.after.Opening),
		share(p.opened, p.half, mine),
		share(p.half, p.back, mine),
		share(p.back, p.quiet, mine),
		share(p.opened, p.half, func(s snapshot) float64 { return s.hub.CPU }),
		fmt.Sprintf("%.0f MB, %.0f MB", p.half.me.MemoryMB, p.quiet.me.MemoryMB),
		fmt.Sprintf("%.0f MB", end.PeakMB),
		fmt.Sprintf("%.1f kB, %.1f kB", 1e3*p.half.me.HeapMB/float64(n), 1e3*p.half.me.StacksMB/float64(n)),
		fmt.Sprintf("%.1f", float64(p.half.me.Goroutines)/float64(n)),
	}
	return nil
}

// count compares what each session has received with what a Hub has sent it in its lives. An event too much
// counts as one that is lost.
func count(received map[string]int, lives ...map[string]int) (sent, lost, losers int) {
	for id, got := range received {
		mine := 0
		for _, life := range lives {
			mine += life[id]
		}
		sent += mine
		if mine != got {
			lost += max(mine-got, got-mine)
			losers++
		}
	}
	return sent, lost, losers
}

// roomFor makes sure that a process may have so many connections. The limit is inherited.
func roomFor(sessions int) error {
	wanted := uint64(sessions + 200) // and what a process has open anyway
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	if limit.Max >= wanted { // Go raises the limit to that
		return nil
	}
	limit.Cur, limit.Max = wanted, wanted
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return errors.Join(fmt.Errorf("a process needs %d open files", wanted), err)
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
