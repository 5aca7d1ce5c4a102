package codertest_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go"
	"github.com/agentuity/coder-go/codertest"
)

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

func TestListenerOfTheProgram(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	hub := codertest.NewHub(codertest.WithInMemoryNetwork(), codertest.WithListener(listener))
	defer hub.Close()
	assert.Equal(t, "http://"+listener.Addr().String(), hub.URL())
	r, err := read(http.Get(hub.URL() + "/coder"))
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"url": hub.URL()}, r.json)
	client, err := hub.NewClient()
	require.NoError(t, err)
	_, err = client.ListSessions(t.Context(), nil)
	require.NoError(t, err)
	hub.Close()
	_, err = listener.Accept()
	require.ErrorIs(t, err, net.ErrClosed, "it is the Hub's, and was closed")

	none := codertest.NewHub(codertest.WithListener(nil))
	defer none.Close()
	assert.Contains(t, none.URL(), "http://127.0.0.1:")
	memory := codertest.NewHub(codertest.WithListener(listener), codertest.WithInMemoryNetwork())
	defer memory.Close()
	assert.Equal(t, "http://hub.invalid", memory.URL(), "the later one counts")
}

// TestListenerOnAllAddresses: nobody can dial 0.0.0.0 on every system, so the URL names an address to dial.
func TestListenerOnAllAddresses(t *testing.T) {
	listener, err := net.Listen("tcp", "0.0.0.0:0")
	require.NoError(t, err)
	hub := codertest.NewHub(codertest.WithListener(listener))
	defer hub.Close()
	assert.Equal(t, fmt.Sprintf("http://127.0.0.1:%d", listener.Addr().(*net.TCPAddr).Port), hub.URL())
	r, err := read(http.Get(hub.URL() + "/coder"))
	require.NoError(t, err)
	assert.Equal(t, 200, r.status)
}

func TestMiddleware(t *testing.T) {
	var order []string
	note := func(name string) codertest.Option {
		return codertest.WithMiddleware(func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				order = append(order, name)
				next.ServeHTTP(w, r)
				order = append(order, name+" has seen "+r.Pattern)
			})
		})
	}
	f := start(t, note("first"), note("second"))
	f.get("/hub/sessions")
	_, err := f.try("GET", "/nowhere", "")
	require.NoError(t, err)
	_, err = read(f.client.Get(f.URL() + "/coder"))
	require.NoError(t, err)
	f.Close()
	assert.Equal(t, []string{
		"first", "second", "second has seen GET /api/hub/sessions", "first has seen GET /api/hub/sessions",
		"first", "second", "second has seen ", "first has seen ",
		"first", "second", "second has seen GET /coder", "first has seen GET /coder",
	}, order)
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
			var code syscall.Errno
			require.ErrorAs(t, err, &code)
			const onWindows = 10061 // WSAECONNREFUSED, which syscall.ECONNREFUSED is not
			assert.Contains(t, []syscall.Errno{syscall.ECONNREFUSED, onWindows}, code)
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

func TestNewClient(t *testing.T) {
	t.Setenv("AGENTUITY_SDK_KEY", "real key")
	t.Setenv("AGENTUITY_CODER_URL", "https://hub.example")
	for name, opts := range map[string][]codertest.Option{
		"loopback":          nil,
		"loopback and key":  {codertest.WithAPIKey("agc_secret")},
		"in memory":         {codertest.WithInMemoryNetwork()},
		"in memory and key": {codertest.WithInMemoryNetwork(), codertest.WithAPIKey("secret")},
	} {
		t.Run(name, func(t *testing.T) {
			hub := codertest.NewHub(opts...)
			defer hub.Close()
			client, err := hub.NewClient()
			require.NoError(t, err)
			created, err := client.CreateSession(t.Context(), coder.CreateSessionRequest{Task: "x"})
			require.NoError(t, err)
			session, err := client.GetSession(t.Context(), created.SessionID)
			require.NoError(t, err)
			assert.Equal(t, "x", session.Task)
			for _, request := range hub.Requests() {
				assert.NotContains(t, request.Header.Get("Authorization"), "real key")
			}
		})
	}
}

func TestNewClientOptionsWin(t *testing.T) {
	hub := codertest.NewHub(codertest.WithInMemoryNetwork(), codertest.WithAPIKey("secret"))
	defer hub.Close()
	client, err := hub.NewClient(coder.WithAPIKey("wrong"), coder.WithRetryPolicy(coder.RetryPolicy{MaxAttempts: 1}))
	require.NoError(t, err)
	_, err = client.GetSession(t.Context(), "codesess_000000000001")
	require.ErrorIs(t, err, coder.ErrUnauthorized)
}

func TestSetAPIKey(t *testing.T) {
	hub := codertest.NewHub(codertest.WithInMemoryNetwork(), codertest.WithAPIKey("old"))
	defer hub.Close()
	before, err := hub.NewClient()
	require.NoError(t, err)
	created, err := before.CreateSession(t.Context(), coder.CreateSessionRequest{Task: "x"})
	require.NoError(t, err)
	conn, err := before.Connect(t.Context(), created.SessionID, nil)
	require.NoError(t, err)
	defer conn.Close()

	hub.SetAPIKey("new")
	_, err = before.GetSession(t.Context(), created.SessionID)
	require.ErrorIs(t, err, coder.ErrUnauthorized)
	_, err = before.Connect(t.Context(), created.SessionID, &coder.HubConnectOptions{MaxReconnectAttempts: -1})
	require.Error(t, err)
	assert.Equal(t, coder.StateConnected, conn.State(), "what is open goes on")
	after, err := hub.NewClient()
	require.NoError(t, err)
	_, err = after.GetSession(t.Context(), created.SessionID)
	require.NoError(t, err, "a client made now has the new key")

	hub.SetAPIKey("")
	_, err = before.GetSession(t.Context(), created.SessionID)
	require.NoError(t, err, "everybody is let in")
}

// Close also ends what another server has accepted for the Hub, and lets
// nobody in any more.
func TestCloseOfAHandler(t *testing.T) {
	hub := codertest.NewHub()
	server := httptest.NewServer(hub.Handler())
	defer server.Close()
	f := fixture{TB: t, Hub: hub, client: hub.HTTPClient()}
	id := f.create(newSession)
	url := server.URL + "/api/hub/session/" + id + "/events"
	resp, err := server.Client().Get(url)
	require.NoError(t, err)
	defer resp.Body.Close()
	o := &observed{TB: t, resp: resp, lines: bufio.NewReader(resp.Body)}
	o.expect(opening...)
	dial := func() (*websocket.Conn, error) {
		conn, _, err := websocket.Dial(t.Context(), server.URL+"/api/ws?sessionId="+id, nil)
		return conn, err
	}
	conn, err := dial()
	require.NoError(t, err)
	hub.Close()
	o.broken()
	(&client{TB: t, conn: conn}).lost()
	assert.Equal(t, 0, hub.Streams())

	_, err = read(server.Client().Get(url))
	require.Error(t, err)
	_, err = dial()
	require.Error(t, err)
	assert.Equal(t, 0, hub.Streams())
}

func TestCloseWhileASocketOpens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := start(t)
		closed := make(chan struct{})
		conn, served := f.serveSocket("", func() {
			go func() {
				f.Close()
				close(closed)
			}()
			synctest.Wait()
		})
		defer conn.Close()
		<-served
		<-closed
		_, err := io.ReadAll(conn)
		require.NoError(t, err)
	})
}
