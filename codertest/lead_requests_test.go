package codertest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

func TestRequestsAreAnswered(t *testing.T) {
	f := start(t)
	c := f.dial("role=lead")
	id := c.expect("init")["sessionId"].(string)
	for frame, want := range map[string]string{
		`{"id":"r1","type":"event","event":"turn_start","data":{"agentRole":"scout","n":1}}`: "r1 [map[action:ACK]]",
		`{"id":"r2","type":"tool","name":"search","toolCallId":"c","params":{}}`:             "r2 [map[action:RETURN result:<nil>]]",
		`{"id":"r3","type":"command","name":"deck","args":"x"}`:                              "r3 [map[action:ACK]]",
	} {
		c.send(frame)
		assert.Equal(t, want, text(c.next(), "id", "actions"))
	}
	event := at(t, f.get("/hub/session/"+id+"/events/history?limit=1"), "events", 0)
	assert.Equal(t, "turn_start scout map[agentRole:scout n:1]", text(event, "event", "agent", "payload"))

	f.OnRequest(func(r codertest.LeadRequest) ([]codertest.Action, bool) {
		f.Session(r.SessionID).Set("asked", r.Type+" "+r.ID+" "+r.Name+" "+string(r.Body))
		switch r.Name {
		case "nothing":
			return nil, false
		case "none":
			return []codertest.Action{}, true
		case "block":
			return []codertest.Action{{"action": "BLOCK", "reason": "no"}, {"action": "STATUS", "key": "k"}}, true
		}
		return nil, true
	})
	c.send(`{"id":"r4","type":"tool","name":"nothing"}`)
	c.send(`{"id":"r5","type":"tool","name":"none"}`)
	c.send(`{"id":"r6","type":"event","event":"block"}`)
	c.send(`{"id":"r7","type":"command","name":"other"}`)
	assert.Equal(t, "r5 []", text(c.next(), "id", "actions"))
	assert.Equal(t, "r6 [map[action:BLOCK reason:no] map[action:STATUS key:k]]", text(c.next(), "id", "actions"))
	assert.Equal(t, "r7 [map[action:ACK]]", text(c.next(), "id", "actions"))
	assert.Equal(t, `command r7 other {"id":"r7","type":"command","name":"other"}`, f.get("/hub/session/" + id)["asked"])
	f.OnRequest(nil)
	c.send(`{"id":"r8","type":"tool","name":"nothing"}`)
	assert.Equal(t, "r8", c.next()["id"])

	var types []string
	for _, frame := range f.Session(id).Frames() {
		types = append(types, frame.Type)
		assert.Equal(t, coder.RoleLead, frame.Role)
		assert.Equal(t, "p_000001", frame.Participant)
	}
	assert.ElementsMatch(t, []string{"event", "tool", "command", "tool", "tool", "event", "command", "tool"}, types)
	frames := f.Session(id).Frames()
	assert.JSONEq(t, `{"id":"r8","type":"tool","name":"nothing"}`, string(frames[7].Body))
	frames[7].Body[0] = '!'
	assert.Equal(t, byte('{'), f.Session(id).Frames()[7].Body[0])
}

func TestInitOfALead(t *testing.T) {
	f := start(t)
	f.SetInit(map[string]any{"model": map[string]any{"provider": "p", "id": "m"}, "agentRole": "chief"})
	lead := f.dial("role=lead&task=Try")
	assert.Equal(t, "chief map[id:m provider:p] Try", text(lead.expect("init"), "agentRole", "model", "task"))
	assert.NotContains(t, f.dial("role=observer").expect("init"), "model")
	f.SetInit(nil)
	assert.NotContains(t, f.dial("role=lead").expect("init"), "model")
	assert.Panics(t, func() { f.SetInit(map[string]any{"tools": func() {}}) })
}

// A real agent asks for its init before it connects, and does nothing without it.
func TestInitBeforeALead(t *testing.T) {
	f := start(t, codertest.WithAPIKey("agc_key"))
	for _, header := range [][]string{{"x-agentuity-auth-api-key", "agc_key"}, {"Authorization", "Bearer agc_key"}} {
		r, err := f.try("GET", "/hub/init", "", header...)
		require.NoError(t, err)
		assert.Equal(t, 200, r.status)
		assert.Equal(t, map[string]any{"type": "init", "role": "lead", "agentRole": "lead"}, r.json)
	}
	for _, path := range []string{"/hub/init", "/hub/init?api_key=agc_key"} {
		r, err := f.try("GET", path, "")
		require.NoError(t, err)
		assert.Equal(t, 401, r.status, path)
	}
	assert.Empty(t, f.SessionIDs(), "nothing is created")

	open := start(t)
	open.SetInit(map[string]any{"tools": []any{map[string]any{"name": "search"}}, "role": "observer"})
	assert.Equal(t, "init observer scout [map[name:search]]", text(open.get("/hub/init?agent=scout"), "type", "role", "agentRole", "tools"))
	open.SetInit(nil)
	assert.NotContains(t, open.get("/hub/init"), "tools")
	open.call(405, "POST", "/hub/init", "")
	assert.Empty(t, open.SessionIDs())
}

// A request of somebody who does not lead is answered, and nothing more.
func TestRequestsOfControllers(t *testing.T) {
	f := start(t, codertest.WithoutAgent())
	id := f.active()
	observer := f.watch(id)
	c := f.control(id)
	observer.expect("presence session_join", "broadcast session_join")
	c.send(`{"id":"r1","type":"event","event":"turn_start","data":{}}`)
	assert.Equal(t, "r1 [map[action:ACK]]", text(c.next(), "id", "actions"))
	observer.ping()
	assert.NotContains(t, all(t, f.get("/hub/session/" + id + "/events/history")["events"], "event"), "turn_start")
}

func TestRequestsAreTheirReceiversOwn(t *testing.T) {
	f := start(t)
	lead := f.dial("role=lead")
	id := lead.expect("init")["sessionId"].(string)
	f.OnRequest(func(r codertest.LeadRequest) ([]codertest.Action, bool) {
		r.Body[0] = '!'
		return nil, true
	})
	lead.send(`{"id":"r","type":"tool","name":"x"}`)
	lead.next()
	assert.JSONEq(t, `{"id":"r","type":"tool","name":"x"}`, string(f.Session(id).Frames()[0].Body))
}

func TestCloseWaitsForWhoAnswersRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t)
		lead := f.dial("role=lead")
		lead.expect("init")
		f.OnRequest(func(codertest.LeadRequest) ([]codertest.Action, bool) {
			time.Sleep(time.Minute)
			return nil, true
		})
		lead.send(`{"id":"r","type":"tool","name":"x"}`)
		synctest.Wait()
		began := time.Now()
		f.Close()
		assert.Equal(t, time.Minute, time.Since(began))
	})
}
