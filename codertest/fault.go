package codertest

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/agentuity/coder-go/codertest/internal/world"
)

// CutPoint says where a response is cut.
type CutPoint int

const (
	// CutNone leaves the response whole. It is the zero value.
	CutNone CutPoint = iota
	// CutBeforeEffect cuts after the request has been read and before it has an
	// effect.
	CutBeforeEffect
	// CutAfterEffect cuts after the Hub has carried out the request and before
	// the first byte of the response.
	CutAfterEffect
	// CutMidBody cuts after the header and half of the body.
	CutMidBody
)

// Fault is a failure of requests of one kind.
//
// A Fault acts on a matching request in this order: Delay; CutBeforeEffect;
// the effect of the request, unless Status or Body answer in the Hub's place;
// CutAfterEffect; the answer, with CutMidBody in the middle of it.
//
// On the live channels, /hub/session/{id}/events and /ws, a Fault acts when a
// client connects. CutAfterEffect is when the client has joined the session and
// has been sent nothing: a socket is open then, a stream of events has not even a
// header. CutMidBody is in the middle of the first message. The methods of
// [SessionControl] make connections fail later.
//
// A GET may be in [Hub.Requests] twice: net/http repeats it by itself if it went
// over a reused connection that ends before the first byte of a response.
type Fault struct {
	// Method is the HTTP method of the requests that the Fault acts on. Empty:
	// any.
	Method string
	// Route says which paths the Fault acts on: a pattern of the Hub's routes
	// below /api, such as /hub/session/{id}/archive, or /coder for discovery.
	// An escaped id in place of {id} selects one session. Empty: any path.
	Route string

	// Skip lets this many matching requests pass first.
	Skip int
	// Count is how many requests the Fault acts on after that. 0 means one;
	// less than 0 means all until [Injection.Remove].
	Count int

	// Status answers with this status instead of the Hub. 0: the Hub answers,
	// or, if Body is set, the status is 200.
	Status int
	// Header replaces fields of the answer, whoever gives it. An empty slice
	// removes the field.
	Header http.Header
	// Body answers with this body instead of the Hub, as application/json
	// unless Header says otherwise. If it is nil and Status is 400 or more,
	// the body is an error as the Hub writes them, without a code.
	Body []byte
	// Effect lets the Hub carry out the request before Status and Body answer
	// in its place, as behind a proxy that loses the real response. A client
	// that connects joins no session.
	Effect bool

	// Delay is the time to wait before anything else. If the client disconnects
	// or the Hub is closed meanwhile, the request has no effect and no answer.
	Delay time.Duration
	// Cut is where the connection is aborted.
	Cut CutPoint
	// Stall makes the answer hang at Cut instead, until the client disconnects,
	// the Hub is closed or, on a live channel, CutStreams cuts it. With CutNone
	// it hangs before the effect.
	Stall bool
}

// Injection is a [Fault] or a [Refusal] in force.
type Injection struct{ force inForce }

// inForce is what an Injection is of.
type inForce interface {
	Hits() int
	Remove()
}

// Hits returns how many requests the Fault has acted on so far, or how many
// clients the Refusal has refused.
func (in *Injection) Hits() int { return in.force.Hits() }

// Remove ends the Fault or the Refusal for later requests and clients. If it has
// ended already, it does nothing.
func (in *Injection) Remove() { in.force.Remove() }

// injection is a Fault in force.
type injection struct {
	list  *faultList
	fault Fault
	route []string
	seen  int
	hits  int
}

// Inject makes the Hub fail as the Fault says. If several Faults match a
// request, only the one injected first acts; the others neither count nor skip
// the request. Credentials are checked after that, with the effect. Inject
// panics on a Fault that can never do what it says.
func (h *Hub) Inject(fault Fault) *Injection {
	fault.check()
	if fault.Stall && fault.Cut == CutNone {
		fault.Cut = CutBeforeEffect
	}
	fault.Count = cmp.Or(fault.Count, 1)
	fault.Header = merge(fault.Header)
	in := &injection{list: &h.faults, fault: fault}
	if fault.Route != "" {
		in.route = split(fault.Route)
	}
	h.faults.mu.Lock()
	defer h.faults.mu.Unlock()
	h.faults.injections = append(h.faults.injections, in)
	return &Injection{in}
}

func (in *injection) Hits() int {
	in.list.mu.Lock()
	defer in.list.mu.Unlock()
	return in.hits
}

func (in *injection) Remove() {
	in.list.mu.Lock()
	defer in.list.mu.Unlock()
	in.list.injections = slices.DeleteFunc(in.list.injections, func(other *injection) bool { return other == in })
}

func (f Fault) check() {
	switch {
	case f.Route != "" && !strings.HasPrefix(f.Route, "/"):
		panic(fmt.Sprintf("codertest: the Route %q of a Fault must start with a slash", f.Route))
	case strings.HasPrefix(f.Route, "/api/"):
		panic(fmt.Sprintf("codertest: the Route %q of a Fault is a path below /api", f.Route))
	case f.Status != 0 && (f.Status < 200 || f.Status > 999):
		panic(fmt.Sprintf("codertest: the Status %d of a Fault is no status of an answer", f.Status))
	case f.Skip < 0 || f.Delay < 0:
		panic("codertest: Skip and Delay of a Fault must not be negative")
	case f.Cut < CutNone || f.Cut > CutMidBody:
		panic(fmt.Sprintf("codertest: unknown CutPoint %d", f.Cut))
	}
}

type faultList struct {
	mu         sync.Mutex
	injections []*injection
}

// take returns the Fault that meets this request.
func (l *faultList) take(method string, t target) (Fault, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, in := range l.injections {
		if !in.matches(method, t) {
			continue
		}
		in.seen++
		if in.seen <= in.fault.Skip || in.spent() {
			continue
		}
		in.hits++
		return in.fault, true
	}
	return Fault{}, false
}

func (in *injection) spent() bool { return in.fault.Count > 0 && in.hits >= in.fault.Count }

func (in *injection) matches(method string, t target) bool {
	if in.fault.Method != "" && in.fault.Method != method {
		return false
	}
	if in.route == nil {
		return true
	}
	if len(in.route) != len(t.segments) || isDiscovery(in.route) == t.api {
		return false
	}
	for i, want := range in.route {
		if isPlaceholder(want) {
			if t.literal(i) {
				return false
			}
		} else if want != t.segments[i] {
			return false
		}
	}
	return true
}

// fail serves a request as the Fault says.
func (x *exchange) fail(f Fault) {
	x.delay(f.Delay)
	x.pass(CutBeforeEffect, f)
	if x.target.channel() != nil && f.Status == 0 && f.Body == nil {
		x.open(f)
		return
	}
	a := x.faultyAnswer(f)
	x.pass(CutAfterEffect, f)
	if f.Cut != CutMidBody {
		x.send(a)
		return
	}
	x.sendHeader(a)
	_, _ = x.w.Write(a.body[:(len(a.body)+1)/2])
	_ = http.NewResponseController(x.w).Flush()
	x.pass(CutMidBody, f)
}

func (x *exchange) faultyAnswer(f Fault) answer {
	if f.Status == 0 && f.Body == nil {
		a := x.handle()
		a.header = merge(a.header, f.Header)
		return a
	}
	if f.Effect && x.target.channel() == nil {
		x.handle()
	}
	a := answer{status: cmp.Or(f.Status, http.StatusOK), header: f.Header, body: f.Body}
	if f.Body == nil && a.status >= 400 {
		a = problemAnswer(&world.Problem{Status: a.status, Message: "Injected fault", Header: f.Header})
	}
	return a
}

func merge(headers ...http.Header) http.Header {
	all := make(http.Header)
	for _, header := range headers {
		for name, values := range header {
			all[http.CanonicalHeaderKey(name)] = values
		}
	}
	return all
}

// pass ends the exchange if the Fault ends at this point.
func (x *exchange) pass(point CutPoint, f Fault) {
	if f.Cut != point {
		return
	}
	if f.Stall {
		if x.out != nil {
			x.out.Stall() // or messages would pile up
		}
		x.wait(nil)
	}
	panic(http.ErrAbortHandler)
}

func (x *exchange) delay(d time.Duration) {
	if d == 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	if !x.wait(timer.C) {
		panic(http.ErrAbortHandler)
	}
}

// wait waits, and reports whether it did so to the end: false if the request, the
// connection or the Hub ended first.
func (x *exchange) wait(until <-chan time.Time) bool {
	var cut <-chan struct{}
	if x.out != nil {
		cut = x.out.Gone()
	}
	select {
	case <-until:
		return true
	case <-x.r.Context().Done():
		return false
	case <-cut:
		return false
	case <-x.life.Done():
		return false
	case <-x.hub.done:
		return false
	}
}
