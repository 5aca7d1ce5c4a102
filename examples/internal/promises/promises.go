// Package promises has what this library believes about a Hub: one sentence each, what needs it, what happens if it does
// not hold, and a check that finds out. Its tests run them against the Hub of package codertest, examples/doctor against
// any.
//
// The beliefs come from the documentation of the Hub, from its original client and from the agent's own programs. Some
// could only be settled with an account of the hosted service.
package promises

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"github.com/agentuity/coder-go"
)

// Promise is something that the library believes about a Hub.
type Promise struct {
	// Name is short, and stays the same.
	Name string `json:"name"`
	// Belief is what is believed.
	Belief string `json:"belief"`
	// Needs is what needs it.
	Needs string `json:"needs"`
	// Otherwise is what happens if it does not hold.
	Otherwise string `json:"otherwise"`
	// Writes says that it can only be seen by making or changing something.
	Writes bool `json:"writes,omitzero"`

	check func(*run, context.Context) verdict
}

// Status is what was found out.
type Status string

// What can be found out about a promise.
const (
	Held      Status = "held"
	Broken    Status = "broken"
	Unsettled Status = "unsettled" // it could not be seen
	NotAsked  Status = "not asked" // it writes, and nothing may be written
)

// Result is what was found out about a promise.
type Result struct {
	Promise
	// Status is what was found out, and Seen why: what was seen, or why nothing could be.
	Status Status `json:"status"`
	Seen   string `json:"seen,omitzero"`
}

// Report is what was found out about all of them.
type Report struct {
	// Results has one for each promise, in the order of All.
	Results []Result
	// EventDelay is how long after a change the stream told of it, 0 if that was not seen.
	EventDelay time.Duration
	// Left is what was made and could not be taken away again.
	Left []string
}

// Count returns how many promises have a status.
func (r *Report) Count(status Status) int {
	n := 0
	for i := range r.Results {
		if r.Results[i].Status == status {
			n++
		}
	}
	return n
}

// Options say what may be done.
type Options struct {
	// Write allows it to make a session with a small task, to change, prompt, archive and delete it. Without it nothing
	// at the Hub is changed; a session that is there is followed for some seconds as an observer.
	Write bool
	// Wire is the transport of the client, if it is one. Without it the promises about what the client does not show
	// cannot be settled.
	Wire *Wire
	// Progress is called with each result, unless it is nil.
	Progress func(Result)
}

// All returns the promises, in the order in which they are looked at.
func All() []Promise {
	var all []Promise
	for _, group := range [][]Promise{creating(), lists(), codes(), histories(), replays(), streams(), sockets(), updating(), ending(), wires()} {
		all = append(all, group...)
	}
	return all
}

// The longest waits.
const (
	oneLimit = time.Minute       // for a promise
	soon     = 60 * time.Second  // in which EnsureSession looks for what it has created
	ready    = 120 * time.Second // in which a new session gets its runtime
	working  = 3 * time.Minute   // for what an agent has to do
	cleaning = 30 * time.Second  // for taking away what was made, also when the context has ended
)

// Check looks at every promise. What it makes it deletes again, also when it fails or the context ends; what it could not
// is in Report.Left.
func Check(ctx context.Context, client *coder.Client, options Options) *Report {
	r := &run{client: client, options: options, nonce: strings.ToLower(rand.Text())}
	report := &Report{}
	defer func() { report.EventDelay, report.Left = r.delay, r.cleanUp(ctx) }()
	for _, p := range All() {
		result := Result{Promise: p}
		switch {
		case p.Writes && !options.Write:
			result.Status = NotAsked
		case ctx.Err() != nil:
			result.Status, result.Seen = Unsettled, "interrupted"
		default:
			v := p.check(r, ctx)
			result.Status, result.Seen = v.status, v.seen
			if v.status == Broken && ctx.Err() != nil { // what was not waited for did not have to come
				result.Status, result.Seen = Unsettled, "interrupted"
			}
		}
		report.Results = append(report.Results, result)
		if options.Progress != nil {
			options.Progress(result)
		}
	}
	return report
}

// verdict is what a check found out.
type verdict struct {
	status Status
	seen   string
}

func held(format string, args ...any) verdict   { return verdict{Held, fmt.Sprintf(format, args...)} }
func broken(format string, args ...any) verdict { return verdict{Broken, fmt.Sprintf(format, args...)} }

func unsettled(format string, args ...any) verdict {
	return verdict{Unsettled, fmt.Sprintf(format, args...)}
}

// failed is the verdict where a request that a check needs got no answer.
func failed(err error) verdict { return unsettled("%v", err) }

// check is held if it is true, and broken otherwise.
func check(holds bool, format string, args ...any) verdict {
	if holds {
		return held(format, args...)
	}
	return broken(format, args...)
}

// run is one look at all promises.
type run struct {
	client  *coder.Client
	options Options
	nonce   string

	made    *made // with Write, once there is one
	doubt   bool  // a session may have been made
	looked  bool  // for sessions that are there
	told    string
	toldAll []coder.SessionEvent // the newest events of that session, newest first
	live    string
	sockets *socketLook
	delay   time.Duration // between a change and the event that tells of it
}

// bounded bounds one promise.
func bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, oneLimit)
}

// eventually asks again and again until it is true, for at most limit. An error ends it, and counts as the answer.
func eventually(ctx context.Context, limit time.Duration, ask func() (bool, error)) (time.Duration, bool, error) {
	began := time.Now()
	for wait := 250 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		yes, err := ask()
		took := time.Since(began)
		if yes || err != nil || took >= limit {
			return took, yes, err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return took, false, ctx.Err()
		}
	}
}

func round(d time.Duration) time.Duration { return d.Round(time.Millisecond) }
