package codertest_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestFilesOfALead(t *testing.T) {
	f := start(t)
	lead := f.dial("role=lead")
	id := lead.expect("init")["sessionId"].(string)
	lead.send(`{"type":"session_write","path":"a.jsonl","content":"{}\n"}`)
	lead.send(`{"type":"session_entry","path":"a.jsonl","line":"{\"type\":\"message\",\"content\":\"Hi\",\"agent\":\"lead\",\"timestamp\":5}"}`)
	lead.send(`{"type":"session_entry","path":"b.jsonl","line":"{\"type\":\"message\",\"message\":{}}"}`)
	lead.send(`{"type":"session_entry","path":"b.jsonl","line":"{\"type\":\"session\"}"}`)
	lead.send(`{"type":"session_entry","path":"b.jsonl","line":"nonsense"}`)
	lead.send(`{"type":"ping"}`)
	lead.expect("pong")
	assert.Equal(t, map[string]string{
		"a.jsonl": "{}\n" + `{"type":"message","content":"Hi","agent":"lead","timestamp":5}` + "\n",
		"b.jsonl": `{"type":"message","message":{}}` + "\n" + `{"type":"session"}` + "\nnonsense\n",
	}, f.Session(id).Files())
	entries := f.get("/hub/session/" + id + "/replay")["entries"]
	assert.Equal(t, []any{"Hi"}, all(t, entries, "content"))
	assert.Equal(t, "message lead 5 1", text(at(t, entries, 0), "type", "agent", "timestamp", "sequence"))
}

func TestLeadsTellControllersObjects(t *testing.T) {
	f := start(t)
	id := f.active()
	c := f.control(id)
	lead := f.dial("role=lead&sessionId=" + id)
	lead.expect("init", "session_hydration")
	c.expect("presence session_leave", "broadcast session_leave", "presence session_join", "broadcast session_join")
	for _, data := range []string{`7`, `null`, `[]`, `"x"`} {
		for _, name := range []string{"rpc_response", "rpc_ui_request", "rpc_event"} {
			lead.send(`{"id":"r","type":"event","event":"` + name + `","data":` + data + `}`)
			assert.Equal(t, "r", lead.next()["id"])
		}
	}
	c.ping()
}
