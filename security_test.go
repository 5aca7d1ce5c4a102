package coder_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
)

// TestSecurity_TheTableIsTrue: every row of the table of SECURITY.md says what is done and names tests, all of which exist.
func TestSecurity_TheTableIsTrue(t *testing.T) {
	text, err := os.ReadFile("SECURITY.md")
	require.NoError(t, err)
	_, section, found := strings.Cut(string(text), "\n## What holds, and what shows it\n")
	require.True(t, found)
	section, _, _ = strings.Cut(section, "\n## ")
	tests := testsByPackage(t)
	rows := 0
	for line := range strings.Lines(section) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| --- ") || strings.HasPrefix(line, "| Point ") {
			continue
		}
		rows++
		if !assert.Len(t, cells, 3, line) {
			continue
		}
		assert.NotEmpty(t, strings.TrimSpace(cells[1]), line)
		named := regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cells[2], -1)
		assert.NotEmpty(t, named, "the row names no test: %s", line)
		for _, name := range named {
			assert.True(t, tests[name[1]], "the test %s of SECURITY.md is gone", name[1])
		}
		rest := regexp.MustCompile("`[^`]+`").ReplaceAllString(cells[2], "")
		assert.Empty(t, strings.Trim(rest, " ,"), "the last cell has names of tests only: %s", line)
	}
	assert.Greater(t, rows, 30)
	for name := range tests {
		if strings.HasPrefix(name, "TestSecurity_") && name != t.Name() {
			assert.Contains(t, section, "`"+name+"`", "it belongs into the table")
		}
	}
}

// testsByPackage are the tests of this module: TestName in the root, folder.TestName below it.
func testsByPackage(t *testing.T) map[string]bool {
	t.Helper()
	tests := make(map[string]bool)
	require.NoError(t, filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir():
			if _, err := os.Stat(filepath.Join(name, "go.mod")); name != "." && (err == nil || strings.HasPrefix(entry.Name(), ".") || entry.Name() == "testdata") {
				return fs.SkipDir
			}
			return nil
		case !strings.HasSuffix(name, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		folder := ""
		if dir := filepath.ToSlash(filepath.Dir(name)); dir != "." {
			folder = dir + "."
		}
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if ok && f.Recv == nil && (strings.HasPrefix(f.Name.Name, "Test") || strings.HasPrefix(f.Name.Name, "Fuzz")) {
				tests[folder+f.Name.Name] = true
			}
		}
		return nil
	}))
	require.Greater(t, len(tests), 500)
	return tests
}

// TestSecurity_Dependencies: what a program gets with the library is what the design allows, and nothing of the tools.
func TestSecurity_Dependencies(t *testing.T) {
	text, err := os.ReadFile("go.mod")
	require.NoError(t, err)
	var direct []string
	for _, m := range regexp.MustCompile(`(?m)^\s+(\S+) v\S+$`).FindAllStringSubmatch(string(text), -1) {
		direct = append(direct, m[1])
	}
	assert.ElementsMatch(t, []string{
		"github.com/coder/websocket", "github.com/go-json-experiment/json", "github.com/hashicorp/go-retryablehttp",
		"github.com/stretchr/testify", "golang.org/x/sync",
	}, direct, "of testify only tests know")
	assert.NotRegexp(t, `(?m)^(replace|tool)\b`, string(text))
	for file, command := range map[string]string{".ci/run": "make vuln", "Makefile": "tools/vuln.sh", "tools/go.mod": "golang.org/x/vuln/cmd/govulncheck"} {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		assert.Contains(t, string(text), command, file)
	}
}

var once = coder.WithRetryPolicy(coder.RetryPolicy{MaxAttempts: 1, UnavailableWindow: -1})

// TestSecurity_DiscoveredURLs: what discovery may name, and what not. The key goes nowhere else.
func TestSecurity_DiscoveredURLs(t *testing.T) {
	clearEnv(t)
	ask := func(named string) (asked []string, err error) {
		answer, err := json.Marshal(map[string]string{"sessionId": "x", "url": named})
		require.NoError(t, err)
		c := newClient(t, coder.WithAPIKey(testKey), once, over(func(url string, _ *http.Request) (int, http.Header, string) {
			asked = append(asked, url)
			return 200, nil, string(answer)
		}))
		_, err = c.GetSession(t.Context(), "x")
		return asked[1:], err
	}
	for named, want := range map[string]string{
		"https://hub.example":          "https://hub.example",
		" https://hub.example/\n":      "https://hub.example",
		"wss://hub.example:8443/p":     "https://hub.example:8443/p",
		"https://hub.example.":         "https://hub.example.",
		"https://[2001:db8::1]:8443":   "https://[2001:db8::1]:8443",
		"https://xn--hb-xka.example":   "https://xn--hb-xka.example",
		"http://localhost:3500":        "http://localhost:3500",
		"http://[::1]:3500":            "http://[::1]:3500",
		"http://[::ffff:127.0.0.1]:80": "http://[::ffff:127.0.0.1]:80",
	} {
		asked, err := ask(named)
		require.NoError(t, err, named)
		assert.Equal(t, []string{want + "/api/hub/session/x"}, asked)
	}
	for kind, list := range map[string][]string{
		"other schemes":             {"ftp://hub.example", "file:///hub", "unix:/hub", "javascript:x", "hub.example", "//hub.example", "https:hub.example"},
		"user info":                 {"https://u@hub.example", "https://u:s3cr3t@hub.example", "https://@hub.example", "http://localhost@hub.example"},
		"no host, or none there is": {"https://", "https:///x", "https://:443", "https://hub.example:65536", "https://hub.example:x", "https://[::1]hub.example"},
		"a zone":                    {"https://[fe80::1%25eth0]", "http://[::1%25lo]"},
		"characters in the host":    {"https://a b", "https://a\"b", "https://a,b", "https://a\\b", "https://a%00b", "https://a%2eb", "https://a\u202eb", "https://a;b", "https://*.example", "https://<a>"},
		"characters behind it":      {"https://hub.example/\r\nx", "https://hub.example/\x00", "https://hub.example?x", "https://hub.example/#x", "https://hub.example/../x", "https://hub.example/%2e%2e/x", "https://hub.example/..%2fx"},
		"a downgrade":               {"http://hub.example", "HTTP://hub.example", "ws://hub.example", "http://localhost.", "http://localhost.example", "http://127.0.0.1.example", "http://127.1", "http://0.0.0.0", "http://10.0.0.1"},
	} {
		for _, named := range list {
			asked, err := ask(named)
			var bad *coder.ResponseError
			if assert.ErrorAs(t, err, &bad, "%s: %q", kind, named) {
				assert.Empty(t, asked, "%s: %q", kind, named)
				assert.NotContains(t, err.Error(), "s3cr3t")
			}
		}
	}
}

// TestSecurity_Environment: what a variable may hold. No value is repeated by an error.
func TestSecurity_Environment(t *testing.T) {
	for name, values := range map[string][]string{
		"AGENTUITY_SDK_KEY":       {"s3cr3t\n", "s3cr3t\r\nx", "s3cr3t\x1b", "s3cr3t\x7f", "s3cr3t\u00e9", "s3cr3t\u2028", "\t"},
		"AGENTUITY_CLI_KEY":       {"s3cr3t\n", "\t"},
		"AGENTUITY_CODER_URL":     {"http://s3cr3t\x1b", "https://h/\r\ns3cr3t", "https://u:s3cr3t@h", "s3cr3t", "https://h?k=s3cr3t"},
		"AGENTUITY_CATALYST_URL":  {"http://s3cr3t\x1b", " ", "https://u:s3cr3t@h"},
		"AGENTUITY_TRANSPORT_URL": {"https://s3cr3t\td", " ", "https://u:s3cr3t@h"},
		"AGENTUITY_REGION":        {"s3cr3t\n", " ", "s3cr3t.example", "s3cr3t/", "s3cr3t@h", "s3cr3t:80"},
	} {
		for _, value := range values {
			clearEnv(t)
			if name != "AGENTUITY_SDK_KEY" && name != "AGENTUITY_CLI_KEY" {
				t.Setenv("AGENTUITY_SDK_KEY", "key")
			}
			t.Setenv(name, value)
			_, err := coder.NewClient()
			var bad *coder.ValidationError
			if assert.ErrorAs(t, err, &bad, "%s=%q", name, value) {
				assert.NotContains(t, err.Error(), "s3cr3t")
			}
		}
	}
	clearEnv(t)
	t.Setenv("AGENTUITY_CODER_URL", " \t")
	_, err := coder.NewClient()
	require.ErrorIs(t, err, coder.ErrMissingAPIKey, "blanks are no URL")
}

// TestSecurity_Do: what Do sends stays below /api of the Hub, and says what it was asked to say.
func TestSecurity_Do(t *testing.T) {
	s := newServer(t, answerJSON(200, `{}`))
	c := s.client(t)
	for _, path := range []string{
		"", "x", "https://hub.example/x", "//hub.example/x", "///x", `/\hub.example`, `\x`, "/..", "/../x", "/x/..", "/x/.", "/x/../../y", "/%2e%2e/x",
		"/x/%2E./y", "/%252e%252e/x", "/x/..;y/z", "/x/..%2fy", "/x/%2fy", "/x%5c..%5cy", "/x y", "/x\r\ny", "/x\x00", "/x#y", "/x?y#z", "/x?a b", "/x?a\r\nb",
		"/x?\u00e9", "/\u00e9", "/%zz", "/x%", "?x", " /x", "/x ", "http:/x", "/x?a=\x7f",
	} {
		err := c.Do(t.Context(), http.MethodGet, path, nil, nil)
		var bad *coder.ValidationError
		assert.ErrorAs(t, err, &bad, "%q", path)
	}
	for _, method := range []string{"", "get", "GET ", "GET\r\n", "G-T", "CONNECT", "TRACE", "GÉT"} {
		err := c.Do(t.Context(), method, "/x", nil, nil)
		var bad *coder.ValidationError
		assert.ErrorAs(t, err, &bad, "%q", method)
	}
	require.Empty(t, s.seen())
	for _, path := range []string{"/x", "/x/", "/a%2Fb", "/x?y=%0d%0a&z=%2e%2e", "/x?..=/../", "/a..b", "/...", "/x:y@z"} {
		require.NoError(t, c.Do(t.Context(), http.MethodGet, path, nil, nil), path)
		assert.Equal(t, "/api"+path, s.seen()[len(s.seen())-1].target)
	}
}

// TestSecurity_Nesting: JSON is decoded to a bounded depth, wherever it comes from.
func TestSecurity_Nesting(t *testing.T) {
	const depth = 20_000_000 // a recursion ends the program
	deep := strings.Repeat("[", depth)
	body := `{"sessionId":"x","type":"init","metadata":{"a":` + deep
	t.Run("answer", func(t *testing.T) {
		c := newServer(t, answerJSON(200, body)).client(t)
		_, err := c.GetSession(t.Context(), "x")
		assert.ErrorContains(t, err, "not valid JSON")
		_, err = take(c.ReplayEntries(t.Context(), "x", nil), 5)
		assert.ErrorContains(t, err, "not valid JSON")
		var out any
		assert.ErrorContains(t, c.Do(t.Context(), http.MethodGet, "/x", nil, &out), "not valid JSON")
	})
	t.Run("answer of an error", func(t *testing.T) {
		_, err := newServer(t, answerJSON(500, `{"message":"broken","details":{"a":`+deep)).client(t).GetSession(t.Context(), "x")
		assert.ErrorContains(t, err, "broken")
	})
	t.Run("event", func(t *testing.T) {
		c := newServer(t, answer(200, "text/event-stream", "event: hydration\ndata: "+body+"\n\n")).client(t)
		all, err := take(c.StreamEvents(t.Context(), "x", &coder.StreamEventsOptions{MaxReconnectAttempts: -1}), 1)
		require.NoError(t, err)
		assert.IsType(t, &coder.UnknownMessage{}, all[0].Data)
	})
	t.Run("message", func(t *testing.T) {
		live(t, func(p *peer) {
			p.admit()
			_ = p.say(`{"type":"rpc_event","event":{"type":"message_end","message":` + deep)
			_ = p.say(`{"type":"broadcast","event":"message_end","data":{"message":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}}`)
			p.listen()
		}, func(t *testing.T, hub *liveHub) {
			conn := connected(t, hub)
			assert.IsType(t, &coder.UnknownMessage{}, next(t, conn))
			broadcast, ok := next(t, conn).(*coder.BroadcastEventMessage)
			require.True(t, ok)
			assert.NotNil(t, broadcast.AgentEvent())
		})
	})
}

// TestSecurity_Compressed: the limits hold for what comes out of a compressed answer, and an encoding that was not asked for
// is not decoded.
func TestSecurity_Compressed(t *testing.T) {
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, _ = io.WriteString(z, `{"sessionId":"x","label":"`)
	for range 256 {
		_, _ = z.Write(bytes.Repeat([]byte("a"), 1<<20))
	}
	require.NoError(t, z.Close())
	require.Less(t, bomb.Len(), 1<<20)
	handler := func(status int, encoding string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", encoding)
			w.Header().Set("Content-Type", "application/json")
			if strings.HasSuffix(r.URL.Path, "/events") {
				w.Header().Set("Content-Type", "text/event-stream")
			}
			w.WriteHeader(status)
			_, _ = w.Write(bomb.Bytes())
		}
	}
	calls := map[string]func(c *coder.Client) error{
		"answer": func(c *coder.Client) error { _, err := c.GetSession(t.Context(), "x"); return err },
		"replay": func(c *coder.Client) error { _, err := c.GetReplay(t.Context(), "x", nil); return err },
		"entries": func(c *coder.Client) error {
			_, err := take(c.ReplayEntries(t.Context(), "x", nil), 1)
			return err
		},
		"events": func(c *coder.Client) error {
			_, err := take(c.StreamEvents(t.Context(), "x", &coder.StreamEventsOptions{MaxReconnectAttempts: -1}), 1)
			return err
		},
		"connection": func(c *coder.Client) error {
			_, err := c.Connect(t.Context(), "x", &coder.HubConnectOptions{MaxReconnectAttempts: -1})
			return err
		},
	}
	for _, status := range []int{200, 500} {
		for name, call := range calls {
			c := newServer(t, handler(status, "gzip")).client(t, coder.WithMaxResponseSize(4<<20))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := call(c)
			runtime.ReadMemStats(&after)
			require.Error(t, err, name)
			assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(40<<20), "%s of %d", name, status)
			if status == 200 && name != "connection" && name != "events" {
				assert.ErrorIs(t, err, coder.ErrResponseTooLarge, name)
			}
		}
	}
	// It was not asked for, so that nothing here decodes it, and what is decoded as JSON is the compressed body.
	for _, encoding := range []string{"br", "deflate", "zstd", "gzip, gzip"} {
		for name, call := range calls {
			var unusable *coder.ResponseError
			if err := call(newServer(t, handler(200, encoding)).client(t)); name != "connection" {
				assert.ErrorAs(t, err, &unusable, "%s, %s", encoding, name)
			}
		}
	}
}

// TestSecurity_OneHost: no URL that a Hub's answer names is asked, however many it names.
func TestSecurity_OneHost(t *testing.T) {
	eachMethod(t, func(t *testing.T, m methodCase) {
		var hosts []string
		c := newClient(t, coder.WithURL("https://hub.example"), coder.WithAPIKey(testKey), once, over(func(_ string, r *http.Request) (int, http.Header, string) {
			hosts = append(hosts, r.URL.Scheme+" "+r.URL.Host)
			elsewhere := http.Header{"Link": {"<https://other.example/x>; rel=next"}, "Content-Location": {"https://other.example"}, "Refresh": {"0; url=https://other.example"}, "Alt-Svc": {`h2="other.example:443"`}, "X-Agentuity-Region": {"eu"}}
			return 200, elsewhere, sample(t, m.sample)
		}))
		_, err := m.call(t.Context(), c, m.sampleID(t))
		require.NoError(t, err)
		assert.Equal(t, []string{"https hub.example"}, hosts)
	})
}

// TestSecurity_RedirectOfAConnection: a WebSocket is opened where the Hub is, whatever the Hub says.
func TestSecurity_RedirectOfAConnection(t *testing.T) {
	for _, target := range []string{"https://other.example/api/ws", "http://hub.example/api/ws", "/elsewhere", "wss://hub.example/api/ws", "https://h/%zz?t=s3cr3t"} {
		asked := 0
		c := newClient(t, coder.WithURL("https://hub.example"), coder.WithAPIKey(testKey), coder.WithHTTPClient(&http.Client{
			Transport: internet(func(url string, _ *http.Request) (int, http.Header, string) {
				if asked++; asked > 2 {
					return 500, nil, ""
				}
				assert.True(t, strings.HasPrefix(url, "https://hub.example/api/ws?"), url)
				assert.NotContains(t, url, "S3CR3T", "no key in a URL")
				return 307, http.Header{"Location": {target}}, ""
			}),
			CheckRedirect: func(*http.Request, []*http.Request) error { return nil },
		}))
		_, err := c.Connect(t.Context(), "x", &coder.HubConnectOptions{MaxReconnectAttempts: -1})
		var api *coder.APIError
		require.ErrorAs(t, err, &api)
		assert.Equal(t, 307, api.StatusCode)
		assert.NotContains(t, err.Error(), "s3cr3t")
		assert.Equal(t, 1, asked)
	}
}

// TestSecurity_Proxy: a proxy that connects to the Hub sees no key, and its own password is in no error.
func TestSecurity_Proxy(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var mu sync.Mutex
	var heard []string
	proxy := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		heard = append(heard, fmt.Sprint(r.Method, " ", r.Host, " ", r.Header))
		w.WriteHeader(http.StatusProxyAuthRequired)
	})}
	go func() { _ = proxy.Serve(listener) }()
	defer func() { _ = proxy.Close() }()
	address := &url.URL{Scheme: "http", User: url.UserPassword("somebody", "pr0xy-s3cr3t"), Host: listener.Addr().String()}
	for name, use := range map[string]func(*http.Request) (*url.URL, error){
		"refuses": http.ProxyURL(address),
		"nobody":  http.ProxyURL(&url.URL{Scheme: "http", User: address.User, Host: "127.0.0.1:1"}),
		"no URL": func(*http.Request) (*url.URL, error) {
			return nil, fmt.Errorf("invalid proxy address %q", address.String()+":x")
		},
	} {
		transport := coder.NewTransport()
		transport.Proxy = use
		t.Cleanup(transport.CloseIdleConnections)
		var logged bytes.Buffer
		c := newClient(t, coder.WithURL("https://hub.invalid"), coder.WithAPIKey(testKey), once, coder.WithHTTPClient(&http.Client{Transport: transport}),
			coder.WithLogger(slog.New(slog.NewJSONHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))))
		_, first := c.GetSession(t.Context(), "x")
		_, second := c.Connect(t.Context(), "x", &coder.HubConnectOptions{MaxReconnectAttempts: -1})
		for _, err := range []error{first, second} {
			require.Error(t, err)
			assert.NotContains(t, err.Error(), "s3cr3t", name)
		}
		assert.NotContains(t, logged.String(), "s3cr3t", name)
		assert.Contains(t, logged.String(), `"error"`)
	}
	mu.Lock()
	defer mu.Unlock()
	require.Len(t, heard, 2)
	for _, said := range heard {
		assert.True(t, strings.HasPrefix(said, "CONNECT hub.invalid:443 "), said)
		assert.NotContains(t, said, "S3CR3T")
	}
}

// TestSecurity_Panics: a panic of the program's reaches it as it was, and no key is in it or in the stack.
func TestSecurity_Panics(t *testing.T) {
	clearEnv(t)
	panics := func() { panic("of the program") }
	tripper := roundTrip(func(*http.Request) (*http.Response, error) { panics(); return nil, io.EOF })
	over := coder.WithHTTPClient(&http.Client{Transport: tripper})
	fixed := coder.WithURL("http://hub.example")
	get := func(c *coder.Client) { _, _ = c.GetSession(t.Context(), "x") }
	for name, test := range map[string]struct {
		opts []coder.Option
		call func(*coder.Client)
	}{
		"a transport":             {[]coder.Option{fixed, over}, get},
		"a transport, discovery":  {[]coder.Option{over}, get},
		"a transport, of creates": {[]coder.Option{fixed, over}, func(c *coder.Client) { _, _ = c.CreateSession(t.Context(), coder.CreateSessionRequest{Task: "x"}) }},
		"a transport, shared": {[]coder.Option{fixed, over}, func(c *coder.Client) {
			_, _ = c.EnsureSession(t.Context(), "k", coder.CreateSessionRequest{Task: "x"}, nil)
		}},
		"an observer": {[]coder.Option{fixed, coder.WithObserver(coder.Observer{Call: func(context.Context, coder.CallInfo) (context.Context, func(coder.CallResult)) {
			panics()
			return nil, nil
		}})}, get},
		"a transport, observed": {[]coder.Option{fixed, over, coder.WithObserver(coder.Observer{
			Call: func(ctx context.Context, _ coder.CallInfo) (context.Context, func(coder.CallResult)) {
				return ctx, func(coder.CallResult) {}
			},
		})}, get},
		"an observer, of attempts": {[]coder.Option{
			fixed, coder.WithObserver(coder.Observer{Attempt: func(context.Context, coder.AttemptInfo) { panics() }}),
			coder.WithHTTPClient(&http.Client{Transport: internet(func(string, *http.Request) (int, http.Header, string) { return 200, nil, "{}" })}),
		}, get},
	} {
		for _, key := range []string{testKey, "agc_" + testKey} {
			func() {
				defer func() {
					stack := debug.Stack()
					said := recover()
					require.NotNil(t, said, name)
					for _, verb := range []string{"%v", "%+v", "%#v"} {
						assert.Contains(t, fmt.Sprintf(verb, said), "of the program", name)
						assert.NotContains(t, fmt.Sprintf(verb, said), testKey, name)
					}
					assert.NotContains(t, string(stack), testKey, name)
				}()
				test.call(newClient(t, append(slices.Clone(test.opts), coder.WithAPIKey(key))...))
			}()
		}
	}
}

// TestSecurity_Dumps: options, and what a program keeps, print no key.
func TestSecurity_Dumps(t *testing.T) {
	rec, err := coder.NewRecorder(io.Discard, nil)
	require.NoError(t, err)
	options := []coder.Option{
		coder.WithAPIKey(testKey), coder.WithURL("http://hub.example"), coder.WithRecorder(rec), coder.WithOrgID("org"),
	}
	c := newClient(t, options...)
	type kept struct {
		Options  []coder.Option
		Client   *coder.Client
		Value    coder.Client
		Recorder *coder.Recorder
	}
	var logged bytes.Buffer
	for _, logger := range []*slog.Logger{slog.New(slog.NewTextHandler(&logged, nil)), slog.New(slog.NewJSONHandler(&logged, nil))} {
		logger.Info("x", "client", c, "value", *c, "options", options, "recorder", rec, "all", kept{options, c, *c, rec})
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		logged.WriteString(fmt.Sprintf(verb, kept{options, c, *c, rec}) + fmt.Sprintf(verb, options))
	}
	assert.NotContains(t, logged.String(), testKey)
	assert.NotContains(t, logged.String(), fmt.Sprintf("%x", testKey))
	assert.Contains(t, logged.String(), "coder.Client(http://hub.example)")
}

// TestSecurity_Controls: what a Hub says reaches texts of errors, and logs, in one line and without control characters.
func TestSecurity_Controls(t *testing.T) {
	const said = `a\u001b[31mb\nc\u009bd\u202ee\u2028f\r\u0000g https://user:s3cr3t@h/x`
	long := strings.Repeat("long ", 10_000)
	raw := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			if conn, _, err := http.NewResponseController(w).Hijack(); assert.NoError(t, err) {
				_, _ = io.WriteString(conn, text)
				_ = conn.Close()
			}
		}
	}
	var logged strings.Builder
	logger := slog.New(slog.NewJSONHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	checkLog := func(name string) {
		t.Helper()
		said := values(t, logged.String())
		assert.False(t, strings.ContainsFunc(said, obeyed), "%s: %s", name, said)
		assert.NotContains(t, said, "s3cr3t", name)
		for line := range strings.Lines(logged.String()) {
			assert.Less(t, len(line), 2000, name)
		}
	}
	check := func(name string, err error) {
		t.Helper()
		require.Error(t, err, name)
		checkLog(name) // what the client has logged
		text := err.Error()
		assert.Less(t, len(text), 2000, name)
		assert.False(t, strings.ContainsFunc(text, obeyed), "%s: %q", name, text)
		assert.NotContains(t, text, "s3cr3t", name)
		logged.Reset()
		logger.Error("failed", "error", err)
		checkLog(name)
	}
	for name, handler := range map[string]http.HandlerFunc{
		"error":           answerJSON(400, `{"code":"`+said+`","message":"`+said+`"}`),
		"another session": answerJSON(200, `{"sessionId":"`+said+long+`"}`),
		"unusable": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Session-Id", "a\tb\u009bc\u202ed"+long)
			w.Header().Set("Content-Encoding", "a\u009bb"+long)
			_, _ = io.WriteString(w, "{}")
		},
		"unusable type": answer(200, "application/"+strings.Repeat("l", 5000)+"+json", "{}"),
		"long line":     raw("HTTP/1.1 " + strings.Repeat("l", 5000) + "\r\n\r\n"),
		"a page":        answer(200, "text/html", long),
		"request id": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Session-Id", "a\tb\u009bc\u202ed"+long)
			w.Header().Set("X-Upgrade-Url", "https://user:s3cr3t@h/\t\u009b"+long)
			w.WriteHeader(402)
		},
		"status line": raw("HTTP/1.1 4\x1b[31mX\u009b\r\n\r\n"),
		"header":      raw("HTTP/1.1 200 OK\r\n\x1b[31mX\u009b\r\n\r\n"),
	} {
		c := newServer(t, handler).client(t, coder.WithLogger(logger))
		_, err := c.GetSession(t.Context(), "x")
		check(name, err)
		if name != "another session" {
			_, err = take(c.StreamEvents(t.Context(), "x", &coder.StreamEventsOptions{MaxReconnectAttempts: -1}), 1)
			check(name+", stream", err)
		}
		_, err = c.Connect(t.Context(), "x", &coder.HubConnectOptions{MaxReconnectAttempts: -1})
		check(name+", connection", err)
	}
	for name, play := range map[string]func(*peer){
		"close reason": func(p *peer) { _ = p.Close(4404, "a\x1b[31mb\nc\u009bd\u202ee https://user:s3cr3t@h") },
		"refusal": func(p *peer) {
			_ = p.say(`{"type":"connection_rejected","code":"` + said + long + `","message":"` + said + long + `"}`)
		},
		"another session": func(p *peer) { _ = p.say(`{"type":"init","role":"controller","sessionId":"` + said + long + `"}`) },
	} {
		live(t, play, func(t *testing.T, hub *liveHub) {
			_, err := hub.client().Connect(t.Context(), "codesess_1", &coder.HubConnectOptions{MaxReconnectAttempts: -1})
			check(name, err)
		})
	}
	live(t, func(p *peer) { p.admit(); _ = p.Close(websocket.StatusCode(4404), "a\x1b[31mb\nc\u009bd\u202ee") }, func(t *testing.T, hub *liveHub) {
		var log strings.Builder
		conn, err := hub.client(coder.WithLogger(slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))).Connect(t.Context(), "codesess_1", nil)
		require.NoError(t, err)
		_, err = messages(t, conn)
		check("close reason later", err)
		assert.Contains(t, log.String(), "4404")
		assert.False(t, strings.ContainsFunc(values(t, log.String()), obeyed), log.String())
	})
}

// TestSecurity_NamesOfSessions: the id that a Hub gives a session, and the names that a program puts into a request, are in no
// error and no log as they are.
func TestSecurity_NamesOfSessions(t *testing.T) {
	id := "a\x1b[31mb\nc\u009bd\u202ee" + strings.Repeat("long ", 10_000)
	named, err := json.Marshal(map[string]any{"sessionId": id, "type": "init", "role": "lead"})
	require.NoError(t, err)
	var logged strings.Builder
	logger := slog.New(slog.NewJSONHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	check := func(err error) {
		t.Helper()
		require.Error(t, err)
		logger.Error("failed", "error", err)
		for _, text := range []string{err.Error(), values(t, logged.String())} {
			assert.False(t, strings.ContainsFunc(text, obeyed), "%q", text)
		}
		assert.Less(t, len(err.Error()), 2000)
		for line := range strings.Lines(logged.String()) {
			assert.Less(t, len(line), 4000)
		}
	}
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			answerJSON(200, string(named))(w, r)
			return
		}
		answerJSON(map[bool]int{true: 200, false: 404}[strings.HasSuffix(r.URL.Path, "/replay")], `{}`)(w, r)
	})
	c := s.client(t, coder.WithLogger(logger), once)
	created, err := c.CreateSession(t.Context(), coder.CreateSessionRequest{Task: "x"})
	require.NoError(t, err)
	_, err = c.GetSession(t.Context(), created.SessionID)
	check(err)
	_, err = c.GetReplay(t.Context(), created.SessionID, nil)
	check(err)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = c.GetSession(ended, created.SessionID)
	check(err)
	_, err = c.CreateSession(t.Context(), coder.CreateSessionRequest{Task: "x", Metadata: map[string]any{id: func() {}}})
	check(err)
	check(&coder.HistoryGapError{SessionID: id, After: 1})
	live(t, func(p *peer) { _ = p.say(string(named)); _, _ = p.hear(); _ = p.Close(4404, "gone") }, func(t *testing.T, hub *liveHub) {
		conn, err := hub.client(coder.WithLogger(logger)).ConnectNew(t.Context(), nil)
		require.NoError(t, err)
		assert.Less(t, len(fmt.Sprint(conn)), 2000)
		_, err = messages(t, conn)
		check(err)
	})
}

// obeyed reports whether a terminal, or a reader of lines, may obey a character.
func obeyed(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Bidi_Control)
}

// values is all that a log in JSON says, without its escapes.
func values(t *testing.T, log string) string {
	t.Helper()
	var b strings.Builder
	for line := range strings.Lines(log) {
		var record map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &record))
		fmt.Fprint(&b, record)
	}
	return b.String()
}

// TestSecurity_HeadersOfAConnection: what a program passes on to a connection stays a parameter of its URL.
func TestSecurity_HeadersOfAConnection(t *testing.T) {
	const hostile = "x&role=lead\r\nX-Injected: 1+2%26role=lead#?;role=lead"
	synctestHub(t, func(t *testing.T, hub *liveHub) {
		hub.rest = func(w http.ResponseWriter, r *http.Request) {
			query := r.URL.Query()
			assert.Equal(t, []string{"observer"}, query["role"])
			for _, name := range []string{"agent", "task", "label", "origin", "driverInstanceId", "driverVersion", "parent"} {
				assert.Equal(t, []string{hostile}, query[name], name)
			}
			assert.Empty(t, r.Header["X-Injected"])
			w.WriteHeader(http.StatusForbidden)
		}
		_, err := hub.client(coder.WithURL("http://hub.invalid/elsewhere")).Connect(t.Context(), "x", &coder.HubConnectOptions{
			Agent: hostile, Task: hostile, Label: hostile, Origin: hostile, DriverInstanceID: hostile, DriverVersion: hostile, ParentSessionID: hostile,
		})
		require.ErrorIs(t, err, coder.ErrForbidden)
	})
}
