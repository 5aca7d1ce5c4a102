package main

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// instead answers some requests in the Hub's place.
func instead(s *scene, of func(*http.Request) bool, answer func(*http.Request) (*http.Response, error)) {
	honest := s.between.transport
	s.between.transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		if of(r) {
			return answer(r)
		}
		return honest.RoundTrip(r)
	})
}

func ofAPI(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/api/") }

// withoutSessions are all requests below /api but lists of sessions.
func withoutSessions(r *http.Request) bool { return ofAPI(r) && r.URL.Path != "/api/hub/sessions" }

func hanging(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func respond(status int, header http.Header, body string) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		answer := &http.Response{
			StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r, Header: header.Clone(),
			Body: io.NopCloser(strings.NewReader(body)),
		}
		if answer.Header == nil {
			answer.Header = make(http.Header)
		}
		answer.Header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
		return answer, nil
	}
}

// TestEqualFailuresEndIt: after two of a kind in a row the rest is not tried, and each row says so.
func TestEqualFailuresEndIt(t *testing.T) {
	const routes = 19 // that only read, with that of the key
	for name, tc := range map[string]struct {
		of     func(*http.Request) bool
		answer func(*http.Request) (*http.Response, error)
		failed int // rows
		rest   string
		within time.Duration
	}{
		"an API that is silent":        {ofAPI, hanging, 2, "the two before it took too long", 41 * time.Second},
		"all but the list of sessions": {withoutSessions, hanging, 2, "the two before it took too long", 80 * time.Second},
		"an API that is cut": {ofAPI, func(*http.Request) (*http.Response, error) {
			return nil, syscall.ECONNRESET
		}, 2, "the two before it were not answered", time.Second},
		"a gateway that reaches nothing": {ofAPI, respond(502, nil, ""), 2, "a gateway did not reach the Hub for the two before it", time.Second},
		"a limit":                        {ofAPI, respond(429, nil, ""), 2, "the two before it were limited", time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			status, out := examined(t, account(), func(s *scene) {
				began = time.Now()
				instead(s, tc.of, tc.answer)
				t.Cleanup(func() { assert.LessOrEqual(t, s.ended.Sub(began), tc.within) })
			})
			assert.Equal(t, notFine, status)
			rows := 0
			for l := range strings.SplitSeq(out, "\n") {
				if strings.HasPrefix(l, string(Wrong)) && strings.Contains(l, "GET /hub/") {
					rows++
				}
			}
			assert.Equal(t, tc.failed, rows, out)
			assert.GreaterOrEqual(t, strings.Count(out, "not tried: "+tc.rest), routes-tc.failed-1, out)
			assert.NotEmpty(t, line(out, Skipped, "GET /hub/session/{id}/todos"))
		})
	}
}

// TestSomeFailuresDoNotEndIt: they are quick, other routes work, and each says something of its own.
func TestSomeFailuresDoNotEndIt(t *testing.T) {
	for name, answer := range map[string]func(*http.Request) (*http.Response, error){
		"not there": respond(404, http.Header{"Content-Type": {"application/json"}}, `{"error":"no"}`),
		"fails":     respond(500, nil, ""),
		"cut":       func(*http.Request) (*http.Response, error) { return nil, errors.New("EOF") },
	} {
		t.Run(name, func(t *testing.T) {
			_, out := examined(t, account(), func(s *scene) {
				instead(s, func(r *http.Request) bool {
					return strings.Contains(r.URL.Path, "/hub/agents") || strings.Contains(r.URL.Path, "/hub/skills")
				}, answer)
			})
			assert.NotEmpty(t, line(out, Wrong, "GET /hub/skills/library"))
			assert.NotEmpty(t, line(out, OK, "GET /hub/session/{id}/todos"))
			assert.NotContains(t, out, "not tried")
		})
	}
}

// TestPromisesOfASilentHub: each of them would take a minute.
func TestPromisesOfASilentHub(t *testing.T) {
	_, out := examined(t, account(), func(s *scene) { instead(s, withoutSessions, hanging) }, "-write")
	assert.Contains(t, line(out, Skipped, "promises"), "not tried")
	assert.NotEmpty(t, line(out, Wrong, "WebSocket"), "live channels are")
}

// TestSomebodyElseAnswers: a gateway, in the place of the Hub. Nothing behind it could work.
func TestSomebodyElseAnswers(t *testing.T) {
	to := func(location string) func(*http.Request) (*http.Response, error) {
		return respond(302, http.Header{"Location": {location}}, "")
	}
	page := http.Header{"Content-Type": {"text/html; charset=utf-8"}}
	for name, tc := range map[string]struct {
		answer       func(*http.Request) (*http.Response, error)
		seen, advice string
	}{
		"a log-in on another host":   {to("https://login.S3CR3T.example/?state=S3CR3T"), "redirects to a page to log in on another host", "A gateway wants somebody to log in"},
		"a log-in by its path":       {to("https://x.S3CR3T.example/oauth2/authorize?client_id=S3CR3T"), "redirects to a page to log in on another host", "A gateway wants somebody to log in"},
		"a log-in of single sign-on": {to("https://x.S3CR3T.example/adfs/ls"), "redirects to a page to log in on another host", "A gateway wants somebody to log in"},
		"a log-in by a form": {func(r *http.Request) (*http.Response, error) {
			return respond(303, http.Header{"Location": {"//sso.S3CR3T.example"}}, "")(r)
		}, "redirects to a page to log in on another host", "A gateway wants somebody to log in"},
		"a log-in on a subdomain":    {to("http://auth." + testHost + "/"), "redirects to a page to log in on another host", "A gateway wants somebody to log in"},
		"another host":               {to("http://other.S3CR3T.example/api/hub/sessions"), "redirects to another host", "Put that host into AGENTUITY_CODER_URL if the Hub has moved"},
		"another port":               {to("http://" + testHost + ":8080/api/hub/sessions"), "redirects to another host", "Put that host into AGENTUITY_CODER_URL if the Hub has moved"},
		"https":                      {to("https://" + testHost + "/api/hub/sessions"), "redirects to https", "Put https in the place of http into AGENTUITY_CODER_URL"},
		"a redirect without a place": {respond(302, nil, ""), "302", "AGENTUITY_CODER_URL"},
		"a page that refuses":        {respond(403, page, "<html>S3CR3T"), "it is HTML", "A gateway refuses it in the Hub's place"},
		"a page that wants a user":   {respond(401, page, "<html>S3CR3T"), "it is HTML", "A gateway wants somebody to log in"},
		"a page":                     {respond(200, page, "<html>S3CR3T"), "it is HTML", "a page to log in answers"},
		"a page without its kind":    {respond(200, nil, "\n <!DOCTYPE html><html>S3CR3T"), "it is HTML", "a page to log in answers"},
		"a proxy that wants a user":  {respond(407, page, "<html>S3CR3T"), "407", "wants a user and a password"},
		"a captive portal":           {respond(511, page, "<html>S3CR3T"), "511", "The network wants somebody to log in"},
		"a log-in of this host, to which the client goes": {func(r *http.Request) (*http.Response, error) {
			if strings.HasPrefix(r.URL.Path, "/api/") {
				return to("/login")(r)
			}
			return respond(200, page, "<html>S3CR3T")(r)
		}, "it is HTML", "a page to log in answers"},
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			status, out := examined(t, account(), func(s *scene) {
				began = time.Now()
				instead(s, func(r *http.Request) bool { return r.URL.Path != "/" }, tc.answer)
				t.Cleanup(func() { assert.Less(t, s.ended.Sub(began), time.Second) })
			})
			assert.Equal(t, notFine, status)
			found := ""
			for _, check := range []string{"Hub", "credentials"} {
				found += line(out, Wrong, check)
			}
			require.NotEmpty(t, found, out)
			seen, advice, _ := strings.Cut(found, "-> ")
			assert.Contains(t, seen, tc.seen)
			assert.Contains(t, advice, tc.advice)
			assert.Equal(t, 1, strings.Count("\n"+out, "\n"+string(Wrong)), "nothing else is wrong:\n%s", out)
			assert.Contains(t, line(out, Skipped, "routes, live channels, promises"), "not tried")
		})
	}
}

// TestALogInBeforeTheFirstAnswer is no https that the URL should say.
func TestALogInBeforeTheFirstAnswer(t *testing.T) {
	_, out := examined(t, account(), func(s *scene) {
		instead(s, func(*http.Request) bool { return true }, respond(302, http.Header{"Location": {"https://login.S3CR3T.example/"}}, ""))
	})
	assert.NotContains(t, out, "Put https")
	assert.Contains(t, line(out, Wrong, "Hub"), "redirects to a page to log in on another host")
}

// TestSomebodyElseAnswersDiscovery: the advice is about the variable that was asked by.
func TestSomebodyElseAnswersDiscovery(t *testing.T) {
	env := map[string]string{"AGENTUITY_SDK_KEY": testKey, "AGENTUITY_CATALYST_URL": "http://" + testHost}
	for name, tc := range map[string]struct {
		answer func(*http.Request) (*http.Response, error)
		advice string
	}{
		"a log-in":     {respond(302, http.Header{"Location": {"https://login.S3CR3T.example/"}}, ""), "A gateway wants somebody to log in"},
		"another host": {respond(302, http.Header{"Location": {"https://other.S3CR3T.example/"}}, ""), "Put that host into AGENTUITY_CATALYST_URL"},
		"nothing":      {respond(404, nil, ""), "Check the URL in AGENTUITY_CATALYST_URL"},
	} {
		t.Run(name, func(t *testing.T) {
			_, out := examined(t, env, func(s *scene) { instead(s, func(r *http.Request) bool { return r.URL.Path != "/" }, tc.answer) })
			assert.Contains(t, line(out, Wrong, "discovery"), tc.advice, out)
		})
	}
}

// TestADiscoveredHub that cannot be reached: no variable has its URL, and one can overrule it.
func TestADiscoveredHub(t *testing.T) {
	env := map[string]string{"AGENTUITY_SDK_KEY": testKey, "AGENTUITY_CATALYST_URL": "http://" + testHost}
	for name, tc := range map[string]struct {
		err    error
		advice string
	}{
		"refused":     {syscall.ECONNREFUSED, "Nobody listens there: check the host and the port in the URL that discovery has named (AGENTUITY_CODER_URL overrules it)"},
		"on Windows":  {syscall.Errno(10061), "Nobody listens there"},
		"cut there":   {syscall.Errno(10054), "Something cuts the connection"},
		"unknown":     {&net.DNSError{Err: "no such host", IsNotFound: true}, "check the spelling in the URL that discovery has named (AGENTUITY_CODER_URL overrules it)"},
		"no web port": {errors.New(malformed), "Check the host and the port in the URL that discovery has named (AGENTUITY_CODER_URL overrules it)"},
	} {
		t.Run(name, func(t *testing.T) {
			_, out := examined(t, env, func(s *scene) {
				instead(s, func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/coder") }, respond(200, http.Header{"Content-Type": {"application/json"}}, `{"url":"http://elsewhere.example"}`))
				instead(s, func(r *http.Request) bool { return r.URL.Host == "elsewhere.example" }, func(*http.Request) (*http.Response, error) { return nil, tc.err })
			})
			assert.Contains(t, line(out, Wrong, "connection"), tc.advice, out)
		})
	}
}

// TestARegionThatDoesNotExist is what the name of discovery is made of.
func TestARegionThatDoesNotExist(t *testing.T) {
	for _, region := range []string{"", "nowhere"} {
		_, out := examined(t, map[string]string{"AGENTUITY_SDK_KEY": testKey, "AGENTUITY_REGION": region}, func(s *scene) {
			s.between.resolve = failing(&net.DNSError{Err: "no such host", IsNotFound: true})
		})
		found := line(out, Wrong, "discovery: DNS")
		assert.NotContains(t, found, "URL")
		assert.Equal(t, region != "", strings.Contains(found, "check the spelling in AGENTUITY_REGION"), found)
	}
}
