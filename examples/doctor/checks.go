package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
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

const (
	logInFirst = "A gateway wants somebody to log in, which a program cannot: connect the VPN, or have /api/hub and /api/ws let pass with the key alone."
	letPass    = "have the Hub's host let pass"
)

// somebodyElse says how something answers in the Hub's place, and what to do about it; "" if it is not known to.
func (d *doctor) somebodyElse(err error) (seen, advice string) {
	var (
		odd *coder.ResponseError
		api *coder.APIError
	)
	switch {
	case errors.As(err, &odd):
		if d.isPage(odd.Body) {
			return "it is HTML", "A gateway or a page to log in answers in the Hub's place: check the URL, log in, or " + letPass + "."
		}
	case !errors.As(err, &api):
	case api.StatusCode/100 == 3:
		return d.adviceOnRedirect()
	case api.StatusCode == http.StatusProxyAuthRequired:
		return "it is not from the Hub", d.adviceOnProxyUser("")
	case api.StatusCode == http.StatusNetworkAuthenticationRequired:
		return "it is not from the Hub", "The network wants somebody to log in: open any page in a browser."
	case api.StatusCode == http.StatusUnauthorized && d.isPage(api.Body):
		return "it is HTML", logInFirst
	case api.StatusCode == http.StatusForbidden && d.isPage(api.Body):
		return "it is HTML", "A gateway refuses it in the Hub's place: ask who runs it to " + letPass + "."
	}
	return "", ""
}

// isPage tells whether an answer was meant for a browser.
func (d *doctor) isPage(body []byte) bool {
	begun := strings.ToLower(string(bytes.TrimSpace(body[:min(len(body), 512)])))
	return d.probe.lastKind() == "text/html" || strings.HasPrefix(begun, "<!doctype html") || strings.HasPrefix(begun, "<html")
}

func (d *doctor) adviceOnRedirect() (seen, advice string) {
	to := d.probe.lastMoved()
	variable := cmp.Or(d.asking, urlVariables[0])
	switch {
	case to == nil:
		return "it redirects", "Something redirects the request: check the URL in " + variable + ", and what is between."
	case to.toLogIn() && to.away():
		return "it redirects to a page to log in on another host", logInFirst
	case to.toLogIn():
		return "it redirects to a page to log in", logInFirst
	case to.toHTTPS():
		return "it redirects to https", "Put https in the place of http into " + variable + ": a key must not travel unencrypted."
	case to.away():
		return "it redirects to another host, to which no key is sent", "Put that host into " + variable + " if the Hub has moved, else ask who runs what redirects."
	}
	return "it redirects to another path", "Put the path that it names into " + variable + ": curl -I shows it."
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

func ms(d time.Duration) float64 {
	return float64(d.Round(time.Microsecond*100)) / float64(time.Millisecond)
}
