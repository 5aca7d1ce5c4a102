//go:build parity

package parity

import (
	"encoding/base64"
)

// arguments makes arguments for a method that both clients accept and both send alike.
func (g *generator) arguments(k *knowledge, m *method) []any {
	var args []any
	if m.id {
		args = append(args, g.id())
	}
	if m.in == nil {
		return args
	}
	if m.in.Kind().String() == "ptr" {
		if params := g.params(m); len(params) > 0 || g.IntN(2) == 0 {
			args = append(args, params)
		}
		return args
	}
	return append(args, g.body(k, m))
}

func (g *generator) body(k *knowledge, m *method) any {
	request := *g
	request.request = true
	described := k.Calls[m.original()].Body
	switch m.name {
	case "ValidateWorkspaceDependencies":
		return request.value(listOf(shape{Type: "string"}), "")
	case "CreateCustomSkill":
		return request.object(k.Schemas["CoderCreateCustomSkillRequest"])
	case "UpdateSession":
		s := described.without("workflowMode", "loop", "metadata")
		return request.object(s)
	}
	body := request.object(*described)
	switch m.name {
	case "CreateSession":
		request.fileContents(body["files"])
		if command, ok := body["command"].(object); ok {
			request.fileContents(command["files"])
		}
	case "CreateWorkspace":
		body["enabledAgents"] = []any{"lead"} // one selection, which the original insists on
	case "UpdateWorkspace":
		body["name"] = request.string("name")
	}
	return body
}

// fileContents replaces made-up texts by made-up bytes.
func (g *generator) fileContents(files any) {
	list, _ := files.([]any)
	for _, f := range list {
		f.(object)["content"] = object{"$bytes": base64.StdEncoding.EncodeToString(g.bytes())}
	}
}

func (g *generator) bytes() []byte {
	out := make([]byte, g.IntN(200))
	for i := range out {
		out[i] = byte(g.Uint32())
	}
	return out
}

// params makes parameters that both clients send: no false and no 0.
func (g *generator) params(m *method) object {
	p := object{}
	add := func(name string, value any) {
		if g.richness == full || g.richness == mixed && g.IntN(2) == 0 {
			p[name] = value
		}
	}
	count := pick(g, []any{1, 20, 1 + g.IntN(1000), 1 << 31, 1<<53 - 1})
	switch m.name {
	case "ListSessions":
		add("search", g.text())
		add("includeArchived", true)
		add("limit", count)
		add("offset", 1+g.IntN(100))
	case "ListConnectableSessions":
		add("search", g.text())
		add("limit", 1+g.IntN(4))
		add("offset", 1+g.IntN(3))
	case "ListUsers":
		add("search", g.text())
		add("limit", count)
		add("offset", 1+g.IntN(100))
	case "GetReplay":
		add("limit", count)
		add("offset", 1+g.IntN(100))
	case "ListParticipants", "ListEventHistory":
		add("limit", count)
	case "ListCustomAgents":
		add("includeArchived", true)
	case "PrepareSessionForRemoteAttach":
		add("timeoutMs", 60_000)
		p["pollIntervalMs"] = 1
	default:
		panic("no parameters for " + m.name)
	}
	return p
}

// answerTo makes an answer to a method that both clients accept.
func (g *generator) answerTo(k *knowledge, m *method) answer {
	s := k.response(m)
	a := answer{
		status:      pick(g, []int{200, 200, 201, 202, 206}),
		contentType: pick(g, []string{"application/json", "application/json; charset=utf-8", "application/json;charset=UTF-8"}),
		chunked:     g.IntN(3) == 0,
	}
	if s == nil { // nothing is checked
		a.body = pick(g, []string{"", "{}", `{"sessionId":"id_1","status":"deleted"}`, "null", "[]"})
		return a
	}
	body := g.value(*s, "")
	g.agree(m, body)
	a.body = encode(body)
	return a
}

// agree changes what an answer says where its meaning matters: deletions worked, and the session
// of PrepareSessionForRemoteAttach needs no waking, which has its own scenarios.
func (g *generator) agree(m *method, body any) {
	b, ok := body.(object)
	if !ok {
		return
	}
	for _, verdict := range []string{"ok", "success"} {
		if _, said := b[verdict]; said {
			b[verdict] = true
		}
	}
	if m.name == "PrepareSessionForRemoteAttach" {
		b["wakeAvailable"] = false
	}
}
