//go:build parity

package parity

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

// insists are the members of answers without which a call fails here: the wrapper, the lists that
// are the point of the call, and what identifies a thing. The original insists on every member
// that its schemas require.
var insists = map[string][]string{
	"CreateSession":                 {"sessionId"},
	"CreateAgentBuilderSession":     {"sessionId"},
	"GetSession":                    {"sessionId"},
	"UpdateSession":                 {"sessionId"},
	"ListSessions":                  {"sessions", "sessions.websocket", "sessions.websocket[].sessionId"},
	"ArchiveSession":                {"sessionId"},
	"ResumeSession":                 {"sessionId"},
	"PrepareSessionForRemoteAttach": {"sessionId"},
	"ListConnectableSessions":       {"sessions", "sessions.websocket", "sessions.websocket[].sessionId"},
	"GetReplay":                     {"sessionId"},
	"ListParticipants":              {"sessionId", "participants", "participants[].id"},
	"ListEventHistory":              {"sessionId", "events", "events[].id", "events[].event"},
	"GetLoopState":                  {"sessionId"},
	"CreateWorkspace":               {"workspace", "workspace.id"},
	"UpdateWorkspace":               {"workspace", "workspace.id"},
	"GetWorkspace":                  {"workspace", "workspace.id"},
	"ListWorkspaces":                {"workspaces", "workspaces[].id"},
	"RefreshWorkspaceSnapshot":      {"workspace", "workspace.id"},
	"ValidateWorkspaceDependencies": {"data", "data.valid", "data.invalid"},
	"SaveSkill":                     {"skill", "skill.id"},
	"CreateCustomSkill":             {"skill", "skill.id"},
	"ListSavedSkills":               {"skills", "skills[].id"},
	"CreateSkillBucket":             {"bucket", "bucket.id"},
	"ListSkillBuckets":              {"buckets", "buckets[].id"},
	"ListGitHubAccounts":            {"accounts", "accounts[].accountId"},
	"ListGitHubRepos":               {"accountId", "repositories", "repositories[].id"},
	"ListUsers":                     {"users", "users[].userId"},
	"ListCustomAgents":              {"agents", "agents[].id"},
	"GetCustomAgent":                {"agent", "agent.id"},
	"CreateCustomAgent":             {"agent", "agent.id"},
	"UpdateCustomAgent":             {"agent", "agent.id"},
	"PublishCustomAgent":            {"agent", "agent.id"},
	"ArchiveCustomAgent":            {"agent", "agent.id"},
	"ListCustomAgentVersions":       {"versions", "versions[].id"},
}

// place is a member of an answer.
type place struct {
	path   string // with indexes
	holder object
	name   string
	shape  shape
}

var index = regexp.MustCompile(`\[\d+\]`)

// pattern is the path without the indexes.
func (p place) pattern() string { return index.ReplaceAllString(p.path, "[]") }

// places lists the members of a value that its shape knows, in the first element of lists.
func places(path string, value any, s shape) []place {
	var out []place
	switch v := value.(type) {
	case object:
		s = s.object()
		for _, name := range s.names() {
			member, there := v[name]
			if !there {
				continue
			}
			at := strings.TrimPrefix(path+"."+name, ".")
			out = append(out, place{at, v, name, s.Members[name]})
			out = append(out, places(at, member, s.Members[name])...)
		}
	case []any:
		if len(v) > 0 && s.Element != nil {
			out = places(path+"[0]", v[0], *s.Element)
		}
	}
	return out
}

// fullAnswer makes the richest answer to a method, as a list where it may also be an object.
func fullAnswer(g *generator, m *method) any {
	g.richness = full
	body := g.value(known.Calls[m.original()].Response.object(), "")
	g.agree(m, body)
	var copied any // of shared parts and Go numbers, as JSON has them
	if err := json.Unmarshal([]byte(encode(body)), &copied); err != nil {
		panic(err)
	}
	return copied
}

// eachPlace plays an answer in which one member was changed, for every method and member.
func eachPlace(t *testing.T, change func(p place) bool, judge func(t *testing.T, m *method, p place, there, here outcome)) {
	eachMethod(t, func(t *testing.T, m *method) {
		if m.result == nil {
			return
		}
		g := newGenerator("strict " + m.name)
		args := g.arguments(known, m)
		answered := known.Calls[m.original()].Response.object()
		body := fullAnswer(g, m)
		for _, p := range places("", body, answered) {
			old := p.holder[p.name]
			if !change(p) {
				continue
			}
			there, here := scenario{method: m.name, args: args, answers: []answer{ok(encode(body))}}.play(t)
			p.holder[p.name] = old
			judge(t, m, p, there, here)
		}
	})
}

// judgeStrictness: the original refuses the answer, and here it is refused only if the member is
// one of those that matter.
func judgeStrictness(t *testing.T, m *method, p place, there, here outcome) {
	t.Helper()
	var thrown *originalError
	require.ErrorAs(t, there.err, &thrown, "%s", p.path)
	assert.Equal(t, "ValidationOutputError", thrown.Name, "%s", p.path)
	if !slices.Contains(insists[m.name], p.pattern()) {
		assert.NoError(t, here.err, "%s does not matter so much", p.path)
		return
	}
	var unusable *coder.ResponseError
	if assert.ErrorAs(t, here.err, &unusable, "without a usable %s there is no result", p.path) {
		assert.NotEmpty(t, unusable.Reason)
	}
}

func TestMissingMembers(t *testing.T) {
	eachPlace(t, func(p place) bool {
		if p.shape.Optional {
			return false
		}
		delete(p.holder, p.name)
		return true
	}, judgeStrictness)
	tally.met("members-that-matter")
}

func TestNullMembers(t *testing.T) {
	eachPlace(t, func(p place) bool {
		if p.shape.Nullable || p.shape.Type == "unknown" {
			return false
		}
		p.holder[p.name] = nil
		return true
	}, judgeStrictness)
	tally.met("members-that-matter")
}

func TestMembersOfAnotherType(t *testing.T) {
	eachPlace(t, func(p place) bool {
		switch p.shape.Type {
		case "unknown":
			return false
		case "number":
			p.holder[p.name] = "7"
		default:
			p.holder[p.name] = 7
		}
		return true
	}, judgeStrictness)
	tally.met("members-that-matter")
}

// newValue is of no enumeration yet.
const newValue = "of_a_newer_hub"

func TestUnknownEnumerationValues(t *testing.T) {
	eachPlace(t, func(p place) bool {
		if p.shape.Type != "enum" {
			return false
		}
		p.holder[p.name] = newValue
		return true
	}, func(t *testing.T, m *method, p place, there, here outcome) {
		require.Error(t, there.err, "%s", p.path)
		require.NoError(t, here.err, "%s", p.path)
		if m.name != "ListConnectableSessions" { // which filters by some of them
			assert.Contains(t, encode(here.result), newValue, "%s is kept", p.path)
		}
	})
	tally.met("unknown-enumeration-values")
}

// TestUnknownRequestEnumerations: a newer Hub's values can be sent from here.
func TestUnknownRequestEnumerations(t *testing.T) {
	for i := range methods {
		m := &methods[i]
		if m.in == nil || m.discovery() || known.Calls[m.original()].Body == nil {
			continue
		}
		s := *known.Calls[m.original()].Body
		if m.name == "UpdateSession" {
			s = s.without("workflowMode", "loop", "metadata")
		}
		for _, p := range requestEnumerations("", s) {
			g := newGenerator("request enumerations " + m.name)
			g.richness = full
			args := g.arguments(known, m)
			setPath(args[len(args)-1], p, newValue)
			if m.name == "CreateAgentBuilderSession" && p == "visibility" {
				args[0] = object{"visibility": newValue}
			}
			there, here := scenario{method: m.name, args: args, answers: []answer{g.answerTo(known, m)}}.play(t)
			var thrown *originalError
			require.ErrorAs(t, there.err, &thrown, "%s %s", m.name, p)
			assert.Equal(t, "ValidationInputError", thrown.Name, "%s %s", m.name, p)
			assert.Empty(t, there.requests)
			require.NoError(t, here.err, "%s %s", m.name, p)
			assert.Contains(t, string(here.requests[0].body), newValue)
		}
	}
	tally.met("enumerations-of-requests")
}

// requestEnumerations lists the paths of enumerations in requests, with [0] for lists.
func requestEnumerations(path string, s shape) []string {
	var out []string
	switch s.Type {
	case "enum":
		return []string{path}
	case "object":
		for _, name := range s.names() {
			out = append(out, requestEnumerations(strings.TrimPrefix(path+"."+name, "."), s.Members[name])...)
		}
	case "array":
		return requestEnumerations(path+"[0]", *s.Element)
	}
	return out
}

func setPath(value any, path string, to any) {
	name, rest, nested := strings.Cut(path, ".")
	holder := value.(object)
	if list, isList := strings.CutSuffix(name, "[0]"); isList {
		holder[list] = []any{to}
		return
	}
	if nested {
		setPath(holder[name], rest, to)
		return
	}
	holder[name] = to
}

// TestBrokenAnswersAreNotLost: what a Hub got wrong in one member does not cost the others.
func TestBrokenAnswersAreNotLost(t *testing.T) {
	for name, body := range map[string]string{
		"a text for a number": `{"sessionId":"s","events":[{"id":7,"event":"e","occurredAt":"soon"}],"total":"many","limit":3}`,
		"a fraction":          `{"sessionId":"s","events":[{"id":7,"event":"e","occurredAt":"2026-01-15T09:30:00Z"}],"total":2.5,"limit":3}`,
	} {
		_, here := scenario{method: "ListEventHistory", args: []any{"s"}, answers: []answer{ok(body)}}.play(t)
		require.NoError(t, here.err, name)
		assert.Equal(t, 3.0, here.result.(object)["limit"], name)
		assert.NotContains(t, here.result, "total", name)
		assert.Contains(t, fmt.Sprint(here.result.(object)["events"]), "event:e", name)
	}
}
