package codertest_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

func TestSessionTodos(t *testing.T) {
	f := start(t)
	id, other := f.create(`{"task":"x"}`), f.create(`{"task":"y"}`)
	todos := "/hub/session/" + id + "/todos"
	assert.Equal(t, map[string]any{
		"sessionId": id, "ok": true, "op": "session_todo_list", "count": 0.0, "todos": []any{},
		"summary": map[string]any{"open": 0.0, "in_progress": 0.0, "done": 0.0, "closed": 0.0, "cancelled": 0.0},
	}, f.get(todos))

	created := time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC)
	tags := []string{"auth"}
	f.Session(id).SetTodos(
		codertest.Todo{Title: "a", Tags: tags, Created: created},
		codertest.Todo{ID: "todo_b", Title: "b", Status: coder.TodoDone, Type: "bug", Priority: "high", ParentTaskID: "todo_000001"},
		codertest.Todo{Title: "c", Status: coder.TodoInProgress, Assignee: coder.SessionTodoAssignee{ID: "agent_1", Type: "agent"}},
		codertest.Todo{Title: "d", Status: coder.TodoClosed},
		codertest.Todo{Title: "e", Status: coder.TodoCancelled},
		codertest.Todo{Title: "f", Status: "of a newer Hub", Created: created, Updated: created.Add(time.Hour)},
	)
	tags[0] = "changed later"
	got := f.get(todos)
	assert.Equal(t, []any{"a", "c", "f"}, all(t, got["todos"], "title"), "what is over is left out")
	assert.InDelta(t, 3, got["count"], 0)
	assert.Equal(t, map[string]any{"open": 1.0, "in_progress": 1.0, "done": 1.0, "closed": 1.0, "cancelled": 1.0}, got["summary"])
	assert.Equal(t, "todo_000001 open task <nil> <nil> <nil> [auth] 2026-01-15T10:00:00.000Z 2026-01-15T10:00:00.000Z",
		text(at(t, got, "todos", 0), "id", "status", "type", "priority", "parentTaskId", "assignee", "tags", "createdAt", "updatedAt"))
	assert.Equal(t, map[string]any{"id": "agent_1", "name": "agent_1", "type": "agent"}, at(t, got, "todos", 1, "assignee"))
	assert.Equal(t, "2026-01-15T11:00:00.000Z", at(t, got, "todos", 2, "updatedAt"))

	got = f.get(todos + "?includeTerminal=true&includeSync=true&limit=2")
	assert.Equal(t, []any{"a", "b"}, all(t, got["todos"], "title"))
	assert.Equal(t, "todo_b done bug high todo_000001", text(at(t, got, "todos", 1), "id", "status", "type", "priority", "parentTaskId"))
	assert.InDelta(t, 2, got["count"], 0)
	for _, bad := range []string{"limit=-1", "limit=x", "includeTerminal=perhaps", "includeSync=2"} {
		f.call(400, "GET", todos+"?"+bad, "")
	}

	assert.Empty(t, f.get("/hub/session/" + other + "/todos")["todos"], "each session has its own")
	f.Session(id).Archive()
	assert.Len(t, f.get(todos)["todos"], 3, "an archived session keeps them")
	f.Session(id).SetTodos()
	assert.Empty(t, f.get(todos)["todos"])
	control := f.Session(id)
	f.call(200, "DELETE", "/hub/session/"+id, "")
	control.SetTodos(codertest.Todo{Title: "x"})
	f.call(404, "GET", todos, "")
}
