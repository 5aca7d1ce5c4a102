package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

func TestReadTasks(t *testing.T) {
	const text = "\ufeffFix the flaky test\r\n\n  {\"key\":\"pr-7\",\"task\":\"Review it\",\"label\":\"PR 7\",\"workspaceId\":\"ws_1\",\"tags\":[\"a\"],\"timeout\":{\"idle\":\"1h\"},\"visibility\":\"\"}\n#12 is open"
	tasks, err := readTasks(strings.NewReader(text), "tasks.txt", "fleet")
	require.NoError(t, err)
	require.Len(t, tasks, 3)
	assert.Equal(t, coder.CreateSessionRequest{Task: "Fix the flaky test"}, tasks[0].request)
	assert.Equal(t, "Fix the flaky test", tasks[0].title())
	assert.Regexp(t, "^fleet-[0-9a-f]{16}$", tasks[0].key)
	assert.Equal(t, "fleet-pr-7", tasks[1].key)
	assert.Equal(t, "PR 7", tasks[1].title())
	assert.Equal(t, "ws_1", tasks[1].request.WorkspaceID)
	assert.Equal(t, "1h", tasks[1].request.Timeout.Idle)
	assert.Equal(t, "#12 is open", tasks[2].request.Task)
	assert.Equal(t, []int{1, 3, 4}, []int{tasks[0].line, tasks[1].line, tasks[2].line})

	again, err := readTasks(strings.NewReader("#12 is open\nFix the flaky test"), "other.txt", "fleet")
	require.NoError(t, err)
	assert.Equal(t, tasks[0].key, again[1].key, "a key follows from the text alone")
	other, err := readTasks(strings.NewReader("Fix the flaky test"), "tasks.txt", "second")
	require.NoError(t, err)
	assert.Equal(t, "second"+strings.TrimPrefix(tasks[0].key, "fleet"), other[0].key)
}

func TestReadTasks_Bad(t *testing.T) {
	for text, want := range map[string]string{
		"":        "f:1: there is no task in it",
		" \n\n":   "f:1: there is no task in it",
		"a\nb\na": `f:3: the key "fleet-ca978112ca1bbdca" is that of line 1 too`,
		"{\"key\":\"a\",\"task\":\"x\"}\n{\"key\":\"a\",\"task\":\"y\"}": `f:2: the key "fleet-a" is that of line 1 too`,
		"a\n{\"task\":":            "f:2: it begins as JSON, and is none: ",
		"{\"task\":\"a\"} b":       "f:1: it begins as JSON, and is none: ",
		`{}`:                       "f:1: task: must be a text",
		`{"task":" "}`:             "f:1: task: must be a text",
		`{"task":7}`:               `f:1: "task": the value has a wrong form`,
		`{"task":null}`:            "f:1: task: must be a text",
		`{"task":"a","key":7}`:     "f:1: key: must be a text",
		`{"task":"a","key":""}`:    "f:1: key: must be a text",
		`{"task":"a","key":"a b"}`: "f:1: key: must be a text",
		`{"task":"a","lable":"x"}`: `f:1: "lable": a session has no such member`,
		`{"task":"a","metadata":{"idempotencyKey":"x"}}`:   "f:1: metadata: must not have an",
		`{"task":"a","files":[{"path":" ","content":""}]}`: "f:1: files[0].path: must not be empty",
		`{"task":"a","tags":"x"}`:                          `f:1: "tags": the value has a wrong form`,
		`{"task":"a","Label":"x"}`:                         `f:1: "Label": `,
		`{"task":"a","timeout":{"idel":"1h"}}`:             `f:1: "timeout": the value has a wrong form`,
		"a\xff":                                            "f:1: it is not UTF-8",
	} {
		_, err := readTasks(strings.NewReader(text), "f", "fleet")
		assert.ErrorContains(t, err, want, "%q", text)
	}
}
