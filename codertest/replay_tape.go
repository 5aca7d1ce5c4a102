package codertest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/agentuity/coder-go/internal/cassette"
	"github.com/agentuity/coder-go/internal/quote"
)

// tape is a recording that is played.
type tape struct {
	omitTexts bool
	all       []*played
	found     map[asked][]*played // in the order in which they were asked
	changes   []change            // in the order in which they were made

	mu      sync.Mutex
	missing []string          // guarded by mu
	ids     map[string]string // guarded by mu; those that a client has made up now, by those in the recording
	texts   map[string]string // guarded by mu; what was asked, by what stands for it where texts were taken out
}

// played is an exchange of the recording.
type played struct {
	*cassette.Exchange
	asked
	messages []*message // that the program has sent over a WebSocket, but for those that do not count

	taken bool // guarded by the mutex of the tape
}

// change is something that a program has done that may change what it is answered later: a request that is no read, or a
// message over a WebSocket.
type change struct {
	line int // in the recording
	made func() bool
}

// asked is what a request is found by.
type asked struct{ method, path, query, body string }

// message is what a program sends over a WebSocket.
type message struct {
	line  int // in the exchange
	name  string
	body  string
	id    string
	value any
	cut   string        // what the recording lacks of it, "" for nothing
	taken bool          // guarded by the mutex of the tape
	came  chan struct{} // closed when it has
}

func newTape(read *cassette.Tape) *tape {
	t := &tape{omitTexts: read.OmitTexts, ids: make(map[string]string), texts: make(map[string]string), found: make(map[asked][]*played)}
	redaction := &cassette.Redaction{OmitTexts: read.OmitTexts}
	for _, x := range read.Exchanges {
		_, rest, _ := strings.Cut(x.Request.URL, "://")
		place, query, _ := strings.Cut(rest, "?")
		_, path, _ := strings.Cut(place, "/") // a URL without a path asks for "/"
		p := &played{Exchange: x, asked: asked{
			x.Request.Method, placeOf("/" + path), comparableQuery(query), comparableBody(&x.Request.Body),
		}}
		for i, line := range x.Lines {
			if line.Kind != cassette.Sent {
				continue
			}
			if m := messageOf(line.Bytes(), redaction); m.counts() {
				m.line, m.came, m.cut = i, make(chan struct{}), lacks(&line.Body)
				p.messages = append(p.messages, m)
				if m.name != bootstrap {
					t.changes = append(t.changes, change{line.Number, func() bool { return m.taken }})
				}
			}
		}
		t.all = append(t.all, p)
		t.found[p.asked] = append(t.found[p.asked], p)
		if !p.isRead() {
			t.changes = append(t.changes, change{p.Request.Number, func() bool { return p.taken }})
		}
	}
	slices.SortFunc(t.changes, func(a, b change) int { return a.line - b.line })
	return t
}

// newAsked is what a request is looked for by.
func newAsked(r *http.Request, body []byte, t *tape) asked {
	redaction := &cassette.Redaction{OmitTexts: t.omitTexts, Keys: quote.NewRedactor(keyOf(r.Header)).Text}
	_, path, _ := strings.Cut(redaction.URL("x://x"+r.URL.EscapedPath()), "x://x")
	b := redaction.Body(body, 0)
	return asked{r.Method, placeOf(path), comparableQuery(redaction.Query(r.URL.RawQuery)), comparableBody(&b)}
}

// keyOf is the key that a request is sent with.
func keyOf(h http.Header) string {
	if key := h.Get("x-agentuity-auth-api-key"); key != "" {
		return key
	}
	_, key, _ := strings.Cut(h.Get("Authorization"), " ")
	return key
}

const discovery = "/coder"

// placeOf is a path without what stands before /api, which differs from Hub to Hub.
func placeOf(path string) string {
	if i := strings.LastIndex(path, "/api/"); i >= 0 {
		return path[i:]
	}
	if strings.HasSuffix(path, discovery) {
		return discovery
	}
	return path
}

// comparableQuery is a query in one order, without keys and organizations.
func comparableQuery(query string) string {
	var parameters []string
	for parameter := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(parameter, "=")
		name, _ = url.QueryUnescape(name)
		value, _ = url.QueryUnescape(value)
		switch {
		case parameter == "", cassette.IsCredential(name), name == "orgId", name == "org_id":
		default:
			parameters = append(parameters, url.QueryEscape(name)+"="+url.QueryEscape(value))
		}
	}
	slices.Sort(parameters)
	return strings.Join(parameters, "&")
}

// comparableBody is a body in one form.
func comparableBody(b *cassette.Body) string {
	value, ok := anyJSON(b.Bytes())
	if !ok {
		return string(b.Bytes())
	}
	return comparableValue(value)
}

func anyJSON(data []byte) (value any, ok bool) {
	if !json.Valid(data) { // a Decoder does not look behind the value
		return nil, false
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	return value, dec.Decode(&value) == nil
}

func comparableValue(value any) string {
	text, _ := json.Marshal(value) // what was decoded can be encoded; the members of objects are sorted
	return string(text)
}

// messageOf takes a message apart.
func messageOf(data []byte, redaction *cassette.Redaction) *message {
	body := redaction.Body(data, 0)
	value, _ := anyJSON(body.Bytes())
	object, ok := value.(map[string]any)
	if !ok {
		return &message{name: "a message that is no object", body: string(body.Bytes())}
	}
	m := new(message)
	m.value, _ = anyJSON(data)
	m.name, _ = object["type"].(string)
	for _, o := range []any{object, object["command"]} {
		if o, ok := o.(map[string]any); ok {
			if id, ok := o["id"].(string); ok {
				m.id = id
				delete(o, "id")
			}
		}
	}
	delete(object, "timestamp")
	if command, ok := object["command"].(map[string]any); ok {
		m.name += fmt.Sprint(" ", command["type"])
	}
	if _, names := object["authorization"]; m.name == "" && (names || object["org_id"] != nil) {
		m.name = greeting
	}
	m.body = comparableValue(object)
	return m
}

const (
	greeting = "the message that names a key"
	ping     = "ping"
	// bootstrap is what a client says by itself once it is in. What the Hub then sends waits for it.
	bootstrap = "bootstrap_ready"
)

// counts reports whether what follows in the recording waits for the message.
func (m *message) counts() bool { return m.name != greeting && m.name != ping }

// neverSent returns how an exchange has ended whose request has certainly reached nobody, else nil.
func (p *played) neverSent() *cassette.Line {
	end, ended := p.Ended()
	switch {
	case !ended:
		return nil
	case end.How == cassette.Unsent, end.How == cassette.Refused, end.How == cassette.UnknownHost, end.How == cassette.Untrusted:
		return &end
	}
	return nil
}

// isLive reports whether it is a stream of events or a WebSocket.
func (p *played) isLive() bool {
	answer, ok := p.Answered()
	return ok && (answer.Status == http.StatusSwitchingProtocols || isEventStream(answer.Header))
}

func isEventStream(h http.Header) bool {
	return strings.HasPrefix(h.Get("Content-Type"), "text/event-stream")
}

// take returns what a request is answered with, or nil and why there is nothing.
func (t *tape) take(a asked, body []byte) (*played, string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.next(a); p != nil {
		p.taken = true
		recorded, _ := anyJSON(p.Request.Bytes())
		now, _ := anyJSON(body)
		t.learn(recorded, now)
		return p, ""
	}
	why := t.why(a)
	t.missing = append(t.missing, a.String()+": "+why)
	return nil, why
}

// takeIf takes what a request is answered with, if that is as wanted.
func (t *tape) takeIf(a asked, wanted func(*played) bool) *played {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.next(a)
	if p == nil || !wanted(p) {
		return nil
	}
	p.taken = true
	return p
}

// next returns what a request is answered with. The caller holds the lock.
func (t *tape) next(a asked) *played {
	list := t.found[a]
	if len(list) == 0 {
		return nil
	}
	last := list[len(list)-1]
	if a.isRead() && !slices.ContainsFunc(list, (*played).isLive) {
		return t.read(list)
	}
	for _, p := range list {
		if !p.taken {
			return p
		}
	}
	if last.isLive() {
		return nil
	}
	return last
}

// read returns what a read is answered with: the first answer that was not given, but none that is from before a change
// that the program has made by now, and none from after a change that it has not made yet, as long as there is another. A
// program may look more often than it did, or less.
func (t *tape) read(list []*played) *played {
	made, next := 0, math.MaxInt
	for _, c := range t.changes {
		if c.made() {
			made, next = c.line, math.MaxInt // one before it was left out
		} else {
			next = min(next, c.line)
		}
	}
	var last *played
	for _, p := range list {
		switch line := p.Request.Number; {
		case line > next:
			if last == nil || p.taken { // there is no earlier one
				last = p
			}
		case line > made && !p.taken:
			return p
		default:
			last = p
		}
	}
	return last
}

func (a asked) isRead() bool { return a.method == http.MethodGet || a.method == http.MethodHead }

func (a asked) String() string {
	s := a.method + " " + a.path
	if a.query != "" {
		s += "?" + a.query
	}
	return s
}

// why says what differs. The caller holds the lock.
func (t *tape) why(a asked) string {
	played, place, query := 0, false, false
	where, cut := "", ""
	for _, p := range t.all {
		switch {
		case p.asked == a:
			played++
		case p.method != a.method || p.path != a.path:
		case p.query != a.query:
			place = true
		default:
			query = true
			cut = cmp.Or(cut, lacks(&p.Request.Body))
			if where == "" {
				where = difference(p.body, a.body)
			}
		}
	}
	switch {
	case played > 0:
		return fmt.Sprintf("the recording has %d such connections, and each was played", played)
	case cut != "":
		return "it " + cut
	case query && where != "":
		return "it was recorded with another body (at " + where + ")"
	case query:
		return "it was recorded with another body"
	case place:
		return "it was recorded with another query"
	}
	return "it was not recorded"
}

// lacks says why nothing can be compared with a body, "" if it can be.
func lacks(b *cassette.Body) string {
	if b.Omitted == 0 || b.Broken {
		return ""
	}
	return fmt.Sprintf("cannot be compared with what was recorded: the recording has all but %d bytes of it: record with a larger MaxBody", b.Omitted)
}

// difference returns a JSON pointer to the first difference of two bodies that are JSON, else "".
func difference(a, b string) string {
	x, isJSON := anyJSON([]byte(a))
	y, isJSONToo := anyJSON([]byte(b))
	if !isJSON || !isJSONToo {
		return ""
	}
	return differs(x, y, "")
}

func differs(x, y any, at string) string {
	switch x := x.(type) {
	case map[string]any:
		if y, ok := y.(map[string]any); ok {
			names := maps.Clone(x)
			maps.Copy(names, y)
			for _, name := range slices.Sorted(maps.Keys(names)) {
				xv, inX := x[name]
				yv, inY := y[name]
				below := at + "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
				if inX != inY {
					return below
				}
				if where := differs(xv, yv, below); where != "" {
					return where
				}
			}
			return ""
		}
	case []any:
		if y, ok := y.([]any); ok {
			for i := range max(len(x), len(y)) {
				below := at + "/" + strconv.Itoa(i)
				if i >= len(x) || i >= len(y) {
					return below
				}
				if where := differs(x[i], y[i], below); where != "" {
					return where
				}
			}
			return ""
		}
	}
	if comparableValue(x) == comparableValue(y) {
		return ""
	}
	if at == "" {
		return "the top"
	}
	return at
}

// takeMessage finds a message that a program has sent. It reports false if it is not there, or taken.
func (t *tape) takeMessage(p *played, m *message) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, recorded := range p.messages {
		if recorded.taken || recorded.body != m.body {
			continue
		}
		recorded.taken = true
		if recorded.id != "" && m.id != "" && recorded.id != m.id {
			t.ids[recorded.id] = m.id
		}
		t.learn(recorded.value, m.value)
		close(recorded.came)
		return true
	}
	if m.name == bootstrap { // the program had closed the WebSocket before
		return true
	}
	why := "was not recorded here"
	for _, recorded := range p.messages {
		if !recorded.taken && recorded.cut != "" {
			why = recorded.cut
			break
		}
	}
	t.missing = append(t.missing, p.String()+": the message "+m.name+" "+why)
	return false
}

// noteMissing notes what the recording has not.
func (t *tape) noteMissing(what string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.missing = append(t.missing, what)
}

// shortestID is how long an id is at least that is replaced wherever it stands. A shorter one could be a part of a word.
const shortestID = 12

// asNow returns what a Hub sends, with the ids that the client has made up now, and with its texts.
func (t *tape) asNow(data []byte) []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.ids)+len(t.texts) == 0 {
		return data
	}
	replaced := make(map[string]string, len(t.ids)+len(t.texts))
	for recorded, now := range t.texts {
		replaced[comparableValue(recorded)] = comparableValue(now)
	}
	for recorded, now := range t.ids {
		if len(recorded) >= shortestID {
			replaced[recorded] = now
		} else {
			replaced[comparableValue(recorded)] = comparableValue(now)
		}
	}
	// All at once, since one that is new may be another that was recorded; the longest first, since one may begin another.
	longest := slices.SortedFunc(maps.Keys(replaced), func(a, b string) int { return len(b) - len(a) })
	var pairs []string
	for _, recorded := range longest {
		pairs = append(pairs, recorded, replaced[recorded])
	}
	return []byte(strings.NewReplacer(pairs...).Replace(string(data)))
}

// learn notes what stands in a recording for the texts of a request, so that the program finds its own words in what it
// hears. The caller holds the lock.
func (t *tape) learn(recorded, now any) {
	if !t.omitTexts {
		return
	}
	switch recorded := recorded.(type) {
	case string:
		if now, ok := now.(string); ok && now != recorded {
			t.texts[recorded] = now
		}
	case map[string]any:
		now, _ := now.(map[string]any)
		for name, value := range recorded {
			t.learn(value, now[name])
		}
	case []any:
		now, _ := now.([]any)
		for i, value := range recorded[:min(len(recorded), len(now))] {
			t.learn(value, now[i])
		}
	}
}

func (t *tape) allMissing() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.missing)
}

func (t *tape) unasked() (list []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range t.all {
		switch {
		case !p.taken && p.path != discovery:
			list = append(list, p.String())
		case p.taken:
			for _, m := range p.messages {
				if !m.taken && m.name != bootstrap {
					list = append(list, p.String()+": the message "+m.name)
				}
			}
		}
	}
	return list
}
