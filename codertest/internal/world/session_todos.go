package world

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Todo is something that is to be done in a session.
type Todo struct {
	ID, Title, Status, Type, Priority, ParentTaskID string
	AssigneeID, AssigneeName, AssigneeType          string
	Tags                                            []string
	Created, Updated                                time.Time
}

// sessionTodo is a todo as it is answered.
type sessionTodo struct {
	ID              string        `json:"id"`
	Title           string        `json:"title"`
	Status          string        `json:"status"`
	Type            string        `json:"type"`
	Priority        *string       `json:"priority"`
	ParentTaskID    *string       `json:"parentTaskId"`
	Assignee        *todoAssignee `json:"assignee"`
	SessionIDs      []string      `json:"sessionIds"`
	Tags            []string      `json:"tags"`
	MemoryKeys      []string      `json:"memoryKeys"`
	MemoryIDs       []string      `json:"memoryIds"`
	TouchedByAgents []string      `json:"touchedByAgents"`
	Attachments     []string      `json:"attachments"` // there are none
	AttachmentCount int           `json:"attachmentCount"`
	CreatedAt       string        `json:"createdAt"`
	UpdatedAt       string        `json:"updatedAt"`
}

type todoAssignee struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Type string `json:"type,omitzero"`
}

type todoList struct {
	SessionID string        `json:"sessionId"`
	OK        bool          `json:"ok"`
	Op        string        `json:"op"`
	Count     int           `json:"count"`
	Summary   todoSummary   `json:"summary"`
	Todos     []sessionTodo `json:"todos"`
}

type todoSummary struct {
	Open       int `json:"open"`
	InProgress int `json:"in_progress"`
	Done       int `json:"done"`
	Closed     int `json:"closed"`
	Cancelled  int `json:"cancelled"`
}

// SetTodos replaces the todos of the session.
func (s *Session) SetTodos(todos []Todo) {
	s.change(func(now time.Time) {
		kept := make([]sessionTodo, len(todos))
		for i, t := range todos {
			kept[i] = s.todo(t, i+1, now)
		}
		s.todos = kept
	})
}

func (s *Session) todo(t Todo, number int, now time.Time) sessionTodo {
	if t.Created.IsZero() {
		t.Created = now
	}
	if t.Updated.IsZero() {
		t.Updated = t.Created
	}
	todo := sessionTodo{
		ID:         cmp.Or(t.ID, fmt.Sprintf("todo_%06d", number)),
		Title:      t.Title,
		Status:     cmp.Or(t.Status, "open"),
		Type:       cmp.Or(t.Type, "task"),
		SessionIDs: []string{s.id},
		Tags:       slices.Clone(t.Tags),
		CreatedAt:  iso(t.Created),
		UpdatedAt:  iso(t.Updated),
	}
	if t.Priority != "" {
		todo.Priority = new(t.Priority)
	}
	if t.ParentTaskID != "" {
		todo.ParentTaskID = new(t.ParentTaskID)
	}
	if t.AssigneeID != "" {
		todo.Assignee = &todoAssignee{t.AssigneeID, cmp.Or(t.AssigneeName, t.AssigneeID), t.AssigneeType}
		if t.AssigneeType == "agent" {
			todo.TouchedByAgents = []string{todo.Assignee.Name}
		}
	}
	return todo
}

// listTodos answers with the todos in their order. Those that are done, closed or cancelled are left out unless
// includeTerminal is true; summary counts them all the same. The flag includeSync changes nothing.
func (all *sessions) listTodos(c *Call) (any, error) {
	terminal, err := c.queryFlag("includeTerminal")
	if err != nil {
		return nil, err
	}
	if _, err := c.queryFlag("includeSync"); err != nil {
		return nil, err
	}
	limit, err := c.queryCount("limit", unlimited)
	if err != nil {
		return nil, err
	}
	s, err := all.find(c.ID)
	if err != nil {
		return nil, err
	}
	answer := todoList{SessionID: s.id, OK: true, Op: "session_todo_list"}
	for _, todo := range s.todos {
		over := answer.Summary.add(todo.Status)
		if !over || terminal {
			answer.Todos = append(answer.Todos, todo)
		}
	}
	answer.Todos = page(answer.Todos, limit, 0)
	answer.Count = len(answer.Todos)
	return answer, nil
}

// add counts a todo and reports whether its status is terminal.
func (s *todoSummary) add(status string) (over bool) {
	switch status {
	case "open":
		s.Open++
	case "in_progress":
		s.InProgress++
	case "done":
		s.Done++
		return true
	case "closed":
		s.Closed++
		return true
	case "cancelled":
		s.Cancelled++
		return true
	}
	return false
}
