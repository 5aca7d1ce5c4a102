package codertest_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/codertest"
)

// fixture is a Hub and a client that knows nothing but HTTP and JSON.
type fixture struct {
	testing.TB
	*codertest.Hub
	client *http.Client
}

func start(t testing.TB, opts ...codertest.Option) fixture {
	t.Helper()
	hub := codertest.NewHub(append([]codertest.Option{codertest.WithInMemoryNetwork()}, opts...)...)
	t.Cleanup(hub.Close)
	return fixture{TB: t, Hub: hub, client: hub.HTTPClient()}
}

// reply is an answer, read to its end.
type reply struct {
	status int
	header http.Header
	body   []byte
	json   map[string]any
}

// try sends a request to a path below /api.
func (f fixture) try(method, path, body string, header ...string) (reply, error) {
	f.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(f.Context(), method, f.URL()+"/api"+path, reader)
	require.NoError(f, err)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	return read(f.client.Do(req))
}

func read(resp *http.Response, err error) (reply, error) {
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	r := reply{status: resp.StatusCode, header: resp.Header}
	r.body, err = io.ReadAll(resp.Body)
	if bytes.HasPrefix(r.body, []byte("{")) {
		_ = json.Unmarshal(r.body, &r.json)
	}
	return r, err
}

// call is try for a request that must get an answer of this status.
func (f fixture) call(want int, method, path, body string) map[string]any {
	f.Helper()
	r, err := f.try(method, path, body)
	require.NoError(f, err)
	require.Equal(f, want, r.status, "%s %s: %s", method, path, r.body)
	assert.Equal(f, "application/json", r.header.Get("Content-Type"))
	assert.NotEmpty(f, r.header.Get("X-Session-Id"))
	if want >= 400 {
		assert.Equal(f, false, r.json["success"])
		assert.NotEmpty(f, r.json["message"])
	}
	return r.json
}

func (f fixture) get(path string) map[string]any {
	f.Helper()
	return f.call(http.StatusOK, "GET", path, "")
}

// create makes a session and returns its id.
func (f fixture) create(body string) string {
	f.Helper()
	return f.call(http.StatusCreated, "POST", "/hub/session", body)["sessionId"].(string)
}

// at digs into decoded JSON: strings name members, ints elements.
func at(t testing.TB, v any, path ...any) any {
	t.Helper()
	for _, step := range path {
		switch step := step.(type) {
		case string:
			object, ok := v.(map[string]any)
			require.True(t, ok, "%v is no object, but should have %q", v, step)
			v = object[step]
		case int:
			array, ok := v.([]any)
			require.True(t, ok && step < len(array), "%v is no array of more than %d", v, step)
			v = array[step]
		}
	}
	return v
}

// all collects one member of every element of an array.
func all(t testing.TB, array any, member string) []any {
	t.Helper()
	require.IsType(t, []any{}, array)
	values := []any{}
	for _, element := range array.([]any) {
		values = append(values, at(t, element, member))
	}
	return values
}

func TestHubOnEveryNetwork(t *testing.T) {
	for name, opts := range map[string][]codertest.Option{
		"loopback":  nil,
		"in memory": {codertest.WithInMemoryNetwork()},
	} {
		t.Run(name, func(t *testing.T) {
			hub := codertest.NewHub(opts...)
			defer hub.Close()
			f := fixture{TB: t, Hub: hub, client: hub.HTTPClient()}
			id := f.create(`{"task":"Say hello"}`)
			assert.Equal(t, "codesess_000000000001", id)
			assert.Equal(t, "Say hello", f.get("/hub/session/" + id)["task"])

			r, err := read(f.client.Get(hub.URL() + "/coder"))
			require.NoError(t, err)
			assert.Equal(t, map[string]any{"url": hub.URL()}, r.json)
		})
	}
}

func TestHandlerSharesTheMemory(t *testing.T) {
	f := start(t)
	id := f.create(`{"task":"Say hello"}`)
	server := httptest.NewServer(http.StripPrefix("/prefix", f.Handler()))
	defer server.Close()
	r, err := read(http.Get(server.URL + "/prefix/api/hub/session/" + id))
	require.NoError(t, err)
	assert.Equal(t, id, r.json["sessionId"])
}

func TestStartsFast(t *testing.T) {
	for name, opts := range map[string][]codertest.Option{
		"loopback":  nil,
		"in memory": {codertest.WithInMemoryNetwork()},
	} {
		best := time.Hour
		for range 20 {
			began := time.Now()
			hub := codertest.NewHub(opts...)
			best = min(best, time.Since(began))
			hub.Close()
		}
		assert.Less(t, best, time.Millisecond, name)
	}
}

func TestDialAfterClose(t *testing.T) {
	for name, opts := range map[string][]codertest.Option{
		"loopback":  nil,
		"in memory": {codertest.WithInMemoryNetwork()},
	} {
		t.Run(name, func(t *testing.T) {
			hub := codertest.NewHub(opts...)
			f := fixture{TB: t, Hub: hub, client: hub.HTTPClient()}
			f.get("/hub/sessions")
			hub.Close()
			hub.Close()
			_, err := f.try("GET", "/hub/sessions", "")
			var opErr *net.OpError
			require.ErrorAs(t, err, &opErr)
			assert.Equal(t, "dial", opErr.Op)
			assert.ErrorIs(t, err, syscall.ECONNREFUSED)
		})
	}
}

func TestCloseLeavesNoGoroutine(t *testing.T) {
	before := runtime.NumGoroutine()
	for _, opts := range [][]codertest.Option{nil, {codertest.WithInMemoryNetwork()}} {
		hub := codertest.NewHub(opts...)
		hub.Inject(codertest.Fault{Route: "/hub/sessions", Count: -1, Stall: true})
		ended := make(chan error, 8)
		for range cap(ended) {
			go func() {
				_, err := read(hub.HTTPClient().Get(hub.URL() + "/api/hub/sessions"))
				ended <- err
			}()
		}
		require.Eventually(t, func() bool { return len(hub.Requests()) == cap(ended) }, 10*time.Second, time.Millisecond)
		hub.Close()
		for range cap(ended) {
			require.Error(t, <-ended)
		}
	}
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() {
		require.True(t, time.Now().Before(deadline), "%d goroutines are left", runtime.NumGoroutine()-before)
	}
}

// The connections of a Hub's client end with the Hub even where they lead to
// somebody else.
func TestCloseEndsIdleConnections(t *testing.T) {
	hub := codertest.NewHub()
	closed := make(chan struct{})
	other := httptest.NewUnstartedServer(hub.Handler())
	other.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			close(closed)
		}
	}
	other.Start()
	_, err := read(hub.HTTPClient().Get(other.URL + "/coder"))
	require.NoError(t, err)
	hub.Close()
	select {
	case <-closed:
	case <-time.After(10 * time.Second):
		t.Error("the idle connection is still open")
	}
	other.Close()
}

func TestCredentials(t *testing.T) {
	const key = "agc_secret"
	for _, test := range []struct {
		name, header, value string
		want                int
	}{
		{"none", "Accept", "application/json", 401},
		{"bearer", "Authorization", "Bearer " + key, 200},
		{"bearer in lower case", "Authorization", "bearer " + key, 200},
		{"key header", "x-agentuity-auth-api-key", key, 200},
		{"wrong bearer", "Authorization", "Bearer agc_secreT", 401},
		{"longer bearer", "Authorization", "Bearer " + key + "x", 401},
		{"empty bearer", "Authorization", "Bearer ", 401},
		{"other scheme", "Authorization", "Basic " + key, 401},
		{"wrong key header", "x-agentuity-auth-api-key", "other", 401},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := start(t, codertest.WithAPIKey(key))
			r, err := f.try("GET", "/hub/sessions", "", test.header, test.value)
			require.NoError(t, err)
			assert.Equal(t, test.want, r.status)
			assert.Equal(t, "application/json", r.header.Get("Content-Type"))
			if test.want == 401 {
				assert.Equal(t, false, r.json["success"])
				assert.NotContains(t, string(r.body), key)
			}
		})
	}
}

func TestDiscoveryChecksCredentials(t *testing.T) {
	f := start(t, codertest.WithAPIKey("key"))
	r, err := read(f.client.Get(f.URL() + "/coder"))
	require.NoError(t, err)
	assert.Equal(t, 401, r.status)
}
