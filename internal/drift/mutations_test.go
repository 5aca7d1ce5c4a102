package drift

import (
	"bytes"
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/internal/wire"
)

// mutation is a change of one member of a sample.
type mutation struct {
	*sample
	kind string // what was done
	at   string // the path of the member
	text []byte // the whole, changed
}

// The kinds of mutations.
const (
	added    = "added"
	renamed  = "renamed"
	toNull   = "null"
	toNumber = "number for text"
	newValue = "new value of an enumeration"
)

// rules say where a mutation is none: the contract of the Hub, and the recordings of the agent, allow what it makes. They
// are written by hand from those, not taken from the tables that are tested here.
var (
	// freeJSON is in a form of somebody's own. Nothing is changed inside.
	freeJSON = oneAtEnd("metadata", "parameters", "toolArgs", "arguments", "args", "input", "details", "structuredContent",
		"sections", `toolsAdded\[\]`, "systemPromptOptions", "preparation", `branchEntries\[\]`, "entry", `attachments\[\]`,
		"replay", "context", `actions\[\]\.result`, `issues\[\]\.input`)
	// anyKind may also be something else than an object.
	anyKind = oneAtEnd("details", "structuredContent", "entry", "replay", `actions\[\]\.result`, `issues\[\]\.input`)
	// The payloads of events that the Hub has made itself, and the answers to commands that the library does not send,
	// are free too.
	ofTheHub = oneAtEnd("session_(join|leave|complete|error|label_updated)", `(loop|coord|runtime|thinking)_\w+`,
		"presence_update", "rpc_ready")
	ofNoCommand = oneAtEnd("get_entries", "get_last_assistant_text", "get_session_stats", "abort")
	// dataNames are objects whose names are data.
	dataNames = oneAtEnd("env", "agentActivity", "byAgent", "tokens", `model\.cost`, `stream\.tasks`)
	// nulls are members that may be null.
	nulls = oneAtEnd("GET /hub/session/{sessionID}/loop loop", "PATCH /hub/session/{sessionID} defaultAgent", "sandboxId",
		"streamId", "streamUrl", `todos\[\]\.(type|priority|origin|kind|parentTaskId|prdKey|externalRef|taskKey|assignee)`,
		`todos\[\]\.(lastSessionId|lastTouchedByAgent)`)
	// enumerations are the members of which the contract says all values.
	enumerations = oneAtEnd(
		// Sessions.
		"mode", "workflowMode", "bucket", "loopStatus", "scope", `/hub/session\S* (\S+\.)?visibility`,
		`/hub/sessions sessions\.websocket\[\]\.visibility`, `loop\.status`, `lastAction\.(kind|status)`, `proposal\.thinkingLevel`,
		"entriesSource", `entries\[\]\.type`, "actorType", `todos\[\]\.status`, `tasks\[\]\.status`,
		`participants?(\[\])?\.(role|transport)`,
		// Other resources, and errors.
		`/hub/agents\S* \S+\.thinkingLevel`, "lifecycle", "systemPromptMode", `, \d+ code`,
		// Messages of the Hub.
		"(websocket|event stream) (type|event|role)", "GET /hub/init role", `agents\[\]\.(status|source)`,
		`actions\[\]\.(action|mode|level)`, `actions\[\]\.message\.role`, "method", "notifyType",
		`command\.(type|streamingBehavior)`, `response\.command`, "disposition", `data\.event\.type`, `websocket event\.type`,
		// What the agent says.
		`(message|partial|messages\[\]|toolResults\[\]|data\[\])\.role`, `assistantMessageEvent\.type`, `content\[\]\.type`,
		`toolCall\.type`, "stopReason", "streamingBehavior",
	)
)

// oneAtEnd matches a path that ends in one of these.
func oneAtEnd(patterns ...string) *regexp.Regexp {
	all := strings.ReplaceAll(strings.Join(patterns, "|"), "{sessionID}", `\{sessionID\}`)
	return regexp.MustCompile(`(^|[. ])(` + all + `)$`)
}

// mutations returns all mutations of a sample, and counts the places where one would be none.
func mutations(s *sample) (made []mutation, left int) {
	m := &mutator{sample: s, where: s.where(), seen: make(map[string]bool)}
	if s.route != "" && s.status != 200 {
		m.where += ", " + jsontext.Int(int64(s.status)).String()
	}
	m.value("", 0, s.text)
	return m.made, m.left
}

type mutator struct {
	*sample
	where string
	made  []mutation
	seen  map[string]bool // of a recording each member is changed once, whatever the length of a list
	left  int
}

func (m *mutator) change(kind, at string, from, to int, with string) {
	if m.recorded && m.seen[kind+at] {
		return
	}
	m.seen[kind+at] = true
	text := slices.Concat(m.text[:from], []byte(with), m.text[to:])
	m.made = append(m.made, mutation{sample: m.sample, kind: kind, at: at, text: text})
}

// value makes the mutations below a value that stands at an offset of the sample.
func (m *mutator) value(at string, offset int, v []byte) {
	if at != "" && freeJSON.MatchString(at) {
		m.left++
		return
	}
	dec := jsontext.NewDecoder(bytes.NewReader(v), wire.Accepted)
	open, err := dec.ReadToken()
	if err != nil {
		return
	}
	switch open.Kind() {
	case jsontext.KindBeginArray:
		for dec.PeekKind() != jsontext.KindEndArray {
			element := next(dec).Clone()
			m.value(at+"[]", offset+int(dec.InputOffset())-len(element), element)
		}
	case jsontext.KindBeginObject:
		if dataNames.MatchString(at) {
			m.left++
		} else {
			separator := ","
			if dec.PeekKind() == jsontext.KindEndObject {
				separator = ""
			}
			begin := offset + bytes.IndexByte(v, '{') + 1
			m.change(added, member(at, "addedByTest"), begin, begin, `"addedByTest":1`+separator)
		}
		for dec.PeekKind() != jsontext.KindEndObject {
			name := next(dec).Clone()
			nameEnd := offset + int(dec.InputOffset())
			value := next(dec).Clone()
			end := offset + int(dec.InputOffset())
			m.member(at, v, unquote(name), nameEnd, value, end)
		}
	}
}

// member makes the mutations of a member of an object.
func (m *mutator) member(parent string, object jsontext.Value, name string, nameEnd int, value jsontext.Value, end int) {
	at, begin := member(parent, name), end-len(value)
	if dataNames.MatchString(parent) {
		at = member(parent, "*")
		m.left++
	} else {
		m.change(renamed, at, nameEnd-1, nameEnd, `Renamed"`)
	}
	free := anyKind.MatchString(at) ||
		name == "data" && ofNoCommand.MatchString(peekText(object, "command")) ||
		(name == "data" || name == "payload") && ofTheHub.MatchString(peekText(object, "event"))
	if free {
		m.left += 2
		return
	}
	if value.Kind() != jsontext.KindNull {
		if nulls.MatchString(m.where + " " + at) {
			m.left++
		} else {
			m.change(toNull, at, begin, end, "null")
		}
	}
	if value.Kind() == jsontext.KindString {
		m.change(toNumber, at, begin, end, "17")
		if enumerations.MatchString(m.where + " " + at) {
			m.change(newValue, at, begin, end, `"brand_new"`)
		}
	}
	m.value(at, begin, value)
}

var forms []sample // as recordedForms returned them before

// recordedForms returns so many of the recorded messages that every member of every message, event and answer of the
// agent is among them.
func recordedForms(t *testing.T) []sample {
	t.Helper()
	if forms != nil {
		return slices.Clone(forms)
	}
	seen := make(map[string]bool)
	forms = slices.DeleteFunc(recordings(t), func(s sample) bool {
		name := s.where()
		for v, inner := jsontext.Value(s.text), true; inner; { // what it is, and what it wraps
			name += " " + peekText(v, "type") + " " + peekText(v, "event") + " " + peekText(v, "command")
			v = jsontext.Value(cmp.Or(string(peek(v, "data")), string(peek(v, "event")), string(peek(v, "response"))))
			inner = v.Kind() == jsontext.KindBeginObject
		}
		all, _ := mutations(&s)
		nothing := true
		for _, m := range all {
			nothing = nothing && seen[name+m.at]
			seen[name+m.at] = true
		}
		return nothing
	})
	return slices.Clone(forms)
}

// TestMutations: nearly every mutation is reported, and where it was made.
func TestMutations(t *testing.T) {
	type count struct{ made, found int }
	counts := map[string]*count{added: {}, renamed: {}, toNull: {}, toNumber: {}, newValue: {}}
	all := slices.Concat(samples(t), recordedForms(t))
	var sum count
	left := 0
	missed := make(map[string]int)
	for _, s := range all {
		before := s.look(s.text)
		made, places := mutations(&s)
		left += places
		for _, m := range made {
			require.True(t, wire.Valid(m.text), "%s", m.text)
			c := counts[m.kind]
			c.made++
			sum.made++
			if slices.ContainsFunc(m.look(m.text), func(r Report) bool { return !slices.Contains(before, r) && m.is(r) }) {
				c.found++
				sum.found++
			} else {
				missed[m.where()+" "+m.at+": "+m.kind]++
			}
		}
	}
	t.Logf("%d messages and answers, %d places where a mutation would be none", len(all), left)
	for _, kind := range slices.Sorted(maps.Keys(counts)) {
		t.Logf("%s: %d of %d reported", kind, counts[kind].found, counts[kind].made)
		assert.Greater(t, counts[kind].made, 500)
	}
	t.Logf("all: %d of %d reported, %.2f %%", sum.found, sum.made, 100*float64(sum.found)/float64(sum.made))
	for _, what := range slices.Sorted(maps.Keys(missed)) {
		t.Logf("not reported, %d times: %s", missed[what], what)
	}
	assert.GreaterOrEqual(t, sum.found*100, sum.made*99)
}

// is tells whether a report is about the mutation. A message without its name, or with another one, is unknown as a
// whole.
func (m *mutation) is(r Report) bool {
	switch {
	case r.Kind == UnknownMessage:
		return r.Path == m.at || r.Path == "" && !strings.Contains(m.at, ".")
	case m.kind == renamed:
		return r.Kind == UnknownMember && r.Path == m.at+"Renamed"
	case m.kind == added:
		return r.Kind == UnknownMember && r.Path == m.at
	case m.kind == newValue:
		return r.Kind == UnknownValue && r.Path == m.at
	}
	return r.Kind == WrongKind && r.Path == m.at
}
