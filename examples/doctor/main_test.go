package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
	"github.com/agentuity/coder-go/examples/internal/promises"
	"github.com/agentuity/coder-go/examples/internal/readme"
)

const (
	testKey  = "sk_live_S3CR3T-abcdef"
	testHost = "hub.secret.example"
	testOrg  = "org_S3CR3T"
)

// secretTexts is what nothing may print.
var secretTexts = []string{testKey, testHost, testOrg, "S3CR3T", "Find the bug", "proxy.secret.example"}

// scene is a Hub, and what is between it and the doctor.
type scene struct {
	hub     *codertest.Hub
	between *surroundings
	ended   time.Time // when the doctor was done
}

// onWindows the names of variables have no case.
const onWindows = runtime.GOOS == "windows"

// asShown has the names of variables as the doctor shows them.
func asShown(text string) string {
	if onWindows {
		return strings.NewReplacer("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY").Replace(text)
	}
	return text
}

// environ sets the variables that the doctor reads, and no other.
func environ(t *testing.T, values map[string]string) {
	t.Helper()
	for _, name := range []string{
		"AGENTUITY_SDK_KEY", "AGENTUITY_CLI_KEY", "AGENTUITY_CODER_URL", "AGENTUITY_CATALYST_URL", "AGENTUITY_TRANSPORT_URL", "AGENTUITY_REGION",
		"HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy", "ALL_PROXY", "all_proxy", "AGENTUITY_CLOUD_ORG_ID",
	} {
		if capitals := strings.ToUpper(name); onWindows && capitals != name { // there it is the same variable
			if values[name] != "" {
				t.Setenv(capitals, values[name])
			}
			continue
		}
		t.Setenv(name, values[name])
	}
	t.Setenv("AGENTUITY_ORGID", testOrg)
}

func account() map[string]string {
	return map[string]string{"AGENTUITY_SDK_KEY": testKey, "AGENTUITY_CODER_URL": "http://" + testHost}
}

// examined is what the doctor says of a Hub in a bubble, after the scene was set.
func examined(t *testing.T, env map[string]string, set func(*scene), args ...string) (status int, out string) {
	t.Helper()
	environ(t, env)
	synctest.Test(t, func(t *testing.T) {
		hub := codertest.NewHub(codertest.WithInMemoryNetwork(), codertest.WithAPIKey(testKey), codertest.WithAgentVersion("1.6.0"))
		defer hub.Close()
		client, err := hub.NewClient()
		require.NoError(t, err)
		require.NoError(t, furnish(t.Context(), hub, client))
		for range 2 {
			hub.AddSession(codertest.Session{Task: "Find the bug"})
		}
		s := &scene{hub: hub, between: &surroundings{
			transport: hub.HTTPClient().Transport,
			proxy:     noProxy,
			resolve:   oneAddress,
		}}
		if set != nil {
			set(s)
		}
		status, out = called(t.Context(), t, s.between, args...)
		s.ended = time.Now()
	})
	return status, out
}

func noProxy(*http.Request) (*url.URL, error)         { return nil, nil }
func oneAddress(context.Context, string) (int, error) { return 1, nil }

func failing(err error) func(context.Context, string) (int, error) {
	return func(context.Context, string) (int, error) { return 0, err }
}

// called runs the doctor, and looks for what it must not print.
func called(ctx context.Context, t *testing.T, between *surroundings, args ...string) (status int, out string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	status = run(ctx, args, &stdout, &stderr, between)
	assert.Empty(t, stderr.String())
	for _, secret := range secretTexts {
		assert.NotContains(t, strings.ToLower(stdout.String()), strings.ToLower(secret))
	}
	return status, stdout.String()
}

// line is the first line about a check with a status, and the advice behind it.
func line(out string, status Status, check string) string {
	lines := strings.Split(out, "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, string(status)+" ") && strings.HasPrefix(strings.TrimSpace(l[len(status):]), check+" ") {
			if i+1 < len(lines) && strings.HasPrefix(strings.TrimSpace(lines[i+1]), "->") {
				l += "\n" + lines[i+1]
			}
			return l
		}
	}
	return ""
}

// answering changes each answer that comes for a path.
func answering(s *scene, path string, change func(*http.Response)) {
	honest := s.between.transport
	s.between.transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		answer, err := honest.RoundTrip(r)
		if err == nil && strings.HasSuffix(r.URL.Path, path) && answer.StatusCode == http.StatusOK {
			change(answer)
		}
		return answer, err
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// slowly is a body whose every read waits, as behind a gateway that holds back.
type slowly struct {
	io.ReadCloser
	wait   time.Duration
	once   *sync.Once
	closed chan struct{}
}

func (s *slowly) Read(p []byte) (int, error) {
	select {
	case <-time.After(s.wait):
	case <-s.closed:
		return 0, net.ErrClosed
	}
	return s.ReadCloser.Read(p)
}

func (s *slowly) Close() error {
	s.once.Do(func() { close(s.closed) })
	return s.ReadCloser.Close()
}

func slow(wait time.Duration) func(*http.Response) {
	return func(answer *http.Response) {
		answer.Body = &slowly{answer.Body, wait, new(sync.Once), make(chan struct{})}
	}
}

// delayed is a body that passes everything on some time after it came, as a gateway does that collects.
func delayed(wait time.Duration) func(*http.Response) {
	return func(answer *http.Response) {
		from, to := answer.Body, make(chan delivery, 1000)
		go func() {
			defer close(to)
			for {
				piece := make([]byte, 4096)
				n, err := from.Read(piece)
				to <- delivery{piece[:n], err, time.Now().Add(wait)}
				if err != nil {
					return
				}
			}
		}()
		answer.Body = &delayedBody{Closer: from, from: to}
	}
}

type delivery struct {
	text []byte
	err  error
	at   time.Time
}

type delayedBody struct {
	io.Closer
	from chan delivery
	rest []byte
}

func (d *delayedBody) Read(p []byte) (int, error) {
	for len(d.rest) == 0 {
		next, ok := <-d.from
		switch {
		case !ok:
			return 0, net.ErrClosed
		case next.err != nil:
			return 0, next.err
		}
		<-time.After(time.Until(next.at))
		d.rest = next.text
	}
	n := copy(p, d.rest)
	d.rest = d.rest[n:]
	return n, nil
}

const events = "/hub/session/{id}/events"

func html(status int) codertest.Fault {
	return codertest.Fault{
		Status: status, Count: -1, Header: http.Header{"Content-Type": {"text/html"}}, Body: []byte("<html><title>Log in</title></html>"),
	}
}

func at(route string, f codertest.Fault) codertest.Fault {
	f.Route = route
	f.Count = -1
	return f
}

// TestAdvice breaks one thing after the other, and looks for the advice.
func TestAdvice(t *testing.T) {
	without := func(change func(map[string]string)) map[string]string {
		env := account()
		change(env)
		return env
	}
	injected := func(f codertest.Fault) func(*scene) { return func(s *scene) { s.hub.Inject(f) } }
	refusing := func(r codertest.Refusal) func(*scene) {
		return func(s *scene) { r.Count = -1; s.hub.RefuseStreams(r) }
	}
	dns := func(err error) func(*scene) { return func(s *scene) { s.between.resolve = failing(err) } }
	for name, tc := range map[string]struct {
		env    map[string]string
		set    func(*scene)
		args   []string
		check  string // of the line that is not fine
		seen   string
		advice string
		also   bool // other lines are not fine either
	}{
		"no key": {
			env:   without(func(env map[string]string) { delete(env, "AGENTUITY_SDK_KEY") }),
			check: "credentials", seen: "401", advice: "Set AGENTUITY_SDK_KEY",
		},
		"no key for discovery": {
			env:   map[string]string{"AGENTUITY_CATALYST_URL": "http://" + testHost},
			check: "environment", seen: "API key", advice: "Set AGENTUITY_SDK_KEY",
		},
		"a wrong key": {
			env:   without(func(env map[string]string) { env["AGENTUITY_SDK_KEY"] = "sk_other_S3CR3T" }),
			check: "credentials", seen: "401", advice: "The key in AGENTUITY_SDK_KEY is wrong",
		},
		"a wrong key of the CLI": {
			env: map[string]string{"AGENTUITY_CLI_KEY": "sk_other_S3CR3T", "AGENTUITY_CATALYST_URL": "http://" + testHost}, check: "discovery",
			seen: "401", advice: "The key in AGENTUITY_CLI_KEY is wrong",
		},
		"a URL with a wrong path": {
			env:   without(func(env map[string]string) { env["AGENTUITY_CODER_URL"] += "/S3CR3T/path" }),
			check: "Hub", seen: "404", advice: "Check the URL in AGENTUITY_CODER_URL",
		},
		"a page to log in": {set: injected(html(200)), check: "Hub", seen: "it is HTML", advice: "a page to log in"},
		"a gateway's page": {set: injected(html(502)), check: "GET /hub/sessions", seen: "502", advice: "does not reach the Hub", also: true},
		"no plan":          {set: injected(at("/hub/sessions", codertest.Fault{Status: 402})), check: "credentials", seen: "402", advice: "plan"},
		"not allowed":      {set: injected(at("/hub/sessions", codertest.Fault{Status: 403})), check: "credentials", seen: "403", advice: "may not"},
		"a name that does not exist": {
			set:   dns(&net.DNSError{Err: "no such host", Name: testHost, IsNotFound: true}),
			check: "DNS", seen: "no such host", advice: "The name does not exist",
		},
		"a name that is written in another way": {
			env:   without(func(env map[string]string) { env["AGENTUITY_CODER_URL"] = "http://" + strings.ToUpper(testHost) }),
			set:   dns(&net.DNSError{Err: "no such host", Name: testHost, IsNotFound: true}),
			check: "DNS", seen: "lookup $AGENTUITY_CODER_URL: no such host", advice: "The name does not exist",
		},
		"a DNS server that is silent": {
			set:   dns(&net.DNSError{Err: "i/o timeout", Name: testHost, IsTimeout: true}),
			check: "DNS", seen: "timeout", advice: "The DNS server does not answer",
		},
		"a port that nobody listens on": {
			set:   func(s *scene) { s.hub.Restart(time.Hour, codertest.Outage{}) },
			check: "connection", seen: "refused", advice: "Nobody listens there",
		},
		"a port that is cut": {
			set:   func(s *scene) { s.hub.Restart(time.Hour, codertest.Outage{Kind: codertest.OutageClosed}) },
			check: "connection", advice: "Something cuts the connection",
		},
		"a firewall that swallows": {
			set: func(s *scene) {
				s.between.transport = roundTrip(func(r *http.Request) (*http.Response, error) {
					<-r.Context().Done()
					return nil, r.Context().Err()
				})
			},
			check: "connection", seen: "deadline", advice: "a firewall may swallow it. Try it from another network, or set HTTP_PROXY",
		},
		"a proxy that cannot be read": {
			set: func(s *scene) {
				s.between.proxy = func(*http.Request) (*url.URL, error) { return nil, errors.New(`parse "proxy.secret.example:x"`) }
			},
			check: "proxy", seen: "cannot be read", advice: "HTTPS_PROXY",
		},
		"a proxy that cannot be reached": {
			env: without(func(env map[string]string) { env["HTTP_PROXY"] = "http://user:S3CR3T@proxy.secret.example:3128" }),
			set: func(s *scene) {
				s.between.proxy = func(*http.Request) (*url.URL, error) { return url.Parse(os.Getenv("HTTP_PROXY")) }
				s.between.transport = roundTrip(func(*http.Request) (*http.Response, error) {
					return nil, &net.OpError{Op: "proxyconnect", Net: "tcp", Err: &net.DNSError{
						Err: "no such host", Name: "proxy.secret.example", IsNotFound: true,
					}}
				})
			},
			check: "proxy", seen: "lookup $HTTP_PROXY: no such host", advice: "The proxy itself cannot be reached: check HTTP_PROXY",
		},
		"a clock that is an hour ahead": {
			set:   func(s *scene) { dated(s, -time.Hour) },
			check: "clock", seen: "1h0m0s ahead of the Hub", advice: "Set the clock",
		},
		"a clock that is an hour behind": {
			set:   func(s *scene) { dated(s, time.Hour) },
			check: "clock", seen: "1h0m0s behind the Hub", advice: "Set the clock",
		},
		"a redirect to https": {
			set: func(s *scene) {
				honest := s.between.transport
				s.between.transport = roundTrip(func(r *http.Request) (*http.Response, error) {
					answer, err := honest.RoundTrip(r)
					if err == nil && r.URL.Path == "/" {
						answer.StatusCode = http.StatusMovedPermanently
						answer.Header.Set("Location", "https://"+testHost+"/")
					}
					return answer, err
				})
			},
			check: "URL", seen: "redirected to https", advice: "Put https",
		},
		"a route that fails": {
			set:   injected(at("/hub/workspaces", codertest.Fault{Status: 500})),
			check: "GET /hub/workspaces", seen: "500", advice: "The Hub itself fails",
		},
		"a route that is limited": {
			set:   injected(at("/hub/agents", codertest.Fault{Status: 429})),
			check: "GET /hub/agents", seen: "429", advice: "Too much was asked at once",
		},
		"a route that is slow": {
			set:   injected(at("/hub/skills/buckets", codertest.Fault{Delay: 7 * time.Second})),
			check: "GET /hub/skills/buckets", seen: "answered", advice: "slow",
		},
		"a route that hangs": {
			set:   injected(at("/hub/skills/buckets", codertest.Fault{Stall: true})),
			check: "GET /hub/skills/buckets", seen: "deadline", advice: "Nothing comes back",
		},
		"a route of another version": {
			set:   injected(at("/hub/agents", codertest.Fault{Body: []byte(`{"agents":{"of":"S3CR3T"}}`)})),
			check: "GET /hub/agents", seen: "agents", advice: "speaks another version", also: true,
		},
		"a member of the wrong kind": {
			set:   injected(at("/hub/skills/buckets", codertest.Fault{Body: []byte(`{"buckets":[{"id":"b","name":["S3CR3T"],"slug":"s"}]}`)})),
			check: "drift", seen: "name: wrong kind", advice: "cannot read it", also: true,
		},
		"a stream that is refused": {
			set:   func(s *scene) { s.hub.Inject(at(events, codertest.Fault{Status: 503})) },
			check: "events", seen: "503", advice: "The Hub is away",
		},
		"a stream that is answered with a page": {
			set: func(s *scene) {
				f := html(200)
				f.Route = events
				s.hub.Inject(f)
			},
			check: "events", seen: "it is HTML", advice: "A gateway or a page to log in",
		},
		"a stream whose head is held back": {
			set:   injected(at(events, codertest.Fault{Stall: true, Cut: codertest.CutAfterEffect})),
			check: "events", seen: "not even the head", advice: "turn its buffering off",
		},
		"a stream that is held back": {
			set:   func(s *scene) { answering(s, "/events", slow(time.Hour)) },
			check: "events", seen: "nothing behind it", advice: "turn its buffering off",
		},
		"a stream that is held back in the middle": {
			set: func(s *scene) {
				answering(s, "/events", func(answer *http.Response) {
					begun := make([]byte, 100)
					_, err := io.ReadFull(answer.Body, begun)
					assert.NoError(t, err)
					slow(time.Hour)(answer)
					answer.Body = struct {
						io.Reader
						io.Closer
					}{io.MultiReader(bytes.NewReader(begun), answer.Body), answer.Body}
				})
			},
			check: "events", seen: "were not whole within", advice: "turn its buffering off",
		},
		"a stream that comes late": {
			set:   func(s *scene) { answering(s, "/events", slow(3*time.Second)) },
			check: "events", seen: "held back for 3", advice: "turn its buffering off",
		},
		"a stream that is collected": {
			set:   func(s *scene) { answering(s, "/events", func(a *http.Response) { a.ContentLength = 1000 }) },
			check: "events", seen: "how long it is", advice: "turn its buffering off",
		},
		"a stream that is compressed": {
			set: func(s *scene) {
				answering(s, "/events", func(a *http.Response) { a.Header.Set("Content-Encoding", "gzip") })
			},
			check: "events", seen: `compressed: "gzip"`, advice: "turn compression off",
		},
		"a stream that ends": {
			set: func(s *scene) {
				answering(s, "/events", func(a *http.Response) {
					a.Body.Close()
					a.Body = io.NopCloser(strings.NewReader(": bye\n\n"))
				})
			},
			check: "events", seen: "the Hub ended the stream", advice: "a long read timeout",
		},
		"a WebSocket that a proxy blocks": {
			set:   injected(at("/ws", codertest.Fault{Status: 400})),
			check: "WebSocket", seen: "400", advice: "lets no WebSocket through",
		},
		"a WebSocket that a firewall refuses": {
			set: func(s *scene) {
				f := html(403)
				f.Route = "/ws"
				s.hub.Inject(f)
			},
			check: "WebSocket", seen: "403", advice: "it is a gateway that refuses",
		},
		"a WebSocket that is answered as anything else": {
			set: func(s *scene) {
				f := html(200)
				f.Route = "/ws"
				s.hub.Inject(f)
			},
			check: "WebSocket", seen: "200", advice: "lets no WebSocket through",
		},
		"a WebSocket that hangs": {
			set:   injected(at("/ws", codertest.Fault{Stall: true})),
			check: "WebSocket", seen: "nothing came within", advice: "lets no WebSocket through",
		},
		"a WebSocket without the key": {
			set:   refusing(codertest.Refusal{Status: 503, CloseCode: coder.CloseAuthRequired}),
			check: "WebSocket", seen: "4401", advice: "refuses the key here and not above", also: true,
		},
		"a promise that is broken": {
			args: []string{"-write"},
			set: func(s *scene) {
				honest := s.between.transport
				s.between.transport = roundTrip(func(r *http.Request) (*http.Response, error) {
					if strings.HasPrefix(r.URL.Query().Get("search"), "promises-") {
						r = r.Clone(r.Context())
						r.URL.RawQuery = "search=nothing-of-this"
					}
					return honest.RoundTrip(r)
				})
			},
			check: "promise search-metadata", seen: "not so: search looks into metadata", advice: "one key, many sessions", also: true,
		},
		"an event that comes late": {
			args: []string{"-write"},
			set: func(s *scene) {
				opened := 0
				answering(s, "/events", func(a *http.Response) {
					if opened++; opened == 3 { // that of the change
						delayed(2500 * time.Millisecond)(a)
					}
				})
			},
			check: "event delay", seen: "after what has caused it", advice: "turn its buffering off",
		},
		"something that is left behind": {
			args:  []string{"-write"},
			set:   injected(codertest.Fault{Method: http.MethodDelete, Status: 403, Count: -1}),
			check: "left behind", seen: "is archived and not deleted", advice: "Delete it by hand",
		},
	} {
		t.Run(name, func(t *testing.T) {
			env := tc.env
			if env == nil {
				env = account()
			}
			status, out := examined(t, env, tc.set, tc.args...)
			assert.Equal(t, notFine, status)
			found := line(out, Wrong, tc.check)
			require.NotEmpty(t, found, "a line about %s that is not fine in\n%s", tc.check, out)
			assert.Contains(t, found, tc.seen)
			require.Contains(t, found, "-> ")
			assert.Contains(t, found[strings.Index(found, "-> "):], tc.advice, found)
			if !tc.also {
				assert.Equal(t, 1, strings.Count("\n"+out, "\n"+string(Wrong)), "nothing else is wrong:\n%s", out)
			}
			assert.Contains(t, out, "Not fine: ")
		})
	}
}

// dated makes each answer tell another time than that of this machine.
func dated(s *scene, by time.Duration) {
	honest := s.between.transport
	s.between.transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		answer, err := honest.RoundTrip(r)
		if err == nil {
			answer.Header.Set("Date", time.Now().Add(by).UTC().Format(http.TimeFormat))
		}
		return answer, err
	})
}

func TestAllIsFine(t *testing.T) {
	t.Run("with an account", func(t *testing.T) {
		status, out := examined(t, account(), nil)
		assert.Equal(t, allFine, status, out)
		assert.Contains(t, out, "the key is in AGENTUITY_SDK_KEY, the URL in AGENTUITY_CODER_URL")
		assert.Contains(t, out, "All is fine.")
		for _, check := range []string{"proxy", "DNS", "connection", "clock", "credentials", "GET /hub/session/{id}/todos", "events", "WebSocket", "promises"} {
			assert.NotEmpty(t, line(out, OK, check), check)
		}
		assert.Contains(t, line(out, Note, "TLS"), "not encrypted")
		assert.NotContains(t, out, "promise sessions-limit", "-v prints each")
	})
	t.Run("and leaves the Hub as it was", func(t *testing.T) {
		examined(t, account(), func(s *scene) {
			honest := s.between.transport
			s.between.transport = roundTrip(func(r *http.Request) (*http.Response, error) {
				assert.Equal(t, http.MethodGet, r.Method)
				return honest.RoundTrip(r)
			})
		})
	})
	t.Run("and may write", func(t *testing.T) {
		var hub *codertest.Hub
		status, out := examined(t, account(), func(s *scene) { hub = s.hub }, "-write", "-v")
		assert.Equal(t, allFine, status, out)
		assert.Contains(t, out, fmt.Sprintf("%[1]d of %[1]d held", len(promises.All())))
		assert.NotEmpty(t, line(out, OK, "promise resume-declined"))
		assert.NotEmpty(t, line(out, OK, "event delay"))
		assert.Len(t, hub.SessionIDs(), 4, "what was made is deleted")
	})
	t.Run("where the Hub is discovered", func(t *testing.T) {
		env := map[string]string{"AGENTUITY_SDK_KEY": testKey, "AGENTUITY_CATALYST_URL": "http://" + testHost}
		status, out := examined(t, env, nil)
		assert.Equal(t, allFine, status, out)
		assert.NotEmpty(t, line(out, OK, "discovery: connection"))
		assert.NotEmpty(t, line(out, OK, "discovery"))
	})
	t.Run("without an account", func(t *testing.T) {
		environ(t, nil)
		status, out := called(t.Context(), t, nil)
		assert.Equal(t, allFine, status, out)
		assert.Contains(t, out, "examining an embedded Hub")
		assert.Contains(t, out, "0 broken, 0 could not be settled")
		readme.Check(t, "go run ./examples/doctor", out)
	})
	t.Run("where there is no session", func(t *testing.T) {
		status, out := examined(t, account(), func(s *scene) {
			for _, id := range s.hub.SessionIDs() {
				s.hub.Session(id).Archive()
			}
		})
		assert.Equal(t, allFine, status, out)
		assert.Contains(t, line(out, Skipped, "events"), "-write")
		assert.Contains(t, line(out, OK, "WebSocket"), "as it should")
	})
	t.Run("where there is no session and one may be made", func(t *testing.T) {
		status, out := examined(t, account(), func(s *scene) {
			for _, id := range s.hub.SessionIDs() {
				s.hub.Session(id).Archive()
			}
		}, "-write")
		assert.Equal(t, allFine, status, out)
		assert.NotEmpty(t, line(out, OK, "events"))
		assert.NotEmpty(t, line(out, OK, "event delay"))
	})
	t.Run("where a companion's route is missing, and GitHub", func(t *testing.T) {
		status, out := examined(t, account(), func(s *scene) {
			s.hub.Inject(at("/hub/init", codertest.Fault{Status: 404}))
			s.hub.Inject(at("/hub/github/accounts", codertest.Fault{Status: 409}))
		})
		assert.Equal(t, allFine, status, out)
		assert.Contains(t, line(out, OK, "GET /hub/init"), "does without it")
		assert.Contains(t, line(out, OK, "GET /hub/github/accounts"), "not connected")
	})
	t.Run("where a member is new", func(t *testing.T) {
		status, out := examined(t, account(), func(s *scene) {
			s.hub.Inject(at("/hub/skills/library", codertest.Fault{Body: []byte(`{"skills":[],"shelf":"S3CR3T"}`)}))
		})
		assert.Equal(t, allFine, status, out)
		assert.Contains(t, out, "GET /hub/skills/library: shelf: unknown member")
		assert.Contains(t, line(out, Note, "drift"), "update the library")
	})
	t.Run("through a proxy", func(t *testing.T) {
		env := account()
		env["HTTP_PROXY"] = "http://user:S3CR3T@proxy.secret.example:3128"
		status, out := examined(t, env, func(s *scene) {
			s.between.proxy = func(*http.Request) (*url.URL, error) { return url.Parse(os.Getenv("HTTP_PROXY")) }
			s.between.resolve = func(context.Context, string) (int, error) { return 0, errors.New("only the proxy knows the name") }
		})
		assert.Equal(t, allFine, status, out)
		assert.Contains(t, line(out, OK, "proxy"), "through the http proxy of HTTP_PROXY")
	})
}

func TestNothingBehindAGatewayIsTriedForLong(t *testing.T) {
	began := time.Now()
	status, out := examined(t, account(), func(s *scene) {
		began = time.Now() // of the bubble
		s.hub.Restart(1000*time.Hour, codertest.Outage{Kind: codertest.OutageBadGateway})
		t.Cleanup(func() { assert.Less(t, s.ended.Sub(began), time.Second) })
	}, "-write")
	assert.Equal(t, notFine, status)
	assert.Contains(t, out, "no route works")
	assert.Empty(t, line(out, Wrong, "WebSocket"))
}

func TestInterrupted(t *testing.T) {
	for _, route := range []string{"/hub/agents", events, "/ws"} {
		t.Run(route, func(t *testing.T) {
			environ(t, account())
			synctest.Test(t, func(t *testing.T) {
				hub := codertest.NewHub(codertest.WithInMemoryNetwork(), codertest.WithAPIKey(testKey))
				defer hub.Close()
				hub.AddSession(codertest.Session{Task: "Find the bug"})
				hub.Inject(codertest.Fault{Route: route, Stall: true})
				ctx, cancel := context.WithCancel(t.Context())
				go func() { synctest.Wait(); cancel() }()
				status, out := called(ctx, t, &surroundings{
					transport: hub.HTTPClient().Transport,
					proxy:     noProxy,
					resolve:   oneAddress,
				})
				assert.Equal(t, interrupted, status)
				assert.Contains(t, line(out, Wrong, "doctor"), "interrupted")
				assert.Equal(t, 1, strings.Count("\n"+out, "\n"+string(Wrong)), "nothing else is wrong:\n%s", out)
			})
		})
	}
}

func TestUsage(t *testing.T) {
	environ(t, nil)
	for args, want := range map[string]struct {
		status int
		says   string
	}{
		"-h":            {allFine, "-write"},
		"-nonsense":     {badUsage, "-nonsense"},
		"codesess_1 -v": {badUsage, "2 arguments too many"},
	} {
		var out, errs bytes.Buffer
		assert.Equal(t, want.status, run(t.Context(), strings.Fields(args), &out, &errs, nil))
		assert.Contains(t, errs.String(), want.says)
		assert.Empty(t, out.String())
	}
}

func TestJSON(t *testing.T) {
	status, out := examined(t, account(), func(s *scene) {
		s.hub.Inject(at("/hub/workspaces", codertest.Fault{Status: 500}))
	}, "-json", "-write")
	assert.Equal(t, notFine, status)
	var r report
	require.NoError(t, json.Unmarshal([]byte(out), &r))
	assert.Equal(t, coder.Version, r.Version)
	assert.NotEmpty(t, r.Go)
	assert.True(t, r.Write)
	assert.False(t, r.Fine)
	assert.False(t, r.Embedded)
	assert.Len(t, r.Promises, len(promises.All()))
	failed := ""
	for _, l := range r.Lines {
		assert.NotEmpty(t, l.Status)
		if l.Status == Wrong {
			failed += l.Check + ": " + l.Seen
		}
	}
	assert.Contains(t, failed, "GET /hub/workspaces: ")
	assert.Contains(t, failed, "request trace_", "a request id helps who reads it")
	assert.NotContains(t, out, "All is fine", "there is nothing but JSON")
}

// TestRecord: the recording has what went over the wire, without the key and without what was said, and never replaces a file.
func TestRecord(t *testing.T) {
	name := filepath.Join(t.TempDir(), "hub.jsonl")
	status, _ := examined(t, account(), nil, "-record", name)
	require.Equal(t, allFine, status)
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	for _, want := range []string{"/api/hub/sessions", "/events", "session_hydration", `"type":"init"`} {
		assert.Contains(t, strings.ReplaceAll(string(text), `\"`, `"`), want)
	}
	assert.NotContains(t, string(text), testKey)
	assert.NotContains(t, string(text), "Find the bug")
	played, err := codertest.Replay(bytes.NewReader(text))
	require.NoError(t, err)
	played.Close()
	var stdout, stderr bytes.Buffer
	assert.Equal(t, badUsage, run(t.Context(), []string{"-record", name}, &stdout, &stderr, nil))
	assert.Contains(t, stderr.String(), "name another one, a recording replaces nothing")
	again, err := os.ReadFile(name)
	require.NoError(t, err)
	assert.Equal(t, text, again)
}
