package codertest_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"

	"github.com/agentuity/coder-go/codertest"
)

func TestSocketCredentials(t *testing.T) {
	const key = "agc_secret"
	synctest.Test(t, func(t *testing.T) {
		f := start(t, codertest.WithAPIKey(key))
		defer f.Close()
		for _, test := range []struct {
			query, header, value, frame string
			welcome                     bool
		}{
			{"api_key=" + key, "X-Nothing", "", "", true},
			{"token=" + key, "X-Nothing", "", "", true},
			{"apiKey=" + key, "X-Nothing", "", "", true},
			{"token=wrong&apiKey=" + key, "X-Nothing", "", "", true},
			{"", "Authorization", "Bearer " + key, "", true},
			{"", "x-agentuity-auth-api-key", key, "", true},
			{"", "X-Nothing", "", `{"authorization":"` + key + `","org_id":"org"}`, true},
			{"api_key=wrong", "X-Nothing", "", "", false},
			{"", "Authorization", "Bearer wrong", "", false},
			{"", "x-agentuity-auth-api-key", "wrong", "", false},
			{"", "X-Nothing", "", `{"authorization":"wrong"}`, false},
			{"", "X-Nothing", "", `{"type":"ping"}`, false},
			{"", "X-Nothing", "", `nonsense`, false},
			{"", "X-Nothing", "", "", false},
		} {
			c := f.dial(test.query, test.header, test.value)
			if test.frame != "" {
				c.send(test.frame)
			}
			began := time.Now()
			first := c.next()
			if test.welcome {
				assert.Equal(t, "init", first["type"], "%+v", test)
				c.send(`{"authorization":"` + key + `"}`) // also after the fact
				c.send(`{"org_id":"org"}`)
				_ = c.conn.Close(websocket.StatusNormalClosure, "")
				continue
			}
			assert.Equal(t, "connection_rejected auth_failed", text(first, "type", "code"), "%+v", test)
			c.closed(4401, "The API key is missing or invalid")
			if test.query+test.frame == "" && test.header == "X-Nothing" {
				assert.Equal(t, 5*time.Second, time.Since(began), "credentials may be late")
			} else {
				assert.Zero(t, time.Since(began))
			}
		}
		synctest.Wait()
		assert.Equal(t, 0, f.Streams())
		assert.Len(t, f.SessionIDs(), 7, "who is turned away leaves nothing behind")
	})
}

// Who has given the key in time is not shown the door later.
func TestCredentialsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t, codertest.WithAPIKey("key"))
		defer f.Close()
		c := f.dial("role=lead")
		time.Sleep(4 * time.Second)
		c.send(`{"authorization":"key"}`)
		c.expect("init")
		time.Sleep(time.Minute)
		c.ping()
	})
}

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

func TestRefusedSockets(t *testing.T) {
	f := start(t)
	ended := f.active()
	f.Session(ended).Shutdown()
	for _, test := range []struct {
		query, notice string
		code          int
		reason        string
	}{
		{"sessionId=nope", "", 4404, "Session not found"},
		{"sessionId=nope&role=lead", "", 4404, "Session not found"},
		{"role=observer&agent=scout&parent=nope", "", 4404, "Session not found"},
		{"role=boss", "protocol_error invalid_role", 4400, "Role is not supported"},
		{"role=lead&driverMode=manual", "protocol_error invalid_driver_mode", 4400, "Driver mode is not supported"},
		{"sessionId=" + ended, "connection_rejected session_expired", 4404, "Session has ended"},
	} {
		c := f.dial(test.query)
		if test.notice != "" {
			notice := c.next()
			assert.Equal(t, test.notice, text(notice, "type", "code"))
			assert.Equal(t, kind(1.0), kind(notice["timestamp"]))
			assert.NotEmpty(t, notice["message"])
		}
		c.closed(test.code, test.reason)
	}
	assert.Len(t, f.SessionIDs(), 1)

	f.RefuseStreams(codertest.Refusal{Code: "rate_limited", Message: "Too many", CloseCode: 4429, Reason: "Later"})
	c := f.dial("")
	assert.Equal(t, "connection_rejected rate_limited Too many", text(c.next(), "type", "code", "message"))
	c.closed(4429, "Later")
	f.Session(ended).RefuseStreams(codertest.Refusal{Count: -1})
	for range 3 {
		f.dial("sessionId="+ended).closed(4408, "")
	}
	f.dial("").expect("init")
	assert.Panics(t, func() { f.RefuseStreams(codertest.Refusal{CloseCode: 1005}) })
	assert.Panics(t, func() { f.RefuseStreams(codertest.Refusal{Reason: strings.Repeat("x", 124)}) })
}
