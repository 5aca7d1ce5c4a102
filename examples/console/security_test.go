package main

import (
	"context"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

// TestGuard_Orders come from the console's own pages, and from no other.
func TestGuard_Orders(t *testing.T) {
	for _, test := range []struct {
		name   string
		header []string
		want   int
	}{
		{"its own page", []string{"Sec-Fetch-Site", "same-origin", "Origin", "http://localhost"}, 204},
		{"curl", []string{"Sec-Fetch-Site", ""}, 204},
		{"a page of another site", []string{"Sec-Fetch-Site", "cross-site", "Origin", "http://evil.example"}, 403},
		{"another port of this machine", []string{"Sec-Fetch-Site", "same-site", "Origin", "http://localhost:3000"}, 403},
		{"a form of another site", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Origin", "http://evil.example"}, 403},
		{"an old browser, on another site", []string{"Sec-Fetch-Site", "", "Origin", "http://evil.example"}, 403},
		{"a frame without an origin", []string{"Sec-Fetch-Site", "", "Origin", "null"}, 403},
		{"a name that leads here", []string{"Sec-Fetch-Site", "same-origin", "Origin", "http://evil.example", "Host", "evil.example"}, 421},
		{"such a name, with a port", []string{"Sec-Fetch-Site", "same-origin", "Host", "evil.example:8090"}, 421},
		{"a name that begins as ours", []string{"Sec-Fetch-Site", "same-origin", "Host", "localhost.evil.example"}, 421},
		{"an address that is not loopback", []string{"Sec-Fetch-Site", "same-origin", "Host", "192.0.2.1"}, 421},
		{"IPv6", []string{"Sec-Fetch-Site", "same-origin", "Host", "[::1]:8090"}, 204},
	} {
		t.Run(test.name, func(t *testing.T) {
			visit(t, func(t *testing.T, s *site) {
				session := s.begins()
				asked := len(s.hub.Requests())
				status, body, _ := s.ask("POST", sessionPath(session.ID())+"/archive", url.Values{}, test.header...)
				assert.Equal(t, test.want, status, body)
				assert.Equal(t, test.want == 204, session.Archived())
				if test.want != 204 {
					assert.Len(t, s.hub.Requests(), asked)
				}
			})
		})
	}
}

// TestGuard_Pages may be linked to, and not read or framed by others.
func TestGuard_Pages(t *testing.T) {
	visit(t, func(t *testing.T, s *site) {
		session := s.begins()
		get := func(path string, header ...string) int {
			status, _, _ := s.ask("GET", path, nil, header...)
			return status
		}
		assert.Equal(t, 200, get("/", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"))
		assert.Equal(t, 403, get("/", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "cors"))
		asked := len(s.hub.Requests())
		assert.Equal(t, 403, get("/events?session="+session.ID(), "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors"))
		assert.Equal(t, 421, get("/", "Host", "evil.example"))
		assert.Len(t, s.hub.Requests(), asked)
		assert.Zero(t, session.Streams())
	})
	named := guard(http.NotFoundHandler(), []string{"console.example.com"})
	for host, want := range map[string]int{"console.example.com": 404, "CONSOLE.example.com:443": 404, "example.com": 421} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", "/", nil)
		r.Host = host
		named.ServeHTTP(w, r)
		assert.Equal(t, want, w.Code, host)
	}
}

// TestGuard_Headers are on all answers. No page has a script or a style in it, and none is loaded from elsewhere.
func TestGuard_Headers(t *testing.T) {
	visit(t, func(t *testing.T, s *site) {
		session := s.begins()
		for path, want := range map[string]int{
			"/": 200, sessionPath(session.ID()): 200, "/static/console.js": 200, "/static/console.css": 200, "/nowhere": 404, "/sessions/none": 404, "/static/none": 404,
		} {
			status, body, answer := s.ask("GET", path, nil)
			assert.Equal(t, want, status, path)
			assert.Equal(t, policy, answer.Header.Get("Content-Security-Policy"), path)
			assert.Equal(t, "nosniff", answer.Header.Get("X-Content-Type-Options"), path)
			assert.Equal(t, "no-referrer", answer.Header.Get("Referrer-Policy"), path)
			if strings.HasPrefix(answer.Header.Get("Content-Type"), "text/html") {
				assert.NotRegexp(t, `(?i)<script(?: [^>]*)?>\s*[^\s<]|\son\w+=|style=|<style|javascript:`, body, path)
				for _, link := range regexp.MustCompile(`(?:src|href|action)="([^"]*)"`).FindAllStringSubmatch(body, -1) {
					assert.Regexp(t, `^(/[^/]|/$|#)`, link[1], path)
				}
			}
		}
		status, _, _ := s.ask("POST", sessionPath(session.ID())+"/say", url.Values{"text": {strings.Repeat("x", maxBody+1)}, "key": {newKey()}})
		assert.Equal(t, http.StatusRequestEntityTooLarge, status)
	})
	assert.NotContains(t, policy, "unsafe")
	files, err := fs.Sub(staticFiles, "static")
	require.NoError(t, err)
	require.NoError(t, fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(files, name)
		require.NoError(t, err)
		without := strings.ReplaceAll(string(text), "http://www.w3.org/2000/svg", "")
		assert.NotRegexp(t, `https?://|innerHTML|insertAdjacentHTML|document\.write|@import|eval\(`, without, name)
		return nil
	}))
}

// TestGuard_SlowBody does not wait for ever for what a browser sends.
func TestGuard_SlowBody(t *testing.T) {
	visit(t, func(t *testing.T, s *site) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour) // of fake time
		defer cancel()
		body, never := io.Pipe()
		defer func() { _ = never.Close() }()
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://localhost/sessions", body)
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		began := time.Now()
		answer, err := s.browser.Do(r)
		require.NoError(t, err)
		defer answer.Body.Close()
		assert.Equal(t, http.StatusBadRequest, answer.StatusCode)
		assert.Equal(t, bodyTime, time.Since(began))
	})
}

// TestGuard_LongStream goes on long after the time that a browser has to send its order.
func TestGuard_LongStream(t *testing.T) {
	visit(t, func(t *testing.T, s *site) {
		session := s.begins()
		p := s.opens(session)
		p.waits(time.Hour)
		s.says(session, "prompt", "Say hello")
		p.waits(time.Minute)
		isWhole(t, p, session, "after an hour")
		assert.Equal(t, 2, p.sees().snapshots, "on one connection")
		p.closes()
	})
}

// TestGuard_LongHeader refuses a header that no browser sends.
func TestGuard_LongHeader(t *testing.T) {
	visit(t, func(t *testing.T, s *site) {
		status, _, _ := s.ask("GET", "/nowhere", nil, "Cookie", strings.Repeat("x", 2*maxHeader))
		assert.Equal(t, http.StatusRequestHeaderFieldsTooLarge, status)
	})
}

// TestHostileNames are text on each page.
func TestHostileNames(t *testing.T) {
	visit(t, func(t *testing.T, s *site) {
		const hostile = `"><img src=x onerror=alert(1)><script>alert(2)</script>`
		session := s.hub.AddSession(codertest.Session{Task: "x", Label: hostile})
		for path, status := range map[string]int{
			"/": 200, sessionPath(session.ID()): 200, "/" + url.PathEscape(hostile): 404, "/sessions/" + url.PathEscape(hostile): 404, "/sessions/%2e%2e": 404,
		} {
			got, body, _ := s.ask("GET", path, nil)
			assert.Equal(t, status, got, path)
			assert.NotContains(t, body, "<img src=x")
			assert.NotContains(t, body, "<script>")
		}
		p := s.opens(session)
		p.sees()
		p.closes()
	})
}

// TestTheKeyStaysHere looks for the key of the Hub in all that a browser is sent.
func TestTheKeyStaysHere(t *testing.T) {
	const key = "sk_very_secret_key"
	hub := codertest.NewHub(codertest.WithAPIKey(key))
	defer hub.Close()
	client, err := hub.NewClient()
	require.NoError(t, err)
	created, err := client.CreateSession(t.Context(), coder.CreateSessionRequest{Task: "Say hello"})
	require.NoError(t, err)
	c := newConsole(client, false, nil)
	defer c.close()
	server := httptest.NewServer(c.handler())
	defer server.Close()
	hub.SetAPIKey("another, so that everything fails")
	for _, path := range []string{"/", sessionPath(created.SessionID), "/nowhere"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, nil)
		require.NoError(t, err)
		answer, err := server.Client().Do(r)
		require.NoError(t, err)
		text, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		assert.Contains(t, string(text), "The Hub does not accept the API key.")
		assert.NotContains(t, string(text), key)
		assert.NotContains(t, string(text), hub.URL(), "nor where it is")
	}
}
