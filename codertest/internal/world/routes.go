package world

import "time"

// Route is something a client can ask for with one HTTP request.
type Route struct {
	// Method is the HTTP method.
	Method string
	// Pattern is the path below /api. It has {…} in place of an id.
	Pattern string
	// Status is the HTTP status of success.
	Status int

	serve func(*Call) (any, error)
}

// Routes returns what a client can ask for. A pattern with a literal comes
// before one with {…} in the same place.
func (w *World) Routes() []Route {
	return []Route{
		{"POST", "/hub/session", 201, w.sessions.create},
		{"POST", "/hub/session/builder", 201, w.sessions.createBuilder},
		{"GET", "/hub/sessions", 200, w.sessions.list},
		{"GET", "/hub/session/{id}", 200, w.sessions.get},
		{"PATCH", "/hub/session/{id}", 200, w.sessions.update},
		{"DELETE", "/hub/session/{id}", 200, w.sessions.delete},
		{"POST", "/hub/session/{id}/archive", 200, w.sessions.archive},
		{"POST", "/hub/session/{id}/resume", 200, w.sessions.resume},
		{"GET", "/hub/session/{id}/replay", 200, w.sessions.replay},
		{"GET", "/hub/session/{id}/participants", 200, w.sessions.participants},
		{"GET", "/hub/session/{id}/events/history", 200, w.sessions.events},
		{"GET", "/hub/session/{id}/loop", 200, w.sessions.loop},
		{"GET", "/hub/session/{id}/todos", 200, w.sessions.listTodos},
		{"GET", "/hub/init", 200, w.init},
		{"GET", "/hub/workspaces", 200, w.workspaces.list},
		{"POST", "/hub/workspaces", 201, w.workspaces.create},
		{"POST", "/hub/workspaces/dependencies/validate", 200, validateDependencies},
		{"GET", "/hub/workspaces/{id}", 200, w.workspaces.get},
		{"PATCH", "/hub/workspaces/{id}", 200, w.workspaces.update},
		{"DELETE", "/hub/workspaces/{id}", 200, w.workspaces.delete},
		{"POST", "/hub/workspaces/{id}/snapshot/refresh", 200, w.workspaces.refreshSnapshot},
		{"GET", "/hub/agents", 200, w.agents.list},
		{"POST", "/hub/agents", 201, w.agents.create},
		{"GET", "/hub/agents/{idOrSlug}", 200, w.agents.get},
		{"PATCH", "/hub/agents/{idOrSlug}", 200, w.agents.update},
		{"POST", "/hub/agents/{idOrSlug}/publish", 200, w.agents.publish},
		{"POST", "/hub/agents/{idOrSlug}/archive", 200, w.agents.archive},
		{"GET", "/hub/agents/{idOrSlug}/versions", 200, w.agents.listVersions},
		{"GET", "/hub/skills", 200, w.skills.listFiles},
		{"GET", "/hub/skills/library", 200, w.skills.list},
		{"POST", "/hub/skills/library", 201, w.skills.save},
		{"DELETE", "/hub/skills/library/{id}", 200, w.skills.delete},
		{"GET", "/hub/skills/buckets", 200, w.skills.listBuckets},
		{"POST", "/hub/skills/buckets", 201, w.skills.createBucket},
		{"DELETE", "/hub/skills/buckets/{id}", 200, w.skills.deleteBucket},
		{"GET", "/hub/github/accounts", 200, w.github.listAccounts},
		{"GET", "/hub/github/repos", 200, w.github.listRepositories},
		{"GET", "/hub/users", 200, w.users.list},
	}
}

// Serve does what a client asks for and returns the JSON of the answer. If the
// Hub refuses, the error is a [*Problem], and [ErrDown] while it is down.
func (w *World) Serve(r *Route, c *Call) ([]byte, error) {
	answer, err := w.serve(r, c)
	if err != nil {
		return nil, err
	}
	return Encode(answer), nil
}

func (w *World) serve(r *Route, c *Call) (any, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.restart.down {
		return nil, ErrDown
	}
	w.idle.news(time.Now())
	return r.serve(c)
}

// removed is the answer to a DELETE that is not of a session.
type removed struct {
	OK bool `json:"ok"`
}
