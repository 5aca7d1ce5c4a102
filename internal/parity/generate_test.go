//go:build parity

package parity

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// richness says which optional members a generated object has.
type richness int

const (
	minimal richness = iota // none
	full                    // all of them
	mixed                   // some
)

// generator makes arguments and answers from the original's schemas.
type generator struct {
	*rand.Rand
	richness richness
	unknown  bool // add members that no schema knows
	request  bool // texts are not blank: what is refused locally has its own scenarios
}

// unknownPrefix begins the name of every unknown member.
const unknownPrefix = "unknown_"

// texts is what people, and those who are none, write.
var texts = []string{
	"plain", "two words", " blanks around ", "Grüße, 世界 👩‍💻", "שלום", "e\u0301", "\u2028\u2029", "line\nbreak\ttab\r\n",
	`"quotes" \ and / 'more'`, "<b>&amp;</b>", "a&b=c?d#e+f%20g", "~!*'()-_.", "null", "0", "true", "\x00\x01\x7f",
	"{\"json\":1}", "2026-01-15", "../../etc/passwd", strings.Repeat("long ", 2000), "\ufeffmark", "\U0010ffff",
}

// hostileIDs would leave their place in a path if they were not escaped. Those that stray are refused here:
// see the difference ids-that-are-no-path-element.
var hostileIDs = []string{
	"a/b", "a/..b", "..x", "a?b=c", "a#b", "a b", "a+b", "a%2Fb", "%", "%2e%2e%2e", "...", "a;b", "a:b", "@", "a\\b", "ä", "世界/👩‍💻",
	"~!*'()-_.", "a\nb", "\x00", "[::1]", "{id}", "builder", "dependencies", "library", "archive", "$&,=", "\"<>|^`", ".a", "a.",
}

func (g *generator) text() string { return pick(g, texts) }

func pick[T any](g *generator, from []T) T { return from[g.IntN(len(from))] }

func (g *generator) id() string {
	if g.IntN(2) == 0 {
		return fmt.Sprintf("id_%x", g.Uint32())
	}
	return pick(g, hostileIDs)
}

// value makes a value of a shape; name is that of the member it becomes.
func (g *generator) value(s shape, name string) any {
	switch s.Type {
	case "object":
		return g.object(s)
	case "array":
		n := g.IntN(4)
		switch g.richness {
		case minimal:
			n = 0
		case full:
			n = 2
		}
		list := []any{}
		for range n {
			list = append(list, g.value(*s.Element, name))
		}
		return list
	case "record":
		record := object{}
		for range g.IntN(4) {
			record[g.text()] = g.value(*s.Element, "")
		}
		return record
	case "enum":
		return pick(g, s.Values)
	case "union":
		if object := s.object(); g.richness == full && object.Type == "object" {
			return g.object(object)
		}
		return g.value(pick(g, s.Options), name)
	case "string":
		return g.string(name)
	case "number":
		return g.number(name)
	case "boolean":
		return g.IntN(2) == 0
	case "unknown", "any":
		if name == "skills" { // see the difference elements-that-are-no-objects
			return object{"skillId": g.string("skillId"), "repo": g.string("repo")}
		}
		if name == "sandbox" && g.IntN(2) == 0 {
			return object{"sessionId": g.string("sessionId"), "sandboxId": g.text(), "status": g.text(), "wsConnected": g.IntN(2) == 0}
		}
		return g.anything(3)
	}
	panic("no value of a shape " + s.Type)
}

func (g *generator) object(s shape) object {
	out := object{}
	for _, name := range s.names() {
		member := s.Members[name]
		if member.Optional && (g.richness == minimal || g.richness == mixed && g.IntN(2) == 0) {
			continue
		}
		if member.Nullable && g.IntN(3) == 0 {
			out[name] = nil
			continue
		}
		out[name] = g.value(member, name)
	}
	if g.unknown && !s.exact && g.IntN(2) == 0 && (s.Open || !g.request) {
		out[fmt.Sprint(unknownPrefix, g.IntN(3))] = g.anything(2)
	}
	return out
}

// identities are the texts that identify something. They are never empty: that has its own scenario.
var identities = map[string]bool{
	"sessionId": true, "id": true, "userId": true, "accountId": true, "event": true, "skillId": true, "repo": true, "slug": true,
}

func (g *generator) string(name string) string {
	switch {
	case isTime(name):
		return g.time()
	case !g.request && !identities[name] && g.IntN(6) == 0:
		return ""
	case identities[name]:
		return g.id()
	case g.request:
		for {
			if text := g.text(); strings.TrimSpace(text) != "" {
				return text
			}
		}
	}
	return g.text()
}

func isTime(name string) bool {
	return strings.HasSuffix(name, "At") || name == "timestamp" || name == "lastActivity"
}

func (g *generator) time() string {
	at := time.Unix(g.Int64N(4e9), g.Int64N(1e9))
	zone := time.FixedZone("", (g.IntN(27)-12)*3600+g.IntN(2)*1800)
	return at.In(pick(g, []*time.Location{time.UTC, zone})).Format(pick(g, []string{
		"2006-01-02T15:04:05.000Z07:00", time.RFC3339, time.RFC3339Nano,
	}))
}

// number makes numbers as the Hub writes them: counts are whole, and up to what JavaScript can
// count. Lengths of time and Unix milliseconds may have a fraction.
func (g *generator) number(name string) any {
	switch {
	case isTime(name):
		return pick(g, []any{1768469400000, 1768469400000.5, g.Int64N(4e12), 0})
	case name == "elapsedMs", name == "duration", name == "totalElapsed":
		return pick(g, []any{0, 12.25, 1e9, g.IntN(1e6)})
	case name == "id":
		return pick(g, []any{1, 1 + g.IntN(1e6), 1<<53 - 1})
	}
	return pick(g, []any{0, 1, g.IntN(1000), 1 << 31, 1<<53 - 1, -1})
}

func (g *generator) anything(depth int) any {
	kind := g.IntN(8)
	if depth == 0 {
		kind = g.IntN(6)
	}
	switch kind {
	case 0:
		return nil
	case 1:
		return g.IntN(2) == 0
	case 2:
		return pick(g, []any{0, -1, 1.5, 1e21, 1e-9, 1<<53 - 1, json.Number("9007199254740993"), json.Number("1E400")[:3]})
	case 3, 4:
		return g.text()
	case 5:
		return g.time()
	case 6:
		list := []any{}
		for range g.IntN(4) {
			list = append(list, g.anything(depth-1))
		}
		return list
	}
	out := object{}
	for range g.IntN(4) {
		out[g.text()] = g.anything(depth - 1)
	}
	return out
}

func encode(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text)
}
