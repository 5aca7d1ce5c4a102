package codertest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestControllersAreNoSubAgents(t *testing.T) {
	f := start(t)
	id := f.active()
	c := f.dial("role=controller&agent=scout&parent=" + id + "&sessionId=" + id)
	assert.Equal(t, "controller "+id, text(c.expect("init"), "role", "sessionId"))
	other := f.dial("role=controller&agent=scout&parent=" + id).expect("init")
	assert.Equal(t, "controller", other["role"])
	assert.NotEqual(t, id, other["sessionId"], "the parent is only that of a sub-agent")
}

func TestExpiredAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t)
		defer f.Close()
		id := f.create(newSession)
		time.Sleep(time.Hour)
		f.Session(id).Shutdown()
		ended := time.Now().UnixMilli()
		time.Sleep(time.Hour)
		c := f.dial("sessionId=" + id)
		notice := c.next()
		assert.InDelta(t, ended, notice["expiredAt"], 0)
		assert.InDelta(t, time.Now().UnixMilli(), notice["timestamp"], 0)
		c.closed(4404, "Session has ended")
		c = f.dial("role=boss")
		assert.NotContains(t, c.next(), "expiredAt")
	})
}

func TestCreatingASessionWithASocket(t *testing.T) {
	f := start(t)
	for query, want := range map[string]string{
		"role=lead&task=Try+it&label=Spike": "lead Try it Spike tui active",
		"origin=tui":                        "lead <nil>  tui active",
		"role=controller&task=Try+it":       "controller <nil> Try it sandbox active",
		"role=observer":                     "observer <nil>  sandbox creating",
		"":                                  "observer <nil>  sandbox creating",
	} {
		c := f.dial(query)
		init := c.expect("init")
		id := init["sessionId"].(string)
		detail := f.get("/hub/session/" + id)
		assert.Equal(t, want, text(init, "role", "task")+" "+text(detail, "label", "mode", "status"), query)
	}
}

func (f fixture) roles(id string) []any {
	return all(f, f.get("/hub/session/" + id + "/participants")["participants"], "role")
}

func TestOneLeadASession(t *testing.T) {
	f := start(t)
	id := f.active()
	assert.Equal(t, []any{"lead"}, f.roles(id))
	first := f.dial("role=lead&driverInstanceId=drv_1&driverVersion=2&sessionId=" + id)
	init := first.expect("init", "session_hydration")
	assert.Equal(t, true, init["leadConnected"])
	assert.Equal(t, []any{"lead"}, f.roles(id), "the Hub's own lead makes room")
	who := at(t, f.get("/hub/session/"+id+"/participants"), "participants", 0)
	assert.Equal(t, "p_000002 ws lead map[driverInstanceId:drv_1 driverVersion:2 origin:sdk]",
		text(who, "id", "transport", "agentRole", "metadata"))

	for _, query := range []string{"", "&driverInstanceId=drv_0"} {
		second := f.dial("role=lead&sessionId=" + id + query)
		assert.Equal(t, "connection_rejected session_active "+id, text(second.next(), "type", "code", "sessionId"))
		second.closed(4409, "Another lead is connected")
	}

	again := f.dial("role=lead&driverInstanceId=drv_1&sessionId=" + id)
	again.expect("init", "session_hydration")
	first.closed(4410, "Newer driver connected")
	require.NoError(t, again.conn.Close(websocket.StatusNormalClosure, ""))
	require.Eventually(t, func() bool { return f.Session(id).Streams() == 0 }, 10*time.Second, time.Millisecond)
	assert.Equal(t, []any{"lead"}, f.roles(id), "the Hub's own lead is back")

	newer := f.dial("role=lead&driverInstanceId=drv_2&sessionId=" + id)
	newer.expect("init", "session_hydration")
	f.dial("role=lead&driverInstanceId=drv_1&sessionId="+id).closed(4410, "Newer driver connected")
	require.NoError(t, newer.conn.CloseNow())
	require.Eventually(t, func() bool { return f.Session(id).Streams() == 0 }, 10*time.Second, time.Millisecond)
	f.dial("role=lead&driverInstanceId=drv_1&sessionId="+id).closed(4410, "Newer driver connected")
}

func TestDrivers(t *testing.T) {
	f := start(t)
	id := f.active()
	var lead *client
	for _, step := range []struct {
		driver string
		leaves bool // the lead before
		code   int  // 0: welcome
	}{
		{"", false, 0},
		{"", false, 4409}, // two without a name are two
		{"drv_1", false, 4409},
		{"drv_1", true, 0},
		{"drv_1", false, 0},
		{"drv_1", false, 0}, // as often as it likes
		{"", false, 4409},
		{"", true, 0},
		{"drv_1", false, 4409}, // the last driver, but not the lead any more
		{"drv_1", true, 0},
		{"drv_2", true, 0},
		{"drv_1", false, 4410},
		{"", true, 0},
		{"drv_1", true, 4410},
		{"", false, 0}, // without a name nobody is stale
	} {
		if step.leaves {
			require.NoError(t, lead.conn.CloseNow())
			require.Eventually(t, func() bool { return f.Session(id).Streams() == 0 }, 10*time.Second, time.Millisecond)
		}
		c := f.dial("role=lead&driverInstanceId=" + step.driver + "&sessionId=" + id)
		switch step.code {
		case 0:
			c.expect("init", "session_hydration")
			if lead != nil && !step.leaves {
				_ = lead.conn.CloseNow()
			}
			lead = c
			require.Eventually(t, func() bool { return f.Session(id).Streams() == 1 }, 10*time.Second, time.Millisecond)
		case 4409:
			c.expect("connection_rejected")
			c.closed(4409, "Another lead is connected")
		default:
			c.closed(4410, "Newer driver connected")
		}
	}
}

func TestLeadWakesASession(t *testing.T) {
	f := start(t)
	id := f.create(newSession)
	lead := f.dial("role=lead&sessionId=" + id)
	lead.expect("init", "session_hydration")
	assert.Equal(t, "active", f.get("/hub/session/" + id)["status"])
	assert.Equal(t, []any{"lead"}, f.roles(id))
	f.Session(id).Pause()
	lead.closed(4408, "Session paused")
	f.dial("role=lead&sessionId="+id).expect("init", "session_hydration")
	assert.Equal(t, "active", f.get("/hub/session/" + id)["status"])
}

func TestSubAgents(t *testing.T) {
	f := start(t)
	id := f.active()
	lead := f.dial("role=lead&agent=scout&parent=" + id)
	assert.Equal(t, "sub_agent scout "+id, text(lead.expect("init"), "role", "agentRole", "sessionId"))
	observer := f.dial("role=observer&agent=builder&subscribe=task&parent=" + id)
	assert.Equal(t, "sub_agent", observer.expect("init")["role"])
	observer.expect("session_hydration")
	assert.Equal(t, []any{"lead", "sub_agent", "sub_agent"}, f.roles(id))
	assert.InDelta(t, 2, f.get("/hub/session/" + id)["subAgentCount"], 0)
	f.Session(id).Emit(eventNamed("turn_end"))
	f.Session(id).Emit(eventNamed("task_start"))
	observer.expect("broadcast task_start")
}
