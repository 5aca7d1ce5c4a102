package main

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
	"github.com/agentuity/coder-go/examples/internal/promises"
	"github.com/agentuity/coder-go/internal/drift"
)

// Status is what was found out by a step.
type Status string

// What can be found out by a step. Only what is wrong counts for the status that the program ends with.
const (
	OK      Status = "ok"
	Note    Status = "note" // worth knowing
	Wrong   Status = "WRONG"
	Skipped Status = "-" // it could not be looked at
)

// Line is a line of the table.
type Line struct {
	Check  string `json:"check"`
	Status Status `json:"status"`
	// Seen is what was seen, Advice what to do about it.
	Seen   string `json:"seen,omitzero"`
	Advice string `json:"advice,omitzero"`
	// Took is the time that it took, in milliseconds, where that says something.
	Took float64 `json:"ms,omitzero"`

	detail bool // printed on demand only
}

// surroundings are what is between here and the Hub. A test has its own.
type surroundings struct {
	transport http.RoundTripper
	proxy     func(*http.Request) (*url.URL, error)
	resolve   func(ctx context.Context, host string) (addresses int, err error)
	dial      func(ctx context.Context, network, address string) (net.Conn, error) // nil: a port cannot be listened to
}

// stepLimit bounds one step, so that the next is reached.
const stepLimit = 20 * time.Second

// doctor examines one Hub.
type doctor struct {
	write   bool
	between *surroundings
	found   func(Line) // is told of each line; nil: nobody wants to know
	lines   []Line
	hide    []hidden // what must not be printed

	embedded  *codertest.Hub // without an account
	probe     *probe
	wire      *promises.Wire
	drift     drift.Recorder
	recorder  *coder.Recorder // nil: nothing is recorded
	recording *os.File
	once      *coder.Client // does not try again: the first failure is what is looked for
	client    *coder.Client // does

	answers bool   // some route works
	session string // one to look at
	live    bool   // it is not over
	results *promises.Report
	via     *proxyUse // the proxy on the way to the Hub; nil: none
	asking  string    // the variable that another URL can be put into
	place   string    // where the URL that is asked comes from
	scheme  string    // of that URL
	failed  failure   // what the route before has come to
	silent  bool      // routes took too long

	interrupted func() bool
}

func newDoctor(write bool, between *surroundings) *doctor {
	if between == nil {
		between = outside()
	}
	return &doctor{write: write, between: between, hide: secrets()}
}

func (d *doctor) stop() {
	if d.client != nil {
		d.client.CloseIdleConnections()
	}
	if d.embedded != nil {
		d.embedded.Close()
	}
}

// examine goes the way of a request. It ends where nothing behind could work either.
func (d *doctor) examine(ctx context.Context) {
	d.interrupted = func() bool { return ctx.Err() != nil }
	steps := []func(context.Context) bool{
		d.environment, d.discovery, d.hubNetwork, d.credentials, d.routes, d.events, d.socket, d.beliefs, d.drifted,
	}
	for i, step := range steps {
		on := step(ctx)
		if d.interrupted() && (!on || i+1 < len(steps)) {
			d.add(Line{Check: "doctor", Status: Wrong, Seen: "interrupted", Advice: "Run it again: what follows was not looked at."})
			return
		}
		if !on {
			return
		}
	}
}

func (d *doctor) add(line Line) {
	line.Seen, line.Advice = clean(line.Seen), clean(line.Advice)
	d.lines = append(d.lines, line)
	if d.found != nil {
		d.found(line)
	}
}

// fail adds a line about an error, unless it is that somebody has interrupted the doctor.
func (d *doctor) fail(check string, took time.Duration, err error) {
	if d.interrupted() {
		return
	}
	line := Line{Check: check, Status: Wrong, Seen: d.text(err), Advice: d.advice(err), Took: ms(took)}
	if seen, advice := d.somebodyElse(err); seen != "" {
		line.Seen += ": " + seen
		line.Advice = advice
	}
	d.add(line)
}

func (d *doctor) wrong() int {
	n := 0
	for i := range d.lines {
		if d.lines[i].Status == Wrong {
			n++
		}
	}
	return n
}

// timed measures a call, and bounds it.
func timed(ctx context.Context, call func(context.Context) error) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	began := time.Now()
	err := call(ctx)
	return time.Since(began), err
}

// ms is at least a tenth of one: what took no time was not done.
func ms(d time.Duration) float64 {
	return float64(max(d.Round(time.Microsecond*100), time.Microsecond*100)) / float64(time.Millisecond)
}
