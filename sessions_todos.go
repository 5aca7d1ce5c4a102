package coder

import (
	"context"
	"encoding/json"
	"time"

	"github.com/agentuity/coder-go/internal/route"
)

// SessionTodoStatus is the state of a todo. Unknown values are kept as they came.
type SessionTodoStatus string

// The statuses of todos. The last three are terminal.
const (
	TodoOpen       SessionTodoStatus = "open"
	TodoInProgress SessionTodoStatus = "in_progress"
	TodoDone       SessionTodoStatus = "done"
	TodoClosed     SessionTodoStatus = "closed"
	TodoCancelled  SessionTodoStatus = "cancelled"
)

// SessionTodosParams selects todos. The zero value of a member means that it is not sent.
type SessionTodosParams struct {
	// IncludeTerminal also lists todos that are done, closed or cancelled.
	IncludeTerminal bool
	// IncludeSync is the flag includeSync of the Hub, which the agent's terminal sets. What it adds is not documented.
	IncludeSync bool
	// Limit is the largest number of todos to return.
	Limit int
}

// SessionTodosResponse is the todo list of a session.
type SessionTodosResponse struct {
	// SessionID is the id that was asked for.
	SessionID string `json:"sessionId"`
	// OK is always true: a response with false is an error. Op is "session_todo_list".
	OK bool   `json:"ok"`
	Op string `json:"op,omitzero"`
	// Todos is the list. Count is its length, as the Hub counts, Summary counts the todos of each status.
	Count   int                `json:"count"`
	Summary SessionTodoSummary `json:"summary"`
	Todos   []SessionTodo      `json:"todos"`
	// Unavailable says that the Hub cannot reach the todos now, so that the list means nothing. Message says why.
	Unavailable bool   `json:"unavailable,omitzero"`
	Message     string `json:"message,omitzero"`
	// Extra holds the members this package has no field for.
	Extra map[string]json.RawMessage `json:",embed"`
}

func (r *SessionTodosResponse) problem() error {
	if err := missingText("sessionId", r.SessionID); err != nil || r.Unavailable && r.Todos == nil {
		return err
	}
	return missingIn("todos", r.Todos, "id", func(t *SessionTodo) string { return t.ID })
}

func (r *SessionTodosResponse) namedSession() string { return r.SessionID }

func (*SessionTodosResponse) listsLargeStructs() {}

// SessionTodoSummary counts the todos of each status.
type SessionTodoSummary struct {
	// Open and InProgress are still to be done. Done, Closed and Cancelled are terminal.
	Open       int `json:"open"`
	InProgress int `json:"in_progress"`
	Done       int `json:"done"`
	Closed     int `json:"closed"`
	Cancelled  int `json:"cancelled"`
}

// SessionTodo is something that is to be done in a session. Only ID, Title and Status are always set. A member
// that is null has no value.
type SessionTodo struct {
	// ID identifies the todo. Title says what is to be done.
	ID     string            `json:"id"`
	Title  string            `json:"title"`
	Status SessionTodoStatus `json:"status"`
	// Type, Priority, Origin and Kind are free texts, such as "task" and "high".
	Type     Nullable[string] `json:"type,omitzero"`
	Priority Nullable[string] `json:"priority,omitzero"`
	Origin   Nullable[string] `json:"origin,omitzero"`
	Kind     Nullable[string] `json:"kind,omitzero"`

	// What it belongs to: a todo that it is a part of, a product requirements document, a thing outside the Hub, and
	// a task.
	ParentTaskID Nullable[string] `json:"parentTaskId,omitzero"`
	PRDKey       Nullable[string] `json:"prdKey,omitzero"`
	ExternalRef  Nullable[string] `json:"externalRef,omitzero"`
	TaskKey      Nullable[string] `json:"taskKey,omitzero"`

	// Assignee is who the todo is assigned to; nil if nobody.
	Assignee *SessionTodoAssignee `json:"assignee,omitzero"`

	// The sessions that have worked on it, the last of them, and the agents.
	LastSessionID      Nullable[string] `json:"lastSessionId,omitzero"`
	SessionIDs         []string         `json:"sessionIds,omitzero"`
	TouchedByAgents    []string         `json:"touchedByAgents,omitzero"`
	LastTouchedByAgent Nullable[string] `json:"lastTouchedByAgent,omitzero"`

	// Tags are words, MemoryKeys and MemoryIDs name notes in the memory of the agents.
	Tags       []string `json:"tags,omitzero"`
	MemoryKeys []string `json:"memoryKeys,omitzero"`
	MemoryIDs  []string `json:"memoryIds,omitzero"`

	// Attachments are objects, as the Hub has them; AttachmentCount is how many there are. Whole numbers that a float64
	// cannot hold are json.Number.
	Attachments     []map[string]any `json:"attachments,omitzero"`
	AttachmentCount int              `json:"attachmentCount"`

	// When it was created, and when it was changed last.
	CreatedAt time.Time `json:"createdAt,omitzero"`
	UpdatedAt time.Time `json:"updatedAt,omitzero"`
	// Extra holds the members this package has no field for.
	Extra map[string]json.RawMessage `json:",embed"`
}

// SessionTodoAssignee is who a todo is assigned to.
type SessionTodoAssignee struct {
	// ID identifies a person or an agent, Name is for people. Type is free text, such as "agent", and may be empty.
	ID   string `json:"id"`
	Name string `json:"name"`
	Type string `json:"type,omitzero"`
}

// SessionTodos returns the todo list that the agents of a session keep. Todos that are done, closed or cancelled are
// left out unless params ask for them. Nil params list what the Hub lists by default. If Unavailable is set in the
// response, the list means nothing. An unknown id is an error that matches [ErrSessionNotFound].
//
// The agent's terminal program uses this route. The Hub's REST reference does not list it.
//
// GET /hub/session/{sessionId}/todos
func (c *Client) SessionTodos(ctx context.Context, sessionID string, params *SessionTodosParams) (*SessionTodosResponse, error) {
	var q route.Query
	if params != nil {
		q.Bool("includeTerminal", params.IncludeTerminal).Bool("includeSync", params.IncludeSync).Int("limit", params.Limit)
	}
	return call[SessionTodosResponse](ctx, c, get("SessionTodos", "/hub/session/{sessionID}/todos", sessionID).with(&q))
}
