// Lateness measures over sockets of the loopback interface what the tests of the root show in fake time: how long after
// the end of its context a call returns, for every method that takes one and every way in which the other side lets it
// wait. It prints a table in Markdown, and fails if a call was later than -limit.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/signal"
	"slices"
	"sync"
	"time"

	"github.com/agentuity/coder-go/internal/hang"
)

// pace is that of answers which drip.
const pace = 10 * time.Millisecond

func main() {
	var p program
	flag.IntVar(&p.atOnce, "at-once", 4, "how many calls wait at the same time")
	flag.DurationVar(&p.limit, "limit", 100*time.Millisecond, "how late a call may be")
	flag.Parse()
	// What clients that discover ask, and nothing that would tell them the answer.
	for _, name := range []string{"AGENTUITY_CODER_URL", "AGENTUITY_TRANSPORT_URL"} {
		_ = os.Unsetenv(name)
	}
	_ = os.Setenv("AGENTUITY_CATALYST_URL", hang.Address)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := p.run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "lateness:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop has been called
	}
}

type program struct {
	atOnce int
	limit  time.Duration

	mu      sync.Mutex
	results map[string][]result
	failed  []error
}

// result is how a call has ended.
type result struct {
	call    string
	late    time.Duration
	earlier bool // than its context: with an answer, or since it needed nothing of what did not come
}

// job is a call to be made.
type job struct {
	call    hang.Call
	way     hang.Way
	cancels bool // rather than a deadline
}

func (p *program) run(ctx context.Context, out io.Writer) error {
	calls, err := hang.Calls()
	if err != nil {
		return err
	}
	ways, connWays := hang.Ways(pace), hang.ConnWays(pace)
	var jobs []job
	for _, way := range slices.Concat(ways, connWays) {
		onConn := slices.ContainsFunc(connWays, func(w hang.Way) bool { return w.Name == way.Name })
		for _, call := range calls {
			if call.OnConn == onConn && (onConn || call.Connects || !way.Sockets) {
				jobs = append(jobs, job{call, way, false}, job{call, way, true})
			}
		}
	}
	p.results = make(map[string][]result)
	p.control(ctx, len(calls)*2)
	p.all(ctx, jobs)
	if err := cmp.Or(ctx.Err(), errors.Join(p.failed...)); err != nil {
		return err
	}
	return p.print(out, slices.Concat([]hang.Way{{Name: controlName}}, ways, connWays))
}

// all does the jobs, some at once, in random order.
func (p *program) all(ctx context.Context, jobs []job) {
	rand.Shuffle(len(jobs), func(i, j int) { jobs[i], jobs[j] = jobs[j], jobs[i] })
	waiting := make(chan job)
	var group sync.WaitGroup
	for range p.atOnce {
		group.Go(func() {
			for j := range waiting {
				r, err := j.measure(ctx)
				p.mu.Lock()
				if err != nil {
					p.failed = append(p.failed, fmt.Errorf("%s, %s: %w", j.call.Name, j.way.Name, err))
				}
				p.results[j.way.Name] = append(p.results[j.way.Name], r)
				p.mu.Unlock()
			}
		})
	}
	for _, j := range jobs {
		if ctx.Err() == nil {
			waiting <- j
		}
	}
	close(waiting)
	group.Wait()
}

// controlName is what everything else is compared with.
const controlName = "nothing: a goroutine that waits for its context"

// control measures how late a goroutine hears of the end of its context.
func (p *program) control(ctx context.Context, times int) {
	for i := range times {
		if ctx.Err() != nil {
			return
		}
		waiting, end, leave := ending(ctx, i%2 == 0)
		<-waiting.Done()
		late := time.Since(end())
		leave()
		p.results[controlName] = append(p.results[controlName], result{call: "select", late: late})
	}
}

// ending is a context that ends after 50 to 200 ms, and when that was.
func ending(parent context.Context, cancels bool) (ctx context.Context, end func() time.Time, leave func()) {
	after := 50*time.Millisecond + rand.N(150*time.Millisecond)
	if !cancels {
		ctx, leave = context.WithTimeout(parent, after)
		return ctx, func() time.Time { end, _ := ctx.Deadline(); return end }, leave
	}
	ctx, cancel := context.WithCancel(parent)
	at := make(chan time.Time, 1)
	timer := time.AfterFunc(after, func() {
		at <- time.Now()
		cancel()
	})
	return ctx, func() time.Time { return <-at }, func() { timer.Stop(); cancel() }
}

// measure makes a call.
func (j *job) measure(ctx context.Context) (result, error) {
	r := result{call: j.call.Name}
	var listening net.ListenConfig
	listener, err := listening.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return r, err
	}
	dialer := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, listener.Addr().String())
	}
	s, err := hang.NewStage(ctx, hang.Network{Listener: listener, Dial: dialer}, j.way, j.call.OnConn)
	if err != nil {
		return r, err
	}
	defer s.Close()
	if err := s.Fail(ctx); err != nil {
		return r, err
	}
	if j.call.OnConn && !j.way.Keeps {
		time.Sleep(time.Second) // until the connection is made again
	}
	limited, end, leave := ending(ctx, j.cancels)
	defer leave()
	err = j.call.Do(limited, s)
	returned := time.Now()
	switch ended := limited.Err(); {
	case ended == nil, j.way.Answers && err != nil && !errors.Is(err, ended): // it ended with an answer
		r.earlier = true
	case err != nil && !errors.Is(err, ended): // Submit succeeds when the context ends after it has sent
		return r, fmt.Errorf("its error does not match that of its context: %w", err)
	default:
		r.late = returned.Sub(end())
	}
	return r, nil
}

// print writes the table.
func (p *program) print(out io.Writer, ways []hang.Way) error {
	table := "| what happens | calls | ended earlier | median | largest | of |\n| --- | ---: | ---: | ---: | ---: | --- |\n"
	var tooLate []error
	for _, way := range ways {
		results := p.results[way.Name]
		late := slices.DeleteFunc(slices.Clone(results), func(r result) bool { return r.earlier })
		slices.SortFunc(late, func(a, b result) int { return cmp.Compare(a.late, b.late) })
		if len(late) == 0 {
			table += fmt.Sprintf("| %s | %d | %d | | | |\n", way.Name, len(results), len(results))
			continue
		}
		worst := late[len(late)-1]
		table += fmt.Sprintf("| %s | %d | %d | %s | %s | %s |\n", way.Name, len(results), len(results)-len(late),
			milliseconds(late[len(late)/2].late), milliseconds(worst.late), worst.call)
		if worst.late > p.limit {
			tooLate = append(tooLate, fmt.Errorf("%s, %s: %v late", worst.call, way.Name, worst.late))
		}
	}
	if _, err := io.WriteString(out, table); err != nil {
		return err
	}
	return errors.Join(tooLate...)
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond))
}
