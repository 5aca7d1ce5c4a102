//go:build parity

package parity

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/coder/websocket"
)

func (c *comparison) mismatch(format string, args ...any) {
	c.found = append(c.found, fmt.Sprintf(format, args...))
}

func (c *comparison) transcripts(there, here *transcript) {
	for i, a := range there.actors {
		c.notices(a.name, there.tidy(c, a.log), here.tidy(c, here.actors[i].log))
	}
	// Who looks at the session itself is told apart from who follows it.
	follows := func(p *passage) bool {
		return !strings.HasPrefix(p.path(), tapPrefix+"/api/hub/session/") || strings.HasSuffix(p.path(), "/events")
	}
	mine := slices.DeleteFunc(slices.Clone(here.passages), func(p *passage) bool { return !follows(p) })
	if len(mine) != len(here.passages) {
		c.differences["lost-streams"] = true
	}
	if len(there.passages) != len(mine) {
		c.mismatch("%d connections there and %d here:\n    %s\n    %s", len(there.passages), len(mine), targets(there.passages), targets(mine))
		return
	}
	for i, p := range there.passages {
		c.passage(fmt.Sprintf("connection %d", i+1), there, here, p, mine[i])
	}
}

// follows tells who follows a session from who looks at it.
func follows(p *passage) bool {
	return !strings.HasPrefix(p.path(), tapPrefix+"/api/hub/session/") || strings.HasSuffix(p.path(), "/events")
}

func (p *passage) path() string {
	path, _, _ := strings.Cut(p.target, "?")
	return path
}

func targets(passages []*passage) string {
	var out []string
	for _, p := range passages {
		out = append(out, p.target)
	}
	return strings.Join(out, ", ")
}

// withoutSchema are types of messages that Hubs send and the original has no schema for. Nothing at
// all is that of answers that scenarios spoil.
var withoutSchema = []any{"rpc_command", "rpc_command_error", "rpc_ui_response", nil}

// tidy takes out what only one side tells, and puts answers, which come beside the messages, last.
func (tr *transcript) tidy(c *comparison, log []notice) []notice {
	var messages, beside []notice
	silent := tr.scenario.socket == "subscription" || slices.ContainsFunc(log, func(n notice) bool { return n.content()["type"] == "snapshot" })
	heartbeats := false
	for _, n := range log {
		var last string
		if len(messages) > 0 {
			last = messages[len(messages)-1].Kind
		}
		value, _ := n.Value.(object)
		n.Value = tr.normal(n.Value)
		if n.Valid != nil && !*n.Valid && !slices.Contains(withoutSchema, value["type"]) {
			c.mismatch("the Hub sent what the original has no schema for: %s", n)
		}
		switch {
		case n.Kind == "answer" || n.Kind == "failure":
			beside = append(beside, n)
		case n.content()["type"] == "pong":
			if !heartbeats { // they come when they come: one stands for all
				beside = append(beside, n)
			}
			heartbeats = true
		case n.Kind == "error" && (value["code"] == nil || value["code"] == "connection_error" && value["closeCode"] == nil):
			// by the original, of a connection that broke, and it connects again
		case n.Kind == "closed" && last == "error", n.Kind == "lost" && (last == "" || last == "lost"):
			// is said already, or not worth it
		case n.Kind == "error" && last == "lost":
			messages[len(messages)-1] = n
		case n.Kind == "lost" && silent:
			c.differences["reconnected-streams"] = true
		case n.Kind == "lost":
			messages = append(messages, notice{Kind: n.Kind})
		default:
			messages = append(messages, n)
		}
	}
	if last := len(messages) - 1; last >= 0 && messages[last].Kind == "lost" {
		messages = messages[:last]
	}
	return append(messages, beside...)
}

func (c *comparison) notices(name string, there, here []notice) {
	for i := range max(len(there), len(here)) {
		switch {
		case i >= len(there):
			c.mismatch("%s noticed more here: %s", name, here[i])
			return
		case i >= len(here):
			c.mismatch("%s noticed more there: %s", name, there[i])
			return
		case there[i].Kind != here[i].Kind:
			c.mismatch("notice %d of %s is %s there and %s here", i+1, name, there[i], here[i])
			return
		}
	}
	for i, n := range there {
		want, got := n.Value, here[i].Value
		if n.Kind == "error" || n.Kind == "failure" {
			got = sameMembers(want, got)
		}
		c.value(fmt.Sprintf("%s of %s, notice %d", n.Kind, name, i+1), want, got)
	}
}

// sameMembers takes out what an error says beyond the other one.
func sameMembers(want, got any) any {
	w, _ := want.(object)
	g, _ := got.(object)
	out := object{}
	for name := range w {
		if v, ok := g[name]; ok {
			out[name] = v
		}
	}
	return out
}

// passage compares a connection: the request, and what the client sent over it.
func (c *comparison) passage(name string, there, here *transcript, w, g *passage) {
	if w.method != g.method || w.path() != g.path() {
		c.mismatch("%s is %s %s there and %s %s here", name, w.method, w.target, g.method, g.target)
	}
	c.parameters(name, w, g)
	c.credentials(name, w, g)

	sentThere, pingThere := w.sent(there.T)
	sentHere, pingHere := g.sent(here.T)
	if w.hubFirst && g.hubFirst { // the client may not have come to it
		n := min(len(sentThere), len(sentHere))
		sentThere, sentHere = sentThere[:n], sentHere[:n]
	}
	c.exactly(name+": the frames sent", there.normal(orEmpty(sentThere)), here.normal(orEmpty(sentHere)))
	c.exactly(name+": the heartbeat", there.normal(pingThere), here.normal(pingHere))
	if closeText(w.closed) != closeText(g.closed) {
		c.mismatch("%s was closed by %s there and by %s here", name, closeText(w.closed), closeText(g.closed))
	}
}

func orEmpty(list []any) []any { return append([]any{}, list...) }

func closeText(closed *websocket.CloseError) string {
	if closed == nil {
		return "nobody"
	}
	return fmt.Sprintf("%d %s", closed.Code, closed.Reason)
}

// parameters compares the query byte by byte, but for the credentials.
func (c *comparison) parameters(name string, w, g *passage) {
	_, want, _ := strings.Cut(w.target, "?")
	_, got, _ := strings.Cut(g.target, "?")
	secret := func(p string) bool { return strings.HasPrefix(p, "api_key=") || strings.HasPrefix(p, "org_id=") }
	theirs := slices.DeleteFunc(strings.Split(want, "&"), secret)
	ours := strings.Split(got, "&")
	if slices.Equal(theirs, ours) || len(theirs) == 0 && got == "" {
		return
	}
	const end = "%2Csession_shutdown"
	if len(theirs) == 1 && len(ours) == 1 && ours[0] == theirs[0]+end && strings.HasSuffix(w.path(), "/events") {
		c.differences["subscribed-to-the-end"] = true
		return
	}
	c.mismatch("%s: the query is %s there and %s here", name, want, got)
}

// credentials compares who says who it is: in the query there, in headers here.
func (c *comparison) credentials(name string, w, g *passage) {
	target, err := url.ParseRequestURI(w.target)
	if err != nil {
		c.mismatch("%s: %v", name, err)
		return
	}
	key, org := target.Query().Get("api_key"), target.Query().Get("org_id")
	if w.header.Get("Upgrade") != "" {
		org = target.Query().Get("orgId") // which is in the query of both
	} else if theirs, ours := w.header.Get("Accept"), g.header.Get("Accept"); theirs != ours {
		c.mismatch("%s: the header Accept is %q there and %q here", name, theirs, ours)
	}
	bearer := ""
	if key != "" {
		bearer = "Bearer " + key
		c.differences["credentials-of-streams"] = true
	}
	for header, want := range map[string]string{"Authorization": bearer, "X-Agentuity-Orgid": org, "X-Agentuity-Auth-Api-Key": ""} {
		if w.header.Get(header) != "" {
			c.mismatch("%s: the header %s is sent there", name, header)
		}
		if got := g.header.Get(header); got != want {
			c.mismatch("%s: the header %s is %q here, and would have to be %q", name, header, got, want)
		}
	}
}
