package transport

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/internal/rawh2"
)

func newTransport(client http.Client, policy Policy) *Transport {
	return New(Config{
		HTTPClient: client, Policy: policy, Logger: slog.New(slog.DiscardHandler), MaxBody: 8 << 20, Silence: time.Minute,
	})
}

var once = Policy{MaxAttempts: 1}

// hangUp serves connections that end without an answer once a whole request has been read.
func hangUp(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	panic(http.ErrAbortHandler)
}

func TestSentOfACreate(t *testing.T) {
	answering := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusConflict) }))
	defer answering.Close()
	lost := httptest.NewServer(http.HandlerFunc(hangUp))
	lost.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	defer lost.Close()
	closed := httptest.NewServer(nil)
	closed.Close()
	encrypted := httptest.NewTLSServer(nil)
	encrypted.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	defer encrypted.Close()

	drops := roundTripper(func(r *http.Request) (*http.Response, error) {
		return http.DefaultTransport.RoundTrip(r.WithContext(context.Background()))
	})
	// As a resolver answers, without asking one.
	nowhere := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", IsNotFound: true}}
	}}
	for name, test := range map[string]struct {
		url     string
		base    http.RoundTripper
		sent    Sent
		unknown bool
		status  int
	}{
		"answered":                         {answering.URL, nil, SentYes, false, http.StatusConflict},
		"lost after sending":               {lost.URL, nil, SentYes, true, 0},
		"refused":                          {closed.URL, nil, SentNo, false, 0},
		"no such host":                     {"http://host.invalid", nowhere, SentNo, false, 0},
		"bad certificate":                  {encrypted.URL, nil, SentNo, false, 0},
		"plain HTTP on the TLS port":       {strings.Replace(answering.URL, "http", "https", 1), nil, SentNo, false, 0},
		"lost, transport without hooks":    {lost.URL, drops, SentUnknown, true, 0},
		"refused, transport without hooks": {closed.URL, drops, SentNo, false, 0}, // nothing of the body was read
	} {
		t.Run(name, func(t *testing.T) {
			tr := newTransport(http.Client{Transport: test.base}, once)
			defer tr.CloseIdleConnections()
			o := tr.Do(t.Context(), &Request{Method: http.MethodPost, URL: test.url, Body: []byte(`{}`)})
			assert.Equal(t, test.sent, o.Sent)
			assert.Equal(t, test.unknown, o.Unknown)
			assert.Equal(t, test.status, o.Status)
			assert.Equal(t, test.status == 0, o.Err != nil)
			assert.Equal(t, 1, o.Attempts)
		})
	}
}

// TestFailuresThatStay: a second attempt would meet the same, so there is none, and nothing waits.
func TestFailuresThatStay(t *testing.T) {
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	encrypted := httptest.NewTLSServer(nil)
	encrypted.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	defer encrypted.Close()
	for name, url := range map[string]string{
		"bad certificate":            encrypted.URL,
		"plain HTTP on the TLS port": strings.Replace(plain.URL, "http", "https", 1),
		"unsupported scheme":         "gopher://localhost/",
	} {
		for _, idempotent := range []bool{true, false} {
			t.Run(fmt.Sprint(name, ", idempotent ", idempotent), func(t *testing.T) {
				tr := newTransport(http.Client{}, Policy{})
				defer tr.CloseIdleConnections()
				o := tr.Do(t.Context(), &Request{Method: http.MethodPost, URL: url, Idempotent: idempotent})
				require.Error(t, o.Err)
				assert.Equal(t, 1, o.Attempts)
			})
		}
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestConnectionsSurviveFailures: go-retryablehttp asks for idle connections to be closed after
// every failed call. If that reached the transport, each burst would dial again.
func TestConnectionsSurviveFailures(t *testing.T) {
	var conns, fail atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/fail" && fail.Load() > 0 {
			w.WriteHeader(http.StatusBadGateway)
		}
		if r.URL.Path == "/hang" {
			<-r.Context().Done()
		}
		_, _ = io.WriteString(w, `{}`)
	}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			conns.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	tr := newTransport(http.Client{}, Policy{MaxAttempts: 2, MinBackoff: time.Microsecond, UnavailableWindow: -1})
	defer tr.CloseIdleConnections()

	burst := func() {
		arrived, release := make(chan struct{}, 32), make(chan struct{})
		var wg sync.WaitGroup
		for range 32 {
			wg.Go(func() {
				// All 32 hold a connection at once: GotConn waits until the last has one.
				ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) {
					arrived <- struct{}{}
					<-release
				}})
				o := tr.Do(ctx, &Request{Method: http.MethodGet, URL: server.URL, Idempotent: true})
				o.Body.Release()
				assert.Equal(t, 200, o.Status)
			})
		}
		for range 32 {
			<-arrived
		}
		close(release)
		wg.Wait()
	}
	burst()
	warm := conns.Load()
	require.EqualValues(t, 32, warm)

	fail.Store(1)
	o := tr.Do(t.Context(), &Request{Method: http.MethodGet, URL: server.URL + "/fail", Idempotent: true})
	require.Equal(t, http.StatusBadGateway, o.Status)
	require.Equal(t, 2, o.Attempts, "an exhausted retry")
	burst()
	assert.Equal(t, warm, conns.Load(), "after an exhausted retry no connection is opened")

	slow := newTransport(http.Client{Transport: tr.base.reads}, Policy{MinBackoff: time.Hour, MaxBackoff: time.Hour, UnavailableWindow: 3 * time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	logged := make(chan struct{}, 1)
	slow.logger = slog.New(&signal{logged: logged})
	go func() { <-logged; cancel() }()
	o = slow.Do(ctx, &Request{Method: http.MethodGet, URL: server.URL + "/fail", Idempotent: true})
	require.ErrorIs(t, o.Ended, context.Canceled)
	require.Equal(t, http.StatusBadGateway, o.Status, "what the attempt said is kept")
	burst()
	assert.Equal(t, warm, conns.Load(), "after a cancelled wait no connection is opened")

	o = tr.Do(t.Context(), &Request{Method: http.MethodGet, URL: "gopher://localhost", Idempotent: true})
	require.Error(t, o.Err)
	burst()
	assert.Equal(t, warm, conns.Load(), "after a failed call no connection is opened")
}

// signal is a slog.Handler that reports the first record.
type signal struct {
	slog.Handler
	logged chan struct{}
}

func (s *signal) Enabled(context.Context, slog.Level) bool { return true }
func (s *signal) Handle(context.Context, slog.Record) error {
	select {
	case s.logged <- struct{}{}:
	default:
	}
	return nil
}

// failsFirst serves HTTP/2. It ends the stream of the first request, read whole, and answers all others.
func failsFirst(t *testing.T, end func(c *rawh2.Conn, stream uint32)) (url string, client http.Client, requests *atomic.Int32) {
	t.Helper()
	requests = new(atomic.Int32)
	url, client = overHTTP2(t, func(c *rawh2.Conn, n int, stream uint32) bool {
		requests.Store(int32(n))
		if n == 1 {
			end(c, stream)
		} else {
			c.Answer(stream)
		}
		return true
	})
	return url, client, requests
}

// TestNetHTTPRepeatsAPostOnHTTP2 shows what the transport must prevent: given GetBody, net/http
// sends a POST again that was sent whole, and reports success.
func TestNetHTTPRepeatsAPostOnHTTP2(t *testing.T) {
	url, client, requests := failsFirst(t, func(c *rawh2.Conn, _ uint32) { c.GoAway(0, rawh2.NoError, "") })
	resp, err := client.Post(url, "application/json", strings.NewReader(`{}`))
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.EqualValues(t, 2, requests.Load(), "net/http has sent the POST twice")
}

func TestACreateIsNeverRepeatedOnHTTP2(t *testing.T) {
	drops := func(base http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			return base.RoundTrip(r.WithContext(context.Background()))
		})
	}
	for name, wrap := range map[string]func(http.RoundTripper) http.RoundTripper{
		"our transport":                         func(base http.RoundTripper) http.RoundTripper { return base },
		"a RoundTripper that drops the context": drops,
	} {
		t.Run(name, func(t *testing.T) {
			url, client, requests := failsFirst(t, func(c *rawh2.Conn, s uint32) { c.Reset(s, rawh2.ProtocolError) })
			client.Transport = wrap(client.Transport)
			tr := newTransport(client, Policy{})
			o := tr.Do(t.Context(), &Request{Method: http.MethodPost, URL: url, Body: []byte(`{}`)})
			require.Error(t, o.Err)
			assert.True(t, o.Unknown)
			assert.NotEqual(t, SentNo, o.Sent)
			assert.EqualValues(t, 1, requests.Load())
		})
	}
}

func TestACreateIsNeverRepeatedOnHTTP1(t *testing.T) {
	for name, wrap := range map[string]func(http.RoundTripper) http.RoundTripper{
		"our transport": func(base http.RoundTripper) http.RoundTripper { return base },
		"a RoundTripper that drops the context": func(base http.RoundTripper) http.RoundTripper {
			return roundTripper(func(r *http.Request) (*http.Response, error) {
				return base.RoundTrip(r.WithContext(context.Background()))
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			var posts atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPost {
					posts.Add(1)
					hangUp(w, r)
				}
			}))
			defer server.Close()
			server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
			base := NewHTTPTransport()
			tr := newTransport(http.Client{Transport: wrap(base)}, Policy{})
			defer base.CloseIdleConnections()
			// On a connection that was used before net/http is quicker to try again.
			tr.Do(t.Context(), &Request{Method: http.MethodGet, URL: server.URL, Idempotent: true}).Body.Release()
			o := tr.Do(t.Context(), &Request{Method: http.MethodPost, URL: server.URL, Body: []byte(`{}`)})
			require.Error(t, o.Err)
			assert.True(t, o.Unknown)
			assert.EqualValues(t, 1, posts.Load())
		})
	}
}

func TestRedirects(t *testing.T) {
	var elsewhere, looped atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		elsewhere.Add(1)
		assert.Empty(t, r.Header.Get("X-Agentuity-Auth-Api-Key"), "the key must not follow")
	}))
	defer other.Close()
	var here *httptest.Server
	here = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/same":
			http.Redirect(w, r, "/end?x=1", http.StatusTemporaryRedirect)
		case "/other":
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		case "/loop":
			if looped.Add(1); looped.Load() <= 100 {
				http.Redirect(w, r, "/loop", http.StatusFound)
			}
		case "/user":
			http.Redirect(w, r, strings.Replace(here.URL, "://", "://u:p@", 1)+"/end", http.StatusFound)
		case "/nowhere":
			w.Header().Set("Location", "https://u:p@h/%zz?token=x")
			w.WriteHeader(http.StatusFound)
		case "/scheme":
			http.Redirect(w, r, strings.Replace(here.URL, "http", "https", 1), http.StatusFound)
		case "/end":
			_, _ = io.WriteString(w, r.Header.Get("X-Agentuity-Auth-Api-Key"))
		}
	}))
	defer here.Close()

	var asked atomic.Int32
	forbid := func(*http.Request, []*http.Request) error { asked.Add(1); return errors.New("forbidden") }
	for name, test := range map[string]struct {
		method, path string
		rule         func(*http.Request, []*http.Request) error
		status       int
		failed       bool
	}{
		"GET to the same host":             {http.MethodGet, "/same", nil, 200, false},
		"GET, but the caller forbids":      {http.MethodGet, "/same", forbid, 0, true},
		"GET to another host":              {http.MethodGet, "/other", nil, 307, false},
		"GET to another host, rule allows": {http.MethodGet, "/other", func(*http.Request, []*http.Request) error { return nil }, 307, false},
		"GET to another scheme":            {http.MethodGet, "/scheme", nil, 302, false},
		"GET to the same host with a user": {http.MethodGet, "/user", nil, 302, false},
		"GET to what is no URL":            {http.MethodGet, "/nowhere", nil, 302, false},
		"GET in a circle":                  {http.MethodGet, "/loop", nil, 302, false},
		"POST to the same host":            {http.MethodPost, "/same", nil, 307, false},
		"DELETE to the same host":          {http.MethodDelete, "/same", nil, 307, false},
	} {
		t.Run(name, func(t *testing.T) {
			tr := newTransport(http.Client{CheckRedirect: test.rule}, Policy{})
			defer tr.CloseIdleConnections()
			o := tr.Do(t.Context(), &Request{
				Method: test.method, URL: here.URL + test.path, Idempotent: test.method != http.MethodPost,
				Header: http.Header{"X-Agentuity-Auth-Api-Key": {"k"}},
			})
			assert.Equal(t, test.status, o.Status)
			assert.Equal(t, test.failed, o.Err != nil)
			if test.path == "/loop" {
				assert.EqualValues(t, maxRedirects, looped.Load(), "the first and nine more")
			}
			assert.Equal(t, 1, o.Attempts)
			if test.status == 200 {
				body, _ := o.Body.Bytes()
				assert.Equal(t, "k", string(body), "headers stay on the same host")
			}
			o.Body.Release()
		})
	}
	assert.Zero(t, elsewhere.Load())
	assert.EqualValues(t, 1, asked.Load())
}

func TestBodies(t *testing.T) {
	const limit = 3 << 20
	for _, size := range []int{0, 1, firstRead - 1, firstRead, firstRead + 1, largestPooled - 1, largestPooled, largestPooled + 1, limit - 1, limit} {
		for _, announced := range []bool{true, false} {
			t.Run(fmt.Sprintf("%d bytes, announced %v", size, announced), func(t *testing.T) {
				want := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
				length := int64(-1)
				if announced {
					length = int64(size)
				}
				body, err := readBody(iotest.HalfReader(bytes.NewReader(want)), length, limit)
				require.NoError(t, err)
				got, err := io.ReadAll(body.Reader())
				require.NoError(t, err)
				assert.True(t, bytes.Equal(want, got))
				if whole, ok := body.Bytes(); ok {
					assert.True(t, bytes.Equal(want, whole))
				}
				assert.Len(t, body.Prefix(10), min(10, size))
				body.Release()
				body.Release()
			})
		}
	}
}

// endless yields bytes for ever and counts them.
type endless struct{ read int64 }

func (e *endless) Read(p []byte) (int, error) { e.read += int64(len(p)); return len(p), nil }

func TestBodiesBeyondTheLimit(t *testing.T) {
	const limit = 8 << 20
	for name, announced := range map[string]int64{"not announced": -1, "a lie": 100, "announced": 512 << 20} {
		t.Run(name, func(t *testing.T) {
			source := &endless{}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := readBody(source, announced, limit)
			runtime.ReadMemStats(&after)
			require.ErrorIs(t, err, ErrTooLarge)
			assert.LessOrEqual(t, source.read, int64(limit+pieceSize), "no more is read than is needed to know")
			assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(3*limit), "memory stays bounded")
		})
	}
	t.Run("a lying length allocates little", func(t *testing.T) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := readBody(strings.NewReader("{}"), limit-1, limit)
		runtime.ReadMemStats(&after)
		require.NoError(t, err)
		assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(2*largestPooled))
	})
	t.Run("the body of an error", func(t *testing.T) {
		source := &endless{}
		text := readText(source)
		assert.Len(t, text, ErrorBodyLimit)
		assert.LessOrEqual(t, source.read, int64(2*ErrorBodyLimit))
	})
}

func TestTLSConnectionsAreReused(t *testing.T) {
	var conns atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strings.Repeat("x", 100_000))
	}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			conns.Add(1)
		}
	}
	server.StartTLS()
	defer server.Close()
	base := NewHTTPTransport()
	base.TLSClientConfig = &tls.Config{RootCAs: server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
	tr := newTransport(http.Client{Transport: base}, Policy{})
	defer tr.CloseIdleConnections()
	for range 20 {
		o := tr.Do(t.Context(), &Request{Method: http.MethodGet, URL: server.URL, Idempotent: true})
		require.Equal(t, 200, o.Status)
		o.Body.Release()
	}
	assert.EqualValues(t, 1, conns.Load())
}
