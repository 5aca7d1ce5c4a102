package codertest_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/codertest"
)

func TestRefusedStreamsHaveHeaders(t *testing.T) {
	f := start(t)
	id := f.create(newSession)
	header := http.Header{"Retry-After": {"7"}, "Content-Type": nil}
	f.Session(id).RefuseStreams(codertest.Refusal{Header: header, Count: 2})
	header["Retry-After"][0] = "8"
	f.Inject(codertest.Fault{Route: "/hub/session/{id}/events", Header: http.Header{"X-Mine": {"1"}}})
	f.Inject(codertest.Fault{Route: "/hub/session/{id}/events", Header: http.Header{"Retry-After": {"9"}}})
	for _, want := range []string{"7 1", "9 "} {
		r, err := f.try("GET", "/hub/session/"+id+"/events", "")
		require.NoError(t, err)
		assert.Equal(t, 503, r.status)
		assert.Equal(t, want, r.header.Get("Retry-After")+" "+r.header.Get("X-Mine"))
		assert.NotContains(t, r.header, "Content-Type")
	}
	f.Session(id).RefuseStreams(codertest.Refusal{Header: http.Header{"Retry-After": {"7"}}})
	c := f.dial("sessionId=" + id)
	c.closed(4408, "")
}

func TestRefuseStreams(t *testing.T) {
	f := start(t)
	id, other := f.create(newSession), f.create(newSession)
	f.Session(id).RefuseStreams(codertest.Refusal{})
	f.Session(id).RefuseStreams(codertest.Refusal{Status: 403, Code: "NO", Message: "Not you", Count: 2})
	f.observe(other, "").close()
	for i, want := range []string{"503 <nil> The session cannot be followed now", "403 NO Not you", "403 NO Not you"} {
		r, err := f.try("GET", "/hub/session/"+id+"/events", "")
		require.NoError(t, err)
		assert.Equal(t, want, fmt.Sprint(r.status, " ", text(r.json, "code", "message")), i)
	}
	f.observe(id, "").close()
}

func TestRefusalsAreTakenBack(t *testing.T) {
	f := start(t)
	id := f.create(newSession)
	status := func() int {
		o := f.request(id, "")
		defer o.close()
		return o.resp.StatusCode
	}
	all := f.RefuseStreams(codertest.Refusal{Count: -1, Status: 403})
	once := f.Session(id).RefuseStreams(codertest.Refusal{Status: 429})
	assert.Equal(t, []int{403, 403}, []int{status(), status()})
	assert.Equal(t, []int{2, 0}, []int{all.Hits(), once.Hits()})
	all.Remove()
	assert.Equal(t, 429, status())
	once.Remove()
	all.Remove()
	assert.Equal(t, 200, status())
	f.dial("").expect("init")
	assert.Equal(t, []int{2, 1}, []int{all.Hits(), once.Hits()})
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
