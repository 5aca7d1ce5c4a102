// Package drift finds where what a Hub sends differs from what package coder knows of it: members without a field,
// values that are not among the constants, members of the wrong kind, messages without a type. The library passes over
// all of that, so that a newer Hub costs a program nothing. Whoever maintains the library, or wonders about a Hub, wants
// to know.
//
// It is a second walk over the JSON, beside the types of the library. It knows more than they say in a few tables, each
// with the reason: what the library reads on demand or leaves unread (extras.go), and where null is a value
// (shapes.go). Free JSON, such as metadata and the arguments of tools, is not walked. A member that is missing is not
// missed: for most of them the library has a zero value, and what it needs it asks for.
//
// Nothing of the library imports this package, and nothing of it runs in a call.
package drift

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/agentuity/coder-go/internal/quote"
	"github.com/agentuity/coder-go/internal/wire"
)

// Kind is the way in which something differs.
type Kind string

// The kinds.
const (
	UnknownMember  Kind = "unknown member"
	UnknownValue   Kind = "unknown value"   // of an enumeration
	WrongKind      Kind = "wrong kind"      // of JSON, or a text that is not the time it should be
	UnknownMessage Kind = "unknown message" // or event, or action
)

// Channels are what a Report has in the place of a route.
const (
	WebSocket   = "websocket"
	EventStream = "event stream"
)

// Report is one way in which something differs from what the library knows. It has no contents of free text.
type Report struct {
	// Where is the method and the template of the route, as a coder.Observer is told it, such as
	// "GET /hub/session/{sessionID}", with ", 404" after it for an answer other than 2xx; or the channel.
	Where string
	// Path names the member, as "sessions.sandbox[].loop.status". An element of a list is [], one of a map *. It is
	// empty for the whole.
	Path string
	Kind Kind
	// Value is the value of an enumeration or the name of a message, in quotes, and "number, not text" for a wrong
	// kind. It is empty for an unknown member.
	Value string
}

// Answer looks at an answer. The path is that of the request, escaped, or the template of the route. It reports nothing
// of routes that the library does not ask.
func Answer(method, path string, status int, body []byte) []Report {
	r := routeOf(method, path)
	if r == nil {
		return nil
	}
	w := walker{where: r.name}
	switch {
	case status/100 != 2: // what is no JSON is a gateway's
		if w.where += ", " + strconv.Itoa(status); wire.Valid(body) {
			w.text(failure, body)
		}
	case len(strings.TrimSpace(string(body))) > 0 || !r.mayBeEmpty:
		w.text(r.shape, body)
	}
	return w.reports
}

// Frame looks at a frame that the Hub has sent over a WebSocket.
func Frame(raw []byte) []Report {
	w := walker{where: WebSocket}
	w.text(known().frame, raw)
	return w.reports
}

// Event looks at an event of an event stream: its name, "message" if it has none, and its data.
func Event(name string, data []byte) []Report {
	w := walker{where: EventStream}
	w.text(known().observed(name), data)
	return w.reports
}

// Finding is a Report and how often it was made.
type Finding struct {
	Report
	Count int
}

// mostFindings bounds what a Recorder keeps: names and values come from outside.
const mostFindings = 1000

// Recorder collects reports. The zero Recorder is ready to use, by several goroutines.
type Recorder struct {
	mu     sync.Mutex
	counts map[Report]int
}

// Add counts reports. Of more than 1000 different ones the rest is dropped.
func (r *Recorder) Add(reports ...Report) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.counts == nil {
		r.counts = make(map[Report]int)
	}
	for _, report := range reports {
		if r.counts[report] > 0 || len(r.counts) < mostFindings {
			r.counts[report]++
		}
	}
}

// Findings returns what was found so far, in the order of Where and Path.
func (r *Recorder) Findings() []Finding {
	r.mu.Lock()
	defer r.mu.Unlock()
	found := make([]Finding, 0, len(r.counts))
	for report, count := range r.counts {
		found = append(found, Finding{report, count})
	}
	slices.SortFunc(found, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Where, b.Where), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Kind, b.Kind),
			cmp.Compare(a.Value, b.Value))
	})
	return found
}

// Transport is a RoundTripper that looks at all that comes through inner, which is http.DefaultTransport if it is nil:
// answers, event streams and WebSockets. What is read of them is what was sent.
func (r *Recorder) Transport(inner http.RoundTripper) http.RoundTripper {
	if inner == nil {
		inner = http.DefaultTransport
	}
	return &tap{recorder: r, inner: inner}
}

// walker collects the reports of one walk.
type walker struct {
	where   string
	reports []Report
}

// text walks over a whole text.
func (w *walker) text(c check, text []byte) {
	if !wire.Valid(text) {
		w.report("", WrongKind, "no JSON")
		return
	}
	c(w, "", jsontext.Value(strings.TrimSpace(string(text))))
}

func (w *walker) report(at string, kind Kind, value string) {
	w.reports = append(w.reports, Report{Where: w.where, Path: at, Kind: kind, Value: value})
}

// wrong reports a value of the wrong kind.
func (w *walker) wrong(at string, v jsontext.Value, wanted string) {
	w.report(at, WrongKind, kindOf(v)+", not "+wanted)
}

func kindOf(v jsontext.Value) string {
	switch v.Kind() {
	case jsontext.KindNull:
		return "null"
	case jsontext.KindString:
		return "text"
	case jsontext.KindNumber:
		return "number"
	case jsontext.KindBeginObject:
		return "object"
	case jsontext.KindBeginArray:
		return "list"
	}
	return "boolean"
}

// longestName is the number of bytes of a name, or a value, that a report repeats.
const longestName = 60

// short makes what comes from outside fit to be printed.
func short(s string) string {
	if len(s) > longestName {
		s = strings.ToValidUTF8(s[:longestName], "") + "…"
	}
	return quote.Line(s)
}

// member is the path of a member.
func member(at, name string) string {
	if name = short(name); at == "" {
		return name
	}
	return at + "." + name
}
