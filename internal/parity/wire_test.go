//go:build parity

package parity

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestMethods: the naming rule finds each of the original's methods, and only those are in the table.
func TestMethods(t *testing.T) {
	var names []string
	for _, m := range methods {
		names = append(names, m.original())
	}
	assert.ElementsMatch(t, known.Methods, names)
}

// rounds is how many generated calls of a method succeed.
const rounds = 12

// TestSuccess plays generated calls: a minimal one, one with everything, and mixed ones.
func TestSuccess(t *testing.T) {
	eachMethod(t, func(t *testing.T, m *method) {
		g := newGenerator("success " + m.name)
		for round := range rounds {
			g.richness = min(richness(round), mixed)
			g.unknown = round > 1
			s := scenario{method: m.name, args: g.arguments(known, m), answers: []answer{g.answerTo(known, m)}}
			s.options.prefix = pick(g, []string{"", "", "/hub1", "/a/b%20c"})
			s.options.orgID = pick(g, []string{"", "org_1", "org with blanks; and, more"})
			s.options.key = pick(g, []string{"", "sk_2", "key=with/odd+characters~"})
			s.options.noKey = g.IntN(8) == 0
			s.check(t)
		}
	})
}

// TestHostileIDs: whatever an id is, it stays where it belongs.
func TestHostileIDs(t *testing.T) {
	eachMethod(t, func(t *testing.T, m *method) {
		if !m.id {
			return
		}
		g := newGenerator("ids " + m.name)
		args := g.arguments(known, m)
		answers := []answer{g.answerTo(known, m)}
		for _, id := range hostileIDs {
			args[0] = id
			scenario{method: m.name, args: args, answers: answers}.check(t)
		}
	})
}

// TestSearches: whatever is searched for.
func TestSearches(t *testing.T) {
	for _, name := range []string{"ListSessions", "ListConnectableSessions", "ListUsers"} {
		g := newGenerator("searches " + name)
		answers := []answer{g.answerTo(known, methodNamed(name))}
		for _, text := range append(texts, hostileIDs...) {
			scenario{method: name, args: []any{object{"search": text}}, answers: answers}.check(t)
		}
	}
}

// TestConnectable: the local filter keeps the same sessions, and cuts out the same page.
func TestConnectable(t *testing.T) {
	g := newGenerator("connectable")
	g.richness = minimal
	item := known.Calls["listSessions"].Response.Members["sessions"]
	list := item.Members["websocket"]
	var sessions []any
	for _, mode := range []string{"sandbox", "tui"} {
		for _, bucket := range []string{"running", "paused", "provisioning", "history"} {
			for flags := range 8 {
				s := g.object(*list.Element)
				s["mode"], s["bucket"], s["sessionId"] = mode, bucket, fmt.Sprintf("%s-%s-%d", mode, bucket, flags)
				s["status"] = "active" // an archived one is listed: see differences
				s["runtimeAvailable"], s["wakeAvailable"], s["historyOnly"] = flags&1 > 0, flags&2 > 0, flags&4 > 0
				sessions = append(sessions, s)
			}
		}
	}
	body := encode(object{"sessions": object{"websocket": sessions, "sandbox": []any{}}, "total": len(sessions)})
	for _, params := range []object{nil, {"limit": 2}, {"offset": 3}, {"limit": 3, "offset": 2}, {"limit": 100}, {"offset": 100}, {"search": "x", "limit": 1}} {
		scenario{method: "ListConnectableSessions", args: []any{params}, answers: []answer{ok(body)}}.check(t)
	}
}

// TestLocalChecks: what both refuse, neither sends.
func TestLocalChecks(t *testing.T) {
	builder := func(members object) scenario {
		return scenario{method: "CreateAgentBuilderSession", args: []any{members}, answers: []answer{ok(`{"sessionId":"s","status":"creating"}`)}}
	}
	for _, mode := range []string{"", "new", "edit", "from_session"} {
		for _, source := range []string{"", " ", "s_1"} {
			for _, id := range []string{"", "\t", "a_1"} {
				for _, slug := range []string{"", "\u00a0", "a-1"} {
					members := object{}
					for name, value := range map[string]string{"mode": mode, "sourceSessionId": source, "targetAgentId": id, "targetAgentSlug": slug} {
						if value != "" {
							members[name] = value
						}
					}
					builder(members).check(t)
				}
			}
		}
	}
	for _, content := range []string{"", " ", "\n\t", "\u00a0", "\u2028"} {
		scenario{method: "CreateCustomSkill", args: []any{object{"skillId": "a", "name": "b", "content": content}},
			answers: []answer{ok(`{}`)}}.check(t)
	}
	scenario{method: "UpdateWorkspace", args: []any{"w", object{}}, answers: []answer{ok(`{}`)}}.check(t)
}

// TestUnusableAnswers: what is no answer for one is none for the other.
func TestUnusableAnswers(t *testing.T) {
	eachMethod(t, func(t *testing.T, m *method) {
		g := newGenerator("unusable " + m.name)
		if m.result == nil {
			return // see the difference deletions-need-no-body
		}
		for _, body := range []string{"", "null", "7", `"text"`, "true", "{}", `{"data":{}}`, "<html>", `{"cut":`, `{} {}`} {
			trace := map[string]string{"x-session-id": "trace_" + fmt.Sprint(g.IntN(100))}
			scenario{method: m.name, args: g.arguments(known, m), answers: []answer{{body: body, header: trace}}}.check(t)
		}
		if m.name != "ListUsers" { // which takes lists
			scenario{method: m.name, args: g.arguments(known, m), answers: []answer{ok("[]")}}.check(t)
		}
		scenario{method: m.name, args: g.arguments(known, m), answers: []answer{{status: 204}}}.check(t)
	})
}
