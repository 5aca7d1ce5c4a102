package codertest

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// call is what a route needs to know of a request.
type call struct {
	id    string // the path element a pattern calls {…}, decoded
	query url.Values
	body  []byte
}

// route is one entry of the Hub's table. Its pattern is the path below /api,
// save for discovery, which has a root of its own.
type route struct {
	method   string
	pattern  string
	status   int // of success
	serve    func(*Hub, *call) (any, error)
	live     *channel // instead of serve, for what is no request with one answer
	segments []string
}

// routes is ordered: a literal element comes before a {…} in the same place.
var routes = compile([]route{
	{method: "GET", pattern: "/coder", status: 200, serve: (*Hub).discover},
	{method: "POST", pattern: "/hub/session", status: 201, serve: (*Hub).createSession},
	{method: "POST", pattern: "/hub/session/builder", status: 201, serve: (*Hub).createBuilderSession},
	{method: "GET", pattern: "/hub/sessions", status: 200, serve: (*Hub).listSessions},
	{method: "GET", pattern: "/hub/session/{id}", status: 200, serve: (*Hub).getSession},
	{method: "PATCH", pattern: "/hub/session/{id}", status: 200, serve: (*Hub).updateSession},
	{method: "DELETE", pattern: "/hub/session/{id}", status: 200, serve: (*Hub).deleteSession},
	{method: "POST", pattern: "/hub/session/{id}/archive", status: 200, serve: (*Hub).archiveSession},
	{method: "POST", pattern: "/hub/session/{id}/resume", status: 200, serve: (*Hub).resumeSession},
	{method: "GET", pattern: "/hub/session/{id}/replay", status: 200, serve: (*Hub).getReplay},
	{method: "GET", pattern: "/hub/session/{id}/participants", status: 200, serve: (*Hub).listParticipants},
	{method: "GET", pattern: "/hub/session/{id}/events/history", status: 200, serve: (*Hub).listEventHistory},
	{method: "GET", pattern: "/hub/session/{id}/events", live: &eventStream},
	{method: "GET", pattern: "/hub/session/{id}/loop", status: 200, serve: (*Hub).getLoopState},
	{method: "GET", pattern: "/ws", live: &socketRoute},
	{method: "GET", pattern: "/hub/workspaces", status: 200, serve: (*Hub).listWorkspaces},
	{method: "POST", pattern: "/hub/workspaces", status: 201, serve: (*Hub).createWorkspace},
	{method: "POST", pattern: "/hub/workspaces/dependencies/validate", status: 200, serve: (*Hub).validateDependencies},
	{method: "GET", pattern: "/hub/workspaces/{id}", status: 200, serve: (*Hub).getWorkspace},
	{method: "PATCH", pattern: "/hub/workspaces/{id}", status: 200, serve: (*Hub).updateWorkspace},
	{method: "DELETE", pattern: "/hub/workspaces/{id}", status: 200, serve: (*Hub).deleteWorkspace},
	{method: "POST", pattern: "/hub/workspaces/{id}/snapshot/refresh", status: 200, serve: (*Hub).refreshWorkspaceSnapshot},
	{method: "GET", pattern: "/hub/agents", status: 200, serve: (*Hub).listAgents},
	{method: "POST", pattern: "/hub/agents", status: 201, serve: (*Hub).createAgent},
	{method: "GET", pattern: "/hub/agents/{idOrSlug}", status: 200, serve: (*Hub).getAgent},
	{method: "PATCH", pattern: "/hub/agents/{idOrSlug}", status: 200, serve: (*Hub).updateAgent},
	{method: "POST", pattern: "/hub/agents/{idOrSlug}/publish", status: 200, serve: (*Hub).publishAgent},
	{method: "POST", pattern: "/hub/agents/{idOrSlug}/archive", status: 200, serve: (*Hub).archiveAgent},
	{method: "GET", pattern: "/hub/agents/{idOrSlug}/versions", status: 200, serve: (*Hub).listAgentVersions},
	{method: "GET", pattern: "/hub/skills/library", status: 200, serve: (*Hub).listSavedSkills},
	{method: "POST", pattern: "/hub/skills/library", status: 201, serve: (*Hub).saveSkill},
	{method: "DELETE", pattern: "/hub/skills/library/{id}", status: 200, serve: (*Hub).deleteSavedSkill},
	{method: "GET", pattern: "/hub/skills/buckets", status: 200, serve: (*Hub).listSkillBuckets},
	{method: "POST", pattern: "/hub/skills/buckets", status: 201, serve: (*Hub).createSkillBucket},
	{method: "DELETE", pattern: "/hub/skills/buckets/{id}", status: 200, serve: (*Hub).deleteSkillBucket},
	{method: "GET", pattern: "/hub/github/accounts", status: 200, serve: (*Hub).listGitHubAccounts},
	{method: "GET", pattern: "/hub/github/repos", status: 200, serve: (*Hub).listGitHubRepos},
	{method: "GET", pattern: "/hub/users", status: 200, serve: (*Hub).listUsers},
})

func compile(table []route) []route {
	for i := range table {
		table[i].segments = split(table[i].pattern)
	}
	return table
}

func split(path string) []string { return strings.Split(strings.TrimPrefix(path, "/"), "/") }

// isDiscovery tells the one path that is not below /api.
func isDiscovery(segments []string) bool { return segments[0] == "coder" }

func isPlaceholder(segment string) bool { return strings.HasPrefix(segment, "{") }

// target is where a request goes: its escaped path elements below /api, and
// the route found for them, if any.
type target struct {
	segments []string
	api      bool
	route    *route
	allow    []string // methods the path has, if the request's is not among them
}

// locate finds the route of a request. It compares escaped elements, so that
// an id may contain a slash.
func locate(method, escapedPath string) target {
	path, api := strings.CutPrefix(escapedPath, "/api/")
	t := target{segments: split(path), api: api}
	for i := range routes {
		r := &routes[i]
		if !r.holds(t) {
			continue
		}
		if r.method == method {
			t.route = r
			return t
		}
		t.allow = append(t.allow, r.method)
	}
	return t
}

// holds reports whether the path of t is one of the route's.
func (r *route) holds(t target) bool {
	if t.api == isDiscovery(r.segments) {
		return false
	}
	return slices.EqualFunc(r.segments, t.segments, func(want, have string) bool {
		return want == have || isPlaceholder(want) && have != ""
	})
}

// literal reports whether the route has a fixed word in this place, such as
// builder in /hub/session/builder.
func (t target) literal(i int) bool { return t.route != nil && !isPlaceholder(t.route.segments[i]) }

// id returns the decoded path element that stands for the route's {…}.
func (t target) id() string {
	i := slices.IndexFunc(t.route.segments, isPlaceholder)
	if i < 0 {
		return ""
	}
	id, err := url.PathUnescape(t.segments[i])
	if err != nil {
		return t.segments[i]
	}
	return id
}

// refusal is the answer to a request no route takes.
func (t target) refusal() *problem {
	if len(t.allow) == 0 {
		return notFound("No such route")
	}
	return &problem{
		status:  http.StatusMethodNotAllowed,
		message: "This route takes " + strings.Join(t.allow, ", "),
		header:  http.Header{"Allow": {strings.Join(t.allow, ", ")}},
	}
}
