package drift

import (
	"strings"
	"sync"

	"github.com/agentuity/coder-go"
)

// route is a route of the Hub, and what it answers.
type route struct {
	name       string // method and template
	segments   []string
	shape      check
	mayBeEmpty bool // a deletion needs no body
}

// known are all routes and messages. They are made of the types of the library when the first answer is looked at.
var known = sync.OnceValue(func() *catalogue {
	s := newShapes()
	c := &catalogue{frame: s.frame(), observed: s.observed()}
	for name, answer := range s.answers() {
		method, path, _ := strings.Cut(name, " ")
		c.routes = append(c.routes, &route{
			name: name, segments: strings.Split(path, "/"), shape: answer, mayBeEmpty: method == "DELETE",
		})
	}
	return c
})

type catalogue struct {
	routes   []*route
	frame    check
	observed func(name string) check
}

// answers has what each route answers with 2xx.
func (s *shapes) answers() map[string]check {
	var (
		session   = shape[coder.Session](s)
		workspace = object{"workspace": shape[coder.WorkspaceDetail](s)}.check
		agent     = object{"agent": shape[coder.CustomAgent](s)}.check
		skill     = object{"skill": shape[coder.SavedSkill](s)}.check
		deleted   = object{"ok": boolean}.check
		packages  = shape[coder.WorkspaceDependencyValidationResponse](s)
	)
	return map[string]check{
		"GET /coder": object{"url": text}.check,

		"GET /hub/sessions": object{
			"sessions": object{
				"websocket": shape[[]coder.SessionListItem](s), "sandbox": shape[[]coder.SandboxSessionListItem](s),
			}.check,
			"total": whole,
		}.check,
		"POST /hub/session":                                   shape[coder.CreateSessionResponse](s),
		"POST /hub/session/builder":                           shape[coder.CreateSessionResponse](s),
		"GET /hub/session/{sessionID}":                        session,
		"PATCH /hub/session/{sessionID}":                      shape[coder.UpdateSessionResponse](s),
		"DELETE /hub/session/{sessionID}":                     object{"ok": boolean, "sessionId": text, "status": text}.check,
		"POST /hub/session/{sessionID}/archive":               shape[coder.LifecycleResponse](s),
		"POST /hub/session/{sessionID}/resume":                shape[coder.LifecycleResponse](s),
		"GET /hub/session/{sessionID}/replay":                 shape[coder.SessionReplay](s),
		"GET /hub/session/{sessionID}/participants":           shape[coder.SessionParticipants](s),
		"GET /hub/session/{sessionID}/events/history":         shape[coder.SessionEventHistory](s),
		"GET /hub/session/{sessionID}/loop":                   shape[coder.LoopStateResponse](s),
		"GET /hub/session/{sessionID}/todos":                  shape[coder.SessionTodosResponse](s),
		"GET /hub/workspaces":                                 shape[coder.WorkspaceListResponse](s),
		"POST /hub/workspaces":                                workspace,
		"GET /hub/workspaces/{workspaceID}":                   workspace,
		"PATCH /hub/workspaces/{workspaceID}":                 workspace,
		"DELETE /hub/workspaces/{workspaceID}":                deleted,
		"POST /hub/workspaces/dependencies/validate":          object{"success": boolean, "data": packages}.check,
		"GET /hub/agents":                                     shape[coder.CustomAgentListResponse](s),
		"POST /hub/agents":                                    agent,
		"GET /hub/agents/{agentIDOrSlug}":                     agent,
		"PATCH /hub/agents/{agentIDOrSlug}":                   agent,
		"POST /hub/agents/{agentIDOrSlug}/publish":            agent,
		"POST /hub/agents/{agentIDOrSlug}/archive":            agent,
		"GET /hub/agents/{agentIDOrSlug}/versions":            shape[coder.CustomAgentVersionListResponse](s),
		"GET /hub/skills/library":                             shape[coder.SavedSkillListResponse](s),
		"POST /hub/skills/library":                            skill,
		"DELETE /hub/skills/library/{skillID}":                deleted,
		"GET /hub/skills/buckets":                             shape[coder.SkillBucketListResponse](s),
		"POST /hub/skills/buckets":                            object{"bucket": shape[coder.SkillBucket](s)}.check,
		"DELETE /hub/skills/buckets/{bucketID}":               deleted,
		"GET /hub/skills":                                     shape[coder.HubSkillFiles](s),
		"GET /hub/init":                                       typed[coder.HubInitMessage](s),
		"GET /hub/github/accounts":                            shape[coder.GitHubAccountListResponse](s),
		"GET /hub/github/repos":                               shape[coder.GitHubRepositoryListResponse](s),
		"GET /hub/users":                                      either(shape[[]coder.User](s), shape[coder.ListUsersResponse](s)),
		"POST /hub/workspaces/{workspaceID}/snapshot/refresh": workspace,
	}
}

// failure is the body of an answer other than 2xx, in all forms that the contract has of it.
var failure = object{
	"success": boolean, "code": oneOf(values["ErrorCode"]...), "message": text, "details": freeObject,
	"error": orText(object{
		"name": text, "message": text,
		"issues": listOf(object{"code": text, "path": listOf(free), "message": text, "input": free}.check),
	}.check),
}.check

// routeOf returns the route of a path, nil if there is none. A literal element goes before a parameter.
func routeOf(method, path string) *route {
	path, _, _ = strings.Cut(path, "?")
	if i := strings.LastIndex(path, "/api/hub/"); i >= 0 {
		path = path[i+len("/api"):]
	} else if strings.HasSuffix(path, "/coder") {
		path = "/coder"
	}
	segments := strings.Split(path, "/")
	var found *route
	for _, r := range known().routes {
		if strings.HasPrefix(r.name, method+" ") && r.matches(segments) && (found == nil || found.parameters() > r.parameters()) {
			found = r
		}
	}
	return found
}

func (r *route) matches(segments []string) bool {
	if len(segments) != len(r.segments) {
		return false
	}
	for i, segment := range segments {
		if segment == "" != (r.segments[i] == "") || segment != r.segments[i] && !isParameter(r.segments[i]) {
			return false
		}
	}
	return true
}

func (r *route) parameters() (n int) {
	for _, segment := range r.segments {
		if isParameter(segment) {
			n++
		}
	}
	return n
}

func isParameter(segment string) bool { return strings.HasPrefix(segment, "{") }
