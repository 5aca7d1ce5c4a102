package codertest

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/agentuity/coder-go/codertest/internal/world"
)

// route is a route of the Hub: one of the world's, discovery, or a live channel.
type route struct {
	world.Route
	answer   func(*exchange) answer // of discovery
	live     *channel               // of a live channel
	segments []string
}

// allRoutes returns the routes of the Hub: three of its own, and those that
// [world.World.Routes] lists.
func (h *Hub) allRoutes() []route {
	routes := []route{
		{Route: world.Route{Method: "GET", Pattern: "/coder", Status: http.StatusOK}, answer: (*exchange).discover},
		{Route: world.Route{Method: "GET", Pattern: "/hub/session/{id}/events"}, live: &eventStream},
		{Route: world.Route{Method: "GET", Pattern: "/ws"}, live: &socketRoute},
	}
	for _, r := range h.world.Routes() {
		routes = append(routes, route{Route: r})
	}
	for i := range routes {
		routes[i].segments = split(routes[i].Pattern)
	}
	return routes
}

func split(path string) []string { return strings.Split(strings.TrimPrefix(path, "/"), "/") }

// isDiscovery reports whether a path is that of discovery, the only one that is
// not below /api.
func isDiscovery(segments []string) bool { return segments[0] == "coder" }

func isPlaceholder(segment string) bool { return strings.HasPrefix(segment, "{") }

// target is where a request goes: the elements of its path, escaped, and the route
// that was found for them.
type target struct {
	segments []string
	api      bool     // whether the path is below /api; the elements are those after it
	route    *route   // nil: there is none
	allow    []string // methods of the path, if it has no route for that of the request
}

// locate finds the route of a request. It compares escaped elements, so that an id
// may have a slash.
func (h *Hub) locate(method, escapedPath string) target {
	path, api := strings.CutPrefix(escapedPath, "/api/")
	t := target{segments: split(path), api: api}
	for i := range h.routes {
		r := &h.routes[i]
		if !r.matches(t) {
			continue
		}
		if r.Method == method {
			t.route = r
			return t
		}
		t.allow = append(t.allow, r.Method)
	}
	return t
}

// matches reports whether the path of t is one of the route's.
func (r *route) matches(t target) bool {
	if t.api == isDiscovery(r.segments) {
		return false
	}
	return slices.EqualFunc(r.segments, t.segments, func(want, have string) bool {
		return want == have || isPlaceholder(want) && have != ""
	})
}

// literal reports whether the route has a literal in this place, such as builder in
// /hub/session/builder.
func (t target) literal(i int) bool { return t.route != nil && !isPlaceholder(t.route.segments[i]) }

// id returns the path element in place of the route's {…}, decoded.
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

// pattern is the route in the form of http.Request.Pattern, "" if there is none.
func (t target) pattern() string {
	switch {
	case t.route == nil:
		return ""
	case t.api:
		return t.route.Method + " /api" + t.route.Pattern
	default:
		return t.route.Method + " " + t.route.Pattern
	}
}

// problem is the answer to a request that has no route.
func (t target) problem() *world.Problem {
	if len(t.allow) == 0 {
		return &world.Problem{Status: http.StatusNotFound, Message: "No such route"}
	}
	return &world.Problem{
		Status:  http.StatusMethodNotAllowed,
		Message: "This route takes " + strings.Join(t.allow, ", "),
		Header:  http.Header{"Allow": {strings.Join(t.allow, ", ")}},
	}
}

func (t target) channel() *channel {
	if t.route == nil {
		return nil
	}
	return t.route.live
}
