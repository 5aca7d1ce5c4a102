package codertest_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/agentuity/coder-go/codertest"
)

func TestBroadcastDataIsAnObject(t *testing.T) {
	f := start(t)
	id := f.create(newSession)
	o := f.observe(id, "")
	defer o.close()
	o.expect(opening...)
	for _, test := range []struct {
		event codertest.Event
		want  map[string]any
	}{
		{codertest.Event{}, map[string]any{}},
		{codertest.Event{Payload: json.RawMessage("null"), Agent: "a"}, map[string]any{"agent": "a"}},
		{codertest.Event{Payload: []int{1}}, map[string]any{"value": []any{1.0}}},
		{codertest.Event{Payload: "text", TaskID: "t"}, map[string]any{"value": "text", "taskId": "t"}},
		{codertest.Event{Payload: map[string]any{"agent": "b"}, Agent: "a"}, map[string]any{"agent": "b"}},
	} {
		test.event.Event = "turn_end"
		f.Session(id).Broadcast(test.event)
		assert.Equal(t, test.want, o.next()["data"])
	}
	events := f.get("/hub/session/" + id + "/events/history")["events"]
	assert.NotContains(t, all(t, events, "event"), "turn_end", "what is only broadcast leaves no trace")
}

func TestFilters(t *testing.T) {
	f := start(t)
	id := f.create(newSession)
	all := []string{"task_start", "tool_call", "turn_end", "agent_progress", "odd"}
	for query, want := range map[string][]string{
		"?subscribe=*":                      all,
		"?subscribe=":                       all,
		"?subscribe=,":                      all,
		"?subscribe=task":                   {"task_start"},
		"?subscribe=task_*":                 {"task_start"},
		"?subscribe=t*":                     {"task_start", "tool_call", "turn_end"},
		"?subscribe=turn_end,agent":         {"turn_end", "agent_progress"},
		"?subscribe=tool_cal":               {},
		"?subscribe=task_*%2Cagent%2Cother": {"task_start", "agent_progress"},
		"?subscribe=special":                {"odd"},
	} {
		o := f.observe(id, query)
		o.expect(opening[:3]...)
		f.Session(id).UpdatePresence()
		for _, name := range all {
			event := codertest.Event{Event: name}
			if name == "odd" {
				event.Category = "special"
			}
			f.Session(id).Emit(event)
		}
		f.Session(id).EndStreams(1000, "")
		var got []string
		updates := 0
		for {
			block, err := o.block()
			if err != nil {
				break
			}
			for _, name := range all {
				if strings.Contains(block, `"event":"`+name+`"`) {
					got = append(got, name)
				}
			}
			updates += strings.Count(block, "presence_update")
		}
		assert.ElementsMatch(t, want, got, query)
		assert.Equal(t, 1, updates, "%s: no filter applies to presence", query)
		o.close()
	}
}
