package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/codertest"
	"github.com/agentuity/coder-go/examples/internal/readme"
)

// output is what the program has printed.
type output struct {
	mu      sync.Mutex
	text    bytes.Buffer
	printed chan struct{} // holds one after each write
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	defer func() {
		select {
		case o.printed <- struct{}{}:
		default:
		}
	}()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// serve runs the program on a free port. end is its Ctrl-C, and returns what it has printed.
func serve(t *testing.T, args ...string) (url string, end func() string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out := &output{printed: make(chan struct{}, 1)}
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, append([]string{"-addr", "127.0.0.1:0"}, args...), out) }()
	end = sync.OnceValue(func() string {
		cancel()
		assert.NoError(t, <-ended)
		return out.String()
	})
	t.Cleanup(func() { end() })
	select {
	case <-out.printed:
	case err := <-ended:
		ended <- nil
		require.NoError(t, err)
	}
	found := regexp.MustCompile(`A fake Coder Hub is at (http://127\.0\.0\.1:\d+) until`).FindStringSubmatch(out.String())
	require.Len(t, found, 2, out.String())
	return found[1], end
}

// ask makes a request as a program does that knows nothing of this library.
func ask(t *testing.T, method, url, body string, header ...string) (*http.Response, map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	var object map[string]any
	_ = json.Unmarshal(text, &object) // an answer without a body has none
	return resp, object
}

// TestReadme keeps what examples/README.md shows true.
func TestReadme(t *testing.T) {
	_, end := serve(t)
	readme.Check(t, "go run ./examples/fakehub", end())
}

// TestSession takes a session through its life: a create, both live channels, and the end of the program.
func TestSession(t *testing.T) {
	url, end := serve(t, "-v")
	resp, created := ask(t, "POST", url+"/api/hub/session", `{"task":"Say hello"}`)
	require.Equal(t, http.StatusCreated, resp.StatusCode)
	id := created["sessionId"].(string)
	session := url + "/api/hub/session/" + id

	req, err := http.NewRequestWithContext(t.Context(), "GET", session+"/events", nil)
	require.NoError(t, err)
	stream, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	require.NoError(t, err)
	defer stream.Body.Close()
	require.Equal(t, "text/event-stream", stream.Header.Get("Content-Type"))
	events := bufio.NewReader(stream.Body)
	line, err := events.ReadString('\n')
	require.NoError(t, err)
	assert.Equal(t, "event: snapshot\n", line)

	socket, _, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(url, "http")+"/api/ws?role=observer&sessionId="+id, nil)
	require.NoError(t, err)
	defer func() { _ = socket.CloseNow() }()
	require.NoError(t, socket.Write(t.Context(), websocket.MessageText, []byte(`{"authorization":"a key of the program"}`)))
	_, first, err := socket.Read(t.Context())
	require.NoError(t, err)
	assert.Contains(t, string(first), `"type":"init"`)

	for range 3 { // which moves it on
		ask(t, "GET", session, "")
	}
	for line := ""; !strings.Contains(line, `"event":"agent_end"`); {
		line, err = events.ReadString('\n')
		require.NoError(t, err)
	}
	_, replay := ask(t, "GET", session+"/replay", "")
	assert.Equal(t, "Done.", replay["entries"].([]any)[4].(map[string]any)["content"])
	resp, _ = ask(t, "GET", url+"/api/nowhere?api_key=a_key_of_the_program", "")
	assert.Equal(t, http.StatusNotFound, resp.StatusCode)

	go end()
	_, err = io.ReadAll(events)
	require.NoError(t, err, "the stream ends, and is not cut")
	for err == nil {
		_, _, err = socket.Read(t.Context())
	}
	assert.Equal(t, websocket.StatusGoingAway, websocket.CloseStatus(err))
	text := end()
	for _, want := range []string{
		`\d\d:\d\d:\d\d\.\d{3} POST /api/hub/session 201 [\d.]+.?s\n`, ` GET /api/hub/session/\{id\} 200 [\d.]+.?s\n`,
		` GET /api/hub/session/\{id\}/events 200 open\n`, ` GET /api/ws 101 open\n`, ` GET \(no such route\) 404 `,
		`fakehub: the end\n`, ` GET /api/hub/session/\{id\}/events 200 [\d.]+.?s\n`, ` GET /api/ws 101 [\d.]+.?s\n`,
	} {
		assert.Regexp(t, want, text)
	}
	_, logged, _ := strings.Cut(text, "WebSocket: ")
	assert.NotContains(t, logged, id)
	assert.NotContains(t, logged, "Say hello")
	assert.NotContains(t, logged, "a_key_of_the_program")
}

func TestKey(t *testing.T) {
	url, end := serve(t, "-key", "agc_made-up-key", "-v")
	resp, _ := ask(t, "GET", url+"/api/hub/sessions", "")
	assert.Equal(t, http.StatusUnauthorized, resp.StatusCode)
	resp, _ = ask(t, "GET", url+"/api/hub/sessions", "", "Authorization", "Bearer agc_made-up-key")
	assert.Equal(t, http.StatusOK, resp.StatusCode)
	text := end()
	assert.NotContains(t, text, "agc_made-up-key")
	assert.Contains(t, text, "It demands the API key of -key")
	assert.Contains(t, text, `-H "Authorization: Bearer $AGENTUITY_SDK_KEY"`)
}

// TestWithoutFlags: what it says of itself, and that it neither logs nor lets pages in unless it is told to.
func TestWithoutFlags(t *testing.T) {
	url, end := serve(t)
	resp, _ := ask(t, "GET", url+"/api/hub/sessions", "", "Origin", "http://page.example")
	assert.Empty(t, resp.Header.Get("Access-Control-Allow-Origin"))
	resp, _ = ask(t, "OPTIONS", url+"/api/hub/sessions", "", "Origin", "http://page.example", "Access-Control-Request-Method", "GET")
	assert.Equal(t, http.StatusMethodNotAllowed, resp.StatusCode)
	_, found := ask(t, "GET", url+"/coder", "")
	assert.Equal(t, map[string]any{"url": url}, found)
	text := end()
	assert.Contains(t, text, "It demands no API key")
	assert.Contains(t, text, `export AGENTUITY_CODER_URL="`+url+`" AGENTUITY_SDK_KEY="fake"`)
	assert.Contains(t, text, "Pages of other origins cannot read its answers")
	assert.NotContains(t, text, "GET /api/hub/sessions 200")
}

func TestPages(t *testing.T) {
	url, _ := serve(t, "-cors", "http://page.example")
	resp, _ := ask(t, "OPTIONS", url+"/api/hub/session", "", "Origin", "http://page.example",
		"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "authorization,content-type")
	assert.Equal(t, http.StatusNoContent, resp.StatusCode)
	assert.Equal(t, "http://page.example", resp.Header.Get("Access-Control-Allow-Origin"))
	assert.Contains(t, resp.Header.Get("Access-Control-Allow-Headers"), "Authorization")
	assert.Contains(t, resp.Header.Get("Access-Control-Allow-Methods"), "PATCH")
	for _, path := range []string{"/api/hub/sessions", "/api/hub/session/none", "/api/nowhere"} {
		resp, _ = ask(t, "GET", url+path, "", "Origin", "http://page.example")
		assert.Equal(t, "http://page.example", resp.Header.Get("Access-Control-Allow-Origin"), path)
	}
}

func TestWhatCannotBe(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	for want, args := range map[string][]string{
		"another program listens at " + taken.Addr().String(): {"-addr", taken.Addr().String()},
		"cannot listen at nonsense":                           {"-addr", "nonsense"},
		`-agent "2": there are 0.74.2 and 1.6.0`:              {"-agent", "2"},
		`-dialect "x": there are rpc and extension`:           {"-dialect", "x"},
		"-pace must not be negative":                          {"-pace", "-1s"},
		`"60" for flag -pace: a unit is needed, as in 60ms`:   {"-pace", "60"},
		`"soon" for flag -pace: it is no time, such as 60ms`:  {"-pace", "soon"},
		`-cors "localhost:5173": it is no origin`:             {"-cors", "localhost:5173"},
		`-cors "http://h/": it is no origin`:                  {"-cors", "http://h/"},
		`-cors "http://h/page": it is no origin`:              {"-cors", "http://h/page"},
		`-cors "http://u@h": it is no origin`:                 {"-cors", "http://u@h"},
		`-cors "http://h?": it is no origin`:                  {"-cors", "http://h?"},
		`-cors "http://h#": it is no origin`:                  {"-cors", "http://h#"},
		`-cors "http://": it is no origin`:                    {"-cors", "http://"},
		`-cors "http://:80": it is no origin`:                 {"-cors", "http://:80"},
		`-cors "http://a,http://b": it is no origin`:          {"-cors", "http://a,http://b"},
		`-cors "http://h:x": it is no origin`:                 {"-cors", "http://h:x"},
		`-cors "http://Localhost": it is no origin`:           {"-cors", "http://Localhost"},
		`-cors "null": it is no origin`:                       {"-cors", "null"},
		`what is "8080"?`:                                     {"8080"},
	} {
		assert.ErrorContains(t, run(t.Context(), args, io.Discard), want)
	}
	var help bytes.Buffer
	require.ErrorIs(t, run(t.Context(), []string{"-h"}, &help), flag.ErrHelp)
	assert.Contains(t, help.String(), "-pace")
}

// TestOrigins: what browsers send as an Origin.
func TestOrigins(t *testing.T) {
	for _, origin := range []string{"*", "http://localhost:5173", "https://page.example", "http://[::1]:80", "chrome-extension://abc"} {
		assert.NoError(t, checkOrigin(origin), origin)
	}
}

// TestOpenToAll: who listens where others reach it, without a key, is warned.
func TestOpenToAll(t *testing.T) {
	for address, open := range map[string]bool{
		"0.0.0.0:8080": true, "[::]:8080": true, "192.0.2.7:8080": true, "127.0.0.1:8080": false, "127.0.0.9:8080": false, "[::1]:8080": false,
	} {
		at, err := net.ResolveTCPAddr("tcp", address)
		require.NoError(t, err)
		assert.Equal(t, open, strings.Contains(warning(at, false), "Warning: "), address)
		assert.Empty(t, warning(at, true), "it demands a key")
	}
	assert.Contains(t, warning(&net.TCPAddr{IP: net.IPv6unspecified}, false), "at all addresses of this machine")
	ctx, cancel := context.WithCancel(t.Context())
	out := &output{printed: make(chan struct{}, 1)}
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, []string{"-addr", ":0"}, out) }()
	<-out.printed
	cancel()
	require.NoError(t, <-ended)
	assert.Contains(t, out.String(), "Warning: ")
}

// TestWelcome_IPv6: brackets mean something to shells and to curl.
func TestWelcome_IPv6(t *testing.T) {
	text := welcome("http://[::1]:8080", false, "")
	for line := range strings.Lines(text) {
		if strings.Contains(line, "curl -") {
			assert.Contains(t, line, "curl -g", line)
		}
		for _, before := range regexp.MustCompile(`.http://\[::1\]`).FindAllString(line, -1) {
			if !strings.HasPrefix(line, "A fake") {
				assert.Contains(t, `"'`, before[:1], line)
			}
		}
	}
}

// TestLog_Methods: whatever a client sends as its method, the terminal is safe.
func TestLog_Methods(t *testing.T) {
	var out bytes.Buffer
	handler := (&lines{out: &out}).log(http.NotFoundHandler())
	for _, method := range []string{"GET", "\x1b[2J", strings.Repeat("X", 500)} {
		handler.ServeHTTP(httptest.NewRecorder(), &http.Request{Method: method, Header: http.Header{}})
	}
	assert.Contains(t, out.String(), " GET (no such route) 404")
	assert.Contains(t, out.String(), ` "\x1b[2J" (no such route) 404`)
	assert.NotContains(t, out.String(), "\x1b")
	assert.Less(t, out.Len(), 300)
}

// TestGoodbyeDoesNotWaitForever: a client that does not read is cut.
func TestGoodbyeDoesNotWaitForever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub := codertest.NewHub(codertest.WithInMemoryNetwork())
		defer hub.Close()
		session := hub.AddSession(codertest.Session{Task: "Say hello", Status: "active"})
		req, err := http.NewRequestWithContext(t.Context(), "GET", hub.URL()+"/api/hub/session/"+session.ID()+"/events", nil)
		require.NoError(t, err)
		stream, err := hub.HTTPClient().Do(req)
		require.NoError(t, err)
		defer stream.Body.Close()
		synctest.Wait()
		require.Equal(t, 1, hub.Streams())
		session.StallStreams()
		sayGoodbye(hub)
		assert.Zero(t, hub.Streams())
	})
}
