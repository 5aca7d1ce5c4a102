package codertest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/agentuity/coder-go/codertest"
)

// ping checks that nothing was sent before the answer to a ping.
func (c *client) ping() {
	c.Helper()
	c.send(`{"type":"ping"}`)
	c.expect("pong")
}

// watch connects an observer and brings it to where it hears what happens.
func (f fixture) watch(id string) *client {
	f.Helper()
	c := f.dial("role=observer&sessionId=" + id)
	c.expect("init", "session_hydration", "presence session_join", "broadcast session_join")
	return c
}

func TestOnlyControllersAnswerTheAgent(t *testing.T) {
	f := start(t)
	id := f.active()
	observer := f.dial("role=observer&subscribe=none&sessionId=" + id)
	observer.expect("init", "session_hydration", "presence session_join")
	scout := f.dial("role=lead&agent=scout&parent=" + id)
	scout.expect("init", "session_hydration")
	c := f.control(id)
	observer.expect("presence session_join")
	c.command("prompt", "select one")
	c.until("broadcast rpc_ui_request")
	for _, other := range []*client{observer, scout} {
		other.send(`{"type":"rpc_ui_response","id":"ui_000001","result":"green"}`)
		assert.Equal(t, "forbidden "+id, text(other.expect("protocol_error"), "code", "sessionId"))
	}
	c.ping()
	c.send(`{"type":"rpc_ui_response","id":"ui_000001","result":"red"}`)
	c.until("rpc agent_end")
	entries := f.get("/hub/session/" + id + "/replay")["entries"].([]any)
	assert.Equal(t, "You chose red. Done.", at(t, entries[len(entries)-1], "content"))

	lead := f.dial("role=lead&sessionId=" + id)
	lead.expect("init", "session_hydration")
	observer.send(`{"type":"rpc_ui_response","id":"ui-1","result":true}`)
	lead.ping()
}

// Only a controller is hydrated when it is ready, and once.
func TestBootstrapReady(t *testing.T) {
	f := start(t)
	id := f.active()
	observer := f.watch(id)
	lead := f.dial("role=lead&agent=scout&parent=" + id)
	lead.expect("init", "session_hydration")
	observer.expect("broadcast session_join")
	c := f.control(id)
	observer.expect("presence session_join", "broadcast session_join")
	for _, other := range []*client{observer, lead, c} {
		other.send(`{"type":"bootstrap_ready"}`)
		other.ping()
	}
}

func TestControllersHaveNoFilters(t *testing.T) {
	f := start(t)
	id := f.active()
	c := f.control(id)
	c.send(`{"type":"subscribe","patterns":["none"]}`)
	c.ping()
	f.Session(id).Emit(eventNamed("turn_end"))
	c.expect("broadcast turn_end")
	f.Session(id).UpdatePresence()
	assert.Empty(t, at(t, c.expect("presence presence_update"), "participants", 1, "subscriptions"))
}

func TestFramesOfCredentialsSayNothing(t *testing.T) {
	f := start(t)
	c := f.control(f.active())
	for _, frame := range []string{`{"org_id":"org"}`, `{"authorization":"key"}`} {
		c.send(frame)
		c.ping()
	}
	c.send(`{"org_id":""}`)
	c.expect("protocol_error")
}

func TestLastActivity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t)
		defer f.Close()
		id := f.active()
		c := f.control(id)
		time.Sleep(time.Minute)
		c.ping()
		time.Sleep(time.Minute)
		participants := f.get("/hub/session/" + id + "/participants")["participants"]
		assert.Equal(t, []any{"2000-01-01T00:00:00.000Z", "2000-01-01T00:01:00.000Z"}, all(t, participants, "lastActivityAt"))
		f.Session(id).UpdatePresence()
		update := c.expect("presence presence_update")["participants"]
		assert.InDelta(t, time.Now().Add(-time.Minute).UnixMilli(), at(t, update, 1, "lastActivity"), 0)
	})
}

// A request of somebody who does not lead is answered, and nothing more.
func TestRequestsOfControllers(t *testing.T) {
	f := start(t)
	id := f.active()
	observer := f.watch(id)
	c := f.control(id)
	observer.expect("presence session_join", "broadcast session_join")
	c.send(`{"id":"r1","type":"event","event":"turn_start","data":{}}`)
	assert.Equal(t, "r1 [map[action:ACK]]", text(c.next(), "id", "actions"))
	observer.ping()
	assert.NotContains(t, all(t, f.get("/hub/session/" + id + "/events/history")["events"], "event"), "turn_start")
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
